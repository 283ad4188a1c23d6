"""Why validation and training differ, in full: further passes at the checkpoints that a finished run has left.

The run itself measures the parts that cost a few passes. Here, for the epoch it keeps and its last one, comes what
takes more: averaged weights against the network's own, the optimism of choosing the best epoch, and how hard the
validation people are by themselves.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from thighview.core.errors import UserError
from thighview.core.gap import Gap
from thighview.core.gap_passes import (
    END_OF_EPOCH,
    INFERENCE,
    LEARNING,
    OWN,
    TRAIN,
    VAL,
    Judged,
    gaps_of,
    in_full,
    label_gaps_of,
)
from thighview.core.run import EpochEnded, PersonScores, RunEvent, Started
from thighview.core.selection import best_epoch, unchosen
from thighview.core.sums import Sums, person_scores
from thighview.engine.averaging import averaged
from thighview.engine.batches import MeasureBatches, TrainBatches
from thighview.engine.checkpoints import Arrays, read_checkpoint, restore, weights_in
from thighview.engine.devices import lower_priority, prepare_device
from thighview.engine.explaining import Explainer
from thighview.engine.judging import find_judge, judged_by, judged_by_folds
from thighview.engine.learner import Learner, optimizer_of
from thighview.engine.loading import load_slices
from thighview.engine.memory import Room, is_out_of_memory
from thighview.engine.precision import chosen_precision, computing_in
from thighview.engine.seeding import set_seeds
from thighview.engine.starting import make_plan
from thighview.engine.unet import assign_weights, build_network
from thighview.io.dataset import read_dataset
from thighview.io.gap_file import EpochInFull, GapsInFull, write_gaps
from thighview.io.models import find_model, find_models
from thighview.io.runs import EventTail, RunFolder, read_config
from thighview.io.slice_table import read_sums
from thighview.io.vetting import need_same_start

STEPS = 5
_PASSES = (END_OF_EPOCH, INFERENCE, TRAIN, VAL)
_MADE_UP = "Harder or easier people: validation is made-up thighs; how hard they are says nothing about people."
_NO_JUDGE = (
    "Harder or easier people: no study in folds has scored all of them, and no model here knows all these labels and "
    "was trained on none of these people, so what is hard cannot be told from what is new."
)


class Report(Protocol):
    """How far it is, and with what."""

    def __call__(self, done: int, total: int) -> None:
        """So many of so many steps are done."""
        ...

    def say(self, message: object) -> None:
        """What it is at, in words."""
        ...


def explain_run(folder: str, report: Report) -> dict[str, Any]:
    """:class:`OnDemand` for a child process of the window; leaves ``gap.json`` in the run folder, and gives the same.

    Raises
    ------
    UserError
        When the run goes on, nobody validates in it, or what it left does not suffice.
    """
    lower_priority()
    run = RunFolder(Path(folder))
    try:
        found = OnDemand(run, report).in_full()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            "The memory does not hold what measuring this run takes.", "Close other programs, then measure again."
        ) from error
    write_gaps(run, found)
    return found.to_json()


def history_of(events: list[RunEvent]) -> dict[int, EpochEnded]:
    """The epochs of a run by number, as they hold: one that was said again replaces what came before."""
    epochs: dict[int, EpochEnded] = {}
    for event in events:
        if isinstance(event, Started):
            epochs = {k: e for k, e in epochs.items() if k < event.first_epoch}
        elif isinstance(event, EpochEnded):
            epochs[event.epoch] = event
    return epochs


class OnDemand:
    """A run, its frozen set and what it has left, with a network to put its weights into."""

    def __init__(self, run: RunFolder, report: Report) -> None:
        if run.alive:
            raise UserError(f"The run {run.name!r} is going on.", "Measure again when it has ended.")
        self._run, self._report = run, report
        report(0, STEPS)
        report.say("Reading the slices…")
        given = read_config(run)
        device = prepare_device(memory_gb=given.gpu_memory_gb)
        parent = find_model(given.start_from, run.project) if given.start_from else None
        self._dataset = read_dataset(run)
        need_same_start(run, self._dataset, parent)
        plan = make_plan(run.name, self._dataset, given, parent)
        self._plan = replace(plan, config=replace(plan.config, replay=0.0))  # replayed slices are in no gap
        self._loaded = load_slices(run, self._dataset, self._plan, lambda _line: None)
        if self._loaded.val is None:
            raise UserError("Nobody validates in this run, so there is no gap to explain.")
        self._val = self._loaded.val
        self._config, self._subjects = self._plan.config, self._dataset.subject_of
        self._history = history_of(EventTail(run.events).read_all())
        self._build(device)
        report(1, STEPS)

    def _build(self, device: str) -> None:
        config, classes = self._config, len(self._plan.card.classes)
        self._batches = TrainBatches(
            self._loaded.train, config.input_size, config.batch_size, config.seed, config.augment, self._plan.mirror
        )
        slots = max(len(self._loaded.probe), len(self._val))
        precision = chosen_precision(self._run, config, classes, lambda: self._batches.batch(1, 0), device).name
        set_seeds(config.seed)  # what dropout drops, where no checkpoint says
        with computing_in(precision):
            self._network = build_network(
                config.architecture, classes, config.base_filters, config.levels, config.dropout, None
            )
        self._learner = Learner(self._network, config.loss, slots, classes)
        self._optimizer = optimizer_of(config, config.epochs * len(self._batches), precision)
        self._learner.compile(optimizer=self._optimizer)
        self._optimizer.build(self._learner.trainable_variables)
        self._explainer = Explainer(self._network, self._learner, len(self._loaded.probe), classes)
        self._learner.at_once = Room(self._run, self._batches.batch_size).at_once  # as few as the run had to take
        self._explainer.in_parts(self._learner.at_once)

    # ------------------------------------------------------------------ all of it

    def in_full(self) -> GapsInFull:
        """The epoch that is kept, then the last one, each with all its parts."""
        best = read_checkpoint(self._run.checkpoint, "best")
        last = read_checkpoint(self._run.checkpoint, "last")
        if best is None:
            raise UserError("The run has left no checkpoint to measure.", "Start a new run.")
        kept = int(best[1]["best"]["epoch"])
        end = int(last[1]["epoch"]) if last else kept
        passes: dict[int, dict[str, Sums]] = {}
        self._report.say(f"Measuring epoch {kept}, which is kept…")
        passes[kept] = self._known(kept)
        if not all(name in passes[kept] for name in _PASSES):
            assign_weights(self._network, weights_in(best[0]))
            passes[kept] = self._measure(kept) | passes[kept]
        self._report(2, STEPS)
        reasons: dict[int, str] = {}
        if last:
            self._report.say(f"Measuring epoch {end}, the last…")
            reasons[end] = self._add_last(end, last[0], passes.setdefault(end, self._known(end)))
        self._report(3, STEPS)
        self._report.say("Judging how hard the people are by themselves…")
        judged = self._judged()
        self._report(4, STEPS)
        epochs = tuple(self._epoch(k, kept, passes[k], reasons.get(k), judged) for k in sorted(passes))
        self._report(STEPS, STEPS)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return GapsInFull(now, max(self._history, default=end), kept, epochs)

    def _known(self, epoch: int) -> dict[str, Sums]:
        """The passes that the run itself made at an epoch."""
        return read_sums(self._run.slices_of(epoch))

    def _measure(self, epoch: int) -> dict[str, Sums]:
        """The passes with the weights that the network has now."""
        size, spare = self._batches.batch_size, self._learner.slice_table.spare
        parts = {TRAIN: self._loaded.probe, VAL: self._val}
        plain = {name: self._learner.measure(MeasureBatches(part, size, spare)) for name, part in parts.items()}
        return plain | self._explainer.passes(self._loaded.probe, self._batches, epoch)

    def _add_last(self, epoch: int, arrays: Arrays, passes: dict[str, Sums]) -> str:
        """Make the passes at the last epoch that lack; why the part of averaged weights lacks, empty where it does not.

        The last checkpoint has the network's own weights, and the averaged ones beside its optimiser.
        """
        lacking = not all(name in passes for name in _PASSES)
        if not self._config.ema:
            if lacking:
                assign_weights(self._network, weights_in(arrays))
                passes |= self._measure(epoch) | passes
            return ""
        try:
            restore(self._network, self._optimizer, arrays)
        except UserError as error:
            return f"Averaged weights: {error.message}"
        own = self._measure(epoch)
        passes |= {new: own[name] for name, new in OWN.items()}
        if lacking:
            with averaged(self._network, self._optimizer, self._config.ema):
                passes |= self._measure(epoch) | passes
        return ""

    # ------------------------------------------------------------------ one epoch

    def _epoch(
        self, epoch: int, kept: int, passes: Mapping[str, Sums], averages: str | None, judged: Judged | str
    ) -> EpochInFull:
        if cut := _stopped_within(epoch, passes):
            return EpochInFull(epoch, (), (cut,))
        config, labels = self._config, self._plan.card.classes[1:]
        made_up = bool(self._dataset.phantoms)
        train, val = (person_scores(passes[name], self._subjects, config.loss) for name in (TRAIN, VAL))
        table = {k: e.val_people for k, e in self._history.items() if e.val_people}
        chosen, why_not = self._chosen_among(epoch, kept, table)
        missing = [why_not, "" if isinstance(judged, Judged) else judged]
        if config.ema:
            late = "Averaged weights: only those of the last epoch are kept beside the network's own; “Still learning” "
            missing.insert(0, late + "holds them here." if averages is None else averages)
        gaps: list[Gap] = []
        if all(name in passes for name in _PASSES):
            whole = gaps_of(passes, self._subjects, config.loss, self._batches.batch_size, made_up=made_up)
            each = label_gaps_of(passes, self._subjects, config.loss, labels, made_up)
            judge = judged if isinstance(judged, Judged) else None
            without = unchosen(chosen) if chosen else []
            gaps = [
                in_full(gap, train, val, without, judge, labels.index(gap.label) if gap.label else None)
                for gap in (*whole, *each)
            ]
        return EpochInFull(epoch, tuple(gaps), tuple(said for said in missing if said))

    def _chosen_among(
        self, epoch: int, kept: int, table: dict[int, tuple[PersonScores, ...]]
    ) -> tuple[dict[int, tuple[PersonScores, ...]] | None, str]:
        """The table in which the epoch is the best, or None and why choosing is no part of it."""
        if epoch != kept:
            return None, f"Best epoch chosen: epoch {epoch} was not chosen; epoch {kept} is the one that is kept."
        if not table:
            return None, "Best epoch chosen: this run did not note each person's scores."
        if len({p.subject for people in table.values() for p in people}) < 2:
            return None, "Best epoch chosen: with one validation person nobody is left to choose without them."
        if best_epoch(table) != kept:
            return None, "Best epoch chosen: the scores that were noted do not name the epoch that is kept."
        return table, ""

    def _judged(self) -> Judged | str:
        """The people as networks see them that were never trained on them, or why there are none."""
        if self._dataset.phantoms:
            return _MADE_UP
        probed = {self._subjects[int(i)] for i in self._loaded.probe.ids}
        others = set(self._dataset.subjects("validation"))
        compared = probed | others
        labels = self._plan.card.classes[1:]
        in_folds = judged_by_folds(self._run.project, labels, self._config.loss, probed, others)
        if in_folds:
            return in_folds
        parent = [self._plan.parent] if self._plan.parent else []
        models = [*parent, *find_models(self._run.project)]
        judge = find_judge(self._plan, self._dataset, compared, models)
        if judge is None:
            return _NO_JUDGE
        try:
            return judged_by(judge, self._run, self._dataset, self._plan)
        except UserError as error:
            return f"Harder or easier people: {judge.card.name} cannot judge them. {error.message}"


def _stopped_within(epoch: int, passes: Mapping[str, Sums]) -> str:
    """That an epoch did not learn from all the slices that are measured at its end; empty where it did."""
    learning, measured = passes.get(LEARNING), passes.get(TRAIN)
    if learning is None:
        return f"Epoch {epoch} was stopped before its first step, so it has no training score."
    if measured is not None and not {*measured.ids.tolist()} <= {*learning.ids.tolist()}:
        return f"Epoch {epoch} was stopped before its end, so its training score is of other slices."
    return ""
