"""Files of /proc, whole; the compiled twin is procfile.pyx over kn_procfile.h."""

from __future__ import annotations

import ctypes
import os

from knote._kernel._libc import function

_open = function("open", ctypes.c_char_p, ctypes.c_int)
_write = function("write", ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
_PART = 65536


def open_file(path: bytes, writable: bool) -> int:
    """A descriptor, or -errno.  Without an audit hook, which could run a program's code under the lock."""
    return _open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK)


def contents(fd: int) -> bytes:
    """The file from its start to its end; nothing if it cannot be read."""
    parts: list[bytes] = []
    at = 0
    while True:
        try:
            part = os.pread(fd, _PART, at)
        except OSError:
            return b""
        if not part:
            return b"".join(parts)
        parts.append(part)
        at += len(part)


def write_text(fd: int, text: bytes) -> int:
    """Write it in one go, with its final NUL; how much, or -errno."""
    return _write(fd, text, len(text) + 1)
