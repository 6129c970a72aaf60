"""A conversation: what one says goes there, what the other says is shown, and neither waits for the other."""

from __future__ import annotations

import errno
import os
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_ONESHOT,
    EVFILT_EMPTY,
    EVFILT_READ,
    EVFILT_TIMER,
    EVFILT_WRITE,
    NOTE_NODATA,
    kevent,
    kqueue,
)
from knote.apps.handler import Handler, deliver
from knote.apps.line import DONE, ROOM
from knote.apps.outlet import Outlet
from knote.apps.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote.apps.flow import Flow
    from knote.apps.inlet import Inlet
    from knote.apps.line import Line


class Manners(NamedTuple):
    """When a conversation ends, but for the end of both sides.

    shut: at the end of our input the sending half of the connection is closed, as nc -N does; else it stays open.
    linger: seconds from the end of our input to the end of all, as nc -q; None waits for the other side.
    idle: seconds without a byte either way that are one too many.
    whole: our output's end does not end our input, and all of our input is waited for: as a program's must be.
    stay: whether we go on sending when the server says no more.  True: as long as it may listen; False: what lies
        ready and no more; None: as long as it certainly listens.
    """

    shut: bool = True
    linger: float | None = None
    idle: float | None = None
    whole: bool = False
    stay: bool | None = None


_LINGER, _IDLE, _LAST = range(3)  # clocks
ACKNOWLEDGED_MS: Final = 3000
"""So long the other side's kernel has for saying that it has the last bytes, where that is asked for."""


