"""select(2); the compiled twin is select.pyx over kn_select.h."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable

from knote._kernel._libc import function
from knote._kernel.poll import _poll, timespec
from knote._kernel.watchset import WatchSet

SETSIZE = 1024
_pselect = function("pselect", ctypes.c_int, *[ctypes.c_void_p] * 5)
_IN_RDHUP, _OUT, _PRI = 0x2001, 0x4, 0x2


class Select(WatchSet):
    """A set that select(2) waits on, and poll(2) of those few that are ready: it tells what they are ready for."""

    def _sleep(self, asked: bytearray, timeout_ns: int) -> int:
        sets = [bytearray(SETSIZE // 8) for _ in range(3)]
        view = memoryview(asked).cast("i")
        top = -1
        writers = False
        for i in range(0, len(view), 2):
            fd, events = view[i], view[i + 1] & 0xFFFF
            if fd >= SETSIZE:
                return -errno.ERANGE  # not let in by the engine
            for bits, one in zip((_IN_RDHUP, _OUT, _PRI), sets, strict=True):
                if events & bits:
                    one[fd >> 3] |= 1 << (fd & 7)
            writers |= events == _OUT
            top = max(top, fd)
        if writers and timeout_ns and self._tell(asked, lambda _, events: events == _OUT) > 0:
            # A hang-up for which there is no room to write ends no wait for room: who waits for nothing else is
            # asked by poll(2) before a sleep, and with every answer.
            timeout_ns = 0
        timeout = None if timeout_ns < 0 else ctypes.byref(timespec(*divmod(timeout_ns, 1_000_000_000)))
        raw = [(ctypes.c_char * len(one)).from_buffer(one) for one in sets]
        rc = _pselect(top + 1, *raw, timeout, None)
        view.release()
        if (rc == 0 and not writers) or (rc < 0 and rc != -errno.EBADF):
            return rc
        if rc < 0:
            return _poll(asked, 0)
        return self._tell(
            asked, lambda fd, events: events == _OUT or any(one[fd >> 3] >> (fd & 7) & 1 for one in sets)
        )

    @staticmethod
    def _tell(asked: bytearray, about: Callable[[int, int], bool]) -> int:
        # poll(2) of some of them: it passes over negative numbers.
        view = memoryview(asked).cast("i")
        for i in range(0, len(view), 2):
            if not about(view[i], view[i + 1] & 0xFFFF):
                view[i] = ~view[i]
        view.release()
        rc = _poll(asked, 0)
        view = memoryview(asked).cast("i")
        for i in range(0, len(view), 2):
            if view[i] < 0:
                view[i] = ~view[i]
        view.release()
        return rc
