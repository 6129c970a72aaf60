# cython: annotation_typing=False
"""epoll(7), with io_uring(7) to hand it many changes, and to count the bytes of many sockets, by one system call.

Readiness stays epoll's: no request is ever left in the ring, so nothing holds a file that the program closes, and
any thread may use it.

What a batch saves is the way into the kernel and out of it; what it costs is io_uring's own way to each operation.
N changes of interest by one io_uring_enter(2) against N epoll_ctl(2):

    N                                                       4      16      64
    in C, x86-64 whose system calls cost 180 ns          0.86    0.65    0.57
    in C, AMD EPYC with SRSO's return thunks             1.15    1.02    0.98
    by control(), Intel Xeon with retpolines             1.02    0.93    0.87

So up to 3 go directly, and from there on one batch pays on most processors, and more the longer the list is; who
has one on which it does not, has epoll.  Counting bytes needs more of them: 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote import errors, ring
from knote._kernel.ringcalls import RingCalls
from knote.engines.epoll import EpollEngine

if TYPE_CHECKING:
    from knote._kernel.fd import Counts

BATCH = 4
"""So many changes are made by one call; fewer by one each."""
COUNTED = 16
"""So many sockets are counted by one call."""
_ENTRIES = 64
_SETUP_SUBMIT_ALL = 1 << 7


class UringEngine(EpollEngine):
    """epoll(7) and a ring.  Raises OSError with the reason when either cannot be had."""

    __slots__ = ("_calls",)
    name = "uring"
    about = "epoll(7); io_uring(7) hands it many changes, and counts the bytes of many sockets, by one call"
    traits = EpollEngine.traits._replace(batches_changes=True)

    def __init__(self) -> None:
        why = ring.why_not()
        if why:
            raise errors.ring_unwanted(self.name, why)
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
        if counts.tcp < COUNTED or counts.tcp < counts.n or not self._calls.counts:
            return counts.fetch()
        return self._calls.fetch(counts)

    def close(self) -> None:
        """Engine.close().  In a forked child, too: what is unmapped and closed is the child's, and the ring is
        empty between calls."""
        EpollEngine.close(self)
        self._calls.close()
