# cython: annotation_typing=False
"""What a queue lends to its filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote.clock import Clock
    from knote.drain import Drain
    from knote.filewatch import FileWatch
    from knote.ready import ReadyList


class Host:
    """The lists that knotes wait on, and the descriptors that a filter needs beside the engine's.

    ready: true, or to be asked, without the engine.  resting: not true, asked again at each call.  files: the
    queue's inotify.  own(fd, drain): watch a descriptor of the filter's own; drain.drain(fd) is called when it is
    readable; 0 or -errno.  open_clock(clock_id, drain): a Clock; OSError if it cannot be had.
    """

    __slots__ = ("files", "open_clock", "own", "ready", "resting")

    def __init__(
        self,
        ready: ReadyList,
        resting: ReadyList,
        files: FileWatch,
        own: Callable[[int, Drain], int],
        open_clock: Callable[[int, Drain], Clock],
    ) -> None:
        self.ready = ready
        self.resting = resting
        self.files = files
        self.own = own
        self.open_clock = open_clock
