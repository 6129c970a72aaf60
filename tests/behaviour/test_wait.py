"""How long control() waits, and what interrupts it: never early, far ends, signals."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_DISABLE, EV_ONESHOT, NOTE_TRIGGER
from tests.behaviour.words import ROOM, apply, read, timer, trigger, user
from tests.support.events import brief
from tests.support.plumbing import Pipe
from tests.support.waiting import SOON, alarm_in_the_wait

FOR_EVER = [1e10, float(1 << 62), 1e300, math.inf, sys.maxsize, 1 << 80, None]


@pytest.mark.parametrize("timeout", [1e-9, 1e-6, 0.0001, 0.001, 0.0155, 0.02])
def test_never_early(kq: Any, timeout: float) -> None:
    """S-028, S-301: every sample, also where a millisecond is coarse."""
    for _ in range(5):
        start = time.monotonic_ns()
        assert kq.control(None, 1, timeout) == []
        assert time.monotonic_ns() - start >= timeout * 1e9


def test_never_early_while_others_come_and_go(kq: Any, pipe: Pipe) -> None:
    """S-279: a wake-up that turns out to be nothing does not end the wait."""
    apply(kq, read(pipe.r), timer(1, data=1), timer(1, EV_DELETE))
    kq.control([timer(2, EV_ADD | EV_ONESHOT, data=2)], 0)
    apply(kq, timer(2, EV_DISABLE))
    start = time.monotonic_ns()
    assert kq.control(None, 1, 0.02) == []
    assert time.monotonic_ns() - start >= 20_000_000


@pytest.mark.parametrize("timeout", FOR_EVER, ids=str)
def test_what_is_too_far_away_is_for_ever(kq: Any, timeout: float | None) -> None:
    """S-027: no error, no overflow, and the event that comes is seen."""
    changes = [timer(1, EV_ADD | EV_ONESHOT, data=5)]
    assert brief(kq.control(changes, 1, timeout)) == ["1 TIMER ONESHOT|CLEAR d=1"]


def test_an_event_ends_the_wait(kq: Any, pipe: Pipe) -> None:
    """S-025, S-278."""
    apply(kq, read(pipe.r))
    writer = threading.Timer(0.01, pipe.write, [b"x"])
    writer.start()
    assert brief(kq.control(None, 1, 60)) == [f"{pipe.r} READ d=1"]
    writer.join()


# ---- signals -----------------------------------------------------------------------------------


class Stop(Exception):
    """What a handler raises."""


@contextmanager
def on_alarm(handler: Callable[[], object]) -> Iterator[None]:
    """SIGALRM runs *handler* until the block ends."""
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: handler())
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_handler_runs_and_the_wait_goes_on(kq: Any) -> None:
    """S-310, S-030: PEP 475, for what is left of the time."""
    ran: list[int] = []
    with on_alarm(lambda: ran.append(time.monotonic_ns())):
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
        start = time.monotonic_ns()
        assert kq.control(None, 1, 0.05) == []
        assert time.monotonic_ns() - start >= 50_000_000
    assert ran


def test_a_handler_that_raises_ends_the_wait(kq: Any, pipe: Pipe) -> None:
    """S-310: its exception propagates; the changes of the call stand, and the queue goes on."""

    def stop() -> None:
        raise Stop

    with on_alarm(stop), pytest.raises(Stop), alarm_in_the_wait():
        kq.control([read(pipe.r)], 1, 60)
    pipe.write(b"x")
    assert brief(kq.control(None, 1, 0)) == [f"{pipe.r} READ d=1"]


def test_changes_are_not_applied_again(kq: Any) -> None:
    """S-310 →K: a DELETE that was applied twice would be ENOENT, a trigger would come twice."""
    apply(kq, user(1, EV_ADD | EV_CLEAR), user(2))
    ran: list[int] = []

    def count() -> None:
        ran.append(1)
        if len(ran) == 3:
            kq.control([trigger(1)], 0)

    with on_alarm(count):
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
        assert brief(kq.control([user(2, EV_DELETE)], ROOM, SOON)) == ["1 USER CLEAR d=0"]
    assert len(ran) >= 3
    assert kq.control(None, ROOM, 0) == []


def test_a_handler_may_use_the_queue(kq: Any, pipe: Pipe) -> None:
    """What it adds while control() waits on this thread is seen by that very wait."""
    pipe.write(b"xyz")
    with on_alarm(lambda: kq.control([read(pipe.r)], 0)), alarm_in_the_wait():
        assert brief(kq.control(None, 1, 60)) == [f"{pipe.r} READ d=3"]


def test_a_handler_may_collect(kq: Any, pipe: Pipe) -> None:
    """The wait holds no lock, so the handler's control() is a call like any other."""
    apply(kq, read(pipe.r, EV_ADD | EV_ONESHOT))
    got: list[str] = []

    def collect() -> None:
        pipe.write(b"x")
        got.extend(brief(kq.control(None, 1, SOON)))
        kq.control([user(1, EV_ADD | EV_ONESHOT, NOTE_TRIGGER)], 0)

    with on_alarm(collect), alarm_in_the_wait():
        assert brief(kq.control(None, 1, 60)) == ["1 USER ONESHOT d=0"]
    assert got == [f"{pipe.r} READ ONESHOT d=1"]


def test_a_handler_may_close(kq: Any) -> None:
    """S-284: as if another thread had closed it."""
    with on_alarm(kq.close), pytest.raises(OSError, match="Bad file"), alarm_in_the_wait():
        kq.control(None, 1, 60)
    assert kq.closed


def test_a_signal_to_another_thread_is_nothing_to_this_one(kq: Any) -> None:
    """S-286: Python's handlers run in the main thread, whoever is interrupted."""
    ran: list[int] = []
    done: list[Any] = []
    start = time.monotonic_ns()
    waiter = threading.Thread(target=lambda: done.append(kq.control(None, 1, 0.05)))
    with on_alarm(lambda: ran.append(1)):
        waiter.start()
        assert waiter.ident is not None
        signal.pthread_kill(waiter.ident, signal.SIGALRM)
        waiter.join()
        assert time.monotonic_ns() - start >= 50_000_000
    assert done == [[]]
    assert ran
