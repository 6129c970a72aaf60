# cython: annotation_typing=False
"""After a rush: memory that nobody needs any more goes back to the system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_ONESHOT, EVFILT_TIMER, NOTE_MSECONDS, kevent
from knote._kernel.heap import trim
from knote.apps.handler import Handler

if TYPE_CHECKING:
    from knote.apps.server import Server

MS = 2000
"""Between two looks: a rush that comes again sooner finds everything in place."""
FEW = 8
"""Fewer connections leave little behind: that is looked for when the last one has gone."""
_IDENT = 0x1_0000_0004
"""Of the timer: beside the wheel's, the drain's and the lingerers'."""


class Spare(Handler):
    """Looks now and then while there are connections, and once more after the last one.

    heap: ask the C allocator for what it keeps as well, once there are half as many connections as there were: it
        gives back the end of its heap by itself, and nothing before a block that is in use.  The allocator is the
        process's, so this is for a program to decide.
    """

    __slots__ = ("_heap", "_most", "_server", "_timed")

    def __init__(self, server: Server, heap: bool) -> None:
        self._server: Any = server
        self._heap = heap
        self._most = 0
        """Connections at once since memory was given back."""
        self._timed = False

    def arrived(self) -> None:
        """There are more connections."""
        self._most = max(self._most, len(self._server.connections))
        if not self._timed:
            self._look_later()

    def _look_later(self) -> None:
        try:
            self._server.control(
                [kevent(_IDENT, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_MSECONDS, MS, self)], 0
            )
        except OSError:
            return  # no memory for a timer: with the next connection again
        self._timed = True

    def ready(self, event: kevent) -> None:
        """It is time."""
        self._timed = False
        server = self._server
        count = len(server.connections)
        if not count:
            server.connections.clear()  # a dictionary never shrinks by itself
        settled = server.driver.settle()
        if count <= self._most // 2 and (self._most >= FEW or not count):
            if self._heap:
                trim()
            self._most = count
        if count or self._most or not settled:
            self._look_later()
