"""What does one of a million timers cost, on one descriptor?"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from functools import cache

from bench import process
from bench.model import Case, Figure, Row, Settings

COUNT = 1_000_000
FIGURES = {
    "memory": "bytes", "create": "ns", "re-add": "ns", "delete": "ns", "create, one shot": "ns", "fire": "ns",
}  # fmt: skip


@cache
def measured(count: int) -> dict[str, float]:
    """Once in each process of the run: a million timers take seconds."""
    command = process.command("bench.timers", str(count))
    ran = subprocess.run(command, env=process.environment(), check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def figure(name: str, count: int) -> Callable[[], float]:
    """One of them."""
    return lambda: measured(count)[name]


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """Bytes, and nanoseconds of each step."""
    count = settings.sized(COUNT, least=2000)
    yield [
        Figure(f"one of {count} timers: {name}", figure(name, count), None, unit, rounds=1)
        for name, unit in FIGURES.items()
    ]


CASE = Case("timers", "What does one of a million timers cost?", rows, heavy=True)
