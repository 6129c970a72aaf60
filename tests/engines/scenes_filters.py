"""What filters do with other calls than an engine's, in acts that are repeated while these fail."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_ONESHOT,
    EVFILT_FS,
    EVFILT_MEMORYSTATUS,
    EVFILT_NETDEV,
    EVFILT_PROC,
    EVFILT_PROCDESC,
    EVFILT_READ,
    EVFILT_SIGNAL,
    EVFILT_VNODE,
    EVFILT_WRITE,
    NOTE_ATTRIB,
    NOTE_DELETE,
    NOTE_EXIT,
    NOTE_EXTEND,
    NOTE_FORK,
    NOTE_LINKUP,
    NOTE_LOWAT,
    NOTE_MEMORYSTATUS_PRESSURE_WARN,
    NOTE_RENAME,
    NOTE_WRITE,
    kevent,
)
from tests.engines.scenes import SOON, Scene, key
from tests.support import installed
from tests.support.children import Child
from tests.support.plumbing import arrived, listener


class Added(Scene):
    """Changes that are all made, or as far as the list was read."""

    changes: list[kevent]

    def act(self) -> None:
        self.kq.control(self.changes, 0)

    def after(self, refused: OSError | None) -> None:
        there = self.registered()
        made = [key(change) in there for change in self.changes]
        assert made == sorted(made, reverse=True), made
        assert bool(refused) == (not all(made)), (refused, made)
        self.kq.control(self.changes[made.count(True) :], 0)
        self.works()

    def works(self) -> None:
        """They are told what happens from now on."""

    def until(self, done: Callable[[], object]) -> None:
        """Collect into got."""
        end = time.monotonic() + SOON
        while not done():
            left = end - time.monotonic()
            assert left > 0, f"never came; got {self.got}"
            self.got += self.kq.control(None, 16, min(left, 0.1))

    got: list[Any]


class File(Added):
    """A file and its directory are watched."""

    NOTES: ClassVar[int] = NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB | NOTE_RENAME | NOTE_DELETE

    def set(self) -> None:
        self.got = []
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.path = self.folder / "file"
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT)
        self.directory = os.open(self.folder, os.O_RDONLY)
        for fd in (self.fd, self.directory):
            self.stack.callback(os.close, fd)
        self.changes = [
            kevent(self.fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, self.NOTES),
            kevent(self.directory, EVFILT_VNODE, EV_ADD | EV_CLEAR, self.NOTES),
            kevent(self.fd, EVFILT_READ, EV_ADD | EV_CLEAR),
        ]

    def change(self) -> None:
        os.pwrite(self.fd, b"some", 0)
        os.fchmod(self.fd, 0o600)
        self.path.rename(self.folder / "other")

    def told(self) -> set[tuple[int, int]]:
        """(descriptor, one note); READ's note is 0."""
        notes = (NOTE_WRITE, NOTE_EXTEND, NOTE_ATTRIB, NOTE_RENAME, NOTE_DELETE)
        found = {(event.ident, 0) for event in self.got if event.filter == EVFILT_READ}
        return found | {(event.ident, note) for event in self.got for note in notes if event.fflags & note}

    def works(self) -> None:
        self.change()
        fd = self.fd
        wanted = {(fd, 0), (fd, NOTE_WRITE), (fd, NOTE_EXTEND), (fd, NOTE_ATTRIB), (fd, NOTE_RENAME)}
        self.until(lambda: wanted | {(self.directory, NOTE_WRITE)} <= self.told())


class FileTold(File):
    """What happened to them is collected."""

    def set(self) -> None:
        super().set()
        self.kq.control(self.changes, 0)
        self.kq.control(None, 8, 0)
        self.change()

    def act(self) -> None:
        self.got += self.kq.control(None, 8, 0)

    def after(self, refused: OSError | None) -> None:
        fd = self.fd
        wanted = {(fd, 0), (fd, NOTE_WRITE), (fd, NOTE_EXTEND), (fd, NOTE_ATTRIB), (fd, NOTE_RENAME)}
        self.until(lambda: wanted | {(self.directory, NOTE_WRITE)} <= self.told())
        self.got.clear()
        (self.folder / "other").unlink()
        self.until(lambda: {(self.fd, NOTE_DELETE), (self.directory, NOTE_WRITE)} <= self.told())


