"""knote.eventport: asynchronous requests and message queues as sources (S-373)."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from knote import aio
from knote import eventport as ep
from tests.behaviour.ports import AIO, FD, IN, MQ, OUT, USER, nothing, port, readable, refused
from tests.behaviour.requests import backend
from tests.support.plumbing import Pair, Pipe
from tests.support.waiting import SOON, wait_until

__all__ = ["backend", "port"]

DATA = bytes(range(256)) * 16
LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """The descriptor of a file that holds DATA, for reading and writing."""
    path = tmp_path / "data"
    path.write_bytes(DATA)
    fd = os.open(path, os.O_RDWR)
    yield fd
    os.close(fd)


# ---- requests ----------------------------------------------------------------------------------


def test_each_verb(port: ep.Port, backend: str, file: int, socketpair: Pair) -> None:
    """portev_events is what was carried out, portev_object the request, portev_user the program's."""
    user = object()
    made = [
        ("read", ep.aio_read(port, file, 100, 50, user), ep.AIOAREAD, 100),
        ("write", ep.aio_write(port, file, b"new", 0, user), ep.AIOAWRITE, 3),
        ("fsync", ep.aio_fsync(port, file, user), ep.AIOFSYNC, 0),
    ]
    for request in (aio.Request.send(socketpair.a, b"hello"), aio.Request.fdatasync(file)):
        ep.aio_submit(port, [request])
        made.append((request.op_name, request, ep.AIOAWRITE if request.op_name == "send" else ep.AIOFSYNC, None))
    events, count = ep.port_getn(port, 9, len(made), SOON)
    assert count == len(made)
    by_request = {id(event.portev_object): event for event in events}
    for _, request, op, result in made:
        event = by_request[id(request)]
        assert event[:2] == (op, AIO)
        assert event.portev_user is (user if result is not None else None)
        assert request.result() == (result if result is not None else request.result())
    assert made[0][1].buffer == DATA[50:150]
    assert os.pread(file, 3, 0) == b"new"
    nothing(port)


def test_udata_is_the_users(port: ep.Port, backend: str, file: int) -> None:
    """portnfy_user is the request's udata, which stays as it was; a request can be submitted again."""
    request = aio.Request.read(file, 10, udata="mine")
    for offset in (0, 10):
        request.offset = offset
        ep.aio_submit(port, [request])
        assert request.udata == "mine"
        assert ep.port_get(port, SOON) == (ep.AIOAREAD, AIO, request, "mine")
        assert request.buffer == DATA[offset : offset + 10]
    nothing(port)


def test_errors_are_in_the_request(port: ep.Port, backend: str, file: int) -> None:
    assert aio.backend(port.kqueue).name == backend  # which opens what it needs
    closed = os.dup(file)
    os.close(closed)
    request = ep.aio_read(port, closed, 10, 0, "user")
    event = ep.port_get(port, SOON)
    assert event == (ep.AIOAREAD, AIO, request, "user")
    assert event.portev_object.error() == errno.EBADF
    refused(errno.EBADF, request.result)


def test_cancelled(port: ep.Port, backend: str, pipe: Pipe) -> None:
    """aio_cancel(3C): its event comes all the same."""
    request = ep.aio_read(port, pipe.r, 10, 0, "user")
    refused(errno.ETIME, ep.port_get, port, 0)
    assert request.cancel() == aio.AIO_CANCELED
    assert ep.port_get(port, SOON).portev_object is request
    assert request.error() == errno.ECANCELED


def test_beside_the_other_sources(port: ep.Port, backend: str, file: int, socketpair: Pair) -> None:
    """One call for all; how many there are counts them, and leaves them."""
    ep.port_associate(port, FD, socketpair.a, OUT)
    ep.port_send(port, 7)
    request = ep.aio_read(port, file, 10)
    wait_until(lambda: request.done)
    for _ in range(2):
        assert ep.port_getn(port, 0) == ([], 3)
    events, _ = ep.port_getn(port, 9, 3, SOON)
    assert {event.portev_source for event in events} == {FD, USER, AIO}
    nothing(port)


def test_a_list_is_one_event(port: ep.Port, backend: str, file: int) -> None:
    """lio_listio(3C) with a sigevent."""
    requests = [aio.Request.read(file, 10, offset, udata=offset) for offset in (0, 100, 200)]
    listio = ep.lio_listio(port, requests, "all")
    assert ep.port_get(port, SOON) == (ep.AIOLIO, AIO, listio, "all")
    assert [bytes(request.buffer) for request in requests] == [DATA[n : n + 10] for n in (0, 100, 200)]
    assert [request.udata for request in requests] == [0, 100, 200]
    nothing(port)


