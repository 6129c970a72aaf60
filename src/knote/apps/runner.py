"""A command that is run because of events."""

from __future__ import annotations

import os
import signal
import subprocess
from time import monotonic
from typing import TYPE_CHECKING, Final

from knote import EV_ADD, EV_DELETE, EV_ENABLE, EV_ONESHOT, EVFILT_PROC, EVFILT_TIMER, NOTE_EXIT, kevent
from knote.apps.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from knote import kqueue
    from knote.apps.conditions.fact import Fact

GRACE_MS: Final = 5000
"""So long a command has between SIGTERM and SIGKILL."""
BACK_OFF_MS: Final = (100, 5000)
"""The first pause before a command that ended by itself is started again, and the longest; it doubles."""
_PATIENCE: Final = 10
"""So many times the quiet time is the longest that a run is put off."""
_QUIET, _KILL, _AGAIN = 1, 2, 3  # what a timer is for; its ident says which


class Runner(Handler):
    """Runs a command for each event, one at a time: events that come while it runs, or before it was quiet for
    `debounce_ms`, are one run.  With restart it runs from the beginning, in a process group of its own; an event
    ends the whole group and starts it again, and so does its end, with a growing pause.

    status: of the last run, as a shell has it; None before.  idle: nothing runs, nothing is to be run.
    """

    def __init__(
        self,
        queue: kqueue,
        words: Sequence[str],
        *,
        restart: bool,
        debounce_ms: int,
        pass_fds: Sequence[int] = (),
        ended: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._words = words
        self._restart = restart
        self._debounce = debounce_ms
        self._fds = pass_fds
        self._ended = ended
        self._process: subprocess.Popen[bytes] | None = None
        self._facts: list[Fact] = []
        self._settling = False
        self._latest = 0.0
        self._stopping = False
        self._pause = BACK_OFF_MS[0]
        self.status: int | None = None

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits to be run."""
        return self._process is None and not self._facts

    @property
    def begun(self) -> int:
        """The number of the process that runs; 0: none."""
        return self._process.pid if self._process is not None else 0

    def because(self, fact: Fact) -> None:
        """Run it, when events have been quiet for a moment."""
        self._facts.append(fact)
        if not self._debounce:
            self._go()
            return
        now = monotonic() * 1000
        if not self._settling:
            self._settling = True
            self._latest = now + _PATIENCE * self._debounce
        # Each event begins the quiet time anew, up to a limit: a log that never rests is run for, too.
        self._alarm(_QUIET, max(1, min(self._debounce, int(self._latest - now))))

    def start(self) -> None:
        """Run it now.  OSError: it cannot be run."""
        surroundings = dict(os.environ)
        if self._facts:
            surroundings |= self._facts[-1].environment()
            surroundings["KNOTE_EVENTS"] = "\n".join(fact.record() for fact in self._facts)
        self._facts.clear()
        self._stopping = False
        try:
            self._process = subprocess.Popen(
                self._words,
                env=surroundings,
                pass_fds=self._fds,
                process_group=0 if self._restart else None,
            )
        except OSError as error:
            error.filename = self._words[0]
            raise
        self._queue.control([kevent(self._process.pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, self)], 0)

    def stop(self) -> None:
        """End what runs: SIGTERM, after GRACE_MS SIGKILL."""
        if self._process is not None and not self._stopping:
            self._stopping = True
            self._kill(signal.SIGTERM)
            self._alarm(_KILL, GRACE_MS)

    def forget(self) -> None:
        """No further run."""
        self._facts.clear()
        self._restart_off()

    def _restart_off(self) -> None:
        if self._restart:
            self._debounce = 0
            self._pause = 0

    def _go(self) -> None:
        if self._process is None:
            self._pause = BACK_OFF_MS[0]
            self.start()
        elif self._restart:
            self.stop()

    def _kill(self, number: int) -> None:
        assert self._process is not None
        try:
            if self._restart:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except ProcessLookupError:
            pass  # it has just ended, which its knote will tell

    def _alarm(self, what: int, milliseconds: int) -> None:
        ident = id(self) + what
        how = EV_ADD | EV_ENABLE | EV_ONESHOT if milliseconds else EV_DELETE
        try:
            self._queue.control([kevent(ident, EVFILT_TIMER, how, 0, milliseconds, self)], 0)
        except FileNotFoundError:
            pass  # there was none to delete

    def ready(self, event: kevent) -> None:
        """Handler.ready()"""
        if event.filter == EVFILT_PROC:
            self._over()
        elif event.ident == id(self) + _QUIET:
            self._settling = False
            if self._facts:
                self._go()
        elif event.ident == id(self) + _KILL:
            if self._process is not None and self._stopping:
                self._kill(signal.SIGKILL)
        elif self._process is None and self._pause:
            self.start()

    def _over(self) -> None:
        # The status is a child's, so wait() has it at once.
        assert self._process is not None
        code = self._process.wait()
        self.status = code if code >= 0 else 128 - code
        self._process = None
        self._alarm(_KILL, 0)
        stopped, self._stopping = self._stopping, False
        if self._facts and not self._settling:
            self.start()
        elif self._restart and self._pause and not stopped:
            self._alarm(_AGAIN, self._pause)
            self._pause = min(self._pause * 2, BACK_OFF_MS[1])
        self._ended()

    def close(self) -> None:
        """Nothing of it is left: what still runs is killed and waited for."""
        if self._process is not None:
            self._kill(signal.SIGKILL)
            self._process.wait()
            self._process = None
