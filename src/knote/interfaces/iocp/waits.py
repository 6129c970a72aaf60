"""RegisterWaitWithQueue(): a packet when a handle is signalled, or when the time is up."""

from __future__ import annotations

import itertools
import math
from typing import Final

from knote import EV_ADD, EV_DELETE, EV_ONESHOT, EVFILT_READ, EVFILT_TIMER, kevent
from knote.interfaces.iocp import handles
from knote.interfaces.iocp.port import INFINITE, Port, port_of
from knote.interfaces.iocp.winerror import ERROR_INVALID_HANDLE, failure

_serial: Final = itertools.count(1)
_waits: dict[int, Wait] = {}


class Wait:
    """One registered wait.  Waits of one port for one handle share a knote, whose udata is a Signal."""

    __slots__ = ("address", "handle", "number", "port", "timed")

    def __init__(self, number: int, handle: int, port: Port, address: int, timed: bool) -> None:
        self.number = number
        self.handle = handle
        self.port = port
        self.address = address
        self.timed = timed

    def fire(self, _event: kevent) -> None:
        """The time is up."""
        self.timed = False
        self.over(True)

    def over(self, timed_out: bool) -> None:
        """Post the packet."""
        self.drop()
        self.port.post((0, int(timed_out), 0, self.address))

    def drop(self) -> None:
        """Wait no more."""
        self.port.waits.pop(self.number, None)
        if self.port.kqueue.closed:
            return
        changes = []
        if self.timed:
            self.timed = False
            changes.append(kevent(self.number, EVFILT_TIMER, EV_DELETE))
        if not any(other.handle == self.handle for other in self.port.waits.values()):
            changes.append(kevent(self.handle, EVFILT_READ, EV_DELETE))
        for change in changes:
            try:
                self.port.kqueue.control([change], 0, 0)
            except OSError:  # it fired already, or the handle was closed
                pass


class Signal:
    """A handle's knote: it fires once for all who wait."""

    __slots__ = ("handle", "port")

    def __init__(self, port: Port, handle: int) -> None:
        self.port = port
        self.handle = handle

    def fire(self, _event: kevent) -> None:
        """The handle is signalled."""
        for wait in [wait for wait in self.port.waits.values() if wait.handle == self.handle]:
            wait.over(False)
        if self.handle in handles._automatic:
            handles.ResetEvent(self.handle)


def RegisterWaitWithQueue(Object: int, CompletionPort: int, Overlapped: int, Timeout: int) -> int:
    """Have a packet (0, timed out or not, 0, Overlapped) posted when Object is signalled, or after Timeout
    milliseconds.  Object: an event, a pidfd, whatever polls readable.  The number to unregister it by."""
    port = port_of(CompletionPort)
    number = next(_serial)
    timed = Timeout < INFINITE
    wait = Wait(number, Object, port, Overlapped, timed)
    changes = [kevent(Object, EVFILT_READ, EV_ADD | EV_ONESHOT, udata=Signal(port, Object))]
    if timed:
        changes.append(
            kevent(number, EVFILT_TIMER, EV_ADD | EV_ONESHOT, data=math.ceil(Timeout), udata=wait)
        )
    port.waits[number] = wait
    _waits[number] = wait
    try:
        port.kqueue.control(changes, 0, 0)
    except OSError as error:
        wait.timed = False
        del port.waits[number], _waits[number]
        raise failure(ERROR_INVALID_HANDLE, f"handle {Object}", error.errno or 0) from error
    return number


def UnregisterWait(WaitHandle: int) -> None:
    """Forget the wait.  A packet that was posted stays.  Raises OSError(ERROR_INVALID_HANDLE)."""
    wait = _waits.pop(WaitHandle, None)
    if wait is None:
        raise failure(ERROR_INVALID_HANDLE, f"wait {WaitHandle}")
    if wait.number in wait.port.waits:
        wait.drop()


def UnregisterWaitEx(WaitHandle: int, Event: int) -> None:
    """UnregisterWait(), then SetEvent(Event): nothing of it is running, so that is at once."""
    UnregisterWait(WaitHandle)
    if Event:
        handles.SetEvent(Event)
