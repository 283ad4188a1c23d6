"""What the training description of an old file says about the numbers that were seen then, in plain words.

The description is plain data from a foreign file; names are looked at and nothing is run.
"""

from collections.abc import Iterator, Mapping
from typing import Any

EXACT = (
    "Its accuracy counted only saturated pixels. Its training watched the class keras.metrics.Accuracy, which asks "
    "whether probability and mask are exactly equal. Only a probability of exactly 0 or 1 can be: how many pixels were "
    "right was not measured."
)
BATCH_DICE = (
    "Its {name} is no Dice per person. It is a function, and such a Dice is usually taken over a whole batch at once: "
    "it changes with the batch size and hides small and empty slices."
)
CONSTANT_RATE = (
    "Its file names no schedule for the learning rate: {optimizer}, {rate:g}. While the rate stays up the weights "
    "never rest, so a training number averaged over an epoch trails the validation number to the end."
)
_FUNCTIONS = ("", "function", "MeanMetricWrapper")
_DEEPEST = 12
_MOST_NODES = 2000


def warnings_of_training(config: Mapping[str, Any]) -> list[str]:
    """Sentences about exact-equality accuracy, batch Dice and a constant rate that a ``training_config`` names.

    The string ``accuracy`` is not the class ``Accuracy``: with it Keras took the accuracy at one half, and nothing is
    said. Keras 2 stores a function as its name, or as a wrapper that names it ``fn``.
    """
    said: list[str] = []
    named = list(_metrics(config.get("metrics"))) + list(_metrics(config.get("weighted_metrics")))
    if any(kind == "Accuracy" and name in ("accuracy", "Accuracy") for kind, name in named):
        said.append(EXACT)
    dice = next((name for kind, name in named if name.lower().startswith("dice") and kind in _FUNCTIONS), "")
    if dice:
        said.append(BATCH_DICE.format(name=dice[:60]))
    facts = facts_of_training(config)
    if "learning_rate" in facts and facts.get("optimizer"):
        said.append(CONSTANT_RATE.format(optimizer=facts["optimizer"], rate=facts["learning_rate"]))
    return said


def facts_of_training(config: Mapping[str, Any]) -> dict[str, Any]:
    """Loss, optimiser, constant learning rate and metrics as far as the description names them plainly."""
    facts: dict[str, Any] = {}
    optimizer = config.get("optimizer_config")
    if isinstance(optimizer, Mapping):
        inner = optimizer.get("config")
        inner = inner if isinstance(inner, Mapping) else {}
        facts["optimizer"] = str(optimizer.get("class_name", ""))[:60]
        rate = inner.get("learning_rate", inner.get("lr"))
        if isinstance(rate, int | float) and not isinstance(rate, bool):
            facts["learning_rate"] = float(rate)
    loss = next(iter(_metrics(config.get("loss"))), None)
    if loss:
        facts["loss"] = (loss[1] or loss[0])[:60]
    names = [(name or kind)[:60] for kind, name in _metrics(config.get("metrics"))][:20]
    if names:
        facts["metrics"] = names
    return facts


def _metrics(node: Any) -> Iterator[tuple[str, str]]:
    """Every (class, name) in lists and tables however nested; a plain string has no class."""
    waiting: list[tuple[Any, int]] = [(node, 0)]
    for _ in range(_MOST_NODES):
        if not waiting:
            return
        found, depth = waiting.pop(0)
        if isinstance(found, str):
            yield "", found
        elif depth > _DEEPEST:
            continue
        elif isinstance(found, Mapping) and isinstance(found.get("class_name"), str):
            inner = found.get("config")
            called = (inner.get("fn") or inner.get("name")) if isinstance(inner, Mapping) else inner
            yield found["class_name"], called if isinstance(called, str) else ""
        elif isinstance(found, Mapping):
            waiting += [(value, depth + 1) for value in found.values()]
        elif isinstance(found, list):
            waiting += [(value, depth + 1) for value in found]
