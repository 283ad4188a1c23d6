"""A name planted wherever a name can stand is in nothing that leaves, in no log and in no temporary file."""

import gzip
import io
import logging
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from canary import CANARY, TEXTS, hits, hits_in, plant_nifti, plant_series

from journeys.conftest import OpenWindow
from journeys.hands import Hands
from thighview.app import jobs
from thighview.cli import main
from thighview.core.labels import Label, LabelTable
from thighview.io.dicom_source import images_at
from thighview.io.export_wish import FORMATS, ExportWish
from thighview.io.paths import scratch_project
from thighview.ui.application import log_to_file


def test_the_scanner_finds_the_word_however_it_is_packed() -> None:
    word = f"a {CANARY} b".encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", zlib.compress(word))
    arrays = io.BytesIO()
    np.savez_compressed(arrays, title=np.array(CANARY))
    for data in (
        word, word.lower(), CANARY.encode("utf-16-le"), CANARY.encode("utf-16-be"), gzip.compress(word),
        b"head" + zlib.compress(word) + b"tail", packed.getvalue(), gzip.compress(gzip.compress(word)),
        arrays.getvalue(), b"\n\n" + gzip.compress(word),
    ):  # fmt: skip
        assert hits(data), data
    assert not hits(b"ZQXSECRE" + gzip.compress(b"nothing") + bytes(1000))


def draw_and_accept(hands: Hands, path: Path) -> None:
    """A mask on every slice, accepted, and the case in the training set."""
    session, workspace = hands.window.session, hands.workspace
    workspace.open_paths([path])
    hands.until(lambda: session.case is not None and path.name in str(session.case.series[0].path))
    hands.until(lambda: any(c.case_id == hands.case.case_id for c in workspace.cases))
    session.set_table(LabelTable((Label(1, "muscle", "left"), Label(2, "femur"))))
    labels = np.zeros_like(hands.case.labels)
    labels[:, :2], labels[:, 3] = 1, 2
    session.commit("Paint", "brush", labels)
    session.accept(tuple(range(len(labels))))
    workspace.set_in_training_set(True)
    hands.until(lambda: any(c.in_training_set and c.case_id == hands.case.case_id for c in workspace.cases))
    hands.until_saved()


@pytest.fixture
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files of this process and its children go."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.filterwarnings("ignore:The pixel data is")  # the word stands behind the last pixel, too
def test_nothing_that_leaves_tells_who_it_is(
    room: OpenWindow, tmp_path: Path, temporary: Path, thighview_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row G1."""
    scans = tmp_path / f"scans of {CANARY}"
    series, nifti = scans / "dicom" / CANARY, scans / f"sub-{CANARY}" / f"sub-{CANARY}_T1w.nii.gz"
    places = plant_series(series) + plant_nifti(nifti)
    assert places >= 47 and len(TEXTS) > 47
    for file in (*series.iterdir(), nifti):
        assert hits(file.read_bytes()) > (60 if file.parent == series else 4), f"the scanner finds it in {file}"
    old = {str(value) for image in images_at(series).images for value in (
        image.whole.SOPInstanceUID, image.whole.SeriesInstanceUID, image.whole.StudyInstanceUID,
        image.whole.FrameOfReferenceUID,
    )}  # fmt: skip
    before = set(logging.getLogger().handlers)
    log_to_file()
    try:
        hands = room()
        hands.window.actions_table["hide_names"].trigger()
        draw_and_accept(hands, series)
        draw_and_accept(hands, nifti)
        out = tmp_path / "out"
        out.mkdir()
        hands.workspace.export_masks(out / "window", ExportWish("nnunet", deidentify=True))
        hands.until(lambda: (out / "window" / "manifest.json").exists())
        hands.until(lambda: hands.workspace.exporting.job is None)
        assert CANARY not in hands.window.windowTitle() + hands.window.top.case_line.text_whole

        def fail(report: object, stopped: object) -> None:
            raise ValueError(f"{CANARY} could not be read")

        failed = jobs.run_in_thread(fail)
        failed.failed.connect(hands.window.notices.show_error)
        hands.until(lambda: failed.is_over)
        hands.until_saved()
        hands.workspace.settings.sync()
    finally:
        for handler in set(logging.getLogger().handlers) - before:
            logging.getLogger().removeHandler(handler)
            handler.close()
    capsys.readouterr()
    for form in FORMATS:
        words = ["export", str(scratch_project()), "-o", str(out / form), "--format", form, "--deidentify"]
        assert main(words) == 0, form
    written = [path for path in out.rglob("*") if path.is_file()]
    assert len(written) > 40 and len({path.suffix for path in written}) >= 5
    assert hits_in(out) == []
    assert hits_in(thighview_home, without=(scratch_project(),)) == []
    assert (thighview_home / "settings.ini").is_file() and (thighview_home / "thighview.log").stat().st_size > 100
    assert hits_in(temporary) == []
    everything = b"".join(path.read_bytes() for path in written)
    assert not [uid for uid in old if uid.encode() in everything], "an old UID leads back to the archive"
    assert pydicom.dcmread(next((out / "dicomseg" / "images").rglob("*.dcm"))).PatientIdentityRemoved == "YES"
