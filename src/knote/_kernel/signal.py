"""Counting signals from a Python handler.  The compiled twin is signal.pyx over kn_signal.h, and exact.

Without C there is no handler that could count each signal: CPython's own only notes that one came, and runs the
Python handler once for however many did, in the main thread, when that comes to its next instruction.  Handlers
are exchanged in the main thread only, and one that C code installed cannot be called from here: both are refused.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import contextlib
import ctypes
import errno
import os
import signal
from types import FrameType
from typing import Any

from knote._kernel._libc import function

# The real ones: knote.signals puts others in their place, which call these.
_set = _signal.signal
_get = _signal.getsignal
_eventfd = function("eventfd", ctypes.c_uint, ctypes.c_int)
_signalfd = function("signalfd", ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_sigaction = function("sigaction", ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_ALL = 65
_SA_RESTART = 0x10000000
_STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_HARMLESS = (signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH)
# See kn_signal_is_left().
_LEFT_IGNORED = (
    signal.SIGCHLD, signal.SIGTTIN, signal.SIGTTOU, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL,
    signal.SIGTRAP, signal.SIGSYS,
)  # fmt: skip

_counts = [0] * _ALL
_bells: list[list[Bell]] = [[] for _ in range(_ALL)]
_taken: dict[int, _Counter] = {}


class Bell:
    """An eventfd that the handlers of the signals that it listens to make readable; fd is -errno if there is
    none."""

    def __init__(self) -> None:
        self.fd = _eventfd(0, os.O_CLOEXEC | os.O_NONBLOCK)

    def listen(self, number: int) -> None:
        """Ring for this signal."""
        _bells[number].append(self)

    def unlisten(self, number: int) -> None:
        """Ring for it no more."""
        if self in _bells[number]:
            _bells[number].remove(self)

    def lower(self) -> None:
        """Make fd unreadable.  Look at the counts after that, not before."""
        with contextlib.suppress(OSError):  # down already; or it stays up, and is looked at once more
            os.read(self.fd, 8)

    def close(self) -> None:
        """Give the descriptor back; idempotent."""
        for listeners in _bells:
            if self in listeners:
                listeners.remove(self)
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Peek:
    """A signalfd that is never read: watched by edge it tells when one of its signals becomes pending, because it
    is blocked, and does not take it; fd is -errno if there is none."""

    def __init__(self) -> None:
        self.fd = _signalfd(-1, (ctypes.c_ulong * 16)(), os.O_CLOEXEC | os.O_NONBLOCK)

    def watch(self, mask: int) -> int:
        """The signals to watch, bit n - 1 for signal n; 0 or -errno."""
        words = (ctypes.c_ulong * 16)()
        words[0] = mask
        rc = -1
        for _ in range(4):  # nobody would hear of a refusal, and of blocked signals neither
            rc = min(_signalfd(self.fd, words, 0), 0)
            if rc == 0:
                break
        return rc

    def close(self) -> None:
        """Give the descriptor back; idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class _Disposition(ctypes.Structure):
    """struct sigaction of glibc on most machines."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ulong * (128 // ctypes.sizeof(ctypes.c_ulong))),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


def _disposition(number: int) -> _Disposition:
    now = _Disposition()
    _sigaction(number, None, ctypes.byref(now))
    return now


class _Counter:
    """The Python handler that stands in front of the program's: was, and its disposition as the kernel has it."""

    def __init__(self, was: Any, disposition: _Disposition) -> None:
        self.was = was
        self.disposition = disposition

    def __call__(self, number: int, frame: FrameType | None) -> Any:
        _counts[number] += 1
        for bell in list(_bells[number]):
            with contextlib.suppress(OSError):
                os.write(bell.fd, (1).to_bytes(8, "little"))
        if callable(self.was):
            return self.was(number, frame)
        if self.was == signal.SIG_DFL and number in _STOPS:
            _set(number, _signal.SIG_DFL)
            os.kill(os.getpid(), number)
            if _get(number) == _signal.SIG_DFL:
                _set(number, self)
        return None


def _is_left(number: int, handler: Any) -> bool:
    if handler == signal.SIG_DFL:
        return number not in _HARMLESS and number not in _STOPS
    return handler == signal.SIG_IGN and number in _LEFT_IGNORED


def exists(number: int) -> bool:
    """Whether there is such a signal: not those that libc keeps for itself."""
    return number in signal.valid_signals()


def settled(number: int) -> bool:
    """Whether take() has nothing to do."""
    if number in (signal.SIGKILL, signal.SIGSTOP):
        return True
    handler = _get(number)
    return isinstance(handler, _Counter) or _is_left(number, handler)


def take(number: int, even_ignored: bool) -> int:
    """Put the counting handler in front of what is there, unless it is or has to be left alone: default actions
    that kill, and what cannot be done for an ignored signal without changing what the kernel does.  0 or -errno.

    even_ignored: for one who wants to be woken by a SIGCHLD that is ignored, which is not counted (S-226)."""
    if settled(number):
        return 0
    handler = _get(number)
    disposition = _disposition(number)
    # Python knows nothing of the handlers that C code installed.
    if handler is None or (not callable(handler) and (disposition.handler or 0) != int(handler)):
        return -errno.EOPNOTSUPP
    counter = _Counter(handler, disposition)
    try:
        _set(number, counter)
    except ValueError:
        return -errno.EOPNOTSUPP
    if not callable(handler) or disposition.flags & _SA_RESTART:
        signal.siginterrupt(number, False)
    _taken[number] = counter
    return 0


def give_back(number: int) -> int:
    """Restore what was there, if ours is still in place.  0 or -errno; a handler that only the main thread could
    exchange stays, and does nothing but to call the program's."""
    counter = _taken.pop(number, None)
    if counter is None or _get(number) is not counter:
        return 0
    restarts = _disposition(number).flags & _SA_RESTART
    try:
        _set(number, counter.was)
    except ValueError:
        _taken[number] = counter
        return -errno.EOPNOTSUPP
    if callable(counter.was):
        signal.siginterrupt(number, not restarts)
    else:
        _sigaction(number, ctypes.byref(counter.disposition), None)
    return 0


def hides_ignored() -> bool:
    """Whether ours stands where the program has SIG_IGN, which an exec'd child should find there."""
    return any(counter.was == signal.SIG_IGN for counter in _taken.values())


def count(number: int) -> int:
    """How often the handler saw it; it only grows."""
    return _counts[number]


def pending(number: int) -> bool:
    """Whether it waits for the calling thread to unblock it."""
    return number in signal.sigpending()


def shown(handler: Any) -> Any:
    """What the program should see in this handler's place: what it put there itself."""
    return handler.was if isinstance(handler, _Counter) else handler


def _in_child() -> None:
    for listeners in _bells:
        listeners.clear()
    for number in list(_taken):
        give_back(number)


os.register_at_fork(after_in_child=_in_child)
