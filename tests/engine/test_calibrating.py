"""Calibration over cases: what counts, for whom, and when there is no temperature."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from thighview.core.calibration import softmax
from thighview.core.labels import Label, LabelTable
from thighview.core.volume import Volume
from thighview.engine.calibrating import FEWEST_PERSONS, Calibrating, match_classes
from thighview.engine.evaluation import Truth
from thighview.engine.preprocess import plane_grid
from thighview.io.model_card import ModelCard

EDGE, SLICES = 32, 5
PLAIN = LabelTable((Label(1, "thigh"), Label(2, "bone")))


def a_card(labels: LabelTable = PLAIN, sided: bool = False, classes: tuple[str, ...] = ("thigh", "bone")) -> ModelCard:
    return ModelCard("m", "unet", 4, 2, 0.0, ("background", *classes), labels, sided, 1.0, EDGE)


def a_volume() -> Volume:
    affine = np.array([[0.0, 0, -1, 0], [0, -1, 0, 0], [5, 0, 0, 0], [0, 0, 0, 1]])
    return Volume(np.zeros((SLICES, EDGE, EDGE), np.int16), affine, "made", "phantom")


def told(
    factor: float, people: int = FEWEST_PERSONS, part: str = "validation", reviewed: int = SLICES, **options: Any
) -> dict[str, Any]:
    """What is found of people whose masks are drawn with the model's probabilities, logits then times ``factor``."""
    card = options.pop("card", a_card())
    values = options.pop("values", (0, 1, 2))
    table = options.pop("table", PLAIN)
    found, volume, rng = Calibrating(card), a_volume(), np.random.default_rng(4)
    grid = plane_grid(volume, card)
    assert grid.same and grid.size == (EDGE, EDGE)
    for person in range(people):
        logits = rng.normal(0, 2, (SLICES, EDGE, EDGE, len(values))).astype(np.float32)
        drawn = (rng.random((SLICES, EDGE, EDGE, 1)) > softmax(logits).cumsum(-1)).sum(-1)
        stored = np.zeros((SLICES, EDGE, EDGE), np.uint8)
        stored[...] = grid.turned_back(np.array(values, np.uint8)[drawn])
        stored[reviewed:] = values[1]  # wrong, and not reviewed
        truth = Truth(volume, stored, table, np.arange(SLICES) < reviewed)
        take = found.of_case(truth, grid, f"person {person}", part)
        assert take is not None
        for first in range(0, SLICES, 2):
            indices = list(range(first, min(first + 2, SLICES)))
            take(indices, logits[indices] * factor)
    return found.to_json()


def test_a_model_that_means_what_it_says() -> None:
    found = told(1.0)
    assert found["ece"] < 0.02 and found["reason"] == ""
    assert found["temperature"] == pytest.approx(1.0, abs=0.06)
    assert (found["part"], found["persons"]) == ("validation", FEWEST_PERSONS)
    assert sum(row["pixels"] for row in found["bins"]) <= 2 * FEWEST_PERSONS * SLICES * EDGE * EDGE


def test_one_that_is_too_sure_and_how_it_is_mended() -> None:
    found = told(3.0)
    assert found["ece"] > 0.08
    assert found["temperature"] == pytest.approx(3.0, rel=0.06)
    assert found["ece_after_temperature"] < 0.25 * found["ece"]
    assert found["cross_entropy_after_temperature"] < found["cross_entropy"]
    high = found["bins"][9]
    assert high["accuracy"] < high["confidence"] - 0.05


def test_raw_and_as_used_are_told_beside_each_other() -> None:
    plain = told(3.0)
    assert plain["in_use"] == {"temperature": 1.0, "ece": plain["ece"], "bins": plain["bins"]}
    tempered = told(3.0, card=replace(a_card(), temperature=3.0))
    assert tempered["ece"] == plain["ece"] and tempered["temperature"] == plain["temperature"]
    assert tempered["in_use"]["temperature"] == 3.0 and tempered["in_use"]["ece"] < 0.02


def test_slices_that_are_not_reviewed_count_nothing() -> None:
    assert told(1.0, reviewed=2)["ece"] < 0.03
    pixels = [sum(row["pixels"] for row in told(1.0, reviewed=n)["bins"]) for n in (2, 4)]
    assert pixels[1] == pytest.approx(2 * pixels[0], rel=0.05)


def test_a_temperature_needs_five_validation_people() -> None:
    few = told(1.0, people=FEWEST_PERSONS - 1)
    assert few["temperature"] is None and "are 4" in few["reason"] and few["ece"] is not None
    trained = told(1.0, part="train")
    assert trained["temperature"] is None and trained["part"] == "train" and "are 0" in trained["reason"]


def test_labels_that_the_masks_do_not_know() -> None:
    bone_only = LabelTable((Label(1, "skin"), Label(2, "bone")))
    found = told(1.0, table=bone_only)
    assert found["temperature"] is None and "thigh" in found["reason"]
    lookup, known = match_classes(bone_only, a_card())
    assert known == (2,) and lookup[1] == 255 and lookup[2] == 2 and lookup[0] == 0
    assert Calibrating(a_card()).of_case(
        Truth(a_volume(), np.zeros((SLICES, EDGE, EDGE), np.uint8), LabelTable(), np.full(SLICES, True)),
        plane_grid(a_volume(), a_card()), "p", "",
    ) is None  # fmt: skip
    nothing = Calibrating(a_card()).to_json()
    assert nothing["ece"] is None and nothing["bins"] == [] and nothing["reason"]


def test_sides_that_the_network_does_not_tell_apart() -> None:
    both = LabelTable((Label(1, "thigh", "left"), Label(2, "thigh", "right")))
    card = a_card(both, sided=True, classes=("thigh",))
    lookup, known = match_classes(both, card)
    assert known == (1,) and lookup[1] == lookup[2] == 1
    assert match_classes(LabelTable((Label(7, "thigh"),)), card)[1] == (1,)
    left_only = match_classes(LabelTable((Label(1, "thigh", "left"),)), card)
    assert left_only[1] == () and left_only[0][1] == 1
    told_apart = a_card(both, classes=("thigh_left", "thigh_right"))
    assert match_classes(LabelTable((Label(7, "thigh"),)), told_apart)[1] == ()
    found = told(1.0, card=card, table=both, values=(0, 2))
    assert found["temperature"] == pytest.approx(1.0, abs=0.1)
