"""Signals that end a program, as an event of its queue."""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_DELETE, EVFILT_READ, NOTE_NODATA, kevent, kqueue
from knote.apps.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

STOPS = frozenset({signal.SIGINT, signal.SIGTERM})
HANGUP = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""What ends a program that has something to put in order first: a terminal, a path."""


class Awake(Handler):
    """While the with block runs, a signal that comes just before the queue's wait ends it at once, and what
    Python's handlers do is done then: KeyboardInterrupt, for one.

    The C handler of CPython writes each signal's number to the wakeup descriptor at once, whatever thread it hits
    and whatever runs; a READ knote on the other end brings it.  A Python handler alone could be late for ever: one
    that comes between the last look at pending signals and the wait runs when the wait is over (signal(7)).

    The wakeup descriptor is as before after the block.  Main thread only, as signal.set_wakeup_fd() says.
    """

    def __init__(self, queue: kqueue) -> None:
        self._queue = queue

    def __enter__(self) -> Self:
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
        return self

    def ready(self, event: kevent) -> None:
        """Numbers of signals have come, whose handlers have run."""
        self._read.recv(4096)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup)
        if not self._queue.closed:
            self._queue.control([kevent(self._read, EVFILT_READ, EV_DELETE)], 0)
        self._read.close()
        self._write.close()


def awake(queue: kqueue) -> AbstractContextManager[Awake | None]:
    """Awake, in the main thread.  In another one, to which no signal's handler belongs, nothing."""
    if threading.current_thread() is not threading.main_thread():
        return nullcontext()
    return Awake(queue)


class Signals(Awake):
    """While the with block runs, each of these signals calls what stands beside it, from the queue's loop.

    do: what to call at which signal.
    urgent: signals that raise KeyboardInterrupt where the program stands when one more of them comes before the
        loop has dealt with the first: what it does may hang.
    number: the last one that came, 0 before.
    Handlers are as before after the block.
    """

    def __init__(self, queue: kqueue, do: dict[int, Callable[[], None]], urgent: frozenset[int] = STOPS) -> None:
        super().__init__(queue)
        self._do = do
        self._urgent = urgent
        self._waiting = 0
        self.number = 0

    def __enter__(self) -> Self:
        super().__enter__()
        # A handler that C code installed is None here: it could not be put back, so it stays.
        self._before: dict[int, Any] = {
            number: signal.signal(number, self._arrived)
            for number in self._do
            if signal.getsignal(number) is not None
        }
        return self

    def _arrived(self, number: int, frame: object) -> None:
        self.number = number
        if number in self._urgent:
            self._waiting += 1
            if self._waiting > 1:
                raise KeyboardInterrupt

    def ready(self, event: kevent) -> None:
        """Numbers of signals have come, others than ours maybe among them."""
        for number in dict.fromkeys(self._read.recv(4096)):
            if number in self._before:
                self._do[number]()
        self._waiting = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        super().__exit__(kind, error, trace)


class StopSignals(Signals):
    """While the with block runs, SIGINT and SIGTERM call stop() from the queue's loop.  A second signal raises
    KeyboardInterrupt where the program stands, for a stop that hangs.  One that is ignored stays so: nohup(1) asks
    for it, and a shell for what a script has put into the background."""

    def __init__(
        self,
        queue: kqueue,
        stop: Callable[[], None],
        numbers: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM),
    ) -> None:
        heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
        super().__init__(queue, dict.fromkeys(heard, stop), frozenset(heard))

    def ready(self, event: kevent) -> None:
        """As Signals.ready(); what came counts on."""
        count = self._waiting
        super().ready(event)
        self._waiting = count
