"""What reads DICOM is a process of its own: what it does, and what it says, can harm nobody."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import hostile_child
import numpy as np
import pytest
from dicom_files import write_series

from thighview.core.errors import Stopped, UserError
from thighview.io import child, loader
from thighview.io.children import Child, ChildError, LostError
from thighview.io.reading import read_volume, sha256_of

STANDIN = """
import os, time
import numpy as np
from thighview.core.errors import SeveralScansError, UserError

def echo(path, *words):
    return {"path": path, "words": list(words), "pid": os.getpid()}

def arrays(path, report):
    report(1, 2)
    return {"n": 1}, {"a": np.arange(24, dtype="<i2").reshape(2, 3, 4), "b": np.zeros(0, ">f4"), "c": Planes()}

class Planes:
    shape, dtype = (3, 400, 500), np.dtype("<i4")
    def planes(self, report):
        for index in (2, 0, 1):
            yield index, np.full((400, 500), index, "<i4")

def memory(path, size):
    return {"n": len(bytearray(size))}

def spin(path):
    while True:
        pass

def sleep(path):
    time.sleep(60)

def die(path):
    os.abort()

def die_noted(path):
    os.mkdir(f"{path} {len(os.listdir(os.path.dirname(path)))}")  # no file may be written
    os.abort()

def bug(path):
    return 1 / 0

def damaged(path):
    raise UserError("It is damaged.", "Copy it again.")

def write(path):
    with open(path, "w") as file:
        file.write("a" * 10000)
    return {}

def fails_midway(path):
    class Broken(Planes):
        def planes(self, report):
            yield 0, np.zeros((400, 500), "<i4")
            raise UserError("It is cut short.")
    return {}, {"a": Broken()}
