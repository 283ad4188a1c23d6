"""The guard set through a network: made-up scans apart from people."""

from pathlib import Path

import numpy as np
import pytest

from thighview.core import guard
from thighview.core.labels import Label, LabelTable
from thighview.core.phantom_names import CONTRASTS, group_table
from thighview.engine import evaluating
from thighview.engine.devices import prepare_device
from thighview.engine.evaluation import GUARD, guard_cases
from thighview.engine.unet import build_network, weights_of
from thighview.io.model_card import ModelCard
from thighview.io.models import write_model

MUSCLE = LabelTable((Label(3, "muscle"),))


def test_eight_scans_of_the_labels_that_the_model_has() -> None:
    cases = guard_cases(MUSCLE)
    assert [case.title for case in cases] == [guard.guard_id(c, s) for c in CONTRASTS for s in guard.SEEDS]
    assert {case.part for case in cases} == {GUARD}
    truth = cases[0].read()
    assert truth.table == MUSCLE and set(np.unique(truth.labels)) == {0, 3} and truth.reviewed.all()
    assert (truth.labels > 0).any((1, 2)).all()
    assert guard_cases(LabelTable((Label(1, "outer_surface"),))) == []


def test_what_only_the_other_model_draws_is_looked_at_too() -> None:
    femur = LabelTable((Label(1, "femur_marrow"),))
    both = {label.key for label in guard_cases(MUSCLE, femur)[0].read().table}
    assert both == {"muscle", "femur_marrow"}
    sided = LabelTable((Label(1, "muscle", "left"), Label(2, "muscle", "right")))
    assert guard_cases(MUSCLE, sided)[0].read().table == MUSCLE, "sides are told apart by one of both alone"


def test_a_model_of_groups_is_guarded_by_groups() -> None:
    truth = guard_cases(group_table())[0].read()
    assert truth.table == group_table()
    assert len(set(np.unique(truth.labels))) > 15


def test_made_up_scans_are_measured_and_never_counted_as_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build_network("unet", 2, 2, 3, 0.0, None)
    card = ModelCard("m", "unet", 2, 3, 0.0, ("background", "muscle"), MUSCLE, False, 4.0, 64)
    write_model(tmp_path / "m", card, weights_of(network))
    monkeypatch.setattr(guard, "MATRIX", (96, 128))
    monkeypatch.setattr(guard, "SPACING_MM", (100.0, 4.0))
    said: list[tuple[int, int]] = []
    pictures = tmp_path / "pictures"
    found = evaluating.evaluate_models(
        [tmp_path / "m"] * 2, guard_cases(MUSCLE)[:2], tmp_path, prepare_device("cpu"),
        lambda *done: said.append(done), pictures,
    )  # fmt: skip
    assert said == [(0, 2), (1, 2), (2, 2)]
    for one in found:
        assert one["subjects"] == [] and one["calibration"]["ece"] is None
        assert [row["id"] for row in one["guard"]["subjects"]] == [guard.guard_id("t1", s) for s in guard.SEEDS]
        assert not any(row["seen_in_training"] for row in one["guard"]["subjects"])
    verdict = guard.guard_of(*found)
    assert verdict is not None and not verdict.lost and verdict.overall.difference == 0
    assert not pictures.exists()
