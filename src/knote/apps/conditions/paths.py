"""Conditions about what a path names: that it changes, that it is there, that it is not."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from knote import (
    EV_ADD,
    EV_CLEAR,
    EVFILT_VNODE,
    NOTE_ATTRIB,
    NOTE_DELETE,
    NOTE_EXTEND,
    NOTE_LINK,
    NOTE_RENAME,
    NOTE_REVOKE,
    NOTE_WRITE,
    kevent,
)  # fmt: skip
from knote.apps.conditions.condition import Condition, ConditionError
from knote.apps.conditions.way import Way
from knote.apps.handler import Handler

WORDS: Final = {
    NOTE_WRITE: "write",
    NOTE_EXTEND: "extend",
    NOTE_ATTRIB: "attrib",
    NOTE_LINK: "link",
    NOTE_RENAME: "rename",
    NOTE_DELETE: "delete",
    NOTE_REVOKE: "revoke",
}
_TRIES: Final = 100
"""Looks at a way that changes while it is looked at; then the next event has to do."""


class Path(Condition):
    """What a path names is looked at whenever a directory on the way to it changes: no change between two looks is
    missed, because each look comes after its watch."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._way: Way | None = None

    def start(self) -> None:
        """Condition.start()"""
        self._way = Way(self.subject, self.queue, self)
        self.look()

    def look(self) -> None:
        """Watch the way, then judge."""
        assert self._way is not None
        try:
            for _ in range(_TRIES):
                if not self._way.renew():
                    break
            self.judge(self._identity())
        except FileNotFoundError:
            self.strand()
        except OSError as error:
            raise ConditionError(f"--{self.kind} {self.subject}: {error.strerror}") from None

    def judge(self, identity: tuple[int, int] | None) -> None:
        """The path means this file now, or none."""
        raise NotImplementedError

    def strand(self) -> None:
        """The working directory was removed: the path names nothing, though stat(2) of "." still answers, and
        nothing can come there."""
        self.judge(None)

    def ready(self, event: kevent) -> None:
        """Handler.ready()"""
        self.look()

    def _identity(self) -> tuple[int, int] | None:
        try:
            st = os.stat(self.subject)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                return None
            raise
        return st.st_dev, st.st_ino

    def close(self) -> None:
        """Condition.close()"""
        if self._way is not None:
            self._way.close()


class There(Path):
    """The path names something ("exists"), or nothing ("gone"); told when that becomes so, at once if it is."""

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path)
        self.kind = kind
        self._was = False

    def judge(self, identity: tuple[int, int] | None) -> None:
        """Path.judge()"""
        holds = (identity is not None) == (self.kind == "exists")
        if holds and not self._was:
            self.tell("is there" if identity is not None else "is not there")
        self._was = holds

    def strand(self) -> None:
        """Path.strand()"""
        if self.kind == "exists":
            raise ConditionError(f"--exists {self.subject}: the working directory was removed")
        super().strand()


class _Target(Handler):
    """The file that the path means, for as long as it does: what comes for one that was let go of says nothing of
    the next, though that may have its number."""

    def __init__(self, owner: Changed, fd: int, identity: tuple[int, int]) -> None:
        self.owner: Changed | None = owner
        self.fd = fd
        self.identity = identity
        self.count()

    def count(self) -> None:
        """It has so many names by now."""
        self._names = os.fstat(self.fd).st_nlink

    def lives(self) -> bool:
        """Whether it has all its names still: the path does not mean it any more, so it was renamed.  The
        directory may tell of that before the file does."""
        st = os.fstat(self.fd)
        return bool(st.st_nlink) and (stat.S_ISDIR(st.st_mode) or st.st_nlink >= self._names)

    def ready(self, event: kevent) -> None:
        """Handler.ready()"""
        if self.owner is not None:
            self.owner.touched(event.fflags)

    def close(self) -> None:
        """Let go of it."""
        self.owner = None
        os.close(self.fd)


class Changed(Path):
    """A file is written to, a directory gets or loses entries, either is renamed, replaced, removed.  An editor
    that saves by renaming a new file over the old one is one fact, and the new file is watched from then on."""

    kind = "file"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._target: _Target | None = None
        self._words: list[str] = []
        self._fresh = True

    def start(self) -> None:
        """Condition.start()"""
        super().start()
        if self._target is None:
            raise ConditionError(
                f"--file {self.subject}: {os.strerror(errno.ENOENT)};"
                f" --exists {self.subject} waits until it is there"
            )
        self._fresh = False

    def touched(self, notes: int) -> None:
        """The file itself says so."""
        self._words = [word for note, word in WORDS.items() if notes & note]
        self.look()

    def judge(self, identity: tuple[int, int] | None) -> None:
        """Path.judge()"""
        before = self._target
        if identity != (before.identity if before is not None else None):
            moved = before is not None and before.lives()
            if before is not None:
                before.close()
            self._target = None
            if identity is not None:
                self._words.append("create" if before is None else "replace")
                self._open()
            elif "delete" not in self._words and "rename" not in self._words:
                self._words.append("rename" if moved else "delete")
        elif before is not None:
            before.count()
        words, self._words = self._words, []
        if words and not self._fresh:
            self.tell(*words)

    def _open(self) -> None:
        notes = NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB | NOTE_LINK | NOTE_RENAME | NOTE_DELETE | NOTE_REVOKE
        try:
            fd = os.open(self.subject, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return  # gone again: the way tells of what comes
        st = os.fstat(fd)
        target = _Target(self, fd, (st.st_dev, st.st_ino))
        try:
            self.queue.control([kevent(fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, notes, 0, target)], 0)
        except OSError:
            target.close()
            raise
        self._target = target

    def close(self) -> None:
        """Condition.close()"""
        super().close()
        if self._target is not None:
            self._target.close()
            self._target = None
