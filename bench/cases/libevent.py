"""What does libevent's own benchmark cost, in its essence?

N pipes are watched for reading.  A of them get a byte; who reads one writes one to the next pipe, W times.  What
is counted is all that work, reads and writes included, per event: with A = 1 each byte is a wait, with A = 100
most of them come together.  A kevent says in its udata where to write, as libevent's callbacks have an argument.

Who tells of edges (EV_CLEAR, C io_uring) must read all that is there, so that where bytes catch up with others,
with A = 100, it has fewer reads to make than the rest.

Without `data` (NOTE_NODATA) unless it is said: nobody else tells how many bytes there are, and it takes a system
call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import selectors
from collections.abc import Callable, Generator, Iterator
from time import perf_counter_ns
from typing import Any

from bench import machine, peers
from bench.descriptors import epoll_of, pipe_ends
from bench.model import Case, Chart, Contender, Field, Row, Settings, Unavailable
from bench.team import Opened, Team, default, engines, opener
from knote import EV_ADD, EV_CLEAR, EVFILT_READ, NOTE_NODATA, kevent, kqueue
from knote.loops.selector import KqueueSelector

PIPES = (100, 300, 1000, 3000, 9000)
LOADS = ((1, 100), (100, 1000))
SPARE = 400
TARGET = 1.3
CHARTS = {
    active: Chart(f"libevent-{active}", f"libevent's bench: {active} active, {writes} writes", "pipes watched")
    for active, writes in LOADS
}

Run = Callable[[int], int]
Collect = Callable[[], None]


class Pipes:
    """The load, and everybody's way to carry it."""

    def __init__(self, count: int, active: int, writes: int, stack: contextlib.ExitStack) -> None:
        self.reading, self.writing = stack.enter_context(pipe_ends(count))
        self.next = dict(zip(self.reading, [*self.writing[1:], self.writing[0]], strict=True))
        self.active, self.writes = active, writes
        self.first = [self.writing[i * (count // active)] for i in range(active)]

    @property
    def events(self) -> int:
        """In a run."""
        return self.active + self.writes

    def timed(self, collect: Collect) -> Run:
        """run(runs): the first bytes, and, timed, collect(), which returns when all have been read."""

        def run(runs: int) -> int:
            taken = 0
            for _ in range(runs):
                for fd in self.first:
                    os.write(fd, b"e")
                start = perf_counter_ns()
                collect()
                taken += perf_counter_ns() - start
            return taken

        return run

    @contextlib.contextmanager
    def by_kevents(self, open: Callable[[], kqueue], fflags: int) -> Iterator[Run]:
        """READ knotes by level."""
        read, write, room, events, writes = os.read, os.write, self.active + 16, self.events, self.writes
        with self.registered(open, 0, fflags) as control:

            def collect() -> None:
                left, more = events, writes
                while left:
                    for event in control(None, room):
                        read(event.ident, 1)
                        left -= 1
                        if more:
                            more -= 1
                            write(event.udata, b"e")

            yield self.timed(collect)

    @contextlib.contextmanager
    def by_edges(self, open: Callable[[], kqueue]) -> Iterator[Run]:
        """READ knotes by edge, which may tell once of two bytes: all that is there is read."""
        read, write, room, events, writes = os.read, os.write, self.active + 16, self.events, self.writes
        with self.registered(open, EV_CLEAR, NOTE_NODATA) as control:

            def collect() -> None:
                left, more = events, writes
                while left:
                    for event in control(None, room):
                        try:
                            got = len(read(event.ident, 4096))
                        except BlockingIOError:
                            continue  # read with the edge before
                        left -= got
                        while got and more:
                            got -= 1
                            more -= 1
                            write(event.udata, b"e")

            yield self.timed(collect)

    @contextlib.contextmanager
    def registered(
        self, open: Callable[[], kqueue], flags: int, fflags: int
    ) -> Iterator[Callable[..., list[kevent]]]:
        """control() of a queue that watches all pipes."""
        with open() as queue:
            for fd in self.reading:
                queue.control([kevent(fd, EVFILT_READ, EV_ADD | flags, fflags, 0, self.next[fd])], 0)
            yield queue.control

    @contextlib.contextmanager
    def by_epoll(self) -> Iterator[Run]:
        """select.epoll by hand."""
        read, write, room, events, writes = os.read, os.write, self.active + 16, self.events, self.writes
        following = self.next
        with epoll_of(self.reading) as epoll:
            poll = epoll.poll

            def collect() -> None:
                left, more = events, writes
                while left:
                    for fd, _ in poll(-1, room):
                        read(fd, 1)
                        left -= 1
                        if more:
                            more -= 1
                            write(following[fd], b"e")

            yield self.timed(collect)

    @contextlib.contextmanager
    def by_poll(self) -> Iterator[Run]:
        """select.poll by hand."""
        read, write, events, writes, following = os.read, os.write, self.events, self.writes, self.next
        poller = select.poll()
        for fd in self.reading:
            poller.register(fd, select.POLLIN)

        def collect() -> None:
            left, more = events, writes
            while left:
                for fd, _ in poller.poll():
                    read(fd, 1)
                    left -= 1
                    if more:
                        more -= 1
                        write(following[fd], b"e")

        yield self.timed(collect)

    @contextlib.contextmanager
    def by_loop(self, new: Callable[[], Any]) -> Iterator[Run]:
        """An asyncio loop's add_reader."""
        loop = new()
        read, write, following = os.read, os.write, self.next
        left = more = 0

        def ready(fd: int) -> None:
            nonlocal left, more
            read(fd, 1)
            left -= 1
            if more:
                more -= 1
                write(following[fd], b"e")
            if not left:
                loop.stop()

        def collect() -> None:
            nonlocal left, more
            left, more = self.events, self.writes
            loop.run_forever()

        for fd in self.reading:
            loop.add_reader(fd, ready, fd)
        try:
            yield self.timed(collect)
        finally:
            for fd in self.reading:
                loop.remove_reader(fd)
            loop.close()

    @contextlib.contextmanager
    def by_peer(self, peer: peers.Peer) -> Iterator[Run]:
        """A loop in C."""
        with contextlib.closing(peers.Loop(peer, self.reading, self.writing)) as loop:
            yield loop.pipes(self.active, self.writes)


def _tried(name: str, open: Callable[[], contextlib.AbstractContextManager[Run]], units: int) -> Contender:
    """Once now: whoever cannot is absent from the start."""
    with open() as run:
        run(1)
    return Opened(name, open, units)


def _uvloop() -> Any:
    try:
        import uvloop
    except ImportError:
        raise Unavailable("uvloop is not installed: pip install uvloop") from None
    return uvloop.new_event_loop()


def field(chart: Chart, count: int, load: tuple[int, int], stack: contextlib.ExitStack) -> Field:
    """One place of a chart."""
    pipes = Pipes(count, *load, stack)
    team = Team()

    def take(name: str, open: Callable[..., contextlib.AbstractContextManager[Run]], *arguments: Any) -> None:
        team.add(name, lambda: _tried(name, lambda: open(*arguments), pipes.events))

    team.engines(lambda name, new: _tried(name, lambda: pipes.by_kevents(new, NOTE_NODATA), pipes.events))
    take("knote, with data", pipes.by_kevents, kqueue, 0)
    take("knote, EV_CLEAR, all read", pipes.by_edges, kqueue)
    if "uring-poll" in engines():
        take("knote uring-poll, EV_CLEAR, all read", pipes.by_edges, opener("uring-poll"))
    take("select.epoll", pipes.by_epoll)
    take("select.poll", pipes.by_poll)
    take("asyncio", pipes.by_loop, lambda: asyncio.SelectorEventLoop(selectors.EpollSelector()))
    take("asyncio on knote", pipes.by_loop, lambda: asyncio.SelectorEventLoop(KqueueSelector()))
    take("uvloop", pipes.by_loop, _uvloop)
    for peer in peers.PEERS:
        take(peer.name, pipes.by_peer, peer)
    return Field(chart, count, team.contenders, "C epoll", team.absent, default(), TARGET)


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[Iterator[Row]]:
    """One place after the other."""
    most = (machine.raise_descriptor_limit() - SPARE) // 2
    if settings.places:
        most = min(most, 1000)  # opening 9000 pipes for everybody is no look

    def places() -> Generator[Row, None, None]:
        for load in LOADS:
            active, writes = load
            scaled = (settings.sized(active), settings.sized(writes))
            for count in settings.along(PIPES, max(scaled[0], 2), most):
                with contextlib.ExitStack() as stack:
                    yield field(CHARTS[active], count, scaled, stack)

    with contextlib.closing(places()) as made:
        yield made


CASE = Case("libevent", "What does libevent's own benchmark cost?", rows)