class FileLeft(File):
    """They are watched no more."""

    def set(self) -> None:
        super().set()
        self.kq.control(self.changes, 0)
        self.changes = [kevent(change.ident, change.filter, EV_DELETE) for change in self.changes]

    def after(self, refused: OSError | None) -> None:
        left = self.registered()
        self.kq.control([change for change in self.changes if key(change) in left], 0)
        assert not self.registered()
        self.change()
        assert self.kq.control(None, 8, 0) == []
        self.kq.control([kevent(self.fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, self.NOTES)], 0)
        os.pwrite(self.fd, b"more", 4)
        self.until(lambda: (self.fd, NOTE_WRITE) in self.told())


class Sizes(Scene):
    """What read(2) would give, where the number is told by a call of its own."""

    def set(self) -> None:
        self.sizes: dict[int, int] = {}
        counter = os.eventfd(3)
        file, path = tempfile.mkstemp()
        os.unlink(path)
        os.write(file, b"12345")
        os.lseek(file, 0, os.SEEK_SET)
        proc = os.open("/proc/self/status", os.O_RDONLY)
        libc = ctypes.CDLL(None)
        clock = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC)
        libc.timerfd_settime(clock, 0, (ctypes.c_long * 4)(0, 0, 0, 1), None)
        held = [(counter, 3), (file, 5), (proc, 0), (clock, 1)]
        if installed.has_message_queues():
            name = f"/knote-scene-{os.getpid()}".encode()
            queue = libc.mq_open(name, os.O_CREAT | os.O_RDWR | os.O_NONBLOCK, 0o600, None)
            libc.mq_unlink(name)
            for _ in range(2):
                libc.mq_send(queue, b"x", 1, 0)
            held.append((queue, 2))
        for fd, size in held:
            self.stack.callback(os.close, fd)
            self.sizes[fd] = size
        for family in (socket.AF_INET, socket.AF_UNIX):
            door = listener() if family == socket.AF_INET else socket.socket(family)
            self.stack.enter_context(door)
            if family == socket.AF_UNIX:
                door.bind("")
                door.listen(8)
            for _ in range(2):
                client = self.stack.enter_context(socket.socket(family))
                client.connect(door.getsockname())
            self.sizes[door.fileno()] = 2
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        b.send(b"123")
        self.stack.enter_context(a)
        self.stack.enter_context(b)
        self.sizes[a.fileno()] = 3
        self.changes = [kevent(fd, EVFILT_READ, EV_ADD | EV_CLEAR) for fd in self.sizes]
        self.got: list[Any] = []

    def act(self) -> None:
        self.kq.control(self.changes, 0)
        self.got += self.kq.control(None, 16, 0)

    def after(self, refused: OSError | None) -> None:
        there = self.registered()
        made = [key(change) in there for change in self.changes]
        assert made == sorted(made, reverse=True), made
        self.kq.control(self.changes[made.count(True) :], 0)
        end = time.monotonic() + SOON
        while len(self.got) < len(self.sizes):
            assert time.monotonic() < end, (self.got, self.sizes)
            self.got += self.kq.control(None, 16, 0.1)
        assert sorted(event.ident for event in self.got) == sorted(self.sizes)
        for event in self.got:
            # Where nobody would count there is one of it at least, or the number is not told.
            assert event.data in (self.sizes[event.ident], 1, 0), event


class Room(Added):
    """What can be written."""

    def set(self) -> None:
        self.got = []
        counter = os.eventfd(3)
        self.stack.callback(os.close, counter)
        pipe, pair = self.pipe(), self.pair()
        with listener() as door:
            tcp = self.tcp(door)
        fds = (counter, pipe.w, pair.fd_a, tcp.fd_a)
        self.changes = [kevent(fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT) for fd in fds]

    def act(self) -> None:
        super().act()
        self.got += self.kq.control(None, 8, 0)

    def after(self, refused: OSError | None) -> None:
        missing = [change for change in self.changes if key(change) not in self.registered()]
        self.kq.control([change for change in missing if key(change) not in map(key, self.got)], 0)
        self.until(lambda: len(self.got) >= len(self.changes))
        assert sorted(map(key, self.got)) == sorted(map(key, self.changes))
        if refused and not self.several:
            assert all(event.data > 0 for event in self.got)


