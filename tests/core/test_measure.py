"""Measures against worked examples, brute force and SimpleITK."""

import doctest
from collections.abc import Sequence

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from scipy.ndimage import binary_erosion

from thighview.core import measure
from thighview.core.labels import Label, LabelTable
from thighview.core.volume import Volume


def blobs(seed: int, shape: tuple[int, int, int] = (8, 14, 16)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    grid = np.stack(np.mgrid[: shape[0], : shape[1], : shape[2]], -1)

    def ball(centre: Sequence[float], radius: float) -> np.ndarray:
        return ((grid - np.asarray(centre)) ** 2).sum(-1) <= radius**2

    middle = rng.uniform(3, 5, 3) + np.array((0, 3, 3))
    return ball(middle, 3.4) & (rng.random(shape) < 0.95), ball(middle + rng.normal(0, 1.2, 3), 3.0)


def test_docstring_examples():
    result = doctest.testmod(measure)
    assert result.attempted > 10 and result.failed == 0


@pytest.mark.parametrize("seed", range(8))
def test_hd95_is_the_brute_force_one(seed):
    a, b = blobs(seed)
    spacing = (5.0, 1.25, 0.8)

    def surface(region: np.ndarray) -> np.ndarray:
        return np.argwhere(region & ~binary_erosion(region, border_value=0)) * spacing

    sa, sb = surface(a), surface(b)
    distance = np.linalg.norm(sa[:, None] - sb[None], axis=-1)
    expected = max(np.percentile(distance.min(1), 95), np.percentile(distance.min(0), 95))
    assert measure.hd95_mm(a, b, spacing) == pytest.approx(expected, abs=1e-9)
    assert measure.hd95_mm(b, a, spacing) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seen", [slice(1, 9, 3), slice(4, 7), slice(5, 6), slice(1, 9)])
def test_where_slices_are_unknown_a_region_has_no_end(seen: slice) -> None:
    """Cylinders of 12 and 15 mm radius: on whatever slices they are known, their walls are 3 mm apart."""
    y, x = np.mgrid[:40, :40] - 20
    inner, outer = (np.broadcast_to(y**2 + x**2 <= r**2, (10, 40, 40)) for r in (12, 15))
    known = np.zeros(inner.shape, bool)
    known[seen] = True
    away = measure.surface_distances_mm(inner & known, outer & known, (5.0, 1.0, 1.0), known)
    assert away is not None
    assert measure.msd_of(*away) == pytest.approx(3.0, abs=0.35)
    assert measure.hd95_of(*away) == pytest.approx(3.0, abs=0.7)
    cut = measure.surface_distances_mm(inner & known, outer & known, (5.0, 1.0, 1.0))
    assert cut is not None and measure.msd_of(*cut) < measure.msd_of(*away), "ends that touch count as surface"


@pytest.mark.parametrize("seed", range(4))
def test_hd95_never_exceeds_simpleitks_hausdorff_distance(seed):
    a, b = (sitk.GetImageFromArray(m.astype(np.uint8)) for m in blobs(seed))
    for image in (a, b):
        image.SetSpacing((0.8, 1.25, 5.0))
    filter_ = sitk.HausdorffDistanceImageFilter()
    filter_.Execute(a, b)
    found = measure.hd95_mm(*blobs(seed), (5.0, 1.25, 0.8))
    assert found is not None and found <= filter_.GetHausdorffDistance() + 1e-6


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spacing", [(5.0, 1.25, 0.8), (1.0, 1.0, 1.0), (0.7, 3.0, 2.0)])
def test_the_mean_surface_distance_is_that_of_simpleitks_surfaces_and_distance_maps(seed, spacing):
    regions = [np.pad(m, 2) for m in blobs(seed)]  # SimpleITK sees no surface at the edge of an image
    images = [sitk.GetImageFromArray(m.astype(np.uint8)) for m in regions]
    distances = []
    for image in images:
        image.SetSpacing(spacing[::-1])
    contours = [sitk.LabelContour(image, fullyConnected=False) for image in images]
    for this, other in ((0, 1), (1, 0)):
        away = sitk.SignedMaurerDistanceMap(contours[other], squaredDistance=False, useImageSpacing=True)
        away = np.abs(sitk.GetArrayFromImage(away))
        distances.append(away[sitk.GetArrayFromImage(contours[this]) == 1])
    expected = np.concatenate(distances).mean()
    assert measure.msd_mm(*regions, spacing) == pytest.approx(expected, abs=1e-5)
    assert measure.msd_mm(*regions[::-1], spacing) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_dice_is_simpleitks(seed):
    a, b = blobs(seed)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*(sitk.GetImageFromArray(m.astype(np.uint8)) for m in (a, b)))
    assert measure.dice(a, b) == pytest.approx(overlap.GetDiceCoefficient(1))


def test_empty_regions():
    empty, one = np.zeros((2, 3, 4), bool), np.ones((2, 3, 4), bool)
    assert measure.dice(empty, empty) is None and measure.dice(one, empty) == 0.0 and measure.dice(one, one) == 1.0
    assert measure.hd95_mm(empty, one, (1, 1, 1)) is None and measure.hd95_mm(one, one, (1, 1, 1)) == 0.0
    assert measure.msd_mm(empty, one, (1, 1, 1)) is None and measure.msd_mm(one, one, (1, 1, 1)) == 0.0
    assert measure.volume_error_ml(empty, one, 0.5) == -12.0


def test_sizes_per_label_on_any_axis(tiny_volume):
    labels = np.zeros(tiny_volume.shape, np.uint8)
    labels[2, 4:8, 5:10] = 3
    labels[3, 0:2, 0:1] = 77
    table = LabelTable((Label(3, "vasti", "left"), Label(4, "femur")))
    found = {m.value: m for m in measure.measure(labels, tiny_volume, table)}
    assert list(found) == [3, 4, 77]
    vasti = found[3]
    assert (vasti.name, vasti.side, vasti.voxels) == ("vasti", "left", 20)
    assert vasti.area_mm2 == pytest.approx((0, 0, 20 * 1.5 * 1.25, 0, 0, 0))
    assert vasti.volume_ml == pytest.approx(20 * 5 * 1.5 * 1.25 / 1000)
    assert found[4].voxels == 0 and found[77].name == "label_77"
    across_x = measure.measure(labels, tiny_volume, table, axis=2)[0]
    assert len(across_x.area_mm2) == 32 and across_x.area_mm2[5] == pytest.approx(4 * 5 * 1.5)


def test_area_of_an_oblique_grid():
    turn = np.array([[1.0, 0, 0], [0, np.cos(0.4), -np.sin(0.4)], [0, np.sin(0.4), np.cos(0.4)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([5.0, 1.5, 2.0])
    assert measure.face_area_mm2(Volume(np.zeros((2, 2, 2), np.int16), affine), 0) == pytest.approx(3.0)
