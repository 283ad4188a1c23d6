"""Each person measured with a run's model: in a child process, kept in the run folder, read again later."""

import math
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from thighview.app.jobs import Job, run_in_process, run_in_thread
from thighview.core.errors import UserError
from thighview.io.json_files import read_json_if_there
from thighview.io.models import set_temperature
from thighview.io.runs import RunFolder

FILE_NAME = "evaluation.json"
FIGURES = ("dice", "hd95_mm", "msd_mm", "volume_error_ml")
_LARGEST_BYTES = 64 << 20


@dataclass(frozen=True)
class PersonFigures:
    """One person and label: how well the model drew it; figures in the order of ``FIGURES``, None where not defined.

    ``label`` is the label's key; ``case_ids`` are the cases of the project that were compared.
    """

    person: str
    part: str
    label: str
    figures: tuple[float | None, ...]
    case_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class ReliabilityBin:
    """Of the pixels that were given a label with about this probability, the share that has it."""

    confidence: float
    accuracy: float
    pixels: int


@dataclass(frozen=True)
class Calibration:
    """Whether the model's probabilities mean what they say; ``part`` is whose scans tell it, of so many ``persons``.

    ``temperature`` is the best one, ``used`` that of the model's card when it was measured, with ``ece_used`` and
    ``bins_used``; ``ece`` and ``bins`` are those without any.
    """

    ece: float | None
    bins: tuple[ReliabilityBin, ...]
    temperature: float | None
    ece_after: float | None
    part: str
    persons: int
    reason: str
    used: float = 1.0
    ece_used: float | None = None
    bins_used: tuple[ReliabilityBin, ...] = ()

    @property
    def tempered(self) -> bool:
        """Whether its probabilities were made at a temperature, and what they are worth so is known."""
        return self.used != 1.0 and self.ece_used is not None

    @property
    def mends(self) -> bool:
        """Whether the temperature makes the expected error smaller: it is the best one for the loss, not for that."""
        return self.temperature is not None and (
            self.ece is None or self.ece_after is None or self.ece_after < self.ece
        )


@dataclass(frozen=True)
class PeopleMeasured:
    """What ``thighview evaluate`` found; ``measured`` is an ISO time, UTC."""

    rows: tuple[PersonFigures, ...]
    calibration: Calibration | None
    weights_sha256: str
    measured: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Keys of the labels, in the order of the masks."""
        return tuple(dict.fromkeys(row.label for row in self.rows))

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of the split that anybody belongs to, new people first."""
        there = {row.part for row in self.rows}
        return tuple(part for part in ("validation", "test", "", "train") if part in there)

    def chosen(self, part: str | None = None, label: str | None = None) -> tuple[PersonFigures, ...]:
        """The rows of one part and label; None for all."""
        return tuple(
            row for row in self.rows if (part is None or row.part == part) and (label is None or row.label == label)
        )


def mean_figures(rows: tuple[PersonFigures, ...]) -> tuple[float | None, ...]:
    """Mean over persons of each person's own mean over labels; None where nobody has the figure."""
    people = dict.fromkeys(row.person for row in rows)
    return tuple(
        _mean([_mean([row.figures[k] for row in rows if row.person == person]) for person in people])
        for k in range(len(FIGURES))
    )


def measure_run(run: RunFolder) -> Job:
    """Segment and compare every person of the project with the run's model; brings ``(plain data, {})``.

    The child leaves the same in ``evaluation.json`` of the run folder. ``progressed`` counts scans.
    """
    model, result = run.project / "models" / run.name, run.path / FILE_NAME
    function = "thighview.engine.evaluating:measure_people"
    return run_in_process(function, str(model), str(run.project), str(result), lane="evaluate")


def use_temperature(run: RunFolder, temperature: float, weights_sha256: str) -> Job:
    """Have the run's model make its probabilities with this temperature from now on; its masks stay the same."""
    folder = run.project / "models" / run.name
    return run_in_thread(
        lambda _report, _stopped: set_temperature(folder, temperature, weights_sha256), must_finish=True
    )


def read_evaluation(run: RunFolder) -> PeopleMeasured | None:
    """What was found earlier; None when nobody has measured. For a worker thread.

    Raises
    ------
    UserError
        When the file is there and not readable.
    """
    called, again = f"{FILE_NAME} of the run {run.name}", "Measure again."
    data = read_json_if_there(run.path / FILE_NAME, again, _LARGEST_BYTES, called)
    if data is None:
        return None
    try:
        return people_measured(data)
    except UserError as error:
        raise UserError(f"{called} is not readable: {error.message[:200]}", again) from error


def people_measured(data: Any) -> PeopleMeasured:
    """The findings of plain data as ``thighview evaluate --json`` gives it.

    Raises
    ------
    UserError
        When it is something else.
    """
    try:
        rows = tuple(
            PersonFigures(
                str(person["id"]), str(person.get("part", "")), str(label),
                tuple(_number(figures.get(name)) for name in FIGURES),
                tuple(int(i) for i in person.get("case_ids", ())),
            )
            for person in data["subjects"] for label, figures in person["labels"].items()
        )  # fmt: skip
        found = data.get("calibration")
        calibration = _calibration(found) if found else None
        return PeopleMeasured(rows, calibration, str(data.get("weights_sha256", "")), str(data.get("measured", "")))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"The result of the evaluation is not what it should be: {error!r}.") from error


def _calibration(data: Any) -> Calibration:
    used = data.get("in_use") or {}
    return Calibration(
        _number(data["ece"]), _bins(data["bins"]),
        _number(data["temperature"]), _number(data.get("ece_after_temperature")),
        str(data.get("part", "")), int(data.get("persons", 0)), str(data.get("reason", "")),
        _number(used.get("temperature")) or 1.0, _number(used.get("ece")),
        _bins(used.get("bins", ())),
    )  # fmt: skip


def _bins(rows: Any) -> tuple[ReliabilityBin, ...]:
    return tuple(
        ReliabilityBin(float(b["confidence"]), float(b["accuracy"]), int(b["pixels"])) for b in rows if b["pixels"]
    )


def _number(value: Any) -> float | None:
    number = None if value is None else float(value)
    return number if number is not None and math.isfinite(number) else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
