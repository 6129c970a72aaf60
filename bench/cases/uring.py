"""What do the engines over io_uring save?

Each against what C does with epoll.  Changes: a WRITE knote added to, then deleted from, sockets watched for READ whose
buffers are full, each list with a wait; data: of TCP sockets; edges: only collecting them is timed, not the writes
that make them nor the reads that take them back.  Beside each, the default engine.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable, Iterator
from itertools import repeat
from time import perf_counter_ns

from bench import native, waits
from bench.descriptors import WORD, epoll_of, spread, tcp_sockets
from bench.model import Case, Loop, Ratio, Row, Settings, Unavailable
from knote import EV_ADD, EV_CLEAR, EV_DELETE, EVFILT_READ, EVFILT_WRITE, NOTE_NODATA, kevent, kqueue

CHANGES, SOCKETS = 64, 64
REGISTERED, ACTIVE = 1000, 100
NARROW = select.EPOLLIN | select.EPOLLRDHUP
WIDE = NARROW | select.EPOLLOUT


def opened(stack: contextlib.ExitStack, engine: str) -> kqueue:
    """A queue on that engine."""
    try:
        return stack.enter_context(kqueue(engine=engine))
    except OSError as error:
        raise Unavailable(f"engine {engine!r}: {error}") from None


def full_ends(stack: contextlib.ExitStack, count: int) -> list[int]:
    """count ends of connected sockets: nothing to read, and no room to write."""
    ends = []
    for _ in range(count):
        one, other = socket.socketpair()
        stack.enter_context(one)
        stack.enter_context(other)
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                one.send(bytes(4096))
        ends.append(one.fileno())
    return ends


def turns_of(queue: kqueue, lists: list[list[kevent]]) -> Callable[[int], int]:
    """run(turns); each turn is one control() with each list, which also waits."""

    def run(turns: int) -> int:
        start = perf_counter_ns()
        for _ in repeat(None, turns):
            for changes in lists:
                queue.control(changes, 8, 0)
        return perf_counter_ns() - start

    return run


def changes(stack: contextlib.ExitStack, count: int) -> Ratio:
    """Lists of count changes and a wait."""
    fds = full_ends(stack, count)
    lists = [
        [kevent(fd, EVFILT_WRITE, EV_ADD) for fd in fds],
        [kevent(fd, EVFILT_WRITE, EV_DELETE) for fd in fds],
    ]
    epoll = stack.enter_context(epoll_of(fds, NARROW))
    loops = []
    for engine in ("uring", "epoll"):
        queue = opened(stack, engine)
        waits.register(queue, (kevent(fd, EVFILT_READ, EV_ADD) for fd in fds))
        loops.append(Loop(f"{engine}: control()", turns_of(queue, lists), 2 * count))
    peer = native.modify_wait(epoll.fileno(), fds, WIDE, NARROW)
    return Ratio(
        f"{count} changes of the mask and a wait",
        loops[0], Loop("C epoll_ctl and epoll_wait", peer, 2 * count), 0.85, "change", [loops[1]],
    )  # fmt: skip


def data(stack: contextlib.ExitStack, count: int) -> Ratio:
    """Exact data of count TCP sockets, all ready."""
    fds = stack.enter_context(tcp_sockets(count))
    room = count + 16
    epoll = stack.enter_context(epoll_of(fds))
    loops = []
    for engine in ("uring", "epoll"):
        queue = opened(stack, engine)
        waits.register(queue, (kevent(fd, EVFILT_READ, EV_ADD) for fd in fds))
        waits.agree(queue, epoll, room, count)
        loops.append(Loop(f"{engine}: READ", waits.control(queue, room), count))
    exact = native.wait_fionread(epoll.fileno(), room, count * len(WORD))
    return Ratio(
        f"data of {count} TCP sockets",
        loops[0], Loop("C epoll_wait + FIONREAD", exact, count), 0.8, "event", [loops[1]],
    )  # fmt: skip


class Edges:
    """Pipes of which some are written to; collecting is timed, and writing and reading are not."""

    def __init__(self, stack: contextlib.ExitStack, count: int, active: int) -> None:
        ends = []
        for _ in range(count):
            reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            stack.callback(os.close, reading)
            stack.callback(os.close, writing)
            ends.append((reading, writing))
        self.fds = [reading for reading, _ in ends]
        self.active = [ends[i] for i in sorted(spread(active, count))]

    def timed(self, collect: Callable[[], int]) -> Callable[[int], int]:
        """run(turns) of collect(), which says how many it got."""

        def run(turns: int) -> int:
            taken = 0
            for _ in repeat(None, turns):
                for _, writing in self.active:
                    os.write(writing, b"x")
                start = perf_counter_ns()
                got = collect()
                taken += perf_counter_ns() - start
                assert got == len(self.active)
                for reading, _ in self.active:
                    os.read(reading, 8)
            return taken

        return run

    def once(self, collect: Callable[[int], int]) -> int:
        """One turn, whose collect(1) times itself."""
        for _, writing in self.active:
            os.write(writing, b"x")
        taken = collect(1)
        for reading, _ in self.active:
            os.read(reading, 8)
        return taken


def edges(stack: contextlib.ExitStack, count: int, active: int) -> Ratio:
    """EV_CLEAR on count pipes, of which some are active."""
    ours, theirs, peers = (Edges(stack, count, active) for _ in range(3))
    room = active + 16
    loops = []
    for engine, pipes in (("uring-poll", ours), ("epoll", theirs)):
        queue = opened(stack, engine)
        waits.register(queue, (kevent(fd, EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_NODATA) for fd in pipes.fds))

        def collect(queue: kqueue = queue) -> int:
            return len(queue.control(None, room, 0))

        loops.append(Loop(f"{engine}: READ, CLEAR, NODATA", pipes.timed(collect), active))
    epoll = stack.enter_context(epoll_of(peers.fds, select.EPOLLIN | select.EPOLLET))
    once = native.wait(epoll.fileno(), room, active)

    def edge(turns: int) -> int:
        return sum(peers.once(once) for _ in range(turns))

    return Ratio(
        f"edges, {active} active of {count}", loops[0], Loop("C epoll_wait by edge", edge, active), 0.8, "event",
        [loops[1]],
    )  # fmt: skip


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """Changes, data, edges."""
    with contextlib.ExitStack() as stack:
        yield [
            changes(stack, settings.sized(CHANGES, least=2)),
            data(stack, settings.sized(SOCKETS, least=2)),
            edges(stack, settings.sized(REGISTERED, least=2), settings.sized(ACTIVE, least=2)),
        ]


CASE = Case("uring", "What do the engines over io_uring save?", rows)
