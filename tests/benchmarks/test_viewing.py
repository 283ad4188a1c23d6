"""Speed of looking and painting, against bare pictures of the same size."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from benchmarks import start_ours
from benchmarks.bare import opening, start
from benchmarks.conftest import Bench, stack
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from thighview.app.session import Session
from thighview.core.case import Case
from thighview.core.mask import Region
from thighview.core.volume import Volume
from thighview.ui.slice_view import SliceView

SIDE = 1000


def open_stack(slices: int) -> Session:
    voxels, labels, table = stack(slices)
    affine = np.array([[0, 0, 0.8, 0], [0, 0.8, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]], float)
    case = Case.of(Volume(voxels, affine, "stack"), Path("stack.nii"))
    case.labels[...] = labels
    case.table = table
    session = Session()
    session.open(case)
    return session


def shown_view(qtbot: QtBot, session: Session) -> SliceView:
    view = SliceView(session, "axial")
    qtbot.addWidget(view)
    view.resize(SIDE, SIDE)
    with qtbot.waitExposed(view):
        view.show()
    session.open(session.case)
    view.fit(body=False)
    view.repaint()
    return view


def test_slice_change(qtbot: QtBot, bench: Bench) -> None:
    from benchmarks.bare.pictures import BarePicture

    session = open_stack(60)
    view = shown_view(qtbot, session)
    case = session.case
    assert case is not None
    bare = BarePicture(case.volume.voxels, case.labels, case.table, SIDE)
    qtbot.addWidget(bare.view)
    qtbot.waitUntil(lambda: bare.view.windowHandle().isExposed())
    mine, theirs = bench.in_turn(
        lambda number: change_slice(session, view, 60, number), lambda number: bare.show((number + 2) % 60), 120
    )
    bench.ratio("slice change to painted pixels, 512x512x60 int16 with mask", "<= 1.3x bare", mine, theirs)


def test_slice_change_in_a_long_stack(qtbot: QtBot, bench: Bench) -> None:
    many = 90 if bench.quick else 600
    short, long = open_stack(60), open_stack(many)
    short_view, long_view = shown_view(qtbot, short), shown_view(qtbot, long)
    of_600, of_60 = bench.in_turn(
        lambda number: change_slice(long, long_view, many, number),
        lambda number: change_slice(short, short_view, 60, number),
        240,
    )
    a, b = statistics.median(of_600), statistics.median(of_60)
    bench.row(
        "the same with 600 slices", "<= 1.1x of 60 slices", f"{a:.1f} ms, with 60 slices {b:.1f} ms: {a / b:.2f}x",
        ours=a, bare=b, ratio=a / b,
    )  # fmt: skip


def change_slice(session: Session, view: SliceView, slices: int, number: int) -> None:
    session.go_to_slice((number + 2) % slices)
    view.repaint()


def test_brush_move(qtbot: QtBot, qapp: QApplication, bench: Bench) -> None:
    session = open_stack(20)
    view = shown_view(qtbot, session)
    session.update_view(tool="brush", active_label=3, brush_radius_mm=20 * 0.8)
    view.repaint()
    times: list[float] = []
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(300, 400))
    for step in range(bench.rounds(200)):
        at = QPoint(300 + 2 * step, 400 + int(120 * np.sin(step / 12)))
        began = time.perf_counter()
        QTest.mouseMove(view, at)
        qapp.processEvents()  # paints what the move has made dirty, as the event loop would
        times.append(1000 * (time.perf_counter() - began))
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(300, 400))
    p95 = float(np.percentile(times, 95))
    bench.row(
        "brush move to painted pixels, radius 20 px",
        "p95 <= 8 ms",
        f"median {statistics.median(times):.1f} ms, p95 {p95:.1f} ms",
        p95=p95,
    )


def test_undo_memory(qtbot: QtBot, bench: Bench) -> None:
    session = open_stack(20)
    rng = np.random.default_rng(3)
    y, x = np.mgrid[-20:21, -20:21]
    disc = (y**2 + x**2 <= 400)[None]
    for _ in range(1000):
        index, row, column = (int(v) for v in rng.integers((0, 30, 30), (20, 440, 440)))
        with session.edit("Brush", "brush", Region(index, index + 1, 0, 512, 0, 512)) as edit:
            for step in range(8):
                edit.paint(
                    Region(index, index + 1, row + step, row + step + 41, column, column + 41),
                    disc,
                    int(rng.integers(1, 11)),
                )
    assert session.case is not None
    size_mb = session.case.history.size_bytes / 1e6
    assert size_mb <= 5.0
    bench.row("undo memory, 1,000 strokes", "<= 5 MB", f"{size_mb:.2f} MB", megabytes=size_mb)


def test_opening(qtbot: QtBot, bench: Bench, tmp_path: Path) -> None:
    import nibabel

    from thighview.app import jobs
    from thighview.app.tasks import Workspace

    voxels, _, _ = stack(4 if bench.quick else 60)
    paths = []
    for number in range(bench.rounds(8) + 2):
        path = tmp_path / f"stack{number}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(voxels.T, np.diag([-0.8, -0.8, 5, 1])), path)
        paths.append(path)
    workspace = Workspace()
    view = SliceView(workspace.session, "axial")
    qtbot.addWidget(view)
    view.resize(SIDE, SIDE)
    with qtbot.waitExposed(view):
        view.show()

    def ours(number: int) -> None:
        with qtbot.waitSignal(
            workspace.session.case_opened, check_params_cb=lambda case: case is not None, timeout=20000
        ):
            workspace.open_path(paths[number + 1])
        view.repaint()

    ours(-1)  # makes the project of opened scans
    mine, theirs = bench.in_turn(
        lambda n: ours(n + 1) if n + 2 < len(paths) else None, lambda n: opening.unpack(paths[1]), len(paths) - 3
    )
    a, b = statistics.median(mine), statistics.median(theirs)
    bench.row(
        "open a 512x512x60 .nii.gz to first slice painted",
        "<= 1.2x bare + 120 ms",
        f"{a:.0f} ms, bare {b:.0f} ms: 1.2x bare + {a - 1.2 * b:.0f} ms",
        ours=a,
        bare=b,
    )
    workspace.close()
    assert jobs.shutdown()


def test_start(bench: Bench, tmp_path: Path) -> None:
    """The whole program, from the command to a window that has been painted and has answered an event."""
    environment = {
        **os.environ,
        "THIGHVIEW_HOME": str(tmp_path),
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONDONTWRITEBYTECODE": "",  # as on a person's machine, the second start finds the program compiled
        "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled"),
    }

    def seconds_to_usable(script: str) -> float:
        began = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None and child.stderr is not None
            line = child.stdout.readline()
            took = time.perf_counter() - began
            assert line == "usable\n", child.stderr.read()
        assert child.returncode == 0
        return took

    times: tuple[list[float], list[float]] = ([], [])
    for number in range(0 if bench.quick else -1, 1 if bench.quick else 7):
        for script, mine in zip((start_ours.__file__, start.__file__), times, strict=True):
            took = seconds_to_usable(script)
            if number >= 0:
                mine.append(took)
    a, b = (statistics.median(mine) for mine in times)
    bench.row(
        "`thighview` start to usable window, warm disk", "<= 1.5 s", f"{a:.2f} s (an empty Qt window {b:.2f} s)",
        ours=1000 * a, bare=1000 * b,
    )  # fmt: skip
