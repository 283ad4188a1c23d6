"""Cases with masks into a project: an nnU-Net raw folder, an image with its mask, or a folder of such pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from thighview.core.case import Case, Series
from thighview.core.errors import UserError
from thighview.core.found_mask import FoundMask, MaskWish
from thighview.core.known import need_lengths
from thighview.core.review import SliceReview, SliceState, teaching
from thighview.io import nnunet
from thighview.io.known_cases import known_case
from thighview.io.mask_names import stem_of
from thighview.io.mask_pairs import Pair, Pairs, find_pairs
from thighview.io.masks import find_mask
from thighview.io.newcomers import Newcomers
from thighview.io.nnunet_in import is_dataset, read_dataset
from thighview.io.nnunet_out import Report, Stopped
from thighview.io.npz_in import subject_in
from thighview.io.project import Project
from thighview.io.reading import read_source, settled, sha256_of
from thighview.io.subjects import is_by_file, subject_of


@dataclass(frozen=True)
class ImportWish:
    """How masks are taken in that do not simply fit.

    Parameters
    ----------
    mask : Path, optional
        The mask of the one image that is taken in.
    resample : bool
        Carry masks over to the grid of their image by nearest neighbours.
    overlaps : str
        Which label wins where several lie over each other: ``first`` or ``last`` of the file; else it is refused.
    part : str
        Which of several scans the one image is; see :class:`ScanKey`.
    """

    mask: Path | None = None
    resample: bool = False
    overlaps: str = ""
    part: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether nothing was wished for."""
        return self == ImportWish()


def check_source(source: Path, wish: ImportWish | None = None) -> None:
    """Refuse what holds no cases with masks; headers are looked at, no pixels.

    Raises
    ------
    UserError
        With the reason.
    """
    wish = wish or ImportWish()
    if not is_dataset(source):
        find_pairs(source, wish.mask)
    elif not wish.is_plain:
        raise UserError(
            "An nnU-Net raw folder names its masks itself, and they lie on their images.",
            "Leave out --mask, --part, --resample and --overlaps.",
        )
    else:
        read_dataset(source)


def import_cases(
    project: Project,
    source: Path,
    wish: ImportWish | None = None,
    report: Report | None = None,
    stopped: Stopped | None = None,
    take: nnunet.Take | None = None,
) -> nnunet.InReport:
    """Take cases with masks into a project, and into its training set where a person has drawn them.

    Everything is read and checked before the first case is added, and either all are added or none.
    Scans that the project has already stay as they are. Masks count as drawn by hand, unless the file, or the sidecar
    beside it, says that an algorithm drew them: then as a model's output, not reviewed. Where a sidecar has a state for
    each slice, that counts. Slices that are missing in the scan are never reviewed.

    Parameters
    ----------
    project : Project
        Open in the calling thread.
    source : Path
        An nnU-Net raw folder, an image (with ``wish.mask``), or a folder of images with masks.
    wish : ImportWish, optional
        What to do with masks that do not simply fit.
    report, stopped : callable, optional
        Progress; whether to end early.
    take : callable, optional
        Is given each case and the part of its subject instead of the project (which may be open for reading only).

    Raises
    ------
    UserError
        When something cannot be taken in, or the project's disk is full; nothing is added then.
    """
    wish, source = wish or ImportWish(), settled(source)
    if is_dataset(source):
        check_source(source, wish)
        return nnunet.import_raw(project, source, report, stopped, take)
    return _import_pairs(project, find_pairs(source, wish.mask), wish, report, stopped, take)


def load_pair(pair: Pair, wish: ImportWish, salt: bytes) -> tuple[Case, FoundMask]:
    """Read an image and its mask as a case.

    Raises
    ------
    UserError
        When one of them cannot be read, or the mask does not fit.
    """
    source = read_source(pair.image, wish.part)
    found = find_mask(pair.mask, source.volume)
    labels, table = found.settled(MaskWish(wish.resample, found.ordered(wish.overlaps)))
    reviews = teaching(found.reviews(labels, table), source.volume.missing)
    digest = source.sha256 or sha256_of(source.place, source.part)
    series = Series(0, "image", source.place.absolute(), digest, source.volume, source.part)
    subject = subject_of(source.place, source.patient_id, salt)
    title = source.volume.name or stem_of(source.place)
    return Case(0, subject, title, [series], labels, table, list(reviews)), found


def _import_pairs(
    project: Project,
    found: Pairs,
    wish: ImportWish,
    report: Report | None,
    stopped: Stopped | None,
    take: nnunet.Take | None,
) -> nnunet.InReport:
    notes = list(found.notes)
    said: list[str] = []
    new: list[tuple[Pair, str]] = []
    newcomers = Newcomers(project)
    steps = 2 * len(found.pairs)
    for done, pair in enumerate(found.pairs):
        if stopped and stopped():
            return nnunet.InReport((), 0, 0, ("Stopped; nothing was taken in.",))
        if report:
            report(done, steps)
        case, mask = load_pair(pair, wish, project.salt)
        first = case.series[0]
        if not newcomers.is_known(first.key, known_case(project, first.key, case.volume, first.sha256)):
            need_lengths(case.volume)
            by_file, told = is_by_file(case.subject, first.path), bool(subject_in(first.path))
            new.append((pair, newcomers.name(case, by_file, told)))
            said.append(_said(pair, mask, case))
            notes += [note for note in mask.notes if note not in notes]
    titles: list[str] = []
    reviewed = slices = 0
    with nnunet.taking(project, take) as add:
        for done, (pair, person) in enumerate(new):
            if report:
                report(steps - len(new) + done, steps)
            case, _ = load_pair(pair, wish, project.salt)
            case.subject = person
            add(case, "")
            titles.append(case.title)
            reviewed += sum(review.state.reviewed for review in case.reviews)
            slices += len(case.reviews)
    notes += newcomers.notes()
    if report:
        report(steps, steps)
    return nnunet.InReport(tuple(titles), reviewed, slices, tuple(notes), tuple(said))


def _seen(reviews: Sequence[SliceReview]) -> str:
    """What has happened to the slices of a mask, in a few words."""
    reviewed = [review for review in reviews if review.state.reviewed]
    words = "drawn by hand" if all(review.state is SliceState.DRAWN for review in reviewed) else "reviewed"
    if not reviewed:
        by_model = any(review.model_beneath for review in reviews)
        return "drawn by an algorithm, not reviewed" if by_model else "not reviewed"
    return words if len(reviewed) == len(reviews) else f"{len(reviewed)} of {len(reviews)} slices {words}"


def _unnamed(case: Case) -> str:
    """Which labels of a mask have no name in the file, in a few words."""
    found = [label.name for label in case.table if label.name == f"label_{label.file_id}"]
    if not found:
        return ""
    listed = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    return f" without a name (called {listed})" if len(found) == len(case.table) else f" ({listed}: no name there)"


def _said(pair: Pair, mask: FoundMask, case: Case) -> str:
    """What was paired, and what became of the mask, in one line."""
    count = len(case.table)
    pair_words = f"{case.series[0].path.name} with {pair.mask.name}"
    words = f"{pair_words}: {count} label{'s' * (count != 1)}{_unnamed(case)}, {_seen(case.reviews)}"
    if mask.grid:
        words += f"; {mask.grid.as_done}"
    return f"{words}."
