# cython: annotation_typing=False
"""The engine over epoll(7).

Some facts about epoll, and what follows for knote:

* An interest belongs to (open file, number), not to the number.  close(2) of a number whose file lives on in a
  dup or a forked child leaves the interest behind, which nobody can take out by number any more
  (S-398) -> the token says whether a hit is for a source that we still have; a hit that is not, and would
  come again for ever, makes the queue rebuild() the set.
* A number that was closed and reused is not registered as far as epoll knows: MOD and DEL say ENOENT, and a
  closed one says EBADF.  That is how a change learns, at no cost, that its knote is gone (S-400).
* Level-triggered interests go to the tail of epoll's ready list when they are reported: FIFO and round robin are
  the kernel's (S-407).
* HUP and ERR are reported whatever the mask, even 0 -> no interest means DEL, never an empty mask (S-417).
* MOD reports the state of the descriptor afresh, in edge mode as well (S-073).
"""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

from knote import errors
from knote._kernel.epoll import Epoll
from knote._kernel.time import now_ns
from knote.engines.base import Engine, Traits

if TYPE_CHECKING:
    from knote._kernel.batch import Batch

ADD = 1  # EPOLL_CTL_*: select does not export them
DEL = 2
MOD = 3
CLOCK_MONOTONIC = time.CLOCK_MONOTONIC
_EEXIST = errno.EEXIST
_ENOENT = errno.ENOENT
_EBADF = errno.EBADF
_EPERM = errno.EPERM
_ENOSPC = errno.ENOSPC


class EpollEngine(Engine):
    """epoll(7).  Raises OSError (EMFILE, ENFILE, ENOMEM) when it cannot be made."""

    __slots__ = ("_ep",)
    name = "epoll"
    about = "epoll(7): the kernel keeps the set and a list of what is ready"
    traits = Traits(
        edge=True,
        level=True,
        oneshot=True,
        batches_changes=False,
        sees_close=True,
        pollable=True,
        max_fd=0,
        resolution_ns=1,
        needs_compiled=False,
    )

    def __init__(self) -> None:
        super().__init__()
        self._ep = Epoll()
        self.number = self._ep.fd
        if self.number < 0:
            raise errors.creation(-self.number, "an epoll instance")

    @staticmethod
    def refusal() -> str:
        """Engine.refusal()."""
        made = Epoll()
        if made.fd >= 0:
            made.close()
            return ""
        return os.strerror(-made.fd) if made.fd in (-errno.ENOSYS, -_EPERM, -errno.EACCES) else ""

    def watch(self, fd: int, old: int, new: int, token: int) -> int:
        """Engine.watch()."""
        op = MOD if old and new else ADD if new else DEL
        rc = self._ep.ctl(op, fd, new, token)
        if rc == 0:
            return 0
        if rc == -_EEXIST:
            # The number was closed and given to a dup of the same file: epoll still holds the old interest,
            # which is this file's all the same.
            return self._ep.ctl(MOD, fd, new, token)
        if rc == -_EPERM and old:
            # A file that epoll cannot watch has taken the number: epoll looks at that before it looks for the
            # interest, which is not there (S-400).
            return -_ENOENT
        return rc

    def holds(self, fd: int) -> bool:
        """Engine.holds(): epoll says EEXIST of a file that it knows by this number, and nothing else changes.
        EBADF, EPERM, ENOSPC say that it is not; a call that was not carried out says nothing, and no knote goes
        for it."""
        rc = self._ep.ctl(ADD, fd, 0, fd)
        if rc == 0:
            self._ep.ctl(DEL, fd, 0, fd)
        return rc != 0 and rc != -_EBADF and rc != -_EPERM and rc != -_ENOSPC

    def stage(self, fd: int, old: int, new: int, token: int) -> int:
        """Engine.stage()."""
        return self._ep.stage(MOD if old and new else ADD if new else DEL, fd, old, new, token)

    def flush(self) -> int:
        """Engine.flush()."""
        return self._ep.flush()

    def wait(self, batch: Batch, capacity: int, deadline_ns: int) -> int:
        """Engine.wait()."""
        timeout = deadline_ns
        if deadline_ns > 0:
            timeout = deadline_ns - now_ns(CLOCK_MONOTONIC)
            if timeout < 0:
                timeout = 0
        return self._ep.wait(batch, capacity, timeout)

    def rebuild(self) -> int:
        """Engine.rebuild(): a new epoll instance under the old number."""
        return self._ep.replace()

    def close(self) -> None:
        """Engine.close()."""
        self._ep.close()
        self.number = -1
