"""A training run, from a frozen set to a model folder; everything it says goes through events."""

import contextlib
import logging
import math
import time
import traceback
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from thighview.core.errors import UserError
from thighview.core.run import (
    BatchEnded,
    EpochEnded,
    Failed,
    Finished,
    Paused,
    Scores,
    Started,
    TrainConfig,
)
from thighview.core.sums import Sums, label_dice, learning_scores, mean_scores
from thighview.engine.batches import MeasureBatches, TrainBatches, prefetched
from thighview.engine.checkpoints import (
    Arrays,
    CheckpointWriter,
    last_epoch,
    read_checkpoint,
    restore,
    snapshot,
    weights_in,
)
from thighview.engine.devices import lower_priority, prepare_device
from thighview.engine.learner import Learner, optimizer_of, rate_at
from thighview.engine.loading import load_slices
from thighview.engine.recording import Emit, Voice, explain, save_preview, save_sums
from thighview.engine.starting import Plan, inherited, make_plan
from thighview.engine.unet import assign_weights, build_network, head_warning, weights_of
from thighview.io.dataset import IGNORE, freeze, read_dataset
from thighview.io.models import find_model, write_model
from thighview.io.project import Project
from thighview.io.runs import (
    EventLog,
    RunFolder,
    at_work,
    free_run_name,
    last_log_lines,
    read_config,
    read_control,
    run_folder,
)

PROBE_SHARE = 0.05
"""Largest share of a run's time that measuring the training people may cost."""
_BATCH_EVENT_S = 0.2
_CONTROL_S = 0.1
_log = logging.getLogger(__name__)


class _Stop(Exception):  # noqa: N818 - not an error: somebody asked for it
    pass


def train_main(
    project: Path, name: str = "", config: TrainConfig | None = None, start_from: str | None = None,
    emit: Emit | None = None,
) -> Path:  # fmt: skip
    """Train a project's set under a new name, or go on with a run of that name; returns the model folder.

    Parameters
    ----------
    project : Path
        A new run is frozen first, which needs the project to be open in no other window.
    name : str
        Of the run; empty takes a free one.
    config : TrainConfig, optional
        For a new run; a run that goes on keeps its own.
    start_from : str, optional
        Model to start from instead of ``config.start_from``; ``none`` for random weights.
    emit : callable, optional
        Is given every event, besides ``events.jsonl``.

    Raises
    ------
    UserError
        When it cannot start, or ended for a reason a person can act on (the run has a Failed event then, too).
    """
    lower_priority()
    run = run_folder(project, name or free_run_name(project))
    if run.dataset.exists():
        if config is not None or start_from is not None:
            raise UserError(
                f"The run {run.name!r} exists and keeps its settings.", "Choose another name for other settings."
            )
        return train(run, read_config(run), emit)
    config = config or TrainConfig()
    if start_from is not None:
        chosen = "" if start_from.lower() == "none" else start_from
        config = TrainConfig.from_json(config.to_json() | {"start_from": chosen})
    opened = Project.open(project)
    try:
        freeze(opened, run, config)
    finally:
        opened.close()
    return train(run, config, emit)


def train(run: RunFolder, config: TrainConfig, emit: Emit | None = None) -> Path:
    """Train a frozen run to its end, from its last checkpoint if there is one; returns the model folder.

    Reads only the run folder, the sources and the model it starts from. ``control`` in the run folder pauses and
    stops it. On an error the run says Failed, keeps its checkpoints, and the error goes on.
    """
    written = (run.project / "models" / run.name / "card.json").exists()
    if written and last_epoch(run.checkpoint) >= config.epochs:
        raise UserError(f"The run {run.name!r} is finished.", "Start a new run; it can start from this model.")
    stale = run.lock.exists() and not run.alive
    with at_work(run):
        if stale:
            run.control.unlink(missing_ok=True)
        events = EventLog(run)
        say = Voice(run, events, emit)
        try:
            return _Training(run, config, say).to_end()
        except Exception as error:
            failure = explain(error, config)
            with contextlib.suppress(OSError):  # where there is no room for it, the reason still goes on
                say.log(traceback.format_exc() if failure is not error else f"{failure}")
            with contextlib.suppress(OSError):
                say(Failed(time.time(), run.name, failure.message, failure.hint, last_log_lines(run)))
            if failure is error:
                raise
            raise failure from error
        finally:
            events.close()
            if read_control(run) == "stop":
                run.control.unlink(missing_ok=True)


