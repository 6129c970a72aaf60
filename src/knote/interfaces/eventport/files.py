"""PORT_SOURCE_FILE: a file by its name, watched once (spec S-371)."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Final

import knote
from knote import EV_ADD, EV_ONESHOT, EVFILT_VNODE, errors, kevent
from knote.interfaces.eventport.names import (
    FILE_ACCESS,
    FILE_ATTRIB,
    FILE_DELETE,
    FILE_EXCEPTION,
    FILE_MODIFIED,
    FILE_NOFOLLOW,
    FILE_RENAME_FROM,
    FILE_TRUNC,
    PORT_SOURCE_FILE,
    UNMOUNTED,
    file_obj,
    port_event,
)
from knote.interfaces.eventport.source import Source

if TYPE_CHECKING:
    from knote.interfaces.eventport.port import Port

_ASKED: Final = FILE_ACCESS | FILE_MODIFIED | FILE_ATTRIB | FILE_TRUNC | FILE_NOFOLLOW

# No descriptor that reads is needed, where there is another (Linux, FreeBSD; macOS), and none keeps a file system
# busy for long: it is open while associated.
_READING: Final = os.O_RDONLY | os.O_NONBLOCK  # a FIFO without a writer
_OPEN: Final[int] = getattr(os, "O_PATH", getattr(os, "O_EVTONLY", _READING)) | os.O_CLOEXEC

_NOTES: Final = tuple(
    (bit, getattr(knote, name, 0))
    for bit, name in (
        (FILE_ACCESS, "NOTE_READ"),
        (FILE_MODIFIED, "NOTE_WRITE"),
        (FILE_MODIFIED, "NOTE_EXTEND"),
        (FILE_ATTRIB, "NOTE_ATTRIB"),
        (FILE_ATTRIB, "NOTE_LINK"),
        (FILE_TRUNC, "NOTE_TRUNCATE"),
        (FILE_DELETE, "NOTE_DELETE"),
        (FILE_RENAME_FROM, "NOTE_RENAME"),
        (UNMOUNTED, "NOTE_REVOKE"),
    )
)


class File(Source):
    """One association, of a file_obj.  It holds a descriptor while it lasts."""

    __slots__ = ("_fd", "_fired", "events", "object", "user")

    def __init__(self, object: file_obj, events: int, user: Any) -> None:
        self.object = object
        self.events = events
        self.user = user
        self._fired = 0
        self._fd = -1

    # Each of these is called under the port's lock.

    def associate(self, port: Port) -> None:
        """Replace what the object has.  A time that is not the file's by now is an event at once."""
        flags = _OPEN | (os.O_NOFOLLOW if self.events & FILE_NOFOLLOW else 0)
        self._fd = os.open(self.object.fo_name, flags)
        try:
            wanted = self.events | FILE_EXCEPTION
            notes = 0
            for bit, note in _NOTES:
                if wanted & bit:
                    notes |= note
            port.control([kevent(self._fd, EVFILT_VNODE, EV_ADD | EV_ONESHOT, notes, 0, self)])
            # Looked at when it is watched already: what changes in between is told twice rather than never.
            self._fired = self._changed()
        except BaseException:
            self.close()
            raise
        before = port.files.get(id(self.object))
        port.files[id(self.object)] = self
        if before is not None:
            before.close()
        if self._fired:
            port.queue(self)

    def _changed(self) -> int:
        known = self.object
        if not (known.fo_atime or known.fo_mtime or known.fo_ctime):
            return 0
        now = os.fstat(self._fd)
        fired = 0
        if now.st_atime_ns != known.fo_atime:
            fired |= FILE_ACCESS
        if now.st_mtime_ns != known.fo_mtime:
            fired |= FILE_MODIFIED
        if now.st_ctime_ns != known.fo_ctime:
            fired |= FILE_ATTRIB
        return fired & self.events

    def dissociate(self, port: Port) -> bool:
        """True: there was one."""
        del port.files[id(self.object)]
        self.close()
        return True

    def judge(self, port: Port, event: kevent | None) -> port_event | None:
        """What is retrieved; the association ends."""
        if port.files.get(id(self.object)) is not self:
            return None
        if event is not None:
            for bit, note in _NOTES:
                if event.fflags & note:
                    self._fired |= bit
        if not self._fired:
            return None
        self.dissociate(port)
        return port_event(self._fired, PORT_SOURCE_FILE, self.object, self.user)

    def give_back(self, port: Port, event: port_event) -> None:
        """It was retrieved for nobody: queued again, unless the object has been associated since."""
        if id(self.object) not in port.files:
            port.files[id(self.object)] = self
            port.queue(self)

    def close(self) -> None:
        """Its knote goes with the descriptor."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def file(object: Any, events: int, user: Any) -> File:
    """The association that port_associate(PORT_SOURCE_FILE) asks for; OSError(EINVAL)."""
    if not isinstance(object, file_obj):
        raise TypeError(f"PORT_SOURCE_FILE takes a file_obj, got {type(object).__name__}")
    if events & ~(_ASKED | FILE_EXCEPTION):
        raise errors.os_error(errno.EINVAL, f"events {events:#x} of {object.fo_name!r}: not FILE_*")
    return File(object, events, user)
