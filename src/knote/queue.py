# cython: annotation_typing=False
"""The queue: the call, the only lock, waiting and waking, close and fork.

In:  run() -> Registry.apply() -> the engine.
Out: engine.wait() -> Collector.gather() -> the kevents of the call.

The engine only hints; a knote is judged when it could be returned.  Level state stays in the kernel; what the
kernel cannot keep (USER, TIMER, files) stays on the ready list, and while that is not empty the wake descriptor
is raised, so that the queue's descriptor polls readable.
"""

from __future__ import annotations

import errno
import time
from sys import is_finalizing
from typing import TYPE_CHECKING, Any

from knote import errors, process
from knote._kernel.fork import fork_count
from knote._kernel.lock import Lock
from knote._kernel.time import close_fd, now_ns, run_signal_handlers, wake_create, wake_lower, wake_raise
from knote.collector import Collector
from knote.harvest import Harvest
from knote.kevent import kevent
from knote.masks import IN
from knote.registry import Registry

if TYPE_CHECKING:
    from knote.engines.base import Engine
    from knote.inside import Registration

CLOCK_MONOTONIC = time.CLOCK_MONOTONIC
_EBADF = errno.EBADF
_EINTR = errno.EINTR
_TRIES = 4


class Queue:
    """One kqueue, shared by all the handles on it.

    Threads: any number may run() at once.  The lock is held only while knote's own code runs, never across a wait;
    a finalizer or a signal handler that calls in again on the same thread has its changes put aside until the
    lock is let go of.  After a fork the child's queue is closed and touches nothing of the parent's.
    """

    __slots__ = (
        "__weakref__", "_collector", "_deferred", "_edged", "_engine", "_epoch", "_evacuating", "_forks", "_freed",
        "_graves", "_levels", "_lock", "_pool", "_raised", "_registry", "_told", "_unheard", "_waiters", "_wake",
        "closed",
    )  # fmt: skip

    def __init__(self, engine_type: type[Engine], strict: bool = False) -> None:
        self.closed = True
        self._freed = True
        self._lock = Lock()
        self._wake = wake_create()
        if self._wake < 0:
            raise errors.creation(-self._wake, "the wake descriptor of a kqueue")
        try:
            self._registry = Registry(engine_type)
        except BaseException:
            close_fd(self._wake)
            raise
        self._engine = self._registry.interest.main
        traits = engine_type.traits
        self._levels = not traits.edge
        self._registry.interest.own(self._wake, IN)
        self._collector = Collector(self._registry, self._wake, strict or traits.by_number)
        self._pool: list[Harvest] = []
        self._deferred: list[list[kevent] | None] = []
        """Changes of calls that this thread made from inside a call; None is a close()."""
        self._graves: list[list[Any]] = []
        """The udata of the knotes that a close() deleted."""
        self._unheard: list[Exception] = []
        """What deferred changes were refused with."""
        self._raised = False
        """The wake descriptor is readable."""
        self._edged = False
        self._told = 0  # how many waited when it was last raised: each more is news
        self._waiters = 0
        self._evacuating = 0  # waiters on a set that was rebuilt since, who must be woken to wait on the new one
        self._epoch = 0
        self._forks = fork_count()
        self.closed = False
        self._freed = False
        process.register(self, self._engine.number)

    def __del__(self) -> None:
        # Of a queue that outlives the modules (an attribute of sys, of a module's hub) all that close() calls is
        # None by now, this name included: the process ends, and the kernel takes the descriptors back.
        if is_finalizing is None or is_finalizing():
            return
        if not self._freed:
            self.close()
            self._free()

    # ---- the call ------------------------------------------------------------------------------------------

    def run(self, changes: list[kevent] | None, maxevents: int, deadline: int) -> list[kevent]:
        """kevent(2).  deadline: ns of CLOCK_MONOTONIC, 0 to poll, -1 to wait for ever.  See kqueue.control()."""
        self._check()
        harvest = self._take()
        guard = self._lock.guard()
        try:
            if changes:
                if not self._lock.acquire():
                    return self.defer(changes, maxevents)
                try:
                    if self.closed:
                        raise errors.closed()  # by another thread, since it was asked
                    self._registry.turn += 1
                    self._registry.apply(changes, maxevents, harvest)
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
            self._lock.amend(guard)
            self._give_back(harvest)

    def reap(self, harvest: Harvest, maxevents: int, deadline: int) -> int:
        """run() without changes, for a program that keeps its records: how many of harvest.events, as it is after
        the call, are filled in.  They are the same kevents call after call, and one holds its udata until it is
        filled in again, under the lock: set it to None before, or its finalizer may run there."""
        self._check()
        harvest.kept = True
        harvest.filled = 0
        guard = self._lock.guard()
        try:
            self._collect(harvest, maxevents, deadline, True)
        finally:
            self._lock.amend(guard)
        return harvest.filled

    def _check(self) -> None:
        if self.is_closed():
            raise errors.closed()

    def _take(self) -> Harvest:
        try:
            return self._pool.pop()
        except IndexError:
            return Harvest()

    def _give_back(self, harvest: Harvest) -> None:
        harvest.reset()
        self._pool.append(harvest)

    def _leave(self, collecting: bool) -> None:
        # What a finalizer or signal handler of this thread asked for meanwhile is done before anybody else's; one
        # that comes between the last look and the release is done right after it.
        if self._deferred:
            self._run_deferred()
        self._let_go((not collecting or self._waiters > 0) and self._settle_wake())
        while self._deferred and self._lock.acquire():
            self._run_deferred()
            self._let_go(self._settle_wake())
        if self._graves:
            self._graves = []
        if self._registry.shed:
            self._registry.shed.clear()
        while self._unheard:
            errors.unraisable(self._unheard.pop(0))

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
            self._registry.apply(changes, 0, harvest)
            if harvest.error:
                self._unheard.append(errors.refused(harvest.culprit, harvest.error))
            self._give_back(harvest)

    def _collect(self, harvest: Harvest, maxevents: int, deadline: int, alone: bool) -> list[kevent]:
        registry = self._registry
        harvest.room = maxevents
        first = True
        left = 0
        while True:
            if not self._lock.acquire():
                raise errors.reentered()
            if self.closed:
                self._lock.release()
                raise errors.os_error(_EBADF)
            if first:
                first = False
                if alone:
                    registry.turn += 1
                self._collector.begin(harvest)
                # The kernel reports in turns: after so many hits each descriptor has had two.
                left = 2 * (registry.table.watched + len(registry.drains) + 4)
                if registry.resting.count or registry.files.noting:
                    registry.wake_resting()
            ready = registry.ready.count
            # A descriptor with several knotes can give several events: asked for so few that all have room, the
            # kernel's round robin over descriptors is one over knotes as well.
            watched = registry.table.watched + len(registry.drains) + 4
            asked = min(maxevents - harvest.filled, watched)
            if registry.table.shared and asked > 1:
                asked //= 2
            n = 0
            whole = False
            self._waiters += 1
            epoch = self._epoch
            try:
                self._lock.release()
                if harvest.batch.capacity < asked:
                    harvest.batch.reserve(asked)
                if ready and not registry.table.watched and not registry.drains:
                    n = 0  # Nothing but what is on the ready list could be reported.
                else:
                    at_once = ready or harvest.filled or self._collector.rebuild
                    n = self._engine.wait(harvest.batch, asked, 0 if at_once else deadline)
                if n > 0 and self._levels:
                    # select(2) tells of what is ready though a signal came.  A handler that raises must do so
                    # before it is collected; what was reported by level is reported again.
                    run_signal_handlers(False)
                # The kevents of the call are made here, where the collector may run; one descriptor can still
                # give two, which the Collector makes up for.
                wanted = min(maxevents, harvest.filled + ready + max(n, 0)) - len(harvest.events)
                if wanted > 0:
                    harvest.widen(wanted)
                whole = True
            finally:
                # A signal handler's exception passes here as well, in the interpreted build; acquire() may let
                # another one in, so the counting comes first.
                self._waiters -= 1
                if epoch != self._epoch and self._evacuating:
                    self._evacuating -= 1
                self._lock.acquire()
                if self.closed and not self._waiters:
                    self._free()
                if not whole:
                    self._leave(False)
            if self.closed:
                self._lock.release()
                raise errors.os_error(_EBADF)
            calls = registry.interest.calls
            try:
                self._collector.gather(harvest, n)
                if self._collector.rebuild:
                    self._rebuild(harvest)
            finally:
                self._leave(False)
            if harvest.graveyard:
                harvest.graveyard.clear()
            if (n == asked or calls != registry.interest.calls) and harvest.filled < maxevents and left > 0:
                # As much as was asked for, or the engine was told something meanwhile: there may be more.
                left -= max(n, 1)
                continue
            if harvest.filled:
                events = harvest.events
                if harvest.filled < len(events) and not harvest.kept:
                    del events[harvest.filled :]
                return events
            if n < 0 and n != -_EINTR:
                raise errors.wait_refused(self._engine.name, -n)
            if self._collector.rebuild:
                raise errors.watch_refused(self._engine.name, registry.interest.refusal)
            # Not only after EINTR: what wakes a filter can come with the signal, and a handler must raise before
            # something is collected.  Heard, and nothing of it: a thread may want the GIL, to leave an old set.
            run_signal_handlers(n > 0)
            if deadline == 0 or (deadline > 0 and now_ns(CLOCK_MONOTONIC) >= deadline):
                return []

    def _rebuild(self, harvest: Harvest) -> None:
        """Build the kernel's set anew.  Whoever waits on the old one must come back to the new one: the wake
        descriptor, which is in both, stays up until they have."""
        wake_raise(self._wake)
        self._raised = True
        self._epoch += 1
        self._evacuating = self._waiters
        self._collector.renew(harvest)

    def _settle_wake(self) -> bool:
        """Lower the wake descriptor if nothing waits; True if it is to be raised, by _let_go() after the release:
        who is woken under the lock runs straight into it and the GIL (2.3 x an eventfd's wake-up, not 1.15)."""
        count = self._registry.ready.count
        if count:
            more = self._edged and count > self._told
            self._told = count
            return not self.closed and (more or not self._raised)
        # It may have been raised after somebody had collected what it was raised for: whoever it wakes lowers it.
        if (self._raised or self._collector.woken) and not self._evacuating and not self.closed:
            wake_lower(self._wake)
            self._raised = False
            self._told = 0
        self._collector.woken = False
        return False

    def _let_go(self, late: bool) -> None:
        """Release the lock, and raise the wake descriptor after it if it is late for that."""
        if not late:
            self._lock.release()
            return
        self._raised = True
        # Whoever raises it counts as a waiter: the number must not be closed, and be another file's, before.
        self._waiters += 1
        try:
            self._lock.release()
            if wake_raise(self._wake) < 0:
                self._raised = False  # for the next one to try again
        finally:
            self._waiters -= 1
            self._lock.acquire()
            if self.closed and not self._waiters:
                self._free()
            self._lock.release()

    # ---- the rest ------------------------------------------------------------------------------------------

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
        if self.is_closed():
            return
        guard = self._lock.guard()
        try:
            if not self._lock.acquire():
                self._deferred.append(None)
                return
            self._shut()
            self._lock.release()
        finally:
            self._lock.amend(guard)
        self._graves = []
        self._registry.shed.clear()

    def _shut(self) -> None:
        if self.closed:
            return
        self.closed = True
        process.forget(self._engine.number)
        # The knotes go now, their udata when the lock was given back: it may have finalizers.
        self._graves.append(self._registry.clear())
        if self._waiters:
            wake_raise(self._wake)
        else:
            self._free()

    def _free(self) -> None:
        # The last one out: nobody waits on the descriptors any more.
        if self._freed:
            return
        self._freed = True
        self._registry.close()
        close_fd(self._wake)

    def abandon(self) -> None:
        """This is a forked child: close the numbers and leave the sets, which are the parent's, alone (S-402)."""
        self.closed = True
        self._free()

    def tell_edges(self) -> None:
        """Another queue watches this one with EV_CLEAR: one more that waits is news to it, so the wake descriptor
        is raised again though it is up (S-015)."""
        self._edged = True

    def nested(self) -> list[int]:
        """The descriptor numbers of the queues that this one watches."""
        return list(self._registry.reads.nested)

    def serve(self, verb: int, one: Any = None, other: Any = None) -> Any:
        """What knote.aio asks for, under the lock: see Knotes.serve()."""
        self._check()
        guard = self._lock.guard()
        try:
            if not self._lock.acquire():
                raise errors.reentered_aio()
            try:
                if self.closed:
                    raise errors.closed()
                return self._registry.serve(verb, one, other, self)
            finally:
                self._leave(False)
        finally:
            self._lock.amend(guard)

    def pending(self) -> int:
        """How many knotes wait to be returned; -1 when closed.  What the engine reports is put on the ready list,
        where it is judged when it is collected (S-014, S-015)."""
        guard = self._lock.guard()
        try:
            return self._pending() if self._lock.acquire() else self._registry.ready.count
        finally:
            self._lock.amend(guard)

    def _pending(self) -> int:
        if self.closed:
            self._lock.release()
            return -1
        harvest = self._take()
        try:
            room = self._registry.table.watched + len(self._registry.drains) + 4
            harvest.batch.reserve(room)
            n = 0
            for _ in range(_TRIES):
                # Nobody would hear why it was refused, and the outer queue would take it for silence.
                n = self._engine.wait(harvest.batch, room, 0)
                if n >= 0:
                    break
            self._collector.note(harvest, n)
            return self._registry.ready.count
        finally:
            self._give_back(harvest)
            self._leave(False)

    def knotes(self) -> list[Registration]:
        """Every registration, as it is now.  Those of a number that was closed are none, though nobody may have
        told the queue (S-084)."""
        guard = self._lock.guard()
        try:
            if not self._lock.acquire():
                raise errors.reentered()
            try:
                return self._registry.registrations()
            finally:
                self._leave(False)
        finally:
            self._lock.amend(guard)
