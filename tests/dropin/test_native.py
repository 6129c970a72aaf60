"""knote where the system has a kqueue, as far as tests/dropin/fake_bsd.py can be one."""

from __future__ import annotations

import gc
import os
import pickle
import select
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import knote as ours
from tests.dropin import fake_bsd
from tests.support import installed
from tests.support.plumbing import Pipe
from tests.support.waiting import SOON


@pytest.fixture(params=sorted(fake_bsd.FILTERS))
def knote(request: pytest.FixtureRequest) -> Iterator[Any]:
    """knote on each system in turn."""
    with fake_bsd.made(request.param) as module:
        yield module


@pytest.fixture
def queue(knote: Any) -> Iterator[Any]:
    with knote.kqueue() as made:
        yield made


class Thing:
    """An object that can be seen to go."""


@pytest.mark.parametrize("platform", fake_bsd.FILTERS)
def test_importing_knote(platform: str) -> None:
    """Nothing of Linux is imported, and names that are not there are not in __all__."""
    with fake_bsd.imported(platform) as anew:
        assert anew.kqueue.__module__ == anew.kevent.__module__ == "knote.native"
        assert not {"knote.queue", "knote.kqueue", "knote._kernel"} & set(sys.modules)
        assert set(anew.__all__) < set(ours.__all__)
        # Compiled, they know Linux' kevent by its fields; no BSD has a compiled build.
        compiled = {"devpoll", "eventport"} if installed.build() == "compiled" else set()
        names = set(anew.__all__) - compiled
        for name in names:
            getattr(anew, name)
        exec(f"from knote import {', '.join(names)}", {})
        for name in ABSENT[platform]:
            with pytest.raises(AttributeError, match=f"'{name}': {platform} has no number for it"):
                getattr(anew, name)
            with pytest.raises(ImportError):
                exec(f"from knote import {name}", {})
        with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
            _ = anew.nonsense
    import knote

    assert knote is ours
    assert knote.kqueue.__module__ == "knote.kqueue"
    assert not hasattr(select, "kqueue")


def test_same_names_but_those_without_a_number(knote: Any) -> None:
    assert {"kqueue", "kevent", "install", "uninstall", "build_info", "macos"} <= set(knote.__all__)
    for name in set(ours.__all__) - {"build_info", "devpoll", "eventport", "iocp"}:  # they come when asked for
        assert (name in vars(knote)) is (name in knote.__all__), name


def test_missing_constants_are_there(knote: Any) -> None:
    """cpython #69788: what select does not have, on every system."""
    for name in ("EVFILT_USER", "NOTE_TRIGGER", "NOTE_SECONDS", "NOTE_USECONDS", "EV_RECEIPT", "EV_DISPATCH"):
        assert isinstance(getattr(knote, name), int)
    assert knote.KQ_FILTER_USER == knote.EVFILT_USER


NUMBERS = {
    "freebsd15": {"EVFILT_USER": -11, "EVFILT_PROCDESC": -8, "NOTE_USECONDS": 4, "NOTE_ABSTIME": 16},
    "darwin": {"EVFILT_USER": -10, "EVFILT_EXCEPT": -15, "NOTE_USECONDS": 2, "NOTE_ABSOLUTE": 8, "NOTE_OOB": 2},
    "netbsd10": {"EVFILT_READ": 0, "EVFILT_USER": 8, "EVFILT_EMPTY": 9, "NOTE_NSECONDS": 3, "NOTE_OPEN": 0x80},
    "openbsd7": {"EVFILT_USER": -10, "EVFILT_EXCEPT": -9, "NOTE_TRUNCATE": 0x80, "NOTE_OOB": 4},
    "dragonfly6": {"EVFILT_USER": -9, "EVFILT_EXCEPT": -8},
}
ABSENT = {
    "freebsd15": ("EVFILT_EXCEPT", "EVFILT_NETDEV", "NOTE_TRUNCATE", "NOTE_NODATA", "NOTE_EXITSTATUS"),
    "darwin": ("EVFILT_PROCDESC", "EVFILT_EMPTY", "EV_KEEPUDATA", "NOTE_MSECONDS", "NOTE_OPEN"),
    "netbsd10": ("EVFILT_EXCEPT", "EV_KEEPUDATA", "NOTE_TRUNCATE", "NOTE_ABSOLUTE"),
    "openbsd7": ("EVFILT_FS", "EVFILT_EMPTY", "NOTE_OPEN", "EV_FORCEONESHOT"),
}


