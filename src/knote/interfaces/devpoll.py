# cython: annotation_typing=False
"""Solaris' /dev/poll, as CPython's select.devpoll and as the device itself, over the public kqueue.

A monitored set is numbers and masks: poll(4D) knows no files.  The kqueue waits, so a call costs what is ready and
not what is watched; what a kevent cannot tell exactly (hang-ups, errors, closed numbers) poll(2) is asked for, of
the few numbers that it is about.
"""

from __future__ import annotations

import errno
import fcntl
import math
import operator
import os
import select
import socket
import stat
import struct
import time
from typing import TYPE_CHECKING, Any, Final

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_EOF,
    EV_ERROR,
    EVFILT_READ,
    EVFILT_WRITE,
    errors,
    kevent,
    kqueue,
)
from knote.sealed import seal

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike, ReadableBuffer, WriteableBuffer

POLLREMOVE: Final = 0x0800
"""In the events of a written pollfd: take the number out.  Solaris' value; of Linux' own bits none has it."""
DP_POLL: Final = 0xD001
DP_ISPOLLED: Final = 0xD002

_POLLFD: Final = struct.Struct("ihh")
_IN: Final = select.POLLIN | select.POLLRDNORM
_OUT: Final = select.POLLOUT | select.POLLWRNORM
_PRI = select.POLLPRI
_NVAL = select.POLLNVAL
_UNASKED: Final = select.POLLERR | select.POLLHUP | select.POLLNVAL
_DEFAULT: Final = select.POLLIN | select.POLLPRI | select.POLLOUT
_USHRT_MAX: Final = 0xFFFF
_INT_MAX = 0x7FFFFFFF

# Not every BSD has these.  Without the first, out-of-band data wakes nobody; the second is for speed.
EVFILT_EXCEPT: Final[int | None] = getattr(knote, "EVFILT_EXCEPT", None)
_NODATA: Final[int] = getattr(knote, "NOTE_NODATA", 0)

