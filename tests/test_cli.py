"""The command line: what it writes, what it says, and how it ends."""

import csv
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from dicom_files import write_series
from parts_files import write_volumes
from tiny_project import make_older, make_project

from thighview.cli import main, phantoms, system
from thighview.cli.dispatch import DONE, REFUSED
from thighview.cli.parser import command_parser
from thighview.cli.progress import Progress, warn
from thighview.cli.projects import _Listener
from thighview.core.errors import UserError
from thighview.core.fine_tuning import FINE_TUNING
from thighview.core.labels import Label, LabelTable
from thighview.core.phantom import make_phantom
from thighview.core.run import Started, TrainConfig
from thighview.core.volume import Volume
from thighview.engine.evaluation import Evaluation, Truth, compare
from thighview.io import locks
from thighview.io.case_pictures import read_pictures
from thighview.io.images import write_volume
from thighview.io.masks import read_mask, write_mask
from thighview.io.model_card import ModelCard
from thighview.io.models import FIRST_OF_BOX, find_models, write_model
from thighview.io.project import Project

TABLE = LabelTable((Label(1, "thigh"), Label(2, "bone", "", (1, 2, 3), 20)))
TINY = {"base_filters": 2, "levels": 3, "epochs": 2, "batch_size": 4, "input_size": 32}


