"""One training run as it goes: built from its frozen set, epoch after epoch, to the model it leaves."""

import contextlib
import math
import time
from collections.abc import Generator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from thighview.core.doubts import head_warning
from thighview.core.errors import UserError
from thighview.core.gap_passes import END_OF_EPOCH, LEARNING, TRAIN, VAL
from thighview.core.run import (
    BatchEnded,
    BatchHalved,
    EpochEnded,
    Finished,
    Paused,
    Scores,
    Started,
    TrainConfig,
)
from thighview.core.sums import Sums, label_dice, learning_scores, mean_scores
from thighview.engine.averaging import Weights, average_warning, averaged
from thighview.engine.batches import Batch, MeasureBatches, TrainBatches, in_parts, prefetched
from thighview.engine.checkpoints import Arrays, CheckpointWriter, read_checkpoint, restore, snapshot, weights_in
from thighview.engine.devices import prepare_device
from thighview.engine.explaining import Explainer
from thighview.engine.judging import answering
from thighview.engine.keeping import Bests
from thighview.engine.learner import Learner, optimizer_of, rate_at
from thighview.engine.loading import load_slices
from thighview.engine.logs import RunLogs
from thighview.engine.measuring import Measuring, gap_event, people_of
from thighview.engine.memory import Room
from thighview.engine.precision import chosen_precision, computing_in
from thighview.engine.recording import NothingLearntError, Voice, not_a_number, save_preview
from thighview.engine.seeding import set_seeds
from thighview.engine.starting import Plan, inherited, make_plan
from thighview.engine.unet import assign_weights, build_network, weights_of
from thighview.io.dataset import update_dataset
from thighview.io.models import ModelEntry, find_model, write_model
from thighview.io.runs import RunFolder, read_control
from thighview.io.slice_table import write_sums
from thighview.io.vetting import vetted_dataset

_BATCH_EVENT_S = 0.2
_CONTROL_S = 0.1
_LOST_BEST = (
    "the weights of epoch {}, the best so far, did not come to the disk before the run was cut; those of epoch {} are "
    "kept until an epoch is better"
)


class _Stop(Exception):  # noqa: N818 - not an error: somebody asked for it
    pass


