"""EVFILT_NETDEV: links that go up, down and away, in a network namespace of the test's own (spec 6.1, NETDEV)."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

import pytest

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_ENABLE,
    EV_EOF,
    EV_ONESHOT,
    EVFILT_NETDEV,
    NOTE_LINKDOWN,
    NOTE_LINKINV,
    NOTE_LINKUP,
    kevent,
)
from tests.behaviour.words import apply, idle, ready
from tests.support.links import Links, listener
from tests.support.namespaces import NET, in_new
from tests.support.waiting import SOON

ALL = NOTE_LINKUP | NOTE_LINKDOWN | NOTE_LINKINV

links_needed = pytest.mark.needs("network namespace")


def netdev(index: int, flags: int = EV_ADD, fflags: int = ALL, udata: Any = 0) -> kevent:
    """A change of an EVFILT_NETDEV knote."""
    return kevent(index, EVFILT_NETDEV, flags, fflags, 0, udata)


def told(kq: Any) -> list[tuple[int, int]]:
    """(notes, data) of the events that come within the deadline."""
    return [(event.fflags, event.data) for event in kq.control(None, 8, SOON)]


def expect(kq: Any, wanted: dict[int, int]) -> None:
    """These notes of these interfaces, and no others: the kernel tells of carriers up to a second late, and of
    several changes once or more often."""
    got = dict.fromkeys(wanted, 0)
    while got != wanted:
        events = kq.control(None, 8, SOON)
        assert events, f"{got} of {wanted}"
        for event in events:
            got[event.ident] |= event.fflags
            assert got[event.ident] & ~wanted[event.ident] == 0, event


UP = (NOTE_LINKUP, NOTE_LINKUP)
DOWN = (NOTE_LINKDOWN, NOTE_LINKDOWN)
GONE = (NOTE_LINKINV, NOTE_LINKINV)


@links_needed
@in_new(NET)
def test_up_down_and_gone(engine: str) -> None:
    links = Links()
    with knote.kqueue(engine=engine) as kq:
        index = links.veth("ours", "theirs")
        apply(kq, netdev(index, udata="cable"))
        idle(kq)
        links.up("ours")
        idle(kq)  # nobody is at the other end
        links.up("theirs")
        [event] = kq.control(None, 8, SOON)
        assert (event.ident, event.fflags, event.data, event.udata) == (index, NOTE_LINKUP, NOTE_LINKUP, "cable")
        assert event.flags == EV_CLEAR
        idle(kq)
        links.down("theirs")
        assert told(kq) == [DOWN]
        links.up("theirs")
        assert told(kq) == [UP]
        links.down("ours")
        assert told(kq) == [DOWN]
        links.delete("ours")
        [event] = kq.control(None, 8, SOON)
        assert (event.fflags, event.data) == GONE
        assert event.flags == EV_CLEAR | EV_EOF | EV_ONESHOT
        assert kq.knotes() == []
        idle(kq)


@links_needed
@in_new(NET)
def test_only_what_was_asked_for_and_that_it_is_gone(engine: str) -> None:
    links = Links()
    with knote.kqueue(engine=engine) as kq:
        index = links.veth("ours", "theirs")
        links.up("theirs")
        apply(kq, netdev(index, fflags=NOTE_LINKDOWN))
        links.up("ours")
        idle(kq)
        links.down("ours")
        assert told(kq) == [DOWN]
        apply(kq, netdev(index, 0, NOTE_LINKUP))
        links.up("ours")
        assert told(kq) == [UP]
        apply(kq, netdev(index, 0, 0))
        links.down("ours")
        idle(kq)
        links.delete("theirs")  # which takes its other end with it
        assert told(kq) == [GONE]


@links_needed
@in_new(NET)
def test_each_interface_has_its_own(engine: str) -> None:
    links = Links()
    with knote.kqueue(engine=engine) as kq:
        pairs = [links.veth(f"a{i}", f"b{i}") for i in range(8)]
        apply(kq, *(netdev(index) for index in pairs), netdev(socket.if_nametoindex("lo")))
        for i in range(8):
            links.up(f"b{i}")
        idle(kq)
        for i in (5, 2):
            links.up(f"a{i}")
            assert [event.ident for event in kq.control(None, 8, SOON)] == [pairs[i]]
        links.up("lo")
        assert [event.ident for event in kq.control(None, 8, SOON)] == [socket.if_nametoindex("lo")]


@links_needed
@in_new(NET)
def test_what_happened_before_it_was_added_is_no_news(engine: str) -> None:
    links = Links()
    with knote.kqueue(engine=engine) as kq:
        first, second = links.veth("a", "b"), links.veth("c", "d")
        apply(kq, netdev(first))
        for name in "abcd":
            links.up(name)
        links.wait_running("a", "c")
        apply(kq, netdev(second))
        assert [event.ident for event in kq.control(None, 8, SOON)] == [first]
        idle(kq)


@links_needed
@in_new(NET)
def test_what_was_up_again_when_it_was_collected_was_down(engine: str) -> None:
    """The kernel makes one message of several, but counts."""
    links = Links()
    with knote.kqueue(engine=engine) as kq:
        index = links.veth("ours", "theirs")
        links.up("ours")
        links.up("theirs")
        links.wait_running("ours")
        apply(kq, netdev(index))
        for _ in range(3):
            links.down("theirs")
            links.up("theirs")
        expect(kq, {index: NOTE_LINKUP | NOTE_LINKDOWN})


@links_needed
@in_new(NET)
def test_disabled_it_goes_on_recording(engine: str) -> None:
    links = Links()
    with knote.kqueue(engine=engine) as kq:
        index = links.veth("ours", "theirs")
        links.up("theirs")
        apply(kq, netdev(index, EV_ADD | EV_DISABLE))
        links.up("ours")
        idle(kq)
        apply(kq, netdev(index, EV_ENABLE))
        assert told(kq) == [UP]


@links_needed
@in_new(NET)
def test_a_port_of_a_bridge_is_not_gone_when_it_is_pulled_out(engine: str) -> None:
    """The kernel says RTM_DELLINK of a port that leaves its bridge."""
    links = Links()
    with knote.kqueue(engine=engine) as kq:
        index = links.veth("port", "cable")
        bridge = links.bridge("switch")
        apply(kq, netdev(index))
        links.join("port", bridge)
        links.join("port", 0)
        idle(kq)
        links.up("cable")
        links.up("port")
        assert told(kq) == [UP]


@links_needed
@in_new(NET)
def test_an_index_that_is_used_again_is_another_interface(engine: str) -> None:
    links = Links()
    with knote.kqueue(engine=engine) as kq:
        index = links.veth("ours", "theirs")
        apply(kq, netdev(index))
        links.delete("ours")
        assert links.veth("new", "peer", index) == index
        links.up("new")
        links.up("peer")
        assert told(kq) == [GONE]
        idle(kq)
        links.wait_running("new")
        apply(kq, netdev(index))
        links.down("peer")
        assert told(kq) == [DOWN]


@links_needed
@in_new(NET)
def test_what_the_socket_had_no_room_for_is_told_all_the_same(engine: str) -> None:
    """ENOBUFS: the kernel throws messages away; then all interfaces are listed and compared."""
    links = Links()
    with knote.kqueue(engine=engine) as kq, listener() as other:
        quiet, flapping, doomed, falling = (
            links.veth(name, name + "-peer") for name in ("quiet", "flapping", "doomed", "falling")
        )
        for name in ("quiet", "flapping", "doomed", "falling", "quiet-peer", "flapping-peer", "falling-peer"):
            links.up(name)
        links.wait_running("quiet", "flapping", "falling")
        links.veth("noise", "noise-peer")
        apply(kq, *(netdev(index) for index in (quiet, flapping, doomed, falling)))
        lost = False
        while not lost:
            for _ in range(200):
                links.up("noise")
                links.down("noise")
            try:
                while other.recv(65536):
                    pass
            except BlockingIOError:
                pass
            except OSError as error:
                lost = error.errno == errno.ENOBUFS
                assert lost, error
        # Nothing of this finds room any more.
        links.down("flapping-peer")
        links.up("flapping-peer")
        links.delete("doomed")
        links.down("falling")
        expect(
            kq, {flapping: NOTE_LINKUP | NOTE_LINKDOWN, doomed: NOTE_LINKINV, falling: NOTE_LINKDOWN}
        )
        # And on it goes.
        links.down("quiet")
        assert (quiet, *DOWN) in [(e.ident, e.fflags, e.data) for e in kq.control(None, 8, SOON)]


@links_needed
@in_new(NET)
def test_one_that_is_added_when_there_is_no_room_for_the_answer(engine: str) -> None:
    links = Links()
    with knote.kqueue(engine=engine) as kq:
        first, second = links.veth("a", "b"), links.veth("c", "d")
        apply(kq, netdev(first))
        for _ in range(2000):
            links.up("d")
            links.down("d")
        apply(kq, netdev(second))
        idle(kq)
        links.up("c")
        links.up("d")
        assert [event.ident for event in kq.control(None, 8, SOON)] == [second]
        with pytest.raises(OSError, match="index") as refused:
            apply(kq, netdev(9999))
        assert refused.value.errno == errno.ENODEV


def test_one_descriptor_while_it_is_needed(kq: Any) -> None:
    def held() -> int:
        return len(os.listdir("/proc/self/fd"))

    lo = socket.if_nametoindex("lo")
    before = held()
    apply(kq, netdev(lo))
    assert held() == before + 1
    assert ready(kq, netdev(lo)) == []
    assert held() == before + 1
    apply(kq, netdev(lo, EV_DELETE))
    assert held() == before
    with pytest.raises(OSError, match="no network interface"):
        apply(kq, netdev(0x7FFFFFFF))
    assert held() == before, "a refused one keeps the socket"
    apply(kq, netdev(lo))


@pytest.mark.parametrize("index", [0, 0x7FFFFFFF, 0x80000000, (1 << 64) - 1])
def test_no_such_interface(kq: Any, index: int) -> None:
    with pytest.raises(OSError, match=r"EVFILT_NETDEV .*if_nametoindex") as refused:
        apply(kq, netdev(index))
    assert refused.value.errno == errno.ENODEV


def test_notes_that_are_none_of_its(kq: Any) -> None:
    lo = socket.if_nametoindex("lo")
    with pytest.raises(OSError, match="the notes are NOTE_LINKUP") as refused:
        apply(kq, netdev(lo, fflags=8))
    assert refused.value.errno == errno.EINVAL
    apply(kq, netdev(lo, fflags=NOTE_LINKUP))
    assert [e.data for e in kq.control([netdev(lo, 0, 8)], 1, 0)] == [errno.EINVAL]
    assert [known.fflags for known in kq.knotes()] == [NOTE_LINKUP]
