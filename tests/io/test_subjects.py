"""Whose scan it is, by what its files and folders are called."""

from pathlib import Path

import pytest

from thighview.io.subjects import is_hashed, subject_of

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
