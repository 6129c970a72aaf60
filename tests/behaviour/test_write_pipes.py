"""EVFILT_WRITE on pipes, FIFOs and terminals."""

from __future__ import annotations

import errno
import os
import select
import tty
from typing import Any

import pytest

from knote import EV_ADD, EV_CLEAR, EV_EOF, EV_ERROR, EV_ONESHOT, NOTE_LOWAT
from tests.behaviour.words import apply, idle, read, ready, write
from tests.support.events import brief, idents
from tests.support.plumbing import Pipe, drain, fill
from tests.support.waiting import wait_until


def test_data_is_the_room(kq: Any, pipe: Pipe) -> None:
    """S-150, S-413: exact to a page, enough for PIPE_BUF whenever it is reported."""
    (event,) = ready(kq, write(pipe.w))
    assert (event.ident, event.flags, event.fflags) == (pipe.w, 0, 0)
    assert event.data >= select.PIPE_BUF
    pipe.write(bytes(event.data))
    assert ready(kq) == []
    idle(kq)


def test_room_comes_back(kq: Any, pipe: Pipe) -> None:
    """S-150."""
    pipe.fill()
    assert ready(kq, write(pipe.w)) == []
    pipe.drain()
    for _ in range(2):
        assert brief(ready(kq)) == [f"{pipe.w} WRITE"]


def test_what_is_reported_can_be_written(kq: Any, pipe: Pipe) -> None:
    """S-150: PIPE_BUF bytes, in one piece, at every fill level."""
    apply(kq, write(pipe.w))
    pipe.fill()
    for _ in range(40):
        os.read(pipe.r, 1777)
        if ready(kq):
            assert pipe.write(bytes(select.PIPE_BUF)) == select.PIPE_BUF


def test_an_edge_after_it_was_full(kq: Any, pipe: Pipe) -> None:
    """S-149; trace pipe_clear_write, but for what a small read does ("Decided" 5)."""
    assert brief(ready(kq, write(pipe.w, EV_ADD | EV_CLEAR))) == [f"{pipe.w} WRITE CLEAR"]
    for _ in range(2):
        idle(kq)
        pipe.fill()
        assert ready(kq) == []
        pipe.drain()
        assert brief(ready(kq)) == [f"{pipe.w} WRITE CLEAR"]


@pytest.mark.parametrize("full", [False, True])
def test_no_reader_is_the_end_once(kq: Any, pipe: Pipe, full: bool) -> None:
    """S-151 as recorded (pipe_write_eof, pipe_write_eof_full): with EV_ONESHOT, and gone."""
    apply(kq, write(pipe.w))
    if full:
        pipe.fill()
    pipe.close_r()
    (event,) = ready(kq)
    assert (event.flags, event.fflags) == (EV_ONESHOT | EV_EOF, 0)
    idle(kq)


def test_an_add_without_a_reader_is_refused(kq: Any, pipe: Pipe) -> None:
    """S-152 as FreeBSD: EPIPE ("Followed")."""
    pipe.close_r()
    (entry,) = ready(kq, write(pipe.w))
    assert (entry.flags, entry.data) == (EV_ERROR, errno.EPIPE)
    with pytest.raises(BrokenPipeError):
        apply(kq, write(pipe.w))
    idle(kq)


def test_low_water_marks_are_for_sockets(kq: Any, pipe: Pipe) -> None:
    """S-150: FreeBSD's pipes ignore NOTE_LOWAT."""
    assert brief(ready(kq, write(pipe.w, fflags=NOTE_LOWAT, data=1 << 40))) == [f"{pipe.w} WRITE"]


def test_the_read_end_is_not_written_to(kq: Any, pipe: Pipe) -> None:
    """ "Decided" 6: a pipe of Linux goes one way, and by level that must not spin."""
    assert ready(kq, write(pipe.r)) == []
    pipe.write(b"x")
    idle(kq)


def test_a_fifos_end_stays(kq: Any, tmp_path: Any) -> None:
    """S-153; trace fifo_write: no EV_ONESHOT, and over with the next reader."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    r = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    w = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        assert brief(ready(kq, write(w))) == [f"{w} WRITE"]
        os.close(r)
        for _ in range(2):
            assert brief(ready(kq)) == [f"{w} WRITE EOF"]
        r = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        assert brief(ready(kq)) == [f"{w} WRITE"]
        assert fill(w)
        idle(kq)
    finally:
        os.close(r)
        os.close(w)


def test_a_terminal(kq: Any) -> None:
    """S-155."""
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        os.set_blocking(slave, False)
        os.set_blocking(master, False)
        assert brief(ready(kq, write(slave))) == [f"{slave} WRITE"]
        # A terminal hands on what it took piece by piece, so it is not full, nor has it room again, at once.
        wait_until(lambda: fill(slave) == 0 and ready(kq) == [])
        wait_until(lambda: drain(master) >= 0 and idents(ready(kq)) == [slave])
    finally:
        os.close(master)
    try:
        (event,) = ready(kq)
        assert event.flags == EV_EOF
    finally:
        os.close(slave)


def test_both_ends_of_one_pipe(kq: Any, pipe: Pipe) -> None:
    """S-044: two descriptors, two idents."""
    assert brief(ready(kq, read(pipe.r), write(pipe.w))) == [f"{pipe.w} WRITE"]
    pipe.fill()
    (event,) = ready(kq)
    assert event.ident == pipe.r
    pipe.drain()
    assert brief(ready(kq)) == [f"{pipe.w} WRITE"]
