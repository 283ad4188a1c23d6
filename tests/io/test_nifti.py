"""NIfTI: the same numbers and places as nibabel and SimpleITK, and damage is always found."""

import gzip
import itertools
import re
import struct
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given
from hypothesis import strategies as st

from thighview.core.errors import UserError
from thighview.core.known import lengths_known, need_lengths, sides_known
from thighview.core.labels import Label, LabelTable
from thighview.core.volume import Volume
from thighview.io import bounded, nifti
from thighview.io.masks import read_mask, write_mask
from thighview.io.nifti import read_nifti
from thighview.io.nifti_header import build_header
from thighview.io.reading import sha256_of

SCANS = [
    "thigh_siemens_dixon/0006-Dixon_TE_345_th.nii.gz",
    "legs_qmritools/twoLegs.nii.gz",
    "legs_qmritools/labels.nii.gz",
    "foot_siemens/0026-dix3d_TR23_fa05_460.nii.gz",
    "lumbar_musclemap/image.nii.gz",
    "lumbar_musclemap/image_dseg.nii.gz",
    "spine_sct/t2.nii.gz",
    "spine_sct/t2s_uncropped.nii.gz",
    "phantom_nitest_balls1/T1.nii.gz",
]
AXES = {
    "thigh_siemens_dixon/0006-Dixon_TE_345_th.nii.gz": "SAR",
    "foot_siemens/0026-dix3d_TR23_fa05_460.nii.gz": "LSA",
    "lumbar_musclemap/image.nii.gz": "SPL",
    "spine_sct/t2.nii.gz": "RSP",
}


def save(path, voxels, affine=None, sform=1, qform=1, change=None):
    """A .nii or .nii.gz by nibabel from an (i, j, k) array; ``change(header bytes)`` edits the raw header."""
    affine = np.diag([-1.5, 1.5, 5.0, 1.0]) if affine is None else affine
    image = nib.Nifti1Image(voxels, None)  # with an affine, nibabel sets codes of its own
    image.header.set_sform(affine, sform)
    image.header.set_qform(affine, qform)
    image.header.set_xyzt_units("mm")
    data = bytearray(image.to_bytes())
    if change is not None:
        change(data)
    path.write_bytes(gzip.compress(bytes(data), 1, mtime=0) if path.suffix == ".gz" else bytes(data))
    return path


def ramp(*shape, dtype=np.int16):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def corners(shape):
    return np.array(list(itertools.product(*((0, n - 1) for n in shape))), float)


@pytest.mark.parametrize("name", SCANS)
def test_real_scans_have_nibabel_s_numbers_and_simpleitk_s_corners(data, name):
    volume, reference = read_nifti(data / name), nib.load(data / name)
    numbers = reference.get_fdata().T
    assert np.array_equal(volume.voxels, numbers.astype(volume.voxels.dtype))
    assert volume.voxels.flags.c_contiguous and volume.voxels.dtype.isnative
    if volume.voxels.dtype.kind in "iu":
        assert np.array_equal(volume.voxels, numbers)
    at = corners(volume.shape)
    world = volume.to_world(at)
    assert np.abs(world - nib.affines.apply_affine(reference.affine, at[:, ::-1]) * [-1, -1, 1]).max() < 1e-3
    image = sitk.ReadImage(str(data / name))
    itk = [image.TransformContinuousIndexToPhysicalPoint(tuple(map(float, c[::-1]))) for c in at]
    assert np.abs(world - itk).max() < 1e-3
    if name in AXES:
        assert volume.axes == AXES[name]


