"""A small project to export: a DICOM case and a NIfTI case, drawn by a model, a hand and nobody."""

import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
from dicom_files import write_series
from pydicom.uid import generate_uid

from thighview.core.case import Case
from thighview.core.history import Edit, step_name
from thighview.core.labels import Label, LabelTable
from thighview.core.mask import Patch, Region
from thighview.core.review import ReviewChange, SliceReview, SliceState
from thighview.io.project import Project
from thighview.io.reading import read_volume, sha256_of

TABLE = LabelTable((
    Label(1, "muscle", "left", (200, 40, 60), 13),
    Label(2, "femur", "", (250, 240, 210), 700),
    Label(7, "großer_anziehender_muskel", "right", (10, 120, 30), 7),
))  # fmt: skip
HEIGHTS = (0.0, 4.0, 8.0, 12.0, 16.0)
STATES = (SliceState.DRAWN, SliceState.MODEL, SliceState.CORRECTED, SliceState.UNSEEN, SliceState.ACCEPTED)
TILTED = [0.9986295, 0.0, -0.0523360, 0.0, 1.0, 0.0]


def write_thigh_series(folder: Path, heights: tuple[float, ...] = HEIGHTS, **values: object) -> Path:
    """A tilted series of 4 x 5 images with everything a segmentation refers to."""
    down = np.cross(TILTED[:3], TILTED[3:])
    places = tuple([float(v) for v in np.round([-10, -20, 0] + down * h, 6)] for h in heights)
    told = {
        "StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid(), "ImageOrientationPatient": TILTED,
        "ImagePositionPatient": places, "PatientBirthDate": "19700101", "PatientSex": "F", "StudyDate": "20200102",
        "StudyTime": "101112", "StudyID": "1", "AccessionNumber": "A1", "ReferringPhysicianName": "Roe^R",
        "SliceThickness": 4, "ImageType": ["ORIGINAL", "PRIMARY", "M"], "Manufacturer": "Maker", "EchoTime": 9.2,
        "ScanningSequence": "SE", "SequenceVariant": "SP", "PatientPosition": "FFS",
    }  # fmt: skip
    return write_series(folder, heights, **{**told, **values})


def write_thigh_nifti(path: Path, seed: int = 0) -> Path:
    """5 slices of 4 x 5 with both forms coded, and unlike each other in their codes."""
    voxels = np.random.default_rng(seed).integers(0, 900, (5, 4, 5), dtype=np.int16)
    affine = np.array([[-0.75, 0.02, 0, 11], [0.02, -1.25, 0, 22], [0, 0, 4.0, -33], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(voxels.T, affine)
    image.set_sform(affine, 2)
    image.set_qform(affine, 3)
    nibabel.save(image, path)
    return path


def drawn_case(path: Path, subject: str, states: tuple[SliceState, ...] = STATES) -> Case:
    """A case whose muscle a model drew and a hand corrected, whose femur is the model's and whose third is a hand's."""
    volume = read_volume(path)
    case = Case.of(volume, path, sha256_of(path), subject)
    case.title, case.table = f"{subject} & scan", TABLE
    z, y, x = case.labels.shape
    for index in range(z):
        plane = np.zeros((y, x), np.uint8)
        plane[:2, :3], plane[2:, 3:] = 1, 2
        step(case, index, plane, "model", step_name("thigh_tissues"))
    corrected = case.labels[2].copy()
    corrected[0, 0] = 0
    step(case, 2, corrected, "brush", "Eraser")
    third = case.labels[0].copy()
    third[3, 0] = 7
    step(case, 0, third, "brush", "Brush")
    wanted = [SliceReview(state, state not in (SliceState.DRAWN, SliceState.UNSEEN)) for state in states]
    changes = tuple(ReviewChange(i, case.reviews[i], review) for i, review in enumerate(wanted))
    case.reviews = wanted
    case.history.push(Edit("Review", "review", (), changes))
    return case


def step(case: Case, index: int, after: np.ndarray, tool: str, name: str) -> None:
    """One edit of one slice."""
    before, (_, y, x) = case.labels[index].copy(), case.labels.shape
    patch = Patch.between(Region(index, index + 1, 0, y, 0, x), before[None], after[None])
    review = case.reviews[index]
    new = review.after_model() if tool == "model" else review.after_edit()
    case.labels[index], case.reviews[index] = after, new
    case.history.push(Edit(name, tool, (patch,) if patch else (), (ReviewChange(index, review, new),)))


def thigh_project(folder: Path) -> Project:
    """An open project with the DICOM case 1 of ``anna`` and the NIfTI case 2 of ``sub-02``."""
    project = Project.create(folder / "study", "study")
    project.add_case(drawn_case(write_thigh_series(folder / "series"), "anna"), in_training_set=True)
    scan = write_thigh_nifti(folder / "sub-02_acq-tse_T1w.nii.gz")
    project.add_case(drawn_case(scan, "sub-02"), in_training_set=True)
    return project


def verify_dicom(path: Path) -> list[str]:
    """Errors that dicom3tools finds in a file; skips the test where it is not installed."""
    try:
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    said = done.stdout + done.stderr
    assert "Segmentation" in said or "MRImage" in said, said
    return [line for line in said.splitlines() if line.startswith("Error")]


def files_in(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
