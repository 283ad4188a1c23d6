"""NRRD: spaces, axes that are none of space, voxels in another file; what cannot be is refused in a sentence."""

import bz2
import gzip
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from thighview.core.errors import SeveralScansError, UserError
from thighview.core.known import lengths_known
from thighview.io import bounded
from thighview.io.reading import inspect, read_source, read_volume, sha256_of

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
DIRECTIONS = np.array([[1.5, 0, 0], [0, 1.25, 0], [0, 0, 5]])
HEADER = {"space": "left-posterior-superior", "space directions": DIRECTIONS, "space origin": [10, -20, 30]}


def write(path: Path, voxels: np.ndarray = VOXELS, **fields: object) -> Path:
    """An NRRD file by pynrrd of an array (z, y, x)."""
    header = {key.replace("_", " "): value for key, value in (HEADER | fields).items() if value is not None}
    nrrd.write(str(path), voxels, header, index_order="C")
    return path


@pytest.mark.parametrize(
    ("space", "axes", "corner"),
    [
        ("left-posterior-superior", "SPL", (10, -20, 30)),
        ("LPS", "SPL", (10, -20, 30)),
        ("right-anterior-superior", "SAR", (-10, 20, 30)),
        ("RAS", "SAR", (-10, 20, 30)),
        ("left-anterior-superior", "SAL", (10, 20, 30)),
    ],
)
def test_each_space_is_turned_to_lps(tmp_path: Path, space: str, axes: str, corner: tuple[int, ...]) -> None:
    volume = read_volume(write(tmp_path / "a.nrrd", space=space))
    assert volume.axes == axes and tuple(volume.to_world((0, 0, 0))) == corner and not volume.warnings
    assert volume.spacing_mm == (5, 1.25, 1.5) and np.array_equal(volume.voxels, VOXELS)


@pytest.mark.parametrize("space", [None, "scanner-xyz", "3D-right-handed"])
def test_a_space_that_is_not_the_patient_s_is_said(tmp_path: Path, space: str | None) -> None:
    fields = {} if space else {"space dimension": 3}
    volume = read_volume(write(tmp_path / "a.nrrd", space=space, **fields))
    assert volume.spacing_mm == (5, 1.25, 1.5) and "left and right" in volume.warnings[0]
    assert volume.details["Position from"] == "nothing"


def test_spacings_alone_and_nothing_at_all(tmp_path: Path) -> None:
    bare = dict.fromkeys(("space", "space directions", "space origin"))
    volume = read_volume(write(tmp_path / "a.nrrd", spacings=[1.5, 1.25, 5], **bare))
    assert volume.spacing_mm == (5, 1.25, 1.5) and len(volume.warnings) == 1
    volume = read_volume(write(tmp_path / "b.nrrd", **bare))
    assert volume.spacing_mm == (1, 1, 1) and "lengths are not known" in volume.warnings[0]


def test_units_of_space(tmp_path: Path) -> None:
    volume = read_volume(write(tmp_path / "a.nrrd", space_units=["cm", "cm", "cm"]))
    assert volume.spacing_mm == (50, 12.5, 15) and tuple(volume.to_world((0, 0, 0))) == (100, -200, 300)
    assert "parsec" in read_volume(write(tmp_path / "a.nrrd", space_units=["parsec"] * 3)).warnings[0]


def test_units_of_spacings(tmp_path: Path) -> None:
    bare = dict.fromkeys(("space", "space directions", "space origin"))
    for units, words in (
        (["mm", "", "mm"], "left and right"),
        (["cm", "mm", "um"], "cm, mm, um as the unit of its axes"),
        (["cm", "", "mm"], "taken as mm, as ITK does"),
        (["parsec"] * 3, "parsec"),
    ):
        path = write(tmp_path / "a.nrrd", spacings=[1.5, 1.25, 5], units=units, **bare)
        volume = read_volume(path)
        assert volume.spacing_mm == (5, 1.25, 1.5) == sitk.ReadImage(str(path)).GetSpacing()[::-1]
        assert words in volume.warnings[0] and len(volume.warnings) == (1 if "left" in words else 2)
        assert lengths_known(volume), "a case that was made of it can still be worked on"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_an_axis_that_is_none_of_space_has_parts(tmp_path: Path, first: bool, encoding: str) -> None:
    volumes = np.stack([VOXELS, VOXELS * 3, 7 - VOXELS], axis=-1 if first else 0)
    none = np.full((1, 3), np.nan)
    rows = [none, DIRECTIONS] if first else [DIRECTIONS, none]
    kinds = ["list", *["domain"] * 3] if first else [*["space"] * 3, "time"]
    path = write(
        tmp_path / "a.nrrd", volumes, **{"space directions": np.concatenate(rows)}, kinds=kinds, encoding=encoding
    )
    with pytest.raises(SeveralScansError, match="3 volumes"):
        read_volume(path)
    for part, wanted in (("1", VOXELS), ("2", VOXELS * 3), ("3", 7 - VOXELS)):
        volume = read_volume(path, part)
        assert np.array_equal(volume.voxels, wanted) and volume.voxels.flags.c_contiguous
        assert volume.axes == "SPL" and volume.spacing_mm == (5, 1.25, 1.5) and not volume.warnings


