# cython: annotation_typing=False
"""Who has been silent for too long: one EVFILT_TIMER for all connections of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_DELETE, EVFILT_TIMER, NOTE_MSECONDS, kevent
from knote.apps.handler import Handler
from knote.apps.states import FIRST_BYTE, IDLE, SILENT

if TYPE_CHECKING:
    from knote.apps.connection import Connection
    from knote.apps.limits import Limits

SLOTS = 1024
IDENT = 1 << 32
"""Of the timer: no descriptor has that number."""
FINEST_MS, COARSEST_MS = 10, 1000


class Wheel(Handler):
    """A wheel of slots, one for each tick to come.  A connection stands in the slot of the tick at which it would
    be too late, and is only looked at then: what it did meanwhile costs it one store, of the tick (`now`), and it
    moves on.  The timer runs while there is somebody to wait for.

    Of two timeouts the shorter one decides how long a tick is: an eighth of it, 10 ms to 1 s.  Nobody is too late
    before his time, and nobody longer than a tick after it, but for the time in which the server heard of nobody.
    """

    __slots__ = ("_control", "_count", "_first", "_idle", "_slots", "_tick_ms", "now")

    def __init__(self, control: Any, limits: Limits) -> None:
        self._control: Any = control
        self._count = 0
        self.now = 0
        """Ticks that were heard while there were connections."""
        times = [seconds for seconds in (limits.idle, limits.first_byte) if seconds]
        self._tick_ms = min(max(int(min(times) * 125), FINEST_MS), COARSEST_MS) if times else 0
        self._idle = self._ticks(limits.idle)
        self._first = self._ticks(limits.first_byte)
        self._slots: list[list[Connection]] = [[] for _ in range(SLOTS if times else 0)]

    def _ticks(self, seconds: float) -> int:
        return int(seconds * 1000 / self._tick_ms) + 1 if seconds else 0

    def add(self, connection: Connection) -> None:
        """Wait for its first byte."""
        if not self._tick_ms:
            return
        if not self._count:
            self._control([kevent(IDENT, EVFILT_TIMER, EV_ADD, NOTE_MSECONDS, self._tick_ms, self)], 0)
        self._count += 1
        connection.seen = self.now
        self._put(connection)

    def _put(self, connection: Connection) -> None:
        # What is due later than the wheel is round is looked at, and put again, once on the way.
        slot = min(self._due(connection), self.now + SLOTS - 1) % SLOTS
        there = self._slots[slot]
        connection.slot = slot
        connection.place = len(there)
        there.append(connection)

    def _due(self, connection: Connection) -> int:
        allowed = self._first if connection.flags & SILENT and self._first else self._idle
        return connection.seen + allowed if allowed else self.now + SLOTS - 1

    def remove(self, connection: Connection) -> None:
        """It is gone."""
        if not self._tick_ms or connection.slot < 0:
            return
        there = self._slots[connection.slot]
        last = there.pop()
        if last is not connection:
            there[connection.place] = last
            last.place = connection.place
        elif not there:
            self._slots[connection.slot] = []  # a burst of connections leaves no room behind
        connection.slot = -1
        self._count -= 1
        if not self._count:
            self._control([kevent(IDENT, EVFILT_TIMER, EV_DELETE)], 0)

    def ready(self, event: kevent) -> None:
        """A tick has passed, or several, if the server was busy for so long.  What its clients sent meanwhile may
        still be in the kernel, so this is not their silence: the ticks that nobody looked in count as one."""
        self.now += 1
        slot = self.now % SLOTS
        here = self._slots[slot]
        while here:
            # Out of it before its service hears of its end, which may end others that stand here as well.
            connection = here.pop()
            connection.slot = -1
            silent = connection.flags & SILENT and self._first
            allowed = self._first if silent else self._idle
            if allowed and connection.seen + allowed <= self.now:
                self._count -= 1
                if not self._count:
                    self._control([kevent(IDENT, EVFILT_TIMER, EV_DELETE)], 0)
                connection.drop(FIRST_BYTE if silent else IDLE)
            else:
                self._put(connection)
        self._slots[slot] = []
