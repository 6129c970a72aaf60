# cython: annotation_typing=False
"""Closed by us, and the client may not know yet: what it still sends is read and thrown away.

close(2) with unread input, or input that comes later, makes TCP answer with a reset, and a reset throws away what
the client has not read: the end of its reply (RFC 9112, 9.6, has it of HTTP).  So its end is announced by
shutdown(2), and the descriptor closed when the client has closed too, or has had its time.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_ONESHOT, EVFILT_TIMER, NOTE_MSECONDS, kevent
from knote._kernel.stream import reset
from knote.apps.handler import Handler
from knote.apps.states import LINGERING

if TYPE_CHECKING:
    from knote.apps.connection import Connection

MS = 2000
"""A client that sent nothing for so long has the rest of its reply, or will not read it."""
DRAINING_MS = 250
"""While the server waits for its last connections."""
ROUNDS = 15
"""So often at most: half a minute in all."""
BYTES = 8 << 20
"""One that sends more is reset: it does not look at what it is told."""
_IDENT = 0x1_0000_0003
"""Of the timer: beside the wheel's and the drain's."""


class _Round:
    __slots__ = ("connection", "due", "number", "seen")

    def __init__(self, connection: Connection, due: int) -> None:
        self.connection = connection
        self.due = due
        """Milliseconds of the monotonic clock."""
        self.seen = 0
        self.number = 1


class Lingering(Handler):
    """Those that are closed but for their descriptor, in the order in which they are looked at."""

    __slots__ = ("_control", "_rounds", "_server", "_timed")

    def __init__(self, server: Any) -> None:
        self._server: Any = server
        self._control: Any = server.control
        self._rounds: deque[_Round] = deque()
        self._timed = False

    def begin(self, connection: Connection) -> bool:
        """Its end is announced.  False: it cannot be waited for, since there is no memory for a timer."""
        self._put(_Round(connection, 0))
        try:
            if not self._timed:
                self._set(self._rounds[0].due)
        except OSError:
            self._rounds.pop()
            return False
        return True

    def _put(self, one: _Round) -> None:
        one.due = _now() + (DRAINING_MS if self._server.draining else MS)
        self._rounds.append(one)

    def _set(self, due: int) -> None:
        after = max(due - _now(), 1)
        self._control([kevent(_IDENT, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_MSECONDS, after, self)], 0)
        self._timed = True

    def came(self, connection: Connection, count: int) -> bool:
        """So many bytes were thrown away.  Whether it may go on; if not, its descriptor is to be closed."""
        connection.thrown += count
        if connection.thrown <= BYTES:
            return True
        reset(connection.fd)
        return False

    def ready(self, event: kevent) -> None:
        """The first ones have had their time."""
        self._timed = False
        rounds = self._rounds
        now = _now()
        while rounds and (rounds[0].due <= now or not rounds[0].connection.flags & LINGERING):
            one = rounds.popleft()
            connection = one.connection
            if not connection.flags & LINGERING:
                continue
            if connection.thrown != one.seen and one.number < ROUNDS:
                one.seen = connection.thrown
                one.number += 1
                self._put(one)
            else:
                self.end(connection)
        if rounds and not self._timed:
            try:
                self._set(rounds[0].due)
            except OSError:
                self.close()  # no memory for a timer: nobody can be waited for

    def end(self, connection: Connection) -> None:
        """Its time is over."""
        connection.flags &= ~LINGERING
        connection.driver.remove(connection)

    def close(self) -> None:
        """Nobody has more time."""
        while self._rounds:
            one = self._rounds.popleft()
            if one.connection.flags & LINGERING:
                self.end(one.connection)


def _now() -> int:
    return time.monotonic_ns() // 1_000_000
