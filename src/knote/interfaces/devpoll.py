# cython: annotation_typing=False
"""Solaris' /dev/poll: as CPython's select.devpoll, and as the device itself."""

from __future__ import annotations

import errno
import math
import operator
import select
import struct
import time
from typing import TYPE_CHECKING, Any, Final

from knote import errors
from knote.interfaces.pollset import PollSet
from knote.sealed import seal

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike, ReadableBuffer, WriteableBuffer

POLLREMOVE: Final = 0x0800
"""In the events of a written pollfd: take the number out.  Solaris' value; of Linux' own bits none has it."""
DP_POLL: Final = 0xD001
DP_ISPOLLED: Final = 0xD002

_POLLFD: Final = struct.Struct("ihh")
_DEFAULT: Final = select.POLLIN | select.POLLPRI | select.POLLOUT
_USHRT_MAX: Final = 0xFFFF
_INT_MAX = 0x7FFFFFFF


class dvpoll:
    """struct dvpoll: the argument of DP_POLL.

    dp_fds: a writable buffer that receives packed struct pollfd (int fd, short events, short revents), or None.
    dp_nfds: the room in it, in records.  dp_timeout: milliseconds; 0 polls, -1 waits for ever.
    """

    __slots__ = ("dp_fds", "dp_nfds", "dp_timeout")

    def __init__(self, dp_fds: WriteableBuffer | None, dp_nfds: int, dp_timeout: int) -> None:
        self.dp_fds = dp_fds
        self.dp_nfds = dp_nfds
        self.dp_timeout = dp_timeout


class DevPoll:
    """An open /dev/poll.  Made by devpoll().

    A number that is closed stays in the set and is reported POLLNVAL; one that is reused means the new file
    (S-350).  A file that is always ready is always reported (S-359).  In a forked child every operation raises
    OSError(EACCES) (S-354).
    Threads: any may change the set while others poll; a poll that sleeps sees it at once.
    Source: poll(4D) of illumos; CPython's select.devpoll (spec S-346 ... S-359).
    """

    __slots__ = ("_set",)

    def __init__(self) -> None:
        raise TypeError("cannot create 'knote.devpoll' instances: call devpoll()")

    def _open(self, engine: str | None) -> None:
        self._set = PollSet(engine)

    # ---- CPython's select.devpoll --------------------------------------------------------------------------

    def register(self, fd: FileDescriptorLike, eventmask: int = _DEFAULT, /) -> None:
        """Watch fd for what the mask says, in addition to what it is watched for already.

        fd: a number or an object with fileno().  It need not be open: poll() reports it POLLNVAL.
        Raises ValueError when closed or for a negative mask, OverflowError for one that is no unsigned short.
        """
        self._set.check()
        self._put(_descriptor(fd), _mask(eventmask))

    def modify(self, fd: FileDescriptorLike, eventmask: int = _DEFAULT, /) -> None:
        """Watch fd for what the mask says and nothing else; errors as register()."""
        self._set.check()
        number, mask = _descriptor(fd), _mask(eventmask)
        self._set.remove(number)
        self._put(number, mask)

    def unregister(self, fd: FileDescriptorLike, /) -> None:
        """Watch fd no more.  One that is not watched is no error (S-349)."""
        self._set.check()
        self._set.remove(_descriptor(fd))

    def poll(self, timeout: int | None = None, /) -> list[tuple[int, int]]:
        """Wait until something is ready: (number, revents) of each.

        timeout: milliseconds; None, or -1, waits for ever, 0 polls.  Never returns early.
        Raises TypeError for what is no integer, OverflowError for what is no C int or less than -1.
        """
        self._set.check()
        return self._set.wait(_milliseconds(timeout), -1)

    def close(self) -> None:
        """Give the descriptor back.  Idempotent."""
        self._set.close()

    @property
    def closed(self) -> bool:
        """True after close()."""
        return self._set.closed

    def fileno(self) -> int:
        """The queue's descriptor.  Readable while something that was watched at the last poll() is ready; Solaris
        reports POLLERR instead (S-355)."""
        return self._set.fileno()

    # ---- the device ----------------------------------------------------------------------------------------

    def write(self, data: ReadableBuffer, /) -> int:
        """write(2) on /dev/poll: packed struct pollfd, each adding its events to those of its number; one with
        POLLREMOVE takes the number out.  They are taken in order (S-347 ... S-350).

        Returns the bytes of the whole records.  Raises OSError(EINVAL) for less than one.
        """
        self._set.check()
        with memoryview(data) as view, view.cast("B") as octets:
            whole = len(octets) - len(octets) % _POLLFD.size
            if not whole:
                raise errors.short_pollfd(len(octets), _POLLFD.size)
            for fd, events, _ in _POLLFD.iter_unpack(octets[:whole]):
                self._put(fd, events & _USHRT_MAX)
        return whole

    def ioctl(self, request: int, argument: Any, /) -> int:
        """ioctl(2) on /dev/poll.

        DP_POLL with a dvpoll: wait, fill dp_fds, return how many are ready; 0 when the time is up (S-351, S-352).
        DP_ISPOLLED with a writable buffer of one pollfd: 1 and revents = what it is watched for, or 0 (S-353).
        Raises OSError: EINVAL for another request or a bad timeout, EFAULT for a buffer that is too small.
        """
        self._set.check()
        if request == DP_POLL:
            return self._dp_poll(argument)
        if request == DP_ISPOLLED:
            return self._dp_ispolled(argument)
        raise errors.os_error(errno.EINVAL, f"/dev/poll knows DP_POLL and DP_ISPOLLED, not {request:#x}")

    def _dp_poll(self, asked: dvpoll) -> int:
        if not isinstance(asked, dvpoll):
            raise TypeError(f"DP_POLL takes a dvpoll, got {type(asked).__name__}")
        room = asked.dp_nfds
        if room < 0 or asked.dp_timeout < -1:
            raise errors.os_error(
                errno.EINVAL, f"dp_nfds={room}, dp_timeout={asked.dp_timeout}: at least 0, and at least -1"
            )
        if room == 0:
            # Nothing can be returned: a sleep.
            if asked.dp_timeout >= 0:
                time.sleep(asked.dp_timeout / 1000)
                return 0
            raise errors.os_error(errno.EINVAL, "dp_nfds=0 with dp_timeout=-1 would sleep for ever")
        if asked.dp_fds is None:
            raise errors.os_error(errno.EFAULT, "dp_fds is None")
        with memoryview(asked.dp_fds) as view, view.cast("B") as octets:
            if octets.readonly or len(octets) < room * _POLLFD.size:
                raise errors.os_error(
                    errno.EFAULT, f"dp_fds: a writable buffer of {room * _POLLFD.size} bytes is needed"
                )
            ready = self._set.wait(asked.dp_timeout, room)
            for i, (fd, revents) in enumerate(ready):
                mask = max(self._set.mask(fd), 0)
                _POLLFD.pack_into(octets, i * _POLLFD.size, fd, _short(mask), _short(revents))
        return len(ready)

    def _dp_ispolled(self, pollfd: WriteableBuffer) -> int:
        with memoryview(pollfd) as view, view.cast("B") as octets:
            if octets.readonly or len(octets) < _POLLFD.size:
                raise errors.os_error(errno.EFAULT, f"a writable buffer of {_POLLFD.size} bytes is needed")
            fd, events, _ = _POLLFD.unpack_from(octets)
            mask = self._set.mask(fd)
            if mask < 0:
                _POLLFD.pack_into(octets, 0, fd, events, 0)
                return 0
            _POLLFD.pack_into(octets, 0, fd, 0, _short(mask))
            return 1

    def _put(self, number: int, events: int) -> None:
        if events & POLLREMOVE:
            self._set.remove(number)
        else:
            self._set.add(number, events)

    def __repr__(self) -> str:
        return "<knote.devpoll closed>" if self.closed else f"<knote.devpoll fd={self.fileno()}>"


