# cython: annotation_typing=False
"""Linux' AIO as a readiness mechanism: IOCB_CMD_POLL (Linux 4.18), one request a descriptor.

Some facts about these polls, and what follows here:

* A poll reports once.  So a level is polled anew by the next wait, all that reported by one io_submit(2): an event
  costs that and its part of one io_getevents(2).
* A wake-up that does not say what for, as when the other end of a pipe is closed, is looked into by a thread of
  the kernel's, a little later: a wait with room for more asks the witness as well.
* What a request reported before the wait began may be over: one poll(2) asks all such again.
* A request holds the open file until it ends: a peer does not see that the program closed its descriptor until
  the knote is deleted, or the descriptor reports something and is found closed (trait `holds_files`).  The kernel
  lets go of it a little later, from a thread of its own.
* A file with two wait queues cannot be polled so (EINVAL): a terminal, a FIFO that is open for reading and
  writing.  Such ones are in an epoll set of their own, which is polled like a descriptor.
* It knows numbers only: the witness of ListedEngine knows the rest.
* A context has room for so many requests, and fs.aio-max-nr limits the sum of all, 65536 in the whole system.
  It begins with 64 and grows fourfold.
* io_cancel(2) looks for the request in a list of all that are under way, oldest first: thousands that are deleted
  newest first cost the square.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote import errors
from knote._kernel.aiopoll import AioPolls
from knote.engines.epoll import EpollEngine
from knote.engines.listed import LEVELS, ListedEngine

if TYPE_CHECKING:
    from knote._kernel.watchset import WatchSet

_LIMITS = (-errno.EAGAIN, -errno.EMFILE, -errno.ENFILE, -errno.ENOMEM)


class AioEngine(ListedEngine):
    """IOCB_CMD_POLL.  Raises OSError with the reason when a context cannot be had."""

    __slots__ = ()
    name = "aio"
    about = "Linux' AIO: a request to poll for each descriptor, which ends when it is ready"
    traits = LEVELS._replace(holds_files=True, late=True)

    def _make(self) -> WatchSet:
        return AioPolls()

    def _cannot(self, number: int) -> OSError:
        return errors.no_aio_polls(number)

    @staticmethod
    def refusal() -> str:
        """Engine.refusal()."""
        made = AioPolls()
        if made.wake >= 0:
            made.close()
            return EpollEngine.refusal()
        return "" if made.wake in _LIMITS else str(errors.no_aio_polls(-made.wake))
