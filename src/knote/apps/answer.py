"""The other end of a connection: wait for one, take it, and listen no more."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_ONESHOT, EVFILT_READ, kevent, kqueue
from knote.apps import address
from knote.apps.dial import ConnectError, addresses
from knote.apps.handler import deliver
from knote.apps.legible import quoted
from knote.apps.signals import HANGUP, StopSignals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Stopped(Exception):
    """A signal came before anybody did; what was made is removed.  number: which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def answer(
    queue: kqueue, host: str, port: str | int, *, timeout: float | None = None, announce: Callable[[str], None]
) -> tuple[socket.socket, str]:
    """The first connection to HOST:PORT, non-blocking, and who made it.  An empty host: port is the path of a UNIX
    socket, which is made, and removed when somebody has come; a name that begins with @ is abstract.

    announce: gets the address once it can be connected to.
    timeout: seconds to wait.
    Raises ConnectError; Stopped, in the main thread.
    """
    start = monotonic()
    with _stops(queue) as stops, _door(queue, host, port, timeout) as door:
        where = address.text(door.getsockname())
        announce(where)
        queue.control([kevent(door, EVFILT_READ, EV_ADD | EV_ONESHOT)], 0)
        while True:
            events = queue.control(None, 8, None if timeout is None else max(0.0, start + timeout - monotonic()))
            deliver([event for event in events if event.udata])
            if stops is not None and stops.number:
                raise Stopped(stops.number)
            if not events:
                words = f"nobody came within {timeout:g} s; --timeout sets how long is waited"
                raise ConnectError(errno.ETIMEDOUT, f"{where}: {words}")
            try:
                sock, who = door.accept()
            except (BlockingIOError, ConnectionAbortedError):  # gone again
                queue.control([kevent(door, EVFILT_READ, EV_ADD | EV_ONESHOT)], 0)
                continue
            sock.setblocking(False)
            return sock, address.text(who) or where


def _stops(queue: kqueue) -> AbstractContextManager[StopSignals | None]:
    # Only the main thread may have handlers; where another one listens, its program sees to the signals.
    if threading.current_thread() is not threading.main_thread():
        return nullcontext()
    return StopSignals(queue, _nothing, HANGUP)


def _nothing() -> None:
    pass


@contextmanager
def _door(queue: kqueue, host: str, port: str | int, timeout: float | None) -> Iterator[socket.socket]:
    name = address.join(host, port) if host else str(port)
    made = ""
    try:
        family, where = _where(queue, host, port, timeout)
        door = socket.socket(family, socket.SOCK_STREAM)
    except ConnectError as error:
        raise ConnectError(error.errno, f"cannot listen on {error.strerror}") from None
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
            hint = _taken(host, name) if error.errno == errno.EADDRINUSE else ""
            words = error.strerror or str(error)
            raise ConnectError(error.errno or errno.EINVAL, f"cannot listen on {name}: {words}{hint}") from None
        try:
            yield door
        finally:
            if made:
                os.unlink(made)


def _taken(host: str, name: str) -> str:
    """What to do about an address that is in use."""
    if host:
        return "; port 0 is any free one"
    if name.startswith("@"):
        return "; somebody listens there"
    try:
        left = stat.S_ISSOCK(os.lstat(name).st_mode)
    except OSError:
        return ""  # gone meanwhile
    return f"; if nobody listens there any more: rm {quoted(name)}" if left else "; what is there is no socket"


def _where(queue: kqueue, host: str, port: str | int, timeout: float | None) -> tuple[int, Any]:
    if not host:
        return socket.AF_UNIX, address.unix_name(str(port))
    found = addresses(queue, host, port, timeout, socket.AI_PASSIVE)
    return found[0][0], found[0][4]
