"""A measured gap in plain words: what its parts are called, how its numbers are told, and one sentence on all of it."""

from thighview.core.gap import PER_CENT, Gap
from thighview.core.student import FEWEST

TITLES: dict[str, str] = {
    "train": "Training, as reported",
    "lag": "Still learning",
    "regime": "Dropout",
    "augmentation": "Distorted images",
    "ema": "Averaged weights",
    "aggregation": "Way of averaging",
    "difficulty": "Harder or easier people",
    "split": "Other people",
    "generalisation": "People not trained on",
    "selection": "Best epoch chosen",
    "validation": "Validation, as reported",
}
"""The bars of the waterfall in plain words, in order; the sentence calls the parts so, too."""

_CAUSES = {
    "lag": "the training score is averaged over the epoch, while the network was still learning",
    "regime": "dropout is on while training and off for validation",
    "augmentation": "training images are distorted, validation images are not",
    "ema": "validation uses averaged weights, the training score those of the moment",
    "aggregation": "the two scores lump slices together in different ways",
    "selection": "this epoch was chosen because it was the best on these very people",
}
_REAL = ("split", "generalisation")


def amount(metric: str, value: float, sign: bool = False, digits: int | None = None, unit: bool = True) -> str:
    """A value or a difference as it is told: points (hundredths) for accuracy and Dice, plain for the loss."""
    points = metric in PER_CENT
    places = digits if digits is not None else 1 if points else 4
    scaled = value * 100.0 if points else value
    said = f"{scaled:{'+' if sign else ''}.{places}f}"
    said = said.replace("-", "−") if float(said) else f"{0:.{places}f}"
    return f"{said} points" if unit and points else said


def direction(gap: Gap) -> str:
    """``higher``, ``lower`` or ``same``: how validation reads, rounded as it is told."""
    total = gap.validation - gap.train
    if _is_none(gap, total):
        return "same"
    return "higher" if total > 0 else "lower"


def sentence(gap: Gap) -> str:
    """The gap in words: the largest part first, the real difference between the people last, with its interval."""
    nothing = gap.metric == "dice" and all(_is_none(gap, value) for value in (gap.train, gap.validation, gap.split))
    parts = [_nothing_found(gap)] if nothing else [_total(gap), *_largest(gap)]
    if gap.leaked:
        parts.append(
            f"{gap.leaked} of {gap.val_people} validation people are also trained on: "
            "this number does not measure new people."
        )
    if gap.made_up:
        difference = (
            "says" if nothing else f"the difference to the training people is {_told(gap, gap.split)}, and says"
        )
        parts.append(f"Validation is made-up thighs: {difference} nothing about new people.")
    elif not nothing and gap.leaked < gap.val_people:  # of people who are all trained on it says nothing
        parts.append(_people(gap))
    return " ".join(parts)


def _is_none(gap: Gap, value: float) -> bool:
    """Whether a value is told as zero."""
    return not float(amount(gap.metric, abs(value), unit=False))


def _told(gap: Gap, value: float, unit: bool = True) -> str:
    return amount(gap.metric, value, True, unit=unit)


def _what(gap: Gap) -> str:
    what = {"accuracy": "pixel accuracy", "dice": "Dice", "loss": "loss"}[gap.metric]
    return f"{what} of {gap.label.replace('_', ' ')}" if gap.label else what


def _nothing_found(gap: Gap) -> str:
    return (
        f"{_what(gap)} is 0 in training and in validation: the network has found nothing right so far, so there is no "
        "difference to explain."
    )


def _total(gap: Gap) -> str:
    total = gap.validation - gap.train
    if _is_none(gap, total):
        return f"Validation and training read the same {_what(gap)}."
    word = "higher" if total > 0 else "lower"
    return f"Validation reads {amount(gap.metric, abs(total))} {word} than training while learning ({_what(gap)})."


def _largest(gap: Gap) -> list[str]:
    """The largest part; where that is a real one, the largest of the others, too. Parts told as zero are left out."""
    parts = sorted((t for t in gap.terms if not _is_none(gap, t[1])), key=lambda term: abs(term[1]), reverse=True)
    causes = [term for term in parts if term[0] not in _REAL]
    said: list[str] = []
    if parts and parts[0][0] in _REAL:
        said.append(f"The largest part, {_told(gap, parts[0][1], unit=False)}, is “{TITLES[parts[0][0]]}”.")
    if causes:
        said.append(f"{_share(gap, causes[0], 'The largest of the others' if said else 'The largest part')}.")
    told = gap.difficulty is not None and not _is_none(gap, gap.difficulty)
    if told and gap.difficulty is not None and not gap.made_up and causes[:1] != [("difficulty", gap.difficulty)]:
        harder = f"“{TITLES['difficulty']}”: {_why(gap, 'difficulty')}"
        said.append(f"{_told(gap, gap.difficulty)} of what is real is {harder}.")
    return said


def _share(gap: Gap, part: tuple[str, float], rank: str) -> str:
    """One part and its cause: ``0.6 of that is ...`` where it is the largest and a share of it, else ranked."""
    name, value = part
    total = gap.validation - gap.train
    cause = f"“{TITLES[name]}”: {_why(gap, name)}"
    if rank == "The largest part" and value * total > 0 and abs(value) <= abs(total):
        return f"{amount(gap.metric, abs(value), unit=False)} of that is {cause}"
    return f"{rank}, {_told(gap, value, unit=False)}, is {cause}"


def _why(gap: Gap, name: str) -> str:
    if name != "difficulty":
        return _CAUSES[name]
    harder = ((gap.difficulty or 0.0) > 0) == (gap.metric == "loss")
    return f"the validation people are {'harder' if harder else 'easier'} also for {gap.judge}, never trained on them"


def _no_interval(gap: Gap) -> str:
    sides = ((gap.val_people, "validation"), (gap.train_people, "training"))
    few = [(n, f"{n} {side}") for n, side in sides if n < FEWEST]
    if not few:
        return ", without an interval"
    people = "person is" if [n for n, _ in few] == [1] else "people are"
    who = " and ".join(said for _, said in few)
    return f"; {who} {people} too few for an interval: a difference between two groups takes {FEWEST} of each"


def _people(gap: Gap) -> str:
    """The real difference between the people and what its interval says."""
    people = f"{gap.val_people} validation {'person' if gap.val_people == 1 else 'people'}"
    real = f"The real difference between the two groups of people is {_told(gap, gap.split)}"
    if gap.interval is None:
        return f"{real}{_no_interval(gap)}."
    low, high = gap.interval
    if gap.difficulty is not None:
        generalisation = next((value for name, value in gap.terms if name == "generalisation"), 0.0)
        both = (
            f"{_told(gap, gap.difficulty, unit=False)} is how hard they are, {_told(gap, generalisation, unit=False)}"
        )
        between = f"95 % interval of both together {_told(gap, low, unit=False)} to {_told(gap, high, unit=False)}"
        return f"{real}: {both} that they are new to the network ({between}, {people})."
    real += f" (95 % interval {_told(gap, low, unit=False)} to {_told(gap, high, unit=False)}, {people})"
    worse = gap.split > 0 if gap.metric == "loss" else gap.split < 0
    if low <= 0 <= high or _is_none(gap, gap.split):
        return f"{real}: no evidence that the groups differ."
    if worse:
        return f"{real}: the network does worse on people it has not seen; more people help more than more epochs."
    return f"{real}: the validation people are easier than the training people."
