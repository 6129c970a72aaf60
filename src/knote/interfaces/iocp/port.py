# cython: annotation_typing=False
"""The completion port: packets, who waits for them, which handles report to it."""

from __future__ import annotations

import errno
import math
import os
import stat
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from knote import EV_ADD, EV_CLEAR, EVFILT_AIO, EVFILT_USER, NOTE_TRIGGER, aio, kevent, kqueue
from knote.interfaces.iocp.winerror import (
    ERROR_ABANDONED_WAIT_0,
    ERROR_INVALID_HANDLE,
    ERROR_INVALID_PARAMETER,
    failure,
)

if TYPE_CHECKING:
    from knote.interfaces.iocp.overlapped import Overlapped

INFINITE: Final = 0xFFFFFFFF
"""A timeout in milliseconds that never ends."""
MANY: Final = 256
"""Packets that one system call takes out at most."""

Packet = tuple[int, int, int, int]
"""(error, bytes transferred, completion key, address of the Overlapped)."""


class Handle(NamedTuple):
    """What a descriptor was associated with, and what it was then."""

    port: Port
    key: int
    file: tuple[int, int] | None
    """Its device and inode, where these are its alone: sockets and pipes."""


class Port:
    """A completion port over one kqueue: requests of knote.aio, waits for handles, posted packets.

    handle: the kqueue's descriptor.  Threads: any may do anything at once; a packet goes to one of them.  In a
    forked child it is closed, as the kqueue is.
    """

    __slots__ = ("__weakref__", "_later", "_packets", "_waiting", "handle", "kqueue", "pending", "waits")

    def __init__(self, *, engine: str | None = None) -> None:
        self.kqueue = kqueue(engine=engine)
        self.handle = self.kqueue.fileno()
        self._packets: deque[Packet] = deque()
        self._later: deque[Any] = deque()
        """Requests that are begun with the next one, or when somebody waits."""
        self._waiting: list[None] = []
        """As long as there are threads in a wait: lists grow and shrink without a lock."""
        self.pending: dict[Overlapped, None] = {}
        """What is under way, in order of its beginning."""
        self.waits: dict[int, Any] = {}
        """RegisterWaitWithQueue()'s, by their handle."""

    def close(self) -> None:
        """Cancel what is under way, wait for what cannot be, end all waits with ERROR_ABANDONED_WAIT_0."""
        self.kqueue.close()
        self.pending.clear()
        self.waits.clear()
        self._packets.clear()

    def start(self, request: Any, later: bool) -> None:
        """Begin a request; later: what waits for a peer anyway may begin with the next one, in one system call, if
        nobody waits who would have to be told."""
        if later:
            # As with packets: whoever puts off looks for waiters after, whoever waits for what was put off.
            self._later.append(request)
            if self._waiting:
                self.begin()
        elif not self._later:
            aio.submit(self.kqueue, [request])
        else:
            requests = self._taken()
            try:
                aio.submit(self.kqueue, [*requests, request])
            except Exception:
                self._one_by_one(requests)
                aio.submit(self.kqueue, [request])

    def begin(self) -> None:
        """Begin what was put off."""
        requests = self._taken()
        if requests:
            try:
                aio.submit(self.kqueue, requests)
            except Exception:
                self._one_by_one(requests)

    def _taken(self) -> list[Any]:
        requests = []
        later = self._later
        while later:
            try:
                requests.append(later.popleft())
            except IndexError:  # another thread was faster
                break
        return requests

    def _one_by_one(self, requests: list[Any]) -> None:
        """They were refused together: those that are refused alone have failed, the others begin."""
        for request in requests:
            try:
                aio.submit(self.kqueue, [request])
            except Exception as error:
                request.udata.advance(-(getattr(error, "errno", None) or errno.EFAULT))

    def cancel(self, handle: int) -> int:
        """Cancel all operations of a handle; how many."""
        found = [one for one in list(self.pending) if one.handle == handle]
        for one in found:
            one.cancel()
        return len(found)

    def post(self, packet: Packet) -> None:
        """Queue a packet.  A signal handler may."""
        self._packets.append(packet)
        if self._waiting:
            self.wake()

    def wake(self) -> None:
        """Have whoever waits, or polls the descriptor, look."""
        self.kqueue.control([kevent(0, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER)], 0, 0)

    def get(self, milliseconds: int) -> Packet | None:
        """The next packet; None when the time is up."""
        packets = self._packets
        # Whoever waits is counted before it looks, and whoever posts looks at the count after: one sees the other.
        self._waiting.append(None)
        try:
            if not packets:
                self._fill(milliseconds)
            return packets.popleft()
        except IndexError:
            return None
        finally:
            self._waiting.pop()
            if packets and self._waiting:
                self.wake()

    def get_many(self, count: int, milliseconds: int) -> list[Packet]:
        """One to count packets, or none when the time is up."""
        first = self.get(milliseconds)
        found = [] if first is None else [first]
        while first is not None and len(found) < count:
            first = self.get(0)
            if first is not None:
                found.append(first)
        return found

    def _fill(self, milliseconds: int) -> None:
        deadline = time.monotonic() + milliseconds / 1000.0 if 0 < milliseconds < INFINITE else math.inf
        seconds: float | None = None if milliseconds >= INFINITE else milliseconds / 1000.0
        while True:
            some = self.pump(seconds)
            if self._packets or not (some or seconds is None):
                return
            # What came was a step of an operation that goes on, or a wake-up whose packet another thread took.
            if seconds:
                seconds = max(0.0, deadline - time.monotonic())

    def pump(self, seconds: float | None) -> bool:
        """Wait for what the kqueue has, and make packets of it; whether there was anything."""
        if self._later:
            self.begin()
        try:
            events = self.kqueue.control(None, MANY, seconds)
        except (OSError, ValueError) as error:
            if not self.kqueue.closed:
                raise
            raise failure(ERROR_ABANDONED_WAIT_0, f"completion port {self.handle}") from error
        for event in events:
            if event.filter == EVFILT_AIO:
                event.udata.advance(event.data)
            elif event.filter != EVFILT_USER:
                event.udata.fire(event)
        return bool(events)


