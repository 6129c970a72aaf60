"""The C allocator through ctypes; the compiled twin is heap.pyx over kn_heap.h."""

from __future__ import annotations

import ctypes


def trim() -> int:
    """malloc_trim(3): give whole pages that nobody uses back to the system; 1 if there were any, 0 if none or
    where the C library has no such call."""
    call = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return 0 if call is None else int(call(ctypes.c_size_t(0)))
