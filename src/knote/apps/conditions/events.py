"""Conditions that are one knote each: descriptors, processes, signals, times, mounts, interfaces."""

from __future__ import annotations

import errno
import os
import re
import signal
from typing import TYPE_CHECKING, Any, Final

from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_EOF,
    EV_ONESHOT,
    EVFILT_FS,
    EVFILT_NETDEV,
    EVFILT_PROC,
    EVFILT_READ,
    EVFILT_TIMER,
    EVFILT_WRITE,
    NOTE_EXIT,
    NOTE_LINKDOWN,
    NOTE_LINKINV,
    NOTE_LINKUP,
    NOTE_NSECONDS,
    kevent,
)  # fmt: skip
from knote.apps import held
from knote.apps.conditions.condition import Condition, ConditionError

if TYPE_CHECKING:
    from collections.abc import Callable

MOUNTS: Final = "/proc/self/mountinfo"
_OCTAL: Final = re.compile(rb"\\([0-3][0-7]{2})")


def not_open(kind: str, number: int, code: int = errno.EBADF) -> ConditionError:
    """For "read" or "write" of a descriptor that is not there."""
    hint = f"; the shell opens it: {number}{'<' if kind == 'read' else '>'}FILE"
    return ConditionError(f"--{kind} {number}: {os.strerror(code)}{hint}")


class Descriptor(Condition):
    """A number that the shell opened: there is something to read, or room to write."""

    def __init__(self, number: int, kind: str) -> None:
        super().__init__(str(number))
        self.kind = kind
        self.number = number

    def start(self) -> None:
        """Condition.start().  By edge: nothing is read here, so what is there would be told for ever."""
        which = EVFILT_READ if self.kind == "read" else EVFILT_WRITE
        try:
            self.queue.control([kevent(self.number, which, EV_ADD | EV_CLEAR, udata=self)], 0)
        except OSError as error:
            raise not_open(self.kind, self.number, error.errno or 0) from None

    def ready(self, event: kevent) -> None:
        """Handler.ready()"""
        words = ["end"] if event.flags & EV_EOF else []
        if event.data > 0:
            words.insert(0, f"{event.data} bytes" if self.kind == "read" else "room")
        self.spent = bool(event.flags & EV_EOF)
        self.tell(*(words or ["ready"]), data=event.data)


class Process(Condition):
    """A process, of anybody's, has ended."""

    kind = "pid"

    def __init__(self, number: int) -> None:
        super().__init__(str(number))
        self.number = number

    def start(self) -> None:
        """Condition.start()"""
        try:
            self.queue.control([kevent(self.number, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, self)], 0)
        except ProcessLookupError:
            self.spent = True
            self.tell("gone")
        except OSError as error:
            raise ConditionError(f"--pid {self.number}: {error.strerror}") from None

    def ready(self, event: kevent) -> None:
        """Handler.ready().  The status is told to parents only, and to some who ask at the right moment."""
        self.spent = True
        if event.data < 0:
            self.tell("exited")
            return
        code = os.waitstatus_to_exitcode(event.data)
        if code < 0:
            self.tell("killed by", signal.Signals(-code).name, data=128 - code)
        else:
            self.tell(f"exited with status {code}", data=code)


class Signal(Condition):
    """A signal was sent to us.  It has a handler that does nothing, so that it does not kill us; a command that we
    run finds it as we found it, which it would not if it were ignored (execve(2))."""

    kind = "signal"
    early = True

    def __init__(self, number: int) -> None:
        named = number < signal.SIGRTMIN
        super().__init__(signal.Signals(number).name.removeprefix("SIG") if named else str(number))
        self.number = number
        self._before: Any = None

    def start(self) -> None:
        """Condition.start()"""
        try:
            self._before = signal.signal(self.number, _nothing)
            came = held.attach(self.queue, self.number, self)
        except (OSError, ValueError) as error:
            words = error.strerror if isinstance(error, OSError) else str(error)
            raise ConditionError(f"--signal {self.subject}: {words}") from None
        if came:
            self._came(came)

    def ready(self, event: kevent) -> None:
        """Handler.ready()"""
        self._came(event.data)

    def _came(self, times: int) -> None:
        self.tell("came" if times == 1 else f"came {times} times", data=times)

    def close(self) -> None:
        """Condition.close()"""
        if self._before is not None:
            signal.signal(self.number, self._before)
            self._before = None


