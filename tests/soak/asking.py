"""The load of tests.soak.serve: clients that ask, check every byte, and come again."""

from __future__ import annotations

import heapq
import random
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

LONG = 30.0
"""Seconds until an answer is lost: longer than a worker may take to end."""
_LETTERS = bytes(range(ord("a"), ord("z") + 1))
_BLOCK = _LETTERS * 16_384
_UPPER = _BLOCK.upper()


class Counts:
    """What has happened.  Times in milliseconds, since they were last taken."""

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0
        self.connections = 0
        self.resets = 0
        """That the clients made, in the middle of an answer."""
        self.killed = 0
        """Connections that ended with a worker that was killed, with an answer under way."""
        self.lost: list[str] = []
        """What nobody may lose."""
        self.times: list[float] = []

    def take(self) -> list[float]:
        """The times since the last call, sorted."""
        times, self.times = self.times, []
        return sorted(times)


class Client:
    """One connection after the other: each asks some times, and ends in one of the ways that clients have."""

    def __init__(self, load: Load, dice: random.Random) -> None:
        self._load = load
        self._dice = dice
        self.sock: socket.socket | None = None
        self.worker = 0
        """The process that serves it; 0 until that is known."""
        self.since = 0.0
        """Since when it waits for something; 0 if for nothing."""
        self.ticket = 0
        """Which of its places in the load's queue counts."""
        self._left = 0
        self._hello = b""
        self._at = self._size = self._got = self._sent = 0
        self._ends = self._resets = False

    def go(self) -> None:
        """The next request, or the next connection."""
        if self.sock is None:
            self._connect()
        elif self._left:
            self._ask()
        else:
            self._end()

    def _connect(self) -> None:
        self.since = time.monotonic()
        self.sock = sock = socket.socket()
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(LONG)
            sock.connect(self._load.where)
            sock.setblocking(False)
        except OSError as error:
            self._lost(f"no connection: {error}")
            return
        self._load.counts.connections += 1
        self.worker, self._hello = 0, b""
        self._left = self._dice.choice((1, 5, 25, 100))
        self._ends = self._resets = False
        self._load.watch(self, select.EPOLLIN)

    def _ask(self) -> None:
        self._left -= 1
        self._size = self._dice.choice((1, 40, 40, 40, 500, 20_000, 200_000))
        self._at = self._dice.randrange(26)
        self._sent = self._got = 0
        self._resets = not self._left and self._dice.random() < 0.1
        self.since = time.monotonic()
        self._send()

    def _text(self, block: bytes, start: int, stop: int) -> bytes:
        # A stretch of letters that begins with one of its own, and a newline at its end.
        if stop <= self._size:
            return block[self._at + start : self._at + stop]
        return block[self._at + start : self._at + self._size] + b"\n"

    def _send(self) -> None:
        sock = self.sock
        assert sock is not None
        try:
            while self._sent <= self._size:
                self._sent += sock.send(self._text(_BLOCK, self._sent, min(self._sent + 65536, self._size + 1)))
        except BlockingIOError:
            self._load.watch(self, select.EPOLLIN | select.EPOLLOUT)
            return
        except OSError as error:
            self._broke(error)
            return
        self._load.watch(self, select.EPOLLIN)

    def _end(self) -> None:
        # Half of them look whether nothing more comes; the other half just go.
        sock = self.sock
        assert sock is not None
        if self._dice.random() < 0.5:
            self._ends = True
            self.since = time.monotonic()
            try:
                sock.shutdown(socket.SHUT_WR)
            except OSError as error:
                self._broke(error)
        else:
            self._again()

    def happened(self, events: int) -> None:
        """Its socket is ready."""
        if events & select.EPOLLOUT:
            self._send()
        sock = self.sock
        if sock is None or not events & ~select.EPOLLOUT:
            return
        try:
            data = sock.recv(262_144)
        except BlockingIOError:
            return
        except OSError as error:
            self._broke(error)
            return
        if not data:
            self._over()
        elif not self.worker:
            self._greeted(data)
        else:
            self._answered(data)

    def _greeted(self, data: bytes) -> None:
        self._hello += data
        if self._hello.endswith(b"\n"):
            self.worker = int(self._hello)
            self.since = 0.0
            self._load.later(self, 0.0)

    def _answered(self, data: bytes) -> None:
        if self._ends or self._text(_UPPER, self._got, self._got + len(data)) != data or not self.since:
            self._lost(f"a wrong answer at byte {self._got} of {self._size + 1}")
            return
        self._got += len(data)
        counts = self._load.counts
        counts.bytes += len(data)
        if self._resets and self._got:
            counts.resets += 1
            assert self.sock is not None
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._again()
        elif self._got == self._size + 1:
            counts.requests += 1
            counts.times.append((time.monotonic() - self.since) * 1000)
            self.since = 0.0
            self._load.later(self, self._dice.expovariate(100))

    def _over(self) -> None:
        if self._ends or not self.since:
            self._again()  # as asked for; or the server is done with it, and owes it nothing
        else:
            self._broke(EOFError(f"the end after {self._got} of {self._size + 1} bytes"))

    def _broke(self, error: Exception) -> None:
        counts = self._load.counts
        if self._load.was_killed(self):
            counts.killed += bool(self.since)
            self._again()
        elif not self.since:
            self._again()
        else:
            self._lost(repr(error))

    def _lost(self, why: str) -> None:
        worker = f"worker {self.worker}" if self.worker else "no worker yet"
        self._load.counts.lost.append(f"{worker}: {why}")
        self._again()

    def too_late(self) -> None:
        """It has waited for too long."""
        self._lost(f"no answer within {LONG:g} s, {self._got} of {self._size + 1} bytes")

    def _again(self) -> None:
        self.close()
        self._load.later(self, self._dice.expovariate(100))

    def close(self) -> None:
        """Without a word."""
        self.since = 0.0
        if self.sock is not None:
            self._load.forget(self)
            self.sock.close()
            self.sock = None


