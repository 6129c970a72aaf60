"""knote cat: every kind of file on both sides, exact to the byte, and the shell's descriptors as they were."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import signal
import socket
import subprocess
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from knote.apps.copy import copy
from knote.apps.outlet import Outlet
from tests.apps.programs import SIZES, all_of, beside, command, ended, feed, knote, settled, started
from tests.support.plumbing import fill
from tests.support.waiting import wait_until


def content(size: int) -> bytes:
    """Any bytes, the same each time."""
    return random.Random(size).randbytes(size)


@contextmanager
def a_file(data: bytes, tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "source"
    path.write_bytes(data)
    with path.open("rb") as opened:
        yield opened.fileno()


@contextmanager
def a_pipe(data: bytes, tmp_path: Path) -> Iterator[int]:
    r, w = os.pipe()
    with beside(lambda: feed(w, data)):
        try:
            yield r
        finally:
            os.close(r)


@contextmanager
def a_fifo(data: bytes, tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "source.fifo"
    os.mkfifo(path)
    with beside(lambda: feed(os.open(path, os.O_WRONLY), data)):
        r = os.open(path, os.O_RDONLY)
        try:
            yield r
        finally:
            os.close(r)


@contextmanager
def a_socket(data: bytes, tmp_path: Path) -> Iterator[int]:
    a, b = socket.socketpair()
    with beside(lambda: feed(b.detach(), data)), a:
        yield a.fileno()


SOURCES = [a_file, a_pipe, a_fifo, a_socket]


class Sink:
    """A descriptor to write to; finish() closes it and says what came."""

    def __init__(self, fd: int, finish: Callable[[], bytes]) -> None:
        self.fd, self.finish = fd, finish


@contextmanager
def reader(w: int, r: int) -> Iterator[Sink]:
    got: list[bytes] = []
    closed = False

    def finish() -> bytes:
        nonlocal closed
        if not closed:
            os.close(w)
            closed = True
        wait_until(lambda: got, 20)
        return got[0]

    with beside(lambda: got.append(all_of(r))):
        try:
            yield Sink(w, finish)
        finally:
            if not closed:
                os.close(w)
    os.close(r)


@contextmanager
def into_file(tmp_path: Path) -> Iterator[Sink]:
    path = tmp_path / "sink"
    with path.open("wb") as opened:
        yield Sink(opened.fileno(), path.read_bytes)


@contextmanager
def into_pipe(tmp_path: Path) -> Iterator[Sink]:
    r, w = os.pipe()
    with reader(w, r) as sink:
        yield sink


@contextmanager
def into_fifo(tmp_path: Path) -> Iterator[Sink]:
    path = tmp_path / "sink.fifo"
    os.mkfifo(path)
    r = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    w = os.open(path, os.O_WRONLY)
    os.set_blocking(r, True)
    with reader(w, r) as sink:
        yield sink


@contextmanager
def into_socket(tmp_path: Path) -> Iterator[Sink]:
    a, b = socket.socketpair()
    with reader(a.detach(), b.detach()) as sink:
        yield sink


@contextmanager
def into_terminal(tmp_path: Path) -> Iterator[Sink]:
    master, slave = os.openpty()
    tty.setraw(slave)
    with reader(slave, master) as sink:
        yield sink


SINKS = [into_file, into_pipe, into_fifo, into_socket, into_terminal]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("source", SOURCES)
def test_any_size_from_anything_to_anything(
    engine: str, source: Any, sink: Any, size: int, tmp_path: Path
) -> None:
    data = content(size)
    complaints: list[OSError] = []
    with sink(tmp_path) as to, source(data, tmp_path) as fd:
        assert copy([fd], to.fd, engine=engine, complain=complaints.append)
        assert not complaints
        assert os.get_blocking(fd)
        assert os.get_blocking(to.fd)
        assert to.finish() == data


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("source", SOURCES)
def test_as_a_process(source: Any, sink: Any, tmp_path: Path) -> None:
    data = content(300_001)
    with sink(tmp_path) as to, source(data, tmp_path) as fd:
        done = knote("cat", stdin=fd, stdout=to.fd)
        assert (done.returncode, done.stderr) == (0, b"")
        assert os.get_blocking(fd)
        assert os.get_blocking(to.fd)
        assert to.finish() == data


@pytest.mark.parametrize("sink", [into_pipe, into_fifo, into_terminal])
def test_blocking_descriptors_that_cannot_be_opened_again(
    engine: str, sink: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outlet, "_reopen", lambda self, st: False)
    data = content((1 << 20) + 3)
    with sink(tmp_path) as to, a_pipe(data, tmp_path) as fd:
        assert copy([fd], to.fd, engine=engine, complain=pytest.fail)
        assert to.finish() == data


def test_nobody_waits_in_a_write(tmp_path: Path) -> None:
    """With the pipe full and nobody reading it waits in its kqueue, and the shared modes are untouched."""
    r, w = os.pipe()
    with a_file(content(SIZES[-1]), tmp_path) as fd, started("cat", stdin=fd, stdout=w) as process:
        settled(process)
        flags = fcntl.fcntl(w, fcntl.F_GETFL)
        assert not flags & os.O_NONBLOCK
        os.close(w)
        got = all_of(r)
        assert ended(process) == 0
    os.close(r)
    assert got == content(SIZES[-1])


def test_nobody_waits_for_a_reader_when_all_is_in_the_pipe(tmp_path: Path) -> None:
    r, w = os.pipe()
    room = fcntl.fcntl(w, 1032)  # F_GETPIPE_SZ
    (tmp_path / "a").write_bytes(content(room))
    assert copy([str(tmp_path / "a")], w, complain=print)
    os.close(w)
    assert all_of(r) == content(room)
    os.close(r)


@pytest.mark.parametrize("side", ["stdin", "stdout"])
def test_descriptors_that_were_non_blocking_stay_so(side: str, tmp_path: Path) -> None:
    """A parent that left O_NONBLOCK behind: no 'Resource temporarily unavailable', and it is not cleared."""
    data = content(200_000)
    r, w = os.pipe()
    r2, w2 = os.pipe()
    os.set_blocking(r if side == "stdin" else w2, False)
    with started("cat", stdin=r, stdout=w2) as process:
        settled(process)
        with beside(lambda: feed(w, data)):
            os.close(w2) if side == "stdin" else None
            if side == "stdin":
                got = all_of(r2)
            else:
                flags = fcntl.fcntl(w2, fcntl.F_GETFL)
                os.close(w2)
                got = all_of(r2)
                assert flags & os.O_NONBLOCK
        assert ended(process) == 0
        if side == "stdin":
            assert not os.get_blocking(r)
    os.close(r)
    os.close(r2)
    assert got == data


def test_a_terminal_as_input(tmp_path: Path) -> None:
    master, slave = os.openpty()
    with started("cat", stdin=slave, stdout=subprocess.PIPE) as process:
        os.write(master, b"one\ntwo\n\x04")
        assert process.stdout is not None
        assert process.stdout.read() == b"one\ntwo\n"
        assert ended(process) == 0
    assert os.get_blocking(slave)
    os.close(master)
    os.close(slave)


def test_from_where_the_file_stands(tmp_path: Path) -> None:
    """As a here-document, or a file that was read in part by somebody before."""
    with a_file(b"header\nbody\n", tmp_path) as fd:
        os.lseek(fd, 7, os.SEEK_SET)
        assert knote("cat", stdin=fd).stdout == b"body\n"


def test_files_and_standard_input_in_order(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a\n")
    (tmp_path / "c").write_bytes(b"c\n")
    done = knote("cat", str(tmp_path / "a"), "-", str(tmp_path / "c"), input=b"b\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a\nb\nc\n", b"")


def test_a_fifo_by_name(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with beside(lambda: feed(os.open(path, os.O_WRONLY), b"through\n")):
        assert knote("cat", str(path)).stdout == b"through\n"


@pytest.mark.parametrize("name", ["/dev/null", "/proc/self/status", "/proc/cpuinfo", "/sys/kernel/mm"])
def test_what_has_no_size(name: str) -> None:
    done = knote("cat", name)
    if os.path.isdir(name):
        assert done.returncode == 1
        assert b"Is a directory" in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, b"")
        assert bool(done.stdout) == (name != "/dev/null")


def test_dev_null_on_both_sides() -> None:
    done = knote("cat", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_next_file_after_one_that_fails(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"there\n")
    missing = str(tmp_path / "not here")
    done = knote("cat", missing, str(tmp_path), str(tmp_path / "there"))
    assert done.returncode == 1
    assert done.stdout == b"there\n"
    assert done.stderr.decode().splitlines() == [
        f"knote cat: '{missing}': No such file or directory",
        f"knote cat: {tmp_path}: Is a directory",
    ]


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    done = subprocess.run([*command("cat"), os.fsencode(tmp_path) + b"/\xff\n"], capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith(b": No such file or directory\n")


def shell(line: str) -> subprocess.CompletedProcess[bytes]:
    """What a user types, with knote for the program."""
    words = " ".join(command())
    return subprocess.run(["sh", "-c", line.replace("knote", words)], capture_output=True, check=False, timeout=30)


def test_closed_standard_descriptors(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"f\n")
    done = shell("knote cat <&-")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"knote cat: -: Bad file descriptor\n")
    done = shell(f"knote cat - {tmp_path}/f <&-")
    assert (done.returncode, done.stdout) == (1, b"f\n")
    done = shell(f"knote cat {tmp_path}/f >&-")
    assert (done.returncode, done.stderr) == (1, b"knote cat: standard output: Bad file descriptor\n")
    done = shell(f"knote cat {tmp_path}/missing {tmp_path}/f 2>&-")
    assert (done.returncode, done.stdout) == (1, b"f\n")


def test_in_a_pipeline() -> None:
    done = shell("printf 'a\\nb\\n' | knote cat | knote cat - | sort -r")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"b\na\n", b"")


def test_ctrl_c_ends_it_by_the_signal() -> None:
    with started("cat", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        settled(process)
        process.send_signal(signal.SIGINT)
        assert ended(process) == -signal.SIGINT
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_no_descriptors_left(capfd: pytest.CaptureFixture[str]) -> None:
    import resource

    from knote.cli import cat

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        status = cat.run([], frozenset())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert status == 1
    said = capfd.readouterr().err
    assert said.startswith("knote cat: ")
    assert "Too many open files" in said


def test_options() -> None:
    done = knote("cat", "-u", input=b"x")
    assert (done.returncode, done.stdout) == (0, b"x")
    done = knote("cat", "--engine", "epoll", "--", "-", input=b"y")
    assert (done.returncode, done.stdout) == (0, b"y")
    done = knote("cat", "--engine=abacus")
    assert done.returncode == 1
    assert b"'abacus'" in done.stderr
    done = knote("cat", "--what")
    assert done.returncode == 1
    assert b"Try 'knote cat --help'" in done.stderr


def test_a_full_pipe_is_no_error(engine: str, tmp_path: Path) -> None:
    """The outlet's own open file is non-blocking: a full pipe is room 0, and then WRITE brings it on."""
    r, w = os.pipe()
    os.set_blocking(w, False)
    filled = fill(w)
    os.set_blocking(w, True)
    got: list[bytes] = []
    with a_file(b"tail", tmp_path) as fd, beside(lambda: copy([fd], w, engine=engine, complain=pytest.fail)):
        while sum(map(len, got)) < filled + 4:
            got.append(os.read(r, 1 << 16))
    os.close(w)
    os.close(r)
    assert b"".join(got) == b"x" * filled + b"tail"


def test_the_output_s_errors_are_raised_and_the_input_s_told(tmp_path: Path) -> None:
    told: list[OSError] = []
    with open(os.devnull, "wb") as null:
        assert not copy([str(tmp_path / "missing"), 4095], null.fileno(), complain=told.append)
    assert [error.errno for error in told] == [errno.ENOENT, errno.EBADF]
    assert str(told[0].filename).endswith("missing")
    (tmp_path / "x").write_bytes(b"x")
    with open("/dev/full", "wb") as full, pytest.raises(OSError, match="No space left") as caught:
        copy([str(tmp_path / "x")], full.fileno(), complain=pytest.fail)
    assert caught.value.filename == "standard output (/dev/full)"
