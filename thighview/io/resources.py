"""Files that come with the program: icons and models."""

from pathlib import Path

import thighview


def resource(*parts: str) -> Path:
    """Path of something in ``resources/``, in a checkout as in an installed wheel.

    Parameters
    ----------
    *parts : str
        Path below ``resources/``, one name each; none gives the folder itself.

    Raises
    ------
    FileNotFoundError
        When it is not there: a broken installation.
    """
    package = Path(thighview.__file__).resolve().parent
    for root in (package / "_resources", package.parent / "resources"):
        path = root.joinpath(*parts)
        if root.is_dir() and path.exists():
            return path
    raise FileNotFoundError(f"the file {'/'.join(parts)} that comes with thighview is missing; install it again")
