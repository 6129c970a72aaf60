# cython: annotation_typing=False
"""One client of the server: READ while it may send, WRITE only while something of its reply is left."""

from __future__ import annotations

from socket import MSG_NOSIGNAL
from typing import TYPE_CHECKING, Any

from knote import (
    EV_ADD,
    EV_DELETE,
    EV_DISABLE,
    EV_ENABLE,
    EV_KEEPUDATA,
    EVFILT_READ,
    EVFILT_WRITE,
    NOTE_NODATA,
    kevent,
)
from knote.apps.handler import Handler

if TYPE_CHECKING:
    from socket import socket

    from knote.apps.server import Server

RECEIVE = 65536
"""The most that is read at once: one client's turn."""


class Connection(Handler):
    """The READ knote's side: receive, serve, send at once.  Nothing is watched for writing while the client
    takes its replies as they come."""

    __slots__ = ("_outgoing", "_paused", "_recv", "_send", "_serve", "_server", "_sock", "ended", "fd")

    def __init__(self, server: Server, sock: socket) -> None:
        self._server: Any = server
        self._sock: Any = sock
        self._serve = server.service
        self._recv: Any = sock.recv
        self._send: Any = sock.send
        self._outgoing: Outgoing | None = None
        self._paused = False
        self.ended = False
        self.fd = sock.fileno()

    def arrival(self) -> kevent:
        """The change that registers it.  NODATA: a receive says how much there was, so nobody asks before."""
        return kevent(self.fd, EVFILT_READ, EV_ADD, NOTE_NODATA, 0, self)

    def ready(self, event: kevent) -> None:
        """One receive per event, so that a client that sends much does not keep the others waiting; by level
        the rest comes with the next collection."""
        try:
            data = self._recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            # Reset; or closed by its own WRITE event earlier in this batch (then EBADF, as the socket object
            # has forgotten its number).
            self.close()
            return
        if not data:
            self._input_ended()
            return
        try:
            reply = self._serve(data)
            size = len(reply) if reply is not None else 0
        except Exception as error:
            self.failed(error)
            return
        if not size:
            return
        if self._outgoing is not None:
            self._outgoing.add(reply)
            return
        try:
            sent = self._send(reply, MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        except TypeError as error:
            self.failed(error)
            return
        if sent != size:
            rest = bytearray(memoryview(reply)[sent:])
            outgoing = Outgoing(self, rest, self._server.high_water, self._server.low_water)
            self._outgoing = outgoing
            self._control(kevent(self.fd, EVFILT_WRITE, EV_ADD, NOTE_NODATA, 0, outgoing))
            outgoing.check()

    def failed(self, error: Exception) -> None:
        """The service did not do its part; what it made of the stream up to here is all there is."""
        self._server.service_failed(self, error)
        self.close()

    def _input_ended(self) -> None:
        # A half-close: the client may still read, so what it is owed goes out first.
        if self._outgoing is None:
            self.close()
        else:
            self.ended = True
            self._control(kevent(self.fd, EVFILT_READ, EV_DELETE))

    @property
    def pending(self) -> int:
        """Bytes that the client is owed and has not taken."""
        return 0 if self._outgoing is None else self._outgoing.size()

    def send_some(self, data: bytearray) -> int:
        """How many bytes the kernel took; -1 when the connection is gone (and closed by now)."""
        try:
            sent: int = self._send(data, MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError:
            self.close()
            return -1
        return sent

    def pause(self) -> None:
        """Read no more: the client takes less than it asks for."""
        if not self._paused and not self.ended:
            self._paused = True
            self._control(kevent(self.fd, EVFILT_READ, EV_DISABLE | EV_KEEPUDATA, NOTE_NODATA))

    def resume(self) -> None:
        """Read again."""
        if self._paused and not self.ended:
            self._paused = False
            self._control(kevent(self.fd, EVFILT_READ, EV_ENABLE | EV_KEEPUDATA, NOTE_NODATA))

    def drained(self) -> None:
        """The client has taken everything that it was owed."""
        self._outgoing = None
        if self.ended:
            self.close(True)
            return
        self._control(kevent(self.fd, EVFILT_WRITE, EV_DELETE))
        self.resume()

    def _control(self, change: kevent) -> None:
        if self._sock is None:
            return
        try:
            self._server.control([change], 0)
        except OSError as error:
            # No memory for it, for one: this client cannot be served, the others can.
            self._server.unwatchable(self, error)
            self.close()

    def close(self, writing: bool = False) -> None:
        """Take the knotes back and close the socket.  Closing twice is nothing."""
        if self._sock is None:
            return
        # Closing alone would do, unless a child of the service holds a copy of the descriptor: then the kernel
        # keeps reporting a number that is no longer ours (epoll(7), Q6).
        if not self.ended:
            self._delete(EVFILT_READ)
        if writing or self._outgoing is not None:
            self._delete(EVFILT_WRITE)
        self.drop()
        self._server.closed(self.fd)

    def drop(self) -> None:
        """Close the socket; for a server whose kqueue is closed already."""
        sock = self._sock
        self._sock = self._outgoing = None
        sock.close()

    def _delete(self, number: int) -> None:
        try:
            self._server.control([kevent(self.fd, number, EV_DELETE)], 0)
        except OSError:
            pass  # ENOENT: the kqueue has seen the end of it before us, and the knote is gone as it should be

    def peer(self) -> str:
        """The client's address, for a message."""
        from knote.apps import address

        try:
            return address.text(self._sock.getpeername())
        except (AttributeError, OSError):
            return f"descriptor {self.fd}"


class Outgoing(Handler):
    """The WRITE knote's side: what the client has not taken yet, bounded by pausing the connection."""

    __slots__ = ("_connection", "_high", "_low", "_rest")

    def __init__(self, connection: Connection, rest: bytearray, high: int, low: int) -> None:
        self._connection = connection
        self._rest = rest
        self._high = high
        self._low = low

    def size(self) -> int:
        """Bytes of it."""
        return len(self._rest)

    def add(self, reply: Any) -> None:
        """More of it."""
        try:
            self._rest += reply
        except TypeError as error:
            self._connection.failed(error)
            return
        self.check()

    def check(self) -> None:
        """Stop reading above the high-water mark."""
        if len(self._rest) > self._high:
            self._connection.pause()

    def ready(self, event: kevent) -> None:
        """There is room, or the client is gone, which sending finds out."""
        sent = self._connection.send_some(self._rest)
        if sent <= 0:
            return
        del self._rest[:sent]
        if not self._rest:
            self._connection.drained()
        elif len(self._rest) <= self._low:
            self._connection.resume()
