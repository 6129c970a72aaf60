"""What does a request cost the server, on CPU?

The TCP upper-case server with 64 connections, 64 bytes each way.  CPU time per request and not
requests per second is compared: the load generator, one thread, is the limit as soon as the server
is fast.  Most of it is the kernel's TCP, for everybody.
"""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import machine, native
from bench.model import Case, Contender, Ratio, Row, Settings, Unavailable

CONNECTIONS, SIZE = 64, 64
TARGET = 1.35
SECONDS = 0.25
"""Of a sample; with the load's warm-up, still less than the kernel grants to real-time tasks."""
ROOT = Path(__file__).parents[2]


class Server(Contender):
    """A server process on the measured core, up for the whole case and asked in its turn."""

    def __init__(self, name: str, process: subprocess.Popen[str], port: int, core: int) -> None:
        super().__init__(name)
        self._process = process
        self._port = port
        self._core = core
        """Where the load generator runs."""

    def sample(self, seconds: float) -> float:
        """Nanoseconds on CPU per request."""
        pid = self._process.pid
        load = [
            str(native.program("load.c")),
            *map(str, (self._port, CONNECTIONS, SIZE, seconds, pid)),
        ]
        with machine.realtime(*machine.threads_of(pid)), machine.pinned(self._core):
            ran = subprocess.run(load, capture_output=True, text=True, timeout=30, check=False)
        if ran.returncode:
            raise RuntimeError(f"{self.name}: {ran.stderr.strip() or ran.returncode}")
        requests, _, on_cpu = map(int, ran.stdout.split())
        return on_cpu / requests


@contextlib.contextmanager
def started(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process and its port, which its first line of output ends with; killed at the end."""
    with machine.pinned(machine.cores()[0]):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        if not first:
            raise Unavailable(f"{' '.join(command)} did not start")
        yield process, int(first.rpartition(":")[2])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def commands() -> dict[str, list[str]]:
    """Name → how it is started; the first two are compared, the others shown beside them."""
    knote = Path(sys.executable).with_name("knote")
    if not knote.exists():
        raise Unavailable("the command `knote` is not installed beside this Python")
    mine = [sys.executable, "-m", "bench.servers"]
    made = {
        "knote serve": [str(knote), "serve", "--service", "upper", "--port", "0"],
        "C epoll": [str(native.program("upper.c"))],
        "select.epoll by hand": [*mine, "epoll"],
        "asyncio": [*mine, "asyncio"],
    }
    if importlib.util.find_spec("uvloop"):
        made["uvloop"] = [*mine, "uvloop"]
    return made


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """Load on the server's core, and on another where there is one."""
    here, there = machine.cores()
    seconds = max(SECONDS * settings.scale, 0.02)
    with contextlib.ExitStack() as stack:
        up = {
            name: stack.enter_context(started(command)) for name, command in commands().items()
        }

        def row(name: str, core: int, target: float | None) -> Ratio:
            ours, peer, *beside = (
                Server(server, process, port, core) for server, (process, port) in up.items()
            )
            label = f"upper, {CONNECTIONS} connections × {SIZE} B, load on {name}"
            return Ratio(label, ours, peer, target, "request", beside, seconds)

        made: list[Row] = [row("the same core", here, TARGET)]
        if there != here:
            made.append(row("another core", there, None))
        yield made


CASE = Case("serve", "What does a request cost the server, on CPU?", rows)
