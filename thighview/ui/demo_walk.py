"""The demo without a display: the whole loop on a made-up thigh, in the real window, where nobody sees it."""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEventLoop, QPoint, QSize, Qt, QTimer
from PySide6.QtGui import QFontDatabase
from PySide6.QtTest import QTest

from thighview.app import jobs
from thighview.app.demo import CONTRAST, SLICES, made_up_scan, made_up_thigh
from thighview.core.case import Case
from thighview.core.errors import UserError
from thighview.core.measure import dice
from thighview.core.phantom_names import TRUTHS, phantom_lookup
from thighview.core.review import SliceState
from thighview.core.run import EpochEnded, Failed, RunEvent, TrainConfig
from thighview.io.export_wish import ExportWish
from thighview.io.masks import write_mask, write_sidecar
from thighview.io.models import ModelEntry
from thighview.ui.application import BugCatcher, make_application, open_window
from thighview.ui.main_window import MainWindow
from thighview.ui.picture import png_bytes
from thighview.ui.train_panel import TrainPanel

_SIZE = QSize(1600, 1000)
_TO_CORRECT, _TO_ACCEPT = 5, 3
_STROKES = 8
_EPOCHS = 6

Say = Callable[[str], None]


def walk(folder: Path | None, say: Say) -> int:
    """Walk the loop in the real window on Qt's off-screen platform; returns the exit code.

    Parameters
    ----------
    folder : Path, optional
        Where pictures, curves and the exported set are left; a new temporary folder when None.
    say : callable
        Takes one line for each step.

    Raises
    ------
    UserError
        When a step is refused; other errors are bugs.
    """
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and not an empty folder.", "Choose a new folder.")
    place = (folder or Path(tempfile.mkdtemp(prefix="thighview-demo-"))).absolute()
    place.mkdir(parents=True, exist_ok=True)
    os.environ["THIGHVIEW_HOME"] = str(place / "home")
    say(f"Pictures are left in {place}")
    application = make_application()
    if not QFontDatabase.families():
        say("  No fonts are installed: the pictures will have no words (Debian, Ubuntu: fonts-dejavu-core).")
    journey = _Journey(place, say)
    start = time.monotonic()
    try:
        for name, step in journey.steps():
            began = time.monotonic()
            words = step()
            journey.picture(name)
            say(f"✓ {name}: {words} ({time.monotonic() - began:.0f} s)")
    finally:
        journey.close()
        application.quit()
    say(f"Done in {time.monotonic() - start:.0f} s. Pictures, curves and the exported training set: {place}")
    return 0


