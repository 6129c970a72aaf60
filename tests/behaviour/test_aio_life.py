"""Who lives how long: buffers, queues, threads and processes with requests under way."""

from __future__ import annotations

import errno
import functools
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

import knote
from knote import EVFILT_AIO, aio
from tests.behaviour.requests import backend, collect, only
from tests.behaviour.test_fork import in_child
from tests.behaviour.words import idle
from tests.support import leaks
from tests.support.plumbing import Pair, Pipe
from tests.support.waiting import wait_until

__all__ = ["backend"]

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


class Buffer(bytearray):
    """A buffer whose end can be seen."""


def test_nobody_else_need_keep_the_buffer(kq: Any, backend: str, pipe: Pipe) -> None:
    """Nor the request: it comes back with the event, and its buffer goes with it."""
    buffer = Buffer(16)
    alive = weakref.ref(buffer)
    aio.read(kq, pipe.r, buffer)
    del buffer
    gc.collect()
    assert alive() is not None
    pipe.write(b"hello")
    event = only(kq)
    assert bytes(event.udata.buffer[: event.data]) == b"hello"
    del event
    gc.collect()
    assert alive() is None


def test_it_cannot_be_resized_meanwhile(kq: Any, backend: str, pipe: Pipe) -> None:
    buffer = bytearray(16)
    aio.read(kq, pipe.r, buffer)
    with pytest.raises(BufferError):
        buffer.clear()
    pipe.write(b"x")
    only(kq)
    buffer.clear()


def test_an_event_nobody_wants_lets_go_too(kq: Any, backend: str, pipe: Pipe) -> None:
    buffer = Buffer(16)
    alive = weakref.ref(buffer)
    request = aio.read(kq, pipe.r, buffer, udata="other")
    kq.control([knote.kevent(request.ident, EVFILT_AIO, knote.EV_DELETE)], 0)
    del buffer
    pipe.write(b"x")
    del request
    wait_until(lambda: alive() is None or kq.control(None, 1, 0))
    gc.collect()
    assert alive() is None


def test_closing_the_queue(engine: str, backend: str, pipe: Pipe, tmp_path: Path) -> None:
    """What waits is cancelled, what a device has is waited for; then the buffers are free."""
    queue = knote.kqueue(engine=engine)
    buffer = bytearray(16)
    waiting = aio.read(queue, pipe.r, buffer)
    with open(tmp_path / "data", "w+b", buffering=0) as file:
        writing = [aio.write(queue, file, bytes(4096), i * 4096) for i in range(50)]
        syncing = aio.fsync(queue, file)
        queue.close()
    assert waiting.error() == errno.ECANCELED
    assert all(request.done for request in [*writing, syncing])
    assert {request.error() for request in writing} <= {0, errno.ECANCELED}
    buffer.clear()
    pipe.write(b"x")
    assert os.read(pipe.r, 16) == b"x"


def test_dropping_the_queue(engine: str, backend: str, pipe: Pipe) -> None:
    """As closing it: the request holds no reference to it."""
    queue = knote.kqueue(engine=engine)
    request = aio.read(queue, pipe.r, 16, udata=0)
    other = aio.read(queue, pipe.r, 16)
    del queue
    gc.collect()
    assert request.error() == other.error() == errno.ECANCELED


