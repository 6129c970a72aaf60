# cython: annotation_typing=False
"""EVFILT_MEMORYSTATUS: memory is short.  The name and the notes are those of macOS, what they mean is Linux'
pressure stall information: programs stand still because their pages are not there.  An extension of knote's.

Source: Documentation/accounting/psi.rst of Linux.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote._kernel.procfile import contents, open_file, write_text
from knote._kernel.time import close_fd
from knote.constants import (
    EV_CLEAR,
    EVFILT_MEMORYSTATUS,
    NOTE_MEMORYSTATUS_PRESSURE_CRITICAL,
    NOTE_MEMORYSTATUS_PRESSURE_NORMAL,
    NOTE_MEMORYSTATUS_PRESSURE_WARN,
)
from knote.filters.base import Filter
from knote.knote import ACTIVE, DISABLED, SOFT

if TYPE_CHECKING:
    from knote.host import Host
    from knote.knote import Knote

_EINVAL = errno.EINVAL
_ENOENT = errno.ENOENT
_EOPNOTSUPP = errno.EOPNOTSUPP
_PRESSURE = b"/proc/pressure/memory"
_KNOWN = NOTE_MEMORYSTATUS_PRESSURE_WARN | NOTE_MEMORYSTATUS_PRESSURE_CRITICAL
# Without CAP_SYS_RESOURCE windows are multiples of 2 s, and with it there is no need for others.
_WINDOW_US = 2_000_000
_WINDOW_MS = 2_000
_DEFAULT_MS = 100


class Trigger:
    """One line written to /proc/pressure/memory, and those who wait for it: the kernel takes one a descriptor."""

    __slots__ = ("fd", "fresh", "knotes", "note", "total", "us")

    def __init__(self, note: int, us: int, fd: int, total: int) -> None:
        self.note = note
        self.us = us
        self.fd = fd
        self.total = total
        """Us of stall, all in all, when it was last true, or made."""
        self.fresh = True
        """The engine reports a descriptor that it begins to watch: that alone is no pressure."""
        self.knotes: list[Knote] = []


class MemoryStatus(Filter):
    """WARN: some program stood still for lack of memory, for as much of two seconds as `data` says; CRITICAL: all
    did.  Knotes with the same demand share a descriptor.

    Without CAP_SYS_RESOURCE the kernel's word is not enough: it compares the first window with a total that only
    privileged triggers keep, so a trigger of 2000 ms fires in its first two windows if there is any stall at all
    (seen on Linux 6.18).  There the totals decide, which the kernel has brought up to date just then; with the
    capability they may be 2 s old, and its word is right.
    """

    __slots__ = ("_host", "_triggers", "_trusted")

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.id = EVFILT_MEMORYSTATUS
        self.forced = EV_CLEAR
        self._host = host
        self._triggers: list[Trigger] = []
        self._trusted = False

    def attach(self, kn: Knote) -> int:
        """Filter.attach()."""
        kn.status |= SOFT
        kn.period = self._total(NOTE_MEMORYSTATUS_PRESSURE_WARN)
        return self._arm(kn, kn.sfflags, kn.sdata)

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch()."""
        if fflags == kn.sfflags and data == kn.sdata:
            return 0
        before: list[Trigger] = []
        for trigger in self._triggers:
            if kn in trigger.knotes:
                before.append(trigger)
        rc = self._arm(kn, fflags, data)
        if rc:
            return rc
        for trigger in before:
            trigger.knotes.remove(kn)
        self._sweep()
        kn.sfflags = fflags
        kn.sdata = data
        return 0

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event(): data is for how many us some program has stood still since the knote was returned or
        added."""
        if not kn.status & ACTIVE:
            return 0
        now = self._total(NOTE_MEMORYSTATUS_PRESSURE_WARN)
        kn.data = now - kn.period
        kn.period = now
        return 1

    def detach(self, kn: Knote) -> None:
        """Filter.detach()."""
        for trigger in self._triggers:
            while kn in trigger.knotes:
                trigger.knotes.remove(kn)
        self._sweep()

    def drain(self, number: int) -> None:
        """Drain.drain()."""
        for trigger in self._triggers:
            if trigger.fd == number:
                total = self._total(trigger.note)
                fresh = trigger.fresh
                trigger.fresh = False
                if not fresh if self._trusted else total - trigger.total >= trigger.us:
                    trigger.total = total
                    self._post(trigger)

    def rewatched(self, number: int) -> None:
        """Drain.rewatched()."""
        for trigger in self._triggers:
            if trigger.fd == number:
                trigger.fresh = True

    def close(self) -> None:
        """Filter.close()."""
        for trigger in self._triggers:
            close_fd(trigger.fd)
        self._triggers = []

    def _arm(self, kn: Knote, fflags: int, data: int) -> int:
        """Make kn wait for what it asks for, beside what it waits for already; 0 or an errno, and nothing done."""
        if not fflags or fflags & ~_KNOWN & ~NOTE_MEMORYSTATUS_PRESSURE_NORMAL or not 0 <= data <= _WINDOW_MS:
            return _EINVAL
        if fflags & NOTE_MEMORYSTATUS_PRESSURE_NORMAL:
            return _EOPNOTSUPP
        us = (data or _DEFAULT_MS) * 1000
        joined: list[Trigger] = []
        for note in (NOTE_MEMORYSTATUS_PRESSURE_WARN, NOTE_MEMORYSTATUS_PRESSURE_CRITICAL):
            if fflags & note:
                rc = self._join(kn, note, us, joined)
                if rc:
                    for trigger in joined:
                        trigger.knotes.remove(kn)
                    self._sweep()
                    return rc
        return 0

    def _join(self, kn: Knote, note: int, us: int, joined: list[Trigger]) -> int:
        found = None
        for trigger in self._triggers:
            if trigger.note == note and trigger.us == us:
                found = trigger
        if found is None:
            fd = open_file(_PRESSURE, True)
            if fd < 0:
                # EOPNOTSUPP: PSI is switched off, which is as good as not there.
                return _ENOENT if fd == -_EOPNOTSUPP else -fd
            if not self._triggers:
                self._trusted = self._may_choose()
            total = self._total(note)
            some = note == NOTE_MEMORYSTATUS_PRESSURE_WARN
            rc = write_text(fd, b"%s %d %d" % (b"some" if some else b"full", us, _WINDOW_US))
            if rc >= 0:
                # By edge: the file is always readable, and POLLPRI is gone once anybody has seen it.
                rc = self._host.own(fd, self, True)
            if rc < 0:
                close_fd(fd)
                return -rc
            found = Trigger(note, us, fd, total)
            self._triggers.append(found)
        found.knotes.append(kn)
        joined.append(found)
        return 0

    def _sweep(self) -> None:
        # Those that nobody waits for any more.
        kept: list[Trigger] = []
        for trigger in self._triggers:
            if trigger.knotes:
                kept.append(trigger)
            else:
                self._host.disown(trigger.fd)
                close_fd(trigger.fd)
        self._triggers = kept

    def _post(self, trigger: Trigger) -> None:
        for kn in trigger.knotes:
            if not kn.status & ACTIVE:
                kn.fflags = 0
            kn.fflags |= trigger.note
            kn.status |= ACTIVE
            if not kn.status & DISABLED:
                self._host.ready.append(kn)

    def _may_choose(self) -> bool:
        # Who may choose a window that is no multiple of 2 s has the capability, in the namespace that counts.
        fd = open_file(_PRESSURE, True)
        if fd < 0:
            return False
        rc = write_text(fd, b"some 1000000 1000000")
        close_fd(fd)
        return rc >= 0

    def _total(self, note: int) -> int:
        # some avg10=0.00 avg60=0.00 avg300=0.00 total=13678376
        # full avg10=...
        fd = open_file(_PRESSURE, False)
        if fd < 0:
            return 0
        some, _, full = contents(fd).partition(b"\n")
        close_fd(fd)
        total = (some if note == NOTE_MEMORYSTATUS_PRESSURE_WARN else full).rpartition(b"total=")[2].strip()
        return int(total) if total.isdigit() else 0