@pytest.fixture
def scan(tmp_path: Path, tiny_volume: Volume) -> Path:
    path = tmp_path / "scan.nii.gz"
    write_volume(path, tiny_volume)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network that knows two labels."""
    from thighview.engine.unet import build_network, weights_of

    folder = tmp_path_factory.mktemp("models") / "tiny"
    card = ModelCard("tiny", "unet", 2, 3, 0.0, ("background", "thigh", "bone"), TABLE, False, 0.0, 32)
    write_model(folder, card, weights_of(build_network("unet", 3, 2, 3)))
    return folder


def command(*words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own, as in a pipe."""
    call = [sys.executable, "-m", "thighview", *map(str, words)]
    return subprocess.run(call, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=200)


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one line of a refusal."""
    assert main([str(word) for word in words]) == REFUSED
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("thighview: ")
    return lines[0]


def test_a_reader_that_has_gone_ends_nothing_and_changes_no_exit_code(
    tmp_path: Path, scan: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    out = tmp_path / "m.nii.gz"
    with os.fdopen(writer, "w", buffering=1) as gone:
        monkeypatch.setattr(sys, "stderr", gone)
        assert main(["info", str(tmp_path / "none")]) == REFUSED
        warn("nobody reads this")
        assert main(["segment", str(scan), "-o", str(out), "--model", str(model), "--device", "cpu"]) == DONE
        monkeypatch.undo()
        with suppress(BrokenPipeError):
            gone.close()
    assert out.exists()


def test_any_name_can_be_told_where_standard_output_knows_few_letters(
    tmp_path: Path, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "Schenkel ü 大腿.nii.gz"
    named.write_bytes(scan.read_bytes())
    for words in (["info", str(named), "--json"], ["info", str(named)]):
        told = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(told, encoding="cp1252"))
        assert main(words) == DONE
        text = told.getvalue().decode("cp1252")
        assert not words[2:] or json.loads(text)["path"] == str(named)
        assert "大腿" in text or "\\u5927" in text


def test_settings_with_a_number_too_large_or_a_mark_at_the_beginning(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    study = make_project(tmp_path / "study", 1)
    config = tmp_path / "c.json"
    config.write_text('{"learning_rate": 1' + 400 * "0" + "}", encoding="utf-8-sig")
    assert "Setting learning_rate: expected float" in refused(capsys, "train", study, "--config", config)


def test_a_folder_of_somebody_is_not_replaced_by_a_recipes_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    (mine / "notes").mkdir(parents=True)
    (mine / "card.json").write_text("{}")
    assert "not an empty folder" in refused(capsys, "train", "--recipe", "thigh_tissues", "-o", mine)
    assert (mine / "notes").is_dir()
    kept = tmp_path / "mine.checkpoint"
    kept.mkdir()
    (kept / "checkpoint.json").write_text('{"recipe": {}}')
    assert "a training of another recipe" in refused(capsys, "train", "--recipe", "thigh_tissues", "-o", mine)


# ------------------------------------------------------------------ several volumes in one file


def test_one_of_several_volumes_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_volume: Volume, model: Path
) -> None:
    other = replace(tiny_volume, voxels=tiny_volume.voxels[:, ::-1].copy())
    scan = write_volumes(tmp_path / "two.nii.gz", [tiny_volume, other])
    out, mask = tmp_path / "mask.nii.gz", tmp_path / "drawn.nii.gz"
    write_mask(mask, np.ones(tiny_volume.shape, np.uint8), TABLE, tiny_volume)
    for words in (["segment", scan, "-o", out, "--model", model], ["measure", scan, mask]):
        line = refused(capsys, *words)
        assert "two.nii.gz holds 2 volumes" in line and "with --part; there are 1 to 2" in line
        assert "no part '3'" in refused(capsys, *words, "--part", "3")
    assert not out.exists()
    assert main(["measure", str(scan), str(mask), "--part", "2"]) == DONE
    capsys.readouterr()
    assert main(["segment", str(scan), "-o", str(out), "--model", str(model), "--part", "2", "--device", "cpu"]) == DONE
    assert json.loads((tmp_path / "mask.json").read_text())["part"] == "2"
    single = tmp_path / "second.nii.gz"
    write_volume(single, other)
    alone = tmp_path / "alone.nii.gz"
    assert main(["segment", str(single), "-o", str(alone), "--model", str(model), "--device", "cpu"]) == DONE
    drawn = [read_mask(path, other)[0] for path in (out, alone)]
    assert np.array_equal(*drawn) and 0 < np.count_nonzero(drawn[0]) < drawn[0].size
    capsys.readouterr()
    assert main(["info", str(scan)]) == DONE
    assert "name volume 2 of 2, images 6, part 2" in capsys.readouterr().out


# ------------------------------------------------------------------ how it ends


def test_exit_codes_of_the_real_program(tmp_path: Path) -> None:
    assert command("--version").stdout.startswith("thighview ")
    done = command("info", tmp_path / "nothing.nii.gz")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    bug = "import thighview.cli.files as f, thighview.cli as c, sys; f.info = None; sys.exit(c.main(['info', 'x']))"
    done = subprocess.run([sys.executable, "-c", bug], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["segment"], "required"),
        (["segment", "x", "-o", "y", "--device", "abacus"], "abacus"),
        (["sgement"], "Did you mean the command segment"),
        (["nothing.nii.gz"], "nothing at nothing.nii.gz"),
        (["--bogus"], "--bogus"),
        (["info", "nothing"], "nothing at nothing"),
        (["evaluate", "thigh", "nothing"], "nothing at nothing"),
        (["train"], "Nothing to train on"),
        (["train", "--example", "bogus"], "puzzle"),
        (["train", "--recipe", "thigh_tissues"], "-o FOLDER"),
        (["train", "--recipe", "bogus", "-o", "x"], "thigh_tissues"),
        (["phantom", "x", "--n", "0"], "1 to 1000"),
        (["phantom", "x", "--seed", "-1"], "seed"),
        (["measure", "a", "b"], "nothing at a"),
        (["info", ""], "expected a path, found nothing"),
        (["measure", ".", "."], "No DICOM series"),
        (["phantom", "."], "the folder you are in"),
        (["train", "--recipe", "thigh_tissues", "-o", "."], "the folder you are in"),
        (["train", "x", "--miniature"], "goes with --example"),
        (["--add-to-menu", "x"], "opens nothing"),
    ],
)
def test_refusals(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in refused(capsys, *words)
    assert not list(tmp_path.iterdir())


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["demo"], ["info"], ["segment"], ["import"], ["train"], ["evaluate"], ["measure"], ["export"]):
        with pytest.raises(SystemExit) as end:
            main([*words, "--help"])
        assert end.value.code == 0
        assert len(capsys.readouterr().out) > 150


def test_help_of_train_lists_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = capsys.readouterr().out
    for name, default in TrainConfig().to_json().items():
        assert f'"{name}": {json.dumps(default)}' in told
    assert all(f'"{name}": {value:g}' in told for name, value in FINE_TUNING.items())


def test_places_that_cannot_be_written(capsys: pytest.CaptureFixture[str], scan: Path, tmp_path: Path) -> None:
    mask = tmp_path / "m.nii.gz"
    mask.write_bytes(b"")
    assert "does not exist" in refused(capsys, "segment", scan, "-o", tmp_path / "no" / "m.nii.gz")
    assert "ends in .nii.gz" in refused(capsys, "segment", scan, "-o", tmp_path / "m.png")
    assert "input itself" in refused(capsys, "segment", scan, "-o", scan)
    assert "same file" in refused(capsys, "segment", scan, "-o", mask, "--probabilities", mask)
    (tmp_path / "m.json").write_text('{"RepetitionTime": 2}')
    assert "tells of something else" in refused(capsys, "segment", scan, "-o", mask)


def test_a_full_disk_is_no_bug(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], scan: Path) -> None:
    from thighview.cli import files

    def full(_: object) -> int:
        raise OSError(28, "No space left on device", "/x")

    monkeypatch.setattr(files, "info", full)
    assert "No space left on device: /x" in refused(capsys, "info", scan)


# ------------------------------------------------------------------ files


def test_info(capsys: pytest.CaptureFixture[str], scan: Path) -> None:
    assert main(["info", str(scan), "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert told["shape_zyx"] == [6, 32, 32] and told["axes"] == "SAR" and told["kind"] == "nifti"
    assert told["spacing_mm_zyx"] == [5.0, 1.5, 1.25]
    assert set(told) >= {"path", "kind", "shape_zyx", "spacing_mm_zyx", "axes", "dtype", "series", "warnings"}
    assert main(["info", str(scan)]) == DONE
    words = capsys.readouterr().out
    assert "6 x 32 x 32" in words
    assert "SAR: slices grow to superior, rows to anterior, columns to right" in words


def test_info_of_a_project(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = make_project(tmp_path / "study")
    with closing(Project.open(folder, writable=False)) as project:
        titles = [case.title for case in project.cases()]
    assert titles
    assert main(["info", str(folder)]) == DONE
    words = capsys.readouterr().out
    assert "thighview project" in words and all(title in words for title in titles)
    assert main(["info", str(folder), "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "project" and told["shape_zyx"] is None and told["warnings"] == []
    assert [case["name"] for case in told["cases"]] == titles


def test_info_of_an_older_project_says_what_brings_it_up_to_date(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = make_project(tmp_path)
    make_older(folder)
    before = (folder / "project.sqlite").read_bytes()
    for words in (["info", folder], ["info", folder, "--json"], ["evaluate", "thigh_tissues", folder]):
        said = refused(capsys, *words)
        assert "older thighview (format 2, this program reads 3)" in said
        assert f"(thighview {folder}) or exporting from it brings it up to date" in said
        assert "another window" not in said
    assert (folder / "project.sqlite").read_bytes() == before and not list(folder.glob("*.bak")), "to look changes none"
    with closing(sqlite3.connect(folder / "project.sqlite")) as database:
        assert locks.take(folder / "project.lock") is None  # the window of the older program
        said = refused(capsys, "export", folder, "-o", tmp_path / "out", "--format", "nifti")
        locks.release(folder / "project.lock")
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
    assert f"open in another window (process {os.getpid()}): close that first" in said
    assert main(["export", str(folder), "-o", str(tmp_path / "out"), "--format", "nifti"]) == DONE
    assert (folder / "project.sqlite.v2.bak").is_file()
    capsys.readouterr()
    assert main(["info", str(folder)]) == DONE
    assert "4 of 4 slices reviewed" in capsys.readouterr().out


def test_info_of_real_scans(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    assert main(["info", str(data / "thigh_siemens_dixon" / "0006-Dixon_TE_345_th.nii.gz"), "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["kind"] == "nifti"
    assert main(["info", str(data / "dicom" / "ge_knee_mese_echo1_MIT"), "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["kind"] == "dicom"


def test_segment(capsys: pytest.CaptureFixture[str], scan: Path, model: Path, tmp_path: Path) -> None:
    out, p = tmp_path / "out.nii.gz", tmp_path / "p.nii.gz"
    words = ["segment", scan, "-o", out, "--model", model, "--device", "cpu", "--probabilities", p]
    assert main([str(word) for word in words]) == DONE
    wrote = f"Wrote {out}: 6 slices, model tiny, on CPU.\n"
    assert capsys.readouterr() == (wrote, ""), "no bar in a pipe"
    source, mask, probabilities = (nibabel.load(path) for path in (scan, out, p))
    assert np.array_equal(mask.affine, source.affine) and mask.shape == source.shape
    assert probabilities.shape == (*source.shape, 3) and probabilities.get_data_dtype() == np.float32
    values = np.asarray(probabilities.dataobj)
    assert np.allclose(values.sum(-1), 1, atol=1e-5)
    drawn = np.asarray(mask.dataobj)
    assert set(np.unique(drawn)) <= {0, 1, 20}
    sure = np.sort(values, -1)[..., -1] - np.sort(values, -1)[..., -2] > 1e-3
    assert np.array_equal(np.array([0, 1, 20])[values.argmax(-1)][sure], drawn[sure])
    facts = json.loads((tmp_path / "out.json").read_text())
    assert [(row["id"], row["name"], row["side"]) for row in facts["labels"]] == [(1, "thigh", ""), (20, "bone", "")]
    assert facts["model"] == "tiny" and re.fullmatch("[0-9a-f]{64}", facts["weights_sha256"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "out.nii.gz", "p.nii.gz", "scan.nii.gz"]
    without = [str(word) for word in words[:-2]]
    for again in (words, without, words):
        assert main([str(word) for word in again]) == DONE, "its own are replaced"
    capsys.readouterr()
    corrected = drawn.copy()
    corrected[0, 0, 0] = 20
    nibabel.save(nibabel.Nifti1Image(corrected, mask.affine, mask.header), out)
    assert "out.nii.gz is there already" in refused(capsys, *without), "a person has corrected it"
    out.unlink()
    p.rename(tmp_path / "other.nii.gz")
    for words in (["-o", tmp_path / "other.nii.gz"], ["-o", out, "--probabilities", tmp_path / "other.nii.gz"]):
        said = refused(capsys, "segment", scan, "--model", model, "--device", "cpu", *words)
        assert "other.nii.gz is there already" in said


def test_segment_that_finds_no_room_for_probabilities_leaves_the_old_mask(
    capsys: pytest.CaptureFixture[str], scan: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.nii.gz"
    words = ["segment", str(scan), "-o", str(out), "--model", str(model), "--device", "cpu"]
    assert main(words) == DONE
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    limit = (
        "import resource, signal, sys; from thighview.cli import main; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    )
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400)); sys.exit(main(sys.argv[1:]))"
    call = [sys.executable, "-B", "-c", limit, *words, "--probabilities", str(tmp_path / "p.nii.gz")]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == REFUSED and "p.nii.gz could not be written" in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_segment_says_nothing_of_slices_that_are_missing(model: Path, tmp_path: Path) -> None:
    scan = write_series(tmp_path / "series", [0, 5, 15, 20, 25], InstanceNumber=(1, 2, 4, 5, 6))
    out, p = tmp_path / "out.nii.gz", tmp_path / "p.nii.gz"
    words = ["segment", scan, "-o", out, "--model", model, "--device", "cpu", "--probabilities", p]
    assert main([str(word) for word in words]) == DONE
    drawn, values = (np.asarray(nibabel.load(path).dataobj) for path in (out, p))
    assert values.shape == (5, 4, 6, 3) and not drawn[:, :, 2].any()
    assert np.array_equal(values[:, :, 2], np.broadcast_to([1, 0, 0], (5, 4, 3))), "background, as the labels"
    there = np.delete(values, 2, axis=2)
    assert np.allclose(there.sum(-1), 1, atol=1e-5) and (there.max(-1) < 1).all(), "the others stay as they were"
    assert [u is None for u in json.loads((tmp_path / "out.json").read_text())["uncertainty"]] == [
        index == 2 for index in range(6)
    ]


def test_segment_that_is_refused_leaves_nothing(capsys: pytest.CaptureFixture[str], scan: Path, tmp_path: Path) -> None:
    assert "thigh_of_nobody" in refused(
        capsys, "segment", scan, "-o", tmp_path / "o.nii.gz", "--model", "thigh_of_nobody"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii.gz"]


def test_where_lengths_are_not_known_nothing_is_measured(
    capsys: pytest.CaptureFixture[str], scan: Path, model: Path, tmp_path: Path, tiny_volume: Volume
) -> None:
    tifffile.imwrite(tmp_path / "plain.tif", tiny_volume.voxels)
    out = tmp_path / "m.nii.gz"
    for words in (
        ["segment", tmp_path / "plain.tif", "-o", out, "--model", model],
        ["measure", tmp_path / "plain.tif", scan],
    ):
        assert main([str(word) for word in words]) == REFUSED
        assert "plain can only be looked at: this file does not tell the spacing" in capsys.readouterr().err
    assert not out.exists()


def test_the_fat_image_follows_the_water_image(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One header for both, whose two positions are mirror images: fat lies on water by either."""
    water = np.zeros((8, 6, 4), np.int16)
    water[:4], fat = 900, np.full((8, 6, 4), 100, np.int16)
    fat[4:] = 900
    mask = np.zeros((8, 6, 4), np.uint8)
    mask[:4] = 1
    for name, voxels in (("water", water), ("fat", fat), ("mask", mask)):
        image = nibabel.Nifti1Image(voxels, None)
        image.header.set_sform(np.array([[1.0, 0, 0, -3.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), 1)
        image.header.set_qform(np.array([[-1.0, 0, 0, 3.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), 1)
        nibabel.save(image, tmp_path / f"{name}.nii")
    told: list[str] = []
    for part in ((), ("--part", "qform")):
        words = ["measure", tmp_path / "water.nii", tmp_path / "mask.nii", "--fat", tmp_path / "fat.nii", *part]
        assert main([str(word) for word in words]) == DONE
        told.append(capsys.readouterr().out)
    assert told[0] == told[1] and ",10.000," in told[0]


def test_the_qform_is_chosen_by_its_part(capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(32 * 32 * 4, dtype=np.int16).reshape(32, 32, 4), np.eye(4))
    image.header.set_qform(np.diag([-1, 1, 1, 1]), 1)
    nibabel.save(image, tmp_path / "two.nii.gz")
    for part, said in (((), "This file gives two positions"), (("--part", "qform"), "")):
        out = tmp_path / f"m{len(part)}.nii.gz"
        assert main(["segment", str(tmp_path / "two.nii.gz"), "-o", str(out), "--model", str(model), *part]) == DONE
        err = capsys.readouterr().err
        assert said in err and ("two positions" in err) is bool(said)
        assert np.array_equal(nibabel.load(out).get_qform(), image.get_qform())
    one = tmp_path / "one.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), one)
    assert main(["measure", str(one), str(one), "--part", "qform"]) == REFUSED
    assert "does not give a qform that differs" in capsys.readouterr().err


def test_measure(capsys: pytest.CaptureFixture[str], scan: Path, tiny_volume: Volume, tmp_path: Path) -> None:
    labels = np.zeros(tiny_volume.shape, np.uint8)
    labels[1, :2, :5] = 1
    labels[3, 0, 0] = 2
    write_mask(tmp_path / "m.nii.gz", labels, TABLE, tiny_volume)
    assert main(["measure", str(scan), str(tmp_path / "m.nii.gz")]) == DONE
    text = capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO(text)))
    whole = {row["label"]: row for row in rows if row["slice"] == "all"}
    assert set(whole) == {"1", "20"}
    assert whole["1"]["voxels"] == "10"
    assert float(whole["1"]["volume_ml"]) == pytest.approx(10 * 5 * 1.5 * 1.25 / 1000, abs=1e-4)
    second = next(row for row in rows if row["label"] == "1" and row["slice"] == "2")
    assert float(second["area_mm2"]) == pytest.approx(10 * 1.5 * 1.25)
    assert main(["measure", str(scan), str(tmp_path / "m.nii.gz"), "-o", str(tmp_path / "m.csv")]) == DONE
    assert (tmp_path / "m.csv").read_text() == text
    words = ["measure", str(scan), str(tmp_path / "m.nii.gz"), "-o", str(tmp_path / "m.csv")]
    assert main(words) == DONE and "m.csv" in capsys.readouterr().out, "its own is replaced"


def test_measure_writes_over_nothing_else(
    capsys: pytest.CaptureFixture[str], scan: Path, tiny_volume: Volume, tmp_path: Path
) -> None:
    mask, fat, notes = tmp_path / "m.nii.gz", tmp_path / "fat.csv", tmp_path / "notes.csv"
    write_mask(mask, np.ones(tiny_volume.shape, np.uint8), TABLE, tiny_volume)
    fat.write_bytes(scan.read_bytes())
    notes.write_text("mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for words, said in (
        (["--fat", fat, "-o", fat], "input itself"),
        (["-o", notes], "is there already"),
        (["-o", "-"], "ends in .csv"),
    ):
        assert said in refused(capsys, "measure", scan, mask, *words)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_measure_says_what_resampling_and_overlaps_have_cost(
    capsys: pytest.CaptureFixture[str], scan: Path, tiny_volume: Volume, tmp_path: Path
) -> None:
    affine = tiny_volume.affine.copy()
    affine[:3, 3] += affine[:3, 0] * 2
    shifted = replace(tiny_volume, affine=affine, file_geometry=b"")
    write_mask(tmp_path / "m.nii.gz", np.ones(tiny_volume.shape, np.uint8), TABLE, shifted)
    assert main(["measure", str(scan), str(tmp_path / "m.nii.gz"), "--resample"]) == DONE
    assert "m.nii.gz: resampled, 33.3% of it lay outside the image (Label 1" in capsys.readouterr().err


def test_water_and_fat_of_one_file(capsys: pytest.CaptureFixture[str], tiny_volume: Volume, tmp_path: Path) -> None:
    water, fat = (replace(tiny_volume, voxels=np.full(tiny_volume.shape, n, np.int16)) for n in (900, 100))
    both = write_volumes(tmp_path / "dixon.nii.gz", [water, fat])
    mask = tmp_path / "m.nii.gz"
    write_mask(mask, np.ones(tiny_volume.shape, np.uint8), TABLE, tiny_volume)
    for words in (["--fat", str(both), "--fat-part", "2"], ["--fat-part", "2"]):
        assert main(["measure", str(both), str(mask), "--part", "1", *words]) == DONE
        assert ",10.000,10.000" in capsys.readouterr().out
    assert "the same volume" in refused(capsys, "measure", both, mask, "--part", "2", "--fat-part", "2")
    assert "with --fat-part" in refused(capsys, "measure", both, mask, "--part", "1", "--fat", both)


def test_phantoms_are_the_same_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phantoms, "make_phantom", partial(make_phantom, matrix=(48, 64)))
    for name, n in (("a", "1"), ("b", "2")):
        assert main(["phantom", str(tmp_path / name), "--n", n, "--seed", "3"]) == DONE
    first = sorted((tmp_path / "a" / "imagesTr").iterdir())[0]
    assert first.read_bytes() == (tmp_path / "b" / "imagesTr" / first.name).read_bytes()
    assert json.loads((tmp_path / "b" / "dataset.json").read_text())["numTraining"] == 2


# ------------------------------------------------------------------ projects


def test_import_and_export(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    study = make_project(tmp_path)
    assert main(["export", str(study), "-o", str(tmp_path / "raw"), "--format", "nnunet"]) == DONE
    assert "3 cases" in capsys.readouterr().out
    assert main(["import", str(tmp_path / "fresh"), str(tmp_path / "raw")]) == DONE
    assert "3 cases taken in, 12 of 12 slices reviewed" in capsys.readouterr().out
    for form in ("nifti", "nrrd", "bids", "npz"):
        words = ["export", str(study), "-o", str(tmp_path / form), "--format", form, "--cases", "reviewed"]
        assert main([*words, "--deidentify"] if form == "npz" else words) == DONE
        assert "3 cases" in capsys.readouterr().out
        assert (tmp_path / form / "manifest.json").is_file()
    assert (tmp_path / "npz" / "deidentification.txt").is_file()
    assert "nifti, dicomseg" in refused(capsys, "export", study, "-o", tmp_path / "x", "--format", "abc")
    assert "no DICOM series" in refused(capsys, "export", study, "-o", tmp_path / "x", "--format", "dicomseg")
    assert "goes with --deidentify" in refused(
        capsys, "export", study, "-o", tmp_path / "x", "--format", "npz", "--burned-in-checked"
    )
    assert not (tmp_path / "x").exists()
    holder = Project.open(study)  # a window has it open
    assert main(["export", str(study), "-o", str(tmp_path / "raw 2"), "--format", "nnunet"]) == DONE
    holder.close()


def test_export_that_is_refused_leaves_no_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    study = make_project(tmp_path, 2)
    (tmp_path / "file").write_text("in the way")
    said = refused(capsys, "export", study, "-o", tmp_path / "file" / "raw", "--format", "nnunet")
    assert "could not be written" in said and "Choose a folder" in said
    next(tmp_path.glob("*.nii.gz")).unlink()
    for kind in ("nnunet", "nifti"):
        refused(capsys, "phantom", tmp_path / "file" / "raw")
        done = main(["export", str(study), "-o", str(tmp_path / "new" / "raw"), "--format", kind])
        assert (tmp_path / "new").exists() == (done == DONE)
        capsys.readouterr()


def test_import_that_is_refused_leaves_no_project(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    study = make_project(tmp_path, 2)
    main(["export", str(study), "-o", str(tmp_path / "raw"), "--format", "nnunet"])
    capsys.readouterr()
    bad = sorted((tmp_path / "raw" / "labelsTr").iterdir())[1]
    bad.write_bytes(bad.read_bytes()[:300])
    refused(capsys, "import", tmp_path / "fresh", tmp_path / "raw")
    assert not (tmp_path / "fresh").exists()
    assert "dataset.json" in refused(capsys, "import", tmp_path / "fresh", tmp_path)
    assert not (tmp_path / "fresh").exists()


@pytest.mark.usefixtures("eager")
def test_train_evaluate_segment(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Training with events, then its model, by name, through the other commands."""
    study = make_project(tmp_path)
    (tmp_path / "c.json").write_text(json.dumps(TINY))
    assert main(["train", str(study), "--config", str(tmp_path / "c.json"), "--run", "first", "--events"]) == DONE
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [e["event"] for e in events if e["event"] not in ("preparing", "batch", "gap")] == [
        "started", "epoch", "epoch", "finished",
    ]  # fmt: skip
    assert events[0]["event"] == "preparing" and events[0]["text"].startswith("read ")
    assert all({"event", "time", "run"} <= e.keys() and e["run"] == "first" for e in events)
    epoch = next(e for e in events if e["event"] == "epoch")
    assert all(set(epoch[name]) == {"loss", "accuracy", "dice"} for name in ("train", "val", "while_learning"))
    assert (study / "models" / "first" / "card.json").is_file()
    assert main(["evaluate", "first", str(study), "--json", "--device", "cpu"]) == DONE
    told = json.loads(capfd.readouterr().out)
    assert told["model"] == "first" and len(told["subjects"]) == 3
    assert {"id", "labels"} <= told["subjects"][0].keys()
    figures = told["subjects"][0]["labels"]["thigh"]
    assert set(figures) == {"dice", "hd95_mm", "msd_mm", "volume_error_ml"}
    assert 0 < figures["msd_mm"] <= figures["hd95_mm"]
    told_of = told["calibration"]
    assert set(told_of) >= {"ece", "bins", "temperature"} and len(told_of["bins"]) == 10
    assert told_of["part"] == "validation" and told_of["persons"] == 1
    assert told_of["temperature"] is None and "5 validation people" in told_of["reason"]
    assert [len(person["case_ids"]) for person in told["subjects"]] == [1, 1, 1]
    assert told["mean"]["labels"]["thigh"]["n"] == 3
    assert all(row["seen_in_training"] == (row["part"] == "train") for row in told["subjects"])
    main(["export", str(study), "-o", str(tmp_path / "raw"), "--format", "nnunet"])
    capfd.readouterr()
    model = str(study / "models" / "first")
    assert main(["evaluate", model, str(tmp_path / "raw"), "--json", "--device", "cpu"]) == DONE
    raw = json.loads(capfd.readouterr().out)
    assert raw["mean"]["labels"] == told["mean"]["labels"]
    assert sum(row["seen_in_training"] for row in raw["subjects"]) == 2
    assert main(["evaluate", model, str(tmp_path / "raw"), "--device", "cpu"]) == DONE
    table = capfd.readouterr().out
    assert "all labels" in table and table.count("trained on") == 4
    assert "finished" in refused(capfd, "train", study, "--run", "first")
    assert "in the part 'test'" in refused(capfd, "evaluate", "first", study, "--part", "test")
    words = ["evaluate", "first", str(study), "--part", "validation", "--against", model, "--device", "cpu"]
    assert main([*words, "--json", "--progress", "--pictures", str(tmp_path / "pictures")]) == DONE
    told, progress = capfd.readouterr()
    both = json.loads(told)
    assert len(both["subjects"]) == 1 and both["against"]["mean"] == both["mean"]
    assert [json.loads(line)["done"] for line in progress.splitlines()] == [0, 1]
    (picture,) = read_pictures(tmp_path / "pictures")
    assert picture.image.shape == picture.truth.shape == (32, 32) and picture.subject == both["subjects"][0]["id"]
    np.testing.assert_array_equal(picture.old, picture.new)
    assert main(words) == DONE
    said = capfd.readouterr().out
    assert "1 person is too few" in said and said.endswith(
        "Best epochs were chosen on these people: the scores flatter.\n"
    )
    words[3:5] = []
    assert main(words) == DONE
    assert "each of the 3 people here trained one of the two models, or chose its best epoch." in capfd.readouterr().out


@pytest.mark.parametrize("known", [True, False])
def test_labels_that_the_model_to_start_from_does_not_know_are_told_in_a_pipe_too(
    known: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "starts from m; it knows: fat" if known else "starts from m; new to it, learnt from nothing: label 1"
    _Listener(Progress("Training"), False)(Started(0.0, "one", "CPU", 1, 1, 4, 2, 0, 0, False, ("fat",), note=said))
    told = capsys.readouterr().err
    assert told == ("" if known else f"thighview: warning: {said}\n")


def test_train_refuses_before_it_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = make_project(tmp_path, 1)
    for text, words in (('{"epochs": 0}', "epochs"), ('{"bogus": 1}', "bogus"), ("[]", "object"), ("{", "JSON")):
        (tmp_path / "c.json").write_text(text)
        assert words in refused(capsys, "train", study, "--config", tmp_path / "c.json")
    assert "nobody" in refused(capsys, "train", study, "--start-from", "nobody")
    assert "not a thighview project" in refused(capsys, "train", tmp_path)
    assert "nothing at" in refused(capsys, "train", study, "--config", tmp_path / "no.json")
    assert not list((study / "runs").iterdir())


def test_figures_of_a_known_mask(tiny_volume: Volume) -> None:
    truth = np.zeros(tiny_volume.shape, np.uint8)
    truth[1:3, 4:8, 4:8] = 1
    truth[5] = 1  # not reviewed
    found = np.zeros_like(truth)
    found[1:3, 4:8, 4:6] = 1
    reviewed = np.array([True] * 5 + [False])
    figures = compare(found, TABLE, Truth(tiny_volume, truth, TABLE, reviewed))
    assert figures["thigh"]["dice"] == pytest.approx(2 * 16 / (16 + 32))
    assert figures["thigh"]["hd95_mm"] == pytest.approx(2.5)
    assert figures["thigh"]["volume_error_ml"] == pytest.approx(-16 * 5 * 1.5 * 1.25 / 1000)
    assert figures["bone"] == {"dice": None, "hd95_mm": None, "msd_mm": None, "volume_error_ml": None}
    evaluation = Evaluation("m", "0")
    evaluation.add("a", "test", figures)
    evaluation.add("b", "", {"thigh": {"dice": 1.0, "hd95_mm": 0.0, "msd_mm": 0.0, "volume_error_ml": 0.0}})
    mean = evaluation.to_json()["mean"]
    assert mean["labels"]["thigh"]["dice"] == pytest.approx((2 / 3 + 1) / 2)
    assert mean["labels"]["bone"]["n"] == 0 and mean["dice"] == mean["labels"]["thigh"]["dice"]


def test_the_mean_is_over_people_and_what_was_missed_has_no_distance() -> None:
    def figures(value: float) -> dict[str, float | None]:
        return {"dice": value, "hd95_mm": 2.0 if value else None, "msd_mm": None, "volume_error_ml": 0.0}

    evaluation = Evaluation("m", "0")
    evaluation.add("p", "test", {"a": figures(0.9), "b": figures(0.5)})
    evaluation.add("q", "test", {"a": figures(0.9)}, chosen=True)
    told = evaluation.to_json()
    assert told["mean"]["dice"] == pytest.approx((0.7 + 0.9) / 2)
    assert [row["chosen_on"] for row in told["subjects"]] == [False, True]
    evaluation.add("r", "test", {"a": figures(0.0)})
    evaluation.add("r", "test", {"a": figures(0.4)})
    told = evaluation.to_json()
    assert (told["mean"]["labels"]["a"]["n"], told["mean"]["labels"]["a"]["n_surface"]) == (3, 3)
    assert told["subjects"][-1]["by_case"] == [{"a": 0.0}, {"a": 0.4}]
    evaluation.add("s", "test", {"a": figures(0.0)})
    assert evaluation.to_json()["mean"]["labels"]["a"]["n_surface"] == 3


def test_sides_together_where_the_truth_has_none(tiny_volume: Volume) -> None:
    sided = LabelTable((Label(1, "thigh", "left"), Label(2, "thigh", "right")))
    truth = np.ones(tiny_volume.shape, np.uint8)
    found = truth.copy()
    found[:, :, 16:] = 2
    figures = compare(found, sided, Truth(tiny_volume, truth, TABLE, np.full(6, True)))
    assert figures["thigh"]["dice"] == 1.0 and "bone" not in figures


# ------------------------------------------------------------------ the window's needs


def test_no_display(tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    for paths in ([], [str(tmp_path), str(tmp_path / "gone")]):  # one of two is missing: the window would say so
        words = [sys.executable, "-m", "thighview", *paths]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2 and done.stdout == ""
        assert len(done.stderr.splitlines()) == 1 and "no display" in done.stderr
    env["DISPLAY"] = ":4711"
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="system libraries are asked for on Linux only")
def test_missing_libraries_name_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_loads", lambda name: name not in ("libEGL.so.1", "libxcb-cursor.so.0"))
    with pytest.raises(UserError, match=r"apt-get install -y libegl1$"):
        system.need_libraries()
    with pytest.raises(UserError, match=r"libegl1 libxcb-cursor0$"):
        system.need_libraries("x11")


def test_import_errors_become_sentences(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from thighview.cli import window

    def fail(text: str) -> None:
        def start(_: object) -> int:
            return window._with_qt(lambda: (_ for _ in ()).throw(ImportError(text)))  # type: ignore[arg-type]

        monkeypatch.setattr(window, "open_window", start)

    fail("libxkbcommon.so.0: cannot open shared object file: No such file or directory")
    assert "apt-get install -y libxkbcommon0" in refused(capsys)
    fail("libfoo.so.3: cannot open shared object file: No such file or directory")
    assert "libfoo.so.3" in refused(capsys)
    fail("No module named 'PySide6'")
    with pytest.raises(ImportError):
        main([])


@pytest.mark.skipif(sys.platform != "linux", reason="a Linux desktop's menu")
def test_add_to_menu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert main(["--add-to-menu"]) == DONE
    entry = tmp_path / "share" / "applications" / "thighview.desktop"
    assert str(entry) in capsys.readouterr().out
    lines = dict(line.split("=", 1) for line in entry.read_text().splitlines() if "=" in line)
    assert Path(lines["Icon"]).is_file() and lines["Type"] == "Application"
    assert lines["Exec"].endswith(" %F")


def test_what_segment_takes_by_default_is_the_first_of_the_box() -> None:
    given = command_parser()[0].parse_args(["segment", "scan.nii.gz", "-o", "mask.nii.gz"])
    assert given.model == FIRST_OF_BOX == next(m for m in find_models() if m.place == "box").card.name
