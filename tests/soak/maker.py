"""Random steps, mostly of kinds that mean something, and what of a failing list is not needed."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from typing import Any, Final

from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_FORCEONESHOT,
    EV_KEEPUDATA,
    EV_ONESHOT,
    EV_RECEIPT,
    EVFILT_READ,
    EVFILT_TIMER,
    EVFILT_USER,
    EVFILT_WRITE,
    NOTE_ABSTIME,
    NOTE_FFAND,
    NOTE_FFCOPY,
    NOTE_FFOR,
    NOTE_LOWAT,
    NOTE_NODATA,
    NOTE_SECONDS,
    NOTE_TRIGGER,
    NOTE_USECONDS,
)
from tests.soak.player import QUEUES, SLOTS, Step

ACTIONS: Final = (
    EV_ADD, EV_DELETE, EV_ENABLE, EV_DISABLE, EV_ONESHOT, EV_CLEAR, EV_RECEIPT, EV_DISPATCH,
    EV_FORCEONESHOT, EV_KEEPUDATA, 0x1000, 0x8000,
)  # fmt: skip
USUAL: Final = (
    EV_ADD, EV_ADD, EV_ADD, EV_ADD | EV_CLEAR, EV_ADD | EV_CLEAR, EV_ADD | EV_ONESHOT, EV_ADD | EV_DISPATCH,
    EV_ADD | EV_DISABLE, EV_ADD | EV_CLEAR | EV_DISPATCH, EV_ADD | EV_CLEAR | EV_DISABLE, EV_ADD | EV_RECEIPT,
    EV_ENABLE, EV_ENABLE, EV_DISABLE, EV_DELETE, EV_DELETE, 0, EV_FORCEONESHOT, EV_KEEPUDATA,
    EV_KEEPUDATA | EV_ENABLE, EV_ADD | EV_DELETE, EV_RECEIPT,
)  # fmt: skip
FD_NOTES: Final = (
    (0, 0), (0, 0), (0, 0), (0, 7), (NOTE_NODATA, 0), (NOTE_LOWAT, 1), (NOTE_LOWAT, 3), (NOTE_LOWAT, 50),
    (NOTE_LOWAT, 1 << 40), (NOTE_LOWAT, 0), (NOTE_LOWAT, -3),
)  # fmt: skip
USER_NOTES: Final = (0, 0x15, NOTE_TRIGGER, NOTE_TRIGGER | NOTE_FFCOPY | 0x33, NOTE_FFAND | 0xF0,
                     NOTE_FFOR | 0xF0000F, NOTE_TRIGGER | NOTE_FFOR | 1, 0x3E000000)  # fmt: skip
TIMER_NOTES: Final = (
    (NOTE_SECONDS, 100_000), (0, 100_000_000), (NOTE_ABSTIME | NOTE_SECONDS, 1), (NOTE_ABSTIME, 0),
    (NOTE_ABSTIME | NOTE_USECONDS, -5), (NOTE_ABSTIME | NOTE_SECONDS, 1 << 32), (NOTE_SECONDS, -1),
    (NOTE_SECONDS | NOTE_USECONDS, 5), (0x4000, 5), (0, 1 << 62),
)  # fmt: skip
SIZES: Final = (1, 1, 2, 3, 5, 40, 100, 3000, 4095, 4096, 5000)
MUCH: Final = 1 << 18


class Maker:
    """Makes steps from a seed."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng
        self._kinds: tuple[Callable[[], Step], ...] = (
            (self.control,) * 12 + (self.write,) * 4 + (self.read,) * 4 + (self.open,) * 2
            + (self.close, self.shutdown, self.poll)
        )  # fmt: skip

    def step(self) -> Step:
        """The next one."""
        return self._random.choice(self._kinds)()

    def open(self) -> Step:
        """A new pair of descriptors, if its slot is free."""
        return "open", self._random.randrange(SLOTS), self._random.choice(("pipe", "pair"))

    def _end(self) -> int:
        return self._random.randrange(2 * SLOTS)

    def close(self) -> Step:
        """Close one end."""
        return "close", self._end()

    def shutdown(self) -> Step:
        """Shut one end down, if it is a socket."""
        return "shutdown", self._end(), self._random.choice((socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR))

    def write(self) -> Step:
        """A few bytes, or until it is full."""
        return "write", self._end(), MUCH if self._random.random() < 0.08 else self._random.choice(SIZES)

    def read(self) -> Step:
        """A few bytes, or until it is empty."""
        return "read", self._end(), MUCH if self._random.random() < 0.4 else self._random.choice(SIZES)

    def poll(self) -> Step:
        """Ask poll(2) about a queue."""
        return "poll", self._random.randrange(QUEUES)

    def control(self) -> Step:
        """A call, with or without changes."""
        rng = self._random
        count = rng.choice((0, 0, 0, 1, 1, 1, 2, 3, 5, 20))
        changes = [self.change() for _ in range(count)]
        return "control", rng.randrange(QUEUES), changes, rng.choice((0, 1, 2, 3, 8, 64, 64)), rng.random() < 0.3

    def change(self) -> tuple[Any, ...]:
        """One change of a list."""
        rng = self._random
        flags = rng.choice(USUAL)
        if rng.random() < 0.1:
            flags = sum(flag for flag in ACTIONS if rng.random() < 0.25)
        udata = rng.randrange(1, 1000)
        kind = rng.random()
        if kind < 0.7:
            number = EVFILT_READ if rng.random() < 0.55 else EVFILT_WRITE
            notes, data = rng.choice(FD_NOTES)
            return ("end", self._end()), number, flags, notes, data, udata
        if kind < 0.85:
            return rng.randrange(3), EVFILT_USER, flags, rng.choice(USER_NOTES), rng.randrange(-2, 9), udata
        if kind < 0.97:
            notes, data = rng.choice(TIMER_NOTES)
            if rng.random() < 0.1:
                flags, notes, data = flags | EV_ONESHOT, 0, 0
            return rng.randrange(3), EVFILT_TIMER, flags, notes, data, udata
        number = rng.choice((0, 5, -31, -14, EVFILT_READ, EVFILT_WRITE))
        return rng.choice((901, 1 << 31, (1 << 64) - 1)), number, flags, 0, 0, udata


def shorten(steps: list[Step], fails: Callable[[list[Step]], bool]) -> list[Step]:
    """Leave out what the failure does not need: runs of steps, then single changes of the lists."""
    size = max(len(steps) // 2, 1)
    while size:
        at = 0
        while at < len(steps):
            fewer = steps[:at] + steps[at + size :]
            if fails(fewer):
                steps = fewer
            else:
                at += size
        size //= 2
    for i, step in enumerate(steps):
        if step[0] == "control":
            for changes in _with_fewer(step[2]):
                simpler = steps[:i] + [(step[0], step[1], changes, *step[3:])] + steps[i + 1 :]
                if fails(simpler):
                    return shorten(simpler, fails)
    return steps


def _with_fewer(changes: list[Any]) -> list[list[Any]]:
    return [changes[:k] + changes[k + 1 :] for k in range(len(changes))]
