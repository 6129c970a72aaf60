"""How the kernel moves bytes between two descriptors by itself, and which pairs it does that for."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote.apps.inlet import Inlet
    from knote.apps.outlet import Outlet

MIB = 1 << 20
PIPE = MIB
"""What pipes are enlarged to: pipe-max-size, as every Linux has it.  pipe(7)."""

_F_SETPIPE_SZ = 1031


class Way(NamedTuple):
    """move(source, target, count) moves up to count bytes and says how many, 0 at the end.  Raises BlockingIOError
    where the source has nothing or the target no room; what else it raises, read(2) or write(2) tells better.
    most: bytes at a time, so that Ctrl-C, timers and the other flows of the queue have their turn."""

    name: str
    move: Callable[[int, int, int], int]
    most: int


# Looked up once: between two splices of a megabyte each tenth of a microsecond shows.
_os_splice = os.splice
_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE


def _splice(source: int, target: int, count: int) -> int:
    # The flag is about pipes, and goes before their own O_NONBLOCK: the shared mode is not touched.  splice(2)
    return _os_splice(source, target, count, None, None, _FLAGS)


def _sendfile(source: int, target: int, count: int) -> int:
    return os.sendfile(target, source, None, count)  # None: from where the file stands


SPLICE = Way("splice", _splice, PIPE)
SENDFILE = Way("sendfile", _sendfile, 8 * MIB)
RANGE = Way("copy_file_range", os.copy_file_range, 64 * MIB)


def ways(inlet: Inlet, outlet: Outlet) -> list[Way]:
    """Those to try, best first; none where only read(2) and write(2) will do.

    - A pipe on one side: splice.  Not with O_APPEND, which it refuses (EINVAL), and not where a blocking socket
      is the other side: only that socket's own O_NONBLOCK would keep splice from waiting, and it is shared.
    - From file to file: copy_file_range, which shares the blocks where the file system can; from a file to what
      always takes bytes, or to a socket of our own: sendfile.
    - A file without a size (/proc) is read: copy_file_range says that it is at its end.  copy_file_range(2), BUGS
    """
    source, target = inlet.kind, outlet.kind
    if outlet.terminal or (outlet.appends and target == stat.S_IFREG):
        return []
    if source == stat.S_IFREG:
        if not inlet.size:
            return []
        if target == stat.S_IFIFO:
            return [SPLICE]
        if target == stat.S_IFREG:
            return [RANGE, SENDFILE]
        return [SENDFILE] if target == stat.S_IFCHR or outlet.own_socket else []
    if source == stat.S_IFIFO:
        return [SPLICE] if target in (stat.S_IFIFO, stat.S_IFREG, stat.S_IFCHR) or outlet.own_socket else []
    if inlet.own_socket and target == stat.S_IFIFO:
        return [SPLICE]
    return []


def enlarge(fd: int) -> None:
    """Make a pipe hold PIPE bytes; smaller ones where it may not."""
    from fcntl import fcntl

    try:
        fcntl(fd, _F_SETPIPE_SZ, PIPE)
    except OSError:
        # EPERM: its owner has pipe-user-pages-soft in use, or pipe-max-size is less.  EBUSY: it holds more.
        # Slower, and as right.  pipe(7)
        pass
