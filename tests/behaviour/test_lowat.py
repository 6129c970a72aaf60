"""Low-water marks: of the knote (NOTE_LOWAT) and of the socket (SO_RCVLOWAT), which stays the
program's own."""

from __future__ import annotations

import socket
from typing import Any

import pytest

import knote
from knote import EV_ADD, EV_CLEAR, EV_ENABLE, NOTE_LOWAT
from tests.behaviour.words import ROOM, apply, idle, read, ready, write
from tests.support.events import brief
from tests.support.plumbing import Pair, arrived, tcp_pair, unix_pair
from tests.support.waiting import SOON

STREAMS = pytest.mark.parametrize("make", [tcp_pair, unix_pair], ids=["tcp", "unix"])


def send(pair: Pair, count: int) -> None:
    """Bytes from b to a, there when this returns."""
    pair.b.send(bytes(count))
    arrived(pair.fd_a)


@STREAMS
def test_below_the_mark_is_silence(kq: Any, make: Any) -> None:
    """S-101, S-406; traces lowat_sock_read, tcp_lowat: no event, and no spin either."""
    with make() as pair:
        fd = pair.fd_a
        assert ready(kq, read(fd, fflags=NOTE_LOWAT, data=5)) == []
        send(pair, 4)
        idle(kq)
        pair.b.send(b"1")
        assert brief(kq.control(None, ROOM, SOON)) == [f"{fd} READ d=5"]
        assert brief(ready(kq)) == [f"{fd} READ d=5"]
        pair.a.recv(1)
        idle(kq)
        pair.b.send(b"12")
        assert brief(kq.control(None, ROOM, SOON)) == [f"{fd} READ d=6"]


@STREAMS
def test_below_the_mark_with_clear(kq: Any, make: Any) -> None:
    """S-101 with S-071."""
    with make() as pair:
        fd = pair.fd_a
        apply(kq, read(fd, EV_ADD | EV_CLEAR, NOTE_LOWAT, 5))
        send(pair, 3)
        idle(kq)
        pair.b.send(b"45")
        assert brief(kq.control(None, ROOM, SOON)) == [f"{fd} READ CLEAR d=5"]
        idle(kq)


@STREAMS
def test_the_end_is_told_whatever_the_mark(kq: Any, make: Any) -> None:
    """S-102; trace lowat_sock_read_eof."""
    with make() as pair:
        fd = pair.fd_a
        apply(kq, read(fd, fflags=NOTE_LOWAT, data=5))
        send(pair, 4)
        idle(kq)
        pair.b.shutdown(socket.SHUT_WR)
        assert brief(kq.control(None, ROOM, SOON)) == [f"{fd} READ EOF d=4"]


@STREAMS
def test_a_change_changes_the_mark(kq: Any, make: Any) -> None:
    """S-103, S-059; trace lowat_change: without NOTE_LOWAT it is the socket's own again."""
    with make() as pair:
        fd = pair.fd_a
        send(pair, 3)
        assert ready(kq, read(fd, fflags=NOTE_LOWAT, data=5)) == []
        assert brief(ready(kq, read(fd, fflags=NOTE_LOWAT, data=2))) == [f"{fd} READ d=3"]
        assert ready(kq, read(fd, EV_ENABLE, NOTE_LOWAT, 9)) == []
        assert brief(ready(kq, read(fd))) == [f"{fd} READ d=3"]


@STREAMS
def test_the_sockets_mark(kq: Any, make: Any) -> None:
    """S-101, S-406; trace lowat_sock_so: Linux' poll minds it for TCP only."""
    with make() as pair:
        fd = pair.fd_a
        pair.a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 5)
        assert ready(kq, read(fd)) == []
        pair.b.send(bytes(4))
        assert kq.control(None, ROOM, 0.02) == []
        pair.b.send(bytes(1))
        assert brief(kq.control(None, ROOM, SOON)) == [f"{fd} READ d=5"]


def test_the_knotes_mark_goes_before_the_sockets(kq: Any, socketpair: Pair) -> None:
    """Trace lowat_sock_both."""
    fd = socketpair.fd_a
    socketpair.a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 5)
    assert ready(kq, read(fd, fflags=NOTE_LOWAT, data=2)) == []
    socketpair.b.send(b"123")
    assert brief(ready(kq)) == [f"{fd} READ d=3"]


@STREAMS
@pytest.mark.parametrize("mark", [0, -5])
def test_a_mark_of_nothing_is_always_reached(kq: Any, make: Any, mark: int) -> None:
    """Trace lowat_zero."""
    with make() as pair:
        fd = pair.fd_a
        for _ in range(2):
            assert brief(ready(kq, read(fd, fflags=NOTE_LOWAT, data=mark))) == [f"{fd} READ d=0"]
        assert ready(kq, read(fd)) == []
        idle(kq)


def test_two_queues_two_marks(kq: Any, engine: str, socketpair: Pair) -> None:
    """S-101: the mark is the knote's, and the socket's option stays what the program set."""
    fd = socketpair.fd_a
    before = socketpair.a.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)
    with knote.kqueue(engine=engine) as other:
        apply(kq, read(fd, fflags=NOTE_LOWAT, data=5))
        apply(other, read(fd, fflags=NOTE_LOWAT, data=2))
        socketpair.b.send(b"123")
        assert ready(kq) == []
        assert brief(ready(other)) == [f"{fd} READ d=3"]
        socketpair.b.send(b"45")
        assert brief(ready(kq)) == brief(ready(other)) == [f"{fd} READ d=5"]
    assert socketpair.a.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == before


def test_room_to_write_has_a_mark_too(kq: Any, socketpair: Pair) -> None:
    """S-139: NOTE_LOWAT of a WRITE knote is the room that must be there."""
    fd = socketpair.fd_a
    assert ready(kq, write(fd, fflags=NOTE_LOWAT, data=1 << 40)) == []
    idle(kq)
    assert brief(ready(kq, write(fd, fflags=NOTE_LOWAT, data=10))) == [f"{fd} WRITE"]
