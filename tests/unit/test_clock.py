"""The heap of deadlines: in their order, stale entries skipped, the next one armed (S-469)."""

from __future__ import annotations

import random
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from knote import EV_ADD, EV_ONESHOT, NOTE_NSECONDS
from knote.clock import Clock
from knote.constants import NEVER
from knote.filewatch import FileWatch
from knote.filters.timer import Timer
from knote.host import Host
from knote.knote import Knote
from knote.ready import ReadyList
from knote.table import Table

MS = 1_000_000
FAR = 1_000_000 * MS
"""Nothing of these tests comes to pass by itself."""


@dataclass
class Bench:
    """A timer filter without a queue, and its clock."""

    clocks: list[Clock] = field(default_factory=list)

    def __post_init__(self) -> None:
        ready, resting = ReadyList(1), ReadyList(3)
        self.timers = Timer(
            Host(
                ready,
                resting,
                FileWatch(ready, resting, self._own),
                self._own,
                self._disown,
                self._open,
                Table(),
            )
        )

    def _own(self, _fd: int, _drain: object, edge: bool = False) -> int:
        return 0

    def _disown(self, _fd: int) -> None:
        pass

    def _open(self, number: int, _drain: object) -> Clock:
        self.clocks.append(Clock(number))
        return self.clocks[-1]

    @property
    def clock(self) -> Clock:
        (clock,) = self.clocks
        return clock

    def start(self, ns: int) -> Knote:
        """A one-shot timer that is due *ns* from now."""
        kn = Knote.__new__(Knote)
        kn.begin(1, self.timers, EV_ONESHOT, NOTE_NSECONDS, ns, None)
        assert self.timers.attach(kn) == 0
        return kn

    def expired(self, within: int) -> list[Knote]:
        """What the clock gives out if *within* ns had passed."""
        now, out = self.clock.now() + within, []
        while (kn := self.clock.expired(now)) is not None:
            out.append(kn)
        return out

    def fires(self, seconds: float = 0) -> bool:
        """The timerfd is readable within that time."""
        return bool(select.select([self.clock.fd], [], [], seconds)[0])


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    for clock in made.clocks:
        clock.close()


def test_it_is_the_clock_that_it_says() -> None:
    """S-467: periods go by CLOCK_MONOTONIC, absolute times by CLOCK_REALTIME."""
    for number in (time.CLOCK_MONOTONIC, time.CLOCK_REALTIME):
        clock = Clock(number)
        before = time.clock_gettime_ns(number)
        assert before <= clock.now() <= time.clock_gettime_ns(number)
        clock.close()
        clock.close()


def test_deadlines_come_in_their_order(bench: Bench) -> None:
    waits = list(range(1, 200))
    random.Random(1).shuffle(waits)
    # Seconds apart: each begins when it is made, and that may take a while.
    made = {wait: bench.start(FAR + wait * 1000 * MS) for wait in waits}
    assert bench.expired(0) == []
    assert bench.expired(FAR + 100_000 * MS) == [made[wait] for wait in range(1, 101)]
    assert bench.expired(2 * FAR) == [made[wait] for wait in range(101, 200)]


def test_one_that_was_deleted_does_not_come(bench: Bench) -> None:
    made = [bench.start(FAR + i) for i in range(300)]
    for kn in made[::2]:
        bench.timers.detach(kn)
    assert bench.expired(2 * FAR) == made[1::2]


def test_one_that_was_started_anew_comes_once_at_its_new_time(bench: Bench) -> None:
    """S-250."""
    first, second = bench.start(FAR), bench.start(2 * FAR)
    assert bench.timers.touch(first, EV_ADD, NOTE_NSECONDS, 3 * FAR) == 0
    assert bench.expired(5 * FAR) == [second, first]


def test_the_next_deadline_is_armed(bench: Bench) -> None:
    """S-465: the shortest one, however short, and not one that is gone."""
    soon = bench.start(0)
    assert bench.fires(5)
    bench.timers.detach(soon)
    bench.start(FAR)
    bench.clock.fired()
    bench.clock.arm()
    assert not bench.fires()


def test_what_never_comes_takes_no_entry(bench: Bench) -> None:
    """S-468, "Decided" 3: too long to represent is for ever."""
    bench.start((1 << 63) - 1)
    assert bench.expired(FAR) == []
    assert not bench.fires()
    assert NEVER == (1 << 63) - 1


def test_a_hundred_thousand_restarts_do_not_pile_up(bench: Bench) -> None:
    """Stale entries are swept: a server restarts its idle timer with each request."""
    kn = bench.start(FAR)
    for wait in range(100_000):
        bench.timers.touch(kn, EV_ADD, NOTE_NSECONDS, FAR + wait)
    assert bench.expired(2 * FAR) == [kn]
