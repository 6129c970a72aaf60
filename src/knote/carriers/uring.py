# cython: annotation_typing=False
"""Requests by io_uring(7).

Some facts about io_uring, and what follows here:

* A descriptor with O_NONBLOCK is answered EAGAIN at once, and a connect(2) on it EINPROGRESS; an aiocb's operation
  waits all the same -> it is polled for by the ring itself (IORING_OP_POLL_ADD), and tried again.
* Requests belong to the thread that submitted them: when it ends they are cancelled, or fail with EFAULT as its
  memory is gone -> an ECANCELED that nobody asked for, and a first EFAULT, are submitted again by whoever reaps.
* A request holds the open file.  close(2) of its descriptor changes nothing for it; a socket's peer sees the end
  when the request is over (S-479) -> docs/aio.md says so; cancel() first.
* A read whose pages are in memory costs the ring more than read(2) -> Ring.at_once() is tried before submit().
* A completion that finds its queue full is kept (IORING_FEAT_NODROP), and the kernel may then say EBUSY to new
  ones -> reap, and submit again.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from knote.carriers.base import Carrier
from knote.ring import (
    FSYNC_DATASYNC,
    OP_ACCEPT,
    OP_ASYNC_CANCEL,
    OP_CONNECT,
    OP_FSYNC,
    OP_POLL_ADD,
    OP_READ,
    OP_RECV,
    OP_RECVMSG,
    OP_SEND,
    OP_SENDMSG,
    OP_WRITE,
    Ring,
)
from knote.verbs import (
    ACCEPT,
    AIO_ALLDONE,
    AIO_CANCELED,
    AIO_NOTCANCELED,
    CONNECT,
    DONE,
    FDATASYNC,
    FLYING,
    READ,
    RECV,
    RECVFROM,
    SEND,
    SENDTO,
    WRITE,
)

if TYPE_CHECKING:
    from knote.request import Datagram, Request

POLLIN = 0x1
POLLOUT = 0x4
SOCK_CLOEXEC = 0o2000000
_MOST = 0x7FFFF000
"""Bytes that one read(2) or write(2) transfers at most; larger requests are short ones."""
_POLLED = (ACCEPT, READ, RECV, RECVFROM, SEND, SENDTO, WRITE)
"""What EAGAIN means "wait" for.  A UNIX connect(2) says it when a listener's queue is full: no poll sees that."""
_CANCEL = 1 << 63
"""In a token: the completion is a cancellation's."""
_EAGAIN = errno.EAGAIN
_EALREADY = errno.EALREADY
_EBUSY = errno.EBUSY
_ECANCELED = errno.ECANCELED
_EFAULT = errno.EFAULT
_EINPROGRESS = errno.EINPROGRESS
_EINTR = errno.EINTR
_ENOENT = errno.ENOENT

# Memory of requests whose ring went away under them: the kernel may still write there, so it is never freed.
_lost: list[Any] = []


