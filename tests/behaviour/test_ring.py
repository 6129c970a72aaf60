"""io_uring surprises nobody: when it is used, when it is not, and what happens where there is none."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from knote import aio, ring
from knote._kernel.pin import Pin
from knote._kernel.uring import Uring
from tests.behaviour.requests import backend
from tests.support import installed, seccomp

__all__ = ["backend"]

IMPORT_AND_USE = """
import os
from knote import EV_ADD, EVFILT_READ, kevent, kqueue
import knote.aio, knote.ring
kq = kqueue()
r, w = os.pipe()
kq.control([kevent(r, EVFILT_READ, EV_ADD)], 0)
os.write(w, b"x")
assert len(kq.control(None, 1, 1)) == 1
kq.close()
print("done")
"""
READ_PIPES = """
import os
from knote import aio, kqueue
with kqueue() as kq:
    r, w = os.pipe()
    aio.submit(kq, [aio.Request.read(r, 4) for _ in range(10)])
    print(aio.backend(kq).name, [event.data for event in kq.control(None, 20, 0)])
"""
READ_A_FILE = """
import os, sys
from knote import aio, kqueue
with kqueue() as kq:
    fd = os.open(sys.executable, os.O_RDONLY)
    aio.read(kq, fd, 4)
    [event] = kq.control(None, 1, 10)
    assert bytes(event.udata.buffer) == b"\\x7fELF", event
    print(*aio.backend(kq), sep="; ")
"""


def test_no_call_before_the_first_request() -> None:
    """Not at import, not at kqueue(), not for other filters."""
    ran = seccomp.run(IMPORT_AND_USE, seccomp.IO_URING)
    assert (ran.stdout, ran.returncode) == ("done\n", 0), ran.stderr


def test_never_under_a_filter_unasked() -> None:
    """Under one that kills, requests are carried out by something else."""
    ran = seccomp.run(READ_A_FILE, seccomp.IO_URING)
    assert ran.stdout.startswith("posix; under a seccomp filter"), ran.stderr


@pytest.mark.needs("io_uring")
def test_under_a_filter_when_asked() -> None:
    """KNOTE_IO_URING=1: by io_uring where the filter lets it, and by nothing else where not."""
    ran = seccomp.run(READ_A_FILE, (), KNOTE_IO_URING="1")
    assert ran.stdout == "io_uring; \n", ran.stderr
    ran = seccomp.run(READ_A_FILE, seccomp.IO_URING, errno.EPERM, KNOTE_IO_URING="1")
    assert ran.returncode == 1
    assert "PermissionError" in ran.stderr and "kernel.io_uring_disabled" in ran.stderr


def test_not_when_it_is_refused(kq: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """KNOTE_IO_URING=0."""
    monkeypatch.setenv("KNOTE_IO_URING", "0")
    monkeypatch.delenv("KNOTE_AIO", raising=False)
    assert aio.backend(kq).why == "KNOTE_IO_URING=0"
    monkeypatch.setenv("KNOTE_AIO", "io_uring")
    assert ring.why_not() == "KNOTE_IO_URING=0"


@pytest.mark.needs("io_uring")
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EPERM, "kernel.io_uring_disabled is"),
        (errno.ENOSYS, "this kernel has none"),
        (errno.ENOMEM, "RLIMIT_MEMLOCK"),
    ],
)
def test_a_kernel_that_says_no(number: int, words: str) -> None:
    """The sysctl kernel.io_uring_disabled=2 answers EPERM, an old kernel ENOSYS: something else does it, and says
    why.  The filter that plays the kernel is looked through (Seccomp: is not asked)."""
    blind = "import knote.ring\nknote.ring._is_filtered = lambda: False\n"
    ran = seccomp.run(blind + READ_A_FILE, seccomp.IO_URING_SETUP, number)
    assert ran.stdout.startswith("posix; ") and words in ran.stdout, ran.stderr


@pytest.mark.needs("io_uring")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL])
def test_a_kernel_that_cannot_be_probed(number: int) -> None:
    """IORING_REGISTER_PROBE came with 5.6: without it something else does it."""
    blind = "import knote.ring\nknote.ring._is_filtered = lambda: False\n"
    ran = seccomp.run(blind + READ_A_FILE, seccomp.IO_URING_REGISTER, number)
    assert ran.stdout.startswith("posix; ") and "asked which operations" in ran.stdout, ran.stderr


@pytest.mark.needs("io_uring")
@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EBUSY, errno.ENOMEM])
def test_a_kernel_that_takes_nothing(number: int) -> None:
    """It has no memory for more: each request ends with EAGAIN, none is left behind, and the queue closes."""
    blind = "import knote.ring\nknote.ring._is_filtered = lambda: False\n"
    ran = seccomp.run(blind + READ_PIPES, seccomp.IO_URING_ENTER, number)
    assert ran.stdout == f"io_uring {[-errno.EAGAIN] * 10}\n", ran.stderr


@pytest.mark.needs("io_uring")
def test_set_up_flags_that_the_kernel_does_not_know() -> None:
    """EINVAL: it is asked again without them."""
    made = Uring(8, 16, 1 << 30)
    assert made.fd >= 0
    made.close()


@pytest.mark.needs("io_uring")
def test_operations_are_probed() -> None:
    made = Uring(8, 16, 0)
    assert made.knows(ring.OP_READ) == 1
    assert made.knows(200) == 0
    made.close()


@pytest.mark.needs("io_uring")
def test_entries_are_taken_back() -> None:
    """What was prepared and not submitted never happens."""
    r, w = os.pipe()
    made = ring.Ring()
    for token in range(5):
        assert made.prepare(ring.OP_FSYNC, w, 0, 0, 0, 0, token) == 0
    assert made.retract() == 5
    assert [made.token(i) for i in range(5)] == list(range(5))
    assert made.prepare(ring.OP_READ, 12345, 0, 0, 0, 0, 7) == 0
    assert (made.submit(), made.reap(), made.token(0), made.result(0)) == (0, 1, 7, -errno.EBADF)
    made.close()
    made.close()
    os.close(r)
    os.close(w)


@pytest.mark.needs("io_uring")
@pytest.mark.parametrize("flags", [0, os.O_DIRECT], ids=["page cache", "O_DIRECT"])
def test_what_need_not_be_waited_for(tmp_path: Path, flags: int) -> None:
    """Whole reads of a file in memory are carried out before the ring is asked; the end of the file, and what is
    behind it, are the ring's, and so is everything with O_DIRECT.  Each read ends once, with its own bytes."""
    block, count, short = 4096, 12, 7
    data = os.urandom(block * count - 100)
    (tmp_path / "data").write_bytes(data)
    fd = os.open(tmp_path / "data", os.O_RDONLY | flags)
    made = ring.Ring()
    with mmap.mmap(-1, block * count) as room:
        pin = Pin(room, True)
        places = [*range(short), count - 1, *range(short, count - 1)]
        for place in places:
            at = pin.address + place * block
            assert made.prepare(ring.OP_READ, fd, at, block, place * block, 0, place) == 0
        n = made.at_once()
        assert n == (0 if flags or installed.build() == "interpreted" else short)
        assert [made.token(i) for i in range(n)] == places[:n]
        found = {made.token(i): made.result(i) for i in range(n)}
        while len(found) < count:
            assert made.wait() == 0
            found |= {made.token(i): made.result(i) for i in range(made.reap())}
        assert found == {place: block if place < count - 1 else block - 100 for place in range(count)}
        assert room[: len(data)] == data
        del pin
    made.close()
    os.close(fd)


