"""Short words for changes and for looking at a queue, so that a test reads like its statement."""

from __future__ import annotations

import select
from typing import Any

from knote import (
    EV_ADD,
    EV_CLEAR,
    EVFILT_PROC,
    EVFILT_READ,
    EVFILT_TIMER,
    EVFILT_USER,
    EVFILT_VNODE,
    EVFILT_WRITE,
    NOTE_EXIT,
    NOTE_TRIGGER,
    kevent,
)
from tests.support.waiting import HARDLY, wait_until

ROOM = 64
"""More than any of these tests lets become true at once."""


def read(ident: Any, flags: int = EV_ADD, fflags: int = 0, data: int = 0, udata: Any = 0) -> kevent:
    """A change of an EVFILT_READ knote."""
    return kevent(ident, EVFILT_READ, flags, fflags, data, udata)


def write(
    ident: Any, flags: int = EV_ADD, fflags: int = 0, data: int = 0, udata: Any = 0
) -> kevent:
    """A change of an EVFILT_WRITE knote."""
    return kevent(ident, EVFILT_WRITE, flags, fflags, data, udata)


def user(ident: Any, flags: int = EV_ADD, fflags: int = 0, data: int = 0, udata: Any = 0) -> kevent:
    """A change of an EVFILT_USER knote."""
    return kevent(ident, EVFILT_USER, flags, fflags, data, udata)


def proc(
    ident: Any, flags: int = EV_ADD, fflags: int = NOTE_EXIT, data: int = 0, udata: Any = 0
) -> kevent:
    """A change of an EVFILT_PROC knote."""
    return kevent(ident, EVFILT_PROC, flags, fflags, data, udata)


def timer(
    ident: Any, flags: int = EV_ADD, fflags: int = 0, data: int = 0, udata: Any = 0
) -> kevent:
    """A change of an EVFILT_TIMER knote."""
    return kevent(ident, EVFILT_TIMER, flags, fflags, data, udata)


def vnode(ident: Any, fflags: int, flags: int = EV_ADD | EV_CLEAR, udata: Any = 0) -> kevent:
    """A change of an EVFILT_VNODE knote."""
    return kevent(ident, EVFILT_VNODE, flags, fflags, 0, udata)


def trigger(ident: Any, flags: int = 0, fflags: int = 0, data: int = 0, udata: Any = 0) -> kevent:
    """Trigger a user event that exists."""
    return kevent(ident, EVFILT_USER, flags, fflags | NOTE_TRIGGER, data, udata)


def ready(kq: Any, *changes: kevent) -> list[Any]:
    """Apply the changes and collect what is true, without waiting."""
    events: list[Any] = kq.control(changes, ROOM, 0)
    return events


def apply(kq: Any, *changes: kevent) -> None:
    """Apply the changes and collect nothing; a change that is refused raises."""
    assert kq.control(changes, 0, 0) == []


def polls(kq: Any) -> bool:
    """poll(2) calls the queue's descriptor readable."""
    poller = select.poll()
    poller.register(kq.fileno(), select.POLLIN)
    return bool(poller.poll(0))


def idle(kq: Any) -> None:
    """Nothing comes, and the wait for it is one: were the descriptor readable, it would spin.  What is no event, a
    stranger's fork or the kernel's late word about an interface, makes it so for a moment."""

    def quiet() -> bool:
        assert kq.control(None, ROOM, HARDLY) == []
        return not polls(kq)

    wait_until(quiet, what="nothing is returned, and yet the descriptor stays readable: a wait spins")
