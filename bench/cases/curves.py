"""What does a wait cost, against how many are watched and how many are ready?

The curves of the kqueue paper (Lemon 2001): one of ever more descriptors is ready, and ever more of a thousand.
Nobody reads, so each wait finds the same again.  knote is asked for events without `data`, which is what the
others tell, and once with it.
"""

from __future__ import annotations

import contextlib
import select
import selectors
from collections.abc import Callable, Generator, Iterator

from bench import machine, peers, waits
from bench.descriptors import epoll_of, mixed
from bench.model import Case, Chart, Contender, Field, Loop, Row, Settings, Unavailable
from bench.team import Team, default
from knote import EV_ADD, EVFILT_READ, NOTE_NODATA, kevent, kqueue

WATCHED = (10, 30, 100, 300, 1000, 3000, 10_000, 18_000)
READY = (1, 3, 10, 30, 100, 300, 1000)
AMONG = 1000
SPARE = 400
"""Descriptors that are not watched: queues, the suite's own."""

BY_WATCHED = Chart(
    "wait-watched", "A wait with one of N descriptors ready", "descriptors watched", "ns per wait"
)
BY_READY = Chart("wait-ready", f"A wait with some of {AMONG} descriptors ready", "descriptors ready")


def _checked(name: str, wait: Callable[[], int], run: Callable[[int], int], ready: int) -> Loop:
    """Turn after turn as many as are ready, or the comparison means nothing."""
    for _ in range(3):
        found = wait()
        if found != ready:
            raise Unavailable(f"told of {found} where {ready} are ready")
    return Loop(name, run, ready)


class Waits:
    """Everybody on the same descriptors."""

    def __init__(self, stack: contextlib.ExitStack, fds: list[int], ready: int) -> None:
        self._stack = stack
        self._fds = fds
        self._ready = ready
        self._room = ready + 16
        self.team = Team()
        self.team.engines(self.knote)
        self.team.add("knote, with data", lambda: self.knote("knote, with data", kqueue, 0))
        for name, make in (
            ("select.epoll", self.epoll),
            ("select.poll", self.poll),
            ("select.select", self.select),
            ("selectors", self.selector),
        ):
            self.team.add(name, make)
        for peer in peers.PEERS:
            if peer.level:
                self.team.add(peer.name, lambda peer=peer: self.peer(peer))  # type: ignore[misc]
            else:
                self.team.absent[peer.name] = "tells edges: of what stays ready it does not tell again"

    def knote(self, name: str, open: Callable[[], kqueue], fflags: int = NOTE_NODATA) -> Contender:
        """READ knotes."""
        queue = self._stack.enter_context(open())
        waits.register(queue, (kevent(fd, EVFILT_READ, EV_ADD, fflags) for fd in self._fds))
        room = self._room
        return _checked(
            name, lambda: len(queue.control(None, room, 0)), waits.control(queue, room), self._ready
        )

    def epoll(self) -> Contender:
        """select.epoll by hand."""
        epoll, room = self._stack.enter_context(epoll_of(self._fds)), self._room
        return _checked("select.epoll", lambda: len(epoll.poll(0, room)), waits.poll(epoll, room), self._ready)

    def poll(self) -> Contender:
        """select.poll by hand."""
        poll = select.poll()
        for fd in self._fds:
            poll.register(fd, select.POLLIN)
        return _checked("select.poll", lambda: len(poll.poll(0)), waits.calls(poll.poll, 0), self._ready)

    def select(self) -> Contender:
        """select.select by hand."""
        run = waits.calls(select.select, self._fds, (), (), 0)
        return _checked("select.select", lambda: len(select.select(self._fds, (), (), 0)[0]), run, self._ready)

    def selector(self) -> Contender:
        """What asyncio waits by."""
        selector = self._stack.enter_context(selectors.DefaultSelector())
        for fd in self._fds:
            selector.register(fd, selectors.EVENT_READ)
        return _checked("selectors", lambda: len(selector.select(0)), waits.calls(selector.select, 0), self._ready)

    def peer(self, peer: peers.Peer) -> Contender:
        """A loop in C."""
        loop = self._stack.enter_context(contextlib.closing(peers.Loop(peer, self._fds)))
        return Loop(peer.name, loop.waits(self._ready), self._ready)


def field(chart: Chart, at: int, watched: int, ready: int, stack: contextlib.ExitStack) -> Field:
    """One place of a chart."""
    fds = stack.enter_context(mixed(watched, ready))
    team = Waits(stack, fds, ready).team
    unit = chart.y.rpartition(" ")[2]
    return Field(chart, at, team.contenders, "C epoll", team.absent, default(), unit=unit)


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[Iterator[Row]]:
    """One place after the other: together they have more descriptors than a process may."""
    limit = machine.raise_descriptor_limit() - SPARE

    def places() -> Generator[Row, None, None]:
        for size in settings.along(WATCHED, 2, limit):
            with contextlib.ExitStack() as stack:
                yield field(BY_WATCHED, size, size, 1, stack)
        among = settings.sized(AMONG, least=2)
        for ready in settings.along(READY):
            with contextlib.ExitStack() as stack:
                yield field(BY_READY, ready, among, ready, stack)

    with contextlib.closing(places()) as made:
        yield made


CASE = Case("curves", "What does a wait cost, against how many are watched and ready?", rows)
