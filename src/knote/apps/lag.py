"""How late the loop is: what a client waits for besides its own request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_DELETE, EVFILT_TIMER, NOTE_MSECONDS, kevent
from knote.apps.handler import Handler

if TYPE_CHECKING:
    from knote import kqueue
    from knote.apps.numbers import Numbers

_IDENT = (1 << 32) - 2
"""Of the timer, beyond descriptors: the wheel's and a drain's come after it."""
_PERIOD_MS = 500


class Lag(Handler):
    """A timer twice a second, and how long after its time it was told of: as long as the turn of the loop that was
    under way, whatever a service did in it.  Expirations that were missed meanwhile come as one event."""

    __slots__ = ("_due", "_numbers", "_queue")

    def __init__(self, queue: kqueue, numbers: Numbers) -> None:
        self._queue: Any = queue
        self._numbers = numbers
        queue.control([kevent(_IDENT, EVFILT_TIMER, EV_ADD, NOTE_MSECONDS, _PERIOD_MS, self)], 0)
        self._due = time.monotonic() + _PERIOD_MS / 1000

    def ready(self, event: kevent) -> None:
        """It expired, event.data times."""
        self._numbers.late(max(time.monotonic() - self._due, 0.0))
        self._due += event.data * _PERIOD_MS / 1000

    def close(self) -> None:
        """No more."""
        if not self._queue.closed:
            self._queue.control([kevent(_IDENT, EVFILT_TIMER, EV_DELETE)], 0)
