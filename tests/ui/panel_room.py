"""A workspace for panels: the real session and jobs, and stand-ins for engine, store and runs that record wishes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from thighview.app import jobs
from thighview.app.promoting import Promoting
from thighview.app.session import Session
from thighview.core.case import Case
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import Region
from thighview.core.review import SliceState
from thighview.core.run import (
    BatchEnded,
    EpochEnded,
    Failed,
    Finished,
    RunEvent,
    Scores,
    Started,
    TrainConfig,
)
from thighview.core.volume import Volume
from thighview.io.model_card import ModelCard
from thighview.io.models import ModelEntry
from thighview.io.project import CaseSummary, Project

TISSUES = ("subcutaneous_fat", "muscle", "intermuscular_fat", "femur_cortex", "femur_marrow")


@dataclass(frozen=True)
class EngineState:
    phase: str = "off"
    device: str = ""
    message: str = ""
    details: str = ""


class Engine(QObject):
    state_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.state = EngineState()
        self.restarts = 0

    def restart(self) -> None:
        self.restarts += 1

    def become(self, **state: str) -> None:
        self.state = EngineState(**state)
        self.state_changed.emit(self.state)


class WriteNow:
    """Stands in for the store: the project's writer, asked in the same thread that made it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def call(self, change: object) -> jobs.Job:
        def work(_report: object, _stopped: object) -> object:
            project = Project.open(self.folder)
            try:
                return change(project)  # type: ignore[operator]
            finally:
                project.close()

        return jobs.run_in_thread(work, must_finish=True)


class SegmentJob(QObject):
    progressed = Signal(int, int)
    seconds_left: float | None = None


class Runs(QObject):
    run_changed = Signal(str)
    event_came = Signal(object)
    run_ended = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.name = ""
        self.history: list[RunEvent] = []
        self.names: set[str] = set()
        self.wishes: list[str] = []
        self.can_go_on = False

    @property
    def is_going_on(self) -> bool:
        return bool(self.name) and not any(isinstance(event, (Finished, Failed)) for event in self.history)

    def follow(self, name: str, events: list[RunEvent]) -> None:
        """As the real one: the past comes event by event."""
        self.name, self.history = name, []
        self.names.add(name)
        self.run_changed.emit(name)
        for event in events:
            self.say(event)

    def say(self, event: RunEvent) -> None:
        self.history.append(event)
        self.event_came.emit(event)

    def go_on(self) -> None:
        self.wishes.append("go on")

    def ask_can_go_on(self, answer: Any) -> None:
        answer(self.can_go_on)

    def pause(self) -> None:
        self.wishes.append("pause")

    def resume(self) -> None:
        self.wishes.append("resume")

    def stop(self) -> None:
        self.wishes.append("stop")


@dataclass
class Settings:
    last_model: str = ""
    train_config: TrainConfig | None = None


class StartJob(QObject):
    """A training on its way: nobody works on it, a test says when it has ended."""

    ended = Signal()


class Room(QObject):
    """Stands in for ``app.tasks.Workspace``."""

    project_changed = Signal(object)
    cases_changed = Signal(object)
    models_changed = Signal(object)
    model_chosen = Signal(object)
    failed = Signal(object)
    said = Signal(str)
    segmenting = Signal(object)

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__()
        self.session = Session(self)
        self.engine = Engine()
        self.runs = Runs()
        self.settings = Settings()
        self.store: Any = object() if folder else None
        self.project_folder = folder
        self.cases: tuple[CaseSummary, ...] = ()
        self.models: tuple[ModelEntry, ...] = ()
        self.segment_job: SegmentJob | None = None
        self.wishes: list[tuple[Any, ...]] = []
        self.gate = Promoting(self, self)  # type: ignore[arg-type]
        self.gate.use_model.connect(self.choose_model)
        self.gate.failed.connect(self.failed)

    def segment(self, model: ModelEntry, redo: tuple[int, ...] = ()) -> None:
        self.wishes.append(("segment", model.card.name, *([redo] if redo else [])))

    def cancel_segment(self) -> None:
        self.wishes.append(("cancel_segment",))

    def choose_model(self, model: ModelEntry) -> None:
        self.wishes.append(("choose_model", model.card.name))
        self.settings.last_model = str(model.folder)
        self.model_chosen.emit(model)

    def open_case(self, case_id: int) -> None:
        self.wishes.append(("open_case", case_id))

    def refresh_models(self) -> None:
        self.wishes.append(("refresh_models",))

    def set_in_training_set(self, chosen: bool) -> None:
        self.wishes.append(("set_in_training_set", chosen))

    def start_training(self, name: str, config: TrainConfig) -> StartJob:
        self.wishes.append(("start_training", name, config))
        self.start_job = StartJob(self)
        return self.start_job

    def run_segment(self, job: SegmentJob | None) -> None:
        self.segment_job = job
        self.segmenting.emit(job)

    def show_models(self, *models: ModelEntry) -> None:
        self.models = models
        self.models_changed.emit(models)

    def show_cases(self, *cases: CaseSummary) -> None:
        self.cases = cases
        self.cases_changed.emit(cases)


def tissue_table() -> LabelTable:
    colours = ((255, 176, 46), (240, 98, 146), (86, 204, 130), (91, 163, 255), (171, 136, 255))
    return LabelTable(
        tuple(
            Label(1 + i + 5 * s, name, side, colours[i])
            for s, side in enumerate(("left", "right"))
            for i, name in enumerate(TISSUES)
        )
    )


