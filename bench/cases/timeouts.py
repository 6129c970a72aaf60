"""What does it cost to move one of N timers, as servers do at every message?

Each turn moves one of N pending timers an hour ahead.  knote does it by adding the timer again, one a call and a
hundred a call; asyncio and uvloop cancel and start; the libraries in C have a function for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator, Iterator
from time import perf_counter_ns
from typing import Any

from bench import peers
from bench.model import Case, Chart, Contender, Field, Loop, Row, Settings, Unavailable
from bench.team import Team
from knote import EV_ADD, EVFILT_TIMER, kevent, kqueue

TIMERS = (10, 100, 1000, 10_000, 100_000)
HOUR_MS = 3_600_000
AT_ONCE = 100
CHART = Chart("timers", "Moving one of N pending timers", "timers pending", "ns per timer moved")


def by_knote(queue: kqueue, count: int, at_once: int) -> Callable[[int], int]:
    """run(turns) by adding again."""
    every = [kevent(ident, EVFILT_TIMER, EV_ADD, 0, HOUR_MS) for ident in range(count)]
    queue.control(every, 0)
    lists = [every[start : start + at_once] for start in range(0, count, at_once)]
    calls = len(lists)

    def run(turns: int) -> int:
        start = perf_counter_ns()
        for turn in range(turns):
            queue.control(lists[turn % calls], 0)
        return perf_counter_ns() - start

    return run


def by_loop(stack: contextlib.ExitStack, loop: Any, count: int) -> Callable[[int], int]:
    """run(turns) by cancel() and call_later(), with a turn of the loop for each hundred."""
    stack.callback(loop.close)
    handles = [loop.call_later(3600, int) for _ in range(count)]
    stack.callback(lambda: [handle.cancel() for handle in handles])

    async def move(turns: int) -> int:
        start = perf_counter_ns()
        for turn in range(turns):
            handles[turn % count].cancel()
            handles[turn % count] = loop.call_later(3600, int)
            if not turn % 100:
                await asyncio.sleep(0)
        return perf_counter_ns() - start

    return lambda turns: loop.run_until_complete(move(turns))


def _uvloop() -> Any:
    try:
        import uvloop
    except ImportError:
        raise Unavailable("uvloop is not installed: pip install uvloop") from None
    return uvloop.new_event_loop()


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[Iterator[Row]]:
    """Ever more timers."""

    def places() -> Generator[Row, None, None]:
        for count in settings.along(TIMERS, 2):
            with contextlib.ExitStack() as stack:
                team = Team()

                def knote(name: str, at_once: int, count: int = count) -> Contender:
                    queue = stack.enter_context(kqueue())
                    return Loop(name, by_knote(queue, count, at_once), min(at_once, count))

                def loop(name: str, new: Callable[[], Any], count: int = count) -> Contender:
                    return Loop(name, by_loop(stack, new(), count))

                def c(peer: peers.Peer, count: int = count) -> Contender:
                    run = peers.timers(peer, count)
                    return Loop(peer.name, run)

                team.add("knote", lambda: knote("knote", 1))
                team.add(f"knote, {AT_ONCE} a call", lambda: knote(f"knote, {AT_ONCE} a call", AT_ONCE))
                team.add("asyncio", lambda: loop("asyncio", asyncio.SelectorEventLoop))
                team.add("uvloop", lambda: loop("uvloop", _uvloop))
                for peer in peers.PEERS:
                    if peer.timers:
                        team.add(peer.name, lambda peer=peer: c(peer))  # type: ignore[misc]
                yield Field(CHART, count, team.contenders, "asyncio", team.absent, "knote", unit="timer")

    with contextlib.closing(places()) as made:
        yield made


CASE = Case("timeouts", "What does it cost to move one of N timers?", rows)
