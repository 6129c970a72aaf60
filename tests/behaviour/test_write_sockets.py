"""EVFILT_WRITE on sockets: room, its end, and what breaks it."""

from __future__ import annotations

import errno
import socket
import struct
from typing import Any

import pytest

from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_EOF, EV_ONESHOT, NOTE_NODATA
from tests.behaviour.words import ROOM, apply, idle, read, ready, write
from tests.support.events import brief, idents, keys
from tests.support.plumbing import Pair, Pipe, arrived, drain, fill, tcp_pair, unix_pair
from tests.support.waiting import SOON, wait_until

STREAMS = pytest.mark.parametrize("make", [tcp_pair, unix_pair], ids=["tcp", "unix"])


def take(pair: Pair, count: int) -> None:
    """Read *count* bytes at the other end, however they come."""
    left = [count]

    def all_read() -> bool:
        left[0] -= drain(pair.fd_b)
        return left[0] == 0

    wait_until(all_read)


@STREAMS
def test_room(kq: Any, make: Any) -> None:
    """S-139, S-140, S-410: more than none, at most the buffer, less when it fills."""
    with make() as pair:
        (event,) = ready(kq, write(pair.fd_a))
        size = pair.a.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        assert 0 < event.data <= size
        assert (event.flags, event.fflags) == (0, 0)
        filled = fill(pair.fd_a)
        assert ready(kq) == []
        idle(kq)
        take(pair, filled)
        for _ in range(3):
            assert brief(kq.control(None, ROOM, SOON)) == [f"{pair.fd_a} WRITE"]


@STREAMS
def test_an_edge_after_it_was_full(kq: Any, make: Any) -> None:
    """S-149, S-407."""
    with make() as pair:
        fd = pair.fd_a
        assert brief(ready(kq, write(fd, EV_ADD | EV_CLEAR))) == [f"{fd} WRITE CLEAR"]
        for _ in range(2):
            idle(kq)
            filled = fill(fd)
            assert ready(kq) == []
            take(pair, filled)
            assert brief(kq.control(None, ROOM, SOON)) == [f"{fd} WRITE CLEAR"]


@STREAMS
def test_data_is_no_edge_of_room(kq: Any, make: Any) -> None:
    """S-396: READ and WRITE of one descriptor, both by edge, know nothing of each other."""
    with make() as pair:
        fd = pair.fd_a
        changes = [read(fd, EV_ADD | EV_CLEAR), write(fd, EV_ADD | EV_CLEAR)]
        assert brief(ready(kq, *changes)) == [f"{fd} WRITE CLEAR"]
        for total in (1, 2, 3):
            pair.b.send(b"x")
            assert brief(kq.control(None, ROOM, SOON)) == [f"{fd} READ CLEAR d={total}"]
            assert ready(kq) == []
        idle(kq)


@STREAMS
@pytest.mark.parametrize("first", [read, write])
@pytest.mark.parametrize("flags", [0, EV_CLEAR, EV_ONESHOT], ids=["level", "clear", "oneshot"])
def test_a_sibling_is_no_edge(kq: Any, make: Any, first: Any, flags: int) -> None:
    """S-045, S-071: a knote that comes or goes on the same descriptor is no news of the other."""
    with make() as pair:
        fd = pair.fd_a
        pair.b.send(b"x")
        arrived(fd)
        second = write if first is read else read
        assert len(ready(kq, first(fd, EV_ADD | EV_CLEAR))) == 1
        assert ready(kq) == []
        assert [event.filter for event in ready(kq, second(fd, EV_ADD | flags))] == [
            second(fd).filter
        ]
        if flags != EV_ONESHOT:
            assert ready(kq, second(fd, EV_DELETE)) == []
        idle(kq)


@pytest.mark.parametrize("edge", ["read", "write"])
@STREAMS
def test_one_by_edge_and_one_by_level(kq: Any, make: Any, edge: str) -> None:
    """S-396, S-045."""
    with make() as pair:
        fd = pair.fd_a
        by = {"read": EV_CLEAR if edge == "read" else 0}
        by["write"] = EV_CLEAR - by["read"]
        assert keys(ready(kq, read(fd, EV_ADD | by["read"]), write(fd, EV_ADD | by["write"]))) == [
            (fd, -2)
        ]
        pair.b.send(b"x")
        levels = {(fd, -2)} if edge == "read" else {(fd, -1)}
        seen: set[tuple[int, int]] = set()
        wait_until(lambda: seen.update(keys(ready(kq))) or (fd, -1) in seen)
        for _ in range(3):
            assert set(keys(ready(kq))) == levels


@STREAMS
def test_own_shut_wr(kq: Any, make: Any) -> None:
    """S-143, S-082; traces ss_shut_wr_self, tcp_write_eof_own: poll(2) says nothing of it."""
    with make() as pair:
        fd = pair.fd_a
        assert brief(ready(kq, write(fd))) == [f"{fd} WRITE"]
        pair.a.shutdown(socket.SHUT_WR)
        for _ in range(3):
            assert brief(ready(kq)) == [f"{fd} WRITE EOF"]


