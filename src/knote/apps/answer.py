"""The other end of a connection: wait for one, take it, and listen no more."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_ONESHOT, EVFILT_READ, kevent, kqueue
from knote.apps import address
from knote.apps.dial import ConnectError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def answer(
    queue: kqueue, host: str, port: str | int, *, timeout: float | None = None, announce: Callable[[str], None]
) -> tuple[socket.socket, str]:
    """The first connection to HOST:PORT, non-blocking, and who made it.  An empty host: port is the path of a UNIX
    socket, which is made, and removed when somebody has come; a name that begins with @ is abstract.

    announce: gets the address once it can be connected to.
    timeout: seconds to wait.
    Raises ConnectError.
    """
    with _door(host, port) as door:
        where = address.text(door.getsockname())
        announce(where)
        queue.control([kevent(door, EVFILT_READ, EV_ADD | EV_ONESHOT)], 0)
        while True:
            if not queue.control(None, 1, timeout):
                words = f"nobody came within {timeout:g} s; --timeout sets how long is waited"
                raise ConnectError(errno.ETIMEDOUT, f"{where}: {words}")
            try:
                sock, who = door.accept()
            except (BlockingIOError, ConnectionAbortedError):  # gone again
                queue.control([kevent(door, EVFILT_READ, EV_ADD | EV_ONESHOT)], 0)
                continue
            sock.setblocking(False)
            return sock, address.text(who) or where


@contextmanager
def _door(host: str, port: str | int) -> Iterator[socket.socket]:
    name = address.join(host, port) if host else str(port)
    made = ""
    try:
        family, where = _where(host, port)
        door = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConnectError(error.errno or errno.EINVAL, f"cannot listen on {name}: {error.strerror}") from None
    with door:
        try:
            if host:
                door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind(where)
            made = "" if host or name.startswith("@") else name
            door.listen(1)
            door.setblocking(False)
        except OSError as error:
            hint = ""
            if error.errno == errno.EADDRINUSE:
                hint = "; port 0 is any free one" if host else f"; if nobody listens there any more: rm {name}"
            words = error.strerror or str(error)
            raise ConnectError(error.errno or errno.EINVAL, f"cannot listen on {name}: {words}{hint}") from None
        try:
            yield door
        finally:
            if made:
                os.unlink(made)


def _where(host: str, port: str | int) -> tuple[int, Any]:
    if not host:
        return socket.AF_UNIX, address.unix_name(str(port))
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return found[0][0], found[0][4]
