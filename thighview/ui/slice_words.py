"""What a slice view says in words: which image and slice it shows, its window, and what lies under the mouse."""

import math

from thighview.core.case import Case
from thighview.core.image_roles import ROLES
from thighview.core.planes import Plane

PLACE_PX, _ROOMY_PX, _VOXEL_PX = 240, 320, 420
"""From these widths on a view tells the place under the mouse, its tenths of a millimetre, and its voxel."""


def title_words(case: Case | None, name: str, shown: int | None, over: int | None, width: int) -> str:
    """The plane, and which image it is where there are several, ``over`` being blended over it.

    Parameters
    ----------
    name : {"axial", "coronal", "sagittal"}
        The plane.
    shown, over : int or None
        ``series_id`` of the images.
    width : int
        Of the view, pixels; as below.
    """
    if case is None or len(case.images) < 2 or width < PLACE_PX:
        return name
    title = image_words(case, shown)
    return f"{name} · {title}" + (f" + {image_words(case, over)}" if over is not None else "")


def slice_words(case: Case | None, plane: Plane, index: int, width: int) -> str:
    """Which slice it is; of one that is not in the files of the scan, that it is not."""
    words = f"{'slice ' if width > 240 else ''}{index + 1} / {plane.count}"
    return f"{words} · missing in the files" if case and not plane.through and index in case.missing else words


def window_words(window: tuple[float, float]) -> str:
    """Width and level of the intensities drawn black and white."""
    low, high = window
    return f"W {number_words(high - low)} L {number_words((low + high) / 2)}"


def voxel_words(case: Case, voxel: tuple[int, int, int], series_id: int | None, shown: object, width: int) -> str:
    """Millimetres, voxel, intensity (``shown``, of the image ``series_id``) and label of a voxel (z, y, x)."""
    z, y, x = voxel
    at, roomy = case.volume.to_world(voxel), width > _ROOMY_PX
    value, signal = int(case.labels[voxel]), number_words(shown)
    fraction = any(one.series_id == series_id and one.role == "fat_fraction" for one in case.images)
    where = f"voxel {x} {y} {z}"
    if case.is_sized:
        place = "x {:.{n}f} y {:.{n}f} z {:.{n}f} mm".format(*at, n=int(roomy)).replace("-", "−")
        where = f"{place}   {where}" if width > _VOXEL_PX else place
    parts = [
        where,
        f"fat {signal} %" if fraction else ("signal " if roomy or not value else "") + signal,
    ]
    if value:
        label = case.table.get(value)
        parts.append(label.title if label else f"label {value}")
    return " · ".join(parts if width > PLACE_PX else parts[1:])


def image_words(case: Case, series_id: int | None) -> str:
    """What an image is called on the screen: its role where it has one, else its name."""
    at = next((one for one in case.images if one.series_id == series_id), case.series[0])
    return ROLES[at.role] if at.role in ROLES and at.role != "image" else at.title


def number_words(value: object) -> str:
    """A number as short as it can be read: ``640``, ``0.012``, ``−3.5``."""
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number):
        return "no number"
    text = f"{number:.0f}" if abs(number) >= 100 or number == int(number) else f"{number:.3g}"
    return text.replace("-", "−")
