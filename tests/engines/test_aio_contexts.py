"""Engine aio: a context that stays full, or holds what it should not, is given up for another; nothing is lost.

Requests stay in it when io_cancel(2) fails, which tests/support/faults.py brings about; io_submit(2) that says
EAGAIN where nothing is to come is a context full of cancelled requests that report too late.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

import knote
from knote import EV_ADD, EV_DELETE, EVFILT_READ, kevent
from tests import gates
from tests.support import kernelcalls
from tests.support.faults import Faults, play
from tests.support.plumbing import Pipe, unix_pair
from tests.support.waiting import SOON, in_a_wait, wait_until

pytestmark = [pytest.mark.needs(engine="aio"), pytest.mark.needs("calls that fail")]
(CANCEL,), (SUBMIT,) = kernelcalls.of("io_cancel"), kernelcalls.of("io_submit")
SOME = 40
TURNS = 20
"""A context has room for 254 requests where there are two processors, and for 638 once it has grown."""


def read(fd: int, flags: int = EV_ADD) -> kevent:
    return kevent(fd, EVFILT_READ, flags)


def idents(queue: Any, seconds: float | None = 0) -> list[int]:
    return sorted(event.ident for event in queue.control(None, SOME, seconds))


@contextmanager
def eventfds() -> Iterator[list[int]]:
    """Nothing ends a request for one but its cancellation."""
    fds = [os.eventfd(0) for _ in range(SOME)]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


@contextmanager
def failing(faults: Faults, number: int, error: int, nth: int = -1) -> Iterator[None]:
    faults.arm(error, number=number, nth=nth)
    try:
        yield
    finally:
        faults.disarm()
    assert faults.hits


def _at_end(one: socket.socket) -> bool:
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False


def queue_after_queue(faults: Faults) -> None:
    """They have one context after the other."""
    for _ in range(TURNS):
        with eventfds() as fds, knote.kqueue(engine="aio") as queue:
            queue.control([read(fd) for fd in fds], 0)
            assert idents(queue) == []
            with failing(faults, CANCEL, errno.EPERM):
                queue.close()


def change_after_change(faults: Faults) -> None:
    """Of one queue, whose other sources go on."""
    with eventfds() as fds, Pipe() as pipe, knote.kqueue(engine="aio") as queue:
        queue.control([read(pipe.r)], 0)
        for _ in range(TURNS):
            queue.control([read(fd) for fd in fds], 0)
            assert idents(queue) == []
            with failing(faults, CANCEL, errno.EINTR):
                queue.control([read(fd, EV_DELETE) for fd in fds], 0)
        pipe.write(b"x")
        assert idents(queue) == [pipe.r]


def the_peer_sees_the_end(faults: Faults) -> None:
    """Though the request for the file could not be cancelled."""
    with unix_pair() as pair, knote.kqueue(engine="aio") as queue:
        queue.control([read(pair.fd_a)], 0)
        assert idents(queue) == []
        with failing(faults, CANCEL, errno.ENOSYS):
            queue.control([read(pair.fd_a, EV_DELETE)], 0)
        pair.a.close()
        pair.b.setblocking(False)
        wait_until(lambda: _at_end(pair.b))


def sleepers_are_told(faults: Faults) -> None:
    """Who sleeps on the context that is given up, without a timeout, hears of everything all the same."""
    got: list[list[int]] = []
    with eventfds() as fds, Pipe() as pipe, knote.kqueue(engine="aio") as queue:
        queue.control([read(pipe.r), read(fds[0])], 0)
        assert idents(queue) == []
        sleepers = [threading.Thread(target=lambda: got.append(idents(queue, None))) for _ in range(3)]
        for sleeper in sleepers:
            sleeper.start()
        with failing(faults, CANCEL, errno.EPERM):
            queue.control([read(fds[0], EV_DELETE)], 0)
        queue.control([read(fds[1])], 0)
        pipe.write(b"x")
        for sleeper in sleepers:
            sleeper.join()
        assert got == [[pipe.r]] * 3


def sleepers_who_cannot_be_told(faults: Faults) -> None:
    """Of the bigger context that all move to: the one where they sleep is ended, which wakes them."""
    got: list[list[int]] = []
    hits = 0
    with eventfds() as some, eventfds() as more, Pipe() as pipe, knote.kqueue(engine="aio") as queue:
        queue.control([read(pipe.r)], 0)
        sleepers = [threading.Thread(target=lambda: got.append(idents(queue, None))) for _ in range(3)]
        for sleeper in sleepers:
            sleeper.start()
        wait_until(lambda: all(in_a_wait(sleeper.native_id or 0) for sleeper in sleepers))
        for fd in [*some, *more]:
            # The first request is the change's; of a move the first tries the new context, the second wakes.
            faults.arm(errno.EPERM, number=SUBMIT, nth=1)
            queue.control([read(fd)], 0)
            faults.disarm()
            hits += faults.hits
        assert hits
        pipe.write(b"x")
        for sleeper in sleepers:
            sleeper.join()
        assert got == [[pipe.r]] * 3


def full_and_too_late(faults: Faults) -> None:
    """The first request that a wait submits finds no room, and nothing comes out of the context."""
    with Pipe() as first, Pipe() as second, knote.kqueue(engine="aio") as queue:
        queue.control([read(first.r)], 0)
        assert idents(queue) == []
        second.write(b"x")
        queue.control([read(second.r)], 0)
        with failing(faults, SUBMIT, errno.EAGAIN, 0):
            assert idents(queue, SOON) == [second.r]
        first.write(b"x")
        assert idents(queue, SOON) == sorted([first.r, second.r])


def full_when_it_is_taken_over(faults: Faults) -> None:
    """By a new queue, from one that is closed."""
    knote.kqueue(engine="aio").close()
    with failing(faults, SUBMIT, errno.EAGAIN, 0), ExitStack() as stack:
        queue = stack.enter_context(knote.kqueue(engine="aio"))
        pipe = stack.enter_context(Pipe())  # type: ignore[arg-type]
        pipe.write(b"x")
        queue.control([read(pipe.r)], 0)
        assert idents(queue, SOON) == [pipe.r]


@pytest.mark.parametrize(
    "body",
    [
        queue_after_queue, change_after_change, the_peer_sees_the_end, sleepers_are_told,
        sleepers_who_cannot_be_told, full_and_too_late, full_when_it_is_taken_over,
    ],
    ids=lambda body: body.__name__,
)  # fmt: skip
def test_another_context(body: Callable[[Faults], None]) -> None:
    gates.apply("aio")
    play(body, (CANCEL, SUBMIT))