@pytest.mark.parametrize("permutation", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_a_marked_voxel_lies_where_it_belongs_in_all_48_orders(tmp_path, permutation, signs):
    affine = np.eye(4)
    for axis, (world, sign) in enumerate(zip(permutation, signs, strict=True)):
        affine[:3, axis] = 0
        affine[world, axis] = sign * (1.0 + axis / 2)
    affine[:3, 3] = [11, -7, 300]
    voxels = np.zeros((3, 4, 5), np.int16)
    voxels[2, 1, 3] = 9
    wanted = nib.affines.apply_affine(affine, [2, 1, 3]) * [-1, -1, 1]
    for codes in ({"sform": 1, "qform": 0}, {"sform": 0, "qform": 1}):
        volume = read_nifti(save(tmp_path / "a.nii.gz", voxels, affine, **codes))
        assert np.allclose(volume.to_world(np.argwhere(volume.voxels == 9)[0]), wanted, atol=1e-4)
        assert volume.axes == "".join(reversed(nib.aff2axcodes(affine))) and not volume.warnings


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "u2", "i4", "u4", "i8", "u8", "f4", ">f4", "f8"])
def test_every_kind_of_number(tmp_path, dtype):
    voxels = ramp(3, 4, 5, dtype=np.dtype(dtype))
    image = nib.Nifti1Image(voxels, np.eye(4), dtype=voxels.dtype)
    if dtype.startswith(">"):
        image = nib.Nifti1Image(voxels, np.eye(4), image.header.as_byteswapped(">"))
    image.to_filename(tmp_path / "a.nii")
    volume = read_nifti(tmp_path / "a.nii")
    kept = {"i8": "i4", "u8": "i4"}.get(dtype, voxels.dtype.newbyteorder("="))
    assert np.array_equal(volume.voxels, voxels.T) and volume.voxels.dtype == kept


@pytest.mark.parametrize(
    ("dtype", "values", "kept"),
    [
        ("i8", (-(2**31), 2**31 - 1), "i4"),
        ("i8", (0, 2**32 - 1), "u4"),
        ("u8", (7, 2**31), "u4"),
        ("i8", (-1, 2**31), ""),
        ("u8", (0, 2**63), ""),
    ],
)
def test_whole_numbers_of_64_bits_open_where_32_hold_them(tmp_path, dtype, values, kept):
    voxels = np.resize(np.array(values, dtype), (3, 4, 5))
    nib.Nifti1Image(voxels, np.eye(4), dtype=voxels.dtype).to_filename(tmp_path / "a.nii")
    if kept:
        volume = read_nifti(tmp_path / "a.nii")
        assert volume.voxels.dtype == kept and np.array_equal(volume.voxels, voxels.T)
    else:
        with pytest.raises(UserError, match=f"{values[1]:,}.* larger than a scan or a mask can have"):
            read_nifti(tmp_path / "a.nii")


@pytest.mark.parametrize("dtype", ["c8", "c16"])
@pytest.mark.parametrize(("slope", "inter"), [(1, 0), (2, -3)])
def test_complex_numbers_are_shown_as_their_magnitude(tmp_path, dtype, slope, inter):
    rng = np.random.default_rng(4)
    voxels = (rng.normal(0, 90, (4, 5, 6)) + 1j * rng.normal(0, 90, (4, 5, 6))).astype(dtype)
    path = save(tmp_path / "a.nii", voxels, change=lambda b: struct.pack_into("<2f", b, 112, slope, inter))
    volume = read_nifti(path)
    wanted = np.hypot(slope * voxels.real + inter, slope * voxels.imag + inter).T
    assert volume.voxels.dtype == {"c8": "f4", "c16": "f8"}[dtype] and np.allclose(volume.voxels, wanted, rtol=1e-5)
    assert volume.warnings == () and volume.details["Shown"] == "the magnitude of complex numbers"


@pytest.mark.parametrize(
    ("slope", "inter", "dtype"),
    [(1, 0, "i2"), (0, 7, "i2"), (np.nan, 0, "i2"), (-1, 500, "i2"), (2, 0, "i2"), (1000, 0, "i4"), (0.1, 3, "f4")],
)
def test_scaling_as_nibabel_does_it(tmp_path, slope, inter, dtype):
    path = save(tmp_path / "a.nii.gz", ramp(7, 6, 5), change=lambda b: struct.pack_into("<2f", b, 112, slope, inter))
    volume, wanted = read_nifti(path), nib.load(path).get_fdata().T
    assert volume.voxels.dtype == dtype
    assert np.array_equal(volume.voxels, wanted.astype(dtype))


