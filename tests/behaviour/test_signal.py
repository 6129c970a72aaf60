"""EVFILT_SIGNAL: what is counted, for whom, and when; nothing is taken from anybody."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_ERROR,
    EV_ONESHOT,
    EV_RECEIPT,
    EVFILT_SIGNAL,
    kevent,
)
from tests.behaviour.signals import RT, USR1, USR2, send, sig
from tests.behaviour.words import apply, idle, ready, user
from tests.support.events import brief, keys
from tests.support.leaks import descriptors
from tests.support.waiting import SOON, alarm_in_the_wait


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """USR1, USR2 and RT have a Python handler, which notes what came."""
    came: list[int] = []
    before = {n: signal.signal(n, lambda number, _frame: came.append(number)) for n in (USR1, USR2, RT)}
    yield came
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def ignored() -> Iterator[None]:
    """USR1 and USR2 are ignored."""
    before = {n: signal.signal(n, signal.SIG_IGN) for n in (USR1, USR2)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_counts_each_and_leaves_them_to_the_handler(kq: Any, handled: list[int]) -> None:
    """S-224, S-225, S-227, S-232."""
    apply(kq, sig(USR1, udata="me"))
    idle(kq)
    send(USR1, 5)
    (event,) = ready(kq)
    assert (event.ident, event.filter, event.flags, event.fflags, event.data, event.udata) == (
        USR1, EVFILT_SIGNAL, EV_CLEAR, 0, 5, "me",
    )  # fmt: skip
    idle(kq)
    send(USR1)
    assert brief(ready(kq)) == ["10 SIGNAL CLEAR d=1 u=me"]
    assert handled == [USR1] * 6


@pytest.mark.usefixtures("ignored")
def test_counts_what_is_ignored(kq: Any) -> None:
    """S-226; trace sig_ignored."""
    apply(kq, sig(USR1))
    send(USR1, 3)
    assert brief(ready(kq)) == ["10 SIGNAL CLEAR d=3"]
    assert signal.getsignal(USR1) == signal.SIG_IGN
    apply(kq, sig(USR1, EV_DELETE))
    send(USR1)
    idle(kq)


@pytest.mark.parametrize("number", [0, 32, 33, 65, 127, 1 << 40, (1 << 64) - 1])
def test_what_is_no_signal_is_refused(kq: Any, number: int) -> None:
    """S-223 →K; "Decided" 4.  libc keeps 32 and 33 for itself."""
    with pytest.raises(OSError, match=f"EVFILT_SIGNAL signal={number}.*no such signal") as caught:
        apply(kq, sig(number))
    assert caught.value.errno == errno.EINVAL
    (event,) = ready(kq, sig(number))
    assert (event.flags, event.data) == (EV_ERROR, errno.EINVAL)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_what_nobody_can_catch_is_registered_and_silent(kq: Any, number: int) -> None:
    """S-235."""
    apply(kq, sig(number))
    idle(kq)
    apply(kq, sig(number, EV_DELETE))


@pytest.mark.needs("EVFILT_SIGNAL beside C")
def test_every_signal_at_once(kq: Any) -> None:
    """Whatever its disposition is; and all are as before when the queue is closed (the leak check looks)."""
    numbers = sorted(signal.valid_signals())
    apply(kq, *map(sig, numbers))
    idle(kq)
    kq.close()


@pytest.mark.parametrize("number", [signal.SIGCHLD, signal.SIGURG, signal.SIGCONT])
def test_what_is_ignored_by_default(kq: Any, number: int) -> None:
    """S-235, S-463: the default action is to do nothing, and that it goes on doing."""
    apply(kq, sig(number))
    send(number, 2)
    assert [(e.ident, e.data) for e in ready(kq)] == [(number, 2)]


def test_a_disabled_one_goes_on_counting(kq: Any, handled: list[int]) -> None:
    """S-066, S-233; trace sig_disabled."""
    apply(kq, sig(USR1, EV_ADD | EV_DISABLE))
    send(USR1, 2)
    assert ready(kq) == []
    idle(kq)
    send(USR1)
    assert brief(ready(kq, sig(USR1, EV_ENABLE))) == ["10 SIGNAL CLEAR d=3"]
    apply(kq, sig(USR1, EV_DISABLE))
    send(USR1)
    assert brief(ready(kq, sig(USR1, EV_ENABLE))) == ["10 SIGNAL CLEAR d=1"]
    assert len(handled) == 4


def test_dispatch(kq: Any, handled: list[int]) -> None:
    """S-077; trace sig_dispatch."""
    apply(kq, sig(USR1, EV_ADD | EV_DISPATCH))
    send(USR1)
    assert brief(ready(kq)) == ["10 SIGNAL CLEAR|DISPATCH d=1"]
    send(USR1, 2)
    assert ready(kq) == []
    assert brief(ready(kq, sig(USR1, EV_ENABLE))) == ["10 SIGNAL CLEAR|DISPATCH d=2"]
    assert len(handled) == 3


def test_oneshot(kq: Any, handled: list[int]) -> None:
    """S-076: returned once, with what has come by then."""
    apply(kq, sig(USR1, EV_ADD | EV_ONESHOT))
    send(USR1, 2)
    assert [e.data for e in ready(kq)] == [2]
    send(USR1)
    idle(kq)
    with pytest.raises(FileNotFoundError):
        apply(kq, sig(USR1, EV_DELETE))
    assert len(handled) == 3


def test_deleting_forgets(kq: Any, handled: list[int]) -> None:
    """S-060: what was counted goes with the knote."""
    apply(kq, sig(USR1))
    send(USR1, 2)
    apply(kq, sig(USR1, EV_DELETE), sig(USR1))
    idle(kq)
    send(USR1)
    assert [e.data for e in ready(kq)] == [1]
    assert len(handled) == 3


def test_adding_again_keeps_the_count_and_takes_the_udata(kq: Any, handled: list[int]) -> None:
    """S-055."""
    apply(kq, sig(USR1, udata=1))
    send(USR1, 2)
    assert brief(ready(kq, sig(USR1, udata=2))) == ["10 SIGNAL CLEAR d=2 u=2"]
    assert len(handled) == 2


def test_a_receipt(kq: Any) -> None:
    """S-036."""
    (event,) = ready(kq, sig(signal.SIGURG, EV_ADD | EV_RECEIPT))
    assert (event.flags, event.data) == (EV_ERROR, 0)


def test_one_sent_before_is_not_counted(kq: Any, handled: list[int]) -> None:
    """S-230; trace sig_before_add."""
    send(USR1, 3)
    apply(kq, sig(USR1))
    idle(kq)
    assert len(handled) == 3


def test_several_signals_come_apart(kq: Any, handled: list[int]) -> None:
    """Each with its own count, in the order of the list."""
    apply(kq, sig(USR2), sig(USR1), sig(RT), user(1))
    send(USR1, 2)
    send(RT, 3)
    assert sorted((e.ident, e.data) for e in ready(kq)) == [(USR1, 2), (RT, 3)]
    send(USR2)
    assert keys(ready(kq)) == [(USR2, EVFILT_SIGNAL)]
    assert len(handled) == 6


def test_each_queue_counts_for_itself(engine: str, handled: list[int]) -> None:
    """S-046, S-234: and none takes from another, nor loses by another's going."""
    with knote.kqueue(engine=engine) as one, knote.kqueue(engine=engine) as two:
        apply(one, sig(USR1))
        send(USR1)
        apply(two, sig(USR1))
        send(USR1, 2)
        assert [e.data for e in ready(one)] == [3]
        send(USR1)
        assert [e.data for e in ready(two)] == [3]
        apply(two, sig(USR1, EV_DELETE))
        send(USR1)
        assert [e.data for e in ready(one)] == [2]
        assert ready(two) == []
    assert len(handled) == 5


