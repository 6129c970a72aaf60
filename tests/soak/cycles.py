"""Does a queue that works for ever stay as it is: `python -m tests.soak.cycles [--cycles N] [FILTER ...]`.

For each filter a knote is added, becomes true, is returned and deleted, N times over on one queue.  The queue must
return exactly that event each time, and afterwards hold no more descriptors and no more memory than after the
first tenth.  A filter joins with one row of ROWS.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import knote
from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_ONESHOT, aio, constants, kevent
from tests.support import namespaces
from tests.support.links import Links
from tests.support.waiting import SOON

CYCLES: Final = 100_000
GROWTH: Final = 128 * 1024
"""Bytes by which a process grows and shrinks by itself: pages of the allocator, the kernel counting late."""

Cycle = Callable[[], None]
"""Add, fire, collect, delete; AssertionError if the event was not the one."""


@dataclass(frozen=True)
class Row:
    """One filter, and what makes a cycle of it on a queue."""

    filter: int
    cycles: Callable[[Any], AbstractContextManager[Cycle]]
    part: float = 1.0
    """Of CYCLES, where a cycle is slow: the start of a process, say."""
    namespaces: int = 0
    """What it must have for itself: it runs in a child, in new namespaces of these kinds."""

    @property
    def name(self) -> str:
        """Without its EVFILT_."""
        return constants.filter_text(self.filter)


def one(kq: Any, ident: int, number: int) -> None:
    """The queue returns this knote, and nothing else."""
    events = kq.control(None, 8, SOON)
    assert [(event.ident, event.filter) for event in events] == [(ident, number)], events


def _around(kq: Any, ident: int, number: int, fire: Callable[[], object], fflags: int = 0) -> Cycle:
    add = [kevent(ident, number, EV_ADD | EV_CLEAR, fflags)]
    delete = [kevent(ident, number, EV_DELETE)]

    def cycle() -> None:
        kq.control(add, 0)
        fire()
        one(kq, ident, number)
        kq.control(delete, 0)
        assert kq.control(None, 8, 0) == []

    return cycle


@contextlib.contextmanager
def _read(kq: Any) -> Iterator[Cycle]:
    r, w = os.pipe()
    try:
        cycle = _around(kq, r, knote.EVFILT_READ, lambda: os.write(w, b"x"))

        def whole() -> None:
            cycle()
            os.read(r, 1)

        yield whole
    finally:
        os.close(r)
        os.close(w)


@contextlib.contextmanager
def _write(kq: Any) -> Iterator[Cycle]:
    a, b = socket.socketpair()
    with a, b:
        yield _around(kq, a.fileno(), knote.EVFILT_WRITE, lambda: None)


@contextlib.contextmanager
def _user(kq: Any) -> Iterator[Cycle]:
    trigger = [kevent(1, knote.EVFILT_USER, 0, knote.NOTE_TRIGGER)]
    yield _around(kq, 1, knote.EVFILT_USER, lambda: kq.control(trigger, 0))


@contextlib.contextmanager
def _timer(kq: Any) -> Iterator[Cycle]:
    add = [kevent(1, knote.EVFILT_TIMER, EV_ADD | EV_ONESHOT, knote.NOTE_NSECONDS, 1)]

    def cycle() -> None:
        kq.control(add, 0)
        one(kq, 1, knote.EVFILT_TIMER)

    yield cycle


@contextlib.contextmanager
def _signal(kq: Any) -> Iterator[Cycle]:
    # Ignored by default, so that it ends nobody.
    number = signal.SIGURG
    yield _around(kq, number, knote.EVFILT_SIGNAL, lambda: signal.raise_signal(number))


@contextlib.contextmanager
def _empty(kq: Any) -> Iterator[Cycle]:
    a, b = socket.socketpair()
    with a, b:
        yield _around(kq, a.fileno(), knote.EVFILT_EMPTY, lambda: None)


@contextlib.contextmanager
def _except(kq: Any) -> Iterator[Cycle]:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as a:
        b = server.accept()[0]
        a.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with b:
            cycle = _around(kq, b.fileno(), knote.EVFILT_EXCEPT, lambda: a.send(b"!", socket.MSG_OOB))

            def whole() -> None:
                cycle()
                b.recv(1, socket.MSG_OOB)

            yield whole


@contextlib.contextmanager
def _vnode(kq: Any) -> Iterator[Cycle]:
    with tempfile.NamedTemporaryFile(buffering=0) as file:
        fd = file.fileno()
        cycle = _around(kq, fd, knote.EVFILT_VNODE, lambda: os.pwrite(fd, b"x", 0), 0x7FF)
        yield cycle


@contextlib.contextmanager
def _vnode_opened(kq: Any) -> Iterator[Cycle]:
    # Each time another descriptor, which is closed with its knote; every other time its directory's, too.
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "f")
        notes = knote.NOTE_WRITE | knote.NOTE_DELETE | knote.NOTE_RENAME

        def cycle() -> None:
            fd = os.open(path, os.O_RDWR | os.O_CREAT)
            kq.control([kevent(fd, knote.EVFILT_VNODE, EV_ADD | EV_CLEAR, notes)], 0)
            os.unlink(path)
            one(kq, fd, knote.EVFILT_VNODE)
            os.mkdir(path)
            other = os.open(path, os.O_RDONLY)
            kq.control([kevent(other, knote.EVFILT_VNODE, EV_ADD | EV_CLEAR, notes)], 0)
            os.rmdir(path)
            one(kq, other, knote.EVFILT_VNODE)
            os.close(fd)
            os.close(other)
            assert kq.control(None, 8, 0) == []

        yield cycle


@contextlib.contextmanager
def _zombie() -> Iterator[int]:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        yield pid
    finally:
        os.waitpid(pid, 0)


@contextlib.contextmanager
def _proc(kq: Any) -> Iterator[Cycle]:
    # A process that has ended tells so as often as it is asked; one that lives is added and deleted.
    with _zombie() as pid:
        add = [kevent(pid, knote.EVFILT_PROC, EV_ADD, knote.NOTE_EXIT)]
        alive = [kevent(os.getpid(), knote.EVFILT_PROC, flags, knote.NOTE_EXIT) for flags in (EV_ADD, EV_DELETE)]

        def cycle() -> None:
            kq.control(add, 0)
            one(kq, pid, knote.EVFILT_PROC)
            kq.control(alive, 0)

        yield cycle


@contextlib.contextmanager
def _proc_born(kq: Any) -> Iterator[Cycle]:
    # Each time another child, which is followed by its parent's knote.
    own = os.getpid()
    notes = knote.NOTE_EXIT | knote.NOTE_TRACK

    def cycle() -> None:
        kq.control([kevent(own, knote.EVFILT_PROC, EV_ADD, notes)], 0)
        pid = os.posix_spawn("/bin/true", ["true"], {})
        told = 0
        while not told & knote.NOTE_EXIT:
            for event in kq.control(None, 8, SOON):
                assert event.ident == pid, event
                told |= event.fflags
        assert told == knote.NOTE_EXIT | knote.NOTE_CHILD, hex(told)
        assert os.waitpid(pid, 0) == (pid, 0)
        kq.control([kevent(own, knote.EVFILT_PROC, EV_DELETE)], 0)

    yield cycle


@contextlib.contextmanager
def _procdesc(kq: Any) -> Iterator[Cycle]:
    with _zombie() as pid:
        fd = os.pidfd_open(pid)
        add = [kevent(fd, knote.EVFILT_PROCDESC, EV_ADD, knote.NOTE_EXIT)]

        def cycle() -> None:
            kq.control(add, 0)
            one(kq, fd, knote.EVFILT_PROCDESC)

        yield cycle
        os.close(fd)


@contextlib.contextmanager
def _fs(kq: Any) -> Iterator[Cycle]:
    with tempfile.TemporaryDirectory() as folder:
        place = folder.encode()

        def mount() -> None:
            namespaces.check(namespaces.libc.mount(b"none", place, b"tmpfs", 0, None))

        cycle = _around(kq, 0, knote.EVFILT_FS, mount, knote.VQ_MOUNT)

        def whole() -> None:
            cycle()
            namespaces.check(namespaces.libc.umount2(place, 0))

        yield whole


@contextlib.contextmanager
def _netdev(kq: Any) -> Iterator[Cycle]:
    links = Links()
    cycle = _around(
        kq, socket.if_nametoindex("lo"), knote.EVFILT_NETDEV, lambda: links.up("lo"), knote.NOTE_LINKUP
    )

    def whole() -> None:
        cycle()
        links.down("lo")

    yield whole


@contextlib.contextmanager
def _aio(kq: Any) -> Iterator[Cycle]:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(bytes(4096))

        def cycle() -> None:
            one(kq, aio.read(kq, file, 4096).ident, knote.EVFILT_AIO)
            made = aio.lio_listio(kq, [aio.Request.write(file, b"x", i) for i in range(3)])
            one(kq, made.ident, knote.EVFILT_LIO)

        yield cycle


ROWS: Final[tuple[Row, ...]] = (
    Row(knote.EVFILT_READ, _read),
    Row(knote.EVFILT_WRITE, _write),
    Row(knote.EVFILT_USER, _user),
    Row(knote.EVFILT_TIMER, _timer),
    Row(knote.EVFILT_SIGNAL, _signal),
    Row(knote.EVFILT_EMPTY, _empty),
    Row(knote.EVFILT_EXCEPT, _except),
    Row(knote.EVFILT_VNODE, _vnode),
    Row(knote.EVFILT_VNODE, _vnode_opened, part=0.2),
    Row(knote.EVFILT_PROC, _proc),
    Row(knote.EVFILT_PROC, _proc_born, part=0.02),
    Row(knote.EVFILT_PROCDESC, _procdesc),
    Row(knote.EVFILT_AIO, _aio),
    Row(knote.EVFILT_FS, _fs, 0.02, namespaces.MOUNT),
    Row(knote.EVFILT_NETDEV, _netdev, 0.2, namespaces.NET),
)


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    """Bytes of this process in memory, exactly."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as rollup:
        for line in rollup:
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/smaps_rollup says nothing of Rss")


