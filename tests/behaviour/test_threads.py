"""Any number of threads wait and change at once: each edge to exactly one, close to all."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import knote
from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_DISPATCH, EV_ENABLE, EV_ONESHOT
from tests.behaviour.words import ROOM, apply, idle, read, ready, timer, trigger, user, write
from tests.support.events import brief
from tests.support.plumbing import Pipe, drain
from tests.support.waiting import SOON, wait_until

WAITERS = 4
STOP = (1 << 64) - 1
"""The user event that sends waiters home; by level, so that each sees it."""


@contextmanager
def running(*bodies: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Each body in a thread of its own; joined at the end, and what they raised is raised."""
    raised: list[BaseException] = []

    def guarded(body: Callable[[], object]) -> None:
        try:
            body()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=[body]) for body in bodies]
    for thread in threads:
        thread.start()
    try:
        yield raised
    finally:
        for thread in threads:
            thread.join(SOON * 4)
        stuck = [thread.name for thread in threads if thread.is_alive()]
    assert not stuck, f"still waiting: {stuck}"
    if raised:
        raise raised[0]


class Waiter:
    """Collects until STOP is triggered."""

    def __init__(self, kq: Any, room: int = 1) -> None:
        self.kq, self.room = kq, room
        self.got: list[Any] = []

    def __call__(self) -> None:
        while True:
            events = self.kq.control(None, self.room, None)
            self.got += [event for event in events if event.ident != STOP]
            if any(event.ident == STOP for event in events):
                return


def waiters(kq: Any, count: int = WAITERS, room: int = 1) -> list[Waiter]:
    apply(kq, user(STOP))
    return [Waiter(kq, room) for _ in range(count)]


def asleep() -> int:
    """How many of this process's threads sleep in the kernel."""
    count = 0
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/stat") as stat:
            count += stat.read().rsplit(")", 1)[1].split()[0] == "S"
    return count


def total(them: list[Waiter]) -> int:
    return sum(len(one.got) for one in them)


# ---- each edge to exactly one ------------------------------------------------------------------


@pytest.mark.parametrize("room", [1, 8])
def test_each_trigger_wakes_one(kq: Any, room: int) -> None:
    """S-272, S-282; spec section 8 rule 10."""
    them = waiters(kq, room=room)
    apply(kq, user(1, EV_ADD | EV_CLEAR))
    with running(*them):
        for count in range(1, 301):
            apply(kq, trigger(1, data=count))
            wait_until(lambda count=count: total(them) >= count)
        apply(kq, trigger(STOP))
    got = sorted(event.data for one in them for event in one.got)
    assert got == list(range(1, 301))


@pytest.mark.parametrize("room", [1, 8])
@pytest.mark.parametrize("flags", [EV_ONESHOT, EV_CLEAR, EV_CLEAR | EV_DISPATCH])
def test_a_burst_of_triggers(kq: Any, flags: int, room: int) -> None:
    """S-272: one delivery for each knote, whoever gets it."""
    many = range(1, 1001)
    them = waiters(kq, room=room)
    apply(kq, *(user(ident, EV_ADD | flags) for ident in many))
    with running(*them):
        for ident in many:
            apply(kq, trigger(ident))
        wait_until(lambda: total(them) >= len(many))
        apply(kq, trigger(STOP))
    assert sorted(event.ident for one in them for event in one.got) == list(many)


@pytest.mark.needs("edges in threads")
def test_each_arrival_wakes_one(kq: Any, pipe: Pipe) -> None:
    """S-282: edges that the kernel reports."""
    them = waiters(kq)
    apply(kq, read(pipe.r, EV_ADD | EV_CLEAR))
    with running(*them):
        for count in range(1, 201):
            pipe.write(b"x")
            wait_until(lambda count=count: total(them) >= count)
        apply(kq, trigger(STOP))
    assert sorted(event.data for one in them for event in one.got) == list(range(1, 201))


@pytest.mark.parametrize("flags", [EV_ONESHOT, EV_DISPATCH])
def test_each_pipe_is_one_workers(kq: Any, flags: int) -> None:
    """S-282: by level in the kernel, and yet once: ONESHOT and DISPATCH."""
    pipes = [Pipe() for _ in range(60)]
    try:
        them = waiters(kq, room=3)
        with running(*them):
            for pipe in pipes:
                apply(kq, read(pipe.r, EV_ADD | flags))
                pipe.write(b"x")
            wait_until(lambda: total(them) >= len(pipes))
            apply(kq, trigger(STOP))
        counts = Counter(event.ident for one in them for event in one.got)
        assert counts == Counter(pipe.r for pipe in pipes)
    finally:
        for pipe in pipes:
            pipe.close()


