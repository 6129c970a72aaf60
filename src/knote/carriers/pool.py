"""Files by threads: a pool that is made for the first request that needs it, and joined when the queue closes."""

from __future__ import annotations

import collections
import errno
import os
from typing import TYPE_CHECKING

from knote import errors
from knote._kernel.time import close_fd, wake_create, wake_lower, wake_raise
from knote.verbs import FDATASYNC, FSYNC, READ

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from knote.request import Request


class PoolFiles:
    """One thread blocks for each request, as many at a time as concurrent.futures thinks right (5 more than there
    are processors, 32 at most).  They run no user code and take no lock of knote's."""

    def __init__(self) -> None:
        self.fd = wake_create()
        if self.fd < 0:
            raise errors.creation(-self.fd, "the eventfd of a pool of threads")
        self._pool: ThreadPoolExecutor | None = None
        self._over: collections.deque[tuple[int, int]] = collections.deque()
        self._futures: dict[int, Future[None]] = {}

    def start(self, request: Request, fd: int) -> int:
        """Files.start()."""
        try:
            if self._pool is None:
                from concurrent.futures import ThreadPoolExecutor

                self._pool = ThreadPoolExecutor(thread_name_prefix="knote.aio")
            work = (request.op, fd, request.buffer, request.offset, request.ident)
            self._futures[request.ident] = self._pool.submit(self._carry, *work)
        except RuntimeError:  # no more threads, or the interpreter is shutting down
            return -errno.EAGAIN
        return 0

    def _carry(self, op: int, fd: int, buffer: object, offset: int, ident: int) -> None:
        result = 0
        try:
            if op == FSYNC:
                os.fsync(fd)
            elif op == FDATASYNC:
                os.fdatasync(fd)
            elif op == READ:
                result = _without_offset(os.preadv, os.readv, fd, buffer, offset)
            else:
                result = _without_offset(os.pwritev, os.writev, fd, buffer, offset)
        except OSError as error:
            result = -(error.errno or errno.EIO)
        self._over.append((ident, result))
        wake_raise(self.fd)

    def reap(self) -> list[tuple[int, int]]:
        """Files.reap()."""
        if self.fd >= 0:
            wake_lower(self.fd)
        over = []
        while self._over:
            over.append(self._over.popleft())
            self._futures.pop(over[-1][0], None)
        return over

    def cancel(self, ident: int) -> bool:
        """Files.cancel()."""
        future = self._futures.get(ident)
        return future is not None and future.cancel()

    def close(self, *, child: bool) -> None:
        """Files.close()."""
        pool, self._pool = self._pool, None
        if pool is not None and not child:
            pool.shutdown(wait=True)
        close_fd(self.fd)
        self.fd = -1


def _without_offset(placed: object, plain: object, fd: int, buffer: object, offset: int) -> int:
    # A device that has no offset, /dev/null's like, says ESPIPE.
    try:
        return placed(fd, [buffer], offset)  # type: ignore[no-any-return, operator]
    except OSError as error:
        if error.errno != errno.ESPIPE:
            raise
        return plain(fd, [buffer])  # type: ignore[no-any-return, operator]
