"""Batches: replayable, complete, and never letting in what does not count."""

import threading
import time

import numpy as np
import pytest

from thighview.core.volume import Volume
from thighview.engine import augment
from thighview.engine.batches import IGNORE, MeasureBatches, Slices, TrainBatches, prefetched, slices_of

ALL_SAME = augment.swap_table(())


def _slices(n: int = 5, edge: int = 32) -> Slices:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(n, edge, edge)).astype(np.float32)
    images[:, 0, 0] = np.arange(n)
    return Slices(
        np.arange(10, 10 + n, dtype=np.int32), images, (images > 0).astype(np.uint8),
        np.full(n, -1.0, np.float32), np.ones(n, np.float32),
    )  # fmt: skip


def test_an_epoch_sees_every_slice_and_tops_up_the_last_batch() -> None:
    batches = TrainBatches(_slices(5), 32, 2, seed=3, augment=False, mirror=None)
    assert len(batches) == 3
    seen = np.concatenate([batches.batch(1, k)[0][:, 0, 0, 0] for k in range(3)])
    assert sorted(set(seen.tolist())) == [0, 1, 2, 3, 4]
    assert len(seen) == 6
    slots = np.concatenate([batches.batch(1, k)[1]["slots"] for k in range(3)])
    assert slots.tolist() == list(range(6))
    assert not np.array_equal(batches.order(1), batches.order(2))
    few = TrainBatches(_slices(2), 32, 8, seed=3, augment=False, mirror=None)
    assert (len(few), few.batch_size) == (1, 2)


@pytest.mark.parametrize("on", [True, False])
def test_same_seed_and_epoch_same_bytes(on: bool) -> None:
    one, two = (TrainBatches(_slices(), 32, 2, seed=3, augment=on, mirror=ALL_SAME) for _ in range(2))
    two.batch(4, 0)
    a, b = one.batch(2, 1), two.batch(2, 1)
    assert a[0].tobytes() == b[0].tobytes()
    assert a[1]["labels"].tobytes() == b[1]["labels"].tobytes()
    two.epoch = 2
    assert two[1][0].tobytes() == a[0].tobytes()


def test_augmentation_moves_image_and_labels_together() -> None:
    image = np.zeros((64, 64), np.float32)
    image[20:40, 24:36] = 4.0
    labels = (image > 0).astype(np.uint8)
    changed = 0
    for epoch in range(30):
        rng = augment.slice_generator(1, epoch, 7)
        moved, target = augment.augmented(image, labels, rng, 64, 0.0, mirror=ALL_SAME)
        assert moved.shape == target.shape == (64, 64)
        assert moved.dtype == np.float32
        assert set(np.unique(target)) <= {0, 1, IGNORE}
        share = target == 1
        assert share.sum() > 80
        assert moved[share].mean() > moved[target == 0].mean() + 1.0
        changed += not np.array_equal(target, labels)
    assert changed > 15


def test_nothing_is_mirrored_without_a_table() -> None:
    image = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    for epoch in range(20):
        moved, _ = augment.augmented(
            image, np.zeros((64, 64), np.uint8), augment.slice_generator(0, epoch, 1), 64, 0.5, mirror=None
        )
        assert moved[:, 40:].mean() > moved[:, :24].mean()


def test_a_larger_slice_is_cut_and_a_smaller_one_filled() -> None:
    image = np.arange(48 * 48, dtype=np.float32).reshape(48, 48)
    labels = np.ones((48, 48), np.uint8)
    rng = np.random.default_rng(0)
    part, _ = augment.cut(image, labels, rng, 32, -1.0)
    assert part.shape == (32, 32)
    assert np.isin(part, image).all()
    whole, target = augment.cut(image[:20], labels[:20], rng, 64, -1.0)
    assert (target == 1).sum() == 20 * 48
    assert (whole[target == IGNORE] == -1).all()
    moved, target = augment.augmented(image, labels, rng, 32, -1.0, None)
    assert moved.shape == target.shape == (32, 32)


def test_measuring_drops_nothing_and_counts_the_filling_nowhere() -> None:
    batches = MeasureBatches(_slices(7), 4, spare=99)
    x, y = batches[1]
    assert x.shape == (4, 32, 32, 1)
    assert y["slots"].tolist() == [4, 5, 6, 99]
    assert y["weights"].tolist() == [1, 1, 1, 0]
    assert (y["labels"][3:] == IGNORE).all()
    assert len(batches) == 2
    assert MeasureBatches(_slices(5), 4, spare=99)[1][0].shape == (1, 32, 32, 1), "no more than there must be"


def test_each_slice_keeps_the_canvas_on_which_it_is_segmented() -> None:
    """A network looks at the whole canvas: on that of a wider scan it would answer otherwise than a person will see."""
    small, large = _slices(2, 24), _slices(3, 40)
    both = Slices.join([small, large])
    assert [image.shape for image in both.images] == [(24, 24)] * 2 + [(40, 40)] * 3
    assert both.edge == 40
    assert both.chosen([4, 0]).ids.tolist() == [12, 10]
    mixed = both.chosen([0, 2, 1, 3, 4])
    seen: dict[int, int] = {}
    batches = MeasureBatches(mixed, 2, spare=99)
    for x, y in (batches[k] for k in range(len(batches))):
        for k, row in enumerate(y["slots"].tolist()):
            if row == 99:
                assert y["weights"][k] == 0 and (y["labels"][k] == IGNORE).all()
                continue
            seen[row] = seen.get(row, 0) + 1
            assert np.array_equal(x[k, ..., 0], mixed.images[row]) and np.array_equal(y["labels"][k], mixed.labels[row])
    assert seen == dict.fromkeys(range(5), 1)


def test_padding_and_unreviewed_voxels_are_ignored() -> None:
    class Settings:
        spacing_mm, input_size, levels = 1.0, 32, 3

    voxels = np.random.default_rng(0).normal(100, 10, (2, 20, 28)).astype(np.float32)
    affine = np.array([[0, 0, 1.0, 0], [0, 1.0, 0, 0], [5.0, 0, 0, 0], [0, 0, 0, 1]])
    mask = np.full((2, 20, 28), 7, np.uint8)
    mask[1] = IGNORE
    classes = np.zeros(256, np.uint8)
    classes[7], classes[255] = 1, IGNORE
    found = slices_of(Volume(voxels, affine), mask, Settings(), [1, 2], [0, 1], classes)
    assert (found.labels[0] == 1).sum() == 20 * 28
    assert (found.labels[0] == IGNORE).sum() == 32 * 32 - 20 * 28
    assert (found.labels[1] == IGNORE).all()


def test_prefetching_keeps_the_order_and_leaves_no_thread() -> None:
    def make(i: int) -> int:
        time.sleep(0.002 * (i % 3))
        return i

    assert list(prefetched(make, 5, 9)) == list(range(5, 14))
    some = prefetched(make, 0, 100)
    assert [next(some), next(some)] == [0, 1]
    some.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]


def test_speed_of_augmentation() -> None:
    slices = _slices(4, 256)
    batches = TrainBatches(slices, 256, 4, seed=0, augment=True, mirror=ALL_SAME)
    batches.batch(1, 0)
    start = time.process_time()
    for epoch in range(2, 12):
        batches.batch(epoch, 0)
    print(f"augmentation: {(time.process_time() - start) / 40 * 1000:.1f} ms a slice of 256 x 256")
