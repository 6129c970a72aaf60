"""Play a scenario and write down what came back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

from tests.oracle import names, ops
from tests.oracle.trace import Scenario, answer_text
from tests.oracle.world import Api, Queue, World

PLAY: Final = Path(__file__).with_name("play.py")
NOT_REACHED: Final = "not reached"
STALL_MS: Final = 100.0
"""A step that takes so much longer than it asked for was not let run; the recorded periods are 4 times that."""
PATIENT: Final = frozenset({"accept", "child", "connect", "poll", "settle", "wait"})
"""Operations that wait for somebody else, as long as that takes."""


class Outcome(NamedTuple):
    """The answer to one step."""

    text: str
    elapsed_ms: float = 0.0
    crash: str = ""
    """The traceback of an exception that no kqueue may raise; empty in all other cases."""
    since_ms: float = 0.0
    """How long ago the step before had ended."""


class Hang(Exception):
    """The scenario took longer than all its waits together and then some."""


class Knote:
    """The importable knote on one engine; None is the default engine."""

    def __init__(self, engine: str | None = None) -> None:
        import knote

        self._knote: Any = knote
        self._engine = engine
        self.kevent = knote.kevent

    def kqueue(self) -> Queue:
        """A new queue on the engine."""
        queue = self._knote.kqueue(engine=self._engine) if self._engine else self._knote.kqueue()
        return queue  # type: ignore[no-any-return]

    def fromfd(self, fd: int) -> Queue:
        """An object for a descriptor (S-294)."""
        return self._knote.kqueue.fromfd(fd)  # type: ignore[no-any-return]


@contextmanager
def _watchdog(seconds: float) -> Iterator[None]:
    """Raise Hang in the main thread after *seconds*: a wait runs signal handlers (S-310)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def bark(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"still waiting after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _one(world: World, scenario: Scenario, index: int, before: float) -> Outcome:
    step = scenario.steps[index]
    began = time.monotonic()
    crash = ""
    try:
        if step["op"] == "kevent":
            answer = ops.kevent(world, step, scenario.events(index))
        else:
            answer = ops.OPS[step["op"]](world, step)
        text = answer_text(step["op"], answer)
    except OSError as error:
        # Without errno it is our own patience that ended (accept, connect), not an answer of the
        # kernel.
        text = f"-1 {names.errno_text(error.errno)}" if error.errno else f"no answer: {error}"
    except Hang:
        raise
    except Exception as error:
        text = f"raised {type(error).__name__}: {error}"
        crash = traceback.format_exc()
    now = time.monotonic()
    return Outcome(text, (now - began) * 1000, crash, (now - before) * 1000)


def run(world: World, scenario: Scenario) -> list[Outcome]:
    """Every step in the given world; one outcome per step."""
    unknown = {step["op"] for step in scenario.steps} - {"kevent", *ops.OPS}
    if unknown:
        raise LookupError(
            f"{scenario.name}: the player has no operation {', '.join(sorted(unknown))}"
        )
    outcomes: list[Outcome] = []
    before = time.monotonic()
    try:
        with _watchdog(scenario.patience_s):
            for index in range(len(scenario.steps)):
                outcomes.append(_one(world, scenario, index, before))
                before = time.monotonic()
    except Hang as hang:
        outcomes.append(
            Outcome(f"hangs: {hang}", scenario.patience_s * 1000, traceback.format_exc())
        )
    missing = len(scenario.steps) - len(outcomes)
    return outcomes + [Outcome(NOT_REACHED)] * missing


def play(scenario: Scenario, api: Api) -> list[Outcome]:
    """Every step in this process and in a world of its own."""
    with World(api) as world:
        return run(world, scenario)


def play_apart(scenario: Scenario, engine: str | None) -> list[Outcome]:
    """The same in a process of its own, whose signals, mask and children are its own."""
    import knote

    where = Path(knote.__file__).resolve().parent.parent
    paths = [str(where), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, str(PLAY), "--emit"]
    if engine:
        command += ["--engine", engine]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        input=scenario.as_json().encode(),
        capture_output=True,
        timeout=scenario.patience_s * 2,
        check=False,
    )
    if done.returncode:
        crash = done.stderr.decode(errors="replace")
        first = Outcome(f"the process ended with {done.returncode}", 0.0, crash)
        return [first] + [Outcome(NOT_REACHED)] * (len(scenario.steps) - 1)
    return [Outcome(*row) for row in json.loads(done.stdout)]


def stalled(scenario: Scenario, outcomes: list[Outcome]) -> bool:
    """Whether the process was kept from running meanwhile: a sleep of 600 ms that takes 900 sees one period of a
    timer more.  That is asked of how long the steps took, whatever they answered."""
    return any(
        outcome.since_ms > (step.get("timeout_ms") or step.get("ms") or 0) + STALL_MS
        for step, outcome in zip(scenario.steps, outcomes, strict=True)
        if step["op"] not in PATIENT
    )


def play_on_knote(scenario: Scenario, engine: str | None) -> list[Outcome]:
    """On the importable knote, apart where the scenario's signals or children ask for it."""
    if scenario.isolated:
        return play_apart(scenario, engine)
    return play(scenario, Knote(engine))
