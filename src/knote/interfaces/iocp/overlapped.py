# cython: annotation_typing=False
"""Overlapped operations, as CPython's _overlapped.Overlapped shows them, carried out by knote.aio."""

from __future__ import annotations

import errno
import itertools
import os
import socket
from typing import Any, Final

from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_EOF, EVFILT_WRITE, aio, kevent
from knote.interfaces.iocp import handles, pipes
from knote.interfaces.iocp.port import Port, association
from knote.interfaces.iocp.winerror import (
    ERROR_BROKEN_PIPE,
    ERROR_IO_INCOMPLETE,
    ERROR_IO_PENDING,
    ERROR_SUCCESS,
    code_of,
    failure,
)

NOTHING = 0
"""Kinds of operations, from here to CONNECTPIPE; the reads come first, then what one request does, then
what has a next step."""
READ = 1
READINTO = 2
RECV = 3
RECVINTO = 4
RECVFROM = 5
RECVFROMINTO = 6
LAST_READ = 6
SENDTO = 7
CONNECT = 8
DISCONNECT = 9
LAST_SIMPLE = 9
SEND = 10
WRITE = 11
TRANSMIT = 12
ACCEPT = 13
FIRST_ACCEPT = 13
CONNECTPIPE = 14
_WORDS: Final = (
    "of nothing", "ReadFile", "ReadFileInto", "WSARecv", "WSARecvInto", "WSARecvFrom", "WSARecvFromInto",
    "WSASendTo", "ConnectEx", "DisconnectEx", "WSASend", "WriteFile", "TransmitFile", "AcceptEx",
    "ConnectNamedPipe",
)  # fmt: skip
NULL: Final = 0
INVALID_HANDLE_VALUE: Final = 0xFFFF_FFFF_FFFF_FFFF
_ECANCELED: Final = errno.ECANCELED
_CHUNK: Final = 256 * 1024
"""What TransmitFile() has in memory at a time."""
_addresses: Final = itertools.count(0x1000, 16)


