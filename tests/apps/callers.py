"""Clients that connect without waiting, and what becomes of each."""

from __future__ import annotations

import ctypes
import errno
import select
import socket
import struct
from pathlib import Path
from typing import Any, Final

from tests.apps.crew import LONG

_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
_NOT_YET: Final = {errno.EINPROGRESS, errno.EAGAIN, errno.ENOTCONN}
_SYN_RECV: Final = "03"


class Caller:
    """It has begun to connect, and asks `x` as soon as it can.  mute: it hears nothing of what the server's kernel
    says, until hear()."""

    def __init__(self, where: Any, mute: bool = False) -> None:
        self.sock = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
        self.sock.setblocking(False)
        if mute:
            # One instruction, struct sock_filter: BPF_RET, 0 bytes of it pass.
            program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
            self.sock.setsockopt(
                socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program))
            )
        self._failure = self.sock.connect_ex(where)
        self._has_asked = False
        self._ask()

    def _ask(self) -> None:
        if not self._has_asked and self._failure in (0, *_NOT_YET):
            try:
                self.sock.send(b"x")
                self._has_asked = True
                self._failure = 0
            except OSError as error:
                self._failure = error.errno or 0

    def hear(self) -> None:
        """From now on it hears."""
        self.sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)

    def half_way(self) -> bool:
        """Whether the server's kernel has its SYN, and waits for more."""
        port = f":{self.sock.getsockname()[1]:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        return any(row[2].endswith(port) and row[3] == _SYN_RECV for row in rows)

    def fate(self) -> str:
        """Waits for it: the first byte of its reply, '' for an end without one, or the name of the error."""
        with self.sock:
            watch = select.poll()
            watch.register(self.sock, select.POLLOUT)
            if self._failure in _NOT_YET:
                watch.poll(LONG * 1000)
                self._failure = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._ask()
            if self._failure:
                return errno.errorcode[self._failure]
            self.sock.settimeout(LONG)
            try:
                return self.sock.recv(1).decode()
            except OSError as error:
                return errno.errorcode[error.errno or 0]
