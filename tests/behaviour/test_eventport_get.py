"""knote.eventport: retrieving, by one thread and by several, users' events, alerts."""

from __future__ import annotations

import errno
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from knote import eventport as ep
from tests.behaviour.ports import ALERT, FD, FILE, IN, OUT, USER, Getters, nothing, port, readable, refused
from tests.support.plumbing import Pair, Pipe
from tests.support.waiting import SOON, alarm_in_the_wait

__all__ = ["port"]


def test_timeouts(port: ep.Port) -> None:
    """S-367."""
    began = time.monotonic()
    assert isinstance(refused(errno.ETIME, ep.port_get, port, 0.05), ep.TimeExpired)
    assert time.monotonic() - began >= 0.05
    for bad in (-1, -0.001, float("nan")):
        refused(errno.EINVAL, ep.port_get, port, bad)
        refused(errno.EINVAL, ep.port_getn, port, 1, 1, bad)


def test_getn(port: ep.Port, pipe: Pipe) -> None:
    """S-368."""
    assert ep.port_getn(port, 8, 0) == ([], 0)
    for n in range(5):
        ep.port_send(port, n)
    events, count = ep.port_getn(port, 2)
    assert count == 2
    assert [event.portev_events for event in events] == [0, 1]
    events, count = ep.port_getn(port, 8, 3)
    assert [event.portev_events for event in events] == [2, 3, 4]
    refused(errno.EINVAL, ep.port_getn, port, 2, 3, 0)
    refused(errno.EINVAL, ep.port_getn, port, -1)
    nothing(port)


def test_getn_waits_for_enough(port: ep.Port) -> None:
    ep.port_send(port, 1)
    timer = threading.Timer(0.02, ep.port_send, (port, 2))
    timer.start()
    events, _ = ep.port_getn(port, 8, 2, SOON)
    timer.join()
    assert [event.portev_events for event in events] == [1, 2]


def test_getn_has_some_when_the_time_is_up(port: ep.Port) -> None:
    """S-368: ETIME and events."""
    ep.port_send(port, 1)
    error = refused(errno.ETIME, ep.port_getn, port, 8, 2, 0.01)
    assert isinstance(error, ep.TimeExpired)
    assert [event.portev_events for event in error.events] == [1]
    nothing(port)


def test_how_many_there_are(port: ep.Port, socketpair: Pair, tmp_path: Path) -> None:
    """S-368: max 0.  They are there afterwards, and can be dissociated (S-363)."""
    assert ep.port_getn(port, 0) == ([], 0)
    obj = ep.file_obj(tmp_path, 1, 1, 1)
    ep.port_associate(port, FD, socketpair.a, OUT | IN, "fd")
    ep.port_associate(port, FILE, obj, ep.FILE_MODIFIED, "file")
    ep.port_send(port, 7)
    ep.port_send(port, 8)
    for _ in range(3):
        assert ep.port_getn(port, 0) == ([], 4)
    ep.port_dissociate(port, FILE, obj)
    assert ep.port_getn(port, 0) == ([], 3)
    events, count = ep.port_getn(port, 9, 3, SOON)
    assert count == 3
    assert [e.portev_events for e in events if e.portev_source == USER] == [7, 8]
    assert [e[:] for e in events if e.portev_source == FD] == [(OUT, FD, socketpair.fd_a, "fd")]
    nothing(port)


def test_a_handler_that_raises_loses_nothing(port: ep.Port, pipe: Pipe) -> None:
    """What a getn() has when it is interrupted is there for the next."""

    def handler(*_: Any) -> None:
        raise KeyError

    pipe.write(b"x")
    ep.port_associate(port, FD, pipe.r, IN)
    ep.port_send(port, 1)
    ep.port_send(port, 2)
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(KeyError), alarm_in_the_wait():
            ep.port_getn(port, 9, 9, SOON)
    finally:
        signal.signal(signal.SIGALRM, before)
    events, count = ep.port_getn(port, 9, 3, SOON)
    assert count == 3
    assert [e.portev_events for e in events if e.portev_source == USER] == [1, 2]


def test_sent(port: ep.Port) -> None:
    """S-369, S-375: in order, none merged."""
    for _ in range(2):
        for n in (1, 1, 2):
            ep.port_send(port, n, "me")
        assert readable(port, SOON)
        assert [ep.port_get(port, SOON) for _ in range(3)] == [(n, USER, None, "me") for n in (1, 1, 2)]
        nothing(port)


