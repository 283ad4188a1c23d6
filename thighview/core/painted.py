"""What there is to learn in a training set: the labels painted on its reviewed slices."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable

_OTHER_SIDE = {"left": "right", "right": "left"}
_IGNORE = 255


def painted_labels(cases: Iterable[Case]) -> tuple[LabelTable, list[str]]:
    """Labels painted on reviewed slices, by name and side over all cases, and the names of the others.

    Where both sides are painted on at all, a label that is painted on one side alone brings that of the other along,
    whether a case has it or not: else a network that left its sides to position would have to tell all of them apart
    from now on. No label has the number 255 here, which stands for what takes no part.

    Raises
    ------
    UserError
        When none is, or one has no name.
    """
    table, others = LabelTable(), list[Label]()
    for case in cases:
        painted = np.zeros(256, bool)
        for index, review in enumerate(case.reviews):
            if review.state.reviewed:
                painted[np.unique(case.labels[index])] = True
        for label in case.table:
            if not painted[label.value]:
                others.append(label)
            else:
                table = _with(table, label)
        unnamed = [int(v) for v in np.flatnonzero(painted) if v and case.table.get(int(v)) is None]
        if unnamed:
            raise UserError(
                f"{case.title} has the label {unnamed[0]} painted on a reviewed slice, but no name for it.",
                "Name it in the labels panel.",
            )
    if not len(table):
        raise UserError("No label is painted on any reviewed slice.", "Paint or accept a mask first.")
    if {label.side for label in table} >= set(_OTHER_SIDE):
        of_cases = {label.key: label for label in others}
        for label in table:
            if label.side:
                twin = replace(label, side=_OTHER_SIDE[label.side])
                table = _with(table, of_cases.get(twin.key, twin))
    return table, sorted({label.title for label in others} - {label.title for label in table})


def _with(table: LabelTable, label: Label) -> LabelTable:
    """The table with this label, under its own value where it can have that."""
    if table.find(label.name, label.side):
        return table
    value = label.value if table.get(label.value) is None else table.free_value()
    if value == _IGNORE:
        value = table.free_value()
        if value == _IGNORE:
            raise UserError("More than 254 labels are painted, and a network learns 254.", "Remove a label first.")
    return table.with_label(Label(value, label.name, label.side, label.colour))
