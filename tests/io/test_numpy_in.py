"""NumPy files and the bundles of Dafne: never anything run, doubts said, bombs refused."""

import io
import pickle
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from thighview.core.errors import SeveralScansError, UserError
from thighview.core.volume import Volume
from thighview.io import bounded, numpy_archive
from thighview.io.masks import read_mask
from thighview.io.numpy_array import MAGIC, read_head
from thighview.io.numpy_in import bundle_masks
from thighview.io.reading import inspect, read_volume

VOXELS = np.random.default_rng(3).integers(0, 900, (6, 30, 20)).astype(np.int16)
RAS = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.2, -0.1, 0.3) * [0.75, 1.25, 5], [30, -20, 7])


def said(volume: Volume) -> str:
    return " ".join(volume.warnings)


@pytest.mark.parametrize("kind", ["?", "u1", "i2", ">i2", "u4", "i8", "f2", "f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_one_array(tmp_path: Path, kind: str, order: str) -> None:
    voxels = np.asarray(VOXELS.astype(kind), order=order)
    np.save(tmp_path / "a.npy", voxels)
    volume = read_volume(tmp_path / "a.npy")
    assert np.array_equal(volume.voxels, voxels) and volume.voxels.flags.c_contiguous and volume.voxels.dtype.isnative
    assert volume.kind == "numpy" and volume.name == "a"
    assert "lengths are not known" in said(volume) and "6 slices were taken" in said(volume)


def test_slices_lie_along_the_axis_that_differs(tmp_path: Path) -> None:
    voxels = np.arange(30 * 30 * 7, dtype=np.int16).reshape(30, 30, 7)
    for order in ((0, 1, 2), (2, 0, 1), (0, 2, 1)):
        np.save(tmp_path / "a.npy", voxels.transpose(order))
        volume = read_volume(tmp_path / "a.npy")
        assert volume.shape == (7, 30, 30) and "7 slices were taken" in said(volume)
        assert np.array_equal(volume.voxels, voxels.transpose(2, 0, 1))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_affine_is_that_of_nifti(tmp_path: Path, save) -> None:
    image = VOXELS.transpose(2, 1, 0)
    save(tmp_path / "a.npz", image=image, affine=RAS)
    nib.Nifti1Image(image, RAS).to_filename(tmp_path / "a.nii")
    volume, wanted = read_volume(tmp_path / "a.npz"), read_volume(tmp_path / "a.nii")
    assert np.array_equal(volume.voxels, wanted.voxels) and volume.same_grid(wanted, 1e-3)
    assert "Check left and right" in said(volume) and len(volume.warnings) == 1


def test_a_spacing_is_that_of_the_array_s_axes(tmp_path: Path) -> None:
    for name in ("spacing", "resolution", "zooms"):
        np.savez(tmp_path / "a.npz", image=VOXELS, **{name: [5, 1.25, 0.75]})
        volume = read_volume(tmp_path / "a.npz")
        assert volume.spacing_mm == (5, 1.25, 0.75) and "order of its array's axes" in said(volume)
    np.savez(tmp_path / "a.npz", image=VOXELS, spacing=[5, np.nan, 0.75])
    assert "lengths are not known" in said(read_volume(tmp_path / "a.npz"))


def test_several_arrays_are_parts_by_their_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", t1=VOXELS, t2=VOXELS * 2, label=VOXELS > 400, spacing=[5, 1, 1], note="words", n=3)
    with pytest.raises(SeveralScansError, match="3 arrays that could be scans") as caught:
        read_volume(tmp_path / "a.npz")
    assert [choice.part for choice in caught.value.choices] == ["t1", "t2", "label"]
    assert caught.value.choices[2].description == "6 x 30 x 20 numbers, bool"
    volume = read_volume(tmp_path / "a.npz", "t2")
    assert np.array_equal(volume.voxels, VOXELS * 2) and volume.name == "a, t2"
    assert read_volume(tmp_path / "a.npz", "label").voxels.dtype == np.uint8
    with pytest.raises(UserError, match="There are 't1', 't2' and 'label'"):
        read_volume(tmp_path / "a.npz", "2")


@pytest.mark.parametrize("last", [True, False])
def test_a_fourth_axis_has_parts(tmp_path: Path, last: bool) -> None:
    volumes = np.stack([VOXELS, VOXELS * 2], axis=-1 if last else 0)
    np.save(tmp_path / "a.npy", volumes)
    assert [row["part"] for row in inspect(tmp_path / "a.npy").to_json()["series"]] == ["1", "2"]
    assert np.array_equal(read_volume(tmp_path / "a.npy", "2").voxels, VOXELS * 2)


def dafne(path: Path, affine: bool = True, **more: object) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A bundle as Dafne writes it: rows, columns, slices."""
    image = VOXELS.transpose(1, 2, 0).astype(np.float32)
    masks = {name: np.zeros(image.shape, np.uint8) for name in ("VL_L", "VL_R", "empty")}
    masks["VL_L"][4:9, 2:8, 1:5] = 1
    masks["VL_R"][4:9, 12:18, 1:5] = 1
    facts = {f"mask_{name}": mask for name, mask in masks.items()} | more
    placed = {"affine": RAS[:, [1, 0, 2, 3]].astype(np.float32)} if affine else {}
    np.savez_compressed(path, data=image, resolution=np.array([1.25, 0.75, 5]), comment="by me", **placed, **facts)
    return image, masks


def test_a_bundle_of_dafne_opens_with_its_masks(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    image, masks = dafne(path)
    volume = read_volume(path)
    assert volume.details["Format"] == "Dafne bundle" and volume.shape == (6, 30, 20)
    assert np.array_equal(volume.voxels, image.transpose(2, 0, 1))
    assert volume.spacing_mm == pytest.approx((5, 1.25, 0.75), rel=1e-4)
    at = nib.affines.apply_affine(RAS[:, [1, 0, 2, 3]], [3, 2, 1]) * [-1, -1, 1]  # row, column, slice
    assert np.abs(volume.to_world((1, 3, 2)) - at).max() < 1e-3
    found = bundle_masks(path)
    assert list(found) == list(masks)
    for name, mask in masks.items():
        assert np.array_equal(found[name], mask.transpose(2, 0, 1) != 0)
    labels, table = read_mask(path, volume)
    assert [(b.name, b.side) for b in table] == [("VL", "left"), ("VL", "right"), ("empty", "")]
    for value, mask in enumerate(masks.values(), 1):
        assert np.array_equal(labels == value, mask.transpose(2, 0, 1) != 0)


def test_a_bundle_without_affine_and_masks_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    dafne(path, affine=False)
    volume = read_volume(path)
    assert volume.spacing_mm == (5, 1.25, 0.75) and "left and right" in said(volume) and len(volume.warnings) == 1
    over = np.zeros((30, 20, 6), np.uint8)
    over[4:6, 2:4, 2] = 1
    dafne(path, mask_other=over)
    with pytest.raises(UserError, match="Vl L and Other share 4 voxels"):
        read_mask(path, read_volume(path))
    dafne(path, mask_other=over[:, :, :5])
    with pytest.raises(UserError, match="30 x 20 x 5 voxels, the image 30 x 20 x 6"):
        read_mask(path, read_volume(path))


class Harm:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("it was run",))


def test_nothing_is_ever_run(tmp_path: Path) -> None:
    bad = np.array([Harm()], dtype=object)
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    for name, content in (
        ("a.npy", buffer.getvalue() + pickle.dumps(bad)),
        ("b.npy", pickle.dumps(Harm())),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError):
            read_volume(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("image.npy", (tmp_path / "a.npy").read_bytes())
        archive.writestr("code.npy", pickle.dumps(Harm()))
    with pytest.raises(UserError, match="holds no scan"):
        read_volume(tmp_path / "c.npz")
    header = buffer.getvalue().replace(b"'|O'", b"__import__('os')")
    (tmp_path / "d.npy").write_bytes(header)
    with pytest.raises(UserError, match="cannot be read"):
        read_volume(tmp_path / "d.npy")


def npy(shape: tuple[int, ...], data: bytes = b"", descr: str = "<f8") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + data


def test_bombs_are_refused_before_anything_is_allocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded.np, "empty", lambda *_: pytest.fail("allocated"))
    (tmp_path / "a.npy").write_bytes(npy((900, 900, 900)))
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", npy((9000, 9000, 9000), bytes(10_000)))
    with zipfile.ZipFile(tmp_path / "c.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", npy((90, 90, 90), bytes(10_000)))
    for name in ("a.npy", "b.npz", "c.npz"):
        with pytest.raises(UserError, match=r"announces|larger than"):
            read_volume(tmp_path / name)


def test_a_header_that_announces_too_much_is_not_read(tmp_path: Path) -> None:
    words = str({"descr": "<i2", "fortran_order": False, "shape": VOXELS.shape}).encode() + b"\n"
    good = MAGIC + b"\x02\0" + len(words).to_bytes(4, "little") + words + VOXELS.tobytes()
    (tmp_path / "a.npy").write_bytes(good)
    assert np.array_equal(read_volume(tmp_path / "a.npy").voxels, VOXELS), "a header of version 2"
    for start, size in ((b"\x02\0", 4), (b"\x01\0", 2)):
        stream = io.BytesIO(MAGIC + start + (60_000).to_bytes(size, "little") + b" " * 60_000)
        with pytest.raises(UserError, match="it announces 60,000 bytes"):
            read_head(stream, tmp_path / "a.npz")
        assert stream.tell() < 100


def test_other_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    def archive(**members: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
            for name, content in members.items():
                out.writestr(name.replace("__", "."), content)
        return buffer.getvalue()

    array = npy((6, 30, 20), VOXELS.astype("f8").tobytes())
    good = archive(image__npy=array)
    for name, content, words in (
        ("words.zip", archive(readme__txt=b"words"), "archive without arrays"),
        ("empty.npz", archive(), "not a scan"),
        ("row.npy", npy((9,), bytes(72)), "holds no scan"),
        ("five.npy", npy((2, 2, 2, 2, 2), bytes(256)), "holds no scan"),
        ("colour.npy", npy((30, 20, 3), bytes(1800), "|u1"), "holds no scan"),
        ("none.npy", npy((0, 30, 20)), "holds no scan"),
        ("text.npy", npy((6, 30, 20), bytes(3600), "|S1"), "holds no scan"),
        ("cut.npy", array[:5000], "cut short"),
        ("cut.npz", good[: len(good) // 2], "does not add up"),
        ("head.npy", array[:20], "cannot be read"),
        ("crc.npz", good.replace(good[200:204], bytes(b ^ 7 for b in good[200:204])), "does not add up"),
        ("below.npy", array.replace(b"(6, 30", b"(-6,30"), "below zero"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=words) as caught:
            read_volume(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_no_more_members_than_a_person_would_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_archive, "_MOST_MEMBERS", 3)
    np.savez(tmp_path / "a.npz", a=VOXELS, b=1, c=2, d=3)
    with pytest.raises(UserError, match="more than 3 arrays"):
        read_volume(tmp_path / "a.npz")
