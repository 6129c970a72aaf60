"""The number of a queue, in the hands of everything that takes a descriptor."""

from __future__ import annotations

import array
import errno
import fcntl
import mmap
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

import knote
from knote import EV_ADD, EV_CLEAR, EV_EOF, EV_ERROR, NOTE_NSECONDS, kevent
from tests.behaviour.words import apply, polls, read, ready, timer, trigger, user, write
from tests.support.events import brief
from tests.support.plumbing import Pair, fill
from tests.support.waiting import SOON, wait_until

REFUSED: dict[str, tuple[Callable[[int], object], int]] = {
    "read": (lambda fd: os.read(fd, 8), errno.EINVAL),
    "write": (lambda fd: os.write(fd, b"x"), errno.EINVAL),
    "ftruncate": (lambda fd: os.ftruncate(fd, 0), errno.EINVAL),
    "mmap": (lambda fd: mmap.mmap(fd, 4096, mmap.MAP_SHARED), errno.ENODEV),
    "fchdir": (os.fchdir, errno.ENOTDIR),
    "recv": (lambda fd: socket.socket(fileno=fd), errno.ENOTSOCK),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_no_file(kq: Any, what: str) -> None:
    """S-010: what it is not, it says it is not (lseek(2) says 0), and the queue is none the worse."""
    call, number = REFUSED[what]
    apply(kq, user(1), trigger(1))
    with pytest.raises(OSError) as caught:
        call(kq.fileno())
    assert caught.value.errno == number
    assert brief(ready(kq)) == ["1 USER d=0"]


def test_what_fstat_says(kq: Any) -> None:
    """S-011: FreeBSD says S_IFIFO; an epoll descriptor has no type."""
    found = os.fstat(kq.fileno())
    assert (stat.S_IFMT(found.st_mode), found.st_size) == (0, 0)


def test_no_signal_for_a_queue(kq: Any) -> None:
    """S-012: SIGIO for a queue is not to be had."""
    with pytest.raises(OSError, match=r"Inappropriate|Invalid"):
        fcntl.ioctl(kq.fileno(), 0x5452, array.array("i", [1]))  # FIOASYNC


def test_sent_to_another(kq: Any, socketpair: Pair) -> None:
    """S-007: FreeBSD refuses to send it; here it goes, and is a descriptor that polls and no queue."""
    apply(kq, user(1))
    socket.send_fds(socketpair.a, [b"x"], [kq.fileno()])
    _, (got,), _, _ = socket.recv_fds(socketpair.b, 1, 1)
    try:
        with pytest.raises(OSError, match="is no kqueue of this process"):
            knote.kqueue.fromfd(got).control(None, 1, 0)
        apply(kq, trigger(1))
        assert polls(kq)
        assert len(ready(kq)) == 1
    finally:
        os.close(got)


def test_a_limit_on_descriptors_is_no_limit_on_knotes(kq: Any) -> None:
    """S-258: FreeBSD's kern.kq_calloutmax has no match: memory is the limit."""
    apply(kq, *(timer(ident, data=3_600_000) for ident in range(5000)))
    assert len(kq.knotes()) == 5000


# ---- what an event says, beside the traces ------------------------------------------------------


def test_notes_of_an_event_are_the_filters(kq: Any, socketpair: Pair) -> None:
    """S-062, S-241: they do not echo those of the change."""
    socketpair.b.send(b"12345")
    changes = [
        read(socketpair.a, EV_ADD, knote.NOTE_LOWAT, 2),
        write(socketpair.a, EV_ADD, knote.NOTE_LOWAT, 2),
        timer(1, EV_ADD, NOTE_NSECONDS, 1),
    ]
    apply(kq, *changes)
    found: list[Any] = []
    wait_until(lambda: (found.extend(ready(kq)), len({event.filter for event in found}) == 3)[1])
    assert {event.fflags for event in found} == {0}


def test_room_that_is_left_at_the_end(kq: Any, tcp_pair: Pair) -> None:
    """S-145, S-081: with EV_EOF data is the room all the same; EV_EOF in a change means nothing."""
    apply(kq, write(tcp_pair.a, EV_ADD | EV_EOF | EV_ERROR))
    assert [event.flags for event in ready(kq)] == [0]
    fill(tcp_pair.fd_a)
    tcp_pair.a.shutdown(socket.SHUT_WR)
    tcp_pair.b.close()
    (event,) = kq.control(None, 1, SOON)
    assert event.flags == EV_EOF
    assert event.data >= 1


def test_an_error_does_not_end_a_timer(kq: Any) -> None:
    """S-083: a re-ADD that is refused is an error of the change, never of the knote."""
    apply(kq, timer(1, EV_ADD | EV_CLEAR, data=1))
    (entry,) = ready(kq, timer(1, EV_ADD, 0xFF, 1))
    assert (entry.flags, entry.data) == (EV_ERROR, errno.EINVAL)
    assert [event.flags for event in kq.control(None, 1, SOON)] == [EV_CLEAR]


def test_a_stopped_process_goes_on_counting() -> None:
    """S-259: newer FreeBSDs pause the timers of a stopped process; here time goes on."""
    code = (
        "import knote, sys\n"
        "kq = knote.kqueue()\n"
        "kq.control([knote.kevent(1, knote.EVFILT_TIMER, data=5)], 0)\n"
        "print(flush=True)\n"
        "sys.stdin.readline()\n"
        "print(kq.control(None, 1, 5)[0].data)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGSTOP)
        end = time.monotonic() + 0.06
        wait_until(lambda: time.monotonic() >= end)
        child.send_signal(signal.SIGCONT)
        child.stdin.write("\n")
        child.stdin.flush()
        assert int(child.stdout.readline()) >= 10


def test_attach_that_fails_leaves_the_others(kq: Any, socketpair: Pair) -> None:
    """S-054: of one descriptor two filters are refused and two are not."""
    fd = kq.fileno()
    other = knote.kqueue()
    try:
        found = ready(other, read(fd), write(fd), kevent(fd, knote.EVFILT_EMPTY), read(socketpair.a))
        assert [(event.filter, event.data) for event in found] == [
            (knote.EVFILT_WRITE, errno.EINVAL), (knote.EVFILT_EMPTY, errno.EINVAL)
        ]  # fmt: skip
        assert sorted(each.ident for each in other.knotes()) == sorted([fd, socketpair.fd_a])
    finally:
        other.close()