class _Training:
    """One run of :func:`train`: what it has built, and how far it is."""

    def __init__(self, run: RunFolder, config: TrainConfig, say: Voice) -> None:
        self.run, self.say = run, say
        self.dataset = read_dataset(run)
        self.subject_of = self.dataset.subject_of
        parent = find_model(config.start_from, run.project) if config.start_from else None
        self.plan: Plan = make_plan(run.name, self.dataset, config, parent)
        self.config = self.plan.config
        self.device = prepare_device()
        keras.utils.set_random_seed(config.seed)
        self.notes = [n for n in (self.dataset.note, *self.plan.notes) if n]
        loaded = load_slices(run, self.dataset, self.plan, say.log)
        self.train, self.val, self.probe = loaded.train, loaded.val, loaded.probe
        self.notes += loaded.notes
        self._build()
        self.epoch = 0
        self.parent_val = Scores()
        self.best: dict[str, Any] = {}
        self.best_arrays: Arrays = {}
        self.last_arrays: Arrays = {}
        self.seconds: list[float] = []
        self.probe_s = self.probe_spent_s = self.worked_s = 0.0
        self._looked = self._told = 0.0

    # ------------------------------------------------------------------ building

    def _build(self) -> None:
        config, classes = self.config, len(self.plan.card.classes)
        self.batches = TrainBatches(
            self.train, config.input_size, config.batch_size, config.seed, config.augment, self.plan.mirror
        )
        self.steps = len(self.batches)
        slots = max(self.steps * self.batches.batch_size, len(self.probe), len(self.val or []))
        self.measures = {
            name: MeasureBatches(s, self.batches.batch_size, slots)
            for name, s in (("val", self.val), ("train", self.probe)) if s is not None
        }  # fmt: skip
        self.network = build_network(
            config.architecture, classes, config.base_filters, config.levels, config.dropout, None
        )
        if self.plan.parent:
            weights, mapping = inherited(weights_of(self.network), self.plan.card, self.plan.parent)
            assign_weights(self.network, weights)
            self.notes.append(mapping)
        warning = head_warning(weights_of(self.network))
        if warning:
            self.notes.append(warning)
        self.learner = Learner(self.network, config.loss, slots, classes)
        self.optimizer = optimizer_of(config, config.epochs * self.steps)
        self.learner.compile(optimizer=self.optimizer)
        self.optimizer.build(self.learner.trainable_variables)

    # ------------------------------------------------------------------ going

    def to_end(self) -> Path:
        """Every epoch that is left, then the model."""
        parent = self.plan.parent
        if parent and "val" in self.measures and set(self.plan.card.classes) <= set(parent.card.classes):
            passed = self.learner.measure(self.measures["val"])  # its weights still are the network's
            self.parent_val = mean_scores(passed, self.subject_of, self.config.loss)
        self._resume()
        config = self.config
        self.say(Started(
            time.time(), self.run.name, self.device, config.epochs, self.steps, len(self.train),
            len(self.dataset.subjects("train")), len(self.val or []), len(self.dataset.subjects("validation")),
            bool(self.dataset.phantoms), self.plan.card.classes[1:], self.epoch + 1, "; ".join(self.notes),
        ))  # fmt: skip
        for note in self.notes:
            self.say.log(note)
        writer = CheckpointWriter(self.run.checkpoint)
        stopped = False
        try:
            with contextlib.closing(self._stream()) as stream:
                for epoch in range(self.epoch + 1, config.epochs + 1):
                    self._epoch(epoch, stream, writer)
        except (_Stop, KeyboardInterrupt):
            stopped = True
            self.say.log("stopped")
        finally:
            writer.close()
        return self._write_model(stopped)

    def _stream(self) -> Generator[Any]:
        first = self.epoch * self.steps

        def make(i: int) -> Any:
            return self.batches.batch(1 + i // self.steps, i % self.steps)

        return prefetched(make, first, self.config.epochs * self.steps - first)

    def _resume(self) -> None:
        last = read_checkpoint(self.run.checkpoint, "last")
        if last is None:
            return
        arrays, facts = last
        restore(self.network, self.optimizer, arrays)
        self.epoch, self.best, self.last_arrays = int(facts["epoch"]), dict(facts["best"]), arrays
        best = read_checkpoint(self.run.checkpoint, "best")
        self.best_arrays = best[0] if best else arrays
        if best:
            self.best = dict(best[1]["best"])
        self.say.log(f"goes on after epoch {self.epoch}")

    def _epoch(self, epoch: int, stream: Generator[Any], writer: CheckpointWriter) -> None:
        start, paused_s = time.monotonic(), 0.0
        running = 0.0
        for step in range(self.steps):
            try:
                paused_s += self._obey()
            except _Stop:
                if self.best_arrays:
                    raise
                self._end_epoch(epoch, step, start + paused_s, writer)
                raise
            x, y = next(stream)
            loss = self.learner.learn(x, y)
            running += loss
            if not math.isfinite(loss):
                raise self._not_a_number(epoch, step)
            self._tell_batch(epoch, step, running / (step + 1))
        self._end_epoch(epoch, self.steps, start + paused_s, writer)

    def _obey(self) -> float:
        """Look at ``control`` a few times a second; seconds spent in a pause."""
        now = time.monotonic()
        if now - self._looked < _CONTROL_S:
            return 0.0
        self._looked = now
        command = read_control(self.run)
        if command == "pause":
            self.say(Paused(time.time(), self.run.name, True))
            while command == "pause":
                time.sleep(_CONTROL_S)
                command = read_control(self.run)
            self.say(Paused(time.time(), self.run.name, False))
        if command == "stop":
            raise _Stop
        return time.monotonic() - now

    def _tell_batch(self, epoch: int, step: int, loss: float) -> None:
        now = time.monotonic()
        if now - self._told < _BATCH_EVENT_S and step + 1 < self.steps:
            return
        self._told = now
        scores = learning_scores(self._learnt(epoch, step + 1), self.subject_of, self.config.loss)
        self.say(BatchEnded(
            time.time(), self.run.name, epoch, step + 1, self.steps, loss, scores.accuracy, scores.dice
        ))  # fmt: skip

    def _learnt(self, epoch: int, steps: int) -> Sums:
        size = self.batches.batch_size
        ids = self.train.ids[self.batches.order(epoch)[: steps * size]]
        return self.learner.sums(ids.tolist(), size)

    def _not_a_number(self, epoch: int, step: int) -> UserError:
        size = self.batches.batch_size
        sums = self._learnt(epoch, step + 1)
        bad = [int(i) for i in sums.ids[step * size :][~np.isfinite(sums.ce_sum[step * size :])]]
        where = {s.id: s for s in self.dataset.slices}
        titles = ", ".join(f"{where[i].subject} slice {where[i].index + 1}" for i in (bad or sums.ids[step * size :]))
        return UserError(
            f"The loss is not a number any more (epoch {epoch}, step {step + 1}, {titles}).",
            "Train again with a smaller learning rate; the last good weights are kept.",
        )

    # ------------------------------------------------------------------ measuring

    def _end_epoch(self, epoch: int, steps: int, start: float, writer: CheckpointWriter) -> None:
        config, name = self.config, self.run.name
        passes = {"learning": self._learnt(epoch, steps)} if steps else {}
        if "val" in self.measures:
            passes["val"] = self.learner.measure(self.measures["val"])
        val = mean_scores(passes["val"], self.subject_of, config.loss) if "val" in passes else Scores()
        self.worked_s += time.monotonic() - start
        before = time.monotonic()
        due = self.probe_spent_s + self.probe_s <= PROBE_SHARE * self.worked_s
        if due or epoch in (1, config.epochs) or steps < self.steps:
            passes["train"] = self.learner.measure(self.measures["train"])
            self.probe_s = time.monotonic() - before
            self.probe_spent_s += self.probe_s if epoch > 1 else 0.0
        train = mean_scores(passes["train"], self.subject_of, config.loss) if "train" in passes else Scores()
        save_sums(self.run.slices_of(epoch), passes)
        self._save_preview(epoch)
        preview = self.run.preview_of(epoch).relative_to(self.run.path).as_posix()
        learning = learning_scores(passes["learning"], self.subject_of, config.loss) if steps else Scores()
        lowest = self.best.get("loss")
        better = self.val is None or not self.best_arrays or (
            val.loss is not None and (lowest is None or val.loss < lowest)
        )  # fmt: skip
        per_label = label_dice(passes["val"], self.subject_of, config.loss) if "val" in passes else ()
        self._checkpoint(epoch, better, val, train, per_label, writer, whole=steps == self.steps)
        self.seconds.append(time.monotonic() - start)
        usual = float(np.median(self.seconds[1:] or self.seconds))
        self.say(EpochEnded(
            time.time(), name, epoch, config.epochs, self.seconds[-1], rate_at(config, epoch * self.steps,
            config.epochs * self.steps), train, val, learning, better, self.run.slices_of(epoch).relative_to(
            self.run.path).as_posix(), usual * (config.epochs - epoch), preview, per_label,
        ))  # fmt: skip

    def _save_preview(self, epoch: int) -> None:
        """Show what the network now makes of one fixed slice, the one with most of its labels on it."""
        shown = self.val if self.val is not None else self.probe
        row = int(np.argmax(((shown.labels > 0) & (shown.labels != IGNORE)).sum((1, 2))))
        logits = self.learner.predict_on_batch(shown.images[row].astype(np.float32)[None, ..., None])
        colours = np.zeros((len(self.plan.card.classes), 3), np.uint8)
        for label in self.dataset.labels:
            colours[self.plan.classes[label.value]] = label.colour
        save_preview(self.run.preview_of(epoch), shown, row, np.asarray(logits), colours, self.val is not None)

    # ------------------------------------------------------------------ keeping

    def _checkpoint(
        self, epoch: int, better: bool, val: Scores, train: Scores, per_label: tuple[float | None, ...],
        writer: CheckpointWriter, whole: bool,
    ) -> None:  # fmt: skip
        arrays = snapshot(self.network, self.optimizer)
        if not all(np.isfinite(v).all() for k, v in arrays.items() if k.startswith("weight/")):
            raise self._not_a_number(epoch, self.steps - 1)
        if better:
            self.best_arrays = {k: v for k, v in arrays.items() if k.startswith("weight/")}
            self.best = {
                "epoch": epoch, "loss": val.loss, "val": asdict(val), "train": asdict(train),
                "val_dice": list(per_label),
            }  # fmt: skip
            writer.put("best", self.best_arrays, {"best": self.best})
        self.epoch = epoch
        if whole:
            self.last_arrays = arrays
            writer.put("last", arrays, {"epoch": epoch, "best": self.best})

    def _write_model(self, stopped: bool) -> Path:
        if not self.best_arrays:
            raise UserError("The run was stopped before anything was learnt.", "Start it again.")
        folder = self.run.project / "models" / self.run.name
        card = self.plan.card
        validation = "phantoms" if self.dataset.phantoms else "people" if self.val is not None else "none"
        labels = dict(zip(card.classes[1:], self.best["val_dice"], strict=False))
        scores = {
            "validation": validation, "note": self.dataset.note, "best_epoch": self.best["epoch"],
            "epochs": self.epoch, "val": self.best["val"], "train": self.best["train"], "val_dice": labels,
            "warnings": [said for said in [head_warning(weights_in(self.best_arrays))] if said],
        }  # fmt: skip
        data = card.to_json() | {"scores": scores, "weights_sha256": "0" * 64}
        write_model(folder, type(card).from_json(data), weights_in(self.best_arrays))
        val = Scores(**self.best["val"])
        self.say(Finished(
            time.time(), self.run.name, str(folder), self.best["epoch"], self.epoch, stopped, val,
            self.plan.parent.card.name if self.plan.parent else "", self.parent_val,
        ))  # fmt: skip
        return folder
