"""Signals that come before a program is ready for them: they wait.

A signal whose knote is not there yet does what it does by default, which for most is to end the program; and a
script that starts a program and signals it has no way to know when it may.  What is blocked is not lost.
signal(7)
"""

from __future__ import annotations

# Not signal: enum, which it imports, costs a tenth of what starting Python does.
import _signal  # type: ignore[import-not-found, unused-ignore]

TYPE_CHECKING = False  # see inlet.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from knote import kqueue
    from knote.apps.handler import Handler

_held: set[int] = set()
"""Of this process: a mask is a thread's, and programs hold in their main thread, before they have another."""


def numbered(name: str) -> int:
    """The signal of a name: USR1, SIGUSR1, 10, RTMIN+1, RTMAX-1.  ValueError where there is none that can be
    caught."""
    text = name.upper().removeprefix("SIG")
    base, offset = text[:5], text[5:]
    try:
        if text.isdigit():
            number = int(text)
        elif base in ("RTMIN", "RTMAX") and offset:
            number = _named(base) + int(offset)
        else:
            number = _named(text)
    except ValueError:
        number = 0
    if number not in _signal.valid_signals() or number in (_signal.SIGKILL, _signal.SIGSTOP):
        raise ValueError("no signal that can be caught; write USR1, SIGUSR1 or 10 (kill -l)")
    return number


def _named(name: str) -> int:
    # SIG_BLOCK and SIG_IGN are no signals.
    number = 0 if name.startswith("_") else getattr(_signal, f"SIG{name}", 0)
    if not number:
        raise ValueError(name)
    return int(number)


def interruptible(run: Callable[[], int]) -> int:
    """run(), which Ctrl-C ends at once, with the program, by the signal itself, as long as nobody in there has a
    handler for it.

    CPython's own raises KeyboardInterrupt where the program stands, and while it imports that may be where nobody
    hears it: in a callback of the import system, which says "Exception ignored" at best.  Where Ctrl-C is ignored
    (nohup(1)), or is somebody else's, it stays so.
    """
    try:
        ours = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
        if ours:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    except ValueError:
        ours = False  # not in the main thread
    try:
        return run()
    finally:
        if ours:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def hold(numbers: Iterable[int]) -> None:
    """Block those that are not blocked, until attach().  For programs, as the first thing they do."""
    wanted = set(numbers)
    if wanted:
        _held.update(wanted - _signal.pthread_sigmask(_signal.SIG_BLOCK, wanted))


def attach(queue: kqueue, number: int, handler: Handler) -> int:
    """Add the knote of a signal that has a handler, and let the signal come.  How often it came while it was held,
    which no knote tells: to a kqueue, what was pending before was sent to somebody else (spec S-230).  OSError."""
    from knote import EV_ADD, EV_DELETE, EVFILT_SIGNAL, kevent

    came = 0
    while True:
        queue.control([kevent(number, EVFILT_SIGNAL, EV_ADD, 0, 0, handler)], 0)
        if number not in _held or number not in _signal.sigpending():
            break
        # It may have come before the knote or after: take it, and look again, so that it is counted once.
        queue.control([kevent(number, EVFILT_SIGNAL, EV_DELETE)], 0)
        came += _taken(number)
    if number in _held:
        _let_go(number)
    return came


def drop() -> None:
    """Whatever is still held: what came of it has nobody who would be told any more."""
    for number in tuple(_held):
        _taken(number)
        _let_go(number)


def _taken(number: int) -> int:
    count = 0
    while _signal.sigtimedwait((number,), 0) is not None:
        count += 1
    return count


def _let_go(number: int) -> None:
    _held.remove(number)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (number,))
