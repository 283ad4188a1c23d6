"""Which labels a case cannot do without: its mask is painted with them, or undo or redo could paint them again."""

from collections.abc import Collection, Sequence
from itertools import takewhile

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.history import Edit
from thighview.core.labels import Label
from thighview.core.mask import values_in


def need_unused(case: Case, gone: Collection[Label]) -> None:
    """Refuse to let labels go that are needed.

    Raises
    ------
    UserError
        When one is painted, or undo or redo could paint it again.
    """
    values = {label.value: label for label in gone}
    if values:
        for value in values_in(case.labels, values):
            raise UserError(f"{values[value].title} is still painted.", "Erase it first.")
        for value in case.history.brought_back(values, case.labels):
            title = values[value].title
            raise UserError(f"Undo or redo could paint {title} again.", "Keep it, or give it another name.")


def values_used(case: Case, values: Collection[int], before: Sequence[Edit] | None = None) -> set[int]:
    """Those of these label values that are needed.

    ``before`` are the steps of the history from before these labels came: they need not be looked through.
    """
    edits = case.history.edits
    since = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], zip(before or (), edits, strict=False)))
    if before is not None and since == len(edits):
        return set()
    return values_in(case.labels, values) | case.history.brought_back(values, case.labels, since)
