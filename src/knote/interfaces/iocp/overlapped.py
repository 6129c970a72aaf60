"""Overlapped operations, as CPython's _overlapped.Overlapped shows them, carried out by knote.aio."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import socket
import stat
from typing import TYPE_CHECKING, Any, Final

from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_EOF, EVFILT_WRITE, aio, kevent
from knote.interfaces.iocp import handles
from knote.interfaces.iocp.port import Port, association
from knote.interfaces.iocp.winerror import (
    ERROR_BROKEN_PIPE,
    ERROR_IO_INCOMPLETE,
    ERROR_IO_PENDING,
    ERROR_NOT_FOUND,
    ERROR_SUCCESS,
    code_of,
    failure,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote.aio import Request

NULL: Final = 0
INVALID_HANDLE_VALUE: Final = 0xFFFF_FFFF_FFFF_FFFF
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
        "__weakref__", "_cancelled", "_code", "_errno", "_home", "_key", "_kind", "_moved", "_port",
        "_request", "_step", "_then", "address", "error", "event", "handle",
    )  # fmt: skip

    def __init__(self, event: int | None = INVALID_HANDLE_VALUE) -> None:
        self.address = next(_addresses)
        self._code = ERROR_SUCCESS
        self.error = ERROR_SUCCESS
        self._kind = ""
        """The operation's name; '' before the first."""
        self._home = Port() if event == INVALID_HANDLE_VALUE else None
        """A queue of its own.  Its descriptor polls readable when there is something, and so is the event."""
        self.event = (event or NULL) if self._home is None else self._home.handle
        self._request: Request | None = None
        self._port: Port | None = None
        self.handle = -1
        self._key = 0
        self._errno = 0
        self._moved = 0
        self._cancelled = False
        self._step: Callable[[int], bool] | None = None
        """Given what a request came to; whether that was not the last one."""
        self._then: Callable[[int], Any] | None = None
        """What getresult() makes its answer with, where that is not the number of bytes."""

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
        return self._result(milliseconds / 1000)

    def _result(self, seconds: float | None) -> Any:
        if self._kind == "":
            raise ValueError("operation not yet attempted")
        if self._code == ERROR_IO_PENDING and self._port is not None:
            self._await(seconds)
        if self._code == ERROR_IO_PENDING:
            self.error = ERROR_IO_INCOMPLETE
            raise failure(ERROR_IO_INCOMPLETE, self._kind)
        self.error = self._code
        if self._code != ERROR_SUCCESS and not (self._code == ERROR_BROKEN_PIPE and self._kind in _READS):
            raise failure(self._code, self._kind, self._errno)
        return self._moved if self._then is None else self._then(self._moved)

    def _await(self, seconds: float | None) -> None:
        port = self._port
        while port is not None and port.pump(seconds) and self._code == ERROR_IO_PENDING:
            pass

    def cancel(self) -> None:
        """CancelIoEx(): ask it to end early; its packet comes all the same."""
        if self.pending and not self._cancelled:
            self._cancelled = True
            if self._request is not None:
                self._request.cancel()
            elif self._port is not None:
                self._unwatch()
                self._end(-errno.ECANCELED)

    # ---- its way -------------------------------------------------------------------------------------------

    def _begin(self, kind: str, handle: int) -> Port:
        if self._kind:
            raise ValueError("operation already attempted")
        its = association(handle)
        if its is None:
            port = self._home = self._home or Port()
        else:
            port, self._key = its.port, its.key
        self._kind = kind
        self._code = self.error = ERROR_IO_PENDING
        self.handle = handle
        self._port = port
        port.pending[self] = None
        return port

    def _submit(self, request: Request) -> None:
        request.udata = self
        self._request = request
        port = self._port
        assert port is not None
        try:
            aio.submit(port.kqueue, [request])
        except BaseException as error:
            # Nothing was begun, so no packet will come (S-381).
            port.pending.pop(self, None)
            self._errno = getattr(error, "errno", None) or errno.EINVAL
            self._code = self.error = code_of(self._errno)
            if isinstance(error, OSError):
                raise failure(self._code, self._kind, self._errno) from error
            raise

    def advance(self, data: int) -> None:
        """One of its requests is over."""
        if self._code == ERROR_SUCCESS:
            self._end(0)
            return
        if data >= 0 and self._step is not None:
            if self._cancelled:
                if self._kind in _ACCEPTS:
                    os.close(data)
                data = -errno.ECANCELED
            else:
                try:
                    if self._step(data):
                        return
                    data = 0
                except OSError as error:
                    data = -(error.errno or errno.EIO)
        self._end(data)

    def _end(self, data: int) -> None:
        port = self._port
        self._request = None
        self._step = None
        if port is not None:
            port.pending.pop(self, None)
        if data < 0:
            self._errno = -data
            self._code = code_of(-data)
        else:
            self._moved += data
            self._code = ERROR_SUCCESS
        if self._home is not None:
            self._home.wake()
        elif self.event:
            handles.SetEvent(self.event)
        if port is not None and port is not self._home:
            port.post((self._code, self._moved, self._key, self.address))

    def fire(self, event: kevent) -> None:
        """The reader of the pipe that it watches has gone, or has read."""
        if event.flags & EV_EOF and self.pending:
            self._unwatch()
            self._end(0)

    def _unwatch(self) -> None:
        assert self._port is not None
        try:
            self._port.kqueue.control([kevent(self.handle, EVFILT_WRITE, EV_DELETE)], 0, 0)
        except (OSError, ValueError):  # the descriptor or the port was closed, and the knote with it
            pass

    # ---- reading -------------------------------------------------------------------------------------------

    def ReadFile(self, handle: int, size: int, offset: int = 0) -> None:
        """Read up to size bytes.  getresult(): bytes.  offset: of what has one, which CPython's does not take."""
        self._read("ReadFile", handle, bytearray(size), offset, copies=True)

    def ReadFileInto(self, handle: int, buf: Any, offset: int = 0) -> None:
        """Read into a buffer.  getresult(): how many bytes."""
        self._read("ReadFileInto", handle, buf, offset, copies=False)

    def _read(self, kind: str, handle: int, buffer: Any, offset: int, copies: bool) -> None:
        port = self._begin(kind, handle)
        if copies:
            self._then = lambda n: bytes(memoryview(buffer)[:n])
        if _is_write_end(handle):
            # Windows' pipes go both ways, and a read on the end that only writes is how asyncio learns that the
            # other one was closed.  It is watched for by edge; draining wakes, too, and says nothing.
            port.kqueue.control([kevent(handle, EVFILT_WRITE, EV_ADD | EV_CLEAR, udata=self)], 0, 0)
        else:
            self._submit(aio.Request.read(handle, buffer, offset))

    def WSARecv(self, handle: int, size: int, flags: int = 0) -> None:
        """recv(2) up to size bytes.  getresult(): bytes."""
        self._begin("WSARecv", handle)
        buffer = bytearray(size)
        self._then = lambda n: bytes(memoryview(buffer)[:n])
        self._submit(aio.Request.recv(handle, buffer, flags))

    def WSARecvInto(self, handle: int, buf: Any, flags: int = 0) -> None:
        """recv(2) into a buffer.  getresult(): how many bytes."""
        self._begin("WSARecvInto", handle)
        self._submit(aio.Request.recv(handle, buf, flags))

    def WSARecvFrom(self, handle: int, size: int, flags: int = 0) -> None:
        """recvfrom(2).  getresult(): (bytes, address)."""
        self._begin("WSARecvFrom", handle)
        buffer = bytearray(size)
        request = aio.Request.recvfrom(handle, buffer, flags)
        self._then = lambda n: (bytes(memoryview(buffer)[:n]), request.address)
        self._submit(request)

    def WSARecvFromInto(self, handle: int, buf: Any, size: int = 0, flags: int = 0) -> None:
        """recvfrom(2) into a buffer, of which size bytes at most are used.  getresult(): (how many, address)."""
        self._begin("WSARecvFromInto", handle)
        room = memoryview(buf).cast("B")
        request = aio.Request.recvfrom(handle, room[:size] if size else room, flags)
        self._then = lambda n: (n, request.address)
        self._submit(request)

    # ---- writing -------------------------------------------------------------------------------------------

    def WriteFile(self, handle: int, buf: Any, offset: int = 0) -> None:
        """Write all of a buffer.  getresult(): how many bytes."""
        self._begin("WriteFile", handle)
        self._write_all(buf, lambda rest, moved: aio.Request.write(handle, rest, offset + moved))

    def WSASend(self, handle: int, buf: Any, flags: int = 0) -> None:
        """Send all of a buffer.  getresult(): how many bytes."""
        self._begin("WSASend", handle)
        self._write_all(buf, lambda rest, _moved: aio.Request.send(handle, rest, flags))

    def _write_all(self, buf: Any, make: Callable[[Any, int], Request]) -> None:
        # Linux' writes may be short ones, Windows' are not.
        size = len(buf) if isinstance(buf, bytes) else memoryview(buf).nbytes

        def step(data: int) -> bool:
            self._moved += data
            if self._moved >= size or data == 0:
                return False
            self._submit(make(memoryview(buf).cast("B")[self._moved :], self._moved))
            return True

        self._step = step
        self._submit(make(buf, 0))
        request = self._request
        # Most sends are over at once.  On Windows that shows at once, too, though the packet comes later, and
        # asyncio goes by it: a protocol need not be paused for what the kernel has taken.
        if request is not None and request.done and request.error() == 0 and request.result() == size:
            self._moved = size
            self._code = ERROR_SUCCESS

    def WSASendTo(self, handle: int, buf: Any, flags: int, address: Any) -> None:
        """sendto(2).  address: hosts by number, as CPython's.  getresult(): how many bytes."""
        check_address(address)
        self._begin("WSASendTo", handle)
        self._submit(aio.Request.sendto(handle, buf, address, flags))

    def TransmitFile(
        self, socket_handle: int, file_handle: int, offset: int, offset_high: int, count_to_write: int,
        count_per_send: int, flags: int,
    ) -> None:  # fmt: skip
        """Send a part of a file; 0 bytes are all that is left of it.  count_per_send, flags: taken and not needed.
        getresult(): how many bytes."""
        self._begin("TransmitFile", socket_handle)
        at = offset | offset_high << 32
        most = count_to_write or max(0, os.fstat(file_handle).st_size - at)
        chunk = bytearray(min(count_per_send or _CHUNK, most, _CHUNK))
        rest = memoryview(b"")

        def step(data: int) -> bool:
            nonlocal rest
            if self._request is not None and self._request.op_name == "send":
                self._moved += data
                rest = rest[data:]
            else:
                rest = memoryview(chunk)[:data]
                if data == 0:  # the file is shorter than it was
                    return False
            if rest:
                self._submit(aio.Request.send(socket_handle, rest))
                return True
            if self._moved >= most:
                return False
            room = memoryview(chunk)[: most - self._moved]
            self._submit(aio.Request.read(file_handle, room, at + self._moved))
            return True

        if most == 0:
            self._end(0)
            return
        self._step = step
        self._submit(aio.Request.read(file_handle, chunk, at))

    # ---- connections ---------------------------------------------------------------------------------------

    def AcceptEx(self, listen_handle: int, accept_handle: int) -> None:
        """Accept a connection into a socket that was made for it: its descriptor becomes the connection's."""
        self._begin("AcceptEx", listen_handle)
        meant = _identity(accept_handle)

        def step(connection: int) -> bool:
            try:
                # Closed meanwhile, the number may be a stranger's by now.
                if _identity(accept_handle) != meant:
                    raise OSError(errno.ECANCELED, "the socket for the connection was closed")
                os.dup2(connection, accept_handle, inheritable=False)
            finally:
                os.close(connection)
            return False

        self._step = step
        self._submit(aio.Request.accept(listen_handle))

    def ConnectEx(self, client_handle: int, address_as_bytes: Any) -> None:
        """connect(2).  The address: a tuple as CPython's, hosts by number."""
        check_address(address_as_bytes)
        self._begin("ConnectEx", client_handle)
        self._submit(aio.Request.connect(client_handle, address_as_bytes))

    def DisconnectEx(self, handle: int, flags: int = 0) -> None:
        """shutdown(2) in both directions.  flags: TF_REUSE_SOCKET has no effect; close the socket instead."""
        self._begin("DisconnectEx", handle)
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
        from knote.interfaces.iocp import pipes

        listener = pipes.listener_of(handle)
        if listener is None:
            return True
        self._begin("ConnectNamedPipe", handle)

        def step(connection: int) -> bool:
            try:
                pipes.connected(handle, connection)
            finally:
                os.close(connection)
            return False

        self._step = step
        self._submit(aio.Request.accept(listener))
        return False

    def __repr__(self) -> str:
        state = "idle" if not self._kind else "pending" if self.pending else f"error {self._code}"
        return f"<Overlapped {self._kind or 'of nothing'} at {self.address:#x}: {state}>"


