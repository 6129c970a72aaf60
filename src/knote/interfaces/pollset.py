# cython: annotation_typing=False
"""A set of numbers and poll(2) masks that a kqueue waits on.

A monitored set of /dev/poll is numbers: poll(4D) knows no files.  The kqueue waits, so a call costs what is
ready and not what is watched.  What a kevent cannot tell exactly (hang-ups, errors, closed numbers) poll(2) is
asked for, of the few numbers that it is about.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import stat
import time
from typing import Any, Final

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_EOF,
    EV_ERROR,
    EVFILT_READ,
    EVFILT_USER,
    EVFILT_WRITE,
    NOTE_TRIGGER,
    errors,
    kevent,
    kqueue,
)

_IN: Final = select.POLLIN | select.POLLRDNORM
_OUT: Final = select.POLLOUT | select.POLLWRNORM
_PRI = select.POLLPRI
_NVAL = select.POLLNVAL
_UNASKED: Final = select.POLLERR | select.POLLHUP | select.POLLNVAL
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
_DIRECT = kevent.__module__ == "knote.kevent"
"""kqueue and kevent are knote's own, not a BSD's: what they have underneath can be had without objects around it,
half of what an event costs."""
# A kqueue forgets a closed number, /dev/poll reports it.  To find one costs a look at each number (1 us), so all
# are looked at only where the program sleeps longer than this: an idle one pays once for each sleep.
_ASLEEP_MS = 10
_AT_ONCE: Final = 512
"""How many numbers are looked at between two looks at what is ready."""
# A busy one would never get there: so a few numbers in turn, for so many that it was given (2 ns each).
_BUSY = 4096
_A_FEW: Final = 8


class PollSet:
    """What is watched, by number, and the kqueue that waits for it.

    Threads: any may change the set while others wait; who sleeps is woken to see it.
    """

    __slots__ = (
        "_dirty", "_exact", "_fixed", "_given", "_masks", "_next", "_odd", "_queue", "_shared", "_turn",
        "_waiting", "_watched", "closed",
    )  # fmt: skip

    def __init__(self, engine: str | None) -> None:
        self.closed = True
        self._queue: Any = kqueue(engine=engine)
        self.closed = False
        self._masks: dict[int, int] = {}
        """What was asked, by number."""
        self._watched: dict[int, int] = {}
        """Which knotes the queue has for it."""
        self._waiting = 0
        """How many calls may sleep, or are about to."""
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

    def close(self) -> None:
        """Give the descriptor back.  Idempotent."""
        self.closed = True
        self._queue.close()

    def fileno(self) -> int:
        """The queue's descriptor."""
        self.check()
        return int(self._queue.fileno())

    def check(self) -> None:
        """ValueError when closed."""
        if self.closed:
            raise errors.closed_devpoll()

    def mask(self, number: int) -> int:
        """What a number is watched for; -1 if it is not."""
        return self._masks.get(number, -1)

    def add(self, number: int, mask: int) -> None:
        """Watch number for what the mask says, too."""
        self._masks[number] = self._masks.get(number, 0) | mask
        self._dirty[number] = None
        if self._waiting:
            self._wake()

    def remove(self, number: int) -> None:
        """Watch it no more, if it is."""
        if self._masks.pop(number, None) is not None:
            self._dirty[number] = None
            if self._waiting:
                self._wake()

    def _wake(self) -> None:
        """What was changed is told to the queue now, and one who sleeps looks at what no kevent tells."""
        self._tell()
        self._control([kevent(0, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER)], 0, 0)

    def _tell(self) -> None:
        """Have the queue watch what was changed.  All that a number wants is added anew, not only what it lacks:
        it may be another file by now, and have no knotes at all."""
        changes: list[kevent] = []
        # Another thread may put something in meanwhile.
        dirty, self._dirty = self._dirty, {}
        for number in dirty:
            wanted = self._sort(number)
            before = self._watched.pop(number, 0)
            self._shared -= _several(before)
            self._shared += _several(wanted)
            if wanted:
                self._watched[number] = wanted
            _changes(changes, number, self._masks.get(number, 0), wanted, before & ~wanted)
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
            events: list[kevent] = self._queue.control(changes, room, seconds)
            return events
        except ValueError:
            self.check()  # another thread has closed it
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

    def wait(self, ms: int, room: int) -> list[tuple[int, int]]:
        """What is ready within ms milliseconds (-1: for ever), at most room of them (-1: all): number, revents."""
        if ms == 0:
            return self._wait(0, room)
        # Before the changes are looked at: who makes one from now on wakes this call.
        self._waiting += 1
        try:
            return self._wait(ms, room)
        finally:
            self._waiting -= 1

    def _wait(self, ms: int, room: int) -> list[tuple[int, int]]:
        if self._dirty:
            self._tell()
        if ms == 0:
            deadline = None
            ready = self._ready(room, 0)
        else:
            # 1000.0: among C ints, which these are when compiled, / is a division of ints.
            deadline = None if ms < 0 else time.monotonic() + ms / 1000.0
            asleep = ms if 0 <= ms < _ASLEEP_MS else _ASLEEP_MS
            ready = self._ready(room, asleep / 1000.0)
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
        if room < 0:
            room = len(self._masks)
        if self._odd or self._fixed:
            found = self._asked_of_poll(self._odd | self._fixed) or None
            if found is not None:
                seconds = 0
        # Room for all kevents of all numbers, or for just as many as there is room for numbers: then the queue's
        # round robin over knotes is one over numbers as well.
        limit = room if room < len(self._masks) else room + 2 * self._shared
        if not _DIRECT or found is not None or self._shared or self._exact:
            return self._judged(self._control(None, limit or 1, seconds), found or {}, room, limit)
        # The usual case: one knote to a number, and nothing but what it waits for.
        try:
            # control() without what parsing its arguments costs.
            events: list[Any] = self._queue._control(None, limit or 1, seconds)
        except ValueError:
            events = self._control(None, limit or 1, seconds)  # which says what is closed
        for event in events:
            if event._flags & (EV_EOF | EV_CLEAR):
                return self._judged(events, {}, room, limit)
        # In the list that there is: nothing is made but the kevents.
        for i in range(len(events)):
            event = events[i]
            events[i] = event._udata
        return events

    def _judged(
        self, events: list[kevent], found: dict[int, int], room: int, limit: int
    ) -> list[tuple[int, int]]:
        """The events and what was found before made one list, by number."""
        doubtful = set()
        for event in events:
            if event.filter == EVFILT_USER:
                continue  # _wake()'s
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
