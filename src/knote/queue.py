# cython: annotation_typing=False
"""The queue: what was asked for, applied and collected, under the only lock.

In:  run() -> _apply() -> _change() -> a filter's attach/touch/detach -> Interest.sync() -> engine.watch().
Out: engine.wait() -> _gather() -> _hit() -> _offer() -> a filter's event() -> the kevents of the call.

The engine only hints; a knote is judged when it could be returned.  Level state stays in the kernel; what the
kernel cannot keep (USER, TIMER, files) stays on the ready list, and while that is not empty the wake descriptor
is raised, so that the queue's descriptor polls readable.
"""

from __future__ import annotations

import errno
import time
from typing import Any

from knote import errors, filters, process
from knote._kernel.fd import describe, is_open, same
from knote._kernel.fork import fork_count
from knote._kernel.lock import Lock
from knote._kernel.time import close_fd, now_ns, run_signal_handlers, wake_create, wake_lower, wake_raise
from knote.clock import Clock
from knote.constants import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_EOF,
    EV_ERROR,
    EV_FORCEONESHOT,
    EV_KEEPUDATA,
    EV_ONESHOT,
    EV_RECEIPT,
    EVFILT_TIMER,
    EVFILT_USER,
    EVFILT_WRITE,
    NOTE_FFLAGSMASK,
    NOTE_LOWAT,
    NOTE_NODATA,
)
from knote.engines.base import Engine
from knote.filters.base import Filter
from knote.harvest import Harvest
from knote.interest import Interest
from knote.kevent import kevent
from knote.knote import ACTIVE, DEAD, DEMOTED, DISABLED, FORCED, SEEN, SOFT, Knote
from knote.masks import EDGE, ERR, HUP
from knote.ready import ReadyList
from knote.source import Source
from knote.table import Table

STICKY = EV_CLEAR | EV_ONESHOT | EV_DISPATCH | EV_RECEIPT
CLOCK_MONOTONIC = time.CLOCK_MONOTONIC
_EBADF = errno.EBADF
_EINTR = errno.EINTR
_EINVAL = errno.EINVAL
_ENOENT = errno.ENOENT
_EPERM = errno.EPERM
_INT_MAX = 0x7FFFFFFF
_FRESH = 1 << 16
_NOT_STAGED = -2
# Deleted knotes kept for the next EV_ADD: 250 KB at most.
_SPARE = 1024


