# cython: annotation_typing=False
"""Files that change: one inotify(7) per queue, for the files that no engine can watch."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from knote._kernel.inotify import Inotify
from knote.drain import Drain
from knote.knote import DISABLED, SOFT

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote.ready import ReadyList
    from knote.source import Source

IN_MODIFY: Final = 0x2
IN_Q_OVERFLOW: Final = 0x4000


class FileWatch(Drain):
    """Wakes the knotes of a file when it is written to: a READ that rests at the file's end, an EV_CLEAR one
    that was returned.  Two descriptors of one file share one watch (S-424).

    own: tells the queue's engine of a descriptor; 0 or -errno.  Threads: only under the queue's lock.
    """

    __slots__ = ("_inotify", "_own", "_ready", "_resting", "_watched")

    def __init__(self, ready: ReadyList, resting: ReadyList, own: Callable[[int, Drain], int]) -> None:
        self._ready = ready
        self._resting = resting
        self._own = own
        self._inotify: Inotify | None = None
        self._watched: dict[int, list[Source]] = {}

    def watch(self, source: Source) -> int:
        """Begin to watch source's file; 0 or an errno.  One that may not be read (EACCES, S-440) is not watched:
        its knotes are asked at each call."""
        if source.wd >= 0:
            return 0
        if self._inotify is None:
            inotify = Inotify()
            if inotify.fd < 0:
                return -inotify.fd
            rc = self._own(inotify.fd, self)
            if rc < 0:
                inotify.close()
                return -rc
            self._inotify = inotify
        wd = self._inotify.add(source.fd, IN_MODIFY)
        if wd in (-errno.EACCES, -errno.ENOENT):
            return 0
        if wd < 0:
            return -wd
        source.wd = wd
        self._watched.setdefault(wd, []).append(source)
        return 0

    def forget(self, source: Source) -> None:
        """Watch it no more."""
        sources = self._watched.get(source.wd)
        if sources is not None and source in sources:
            sources.remove(source)
            if not sources and self._inotify is not None:
                del self._watched[source.wd]
                # EINVAL: the file is gone, and its watch with it.
                self._inotify.remove(source.wd)
        source.wd = -1

    def _changed(self, sources: list[Source]) -> None:
        for source in sources:
            kn = source.knotes
            while kn is not None:
                if kn.status & SOFT and not kn.status & DISABLED:
                    self._resting.remove(kn)
                    self._ready.append(kn)
                kn = kn.sibling

    def drain(self, number: int) -> None:
        """Drain.drain()."""
        if self._inotify is None:
            return
        n = self._inotify.read()
        while n > 0:
            for i in range(n):
                if self._inotify.mask(i) & IN_Q_OVERFLOW:
                    # What was lost is not known: ask them all.
                    for sources in self._watched.values():
                        self._changed(sources)
                elif self._inotify.wd(i) in self._watched:
                    self._changed(self._watched[self._inotify.wd(i)])
            n = self._inotify.read()

    def close(self) -> None:
        """Give the descriptor back; idempotent."""
        if self._inotify is not None:
            self._inotify.close()
