"""What a master and its workers say to each other: one JSON object a line, over a socket pair.

    {"what": "ready"}
    {"what": "rest", "doors": [0]}

Whoever listens has a table of what he understands, `hear`, and more may be put into it; what is not in there is
ignored, so that a worker of a newer knote gets along with the master that an older one left running.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_DELETE, EVFILT_READ, EVFILT_WRITE, NOTE_NODATA, kevent
from knote.apps.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote import kqueue

_MOST = 1 << 20
"""Bytes that the other side may be owed: one that stands still is not written to without end."""


class Channel(Handler):
    """One end.  queue: whose loop calls hear[what](message), and once gone(), when the other side has ended, or
    reads no more.  Threads: all of it belongs to that loop's."""

    __slots__ = ("_gone", "_in", "_out", "_queue", "_sock", "hear", "open")

    def __init__(self, queue: kqueue, sock: socket.socket, gone: Callable[[], None]) -> None:
        self._queue = queue
        self._sock = sock
        self._gone = gone
        self._in = b""
        self._out = b""
        self.hear: dict[str, Callable[[dict[str, Any]], None]] = {}
        """What to do at which message."""
        self.open = True
        sock.setblocking(False)
        queue.control([kevent(sock, EVFILT_READ, EV_ADD, NOTE_NODATA, 0, self)], 0)

    def say(self, what: str, **more: Any) -> None:
        """Send a message; to one that is gone, none."""
        if self.open:
            waiting = bool(self._out)
            self._out += self.line(what, **more)
            if not waiting:
                self._flush()
                if self._out and self.open:
                    self._queue.control([kevent(self._sock, EVFILT_WRITE, EV_ADD, NOTE_NODATA, 0, self)], 0)
            elif len(self._out) > _MOST:
                self._end()

    @staticmethod
    def line(what: str, **more: Any) -> bytes:
        """A message as it is sent."""
        return json.dumps({"what": what, **more}).encode() + b"\n"

    def ready(self, event: kevent) -> None:
        """Bytes have come, or there is room for some."""
        if not self.open:
            return
        if event.filter == EVFILT_WRITE:
            self._flush()
            if self.open and not self._out:
                self._queue.control([kevent(self._sock, EVFILT_WRITE, EV_DELETE)], 0)
            return
        self._read()

    def drain(self) -> None:
        """Hear what has come, all of it: the other side has ended."""
        while self.open and self._read():
            pass

    def _read(self) -> bool:
        try:
            data = self._sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._end()
            return False
        *lines, self._in = (self._in + data).split(b"\n")
        for line in lines:
            message = _understood(line)
            hear = self.hear.get(str(message.get("what")))
            if hear is not None:
                hear(message)
        return True

    def _flush(self) -> None:
        try:
            self._out = self._out[self._sock.send(self._out, socket.MSG_NOSIGNAL) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._end()

    def _end(self) -> None:
        self.close()
        self._gone()

    def close(self) -> None:
        """Say and hear no more.  Idempotent."""
        if self.open:
            self.open = False
            if not self._queue.closed:
                self._queue.control([kevent(self._sock, EVFILT_READ, EV_DELETE)], 0)
            self._sock.close()


def first(sock: socket.socket) -> dict[str, Any]:
    """The first message, waited for: before there is a queue.  EOFError if the other side ends without one."""
    line = b""
    while not line.endswith(b"\n"):
        # A byte at a time: what is behind it is the channel's.
        byte = sock.recv(1)
        if not byte:
            raise EOFError
        line += byte
    return _understood(line)


def _understood(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
