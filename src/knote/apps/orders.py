"""What other threads and signal handlers want of a server: its own thread does it, in its next turn."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_CLEAR, EV_KEEPUDATA, EVFILT_USER, NOTE_TRIGGER, kevent
from knote.apps.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Callable

_IDENT = 0
"""Of the EVFILT_USER event; a server's queue has no other."""


class Orders(Handler):
    """An EVFILT_USER event, and what is to be done when it comes."""

    __slots__ = ("_control", "_given")

    def __init__(self, control: Any) -> None:
        self._control: Any = control
        self._given: deque[Callable[[], object]] = deque()
        control([kevent(_IDENT, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, self)], 0)

    def give(self, order: Callable[[], object]) -> None:
        """Have it called by the thread that collects events.  From any thread and from signal handlers; of a queue
        that is closed, nothing comes of it."""
        self._given.append(order)
        try:
            self._control([kevent(_IDENT, EVFILT_USER, EV_KEEPUDATA, NOTE_TRIGGER)], 0)
        except ValueError:
            pass  # closed: nobody is there to do it

    def ready(self, event: kevent) -> None:
        """Do what was asked for, in that order; what is asked for meanwhile comes with another event."""
        for _ in range(len(self._given)):
            self._given.popleft()()
