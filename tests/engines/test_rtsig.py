"""Engine rtsig: what it does to files, and to whom its signals go, beside what every engine is asked.

A wait without a timeout is ended by a signal or not at all.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import knote
from knote import EV_ADD, EV_DELETE, EVFILT_READ, EVFILT_WRITE, kevent
from tests import gates
from tests.support import leaks
from tests.support.apart import apart
from tests.support.plumbing import Pipe, tcp_pair, unix_pair
from tests.support.waiting import SOON, wait_until

pytestmark = pytest.mark.needs(engine="rtsig")
F_SETSIG, F_GETSIG, F_GETOWN_EX = 10, 11, 16


@pytest.fixture
def queue() -> Iterator[Any]:
    gates.apply("rtsig")
    with knote.kqueue(engine="rtsig") as made:
        yield made


def read(fd: int, flags: int = EV_ADD) -> kevent:
    return kevent(fd, EVFILT_READ, flags)


def idents(queue: Any, seconds: float | None = 0) -> list[int]:
    return sorted(event.ident for event in queue.control(None, 64, seconds))


def settings(fd: int) -> tuple[int, int, bytes]:
    """Flags, signal, owner."""
    return fcntl.fcntl(fd, fcntl.F_GETFL), fcntl.fcntl(fd, F_GETSIG), fcntl.fcntl(fd, F_GETOWN_EX, bytes(8))


def later(what: Callable[..., Any], *arguments: Any) -> threading.Timer:
    """Done by another thread while this one sleeps, or a little before: both must wake it."""
    timer = threading.Timer(0.01, what, arguments)
    timer.start()
    return timer


# ---- what it does to a file --------------------------------------------------------------------


@pytest.mark.parametrize("ends", ["knote", "queue"])
def test_it_alters_the_file_and_puts_it_back(pipe: Pipe, ends: str) -> None:
    """S-383; the trait `alters_files`.  Other flags stay as the program sets them meanwhile."""
    gates.apply("rtsig")
    before = settings(pipe.r)
    with knote.kqueue(engine="rtsig") as queue:
        queue.control([read(pipe.r)], 0)
        flags, signo, owner = settings(pipe.r)
        assert flags == before[0] | os.O_ASYNC
        assert signal.SIGRTMIN < signo <= signal.SIGRTMAX
        kind, tid = struct.unpack("ii", owner)
        assert (kind, tid in leaks.tasks(), tid == os.getpid()) == (0, True, False)  # F_OWNER_TID
        os.set_blocking(pipe.r, True)
        if ends == "knote":
            queue.control([read(pipe.r, EV_DELETE)], 0)
            assert settings(pipe.r) == (before[0] & ~os.O_NONBLOCK, *before[1:])
    assert settings(pipe.r) == (before[0] & ~os.O_NONBLOCK, *before[1:])


def test_what_has_an_owner_is_left_alone_and_polled(queue: Any, pipe: Pipe) -> None:
    """SIGIO or SIGURG may be somebody's."""
    fcntl.fcntl(pipe.r, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe.r, F_SETSIG, signal.SIGURG)
    before = settings(pipe.r)
    queue.control([read(pipe.r)], 0)
    assert settings(pipe.r) == before
    writer = later(pipe.write, b"x")
    assert idents(queue, None) == [pipe.r]
    writer.join()
    queue.control([read(pipe.r, EV_DELETE)], 0)
    assert settings(pipe.r) == before


