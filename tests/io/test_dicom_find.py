"""A tree of anything looked through for DICOM: nothing in it holds up what can be read."""

import os
import socket
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import write_series
from pydicom.uid import RLELossless
from test_dicom_frames import write_enhanced

from thighview.core.errors import UserError
from thighview.io import dicom_find
from thighview.io.dicom import read_dicom, scan
from thighview.io.dicom_stack import stack_of, volume_numbers
from thighview.io.reading import read_volume


def test_pipes_sockets_links_and_junk_are_passed_over(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "scan", [0, 5, 10])
    (folder / "deeper.dcm").mkdir()
    (folder / "000").rename(folder / "deeper.dcm" / "no ending at all")
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder)
    (folder / "link").symlink_to(folder / "001")
    (folder / "dangling").symlink_to(folder / "nothing")
    (folder / "empty").touch()
    (folder / "short").write_bytes(b"DICM")
    (folder / "zip").write_bytes(zlib.compress(bytes(10_000)))
    (folder / ".hidden").mkdir()
    write_series(folder / ".hidden", [20])
    locked = folder / "locked"
    locked.write_bytes((folder / "001").read_bytes())
    locked.chmod(0)
    here = os.getcwd()  # noqa: PTH109 - a socket's path must be short
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
        os.chdir(here)
        assert read_volume(folder).voxels[:, 0, 0].tolist() == [0, 1, 2]
    assert scan(folder).series[0].place == folder


def test_there_may_be_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_series(tmp_path / "scan", [0, 5, 10])
    monkeypatch.setattr(dicom_find, "MOST_FILES", 2)
    with pytest.raises(UserError, match="more than 2 DICOM files"):
        read_dicom(folder)
    monkeypatch.setattr(dicom_find, "_MOST_NAMES", 2)
    with pytest.raises(UserError, match="more than 2 files"):
        read_dicom(folder)


def test_what_changes_is_read_again_and_what_stays_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_series(tmp_path / "scan", [0, 5, 10])
    for path in folder.iterdir():
        os.utime(path, (1, 1))
    monkeypatch.setattr(dicom_find, "_SETTLED_NS", 0)  # else what was written just now would be read each time
    monkeypatch.setattr(dicom_find, "_known", {})
    read: list[Path] = []
    reader = dicom_find.read_slices
    monkeypatch.setattr(dicom_find, "read_slices", lambda path: read.append(path) or reader(path))
    assert read_dicom(folder).shape == read_dicom(folder).shape and len(read) == 3
    image = pydicom.dcmread(folder / "001")
    image.ImagePositionPatient = [-10, -20, 5.2]
    image.save_as(folder / "001")
    assert "not quite evenly" in read_dicom(folder).warnings[0] and read[3:] == [folder / "001"]


def test_a_file_that_is_cut_while_it_is_read_is_refused(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "scan", [0, 5, 10])
    stack = stack_of(scan(folder).series[0].slices)
    os.truncate(folder / "002", 600)
    with pytest.raises(UserError, match=r"^002 is cut short"):
        volume_numbers(stack)
    (folder / "001").unlink()
    with pytest.raises(UserError, match=r"^001 could not be read"):
        volume_numbers(stack)


@pytest.mark.parametrize(("rows", "frames"), [(4096, 600), (4096, 3)])
def test_a_header_that_lies_about_packed_images_takes_no_memory(tmp_path: Path, rows: int, frames: int) -> None:
    path = write_enhanced(tmp_path / "one", [0, 4, 8])
    image = pydicom.dcmread(path)
    image.compress(RLELossless, generate_instance_uid=False)
    image.Rows = image.Columns = rows
    if frames > 3:
        own = image.PerFrameFunctionalGroupsSequence
        image.NumberOfFrames = frames
        for n in range(len(own), frames):
            own.append(pydicom.Dataset())
            place = pydicom.Dataset()
            place.ImagePositionPatient = [-10, -20, 4 * n]
            own[n].PlanePositionSequence = [place]
    image.save_as(path)
    with pytest.raises(UserError, match=r"too large|cut short|damaged"):
        read_volume(path)


def test_words_in_any_script_are_read(tmp_path: Path) -> None:
    for number, (script, words) in enumerate((("ISO_IR 192", "Oberschenkel – links"), ("GB18030", "大腿"))):
        folder = write_series(tmp_path / str(number), [0, 5], SpecificCharacterSet=script, SeriesDescription=words)
        assert read_dicom(folder).name == words
    hostile = "<img src='file:///etc/passwd'>" + "\u202e" * 3
    folder = write_series(tmp_path / "odd", [0, 5], SpecificCharacterSet="ISO_IR 192", SeriesDescription=hostile)
    assert read_dicom(folder).name == hostile and np.array_equal(read_dicom(folder).voxels[:, 0, 0], [0, 1])
