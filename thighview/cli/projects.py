"""Commands about projects and models: import, train, export."""

import json
from argparse import Namespace
from contextlib import closing
from pathlib import Path
from textwrap import fill
from typing import Any

from thighview.cli.files import need_path, part_to_be_named
from thighview.cli.progress import Progress, say, warn
from thighview.cli.studies import is_study, train_study
from thighview.core.errors import SeveralScansError, UserError
from thighview.core.fine_tuning import FROM_NOTHING, settings_of
from thighview.core.run import BatchEnded, EpochEnded, ExampleStep, Paused, RunEvent, Started
from thighview.io.folders import need_empty

_INDENT = "   "


def import_cases(args: Namespace) -> int:
    """``thighview import PROJECT SOURCE``; a project that was made for it goes again when the import is refused."""
    from thighview.io import importing
    from thighview.io.folders import taken_back
    from thighview.io.project import Project

    need_path(args.source)
    if args.mask is not None:
        need_path(args.mask)
    wish = importing.ImportWish(args.mask, args.resample, args.overlaps, args.part)
    importing.check_source(args.source, wish)
    with taken_back(args.project) as is_ours, closing(Project.open_or_create(args.project)) as project:
        is_ours()
        try:
            with Progress("Reading cases") as bar:
                done = importing.import_cases(project, args.source, wish, bar.report)
        except SeveralScansError as several:
            raise _one_to_be_named(several, args) from several
    print("\n".join((str(done), *done.pairs)))
    return 0


def _one_to_be_named(several: SeveralScansError, args: Namespace) -> UserError:
    """How to take in one scan of several, by what holds them: the image, the mask, or a file of the folder."""
    holder = several.choices[0].path if several.choices else args.source
    if args.mask is not None and holder == args.mask:
        return UserError(several.message, "A mask is one volume: save the one that was drawn on the image by itself.")
    how = "Say which with --part" if args.mask is not None else "Take it in by itself, with --mask and --part"
    return part_to_be_named(several, how)


def export(args: Namespace) -> int:
    """``thighview export PROJECT -o OUT --format nnunet|nifti|dicomseg|nrrd|bids|npz [--deidentify]``."""
    from thighview.io.export_wish import ExportWish
    from thighview.io.exporting import export as write

    if args.burned_in_checked and not args.deidentify:
        raise UserError("--burned-in-checked goes with --deidentify.", "Leave it out.")
    wish = ExportWish(args.format, args.cases, args.deidentify, "all" if args.burned_in_checked else ())
    need_project(args.project)
    project = _open_to_export(args.project)
    try:
        with Progress("Writing cases") as bar:
            done = write(project, args.output, wish, bar.report)
    finally:
        project.close()
    if done is not None:
        for title, why in done.left_out:
            warn(f"{title} was left out: {why}")
        print(" ".join((done.sentence, *done.notes)))
    return 0


def need_project(folder: Path) -> None:
    """Refuse a folder that is no project."""
    from thighview.io.project import DATABASE

    need_path(folder)
    if not (folder / DATABASE).is_file():
        raise UserError(
            f"{folder} is not a thighview project.", "Make one with thighview import, or open a scan in the window."
        )


def _open_to_export(folder: Path) -> Any:
    """The project; for reading only while a window has it."""
    from thighview.io.project import Project

    try:
        return Project.open(folder)
    except UserError:
        return Project.open(folder, writable=False)


def train(args: Namespace) -> int:
    """``thighview train PROJECT`` or ``thighview train --recipe NAME -o FOLDER``."""
    if is_study(args) and (args.example or args.recipe):
        raise UserError("A study trains on a project.", "Leave out --example and --recipe.")
    if args.miniature and not args.example:
        raise UserError("--miniature goes with --example.", "Leave it out.")
    if args.example:
        return _play_example(args)
    if args.recipe:
        return _train_recipe(args)
    if args.project is None:
        raise UserError("Nothing to train on was given.", "Name a PROJECT, or --recipe NAME -o FOLDER.")
    if args.output is not None:
        raise UserError("-o goes with --recipe; a project keeps its models in PROJECT/models.", "Leave -o out.")
    need_project(args.project)
    given = _read_config(args.config) if args.config else {}
    config = settings_of(given, args.start_from) if args.config or args.start_from else None
    if args.start_from not in (None, "none"):
        from thighview.io.models import find_model

        find_model(args.start_from, args.project)
    if is_study(args):
        return train_study(args, config)

    from thighview.engine.devices import prepare_device

    prepare_device()
    from thighview.engine.train import train_main

    with Progress("Training") as bar:
        model = train_main(args.project, args.run, config, args.start_from, _Listener(bar, args.events))
    if not args.events:
        print(f"The model is in {model}.")
    return 0


