# cython: annotation_typing=False
"""What reads a descriptor of the queue's own that serves many knotes."""

from __future__ import annotations


class Drain:
    """The reader of a timerfd, of inotify: one descriptor per filter, not one per knote."""

    __slots__ = ()

    def drain(self, number: int) -> None:
        """The descriptor is readable: read it and put the knotes that it names on the ready list."""
        raise NotImplementedError

    def rewatched(self, number: int) -> None:
        """The engine has begun to watch the descriptor afresh, so the next report, by edge, may be no news."""
