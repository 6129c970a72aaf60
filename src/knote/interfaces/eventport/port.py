# cython: annotation_typing=False
"""The port: what is associated and queued, retrieving, alert mode.  Sources know themselves."""

from __future__ import annotations

import errno
import time
from collections import deque
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_EOF, EVFILT_USER, NOTE_TRIGGER, errors, kevent, kqueue
from knote.interfaces.eventport.descriptors import Descriptor, descriptor
from knote.interfaces.eventport.names import (
    PORT_SOURCE_ALERT,
    PORT_SOURCE_FD,
    PORT_SOURCE_USER,
    TimeExpired,
    port_event,
)
from knote.interfaces.eventport.source import Source

if TYPE_CHECKING:
    from types import TracebackType

    from knote.interfaces.eventport.files import File
    from knote.interfaces.eventport.timers import Timer

MAX_EVENTS: Final = 65536
"""How many may be queued by port_send(): Solaris' default of process.max-port-events."""

_TRIGGER: Final = "port_send()"
"""udata of the one knote that wakes for all that was sent."""

_new_tuple: Final[Any] = tuple.__new__
"""A port_event by this costs a third of port_event()."""


class Found:
    """What a call retrieves: events, and the source of each, None of one that was sent."""

    __slots__ = ("count", "events", "sources")

    def __init__(self) -> None:
        self.events: list[port_event] = []
        self.sources: list[Source | None] = []
        self.count = 0

    def put(self, event: port_event, source: Source | None) -> None:
        """One more."""
        self.events.append(event)
        self.sources.append(source)
        self.count += 1


