"""One step of the optimiser from the gradients of several parts of a batch."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops as keras_ops

ops: Any = keras_ops


class GradientSum(keras.optimizers.Optimizer):
    """Adds up what each part of a batch says, and has another optimiser take one step along the sum.

    A network compiled with it learns nothing from ``train_on_batch`` alone; :meth:`step` makes the step. To the
    optimiser behind it a batch in parts is a batch: its count of steps, learning rate, clipping, weight decay,
    averaged weights and loss scaling are those of whole batches, and so are its variables in a checkpoint.

    Why not ``gradient_accumulation_steps`` (read in Keras 3.15.1): there a schedule is asked at the count of parts, so
    the rate falls as many times too fast; averaged weights are averaged at every part; parts of unequal size count
    alike; and a part that loss scaling throws away shifts the parts of all later steps.

    Parameters
    ----------
    follower : keras.optimizers.Optimizer
        Takes the steps; built for the same variables.
    """

    def __init__(self, follower: keras.optimizers.Optimizer) -> None:
        super().__init__(learning_rate=1.0)
        self.follower = follower

    def build(self, variables: Sequence[Any]) -> None:
        """Make room for one sum per variable."""
        super().build(variables)
        self._weight = self.add_variable((), "ones", "float32", name="weight")
        self._sums = [self.add_variable_from_reference(v, name="sum") for v in variables]

    def weigh(self, share: float) -> None:
        """Say how much the next part counts in its batch; the parts of a batch add up to 1."""
        self._weight.assign(share * float(self.follower.scale_loss(1.0)))

    def scale_loss(self, loss: Any) -> Any:
        """The loss of a part, weighed; as large as the follower wants it, lest small gradients become 0."""
        return loss * self._weight

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Add a gradient to the sum of its variable, which stays as it is."""
        total: Any = self._sums[self._get_variable_index(variable)]
        self.assign_add(total, ops.cast(gradient, total.dtype))

    def step(self) -> None:
        """Have the follower take its step along the sums, and begin anew."""
        self.follower.apply([ops.convert_to_tensor(total) for total in self._sums], self._trainable_variables)
        for total in self._sums:
            total.assign(ops.zeros(total.shape, total.dtype))