def test_nifti_2_and_one_volume_of_4d(tmp_path):
    voxels = ramp(4, 5, 6, 1)
    nib.Nifti2Image(voxels, np.diag([1, 2, 3, 1])).to_filename(tmp_path / "a.nii.gz")
    volume = read_nifti(tmp_path / "a.nii.gz")
    assert np.array_equal(volume.voxels, voxels[..., 0].T) and volume.spacing_mm == (3, 2, 1)


def test_several_volumes_are_refused_unless_one_is_named(tmp_path):
    voxels = ramp(4, 5, 6, 3)
    path = save(tmp_path / "a.nii.gz", voxels)
    with pytest.raises(UserError, match="3 volumes"):
        read_nifti(path)
    assert np.array_equal(read_nifti(path, "2").voxels, voxels[..., 1].T)


@pytest.mark.parametrize(
    ("at", "layout", "values", "words"),
    [
        (40, "<8h", (3, -5, 6, 5, 1, 1, 1, 1), "image size"),
        (40, "<8h", (3, 7, 0, 5, 1, 1, 1, 1), "image size"),
        (40, "<8h", (0, 7, 6, 5, 1, 1, 1, 1), "dimensions"),
        (40, "<8h", (5, 7, 6, 5, 1, 3, 1, 1), "vectors"),
        (40, "<8h", (3, 32767, 32767, 32767, 1, 1, 1, 1), "announces"),
        (70, "<2h", (2, 16), "bits"),
        (70, "<2h", (128, 24), "colour"),
        (70, "<2h", (2304, 32), "colour"),
        (70, "<2h", (1536, 128), "float128"),
        (70, "<2h", (2048, 256), "complex256"),
        (70, "<2h", (1, 1), "of type"),
        (108, "<f", (0,), "start at byte"),
        (108, "<f", (1e9,), "start at byte"),
        (108, "<f", (float("nan"),), "start at byte"),
        (112, "<2f", (2, float("inf")), "intercept"),
        (344, "4s", (b"ni1\0",), "pair"),
        (344, "4s", (b"abcd",), "mark"),
        (348, "<4b2i", (1, 0, 0, 0, -16, 6), "extensions"),
    ],
)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_headers_that_lie_are_refused(tmp_path, at, layout, values, words, ending):
    def change(data):
        if at == 348:
            data[352:352] = bytes(16)
            struct.pack_into("<f", data, 108, 368)
        struct.pack_into(layout, data, at, *values)

    with pytest.raises(UserError, match=words) as caught:
        read_nifti(save(tmp_path / f"a{ending}", ramp(7, 6, 5), change=change))
    assert "\n" not in str(caught.value)


def test_unknown_doubtful_and_broken_positions_are_said(tmp_path):
    def of(sform=1, qform=1, change=None):
        volume = read_nifti(save(tmp_path / "a.nii", ramp(7, 6, 5), sform=sform, qform=qform, change=change))
        return volume, " ".join(volume.warnings)

    volume, said = of(0, 0)
    assert "left and right" in said and volume.spacing_mm == (5, 1.5, 1.5)
    volume, said = of(change=lambda b: struct.pack_into("<f", b, 280, 1.5))
    assert "mm apart" in said and volume.axes == "SAR"
    volume, said = of(change=lambda b: struct.pack_into("<12f", b, 280, *[float("nan")] * 12))
    assert "passed over" in said and volume.axes == "SAL"
    volume, said = of(change=lambda b: struct.pack_into("<12f", b, 280, *[0] * 12))
    assert "passed over" in said and volume.axes == "SAL"
    volume, said = of(qform=0, change=lambda b: struct.pack_into("<f", b, 88, 6.0))
    assert "spacing" in said and volume.spacing_mm[0] == 5
    volume, said = of(change=lambda b: struct.pack_into("<b", b, 123, 0))
    assert not said and "not named" in volume.details["Unit of length"]
    volume, said = of(change=lambda b: struct.pack_into("<b", b, 123, 3))
    assert volume.spacing_mm == pytest.approx((0.005, 0.0015, 0.0015)) or "micrometres" in said


