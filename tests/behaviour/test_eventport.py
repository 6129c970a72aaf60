"""knote.eventport: descriptors as sources (spec 5.2, S-360 ... S-376)."""

from __future__ import annotations

import errno
import gc
import os
import select
import socket
import weakref
from pathlib import Path

import pytest

import knote
from knote import eventport as ep
from tests.behaviour.ports import (
    AIO,
    ALERT,
    FD,
    HUP,
    IN,
    MQ,
    OUT,
    PRI,
    TIMER,
    USER,
    nothing,
    port,
    readable,
    refused,
)
from tests.support.plumbing import Pair, Pipe
from tests.support.waiting import SOON

__all__ = ["port"]


def test_the_descriptor(port: ep.Port, pipe: Pipe) -> None:
    """S-360: polls readable while events wait; close-on-exec, as Python's are."""
    assert not os.get_inheritable(port.fileno())
    assert port.kqueue.fileno() == port.fileno()
    nothing(port)
    ep.port_associate(port, FD, pipe.r, IN)
    nothing(port)
    pipe.write(b"x")
    assert readable(port, SOON)
    assert ep.port_get(port, 0).portev_object == pipe.r


def test_once(port: ep.Port, pipe: Pipe) -> None:
    """S-362: one-shot; true already, it is an event at once."""
    user = object()
    pipe.write(b"x")
    for _ in range(3):
        ep.port_associate(port, FD, pipe.r, IN, user)
        assert ep.port_get(port, SOON) == (IN, FD, pipe.r, user)
        nothing(port)
    refused(errno.ENOENT, ep.port_dissociate, port, FD, pipe.r)


def test_a_reader_then_a_writer(port: ep.Port, socketpair: Pair) -> None:
    """The order of a server: each association has only its own bits."""
    for _ in range(3):
        ep.port_associate(port, FD, socketpair.a, IN)
        nothing(port)
        socketpair.b.send(b"x")
        assert ep.port_get(port, SOON)[:3] == (IN, FD, socketpair.fd_a)
        ep.port_associate(port, FD, socketpair.a, OUT)
        assert ep.port_get(port, SOON)[:3] == (OUT, FD, socketpair.fd_a)
        assert socketpair.a.recv(9) == b"x"
        nothing(port)


def test_again_replaces(port: ep.Port, socketpair: Pair) -> None:
    """S-361: events and user."""
    ep.port_associate(port, FD, socketpair.a, OUT, "old")
    ep.port_associate(port, FD, socketpair.a, IN, "new")
    nothing(port)
    socketpair.b.send(b"x")
    assert ep.port_get(port, SOON) == (IN, FD, socketpair.fd_a, "new")


@pytest.mark.parametrize("mask", [IN | OUT, IN | OUT | PRI, IN | PRI])
def test_several_directions_are_one_event(port: ep.Port, tcp_pair: Pair, mask: int) -> None:
    """S-375."""
    tcp_pair.b.send(b"x")
    for _ in range(2):
        ep.port_associate(port, FD, tcp_pair.a, mask)
        if not mask & OUT:
            assert select.select([tcp_pair.a], [], [], SOON)[0]
        event = ep.port_get(port, SOON)
        assert event.portev_events & mask
        assert event.portev_object == tcp_pair.a.fileno()
        nothing(port)


def test_out_of_band(port: ep.Port, tcp_pair: Pair) -> None:
    """S-361: the bits are poll(2)'s."""
    ep.port_associate(port, FD, tcp_pair.a, PRI)
    tcp_pair.b.send(b"!", socket.MSG_OOB)
    assert ep.port_get(port, SOON).portev_events & PRI


@pytest.mark.parametrize("mask", [0, IN, OUT])
def test_hang_up_is_unasked(port: ep.Port, socketpair: Pair, mask: int) -> None:
    ep.port_associate(port, FD, socketpair.a, mask)
    if not mask & OUT:
        nothing(port)
    socketpair.b.close()
    assert ep.port_get(port, SOON).portev_events == HUP | mask
    nothing(port)
    ep.port_associate(port, FD, socketpair.a, mask)
    assert ep.port_get(port, SOON).portev_events == HUP | mask


