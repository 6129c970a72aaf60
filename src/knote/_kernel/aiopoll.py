"""Polls of Linux' AIO through ctypes; the compiled twin is aiopoll.pyx over kn_aiopoll.h.

A change is made under the queue's lock, where no signal handler of this thread makes another; a wait is not, so a
handler can change everything between two lines of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time

from knote._kernel._aiohome import BATCH, POLL, WAKE, Home, Iocb, home_for
from knote._kernel.batch import Batch
from knote._kernel.fork import fork_count
from knote._kernel.time import close_fd, wake_raise
from knote._kernel.watchset import WatchSet

_ROOM, _REPORTS = 64, 256
_OTHERS = WAKE - 1
_ERR, _HUP, _NVAL = 0x8, 0x10, 0x20


class _One:
    """A number that is watched; with a serial other than 0 a request is under way."""

    __slots__ = ("cb", "mask", "other", "serial", "token", "turn")

    def __init__(self, mask: int, token: int) -> None:
        self.mask = mask
        self.token = token
        self.cb: Iocb | None = None
        self.serial = 0
        self.turn = 0
        self.other = False


class AioPolls(WatchSet):
    """A set that Linux' AIO polls, one request a descriptor."""

    def __init__(self) -> None:
        super().__init__()
        self._all: dict[int, _One] = {}
        self._due: dict[int, None] = {}
        self._turn = 0
        self._others: select.epoll | None = None
        if self.wake < 0:
            return
        rc = wake_raise(self.wake)
        if rc < 0:
            close_fd(self.wake)
            self.wake = rc
            return
        self._home = home_for(_ROOM, self.wake)
        rc = self._home.error
        if rc < 0:
            os.close(self.wake)
            self.wake = rc

    def lost(self) -> bool:
        """A number was closed, or became another file."""
        return self._lost

    def reserve(self, more: int, fd: int) -> int:
        """Room for more descriptors: put() cannot fail for want of it then.  1 if there is none."""
        with self._lock:
            needed = len(self._all) + more
            return int(needed > self._home.room and self._move(needed) < 0)

    def _move(self, needed: int) -> int:
        # Into a context with room for so many.
        room = self._home.room
        least = needed + _ROOM - 1 - room
        extra = max(3 * room, least)
        home = home_for(room + extra, self.wake)
        while home.error == -errno.EAGAIN and extra > least:
            extra = max(extra // 2, least)
            home = home_for(room + extra, self.wake)
        return self._into(home)

    def _renew(self) -> int:
        # Into one like it: this one has no room that would come back, or holds a file that it should not.
        return self._into(home_for(self._home.room, self.wake))

    def _into(self, home: Home) -> int:
        # Into another context, with all that is watched.
        if home.error < 0:
            return home.error
        old = self._home
        for fd, one in self._all.copy().items():
            if one.serial:
                self._cancel(fd, one, old)
                self._due[fd] = None
        if self._home is not old:
            home.leave()  # a signal handler was faster
            return 0
        self._home = home
        if old.inside:
            old.rouse(self.wake)
        else:
            old.leave()
        return 0

    def _cancel(self, fd: int, one: _One, home: Home) -> None:
        if one.serial and one.cb is not None:
            home.cancel(one.cb)
        if one.other and self._others is not None:
            with contextlib.suppress(OSError):
                self._others.unregister(fd)
        one.serial = 0
        one.other = False

    def _other(self, fd: int, one: _One) -> int:
        # Into the epoll set with one that cannot be polled here.
        try:
            if self._others is None:
                self._others = select.epoll()
                number = self._others.fileno()
                self._all[number] = _One(1, _OTHERS)
                self._due[number] = None
            self._others.register(fd, one.mask)
        except FileExistsError:
            pass
        except OSError as error:
            return -(error.errno or 0)
        one.other = True
        return 0

    def put(self, fd: int, mask: int, token: int) -> int:
        """Watch fd for mask under token; with 0 no longer.  0 or -errno."""
        mask &= 0x7FFF
        with self._lock:
            before = self._all.get(fd)
            if before is not None and mask and before.token != token:
                self._lost = True  # the number had another life, which nobody ended
            if not mask:
                if before is not None:
                    del self._all[fd]
                    self._cancel(fd, before, self._home)
                    if self._home.stuck:
                        self._renew()
                return 0
            if before is not None and (before.mask, before.token) == (mask, token):
                return 0
            if before is None and len(self._all) >= self._home.room:
                rc = self._move(len(self._all) + 1)
                if rc < 0:
                    return rc
            if before is not None:
                self._cancel(fd, before, self._home)
                if self._home.stuck:
                    self._renew()
            one = _One(mask, token)
            self._all[fd] = one
            self._due[fd] = None
            rc = self._arm(0) if self._home.inside else 0
            if rc == 0:
                return 0
            if one.serial or one.other:
                rc = 0  # it is another one's trouble, which a wait will meet
            elif before is None:
                del self._all[fd]
            else:
                self._all[fd] = before
            self._warn()
            return rc

    def _warn(self) -> None:
        # Those who sleep would not hear of what is due and could not be submitted: they wake, and meet what is in
        # the way themselves.
        every = [self._all.get(fd) for fd in self._due.copy()]
        owed = any(due is not None and not due.serial and not due.other for due in every)
        if owed and self._home.inside and not self._home.ended and self._home.wake(self.wake) < 0:
            self._home.end()

    def clear(self) -> None:
        """Watch nothing."""
        with self._lock:
            every = self._all.copy()
            self._all.clear()
            self._due.clear()
            self._lost = False
            for fd, one in every.items():
                self._cancel(fd, one, self._home)
            if self._home.stuck:
                self._renew()
            if self._others is not None:
                self._others.close()
                self._others = None

    def _arm(self, turn: int) -> int:
        # Submit what is due; 0 or -errno, and what was not submitted is due still.
        renewed = False
        if self._home.stuck:
            rc = self._renew()
            if rc < 0 and self._home.ended:
                return rc
            renewed = rc == 0
        while self._due:
            home = self._home
            batch: list[tuple[int, _One, int, Iocb]] = []
            for fd in list(self._due.copy())[:BATCH]:
                one = self._all.get(fd)
                if one is None or one.serial or one.other:
                    self._due.pop(fd, None)
                    continue
                home.serial = home.serial + 1 & 0xFFFF_FFFF or 1
                serial = home.serial
                block = Iocb(data=fd | serial << 32, opcode=POLL, fildes=fd, buf=one.mask)
                batch.append((fd, one, serial, block))
                one.cb, one.serial, one.turn = block, serial, turn
                self._due.pop(fd, None)
            if not batch:
                break
            rc = home.submit([block for *_, block in batch])
            failed = 0
            for at, (fd, one, serial, block) in enumerate(batch):
                stands = self._all.get(fd) is one and one.serial == serial
                if at < rc and not stands:
                    home.cancel(block)  # A signal handler's doing.
                elif at >= rc and stands:
                    one.serial = 0
                    if at == 0 and rc in (-errno.EBADF, -errno.EINVAL):
                        error = self._other(fd, one) if rc == -errno.EINVAL else rc
                        if error in (-errno.EBADF, -errno.EPERM):
                            # Its number was closed, or is a file's that has nothing to wait for.
                            self._all.pop(fd, None)
                            self._lost = True
                        elif error < 0:
                            self._due[fd] = None
                            failed = error
                    else:
                        self._due[fd] = None
            if failed < 0:
                return failed
            if rc in (0, -errno.EAGAIN):
                # Reports take room: of polls that were cancelled, and others, which will come again.
                came = home.reap()
                if isinstance(came, int) or not came:
                    rc = came if isinstance(came, int) else -errno.EAGAIN
                    # A signal is the wait's to hear of.  Otherwise cancelled polls report too late: their thread
                    # of the kernel's waits for a processor.
                    if renewed or (rc == -errno.EINTR and turn):
                        return rc
                    rc = self._renew()
                    if rc < 0:
                        return rc
                    renewed = True
                    continue
                for data, _ in came:
                    self._reported(data)
            elif rc < 0 and rc not in (-errno.EBADF, -errno.EINVAL):
                return rc
        return 0

    def _reported(self, data: int) -> _One | None:
        fd = data & 0xFFFF_FFFF
        one = self._all.get(fd)
        if data == WAKE or one is None or one.serial != data >> 32:
            return None
        one.serial = 0
        self._due[fd] = None
        return one

    def wait(self, batch: Batch, capacity: int, timeout_ns: int) -> int:
        """Fill batch with at most capacity pairs; 0: not at all, -1: for ever.  How many, or -errno; 0 also when
        a number was found closed."""
        due = time.monotonic_ns() + timeout_ns if timeout_ns > 0 else timeout_ns
        while True:
            left = max(due - time.monotonic_ns(), 0) if due > 0 else due
            with self._lock:
                lost = self._lost
                self._turn += 1
                turn = self._turn
                rc = self._arm(turn)
                if rc < 0:
                    self._warn()
                    return rc
                home = self._home
                home.inside += 1
                blocks = left != 0 and lost == self._lost
            found = rc = 0
            try:
                while found < capacity:
                    most = min(capacity - found, _REPORTS)
                    came = home.reports(int(blocks), most, left if blocks else 0)
                    if isinstance(came, int):
                        rc = 0 if came == -errno.EINVAL and home.ended else came  # it ended to wake us
                        break
                    more = self._sift(home, came, turn, batch, found, capacity - found)
                    if more < 0:
                        rc = more
                        break
                    found += more
                    if len(came) < most:
                        break
                    blocks = False
            finally:
                self._left(home)
            if found or rc < 0 or not left or (self._lost and not lost):
                return found or rc

    def _left(self, home: Home) -> None:
        with self._lock:
            home.inside -= 1
            if home is self._home:
                if home.inside and self._arm(0) < 0:
                    self._warn()
            elif home.inside:
                home.rouse(self.wake)
            else:
                home.leave()

    def _sift(
        self, home: Home, came: list[tuple[int, int]], turn: int, batch: Batch, found: int, capacity: int
    ) -> int:
        hits: list[tuple[int, int, int]] = []
        doubtful = select.poll()
        doubts = set()
        others = False
        with self._lock:
            for data, result in came:
                one = self._reported(data) if home is self._home else None
                if one is None:
                    continue
                fd = data & 0xFFFF_FFFF
                if one.token == _OTHERS:
                    others = True
                    continue
                hits.append((fd, one.token, result & (one.mask | _ERR | _HUP)))
                if one.turn != turn:
                    doubtful.register(fd, one.mask)
                    doubts.add(fd)
        try:
            now = dict(doubtful.poll(0)) if doubts else {}
        except OSError as error:
            return -(error.errno or 0)
        kept = 0
        for fd, token, mask in hits:
            if fd in doubts:
                mask = now.get(fd, 0)
            if mask & _NVAL:
                with self._lock:
                    gone = self._all.get(fd)
                    if gone is not None and gone.token == token:
                        del self._all[fd]
                        self._cancel(fd, gone, self._home)
                        self._lost = True
            elif mask:
                batch.put(found + kept, token, mask)
                kept += 1
        if others:
            with self._lock:
                epoll = self._others
                for fd, mask in epoll.poll(0, max(capacity - kept, 1)) if epoll is not None else ():
                    one = self._all.get(fd)
                    if one is not None and kept < capacity:
                        batch.put(found + kept, one.token, mask)
                        kept += 1
        return kept

    def close(self) -> None:
        """Give everything back.  Idempotent; nobody waits any more."""
        if self.wake >= 0:
            os.close(self.wake)
            self.wake = -1
            if self._home.forks == fork_count():
                for fd, one in self._all.items():
                    self._cancel(fd, one, self._home)
            if self._others is not None:
                self._others.close()
            self._home.leave()
            self._all.clear()