NAN = float("nan")
EVEN = (5, 1.5, 1.5)


@pytest.mark.parametrize(
    ("at", "numbers", "forms", "spacing", "axes", "words"),
    [
        (292, (-1.6,), (1, 1), EVEN, "SAL", "sform and qform, 1.6 mm apart"),
        (292, (0.05,), (1, 1), EVEN, "SAL", ""),
        (292, (), (0, 0), EVEN, "SAR", "left and right, front and back are not known"),
        (280, (NAN,), (1, 1), EVEN, "SAL", "sform of this file .* passed over"),
        (256, (NAN,), (0, 1), EVEN, "SAR", "qform of this file .* passed over"),
        (312, (0, 0, 0, 0), (1, 1), EVEN, "SAL", "sform of this file .* passed over"),
        (284, (0.3,), (1, 0), None, "SAL", "not at right angles .off by 11.3 degrees"),
        (80, (1.5, 1.5, 0), (0, 1), (1, 1.5, 1.5), "SAR", "qform .* over.*1 mm was put in"),
        (80, (NAN, 1.5, 5), (0, 0), (5, 1.5, 1), "SAR", "1 mm was put in"),
        (80, (-1.5, 1.5, 5), (0, 1), EVEN, "SAL", "negative spacing; its size was used"),
        (80, (-1.5, 1.5, 5), (0, 0), EVEN, "SAR", "negative spacing; its size was used"),
        (80, (-1.5, 1.5, 5), (1, 1), EVEN, "SAL", "negative spacing; the sform's was used"),
        (80, (0, 1.5, 5), (1, 0), EVEN, "SAL", "of its sform differ"),
        (80, (1.5, 1.5, 900), (0, 1), (900, 1.5, 1.5), "SAL", "900 mm apart, which is hardly so"),
    ],
)
def test_each_doubt_about_the_place_is_told(tmp_path, at, numbers, forms, spacing, axes, words):
    def change(data):
        struct.pack_into(f"<{len(numbers)}f", data, at, *numbers)

    volume = read_nifti(save(tmp_path / "a.nii", ramp(7, 6, 5), sform=forms[0], qform=forms[1], change=change))
    said = " ".join(volume.warnings)
    assert re.search(words, said) if words else not said, said
    assert volume.axes == axes and (spacing is None or volume.spacing_mm == pytest.approx(spacing, rel=0.02))


