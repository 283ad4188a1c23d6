"""Shapes drawn by hand, against slow and obvious definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from thighview.core.brush import disc, flood, polygon, stroke

SHAPE = (24, 30)


def whole(drawn, shape=SHAPE):
    out = np.zeros(shape, bool)
    if drawn:
        out[drawn[0].slices] = drawn[1]
    return out


places = st.tuples(st.floats(-8, 32), st.floats(-8, 38))


@given(places, places, st.floats(0.2, 9), st.sampled_from([(1.0, 1.0), (0.7, 2.0), (5.0, 0.8)]))
def test_stroke_is_everything_within_the_radius(a, b, radius, spacing):
    rows, columns = np.indices(SHAPE)
    p = np.stack([rows * spacing[0], columns * spacing[1]], -1)
    s, e = np.multiply(a, spacing), np.multiply(b, spacing)
    d = e - s
    t = np.clip(((p - s) @ d) / max(float(d @ d), 1e-300), 0, 1)
    distance = np.linalg.norm(p - (s + t[..., None] * d), axis=-1)
    got = whole(stroke(a, b, radius, spacing, SHAPE))
    assert got[distance < radius - 1e-6].all()
    ends = np.zeros(SHAPE, bool)
    for r, c in (np.floor(np.add(a, 0.5)).astype(int), np.floor(np.add(b, 0.5)).astype(int)):
        if 0 <= r < SHAPE[0] and 0 <= c < SHAPE[1]:
            ends[r, c] = True
    assert not got[(distance > radius + 1e-6) & ~ends].any()
    assert got[ends].all()


def test_disc_is_round_in_millimetres():
    got = whole(disc((12, 15), 6.0, (3.0, 1.0), SHAPE))
    assert got[:, 15].sum() == 5
    assert got[12].sum() == 13
    assert disc((-50, 3), 6.0, (1, 1), SHAPE) is None
    assert whole(disc((12.2, 14.9), 0.01, (1, 1), SHAPE)).sum() == 1


def crossing_inside(points, row, column):
    inside = False
    for (ra, ca), (rb, cb) in zip(points, points[1:] + points[:1], strict=True):
        if (ra <= row) != (rb <= row) and column >= ca + (row - ra) * (cb - ca) / (rb - ra):
            inside = not inside
    return inside


corners = st.tuples(st.integers(-40, 160), st.integers(-40, 190)).map(lambda p: (p[0] / 4 - 5, p[1] / 4 - 5))


@given(st.lists(corners, min_size=3, max_size=9))
def test_polygon_is_every_centre_inside(points):
    got = whole(polygon(points, SHAPE))
    for row in range(0, SHAPE[0], 3):
        for column in range(0, SHAPE[1], 2):
            assert got[row, column] == crossing_inside(points, row, column)


def test_polygons_side_by_side_share_no_pixel():
    a = whole(polygon([(2, 2), (2, 10), (12, 10), (12, 2)], SHAPE))
    b = whole(polygon([(2, 10), (2, 20), (12, 20), (12, 10)], SHAPE))
    assert not (a & b).any()
    assert a.sum() == 80
    assert b.sum() == 100
    assert polygon([(1, 1), (5, 5)], SHAPE) is None
    assert polygon([(-9, -9), (-9, -3), (-3, -3)], SHAPE) is None


@given(st.integers(0, 2**31), st.integers(0, 23), st.integers(0, 29))
def test_flood_is_the_four_connected_area(seed, row, column):
    labels = np.random.default_rng(seed).integers(0, 2, SHAPE).astype(np.uint8)
    areas, _ = ndimage.label(labels == labels[row, column])
    assert np.array_equal(whole(flood(labels, (row, column))), areas == areas[row, column])


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.8, 0.8)])
def test_flood_of_an_empty_slice_is_the_slice(spacing):
    box, inside = flood(np.zeros((40, 50), np.uint8), (3, 4))
    assert inside.all()
    assert box.shape == (40, 50)
