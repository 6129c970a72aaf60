# cython: annotation_typing=False
"""EVFILT_SIGNAL: a signal was sent to this process.  See kqueue(2) on FreeBSD; spec 2.11, 6.6."""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING

from knote import signals
from knote._kernel.signal import Bell, Peek, count, pending, settled
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

    What is delivered is counted by the handler in front of the program's (knote.signals), which raises the bell;
    kn.period is the count up to which the knote was told.  What is blocked is seen to be pending, by a signalfd
    that is never read.  That is told ahead of the count: kn.period is larger then, until the signal is unblocked
    and counted, or taken by somebody's sigwait(3).
    """

    __slots__ = ("_bell", "_knotes", "_mask", "_own", "_peek", "_ready", "_remasked", "_resting")

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
        self._remasked = False
        """The peek's next word may be about its mask, and not about signals."""
        self._knotes: dict[int, Knote] = {}

    def attach(self, kn: Knote) -> int:
        """Filter.attach().  A number that is no signal's is refused, which FreeBSD does not (S-223)."""
        if not 0 < kn.ident <= _LAST:
            return _EINVAL
        number = kn.ident
        rc = self._open()
        if rc < 0:
            return -rc
        assert self._bell is not None
        rc = signals.subscribe(self._bell, number)
        if rc:
            return rc
        kn.status |= SOFT
        # What is pending already was sent before, and not to this knote (S-230).
        kn.period = count(number) + (1 if pending(number) else 0)
        self._knotes[number] = kn
        bit = 1
        self._watch(self._mask | bit << (number - 1))
        # Asked at the next call, whether something has to be asked at each.
        self._resting.append(kn)
        return 0

    def _open(self) -> int:
        """Have a bell and a peek; 0 or -errno."""
        if self._bell is None:
            bell = Bell()
            rc = bell.fd if bell.fd < 0 else self._own(bell.fd, self)
            if rc < 0:
                bell.close()
                return rc
            self._bell = bell
        if self._peek is None:
            peek = Peek()
            rc = peek.fd if peek.fd < 0 else self._own(peek.fd, self, True)
            if rc < 0:
                peek.close()
                return rc
            self._peek = peek
        return 0

    def _watch(self, mask: int) -> None:
        # A new mask wakes who watches the signalfd, and what was told ahead already is no news.
        self._mask = mask
        for kn in self._knotes.values():
            if kn.period > count(kn.ident):
                self._remasked = True
        if self._peek is not None:
            self._peek.watch(mask)  # another mask of an open signalfd needs nothing that could be refused

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch(): nothing to take; the knote is asked again (S-233)."""
        self._resting.remove(kn)
        self._ready.append(kn)
        return 0

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event(): data is how often it came since it was last returned (S-224)."""
        number = kn.ident
        if not settled(number) or (signals.unturned and "subprocess" in sys.modules):
            signals.keep(number)
        if signals.unturned:
            self._resting.append(kn)
        noticed = kn.status & ACTIVE != 0
        kn.status &= ~ACTIVE
        total = count(number)
        kn.data = max(total - kn.period, 0)
        kn.period = max(total, kn.period)
        if kn.period > total or noticed:
            if pending(number):
                if noticed:
                    # How many they are cannot be seen (S-456).
                    kn.data += 1
                    kn.period += 1
                # Asked at each call, until it is delivered or taken.
                self._resting.append(kn)
            else:
                kn.period = total
        return 1 if kn.data else 0

    def detach(self, kn: Knote) -> None:
        """Filter.detach()."""
        number = kn.ident
        assert self._bell is not None
        del self._knotes[number]
        signals.unsubscribe(self._bell, number)
        bit = 1
        self._watch(self._mask & ~(bit << (number - 1)))

    def drain(self, number: int) -> None:
        """Drain.drain(): the handler has counted, or a signal became pending."""
        bell = self._bell
        assert bell is not None
        if bell.fd == number:
            bell.lower()
            for kn in self._knotes.values():
                if count(kn.ident) > kn.period:
                    self._activate(kn)
            return
        news = not self._remasked
        self._remasked = False
        for kn in self._knotes.values():
            if pending(kn.ident) and (news or kn.period <= count(kn.ident)):
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
