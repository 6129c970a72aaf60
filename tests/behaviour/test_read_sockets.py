"""EVFILT_READ on stream sockets: exact counts, ends, errors that are told and not taken."""

from __future__ import annotations

import errno
import os
import socket
import struct
from functools import partial
from typing import Any

import pytest

import knote
from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_DISPATCH, EV_ENABLE, EV_EOF, NOTE_NODATA
from tests.behaviour.words import ROOM, apply, idle, read, ready, write
from tests.support import kernelcalls
from tests.support.events import brief, keys
from tests.support.faults import Faults, play
from tests.support.plumbing import LOCALHOST, Pair, arrived, tcp_pair, unix_pair
from tests.support.waiting import SOON

(RECV,) = kernelcalls.of("recv")
STREAMS = pytest.mark.parametrize("make", [tcp_pair, unix_pair], ids=["tcp", "unix"])


def reset(sock: socket.socket) -> None:
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind((LOCALHOST, 0))
        return int(sock.getsockname()[1])


def collect(kq: Any, *changes: Any) -> list[str]:
    """What is true within SOON; TCP over the loopback may take its time."""
    return brief(kq.control(changes, ROOM, SOON))


@STREAMS
def test_data_is_what_can_be_read(kq: Any, make: Any) -> None:
    """S-100, S-112; traces tcp_data, ss_read_counts."""
    with make() as pair:
        assert ready(kq, read(pair.fd_a)) == []
        pair.b.send(b"0123456789")
        arrived(pair.fd_a)
        assert brief(ready(kq)) == [f"{pair.fd_a} READ d=10"]
        pair.a.recv(7)
        assert brief(ready(kq)) == [f"{pair.fd_a} READ d=3"]
        pair.a.recv(100)
        idle(kq)


@STREAMS
def test_edges(kq: Any, make: Any) -> None:
    """S-071, S-072, S-110: each arrival, all that is there; a partial read is nothing new."""
    with make() as pair:
        fd = pair.fd_a
        apply(kq, read(fd, EV_ADD | EV_CLEAR))
        for total in (3, 6, 9):
            pair.b.send(b"123")
            assert collect(kq) == [f"{fd} READ CLEAR d={total}"]
            assert ready(kq) == []
        pair.a.recv(4)
        idle(kq)


@STREAMS
def test_drained_before_it_was_collected(kq: Any, make: Any) -> None:
    """S-074, S-112; trace pipe_clear_drained_before_collect."""
    with make() as pair:
        fd = pair.fd_a
        for flags in (0, EV_CLEAR):
            apply(kq, read(fd, EV_ADD | flags))
            pair.b.send(b"123")
            arrived(fd)
            pair.a.recv(100)
            idle(kq)
            pair.b.send(b"4")
            arrived(fd)
            assert [event.data for event in ready(kq)] == [1]
            pair.a.recv(1)
            apply(kq, read(fd, EV_DELETE))


@STREAMS
def test_end_with_data_still_there(kq: Any, make: Any) -> None:
    """S-104, S-082; traces ss_shut_wr_peer, tcp_fin: EOF again and again, with what is unread."""
    with make() as pair:
        fd = pair.fd_a
        apply(kq, read(fd))
        pair.b.send(b"12")
        pair.b.shutdown(socket.SHUT_WR)
        arrived(fd)
        assert collect(kq) == [f"{fd} READ EOF d=2"]
        pair.a.recv(2)
        for _ in range(3):
            assert brief(ready(kq)) == [f"{fd} READ EOF d=0"]
        pair.a.send(b"half a connection goes on")
        assert pair.b.recv(100)


@STREAMS
def test_own_shut_rd(kq: Any, make: Any) -> None:
    """S-104; traces ss_shut_rd_self, tcp_shut_rd."""
    with make() as pair:
        fd = pair.fd_a
        assert ready(kq, read(fd)) == []
        pair.a.shutdown(socket.SHUT_RD)
        assert brief(ready(kq)) == [f"{fd} READ EOF d=0"]