class TrainingRun:
    """One run of :func:`train`: what it has built, and how far it is."""

    def __init__(self, run: RunFolder, config: TrainConfig, say: Voice) -> None:
        self.run, self.say = run, say
        parent = find_model(config.start_from, run.project) if config.start_from else None
        self.dataset = vetted_dataset(run, parent)
        self.subject_of = self.dataset.subject_of
        self.plan: Plan = make_plan(run.name, self.dataset, config, parent)
        self.config = self.plan.config
        self.device = prepare_device(memory_gb=self.config.gpu_memory_gb)
        self.notes = [n for n in (self.dataset.note, *self.plan.notes) if n]
        loaded = load_slices(run, self.dataset, self.plan, say.preparing)
        self.train, self.val, self.probe = loaded.train, loaded.val, loaded.probe
        self.notes += loaded.notes
        self.replay = loaded.replay
        if loaded.replayed != self.dataset.replay:
            self.dataset = replace(self.dataset, replay=loaded.replayed)
            update_dataset(run, self.dataset)
        self.epoch = 0
        say.preparing("building the network")
        self._build()
        self.logs = RunLogs(run, self.plan.card.classes[1:], say.log)
        self.parent_val = Scores()
        self.best: dict[str, Any] = {}
        self.best_arrays: Arrays = {}
        self.bests = Bests()
        self.seconds: list[float] = []
        self.worked_s = 0.0
        self.ended: EpochEnded | None = None
        self.passes: dict[str, Sums] = {}
        self._looked = self._told = 0.0

    # ------------------------------------------------------------------ building

    def _build(self) -> None:
        config, classes = self.config, len(self.plan.card.classes)
        self.batches = TrainBatches(
            self.train, config.input_size, config.batch_size, config.seed, config.augment, self.plan.mirror,
            self.replay, config.replay,
        )  # fmt: skip
        self.steps = len(self.batches)
        self.total = config.epochs * self.steps
        slots = max(self.steps * self.batches.batch_size, len(self.probe), len(self.val or []))
        self.batches.spare = slots
        self.room = Room(self.run, self.batches.batch_size + self.batches.replayed)
        precision = self.room.within(
            lambda: chosen_precision(self.run, config, classes, self._trial_batch, self.device), self._say_halved
        )
        self.say.log(precision.why)
        self.notes += [n for n in (precision.why * precision.tried, average_warning(config.ema, self.total)) if n]
        self.precision = precision.name
        set_seeds(config.seed)
        with computing_in(precision.name):
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
        self.optimizer = optimizer_of(config, self.total, precision.name)
        self.learner.compile(optimizer=self.optimizer)
        self.optimizer.build(self.learner.trainable_variables)
        explainer = Explainer(self.network, self.learner, len(self.probe), classes) if config.honest else None
        self.measuring = Measuring(self.learner, self.batches, self.probe, self.val, explainer)
        self._averaged = partial(averaged, self.network, self.optimizer, config.ema)
        self._good = snapshot(self.network, self.optimizer)
        if self.room.note:
            self.measuring.in_parts(self.room.at_once)

    def _trial_batch(self) -> Batch:
        return in_parts(self.batches.batch(1, 0), self.room.at_once)[0]

    # ------------------------------------------------------------------ memory

    def _say_halved(self) -> None:
        room, note = self.room, self.room.note
        self.say.log(note)
        self.say(BatchHalved(time.time(), self.run.name, self.epoch + 1, room.at_once, room.batch, note))

    def _step_back(self) -> None:
        """Where the last whole epoch ended, with less in memory at once."""
        self._say_halved()
        self.measuring.in_parts(self.room.at_once)
        restore(self.network, self.optimizer, self._good)

    # ------------------------------------------------------------------ going

    def to_end(self) -> Path:
        """Every epoch that is left, then the model."""
        parent = self.plan.parent
        if parent and self.val and set(self.plan.card.classes) <= set(parent.card.classes):
            self.say.preparing(f"measuring {parent.card.name}, which it starts from")
            passed = self.room.within(lambda: self._of_parent(parent), self._step_back)
            self.parent_val = mean_scores(passed, self.subject_of, self.config.loss)
        self._resume()
        writer = CheckpointWriter(self.run.checkpoint)
        stopped = False
        try:
            self.room.within(lambda: self._epochs(writer), self._step_back)
        except (_Stop, KeyboardInterrupt):
            stopped = True
            self.say.log("stopped")
        finally:
            writer.close()
            self.logs.close()
        if stopped:
            self.room.within(self._measure_last, self._step_back)
        return self._write_model(stopped)

    def _of_parent(self, parent: ModelEntry) -> Sums:
        """The validation pass of the model it starts from, before anything is learnt."""
        classes = self.plan.card.classes
        if len(classes) == len(parent.card.classes):  # its weights still are the network's
            return self.measuring.validation()[VAL]
        assert self.val is not None
        with computing_in(self.precision):
            learner = answering(parent, classes, self.config.loss, len(self.val))
        learner.at_once = self.room.at_once
        return learner.measure(MeasureBatches(self.val, self.batches.batch_size, learner.slice_table.spare))

    def _epochs(self, writer: CheckpointWriter) -> None:
        """All that are left; said anew where an attempt ran out of memory."""
        self._say_started()
        with contextlib.closing(self._stream()) as stream:
            while self.epoch < self.config.epochs and not self.bests.over(self.epoch, self.config.patience):
                self._epoch(self.epoch + 1, stream, writer)

    def _say_started(self) -> None:
        config, notes = self.config, [*self.notes, *filter(None, [self.room.note])]
        self.say(Started(
            time.time(), self.run.name, self.device, config.epochs, self.steps, len(self.train),
            len(self.dataset.subjects("train")), len(self.val or []), len(self.dataset.subjects("validation")),
            bool(self.dataset.phantoms), self.plan.card.classes[1:], self.epoch + 1, "; ".join(notes),
        ))  # fmt: skip
        for note in notes:
            self.say.log(note)

    def _stream(self) -> Generator[Any]:
        first = self.epoch * self.steps

        def make(i: int) -> Any:
            return self.batches.batch(1 + i // self.steps, i % self.steps)

        return prefetched(make, first, self.total - first)

    def _resume(self) -> None:
        last = read_checkpoint(self.run.checkpoint, "last")
        if last is None:
            return
        arrays, facts = last
        restore(self.network, self.optimizer, arrays)
        self._good = arrays
        self.epoch, self.best = int(facts["epoch"]), dict(facts["best"])
        self.bests = Bests.from_json(facts.get("bests", {}))
        best = read_checkpoint(self.run.checkpoint, "best")
        self.best_arrays = best[0] if best else arrays
        if best:
            named, self.best = self.best, dict(best[1]["best"])
            if self.best["epoch"] < named["epoch"]:
                self.notes.append(_LOST_BEST.format(named["epoch"], self.best["epoch"]))
        self.say.log(f"goes on after epoch {self.epoch}")

    def _epoch(self, epoch: int, stream: Generator[Any], writer: CheckpointWriter) -> None:
        start, paused_s = time.monotonic(), 0.0
        for step in range(self.steps):
            try:
                paused_s += self._obey()
            except _Stop:
                if self.best_arrays or not step:  # there is something to keep, or there cannot be
                    raise
                with self._averaged() as own:
                    self._end_epoch(epoch, step, start + paused_s, writer, own)
                raise
            x, y = next(stream)
            if not math.isfinite(self.learner.learn(x, y)):
                raise self._not_a_number(epoch, step)
            self._tell_batch(epoch, step)
        with self._averaged() as own:
            self._end_epoch(epoch, self.steps, start + paused_s, writer, own)

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

    def _tell_batch(self, epoch: int, step: int) -> None:
        now = time.monotonic()
        if now - self._told < _BATCH_EVENT_S and step + 1 < self.steps:
            return
        self._told = now
        scores = learning_scores(self._learnt(epoch, step + 1), self.subject_of, self.config.loss)
        if scores.loss is None:
            raise self._not_a_number(epoch, step)
        self.say(BatchEnded(
            time.time(), self.run.name, epoch, step + 1, self.steps, scores.loss, scores.accuracy, scores.dice
        ))  # fmt: skip

    def _learnt(self, epoch: int, steps: int) -> Sums:
        size = self.batches.batch_size
        ids = self.train.ids[self.batches.order(epoch)[: steps * size]]
        return self.learner.sums(ids.tolist(), size)

    def _not_a_number(self, epoch: int, step: int) -> UserError:
        learnt = self._learnt(epoch, step + 1)
        return not_a_number(f"epoch {epoch}, step {step + 1}", learnt.chosen(learnt.steps == step), self.dataset)

    # ------------------------------------------------------------------ measuring

    def _end_epoch(self, epoch: int, steps: int, start: float, writer: CheckpointWriter, own: Weights) -> None:
        config, name = self.config, self.run.name
        passes = {LEARNING: self._learnt(epoch, steps)} | self.measuring.validation()
        val = mean_scores(passes[VAL], self.subject_of, config.loss) if VAL in passes else Scores()
        self.worked_s += time.monotonic() - start
        whole = steps == self.steps
        ending = epoch == config.epochs or not whole or self.bests.over(epoch, config.patience, val.dice)
        passes |= self.measuring.training(epoch, self.worked_s, epoch == 1 or ending, whole)
        for sums in passes.values():
            if not np.isfinite(sums.ce_sum).all():
                raise not_a_number(f"epoch {epoch}, measured at its end", sums, self.dataset)
        train = mean_scores(passes[TRAIN], self.subject_of, config.loss) if TRAIN in passes else Scores()
        write_sums(self.run.slices_of(epoch), epoch, passes, self.subject_of, self.plan.card.classes)
        self._save_preview(epoch)
        preview = self.run.preview_of(epoch).relative_to(self.run.path).as_posix()
        learning = learning_scores(passes[LEARNING], self.subject_of, config.loss)
        lowest = self.best.get("loss")
        better = self.val is None or not self.best_arrays or (
            val.loss is not None and (lowest is None or val.loss < lowest)
        ) or self.best.get("epoch") == epoch  # killed after the best was written, and done again  # fmt: skip
        per_label = label_dice(passes[VAL], self.subject_of, config.loss) if VAL in passes else ()
        self._checkpoint(epoch, better, val, train, per_label, writer, own, whole)
        self.seconds.append(time.monotonic() - start)
        usual = float(np.median(self.seconds[1:] or self.seconds))
        ended = EpochEnded(
            time.time(), name, epoch, config.epochs, self.seconds[-1], rate_at(config, epoch * self.steps,
            self.total), train, val, learning, better, self.run.slices_of(epoch).relative_to(
            self.run.path).as_posix(), usual * (config.epochs - epoch), preview, per_label,
            *people_of(passes, self.subject_of, config.loss),
        )  # fmt: skip
        self.say(ended)
        self.logs.add(ended)
        self.ended, self.passes = ended, passes
        if END_OF_EPOCH in passes:
            size, made_up = self.batches.batch_size, bool(self.dataset.phantoms)
            self.say(gap_event(name, epoch, passes, self.subject_of, config.loss, size, made_up))

    def _measure_last(self) -> None:
        """Where a stopped run has not measured its training people at its last epoch, do so at the weights it had."""
        last, ended = read_checkpoint(self.run.checkpoint, "last"), self.ended
        if ended is None or ended.train.loss is not None or last is None or last[1]["epoch"] != ended.epoch:
            return
        restore(self.network, self.optimizer, last[0])
        with self._averaged():
            self.passes |= self.measuring.training(ended.epoch, self.worked_s, must=True, explain=False)
        write_sums(self.run.slices_of(ended.epoch), ended.epoch, self.passes, self.subject_of, self.plan.card.classes)
        train = mean_scores(self.passes[TRAIN], self.subject_of, self.config.loss)
        people = people_of(self.passes, self.subject_of, self.config.loss)[0]
        self.say(replace(ended, time=time.time(), train=train, train_people=people))

    def _save_preview(self, epoch: int) -> None:
        """Show what the network now makes of one fixed slice, the one with most of its labels on it."""
        shown = self.val if self.val is not None else self.probe
        row = shown.fullest
        logits = self.learner.predict_on_batch(shown.images[row].astype(np.float32)[None, ..., None])
        colours = self.plan.colours(self.dataset.labels)
        save_preview(self.run.preview_of(epoch), shown, row, np.asarray(logits), colours, self.val is not None)

    # ------------------------------------------------------------------ keeping

    def _checkpoint(
        self, epoch: int, better: bool, val: Scores, train: Scores, per_label: tuple[float | None, ...],
        writer: CheckpointWriter, own: Weights, whole: bool,
    ) -> None:  # fmt: skip
        arrays = snapshot(self.network, self.optimizer)
        if not all(np.isfinite(v).all() for k, v in arrays.items() if k.startswith("weight/")):
            raise self._not_a_number(epoch, self.steps - 1)
        weights = {k: v for k, v in arrays.items() if k.startswith("weight/")}
        for file, reached in self.bests.take(epoch, train.loss, val.dice).items():
            writer.put(file, weights, {"epoch": epoch, "score": reached.score})
        if better:
            self.best_arrays = weights
            self.best = {
                "epoch": epoch, "loss": val.loss, "val": asdict(val), "train": asdict(train),
                "val_dice": list(per_label),
            }  # fmt: skip
            writer.put("best", self.best_arrays, {"best": self.best})
        self.epoch = epoch
        if whole:
            self._good = arrays | {f"weight/{name}": array for name, array in own.items()}
            writer.put("last", self._good, {"epoch": epoch, "best": self.best, "bests": self.bests.to_json()})

    def _write_model(self, stopped: bool) -> Path:
        if not self.best_arrays:
            raise NothingLearntError("The run was stopped before anything was learnt.", "Start it again.")
        early = not stopped and self.epoch < self.config.epochs
        if early:
            self.say.log(f"ends early: {self.config.patience} epochs without a better validation Dice")
        folder = self.run.project / "models" / self.run.name
        card = self.plan.card
        validation = "phantoms" if self.dataset.phantoms else "people" if self.val is not None else "none"
        labels = dict(zip(card.classes[1:], self.best["val_dice"], strict=False))
        scores = {
            "validation": validation, "note": self.dataset.note, "best_epoch": self.best["epoch"],
            "epochs": self.epoch, "val": self.best["val"], "train": self.best["train"], "val_dice": labels,
            "warnings": [said for said in [head_warning(weights_in(self.best_arrays))] if said],
        }  # fmt: skip
        replayed = asdict(self.dataset.replay) if self.dataset.replay else None
        lineage = card.lineage | {"replay": replayed}
        data = card.to_json() | {"scores": scores, "lineage": lineage, "weights_sha256": "0" * 64}
        write_model(folder, type(card).from_json(data), weights_in(self.best_arrays))
        val = Scores(**self.best["val"])
        self.say(Finished(
            time.time(), self.run.name, str(folder), self.best["epoch"], self.epoch, stopped, val,
            self.plan.parent.card.name if self.plan.parent else "", self.parent_val, early,
        ))  # fmt: skip
        return folder
