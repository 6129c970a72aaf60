"""What do descriptors cost on which nothing happens: time per wait, and memory?"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator

from bench import machine, process, waits
from bench.descriptors import counters
from bench.model import Case, Figure, Loop, Ratio, Row, Settings
from knote import EV_ADD, EVFILT_READ, NOTE_NODATA, kevent, kqueue

FEW = 10
MANY = (100, 1000, 10_000, 18_000)
ROOM = 16
FLAT = 1.1
"""What "no more" is taken to mean for a ratio of two waits."""
BYTES = 400
KINDS = ("eventfd", "pipe", "socketpair")


def memory(kind: str, count: int) -> Callable[[], float]:
    """Bytes of resident memory per registered descriptor, each time in a process of its own."""
    command = process.command("bench.memory", kind, str(count))

    def sample() -> float:
        ran = subprocess.run(command, env=process.environment(), check=True, capture_output=True, text=True)
        return float(ran.stdout)

    return sample


def watching(stack: contextlib.ExitStack, fds: list[int], name: str) -> Loop:
    """READ knotes on all of these, of which one is ready."""
    queue = stack.enter_context(kqueue())
    waits.register(queue, (kevent(fd, EVFILT_READ, EV_ADD, NOTE_NODATA) for fd in fds))
    assert [event.ident for event in queue.control(None, ROOM, 0)] == [fds[0]]
    return Loop(name, waits.control(queue, ROOM))


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """The same wait with one ready of few and of many; memory by kind of descriptor."""
    # 200 for the program itself.  All queues watch the same descriptors: the largest set is all.
    limit = machine.raise_descriptor_limit() - 200
    with contextlib.ExitStack() as stack:
        sizes = [settings.sized(many, least=FEW + 1) for many in MANY]
        sizes = [size for size in sizes if size <= limit]
        fds = stack.enter_context(counters(max(sizes), 1))
        few = watching(stack, fds[:FEW], f"{FEW} registered")
        made: list[Row] = [
            Ratio(
                f"1 ready of {size}, against 1 of {FEW}",
                watching(stack, fds[:size], f"{size} registered"),
                few,
                FLAT,
                "wait",
            )
            for size in sizes
        ]
        for kind in KINDS:
            count = settings.sized(min(limit, MANY[-1]) // (2 if kind == "pipe" else 1), least=FEW)
            name = f"memory per READ knote, {count} × {kind}"
            made.append(Figure(name, memory(kind, count), BYTES))
        yield made


CASE = Case("idle", "What do descriptors cost on which nothing happens?", rows)
