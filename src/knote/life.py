# cython: annotation_typing=False
"""What EVFILT_PROC knows of one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knote.knote import Knote


class Life:
    """A watched process: its pidfd, what happened to it that is not yet told, and how it ended.

    Threads: only under the queue's lock.
    """

    __slots__ = (
        "child", "fd", "gone", "image", "kn", "once", "over", "parent", "pending", "pid", "status", "told",
    )  # fmt: skip

    def __init__(self, kn: Knote, pid: int) -> None:
        self.kn = kn
        self.pid = pid
        self.fd = -1
        """Its pidfd; -1 where descriptors are short or it has ended."""
        self.child = False
        """Of one without a pidfd: it is this process's child."""
        self.gone = False
        """It had gone before its pidfd could be opened: the connector's word is all that there will be."""
        self.pending = 0
        """NOTE_* that happened since the knote was last returned."""
        self.over = False
        """It has ended."""
        self.status = 0
        """With over: its wait status, -1 if nobody can tell."""
        self.told = -1
        """The wait status that the connector told, -1 before."""
        self.parent = -1
        """NOTE_TRACK found it: the parent's number until NOTE_CHILD is returned, then -1."""
        self.once = False
        """NOTE_TRACK found it by an EV_ONESHOT knote: what comes after NOTE_CHILD is returned once."""
        self.image = 0
        """Which program it runs, for NOTE_EXEC: see _kernel.pidfd.image()."""
