"""The end of a server that breaks off nothing: who is there is served, and nobody else comes in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_DELETE, EV_ONESHOT, EVFILT_TIMER, NOTE_NSECONDS, kevent
from knote._kernel.stream import is_readable
from knote.apps.alarm import nanoseconds
from knote.apps.handler import Handler
from knote.apps.service import PROTOCOL
from knote.apps.states import BEGUN, CLOSED, DRAINED, FINISHING, HELD

if TYPE_CHECKING:
    from knote.apps.connection import Connection
    from knote.apps.server import Server

SECONDS = 10.0
"""How long connections may take, unless told otherwise: less than the 90 s after which systemd kills."""
QUIET = 0.25
"""How long one that is owed nothing must have been silent, unless told otherwise: more than the way there and
back, after which a client that has something to ask has asked it."""
LAST_CALL = 0.25
"""How long those who had begun to connect may take to arrive, at most: a way there and back."""
_LEAST = 1_000_000
"""Nanoseconds of a timer: a quiet of 0 is no loop that never sleeps."""
_LOOK = 0x1_0000_0001
_DEADLINE = 0x1_0000_0002
_LAST = 0x1_0000_0005
"""Idents of timers: beyond descriptors, which listeners have, and beside those of the wheel, of who lingers and of
spare memory."""


class Drain(Handler):
    """What Server.drain() has begun.

    Of a stream of bytes nobody but its service can tell whether a request is under way: so a connection is
    served on while it is owed something, and for as long as bytes come.  One that is owed nothing and was
    silent for `quiet` seconds is closed, unless its service says by draining() that it is not done.  The server
    stops when the last one has ended, or at the deadline.

    Before that, the listeners that nobody else goes on with let nobody new begin, and stay open until those who
    have begun to connect have arrived; what takes longer than LAST_CALL is reset by their close.
    """

    __slots__ = ("_due", "_last_call", "_quiet", "_seconds", "_seen", "_server", "_waits")

    def __init__(self, server: Server, seconds: float, quiet: float) -> None:
        self._server: Any = server
        self._seconds = seconds
        self._quiet = quiet
        self._last_call = min(quiet, LAST_CALL, seconds)
        self._seen: dict[Connection, int] = {}
        """Bytes of each connection at the last look."""
        self._due: dict[Connection, int] = {}
        """Those that were silent then."""
        self._waits = False
        """For those who had begun to connect."""

    def begin(self) -> None:
        """By the server's thread."""
        server = self._server
        changes = []
        for listener in server.listeners:
            if not listener.final:
                listener.rest()
            elif listener.refuse() and self._last_call:
                self._waits = True
            else:
                listener.leave()
        if self._waits:
            after = nanoseconds(self._last_call, _LEAST)
            changes.append(kevent(_LAST, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_NSECONDS, after, self))
        if math.isfinite(self._quiet):
            after = nanoseconds(self._quiet, _LEAST)
            changes.append(kevent(_LOOK, EVFILT_TIMER, EV_ADD, NOTE_NSECONDS, after, self))
        if math.isfinite(self._seconds):
            after = nanoseconds(self._seconds, _LEAST)
            changes.append(kevent(_DEADLINE, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_NSECONDS, after, self))
        if changes:
            server.control(changes, 0)
        for connection in list(server.connections.values()):
            self.joined(connection)
        self._look()
        self.check()

    def close(self) -> None:
        """It is another one's turn."""
        self._due.clear()
        for ident in (_LOOK, _DEADLINE, _LAST):
            try:
                self._server.control([kevent(ident, EVFILT_TIMER, EV_DELETE)], 0)
            except OSError:
                pass  # ENOENT: it was not set, or its time has come

    def ready(self, event: kevent) -> None:
        """It is time to look again, or to stop."""
        if event.ident == _DEADLINE:
            self._server.stopping = True
            return
        if event.ident == _LAST:
            self._waits = False
            for listener in self._server.listeners:
                if listener.final:
                    listener.leave()
        else:
            self._look()
        self.check()

    def joined(self, connection: Connection) -> None:
        """Its service has begun, or was there before: it is told what is coming."""
        self._wants_to_stay(connection)

    def check(self) -> None:
        """Stop if nobody is left; accepted connections that are still to be told of are somebody."""
        server = self._server
        if not server.connections and not self._waits and not server.driver.accepts():
            server.stopping = True

    def _look(self) -> None:
        now: dict[Connection, int] = {}
        for connection in list(self._server.connections.values()):
            if connection.flags & (CLOSED | FINISHING):
                continue
            total = connection.received + connection.sent
            if (
                (self._seen.get(connection) == total or not self._quiet)
                and not connection.pending
                and not connection.flags & HELD  # its service has not looked at what came
                and not self._wants_to_stay(connection)
            ):
                self._due[connection] = total
            now[connection] = total
        self._seen = now
        if self._due:
            # The loop may have stood still, as all do on a machine with too much to do: then the timer is told of
            # before what has come meanwhile, in this very turn.
            self._server.afterwards = self._finish

    def _finish(self) -> None:
        """Close those that are still silent, now that all that the turn brought was dealt with."""
        due, self._due = self._due, {}
        for connection, total in due.items():
            if (
                not connection.flags & (CLOSED | FINISHING)
                and connection.received + connection.sent == total
                and not is_readable(connection.fd)
            ):
                connection.finish(DRAINED)
        self.check()

    def _wants_to_stay(self, connection: Connection) -> bool:
        if connection.kind != PROTOCOL or not connection.flags & BEGUN or connection.flags & CLOSED:
            return False
        hear = getattr(connection.work, "draining", None)
        try:
            return hear is not None and bool(hear())
        except BaseException as error:
            connection.failed(error)
            return True  # and is closed for that reason
