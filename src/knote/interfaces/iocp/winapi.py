"""What asyncio uses of CPython's _winapi and msvcrt, with their names: pipes, waits, handles."""

from __future__ import annotations

from typing import Final

from knote.interfaces.iocp import overlapped as _overlapped
from knote.interfaces.iocp.handles import (
    WAIT_OBJECT_0,
    WAIT_TIMEOUT,
    CloseHandle,
    WaitForMultipleObjects,
    WaitForSingleObject,
)
from knote.interfaces.iocp.overlapped import NULL
from knote.interfaces.iocp.pipes import (
    FILE_FLAG_FIRST_PIPE_INSTANCE,
    FILE_FLAG_OVERLAPPED,
    GENERIC_READ,
    GENERIC_WRITE,
    OPEN_EXISTING,
    PIPE_ACCESS_DUPLEX,
    PIPE_ACCESS_INBOUND,
    PIPE_ACCESS_OUTBOUND,
    PIPE_UNLIMITED_INSTANCES,
    CreateFile,
    CreateNamedPipe,
)
from knote.interfaces.iocp.port import INFINITE
from knote.interfaces.iocp.winerror import (
    ERROR_BROKEN_PIPE,
    ERROR_IO_PENDING,
    ERROR_MORE_DATA,
    ERROR_NETNAME_DELETED,
    ERROR_OPERATION_ABORTED,
    ERROR_PIPE_BUSY,
    ERROR_PIPE_CONNECTED,
    ERROR_SEM_TIMEOUT,
)

__all__ = [
    "ERROR_BROKEN_PIPE", "ERROR_IO_PENDING", "ERROR_MORE_DATA", "ERROR_NETNAME_DELETED", "ERROR_OPERATION_ABORTED",
    "ERROR_PIPE_BUSY", "ERROR_PIPE_CONNECTED", "ERROR_SEM_TIMEOUT", "FILE_FLAG_FIRST_PIPE_INSTANCE",
    "FILE_FLAG_OVERLAPPED", "GENERIC_READ", "GENERIC_WRITE", "INFINITE", "NMPWAIT_WAIT_FOREVER", "NULL",
    "OPEN_EXISTING", "PIPE_ACCESS_DUPLEX", "PIPE_ACCESS_INBOUND", "PIPE_ACCESS_OUTBOUND", "PIPE_READMODE_MESSAGE",
    "PIPE_TYPE_MESSAGE", "PIPE_UNLIMITED_INSTANCES", "PIPE_WAIT", "WAIT_OBJECT_0", "WAIT_TIMEOUT", "CloseHandle",
    "ConnectNamedPipe", "CreateFile", "CreateNamedPipe", "Overlapped", "WaitForMultipleObjects",
    "WaitForSingleObject", "get_osfhandle", "open_osfhandle",
]  # fmt: skip

PIPE_WAIT: Final = 0
PIPE_READMODE_MESSAGE: Final = 2
PIPE_TYPE_MESSAGE: Final = 4
NMPWAIT_WAIT_FOREVER: Final = 0xFFFFFFFF


class Overlapped(_overlapped.Overlapped):
    """_winapi.Overlapped: another name for the result of the same operation."""

    __slots__ = ()

    def GetOverlappedResult(self, wait: bool) -> tuple[int, int]:
        """(bytes transferred, Windows error): ERROR_IO_INCOMPLETE if it is under way and wait is false.

        Raises OSError with winerror for what failed."""
        if self._kind:
            self.getresult(wait)
        return self._moved, 0


def ConnectNamedPipe(handle: int, overlapped: bool = False) -> Overlapped | None:
    """Wait for the client of a pipe; with overlapped, an Overlapped that does."""
    operation = Overlapped()
    operation.ConnectNamedPipe(handle)
    if overlapped:
        return operation
    operation.GetOverlappedResult(True)
    return None


def get_osfhandle(fd: int) -> int:
    """msvcrt: the handle of a descriptor, which is itself."""
    return fd


def open_osfhandle(handle: int, flags: int) -> int:
    """msvcrt: a descriptor of a handle, which is itself."""
    return handle
