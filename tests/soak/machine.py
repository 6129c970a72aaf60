"""The same rules for hypothesis, which finds less and explains better: its failures are short and are kept.

tests/unit/test_model_short.py runs a little of it; `python -m tests.soak.machine` more.
"""

from __future__ import annotations

import random
import socket
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from knote import EVFILT_READ, EVFILT_TIMER, EVFILT_USER, EVFILT_WRITE
from tests.soak import maker
from tests.soak.player import QUEUES, SLOTS, Player

ENDS = st.integers(0, 2 * SLOTS - 1)
SIZES = st.one_of(st.sampled_from(maker.SIZES), st.just(maker.MUCH))
FLAGS = st.one_of(
    st.sampled_from(maker.USUAL),
    st.lists(st.sampled_from(maker.ACTIONS), unique=True).map(sum),
)
UDATA = st.integers(1, 9)


@st.composite
def fd_changes(draw: st.DrawFn) -> tuple[Any, ...]:
    """READ or WRITE on one of the ends."""
    notes, data = draw(st.sampled_from(maker.FD_NOTES))
    number = draw(st.sampled_from((EVFILT_READ, EVFILT_WRITE)))
    return ("end", draw(ENDS)), number, draw(FLAGS), notes, data, draw(UDATA)


@st.composite
def other_changes(draw: st.DrawFn) -> tuple[Any, ...]:
    """USER, TIMER, and what does not exist."""
    number = draw(st.sampled_from((EVFILT_USER, EVFILT_TIMER, 0, 5, -31)))
    notes, data = draw(st.sampled_from(maker.TIMER_NOTES))
    if number == EVFILT_USER:
        notes, data = draw(st.sampled_from(maker.USER_NOTES)), draw(st.integers(-2, 9))
    return draw(st.integers(0, 2)), number, draw(FLAGS), notes, data, draw(UDATA)


CHANGES = st.one_of(fd_changes(), fd_changes(), other_changes())


class Machine(RuleBasedStateMachine):
    """Rules make steps; the player compares."""

    def __init__(self) -> None:
        super().__init__()
        self._player = Player()

    def teardown(self) -> None:
        self._player.close()

    @rule(slot=st.integers(0, SLOTS - 1), kind=st.sampled_from(("pipe", "pair")))
    def open(self, slot: int, kind: str) -> None:
        self._player.play(("open", slot, kind))

    @rule(end=ENDS)
    def close(self, end: int) -> None:
        self._player.play(("close", end))

    @rule(end=ENDS, how=st.sampled_from((socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR)))
    def shutdown(self, end: int, how: int) -> None:
        self._player.play(("shutdown", end, int(how)))

    @rule(end=ENDS, n=SIZES)
    def write(self, end: int, n: int) -> None:
        self._player.play(("write", end, n))

    @rule(end=ENDS, n=SIZES)
    def read(self, end: int, n: int) -> None:
        self._player.play(("read", end, n))

    @rule(queue=st.integers(0, QUEUES - 1))
    def poll(self, queue: int) -> None:
        self._player.play(("poll", queue))

    @rule(
        queue=st.integers(0, QUEUES - 1),
        changes=st.lists(CHANGES, max_size=20),
        maxevents=st.sampled_from((0, 1, 3, 64)),
        patient=st.booleans(),
    )
    def control(self, queue: int, changes: list[Any], maxevents: int, patient: bool) -> None:
        self._player.play(("control", queue, changes, maxevents, patient))


def short(examples: int, steps: int = 30) -> settings:
    """Settings for a run of so many examples."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def play(settings: settings) -> None:
    """Run the machine."""
    run_state_machine_as_test(Machine, settings=settings)


if __name__ == "__main__":
    print(f"seed {(seed := random.randrange(1 << 32))}")
    random.seed(seed)
    play(short(2000, 60))
    print("no difference")
