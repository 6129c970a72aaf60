# cython: annotation_typing=False
"""What poll(2), select(2), Linux' AIO and signals have in common: they report levels and know numbers.

Such a mechanism knows numbers only.  It cannot tell that a number was closed and given to another eventfd, nor
which files have no state to wait for (it calls them ready), and it has no descriptor that would poll readable for
a program's own loop or for another queue.  An epoll set that nobody waits on, the witness, knows all three: it is
told of every interest, its refusals are the engine's, and its descriptor is the queue's.  A change costs what it
does with epoll; waiting is the mechanism's own.
"""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

from knote import errors
from knote._kernel.time import now_ns
from knote.engines.base import Engine
from knote.engines.epoll import EpollEngine

if TYPE_CHECKING:
    from knote._kernel.batch import Batch
    from knote._kernel.watchset import WatchSet

CLOCK_MONOTONIC = time.CLOCK_MONOTONIC
_EACCES = errno.EACCES
_EBADF = errno.EBADF
_EINVAL = errno.EINVAL
_ENOENT = errno.ENOENT
_EPERM = errno.EPERM
_ERANGE = errno.ERANGE

LEVELS = EpollEngine.traits._replace(edge=False, oneshot=False, sees_close=False, ordered=False, by_number=True)
"""What such mechanisms, and the witness's descriptor, can do; each engine says what is different with it."""


class ListedEngine(Engine):
    """An engine over a set that the kernel sees only while somebody waits.  Raises OSError (EMFILE, ENFILE,
    ENOMEM) when it cannot be made."""

    __slots__ = (
        "_beyond", "_late", "_limit", "_lost", "_misses", "_set", "_staged", "_witness",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._witness = EpollEngine()
        self._set = self._make()
        if self._set.wake < 0:
            self._witness.close()
            raise self._cannot(-self._set.wake)
        self._limit = self.traits.max_fd
        if self._limit and self._set.wake >= self._limit:
            self.close()
            raise errors.creation(errno.ERANGE, f"the wake descriptor of engine {self.name!r}")
        self._beyond = False
        """One that was staged has too high a number, or no room: it and those behind it are not made."""
        self._staged: list[tuple[int, int, int, int]] = []
        self._lost = False
        """A number was closed or became another file: the witness may know the file still (S-398)."""
        self._late = self.traits.late
        self._misses = self.traits.misses
        self.number = self._witness.number

    def _make(self) -> WatchSet:
        raise NotImplementedError

    def _cannot(self, number: int) -> OSError:
        return errors.creation(number, f"the wake descriptor of engine {self.name!r}")

    @staticmethod
    def refusal() -> str:
        """Engine.refusal(): there is none of poll(2) and select(2)."""
        return EpollEngine.refusal()

    def watch(self, fd: int, old: int, new: int, token: int) -> int:
        """Engine.watch()."""
        rc = self._witness.watch(fd, old, new, token)
        if rc == 0:
            rc = -_ERANGE if self._limit and fd >= self._limit and new else self._set.put(fd, new, token)
            if rc < 0:
                self._witness.watch(fd, new, old, token)
            if rc == -_EPERM:
                # A sandbox says so of a call; the witness knows that such a file can be watched.
                rc = -_EACCES
        elif old and (rc == -_ENOENT or rc == -_EBADF):
            self._set.put(fd, 0, token)
            self._lost = True
        return rc

    def holds(self, fd: int) -> bool:
        """Engine.holds()."""
        held = self._witness.holds(fd)
        if not held:
            self._lost = True
        return held

    def forget(self, fd: int, token: int) -> None:
        """Engine.forget()."""
        self._set.put(fd, 0, token)
        self._lost = True

    def stage(self, fd: int, old: int, new: int, token: int) -> int:
        """Engine.stage()."""
        self._beyond |= self._limit != 0 and fd >= self._limit
        if self._beyond:
            return 0
        if self._set.reserve(len(self._staged) + 1, fd):
            self._beyond = True
            return 0
        self._witness.stage(fd, old, new, token)
        self._staged.append((fd, old, new, token))
        return 0

    def flush(self) -> int:
        """Engine.flush()."""
        told = self._witness.flush()
        done = 0
        while done < told:
            fd, old, new, token = self._staged[done]
            if self._set.put(fd, new, token) < 0:
                break
            done += 1
        for i in range(done, told):
            fd, old, new, token = self._staged[i]
            self._witness.watch(fd, new, old, token)
        self._staged.clear()
        self._beyond = False
        return done

    def wait(self, batch: Batch, capacity: int, deadline_ns: int) -> int:
        """Engine.wait()."""
        timeout = deadline_ns
        if deadline_ns > 0:
            timeout = deadline_ns - now_ns(CLOCK_MONOTONIC)
            if timeout < 0:
                timeout = 0
        # What only the witness reports is a file that the queue has no number of any more; and what the mechanism
        # is told late or not at all: it knows all that is true, so what it says, if anything, is the answer.
        lost = self._lost or self._set.lost()
        n = self._witness.wait(batch, capacity, 0) if lost or self._misses else 0
        if n or (self._misses and not timeout):
            return n
        n = self._set.wait(batch, capacity, timeout)
        if n == -_EINVAL:
            # poll(2) takes no more descriptors than RLIMIT_NOFILE, which was lowered since they were opened.
            return self._witness.wait(batch, capacity, deadline_ns)
        if n == 0 or (self._late and 0 < n < capacity):
            # With nothing found: the mechanism looks at numbers, and one may have become another file while a dup
            # keeps its first.  That only the witness knows, and the queue's descriptor polls readable for it.
            told = self._witness.wait(batch, capacity, 0)
            if told > 0 or n == 0:
                return told
        return n

    def rebuild(self) -> int:
        """Engine.rebuild(): an empty set, and a new witness under the old number."""
        rc = self._witness.rebuild()
        if rc == 0:
            self._set.clear()
            self._lost = False
        return rc

    def close(self) -> None:
        """Engine.close()."""
        self._witness.close()
        self._set.close()
        self.number = -1
