# cython: annotation_typing=False
"""What EVFILT_PROC keeps of a process beside its knote, where a pidfd is not enough; and its children."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knote.knote import Knote


def children_of(pid: int) -> list[int]:
    """Its living children, as /proc tells; an empty list where it does not."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as text:
                found.extend(map(int, text.read().split()))
    except OSError:
        pass  # it is gone, or hidden: what is not found is told by NOTE_TRACKERR
    return found


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
