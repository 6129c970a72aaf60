# cython: annotation_typing=False
"""What a ring had received for connections that are not read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote.apps.states import CLOSED, FINISHING, READING

if TYPE_CHECKING:
    from knote.apps.connection import Connection


class Kept:
    """A receive that is under way goes on until its cancellation is heard: what it brings until then, the end too,
    waits with its connection, until that is read from again."""

    __slots__ = ("_resumed", "some")

    def __init__(self) -> None:
        self._resumed: list[Connection] = []
        self.some = False
        """Whether something is to be served now."""

    def keep(self, connection: Connection, data: bytes) -> None:
        """For later.  Nothing is the end."""
        if connection.stash is None:
            connection.stash = []
        connection.stash.append(data)

    def resume(self, connection: Connection) -> None:
        """It is read from again."""
        self._resumed.append(connection)
        self.some = True

    def ended(self, connection: Connection) -> None:
        """Its client has ended, which it is told now or, behind what is kept, later."""
        if connection.flags & READING and connection.stash is None:
            connection.ended()
        elif not connection.flags & (FINISHING | CLOSED):
            self.keep(connection, b"")

    def serve(self) -> list[Connection]:
        """To those that are read from again, until one wants no more: all of them."""
        resumed, self._resumed = self._resumed, []
        self.some = False
        for connection in resumed:
            while connection.stash is not None and connection.flags & READING:
                data = connection.stash.pop(0)
                if not connection.stash:
                    connection.stash = None
                if data:
                    connection.took(data)
                else:
                    connection.ended()
        return resumed
