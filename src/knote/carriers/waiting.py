"""Requests without io_uring: what can be waited for is waited for by epoll(7), and what cannot (files, devices,
fsync) goes to whoever can block for it.

A request acts on the open file that its descriptor meant when it was submitted, as io_uring's does: it has a
descriptor of its own until it is over, made by dup(2).
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import stat
from typing import TYPE_CHECKING, Any, Final

from knote import errors
from knote.carriers.base import Carrier
from knote.verbs import (
    ACCEPT,
    AIO_ALLDONE,
    AIO_CANCELED,
    AIO_NOTCANCELED,
    CONNECT,
    FDATASYNC,
    FLYING,
    FSYNC,
    READ,
    RECV,
    RECVFROM,
    SEND,
    SENDTO,
    WRITE,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from knote.request import Datagram, Request

    class Files(Protocol):
        """Who can block for a file: fd polls readable while reap() has results."""

        fd: int

        def start(self, request: Request, fd: int) -> int:
            """0 or -errno."""

        def reap(self) -> list[tuple[int, int]]:
            """(ident, result) of each that is over."""

        def cancel(self, ident: int) -> bool:
            """Whether it has not begun; if so, it never does, and reap() need not tell of it."""

        def close(self, *, child: bool) -> None:
            """Wait for what has begun, unless this is a forked child.  reap() tells of it afterwards."""


_IN: Final = select.EPOLLIN | select.EPOLLRDHUP
_DIRECTION: Final = {
    READ: _IN, RECV: _IN, RECVFROM: _IN, ACCEPT: _IN, WRITE: select.EPOLLOUT, SEND: select.EPOLLOUT,
    SENDTO: select.EPOLLOUT, CONNECT: select.EPOLLOUT,
}  # fmt: skip
_MANY: Final = 256
_LATER: Final = -1 << 32
"""No errno: it would block."""


class WaitingCarrier(Carrier):
    """An epoll set of private descriptors, beside whoever blocks for files."""

    def __init__(self, name: str, files: Files) -> None:
        try:
            self._poll = select.epoll()
        except OSError as error:
            files.close(child=False)
            raise errors.creation(error.errno or 0, "the epoll instance of asynchronous requests") from error
        super().__init__(name, self._poll.fileno())
        self._files = files
        try:
            self._poll.register(files.fd, select.EPOLLIN)
        except OSError as error:
            self._poll.close()
            files.close(child=False)
            raise errors.creation(error.errno or 0, "watching for asynchronous requests") from error
        self._waiting: dict[int, Request] = {}
        """By private descriptor."""

    def start(self, request: Request) -> None:
        """Carrier.start()."""
        try:
            own = fcntl.fcntl(request.fd, fcntl.F_DUPFD_CLOEXEC, 0)
        except OSError as error:
            self.settle(request, -(error.errno or 0))
            return
        request.owner = own
        try:
            blocks = request.op in (FSYNC, FDATASYNC) or (request.op in (READ, WRITE) and not self._can_wait(own))
        except OSError as error:
            self._finish(request, -(error.errno or 0))
            return
        if blocks:
            rc = self._files.start(request, own)
            if rc < 0:
                self._finish(request, rc)
            return
        result = self._attempt(request, own)
        if result == _LATER:
            request.waiting = True
            self._waiting[own] = request
            try:
                self._poll.register(own, _DIRECTION[request.op] | select.EPOLLONESHOT)
            except OSError as error:
                self._finish(request, -(error.errno or 0))
        else:
            self._finish(request, result)

    def _can_wait(self, fd: int) -> bool:
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode) or stat.S_ISBLK(mode) or stat.S_ISDIR(mode):
            return False
        try:
            self._poll.register(fd, 0)
        except PermissionError:  # /dev/null and its like: epoll refuses what never makes one wait
            return False
        self._poll.unregister(fd)
        return True

    def _finish(self, request: Request, result: int) -> None:
        own = request.owner
        request.owner = None
        if own is not None:
            if self._waiting.pop(own, None) is not None:
                try:
                    self._poll.unregister(own)
                except OSError:  # it was refused when it was to be registered
                    pass
            os.close(own)
        self.settle(request, result)

    def _attempt(self, request: Request, fd: int) -> int:
        """The operation, if it does not block: its result or -errno, _LATER if it would."""
        try:
            return _NOW[request.op](request, fd)
        except BlockingIOError:
            return _LATER
        except OSError as error:
            return -(error.errno or 0)

    def reap(self) -> None:
        """Carrier.reap()."""
        for ident, result in self._files.reap():
            request = self.find(ident)
            if request is not None:
                self._finish(request, result)
        try:
            ready = self._poll.poll(0, _MANY)
        except OSError:
            ready = []  # The set stays readable, and this is asked again; what the files gave is told meanwhile.
        for own, _ in ready:
            waiting = self._waiting.get(own)
            if waiting is not None:
                result = self._attempt(waiting, own)
                if result == _LATER:
                    self._poll.modify(own, _DIRECTION[waiting.op] | select.EPOLLONESHOT)
                else:
                    self._finish(waiting, result)

    def cancel(self, request: Request) -> int:
        """Carrier.cancel()."""
        self.reap()
        if request.state != FLYING:
            return AIO_ALLDONE
        if request.owner in self._waiting or self._files.cancel(request.ident):
            self._finish(request, -errno.ECANCELED)
            return AIO_CANCELED
        return AIO_NOTCANCELED

    def close(self) -> None:
        """Carrier.close()."""
        if self.fd < 0:
            return
        child = self.is_childs()
        if not child:
            self.reap()
        for request in list(self._waiting.values()):
            own, request.owner = request.owner, None
            os.close(own)
            self.settle(request, -errno.ECANCELED)
        self._waiting.clear()
        left = [request for request in self.slots if request is not None and request.state == FLYING]
        if not child:
            for request in left:
                if self._files.cancel(request.ident):
                    self._finish(request, -errno.ECANCELED)
        self._files.close(child=child)
        for ident, result in self._files.reap():
            request_over = self.find(ident)
            if request_over is not None:
                self._finish(request_over, result)
        for request in left:
            if request.state == FLYING:
                self._finish(request, -errno.ECANCELED)
        self._poll.close()
        self.fd = -1


def _read(request: Request, fd: int) -> int:
    try:
        return os.preadv(fd, [request.buffer], -1, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return _unblocked(fd, lambda: os.readv(fd, [request.buffer]))


def _write(request: Request, fd: int) -> int:
    try:
        return os.pwritev(fd, [request.buffer], -1, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return _unblocked(fd, lambda: os.writev(fd, [request.buffer]))


def _unblocked(fd: int, call: Callable[[], int]) -> int:
    # Where no flag of the call itself does it.  The file has O_NONBLOCK for the call's few microseconds, and so
    # has everybody else who has it open.
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    if flags & os.O_NONBLOCK:
        return call()
    fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    try:
        return call()
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)


def _with_socket(fd: int, call: Callable[[socket.socket], int]) -> int:
    borrowed = socket.socket(fileno=fd)
    try:
        return call(borrowed)
    finally:
        borrowed.detach()


def _recv(request: Request, fd: int) -> int:
    flags = request.flags | socket.MSG_DONTWAIT
    return _with_socket(fd, lambda sock: sock.recv_into(request.buffer, 0, flags))


def _send(request: Request, fd: int) -> int:
    flags = request.flags | socket.MSG_DONTWAIT
    return _with_socket(fd, lambda sock: sock.send(request.buffer, flags))


def _recvfrom(request: Datagram, fd: int) -> int:
    flags = request.flags | socket.MSG_DONTWAIT

    def call(sock: socket.socket) -> int:
        n, sender = sock.recvfrom_into(request.buffer, 0, flags)
        request.sender = (sender,)
        return n

    return _with_socket(fd, call)


def _sendto(request: Datagram, fd: int) -> int:
    if request.target is None:
        return _send(request, fd)
    flags = request.flags | socket.MSG_DONTWAIT
    return _with_socket(fd, lambda sock: sock.sendto(request.buffer, flags, request.target))


def _accept(_request: Request, fd: int) -> int:
    def call(sock: socket.socket) -> int:
        return sock.accept()[0].detach()

    return _unblocked(fd, lambda: _with_socket(fd, call))


def _connect(request: Request, fd: int) -> int:
    def call(sock: socket.socket) -> int:
        if request.waiting:
            return -sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return -sock.connect_ex(request.target)

    result = _unblocked(fd, lambda: _with_socket(fd, call))
    # EAGAIN is final: the listener's queue is full, and no poll tells when there is room.
    return _LATER if result == -errno.EINPROGRESS else result


_NOW: Final[dict[int, Callable[[Any, int], int]]] = {
    READ: _read, WRITE: _write, RECV: _recv, RECVFROM: _recvfrom, SEND: _send, SENDTO: _sendto,
    ACCEPT: _accept, CONNECT: _connect,
}  # fmt: skip
