"""What a killed process leaves half-written is swept by the next one; what a living one writes is not."""

import subprocess
import sys
from pathlib import Path

import pytest

from thighview.core.errors import UserError
from thighview.io.folders import new_folder, staged_folder
from thighview.io.leftovers import hidden, sweep

WRITER = """
import sys
from pathlib import Path
from thighview.io.atomic import write_atomic
from thighview.io.folders import new_folder, staged_folder

place = Path(sys.argv[1])

def wait(file):
    file.write(b"half")
    file.flush()
    print("ready", flush=True)
    sys.stdin.read()

if sys.argv[2] == "file":
    write_atomic(place, wait)
else:
    with {"staged": staged_folder, "new": new_folder}[sys.argv[2]](place) as stage:
        (stage / "deep").mkdir()
        write_atomic(stage / "deep" / "mask.nii.gz", wait)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("what", ["staged", "new", "file"])
def test_what_a_killed_writer_leaves_is_swept(tmp_path: Path, what: str) -> None:
    place = tmp_path / "größe & out" / "data"
    place.parent.mkdir()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(place), what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        assert len(names(place.parent)) == 1 and names(place.parent)[0].startswith(".data.")
        assert sweep(place.parent) == [], "it is alive"
        writer.kill()
        writer.wait()
    assert len(names(place.parent)) == 1
    with staged_folder(place) as stage:
        (stage / "one").touch()
        assert names(place.parent) == [stage.name]
    assert names(place.parent) == ["data"] and names(place) == ["one"]


def test_only_our_own_kind_of_name_is_swept(tmp_path: Path) -> None:
    kept = ["thesis.tmp", ".thesis.12.tmp", ".run 1.0123abcd.new", ".git", ".a.12-zz-00000000-00000000.tmp"]
    for name in kept:
        (tmp_path / name).touch()
    far = hidden(tmp_path / "far", "tmp").name.split("-")
    (tmp_path / "-".join([far[0], "00000000", "11111111", far[3]])).touch()  # a process of another computer
    before = names(tmp_path)
    assert sweep(tmp_path) == [] and names(tmp_path) == before
    gone = hidden(tmp_path / "gone", "tmp").name.split("-")
    (tmp_path / "-".join([gone[0], gone[1], "11111111", gone[3]])).touch()  # an earlier process with our number
    assert len(sweep(tmp_path)) == 1 and names(tmp_path) == before
    assert sweep(tmp_path / "nowhere") == []


def test_a_long_name_in_any_script_can_be_written(tmp_path: Path) -> None:
    name = "大" * 80
    with staged_folder(tmp_path / name) as stage:
        assert len(stage.name.encode()) < 255
    with new_folder(tmp_path / name):
        pass
    assert names(tmp_path) == [name]


def test_a_stopped_or_refused_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staged_folder(tmp_path / "a" / "b" / "out") as stage:
        (stage / "half").write_bytes(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="could not be written"), staged_folder(tmp_path / "file" / "out"):
        pass
    assert names(tmp_path) == ["file"]
