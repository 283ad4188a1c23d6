"""Names of files of scans without their endings, and names that cannot be kept."""

from pathlib import Path

from thighview.core.errors import UserError

_ENDINGS = (
    ".nii", ".hdr", ".img", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgh", ".mgz", ".ome.tiff", ".ome.tif", ".tiff", ".tif",
    ".npz", ".npy", ".gz",
)  # fmt: skip


def stem(path: Path) -> str:
    """File name without the ending of its format: ``scan`` of ``scan.nii.gz`` and of ``scan.mha``."""
    name = path.name
    if name.lower().endswith(".gz"):
        name = name[:-3]
    for ending in _ENDINGS:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


def storable(text: str) -> str:
    """The text as it can be written down: with ``?`` for what of a file's name is no text (not UTF-8)."""
    return text.encode("utf-8", "replace").decode()


def need_storable(path: Path) -> None:
    """Refuse a path that a project cannot keep, because a name in it is not UTF-8."""
    if str(path) != storable(str(path)):
        raise UserError(
            f"The name of {storable(str(path))} has bytes in it that are no text (not UTF-8).",
            "Rename the file, or the folder it lies in.",
        )
