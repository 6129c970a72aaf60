"""knote cat: readers that leave, disks that are full, limits, files that are their own output."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from knote.apps import ways
from knote.apps.copy import copy
from tests.apps.programs import ended, knote, started


def test_a_closed_pipe_ends_it_quietly() -> None:
    r, w = os.pipe()
    os.close(r)
    with open("/dev/zero", "rb") as zero:
        done = knote("cat", stdin=zero, stdout=w)
    os.close(w)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    r, w = os.pipe()
    with open("/dev/zero", "rb") as zero, started("cat", stdin=zero, stdout=w, stderr=subprocess.PIPE) as process:
        os.close(w)
        assert os.read(r, 10)
        os.close(r)
        assert ended(process) == -signal.SIGPIPE
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_reader_that_leaves_with_all_of_it_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # splice says EPIPE before it looks whether there is anything to move; cat(1) reads, and finds the end.
    (tmp_path / "a").write_bytes(b"all")
    r, w = os.pipe()

    def move_and_leave(*where: int) -> int:
        monkeypatch.undo()
        moved = splice.move(*where)
        os.close(r)
        return moved

    splice = ways.SPLICE
    monkeypatch.setattr(ways, "SPLICE", splice._replace(move=move_and_leave))
    assert copy([str(tmp_path / "a")], w, complain=print)
    os.close(w)


def test_a_pipe_at_its_end_and_a_reader_that_has_left() -> None:
    (r, w), (source, before) = os.pipe(), os.pipe()
    os.close(before)
    os.close(r)
    assert copy([source], w, complain=print)
    os.close(w)
    os.close(source)


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100)
    with open("/dev/full", "wb") as full, source.open("rb") as opened:
        done = knote("cat", stdin=opened.fileno(), stdout=full)
    assert done.returncode == 1
    assert done.stderr == b"knote cat: write error: standard output (/dev/full): No space left on device\n"


def test_a_file_size_limit_names_the_file(tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    source, path = tmp_path / "source", tmp_path / "small"
    source.write_bytes(b"x" * 300_000)
    with path.open("wb") as small, source.open("rb") as opened:
        done = knote("cat", stdin=opened.fileno(), stdout=small, preexec_fn=limit)
    assert done.returncode == 1
    assert str(path).encode() in done.stderr
    assert path.stat().st_size == 5000


@pytest.mark.parametrize("mode", ["ab", "r+b"])
def test_a_file_is_not_copied_to_itself(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "self"
    path.write_bytes(b"x\n")
    with path.open(mode) as opened:
        done = knote("cat", str(path), stdout=opened)
    assert done.returncode == 1
    assert done.stderr.decode() == f"knote cat: {path}: input file is output file\n"
    assert path.read_bytes() == b"x\n"


def test_an_empty_file_may_be_its_own_output(tmp_path: Path) -> None:
    path = tmp_path / "self"
    path.write_bytes(b"")
    with path.open("ab") as opened:
        assert knote("cat", str(path), stdout=opened).returncode == 0
