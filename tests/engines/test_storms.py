"""Each engine under more than it has room for at once: signals that interrupt every wait, edges by the thousand,
forks and threads in the middle of it.

Storms of descriptor numbers are in tests/unit/test_owners_short.py, and longer in `make soak-owners`.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_ONESHOT,
    EVFILT_READ,
    EVFILT_TIMER,
    EVFILT_USER,
    NOTE_TRIGGER,
    kevent,
)
from tests import gates
from tests.support import installed
from tests.support.plumbing import Pipe
from tests.support.waiting import HARDLY, SOON

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(params=installed.engine_names())
def name(request: pytest.FixtureRequest) -> str:
    """An engine of each kind, whatever engines the other tests are about."""
    engine: str = request.param
    gates.apply(engine)
    return engine


@contextmanager
def alarms(every: float = 0.0002) -> Iterator[list[int]]:
    """SIGALRM all the time; how many came."""
    came: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _frame: came.append(number))
    signal.setitimer(signal.ITIMER_REAL, every, every)
    try:
        yield came
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_signals_in_every_wait(name: str) -> None:
    """Each byte of another thread is told of once, and each timer, though no wait goes uninterrupted."""
    rounds = 150
    with knote.kqueue(engine=name) as kq, Pipe() as pipe, Pipe() as back, alarms() as came:
        kq.control([kevent(pipe.r, EVFILT_READ, EV_ADD | EV_CLEAR)], 0)

        def write() -> None:
            # One byte at a time, each when the one before was collected.
            for _ in range(rounds):
                os.write(pipe.w, b"x")
                os.read(back.r, 1)

        os.set_blocking(back.r, True)
        writer = threading.Thread(target=write)
        writer.start()
        told: list[int] = []
        timers: Counter[int] = Counter()

        def collect() -> None:
            events = kq.control(None, 4, SOON)
            assert events
            told.extend(event.data for event in events if event.filter == EVFILT_READ)
            timers.update(event.ident for event in events if event.filter == EVFILT_TIMER)

        for turn in range(rounds):
            if turn % 10 == 0:
                kq.control([kevent(turn, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1)], 0)
            while len(told) <= turn:
                collect()
            os.write(back.w, b"x")
        writer.join()
        while len(timers) < rounds // 10:
            collect()
        assert kq.control(None, 4, HARDLY) == []
        assert told == list(range(1, rounds + 1))
        assert timers == Counter(range(0, rounds, 10))
        assert came


def test_more_edges_than_a_queue_of_completions(name: str) -> None:
    """Each once, in whatever order, with room for a few at a time."""
    limit = installed.traits(name).max_fd
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(limit - 200 if limit else 5000, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        fds = [os.eventfd(0) for _ in range(count)]
        for fd in fds:
            stack.callback(os.close, fd)
        kq = stack.enter_context(knote.kqueue(engine=name))
        kq.control([kevent(fd, EVFILT_READ, EV_ADD | EV_CLEAR) for fd in fds], 0)
        for turn in (1, 2):
            for fd in fds:
                os.eventfd_write(fd, 1)
            got: Counter[int] = Counter()
            while events := kq.control(None, 700, 0):
                got.update(event.ident for event in events)
                assert {event.data for event in events} == {turn}
            assert got == Counter(fds)


def test_threads_forks_and_signals_at_once(name: str) -> None:
    """Everybody uses one queue; no child hangs or disturbs it, and in the end it is as empty as it was."""
    with knote.kqueue(engine=name) as kq, Pipe() as pipe, alarms(0.001):
        stop = threading.Event()
        broken: list[BaseException] = []

        def use(ident: int) -> None:
            try:
                while not stop.is_set():
                    kq.control([kevent(ident, EVFILT_USER, EV_ADD | EV_ONESHOT, NOTE_TRIGGER)], 0)
                    kq.control([kevent(pipe.r, EVFILT_READ, EV_ADD)], 2, 0.0005)
            except BaseException as error:
                broken.append(error)

        users = [threading.Thread(target=use, args=[ident]) for ident in (1, 2, 3)]
        for user in users:
            user.start()
        for _ in range(10):
            pid = os.fork()
            if not pid:
                os._exit(not kq.closed)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for user in users:
            user.join(SOON)
        assert not broken
        assert not any(user.is_alive() for user in users)
        while kq.control(None, 8, 0):
            pass
        kq.control([kevent(pipe.r, EVFILT_READ, EV_DELETE)], 0)
        assert kq.knotes() == []
