"""Something to do when it is time: one EVFILT_TIMER."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote import EV_ADD, EV_DELETE, EV_ONESHOT, EVFILT_TIMER, NOTE_NSECONDS, kevent
from knote.apps.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote import kqueue


_LONGEST = 4e9
"""Seconds, a century and more: timers count nanoseconds in 64 bits."""


def nanoseconds(seconds: float, least: int = 1) -> int:
    """For a timer: at least so many; math.inf is the longest that there is."""
    return max(int(min(seconds, _LONGEST) * 1e9), least)


class Alarm(Handler):
    """Calls do() once the time that set() gave has passed; each set() begins anew.  ident: the timer's, one of its
    own in this queue."""

    __slots__ = ("_do", "_ident", "_queue", "_set")

    def __init__(self, queue: kqueue, ident: int, do: Callable[[], None]) -> None:
        self._queue = queue
        self._ident = ident
        self._do = do
        self._set = False

    def set(self, seconds: float) -> None:
        """In so many seconds, by the loop."""
        ns = nanoseconds(seconds)
        self._queue.control(
            [kevent(self._ident, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_NSECONDS, ns, self)], 0
        )
        self._set = True

    def clear(self) -> None:
        """Not any more."""
        if self._set:
            self._set = False
            self._queue.control([kevent(self._ident, EVFILT_TIMER, EV_DELETE)], 0)

    def ready(self, event: kevent) -> None:
        """It is time."""
        if self._set:  # not cleared by an event that was collected together with this one
            self._set = False
            self._do()