# What a number's knotes are, by filter; a sentinel is a READ by edge, which tells of hang-ups where reading is not
# asked for.
_READS, _WRITES, _EXCEPTS, _SENTINEL = 1, 2, 4, 8
_KNOTES: Final = (
    (_READS, EVFILT_READ, 0, _IN),
    (_WRITES, EVFILT_WRITE, 0, _OUT),
    (_EXCEPTS, EVFILT_EXCEPT, 0, _PRI),
    (_SENTINEL, EVFILT_READ, EV_CLEAR, 0),
)
_DIRECT = kevent.__module__ != "select"
"""kevents are knote's own: their fields can be had without objects around them, half of what an event costs."""
# A kqueue forgets a closed number, /dev/poll reports it.  To find one costs a look at each number (1 us), so all
# are looked at only where the program sleeps longer than this: an idle one pays once for each sleep.
_ASLEEP_MS = 10
_AT_ONCE: Final = 512
"""How many numbers are looked at between two looks at what is ready."""
# A busy one would never get there: so a few numbers in turn, for so many that it was given (some 10 ns each).
_BUSY = 1024
_A_FEW: Final = 8


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
    Threads: any may change the set while others poll; a poll that sleeps sees a change when it is called next.
    Source: poll(4D) of illumos; CPython's select.devpoll (spec S-346 ... S-359).
    """

    __slots__ = (
        "_closed", "_dirty", "_exact", "_fixed", "_given", "_masks", "_next", "_odd", "_queue", "_shared", "_turn",
        "_watched",
    )  # fmt: skip

    def __init__(self) -> None:
        raise TypeError("cannot create 'knote.devpoll' instances: call devpoll()")

    def _open(self, engine: str | None) -> None:
        self._closed = True
        self._queue = kqueue(engine=engine)
        self._closed = False
        self._masks: dict[int, int] = {}
        """What was asked, by number."""
        self._watched: dict[int, int] = {}
        """Which knotes the queue has for it."""
        self._dirty: dict[int, None] = {}
        """Changed since the queue was told, in that order."""
        self._odd: set[int] = set()
        """To be asked of poll(2) at the next call, and as long as it says what no kevent says."""
        self._fixed: set[int] = set()
        """Of no use to a kqueue: always ready, or never."""
        self._exact: set[int] = set()
        """Their kevents say less than poll(2)."""
        self._shared = 0
        """How many have more than one knote, and so perhaps two kevents."""
        self._turn = 0
        """Where to begin when there is more than room."""
        self._given = 0
        """How many were returned since a few numbers were looked at."""
        self._next: list[int] = []
        """Whose turn it is to be looked at, from the end."""

    # ---- CPython's select.devpoll --------------------------------------------------------------------------

    def register(self, fd: FileDescriptorLike, eventmask: int = _DEFAULT, /) -> None:
        """Watch fd for what the mask says, in addition to what it is watched for already.

        fd: a number or an object with fileno().  It need not be open: poll() reports it POLLNVAL.
        Raises ValueError when closed or for a negative mask, OverflowError for one that is no unsigned short.
        """
        number, mask = self._number(fd), _mask(eventmask)
        self._put(number, mask)

    def modify(self, fd: FileDescriptorLike, eventmask: int = _DEFAULT, /) -> None:
        """Watch fd for what the mask says and nothing else; errors as register()."""
        number, mask = self._number(fd), _mask(eventmask)
        self._put(number, POLLREMOVE)
        self._put(number, mask)

    def unregister(self, fd: FileDescriptorLike, /) -> None:
        """Watch fd no more.  One that is not watched is no error (S-349)."""
        self._put(self._number(fd), POLLREMOVE)

    def poll(self, timeout: int | None = None, /) -> list[tuple[int, int]]:
        """Wait until something is ready: (number, revents) of each.

        timeout: milliseconds; None, or -1, waits for ever, 0 polls.  Never returns early.
        Raises TypeError for what is no integer, OverflowError for what is no C int or less than -1.
        """
        self._check()
        return self._poll(_milliseconds(timeout), len(self._masks))

    def close(self) -> None:
        """Give the descriptor back.  Idempotent."""
        self._closed = True
        self._queue.close()

    @property
    def closed(self) -> bool:
        """True after close()."""
        return self._closed

    def fileno(self) -> int:
        """The queue's descriptor.  Readable while something that was watched at the last poll() is ready; Solaris
        reports POLLERR instead (S-355)."""
        self._check()
        return int(self._queue.fileno())

    # ---- the device ----------------------------------------------------------------------------------------

    def write(self, data: ReadableBuffer, /) -> int:
        """write(2) on /dev/poll: packed struct pollfd, each adding its events to those of its number; one with
        POLLREMOVE takes the number out.  They are taken in order (S-347 ... S-350).

        Returns the bytes of the whole records.  Raises OSError(EINVAL) for less than one.
        """
        self._check()
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
        self._check()
        if request == DP_POLL:
            return self._dp_poll(argument)
        if request == DP_ISPOLLED:
            return self._dp_ispolled(argument)
        raise errors.os_error(errno.EINVAL, f"/dev/poll knows DP_POLL and DP_ISPOLLED, not {request:#x}")

    def _dp_poll(self, asked: dvpoll) -> int:
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
            ready = self._poll(asked.dp_timeout, room)
            for i, (fd, revents) in enumerate(ready):
                _POLLFD.pack_into(octets, i * _POLLFD.size, fd, _short(self._masks.get(fd, 0)), _short(revents))
        return len(ready)

    def _dp_ispolled(self, pollfd: WriteableBuffer) -> int:
        with memoryview(pollfd) as view, view.cast("B") as octets:
            if octets.readonly or len(octets) < _POLLFD.size:
                raise errors.os_error(errno.EFAULT, f"a writable buffer of {_POLLFD.size} bytes is needed")
            fd, events, _ = _POLLFD.unpack_from(octets)
            mask = self._masks.get(fd)
            if mask is None:
                _POLLFD.pack_into(octets, 0, fd, events, 0)
                return 0
            _POLLFD.pack_into(octets, 0, fd, 0, _short(mask))
            return 1

    # ---- the set -------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._closed:
            raise errors.closed_devpoll()

    def _number(self, fd: FileDescriptorLike) -> int:
        self._check()
        return _descriptor(fd)

    def _put(self, number: int, events: int) -> None:
        if events & POLLREMOVE:
            if self._masks.pop(number, None) is None:
                return
        else:
            self._masks[number] = self._masks.get(number, 0) | events
        self._dirty[number] = None

    def _tell(self) -> None:
        """Have the queue watch what was changed.  All that a number wants is added anew, not only what it lacks:
        it may be another file by now, and have no knotes at all."""
        changes: list[kevent] = []
        for number in self._dirty:
            wanted = self._sort(number)
            before = self._watched.pop(number, 0)
            self._shared -= _several(before)
            self._shared += _several(wanted)
            if wanted:
                self._watched[number] = wanted
            _changes(changes, number, self._masks.get(number, 0), wanted, before & ~wanted)
        self._dirty.clear()
        self._apply(changes)

    def _sort(self, number: int) -> int:
        """Which knotes a number needs; where kevents are not enough, remember so."""
        self._odd.discard(number)
        self._fixed.discard(number)
        self._exact.discard(number)
        mask = self._masks.get(number)
        if mask is None:
            return 0
        if number < 0 or number > _INT_MAX:
            self._fixed.add(number)
            return 0
        # Once in any case: a socket that was never connected is hung up, and no kevent says so.
        self._odd.add(number)
        if mask & ~(select.POLLIN | select.POLLOUT | select.POLLPRI):
            self._exact.add(number)
        wanted = _READS if mask & _IN else 0
        if mask & _OUT:
            wanted |= _WRITES
        if not wanted:
            wanted = _SENTINEL
        if mask & _PRI and EVFILT_EXCEPT is not None:
            wanted |= _EXCEPTS
        try:
            mode = os.fstat(number).st_mode
        except OSError:
            return wanted
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            self._fixed.add(number)
            return 0
        if stat.S_ISFIFO(mode) and wanted & _WRITES and _is_read_only(number):
            self._fixed.add(number)
            wanted &= ~_WRITES
        elif stat.S_ISSOCK(mode) and not _is_stream(number):
            # An error on it is no end of file: the kevent does not show it.
            self._exact.add(number)
        return wanted

    def _control(self, changes: list[kevent] | None, room: int, seconds: float | None) -> list[kevent]:
        try:
            return self._queue.control(changes, room, seconds)
        except ValueError:
            self._check()  # another thread has closed it
            if not self._queue.closed:
                raise
            raise errors.os_error(
                errno.EACCES, "this /dev/poll was opened by the process that forked this one"
            ) from None

    def _apply(self, changes: list[kevent]) -> None:
        """Apply them; a number that cannot be watched is asked of poll(2), which knows why."""
        if changes:
            for event in self._control(changes, len(changes), 0):
                refused = event.flags & EV_ERROR and event.filter != EVFILT_EXCEPT
                if refused or event.flags & EV_CLEAR:  # an edge is told once
                    self._odd.add(event.ident)

    def _look(self, numbers: list[int]) -> None:
        """Add the knotes of these numbers again: those of a closed or reused one went with its file."""
        changes: list[kevent] = []
        for number in numbers:
            _changes(changes, number, self._masks.get(number, 0), self._watched.get(number, 0), 0)
        try:
            self._control(changes, 0, 0)
        except OSError:
            self._apply(changes)  # again, with room for what is refused

    def _look_at_a_few(self) -> None:
        self._given = 0
        if not self._next:
            self._next = list(self._watched)
        self._look(self._next[-_A_FEW:])
        del self._next[-_A_FEW:]

    # ---- waiting -------------------------------------------------------------------------------------------

    def _poll(self, ms: int, room: int) -> list[tuple[int, int]]:
        deadline = None if ms <= 0 else time.monotonic() + ms / 1000.0
        if self._dirty:
            self._tell()
        # 1000.0: among C ints, which these are when compiled, / is a division of ints.
        asleep = ms if 0 <= ms < _ASLEEP_MS else _ASLEEP_MS
        ready = self._ready(room, asleep / 1000.0 if asleep else 0)
        if ready:
            self._given += len(ready) + 4
            if self._given >= _BUSY:
                self._look_at_a_few()
            return ready
        numbers = list(self._watched)
        for i in range(0, len(numbers), _AT_ONCE):
            self._look(numbers[i : i + _AT_ONCE])
            ready = self._ready(room, 0)
            if ready:
                return ready
        while not ready and ms:
            seconds = None if deadline is None else deadline - time.monotonic()
            if seconds is not None and seconds <= 0:
                break
            ready = self._ready(room, seconds)
        return ready

    def _ready(self, room: int, seconds: float | None) -> list[tuple[int, int]]:
        found = None
        if self._odd or self._fixed:
            found = self._asked_of_poll(self._odd | self._fixed) or None
            if found is not None:
                seconds = 0
        # Room for all kevents of all numbers, or for just as many as there is room for numbers: then the queue's
        # round robin over knotes is one over numbers as well.
        limit = room if room < len(self._masks) else room + 2 * self._shared
        events = self._control(None, limit or 1, seconds)
        if _DIRECT and found is None and not self._shared and not self._exact:
            ready = self._plain(events)
            if ready is not None:
                return ready
        return self._judged(events, found or {}, room, limit)

    def _judged(
        self, events: list[kevent], found: dict[int, int], room: int, limit: int
    ) -> list[tuple[int, int]]:
        """The events and what was found before made one list, by number."""
        doubtful = set()
        for event in events:
            number, bits = event.udata
            if event.flags & (EV_EOF | EV_CLEAR) or number in self._exact:
                doubtful.add(number)
            else:
                found[number] = found.get(number, 0) | bits
        if len(events) == limit and self._shared:
            # There may be another kevent of a number that is returned here.
            doubtful.update(found)
        if doubtful:
            for number in doubtful:
                found.pop(number, None)
            self._odd |= doubtful
            found.update(self._asked_of_poll(doubtful))
        ready = [(number, bits) for number, bits in found.items() if bits]
        if len(ready) <= room:
            return ready
        # What is always ready must not keep the others out.
        self._turn = (self._turn + room) % len(ready)
        return (ready[self._turn :] + ready[: self._turn])[:room]

    def _plain(self, events: list[kevent]) -> list[tuple[int, int]] | None:
        """The usual case: one knote to a number, and nothing but what it waits for.  None if it is not."""
        ready = []
        for event in events:
            if event._flags & (EV_EOF | EV_CLEAR):
                return None
            ready.append(event._udata)
        return ready

    def _asked_of_poll(self, numbers: set[int]) -> dict[int, int]:
        """What poll(2) says of them.  Those of which it says nothing that a kevent would not say are not asked
        again."""
        poller = select.poll()
        found = {}
        for number in numbers:
            mask = self._masks.get(number)
            if mask is None:
                continue
            if 0 <= number <= _INT_MAX:
                poller.register(number, mask)
                if number in self._fixed and mask & _OUT and _is_read_only_pipe(number):
                    # Writing there fails and does not wait, which is all that POLLOUT promises (POSIX poll();
                    # on Solaris both ends of a pipe can be written to).
                    found[number] = mask & _OUT
            else:
                found[number] = _NVAL
        for number, revents in poller.poll(0):
            found[number] = found.get(number, 0) | revents
        for number in numbers:
            if not found.get(number, 0) & _UNASKED:
                self._odd.discard(number)
        return found

    def __repr__(self) -> str:
        return "<knote.devpoll closed>" if self._closed else f"<knote.devpoll fd={self._queue.fileno()}>"


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
    if type(timeout) is int and 0 <= timeout <= _INT_MAX:
        return timeout
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


def _several(knotes: int) -> bool:
    return knotes & (knotes - 1) != 0


def _changes(changes: list[kevent], number: int, mask: int, added: int, deleted: int) -> None:
    """udata is what poll() returns for the event: nothing is left to make."""
    for bit, filter, _, _ in _KNOTES:
        if deleted & bit and filter is not None:
            changes.append(kevent(number, filter, EV_DELETE))
    for bit, filter, flags, bits in _KNOTES:
        if added & bit and filter is not None:
            # poll(2) tells no number of bytes.
            notes = _NODATA if filter == EVFILT_READ else 0
            changes.append(kevent(number, filter, EV_ADD | flags, notes, 0, (number, mask & bits)))


def _is_stream(number: int) -> bool:
    sock = socket.socket(fileno=number)
    try:
        return sock.type != socket.SOCK_DGRAM
    finally:
        sock.detach()


def _is_read_only(number: int) -> bool:
    try:
        return fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    except OSError:
        return False


def _is_read_only_pipe(number: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(number).st_mode) and _is_read_only(number)
    except OSError:
        return False
