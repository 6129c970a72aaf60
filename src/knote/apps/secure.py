"""A line whose bytes are encrypted, and whose other end has shown who it is."""

from __future__ import annotations

import errno
import select
import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_ONESHOT, EVFILT_READ, EVFILT_WRITE, kevent
from knote.apps.dial import ConnectError
from knote.apps.inlet import Inlet
from knote.apps.line import DONE, READ, ROOM, Line
from knote.apps.outlet import Outlet

if TYPE_CHECKING:
    from knote import kqueue

_PIECE = 64 * 1024
"""Of cipher text at a time: its plain text, and what was left before, fit into a flow's buffer."""


class TlsLine(Line):
    """TLS over a socket.  The cipher text goes through two buffers in memory and not through the ssl module's own
    socket: so it is the kqueue that waits, and our half can end while the other goes on (RFC 8446, 6.1)."""

    def __init__(
        self, sock: socket.socket, name: str, context: ssl.SSLContext, *, server: bool, host: str | None = None
    ) -> None:
        super().__init__(sock, name)
        self._from = ssl.MemoryBIO()
        self._to = ssl.MemoryBIO()
        self._left = b""
        self._notified = False
        self.tls = context.wrap_bio(self._from, self._to, server_side=server, server_hostname=host)
        self.inlet = _TlsInlet(self)
        self.outlet = _TlsOutlet(self)

    def shake_hands(self, queue: kqueue, timeout: float | None = None) -> None:
        """Until both sides know each other.  Raises ConnectError, with what is wrong with whose certificate."""
        end = None if timeout is None else monotonic() + timeout
        try:
            while True:
                try:
                    self.tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    self._wait(queue, end, timeout)
            while not self.flush():
                self._wait(queue, end, timeout)
        except ssl.SSLCertVerificationError as error:
            self._last_words()
            words = f"{error.verify_message.rstrip('.')}; --ca FILE trusts another authority, --insecure anybody"
            raise ConnectError(errno.EPROTO, f"{self.name}: not who it should be: {words}") from None
        except ssl.SSLError as error:
            self._last_words()
            raise ConnectError(errno.EPROTO, f"{self.name}: no TLS: {_words(error)}") from None
        except ConnectError:
            raise
        except OSError as error:
            raise ConnectError(error.errno or errno.EPROTO, f"{self.name}: {error.strerror}") from None

    def _last_words(self) -> None:
        try:
            self.flush()  # the alert, which tells the other side why
        except OSError:
            pass

    def _wait(self, queue: kqueue, end: float | None, timeout: float | None) -> None:
        number = EVFILT_READ if self.flush() else EVFILT_WRITE
        queue.control([kevent(self.sock, number, EV_ADD | EV_ONESHOT)], 0)
        rest = None if end is None else max(0.0, end - monotonic())
        if not queue.control(None, 8, rest):
            words = f"no TLS handshake within {timeout:g} s; --timeout sets how long is waited"
            raise ConnectError(errno.ETIMEDOUT, f"{self.name}: {words}")
        if number == EVFILT_READ:
            self.fetch()

    def fetch(self) -> bool:
        """Take cipher text from the socket; False if there is none."""
        try:
            data = self.sock.recv(_PIECE)
        except BlockingIOError:
            return False
        if data:
            self._from.write(data)
        else:
            self._from.write_eof()
        return True

    def flush(self) -> bool:
        """Send cipher text; whether all of it has gone."""
        while True:
            if not self._left:
                self._left = self._to.read()
                if not self._left:
                    return True
            try:
                self._left = self._left[self.sock.send(self._left, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                return False

    def listens(self, *, maybe: bool = False) -> bool:
        """As Line.listens: after close_notify, as long as the socket itself is not closed."""
        return not self._state() & (select.POLLRDHUP | select.POLLHUP | select.POLLERR)

    def end(self) -> int:
        """As Line.end: close_notify, and the socket stays open for both."""
        if not self._notified:
            # OpenSSL would take what has come and was not read yet for an error.
            if self._from.pending or self.tls.pending():
                return READ
            self._notified = True
            try:
                self.tls.unwrap()
            except (ssl.SSLError, ValueError):
                pass  # SSLWantReadError: the other side has not ended, which is what half-closed means
        try:
            return DONE if self.flush() else ROOM
        except OSError:
            return DONE  # the other side has gone, and reading will tell how


class _TlsInlet(Inlet):
    """Plain text that comes."""

    __slots__ = ("_line",)

    def __init__(self, line: TlsLine) -> None:
        super().__init__(line.sock.fileno(), line.name, line.sock)
        self.own_socket = False  # no way past us
        self._line = line

    def read_into(self, room: memoryview) -> int:
        """As Inlet.read_into.  All that has arrived is taken: what stayed in our own buffers, no event would tell
        of."""
        line = self._line
        count = 0
        try:
            while count < len(room):
                try:
                    got = _read(line.tls, room[count:])
                except ssl.SSLWantReadError:
                    if count or not line.fetch():
                        line.flush()
                        return count or -1
                    continue
                except ssl.SSLZeroReturnError:
                    got = 0
                if not got:
                    self.ended = True  # said in TLS, so no event of the socket will say it
                    return count
                count += got
            return count
        except ssl.SSLError as error:
            if count:
                return count  # and then the error, again
            raise OSError(errno.EPROTO, _words(error), self.name) from None
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.name) from None


class _TlsOutlet(Outlet):
    """Plain text that goes."""

    __slots__ = ("_line", "_owed")

    def __init__(self, line: TlsLine) -> None:
        super().__init__(line.sock.fileno(), line.name, line.sock)
        self.own_socket = False
        self._line = line
        self._owed = 0

    def write(self, data: memoryview) -> int:
        """As Outlet.write.  What was encrypted counts as taken when its cipher text has gone: until then whoever
        writes waits for room, and that is what sends the rest."""
        line = self._line
        try:
            if not self._owed:
                self._owed = line.tls.write(data[:_PIECE])
            if not line.flush():
                return 0
        except ssl.SSLError as error:
            raise OSError(errno.EPROTO, _words(error), self.name) from None
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.name) from None
        taken, self._owed = self._owed, 0
        return taken


def _read(tls: ssl.SSLObject, room: memoryview) -> int:
    count: Any = tls.read(len(room), room)  # a number when there is a buffer; typeshed has bytes
    return int(count)


def _words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING":
        return "the connection ended without TLS's close_notify: what came may have been cut short"
    text = error.reason or error.strerror or str(error)
    return text.replace("_", " ").lower()
