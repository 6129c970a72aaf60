"""knote.aio: what a request does, what its event says; the same by io_uring, POSIX AIO and threads."""

from __future__ import annotations

import array
import errno
import mmap
import os
from pathlib import Path
from typing import Any

import pytest

import knote
from knote import (
    EV_ADD,
    EV_DELETE,
    EV_DISABLE,
    EV_ENABLE,
    EV_EOF,
    EV_ONESHOT,
    EVFILT_AIO,
    EVFILT_LIO,
    aio,
    kevent,
)
from tests.behaviour.requests import backend, collect, only
from tests.behaviour.words import apply, idle, polls, ready, trigger, user
from tests.support.plumbing import Pipe
from tests.support.waiting import wait_until

__all__ = ["backend"]

DATA = bytes(range(256)) * 64


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """The descriptor of a file that holds DATA, for reading and writing."""
    path = tmp_path / "data"
    path.write_bytes(DATA)
    fd = os.open(path, os.O_RDWR)
    yield fd
    os.close(fd)


def test_a_read_and_its_event(kq: Any, backend: str, file: int) -> None:
    """S-165: ident, data and udata; one event, and the knote is gone with it."""
    request = aio.read(kq, file, 100, 50, udata="mine")
    event = only(kq)
    assert (event.ident, event.filter, event.data, event.fflags) == (request.ident, EVFILT_AIO, 100, 0)
    assert event.flags == EV_EOF | EV_ONESHOT
    assert event.udata == "mine"
    assert request.result() == 100 and request.buffer == DATA[50:150]
    assert request.done and request.error() == 0
    assert kq.knotes() == []
    idle(kq)


def test_without_udata_it_is_the_request(kq: Any, backend: str, file: int) -> None:
    request = aio.read(kq, file, 10)
    assert only(kq).udata is request


def test_short_at_the_end_and_nothing_behind_it(kq: Any, backend: str, file: int) -> None:
    aio.read(kq, file, 100, len(DATA) - 30)
    assert only(kq).data == 30
    aio.read(kq, file, 100, len(DATA))
    assert only(kq).data == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: bytearray(256),
        lambda: memoryview(bytearray(512))[128:384],
        lambda: array.array("I", bytes(256)),
        lambda: mmap.mmap(-1, 256),
    ],
    ids=["bytearray", "memoryview", "array", "mmap"],
)
def test_any_writable_buffer(kq: Any, backend: str, file: int, make: Any) -> None:
    """It is filled in place, cannot be resized meanwhile, and is free afterwards."""
    buffer = make()
    request = aio.read(kq, file, buffer, 256)
    assert only(kq).data == 256
    assert request.buffer is buffer
    assert bytes(memoryview(buffer).cast("B")) == DATA[:256]
    if isinstance(buffer, bytearray):
        buffer += b"free"
    del request
    if isinstance(buffer, mmap.mmap):
        buffer.close()


@pytest.mark.parametrize("buffer", [b"read", memoryview(b"only"), "text", 3.5, memoryview(bytearray(8))[::2]])
def test_what_cannot_be_read_into(kq: Any, backend: str, file: int, buffer: Any) -> None:
    with pytest.raises((BufferError, TypeError), match="writable buffer"):
        aio.read(kq, file, buffer)
    assert kq.knotes() == []


