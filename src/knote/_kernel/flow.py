"""Streams through a ring through ctypes; the compiled twin is flow.pyx over kn_flow.h, which says why."""

from __future__ import annotations

import ctypes
import errno
import mmap
import socket
import struct

from knote._kernel._libc import function
from knote._kernel.uring import Uring

_SQE = struct.Struct("<BBHiQQIIQ24x")
_SLOT = struct.Struct("<QIH")
_TAIL = struct.Struct("<H")
_REGISTER, _REGISTER_BUFFERS = 427, 22
_POLL, _ACCEPT, _CANCEL, _SEND, _RECV = 6, 13, 14, 26, 27
_BUFFER_SELECT, _SKIP_SUCCESS = 1 << 5, 1 << 6
_ACCEPT_MULTISHOT, _RECV_MULTISHOT = 1 << 0, 1 << 1
_ALL_OF_ANY = 1 << 0 | 1 << 2
_NOW = socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT | socket.MSG_WAITALL
_MOST = 1 << 30
_EAGER, _SERVED = 2048, 64
"""As in kn_flow.h."""
_DEFER_TASKRUN = 1 << 13
_GAP = 5 * 64
_madvise = function("madvise", ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_register = function("syscall", *[ctypes.c_long] * 3, ctypes.c_void_p, ctypes.c_long)


def _address(data: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


class Flow:
    """Accepts, receives into a pool of buffers, and sends, through the ring of an Uring.  Tokens are 64 bits, of
    which a send's hold its number in bits 32 to 55."""

    def __init__(self, uring: Uring, entries: int, size: int) -> None:
        self._uring = uring
        self._size = size
        self._entries = entries
        self._made = 0
        self._away = self._most = 0
        self._tail = 0
        self._landed: list[tuple[int, int, int]] = []
        self._lengths = [0] * entries
        self._now: list[int | bytes] = []
        self._before: list[int | bytes] = []
        # The kernel wants the slots at the start of a page.
        self._slots = ctypes.create_string_buffer(entries * 16 + 4096)
        at = ctypes.addressof(self._slots)
        self._skip = -at % 4096
        self._memory = ctypes.create_string_buffer(entries * (size + _GAP))
        self._base = ctypes.addressof(self._memory)
        registration = struct.pack("<QIHH24x", at + self._skip, entries, 0, 0)
        self.is_open = _register(_REGISTER, uring.fd, _REGISTER_BUFFERS, _address(registration), 1) == 0

    def _next(self, op: int, fd: int, token: int, flags: int, ioprio: int, addr: int, len: int, rw: int) -> int:
        uring = self._uring
        if uring._pending() == uring._sq_entries:
            uring.submit(0)
            if uring._pending() == uring._sq_entries:
                return -errno.EBUSY
        assert uring._sqes is not None
        at = (uring._tail & uring._sq_mask) * _SQE.size
        _SQE.pack_into(uring._sqes, at, op, flags, ioprio, fd, 0, addr, len, rw, token)
        uring._tail = (uring._tail + 1) & 0xFFFF_FFFF
        return 0

    def token(self, i: int) -> int:
        """The i-th completion's token."""
        return self._landed[i][0]

    def result(self, i: int) -> int:
        """Its result."""
        return self._landed[i][1]

    def more(self, i: int) -> bool:
        """Whether its operation goes on."""
        return self._landed[i][2] & 2 != 0

    def buffer(self, i: int) -> int:
        """The buffer that it received into; -1 if none."""
        flags = self._landed[i][2]
        return flags >> 16 if flags & 1 else -1

    def give(self, bid: int) -> None:
        """The kernel may receive into this buffer again."""
        at = self._skip + (self._tail & (self._entries - 1)) * 16
        _SLOT.pack_into(self._slots, at, self._base + bid * (self._size + _GAP), self._size, bid)
        self._tail = (self._tail + 1) & 0xFFFF
        self._away -= 1
        _TAIL.pack_into(self._slots, self._skip + 14, self._tail)

    def grow(self, count: int) -> int:
        """More buffers, up to so many in all: how many there are."""
        while self._made < min(count, self._entries):
            self._away += 1
            self.give(self._made)
            self._made += 1
        return self._made

    def most(self) -> int:
        """Buffers that were in use at once since shrink() was last called."""
        return self._most

    def shrink(self, count: int) -> int:
        """Only so many buffers, if none is in use and the kernel takes none by itself: how many there are.  The
        memory of the others goes back to the system."""
        self._most = self._away
        is_still = not self._away and not self._uring.landed() and not self._uring.overflowed()
        if is_still and count < self._made and self._uring._setup & _DEFER_TASKRUN:
            self._tail = (self._tail - self._made) & 0xFFFF
            self._made = 0
            self.grow(count)
            self._away = 0
            start = -(-(self._base + count * (self._size + _GAP)) // 4096) * 4096
            _madvise(start, max(self._base + len(self._memory) - start, 0) // 4096 * 4096, mmap.MADV_DONTNEED)
        return self._made

    def take(self, bid: int, count: int) -> bytes:
        """A copy of what a buffer holds."""
        at = bid * (self._size + _GAP)
        return bytes(memoryview(self._memory)[at : at + count])

    def upper(self, bid: int, count: int) -> None:
        """What it holds in upper case, as bytes.upper()."""
        at = bid * (self._size + _GAP)
        memoryview(self._memory)[at : at + count].cast("B")[:] = self.take(bid, count).upper()

    def accept(self, fd: int, token: int) -> int:
        """Accept until it is cancelled.  This and those below: 0, or -EBUSY while the queue is full."""
        nonblock = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        return self._next(_ACCEPT, fd, token, 0, _ACCEPT_MULTISHOT, 0, 0, nonblock)

    def receive(self, fd: int, once: bool, token: int) -> int:
        """Receive into one buffer, or until it is cancelled, the end comes, or no buffer is left."""
        return self._next(_RECV, fd, token, _BUFFER_SELECT, 0 if once else _RECV_MULTISHOT, 0, 0, 0)

    def poll(self, fd: int, token: int) -> int:
        """One completion when the descriptor is readable."""
        return self._next(_POLL, fd, token, 0, 0, 0, 0, 1)

    def cancel(self, target: int, everything: bool, token: int) -> int:
        """Cancel what has the token target, or everything; a completion only if there is nothing."""
        return self._next(_CANCEL, -1, token, _SKIP_SUCCESS, 0, target, 0, _ALL_OF_ANY if everything else 0)

    def send_buffer(self, fd: int, bid: int, count: int, token: int) -> int:
        """Send what a buffer holds, without waiting.  It is given back by recycle()."""
        self._lengths[bid] = count
        self._now.append(bid)
        at = self._base + bid * (self._size + _GAP)
        return self._next(_SEND, fd, token | len(self._now) - 1 << 32, _SKIP_SUCCESS, 0, at, count, _NOW)

    def send_bytes(self, fd: int, data: bytes, token: int) -> int:
        """Send bytes, without waiting; they are held until recycle()."""
        self._now.append(data)
        number = len(self._now) - 1
        return self._next(_SEND, fd, token | number << 32, _SKIP_SUCCESS, 0, _address(data), len(data), _NOW)

    def send_rest(self, fd: int, data: bytes, skip: int, token: int) -> int:
        """Send bytes from there on when there is room; the completion says how many were taken.  They are the
        caller's to hold."""
        left = min(len(data) - skip, _MOST)
        return self._next(_SEND, fd, token, 0, 0, _address(data) + skip, left, socket.MSG_NOSIGNAL)

    def unsent(self, k: int, done: int) -> bytes:
        """What is left of the k-th send of the last submission, of which so many bytes were taken."""
        what = self._before[k]
        return what[done:] if isinstance(what, bytes) else self.take(what, self._lengths[what])[done:]

    def submit(self, wait: int) -> int:
        """Hand over what is prepared, and wait for so many completions: 0, or -errno; with EBUSY and EAGAIN not
        all is handed over."""
        rc = self._uring.submit(wait)
        if self._uring._pending() == 0:
            self._now, self._before = self._before, self._now
            return min(rc, 0)
        return rc if rc < 0 else -errno.EAGAIN

    def reap(self, eager: bool) -> int:
        """Take all completions out: how many.  eager: those, too, that the kernel has not made yet of what has
        happened, up to some 2000, of which 64 have a buffer."""
        self._landed = []
        filled = 0
        while True:
            while self._uring.reap(256):
                self._landed += self._uring._landed
                filled += sum(flags & 1 for _token, _result, flags in self._uring._landed)
            count = len(self._landed)
            enough = not eager or count >= _EAGER or filled >= _SERVED or not self._uring.landed()
            if enough and not self._uring.overflowed():
                self._away += filled
                self._most = max(self._most, self._away)
                return count
            self._uring.submit(0)

    def recycle(self) -> None:
        """The completions of the last submission have been looked through: its buffers are given back."""
        for what in self._before:
            if not isinstance(what, bytes):
                self.give(what)
        self._before.clear()

    def close(self) -> None:
        """Give the memory back, after the ring was closed."""
        self.is_open = False
