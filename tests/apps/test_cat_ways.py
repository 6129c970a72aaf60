"""knote cat: who moves the bytes, holes, --tee, --limit-rate, --progress, --json and SIGUSR1."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from knote.apps import ways
from knote.apps.copy import copy
from knote.apps.inlet import Inlet
from knote.apps.meter import Meter
from knote.apps.outlet import Outlet
from knote.apps.record import Record, Tally
from tests.apps.programs import all_of, beside, ended, feed, knote, settled, started
from tests.apps.test_cat import a_file, a_pipe, a_socket, content, into_file, into_pipe, into_socket, into_terminal
from tests.support import namespaces


@contextmanager
def into_null(tmp_path: Path) -> Iterator[Any]:
    with open(os.devnull, "wb") as null:
        yield null


def fd_of(sink: Any) -> int:
    return int(sink.fileno() if hasattr(sink, "fileno") else sink.fd)


@pytest.mark.parametrize(
    ("source", "sink", "way"),
    [
        (a_file, into_file, "copy_file_range"),
        (a_file, into_pipe, "splice"),
        (a_file, into_null, "sendfile"),
        (a_file, into_socket, "read and write"),  # it blocks, and only its own O_NONBLOCK would keep it from that
        (a_file, into_terminal, "read and write"),
        (a_pipe, into_file, "splice"),
        (a_pipe, into_pipe, "splice"),
        (a_pipe, into_null, "splice"),
        (a_pipe, into_socket, "read and write"),
        (a_socket, into_pipe, "read and write"),
    ],
)
def test_the_kernel_moves_what_it_can(source: Any, sink: Any, way: str, tmp_path: Path) -> None:
    data = content(300_001)
    tally = Tally()
    with sink(tmp_path) as to, source(data, tmp_path) as fd:
        assert copy([fd], fd_of(to), complain=pytest.fail, tally=tally)
        assert [(record.bytes, record.way) for record in tally.records] == [(len(data), way)]
        if sink is not into_null:
            assert to.finish() == data


def test_a_socket_of_our_own_takes_part(tmp_path: Path) -> None:
    a, b = socket.socketpair()
    a.setblocking(False)
    r, w = os.pipe()
    with a, b, (tmp_path / "f").open("wb+") as file:
        file.write(b"x")
        file.flush()
        own = Outlet(a.fileno(), "peer", a)
        assert [way.name for way in ways.ways(Inlet(file.fileno(), "f"), own)] == ["sendfile"]
        assert [way.name for way in ways.ways(Inlet(r, "pipe"), own)] == ["splice"]
        outlet = Outlet(w, "pipe")
        assert [way.name for way in ways.ways(Inlet(a.fileno(), "peer", a), outlet)] == ["splice"]
        outlet.close()
    os.close(r)
    os.close(w)


@pytest.mark.parametrize("error", ["EINVAL", "EXDEV", "EIO"])
def test_what_the_kernel_refuses_is_read_and_written(
    error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise OSError(getattr(errno, error), "refused")

    for way in ("RANGE", "SENDFILE", "SPLICE"):
        monkeypatch.setattr(ways, way, getattr(ways, way)._replace(move=refuse))
    data = content(200_001)
    for sink in (into_file, into_pipe):
        tally = Tally()
        with sink(tmp_path) as to, a_file(data, tmp_path) as fd:
            assert copy([fd], to.fd, complain=pytest.fail, tally=tally)
            assert to.finish() == data
        assert tally.records[0].way == "read and write"


def test_files_that_are_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    data = content(200_001)
    for source in (a_file, a_pipe):
        with path.open("ab") as log, source(data, tmp_path) as fd:
            assert copy([fd], log.fileno(), complain=pytest.fail)
    assert path.read_bytes() == b"before\n" + data + data


def test_pipes_are_enlarged_for_much(tmp_path: Path) -> None:
    import fcntl

    r, w = os.pipe()
    with a_file(content(2_000_000), tmp_path) as fd, started("cat", stdin=fd, stdout=w) as process:
        settled(process)
        enlarged = fcntl.fcntl(w, 1032)  # F_GETPIPE_SZ
        os.close(w)
        got = all_of(r)
        assert ended(process) == 0
    os.close(r)
    assert len(got) == 2_000_000
    assert enlarged == 1 << 20


def test_a_pipe_that_may_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(*_: Any) -> int:
        raise PermissionError

    monkeypatch.setattr(fcntl, "fcntl", lambda fd, op, *arg: refuse() if op == 1031 else 0)
    data = content(300_001)
    with into_pipe(tmp_path) as to, a_file(data, tmp_path) as fd:
        assert copy([fd], to.fd, complain=pytest.fail)
        assert to.finish() == data


def sparse(path: Path, *pieces: tuple[int, bytes], size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for at, data in pieces:
            os.pwrite(file.fileno(), data, at)
    return path


MIB = 1 << 20


@pytest.mark.parametrize(
    "pieces", [[], [(0, b"a")], [(5 * MIB, b"b" * 5000)], [(MIB, b"a"), (9 * MIB, b"c")], [(10 * MIB - 1, b"z")]]
)
def test_holes_stay_holes(pieces: list[tuple[int, bytes]], tmp_path: Path) -> None:
    source = sparse(tmp_path / "source", *pieces, size=10 * MIB)
    target = tmp_path / "target"
    with target.open("wb") as file:
        assert copy([str(source), str(source)], file.fileno(), complain=pytest.fail)
    assert target.read_bytes() == source.read_bytes() * 2
    assert target.stat().st_blocks <= 2 * source.stat().st_blocks + 32


@pytest.mark.parametrize("mode", ["r+b", "ab"])
def test_holes_over_what_is_there_are_zeros(mode: str, tmp_path: Path) -> None:
    source = sparse(tmp_path / "source", (MIB, b"data"), size=3 * MIB)
    target = tmp_path / "target"
    target.write_bytes(b"old" * MIB)
    with target.open(mode) as file:
        assert copy([str(source)], file.fileno(), complain=pytest.fail)
    got = target.read_bytes()
    whole = source.read_bytes()
    assert got == (whole if mode == "r+b" else b"old" * MIB + whole)


def test_a_hole_of_a_terabyte_is_a_matter_of_a_moment(tmp_path: Path) -> None:
    source = sparse(tmp_path / "source", (1 << 39, b"middle"), size=1 << 40)
    tally = Tally()
    with (tmp_path / "target").open("wb+") as file:
        assert copy([str(source)], file.fileno(), complain=pytest.fail, tally=tally)
        assert os.pread(file.fileno(), 6, 1 << 39) == b"middle"
        assert os.fstat(file.fileno()).st_size == tally.bytes == 1 << 40


@pytest.mark.needs("mount namespace")
@namespaces.in_new(namespaces.MOUNT)
def test_a_disk_that_fills(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    namespaces.check(namespaces.libc.mount(b"none", bytes(tmp_path / "disk"), b"tmpfs", 0, b"size=1m"))
    data = content(3 * MIB)
    path = tmp_path / "disk" / "out"
    for source in (a_file, a_pipe):
        told: list[OSError] = []
        with path.open("wb") as out, source(data, tmp_path) as fd, pytest.raises(OSError) as caught:
            try:
                copy([fd], out.fileno(), complain=told.append)
            finally:
                if source is a_pipe:
                    all_of(fd)
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.filename == f"standard output ({path})"
        assert path.read_bytes() == data[:MIB]
        assert not told


def test_tee(tmp_path: Path) -> None:
    data = content(700_001)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got: list[bytes] = []
    (tmp_path / "a").write_bytes(b"much longer than nothing" * 50_000)
    with a_pipe(data, tmp_path) as fd, into_pipe(tmp_path) as to:
        with beside(lambda: got.append(fifo.read_bytes())):
            names = [str(tmp_path / "a"), str(fifo)]
            assert copy([fd], to.fd, complain=pytest.fail, tee=names)
        assert to.finish() == data
    assert got == [data]
    assert (tmp_path / "a").read_bytes() == data


def test_a_tee_that_fails_is_told_and_left_out(tmp_path: Path) -> None:
    data = content(300_001)
    (tmp_path / "in").write_bytes(data)
    done = knote("cat", str(tmp_path / "in"), "--tee", "/dev/full", f"{tmp_path}/no/where", f"{tmp_path}/t")
    assert done.returncode == 1
    assert done.stdout == data
    assert (tmp_path / "t").read_bytes() == data
    assert done.stderr.decode().splitlines() == [
        f"knote cat: {tmp_path}/no/where: No such file or directory",
        "knote cat: /dev/full: No space left on device",
    ]


def test_room_grows_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from knote.apps import meter

    now = 0
    monkeypatch.setattr(meter, "monotonic_ns", lambda: now)
    it = Meter(1000)
    assert it.room() == 100
    it.spend(100)
    assert it.room() == 0
    assert it.pause() == 51
    now = 51_000_000
    assert it.room() == 51
    now = 10_000_000_000
    assert it.room() == 100  # what was not used is not kept for ever


@pytest.mark.parametrize("sink", [into_file, into_pipe, into_socket])
def test_a_limited_rate_takes_its_time(engine: str, sink: Any, tmp_path: Path) -> None:
    from time import monotonic

    data = content(60_000)
    with sink(tmp_path) as to, a_pipe(data, tmp_path) as fd:
        start = monotonic()
        assert copy([fd], to.fd, engine=engine, complain=pytest.fail, limit=200_000)
        assert monotonic() - start > (60_000 - 20_000) / 200_000
        assert to.finish() == data


def test_json(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    done = knote("cat", "--json", str(tmp_path / "a"), "missing", "-", input=b"more")
    assert (done.returncode, done.stdout) == (1, b"x" * 1000 + b"more")
    error, end = map(json.loads, done.stderr.splitlines())
    message = "No such file or directory"
    assert error == {"event": "error", "name": "missing", "errno": "ENOENT", "message": message}
    assert (end["event"], end["status"], end["bytes"], end["size"]) == ("end", 1, 1004, None)
    assert [(file["name"], file["bytes"], file["size"], file["way"], file["error"]) for file in end["files"]] == [
        (f"{tmp_path}/a", 1000, 1000, "splice", None),
        ("missing", 0, None, None, message),
        ("-", 4, None, "splice", None),
    ]


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_sigusr1_says_how_far_it_is(words: list[str], tmp_path: Path) -> None:
    r, w = os.pipe()
    feed(os.dup(w), b"seven b")
    with started(
        "cat", *words, stdin=r, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=(w,)
    ) as process:
        os.close(r)
        settled(process)
        process.send_signal(signal.SIGUSR1)
        assert process.stderr is not None
        said = process.stderr.readline()
        os.close(w)
        process.terminate()
        ended(process)
    if words:
        assert json.loads(said)["bytes"] == 7
    else:
        assert re.fullmatch(rb"-: 7 B, .*B/s, 0:00:\d\d\n", said)


def test_progress_where_nobody_looks_is_lines(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * MIB)
    done = knote("cat", "--progress", f"{tmp_path}/a", f"{tmp_path}/a")
    assert done.returncode == 0
    assert re.fullmatch(
        rf"{tmp_path}/a: 1.00 MiB of 1.00 MiB, 100 %, .*; total: 2.00 MiB of 2.00 MiB, 100 %, .*\n",
        done.stderr.decode(),
    )


def test_progress_on_a_terminal_is_bars(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * MIB)
    master, slave = os.openpty()
    environment = os.environ | {"TERM": "xterm"}
    done = knote("cat", "--progress", f"{tmp_path}/a", f"{tmp_path}/a", stderr=slave, env=environment)
    os.close(slave)
    said = all_of(master).decode()
    os.close(master)
    assert done.returncode == 0
    assert "100%" in said
    assert "total" in said


def test_rich_is_imported_only_when_asked_for() -> None:
    code = "import sys; from knote.cli import main; main(['cat', '/etc/passwd']); print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.endswith(b"False\n")


@pytest.mark.parametrize(
    ("count", "size", "seconds", "text"),
    [
        (0, None, 0.0, "f: 0 B, 0 B/s, 0:00:00"),
        (1 << 30, 2 << 30, 2.0, "f: 1.00 GiB of 2.00 GiB, 50 %, 512.00 MiB/s, 0:00:02, ETA 0:00:02"),
        (10, 5, 3661.0, "f: 10 B of 5 B, 100 %, 0 B/s, 1:01:01, ETA 0:00:00"),
    ],
)
def test_a_line_of_status(count: int, size: int | None, seconds: float, text: str) -> None:
    from knote.cli.status import line

    assert line("f", count, size, seconds) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("4096", 4096), ("500K", 512_000), ("2.5M", 2.5 * MIB), ("1GiB", 1 << 30), ("1kB", 1024), ("0", None),
     ("-1", None), ("", None), ("x", None), ("infinity", None), ("nan", None)],
)  # fmt: skip
def test_sizes(text: str, value: float | None) -> None:
    import argparse

    from knote.cli.arguments import size

    if value is None:
        with pytest.raises(argparse.ArgumentTypeError, match="no size above 0"):
            size(text)
    else:
        assert size(text) == value


def test_a_record_counts_until_it_ends() -> None:
    count = 1
    it = Record("f", 10)
    it.begins(lambda: count)
    count = 5
    assert (it.bytes, it.done) == (5, False)
    it.ends("splice")
    count = 6
    assert (it.bytes, it.done, it.way) == (5, True, "splice")