def test_of_two_positions_the_other_can_be_chosen(tmp_path):
    """As nibabel reads them; the scan is the same one, and what is laid on it lies on it by either."""
    flat = np.arange(2 * 5 * 6 * 7, dtype=np.int16).reshape(7, 6, 5, 2)
    path = save(tmp_path / "two.nii", flat, change=lambda b: struct.pack_into("<f", b, 280, 1.5))
    by = {}
    for part, form in (("2", "sform"), ("2 qform", "qform")):
        volume = by[form] = read_nifti(path, part)
        theirs = np.diag([-1, -1, 1, 1]) @ getattr(nib.load(path), f"get_{form}")()
        assert np.allclose(volume.affine[:, [2, 1, 0, 3]], theirs, atol=1e-5)
        assert np.array_equal(volume.voxels, flat[..., 1].T)
        assert volume.details["Position from"].startswith(form)
    assert np.allclose(by["sform"].other_affine, by["qform"].affine)
    assert np.allclose(by["qform"].other_affine, by["sform"].affine)
    assert by["sform"].warnings and not by["qform"].warnings
    assert sha256_of(path, "2") == sha256_of(path, "2 qform") != sha256_of(path, "1")
    mask = np.zeros(by["qform"].shape, np.uint8)
    mask[1, 2, 3] = 4
    for chosen in by.values():
        write_mask(tmp_path / "mask.nii.gz", mask, LabelTable((Label(4, "x"),)), chosen)
        assert np.array_equal(read_mask(tmp_path / "mask.nii.gz", chosen)[0] > 0, mask > 0)
    stored = nib.load(tmp_path / "mask.nii.gz")
    assert np.array_equal(stored.get_sform(), nib.load(path).get_sform())
    assert np.array_equal(stored.get_qform(), nib.load(path).get_qform())
    for part in ("1 sform", "qform", "3 qform"):
        with pytest.raises(UserError):
            read_nifti(path, part)
    with pytest.raises(UserError, match="does not give a qform that differs"):
        read_nifti(save(tmp_path / "one.nii", ramp(7, 6, 5)), "qform")


@pytest.mark.parametrize(
    ("at", "numbers", "forms", "known"),
    [
        (80, (1.5, 1.5, 0), (0, 0), False),  # no spacing along the slices
        (80, (1.5, 1.5, 6), (1, 0), False),  # the sform's is another one by more than 1 %
        (80, (1.5, 1.5, 5.04), (1, 0), True),
        (80, (1.5, 1.5, 900), (0, 1), False),
        (80, (1.5, 1.5, 5), (0, 0), True),  # no position, but lengths
    ],
)
def test_lengths_are_known_or_not(tmp_path, at, numbers, forms, known):
    def change(data):
        struct.pack_into(f"<{len(numbers)}f", data, at, *numbers)

    volume = read_nifti(save(tmp_path / "a.nii", ramp(7, 6, 5), sform=forms[0], qform=forms[1], change=change))
    assert lengths_known(volume) is known and sides_known(volume) is any(forms)
    assert lengths_known(volume, volume.warnings) and sides_known(volume, volume.warnings)
    if not known:
        with pytest.raises(UserError, match="can only be looked at"):
            need_lengths(volume)


def test_extensions_are_walked_and_left_alone(tmp_path):
    image = nib.Nifti1Image(ramp(7, 6, 5), np.diag([1.5, 1.5, 5, 1]))
    for code, text in ((6, b"Doe^Jane"), (44, b"x" * 5000)):
        image.header.extensions.append(nib.nifti1.Nifti1Extension(code, text))
    image.to_filename(tmp_path / "a.nii.gz")
    volume = read_nifti(tmp_path / "a.nii.gz")
    assert np.array_equal(volume.voxels, ramp(7, 6, 5).T) and not volume.warnings
    assert b"Doe" not in volume.file_geometry


def test_a_scaling_that_grows_beyond_all_numbers_is_said(tmp_path):
    path = save(tmp_path / "a.nii", ramp(7, 6, 5), change=lambda b: struct.pack_into("<2f", b, 112, 3e38, 0))
    assert "208 voxels hold no number" in read_nifti(path).warnings[0]


