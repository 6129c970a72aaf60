"""Signals that end a program, as an event of its queue."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_DELETE, EVFILT_READ, NOTE_NODATA, kevent, kqueue
from knote.apps.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

HANGUP = (signal.SIGTERM, signal.SIGHUP)
"""What ends a program that has a terminal to put in order first."""


class StopSignals(Handler):
    """While the with block runs, SIGINT and SIGTERM call stop() from the queue's loop.

    The C handler of CPython writes each signal's number to the wakeup descriptor at once, whatever thread it hits
    and whatever runs; a READ knote on the other end brings it.  A Python handler alone could be late for ever: one
    that comes between the last look at pending signals and the wait runs when the wait is over (signal(7)).
    A second signal raises KeyboardInterrupt where the program stands, for a stop that hangs.

    number: the last one that came, 0 before.
    Handlers and wakeup descriptor are as before after the block.  Main thread only, as signal.signal() says.
    """

    def __init__(
        self,
        queue: kqueue,
        stop: Callable[[], None],
        numbers: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM),
    ) -> None:
        self._queue = queue
        self._stop = stop
        self._numbers = numbers
        self._count = 0
        self.number = 0

    def __enter__(self) -> StopSignals:
        self._read, self._write = socket.socketpair()
        try:
            self._read.setblocking(False)
            self._write.setblocking(False)
            self._queue.control([kevent(self._read, EVFILT_READ, EV_ADD, NOTE_NODATA, 0, self)], 0)
            self._wakeup = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        except BaseException:  # not in the main thread, for one
            self._read.close()
            self._write.close()
            raise
        # A handler that C code installed is None here: it could not be put back, so it stays.
        self._before: dict[int, Any] = {
            number: signal.signal(number, self._arrived)
            for number in self._numbers
            if signal.getsignal(number) is not None
        }
        return self

    def _arrived(self, number: int, frame: object) -> None:
        self._count += 1
        self.number = number
        if self._count > 1:
            raise KeyboardInterrupt

    def ready(self, event: kevent) -> None:
        """Numbers of signals have come, others than ours maybe among them."""
        if any(number in self._before for number in self._read.recv(4096)):
            self._stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        if not self._queue.closed:
            self._queue.control([kevent(self._read, EVFILT_READ, EV_DELETE)], 0)
        self._read.close()
        self._write.close()
