# cython: annotation_typing=False
"""What a filter is: something that knows whether a knote is true, never how that is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from knote.drain import Drain

if TYPE_CHECKING:
    from knote.knote import Knote

# event()'s answers.
NOT_ACTIVE: Final = 0
IS_ACTIVE: Final = 1
GONE: Final = -1
DROP: Final = -3


class Filter(Drain):
    """One EVFILT_*, for one queue.  Errors are given back as an errno, not raised: all of it runs under the lock.

    id: the EVFILT_* number.  is_fd: ident is a descriptor.  wants: the directions to watch on it.  forced: the
    flags that the filter sets on its knotes by itself (EV_CLEAR of timers).
    """

    __slots__ = ("forced", "id", "is_fd", "wants")

    def __init__(self) -> None:
        self.id = 0
        self.wants = 0
        self.is_fd = False
        self.forced = 0

    def attach(self, kn: Knote) -> int:
        """BSD's f_attach: check ident and notes of a new knote, say what it wants.  0, or an errno."""
        return 0

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """BSD's f_touch: a change to a knote that exists.  Filters without their own take notes and data as
        they come, EV_ADD or not (S-059).  0, or an errno; then nothing has changed."""
        kn.sfflags = fflags
        kn.sdata = data
        return 0

    def event(self, kn: Knote, hint: int) -> int:
        """BSD's f_event, asked when the knote could be returned: IS_ACTIVE with data, fflags and shown filled
        in, NOT_ACTIVE, GONE when its descriptor is closed or another file, or DROP when the knote is to go
        without a word.

        hint: what the engine reported of the descriptor; 0 when nobody has asked the kernel.  An IS_ACTIVE is
        always delivered, so a filter may take what it counts here."""
        raise NotImplementedError

    def detach(self, kn: Knote) -> None:
        """BSD's f_detach: let go."""

    def close(self) -> None:
        """The queue is closed: give descriptors of the filter's own back.  Idempotent."""