def test_only_hang_up_is_asked(port: ep.Port, socketpair: Pair) -> None:
    """Data does not end an association for nothing."""
    ep.port_associate(port, FD, socketpair.a, 0)
    socketpair.b.send(b"x")
    refused(errno.ETIME, ep.port_get, port, 0)
    ep.port_dissociate(port, FD, socketpair.a)
    ep.port_associate(port, FD, socketpair.a, IN)
    assert ep.port_get(port, SOON).portev_events == IN


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_files_and_directories_are_always_ready(port: ep.Port, tmp_path: Path, kind: str) -> None:
    path = tmp_path
    if kind == "file":
        path = tmp_path / "empty"
        path.touch()
    fd = os.open(path, os.O_RDONLY)
    try:
        for _ in range(2):
            for mask in (IN, IN | OUT):
                ep.port_associate(port, FD, fd, mask)
                assert ep.port_get(port, SOON)[:3] == (mask, FD, fd)
                nothing(port)
    finally:
        os.close(fd)


def test_no_longer_so(port: ep.Port, pipe: Pipe) -> None:
    """S-363: asked again at retrieval; the association stays."""
    ep.port_associate(port, FD, pipe.r, IN)
    pipe.write(b"x")
    assert readable(port, SOON)
    os.read(pipe.r, 1)
    nothing(port)
    pipe.write(b"y")
    assert ep.port_get(port, SOON)[:3] == (IN, FD, pipe.r)


def test_dissociate_takes_the_event_too(port: ep.Port, pipe: Pipe) -> None:
    """S-363, S-366."""
    pipe.write(b"x")
    ep.port_associate(port, FD, pipe.r, IN)
    assert readable(port, SOON)
    ep.port_dissociate(port, FD, pipe.r)
    nothing(port)
    refused(errno.ENOENT, ep.port_dissociate, port, FD, pipe.r)


def test_closed_numbers(port: ep.Port, pipe: Pipe) -> None:
    """S-364: closing dissociates; who has the number next has no association."""
    pipe.write(b"x")
    r = os.dup(pipe.r)
    ep.port_associate(port, FD, r, IN)
    os.close(r)
    nothing(port)
    assert os.dup(pipe.r) == r
    try:
        nothing(port)
        refused(errno.ENOENT, ep.port_dissociate, port, FD, r)
        ep.port_associate(port, FD, r, IN, "anew")
        assert ep.port_get(port, SOON) == (IN, FD, r, "anew")
    finally:
        os.close(r)


def test_refusals(port: ep.Port, pipe: Pipe) -> None:
    """S-365."""
    closed = os.dup(pipe.r)
    os.close(closed)
    for bad in (closed, -1):
        refused(errno.EBADFD, ep.port_associate, port, FD, bad, IN)
    refused(errno.EINVAL, ep.port_associate, port, FD, pipe.r, 1 << 16)
    for source in (USER, ALERT, TIMER, AIO, MQ, 0):
        refused(errno.EINVAL, ep.port_associate, port, source, pipe.r, IN)
        refused(errno.EINVAL, ep.port_dissociate, port, source, pipe.r)
    assert "by timer_create()" in str(refused(errno.EINVAL, ep.port_associate, port, TIMER, pipe.r, IN))
    with pytest.raises(TypeError, match="got str"):
        ep.port_associate(port, FD, "a pipe", IN)
    refused(errno.EBADFD, ep.port_get, pipe.r, 0)
    nothing(port)


def test_the_user_is_let_go(port: ep.Port, pipe: Pipe) -> None:
    class Thing: ...

    thing = Thing()
    gone = weakref.ref(thing)
    pipe.write(b"x")
    ep.port_associate(port, FD, pipe.r, IN, thing)
    assert ep.port_get(port, SOON).portev_user is thing
    del thing
    gc.collect()
    assert gone() is None


def test_a_forked_child(port: ep.Port, pipe: Pipe) -> None:
    """S-360, S-365: EACCES, and the parent's associations are as they were."""
    ep.port_associate(port, FD, pipe.r, IN)
    child = os.fork()
    if not child:
        code = 1
        try:
            for call in (
                lambda: ep.port_get(port, 0),
                lambda: ep.port_associate(port, FD, pipe.w, OUT),
                lambda: ep.port_dissociate(port, FD, pipe.r),
                lambda: ep.port_send(port, 1),
                lambda: ep.port_alert(port, ep.PORT_ALERT_SET, 1),
            ):
                refused(errno.EACCES, call)
            port.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    pipe.write(b"x")
    assert ep.port_get(port, SOON)[:3] == (IN, FD, pipe.r)


def test_names() -> None:
    """Solaris' numbers; every name is the module's."""
    assert all(hasattr(ep, name) for name in ep.__all__)
    assert knote.eventport is ep
    assert (ep.PORT_SOURCE_AIO, ep.PORT_SOURCE_FILE, ep.FILE_TRUNC, ep.UNMOUNTED) == (1, 7, 0x100000, 0x20000000)
