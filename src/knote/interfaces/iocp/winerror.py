"""Windows' numbers of errors, which Linux' stand for them, and the exceptions that carry both."""

from __future__ import annotations

import errno
import os
from typing import Final

from knote import errors

ERROR_SUCCESS: Final = 0
ERROR_FILE_NOT_FOUND: Final = 2
ERROR_ACCESS_DENIED: Final = 5
ERROR_INVALID_HANDLE: Final = 6
ERROR_GEN_FAILURE: Final = 31
ERROR_NETNAME_DELETED: Final = 64
ERROR_INVALID_PARAMETER: Final = 87
ERROR_BROKEN_PIPE: Final = 109
ERROR_SEM_TIMEOUT: Final = 121
ERROR_PIPE_BUSY: Final = 231
ERROR_MORE_DATA: Final = 234
WAIT_TIMEOUT: Final = 258
ERROR_PIPE_CONNECTED: Final = 535
ERROR_ABANDONED_WAIT_0: Final = 735
ERROR_OPERATION_ABORTED: Final = 995
ERROR_IO_INCOMPLETE: Final = 996
ERROR_IO_PENDING: Final = 997
ERROR_NOT_FOUND: Final = 1168
ERROR_CONNECTION_REFUSED: Final = 1225
ERROR_NETWORK_UNREACHABLE: Final = 1231
ERROR_HOST_UNREACHABLE: Final = 1232
ERROR_PORT_UNREACHABLE: Final = 1234
ERROR_NO_SYSTEM_RESOURCES: Final = 1450
WSAEINVAL: Final = 10022

_CODES: Final = {
    errno.ENOENT: ERROR_FILE_NOT_FOUND,
    errno.EACCES: ERROR_ACCESS_DENIED,
    errno.EPERM: ERROR_ACCESS_DENIED,
    errno.EBADF: ERROR_INVALID_HANDLE,
    errno.EINVAL: ERROR_INVALID_PARAMETER,
    errno.EPIPE: ERROR_BROKEN_PIPE,
    errno.ECANCELED: ERROR_OPERATION_ABORTED,
    errno.ECONNRESET: ERROR_NETNAME_DELETED,
    errno.ECONNREFUSED: ERROR_CONNECTION_REFUSED,
    errno.ETIMEDOUT: ERROR_SEM_TIMEOUT,
    errno.ENETUNREACH: ERROR_NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: ERROR_HOST_UNREACHABLE,
    errno.ENOMEM: ERROR_NO_SYSTEM_RESOURCES,
    errno.ENOBUFS: ERROR_NO_SYSTEM_RESOURCES,
    errno.EMFILE: 10024,
    errno.EFAULT: 10014,
    errno.ENOTSOCK: 10038,
    errno.EDESTADDRREQ: 10039,
    errno.EMSGSIZE: 10040,
    errno.EPROTOTYPE: 10041,
    errno.EPROTONOSUPPORT: 10043,
    errno.EOPNOTSUPP: 10045,
    errno.EAFNOSUPPORT: 10047,
    errno.EADDRINUSE: 10048,
    errno.EADDRNOTAVAIL: 10049,
    errno.ENETDOWN: 10050,
    errno.ECONNABORTED: 1236,
    errno.EISCONN: 10056,
    errno.ENOTCONN: 10057,
    errno.EALREADY: 10037,
}
_ERRNOS: Final = {code: number for number, code in reversed(_CODES.items())} | {
    WAIT_TIMEOUT: errno.ETIMEDOUT,
    ERROR_PIPE_BUSY: errno.EAGAIN,
    ERROR_ABANDONED_WAIT_0: errno.EBADF,
    ERROR_IO_INCOMPLETE: errno.EINPROGRESS,
    ERROR_IO_PENDING: errno.EINPROGRESS,
    ERROR_NOT_FOUND: errno.ENOENT,
    ERROR_PORT_UNREACHABLE: errno.ECONNREFUSED,
    WSAEINVAL: errno.EINVAL,
}
_TEXTS: Final = {
    ERROR_SUCCESS: "The operation completed successfully",
    ERROR_PIPE_BUSY: "All instances of the pipe are busy",
    ERROR_PIPE_CONNECTED: "There is a process on the other end of the pipe",
    ERROR_ABANDONED_WAIT_0: "The completion port was closed while it was waited on",
    ERROR_IO_INCOMPLETE: "The overlapped operation is not over yet",
    ERROR_IO_PENDING: "The overlapped operation is in progress",
    ERROR_NOT_FOUND: "There is nothing to cancel",
}


def code_of(number: int) -> int:
    """The Windows error that stands for an errno; ERROR_GEN_FAILURE for one that Windows has no word for."""
    return _CODES.get(number, ERROR_GEN_FAILURE) if number else ERROR_SUCCESS


def failure(code: int, what: str, number: int = 0) -> OSError:
    """An OSError that has winerror as on Windows, and the errno, and so the type, of Linux.

    number: the errno, where it is known; else it follows from code."""
    number = number or _ERRNOS.get(code, errno.EIO)
    error = errors.os_error(number, f"{what} [WinError {code}]")
    error.winerror = code  # type: ignore[attr-defined]  # an attribute of Windows' OSErrors only
    return error


def FormatMessage(error_code: int) -> str:
    """The text of a Windows error; an unknown one says so."""
    text = _TEXTS.get(error_code)
    if text is None:
        number = _ERRNOS.get(error_code)
        text = f"unknown error code {error_code}" if number is None else os.strerror(number)
    return text
