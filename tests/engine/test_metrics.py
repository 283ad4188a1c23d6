"""Sums per slice and what is derived from them."""

import numpy as np
import pytest

from thighview.core import sums as slice_sums
from thighview.engine import losses, metrics


def _table(labels: np.ndarray, logits: np.ndarray, slots: list[int], size: int) -> metrics.SliceTable:
    table = metrics.SliceTable(size, max(2, logits.shape[-1]))
    terms = losses.slice_terms(labels, logits)
    table.update_state(terms, labels, logits, np.array(slots, np.int32))
    return table


def test_rows_lie_where_the_slots_say() -> None:
    labels = np.array([[[0, 1, 1, 255]], [[0, 0, 0, 1]]], np.uint8)
    logits = np.array([[[[-9.0], [9.0], [-9.0], [9.0]]], [[[9.0], [-9.0], [-9.0], [9.0]]]], np.float32)
    rows = _table(labels, logits, [2, 0], 3).rows(3)
    assert rows.shape == (3, 2 + 7 * 2)
    sums = slice_sums.Sums.of(rows, [10, 11, 12], 2)
    assert sums.steps.tolist() == [0, 0, 1]
    assert sums.pixels.tolist() == [4, 0, 3]
    assert sums.tp[:, 1].tolist() == [1, 0, 1]
    assert sums.fp[:, 1].tolist() == [1, 0, 0]
    assert sums.fn[:, 1].tolist() == [0, 0, 1]
    assert sums.tp[:, 0].tolist() == [2, 0, 1]
    np.testing.assert_allclose(sums.label_ce.sum(axis=1), sums.ce_sum)


def test_reset_keeps_the_rows_and_the_spare_row_is_not_counted() -> None:
    labels = np.array([[[1]]], np.uint8)
    table = _table(labels, np.array([[[[5.0]]]], np.float32), [1], 1)
    assert float(table.result()) == 0.0
    table.update_state(
        losses.slice_terms(labels, np.array([[[[5.0]]]], np.float32)), labels,
        np.array([[[[5.0]]]], np.float32), np.array([0], np.int32),
    )  # fmt: skip
    table.reset_state()
    assert float(table.result()) == 1.0


def test_losses_recomputed_from_the_table_are_those_of_the_loss() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(5, 6, 7, 3)).astype(np.float32)
    labels = rng.choice([0, 1, 2, 255], (5, 6, 7)).astype(np.uint8)
    sums = slice_sums.Sums.of(_table(labels, logits, list(range(5)), 5).rows(5), range(5), 2)
    for kind in ("ce", "dice", "ce_dice", "combo", "focal_tversky"):
        direct = np.asarray(losses.slice_loss(losses.slice_terms(labels, logits), kind))
        np.testing.assert_allclose(slice_sums.slice_losses(sums, kind), direct, rtol=1e-5)
    with pytest.raises(ValueError, match="unknown loss"):
        slice_sums.slice_losses(sums, "hinge")


@pytest.mark.parametrize("kind", ["ce", "dice", "ce_dice", "combo", "focal_tversky"])
def test_a_person_of_one_slice_has_the_loss_of_that_slice(kind: str) -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(3, 8, 8, 3)).astype(np.float32)
    labels = rng.choice([0, 1, 2, 255], (3, 8, 8)).astype(np.uint8)
    sums = slice_sums.Sums.of(_table(labels, logits, [0, 1, 2], 3).rows(3), range(3), 3)
    people = slice_sums.person_scores(sums, {0: "a", 1: "b", 2: "c"}, kind)
    direct = np.asarray(losses.slice_loss(losses.slice_terms(labels, logits), kind))
    np.testing.assert_allclose([person.loss for person in people], direct, rtol=1e-5)
    together = slice_sums.person_scores(sums, {0: "a", 1: "a", 2: "a"}, kind)[0].loss
    if kind in ("dice", "focal_tversky"):  # defined per slice: a person's is the mean
        assert together == pytest.approx(float(direct.mean()), rel=1e-5)


def _sums(tp: list, fp: list, fn: list, pixels: int = 10) -> slice_sums.Sums:
    n = len(tp)
    c = [np.array([[pixels - a - b - d, a] for a, b, d in zip(tp, fp, fn, strict=True)], np.float32)]
    both = [np.array([[0, v] for v in x], np.float32) for x in (fp, fn)]
    flat = np.ones(n, np.float32)
    soft = np.zeros((n, 2), np.float32)
    return slice_sums.Sums(
        np.arange(n, dtype=np.int32), np.zeros(n, np.int32), flat, flat * pixels, c[0], both[0], both[1],
        soft, soft, soft, soft,
    )  # fmt: skip


def test_dice_is_pooled_per_subject_and_averaged_over_subjects() -> None:
    sums = _sums([4, 0, 1], [0, 2, 0], [2, 0, 1])
    owner = {0: "a", 1: "a", 2: "b"}
    a, b = slice_sums.person_scores(sums, owner, "ce")
    assert a.dice == (pytest.approx(8 / 12),)
    assert b.dice == (pytest.approx(2 / 3),)
    assert a.accuracy == pytest.approx(16 / 20)
    assert slice_sums.mean_scores(sums, owner, "ce").dice == pytest.approx(2 / 3)
    assert slice_sums.mean_scores(sums, owner, "ce").loss == pytest.approx(0.1)


def test_a_label_in_neither_mask_is_not_counted() -> None:
    sums = _sums([0, 3], [0, 0], [0, 0])
    assert slice_sums.mean_scores(sums, {0: "a", 1: "b"}, "ce").dice == 1.0
    assert slice_sums.mean_scores(_sums([0], [0], [0]), {0: "a"}, "ce").dice is None


def test_while_learning_is_the_mean_over_slices() -> None:
    sums = _sums([4, 0], [0, 2], [2, 0])
    scores = slice_sums.learning_scores(sums, {0: "a", 1: "b"}, "ce")
    assert scores.loss == pytest.approx(0.1)
    assert scores.accuracy == pytest.approx(16 / 20)
