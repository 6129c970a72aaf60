# cython: annotation_typing=False
"""EVFILT_EMPTY: a socket has sent all that it was given.  See kqueue(2) on FreeBSD; spec S-159 ... S-161."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

from knote._kernel.fd import same, tcp_acked, tcp_idle_ms, tcp_state, unsent
from knote.constants import EV_CLEAR, EVFILT_EMPTY
from knote.filters.base import Filter
from knote.knote import DISABLED, SOFT
from knote.source import KIND_DATAGRAM, KIND_TCP

if TYPE_CHECKING:
    from knote.clock import Clock
    from knote.host import Host
    from knote.knote import Knote

_EINVAL = errno.EINVAL
_SYN_SENT = 2
_CLOSE = 7
# In place of a count of bytes: there is no connection.  That it is made and that it ends is news, once each.
_NONE = -2
# Linux wakes nobody when the last byte is acknowledged (S-161), so while some are under way it is looked at this
# often; a socket that is empty, or that nobody asks about, costs nothing.
_LOOK_AGAIN_NS = 5_000_000
# With EV_CLEAR an empty socket is looked at, too, since another thread may send while this one waits: the longer
# nothing was sent, the less often.
_LOOK_AT_LEAST_NS = 320_000_000


class Empty(Filter):
    """TCP: nothing unsent and nothing unacknowledged (SIOCOUTQ).  What a UNIX or datagram socket is given is with
    its receiver at once, so it is always empty, as on FreeBSD (trace ss_empty_filter).

    A connection that was reset, or given up, has thrown away what was under way, and Linux goes on to count it.
    FreeBSD's soisdisconnected() empties the buffer and wakes: EMPTY, with data 0 and no EV_EOF, which READ and
    WRITE tell."""

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
        kn.period = -1  # What was acknowledged when it was last returned.
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
        n = unsent(source.fd)
        if n == 0 and not kn.flags & EV_CLEAR:
            return 1
        state = tcp_state(source.fd)
        if n > 0 and state != _CLOSE:
            kn.data = n
            self._look_again(kn, _LOOK_AGAIN_NS)
            return 0
        if n < 0 or not kn.flags & EV_CLEAR:
            return 1  # A listening socket has no such count and counts as empty (S-160).
        # By edge: once for each time that it was given something, which is acknowledged by now (S-071).
        acked = tcp_acked(source.fd) if state != _CLOSE and state != _SYN_SENT else _NONE
        news = acked != kn.period
        kn.period = acked
        delay = tcp_idle_ms(source.fd) * 250_000
        self._look_again(kn, min(max(delay, _LOOK_AGAIN_NS), _LOOK_AT_LEAST_NS))
        if not news:
            return 0
        self._resting.append(kn)
        return 1

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch(): a change evaluates it afresh (S-073)."""
        kn.sfflags = fflags
        kn.sdata = data
        kn.period = -1
        return 0

    def _look_again(self, kn: Knote, delay: int) -> None:
        clock = self._clock
        assert clock is not None
        if kn.due <= 0:
            kn.due = clock.now() + delay
            clock.add(kn)
            clock.arm()

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