_ports: dict[int, Port] = {}
_handles: dict[int, Handle] = {}


def port_of(handle: int) -> Port:
    """The port of this handle.  Raises OSError(ERROR_INVALID_HANDLE)."""
    port = _ports.get(handle)
    if port is None or port.kqueue.closed:
        raise failure(ERROR_INVALID_HANDLE, f"handle {handle} is no completion port")
    return port


def association(handle: int) -> Handle | None:
    """What a descriptor was associated with, if its port still lives."""
    found = _handles.get(handle)
    return None if found is None or found.port.kqueue.closed else found


def create(*, engine: str | None = None) -> Port:
    """A new port."""
    port = Port(engine=engine)
    _ports[port.handle] = port
    return port


def associate(handle: int, port: Port, key: int) -> None:
    """Have the operations of a descriptor report to a port.

    Raises OSError: ERROR_INVALID_PARAMETER for the second time (S-377), ERROR_INVALID_HANDLE for no descriptor."""
    try:
        status = os.fstat(handle)
    except OSError as error:
        raise failure(ERROR_INVALID_HANDLE, f"handle {handle}", error.errno or 0) from error
    file = None
    if stat.S_ISSOCK(status.st_mode) or stat.S_ISFIFO(status.st_mode):
        file = (status.st_dev, status.st_ino)
    before = association(handle)
    # A number whose file was closed may come again: only what cannot be another file is refused.
    if before is not None and file is not None and before.file == file:
        raise failure(ERROR_INVALID_PARAMETER, f"handle {handle} is associated already")
    _handles[handle] = Handle(port, key, file)


def forget(handle: int) -> Port | None:
    """The handle is closed: what was known of it goes.  The port that it was, if it was one."""
    _handles.pop(handle, None)
    port = _ports.pop(handle, None)
    if port is not None:
        for number in [number for number, its in _handles.items() if its.port is port]:
            del _handles[number]
    return port
