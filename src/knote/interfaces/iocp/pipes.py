"""Named pipes: an abstract AF_UNIX address each, or, one way and for one client of this process, a pipe(2)."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from typing import Any, Final

from knote.interfaces.iocp.winerror import ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_PIPE_BUSY, failure

PIPE_ACCESS_INBOUND: Final = 1
PIPE_ACCESS_OUTBOUND: Final = 2
PIPE_ACCESS_DUPLEX: Final = 3
FILE_FLAG_FIRST_PIPE_INSTANCE: Final = 0x80000
FILE_FLAG_OVERLAPPED: Final = 0x40000000
GENERIC_READ: Final = 0x80000000
GENERIC_WRITE: Final = 0x40000000
OPEN_EXISTING: Final = 3
PIPE_UNLIMITED_INSTANCES: Final = 255


class _Name:
    """What a name stands for, while an instance of it is open."""

    __slots__ = ("instances", "listener")

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.instances: set[int] = set()


_names: dict[str, _Name] = {}
_instances: dict[int, str] = {}
"""By handle: an instance that no client has yet."""
_ends: dict[str, int] = {}
"""The other end of a one-way pipe, until it is opened."""


def _path(name: str) -> bytes:
    return b"\0" + os.fsencode(name)


def CreateNamedPipe(
    name: str, open_mode: int, pipe_mode: int, max_instances: int, out_buffer_size: int, in_buffer_size: int,
    default_timeout: int, security_attributes: Any,
) -> int:  # fmt: skip
    """An instance of a named pipe, which a client may open.

    Its name is an abstract AF_UNIX address, so programs of this network namespace may, too.  One of one way and
    one instance is a pipe(2), as programs expect of their output, and only this process can open it.
    Messages have no bounds.  Raises OSError: ERROR_ACCESS_DENIED for a name that is taken.
    """
    first = bool(open_mode & FILE_FLAG_FIRST_PIPE_INSTANCE)
    way = open_mode & PIPE_ACCESS_DUPLEX
    if (first and name in _names) or name in _ends:
        raise failure(ERROR_ACCESS_DENIED, f"pipe {name!r} exists")
    # A server that does not overlap cannot read and write at once: asyncio makes such a pipe to be read from, as a
    # child's standard input, and children expect to be able to open /dev/stdin, which Linux refuses for sockets.
    one_way = way != PIPE_ACCESS_DUPLEX or not open_mode & FILE_FLAG_OVERLAPPED
    if one_way and max_instances == 1:
        read, write = os.pipe()
        handle, _ends[name] = (write, read) if way == PIPE_ACCESS_OUTBOUND else (read, write)
        return handle
    known = _names.get(name)
    if known is None:
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(_path(name))
            listener.listen()
        except OSError as error:
            listener.close()
            raise failure(ERROR_ACCESS_DENIED, f"pipe {name!r}", error.errno or 0) from error
        known = _names[name] = _Name(listener)
    # A place holder, whose number the connection takes over.
    handle = os.open("/dev/null", os.O_RDWR)
    known.instances.add(handle)
    _instances[handle] = name
    return handle


def CreateFile(
    name: str, desired_access: int, share_mode: int, security_attributes: Any, creation_disposition: int,
    flags_and_attributes: int, template_file: int,
) -> int:  # fmt: skip
    """Open a pipe by its name: its client's end.

    Raises OSError: ERROR_FILE_NOT_FOUND, ERROR_PIPE_BUSY when too many are waiting for an instance."""
    if name in _ends:
        return _ends.pop(name)
    client = socket.socket(socket.AF_UNIX)
    try:
        client.setblocking(False)
        client.connect(_path(name))
        client.setblocking(True)
    except OSError as error:
        client.close()
        busy = error.errno == errno.EAGAIN
        code = ERROR_PIPE_BUSY if busy else ERROR_FILE_NOT_FOUND
        raise failure(code, f"pipe {name!r}", 0 if busy else errno.ENOENT) from error
    return client.detach()


def ConnectPipe(address: str) -> int:
    """CreateFile() for reading and writing."""
    return CreateFile(address, GENERIC_READ | GENERIC_WRITE, 0, None, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, 0)


def listener_of(handle: int) -> socket.socket | None:
    """Where the client of an instance will come from; None if it is there."""
    name = _instances.get(handle)
    return None if name is None else _names[name].listener


def connected(handle: int, connection: int) -> None:
    """An instance has its client: the handle becomes the connection's."""
    if handle not in _instances:
        raise OSError(errno.ECANCELED, "the instance of the pipe was closed")
    os.dup2(connection, handle, inheritable=False)
    forget(handle)


def forget(handle: int) -> None:
    """It is no instance that waits any more.  With the last one, the name goes."""
    name = _instances.pop(handle, None)
    if name is not None:
        known = _names[name]
        known.instances.discard(handle)
        if not known.instances:
            del _names[name]
            known.listener.close()


def is_write_end(handle: int) -> bool:
    """Whether it is the end of a pipe(2) or FIFO that only writes."""
    try:
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE != os.O_WRONLY:
            return False
        return stat.S_ISFIFO(os.fstat(handle).st_mode)
    except OSError:
        return False