def make_case(slices: int = 12, edge: int = 32, painted: bool = True) -> Case:
    rng = np.random.default_rng(1)
    voxels = rng.integers(0, 900, (slices, edge, edge)).astype(np.int16)
    affine = np.diag([6.0, 1.5, 1.25, 1.0])[[2, 1, 0, 3]]
    case = Case.of(Volume(voxels, affine, "sub-012_T1", "nifti"), Path("/scans/sub-012_T1.nii.gz"), subject="sub-012")
    case.case_id = 12
    case.table = tissue_table()
    if painted:
        for value in range(1, 11):
            case.labels[2:10, 2 * value : 2 * value + 2, 4 : 8 + value] = value
    return case


def paint(session: Session, index: int, value: int = 1, name: str = "Brush") -> None:
    box = Region(index, index + 1, 0, 4, 0, 4)
    with session.edit(name, "brush", box) as edit:
        edit.paint(box, np.random.default_rng(index).random((1, 4, 4)) < 0.5, value)


def model(name: str = "thigh_tissues", place: str = "box", folder: Path | None = None, **more: Any) -> ModelEntry:
    scores = {
        "mean": 0.953,
        "worst_case": {"contrast": "t1", "seed": 9, "dice": 0.907},
        "worst": {"contrast": "t1", "seed": 9, "label": "intermuscular_fat_left", "dice": 0.871},
        "contrasts": {c: {"mean": 0.95} for c in ("t1", "dixon_water", "dixon_fat", "fat_saturated")},
        "phantoms": 16,
    }
    facts: dict[str, Any] = {
        "scores": scores,
        "statement": "Trained only on computer-generated thighs, never on a person's scan; not validated on patients. "
        "For research, not for clinical decisions: check every slice, correct, and retrain.",
        "intended_use": "A first mask on axial MRI of thighs.",
        "limits": "Hip & lower leg were never shown.",
    }
    net = {
        "architecture": "unet",
        "base_filters": 16,
        "levels": 5,
        "dropout": 0.0,
        "spacing_mm": 1.0,
        "input_size": 256,
    }
    classes, labels = ("background", *TISSUES), tissue_table()
    card = ModelCard(name=name, classes=classes, labels=labels, sided=True, **(net | facts | more))
    return ModelEntry(card, folder or Path("/models") / name, place)


def summary(case_id: int, subject: str, part: str, counts: tuple[int, int, int], chosen: bool = True) -> CaseSummary:
    states = (SliceState.ACCEPTED, SliceState.CORRECTED, SliceState.DRAWN)
    return CaseSummary(
        case_id, subject, f"{subject}_T1", Path(f"/scans/{subject}.nii.gz"), 30,
        dict(zip(states, counts, strict=True)) | {SliceState.UNSEEN: 30 - sum(counts)}, part, 0.0, chosen,
    )  # fmt: skip


def started(epochs: int = 40, phantoms: bool = False, time_s: float = 0.0, **more: Any) -> Started:
    people = {"val_slices": 0 if phantoms else 32, "val_subjects": 0 if phantoms else 4}
    facts = people | {"labels": TISSUES} | more
    return Started(time_s, "run 3", "NVIDIA RTX A2000", epochs, 20, 380, 27, val_is_phantoms=phantoms, **facts)


def epoch(k: int, epochs: int = 40, time_s: float = 0.0, run: str = "run 3", best: bool = True) -> EpochEnded:
    wave = 0.008 * np.sin(1.7 * k)
    train, val, soft = (
        1 - 0.55 * np.exp(-k / 8) - 0.05,
        1 - 0.57 * np.exp(-k / 8) - 0.065 + wave,
        0.93 - 0.6 / (1 + k / 5),
    )
    return EpochEnded(
        time_s, run, k, epochs, 9.0, 1e-3,
        Scores(1.2 * np.exp(-k / 9) + 0.05, 0.99 - 0.2 / k, float(train)) if k % 3 == 1 else Scores(),
        Scores(1.25 * np.exp(-k / 9) + 0.07 - float(wave), 0.985 - 0.2 / k, float(val)),
        Scores(1.4 * np.exp(-k / 9) + 0.12, 0.97 - 0.25 / k, float(soft)),
        best, f"slices/epoch_{k:03d}.parquet", 9.0 * (epochs - k),
    )  # fmt: skip


def batches(k: int, steps: int = 20, run: str = "run 3") -> list[BatchEnded]:
    base = 1.4 * np.exp(-k / 9) + 0.12
    rng = np.random.default_rng(k)
    return [
        BatchEnded(
            0.0, run, k, s, steps, float(base * (1 + 0.3 * rng.random() / s)), 0.9, float(0.93 - 0.6 / (1 + k / 5))
        )
        for s in range(2, steps + 1, 2)
    ]


def whole_run(upto: int = 27, epochs: int = 40, **more: Any) -> list[RunEvent]:
    events: list[RunEvent] = [started(epochs, **more)]
    for k in range(1, upto + 1):
        events += [*batches(k), epoch(k, epochs, best=k in (3, 9, 17, 24))]
    return events


def finished(model_name: str = "run 3", stopped: bool = False) -> Finished:
    return Finished(0.0, "run 3", model_name, 24, 27 if stopped else 40, stopped, Scores(0.11, 0.981, 0.927))


def failure() -> Failed:
    lines = tuple(f"12:0{i}:11 epoch {i} of 40, loss {1 / (i + 1):.3f}" for i in range(6))
    return Failed(
        0.0, "run 3", "The memory does not hold 16 slices of 512 pixels at once.",
        "Train again with a smaller batch, input size or network.", (*lines, "tensorflow: ResourceExhaustedError: OOM"),
    )  # fmt: skip
