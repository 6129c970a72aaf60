"""What does a request cost CPython's proactor loop on completion ports, beside asyncio's selector loop?

The TCP upper-case server with 64 connections, 64 bytes each way, as a Protocol and on streams, by CPU time.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator

from bench import machine
from bench.cases.serve import SECONDS, Server, started
from bench.model import Case, Ratio, Row, Settings

CONNECTIONS, SIZE = 64, 64
TARGET = 1.0
LOOPS = ("proactor", "selector", "uvloop", "rloop")
"""The first two are compared, the others shown beside them where they are installed."""


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """A row for each way to write the service."""
    _, there = machine.cores()
    seconds = max(SECONDS * settings.scale, 0.02)
    names = [name for name in LOOPS if name in LOOPS[:2] or importlib.util.find_spec(name)]
    with contextlib.ExitStack() as stack:

        def row(style: str) -> Ratio:
            def server(name: str) -> Server:
                command = [sys.executable, "-m", "bench.servers", f"{name}-{style}"]
                return Server(name, *stack.enter_context(started(command)), there, (CONNECTIONS, SIZE))

            ours, peer, *beside = (server(name) for name in names)
            label = f"upper as {style}, {CONNECTIONS} connections × {SIZE} B"
            return Ratio(label, ours, peer, TARGET, "request", beside, seconds)

        yield [row("protocol"), row("streams")]


CASE = Case("proactor", "What does a request cost a proactor loop?", rows)
