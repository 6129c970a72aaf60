"""Contexts of Linux' AIO through ctypes.  See kn_aiohome.h for what they cost, and why a few are kept."""

from __future__ import annotations

import ctypes
import errno
import platform

from knote._kernel._libc import function
from knote._kernel.fork import fork_count
from knote._kernel.poll import timespec

_NUMBERS = {"x86_64": (206, 207, 208, 209, 210), "AMD64": (206, 207, 208, 209, 210)}
_SETUP, _DESTROY, _GETEVENTS, _SUBMIT, _CANCEL = _NUMBERS.get(platform.machine(), (0, 1, 4, 2, 3))
_syscall = function("syscall", *[ctypes.c_long] * 3, *[ctypes.c_void_p] * 3)
_KEPT_ROOM, _KEPT = 1024, 4
POLL = 5
BATCH = 64
WAKE = 0xFFFF_FFFF_FFFF_FFFF

_kept: list[Home] = []


class Iocb(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("opcode", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("fildes", ctypes.c_uint32),
        ("buf", ctypes.c_uint64),
        ("nbytes", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("more", ctypes.c_uint32),
        ("resfd", ctypes.c_uint32),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_uint64),
        ("obj", ctypes.c_uint64),
        ("res", ctypes.c_int64),
        ("res2", ctypes.c_int64),
    )


class Home:
    """A context, with room for so many requests."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.inside = 0
        self.serial = 0
        self.stuck = False
        """A request could not be taken back: only io_destroy(2) ends it."""
        self.ended = False
        """Which it has: io_getevents(2) says EINVAL, and its number may be another's soon."""
        self.forks = fork_count()
        made = ctypes.c_ulong(0)
        self.error = _syscall(_SETUP, room, ctypes.addressof(made), None, None, None)
        self.ctx = made.value

    def submit(self, blocks: list[Iocb]) -> int:
        """How many were taken, or the first one's -errno."""
        rows = (ctypes.c_void_p * len(blocks))(*[ctypes.addressof(block) for block in blocks])
        return _syscall(_SUBMIT, self.ctx, len(blocks), ctypes.addressof(rows), None, None)

    def reports(self, least: int, most: int, timeout_ns: int) -> list[tuple[int, int]] | int:
        """(data, result) of each, or -errno."""
        events = (_Event * most)()
        left = timespec(*divmod(max(timeout_ns, 0), 1_000_000_000))
        timeout = None if timeout_ns < 0 else ctypes.addressof(left)
        n = _syscall(_GETEVENTS, self.ctx, least, most, ctypes.addressof(events), timeout)
        return n if n < 0 else [(events[i].data, events[i].res) for i in range(n)]

    def cancel(self, block: Iocb) -> None:
        """Its report comes, at some later time."""
        if self.ended:
            return
        unused = _Event()
        rc = _syscall(_CANCEL, self.ctx, ctypes.addressof(block), ctypes.addressof(unused), None, None)
        # EINPROGRESS: it reports later; EINVAL: it has reported.  Otherwise it holds its file and its room for
        # good.
        if rc not in (0, -errno.EINPROGRESS, -errno.EINVAL):
            self.stuck = True

    def wake(self, fd: int) -> int:
        """A report, at once.  1, or -errno."""
        return self.submit([Iocb(data=WAKE, opcode=POLL, fildes=fd, buf=1)])

    def reap(self) -> list[tuple[int, int]] | int:
        """Take reports out, of cancelled polls too, for which it waits a little."""
        return self.reports(1, BATCH, 10_000_000)

    def rouse(self, fd: int) -> None:
        """Wake one that sleeps here though it is not the set's any more, and who wakes the next; or all, by its
        end."""
        if not self.ended and self._press(fd) < 0:
            self.end()

    def _press(self, fd: int) -> int:
        # As wake(), where what takes its room is nobody's now.
        while True:
            rc = self.wake(fd)
            came = self.reap() if rc == -errno.EAGAIN else 0
            if isinstance(came, int) or not came:
                return rc

    def tried(self, fd: int) -> int:
        """Whether the kernel knows such polls: 0, or -errno.  Nobody waits here."""
        rc = self._press(fd)
        if rc == 1:
            self.reap()
        return min(rc, 0)

    def leave(self) -> None:
        """Keep it for the next set, or give it back.  Nobody waits here."""
        if self.forks != fork_count():
            return
        if self.room <= _KEPT_ROOM and len(_kept) < _KEPT and not self.stuck:
            _kept.append(self)
        else:
            self.end()

    def end(self) -> None:
        """What is under way here ends, and whoever sleeps here wakes."""
        if not self.ended:
            self.ended = self.stuck = True
            _syscall(_DESTROY, self.ctx, 0, None, None, None)


def home_for(room: int, wake: int) -> Home:
    """One that was kept and has room for so many, or a new one; `error` says why there is none.  A kept one that
    is full of what does not come out is given back: 40 ms, and not the EAGAIN that is fs.aio-max-nr's."""
    small = []
    made = None
    while made is None and _kept:
        kept = _kept.pop()
        if kept.forks != fork_count():
            continue
        if kept.room < room:
            small.append(kept)
            continue
        kept.error = kept.tried(wake)
        if kept.error == -errno.EAGAIN:
            kept.end()
        else:
            made = kept
    for kept in small:
        kept.leave()
    if made is None:
        made = Home(room)
        if made.error < 0:
            return made
        made.error = made.tried(wake)
    if made.error < 0:
        made.leave()
    return made
