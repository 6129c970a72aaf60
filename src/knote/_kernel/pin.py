"""The memory of a Python object, held in place, through ctypes; the compiled twin is pin.pyx."""

from __future__ import annotations

import ctypes
from typing import Any

_WRITABLE = 1


class _Buffer(ctypes.Structure):
    """Py_buffer, whose head is the same in all versions; the rest is room."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("rest", ctypes.c_void_p * 16),
    )


# Of prototypes of our own: ctypes.pythonapi's functions are everybody's, and so are their argtypes.
_get = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(_Buffer), ctypes.c_int)(
    ("PyObject_GetBuffer", ctypes.pythonapi)
)
_release = ctypes.PYFUNCTYPE(None, ctypes.POINTER(_Buffer))(("PyBuffer_Release", ctypes.pythonapi))


class Pin:
    """A buffer's address and length, which stay as they are for as long as this object lives.

    Raises TypeError for what has no buffer, BufferError for one that cannot be had: not writable, not contiguous.
    """

    __slots__ = ("_view", "address", "length")

    def __init__(self, buffer: Any, writable: bool) -> None:
        self._view = _Buffer()
        _get(buffer, ctypes.byref(self._view), _WRITABLE if writable else 0)
        self.address = self._view.buf or 0
        self.length = self._view.len

    def __del__(self) -> None:
        if self._view.obj:
            _release(ctypes.byref(self._view))


def room(size: int) -> bytearray:
    """A new bytearray, whose contents are not defined where that is cheaper."""
    return bytearray(size)
