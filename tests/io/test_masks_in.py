"""Masks of other programs: in the right place, with their names, and never a guess."""

import gzip
import json
import random

import highdicom as hd
import numpy as np
import pytest
from mask_files import (
    ORDERS,
    described,
    oblique_volume,
    scan_files,
    slicer_fields,
    some_labels,
    stored_as,
    write_nifti,
    write_nrrd,
    write_seg,
)
from pydicom.uid import RLELossless

from thighview.core.errors import UserError
from thighview.core.found_mask import MaskWish
from thighview.core.volume import Volume
from thighview.io.mask_codes import rgb_of_lab
from thighview.io.mask_file import read_mask_file
from thighview.io.mask_names import is_description, read_description, renamed
from thighview.io.mask_parts import mask_of_parts, read_seg_parts
from thighview.io.masks import find_mask, read_mask
from thighview.io.reading import read_volume

SNAP = """################################################
# ITK-SnAP Label Description File
# File format: IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
################################################
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0   10        1  1  1    "Vastus lateralis left"
    3    12   13   14      0.5  1  0    "Femur"
  999     1    2    3        1  1  1    "Skin"
"""


@pytest.fixture
def scan(tmp_path):
    """A DICOM series of 5 axial images, 2 mm apart, and the volume it makes."""
    sources = scan_files(tmp_path / "scan")
    return sources, read_volume(tmp_path / "scan")


def names_of(table):
    return [(b.file_id, b.name, b.side) for b in table]


# ---------------------------------------------------------------------- where it lies


def layered(labels):
    return np.stack([labels == 1, labels == 2, labels == 3]).astype(np.uint8)


def segments_of_three():
    return [described(i, f"n{i}") for i in (1, 2, 3)]


SLICER = slicer_fields(("n1", "1 0 0", 1, 0, ""), ("n2", "0 1 0", 1, 1, ""), ("n3", "0 0 1", 1, 2, ""))


def packed(seg):
    seg.compress(RLELossless, encoding_plugin="pydicom")


