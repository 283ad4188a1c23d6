"""Whether the validation of two runs may be compared, told from what each froze at its start."""

from thighview.core.errors import UserError
from thighview.io.dataset import read_dataset
from thighview.io.runs import RunFolder
from thighview.ui.cards import count


def validation_differs(run: RunFolder, other: RunFolder) -> str:
    """Why the validation line of ``other`` says nothing beside that of ``run``; empty where it does.

    Reads ``dataset.json`` of both: for a worker thread.
    """
    try:
        mine, theirs = read_dataset(run), read_dataset(other)
    except UserError:
        return f"It cannot be told whether {other.name} was validated on the same slices."
    my_people, people = mine.subjects("validation"), theirs.subjects("validation")
    if not my_people or not people or (mine.phantoms and theirs.phantoms):
        return ""
    my_slices, slices = (
        {(s.subject, s.case_id, s.index) for s in data.of_part("validation")} for data in (mine, theirs)
    )
    if mine.phantoms or theirs.phantoms:
        that, this = (
            "made-up thighs" if data.phantoms else count(len(data.subjects("validation")), "person", "people")
            for data in (theirs, mine)
        )
        what = f"on {that}, this run on {this}"
    elif people != my_people:
        what = "on other people than this run"
    elif slices != my_slices:
        what = f"on {count(len(slices), 'slice')}, this run on {len(my_slices)}, not the same ones"
    else:
        return ""
    return f"{other.name} was validated {what}: the validation lines are not comparable."
