# cython: annotation_typing=False
"""The listeners of a ring: each has one accept under way, which goes on until it is cancelled."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from knote._kernel.time import close_fd
from knote.apps.listener import SHARE
from knote.apps.states import CLOSED

if TYPE_CHECKING:
    from knote._kernel.flow import Flow
    from knote.apps.connection import Connection
    from knote.apps.listener import Listener
    from knote.apps.server import Server

_EBUSY = errno.EBUSY
_ECANCELED = errno.ECANCELED


class Doors:
    """Accepts by completions.  token, nothing: what an accept's, and a cancellation's, have as token beside the
    descriptor."""

    __slots__ = ("_accepting", "_flow", "_nothing", "_server", "_token", "_unarmed", "arrived")

    def __init__(self, server: Server, token: int, nothing: int) -> None:
        self._server: Any = server
        self._token = token
        self._nothing = nothing
        self._flow: Flow | None = None
        self._accepting: dict[int, Listener] = {}
        """Those with an accept under way."""
        self._unarmed: list[Listener] = []
        """To be accepted from once there is a ring."""
        self.arrived: list[Connection] = []
        """New, and nobody was told."""

    def begin(self, flow: Flow) -> None:
        """The ring is there."""
        self._flow = flow
        unarmed, self._unarmed = self._unarmed, []
        for listener in unarmed:
            self.listen(listener)

    def listen(self, listener: Listener) -> None:
        """Accept from it."""
        flow = self._flow
        if flow is None:
            self._unarmed.append(listener)
        elif listener.fd not in self._accepting:
            self._accepting[listener.fd] = listener
            if flow.accept(listener.fd, self._token | listener.fd) < 0:
                del self._accepting[listener.fd]
                raise OSError(_EBUSY, "the ring's queue is full")

    def unlisten(self, listener: Listener) -> None:
        """Accept no more."""
        flow = self._flow
        if flow is not None and listener.fd in self._accepting:
            flow.cancel(self._token | listener.fd, False, self._nothing)
        elif listener in self._unarmed:
            self._unarmed.remove(listener)

    def are_open(self) -> bool:
        """Whether any accept is under way."""
        return len(self._accepting) > 0

    def is_open(self, fd: int) -> bool:
        """Whether one of the listener fd is."""
        return fd in self._accepting

    def accepted(self, fd: int, result: int, more: bool) -> None:
        """A completion of the listener fd."""
        listener: Any = self._accepting[fd]
        if not more:
            del self._accepting[fd]
        if result >= 0:
            if not self._server.room():
                # It came before the accept was cancelled.
                listener.waiting.append(result)
                listener.close_door()
            else:
                connection = self._server.admit(listener, result)
                if connection is not None:
                    self.arrived.append(connection)
        elif result != -_ECANCELED:
            listener.refused(-result)
        if not more:
            if listener.resting:
                listener.rested()
            elif not listener.shut and not self._server.closing:
                self.listen(listener)
            self._server.unlistened()

    def share(self) -> list[Connection]:
        """Those that a turn begins to serve, out of `arrived`: an accept brings all who have come.  One that its
        server has dropped by now is closed."""
        begun = []
        for connection in self.arrived[:SHARE]:
            if connection.flags & CLOSED:
                close_fd(connection.fd)
                self._server.freed(connection)
            else:
                begun.append(connection)
        del self.arrived[:SHARE]
        return begun

    def too_late(self, fd: int, result: int, more: bool) -> None:
        """A completion while the server ends."""
        if result >= 0:
            close_fd(result)
        if not more:
            self._accepting.pop(fd, None)

    def close(self) -> None:
        """Those that nobody was told of."""
        for connection in self.arrived:
            close_fd(connection.fd)