def with_itk(path, array, affine):
    """A label map as SimpleITK writes it; the ending says how."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(array)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing[::-1].tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing)[:, ::-1].ravel().tolist())
    SimpleITK.WriteImage(image, str(path))
    return path


WRITERS = {
    "nifti": lambda path, a, m, sources: write_nifti(path.with_suffix(".nii.gz"), a, m),
    "nrrd": lambda path, a, m, sources: write_nrrd(path.with_suffix(".nrrd"), a, m),
    "nrrd_ras": lambda path, a, m, sources: write_nrrd(path.with_suffix(".nrrd"), a, m, "right-anterior-superior"),
    "metaimage": lambda path, a, m, sources: with_itk(path.with_suffix(".mha"), a, m),
    "nrrd_of_itk": lambda path, a, m, sources: with_itk(path.with_suffix(".nrrd"), a, m),
    "slicer_layers": lambda path, a, m, sources: write_nrrd(
        path.with_suffix(".nrrd"), layered(a), m, "left-anterior-superior", SLICER
    ),
    "seg_binary": lambda path, a, m, sources: write_seg(path, sources, a, segments_of_three(), "BINARY", m),
    "seg_fractional": lambda path, a, m, sources: write_seg(
        path, sources, np.moveaxis(layered(a), 0, -1).astype(np.float32), segments_of_three(), "FRACTIONAL", m
    ),
    "seg_label_map": lambda path, a, m, sources: write_seg(path, sources, a, segments_of_three(), "LABELMAP", m),
    "seg_compressed": lambda path, a, m, sources: write_seg(
        path, sources, a, segments_of_three(), "LABELMAP", m, packed
    ),
}


@pytest.mark.parametrize("form", WRITERS)
def test_every_storage_order_lands_in_the_right_place(tmp_path, form):
    volume = oblique_volume()
    labels = some_labels(volume)
    sources = scan_files(tmp_path / "scan") if form.startswith("seg") else []
    for order, signs in ORDERS:
        path = WRITERS[form](tmp_path / "mask", *stored_as(labels, volume.affine, order, signs), sources)
        read, table = read_mask(path, volume)
        values = np.array([0, *(label.value for label in table)], np.uint8)
        assert len(table) == 3 and np.array_equal(read, values[labels]), (order, signs)


def test_a_part_of_the_scan_is_put_where_it_lies_and_nothing_is_lost(tmp_path):
    volume = oblique_volume((6, 7, 8))
    labels = np.zeros(volume.shape, np.uint8)
    labels[2:5, 1:6, 3:7] = some_labels(Volume(np.zeros((3, 5, 4), np.int16), np.eye(4)))
    part = np.eye(4)
    part[:3, 3] = [2, 1, 3]
    fields = slicer_fields(*((f"n{i}", "1 0 0", i, 0, "") for i in (1, 2, 3)))
    path = write_nrrd(tmp_path / "part.seg.nrrd", labels[2:5, 1:6, 3:7], volume.affine @ part, fields=fields)
    assert np.array_equal(read_mask(path, volume)[0], labels)
    with pytest.raises(UserError, match="another grid"):  # a plain label map says what is where it has no voxels, too
        read_mask(write_nrrd(tmp_path / "plain.nrrd", labels[2:5, 1:6, 3:7], volume.affine @ part), volume)
    smaller = Volume(np.zeros((6, 7, 6), np.int16), volume.affine)
    with pytest.raises(UserError, match=r"\d+\.\d+% of what is drawn lies outside the scan"):
        read_mask(path, smaller)


def test_few_frames_of_a_segmentation_lie_where_they_say(tmp_path, scan):
    sources, volume = scan
    labels = np.zeros(volume.shape, np.uint8)
    for kept in ((1, 3), (4,), (0, 4)):
        labels[:] = 0
        labels[list(kept), 1:3, 1:4] = 2
        for kind in ("BINARY", "LABELMAP"):
            path = tmp_path / f"{kind}.dcm"
            write_seg(path, sources, labels, [described(1, "a"), described(2, "b")], kind)
            assert np.array_equal(read_mask(path, volume)[0], labels), (kind, kept)
            write_seg(path, sources, labels, [described(1, "a"), described(2, "b")], kind, change=without_slice_spacing)
            assert np.array_equal(read_mask(path, volume)[0], labels), f"{kind}, which does not say how far apart"


def without_slice_spacing(seg):
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    if "SpacingBetweenSlices" in measures:
        del measures.SpacingBetweenSlices


def test_a_segmentation_lies_on_a_converted_scan_by_its_grid_alone(tmp_path, scan):
    sources, volume = scan
    labels = some_labels(volume).clip(0, 1)
    path = write_seg(tmp_path / "s.dcm", sources, labels, [described(1, "a")])
    converted = Volume(*stored_as(volume.voxels, volume.affine, (0, 1, 2), (1, -1, -1)), name="nifti")
    assert np.array_equal(read_mask(path, converted)[0], labels[:, ::-1, ::-1])
    elsewhere = Volume(volume.voxels, volume.affine @ np.diag([1.0, 1.1, 1.1, 1.0]))
    assert "may have been drawn on another" in find_mask(path, elsewhere).grid.doubt


def test_a_segmentation_of_another_scan_is_refused_unless_it_has_the_same_voxels(tmp_path, scan):
    sources, volume = scan
    labels = some_labels(volume).clip(0, 1)
    path = write_seg(tmp_path / "s.dcm", sources, labels, [described(1, "a")])
    scan_files(tmp_path / "other", (0, 2, 4, 6, 8), FrameOfReferenceUID="1.2.9")
    found = find_mask(path, read_volume(tmp_path / "other"))
    assert np.array_equal(found.settled()[0], labels) and "another frame of reference" in found.notes[0]
    scan_files(tmp_path / "away", (1, 3, 5, 7, 9), FrameOfReferenceUID="1.2.9")
    with pytest.raises(UserError, match="drawn on another scan"):
        find_mask(path, read_volume(tmp_path / "away"))
    scan_files(tmp_path / "same", (1, 3, 5, 7, 9))
    found = find_mask(path, read_volume(tmp_path / "same"))  # the same frame: it may be carried over
    assert found.grid is not None and "drawn on another series" in found.grid.doubt


def test_an_nrrd_without_a_space_is_refused(tmp_path, tiny_volume):
    import nrrd

    nrrd.write(str(tmp_path / "m.nrrd"), some_labels(tiny_volume), {"spacings": [5, 1.5, 1.25]}, index_order="C")
    with pytest.raises(UserError, match="does not say where it lies"):
        find_mask(tmp_path / "m.nrrd", tiny_volume)


# ---------------------------------------------------------------------- names, sides, colours, numbers


def test_segments_of_slicer_keep_name_side_colour_and_number(tmp_path, tiny_volume):
    muscle = "TerminologyEntry:list~SCT^85756007^Tissue~SCT^71616004^Muscle"
    right = f"Segmentation.Status:inprogress|{muscle}~SCT^24028007^Right~x~^^~^^|"
    both = f"{muscle}~SCT^51440002^Right and left~x~^^~^^|"
    fields = slicer_fields(
        ("Vastus lateralis", "0.5 1 0", 3, 0, right),
        ("Grosse Mueskel left", "0 0 1", 17, 0, ""),
        ("Femur", "0 0 0.2", 9, 0, both),
        ("Gracilis left", "0 0 0.2", 21, 0, right),
        ("Femur", "1 1 1", 30, 0, ""),
    )
    labels = np.array([0, 3, 17, 40], np.uint8)[some_labels(tiny_volume)]
    path = write_nrrd(tmp_path / "s.seg.nrrd", labels, tiny_volume.affine, fields=fields)
    path.write_bytes(path.read_bytes().replace(b"Grosse Mueskel", "Große Müskel".encode()))  # pynrrd writes ASCII alone
    found = find_mask(path, tiny_volume)
    read, table = found.settled()
    assert np.array_equal(read, labels)
    assert names_of(table) == [
        (3, "Vastus_lateralis", "right"), (9, "Femur", ""), (17, "Große_Müskel", "left"), (21, "Gracilis", "left"),
        (30, "Femur_2", ""), (40, "label_40", ""),
    ]  # fmt: skip
    assert table.get(3).colour == (128, 255, 0) and table.get(9).colour == (0, 0, 51)
    assert (
        len(found.notes) == 3 and "coded as right" in found.notes[0] and "does not name the number 40" in found.notes[1]
    )
    assert "stood there twice" in found.notes[2]


def test_older_segmentations_of_slicer_have_a_layer_for_each_segment(tmp_path, tiny_volume):
    labels = some_labels(tiny_volume)
    fields = slicer_fields(("a", "1 0 0", 1, 0, ""), ("b", "0 1 0", 1, 0, ""), ("c", "0 1 0", 1, 0, ""))
    fields = {key: text for key, text in fields.items() if not key.endswith(("LabelValue", "Layer"))}
    path = write_nrrd(tmp_path / "s.seg.nrrd", layered(labels), tiny_volume.affine, fields=fields)
    for kind in (b"list", b"vector"):
        path.write_bytes(path.read_bytes().replace(b"kinds: list", b"kinds: " + kind))
        read, table = read_mask(path, tiny_volume)
        assert np.array_equal(read, labels) and names_of(table) == [(1, "a", ""), (2, "b", ""), (3, "c", "")]
    with pytest.raises(UserError, match="holds vectors"):
        read_volume(path)


def test_segments_of_a_dicom_seg_keep_name_side_colour_and_number(tmp_path, scan):
    sources, volume = scan
    labels = some_labels(volume)
    segments = [
        described(1, "Vastus lateralis", colour=(200, 30, 90), side="left"),
        described(2, "Sartorius right", "AUTOMATIC", colour=(10, 250, 20)),
        described(3, "Femur", "SEMIAUTOMATIC", side="both", region_side="right"),
    ]
    for kind in ("BINARY", "LABELMAP"):
        found = find_mask(write_seg(tmp_path / f"{kind}.dcm", sources, labels, segments, kind), volume)
        read, table = found.settled()
        assert np.array_equal(read, labels)
        assert names_of(table) == [(1, "Vastus_lateralis", "left"), (2, "Sartorius", "right"), (3, "Femur", "right")]
        for value, colour in ((1, (200, 30, 90)), (2, (10, 250, 20))):
            assert np.abs(np.subtract(table.get(value).colour, colour)).max() <= 1
        assert found.automatic == {2}


def test_colours_come_back_from_cielab_as_they_went_in():
    rng = np.random.default_rng(3)
    for colour in [(0, 0, 0), (255, 255, 255), *rng.integers(0, 256, (200, 3)).tolist()]:
        lab = hd.color.CIELabColor.from_rgb(*colour).value
        assert np.abs(np.subtract(rgb_of_lab(lab), colour)).max() <= 1
    assert rgb_of_lab((65535, 0, 65535)) and all(0 <= c <= 255 for c in rgb_of_lab((65535, 65535, 0)))


def test_large_numbers_and_gaps_are_kept_and_too_many_are_refused(tmp_path, tiny_volume):
    numbers = np.array([0, 2, 300, -5], np.int16)[some_labels(tiny_volume)]
    read, table = read_mask(write_nrrd(tmp_path / "m.nrrd", numbers, tiny_volume.affine), tiny_volume)
    assert {b.file_id for b in table} == {2, 300, -5}
    assert np.array_equal(
        np.array([0, *(b.file_id for b in table)])[np.searchsorted([0, *(b.value for b in table)], read)], numbers
    )
    many = np.arange(tiny_volume.voxels.size, dtype=np.int32).reshape(tiny_volume.shape)
    with pytest.raises(UserError, match="at most 255"):
        read_mask(write_nrrd(tmp_path / "m.nrrd", many % 400, tiny_volume.affine), tiny_volume)


def test_the_label_map_with_gaps_of_dcmqi(hostile):
    path = hostile / "other/o080_liver_spine_gapped_seg/liver_spine_gapped_seg.nrrd"
    affine = np.eye(4)
    affine[:3, :3] = np.diag([1.0, 0.810547, 0.810547])[:, ::-1].T[:, :]
    affine[:3, :3] = [[0, 0, 0.810547], [0, 0.810547, 0], [1, 0, 0]]
    affine[:3, 3] = [-235.199997, -226.800003, -128.690002]
    labels, table = read_mask(path, Volume(np.zeros((3, 512, 512), np.int16), affine))
    assert [b.file_id for b in table] == [1, 5] and set(np.unique(labels)) == {0, 1, 5}


def test_the_sparse_label_map_of_dcmqi(hostile):
    path = hostile / "dicom/d157_sparse-labelmap-ppv5/sparse-labelmap-ppv5.dcm"
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, 0.7], [0, 0.7, 0], [2.5, 0, 0]]
    affine[:3, 3] = [46.464901 - 7, 5.0188098, -177.75 - 5]
    found = find_mask(path, Volume(np.zeros((8, 40, 40), np.int16), affine))
    labels, table = found.settled()
    assert found.grid is None and names_of(table) == [(1, "Liver", "")] and not found.automatic
    assert np.flatnonzero(labels.any(axis=(1, 2))).tolist() == [2, 4] and (labels > 0).sum() == 630
    assert not labels[:, :, :10].any() and not labels[:, 38:].any()
    assert np.abs(np.subtract(table.get(1).colour, rgb_of_lab((41661, 41167, 40792)))).max() == 0


def test_a_tissue_may_have_the_number_0_and_background_another_one(tmp_path, scan):
    sources, volume = scan
    labels = some_labels(volume)

    def change(seg):
        numbers = np.frombuffer(seg.PixelData, np.uint8).copy()
        seg.PixelData = np.array([7, 0, 2, 3], np.uint8)[numbers].tobytes()
        seg.PixelPaddingValue = 7
        item = next(s for s in seg.SegmentSequence if s.SegmentNumber == 1)
        item.SegmentNumber = 0
        seg.SegmentSequence = [s for s in seg.SegmentSequence if s.SegmentLabel != "Background"]

    path = write_seg(tmp_path / "s.dcm", sources, labels, segments_of_three(), "LABELMAP", change=change)
    read, table = read_mask(path, volume)
    assert {b.name for b in table} == {"n1", "n2", "n3"}
    values = np.array([0, *(next(b.value for b in table if b.name == f"n{i}") for i in (1, 2, 3))], np.uint8)
    assert np.array_equal(read, values[labels])


@pytest.mark.parametrize("ending", [".txt", ".label"])
def test_names_of_itk_snap_beside_a_mask(tmp_path, tiny_volume, ending):
    path = write_nifti(tmp_path / "m.nii.gz", some_labels(tiny_volume), tiny_volume.affine)
    (tmp_path / f"m{ending}").write_text(SNAP)
    table = read_mask(path, tiny_volume)[1]
    assert names_of(table) == [(1, "Vastus_lateralis", "left"), (2, "label_2", ""), (3, "Femur", ""), (999, "Skin", "")]
    assert [b.colour for b in table if b.file_id != 2] == [(255, 0, 10), (12, 13, 14), (1, 2, 3)]
    (tmp_path / "m.json").write_text('{"labels": [{"id": 3, "name": "tibia"}]}')
    assert names_of(read_mask(path, tiny_volume)[1])[2] == (3, "tibia", "")  # our own goes before it
    (tmp_path / f"m{ending}").write_text(SNAP.replace('"Femur"', "Femur"))
    with pytest.raises(UserError, match=rf"Line 7 of m\{ending} is no label"):
        read_mask(path, tiny_volume)


def test_a_text_beside_a_mask_that_names_nothing_is_passed_over(tmp_path, tiny_volume):
    path = write_nrrd(tmp_path / "m.nrrd", some_labels(tiny_volume), tiny_volume.affine)
    (tmp_path / "m.txt").write_text("Drawn on Monday.\n")
    assert names_of(read_mask(path, tiny_volume)[1])[0] == (1, "label_1", "")
    (tmp_path / "m.txt").write_text("".join(f'{i} 1 2 3 1 1 1 "n{i}"\n' for i in range(1000)))
    assert is_description(tmp_path / "m.txt")
    assert names_of(read_mask(path, tiny_volume)[1]) == [(1, "n1", ""), (2, "n2", ""), (3, "n3", "")]


def test_a_label_description_names_the_labels_of_an_open_case(tmp_path, tiny_volume):
    labels = np.array([0, 1, 3, 7], np.uint8)[some_labels(tiny_volume)]
    table = read_mask(write_nifti(tmp_path / "m.nii", labels, tiny_volume.affine), tiny_volume)[1]
    (tmp_path / "any.txt").write_text(SNAP)
    new, changed, added = renamed(table, read_description(tmp_path / "any.txt"))
    assert (changed, added) == (2, 1)
    assert names_of(new)[:3] == [(1, "Vastus_lateralis", "left"), (999, "Skin", ""), (3, "Femur", "")]
    assert new.get(7).name == "label_7" and [b.value for b in new] == [1, 2, 3, 7]
    for text, words in (
        ("", "names no label"),
        ("1 2 3 x", "Line 1"),
        (SNAP + SNAP, "twice"),
        ('1 300 0 0 1 1 1 "a"', "Line 1"),
    ):
        (tmp_path / "any.txt").write_text(text)
        with pytest.raises(UserError, match=words):
            read_description(tmp_path / "any.txt")


# ---------------------------------------------------------------------- segments over each other


def test_overlaps_are_told_and_never_decided_quietly(tmp_path, scan):
    sources, volume = scan
    a, b, c = (np.zeros(volume.shape, np.uint8) for _ in range(3))
    a[1:3, 0:3], b[2:4, 2:4], c[4] = 1, 1, 1
    segments = [described(1, "a"), described(2, "b"), described(3, "c")]
    seg = write_seg(tmp_path / "s.dcm", sources, np.stack([a, b, c], -1), segments, "BINARY")
    fields = slicer_fields(("a", "1 0 0", 1, 0, ""), ("b", "1 0 0", 1, 1, ""), ("c", "1 0 0", 2, 1, ""))
    slicer = write_nrrd(tmp_path / "s.seg.nrrd", np.stack([a, b + 2 * c]), volume.affine, fields=fields)
    for path in (seg, slicer):
        found = find_mask(path, volume)
        (overlap,) = found.overlaps
        assert {overlap.first.name, overlap.second.name} == {"a", "b"} and overlap.voxels == 5
        assert overlap.volume_ml == pytest.approx(5 * volume.voxel_volume_ml)
        with pytest.raises(UserError, match=r"A and B share 5 voxels \(0\.01 ml\).*--overlaps") as caught:
            read_mask(path, volume)
        assert "\n" not in str(caught.value)
        value = {label.name: label.value for label in found.table}
        for how, winner in (("first", "a"), ("last", "b")):
            labels, table = read_mask(path, volume, overlaps=how)
            assert (labels[(a & b) > 0] == value[winner]).all() and len(table) == 3
            assert (labels[(a > b)] == value["a"]).all() and (labels[b > a] == value["b"]).all()
            assert (labels[4] == value["c"]).all() and not labels[0].any()
        labels, table = found.settled(MaskWish(only=value["b"]))
        assert np.array_equal(labels > 0, b > 0) and [label.name for label in table] == ["b"]


def test_layers_that_do_not_overlap_are_one_mask(tmp_path, tiny_volume):
    labels = some_labels(tiny_volume)
    path = write_nrrd(tmp_path / "s.seg.nrrd", layered(labels), tiny_volume.affine, fields=SLICER)
    found = find_mask(path, tiny_volume)
    assert found.is_clear and not found.overlaps and np.array_equal(found.settled()[0] > 0, labels > 0)
    assert any("share the number" in note for note in found.notes), "all three had the number 1"


def test_a_mask_travels_between_processes_as_it_is(tmp_path, scan):
    sources, volume = scan
    shares = np.random.default_rng(2).random((*volume.shape, 2)).astype(np.float32)
    segments = [described(1, "a left", colour=(1, 2, 3)), described(2, "b", "AUTOMATIC")]
    path = write_seg(tmp_path / "s.dcm", sources, shares, segments, "FRACTIONAL")
    whole = read_mask_file(path, volume)
    facts, arrays = read_seg_parts(str(path), volume.affine[:3, :3].T.tolist())
    back = mask_of_parts(json.loads(json.dumps(facts)), arrays)
    assert len(back.layers) == 2 and all(map(np.array_equal, back.layers, whole.layers))
    for field in ("name", "segments", "partial", "frame_uid", "series_uids", "notes"):
        assert getattr(back, field) == getattr(whole, field), field
    assert back.grid.same_grid(whole.grid, 1e-9) and back.grid.details == whole.grid.details


def test_fractions_are_cut_at_a_half_and_it_is_said(tmp_path, scan):
    sources, volume = scan
    shares = np.random.default_rng(2).random((*volume.shape, 1)).astype(np.float32)
    shares[0, 0, :2, 0] = 0.5, 0.45
    found = find_mask(write_seg(tmp_path / "s.dcm", sources, shares, [described(1, "a")], "FRACTIONAL",
                                max_fractional_value=100), volume)  # fmt: skip
    assert np.array_equal(found.settled()[0] > 0, np.round(shares[..., 0] * 100) >= 50)
    assert found.notes == ("s.dcm holds probabilities, not a mask: voxels of at least 50% were taken.",)


# ---------------------------------------------------------------------- another grid


def test_another_grid_is_refused_or_carried_over_with_its_numbers(tmp_path, tiny_volume):
    fine = Volume(np.zeros((12, 32, 32), np.int16), tiny_volume.affine @ np.diag([0.5, 1, 1, 1]))
    labels = np.zeros(fine.shape, np.uint8)
    labels[1:7, 4:10, 4:10], labels[8:11, 20:24, 20:24] = 1, 2
    path = write_nrrd(tmp_path / "m.nrrd", labels, fine.affine)
    with pytest.raises(UserError, match=r"another grid.*32 x 32 x 12.*--resample"):
        read_mask(path, tiny_volume)
    found = find_mask(path, tiny_volume)
    grid = found.grid
    assert grid is not None and grid.spacing_mm == pytest.approx((2.5, 1.5, 1.25))
    assert grid.scan_spacing_mm == pytest.approx((5, 1.5, 1.25)) and grid.outside == 0
    ml = fine.voxel_volume_ml
    assert [c.before_ml for c in grid.changes] == pytest.approx([6 * 36 * ml, 3 * 16 * ml])
    assert [c.after_ml for c in grid.changes] == pytest.approx([6 * 36 * ml, 4 * 16 * ml])
    with pytest.raises(UserError, match="another grid"):
        found.settled()
    read, table = read_mask(path, tiny_volume, resample=True)
    assert np.array_equal(read, labels[::2])
    assert np.array_equal(found.settled(MaskWish(resample=True))[0], read) and len(table) == 2


# ---------------------------------------------------------------------- what is no mask


def test_what_is_no_label_map_is_refused_in_a_sentence(tmp_path, tiny_volume, data):
    floats = write_nrrd(tmp_path / "f.nrrd", some_labels(tiny_volume).astype(np.float32), tiny_volume.affine)
    bad = tmp_path / "bad.nrrd"
    whole = write_nrrd(tmp_path / "m.nrrd", some_labels(tiny_volume), tiny_volume.affine).read_bytes()
    head = whole.index(b"\n\n") + 2
    cases = {
        "no label map": floats.read_bytes(),
        "header cannot be read": whole[: head - 20],
        "ends too early": whole[:-6],
        "does not add up": whole[:-8] + bytes(8),
        "announces": whole.replace(b"sizes: 32 32 6", b"sizes: 999999 999999 6"),
        "outside its folder": whole.replace(b"encoding: gzip", b"encoding: gzip\ndata file: ../../secret.raw"),
        "packed as": whole.replace(b"encoding: gzip", b"encoding: zstd"),
        "gives no proper sizes": whole.replace(b"dimension: 3", b"dimension: 4"),
        "colour picture": whole.replace(b"kinds: domain domain domain", b"kinds: domain domain RGB-color"),
    }
    for words, content in cases.items():
        bad.write_bytes(content)
        with pytest.raises(UserError, match=words) as caught:
            find_mask(bad, tiny_volume)
        assert "\n" not in str(caught.value) and "bad.nrrd" in str(caught.value)
    raw = write_nrrd(tmp_path / "r.nrrd", some_labels(tiny_volume), tiny_volume.affine, encoding="raw").read_bytes()
    bad.write_bytes(raw + b"more")
    assert find_mask(bad, tiny_volume).notes == ("4 bytes after the last voxel were left unread.",)
    bomb = whole[:head] + gzip.compress(bytes(50 << 20))
    bad.write_bytes(bomb)
    with pytest.raises(UserError, match="announces"):
        find_mask(bad, tiny_volume)


def test_damaged_files_are_refused_and_never_a_bug(tmp_path, scan):
    run_flips(tmp_path, scan, 150)


@pytest.mark.long
def test_damaged_files_are_refused_and_never_a_bug_in_full(tmp_path, scan):
    run_flips(tmp_path, scan, 20_000)


def run_flips(tmp_path, scan, times):
    sources, volume = scan
    labels = some_labels(volume).clip(0, 2)
    two = np.stack([labels == 1, labels > 0]).astype(np.uint8)
    fields = slicer_fields(("a", "1 0 0", 1, 0, ""), ("b", "0 1 0", 1, 1, "TerminologyEntry:SCT^7771000^Left~|"))
    segments = [described(1, "a left"), described(2, "b", colour=(1, 2, 3), side="right")]
    paths = [write_nrrd(tmp_path / "a.seg.nrrd", two, volume.affine, fields=fields)]
    paths += [
        write_seg(tmp_path / f"{kind}.dcm", sources, pixels, segments, kind)
        for kind, pixels in (
            ("BINARY", np.moveaxis(two, 0, -1)), ("FRACTIONAL", np.moveaxis(two, 0, -1).astype(np.float32)),
            ("LABELMAP", labels),
        )
    ]  # fmt: skip
    rng = random.Random(7)
    bad = tmp_path / "bad"
    for n in range(times):
        content = bytearray(paths[n % len(paths)].read_bytes())
        for _ in range(rng.choice((1, 1, 2, 5, 20))):
            content[rng.randrange(len(content))] = rng.randrange(256)
        bad.write_bytes(content if rng.random() < 0.9 else content[: rng.randrange(len(content))])
        try:
            found = find_mask(bad, volume)
        except UserError as error:
            assert "\n" not in str(error), (n, str(error))
        else:
            assert all(layer.shape == volume.shape and layer.dtype == np.uint8 for layer in found.layers)