class _Listener:
    """Prints the events of a run as lines, or draws how far it is."""

    def __init__(self, bar: Progress, as_lines: bool) -> None:
        self._bar, self._as_lines = bar, as_lines
        self._epochs = 1
        self._best = ""

    def __call__(self, event: RunEvent) -> None:
        if self._as_lines:
            print(event.to_line(), flush=True)
        elif isinstance(event, Started):
            self._epochs = event.epochs
            say(f"{event.train_slices} slices of {event.train_subjects} person(s) on {event.device}. {event.note}")
            if FROM_NOTHING in event.note:  # labels are matched by name and side: they may be called otherwise
                warn(event.note)
        elif isinstance(event, Paused) and event.paused:
            say("Paused by a window; it goes on when that says so. Ctrl+C stops it.")
        elif isinstance(event, BatchEnded):
            done = (event.epoch - 1) * event.steps + event.step
            self._bar.report(done, self._epochs * event.steps, f"Epoch {event.epoch} of {self._epochs}{self._best}")
        elif isinstance(event, EpochEnded) and event.val.dice is not None:
            self._best = f", validation Dice {event.val.dice:.3f}"


def _play_example(args: Namespace) -> int:
    if args.example != "puzzle":
        raise UserError(f"There is no example {args.example!r}.", "There is one: puzzle.")
    if args.project is not None or args.output is not None or args.config or args.run or args.start_from or args.recipe:
        raise UserError("An example has its own data and settings.", "Give --example puzzle alone, or with --events.")

    from thighview.engine.devices import prepare_device

    prepare_device()
    from thighview.engine.puzzle import MINIATURE, PuzzleSize, solve

    def say_step(step: ExampleStep) -> None:
        if args.events:
            print(step.to_line(), flush=True)
        else:
            text = fill(step.text, 100, initial_indent=_INDENT, subsequent_indent=_INDENT)
            print(f"{step.number} of {step.steps}. {step.title}\n{text}\n", flush=True)

    with Progress("Playing the puzzle") as bar:
        solve(say_step, MINIATURE if args.miniature else PuzzleSize(), bar.report)
    return 0


def _train_recipe(args: Namespace) -> int:
    from thighview.engine.recipe_config import read_recipe

    recipe = read_recipe(args.recipe)
    if args.output is None:
        raise UserError("A recipe's model needs a place.", "Add -o FOLDER.")
    if args.project is not None or args.config or args.run or args.start_from:
        raise UserError(
            "A recipe has its own data and settings.", "Leave out PROJECT, --config, --run and --start-from."
        )
    folder: Path = args.output
    goes_on = (folder.absolute().with_name(f"{folder.absolute().name}.checkpoint") / "checkpoint.json").exists()
    if not goes_on and not (folder.is_dir() and [path.name for path in folder.iterdir()] == ["recipe.json"]):
        need_empty(folder)

    from thighview.engine.devices import prepare_device

    device = prepare_device()
    from thighview.engine.recipe import build_from_recipe

    with Progress(f"Training {recipe.name}") as bar:
        card = build_from_recipe(recipe, folder, _Listener(bar, args.events), device=device)
    if card is not None and not args.events:
        print(f"The model {card.name} is in {folder}.")
    return 0


def _read_config(path: Path) -> dict[str, Any]:
    need_path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not readable JSON: {str(error)[:120]}.", "Repair it.") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} should hold a JSON object of settings.", 'For example {"epochs": 80}.')
    return data
