"""EVFILT_PROC: forks, execs, and following them, through the process connector."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_ENABLE,
    EV_EOF,
    EV_ONESHOT,
    NOTE_CHILD,
    NOTE_EXEC,
    NOTE_EXIT,
    NOTE_FORK,
    NOTE_TRACK,
    NOTE_TRACKERR,
)
from tests.behaviour.words import ROOM, apply, idle, polls, proc, ready
from tests.support.children import Child
from tests.support.leaks import descriptors
from tests.support.waiting import SOON

pytestmark = pytest.mark.needs("proc connector")
FORK_TRACK = NOTE_EXIT | NOTE_FORK | NOTE_TRACK


def collect(kq: Any, count: int) -> list[Any]:
    """Wait until so many events have come."""
    events: list[Any] = []
    while len(events) < count:
        got = kq.control(None, ROOM, SOON)
        assert got, f"{len(events)} of {count} events within {SOON} s: {events}"
        events += got
    return events


def connectors() -> int:
    """How many netlink sockets this process has."""
    found = 0
    for fd, link in descriptors().items():
        if link.startswith("socket:"):
            with socket.socket(fileno=os.dup(fd)) as one:
                found += one.family == socket.AF_NETLINK
    return found


@pytest.fixture
def child() -> Iterator[Child]:
    """One that ends with 3 when told."""
    made = Child(3)
    yield made
    made.close()


def run(work: Any, code: int = 0) -> Child:
    """A child with something to do."""
    return Child(code, work)


def fork_once(code: int = 0) -> int:
    """Fork a child that ends at once, and wait for it: its number."""
    pid = os.fork()
    if not pid:
        os._exit(code)
    os.waitpid(pid, 0)
    return pid


def shell() -> subprocess.Popen[bytes]:
    """One that executes another when it reads a line; it runs by now: Popen may return before its own exec is
    told."""
    child = subprocess.Popen(
        ["/bin/sh", "-c", "echo up; read x; exec sh -c 'read y'"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    return child


def test_forks_are_one_event(kq: Any) -> None:
    """S-206, S-207; trace proc_fork_level: several forks before the collect are told once, without a number."""
    apply(kq, proc(os.getpid(), fflags=NOTE_FORK))
    idle(kq)
    for _ in range(3):
        fork_once()
    (event,) = collect(kq, 1)
    assert (event.ident, event.flags) == (os.getpid(), EV_CLEAR)
    assert (event.fflags, event.data) == (NOTE_FORK, 0)
    idle(kq)
    fork_once()
    assert len(collect(kq, 1)) == 1


def test_threads_are_no_forks(kq: Any) -> None:
    """S-453: Linux tells a new thread as a fork."""
    apply(kq, proc(os.getpid(), fflags=NOTE_FORK))
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    idle(kq)


def test_other_processes_forks_wake_nobody(kq: Any, child: Child) -> None:
    """The kernel drops them: the queue's descriptor stays unreadable."""
    apply(kq, proc(child.pid, fflags=NOTE_FORK | NOTE_EXEC))
    idle(kq)  # takes what strangers did between the socket's first hearing and its being told whom we follow
    for _ in range(5):
        fork_once()
    assert not polls(kq)
    idle(kq)


def test_exec_and_exit(kq: Any) -> None:
    """S-208; and a fork, an exec and an end before the collect are one event, with the status (S-206)."""
    child = run(lambda: (fork_once(), os.execv("/bin/sh", ["sh", "-c", "exit 5"])))
    try:
        apply(kq, proc(child.pid, fflags=NOTE_EXIT | NOTE_FORK | NOTE_EXEC, udata="u"))
        idle(kq)
        child.end()
        (event,) = collect(kq, 1)
        assert event.fflags == NOTE_EXIT | NOTE_FORK | NOTE_EXEC
        assert (event.data, event.udata) == (5 << 8, "u")
        assert event.flags == EV_CLEAR | EV_ONESHOT | EV_EOF
    finally:
        child.close()
    assert connectors() == 0


def test_exec_of_the_same_program(kq: Any) -> None:
    """S-208: that it is the same makes no difference."""
    child = shell()
    assert child.stdin is not None
    apply(kq, proc(child.pid, fflags=NOTE_EXEC))
    child.stdin.write(b"go\n")
    child.stdin.flush()
    (event,) = collect(kq, 1)
    assert (event.fflags, event.flags) == (NOTE_EXEC, EV_CLEAR)
    child.communicate()
    # The end, which nobody asked for, takes the knote with it.
    idle(kq)
    with pytest.raises(FileNotFoundError):
        apply(kq, proc(child.pid, EV_DELETE))


