"""EVFILT_TIMER: units, periods, counts that nothing loses, and never early."""

from __future__ import annotations

import errno
import os
import time
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
    EV_KEEPUDATA,
    EV_ONESHOT,
    NOTE_ABSOLUTE,
    NOTE_ABSTIME,
    NOTE_MSECONDS,
    NOTE_NSECONDS,
    NOTE_SECONDS,
    NOTE_USECONDS,
)
from tests.behaviour.words import ROOM, apply, idle, polls, ready, timer, user
from tests.support.events import brief, idents
from tests.support.waiting import HARDLY, SOON, wait_until

UNITS = {
    0: 1_000_000,
    NOTE_SECONDS: 1_000_000_000,
    NOTE_MSECONDS: 1_000_000,
    NOTE_USECONDS: 1_000,
    NOTE_NSECONDS: 1,
}
HOUR = 3_600_000
"""A period that does not end while these tests run, in the unit that is the default."""


def now() -> int:
    return time.monotonic_ns()


def pause(ns: int) -> None:
    """Let time pass: here it is the subject, and orders nothing."""
    end = now() + ns
    wait_until(lambda: now() >= end, what="the clock to go on")


# ---- periods and units -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "count"),
    [(0, 15), (NOTE_MSECONDS, 15), (NOTE_USECONDS, 15_000), (NOTE_NSECONDS, 15_000_001)],
)
@pytest.mark.parametrize("flags", [0, EV_ONESHOT, EV_CLEAR])
def test_never_early(kq: Any, unit: int, count: int, flags: int) -> None:
    """S-238, S-239, S-248; traces timer_units_*: one full period, in every unit."""
    start = now()
    (event,) = kq.control([timer(1, EV_ADD | flags, unit, count, "me")], ROOM, SOON)
    assert now() - start >= count * UNITS[unit]
    assert (event.ident, event.fflags, event.udata) == (1, 0, "me")
    assert event.data >= 1
    assert event.flags == EV_CLEAR | flags & EV_ONESHOT


def test_seconds(kq: Any) -> None:
    """S-238: an absolute one, so that the test need not take one."""
    soon = int(time.time()) + 1
    (event,) = kq.control([timer(1, EV_ADD, NOTE_SECONDS | NOTE_ABSTIME, soon)], 1, SOON)
    assert time.time() >= soon
    assert event.data == 1


def test_a_periodic_timer_goes_on_from_when_it_was_due(kq: Any) -> None:
    """S-240, S-249: counts add up to the time that has passed, whenever they are asked for."""
    period = 3_000_000
    before = now()
    apply(kq, timer(1, EV_ADD, NOTE_NSECONDS, period))
    after = now()
    total = 0
    for _ in range(5):
        for event in kq.control(None, 1, SOON):
            total += event.data
            assert total <= (now() - before) // period
        pause(period * 2 + period // 3)
    least = (now() - after) // period
    total += sum(event.data for event in ready(kq))
    assert least <= total <= (now() - before) // period


def test_expirations_are_counted_in_one_event(kq: Any) -> None:
    """S-075, S-240; trace timer_accumulate."""
    start = now()
    apply(kq, timer(1, data=5))
    pause(23_000_000)
    (event,) = ready(kq)
    assert 4 <= event.data <= (now() - start) // 5_000_000
    assert event.flags == EV_CLEAR


def test_oneshot(kq: Any) -> None:
    """S-256; trace timer_oneshot: data is 1, and the knote is gone."""
    assert brief(kq.control([timer(1, EV_ADD | EV_ONESHOT, data=1, udata=5)], 1, SOON)) == [
        "1 TIMER ONESHOT|CLEAR d=1 u=5"
    ]
    idle(kq)
    (entry,) = ready(kq, timer(1, EV_DELETE))
    assert (entry.flags, entry.data) == (EV_ERROR, errno.ENOENT)
    apply(kq, timer(1, EV_ADD | EV_ONESHOT, data=HOUR))
    assert ready(kq, timer(1, EV_DELETE)) == []


@pytest.mark.parametrize("ident", [0, 1, 3735928559, 1 << 63, (1 << 64) - 1])
def test_any_ident(kq: Any, ident: int) -> None:
    """S-257; trace timer_ident_is_not_fd."""
    assert idents(kq.control([timer(ident, EV_ADD | EV_ONESHOT)], 1, SOON)) == [ident]


def test_timers_are_of_their_queue(kq: Any, engine: str) -> None:
    """Trace timer_same_ident_other_kq."""
    with knote.kqueue(engine=engine) as other:
        apply(kq, timer(1, EV_ADD | EV_ONESHOT, data=1))
        assert len(kq.control(None, 1, SOON)) == 1
        (entry,) = ready(other, timer(1, EV_DELETE))
        assert entry.data == errno.ENOENT


# ---- refused, nothing, for ever ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fflags", "data"),
    [
        (NOTE_SECONDS | NOTE_USECONDS, 1),
        (NOTE_MSECONDS | NOTE_NSECONDS, 1),
        (0x20, 1),
        (0x80000000, 1),
        (0, -1),
        (NOTE_NSECONDS, -(1 << 63)),
    ],
)
def test_what_is_no_period(kq: Any, fflags: int, data: int) -> None:
    """S-238, S-246; traces timer_units_two, timer_negative."""
    for flags in (EV_ADD, EV_ADD | EV_ONESHOT):
        (entry,) = ready(kq, timer(1, flags, fflags, data))
        assert (entry.flags, entry.data) == (EV_ERROR, errno.EINVAL)
        with pytest.raises(OSError, match="at most one unit"):
            apply(kq, timer(1, flags, fflags, data))
    idle(kq)


