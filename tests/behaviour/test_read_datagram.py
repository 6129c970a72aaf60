"""EVFILT_READ on datagram sockets: every datagram is news, also an empty one."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from knote import EV_ADD, EV_CLEAR, EV_EOF, EV_ERROR
from tests.behaviour.words import ROOM, apply, idle, read, ready, write
from tests.support.events import brief, keys
from tests.support.plumbing import LOCALHOST, Pair, arrived, unix_pair
from tests.support.waiting import SOON


def udp_pair() -> Pair:
    """Two UDP sockets of the loopback, connected to each other."""
    a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "ab")
    for sock in (a, b):
        sock.bind((LOCALHOST, 0))
        sock.setblocking(False)
    a.connect(b.getsockname())
    b.connect(a.getsockname())
    return Pair(a, b)


@pytest.fixture(params=["udp", "unix"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    made = udp_pair() if request.param == "udp" else unix_pair(socket.SOCK_DGRAM)
    yield made
    made.close()


def test_the_first_one_is_counted(kq: Any, pair: Pair) -> None:
    """S-113, "Decided" 5: at least the size of the first, which is what Linux tells."""
    assert ready(kq, read(pair.fd_a)) == []
    pair.b.send(b"0123456789")
    arrived(pair.fd_a)
    assert brief(ready(kq)) == [f"{pair.fd_a} READ d=10"]
    pair.b.send(b"12345")
    (event,) = ready(kq)
    assert event.data >= 10
    assert pair.a.recv(event.data) == b"0123456789"
    assert brief(ready(kq)) == [f"{pair.fd_a} READ d=5"]
    pair.a.recv(1)
    idle(kq)


def test_an_empty_one_is_one(kq: Any, pair: Pair) -> None:
    """S-114; trace ss_dgram_zero."""
    apply(kq, read(pair.fd_a))
    pair.b.send(b"")
    arrived(pair.fd_a)
    assert brief(ready(kq)) == [f"{pair.fd_a} READ d=0"]
    assert pair.a.recv(10) == b""
    idle(kq)


def test_edges(kq: Any, pair: Pair) -> None:
    """S-071: one for each that arrives, whether or not the others were read."""
    apply(kq, read(pair.fd_a, EV_ADD | EV_CLEAR))
    for _ in range(3):
        pair.b.send(b"123")
        assert keys(kq.control(None, ROOM, SOON)) == [(pair.fd_a, -1)]
        assert ready(kq) == []


def test_always_room_to_write(kq: Any, pair: Pair) -> None:
    """S-147."""
    (event,) = ready(kq, write(pair.fd_a))
    assert event.data > 0
    assert not event.flags & (EV_EOF | EV_ERROR)


def test_a_peer_that_closes_is_no_end(kq: Any) -> None:
    """S-115; trace ss_dgram_close."""
    with unix_pair(socket.SOCK_DGRAM) as pair:
        apply(kq, read(pair.fd_a), write(pair.fd_a))
        pair.b.close()
        assert brief(ready(kq)) == [f"{pair.fd_a} WRITE"]


def test_an_error_is_something_to_read_and_no_end(kq: Any) -> None:
    """S-106: ICMP port unreachable; read(2) then gives it, so nobody took it."""
    with udp_pair() as pair:
        fd = pair.fd_a
        assert ready(kq, read(fd)) == []
        pair.b.close()
        pair.a.send(b"to nobody")
        (event,) = kq.control(None, ROOM, SOON)
        assert (event.ident, event.flags, event.fflags, event.data) == (fd, 0, 0, 0)
        with pytest.raises(ConnectionRefusedError) as raised:
            pair.a.recv(1)
        assert raised.value.errno == errno.ECONNREFUSED
        idle(kq)
