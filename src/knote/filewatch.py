# cython: annotation_typing=False
"""Files that change: one inotify(7) per queue, for the files that no engine can watch.

In:  watch() (READ) and note() (VNODE) -> inotify_add_watch(2), one watch per inode.
Out: drain() -> per watch, what came for it -> Watch.judge() -> the notes -> the ready list.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote._kernel.fd import same
from knote._kernel.inotify import Inotify
from knote._kernel.snapshot import ATTRIBUTES, CONTENTS, GREW, NAMELESS, UNLINKED, Snapshot
from knote.constants import (
    EVFILT_VNODE,
    NOTE_DELETE,
    NOTE_EXTEND,
    NOTE_LINK,
    NOTE_WRITE,
)
from knote.drain import Drain
from knote.herald import Herald
from knote.knote import DISABLED, SOFT
from knote.masks import (
    IN_ATTRIB,
    IN_DELETE,
    IN_IGNORED,
    IN_ISDIR,
    IN_MASK_ADD,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_Q_OVERFLOW,
    IN_UNMOUNT,
)
from knote.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote.knote import Knote
    from knote.ready import ReadyList
    from knote.source import Source

_EACCES = errno.EACCES
_EBADF = errno.EBADF
_ESTALE = errno.ESTALE
_ENOENT = errno.ENOENT
# As many events are taken at once, sixty times what an inotify holds by default: a queue that is filled as fast
# as it is emptied must not keep its lock for ever.
_MOST = 1 << 20
_EVERYTHING = CONTENTS | ATTRIBUTES


class FileWatch(Drain):
    """Wakes the knotes of files: a READ that rests at the file's end or was returned by EV_CLEAR, and VNODE with
    what has happened.  Two descriptors of one file share one watch (S-424).

    own: tells the queue's engine of a descriptor; 0 or -errno.  Threads: only under the queue's lock.
    """

    __slots__ = (
        "_draining", "_herald", "_inotify", "_lost", "_moves", "_own", "_ready", "_touched", "_watches", "noting",
    )  # fmt: skip

    def __init__(self, ready: ReadyList, resting: ReadyList, own: Callable[[int, Drain], int]) -> None:
        self._ready = ready
        self._herald = Herald(ready, resting)
        self._own = own
        self._inotify: Inotify | None = None
        self._watches: dict[int, Watch] = {}
        self._touched: list[Watch] = []
        """Those that the drain that runs has met, as they came."""
        self._moves: dict[int, tuple[Watch, int]] = {}
        """IN_MOVED_FROM whose other half has not been met: where, and its mask."""
        self._lost = False
        """inotify's queue was full, and events were dropped."""
        self._draining = False
        self.noting = 0
        """How many VNODE knotes there are."""

    # ---- who wants to know ---------------------------------------------------------------------------------

    def _open(self) -> int:
        if self._inotify is not None:
            return 0
        inotify = Inotify()
        if inotify.fd < 0:
            return -inotify.fd
        rc = self._own(inotify.fd, self)
        if rc < 0:
            inotify.close()
            return -rc
        self._inotify = inotify
        return 0

    def watch(self, source: Source) -> int:
        """Tell READ of a file's growth; 0 or an errno.  One that may not be read (EACCES, S-440) is not watched:
        its knotes are asked at each call."""
        watch = self._watches.get(source.wd)
        if watch is not None and watch.mask & IN_MODIFY:
            return 0
        rc = self._open()
        if rc:
            return rc
        rc = self._widen(source, IN_MODIFY, None)
        return 0 if rc in (_EACCES, _ENOENT) else rc

    def note(self, kn: Knote, notes: int) -> int:
        """Tell a VNODE knote of such notes from now on; 0, or an errno and nothing has changed.  What happened
        before is told of by the notes that were asked for then (S-177, S-178)."""
        source = kn.source
        assert source is not None
        # The file is looked at before inotify is: what changes between the two is told rather than missed.
        state = Snapshot()
        rc = state.take(source.fd)
        if rc < 0:
            return -rc
        rc = self._open()
        if rc:
            return rc
        self.drain(0)
        watch = self._watches.get(source.wd)
        if watch is None or watch.state is None:
            probe = Watch(-1)
            probe.state = state
            mask = probe.mask_of(notes)
        else:
            mask = watch.mask_of(notes)
        if watch is None or watch.state is None or mask & ~watch.mask:
            rc = self._widen(source, mask, state)
            if rc:
                return rc
            watch = self._watches[source.wd]
        if notes & NOTE_DELETE and state.directory and watch.parent is None and not watch.unseen:
            return self._adopt(watch, source)
        return 0

    def _widen(self, source: Source, mask: int, state: Snapshot | None) -> int:
        inotify = self._inotify
        assert inotify is not None
        wd = inotify.add(source.fd, mask | IN_MASK_ADD)
        if wd < 0:
            return -wd
        watch = self._watches.get(wd)
        if watch is None:
            watch = Watch(wd)
            self._watches[wd] = watch
        if watch.state is None:
            watch.state = state
        watch.mask |= mask
        if source.wd != wd:
            source.wd = wd
            watch.sources.append(source)
        return 0

    def narrow(self, source: Source) -> None:
        """A knote of source has gone, or asks for less: tell inotify, so that nobody wakes for nothing."""
        watch = self._watches.get(source.wd)
        if watch is None:
            return
        if watch.parent is not None and not watch.wanted() & NOTE_DELETE:
            self._leave(watch)
        mask = watch.needed()
        if mask == watch.mask or self._inotify is None:
            return
        for other in watch.sources:
            if same(other.fd, other.identity):
                wd = self._inotify.add(other.fd, mask)
                if wd == watch.wd:
                    watch.mask = mask
                return
        # No number leads to it: events that nobody wants are passed over.

    def forget(self, source: Source) -> None:
        """Its last knote has gone."""
        watch = self._watches.get(source.wd)
        if watch is not None and source in watch.sources:
            watch.sources.remove(source)
            if watch.sources:
                self.narrow(source)
            else:
                self._drop(watch)
        source.wd = -1

    def _drop(self, watch: Watch) -> None:
        # Nobody's descriptor leads to it any more.
        if watch.parent is not None:
            self._leave(watch)
        watch.state = None
        if watch.children or self._inotify is None:
            return
        self._watches.pop(watch.wd, None)
        # EINVAL: the file is gone, and its watch with it.  Else IN_IGNORED tells that it was removed, which is
        # taken at once: nothing must make the queue's descriptor readable.
        if self._inotify.remove(watch.wd) == 0:
            self.drain(0)

    def _adopt(self, watch: Watch, source: Source) -> int:
        # rmdir(2) of an open directory tells nothing to its own watch, only to its parent's (S-434).
        inotify = self._inotify
        assert inotify is not None
        wd = inotify.add(source.fd, IN_DELETE | IN_MASK_ADD, True)
        if wd in (-_EACCES, -_ENOENT):
            self._unseen(watch)
            return 0
        if wd < 0:
            return -wd
        parent = self._watches.get(wd)
        if parent is None:
            parent = Watch(wd)
            self._watches[wd] = parent
        parent.mask |= IN_DELETE
        watch.unseen = False
        if parent is not watch:  # the root is its own parent, and nobody removes it
            parent.children.append(watch)
            watch.parent = parent
        return 0

    def _unseen(self, watch: Watch) -> None:
        watch.unseen = True
        for source in watch.sources:
            kn = source.find(EVFILT_VNODE)
            if kn is not None:
                kn.status |= SOFT
                if not kn.status & DISABLED:
                    self._ready.append(kn)

    def _leave(self, watch: Watch) -> None:
        parent = watch.parent
        watch.parent = None
        if parent is None:
            return
        parent.children.remove(watch)
        if parent.children:
            return
        if parent.sources:
            self.narrow(parent.sources[0])
        else:
            self._drop(parent)

    def rests(self, source: Source) -> bool:
        """Whether source must be asked at each call: its removal tells nobody."""
        watch = self._watches.get(source.wd)
        return watch is not None and watch.unseen

    def look(self, source: Source) -> None:
        """Ask such a one."""
        watch = self._watches.get(source.wd)
        if watch is not None:
            self._removed(watch)

    # ---- what happens --------------------------------------------------------------------------------------

    def drain(self, number: int) -> None:
        """Drain.drain()."""
        inotify = self._inotify
        if inotify is None or self._draining:
            return
        self._draining = True
        left = _MOST
        more = True
        while more and left > 0 and inotify.read() > 0:
            while inotify.next():
                self._take(inotify.wd, inotify.mask, inotify.cookie, inotify.named)
                left -= 1
            more = inotify.more
        if self._touched or self._lost:
            self._settle()
        self._draining = False

    def _take(self, wd: int, mask: int, cookie: int, named: bool) -> None:
        if mask & IN_Q_OVERFLOW:
            self._lost = True
            return
        watch = self._watches.get(wd)
        if watch is None:
            return
        if not watch.touched:
            watch.touched = True
            n = len(self._touched)
            last = self._touched[n - 1] if n else None
            if last is not None and last.goes_after(mask, named):
                self._touched.insert(n - 1, watch)
            else:
                self._touched.append(watch)
        if named and mask & IN_MOVED_FROM:
            watch.notes |= NOTE_WRITE
            self._moves[cookie] = (watch, mask)
        elif named and mask & IN_MOVED_TO:
            self._moved(watch, mask, cookie)
        else:
            watch.take(mask, named)
            if mask & IN_IGNORED:
                self._ended(watch)

    def _moved(self, watch: Watch, mask: int, cookie: int) -> None:
        watch.notes |= NOTE_WRITE
        move = self._moves.pop(cookie, None)
        if move is not None and move[0] is watch:
            return  # within the directory
        self._crossed(watch, mask)
        if move is not None:
            self._crossed(move[0], move[1])

    def _crossed(self, watch: Watch, mask: int) -> None:
        # An entry came from, or went to, another directory.
        watch.notes |= NOTE_EXTEND | NOTE_LINK if mask & IN_ISDIR else NOTE_EXTEND

    def _ended(self, watch: Watch) -> None:
        # inotify has let go of it: its last descriptor and name are gone, or its file system is.
        self._watches.pop(watch.wd, None)
        for child in watch.children:
            child.parent = None
        watch.children = []
        if watch.parent is not None:
            self._leave(watch)

    def _settle(self) -> None:
        for watch, mask in self._moves.values():
            self._crossed(watch, mask)
        self._moves.clear()
        touched = self._touched
        if self._lost:
            for watch in self._watches.values():
                if not watch.touched:
                    watch.touched = True
                    touched.append(watch)
        self._touched = []
        for watch in touched:
            self._judge(watch)
            watch.reset()
        self._lost = False

    def _judge(self, watch: Watch) -> None:
        state = watch.state
        owner = None
        notes = 0
        ended = watch.seen & IN_IGNORED != 0
        if ended and not watch.seen & IN_UNMOUNT:
            ended = not self._again(watch)
        if state is not None:
            parts = _EVERYTHING if self._lost or watch.seen & IN_IGNORED else 0
            if watch.seen & IN_MODIFY:
                parts |= CONTENTS
            if watch.seen & IN_ATTRIB or watch.notes & NOTE_WRITE:
                parts |= ATTRIBUTES
            for source in watch.sources:
                found = state.compare(source.fd, parts)
                if found < 0 and found != -_ESTALE and found != -_EBADF:
                    found = GREW  # The kernel does not tell what is different: more rather than less has happened.
                if found >= 0:
                    owner = source
                    notes = watch.judge(found)
                    if self._lost or watch.seen & IN_IGNORED:
                        notes |= watch.guess(found, self._lost)
                    break
        grown = self._lost or watch.seen & (IN_MODIFY | IN_IGNORED) != 0
        for source in reversed(watch.sources):
            if state is None or source is owner or same(source.fd, source.identity):
                self._herald.tell(source, notes, grown)
            else:
                self._herald.ask(source)
        if ended:
            for source in watch.sources:
                source.wd = -1
            watch.sources = []
            return
        if watch.parent is not None and owner is not None and (self._lost or watch.seen & IN_MOVE_SELF):
            self._leave(watch)
            if self._adopt(watch, owner):
                self._unseen(watch)
        if watch.children and (self._lost or watch.notes & NOTE_LINK):
            for child in watch.children:
                self._removed(child)

    def _again(self, watch: Watch) -> bool:
        # Unlinking the last name takes the watch away, though the file is open, if it was opened by another name
        # that is gone already: the kernel looks whether this name is in use, not whether the file is.
        inotify = self._inotify
        assert inotify is not None
        for source in watch.sources:
            if same(source.fd, source.identity):
                wd = inotify.add(source.fd, watch.mask | IN_MASK_ADD)
                if wd < 0:
                    return False
                watch.wd = wd
                self._watches[wd] = watch
                for other in watch.sources:
                    other.wd = wd
                return True
        return False

    def _removed(self, watch: Watch) -> None:
        state = watch.state
        if state is None or not watch.sources:
            return
        for owner in watch.sources:
            found = state.compare(owner.fd, ATTRIBUTES)
            if found >= 0:
                if found & UNLINKED and found & NAMELESS:
                    for source in reversed(watch.sources):
                        self._herald.tell(source, NOTE_DELETE, False)
                return

    def close(self) -> None:
        """Give the descriptor back; idempotent."""
        if self._inotify is not None:
            self._inotify.close()
