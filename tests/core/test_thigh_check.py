"""What looks like a thigh: made-up ones do, the same upside down, without femur, or of another size do not."""

from dataclasses import replace

import numpy as np
import pytest

from thighview.core.labels import Label, LabelTable
from thighview.core.phantom import make_phantom
from thighview.core.phantom_names import CONTRASTS, TISSUES, TRUTHS, group_table, tissue_table
from thighview.core.thigh_check import LEAST_SHARE, thigh_share, thigh_warning

PHANTOM = make_phantom(9200000, "t1", slices=4)


@pytest.mark.parametrize("seed", range(9200000, 9200006))
def test_made_up_thighs_look_like_thighs(seed: int) -> None:
    phantom = make_phantom(seed, CONTRASTS[seed % 4], slices=3, axes="SAR" if seed % 2 else "SPL")
    share = thigh_share(phantom.labels, phantom.volume, phantom.table)
    assert share is not None and share >= LEAST_SHARE and thigh_warning(share, phantom.table) == ""


@pytest.mark.parametrize("change", ["upside down", "no femur", "two femurs", "small", "flat"])
def test_what_is_none_does_not(change: str) -> None:
    labels, volume = PHANTOM.labels.copy(), PHANTOM.volume
    bone = np.isin(labels, (4, 5, 9, 10))
    if change == "upside down":
        volume = replace(volume, affine=volume.affine * np.array([[1.0], [-1.0], [1.0], [1.0]]))
    elif change == "no femur":
        labels[bone] = 2
    elif change == "two femurs":
        labels[:, ::2][bone[:, ::2]] = 2
    elif change == "small":
        volume = replace(volume, affine=volume.affine @ np.diag([1.0, 0.3, 0.3, 1.0]))
    else:
        volume = replace(volume, affine=volume.affine @ np.diag([1.0, 0.3, 1.0, 1.0]))
    share = thigh_share(labels, volume, tissue_table())
    assert share is not None and share < LEAST_SHARE
    assert f"on {share:.0%} of the slices" in thigh_warning(share, tissue_table())


def test_where_single_muscles_are_told_apart_half_of_the_slices_are_enough() -> None:
    assert thigh_warning(0.6, group_table()) == "" and "50%" in thigh_warning(0.4, group_table())
    assert "75%" in thigh_warning(0.6, tissue_table())


@pytest.mark.parametrize(
    "left_out",
    [
        ("femur_cortex",), ("femur_marrow",), ("muscle",),
        ("gracilis",), ("femur",), ("rectus_femoris", "vasti", "sartorius"), ("subcutaneous_fat",),
    ],
)  # fmt: skip
def test_part_of_a_true_mask_is_never_said_to_be_no_thigh(left_out: tuple[str, ...]) -> None:
    truth = "tissues" if left_out[0] in TISSUES[1:] else "groups"
    table = LabelTable(tuple(label for label in TRUTHS[truth]() if label.name not in left_out))
    labels = np.where(np.isin(PHANTOM.truth(truth), [label.value for label in table]), PHANTOM.truth(truth), 0)
    assert thigh_warning(thigh_share(labels.astype(np.uint8), PHANTOM.volume, table), table) == ""


def test_both_legs_in_one_label_are_not_judged() -> None:
    table = LabelTable(tuple(Label(value, name) for value, name in enumerate(TISSUES, 1)))
    labels = np.where(PHANTOM.labels > len(TISSUES), PHANTOM.labels - len(TISSUES), PHANTOM.labels).astype(np.uint8)
    assert thigh_share(labels, PHANTOM.volume, table) is None


def test_other_labels_are_not_judged() -> None:
    table = LabelTable((Label(1, "liver"), Label(2, "femur")))
    assert thigh_share(PHANTOM.labels, PHANTOM.volume, table) is None and thigh_warning(None, table) == ""
    assert thigh_share(np.zeros_like(PHANTOM.labels), PHANTOM.volume, tissue_table()) is None
