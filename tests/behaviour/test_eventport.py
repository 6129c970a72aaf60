"""knote.eventport: Solaris' event ports (spec 5.2, S-360 ... S-376)."""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import knote
from knote import eventport as ep
from tests.support.plumbing import Pair, Pipe
from tests.support.waiting import SOON

IN, OUT, PRI = select.POLLIN, select.POLLOUT, select.POLLPRI
ERR, HUP = select.POLLERR, select.POLLHUP
FD, FILE, USER, ALERT = ep.PORT_SOURCE_FD, ep.PORT_SOURCE_FILE, ep.PORT_SOURCE_USER, ep.PORT_SOURCE_ALERT


@pytest.fixture
def port(engine: str) -> Iterator[ep.Port]:
    """An empty port."""
    with ep.port_create(engine=engine) as made:
        yield made


def refused(number: int, call: Callable[..., Any], *arguments: Any) -> OSError:
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno == number
    return caught.value


def nothing(port: ep.Port) -> None:
    """There is nothing to retrieve, and nobody is told that there is."""
    refused(errno.ETIME, ep.port_get, port, 0)
    assert not select.select([port], [], [], 0)[0]


# ---- descriptors -------------------------------------------------------------------------------


def test_the_descriptor(port: ep.Port, pipe: Pipe) -> None:
    """S-360: polls readable while events wait; close-on-exec, as Python's are."""
    assert not os.get_inheritable(port.fileno())
    assert port.kqueue.fileno() == port.fileno()
    nothing(port)
    ep.port_associate(port, FD, pipe.r, IN)
    nothing(port)
    pipe.write(b"x")
    assert select.select([port], [], [], SOON)[0]
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
    assert select.select([port], [], [], SOON)[0]
    os.read(pipe.r, 1)
    nothing(port)
    pipe.write(b"y")
    assert ep.port_get(port, SOON)[:3] == (IN, FD, pipe.r)


def test_dissociate_takes_the_event_too(port: ep.Port, pipe: Pipe) -> None:
    """S-363, S-366."""
    pipe.write(b"x")
    ep.port_associate(port, FD, pipe.r, IN)
    assert select.select([port], [], [], SOON)[0]
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
        refused(errno.EBADF, ep.port_associate, port, FD, bad, IN)
    refused(errno.EINVAL, ep.port_associate, port, FD, pipe.r, 1 << 16)
    for source in (USER, ALERT, ep.PORT_SOURCE_TIMER, ep.PORT_SOURCE_AIO, ep.PORT_SOURCE_MQ, 0):
        refused(errno.EINVAL, ep.port_associate, port, source, pipe.r, IN)
        refused(errno.EINVAL, ep.port_dissociate, port, source, pipe.r)
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


# ---- retrieving --------------------------------------------------------------------------------


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
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        with pytest.raises(KeyError):
            ep.port_getn(port, 9, 9, SOON)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    events, count = ep.port_getn(port, 9, 3, SOON)
    assert count == 3
    assert [e.portev_events for e in events if e.portev_source == USER] == [1, 2]


# ---- users' events and alerts ------------------------------------------------------------------


def test_sent(port: ep.Port) -> None:
    """S-369, S-375: in order, none merged."""
    for _ in range(2):
        for n in (1, 1, 2):
            ep.port_send(port, n, "me")
        assert select.select([port], [], [], SOON)[0]
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
    assert select.select([port], [], [], SOON)[0]
    ep.port_alert(port, ep.PORT_ALERT_UPDATE, 0)
    nothing(port)


class Getters:
    """Threads that retrieve until they get events 0."""

    def __init__(self, port: ep.Port, count: int) -> None:
        self.got: list[list[Any]] = [[] for _ in range(count)]
        self.threads = [threading.Thread(target=self.run, args=(port, got)) for got in self.got]
        for thread in self.threads:
            thread.start()

    def run(self, port: ep.Port, got: list[Any]) -> None:
        try:
            while True:
                event = ep.port_get(port, SOON)
                got.append(event)
                if event.portev_source == ALERT or not event.portev_events:
                    break
        except OSError as error:
            got.append(error.errno)

    def join(self) -> list[Any]:
        for thread in self.threads:
            thread.join(SOON)
            assert not thread.is_alive()
        return [each for got in self.got for each in got]


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


# ---- files -------------------------------------------------------------------------------------


