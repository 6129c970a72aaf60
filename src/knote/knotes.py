# cython: annotation_typing=False
"""The knotes of one queue: where they are found, the lists that they wait on, and how they go."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from knote import errors, filters
from knote.clock import Clock
from knote.constants import EVFILT_AIO, EVFILT_LIO, EVFILT_READ
from knote.filewatch import FileWatch
from knote.filters.aio import Aio
from knote.filters.lio import Lio
from knote.filters.read import Read
from knote.host import Host
from knote.inside import Registration
from knote.interest import Interest
from knote.knote import DEAD, DISABLED, SOFT, Knote
from knote.masks import EDGE, IN
from knote.ready import ReadyList
from knote.table import Table
from knote.verbs import CANCEL, LAUNCH, LOOK, RETIRE

if TYPE_CHECKING:
    from weakref import ref

    from knote.drain import Drain
    from knote.engines.base import Engine
    from knote.filters.base import Filter
    from knote.harvest import Harvest
    from knote.listio import Listio
    from knote.queue import Queue
    from knote.request import Request
    from knote.source import Source

# Deleted knotes kept for the next EV_ADD: 250 KB at most.
_SPARE = 1024


class Knotes:
    """The registrations of one queue, and the descriptors that they need beside the engine's.

    Threads: only under the queue's lock.
    """

    __slots__ = (
        "_filters", "_spare", "_spares", "again", "aio", "clocks", "drains", "files", "interest", "late", "lio",
        "reads", "ready", "resting", "shed", "table", "turn",
    )  # fmt: skip

    def __init__(self, engine_type: type[Engine]) -> None:
        self.interest = Interest(engine_type)
        self.table = Table()
        self.ready = ReadyList(1)
        """True, or to be asked, without the engine: returned in this order."""
        self.again = ReadyList(2)
        """Returned by the collection that runs, and true until asked again."""
        self.resting = ReadyList(3)
        """Not true, and no engine would say when that changes: asked at each call (files)."""
        self.late = ReadyList(4)
        """Reported, but behind others of their descriptor."""
        self.clocks: list[Clock] = []
        self.drains: dict[int, Drain] = {}
        """Whom to ask when a descriptor of the queue's own is readable."""
        self.turn = 0
        """Counts the calls: what a call created, it returns in the order of its list."""
        self.files = FileWatch(self.ready, self.resting, self._own)
        host = Host(self.ready, self.resting, self.files, self._own, self._disown, self.open_clock, self.table)
        self.shed = host.shed
        """What went under the lock, for the queue to let go of after it."""
        self._filters: list[Filter | None] = filters.make_all(host)
        reads = self._filters[-EVFILT_READ]
        assert isinstance(reads, Read)
        reads.number = self.interest.main.number
        self.reads = reads
        aio = self._filters[-EVFILT_AIO]
        lio = self._filters[-EVFILT_LIO]
        assert isinstance(aio, Aio) and isinstance(lio, Lio)
        self.aio = aio
        self.lio = lio
        self._spare: Knote | None = None
        """Deleted knotes, to be used again: the last one, and behind each the one before it."""
        self._spares = 0

    def _own(self, fd: int, drain: Drain, edge: bool = False) -> int:
        rc = self.interest.own(fd, IN | EDGE if edge else IN)
        if rc == 0:
            self.drains[fd] = drain
        return rc

    def _disown(self, fd: int) -> None:
        self.interest.disown(fd)
        self.drains.pop(fd, None)

    def open_clock(self, clock_id: int, drain: Drain) -> Clock:
        """A clock whose timers are drained by drain.  OSError if it cannot be had."""
        clock = Clock(clock_id)
        rc = self._own(clock.fd, drain)
        if rc < 0:
            clock.close()
            raise errors.creation(-rc, "watching a timerfd")
        self.clocks.append(clock)
        return clock

    def _blank(self) -> Knote:
        # One to be filled in.  Not a list's pop(), which gives memory back and asks for it again.
        kn = self._spare
        if kn is None:
            return Knote.__new__(Knote)
        self._spare = kn.behind
        self._spares -= 1
        return kn

    def _enlist(self, filt: Filter, ident: int, udata: Any) -> Knote:
        # A knote that no change asked for.
        kn = self._blank()
        kn.begin(ident, filt, filt.forced, 0, 0, udata)
        kn.born = self.turn
        self.table.add(kn)
        return kn

    def serve(self, verb: int, one: Any, other: Any, queue: Queue) -> Any:
        """LAUNCH requests that are armed: an event for each, or one for the list; CANCEL one; LOOK which are over;
        RETIRE what carries them, for good; WHICH it is.  OSError if nothing here can carry requests out."""
        if verb == LAUNCH:
            self.aio.open()
            self._launch(one, other, weakref.ref(queue))
        elif verb == CANCEL:
            return self.aio.cancel(one)
        elif verb == LOOK:
            self.aio.drain(0)
        elif verb == RETIRE:
            self.aio.retire()
        else:
            self.aio.open()
            return self.aio.carrier.name, self.aio.why
        return None

    def _launch(self, requests: list[Request], listio: Listio | None, home: ref[Queue]) -> None:
        aio = self.aio
        if listio is not None:
            udata = listio if listio.udata is None else listio.udata
            self.lio.start(listio, self._enlist(self.lio, self.lio.number(), udata))
        for request in requests:
            request.home = home
            request.ident = aio.carrier.admit(request)
            if listio is not None:
                request.group = listio
                aio.start(request, None)
            else:
                udata = request if request.udata is None else request.udata
                aio.start(request, self._enlist(aio, request.ident, udata))
        aio.flush()

    def wake_resting(self) -> None:
        """Ask again those that were not true when they were last asked, and inotify before those that are."""
        if self.files.noting and (self.ready.count or self.resting.count):
            # What has happened by now belongs into an event that waits already (trace vn_level), and FreeBSD tells
            # a file's READ after its VNODE (trace vn_read_and_vnode).
            self.files.drain(0)
        while self.resting.count:
            kn = self.resting.pop()
            if kn is None:
                break
            source = kn.source
            if kn.status & SOFT or (source is not None and source.fresh):
                self.ready.append(kn)

    def clear(self) -> list[Any]:
        """Delete every knote; the udata that they had, for the caller to let go of."""
        left = []
        for kn in self.table.all():
            left.append(kn.udata)
            self._unlink(kn)
            kn.udata = None
        while self.ready.count:
            # What a filter made by itself for one event is in no table (NOTE_CHILD).
            rest = self.ready.pop()
            if rest is not None:
                left.append(rest.udata)
                rest.udata = None
        self.table = Table()
        while self._spare is not None:
            self._blank()  # one by one: the first would take all with it, each inside the one before
        return left

    def close(self) -> None:
        """Give the descriptors back; the knotes stay.  Idempotent."""
        self.interest.close()
        for clock in self.clocks:
            clock.close()
        for filt in self._filters:
            if filt is not None:
                filt.close()
        self.files.close()

    def _unlink(self, kn: Knote) -> None:
        kn.status |= DEAD
        if kn.home:
            self.ready.remove(kn)
            self.again.remove(kn)
            self.resting.remove(kn)
            self.late.remove(kn)
        kn.filt.detach(kn)
        if kn.source is None:
            self.table.remove(kn)
        else:
            self._part(kn.source, kn)

    def _join(self, source: Source, kn: Knote) -> None:
        if source.knotes is not None:
            self.table.shared += 1
        source.add(kn)

    def _part(self, source: Source, kn: Knote) -> None:
        source.remove(kn)
        if source.knotes is not None:
            self.table.shared -= 1
            if source.wd >= 0:
                self.files.narrow(source)
        elif source.wd >= 0:
            self.files.forget(source)

    def bury(self, kn: Knote, harvest: Harvest) -> None:
        """Take kn out of everything.  Its udata goes after the lock; kn itself waits to be used again, which saves
        a third of what a new one costs, if nothing else can hold it (a clock's heap can hold a timer)."""
        self._unlink(kn)
        self._recycle(kn, harvest)

    def _recycle(self, kn: Knote, harvest: Harvest) -> None:
        if type(kn.udata) is not int:
            harvest.graveyard.append(kn.udata)
        kn.udata = None
        if (kn.filt.is_fd or kn.filter == EVFILT_AIO) and self._spares < _SPARE:
            kn.behind = self._spare
            self._spare = kn
            self._spares += 1

    def vanish(self, source: Source, harvest: Harvest) -> None:
        """The descriptor was closed: its knotes go without a word (S-084)."""
        self.interest.forget(source)
        while source.knotes is not None:
            kn = source.knotes
            self.bury(kn, harvest)
        self.table.drop_source(source)

    def registrations(self) -> list[Registration]:
        """All that there are, but those of a number that was closed."""
        found: list[Registration] = []
        for kn in self.table.all():
            if kn.source is not None and not self.interest.holds(kn.source):
                continue
            found.append(
                Registration(
                    kn.filter, kn.ident, kn.flags, kn.sfflags, kn.sdata, kn.udata,
                    not kn.status & DISABLED, kn.home == 1, kn.hits,
                )
            )
        return found

    def _soften(self, source: Source) -> None:
        # No engine watches such a file: it is always ready, as poll(2) says, or asked when its turn comes (S-395).
        source.soft = True
        kn = source.knotes
        while kn is not None:
            kn.status |= SOFT
            if not kn.status & DISABLED:
                self.ready.append(kn)
            kn = kn.sibling
