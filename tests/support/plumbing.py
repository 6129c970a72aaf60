"""Pipes and sockets for tests: both ends by number, closed by whoever made them."""

from __future__ import annotations

import os
import select
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from tests.support.waiting import SOON

LOCALHOST: Final = "127.0.0.1"


class _Owner:
    """Closes what is still open of the named descriptors."""

    _fds: tuple[str, ...] = ()

    def close(self) -> None:
        """Close both ends; those that a test has closed by close_*() are left alone."""
        for name in self._fds:
            self._close(name)

    def _close(self, name: str) -> None:
        fd = getattr(self, name)
        if fd >= 0:
            setattr(self, name, -1)
            os.close(fd)

    def __enter__(self) -> _Owner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass
class Pipe(_Owner):
    """A non-blocking pipe: read end *r*, write end *w*; -1 once closed."""

    r: int = -1
    w: int = -1
    _fds = ("r", "w")

    def __post_init__(self) -> None:
        self.r, self.w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def write(self, data: bytes) -> int:
        """write(2) to the write end."""
        return os.write(self.w, data)

    def read(self, n: int = 65536) -> bytes:
        """read(2) from the read end."""
        return os.read(self.r, n)

    def fill(self) -> int:
        """Write until the pipe is full; how many bytes it took."""
        return fill(self.w)

    def drain(self) -> int:
        """Read until the pipe is empty; how many bytes there were."""
        return drain(self.r)

    def close_r(self) -> None:
        """Close the read end."""
        self._close("r")

    def close_w(self) -> None:
        """Close the write end."""
        self._close("w")


@dataclass
class Pair(_Owner):
    """Two connected non-blocking sockets, *a* and *b*, and their numbers."""

    a: socket.socket
    b: socket.socket

    @property
    def fd_a(self) -> int:
        """a's number."""
        return self.a.fileno()

    @property
    def fd_b(self) -> int:
        """b's number."""
        return self.b.fileno()

    def close(self) -> None:
        """Close both; closing twice is nothing."""
        self.a.close()
        self.b.close()


def unix_pair(kind: int = socket.SOCK_STREAM) -> Pair:
    """socketpair(2), non-blocking."""
    a, b = socket.socketpair(socket.AF_UNIX, kind)
    a.setblocking(False)
    b.setblocking(False)
    return Pair(a, b)


def listener(backlog: int = 16) -> socket.socket:
    """A non-blocking TCP listener on 127.0.0.1."""
    sock = socket.create_server((LOCALHOST, 0), backlog=backlog)
    sock.setblocking(False)
    return sock


def connected(to: socket.socket) -> Pair:
    """A client *a* of the listener and its accepted *b*, non-blocking, without Nagle's delay."""
    a = socket.create_connection(to.getsockname(), timeout=SOON)
    to.settimeout(SOON)
    b, _ = to.accept()
    to.setblocking(False)
    for end in (a, b):
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Pair(a, b)


def tcp_pair() -> Pair:
    """A TCP connection over the loopback: client *a*, server *b*."""
    with listener() as server:
        return connected(server)


def fill(fd: int, chunk: int = 4096) -> int:
    """Write until it would block; how many bytes went in."""
    total = 0
    try:
        while True:
            total += os.write(fd, b"x" * chunk)
    except BlockingIOError:
        return total


def drain(fd: int) -> int:
    """Read until it would block or the end is reached; how many bytes came out."""
    total = 0
    try:
        while data := os.read(fd, 65536):
            total += len(data)
    except BlockingIOError:
        pass
    return total


def arrived(fd: int, deadline: float = SOON) -> None:
    """Return when poll(2) says that *fd* is readable: what was sent over the loopback is there."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    assert poller.poll(deadline * 1000), f"nothing came to fd {fd} within {deadline} s"


def number_is_free(fd: int) -> bool:
    """The descriptor number is closed."""
    try:
        os.fstat(fd)
    except OSError:
        return True
    return False
