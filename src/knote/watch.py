# cython: annotation_typing=False
"""One inode that a queue's inotify(7) watches: who wants to know what of it, and what inotify's words mean.

inotify tells less than kqueue's notes do: IN_MODIFY is a write, a growing and a shrinking truncation; IN_ATTRIB is
chmod(2), link(2) and unlink(2); equal events in a row become one.  What it leaves open is told by comparing the
file with what it was (spec 6.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote._kernel.snapshot import (
    CHANGED,
    EMPTY,
    GREW,
    LATER,
    LINKED,
    NAMELESS,
    OWNED,
    SHRANK,
    TOUCHED,
    UNLINKED,
    UNSURE,
    Snapshot,
)
from knote.constants import (
    EVFILT_VNODE,
    NOTE_ATTRIB,
    NOTE_CLOSE,
    NOTE_CLOSE_WRITE,
    NOTE_DELETE,
    NOTE_EXTEND,
    NOTE_LINK,
    NOTE_OPEN,
    NOTE_READ,
    NOTE_RENAME,
    NOTE_REVOKE,
    NOTE_TRUNCATE,
    NOTE_WRITE,
)
from knote.knote import DEAD
from knote.masks import (
    IN_ACCESS,
    IN_ATTRIB,
    IN_CLOSE_NOWRITE,
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_ISDIR,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_OPEN,
    IN_UNMOUNT,
)
from knote.source import KIND_FILE

if TYPE_CHECKING:
    from knote.source import Source

_ENTRIES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO
_PASSING = NOTE_OPEN | NOTE_CLOSE | NOTE_CLOSE_WRITE | NOTE_READ
_CONTENTS = NOTE_WRITE | NOTE_EXTEND


class Watch:
    """A watched inode.  One inode has one watch, whatever the number of descriptors and knotes (S-424).

    Threads: only under the queue's lock.
    """

    __slots__ = (
        "children", "closed", "doubtful", "mask", "modified", "notes", "parent", "seen", "sources", "state",
        "touched", "unseen", "wd",
    )  # fmt: skip

    def __init__(self, wd: int) -> None:
        self.wd = wd
        self.mask = 0
        """What inotify was asked for."""
        self.sources: list[Source] = []
        """Its descriptors, as they came."""
        self.state: Snapshot | None = None
        """As it was when last looked at; None while only READ wants to know of it."""
        self.parent: Watch | None = None
        """A directory's: where its removal will be seen (S-434)."""
        self.children: list[Watch] = []
        """Whose parent it is."""
        self.unseen = False
        """A directory whose parent may not be watched: its removal is seen when it is asked."""
        self.doubtful = False
        """It shrank, and whether it was also written to nobody knows; a close(2) of a writer says: perhaps."""
        # What the drain that runs has collected.
        self.touched = False
        self.seen = 0
        """IN_* of the inode itself, all together."""
        self.notes = 0
        """NOTE_* that need no look at it."""
        self.modified = 0
        """How many times IN_MODIFY came."""
        self.closed = False
        """A writer closed it after the last IN_MODIFY."""

    def reset(self) -> None:
        """Forget what a drain has collected."""
        self.touched = False
        self.seen = 0
        self.notes = 0
        self.modified = 0
        self.closed = False

    def mask_of(self, notes: int) -> int:
        """What inotify must be asked for, so that these notes can be told."""
        # Never nothing: inotify refuses that, and IN_UNMOUNT and IN_IGNORED come unasked.
        mask = IN_DELETE_SELF
        state = self.state
        if state is None:
            return mask
        if notes & (NOTE_ATTRIB | NOTE_LINK | NOTE_DELETE) and not state.directory:
            mask |= IN_ATTRIB
        if notes & NOTE_RENAME:
            mask |= IN_MOVE_SELF
        if notes & NOTE_OPEN:
            mask |= IN_OPEN
        if notes & NOTE_CLOSE:
            mask |= IN_CLOSE_NOWRITE
        if notes & NOTE_CLOSE_WRITE:
            mask |= IN_CLOSE_WRITE
        if state.directory:
            if notes & (NOTE_ATTRIB | NOTE_DELETE):
                mask |= IN_ATTRIB
            if notes & NOTE_DELETE:
                mask |= IN_MOVE_SELF  # then its parent is another
            if notes & (_CONTENTS | NOTE_LINK):
                mask |= _ENTRIES
            if notes & NOTE_READ:
                mask |= IN_ACCESS
        elif state.regular:
            # A shrinking truncation is NOTE_ATTRIB.
            if notes & (_CONTENTS | NOTE_ATTRIB | NOTE_TRUNCATE):
                mask |= IN_MODIFY
            if notes & _CONTENTS and notes & (NOTE_ATTRIB | NOTE_TRUNCATE):
                mask |= IN_CLOSE_WRITE
            if notes & NOTE_READ:
                mask |= IN_ACCESS
        # FreeBSD's FIFOs and devices are read and written past their vnodes: no note.
        return mask

    def wanted(self) -> int:
        """The notes that its knotes ask for, all together."""
        notes = 0
        for source in self.sources:
            kn = source.knotes
            while kn is not None:
                if kn.filter == EVFILT_VNODE and not kn.status & DEAD:
                    notes |= kn.sfflags
                kn = kn.sibling
        return notes

    def needed(self) -> int:
        """What inotify must be asked for, for all who want to know of it."""
        mask = self.mask_of(self.wanted())
        if self.children:
            mask |= IN_DELETE
        if self.mask & IN_MODIFY and self._others():
            mask |= IN_MODIFY
        return mask

    def _others(self) -> bool:
        # READ and WRITE of a file.
        for source in self.sources:
            kn = source.knotes
            while kn is not None:
                if source.kind == KIND_FILE and kn.filter != EVFILT_VNODE and not kn.status & DEAD:
                    return True
                kn = kn.sibling
        return False

    def take(self, mask: int, named: bool) -> None:
        """An event, but for the halves of renames."""
        if named:
            if mask & (IN_CREATE | IN_DELETE):
                self.notes |= NOTE_WRITE | NOTE_LINK if mask & IN_ISDIR else NOTE_WRITE
            return  # what happens to an entry does not happen to the directory (S-433)
        self.seen |= mask
        if mask & IN_MODIFY:
            self.modified += 1
            self.closed = False
        if mask & IN_CLOSE_WRITE:
            self.closed = True

    def goes_after(self, mask: int, named: bool) -> bool:
        """Whether the event behind this file's first is told of before it.

        Linux tells first of the file that unlink(2) or rename(2) takes the name from, then of the directory or of
        the file that gets it; FreeBSD tells of it last (vop_remove_post, vop_rename_post).
        """
        return self.seen == IN_ATTRIB and mask & (IN_DELETE if named else IN_MOVE_SELF) != 0

    def judge(self, found: int) -> int:
        """The notes of what a drain has collected, by what is different now."""
        seen = self.seen
        notes = self.notes
        state = self.state
        if seen & IN_OPEN:
            notes |= NOTE_OPEN
        if seen & IN_CLOSE_NOWRITE:
            notes |= NOTE_CLOSE
        if seen & IN_CLOSE_WRITE:
            notes |= NOTE_CLOSE_WRITE
        if seen & IN_ACCESS:
            notes |= NOTE_READ
        if seen & IN_MOVE_SELF:
            notes |= NOTE_RENAME
        if seen & IN_UNMOUNT:
            notes |= NOTE_REVOKE
        if seen & IN_ATTRIB:
            notes |= self._attributes(found)
        if state is not None and state.regular:
            notes |= self._contents(found)
        elif self.notes & NOTE_WRITE:
            notes |= self._entries(found)
        return notes

    def _entries(self, found: int) -> int:
        # Looking at its links takes away what its parent would see of its removal.
        if found & UNLINKED and found & NAMELESS:
            return NOTE_DELETE
        # One subdirectory took another's place, of which inotify says nothing.
        return NOTE_LINK if found & (LINKED | UNLINKED) else 0

    def _attributes(self, found: int) -> int:
        # unlink(2) of an open file is IN_ATTRIB, never IN_DELETE_SELF: that comes with the last close (S-425).
        state = self.state
        if state is not None and state.directory:
            if found & UNLINKED and found & NAMELESS:
                return NOTE_DELETE
            # Where another directory took its place, the parent's event has told of the removal.
            return 0 if found & NAMELESS and not found & (OWNED | TOUCHED | CHANGED) else NOTE_ATTRIB
        notes = 0
        if found & LINKED:
            notes |= NOTE_LINK
        if found & UNLINKED:
            notes |= NOTE_DELETE
        # The count of links accounts for the event, unless there is more to see (S-428).
        if not notes or found & OWNED or (found & TOUCHED and not self.seen & IN_MODIFY):
            notes |= NOTE_ATTRIB
        return notes

    def _contents(self, found: int) -> int:
        notes = 0
        if self.seen & IN_MODIFY:
            if found & SHRANK:
                # ftruncate(2), which is NOTE_ATTRIB; or open(O_TRUNC) and a shorter text, merged into one event.
                notes |= NOTE_ATTRIB | NOTE_TRUNCATE
                if self.modified > 1:
                    notes |= _CONTENTS
                self.doubtful = self.modified == 1 and not found & EMPTY
            else:
                notes |= _CONTENTS if found & GREW else NOTE_WRITE
                self.doubtful = False
        if self.closed and self.doubtful:
            notes |= _CONTENTS
            self.doubtful = False
        return notes

    def guess(self, found: int, lost: bool) -> int:
        """The notes that account for what is different, after events were lost (S-437).  What leaves no trace in
        the file is reported to those who asked for it: it may have happened."""
        notes = _PASSING if lost else 0
        state = self.state
        if state is not None and state.directory:
            if found & (TOUCHED | UNSURE):
                notes |= _CONTENTS | NOTE_LINK
            if found & UNLINKED and found & NAMELESS:
                notes |= NOTE_DELETE
            elif found & OWNED or (found & CHANGED and (found & LATER or not found & TOUCHED)):
                notes |= NOTE_ATTRIB | NOTE_RENAME
            return notes
        if found & (TOUCHED | UNSURE):
            notes |= NOTE_WRITE
        if found & GREW:
            notes |= _CONTENTS
        if found & SHRANK:
            notes |= _CONTENTS | NOTE_ATTRIB | NOTE_TRUNCATE
        if found & LINKED:
            notes |= NOTE_LINK
        if found & UNLINKED:
            notes |= NOTE_DELETE
        if found & OWNED:
            notes |= NOTE_ATTRIB
        elif found & CHANGED and not found & (LINKED | UNLINKED) and (found & LATER or not found & TOUCHED):
            notes |= NOTE_ATTRIB | NOTE_RENAME
        return notes
