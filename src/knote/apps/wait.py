"""Wait for any number of things at once, in one kqueue."""

from __future__ import annotations

import os
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final

from knote import kqueue
from knote.apps.handler import deliver
from knote.apps.runner import KEPT, Runner
from knote.apps.signals import StopSignals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from knote.apps.conditions.condition import Condition
    from knote.apps.conditions.fact import Fact

TIMED_OUT: Final = 124
"""As timeout(1) has it."""
_MANY: Final = 64


def _nothing(error: OSError) -> None:
    pass


class Wait:
    """One wait.

    conditions: what for.  count: how many facts are enough; 0: no number is.  every: all conditions must be met,
    each once.  tell(fact): called for each.  command: run because of facts (see Runner); without conditions it is
    run at once, and its end is what is waited for.  timeout: seconds, or None; then a command that runs is ended.
    stops: signals that end the wait.
    complain: gets the error of a command that cannot be run.
    run() gives the exit status: 0, the command's, TIMED_OUT, or 128 + the number of the signal that ended it.
    ended_by: that number, once it has run; 0: none.
    Main thread only, for the signals.
    """

    def __init__(
        self,
        conditions: Sequence[Condition],
        *,
        count: int = 1,
        every: bool = False,
        tell: Callable[[Fact], None],
        command: Sequence[str] = (),
        restart: bool = False,
        debounce_ms: int = 0,
        pass_fds: Sequence[int] = (),
        timeout: float | None = None,
        stops: tuple[int, ...] = (),
        engine: str | None = None,
        complain: Callable[[OSError], None] = _nothing,
    ) -> None:
        self._conditions = conditions
        self._count = count
        self._missing = {id(condition) for condition in conditions} if every else set()
        self._every = every
        self._tell = tell
        self._command = command
        self._restart = restart
        self._debounce = debounce_ms
        self._fds = pass_fds
        self._timeout = timeout
        self._stops = stops
        self._engine = engine
        self._complain = complain
        self.ended_by = 0
        self._facts: deque[Fact] = deque(maxlen=KEPT)
        self._told = 0
        self._enough = False
        self._late = False
        self._runner: Runner | None = None

    def run(self) -> int:
        """The exit status.  Raises ConditionError, OSError."""
        with kqueue(engine=self._engine) as queue, StopSignals(queue, self._stop, self._stops) as stopped:
            self._queue = queue
            if self._command:
                self._runner = Runner(
                    queue,
                    self._command,
                    restart=self._restart,
                    group=self._restart or (self._timeout is not None and not _at_a_prompt()),
                    debounce_ms=self._debounce,
                    pass_fds=self._fds,
                    ended=self._command_ended,
                    complain=self._complain,
                )
            try:
                self._loop(queue)
            finally:
                if self._runner is not None:
                    self._runner.close()
                for condition in self._conditions:
                    condition.close()
            self.ended_by = stopped.number
            if stopped.number:
                return 128 + stopped.number
            if self._late:
                return TIMED_OUT
            return (self._runner.status or 0) if self._runner is not None else 0

    def _loop(self, queue: kqueue) -> None:
        end = None if self._timeout is None else monotonic() + self._timeout
        # sorted() keeps the order of the rest.
        conditions = sorted(self._conditions, key=lambda condition: not condition.early)
        early = sum(condition.early for condition in conditions)
        for condition in conditions[:early]:
            condition.begin(queue, self._teller(condition))
        if self._runner is not None and (self._restart or not conditions):
            self._runner.start()
            self._enough = not conditions and not self._restart
        for condition in conditions[early:]:
            condition.begin(queue, self._teller(condition))
        while not self._is_over():
            left = None if end is None else max(0.0, end - monotonic())
            events = queue.control(None, _MANY, left)
            if events:
                deliver(events)
            elif left is not None and end is not None and monotonic() >= end:
                self._late = True
                end = None
                self._stop()

    def _is_over(self) -> bool:
        if self._enough:
            return self._runner is None or self._runner.idle
        if self._conditions and not self._restart and all(condition.spent for condition in self._conditions):
            self._enough = True  # Nothing can come any more.
            return self._is_over()
        return False

    def _teller(self, condition: Condition) -> Callable[[Fact], None]:
        def tell(fact: Fact) -> None:
            if not self._enough:
                self._met(condition, fact)

        return tell

    def _met(self, condition: Condition, fact: Fact) -> None:
        self._tell(fact)
        self._told += 1
        self._missing.discard(id(condition))
        if self._every:
            self._enough = not self._missing
        elif self._count:
            self._enough = self._told >= self._count
        if self._runner is not None:
            self._facts.append(fact)
            if self._enough or not self._every:
                self._runner.because(self._facts)
                self._facts.clear()

    def _command_ended(self) -> None:
        if self._restart and self._enough and self._runner is not None:
            self._runner.forget()

    def _stop(self) -> None:
        # A signal, or the time is over: nothing new begins, what runs is ended in order.
        self._enough = True
        if self._runner is not None:
            self._runner.forget()
            self._runner.stop()


def _at_a_prompt() -> bool:
    """Whether a person started us, and may want to talk to the command: a group in the background cannot read the
    terminal.  Else it has one of its own, as with timeout(1): what it has started must end with it, or whoever
    reads its output waits on."""
    try:
        return os.tcgetpgrp(0) == os.getpid()
    except OSError:
        return False  # no terminal, or not ours
