# cython: annotation_typing=False
"""Connections whose clients have ended, or have reset them, and nobody has dealt with that yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote.apps.states import CLOSED, OVER, RESET, WHOLE

if TYPE_CHECKING:
    from knote.apps.connection import Connection

SHARE = 16
"""A turn deals with so many.

To end one costs 20 to 100 us, most of it the kernel's close(2), and more if its service has work with it.  When a
thousand clients end at once, who asks meanwhile would wait until all of them are closed; so their ends wait, which
nobody notices, and he is served after 1 ms or two.
"""


class Ends:
    """In the order in which they came.  Each is in it once."""

    __slots__ = ("_waiting", "some")

    def __init__(self) -> None:
        self._waiting: list[Connection] = []
        self.some = False
        """Whether there are any."""

    def add(self, connection: Connection, whole: bool) -> None:
        """Nothing comes any more from one that is not closed.  whole: it said so; False: it was reset."""
        if not connection.flags & (OVER | CLOSED):
            connection.flags |= OVER | WHOLE if whole else OVER
            self._waiting.append(connection)
            self.some = True

    def take(self) -> list[Connection]:
        """The share of a turn: those that have ended and may have more to be told than that.  Who was reset is
        closed here."""
        waiting = self._waiting
        share = waiting[:SHARE]
        del waiting[:SHARE]
        self.some = len(waiting) > 0
        ended = []
        for connection in share:
            if connection.flags & WHOLE:
                ended.append(connection)
            else:
                connection.drop(RESET)
        return ended
