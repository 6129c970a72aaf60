"""Descriptors that are nothing else: eventfd, timerfd, pidfd, inotify, epoll, io_uring, message queues."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import select
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    NOTE_LOWAT,
    NOTE_NODATA,
    kevent,
)
from tests.behaviour.words import apply, idle, read, ready, write
from tests.support.events import brief
from tests.support.plumbing import Pipe
from tests.support.waiting import SOON

INT64_MAX = (1 << 63) - 1
CLOCK_MONOTONIC = 1
SYS_IO_URING_SETUP, SYS_IO_URING_ENTER = 425, 426
LIBC = ctypes.CDLL(None, use_errno=True)


def made(fd: int) -> int:
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return fd


@contextmanager
def owned(fd: int) -> Iterator[int]:
    try:
        yield made(fd)
    finally:
        os.close(fd)


# ---- eventfd -----------------------------------------------------------------------------------


@pytest.fixture
def counter() -> Iterator[int]:
    with owned(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)) as fd:
        yield fd


def test_an_eventfd_counts(kq: Any, counter: int) -> None:
    """S-135, S-416: data is what read(2) would give, and is still there for it."""
    assert ready(kq, read(counter)) == []
    os.eventfd_write(counter, 3)
    for _ in range(3):
        assert brief(ready(kq)) == [f"{counter} READ d=3"]
    os.eventfd_write(counter, 30)
    assert brief(ready(kq)) == [f"{counter} READ d=33"]
    assert os.eventfd_read(counter) == 33
    idle(kq)


def test_an_eventfd_that_is_a_semaphore(kq: Any) -> None:
    """EFD_SEMAPHORE: read(2) gives 1 at a time, and so often."""
    with owned(os.eventfd(2, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)) as fd:
        assert brief(ready(kq, read(fd))) == [f"{fd} READ d=2"]
        assert os.eventfd_read(fd) == 1
        assert brief(ready(kq)) == [f"{fd} READ d=1"]


@pytest.mark.parametrize("count", [1, INT64_MAX, INT64_MAX + 1, (1 << 64) - 2])
def test_an_eventfd_counts_further_than_data(kq: Any, counter: int, count: int) -> None:
    """S-157: and what can be added, as far as 63 bits tell; at its end nothing can."""
    os.eventfd_write(counter, count)
    found = {event.filter: event for event in ready(kq, read(counter), write(counter))}
    kinds = [read(counter).filter, write(counter).filter]
    assert [kind in found for kind in kinds] == [True, count < (1 << 64) - 2]
    assert found[kinds[0]].data == min(count, INT64_MAX)
    if kinds[1] in found:
        assert found[kinds[1]].data == max(INT64_MAX - count, 1)


def test_an_eventfds_edges(kq: Any, counter: int) -> None:
    """S-071: each write is one, read or not."""
    apply(kq, read(counter, EV_ADD | EV_CLEAR))
    for count in (1, 2, 3):
        os.eventfd_write(counter, 1)
        assert brief(ready(kq)) == [f"{counter} READ CLEAR d={count}"]
        idle(kq)


def test_an_eventfd_without_its_count(kq: Any, counter: int) -> None:
    """NOTE_NODATA spares the three system calls."""
    os.eventfd_write(counter, 3)
    found = ready(kq, read(counter, fflags=NOTE_NODATA), write(counter, fflags=NOTE_NODATA))
    assert [event.data for event in found] == [0, 0]


def test_marks_are_for_sockets(kq: Any, counter: int) -> None:
    """S-101 is of sockets; FreeBSD's filter for eventfds does not look at a mark."""
    os.eventfd_write(counter, 3)
    assert brief(ready(kq, read(counter, EV_ADD, NOTE_LOWAT, 100))) == [f"{counter} READ d=3"]


# ---- timerfd -----------------------------------------------------------------------------------


@contextmanager
def alarm(first_ns: int, period_ns: int) -> Iterator[int]:
    with owned(LIBC.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)) as fd:
        times = struct.pack("=4q", *divmod(period_ns, 10**9), *divmod(first_ns, 10**9))
        made(LIBC.timerfd_settime(fd, 0, times, None))
        yield fd


