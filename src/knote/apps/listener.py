"""The door of a server: accept as many as wait, and stand still while there are no descriptors."""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_DELETE, EV_DISABLE, EV_ENABLE, EV_KEEPUDATA, EVFILT_READ, EVFILT_TIMER, kevent
from knote._kernel.stream import accept_one
from knote.apps import address as addresses
from knote.apps.handler import Handler
from knote.errors import limit_hint

if TYPE_CHECKING:
    from knote.apps.server import Server
    from knote.apps.service import Service

BACKLOG = 4096
"""What is asked of listen(2); the system's net.core.somaxconn limits it."""
SHARE = 64
"""A turn accepts so many, at 10 us each; by level the event comes again, and whoever has been there before waits
for no more than that."""
PATIENCE_MS = 250
"""How long the door stays shut when nothing of our own is closed: another process may free descriptors."""
_SO_BINDTOIFINDEX = 62  # <asm-generic/socket.h>
_NO_INTERFACE = 0x7FFFFFFF
"""The kernel numbers interfaces from 1 up."""
UNIX = "unix:"
"""What an address of a UNIX socket starts with; a path follows, or @NAME, which has no file (unix(7))."""

EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# accept(2): Linux hands on what had already happened to the new connection.  The next one is fine.
_OF_THE_PEER = {
    errno.ECONNABORTED, errno.ENETDOWN, errno.EPROTO, errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.ENONET,
    errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ENETUNREACH, errno.EPERM, errno.ETIMEDOUT,
}  # fmt: skip


def listen(host: str, port: int, count: int = 1) -> list[socket.socket]:
    """Non-blocking listening sockets, so many, on the first address of host that can be bound; '' is every
    address, of IPv6 and of IPv4.  The kernel spreads the connections over them, and each connection waits in the
    queue of one (SO_REUSEPORT, socket(7))."""
    failure: OSError | None = None
    for family, where in _found(host, port):
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            failure = error  # EAFNOSUPPORT: a kernel without IPv6
            continue
        try:
            if not host and family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Accepted sockets inherit it: a reply never waits for the acknowledgement of the one before.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            sock.bind(where)
            if count > 1:
                # Behind bind(2), not before: whoever listens there already, with that option or without, is in
                # the way, and does not get a part of our connections.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            failure = failure or error
            if not host and error.errno != errno.EADDRNOTAVAIL:
                break  # somebody has a part of every address: the rest is not what was asked for
            continue
        return [sock, *_more(sock, count - 1)]
    raise failure or OSError(errno.EADDRNOTAVAIL, f"{host!r} has no address")


def _found(host: str, port: int) -> list[tuple[int, Any]]:
    if not host:
        return [(socket.AF_INET6, ("::", port)), (socket.AF_INET, ("0.0.0.0", port))]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        raise OSError(errno.EINVAL, f"no valid host name ({error})") from None
    return [(family, where) for family, _kind, _proto, _name, where in found]


def _more(first: socket.socket, count: int) -> list[socket.socket]:
    made: list[socket.socket] = []
    try:
        for _ in range(count):
            made.append(socket.socket(first.family, first.type, first.proto))
            for level, option in (
                (socket.SOL_SOCKET, socket.SO_REUSEADDR),
                (socket.SOL_SOCKET, socket.SO_REUSEPORT),
                (socket.IPPROTO_TCP, socket.TCP_NODELAY),
            ):
                made[-1].setsockopt(level, option, 1)
            if first.family == socket.AF_INET6:
                both = first.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
                made[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, both)
            made[-1].setblocking(False)
            made[-1].bind(first.getsockname())
            made[-1].listen(BACKLOG)
    except OSError:
        for sock in [first, *made]:
            sock.close()
        raise
    return made


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


def opened(where: Any, count: int = 1) -> list[socket.socket]:
    """The listening sockets of an address: 'HOST:PORT', 'unix:PATH', (host, port), or a listening socket, which is
    taken as it is and closed with the server.  count: as listen() has it; a UNIX socket and one that was given
    are one all the same.  OSError has the address as its filename; AddressError for what is none."""
    try:
        return _opened(where, count)
    except OSError as error:
        raise OSError(error.errno, error.strerror, _named(where)) from None


def _named(where: Any) -> str:
    return where if isinstance(where, str) else addresses.join(*where) if isinstance(where, tuple) else repr(where)


def _opened(where: Any, count: int) -> list[socket.socket]:
    if isinstance(where, socket.socket):
        where.setblocking(False)
        if where.family != socket.AF_UNIX:
            where.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return [where]
    if isinstance(where, str):
        if where.startswith(UNIX):
            return [listen_unix(addresses.unix_path(where) or "")]
        host, port = addresses.split(where)
    else:
        host, port = where
    return listen(host, addresses.number(port), count)


def forget(sock: socket.socket, *, given: bool) -> None:
    """Close a listening socket.  A UNIX socket's file goes with it, unless somebody else made it.  Idempotent."""
    if sock.fileno() < 0:
        return
    name = sock.getsockname()
    if isinstance(name, str) and name and not given:
        try:
            os.unlink(name)
        except OSError:
            pass  # somebody was faster, or it is another user's by now, as --user has it
    sock.close()