@pytest.mark.parametrize("kind", ["vector", "covariant-vector", "3-vector", "2D-symmetric-matrix", "3-color"])
def test_vectors_and_colours_are_no_scans(tmp_path: Path, kind: str) -> None:
    rows = np.concatenate([np.full((1, 3), np.nan), DIRECTIONS])
    values = np.stack([VOXELS] * 3, axis=-1).astype(np.float32)
    path = write(tmp_path / "a.nrrd", values, **{"space directions": rows}, kinds=[kind, *["domain"] * 3])
    with pytest.raises(UserError, match=r"holds vectors or colours|colour picture"):
        read_volume(path)
    if "color" not in kind:
        assert np.array_equal(read_volume(path, "2").voxels, VOXELS), "as a case that has it was made"
        assert len(sha256_of(path, "2")) == 64


@pytest.mark.parametrize(("count", "dtype"), [(8, np.int16), (3, np.int16), (2, np.float32), (6, np.float32)])
def test_other_vectors_are_several_scans(tmp_path: Path, count: int, dtype: type) -> None:
    rows = np.concatenate([np.full((1, 3), np.nan), DIRECTIONS])
    values = np.stack([VOXELS + n for n in range(count)], axis=-1).astype(dtype)
    path = write(tmp_path / "a.nrrd", values, **{"space directions": rows}, kinds=["vector", *["domain"] * 3])
    with pytest.raises(SeveralScansError, match=f"{count} volumes"):
        read_volume(path)
    assert np.array_equal(read_volume(path, "2").voxels, VOXELS + 1)


def test_what_simpleitk_writes_of_a_colour_picture_is_no_scan(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True), str(tmp_path / "a.nrrd"))
    with pytest.raises(UserError, match="vectors or colours"):
        read_volume(tmp_path / "a.nrrd")


