"""What does it cost to wake another thread that waits?

Two threads take turns: each wakes the other and waits to be woken.  By hand, that is an eventfd in
the other's select.epoll, which has to be read empty again.

At ordinary priority the scheduler lets the woken thread run at once, while its waker is still in
the call that woke it: whatever that call holds then, the GIL or a lock, costs two more switches.
At real-time priority the waker goes on until it waits itself.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Iterator
from itertools import repeat
from queue import SimpleQueue
from threading import Semaphore, Thread
from time import perf_counter_ns

from bench.descriptors import counters, epoll_of
from bench.model import Case, Chart, Contender, Field, Loop, Ratio, Row, Settings, Unavailable
from bench.team import Team, default
from knote import EV_ADD, EV_CLEAR, EV_ONESHOT, EVFILT_USER, NOTE_TRIGGER, kevent, kqueue

TARGET = 1.3
CHART = Chart("wake", "Waking another thread that waits, at real-time priority", "", "ns per wake-up")


def ping_pong(ping: Callable[[int], None], pong: Callable[[int], None]) -> Callable[[int], int]:
    """run(turns): ping(turns) here while pong(turns) answers from another thread."""

    def run(turns: int) -> int:
        # One turn untimed: the other thread is up after it.
        other = Thread(target=pong, args=(turns + 1,))
        other.start()
        ping(1)
        start = perf_counter_ns()
        ping(turns)
        taken = perf_counter_ns() - start
        other.join()
        return taken

    return run


def with_user(ours: kqueue, theirs: kqueue) -> Callable[[int], int]:
    """Triggering EVFILT_USER."""
    trigger = [kevent(1, EVFILT_USER, 0, NOTE_TRIGGER)]
    for queue in (ours, theirs):
        queue.control([kevent(1, EVFILT_USER, EV_ADD | EV_CLEAR)], 0)

    def ping(turns: int) -> None:
        for _ in repeat(None, turns):
            theirs.control(trigger, 0)
            ours.control(None, 1, None)

    def pong(turns: int) -> None:
        for _ in repeat(None, turns):
            theirs.control(None, 1, None)
            ours.control(trigger, 0)

    return ping_pong(ping, pong)


def with_eventfd(fds: list[int], ours: select.epoll, theirs: select.epoll) -> Callable[[int], int]:
    """Writing to an eventfd, by hand."""
    mine, others = fds

    def ping(turns: int) -> None:
        for _ in repeat(None, turns):
            os.eventfd_write(others, 1)
            ours.poll(None, 1)
            os.eventfd_read(mine)

    def pong(turns: int) -> None:
        for _ in repeat(None, turns):
            theirs.poll(None, 1)
            os.eventfd_read(others)
            os.eventfd_write(mine, 1)

    return ping_pong(ping, pong)


def tried(name: str, stack: contextlib.ExitStack, open: Callable[[], kqueue]) -> Contender:
    """knote on an engine.  Unavailable where a queue serves its own thread only: that turn would never end."""
    ours, theirs = stack.enter_context(open()), stack.enter_context(open())
    trigger = [kevent(2, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER)]
    said: list[object] = []

    def other() -> None:
        try:
            theirs.control(trigger, 0)
            said.extend(theirs.control(None, 1, 1.0))
        except Exception as error:
            said.append(error)

    thread = Thread(target=other)
    theirs.control(None, 1, 0)  # now it is this thread's, if it is anybody's
    thread.start()
    thread.join()
    if not said or isinstance(said[0], Exception):
        raise Unavailable(f"another thread cannot use its queue: {said[0] if said else 'no event'}")
    return Loop(name, with_user(ours, theirs), 2)


def everybody(stack: contextlib.ExitStack) -> Field:
    """Each engine, and what Python has."""
    team = Team()
    team.engines(lambda name, open: tried(name, stack, open))
    fds = stack.enter_context(counters(2))
    polls = [stack.enter_context(epoll_of(fds[i : i + 1])) for i in range(2)]
    team.add("select.epoll", lambda: Loop("select.epoll", with_eventfd(fds, *polls), 2))
    team.add("threading.Semaphore", lambda: Loop("threading.Semaphore", with_semaphores(), 2))
    team.add("queue.SimpleQueue", lambda: Loop("queue.SimpleQueue", with_queues(), 2))
    return Field(CHART, 1, team.contenders, "select.epoll", team.absent, default(), unit="wake-up", seconds=0.01)


def with_semaphores() -> Callable[[int], int]:
    """What threads have that wait for nothing else."""
    mine, others = Semaphore(0), Semaphore(0)

    def ping(turns: int) -> None:
        for _ in repeat(None, turns):
            others.release()
            mine.acquire()

    def pong(turns: int) -> None:
        for _ in repeat(None, turns):
            others.acquire()
            mine.release()

    return ping_pong(ping, pong)


def with_queues() -> Callable[[int], int]:
    """The queue of the standard library that is written in C."""
    mine: SimpleQueue[None] = SimpleQueue()
    others: SimpleQueue[None] = SimpleQueue()

    def ping(turns: int) -> None:
        for _ in repeat(None, turns):
            others.put(None)
            mine.get()

    def pong(turns: int) -> None:
        for _ in repeat(None, turns):
            others.get()
            mine.put(None)

    return ping_pong(ping, pong)


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """Two threads on one core, at either priority."""
    with (
        kqueue() as ours,
        kqueue() as theirs,
        counters(2) as fds,
        epoll_of(fds[:1]) as mine,
        epoll_of(fds[1:]) as others,
        contextlib.ExitStack() as stack,
    ):
        made: list[Row] = [
            Ratio(
                f"waking a thread that waits, {priority} priority",
                Loop("USER", with_user(ours, theirs), 2),
                Loop("eventfd in select.epoll", with_eventfd(fds, mine, others), 2),
                TARGET,
                "wake-up",
                realtime=priority == "real-time",
            )
            for priority in ("ordinary", "real-time")
        ]
        yield [*made, everybody(stack)]


CASE = Case("wake", "What does it cost to wake another thread?", rows)
