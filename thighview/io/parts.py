"""Several scans in one file: how they are told apart, and which of them is meant."""

from collections.abc import Sequence
from pathlib import Path

from thighview.core.errors import ScanChoice, SeveralScansError, UserError

_MOST_NAMED = 8


def volumes(path: Path, count: int, images: int) -> tuple[ScanChoice, ...]:
    """The volumes of a file that has them one after the other; a part is the number of one, from 1, as text."""
    return tuple(ScanChoice(f"volume {n} of {count}", path, str(n), images) for n in range(1, count + 1))


def choose(path: Path, part: str, there: Sequence[ScanChoice], what: str = "volumes") -> int:
    """Which of the parts ``there`` are is meant, from 0: the one named, or the only one.

    Raises
    ------
    SeveralScansError
        When there are several and none is named.
    UserError
        When there is none of that name.
    """
    if not part and len(there) == 1:
        return 0
    if not part:
        hint = "Open it by itself and choose one of them."
        raise SeveralScansError(f"{path.name} holds {len(there)} {what}; one scan was expected.", hint, tuple(there))
    for index, choice in enumerate(there):
        if choice.part == part:
            return index
    raise UserError(f"{path.name} has no part {part!r}.", f"There {known_parts(there)}.")


def known_parts(there: Sequence[ScanChoice]) -> str:
    """``are 1 to 18``, ``is 1``, ``are 'image' and 'water'``: the parts, as the end of a sentence."""
    names = [choice.part for choice in there]
    if names == [str(n) for n in range(1, len(names) + 1)]:
        return f"are 1 to {len(names)}" if len(names) > 1 else "is 1"
    quoted = [repr(name) for name in names[:_MOST_NAMED]]
    if len(names) > _MOST_NAMED:
        return f"are {', '.join(quoted)} and {len(names) - _MOST_NAMED} more"
    return f"are {', '.join(quoted[:-1])} and {quoted[-1]}" if len(quoted) > 1 else f"is {quoted[0]}"
