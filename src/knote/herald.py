# cython: annotation_typing=False
"""Telling the knotes of a file what has happened to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote.constants import (
    EV_EOF,
    EV_ONESHOT,
    EVFILT_VNODE,
    NOTE_ATTRIB,
    NOTE_EXTEND,
    NOTE_REVOKE,
    NOTE_TRUNCATE,
    NOTE_WRITE,
)
from knote.knote import ACTIVE, DISABLED, SOFT

if TYPE_CHECKING:
    from knote.knote import Knote
    from knote.ready import ReadyList
    from knote.source import Source


class Herald:
    """Puts on the ready list the knotes that want to hear it.  Threads: only under the queue's lock."""

    __slots__ = ("_ready", "_resting")

    def __init__(self, ready: ReadyList, resting: ReadyList) -> None:
        self._ready = ready
        self._resting = resting

    def ask(self, source: Source) -> None:
        """Its number is closed or another file's: its knotes are no more, and go when they are asked (S-084)."""
        kn = source.knotes
        while kn is not None:
            if (kn.status & SOFT or kn.filter == EVFILT_VNODE) and not kn.status & DISABLED:
                self._resting.remove(kn)
                self._ready.append(kn)
            kn = kn.sibling

    def tell(self, source: Source, notes: int, grown: bool) -> None:
        """notes have happened to source's file; grown: it was written to."""
        # FreeBSD's list of a file's knotes begins with the youngest (trace vn_read_and_vnode).
        vnode = source.find(EVFILT_VNODE)
        kn = source.knotes
        if vnode is not None and kn is not vnode:
            self._wake(vnode, notes, grown)
        while kn is not None:
            if kn is not vnode or kn is source.knotes:
                self._wake(kn, notes, grown)
            kn = kn.sibling

    def _wake(self, kn: Knote, notes: int, grown: bool) -> None:
        if kn.filter == EVFILT_VNODE:
            if not _record(kn, notes):
                return
        elif not grown or not kn.status & SOFT:
            return
        if not kn.status & DISABLED:
            self._resting.remove(kn)
            self._ready.append(kn)


def _record(kn: Knote, notes: int) -> bool:
    got = notes & kn.sfflags
    if notes & NOTE_TRUNCATE and not kn.sfflags & (NOTE_ATTRIB | NOTE_TRUNCATE):
        # It shrank, and nothing but the shrinking can be told for certain: who would not hear of that hears
        # of the write that may have been.
        got |= kn.sfflags & (NOTE_WRITE | NOTE_EXTEND)
    if notes & NOTE_REVOKE:
        kn.shown = EV_EOF
        kn.flags |= EV_ONESHOT
    elif not got:
        return False
    if not kn.status & ACTIVE:
        kn.fflags = 0  # what was returned; EV_CLEAR has taken it back
    kn.fflags |= got
    kn.status |= ACTIVE | SOFT
    return True
