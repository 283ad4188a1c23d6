"""The curves as files: what they are called, and the tables written away from the window's thread."""

from pathlib import Path
from typing import TYPE_CHECKING

from thighview.app.jobs import Job, run_in_thread
from thighview.io.atomic import write_bytes_atomic
from thighview.ui.curve_data import CurveData
from thighview.ui.curve_table import epochs_csv, people_csv

if TYPE_CHECKING:
    from thighview.app.tasks import Workspace


def picture_name(run: str) -> str:
    """The file name offered for a run's curves."""
    return f"{Path(run).name or 'training'}-curves"


def people_path(path: Path) -> Path:
    """The file of each person's values beside the one of the epochs: ``NAME-people.csv``."""
    return path.with_name(f"{path.stem}-people{path.suffix}")


def save_tables(workspace: "Workspace", path: Path, data: CurveData) -> Job:
    """Write the epochs as CSV, and each person's values beside it where the run tells them; say so when done."""
    epochs, labels, began = list(data.epochs), data.labels, data.began or 0.0

    def write(_report: object, _stopped: object) -> str:
        write_bytes_atomic(path, epochs_csv(epochs, labels, began).encode())
        people = people_csv(epochs, labels)
        if not people:
            return f"Saved {path.name}."
        write_bytes_atomic(people_path(path), people.encode())
        return f"Saved {path.name} and {people_path(path).name}."

    job = run_in_thread(write)
    job.succeeded.connect(workspace.session.said.emit)
    job.failed.connect(workspace.failed)
    return job