class Port:
    """An event port.  Made by port_create().

    kqueue: the queue underneath; what else is registered there is not retrieved by the port, and lost to it.
    Threads: any may do anything at once; an event is retrieved by one.  In a forked child every operation raises
    OSError(EACCES), for the associations are the parent's (S-360).
    """

    __slots__ = (
        "_acquire", "_alert", "_closed", "_control", "_release", "_sent", "descriptors", "files", "idle", "kqueue",
        "lock", "timers",
    )  # fmt: skip

    def __init__(self, *, engine: str | None = None) -> None:
        self._closed = True
        self.files: dict[int, File] = {}
        self.kqueue = kqueue(engine=engine)
        self._control = self.kqueue.control
        self._closed = False
        # Reentrant: a signal handler, or a finalizer of what was associated, may send and associate.
        self.lock = RLock()
        self._acquire = self.lock.acquire
        self._release = self.lock.release
        self.descriptors: dict[int, Descriptor] = {}
        self.idle: dict[int, Descriptor] = {}
        """Retrieved, by number: for the next association of the same kind.  In one of the two dicts at most."""
        self.timers: dict[int, Timer] = {}
        self._sent: deque[port_event | Source] = deque()
        """What no kevent stands for: users' events, and sources that were ready when they were associated or were
        retrieved for nobody.  They are judged when they are retrieved."""
        self._alert: port_event | None = None

    # ---- the queue below -----------------------------------------------------------------------------------

    def control(self, changes: list[kevent] | None, room: int = 0, seconds: float | None = 0) -> list[kevent]:
        """kqueue.control(), with a port's errors."""
        try:
            events: list[kevent] = self._control(changes, room, seconds)
            return events
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

    def send(self, event: port_event) -> None:
        """port_send(3C)."""
        self.check()
        if len(self._sent) >= MAX_EVENTS:
            raise errors.os_error(
                errno.EAGAIN, f"{MAX_EVENTS} events are queued on this port: retrieve some before sending more"
            )
        self._sent.append(event)
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

    def associate_number(self, number: int, events: int, user: Any) -> None:
        """port_associate(3C) of a descriptor: what was retrieved is, most often, associated again as it was."""
        self._acquire()
        try:
            record = self.idle.pop(number, None)
            if record is not None and record.events == events:
                record.user = user
                self.descriptors[number] = record
                try:
                    self._control(record.changes, 0, 0)
                    return
                except (OSError, ValueError):
                    # Closed, by now, or another kind of file: as if for the first time.
                    del self.descriptors[number]
                    record.user = None
            self.check()
            descriptor(number, events, user).associate(self)
        finally:
            self._release()

    def associate(self, source: Source) -> None:
        """port_associate(3C)."""
        self.check()
        with self.lock:
            source.associate(self)  # type: ignore[attr-defined]

    def dissociate(self, sources: dict[int, Any], key: int, what: str) -> None:
        """port_dissociate(3C), of what descriptors or files have under that key."""
        self.check()
        with self.lock:
            source = sources.get(key)
            if source is None or not source.dissociate(self):
                raise errors.os_error(errno.ENOENT, f"{what} is not associated with this port")

    # ---- retrieving ----------------------------------------------------------------------------------------

    def get(self, seconds: float | None) -> port_event:
        """port_get(3C)."""
        found = Found()
        if not self._wait(1, _deadline(seconds), found):
            raise TimeExpired([])
        return found.events[0]

    def getn(self, most: int, least: int, seconds: float | None) -> tuple[list[port_event], int]:
        """port_getn(3C)."""
        deadline = _deadline(seconds)
        if most < 0 or least < 0 or (most and least > most):
            raise errors.os_error(errno.EINVAL, f"max {most}, nget {least}: nget is 0 to max")
        if not most:
            return [], self._available()
        if not least:
            deadline = 0.0
        found = Found()
        try:
            while True:
                had = found.count
                self._wait(most - had, deadline, found)
                if found.count >= least or (found.count and found.events[0].portev_source == PORT_SOURCE_ALERT):
                    break
                if found.count == had:
                    raise TimeExpired(found.events)
        except TimeExpired:
            raise
        except BaseException:
            # Nobody gets them: a signal's handler raised.
            if not self._closed:
                self._give_back(found)
            raise
        return found.events, found.count

    def _available(self) -> int:
        self.check()
        if self._alert is not None:
            return 1
        with self.lock:
            room = len(self.kqueue.knotes()) + len(self._sent) + 1
            found = Found()
            self._judge(self.control(None, room, 0), room, found)
            count = found.count
            self._give_back(found)
            return count

    def _wait(self, room: int, deadline: float | None, found: Found) -> bool:
        """One or more are put into found; False when the time is up.  An alert takes the place of all.

        deadline: of time.monotonic(), 0 polls, None waits for ever.
        """
        while True:
            if self._alert is not None:
                self.check()
                return self._judge([], room, found)
            seconds = deadline if not deadline else max(deadline - time.monotonic(), 0)
            events = self.control(None, room, seconds)
            if not events:
                if deadline is not None and (not deadline or time.monotonic() >= deadline):
                    return False
                continue
            if self._judge(events, room, found):
                return True

    def _judge(self, events: list[kevent], room: int, found: Found) -> bool:
        before = found.count
        self._acquire()
        try:
            woken = False
            for event in events:
                source = event.udata
                if isinstance(source, Descriptor):
                    record = source
                    if record.plain and not event.flags & EV_EOF:
                        # It has one knote, and that says what poll(2) would.
                        number = record.fd
                        if self.descriptors.get(number) is record:
                            del self.descriptors[number]
                            self.idle[number] = record
                            fields = (record.plain, PORT_SOURCE_FD, number, record.user)
                            record.user = None
                            found.put(_new_tuple(port_event, fields), record)
                        continue
                if source is _TRIGGER:
                    woken = True
                elif isinstance(source, Source):
                    made = source.judge(self, event)
                    if made is not None:
                        found.put(made, source)
            while woken and self._sent and found.count - before < room and self._alert is None:
                sent = self._sent.popleft()
                if not isinstance(sent, Source):
                    found.put(sent, None)
                    continue
                made = sent.judge(self, None)
                if made is not None:
                    found.put(made, sent)
            if self._alert is not None:
                self._give_back(found)
                found.put(self._alert, None)
                before = 0
                woken = True
            if woken and (self._sent or self._alert is not None):
                self._wake()  # the edge is gone, and others wait for the rest
        finally:
            self._release()
        return found.count > before

    def _give_back(self, found: Found) -> None:
        """Retrieved for nobody: each is there again, users' events in their order."""
        with self.lock:
            for i in range(found.count - 1, -1, -1):
                event = found.events[i]
                source = found.sources[i]
                if source is not None:
                    source.give_back(self, event)
                elif event.portev_source == PORT_SOURCE_USER:
                    self._sent.appendleft(event)
            found.events = []
            found.sources = []
            found.count = 0
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
        self.idle.clear()
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
