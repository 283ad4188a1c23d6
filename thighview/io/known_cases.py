"""Which case of a project a scan is, by whatever path it was found and whatever lies beside it now.

The one place where that is decided. Where two hashes are known they decide: numbers of volumes shift, and two series
may lie on one grid.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from thighview.core.errors import UserError
from thighview.core.scan_key import SERIES_PART, ScanKey
from thighview.core.volume import Volume
from thighview.io.project import Project
from thighview.io.records import SourceRow
from thighview.io.same_scan import is_near, is_series, same_file


def known_case(
    project: Project,
    key: ScanKey,
    volume: Volume,
    sha256: str = "",
    files: Collection[Path] = (),
    alone: bool = False,
    asked: Path | None = None,
) -> int | None:
    """The case of a scan that has been read, or None.

    Parameters
    ----------
    project : Project
    key : ScanKey
        What it is known by.
    volume : Volume
        Its grid tells it from others where no hash does.
    sha256 : str
        Its hash, if that is known; of a DICOM series it must be.
    files : collection of Path
        Its files.
    alone : bool
        Whether its path opens it without the part.
    asked : Path, optional
        The path it was asked for by.

    Raises
    ------
    UserError
        When it is only some of the files of a case's series.
    """
    if not key.part.startswith(SERIES_PART):
        return _of_file(project, key, [key.path, *([asked.absolute()] if asked else []), *sorted(files)])
    near = [row for row in project.sources() if is_series(row.key.part) and is_near(row.key.path, key.path, files)]
    near.sort(key=lambda row: row.key != key)
    for row in near:
        if sha256 and row.sha256 == sha256:
            return row.case_id
    for row in near:
        if not row.sha256 and _may_be(project, row, key, volume, files, alone):
            return row.case_id
    for row in near:
        if row.key.part == key.part and row.key.path in key.path.parents:
            raise UserError(
                f"{key.path} holds only some of the files of a case of this project, or other ones than it was made of:"
                f" that lies in {row.key.path}.",
                f"Open that folder, or the case in the list of {project.name}.",
            )
    return None


def is_another(project: Project, case_id: int, sha256: str) -> bool:
    """Whether a scan with this hash is for certain not the one of a case."""
    return bool(sha256) and project.hashes().get(case_id, "") not in ("", sha256)


def _of_file(project: Project, key: ScanKey, places: Sequence[Path]) -> int | None:
    """A file of another format than DICOM: its path is what it is known by, however that was written then."""
    same_part = [row for row in project.sources() if row.key.part == key.part]
    by_path = {row.key.path: row.case_id for row in reversed(same_part)}
    for path in (*places, key.path.resolve()):
        if path in by_path:
            return by_path[path]
    names = {key.path.name, key.path.resolve().name}
    return next(
        (row.case_id for row in same_part if row.key.path.name in names and same_file(row.key.path, key.path)), None
    )


def _may_be(
    project: Project, row: SourceRow, key: ScanKey, volume: Volume, files: Collection[Path], alone: bool
) -> bool:
    """Whether it is the scan of a case whose hash nobody has worked out."""
    if row.key == key:
        return True  # where it has changed since, it is refused as changed
    shape, affine = project.geometry(row.case_id)[0]
    if shape != volume.shape or not np.allclose(affine, volume.affine, atol=1e-3):
        return False
    if row.key.part:
        return row.key.part == key.part
    return row.key.path in files or (alone and (row.key.path == key.path or same_file(row.key.path, key.path)))
