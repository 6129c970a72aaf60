"""A directory to change things in, and what a queue says of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import knote
from knote import EV_ADD, EV_CLEAR, constants
from tests.behaviour.words import apply, vnode
from tests.support.waiting import HARDLY

EVERY: Final = (
    knote.NOTE_DELETE
    | knote.NOTE_WRITE
    | knote.NOTE_EXTEND
    | knote.NOTE_ATTRIB
    | knote.NOTE_LINK
    | knote.NOTE_RENAME
    | knote.NOTE_REVOKE
)
"""The notes of every BSD; those that the traces ask for."""
PASSING: Final = knote.NOTE_OPEN | knote.NOTE_CLOSE | knote.NOTE_CLOSE_WRITE | knote.NOTE_READ


class Folder:
    """A directory, the descriptors that a test opens in it, and a queue that watches them."""

    def __init__(self, root: Path, kq: Any) -> None:
        self.root = root
        self.kq = kq
        self._fds: list[int] = []

    def path(self, name: str) -> str:
        """Where that is."""
        return str(self.root / name)

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor that is closed with the folder."""
        fd = os.open(self.path(name), flags | os.O_CLOEXEC, 0o644)
        self._fds.append(fd)
        return fd

    def file(self, name: str, content: bytes = b"0123456789") -> int:
        """A file that is open for reading and writing, and its descriptor."""
        (self.root / name).write_bytes(content)
        return self.open(name, os.O_RDWR)

    def watch(self, fd: int, notes: int = EVERY, flags: int = EV_ADD | EV_CLEAR, udata: Any = 0) -> int:
        """Add a knote; fd."""
        apply(self.kq, vnode(fd, notes, flags, udata))
        return fd

    def close(self, *fds: int) -> None:
        """Close these, or all that are open."""
        for fd in fds or tuple(self._fds):
            self._fds.remove(fd)
            os.close(fd)

    def told(self, timeout: float = 0) -> dict[int, str]:
        """What one collect says: fd -> its notes."""
        return {event.ident: notes(event) for event in self.kq.control(None, 64, timeout)}

    def after(self, change: Callable[[], object]) -> dict[int, str]:
        """What a change makes the queue say; a second collect must have nothing to add."""
        change()
        said = self.told(HARDLY)
        assert self.told() == {}
        return said


def notes(event: Any) -> str:
    """'WRITE|EXTEND'; '' for none."""
    assert event.data == 0
    assert event.filter == knote.EVFILT_VNODE
    return constants.fflags_text(event.filter, event.fflags)


@pytest.fixture
def folder(kq: Any, tmp_path: Path) -> Iterator[Folder]:
    """For the files of a test, watched by its queue."""
    made = Folder(tmp_path, kq)
    yield made
    made.close()
