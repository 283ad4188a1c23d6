"""``thighview train PROJECT --folds K`` and its like: several trainings of one set, and what they add up to."""

from argparse import Namespace
from pathlib import Path

from thighview.cli.progress import Progress, say
from thighview.core.errors import UserError
from thighview.core.run import RunEvent, TrainConfig
from thighview.core.studies import CURVE, FOLDS, LEAVE_ONE_OUT
from thighview.core.study_report import headline, rows_of, sentences
from thighview.core.study_results import RetrainingEnded, StudyMoved, StudyStarted


def is_study(args: Namespace) -> bool:
    """Whether ``thighview train`` was given an option of studies."""
    return bool(args.study or args.leave_one_out) or args.folds is not None or args.learning_curve is not None


def train_study(args: Namespace, config: TrainConfig | None) -> int:
    """Begin a study, or go on with one, and print its table."""
    if args.run:
        raise UserError("A study has no run of its own.", "Leave out --run; --study NAME names it.")
    kind, count = _asked(args)

    from thighview.engine.devices import prepare_device

    prepare_device()
    from thighview.engine.study import study_main

    with Progress("Training") as bar:
        study = study_main(args.project, args.study, kind, count, config, args.start_from, _Listener(bar, args.events))
    if not args.events:
        _print(study.path)
    return 0


def _asked(args: Namespace) -> tuple[str, int]:
    """The kind of a new study and its number; an empty kind goes on with one."""
    if args.folds is not None:
        if args.folds < 2:
            raise UserError(f"{args.folds} folds are none.", "Give 2 or more.")
        return FOLDS, args.folds
    if args.leave_one_out:
        return LEAVE_ONE_OUT, 0
    return (CURVE, args.learning_curve) if args.learning_curve is not None else ("", 0)


class _Listener:
    """Prints the events of a study as lines, or draws how far it is."""

    def __init__(self, bar: Progress, as_lines: bool) -> None:
        self._bar, self._as_lines, self._trainings = bar, as_lines, 0

    def __call__(self, event: RunEvent) -> None:
        if self._as_lines:
            print(event.to_line(), flush=True)
        elif isinstance(event, StudyStarted):
            self._trainings = event.trainings
            say(f"{event.run}: {event.trainings} trainings. {event.note}")
        elif isinstance(event, StudyMoved):
            words = f"Training {event.number} of {self._trainings}, epoch {event.epoch} of {event.epochs}"
            self._bar.report(round(100 * event.share), 100, words)


def _print(folder: Path) -> None:
    """The table of a study, and what it says."""
    from thighview.io.runs import EventTail
    from thighview.io.studies import StudyFolder, read_study

    place = StudyFolder(folder)
    study = read_study(place)
    said = EventTail(place.events).read_all()
    results = {event.number: event for event in said if isinstance(event, RetrainingEnded)}
    rows = rows_of(study.kind, study.trainings, results, "dice")
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    print(headline(study.kind, study.trainings, results))
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for sentence in sentences(study.kind, study.trainings, results, "dice"):
        print(sentence)
    print(f"It is kept in {folder}.")
