# cython: annotation_typing=False
"""EVFILT_SIGNAL: a signal was sent to this process.  See kqueue(2) on FreeBSD; spec 2.11, 6.6."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote import signals
from knote._kernel.signal import Bell, Peek, blocked, count, pending, settled
from knote.constants import EV_CLEAR, EVFILT_SIGNAL
from knote.filters.base import Filter
from knote.knote import ACTIVE, DISABLED, SOFT

if TYPE_CHECKING:
    from knote.host import Host
    from knote.knote import Knote

_EINVAL = errno.EINVAL
_LAST = 64


class Signal(Filter):
    """Two witnesses, neither of which takes a signal from anybody (S-227).

    What is delivered is counted by the handler in front of the program's (knote.signals); kn.period is the count
    up to which the knote was told.  What is blocked is seen to be pending, by a signalfd that is never read: that
    is told at once and ahead of the count, which reaches kn.period when the signal is unblocked and delivered at
    last, or never if somebody takes it with sigwait(3).
    """

    __slots__ = ("_bell", "_knotes", "_mask", "_own", "_peek", "_ready", "_resting")

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.id = EVFILT_SIGNAL
        self.forced = EV_CLEAR
        self._ready = host.ready
        self._resting = host.resting
        self._own = host.own
        self._bell: Bell | None = None
        self._peek: Peek | None = None
        self._mask = 0
        """What the peek watches: bit n - 1 for signal n."""
        self._knotes: dict[int, Knote] = {}

    def attach(self, kn: Knote) -> int:
        """Filter.attach().  A number that is no signal's is refused, which FreeBSD does not (S-223)."""
        if not 0 < kn.ident <= _LAST:
            return _EINVAL
        number = kn.ident
        if self._bell is None:
            bell = Bell()
            if bell.fd < 0:
                return -bell.fd
            rc = self._own(bell.fd, self)
            if rc < 0:
                bell.close()
                return -rc
            self._bell = bell
        rc = signals.subscribe(self._bell, number)
        if rc:
            return rc
        if blocked(number):
            rc = self._watch_pending(number)
            if rc < 0:
                signals.unsubscribe(self._bell, number)
                return -rc
        kn.status |= SOFT
        # What is pending already was sent before (S-230).
        kn.period = count(number) + (1 if pending(number) else 0)
        self._knotes[number] = kn
        self._resting.append(kn)
        return 0

    def _watch_pending(self, number: int) -> int:
        """0 or -errno."""
        bit = 1 << (number - 1)
        if self._mask & bit:
            return 0
        if self._peek is None:
            peek = Peek()
            if peek.fd < 0:
                return peek.fd
            rc = self._own(peek.fd, self)
            if rc < 0:
                peek.close()
                return rc
            self._peek = peek
        rc = self._peek.watch(self._mask | bit)
        if rc == 0:
            self._mask |= bit
            # Another mask makes it readable, news or not: of the others only those are news that were not told.
            if self._peek.lower():
                for kn in self._knotes.values():
                    if pending(kn.ident) and count(kn.ident) >= kn.period:
                        self._activate(kn)
        return rc

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch(): nothing to take; a knote that is enabled is asked again (S-233)."""
        self._resting.remove(kn)
        self._ready.append(kn)
        return 0

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event(): data is how often it came since it was last returned (S-224)."""
        number = kn.ident
        # Asked at each call: the program may have replaced the handler, or blocked the signal.
        if not settled(number) or signals.unturned:
            signals.keep(number)
        if blocked(number):
            self._watch_pending(number)
        if self._peek is not None:
            # What it has to say was true before this look; said afterwards it would be told twice.
            self._notice()
            self._ready.remove(kn)
        noticed = kn.status & ACTIVE != 0
        kn.status &= ~ACTIVE
        self._resting.append(kn)
        total = count(number)
        if total > kn.period:
            kn.data = total - kn.period
            kn.period = total
            return 1
        if pending(number):
            # The first look that finds it, or word of another one; how many it is cannot be seen (S-456).
            if total == kn.period or noticed:
                kn.data = 1
                kn.period += 1
                return 1
            return 0
        # Told ahead, and taken by somebody else, or delivered.
        kn.period = total
        return 0

    def detach(self, kn: Knote) -> None:
        """Filter.detach()."""
        number = kn.ident
        if number in self._knotes and self._knotes[number] is kn and self._bell is not None:
            del self._knotes[number]
            signals.unsubscribe(self._bell, number)
            if self._mask >> (number - 1) & 1 and self._peek is not None:
                self._mask &= ~(1 << (number - 1))
                self._peek.watch(self._mask)

    def drain(self, number: int) -> None:
        """Drain.drain(): the handler has counted, or a signal became pending."""
        bell = self._bell
        if bell is None or bell.fd != number:
            self._notice()
            return
        bell.lower()
        for kn in self._knotes.values():
            if count(kn.ident) > kn.period:
                self._activate(kn)

    def _notice(self) -> None:
        peek = self._peek
        if peek is not None and peek.lower():
            for kn in self._knotes.values():
                if pending(kn.ident):
                    self._activate(kn)

    def _activate(self, kn: Knote) -> None:
        kn.status |= ACTIVE
        if not kn.status & DISABLED:
            self._resting.remove(kn)
            self._ready.append(kn)

    def close(self) -> None:
        """Filter.close()."""
        if self._bell is not None:
            self._bell.close()
        if self._peek is not None:
            self._peek.close()
