"""Who owns which descriptor number: a few numbers that pipes, socket pairs and files share, and a book of it."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import tempfile
from typing import Final

FIRST: Final = 300
NUMBERS: Final = range(FIRST, FIRST + 10)
"""All that is opened is put on one of these, so that each number has many lives."""


class Holding:
    """One life of one number: from the call that made it to the one that closed it."""

    __slots__ = ("file", "kind", "number")

    def __init__(self, number: int, kind: str, file: int) -> None:
        self.number = number
        self.kind = kind
        self.file = file
        """Which open file it is; a dup has the same."""


class Estate:
    """The numbers and their holdings."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng
        self.holdings: dict[int, Holding] = {}
        self._files = 0

    def close_all(self) -> None:
        """Close what is open."""
        for number in list(self.holdings):
            self.close(number)

    def _free(self) -> list[int]:
        return [number for number in NUMBERS if number not in self.holdings]

    def _hold(self, fd: int, number: int, kind: str, file: int) -> None:
        os.dup2(fd, number, inheritable=False)
        self.holdings[number] = Holding(number, kind, file)

    def open(self) -> str:
        """A pipe, a socket pair or a file on free numbers, chosen at random among them; which."""
        free = self._free()
        if len(free) < 2:
            return "nothing"
        kind = self._random.choice(("pipe", "pipe", "pair", "pair", "file"))
        if kind == "file":
            with tempfile.TemporaryFile() as file:
                file.write(b"some lines")
                file.seek(0)
                self._files += 1
                number = self._random.choice(free)
                self._hold(file.fileno(), number, kind, self._files)
            return f"file {number}"
        if kind == "pipe":
            made = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        else:
            a, b = socket.socketpair()
            a.setblocking(False)
            b.setblocking(False)
            made = a.detach(), b.detach()
        numbers = self._random.sample(free, 2)
        for fd, number in zip(made, numbers, strict=True):
            self._files += 1
            self._hold(fd, number, kind, self._files)
            os.close(fd)
        return f"{kind} {numbers}"

    def some(self) -> int | None:
        """A number that is open."""
        return self._random.choice(list(self.holdings)) if self.holdings else None

    def dup(self, number: int) -> int:
        """dup(2) to a free number; which."""
        free = self._free()
        over = self._random.choice(free) if free else number
        self.dup2(number, over)
        return over

    def dup2(self, number: int, over: int) -> None:
        """dup2(2): what was at over is closed."""
        if number != over:
            held = self.holdings[number]
            self._hold(number, over, held.kind, held.file)

    def close(self, number: int) -> None:
        """close(2)."""
        os.close(number)
        del self.holdings[number]

    def write(self, number: int, n: int) -> int:
        """Write what goes in; how much."""
        with contextlib.suppress(OSError):
            return os.write(number, bytes(n))
        return -1

    def read(self, number: int, n: int) -> int:
        """Read what is there; how much."""
        with contextlib.suppress(OSError):
            return len(os.read(number, n))
        return -1

    def poll(self, number: int) -> int:
        """What poll(2) says of reading and writing."""
        poller = select.poll()
        poller.register(number, select.POLLIN | select.POLLOUT)
        hits = poller.poll(0)
        return hits[0][1] if hits else 0
