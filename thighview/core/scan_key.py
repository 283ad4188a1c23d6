"""What tells one scan from another: where it lies, and which part of what lies there it is."""

from pathlib import Path
from typing import NamedTuple

SERIES_PART = "series-"
"""How the parts begin that are made of the content of a DICOM series: they say nothing to people."""
QFORM = "qform"
"""How a part ends where the scan lies by the qform of its NIfTI file, as a person has chosen against the sform."""


class ScanKey(NamedTuple):
    """A path, and a part of what lies there.

    Parameters
    ----------
    path : Path
        A file, or the folder of a series.
    part : str
        A short word for one of several scans in one place (of a NIfTI file the number of the volume, from 1); empty
        where it is all there is; of a NIfTI file that gives two positions it ends with ``qform`` where that one was
        chosen.
    """

    path: Path
    part: str = ""

    @property
    def name(self) -> str:
        """The name of the file, and the part where that is a word for people."""
        shown = self.part and not self.part.startswith(SERIES_PART)
        return f"{self.path.name}, part {self.part}" if shown else self.path.name

    @property
    def volume_part(self) -> str:
        """The part less the choice of a position."""
        return self.part.removesuffix(QFORM).strip() if self.by_qform else self.part

    @property
    def by_qform(self) -> bool:
        """Whether the scan lies by the qform of its file against the sform."""
        return self.part == QFORM or (self.part.partition(" ")[0].isdigit() and self.part.endswith(f" {QFORM}"))

    def placed(self, by_qform: bool) -> "ScanKey":
        """The same scan, in its place by the qform or by the sform of its file."""
        return ScanKey(self.path, f"{self.volume_part} {QFORM}".strip() if by_qform else self.volume_part)

    def __str__(self) -> str:
        return f"{self.path}, part {self.part}" if self.part else str(self.path)
