# cython: annotation_typing=False
"""What is true: the engine's hits and the ready list, judged one by one and made into events.

gather() -> _hit() -> _offer() -> the filter's event() -> one kevent of the call.  All of it runs under the queue's
lock.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote._kernel.fd import Counts, is_open, poll, same
from knote._kernel.spares import follow
from knote.constants import EV_CLEAR, EV_DISPATCH, EV_ONESHOT, EVFILT_WRITE
from knote.filters.base import DROP
from knote.harvest import Harvest
from knote.knote import ACTIVE, ASK, DEAD, DEMOTED, DISABLED, FORCED, PLAIN, SEEN, SOFT, UNASKED
from knote.masks import ERR, HUP, NVAL, RDHUP
from knote.source import APART, KIND_SEQPACKET, KIND_TCP, KIND_UNIX_STREAM

if TYPE_CHECKING:
    from knote.knote import Knote
    from knote.ready import ReadyList
    from knote.registry import Registry
    from knote.source import Source


_SLOT = 0xFFFF_FFFF
_EBADF = errno.EBADF
_ENOENT = errno.ENOENT
# For fewer descriptors the second look at them costs more than it saves.
_WORTH_COUNTING = 4


class Collector:
    """Turns what was reported into what is returned.  Threads: only under the queue's lock."""

    __slots__ = (
        "_counts", "_inner", "_owed", "_registry", "_serial", "_strays", "rebuild", "reused", "wake",
        "woken",
    )  # fmt: skip

    def __init__(self, registry: Registry, wake: int, strict: bool) -> None:
        self._registry = registry
        self.wake = wake
        self._inner = [Harvest() for _ in range(4)]
        """What the engine of each lane reported, which can be inside another lane's."""
        self._counts = Counts()
        self._strays: set[int] = set()
        self._serial = 0
        self._owed = 0
        """How many of the engine's hits go before the ready list, which had taken the room from them."""
        self.reused = strict
        """A number was reported by the interest of an earlier life of it: in such a program that happens again, so
        that from now on each is asked at each delivery.  A strict queue does so from the beginning."""
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
        before = harvest.filled
        if registry.ready.count and not self._owed:
            self._flush(harvest, registry.ready)
        counted = n >= _WORTH_COUNTING and registry.reads.counting > 0 and self._count(harvest, n)
        asked = 0
        batch, slots = harvest.batch, registry.table.slots
        for i in range(n):
            token = batch.token(i)
            # As Table.by_token(), which is a call into another module: a fifteenth of what an event takes.
            fd = token & _SLOT
            source = slots[fd] if fd < len(slots) else None
            if source is not None and source.token == token:
                if counted and source.counting:
                    while asked < self._counts.n and self._counts.asked(asked) != source.fd:
                        asked += 1  # One that is gone by now: what another hit of this batch found took it along.
                    if asked < self._counts.n:
                        source.count = self._counts.count(asked)
                        source.counted = True
                        asked += 1
                self._hit(harvest, 0, source, batch.mask(i))
                if counted:
                    source.counted = False
            elif token >> 32 == 0:
                self._internal(harvest, token)
            else:
                self._stray(token)
        if registry.late.count:
            self._flush(harvest, registry.late)
        if self._owed:
            self._owed = max(self._owed - (harvest.filled - before), 0) if n else 0
            if registry.ready.count:
                self._flush(harvest, registry.ready)
        while registry.again.count:
            again = registry.again.pop()
            if again is not None:
                registry.ready.append(again)

    def note(self, harvest: Harvest, n: int) -> None:
        """Put what the engine reported on the ready list, unjudged."""
        for i in range(n):
            self._note_one(0, harvest.batch.token(i), harvest.batch.mask(i))

    def _note_one(self, lane: int, token: int, mask: int) -> None:
        source = self._registry.table.by_token(token)
        if source is not None:
            self._note(source, lane, mask)
        elif token >> 32 == 0:
            number = token
            inside = self._registry.interest.lane_of(number)
            reader = self._registry.drains.get(number)
            if inside:
                inner = self._inner[inside]
                n = self._ask_lane(inside, 256)
                for i in range(n):
                    self._note_one(inside, inner.batch.token(i), inner.batch.mask(i))
            elif reader is not None:
                reader.drain(number)

    def _note(self, source: Source, lane: int, mask: int) -> None:
        if lane == APART:
            lane = 0
        kn = source.knotes
        while kn is not None:
            if kn.wants & source.armed[lane] and mask & (kn.wants | ERR | HUP) and not kn.status & DISABLED:
                self._registry.ready.append(kn)
            kn = kn.sibling

    def _ask_lane(self, lane: int, most: int) -> int:
        engine = self._registry.interest.lanes[lane]
        assert engine is not None
        most = min(most, 256)
        inner = self._inner[lane]
        inner.batch.reserve(most)
        return engine.wait(inner.batch, most, 0)

    def renew(self, harvest: Harvest) -> None:
        """Build the engine's set anew.  What could not be told is not lost: each collection tries again, and does
        not sleep until it is told."""
        registry = self._registry
        interest = registry.interest
        gone = interest.catch_up() if interest.refusal else interest.rebuild(registry.table)
        self.rebuild = interest.refusal != 0
        for source in gone:
            self.reused |= is_open(source.fd) == 0
            registry.vanish(source, harvest)
        for number, drain in registry.drains.items():
            drain.rewatched(number)

    def _count(self, harvest: Harvest, n: int) -> bool:
        # What the READ filter would ask of each descriptor in turn, asked of all in one go.  A source cannot
        # begin to be counting while the hits are judged, so the second loop meets no other ones.
        counts, batch, slots = self._counts, harvest.batch, self._registry.table.slots
        counts.reserve(n)
        for i in range(n):
            token = batch.token(i)
            fd = token & _SLOT
            source = slots[fd] if fd < len(slots) else None
            if source is not None and source.token == token and source.counting:
                counts.ask(source.fd, source.kind == KIND_TCP)
        self._registry.interest.main.fetch(counts)
        return counts.n > 0

    def _hit(self, harvest: Harvest, lane: int, source: Source, mask: int) -> None:
        kn = source.knotes
        if kn is None or kn.sibling is not None or kn.status & DISABLED:
            self._hit_unusual(harvest, lane, source, mask)  # several, or one that was disabled
        elif mask & (kn.wants | ERR | HUP) and kn.wants & source.armed[lane]:  # or else one was deleted since
            self._offer(harvest, kn, mask)

    def _hit_unusual(self, harvest: Harvest, lane: int, source: Source, mask: int) -> None:
        armed = source.armed[lane]
        kn = source.knotes
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
                    if kn.status & ASK:
                        self._registry.ready.remove(kn)
                        self._registry.again.remove(kn)
                    self._registry.late.append(kn)
                    if kn.home == self._registry.late.id:
                        kn.hint = mask
            kn = after
        if stale and source.knotes is not None:
            # Reported while disabled: now is the time to tell the engine.
            self._tell(harvest, source)

    def _tell(self, harvest: Harvest, source: Source) -> bool:
        """Make the engine's interest in source what its knotes want by now.  If the number is closed, or another
        file's, they are gone, and the next report will be a stray.  False if the engine refused."""
        interest = self._registry.interest
        rc = interest.sync(source) if interest.stands(source) else -_ENOENT
        if rc == -_ENOENT or rc == -_EBADF:
            self.reused |= rc == -_ENOENT
            self._registry.vanish(source, harvest)
            return True
        return rc == 0

    def _settle(self, harvest: Harvest, source: Source) -> None:
        # One of its knotes has gone: tell the engine, and forget it if that was the last.
        self._tell(harvest, source)
        if source.knotes is None:
            self._registry.table.drop_source(source)

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
            inner = self._inner[lane]
            asked = 0
            while True:
                most = max(harvest.room - harvest.filled, 1)
                n = self._ask_lane(lane, most)
                for i in range(n):
                    token = inner.batch.token(i)
                    source = registry.table.by_token(token)
                    if source is not None:
                        self._hit(harvest, 0 if lane == APART else lane, source, inner.batch.mask(i))
                    elif token >> 32 == 0:
                        self._internal(harvest, token)
                    else:
                        self._stray(token)
                asked += n
                if n < most or harvest.filled == harvest.room or asked > registry.table.watched:
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
            if kn.status & ASK and not kn.hint and self._is_reported(kn):
                self._registry.again.append(kn)
                continue
            fresh = not kn.status & SEEN
            self._offer(harvest, kn, kn.hint)
            if fresh and source is not None and kn.status & SEEN and not kn.status & DEAD:
                # From now on it is one of those that were true before, and this is its place among them.
                source.remove(kn)
                source.add(kn)
        if waiting is self._registry.late:
            while waiting.count:
                kn = waiting.pop()
                if kn is not None:
                    hint = kn.hint
                    kn.hint = 0
                    self._put_off(harvest, kn, hint)

    def _put_off(self, harvest: Harvest, kn: Knote, hint: int) -> None:
        """There is no room for kn, or it was returned by this call already: it comes at another."""
        registry = self._registry
        source = kn.source
        if hint and source is not None and kn.flags & EV_CLEAR and not kn.status & SOFT:
            # What is an edge is given back to the engine, where it is one with the next.  On the ready list it
            # would be returned by itself, and the next edge, which may be in the kernel already, after it.
            registry.ready.remove(kn)
            registry.again.remove(kn)
            source.rearm |= kn.wants
            if self._tell(harvest, source):
                # For fairness: its place in the kernel's order is the last by now, so all before it go first.
                self._owed = registry.table.watched
                if kn.status & DEAD or not kn.status & (ASK | FORCED):
                    return
        registry.ready.append(kn)  # where it has a place already, that is kept

    def _is_reported(self, kn: Knote) -> bool:
        # True with nothing there, it is asked once after each change; but the engine was told of it then, too, and
        # if there is something will report that: once is enough.
        source = kn.source
        return source is not None and not kn.status & FORCED and poll(source.fd, kn.wants) & ~NVAL != 0

    def _offer(self, harvest: Harvest, kn: Knote, hint: int) -> bool:
        """Return kn if it is true and there is room.  False if it was not returned."""
        kn.hint = 0
        if kn.status & (DISABLED | DEAD):
            self._registry.ready.remove(kn)
            return False
        if kn.served == harvest.serial:
            if kn.status & SOFT or not hint:
                self._registry.again.append(kn)
            elif kn.flags & EV_CLEAR and not kn.status & UNASKED:
                self._put_off(harvest, kn, hint)  # It happened after it was returned.
            return False
        if harvest.filled == harvest.room:
            self._put_off(harvest, kn, hint)
            return False
        if kn.home:
            self._registry.ready.remove(kn)
            self._registry.again.remove(kn)
            self._registry.resting.remove(kn)
        source = kn.source
        if kn.status & PLAIN and hint and not hint & (ERR | HUP | RDHUP):
            # As the filter would say, asked for each event: an eighth of what one takes.
            kn.fflags = kn.shown = 0
            kn.data = 0
            verdict = 1
        else:
            verdict = kn.filt.event(kn, hint)
        if verdict == 0 and kn.status & FORCED:
            verdict = 1
        # Without the engine's word only the number was asked, which may mean another file by now.
        if verdict > 0 and source is not None and self._is_stale(source, kn, harvest.serial, hint):
            verdict = -1
        if verdict <= 0:
            if verdict == DROP:
                self._registry.bury(kn, harvest)
                if source is not None:
                    self._settle(harvest, source)
            elif verdict < 0 and source is not None:
                self.reused |= not source.soft and is_open(source.fd) == 0
                self._registry.vanish(source, harvest)
            else:
                self._not_active(harvest, kn, hint)
            return False
        place = harvest.filled
        if place == len(harvest.events):
            harvest.widen(1)
        event = harvest.events[place]
        harvest.filled = place + 1
        event._ident = kn.ident
        event._filter = kn.filter
        event._flags = kn.flags | kn.shown
        event._fflags = kn.fflags
        event._data = kn.data
        event._udata = kn.udata
        if type(kn.udata) is not int:
            follow(event)
        kn.hits += 1
        kn.served = harvest.serial
        kn.status = kn.status & ~ASK | SEEN
        if kn.flags & EV_ONESHOT:
            self._registry.bury(kn, harvest)
            if source is not None:
                self._settle(harvest, source)
            return True
        if kn.flags & EV_CLEAR:
            kn.status &= ~(ACTIVE | UNASKED)
            if not hint:
                kn.status |= UNASKED
        if kn.flags & EV_DISPATCH:
            kn.status |= DISABLED
        elif kn.status & SOFT and not kn.flags & EV_CLEAR:
            self._registry.again.append(kn)
        if kn.status & DEMOTED and source is not None:
            kn.status &= ~DEMOTED
            self._tell(harvest, source)
        return True

    def _not_active(self, harvest: Harvest, kn: Knote, hint: int) -> None:
        kn.status &= ~(SEEN | ASK)
        source = kn.source
        if source is None:
            return
        if kn.status & SOFT:
            self._registry.resting.append(kn)
            return
        if source.fresh and KIND_UNIX_STREAM <= source.kind <= KIND_SEQPACKET:
            # connect(2) of a UNIX socket wakes nobody on its own side: asked at each call.
            self._registry.resting.append(kn)
        if not hint:
            return
        if not same(source.fd, source.identity):
            # The engine's word was of the old file, the filter's of the new one.
            self.reused = True
            self._registry.vanish(source, harvest)
        elif not kn.flags & EV_CLEAR and not kn.status & DEMOTED:
            # The engine reports what the filter denies, and by level would do so for ever (149 000 returns in
            # 0.2 s for an unconnected socket): by edge, until an edge brings a yes.
            kn.status |= DEMOTED
            if not self._tell(harvest, source):
                # No descriptor for a lane (EMFILE): by level for now.
                kn.status &= ~DEMOTED
                self._tell(harvest, source)

    def _is_stale(self, source: Source, kn: Knote, serial: int, hint: int) -> bool:
        # A number that was closed and reused while a dup of its old file lives goes on being reported, and a
        # count fetched by the number is another file's.  Asking who it is costs more than the event; so at the
        # 2nd, 4th, 8th ... delivery and at each 256th, of all and of those in a row, which costs 2 ns an event.
        # Who is never reused does not pay for who is: after the first finding it is asked each time.
        source.deliveries = source.deliveries + 1 if kn.served + 1 == serial else 1
        count = source.deliveries
        hits = kn.hits + 1
        if self.reused:
            return not self._registry.interest.holds(source)
        if not (
            (count & (count - 1) == 0 and count > 1)
            or (hits & (hits - 1) == 0 and hits > 1)
            or not count & 255
            or not hits & 255
            or not (hint or source.soft)
        ):
            return False
        return not same(source.fd, source.identity)

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
