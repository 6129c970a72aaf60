"""Windows' I/O completion ports over the public kqueue and knote.aio, shaped as CPython's _overlapped.

    port = iocp.CreateIoCompletionPort(iocp.INVALID_HANDLE_VALUE, iocp.NULL, 0, 0)
    iocp.CreateIoCompletionPort(sock.fileno(), port, key, 0)
    operation = iocp.Overlapped(iocp.NULL)
    operation.WSARecv(sock.fileno(), 4096)
    error, transferred, key, address = iocp.GetQueuedCompletionStatus(port, 1000)  # None: a second went by
    data = operation.getresult()

Every handle is a descriptor.  Errors are OSErrors that have winerror; errno and the type are Linux'.  What belongs
to _winapi and msvcrt is in knote.interfaces.iocp.winapi.  Threads: any may do anything at once.  docs/iocp.md has
the whole.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from knote.interfaces.iocp import port as _port
from knote.interfaces.iocp.handles import CancelIoEx, CloseHandle, CreateEvent, ResetEvent, SetEvent
from knote.interfaces.iocp.overlapped import INVALID_HANDLE_VALUE, NULL, Overlapped, check_address
from knote.interfaces.iocp.pipes import ConnectPipe
from knote.interfaces.iocp.port import INFINITE, Packet
from knote.interfaces.iocp.waits import RegisterWaitWithQueue, UnregisterWait, UnregisterWaitEx
from knote.interfaces.iocp.winerror import (
    ERROR_ABANDONED_WAIT_0,
    ERROR_BROKEN_PIPE,
    ERROR_INVALID_HANDLE,
    ERROR_INVALID_PARAMETER,
    ERROR_IO_INCOMPLETE,
    ERROR_IO_PENDING,
    ERROR_NETNAME_DELETED,
    ERROR_NOT_FOUND,
    ERROR_OPERATION_ABORTED,
    ERROR_PIPE_BUSY,
    ERROR_PORT_UNREACHABLE,
    ERROR_SEM_TIMEOUT,
    FormatMessage,
)

__all__ = [
    "ERROR_ABANDONED_WAIT_0", "ERROR_BROKEN_PIPE", "ERROR_INVALID_HANDLE", "ERROR_INVALID_PARAMETER",
    "ERROR_IO_INCOMPLETE", "ERROR_IO_PENDING", "ERROR_NETNAME_DELETED", "ERROR_NOT_FOUND",
    "ERROR_OPERATION_ABORTED", "ERROR_PIPE_BUSY", "ERROR_PORT_UNREACHABLE", "ERROR_SEM_TIMEOUT", "INFINITE",
    "INVALID_HANDLE_VALUE", "NULL", "SO_UPDATE_ACCEPT_CONTEXT", "SO_UPDATE_CONNECT_CONTEXT", "TF_REUSE_SOCKET",
    "BindLocal", "CancelIoEx", "CloseHandle", "ConnectPipe", "CreateEvent", "CreateIoCompletionPort",
    "FormatMessage", "GetQueuedCompletionStatus", "GetQueuedCompletionStatusEx", "Overlapped",
    "PostQueuedCompletionStatus", "RegisterWaitWithQueue", "ResetEvent", "SetEvent", "UnregisterWait",
    "UnregisterWaitEx", "WSAConnect",
]  # fmt: skip

TF_REUSE_SOCKET: Final = 2
# A Linux socket knows what it is connected to without being told.  Programs tell it all the same, by setsockopt(2)
# of SOL_SOCKET: so this is SO_BSDCOMPAT, which the kernel takes and ignores.
SO_UPDATE_ACCEPT_CONTEXT: Final = 14
SO_UPDATE_CONNECT_CONTEXT: Final = 14


def CreateIoCompletionPort(handle: int, port: int, key: int, concurrency: int) -> int:
    """A new port, for INVALID_HANDLE_VALUE and NULL; else handle reports to port from now on, with key (S-377).

    concurrency is not needed: a packet wakes one thread.  The port's handle is its kqueue's descriptor;
    CloseHandle() closes it.
    Raises OSError: ERROR_INVALID_PARAMETER for a handle that has a port, ERROR_INVALID_HANDLE.
    """
    if handle == INVALID_HANDLE_VALUE or handle == -1:
        return _port.create().handle
    _port.associate(handle, _port.port_of(port), key)
    return port


def GetQueuedCompletionStatus(port: int, msecs: int) -> Packet | None:
    """The next packet: (Windows error, bytes transferred, key, address); None when the time is up (S-378).

    msecs: INFINITE waits for ever, 0 polls.  Raises OSError: ERROR_ABANDONED_WAIT_0 when the port is closed
    meanwhile, ERROR_INVALID_HANDLE."""
    return _port.port_of(port).get(msecs)


def GetQueuedCompletionStatusEx(port: int, count: int, msecs: int, alertable: bool = False) -> list[Packet]:
    """One to count packets at once; none when the time is up (S-379).  alertable: there are no alerts."""
    if count < 1:
        raise ValueError(f"room for {count} packets: there must be some for one")
    return _port.port_of(port).get_many(count, msecs)


def PostQueuedCompletionStatus(port: int, bytes: int, key: int, address: int) -> None:
    """Queue a packet of one's own, as it is (S-380).  A signal handler may."""
    _port.port_of(port).post((0, bytes, key, address))


def BindLocal(handle: int, family: int) -> None:
    """Windows wants a socket bound before ConnectEx().  Linux binds it when it connects: nothing is done.

    Raises ValueError for a family that is not AF_INET, AF_INET6 or AF_UNIX."""
    if family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        raise ValueError(f"expected AF_INET, AF_INET6 or AF_UNIX, not {family!r}")


def WSAConnect(client_handle: int, address_as_bytes: Any) -> None:
    """connect(2) of a datagram socket, which does not block.  Raises OSError."""
    check_address(address_as_bytes)
    borrowed = socket.socket(fileno=client_handle)
    try:
        borrowed.connect(address_as_bytes)
    finally:
        borrowed.detach()