def test_track(kq: Any) -> None:
    """S-209, S-210; trace proc_track: the child is announced, then the fork, then its end, each with the udata."""
    apply(kq, proc(os.getpid(), fflags=FORK_TRACK, udata="me"))
    child = Child(9)
    try:
        announced, forked = collect(kq, 2)
        assert (announced.ident, announced.fflags, announced.data) == (child.pid, NOTE_CHILD, os.getpid())
        assert announced.flags == EV_CLEAR | EV_ONESHOT
        assert (forked.ident, forked.fflags) == (os.getpid(), NOTE_FORK)
        assert announced.udata == forked.udata == "me"
        child.go()
        (event,) = collect(kq, 1)
        assert (event.ident, event.fflags, event.data) == (child.pid, NOTE_EXIT, 9 << 8)
        assert event.udata == "me"
    finally:
        child.close()


def test_track_through_the_generations(kq: Any) -> None:
    """S-209: each child is followed like its parent, however short its life (S-454): its number is known, that it
    was a child of whom, and how it ended."""

    def generations() -> None:
        # Each waits for the next, so when the first ends all have been waited for.
        for depth in range(4):
            pid = os.fork()
            if pid:
                os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) + 1 if depth < 4 else 0)
        os._exit(10)

    child = run(generations)
    try:
        apply(kq, proc(child.pid, fflags=NOTE_EXIT | NOTE_TRACK))
        child.end()
        events = collect(kq, 9)
        parents = {event.ident: event.data for event in events if event.fflags == NOTE_CHILD}
        ends = {event.ident: event.data >> 8 for event in events if event.fflags == NOTE_EXIT}
        assert len(parents) == 4
        assert set(ends) == {child.pid, *parents}
        chain = [child.pid]
        while len(chain) < 5:
            (one,) = (pid for pid, parent in parents.items() if parent == chain[-1])
            chain.append(one)
        assert [ends[pid] for pid in chain] == [14, 13, 12, 11, 10]
    finally:
        child.close()
    idle(kq)
    assert kq.knotes() == []
    assert connectors() == 0


def test_a_hundred_quick_children(kq: Any) -> None:
    """S-454, S-210: all had gone when they were heard of."""
    apply(kq, proc(os.getpid(), fflags=NOTE_EXIT | NOTE_TRACK))
    pids = [fork_once(i) for i in range(100)]
    events = collect(kq, 200)
    told = [(event.ident, event.fflags, event.data) for event in events]
    for i, pid in enumerate(pids):
        announced = told.index((pid, NOTE_CHILD, os.getpid()))
        assert announced < told.index((pid, NOTE_EXIT, i << 8))
    assert len(told) == 200


def test_children_from_before_are_not_followed(kq: Any, child: Child) -> None:
    """S-209: only a fork after the EV_ADD makes a knote."""
    apply(kq, proc(os.getpid(), fflags=FORK_TRACK))
    child.end()
    idle(kq)  # though everybody's forks are heard
    assert [one.ident for one in kq.knotes()] == [os.getpid()]


def test_a_child_that_the_program_registers_itself(kq: Any) -> None:
    """It keeps its own notes and udata, and is announced all the same."""
    apply(kq, proc(os.getpid(), fflags=FORK_TRACK, udata="parent"))
    child = Child(1)
    try:
        apply(kq, proc(child.pid, udata="own"))
        assert {event.fflags for event in collect(kq, 2)} == {NOTE_CHILD, NOTE_FORK}
        child.go()
        (event,) = collect(kq, 1)
        assert (event.fflags, event.udata) == (NOTE_EXIT, "own")
    finally:
        child.close()


def test_children_survive_the_parents_knote(kq: Any) -> None:
    """A knote that NOTE_TRACK made is one like any other: it can be changed and deleted."""
    apply(kq, proc(os.getpid(), fflags=FORK_TRACK))
    child = Child(4)
    try:
        collect(kq, 2)
        apply(kq, proc(os.getpid(), EV_DELETE))
        apply(kq, proc(child.pid, EV_ADD, NOTE_EXIT, udata="changed"))
        assert connectors() == 0
        child.go()
        (event,) = collect(kq, 1)
        assert (event.data, event.udata) == (4 << 8, "changed")
    finally:
        child.close()


def test_notes_while_disabled(kq: Any) -> None:
    """S-216: they are remembered."""
    notes = NOTE_FORK
    apply(kq, proc(os.getpid(), fflags=notes), proc(os.getpid(), EV_DISABLE, notes))
    fork_once()
    idle(kq)
    (event,) = ready(kq, proc(os.getpid(), EV_ENABLE, notes))
    assert event.fflags == NOTE_FORK
    idle(kq)


