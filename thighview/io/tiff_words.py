"""What a TIFF stack says of itself in words: the spacing and the order of its pages, as ImageJ and OME write it."""

import re
from dataclasses import dataclass

_MOST_CHARACTERS, _MOST_OME_CHARACTERS = 1 << 16, 1 << 22
_OME_TAG = re.compile(r"<(?:\w+:)?(OME|Pixels|TiffData|UUID)\b([^<>]*)>([^<]{0,100})")
_MOST_PLANES = 1 << 20
_MILLIMETRES = {
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "\u03bcm": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3,
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4, "in": 25.4,
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """Pages one after the other that are planes one after the other.

    Parameters
    ----------
    plane : int
        The first plane, counted from 0 in the order of the stack.
    page : int
        The first page, counted from 0 in the file.
    count : int
        How many; 0 where it is all that follow.
    """

    plane: int
    page: int
    count: int


@dataclass(frozen=True)
class Told:
    """What the words of a stack tell; None where they do not.

    Parameters
    ----------
    by : str
        Who wrote them.
    slices, channels, frames : int
        How many there are of each; 0 where that is not said.
    order : str
        Of slices ``Z``, channels ``C`` and frames ``T``, the fastest first.
    z_mm, y_mm, x_mm : float, optional
        Distances of neighbouring voxels.
    unit_mm : float, optional
        How long the unit is in which the resolution counts pixels.
    runs : tuple of Run
        Which pages of this file are its planes; none where that is not said, and all follow one another.
    """

    by: str = ""
    slices: int = 0
    channels: int = 1
    frames: int = 1
    order: str = "CZT"
    z_mm: float | None = None
    y_mm: float | None = None
    x_mm: float | None = None
    unit_mm: float | None = None
    slope: float = 1.0
    inter: float = 0.0
    calibrated: bool = False
    """Whether the stored numbers stand for others by a rule that is no straight line."""
    runs: tuple[Run, ...] = ()


def told_by(description: str) -> tuple[Told, ...]:
    """What a description tells of each image in the file; of one, and nothing, where it is none of those known."""
    if description.startswith("ImageJ="):
        return (_imagej(description[:_MOST_CHARACTERS]),)
    return _ome(description[:_MOST_OME_CHARACTERS]) or (Told(),)


def _imagej(text: str) -> Told:
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    unit = _length(fields.get("unit", ""))
    spacing = _number(fields.get("spacing", ""))
    images, channels, frames = (_count(fields.get(key, "")) for key in ("images", "channels", "frames"))
    slices = _count(fields.get("slices", "")) or (images // max(1, channels * frames) if images else 0)
    z_mm = abs(spacing) * unit if spacing and unit else None
    rule = fields.get("cf", "").strip()  # of ij.measure.Calibration: 0 is c0 + c1 x, as for all signed numbers
    inter, slope = (_number(fields.get(key, "")) for key in ("c0", "c1"))
    line = rule == "0" and inter is not None and bool(slope)
    return Told(
        "ImageJ", slices, channels or 1, frames or 1, "CZT", z_mm, unit_mm=unit,
        slope=slope if line and slope else 1.0, inter=inter if line and inter else 0.0,
        calibrated=bool(rule) and not line,
    )  # fmt: skip


def _ome(text: str) -> tuple[Told, ...]:
    """Each image, with those of its pages that lie in this file: others are named by the identity of their file."""
    this = ""
    images: list[tuple[dict[str, str], list[dict[str, str]]]] = []
    for tag, attributes, words in _OME_TAG.findall(text):
        fields = dict(re.findall(r'\b(\w+)\s*=\s*"([^"]*)"', attributes))
        if tag == "OME":
            this = this or fields.get("UUID", "")
        elif tag == "Pixels":
            images.append((fields, []))
        elif tag == "TiffData" and images:
            images[-1][1].append(fields)
        elif tag == "UUID" and images and images[-1][1]:
            images[-1][1][-1]["file"] = words.strip()
            this = this or words.strip()
    return tuple(_image(pixels, runs, this) for pixels, runs in images)


def _image(pixels: dict[str, str], runs: list[dict[str, str]], this: str) -> Told:
    mm: dict[str, float | None] = {}
    for axis in "XYZ":
        size = _number(pixels.get(f"PhysicalSize{axis}", ""))
        unit = _length(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        mm[axis] = size * unit if size and size > 0 and unit else None
    order = pixels.get("DimensionOrder", "XYZCT")[2:]
    order = order if sorted(order) == ["C", "T", "Z"] else "ZCT"
    sizes = {axis: _count(pixels.get(f"Size{axis}", "")) for axis in "ZCT"}
    z, c, t = sizes["Z"], sizes["C"] or 1, sizes["T"] or 1
    step = {order[0]: 1, order[1]: sizes[order[0]] or 1}
    step[order[2]] = step[order[1]] * (sizes[order[1]] or 1)
    found: list[Run] = []
    for run in runs if z else ():
        first = {axis: _count(run.get(f"First{axis}", "")) for axis in "ZCT"}
        plane, page = sum(first[axis] * step[axis] for axis in "ZCT"), _count(run.get("IFD", ""))
        alone = len(runs) == 1 and plane == page == 0  # and so of all pages, which some programs do not count
        count = _count(run.get("PlaneCount", "1" if "IFD" in run and not alone else ""))
        if run.get("file", this) == this and all(first[axis] < (sizes[axis] or 1) for axis in "ZCT"):
            found.append(Run(plane, page, count))
    return Told("OME", z, c, t, order, mm["Z"], mm["Y"], mm["X"], runs=tuple(found))


def _length(unit: str) -> float | None:
    """The unit in mm."""
    return _MILLIMETRES.get(unit.strip().replace("\\u00B5", "µ").lower())


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if abs(found) < 1e9 else None


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 8 and int(text) < _MOST_PLANES else 0
