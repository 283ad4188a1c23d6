"""A training run, from a frozen set to a model folder; everything it says goes through events."""

import contextlib
import time
import traceback
from pathlib import Path

from thighview.core.errors import UserError
from thighview.core.run import Failed, TrainConfig
from thighview.engine.devices import lower_priority
from thighview.engine.keeping import is_over
from thighview.engine.recording import Emit, Voice, explain
from thighview.engine.training_run import TrainingRun
from thighview.io.dataset import freeze, read_dataset
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
    if written and is_over(run.checkpoint, config):
        raise UserError(f"The run {run.name!r} is finished.", "Start a new run; it can start from this model.")
    read_dataset(run)  # one that this program cannot read is left as it is
    stale = run.lock.exists() and not run.alive
    with at_work(run):
        if stale:
            run.control.unlink(missing_ok=True)
        events = EventLog(run)
        say = Voice(run, events, emit)
        try:
            return TrainingRun(run, config, say).to_end()
        except Exception as error:
            failure = explain(error)
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
