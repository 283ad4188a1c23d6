"""A JSON file that is of no use is refused in one sentence, with what to do about it."""

from pathlib import Path

import pytest

from thighview.core.errors import UserError
from thighview.io.json_files import read_json, read_json_if_there


def test_an_object_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"muscle": "Ä"}', "utf-8")
    assert read_json(path, "Make it anew.", largest=16) == {"muscle": "Ä"}


@pytest.mark.parametrize(
    ("body", "why"),
    [(None, "No such file"), (b"{", "damaged"), (b"[1]", "damaged: expected an object"), (b"\xff", "damaged"),
     (b"[" * 200_000, "damaged"), (b" " * 300_000 + b"{}", "larger than")],
)  # fmt: skip
def test_what_is_no_object_is_refused_with_what_to_do(tmp_path: Path, body: bytes | None, why: str) -> None:
    path = tmp_path / "a.json"
    if body is not None:
        path.write_bytes(body)
    for called in ("", "The list"):
        with pytest.raises(UserError, match=f"{called or path} is not readable.*{why}") as refused:
            read_json(path, "Make it anew.", 250_000, called)
        assert refused.value.hint == "Make it anew."


def test_only_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert read_json_if_there(path, "Make it anew.") is None
    path.mkdir()
    with pytest.raises(UserError, match="not readable"):
        read_json_if_there(path, "Make it anew.")
    path.rmdir()
    path.write_text("{}", "utf-8")
    assert read_json_if_there(path, "Make it anew.") == {}
