# cython: annotation_typing=False
"""What is true: the engine's hits and the ready list, judged one by one and made into events.

gather() -> _hit() -> _offer() -> the filter's event() -> one kevent of the call.  All of it runs under the queue's
lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote._kernel.fd import Counts, same
from knote.constants import EV_CLEAR, EV_DISPATCH, EV_ONESHOT, EVFILT_WRITE
from knote.filters.base import DROP
from knote.harvest import Harvest
from knote.kevent import kevent
from knote.knote import ACTIVE, DEAD, DEMOTED, DISABLED, FORCED, SEEN, SOFT
from knote.masks import ERR, HUP
from knote.source import KIND_SEQPACKET, KIND_UNIX_STREAM

if TYPE_CHECKING:
    from knote.knote import Knote
    from knote.ready import ReadyList
    from knote.registry import Registry
    from knote.source import Source


# For fewer descriptors the second look at them costs more than it saves.
_WORTH_COUNTING = 4


class Collector:
    """Turns what was reported into what is returned.  Threads: only under the queue's lock."""

    __slots__ = ("_counts", "_inner", "_registry", "_serial", "_strays", "rebuild", "wake", "woken")

    def __init__(self, registry: Registry, wake: int) -> None:
        self._registry = registry
        self.wake = wake
        self._inner = Harvest()
        self._counts = Counts()
        self._strays: set[int] = set()
        self._serial = 0
        self.woken = False
        """The wake descriptor was seen raised."""
        self.rebuild = False
        """The kernel goes on reporting what is gone: its set must be built anew."""

    def begin(self, harvest: Harvest) -> None:
        """A new call collects: in it each knote is returned at most once (S-275)."""
        self._serial += 1
        harvest.serial = self._serial

    def gather(self, harvest: Harvest, n: int) -> None:
        """Judge what was left, what the engine reported and what it set off, until there is no more room."""
        registry = self._registry
        if registry.ready.count:
            self._flush(harvest, registry.ready)
        counted = n >= _WORTH_COUNTING and registry.reads.counting > 0 and self._count(harvest, n)
        asked = 0
        for i in range(n):
            token = harvest.batch.token(i)
            source = registry.table.by_token(token)
            if source is not None:
                if counted and source.counting:
                    source.count = self._counts.count(asked)
                    source.counted = True
                    asked += 1
                self._hit(harvest, 0, source, harvest.batch.mask(i))
                source.counted = False
            elif token >> 32 == 0:
                self._internal(harvest, token)
            else:
                self._stray(token)
        if registry.late.count:
            self._flush(harvest, registry.late)
        while registry.again.count:
            again = registry.again.pop()
            if again is not None:
                registry.ready.append(again)

    def note(self, harvest: Harvest, n: int) -> None:
        """Put what the engine reported on the ready list, unjudged."""
        registry = self._registry
        for i in range(n):
            token = harvest.batch.token(i)
            source = registry.table.by_token(token)
            if source is not None:
                self._note(source, 0, harvest.batch.mask(i))
            elif token >> 32 == 0:
                number = token
                lane = registry.interest.lane_of(number)
                reader = registry.drains.get(number)
                if lane:
                    inner = self._inner
                    m = self._ask_lane(lane)
                    for j in range(m):
                        source = registry.table.by_token(inner.batch.token(j))
                        if source is not None:
                            self._note(source, lane, inner.batch.mask(j))
                elif reader is not None:
                    reader.drain(number)

    def _note(self, source: Source, lane: int, mask: int) -> None:
        kn = source.knotes
        while kn is not None:
            if kn.wants & source.armed[lane] and mask & (kn.wants | ERR | HUP) and not kn.status & DISABLED:
                self._registry.ready.append(kn)
            kn = kn.sibling

    def _ask_lane(self, lane: int) -> int:
        engine = self._registry.interest.lanes[lane]
        assert engine is not None
        self._inner.batch.reserve(256)
        return engine.wait(self._inner.batch, 256, 0)

    def _count(self, harvest: Harvest, n: int) -> bool:
        # What the READ filter would ask of each descriptor in turn, asked of all in one go.  A source cannot
        # begin or cease to be counting while the hits are judged, so both loops meet the same ones.
        counts = self._counts
        counts.reserve(n)
        for i in range(n):
            source = self._registry.table.by_token(harvest.batch.token(i))
            if source is not None and source.counting:
                counts.ask(source.fd)
        counts.fetch()
        return counts.n > 0

    def _hit(self, harvest: Harvest, lane: int, source: Source, mask: int) -> None:
        armed = source.armed[lane]
        kn = source.knotes
        if kn is not None and kn.sibling is None:
            # The usual case: one knote on the descriptor.
            if not mask & (kn.wants | ERR | HUP):
                return  # For one that was deleted since.
            if kn.status & DISABLED:
                self._disarm(harvest, source)
            else:
                self._offer(harvest, kn, mask)
            return
        seen = stale = False
        while kn is not None:
            if kn.wants & armed:
                if not mask & (kn.wants | ERR | HUP):
                    kn.status &= ~SEEN
                elif kn.status & DISABLED:
                    stale = True
                elif kn.status & SEEN:
                    seen = True
            kn = kn.sibling
        kn = source.knotes
        while kn is not None:
            after = kn.sibling
            if kn.wants & armed and mask & (kn.wants | ERR | HUP) and not kn.status & (DEAD | DISABLED):
                if kn.status & SEEN or (not seen and self._goes_first(source, kn)):
                    self._offer(harvest, kn, mask)
                else:
                    self._registry.late.append(kn)
                    if kn.home == self._registry.late.id:
                        kn.hint = mask
            kn = after
        if stale and source.knotes is not None:
            self._disarm(harvest, source)

    def _disarm(self, harvest: Harvest, source: Source) -> None:
        # Reported while disabled: now is the time to tell the engine.  If the number is closed, or another
        # file's, its knotes are gone, and the next report will be a stray.
        if self._registry.interest.sync(source) < 0:
            self._registry.vanish(source, harvest)

    def _goes_first(self, source: Source, kn: Knote) -> bool:
        # Events come in the order in which they became true (S-274).  The kernel keeps that order between
        # descriptors; among the knotes of one, those that were true before come first, and of those that are
        # new: in the call that created them, by its list; later, the room to write of a connection, which
        # was there when it was registered; of what was never connected, the end of reading (FreeBSD's
        # soisdisconnected() wakes readers first).
        if kn.born == self._registry.turn:
            return True
        return (kn.filter == EVFILT_WRITE) == source.connected

    def _internal(self, harvest: Harvest, number: int) -> None:
        if number == self.wake:
            self.woken = True  # What it was raised for is on the ready list, which was asked first.
            return
        registry = self._registry
        lane = registry.interest.lane_of(number)
        if lane:
            inner = self._inner
            n = self._ask_lane(lane)
            for i in range(n):
                source = registry.table.by_token(inner.batch.token(i))
                if source is not None:
                    self._hit(harvest, lane, source, inner.batch.mask(i))
                else:
                    self._stray(inner.batch.token(i))
            return
        reader = registry.drains.get(number)
        if reader is not None:
            reader.drain(number)
            # In their place among the kernel's events (trace order_mixed_filters).
            self._flush(harvest, registry.ready)

    def _flush(self, harvest: Harvest, waiting: ReadyList) -> None:
        count = waiting.count
        while count and harvest.filled < harvest.room:
            count -= 1
            kn = waiting.pop()
            if kn is None:
                break
            source = kn.source
            fresh = not kn.status & SEEN
            self._offer(harvest, kn, kn.hint)
            if fresh and source is not None and kn.status & SEEN and not kn.status & DEAD:
                # From now on it is one of those that were true before, and this is its place among them.
                source.remove(kn)
                source.add(kn)
        if waiting is self._registry.late:
            # No room: they wait with the others, in this order.
            while waiting.count:
                kn = waiting.pop()
                if kn is not None:
                    kn.hint = 0
                    self._registry.ready.append(kn)

    def _offer(self, harvest: Harvest, kn: Knote, hint: int) -> None:
        """Return kn if it is true and there is room."""
        registry = self._registry
        kn.hint = 0
        if kn.status & (DISABLED | DEAD):
            registry.ready.remove(kn)
            return
        if kn.served == harvest.serial:
            if kn.status & SOFT:
                registry.again.append(kn)
            return
        if harvest.filled == harvest.room:
            registry.ready.append(kn)  # where it has a place already, that is kept
            return
        if kn.home:
            registry.ready.remove(kn)
            registry.resting.remove(kn)
        source = kn.source
        verdict = kn.filt.event(kn, hint)
        if verdict == 0 and kn.status & FORCED:
            verdict = 1
        if verdict > 0 and source is not None:
            # Without the engine's word only the number was asked, which may mean another file by now.
            if self._is_stale(source) if hint or source.soft else not same(source.fd, source.identity):
                verdict = -1
        if verdict <= 0:
            if verdict == DROP:
                registry.bury(kn, harvest)
                if source is not None:
                    registry.settle(source)
            elif verdict < 0 and source is not None:
                registry.vanish(source, harvest)
            else:
                self._not_active(harvest, kn, hint)
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
        kn.served = harvest.serial
        kn.status |= SEEN
        if kn.flags & EV_ONESHOT:
            registry.bury(kn, harvest)
            if source is not None:
                registry.settle(source)
            return
        if kn.flags & (EV_CLEAR | EV_DISPATCH):
            if kn.flags & EV_CLEAR:
                kn.status &= ~ACTIVE
            if kn.flags & EV_DISPATCH:
                kn.status |= DISABLED
        elif kn.status & SOFT:
            registry.again.append(kn)
        if kn.status & DEMOTED and source is not None:
            kn.status &= ~DEMOTED
            registry.interest.sync(source)

    def _not_active(self, harvest: Harvest, kn: Knote, hint: int) -> None:
        kn.status &= ~SEEN
        source = kn.source
        if source is None:
            return
        if kn.status & SOFT:
            self._registry.resting.append(kn)
            return
        if source.fresh and KIND_UNIX_STREAM <= source.kind <= KIND_SEQPACKET:
            # connect(2) of a UNIX socket wakes nobody on its own side: asked at each call.
            self._registry.resting.append(kn)
        if hint and not kn.flags & EV_CLEAR and not kn.status & DEMOTED:
            # The engine reports what the filter denies, and by level would do so for ever (149 000 returns in
            # 0.2 s for an unconnected socket): by edge, until an edge brings a yes.
            kn.status |= DEMOTED
            self._disarm(harvest, source)

    def _is_stale(self, source: Source) -> bool:
        # A number that was closed and reused while a dup of its old file lives goes on being reported, and a
        # count fetched by the number is another file's.  Asking who it is costs more than the event; so at the
        # 2nd, 4th, 8th ... delivery and at each 256th, which costs 2 ns an event.
        source.deliveries += 1
        count = source.deliveries
        if count >= 2 and (count & (count - 1) == 0 or count & 255 == 0):
            return not same(source.fd, source.identity)
        return False

    def _stray(self, token: int) -> None:
        # Once is a race with the thread that deleted it; twice, the kernel holds an interest that nobody can
        # take back by its number (S-398).
        if token in self._strays:
            self.rebuild = True
            self._strays.clear()
            return
        if len(self._strays) > 64:
            self._strays.clear()
        self._strays.add(token)