class Queue:
    """One kqueue, shared by all the handles on it.

    Threads: any number may run() at once.  The lock is held only while knote's own code runs, never across a wait;
    a finalizer or a signal handler that calls in again on the same thread has its changes put aside until the
    lock is let go of.  After a fork the child's queue is closed and touches nothing of the parent's.
    """

    __slots__ = (
        "__weakref__", "_again", "_base", "_clocks", "_deferred", "_drains", "_engine", "_epoch", "_evacuating", "_filters",
        "_forks", "_freed", "_interest", "_lane_harvest", "_late", "_lock", "_log", "_place", "_pool", "_raised", "_ready", "_resting",
        "_spare", "_staging", "_strays", "_table", "_turn", "_waiters", "_wake", "closed",
    )  # fmt: skip

    def __init__(self, engine_type: type[Engine]) -> None:
        self.closed = True
        self._freed = True
        self._lock = Lock()
        self._wake = wake_create()
        if self._wake < 0:
            raise errors.creation(-self._wake, "the wake descriptor of a kqueue")
        try:
            self._interest = Interest(engine_type)
        except BaseException:
            close_fd(self._wake)
            raise
        self._engine = self._interest.main
        self._interest.own(self._wake)
        self._table = Table()
        self._ready = ReadyList(1)
        self._again = ReadyList(2)
        self._resting = ReadyList(3)
        self._late = ReadyList(4)
        self._clocks: list[Clock] = []
        self._drains: dict[int, Filter] = {}
        self._filters: list[Filter | None] = filters.make_all(self._ready, self._open_clock)
        self._pool: list[Harvest] = []
        self._spare: list[Knote] = []
        self._log: list[Knote] = []
        """Made and deleted by the staged changes, one each, from the _base-th of the list on."""
        self._base = -1
        self._place = 0
        self._staging = False
        self._deferred: list[list[kevent] | None] = []
        self._strays: set[int] = set()
        self._lane_harvest = Harvest()
        self._raised = False
        self._waiters = 0
        self._evacuating = 0
        self._epoch = 0
        self._forks = fork_count()
        self._turn = 0
        self.closed = False
        self._freed = False
        process.register(self, self._engine.number)

    def __del__(self) -> None:
        if not self._freed:
            self.close()

    # ---- the call ------------------------------------------------------------------------------------------

    def run(self, changes: list[kevent], maxevents: int, deadline: int) -> list[kevent]:
        """kevent(2).  deadline: ns of CLOCK_MONOTONIC, 0 to poll, -1 to wait for ever.  See kqueue.control()."""
        self._check()
        harvest = self._take()
        try:
            if changes:
                if not self._lock.acquire():
                    return self.defer(changes, maxevents)
                self._turn += 1
                try:
                    self._apply(changes, maxevents, harvest)
                finally:
                    self._leave(maxevents > 0 and not harvest.events)
                if harvest.error:
                    raise errors.refused(harvest.culprit, harvest.error)
                if harvest.lost:
                    return []
                if harvest.events:
                    return harvest.events
            if maxevents == 0:
                return []
            return self._collect(harvest, maxevents, deadline, not changes)
        finally:
            self._give_back(harvest)

    def _check(self) -> None:
        if fork_count() != self._forks:
            self.abandon()
        if self.closed:
            raise errors.closed()

    def _take(self) -> Harvest:
        return self._pool.pop() if self._pool else Harvest()

    def _give_back(self, harvest: Harvest) -> None:
        if harvest.graveyard:
            harvest.graveyard.clear()
        if harvest.filled or harvest.events:
            # The list is the caller's by now.
            harvest.events = []
            harvest.filled = 0
        harvest.error = 0
        harvest.culprit = None
        harvest.lost = False
        self._pool.append(harvest)

    def _leave(self, collecting: bool) -> None:
        # What a finalizer or signal handler of this thread asked for meanwhile is done before anybody else's; one
        # that comes between the last look and the release is done right after it.
        if self._deferred:
            self._run_deferred()
        if not collecting or self._waiters:
            self._settle_wake()
        self._lock.release()
        while self._deferred and self._lock.acquire():
            self._run_deferred()
            self._settle_wake()
            self._lock.release()

    def defer(self, changes: list[kevent], maxevents: int) -> list[kevent]:
        """A call from inside another one on this very thread: put its changes aside."""
        self._deferred.append([kevent(c.ident, c.filter, c.flags, c.fflags, c.data, c.udata) for c in changes])
        if maxevents:
            raise errors.reentered()
        return []

    def _run_deferred(self) -> None:
        while self._deferred:
            changes = self._deferred.pop(0)
            if changes is None:
                self._shut()
                continue
            if self.closed:
                continue
            harvest = self._take()
            self._apply(changes, 0, harvest)
            if harvest.error:
                errors.unraisable(errors.refused(harvest.culprit, harvest.error), self)
            self._give_back(harvest)

    # ---- changes -------------------------------------------------------------------------------------------

    def _apply(self, changes: list[kevent], maxevents: int, harvest: Harvest) -> None:
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
        i = 0
        while True:
            if i == count:
                back = self._flush_staged(harvest)
                if back < 0:
                    return
                i = back
                self._staging = False
            if self.closed:
                harvest.error = _EBADF
                harvest.culprit = changes[i]
                return
            change = changes[i]
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
            fresh = rc < 0 or rc & _FRESH
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

    def _can_stage(self, change: kevent, filt: Filter, source: Source | None, kn: Knote | None) -> bool:
        if not self._staging or not filt.is_fd:
            return False
        if kn is not None:
            return bool(change._flags & EV_DELETE) and kn.source is not None and self._interest.can_stage(kn.source, kn)
        if change._flags & (EV_CLEAR | EV_DISABLE) or change._fflags & NOTE_LOWAT or not change._flags & EV_ADD:
            return False
        return source is None or self._interest.is_plain(source)

    def _stage(self, kn: Knote, source: Source) -> None:
        if self._base < 0:
            self._base = self._place
        self._log.append(kn)
        self._interest.stage(source, self._place)

    def _flush_staged(self, harvest: Harvest) -> int:
        """Tell the engine what was staged.  -1, or the place of the first change that it refused, which is undone
        with all that were staged behind it."""
        if self._base < 0:
            return -1
        touched = self._interest.staged
        failed = self._interest.flush()
        log = self._log
        keep = len(log)
        place = -1
        if failed is not None:
            place = failed.place
            keep = place - self._base
            while len(log) > keep:
                kn = log.pop()
                if kn.status & DEAD:
                    self._revive(kn)
                else:
                    self._bury(kn, harvest)
        for kn in log:
            if kn.status & DEAD:
                self._recycle(kn, harvest)
        log.clear()
        for source in touched:
            source.place = -1
            if failed is not None and self._interest.armed(source):
                # It may have been told of changes that are undone by now.
                self._interest.sync(source)
            if source.knotes is None and not self._interest.armed(source):
                self._table.drop_source(source)
        self._base = -1
        return place

    def _revive(self, kn: Knote) -> None:
        # A deletion that is undone: READ and WRITE let go of nothing in detach().
        kn.status &= ~DEAD
        if kn.source is not None:
            kn.source.add(kn)
        if kn.hint:
            kn.hint = 0
            self._ready.append(kn)

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
        if number == 0:
            return 0  # FreeBSD passes over it without a word (S-040).
        filt = self._filters[-number] if -len(self._filters) < number < 0 else None
        if filt is None:
            return _EINVAL
        if flags & EV_ENABLE and flags & EV_DISABLE:
            return _EINVAL
        source = None
        fd = -1
        if filt.is_fd:
            if change._ident > _INT_MAX:
                return _EBADF
            fd = change._ident
            source = self._table.source(fd)
            kn = None if source is None else source.find(number)
        else:
            kn = self._table.find(number, change._ident)
        if self._base >= 0 and not self._can_stage(change, filt, source, kn):
            return _NOT_STAGED
        if kn is not None and not flags & EV_DELETE:
            rc = self._modify(change, kn, flags, harvest)
            if rc >= 0:
                return rc
            # Its descriptor turned out to be closed or another file: there is no such knote.
            source = None
        elif kn is not None:
            return self._delete(kn, harvest)
        if not flags & EV_ADD:
            return _EBADF if filt.is_fd and is_open(fd) < 0 else _ENOENT
        if flags & EV_KEEPUDATA:
            return _EINVAL
        return self._create(change, filt, source, harvest)

    def _create(self, change: kevent, filt: Filter, source: Source | None, harvest: Harvest) -> int:
        kn = self._spare.pop() if self._spare else Knote.__new__(Knote)
        kn.begin(
            change._ident, filt, change._flags & STICKY | filt.forced, change._fflags, change._data, change._udata
        )
        kn.born = self._turn
        if change._flags & EV_DISABLE:
            kn.status |= DISABLED
        if not filt.is_fd:
            rc = filt.attach(kn)
            if rc == 0:
                self._table.add(kn)
                return -1
            harvest.graveyard.append(kn)
            return rc | _FRESH
        fd = change._ident
        # Where the engine's answer will tell that an armed number has become another file, nobody else is asked.
        if source is not None and (
            kn.flags & EV_CLEAR or kn.status & DISABLED or not source.armed[0] or source.armed[0] & EDGE
        ):
            if not same(fd, source.identity):
                self._vanish(source, harvest)
                source = None
        if source is None:
            identity = describe(fd)
            if not identity:
                harvest.graveyard.append(kn)
                return _EBADF
            source = self._table.add_source(fd, identity)
        source.add(kn)
        rc = filt.attach(kn)
        if rc == 0 and self._staging and self._interest.can_stage(source, kn):
            self._stage(kn, source)
            return -1
        if rc == 0 and not kn.status & DISABLED:
            if kn.status & SOFT:
                self._ready.append(kn)
            else:
                rc = self._interest.sync(source)
                if rc == -_ENOENT and source.knotes is not kn:
                    source.remove(kn)
                    self._vanish(source, harvest)
                    return self._create(change, filt, None, harvest)
                if rc == -_EPERM:
                    self._soften(source)
                    rc = 0
                rc = -rc
        if rc == 0:
            return -1
        self._bury(kn, harvest)
        if rc == _EBADF:
            self._vanish(source, harvest)
        elif source.knotes is None:
            self._interest.release(source)
            self._table.drop_source(source)
        else:
            self._interest.sync(source)
        return rc | _FRESH

    def _soften(self, source: Source) -> None:
        # No engine watches such a file: it is always ready, as poll(2) says, or asked when its turn comes (S-395).
        source.soft = True
        kn = source.knotes
        while kn is not None:
            kn.status |= SOFT
            if not kn.status & DISABLED:
                self._ready.append(kn)
            kn = kn.sibling

    def _modify(self, change: kevent, kn: Knote, flags: int, harvest: Harvest) -> int:
        """0, an errno, or -1 when the knote's descriptor is gone."""
        source = kn.source
        if source is not None and not same(source.fd, source.identity):
            self._vanish(source, harvest)
            return -1
        if flags & EV_ADD and flags & EV_KEEPUDATA:
            return _EINVAL
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
                self._ready.append(kn)
            return 0
        if kn.status & (SOFT | FORCED):
            self._resting.remove(kn)
            self._ready.append(kn)
        if kn.flags & EV_CLEAR:
            # A change evaluates the filter afresh, edge or not (S-073).
            source.rearm |= kn.wants
        kn.status &= ~DEMOTED
        rc = self._interest.sync(source)
        if rc in (-_ENOENT, -_EBADF):
            self._vanish(source, harvest)
            return -1
        return -rc

    def _delete(self, kn: Knote, harvest: Harvest) -> int:
        source = kn.source
        if source is not None and self._staging and source.armed[0] and self._interest.can_stage(source, kn):
            home = kn.home
            self._unlink(kn)
            kn.hint = home
            self._stage(kn, source)
            return 0
        self._bury(kn, harvest)
        if source is None:
            return 0
        if not self._interest.armed(source) or source.armed[1] or source.armed[2]:
            rc = 0 if same(source.fd, source.identity) else -_ENOENT
            if rc == 0:
                rc = self._interest.sync(source)
        else:
            rc = self._interest.sync(source)
        if rc in (-_ENOENT, -_EBADF):
            # The number was closed, or means another file, before it was deleted: so were its knotes (S-086).
            self._vanish(source, harvest)
            return _EBADF if is_open(source.fd) < 0 else _ENOENT
        if source.knotes is None:
            self._table.drop_source(source)
        return -rc

    def _unlink(self, kn: Knote) -> None:
        kn.status |= DEAD
        if kn.home:
            self._ready.remove(kn)
            self._again.remove(kn)
            self._resting.remove(kn)
            self._late.remove(kn)
        kn.filt.detach(kn)
        if kn.source is None:
            self._table.remove(kn)
        else:
            kn.source.remove(kn)

    def _bury(self, kn: Knote, harvest: Harvest) -> None:
        """Take kn out of everything.  Its udata goes after the lock; kn itself waits to be used again, which saves
        a third of what a new one costs, if nothing else can hold it (a clock's heap can hold a timer)."""
        self._unlink(kn)
        self._recycle(kn, harvest)

    def _recycle(self, kn: Knote, harvest: Harvest) -> None:
        harvest.graveyard.append(kn.udata)
        kn.udata = None
        if kn.filt.is_fd and len(self._spare) < _SPARE:
            self._spare.append(kn)

    def _vanish(self, source: Source, harvest: Harvest) -> None:
        """The descriptor was closed: its knotes go without a word (S-084)."""
        while source.knotes is not None:
            kn = source.knotes
            self._bury(kn, harvest)
        self._table.drop_source(source)

    # ---- events --------------------------------------------------------------------------------------------

    def _collect(self, harvest: Harvest, maxevents: int, deadline: int, alone: bool) -> list[kevent]:
        events = harvest.events
        first = True
        while True:
            if not self._lock.acquire():
                raise errors.reentered()
            if self.closed:
                self._lock.release()
                raise errors.os_error(_EBADF)
            if first:
                first = False
                if alone:
                    self._turn += 1
                while self._resting.count:
                    self._ready.append(self._resting.pop())
            ready = self._ready.count
            batch_room = min(maxevents, self._table.watched + 4)
            self._waiters += 1
            epoch = self._epoch
            self._lock.release()
            n = -_EINTR
            try:
                harvest.batch.reserve(batch_room)
                if ready and not self._table.watched and not self._drains:
                    n = 0  # Nothing but what is on the ready list could be reported.
                else:
                    n = self._engine.wait(harvest.batch, batch_room, 0 if ready else deadline)
                # The kevents of the call are made here, where the collector may run; one descriptor can still
                # give two, which _offer() makes up for.
                for _ in range(min(maxevents, ready + max(n, 0))):
                    events.append(kevent.__new__(kevent))
            finally:
                if not self._lock.acquire():
                    raise errors.reentered()
                self._back(epoch)
            if self.closed:
                self._lock.release()
                raise errors.os_error(_EBADF)
            harvest.room = maxevents
            harvest.filled = 0
            try:
                self._gather(harvest, n)
            finally:
                self._leave(False)
            if harvest.graveyard:
                harvest.graveyard.clear()
            if harvest.filled:
                if harvest.filled < len(events):
                    del events[harvest.filled :]
                return events
            if events:
                events.clear()
            if n < 0:
                if n != -_EINTR:
                    raise errors.os_error(-n)
                run_signal_handlers()
            if deadline == 0 or (deadline > 0 and now_ns(CLOCK_MONOTONIC) >= deadline):
                return []

    def _back(self, epoch: int) -> None:
        self._waiters -= 1
        if epoch != self._epoch and self._evacuating:
            self._evacuating -= 1
        if self.closed and not self._waiters:
            self._free()

    def _gather(self, harvest: Harvest, n: int) -> None:
        """Judge what was left, what the engine reported and what it set off, until there is no more room."""
        carry = self._ready.count
        while carry and harvest.filled < harvest.room:
            kn = self._ready.pop()
            if kn is None:
                break
            carry -= 1
            self._offer(harvest, kn, 0)
        for i in range(n):
            token = harvest.batch.token(i)
            source = self._table.by_token(token)
            if source is not None:
                self._hit(harvest, 0, source, harvest.batch.mask(i))
            elif token >> 32 == 0:
                self._internal(harvest, token)
            else:
                self._stray(harvest, token)
        if self._late.count:
            self._flush(harvest, self._late)
        while self._again.count:
            again = self._again.pop()
            self._ready.append(again)

    def _hit(self, harvest: Harvest, lane: int, source: Source, mask: int) -> None:
        armed = source.armed[lane]
        kn = source.knotes
        first = kn
        stale = False
        while kn is not None:
            after = kn.sibling
            if kn.wants & armed and mask & (kn.wants | ERR | HUP) and not kn.status & DEAD:
                if kn.status & DISABLED:
                    stale = True
                elif first is kn and after is None:
                    self._offer(harvest, kn, mask)
                elif self._goes_first(source, kn):
                    self._offer(harvest, kn, mask)
                else:
                    kn.hint = mask
                    self._late.append(kn)
            kn = after
        if stale and source.knotes is not None:
            self._interest.sync(source)

    def _goes_first(self, source: Source, kn: Knote) -> bool:
        # Events come in the order in which they became true (S-274).  The kernel keeps that order between
        # descriptors; between the knotes of one, those that were true before come first, and of those that
        # are new: in the list that created them in its order; later, the room to write of a connection, which
        # was there when it was registered; of what was never connected, the end of reading (FreeBSD's
        # soisdisconnected() wakes readers first).
        if kn.status & SEEN or kn.born == self._turn:
            return True
        if source.connected:
            return kn.filter == EVFILT_WRITE
        return kn.filter != EVFILT_WRITE

    def _internal(self, harvest: Harvest, token: int) -> None:
        if token == self._wake:
            return  # What it was raised for is on the ready list, which was asked first.
        lane = self._interest.lane_of(token)
        if lane:
            engine = self._interest.lanes[lane]
            assert engine is not None
            inner = self._lane_harvest
            inner.batch.reserve(256)
            n = engine.wait(inner.batch, 256, 0)
            for i in range(n):
                source = self._table.by_token(inner.batch.token(i))
                if source is not None:
                    self._hit(harvest, lane, source, inner.batch.mask(i))
                else:
                    self._stray(harvest, inner.batch.token(i))
            return
        filt = self._drains.get(token)
        if filt is not None:
            filt.drain(token)
            # In their place among the kernel's events (trace order_mixed_filters).
            self._flush(harvest, self._ready)

    def _flush(self, harvest: Harvest, ready: ReadyList) -> None:
        count = ready.count
        while count:
            count -= 1
            kn = ready.pop()
            if kn is None:
                break
            self._offer(harvest, kn, kn.hint)
            source = kn.source
            if source is not None and kn.status & SEEN and not kn.status & DEAD:
                # From now on it is one of those that were true before, and this is its place among them.
                source.remove(kn)
                source.add(kn)

    def _offer(self, harvest: Harvest, kn: Knote, hint: int) -> None:
        """Return kn if it is true and there is room."""
        kn.hint = 0
        if kn.home == 1:
            self._ready.remove(kn)
        if kn.status & (DISABLED | DEAD):
            return
        if harvest.filled == harvest.room:
            self._ready.append(kn)
            return
        source = kn.source
        verdict = 1 if kn.status & FORCED else kn.filt.event(kn, hint)
        if verdict > 0 and kn.sfflags & NOTE_NODATA and source is not None and self._is_stale(source):
            verdict = -1
        if verdict <= 0:
            if verdict < 0 and source is not None:
                self._vanish(source, harvest)
            else:
                self._not_active(kn, hint)
            return
        if harvest.filled == len(harvest.events):
            harvest.events.append(kevent.__new__(kevent))
        event = harvest.events[harvest.filled]
        harvest.filled += 1
        event._ident = kn.ident
        event._filter = kn.filter
        event._flags = kn.flags | kn.shown
        event._fflags = kn.fflags
        event._data = kn.data
        event._udata = kn.udata
        kn.hits += 1
        kn.status |= SEEN
        if kn.flags & EV_ONESHOT:
            self._bury(kn, harvest)
            if source is not None:
                self._interest.sync(source)
                if source.knotes is None:
                    self._table.drop_source(source)
            return
        if kn.flags & (EV_CLEAR | EV_DISPATCH):
            if kn.flags & EV_CLEAR:
                kn.status &= ~ACTIVE
            if kn.flags & EV_DISPATCH:
                kn.status |= DISABLED
        elif kn.status & SOFT:
            self._again.append(kn)
        if kn.status & DEMOTED and source is not None:
            kn.status &= ~DEMOTED
            self._interest.sync(source)

    def _not_active(self, kn: Knote, hint: int) -> None:
        kn.status &= ~SEEN
        source = kn.source
        if source is None:
            return
        if kn.status & SOFT:
            self._resting.append(kn)
        elif hint and not kn.flags & EV_CLEAR and not kn.status & DEMOTED:
            # The engine reports what the filter denies, and by level would do so for ever (149 000 returns in
            # 0.2 s for an unconnected socket): by edge, until an edge brings a yes.
            kn.status |= DEMOTED
            if self._interest.sync(source) < 0:
                kn.status &= ~DEMOTED

    def _is_stale(self, source: Source) -> bool:
        # Nothing names the number when its data is not fetched, so a close with a dup alive would go unnoticed
        # for ever.  Asking each time costs more than the event; so at the 2nd, 4th, 8th ... delivery and at each
        # 256th, which costs 2 ns an event.
        source.unfetched += 1
        u = source.unfetched
        if u >= 2 and (u & (u - 1) == 0 or u & 255 == 0):
            return not same(source.fd, source.identity)
        return False

    def _stray(self, harvest: Harvest, token: int) -> None:
        """A hit for a source that is gone.  Once is a race with the thread that deleted it; twice, the kernel
        holds an interest that nobody can take back by its number (S-398): build the set anew."""
        if token not in self._strays:
            if len(self._strays) > 64:
                self._strays.clear()
            self._strays.add(token)
            return
        self._strays.clear()
        # Whoever waits on the old set must come back to the new one: the wake stays up until they have.
        wake_raise(self._wake)
        self._raised = True
        self._epoch += 1
        self._evacuating = self._waiters
        for source in self._interest.rebuild(self._table, [self._wake, *self._drains]):
            self._vanish(source, harvest)

    def _settle_wake(self) -> None:
        if self._ready.count:
            if not self._raised:
                wake_raise(self._wake)
                self._raised = True
        elif self._raised and not self._evacuating and not self.closed:
            wake_lower(self._wake)
            self._raised = False

    # ---- the rest ------------------------------------------------------------------------------------------

    def _open_clock(self, clock_id: int) -> Clock:
        clock = Clock(clock_id)
        rc = self._interest.own(clock.fd)
        if rc < 0:
            clock.close()
            raise errors.creation(-rc, "watching a timerfd")
        self._clocks.append(clock)
        timers = self._filters[-EVFILT_TIMER]
        assert timers is not None
        self._drains[clock.fd] = timers
        return clock

    def fileno(self) -> int:
        """The descriptor number; ValueError when closed."""
        self._check()
        return self._engine.number

    def is_closed(self) -> bool:
        """Whether it is, looking first whether this process is a forked child."""
        if fork_count() != self._forks:
            self.abandon()
        return self.closed

    def close(self) -> None:
        """Delete every knote and give the descriptors back.  Whoever waits gets EBADF (S-284).  Idempotent."""
        if fork_count() != self._forks:
            self.abandon()
        if self.closed:
            return
        if not self._lock.acquire():
            self._deferred.append(None)
            return
        knotes: list[Any] = []
        try:
            knotes = self._shut()
        finally:
            self._lock.release()
        knotes.clear()

    def _shut(self) -> list[Any]:
        if self.closed:
            return []
        self.closed = True
        process.forget(self._engine.number)
        knotes = self._table.all()
        if self._waiters:
            wake_raise(self._wake)
        else:
            self._free()
        return knotes

    def _free(self) -> None:
        # The last one out: nobody waits on the descriptors any more.
        if self._freed:
            return
        self._freed = True
        self._interest.close()
        for clock in self._clocks:
            clock.close()
        close_fd(self._wake)

    def abandon(self) -> None:
        """This is a forked child: close the numbers and leave the sets, which are the parent's, alone (S-402)."""
        self.closed = True
        self._free()

    def knotes(self) -> list[Knote]:
        """Every registration."""
        return self._table.all()
