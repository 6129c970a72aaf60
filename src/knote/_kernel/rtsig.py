"""Signals that tell of descriptors, through ctypes; the compiled twin is rtsig.pyx over kn_rtsig.h."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import itertools
import os
import signal
import socket
import stat
import struct
import threading
import time
from _thread import get_native_id

from knote._kernel._libc import function
from knote._kernel.fork import fork_count
from knote._kernel.poll import Poll

_F_SETSIG, _F_GETSIG, _F_SETOWN_EX, _F_GETOWN_EX, _OWNER_TID = 10, 11, 15, 16, 0
_FIOASYNC = 0x5452
_OWNER = struct.Struct("ii")
_KERNEL, _POLL_IN, _POLL_HUP = 0x80, 1, 6
_INFO = struct.Struct("iii4xli" if ctypes.sizeof(ctypes.c_long) == 8 else "iiili")
_PID = struct.Struct("i")
_OUT = 0x4
_SI_QUEUE, _SI_TKILL = -1, -6
_wait = function("sigwaitinfo", ctypes.c_char_p, ctypes.c_char_p)
_queue = function("syscall", ctypes.c_long, ctypes.c_long, ctypes.c_long, ctypes.c_char_p)
_RT_SIGQUEUEINFO = {"x86_64": 129, "AMD64": 129}.get(os.uname().machine, 138)


def _mask(*signals: int) -> bytes:
    bits = sum(1 << number - 1 for number in signals)
    return bits.to_bytes(128, "little")


def _pick() -> int:
    # The highest that nobody handles.
    for number in range(signal.SIGRTMAX, signal.SIGRTMIN, -1):
        if signal.getsignal(number) is signal.SIG_DFL:
            return number
    return int(signal.SIGRTMAX)


class RtSignals(Poll):
    """A set of which signals tell, where they tell all; the rest is polled at each wait."""

    def __init__(self) -> None:
        super().__init__()
        self._owned: dict[int, tuple[int, bytes]] = {}
        self._forks = fork_count()
        self._signo = _pick()
        self._serial = itertools.count(1)
        self._ends = False
        self._tid = 0
        if self.wake < 0:
            return
        self._thread = threading.Thread(target=self._listen, name="knote-rtsig", daemon=True)
        started = threading.Event()
        self._started = started
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        except RuntimeError:
            super().close()
            self.wake = -errno.EAGAIN
            return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        started.wait()

    def _listen(self) -> None:
        self._tid = get_native_id()
        self._started.set()
        ours = _mask(self._signo, signal.SIGIO)
        info = ctypes.create_string_buffer(128)
        while True:
            got = _wait(ours, info)
            if self._ends:
                return
            if got > 0:
                self._take(info)

    def _take(self, info: ctypes.Array[ctypes.c_char]) -> None:
        signo, _, code, _, fd = _INFO.unpack_from(info)
        (pid,) = _PID.unpack_from(info, 16)
        if signo == self._signo and _POLL_IN <= code <= _POLL_HUP:
            self._heard([fd])
        elif signo == signal.SIGIO and (code == _KERNEL or (code == 0 and not pid)):
            self._heard(list(self._news.copy()))  # Signals were lost: any may have been about any.
        else:
            # Only a process' first thread may repeat kill(2)'s words, SI_USER; of any other that is EPERM, and the
            # signal would be lost.  As SI_QUEUE it keeps its sender.
            if code >= 0 or code == _SI_TKILL:
                _PID.pack_into(info, 8, _SI_QUEUE)
            _queue(_RT_SIGQUEUEINFO, os.getpid(), signo, info.raw)
            time.sleep(0.01)  # It is whoever waits for it who shall get it.

    def _heard(self, fds: list[int]) -> None:
        with self._lock:
            asleep = False
            for fd in fds:
                if fd in self._news:
                    asleep |= self._news[fd] == 0
                    self._news[fd] = next(self._serial)
            if asleep:
                self._changed()

    def put(self, fd: int, mask: int, token: int) -> int:
        """WatchSet.put(); and the signals of the file are this set's, or given back."""
        rc = super().put(fd, mask, token)
        if rc < 0:
            return rc
        with self._lock:
            self._news.pop(fd, None)
        if not mask or not self._tells_all(fd, mask):
            self._release(fd)
        elif self._own(fd):
            # What was there before is told by nobody.
            with self._lock:
                self._news[fd] = next(self._serial)
        return 0

    def clear(self) -> None:
        """WatchSet.clear()."""
        super().clear()
        for fd in list(self._owned):
            self._release(fd)

    def _tells_all(self, fd: int, mask: int) -> bool:
        # Whether signals tell of everything that poll(2) tells of such a file.
        try:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISSOCK(mode):
                return stat.S_ISFIFO(mode)
            # Borrowed, so that nothing is left open when the kernel does not tell what it is.
            one = socket.socket(fileno=fd)
            try:
                if one.family == socket.AF_UNIX:
                    return not mask & _OUT
                known = socket.IPPROTO_TCP, socket.IPPROTO_UDP
                return one.family in (socket.AF_INET, socket.AF_INET6) and one.proto in known
            finally:
                one.detach()
        except OSError:
            return False

    def _is_ours(self, fd: int) -> bool:
        try:
            owner = fcntl.fcntl(fd, _F_GETOWN_EX, bytes(8))
            return fcntl.fcntl(fd, _F_GETSIG) == self._signo and _OWNER.unpack(owner) == (_OWNER_TID, self._tid)
        except OSError:
            return False

    def _own(self, fd: int) -> bool:
        # Unless it has an owner or signals already, of whom it is.
        try:
            flags = fcntl.fcntl(fd, fcntl.F_GETFL)
            if fd in self._owned and flags & os.O_ASYNC and self._is_ours(fd):
                return True
            self._owned.pop(fd, None)
            owner = fcntl.fcntl(fd, _F_GETOWN_EX, bytes(8))
            if flags & os.O_ASYNC or _OWNER.unpack(owner)[1]:
                return False
            self._owned[fd] = fcntl.fcntl(fd, _F_GETSIG), owner
            fcntl.fcntl(fd, _F_SETOWN_EX, _OWNER.pack(_OWNER_TID, self._tid))
            fcntl.fcntl(fd, _F_SETSIG, self._signo)
            fcntl.ioctl(fd, _FIOASYNC, struct.pack("i", 1))
            return True
        except OSError:
            self._release(fd)
            return False

    def _release(self, fd: int) -> None:
        before = self._owned.pop(fd, None)
        if before is None or not self._is_ours(fd):
            return
        with contextlib.suppress(OSError):
            fcntl.ioctl(fd, _FIOASYNC, struct.pack("i", 0))
            fcntl.fcntl(fd, _F_SETSIG, before[0])
            fcntl.fcntl(fd, _F_SETOWN_EX, before[1])

    def close(self) -> None:
        """Give everything back.  Idempotent; nobody waits any more."""
        if self.wake >= 0 and self._forks == fork_count():
            for fd in list(self._owned):
                self._release(fd)
            self._ends = True
            signal.pthread_kill(self._thread.ident or 0, signal.SIGIO)
            self._thread.join()
        super().close()
