# cython: annotation_typing=False
"""What was asked for: changes, and what they do to the knotes of a queue.

A change goes through change() -> create(), modify() or delete() -> the filter's attach, touch or detach ->
Interest.sync() -> engine.watch().  All of it runs under the queue's lock.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote._kernel.fd import describe, is_open, same
from knote.constants import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_ERROR,
    EV_FORCEONESHOT,
    EV_KEEPUDATA,
    EV_ONESHOT,
    EV_RECEIPT,
    EVFILT_USER,
    NOTE_FFLAGSMASK,
    NOTE_LOWAT,
)
from knote.kevent import kevent
from knote.knote import ACTIVE, ASK, DEAD, DEMOTED, DISABLED, FORCED, SOFT, Knote
from knote.knotes import Knotes
from knote.masks import EDGE
from knote.source import IDENTITY

if TYPE_CHECKING:
    from knote.engines.base import Engine
    from knote.filters.base import Filter
    from knote.harvest import Harvest
    from knote.source import Source

STICKY = EV_CLEAR | EV_ONESHOT | EV_DISPATCH | EV_RECEIPT
UNDONE = DISABLED | FORCED | DEMOTED
_EBADF = errno.EBADF
_EINVAL = errno.EINVAL
_ENOENT = errno.ENOENT
_EPERM = errno.EPERM
_INT_MAX = 0x7FFFFFFF
_FRESH = 1 << 16
_NOT_STAGED = -2


class Registry(Knotes):
    """Applies change lists.  Threads: only under the queue's lock."""

    __slots__ = ("_base", "_deletes", "_filter", "_log", "_place", "_staging")

    def __init__(self, engine_type: type[Engine]) -> None:
        super().__init__(engine_type)
        self._log: list[Knote | None] = []
        """By its place in the list, the knote that a staged change has made or, where it is DEAD, deleted."""
        self._base = -1
        """The place of the first staged change."""
        self._deletes = False
        """Some of them are deleted ones."""
        self._place = 0
        self._staging = False
        self._filter: Filter = self.reads
        """That of the change before, which most often is the next one's as well."""

    def apply(self, changes: list[kevent], maxevents: int, harvest: Harvest) -> None:
        """Apply the changes in order, as if one by one.

        Creating and deleting knotes of descriptors only needs the engine to be told, and telling it many things
        at once is cheaper: such changes are staged, and the engine hears of them before the first change that
        is not of this kind, and at the end.  Should it refuse one, that and all behind it are undone, it is made
        again by itself, in the ordinary way, which reports its error; then the list goes on behind it.
        """
        count = len(changes)
        if self._base >= 0:
            self._flush_staged(harvest)  # left by a call that ran out of memory
        self._staging = count > 1
        if self._staging:
            self._log = [None] * count
        i = 0
        while True:
            if i == count:
                back = self._flush_staged(harvest)
                if back < 0:
                    return
                i = back
                self._staging = False
            change = changes[i]
            if change._filter == 0:
                i += 1  # FreeBSD passes over it without a word (S-040).
                continue
            self._place = i
            rc = self._change(change, harvest)
            if rc == _NOT_STAGED or ((rc > 0 or change._flags & EV_RECEIPT) and self._base >= 0):
                # What comes next needs the engine to know, or reports: first what was put aside.
                back = self._flush_staged(harvest)
                self._staging = False
                if back >= 0:
                    i = back
                    continue
                if rc == _NOT_STAGED:
                    continue
            self._staging = count > 1
            # -1: applied, and the knote is new; _FRESH: refused, while a new one was being made.
            fresh = rc < 0 or rc & _FRESH != 0
            if rc > 0:
                rc &= ~_FRESH
                if harvest.filled == maxevents:
                    harvest.error = rc
                    harvest.culprit = change
                    return
                self._report(harvest, change, rc, fresh)
            elif change._flags & EV_RECEIPT:
                if harvest.filled == maxevents:
                    harvest.lost = True
                    return
                self._report(harvest, change, 0, fresh)
            i += 1

    def _can_stage(self, flags: int, fflags: int, source: Source | None, kn: Knote | None) -> bool:
        # Whether a change can wait and be made together with others: all is level-triggered, in the queue's own
        # engine.
        if kn is not None:
            if not flags & EV_DELETE or kn.flags & EV_CLEAR or kn.status & (DISABLED | SOFT | DEMOTED):
                return False
        elif flags & (EV_CLEAR | EV_DISABLE) or fflags & NOTE_LOWAT or not flags & EV_ADD:
            return False
        if source is None:
            return True
        if source.soft or source.armed[0] & EDGE or source.armed[1] or source.armed[2]:
            return False
        return (kn is None or source.armed[0] != 0) and self.interest.stands(source)

    def _stage(self, kn: Knote, source: Source) -> None:
        if self._base < 0:
            self._base = self._place
        self._log[self._place] = kn
        if kn.status & DEAD:
            self._deletes = True
        self.interest.stage(source, kn, self._place)

    def _flush_staged(self, harvest: Harvest) -> int:
        """Tell the engine what was staged.  -1, or the place of the first change that it refused, which is undone
        with all that were staged behind it."""
        if self._base < 0:
            return -1
        touched = self.interest.staged
        failed = self.interest.flush()
        log = self._log
        first, last = self._base, self._place
        place = -1
        if failed is not None:
            place = failed.place
            for i in range(last, place - 1, -1):
                # Of a knote that was made and deleted the deletion comes first here, and revives it.
                kn = log[i]
                log[i] = None
                if kn is None:
                    continue
                if kn.status & DEAD:
                    self._revive(kn)
                else:
                    self.bury(kn, harvest)
            last = place - 1
        if self._deletes or failed is not None:
            for i in range(first, last + 1):
                kn = log[i]
                if kn is not None and kn.status & DEAD:
                    kn.status = 0  # Made and deleted, it stands in the log twice, and may be recycled once.
                    self._recycle(kn, harvest)
            for source in touched:
                if failed is not None and self.interest.armed(source):
                    # It may have been told of changes that are undone by now.
                    self.interest.sync(source)
                if source.knotes is None and not self.interest.armed(source):
                    self.table.drop_source(source)
        touched.clear()
        self._deletes = False
        self._base = -1
        return place

    def _revive(self, kn: Knote) -> None:
        # A deletion that is undone: READ and WRITE let go of nothing in detach().
        kn.status &= ~DEAD
        if kn.source is not None:
            self._join(kn.source, kn)
        if kn.hint:
            kn.hint = 0
            self.ready.append(kn)

    def _report(self, harvest: Harvest, change: kevent, error: int, fresh: bool) -> None:
        # Exactly EV_ERROR in flags (S-036); a new knote's notes are cleared by then (S-037), a user event's
        # are stripped of their control bits (trace user_receipt).
        fflags = change._fflags
        if fresh:
            fflags = 0
        elif change._filter == EVFILT_USER and not error:
            fflags &= NOTE_FFLAGSMASK
        harvest.events.append(kevent(change._ident, change._filter, EV_ERROR, fflags, error, change._udata))
        harvest.filled += 1

    def _change(self, change: kevent, harvest: Harvest) -> int:
        """Apply one change: 0, -1 when it made a new knote, or an errno, with _FRESH if it was making one.
        _NOT_STAGED: not applied, since it cannot wait together with those that do."""
        number = change._filter
        flags = change._flags
        filt: Filter | None = self._filter
        if filt is None or filt.id != number:
            filt = self._filters[-number] if -len(self._filters) < number < 0 else None
            if filt is None:
                return _EINVAL
            self._filter = filt
        if flags & EV_ENABLE and flags & EV_DISABLE:
            return _EINVAL
        if flags & EV_ADD and flags & EV_KEEPUDATA:
            return _EINVAL
        source = None
        fd = -1
        if filt.is_fd:
            if change._ident > _INT_MAX:
                return _EBADF
            fd = change._ident
            # As Table.source(), in this module: a thirtieth of what a change takes.
            slots = self.table.slots
            if fd < len(slots):
                source = slots[fd]
            kn = None if source is None else source.find(number)
        else:
            kn = self.table.find(number, change._ident)
        staged = (
            self._staging
            and filt.wants != 0
            and self._can_stage(flags, change._fflags, source, kn)
        )
        if self._base >= 0 and not staged:
            return _NOT_STAGED
        if kn is not None and not flags & EV_DELETE:
            rc = self._modify(change, kn, flags, harvest)
            if rc >= 0:
                return rc
            # Its descriptor turned out to be closed or another file: there is no such knote.
            source = None
        elif kn is not None:
            rc = self._delete(kn, staged, harvest)
            if not flags & EV_ADD or rc not in (_EBADF, _ENOENT):
                return rc
            # Its number was closed before: there was no knote to delete, so this creates one (S-050, S-084).
            source = None
        if not flags & EV_ADD:
            return _EBADF if filt.is_fd and is_open(fd) < 0 else _ENOENT
        return self._create(change, filt, source, staged, harvest)

    def _create(
        self, change: kevent, filt: Filter, source: Source | None, staged: bool, harvest: Harvest
    ) -> int:
        kn = self._blank()
        kn.begin(
            change._ident, filt, change._flags & STICKY | filt.forced, change._fflags, change._data, change._udata
        )
        kn.born = self.turn
        if change._flags & EV_DISABLE:
            kn.status |= DISABLED
        if not filt.is_fd:
            rc = filt.attach(kn)
            if rc == 0:
                self.table.add(kn)
                return -1
            harvest.graveyard.append(kn)
            return rc | _FRESH
        fd = change._ident
        proven = False
        # Where the engine's answer will tell that an armed number has become another file, nobody else is asked.
        if source is not None and (
            self.interest.leftovers
            or kn.flags & EV_CLEAR
            or kn.status & DISABLED
            or kn.sfflags & NOTE_LOWAT
            or source.soft
            or source.armed[0] & EDGE
            or not source.armed[0]
            or not filt.wants & ~source.armed[0]
        ):
            if not self.interest.holds(source):
                self.vanish(source, harvest)
                source = None
            else:
                proven = True
        if source is None:
            proven = True
            identity = describe(fd)
            if not identity & IDENTITY:
                harvest.graveyard.append(kn)
                return identity >> 5
            source = self.table.add_source(fd, identity)
        self._join(source, kn)
        rc = filt.attach(kn)
        if rc and not proven and not self.interest.holds(source):
            # The filter judged by what is known of another file.
            return self._create_anew(change, kn, source, harvest)
        if rc == 0 and staged and not kn.status & SOFT:
            self._stage(kn, source)
            return -1
        if rc == 0 and not kn.status & DISABLED:
            if kn.status & SOFT:
                self.ready.append(kn)
            else:
                rc = self.interest.sync(source)
                if rc == -_ENOENT and source.knotes is not kn:
                    return self._create_anew(change, kn, source, harvest)
                if rc == -_EPERM:
                    self._soften(source)
                    rc = 0
                rc = -rc
            if kn.status & ASK and rc == 0:
                self.ready.append(kn)
        if rc == 0:
            return -1
        self.bury(kn, harvest)
        if rc == _EBADF:
            self.vanish(source, harvest)
        elif source.knotes is None:
            self.interest.release(source)
            self.table.drop_source(source)
        else:
            self.interest.sync(source)
        return rc if rc == _EBADF else rc | _FRESH

    def _create_anew(self, change: kevent, kn: Knote, source: Source, harvest: Harvest) -> int:
        # source's number is another file by now, so its knotes go, and the new one begins again.
        filt = kn.filt
        self.bury(kn, harvest)
        self.vanish(source, harvest)
        return self._create(change, filt, None, False, harvest)

    def _modify(self, change: kevent, kn: Knote, flags: int, harvest: Harvest) -> int:
        """0, an errno, or -1 when the knote's descriptor is gone."""
        source = kn.source
        if source is not None and not self.interest.holds(source):
            self.vanish(source, harvest)
            return -1
        fflags = kn.sfflags
        data = kn.sdata
        udata = kn.udata
        was = kn.status
        sticky = kn.flags
        rc = kn.filt.touch(kn, flags, change._fflags, change._data)
        if rc:
            return rc
        if not flags & EV_KEEPUDATA:
            harvest.graveyard.append(kn.udata)
            kn.udata = change._udata
        if flags & EV_FORCEONESHOT:
            kn.flags |= EV_ONESHOT
            kn.status |= FORCED
        if flags & EV_DISABLE:
            # Disarming waits until the kernel reports it while disabled: an ENABLE before that finds its place
            # in the kernel's order kept (trace order_disable_enable), and both cost no system call.
            kn.status |= DISABLED
            return 0
        if flags & EV_ENABLE:
            kn.status &= ~DISABLED
        if kn.status & DISABLED:
            return 0
        if source is None:
            if kn.status & (ACTIVE | FORCED):
                self.ready.append(kn)
            return 0
        if kn.status & (SOFT | FORCED | ASK):
            self.resting.remove(kn)
            self.ready.append(kn)
        if kn.flags & EV_CLEAR:
            # A change evaluates the filter afresh, edge or not (S-073): the engine reports it, once.
            source.rearm |= kn.wants
            if not kn.status & (SOFT | FORCED | ASK):
                self.ready.remove(kn)
        kn.status &= ~DEMOTED
        rc = self.interest.sync(source)
        if rc in (-_ENOENT, -_EBADF):
            self.vanish(source, harvest)
            return -1
        if rc:
            # The engine would not: all is as it was before.
            kn.filt.touch(kn, 0, fflags, data)
            kn.status = kn.status & ~UNDONE | was & UNDONE
            kn.flags = sticky
            if not flags & EV_KEEPUDATA:
                kn.udata = udata
        return -rc

    def _delete(self, kn: Knote, staged: bool, harvest: Harvest) -> int:
        source = kn.source
        if staged and source is not None:
            home = kn.home
            self._unlink(kn)
            kn.hint = home
            self._stage(kn, source)
            return 0
        self.bury(kn, harvest)
        if source is None:
            return 0
        before = source.armed[0]
        told = before and not source.armed[1] and not source.armed[2]
        rc = self.interest.sync(source)
        proven = told and source.armed[0] != before and not self.interest.leftovers
        if rc == 0 and not proven and not same(source.fd, source.identity):
            # No system call named the number, or only some of its lanes, or it may have met an interest left over.
            rc = -_ENOENT
        if rc in (-_ENOENT, -_EBADF):
            # The number was closed, or means another file, before it was deleted: so were its knotes (S-086).
            self.vanish(source, harvest)
            return _EBADF if is_open(source.fd) < 0 else _ENOENT
        if source.knotes is None:
            self.table.drop_source(source)
        return -rc
