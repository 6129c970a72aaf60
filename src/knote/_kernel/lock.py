"""The lock of a kqueue, interpreted: an RLock whose second acquisition by its owner is refused.

Here Python code runs while it is held, so a signal handler may run between any two of its instructions.  A plain
Lock would wait for itself then.  And the handler may raise, before the lock is released or in what would make up
for that, and another one in what would make up for both.  What nobody interrupts is a call of C code: the
interpreter looks for signals where a function of Python's begins, where it jumps backward, and behind such a call.
So whatever has happened before, a call lets go of the lock at its end by a single one of them.

The compiled twin is lock.pyx over kn_lock.h.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any


class Lock:
    """A mutex that knows its owner.  Threads: any may call acquire(); only the holder release()."""

    def __init__(self) -> None:
        self._rlock = threading.RLock()
        self._is_mine = self._rlock._is_owned  # type: ignore[attr-defined]  # as threading.Condition asks it
        # In front of the methods below, which do the same and can be interrupted where they begin.
        self.__dict__.update(release=self._rlock.release, amend=deque[Any](maxlen=0).extend)

    def guard(self) -> Iterable[object]:
        """What amend() is given at the end of this call: it releases what this thread has taken since and not
        released.  If it has the lock already, that is for the call around this one to do."""
        if self._is_mine():
            return ()
        # "while mine: release()", every step of it in C; __exit__() is a release() that takes arguments.
        release: Callable[[Any], None] = self._rlock.__exit__  # type: ignore[assignment]
        return map(release, iter(self._is_mine, False))

    def acquire(self) -> bool:
        """Take the lock, waiting for other threads; False if this thread has it already."""
        if self._is_mine():
            return False
        self._rlock.acquire()
        return True

    def release(self) -> None:
        """Let go; the next waiting thread goes on."""
        self._rlock.release()

    def amend(self, guard: Iterable[object]) -> None:
        """The call that took guard is at its end: let go of the lock if an exception left this thread with it."""
        deque(guard, maxlen=0)