def test_voxels_in_another_file(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    plain = write(tmp_path / "a.nrrd", encoding="raw")
    for name, content, encoding in (
        ("a.raw", VOXELS.tobytes(), "raw"),
        ("deep/er/a.raw.gz", gzip.compress(VOXELS.tobytes()), "gzip"),
        ("a.bz2", bz2.compress(VOXELS.tobytes()), "bzip2"),
    ):
        (tmp_path / name).write_bytes(content)
        header = plain.read_bytes().partition(b"\n\n")[0].replace(b"encoding: raw", f"encoding: {encoding}".encode())
        path = tmp_path / f"{encoding}.nhdr"
        path.write_bytes(header + f"\ndata file: {name}\n".encode())
        source = read_source(path)
        assert np.array_equal(source.volume.voxels, VOXELS) and source.place == path
        assert source.files == {path, tmp_path / name}
        before = sha256_of(path)
        (tmp_path / name).write_bytes(content + b"\0")
        assert sha256_of(path) != before


def test_bytes_and_lines_before_the_voxels(tmp_path: Path) -> None:
    header = write(tmp_path / "a.nrrd", encoding="raw").read_bytes().partition(b"\n\n")[0]
    data = VOXELS.tobytes()
    for n, (skips, content) in enumerate(
        (
            ("byte skip: 7", b"1234567" + data),
            ("line skip: 2", b"one\ntwo\n" + data),
            ("lineskip: 1\nbyteskip: 3", b"one\nabc" + data),
            ("byte skip: -1", b"anything at all" + data),
        )
    ):
        (tmp_path / "a.raw").write_bytes(content)
        path = tmp_path / f"{n}.nhdr"
        path.write_bytes(header + f"\n{skips}\ndata file: a.raw\n\n".encode())
        assert np.array_equal(read_volume(path).voxels, VOXELS), skips
    packed = write(tmp_path / "b.nrrd", encoding="gzip").read_bytes()
    head = packed.partition(b"\n\n")[0]
    (tmp_path / "c.nrrd").write_bytes(head + b"\nbyte skip: 4\n\n" + gzip.compress(b"abcd" + data))
    assert np.array_equal(read_volume(tmp_path / "c.nrrd").voxels, VOXELS)


@pytest.mark.parametrize(
    "name", ["../a.raw", "/etc/hostname", "link.raw", "deep/../../a.raw", "C:\\a.raw", "nothing.raw"]
)
def test_a_file_elsewhere_is_never_opened(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "scan"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "a.raw").write_bytes(VOXELS.tobytes())
    (folder / "link.raw").symlink_to(tmp_path / "a.raw")
    header = write(tmp_path / "a.nrrd", encoding="raw").read_bytes().partition(b"\n\n")[0]
    (folder / "a.nhdr").write_bytes(header + f"\ndata file: {name}\n".encode())
    for function in (read_volume, sha256_of, inspect):
        with pytest.raises(UserError, match="should lie in the file") as caught:
            function(folder / "a.nhdr")
        assert "\n" not in str(caught.value)


def changed(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"sizes: 5 4 3", b"sizes: 5 4 0", "no proper sizes"),
        (b"sizes: 5 4 3", b"sizes: 5 4", "no proper sizes"),
        (b"sizes: 5 4 3", b"sizes: 5000 4000 3000", "announces"),
        (b"sizes: 5 4 3", b"sizes: nan 4 3", "no proper sizes"),
        (b"type: int16", b"type: block", "of the type 'block'"),
        (b"endian: little\n", b"", "order bytes lie"),
        (b"encoding: gzip", b"encoding: hex", "packed as 'hex'"),
        (b"encoding: gzip", b"encoding: raw", "cut short"),
        (b"encoding: gzip", b"encoding: gzip\ndata file: LIST", "several files"),
        (b"encoding: gzip", b"encoding: gzip\ndata file: a%03d.raw 1 9 1", "several files"),
        (b"encoding: gzip", b"encoding: gzip\nbyte skip: -1", "cannot be"),
        (b"encoding: gzip", b"encoding: gzip\nencoding: gzip", "cannot be read"),
        (b"NRRD0005", b"NRRD0009", "cannot be read"),
        (b"kinds: domain domain domain", b"kinds: RGB-color domain domain", "colour"),
        (b"kinds: domain domain domain", b"kinds: list vector domain", "not a scan"),
        (b"kinds: domain domain domain", b"kinds: domain domain", "2 kinds for 3 axes"),
        (b"(1.5,0,0)", b"(1.5,0)", "cannot be read"),
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, old: bytes, new: bytes, words: str) -> None:
    path = changed(write(tmp_path / "a.nrrd", kinds=["domain"] * 3), old, new)
    with pytest.raises(UserError, match=words) as caught:
        read_volume(path)
    assert "\n" not in str(caught.value)


def test_a_position_that_cannot_be_is_passed_over(tmp_path: Path) -> None:
    for new in (b"(0,0,0)", b"(inf,0,0)", b"(0,1.25,0)"):
        path = changed(write(tmp_path / "a.nrrd"), b"(1.5,0,0)", new)
        assert "passed over" in read_volume(path).warnings[0]


def test_damage_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nrrd")
    content = path.read_bytes()
    for damaged, words in (
        (content[:-3], "cut short"),
        (content[:-8] + bytes([content[-8] ^ 1]) + content[-7:], "damaged"),
        (content.partition(b"\n\n")[0], "does not end"),
        (gzip.compress(content), "packed as a whole"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=words):
            read_volume(path)


def test_a_bomb_is_refused_before_anything_is_allocated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded.np, "empty", lambda *_: pytest.fail("allocated"))
    monkeypatch.setattr(bounded, "budget_bytes", lambda: 1000)
    bomb = changed(write(tmp_path / "a.nrrd"), b"sizes: 5 4 3", b"sizes: 50 40 3")
    with pytest.raises(UserError, match=r"memory|announces"):
        read_volume(bomb)


def test_a_label_map_of_another_tool_keeps_its_numbers(hostile: Path) -> None:
    volume = read_volume(hostile / "other/o080_liver_spine_gapped_seg/liver_spine_gapped_seg.nrrd")
    assert volume.kind == "nrrd" and not volume.warnings
    stored, _ = nrrd.read(
        str(hostile / "other/o080_liver_spine_gapped_seg/liver_spine_gapped_seg.nrrd"), index_order="C"
    )
    assert np.array_equal(volume.voxels, stored) and len(np.unique(stored)) > 2