def run(row: Row, cycles: int) -> list[str]:
    """What is not as it should be, a sentence each."""
    if not row.namespaces:
        return _measure(row, cycles)

    def body() -> None:
        said = _measure(row, cycles)
        assert not said, said

    return namespaces.run(row.namespaces, body).splitlines()[-1:]


def _measure(row: Row, cycles: int) -> list[str]:
    with knote.kqueue() as kq, row.cycles(kq) as cycle:
        for _ in range(max(cycles // 10, 1)):
            cycle()
        gc.collect()
        fds, memory, start = descriptors(), resident(), time.monotonic()
        for _ in range(cycles):
            cycle()
        taken = time.monotonic() - start
        gc.collect()
        more, grown = descriptors() - fds, resident() - memory
    told = f"EVFILT_{row.name} {row.cycles.__name__.lstrip('_')}: {cycles:,} cycles"
    print(f"{told}, {taken / cycles * 1e6:.1f} µs each, {more:+} descriptors, {grown / 1024:+.0f} KiB", flush=True)
    said = []
    if more:
        said.append(f"{told} left {more:+} descriptors")
    if grown > GROWTH:
        said.append(f"{told} left {grown / 1024:+.0f} KiB")
    return said


def main() -> None:
    """The command line."""
    names = sorted({row.name for row in ROWS})
    parser = argparse.ArgumentParser(prog="tests.soak.cycles", description=__doc__)
    parser.add_argument("filters", nargs="*", metavar="FILTER", help=f"default: all of {', '.join(names)}")
    parser.add_argument("--cycles", type=int, default=CYCLES)
    asked = parser.parse_args()
    print(f"knote {knote.build_info()['build']}", flush=True)
    said = []
    for row in ROWS:
        if row.name in (asked.filters or names):
            said += run(row, max(int(asked.cycles * row.part), 1))
    print("\n".join(said) or "nothing was left behind")
    sys.exit(bool(said))


if __name__ == "__main__":
    main()
