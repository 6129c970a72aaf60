"""/dev/poll and event ports where the system has a kqueue, as far as tests/dropin/fake_bsd.py can be one."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dropin import fake_bsd
from tests.support.plumbing import Pair, Pipe
from tests.support.waiting import SOON

IN, OUT, HUP, NVAL = select.POLLIN, select.POLLOUT, select.POLLHUP, select.POLLNVAL


@pytest.fixture(params=sorted(fake_bsd.FILTERS))
def module(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Any]]:
    """Imports an interface as on each system in turn."""
    with fake_bsd.interfaces(request.param) as imported:
        yield imported


@pytest.fixture
def ep(module: Callable[[str], Any]) -> Any:
    return module("knote.interfaces.eventport")


@pytest.fixture
def port(ep: Any) -> Iterator[Any]:
    with ep.port_create() as made:
        assert type(made.kqueue).__module__ == "knote.native"
        yield made


def expired(ep: Any, port: Any) -> None:
    with pytest.raises(ep.TimeExpired):
        ep.port_get(port, 0)


# ---- event ports -------------------------------------------------------------------------------


def test_descriptors(ep: Any, port: Any, socketpair: Pair) -> None:
    fd = ep.PORT_SOURCE_FD
    for _ in range(3):
        ep.port_associate(port, fd, socketpair.a, IN, "me")
        expired(ep, port)
        socketpair.b.send(b"x")
        assert ep.port_get(port, SOON) == (IN, fd, socketpair.fd_a, "me")
        ep.port_associate(port, fd, socketpair.a, IN | OUT)
        assert ep.port_get(port, SOON)[:3] == (IN | OUT, fd, socketpair.fd_a)
        assert socketpair.a.recv(9) == b"x"
        expired(ep, port)
    ep.port_associate(port, fd, socketpair.a, 0)
    socketpair.b.close()
    assert ep.port_get(port, SOON)[:3] == (HUP, fd, socketpair.fd_a)


def test_no_longer_so_and_dissociated(ep: Any, port: Any, pipe: Pipe, tmp_path: Path) -> None:
    fd = ep.PORT_SOURCE_FD
    pipe.write(b"x")
    ep.port_associate(port, fd, pipe.r, IN)
    os.read(pipe.r, 1)
    expired(ep, port)
    pipe.write(b"x")
    assert ep.port_get(port, SOON)[:3] == (IN, fd, pipe.r)
    ep.port_associate(port, fd, pipe.r, IN)
    ep.port_dissociate(port, fd, pipe.r)
    expired(ep, port)
    directory = os.open(tmp_path, os.O_RDONLY)
    ep.port_associate(port, fd, directory, IN)
    assert ep.port_get(port, SOON)[:3] == (IN, fd, directory)
    os.close(directory)
    with pytest.raises(OSError) as caught:
        ep.port_associate(port, fd, directory, IN)
    assert caught.value.errno == errno.EBADFD


def test_out_of_band(ep: Any, port: Any, tcp_pair: Pair) -> None:
    """Where there is EVFILT_EXCEPT; elsewhere it wakes nobody, and is seen beside something else."""
    mask = select.POLLPRI | IN
    ep.port_associate(port, ep.PORT_SOURCE_FD, tcp_pair.a, mask)
    tcp_pair.b.send(b"x!", socket.MSG_OOB)
    assert ep.port_get(port, SOON).portev_events & mask


def test_files(ep: Any, port: Any, tmp_path: Path) -> None:
    ep.port_associate(port, ep.PORT_SOURCE_FILE, obj := ep.file_obj(tmp_path), ep.FILE_MODIFIED, "directory")
    expired(ep, port)
    (tmp_path / "new").touch()
    event = ep.port_get(port, SOON)
    assert event[1:] == (ep.PORT_SOURCE_FILE, obj, "directory")
    assert event.portev_events & ep.FILE_MODIFIED


@pytest.mark.parametrize("clock", [time.CLOCK_MONOTONIC, time.CLOCK_REALTIME])
@pytest.mark.parametrize("absolute", [False, True])
def test_timers(ep: Any, port: Any, clock: int, absolute: bool) -> None:
    timer = ep.timer_create(port, clock, "tick")
    start = time.monotonic()
    timer.settime(0.02 + absolute * time.clock_gettime(clock), 0, absolute=absolute)
    assert ep.port_get(port, SOON) == (1, ep.PORT_SOURCE_TIMER, timer, "tick")
    assert 0.015 < time.monotonic() - start < SOON / 2
    expired(ep, port)


def test_sent_and_alerted(ep: Any, port: Any) -> None:
    for n in range(3):
        ep.port_send(port, n, "me")
    assert ep.port_getn(port, 0) == ([], 3)
    ep.port_alert(port, ep.PORT_ALERT_SET, 9)
    assert ep.port_get(port)[:2] == (9, ep.PORT_SOURCE_ALERT)
    ep.port_alert(port, ep.PORT_ALERT_SET, 0)
    assert [event.portev_events for event in ep.port_getn(port, 9, 3, SOON)[0]] == [0, 1, 2]
    expired(ep, port)


def test_requests_are_not_there(ep: Any, port: Any, pipe: Pipe) -> None:
    with pytest.raises(OSError, match="Linux only") as caught:
        ep.aio_read(port, pipe.r, 10)
    assert caught.value.errno == errno.ENOSYS


# ---- /dev/poll ---------------------------------------------------------------------------------


def test_devpoll(module: Callable[[str], Any], socketpair: Pair, pipe: Pipe, tmp_path: Path) -> None:
    device = module("knote.interfaces.devpoll").devpoll()
    device.register(socketpair.a, IN)
    assert device.poll(0) == []
    socketpair.b.send(b"x")
    for _ in range(2):
        assert device.poll() == [(socketpair.fd_a, IN)]
    device.register(socketpair.a, OUT)
    assert device.poll(0) == [(socketpair.fd_a, IN | OUT)]
    device.modify(socketpair.a, 0)
    assert device.poll(0) == []
    socketpair.b.close()
    assert device.poll(int(SOON * 1000)) == [(socketpair.fd_a, HUP)]
    device.unregister(socketpair.a)
    with open(tmp_path / "file", "wb") as file:
        device.register(file, OUT)
        assert device.poll() == [(file.fileno(), OUT)]
        device.unregister(file)
    device.register(pipe.r, IN)
    assert device.poll(0) == []
    number = pipe.r
    pipe.close_r()
    assert device.poll() == [(number, NVAL)]
    device.close()