def test_a_timerfd_counts(kq: Any) -> None:
    """As FreeBSD's: expirations that nobody has read, and that read(2) then gives all the same."""
    with alarm(1, 1_000_000) as fd:
        last = 0
        (event,) = kq.control([read(fd)], 1, SOON)
        while event.data < 5:
            assert event.data >= max(last, 1)
            last = event.data
            (event,) = kq.control(None, 1, SOON)
        assert int.from_bytes(os.read(fd, 8), "little") >= event.data


def test_a_timerfd_expires_once(kq: Any) -> None:
    with alarm(1, 0) as fd:
        assert brief(kq.control([read(fd), write(fd)], 2, SOON)) == [f"{fd} READ d=1"]
        os.read(fd, 8)
        idle(kq)


def test_a_timerfds_edges(kq: Any) -> None:
    """Each expiration is one.  What came between an edge and the look at the count is told with both."""
    with alarm(1, 2_000_000) as fd:
        apply(kq, read(fd, EV_ADD | EV_CLEAR))
        counts = [event.data for _ in range(4) for event in kq.control(None, 1, SOON)]
        assert len(counts) == 4
        assert counts == sorted(counts)
        assert counts[0] < counts[3]


# ---- signalfd, pidfd, inotify ------------------------------------------------------------------


def test_a_signalfd(kq: Any) -> None:
    """How many wait is not told; the signal is there for read(2)."""
    mask = struct.pack("=16Q", 1 << (signal.SIGUSR1 - 1), *[0] * 15)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        with owned(LIBC.signalfd(-1, mask, os.O_NONBLOCK | os.O_CLOEXEC)) as fd:
            assert ready(kq, read(fd), write(fd)) == []
            signal.raise_signal(signal.SIGUSR1)
            for _ in range(2):
                assert brief(ready(kq)) == [f"{fd} READ d=0"]
            assert struct.unpack_from("=I", os.read(fd, 128))[0] == signal.SIGUSR1
            idle(kq)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_a_pidfd(kq: Any) -> None:
    """Readable once the child has ended, which stays for whoever waits for it."""
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(w)
        os.read(r, 1)
        os._exit(3)
    os.close(r)
    fd = os.pidfd_open(pid)
    try:
        assert ready(kq, read(fd), write(fd)) == []
        os.close(w)
        for _ in range(2):
            assert brief(kq.control(None, 1, SOON)) == [f"{fd} READ d=0"]
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(fd)
    assert os.waitstatus_to_exitcode(status) == 3


def test_an_inotify(kq: Any, tmp_path: Any) -> None:
    """data is what read(2) gives, in bytes."""
    with owned(LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)) as fd:
        made(LIBC.inotify_add_watch(fd, os.fsencode(tmp_path), select.POLLIN << 8))  # IN_CREATE
        assert ready(kq, read(fd), write(fd)) == []
        (tmp_path / "new").touch()
        (event,) = ready(kq)
        assert event.data == len(os.read(fd, 4096)) > 0
        idle(kq)


# ---- other people's queues ---------------------------------------------------------------------


@pytest.mark.parametrize("flags", [0, EV_CLEAR, EV_DISPATCH, EV_ONESHOT])
def test_an_epoll(kq: Any, pipe: Pipe, flags: int) -> None:
    """Another event loop's descriptor: ready while its own are."""
    with select.epoll() as other:
        other.register(pipe.r, select.EPOLLIN)
        assert ready(kq, read(other, EV_ADD | flags)) == []
        pipe.write(b"x")
        assert [(event.ident, event.data) for event in ready(kq)] == [(other.fileno(), 0)]
        if flags:
            idle(kq)
        pipe.drain()
        idle(kq)
        if flags != EV_ONESHOT:
            apply(kq, read(other, EV_ENABLE))
            pipe.write(b"x")
            assert len(ready(kq)) == 1


class Ring:
    """The smallest io_uring(7): one submission of a NOP at a time."""

    def __init__(self) -> None:
        self.params = (ctypes.c_uint32 * 30)()
        self.fd = made(LIBC.syscall(SYS_IO_URING_SETUP, 8, self.params))

    def nop(self) -> None:
        """Submit what stands in the ring's zeroed memory, which is a NOP."""
        with mmap.mmap(self.fd, 4096, mmap.MAP_SHARED, offset=0) as ring:
            tail = self.params[11]  # sq_off.tail
            (now,) = struct.unpack_from("=I", ring, tail)
            struct.pack_into("=I", ring, tail, now + 1)
        assert made(LIBC.syscall(SYS_IO_URING_ENTER, self.fd, 1, 0, 0, None, 0)) == 1

    def reap(self) -> None:
        """Take all completions."""
        with mmap.mmap(self.fd, 4096, mmap.MAP_SHARED, offset=0) as ring:
            head, tail = self.params[20], self.params[21]  # cq_off
            struct.pack_into("=I", ring, head, struct.unpack_from("=I", ring, tail)[0])


