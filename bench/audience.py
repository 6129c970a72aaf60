"""Whether anybody still reads standard output.  Who writes only when all is measured hears of it minutes later."""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Iterator

_STANDARD_OUTPUT = 1
_ENDED = select.POLLERR | select.POLLHUP
_ROOM = 1 << 16


def lines(fd: int) -> Iterator[bytes]:
    """What can be read there, by lines, to its end.  BrokenPipeError as soon as nobody reads standard output."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    if sys.stdout is not None:
        poller.register(_STANDARD_OUTPUT, 0)  # a pipe without a reader is an error, which is told unasked
    begun = b""
    while True:
        ready = dict(poller.poll())
        if ready.get(_STANDARD_OUTPUT, 0) & _ENDED:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE), "standard output")
        got = os.read(fd, _ROOM)
        if not got:
            return
        *whole, begun = (begun + got).split(b"\n")
        yield from whole
