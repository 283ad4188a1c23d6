"""A measured gap in plain words: what its parts are called, how its numbers are told, and one sentence on all of it."""

from thighview.core.gap import PEOPLE, PER_CENT, Gap
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
    "augmentation": "training images are distorted, and cut where they are too wide; validation images are not",
    "ema": "validation uses averaged weights, the training score those of the moment",
    "aggregation": "the two scores lump slices together in different ways",
    "selection": "this epoch was chosen because its loss was the best on these people",
}
_REAL = ("split", "generalisation")
_ROUNDING = 1e-9
"""An end of an interval nearer to 0 than this is 0: what adding floats leaves."""


def amount(metric: str, value: float, sign: bool = False, digits: int | None = None, unit: bool = True) -> str:
    """A value or a difference as it is told: points (hundredths) for accuracy and Dice, plain for the loss."""
    points = metric in PER_CENT
    places = digits if digits is not None else 1 if points else 4
    scaled = value * 100.0 if points else value
    said = f"{scaled:{'+' if sign else ''}.{places}f}"
    said = said.replace("-", "−") if float(said) else f"{0:.{places}f}"
    return f"{said} points" if unit and points else said


def digits_of(gap: Gap) -> int:
    """Decimals with which a gap is told: four of a loss; of points one, and two where no part reaches 10 points."""
    if gap.metric not in PER_CENT:
        return 4
    return 1 if max(abs(value) for _, value in gap.terms) >= 0.1 - _ROUNDING else 2


def told_rows(gap: Gap, digits: int | None = None) -> list[tuple[str, float]]:
    """Training, the parts and validation as they are told: rounded so that the first ones add up to the last.

    It is the levels of the waterfall that are rounded, and a part is the difference of two; each part rounded by
    itself would leave a unit or two over in half of all gaps.

    Parameters
    ----------
    gap : Gap
    digits : int, optional
        Decimals as of :func:`amount`; those of :func:`digits_of` by default.

    Returns
    -------
    list of (str, float)
        Names and values, in the unit of the metric.
    """
    places = (digits_of(gap) if digits is None else digits) + 2 * (gap.metric in PER_CENT)
    levels = [gap.train]
    for _, value in gap.terms:
        levels.append(levels[-1] + value)
    if not round(gap.residual, places):
        levels[-1] = gap.validation
    shown = [round(level, places) for level in levels]
    parts = [(name, after - before) for (name, _), before, after in zip(gap.terms, shown, shown[1:], strict=False)]
    return [("train", shown[0]), *parts, ("validation", round(gap.validation, places))]


def flatters(gap: Gap) -> bool:
    """Whether choosing the epoch made validation read better than it is."""
    chosen = dict(told_rows(gap)).get("selection", 0.0)
    return not _is_none(gap, chosen) and (chosen < 0) == (gap.metric == "loss")


def direction(gap: Gap) -> str:
    """``higher``, ``lower`` or ``same``: how validation reads, rounded as it is told."""
    total = _difference(gap)
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
            "says" if nothing else f"the difference to the training people is {_told(gap, _real(gap))}, and says"
        )
        parts.append(f"Validation is made-up thighs: {difference} nothing about new people.")
    elif not nothing and gap.leaked < gap.val_people:  # of people who are all trained on it says nothing
        parts.append(_people(gap))
    return " ".join(parts)


def _is_none(gap: Gap, value: float) -> bool:
    """Whether a value is told as zero."""
    return not float(_size(gap, value, unit=False))


def _told(gap: Gap, value: float, unit: bool = True) -> str:
    return amount(gap.metric, value, True, digits_of(gap), unit)


def _size(gap: Gap, value: float, unit: bool = True) -> str:
    return amount(gap.metric, abs(value), digits=digits_of(gap), unit=unit)


def _difference(gap: Gap) -> float:
    """Validation less training, as told."""
    rows = told_rows(gap)
    return rows[-1][1] - rows[0][1]


def _real(gap: Gap) -> float:
    """The difference between the two groups of people, as told."""
    return sum(value for name, value in told_rows(gap) if name in PEOPLE)


def _what(gap: Gap) -> str:
    what = {"accuracy": "pixel accuracy", "dice": "Dice", "loss": "loss"}[gap.metric]
    return f"{what} of {gap.label.replace('_', ' ')}" if gap.label else what


def _nothing_found(gap: Gap) -> str:
    return (
        f"{_what(gap)} is 0 in training and in validation: the network has found nothing right so far, so there is no "
        "difference to explain."
    )


def _total(gap: Gap) -> str:
    total = _difference(gap)
    if _is_none(gap, total):
        return f"Validation and training read the same {_what(gap)}."
    word = "higher" if total > 0 else "lower"
    return f"Validation reads {_size(gap, total)} {word} than training while learning ({_what(gap)})."


def _largest(gap: Gap) -> list[str]:
    """The largest part; where that is a real one, the largest of the others, too. Parts told as zero are left out."""
    exact, told = dict(gap.terms), dict(told_rows(gap)[1:-1])
    parts = [term for term in told.items() if not _is_none(gap, term[1])]
    parts.sort(key=lambda term: (round(abs(term[1]), 9), abs(exact[term[0]])), reverse=True)
    causes = [term for term in parts if term[0] not in _REAL]
    said: list[str] = []
    if parts and parts[0][0] in _REAL:
        said.append(f"The largest part, {_told(gap, parts[0][1], unit=False)}, is “{TITLES[parts[0][0]]}”.")
    if causes:
        said.append(f"{_share(gap, causes[0], 'The largest of the others' if said else 'The largest part')}.")
    if "difficulty" in dict(causes[1:]) and not gap.made_up:
        harder = f"“{TITLES['difficulty']}”: {_why(gap, 'difficulty')}"
        said.append(f"{_told(gap, told['difficulty'])} of what is real is {harder}.")
    return said


def _share(gap: Gap, part: tuple[str, float], rank: str) -> str:
    """One part and its cause: ``0.6 of that is ...`` where it is the largest and a share of it, else ranked."""
    name, value = part
    total = _difference(gap)
    cause = f"“{TITLES[name]}”: {_why(gap, name)}"
    if rank == "The largest part" and value * total > 0 and abs(value) <= abs(total) + _ROUNDING:
        return f"{_size(gap, value, unit=False)} of that is {cause}"
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
    real = f"The real difference between the two groups of people is {_told(gap, _real(gap))}"
    if gap.interval is None:
        return f"{real}{_no_interval(gap)}."
    low, high = gap.interval
    if gap.difficulty is not None:
        parts = dict(told_rows(gap))
        hard, new = (_told(gap, parts[name], unit=False) for name in ("difficulty", "generalisation"))
        both = f"{hard} is how hard they are, {new}"
        between = f"95 % interval of both together {_told(gap, low, unit=False)} to {_told(gap, high, unit=False)}"
        return f"{real}: {both} that they are new to the network ({between}, {people})."
    real += f" (95 % interval {_told(gap, low, unit=False)} to {_told(gap, high, unit=False)}, {people})"
    worse = gap.split > 0 if gap.metric == "loss" else gap.split < 0
    if (low <= _ROUNDING and high >= -_ROUNDING) or all(_is_none(gap, value) for value in (_real(gap), low, high)):
        return f"{real}: no evidence that the groups differ."
    if worse:
        return f"{real}: the network does worse on people it has not seen; more people help more than more epochs."
    return f"{real}: the validation people are easier than the training people."
