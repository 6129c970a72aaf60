"""EVFILT_SIGNAL of signals that the program has blocked: seen, and left pending."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.behaviour.signals import RT, USR1, data, dispositions, sig
from tests.behaviour.words import apply, idle
from tests.support.waiting import HARDLY, SOON

__all__ = ["dispositions"]


def send_here(number: int, times: int = 1) -> None:
    """To this thread: of pytest's own one cannot tell when it has begun to block all signals."""
    for _ in range(times):
        signal.raise_signal(number)


@pytest.fixture
def blocked() -> Iterator[None]:
    """USR1 and RT are blocked in this thread, and taken before they are let in again."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [USR1, RT])
    yield
    while signal.sigtimedwait([USR1, RT], 0):
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.usefixtures("blocked")
@pytest.mark.parametrize("number", [USR1, RT])
def test_a_blocked_signal_is_seen_and_left_pending(kq: Any, number: int) -> None:
    """S-226, S-227, S-457; trace sig_blocked.  sigwait(3) finds it; libkqueue would have read it away."""
    apply(kq, sig(number))
    idle(kq)
    for _ in range(3):
        send_here(number)
        assert data(kq) == [1]
        idle(kq)
        assert number in signal.sigpending()
        assert signal.sigwait([number]) == number
        idle(kq)


@pytest.mark.usefixtures("blocked")
def test_a_blocked_signal_wakes(kq: Any) -> None:
    """libkqueue's fires_while_blocked: the wait ends when it comes, from wherever."""
    signal.signal(USR1, lambda *_: None)
    apply(kq, sig(USR1))
    child = subprocess.Popen(["sh", "-c", f"sleep 0.05; kill -USR1 {os.getpid()}"])
    assert [event.data for event in kq.control(None, 8, SOON)] == [1]
    child.wait()


@pytest.mark.usefixtures("blocked")
def test_one_that_is_blocked_later(kq: Any) -> None:
    """The program need not have blocked it when it registered it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [USR1])
    signal.signal(USR1, signal.SIG_IGN)
    apply(kq, sig(USR1))
    signal.pthread_sigmask(signal.SIG_BLOCK, [USR1])
    idle(kq)
    send_here(USR1)
    assert data(kq) == [1]


@pytest.mark.usefixtures("blocked")
def test_unblocking_does_not_count_it_again(kq: Any) -> None:
    """Told while it was pending, so its delivery is nothing new."""
    came: list[int] = []
    signal.signal(USR1, lambda number, _frame: came.append(number))
    apply(kq, sig(USR1))
    send_here(USR1)
    assert data(kq) == [1]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [USR1])
    assert came == [USR1]
    idle(kq)
    send_here(USR1, 2)
    assert data(kq) == [2]


@pytest.mark.usefixtures("blocked")
def test_one_that_was_pending_before_is_not_counted(kq: Any) -> None:
    """S-230."""
    send_here(USR1)
    apply(kq, sig(USR1))
    assert kq.control(None, 8, HARDLY) == []


@pytest.mark.usefixtures("blocked")
def test_blocked_by_one_queue_and_another(kq: Any, engine: str) -> None:
    """Nothing is taken, so each sees it."""
    import knote

    with knote.kqueue(engine=engine) as other:
        apply(kq, sig(USR1))
        apply(other, sig(USR1))
        send_here(USR1)
        assert data(kq) == data(other) == [1]
