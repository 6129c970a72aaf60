"""The server of a few pages for whoever looks after a program: it is answered at once, however many others have
come and say nothing, and when the program has no descriptor left."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from knote._kernel.stream import accept_one, is_readable
from knote.apps.server import Server
from knote.apps.states import BEGUN, CLOSED, IDLE, LINGERING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from knote.apps.connection import Connection


class Reception(Server):
    """A Server of a protocol whose objects tell by draining() that they have an answer to give.  When there is no
    room, somebody who waits for no answer gives way to who comes, the one that has been there longest first.

    A descriptor is held in reserve for who comes when the process has no other; there is another one as soon as he
    has gone.  It is for drivers that accept by the listener's accept(), so not for a ring.
    """

    def __init__(self, **how: Any) -> None:
        self._reserve = -1
        super().__init__(**how)
        for listener in self.listeners:
            listener.accept = self._accept
        self._refill()

    def room(self) -> bool:
        """As Server.room()."""
        if super().room() or self._make_room():
            return True
        if any(is_readable(each.fd) for each in self.connections.values() if not each.flags & CLOSED):
            self.orders.give(self._open)  # what they ask is answered in this turn
        else:
            for listener in self.listeners:
                listener.try_later()  # all wait for answers, and those are being made
        return False

    def _open(self) -> None:
        for listener in self.listeners:
            listener.open()

    def arrived(self, connections: list[Connection]) -> None:
        """As Server.arrived().  Of those who come together as many as there is room for are taken, since only who
        has begun can give way; then the next ones."""
        super().arrived(connections)
        self._open()

    def freed(self, connection: Connection) -> None:
        """As Server.freed()."""
        self._refill()  # before the program takes it
        super().freed(connection)

    def close(self) -> None:
        """As Server.close()."""
        super().close()
        self._spend()

    def _accept(self, listener: int) -> int:
        fd = accept_one(listener)
        if fd in (-errno.EMFILE, -errno.ENFILE) and (self._reserve >= 0 or self._make_room()):
            self._spend()
            fd = accept_one(listener)
        return fd

    def _spend(self) -> None:
        if self._reserve >= 0:
            os.close(self._reserve)
            self._reserve = -1

    def _refill(self) -> None:
        if self._reserve < 0 and not self.closing:
            try:
                self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                pass  # EMFILE: somebody was faster; ENOENT: a root directory without it.  Then there is none

    def _make_room(self) -> bool:
        """Whether somebody gave way."""
        for connection in self._dispensable():
            if connection.flags & LINGERING:
                self.lingering.end(connection)
            else:
                connection.drop(IDLE)
            return True
        return False

    def _dispensable(self) -> Iterator[Connection]:
        """Who is closed but for his descriptor, who has asked nothing, who does not take his answer."""
        there = [each for each in self.connections.values() if each.flags & (BEGUN | CLOSED) == BEGUN]
        yield from (each for each in self.connections.values() if each.flags & LINGERING)
        # What has come and was not looked at may be a question.
        yield from (
            each for each in there if not each.pending and not each.work.draining() and not is_readable(each.fd)
        )
        yield from (each for each in there if each.pending)