def test_wrong_numbers(kq: Any, backend: str, file: int) -> None:
    with pytest.raises(ValueError, match="offset -1"):
        aio.read(kq, file, 10, -1)
    with pytest.raises(TypeError, match="as an integer"):
        aio.read(kq, file, 10, 1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="-5 bytes"):
        aio.read(kq, file, -5)
    with pytest.raises(OSError, match="no descriptor"):
        aio.read(kq, -1, 5)
    with pytest.raises(TypeError, match="no knote"):
        aio.submit(kq, [3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="is no knote"):
        aio.read(3, file, 10)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="neither a descriptor"):
        aio.read(kq, "/etc/passwd", 10)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("offset", "1", TypeError),
        ("offset", 1 << 70, OverflowError),
        ("offset", 1 << 63, OverflowError),
        ("fd", 1 << 40, OverflowError),
        ("fd", "0", TypeError),
        ("flags", "2", TypeError),
        ("buffer", None, TypeError),
    ],
)
def test_what_no_kernel_takes(
    kq: Any, backend: str, file: int, name: str, value: Any, error: type[Exception]
) -> None:
    """Refused where it is set or when it is submitted; nothing has begun, and the request can be mended."""
    request = aio.Request.read(file, 10)
    before = getattr(request, name)
    with pytest.raises(error):
        setattr(request, name, value)
        aio.submit(kq, [request])
    assert kq.knotes() == []
    setattr(request, name, before)
    aio.submit(kq, [request])
    assert only(kq).data == 10


def test_writes_and_syncs(kq: Any, backend: str, file: int) -> None:
    """Any buffer will do, and an fsync tells of itself."""
    for number, data in enumerate([b"bytes", bytearray(b"array"), memoryview(b"views")]):
        aio.write(kq, file, data, 1000 + number * 5)
    assert sorted(event.data for event in collect(kq, 3)) == [5, 5, 5]
    for sync in (aio.fsync, aio.fdatasync):
        request = sync(kq, file)
        assert (only(kq).data, request.result()) == (0, 0)
    assert os.pread(file, 15, 1000) == b"bytesarrayviews"


def test_append(kq: Any, backend: str, tmp_path: Path) -> None:
    with open(tmp_path / "log", "ab", buffering=0) as log:
        log.write(b"one ")
        aio.write(kq, log, b"two", 0)
        assert only(kq).data == 3
    assert (tmp_path / "log").read_bytes() == b"one two"


@pytest.mark.parametrize("what", ["read", "write", "fsync"])
def test_a_bad_descriptor_is_an_event(kq: Any, backend: str, file: int, what: str) -> None:
    """data is -errno and fflags the errno; result() raises it."""
    request = aio.fsync(kq, 12345) if what == "fsync" else getattr(aio, what)(kq, 12345, bytearray(4))
    event = only(kq)
    assert (event.data, event.fflags) == (-errno.EBADF, errno.EBADF)
    assert request.error() == errno.EBADF
    with pytest.raises(OSError, match=f"{what} of fd 12345") as raised:
        request.result()
    assert raised.value.errno == errno.EBADF


def test_reading_what_is_open_for_writing(kq: Any, backend: str, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "new", os.O_WRONLY | os.O_CREAT)
    aio.read(kq, fd, 10)
    assert only(kq).fflags == errno.EBADF
    os.close(fd)


def test_direct_and_not_aligned(kq: Any, backend: str, tmp_path: Path) -> None:
    """The refusal names O_DIRECT and the way out; an mmap is aligned."""
    (tmp_path / "data").write_bytes(DATA)
    fd = os.open(tmp_path / "data", os.O_RDONLY | os.O_DIRECT)
    request = aio.read(kq, fd, 100, 3)
    assert only(kq).fflags == errno.EINVAL
    with pytest.raises(OSError, match=r"offset 3, 100 bytes: the file is open with O_DIRECT.*mmap"):
        request.result()
    with mmap.mmap(-1, 4096) as aligned:
        aio.read(kq, fd, aligned, 4096)
        assert only(kq).data == 4096
        assert aligned[:] == DATA[4096:8192]
    os.close(fd)


@pytest.mark.parametrize("blocking", [True, False])
def test_a_pipe_is_waited_for(kq: Any, backend: str, pipe: Pipe, blocking: bool) -> None:
    """O_NONBLOCK or not; the offset is of no account; the end is 0."""
    os.set_blocking(pipe.r, blocking)
    request = aio.read(kq, pipe.r, 100, 12)
    idle(kq)
    assert not request.done and request.error() == errno.EINPROGRESS
    with pytest.raises(BlockingIOError, match="still under way"):
        request.result()
    pipe.write(b"hello")
    assert only(kq).data == 5
    assert request.buffer[:5] == b"hello"
    assert os.get_blocking(pipe.r) == blocking
    aio.read(kq, pipe.r, 100)
    pipe.close_w()
    assert only(kq).data == 0