def _nothing(number: int, frame: object) -> None:
    pass


class Clock(Condition):
    """Once after so many seconds, or each time that so many have passed.  One ident of EVFILT_TIMER each."""

    def __init__(self, seconds: float, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.seconds = seconds

    def start(self) -> None:
        """Condition.start()"""
        once = EV_ONESHOT if self.kind == "timer" else 0
        nanoseconds = max(1, int(self.seconds * 1e9))
        self.queue.control([kevent(id(self), EVFILT_TIMER, EV_ADD | once, NOTE_NSECONDS, nanoseconds, self)], 0)

    def ready(self, event: kevent) -> None:
        """Handler.ready()"""
        self.spent = self.kind == "timer"
        self.tell("over" if event.data == 1 else f"over {event.data} times", data=event.data)


class Mount(Condition):
    """Something was mounted or unmounted, anywhere."""

    kind = "mount"

    def start(self) -> None:
        """Condition.start()"""
        try:
            self.queue.control([kevent(0, EVFILT_FS, EV_ADD, udata=self)], 0)
            self._points = _mounts()
        except OSError as error:
            raise ConditionError(f"--mount: {error.strerror}") from None

    def ready(self, event: kevent) -> None:
        """Handler.ready().  Which it was, the table says; a remount changes no line's name."""
        before, self._points = self._points, _mounts()
        for _, point in sorted(self._points - before, key=lambda pair: pair[1]):
            self.tell("mounted", point)
        for _, point in sorted(before - self._points, key=lambda pair: pair[1]):
            self.tell("unmounted", point)
        if before == self._points:
            self.tell("changed")


def _mounts() -> set[tuple[bytes, str]]:
    # Field 1 is the mount's own number: two on one place are two.  What is no print, and a blank, is octal, and
    # nothing else is.  proc_pid_mountinfo(5)
    with open(MOUNTS, "rb") as table:
        rows = [line.split(b" ", 5) for line in table]
    return {(row[0], os.fsdecode(_OCTAL.sub(lambda found: bytes([int(found[1], 8)]), row[4]))) for row in rows}


class Link(Condition):
    """A network interface comes up, goes down, is gone."""

    kind = "link"

    def start(self) -> None:
        """Condition.start()"""
        import socket  # 7 ms

        notes = NOTE_LINKUP | NOTE_LINKDOWN | NOTE_LINKINV
        try:
            index = socket.if_nametoindex(self.subject)
            self.queue.control([kevent(index, EVFILT_NETDEV, EV_ADD, notes, 0, self)], 0)
        except OSError as error:
            there = ", ".join(name for _, name in socket.if_nameindex())
            raise ConditionError(f"--link {self.subject}: {error.strerror or error}; there are {there}") from None

    def ready(self, event: kevent) -> None:
        """Handler.ready()"""
        self.spent = bool(event.fflags & NOTE_LINKINV)
        words = ((NOTE_LINKINV, "gone"), (NOTE_LINKUP, "up"), (NOTE_LINKDOWN, "down"))
        self.tell(next(word for note, word in words if note & event.data or note & event.fflags & NOTE_LINKINV))


def _signal(name: str) -> Condition:
    try:
        return Signal(held.numbered(name))
    except ValueError as error:
        raise ConditionError(f"--signal {name}: {error}") from None


MAKERS: Final[dict[str, Callable[[str], Condition]]] = {
    "pid": lambda text: Process(int(text)),
    "read": lambda text: Descriptor(int(text), "read"),
    "write": lambda text: Descriptor(int(text), "write"),
    "signal": _signal,
    "link": Link,
}
"""Of the options that take one word."""
