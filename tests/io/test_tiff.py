"""TIFF stacks: spacing where ImageJ, OME or the resolution tell it, doubts said, colour and bombs refused."""

import struct
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from thighview.core.case import Case
from thighview.core.errors import SeveralScansError, UserError
from thighview.core.labels import Label, LabelTable
from thighview.core.review import SliceReview, SliceState
from thighview.io import bounded, tiff
from thighview.io.export_wish import ExportWish
from thighview.io.exporting import export
from thighview.io.images import write_volume
from thighview.io.importing import import_cases
from thighview.io.masks import read_mask
from thighview.io.project import Project
from thighview.io.reading import inspect, read_volume

VOXELS = np.random.default_rng(3).integers(0, 900, (4, 30, 20)).astype(np.uint16)


def write(path: Path, voxels: np.ndarray = VOXELS, **options: Any) -> Path:
    tifffile.imwrite(path, voxels, **({"photometric": "minisblack", "metadata": None} | options))
    return path


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib"}, {"byteorder": ">"}, {"bigtiff": True}, {"tile": (16, 16)}]
)
def test_pages_are_slices(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    voxels = VOXELS.astype(kind)
    volume = read_volume(write(tmp_path / "a.tif", voxels, **options))
    assert np.array_equal(volume.voxels, voxels) and volume.voxels.dtype.isnative and volume.kind == "tiff"
    assert volume.voxels.dtype == {"f2": "f4"}.get(kind, kind)
    assert any("left and right" in said for said in volume.warnings)
    assert any("lengths are not known" in said for said in volume.warnings)


def test_a_predictor_and_strips(tmp_path: Path) -> None:
    for options in ({"compression": "zlib", "predictor": True}, {"rowsperstrip": 7}):
        volume = read_volume(write(tmp_path / "a.tif", **options))
        assert np.array_equal(volume.voxels, VOXELS)


@pytest.mark.parametrize("unit", ["mm", "cm", "micron", "\\u00B5m", "inch"])
def test_imagej_tells_the_spacing(tmp_path: Path, unit: str) -> None:
    mm = {"mm": 1, "cm": 10, "micron": 1e-3, "\\u00B5m": 1e-3, "inch": 25.4}[unit]
    facts = {"spacing": 5 / mm, "unit": unit, "axes": "ZYX"}
    path = write(tmp_path / "a.tif", imagej=True, resolution=(mm / 0.75, mm / 1.25), metadata=facts)
    volume = read_volume(path)
    assert volume.spacing_mm == pytest.approx((5, 1.25, 0.75), rel=1e-4) and len(volume.warnings) == 1
    assert np.array_equal(volume.voxels, VOXELS) and "ImageJ" in volume.details["Format"]


def test_signed_numbers_of_imagej_have_their_sign_again(tmp_path: Path) -> None:
    """It stores them 32768 too high and says so: ``cf`` 0 is the line c0 + c1 x (ij.measure.Calibration)."""
    signed = np.array([[-50, 100], [0, 7]], np.int16)
    stored = (signed.astype(np.int32) + 32768).astype(np.uint16)
    words = "ImageJ=1.53t\nimages=1\nunit=mm\ncf=0\nc0=-32768.0\nc1=1.0\nvunit=Gray Value\n"
    volume = read_volume(write(tmp_path / "a.tif", stored[None], resolution=(2, 2), description=words))
    assert np.array_equal(volume.voxels[0], signed) and volume.voxels.dtype == np.int16
    half = read_volume(
        write(tmp_path / "b.tif", stored[None], resolution=(2, 2), description=words.replace("1.0", "0.5"))
    )
    np.testing.assert_allclose(half.voxels[0], -32768 + 0.5 * stored)
    curve = words.replace("cf=0", "cf=1")
    odd = read_volume(write(tmp_path / "c.tif", stored[None], resolution=(2, 2), description=curve))
    assert np.array_equal(odd.voxels[0], stored) and any("calibration curve" in said for said in odd.warnings)


def test_what_is_written_of_it_says_that_its_sides_are_not_known(tmp_path: Path) -> None:
    facts = {"spacing": 5, "unit": "mm", "axes": "ZYX"}
    tif = write(tmp_path / "a.tif", imagej=True, resolution=(0.5, 0.5), metadata=facts)
    volume = read_volume(tif)
    case = Case.of(volume, tif, subject="anna")
    case.table, case.title = LabelTable((Label(1, "muscle"),)), "leg"
    case.labels[1, 3:9, 2:5] = 1
    case.reviews = [SliceReview(SliceState.DRAWN)] * 4
    with closing(Project.create(tmp_path / "p")) as project:
        case_id = project.add_case(case, in_training_set=True)
        for form, image in (("nifti", "leg.nii.gz"), ("nnunet", "imagesTr/leg_0000.nii.gz")):
            done = export(project, tmp_path / form, ExportWish(form))
            assert done and any("Left and right of leg are not known" in note for note in done.notes)
            back = read_volume(tmp_path / form / image)
            assert back.unsure == {"orientation"} and back.same_grid(volume) and "are not known" in back.warnings[0]
        masks = [tmp_path / "nifti" / "leg.nii.gz", tmp_path / "nnunet" / "labelsTr" / "leg.nii.gz"]
        for mask, scan in ((masks[0], volume), (masks[1], volume), (masks[1], back)):
            assert np.array_equal(read_mask(mask, scan)[0], case.labels)
        write_volume(tmp_path / "again.nii", back)
        assert read_volume(tmp_path / "again.nii").unsure == {"orientation"}, "and so on"
        with closing(Project.create(tmp_path / "other")) as other:
            assert len(import_cases(other, tmp_path / "nnunet").cases) == 1
            assert np.array_equal(other.load_case(1).labels, case.labels)
        project.set_checked(case_id, volume.warnings)
        done = export(project, tmp_path / "checked", ExportWish("nifti"))
        assert done and done.notes == ()
        assert read_volume(tmp_path / "checked" / "leg.nii.gz").unsure == frozenset()


def test_imagej_without_a_unit_and_with_one_page_for_all(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", imagej=True, resolution=(2, 2), metadata={"axes": "ZYX", "spacing": 5})
    assert "lengths are not known" in read_volume(path).warnings[0]
    words = b"ImageJ=1.53t\nimages=4\nslices=4\nunit=mm\nspacing=2.5\n"
    path = write(tmp_path / "b.tif", VOXELS[0], resolution=(2, 2), description=words.decode())
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        at, size = page.dataoffsets[0], page.databytecounts[0]
    content = path.read_bytes()
    assert at + size == len(content)
    path.write_bytes(content + VOXELS[1:].tobytes())
    volume = read_volume(path)
    assert np.array_equal(volume.voxels, VOXELS) and volume.spacing_mm == (2.5, 0.5, 0.5)
    path.write_bytes(content + VOXELS[1:].tobytes()[:-1])
    with pytest.raises(UserError, match="cut short"):
        read_volume(path)


def test_channels_and_times_are_parts(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).integers(0, 99, (2, 4, 3, 30, 20)).astype(np.uint8)
    path = write(tmp_path / "a.tif", voxels, imagej=True, metadata={"axes": "TZCYX"})
    with pytest.raises(SeveralScansError) as caught:
        read_volume(path)
    assert [choice.title for choice in caught.value.choices][:2] == ["channel 1, time 1", "channel 2, time 1"]
    assert np.array_equal(read_volume(path, "5").voxels, voxels[1, :, 1])
    write(tmp_path / "b.ome.tif", voxels, metadata={"axes": "TZCYX", "PhysicalSizeX": 0.75, "PhysicalSizeXUnit": "mm"})
    for n in range(6):
        volume = read_volume(tmp_path / "b.ome.tif", str(n + 1))
        assert np.array_equal(volume.voxels, voxels[n // 3, :, n % 3])


def test_channels_that_are_not_all_there_are_not_taken_for_slices(tmp_path: Path) -> None:
    voxels = np.zeros((10, 2, 30, 20), np.uint8)
    write(tmp_path / "a.ome.tif", voxels, metadata={"axes": "ZCYX"})
    words = tifffile.tiffcomment(tmp_path / "a.ome.tif")
    write(tmp_path / "b.ome.tif", voxels.reshape(20, 30, 20)[:19], description=words)
    with pytest.raises(UserError, match=r"20 images \(10 slices, channels: 2, times: 1\), but 19 are in it"):
        read_volume(tmp_path / "b.ome.tif")
    write(tmp_path / "c.ome.tif", voxels[:, 0], description=words)
    assert read_volume(tmp_path / "c.ome.tif").shape == (10, 30, 20), "one of several files, each tells of all"


def ome(path: Path, voxels: np.ndarray, *images: str, head: str = "") -> Path:
    """Pages in the order of ``voxels``, and the words of OME about each image: sizes, then which pages are its own."""
    kind = 'Type="uint16" SizeX="20" SizeY="30" DimensionOrder="XYZCT"'
    words = "".join(f"<Image><Pixels {kind} {one}</Pixels></Image>" for one in images)
    space = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    return write(path, voxels, description=f'<?xml version="1.0"?><OME {space} {head}>{words}</OME>')


def test_two_images_of_an_ome_file_are_two_scans(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as out:
        for voxels, mm in ((VOXELS, 0.5), (VOXELS[1:] + 1, 1.5)):
            sizes = {f"PhysicalSize{axis}": mm for axis in "XY"} | {"PhysicalSizeZ": 4 * mm}
            units = {f"PhysicalSize{axis}Unit": "mm" for axis in "XYZ"}
            out.write(voxels, photometric="minisblack", metadata={"axes": "ZYX"} | sizes | units)
    with pytest.raises(SeveralScansError) as caught:
        read_volume(path)
    assert [choice.title for choice in caught.value.choices] == ["image 1", "image 2"]
    with tifffile.TiffFile(path) as theirs:
        for n, mm in enumerate((0.5, 1.5)):
            volume = read_volume(path, str(n + 1))
            assert np.array_equal(volume.voxels, theirs.series[n].asarray())
            assert volume.spacing_mm == pytest.approx((4 * mm, mm, mm))


@pytest.mark.parametrize(
    "runs",
    [
        "".join(f'<TiffData IFD="{3 - z}" FirstZ="{z}"/>' for z in range(4)),
        '<TiffData FirstZ="2" IFD="0" PlaneCount="2"/><TiffData IFD="2" PlaneCount="2"/>',
        "".join(f'<TiffData IFD="{n}" FirstZ="{n}" PlaneCount="1"/>' for n in range(4)),
        "<TiffData/>",
        '<TiffData IFD="0"/>',
    ],
)
def test_planes_are_the_pages_that_ome_names(tmp_path: Path, runs: str) -> None:
    path = ome(tmp_path / "a.ome.tif", VOXELS, f'SizeZ="4" SizeC="1" SizeT="1">{runs}')
    with tifffile.TiffFile(path) as theirs:
        wanted = theirs.series[0].asarray() if runs != '<TiffData IFD="0"/>' else VOXELS
    volume = read_volume(path)
    assert np.array_equal(volume.voxels, wanted) and not any("do not match" in said for said in volume.warnings)


def test_channels_are_the_pages_that_ome_names(tmp_path: Path) -> None:
    order = [5, 2, 0, 3, 1, 4]  # plane n, slices first, lies on this page
    runs = "".join(f'<TiffData FirstZ="{n % 3}" FirstC="{n // 3}" IFD="{page}"/>' for n, page in enumerate(order))
    voxels = np.concatenate([VOXELS, VOXELS[:2] + 1])
    path = ome(tmp_path / "a.ome.tif", voxels, f'SizeZ="3" SizeC="2" SizeT="1">{runs}')
    for c in range(2):
        assert np.array_equal(read_volume(path, str(c + 1)).voxels, voxels[order[3 * c : 3 * c + 3]])
    named = "".join(
        f'<TiffData FirstZ="{z}" FirstC="{c}" IFD="{3 - z}"><UUID FileName="{c}.ome.tif">urn:{c}</UUID></TiffData>'
        for c in range(2)
        for z in range(4)
    )
    path = ome(tmp_path / "b.ome.tif", VOXELS, f'SizeZ="4" SizeC="2" SizeT="1">{named}', head='UUID="urn:1"')
    assert np.array_equal(read_volume(path).voxels, VOXELS[::-1]), "one channel of two lies in this file"


@pytest.mark.parametrize(
    "images",
    [
        ['SizeZ="3" SizeC="2" SizeT="1"><TiffData/>'],
        ['SizeZ="2" SizeC="2" SizeT="1"><TiffData IFD="0"/><TiffData IFD="1" PlaneCount="3"/>'],
        ['SizeZ="2" SizeC="1" SizeT="1">', 'SizeZ="2" SizeC="1" SizeT="1">'],
        ['SizeZ="4" SizeC="1" SizeT="1"><TiffData/>', 'SizeZ="4" SizeC="1" SizeT="1"><TiffData/>'],
    ],
)
def test_planes_that_are_not_those_of_the_words_are_refused(tmp_path: Path, images: list[str]) -> None:
    with pytest.raises(UserError, match="which is which cannot be told") as caught:
        read_volume(ome(tmp_path / "a.ome.tif", VOXELS, *images))
    assert "4 images" not in str(caught.value) or "4 are in it" not in str(caught.value)


@pytest.mark.parametrize(
    "image",
    [
        'SizeZ="1" SizeC="1" SizeT="1"><TiffData/>',
        'SizeZ="3" SizeC="1" SizeT="1"><TiffData/>',
        'SizeZ="5" SizeC="1" SizeT="1">',
        'SizeZ="5" SizeC="1" SizeT="1"><TiffData IFD="1" PlaneCount="5"/>',
        'SizeZ="4" SizeC="1" SizeT="1"><TiffData IFD="0"/><TiffData IFD="1" PlaneCount="3"/>',
    ],
)
def test_all_pages_are_slices_where_one_stack_is_told_of_that_does_not_match_them(tmp_path: Path, image: str) -> None:
    volume = read_volume(ome(tmp_path / "a.ome.tif", VOXELS, image))
    assert np.array_equal(volume.voxels, VOXELS) and "do not match the 4 in it" in volume.warnings[0]


def test_a_page_that_imagej_tells_of_and_is_not_there_is_said(tmp_path: Path) -> None:
    words = "ImageJ=1.53k\nimages=5\nslices=5\nunit=mm\nspacing=5.0\n"
    volume = read_volume(write(tmp_path / "a.tif", description=words, contiguous=False))
    assert np.array_equal(volume.voxels, VOXELS) and "tells of 5 images" in volume.warnings[0]


@pytest.mark.parametrize(
    ("value", "turn"),
    [(0, np.s_[:]), (1, np.s_[:]), (2, np.s_[:, :, ::-1]), (3, np.s_[:, ::-1, ::-1]), (4, np.s_[:, ::-1])],
)
def test_images_stored_from_the_right_or_the_bottom_lie_as_they_are_meant(
    tmp_path: Path, value: int, turn: Any
) -> None:
    scan = read_volume(write(tmp_path / "scan.tif"))
    meant = (VOXELS % 3).astype(np.uint8)
    stored = write(tmp_path / "mask.tif", meant[turn], extratags=[(274, 3, 1, value, False)])
    assert np.array_equal(read_mask(stored, scan)[0], meant)
    assert np.array_equal(read_volume(stored).voxels, meant[turn]), "as stored"


def test_images_with_rows_and_columns_exchanged_are_refused(tmp_path: Path) -> None:
    for value in (5, 8):
        with pytest.raises(UserError, match="rows and columns exchanged"):
            read_volume(write(tmp_path / "a.tif", extratags=[(274, 3, 1, value, False)]))
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        for value in (1, 3):
            file.write(VOXELS[0], photometric="minisblack", metadata=None, extratags=[(274, 3, 1, value, False)])
    with pytest.raises(UserError, match="several directions"):
        read_volume(tmp_path / "b.tif")


def test_ome_tells_the_spacing(tmp_path: Path) -> None:
    facts = {
        "axes": "ZYX", "PhysicalSizeX": 750.0, "PhysicalSizeY": 1.25, "PhysicalSizeYUnit": "mm", "PhysicalSizeZ": 0.5,
        "PhysicalSizeZUnit": "cm",
    }  # fmt: skip
    volume = read_volume(write(tmp_path / "a.ome.tif", metadata=facts))
    assert volume.spacing_mm == pytest.approx((5, 1.25, 0.75)) and volume.name == "a"
    assert "OME" in volume.details["Format"]


def test_the_resolution_tells_the_spacing_in_a_slice(tmp_path: Path) -> None:
    volume = read_volume(write(tmp_path / "a.tif", resolution=(20, 10), resolutionunit="CENTIMETER"))
    assert volume.spacing_mm == pytest.approx((1, 1, 0.5))
    assert "distance of its slices" in volume.warnings[0] and len(volume.warnings) == 2
    volume = read_volume(write(tmp_path / "a.tif", resolution=(72, 72), resolutionunit="INCH"))
    assert "72 dots per inch" in volume.warnings[0]


def test_pages_of_other_sizes_are_parts_and_small_copies_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as out:
        for image in (*VOXELS, VOXELS[0, :9, :8]):
            out.write(image, photometric="minisblack", metadata=None)
        out.write(VOXELS[0, ::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)
    assert [row["name"] for row in inspect(path).to_json()["series"]] == ["4 images of 20 x 30", "1 images of 8 x 9"]
    assert np.array_equal(read_volume(path, "1").voxels, VOXELS)


def test_dark_and_bright_exchanged_is_said(tmp_path: Path) -> None:
    volume = read_volume(write(tmp_path / "a.tif", photometric="miniswhite"))
    assert any("white is zero" in said for said in volume.warnings) and np.array_equal(volume.voxels, VOXELS)


def test_what_is_no_stack_of_grey_values_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write(path, np.zeros((4, 30, 20, 3), np.uint8), photometric="rgb")
    with pytest.raises(UserError, match="colour"):
        read_volume(path)
    write(path, np.zeros((30, 20), np.uint8), photometric="palette", colormap=np.zeros((3, 256), np.uint16))
    with pytest.raises(UserError, match="colour"):
        read_volume(path)
    write(path, np.zeros((30, 20), np.complex64))
    with pytest.raises(UserError, match="of a kind"):
        read_volume(path)
    write(path, np.zeros((30, 20), np.uint8))
    content = bytearray(path.read_bytes())
    at = content.index(struct.pack("<HHI", 259, 3, 1))
    struct.pack_into("<H", content, at + 8, 5)
    path.write_bytes(content)
    with pytest.raises(UserError, match="LZW"):
        read_volume(path)


def test_damage_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", compression="zlib")
    content = path.read_bytes()
    for cut in (len(content) - 700, 300, 60, 9, 5):
        path.write_bytes(content[:cut])
        with pytest.raises(UserError):
            read_volume(path)


def test_a_strip_that_unpacks_to_more_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", VOXELS[:1], compression="zlib")
    with tifffile.TiffFile(path) as file:
        at, size = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    bomb = zlib.compress(bytes(200_000))
    assert len(bomb) < size
    content = bytearray(path.read_bytes())
    content[at : at + len(bomb)] = bomb
    path.write_bytes(content)
    with pytest.raises(UserError, match="more than it announces"):
        read_volume(path)


def test_sizes_that_cannot_be_are_refused_before_anything_is_allocated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff.np, "empty", lambda *_: pytest.fail("allocated"))
    path = write(tmp_path / "a.tif", VOXELS[0])
    content = bytearray(path.read_bytes())
    for tag in (256, 257):
        at = max(content.find(struct.pack("<HHI", tag, kind, 1)) for kind in (3, 4))
        assert at > 0
        struct.pack_into("<H", content, at + 8, 60_000)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"announces|taken apart"):
        read_volume(path)
    monkeypatch.setattr(bounded, "budget_bytes", lambda: 1000)
    with pytest.raises(UserError, match="memory"):
        read_volume(write(tmp_path / "b.tif"))
