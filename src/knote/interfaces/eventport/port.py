"""The port: what is associated and queued, retrieving, alert mode.  Sources know themselves."""

from __future__ import annotations

import errno
import time
from collections import deque
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from knote import EV_ADD, EV_CLEAR, EV_DELETE, EVFILT_USER, NOTE_TRIGGER, errors, kevent, kqueue
from knote.interfaces.eventport.descriptors import Descriptor
from knote.interfaces.eventport.files import File
from knote.interfaces.eventport.names import PORT_SOURCE_ALERT, PORT_SOURCE_USER, TimeExpired, port_event
from knote.interfaces.eventport.timers import Timer

if TYPE_CHECKING:
    from types import TracebackType

MAX_EVENTS: Final = 65536
"""How many may be queued by port_send(): Solaris' default of process.max-port-events."""

_TRIGGER: Final = "port_send()"
"""udata of the one knote that wakes for all that was sent."""

Source: TypeAlias = Descriptor | File | Timer
_Found: TypeAlias = tuple[port_event, Source | None]


class Port:
    """An event port.  Made by port_create().

    kqueue: the queue underneath; what else is registered there is not retrieved by the port, and lost to it.
    Threads: any may do anything at once; an event is retrieved by one.  In a forked child every operation raises
    OSError(EACCES), for the associations are the parent's (S-360).
    """

    __slots__ = ("_alert", "_closed", "_sent", "descriptors", "files", "kqueue", "lock", "timers")

    def __init__(self, *, engine: str | None = None) -> None:
        self._closed = True
        self.files: dict[int, File] = {}
        self.kqueue = kqueue(engine=engine)
        self._closed = False
        # Reentrant: a signal handler, or a finalizer of what was associated, may send and associate.
        self.lock = RLock()
        self.descriptors: dict[int, Descriptor] = {}
        self.timers: dict[int, Timer] = {}
        self._sent: deque[port_event | Source] = deque()
        """What no kevent stands for: users' events, and sources that were ready when they were associated or were
        retrieved for nobody.  They are judged when they are retrieved."""
        self._alert: port_event | None = None

    # ---- the queue below -----------------------------------------------------------------------------------

    def control(self, changes: list[kevent] | None, room: int = 0, seconds: float | None = 0) -> list[kevent]:
        """kqueue.control(), with a port's errors."""
        try:
            return self.kqueue.control(changes, room, seconds)
        except ValueError:
            self.check()
            raise

    def check(self) -> None:
        """Raise OSError: EBADF when closed, EACCES in a forked child."""
        if self._closed:
            raise errors.os_error(errno.EBADF, "the port is closed")
        if self.kqueue.closed:
            if self._closed:
                raise errors.os_error(errno.EBADF, "the port is closed")
            raise errors.os_error(errno.EACCES, "this port was made by the process that forked this one")

    def _wake(self) -> None:
        self.control([kevent(0, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, _TRIGGER)])

    def queue(self, source: Source) -> None:
        """It is ready, and no kevent says so."""
        self._sent.append(source)
        self._wake()

    # ---- sending -------------------------------------------------------------------------------------------

    def send(self, events: int, user: Any) -> None:
        """port_send(3C)."""
        self.check()
        if len(self._sent) >= MAX_EVENTS:
            raise errors.os_error(
                errno.EAGAIN, f"{MAX_EVENTS} events are queued on this port: retrieve some before sending more"
            )
        self._sent.append(port_event(events, PORT_SOURCE_USER, None, user))
        self._wake()

    def alert(self, event: port_event | None, update: bool) -> None:
        """Begin, change or end alert mode."""
        self.check()
        with self.lock:
            if self._alert is not None and event is not None and not update:
                raise errors.os_error(errno.EBUSY, "the port is in alert mode; PORT_ALERT_UPDATE replaces it")
            before, self._alert = self._alert, event
            if event is not None:
                self._wake()
            elif before is not None:
                # The one trigger stands for alert and events alike; nobody may be told of what is over.
                user = kevent(0, EVFILT_USER, EV_DELETE)
                self.control([user, kevent(0, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, _TRIGGER)])
                if self._sent:
                    self._wake()

    # ---- associating ---------------------------------------------------------------------------------------

    def associate(self, source: Descriptor | File) -> None:
        """port_associate(3C)."""
        self.check()
        with self.lock:
            source.associate(self)

    def dissociate(self, source: Descriptor | File | None, what: str) -> None:
        """port_dissociate(3C): None is not there."""
        self.check()
        with self.lock:
            if source is None or not source.dissociate(self):
                raise errors.os_error(errno.ENOENT, f"{what} is not associated with this port")

    # ---- retrieving ----------------------------------------------------------------------------------------

    def get(self, seconds: float | None) -> port_event:
        """port_get(3C)."""
        found = self._wait(1, _deadline(seconds))
        if not found:
            raise TimeExpired([])
        return found[0][0]

    def getn(self, most: int, least: int, seconds: float | None) -> tuple[list[port_event], int]:
        """port_getn(3C)."""
        deadline = _deadline(seconds)
        if most < 0 or least < 0 or (most and least > most):
            raise errors.os_error(errno.EINVAL, f"max {most}, nget {least}")
        if not most:
            return [], self._available()
        if not least:
            deadline = 0.0
        found: list[_Found] = []
        try:
            while True:
                more = self._wait(most - len(found), deadline)
                if more and more[0][0].portev_source == PORT_SOURCE_ALERT:
                    self._give_back(found)
                    found = more
                    break
                found += more
                if len(found) >= least:
                    break
                if not more:
                    raise TimeExpired([event for event, _ in found])
        except TimeExpired:
            raise
        except BaseException:
            # Nobody gets them: a signal's handler raised.
            if not self._closed:
                self._give_back(found)
            raise
        events = [event for event, _ in found]
        return events, len(events)

    def _available(self) -> int:
        self.check()
        if self._alert is not None:
            return 1
        with self.lock:
            room = 3 * len(self.descriptors) + len(self.files) + len(self.timers) + len(self._sent) + 1
            found = self._judged(self.control(None, room, 0), room)
            self._give_back(found)
            return len(found)

    def _wait(self, room: int, deadline: float | None) -> list[_Found]:
        """One or more; [] when the time is up.  deadline: of time.monotonic(), 0 polls, None waits for ever."""
        self.check()
        while True:
            if self._alert is not None:
                return [(self._alert, None)]
            seconds = deadline if not deadline else max(deadline - time.monotonic(), 0)
            events = self.control(None, room, seconds)
            if not events:
                if deadline is not None and (not deadline or time.monotonic() >= deadline):
                    return []
                continue
            found = self._judged(events, room)
            if found:
                return found

    def _judged(self, events: list[kevent], room: int) -> list[_Found]:
        found: list[_Found] = []
        with self.lock:
            woken = False
            for event in events:
                source = event.udata
                if source is _TRIGGER:
                    woken = True
                elif isinstance(source, (Descriptor, File, Timer)):
                    made = source.judge(self, event)
                    if made is not None:
                        found.append((made, source))
            while woken and self._sent and len(found) < room and self._alert is None:
                sent = self._sent.popleft()
                if isinstance(sent, port_event):
                    found.append((sent, None))
                    continue
                made = sent.judge(self, None)
                if made is not None:
                    found.append((made, sent))
            if self._alert is not None:
                self._give_back(found)
                found = [(self._alert, None)]
                woken = True
            if woken and (self._sent or self._alert is not None):
                self._wake()  # the edge is gone, and others wait for the rest
        return found

    def _give_back(self, found: list[_Found]) -> None:
        """Retrieved for nobody: each is there again, users' events in their order."""
        with self.lock:
            for event, source in reversed(found):
                if source is not None:
                    source.give_back(self, event)
                elif event.portev_source == PORT_SOURCE_USER:
                    self._sent.appendleft(event)
            if self._sent:
                self._wake()

    # ---- the object ----------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """Polls readable while something could be retrieved.  Raises OSError(EBADF) when closed."""
        self.check()
        return self.kqueue.fileno()

    @property
    def closed(self) -> bool:
        """True after close()."""
        return self._closed

    def close(self) -> None:
        """Give the descriptors back.  Who waits gets OSError(EBADF) (S-374).  Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.kqueue.close()
        files = list(self.files.values())
        self.files.clear()
        for file in files:
            file.close()
        self._sent.clear()
        self.descriptors.clear()
        self.timers.clear()

    def __del__(self) -> None:
        for file in self.files.values():
            file.close()

    def __enter__(self) -> Port:
        self.check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<knote.eventport.Port closed>" if self._closed else f"<knote.eventport.Port {self.kqueue!r}>"


def _deadline(seconds: float | None) -> float | None:
    if seconds is None:
        return None
    if not seconds >= 0:
        raise errors.os_error(errno.EINVAL, f"timeout {seconds}: seconds, 0 to poll, None to wait for ever")
    return time.monotonic() + seconds if seconds else 0.0
