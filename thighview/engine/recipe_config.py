"""What a recipe says: how a model of the box is made from phantoms (``resources/models/NAME/recipe.json``)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from thighview.core.errors import UserError
from thighview.core.phantom_names import NAMES
from thighview.core.run import TrainConfig
from thighview.io.resources import resource

_TRUTHS = {"thigh_tissues": "tissues", "thigh_groups": "groups"}
FORMAT = "thighview-recipe-1"
_LIMITS: dict[str, tuple[float, float]] = {
    "steps_per_epoch": (1, 100000),
    "people": (1, 10**7),
    "random_share": (0.0, 1.0),
    "guard_slices": (1, 1000),
    "first_seed": (0, 2**31),
    "phantoms_per_contrast": (0, 1000),
    "slices": (1, 100),
}


@dataclass(frozen=True)
class PhantomTest:
    """The last test: whole phantoms of each contrast from seeds that no training shows."""

    first_seed: int
    phantoms_per_contrast: int
    slices: int


@dataclass(frozen=True)
class Recipe:
    """How a model is made from phantoms.

    Parameters
    ----------
    name : str
        Name of the model.
    labels : str
        What it tells apart; ``thigh_tissues`` or ``thigh_groups``.
    train : TrainConfig
        ``epochs`` of ``steps_per_epoch`` batches of ``batch_size`` slices; ``spacing_mm`` of their pixels.
    steps_per_epoch, people, guard_slices : int
        Batches between two looks at the guard slices; different people; guard slices.
    random_share : float
        Share of images with any contrast at all, once people are varied.
    slice_size : tuple of int
        Rows and columns of a slice, pixels.
    test : PhantomTest
    """

    name: str
    labels: str
    train: TrainConfig
    steps_per_epoch: int
    people: int
    random_share: float
    slice_size: tuple[int, int]
    guard_slices: int
    test: PhantomTest

    @property
    def steps(self) -> int:
        """Batches in all."""
        return self.train.epochs * self.steps_per_epoch

    @property
    def truth(self) -> str:
        """Which label map of a phantom is learnt: ``tissues`` or ``groups``."""
        return _TRUTHS[self.labels]

    @property
    def classes(self) -> tuple[str, ...]:
        """What the network tells apart, the background first."""
        return ("background", *NAMES[self.truth])

    @staticmethod
    def from_json(name: str, data: Any) -> "Recipe":
        """The recipe of plain data; every field is checked."""
        if not isinstance(data, Mapping) or cast(Mapping[str, Any], data).get("format") != FORMAT:
            raise UserError(f"The recipe {name} is not of the format {FORMAT}.")
        rows = dict(cast(Mapping[str, Any], data))
        test = rows.get("test")
        wanted = {f.name for f in fields(Recipe)} - {"name"}
        missing = sorted(wanted - rows.keys())
        if missing or not isinstance(test, Mapping) or not isinstance(rows["train"], dict):
            raise UserError(f"The recipe {name} lacks {(missing or ['train and test'])[0]!r}.")
        tests = dict(cast(Mapping[str, Any], test))
        if lacking := sorted({f.name for f in fields(PhantomTest)} - tests.keys()):
            raise UserError(f"The recipe {name}, test: it lacks {lacking[0]!r}.")
        for key, value in (*rows.items(), *tests.items()):
            low, high = _LIMITS.get(key, (0, 0))
            if key in _LIMITS and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise UserError(f"The recipe {name}, {key}: expected a number, found {value!r}.")
            if key in _LIMITS and not low <= value <= high:
                raise UserError(f"The recipe {name}, {key}: expected {low} to {high}, found {value!r}.")
        train = TrainConfig.from_json(rows["train"])
        if rows["labels"] not in _TRUTHS:
            raise UserError(f"The recipe {name}, labels: expected {' or '.join(_TRUTHS)}, found {rows['labels']!r}.")
        if train.spacing_mm <= 0 or train.architecture != "unet":
            raise UserError(f"The recipe {name} needs the network unet and a pixel size in mm.")
        multiple, size = 1 << (train.levels - 1), rows["slice_size"]
        if (
            not isinstance(size, list)
            or len(size) != 2
            or any(not isinstance(n, int) or n <= 0 or n % multiple for n in size)
        ):
            raise UserError(f"The recipe {name}, slice_size: expected two multiples of {multiple}, found {size!r}.")
        return Recipe(
            name, rows["labels"], train, int(rows["steps_per_epoch"]), int(rows["people"]), float(rows["random_share"]),
            (size[0], size[1]), int(rows["guard_slices"]),
            PhantomTest(*(int(tests[f.name]) for f in fields(PhantomTest))),
        )  # fmt: skip


def read_recipe(name: str, folder: Path | None = None) -> Recipe:
    """The recipe of a model of the box.

    Raises
    ------
    UserError
        When there is none of this name, or it is not one.
    """
    root = folder or resource("models")
    path = root / name / "recipe.json"
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        known = ", ".join(sorted(p.parent.name for p in root.glob("*/recipe.json"))) or "none"
        raise UserError(f"There is no recipe {name!r}.", f"Known: {known}.") from error
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}.") from error
    return Recipe.from_json(name, data)