seal(DevPoll)


# CPython's DevpollSelector keeps select.devpoll as an attribute of its class, where a function, other than the
# built-in one, would become a method.
@staticmethod  # type: ignore[misc]
def devpoll(*, engine: str | None = None) -> DevPoll:
    """Open a /dev/poll: select.devpoll() of Solaris.

    engine: as of kqueue().
    Raises OSError when the descriptors of its kqueue cannot be made (EMFILE, ENFILE).
    """
    made = DevPoll.__new__(DevPoll)
    made._open(engine)
    return made


def _descriptor(fd: FileDescriptorLike) -> int:
    if isinstance(fd, int):
        number = fd
    else:
        fileno = getattr(fd, "fileno", None)
        if fileno is None:
            raise TypeError("argument must be an int, or have a fileno() method.")
        number = fileno()
        if not isinstance(number, int):
            raise TypeError("fileno() returned a non-integer")
    if number < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({number})")
    if number > _INT_MAX:
        raise OverflowError("Python int too large to convert to C int")
    return number


def _mask(eventmask: int) -> int:
    mask = operator.index(eventmask)
    if mask < 0:
        raise ValueError("value must be positive")
    if mask > _USHRT_MAX:
        raise OverflowError("Python int too large for C unsigned short")
    return mask


def _milliseconds(timeout: float | None) -> int:
    """Rounded away from zero; -1 for ever."""
    if timeout is None:
        return -1
    if type(timeout) is int and timeout == 0:
        return 0
    if isinstance(timeout, float):
        if math.isnan(timeout):
            raise ValueError("Invalid value NaN (not a number)")
        if math.isinf(timeout):
            raise OverflowError("timeout is too large")
        ms = math.ceil(timeout) if timeout > 0 else math.floor(timeout)
    else:
        try:
            ms = operator.index(timeout)
        except TypeError:
            raise TypeError("timeout must be an integer or None") from None
    if not -1 <= ms <= _INT_MAX:
        raise OverflowError("timeout is too large")
    return ms


def _short(mask: int) -> int:
    """As a C short holds it."""
    return mask - 0x10000 if mask > 0x7FFF else mask
