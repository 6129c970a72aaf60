# cython: annotation_typing=False
"""An asynchronous request: POSIX's struct aiocb, as an object."""

from __future__ import annotations

import errno
import operator
import os
import struct
import sys
from typing import TYPE_CHECKING, Any

from knote import errors
from knote._kernel.pin import Pin, room
from knote.verbs import (
    ACCEPT,
    AIO_ALLDONE,
    ARMED,
    CANCEL,
    CONNECT,
    DONE,
    FDATASYNC,
    FLYING,
    FSYNC,
    IDLE,
    LOOK,
    READ,
    RECV,
    RECVFROM,
    SEND,
    SENDTO,
    WORDS,
    WRITE,
)

if TYPE_CHECKING:
    from typing import Protocol
    from weakref import ref

    from knote.knote import Knote
    from knote.listio import Listio
    from knote.queue import Queue

    class HasFileno(Protocol):
        """Sockets, files."""

        def fileno(self) -> int: ...

    Descriptor = int | HasFileno
    Buffer = Any


_MSG_NOSIGNAL = 0x4000
"""socket(7)'s; the module that names it takes 6 ms to import."""
_EINPROGRESS = errno.EINPROGRESS
_HEAD = struct.Struct("@PIPNPNi0P")
"""struct msghdr."""
_IOVEC = struct.Struct("@PN")
_INT_MAX = 0x7FFFFFFF
_ADDRESS_MAX = 128
"""sizeof(struct sockaddr_storage)."""


def _number(fd: Descriptor) -> int:
    if not isinstance(fd, int) and not hasattr(fd, "fileno"):
        raise errors.no_descriptor(fd)
    number = fd if isinstance(fd, int) else fd.fileno()
    if number < 0:
        raise errors.os_error(errno.EBADF, f"{number} is no descriptor")
    return number


