"""What is changed while another thread sleeps in the queue, without a timeout; it hears of what becomes true."""

from __future__ import annotations

import socket
import threading
from typing import ClassVar, Final

from knote import EV_ADD, EV_DELETE, EVFILT_READ, EVFILT_WRITE, kevent
from tests.engines.scenes import Scene
from tests.support.plumbing import Pair
from tests.support.waiting import in_a_wait, wait_until


class Overheard(Scene):
    """The first sockets are watched when it falls asleep."""

    COUNT: ClassVar[int] = 2
    FIRST: ClassVar[int] = 2

    def set(self) -> None:
        self.pairs = [self.pair() for _ in range(self.COUNT)]
        self.kq.control([kevent(pair.fd_a, EVFILT_READ, EV_ADD) for pair in self.pairs[: self.FIRST]], 0)
        self.heard: set[int] = set()
        self.sleeper = threading.Thread(target=self._sleep)
        self.sleeper.start()
        wait_until(lambda: in_a_wait(self.sleeper.native_id or 0))

    def _sleep(self) -> None:
        received = {pair.fd_a: pair.a for pair in self.pairs}
        while not self.kq.closed:
            try:
                events = self.kq.control(None, 4, None)
            except OSError:
                continue  # it is told what was in its way, or that the queue is closed
            for event in events:
                received[event.ident].recv(1)
                self.heard.add(event.ident)

    def hears(self, pair: Pair) -> None:
        pair.b.send(b"x")
        wait_until(lambda: pair.fd_a in self.heard, what="the sleeper hears of it")

    def after(self, refused: OSError | None) -> None:
        self.hears(self.pairs[0])

    def close(self) -> None:
        self.kq.close()
        self.sleeper.join()
        super().close()


class Grown(Overheard):
    """More come than a context of Linux' AIO has room for."""

    COUNT = 70
    FIRST = 1

    def act(self) -> None:
        self.kq.control([kevent(pair.fd_a, EVFILT_READ, EV_ADD) for pair in self.pairs[1:]], 0)

    def after(self, refused: OSError | None) -> None:
        there = {ident for _, ident in self.registered()}
        made = [pair for pair in self.pairs if pair.fd_a in there]
        assert made == self.pairs[: len(made)]
        assert bool(refused) == (len(made) < self.COUNT), (refused, len(made))
        self.hears(made[-1])
        super().after(refused)


class Widened(Overheard):
    """One is watched for room to write as well, of which there is none."""

    def set(self) -> None:
        super().set()
        one = self.pairs[0].a
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 0)
        one.setblocking(False)
        try:
            while True:
                one.send(bytes(1 << 16))
        except BlockingIOError:
            pass

    def act(self) -> None:
        self.kq.control([kevent(self.pairs[0].fd_a, EVFILT_WRITE, EV_ADD)], 0)

    def after(self, refused: OSError | None) -> None:
        assert ((EVFILT_WRITE, self.pairs[0].fd_a) in self.registered()) == (refused is None)
        super().after(refused)


class Narrowed(Overheard):
    """One is watched no more."""

    def act(self) -> None:
        self.kq.control([kevent(self.pairs[1].fd_a, EVFILT_READ, EV_DELETE)], 0)

    def after(self, refused: OSError | None) -> None:
        assert refused or (EVFILT_READ, self.pairs[1].fd_a) not in self.registered()
        super().after(refused)


SCENES: Final[tuple[type[Scene], ...]] = (Grown, Widened, Narrowed)