@pytest.mark.needs("io_uring")
def test_an_io_uring(kq: Any) -> None:
    """S-478: readable while completions wait, writable while submissions have room; how many is not told."""
    ring = Ring()
    try:
        assert brief(ready(kq, read(ring.fd), write(ring.fd))) == [f"{ring.fd} WRITE"]
        ring.nop()
        assert sorted(brief(ready(kq))) == [f"{ring.fd} READ d=0", f"{ring.fd} WRITE"]
        ring.reap()
        assert brief(ready(kq)) == [f"{ring.fd} WRITE"]
    finally:
        os.close(ring.fd)


# ---- message queues ----------------------------------------------------------------------------


@pytest.fixture
def messages() -> Iterator[int]:
    """A POSIX message queue of at most three messages, without a name."""
    name = f"/knote-{os.getpid()}".encode()
    attributes = (ctypes.c_long * 8)(0, 3, 16)
    with owned(LIBC.mq_open(name, os.O_CREAT | os.O_RDWR | os.O_NONBLOCK, 0o600, attributes)) as fd:
        LIBC.mq_unlink(name)
        yield fd


@pytest.mark.needs("mq_open")
def test_a_message_queue(kq: Any, messages: int) -> None:
    """S-138: data is the number of messages, and of those that still fit."""
    apply(kq, read(messages), write(messages))
    for waiting in range(4):
        told = {event.filter: event.data for event in ready(kq)}
        wanted = {read(0).filter: waiting, write(0).filter: 3 - waiting}
        assert told == {number: count for number, count in wanted.items() if count}
        if waiting < 3:
            made(LIBC.mq_send(messages, b"hello", 5, 0))
    assert LIBC.mq_receive(messages, ctypes.create_string_buffer(16), 16, None) == 5
    assert {event.data for event in ready(kq)} == {2, 1}


# ---- whatever it is ----------------------------------------------------------------------------

KINDS: dict[str, Callable[[], int]] = {
    "eventfd": lambda: os.eventfd(1),
    "timerfd": lambda: made(LIBC.timerfd_create(CLOCK_MONOTONIC, os.O_CLOEXEC)),
    "pidfd": lambda: os.pidfd_open(os.getpid()),
    "inotify": lambda: made(LIBC.inotify_init1(os.O_CLOEXEC)),
    "epoll": lambda: made(LIBC.epoll_create1(os.O_CLOEXEC)),
    "memfd": lambda: os.memfd_create("knote"),
    "/dev/null": lambda: os.open("/dev/null", os.O_RDWR),
    "/proc": lambda: os.open("/proc/self/stat", os.O_RDONLY),
    "directory": lambda: os.open("/", os.O_RDONLY),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_filter_goes_with_its_descriptor(kq: Any, kind: str) -> None:
    """S-084: the number closed, there is no knote, and nothing spins; open again, it is another file's."""
    fd = KINDS[kind]()
    apply(kq, read(fd), write(fd), kevent(fd, EVFILT_EXCEPT))
    ready(kq)
    os.close(fd)
    assert ready(kq) == []
    idle(kq)
    assert kq.knotes() == []
    with owned(KINDS[kind]()) as again:
        assert again == fd
        assert kq.knotes() == []
        for change in (read, write):
            (entry,) = ready(kq, change(fd, EV_DELETE))
            assert (entry.flags, entry.data) == (EV_ERROR, errno.ENOENT)


@pytest.mark.parametrize("kind", KINDS)
def test_every_filter_can_be_deleted(kq: Any, kind: str) -> None:
    """S-064."""
    with owned(KINDS[kind]()) as fd:
        for change in (read, write):
            apply(kq, change(fd), change(fd, EV_DELETE))
        idle(kq)
        assert kq.knotes() == []
