"""The made-up thigh of the demo, and the places of its own where it lies."""

from pathlib import Path
from typing import TYPE_CHECKING

from thighview.io.paths import home

if TYPE_CHECKING:
    from thighview.core.phantom import Phantom

SEED, CONTRAST, SLICES = 71_002_113, "t1", 16


def made_up_thigh() -> "Phantom":
    """The person of the demo, whom no model of the box has seen."""
    from thighview.core.phantom import make_phantom

    return make_phantom(SEED, CONTRAST, slices=SLICES)


def project_folder() -> Path:
    """The demo's own project, apart from the person's cases."""
    return home() / "demo" / "Demo"


def made_up_scan(drawn: "Phantom | None" = None) -> Path:
    """The demo's scan as a file, drawn when it is first wanted; takes a moment, so not on the window's thread."""
    from thighview.io.images import write_volume

    path = home() / "demo" / "made-up thigh.nii.gz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, (drawn or made_up_thigh()).volume)
    return path
