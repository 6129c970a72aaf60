"""EVFILT_USER: triggers, the 24 bits, and what survives a delivery."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    NOTE_FFAND,
    NOTE_FFCOPY,
    NOTE_FFLAGSMASK,
    NOTE_FFNOP,
    NOTE_FFOR,
    NOTE_TRIGGER,
)
from tests.behaviour.words import apply, idle, polls, ready, timer, trigger, user
from tests.support.events import brief, idents
from tests.support.waiting import HARDLY


def test_silent_until_it_is_triggered(kq: Any) -> None:
    """S-260, S-263, S-267; trace user_basic: by level until it is deleted."""
    assert ready(kq, user(1, udata=7)) == []
    idle(kq)
    assert brief(ready(kq, trigger(1, udata=8))) == ["1 USER d=0 u=8"]
    for _ in range(3):
        assert brief(ready(kq)) == ["1 USER d=0 u=8"]
    assert ready(kq, user(1, EV_DELETE)) == []
    idle(kq)


def test_clear_takes_the_trigger_once(kq: Any) -> None:
    """S-267, S-269; trace user_trigger_twice."""
    apply(kq, user(1, EV_ADD | EV_CLEAR))
    assert brief(ready(kq, trigger(1), trigger(1), trigger(1))) == ["1 USER CLEAR d=0"]
    idle(kq)
    assert len(ready(kq, trigger(1))) == 1


@pytest.mark.parametrize("flags", [EV_ADD, EV_ADD | EV_CLEAR, EV_ADD | EV_ONESHOT])
def test_a_trigger_in_the_creating_add_fires(kq: Any, flags: int) -> None:
    """S-262 →K, "Decided" 1."""
    (event,) = ready(kq, user(1, flags, NOTE_TRIGGER | 0x5, 9, "me"))
    assert (event.fflags, event.data, event.udata) == (5, 9, "me")


def test_clear_with_a_trigger_does_not_eat_it(kq: Any) -> None:
    """S-268 →K, "Decided" 1."""
    apply(kq, user(1, EV_ADD | EV_CLEAR))
    for flags in (EV_CLEAR, EV_ADD | EV_CLEAR, EV_ENABLE | EV_CLEAR):
        assert brief(ready(kq, trigger(1, flags))) == ["1 USER CLEAR d=0"]
        assert ready(kq) == []


def test_clear_alone_takes_a_trigger_back(kq: Any) -> None:
    """S-268."""
    apply(kq, user(1))
    assert len(ready(kq, trigger(1))) == 1
    assert ready(kq, user(1, EV_CLEAR)) == []
    idle(kq)
    assert len(ready(kq, trigger(1))) == 1


def test_adding_again_keeps_the_trigger(kq: Any) -> None:
    """S-055; trace user_readd_pending."""
    apply(kq, user(1), trigger(1))
    assert brief(ready(kq, user(1))) == ["1 USER d=0"]


@pytest.mark.parametrize("ident", [0, 1, 1 << 31, 1 << 63, (1 << 64) - 1])
def test_any_ident(kq: Any, ident: int) -> None:
    """S-063, S-257, S-260; trace user_big_ident."""
    apply(kq, user(ident, EV_ADD | EV_CLEAR))
    assert idents(ready(kq, trigger(ident))) == [ident]


def test_idents_are_of_the_filter(kq: Any) -> None:
    """S-257."""
    apply(kq, user(1), timer(1, data=60_000))
    assert brief(ready(kq, trigger(1))) == ["1 USER d=0"]
    apply(kq, user(1, EV_DELETE))
    apply(kq, timer(1, EV_DELETE))


def test_oneshot_and_dispatch(kq: Any) -> None:
    """S-069, S-076; traces user_oneshot, user_dispatch."""
    apply(kq, user(1, EV_ADD | EV_ONESHOT), user(2, EV_ADD | EV_DISPATCH))
    assert brief(ready(kq, trigger(1), trigger(2))) == ["1 USER ONESHOT d=0", "2 USER DISPATCH d=0"]
    idle(kq)
    (entry,) = ready(kq, trigger(1))
    assert (entry.flags, entry.data, entry.fflags) == (EV_ERROR, errno.ENOENT, NOTE_TRIGGER)
    assert brief(ready(kq, user(2, EV_ENABLE))) == ["2 USER DISPATCH d=0"]


def test_a_trigger_while_disabled_is_kept(kq: Any) -> None:
    """S-270; libkqueue loses it."""
    apply(kq, user(1, EV_ADD | EV_DISABLE | EV_CLEAR))
    assert ready(kq, trigger(1)) == []
    idle(kq)
    assert brief(ready(kq, user(1, EV_ENABLE))) == ["1 USER CLEAR d=0"]
    idle(kq)


def test_enable_and_trigger_in_one_change(kq: Any) -> None:
    """S-271; trace user_enable_trigger."""
    apply(kq, user(1, EV_ADD | EV_DISPATCH | EV_CLEAR))
    for _ in range(3):
        assert len(ready(kq, trigger(1, EV_ENABLE))) == 1
        assert ready(kq, user(1, EV_DISABLE)) == []


def test_delete_with_a_trigger_is_delete(kq: Any) -> None:
    """Trace user_delete_trigger."""
    apply(kq, user(1))
    assert ready(kq, trigger(1, EV_DELETE)) == []
    (entry,) = ready(kq, trigger(1))
    assert entry.data == errno.ENOENT


def test_data_and_udata_are_the_latest(kq: Any) -> None:
    """S-265; traces user_data, user_udata_trigger."""
    apply(kq, user(1, EV_ADD | EV_CLEAR, data=11, udata=1))
    assert brief(ready(kq, trigger(1, data=22, udata=2))) == ["1 USER CLEAR d=22 u=2"]
    assert brief(ready(kq, trigger(1, data=-5, udata=3))) == ["1 USER CLEAR d=-5 u=3"]
    assert brief(ready(kq, trigger(1))) == ["1 USER CLEAR d=0"]


@pytest.mark.parametrize(
    ("how", "result"),
    [(NOTE_FFNOP, 0x0F), (NOTE_FFAND, 0x0C), (NOTE_FFOR, 0x3F), (NOTE_FFCOPY, 0x3C)],
)
@pytest.mark.parametrize("now", [True, False])
def test_the_24_bits(kq: Any, how: int, result: int, now: bool) -> None:
    """S-264, S-266, S-273: combined with or without a trigger, and kept beyond a delivery."""
    apply(kq, user(1, EV_ADD | EV_CLEAR, 0x0F))
    if now:
        (event,) = ready(kq, trigger(1, 0, how | 0x3C))
    else:
        assert ready(kq, user(1, 0, how | 0x3C)) == []
        (event,) = ready(kq, trigger(1))
    assert event.fflags == result
    (event,) = ready(kq, trigger(1))
    assert event.fflags == result


def test_control_bits_never_show(kq: Any) -> None:
    """S-265 →K: also not those of the creating ADD; S-266: nor what is above 24 bits."""
    (event,) = ready(kq, user(1, EV_ADD | EV_CLEAR, 0xFFFFFFFF))
    assert event.fflags == NOTE_FFLAGSMASK
    (event,) = ready(kq, trigger(1, 0, NOTE_FFCOPY | 0x3EFFFFFF))
    assert event.fflags == NOTE_FFLAGSMASK
    (event,) = ready(kq, trigger(1, 0, NOTE_FFCOPY))
    assert event.fflags == 0


def test_in_the_order_of_the_triggers(kq: Any) -> None:
    """S-274; trace user_oneshot_two_idents: one that waits keeps its place."""
    apply(kq, *(user(ident, EV_ADD | EV_CLEAR) for ident in (1, 2, 3)))
    assert idents(ready(kq, trigger(3), trigger(1), trigger(2), trigger(3))) == [3, 1, 2]


def test_a_triggered_queue_is_readable(kq: Any) -> None:
    """S-013, S-470, S-471."""
    apply(kq, user(1))
    assert not polls(kq)
    apply(kq, trigger(1))
    assert polls(kq)
    ready(kq)
    assert polls(kq)
    apply(kq, user(1, EV_DELETE))
    assert kq.control(None, 1, HARDLY) == []
    assert not polls(kq)


def test_ten_thousand(kq: Any) -> None:
    """Spec section 8 rule 11: no descriptor each."""
    many = range(10_000)
    apply(kq, *(user(ident, EV_ADD | EV_CLEAR) for ident in many))
    apply(kq, *(trigger(ident) for ident in many))
    assert idents(kq.control(None, 20_000, 0)) == list(many)
    apply(kq, *(user(ident, EV_DELETE) for ident in many))
    idle(kq)


# ---- against a model ---------------------------------------------------------------------------

_FLAGS = st.sampled_from(
    [0, EV_ENABLE, EV_DISABLE, EV_CLEAR, EV_ADD, EV_ADD | EV_ENABLE, EV_DELETE]
)
_NOTES = st.sampled_from(
    [0, NOTE_TRIGGER, NOTE_TRIGGER | NOTE_FFOR | 2, NOTE_FFAND | 5, NOTE_FFCOPY | 9]
)
_BIRTHS = st.sampled_from([EV_ADD, EV_ADD | EV_CLEAR, EV_ADD | EV_ONESHOT, EV_ADD | EV_DISPATCH])


class Model:
    """One user event by the statements of 2.13."""

    def __init__(self, flags: int, notes: int) -> None:
        self.flags = flags & (EV_CLEAR | EV_ONESHOT | EV_DISPATCH)
        self.bits = notes & NOTE_FFLAGSMASK
        self.on = bool(notes & NOTE_TRIGGER)
        self.disabled = False
        self.gone = False

    def change(self, flags: int, notes: int) -> None:
        if flags & EV_DELETE:
            self.gone = True
            return
        how, bits = notes & NOTE_FFCOPY, notes & NOTE_FFLAGSMASK
        combined = {
            NOTE_FFNOP: self.bits,
            NOTE_FFAND: self.bits & bits,
            NOTE_FFOR: self.bits | bits,
            NOTE_FFCOPY: bits,
        }
        self.bits = combined[how]
        if notes & NOTE_TRIGGER:
            self.on = True
        elif flags & EV_CLEAR:
            self.on = False
        if flags & EV_ENABLE:
            self.disabled = False
        if flags & EV_DISABLE:
            self.disabled = True

    def collect(self) -> list[tuple[int, int]]:
        if self.gone or self.disabled or not self.on:
            return []
        if self.flags & EV_CLEAR:
            self.on = False
        if self.flags & EV_DISPATCH:
            self.disabled = True
        if self.flags & EV_ONESHOT:
            self.gone = True
        return [(self.flags, self.bits)]


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(_BIRTHS, _NOTES, st.lists(st.one_of(st.none(), st.tuples(_FLAGS, _NOTES)), max_size=20))
def test_any_history(birth: int, notes: int, history: list[tuple[int, int] | None]) -> None:
    """S-262 ... S-273: changes in any order, collected or not in between."""
    with knote.kqueue() as queue:
        apply(queue, user(1, birth, notes))
        model = Model(birth, notes)
        for step in [*history, None, None]:
            if model.gone:
                model = Model(birth, notes)
                apply(queue, user(1, birth, notes))
            if step is None:
                events = ready(queue)
                assert [(event.flags, event.fflags) for event in events] == model.collect()
            else:
                apply(queue, user(1, *step))
                model.change(*step)
