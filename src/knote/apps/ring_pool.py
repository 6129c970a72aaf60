"""The ring of a server, and the buffers that its connections share: how many."""

from __future__ import annotations

import errno

from knote._kernel.flow import Flow
from knote.ring import ONE_THREAD, Ring

SUBMISSIONS = 4096
COMPLETIONS = 16384
BUFFERS = 1024
"""At most, 32 MiB if all are filled: enough for a thousand connections that all send in one turn.  With fewer it
works as well, and costs those that found none another operation."""
FIRST_BUFFERS = 32
FEWEST = 4
"""While nothing is received at all: the others' memory, a megabyte, goes back to the system."""
CROWD = 16
"""So many of those that send faster than there are buffers are received from in one turn: half a megabyte, for
which everybody else waits."""
SIZE = 32768
"""Of a buffer: the most that a service gets at once.  A message of 16 to 32 KiB that comes in parts of 8 KiB costs
three times as much CPU, since all parts but the first are copied; memory is touched only as far as something is
received."""


def opened() -> tuple[Ring, Flow]:
    """Both, with the first buffers.  OSError when there is no memory for them."""
    ring = Ring(SUBMISSIONS, COMPLETIONS, ONE_THREAD)
    flow = Flow(ring.home(), BUFFERS, SIZE)
    if not flow.is_open:
        ring.close()
        raise OSError(errno.ENOMEM, "no memory for the buffers of a ring: --engine epoll does without them")
    flow.grow(FIRST_BUFFERS)
    return ring, flow


def more(flow: Flow, connections: int) -> None:
    """Somebody found none.  One for each connection is enough for those that take turns; for one that sends
    without end no number is, and all that there are is what a turn may have to do, while everybody else waits."""
    flow.grow(max(min(2 * flow.grow(0), connections), 2 * FIRST_BUFFERS))


def fewer(flow: Flow) -> bool:
    """Some time has passed, in which at most flow.most() were in use: give back what is far more.  False: there
    may be more to give back next time."""
    made, most = flow.grow(0), flow.most()
    wanted = max(4 * most, FIRST_BUFFERS) if most else FEWEST
    left = flow.shrink(wanted if 2 * wanted <= made else made)
    return left <= FEWEST or (not most and left == made)
