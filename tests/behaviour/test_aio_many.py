"""Thousands of requests at a time: full queues, overflowing ones, and descriptors that run out."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from pathlib import Path
from typing import Any

import pytest

import knote
from knote import aio
from tests.behaviour.requests import backend, collect, only
from tests.behaviour.words import idle
from tests.support import leaks
from tests.support.plumbing import Pair
from tests.support.waiting import wait_until

__all__ = ["backend"]


def test_thousands_under_way(kq: Any, backend: str, tmp_path: Path) -> None:
    """More than the ring has room for, submitted by one call: each ends once, with its own bytes."""
    count = 6000
    data = os.urandom(4096)
    (tmp_path / "data").write_bytes(data)
    fd = os.open(tmp_path / "data", os.O_RDONLY)
    requests = [aio.Request.read(fd, 16, i % 4000, udata=i) for i in range(count)]
    aio.submit(kq, requests)
    events = collect(kq, count)
    assert sorted(event.udata for event in events) == list(range(count))
    assert all(request.buffer == data[i % 4000 : i % 4000 + 16] for i, request in enumerate(requests))
    idle(kq)
    os.close(fd)


def test_thousands_that_wait(kq: Any, backend: str, socketpair: Pair) -> None:
    """A byte for each, and all at once.  Without io_uring each has a descriptor of its own."""
    count = 400 if backend != "io_uring" else 3000
    aio.submit(kq, [aio.Request.recv(socketpair.a, 1, udata=i) for i in range(count)])
    idle(kq)
    socketpair.b.sendall(bytes(count))
    assert sorted(event.udata for event in collect(kq, count)) == list(range(count))
    idle(kq)


def test_completions_overflow(kq: Any, backend: str) -> None:
    """Nobody collects while more end than the completion queue holds: none is lost."""
    count = 6000
    null = os.open("/dev/null", os.O_WRONLY)
    for _ in range(3):
        for start in range(0, count, 1000):
            aio.submit(kq, [aio.Request.write(null, b"x", udata=i) for i in range(start, start + 1000)])
        assert sorted(event.udata for event in collect(kq, count)) == list(range(count))
    idle(kq)
    os.close(null)


def test_one_after_the_other(kq: Any, backend: str, socketpair: Pair) -> None:
    """Slots are used again, and no ident comes back."""
    seen = set()
    for _ in range(300):
        request = aio.recv(kq, socketpair.a, 1)
        socketpair.b.send(b"x")
        assert only(kq).ident == request.ident
        seen.add(request.ident)
    assert len(seen) == 300


def test_no_descriptor_left(engine: str, backend: str, tmp_path: Path) -> None:
    """Whatever the first request needs and does not get, it says so, nothing has begun, and the next one works."""
    (tmp_path / "data").write_bytes(b"content")
    fd = os.open(tmp_path / "data", os.O_RDONLY)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with knote.kqueue(engine=engine) as kq:
        request = aio.Request.read(fd, 16)
        taken: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(leaks.descriptors()) + 2, hard))
        try:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.dup(fd))
            with pytest.raises(OSError, match="RLIMIT_NOFILE") as raised:
                aio.submit(kq, [request])
            assert raised.value.errno == errno.EMFILE
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for number in taken:
                os.close(number)
        assert kq.knotes() == []
        aio.submit(kq, [request])
        assert only(kq).data == 7
    os.close(fd)


def test_large_and_small(kq: Any, backend: str, tmp_path: Path) -> None:
    """Large requests and small ones, some of them to be waited for by the device."""
    size = 1 << 22
    with open(tmp_path / "data", "w+b", buffering=0) as file:
        file.write(os.urandom(size))
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        requests = [aio.Request.read(file, size), *(aio.Request.read(file, 512, i * 512) for i in range(64))]
        made = aio.lio_listio(kq, requests)
        wait_until(lambda: made.done)
        assert only(kq).data == 65
        assert [request.result() for request in requests] == [size] + [512] * 64
        file.seek(0)
        assert requests[0].buffer == file.read()
