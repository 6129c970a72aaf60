"""Freed kevents are used again, many at a time, and tell nothing of what they were."""

from __future__ import annotations

import gc
import sys
import weakref

from knote import EV_ADD, EVFILT_USER, NOTE_TRIGGER, kevent, kqueue
from knote._kernel import spares

MANY = 3000
"""More than are kept."""


def blank(count: int, some: list[kevent] | None = None) -> list[kevent]:
    return spares.more(kevent, [] if some is None else some, count)


def fields(event: kevent) -> tuple[object, ...]:
    # The interpreted build's have nothing until they are filled in.
    return tuple(getattr(event, name, None) for name in ("ident", "filter", "flags", "fflags", "data", "udata"))


def test_a_freed_one_is_blank_when_it_is_made_again() -> None:
    written = [kevent(7, -3, 1, 2, 5, udata=["mine"]) for _ in range(MANY)]
    del written
    events = blank(MANY)
    assert len(events) == len({id(event) for event in events}) == MANY
    assert {fields(event) for event in events} <= {(0, 0, 0, 0, 0, None), (None,) * 6}


class Holder:
    """What a udata can be that leads back to its kevent."""

    event: kevent


def test_one_that_leads_back_to_itself_is_collected() -> None:
    spare = [kevent(i) for i in range(8)]
    del spare
    (event,) = blank(1)
    event.udata = holder = Holder()
    holder.event = event
    assert gc.is_tracked(event)
    del event
    gone = weakref.ref(holder)
    del holder
    gc.collect()
    assert gone() is None


def test_one_that_is_begun_again_is_collected() -> None:
    spare = [kevent(i) for i in range(8)]
    del spare
    (event,) = blank(1)
    holder = Holder()
    event.__init__(1, udata=holder)  # type: ignore[misc]
    holder.event = event
    gone = weakref.ref(holder)
    del event, holder
    gc.collect()
    assert gone() is None


def test_an_event_whose_udata_leads_back_to_it_is_collected() -> None:
    holder = Holder()
    gone = weakref.ref(holder)
    with kqueue() as queue:
        queue.control([kevent(1, EVFILT_USER, EV_ADD, NOTE_TRIGGER, udata=holder)], 0)
        (holder.event,) = queue.control(None, 1, 0)
    del holder
    gc.collect()
    assert gone() is None


def test_what_is_there_stays() -> None:
    (first,) = blank(1)
    some = [first]
    assert blank(2, some) is some
    assert some[0] is first and len(some) == 3
    assert blank(0) == []


class Taker:
    """Garbage by itself, whose finalizer takes all that are kept."""

    def __init__(self, taken: list[kevent]) -> None:
        self.taken = taken
        self.itself = self

    def __del__(self) -> None:
        self.taken.extend(kevent(i) for i in range(MANY))


def test_a_finalizer_that_takes_them_while_the_list_is_made() -> None:
    some: list[kevent] = []
    taken: list[kevent] = []
    freed = [kevent(i) for i in range(8)]
    threshold = gc.get_threshold()
    gc.disable()
    try:
        del freed
        lists: list[list[int]] = [[] for _ in range(1000)]  # CPython has no freed one left: making one may collect
        Taker(taken)
        gc.set_threshold(1, 1, 1)
        gc.enable()
        events = spares.more(kevent, some, 8)
    finally:
        gc.enable()
        gc.set_threshold(*threshold)
        del lists
    gc.collect()
    assert len(taken) == MANY
    assert len({id(event) for event in [*events, *taken]}) == 8 + MANY
    assert {fields(event) for event in events} <= {(0, 0, 0, 0, 0, None), (None,) * 6}


def test_no_reference_is_lost_or_left() -> None:
    udata = object()
    before = (sys.getrefcount(None), sys.getrefcount(udata))
    for _ in range(10):
        events = blank(MANY)
        for event in events:
            event.udata = udata
        del events, event
    after = (sys.getrefcount(None), sys.getrefcount(udata))
    assert after[1] == before[1]
    # As many Nones as kevents would be missing, or too many.
    assert abs(after[0] - before[0]) < MANY


def test_events_of_a_queue_are_kept_apart() -> None:
    with kqueue() as queue:
        add = [kevent(i, EVFILT_USER, EV_ADD, NOTE_TRIGGER, udata=str(i)) for i in range(100)]
        queue.control(add, 0)
        for _ in range(3):
            first = queue.control(None, 100, 0)
            second = queue.control(None, 100, 0)
            assert sorted(event.udata for event in first) == sorted(str(i) for i in range(100))
            assert not {id(event) for event in first} & {id(event) for event in second}