@pytest.mark.parametrize("kind", ["eventfd", "queue", "unix writer"])
def test_what_raises_no_signal_is_polled(queue: Any, kind: str) -> None:
    with ExitStack() as stack:
        if kind == "unix writer":
            pair = stack.enter_context(unix_pair())
            while True:
                try:
                    pair.a.send(b"x" * 4096, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    break
            change = kevent(pair.fd_a, EVFILT_WRITE, EV_ADD)
            raising: Callable[[], Any] = lambda: pair.b.recv(1 << 20)  # noqa: E731
        elif kind == "queue":
            inner = stack.enter_context(knote.kqueue())
            inner.control([kevent(1, knote.EVFILT_USER, EV_ADD)], 0)
            change = read(inner.fileno())
            raising = lambda: inner.control([kevent(1, knote.EVFILT_USER, 0, knote.NOTE_TRIGGER)], 0)  # noqa: E731
        else:
            fd = os.eventfd(0)
            stack.callback(os.close, fd)
            change = read(fd)
            raising = lambda: os.eventfd_write(fd, 1)  # noqa: E731
        queue.control([change], 0)
        assert idents(queue) == []
        writer = later(raising)
        assert idents(queue, None) == [change.ident]
        writer.join()


# ---- one setting for all who have a file open --------------------------------------------------


def test_two_numbers_of_one_file(queue: Any, pipe: Pipe) -> None:
    """The second finds the file taken and is polled; so it is when the first has gone."""
    other = os.dup(pipe.r)
    try:
        queue.control([read(pipe.r), read(other)], 0)
        for _ in range(2):
            writer = later(pipe.write, b"x")
            idents(queue, None)
            writer.join()
            assert idents(queue) == sorted([pipe.r, other])
            pipe.read()
            assert idents(queue) == []
        queue.control([read(pipe.r, EV_DELETE)], 0)
        writer = later(pipe.write, b"x")
        assert idents(queue, None) == [other]
        writer.join()
    finally:
        os.close(other)


def test_two_queues(queue: Any, pipe: Pipe) -> None:
    with knote.kqueue(engine="rtsig") as second:
        for one in (queue, second):
            one.control([read(pipe.r)], 0)
            assert idents(one) == []
        for one in (queue, second):
            writer = later(pipe.write, b"x")
            assert idents(one, None) == [pipe.r]
            writer.join()
            pipe.read()


def test_a_child_watches_what_its_parent_watches(queue: Any, pipe: Pipe) -> None:
    """Its queue takes nothing from the parent's, nor when it is closed."""
    queue.control([read(pipe.r)], 0)
    assert idents(queue) == []
    before = settings(pipe.r)

    def child() -> None:
        assert queue.closed
        with knote.kqueue(engine="rtsig") as own:
            own.control([read(pipe.r)], 0)
            writer = later(pipe.write, b"x")
            assert idents(own, None) == [pipe.r]
            writer.join()
            pipe.read()
        assert settings(pipe.r) == before

    apart(child)
    assert settings(pipe.r) == before
    writer = later(pipe.write, b"x")
    assert idents(queue, None) == [pipe.r]
    writer.join()


def test_a_number_that_is_another_file_is_not_put_back(queue: Any, pipe: Pipe) -> None:
    with unix_pair() as pair:
        queue.control([read(pipe.r)], 0)
        os.dup2(pair.fd_b, pipe.r)
        before = settings(pipe.r)
        with pytest.raises(OSError):
            queue.control([read(pipe.r, EV_DELETE)], 0)
        assert settings(pipe.r) == before


# ---- to whom the signals go --------------------------------------------------------------------


def masks() -> dict[str, str]:
    with open("/proc/self/status") as status:
        return dict(line.split(":", 1) for line in status if line.startswith("Sig") and "SigQ" not in line)


def test_nobody_else_sees_a_signal(pipe: Pipe) -> None:
    """No mask is changed, no handler is there, and a thread that blocks nothing has its calls not interrupted."""
    gates.apply("rtsig")
    before = masks()
    with knote.kqueue(engine="rtsig") as queue:
        queue.control([read(pipe.r)], 0)
        assert masks() == before
        slept: list[int] = []
        asleep = threading.Thread(target=lambda: slept.append(ctypes.CDLL(None).poll(None, 0, 100)))
        asleep.start()
        for _ in range(100):
            pipe.write(b"x")
            assert idents(queue, None) == [pipe.r]
            pipe.read()
        asleep.join()
        assert slept == [0]
        assert masks() == before


def test_the_programs_own_sigio_reaches_it(queue: Any, pipe: Pipe) -> None:
    queue.control([read(pipe.r)], 0)
    got: list[int] = []
    before = signal.signal(signal.SIGIO, lambda number, _frame: got.append(number))
    try:
        for count in range(1, 101):
            pipe.write(b"x")
            os.kill(os.getpid(), signal.SIGIO)
            wait_until(lambda count=count: len(got) == count)
            assert idents(queue, SOON) == [pipe.r]
            pipe.read()
    finally:
        signal.signal(signal.SIGIO, before)


def test_more_signals_than_there_is_room_for(queue: Any) -> None:
    """S-386: RLIMIT_SIGPENDING; SIGIO says so, and everything is polled."""
    apart(overflow)


def overflow() -> None:
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
    with ExitStack() as stack:
        queue = stack.enter_context(knote.kqueue(engine="rtsig"))
        pipes: Any = [stack.enter_context(Pipe()) for _ in range(20)]
        queue.control([read(pipe.r) for pipe in pipes], 0)
        assert idents(queue) == []
        for pipe in pipes:
            writer = later(pipe.write, b"x")
            assert idents(queue, None) == [pipe.r]
            writer.join()
            pipe.read()
        for pipe in pipes:
            pipe.write(b"x")
        assert idents(queue) == [pipe.r for pipe in pipes]


@pytest.mark.parametrize("make", [unix_pair, tcp_pair])
def test_the_programs_own_shutdown(queue: Any, make: Any) -> None:
    """No signal tells of it: it is asked for before a wait sleeps."""
    with make() as pair:
        queue.control([read(pair.fd_a)], 0)
        assert idents(queue) == []
        pair.a.shutdown(socket.SHUT_RD)
        assert idents(queue, None) == [pair.fd_a]


def test_data_that_another_thread_sleeps_for(queue: Any) -> None:
    """Which gets no signal across (SOCKWQ_ASYNC_WAITDATA): what it leaves is found by the next wait."""
    with tcp_pair() as pair:
        queue.control([read(pair.fd_a)], 0)
        assert idents(queue) == []
        pair.a.setblocking(True)
        reader = threading.Thread(target=pair.a.recv, args=(1,))
        reader.start()
        pair.b.send(b"12345")
        reader.join()
        assert idents(queue, None) == [pair.fd_a]
