"""Whose scan it is, by what its files and folders are called."""

from pathlib import Path

import pytest

from thighview.core.scan_key import ScanKey
from thighview.io.records import SourceRow
from thighview.io.subjects import is_by_file, is_hashed, own_name, subject_of

SALT = b"sixteen bytes of"


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("/data/sub-01/anat/sub-01_T1w.nii.gz", "sub-01"), ("/data/sub-01/ses-1/anat/T1w.nii.gz", "sub-01"),
        ("/data/sub-01/t1.nii.gz", "sub-01"), ("/data/sub-01/ses-2", "sub-01"), ("/data/sub-01/T1", "sub-01"),
        ("/data/sub-01/ses-1/DICOM/IM_0001", "sub-01"), ("/data/copy_sub-07_T1w.nii.gz", "sub-07"),
        ("/data/sub-study/scans/a.nii.gz", "a"), ("/home/sub-admin/data/mri/b.nii.gz", "b"),
        ("/data/sub-study/sub-03/anat/t1.nii.gz", "sub-03"), ("/data/sub-study/sub-04_t1.nii.gz", "sub-04"),
        ("/data/sub-study/raw/sub-05/ses-1/anat/sub-05_ses-1_T1w.nii.gz", "sub-05"), ("sub-06.nii.gz", "sub-06"),
        ("/ses-1/anat/x.nii.gz", "x"), ("/data/my_sub-08/y.nii.gz", "y"),
    ],
)  # fmt: skip
def test_sub_counts_where_it_stands_for_a_person(path: str, subject: str) -> None:
    assert subject_of(Path(path), "", SALT) == subject


def test_the_patient_of_the_files_comes_first() -> None:
    subject = subject_of(Path("/data/sub-01/anat/sub-01_T1w.nii.gz"), "12345", SALT)
    assert is_hashed(subject) and subject != subject_of(Path("/x"), "12346", SALT)
    assert not is_hashed("sub-01")


@pytest.mark.parametrize(
    ("path", "part", "sha256", "name"),
    [
        ("/y/water.nii", "", "b", "water (y)"), ("/y/water.nii", "", "", "water (y)"),  # another folder, another person
        ("/y/water.nii", "", "a", "water"), ("/z/water.nii", "", "d", "water (p)"),  # copies
        ("/x/water.mha", "", "b", "water"), ("/x/water.nii", "2", "b", "water"),  # one folder, one file
        ("/x/water.nii", "", "b", "water (x)"), ("/x/water.nii", "qform", "a", "water"),  # in the place of another
        ("/p/ses-1/anat/water.nii", "", "e", "water (p) 2"), ("/p/water.mha", "", "e", "water (p)"),
        ("/x/fat.nii", "", "b", "fat"), ("/x/water (1).nii", "", "b", "water (1)"),
    ],
)  # fmt: skip
def test_files_of_one_name_in_several_folders_are_of_several_persons(
    path: str, part: str, sha256: str, name: str
) -> None:
    there = [
        SourceRow(1, ScanKey(Path("/x/water.nii")), "a", "water"),
        SourceRow(2, ScanKey(Path("/p/water.nii")), "d", "water (p)"),
    ]
    subject = subject_of(Path(path), "", SALT)
    assert is_by_file(subject, Path(path))
    assert own_name(subject, ScanKey(Path(path), part), sha256, there) == name


def test_a_name_with_brackets_takes_nobody_in() -> None:
    there = [SourceRow(1, ScanKey(Path("/x/water (1).nii")), "a", "water (1)")]
    assert own_name("water", ScanKey(Path("/x/water.nii")), "b", there) == "water"


@pytest.mark.parametrize("name", ["sub-01", "P0123456789", "SABCDEFG23"])
def test_a_person_with_a_name_is_the_same_in_every_folder(name: str) -> None:
    assert not is_by_file(name, Path(f"/x/{name}.nii.gz"))