"""


class Deaf:
    """Listens to nothing."""

    def __call__(self, done: int, total: int) -> None:
        """Nothing."""

    def say(self, message: object) -> None:
        """Nothing."""


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """``thighview.standin`` importable in children: a folder on the path that extends the package."""
    folder = tmp_path / "extra"
    folder.mkdir()
    (folder / "standin.py").write_text(STANDIN)
    (folder / "sitecustomize.py").write_text(f"import thighview\nthighview.__path__.append({str(folder)!r})\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(Path(child.__file__).parents[2])]))
    loader.end()
    yield "thighview.standin:"
    loader.end()


def pid_of(standin: str) -> int:
    return loader.ask(standin + "echo", Path("a"))[0]["pid"]


def test_one_child_answers_one_question_after_the_other(standin, tmp_path):
    facts, none = loader.ask(standin + "echo", tmp_path, 2, None)
    assert facts["path"] == str(tmp_path) and facts["words"] == [2, None] and none == {}
    assert facts["pid"] == pid_of(standin) != os.getpid() and loader.idle_processes() == {facts["pid"]}
    told = []
    facts, arrays = loader.ask(standin + "arrays", tmp_path, report=lambda *numbers: told.append(numbers))
    assert facts == {"n": 1} and told == [(1, 2)]
    assert arrays["a"].dtype == np.int16 and arrays["a"].tolist() == np.arange(24).reshape(2, 3, 4).tolist()
    assert arrays["b"].shape == (0,) and arrays["b"].dtype == ">f4"
    assert arrays["c"].shape == (3, 400, 500) and (arrays["c"] == np.arange(3)[:, None, None]).all()
    assert arrays["c"].flags.writeable and arrays["c"].flags.c_contiguous


def test_refusals_and_bugs_leave_the_child_as_it_is(standin):
    before = pid_of(standin)
    for function, error, words in (
        ("damaged", UserError, "It is damaged. Copy"), ("bug", ChildError, "ZeroDivision"),
        ("fails_midway", UserError, "It is cut short."), ("nothing", ChildError, "AttributeError"),
    ):  # fmt: skip
        with pytest.raises(error, match=words):
            loader.ask(standin + function, Path("a"))
    assert pid_of(standin) == before


def test_a_child_that_dies_is_a_sentence_and_replaced(standin):
    before = pid_of(standin)
    with pytest.raises(UserError, match=r"^scan.dcm could not be read: .* by signal 6\.") as caught:
        loader.ask(standin + "die", Path("folder/scan.dcm"))
    assert "dcm2niix" in caught.value.hint
    after = pid_of(standin)
    assert after != before
    os.kill(after, signal.SIGKILL)  # while nobody asks it anything
    assert pid_of(standin) not in (before, after)


def test_a_child_killed_just_before_its_question_is_no_fault_of_the_file(standin):
    before = pid_of(standin)
    os.kill(before, signal.SIGSTOP)  # it hears nothing any more, and still counts as alive
    answers = []
    asking = threading.Thread(target=lambda: answers.append(pid_of(standin)))
    asking.start()
    while loader.idle_processes():
        time.sleep(0.001)
    os.kill(before, signal.SIGKILL)
    asking.join(20)
    assert len(answers) == 1 and answers[0] != before and loader.idle_processes() == set(answers)


def test_what_kills_two_children_is_not_asked_a_third_time(standin, tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    pid_of(standin)
    with pytest.raises(UserError, match="by signal 6"):
        loader.ask(standin + "die_noted", folder / "asked")
    assert len(list(folder.iterdir())) == 2
    with pytest.raises(UserError, match="by signal 6"):  # a new one has not waited
        loader.ask(standin + "die_noted", folder / "asked")
    assert len(list(folder.iterdir())) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="the bound on memory is the kernel's")
def test_memory_time_and_files_are_bounded(standin, monkeypatch, tmp_path):
    assert loader.ask(standin + "memory", tmp_path, 100 << 20)[0]["n"] == 100 << 20
    with pytest.raises(UserError, match="takes more memory than it may"):
        loader.ask(standin + "memory", tmp_path, 64 << 30)
    with pytest.raises(ChildError, match="File too large"):
        loader.ask(standin + "write", tmp_path / "a")
    monkeypatch.setattr(loader, "_CPU_S", 0.2)
    with pytest.raises(UserError, match="by signal 24"):
        loader.ask(standin + "spin", tmp_path)
    monkeypatch.setattr(loader, "_SILENCE_S", 0.3)
    with pytest.raises(UserError, match="longer than it may"):
        loader.ask(standin + "sleep", tmp_path)


def test_it_is_given_up_at_once(standin):
    pid_of(standin)
    asked = time.monotonic()
    with pytest.raises(Stopped):
        loader.ask(standin + "sleep", Path("a"), stopped=lambda: time.monotonic() > asked + 0.1)
    assert time.monotonic() - asked < 0.4


@pytest.mark.parametrize("kind", hostile_child.KINDS)
def test_whatever_a_child_says_ends_in_one_sentence(kind):
    one, silent = Child(hostile_child.speak, kind), kind in hostile_child.SILENT
    try:
        with pytest.raises(UserError) as caught:
            one.follow(Deaf(), lambda: False, 0.5 if kind == "flood" else 20, 0.3 if silent else 20, 1 << 20)
        assert isinstance(caught.value, LostError) or kind == "a huge shape"
        assert not one.ready and "\n" not in str(caught.value)
    finally:
        one.end()


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_message_at_random_is_a_refusal_or_an_answer_that_can_be(count):
    one = Child(hostile_child.babble, 3)
    try:
        for _ in range(count):
            one.ask({})
            said = ""
            try:
                facts, arrays = one.follow(Deaf(), lambda: False, 60, 60, 1 << 20)
                assert type(facts) is dict and not arrays
            except (UserError, ChildError) as error:
                said = str(error)
            if "the end" not in said:
                one.connection.recv_bytes()
    finally:
        one.end()


def test_no_descriptor_is_left_behind(standin):
    def left() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    pid_of(standin)
    before = left()
    for function in ("die", "damaged", "echo"):
        try:
            loader.ask(standin + function, Path("a"))
        except UserError:
            continue
    assert left() == before


def test_the_process_that_asks_never_loads_what_reads_dicom(tmp_path):
    """A script is the window's process here: pytest has loaded it to write the files."""
    folder = write_series(tmp_path / "a", [0, 5, 10])
    code = (
        "import sys\nfrom pathlib import Path\nfrom thighview.io import loader, reading\n"
        "if __name__ == '__main__':\n"
        f"    folder = Path({str(folder)!r})\n"
        "    source = reading.read_source(folder)\n"
        "    print(source.volume.shape, reading.sha256_of(folder), reading.patient_id(folder))\n"
        "    print(reading.inspect(folder).kind)\n"
        "    print(sorted(name for name in ('pydicom', 'PIL', 'gdcm', 'jpeg_ls') if name in sys.modules))\n"
    )
    (tmp_path / "window.py").write_text(code)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "window.py")], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [f"(3, 4, 5) {sha256_of(folder)} P-17", "dicom", "[]"] and not done.stderr


def test_the_end_of_the_program_ends_the_child(tmp_path):
    loader.prepare()
    (waiting,) = loader.idle_processes()
    loader.end()
    assert not Path(f"/proc/{waiting}").exists() and loader.idle_processes() == set()
    assert read_volume(write_series(tmp_path / "a", [0, 5, 10])).shape == (3, 4, 5)
