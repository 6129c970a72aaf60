"""control() from where nobody expects it: finalizers, signal handlers, the middle of itself."""

from __future__ import annotations

import contextlib
import errno
import gc
import itertools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import knote
from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_ENABLE, EV_ONESHOT, NOTE_TRIGGER
from tests.behaviour.words import ROOM, apply, idle, read, ready, timer, trigger, user, write
from tests.support.events import brief, idents
from tests.support.plumbing import Pipe

THOUSANDS = 3000
ENOUGH_S = 20.0
DEEP = 8


class Bomb:
    """udata that acts when nobody holds it any more."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def __del__(self) -> None:
        self.act()


@contextmanager
def unraisable() -> Iterator[list[BaseException | None]]:
    """What went to sys.unraisablehook."""
    seen: list[BaseException | None] = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda told: seen.append(told.exc_value)
    try:
        yield seen
    finally:
        sys.unraisablehook = before


def ends(kq: Any, pipe: Pipe) -> dict[str, Callable[[Any], object]]:
    """Every way in which a knote of the pipe's read end lets go of the udata that it is given."""

    def once(udata: Any) -> None:
        pipe.write(b"x")
        kq.control([read(pipe.r, EV_ADD | EV_ONESHOT, udata=udata)], 8, 0).clear()
        pipe.drain()

    def vanish(udata: Any) -> None:
        gone = Pipe()
        fd = gone.r
        apply(kq, read(fd, udata=udata))
        gone.close()
        (entry,) = ready(kq, read(fd, EV_DELETE))
        assert entry.data == errno.EBADF

    return {
        "delete": lambda udata: apply(kq, read(pipe.r, udata=udata), read(pipe.r, EV_DELETE)),
        "replace": lambda udata: apply(kq, user(7, udata=udata), user(7), user(7, EV_DELETE)),
        "once": once,
        "vanish": vanish,
        "refused": lambda udata: kq.control([read(1_000_000, udata=udata)], 1, 0).clear(),
    }


WAYS = ["delete", "replace", "once", "vanish", "refused"]


# ---- finalizers --------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_finalizer_that_changes(kq: Any, pipe: Pipe, way: str) -> None:
    """Architecture section 5: it never waits for itself, and its change is made."""
    acts: list[int] = []

    def act() -> None:
        acts.append(1)
        apply(kq, user(1, EV_ADD | EV_CLEAR, NOTE_TRIGGER))

    ends(kq, pipe)[way](Bomb(act))
    gc.collect()
    assert acts == [1]
    assert brief(ready(kq)) == ["1 USER CLEAR d=0"]
    idle(kq)


@pytest.mark.parametrize("way", WAYS)
def test_a_finalizer_that_collects(kq: Any, pipe: Pipe, way: str) -> None:
    """No last reference goes under the lock, so a collect is a call like any other."""
    got: list[Any] = []
    apply(kq, user(1, EV_ADD | EV_CLEAR, NOTE_TRIGGER, udata="kept"))
    bomb = Bomb(lambda: got.extend(kq.control(None, ROOM, 0)))
    if way in ("once", "refused"):
        # These collect themselves, or end the call: nothing may be left for them to take.
        ready(kq)
        ends(kq, pipe)[way](bomb)
        del bomb
        assert got == []
        return
    ends(kq, pipe)[way](bomb)
    del bomb
    gc.collect()
    assert brief(got) == ["1 USER CLEAR d=0 u=kept"]


@pytest.mark.parametrize("way", WAYS)
def test_a_finalizer_that_closes(engine: str, pipe: Pipe, way: str) -> None:
    queue = knote.kqueue(engine=engine)
    ends(queue, pipe)[way](Bomb(queue.close))
    gc.collect()
    assert queue.closed
    with pytest.raises(ValueError, match="closed"):
        queue.control(None, 1, 0)


def test_finalizers_at_close(engine: str) -> None:
    """They find the queue closed, whatever they do; none is called twice, none is forgotten."""
    queue = knote.kqueue(engine=engine)
    acts: list[str] = []

    def act() -> None:
        try:
            queue.control([user(1)], 0)
        except ValueError as error:
            acts.append(str(error))

    for ident in range(20):
        apply(queue, user(ident, udata=Bomb(act)), timer(ident, data=9999, udata=Bomb(act)))
    queue.close()
    assert acts == ["I/O operation on closed kqueue object"] * 40


def test_a_chain_of_finalizers(kq: Any) -> None:
    """Each lets the next go, within the one before."""
    acts: list[int] = []
    depth = 50

    def act(ident: int) -> None:
        acts.append(ident)
        if ident < depth:
            apply(kq, user(ident + 1, EV_DELETE))

    for ident in range(1, depth + 1):
        apply(kq, user(ident, udata=Bomb(lambda ident=ident: act(ident))))
    apply(kq, user(1, EV_DELETE))
    assert acts == list(range(1, depth + 1))
    idle(kq)


