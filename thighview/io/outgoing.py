"""A case on its way out: under the name it leaves with, and with all that a sidecar says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from thighview import __version__
from thighview.core.case import Case
from thighview.core.history import model_of_step
from thighview.core.origins import Origin, label_origins
from thighview.core.provenance import slices_told
from thighview.core.statement import RESEARCH_USE
from thighview.io.models import ModelEntry
from thighview.io.project import Project

PROGRAM = f"thighview {__version__}"
_MOMENT_S = 1.0


@dataclass(frozen=True)
class ModelFacts:
    """A model that drew on a case: its name as it leaves, and the SHA-256 of its weights where that is certain."""

    name: str
    weights_sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"name": self.name, "weights_sha256": self.weights_sha256 or None}


@dataclass(frozen=True)
class Outgoing:
    """One case, read, with the names it leaves under.

    Parameters
    ----------
    case : Case
        With mask, reviews and history; its volume is the scan, or a grid without voxels where ``has_scan`` is false.
    name : str
        Of its files.
    subject, part : str
        The person as they leave, and their part of the split or nothing.
    origins : mapping of int to Origin
        By label value, models under the names they leave with.
    models : mapping of str to ModelFacts
        By that name.
    named : bool
        Whether it may be told by names: false where it leaves de-identified.
    """

    case: Case
    name: str
    subject: str
    part: str
    origins: Mapping[int, Origin]
    models: Mapping[str, ModelFacts]
    named: bool = True
    has_scan: bool = True

    @property
    def source_name(self) -> str:
        """Name of the scan's file or folder; empty where names stay at home."""
        return self.case.series[0].path.name if self.named else ""

    @property
    def weights(self) -> dict[str, str]:
        """SHA-256 of the weights by model."""
        return {name: facts.weights_sha256 for name, facts in self.models.items()}

    @property
    def all_reviewed(self) -> bool:
        """Whether a person has called every slice right."""
        return all(review.state.reviewed for review in self.case.teaching)

    def facts(self) -> dict[str, Any]:
        """What the file beside a mask says: labels and who made them, slices and what has happened to each, models."""
        case = self.case
        rows = [
            {
                "id": label.file_id, "name": label.name, "side": label.side, "colour": list(label.colour),
                "made_by": self.origins[label.value].to_json() if label.value in self.origins else None,
            }
            for label in case.table
        ]  # fmt: skip
        source = case.series[0]
        return {
            "program": PROGRAM,
            "statement": RESEARCH_USE,
            "subject": self.subject,
            **({"title": case.title, "visit": case.visit, "source": source.path.name} if self.named else {}),
            **({"source_sha256": source.sha256 or None} if self.named else {"deidentified": True}),
            "part": self.part or None,
            "reader": case.reader_id,
            "labels": rows,
            **slices_told(case.teaching),
            "slices_along": "the slowest axis: the third of NIfTI and NRRD, the first of (z, y, x)",
            "models": [facts.to_json() for facts in self.models.values()],
        }


def origins_and_models(
    project: Project, case: Case, known: list[ModelEntry], named: bool
) -> tuple[dict[int, Origin], dict[str, ModelFacts]]:
    """Who made the labels of a case, and the models among them.

    The history keeps a model's name and when it ran. Weights are told where one model alone had that name then: one
    that was made later is not the one that drew. Where names stay at home, models of the box keep theirs, and others
    are numbered.
    """
    origins = label_origins(case)
    ran = {model_of_step(step): made for step, made in project.model_steps(case.case_id, case.reader_id)}
    names = list(dict.fromkeys(name for origin in origins.values() for name in origin.models if name))
    box = {entry.card.name for entry in known if entry.place == "box"}
    own = [name for name in names if name not in box]
    leaves = {"": "", **{name: name for name in names}}
    if not named:
        leaves |= {name: f"own model {n}" for n, name in enumerate(own, 1)}
    models = {leaves[name]: ModelFacts(leaves[name], _weights(name, ran.get(name, 0.0), known)) for name in names}
    told = {
        value: Origin(tuple(leaves[name] for name in origin.models), origin.by_hand, origin.from_file)
        for value, origin in origins.items()
    }
    return told, models


def _weights(name: str, ran_at: float, known: list[ModelEntry]) -> str:
    """SHA-256 of the weights of the one model of this name that was there when it ran; empty where that is not sure."""
    found = {entry.card.weights_sha256 for entry in known if entry.card.name == name}
    later = any(_made(entry) > ran_at + _MOMENT_S for entry in known if entry.card.name == name)
    return next(iter(found)) if len(found) == 1 and not later else ""


def _made(entry: ModelEntry) -> float:
    try:
        return datetime.fromisoformat(entry.card.created).timestamp()
    except ValueError:
        return 0.0
