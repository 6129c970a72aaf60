"""What do N changes and a wait cost, in one call and in many?

Each turn changes the kernel's mask of N sockets (a WRITE knote is added to, or deleted from, each that is watched
for READ) and waits, which finds one descriptor ready.  For kqueue that is one call; by hand, an epoll_ctl each.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable, Iterator
from time import perf_counter_ns

from bench import native, waits
from bench.descriptors import epoll_of, full_sockets, pipes
from bench.model import Case, Chart, Contender, Field, Loop, Row, Settings, Unavailable
from bench.team import Team, default
from knote import EV_ADD, EV_DELETE, EVFILT_READ, EVFILT_WRITE, NOTE_NODATA, kevent, kqueue

CHANGES = (1, 2, 4, 16, 64, 256, 1024)
ROOM = 16
NARROW = select.EPOLLIN | select.EPOLLRDHUP
WIDE = NARROW | select.EPOLLOUT
CHART = Chart("changes", "N changes and a wait", "changes in the list", "ns per change")


def with_lists(queue: kqueue, fds: list[int], ready: int) -> Callable[[int], int]:
    """One control() a turn."""
    waits.register(queue, (kevent(fd, EVFILT_READ, EV_ADD, NOTE_NODATA) for fd in [*fds, ready]))
    adds = [kevent(fd, EVFILT_WRITE, EV_ADD, NOTE_NODATA) for fd in fds]
    deletes = [kevent(fd, EVFILT_WRITE, EV_DELETE) for fd in fds]
    lists = (adds, deletes)
    for changes in lists:
        found = [event.ident for event in queue.control(changes, ROOM, 0)]
        if found != [ready]:
            raise Unavailable(f"told of {found} where {ready} is ready")
    state = [0]

    def run(turns: int) -> int:
        first = state[0]
        state[0] = (first + turns) & 1
        start = perf_counter_ns()
        for turn in range(first, first + turns):
            queue.control(lists[turn & 1], ROOM, 0)
        return perf_counter_ns() - start

    return run


def by_hand(epoll: select.epoll, fds: list[int]) -> Callable[[int], int]:
    """select.epoll.modify on each, and a poll."""

    def run(turns: int) -> int:
        start = perf_counter_ns()
        for turn in range(turns):
            mask = NARROW if turn & 1 else WIDE
            for fd in fds:
                epoll.modify(fd, mask)
            epoll.poll(0, ROOM)
        return perf_counter_ns() - start

    return run


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """Lists of ever more changes."""
    sizes = settings.along(CHANGES)
    with contextlib.ExitStack() as stack:
        (ready,) = stack.enter_context(pipes(1, 1))
        ends: list[int] = []
        made: list[Row] = []
        for size in sizes:
            # Not all at once: select(2) has no numbers for the longest list, and has them for the others.
            ends += stack.enter_context(full_sockets(size - len(ends)))
            fds = ends[:size]
            team = Team()

            def knote(name: str, open: Callable[[], kqueue], fds: list[int] = fds) -> Contender:
                return Loop(name, with_lists(stack.enter_context(open()), fds, ready), len(fds))

            team.engines(knote)

            def python(fds: list[int] = fds) -> Contender:
                epoll = stack.enter_context(epoll_of(fds, NARROW))
                epoll.register(ready, NARROW)
                return Loop("select.epoll", by_hand(epoll, fds), len(fds))

            def c(fds: list[int] = fds) -> Contender:
                epoll = stack.enter_context(epoll_of(fds, NARROW))
                epoll.register(ready, NARROW)
                return Loop("C epoll", native.change_wait(epoll.fileno(), fds, WIDE, NARROW, 1), len(fds))

            team.add("select.epoll", python)
            team.add("C epoll", c)
            made.append(
                Field(CHART, size, team.contenders, "C epoll", team.absent, default(), unit="change")
            )
        yield made


CASE = Case("lists", "What do N changes and a wait cost, in one call and in many?", rows)
