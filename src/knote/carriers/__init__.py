"""What carries requests out: io_uring, else POSIX AIO or threads beside an epoll set.  choose() picks one."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from knote import errors, ring

if TYPE_CHECKING:
    from knote.carriers.base import Carrier

NAMES = ("io_uring", "posix", "threads")
"""In order of preference; $KNOTE_AIO names another than the first that works."""


def choose() -> tuple[Carrier, str]:
    """A new carrier for a queue, and why it is not io_uring ('' if it is).

    Raises OSError when the one that was asked for cannot be had, ValueError when there is none of that name."""
    wish = os.environ.get("KNOTE_AIO", "")
    if wish and wish not in NAMES:
        raise errors.unknown_carrier(wish, NAMES)
    why = f"KNOTE_AIO={wish}" if wish not in ("", "io_uring") else ring.why_not()
    if not why:
        try:
            return _open("io_uring"), ""
        except OSError as error:
            if wish or ring.is_wanted():
                raise
            why = str(error)
    elif wish == "io_uring":
        raise errors.no_carrier(wish, why)
    if wish != "threads":
        try:
            return _open("posix"), why
        except OSError as error:
            if wish:
                raise
            why += f"; {error}"
    return _open("threads"), why


def _open(name: str) -> Carrier:
    if name == "io_uring":
        from knote.carriers.uring import UringCarrier

        return UringCarrier()
    from knote.carriers.waiting import WaitingCarrier

    if name == "posix":
        try:
            from knote.carriers.posix import PosixFiles
        except ImportError as error:  # a C library that keeps aio_read(3) elsewhere, as glibc did before 2.34
            raise errors.os_error(errno.ENOSYS, str(error)) from error
        return WaitingCarrier(name, PosixFiles())
    from knote.carriers.pool import PoolFiles

    return WaitingCarrier(name, PoolFiles())
