"""Signal handlers raise in the middle of a call: nobody is locked out, and what is closed is closed.

In the interpreted build a handler runs between any two instructions.  A profile function raises there, where a
handler could, one place after the other; compiled code has no such places.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

import knote
from knote import EV_ADD, EV_CLEAR, EV_ONESHOT, EVFILT_READ, EVFILT_USER, NOTE_TRIGGER, kevent
from tests.support.plumbing import Pipe, number_is_free
from tests.support.waiting import SOON

PACKAGE = os.path.dirname(knote.__file__)


class Stop(Exception):
    """What a handler raises."""


class Handlers:
    """Raise at the nth place in knote's code where one could, and again so many places after that."""

    def __init__(self, nth: int, after: int) -> None:
        self._at = [nth, nth + after] if after else [nth]
        self.places = 0
        self.raised = 0

    def _profile(self, frame: FrameType, event: str, arg: Any) -> None:
        # Where a function begins, and where one in C returns: there the interpreter looks for signals.
        if event in ("call", "c_return") and frame.f_code.co_filename.startswith(PACKAGE):
            self.places += 1
            if self.places in self._at:
                self.raised += 1
                raise Stop

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        # Python drops a profile function that raises, so it is set again when the exception goes on its way.
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_lines = False
        if event == "exception" and self.raised < len(self._at):
            sys.setprofile(self._profile)
        return self._trace

    def __enter__(self) -> None:
        sys.settrace(self._trace)
        sys.setprofile(self._profile)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        sys.settrace(None)


Call = Callable[[knote.kqueue, knote.kqueue, Pipe], None]


def control(kq: knote.kqueue, other: knote.kqueue, pipe: Pipe) -> None:
    """Changes and a wait."""
    read, user = kevent(pipe.r, EVFILT_READ, EV_ADD | EV_CLEAR), kevent(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER)
    kq.control([read, user], 4, 0)
    kq.control(None, 4, 0.0001)


def knotes(kq: knote.kqueue, other: knote.kqueue, pipe: Pipe) -> None:
    """What is registered."""
    kq.knotes()


def count(kq: knote.kqueue, other: knote.kqueue, pipe: Pipe) -> None:
    """A queue that watches another one asks it how many wait there."""
    kq.control([kevent(other, EVFILT_READ, EV_ADD)], 4, 0)


def interrupted(call: Call, engine: str, pipe: Pipe, nth: int, after: int) -> int:
    """How many of the handlers came."""
    handlers = Handlers(nth, after)
    queues = [knote.kqueue(engine=engine) for _ in range(2)]
    queues[1].control([kevent(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER)], 0)
    with suppress(Stop), handlers:
        call(*queues, pipe)
    got: list[int] = []

    def use() -> None:
        change = kevent(7, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER)
        for kq in queues:
            got.extend(event.ident for event in kq.control([change], 8, SOON))

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    thread.join(SOON)
    assert got.count(7) == 2, f"another thread is locked out after place {nth}, {after}"
    for kq in queues:
        number = kq.fileno()
        kq.close()
        assert number_is_free(number), f"still open after place {nth}, {after}"
    return handlers.raised


@pytest.mark.parametrize("call", [control, knotes, count], ids=lambda call: call.__name__)
def test_wherever_a_handler_raises(engine: str, pipe: Pipe, call: Call) -> None:
    pipe.write(b"x")
    nth = 1
    while interrupted(call, engine, pipe, nth, 0):
        nth += 1


@pytest.mark.parametrize("call", [control, knotes, count], ids=lambda call: call.__name__)
def test_wherever_another_raises_on_the_way_out(engine: str, pipe: Pipe, call: Call) -> None:
    """What makes up for the first is interrupted by the second."""
    pipe.write(b"x")
    nth = after = 1
    while raised := interrupted(call, engine, pipe, nth, after):
        nth, after = (nth, after + 1) if raised == 2 else (nth + 1, 1)
