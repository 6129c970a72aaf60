"""ctypes' view of libc for the interpreted twins: calls that return n or -errno, as the C room's do."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)


def function(name: str, *argtypes: type) -> Callable[..., int]:
    """The libc function of this name; calling it gives its int result, or -errno when that is negative."""
    # By item each call gets a function object of its own; by attribute all share one, and the last one's argtypes.
    raw = _libc[name]
    raw.argtypes = argtypes

    def call(*arguments: object) -> int:
        result: int = raw(*arguments)
        return -ctypes.get_errno() if result < 0 else result

    return call
