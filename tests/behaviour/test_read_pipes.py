"""EVFILT_READ on pipes, FIFOs and terminals."""

from __future__ import annotations

import os
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import knote
from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_EOF, EV_ONESHOT, NOTE_LOWAT, NOTE_NODATA
from tests.behaviour.words import apply, idle, read, ready
from tests.support.events import brief
from tests.support.plumbing import Pipe, arrived, drain
from tests.support.waiting import SOON


@contextmanager
def opened(path: Any, flags: int) -> Iterator[int]:
    """An open file, closed unless the test has done so (and then the number is its own)."""
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


# ---- pipes -------------------------------------------------------------------------------------


def test_data_is_what_is_in_it(kq: Any, pipe: Pipe) -> None:
    """S-116."""
    assert ready(kq, read(pipe.r)) == []
    pipe.write(b"12345")
    assert brief(ready(kq)) == [f"{pipe.r} READ d=5"]
    pipe.read(2)
    assert brief(ready(kq)) == [f"{pipe.r} READ d=3"]
    pipe.drain()
    idle(kq)
    filled = pipe.fill()
    assert brief(ready(kq)) == [f"{pipe.r} READ d={filled}"]


def test_edges(kq: Any, pipe: Pipe) -> None:
    """S-071; trace pipe_clear_basic, but for what a partial read does ("Decided" 5)."""
    apply(kq, read(pipe.r, EV_ADD | EV_CLEAR))
    for total in (3, 6, 9):
        pipe.write(b"123")
        assert brief(ready(kq)) == [f"{pipe.r} READ CLEAR d={total}"]
        idle(kq)


def test_the_end(kq: Any, pipe: Pipe) -> None:
    """S-117; traces pipe_read_eof_empty, pipe_clear_eof."""
    apply(kq, read(pipe.r))
    pipe.write(b"123")
    pipe.close_w()
    assert brief(ready(kq)) == [f"{pipe.r} READ EOF d=3"]
    pipe.drain()
    for _ in range(3):
        assert brief(ready(kq)) == [f"{pipe.r} READ EOF d=0"]


def test_the_end_comes_with_the_last_writer(kq: Any, pipe: Pipe) -> None:
    """S-117."""
    apply(kq, read(pipe.r))
    other = os.dup(pipe.w)
    pipe.close_w()
    idle(kq)
    os.close(other)
    assert brief(ready(kq)) == [f"{pipe.r} READ EOF d=0"]


@pytest.mark.parametrize(("flags", "text"), [(EV_CLEAR, "CLEAR"), (EV_ONESHOT, "ONESHOT")])
def test_the_end_once(kq: Any, pipe: Pipe, flags: int, text: str) -> None:
    """S-111; traces pipe_clear_eof, pipe_oneshot_eof."""
    apply(kq, read(pipe.r, EV_ADD | flags))
    pipe.close_w()
    assert brief(ready(kq)) == [f"{pipe.r} READ {text}|EOF d=0"]
    idle(kq)


def test_added_when_it_has_ended(kq: Any, pipe: Pipe) -> None:
    """S-053."""
    pipe.close_w()
    assert brief(ready(kq, read(pipe.r))) == [f"{pipe.r} READ EOF d=0"]


def test_the_write_end_can_be_read_to_its_end_only(kq: Any, pipe: Pipe) -> None:
    """S-118, S-345: how asyncio learns that nobody reads any more."""
    assert ready(kq, read(pipe.w)) == []
    pipe.write(b"123")
    idle(kq)
    os.close(pipe.r)
    pipe.r = -1
    assert brief(ready(kq)) == [f"{pipe.w} READ EOF d=0"]


def test_low_water_marks_are_for_sockets(kq: Any, pipe: Pipe) -> None:
    """S-116: FreeBSD's pipes ignore NOTE_LOWAT (macOS' do not)."""
    assert ready(kq, read(pipe.r, fflags=NOTE_LOWAT, data=5)) == []
    pipe.write(b"123")
    assert brief(ready(kq)) == [f"{pipe.r} READ d=3"]
    pipe.drain()
    assert ready(kq, read(pipe.r, fflags=NOTE_LOWAT, data=0)) == []


def test_without_data(kq: Any, pipe: Pipe) -> None:
    """NOTE_NODATA is knote's own; it comes and goes with a change."""
    pipe.write(b"123")
    assert brief(ready(kq, read(pipe.r, fflags=NOTE_NODATA))) == [f"{pipe.r} READ d=0"]
    assert brief(ready(kq, read(pipe.r))) == [f"{pipe.r} READ d=3"]
    assert brief(ready(kq, read(pipe.r, fflags=NOTE_NODATA))) == [f"{pipe.r} READ d=0"]
    pipe.drain()
    idle(kq)
    pipe.close_w()
    (event,) = ready(kq)
    assert event.flags == EV_EOF


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(1, 3), st.integers(1, 200)),
            st.tuples(st.just("read"), st.integers(1, 3), st.integers(1, 200)),
            st.tuples(st.just("add"), st.integers(1, 3), st.just(0)),
            st.tuples(st.just("delete"), st.integers(1, 3), st.just(0)),
            st.tuples(st.just("end"), st.integers(1, 3), st.just(0)),
        ),
        max_size=25,
    )
)
def test_level_is_a_function_of_the_state(steps: list[tuple[str, int, int]]) -> None:
    """S-074: what is returned depends on what is there now, not on how it came there."""
    with ExitStack() as stack:
        queue = stack.enter_context(knote.kqueue())
        pipes = {which: Pipe() for which in (1, 2, 3)}
        for one in pipes.values():
            stack.callback(one.close)
        added: set[int] = set()
        inside = dict.fromkeys(pipes, 0)
        for what, which, count in steps:
            pipe = pipes[which]
            if what == "write" and pipe.w >= 0:
                inside[which] += pipe.write(bytes(count))
            elif what == "read" and inside[which]:
                inside[which] -= len(pipe.read(count))
            elif what == "end":
                pipe.close_w()
            elif what == "add":
                apply(queue, read(pipe.r))
                added.add(which)
            elif what == "delete" and which in added:
                apply(queue, read(pipe.r, EV_DELETE))
                added.discard(which)
            expected = {
                pipes[i].r: (inside[i], EV_EOF if pipes[i].w < 0 else 0)
                for i in added
                if inside[i] or pipes[i].w < 0
            }
            events = ready(queue)
            assert {event.ident: (event.data, event.flags) for event in events} == expected
            assert len(events) == len(expected)


