"""Stevens' str_cli: what one types goes to the server, what the server says is shown, and neither waits for the
other."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from knote import EV_ADD, EV_ONESHOT, EVFILT_WRITE, kevent, kqueue
from knote.apps import address
from knote.apps.flow import Flow
from knote.apps.handler import deliver
from knote.apps.inlet import Inlet
from knote.apps.outlet import Outlet, file_name


class ConnectError(OSError):
    """No connection: unknown host, or none of its addresses answers.  The text is complete."""


def connect(queue: kqueue, host: str, port: str | int) -> socket.socket:
    """A connected, non-blocking socket: the host's addresses are tried in the order in which getaddrinfo(3) gives
    them.  Raises ConnectError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        words = error.strerror if isinstance(error, OSError) else f"no valid host name ({error})"
        raise ConnectError(errno.ENOENT, f"{address.join(host, port)}: {words}") from None
    failures: list[str] = []
    number = errno.EADDRNOTAVAIL
    for family, kind, proto, _name, where in found:
        try:
            sock = socket.socket(family, kind, proto)
            try:
                _connect(queue, sock, where)
            except BaseException:
                sock.close()
                raise
            return sock
        except OSError as error:
            number = error.errno or number
            failures.append(f"{address.text(where)}: {os.strerror(number)}")
    raise ConnectError(number, "; ".join(dict.fromkeys(failures)))


def _connect(queue: kqueue, sock: socket.socket, where: Any) -> None:
    sock.setblocking(False)
    rc = sock.connect_ex(where)
    if rc == errno.EINPROGRESS:
        # Writable once it is decided; how, only SO_ERROR tells.
        queue.control([kevent(sock, EVFILT_WRITE, EV_ADD | EV_ONESHOT)], 0)
        while not queue.control(None, 1, None):
            pass
        rc = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if rc:
        raise OSError(rc, os.strerror(rc))


def talk(
    host: str, port: str | int, *, stdin: int | None = 0, stdout: int = 1, engine: str | None = None
) -> None:
    """Connect, send what comes from stdin, write to stdout what the server says, until the server's end.

    At the end of stdin the connection is shut down for writing and read on.  Both directions run at once, each
    with one buffer, so that any amount goes through however slow the other end is.
    stdin: a descriptor; None for nothing to send.  How the descriptors block is not changed.
    Raises ConnectError; OSError with the filename of the end that failed: standard input or output, or
    'HOST:PORT', also when the server closed before all of stdin was sent.
    """
    with kqueue(engine=engine) as queue:
        where = file_name(stdout)
        screen = Outlet(stdout, f"standard output ({where})" if where.startswith("/") else "standard output")
        try:
            keyboard = None if stdin is None else Inlet(stdin, "standard input")
            try:
                with connect(queue, host, port) as sock:
                    _Session(queue, sock, address.join(host, port), keyboard, screen).run()
            finally:
                if keyboard is not None:
                    keyboard.close()
        finally:
            screen.close()


class _Session:
    """The two flows of one connection."""

    def __init__(
        self, queue: kqueue, sock: socket.socket, name: str, keyboard: Inlet | None, screen: Outlet
    ) -> None:
        self._queue = queue
        self._sock = sock
        self._name = name
        self._down = Flow(queue, Inlet(sock.fileno(), name, sock), screen)
        self._up = None if keyboard is None else Flow(queue, keyboard, Outlet(sock.fileno(), name, sock))
        self._shut = False

    def run(self) -> None:
        self._down.start()
        if self._up is None:
            self._half_close()
        else:
            self._up.start()
        while not self._down.done:
            if self._up is not None and self._up.done and not self._shut:
                self._half_close()
            deliver(self._queue.control(None, 8, None))
        if self._up is not None and self._down.write_error is None and self._down.read_error is None:
            self._send_the_rest(self._up)
        self._outcome()

    def _send_the_rest(self, up: Flow) -> None:
        # The server says no more, and may still listen: what lies ready is sent.  Who sits at a terminal and types
        # nothing, or holds a pipe open, is not waited for.
        while not up.done:
            events = self._queue.control(None, 8, None if up.pending else 0)
            if not events:
                break
            deliver(events)

    def _half_close(self) -> None:
        self._shut = True
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # ENOTCONN: reset by the server; what can still be read says so

    def _outcome(self) -> None:
        error = self._down.write_error or self._down.read_error
        if error is None and self._up is not None:
            error = self._up.read_error
            if self._up.write_error:
                error = OSError(
                    errno.EPIPE, "the server closed the connection before all of the input was sent", self._name
                )
        if error is not None:
            raise error