_ACCEPTS: Final = ("AcceptEx", "ConnectNamedPipe")
"""Whose requests give a descriptor."""
_READS: Final = ("ReadFile", "ReadFileInto", "WSARecv", "WSARecvInto", "WSARecvFrom", "WSARecvFromInto")


def _identity(handle: int) -> tuple[int, int]:
    status = os.fstat(handle)
    return status.st_dev, status.st_ino


def _is_write_end(handle: int) -> bool:
    try:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE != os.O_WRONLY:
            return False
        return stat.S_ISFIFO(os.fstat(handle).st_mode)
    except OSError:
        return False


def check_address(address: Any) -> None:
    """Raises TypeError for what no address is."""
    if not isinstance(address, (tuple, str, bytes)):
        raise TypeError(f"an address is (host, port), or of a UNIX socket a path, not {type(address).__name__}")


def CancelIoEx(handle: int, overlapped: Overlapped | None = None) -> None:
    """Cancel one operation of a handle, or all of them.  Raises OSError(ERROR_NOT_FOUND) if there is none."""
    if overlapped is not None:
        found = overlapped.pending
        overlapped.cancel()
    else:
        its = association(handle)
        found = its is not None and its.port.cancel(handle) > 0
    if not found:
        raise failure(ERROR_NOT_FOUND, f"CancelIoEx({handle})")