class Load:
    """So many clients of an address, in one thread.  killed: processes that were killed, and when."""

    def __init__(self, where: tuple[str, int], clients: int, seed: int) -> None:
        self.where = where
        self.counts = Counts()
        self.killed: dict[int, float] = {}
        self._epoll = select.epoll()
        self._by_fd: dict[int, Client] = {}
        self._due: list[tuple[float, int, Client]] = []
        self._number = 0
        self.clients = [Client(self, random.Random(f"{seed}/{number}")) for number in range(clients)]
        for client in self.clients:
            self.later(client, 0.0)

    def run(self, until: float, now: Callable[[], float] = time.monotonic) -> None:
        """Go on until then."""
        while (left := until - now()) > 0:
            wait = min(left, max(self._due[0][0] - now(), 0.0)) if self._due else left
            for fd, events in self._epoll.poll(wait):
                client = self._by_fd.get(fd)
                if client is not None:
                    client.happened(events)
            while self._due and self._due[0][0] <= now():
                _when, number, client = heapq.heappop(self._due)
                if client.ticket == number:
                    client.go()

    def look(self) -> None:
        """Find who has waited for too long."""
        end = time.monotonic() - LONG
        for client in self.clients:
            if client.since and client.since < end:
                client.too_late()

    def was_killed(self, client: Client) -> bool:
        """Whether the worker of a client was; or one was since the client, which was never greeted, came."""
        if client.worker:
            return client.worker in self.killed
        return any(when >= client.since for when in self.killed.values())

    def later(self, client: Client, seconds: float) -> None:
        """Go on with it after a while."""
        self._number += 1
        client.ticket = self._number  # what it had before is void
        heapq.heappush(self._due, (time.monotonic() + seconds, self._number, client))

    def watch(self, client: Client, events: int) -> None:
        """Tell it."""
        sock: Any = client.sock
        fd = sock.fileno()
        if fd in self._by_fd:
            self._epoll.modify(fd, events)
        else:
            self._by_fd[fd] = client
            self._epoll.register(fd, events)

    def forget(self, client: Client) -> None:
        """Its socket is about to be closed."""
        sock: Any = client.sock
        if self._by_fd.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())

    def close(self) -> None:
        """All of them."""
        self._due.clear()
        for client in self.clients:
            client.close()
        self._due.clear()
        self._epoll.close()
