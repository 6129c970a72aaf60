"""knote.caps and `knote caps`: what they say is what a queue does, and asking costs nobody anything."""

from __future__ import annotations

import errno
import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import knote
from knote import EV_ADD, EV_RECEIPT, caps, constants, engines, kevent
from tests.apps.programs import command
from tests.apps.programs import knote as run
from tests.support.waiting import SOON

NUMBERS = {row.name: row.value for row in (*constants.FILTERS, *constants.NOTES)}


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    """No test sees the answers of another."""
    caps.report.cache_clear()
    yield
    caps.report.cache_clear()


def ident_for(name: str, stack: ExitStack) -> int:
    """Something that the filter is made for."""
    if name == "EVFILT_VNODE":
        fd = os.open(__file__, os.O_RDONLY)
    elif name in ("EVFILT_READ", "EVFILT_WRITE", "EVFILT_EXCEPT", "EVFILT_EMPTY"):
        pair = socket.socketpair()
        for end in pair:
            stack.enter_context(end)
        return pair[0].fileno()
    elif name in ("EVFILT_PROC", "EVFILT_PROCDESC"):
        child = subprocess.Popen(["sleep", "60"])
        stack.callback(child.wait)
        stack.callback(child.kill)
        if name == "EVFILT_PROC":
            return child.pid
        fd = os.pidfd_open(child.pid)
    elif name == "EVFILT_NETDEV":
        return socket.if_nametoindex("lo")
    else:
        return int(signal.SIGURG)
    stack.callback(os.close, fd)
    return fd


def test_what_is_said_of_filters_and_notes_is_what_a_queue_does() -> None:
    for row in caps.report().filters:
        if row.note in ("NOTE_CHILD", "NOTE_TRACKERR"):
            continue  # only ever in events, of who asked for NOTE_TRACK
        if row.filter in ("EVFILT_AIO", "EVFILT_LIO"):
            continue  # made by requests, not by changes
        with ExitStack() as stack:
            ident = ident_for(row.filter, stack)
            queue = stack.enter_context(knote.kqueue())
            plain = NUMBERS["NOTE_MEMORYSTATUS_PRESSURE_WARN"] if row.filter == "EVFILT_MEMORYSTATUS" else 0
            notes = NUMBERS[row.note] if row.note else plain
            change = kevent(ident, NUMBERS[row.filter], EV_ADD | EV_RECEIPT, notes, 1000)
            [receipt] = queue.control([change], 1, 0)
            assert (receipt.data == 0) is row.here, (row, os.strerror(receipt.data))


def test_every_filter_and_every_note_has_its_row() -> None:
    rows = caps.report().filters
    assert {row.filter for row in rows} == {row.name for row in constants.FILTERS}
    for number, group in constants.NOTES_OF.items():
        if group is not constants.SOCKET_NOTES:
            name = next(row.name for row in constants.FILTERS if row.value == number)
            assert {row.name for row in group} <= {row.note for row in rows if row.filter == name}
    assert {row.name for row in constants.SOCKET_NOTES} <= {row.note for row in rows}


def test_each_no_has_its_reason() -> None:
    report = caps.report()
    for row in (*report.filters, *report.engines, *report.facilities):
        assert row.here or row.why, row
    assert any(not row.here for row in report.filters)


def test_engines_are_those_that_there_are() -> None:
    assert [cap.name for cap in caps.report().engines] == engines.names()


def test_importing_knote_asks_nothing() -> None:
    code = "import sys, knote; knote.kqueue().close(); print('knote.caps' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_it_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = caps.report()
    monkeypatch.setattr(caps, "_PROBES", {})
    assert caps.report() is first


# ---- io_uring: nobody is surprised -----------------------------------------------------------------------------


def io_uring() -> caps.Cap:
    return caps._io_uring(False)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """io_uring_setup(2) is forbidden here; how often it was tried."""
    tried: list[int] = []

    def refuse() -> int:
        tried.append(1)
        return -errno.EPERM

    monkeypatch.setattr(caps, "_setup_io_uring", refuse)
    monkeypatch.delenv(caps.IO_URING_VARIABLE, raising=False)
    return tried


def system(monkeypatch: pytest.MonkeyPatch, sysctl: str, seccomp: str = "0") -> None:
    monkeypatch.setattr(caps, "_text", lambda path: sysctl if path.endswith("io_uring_disabled") else "")
    monkeypatch.setattr(caps, "_status", lambda key: seccomp)


