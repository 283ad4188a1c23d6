"""What tells one scan from another: where it lies, and which part of what lies there it is."""

from pathlib import Path
from typing import NamedTuple


class ScanKey(NamedTuple):
    """A path, and a part of what lies there.

    Parameters
    ----------
    path : Path
        A file, or the folder of a series.
    part : str
        A short word for one of several scans in one place (of a NIfTI file the number of the volume, from 1); empty
        where it is all there is.
    """

    path: Path
    part: str = ""

    @property
    def name(self) -> str:
        """The name of the file, and the part, for people."""
        return f"{self.path.name}, part {self.part}" if self.part else self.path.name

    def __str__(self) -> str:
        return f"{self.path}, part {self.part}" if self.part else str(self.path)
