"""EVFILT_EMPTY: a socket has sent all that it was given."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_ERROR,
    EV_ONESHOT,
    EVFILT_EMPTY,
    kevent,
)
from tests.behaviour.words import apply, idle, read, ready, write
from tests.support.events import brief, keys
from tests.support.plumbing import Pair, Pipe, connected, drain, fill, listener, unix_pair
from tests.support.waiting import SOON, wait_until


def empty(ident: Any, flags: int = EV_ADD, udata: Any = 0) -> kevent:
    return kevent(ident, EVFILT_EMPTY, flags, 0, 0, udata)


@pytest.fixture
def full() -> Iterator[Pair]:
    """A connection whose client has more under way than its server takes."""
    with listener() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        pair = connected(server)
    fill(pair.fd_a)
    yield pair
    pair.close()


def test_an_idle_connection_is_empty(kq: Any, tcp_pair: Pair) -> None:
    """S-159: by level at each call, and data is 0; received bytes are not its matter."""
    tcp_pair.b.send(b"x")
    for _ in range(2):
        assert brief(ready(kq, empty(tcp_pair.a, udata=7))) == [f"{tcp_pair.fd_a} EMPTY d=0 u=7"]


def test_until_all_is_acknowledged(kq: Any, full: Pair) -> None:
    """S-161: unsent and unacknowledged bytes count; the last acknowledgement wakes who waits."""
    assert ready(kq, empty(full.a)) == []
    idle_without_a_word(kq)
    reader = threading.Thread(target=take_all, args=(full,))
    reader.start()
    assert brief(kq.control(None, 1, SOON)) == [f"{full.fd_a} EMPTY d=0"]
    full.a.shutdown(socket.SHUT_WR)
    reader.join()


def take_all(pair: Pair) -> None:
    pair.b.setblocking(True)
    while pair.b.recv(1 << 16):
        pass


def idle_without_a_word(kq: Any) -> None:
    """Nothing comes; it is looked at now and then, so the descriptor may be readable at times."""
    assert kq.control(None, 8, 0.02) == []


def test_edges(kq: Any, tcp_pair: Pair) -> None:
    """S-071: once when it is added, and once for each time that it was given something which has arrived."""
    assert len(ready(kq, empty(tcp_pair.a, EV_ADD | EV_CLEAR))) == 1
    assert ready(kq) == []
    for _ in range(3):
        idle_without_a_word(kq)
        tcp_pair.a.send(b"x" * 1000)
        assert brief(kq.control(None, 8, SOON)) == [f"{tcp_pair.fd_a} EMPTY CLEAR d=0"]
        assert ready(kq) == []


@pytest.mark.parametrize("flags", [0, EV_CLEAR])
def test_a_reset_throws_away_what_was_under_way(kq: Any, full: Pair, flags: int) -> None:
    """As FreeBSD's soisdisconnected(): nothing is under way any more, though SIOCOUTQ goes on to count it.  No
    EV_EOF, which READ and WRITE tell."""
    assert ready(kq, empty(full.a, EV_ADD | flags)) == []
    full.b.close()  # with bytes that it has not read: a reset
    (event,) = kq.control(None, 8, SOON)
    assert (event.ident, event.filter, event.flags, event.fflags, event.data) == (full.fd_a, -13, flags, 0, 0)
    assert len(ready(kq)) == (flags == 0)
    if flags:
        idle_without_a_word(kq)


@pytest.mark.parametrize("end", ["a", "b"])
def test_an_edge_of_the_end(kq: Any, tcp_pair: Pair, end: str) -> None:
    """FreeBSD wakes for it though the buffer was empty before; of who connected and of who was connected to."""
    mine, other = (tcp_pair.a, tcp_pair.b) if end == "a" else (tcp_pair.b, tcp_pair.a)
    assert len(ready(kq, empty(mine, EV_ADD | EV_CLEAR))) == 1
    idle_without_a_word(kq)
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    other.close()
    assert brief(kq.control(None, 8, SOON)) == [f"{mine.fileno()} EMPTY CLEAR d=0"]
    idle_without_a_word(kq)


def test_an_edge_of_the_beginning(kq: Any, tcp_listener: Any) -> None:
    """soisconnected() wakes as well."""
    with socket.socket() as one:
        assert len(ready(kq, empty(one, EV_ADD | EV_CLEAR))) == 1
        idle_without_a_word(kq)
        one.connect(tcp_listener.getsockname())
        assert brief(kq.control(None, 8, SOON)) == [f"{one.fileno()} EMPTY CLEAR d=0"]
        idle_without_a_word(kq)


def test_an_edge_of_another_threads_bytes(kq: Any, tcp_pair: Pair) -> None:
    """While this one waits."""
    assert len(ready(kq, empty(tcp_pair.a, EV_ADD | EV_CLEAR))) == 1
    waiting = threading.Event()
    got: list[Any] = []

    def wait() -> None:
        waiting.set()
        got.extend(kq.control(None, 8, SOON))

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait(SOON)
    tcp_pair.a.send(b"x")
    thread.join()
    assert brief(got) == [f"{tcp_pair.fd_a} EMPTY CLEAR d=0"]


@pytest.mark.parametrize("flags", [EV_ENABLE, EV_ADD])
def test_a_change_evaluates_an_edge_afresh(kq: Any, tcp_pair: Pair, flags: int) -> None:
    """S-073."""
    assert len(ready(kq, empty(tcp_pair.a, EV_ADD | EV_CLEAR))) == 1
    for _ in range(2):
        assert ready(kq) == []
        assert len(ready(kq, empty(tcp_pair.a, flags))) == 1


@pytest.mark.parametrize("flags", [EV_ONESHOT, EV_ONESHOT | EV_CLEAR, EV_DISPATCH, EV_DISPATCH | EV_CLEAR])
def test_once(kq: Any, tcp_pair: Pair, flags: int) -> None:
    """S-069, S-076."""
    assert len(ready(kq, empty(tcp_pair.a, EV_ADD | flags))) == 1
    tcp_pair.a.send(b"x")
    assert kq.control(None, 8, 0.02) == []
    (entry, *_) = ready(kq, empty(tcp_pair.a, EV_ENABLE))
    if flags & EV_ONESHOT:
        assert (entry.flags, entry.data) == (EV_ERROR, errno.ENOENT)
    else:
        assert entry.flags & EV_DISPATCH


def test_disabled_and_deleted_with_bytes_under_way(kq: Any, full: Pair) -> None:
    """S-064, S-066: nobody looks any more."""
    assert ready(kq, empty(full.a)) == []
    assert ready(kq, empty(full.a, EV_DISABLE)) == []
    kq.control(None, 8, 0.01)
    idle(kq)
    assert ready(kq, empty(full.a, EV_ENABLE)) == []
    assert ready(kq, empty(full.a, EV_DELETE)) == []
    kq.control(None, 8, 0.01)
    idle(kq)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_what_is_with_its_receiver_is_sent(kq: Any, kind: int) -> None:
    """Trace ss_empty_filter: a UNIX socket is always empty, whatever its peer has not read."""
    with unix_pair(kind) as pair:
        assert isinstance(pair, Pair)
        pair.a.send(b"x")
        assert len(ready(kq, empty(pair.a))) == 1


def test_a_listener_is_empty(kq: Any, tcp_listener: Any) -> None:
    """S-160."""
    assert brief(ready(kq, empty(tcp_listener))) == [f"{tcp_listener.fileno()} EMPTY d=0"]
    assert brief(ready(kq, empty(tcp_listener, EV_ADD | EV_CLEAR))) == [f"{tcp_listener.fileno()} EMPTY d=0"]


def test_only_sockets_can_be(kq: Any, pipe: Pipe) -> None:
    """S-160, S-041: EINVAL, and of a number that is closed EBADF."""
    with open("/dev/null") as null, open(__file__) as file:
        for fd in (pipe.w, null.fileno(), file.fileno(), kq.fileno()):
            (entry,) = ready(kq, empty(fd))
            assert (entry.flags, entry.data) == (EV_ERROR, errno.EINVAL)
    (entry,) = ready(kq, empty(1 << 20))
    assert (entry.flags, entry.data) == (EV_ERROR, errno.EBADF)
    assert kq.knotes() == []


def test_beside_the_others_of_its_descriptor(kq: Any, full: Pair) -> None:
    """S-045: three knotes, three conditions."""
    apply(kq, read(full.a), write(full.a), empty(full.a))
    assert ready(kq) == []
    full.b.send(b"x")
    assert keys(kq.control(None, 8, SOON)) == [(full.fd_a, -1)]
    full.a.recv(1)

    def both() -> bool:
        drain(full.fd_b)
        return set(keys(ready(kq))) == {(full.fd_a, -2), (full.fd_a, EVFILT_EMPTY)}

    wait_until(both)


def test_closed_with_bytes_under_way(kq: Any, full: Pair) -> None:
    """S-084: with a dup that keeps it open."""
    kept = os.dup(full.fd_a)
    try:
        assert ready(kq, empty(full.a)) == []
        full.a.close()
        take = threading.Thread(target=take_all, args=(full,))
        take.start()
        assert kq.control(None, 8, 0.03) == []
        assert kq.knotes() == []
    finally:
        os.close(kept)
        take.join()
