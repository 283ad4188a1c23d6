"""The one door through which masks leave a project, in whatever format."""

import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.known import SIDES_NOT_KNOWN, leaves_as_shown
from thighview.core.volume import Volume
from thighview.io import bids, nnunet
from thighview.io.atomic import WriteError, write_json_atomic
from thighview.io.burned_in import burned_in_doubts, doubt_of, need_looks
from thighview.io.deidentify import Tally, count_left_behind, deidentified_images, write_image
from thighview.io.dicom_source import images_at, source_images
from thighview.io.export_files import RESERVED, LeftBehind, write_manifest, write_report
from thighview.io.export_wish import Exported, ExportWish, chosen_cases
from thighview.io.folders import need_empty, staged_folder
from thighview.io.mask_dicomseg import SegFacts, write_segmentation
from thighview.io.mask_nrrd import ENDING, write_seg_nrrd
from thighview.io.mask_seg_references import references_to, references_to_new
from thighview.io.masks import sidecar_path, write_mask
from thighview.io.models import ModelEntry, find_models
from thighview.io.nifti_words import count_words
from thighview.io.nnunet_out import OutCase, Report, Stopped, file_names
from thighview.io.npz_out import write_npz
from thighview.io.outgoing import Outgoing, origins_and_models
from thighview.io.project import CaseSummary, Project
from thighview.io.pseudonyms import Pseudonyms
from thighview.io.reading import is_gone, read_volume
from thighview.io.stored_case import load_sound_case, read_stored_case

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset


def export(
    project: Project,
    folder: Path,
    wish: ExportWish,
    report: Report = lambda done, total: None,
    stopped: Stopped = lambda: False,
) -> Exported | None:
    """Write masks of a project into a folder; it is there whole, with a manifest, or not at all.

    A case that cannot be written stays at home with its reason, and the others are written all the same; of nnU-Net's
    training set none may lack. Where the disk fails, nothing is written.

    Parameters
    ----------
    project : Project
        Open in the calling thread; for nnU-Net writable, or with a part for everybody.
    folder : Path
        New, or an empty folder.
    report, stopped : callable
        Progress in cases; asked before each case.

    Returns
    -------
    Exported or None
        None when it was stopped.

    Raises
    ------
    UserError
        When nothing can be written, or pictures must be looked at first.
    """
    need_empty(folder)
    chosen = chosen_cases(project, wish)
    need_looks(burned_in_doubts(project, wish))
    if wish.form == "nnunet":
        return _nnunet(project, folder, wish, chosen, report, stopped)
    return _Writer(project, folder, wish).write(chosen, report, stopped)


# ------------------------------------------------------------------ nnU-Net


def _nnunet(
    project: Project, folder: Path, wish: ExportWish, chosen: list[CaseSummary], report: Report, stopped: Stopped
) -> Exported | None:
    private = Pseudonyms(project.salt)
    left = LeftBehind()
    files = 0

    def rename(out: OutCase, summary: CaseSummary) -> OutCase:
        if not wish.deidentify:
            return out
        if reason := doubt_of(summary, wish):  # one that could not be read when the pictures were looked at
            raise UserError(reason, "Look at its slices first.")
        key = private.subject(out.subject)
        if out.reviewed:  # others stay at home
            left.labels |= {label.key for label in out.table}
            _note(left, summary, key, wish)
        return replace(out, subject=key, title=key)

    def finish(stage: Path) -> None:
        nonlocal files
        if wish.deidentify:
            write_report(stage, left)
        files = write_manifest(stage, wish.form, wish.deidentify, wish.mark) + 1

    name = "thighview" if wish.deidentify else project.name
    ids = frozenset(case.case_id for case in chosen)
    done = nnunet.export_raw(project, folder, report, stopped, ids, rename, name, finish)
    if done is None:
        return None
    notes = (f"{done.slices} reviewed slices, {done.ignored} not reviewed (ignore).", *done.notes, *_unsaid(left))
    return Exported(str(folder), wish.form, len(done.cases), files, (), notes)


def _note(left: LeftBehind, summary: CaseSummary, key: str, wish: ExportWish) -> None:
    """Count what of a case's source stays at home altogether."""
    there = not is_gone(summary.path)
    source = images_at(*summary.key, summary.sha256) if there else None
    if source and source.images:
        count_left_behind(source, left.tally)
        left.looked_at += wish.carries_pixels and wish.has_looked_at(summary.case_id)
    elif there:
        left.tally.removed += count_words(summary.path)
        left.not_said += wish.carries_pixels
    left.persons.add(key)
    left.cases += 1


