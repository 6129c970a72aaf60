"""struct kevent as CPython's select shows it: S-313 ... S-324, S-329."""

from __future__ import annotations

import copy
import gc
import operator
import pickle
import socket
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import knote
from knote import EV_ADD, EV_CLEAR, EV_EOF, EVFILT_READ, EVFILT_VNODE, EVFILT_WRITE, kevent
from tests.support.plumbing import Pair, Pipe

FIELDS = ("ident", "filter", "flags", "fflags", "data", "udata")
ORDERINGS = (operator.lt, operator.le, operator.gt, operator.ge)


def fields(event: kevent) -> tuple[Any, ...]:
    return tuple(getattr(event, name) for name in FIELDS)


class Index:
    """An int only by __index__."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Fileno:
    """A descriptor only by fileno()."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def fileno(self) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def test_defaults() -> None:
    """S-313, S-323."""
    assert fields(kevent(7)) == (7, EVFILT_READ, EV_ADD, 0, 0, 0)


def test_by_position_and_by_keyword() -> None:
    """S-313: CPython's names; the numbers of filters are not looked at here (S-317)."""
    assert fields(kevent(1, 2, 3, 4, 5, 6)) == (1, 2, 3, 4, 5, 6)
    named = kevent(ident=1, filter=2, flags=3, fflags=4, data=5, udata=6)
    assert fields(named) == (1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, 3, 4, 5, 6, 7), {}), ((1,), {"fd": 2})]
)
def test_wrong_arguments(args: tuple[int, ...], kwargs: dict[str, int]) -> None:
    with pytest.raises(TypeError):
        kevent(*args, **kwargs)


def test_an_object_with_fileno_is_its_descriptor(socketpair: Pair, pipe: Pipe) -> None:
    """S-314."""
    assert kevent(socketpair.a).ident == socketpair.fd_a
    with open(pipe.r, "rb", closefd=False) as file:
        assert kevent(file).ident == pipe.r
    with knote.kqueue() as queue:
        assert kevent(queue).ident == queue.fileno()


@pytest.mark.parametrize("ident", [0, 1, 0x7FFF, 1 << 31, 1 << 63, (1 << 64) - 1, True])
def test_an_int_is_taken_as_it_is(ident: int) -> None:
    """S-314, S-316: up to 2**64 - 1, and a bool is an int."""
    assert kevent(ident).ident == ident


@pytest.mark.parametrize(
    ("ident", "error"),
    [
        (-1, OverflowError),
        (1 << 64, OverflowError),
        (1.5, TypeError),
        ("5", TypeError),
        (None, TypeError),
        (object(), TypeError),
        (Fileno("5"), TypeError),
        (Fileno(None), TypeError),
        (Fileno(-1), ValueError),
        (Fileno(OSError(5, "broken")), OSError),
    ],
    ids=repr,
)
def test_an_ident_that_is_none(ident: Any, error: type[Exception]) -> None:
    """S-314 ... S-316."""
    with pytest.raises(error) as raised:
        kevent(ident)
    assert str(raised.value)
    event = kevent(1)
    with pytest.raises(error):
        event.ident = ident
    assert event.ident == 1


def test_a_closed_socket_is_no_ident() -> None:
    """S-314: its fileno() is -1."""
    sock = socket.socket()
    sock.close()
    with pytest.raises(ValueError, match="negative"):
        kevent(sock)


def test_what_it_says_of_a_thing_without_fileno() -> None:
    """S-316: CPython's words."""
    with pytest.raises(TypeError, match=r"argument must be an int, or have a fileno\(\) method"):
        kevent(1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [0x8000, -0x8001, 1 << 40])
def test_a_filter_is_a_short(number: int) -> None:
    """S-317."""
    with pytest.raises(OverflowError):
        kevent(1, number)
    event = kevent(1)
    with pytest.raises(OverflowError):
        event.filter = number