# ---- FIFOs -------------------------------------------------------------------------------------


def test_a_fifo_from_writer_to_writer(kq: Any, fifo: Path) -> None:
    """S-119, S-120; trace fifo_basic: silent before the first, the end is over with the next."""
    with opened(fifo, os.O_RDONLY) as r:
        assert ready(kq, read(r)) == []
        idle(kq)
        for _ in range(3):
            with opened(fifo, os.O_WRONLY) as w:
                assert ready(kq) == []
                os.write(w, b"12345")
                assert brief(ready(kq)) == [f"{r} READ d=5"]
                os.read(r, 5)
                idle(kq)
            assert brief(ready(kq)) == [f"{r} READ EOF d=0"]


def test_a_fifo_that_is_both_ends_never_ends(kq: Any, fifo: Path) -> None:
    """S-121."""
    with opened(fifo, os.O_RDWR) as both:
        assert ready(kq, read(both)) == []
        with opened(fifo, os.O_WRONLY) as w:
            os.write(w, b"123")
        assert brief(ready(kq)) == [f"{both} READ d=3"]
        os.read(both, 3)
        idle(kq)


def test_a_fifo_is_a_pipe_to_edges(kq: Any, fifo: Path) -> None:
    """S-119, S-071."""
    with opened(fifo, os.O_RDONLY) as r, opened(fifo, os.O_WRONLY) as w:
        apply(kq, read(r, EV_ADD | EV_CLEAR))
        for total in (1, 2):
            os.write(w, b"1")
            assert brief(ready(kq)) == [f"{r} READ CLEAR d={total}"]
            assert ready(kq) == []


# ---- terminals ---------------------------------------------------------------------------------


@pytest.fixture
def terminal() -> Iterator[tuple[int, list[int]]]:
    """A pty: the master, and the slave in a list that the test may empty."""
    master, slave = os.openpty()
    os.set_blocking(master, False)
    slaves = [slave]
    yield master, slaves
    os.close(master)
    for fd in slaves:
        os.close(fd)


def test_a_terminal_is_ready_by_lines(kq: Any, terminal: tuple[int, list[int]]) -> None:
    """S-122: canonical mode."""
    master, (slave,) = terminal
    assert ready(kq, read(slave)) == []
    os.write(master, b"no line yet")
    assert kq.control(None, 1, 0.02) == []
    os.write(master, b"\n")
    assert brief(kq.control(None, 1, SOON)) == [f"{slave} READ d=12"]
    assert os.read(slave, 100) == b"no line yet\n"
    idle(kq)


def test_a_terminal_is_ready_by_bytes(kq: Any, terminal: tuple[int, list[int]]) -> None:
    """S-122: raw mode."""
    master, (slave,) = terminal
    tty.setraw(slave)
    assert ready(kq, read(slave)) == []
    os.write(master, b"123")
    arrived(slave)
    assert brief(ready(kq)) == [f"{slave} READ d=3"]
    assert os.read(slave, 3) == b"123"
    idle(kq)


def test_the_master_reads_what_is_written(kq: Any, terminal: tuple[int, list[int]]) -> None:
    """S-122."""
    master, (slave,) = terminal
    tty.setraw(slave)
    assert ready(kq, read(master)) == []
    os.write(slave, b"1234")
    arrived(master)
    (event,) = ready(kq)
    assert (event.ident, event.flags) == (master, 0)
    assert event.data in (0, 4)
    assert drain(master) == 4
    idle(kq)


def test_no_slave_is_the_end(kq: Any, terminal: tuple[int, list[int]]) -> None:
    """S-123, S-415."""
    master, slaves = terminal
    assert ready(kq, read(master)) == []
    os.close(slaves.pop())
    for _ in range(2):
        (event,) = kq.control(None, 1, SOON)
        assert (event.ident, event.flags, event.fflags) == (master, EV_EOF, 0)


def test_no_master_is_the_end(kq: Any) -> None:
    """S-123, S-415."""
    master, slave = os.openpty()
    try:
        assert ready(kq, read(slave)) == []
        os.close(master)
        for _ in range(2):
            (event,) = kq.control(None, 1, SOON)
            assert (event.ident, event.flags, event.fflags) == (slave, EV_EOF, 0)
    finally:
        os.close(slave)
