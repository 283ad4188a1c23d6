"""Pictures of what augmentation does: of the right slice, replayable, and with its outlines."""

from pathlib import Path

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from thighview.app import jobs
from thighview.app.augment_preview import PICTURES, AugmentPictures, ask_pictures, augmented_pictures
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.review import SliceReview, SliceState
from thighview.core.run import TrainConfig
from thighview.core.volume import Volume

CONFIG = TrainConfig(input_size=64, levels=3)
LEFT, RIGHT = (255, 0, 0), (0, 0, 255)


def _case(mm: float = 1.0) -> Case:
    """Four slices with a muscle on each side, the left one (x grows to the left) large; slice 2 has most."""
    voxels = np.random.default_rng(0).integers(0, 40, (4, 64, 64)).astype(np.int16)
    affine = np.diag([mm, mm, 6.0, 1.0])[[2, 1, 0, 3]].T
    case = Case.of(Volume(voxels, affine, "made"), Path("/made.nii.gz"))
    case.table = LabelTable((Label(1, "muscle", "left", LEFT), Label(2, "muscle", "right", RIGHT)))
    for z in range(4):
        case.labels[z, 20 - 2 * (z == 2) : 44, 36:56] = 1
        case.labels[z, 28:40, 10:22] = 2
    voxels[case.labels > 0] = 400
    return case


def _made(case: Case, first_epoch: int = 1, config: TrainConfig = CONFIG) -> AugmentPictures:
    return augmented_pictures("made", case.volume, case.labels, case.table, case.reviews, config, first_epoch)


def _is(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (picture == colour).all(-1)


def test_the_pictures_are_those_of_their_epochs() -> None:
    case = _case()
    made = _made(case)
    assert len(made.pictures) == PICTURES
    assert {picture.shape for picture in made.pictures} == {(64, 64, 3)}
    again, later = _made(case), _made(case, 1 + PICTURES)
    assert [p.tobytes() for p in again.pictures] == [p.tobytes() for p in made.pictures]
    assert not {p.tobytes() for p in later.pictures} & {p.tobytes() for p in made.pictures}
    assert later.first_epoch == 13


def test_outlines_keep_their_side_when_mirrored() -> None:
    flipped = 0
    made = [p for first in (1, 13) for p in _made(_case(), first).pictures]
    for picture in made:
        left, right = _is(picture, LEFT), _is(picture, RIGHT)
        assert left.any() and right.any()
        assert np.nonzero(left)[1].mean() > np.nonzero(right)[1].mean()
        flipped += left.sum() < right.sum()
    assert 4 < flipped < 20


def test_the_slice_is_a_reviewed_one_with_most_on_it() -> None:
    case = _case()
    made = _made(case)
    assert (made.index, made.slices, made.reviewed, made.drawn) == (2, 4, False, True)
    case.reviews[1] = SliceReview(SliceState.DRAWN)
    made = _made(case)
    assert (made.index, made.reviewed) == (1, True)
    case.labels[...] = 0
    case.reviews[1] = SliceReview()
    made = _made(case)
    assert (made.index, made.reviewed, made.drawn) == (2, False, False)


def test_a_scan_too_coarse_is_refused() -> None:
    with pytest.raises(UserError, match="finer"):
        _made(_case(5.0), config=TrainConfig(input_size=64, levels=3, spacing_mm=1.0))


def test_they_are_made_of_the_case_as_it_was_when_asked(qtbot: QtBot) -> None:
    case = _case()
    before = _made(case)
    job = ask_pictures(case, CONFIG, 1)
    with qtbot.waitSignal(job.succeeded, timeout=20_000) as came:
        case.labels[...] = 0
    assert [p.tobytes() for p in came.args[0].pictures] == [p.tobytes() for p in before.pictures]
    jobs.shutdown()
