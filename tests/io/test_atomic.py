"""A write is there whole or not at all."""

import os
import resource
import stat
import subprocess
import sys

import pytest

from thighview.core.errors import UserError
from thighview.io.atomic import write_atomic, write_bytes_atomic, write_json_atomic


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_bytes_and_json_arrive_and_nothing_else(tmp_path):
    write_bytes_atomic(tmp_path / "a", b"one")
    write_bytes_atomic(tmp_path / "a", b"two")
    write_json_atomic(tmp_path / "b.json", {"name": "größe"})
    assert (tmp_path / "a").read_bytes() == b"two"
    assert (tmp_path / "b.json").read_text("utf-8") == '{\n  "name": "größe"\n}\n'
    assert names(tmp_path) == ["a", "b.json"]


@pytest.mark.parametrize("stage", ["write", "check"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file(tmp_path, stage, error):
    target = tmp_path / "mask.nii.gz"
    target.write_bytes(b"old")

    def fail(_):
        raise error

    def write(file):
        file.write(b"half")
        if stage == "write":
            fail(file)

    with pytest.raises(error):
        write_atomic(target, write, fail)
    assert target.read_bytes() == b"old" and names(tmp_path) == ["mask.nii.gz"]


def test_the_check_sees_the_finished_file(tmp_path):
    seen = []
    write_atomic(tmp_path / "a", lambda file: file.write(b"x" * 100_000), lambda p: seen.append(p.stat().st_size))
    assert seen == [100_000]


def test_permissions_follow_the_umask_or_the_old_file(tmp_path):
    before = os.umask(0o027)
    try:
        write_bytes_atomic(tmp_path / "a", b"")
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
        (tmp_path / "a").chmod(0o600)
        write_bytes_atomic(tmp_path / "a", b"")
        assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_bytes_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(UserError, match="could not be written"):
        write_bytes_atomic(tmp_path / "no" / "a", b"")


def test_a_full_disk_leaves_the_old_file(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    script = (
        "import sys\n"
        "from thighview.core.errors import UserError\n"
        "from thighview.io.atomic import write_bytes_atomic\n"
        "try:\n"
        f"    write_bytes_atomic({str(tmp_path / 'a')!r}, b'x' * 100_000)\n"
        "except UserError as error:\n"
        "    print(error); sys.exit(2)\n"
    )

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run([sys.executable, "-B", "-c", script], preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 2 and "File too large" in done.stdout, done.stderr
    assert (tmp_path / "a").read_bytes() == b"old" and names(tmp_path) == ["a"]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_never_replaced(tmp_path, make):
    target = tmp_path / "there"
    make(target)
    kind = stat.S_IFMT(target.stat().st_mode)
    with pytest.raises(UserError, match="could not be written"):
        write_bytes_atomic(target, b"new")
    assert stat.S_IFMT(target.stat().st_mode) == kind
    assert names(tmp_path) == ["there"]