class Request:
    """One operation that is carried out while the program does something else.

    Made by Request.read() and its sisters, submitted by knote.aio.submit(); knote.aio.read() does both.  A request
    that is done and whose event was collected can be submitted again, as an aiocb can; while it is under way its
    buffer is held in place, and by the request's queue, so nobody else need keep either.
    ident: what the event's ident will be; new at each submission, 0 before the first.  buffer: what is read into
    or written from.  fd, offset, flags, udata: as given; they may be changed between submissions.
    Threads: any; the same request from two at a time is refused.
    """

    __slots__ = (
        "__weakref__", "buffer", "cancelling", "fd", "flags", "group", "home", "ident", "knote", "offset", "op",
        "owner", "pin", "retried", "state", "target", "udata", "value", "waiting",
    )  # fmt: skip

    def __init__(self, op: int, fd: int, buffer: Any, offset: int, flags: int, udata: Any) -> None:
        self.op = op
        """READ ... SENDTO."""
        self.fd = fd
        self.buffer = buffer
        self.offset = offset
        self.flags = flags
        self.udata = udata
        self.ident = 0
        self.state = IDLE
        self.value = 0
        """Done: what the system call gave, or -errno."""
        self.pin: Pin | None = None
        """Holds the buffer while it is under way."""
        self.knote: Knote | None = None
        """Its event is still to be collected."""
        self.group: Listio | None = None
        """The list whose end it is a part of."""
        self.home: ref[Queue] | None = None
        self.target: Any = None
        """CONNECT: the address, as the socket module writes it."""
        self.owner: Any = None
        """What the carrier keeps with it: a private descriptor."""
        self.waiting = False
        """The descriptor is waited for, to try again."""
        self.cancelling = False
        self.retried = False

    @classmethod
    def read(cls, fd: Descriptor, buffer: Buffer | int, offset: int = 0, *, udata: Any = None) -> Request:
        """aio_read(2): into a writable buffer, or into a new bytearray of so many bytes, from offset on.

        fd: a descriptor, or what has a fileno().  offset: bytes from the file's start; pipes, sockets and
        terminals have none, and it is ignored.  udata: the event's; without it that is the request itself.
        """
        return Request(READ, _number(fd), _target(buffer), _offset(offset), 0, udata)

    @classmethod
    def write(cls, fd: Descriptor, data: Buffer, offset: int = 0, *, udata: Any = None) -> Request:
        """aio_write(2): a buffer, at offset, or at the end of a file that is open with O_APPEND."""
        return Request(WRITE, _number(fd), data, _offset(offset), 0, udata)

    @classmethod
    def fsync(cls, fd: Descriptor, *, udata: Any = None) -> Request:
        """aio_fsync(2) with O_SYNC: what the file holds by now, and what is known of it, to the device.  Writes
        that are still under way may or may not be part of it: wait for them first."""
        return Request(FSYNC, _number(fd), None, 0, 0, udata)

    @classmethod
    def fdatasync(cls, fd: Descriptor, *, udata: Any = None) -> Request:
        """aio_fsync(2) with O_DSYNC: as fsync(), without what is not needed to read the data again."""
        return Request(FDATASYNC, _number(fd), None, 0, 0, udata)

    @classmethod
    def accept(cls, sock: Descriptor, *, udata: Any = None) -> Request:
        """accept(2): the result is a new descriptor, close-on-exec, which is the program's from the moment that it
        sees it, in the event or by result()."""
        return Accept(ACCEPT, _number(sock), None, 0, 0, udata)

    @classmethod
    def connect(cls, sock: Descriptor, address: Any, *, udata: Any = None) -> Request:
        """connect(2).  address: as socket.connect() takes it; hosts by number, since looking up a name blocks."""
        number = _number(sock)
        made = Request(CONNECT, number, packed(number, address), 0, 0, udata)
        made.target = address
        return made

    @classmethod
    def recv(cls, sock: Descriptor, buffer: Buffer | int, flags: int = 0, *, udata: Any = None) -> Request:
        """recv(2).  flags: socket.MSG_*."""
        return Request(RECV, _number(sock), _target(buffer), 0, flags, udata)

    @classmethod
    def send(cls, sock: Descriptor, data: Buffer, flags: int = 0, *, udata: Any = None) -> Request:
        """send(2).  flags: socket.MSG_*; MSG_NOSIGNAL is always added, as Python ignores SIGPIPE anyway."""
        return Request(SEND, _number(sock), data, 0, flags | _MSG_NOSIGNAL, udata)

    @classmethod
    def recvfrom(
        cls, sock: Descriptor, buffer: Buffer | int, flags: int = 0, *, udata: Any = None
    ) -> Datagram:
        """recvfrom(2).  When it is done, address is the sender's.  flags: socket.MSG_*."""
        return Datagram(RECVFROM, _number(sock), _target(buffer), 0, flags, udata)

    @classmethod
    def sendto(
        cls, sock: Descriptor, data: Buffer, address: Any = None, flags: int = 0, *, udata: Any = None
    ) -> Datagram:
        """sendto(2).  address: as socket.sendto() takes it, hosts by number; None if the socket is connected."""
        number = _number(sock)
        made = Datagram(SENDTO, number, data, 0, flags | _MSG_NOSIGNAL, udata)
        made.target = address
        made.name = b"" if address is None else packed(number, address)
        return made

    def arm(self) -> None:
        """Take hold of the buffer, before the queue's lock is taken: a buffer's owner may be Python code."""
        if self.state == ARMED or self.state == FLYING or self.knote is not None:
            raise errors.request_busy(self.op_name)
        # Attributes may have been changed, and what a carrier chokes on would be under way for ever.  (Where they
        # are C integers, those refuse it.)
        if (self.offset | self.flags) >> 63 or self.fd > _INT_MAX:
            raise errors.too_large(self.fd, self.offset, self.flags)
        before = self.state
        self.state = ARMED
        self.value = 0
        self.waiting = False
        self.cancelling = False
        self.retried = False
        if self.op != FSYNC and self.op != FDATASYNC and self.op != ACCEPT:
            try:
                self.pin = Pin(self.buffer, self.op == READ or self.op == RECV or self.op == RECVFROM)
            except (BufferError, TypeError) as error:
                self.state = before
                raise errors.bad_buffer(self.op_name, self.buffer, error) from error

    def disarm(self) -> None:
        """It was not submitted after all."""
        if self.state == ARMED:
            self.state = IDLE
            self.pin = None

    @property
    def op_name(self) -> str:
        """'read', 'write', 'fsync', 'fdatasync', 'accept', 'connect', 'recv', 'send', 'recvfrom' or 'sendto'."""
        return WORDS[self.op]

    @property
    def done(self) -> bool:
        """Whether it is over.  This looks, and does not collect the event."""
        return self._look() == DONE

    def error(self) -> int:
        """aio_error(2): EINPROGRESS, 0, or the errno that it ended with, ECANCELED among them."""
        if self._look() == IDLE:
            raise errors.request_idle(self.op_name)
        if self.state != DONE:
            return _EINPROGRESS
        return -self.value if self.value < 0 else 0

    def result(self) -> int:
        """aio_return(2): bytes transferred, fewer than asked for where there were no more, 0 at the end of a file;
        the new descriptor of accept().

        Raises OSError with the errno that it ended with, BlockingIOError(EINPROGRESS) while it is under way,
        ValueError if it was never submitted.  It may be asked more than once, and leaves the event where it is.
        """
        number = self.error()
        if number == _EINPROGRESS and self.state != DONE:
            raise errors.os_error(number, f"the {self.op_name} of fd {self.fd} is still under way")
        if number:
            raise errors.request_failed(self.op_name, self.fd, number, self.buffer, self.offset)
        self.take()
        return self.value

    def cancel(self) -> int:
        """aio_cancel(2): AIO_CANCELED, AIO_NOTCANCELED or AIO_ALLDONE.  Its event comes in any case, and only that
        tells how it ended."""
        home = self.home
        queue = None if home is None else home()
        if self.state != FLYING or queue is None or queue.is_closed():
            return AIO_ALLDONE
        answer: int = queue.serve(CANCEL, self)
        return answer

    def take(self) -> None:
        """The program has seen the result."""

    def _look(self) -> int:
        home = self.home
        if self.state == FLYING and home is not None:
            queue = home()
            if queue is not None and not queue.is_closed():
                queue.serve(LOOK)
        return self.state

    def __repr__(self) -> str:
        words = ("not submitted", "being submitted", "in progress")
        state = words[self.state] if self.state < DONE else str(self.value)
        return f"<knote.aio.Request {self.op_name} fd={self.fd} ident={self.ident:#x}: {state}>"