class UringCarrier(Carrier):
    """One ring.  Raises OSError with the reason when it cannot be had."""

    __slots__ = ("_answer", "_closing", "_dirty", "_ring")

    def __init__(self) -> None:
        self._ring = Ring()
        super().__init__("io_uring", self._ring.fd)
        self._answer = 0
        """What the last cancellation came to."""
        self._dirty = False
        """Something was prepared and not submitted."""
        self._closing = False

    def start(self, request: Request) -> None:
        """Carrier.start()."""
        self._again(request)

    def _again(self, request: Request) -> None:
        op = request.op
        address = size = 0
        offset = request.offset
        flags = request.flags
        pin = request.pin
        if pin is not None:
            address = pin.address
            size = pin.length if pin.length < _MOST else _MOST
        if op == READ:
            code = OP_READ
        elif op == WRITE:
            code = OP_WRITE
        elif op == RECV:
            code = OP_RECV
        elif op == SEND:
            code = OP_SEND
        elif op == ACCEPT:
            code = OP_ACCEPT
            flags = SOCK_CLOEXEC
        elif op == CONNECT:
            code = OP_CONNECT
            offset = size  # the address's length stands in the offset's place
            size = 0
        elif op in (RECVFROM, SENDTO):
            code = OP_RECVMSG if op == RECVFROM else OP_SENDMSG
            datagram: Datagram = request  # type: ignore[assignment]  # these two verbs are its only ones
            address = datagram.head.address
            size = 1
        else:
            code = OP_FSYNC
            flags = FSYNC_DATASYNC if op == FDATASYNC else 0
        self._put(request, code, address, size, offset, flags)

    def _put(self, request: Request, code: int, address: int, size: int, offset: int, flags: int) -> None:
        rc = self._ring.prepare(code, request.fd, address, size, offset, flags, request.ident)
        if rc < 0:
            # The queue is full and the kernel takes nothing: room among the completions may help.
            self.flush()
            rc = self._ring.prepare(code, request.fd, address, size, offset, flags, request.ident)
        if rc < 0:
            self.settle(request, -_EAGAIN)
        self._dirty = True

    def flush(self) -> None:
        """Carrier.flush()."""
        self._dirty = False
        n = self._ring.at_once()
        for i in range(n):
            request = self.find(self._ring.token(i))
            if request is not None:
                self.settle(request, self._ring.result(i))
        rc = self._ring.submit()
        if rc == 0:
            return
        self._take()
        rc = self._ring.submit()
        if rc == 0:
            return
        n = self._ring.retract()
        for i in range(n):
            request = self.find(self._ring.token(i))
            if request is not None:
                self.settle(request, -_EAGAIN)

    def reap(self) -> None:
        """Carrier.reap()."""
        self._take()
        if self._dirty:
            self.flush()

    def _take(self) -> None:
        ring = self._ring
        n = ring.reap()
        while n > 0:
            for i in range(n):
                token = ring.token(i)
                if token & _CANCEL:
                    self._answer = ring.result(i)
                    continue
                request = self.find(token)
                if request is not None:
                    result = ring.result(i)
                    if result >= 0 and not request.waiting:
                        self.settle(request, result)
                    else:
                        self._judge(request, result)
            n = ring.reap()

    def _judge(self, request: Request, result: int) -> None:
        if request.cancelling or self._closing:
            if result >= 0 and request.waiting:
                result = -_ECANCELED
            self.settle(request, -_ECANCELED if result in (-_EINTR, -_EAGAIN) else result)
        elif request.waiting and result >= 0:
            request.waiting = False
            self._again(request)
        elif result == -_ECANCELED or result == -_EINTR or (result == -_EFAULT and not request.retried):
            request.retried = True
            request.waiting = False
            self._again(request)
        elif result == -_EINPROGRESS or (result == -_EAGAIN and request.op in _POLLED):
            request.waiting = True
            reading = request.op == READ or request.op in (RECV, RECVFROM) or request.op == ACCEPT
            self._put(request, OP_POLL_ADD, 0, 0, 0, POLLIN if reading else POLLOUT)
        else:
            self.settle(request, result)

    def cancel(self, request: Request) -> int:
        """Carrier.cancel()."""
        self.reap()
        if request.state != FLYING:
            return AIO_ALLDONE
        request.cancelling = True
        self._answer = -_EBUSY
        if self._ring.prepare(OP_ASYNC_CANCEL, -1, request.ident, 0, 0, 0, request.ident | _CANCEL) < 0:
            request.cancelling = False
            return AIO_NOTCANCELED
        self.flush()
        self.reap()
        if request.state == DONE:
            return AIO_CANCELED if request.value == -_ECANCELED else AIO_ALLDONE
        if self._answer == 0:
            return AIO_CANCELED
        # ENOENT: the device has it.  EALREADY: a kernel thread is at it, and was interrupted if that can be.
        request.cancelling = self._answer == -_EALREADY
        return AIO_NOTCANCELED

    def close(self) -> None:
        """Carrier.close()."""
        if self.fd < 0:
            return
        if self.is_childs():
            # The queues are the parent's as well, in one memory: what is taken out here, the parent never sees.
            for request in self.slots:
                if request is not None:
                    self.settle(request, -_ECANCELED)
        else:
            self._finish_all()
        self._ring.close()
        self.fd = -1

    def _finish_all(self) -> None:
        self._closing = True
        self._take()
        if self.flying:
            self._cancel_all()
        while self.flying:
            rc = self._ring.wait()
            self._take()
            if rc < 0 and rc not in (-_EINTR, -_EAGAIN, -_EBUSY):
                _lost.append(list(self.slots))
                break

    def _cancel_all(self) -> None:
        for request in list(self.slots):
            if request is None or request.state != FLYING:
                continue
            while self._ring.prepare(OP_ASYNC_CANCEL, -1, request.ident, 0, 0, 0, request.ident | _CANCEL) < 0:
                before = self.flying
                self._take()
                if self.flying == before and self._ring.submit() < 0:
                    break
        self._ring.submit()
        self._take()
