"""Marking slices nobody has reviewed, so that what a model drew on them cannot train another."""

from collections.abc import Sequence

from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import LabelMap, painted_values
from thighview.core.review import SliceReview

UNREVIEWED = "unreviewed"
REVIEWED_KEY = "thighview_reviewed"
"""A word of our own in NRRD headers: what comes in again where not all is reviewed is not taken as drawn."""


def marked(
    labels: LabelMap, table: LabelTable, reviews: Sequence[SliceReview]
) -> tuple[LabelMap, LabelTable, Label | None]:
    """A mask in which slices nobody has reviewed carry a label of their own, whatever was drawn on them.

    Parameters
    ----------
    labels : ndarray of uint8, shape (z, y, x)
    reviews : sequence of SliceReview
        One per slice of array axis 0.

    Returns
    -------
    labels : ndarray of uint8, shape (z, y, x)
    table : LabelTable
        With that label, whose number in the file is the highest.
    mark : Label or None
        The label; None where every slice is reviewed.

    Raises
    ------
    UserError
        When no number is left for it.
    """
    open_slices = [index for index, review in enumerate(reviews) if not review.state.reviewed]
    if not open_slices:
        return labels, table, None
    taken = {label.value for label in table} | set(painted_values(labels).tolist())
    value = next((v for v in range(255, 0, -1) if v not in taken), 0)
    if not value:
        raise UserError("All 255 numbers are taken, none is left to mark unreviewed slices.", "Remove a label.")
    file_id = max(255, *(label.file_id + 1 for label in table)) if len(table) else 255
    name = UNREVIEWED if table.find(UNREVIEWED) is None else f"{UNREVIEWED}_{file_id}"
    mark = Label(value, name, "", (128, 128, 128), file_id)
    out = labels.copy()
    out[open_slices] = value
    return out, table.with_label(mark), mark