class Accept(Request):
    """The request that makes something: a descriptor that nobody has seen is closed with it."""

    __slots__ = ("_taken",)

    def arm(self) -> None:
        """Request.arm()."""
        Request.arm(self)
        self._taken = False

    def take(self) -> None:
        """Request.take()."""
        self._taken = True

    def __del__(self) -> None:
        if self.state == DONE and self.value >= 0 and not self._taken:
            os.close(self.value)


class Datagram(Request):
    """The request that has an address: whom it went to, or whom it came from."""

    __slots__ = ("head", "message", "name", "sender")

    def arm(self) -> None:
        """Request.arm(): struct msghdr, struct iovec and the address, in one piece of memory that stays."""
        Request.arm(self)
        if self.op == RECVFROM:
            self.name = bytes(_ADDRESS_MAX)
        self.sender: tuple[Any] | None = None
        pin = self.pin
        assert pin is not None
        self.message = bytearray(_HEAD.size + _IOVEC.size + len(self.name))
        self.head = Pin(self.message, True)
        at = self.head.address
        vector = at + _HEAD.size
        name = vector + _IOVEC.size
        _HEAD.pack_into(self.message, 0, name if self.name else 0, len(self.name), vector, 1, 0, 0, 0)
        _IOVEC.pack_into(self.message, _HEAD.size, pin.address, pin.length)
        self.message[_HEAD.size + _IOVEC.size :] = self.name

    @property
    def address(self) -> Any:
        """sendto(): as given.  recvfrom(), done: the sender's, as socket.recvfrom() has it, or None."""
        if self.op == SENDTO:
            return self.target
        if self.state != DONE or self.value < 0:
            return None
        if self.sender is None:
            size = _HEAD.unpack_from(self.message)[1]
            start = _HEAD.size + _IOVEC.size
            self.sender = (unpacked(bytes(self.message[start : start + size])),)
        return self.sender[0]