@pytest.mark.parametrize("platform", NUMBERS)
def test_the_systems_own_numbers(platform: str) -> None:
    """Spec 1.2-1.9."""
    from knote import native

    found = native.numbers(platform)
    for name, number in NUMBERS[platform].items():
        assert found[name] == number, name


@pytest.mark.parametrize("platform", fake_bsd.FILTERS)
def test_the_systems_own_numbers_are_public(platform: str) -> None:
    with fake_bsd.made(platform) as knote:
        for name, number in NUMBERS[platform].items():
            assert getattr(knote, name) == number


def test_what_select_says_goes_before_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    from knote import native

    monkeypatch.setattr(select, "KQ_NOTE_PCTRLMASK", 77, raising=False)
    assert native.numbers("netbsd10")["NOTE_PCTRLMASK"] == 77
    assert native.numbers("plan9") == {"NOTE_PCTRLMASK": 77}


def test_events(knote: Any, queue: Any, pipe: Pipe) -> None:
    change = knote.kevent(pipe.r, knote.EVFILT_READ, knote.EV_ADD | knote.EV_CLEAR, udata=7)
    assert queue.control([change], 4, 0) == []
    pipe.write(b"abc")
    (event,) = queue.control(None, 4, SOON)
    assert type(event) is knote.kevent
    assert (event.ident, event.filter, event.data, event.udata) == (pipe.r, knote.EVFILT_READ, 3, 7)
    assert str(event) == f"READ fd={pipe.r} data=3 CLEAR udata=7"


def test_user_events(knote: Any, queue: Any) -> None:
    queue.control([knote.kevent(5, knote.EVFILT_USER)], 0)
    queue.control([knote.kevent(5, knote.EVFILT_USER, 0, knote.NOTE_TRIGGER)], 0)
    (event,) = queue.control(None, 4, 0)
    assert (event.ident, event.filter) == (5, knote.EVFILT_USER)
    assert str(event).startswith("USER ident=5")


def test_texts(knote: Any) -> None:
    """By the system's numbers: -10 is a Mac's USER and FreeBSD's LIO."""
    names = {-10: "LIO", -11: "USER"} if hasattr(knote, "EVFILT_LIO") else {knote.EVFILT_USER: "USER"}
    for number, name in names.items():
        assert str(knote.kevent(1, number, 0)).startswith(f"{name} ")
    assert str(knote.kevent(1, 99, 0)) == "filter 99 ident=1 data=0"
    timer = knote.kevent(1, knote.EVFILT_TIMER, knote.EV_ADD, knote.NOTE_NSECONDS)
    assert str(timer) == "TIMER ident=1 data=0 ADD NSECONDS"
    vnode = knote.kevent(1, knote.EVFILT_VNODE, 0, knote.NOTE_WRITE | knote.NOTE_DELETE | 0x10000)
    assert str(vnode) == "VNODE fd=1 data=0 DELETE|WRITE|0x10000"


def test_kevent_defaults_and_order(knote: Any) -> None:
    event = knote.kevent(3)
    assert (event.filter, event.flags, event.fflags) == (knote.EVFILT_READ, knote.EV_ADD, 0)
    assert event == knote.kevent(3)
    assert event != knote.kevent(4)
    assert event < knote.kevent(4) <= knote.kevent(4)
    assert knote.kevent(4) > event >= event
    assert event != 3
    with pytest.raises(TypeError):
        _ = event < 3
    with pytest.raises(TypeError):
        hash(event)
    with pytest.raises(TypeError):
        pickle.dumps(event)


def test_kevent_attributes_can_be_assigned(knote: Any) -> None:
    event, thing = knote.kevent(3), Thing()
    event.ident, event.filter, event.flags, event.fflags, event.data = 4, 1, 2, 3, -5
    assert event._fields() == (4, 1, 2, 3, -5, 0)
    event.udata = thing
    assert event.udata is thing
    assert "Thing object" in repr(event)
    assert "Thing object" in str(event)
    event.udata = 9
    assert event.udata == 9
    assert repr(event).endswith("udata=9>")
    with pytest.raises(AttributeError):
        event.other = 1


def test_udata_objects(knote: Any, queue: Any, pipe: Pipe) -> None:
    thing = Thing()
    pipe.write(b"x")
    for _ in range(2):  # level-triggered: again and again
        (event,) = queue.control([knote.kevent(pipe.r, udata=thing)], 4, 0)
        assert event.udata is thing
    (event,) = queue.control([knote.kevent(pipe.r, udata=None)], 4, 0)
    assert event.udata is None
    (event,) = queue.control([knote.kevent(pipe.r, udata=1 << 62)], 4, 0)
    assert event.udata == 1 << 62


