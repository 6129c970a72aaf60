"""io_uring(7) through ctypes and mmap; the compiled twin is uring.pyx over kn_uring.h."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import struct
from typing import Any

from knote._kernel._libc import function

_SETUP, _ENTER, _REGISTER = 425, 426, 427  # the same on every architecture that Linux 5.1 had
_OFF_SQES = 0x10000000
_SETUP_CQSIZE, _SETUP_CLAMP = 1 << 3, 1 << 4
_SINGLE_MMAP, _NODROP = 1 << 0, 1 << 1
_ENTER_GETEVENTS = 1
_SQ_CQ_OVERFLOW, _SQ_TASKRUN = 1 << 1, 1 << 2
_REGISTER_EVENTFD, _REGISTER_PROBE = 4, 8
_CQ_EVENTFD_DISABLED = 1
_OP_SUPPORTED = 1
_CAPACITY = 256
_SQE = struct.Struct("<BBHiQQIIQ24x")
_CQE = struct.Struct("<QiI")
_syscall = function("syscall", *[ctypes.c_long] * 5, ctypes.c_void_p, ctypes.c_long)


class _Params(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_uint32)
        for name in ["sq_entries", "cq_entries", "flags", "sq_thread_cpu", "sq_thread_idle", "features", "wq_fd"]
    ) + (("resv", ctypes.c_uint32 * 3), ("sq_off", ctypes.c_uint32 * 10), ("cq_off", ctypes.c_uint32 * 10))


def why_not_here() -> str:
    """Why this build cannot share queues with the kernel; '' if it can.  Python has no barriers: where the
    processor reorders stores it would read what is not written yet (io_uring(7), "Memory ordering")."""
    machine = platform.machine()
    return "" if machine in ("x86_64", "AMD64", "i686") else f"the interpreted build has no barriers for {machine}"


class Uring:
    """One ring with both its queues; every call gives n or -errno, and so does fd."""

    def __init__(self, entries: int, completions: int, flags: int) -> None:
        self._landed: list[tuple[int, int, int]] = []
        self._rings: mmap.mmap | None = None
        self._sqes: mmap.mmap | None = None
        self._words: Any = None
        self._tail = self._setup = 0
        self._sq_entries = self._sq_mask = self._cq_mask = self._cqes = 0
        self._sq_head = self._sq_tail = self._sq_flags = self._cq_head = self._cq_tail = self._cq_flags = 0
        self.fd = self._open(entries, completions, flags)

    def _open(self, entries: int, completions: int, flags: int) -> int:
        params = _Params()
        while True:
            params = _Params(flags=flags | _SETUP_CQSIZE | _SETUP_CLAMP, cq_entries=completions)
            fd = _syscall(_SETUP, entries, ctypes.addressof(params), 0, 0, None, 0)
            if fd != -errno.EINVAL or not flags:
                break
            flags = 0
        if fd < 0:
            return fd
        if params.features & (_SINGLE_MMAP | _NODROP) != _SINGLE_MMAP | _NODROP:
            os.close(fd)
            return -errno.ENOSYS
        sq, cq = params.sq_off, params.cq_off
        size = max(sq[6] + params.sq_entries * 4, cq[5] + params.cq_entries * _CQE.size)
        try:
            self._rings = mmap.mmap(fd, size, mmap.MAP_SHARED)
            self._sqes = mmap.mmap(fd, params.sq_entries * _SQE.size, mmap.MAP_SHARED, offset=_OFF_SQES)
        except OSError as error:
            if self._rings is not None:
                self._rings.close()
            os.close(fd)
            return -(error.errno or 0)
        self._setup = params.flags
        self._words = memoryview(self._rings)[: size & ~3].cast("I")
        self._sq_entries = params.sq_entries
        self._sq_mask, self._cq_mask = params.sq_entries - 1, params.cq_entries - 1
        self._sq_head, self._sq_tail, self._sq_flags = sq[0] // 4, sq[1] // 4, sq[4] // 4
        self._cq_head, self._cq_tail, self._cqes = cq[0] // 4, cq[1] // 4, cq[5]
        self._cq_flags = cq[6] // 4
        self._tail = self._words[self._sq_tail]
        for i in range(params.sq_entries):
            self._words[sq[6] // 4 + i] = i
        return fd

    def _pending(self) -> int:
        pending: int = (self._tail - self._words[self._sq_head]) & 0xFFFF_FFFF
        return pending

    def setup(self) -> int:
        """Which of the flags of its set-up the kernel knew."""
        return self._setup

    def room(self) -> int:
        """How many entries can be prepared before the next submit()."""
        return self._sq_entries - self._pending()

    def knows(self, op: int) -> int:
        """Whether the kernel has this operation, 0 or 1; -errno where it cannot be asked."""
        probe = bytearray(16 + 256 * 8)
        view = (ctypes.c_char * len(probe)).from_buffer(probe)
        rc = _syscall(_REGISTER, self.fd, _REGISTER_PROBE, ctypes.addressof(view), 256, None, 0)
        if rc < 0:
            return rc
        known: int = probe[1]
        return int(op < known and probe[16 + op * 8 + 2] & _OP_SUPPORTED != 0)

    def prepare(self, op: int, fd: int, addr: int, len: int, offset: int, flags: int, token: int) -> int:
        """Write the next entry: 0, or -EBUSY when the queue is full until the next submit()."""
        if self._pending() == self._sq_entries:
            return -errno.EBUSY
        assert self._sqes is not None
        at = (self._tail & self._sq_mask) * _SQE.size
        offset &= 0xFFFF_FFFF_FFFF_FFFF
        _SQE.pack_into(self._sqes, at, op, 0, 0, fd, offset, addr, len, flags & 0xFFFF_FFFF, token)
        self._tail = (self._tail + 1) & 0xFFFF_FFFF
        return 0

    def submit(self, wait: int) -> int:
        """Hand over what was prepared, and wait for so many completions; how many entries the kernel took."""
        n = self._pending()
        waiting = self._words[self._sq_flags] & (_SQ_CQ_OVERFLOW | _SQ_TASKRUN)
        flags = _ENTER_GETEVENTS if wait or waiting else 0
        self._words[self._sq_tail] = self._tail
        if not n and not flags:
            return 0
        return _syscall(_ENTER, self.fd, n, wait, flags, None, 8)

    def at_once(self) -> int:
        """Carry out what has nothing to wait for.  From Python each would cost more than the ring's: none."""
        return 0

    def notify(self, eventfd: int) -> int:
        """Have an eventfd raised whenever there are completions, or work that waits until they are asked for."""
        number = ctypes.c_int(eventfd)
        return _syscall(_REGISTER, self.fd, _REGISTER_EVENTFD, ctypes.addressof(number), 1, None, 0)

    def settle(self) -> int:
        """As submit(0), without raising the eventfd for the completions that this brings, and until all that was
        put off is done.  1 if there is more all the same, for which the eventfd may not have been raised."""
        self._words[self._cq_flags] |= _CQ_EVENTFD_DISABLED
        rc = self.submit(0)
        rounds = 1024
        while rc >= 0 and rounds and self._words[self._sq_flags] & _SQ_TASKRUN:
            rc = self.submit(0)
            rounds -= 1
        self._words[self._cq_flags] &= ~_CQ_EVENTFD_DISABLED & 0xFFFF_FFFF
        return rc if rc < 0 else int(self._words[self._sq_flags] & _SQ_TASKRUN != 0)

    def landed(self) -> bool:
        """Whether there are completions to reap, or work that is put off until they are asked for."""
        if self._words[self._sq_flags] & _SQ_TASKRUN:
            return True
        landed: bool = self._words[self._cq_head] != self._words[self._cq_tail]
        return landed

    def retract(self) -> int:
        """Take back what the kernel has not taken: how many entries, the last ones; token() as after reap()."""
        assert self._sqes is not None
        n = self._pending()
        self._tail = (self._tail - n) & 0xFFFF_FFFF
        places = [((self._tail + i) & self._sq_mask) * _SQE.size for i in range(n)]
        self._landed = [(_SQE.unpack_from(self._sqes, at)[8], -errno.ECANCELED, 0) for at in places]
        self._words[self._sq_tail] = self._tail
        return n

    def overflowed(self) -> bool:
        """Whether completions found their queue full: the next submit() moves them there."""
        flags: int = self._words[self._sq_flags]
        return flags & _SQ_CQ_OVERFLOW != 0

    def reap(self, most: int) -> int:
        """Take completions out, at most so many and 256; how many.  No system call."""
        assert self._rings is not None
        head, tail = self._words[self._cq_head], self._words[self._cq_tail]
        self._landed = []
        while head != tail and len(self._landed) < min(most, _CAPACITY):
            self._landed.append(_CQE.unpack_from(self._rings, self._cqes + (head & self._cq_mask) * _CQE.size))
            head = (head + 1) & 0xFFFF_FFFF
        self._words[self._cq_head] = head
        return len(self._landed)

    def token(self, i: int) -> int:
        """The i-th completion's token."""
        return self._landed[i][0]

    def result(self, i: int) -> int:
        """Its result: what the system call would have given, or -errno."""
        return self._landed[i][1]

    def flags(self, i: int) -> int:
        """Its IORING_CQE_F_*."""
        return self._landed[i][2]

    def close(self) -> None:
        """Unmap and close; idempotent.  What the kernel has under way, it cancels at some later time."""
        if self.fd < 0:
            return
        self._words.release()
        for mapped in (self._rings, self._sqes):
            if mapped is not None:
                mapped.close()
        os.close(self.fd)
        self.fd = -1