def arm(requests: list[Request]) -> None:
    """Request.arm() of each, or of none.  Raises TypeError for what is no Request, and what Request.arm() does."""
    armed = 0
    try:
        for one in requests:
            if not isinstance(one, Request):
                raise errors.not_a_request(one)
            request = one
            request.arm()
            armed += 1
    except BaseException:
        disarm(requests[:armed])
        raise


def disarm(requests: list[Request]) -> None:
    """They were not submitted after all."""
    for request in requests:
        request.disarm()


def _target(buffer: Any) -> Any:
    if isinstance(buffer, int):
        if buffer < 0:
            raise errors.negative_size(buffer)
        return room(buffer)
    return buffer


def _offset(offset: int) -> int:
    place = operator.index(offset)
    if place < 0:
        raise errors.negative_offset(place)
    return place


def packed(fd: int, address: Any) -> bytes:
    """The struct sockaddr of an address, for the socket behind fd."""
    import socket  # 6 ms, which nobody pays who has no addresses

    borrowed = socket.socket(fileno=fd)
    try:
        family = borrowed.family
    finally:
        borrowed.detach()
    head = int(family).to_bytes(2, sys.byteorder)
    if family == socket.AF_UNIX:
        path = os.fsencode(address) if not isinstance(address, bytes) else address
        if len(path) > 107:
            raise errors.bad_address("AF_UNIX", address, "a path has at most 107 bytes")
        return head + (path if path.startswith(b"\0") else path + b"\0")
    try:
        if family == socket.AF_INET:
            host, port = address
            return head + int(port).to_bytes(2, "big") + socket.inet_pton(family, host or "127.0.0.1") + bytes(8)
        if family == socket.AF_INET6:
            host, port, flow, scope = (*address, 0, 0)[:4]
            return (
                head + int(port).to_bytes(2, "big") + int(flow).to_bytes(4, "big")
                + socket.inet_pton(family, host or "::1") + int(scope).to_bytes(4, sys.byteorder)
            )  # fmt: skip
    except (OSError, OverflowError, TypeError, ValueError) as error:
        why = "it is (host, port), the host a number: 127.0.0.1, ::1"
        raise errors.bad_address(family.name, address, why) from error
    raise errors.bad_address(str(family), address, "only AF_INET, AF_INET6 and AF_UNIX are known")


def unpacked(name: bytes) -> Any:
    """packed()'s inverse; None for no address, the bytes of one of another family."""
    import socket

    if len(name) < 2:
        return None
    family = int.from_bytes(name[:2], sys.byteorder)
    port = int.from_bytes(name[2:4], "big")
    if family == socket.AF_INET:
        return socket.inet_ntop(family, name[4:8]), port
    if family == socket.AF_INET6:
        host, flow = socket.inet_ntop(family, name[8:24]), int.from_bytes(name[4:8], "big")
        return host, port, flow, int.from_bytes(name[24:28], sys.byteorder)
    if family == socket.AF_UNIX:
        path = name[2:]
        if path.startswith(b"\0"):
            return path
        return os.fsdecode(path.partition(b"\0")[0]) or None
    return name
