"""What a TIFF stack says of itself in words: the spacing and the order of its pages, as ImageJ and OME write it."""

import re
from dataclasses import dataclass

_MOST_CHARACTERS = 1 << 16
_MOST_PLANES = 1 << 20
_MILLIMETRES = {
    "nm": 1e-6, "um": 1e-3, "µm": 1e-3, "\u03bcm": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3,
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4, "in": 25.4,
}  # fmt: skip


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


def told_by(description: str) -> Told:
    """What a description tells; nothing where it is none of those known."""
    text = description[:_MOST_CHARACTERS]
    if text.startswith("ImageJ="):
        return _imagej(text)
    pixels = re.search(r"<(?:\w+:)?Pixels\b([^<>]*)>", text)
    return _ome(pixels[1]) if pixels else Told()


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


def _ome(attributes: str) -> Told:
    found = dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', attributes))
    mm: dict[str, float | None] = {}
    for axis in "XYZ":
        size = _number(found.get(f"PhysicalSize{axis}", ""))
        unit = _length(found.get(f"PhysicalSize{axis}Unit", "µm"))
        mm[axis] = size * unit if size and size > 0 and unit else None
    order = found.get("DimensionOrder", "XYZCT")[2:]
    z, c, t = (_count(found.get(f"Size{axis}", "")) for axis in "ZCT")
    known = sorted(order) == ["C", "T", "Z"]
    return Told("OME", z, c or 1, t or 1, order if known else "ZCT", mm["Z"], mm["Y"], mm["X"])


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
