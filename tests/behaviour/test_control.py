"""control(): what it takes and refuses, how errors are told, and that nothing is half applied."""

from __future__ import annotations

import errno
from typing import Any

import pytest

import knote
from knote import (
    EV_ADD,
    EV_DELETE,
    EV_DISABLE,
    EV_ENABLE,
    EV_ERROR,
    EV_KEEPUDATA,
    EV_RECEIPT,
    EVFILT_READ,
    NOTE_LOWAT,
    kevent,
)
from tests.behaviour.words import ROOM, apply, read, ready, timer, trigger, user, write
from tests.support.events import brief, keys
from tests.support.plumbing import Pair, Pipe

NOBODY = 1_000_000
"""No descriptor has this number."""


def nothing_applied(kq: Any, pipe: Pipe) -> bool:
    """The read end has no knote."""
    pipe.write(b"x")
    return ready(kq) == []


# ---- arguments ---------------------------------------------------------------------------------


def test_positional_only(kq: Any) -> None:
    """S-297."""
    with pytest.raises(TypeError):
        kq.control(changelist=None, maxevents=1, timeout=0)
    with pytest.raises(TypeError):
        kq.control(None)
    with pytest.raises(TypeError):
        kq.control(None, 1, 0, 0)


@pytest.mark.parametrize(
    ("maxevents", "error"),
    [
        (-1, ValueError),
        (1 << 31, OverflowError),
        (1 << 80, OverflowError),
        (1.0, TypeError),
        ("1", TypeError),
        (None, TypeError),
    ],
)
def test_maxevents_that_is_none(
    kq: Any, pipe: Pipe, maxevents: Any, error: type[Exception]
) -> None:
    """S-299, S-300; nothing has been applied then."""
    with pytest.raises(error) as raised:
        kq.control([read(pipe.r)], maxevents, 0)
    if error is ValueError:
        assert str(raised.value) == "Length of eventlist must be 0 or positive, got -1"
    assert nothing_applied(kq, pipe)


def test_maxevents_as_large_as_can_be(kq: Any, pipe: Pipe) -> None:
    """S-309 has a C array behind it; here no room is made that is not needed."""
    pipe.write(b"x")
    assert len(kq.control([read(pipe.r)], 0x7FFFFFFF, 0)) == 1
    assert kq.control(None, True, 0) != []


@pytest.mark.parametrize("timeout", ["1", [], object(), 1j, float("nan")])
def test_a_timeout_that_is_no_number(kq: Any, pipe: Pipe, timeout: Any) -> None:
    """S-301."""
    with pytest.raises(TypeError, match="timeout argument must be a number or None, got"):
        kq.control([read(pipe.r)], 1, timeout)
    assert nothing_applied(kq, pipe)


@pytest.mark.parametrize("timeout", [-1, -0.5, -1e-9, -1e-300, -1e300, float("-inf"), -(1 << 80)])
def test_a_negative_timeout(kq: Any, pipe: Pipe, timeout: float) -> None:
    """S-026, S-301; "Decided" 6: refused before anything is applied."""
    with pytest.raises(ValueError, match="timeout must be positive or None"):
        kq.control([read(pipe.r)], 1, timeout)
    assert nothing_applied(kq, pipe)


@pytest.mark.parametrize("timeout", [0, 0.0, -0.0, False, 1e-300])
def test_a_timeout_of_nothing(kq: Any, timeout: float) -> None:
    """S-025."""
    assert kq.control(None, 1, timeout) == []


def test_a_closed_queue_says_so_first() -> None:
    """S-298: before any other argument is looked at."""
    queue = knote.kqueue()
    queue.close()
    for args in ((None, 1, 0), (None, -1), ("x", "y", "z")):
        with pytest.raises(ValueError, match="I/O operation on closed kqueue object"):
            queue.control(*args)  # type: ignore[arg-type]


# ---- change lists ------------------------------------------------------------------------------


class Liar:
    """bpo-30058: an iterable whose length says nothing about it."""

    def __init__(self, length: int, *changes: Any) -> None:
        self.length, self.changes = length, changes

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Any:
        return iter(self.changes)


