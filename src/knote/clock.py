# cython: annotation_typing=False
"""The heap of deadlines behind EVFILT_TIMER: one timerfd per clock, any number of timers."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from knote import errors
from knote._kernel.time import close_fd, now_ns, timer_create, timer_set
from knote.constants import NEVER

if TYPE_CHECKING:
    from knote.knote import Knote


class Clock:
    """Deadlines of one CLOCK_*, the earliest of them armed in a timerfd.

    An entry is (due, serial, knote); an entry whose due is not its knote's any more is stale and skipped, so
    that deleting or re-adding a timer costs nothing.  Stale entries are swept when they outnumber the rest.
    Threads: only under the queue's lock.
    """

    __slots__ = ("_armed", "_heap", "_serial", "_stale", "fd", "id")

    def __init__(self, clock: int) -> None:
        self.id = clock
        fd = timer_create(clock)
        if fd < 0:
            raise errors.creation(-fd, "a timerfd for EVFILT_TIMER")
        self.fd = fd
        self._heap: list[tuple[int, int, Knote]] = []
        self._armed = NEVER
        self._serial = 0
        self._stale = 0

    def now(self) -> int:
        """Nanoseconds of this clock."""
        return now_ns(self.id)

    def add(self, kn: Knote) -> None:
        """Enter kn at kn.due."""
        if kn.due != NEVER:
            self._serial += 1
            heapq.heappush(self._heap, (kn.due, self._serial, kn))

    def forget(self) -> None:
        """One entry has become stale: its knote was deleted or given another deadline."""
        self._stale += 1
        if self._stale > 64 and self._stale * 2 > len(self._heap):
            live = []
            for entry in self._heap:
                kn = entry[2]
                if kn.due == entry[0]:
                    live.append(entry)
            heapq.heapify(live)
            self._heap = live
            self._stale = 0

    def expired(self, now: int) -> Knote | None:
        """Take out the next knote whose deadline has come; None when there is none."""
        while self._heap:
            entry = self._heap[0]
            due = entry[0]
            kn = entry[2]
            if due == kn.due and due > now:
                return None
            heapq.heappop(self._heap)
            if due == kn.due:
                return kn
            if self._stale:
                self._stale -= 1
        return None

    def arm(self) -> int:
        """Set the timerfd to the earliest deadline, if that has changed.  0, or -errno; then the next call tries
        again."""
        due = NEVER
        while self._heap:
            entry = self._heap[0]
            kn = entry[2]
            if entry[0] == kn.due:
                due = entry[0]
                break
            heapq.heappop(self._heap)
            if self._stale:
                self._stale -= 1
        if due != self._armed:
            rc = timer_set(self.fd, -1 if due == NEVER else due)
            if rc < 0:
                return rc
            self._armed = due
        return 0

    def fired(self) -> None:
        """The timerfd is readable: whatever comes next must be set anew, which also makes it unreadable."""
        self._armed = -1

    def close(self) -> None:
        """Give the descriptor back; idempotent."""
        if self.fd >= 0:
            close_fd(self.fd)
            self.fd = -1
