"""The made-up thigh: the same from the same seed, whole, right way round, and grey as an MR scan would be."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from thighview.core.errors import UserError
from thighview.core.labels import LabelTable
from thighview.core.phantom import Phantom, draw_look, draw_person, fine_grid, make_phantom, see_cut
from thighview.core.phantom_anatomy import FAT, MARROW, MUSCLE, cut_legs
from thighview.core.phantom_names import (
    CONTRASTS,
    GROUP_OF_MUSCLE,
    GROUPS,
    MUSCLES,
    TISSUES,
    TRUTHS,
    group_table,
    muscle_table,
    tissue_table,
)
from thighview.core.phantom_varied import LONGEST_TURN, draw_varied_look, draw_varied_person

_INNER_HAMSTRINGS = ("semitendinosus", "semimembranosus")


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
            assert fat > 1.1 * muscle  # the third of them has much fat in the muscles
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
    groups = list(group_table())
    assert [(b.name, b.side) for b in groups] == [(n, s) for s in ("left", "right") for n in GROUPS]
    assert [b.value for b in groups] == list(range(1, 21))
    assert len({b.colour for b in groups}) == len(GROUPS)
    assert all(group in GROUPS and muscle in MUSCLES for muscle, group in GROUP_OF_MUSCLE.items())


def test_people_are_drawn_as_they_were_when_the_model_of_groups_learnt_from_them() -> None:
    phantom = _phantom(5, "t1")
    counts = np.bincount(phantom.labels.ravel(), minlength=11)
    wanted = [39492, 1703, 7795, 814, 265, 101, 1762, 8344, 834, 235, 95]
    assert np.abs(counts - wanted).max() <= 10  # another processor rounds otherwise
    assert phantom.volume.voxels.mean() == pytest.approx(86.6306, rel=1e-3)
    assert phantom.volume.voxels.std() == pytest.approx(115.0070, rel=1e-3)


@pytest.mark.parametrize("seed", [3, 5])
def test_groups_are_the_muscles_read_together_the_femur_and_the_fat_beneath_the_skin(seed: int) -> None:
    phantom = make_phantom(seed, slices=3, matrix=(200, 256), spacing_mm=(40.0, 1.5))
    muscles, groups = muscle_table(), group_table()
    for label in groups:
        found = phantom.truth("groups") == label.value
        assert found.any() or label.name in ("rectus_femoris", "adductors"), label.key  # not there above the knee
        if label.name == "femur":
            wanted = np.isin(phantom.labels, [_value(tissue_table(), f"femur_{p}", label.side) for p in _BONE])
        elif label.name == "subcutaneous_fat":
            wanted = phantom.labels == _value(tissue_table(), label.name, label.side)
        else:
            parts = [m for m, group in GROUP_OF_MUSCLE.items() if group == label.name]
            wanted = np.isin(phantom.muscles, [_value(muscles, m, label.side) for m in parts])
        assert (found != wanted).sum() <= 0.1 * wanted.sum() + 5, label.key  # of pixels between two, one wins each
    gluteus = np.isin(phantom.muscles, [_value(muscles, "gluteus_maximus", side) for side in ("left", "right")])
    assert (phantom.groups[gluteus] == 0).all()


_BONE = ("cortex", "marrow")


def test_the_hamstrings_lie_as_in_people() -> None:
    """From within outwards semimembranosus, semitendinosus, biceps; of its heads the short one is apart, and ends."""
    biceps, tendinous, membranous = (MUSCLES.index(m) + 1 for m in ("biceps_femoris", *_INNER_HAMSTRINGS))
    pieces: dict[float, list[int]] = {0.3: [], 0.9: []}
    for seed in range(6):
        person = draw_person(np.random.default_rng(seed))
        for level, counts in pieces.items():
            across, down = person.centre_mm(1, level)
            rows, columns = fine_grid(200, 200, 1.0, (down, across))
            muscle = cut_legs(person, level, rows, columns).muscle
            there = [m for m in (membranous, tendinous, biceps) if (muscle == m).sum() > 100]
            lateral = [columns[np.nonzero(muscle == m)[1]].mean() for m in there]
            assert lateral == sorted(lateral) and len(lateral) == (3 if level == 0.3 else 2)
            labelled, _ = ndimage.label(muscle == biceps)
            counts.append(int((np.bincount(labelled.ravel())[1:] > 300).sum()))
    assert sum(n == 2 for n in pieces[0.3]) >= 5 and max(pieces[0.9]) == 1


def test_a_muscle_begins_crosses_over_and_ends_at_levels_of_its_own() -> None:
    """A sartorius that lies lower than usual is at every level where it otherwise is further up: more in front."""
    sartorius, rectus = MUSCLES.index("sartorius"), MUSCLES.index("rectus_femoris")
    person = draw_person(np.random.default_rng(4))
    lower = person.legs[0].level_shift.copy()
    lower[sartorius] += 0.15
    other = replace(person, legs=(replace(person.legs[0], level_shift=lower), person.legs[1]))
    for level in (0.4, 0.6):
        across, down = person.centre_mm(1, level)
        rows, columns = fine_grid(200, 200, 1.0, (down, across))
        cuts = [cut_legs(one, level, rows, columns).muscle for one in (person, other)]
        front = [rows[np.nonzero(cut == sartorius + 1)[0]].mean() for cut in cuts]
        assert front[1] < front[0] - 5  # rows run to the back, mm
        of_rectus = [(cut == rectus + 1).sum() for cut in cuts]
        assert of_rectus[1] > 0.9 * of_rectus[0]


def _value(table: LabelTable, name: str, side: str) -> int:
    label = table.find(name, side)
    assert label is not None
    return label.value


def test_each_label_map_of_a_phantom_has_its_table() -> None:
    phantom = _phantom(6)
    for name, make in TRUTHS.items():
        assert set(np.unique(phantom.truth(name))) <= {0, *(label.value for label in make())}
    assert phantom.table == tissue_table()
    turned = make_phantom(6, phantom.contrast, slices=3, matrix=(128, 160), spacing_mm=(40.0, 2.4), axes="SAR")
    assert np.array_equal(phantom.groups, turned.groups[:, ::-1, ::-1])


def test_slices_for_training_have_tissues_or_groups() -> None:
    cut = cut_legs(draw_person(np.random.default_rng(0), wide=True), 0.5, *fine_grid(96, 160, 2.5))
    for contrast in ("t1", "random"):
        look = draw_look(np.random.default_rng(0), contrast)
        image, tissues, air = see_cut(cut, look, np.random.default_rng(1))
        again, groups, _ = see_cut(cut, look, np.random.default_rng(1), "groups")
        assert image.shape == tissues.shape == air.shape == (96, 160)
        assert image.dtype == np.float32
        assert np.array_equal(image, again)
        assert set(np.unique(tissues)) == {0, 1, 2, 3, 4, 5}
        assert (air != (tissues == 0)).mean() < 0.02  # at the skin, a pixel may be air and tissue in equal parts
        assert set(np.unique(groups)) == set(range(11))
        assert (tissues[groups == GROUPS.index("subcutaneous_fat") + 1] == 1).all()


def test_people_for_training_differ_more_and_follow_from_their_seed() -> None:
    people = [draw_varied_person(np.random.default_rng(seed)) for seed in range(40)]
    again = draw_varied_person(np.random.default_rng(7))
    assert np.array_equal(again.legs[0].site_shift, people[7].legs[0].site_shift)
    assert again.legs[1].infiltration.tolist() == people[7].legs[1].infiltration.tolist()
    assert np.std([p.legs[0].site_shift for p in people]) > 0.045
    turns = np.abs([leg.turn for p in people for leg in p.legs])
    assert 0.4 < turns.max() <= LONGEST_TURN
    assert min(p.gap_mm for p in people) < 0.1 and max(p.gap_mm for p in people) > 2
    assert max(p.legs[0].infiltration.max() for p in people) > 0.9


def test_looks_for_training_are_often_t1_weighted_with_any_muscle_and_marrow() -> None:
    looks = [draw_varied_look(np.random.default_rng(seed), 0.4) for seed in range(120)]
    kinds = [look.contrast for look in looks]
    assert 0.3 < kinds.count("random") / 120 < 0.5
    assert 0.2 < kinds.count("t1") / 120 < 0.42
    ratios = [look.signal[FAT] / look.signal[MUSCLE] for look in looks if look.contrast == "t1"]
    assert 1.29 < min(ratios) < 1.7 and 3 < max(ratios) < 4.01
    assert any(look.signal[MARROW] < 1.4 * look.signal[MUSCLE] for look in looks if look.contrast == "t1")
    assert max(float(np.log(look.muscle_gain[1:]).std()) for look in looks) > 0.12


def test_mottling_and_coil_change_the_picture_and_a_plain_look_has_neither() -> None:
    rng = np.random.default_rng(0)
    person, plain, grid = draw_person(rng), draw_look(rng, "t1"), fine_grid(96, 160, 2.5)
    assert (plain.mottling, plain.coil) == (0.0, 0.0)
    looks = [plain, replace(plain, mottling=0.3), replace(plain, coil=1.0)]
    drawn = [see_cut(cut_legs(person, 0.5, *grid), look, np.random.default_rng(2))[0] for look in looks]
    assert np.isfinite(drawn).all()
    assert not np.allclose(drawn[0], drawn[1]) and not np.allclose(drawn[0], drawn[2])
    assert drawn[2].mean() < 0.8 * drawn[0].mean()


def test_what_it_cannot_draw_is_refused() -> None:
    with pytest.raises(UserError, match="contrast"):
        make_phantom(1, "ct")
    with pytest.raises(UserError, match="axes"):
        make_phantom(1, axes="ASL")
