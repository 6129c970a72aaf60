# cython: annotation_typing=False
"""epoll(7), with io_uring(7) to hand it many changes, and to count the bytes of many sockets, by one system call.

Readiness stays epoll's: no request is ever left in the ring, so nothing holds a file that the program closes, and
any thread may use it.

What a batch saves is the way into the kernel and out of it; what it costs is io_uring's own way to each operation.
In C, N changes of interest by one io_uring_enter(2) against N epoll_ctl(2):

    N                                           4      16      64
    x86-64 whose system calls cost 180 ns    0.86    0.65    0.57
    AMD EPYC with SRSO's return thunks       1.15    1.02    0.98

So a batch begins at 16, where it loses nothing on the one and most of its gain is there on the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote import errors, ring
from knote._kernel.ringcalls import RingCalls
from knote.engines.base import Traits
from knote.engines.epoll import EpollEngine

if TYPE_CHECKING:
    from knote._kernel.fd import Counts

BATCH = 16
"""So many changes, or sockets to count, are made by one call; fewer by one each."""
_ENTRIES = 64
_SETUP_SUBMIT_ALL = 1 << 7


class UringEngine(EpollEngine):
    """epoll(7) and a ring.  Raises OSError with the reason when either cannot be had."""

    __slots__ = ("_calls",)
    name = "uring"
    about = "epoll(7); io_uring(7) hands it many changes, and counts the bytes of many sockets, by one call"
    traits = Traits(
        edge=True,
        level=True,
        oneshot=True,
        batches_changes=True,
        sees_close=True,
        pollable=True,
        max_fd=0,
        resolution_ns=1,
        needs_compiled=False,
    )

    def __init__(self) -> None:
        why = ring.why_not()
        if why:
            raise errors.ring_unwanted(why)
        super().__init__()
        self._calls = RingCalls(_ENTRIES, _SETUP_SUBMIT_ALL)
        if self._calls.fd < 0:
            self._ep.close()
            raise errors.no_ring(-self._calls.fd)

    @staticmethod
    def refusal() -> str:
        """Engine.refusal()."""
        return EpollEngine.refusal() or ring.refusal()

    def flush(self) -> int:
        """Engine.flush()."""
        if self._ep.count < BATCH:
            return self._ep.flush()
        return self._calls.flush(self._ep)

    def fetch(self, counts: Counts) -> int:
        """Engine.fetch()."""
        if counts.tcp < BATCH or counts.tcp < counts.n or not self._calls.counts:
            return counts.fetch()
        return self._calls.fetch(counts)

    def close(self) -> None:
        """Engine.close().  In a forked child, too: what is unmapped and closed is the child's, and the ring is
        empty between calls."""
        EpollEngine.close(self)
        self._calls.close()