@STREAMS
def test_the_end_is_an_edge_once(kq: Any, make: Any) -> None:
    """S-111; traces tcp_clear_fin_after_data, ss_clear_data_then_eof."""
    with make() as pair:
        fd = pair.fd_a
        apply(kq, read(fd, EV_ADD | EV_CLEAR))
        pair.b.send(b"123")
        assert collect(kq) == [f"{fd} READ CLEAR d=3"]
        pair.b.shutdown(socket.SHUT_WR)
        assert collect(kq) == [f"{fd} READ CLEAR|EOF d=3"]
        pair.a.recv(3)
        idle(kq)
        assert brief(ready(kq, read(fd, EV_ENABLE))) == [f"{fd} READ CLEAR|EOF d=0"]


def test_dispatch_and_the_end(kq: Any, socketpair: Pair) -> None:
    """Trace ss_dispatch_eof."""
    fd = socketpair.fd_a
    apply(kq, read(fd, EV_ADD | EV_DISPATCH))
    socketpair.b.send(b"1")
    assert brief(ready(kq)) == [f"{fd} READ DISPATCH d=1"]
    socketpair.b.close()
    idle(kq)
    assert brief(ready(kq, read(fd, EV_ENABLE))) == [f"{fd} READ DISPATCH|EOF d=1"]


def test_seqpacket_counts_all_packets(kq: Any) -> None:
    """S-409; trace ss_seqpacket."""
    with unix_pair(socket.SOCK_SEQPACKET) as pair:
        fd = pair.fd_a
        assert ready(kq, read(fd)) == []
        pair.b.send(b"12345")
        pair.b.send(b"123456")
        assert brief(ready(kq)) == [f"{fd} READ d=11"]
        pair.a.recv(2)
        assert brief(ready(kq)) == [f"{fd} READ d=6"]
        pair.b.close()
        assert brief(ready(kq)) == [f"{fd} READ EOF d=6"]


# ---- resets and refusals -----------------------------------------------------------------------


def test_a_reset_is_told_and_not_taken(kq: Any, tcp_pair: Pair) -> None:
    """S-105, S-404; trace tcp_rst: fflags has the error, and the program still gets it."""
    fd = tcp_pair.fd_a
    apply(kq, read(fd))
    reset(tcp_pair.b)
    for _ in range(3):
        assert collect(kq) == [f"{fd} READ EOF ff=ECONNRESET d=0"]
    with pytest.raises(ConnectionResetError):
        tcp_pair.a.recv(1)
    (event,) = ready(kq)
    assert event.flags == EV_EOF


@pytest.mark.parametrize("order", ["read first", "write first", "read", "write"])
def test_a_refused_connection_keeps_its_error(kq: Any, order: str) -> None:
    """S-108, S-142, S-344, S-404: asyncio asks SO_ERROR after the event, and must find it."""
    with socket.socket() as sock:
        fd = sock.fileno()
        sock.setblocking(False)
        changes = {"read": [read(fd)], "write": [write(fd)], "read first": [read(fd), write(fd)]}
        changes["write first"] = changes["read first"][::-1]
        assert sock.connect_ex((LOCALHOST, unused_port())) == errno.EINPROGRESS
        apply(kq, *changes[order])
        arrived(fd)
        for _ in range(3):
            events = kq.control(None, ROOM, SOON)
            assert sorted(keys(events)) == sorted((fd, c.filter) for c in changes[order])
            assert {(e.flags, e.fflags) for e in events} == {(EV_EOF, errno.ECONNREFUSED)}
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_a_socket_that_never_connected_says_nothing(kq: Any) -> None:
    """S-107, S-141, S-405: poll(2) calls it OUT|HUP, and by level that would spin."""
    for family in (socket.AF_INET, socket.AF_UNIX):
        with socket.socket(family) as sock:
            assert ready(kq, read(sock), write(sock)) == []
            idle(kq)
            apply(kq, read(sock, EV_DELETE), write(sock, EV_DELETE))


def test_registered_before_it_connects(kq: Any) -> None:
    """S-108, S-142: silent while it is on its way, then room to write, then data."""
    with socket.create_server((LOCALHOST, 0)) as server, socket.socket() as sock:
        fd = sock.fileno()
        sock.setblocking(False)
        assert ready(kq, read(fd), write(fd)) == []
        sock.connect_ex(server.getsockname())
        assert collect(kq) == [f"{fd} WRITE"]
        other, _ = server.accept()
        with other:
            other.send(b"123")
            arrived(fd)
            assert brief(ready(kq)) == [f"{fd} WRITE", f"{fd} READ d=3"]


