"""What does it cost to start: to import knote, and to open a queue?

CPU time of a fresh interpreter that imports it, less that of one that imports nothing, in the same round.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from time import perf_counter_ns

from bench.model import Case, Chart, Contender, Field, Figure, Loop, Row, Settings, Unavailable
from bench.team import Team, default
from knote import kqueue

TARGET_MS = 15.0
MODULES = ("select", "selectors", "asyncio", "uvloop", "trio", "gevent", "twisted.internet.reactor")
IMPORTS = Chart("import", "An import, beyond the interpreter's start", "", "ms of CPU time")
OPENING = Chart("open", "Opening and closing a queue", "", "ns")


def cpu_ms(code: str) -> float:
    """Of an interpreter that runs it."""
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise Unavailable(f"{code!r} ended with {os.waitstatus_to_exitcode(status)}")
    return (used.ru_utime + used.ru_stime) * 1000


def beyond(code: str) -> float:
    """What the code adds to an interpreter's start."""
    nothing = cpu_ms("pass")
    return cpu_ms(code) - nothing


class Import(Contender):
    """Milliseconds and no nanoseconds."""

    def __init__(self, module: str) -> None:
        super().__init__(module)
        if not find_spec(module.partition(".")[0]):
            raise Unavailable("not installed")

    def sample(self, seconds: float) -> float:
        """At least a tenth: the difference of two figures may be less than nothing."""
        # knote binds its names when one is asked for.
        code = "from knote import kqueue" if self.name == "knote" else f"import {self.name}"
        return max(beyond(code), 0.1)


def _opening(open: Callable[[], contextlib.AbstractContextManager[object]]) -> Callable[[int], int]:
    def run(turns: int) -> int:
        start = perf_counter_ns()
        for _ in range(turns):
            with open():
                pass
        return perf_counter_ns() - start

    return run


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """The figure with its target, and two pictures."""
    import select

    team = Team()
    team.add("knote", lambda: Import("knote"))
    for module in MODULES:
        team.add(module, lambda module=module: Import(module))  # type: ignore[misc]
    queues = Team()

    def knote(name: str, open: Callable[[], kqueue]) -> Contender:
        open().close()
        return Loop(name, _opening(open))

    queues.engines(knote)
    queues.add("select.epoll", lambda: Loop("select.epoll", _opening(select.epoll)))
    yield [
        Figure(
            "from knote import kqueue, beyond the interpreter's start",
            lambda: beyond("from knote import kqueue"),
            TARGET_MS,
            "ms",
            15,
        ),
        Field(IMPORTS, 1, team.contenders, "asyncio", team.absent, "knote", unit="import"),
        Field(OPENING, 1, queues.contenders, "select.epoll", queues.absent, default(), unit="queue"),
    ]


CASE = Case("start", "What does it cost to start?", rows)
