"""The quick look at a header says what the library says, or nothing."""

import random
from pathlib import Path

import dicom_fuzz
import numpy as np
import pydicom
import pytest
from dicom_files import write_series
from pydicom.uid import ImplicitVRLittleEndian

from thighview.core.errors import UserError
from thighview.io import dicom_file, dicom_header
from thighview.io.dicom_frames import GROUPS
from thighview.io.dicom_header import Slice, read_slices
from thighview.io.dicom_quick import WANTED, quick_look

_SHARED = Path(__file__).parents[3] / "shared"
OWN = sorted(Path(pydicom.data.get_testdata_file("MR_small.dcm", download=False) or "none").parent.glob("*.dcm"))


def plain(s: Slice) -> tuple[object, ...]:
    lists = [None if one is None else one.tolist() for one in (s.position, s.directions)]
    return (s.facts, s.shape, s.stored, s.image_type, lists, s.spacing_mm, s.identity, s.frame)


def said(path: Path, by_library: bool) -> object:
    """What a file holds, or why it is refused."""
    try:
        if not by_library:
            found = read_slices(path)
            return [plain(s) for s in found] if found is not None else None
        with path.open("rb") as file:
            return [plain(s) for s in dicom_header._read_by_library(path, file, dicom_file.pydicom())]
    except UserError as error:
        return error.message
    except Exception:  # noqa: BLE001 - as the reader says it
        return dicom_file.damaged().message


def test_it_looks_for_all_that_is_wanted():
    whole = {name for _, name in WANTED.values()} | {*GROUPS, "ModalityLUTSequence"}  # it gives up where these are
    assert whole == set(dicom_header._TAGS)


def looked(path: Path) -> bool:
    with path.open("rb") as file:
        return quick_look(file, file.read(1 << 14)) is not None


def test_of_all_files_there_are_it_says_the_same():
    folders = [_SHARED / "data" / "dicom", _SHARED / "hostile"]
    files = [
        p for folder in folders for p in folder.rglob("*") if p.is_file() and p.suffix not in (".gz", ".csv", ".txt")
    ]
    there = [path for path in (*files, *OWN) if dicom_file.is_dicom(path)]
    assert len(there) > 50
    for path in there:
        assert said(path, by_library=False) == said(path, by_library=True), path
    assert sum(map(looked, there)) > 0.6 * len(there)


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("count", [150, pytest.param(10_000, marks=pytest.mark.long)])
def test_of_damaged_ones_too(tmp_path, implicit, count):
    path = write_series(
        tmp_path / "a", [0], EchoTime="7.50 ", PatientID="a\\b ", ImageType=["O", "P", "M "], FlipAngle="",
        SeriesDescription="", DiffusionBValue=800.5, InstanceNumber=" 007",
    ) / "000"  # fmt: skip
    image = pydicom.dcmread(path)
    item = pydicom.Dataset()
    item.ReferencedSOPInstanceUID, item.CodeMeaning = "1.2.3", "x"
    item.PurposeOfReferenceCodeSequence = [pydicom.Dataset()]
    for sequence in (image, item):
        sequence.ReferencedImageSequence = [pydicom.Dataset(), pydicom.Dataset()]
        sequence["ReferencedImageSequence"].is_undefined_length = True
    image.SourceImageSequence = [item]
    image["SourceImageSequence"].is_undefined_length = True
    if implicit:
        image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        pydicom.dcmwrite(path, image, implicit_vr=True, little_endian=True, force_encoding=True)
    else:
        image.save_as(path)
    assert looked(path) and said(path, by_library=False) == said(path, by_library=True)
    data = path.read_bytes()
    quick = 0
    differ: list[int] = []
    for seed in range(count):
        path.write_bytes(dicom_fuzz.mutated(data, random.Random(seed)))
        if dicom_file.is_dicom(path) and looked(path):
            quick += 1
            ours, theirs = said(path, by_library=False), said(path, by_library=True)
            if ours != theirs and isinstance(theirs, list):  # what it refuses may be damaged where nobody looks
                differ.append(seed)
    assert quick > count / 8
    assert len(differ) <= count / 100, "the library takes a header for explicit whose first element looks like it"


def test_a_header_longer_than_what_is_read_first_is_read_on(tmp_path):
    path = write_series(tmp_path / "a", [0], ImageComments="x" * 9000, AdditionalPatientHistory="y" * 60_000) / "000"
    assert looked(path) and said(path, by_library=False) == said(path, by_library=True)
    (found,) = read_slices(path)
    with path.open("rb") as file:
        file.seek(found.stored.begin)
        assert np.array_equal(np.frombuffer(file.read(40), "<u2"), np.zeros(20))
