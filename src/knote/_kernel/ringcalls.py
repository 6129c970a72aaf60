"""Many epoll_ctl(2), or many ioctl(2), by one io_uring_enter(2); the compiled twin is ringcalls.pyx."""

from __future__ import annotations

import ctypes
import errno

from knote._kernel.batch import epoll_event
from knote._kernel.epoll import Epoll
from knote._kernel.fd import Counts, readable
from knote._kernel.uring import Uring

_ADD, _DEL, _MOD = 1, 2, 3
_OP_EPOLL_CTL, _OP_URING_CMD = 29, 46
_BATCH = 64


class RingCalls:
    """A ring of its own for what is made and over within one call; fd is -errno where there is none."""

    def __init__(self, entries: int, flags: int) -> None:
        self._uring = Uring(entries, 2 * entries, flags)
        self.fd = self._uring.fd
        self.counts = True
        """The kernel is not known to lack the operation that counts bytes."""

    def flush(self, ep: Epoll) -> int:
        """As Epoll.flush(), each descriptor named once: how many of the changes were made, in order.  What was
        made behind one that failed is undone."""
        staged = list(ep._staged)
        ep._staged.clear()
        ep.count = 0
        done = 0
        while done < len(staged):
            batch = staged[done : done + _BATCH]
            made = self._make(ep, batch)
            done += made
            if made < len(batch):
                break
        return done

    def _make(self, ep: Epoll, batch: list[tuple[int, int, int, int, int]]) -> int:
        events = (epoll_event * len(batch))()
        for i, (op, fd, _old, mask, token) in enumerate(batch):
            events[i] = epoll_event(mask, token)
            at = ctypes.addressof(events) + i * ctypes.sizeof(epoll_event)
            self._uring.prepare(_OP_EPOLL_CTL, ep.fd, at, op, fd, 0, i)
        results = self._finish(len(batch))
        for i, (op, fd, _old, mask, token) in enumerate(batch):
            rc = results[i]
            if rc is None:
                rc = ep.ctl(op, fd, mask, token)
            if rc == -errno.EEXIST and op == _ADD:
                rc = ep.ctl(_MOD, fd, mask, token)
            if rc < 0:
                self._undo(ep, batch[i + 1 :], results[i + 1 :])
                return i
        return len(batch)

    def _undo(self, ep: Epoll, batch: list[tuple[int, int, int, int, int]], results: list[int | None]) -> None:
        for (_op, fd, old, mask, token), rc in zip(batch, results, strict=True):
            if rc == 0:
                ep.ctl(_DEL if not old else _MOD if mask else _ADD, fd, old, token)

    def _finish(self, count: int) -> list[int | None]:
        # What each came to; None: the kernel did not take it.
        results: list[int | None] = [None] * count
        left = self._uring.submit(count)
        self._uring.retract()
        while left > 0:
            n = self._uring.reap(_BATCH)
            for i in range(n):
                results[self._uring.token(i)] = self._uring.result(i)
            left -= n
            if left > 0 and n == 0 and self._uring.submit(left) == -errno.EBADF:
                break  # closed under us: what it had taken is made again, which does no harm
        return results

    def fetch(self, counts: Counts) -> int:
        """As Counts.fetch(), of TCP sockets."""
        counts._counts = []
        for start in range(0, counts.n, _BATCH):
            fds = counts._fds[start : start + _BATCH]
            for i, fd in enumerate(fds):
                self._uring.prepare(_OP_URING_CMD, fd, 0, 0, 0, 0, i)
            for i, count in enumerate(self._finish(len(fds))):
                if count == -errno.EOPNOTSUPP:
                    self.counts = False
                if count is None or (count < 0 and count != -errno.EBADF):
                    count = readable(fds[i])
                counts._counts.append(count)
        return 0

    def close(self) -> None:
        """Unmap and close; idempotent."""
        self._uring.close()
        self.fd = -1