@pytest.mark.parametrize("number", [0, 1, 2, 0x7FFF, -0x8000, -1])
def test_any_short_is_a_filter(number: int) -> None:
    """S-317, S-323: control() is where it is refused."""
    assert kevent(1, number).filter == number


@pytest.mark.parametrize("field", ["filter", "flags", "fflags", "data"])
@pytest.mark.parametrize("value", [1.5, "1", None])
def test_the_numbers_are_ints(field: str, value: Any) -> None:
    """S-317, S-318."""
    with pytest.raises(TypeError):
        kevent(1, **{field: value})
    event = kevent(1)
    before = fields(event)
    with pytest.raises(TypeError):
        setattr(event, field, value)
    assert fields(event) == before


@pytest.mark.parametrize("field", ["filter", "flags", "fflags", "data"])
def test_an_index_is_an_int(field: str) -> None:
    """As CPython's argument clinic takes them."""
    assert getattr(kevent(1, **{field: Index(3)}), field) == 3


@pytest.mark.parametrize(
    ("field", "given_", "kept"),
    [
        ("flags", 0xFFFF, 0xFFFF),
        ("flags", 0x12345, 0x2345),
        ("flags", -1, 0xFFFF),
        ("fflags", 0xFFFFFFFF, 0xFFFFFFFF),
        ("fflags", 0x1_2345_6789, 0x2345_6789),
        ("fflags", -1, 0xFFFFFFFF),
        ("udata", -1, (1 << 64) - 1),
        ("udata", (1 << 64) + 5, 5),
        ("udata", True, 1),
        ("udata", 0x7FFF, 0x7FFF),
        ("data", 0x7FFF, 0x7FFF),
        ("data", (1 << 63) - 1, (1 << 63) - 1),
        ("data", -(1 << 63), -(1 << 63)),
    ],
)
def test_masks(field: str, given_: int, kept: int) -> None:
    """S-318, S-323: flags wrap at 16 bits, fflags at 32, udata at 64 unsigned; data is signed."""
    event = kevent(1, **{field: given_})
    assert getattr(event, field) == kept
    other = kevent(1)
    setattr(other, field, given_)
    assert getattr(other, field) == kept
    assert type(getattr(event, field)) is int


@pytest.mark.parametrize("value", [1 << 63, -(1 << 63) - 1])
def test_data_does_not_wrap(value: int) -> None:
    """S-318."""
    with pytest.raises(OverflowError):
        kevent(1, data=value)
    event = kevent(1, data=3)
    with pytest.raises(OverflowError):
        event.data = value
    assert event.data == 3


@pytest.mark.parametrize("udata", [object(), "word", None, 1.5, [1], kevent])
def test_an_object_as_udata_stays_what_it_is(udata: Any) -> None:
    """Knote's own (S-319: select takes ints only): any object but an int, by identity."""
    assert kevent(1, udata=udata).udata is udata
    event = kevent(1)
    event.udata = udata
    assert event.udata is udata


@settings(derandomize=True, database=None)
@given(
    ident=st.integers(0, (1 << 64) - 1),
    number=st.integers(-0x8000, 0x7FFF),
    flags=st.integers(-(1 << 20), 1 << 20),
    fflags=st.integers(-(1 << 40), 1 << 40),
    data=st.integers(-(1 << 63), (1 << 63) - 1),
    udata=st.integers(-(1 << 70), 1 << 70),
)
def test_every_number_in_range(
    ident: int, number: int, flags: int, fflags: int, data: int, udata: int
) -> None:
    """S-313 ... S-319 in one sentence."""
    expected = (ident, number, flags & 0xFFFF, fflags & 0xFFFF_FFFF, data, udata & ((1 << 64) - 1))
    assert fields(kevent(ident, number, flags, fflags, data, udata)) == expected


