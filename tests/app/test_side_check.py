"""A label of one side on the other leg: said once, mended by a press, and never a false alarm."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from thighview.app.session import Session
from thighview.app.side_check import SideCheck, WrongSide
from thighview.core.case import Case
from thighview.core.known import SIDES_NOT_KNOWN
from thighview.core.labels import LabelTable
from thighview.core.mask import Region
from thighview.core.phantom import make_phantom
from thighview.core.volume import Volume

PHANTOM = make_phantom(1, "t1", slices=4, matrix=(96, 144))


@pytest.fixture
def session() -> Session:
    made = Session()
    made.open(case_of(PHANTOM.volume))
    return made


@pytest.fixture
def told(session: Session) -> list[WrongSide | None]:
    check = SideCheck(session, session)
    heard: list[WrongSide | None] = []
    check.found.connect(heard.append)
    return heard


def case_of(volume: Volume) -> Case:
    case = Case.of(volume, Path("/scans/t1.nii.gz"))
    case.table = LabelTable().merged([("muscle", "left"), ("femur", "")])
    return case


def on_leg(side: str) -> Region:
    """Some voxels of a leg's muscle, on slice 2."""
    muscle = PHANTOM.table.find("muscle", side)
    assert muscle is not None
    rows, columns = np.nonzero(PHANTOM.labels[2] == muscle.value)
    y, x = int(np.median(rows)), int(np.median(columns))
    return Region(2, 3, y, y + 4, x - 2, x + 2)


def stroke(session: Session, region: Region, value: int = 1, name: str = "Brush · muscle left · slice 3") -> None:
    with session.edit(name, "brush", region) as edit:
        edit.paint(region, np.ones(region.shape, bool), value)


def test_a_stroke_on_the_wrong_leg_is_told_and_mended(session: Session, told: list[WrongSide | None]) -> None:
    check = session.findChild(SideCheck)
    assert isinstance(check, SideCheck) and session.case is not None
    stroke(session, on_leg("left"))
    assert told == []
    stroke(session, on_leg("right"))
    assert told and told[-1] and told[-1].other_side == "right"
    check.mend()
    right = session.case.table.find("muscle", "right")
    assert right is not None and session.view.active_label == right.value
    assert (session.case.labels[on_leg("right").slices] == right.value).all()
    assert (session.case.labels[on_leg("left").slices] == 1).all()
    assert session.history.names[-1] == "Brush · muscle right · slice 3"
    assert told[-1] is None and check.wrong is None
    session.undo()
    assert (session.case.labels[on_leg("right").slices] == 1).all() and check.wrong is None


def test_it_is_over_with_the_next_step(session: Session, told: list[WrongSide | None]) -> None:
    stroke(session, on_leg("right"))
    session.accept((0,))
    assert len(told) == 2 and told[-1] is None


@pytest.mark.parametrize("value", [0, 2])
def test_an_eraser_and_a_label_without_side_are_never_wrong(
    session: Session, told: list[WrongSide | None], value: int
) -> None:
    stroke(session, on_leg("left"))
    stroke(session, on_leg("left" if value == 0 else "right"), value)
    assert told == []


def test_a_stroke_across_the_middle_is_not_wrong(session: Session, told: list[WrongSide | None]) -> None:
    stroke(session, Region(2, 3, 40, 44, 20, 120))
    assert told == []


def test_one_leg_alone_gives_no_alarm(session: Session, told: list[WrongSide | None]) -> None:
    columns = slice(0, 70)
    volume = Volume(np.ascontiguousarray(PHANTOM.volume.voxels[:, :, columns]), PHANTOM.volume.affine)
    session.open(case_of(volume))
    for x in (10, 60):
        stroke(session, Region(2, 3, 40, 44, x, x + 4))
    assert told == []


def test_nothing_is_said_where_left_and_right_are_not_known(session: Session, told: list[WrongSide | None]) -> None:
    doubt = f"The file does not say how it lies: {SIDES_NOT_KNOWN}."
    session.open(case_of(replace(PHANTOM.volume, unsure=frozenset({"orientation"}), warnings=(doubt,))))
    stroke(session, on_leg("right"))
    assert not any(told)
    session.undo()
    session.check_doubt(doubt)
    stroke(session, on_leg("right"))
    assert told and told[-1] and told[-1].other_side == "right"
