"""Files by POSIX AIO: the C library's aio_read(3) and its sisters.

Where that is glibc it has threads of its own, 20 at most, which carry out the requests of one descriptor one after
the other, and which leave by themselves after a second without work (S-392).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote import errors
from knote._kernel.aio import PosixAio
from knote.verbs import AIO_CANCELED

if TYPE_CHECKING:
    from knote.request import Request


class PosixFiles:
    """Raises OSError where the C library has none of it, and in a process that was forked off one that used it:
    glibc would go on counting the threads that are not there."""

    def __init__(self) -> None:
        self._aio = PosixAio()
        self.fd = self._aio.fd
        if self.fd < 0:
            raise errors.creation(-self.fd, "POSIX AIO")

    def start(self, request: Request, fd: int) -> int:
        """Files.start()."""
        address = length = 0
        if request.pin is not None:
            address, length = request.pin.address, request.pin.length
        return self._aio.start(request.op, fd, address, length, request.offset, request.ident)

    def reap(self) -> list[tuple[int, int]]:
        """Files.reap()."""
        over = []
        n = self._aio.reap()
        while n > 0:
            over += [(self._aio.token(i), self._aio.result(i)) for i in range(n)]
            n = self._aio.reap()
        return over

    def cancel(self, ident: int) -> bool:
        """Files.cancel().  The library tells of it later all the same, when nobody asks any more."""
        return self._aio.cancel(ident) == AIO_CANCELED

    def close(self, *, child: bool) -> None:
        """Files.close()."""
        if child:
            self._aio.abandon()
        else:
            self._aio.close()
