"""Names of files of scans without their endings."""

from pathlib import Path

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
