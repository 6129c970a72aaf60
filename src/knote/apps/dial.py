"""Connections to other programs: every address of a name, the quickest wins."""

from __future__ import annotations

import errno
import os
import socket
import struct
from time import monotonic
from typing import Any, Final

from knote import EV_ADD, EV_DELETE, EV_ONESHOT, EVFILT_WRITE, kevent, kqueue
from knote.apps import address, lookup

NEXT: Final = 0.25
"""Seconds that an address is tried alone before the next one is tried beside it.  RFC 8305, 5"""


class ConnectError(OSError):
    """No connection: unknown host, or none of its addresses answers.  The text is complete."""


def dial(queue: kqueue, host: str, port: str | int, *, timeout: float | None = None) -> socket.socket:
    """A connected, non-blocking socket, by happy eyeballs (RFC 8305): the families take turns, in the order of
    getaddrinfo(3); after NEXT seconds without an answer the next address is tried besides, and at
    once when one fails.  The first that connects is taken.

    timeout: seconds for all of it, the name's lookup included; above 0.
    Raises ConnectError, which names each address and what became of it.
    """
    start = monotonic()
    name = address.join(host, port)
    found = addresses(queue, host, port, timeout)
    return _Race(queue, take_turns(found), timeout, start, name).run()


def addresses(queue: kqueue, host: str, port: str | int, timeout: float | None, flags: int = 0) -> list[Any]:
    """What getaddrinfo(3) says of them, in so many seconds.  Raises ConnectError."""
    name = address.join(host, port)
    try:
        return lookup.find(queue, host, port, None if timeout is None else monotonic() + timeout, flags)
    except TimeoutError:
        words = f"no answer about the name within {timeout:g} s; --timeout sets how long is waited"
        raise ConnectError(errno.ETIMEDOUT, f"{name}: {words}") from None
    except (OSError, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_SERVICE:
            # The C library's words: Servname not supported for ai_socktype.
            words = f"{port!r} is neither a port nor a service's name (/etc/services)"
            raise ConnectError(errno.ENOENT, f"{name}: {words}") from None
        words = error.strerror or str(error) if isinstance(error, OSError) else f"no valid host name ({error})"
        raise ConnectError(errno.ENOENT, f"{name}: {words}") from None


def dial_unix(path: str, *, timeout: float | None = None) -> socket.socket:
    """A connected, non-blocking socket; a path that begins with @ is abstract.  Raises ConnectError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Non-blocking, a connect to a full backlog says EAGAIN and no event ever comes; blocking, it waits in the
        # kernel, for SO_SNDTIMEO at most.  unix(7)
        if timeout is not None:
            whole, micro = divmod(max(1, int(timeout * 1e6)), 1_000_000)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", whole, micro))
        sock.connect(address.unix_name(path))
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if error.errno == errno.EAGAIN:
            raise _late(path, timeout) from None
        words = error.strerror or str(error)
        raise ConnectError(error.errno or errno.EINVAL, f"{path}: {words}") from None
    return sock


def take_turns(found: list[Any]) -> list[Any]:
    """getaddrinfo's answers, one of each family in turn, the first one's first.  RFC 8305, 4"""
    families: dict[int, list[Any]] = {}
    for answer in found:
        families.setdefault(answer[0], []).append(answer)
    order = []
    while any(families.values()):
        order += [answers.pop(0) for answers in families.values() if answers]
    return order


def _late(name: str, timeout: float | None) -> ConnectError:
    words = f"no connection within {timeout:g} s; --timeout sets how long is waited"
    return ConnectError(errno.ETIMEDOUT, f"{name}: {words}")


class _Race:
    """The attempts at one name."""

    def __init__(
        self, queue: kqueue, waiting: list[Any], timeout: float | None, start: float, name: str
    ) -> None:
        self._queue = queue
        self._waiting = waiting
        self._timeout = timeout
        self._start = start
        self._name = name
        self._running: dict[int, tuple[socket.socket, Any]] = {}
        self._failures: list[str] = []
        self._errno = errno.EADDRNOTAVAIL

    def run(self) -> socket.socket:
        """The winner; nothing else stays open."""
        try:
            return self._run()
        finally:
            for fd, (sock, _) in self._running.items():
                self._queue.control([kevent(fd, EVFILT_WRITE, EV_DELETE)], 0)
                sock.close()

    def _run(self) -> socket.socket:
        following = start = self._start
        while self._waiting or self._running:
            now = monotonic()
            if self._timeout is not None and now >= start + self._timeout:
                raise _late("; ".join([self._name, *dict.fromkeys(self._failures)]), self._timeout)
            if self._waiting and (now >= following or not self._running):
                winner = self._begin(self._waiting.pop(0))
                following = monotonic() + NEXT
                if winner is not None:
                    return winner
                continue
            times = [following - now] if self._waiting else []
            if self._timeout is not None:
                times.append(start + self._timeout - now)
            for event in self._queue.control(None, 8, max(0.0, min(times)) if times else None):
                sock, where = self._running.pop(event.ident)
                # Writable once it is decided; how, only SO_ERROR tells.
                error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not error:
                    return sock
                following = now
                self._failed(sock, where, error)
        raise ConnectError(self._errno, "; ".join(dict.fromkeys(self._failures)))

    def _begin(self, answer: Any) -> socket.socket | None:
        """Try one; the socket if it connected at once."""
        family, kind, proto, _name, where = answer
        try:
            sock = socket.socket(family, kind, proto)
        except OSError as error:
            self._failed(None, where, error.errno or errno.EINVAL)
            return None
        sock.setblocking(False)
        number = begin(sock, where)
        if not number:
            return sock
        if number != errno.EINPROGRESS:
            self._failed(sock, where, number)
            return None
        self._running[sock.fileno()] = sock, where
        self._queue.control([kevent(sock, EVFILT_WRITE, EV_ADD | EV_ONESHOT)], 0)
        return None

    def _failed(self, sock: socket.socket | None, where: Any, error: int) -> None:
        if sock is not None:
            sock.close()
        self._errno = error
        self._failures.append(f"{address.text(where)}: {os.strerror(error)}")


def begin(sock: socket.socket, where: Any) -> int:
    """connect(2), without waiting: 0, EINPROGRESS or what is wrong."""
    return sock.connect_ex(where)
