"""The directories that decide what a path means."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from knote import (
    EV_ADD,
    EV_CLEAR,
    EVFILT_VNODE,
    NOTE_DELETE,
    NOTE_RENAME,
    NOTE_REVOKE,
    NOTE_WRITE,
    kevent,
    kqueue,
)  # fmt: skip

if TYPE_CHECKING:
    from knote.apps.handler import Handler

GOES: Final = NOTE_DELETE | NOTE_RENAME | NOTE_REVOKE
_LINKS: Final = 40
"""So many symbolic links the kernel follows in one path.  path_resolution(7)"""


def directories(path: str) -> dict[str, int]:
    """Each directory on the way to path, with the notes that a change of path's meaning would bring: NOTE_WRITE
    too where an entry decides (the last one, one that is missing, a symbolic link's), else only that it goes.
    FileNotFoundError: the path is relative, and the working directory was removed."""
    found: dict[str, int] = {}
    whole = path if os.path.isabs(path) else os.path.join(os.getcwd(), path)
    for _ in range(_LINKS):
        following = _walk(whole, found)
        if following is None:
            break
        whole = following
    return found


def _walk(path: str, found: dict[str, int]) -> str | None:
    # Down from the root; where a symbolic link stands in the way, the path behind it, which starts anew.
    here = "/"
    # Not made shorter before: what .. means, the links before it say.
    names = [name for name in path.split("/") if name not in ("", ".")]
    for i, name in enumerate(names):
        found.setdefault(here, GOES)
        if name == "..":
            here = os.path.dirname(here)
            continue
        entry = os.path.join(here, name)
        try:
            mode = os.lstat(entry).st_mode
        except OSError:
            found[here] |= NOTE_WRITE  # It is not there, or may not be looked at, until something changes.
            return None
        if stat.S_ISLNK(mode):
            found[here] |= NOTE_WRITE
            try:
                target = os.readlink(entry)
            except OSError:
                return None
            return os.path.join(here, target, *names[i + 1 :])
        if i == len(names) - 1 or not stat.S_ISDIR(mode):
            found[here] |= NOTE_WRITE
            return None
        here = entry
    found.setdefault(here, GOES)
    return None


class Way:
    """Watches directories(path) for a handler."""

    def __init__(self, path: str, queue: kqueue, handler: Handler) -> None:
        self._path = path
        self._queue = queue
        self._handler = handler
        self._held: dict[str, tuple[int, tuple[int, int], int]] = {}

    def renew(self) -> bool:
        """Watch what leads to the path by now; whether that is something else than before.  OSError: of limits."""
        wanted = directories(self._path)
        changed = False
        for name in [name for name in self._held if name not in wanted]:
            os.close(self._held.pop(name)[0])  # and with it goes the knote
            changed = True
        for name, notes in wanted.items():
            changed |= self._watch(name, notes)
        return changed

    def _watch(self, name: str, notes: int) -> bool:
        held = self._held.get(name)
        try:
            if held is not None:
                st = os.stat(name)
                if held[1:] == ((st.st_dev, st.st_ino), notes):
                    return False
                os.close(self._held.pop(name)[0])
            fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return True  # It went while we looked: look again.
        try:
            st = os.fstat(fd)
            self._queue.control([kevent(fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, notes, 0, self._handler)], 0)
        except OSError as error:
            # inotify(7) wants to read what it watches.  Who may only pass through (mode 711, as of /home) is not
            # told that it goes; what its entries are decides nothing here.
            if error.errno != errno.EACCES or notes & NOTE_WRITE:
                os.close(fd)
                raise
        self._held[name] = fd, (st.st_dev, st.st_ino), notes
        return True

    def close(self) -> None:
        """Give the descriptors back."""
        while self._held:
            os.close(self._held.popitem()[1][0])
