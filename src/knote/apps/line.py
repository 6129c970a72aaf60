"""A connection, as a conversation sees it: where its bytes come from, where they go, how our half of it ends."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from knote.apps.inlet import Inlet
from knote.apps.outlet import Outlet

if TYPE_CHECKING:
    import ssl

    from knote import kqueue


PROBE = 10
"""Seconds between two questions of the kernel's."""
DONE, ROOM, READ = range(3)
"""What Line.end() says: it is said; the socket has no room for it; what has come must be read before."""


class Line:
    """A socket by itself.  sock: connected, non-blocking; it stays its owner's."""

    def __init__(self, sock: socket.socket, name: str) -> None:
        self.sock = sock
        self.name = name
        self.inlet = Inlet(sock.fileno(), name, sock)
        self.outlet = Outlet(sock.fileno(), name, sock)

    def listens(self, *, maybe: bool = False) -> bool:
        """Whether the other side, which says no more, certainly still listens; with `maybe`, as far as is known.
        A UNIX socket tells a half-close from a close.  TCP does not: only who is sent something, and has gone,
        answers with a reset."""
        return (maybe or self.sock.family == socket.AF_UNIX) and not self._state() & select.POLLHUP

    def probe(self) -> None:
        """Have the kernel ask now and then whether the other side is there.  One that has closed answers as it
        answers bytes, by a reset; Linux once it has forgotten the connection (tcp_fin_timeout, a minute)."""
        if self.sock.family == socket.AF_UNIX:
            return
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
            if hasattr(socket, name):
                self.sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), PROBE)

    def lost(self) -> bool:
        """Whether the connection was reset meanwhile."""
        return bool(self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def _state(self) -> int:
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        return sum(events for _, events in poll.poll(0))

    def end(self) -> int:
        """Nothing more will be sent: DONE; else call again when what stood in the way is over."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # ENOTCONN: reset by the other side; what can still be read says so
        return DONE


def secured(
    queue: kqueue,
    sock: socket.socket,
    name: str,
    context: ssl.SSLContext | None,
    host: str | None,
    timeout: float | None,
    *,
    server: bool = False,
) -> Line:
    """The line over a socket; with a context, once TLS has shaken hands.  Raises ConnectError."""
    if context is None:
        return Line(sock, name)
    from knote.apps.secure import TlsLine

    line = TlsLine(sock, name, context, server=server, host=None if server else host)
    line.shake_hands(queue, timeout)
    return line
