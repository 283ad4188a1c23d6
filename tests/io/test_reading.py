"""The one door for scans."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from thighview.app import jobs
from thighview.core.errors import UserError
from thighview.io.dicom import read_dicom
from thighview.io.facts import volume_facts, volume_of
from thighview.io.nifti import read_nifti
from thighview.io.reading import inspect, patient_id, read_volume, sha256_of

THIGH = "thigh_siemens_dixon/0006-Dixon_TE_345_th.nii.gz"


def assert_same(a, b):
    assert np.array_equal(a.voxels, b.voxels) and a.voxels.dtype == b.voxels.dtype
    assert np.array_equal(a.affine, b.affine)
    assert (a.name, a.kind, a.warnings, a.details) == (b.name, b.kind, b.warnings, b.details)
    assert a.file_geometry == b.file_geometry


def test_info_of_the_thigh(data):
    told = inspect(data / THIGH).to_json()
    assert json.loads(json.dumps(told)) == told
    assert told["kind"] == "nifti" and told["shape_zyx"] == [10, 256, 512] and told["axes"] == "SAR"
    assert told["spacing_mm_zyx"] == pytest.approx([20, 0.801, 0.801], abs=1e-3)
    assert told["dtype"] == "int16" and told["warnings"] == [] and len(told["series"]) == 1


def test_info_of_4d_describes_the_first_volume(data):
    told = inspect(data / "legs_qmritools/T2data.nii.gz").to_json()
    assert told["shape_zyx"] == [13, 160, 160] and len(told["series"]) == 18 and told["warnings"] == []
    assert told["series"][0]["name"] == "volume 1 of 18"


def test_info_of_the_knee(data):
    told = inspect(data / "dicom/ge_knee_mese_echo1_MIT").to_json()
    assert told["kind"] == "dicom" and told["series"][0]["images"] == 24 and told["axes"] == "RIP"


@pytest.mark.parametrize("name", [THIGH, "dicom/ge_knee_mese_echo1_MIT"])
def test_on_a_thread_it_is_the_same_volume(data, qtbot, name):
    heard = []
    jobs.run_in_thread(lambda report, stopped: read_volume(data / name)).succeeded.connect(heard.append)
    qtbot.waitUntil(lambda: not jobs.running(), timeout=30000)
    direct = read_nifti(data / name) if name == THIGH else read_dicom(data / name)
    assert_same(direct, heard[0])
    assert_same(direct, volume_of(volume_facts(direct), direct.voxels))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"a letter, not a scan" * 20, "what is in it is none of NIfTI, NRRD"), (None, "not there")],
)
def test_other_paths_are_refused_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "scan.nii"
    if content is not None:
        path.write_bytes(content)
    for function in (read_volume, inspect, sha256_of, patient_id):
        with pytest.raises(UserError, match=words) as caught:
            function(path)
        assert "\n" not in str(caught.value)


def test_the_hash_of_a_file_is_that_of_its_bytes(data):
    assert sha256_of(data / THIGH) == hashlib.sha256((data / THIGH).read_bytes()).hexdigest()
    assert patient_id(data / THIGH) == ""


def test_the_slow_libraries_are_not_imported_with_it():
    slow = "{'nibabel', 'pydicom', 'scipy', 'nrrd', 'tifffile'}"
    code = f"import sys, thighview.io.reading, thighview.io.masks; print({slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
