"""Where bytes come from: a descriptor of any kind, read when EVFILT_READ says that it can be."""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False  # typing costs what starting Python does, and `knote cat` may have nothing to do but start
if TYPE_CHECKING:
    from typing import Any


class Inlet:
    """Reads without changing how the descriptor blocks: that belongs to the open file, which may be shared with
    the shell and with other programs.

    A read that follows a READ event finds something, or the end; a socket is asked not to wait all the same.
    Only a pipe or terminal that another process reads at the same time can make a read wait for its next byte.
    name: what errors call it.  sock: a socket of the program's own, non-blocking; without one, fd stays open when
    this closes.
    kind: S_IFREG ...; size: of a regular file; ended: what was read last was the last.
    Raises OSError for a closed descriptor and for a directory.
    """

    __slots__ = ("_sock", "ended", "fd", "kind", "name", "own_socket", "size")

    def __init__(self, fd: int, name: str, sock: Any = None) -> None:
        self.fd = fd
        self.name = name
        self._sock: Any = sock
        self.own_socket = sock is not None
        self.ended = False
        try:
            st = os.fstat(fd)
            mode, self.size = st.st_mode, st.st_size
            self.kind = stat.S_IFMT(mode)
            if stat.S_ISDIR(mode):
                # Never readable for a kqueue, so it would be waited for in vain.
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
            if sock is None and stat.S_ISSOCK(mode):
                import socket

                self._sock = socket.socket(fileno=os.dup(fd))
        except OSError as error:
            raise OSError(error.errno, error.strerror, name) from None

    def read_into(self, room: memoryview) -> int:
        """How many bytes were read; 0 at the end, -1 if nothing is there after all."""
        try:
            if self._sock is not None:
                from socket import MSG_DONTWAIT

                count: int = self._sock.recv_into(room, 0, MSG_DONTWAIT)
                return count
            return os.readv(self.fd, [room])
        except BlockingIOError:
            return -1
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.name) from None

    def close(self) -> None:
        """Let go of what was opened here; fd itself stays its owner's."""
        if self._sock is not None and self._sock.fileno() != self.fd:
            self._sock.close()
        self._sock = None
