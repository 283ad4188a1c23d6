"""The log says where it went wrong and never a word of what was read."""

import logging
import traceback
from pathlib import Path

import pytest

from thighview.app.jobs import ChildError
from thighview.app.private_log import PrivateFormatter, without_words
from thighview.core.errors import UserError

SECRET = "ZQXSECRET"


def raised() -> BaseException:
    try:
        try:
            raise ValueError(f"cannot read '{SECRET}'\nand a second line {SECRET}\n  File \"{SECRET}\"")
        except ValueError as error:
            raise OSError(2, "No such file", f"/scans/{SECRET}/a.dcm") from error
    except OSError as error:
        return error


@pytest.fixture
def log(tmp_path: Path):
    handler = logging.FileHandler(tmp_path / "log", encoding="utf-8")
    handler.setFormatter(PrivateFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield tmp_path / "log"
    root.removeHandler(handler)
    handler.close()


def test_no_word_of_a_patient_s_reaches_the_log(log: Path) -> None:
    ours, error = logging.getLogger("thighview.app.jobs"), raised()
    ours.error("a job failed: %s", error, exc_info=error)
    ours.warning("model %s left out: %s", Path("/x") / SECRET, UserError(f"{SECRET} is damaged."))
    ours.error("%s", "".join(traceback.format_exception(error)))
    ours.error("the engine is %s: %s", "dead", f"{SECRET}\nmore")
    child = ChildError(f"ValueError: {SECRET}", "".join(traceback.format_exception(error)))
    ours.error("a job failed: %s", child, exc_info=child)
    logging.getLogger("pydicom").warning("Invalid value for VR LO: '%s'", SECRET)
    logging.getLogger("pydicom").warning(f"Invalid value for VR LO: '{SECRET}'")
    ours.warning("%d slices, %s", 12, "axial")
    text = log.read_text("utf-8")
    assert SECRET not in text, text
    assert "a job failed: FileNotFoundError" in text and "12 slices, axial" in text
    assert "in raised" in text and "test_private_log.py" in text, "where it happened"
    assert "ValueError\n" in text and "The above exception was" in text
    assert "in the child process:" in text and "pydicom: (words left out)" in text


def test_a_text_that_is_no_traceback_leaves_nothing() -> None:
    assert without_words(f"{SECRET}: {SECRET}\n  {SECRET}") == "(words left out)"
    assert without_words("") == "(words left out)"
    assert without_words("Traceback (most recent call last):\nKeyError: 'x'") == (
        "Traceback (most recent call last):\nKeyError"
    )


def test_a_line_that_starts_like_one_of_python_s_is_a_message_all_the_same() -> None:
    start = "Traceback (most recent call last):\n"
    for line in (f"During handling of {SECRET}", f"The above exception was {SECRET}", f"Traceback (most {SECRET}"):
        assert without_words(f"{start}ValueError: first\n{line}\n") == f"{start}ValueError"
