"""What does a queue cost that is watched by a queue that is watched by a queue?

A pipe has something to read; each level adds a queue around the one before, and the outermost is asked.  epoll(7)
allows five levels.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable, Iterator

from bench import native, waits
from bench.descriptors import pipes
from bench.model import Case, Chart, Contender, Field, Loop, Row, Settings
from bench.team import Team, default
from knote import EV_ADD, EVFILT_READ, NOTE_NODATA, kevent, kqueue

LEVELS = (1, 2, 3, 4, 5)
CHART = Chart("nested", "A wait on queues in queues", "queues, each watched by the next", "ns per wait")


def _queue(stack: contextlib.ExitStack, open: Callable[[], kqueue], fd: int, levels: int) -> kqueue:
    for _ in range(levels):
        queue = stack.enter_context(open())
        queue.control([kevent(fd, EVFILT_READ, EV_ADD, NOTE_NODATA)], 0)
        fd = queue.fileno()
    assert len(queue.control(None, 16, 0)) == 1
    return queue


def _epoll(stack: contextlib.ExitStack, fd: int, levels: int) -> select.epoll:
    for _ in range(levels):
        epoll = stack.enter_context(select.epoll())
        epoll.register(fd, select.EPOLLIN)
        fd = epoll.fileno()
    assert len(epoll.poll(0, 16)) == 1
    return epoll


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """One to five levels."""
    with contextlib.ExitStack() as stack:
        (fd,) = stack.enter_context(pipes(1, 1))
        made: list[Row] = []
        for levels in LEVELS:
            team = Team()

            def knote(name: str, open: Callable[[], kqueue], levels: int = levels) -> Contender:
                return Loop(name, waits.control(_queue(stack, open, fd, levels), 16))

            def python(levels: int = levels) -> Contender:
                return Loop("select.epoll", waits.poll(_epoll(stack, fd, levels), 16))

            def c(levels: int = levels) -> Contender:
                return Loop("C epoll", native.wait(_epoll(stack, fd, levels).fileno(), 16, 1))

            team.engines(knote)
            team.add("select.epoll", python)
            team.add("C epoll", c)
            made.append(Field(CHART, levels, team.contenders, "C epoll", team.absent, default(), unit="wait"))
        yield made


CASE = Case("nested", "What does a queue in a queue cost?", rows)
