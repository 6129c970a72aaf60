"""What a queue does, in small acts, each of which can be repeated with any of its system calls failing.

An act either does what was asked or raises; after() then finds out, with all calls working again, whether anything
was lost, half applied or left behind.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any, ClassVar, Final

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_ERROR,
    EV_ONESHOT,
    EVFILT_READ,
    EVFILT_TIMER,
    EVFILT_USER,
    EVFILT_WRITE,
    NOTE_TRIGGER,
    kevent,
)
from tests.support.plumbing import Pair, Pipe, arrived, connected, listener, unix_pair

SOON: Final = 5.0


class Scene:
    """One queue on one engine, and what it is about."""

    NEEDS: ClassVar[tuple[str, ...]] = ()
    """Rows of tests/gates.py; where one is closed it is not performed."""
    FOR_GOOD: ClassVar[bool] = True
    """It can be performed though one of its calls always fails."""
    several: bool = False
    """More than one call may fail: nothing may be lost, but what cannot be found out is told all the same."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.stack = ExitStack()
        self.kq = self.stack.enter_context(knote.kqueue(engine=engine))
        self.set()

    def set(self) -> None:
        """Before anything fails."""

    def act(self) -> None:
        """What may fail."""
        raise NotImplementedError

    def after(self, refused: OSError | None) -> None:
        """Whether all is well, and works again."""

    def close(self) -> None:
        self.stack.close()

    def pipe(self) -> Pipe:
        made = Pipe()
        self.stack.callback(made.close)
        return made

    def pair(self) -> Pair:
        made = unix_pair()
        self.stack.callback(made.close)
        return made

    def tcp(self, door: socket.socket) -> Pair:
        made = connected(door)
        self.stack.callback(made.close)
        return made

    def registered(self) -> set[tuple[int, int]]:
        return {(kn.filter, kn.ident) for kn in self.kq.knotes()}

    def collect(self, wanted: set[tuple[int, int]], got: Counter[tuple[int, int]]) -> None:
        """Until each of these has come."""
        end = time.monotonic() + SOON
        while not wanted <= got.keys():
            left = end - time.monotonic()
            assert left > 0, f"never came: {wanted - got.keys()}"
            got.update(key(event) for event in self.kq.control(None, 64, left))


def key(thing: Any) -> tuple[int, int]:
    return thing.filter, thing.ident