@pytest.mark.parametrize(
    "kind",
    [
        list,
        tuple,
        iter,
        lambda changes: (change for change in changes),
        lambda changes: dict(enumerate(changes)).values(),
        lambda changes: Liar(0, *changes),
        lambda changes: Liar(1000, *changes),
    ],
    ids=["list", "tuple", "iterator", "generator", "view", "len 0", "len 1000"],
)
def test_any_iterable_is_a_list_of_changes(kq: Any, pipe: Pipe, kind: Any) -> None:
    """S-303, S-332."""
    pipe.write(b"x")
    changes = kind([read(pipe.r), write(pipe.w)])
    assert keys(kq.control(changes, ROOM, 0)) == [(pipe.r, -1), (pipe.w, -2)]


@pytest.mark.parametrize("changes", [None, [], (), iter(())])
def test_no_changes(kq: Any, changes: Any) -> None:
    """S-302."""
    assert kq.control(changes, 1, 0) == []


@pytest.mark.parametrize("changes", [1, kevent(1), object(), 1.5])
def test_what_cannot_be_iterated(kq: Any, changes: Any) -> None:
    """S-303."""
    with pytest.raises(TypeError, match="changelist is not iterable"):
        kq.control(changes, 1, 0)


@pytest.mark.parametrize("wrong", [None, 1, (1, -1, 1), "kevent", [], object()])
def test_one_that_is_no_kevent(kq: Any, pipe: Pipe, wrong: Any) -> None:
    """S-304: found before the first is applied."""
    with pytest.raises(
        TypeError, match=r"changelist must be an iterable of select\.kevent objects"
    ):
        kq.control([read(pipe.r), wrong], 1, 0)
    assert nothing_applied(kq, pipe)


def test_an_iterable_that_breaks(kq: Any, pipe: Pipe) -> None:
    """Its own error, and nothing applied."""

    def broken() -> Any:
        yield read(pipe.r)
        raise LookupError("half way")

    with pytest.raises(LookupError, match="half way"):
        kq.control(broken(), 1, 0)
    assert nothing_applied(kq, pipe)


def test_a_list_that_changes_while_it_is_read(kq: Any, pipe: Pipe) -> None:
    """The kevents are what they were when the list was read."""
    changes: list[kevent] = []

    class Greedy:
        def __iter__(self) -> Any:
            yield read(pipe.r)
            changes.clear()
            yield write(pipe.w)

    changes.extend(Greedy())
    pipe.write(b"x")
    given = [read(pipe.r), write(pipe.w)]
    events = kq.control(given, ROOM, 0)
    assert len(events) == 2
    assert given == [read(pipe.r), write(pipe.w)], "a change list is never written to"


def test_events_fed_back_as_changes(kq: Any, pipe: Pipe) -> None:
    """S-021, S-039: what was returned can be given back; EV_EOF and EV_ERROR mean nothing."""
    pipe.write(b"x")
    events = ready(kq, read(pipe.r))
    pipe.close_w()
    for _ in range(3):
        events = kq.control(events, ROOM, 0)
        assert brief(events) == [f"{pipe.r} READ EOF d=1"]


def test_new_objects_in_a_new_list(kq: Any, pipe: Pipe) -> None:
    """S-306."""
    pipe.write(b"x")
    first, second = ready(kq, read(pipe.r)), ready(kq)
    assert first == second
    assert first is not second
    assert first[0] is not second[0]
    first[0].data = 99
    first.clear()
    assert ready(kq) == second


# ---- errors against slots ----------------------------------------------------------------------


def test_a_failure_with_room_is_an_entry(kq: Any, pipe: Pipe) -> None:
    """S-031, S-036, S-308; trace error_add_event_fields: flags are EV_ERROR and nothing else."""
    change = kevent(NOBODY, EVFILT_READ, EV_ADD | EV_ENABLE, NOTE_LOWAT, 77, 123)
    (entry,) = kq.control([change], 1, 0)
    assert entry == kevent(NOBODY, EVFILT_READ, EV_ERROR, NOTE_LOWAT, errno.EBADF, 123)


def test_a_failure_without_room_raises(kq: Any) -> None:
    """S-032, S-308."""
    with pytest.raises(OSError, match=f"fd={NOBODY}") as raised:
        kq.control([read(NOBODY)], 0, 0)
    assert raised.value.errno == errno.EBADF


