"""What does io_uring save where knote uses it: for lists of changes, for exact data, for edges?

Changes: a WRITE knote is added to, or deleted from, each of N descriptors that are watched for READ, and a wait
finds one event; the peer is as many epoll_ctl(2) and an epoll_wait(2) from C.  Data: N sockets that have something
to read; the peer is epoll_wait(2) and FIONREAD on each.  Edges: bytes are written to A of N pipes, told of, and
read; the telling is timed; the peer is epoll(7) by edge.  Beside each, what a ring makes of it in C: the bound of
all that could be done here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from time import perf_counter_ns

from bench import native, peers, waits
from bench.cases.lists import NARROW, WIDE, with_lists
from bench.descriptors import WORD, epoll_of, full_sockets, pipe_ends, pipes, spread, tcp_sockets
from bench.model import Case, Contender, Loop, Ratio, Row, Settings, Unavailable
from bench.rings import Batch
from bench.team import engines, opener
from knote import EV_ADD, EV_CLEAR, EVFILT_READ, NOTE_NODATA, kevent, kqueue

CHANGED, COUNTED = (64, 256), (64, 256)
WATCHED, ACTIVE = 1000, (100, 1000)
TARGET_CHANGES, TARGET_DATA, TARGET_EDGES = 0.85, 0.8, 0.8
SHORT = 0.004
"""Seconds of a sample of edges: writing and reading take ten times as long, and are not counted."""


class Rows:
    """What the rows share: things to be closed, a ring of C's, and who is not here."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def queue(self, engine: str) -> kqueue:
        """On this engine.  Unavailable with the reason."""
        if why := engines().get(engine, "no such engine"):
            raise Unavailable(why)
        return self._stack.enter_context(opener(engine)())

    def batch(self) -> Batch:
        """A ring in C."""
        return self._stack.enter_context(contextlib.closing(Batch()))

    def row(
        self, name: str, peer: Loop, others: dict[str, Callable[[], Callable[[int], int]]], units: int, unit: str,
        target: float, seconds: float | None = None,
    ) -> Ratio:  # fmt: skip
        """The first of the others against the peer, the rest beside them.  Where the first is not here, the second
        is compared, which has no target."""
        found: list[Contender] = []
        absent: list[str] = []
        for who, make in others.items():
            try:
                found.append(Loop(who, make(), units))
            except Unavailable as reason:
                absent.append(f"{who} ({reason})")
        ours, *beside = found
        wanted = target if ours.name == next(iter(others)) else None
        return Ratio(name, ours, peer, wanted, unit, beside, seconds, absent=absent)

    def changes(self, fds: list[int], ready: int) -> Ratio:
        """Each turn changes the mask of all of these and waits."""

        def ours(engine: str) -> Callable[[int], int]:
            return with_lists(self.queue(engine), fds, ready)

        def epoll() -> int:
            made = self._stack.enter_context(epoll_of(fds, NARROW))
            made.register(ready, NARROW)
            return made.fileno()

        return self.row(
            f"{len(fds)} changes and a wait",
            Loop("C epoll_ctl", native.change_wait(epoll(), fds, WIDE, NARROW, 1), len(fds)),
            {
                "knote uring": lambda: ours("uring"),
                "knote epoll": lambda: ours("epoll"),
                "C io_uring": lambda: self.batch().change_wait(epoll(), fds, WIDE, NARROW, 1),
            },
            len(fds), "change", TARGET_CHANGES,
        )  # fmt: skip

    def data(self, fds: list[int]) -> Ratio:
        """READ on connected sockets that each have WORD to read."""
        room, bytes = len(fds) + 16, len(fds) * len(WORD)
        epoll = self._stack.enter_context(epoll_of(fds))

        def ours(engine: str) -> Callable[[int], int]:
            queue = self.queue(engine)
            waits.register(queue, (kevent(fd, EVFILT_READ, EV_ADD) for fd in fds))
            waits.agree(queue, epoll, room, len(fds))
            assert {event.data for event in queue.control(None, room, 0)} == {len(WORD)}
            return waits.control(queue, room)

        number = epoll.fileno()
        return self.row(
            f"data of {len(fds)} TCP sockets",
            Loop("C FIONREAD", native.wait_fionread(number, room, bytes), len(fds)),
            {
                "knote uring": lambda: ours("uring"),
                "knote epoll": lambda: ours("epoll"),
                "C io_uring": lambda: self.batch().wait_readable(number, room, bytes),
            },
            len(fds), "event", TARGET_DATA,
        )  # fmt: skip

    def edges(self, reading: list[int], writing: list[int], active: int) -> Ratio:
        """EV_CLEAR on all pipes, of which so many are written to in a turn."""
        some = sorted(spread(active, len(reading)))
        fill = native.fill([writing[i] for i in some])
        drain = native.drain([reading[i] for i in some])

        def ours(engine: str, fflags: int) -> Callable[[int], int]:
            queue, room = self.queue(engine), active + 16
            waits.register(queue, (kevent(fd, EVFILT_READ, EV_ADD | EV_CLEAR, fflags) for fd in reading))

            def run(turns: int) -> int:
                taken = 0
                for _ in range(turns):
                    fill()
                    left = active
                    start = perf_counter_ns()
                    while left:
                        left -= len(queue.control(None, room))
                    taken += perf_counter_ns() - start
                    drain()
                return taken

            return run

        def theirs(peer: peers.Peer) -> Callable[[int], int]:
            return self._stack.enter_context(contextlib.closing(peers.Loop(peer, reading, writing))).edges(active)

        by_edge, ring = peers.EDGES
        return self.row(
            f"{active} edges of {len(reading)} pipes",
            Loop(by_edge.name, theirs(by_edge), active),
            {
                "knote uring-poll": lambda: ours("uring-poll", NOTE_NODATA),
                "knote epoll": lambda: ours("epoll", NOTE_NODATA),
                "knote uring-poll, with data": lambda: ours("uring-poll", 0),
                ring.name: lambda: theirs(ring),
            },
            active, "event", TARGET_EDGES, SHORT,
        )  # fmt: skip


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[Iterator[Row]]:
    """One after the other: each opens what it needs."""

    def made() -> Generator[Row, None, None]:
        for size in settings.along(CHANGED):
            with contextlib.ExitStack() as stack:
                (ready,) = stack.enter_context(pipes(1, 1))
                yield Rows(stack).changes(stack.enter_context(full_sockets(size)), ready)
        for size in settings.along(COUNTED):
            with contextlib.ExitStack() as stack:
                yield Rows(stack).data(stack.enter_context(tcp_sockets(size)))
        for active in settings.along(ACTIVE):
            with contextlib.ExitStack() as stack:
                watched = max(settings.sized(WATCHED), active)
                reading, writing = stack.enter_context(pipe_ends(watched))
                yield Rows(stack).edges(reading, writing, active)

    with contextlib.closing(made()) as places:
        yield places


CASE = Case("rings", "What does io_uring save where knote uses it?", rows)
