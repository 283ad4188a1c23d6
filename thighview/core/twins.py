"""Two people of a set who are one: the same scan, or nearly, under two names and in two parts of the split."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Protocol

from thighview.core.fingerprint import SAME_LOOK, look_distance

MOST_NAMED = 3
_DOES = {"train": "is trained on", "validation": "validates", "test": "is locked away for testing"}


class Scan(Protocol):
    """What is known of a scan of a set."""

    @property
    def title(self) -> str:
        """Its name to show."""
        ...

    @property
    def subject(self) -> str:
        """Whose it is."""
        ...

    @property
    def part(self) -> str:
        """``train``, ``validation``, ``test`` or empty."""
        ...

    @property
    def content(self) -> str:
        """Hash of its voxels."""
        ...

    @property
    def look(self) -> str:
        """Hash of what it looks like."""
        ...


@dataclass(frozen=True)
class Twins:
    """Two scans that count as two people; ``distance`` 0 is the very same voxels."""

    one: Scan
    other: Scan
    distance: float

    def sentence(self) -> str:
        """What it means, for a person to act on."""
        first, second = (_name(scan, self) for scan in (self.one, self.other))
        how = "are the same scan" if self.distance == 0 else "look like the same scan"
        if self.one.part and self.other.part:
            where = f"{first} {_DOES[self.one.part]}, {second} {_DOES[self.other.part]}"
            matters = f"{where}, so the score there does not measure new people"
        else:
            matters = "one could come to train and the other to validate"
        return (
            f"{first} and {second} {how} but count as two people: {matters}. "
            "If they are one person, give both the same name"
        )


def twins(scans: Iterable[Scan]) -> list[Twins]:
    """Pairs of scans of different subjects that are, or look like, the same; nearest first.

    Not of two in the same part: they train or validate together. Who has no part yet could get any.
    Every pair is compared: a thousand scans take about a second.
    """
    found: list[Twins] = []
    for one, other in combinations(scans, 2):
        if one.subject == other.subject or (one.part and one.part == other.part):
            continue
        if one.content and one.content == other.content:
            found.append(Twins(one, other, 0.0))
        elif (distance := look_distance(one.look, other.look)) <= SAME_LOOK:
            found.append(Twins(one, other, max(distance, 1e-9)))
    return sorted(found, key=lambda pair: pair.distance)


def twin_sentences(found: list[Twins]) -> list[str]:
    """The nearest pairs in a sentence each, and how many there are besides."""
    said = [pair.sentence() for pair in found[:MOST_NAMED]]
    more = len(found) - len(said)
    if more:
        said.append(f"{more} more pair{'s' * (more > 1)} of scans look{'s' * (more == 1)} alike")
    return said


def _name(scan: Scan, pair: Twins) -> str:
    return scan.title if pair.one.title != pair.other.title else f"{scan.title} of {scan.subject}"
