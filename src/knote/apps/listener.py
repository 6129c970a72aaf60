"""The door of a server: accept as many as wait, and stand still while there are no descriptors."""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_DISABLE, EV_ENABLE, EV_KEEPUDATA, EVFILT_TIMER, kevent
from knote._kernel.stream import accept_one
from knote.apps import address as addresses
from knote.apps.handler import Handler
from knote.errors import limit_hint

if TYPE_CHECKING:
    from knote.apps.server import Server
    from knote.apps.service import Service

BACKLOG = 4096
"""What is asked of listen(2); the system's net.core.somaxconn limits it."""
PATIENCE_MS = 250
"""How long the door stays shut when nothing of our own is closed: another process may free descriptors."""
UNIX = "unix:"
"""What an address of a UNIX socket starts with; a path follows, or @NAME, which has no file (unix(7))."""

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


def listen_unix(path: str) -> socket.socket:
    """A non-blocking listening UNIX socket.  What a server that was killed left at the path is taken away;
    anything else there is EADDRINUSE."""
    name = "\0" + path[1:] if path.startswith("@") else path
    if not path.startswith("@"):
        _clear(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(name)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _clear(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except OSError:
        return  # nothing there, or nothing that bind(2) does not say better
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # a socket that nobody listens on
        except OSError:
            pass  # EAGAIN: somebody does, and is busy


def opened(where: Any) -> socket.socket:
    """The listening socket of an address: 'HOST:PORT', 'unix:PATH', (host, port), or a listening socket, which is
    taken as it is and closed with the server."""
    if isinstance(where, socket.socket):
        where.setblocking(False)
        if where.family != socket.AF_UNIX:
            where.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return where
    if isinstance(where, str):
        if where.startswith(UNIX):
            return listen_unix(where[len(UNIX) :])
        host, port = addresses.split(where)
        return listen(host, addresses.number(port))
    host, port = where
    return listen(host, addresses.number(port))


class Listener(Handler):
    """EVFILT_READ of a listening socket tells how many connections wait: exactly so many are accepted."""

    __slots__ = ("_server", "_sock", "_told", "accept", "fd", "name", "service", "shut", "tls", "waiting")

    def __init__(self, server: Server, sock: socket.socket, service: Service, tls: Any = None) -> None:
        self._server: Any = server
        self._sock = sock
        self._told = False
        self.accept = accept_one
        self.service = service
        self.tls: Any = tls
        self.name = sock.getsockname()
        self.fd = sock.fileno()
        self.shut = False
        self.waiting: list[int] = []
        """Accepted while there was room for no more connections, which only a ring's accept does."""
        # The timer is made here, disabled: a kqueue opens one descriptor for its timers when the first is
        # added, which is too late when there are none left.
        server.control([kevent(self.fd, EVFILT_TIMER, EV_ADD | EV_DISABLE, 0, PATIENCE_MS, self)], 0)

    def ready(self, event: kevent) -> None:
        """Connections wait; or it is time to try again."""
        if event.filter == EVFILT_TIMER:
            self.open()
            return
        arrived = []
        for _ in range(event.data):
            if not self._server.room():
                self.close_door()
                break
            fd = self.accept(self.fd)
            if fd < 0:
                if self.refused(-fd):
                    break
                continue
            connection = self._server.admit(self, fd)
            if connection is not None:
                arrived.append(connection)
        if arrived:
            self._server.arrived(arrived)

    def refused(self, number: int) -> bool:
        """accept(2) gave this errno.  Whether to stop trying for now; raises what nobody can expect."""
        if number in (errno.EAGAIN, errno.EINTR):
            return True  # another process that shares the socket was faster
        if number in _OF_THE_PEER:
            return False
        if number not in EXHAUSTED:
            raise OSError(number, f"accept on {addresses.text(self.name)}: {os.strerror(number)}")
        # By level the event would come back at once, and for ever.
        self.close_door()
        self._server.control([kevent(self.fd, EVFILT_TIMER, EV_ADD | EV_ENABLE, 0, PATIENCE_MS, self)], 0)
        if not self._told:
            self._told = True
            self._server.tell(
                f"{os.strerror(number)}{limit_hint(number)}; {len(self._server)} connections are served, "
                "new ones wait until one of them ends"
            )
        return True

    def close_door(self) -> None:
        """Accept nobody until open()."""
        if not self.shut:
            self.shut = True
            self._server.driver.unlisten(self)

    def open(self) -> None:
        """Accept again."""
        arrived = []
        while self.waiting and self._server.room() and not self._server.draining:
            connection = self._server.admit(self, self.waiting.pop(0))
            if connection is not None:
                arrived.append(connection)
        if arrived:
            self._server.arrived(arrived)
        if self.shut and not self.waiting and not self._server.draining:
            self.shut = False
            self._server.control([kevent(self.fd, EVFILT_TIMER, EV_DISABLE | EV_KEEPUDATA)], 0)
            self._server.driver.listen(self, BACKLOG)

    def close(self) -> None:
        """Listen no more.  A UNIX socket's file goes with it."""
        for fd in self.waiting:
            os.close(fd)
        self.waiting.clear()
        name = self.name
        if isinstance(name, str) and name and self._sock.fileno() >= 0 and not self._server.inherited(self._sock):
            try:
                os.unlink(name)
            except OSError:
                pass  # somebody was faster
        self._sock.close()
