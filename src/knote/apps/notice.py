"""The time between being told to end and accepting no more: whoever balances load has to hear of it first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote.apps.alarm import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote import kqueue

_IDENT = (1 << 32) - 3
"""Of the timer: beyond descriptors, beside the lag's."""


class Notice:
    """Call it to end: first() is called at once, and then() after `seconds`, or when it is called again.

    A balancer sends clients until its next check says that no more are wanted; who comes in between must find an
    open door, since one that closes resets whoever the kernel had queued at it after the last look.
    """

    def __init__(
        self, queue: kqueue, seconds: float, first: Callable[[], object], then: Callable[[], None]
    ) -> None:
        self._seconds = seconds
        self._first = first
        self._then = then
        self._given = False
        self._alarm = Alarm(queue, _IDENT, then)

    def __call__(self) -> None:
        """By the queue's thread."""
        if not self._given:
            self._given = True
            self._first()
            if self._seconds:
                self._alarm.set(self._seconds)
                return
        self._alarm.clear()
        self._then()
