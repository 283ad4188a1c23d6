"""What is measured at the end of an epoch, and when: validation always, training people as often as it costs little."""

import time
from collections.abc import Mapping

from thighview.core.gap_passes import TRAIN, VAL, gaps_of
from thighview.core.run import GapMeasured, PersonScores
from thighview.core.sums import Sums, person_scores
from thighview.engine.batches import MeasureBatches, Slices, TrainBatches
from thighview.engine.explaining import Explainer
from thighview.engine.learner import Learner

PROBE_SHARE = 0.05
"""Largest share of a run's time that measuring the training people may cost."""


class Measuring:
    """The passes of a run at the weights of an epoch's end.

    Parameters
    ----------
    learner : Learner
    batches : TrainBatches
        Of the run.
    probe : Slices
        Of the training people who are measured.
    val : Slices or None
        None where nobody validates.
    explainer : Explainer or None
        Makes the passes that explain a gap; None for none.
    """

    def __init__(
        self, learner: Learner, batches: TrainBatches, probe: Slices, val: Slices | None, explainer: Explainer | None
    ) -> None:
        self._learner, self._batches, self._probe, self._explainer = learner, batches, probe, explainer
        size, spare = batches.batch_size, learner.slice_table.spare
        self._training = MeasureBatches(probe, size, spare)
        self._validation = None if val is None else MeasureBatches(val, size, spare)
        self._passed = False
        self._cost_s = self._spent_s = 0.0

    def in_parts(self, at_once: int) -> None:
        """From now on learn and measure with at most ``at_once`` slices in memory together."""
        self._learner.learn_in_parts(at_once)
        if self._explainer:
            self._explainer.in_parts(at_once)

    def validation(self) -> dict[str, Sums]:
        """The pass over the validation slices, by its name; empty where nobody validates."""
        return {} if self._validation is None else {VAL: self._learner.measure(self._validation)}

    def training(self, epoch: int, worked_s: float, must: bool, explain: bool) -> dict[str, Sums]:
        """The passes over the training people by their names; empty when they would cost too much now.

        Parameters
        ----------
        epoch : int
        worked_s : float
            Seconds the run has worked so far without these passes.
        must : bool
            Whether they are made whatever they cost.
        explain : bool
            Whether the epoch can be explained: it is whole.
        """
        if not must and self._spent_s + self._cost_s > PROBE_SHARE * worked_s:
            return {}
        start = time.monotonic()
        passes = {TRAIN: self._learner.measure(self._training)}
        if explain and self._explainer and self._validation is not None:
            passes |= self._explainer.passes(self._probe, self._batches, epoch)
        if self._passed:  # the first pass of a process builds its functions, too: that is no measure
            self._cost_s = time.monotonic() - start
            self._spent_s += self._cost_s
        self._passed = True
        return passes


def people_of(
    passes: Mapping[str, Sums], subjects: Mapping[int, str], kind: str
) -> tuple[tuple[PersonScores, ...], ...]:
    """The training people and the validation people of an epoch; empty where they were not measured."""
    return tuple(tuple(person_scores(passes[n], subjects, kind)) if n in passes else () for n in (TRAIN, VAL))


def gap_event(
    run: str, epoch: int, passes: Mapping[str, Sums], subjects: Mapping[int, str], kind: str, batch_size: int,
    made_up: bool,
) -> GapMeasured:  # fmt: skip
    """Why training and validation differ after an epoch whose passes were all made."""
    gaps = gaps_of(passes, subjects, kind, batch_size, made_up=made_up)
    return GapMeasured(time.time(), run, epoch, gaps)
