"""What does a registration take of memory, engine by engine and by other means?

Resident memory per eventfd that is watched, each time in a process of its own (see memory.py); what the kernel
keeps for itself is not in it.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from bench import process
from bench.model import Case, Chart, Contender, Field, Row, Settings, Unavailable
from bench.team import Team, default

COUNT = 5000
CHART = Chart("memory", "Memory for a descriptor that is watched", "", "bytes per descriptor")
MEANS = ("select.epoll", "select.poll", "selectors", "asyncio", "asyncio on knote", "uvloop")


class Memory(Contender):
    """Bytes and no nanoseconds."""

    def __init__(self, name: str, means: str, count: int) -> None:
        super().__init__(name)
        self._command = process.command("bench.memory", "eventfd", str(count), means)
        # Whoever cannot is absent from the start; for the round that warms up the answer is good enough.
        self._first: float | None = self._measured()

    def sample(self, seconds: float) -> float:
        """Bytes per descriptor."""
        first, self._first = self._first, None
        return self._measured() if first is None else first

    def _measured(self) -> float:
        ran = subprocess.run(
            self._command, env=process.environment(), check=False, capture_output=True, text=True
        )
        if ran.returncode:
            raise Unavailable((ran.stderr.strip() or str(ran.returncode)).splitlines()[-1])
        # A ratio is taken, too, and nothing at all would have none.
        return max(float(ran.stdout), 1.0)


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """One picture."""
    count, team = settings.sized(COUNT, least=10), Team()
    team.engines(lambda name, _open: Memory(name, f"knote:{name.partition(' ')[2]}", count))
    for means in MEANS:
        team.add(means, lambda means=means: Memory(means, means, count))  # type: ignore[misc]
    yield [Field(CHART, count, team.contenders, "selectors", team.absent, default(), unit="descriptor")]


CASE = Case("footprint", "What does a registration take of memory?", rows, heavy=True)
