"""Arguments that lie, raise, close and change things while they are read: a clear error, and nothing half done."""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EVFILT_EMPTY,
    EVFILT_EXCEPT,
    EVFILT_READ,
    EVFILT_TIMER,
    EVFILT_USER,
    EVFILT_WRITE,
    kevent,
)
from tests.behaviour.words import ROOM, apply, read, ready, timer, trigger, user, write
from tests.support.events import brief
from tests.support.plumbing import Pipe

DESCRIPTORS = [EVFILT_READ, EVFILT_WRITE, EVFILT_EXCEPT, EVFILT_EMPTY]


class Changes:
    """A change list that does something of its own between its first and its second change."""

    def __init__(self, between: Callable[[], Any], *changes: kevent) -> None:
        self.between, self.changes = between, changes

    def __iter__(self) -> Iterator[kevent]:
        for place, change in enumerate(self.changes):
            if place == 1:
                self.between()
            yield change


def fail(error: BaseException) -> Callable[[], Any]:
    def do() -> Any:
        raise error

    return do


# ---- change lists ------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [LookupError("mine"), TypeError("mine"), KeyboardInterrupt()])
@pytest.mark.parametrize("room", [0, ROOM])
def test_one_that_raises_half_way(kq: Any, error: BaseException, room: int) -> None:
    """S-303: its error is what comes out, and nothing was applied."""
    with pytest.raises(type(error)) as caught:
        kq.control(Changes(fail(error), user(1), user(2)), room, 0)
    assert caught.value is error
    assert kq.knotes() == []


def test_one_that_closes_the_queue(engine: str) -> None:
    """S-298: the call finds it closed; nothing is applied to a number that may be another file by now."""
    queue = knote.kqueue(engine=engine)
    with pytest.raises(ValueError, match="closed kqueue"):
        queue.control(Changes(queue.close, user(1), user(2)), ROOM, None)
    assert queue.closed


def test_one_that_closes_and_reuses_the_number(engine: str) -> None:
    queue = knote.kqueue(engine=engine)
    made: list[Any] = []

    def again() -> None:
        queue.close()
        made.append(knote.kqueue(engine=engine))

    with pytest.raises(ValueError, match="closed kqueue"):
        queue.control(Changes(again, user(1), user(2)), ROOM, None)
    assert made[0].knotes() == []
    made[0].close()


def test_one_that_uses_the_queue(kq: Any) -> None:
    """It is read before the call begins, so what it does comes first."""

    def between() -> None:
        apply(kq, user(9), trigger(9))
        assert len(ready(kq)) == 1
        apply(kq, user(9, knote.EV_DELETE))

    assert brief(kq.control(Changes(between, user(1), trigger(1)), ROOM, 0)) == ["1 USER d=0"]
    assert [each.ident for each in kq.knotes()] == [1]


def test_one_that_collects_what_it_adds(kq: Any, pipe: Pipe) -> None:
    """A list within a list."""
    pipe.write(b"x")
    inside = Changes(lambda: None, read(pipe.r), write(pipe.w))
    got: list[Any] = []
    kq.control(Changes(lambda: got.extend(kq.control(inside, ROOM, 0)), user(1), user(2)), 0)
    assert len(got) == 2
    assert len(kq.knotes()) == 4


@pytest.mark.parametrize("length", [0, 1, 1000, -1, 1 << 80, "many", None])
def test_one_that_lies_about_its_length(kq: Any, length: Any) -> None:
    """bpo-30058, S-303: what is no length is no hint either; what is none of any list is refused as by list()."""

    class Liar(Changes):
        def __len__(self) -> int:
            return length  # type: ignore[no-any-return]

    changes = Liar(lambda: None, user(1), trigger(1))
    if length in (0, 1, 1000, "many", None):
        assert brief(kq.control(changes, ROOM, 0)) == ["1 USER d=0"]
        return
    with pytest.raises((ValueError, OverflowError, TypeError)):
        kq.control(changes, ROOM, 0)
    assert kq.knotes() == []


def test_one_that_never_ends_is_cut_by_its_reader(kq: Any) -> None:
    """Nothing is applied while it is read, so whoever stops it has changed nothing."""

    def endless() -> Iterator[kevent]:
        for ident in range(10_000):
            yield user(ident)
        raise MemoryError

    with pytest.raises(MemoryError):
        kq.control(endless(), 0)
    assert kq.knotes() == []


def test_a_kevent_that_is_changed_by_its_list(kq: Any) -> None:
    """What it is when the list has been read counts; what becomes of it later is nobody's business."""
    first = user(1)

    def between() -> None:
        first.ident = 5

    kq.control(Changes(between, first, user(2)), 0)
    first.ident = 7
    assert sorted(each.ident for each in kq.knotes()) == [2, 5]


def test_a_kevent_that_others_change_meanwhile(kq: Any) -> None:
    """A list in two threads: each change is some value that it had, and the queue stays sound."""
    shared = user(0)
    stop = threading.Event()

    def change() -> None:
        ident = 0
        while not stop.is_set():
            ident = (ident + 1) % 16
            shared.ident = ident
            shared.udata = [ident]

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            apply(kq, shared)
    finally:
        stop.set()
        thread.join()
    assert {each.ident for each in kq.knotes()} <= set(range(16))
    assert all(isinstance(each.udata, list | int) for each in kq.knotes())