def test_oneshot(kq: Any) -> None:
    """EV_ONESHOT: the first fork is the last."""
    apply(kq, proc(os.getpid(), EV_ADD | EV_ONESHOT, NOTE_FORK))
    fork_once()
    (event,) = collect(kq, 1)
    assert event.flags == EV_CLEAR | EV_ONESHOT
    fork_once()
    idle(kq)
    assert connectors() == 0


def test_the_connector_goes_with_the_last_who_asks(kq: Any, child: Child) -> None:
    """One socket for the queue, and only while it is needed."""
    assert connectors() == 0
    apply(kq, proc(child.pid, fflags=NOTE_EXIT | NOTE_FORK), proc(os.getpid(), fflags=NOTE_EXEC))
    assert connectors() == 1
    apply(kq, proc(child.pid, fflags=NOTE_EXIT))
    assert connectors() == 1
    apply(kq, proc(os.getpid(), EV_DELETE))
    assert connectors() == 0


def test_several_queues(engine: str) -> None:
    """S-217: each is told."""
    queues = [knote.kqueue(engine=engine) for _ in range(3)]
    for kq in queues:
        apply(kq, proc(os.getpid(), fflags=NOTE_FORK))
    fork_once()
    assert [collect(kq, 1)[0].fflags for kq in queues] == [NOTE_FORK] * 3
    for kq in queues:
        kq.close()
    assert connectors() == 0


def test_more_than_the_kernel_tells_apart(kq: Any) -> None:
    """Beyond 32 processes everybody's forks are heard, and those that nobody asked for are dropped here."""
    children = [run(fork_once, i) for i in range(40)]
    try:
        apply(kq, *(proc(child.pid, fflags=NOTE_EXIT | NOTE_FORK) for child in children))
        fork_once()
        idle(kq)  # though everybody's forks are heard
        for child in children:
            child.end()
        events = collect(kq, 40)
        assert all(event.fflags == NOTE_EXIT | NOTE_FORK for event in events)
        assert {event.ident: event.data >> 8 for event in events} == {c.pid: i for i, c in enumerate(children)}
    finally:
        for child in children:
            child.close()


def test_a_fork_does_not_silence_the_parent(kq: Any, child: Child) -> None:
    """The child's copy of the socket is closed without a word to the kernel."""
    apply(kq, proc(child.pid, fflags=NOTE_EXIT | NOTE_FORK))
    fork_once()
    child.kill(signal.SIGTERM)
    assert collect(kq, 1)[0].data == signal.SIGTERM
    apply(kq, proc(os.getpid(), fflags=NOTE_FORK))
    fork_once()
    assert len(collect(kq, 1)) == 1
    fork_once()
    assert len(collect(kq, 1)) == 1


def shrink() -> None:
    """Leave the connectors of this process room for a few messages only."""
    for fd, link in descriptors().items():
        if link.startswith("socket:"):
            with socket.socket(fileno=os.dup(fd)) as one:
                if one.family == socket.AF_NETLINK:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)


def test_an_overflow_is_told(kq: Any) -> None:
    """What had no room is told by NOTE_TRACKERR; a fork is taken for granted, and a child that lives is found."""
    apply(kq, proc(os.getpid(), fflags=FORK_TRACK))
    shrink()
    for _ in range(50):
        fork_once()
    last = Child(7)
    try:
        notes = 0
        seen = set()
        while last.pid not in seen or not notes & NOTE_TRACKERR:
            for event in collect(kq, 1):
                if event.ident == os.getpid():
                    notes |= event.fflags
                elif event.fflags == NOTE_CHILD:
                    seen.add(event.ident)
        assert notes & NOTE_FORK
        last.go()
        ends: list[Any] = []
        while last.pid not in [event.ident for event in ends]:
            ends = [event for event in collect(kq, 1) if event.fflags & NOTE_EXIT]
        assert [event.data for event in ends if event.ident == last.pid] == [7 << 8]
    finally:
        last.close()


def test_an_exec_that_had_no_room(kq: Any) -> None:
    """It is found: the program lies elsewhere in memory."""
    child = shell()
    assert child.stdin is not None
    apply(kq, proc(child.pid, fflags=NOTE_EXEC), proc(os.getpid(), fflags=NOTE_TRACK))
    shrink()
    for _ in range(50):
        fork_once()
    child.stdin.write(b"go\n")
    child.stdin.flush()
    notes: dict[int, int] = {}
    while child.pid not in notes:
        for event in collect(kq, 1):
            notes[event.ident] = notes.get(event.ident, 0) | event.fflags
    assert notes[child.pid] == NOTE_EXEC
    child.communicate()