@pytest.mark.parametrize("lives", [1, 5])
def test_who_waits_on_a_set_that_is_built_anew(kq: Any, lives: int) -> None:
    """S-398: a number is closed while a dup keeps its file, and the kernel reports the file for ever.  Whoever
    finds it out builds the set anew, and must let the others come back from the old one: the queue is awake for
    their sake, and who finds it so does not sleep, which is when an engine lets go of the GIL."""
    them = waiters(kq, room=3)
    with running(*them):
        for life in range(lives):
            wait_until(lambda: asleep() >= WAITERS)
            with Pipe() as pipe:
                keeper = os.dup(pipe.r)
                apply(kq, read(pipe.r))
                os.close(pipe.r)
                pipe.r = keeper
                pipe.write(b"x")
                apply(kq, user(life, EV_ADD | EV_ONESHOT), trigger(life))
                wait_until(lambda life=life: {event.ident for one in them for event in one.got} >= {life})
        apply(kq, trigger(STOP))
    assert {event.ident for one in them for event in one.got} == set(range(lives))


def test_workers_that_enable_when_they_are_done(kq: Any) -> None:
    """S-076, S-282: never two of them on one pipe, and every byte is read."""
    pipes = [Pipe() for _ in range(6)]
    busy: Counter[int] = Counter()
    taken: Counter[int] = Counter()
    clashes: list[int] = []
    per_pipe = 100

    def work() -> None:
        while True:
            (event,) = kq.control(None, 1, None)
            if event.ident == STOP:
                return
            busy[event.ident] += 1
            if busy[event.ident] != 1:
                clashes.append(event.ident)
            taken[event.ident] += drain(event.ident)
            busy[event.ident] -= 1
            apply(kq, read(event.ident, EV_ENABLE))

    try:
        apply(kq, user(STOP), *(read(pipe.r, EV_ADD | EV_DISPATCH) for pipe in pipes))
        with running(*[work] * WAITERS):
            for _ in range(per_pipe):
                for pipe in pipes:
                    pipe.write(b"x")
            wait_until(lambda: taken.total() == per_pipe * len(pipes))
            apply(kq, trigger(STOP))
        assert not clashes
    finally:
        for pipe in pipes:
            pipe.close()


def test_each_expiration_is_counted_once(kq: Any) -> None:
    """S-240, S-282."""
    them = waiters(kq)
    start = time.monotonic_ns()
    apply(kq, timer(1, data=1))
    with running(*them):
        wait_until(lambda: total(them) >= 30)
        apply(kq, timer(1, EV_DELETE))
        passed = (time.monotonic_ns() - start) // 1_000_000
        apply(kq, trigger(STOP))
    assert sum(event.data for one in them for event in one.got) <= passed


def test_a_level_may_go_to_several(kq: Any, pipe: Pipe) -> None:
    """S-282: and to each that asks."""
    pipe.write(b"x")
    apply(kq, read(pipe.r))
    seen: list[str] = []
    with running(*[lambda: seen.extend(brief(kq.control(None, 1, SOON)))] * WAITERS):
        pass
    assert seen == [f"{pipe.r} READ d=1"] * WAITERS


# ---- changes while others wait -----------------------------------------------------------------


def test_what_another_thread_adds_is_waited_for(kq: Any, pipe: Pipe) -> None:
    """S-281, S-053: also if it is true already."""
    pipe.write(b"x")
    for change, undo in (
        (read(pipe.r), read(pipe.r, EV_DELETE)),
        (write(pipe.w), write(pipe.w, EV_DELETE)),
        (user(1, fflags=knote.NOTE_TRIGGER), user(1, EV_DELETE)),
        (timer(1, EV_ADD, data=1), timer(1, EV_DELETE)),
    ):
        got: list[Any] = []
        with running(lambda got=got: got.extend(kq.control(None, 1, SOON))):
            apply(kq, change)
        assert [(event.ident, event.filter) for event in got] == [(change.ident, change.filter)]
        apply(kq, undo)


def test_a_waiter_on_an_empty_queue(kq: Any) -> None:
    """S-281: nothing is registered when the wait begins."""
    got: list[Any] = []
    with running(lambda: got.extend(kq.control(None, 1, None))):
        apply(kq, user(1))
        apply(kq, trigger(1, udata="hello"))
    assert got[0].udata == "hello"


