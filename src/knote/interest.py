# cython: annotation_typing=False
"""What the engine is told of each descriptor.

Lanes.  One epoll registration serves all the knotes of a descriptor as long as they agree: all level-triggered,
so the kernel keeps their state and their order, or a single direction by edge.  Where they do not agree (READ and
WRITE both EV_CLEAR: an IN edge would report OUT again, S-396; one level and one edge; one demoted) each direction
gets an engine of its own: READ stays in the queue's, WRITE and EXCEPT go to an engine that is itself watched by
the queue's.  Their wake-ups are then apart in the kernel, which is the only place where they can be told apart:
an edge OUT after a full buffer and an IN edge with room left look the same from here.

An engine without edges (poll, select) keeps what is level-triggered.  READ by edge has a lane of its own then as
well, and all lanes are of the first engine that has edges.  That lane also takes the queue's own descriptors that
such an engine cannot watch: by edge, or with a number beyond its max_fd.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote import engines, errors
from knote._kernel.fd import same
from knote.constants import EV_CLEAR
from knote.knote import DEAD, DEMOTED, DISABLED, SOFT
from knote.masks import EDGE, IN, OUT, PRI, RDHUP
from knote.source import APART, KIND_TCP, KIND_VIRTUAL_FILE

if TYPE_CHECKING:
    from knote.engines.base import Engine
    from knote.knote import Knote
    from knote.source import Source
    from knote.table import Table

READING = IN | RDHUP
_EPERM = errno.EPERM
_EACCES = errno.EACCES
_EBADF = errno.EBADF
_ENOENT = errno.ENOENT
_ERANGE = errno.ERANGE


class Interest:
    """The engine and its lanes.  Every call gives 0 or -errno.  Threads: only under the queue's lock."""

    __slots__ = (
        "_lane_type", "_owned", "_unowned", "apart", "batch", "calls", "lanes", "leftovers", "limit", "main",
        "refusal", "staged", "untold",
    )  # fmt: skip

    def __init__(self, engine_type: type[Engine]) -> None:
        traits = engine_type.traits
        self.apart = not traits.edge
        """The queue's engine has no edges: what is by edge is in another one."""
        self.limit = traits.max_fd
        """The first number that the queue's engine cannot watch; 0: none."""
        self._lane_type = engines.with_edges() if self.apart else engine_type
        self.main = engine_type()
        self.calls = 0
        """Counts the interests that the engines were told of beside batches: what they reported before may not be
        all."""
        self.leftovers = False
        """A number with an interest became another file, or was closed: if a dup keeps the file, the interest
        stays in the set, and should the number mean that file again, a change of it will succeed (S-398)."""
        self.batch = 1
        """Counts the batches, so that a source knows whether this one has touched it."""
        self.staged: list[Source] = []
        """Touched by changes that the engine has not been told of."""
        self.lanes: list[Engine | None] = [self.main, None, None, None]
        self._owned: dict[int, int] = {}
        """The queue's own descriptors, each with the mask that it is watched by."""
        self._unowned: set[int] = set()
        self.untold: list[Source] = []
        """What engines that were rebuilt have still to be told of: of the queue's own, and of the program's."""
        self.refusal = 0
        """The errno with which they would not hear of some of it."""
        if self.apart:
            # From the start, while there is a number for it: a file that becomes true and is denied must find it.
            rc = self._engine(APART)
            if rc < 0:
                self.main.close()
                raise errors.creation(-rc, f"the lane for edges of engine {engine_type.name!r}")

    def own(self, fd: int, mask: int) -> int:
        """Watch a descriptor of the queue's own; its token is its number."""
        engine = self.lanes[self._house(fd, mask)]
        assert engine is not None
        rc = engine.watch(fd, 0, mask, fd)
        if rc == 0:
            self._owned[fd] = mask
        return rc

    def disown(self, fd: int) -> None:
        """Watch it no more, before it is closed: a forked child may keep its file open."""
        mask = self._owned.pop(fd, 0)
        if mask:
            engine = self.lanes[self._house(fd, mask)]
            assert engine is not None
            engine.watch(fd, mask, 0, fd)  # a refusal says that it was not watched: the goal

    def _house(self, fd: int, mask: int) -> int:
        # The lane of a descriptor of the queue's own; a lane's is the main engine's.
        apart = self.lanes[APART]
        if apart is None or fd == apart.number:
            return 0
        return APART if mask & EDGE or (self.limit and fd >= self.limit) else 0

    def _place(self, lane: int, mask: int) -> int:
        # The lane whose engine holds what armed[lane] says.
        return APART if self.apart and lane == 0 and mask & EDGE else lane

    def lane_of(self, number: int) -> int:
        """1, 2 or 3 if this is the descriptor of a lane's engine, else 0."""
        for lane in (1, 2, APART):
            engine = self.lanes[lane]
            if engine is not None and engine.number == number:
                return lane
        return 0

    def _engine(self, lane: int) -> int:
        if self.lanes[lane] is None:
            try:
                engine = self._lane_type()
            except OSError as error:
                # EPERM would say that the file cannot be watched; it says so of a ring under a seccomp filter.
                return -_EACCES if error.errno == _EPERM else -(error.errno or 0)
            rc = self.own(engine.number, IN)
            if rc < 0:
                engine.close()
                return rc
            self.lanes[lane] = engine
        return 0

    def sync(self, source: Source) -> int:
        """Make the kernel's interest in source what its enabled knotes want.

        -EBADF: the number is closed; -ENOENT: it is another file's; -EPERM: engines cannot watch such a file.
        """
        level = edge = demoted = 0
        kn = source.knotes
        while kn is not None:
            if not kn.status & (DISABLED | SOFT):
                if kn.flags & EV_CLEAR:
                    edge |= kn.wants
                elif kn.status & DEMOTED:
                    demoted |= kn.wants
                else:
                    level |= kn.wants
            kn = kn.sibling
        any_edge = edge | demoted
        if (
            not any_edge
            and not source.armed[1]
            and not source.armed[2]
            and not (self.apart and source.armed[0] & EDGE)
        ):
            # The usual case, on the path of every change: all level-triggered, in the queue's own engine.
            if level == source.armed[0] and not level & source.rearm:
                return 0
            source.rearm = 0
            rc = self.main.watch(source.fd, source.armed[0], level, source.token)
            if level:
                self.calls += 1
            if rc == 0:
                source.armed[0] = level
            return rc
        wanted = level | any_edge
        # An EV_CLEAR of WRITE or EXCEPT has its lane from the start: a registration that is changed or moved
        # reports its state afresh, and the comings and goings of others would be edges to it (S-045, S-071).
        if not any_edge or wanted == READING or (not edge and not level):
            rc = self._arm(source, 0, wanted | EDGE if any_edge else wanted)
            if rc == 0 and source.armed[1]:
                rc = self._arm(source, 1, 0)
            if rc == 0 and source.armed[2]:
                rc = self._arm(source, 2, 0)
        else:
            rc = self._arm(source, 0, self._mode(wanted & READING, any_edge))
            if rc == 0:
                rc = self._arm(source, 1, self._mode(wanted & OUT, any_edge))
            if rc == 0:
                rc = self._arm(source, 2, self._mode(wanted & PRI, any_edge))
        source.rearm = 0
        return rc

    def _mode(self, directions: int, any_edge: int) -> int:
        return directions | EDGE if directions & any_edge else directions

    def _arm(self, source: Source, lane: int, mask: int) -> int:
        old = source.armed[lane]
        if mask == old and not mask & source.rearm:
            return 0
        place = self._place(lane, mask)
        before = self._place(lane, old)
        if not mask:
            place = before
        if self.lanes[place] is None:
            if not mask:
                return 0
            rc = self._engine(place)
            if rc < 0:
                return rc
        engine = self.lanes[place]
        assert engine is not None
        if mask and self.limit and source.fd >= self.limit:
            return -_ERANGE
        if place == before or not old:
            rc = engine.watch(source.fd, old, mask, source.token)
        else:
            # From level to edge or back: first into the one, so that a refusal leaves it in the other.
            rc = engine.watch(source.fd, 0, mask, source.token)
            if rc == 0:
                other = self.lanes[before]
                assert other is not None
                rc = other.watch(source.fd, old, 0, source.token)
                if rc < 0:
                    engine.watch(source.fd, mask, 0, source.token)
        if mask:
            self.calls += 1
        if rc == 0:
            source.armed[lane] = mask
        return rc

    def stands(self, source: Source) -> bool:
        """Whether the engine's answer to a change of source's interest can be relied upon: that it succeeds says
        that the number means the file that was registered, unless interests of its earlier lives may be left."""
        return not self.leftovers or same(source.fd, source.identity)

    def holds(self, source: Source) -> bool:
        """Whether source's number still means the file that was registered.  The identity proves it for sockets
        and files; all eventfds share an inode, and two may have opened one FIFO: there the engine is asked
        (S-401)."""
        if not same(source.fd, source.identity):
            return False
        if KIND_TCP <= source.kind <= KIND_VIRTUAL_FILE:
            return True
        for lane in range(3):
            if source.armed[lane]:
                engine = self.lanes[self._place(lane, source.armed[lane])]
                assert engine is not None
                return engine.holds(source.fd)
        return True

    def stage(self, source: Source, kn: Knote, place: int) -> None:
        """The place-th change of the list has made or, if kn is dead, deleted kn."""
        if source.batch != self.batch:
            source.batch = self.batch
            source.place = place
            source.told = -1
            source.planned = source.armed[0]
            self.staged.append(source)
        if kn.status & DEAD:
            source.planned &= ~kn.wants
        else:
            source.planned |= kn.wants

    def flush(self) -> Source | None:
        """Tell the engine of all staged sources, in the order in which they were touched, each once; one whose
        knotes came and went again it never hears of.  The first source that could not be told, or None; those
        behind it were not told either.  The caller clears staged."""
        told = 0
        failed = None
        for source in self.staged:
            old = source.armed[0]
            new = source.planned
            if new != old:
                source.told = told
                source.planned = old
                source.armed[0] = new
                told += 1
                self.main.stage(source.fd, old, new, source.token)
            elif not same(source.fd, source.identity):
                # No call names the number, and it is another file's by now.
                failed = source
                break
        done = self.main.flush()
        if done < told:
            failed = None
            for source in self.staged:
                if source.told >= done:
                    source.armed[0] = source.planned
                    if failed is None:
                        failed = source
        self.batch += 1
        return failed

    def release(self, source: Source) -> int:
        """Take every interest in source back.  The first lane's -errno tells whether it was still there."""
        result = 0
        for lane in range(3):
            if source.armed[lane]:
                engine = self.lanes[self._place(lane, source.armed[lane])]
                assert engine is not None
                rc = engine.watch(source.fd, source.armed[lane], 0, source.token)
                source.armed[lane] = 0
                if rc < 0 and result == 0:
                    result = rc
        return result

    def forget(self, source: Source) -> None:
        """Its number is closed or another file's.  An engine that knows numbers would go on to look at it under
        the old token, and what it then says of the new file costs a rebuilt set, which reports edges afresh."""
        for lane in range(3):
            if source.armed[lane]:
                self.leftovers = True
                engine = self.lanes[self._place(lane, source.armed[lane])]
                assert engine is not None
                engine.forget(source.fd, source.token)

    def armed(self, source: Source) -> bool:
        """Whether the kernel holds any interest in it."""
        return bool(source.armed[0] or source.armed[1] or source.armed[2])

    def rebuild(self, table: Table) -> list[Source]:
        """Forget everything that the engines hold and tell it to them anew: the way out when the kernel goes on
        reporting a descriptor that was closed while a dup of it lives (S-398).  Gives the sources that are gone.
        """
        gone = []
        for source in table.sources():
            # Asked of the old set: some kinds of files it alone can tell apart.
            if self.armed(source) and not self.holds(source):
                source.armed = [0, 0, 0]
                gone.append(source)
        kept = 0
        for lane in range(4):
            engine = self.lanes[lane]
            if engine is not None and engine.rebuild() < 0:
                kept |= 1 << lane  # No descriptor is to be had: the old set stays.
        self.leftovers = kept != 0
        self._unowned.update(self._owned)
        self.untold.clear()
        for source in table.sources():
            if self.armed(source):
                for lane in range(3):
                    if not kept >> self._place(lane, source.armed[lane]) & 1:
                        source.armed[lane] = 0
                self.untold.append(source)
        gone += self.catch_up()
        return gone

    def catch_up(self) -> list[Source]:
        """Tell engines that were rebuilt what they have still to be told of.  Gives the sources that are gone;
        refusal says whether something is left for another time, and why."""
        self.refusal = 0
        for fd in list(self._unowned):
            mask = self._owned.get(fd, 0)
            engine = self.lanes[self._house(fd, mask)]
            assert engine is not None
            rc = engine.watch(fd, 0, mask, fd) if mask else 0
            if rc < 0:
                self.refusal = -rc
            else:
                self._unowned.discard(fd)
        gone = []
        left = []
        for source in self.untold:
            if source.knotes is None:
                continue
            rc = self.sync(source)
            if rc == -_EBADF or rc == -_ENOENT or rc == -_EPERM:
                source.armed = [0, 0, 0]
                gone.append(source)
            elif rc < 0:
                self.refusal = -rc
                left.append(source)
        self.untold = left
        return gone

    def close(self) -> None:
        """Give all engines back.  Idempotent."""
        for engine in self.lanes:
            if engine is not None:
                engine.close()
