"""FIFOs in every order of opening, writing, reading and closing, compared with what poll(2) would have to say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from knote import EV_ADD, EV_EOF, EVFILT_READ, EVFILT_WRITE, kqueue
from tests.behaviour.words import read, ready, write
from tests.support.plumbing import fill

STEPS = 4


class Fifo:
    """A FIFO, the readers and writers that have it open, and what kqueue(2) says of its ends (S-119, S-153)."""

    def __init__(self, path: Path, watched: int) -> None:
        """watched: the flags of the end that is watched, which stays open."""
        self.path = path
        self.fd = os.open(path, watched | os.O_NONBLOCK)
        self.readers: list[int] = []
        self.writers: list[int] = []
        self.inside = 0
        self.had_writer = False
        self.reading = watched == os.O_RDONLY

    def can(self, step: str) -> bool:
        some_reader = self.reading or bool(self.readers)
        return {
            "r+": len(self.readers) < 2,
            "r-": bool(self.readers),
            "w+": some_reader and len(self.writers) < 2,  # ENXIO without a reader
            "w-": bool(self.writers),
            "write": bool(self.writers) and some_reader,
            "read": bool(self.inside and (self.reading or self.readers)),
        }[step]

    def do(self, step: str) -> None:
        if step == "r+":
            self.readers.append(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK))
        elif step == "r-":
            os.close(self.readers.pop())
        elif step == "w+":
            self.writers.append(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
            self.had_writer = True
        elif step == "w-":
            os.close(self.writers.pop())
        elif step == "write":
            self.inside += os.write(self.writers[-1], b"xyz")
        else:
            self.inside -= len(os.read(self.fd if self.reading else self.readers[-1], 2))

    def says(self) -> list[tuple[int, int, int]]:
        """(filter, EV_EOF, data) of each knote that is true; WRITE's data is not compared."""
        if self.reading:
            end = EV_EOF if self.had_writer and not self.writers else 0
            return [(EVFILT_READ, end, self.inside)] if self.inside or end else []
        return [(EVFILT_WRITE, 0 if self.readers else EV_EOF, 0)]

    def close(self) -> None:
        for fd in (self.fd, *self.readers, *self.writers):
            os.close(fd)


def histories(length: int) -> Iterator[tuple[str, ...]]:
    """Every list of so many steps."""
    steps = ("r+", "r-", "w+", "w-", "write", "read")
    if length == 0:
        yield ()
        return
    for rest in histories(length - 1):
        for step in steps:
            yield (*rest, step)


def replay(path: Path, watched: int, history: tuple[str, ...], opener: tuple[str, ...] = ()) -> bool:
    """Play one; False if a step of it is not possible."""
    with ExitStack() as stack:
        held = [os.open(path, os.O_RDONLY | os.O_NONBLOCK)] if opener else []
        fifo = Fifo(path, watched)
        stack.callback(fifo.close)
        fifo.readers += held
        queue = stack.enter_context(kqueue())
        ready(queue, (read if fifo.reading else write)(fifo.fd, EV_ADD))
        for step in history:
            if not fifo.can(step):
                return False
            fifo.do(step)
            told = [
                (event.filter, event.flags, event.data if event.filter == EVFILT_READ else 0)
                for event in ready(queue)
            ]
            assert told == fifo.says(), (history, step)
    return True


@pytest.mark.parametrize("watched", [os.O_RDONLY, os.O_WRONLY], ids=["read", "write"])
def test_every_order(tmp_path: Path, watched: int) -> None:
    """S-119 ... S-121, S-153, S-414: the end comes with the last to leave, goes with the next to come."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    opener = ("r+",) if watched == os.O_WRONLY else ()
    played = sum(replay(path, watched, history, opener) for history in histories(STEPS))
    assert played > 60


def test_a_fifo_that_is_full(kq: Any, tmp_path: Path) -> None:
    """S-150, S-153: and with room again, with its last reader gone, and with the next one."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    r = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    w = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        room = fill(w)
        assert ready(kq, write(w)) == []
        os.read(r, room)
        assert [event.data for event in ready(kq)] == [room]
        fill(w)
        os.close(r)
        assert [event.flags for event in ready(kq)] == [EV_EOF]
        r = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        assert ready(kq) == [] or ready(kq)[0].flags == 0
    finally:
        os.close(r)
        os.close(w)