def told(port: ep.Port, path: Path, events: int, change: Callable[[], Any]) -> int:
    """What an association of the path tells of a change."""
    now = path.stat()
    obj = ep.file_obj(path, now.st_atime_ns, now.st_mtime_ns, now.st_ctime_ns)
    ep.port_associate(port, FILE, obj, events, "user")
    refused(errno.ETIME, ep.port_get, port, 0)
    change()
    event = ep.port_get(port, SOON)
    assert event[1:] == (FILE, obj, "user")
    refused(errno.ENOENT, ep.port_dissociate, port, FILE, obj)
    nothing(port)
    return event.portev_events


def test_what_files_tell(port: ep.Port, tmp_path: Path) -> None:
    """S-371."""
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert told(port, path, ep.FILE_MODIFIED, lambda: path.write_bytes(b"abcd")) & ep.FILE_MODIFIED
    assert told(port, path, ep.FILE_ATTRIB, lambda: path.chmod(0o600)) == ep.FILE_ATTRIB
    assert told(port, path, ep.FILE_MODIFIED, lambda: path.rename(tmp_path / "to")) == ep.FILE_RENAME_FROM
    assert told(port, tmp_path / "to", 0, (tmp_path / "to").unlink) & ep.FILE_DELETE
    assert told(port, tmp_path, ep.FILE_MODIFIED, path.touch) & ep.FILE_MODIFIED
    path.write_bytes(b"abc")
    assert told(port, path, ep.FILE_ACCESS, path.read_bytes) == ep.FILE_ACCESS


@pytest.mark.parametrize("name, bit", [("fo_atime", "ACCESS"), ("fo_mtime", "MODIFIED"), ("fo_ctime", "ATTRIB")])
def test_changed_before(port: ep.Port, tmp_path: Path, name: str, bit: str) -> None:
    """S-371: a time that differs at port_associate()."""
    now = tmp_path.stat()
    obj = ep.file_obj(tmp_path, now.st_atime_ns, now.st_mtime_ns, now.st_ctime_ns)
    setattr(obj, name, getattr(obj, name) - 1)
    asked = ep.FILE_ACCESS | ep.FILE_MODIFIED | ep.FILE_ATTRIB
    ep.port_associate(port, FILE, obj, asked)
    assert ep.port_get(port, SOON)[:3] == (getattr(ep, f"FILE_{bit}"), FILE, obj)
    ep.port_associate(port, FILE, obj, asked)
    assert select.select([port], [], [], SOON)[0]
    ep.port_dissociate(port, FILE, obj)
    refused(errno.ETIME, ep.port_get, port, 0)


def test_file_objects(port: ep.Port, tmp_path: Path) -> None:
    """S-371: the object is what is associated, twice the same name are two; ENOENT; links."""
    one, two = ep.file_obj(tmp_path), ep.file_obj(str(tmp_path))
    ep.port_associate(port, FILE, one, ep.FILE_MODIFIED, 1)
    ep.port_associate(port, FILE, two, ep.FILE_MODIFIED, "replaced")
    ep.port_associate(port, FILE, two, ep.FILE_MODIFIED, 2)
    (tmp_path / "new").touch()
    assert {event.portev_user for event in ep.port_getn(port, 9, 2, SOON)[0]} == {1, 2}
    nothing(port)
    refused(errno.ENOENT, ep.port_associate, port, FILE, ep.file_obj(tmp_path / "none"), ep.FILE_MODIFIED)
    refused(errno.EINVAL, ep.port_associate, port, FILE, one, 0x8)
    with pytest.raises(TypeError):
        ep.port_associate(port, FILE, tmp_path, ep.FILE_MODIFIED)
    link, target = tmp_path / "link", tmp_path / "new"
    link.symlink_to(target)
    ep.port_associate(port, FILE, ep.file_obj(link), ep.FILE_ATTRIB | ep.FILE_NOFOLLOW, "link")
    ep.port_associate(port, FILE, ep.file_obj(link), ep.FILE_ATTRIB, "target")
    target.chmod(0o600)
    assert ep.port_get(port, SOON).portev_user == "target"
    nothing(port)


# ---- timers ------------------------------------------------------------------------------------


