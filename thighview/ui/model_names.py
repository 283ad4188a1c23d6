"""What models are called in a list to choose from."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thighview.io.models import ModelEntry

_PLACES = {"project": "this project", "user": "your models", "box": "comes with thighview"}
"""Whose a model is."""


def names_of(models: "Iterable[ModelEntry]") -> list[tuple[str, str]]:
    """Name and place of each, in words; a name that is there twice says its place, too."""
    models = list(models)
    names = [model.card.name for model in models]
    places = [_PLACES.get(model.place, model.place) for model in models]
    return [
        (f"{name} ({place})" if names.count(name) > 1 else name, place)
        for name, place in zip(names, places, strict=True)
    ]
