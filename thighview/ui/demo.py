"""The made-up thigh of the demo."""

from pathlib import Path

from thighview.core.phantom import Phantom, make_phantom
from thighview.io.images import write_volume
from thighview.io.paths import home

SEED, CONTRAST, SLICES = 71_002_113, "t1", 16


def made_up_thigh() -> Phantom:
    """The person of the demo, whom no model of the box has seen."""
    return make_phantom(SEED, CONTRAST, slices=SLICES)


def made_up_scan(drawn: Phantom | None = None) -> Path:
    """The demo's scan as a file, drawn when it is first wanted; takes a moment, so not on the window's thread."""
    path = home() / "demo" / "made-up thigh.nii.gz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, (drawn or made_up_thigh()).volume)
    return path
