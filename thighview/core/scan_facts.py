"""What there is to say of a scan's geometry and measurement, in plain rows."""

from collections.abc import Collection

import numpy as np

from thighview.core.known import lengths_known
from thighview.core.volume import Volume

_WORDS = {"L": "left", "R": "right", "A": "front", "P": "back", "S": "head", "I": "feet"}
_OBLIQUE_DEGREES, _SHEARED_DEGREES = 0.5, 0.1


def geometry_rows(volume: Volume, checked: Collection[str] = ()) -> list[tuple[str, str]]:
    """Title and value of what is known of the grid; lengths in mm, axes in the order x, y, z.

    ``checked`` are the doubts that a person has looked into.
    """
    z, y, x = volume.shape
    spacing = volume.spacing_mm[::-1]
    lengths = [
        ("Spacing", _times(spacing, 4) + " mm" + (" (not told by the file)" if "spacing" in volume.unsure else "")),
        ("Field of view", _times([n * mm for n, mm in zip((x, y, z), spacing, strict=True)], 1) + " mm"),
        ("Between slices", _gap(volume)),
    ]
    return [
        ("Matrix", f"{x} × {y} × {z}"),
        *(lengths if lengths_known(volume, checked) else [("Spacing", "not known")]),
        ("Axes", _axes(volume)),
        ("Tilt", _tilt(volume)),
        ("Numbers", volume.voxels.dtype.name),
    ]


def affine_text(volume: Volume) -> str:
    """The affine from (x, y, z, 1) to LPS mm, four aligned rows."""
    matrix = volume.affine[:, [2, 1, 0, 3]]
    return "\n".join("  ".join(f"{_plain(value):>10}" for value in line) for line in matrix)


def _gap(volume: Volume) -> str:
    """The room between slices: distance of their centres less their thickness."""
    distance = volume.spacing_mm[0]
    told = volume.details.get("Slice thickness", "").removesuffix(" mm")
    try:
        gap = distance - float(told)
    except ValueError:
        return f"{distance:.4g} mm from centre to centre; thickness not told"
    between = f"a gap of {gap:.3g} mm" if gap > 0.005 else f"an overlap of {-gap:.3g} mm" if gap < -0.005 else "no gap"
    return f"{distance:.4g} mm from centre to centre, {told} mm thick, {between}"


def _axes(volume: Volume) -> str:
    if "orientation" in volume.unsure:
        return "not told by the file: left and right are not known"
    x, y, z = (_WORDS[letter] for letter in reversed(volume.axes))
    return f"x to the {x}, y to the {y}, z to the {z}"


def _tilt(volume: Volume) -> str:
    """By how much the scan's axes are turned from the patient's, and from a right angle."""
    directions = volume.affine[:3, :3] / volume.spacing_mm
    turned = [float(np.degrees(np.arccos(min(1.0, abs(directions[w, i]))))) for i, w in enumerate(volume.world_axes)]
    cosines = directions.T @ directions
    sheared = float(np.degrees(np.arcsin(min(1.0, np.abs(cosines - np.eye(3)).max()))))
    words = f"oblique by {max(turned):.1f}°" if max(turned) > _OBLIQUE_DEGREES else "none"
    return words + (f", axes {sheared:.1f}° off a right angle" if sheared > _SHEARED_DEGREES else "")


def _times(numbers: "list[float] | tuple[float, ...]", digits: int) -> str:
    return " × ".join(f"{number:.{digits}f}".rstrip("0").rstrip(".") for number in numbers)


def _plain(value: float) -> str:
    text = f"{value:.4f}"
    return "0.0000" if text == "-0.0000" else text