def test_udata_of_receipts(knote: Any, queue: Any, pipe: Pipe) -> None:
    thing = Thing()
    (receipt,) = queue.control(
        [knote.kevent(pipe.r, flags=knote.EV_ADD | knote.EV_RECEIPT, udata=thing)], 4, 0
    )
    assert (receipt.flags & knote.EV_ERROR, receipt.data) == (knote.EV_ERROR, 0)
    assert receipt.udata is thing


@pytest.mark.parametrize("way", ["deleted", "replaced", "once", "closed"])
def test_objects_are_let_go_of(knote: Any, queue: Any, pipe: Pipe, way: str) -> None:
    thing = Thing()
    gone = weakref.ref(thing)
    flags = knote.EV_ADD | (knote.EV_ONESHOT if way == "once" else 0)
    queue.control([knote.kevent(pipe.r, flags=flags, udata=thing)], 0)
    del thing
    gc.collect()
    assert gone() is not None
    if way == "deleted":
        queue.control([knote.kevent(pipe.r, flags=knote.EV_DELETE)], 0)
    elif way == "replaced":
        queue.control([knote.kevent(pipe.r, udata=1)], 0)
    elif way == "once":
        pipe.write(b"x")
        assert queue.control(None, 1, SOON)[0].udata is gone()
    else:
        queue.close()
    gc.collect()
    assert gone() is None


def test_added_again_in_the_list_that_deletes(knote: Any, queue: Any, pipe: Pipe) -> None:
    one, two = Thing(), Thing()
    add, again = knote.kevent(pipe.r, udata=one), knote.kevent(pipe.r, udata=two)
    queue.control([add, knote.kevent(pipe.r, flags=knote.EV_DELETE), again], 0)
    pipe.write(b"x")
    assert queue.control(None, 1, SOON)[0].udata is two
    assert add.udata is one


def test_keepudata(knote: Any, queue: Any, pipe: Pipe) -> None:
    if not hasattr(knote, "EV_KEEPUDATA"):
        return  # FreeBSD's alone
    thing = Thing()
    queue.control([knote.kevent(pipe.r, udata=thing)], 0)
    queue.control([knote.kevent(pipe.r, flags=knote.EV_ENABLE | knote.EV_KEEPUDATA, udata=4)], 0)
    pipe.write(b"x")
    assert queue.control(None, 1, SOON)[0].udata is thing


def test_fromfd_shares_objects(knote: Any, queue: Any, pipe: Pipe) -> None:
    thing = Thing()
    other = knote.kqueue.fromfd(queue.fileno())
    other.control([knote.kevent(pipe.r, udata=thing)], 0)
    pipe.write(b"x")
    assert queue.control(None, 1, SOON)[0].udata is thing
    queue.close()
    assert other._objects is queue._objects