def test_timers(port: ep.Port) -> None:
    """S-372."""
    timer = ep.timer_create(port, time.CLOCK_MONOTONIC, "tick")
    assert timer.gettime() == (0, 0)
    timer.settime(0.01)
    assert ep.port_get(port, SOON) == (1, ep.PORT_SOURCE_TIMER, timer, "tick")
    assert timer.gettime() == (0, 0)
    nothing(port)
    timer.settime(100, 7)
    left, interval = timer.gettime()
    assert 99 < left <= 100
    assert interval == 7
    timer.settime(0)
    nothing(port)
    for clock in (time.CLOCK_MONOTONIC, time.CLOCK_REALTIME):
        other = ep.timer_create(port, clock)
        other.settime(time.clock_gettime(clock) + 0.01, absolute=True)
        assert ep.port_get(port, SOON)[:3] == (1, ep.PORT_SOURCE_TIMER, other)
    refused(errno.EINVAL, timer.settime, -1)
    refused(errno.EINVAL, ep.timer_create, port, 99)
    timer.delete()
    refused(errno.EINVAL, timer.settime, 1)


def test_expirations_add_up(port: ep.Port) -> None:
    """S-372: what nobody retrieved is in the count."""
    timer = ep.timer_create(port, time.CLOCK_MONOTONIC)
    began = time.monotonic()
    timer.settime(0.01, 0.01)
    while time.monotonic() < began + 0.05:
        assert select.select([port], [], [], SOON)[0]
    count = ep.port_get(port, SOON).portev_events
    assert 5 <= count <= (time.monotonic() - began) / 0.01
    assert ep.port_get(port, SOON).portev_events >= 1
    timer.delete()
    nothing(port)


# ---- programs ----------------------------------------------------------------------------------


class Loop:
    """The cycle of nginx's event-port module and of libev's ev_port: what is retrieved is associated again for
    what is wanted now, a batch at a time."""

    def __init__(self, port: ep.Port) -> None:
        self.port = port
        self.wanted: dict[int, tuple[int, Callable[[int], None]]] = {}

    def want(self, fd: int, events: int, call: Callable[[int], None]) -> None:
        self.wanted[fd] = events, call
        ep.port_associate(self.port, FD, fd, events, call)

    def forget(self, fd: int) -> None:
        del self.wanted[fd]
        try:
            ep.port_dissociate(self.port, FD, fd)
        except FileNotFoundError:
            pass

    def run(self) -> None:
        while True:
            events, _ = ep.port_getn(self.port, 10, 1, SOON)
            for event in events:
                if event.portev_source == USER:
                    return
                event.portev_user(event.portev_events)
                if event.portev_object in self.wanted:
                    self.want(event.portev_object, *self.wanted[event.portev_object])


class Echo:
    """One connection."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self.loop, self.sock, self.data = loop, sock, b""
        sock.setblocking(False)
        loop.want(sock.fileno(), IN, self.ready)

    def ready(self, events: int) -> None:
        fd = self.sock.fileno()
        if events & OUT:
            self.data = self.data[self.sock.send(self.data) :]
        else:
            self.data = self.sock.recv(65536)
            if not self.data:
                self.loop.forget(fd)
                self.sock.close()
                return
        self.loop.wanted[fd] = OUT if self.data else IN, self.ready


def test_an_echo_server(port: ep.Port, tcp_listener: socket.socket) -> None:
    loop = Loop(port)

    def accept(_: int) -> None:
        Echo(loop, tcp_listener.accept()[0])

    loop.want(tcp_listener.fileno(), IN, accept)
    server = threading.Thread(target=loop.run)
    server.start()
    message = os.urandom(300_000)
    try:
        clients = [socket.create_connection(tcp_listener.getsockname(), SOON) for _ in range(5)]
        for client in clients:
            got = b""
            sender = threading.Thread(target=client.sendall, args=(message,))
            sender.start()
            while len(got) < len(message):
                got += client.recv(65536)
            sender.join()
            assert got == message
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
            client.close()
    finally:
        ep.port_send(port, 0)
        server.join()
    assert list(loop.wanted) == [tcp_listener.fileno()]


def test_names() -> None:
    """Solaris' numbers; every name is the module's."""
    assert all(hasattr(ep, name) for name in ep.__all__)
    assert knote.eventport is ep
    assert (ep.PORT_SOURCE_AIO, ep.PORT_SOURCE_FILE, ep.FILE_TRUNC, ep.UNMOUNTED) == (1, 7, 0x100000, 0x20000000)