def test_io_uring_is_not_tried_unless_asked_for(calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, "0", "2")
    assert io_uring().here is None
    assert "--probe-io-uring" in io_uring().why
    assert "seccomp filter" in io_uring().why
    assert calls == []
    asked = caps._io_uring(True)
    assert (asked.here, calls) == (False, [1])
    assert "forbids it" in asked.why


def test_the_variable_decides(calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, "1")
    monkeypatch.setenv(caps.IO_URING_VARIABLE, "0")
    assert caps._io_uring(True) == ("io_uring", False, "KNOTE_IO_URING=0")
    assert calls == []
    monkeypatch.setenv(caps.IO_URING_VARIABLE, "1")
    assert "only a group, or CAP_SYS_ADMIN" in io_uring().why
    assert calls == [1]


@pytest.mark.parametrize(
    ("here", "words"),
    [(True, "io_uring"), (False, "POSIX AIO or threads"), (None, "io_uring, POSIX AIO or threads")],
)
def test_requests_are_carried_out_in_any_case(here: bool | None, words: str) -> None:
    """By what, EVFILT_AIO's row says."""
    rows = caps._filters({cap.name: cap for cap in caps.report().facilities}, caps.Cap("io_uring", here, ""))
    assert {row.by for row in rows if row.filter in ("EVFILT_AIO", "EVFILT_LIO")} == {(words,)}


def test_the_sysctl_says_no(calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    system(monkeypatch, "2")
    assert "io_uring_disabled is 2" in caps._io_uring(True).why
    assert calls == []


# ---- reasons ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOENT, "CONFIG_PSI"),
        (errno.EOPNOTSUPP, "psi=1"),
        (errno.EACCES, "sandbox"),
        (errno.EMFILE, "Too many open files"),
    ],
)
def test_no_pressure(number: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caps, "open_file", lambda _path, _writable: -number)
    said = caps._pressure()
    assert (said.here, words in said.why) == (False, True), said
    known = {**{name: caps.Cap(name, True) for name in caps._PROBES}, said.name: said}
    rows = caps._filters(known, caps._io_uring(False))
    [row] = [row for row in rows if row.note == "NOTE_MEMORYSTATUS_PRESSURE_WARN"]
    assert (row.here, row.why) == (False, f"{said.name}: {said.why}")


def test_what_a_process_without_descriptors_is_told() -> None:
    code = (
        "import resource, knote.caps, knote._kernel.rtnetlink, knote._kernel.connector, knote.buildinfo\n"
        "knote.build_info()\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "print([cap.why for cap in (knote.caps._epoll(), knote.caps._inotify(), knote.caps._rtnetlink())])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.count("Too many open files") == 3, done


# ---- the command -----------------------------------------------------------------------------------------------


def test_json_is_the_report() -> None:
    done = run("caps", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    told = json.loads(done.stdout)
    assert set(told) == {"system", "engines", "facilities", "limits", "filters"}
    ours = json.loads(json.dumps(caps.report().as_dict()))
    assert told["filters"] == ours["filters"]
    assert told["limits"] == ours["limits"]


def test_the_table() -> None:
    lines = run("caps").stdout.decode().splitlines()
    assert lines[0].split() == ["filter", "here", "by,", "or", "why", "not"]
    assert "  NOTE_SECONDS                         yes   timerfd" in lines
    for name in ("io_uring", "fs.inotify.max_user_watches", "kernel"):
        assert any(line.startswith(name) for line in lines), name


def test_only_what_is_named() -> None:
    done = run("caps", "jail", "USER")
    names = [line.split()[0] for line in done.stdout.decode().splitlines()[1:] if line]
    assert {name for name in names if name[0] == "E"} == {"EVFILT_USER", "EVFILT_JAIL", "EVFILT_JAILDESC"}
    assert done.returncode == 1, "not all of it is there"
    assert run("caps", "evfilt_user").returncode == 0
    assert json.loads(run("caps", "--json", "evfilt_user").stdout).keys() == {"filters"}
    nothing = run("caps", "xyzzy")
    assert (nothing.returncode, nothing.stdout) == (1, b"")
    assert nothing.stderr == b"knote caps: nothing has 'xyzzy' in its name\n"


def test_at_a_terminal() -> None:
    """By rich, if it is installed; the words are the same."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command("caps", "timer"), stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed: EIO
                break
            text += part
        process.wait(SOON)
    os.close(ours)
    for word in (b"EVFILT_TIMER", b"NOTE_ABSTIME", b"yes", b"timerfd"):
        assert word in text