def test_refused_requests(port: ep.Port, backend: str, pipe: Pipe) -> None:
    """Nothing has begun, and udata is the user's."""
    busy = ep.aio_read(port, pipe.r, 10, 0, "busy")
    fine = aio.Request.read(pipe.r, 10, udata="fine")
    with pytest.raises(ValueError, match="under way"):
        ep.aio_submit(port, [fine, busy])
    with pytest.raises(TypeError, match=r"aio\.Request"):
        ep.aio_submit(port, [fine, "read"])  # type: ignore[list-item]
    assert (fine.udata, busy.udata) == ("fine", "busy")
    refused(errno.EBADFD, ep.aio_read, pipe.r, pipe.r, 10)
    busy.cancel()
    assert ep.port_get(port, SOON).portev_user == "busy"
    nothing(port)
    port.close()
    refused(errno.EBADF, ep.aio_submit, port, [fine])
    refused(errno.EBADF, ep.lio_listio, port, [fine])


# ---- message queues ----------------------------------------------------------------------------


@pytest.fixture
def messages() -> Iterator[int]:
    """A message queue without a name."""
    name = f"/knote-port-{os.getpid()}".encode()
    attributes = (ctypes.c_long * 8)(0, 5, 16)
    mqd = LIBC.mq_open(name, os.O_CREAT | os.O_RDWR | os.O_NONBLOCK, 0o600, attributes)
    assert mqd >= 0, os.strerror(ctypes.get_errno())
    LIBC.mq_unlink(name)
    yield mqd
    os.close(mqd)


def send(mqd: int) -> None:
    assert LIBC.mq_send(mqd, b"hello", 5, 0) == 0


def receive(mqd: int) -> int:
    got: int = LIBC.mq_receive(mqd, ctypes.create_string_buffer(16), 16, None)
    return got


@pytest.mark.needs("mq_open")
def test_the_next_message(port: ep.Port, messages: int) -> None:
    """mq_notify(3C): once; what waits is no event."""
    for _ in range(2):
        ep.mq_notify(port, messages, "mail")
        nothing(port)
        send(messages)
        assert readable(port, SOON)
        assert ep.port_getn(port, 0) == ([], 1)
        assert ep.port_get(port, SOON) == (0, MQ, messages, "mail")
        send(messages)
        nothing(port)
    assert [receive(messages) for _ in range(5)] == [5, 5, 5, 5, -1]


@pytest.mark.needs("mq_open")
@pytest.mark.parametrize("when", ["before", "after", "counted", "retrieved"])
def test_no_more_of_it(port: ep.Port, messages: int, when: str) -> None:
    """mq_notify(3C) with NULL."""
    notice = ep.mq_notify(port, messages)
    if when != "before":
        send(messages)
    if when == "counted":
        assert ep.port_getn(port, 0) == ([], 1)
    if when == "retrieved":
        assert ep.port_get(port, SOON).portev_source == MQ
    assert notice.cancel() is (when != "retrieved")
    assert notice.cancel() is False
    refused(errno.ETIME, ep.port_get, port, 0)
    send(messages)
    nothing(port)


@pytest.mark.needs("mq_open")
def test_a_message_queue_as_a_descriptor(port: ep.Port, messages: int) -> None:
    """On Linux it is one, and both go together."""
    ep.port_associate(port, FD, messages, IN)
    ep.mq_notify(port, messages)
    send(messages)
    events, _ = ep.port_getn(port, 9, 2, SOON)
    assert {event[:3] for event in events} == {(IN, FD, messages), (0, MQ, messages)}
    nothing(port)


@pytest.mark.needs("mq_open")
@pytest.mark.parametrize("call", [ep.mq_notify, lambda port, mqd: ep.mq_notify(port, mqd).cancel()])
def test_refused_notices(port: ep.Port, messages: int, call: Callable[[ep.Port, int], object]) -> None:
    closed = os.dup(messages)
    os.close(closed)
    refused(errno.EBADF, call, port, closed)
    refused(errno.EBADF, call, port, -1)
    nothing(port)
    port.close()
    refused(errno.EBADF, call, port, messages)


@pytest.mark.needs("mq_open")
def test_a_port_that_is_closed_lets_go(port: ep.Port, messages: int) -> None:
    """The leak check sees what stays."""
    ep.mq_notify(port, messages)
    port.close()