# ---- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [Decimal(0), Decimal("0.5"), Fraction(1, 2), "0", b"0", (), 0j, float("nan")])
def test_a_timeout_of_another_type(kq: Any, timeout: Any) -> None:
    """S-301: as CPython's, which takes ints and floats; nothing was applied."""
    with pytest.raises(TypeError, match="timeout argument must be a number or None, got "):
        kq.control([user(1)], ROOM, timeout)
    assert kq.knotes() == []


class Index:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __index__(self) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def test_numbers_by_index(kq: Any) -> None:
    """operator.index(), wherever CPython takes it."""
    assert brief(kq.control([user(1, fflags=knote.NOTE_TRIGGER)], Index(4), Index(0))) == ["1 USER d=0"]
    for args in ((Index(LookupError()), 0), (1, Index(LookupError()))):
        with pytest.raises(LookupError):
            kq.control([user(2)], *args)
    assert [each.ident for each in kq.knotes()] == [1]


def test_an_index_that_closes_the_queue(engine: str) -> None:
    queue = knote.kqueue(engine=engine)

    class Closing:
        def __index__(self) -> int:
            queue.close()
            return 1

    with pytest.raises(ValueError, match="closed kqueue"):
        queue.control([user(1)], Closing(), 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [sys.maxsize, 1e10, 1 << 100, float("inf"), sys.float_info.max])
def test_a_huge_timeout_is_no_error(kq: Any, timeout: float) -> None:
    """S-027."""
    assert len(kq.control([user(1, fflags=knote.NOTE_TRIGGER)], ROOM, timeout)) == 1


# ---- descriptors -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", DESCRIPTORS)
@pytest.mark.parametrize("ident", [1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 63, (1 << 64) - 1])
def test_a_number_that_is_no_descriptor(kq: Any, number: int, ident: int) -> None:
    """S-047: EBADF, and no wrapping to a number that is one; for every action."""
    for flags in (EV_ADD, EV_ADD | EV_CLEAR, knote.EV_DELETE, knote.EV_ENABLE, knote.EV_DISABLE, 0):
        (entry,) = ready(kq, kevent(ident, number, flags))
        assert (entry.ident, entry.flags, entry.data) == (ident, knote.EV_ERROR, 9)
    with pytest.raises(OSError, match=rf"\[Errno 9\] .*fd={ident}: not an open descriptor"):
        apply(kq, kevent(ident, number))
    assert kq.knotes() == []


@pytest.mark.parametrize("number", DESCRIPTORS)
def test_a_refused_one_among_good_ones(kq: Any, pipe: Pipe, number: int) -> None:
    """S-031, S-032: with room the rest is applied, without it what stands before."""
    bad = kevent(1 << 20, number)
    with pytest.raises(OSError, match="not an open descriptor"):
        apply(kq, read(pipe.r), bad, write(pipe.w))
    assert [each.ident for each in kq.knotes()] == [pipe.r]
    (entry,) = ready(kq, user(1), bad, write(pipe.w))
    assert entry.flags == knote.EV_ERROR
    assert len(kq.knotes()) == 3


def test_a_file_object_that_lies(kq: Any, pipe: Pipe) -> None:
    """S-314: fileno() is asked once, when the kevent is made."""

    class Lying:
        def __init__(self, answer: Any) -> None:
            self.answer = answer

        def fileno(self) -> Any:
            return self.answer

    for answer, error in ((-1, ValueError), ("3", TypeError), (None, TypeError), (3.0, TypeError)):
        with pytest.raises(error):
            kevent(Lying(answer))
    thing = Lying(pipe.r)
    change = kevent(thing)
    thing.answer = -1
    apply(kq, change)
    assert [each.ident for each in kq.knotes()] == [pipe.r]


@pytest.mark.parametrize("number", [-32768, -32, -31, -22, -14, 1, 32767])
def test_a_filter_that_is_none(kq: Any, number: int) -> None:
    """S-040: EINVAL, at either end of the table of filters."""
    (entry,) = ready(kq, kevent(0, number))
    assert (entry.filter, entry.flags, entry.data) == (number, knote.EV_ERROR, 22)
    with pytest.raises(OSError, match=r"\[Errno 22\]"):
        apply(kq, kevent(0, number))
    assert kq.knotes() == []


def test_no_descriptor_left(kq: Any) -> None:
    """EMFILE where a filter needs one of its own: refused, told, and possible later."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = os.dup(0)
    os.close(taken)
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken, hard))
    try:
        (entry,) = ready(kq, timer(1, data=1))
        assert (entry.filter, entry.flags, entry.data) == (EVFILT_TIMER, knote.EV_ERROR, 24)
        with pytest.raises(OSError, match=rf"may open {taken} descriptors"):
            apply(kq, timer(1, data=1))
        assert kq.knotes() == []
        assert len(ready(kq, user(1, fflags=knote.NOTE_TRIGGER))) == 1
        with pytest.raises(OSError, match="RLIMIT_NOFILE"):
            knote.kqueue()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    apply(kq, timer(1, data=3_600_000))
    assert sorted(each.filter for each in kq.knotes()) == [EVFILT_USER, EVFILT_TIMER]