def test_an_accepted_descriptor_that_nobody_took(engine: str, backend: str) -> None:
    """It is closed with its request; the leak check of all tests would say."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        queue = knote.kqueue(engine=engine)
        request = aio.accept(queue, listener, udata=1)
        client.connect(listener.getsockname())
        wait_until(functools.partial(getattr, request, "done"))
        number = request.value
        os.fstat(number)
        queue.close()
        del request
        gc.collect()
        with pytest.raises(OSError):
            os.fstat(number)


def test_the_descriptor_is_closed_meanwhile(kq: Any, backend: str) -> None:
    r, w = os.pipe()
    aio.read(kq, r, 16)
    os.close(r)
    os.write(w, b"x")
    assert only(kq).data == 1
    os.close(w)


def test_the_childs_are_closed(kq: Any, backend: str, pipe: Pipe) -> None:
    """S-392, S-402: the child's copies are over, its descriptors free; the parent's requests go on."""
    before = leaks.descriptors()
    request = aio.read(kq, pipe.r, 16)
    ours = leaks.descriptors().keys() - before.keys()
    assert ours

    def body() -> str:
        left = [number for number in ours if os.path.exists(f"/proc/self/fd/{number}")]
        with open("/proc/self/maps") as maps:
            mapped = "io_uring" in maps.read()
        return f"{kq.closed} {left} {mapped} {request.error()} {request.cancel()}"

    assert in_child(body) == f"True [] False {errno.ECANCELED} {aio.AIO_ALLDONE}"
    idle(kq)
    pipe.write(b"x")
    assert only(kq).data == 1


def test_a_child_may_have_its_own(kq: Any, engine: str, backend: str, tmp_path: Path) -> None:
    """In a child of a process that used glibc's AIO that is threads: glibc's own are the parent's."""
    (tmp_path / "data").write_bytes(b"content")
    fd = os.open(tmp_path / "data", os.O_RDONLY)
    aio.read(kq, fd, 16)

    def body() -> str:
        with knote.kqueue(engine=engine) as own:
            if backend == "posix":
                del os.environ["KNOTE_AIO"]
                os.environ["KNOTE_IO_URING"] = "0"
            aio.read(own, fd, 16)
            event = only(own)
            return f"{aio.backend(own).name} {bytes(event.udata.buffer[: event.data])!r}"

    assert in_child(body) == f"{'threads' if backend == 'posix' else backend} b'content'"
    assert only(kq).data == 7
    os.close(fd)


def test_the_thread_that_submitted_ends(kq: Any, backend: str, socketpair: Pair, tmp_path: Path) -> None:
    """io_uring cancels what it had under way; nobody sees that."""
    with open(tmp_path / "data", "w+b", buffering=0) as file:
        file.write(bytes(100_000))
        submitted = []

        def work() -> None:
            socketpair.a.setblocking(True)
            submitted.append(aio.recv(kq, socketpair.a, 16))
            submitted.append(aio.fsync(kq, file))
            submitted.append(aio.read(kq, file, 100_000))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert sorted(event.data for event in collect(kq, 2)) == [0, 100_000]
        idle(kq)
        socketpair.b.send(b"hello")
        assert only(kq).data == 5


def test_many_threads_submit(kq: Any, backend: str, tmp_path: Path) -> None:
    """Each request ends once, whoever submits and whoever collects."""
    data = bytes(range(256)) * 16
    (tmp_path / "data").write_bytes(data)
    fd = os.open(tmp_path / "data", os.O_RDONLY)
    seen: list[int] = []

    def submit(number: int) -> None:
        for i in range(50):
            aio.read(kq, fd, 16, i * 16, udata=number * 50 + i)

    def gather() -> None:
        while len(seen) < 200:
            for event in kq.control(None, 7, 0.05):
                assert event.data == 16
                seen.append(event.udata)

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(4)]
    threads += [threading.Thread(target=gather) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(200))
    os.close(fd)


def test_a_waiter_is_woken_by_anothers_request(kq: Any, backend: str, pipe: Pipe) -> None:
    """Also when the first request of the queue comes while somebody waits on it."""
    got: list[Any] = []
    waiter = threading.Thread(target=lambda: got.extend(collect(kq, 1)))
    waiter.start()
    aio.read(kq, pipe.r, 16)
    pipe.write(b"x")
    waiter.join()
    assert [event.data for event in got] == [1]


def test_from_a_signal_handler_inside_the_call(kq: Any, backend: str, pipe: Pipe) -> None:
    """A handler of a waiting call may submit: the lock is not held across the wait."""
    submitted = []

    def handler(_number: int, _frame: Any) -> None:
        try:
            submitted.append(aio.read(kq, pipe.r, 16))
        except RuntimeError:
            # The call did not wait yet, and had the lock: at the next signal it does.
            signal.setitimer(signal.ITIMER_REAL, 0.02)
        else:
            pipe.write(b"x")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert only(kq).data == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert submitted[0].result() == 1


@pytest.mark.parametrize("end", ["", "import sys; sys.exit(0)", "del kq", "import os; os._exit(0)"])
def test_the_interpreter_ends(backend: str, tmp_path: Path, end: str) -> None:
    """With requests under way: no hang, no crash, no word."""
    code = f"""
import os, sys
from knote import aio, kqueue
kq = kqueue()
r, w = os.pipe()
fd = os.open({str(tmp_path / "data")!r}, os.O_RDWR | os.O_CREAT)
keep = [aio.read(kq, r, 100) for _ in range(10)]
for i in range(100):
    aio.write(kq, fd, bytes(4096), i * 4096)
aio.fsync(kq, fd)
{end}
"""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
