"""Augmentation: replayable, image and labels together, sides kept right."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion

from thighview.core.labels import Label, LabelTable
from thighview.core.run import TrainConfig
from thighview.engine.augment import IGNORE, augmented, moved, slice_generator, swap_table
from thighview.engine.recolour import coarser, recoloured
from thighview.engine.starting import make_plan
from thighview.io.dataset import Dataset

ALL_SAME = swap_table(())
SIDES = swap_table(("background", "muscle_left", "muscle_right", "fat"))


def _thigh(edge: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Two discs, the left one (columns to the right) larger and brighter; an image float32 and labels uint8."""
    y, x = np.mgrid[0:edge, 0:edge]
    labels = np.zeros((edge, edge), np.uint8)
    labels[np.hypot(y - edge / 2, x - 0.72 * edge) < 0.2 * edge] = 1
    labels[np.hypot(y - edge / 2, x - 0.28 * edge) < 0.15 * edge] = 2
    return np.array([-1.0, 2.0, 1.0], np.float32)[labels], labels


@pytest.mark.parametrize("size", [96, 64, 128])
def test_a_label_painted_as_an_image_lands_on_the_same_pixels(size: int) -> None:
    _, labels = _thigh()
    bent = 0
    for epoch in range(80):
        painted = (labels == 1).astype(np.float32)
        there, target = moved(painted, labels, slice_generator(4, epoch, 9), size, 0.0, ALL_SAME)
        assert there.shape == target.shape == (size, size)
        near, inside = there > 0.5, target == 1
        assert not (near & ~binary_dilation(inside, np.ones((3, 3)))).any()
        assert not (binary_erosion(inside, np.ones((3, 3)), border_value=1) & ~near & (target != IGNORE)).any()
        bent += inside.any()
    assert bent > 60


def test_an_elastic_step_bends_and_never_folds() -> None:
    rows, columns = np.mgrid[0:128, 0:128].astype(np.float32)
    labels = np.zeros((128, 128), np.uint8)
    curved = 0
    for epoch in range(200):
        (r, target), (c, _) = (
            moved(image, labels, slice_generator(0, epoch, 1), 128, -1.0, None) for image in (rows, columns)
        )
        inside = binary_erosion(target != IGNORE, np.ones((5, 5)))
        jacobian = np.gradient(r, axis=0) * np.gradient(c, axis=1) - np.gradient(r, axis=1) * np.gradient(c, axis=0)
        assert jacobian[inside].min() > 0.1
        curved += float(np.abs(np.diff(r, 2, axis=0))[inside[1:-1]].max()) > 0.01
    assert 20 < curved < 70


def test_the_same_key_gives_the_same_bytes_and_no_other_does() -> None:
    image, labels = _thigh()
    made = {}
    for key in [(1, 2, 3), (1, 2, 4), (1, 3, 3), (2, 2, 3)]:
        one, two = (augmented(image, labels, slice_generator(*key), 96, -1.0, ALL_SAME) for _ in range(2))
        assert one[0].tobytes() == two[0].tobytes()
        assert one[1].tobytes() == two[1].tobytes()
        made[one[0].tobytes()] = key
    assert len(made) == 4


def test_what_lies_outside_the_slice_is_ignored() -> None:
    image, labels = np.full((64, 64), 3.0, np.float32), np.ones((64, 64), np.uint8)
    outside = 0
    for epoch in range(40):
        there, target = moved(image, labels, slice_generator(2, epoch, 1), 64, -5.0, ALL_SAME)
        assert set(np.unique(target)) <= {1, IGNORE}
        assert (there[target == IGNORE] == -5.0).all()
        outside += (target == IGNORE).any()
    assert outside > 20


def test_a_mirrored_slice_takes_the_other_side_s_classes() -> None:
    image, labels = _thigh()
    flipped = 0
    for epoch in range(60):
        _, target = moved(image, labels, slice_generator(3, epoch, 1), 96, -1.0, SIDES)
        assert set(np.unique(target)) <= {0, 1, 2, IGNORE}
        _, columns = np.nonzero(target == 1)
        _, others = np.nonzero(target == 2)
        assert columns.mean() > others.mean()  # the patient's left stays on the right of the picture
        flipped += (target == 1).sum() < (target == 2).sum()
    assert 20 < flipped < 40


def test_sides_swap_only_where_each_has_its_counterpart() -> None:
    assert SIDES is not None
    assert SIDES[[0, 1, 2, 3, IGNORE]].tolist() == [0, 2, 1, 3, IGNORE]
    assert swap_table(("background", "muscle_left")) is None
    assert swap_table(("background", "left", "bone")) is not None
    assert ALL_SAME is not None
    assert ALL_SAME.tolist() == list(range(256))


def test_grey_values_change_and_air_gets_no_shading() -> None:
    image, _ = _thigh()
    before = image.copy()
    shades = [recoloured(image, np.random.default_rng(seed), -1.0) for seed in range(60)]
    assert (image == before).all()
    assert all(shade.dtype == np.float32 and np.isfinite(shade).all() for shade in shades)
    assert len({shade.tobytes() for shade in shades}) > 45
    air = np.full((32, 32), -1.0, np.float32)
    smooth = [recoloured(air, np.random.default_rng(seed), -1.0) for seed in range(60)]
    assert sum(float(np.ptp(shade)) > 1e-5 for shade in smooth) < 25  # noise alone is uneven there


def test_low_resolution_keeps_the_place_and_loses_detail() -> None:
    y, x = np.mgrid[0:64, 0:64]
    ramp = (y + 2 * x).astype(np.float32)
    np.testing.assert_allclose(coarser(ramp, 0.5)[4:-4, 4:-4], ramp[4:-4, 4:-4], atol=1e-3)
    noise = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    assert coarser(noise, 0.5).std() < 0.8 * noise.std()
    np.testing.assert_allclose(coarser(noise, 1.0), noise, atol=1e-6)


def test_a_plan_leaves_sides_to_position_or_swaps_them() -> None:
    def mirror(*labels: Label) -> np.ndarray | None:
        return make_plan("x", Dataset(LabelTable(labels), (), (), (), ""), TrainConfig(), None).mirror

    both = (Label(1, "muscle", "left"), Label(2, "muscle", "right"))
    for_sided = mirror(*both)
    assert for_sided is not None
    assert for_sided[1] == 1
    with_bone = mirror(*both, Label(3, "muscle"))
    assert with_bone is not None
    assert with_bone[[1, 2, 3]].tolist() == [2, 1, 3]
    assert mirror(Label(1, "muscle", "left"), Label(3, "bone")) is None