class Marks(Added):
    """Edges above a low-water mark, and what is behind an urgent byte, which FIONREAD does not count."""

    def set(self) -> None:
        self.got = []
        pair = self.pair()
        pair.b.send(b"12345")
        with listener() as door:
            tcp = self.tcp(door)
        tcp.b.send(b"u", socket.MSG_OOB)
        tcp.b.send(b"12")
        arrived(tcp.fd_a)
        self.changes = [
            kevent(pair.fd_a, EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_LOWAT, 3),
            kevent(pair.fd_a, EVFILT_WRITE, EV_ADD | EV_CLEAR, NOTE_LOWAT, 3),
            kevent(tcp.fd_a, EVFILT_READ, EV_ADD | EV_CLEAR),
        ]
        self.kq.control(self.changes, 0)

    def act(self) -> None:
        self.got += self.kq.control(None, 8, 0)

    def after(self, refused: OSError | None) -> None:
        self.until(lambda: set(map(key, self.changes)) <= set(map(key, self.got)))


class Signals(Added):
    """Signals are counted, beside the program's handler."""

    NUMBER: ClassVar[int] = signal.SIGUSR2

    def set(self) -> None:
        self.got = []
        self.came = 0
        before = signal.signal(self.NUMBER, self.handle)
        self.stack.callback(signal.signal, self.NUMBER, before)
        self.changes = [kevent(self.NUMBER, EVFILT_SIGNAL, EV_ADD)]

    def handle(self, *_: object) -> None:
        self.came += 1

    def works(self) -> None:
        for count in (1, 2):
            os.kill(os.getpid(), self.NUMBER)
            self.until(lambda count=count: sum(event.data for event in self.got) >= count)
            assert (sum(event.data for event in self.got), self.came) == (count, count)
        self.kq.control([kevent(self.NUMBER, EVFILT_SIGNAL, EV_DELETE)], 0)
        assert signal.getsignal(self.NUMBER) == self.handle


class SignalsTold(Signals):
    def set(self) -> None:
        super().set()
        self.kq.control(self.changes, 0)
        os.kill(os.getpid(), self.NUMBER)

    def act(self) -> None:
        self.got += self.kq.control(None, 8, 0)

    def after(self, refused: OSError | None) -> None:
        self.until(lambda: self.got)
        assert [event.data for event in self.got] == [1]
        self.got.clear()
        self.came = 0
        self.works()


class Process(Added):
    """A child ends, and is told of by its number and by a descriptor; and forks."""

    def set(self) -> None:
        self.got = []
        self.child = Child(7, work=self.work)
        self.stack.callback(self.child.close)
        self.pidfd = os.pidfd_open(self.child.pid)
        self.stack.callback(os.close, self.pidfd)
        self.notes = NOTE_EXIT | (NOTE_FORK if installed.has_connector() else 0)
        self.changes = [
            kevent(self.child.pid, EVFILT_PROC, EV_ADD, self.notes),
            kevent(self.pidfd, EVFILT_PROCDESC, EV_ADD, NOTE_EXIT),
        ]

    @staticmethod
    def work() -> None:
        if not (pid := os.fork()):
            os._exit(0)
        os.waitpid(pid, 0)

    def works(self) -> None:
        self.child.end()
        told = {EVFILT_PROC: self.notes, EVFILT_PROCDESC: NOTE_EXIT}
        ends = [NOTE_EXIT]

        def whole() -> bool:
            return all(
                sum({event.fflags & note for event in self.got if event.filter == filt} & {note})
                for filt, notes in told.items()
                for note in (*ends, NOTE_FORK)
                if notes & note
            )

        self.until(whole)
        ended = {event.data for event in self.got if event.fflags & NOTE_EXIT}
        assert ended == {7 << 8} or (self.several and ended == {7 << 8, -1})


class ProcessTold(Process):
    def set(self) -> None:
        super().set()
        self.kq.control(self.changes, 0)
        self.child.end()

    def act(self) -> None:
        self.got += self.kq.control(None, 8, 0)

    def after(self, refused: OSError | None) -> None:
        self.works()


class System(Added):
    """Mounts, network interfaces and memory pressure."""

    def set(self) -> None:
        self.changes = [
            kevent(0, EVFILT_FS, EV_ADD),
            kevent(socket.if_nametoindex("lo"), EVFILT_NETDEV, EV_ADD, NOTE_LINKUP),
        ]
        if installed.pressure():
            self.changes.append(kevent(0, EVFILT_MEMORYSTATUS, EV_ADD, NOTE_MEMORYSTATUS_PRESSURE_WARN, 2000))

    def works(self) -> None:
        # Nothing has happened, and that is told.
        now = self.kq.control(None, 8, 0)
        assert [event for event in now if event.filter != EVFILT_MEMORYSTATUS] == []


SCENES: tuple[type[Scene], ...] = (
    File, FileTold, FileLeft, Sizes, Room, Marks, Signals, SignalsTold, Process, ProcessTold, System,
)  # fmt: skip
