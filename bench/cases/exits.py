"""What does it cost to learn how processes ended?

A thousand children end, and their statuses are collected and left for whoever waits for them.  By
hand, that is a pidfd each in a select.epoll, and waitid(2) of each that is ready.  The forks are not
counted, nor is the dying.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Iterator
from time import perf_counter_ns

from bench.model import Case, Contender, Ratio, Row, Settings
from knote import EV_ADD, EVFILT_PROC, NOTE_EXIT, kevent, kqueue

CHILDREN = 1000
TARGET = 1.2
Watch = Callable[[list[int]], None]
Collect = Callable[[int], dict[int, int]]


@contextlib.contextmanager
def children(count: int) -> Iterator[tuple[list[int], Callable[[], None]]]:
    """So many that wait, and what lets them end and returns when all have; they are waited for at the end."""
    listen, tell = os.pipe()
    told, up = os.pipe()
    pids = []
    for i in range(count):
        pid = os.fork()
        if not pid:
            os.close(tell)  # so that nobody is left behind should the parent be killed
            os.write(up, b"x")
            os.read(listen, 1)
            os._exit(i & 127)
        pids.append(pid)
    for _ in pids:
        os.read(told, 1)

    def end() -> None:
        os.write(tell, b"x" * count)
        for pid in pids:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    yield pids, end
    for pid in pids:
        os.waitpid(pid, 0)
    for fd in (listen, tell, told, up):
        os.close(fd)


class Ends(Contender):
    """One way of watching; nanoseconds per child."""

    def __init__(self, name: str, count: int, watch: Watch, collect: Collect, whole: bool) -> None:
        super().__init__(name)
        self._count = count
        self._watch = watch
        self._collect = collect
        self._whole = whole
        """Registering is counted, too."""

    def sample(self, seconds: float) -> float:
        """As Contender.sample; it takes as long as it takes."""
        with children(self._count) as (pids, end):
            begin = perf_counter_ns()
            self._watch(pids)
            registered = perf_counter_ns() - begin
            end()
            begin = perf_counter_ns()
            statuses = self._collect(self._count)
            taken = perf_counter_ns() - begin
            assert [statuses[pid] for pid in pids] == [i & 127 for i in range(self._count)]
        return (taken + registered if self._whole else taken) / self._count


def by_knote(queue: kqueue) -> tuple[Watch, Collect]:
    """EVFILT_PROC."""

    def watch(pids: list[int]) -> None:
        queue.control([kevent(pid, EVFILT_PROC, EV_ADD, NOTE_EXIT) for pid in pids], 0)

    def collect(count: int) -> dict[int, int]:
        statuses = {}
        while len(statuses) < count:
            for event in queue.control(None, count):
                statuses[event.ident] = event.data >> 8
        return statuses

    return watch, collect


def by_hand(poller: select.epoll) -> tuple[Watch, Collect]:
    """A pidfd each."""
    pidfds: dict[int, int] = {}

    def watch(pids: list[int]) -> None:
        for pid in pids:
            fd = os.pidfd_open(pid)
            poller.register(fd, select.EPOLLIN)
            pidfds[fd] = pid

    def collect(count: int) -> dict[int, int]:
        statuses = {}
        while pidfds:
            for fd, _ in poller.poll(-1, count):
                result = os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOWAIT)
                assert result is not None
                statuses[pidfds.pop(fd)] = result.si_status
                poller.unregister(fd)
                os.close(fd)
        return statuses

    return watch, collect


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """Collecting alone, and with the registering before it."""
    count = settings.sized(CHILDREN, 4)
    with kqueue() as queue, select.epoll() as poller:
        yield [
            Ratio(
                f"{count} children, {words}",
                Ends("PROC", count, *by_knote(queue), whole),
                Ends("pidfds in select.epoll", count, *by_hand(poller), whole),
                target,
                "child",
            )
            for words, whole, target in (
                ("collected", False, TARGET),
                ("registered and collected", True, None),
            )
        ]


CASE = Case("exits", "What does it cost to learn how processes ended?", rows, heavy=True)