def test_delete_against_delivery(kq: Any) -> None:
    """S-283: delivered once, or deleted; never both at once, never neither without an error."""
    got: list[int] = []
    deleted: list[int] = []
    stop = threading.Event()

    def collect() -> None:
        while not stop.is_set():
            got.extend(event.ident for event in kq.control(None, 1, 0.001))

    with running(collect, collect):
        for ident in range(1, 400):
            apply(kq, user(ident, EV_ADD | EV_ONESHOT))
            apply(kq, trigger(ident))
            try:
                apply(kq, user(ident, EV_DELETE))
                deleted.append(ident)
            except FileNotFoundError:
                pass
        wait_until(lambda: len(got) + len(deleted) >= 399)
        stop.set()
    assert sorted(got + deleted) == list(range(1, 400))


def test_every_thread_its_own_idents(kq: Any) -> None:
    """S-287, S-311: changes of many threads at once, none of them lost."""
    rounds = 150

    def churn(base: int) -> Callable[[], None]:
        def body() -> None:
            with_pipe = Pipe()
            try:
                for turn in range(rounds):
                    ident = base + turn
                    apply(kq, user(ident), read(with_pipe.r, udata=base), timer(ident, data=99_999))
                    apply(kq, user(ident, EV_DELETE), timer(ident, EV_DELETE))
                    (entry,) = kq.control([user(ident, EV_DELETE)], 1, 0)
                    assert entry.data == errno.ENOENT
                    apply(kq, read(with_pipe.r, EV_DELETE))
            finally:
                with_pipe.close()

        return body

    with running(*(churn(base * 10_000) for base in range(1, 5))):
        pass
    idle(kq)


def test_numbers_reused_while_others_wait(kq: Any) -> None:
    """S-087: no event of one file with the udata of another that had its number."""
    owners: dict[int, int] = {}
    wrong: list[Any] = []
    stop = threading.Event()

    def collect() -> None:
        while not stop.is_set():
            for event in kq.control(None, 4, 0.001):
                if owners.get(event.udata) != event.ident:
                    wrong.append((event.ident, event.udata))

    with running(collect, collect):
        for turn in range(1, 400):
            pipe = Pipe()
            owners[turn] = pipe.r
            keeper = os.dup(pipe.r) if turn % 5 == 0 else -1
            apply(kq, read(pipe.r, udata=turn))
            pipe.write(b"x")
            if turn % 2:
                ready(kq)
            pipe.close()
            if keeper >= 0:
                os.close(keeper)
        stop.set()
    assert not wrong
    idle(kq)


# ---- close -------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, 60, 1e10])
def test_close_wakes_everybody(engine: str, timeout: float | None) -> None:
    """S-284 →K, S-312: EBADF for each, and the descriptor is gone when the last has left."""
    queue = knote.kqueue(engine=engine)
    number = queue.fileno()
    errors: list[int | None] = []
    started: list[int] = []

    def wait() -> None:
        started.append(1)
        try:
            queue.control(None, 1, timeout)
        except OSError as error:
            errors.append(error.errno)
        except ValueError:
            errors.append(errno.EBADF)  # it came when the queue was closed already

    with running(*[wait] * WAITERS):
        wait_until(lambda: len(started) == WAITERS)
        wait_until(lambda: asleep() >= WAITERS)
        queue.close()
        assert queue.closed
    assert errors == [errno.EBADF] * WAITERS
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


def test_close_against_everything(engine: str, pipe: Pipe) -> None:
    """S-009: whatever the others do at that moment, they get an event, ValueError or EBADF."""
    for _ in range(20):
        queue = knote.kqueue(engine=engine)
        apply(queue, read(pipe.r), user(1, EV_ADD | EV_CLEAR))

        def use(queue: Any = queue) -> None:
            with pytest.raises((ValueError, OSError)) as raised:
                while True:
                    queue.control([trigger(1), write(pipe.w, EV_ADD | EV_ONESHOT)], ROOM, 0.001)
            if isinstance(raised.value, OSError):
                assert raised.value.errno == errno.EBADF

        with running(use, use):
            ready(queue)
            queue.close()


def test_who_changes_while_it_is_closed_is_told_so(engine: str) -> None:
    """Not that there is no such knote, and nothing is registered with what is closed by then."""
    for _ in range(50):
        kq = knote.kqueue(engine=engine)
        apply(kq, user(1, EV_ADD | EV_CLEAR))

        def change(kq: Any = kq) -> None:
            with pytest.raises(ValueError, match="closed"):
                while True:
                    apply(kq, trigger(1))

        with running(*[change] * 3):
            kq.close()
