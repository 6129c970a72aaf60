# cython: annotation_typing=False
"""EVFILT_USER: an event that programs trigger themselves.  See kqueue(2) on FreeBSD; spec 2.13."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote.constants import (
    EV_CLEAR,
    EVFILT_USER,
    NOTE_FFAND,
    NOTE_FFCOPY,
    NOTE_FFCTRLMASK,
    NOTE_FFLAGSMASK,
    NOTE_FFOR,
    NOTE_TRIGGER,
)
from knote.filters.base import Filter
from knote.knote import ACTIVE, SOFT

if TYPE_CHECKING:
    from knote.host import Host
    from knote.knote import Knote


class User(Filter):
    """No descriptor: a trigger puts the knote on the ready list, and the queue's wake descriptor does the rest."""

    __slots__ = ("_ready",)

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.id = EVFILT_USER
        self._ready = host.ready

    def attach(self, kn: Knote) -> int:
        """Filter.attach().  FreeBSD does not fire a trigger in the creating EV_ADD and leaks its control bits;
        macOS fires.  A program that expects the event would wait for ever: fire (S-262, S-265)."""
        kn.status |= SOFT
        kn.fflags = kn.sfflags & NOTE_FFLAGSMASK
        kn.data = kn.sdata
        if kn.sfflags & NOTE_TRIGGER:
            kn.status |= ACTIVE
            self._ready.append(kn)
        kn.sfflags = kn.fflags
        return 0

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch(): combine the notes, trigger.  An EV_CLEAR that comes with NOTE_TRIGGER does not eat
        it, as it does on FreeBSD; alone it takes a trigger back (S-268)."""
        how = fflags & NOTE_FFCTRLMASK
        given = fflags & NOTE_FFLAGSMASK
        if how == NOTE_FFAND:
            kn.fflags &= given
        elif how == NOTE_FFOR:
            kn.fflags |= given
        elif how == NOTE_FFCOPY:
            kn.fflags = given
        kn.sfflags = kn.fflags
        kn.data = kn.sdata = data
        if fflags & NOTE_TRIGGER:
            kn.status |= ACTIVE
            self._ready.append(kn)
        elif flags & EV_CLEAR:
            kn.status &= ~ACTIVE
        return 0

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event()."""
        return 1 if kn.status & ACTIVE else 0
