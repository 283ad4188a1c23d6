"""An export from the window's side: a child writes, cancelling leaves nothing, pictures are looked at first."""

from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
from export_room import drawn_case, files_in, thigh_project, write_thigh_series
from pytestqt.qtbot import QtBot

from thighview.app import jobs
from thighview.app.exporting import Exporting, Looked, Pictured
from thighview.app.store import Store
from thighview.core.errors import UserError
from thighview.core.review import SliceState
from thighview.io.export_files import check_manifest, remove_export
from thighview.io.export_wish import Exported, ExportWish
from thighview.io.exporting import export
from thighview.io.project import Project


class Room:
    """A store, what exports it, and what was said."""

    def __init__(self, folder: Path, qtbot: QtBot) -> None:
        self.store, self.exporting, self.qtbot = Store(folder), Exporting(), qtbot
        self.done: list[Exported] = []
        self.failed: list[Exception] = []
        self.said: list[str] = []
        self.looks: list[tuple[tuple[Pictured, ...], Callable[[Looked | None], None]]] = []
        self.exporting.done.connect(self.done.append)
        self.exporting.failed.connect(self.failed.append)
        self.exporting.said.connect(self.said.append)
        self.exporting.looks_needed.connect(lambda cases, answer: self.looks.append((cases, answer)))
        with qtbot.waitSignal(self.store.open().ended):
            pass

    def until(self, reached: Callable[[], object]) -> None:
        self.qtbot.waitUntil(lambda: bool(reached()), timeout=30_000)

    def start(self, folder: Path, form: str, **wish: object) -> None:
        self.exporting.start(self.store, folder, ExportWish(form, **wish))  # type: ignore[arg-type]


@pytest.fixture
def room(tmp_path: Path, qtbot: QtBot) -> Iterator[Callable[[Project], Room]]:
    rooms: list[Room] = []

    def enter(project: Project) -> Room:
        project.close()
        rooms.append(Room(project.folder, qtbot))
        return rooms[-1]

    yield enter
    for one in rooms:
        one.exporting.cancel()
        one.store.close()
    assert jobs.shutdown()


def test_a_child_writes_and_the_end_is_told(room: Callable[[Project], Room], tmp_path: Path) -> None:
    here = room(thigh_project(tmp_path))
    seen: list[object] = []
    here.exporting.changed.connect(lambda under_way: seen.append(under_way and under_way[1]))
    here.start(tmp_path / "out", "nnunet")
    here.start(tmp_path / "out", "nnunet")  # pressed twice
    here.until(lambda: here.done)
    assert here.done[0].cases == 2 and check_manifest(tmp_path / "out") == []
    here.until(lambda: seen[-1] is None)
    assert "2 cases exported to" in here.said[-1] and here.exporting.job is None
    assert set(here.store.wait_for(lambda project: project.subjects()).values()) <= {"train", "validation", "test"}
    here.start(tmp_path / "out", "nifti")
    here.until(lambda: here.failed)
    assert "not an empty folder" in str(here.failed[0]) and isinstance(here.failed[0], UserError)


def test_cancelling_kills_the_child_and_leaves_nothing(room: Callable[[Project], Room], tmp_path: Path) -> None:
    project = thigh_project(tmp_path)
    voxels = np.random.default_rng(1).integers(0, 900, (300, 200, 20), dtype=np.int16)
    for seed in range(4):  # they take a second to pack
        nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.0, 1, 4, 1])), tmp_path / f"z{seed}.nii")
        project.add_case(drawn_case(tmp_path / f"z{seed}.nii", f"z{seed}", (SliceState.DRAWN,) * 20))
    here = room(project)
    out = tmp_path / "exports" / "out"
    out.parent.mkdir()
    half: list[str] = []

    def progressed(done: int, total: int) -> None:
        if done == 2:
            half.extend(path.name for path in out.parent.iterdir())
            here.exporting.cancel()

    here.exporting.changed.connect(lambda under_way: under_way and under_way[0].progressed.connect(progressed))
    here.start(out, "npz")
    here.until(lambda: half)
    here.until(lambda: here.exporting.job is None)
    assert half and half[0].startswith(".out."), "it was on its way"
    assert not list(out.parent.iterdir()) and not here.done and not here.failed


def test_a_folder_that_was_finished_just_when_it_was_cancelled_goes_again(tmp_path: Path) -> None:
    project = thigh_project(tmp_path)
    for name, mark in (("mine", "one"), ("earlier", "")):
        assert export(project, tmp_path / name, ExportWish("nifti", mark=mark)) is not None
    project.close()
    assert not remove_export(tmp_path / "earlier", "one") and not remove_export(tmp_path / "earlier", "")
    assert not remove_export(tmp_path / "mine", "two") and not remove_export(tmp_path / "nothing", "one")
    assert check_manifest(tmp_path / "mine") == check_manifest(tmp_path / "earlier") == []
    assert remove_export(tmp_path / "mine", "one") and not (tmp_path / "mine").exists()


def test_pictures_with_a_name_in_them_are_shown_before_they_leave(
    room: Callable[[Project], Room], tmp_path: Path
) -> None:
    project = thigh_project(tmp_path)
    lettered = np.zeros((4, 5), "<u2")
    lettered[3, 4] = 4000
    series = write_thigh_series(tmp_path / "named", BurnedInAnnotation="YES", PixelData=lettered.tobytes())
    project.add_case(drawn_case(series, "carl"))
    here = room(project)
    here.start(tmp_path / "out", "npz", deidentify=True)
    here.until(lambda: here.looks)
    ((case,), answer) = here.looks[0]
    assert case.case_id == 3 and "BurnedInAnnotation" in case.reason
    assert case.slices.dtype == np.uint8 and case.slices.shape == (5, 4, 5) and (case.slices[:, 3, 4] == 255).all()
    assert not (tmp_path / "out").exists()
    answer(None)
    here.until(lambda: here.exporting.job is None)
    here.start(tmp_path / "out", "npz", deidentify=True)
    here.until(lambda: len(here.looks) == 2)
    here.looks[1][1](Looked(left_out=(3,)))
    here.until(lambda: here.done)
    assert here.done[0].cases == 2 and len([n for n in files_in(tmp_path / "out") if n.endswith(".npz")]) == 2
    here.start(tmp_path / "all", "npz", deidentify=True, cases=(3,))
    here.until(lambda: len(here.looks) == 3)
    here.looks[2][1](Looked(left_out=(3,)))
    assert "stays at home" in here.said[-1]
    here.start(tmp_path / "all", "npz", deidentify=True)
    here.until(lambda: len(here.looks) == 4)
    here.looks[3][1](Looked(fine=(3,)))
    here.until(lambda: len(here.done) == 2)
    assert here.done[1].cases == 3
