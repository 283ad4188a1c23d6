"""Room in memory: telling that it ran out, and how many slices of a batch a run works on at once."""

import contextlib
import json
from collections.abc import Callable
from typing import TypeVar

from thighview.core.errors import UserError
from thighview.io.atomic import write_json_atomic
from thighview.io.runs import RunFolder

T = TypeVar("T")
_KINDS = ("ResourceExhaustedError", "OutOfMemoryError")
"""TensorFlow's and PyTorch's own errors for it."""
_LOOSE = ("RuntimeError", "XlaRuntimeError", "JaxRuntimeError", "InternalError", "AcceleratorError")
"""Errors that may mean anything: JAX, Apple GPUs, and what a driver says within TensorFlow come as one of these."""
_WORDS = ("resource_exhausted", "out of memory", "out_of_memory", "allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of TensorFlow, PyTorch, JAX or numpy says that there was not enough memory."""
    kind, text = type(error).__name__, str(error).lower()
    if isinstance(error, MemoryError) or kind in _KINDS:
        return True
    return kind in _LOOSE and any(word in text for word in _WORDS)


class Room:
    """How many slices of a batch are in memory at once: all of them, until that turns out to be too many.

    What was found is kept in the run's folder, ``memory.json``: a run that goes on does not run into it again.

    Parameters
    ----------
    run : RunFolder
    batch : int
        Slices of a step.
    """

    def __init__(self, run: RunFolder, batch: int) -> None:
        self._kept = run.path / "memory.json"
        self.batch = self.at_once = batch
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            self.at_once = min(max(int(json.loads(self._kept.read_text("utf-8"))["at_once"]), 1), batch)

    @property
    def note(self) -> str:
        """A sentence where a batch is worked on in parts, else an empty string."""
        if self.at_once == self.batch:
            return ""
        return (
            f"the memory does not hold {self.batch} slices at once: a step takes them {self.at_once} at a time and "
            "still learns from all of them together"
        )

    def within(self, work: Callable[[], T], halved: Callable[[], object]) -> T:
        """Do the work, again with half as many slices at once whenever it runs out of memory.

        Parameters
        ----------
        work : callable
        halved : callable
            Called before each new attempt, when ``at_once`` is the smaller number already.

        Raises
        ------
        UserError
            When a single slice is too much.
        """
        while True:
            try:
                return work()
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if self.at_once == 1:
                    raise UserError(
                        "The memory does not hold a single slice of this run.",
                        "Train again with a smaller input size or network, or close other programs first.",
                    ) from error
            # outside of the handler: the error holds the frames, and they hold what filled the memory
            self.at_once //= 2
            write_json_atomic(self._kept, {"at_once": self.at_once})
            halved()
