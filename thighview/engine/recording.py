"""What a run leaves behind for others to read: events, log lines, previews."""

import contextlib
import time
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thighview.core.errors import UserError
from thighview.core.run import Failed, Preparing, RunEvent
from thighview.core.sums import Sums
from thighview.engine.batches import Slices
from thighview.engine.memory import is_out_of_memory
from thighview.engine.preprocess import classes_of
from thighview.io.atomic import write_atomic
from thighview.io.dataset import Dataset
from thighview.io.runs import EventLog, RunFolder, at_work, last_log_lines

Emit = Callable[[RunEvent], None]
_MOST_NAMED = 16


class NothingLearntError(UserError):
    """Somebody has ended a run before it had anything to keep."""


class Voice:
    """Events to the file and to whoever listens, lines to ``log.txt``; a listener that is gone does not matter."""

    def __init__(self, run: RunFolder, events: EventLog, emit: Emit | None) -> None:
        self._run, self._events, self._emit = run, events, emit

    def __call__(self, event: RunEvent) -> None:
        """Say an event."""
        try:
            self._events.append(event)
        finally:
            self._tell(event)

    def preparing(self, text: str) -> None:
        """Say what goes on before the first batch, and add it to ``log.txt``."""
        self.log(text)
        self(Preparing(time.time(), self._run.name, text))

    def log(self, text: str) -> None:
        """Add a line to ``log.txt``."""
        with self._run.log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%H:%M:%S')} {text.rstrip()}\n")

    def _tell(self, event: RunEvent) -> None:
        if self._emit:
            try:
                self._emit(event)
            except OSError:
                self._emit = None


@contextlib.contextmanager
def speaking(run: RunFolder, emit: Emit | None) -> Generator[Voice]:
    """Hold the lock of a run, or of a study, and speak for it; an error is its last word, and goes on.

    A command holds as long as the process it was given to: one that a dead process left does not hold any more.
    """
    stale = run.lock.exists() and not run.alive
    with at_work(run):
        if stale:
            run.control.unlink(missing_ok=True)
        events = EventLog(run)
        say = Voice(run, events, emit)
        try:
            yield say
        except Exception as error:
            failure = explain(error)
            with contextlib.suppress(OSError):  # where there is no room for it, the reason still goes on
                say.log(traceback.format_exc() if failure is not error else f"{failure}")
            stopped = isinstance(error, NothingLearntError)
            with contextlib.suppress(OSError):
                lines = () if stopped else last_log_lines(run)
                say(Failed(time.time(), run.name, failure.message, failure.hint, lines, stopped))
            if failure is error:
                raise
            raise failure from error
        finally:
            events.close()
            run.control.unlink(missing_ok=True)


def explain(error: Exception) -> UserError:
    """What ended a run, as a refusal that says what to do; one of ours stays as it is."""
    if isinstance(error, UserError):
        return error
    if is_out_of_memory(error):
        return UserError(
            "There is not enough memory for this run.",
            "Close other programs, then resume it; or train again with a smaller input size, network or training set.",
        )
    if isinstance(error, OSError):
        return UserError(f"The run could not write or read a file: {error}.", "Make room on the disk, then resume it.")
    return UserError(f"The training ended with an error of the program: {type(error).__name__}: {str(error)[:300]}.")


def not_a_number(where: str, sums: Sums, dataset: Dataset) -> UserError:
    """That the loss became NaN or infinite somewhere in a run (``epoch 3, step 2``), and on which of these slices."""
    bad = sums.ids[~np.isfinite(sums.ce_sum)]
    known = {s.id: s for s in dataset.slices}
    slices = [known[int(i)] for i in (bad if len(bad) else sums.ids)[:_MOST_NAMED]]
    titles = ", ".join(f"{s.subject} slice {s.index + 1}" for s in slices)
    return UserError(
        f"The loss is not a number any more ({where}, {titles}).",
        "Train again with a smaller learning rate; the last good weights are kept.",
    )


def save_preview(
    path: Path,
    slices: Slices,
    row: int,
    logits: NDArray[np.floating],
    colours: NDArray[np.uint8],
    is_validation: bool,
) -> None:
    """One slice as the network sees it (rows towards posterior, columns towards the patient's left).

    The file holds ``image`` uint8 (h, w); ``truth`` and ``prediction`` uint8 (h, w), classes, 255 where nothing
    counts; ``colours`` uint8 (C, 3) of the classes; ``slice_id``; ``is_validation``.
    """
    image = slices.images[row].astype(np.float32)
    low, high = (float(v) for v in np.percentile(image, (0.5, 99.5)))
    grey = np.clip((image - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
    shown = {
        "image": grey,
        "truth": slices.labels[row],
        "prediction": classes_of(logits)[0],
        "colours": colours,
        "slice_id": slices.ids[row],
        "is_validation": np.array(is_validation),
    }
    path.parent.mkdir(exist_ok=True)

    def write(file: Any) -> None:
        np.savez_compressed(file, allow_pickle=False, **shown)

    write_atomic(path, write)
