"""Short words for asynchronous requests, and each of the three ways in which they are carried out."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from knote.carriers import NAMES
from tests import gates
from tests.support.waiting import SOON


class _AioInit(ctypes.Structure):
    _fields_ = (("fields", ctypes.c_int * 16),)


@cache
def _impatient_glibc() -> None:
    """Threads of glibc's AIO leave at once, and not after a second: the leak check waits for them."""
    init = _AioInit()
    init.fields[0], init.fields[1], init.fields[6] = 20, 64, -1  # aio_threads, aio_num, aio_idle_time
    ctypes.CDLL(None).aio_init(ctypes.byref(init))


@pytest.fixture(params=NAMES)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a carrier, which all queues of the test use; each in turn."""
    gates.apply(None, [request.param])
    if request.param == "posix":
        _impatient_glibc()
    monkeypatch.setenv("KNOTE_AIO", request.param)
    yield request.param


def collect(kq: Any, count: int) -> list[Any]:
    """So many events, however many calls it takes; fewer if they do not come."""
    events: list[Any] = []
    while len(events) < count:
        more = kq.control(None, count - len(events), SOON)
        if not more:
            break
        events += more
    return events


def only(kq: Any) -> Any:
    """The one event that comes."""
    (event,) = collect(kq, 1)
    return event
