"""The door of the server: accept as many as wait, and stand still while there are no descriptors."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_DISABLE, EV_ENABLE, EV_KEEPUDATA, EVFILT_READ, EVFILT_TIMER, kevent
from knote.apps.connection import Connection
from knote.apps.handler import Handler
from knote.errors import limit_hint

if TYPE_CHECKING:
    from knote.apps.server import Server

BACKLOG = 4096
"""What is asked of listen(2); the system's net.core.somaxconn limits it."""
PATIENCE_MS = 250
"""How long the door stays shut when nothing of our own is closed: another process may free descriptors."""

EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# accept(2): Linux hands on what had already happened to the new connection.  The next one is fine.
_OF_THE_PEER = {
    errno.ECONNABORTED, errno.ENETDOWN, errno.EPROTO, errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.ENONET,
    errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH, errno.EPERM, errno.ETIMEDOUT,
}  # fmt: skip


def listen(host: str, port: int) -> socket.socket:
    """A non-blocking listening socket on the first address of host that can be bound."""
    failure: OSError | None = None
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        raise OSError(errno.EINVAL, f"no valid host name ({error})") from None
    for family, kind, proto, _name, where in found:
        sock = socket.socket(family, kind, proto)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted sockets inherit it: a reply never waits for the acknowledgement of the one before.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            sock.bind(where)
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            failure = failure or error
            continue
        return sock
    raise failure or OSError(errno.EADDRNOTAVAIL, f"{host!r} has no address")


class Listener(Handler):
    """EVFILT_READ of a listening socket tells how many connections wait: exactly so many are accepted."""

    __slots__ = ("_server", "_sock", "_told", "fd", "shut")

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self._server: Any = server
        self._sock: Any = sock
        self._told = False
        self.fd = sock.fileno()
        self.shut = False
        # The timer is made here, disabled: a kqueue opens one descriptor for its timers when the first is
        # added, which is too late when there are none left.
        server.control(
            [
                kevent(self.fd, EVFILT_READ, EV_ADD, 0, 0, self),
                kevent(self.fd, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, PATIENCE_MS, self),
            ],
            0,
        )

    def ready(self, event: kevent) -> None:
        """Connections wait; or it is time to try again."""
        if event.filter == EVFILT_TIMER:
            self.open()
            return
        arrived = []
        for _ in range(event.data):
            try:
                sock, _peer = self._sock.accept()
            except BlockingIOError:
                break  # another process that shares the socket was faster
            except OSError as error:
                if error.errno in _OF_THE_PEER:
                    continue
                if error.errno not in EXHAUSTED:
                    raise
                self._close(error)
                break
            sock.setblocking(False)
            arrived.append(Connection(self._server, sock))
        if arrived:
            self._server.arrived(arrived)

    def _close(self, error: OSError) -> None:
        # By level the event would come back at once, and for ever.
        self.shut = True
        self._server.control(
            [
                kevent(self.fd, EVFILT_READ, EV_DISABLE | EV_KEEPUDATA),
                kevent(self.fd, EVFILT_TIMER, EV_ADD | EV_ENABLE, 0, PATIENCE_MS, self),
            ],
            0,
        )
        if not self._told:
            self._told = True
            self._server.tell(
                f"{error.strerror}{limit_hint(error.errno or 0)}; {len(self._server)} connections are served, "
                "new ones wait until one of them ends"
            )

    def open(self) -> None:
        """Accept again."""
        if self.shut:
            self.shut = False
            self._server.control(
                [
                    kevent(self.fd, EVFILT_TIMER, EV_DISABLE | EV_KEEPUDATA),
                    kevent(self.fd, EVFILT_READ, EV_ENABLE | EV_KEEPUDATA),
                ],
                0,
            )

    def close(self) -> None:
        """Listen no more."""
        self._sock.close()