def test_a_refused_change_leaves_the_timer_running(kq: Any) -> None:
    """S-252 →K."""
    apply(kq, timer(1, EV_ADD | EV_ONESHOT, data=10, udata="kept"))
    (entry,) = ready(kq, timer(1, EV_ADD, NOTE_SECONDS | NOTE_NSECONDS, 1, "other"))
    assert (entry.data, entry.udata) == (errno.EINVAL, "other")
    (event,) = kq.control(None, 1, SOON)
    assert event.udata == "kept"


def test_nothing_once_is_now(kq: Any) -> None:
    """S-245; trace timer_zero; timerfd would be disarmed by it (S-465)."""
    assert brief(kq.control([timer(1, EV_ADD | EV_ONESHOT)], 1, SOON)) == [
        "1 TIMER ONESHOT|CLEAR d=1"
    ]


def test_nothing_periodic_is_a_unit(kq: Any) -> None:
    """S-245; trace timer_zero_periodic."""
    start = now()
    apply(kq, timer(1))
    pause(5_000_000)
    (event,) = ready(kq)
    assert 5 <= event.data <= (now() - start) // 1_000_000


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("flags", [0, EV_ONESHOT])
def test_too_long_to_represent_is_never(kq: Any, unit: int, flags: int) -> None:
    """S-247, "Decided" 3."""
    for data in ((1 << 63) - 1, 1 << 62, 10**15):
        assert kq.control([timer(1, EV_ADD | flags, unit, data)], 1, 0.005) == []
    idle(kq)
    assert ready(kq, timer(1, EV_DELETE)) == []


# ---- absolute times ----------------------------------------------------------------------------


def wall() -> int:
    return time.time_ns() // 1_000_000


def test_an_absolute_time(kq: Any) -> None:
    """S-242, S-243: not before it, once, and reported until it is deleted."""
    assert NOTE_ABSOLUTE == NOTE_ABSTIME
    due = wall() + 20
    (event,) = kq.control([timer(1, EV_ADD, NOTE_ABSTIME, due, 7)], 1, SOON)
    assert wall() >= due
    assert (event.flags, event.fflags, event.data, event.udata) == (0, 0, 1, 7)
    for _ in range(3):
        assert brief(ready(kq)) == ["1 TIMER d=1 u=7"]
    assert ready(kq, timer(1, EV_DELETE)) == []
    idle(kq)


@pytest.mark.parametrize("due", [0, 1, -1, -(1 << 63)])
def test_a_time_that_has_passed(kq: Any, due: int) -> None:
    """S-244: now, also before 1970."""
    for unit in (NOTE_NSECONDS, NOTE_SECONDS, 0):
        assert brief(kq.control([timer(1, EV_ADD, unit | NOTE_ABSTIME, due)], 1, SOON)) == [
            "1 TIMER d=1"
        ]
        apply(kq, timer(1, EV_DELETE))


