"""What does a request cost the server, on CPU?

The TCP upper-case server, with as many connections and bytes each way as a row says.  CPU time per request and not
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

from bench import machine, native, process
from bench.model import Case, Contender, Ratio, Row, Settings, Unavailable
from knote.apps import ring_probe

LOADS = {
    # connections, bytes: the most that a built-in service and a Python function may cost
    (64, 64): (0.9, 1.05),
    (64, 4096): (1.1, 1.35),
    (1024, 64): (1.0, 1.15),
    (1, 64): (1.1, None),
}
SECONDS = 0.25
"""Of a sample; with the load's warm-up, still less than the kernel grants to real-time tasks."""


class Server(Contender):
    """A server process on the measured core, up for the whole case and asked in its turn."""

    def __init__(
        self, name: str, server: subprocess.Popen[str], port: int, core: int, load: tuple[int, int]
    ) -> None:
        super().__init__(name)
        self._server = server
        self._port = port
        self._core = core
        """Where the load generator runs."""
        self._load = load

    def pids(self) -> list[int]:
        """The processes that serve."""
        return [self._server.pid]

    def sample(self, seconds: float) -> float:
        """Nanoseconds on CPU per request."""
        pids = self.pids()
        load = [
            str(native.program("load.c")),
            *map(str, (self._port, *self._load, seconds, *pids)),
        ]
        threads = [thread for pid in pids for thread in machine.threads_of(pid)]
        with machine.realtime(*threads), machine.pinned(self._core):
            ran = subprocess.run(load, capture_output=True, text=True, timeout=30, check=False)
        if ran.returncode:
            raise RuntimeError(f"{self.name}: {ran.stderr.strip() or ran.returncode}")
        requests, _, on_cpu = map(int, ran.stdout.split())
        return on_cpu / requests


@contextlib.contextmanager
def started(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process and its port, which its first line of output ends with; killed at the end."""
    with machine.pinned(machine.cores()[0]):
        server = subprocess.Popen(command, env=process.environment(), stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        first = server.stdout.readline()
        if not first:
            raise Unavailable(f"{' '.join(command)} did not start")
        yield server, int(first.rpartition(":")[2])
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


FLOOR = "C io_uring"
RINGED = {"": [], ", direct": ["direct"], ", registered": ["registered"], ", 32 at a time": ["waits=32"],
          ", received singly": ["single"], ", counted sends": ["counted"],
          ", 2048 buffers": ["pool=2048"]}  # fmt: skip
"""What C io_uring is called with which of its options; upper_ring.c says what they are."""


def ringed() -> dict[str, list[str]]:
    """The floor: a C server over knote serve's own calls of io_uring; nothing where io_uring is not to be had."""
    if ring_probe.why_not():
        return {}
    server = str(native.compiled("upper_ring.c", f"-I{native.KERNEL_ROOM}"))
    return {f"{FLOOR}{name}": [server, *options] for name, options in RINGED.items()}


def commands() -> dict[str, list[str]]:
    """Name → how it is started: ours, the one that they are compared with, and who is shown beside them."""
    knote = Path(sys.executable).with_name("knote")
    if not knote.exists():
        raise Unavailable("the command `knote` is not installed beside this Python")
    ours = [str(knote), "serve", "--port", "0", "--service"]
    made = {
        "knote serve": [*ours, "upper"],
        "knote serve, Python": [*ours, "bench.servers:upper"],
        "knote serve on epoll": [*ours, "upper", "--engine", "epoll"],
        "C epoll": [str(native.program("upper.c"))],
        **ringed(),
        "select.epoll by hand": process.command("bench.servers", "epoll"),
        "asyncio": process.command("bench.servers", "asyncio"),
    }
    if importlib.util.find_spec("uvloop"):
        made["uvloop"] = process.command("bench.servers", "uvloop")
    return made


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """Load on the server's core; of the first, on another where there is one."""
    here, there = machine.cores()
    seconds = max(SECONDS * settings.scale, 0.02)
    with contextlib.ExitStack() as stack:
        # A look has no time for the floor's options, nor for more than one load.
        up = {
            name: stack.enter_context(started(command))
            for name, command in commands().items()
            if not settings.places or name == FLOOR or not name.startswith(FLOOR)
        }

        def server(name: str, core: int, load: tuple[int, int]) -> Server:
            return Server(name, *up[name], core, load)

        def row(ours: str, load: tuple[int, int], target: float | None, core: int = here) -> Ratio:
            connections, size = load
            label = f"{ours}: upper, {connections} × {size} B" + (
                "" if core == here else ", load on another core"
            )
            beside: list[Contender] = []
            if ours == "knote serve" and load == (64, 64):
                beside = [server(name, core, load) for name in up if not name.startswith(("knote", "C "))]
            return Ratio(
                label, server(ours, core, load), server("C epoll", core, load), target, "request", beside,
                seconds,
            )  # fmt: skip

        made: list[Row] = []
        for load, (built_in, python) in list(LOADS.items())[: 1 if settings.places else None]:
            made.append(row("knote serve", load, built_in))
            if python is not None:
                made.append(row("knote serve, Python", load, python))
            made.append(row("knote serve on epoll", load, None))
            made += [row(name, load, None) for name in up if name == FLOOR or (load == (64, 64) and FLOOR in name)]
        if there != here:
            made.append(row("knote serve", (64, 64), None, there))
        yield made


CASE = Case("serve", "What does a request cost the server, on CPU?", rows)
