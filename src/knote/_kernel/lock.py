"""The lock of a kqueue, interpreted: an RLock whose second acquisition by its owner is refused.

The compiled twin is lock.pyx over kn_lock.h.
"""

from __future__ import annotations

import threading


class Lock:
    """A mutex that knows its owner.  Threads: any may call acquire(); only the holder release()."""

    def __init__(self) -> None:
        # An RLock, because here Python code runs while it is held and a signal handler may run between any
        # two of its instructions: a plain Lock would wait for itself.
        self._rlock = threading.RLock()
        self._held = False

    def acquire(self) -> bool:
        """Take the lock, waiting for other threads; False if this thread has it already."""
        self._rlock.acquire()
        if self._held:
            self._rlock.release()
            return False
        self._held = True
        return True

    def release(self) -> None:
        """Let go; the next waiting thread goes on."""
        self._held = False
        self._rlock.release()
