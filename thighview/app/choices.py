"""Small pictures of the scans that a person is to choose from."""

from collections.abc import Callable, Sequence
from pathlib import Path

from thighview.app.jobs import Job, Report, run_in_thread
from thighview.core.errors import ScanChoice
from thighview.core.scan_key import SERIES_PART

PIXELS = 112
_AT_ONCE = 6
"""So many are made before they are shown."""


def has_picture(choice: ScanChoice) -> bool:
    """Whether a picture can be had without reading all of it: of a DICOM series, from one of its files."""
    return choice.part.startswith(SERIES_PART)


def ask_pictures(choices: Sequence[ScanChoice]) -> Job:
    """Have them made; ``said`` brings (ScanKey, picture) one by one, uint8 (PIXELS, PIXELS)."""
    places: dict[Path, list[str]] = {}
    for choice in filter(has_picture, choices):
        places.setdefault(choice.path, []).append(choice.part)

    def work(report: Report, stopped: Callable[[], bool]) -> None:
        from thighview.core.scan_key import ScanKey
        from thighview.io.reading import pictures_of

        for path, parts in places.items():
            for first in range(0, len(parts), _AT_ONCE):
                for part, picture in pictures_of(path, parts[first : first + _AT_ONCE], PIXELS, stopped).items():
                    report.say((ScanKey(path, part), picture))

    return run_in_thread(work, lane="choices")
