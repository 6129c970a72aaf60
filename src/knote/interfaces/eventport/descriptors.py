# cython: annotation_typing=False
"""PORT_SOURCE_FD: a descriptor and the poll(2) bits that it is watched for, once."""

from __future__ import annotations

import errno
import os
import select
import stat
from typing import TYPE_CHECKING, Any, Final

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_ENABLE,
    EVFILT_READ,
    EVFILT_WRITE,
    errors,
    kevent,
)
from knote.interfaces.eventport.names import PORT_SOURCE_FD, port_event
from knote.interfaces.eventport.source import Source

if TYPE_CHECKING:
    from knote.interfaces.eventport.port import Port

_IN = select.POLLIN | select.POLLRDNORM
_OUT = select.POLLOUT | select.POLLWRNORM
_PRI = select.POLLPRI
_NVAL = select.POLLNVAL
_USHRT_MAX = 0xFFFF

# Not every BSD has these.  Without the first, out-of-band data wakes nobody; without the second a knote is deleted
# where it would be disabled, and made where it would be enabled; without the third files need a look of their own.
_EXCEPT: Final[int | None] = getattr(knote, "EVFILT_EXCEPT", None)
_DISPATCH: Final[int] = getattr(knote, "EV_DISPATCH", knote.EV_ONESHOT)
# Not NOTE_NODATA: it saves the look that finds out that a number was closed while a dup lives (S-364).
_READ_NOTES: Final[int] = getattr(knote, "NOTE_FILE_POLL", 0)

_READS, _WRITES, _EXCEPTS, _SENTINEL = 1, 2, 4, 8
"""A descriptor's knotes; a sentinel is a READ by edge, which tells of hang-ups where reading is not asked for."""
_ONCE: Final = EV_ADD | EV_ENABLE | _DISPATCH
_KNOTES: Final = (
    (_READS, EVFILT_READ, _ONCE, _READ_NOTES),
    (_WRITES, EVFILT_WRITE, _ONCE, 0),
    (_EXCEPTS, _EXCEPT, _ONCE, 0),
    (_SENTINEL, EVFILT_READ, EV_ADD | EV_CLEAR, _READ_NOTES),
)