@pytest.mark.parametrize("blocking", [True, False])
def test_writing_to_a_full_pipe(kq: Any, backend: str, pipe: Pipe, blocking: bool) -> None:
    os.set_blocking(pipe.w, False)
    full = 0
    with pytest.raises(BlockingIOError):
        while True:
            full += os.write(pipe.w, bytes(4096))
    os.set_blocking(pipe.w, blocking)
    aio.write(kq, pipe.w, b"x" * 4096)
    idle(kq)
    os.read(pipe.r, full)
    assert only(kq).data == 4096


def test_dev_null_and_zero(kq: Any, backend: str) -> None:
    null, zero = os.open("/dev/null", os.O_RDWR), os.open("/dev/zero", os.O_RDONLY)
    aio.write(kq, null, b"away")
    assert only(kq).data == 4
    aio.read(kq, null, 4)
    assert only(kq).data == 0
    aio.read(kq, zero, 4)
    assert only(kq).data == 4
    os.close(null)
    os.close(zero)


def test_a_list_each_by_itself(kq: Any, backend: str, file: int) -> None:
    requests = [aio.Request.read(file, 64, i * 64, udata=i) for i in range(100)]
    aio.submit(kq, requests)
    events = collect(kq, 100)
    assert sorted(event.udata for event in events) == list(range(100))
    assert all(request.buffer == DATA[i * 64 : i * 64 + 64] for i, request in enumerate(requests))


def test_a_list_as_one(kq: Any, backend: str, file: int, pipe: Pipe) -> None:
    """S-167: one event, when the last is over; EIO when not all ended well."""
    requests = [aio.Request.read(file, 64), aio.Request.read(12345, 64), aio.Request.read(pipe.r, 64)]
    made = aio.lio_listio(kq, requests, udata="list")
    idle(kq)
    assert not made.done and [r.filter for r in kq.knotes()] == [EVFILT_LIO]
    pipe.write(b"x")
    event = only(kq)
    assert (event.ident, event.filter, event.udata) == (made.ident, EVFILT_LIO, "list")
    assert (event.data, event.fflags) == (2, errno.EIO)
    assert (made.pending, made.failed, made.done) == (0, 1, True)
    assert [request.error() for request in requests] == [0, errno.EBADF, 0]
    idle(kq)


def test_an_empty_list(kq: Any, backend: str) -> None:
    made = aio.lio_listio(kq, [])
    event = only(kq)
    assert (event.udata, event.data, event.fflags) == (made, 0, 0)
    aio.submit(kq, [])


def test_again_with_the_same_request(kq: Any, backend: str, file: int) -> None:
    """As an aiocb: after its event, with another offset, under another ident."""
    request = aio.Request.read(file, 16)
    seen = set()
    for offset in (0, 16, 32):
        request.offset = offset
        aio.submit(kq, [request])
        with pytest.raises(ValueError, match="under way, or its event"):
            aio.submit(kq, [request])
        assert only(kq).data == 16
        assert request.buffer == DATA[offset : offset + 16]
        seen.add(request.ident)
    assert len(seen) == 3


def test_twice_in_a_list(kq: Any, backend: str, file: int) -> None:
    """Refused, and nothing of the list has begun."""
    request, other = aio.Request.read(file, 16), aio.Request.read(file, 16)
    with pytest.raises(ValueError, match="under way"):
        aio.submit(kq, [other, request, request])
    assert kq.knotes() == []
    aio.submit(kq, [request, other])
    assert len(collect(kq, 2)) == 2


