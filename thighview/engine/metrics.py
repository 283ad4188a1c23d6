"""The table a pass over slices writes its sums into; what follows from them is in ``core.sums``."""

from typing import Any

import keras
import numpy as np
from keras import ops as keras_ops
from numpy.typing import NDArray

from thighview.core.sums import PER_CLASS, PLAIN
from thighview.engine.losses import SliceTerms, class_logits, counted, one_hot

ops: Any = keras_ops


class SliceTable(keras.metrics.Metric):
    """One row of sums per slice, scattered by its place in the pass.

    The place ("slot") of each slice travels with the labels (``y = {"labels", "slots", "weights"}``), and
    ``engine.learner.Learner`` hands both to ``update_state`` in Keras' own ``compute_metrics`` hook; so no step is
    bound to a backend, and it does not matter in which order or on which device batches run. A row is overwritten
    by the next pass and never summed into, so ``reset_state`` has nothing to do: ``train_on_batch`` calls it before
    every batch, and a whole epoch must survive that.

    Parameters
    ----------
    slots : int
        Rows of the longest pass; one more row takes the slices that only fill up a batch.
    classes : int
        C, the background among them.
    """

    def __init__(self, slots: int, classes: int) -> None:
        super().__init__(name="slice_table", dtype="float32")
        self.spare = slots
        self.table = self.add_variable(
            shape=(slots + 1, PLAIN + len(PER_CLASS) * classes), initializer="zeros", name="table"
        )

    def update_state(self, terms: SliceTerms, labels: Any, logits: Any, slots: Any) -> None:
        """Write the rows of one batch; ``terms`` are its soft sums, the hard ones are counted at the arg-max."""
        z = class_logits(logits)
        classes = z.shape[-1]
        y = one_hot(labels, classes)
        chosen = one_hot(ops.argmax(z, axis=-1), classes) * ops.expand_dims(counted(labels), -1)
        tp = ops.sum(chosen * y, axis=(1, 2))
        fp = ops.sum(chosen, axis=(1, 2)) - tp
        fn = terms.soft_y - tp
        plain = ops.stack([terms.ce_sum, terms.pixels], axis=-1)
        rows = ops.concatenate([plain, tp, fp, fn, terms.soft_tp, terms.soft_p, terms.soft_y, terms.label_ce], axis=-1)
        self.table.assign(ops.scatter_update(self.table, ops.expand_dims(slots, -1), rows))

    def result(self) -> Any:
        """Share of right pixels in the rows so far (a scalar, because Keras asks for one)."""
        classes = (self.table.shape[1] - PLAIN) // len(PER_CLASS)
        right = ops.sum(self.table[: self.spare, PLAIN : PLAIN + classes])
        return right / ops.maximum(ops.sum(self.table[: self.spare, 1]), 1.0)

    def reset_state(self) -> None:
        """Nothing: see the class."""

    def clear(self) -> None:
        """Zeros everywhere: a backend that gives a failed step its variables away has none left."""
        self.table.assign(ops.zeros(self.table.shape))

    def rows(self, count: int) -> NDArray[np.float32]:
        """The first rows, float32 (count, 2 + 7 C)."""
        return np.array(ops.convert_to_numpy(self.table[:count]), np.float32)
