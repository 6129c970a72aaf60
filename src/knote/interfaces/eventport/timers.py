"""PORT_SOURCE_TIMER: timer_create(3C) with SIGEV_PORT (spec S-372)."""

from __future__ import annotations

import errno
import itertools
import math
import time
from typing import TYPE_CHECKING, Any, Final

import knote
from knote import EV_ADD, EV_DELETE, EV_ONESHOT, EVFILT_TIMER, errors, kevent
from knote.interfaces.eventport.names import PORT_SOURCE_TIMER, port_event
from knote.interfaces.eventport.source import Source

if TYPE_CHECKING:
    from knote.interfaces.eventport.port import Port

_ids: Final = itertools.count(1)

# Not every BSD has these.  Without the first an expiry is a little late; without the second a clock that is set
# forward is noticed when the time that was left has passed.
_NSECONDS: Final[int] = getattr(knote, "NOTE_NSECONDS", 0)
_ABSTIME: Final[int] = getattr(knote, "NOTE_ABSTIME", 0)


class Timer(Source):
    """A timer of a port's.  portev_events is how often it expired since it was last retrieved.

    The queue has a one-shot for the next expiry only: what was missed is arithmetic, and an interval that nobody
    retrieves costs no wake-up.  Threads: any may set it.
    """

    __slots__ = ("_clock", "_due", "_interval", "_owed", "_port", "_reckoned", "number", "user")

    def __init__(self, port: Port, clock: int, user: Any) -> None:
        if clock not in (time.CLOCK_MONOTONIC, time.CLOCK_REALTIME):
            raise errors.os_error(errno.EINVAL, f"clock {clock}: CLOCK_MONOTONIC or CLOCK_REALTIME")
        self._port = port
        self._clock = clock
        self._reckoned: int = time.CLOCK_MONOTONIC
        """The clock that _due is of."""
        self.user = user
        self.number = next(_ids)
        self._due = 0
        self._interval = 0
        self._owed = 0
        with port.lock:
            port.check()
            port.timers[self.number] = self

    def settime(self, value: float, interval: float = 0, *, absolute: bool = False) -> None:
        """timer_settime(3C): expire in value seconds (absolute: at that time of the clock), then every interval.

        0 disarms.  Expirations that were not retrieved are forgotten.  Raises OSError(EINVAL) for negative times
        or a deleted timer.
        """
        if not (0 <= value < math.inf and 0 <= interval < math.inf):
            raise errors.os_error(errno.EINVAL, f"value {value}, interval {interval}")
        port = self._port
        with port.lock:
            self._check()
            self._owed = self._due = 0
            self._interval = round(interval * 1_000_000_000)
            if value == 0:
                self._disarm()
                return
            nanoseconds = max(round(value * 1_000_000_000), 1)
            # Setting the system's time moves what was set by that clock, and no interval.
            self._reckoned = self._clock if absolute else time.CLOCK_MONOTONIC
            self._due = nanoseconds if absolute else time.monotonic_ns() + nanoseconds
            self._arm()

    def gettime(self) -> tuple[float, float]:
        """timer_gettime(3C): seconds until the next expiry, 0 when disarmed, and the interval."""
        with self._port.lock:
            self._check()
            left = max(self._due - time.clock_gettime_ns(self._reckoned), 1) if self._due else 0
            return left / 1e9, self._interval / 1e9

    def delete(self) -> None:
        """timer_delete(3C)."""
        with self._port.lock:
            self._check()
            self._disarm()
            del self._port.timers[self.number]

    def _check(self) -> None:
        self._port.check()
        if self._port.timers.get(self.number) is not self:
            raise errors.os_error(errno.EINVAL, "this timer was deleted")

    def _arm(self) -> None:
        notes, data = _NSECONDS, self._due
        if self._reckoned == time.CLOCK_REALTIME and _ABSTIME:
            notes |= _ABSTIME
        else:
            data = max(data - time.clock_gettime_ns(self._reckoned), 1)
            if not _NSECONDS:
                data = (data + 999_999) // 1_000_000
        self._port.control([kevent(self.number, EVFILT_TIMER, EV_ADD | EV_ONESHOT, notes, data, self)])

    def _disarm(self) -> None:
        try:
            self._port.control([kevent(self.number, EVFILT_TIMER, EV_DELETE)])
        except FileNotFoundError:
            pass

    def __repr__(self) -> str:
        return f"<knote.eventport.Timer {self.number}>"

    # Each of these is called under the port's lock.

    def judge(self, port: Port, event: kevent | None) -> port_event | None:
        """The expirations since it was last retrieved."""
        if port.timers.get(self.number) is not self:
            return None
        count, self._owed = self._owed, 0
        late = time.clock_gettime_ns(self._reckoned) - self._due if self._due else -1
        if late >= 0:
            expired = 1 + (late // self._interval if self._interval else 0)
            count += expired
            self._due = self._due + expired * self._interval if self._interval else 0
            if self._due:
                self._arm()
        elif self._due and event is not None:
            self._arm()  # the clock was set back, or is read more exactly than the queue's
        return port_event(count, PORT_SOURCE_TIMER, self, self.user) if count else None

    def give_back(self, port: Port, event: port_event) -> None:
        """It was retrieved for nobody: owed."""
        self._owed += event.portev_events
        port.queue(self)
