"""EVFILT_SIGNAL under load: real-time signals are queued one by one, so each count must be right."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import knote
from knote import EV_DELETE
from tests.behaviour.signals import RT, USR1, send, sig
from tests.behaviour.words import apply, ready
from tests.support.leaks import descriptors
from tests.support.waiting import SOON

exact = pytest.mark.needs("EVFILT_SIGNAL exact", "EVFILT_SIGNAL in threads")

SENDS = 3000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.sigqueue.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p)


@pytest.fixture(autouse=True)
def _dispositions() -> Iterator[None]:
    """USR1 and RT, ignored; as they were afterwards."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (USR1, RT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _queue_one() -> bool:
    if _libc.sigqueue(os.getpid(), RT, None) == 0:
        return True
    assert ctypes.get_errno() == errno.EAGAIN  # RLIMIT_SIGPENDING
    return False


def _one_to_this_thread() -> bool:
    signal.pthread_kill(threading.get_ident(), RT)
    return True


def _storm(one: Callable[[], bool], sent: list[int]) -> None:
    count = 0
    for _ in range(SENDS):
        count += one()
    sent.append(count)


def _total(kq: Any) -> int:
    return sum(event.data for event in ready(kq))


@exact
@pytest.mark.parametrize("one", [_queue_one, _one_to_this_thread])
def test_every_one_of_a_storm_is_counted(kq: Any, engine: str, one: Callable[[], bool]) -> None:
    """S-236, by a queue that collects all the time and by one that looks once; a third comes and goes."""
    sent: list[int] = []
    with knote.kqueue(engine=engine) as patient:
        apply(kq, sig(RT))
        apply(patient, sig(RT))
        threads = [threading.Thread(target=_storm, args=(one, sent)) for _ in range(3)]
        for thread in threads:
            thread.start()
        told = 0
        while any(thread.is_alive() for thread in threads):
            told += _total(kq)
            with knote.kqueue(engine=engine) as fleeting:
                apply(fleeting, sig(RT))
                told += _total(kq)
        for thread in threads:
            thread.join()
        told += _total(kq)
        assert told == sum(sent)
        assert _total(patient) == sum(sent)


@exact
def test_waiters_share_them_out(kq: Any) -> None:
    """S-029: several threads in control() on one queue; each count goes to exactly one."""
    apply(kq, sig(RT))
    told: list[int] = []
    over = threading.Event()

    def wait() -> None:
        while not over.is_set():
            told.extend(event.data for event in kq.control(None, 1, 0.05))

    waiters = [threading.Thread(target=wait) for _ in range(3)]
    for thread in waiters:
        thread.start()
    sent: list[int] = []
    _storm(_queue_one, sent)
    over.set()
    for thread in waiters:
        thread.join()
    assert sum(told) + _total(kq) == sum(sent)


@exact
def test_coming_and_going_under_fire(engine: str) -> None:
    """Add, close, delete, while signals come: no crash, no descriptor left, nobody else's number written to."""
    before = descriptors()
    over = threading.Event()

    def fire() -> None:
        while not over.is_set():
            signal.pthread_kill(threading.get_ident(), RT)

    with knote.kqueue(engine=engine) as always:
        apply(always, sig(RT))
        thread = threading.Thread(target=fire)
        thread.start()
        try:
            for i in range(300):
                queue = knote.kqueue(engine=engine)
                apply(queue, sig(RT))
                ready(queue)
                if i % 2:
                    apply(queue, sig(RT, EV_DELETE))
                queue.close()
                r, w = os.pipe2(os.O_NONBLOCK)
                with pytest.raises(BlockingIOError):
                    os.read(r, 1)
                os.close(r)
                os.close(w)
        finally:
            over.set()
            thread.join()
        assert [e.ident for e in always.control(None, 1, SOON)] == [RT]
    assert descriptors() == before


# -- libkqueue's defects (spec 4.1 ... 4.4), by name --------------------------------------------------------


@exact
def test_libkqueue_pthread_kill_is_not_seen(kq: Any) -> None:
    """4.2: it sees only what is sent to the thread that reads its signalfd."""
    apply(kq, sig(USR1))
    sender = threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), USR1))
    sender.start()
    sender.join()
    assert _total(kq) == 1


def test_libkqueue_all_threads_must_block(kq: Any) -> None:
    """4.2: it blocks the signal in the registering thread, and a thread that does not block it takes it away."""
    ended = threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    apply(kq, sig(USR1))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    send(USR1)
    assert [e.data for e in kq.control(None, 8, SOON)] == [1]
    ended.set()
    other.join()


def test_libkqueue_counts_once_for_many(kq: Any) -> None:
    """4.1, S-456: a signalfd gives one record for five kills."""
    apply(kq, sig(USR1))
    send(USR1, 5)
    assert _total(kq) == 5


def test_libkqueue_signals_interfere_with_the_program(kq: Any) -> None:
    """4.4: extra threads and blocked signals.  No thread, no mask, and the handler runs."""
    threads = os.listdir("/proc/self/task")
    came: list[int] = []
    before = signal.signal(USR1, lambda number, _frame: came.append(number))
    try:
        apply(kq, sig(USR1))
        assert os.listdir("/proc/self/task") == threads
        send(USR1)
        assert came == [USR1]
        assert _total(kq) == 1
    finally:
        signal.signal(USR1, before)