class Listener(Handler):
    """EVFILT_READ of a listening socket tells how many connections wait: no more are accepted."""

    __slots__ = (
        "_server", "_sock", "_told", "accept", "fd", "final", "given", "left", "name", "resting", "service",
        "shared", "shut", "tls", "waiting",
    )  # fmt: skip

    def __init__(
        self, server: Server, sock: socket.socket, service: Service, tls: Any = None, *, given: bool = False
    ) -> None:
        self._server: Any = server
        self._sock = sock
        self._told = False
        self.accept = accept_one
        self.service = service
        self.tls: Any = tls
        self.given = given
        """It was listening when the server got it: its file is another's."""
        self.final = not given
        """Nobody goes on with it when this server closes it."""
        self.shared = given
        """Others may accept from it at the same time."""
        self.name = sock.getsockname()
        self.fd = sock.fileno()
        self.shut = False
        """There is no room."""
        self.resting = False
        """Somebody else accepts from it."""
        self.left = False
        """Nobody is accepted any more, and it may be closed."""
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
        if self.left:
            return  # by an event that was collected together with this one
        arrived = []
        for _ in range(min(event.data, SHARE)):
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
        self.try_later()
        if not self._told:
            self._told = True
            self._server.tell(
                f"{os.strerror(number)}{limit_hint(number)}; {len(self._server)} connections are served, "
                "new ones wait until one of them ends"
            )
        return True

    def try_later(self) -> None:
        """Accept again when some time has passed, whatever happens until then."""
        self._server.control([kevent(self.fd, EVFILT_TIMER, EV_ADD | EV_ENABLE, 0, PATIENCE_MS, self)], 0)

    def close_door(self) -> None:
        """Accept nobody until open()."""
        if not self.shut:
            self.shut = True
            self._server.driver.unlisten(self)

    def open(self) -> None:
        """Accept again: there is room."""
        arrived = []
        while self.waiting and self._server.room():
            connection = self._server.admit(self, self.waiting.pop(0))
            if connection is not None:
                arrived.append(connection)
        if arrived:
            self._server.arrived(arrived)
        if self.shut and not self.waiting:
            self.shut = False
            if not self.left:
                self._server.control([kevent(self.fd, EVFILT_TIMER, EV_DISABLE | EV_KEEPUDATA)], 0)
            if not self.resting:
                self._server.driver.listen(self, BACKLOG)

    def rest(self) -> None:
        """Accept nobody until resume(): who comes waits in the kernel's queue, for whoever shares the socket."""
        if not self.resting:
            self.resting = True
            if not self.shut:
                self._server.driver.unlisten(self)

    def resume(self) -> None:
        """Accept again, unless there is no room.  Of one that accepts already: look who waits."""
        if self.left:
            return
        if not self.resting:
            self._take()
            return
        self.resting = False
        if not self.shut:
            self._server.driver.listen(self, BACKLOG)

    def rested(self) -> None:
        """An accept that a driver had under way is over.

        The kernel wakes one of those who accept from a socket (io_uring's accepts wait exclusively): whom it woke
        for us nobody else was told of, so they are ours.
        """
        if self.left:
            self._part(take=True)
        else:
            self._take()

    def refuse(self) -> bool:
        """Let nobody new begin to connect, while who has begun still arrives: whether anybody may have.  For one
        that is final: it is the socket's, not the descriptor's, and there is no way back.

        A connection that completes between the last accept and the close is reset by the close, and so is one
        that is half-way through its handshake; on a network that is a way there and back, not microseconds.  A
        listener that is bound to an interface that does not exist is found by no SYN: who comes is refused at
        once, as after the close.  If the socket is one of several (SO_REUSEPORT) the kernel may still choose it,
        but has no route for the answer: the SYN is lost, and the client's kernel sends it again after a second,
        to those that are left.  Who had begun keeps the interface that he came by.  A filter that drops SYNs
        (SO_ATTACH_FILTER) would do as much, but nobody would be refused: all would wait for that second.
        inet_csk_route_req(), inet_request_bound_dev_if(); tests/apps/test_last_call.py.
        """
        if self.left or self._sock.family == socket.AF_UNIX:
            return False  # whose connect(2) is whole or not at all: see _part()
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NO_INTERFACE)
        except OSError:
            # EPERM: another worker has done it to this socket, or the kernel is older than 5.7, and ENOPROTOOPT,
            # than 5.0: then who comes is accepted until the close.
            pass
        return True

    def leave(self) -> None:
        """Accept no more, for ever, and close the socket.  If it is final, first accept who waits in the kernel's
        queue, as far as there is room, since the last close resets them."""
        if self.left:
            return
        self.rest()
        self.left = True
        self._server.control([kevent(self.fd, EVFILT_TIMER, EV_DELETE)], 0)
        try:
            self._server.control([kevent(self.fd, EVFILT_READ, EV_DELETE)], 0)
        except OSError:
            pass  # a ring accepts without a knote
        if not self._server.driver.accepts(self):
            self._part(take=self.final)

    def _part(self, take: bool) -> None:
        if self.final and self._sock.family == socket.AF_UNIX:
            # From here on connect(2) is refused, while those who are queued can still be accepted: the kernel
            # looks at it under the lock by which it queues (unix_stream_connect()).
            try:
                self._sock.shutdown(socket.SHUT_RD)
            except OSError:
                pass  # then one that connects until the close is reset by it
        if take:
            self._take()
        self._close()

    def _take(self) -> None:
        arrived = []
        # No more than can have waited: who keeps coming while we look would keep us here.
        for _ in range(BACKLOG):
            fd = self.accept(self.fd) if self._server.room() else -errno.EAGAIN
            if fd >= 0:
                connection = self._server.admit(self, fd)
                if connection is not None:
                    arrived.append(connection)
            elif -fd not in _OF_THE_PEER and -fd != errno.EINTR:
                break
        if arrived:
            self._server.arrived(arrived)

    def close(self) -> None:
        """Listen no more.  A UNIX socket's file goes with it."""
        for fd in self.waiting:
            os.close(fd)
        self.waiting.clear()
        self._close()

    def _close(self) -> None:
        forget(self._sock, given=self.given)
