"""One marked voxel through the whole house: 48 axis orders and 20 oblique positions, into a mask, out in every format.

Where it comes out is asked of other libraries: nibabel, pynrrd, pydicom.
"""

from collections.abc import Iterator
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pydicom
import pytest
from dicom_files import write_volume as write_dicom
from pydicom.uid import generate_uid
from test_placed_files import axis_orders, obliques

from thighview.core.case import Case
from thighview.core.labels import Label, LabelTable
from thighview.core.planes import Plane
from thighview.core.review import SliceReview, SliceState
from thighview.core.volume import Volume
from thighview.io.export_wish import ExportWish
from thighview.io.exporting import export
from thighview.io.images import write_volume
from thighview.io.masks import read_mask
from thighview.io.project import Project
from thighview.io.reading import read_volume, sha256_of

SHAPE, MARK = (3, 4, 5), (2, 1, 3)
STEPS = np.array([5.0, 1.25, 0.75])
RAS = np.array([-1.0, -1.0, 1.0])
TABLE = LabelTable((Label(1, "femur", "left", (9, 200, 40)),))


def places() -> list[np.ndarray]:
    """Affines from (z, y, x) to LPS mm."""
    found: list[np.ndarray] = []
    for directions in (*axis_orders(), *obliques()):
        affine = np.eye(4)
        affine[:3, :3] = directions * STEPS
        affine[:3, 3] = (-31.5, 17.25, 204.0)
        found.append(affine)
    return found


def wanted(affine: np.ndarray) -> np.ndarray:
    """LPS mm of the marked voxel."""
    return affine[:3, :3] @ MARK + affine[:3, 3]


@pytest.fixture(scope="module", params=["nifti", "dicom"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with a drawn case at each place, its scans as NIfTI or as DICOM."""
    folder = tmp_path_factory.mktemp(request.param)
    voxels = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    voxels[MARK] = 999
    project = Project.create(folder / "study")
    for n, affine in enumerate(places()):
        path = folder / f"m{n:03d}{'.nii.gz' if request.param == 'nifti' else ''}"
        if request.param == "nifti":
            write_volume(path, Volume(voxels, affine))
        else:
            uids = {f"{kind}InstanceUID": generate_uid() for kind in ("Study", "Series")}
            uids["FrameOfReferenceUID"] = generate_uid()
            write_dicom(path, voxels, affine, SeriesDescription=path.name, PatientID=path.name, **uids)
        volume = read_volume(path)
        at = np.argwhere(volume.voxels == 999)[0]
        assert np.abs(volume.to_world(at) - wanted(affine)).max() < 1e-3, affine
        case = Case.of(volume, path, sha256_of(path), f"m{n:03d}")
        case.title, case.table = f"m{n:03d}", TABLE
        case.labels[tuple(at)] = 1
        case.reviews = [SliceReview(SliceState.DRAWN)] * volume.shape[0]
        project.add_case(case, in_training_set=True)
    yield project
    project.close()


def test_on_screen_it_lies_towards_the_letters(project: Project) -> None:
    towards = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "H": (2, 1), "F": (2, -1)}
    for case in project.cases():
        volume = read_volume(case.path)
        at = np.argwhere(volume.voxels == 999)[0]
        off_mm = volume.to_world(at) - volume.to_world((np.array(volume.shape) - 1) / 2)
        for view in ("axial", "coronal", "sagittal"):
            plane = Plane.of(volume, view)
            row, column = plane.to_plane((float(at[0]), float(at[1]), float(at[2])))
            assert plane.take(volume.voxels, int(at[plane.through]))[int(row), int(column)] == 999
            edges = ((plane.letters[1], plane.column_axis, plane.flip_columns, column - (plane.columns - 1) / 2),
                     (plane.letters[2], plane.row_axis, plane.flip_rows, row - (plane.rows - 1) / 2))  # fmt: skip
            for letter, axis, flipped, pixels in edges:
                spacing = volume.spacing_mm[axis]
                way = volume.affine[:3, axis] / spacing * (-1 if flipped else 1)
                world, sign = towards[letter]
                assert way[world] * sign > 0, "the edge is the one the letter names"
                assert pixels * spacing == pytest.approx(off_mm @ way, abs=1e-6), "and the voxel lies towards it"


def out_of(project: Project, folder: Path, form: str) -> dict[str, Path]:
    """The exported masks by case title."""
    done = export(project, folder, ExportWish(form))
    assert done is not None and done.cases == len(places()) and not done.left_out
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".gz", ".nrrd", ".dcm", ".npz") and "images" not in path.parent.name:
            found[next(f"m{n:03d}" for n in range(len(places())) if f"m{n:03d}" in path.name)] = path
    assert len(found) == len(places())
    return found


def marked_at(path: Path) -> np.ndarray:
    """LPS mm of the one marked voxel of a mask, as another library tells it."""
    if path.suffix == ".gz":
        image = nibabel.load(path)
        (at,) = np.argwhere(np.asarray(image.dataobj) == image.get_fdata().max())
        return RAS * nibabel.affines.apply_affine(image.affine, at)
    if path.suffix == ".nrrd":
        data, header = nrrd.read(str(path))
        (at,) = np.argwhere(data)
        return header["space origin"] + at @ header["space directions"]
    if path.suffix == ".npz":
        with np.load(path) as bundle:
            (at,) = np.argwhere(bundle["mask"] == 1)
            return (bundle["affine"] @ [*at, 1])[:3]
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    across = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    down, along = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    ((frame, row, column),) = np.argwhere(frames)
    own = dataset.PerFrameFunctionalGroupsSequence[frame].PlanePositionSequence[0]
    return np.array(own.ImagePositionPatient, float) + column * along * across[0] + row * down * across[1]


@pytest.mark.parametrize("form", ["nifti", "nrrd", "bids", "npz", "nnunet", "dicomseg"])
def test_it_leaves_in_its_place_and_comes_back(project: Project, tmp_path: Path, form: str) -> None:
    if form == "dicomseg" and not project.cases()[0].path.is_dir():
        with pytest.raises(Exception, match="no DICOM series"):
            export(project, tmp_path / "out", ExportWish(form))
        return
    masks = out_of(project, tmp_path / "out", form)
    for case, affine in zip(project.cases(), places(), strict=True):
        path = masks[case.title]
        assert np.abs(marked_at(path) - wanted(affine)).max() < 2e-3, (form, case.title)
        if form not in ("npz",):  # what is for training only is not opened as a mask
            labels, _ = read_mask(path, read_volume(case.path))
            assert np.array_equal(labels != 0, project.load_case(case.case_id).labels != 0), (form, case.title)
