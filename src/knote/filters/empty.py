# cython: annotation_typing=False
"""EVFILT_EMPTY: a socket has sent all that it was given.  See kqueue(2) on FreeBSD; spec S-159 ... S-161."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

from knote._kernel.fd import same, unsent
from knote.constants import EVFILT_EMPTY
from knote.filters.base import Filter
from knote.knote import DISABLED, SOFT
from knote.source import KIND_DATAGRAM, KIND_TCP

if TYPE_CHECKING:
    from knote.clock import Clock
    from knote.host import Host
    from knote.knote import Knote

_EINVAL = errno.EINVAL
# Linux wakes nobody when the last byte is acknowledged (S-161), so while some are under way it is looked at this
# often; a socket that is empty, or that nobody asks about, costs nothing.
_LOOK_AGAIN_NS = 5_000_000


class Empty(Filter):
    """TCP: nothing unsent and nothing unacknowledged (SIOCOUTQ).  What a UNIX or datagram socket is given is with
    its receiver at once, so it is always empty, as on FreeBSD (trace ss_empty_filter)."""

    __slots__ = ("_clock", "_open_clock", "_ready", "_resting")

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.id = EVFILT_EMPTY
        self.is_fd = True
        self._ready = host.ready
        self._resting = host.resting
        self._open_clock = host.open_clock
        self._clock: Clock | None = None

    def attach(self, kn: Knote) -> int:
        """Filter.attach()."""
        source = kn.source
        assert source is not None
        if not KIND_TCP <= source.kind <= KIND_DATAGRAM:
            return _EINVAL
        if self._clock is None:
            try:
                self._clock = self._open_clock(time.CLOCK_MONOTONIC, self)
            except OSError as error:
                return error.errno or _EINVAL
        kn.status |= SOFT
        return 0

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event()."""
        source = kn.source
        assert source is not None
        kn.fflags = 0
        kn.data = 0
        if not same(source.fd, source.identity):
            return -1
        if source.kind != KIND_TCP:
            return 1
        # A listening socket has no such count and counts as empty (S-160).
        n = unsent(source.fd)
        if n <= 0:
            return 1
        kn.data = n
        clock = self._clock
        assert clock is not None
        if kn.due <= 0:
            kn.due = clock.now() + _LOOK_AGAIN_NS
            clock.add(kn)
            clock.arm()
        return 0

    def detach(self, kn: Knote) -> None:
        """Filter.detach()."""
        if kn.due > 0 and self._clock is not None:
            kn.due = -1
            self._clock.forget()
            self._clock.arm()

    def drain(self, number: int) -> None:
        """Drain.drain(): time to look again."""
        clock = self._clock
        if clock is None:
            return
        clock.fired()
        now = clock.now()
        kn = clock.expired(now)
        while kn is not None:
            kn.due = -1
            if not kn.status & DISABLED:
                self._resting.remove(kn)
                self._ready.append(kn)
            kn = clock.expired(now)
        clock.arm()
