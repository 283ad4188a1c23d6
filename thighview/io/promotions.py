"""Which models of a project are active and held: a small file beside them, written by who may write the project."""

from collections.abc import Callable
from pathlib import Path

from thighview.core.errors import UserError
from thighview.core.promotion import Promotions
from thighview.io.atomic import write_json_atomic
from thighview.io.json_files import read_json
from thighview.io.project import Project

FILE = "promotions.json"
_AGAIN = "Move that file away, then choose anew which models are active."


def read_promotions(project: Path) -> Promotions:
    """What was decided in a project; nothing where the file is missing.

    Raises
    ------
    UserError
        When the file is damaged: it is not written over then.
    """
    path = project / "models" / FILE
    return Promotions.from_json(read_json(path, _AGAIN)) if path.exists() else Promotions()


def change_promotions(project: Project, change: Callable[[Promotions], Promotions]) -> Promotions:
    """Write another decision; on the project's writer thread, so that one window at a time does.

    Raises
    ------
    UserError
        When the project is open for reading only, or the file is damaged or cannot be written.
    """
    if not project.writable:
        raise UserError(f"The project {project.name} is open for reading only.", "Close the other window first.")
    changed = change(read_promotions(project.folder))
    write_json_atomic(project.folder / "models" / FILE, changed.to_json())
    return changed