def test_the_engine(knote: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    knote.kqueue(engine="kqueue").close()
    with pytest.raises(ValueError, match="unknown engine 'epoll'; this system has: kqueue"):
        knote.kqueue(engine="epoll")
    monkeypatch.setenv("KNOTE_ENGINE", "epoll")
    with pytest.raises(ValueError, match="epoll"):
        knote.kqueue()


def test_closing(knote: Any) -> None:
    queue = knote.kqueue()
    number = queue.fileno()
    assert repr(queue) == f"<knote.kqueue fd={number}>"
    with queue as same:
        assert same is queue
        assert not queue.closed
    assert queue.closed
    assert repr(queue) == "<knote.kqueue closed>"
    queue.close()
    for use in (queue.fileno, lambda: queue.control(None, 1, 0), queue.__enter__):
        with pytest.raises(ValueError, match="closed kqueue"):
            use()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


def test_wrong_arguments(knote: Any, queue: Any) -> None:
    with pytest.raises(TypeError, match="not iterable"):
        queue.control(1, 1, 0)
    with pytest.raises(TypeError, match="iterable of select"):
        queue.control([1], 1, 0)
    with pytest.raises(TypeError, match="iterable of select"):
        queue.control([ours.kevent(0)], 1, 0)  # of another knote
    with pytest.raises(ValueError, match="-1"):
        queue.control(None, -1)
    with pytest.raises(OverflowError):
        knote.kevent(1, 1 << 20)
    with pytest.raises(TypeError):
        pickle.dumps(queue)
    for kind in (knote.kqueue, knote.kevent):
        with pytest.raises(TypeError, match="base type"):
            type("Derived", (kind,), {})


def test_changes_may_come_from_an_iterator(knote: Any, queue: Any, pipe: Pipe) -> None:
    pipe.write(b"x")
    (event,) = queue.control((knote.kevent(fd) for fd in (pipe.r,)), 4, 0)
    assert event.ident == pipe.r


def test_an_error_is_the_systems(knote: Any, queue: Any) -> None:
    with pytest.raises(FileNotFoundError):
        queue.control([knote.kevent(1, knote.EVFILT_USER, knote.EV_DELETE)], 0)
    (event,) = queue.control([knote.kevent(1, knote.EVFILT_USER, knote.EV_DELETE, udata=3)], 1, 0)
    assert (event.flags, event.udata) == (knote.EV_ERROR, 3)


def test_install_adds_what_select_lacks(knote: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's kqueue stays the system's."""
    monkeypatch.setitem(sys.modules, "knote", knote)
    theirs = dict(vars(select))
    dynamic: Any = select
    knote.install()
    assert {name: vars(select)[name] for name in theirs} == theirs
    assert dynamic.KQ_FILTER_USER == knote.EVFILT_USER
    knote.uninstall()
    assert dict(vars(select)) == theirs


def test_knotes(knote: Any, queue: Any, pipe: Pipe) -> None:
    """By what was asked: no BSD tells."""
    read, user = knote.EVFILT_READ, knote.EVFILT_USER
    queue.control(
        [
            knote.kevent(pipe.r, read, knote.EV_ADD | knote.EV_CLEAR, udata="me"),
            knote.kevent(1, user, knote.EV_ADD | knote.EV_DISPATCH),
            knote.kevent(2, user, knote.EV_ADD | knote.EV_ONESHOT | knote.EV_DISABLE),
        ],
        0,
    )
    assert [(each.filter, each.ident, each.enabled) for each in queue.knotes()] == [
        (read, pipe.r, True), (user, 1, True), (user, 2, False)
    ]  # fmt: skip
    assert str(queue.knotes()[0]) == f"READ fd={pipe.r} data=0 CLEAR udata='me' hits=0"
    queue.control([knote.kevent(2, user, knote.EV_ENABLE)], 0)
    queue.control([knote.kevent(ident, user, 0, knote.NOTE_TRIGGER) for ident in (1, 2)], 0)
    assert len(queue.control(None, 4, 0)) == 2
    assert [(each.ident, each.enabled, each.hits) for each in queue.knotes()] == [
        (pipe.r, True, 0), (1, False, 1)
    ]  # fmt: skip
    (entry,) = queue.control([knote.kevent(77, user, 0)], 1, 0)
    assert entry.flags & knote.EV_ERROR
    with pytest.raises(FileNotFoundError):
        queue.control([knote.kevent(1, user, knote.EV_DELETE), knote.kevent(77, user, 0)], 0)
    queue.control([knote.kevent(pipe.r, read, knote.EV_DELETE)], 0)
    other = knote.kqueue.fromfd(queue.fileno())
    assert [each.ident for each in other.knotes()] == [1]
    queue.close()
    with pytest.raises(ValueError, match="closed"):
        queue.knotes()


def test_tracing(knote: Any, queue: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """KNOTE_TRACE, which is read when knote is imported."""
    path = tmp_path / "trace"
    tracer = ours.inside.Trace(str(path), str)
    monkeypatch.setitem(type(queue).control.__globals__, "_TRACE", tracer)
    queue.control([knote.kevent(1, knote.EVFILT_USER, knote.EV_ADD | knote.EV_CLEAR, knote.NOTE_TRIGGER)], 4, 0)
    with pytest.raises(FileNotFoundError):
        queue.control([knote.kevent(7, knote.EVFILT_USER, 0)], 0)
    os.close(tracer._fd)
    lines = [line.partition(f"kqueue {queue.fileno()} ")[2] for line in path.read_text().splitlines()]
    assert [line[:7] for line in lines] == ["<- USER", ".. room", "-> USER", "== 1 af", "<- USER", "!! File"]


def test_the_selector(knote: Any, pipe: Pipe) -> None:
    import selectors

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "knote", knote)
        module = fake_bsd.load("knote.loops.selector")
    with module.KqueueSelector() as selector:
        assert type(selector._queue) is knote.kqueue
        key = selector.register(pipe.r, selectors.EVENT_READ)
        pipe.write(b"x")
        assert selector.select(SOON) == [(key, selectors.EVENT_READ)]
