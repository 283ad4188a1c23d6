"""``thighview train PROJECT --folds K`` and its like, in this process."""

import json
from pathlib import Path

import pytest
from tiny_project import make_project

from thighview.cli import main
from thighview.cli.dispatch import DONE, REFUSED


def settings(folder: Path) -> Path:
    path = folder / "c.json"
    tiny = {"base_filters": 2, "levels": 3, "epochs": 1, "batch_size": 16, "input_size": 32, "augment": False}
    path.write_text(json.dumps(tiny))
    return path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    return (code, *capsys.readouterr())


@pytest.mark.usefixtures("eager")
def test_folds_print_their_table_and_are_shown_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_project(tmp_path, 2)
    code, out, err = run(capsys, "train", folder, "--folds", 2, "--config", settings(tmp_path))
    assert (code, err) == (DONE, "")
    lines = out.splitlines()
    assert lines[0] == "2-fold over people, 2 trainings"
    assert lines[1].split() == ["Fold", "Person", "Dice"]
    assert sorted(line.split()[-2] for line in lines[2:4]) == ["0", "1"]
    assert "studies/folds 1" in lines[-1]
    code, again, _ = run(capsys, "train", folder, "--study", "folds 1")
    assert (code, again) == (DONE, out)
    code, out, _ = run(capsys, "train", folder, "--study", "folds 1", "--events")
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["study_started", "study_ended"]
    assert all(event["run"] == "folds 1" for event in events)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--folds", "1"], "2 or more"),
        (["--folds", "9"], "9 folds do not fit 2 people"),
        (["--learning-curve"], "needs a person who validates"),
        (["--folds", "2", "--leave-one-out"], "not allowed with"),
        (["--folds", "2", "--run", "x"], "no run of its own"),
        (["--leave-one-out", "--example", "puzzle"], "trains on a project"),
        (["--study", "nothing"], "no study 'nothing'"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    folder = make_project(tmp_path, 2)
    code, out, err = run(capsys, "train", folder, *words)
    assert (code, out) == (REFUSED, "")
    assert expected in err and len(err.splitlines()) == 1
    assert not (folder / "studies").exists()