def _unsaid(left: LeftBehind) -> list[str]:
    """What a person must know of pictures that leave with nobody having said what stands in them."""
    if not left.not_said:
        return []
    many = f"{left.not_said} cases come" if left.not_said > 1 else "1 case comes"
    return [f"{many} from files that cannot say whether a name is burned into the pictures: look at them."]


# ------------------------------------------------------------------ the other formats


class _Stop(Exception):  # noqa: N818 - not an error: the person asked for it
    """Leaves the staged folder so that nothing of it stays."""


class _Writer:
    """Writes cases one by one into a staged folder."""

    def __init__(self, project: Project, folder: Path, wish: ExportWish) -> None:
        self.project, self.folder, self.wish = project, folder, wish
        self.private = Pseudonyms(project.salt)
        self.left = LeftBehind()
        self.notes: list[str] = []
        self._models: list[ModelEntry] = find_models(project.folder)
        self._mask_names = bids.MaskNames()
        self._subject_labels: dict[str, str] = {}
        self._write: Callable[[Path, Outgoing, CaseSummary], None] = {
            "nifti": self._nifti, "nrrd": self._nrrd, "dicomseg": self._dicomseg, "bids": self._bids, "npz": self._npz,
        }[wish.form]  # fmt: skip

    def write(self, chosen: list[CaseSummary], report: Report, stopped: Stopped) -> Exported | None:
        subjects = {case.case_id: self._subject(case.subject) for case in chosen}
        if len(set(subjects.values())) < len({case.subject for case in chosen}):
            raise UserError("Two persons would get one study key.", "Give one of them another name in the project.")
        self._subject_labels = bids.subject_labels([subjects[case.case_id] for case in chosen])
        titles = [subjects[case.case_id] if self.wish.deidentify else case.title for case in chosen]
        names = file_names([*RESERVED, *titles])[len(RESERVED) :]
        left_out: list[tuple[str, str]] = []
        written = files = 0
        try:
            with staged_folder(self.folder) as stage:
                for done, (summary, name) in enumerate(zip(chosen, names, strict=True)):
                    if stopped():
                        raise _Stop
                    report(done, len(chosen))
                    room = stage / ".case"
                    room.mkdir()
                    try:
                        self._write(room, self._outgoing(summary, name, subjects[summary.case_id]), summary)
                    except WriteError:  # the disk's fault: the next ones would be half written, too
                        raise
                    except UserError as error:
                        left_out.append((summary.title, str(error)))
                        shutil.rmtree(room)
                        continue
                    _move_in(room, stage)
                    written += 1
                if not written:
                    title, why = left_out[0]
                    raise UserError(f"No case could be written. {title}: {why}")
                if self.wish.form == "bids":
                    bids.write_bids_dataset(stage)
                if self.wish.deidentify:
                    write_report(stage, self.left)
                files = write_manifest(stage, self.wish.form, self.wish.deidentify, self.wish.mark) + 1
        except _Stop:
            return None
        report(len(chosen), len(chosen))
        notes = (*self.notes, *_unsaid(self.left))
        return Exported(str(self.folder), self.wish.form, written, files, tuple(left_out), notes)

    # -------------------------------------------------------------- one case

    def _subject(self, subject: str) -> str:
        return self.private.subject(subject) if self.wish.deidentify else subject

    def _outgoing(self, summary: CaseSummary, name: str, subject: str) -> Outgoing:
        needs_scan = self.wish.form in ("dicomseg", "npz")
        has_scan = needs_scan or not is_gone(summary.path)
        case = read_stored_case(self.project, summary.case_id) if has_scan else self._without_scan(summary)
        if reason := doubt_of(summary, self.wish):  # of a file that has come in its place since
            raise UserError(reason, "Look at its slices first.")
        if not case.is_placed and self.wish.form != "npz":  # that has a place to say so
            self.notes.append(leaves_as_shown(case.title))
        named = not self.wish.deidentify
        origins, models = origins_and_models(self.project, case, self._models, named)
        return Outgoing(case, name, subject, summary.part, origins, models, named, has_scan)

    def _without_scan(self, summary: CaseSummary) -> Case:
        """A case whose scan is not where it was: its mask lies where the scan lay when the case was added.

        Whether left and right were known tells the mirror of the mask. Without one they may not have been where the
        scan lies at the very origin, as every scan does whose file says nothing.
        """
        case = load_sound_case(self.project, summary.case_id)
        shape, affine = self.project.geometry(summary.case_id)[0]
        volume = Volume(np.broadcast_to(np.uint8(0), shape), affine, case.title)
        unsure = frozenset[str]() if affine[:3, 3].any() else frozenset({"orientation"})
        with suppress(UserError):
            kept = read_volume(self.project.mirror_path(summary.case_id))
            if kept.same_grid(volume, 1e-3):
                volume, unsure = replace(volume, file_geometry=kept.file_geometry), kept.unsure
        if any(SIDES_NOT_KNOWN in doubt for doubt in case.checked):
            unsure -= {"orientation"}
        case.series[0].volume = replace(volume, unsure=unsure)
        self.notes.append(
            f"The scan of {case.title} is not where it was; its mask has the position kept in the project."
        )
        return case

    def _count(self, out: Outgoing, summary: CaseSummary, made_anew: int = 0) -> None:
        """Note a case that has been written for the report of what stayed behind."""
        if out.named:
            return
        self.left.labels |= {label.key for label in out.case.table}
        if made_anew:
            self.left.persons.add(out.subject)
            self.left.cases += 1
            self.left.images += made_anew
            self.left.looked_at += self.wish.has_looked_at(summary.case_id)
        else:
            _note(self.left, summary, out.subject, self.wish)

    def _nifti(self, room: Path, out: Outgoing, summary: CaseSummary) -> None:
        path = room / f"{out.name}.nii.gz"
        write_mask(path, out.case.labels, out.case.table, out.case.checked_volume)
        write_json_atomic(sidecar_path(path), out.facts())
        self._count(out, summary)

    def _nrrd(self, room: Path, out: Outgoing, summary: CaseSummary) -> None:
        case = out.case
        write_seg_nrrd(room / f"{out.name}{ENDING}", case.labels, case.table, case.volume, out.all_reviewed)
        write_json_atomic(room / f"{out.name}.json", out.facts())
        self._count(out, summary)

    def _npz(self, room: Path, out: Outgoing, summary: CaseSummary) -> None:
        case = out.case
        self._need_reviewed(case)
        write_npz(room / f"{out.name}.npz", case.checked_volume, case.labels, case.table, case.teaching, out.facts())
        write_json_atomic(room / f"{out.name}.json", out.facts())
        self._count(out, summary)

    def _bids(self, room: Path, out: Outgoing, summary: CaseSummary) -> None:
        case = out.case
        self._need_reviewed(case)
        found = bids.entities_of(summary.path, case.visit) if out.named else {}
        name = self._mask_names.next(self._subject_labels[out.subject], found)
        bids.write_bids_mask(
            room, name, case.checked_volume, case.labels, case.table, case.teaching, out.facts(), out.source_name
        )
        self._count(out, summary)

    def _dicomseg(self, room: Path, out: Outgoing, summary: CaseSummary) -> None:
        from pydicom.uid import generate_uid

        case = out.case
        source = source_images(case)
        uids = [str(generate_uid(None)), str(generate_uid(None))]
        made: list[tuple[int, FileDataset]] = []
        tally = Tally()
        if out.named:
            references = references_to(source)
        else:
            made = list(deidentified_images(source, self.private, out.subject, tally))
            references = references_to_new(made)
            series = str(source.images[0].whole.SeriesInstanceUID)
            uids = [self.private.uid(f"{series}|masks of case {case.case_id}|{what}") for what in ("series", "object")]
        facts = SegFacts(uids[0], uids[1], f"Reader^{case.reader_id}", out.origins, out.weights, out.named)
        write_segmentation(room / f"{out.name}.dcm", case.labels, case.table, references, facts)
        write_json_atomic(room / f"{out.name}.json", out.facts())
        if made:
            images = room / "images" / out.name
            images.mkdir(parents=True)
            for number, (_, image) in enumerate(made, 1):
                write_image(images / f"{number:04d}.dcm", image)
        self.left.tally.add(tally)
        self._count(out, summary, len(made))

    def _need_reviewed(self, case: Case) -> None:
        if not any(review.state.reviewed for review in case.teaching):
            raise UserError("None of its slices is reviewed, so there is nothing to learn from it.", "Review it first.")


def _move_in(room: Path, stage: Path) -> None:
    """Put the files of a case that is written whole in their places."""
    for path in sorted(room.rglob("*")):
        target = stage / path.relative_to(room)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            path.replace(target)
    shutil.rmtree(room)


# ------------------------------------------------------------------ for the window


def export_for_window(folder: str, out: str, wish: dict[str, Any], report: Report) -> dict[str, Any]:
    """:func:`export` for a child process: a project folder, plain data in and out."""
    with closing(Project.open(Path(folder), writable=False)) as project:
        done = export(project, Path(out), ExportWish.from_json(wish), report)
    if done is None:
        raise RuntimeError("an export that nobody stopped has stopped")
    return done.to_json()
