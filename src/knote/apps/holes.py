"""Holes of a sparse file, kept in its copy."""

from __future__ import annotations

import errno
import os
import stat


class Holes:
    """Steps over what was never written in the source, and leaves as much unwritten in the target.

    Only where that reads as the zeros that a copy would have written: past the target's end.  The last byte of a
    hole that ends the copy is written, which makes the target as long as it must be and, unlike ftruncate(2),
    cannot cut off what somebody else has appended meanwhile.
    """

    __slots__ = ("_source", "_target", "_until")

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._until = -1

    def next(self, count: int) -> tuple[int, int]:
        """How many bytes of a hole were stepped over, and how many of the `count` that come now are of one piece
        of data.  0 would mean the end to whoever moves, so a count is never less than 1."""
        at = os.lseek(self._source, 0, os.SEEK_CUR)
        skipped = 0
        if at >= self._until:
            try:
                skipped = self._step(at)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                    raise
                self._until = 1 << 62  # a file system that does not tell: all of it is data
            at += skipped
        if self._until > at:
            return skipped, min(count, self._until - at)
        return skipped, count

    def _step(self, at: int) -> int:
        size = os.fstat(self._source).st_size
        try:
            data = os.lseek(self._source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nothing but a hole is left
                raise
            data = max(at, size)
        gap = data - at
        here = os.lseek(self._target, 0, os.SEEK_CUR)
        if gap and here < os.fstat(self._target).st_size:
            os.lseek(self._source, at, os.SEEK_SET)
            self._until = data  # it lies over old bytes, which zeros must replace
            return 0
        if gap:
            os.lseek(self._target, gap, os.SEEK_CUR)
        try:
            self._until = os.lseek(self._source, data, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            self._until = data
        os.lseek(self._source, data, os.SEEK_SET)
        return gap

    def finish(self) -> None:
        """The copy is at its end.  Raises OSError: that one byte may be the one that the disk has no room for."""
        end = os.lseek(self._target, 0, os.SEEK_CUR)
        if os.fstat(self._target).st_size < end:
            os.pwrite(self._target, b"\0", end - 1)


def has(fd: int) -> bool:
    """Whether a regular file looks as if it had holes: fewer blocks than bytes."""
    st = os.fstat(fd)
    return stat.S_ISREG(st.st_mode) and st.st_blocks * 512 < st.st_size
