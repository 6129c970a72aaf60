"""EVFILT_EXCEPT: out-of-band data, and whatever else poll(2) calls POLLPRI."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import termios
from typing import Any

import pytest

from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_ERROR,
    EV_ONESHOT,
    EVFILT_EXCEPT,
    EVFILT_READ,
    EVFILT_WRITE,
    NOTE_OOB,
    kevent,
)
from tests.behaviour.words import apply, idle, read, ready, write
from tests.support.events import keys
from tests.support.plumbing import Pair, Pipe
from tests.support.waiting import SOON, wait_until

TIOCPKT = 0x5420


def exceptional(ident: Any, flags: int = EV_ADD, fflags: int = NOTE_OOB, udata: Any = 0) -> kevent:
    return kevent(ident, EVFILT_EXCEPT, flags, fflags, 0, udata)


def urgent(pair: Pair, byte: bytes = b"!") -> None:
    pair.a.send(byte, socket.MSG_OOB)


def one(events: list[Any]) -> tuple[int, int, int, int]:
    (event,) = events
    assert event.filter == EVFILT_EXCEPT
    return (event.ident, event.flags, event.fflags, event.data)


def test_until_it_is_read(kq: Any, tcp_pair: Pair) -> None:
    """S-162, S-163: level, with NOTE_OOB; ordinary bytes are not its matter."""
    fd = tcp_pair.fd_b
    assert ready(kq, exceptional(fd)) == []
    tcp_pair.a.send(b"abc")
    wait_until(lambda: tcp_pair.b.recv(8, socket.MSG_PEEK))
    idle(kq)
    urgent(tcp_pair)
    for _ in range(3):
        assert one(kq.control(None, 1, SOON)) == (fd, 0, NOTE_OOB, 3)
    assert tcp_pair.b.recv(1, socket.MSG_OOB) == b"!"
    idle(kq)


def test_until_it_is_passed(kq: Any, tcp_pair: Pair) -> None:
    """S-163: whoever reads over the mark has left it behind."""
    apply(kq, exceptional(tcp_pair.b))
    tcp_pair.a.send(b"abc")
    urgent(tcp_pair)
    assert one(kq.control(None, 1, SOON))[2:] == (NOTE_OOB, 3)
    tcp_pair.a.send(b"def")
    wait_until(lambda: tcp_pair.b.recv(8) == b"abc")
    wait_until(lambda: tcp_pair.b.recv(8, socket.MSG_PEEK) == b"def")
    tcp_pair.b.recv(8)
    idle(kq)


def test_without_the_note_as_well(kq: Any, tcp_pair: Pair) -> None:
    """S-162: OpenBSD takes it bare, as poll's POLLPRI; macOS would not."""
    apply(kq, exceptional(tcp_pair.b, fflags=0))
    urgent(tcp_pair)
    assert one(kq.control(None, 1, SOON))[2] == NOTE_OOB


def test_edges(kq: Any, tcp_pair: Pair) -> None:
    """S-071: each urgent byte is one."""
    apply(kq, exceptional(tcp_pair.b, EV_ADD | EV_CLEAR))
    for byte in (b"1", b"2"):
        urgent(tcp_pair, byte)
        assert one(kq.control(None, 1, SOON))[1] == EV_CLEAR
        idle(kq)
        assert tcp_pair.b.recv(1, socket.MSG_OOB) == byte


@pytest.mark.parametrize("flags", [EV_ONESHOT, EV_DISPATCH])
def test_once(kq: Any, tcp_pair: Pair, flags: int) -> None:
    """S-069, S-076."""
    apply(kq, exceptional(tcp_pair.b, EV_ADD | flags))
    urgent(tcp_pair)
    assert one(kq.control(None, 1, SOON))[1] == flags
    idle(kq)
    (event,) = ready(kq, exceptional(tcp_pair.b, EV_ENABLE))
    assert event.flags == (EV_ERROR if flags == EV_ONESHOT else flags)


@pytest.mark.parametrize("flags", [0, EV_CLEAR])
def test_three_on_one_descriptor(kq: Any, tcp_pair: Pair, flags: int) -> None:
    """S-045: each by its own condition, whichever is there."""
    fd = tcp_pair.fd_b
    apply(kq, read(fd, EV_ADD | flags), write(fd, EV_ADD | flags), exceptional(fd, EV_ADD | flags))
    assert keys(ready(kq)) == [(fd, EVFILT_WRITE)]
    urgent(tcp_pair)
    got: set[tuple[int, int]] = set()
    wait_until(lambda: (got.update(keys(ready(kq))), (fd, EVFILT_EXCEPT) in got)[1])
    assert (fd, EVFILT_READ) not in got
    tcp_pair.a.send(b"x")
    wait_until(lambda: (fd, EVFILT_READ) in keys(ready(kq)))
    apply(kq, exceptional(fd, EV_DELETE))
    assert (fd, EVFILT_EXCEPT) not in keys(ready(kq))


def test_a_terminal_in_packet_mode(kq: Any) -> None:
    """What the master is told of the slave's state: POLLPRI, and no NOTE_OOB, which is of sockets."""
    master, slave = os.openpty()
    try:
        fcntl.ioctl(master, TIOCPKT, struct.pack("i", 1))
        apply(kq, exceptional(master))
        idle(kq)
        termios.tcflush(slave, termios.TCIOFLUSH)
        assert one(kq.control(None, 1, SOON)) == (master, 0, 0, 0)
    finally:
        os.close(master)
        os.close(slave)


def test_mounts_are_silent_until_one_changes(kq: Any) -> None:
    """S-395: a file of /proc that poll(2) knows."""
    with open("/proc/self/mounts") as mounts:
        poller = select.poll()
        poller.register(mounts, select.POLLPRI)
        assert poller.poll(0) == []
        apply(kq, exceptional(mounts))
        idle(kq)


def test_what_has_nothing_exceptional(kq: Any, pipe: Pipe, socketpair: Pair) -> None:
    """Taken, and silent; a kqueue is refused (S-015)."""
    with open(__file__) as file, open("/dev/null") as null:
        for thing in (pipe.r, socketpair.a, file, null):
            assert ready(kq, exceptional(thing)) == []
        pipe.write(b"x")
        idle(kq)
    (entry,) = ready(kq, exceptional(kq.fileno()))
    assert (entry.flags, entry.data) == (EV_ERROR, errno.EINVAL)
    (entry,) = ready(kq, exceptional(1 << 20))
    assert (entry.flags, entry.data) == (EV_ERROR, errno.EBADF)


@pytest.mark.needs("errors unasked")
def test_the_peer_that_leaves_is_no_exception(kq: Any, tcp_pair: Pair) -> None:
    """Neither its end nor its reset, and neither makes a wait spin."""
    apply(kq, exceptional(tcp_pair.b))
    tcp_pair.a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    tcp_pair.a.close()
    wait_until(lambda: select.select([tcp_pair.b], [], [], 0)[0])
    kq.control(None, 1, 0.01)
    idle(kq)
