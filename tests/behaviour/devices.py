"""Short words for /dev/poll."""

from __future__ import annotations

import select
import struct
from collections.abc import Iterator
from typing import Any

import pytest

import knote
from tests.support.waiting import SOON

IN, OUT, PRI = select.POLLIN, select.POLLOUT, select.POLLPRI
ERR, HUP, NVAL = select.POLLERR, select.POLLHUP, select.POLLNVAL
SOON_MS = int(SOON * 1000)


def pollfd(fd: int, events: int = 0, revents: int = 0) -> bytes:
    """struct pollfd."""
    return struct.pack("ihh", fd, events, revents)


def pollfds(data: bytes | bytearray, count: int) -> list[tuple[int, int, int]]:
    """The first records of a buffer."""
    return list(struct.iter_unpack("ihh", bytes(data[: 8 * count])))


@pytest.fixture
def dp(engine: str) -> Iterator[Any]:
    """An empty /dev/poll."""
    made = knote.devpoll(engine=engine)
    yield made
    made.close()