class Session(Handler):
    """Two flows over one line.  screen_ended() is called when nothing more goes to the screen."""

    def __init__(
        self,
        queue: kqueue,
        line: Line,
        keyboard: Inlet | None,
        screen: Outlet,
        manners: Manners = Manners(),  # noqa: B008  # a tuple, and never changes
        screen_ended: Callable[[], None] | None = None,
    ) -> None:
        self._queue = queue
        self._line = line
        self._manners = manners
        self._screen_ended = screen_ended
        self._down: Flow = Pump(queue, line.inlet, screen)
        self.up: Flow | None = None if keyboard is None else Pump(queue, keyboard, line.outlet)
        self._ended_up = False  # what our input's end asks for has begun
        self._ends = False  # ... and Line.end() is not through yet
        self._waits = False  # ... because the socket has no room
        self._clocks: set[int] = set()
        self._watches = False
        self._over = False
        self._late = False
        self._null: Outlet | None = None
        self._sent = 0  # before the events that are told now
        self._before: int | None = None  # ... and the other side ended
        self._acknowledged = False
        self._bytes = 0
        self._last = monotonic()

    @property
    def sent(self) -> int:
        """Bytes of our input that have gone."""
        return 0 if self.up is None else self.up.total

    def stop(self) -> None:
        """End it now, in order."""
        self._over = True

    def run(self) -> None:
        """To the end.  Raises OSError with the name of the end that failed as filename."""
        try:
            self._begin()
            while not self._over and not self._finished():
                deliver(self._queue.control(None, 8, None))
                self._look()
            if self._over and not self._late:
                self._line.end()
            elif not self._over and self._clean():
                self._send_the_rest()
        finally:
            self._drop()
        self._outcome()

    def _begin(self) -> None:
        self._down.start()
        if self.up is not None:
            self.up.start()
        if self._manners.idle is not None:
            self._clocks.add(_IDLE)
            self._queue.control([self._clock(_IDLE, self._manners.idle)], 0)
        # What came with the last of a TLS handshake lies in memory, and no event tells of it.
        if not self._down.done:
            self._down.ready(kevent(self._line.inlet.fd, EVFILT_READ))
        self._look()

    def _clock(self, which: int, seconds: float) -> kevent:
        return kevent(id(self) + which, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, max(1, round(seconds * 1000)), self)

    def _finished(self) -> bool:
        if not self._manners.whole:
            if self.up is None or self.up.done or not self._down.done:
                return self._down.done
            return not (self._clean() and self._goes_on())
        return self._down.done and (self.up is None or self.up.done) and not self._ends

    def _goes_on(self) -> bool:
        stay = self._manners.stay
        return stay is not False and self._line.listens(maybe=bool(stay))

    def _clean(self) -> bool:
        return self._down.write_error is None and self._down.read_error is None

    def ready(self, event: kevent) -> None:
        """The line has room for its last words, its other end has gone, or a clock ran down."""
        if event.filter == EVFILT_READ:
            return  # the other side listened, and maybe has gone: _finished() looks
        if event.filter == EVFILT_EMPTY:
            self._acknowledged = True
            return
        if event.filter == EVFILT_WRITE:
            self._waits = False
        elif event.ident == id(self) + _LINGER:
            self._over = True
        elif event.ident == id(self) + _LAST:
            self._acknowledged = True  # or not: nobody says
        else:
            assert self._manners.idle is not None
            rest = self._manners.idle - (monotonic() - self._last)
            if rest > 0:
                self._queue.control([self._clock(_IDLE, rest)], 0)
            else:
                self._over = self._late = True

    def _look(self) -> None:
        """After events: what has ended, and what follows from it."""
        count = self._down.total + self.sent
        if count != self._bytes:
            self._bytes, self._last = count, monotonic()
        if (self.up is None or self.up.done) and not self._ended_up:
            self._ended_up = True
            self._ends = self._manners.shut
            if self._manners.linger is not None:
                self._clocks.add(_LINGER)
                self._queue.control([self._clock(_LINGER, self._manners.linger)], 0)
        if self._ends and not self._waits:
            self._end()
        if self._down.done and self._before is None:
            self._before = self._sent
        self._sent = self.sent
        if self._down.done and not self._manners.whole and not self._watches and not self._finished():
            self._watches = True  # by edge: nothing but its end is left to come
            if self._manners.stay:
                self._line.probe()
            self._queue.control([kevent(self._line.sock, EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_NODATA, 0, self)], 0)
        if self._down.done and self._screen_ended is not None:
            self._screen_ended()
            self._screen_ended = None
            self._go_on_reading()

    def _end(self) -> None:
        left = self._line.end()
        if self._down.done:
            left = DONE  # the other side has ended: whatever this was, it hears no more
        self._ends = left != DONE
        if left == ROOM:
            self._waits = True
            change = kevent(self._line.outlet.fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT, NOTE_NODATA, 0, self)
            self._queue.control([change], 0)

    def _go_on_reading(self) -> None:
        # A program that reads no more may still write.  What comes for it is thrown away, so that the other side
        # gets rid of it, and at last ends.
        error = self._down.write_error
        if error is not None and error.errno == errno.EPIPE and self._manners.whole:
            self._null = Outlet(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), os.devnull)
            self._down = Pump(self._queue, self._line.inlet, self._null)
            self._down.start()

    def _send_the_rest(self) -> None:
        # The server says no more, and may still listen: what lies ready is sent.  Who sits at a terminal and types
        # nothing, or holds a pipe open, is not waited for.
        up = self.up
        while up is not None and not up.done:
            events = self._queue.control(None, 8, None if up.pending else 0)
            if not events:
                break
            deliver(events)
        if up is None or up.write_error is None:
            self._line.end()  # both have ended: TLS says so, and TCP does no harm
            self._make_sure()

    def _make_sure(self) -> None:
        # What was sent after the other side's end is lost if it has gone; its kernel says so, or that it has it.
        if self.up is None or self._before is None or self.sent <= self._before:
            return
        sock = self._line.sock
        empty = kevent(sock, EVFILT_EMPTY, EV_ADD | EV_ONESHOT, 0, 0, self)
        reset = kevent(sock, EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_NODATA, 0, self)
        self._queue.control([empty, reset, self._clock(_LAST, ACKNOWLEDGED_MS / 1000)], 0)
        self._clocks.add(_LAST)
        lost = self._line.lost()
        while not lost and not self._over and not self._acknowledged:
            deliver(self._queue.control(None, 8, None))
            lost = self._line.lost()
        if lost:
            self.up.write_error = OSError(errno.EPIPE, os.strerror(errno.EPIPE), self._line.name)

    def _drop(self) -> None:
        """Take the clocks and whatever else is left from the queue."""
        for flow in (self._down, self.up):
            if flow is not None and not flow.done:
                flow.stop()
        for which in self._clocks:
            try:
                self._queue.control([kevent(id(self) + which, EVFILT_TIMER, EV_DELETE)], 0)
            except OSError:
                pass  # ENOENT: it ran down
        if self._null is not None:
            self._null.close()
            os.close(self._null.fd)

    def _outcome(self) -> None:
        if self._late:
            words = f"nothing came or went for {self._manners.idle:g} s; --idle sets how long is waited"
            raise OSError(errno.ETIMEDOUT, words, self._line.name)
        error = self._down.write_error or self._down.read_error
        if error is None and self.up is not None:
            error = self.up.read_error
            if self.up.write_error:
                words = "the server closed the connection before all of the input was sent"
                error = OSError(errno.EPIPE, words, self._line.name)
        if error is not None:
            raise error