def test_an_entry_keeps_its_udata_object(kq: Any) -> None:
    """S-060: the value in the change."""
    token = object()
    (entry,) = ready(kq, read(NOBODY, udata=token))
    assert entry.udata is token


def test_after_a_failure_the_list_goes_on(kq: Any, pipe: Pipe) -> None:
    """S-031, S-033; trace error_room_continues: what is ready waits for the next call."""
    pipe.write(b"x")
    assert brief(ready(kq, read(NOBODY), read(pipe.r))) == [f"{NOBODY} READ ERROR d=EBADF"]
    assert brief(ready(kq)) == [f"{pipe.r} READ d=1"]


def test_without_room_the_list_stops(kq: Any, pipe: Pipe) -> None:
    """S-032; trace error_noroom_stops: those before stay applied, those behind are not."""
    pipe.write(b"x")
    with pytest.raises(OSError, match=str(NOBODY)):
        kq.control([write(pipe.w), read(NOBODY), read(pipe.r)], 0, 0)
    assert brief(ready(kq)) == [f"{pipe.w} WRITE"]


def test_more_failures_than_room(kq: Any, pipe: Pipe) -> None:
    """S-032: the one that finds no room raises, and entries that were made are lost with it."""
    pipe.write(b"x")
    with pytest.raises(FileNotFoundError):
        kq.control([read(NOBODY), user(1, EV_DELETE), read(pipe.r)], 1, 0)
    assert ready(kq) == []


def test_errors_end_the_call_at_once(kq: Any) -> None:
    """S-033: no wait, though the timeout says for ever."""
    assert brief(kq.control([read(NOBODY)], ROOM, None)) == [f"{NOBODY} READ ERROR d=EBADF"]


@pytest.mark.parametrize(
    ("change", "number"),
    [
        (read(NOBODY), errno.EBADF),
        (read(1 << 31), errno.EBADF),
        (read((1 << 64) - 1), errno.EBADF),
        (read(NOBODY, EV_DELETE), errno.EBADF),
        (read(NOBODY, EV_ENABLE), errno.EBADF),
        (read(NOBODY, EV_DISABLE), errno.EBADF),
        (user(1, EV_DELETE), errno.ENOENT),
        (user(1, EV_ENABLE), errno.ENOENT),
        (user(1, EV_DISABLE), errno.ENOENT),
        (trigger(1), errno.ENOENT),
        (timer(1, EV_DELETE), errno.ENOENT),
        (user(1, EV_ADD | EV_KEEPUDATA), errno.EINVAL),
        (kevent(1, 99), errno.EINVAL),
        (kevent(1, -99), errno.EINVAL),
        (kevent(1, 0x7FFF), errno.EINVAL),
        (kevent(1, -0x8000), errno.EINVAL),
        (timer(1, data=-1), errno.EINVAL),
    ],
    ids=str,
)
def test_each_refusal_twice(kq: Any, change: kevent, number: int) -> None:
    """S-040, S-047, S-048, S-051, spec section 8 rule 2: as an entry, and as an exception."""
    (entry,) = ready(kq, change)
    assert (entry.flags, entry.data) == (EV_ERROR, number)
    assert (entry.ident, entry.filter, entry.udata) == (change.ident, change.filter, change.udata)
    with pytest.raises(OSError) as raised:
        apply(kq, change)
    assert raised.value.errno == number
    assert ready(kq) == []


def test_an_open_descriptor_without_a_knote(kq: Any, pipe: Pipe) -> None:
    """S-048."""
    for flags in (EV_DELETE, EV_ENABLE, EV_DISABLE, 0):
        with pytest.raises(FileNotFoundError):
            apply(kq, read(pipe.r, flags))
        apply(kq, write(pipe.w))
        with pytest.raises(FileNotFoundError):
            apply(kq, read(pipe.w, flags))
        apply(kq, write(pipe.w, EV_DELETE))


def test_filter_zero_is_passed_over(kq: Any, pipe: Pipe) -> None:
    """S-040: FreeBSD's silence."""
    assert ready(kq, kevent(NOBODY, 0)) == []
    pipe.write(b"x")
    assert brief(ready(kq, kevent(1, 0), read(pipe.r))) == [f"{pipe.r} READ d=1"]


# ---- receipts ----------------------------------------------------------------------------------


