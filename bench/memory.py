"""Resident memory per registered descriptor.  `python -m bench.memory KIND COUNT` prints bytes.

A process of its own, so that no freed memory of an earlier measurement is there to be used again.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence

from bench import machine
from bench.descriptors import counters, pipes, socket_ends
from knote import EV_ADD, EVFILT_READ, kevent, kqueue

BATCH = 100


@contextlib.contextmanager
def opened(kind: str, count: int) -> Iterator[list[int]]:
    """count descriptors to read from, none of them ready."""
    if kind == "eventfd":
        with counters(count) as fds:
            yield fds
    elif kind == "pipe":
        with pipes(count, 0) as fds:
            yield fds
    else:
        with socket_ends(count) as fds:
            yield fds


def resident() -> int:
    """Bytes of this process in memory, exactly: statm is only brought up to date now and then."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as rollup:
        for line in rollup:
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/smaps_rollup says nothing of Rss")


def register(queue: kqueue, fds: Sequence[int]) -> None:
    """READ knotes on all of these; few kevents live at a time, as they are no part of the cost."""
    for start in range(0, len(fds), BATCH):
        queue.control([kevent(fd, EVFILT_READ, EV_ADD) for fd in fds[start : start + BATCH]], 0)


def main(kind: str, count: int) -> None:
    """Print the bytes that each of count registrations took."""
    machine.raise_descriptor_limit()
    with opened(kind, count) as fds, kqueue() as warm, kqueue() as queue:
        register(warm, fds[:BATCH])
        warm.control(None, 1, 0)
        resident()
        before = resident()
        register(queue, fds)
        print((resident() - before) / count)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
