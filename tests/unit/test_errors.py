"""Each text says what was refused, which one, why, and what now."""

from __future__ import annotations

import errno
import resource
import sys

import pytest

from knote import (
    EV_ADD,
    EV_DELETE,
    EV_DISABLE,
    EV_ENABLE,
    EVFILT_READ,
    EVFILT_TIMER,
    errors,
    kevent,
)

FAR_FD = 1 << 20


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (errors.closed(), ValueError, "I/O operation on closed kqueue object"),
        (
            errors.negative_maxevents(-3),
            ValueError,
            "Length of eventlist must be 0 or positive, got -3",
        ),
        (
            errors.bad_timeout("1"),
            TypeError,
            "timeout argument must be a number or None, got str",
        ),
        (errors.negative_timeout(), ValueError, "timeout must be positive or None"),
        (errors.not_a_list(), TypeError, "changelist is not iterable"),
        (
            errors.not_a_kevent(),
            TypeError,
            "changelist must be an iterable of select.kevent objects",
        ),
    ],
)
def test_what_select_says_is_said_letter_for_letter(
    error: Exception, kind: type[Exception], text: str
) -> None:
    """S-290, S-298 ... S-304."""
    assert type(error) is kind
    assert str(error) == text


def test_not_a_number_says_that_it_is_none() -> None:
    assert str(errors.bad_timeout(float("nan"))).endswith("got float nan")


@pytest.mark.parametrize(
    ("change", "number", "kind", "words"),
    [
        (
            kevent(FAR_FD, EVFILT_READ, EV_ADD),
            errno.EBADF,
            OSError,
            ["EVFILT_READ", f"fd={FAR_FD}", "not an open descriptor"],
        ),
        (
            kevent(5, EVFILT_READ, EV_DELETE),
            errno.ENOENT,
            FileNotFoundError,
            ["EVFILT_READ", "fd=5", "no such knote", "EV_ADD"],
        ),
        (
            kevent(5, EVFILT_READ, EV_ENABLE | EV_DISABLE),
            errno.EINVAL,
            OSError,
            ["EVFILT_READ", "fd=5", "ENABLE|DISABLE"],
        ),
        (
            kevent(7, EVFILT_TIMER, EV_ADD, 0, -5),
            errno.EINVAL,
            OSError,
            ["EVFILT_TIMER", "ident=7", "data=-5", "a period must be >= 0", "NOTE_MSECONDS"],
        ),
        (kevent(5, EVFILT_READ), errno.EPIPE, BrokenPipeError, ["EVFILT_READ", "fd=5"]),
        (kevent(7, 99), errno.EINVAL, OSError, ["filter 99", "ident=7"]),
    ],
)
def test_a_refused_change(
    change: kevent, number: int, kind: type[OSError], words: list[str]
) -> None:
    """S-307: the subclass goes by the errno."""
    error = errors.refused(change, number)
    assert type(error) is kind
    assert error.errno == number
    for word in words:
        assert word in str(error), str(error)


def test_an_errno_without_a_change() -> None:
    assert errors.refused(None, errno.ENOMEM).errno == errno.ENOMEM


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EMFILE, ["RLIMIT_NOFILE", "ulimit -n"]),
        (errno.ENFILE, ["fs.file-max"]),
        (errno.ENOSPC, ["fs.epoll.max_user_watches"]),
    ],
)
def test_a_limit_is_named_with_its_value_and_the_way_out(number: int, words: list[str]) -> None:
    text = str(errors.creation(number, "a timerfd"))
    assert "a timerfd" in text
    for word in words:
        assert word in text
    assert any(letter.isdigit() for letter in text.partition("a timerfd")[2])
    if number == errno.EMFILE:
        assert str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) in text


def test_other_errnos_have_no_hint() -> None:
    assert errors.limit_hint(errno.EINVAL) == ""


def test_engines_that_are_not_there() -> None:
    text = str(errors.unknown_engine("kpoll", ["epoll", "poll"]))
    assert "'kpoll'" in text
    assert "epoll, poll" in text
    refused = errors.no_engine(["epoll: EPERM", "poll: no"])
    assert refused.errno == errno.ENOSYS
    assert "epoll: EPERM; poll: no" in str(refused)


def test_a_reentered_collect_says_what_to_do() -> None:
    assert "maxevents=0" in str(errors.reentered())


def test_an_error_without_a_caller_goes_to_the_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """As CPython does with a finalizer's."""
    seen: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: seen.append(told.exc_value))
    error = ValueError("late")
    errors.unraisable(error)
    assert seen == [error]
