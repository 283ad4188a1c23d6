"""The made-up thigh: the same from the same seed, whole, right way round, and grey as an MR scan would be."""

import numpy as np
import pytest

from thighview.core.errors import UserError
from thighview.core.phantom import Phantom, draw_look, draw_person, fine_grid, make_phantom, make_slices
from thighview.core.phantom_names import CONTRASTS, TISSUES, muscle_table, tissue_table


def _phantom(seed: int, contrast: str | None = None) -> Phantom:
    return make_phantom(seed, contrast, slices=3, matrix=(128, 160), spacing_mm=(40.0, 2.4))


def test_the_same_seed_gives_the_same_bytes() -> None:
    one, two = _phantom(5), _phantom(5)
    assert one.volume.voxels.tobytes() == two.volume.voxels.tobytes()
    assert one.labels.tobytes() == two.labels.tobytes()
    assert one.muscles.tobytes() == two.muscles.tobytes()
    assert np.array_equal(one.volume.affine, two.volume.affine)
    assert (one.contrast, one.subject, one.volume.name) == (two.contrast, two.subject, two.volume.name)


def test_other_seeds_give_other_people() -> None:
    found = [_phantom(seed, "t1").labels for seed in range(4)]
    assert all(not np.array_equal(found[i], found[j]) for i in range(4) for j in range(i))


def test_the_contrast_changes_the_picture_and_not_the_person() -> None:
    one, two = _phantom(5, "t1"), _phantom(5, "dixon_water")
    assert np.array_equal(one.labels, two.labels)
    assert not np.array_equal(one.volume.voxels, two.volume.voxels)


def test_stored_the_other_way_it_is_the_same_patient() -> None:
    one = _phantom(6, "t1")
    two = make_phantom(6, "t1", slices=3, matrix=(128, 160), spacing_mm=(40.0, 2.4), axes="SAR")
    assert (one.volume.axes, two.volume.axes) == ("SPL", "SAR")
    assert np.array_equal(one.labels, two.labels[:, ::-1, ::-1])
    assert np.allclose(one.volume.to_world((0, 0, 0)), two.volume.to_world((0, 127, 159)), atol=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_every_tissue_is_on_both_sides_and_the_sides_are_the_patients(seed: int) -> None:
    phantom = _phantom(seed)
    for label in phantom.table:
        at = np.argwhere(phantom.labels == label.value)
        assert len(at) > 0, label.key
        x_mm = phantom.volume.to_world(at.astype(float))[:, 0]
        assert (x_mm > 0).all() if label.side == "left" else (x_mm < 0).all(), label.key


def test_front_is_front() -> None:
    """Front is the smaller LPS y; gracilis lies nearer the midline than vastus lateralis."""
    phantom = make_phantom(3, "t1", slices=1, matrix=(192, 256), spacing_mm=(5.0, 1.6))

    def centre(name: str, side: str) -> np.ndarray:
        label = phantom.muscle_names.find(name, side)
        assert label is not None
        at = np.argwhere(phantom.muscles == label.value)
        return phantom.volume.to_world(at.astype(float)).mean(0)

    for side in ("left", "right"):
        assert centre("vastus_intermedius", side)[1] < centre("semitendinosus", side)[1]
        assert abs(centre("gracilis", side)[0]) < abs(centre("vastus_lateralis", side)[0])


def test_muscles_are_muscle_and_air_is_dark() -> None:
    phantom = _phantom(9, "t1")
    tissue = np.where(phantom.labels > 5, phantom.labels - 5, phantom.labels)
    named = phantom.muscles > 0
    assert (tissue[named] == TISSUES.index("muscle") + 1).mean() > 0.97
    air, body = phantom.volume.voxels[tissue == 0], phantom.volume.voxels[tissue > 0]
    assert np.median(air) < 0.2 * np.median(body)
    assert air.std() > 0


def test_the_marrow_lies_inside_the_cortex() -> None:
    phantom = _phantom(2)
    tissue = np.where(phantom.labels > 5, phantom.labels - 5, phantom.labels)
    for z in range(3):
        marrow = tissue[z] == 5
        grown = marrow.copy()
        grown[1:] |= marrow[:-1]
        grown[:-1] |= marrow[1:]
        grown[:, 1:] |= marrow[:, :-1]
        grown[:, :-1] |= marrow[:, 1:]
        rim = tissue[z][grown & ~marrow]
        assert (rim == 4).mean() > 0.8


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_tissues_are_as_bright_as_the_contrast_makes_them(contrast: str) -> None:
    for seed in (1, 2, 3):
        phantom = _phantom(seed, contrast)
        tissue = np.where(phantom.labels > 5, phantom.labels - 5, phantom.labels)
        fat, muscle, cortex, marrow = (float(np.median(phantom.volume.voxels[tissue == t])) for t in (1, 2, 4, 5))
        if contrast in ("t1", "dixon_fat"):
            assert fat > 1.15 * muscle  # the second of them has much fat in the muscles
            assert marrow > muscle
        else:
            assert muscle > 1.15 * fat
            assert muscle > marrow
        assert cortex < max(fat, muscle)


def test_matrix_spacing_and_slices_are_those_of_scanners() -> None:
    spacings, matrices = set(), set()
    for seed in range(30):
        person_only = make_phantom(seed, slices=1)
        rows, columns = person_only.volume.shape[1:]
        between, down, across = person_only.volume.spacing_mm
        assert 256 <= rows <= 512
        assert 256 <= columns <= 512
        assert 0.7 <= across <= 1.5
        assert down == pytest.approx(across)
        assert 3.0 <= between <= 10.0
        assert 0.05 < (person_only.labels > 0).mean() < 0.85
        spacings.add(round(between, 1))
        matrices.add(columns)
    assert len(spacings) > 3
    assert len(matrices) > 3


def test_the_thigh_changes_smoothly_from_slice_to_slice() -> None:
    phantom = make_phantom(4, "t1", slices=5, matrix=(128, 160), spacing_mm=(5.0, 2.4))
    body = (phantom.labels > 0).sum((1, 2)).astype(float)
    assert (np.abs(np.diff(body)) < 0.08 * body[:-1]).all()
    same = (phantom.labels[1:] == phantom.labels[:-1]).mean()
    assert 0.9 < same < 1.0
    assert body[-1] > body[0]


def test_label_tables() -> None:
    assert [(b.value, b.name, b.side) for b in tissue_table()][:2] == [
        (1, "subcutaneous_fat", "left"),
        (2, "muscle", "left"),
    ]
    assert tissue_table().get(10) is not None
    assert len(muscle_table()) == 24


def test_slices_for_training_share_their_labels() -> None:
    rng = np.random.default_rng(0)
    looks = [draw_look(rng, "t1"), draw_look(rng, "random")]
    images, tissues, air = make_slices(draw_person(rng, wide=True), 0.5, looks, fine_grid(96, 160, 2.5), rng)
    assert images.shape == (2, 96, 160)
    assert images.dtype == np.float32
    assert tissues.shape == (96, 160)
    assert set(np.unique(tissues)) == {0, 1, 2, 3, 4, 5}
    assert np.array_equal(air, tissues == 0)


def test_what_it_cannot_draw_is_refused() -> None:
    with pytest.raises(UserError, match="contrast"):
        make_phantom(1, "ct")
    with pytest.raises(UserError, match="axes"):
        make_phantom(1, axes="ASL")
