"""Asynchronous input and output: requests that a kqueue tells the end of.

    request = aio.read(kq, fd, 4096, offset)      # aio_read(2), and it comes back at once
    [event] = kq.control(None, 1)                 # EVFILT_AIO, event.ident == request.ident
    data = request.buffer[: event.data]           # or request.result(), which raises OSError

The names and their sense are POSIX's aio.h, the delivery is FreeBSD's SIGEV_KEVENT.  docs/aio.md has the whole.

Threads: all of it may be called by any number of threads; one request by one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from knote import errors
from knote.listio import Listio
from knote.request import Request, arm, disarm
from knote.verbs import AIO_ALLDONE, AIO_CANCELED, AIO_NOTCANCELED, LAUNCH, WHICH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from knote.kqueue import kqueue
    from knote.request import Buffer, Datagram, Descriptor

__all__ = [
    "AIO_ALLDONE",
    "AIO_CANCELED",
    "AIO_NOTCANCELED",
    "Backend",
    "Listio",
    "Request",
    "accept",
    "backend",
    "connect",
    "fdatasync",
    "fsync",
    "lio_listio",
    "read",
    "recv",
    "recvfrom",
    "send",
    "sendto",
    "submit",
    "write",
]


def submit(kq: kqueue, requests: Iterable[Request]) -> None:
    """Begin to carry out requests, all that have to wait with one system call where io_uring does it.  Each gives
    one EVFILT_AIO event: ident is request.ident, data the result, or -errno with the errno in fflags, udata the
    request's.

    Raises, before anything has begun: ValueError for a closed queue, a request that is under way or whose event is
    still to be collected, OSError when nothing here can carry requests out (EMFILE, ENOMEM, or what KNOTE_AIO and
    KNOTE_IO_URING forbid), BufferError or TypeError for a buffer that cannot be had, TypeError for what is no
    Request, RuntimeError from a finalizer or signal handler that interrupted a call on the same queue.  All other
    errors, EBADF and EAGAIN among them, are in the event.
    """
    _launch(kq, list(requests), None)


def lio_listio(kq: kqueue, requests: Iterable[Request], *, udata: Any = None) -> Listio:
    """lio_listio(2) with LIO_NOWAIT: begin to carry out requests that give one EVFILT_LIO event, when all are
    over, and none of their own: data is how many ended well, fflags EIO if not all did, udata the one given
    here, or the Listio.  Each request.result() tells of its own.  Raises as submit() does."""
    every = list(requests)
    listio = Listio(every, udata)
    _launch(kq, every, listio)
    return listio


def read(kq: kqueue, fd: Descriptor, buffer: Buffer | int, offset: int = 0, *, udata: Any = None) -> Request:
    """aio_read(2): Request.read(), submitted."""
    return _one(kq, Request.read(fd, buffer, offset, udata=udata))


def write(kq: kqueue, fd: Descriptor, data: Buffer, offset: int = 0, *, udata: Any = None) -> Request:
    """aio_write(2): Request.write(), submitted."""
    return _one(kq, Request.write(fd, data, offset, udata=udata))


def fsync(kq: kqueue, fd: Descriptor, *, udata: Any = None) -> Request:
    """aio_fsync(2) with O_SYNC: Request.fsync(), submitted."""
    return _one(kq, Request.fsync(fd, udata=udata))


def fdatasync(kq: kqueue, fd: Descriptor, *, udata: Any = None) -> Request:
    """aio_fsync(2) with O_DSYNC: Request.fdatasync(), submitted."""
    return _one(kq, Request.fdatasync(fd, udata=udata))


def accept(kq: kqueue, sock: Descriptor, *, udata: Any = None) -> Request:
    """accept(2): Request.accept(), submitted.  The event's data is the new descriptor."""
    return _one(kq, Request.accept(sock, udata=udata))


def connect(kq: kqueue, sock: Descriptor, address: Any, *, udata: Any = None) -> Request:
    """connect(2): Request.connect(), submitted."""
    return _one(kq, Request.connect(sock, address, udata=udata))


def recv(kq: kqueue, sock: Descriptor, buffer: Buffer | int, flags: int = 0, *, udata: Any = None) -> Request:
    """recv(2): Request.recv(), submitted."""
    return _one(kq, Request.recv(sock, buffer, flags, udata=udata))


def send(kq: kqueue, sock: Descriptor, data: Buffer, flags: int = 0, *, udata: Any = None) -> Request:
    """send(2): Request.send(), submitted."""
    return _one(kq, Request.send(sock, data, flags, udata=udata))


def recvfrom(
    kq: kqueue, sock: Descriptor, buffer: Buffer | int, flags: int = 0, *, udata: Any = None
) -> Datagram:
    """recvfrom(2): Request.recvfrom(), submitted.  request.address is the sender's."""
    request = Request.recvfrom(sock, buffer, flags, udata=udata)
    _launch(kq, [request], None)
    return request


def sendto(
    kq: kqueue, sock: Descriptor, data: Buffer, address: Any = None, flags: int = 0, *, udata: Any = None
) -> Datagram:
    """sendto(2): Request.sendto(), submitted."""
    request = Request.sendto(sock, data, address, flags, udata=udata)
    _launch(kq, [request], None)
    return request


class Backend(NamedTuple):
    """What carries the requests of a queue out."""

    name: str
    """'io_uring', 'posix' or 'threads'."""
    why: str
    """Why it is not io_uring; '' if it is."""


def backend(kq: kqueue) -> Backend:
    """What carries the requests of this queue out.  It is found out at its first request, or here, and stays.

    Raises ValueError when closed, OSError when nothing can."""
    name, why = kq._home().serve(WHICH)
    return Backend(name, why)


def _one(kq: kqueue, request: Request) -> Request:
    _launch(kq, [request], None)
    return request


def _launch(kq: kqueue, requests: list[Request], listio: Listio | None) -> None:
    try:
        queue = kq._home()
    except AttributeError:
        raise errors.not_a_queue(kq) from None
    arm(requests)
    try:
        queue.serve(LAUNCH, requests, listio)
    except BaseException:
        disarm(requests)
        raise