@pytest.mark.needs("io_uring")
def test_more_than_the_queues_hold() -> None:
    """prepare() submits when the queue is full; reap() brings what overflowed."""
    made = ring.Ring()
    count = 3 * ring.COMPLETIONS
    for token in range(count):
        assert made.prepare(ring.OP_READ, 12345, 0, 0, 0, 0, token) == 0
    assert made.submit() == 0
    seen = []
    while (n := made.reap()) > 0:
        seen += [made.token(i) for i in range(n)]
    assert sorted(seen) == list(range(count))
    made.close()


def test_no_thread_of_the_kernels(kq: Any, backend: str) -> None:
    """Nobody polls: IORING_SETUP_SQPOLL would show as a task iou-sqp-PID."""
    r, w = os.pipe()
    aio.read(kq, r, 1)
    names = []
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/comm") as comm:
            names.append(comm.read())
    assert not [name for name in names if name.startswith("iou-sqp")]
    os.close(r)
    os.close(w)


@pytest.mark.slow
@pytest.mark.parametrize("verdict", ["kill", str(errno.EPERM)])
def test_tests_pass_where_it_kills(verdict: str) -> None:
    """A part of the suite; `make sandbox` runs all of it.  EPERM is also what kernel.io_uring_disabled=2 says."""
    command = [sys.executable, "-m", "tests.support.seccomp", verdict, sys.executable, "-m", "pytest", "-q"]
    command += ["-k", "not io_uring", "tests/behaviour/test_aio_cancel.py", "tests/behaviour/test_user.py"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