def test_attributes() -> None:
    """S-319, S-324: six that can be read and written, and no others."""
    event = kevent(1)
    for value, name in enumerate(FIELDS, 10):
        setattr(event, name, value)
    assert fields(event) == (10, 11, 12, 13, 14, 15)
    with pytest.raises(AttributeError):
        event.other = 1  # type: ignore[attr-defined]
    for name in FIELDS:
        with pytest.raises((AttributeError, TypeError, NotImplementedError)):
            delattr(event, name)


def test_repr() -> None:
    """S-320: as select prints it."""
    event = kevent(5, EVFILT_READ, EV_CLEAR | EV_EOF, 1, 12, 3)
    assert repr(event) == (
        "<select.kevent ident=5 filter=-1 flags=0x8020 fflags=0x1 data=0xc udata=0x3>"
    )
    assert "udata='word'" in repr(kevent(5, udata="word"))
    assert "data=0xfffffffffffffffd " in repr(kevent(5, data=-3))


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (kevent(5, EVFILT_READ, EV_CLEAR | EV_EOF, 0, 12), "READ fd=5 data=12 CLEAR|EOF"),
        (kevent(5, EVFILT_WRITE, 0, 0, 0), "WRITE fd=5 data=0"),
        (kevent(5, EVFILT_VNODE, EV_CLEAR, 6, 0), "VNODE fd=5 data=0 CLEAR WRITE|EXTEND"),
        (kevent(7, knote.EVFILT_TIMER, 0, 0, 2, 9), "TIMER ident=7 data=2 udata=9"),
        (kevent(7, knote.EVFILT_USER, 0, 5, 0, "me"), "USER ident=7 data=0 0x5 udata='me'"),
        (kevent(7, 99, 0), "filter 99 ident=7 data=0"),
    ],
)
def test_str(event: kevent, text: str) -> None:
    """As a person reads it: `READ fd=5 data=12 CLEAR|EOF`."""
    assert str(event) == text


@settings(derandomize=True, database=None)
@given(st.tuples(*[st.integers(0, 2)] * 6), st.tuples(*[st.integers(0, 2)] * 6))
def test_comparison_is_that_of_the_six_fields_in_order(
    a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    """S-321."""
    for compare in (*ORDERINGS, operator.eq, operator.ne):
        assert compare(kevent(*a), kevent(*b)) is compare(a, b), compare


@pytest.mark.parametrize("other", [None, 1, "kevent", (1, -1, 1, 0, 0, 0)])
def test_comparison_with_another_type(other: Any) -> None:
    """S-321, S-329."""
    event = kevent(1)
    assert (event == other) is False
    assert (event != other) is True
    for compare in ORDERINGS:
        with pytest.raises(TypeError):
            compare(event, other)
        with pytest.raises(TypeError):
            compare(other, event)


def test_unhashable() -> None:
    """S-322."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(kevent(1))


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_no_copy_but_by_attributes(how: Callable[[kevent], object]) -> None:
    """S-324: as select's."""
    with pytest.raises(TypeError):
        how(kevent(1))


class Mark:
    """Something that can be seen to go."""


def test_a_freed_kevent_lets_go_at_once_and_the_next_knows_nothing_of_it() -> None:
    # The compiled build makes new ones of a few that were freed.
    for _ in range(3):
        mark = Mark()
        gone = weakref.ref(mark)
        event = kevent(5, EVFILT_WRITE, EV_CLEAR, 3, 9, mark)
        del mark, event
        assert gone() is None
        assert fields(kevent(6)) == (6, EVFILT_READ, EV_ADD, 0, 0, 0)


def test_a_kevent_in_a_cycle_is_collected() -> None:
    for _ in range(3):
        mark = Mark()
        gone = weakref.ref(mark)
        event = kevent(5, udata=mark)
        setattr(mark, "event", event)  # noqa: B010
        del mark, event
        gc.collect()
        assert gone() is None


def test_many_more_kevents_than_are_kept_live_and_go() -> None:
    events = [kevent(i) for i in range(3000)]
    assert [event.ident for event in events] == list(range(3000))
    del events
    assert [kevent(i).ident for i in range(3000)] == list(range(3000))