@pytest.mark.parametrize(
    ("flags", "text"), [(EV_CLEAR, "CLEAR"), (EV_ONESHOT, "ONESHOT"), (EV_DISPATCH, "DISPATCH")]
)
def test_an_absolute_time_once(kq: Any, flags: int, text: str) -> None:
    """S-242."""
    changes = [timer(1, EV_ADD | flags, NOTE_ABSTIME, wall() - 5)]
    assert brief(kq.control(changes, 1, SOON)) == [f"1 TIMER {text} d=1"]
    idle(kq)


def test_a_far_time(kq: Any) -> None:
    """Trace timer_abstime_far; S-247."""
    for data in (4_000_000_000, (1 << 63) - 1):
        assert kq.control([timer(1, EV_ADD, NOTE_SECONDS | NOTE_ABSTIME, data)], 1, 0.005) == []
    idle(kq)


def test_from_absolute_to_relative_and_back(kq: Any) -> None:
    """S-253."""
    apply(kq, timer(1, EV_ADD, NOTE_ABSTIME, wall() - 1))
    assert len(kq.control(None, 1, SOON)) == 1
    assert ready(kq, timer(1, data=HOUR)) == []
    idle(kq)
    assert len(kq.control([timer(1, EV_ADD, NOTE_ABSTIME, wall() - 1)], 1, SOON)) == 1


# ---- changes -----------------------------------------------------------------------------------


def test_adding_again_starts_anew(kq: Any) -> None:
    """S-250; traces timer_readd_longer, timer_readd_after_fire: what had expired is forgotten."""
    apply(kq, timer(1, data=1))
    pause(5_000_000)
    assert ready(kq, timer(1, data=HOUR)) == []
    idle(kq)
    start = now()
    (event,) = kq.control([timer(1, data=10, udata=9)], 1, SOON)
    assert now() - start >= 10_000_000
    assert event.udata == 9


def test_adding_the_same_again_starts_anew(kq: Any) -> None:
    """S-250: also with equal numbers."""
    apply(kq, timer(1, data=20))
    pause(10_000_000)
    start = now()
    assert len(kq.control([timer(1, data=20)], 1, SOON)) == 1
    assert now() - start >= 20_000_000


def test_oneshot_of_a_later_add_does_not_stick(kq: Any) -> None:
    """S-056 as recorded: trace timer_readd_oneshot."""
    apply(kq, timer(1, data=2))
    for _ in range(2):
        (event,) = kq.control([timer(1, EV_ADD | EV_ONESHOT, data=2)], 1, SOON)
        assert event.flags == EV_CLEAR
    assert len(kq.control(None, 1, SOON)) == 1


@pytest.mark.parametrize("flags", [0, EV_ENABLE, EV_ENABLE | EV_KEEPUDATA])
def test_other_changes_leave_the_schedule(kq: Any, flags: int) -> None:
    """S-251, S-059: only EV_ADD acts on the period, whatever the change says."""
    start = now()
    apply(kq, timer(1, EV_ADD | EV_ONESHOT, data=15))
    apply(kq, timer(1, flags, NOTE_SECONDS, 3600))
    assert len(kq.control(None, 1, SOON)) == 1
    assert now() - start >= 15_000_000


def test_a_disabled_timer_counts_on(kq: Any) -> None:
    """S-254, S-066, S-469; trace timer_add_disabled: libkqueue loses count and phase."""
    start = now()
    apply(kq, timer(1, EV_ADD | EV_DISABLE, data=4))
    pause(10_000_000)
    idle(kq)
    (event,) = ready(kq, timer(1, EV_ENABLE))
    assert 2 <= event.data <= (now() - start) // 4_000_000
    apply(kq, timer(1, EV_DISABLE))
    pause(10_000_000)
    (event,) = ready(kq, timer(1, EV_ENABLE))
    assert event.data >= 2


def test_enable_before_anything_expired(kq: Any) -> None:
    """S-068."""
    assert ready(kq, timer(1, EV_ADD | EV_DISABLE, data=HOUR)) == []
    assert ready(kq, timer(1, EV_ENABLE)) == []
    idle(kq)


