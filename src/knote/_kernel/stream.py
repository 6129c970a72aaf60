"""Stream sockets of a server through ctypes; the compiled twin is stream.pyx over kn_stream.h."""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Any

from knote._kernel._libc import function

_NOW = socket.MSG_DONTWAIT
_SEND = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_PARTS = 64
_accept = function("accept4", ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
_recv = function("recv", ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_send = function("send", ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_setsockopt = function(
    "setsockopt", ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint
)
_shutdown = function("shutdown", ctypes.c_int, ctypes.c_int)


def _send_bytes(fd: int, data: bytes) -> int:
    return _send(fd, ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data), _SEND)


class Room:
    """Memory that a server receives into, the same for all of its connections."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._data = bytearray(size)
        self._at = ctypes.addressof((ctypes.c_char * size).from_buffer(self._data))

    def receive(self, fd: int) -> int:
        """recv(2) without waiting: how many bytes are at the start of it now, 0 at the end, or -errno."""
        return _recv(fd, self._at, self.size, _NOW)

    def send(self, fd: int, count: int) -> int:
        """send(2) of the first count bytes, without waiting: how many were taken, or -errno."""
        return _send(fd, self._at, count, _SEND)

    def upper(self, count: int) -> None:
        """The first count bytes in upper case, as bytes.upper()."""
        self._data[:count] = self._data[:count].upper()

    def take(self, start: int, stop: int) -> bytes:
        """A copy of these bytes."""
        return bytes(self._data[start:stop])


def accept_one(listener: int) -> int:
    """accept4(2): a descriptor that does not block and is not inherited, or -errno."""
    return _accept(listener, None, None, socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


def send_one(fd: int, data: Any) -> int:
    """send(2) of a bytes-like object, without waiting: how many bytes were taken, or -errno.  TypeError for what
    has no bytes."""
    return _send_bytes(fd, bytes(memoryview(data)))


def send_list(fd: int, parts: list[Any], skip: int) -> int:
    """sendmsg(2) of the parts, less the first skip bytes: how many bytes were taken, or -errno.  64 at once."""
    return _send_bytes(fd, b"".join(parts[:_PARTS])[skip:])


def shut(fd: int, how: int) -> int:
    """shutdown(2): 0 or -errno."""
    return _shutdown(fd, how)


def reset(fd: int) -> int:
    """Have close(2) reset the connection: 0 or -errno."""
    return _setsockopt(fd, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0), 8)


def is_readable(fd: int) -> bool:
    """Whether there is something to receive; the end is nothing."""
    return _recv(fd, ctypes.create_string_buffer(1), 1, socket.MSG_PEEK | _NOW) > 0
