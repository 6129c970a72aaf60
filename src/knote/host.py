# cython: annotation_typing=False
"""What a queue lends to its filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from knote.clock import Clock
    from knote.drain import Drain
    from knote.filewatch import FileWatch
    from knote.ready import ReadyList
    from knote.table import Table

    class Own(Protocol):
        """Host.own."""

        def __call__(self, fd: int, drain: Drain, edge: bool = False) -> int: ...


class Host:
    """The lists that knotes wait on, and the descriptors that a filter needs beside the engine's.

    ready: true, or to be asked, without the engine.  resting: not true, asked again at each call.  files: the
    queue's inotify.  own(fd, drain, edge=False): watch a descriptor of the filter's own; drain.drain(fd) is called
    when it is readable, with edge once for each wake-up that its file gives; 0 or -errno.  disown(fd): watch it no
    more; it is still the filter's to close.  open_clock(clock_id, drain): a Clock; OSError if it cannot be had.
    table: where the queue's knotes are found.  shed: what a filter lets go of, and whose finalizers must wait
    until the lock was given back.
    """

    __slots__ = ("disown", "files", "open_clock", "own", "ready", "resting", "shed", "table")

    def __init__(
        self,
        ready: ReadyList,
        resting: ReadyList,
        files: FileWatch,
        own: Own,
        disown: Callable[[int], None],
        open_clock: Callable[[int, Drain], Clock],
        table: Table,
    ) -> None:
        self.ready = ready
        self.resting = resting
        self.files = files
        self.own = own
        self.disown = disown
        self.open_clock = open_clock
        self.table = table
        self.shed: list[object] = []