def test_a_unix_socket_registered_before_it_connects(kq: Any, tmp_path: Any) -> None:
    """S-405 for AF_UNIX."""
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as sock:
        server.bind(str(tmp_path / "s"))
        server.listen()
        assert ready(kq, read(sock), write(sock)) == []
        sock.connect(str(tmp_path / "s"))
        assert collect(kq) == [f"{sock.fileno()} WRITE"]
        other, _ = server.accept()
        with other:
            other.send(b"123")
            assert brief(ready(kq)) == [f"{sock.fileno()} WRITE", f"{sock.fileno()} READ d=3"]


def test_a_unix_peer_that_closes_with_data_unread(kq: Any, socketpair: Pair) -> None:
    """S-404: ECONNRESET, and the program still gets it."""
    fd = socketpair.fd_a
    apply(kq, read(fd))
    socketpair.a.send(b"never read")
    socketpair.b.close()
    (event,) = ready(kq)
    assert event.flags == EV_EOF
    assert event.fflags in (0, errno.ECONNRESET)
    assert socketpair.a.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


# ---- the urgent byte, no data ------------------------------------------------------------------


def test_urgent_byte_is_not_data(kq: Any, tcp_pair: Pair) -> None:
    """S-109; trace tcp_oob: and what comes behind it is counted."""
    fd = tcp_pair.fd_a
    apply(kq, read(fd, EV_ADD | EV_CLEAR))
    tcp_pair.b.send(b"!", socket.MSG_OOB)
    assert kq.control(None, ROOM, 0.02) == []
    tcp_pair.b.send(b"12")
    assert collect(kq) == [f"{fd} READ CLEAR d=2"]


def interrupted_behind_the_urgent_byte(engine: str, faults: Faults) -> None:
    os.environ["KNOTE_IO_URING"] = "1"  # else no ring is made under a filter, which is one
    with tcp_pair() as pair, knote.kqueue(engine=engine) as queue:
        apply(queue, read(pair.fd_a, EV_ADD | EV_CLEAR))
        pair.b.send(b"!", socket.MSG_OOB)
        pair.b.send(b"12")
        arrived(pair.fd_a)
        faults.arm(errno.EAGAIN, number=RECV, nth=0)
        got = queue.control(None, ROOM, SOON)
        faults.disarm()
        assert faults.hits
        assert [event.data for event in got] == [2]


@pytest.mark.needs("calls that fail")
def test_a_signal_behind_the_urgent_byte(engine: str) -> None:
    """recv(2) says EAGAIN there to a thread that has something else to do, io_uring's work for example."""
    play(partial(interrupted_behind_the_urgent_byte, engine), (RECV,))


@STREAMS
def test_without_data(kq: Any, make: Any) -> None:
    """NOTE_NODATA: knote's own; the event is the same but for data, and the end is still told."""
    with make() as pair:
        fd = pair.fd_a
        assert ready(kq, read(fd, fflags=NOTE_NODATA)) == []
        pair.b.send(b"123")
        arrived(fd)
        assert brief(ready(kq)) == [f"{fd} READ d=0"]
        assert pair.a.recv(10) == b"123"
        idle(kq)
        pair.b.shutdown(socket.SHUT_WR)
        arrived(fd)
        (event,) = ready(kq)
        assert event.flags == EV_EOF
        assert brief(ready(kq, read(fd))) == [f"{fd} READ EOF d=0"]


def test_reading_what_is_told_never_blocks(kq: Any) -> None:
    """S-331: data bytes are there, on a blocking socket."""
    a, b = socket.socketpair()
    with a, b:
        a.send(b"foo")
        events = kq.control([read(a), read(b)], 1, SOON)
        assert keys(events) == [(b.fileno(), -1)]
        assert b.recv(events[0].data) == b"foo"


def test_a_large_count(kq: Any, socketpair: Pair) -> None:
    """S-100: all of it."""
    sent = 0
    try:
        while True:
            sent += socketpair.b.send(bytes(4096))
    except BlockingIOError:
        pass
    assert brief(ready(kq, read(socketpair.fd_a))) == [f"{socketpair.fd_a} READ d={sent}"]
    assert len(os.read(socketpair.fd_a, sent)) == sent