def test_receipts_tell_of_each_change(kq: Any, socketpair: Pair) -> None:
    """S-034, S-037; traces receipt_many, receipt_fields: a fresh ADD's entry has fflags 0."""
    fd = socketpair.fd_a
    entries = ready(
        kq,
        read(fd, EV_ADD | EV_RECEIPT, NOTE_LOWAT, 1, 1),
        read(NOBODY, EV_ADD | EV_RECEIPT, udata=2),
        write(fd, EV_ADD | EV_RECEIPT, udata=3),
    )
    assert entries == [
        kevent(fd, EVFILT_READ, EV_ERROR, 0, 0, 1),
        kevent(NOBODY, EVFILT_READ, EV_ERROR, 0, errno.EBADF, 2),
        kevent(fd, knote.EVFILT_WRITE, EV_ERROR, 0, 0, 3),
    ]
    assert brief(ready(kq)) == [f"{fd} WRITE RECEIPT u=3"]


def test_receipt_of_a_change_that_is_no_first_one(kq: Any, socketpair: Pair) -> None:
    """S-037: its notes are echoed; its data is the errno, 0."""
    fd = socketpair.fd_a
    apply(kq, read(fd))
    (entry,) = ready(kq, read(fd, EV_ADD | EV_RECEIPT, NOTE_LOWAT, 7, 4))
    assert entry == kevent(fd, EVFILT_READ, EV_ERROR, NOTE_LOWAT, 0, 4)
    assert brief(ready(kq, read(fd, EV_DELETE | EV_RECEIPT))) == [f"{fd} READ ERROR d=0"]
    again = ready(kq, read(fd, EV_DELETE | EV_RECEIPT))
    assert brief(again) == [f"{fd} READ ERROR d=ENOENT"]


def test_a_receipt_without_room_is_lost_and_ends_the_list(kq: Any, pipe: Pipe) -> None:
    """S-035 as recorded (traces receipt_noroom, receipt_noroom_second): the change itself is done,
    the call returns nothing, and what stands behind it is not looked at."""
    pipe.write(b"x")
    receipt = EV_ADD | EV_RECEIPT
    assert kq.control([read(pipe.r, receipt), user(1)], 0, 0) == []
    with pytest.raises(FileNotFoundError):
        apply(kq, trigger(1))
    assert brief(ready(kq)) == [f"{pipe.r} READ RECEIPT d=1"]
    assert kq.control([write(pipe.w, receipt), user(2, receipt), user(3)], 1, None) == []
    apply(kq, trigger(2))
    with pytest.raises(FileNotFoundError):
        apply(kq, trigger(3))


def test_a_receipt_is_asked_of_each_change_but_shown_by_the_knote(kq: Any, pipe: Pipe) -> None:
    """S-038; trace receipt_persistent."""
    assert len(ready(kq, read(pipe.r, EV_ADD | EV_RECEIPT))) == 1
    assert ready(kq, read(pipe.r, EV_DISABLE)) == []
    pipe.write(b"x")
    assert brief(ready(kq, read(pipe.r, EV_ENABLE))) == [f"{pipe.r} READ RECEIPT d=1"]


# ---- room --------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0, 100, None])
def test_no_room_is_no_wait(kq: Any, pipe: Pipe, timeout: float | None) -> None:
    """S-024; trace nevents0_applies: whatever the timeout says."""
    pipe.write(b"x")
    assert kq.control([read(pipe.r)], 0, timeout) == []
    assert kq.control(None, 0, timeout) == []
    assert brief(ready(kq)) == [f"{pipe.r} READ d=1"]


def test_a_short_list_comes_at_once(kq: Any, pipe: Pipe) -> None:
    """S-278; traces timeout_partial, timeout_null_ready."""
    pipe.write(b"x")
    assert len(kq.control([read(pipe.r)], ROOM, 100)) == 1
    assert len(kq.control(None, ROOM)) == 1


def test_all_changes_before_any_event(kq: Any, pipe: Pipe) -> None:
    """S-020: the one event of this list shows what its last change made of the knote."""
    pipe.write(b"x")
    changes = [read(pipe.r, udata=1), read(pipe.r, udata=2), read(pipe.r, EV_ENABLE, udata=3)]
    assert brief(kq.control(changes, ROOM, 0)) == [f"{pipe.r} READ d=1 u=3"]
