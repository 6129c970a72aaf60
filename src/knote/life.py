# cython: annotation_typing=False
"""What EVFILT_PROC keeps of a process beside its knote: only of those that it cannot leave to a pidfd."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knote.knote import Knote


class Life:
    """A process that the connector tells of, or that is watched without a descriptor.

    Threads: only under the queue's lock.
    """

    __slots__ = ("child", "gone", "image", "kn", "pid", "told")

    def __init__(self, kn: Knote, pid: int) -> None:
        self.kn = kn
        self.pid = pid
        self.child = False
        """Of one without a pidfd: it is this process's child."""
        self.gone = False
        """It had gone before its pidfd could be opened: the connector's word is all that there will be."""
        self.told = -1
        """The wait status that the connector told, -1 before."""
        self.image = 0
        """Which program it runs, for NOTE_EXEC: see _kernel.pidfd.image()."""
