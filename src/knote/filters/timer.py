# cython: annotation_typing=False
"""EVFILT_TIMER: any number of timers on one descriptor per clock.  See kqueue(2) on FreeBSD; spec 2.12."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

from knote.clock import Clock
from knote.constants import (
    EV_ADD,
    EV_CLEAR,
    EV_ONESHOT,
    EVFILT_TIMER,
    NEVER,
    NOTE_ABSTIME,
    NOTE_MSECONDS,
    NOTE_NSECONDS,
    NOTE_SECONDS,
    NOTE_USECONDS,
)
from knote.filters.base import Filter
from knote.knote import ACTIVE, DISABLED, SOFT

if TYPE_CHECKING:
    from knote.host import Host
    from knote.knote import Knote

_UNIT_NS = {
    0: 1_000_000,
    NOTE_SECONDS: 1_000_000_000,
    NOTE_MSECONDS: 1_000_000,
    NOTE_USECONDS: 1_000,
    NOTE_NSECONDS: 1,
}


class Timer(Filter):
    """Deadlines are arithmetic: a disabled or uncollected timer costs no wake-up and loses no count, since the
    expirations that it missed are (now - due) / period (S-254, S-469).

    Its clocks are CLOCK_MONOTONIC for periods and CLOCK_REALTIME for NOTE_ABSTIME, so that setting the system's
    time moves those along.
    """

    __slots__ = ("_monotonic", "_open_clock", "_ready", "_realtime")

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.id = EVFILT_TIMER
        self._ready = host.ready
        self._open_clock = host.open_clock
        self._monotonic: Clock | None = None
        self._realtime: Clock | None = None

    def _clock_of(self, fflags: int) -> Clock:
        if fflags & NOTE_ABSTIME:
            if self._realtime is None:
                self._realtime = self._open_clock(time.CLOCK_REALTIME, self)
            return self._realtime
        if self._monotonic is None:
            self._monotonic = self._open_clock(time.CLOCK_MONOTONIC, self)
        return self._monotonic

    def attach(self, kn: Knote) -> int:
        """Filter.attach()."""
        kn.status |= SOFT
        return self._schedule(kn, kn.sfflags, kn.sdata)

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch(): only EV_ADD starts it anew, and then what had expired is forgotten (S-250, S-251)."""
        return self._schedule(kn, fflags, data) if flags & EV_ADD else 0

    def _schedule(self, kn: Knote, fflags: int, data: int) -> int:
        unit = _UNIT_NS.get(fflags & ~NOTE_ABSTIME)
        if unit is None:
            return errno.EINVAL
        absolute = fflags & NOTE_ABSTIME
        if data < 0 and not absolute:
            return errno.EINVAL
        try:
            clock = self._clock_of(fflags)
        except OSError as error:
            return error.errno or errno.ENOMEM
        due = kn.due
        period = kn.period
        notes = kn.sfflags
        value = kn.sdata
        if kn.due > 0:
            self._clock_of(kn.sfflags).forget()
        kn.sfflags = fflags
        kn.sdata = data
        if absolute:
            kn.period = 0
            # 1 is long past and, unlike 0 and below, a deadline.
            kn.due = min(max(data * unit, 1), NEVER)
        else:
            # A periodic timer of 0 fires every unit (S-245); one shot of 0 at once.
            if data == 0 and not kn.flags & EV_ONESHOT:
                data = 1
            span = min(data * unit, NEVER)
            kn.period = 0 if kn.flags & EV_ONESHOT else span
            kn.due = min(clock.now() + span, NEVER)
            # Relative timers reset when they are returned; absolute ones stay until deleted (S-242).
            kn.flags |= EV_CLEAR
        clock.add(kn)
        rc = clock.arm()
        if rc < 0:
            # The deadline that it had, if it had one.
            clock.forget()
            kn.due = due
            kn.period = period
            kn.sfflags = notes
            kn.sdata = value
            if due > 0:
                self._clock_of(notes).add(kn)
            return -rc
        kn.status &= ~ACTIVE
        self._ready.remove(kn)
        return 0

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event(): data is how often it expired since it was last returned."""
        clock = self._clock_of(kn.sfflags)
        if kn.status & ACTIVE and not kn.period:
            kn.due = -1
            kn.data = 1
            return 1
        if kn.due <= 0 or kn.due == NEVER:
            return 0
        now = clock.now()
        if now < kn.due:
            return 0
        if not kn.period:
            kn.data = 1
            kn.due = -1
            # An absolute timer stays true; a relative one is over.
            if kn.sfflags & NOTE_ABSTIME:
                kn.status |= ACTIVE
            return 1
        missed = (now - kn.due) // kn.period
        kn.data = missed + 1
        # From the deadline that was due, not from now: no drift (S-249).
        kn.due = min(kn.due + (missed + 1) * kn.period, NEVER)
        kn.status &= ~ACTIVE
        clock.add(kn)
        clock.arm()
        return 1

    def detach(self, kn: Knote) -> None:
        """Filter.detach()."""
        if kn.due > 0:
            clock = self._clock_of(kn.sfflags)
            kn.due = -1
            clock.forget()
            clock.arm()

    def drain(self, number: int) -> None:
        """Drain.drain(): a clock's descriptor is readable."""
        for clock in (self._monotonic, self._realtime):
            if clock is not None and clock.fd == number:
                clock.fired()
                now = clock.now()
                kn = clock.expired(now)
                while kn is not None:
                    # Its entry is used up; while nobody collects it there is nothing to wake up for.
                    kn.status |= ACTIVE
                    if not kn.status & DISABLED:
                        self._ready.append(kn)
                    kn = clock.expired(now)
                clock.arm()
