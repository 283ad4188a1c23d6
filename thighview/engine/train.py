"""A training run, from a frozen set to a model folder; everything it says goes through events."""

from dataclasses import replace
from pathlib import Path

from thighview.core.errors import UserError
from thighview.core.run import TrainConfig
from thighview.engine.devices import lower_priority
from thighview.engine.keeping import is_over
from thighview.engine.recording import Emit, speaking
from thighview.engine.training_run import TrainingRun
from thighview.io.dataset import freeze, read_dataset
from thighview.io.models import find_model
from thighview.io.project import Project
from thighview.io.runs import RunFolder, free_run_name, read_config, run_folder


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
    config = starting_from(config or TrainConfig(), start_from)
    if config.start_from:  # by its place: a model of this name may come into the project, the run's own for one
        config = replace(config, start_from=str(find_model(config.start_from, project).folder.absolute()))
    opened = Project.open(project)
    try:
        freeze(opened, run, config)
    finally:
        opened.close()
    return train(run, config, emit)


def starting_from(config: TrainConfig, start_from: str | None) -> TrainConfig:
    """The settings with another model to start from: None leaves it, ``none`` is random weights."""
    if start_from is None:
        return config
    return replace(config, start_from="" if start_from.lower() == "none" else start_from)


def train(run: RunFolder, config: TrainConfig, emit: Emit | None = None) -> Path:
    """Train a frozen run to its end, from its last checkpoint if there is one; returns the model folder.

    Reads only the run folder, the sources and the model it starts from. ``control`` in the run folder pauses and
    stops it. On an error the run says Failed, keeps its checkpoints, and the error goes on.
    """
    written = (run.project / "models" / run.name / "card.json").exists()
    if written and is_over(run.checkpoint, config):
        raise UserError(f"The run {run.name!r} is finished.", "Start a new run; it can start from this model.")
    read_dataset(run)  # one that this program cannot read is left as it is
    with speaking(run, emit) as say:
        return TrainingRun(run, config, say).to_end()