def test_other_files_are_refused_in_one_sentence(tmp_path):
    scan = save(tmp_path / "a.nii.gz", ramp(20, 20, 20)).read_bytes()
    plain = save(tmp_path / "a.nii", ramp(20, 20, 20)).read_bytes()
    cases = {
        "empty.nii": (b"", "empty"),
        "text.nii": (b"This is a letter, not a scan.\n" * 40, "not a NIfTI"),
        "text.nii.gz": (gzip.compress(b"not a scan " * 100), "not a NIfTI"),
        "cut.nii.gz": (scan[: len(scan) * 6 // 10], "cut short"),
        "header.nii.gz": (scan[:12], "cut short"),
        "cut.nii": (plain[:-1], "cut short"),
        "half.nii": (plain[:200], "cut short"),
        "more.nii": (plain + bytes(70_000), "more bytes"),
        "junk.nii.gz": (scan + b"junk" * 9, "damaged"),
        "crc.nii.gz": (scan[:-8] + bytes([scan[-8] ^ 1]) + scan[-7:], "damaged"),
    }
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=words):
            read_nifti(tmp_path / name)
    with pytest.raises(UserError, match="could not be read"):
        read_nifti(tmp_path / "missing.nii")


def test_a_bomb_is_refused_before_anything_is_allocated(tmp_path, monkeypatch):
    def bomb(data):
        struct.pack_into("<8h", data, 40, 3, 900, 900, 900, 1, 1, 1, 1)

    path = save(tmp_path / "a.nii.gz", ramp(7, 6, 5), change=bomb)
    monkeypatch.setattr(nifti.np, "empty", lambda *_: pytest.fail("allocated"))
    with pytest.raises(UserError, match="announces"):
        read_nifti(path)


def test_what_the_memory_cannot_take_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded, "budget_bytes", lambda: 100)
    with pytest.raises(UserError, match="memory"):
        read_nifti(save(tmp_path / "a.nii.gz", ramp(7, 6, 5)))


@pytest.mark.parametrize(("slope", "inter", "item"), [(0.5, 0, 4), (1, -1024, 2), (1000, 7, 4)])
def test_scaling_takes_no_more_memory_than_what_comes_out(tmp_path, monkeypatch, slope, inter, item):
    voxels = ramp(100, 100, 100, dtype=np.uint8)
    path = save(tmp_path / "a.nii", voxels, change=lambda b: struct.pack_into("<2f", b, 112, slope, inter))
    read_nifti(path)  # what is imported counts no more
    tracemalloc.start()
    try:
        volume = read_nifti(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert volume.voxels.itemsize == item and peak < voxels.size * (1 + item) + (3 << 20)
    monkeypatch.setattr(bounded, "budget_bytes", lambda: voxels.size * item)
    assert np.array_equal(read_nifti(path).voxels, nib.load(path).get_fdata().T)
    monkeypatch.setattr(bounded, "budget_bytes", lambda: voxels.size * item - 1)
    with pytest.raises(UserError, match="memory"):
        read_nifti(path)


_RNG = np.random.default_rng(3)
_FLIPPED = _RNG.normal(0, 300, (16, 16, 8)).astype(np.int16)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_in_a_compressed_file_changes_a_voxel(tmp_path_factory, place, bit):
    folder = tmp_path_factory.getbasetemp()
    path = folder / "flip.nii.gz"
    if not path.exists():
        save(path, _FLIPPED)
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    (folder / "flipped.nii.gz").write_bytes(data)
    try:
        volume = read_nifti(folder / "flipped.nii.gz")
    except UserError:
        return
    assert np.array_equal(volume.voxels, _FLIPPED.T) and volume.axes == "SAL"


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1), st.booleans())
def test_a_volume_s_own_position_survives_the_header(q, mirrored):
    a, b, c, d = np.array(q) / np.linalg.norm(q)
    rotation = nib.quaternions.quat2mat([a, b, c, d]) @ np.diag([1, 1, -1 if mirrored else 1])
    ras = np.eye(4)
    ras[:3, :3], ras[:3, 3] = rotation * [0.8, 1.1, 5.0], [10, -20, 30]
    lps = (np.diag([-1, -1, 1, 1]) @ ras)[:, [2, 1, 0, 3]]
    header = nib.Nifti1Header(build_header(Volume(np.zeros((6, 5, 4), np.uint8), lps), np.dtype("u1"))[:348])
    assert np.abs(header.get_sform() - ras).max() < 1e-4
    assert np.abs(header.get_qform() - ras).max() < 5e-3  # a half turn loses digits in 32 bits
    assert (header["qform_code"], header["sform_code"]) == (1, 1)