class _Journey:
    """The steps of the loop, each done by mouse, keys and actions of the window."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.folder = folder
        self.say = say
        self.truth = made_up_thigh()
        self.true_labels, self.true_table = self.truth.labels, self.truth.table
        self.errors: list[Exception] = []
        self.catcher = BugCatcher()
        self.catcher.install()
        self.catcher.caught.connect(self.errors.append)
        self.window: MainWindow | None = None
        self.models_known = False
        self.first_model: ModelEntry | None = None
        self.rest: tuple[int, ...] = ()
        self._pictures = 0

    def steps(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        """Names and functions, in order."""
        return (
            ("open", self.open),
            ("segment", self.segment),
            ("correct", self.correct),
            ("review", self.review),
            ("training set", self.add_to_set),
            ("export", self.export),
            ("retrain", self.retrain),
            ("segment again", self.segment_again),
        )

    # ------------------------------------------------------------------ the steps

    def open(self) -> str:
        """Open the scan in a new window."""
        made_up_scan(self.truth)
        window = self.window = open_window(demo=True)
        window.resize(_SIZE)
        window.workspace.failed.connect(self.errors.append)
        window.workspace.models_changed.connect(self._models_came)
        self.until(lambda: window.session.case is not None and self.models_known, 120, "the scan to open")
        z, y, x = self.case.volume.shape
        return f"a made-up thigh, {z} slices of {x} x {y}, {CONTRAST.upper()}-like"

    def segment(self) -> str:
        """Run the model of the box; without one, load the true mask so that the loop goes on."""
        workspace = self.win.workspace
        self.first_model = next((entry for entry in workspace.models if entry.place == "box"), None)
        if self.first_model is None:
            path = self.folder / "true-mask.nii.gz"
            drawn = np.zeros_like(self.true_labels)
            chosen = self.middle_slices()[: _TO_CORRECT + _TO_ACCEPT]
            drawn[chosen] = self.true_labels[chosen]
            rows, columns = drawn.shape[1] // 2, drawn.shape[2] // 4
            drawn[:, rows - 8 : rows + 8, columns - 8 : columns + 8] = 0  # something to mend
            write_mask(path, drawn, self.true_table, self.truth.volume)
            write_sidecar(path, self.true_table)
            workspace.open_mask(path)
            self.until(lambda: bool(self.win.session.history.names), 60, "the mask to open")
            return "there is no model in the box here; the true mask of a few slices was loaded instead"
        if known := phantom_lookup(self.first_model.card.labels):
            self.true_labels, self.true_table = self.truth.truth(known[0]), TRUTHS[known[0]]()
        self.win.show_tab("Segment")
        workspace.choose_model(self.first_model)
        self.run_model()
        device = workspace.engine.state.device
        return f"{self.first_model.card.name} on {device}, Dice {self.mean_dice(range(SLICES)):.3f} against the truth"

    def correct(self) -> str:
        """Mend the worst places of a few slices with brush and eraser, and try undo."""
        win = self.win
        win.show_tab("Review")
        slices = self.middle_slices()[:_TO_CORRECT]
        before = self.mean_dice(slices)
        strokes = 0
        for index in slices:
            win.session.go_to_slice(index)
            for _ in range(_STROKES):
                strokes += self.mend_worst_place(index)
        done = win.session.history.done
        QTest.keyClick(win, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        undone = win.session.history.done
        QTest.keyClick(win, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
        if (undone, win.session.history.done) != (done - 1, done):
            raise RuntimeError("undo and redo did not take one step back and forth")
        return f"{strokes} strokes on {len(slices)} slices, Dice there {before:.3f} -> {self.mean_dice(slices):.3f}"

    def review(self) -> str:
        """Accept the mended slices and a few more with the key."""
        win = self.win
        chosen = self.middle_slices()[: _TO_CORRECT + _TO_ACCEPT]
        for index in chosen:
            win.session.go_to_slice(index)
            QTest.keyClick(win, Qt.Key.Key_A)
        states = [self.case.reviews[index].state for index in chosen]
        if not all(state.reviewed for state in states):
            raise RuntimeError(f"not every slice was accepted: {states}")
        self.rest = tuple(i for i, review in enumerate(self.case.reviews) if not review.state.reviewed)
        counts = [f"{states.count(state)} {state.word}" for state in SliceState if state in states]
        return ", ".join(counts)

    def add_to_set(self) -> str:
        """Put the case into the training set with the panel's button."""
        self.win.session.go_to_slice(SLICES // 2)
        self.win.show_tab("Train")
        self.train_panel.set_up.set_card.case_button.click()
        self.until(lambda: any(case.in_training_set for case in self.win.workspace.cases), 30, "the set to grow")
        return f"one person, {len(self.case.reviews) - len(self.rest)} reviewed slices"

    def export(self) -> str:
        """Write the training set as nnU-Net raw."""
        self.win.workspace.export_masks(self.folder / "nnunet", ExportWish("nnunet"))
        self.until((self.folder / "nnunet" / "dataset.json").is_file, 60, "the export")
        return f"nnU-Net raw in {self.folder / 'nnunet'}, {len(self.rest)} slices as ignore"

    def retrain(self) -> str:
        """Train on what was reviewed, with live curves."""
        panel, runs = self.train_panel, self.win.workspace.runs
        config = TrainConfig(base_filters=8, levels=4, spacing_mm=1.5, epochs=_EPOCHS, augment=True)
        if self.first_model:
            config = replace(config, start_from=str(self.first_model.folder), spacing_mm=0.0, learning_rate=2e-4)
        panel.set_up.form.show_config(config)
        panel.set_up.form.run_name.setText("demo")
        ended: list[RunEvent] = []
        epochs: list[EpochEnded] = []
        runs.run_ended.connect(ended.append)

        def heard(event: RunEvent) -> None:
            if isinstance(event, EpochEnded):
                epochs.append(event)
                if event.epoch == _EPOCHS // 2:
                    self.show_curves()
                    QTimer.singleShot(400, lambda: self.picture("training"))

        runs.event_came.connect(heard)
        if not panel.set_up.start_button.isEnabled():
            raise RuntimeError(panel.set_up.form.problem_text or "the training cannot be started")
        panel.set_up.start_button.click()
        self.until(lambda: bool(ended), 900, "the training")
        runs.event_came.disconnect(heard)
        if isinstance(ended[0], Failed):
            raise RuntimeError("\n".join((ended[0].message, *ended[0].lines)))
        for metric in ("dice", "loss"):
            panel.run.curves.choose(metric=metric)
            self.pause(300)
            picture = panel.run.curves.picture(panel.run.run_name)
            (self.folder / f"curves-{metric}.png").write_bytes(png_bytes(picture))
        self.show_curves()
        (self.folder / "curves.csv").write_text(panel.run.curves.data.to_csv(), encoding="utf-8")
        last = epochs[-1]
        told = [f"{word} {score:.3f}" for word, score in (("training", last.train.dice), ("validation", last.val.dice))
                if score is not None]  # fmt: skip
        return f"{len(epochs)} epochs, Dice {', '.join(told)} (validation on made-up thighs: there is one person only)"

    def segment_again(self) -> str:
        """Run the new model over the slices nobody has reviewed."""
        workspace = self.win.workspace
        known = lambda: [entry for entry in workspace.models if entry.place == "project"]  # noqa: E731
        self.until(lambda: bool(known()), 60, "the new model to be listed")
        before = self.mean_dice(self.rest)
        self.win.show_tab("Segment")
        workspace.choose_model(known()[0])
        kept = {i: self.case.labels[i].copy() for i in range(SLICES) if i not in self.rest}
        self.run_model()
        if any(not np.array_equal(self.case.labels[i], labels) for i, labels in kept.items()):
            raise RuntimeError("a reviewed slice was overwritten")
        after = self.mean_dice(self.rest)
        return (
            f"{known()[0].card.name}, Dice on the {len(self.rest)} slices nobody reviewed {before:.3f} -> {after:.3f}; "
            "reviewed slices untouched"
        )

    # ------------------------------------------------------------------ what they use

    @property
    def win(self) -> MainWindow:
        """The window, open."""
        assert self.window is not None
        return self.window

    @property
    def case(self) -> Case:
        """The open case."""
        case = self.win.session.case
        assert case is not None
        return case

    @property
    def train_panel(self) -> TrainPanel:
        """The Train panel."""
        panel = self.win.panel("Train")
        assert isinstance(panel, TrainPanel)
        return panel

    def show_curves(self) -> None:
        """Scroll the Train panel to the curves."""
        panel = self.train_panel
        panel.run.verticalScrollBar().setValue(panel.run.curves_card.y() - 12)

    def run_model(self) -> None:
        """Segment with the chosen model and wait for the end."""
        win = self.win
        steps = win.session.history.done
        win.actions_table["segment"].trigger()
        self.until(lambda: win.workspace.segment_job is None and win.session.busy_run is None, 400, "the segmentation")
        if win.session.history.done == steps:
            raise RuntimeError("the segmentation left nothing")

    def middle_slices(self) -> list[int]:
        """Slices from the middle outwards."""
        return sorted(range(SLICES), key=lambda index: (abs(index - SLICES // 2), index))

    def mend_worst_place(self, index: int) -> bool:
        """One stroke of brush or eraser where the mask is most wrong; False where nothing is."""
        from scipy.ndimage import distance_transform_edt

        view = self.win.views.by_name["axial"]
        right = self.true_values()[index]
        wrong = right != self.case.labels[index]
        spacing = self.case.volume.spacing_mm[1:]
        depth_mm = np.asarray(distance_transform_edt(wrong, spacing), np.float64)
        y, x = np.unravel_index(int(depth_mm.argmax()), depth_mm.shape)
        if depth_mm[y, x] == 0:
            return False
        value = int(right[y, x])
        tool = "brush" if value else "eraser"
        QTest.keyClick(self.win, {"brush": Qt.Key.Key_B, "eraser": Qt.Key.Key_E}[tool])
        radius_mm = min(max(float(depth_mm[y, x]), 1.0), 12.0)
        changes = {"active_label": value} if value else {}
        self.win.session.update_view(tool=tool, brush_radius_mm=radius_mm, **changes)
        assert view.plane is not None and view.placement is not None
        row, column = view.plane.to_plane((index, int(y), int(x)))
        sx, sy = view.placement.to_screen(row, column)
        at = QPoint(round(sx), round(sy))
        QTest.mousePress(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
        for step in (1, 2):
            QTest.mouseMove(view, at + QPoint(step, 0))
        QTest.mouseRelease(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at + QPoint(2, 0))
        return True

    def true_values(self) -> NDArray[np.uint8]:
        """The truth in the values of the open case, uint8 (z, y, x)."""
        lookup = np.zeros(256, np.uint8)
        for label in self.true_table:
            found = self.case.table.find(label.name, label.side)
            lookup[label.value] = found.value if found else 0
        return lookup[self.true_labels]

    def mean_dice(self, slices: "range | tuple[int, ...] | list[int]") -> float:
        """Mean Dice of all labels over some slices, against the truth."""
        chosen = list(slices)
        right, found = self.true_values()[chosen], self.case.labels[chosen]
        scores = [dice(found == label.value, right == label.value) for label in self.case.table]
        known = [score for score in scores if score is not None]
        return float(np.mean(known)) if known else 0.0

    def _models_came(self, _: object) -> None:
        self.models_known = True

    # ------------------------------------------------------------------ time and pictures

    def until(self, reached: Callable[[], bool], seconds: float, what: str) -> None:
        """Let the window live until something is reached; an error that it would show ends the walk."""
        loop = QEventLoop()
        end = time.monotonic() + seconds

        def look() -> None:
            if self.errors or reached() or time.monotonic() > end:
                loop.quit()

        timer = QTimer()
        timer.timeout.connect(look)
        timer.start(20)
        loop.exec()
        timer.stop()
        if self.errors:
            raise self.errors[0]
        if not reached() and time.monotonic() < end:
            raise KeyboardInterrupt
        if not reached():
            raise RuntimeError(f"waited {seconds:.0f} s for {what}, in vain")

    def pause(self, milliseconds: int) -> None:
        """Let the window live for a moment."""
        end = time.monotonic() + milliseconds / 1000
        self.until(lambda: time.monotonic() >= end, 60, "a moment")

    def picture(self, name: str) -> None:
        """Leave a numbered picture of the window."""
        self._pictures += 1
        if name != "training":
            self.pause(250)
        self.win.grab().save(str(self.folder / f"{self._pictures:02d}-{name.replace(' ', '-')}.png"))

    def close(self) -> None:
        """Close the window and everything behind it."""
        window = self.window
        if window is not None:
            runs = window.workspace.runs
            if runs.is_going_on:  # an error came in between; nobody is there to be asked
                runs.stop()
                window.workspace.close()
                window.hide()
            else:
                window.close()
            window.deleteLater()
        jobs.shutdown()
        self.catcher.remove()
