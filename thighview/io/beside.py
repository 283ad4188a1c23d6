"""A file that another one names: only in its own folder or below, whatever the name says."""

from pathlib import Path

from thighview.core.errors import UserError


def named_beside(path: Path, name: str) -> Path:
    """The file of this name beside ``path`` or in a folder below.

    Raises
    ------
    UserError
        When it lies elsewhere, also by way of links, or is not there.
    OSError
        When that cannot be looked at.
    """
    folder = path.parent
    said = f"The voxels of {path.name} should lie in the file {name[:120]!r}"
    if not name or "\0" in name or Path(name).is_absolute() or "\\" in name or ":" in name:
        raise UserError(f"{said}, which cannot be opened from here.", "Put both files into one folder, by plain names.")
    found = folder / name
    if not found.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{said}, outside its folder: that is not opened.", "Put both files into one folder.")
    if not found.is_file():
        raise UserError(f"{said}, which is not there.", "Put it beside the header.")
    return found