def test_too_many_sent(port: ep.Port) -> None:
    """S-369."""
    for _ in range(ep.MAX_EVENTS):
        ep.port_send(port, 1)
    assert "retrieve" in str(refused(errno.EAGAIN, ep.port_send, port, 1))
    assert ep.port_getn(port, ep.MAX_EVENTS, ep.MAX_EVENTS)[1] == ep.MAX_EVENTS
    nothing(port)


def test_sendn(port: ep.Port, engine: str) -> None:
    """S-369: an errno for each."""
    closed = ep.port_create(engine=engine)
    closed.close()
    assert ep.port_sendn([port, closed, port], 3, "all") == [0, errno.EBADF, 0]
    assert ep.port_getn(port, 9, 2)[0] == [(3, USER, None, "all")] * 2


def test_a_signal_handler_sends(port: ep.Port) -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: ep.port_send(port, 5))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert ep.port_get(port, SOON).portev_events == 5
    finally:
        signal.signal(signal.SIGALRM, before)


def test_alert_mode(port: ep.Port, pipe: Pipe) -> None:
    """S-370."""
    pipe.write(b"x")
    ep.port_associate(port, FD, pipe.r, IN)
    ep.port_send(port, 1)
    ep.port_alert(port, ep.PORT_ALERT_SET, 4, "fire")
    for _ in range(3):
        assert ep.port_get(port, SOON) == (4, ALERT, None, "fire")
        assert ep.port_getn(port, 9, 5, SOON) == ([(4, ALERT, None, "fire")], 1)
    refused(errno.EBUSY, ep.port_alert, port, ep.PORT_ALERT_SET, 5)
    ep.port_alert(port, ep.PORT_ALERT_UPDATE, 6)
    assert ep.port_get(port, SOON)[:2] == (6, ALERT)
    refused(errno.EINVAL, ep.port_alert, port, ep.PORT_ALERT_INVALID, 5)
    refused(errno.EINVAL, ep.port_alert, port, 0, 5)
    ep.port_alert(port, ep.PORT_ALERT_SET, 0)
    events, _ = ep.port_getn(port, 9, 2, SOON)
    assert {event.portev_source for event in events} == {FD, USER}
    nothing(port)
    ep.port_alert(port, ep.PORT_ALERT_SET, 1)
    assert readable(port, SOON)
    ep.port_alert(port, ep.PORT_ALERT_UPDATE, 0)
    nothing(port)


def test_each_event_to_one_thread(port: ep.Port) -> None:
    """S-374."""
    getters = Getters(port, 4)
    for n in range(1, 401):
        ep.port_send(port, n)
    for _ in range(4):
        ep.port_send(port, 0)
    got = getters.join()
    assert sorted(event.portev_events for event in got) == [0] * 4 + list(range(1, 401))
    for each in getters.got:
        numbers = [event.portev_events for event in each[:-1]]
        assert numbers == sorted(numbers)


def test_an_alert_is_everybodys(port: ep.Port) -> None:
    """S-370: whoever waits and whoever comes."""
    getters = Getters(port, 3)
    ep.port_alert(port, ep.PORT_ALERT_SET, 9)
    assert [event[:2] for event in getters.join()] == [(9, ALERT)] * 3


def test_close_under_waiters(port: ep.Port) -> None:
    """S-374."""
    getters = Getters(port, 3)
    port.close()
    assert getters.join() == [errno.EBADF] * 3
    assert port.closed
    for call in (ep.port_get, ep.port_getn):
        refused(errno.EBADF, call, port, 1)
    refused(errno.EBADF, ep.port_send, port, 1)
    refused(errno.EBADF, port.fileno)
    assert "closed" in repr(port)


def test_associated_while_another_thread_waits(port: ep.Port, pipe: Pipe) -> None:
    getters = Getters(port, 1)
    pipe.write(b"x")
    ep.port_associate(port, FD, pipe.r, IN)
    ep.port_send(port, 0)
    got = getters.join()
    assert {event.portev_source for event in got} <= {FD, USER}
    if len(got) == 1:  # the user's event was first
        got.append(ep.port_get(port, SOON))
    assert {event.portev_source for event in got} == {FD, USER}
