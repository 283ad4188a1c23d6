"""What tells one scan from another: where it lies, and which part of what lies there it is."""

from pathlib import Path
from typing import NamedTuple

SERIES_PART = "series-"
"""How the parts begin that are made of the content of a DICOM series: they say nothing to people."""


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
        """The name of the file, and the part where that is a word for people."""
        shown = self.part and not self.part.startswith(SERIES_PART)
        return f"{self.path.name}, part {self.part}" if shown else self.path.name

    def __str__(self) -> str:
        return f"{self.path}, part {self.part}" if self.part else str(self.path)
