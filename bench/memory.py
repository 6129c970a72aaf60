"""Resident memory per registered descriptor.  `python -m bench.memory KIND COUNT [MEANS]` prints bytes.

A process of its own, so that no freed memory of an earlier measurement is there to be used again.
"""

from __future__ import annotations

import contextlib
import importlib
import select
import selectors
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bench import machine
from bench.descriptors import counters, pipes, socket_ends
from knote import EV_ADD, EVFILT_READ, kevent, kqueue

BATCH = 100
Register = Callable[[Sequence[int]], None]


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


def nothing() -> None:
    """What a callback calls."""


def by(means: str) -> Register:
    """What registers descriptors with a fresh one of these, which stays until the process ends."""
    if means.startswith("knote"):
        queue = kqueue(engine=means.partition(":")[2] or None)
        return lambda fds: register(queue, fds)
    one: Callable[[int], Any]
    if means == "select.epoll":
        epoll = select.epoll()
        one = lambda fd: epoll.register(fd, select.EPOLLIN)  # noqa: E731
    elif means == "select.poll":
        poll = select.poll()
        one = lambda fd: poll.register(fd, select.POLLIN)  # noqa: E731
    elif means == "selectors":
        selector = selectors.DefaultSelector()
        one = lambda fd: selector.register(fd, selectors.EVENT_READ)  # noqa: E731
    else:
        loop = _loop(means)
        one = lambda fd: loop.add_reader(fd, nothing)  # noqa: E731

    def each(fds: Sequence[int]) -> None:
        for fd in fds:
            one(fd)

    return each


def _loop(means: str) -> Any:
    if means == "uvloop":
        return importlib.import_module("uvloop").new_event_loop()
    import asyncio

    if means == "asyncio":
        return asyncio.SelectorEventLoop(selectors.EpollSelector())
    return asyncio.SelectorEventLoop(importlib.import_module("knote.loops.selector").KqueueSelector())


def main(kind: str, count: int, means: str = "knote") -> None:
    """Print the bytes that each of count registrations took."""
    machine.raise_descriptor_limit()
    with opened(kind, count) as fds:
        # Twice, on two of them: what the first needs for itself is no part of the cost.
        by(means)(fds[:BATCH])
        again = by(means)
        resident()
        before = resident()
        again(fds)
        print((resident() - before) / count)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
