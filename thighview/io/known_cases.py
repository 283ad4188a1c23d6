"""Which case of a project a scan is, by whatever path it was found and whatever lies beside it now.

The one place where that is decided. Where two hashes are known they decide: numbers of volumes shift, and two series
may lie on one grid.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from thighview.core.errors import UserError
from thighview.core.scan_key import SERIES_PART, ScanKey
from thighview.core.volume import Volume
from thighview.io.project import Project
from thighview.io.reading import grids_at, sha256_of
from thighview.io.records import SourceRow
from thighview.io.same_scan import is_near, is_series, same_file
from thighview.io.subjects import subject_of


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
        When it is only some of the files of a case's series, or it cannot be told which of several series a case was
        made of.
    """
    if not key.part.startswith(SERIES_PART):
        return _of_file(project, key, sha256, [key.path, *([asked.absolute()] if asked else []), *sorted(files)])
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


def known_file(project: Project, path: Path) -> int | None:
    """The case of a file of another format than DICOM that has not been read, or None; only where there may be one it
    is read for its hash.
    """
    place = path.absolute()
    found = _of_file(project, ScanKey(place), "", [place])
    return None if found is None else _of_file(project, ScanKey(place), sha256_of(place), [place])


def is_another(project: Project, case_id: int, sha256: str) -> bool:
    """Whether a scan with this hash is for certain not the one of a case."""
    return bool(sha256) and project.hashes().get(case_id, "") not in ("", sha256)


def _of_file(project: Project, key: ScanKey, sha256: str, places: Sequence[Path]) -> int | None:
    """A file of another format than DICOM: known by its path, however that was written then, and by its content."""
    same_part = [row for row in project.sources() if row.key.volume_part == key.volume_part]
    names = {key.path.name, key.path.resolve().name}
    there = [row for path in (*places, key.path.resolve()) for row in same_part if row.key.path == path]
    there += [row for row in same_part if row.key.path.name in names and same_file(row.key.path, key.path)]
    if len({row.case_id for row in there}) > 1 and not sha256:
        sha256 = sha256_of(*key)
    if not sha256:
        return there[0].case_id if there else None
    alike = [row for row in there if row.sha256 == sha256] or [row for row in there if not row.sha256]
    return alike[0].case_id if alike else None


def series_drawn_on(project: Project, case_id: int) -> ScanKey:
    """Of several series that lie where a case does, the one it was made of.

    For cases from before series were told apart, which have their path alone, and whose hash nobody has worked out. It
    is the one on the voxels of the mask that is called as the case is; of several, the one of that person.

    Raises
    ------
    UserError
        When there is none, or that cannot be told.
    """
    title, _ = project.title_and_subject(case_id)
    path = project.stored_scan(case_id).key.path
    fitting = _fitting(project, case_id)
    if not fitting:
        raise UserError(
            f"The case {title} was made when one scan lay in {path}. Several do now, and none of them is called so and"
            " lies on the voxels of its mask.",
            "Put the original back; the mask is kept.",
        )
    return _only(project, case_id, fitting)


def _only(project: Project, case_id: int, fitting: Sequence[ScanKey]) -> ScanKey:
    if len(fitting) > 1:
        title, _ = project.title_and_subject(case_id)
        raise UserError(
            f"Which series the case {title} was made of cannot be told: {len(fitting)} in"
            f" {project.stored_scan(case_id).key.path} are called so and lie on the voxels of its mask.",
            "Move the others to another folder: the one that stays opens as that case.",
        )
    return fitting[0]


def _fitting(project: Project, case_id: int) -> list[ScanKey]:
    """The series at the path of a case that it may have been made of."""
    was, (title, subject) = project.stored_scan(case_id), project.title_and_subject(case_id)
    try:
        there = grids_at(was.key.path)
    except UserError:  # nothing is there now
        return []
    fitting = [one for one in there if one.name == title and was.same_grid(one.scan.shape, one.scan.affine)]
    if len(fitting) > 1:
        of_person = [one for one in fitting if subject_of(was.key.path, one.patient_id, project.salt) == subject]
        fitting = of_person or fitting
    return [one.scan.key for one in fitting]


def _may_be(
    project: Project, row: SourceRow, key: ScanKey, volume: Volume, files: Collection[Path], alone: bool
) -> bool:
    """Whether it is the scan of a case whose hash nobody has worked out."""
    if row.key == key:
        return True  # where it has changed since, it is refused as changed
    if not project.stored_scan(row.case_id).same_grid(volume.shape, volume.affine):
        return False
    if row.key.part:
        return row.key.part == key.part
    if row.key.path in files or (alone and (row.key.path == key.path or same_file(row.key.path, key.path))):
        return True
    fitting = _fitting(project, row.case_id)
    return key in fitting and _only(project, row.case_id, fitting) == key