def test_through_an_outer_queue(kq: Any, engine: str, handled: list[int]) -> None:
    """S-018; FreeBSD's kqueue_peek_signal."""
    apply(kq, sig(USR1))
    with knote.kqueue(engine=engine) as outer:
        apply(outer, kevent(kq, knote.EVFILT_READ, EV_ADD))
        assert ready(outer) == []
        send(USR1)
        assert [e.ident for e in ready(outer)] == [kq.fileno()]
    assert [e.data for e in ready(kq)] == [1]
    assert len(handled) == 1


def test_wakes_who_waits_in_another_thread(kq: Any, handled: list[int]) -> None:
    """S-231: whichever thread takes the signal."""
    apply(kq, sig(USR1))
    got: list[Any] = []
    waiter = threading.Thread(target=lambda: got.extend(kq.control(None, 8, SOON)))
    waiter.start()
    send(USR1)
    waiter.join()
    assert brief(got) == ["10 SIGNAL CLEAR d=1"]
    assert handled == [USR1]


@pytest.mark.needs("EVFILT_SIGNAL in threads")
@pytest.mark.usefixtures("ignored")
def test_sent_to_one_thread(kq: Any) -> None:
    """S-231; libkqueue sees it only in the thread that reads (4.2)."""
    apply(kq, sig(USR1))
    held, told = threading.Event(), threading.Event()

    def body() -> None:
        told.set()
        held.wait()

    thread = threading.Thread(target=body)
    thread.start()
    told.wait()
    assert thread.ident is not None
    signal.pthread_kill(thread.ident, USR1)
    assert [e.data for e in kq.control(None, 8, SOON)] == [1]
    held.set()
    thread.join()