def test_dispatch_counts_on(kq: Any) -> None:
    """S-255, S-077; trace timer_dispatch."""
    (event,) = kq.control([timer(1, EV_ADD | EV_DISPATCH, data=4)], 1, SOON)
    assert event.flags == EV_CLEAR | EV_DISPATCH
    pause(10_000_000)
    idle(kq)
    (event,) = ready(kq, timer(1, EV_ENABLE))
    assert event.data >= 2


def test_deleted_with_an_expiration_pending(kq: Any) -> None:
    """S-064; traces timer_delete, timer_delete_pending."""
    for wait in (0, 5_000_000):
        apply(kq, timer(1, data=1))
        pause(wait)
        assert ready(kq, timer(1, EV_DELETE)) == []
        idle(kq)


def test_nobody_wakes_up_for_a_timer_that_is_disabled(kq: Any) -> None:
    """S-469: the queue's descriptor stays unreadable."""
    apply(kq, timer(1, EV_ADD | EV_DISABLE, NOTE_USECONDS, 100), timer(2, data=HOUR))
    pause(3_000_000)
    kq.control(None, ROOM, HARDLY)
    assert not polls(kq)


def test_an_expired_timer_makes_the_queue_readable(kq: Any) -> None:
    """S-013."""
    apply(kq, timer(1, data=1))
    wait_until(lambda: polls(kq))
    apply(kq, timer(1, EV_DELETE))
    idle(kq)


# ---- many --------------------------------------------------------------------------------------


def test_a_hundred_thousand_on_one_descriptor(kq: Any) -> None:
    """S-469; spec section 8 rule 11: one timerfd for all, and the first to be due comes first."""
    count = 100_000
    before = len(os.listdir("/proc/self/fd"))
    many = [timer(ident, data=HOUR) for ident in range(count)]
    apply(kq, *many)
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    apply(kq, timer(777, EV_ADD, data=HOUR // 1000), timer(4242, EV_ADD, data=1))
    assert idents(kq.control(None, 1, SOON)) == [4242]
    apply(kq, timer(777, EV_ADD, data=3))
    wait_until(lambda: 777 in idents(ready(kq)))
    apply(kq, *(timer(ident, EV_DELETE) for ident in range(count)))
    idle(kq)


def test_in_the_order_in_which_they_are_due(kq: Any) -> None:
    """S-274: by absolute times, since a period begins when it is added, and that may take longer than it lasts."""
    for lead in (30, 300, 3000):
        first = wall() + lead
        apply(kq, *(timer(i, EV_ADD | EV_ONESHOT, NOTE_ABSTIME, first + 20 - i) for i in range(20)))
        if wall() < first:
            break
        assert lead < 3000, "adding 20 timers took 3 s"
        while ready(kq):
            pass  # some were due before the others were there
    got: list[int] = []
    while len(got) < 20:
        got += idents(kq.control(None, 3, SOON))
    assert got == list(range(19, -1, -1))


def test_a_timer_does_not_hide_what_else_is_true(kq: Any) -> None:
    """S-277: a period as short as can be, beside a user event."""
    apply(kq, timer(1, EV_ADD, NOTE_NSECONDS, 1), user(2, fflags=0x01000000))
    seen = {event.ident for _ in range(6) for event in kq.control(None, 1, SOON)}
    assert seen == {1, 2}


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("adz"), st.integers(0, 3))))
def test_whatever_is_added_and_deleted_the_rest_comes(steps: list[tuple[int, str, int]]) -> None:
    """S-250, S-256: every timer that was left comes exactly once."""
    with knote.kqueue() as queue:
        left: set[int] = set()
        for ident, what, ms in steps:
            if what == "d" and ident in left:
                apply(queue, timer(ident, EV_DELETE))
                left.discard(ident)
            elif what == "a":
                apply(queue, timer(ident, EV_ADD | EV_ONESHOT, data=ms))
                left.add(ident)
            elif what == "z" and ident in left:
                apply(queue, timer(ident, EV_DISABLE), timer(ident, EV_ENABLE))
        got: list[int] = []
        while len(got) < len(left):
            got += idents(queue.control(None, 2, SOON))
        assert sorted(got) == sorted(left)
        assert queue.control(None, 1, 0) == []
