"""Masks: on the scan's own voxels, with the file's own numbers, in and out."""

import itertools
import json
import struct

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.segments import split_side
from thighview.core.volume import Volume
from thighview.io import masks, nifti
from thighview.io.masks import read_mask, write_mask, write_sidecar
from thighview.io.reading import read_volume


def ras_of(volume):
    """The NIfTI matrix, (i, j, k, 1) to RAS mm."""
    return (np.diag([-1, -1, 1, 1]) @ volume.affine)[:, [2, 1, 0, 3]]


def some_labels(volume, seed=1):
    return np.random.default_rng(seed).integers(0, 4, volume.shape).astype(np.uint8)


def raw(path):
    import gzip

    return gzip.decompress(path.read_bytes())


def test_two_legs_with_its_labels_in_and_out(data, tmp_path):
    folder = data / "legs_qmritools"
    volume = read_volume(folder / "twoLegs.nii.gz")
    labels, table = read_mask(folder / "labels.nii.gz", volume)
    reference = nib.load(folder / "labels.nii.gz")
    assert np.array_equal(labels, np.asarray(reference.dataobj).T)
    assert [b.file_id for b in table] == list(range(13, 27)) == [b.value for b in table]
    write_mask(tmp_path / "out.nii.gz", labels, table, volume)
    source, written = raw(folder / "twoLegs.nii.gz"), raw(tmp_path / "out.nii.gz")
    assert written[252:328] == source[252:328] and written[76:92] == source[76:92]  # codes, both forms, spacing
    back = nib.load(tmp_path / "out.nii.gz")
    assert np.array_equal(np.asarray(back.dataobj), np.asarray(reference.dataobj)) and back.get_data_dtype() == np.uint8
    assert np.array_equal(read_mask(tmp_path / "out.nii.gz", volume)[0], labels)


@pytest.mark.parametrize(
    "name", ["thigh_siemens_dixon/0006-Dixon_TE_345_th.nii.gz", "foot_siemens/0026-dix3d_TR23_fa05_460.nii.gz"]
)
def test_position_and_codes_are_the_scan_s_byte_for_byte(data, tmp_path, name):
    volume = read_volume(data / name)
    write_mask(tmp_path / "out.nii.gz", some_labels(volume), LabelTable(), volume)
    source, written = raw(data / name), raw(tmp_path / "out.nii.gz")
    assert (
        written[252:328] == source[252:328] and written[76:92] == source[76:92] and written[123] & 7 == source[123] & 7
    )
    assert not any(written[148:252]) and not any(written[328:344])  # not a word of the source's text


def test_a_dicom_scan_s_mask_lies_where_the_scan_lies(data, tmp_path):
    volume = read_volume(data / "dicom/ge_knee_mese_echo1_MIT")
    labels = some_labels(volume)
    write_mask(tmp_path / "out.nii", labels, LabelTable(), volume)
    image = nib.load(tmp_path / "out.nii")
    assert np.abs(image.affine - ras_of(volume)).max() < 1e-4
    assert np.abs(image.get_qform() - image.get_sform()).max() < 1e-3
    assert np.array_equal(read_mask(tmp_path / "out.nii", volume)[0], labels)


