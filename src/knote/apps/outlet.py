"""Where bytes go: a descriptor of any kind, written without waiting and without changing how it blocks."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat

TYPE_CHECKING = False  # see inlet.py
if TYPE_CHECKING:
    from typing import Any

_PTY_SLAVES = range(136, 144)
"""Major numbers of /dev/pts/* (Documentation/admin-guide/devices.txt)."""


class Outlet:
    """O_NONBLOCK belongs to the open file, which is shared with the shell and with whatever else writes there: set
    on a terminal's output it makes the shell's own writes fail.  So it is never touched:

    - sockets are written with MSG_DONTWAIT;
    - a pipe, FIFO or pseudo-terminal is opened a second time through /proc/self/fd, non-blocking: that is an open
      file of our own, on the same pipe;
    - where that is refused (another user's pipe, no /proc), at most PIPE_BUF bytes are written after each WRITE
      event: a pipe that polls writable has room for as many (pipe(7)), and `patient` says that an event must
      come first;
    - files and what else is always writable are just written.

    name: what errors call it.  sock: a socket of the program's own, non-blocking; without one, fd stays open when
    this closes.
    kind: S_IFREG ...; appends: whether O_APPEND is set; terminal: whether it is one.
    Raises OSError for a closed descriptor.
    """

    __slots__ = (
        "_own", "_regular", "_sock", "appends", "fd", "kind", "name", "own_socket", "patient", "terminal",
    )  # fmt: skip

    def __init__(self, fd: int, name: str, sock: Any = None) -> None:
        self.fd = fd
        self.name = name
        self.patient = False
        self._sock: Any = sock
        self._own = -1
        self._regular = False
        self.appends = False
        self.terminal = False
        self.own_socket = sock is not None
        self.kind = stat.S_IFSOCK
        if sock is not None:
            return
        try:
            st = os.fstat(fd)
            flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        except OSError as error:
            raise OSError(error.errno, error.strerror, name) from None
        self.kind = stat.S_IFMT(st.st_mode)
        self.appends = bool(flags & os.O_APPEND)
        self.terminal = stat.S_ISCHR(st.st_mode) and os.isatty(fd)
        if stat.S_ISSOCK(st.st_mode):
            import socket

            self._sock = socket.socket(fileno=os.dup(fd))
        elif stat.S_ISREG(st.st_mode):
            self._regular = True
        elif not flags & os.O_NONBLOCK and (stat.S_ISFIFO(st.st_mode) or self.terminal):
            self.patient = not self._reopen(st)

    def _reopen(self, st: os.stat_result) -> bool:
        # Opening a device anew may mean another one (/dev/ptmx makes a new terminal each time): slaves of
        # pseudo-terminals are safe, and O_NOCTTY keeps them from becoming ours.
        if stat.S_ISCHR(st.st_mode) and os.major(st.st_rdev) not in _PTY_SLAVES:
            return False
        try:
            own = os.open(f"/proc/self/fd/{self.fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return False  # ENXIO: nobody reads, which the first write will find out; EACCES, ENOENT
        if not os.path.samestat(os.fstat(own), st):
            os.close(own)
            return False
        self.fd = self._own = own
        return True

    def write(self, data: memoryview) -> int:
        """How many bytes were taken; 0 when there is no room."""
        try:
            if self._sock is not None:
                from socket import MSG_DONTWAIT, MSG_NOSIGNAL

                sent: int = self._sock.send(data, MSG_DONTWAIT | MSG_NOSIGNAL)
                return sent
            return os.write(self.fd, data[: select.PIPE_BUF] if self.patient else data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.name) from None

    def refused(self, error: OSError) -> OSError:
        """What a write would have said, where it is the knote that waits for room that cannot be had: a pipe whose
        reader has left refuses it, and the queue's own words are about the queue."""
        return OSError(error.errno, os.strerror(error.errno or errno.EIO), self.name)

    def close(self) -> None:
        """Let go of what was opened here; fd itself stays its owner's.  Raises OSError when a file system tells
        only now that what was written is lost (NFS, quotas): closing any copy of a descriptor asks it."""
        if self._own >= 0:
            os.close(self._own)
            self._own = -1
        if self._sock is not None and self._sock.fileno() != self.fd:
            self._sock.close()
        self._sock = None
        if self._regular:
            self._regular = False
            try:
                os.close(os.dup(self.fd))
            except OSError as error:
                raise OSError(error.errno, error.strerror, self.name) from None


def file_name(fd: int) -> str:
    """What /proc says that a descriptor leads to: '/tmp/out', 'pipe:[4711]'; '' where it says nothing."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""