class Descriptor(Source):
    """One association.  Its knotes carry it as udata, and stay in the queue, disabled, when it was retrieved: the
    next association of the number enables them.  A kevent whose udata is no longer the number's is nobody's.

    One that has a single knote is kept by the port for the same association again (Port.idle): a knote gives one
    kevent each time that it is enabled, so once that was judged there is none under way.
    plain: what is retrieved when its only knote says so; 0: poll(2) is asked.  changes: enable that knote.
    """

    __slots__ = ("changes", "events", "fd", "knotes", "plain", "user")

    def __init__(self, fd: int, events: int, user: Any) -> None:
        self.fd = fd
        self.events = events
        self.user = user
        self.knotes = 0
        self.plain = 0
        self.changes: list[kevent] = []

    def associate(self, port: Port) -> None:
        """Replace what the number has; nothing is changed if that fails.  Under the port's lock."""
        knotes = _READS if self.events & _IN else 0
        if self.events & _OUT:
            knotes |= _WRITES
        if self.events & _PRI and _EXCEPT is not None:
            knotes |= _EXCEPTS
        if not knotes & ~_EXCEPTS:
            knotes |= _SENTINEL
        before = port.descriptors.get(self.fd)
        if knotes & _SENTINEL or (before is not None and before.knotes & _SENTINEL):
            # EV_CLEAR is what a knote is added with, and no later EV_ADD changes that.
            self._quietly(port, EVFILT_READ, EV_DELETE)
        if before is not None:
            for bit, filter, _, _ in _KNOTES[:3]:
                if before.knotes & ~knotes & bit and filter is not None:
                    self._quietly(port, filter, EV_DISABLE)
        self.knotes = 0 if not _READ_NOTES and self._is_file() else self._add(port, knotes)
        self.plain = 0
        if self.knotes == _READS or self.knotes == _WRITES:
            self.plain = self.events & (_IN if self.knotes == _READS else _OUT)
            self.changes = [self._change(self.knotes)]
        port.idle.pop(self.fd, None)
        port.descriptors[self.fd] = self
        if not self.knotes:
            port.queue(self)

    def _is_file(self) -> bool:
        # poll(2) says that files and directories are ready, wherever they are read.
        try:
            mode = os.fstat(self.fd).st_mode
        except OSError:
            raise bad_descriptor(self.fd) from None
        return stat.S_ISREG(mode) or stat.S_ISDIR(mode)

    def _add(self, port: Port, knotes: int) -> int:
        """Which of them there are now.  0: it is ready at once and always, or was when poll(2) was asked."""
        while True:
            try:
                port.control([self._change(bit) for bit, _, _, _ in _KNOTES if knotes & bit])
            except OSError:
                if knotes & _EXCEPTS:
                    knotes &= ~_EXCEPTS  # many have no such thing as out-of-band data
                    continue
                revents = self.polled()
                if not revents:
                    raise
                if revents & _NVAL:
                    raise bad_descriptor(self.fd) from None
                return 0
            return knotes

    def _change(self, bit: int) -> kevent:
        for each, filter, flags, notes in _KNOTES:
            if each == bit and filter is not None:
                return kevent(self.fd, filter, flags, notes, 0, self)
        raise AssertionError(bit)

    def _quietly(self, port: Port, filter: int, flags: int) -> bool:
        """Whether there was such a knote: a closed number has none."""
        try:
            port.control([kevent(self.fd, filter, flags)])
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EBADF):
                raise
            return False
        return True

    def dissociate(self, port: Port) -> bool:
        """Whether there was an association: one of a number that was closed is none (S-364)."""
        del port.descriptors[self.fd]
        found = not self.knotes
        for bit, filter, _, _ in _KNOTES:
            if self.knotes & bit and filter is not None:
                found |= self._quietly(port, filter, EV_DELETE)
        return found

    def judge(self, port: Port, event: kevent | None) -> port_event | None:
        """Source.judge(), of all but what Port.judge() sees at a glance; the association ends (S-362)."""
        if port.descriptors.get(self.fd) is not self:
            return None
        revents = self.polled()
        if not revents:
            if not self.knotes & _SENTINEL:
                self._add(port, self.knotes)
            return None
        for bit, filter, _, _ in _KNOTES:
            if self.knotes & bit and filter is not None and (event is None or filter != event.filter):
                self._quietly(port, filter, EV_DELETE if bit == _SENTINEL else EV_DISABLE)
        if self.knotes & _SENTINEL:
            self._quietly(port, EVFILT_READ, EV_DELETE)
        del port.descriptors[self.fd]
        user, self.user = self.user, None  # the knotes keep this record
        return port_event(revents, PORT_SOURCE_FD, self.fd, user)

    def polled(self) -> int:
        """What poll(2) says of it, as it is associated."""
        poller = select.poll()
        poller.register(self.fd, self.events)
        for _, revents in poller.poll(0):
            return revents
        return 0

    def give_back(self, port: Port, event: port_event) -> None:
        """Source.give_back(): associated again, unless the number has been since."""
        if self.fd not in port.descriptors:
            self.user = event.portev_user
            try:
                self.associate(port)
            except OSError:
                pass  # closed meanwhile (S-364)


def number_of(fd: Any) -> int:
    """The number of a descriptor, or of what has fileno(); OSError(EBADFD) for one that cannot be."""
    if not isinstance(fd, int) and not hasattr(fd, "fileno"):
        raise TypeError(f"PORT_SOURCE_FD takes a descriptor, or what has fileno(), got {type(fd).__name__}")
    number = fd if isinstance(fd, int) else fd.fileno()
    if not 0 <= number <= 0x7FFFFFFF:
        raise bad_descriptor(number)
    return int(number)


def descriptor(number: int, events: int, user: Any) -> Descriptor:
    """The association that port_associate(PORT_SOURCE_FD) asks for; OSError(EINVAL)."""
    if not 0 <= events <= _USHRT_MAX:
        raise errors.os_error(errno.EINVAL, f"events {events:#x} of descriptor {number}: poll(2) has 16 bits")
    return Descriptor(number, events, user)


def bad_descriptor(number: int) -> OSError:
    """EBADFD, by which libev knows that it is the descriptor and not the port (port_associate(3C))."""
    return errors.os_error(errno.EBADFD, f"descriptor {number} is not open: port_associate() takes open ones")