def test_garbage_in_cycles(kq: Any, pipe: Pipe) -> None:
    """The collector may run wherever something is allocated, and then finalizers do."""
    acts: list[int] = []
    refused: list[int] = []

    def act() -> None:
        ident = len(acts) + len(refused) + 100
        try:
            kq.control([user(ident, EV_ADD | EV_ONESHOT, NOTE_TRIGGER)], 0)
            acts.append(ident)
        except RuntimeError:
            refused.append(ident)

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    got: list[int] = []
    try:
        for turn in range(400):
            bomb: Any = Bomb(act)
            bomb.itself = bomb
            del bomb
            changes = [read(pipe.r, udata=turn), write(pipe.w), read(1_000_000), timer(1, data=99)]
            kq.control(changes, 4, 0)
            got += [ident for ident in idents(kq.control(None, ROOM, 0)) if ident >= 100]
            apply(kq, read(pipe.r, EV_DELETE), write(pipe.w, EV_DELETE), timer(1, EV_DELETE))
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    got += idents(ready(kq))
    assert not refused
    assert len(acts) == 400
    assert sorted(got) == sorted(acts)


# ---- at every point ----------------------------------------------------------------------------


@contextmanager
def at(point: int, act: Callable[[], object]) -> Iterator[list[int]]:
    """Run *act* when the interpreter enters or leaves a function for the point-th time."""
    left = [point]

    def hook(_frame: Any, _event: str, _argument: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            act()

    sys.setprofile(hook)
    try:
        yield left
    finally:
        sys.setprofile(None)


def work(kq: Any, pipe: Pipe) -> list[Any]:
    """Something of everything; what it gets, it got."""
    got = []
    for change in (read(pipe.r), write(pipe.w, EV_ADD | EV_CLEAR), timer(5, data=99_999)):
        got += kq.control([change], ROOM, 0)
    pipe.write(b"x")
    got += kq.control([trigger(3, EV_ADD), read(1_000_000)], ROOM, 0)
    got += kq.control(None, ROOM, 0.001)
    got += kq.control([read(pipe.r, EV_ENABLE, udata=Bomb(lambda: None))], ROOM, 0)
    deletes = [read(pipe.r, EV_DELETE), write(pipe.w, EV_DELETE), user(3, EV_DELETE)]
    got += kq.control([*deletes, timer(5, EV_DELETE)], ROOM, 0)
    pipe.drain()
    return got


def places(engine: str) -> Iterator[tuple[Any, Pipe, int]]:
    """A queue, a pipe and a point of its work(), for points all over it."""
    pipe = Pipe()
    try:
        with knote.kqueue(engine=engine) as queue, at(-1, lambda: None) as left:
            work(queue, pipe)
        total = -left[0]
        for point in range(1, total, max(total // 60, 1)):
            with knote.kqueue(engine=engine) as queue:
                yield queue, pipe, point
    finally:
        pipe.close()


def test_a_change_at_every_point(engine: str) -> None:
    """Architecture section 5: a change from inside is made, now or when that call lets go."""
    for queue, pipe, point in places(engine):
        change = user(1000, EV_ADD | EV_ONESHOT, NOTE_TRIGGER)
        with at(point, lambda queue=queue, change=change: queue.control([change], 0)):
            got = brief(work(queue, pipe))
        got += brief(ready(queue))
        assert got.count("1000 USER ONESHOT d=0") == 1, point
        assert f"{pipe.r} READ d=1" in got, point
        assert "1000000 READ ERROR d=EBADF" in got, point
        idle(queue)


def test_a_collect_at_every_point(engine: str) -> None:
    """It gets events, or RuntimeError, which says what to do; nothing is lost between the two."""
    texts: set[str] = set()
    for queue, pipe, point in places(engine):
        stolen: list[Any] = []

        def act(queue: Any = queue, stolen: list[Any] = stolen) -> None:
            try:
                stolen.extend(queue.control(None, ROOM, 0))
            except RuntimeError as error:
                texts.add(str(error))

        with at(point, act):
            got = brief(work(queue, pipe)) + brief(stolen)
        assert f"{pipe.r} READ d=1" in got, point
        assert got.count(f"{pipe.w} WRITE CLEAR") >= 1, point
        assert "1000000 READ ERROR d=EBADF" in got, point
        idle(queue)
    assert len(texts) <= 1
    for text in texts:
        assert "maxevents=0" in text


def test_a_refused_change_from_inside_goes_to_the_hook(engine: str) -> None:
    """There is nobody to raise it to, and the lock is given back all the same."""
    for queue, pipe, point in places(engine):
        raised: list[BaseException | None] = []

        def act(queue: Any = queue, raised: list[BaseException | None] = raised) -> None:
            try:
                queue.control([user(77, EV_DELETE)], 0)
            except OSError as refused:
                raised.append(refused)

        with unraisable() as seen, at(point, act):
            work(queue, pipe)
        (error,) = raised + seen
        assert isinstance(error, FileNotFoundError), point
        assert "ident=77" in str(error)
        other = threading.Thread(target=lambda queue=queue: apply(queue, user(1)))
        other.start()
        other.join()
        apply(queue, user(1, EV_DELETE))


def test_a_close_at_every_point(engine: str) -> None:
    """The queue is closed when the call that was interrupted lets go, at the latest."""
    for queue, pipe, point in places(engine):
        with contextlib.suppress(ValueError, OSError), at(point, queue.close):
            work(queue, pipe)
        assert queue.closed, point
        pipe.drain()


# ---- signal handlers ---------------------------------------------------------------------------


@contextmanager
def alarms(handler: Callable[[], object], every: float = 0.00005) -> Iterator[None]:
    """SIGALRM as often as it can be had; the handler runs between any two steps of the program, its own as well.
    Where it takes longer than the next alarm, on a loaded machine, that never ends: only so many are nested."""
    inside = [0]

    def alarm(_number: int, _frame: object) -> None:
        if inside[0] < DEEP:
            inside[0] += 1
            try:
                handler()
            finally:
                inside[0] -= 1

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, every, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_handler_that_changes_thousands_of_times(kq: Any, pipe: Pipe) -> None:
    """Issue 2 (3b): at random points of changes, waits and collects; each change is made once, no
    event is lost, nothing hangs."""
    made: list[int] = []

    numbers = itertools.count(1000)

    def handler() -> None:
        # One alarm may interrupt the handler of another: a number is taken in one step.
        number = next(numbers)
        made.append(number)
        kq.control([user(number, EV_ADD | EV_ONESHOT, NOTE_TRIGGER)], 0)

    got: list[int] = []
    end = time.monotonic() + ENOUGH_S
    turns = 0
    apply(kq, user(3, EV_ADD | EV_CLEAR))
    with alarms(handler):
        while len(made) < THOUSANDS and time.monotonic() < end:
            turns += 1
            apply(kq, read(pipe.r, udata=object()), write(pipe.w, EV_ADD | EV_CLEAR), trigger(3))
            got += idents(kq.control([timer(5, data=99_999)], 8, 0))
            pipe.write(b"x")
            # Where handlers come faster than they are collected, the others wait their turn.
            full = True
            while full:
                some = idents(kq.control(None, THOUSANDS, 0.0002))
                got += some
                full = len(some) == THOUSANDS and pipe.r not in some
            apply(kq, read(pipe.r, EV_DELETE), write(pipe.w, EV_DELETE), timer(5, EV_DELETE))
            pipe.drain()
    while events := ready(kq):
        got += idents(events)
    assert len(made) >= THOUSANDS / 10, f"{len(made)} alarms in {turns} turns"
    assert sorted(ident for ident in got if ident >= 1000) == sorted(made)
    assert got.count(pipe.r) == turns
    idle(kq)


def test_a_handler_that_collects_thousands_of_times(kq: Any, pipe: Pipe) -> None:
    """It gets what is there or RuntimeError; every trigger goes to exactly one of the two."""
    taken: list[int] = []
    refused: list[int] = []
    count = [0]

    def handler() -> None:
        count[0] += 1
        try:
            taken.extend(event.data for event in kq.control(None, ROOM, 0))
        except RuntimeError:
            refused.append(1)

    end = time.monotonic() + ENOUGH_S
    sent = 0
    got: list[int] = []
    with alarms(handler):
        while count[0] < THOUSANDS and time.monotonic() < end:
            sent += 1
            apply(kq, user(sent, EV_ADD | EV_ONESHOT, NOTE_TRIGGER, data=sent))
            got.extend(event.data for event in kq.control(None, ROOM, 0))
    got.extend(event.data for event in ready(kq))
    assert count[0] >= THOUSANDS / 10
    assert sorted(got + taken) == list(range(1, sent + 1))


def test_a_handler_in_the_main_thread_and_others_at_work(kq: Any) -> None:
    """The lock is another thread's at times: the handler waits for that, and for that only."""
    stop = threading.Event()
    count = [0]

    def churn(base: int) -> None:
        while not stop.is_set():
            apply(kq, user(base), user(base, EV_DELETE))

    def handler() -> None:
        count[0] += 1
        apply(kq, user(1, EV_ADD, NOTE_TRIGGER), user(1, EV_DELETE))

    others = [threading.Thread(target=churn, args=[base]) for base in (10, 20)]
    for other in others:
        other.start()
    end = time.monotonic() + ENOUGH_S
    try:
        with alarms(handler, 0.0005):
            while count[0] < 200 and time.monotonic() < end:
                apply(kq, user(2, EV_ADD, NOTE_TRIGGER))
                kq.control([user(2, EV_DELETE)], ROOM, 0)
    finally:
        stop.set()
        for other in others:
            other.join()
    assert count[0] >= 20
    idle(kq)
