"""What a run trains on, as values: cases, made-up people and slices of a frozen set, and what is shown again."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thighview.core.labels import LabelTable
from thighview.core.leaks import listed
from thighview.core.scan_key import ScanKey


@dataclass(frozen=True)
class FrozenCase:
    """One case of a frozen set. ``states`` has one word per stored slice; ``mask`` is a path in the run folder.

    ``part`` is that of the split; ``source_part`` the part of what lies at ``source``. ``content`` and ``look`` are
    those of ``core.fingerprint``, empty until the set is vetted; ``left_out`` says why none of its slices is in the
    set, whatever its part. ``checked`` are the doubts about its scan that a person had looked into.
    """

    case_id: int
    title: str
    subject: str
    part: str
    source: Path
    sha256: str
    mask: str
    table: LabelTable
    states: tuple[str, ...]
    reviewed: tuple[int, ...]
    content: str = ""
    look: str = ""
    left_out: str = ""
    source_part: str = ""
    checked: tuple[str, ...] = ()

    @property
    def key(self) -> ScanKey:
        """What its scan is opened by."""
        return ScanKey(self.source, self.source_part)


@dataclass(frozen=True)
class FrozenPhantom:
    """A made-up person who stands in where nobody validates."""

    seed: int
    contrast: str
    slices: int
    subject: str


@dataclass(frozen=True)
class FrozenSlice:
    """One slice by its id in the run. ``index`` counts along the axial axis; ``case_id`` 0 is a phantom.

    ``edited_px`` and ``contour_px`` are those of ``core.corrections.edit_counts``.
    """

    id: int
    case_id: int
    index: int
    state: str
    subject: str
    part: str
    edited_px: int = 0
    contour_px: int = 0


@dataclass(frozen=True)
class Replay:
    """What a run shows its network again: a ``share`` of each batch, from so many ``slices``.

    They are those (``slice_ids`` of the run) of ``people`` whom the model knew before, or of made-up ``phantoms``.
    """

    share: float
    slices: int
    people: tuple[str, ...] = ()
    slice_ids: tuple[int, ...] = ()
    phantoms: tuple[FrozenPhantom, ...] = ()

    @property
    def words(self) -> str:
        """``50 % replay of 24 slices of 8 made-up thighs (seeds 910000 to 910007)``."""
        if self.people:
            one = len(self.people) == 1
            whose = f"{len(self.people)} {'person' if one else 'people'} it knew ({listed(self.people)})"
        else:
            seeds = sorted(phantom.seed for phantom in self.phantoms)
            between = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else "".join(map(str, seeds))
            whose = f"{len(seeds)} made-up thighs (seeds {between})"
        return f"{100 * self.share:.0f} % replay of {self.slices} slices of {whose}"

    @staticmethod
    def from_json(data: Any) -> "Replay | None":
        """What ``asdict`` made of one; None for None.

        Raises
        ------
        TypeError, KeyError
            When it is something else.
        """
        if data is None:
            return None
        phantoms = tuple(FrozenPhantom(**row) for row in data["phantoms"])
        people, ids = tuple(map(str, data["people"])), tuple(map(int, data["slice_ids"]))
        return Replay(float(data["share"]), int(data["slices"]), people, ids, phantoms)


@dataclass(frozen=True)
class Dataset:
    """A frozen training set; ``labels`` are those the network learns, ``note`` what the panel must say about it.

    ``vetted``: whether ``io.vetting`` has looked for one person on both sides. ``replay`` is known once it trains.
    ``begun_with`` is the ``weights_sha256`` of the model it starts from, noted then; empty without one.
    """

    labels: LabelTable
    cases: tuple[FrozenCase, ...]
    phantoms: tuple[FrozenPhantom, ...]
    slices: tuple[FrozenSlice, ...]
    note: str
    vetted: bool = True
    replay: Replay | None = None
    begun_with: str = ""

    def of_part(self, part: str) -> tuple[FrozenSlice, ...]:
        """Slices of ``train``, ``validation`` or ``test``."""
        return tuple(s for s in self.slices if s.part == part)

    @property
    def subject_of(self) -> dict[int, str]:
        """Slice id to subject."""
        return {s.id: s.subject for s in self.slices}

    @property
    def slices_by_subject(self) -> dict[str, int]:
        """Subject to how many slices it has."""
        return dict(Counter(s.subject for s in self.slices))

    def subjects(self, part: str) -> list[str]:
        """Subjects of a part, sorted."""
        return sorted({s.subject for s in self.slices if s.part == part})