def test_before_it_is_submitted(file: int) -> None:
    request = aio.Request.read(file, 16)
    assert not request.done and request.cancel() == aio.AIO_ALLDONE
    with pytest.raises(ValueError, match="never submitted"):
        request.result()
    assert repr(request) == f"<knote.aio.Request read fd={file} ident=0x0: not submitted>"


def test_done_is_seen_without_collecting(kq: Any, backend: str, file: int) -> None:
    """error() and result() are aio_error and aio_return; the event stays, and the descriptor polls readable."""
    request = aio.read(kq, file, 16)
    wait_until(lambda: request.done)
    assert request.result() == 16
    assert polls(kq)
    assert only(kq).data == 16
    idle(kq)


def test_knotes_shows_what_is_under_way(kq: Any, backend: str, pipe: Pipe) -> None:
    request = aio.read(kq, pipe.r, 16, udata="mine")
    (found,) = kq.knotes()
    assert (found.filter, found.ident, found.udata, found.pending) == (EVFILT_AIO, request.ident, "mine", False)
    assert str(found).startswith("AIO ident=")


@pytest.mark.parametrize("filter_", [EVFILT_AIO, EVFILT_LIO])
def test_ev_add_is_refused(kq: Any, filter_: int) -> None:
    """S-166: requests register themselves."""
    with pytest.raises(PermissionError, match="register themselves"):
        apply(kq, kevent(5, filter_, EV_ADD))
    with pytest.raises(FileNotFoundError):
        apply(kq, kevent(5, filter_, EV_DELETE))


def test_disable_and_enable(kq: Any, backend: str, pipe: Pipe) -> None:
    """The end is recorded meanwhile."""
    request = aio.read(kq, pipe.r, 16)
    apply(kq, kevent(request.ident, EVFILT_AIO, EV_DISABLE))
    pipe.write(b"x")
    wait_until(lambda: request.done)
    idle(kq)
    assert [event.data for event in ready(kq, kevent(request.ident, EVFILT_AIO, EV_ENABLE))] == [1]


def test_delete_takes_the_event_only(kq: Any, backend: str, pipe: Pipe) -> None:
    request = aio.read(kq, pipe.r, 16)
    apply(kq, kevent(request.ident, EVFILT_AIO, EV_DELETE))
    assert kq.knotes() == []
    pipe.write(b"x")
    wait_until(lambda: request.done)
    assert request.result() == 1
    idle(kq)


def test_beside_other_filters(kq: Any, backend: str, file: int) -> None:
    apply(kq, user(7))
    request = aio.read(kq, file, 16)
    wait_until(lambda: request.done)
    assert {event.filter for event in ready(kq, trigger(7))} == {EVFILT_AIO, knote.EVFILT_USER}


def test_more_are_over_than_there_is_room_for(kq: Any, backend: str, file: int) -> None:
    """Those that are left keep the descriptor readable."""
    requests = [aio.Request.read(file, 16, udata=i) for i in range(10)]
    aio.submit(kq, requests)
    wait_until(lambda: all(request.done for request in requests))
    seen = []
    for _ in range(5):
        assert polls(kq)
        seen += [event.udata for event in kq.control(None, 2, 0)]
    assert sorted(seen) == list(range(10))
    idle(kq)


def test_which_backend(kq: Any, backend: str) -> None:
    said = aio.backend(kq)
    assert said.name == backend
    assert (said.why == "") == (backend == "io_uring")


def test_no_such_backend(kq: Any, monkeypatch: pytest.MonkeyPatch, file: int) -> None:
    monkeypatch.setenv("KNOTE_AIO", "magic")
    with pytest.raises(ValueError, match="one of io_uring, posix, threads"):
        aio.read(kq, file, 10)


def test_a_closed_queue(engine: str, file: int) -> None:
    queue = knote.kqueue(engine=engine)
    queue.close()
    with pytest.raises(ValueError, match="closed kqueue"):
        aio.read(queue, file, 10)
    with pytest.raises(ValueError, match="closed kqueue"):
        aio.backend(queue)
