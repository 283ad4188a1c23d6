"""What a person has chosen to see of runs, and the points of their lines that follow from it."""

from dataclasses import dataclass

import numpy as np

from thighview.core.smoothing import smooth
from thighview.ui.curve_data import CurveData, Line
from thighview.ui.curve_lines import Values, limits_of

_NOTHING = np.empty(0, np.float64)


@dataclass(frozen=True)
class Choice:
    """What is shown of each run.

    Parameters
    ----------
    metric : {"loss", "accuracy", "dice"}
        What the lines are of.
    axis : {"epochs", "minutes", "batches"}
        What they are drawn along.
    label : str
        The one label whose lines they are; empty for all.
    log : bool
        Whether a loss is drawn on a logarithmic axis.
    width : float
        Of the smoothing, in epochs; 0 for none.
    """

    metric: str = "dice"
    axis: str = "epochs"
    label: str = ""
    log: bool = False
    width: float = 0.0

    @property
    def per_batch(self) -> bool:
        """Whether the line while learning has a point for each batch."""
        return self.axis == "batches"

    @property
    def logarithmic(self) -> bool:
        """Whether heights are drawn as powers of ten."""
        return self.log and self.metric == "loss"

    def length(self, data: CurveData) -> float:
        """Length of the axis for a run."""
        last = max(1, _epochs_shown(data))
        if self.axis != "minutes" or not data.epochs:
            return 0.0 if self.axis == "minutes" else last
        done = data.epochs[-1].epoch
        return float(data.minutes_at(np.array([float(done)]))[0]) * last / done

    def points(self, data: CurveData, which: str) -> tuple[Line, Line]:
        """A line as it is drawn, and as it is without smoothing (nothing when that is the same)."""
        x, y = data.line(self.metric, which, self.label)
        if self.logarithmic:
            x, y = x[y > 0], y[y > 0]
        places = self.places(data, x)
        if not self.width:
            return (places, y), (_NOTHING, _NOTHING)
        return (places, smooth(x, y, self.width)), (places, y)

    def band(self, data: CurveData, which: str, most: int) -> tuple[Values, Values, Values, bool]:
        """The band of a line as ``CurveData.band`` gives it, its edges no further than the metric goes."""
        x, low, high, complete = data.band(self.metric, which, self.label, most)
        limits = limits_of(self.metric, data.line(self.metric, which, self.label)[1])
        low, high = (np.clip(edge, *limits) for edge in (low, high))
        return x, low, high, complete

    def places(self, data: CurveData, epochs: Values) -> Values:
        """Where these epochs of a run lie on the axis."""
        return data.minutes_at(epochs) if self.axis == "minutes" else epochs


def _epochs_shown(data: CurveData) -> int:
    """Length of the epoch axis: the whole plan, unless it is so long that what is done would be a dot on the left."""
    done = data.epochs[-1].epoch if data.epochs else 0
    return max(done, min(data.planned_epochs, max(40, 3 * done)))
