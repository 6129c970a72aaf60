"""A command that is run because of events."""

from __future__ import annotations

import errno
import os
import signal
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final

from knote import EV_ADD, EV_DELETE, EV_ENABLE, EV_ONESHOT, EVFILT_PROC, EVFILT_TIMER, NOTE_EXIT, kevent
from knote.apps.handler import Handler

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Sequence

    from knote import kqueue
    from knote.apps.conditions.fact import Fact

GRACE_MS: Final = 5000
"""So long a command has between SIGTERM and SIGKILL."""
BACK_OFF_MS: Final = (100, 5000)
"""The first pause before a command that ended by itself is started again, and the longest; it doubles."""
KEPT: Final = 1000
"""Events of one run that are known to the command, the newest ones."""
ROOM: Final = 64 * 1024
"""... and no more letters of them: execve(2) takes 128 KiB in one string, and all of them count."""
_PATIENCE: Final = 10
"""So many times the quiet time is the longest that a run is put off."""
_QUIET, _KILL, _AGAIN = 1, 2, 3  # what a timer is for; its ident says which


def status_of(error: OSError) -> int:
    """What a shell has for a command that cannot be run."""
    return 127 if error.errno == errno.ENOENT else 126


def _newest(facts: Iterable[Fact]) -> str:
    """A line of JSON each; the newest of more than fit into a variable."""
    lines: list[str] = []
    room = ROOM
    for record in (fact.record() for fact in reversed(list(facts))):
        room -= len(record) + 1
        if room < 0:
            break
        lines.append(record)
    return "\n".join(reversed(lines))


class Runner(Handler):
    """Runs a command for each event, one at a time: events that come while it runs, or before it was quiet for
    `debounce_ms`, are one run.  With restart it runs from the beginning; an event ends it and starts it again, and
    so does its end, with a growing pause.  group: it has a process group of its own, and all of that is ended.

    status: of the last run, as a shell has it; None before.  idle: nothing runs, nothing is to be run.
    """

    def __init__(
        self,
        queue: kqueue,
        words: Sequence[str],
        *,
        restart: bool,
        group: bool,
        debounce_ms: int,
        pass_fds: Sequence[int] = (),
        ended: Callable[[], None],
        complain: Callable[[OSError], None],
    ) -> None:
        # Not with this module: 6 ms, in which a wait without a command is over.  Not when it runs: there may be no
        # descriptor left to read it with.
        import subprocess

        self._popen = subprocess.Popen
        self._queue = queue
        self._words = words
        self._restart = restart
        self._group = group
        self._debounce = debounce_ms
        self._fds = pass_fds
        self._ended = ended
        self._complain = complain
        self._process: subprocess.Popen[bytes] | None = None
        self._facts: deque[Fact] = deque(maxlen=KEPT)
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

    def because(self, facts: Iterable[Fact]) -> None:
        """Run it once for them, when events have been quiet for a moment."""
        self._facts.extend(facts)
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
        """Run it now.  OSError: what is to be kept running cannot be run."""
        surroundings = dict(os.environ)
        if self._facts:
            surroundings |= self._facts[-1].environment()
            surroundings["KNOTE_EVENTS"] = _newest(self._facts)
        self._facts.clear()
        self._stopping = False
        try:
            self._process = self._popen(
                self._words,
                env=surroundings,
                pass_fds=self._fds,
                process_group=0 if self._group else None,
            )
        except OSError as error:
            error.filename = self._words[0]
            if self._restart and self.status is None:
                raise
            # A run that failed: who builds it anew has taken it away, or still writes to it (ETXTBSY).
            self._complain(error)
            self._is_over(status_of(error))
            return
        self._queue.control([kevent(self._process.pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, self)], 0)

    def stop(self) -> None:
        """End what runs: SIGTERM, after GRACE_MS SIGKILL."""
        if self._process is not None and not self._stopping:
            self._stopping = True
            self._kill(signal.SIGTERM)
            self._kill(signal.SIGCONT)  # one that is stopped would not hear it
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
            if self._group:
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
        self._process = None
        self._alarm(_KILL, 0)
        self._is_over(code if code >= 0 else 128 - code)

    def _is_over(self, status: int) -> None:
        self.status = status
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
