"""Who was trained on already: by a run itself, and by every model its start weights come from.

A person whom any ancestor of a model was trained on is no new person for it, whatever part the split of today has
given them: their score would flatter. People are known again by subject id, by the file (SHA-256) and by the voxels
(``core.fingerprint``). That slices of one person on both sides inflate the score was measured by E. Yagis et al.,
2021, Effect of data leakage in brain MRI classification using 2D convolutional neural networks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

MOST_NAMED = 5
MOST_ANCESTORS = 10_000


class KnownCase(Protocol):
    """What is known of a case of a set."""

    @property
    def subject(self) -> str:
        """Whose it is."""
        ...

    @property
    def part(self) -> str:
        """``train``, ``validation`` or ``test``."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of its file."""
        ...

    @property
    def content(self) -> str:
        """Hash of its voxels, or empty."""
        ...


class KnownSet(Protocol):
    """A frozen training set, as far as people are concerned."""

    @property
    def cases(self) -> Sequence[KnownCase]:
        """All its cases."""
        ...

    def subjects(self, part: str) -> list[str]:
        """Who has slices in a part."""
        ...


@dataclass(frozen=True)
class Ledger:
    """What was trained on: subject ids, SHA-256 of files, hashes of voxels."""

    subjects: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    contents: frozenset[str] = frozenset()

    def knows(self, subject: str = "", sha256: str = "", content: str = "") -> bool:
        """Whether any of these was trained on; an empty one says nothing."""
        pairs = ((subject, self.subjects), (sha256, self.files), (content, self.contents))
        return any(word and word in known for word, known in pairs)

    def people(self, cases: Iterable[KnownCase]) -> set[str]:
        """Subjects with at least one case that was trained on; then none of theirs is new."""
        return {case.subject for case in cases if self.knows(case.subject, case.sha256, case.content)}

    def joined(self, other: "Ledger") -> "Ledger":
        """Both in one."""
        return Ledger(self.subjects | other.subjects, self.files | other.files, self.contents | other.contents)


def ledger_of(lineage: Mapping[str, Any] | None, split: Mapping[str, Any] | None = None, part: str = "train") -> Ledger:
    """Everything that a model and its ancestors were trained on, or validated on, by which their best was chosen.

    Parameters
    ----------
    lineage : mapping, optional
        ``lineage`` of its card: ``cases`` with ``part``, ``subject``, ``sha256`` and ``content``, and ``parent`` with
        ``split`` and ``lineage`` of its own. It comes from a file of anybody: what is not of this form is passed over.
    split : mapping, optional
        ``split`` of its card, for one whose lineage names no cases.
    part : {"train", "validation"}
        Which of both.
    """
    subjects, files, contents = set(_names(split, part)), set[str](), set[str]()
    node: Mapping[str, Any] | None = lineage
    for _ in range(MOST_ANCESTORS):
        if not isinstance(node, Mapping):
            break
        rows = node.get("cases")
        for row in cast("list[object]", rows) if isinstance(rows, list) else ():
            if isinstance(row, Mapping) and row.get("part") == part:
                for key, words in (("subject", subjects), ("sha256", files), ("content", contents)):
                    words.add(str(row.get(key) or ""))
        parent = node.get("parent")
        if not isinstance(parent, Mapping):
            break
        subjects.update(_names(parent.get("split"), part))
        node = parent.get("lineage")
    return Ledger(*(frozenset(words - {""}) for words in (subjects, files, contents)))


def is_told(lineage: Mapping[str, Any] | None) -> bool:
    """Whether a card tells whom the model, and every one it comes from, was trained on; an imported file does not."""
    node: Any = lineage
    for _ in range(MOST_ANCESTORS):
        if not isinstance(node, Mapping) or "imported" in node or not {"cases", "recipe"} & set(node):
            return False
        parent = node.get("parent")
        if parent is None:
            return True
        node = parent.get("lineage") if isinstance(parent, Mapping) else None
    return False


def ledger_of_set(dataset: KnownSet) -> Ledger:
    """What a set itself trains on."""
    training = set(dataset.subjects("train"))
    cases = [case for case in dataset.cases if case.part == "train"]
    return Ledger(
        frozenset(training | {case.subject for case in cases}),
        frozenset(case.sha256 for case in cases if case.sha256),
        frozenset(case.content for case in cases if case.content),
    )


def leaked_people(dataset: KnownSet, lineage: Mapping[str, Any] | None) -> set[str]:
    """Validation people of a set who are trained on, too: in the set itself, or by the model it starts from.

    Parameters
    ----------
    dataset : KnownSet
        The frozen set; who is left out of it has no slices there and does not count.
    lineage : mapping, optional
        ``lineage`` of the card of the model that the run starts from.
    """
    ledger = ledger_of_set(dataset).joined(ledger_of(lineage))
    validating = set(dataset.subjects("validation"))
    known = ledger.people(case for case in dataset.cases if case.part != "train" and case.subject in validating)
    return known | {subject for subject in validating if ledger.knows(subject)}


def slices_on_both_sides(dataset: KnownSet) -> str:
    """The warning about a set that was split by slice: what its validation score measures; empty for an honest one."""
    validating = set(dataset.subjects("validation"))
    both = sorted(validating & set(dataset.subjects("train")))
    if not both:
        return ""
    who = "1 person is" if len(both) == 1 else f"{len(both)} people are"
    of = "the only one who validates" if len(validating) == len(both) == 1 else f"of {len(validating)} who validate"
    return (
        f"{who} both trained on and validated on ({listed(both)}), {of}. Neighbouring slices of one leg are nearly the"
        " same, so the validation score reads like the training score and says nothing about new people"
    )


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``; many are cut short."""
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def _names(split: object, part: str) -> Iterable[str]:
    """The people of a part of a card's ``split``, where it lists them."""
    found = split.get(part) if isinstance(split, Mapping) else None
    return [word for word in cast("list[object]", found) if isinstance(word, str)] if isinstance(found, list) else []