def test_a_timer_of_the_process_interrupts_the_wait(kq: Any) -> None:
    """S-030: the thread that waits takes the signal itself; its handler runs, and the wait has its event."""
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _frame: came.append(number))
    try:
        apply(kq, sig(signal.SIGALRM))
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert [e.data for e in kq.control(None, 8, SOON)] == [1]
        assert came == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_handler_that_raises_loses_nothing(kq: Any) -> None:
    """S-310: the exception goes to the caller, the event to the next call."""

    def handler(_number: int, _frame: Any) -> None:
        raise KeyError("by the handler")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        apply(kq, sig(signal.SIGALRM))
        with pytest.raises(KeyError), alarm_in_the_wait():
            kq.control(None, 8, SOON)
        assert [e.data for e in ready(kq)] == [1]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_handler_may_change_the_queue(kq: Any) -> None:
    """It runs inside control() of the same queue, which makes its changes when it lets go."""
    before = signal.signal(USR1, lambda _n, _f: kq.control([sig(USR2), sig(USR1, EV_DELETE)], 0))
    was = signal.signal(USR2, signal.SIG_IGN)
    try:
        apply(kq, sig(USR1))
        signal.raise_signal(USR1)
        idle(kq)
        send(USR2)
        assert [(e.ident, e.data) for e in ready(kq)] == [(USR2, 1)]
    finally:
        signal.signal(USR1, before)
        signal.signal(USR2, was)


def test_where_there_is_no_descriptor_left(kq: Any, handled: list[int]) -> None:
    """EMFILE, with its limit in words; nothing half-made is left, and it works when there is one again."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(descriptors()) + 1, hard))
    filler = []
    try:
        with pytest.raises(OSError) as full:
            while True:
                filler.append(os.dup(0))
        assert full.value.errno == errno.EMFILE
        with pytest.raises(OSError, match="RLIMIT_NOFILE") as caught:
            apply(kq, sig(USR1))
        assert caught.value.errno == errno.EMFILE
    finally:
        for fd in filler:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    apply(kq, sig(USR1))
    send(USR1)
    assert [e.data for e in ready(kq)] == [1]


def test_closing_with_counted_signals(engine: str, handled: list[int]) -> None:
    """S-009; libkqueue's close_kq_with_signal_knote."""
    queue = knote.kqueue(engine=engine)
    apply(queue, sig(USR1))
    send(USR1)
    queue.close()
    send(USR1)
    assert handled == [USR1, USR1]


@pytest.mark.slow
def test_ten_thousand_times(kq: Any, handled: list[int]) -> None:
    """Add, fire, delete: nothing grows."""
    apply(kq, sig(USR1), sig(USR1, EV_DELETE))
    before = descriptors()
    for _ in range(10_000):
        apply(kq, sig(USR1))
        send(USR1)
        assert [e.data for e in ready(kq, sig(USR2), sig(USR2, EV_DELETE))] == [1]
        apply(kq, sig(USR1, EV_DELETE))
    assert descriptors() == before
    assert len(handled) == 10_000