def test_the_peers_fin_is_no_end_of_writing(kq: Any, tcp_pair: Pair) -> None:
    """S-144; trace tcp_fin."""
    fd = tcp_pair.fd_a
    apply(kq, read(fd), write(fd))
    tcp_pair.b.shutdown(socket.SHUT_WR)
    wait_until(lambda: len(ready(kq)) == 2)
    assert sorted(brief(ready(kq))) == [f"{fd} READ EOF d=0", f"{fd} WRITE"]


def test_a_unix_peer_that_closes_is(kq: Any, socketpair: Pair) -> None:
    """S-144."""
    fd = socketpair.fd_a
    assert brief(ready(kq, write(fd))) == [f"{fd} WRITE"]
    socketpair.b.close()
    for _ in range(3):
        assert brief(ready(kq)) == [f"{fd} WRITE EOF"]


def test_a_reset_is(kq: Any, tcp_pair: Pair) -> None:
    """S-144, S-404; trace tcp_rst: told, and left for the program."""
    fd = tcp_pair.fd_a
    assert len(ready(kq, write(fd))) == 1
    tcp_pair.b.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    tcp_pair.b.close()
    wait_until(lambda: brief(ready(kq)) == [f"{fd} WRITE EOF ff=ECONNRESET"])
    assert brief(ready(kq)) == [f"{fd} WRITE EOF ff=ECONNRESET"]
    assert tcp_pair.a.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
    (event,) = ready(kq)
    assert event.flags == EV_EOF


@STREAMS
def test_once(kq: Any, make: Any) -> None:
    """S-069."""
    with make() as pair:
        fd = pair.fd_a
        assert brief(ready(kq, write(fd, EV_ADD | EV_ONESHOT))) == [f"{fd} WRITE ONESHOT"]
        idle(kq)


@STREAMS
def test_without_data(kq: Any, make: Any) -> None:
    """NOTE_NODATA: knote's own; it comes and goes with a change."""
    with make() as pair:
        fd = pair.fd_a
        (event,) = ready(kq, write(fd))
        assert event.data > 0
        (event,) = ready(kq, write(fd, fflags=NOTE_NODATA))
        assert (event.ident, event.flags, event.data) == (fd, 0, 0)
        (event,) = ready(kq, write(fd))
        assert event.data > 0
        (event,) = ready(kq, write(fd, fflags=NOTE_NODATA))
        assert (event.ident, event.flags, event.data) == (fd, 0, 0)
        fill(fd)
        assert ready(kq) == []
        (event,) = ready(kq, write(pair.fd_b))
        assert event.data > 0


def test_full_both_ways(kq: Any, socketpair: Pair) -> None:
    """S-149, S-396; trace ss_both_ends: each end's room is its own."""
    a, b = socketpair.fd_a, socketpair.fd_b
    changes = [make(fd, EV_ADD | EV_CLEAR) for fd in (a, b) for make in (read, write)]
    assert brief(ready(kq, *changes)) == [f"{a} WRITE CLEAR", f"{b} WRITE CLEAR"]
    filled = fill(a)
    assert brief(ready(kq)) == [f"{b} READ CLEAR d={filled}"]
    drain(b)
    assert brief(ready(kq)) == [f"{a} WRITE CLEAR"]
    idle(kq)


def test_deleting_one_leaves_the_other(kq: Any, socketpair: Pair) -> None:
    """S-045, in every order and mode."""
    fd = socketpair.fd_a
    socketpair.b.send(b"x")
    for first, second in ((read, write), (write, read)):
        for clear in (0, EV_CLEAR):
            apply(kq, first(fd, EV_ADD | clear), second(fd, EV_ADD | clear))
            assert ready(kq, first(fd, EV_DELETE)) != []
            assert bool(ready(kq)) is not bool(clear)
            apply(kq, second(fd, EV_DELETE))
            idle(kq)


def test_shut_both_ways_while_it_is_full(kq: Any, socketpair: Pair, pipe: Pipe) -> None:
    """S-143: a hang-up without room, which select(2) does not tell who waits for room; beside what is ready, and
    when somebody would sleep."""
    fill(socketpair.fd_a)
    socketpair.b.shutdown(socket.SHUT_RD)
    socketpair.a.shutdown(socket.SHUT_RD)
    found = ready(kq, write(pipe.w), write(socketpair.a))
    assert sorted((one.ident, one.flags) for one in found) == sorted([(pipe.w, 0), (socketpair.fd_a, EV_EOF)])
    apply(kq, write(pipe.w, EV_DELETE))
    assert idents(kq.control(None, ROOM, SOON)) == [socketpair.fd_a]