class Made(Scene):
    """A queue."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.stack = ExitStack()

    def act(self) -> None:
        self.kq = self.stack.enter_context(knote.kqueue(engine=self.engine))

    def after(self, refused: OSError | None) -> None:
        if refused:
            self.act()
        self.kq.control([kevent(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER)], 0)
        assert [event.ident for event in self.kq.control(None, 1, SOON)] == [1]


class Changed(Scene):
    """A list of changes that each need something else of the kernel."""

    def set(self) -> None:
        self.first, self.second, self.third = self.pipe(), self.pipe(), self.pair()
        self.kq.control([kevent(self.first.r, EVFILT_READ, EV_ADD)], 0)
        self.first.write(b"x")
        self.second.write(b"x")
        self.third.b.send(b"x")
        fd = self.third.fd_a
        self.changes = [
            kevent(self.second.r, EVFILT_READ, EV_ADD | EV_CLEAR),
            kevent(fd, EVFILT_READ, EV_ADD | EV_CLEAR),
            kevent(fd, EVFILT_WRITE, EV_ADD | EV_CLEAR),
            kevent(self.second.w, EVFILT_WRITE, EV_ADD | EV_ONESHOT),
            kevent(1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 0),
            kevent(1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER),
        ]  # fmt: skip

    def act(self) -> None:
        self.kq.control(self.changes, 0)

    def after(self, refused: OSError | None) -> None:
        there = self.registered() - {(EVFILT_READ, self.first.r)}
        made = [key(change) in there for change in self.changes]
        # As far as the list was read, and no further.
        assert made == sorted(made, reverse=True), made
        assert bool(refused) == (not all(made)), (refused, made)
        self.kq.control(self.changes[made.count(True) :], 0)
        wanted = {key(change) for change in self.changes}
        got: Counter[tuple[int, int]] = Counter()
        self.collect(wanted | {(EVFILT_READ, self.first.r)}, got)
        assert {got[one] for one in wanted} == {1}, got


class Toggled(Scene):
    """So many changes of interest that an engine may hand them over in one batch."""

    COUNT: ClassVar[int] = 40

    def set(self) -> None:
        self.pairs = [self.pair() for _ in range(self.COUNT)]
        self.kq.control([kevent(pair.fd_a, EVFILT_READ, EV_ADD) for pair in self.pairs], 0)

    def act(self) -> None:
        self.kq.control([kevent(pair.fd_a, EVFILT_WRITE, EV_ADD) for pair in self.pairs], 0)

    def after(self, refused: OSError | None) -> None:
        there = self.registered()
        made = [(EVFILT_WRITE, pair.fd_a) in there for pair in self.pairs]
        assert made == sorted(made, reverse=True), made
        assert bool(refused) == (not all(made)), (refused, made)
        now = {key(event) for event in self.kq.control(None, 2 * self.COUNT, 0)}
        assert now == {(EVFILT_WRITE, pair.fd_a) for pair, was in zip(self.pairs, made, strict=True) if was}
        self.kq.control([kevent(pair.fd_a, EVFILT_WRITE, EV_ADD) for pair in self.pairs], 0)
        for pair in self.pairs:
            pair.b.send(b"x")
        now = {key(event) for event in self.kq.control(None, 2 * self.COUNT, 0)}
        assert len(now) == 2 * self.COUNT


class Undone(Scene):
    """Deletions, disabling, enabling."""

    def set(self) -> None:
        self.pipes = [self.pipe() for _ in range(4)]
        self.pair_ = self.pair()
        for pipe in self.pipes:
            pipe.write(b"x")
        fd = self.pair_.fd_a
        self.kq.control(
            [
                *(kevent(pipe.r, EVFILT_READ, EV_ADD) for pipe in self.pipes),
                kevent(fd, EVFILT_READ, EV_ADD | EV_CLEAR),
                kevent(fd, EVFILT_WRITE, EV_ADD | EV_CLEAR),
                kevent(1, EVFILT_TIMER, EV_ADD, 0, 100_000),
            ],
            0,
        )
        self.kq.control([kevent(self.pipes[2].r, EVFILT_READ, EV_DISABLE)], 0)
        self.changes = [
            kevent(self.pipes[0].r, EVFILT_READ, EV_DELETE),
            kevent(self.pipes[1].r, EVFILT_READ, EV_DISABLE),
            kevent(self.pipes[2].r, EVFILT_READ, EV_ENABLE),
            kevent(fd, EVFILT_WRITE, EV_DELETE),
            kevent(fd, EVFILT_READ, EV_DELETE),
            kevent(1, EVFILT_TIMER, EV_DELETE),
        ]

    def act(self) -> None:
        self.kq.control(self.changes, 0)

    def after(self, refused: OSError | None) -> None:
        for change in self.changes:
            if not change.flags & EV_DELETE or key(change) in self.registered():
                self.kq.control([change], 0)
        assert self.registered() == {(EVFILT_READ, pipe.r) for pipe in self.pipes[1:]}
        now = [event.ident for event in self.kq.control(None, 8, SOON)]
        assert sorted(now) == sorted([self.pipes[2].r, self.pipes[3].r])


class Collected(Scene):
    """Events of each kind, which are there when it begins."""

    SOCKETS: ClassVar[int] = 2
    timeout: float | None = 0

    def set(self) -> None:
        pipes = self.level, self.edge, self.once, self.dispatch = [self.pipe() for _ in range(4)]
        for number, pipe in enumerate(pipes):
            pipe.write(b"x" * (number + 1))
        self.full = self.pair()
        self.full.b.send(b"12345")
        self.sizes = {(EVFILT_READ, pipe.r): number + 1 for number, pipe in enumerate(pipes)}
        self.sizes[EVFILT_READ, self.full.fd_a] = 5
        changes = [
            kevent(self.level.r, EVFILT_READ, EV_ADD),
            kevent(self.edge.r, EVFILT_READ, EV_ADD | EV_CLEAR),
            kevent(self.once.r, EVFILT_READ, EV_ADD | EV_ONESHOT),
            kevent(self.dispatch.r, EVFILT_READ, EV_ADD | EV_DISPATCH),
            kevent(self.full.fd_a, EVFILT_READ, EV_ADD | EV_CLEAR),
            kevent(self.full.fd_a, EVFILT_WRITE, EV_ADD | EV_CLEAR),
            kevent(1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER),
            kevent(1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 0),
        ]
        with listener() as door:
            for number in range(self.SOCKETS):
                tcp = self.tcp(door)
                tcp.a.send(b"x" * (number + 1))
                arrived(tcp.fd_b)
                changes.append(kevent(tcp.fd_b, EVFILT_READ, EV_ADD))
                self.sizes[EVFILT_READ, tcp.fd_b] = number + 1
        self.kq.control(changes, 0)
        self.all = {key(change) for change in changes}
        self.edges = {key(change) for change in changes if change.flags != EV_ADD}
        self.got: list[Any] = []

    def act(self) -> None:
        self.got += self.kq.control(None, 64, self.timeout)

    def after(self, refused: OSError | None) -> None:
        end = time.monotonic() + SOON
        while not self.all <= {key(event) for event in self.got}:
            assert time.monotonic() < end, f"never came: {self.all - {key(event) for event in self.got}}"
            self.got += self.kq.control(None, 64, 0.1)
        counts = Counter(map(key, self.got))
        # An interest that could not be taken back has the kernel's set built anew, which reports edges once more.
        edges = [one for one in self.edges if counts[one] != 1]
        assert not edges or (self.several and all(counts[one] for one in edges)), edges
        for event in self.got:
            # Where nobody would count there is one byte at least.
            assert event.data in (self.sizes.get(key(event), event.data), 1), event
        # Level goes on, and edges work again.
        self.edge.write(b"x")
        self.got.clear()
        self.collect({(EVFILT_READ, self.edge.r), (EVFILT_READ, self.level.r)}, Counter())


class Waited(Collected):
    """The same, by a call that would wait."""

    timeout = SOON


class Counted(Scene):
    """So many sockets that an engine may count their bytes in one batch."""

    COUNT: ClassVar[int] = 20

    def set(self) -> None:
        self.sizes = {}
        with listener() as door:
            for number in range(self.COUNT):
                tcp = self.tcp(door)
                tcp.a.send(b"x" * (number + 1))
                arrived(tcp.fd_b)
                self.sizes[tcp.fd_b] = number + 1
        self.kq.control([kevent(fd, EVFILT_READ, EV_ADD | EV_ONESHOT) for fd in self.sizes], 0)
        self.got: list[Any] = []

    def act(self) -> None:
        self.got += self.kq.control(None, 64, 0)

    def after(self, refused: OSError | None) -> None:
        while len(self.got) < self.COUNT:
            more = self.kq.control(None, 64, SOON)
            assert more, f"{self.COUNT - len(self.got)} are lost"
            self.got += more
        assert sorted(event.ident for event in self.got) == sorted(self.sizes)
        for event in self.got:
            assert event.data in (self.sizes[event.ident], 1), event


class Slept(Scene):
    """A wait in which something comes, and one whose time is up."""

    def set(self) -> None:
        pipe = self.pipe()
        timer = kevent(1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1)
        self.kq.control([kevent(pipe.r, EVFILT_READ, EV_ADD), timer], 0)
        self.got: list[Any] = []

    def act(self) -> None:
        self.got += self.kq.control(None, 4, SOON)
        assert self.kq.control(None, 4, 0.0005) == []

    def after(self, refused: OSError | None) -> None:
        if not self.got:
            self.got += self.kq.control(None, 4, SOON)
        assert list(map(key, self.got)) == [(EVFILT_TIMER, 1)]


class Nested(Scene):
    """A queue in a queue."""

    def set(self) -> None:
        self.inner = self.stack.enter_context(knote.kqueue(engine=self.engine))
        self.source = self.pipe()
        user = kevent(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER)
        self.inner.control([kevent(self.source.r, EVFILT_READ, EV_ADD), user], 0)
        self.source.write(b"x")
        self.got: list[Any] = []

    def act(self) -> None:
        fd = self.inner.fileno()
        self.got += [
            event for event in self.kq.control([kevent(fd, EVFILT_READ, EV_ADD | EV_CLEAR)], 4, 0)
            if not event.flags & EV_ERROR
        ]

    def after(self, refused: OSError | None) -> None:
        if not self.registered():
            self.act()
        self.got = self.got or self.kq.control(None, 4, SOON)
        assert [event.ident for event in self.got] == [self.inner.fileno()]
        assert self.got[0].data in ((1, 2) if self.several else (2,))
        assert len(self.inner.control(None, 4, 0)) == 2


class Rebuilt(Scene):
    """A number that was closed while a dup of its file lives: the kernel's set is built anew."""

    def set(self) -> None:
        self.stale, self.other, self.edge = self.pipe(), self.pipe(), self.pair()
        for flags in (EV_ADD, EV_ADD | EV_CLEAR):
            self.kq.control(
                [
                    kevent(self.stale.r, EVFILT_READ, flags),
                    kevent(self.other.r, EVFILT_READ, EV_ADD),
                    kevent(self.edge.fd_a, EVFILT_READ, EV_ADD | EV_CLEAR),
                ],
                0,
            )
        self.stack.callback(os.close, os.dup(self.stale.r))
        self.stale.write(b"x")
        self.stale.close_r()
        self.got: list[Any] = []

    def act(self) -> None:
        for _ in range(4):
            self.got += self.kq.control(None, 4, 0)

    def after(self, refused: OSError | None) -> None:
        assert self.got == [] or self.several
        assert self.kq.control(None, 4, 0) == []
        self.other.write(b"x")
        self.edge.b.send(b"x")
        got: Counter[tuple[int, int]] = Counter()
        self.collect({(EVFILT_READ, self.other.r), (EVFILT_READ, self.edge.fd_a)}, got)
        assert got[EVFILT_READ, self.edge.fd_a] == 1
        assert self.registered() == got.keys()


class Ended(Scene):
    """A queue that is closed, with all that it may have."""

    def set(self) -> None:
        pipe, pair = self.pipe(), self.pair()
        self.kq.control(
            [
                kevent(pipe.r, EVFILT_READ, EV_ADD | EV_CLEAR),
                kevent(pair.fd_a, EVFILT_READ, EV_ADD | EV_CLEAR),
                kevent(pair.fd_a, EVFILT_WRITE, EV_ADD | EV_CLEAR),
                kevent(1, EVFILT_TIMER, EV_ADD, 0, 1),
            ],
            0,
        )

    def act(self) -> None:
        self.kq.close()

    def after(self, refused: OSError | None) -> None:
        assert refused is None
        assert self.kq.closed


SCENES: tuple[type[Scene], ...] = (
    Made, Changed, Toggled, Undone, Collected, Waited, Counted, Slept, Nested, Rebuilt, Ended,
)  # fmt: skip