class Overlapped:
    """One asynchronous operation, from its beginning to its packet.

    Overlapped(event): NULL or None for none, INVALID_HANDLE_VALUE for one of its own, else an event of
    CreateEvent().  An operation on a handle that no port has completes on a queue of its own.
    address: a number that no other Overlapped has or ever had.  error: the Windows error of the
    last method.  handle: what it is about.
    A method that begins an operation may be called once.  Threads: one at a time.
    Source: CPython's Modules/overlapped.c (spec S-382).
    """

    __slots__ = (
        "__weakref__", "_cancelled", "_code", "_data", "_errno", "_flags", "_home", "_key", "_kind", "_moved",
        "_offset", "_other", "_port", "_request", "_size", "address", "error", "event", "handle",
    )  # fmt: skip

    def __init__(self, event: int | None = INVALID_HANDLE_VALUE) -> None:
        self.address = next(_addresses)
        self.error = ERROR_SUCCESS
        self.handle = -1
        self._code = ERROR_SUCCESS
        self._kind = NOTHING
        self._home: Port | None = None
        """A queue of its own.  Its descriptor polls readable when there is something, and so is the event."""
        self.event = event or NULL
        if event == INVALID_HANDLE_VALUE:
            self._home = Port()
            self.event = self._home.handle
        self._request: Any = None
        """What is under way of it, or was."""
        self._port: Any = None
        self._key = 0
        self._errno = 0
        self._moved = 0
        """Bytes so far."""
        self._cancelled = False
        self._data: Any = None
        """The buffer."""
        self._size = 0
        """How many bytes there are to write."""
        self._flags = 0
        self._offset = 0
        self._other: Any = None
        """The second handle of an operation that has two, and what it was."""

    def __del__(self) -> None:
        if self._home is not None:
            self._home.close()

    # ---- what came of it -----------------------------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether it was begun and its end was not seen yet: by the packet, or by looking where no port has it."""
        if self._home is not None and self._code == ERROR_IO_PENDING:
            self._await(0)
        return self._code == ERROR_IO_PENDING

    def getresult(self, wait: bool = False) -> Any:
        """What the operation gave: bytes read, (bytes, address), a number of bytes.

        Raises OSError with winerror: ERROR_IO_INCOMPLETE if it is under way and wait is false; ValueError if none
        was begun."""
        return self._result(None if wait else 0)

    def getresultex(self, milliseconds: int, alertable: bool = False) -> Any:
        """getresult() that waits so long at most: GetOverlappedResultEx().  There are no alerts."""
        return self._result(milliseconds / 1000.0)

    def _result(self, seconds: float | None) -> Any:
        if self._kind == NOTHING:
            raise ValueError("operation not yet attempted")
        if self._code == ERROR_IO_PENDING:
            self._await(seconds)
        if self._code == ERROR_IO_PENDING:
            self.error = ERROR_IO_INCOMPLETE
            raise failure(ERROR_IO_INCOMPLETE, _WORDS[self._kind])
        self.error = self._code
        if self._code != ERROR_SUCCESS and not (self._code == ERROR_BROKEN_PIPE and self._kind <= LAST_READ):
            raise failure(self._code, _WORDS[self._kind], self._errno)
        kind = self._kind
        if kind in (READ, RECV):
            return bytes(memoryview(self._data)[: self._moved])
        if kind == RECVFROM:
            return bytes(memoryview(self._data)[: self._moved]), self._request.address
        if kind == RECVFROMINTO:
            return self._moved, self._request.address
        return self._moved

    def _await(self, seconds: float | None) -> None:
        port = self._port
        while port is not None and port.pump(seconds) and self._code == ERROR_IO_PENDING:
            pass

    def cancel(self) -> None:
        """CancelIoEx(): ask it to end early; its packet comes all the same."""
        if self._code == ERROR_IO_PENDING and not self._cancelled and self._port is not None:
            self._cancelled = True
            if self._request is not None:
                self._port.begin()
                self._request.cancel()
            else:
                self._unwatch()
                self._end(-_ECANCELED)

    # ---- its way -------------------------------------------------------------------------------------------

    def _begin(self, kind: int, handle: int) -> None:
        if self._kind != NOTHING:
            raise ValueError("operation already attempted")
        its = association(handle)
        if its is None:
            if self._home is None:
                self._home = Port()
            port = self._home
        else:
            port = its.port
            self._key = its.key
        self._kind = kind
        self._code = ERROR_IO_PENDING
        self.error = ERROR_IO_PENDING
        self.handle = handle
        self._port = port
        port.pending[self] = None

    def _submit(self, request: Any, later: bool) -> None:
        request.udata = self
        self._request = request
        try:
            self._port.start(request, later)
        except BaseException as error:
            # Nothing was begun, so no packet will come (S-381).
            self._port.pending.pop(self, None)
            self._errno = getattr(error, "errno", None) or errno.EINVAL
            self._code = self.error = code_of(self._errno)
            if isinstance(error, OSError):
                raise failure(self._code, _WORDS[self._kind], self._errno) from error
            raise

    def advance(self, data: int) -> None:
        """One of its requests is over."""
        if self._code == ERROR_SUCCESS:  # and that was seen
            data = 0
        elif data >= 0 and self._kind > LAST_SIMPLE:
            if self._cancelled:
                if self._kind >= FIRST_ACCEPT:
                    os.close(data)
                data = -_ECANCELED
            else:
                try:
                    if self._next(data):
                        return
                    data = 0
                except OSError as error:
                    data = -(error.errno or errno.EIO)
        self._end(data)

    def _end(self, data: int) -> None:
        port = self._port
        port.pending.pop(self, None)
        if data < 0:
            self._errno = -data
            self._code = code_of(-data)
        else:
            self._moved += data
            self._code = ERROR_SUCCESS
        if self._home is not None:
            self._home.wake()
            return
        if self.event:
            handles.SetEvent(self.event)
        port.post((self._code, self._moved, self._key, self.address))

    def fire(self, event: kevent) -> None:
        """The reader of the pipe that it watches has gone, or has read."""
        if event.flags & EV_EOF and self._code == ERROR_IO_PENDING:
            self._unwatch()
            self._end(0)

    def _unwatch(self) -> None:
        try:
            self._port.kqueue.control([kevent(self.handle, EVFILT_WRITE, EV_DELETE)], 0, 0)
        except (OSError, ValueError):  # the descriptor or the port was closed, and the knote with it
            pass

    def _next(self, data: int) -> bool:
        """Take the result of a step; whether there is another."""
        if self._kind == SEND or self._kind == WRITE:
            # Linux' writes may be short ones, Windows' are not.
            self._moved += data
            if self._moved >= self._size or data == 0:
                return False
            rest = memoryview(self._data).cast("B")[self._moved :]
            if self._kind == SEND:
                self._submit(aio.Request.send(self.handle, rest, self._flags), False)
            else:
                self._submit(aio.Request.write(self.handle, rest, self._offset + self._moved), False)
            return True
        if self._kind == TRANSMIT:
            return self._transmit(data)
        if self._kind == ACCEPT:
            self._accepted(data)
        else:
            try:
                pipes.connected(self.handle, data)
            finally:
                os.close(data)
        return False

    # ---- reading -------------------------------------------------------------------------------------------

    def ReadFile(self, handle: int, size: int, offset: int = 0) -> None:
        """Read up to size bytes.  getresult(): bytes.  offset: of what has one, which CPython's does not take."""
        self._read(READ, handle, bytearray(size), offset)

    def ReadFileInto(self, handle: int, buf: Any, offset: int = 0) -> None:
        """Read into a buffer.  getresult(): how many bytes."""
        self._read(READINTO, handle, buf, offset)

    def _read(self, kind: int, handle: int, buffer: Any, offset: int) -> None:
        self._begin(kind, handle)
        self._data = buffer
        if pipes.is_write_end(handle):
            # Windows' pipes go both ways, and a read on the end that only writes is how asyncio learns that the
            # other one was closed.  It is watched for by edge; draining wakes, too, and says nothing.
            self._port.kqueue.control([kevent(handle, EVFILT_WRITE, EV_ADD | EV_CLEAR, udata=self)], 0, 0)
        else:
            self._submit(aio.Request.read(handle, buffer, offset), False)

    def WSARecv(self, handle: int, size: int, flags: int = 0) -> None:
        """recv(2) up to size bytes.  getresult(): bytes."""
        self._begin(RECV, handle)
        self._data = bytearray(size)
        self._submit(aio.Request.recv(handle, self._data, flags), True)

    def WSARecvInto(self, handle: int, buf: Any, flags: int = 0) -> None:
        """recv(2) into a buffer.  getresult(): how many bytes."""
        self._begin(RECVINTO, handle)
        self._submit(aio.Request.recv(handle, buf, flags), True)

    def WSARecvFrom(self, handle: int, size: int, flags: int = 0) -> None:
        """recvfrom(2).  getresult(): (bytes, address)."""
        self._begin(RECVFROM, handle)
        self._data = bytearray(size)
        self._submit(aio.Request.recvfrom(handle, self._data, flags), True)

    def WSARecvFromInto(self, handle: int, buf: Any, size: int = 0, flags: int = 0) -> None:
        """recvfrom(2) into a buffer, of which size bytes at most are used.  getresult(): (how many, address)."""
        self._begin(RECVFROMINTO, handle)
        room = memoryview(buf).cast("B")
        self._submit(aio.Request.recvfrom(handle, room[:size] if size else room, flags), True)

    # ---- writing -------------------------------------------------------------------------------------------

    def WriteFile(self, handle: int, buf: Any, offset: int = 0) -> None:
        """Write all of a buffer.  getresult(): how many bytes."""
        self._begin(WRITE, handle)
        self._offset = offset
        self._write(buf, aio.Request.write(handle, buf, offset))

    def WSASend(self, handle: int, buf: Any, flags: int = 0) -> None:
        """Send all of a buffer.  getresult(): how many bytes."""
        self._begin(SEND, handle)
        self._flags = flags
        if flags or not self._send_now(handle, buf):
            self._write(buf, aio.Request.send(handle, buf, flags))

    def _send_now(self, handle: int, buf: Any) -> bool:
        """What a socket that does not block takes at once needs no request: 1 us, and not 6.  Whether it
        is on its way; an error is left to the request, so that it comes by a packet."""
        try:
            if os.get_blocking(handle):
                return False
            moved = os.write(handle, buf)
        except OSError:
            return False
        size = len(buf) if isinstance(buf, bytes) else memoryview(buf).nbytes
        if moved == size:
            self._end(moved)
            return True
        self._data = buf
        self._size = size
        self._next(moved)
        return True

    def _write(self, buf: Any, request: Any) -> None:
        self._data = buf
        self._size = len(buf) if isinstance(buf, bytes) else memoryview(buf).nbytes
        self._submit(request, False)
        # Most sends are over at once.  On Windows that shows at once, too, though the packet comes later, and
        # asyncio goes by it: a protocol need not be paused for what the kernel has taken.
        if request.done and request.error() == 0 and request.result() == self._size:
            self._moved = self._size
            self._code = ERROR_SUCCESS

    def WSASendTo(self, handle: int, buf: Any, flags: int, address: Any) -> None:
        """sendto(2).  address: as CPython's, hosts by number.  getresult(): how many bytes."""
        check_address(address)
        self._begin(SENDTO, handle)
        self._submit(aio.Request.sendto(handle, buf, address, flags), False)

    def TransmitFile(
        self, socket_handle: int, file_handle: int, offset: int, offset_high: int, count_to_write: int,
        count_per_send: int, flags: int,
    ) -> None:  # fmt: skip
        """Send a part of a file; 0 bytes are all that is left of it.  count_per_send, flags: taken and not needed.
        getresult(): how many bytes."""
        self._begin(TRANSMIT, socket_handle)
        self._offset = offset | offset_high << 32
        self._other = file_handle
        self._size = count_to_write or max(0, os.fstat(file_handle).st_size - self._offset)
        if self._size == 0:
            self._end(0)
            return
        self._data = memoryview(bytearray(min(count_per_send or _CHUNK, self._size, _CHUNK)))
        self._submit(aio.Request.read(file_handle, self._data, self._offset), False)

    def _transmit(self, data: int) -> bool:
        request = self._request
        if request.op_name == "send":
            self._moved += data
            rest = request.buffer[data:]
        else:
            rest = self._data[:data]
            if data == 0:  # the file is shorter than it was
                return False
        if rest:
            self._submit(aio.Request.send(self.handle, rest), False)
            return True
        if self._moved >= self._size:
            return False
        room = self._data[: self._size - self._moved]
        self._submit(aio.Request.read(self._other, room, self._offset + self._moved), False)
        return True

    # ---- connections ---------------------------------------------------------------------------------------

    def AcceptEx(self, listen_handle: int, accept_handle: int) -> None:
        """Accept a connection into a socket that was made for it: its descriptor becomes the connection's."""
        self._begin(ACCEPT, listen_handle)
        self._other = (accept_handle, handles.identity(accept_handle))
        self._submit(aio.Request.accept(listen_handle), True)

    def _accepted(self, connection: int) -> None:
        handle, meant = self._other
        try:
            # Closed meanwhile, the number may be a stranger's by now.
            if handles.identity(handle) != meant:
                raise OSError(_ECANCELED, "the socket for the connection was closed")
            os.dup2(connection, handle, inheritable=False)
        finally:
            os.close(connection)

    def ConnectEx(self, client_handle: int, address_as_bytes: Any) -> None:
        """connect(2).  The address: a tuple as CPython's, hosts by number."""
        check_address(address_as_bytes)
        self._begin(CONNECT, client_handle)
        self._submit(aio.Request.connect(client_handle, address_as_bytes), False)

    def DisconnectEx(self, handle: int, flags: int = 0) -> None:
        """shutdown(2) in both directions.  flags: TF_REUSE_SOCKET has no effect; close the socket instead."""
        self._begin(DISCONNECT, handle)
        borrowed = socket.socket(fileno=handle)
        number = 0
        try:
            borrowed.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            number = error.errno or errno.EIO
        finally:
            borrowed.detach()
        self._end(-number)

    def ConnectNamedPipe(self, handle: int) -> bool:
        """Wait for a client of CreateNamedPipe()'s handle; True: it is there already, and no packet comes."""
        listener = pipes.listener_of(handle)
        if listener is None:
            return True
        self._begin(CONNECTPIPE, handle)
        self._submit(aio.Request.accept(listener), False)
        return False

    def __repr__(self) -> str:
        state = "pending" if self._code == ERROR_IO_PENDING else f"error {self._code}"
        return f"<Overlapped {_WORDS[self._kind]} at {self.address:#x}: {state}>"


def check_address(address: Any) -> None:
    """Raises TypeError for what no address is."""
    if not isinstance(address, (tuple, str, bytes)):
        raise TypeError(f"an address is (host, port), or of a UNIX socket a path, not {type(address).__name__}")
