"""What does a change cost that the kernel has to be told of?

A WRITE knote added to, then deleted from, a descriptor watched for READ: one EPOLL_CTL_MOD each, so
the peer is as many of them from C.  The kevents are made beforehand, as a program does that has a
fixed set of connections.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable, Iterator
from itertools import repeat
from time import perf_counter_ns

from bench import native, waits
from bench.descriptors import epoll_of, socket_ends
from bench.model import Case, Loop, Ratio, Row, Settings
from knote import EV_ADD, EV_DELETE, EVFILT_READ, EVFILT_WRITE, kevent, kqueue

CHANGES = 1000
TARGET = 1.2
NARROW = select.EPOLLIN | select.EPOLLRDHUP
WIDE = NARROW | select.EPOLLOUT


def control(queue: kqueue, adds: list[kevent], deletes: list[kevent]) -> Callable[[int], int]:
    """run(turns); each turn is one control() with all the adds and one with all the deletes."""

    def run(turns: int) -> int:
        start = perf_counter_ns()
        for _ in repeat(None, turns):
            queue.control(adds, 0)
            queue.control(deletes, 0)
        return perf_counter_ns() - start

    return run


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """Connected sockets."""
    count = settings.sized(CHANGES)
    with (
        socket_ends(count) as fds,
        epoll_of(fds, NARROW) as epoll,
        kqueue() as queue,
    ):
        waits.register(queue, (kevent(fd, EVFILT_READ, EV_ADD) for fd in fds))
        adds = [kevent(fd, EVFILT_WRITE, EV_ADD) for fd in fds]
        deletes = [kevent(fd, EVFILT_WRITE, EV_DELETE) for fd in fds]
        yield [
            Ratio(
                f"WRITE added and deleted, {count} in one control()",
                Loop("control()", control(queue, adds, deletes), 2 * count),
                Loop("C epoll_ctl", native.modify(epoll.fileno(), fds, WIDE, NARROW), 2 * count),
                TARGET,
                "change",
            )
        ]


CASE = Case("changes", "What does a change cost that the kernel must be told of?", rows)
