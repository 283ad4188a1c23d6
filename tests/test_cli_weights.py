"""Old weights in, models out, from the command line."""

import json
from pathlib import Path

import pytest
from keras2_file import TRAINING, description, seed_layers, write_keras2

from thighview.cli import main
from thighview.cli.dispatch import DONE, REFUSED
from thighview.io.models import find_model


def test_old_weights_join_the_models_and_go_out_again(
    tmp_path: Path, thighview_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = seed_layers()
    file = write_keras2(tmp_path / "unet.hdf5", layers, description(layers), TRAINING)
    words = [
        "import-weights",
        str(file),
        "--name",
        "old thigh",
        "--label",
        "thigh",
        "--input-size",
        "128",
        "--spacing",
        "1.5",
    ]
    assert main(words) == DONE
    out, err = capsys.readouterr()
    assert str(thighview_home / "models" / "old thigh") in out
    assert "counted only saturated pixels" in err and err.startswith("thighview: warning: ")
    card = find_model("old thigh").card
    assert (card.input_size, card.spacing_mm, card.classes[1]) == (128, 1.5, "thigh")
    assert main(words) == REFUSED and "there already" in capsys.readouterr().err

    exported = tmp_path / "out.h5"
    assert main(["export-model", "old thigh", "-o", str(exported), "--format", "h5"]) == DONE
    assert json.loads((tmp_path / "out.h5.json").read_text())["card"]["name"] == "old thigh"
    assert main(["import-weights", str(exported), "-o", str(tmp_path / "again")]) == DONE
    assert find_model(tmp_path / "again").card.name == "again"
    assert main(["export-model", "old thigh", "-o", str(exported), "--format", "h5"]) == DONE, "its own are replaced"
    capsys.readouterr()
    told = tmp_path / "out.h5.json"
    told.write_text('{"mine": 1}')
    assert main(["export-model", "old thigh", "-o", str(exported), "--format", "h5"]) == REFUSED
    assert "is there already" in capsys.readouterr().err and json.loads(told.read_text()) == {"mine": 1}


def test_what_is_refused_leaves_nothing(
    tmp_path: Path, thighview_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_keras2(tmp_path / "a.h5", seed_layers()[:-1])
    for words, said in (
        (["import-weights", str(file), "--name", "a"], "first missing one (head)"),
        (["import-weights", str(file)], "one place"),
        (["import-weights", str(file), "--name", "a", "-o", "b"], "one place"),
        (["import-weights", str(file), "--name", "../a"], "no folders"),
        (["import-weights", str(tmp_path / "none.h5"), "--name", "a"], "no file"),
        (["export-model", "nobody", "-o", str(tmp_path / "x.h5"), "--format", "h5"], "no model 'nobody'"),
        (["export-model", "nobody", "-o", str(tmp_path / "x.h5"), "--format", "keras"], "invalid choice"),
    ):
        assert main(words) == REFUSED
        assert said in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
    assert not list(thighview_home.rglob("*"))