def test_a_mask_on_another_grid_is_refused_with_the_reason(data):
    folder = data / "calf_siemens"
    volume = read_volume(folder / "t2_te16ms.nii.gz")
    with pytest.raises(UserError, match=r"another grid.*512.*256") as caught:
        read_mask(folder / "tissue_mask_for_t2.nii.gz", volume)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a + np.array([[0, 0, 0, 3], *np.zeros((3, 4))]), "middle lies 3.00 mm away"),
        (lambda a: a @ np.diag([1.1, 1, 1, 1]), "spacing"),
        (
            lambda a: np.array([[0.996, 0.087, 0, 0], [-0.087, 0.996, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ a,
            "turned by 5",
        ),
    ],
)
def test_what_differs_is_named(tmp_path, tiny_volume, change, words):
    image = nib.Nifti1Image(some_labels(tiny_volume).T, change(ras_of(tiny_volume)))
    image.to_filename(tmp_path / "m.nii.gz")
    with pytest.raises(UserError, match=words):
        read_mask(tmp_path / "m.nii.gz", tiny_volume)


def test_a_mask_that_does_not_say_where_it_lies_is_refused(tmp_path, tiny_volume):
    image = nib.Nifti1Image(some_labels(tiny_volume).T, None)
    image.header.set_sform(None, 0)
    image.header.set_qform(None, 0)
    image.to_filename(tmp_path / "m.nii.gz")
    with pytest.raises(UserError, match="does not say where it lies"):
        read_mask(tmp_path / "m.nii.gz", tiny_volume)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_the_same_voxels_stored_otherwise_are_put_in_place_exactly(tmp_path, order, signs):
    oblique = np.eye(4)
    oblique[:3, :3] = nib.quaternions.quat2mat([0.97, 0.1, -0.15, 0.14]) @ np.diag([5, 1.5, 1.25])
    oblique[:3, 3] = [4, 5, 6]
    volume = Volume(np.zeros((3, 4, 5), np.int16), oblique)
    labels = some_labels(volume)
    ijk = nib.Nifti1Image(labels.T, ras_of(volume))
    turned = ijk.as_reoriented(np.array([[o, s] for o, s in zip(order, signs, strict=True)]))
    turned.to_filename(tmp_path / "m.nii.gz")
    assert np.array_equal(read_mask(tmp_path / "m.nii.gz", volume)[0], labels)


def test_float_maps_large_numbers_and_what_is_no_label_map(tmp_path, tiny_volume):
    labels = some_labels(tiny_volume)

    def save(values):
        nib.Nifti1Image(values.T, ras_of(tiny_volume)).to_filename(tmp_path / "m.nii.gz")
        return tmp_path / "m.nii.gz"

    assert np.array_equal(read_mask(save(labels.astype(np.float32)), tiny_volume)[0], labels)
    large = np.array([0, 2, 1017, -5], np.int16)[labels]
    read, table = read_mask(save(large), tiny_volume)
    assert {b.file_id for b in table} == {2, 1017, -5} and len(np.unique(read)) == 4
    write_mask(tmp_path / "out.nii.gz", read, table, tiny_volume)
    assert np.array_equal(np.asarray(nib.load(tmp_path / "out.nii.gz").dataobj).T, large)
    for odd in (0.5, np.nan):
        with pytest.raises(UserError, match="no label map"):
            read_mask(save(np.where(labels == 1, odd, labels)), tiny_volume)
    many = np.arange(labels.size, dtype=np.int32).reshape(labels.shape)
    with pytest.raises(UserError, match="at most 255"):
        read_mask(save(many), tiny_volume)


def test_names_sides_and_colours_come_from_the_sidecar(tmp_path, tiny_volume):
    labels = some_labels(tiny_volume)
    nib.Nifti1Image((labels + 12 * (labels > 0)).astype(np.uint8).T, ras_of(tiny_volume)).to_filename(
        tmp_path / "m.nii.gz"
    )
    rows = [
        {"id": 0, "name": "background"},
        {"id": 13, "name": "soleus_left"},
        {"id": 14, "name": "soleus", "side": "right", "colour": [1, 2, 3]},
        {"id": 99, "name": "Gracilis R"},
    ]
    (tmp_path / "m.json").write_text(json.dumps({"labels": rows, "model": "x"}))
    table = read_mask(tmp_path / "m.nii.gz", tiny_volume)[1]
    assert [(b.file_id, b.name, b.side) for b in table] == [
        (13, "soleus", "left"), (14, "soleus", "right"), (15, "label_15", ""), (99, "Gracilis", "right"),
    ]  # fmt: skip
    assert table.labels[1].colour == (1, 2, 3)
    assert write_sidecar(tmp_path / "o.nii.gz", table, model="thigh_tissues") == tmp_path / "o.json"
    written = json.loads((tmp_path / "o.json").read_text())
    assert written["model"] == "thigh_tissues" and written["labels"][0]["id"] == 13
    (tmp_path / "m.json").write_bytes((tmp_path / "o.json").read_bytes())
    assert read_mask(tmp_path / "m.nii.gz", tiny_volume)[1] == table
    (tmp_path / "m.json").write_text('{"RepetitionTime": 2}')
    assert read_mask(tmp_path / "m.nii.gz", tiny_volume)[1].labels[0].name == "label_13"
    for broken in (
        '{"labels": [{"id": "one", "name": "x"}]}',
        "{",
        '{"labels": [{"id": 1, "name": "x", "side": "up"}]}',
    ):
        (tmp_path / "m.json").write_text(broken)
        with pytest.raises(UserError, match=r"m\.json"):
            read_mask(tmp_path / "m.nii.gz", tiny_volume)


def test_sides_in_names():
    assert split_side("vastus_lateralis_left") == ("vastus_lateralis", "left")
    assert split_side("Gluteus maximus R") == ("Gluteus maximus", "right")
    assert split_side("femur-L") == ("femur", "left")
    assert split_side("gracilis") == ("gracilis", "") and split_side("tibial") == ("tibial", "")


def test_two_labels_never_become_one(tmp_path, tiny_volume):
    table = LabelTable((Label(1, "a", file_id=2), Label(2, "b")))
    with pytest.raises(UserError, match="same number"):
        write_mask(tmp_path / "m.nii.gz", some_labels(tiny_volume), table, tiny_volume)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["write_label_map", "read_nifti"])
def test_an_interrupted_write_leaves_the_old_mask(tmp_path, tiny_volume, monkeypatch, where):
    path = tmp_path / "m.nii.gz"
    write_mask(path, some_labels(tiny_volume), LabelTable(), tiny_volume)
    before = path.read_bytes()

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(nifti, where, fail)
    with pytest.raises(MemoryError):
        write_mask(path, some_labels(tiny_volume, 2), LabelTable(), tiny_volume)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["m.nii.gz"]


def test_a_mask_that_does_not_read_back_is_not_put_in_place(tmp_path, tiny_volume, monkeypatch):
    good = nifti.write_label_map
    monkeypatch.setattr(masks.nifti, "write_label_map", lambda f, codes, v, c: good(f, codes * 0, v, c))
    with pytest.raises(UserError, match="did not read back"):
        write_mask(tmp_path / "m.nii.gz", some_labels(tiny_volume), LabelTable(), tiny_volume)
    assert not list(tmp_path.iterdir())


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 255), min_size=3, max_size=3, unique=True))
def test_any_label_map_comes_back(tmp_path_factory, seed, values):
    path = tmp_path_factory.getbasetemp() / "any.nii.gz"
    volume = Volume(np.zeros((3, 4, 5), np.int16), np.diag([5.0, -1.5, -1.25, 1.0]))
    labels = np.array([0, *values], np.uint8)[some_labels(volume, seed)]
    table = LabelTable(tuple(Label(v, f"n{v}") for v in values))
    write_mask(path, labels, table, volume)
    read, found = read_mask(path, volume)
    assert np.array_equal(read, labels) and {b.file_id for b in found} == set(np.unique(labels)) - {0}


def test_the_same_mask_gives_the_same_bytes(tmp_path, tiny_volume):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_mask(tmp_path / name, some_labels(tiny_volume), LabelTable(), tiny_volume)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    assert struct.unpack_from("<h", raw(tmp_path / "a.nii.gz"), 68)[0] == 1002
