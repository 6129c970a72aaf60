# cython: annotation_typing=False
"""One per descriptor: the knotes that share it, and what the engine was told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knote.knote import Knote

# What kind of file a descriptor is, as far as filters tell kinds apart; _kernel/kn_identity.h has the same list.
KIND_OTHER = 0
KIND_PIPE = 1
KIND_FIFO = 2
KIND_TCP = 3
KIND_UNIX_STREAM = 4
KIND_SEQPACKET = 5
KIND_DATAGRAM = 6
KIND_FILE = 7
KIND_DIRECTORY = 8
KIND_VIRTUAL_FILE = 9
KIND_TTY = 10
KIND_EVENTFD = 11
KIND_TIMERFD = 12
KIND_MQUEUE = 13
IDENTITY = 16
"""The bit above the kind, which every identity has; without it, what describe() gives is an errno, 5 bits up."""

APART = 3
"""The lane of what is watched by edge where the queue's own engine has no edges; its masks are armed[0], too."""


class Source:
    """A descriptor that knotes watch.

    The token is the descriptor number (slot, low 32 bits) and a generation (high 32 bits) that no other
    registration of the same number has had: a hit for a number that was closed and reused is told by it.

    armed[lane] is the mask that the engine of that lane holds: lane 0 is the queue's own engine, 1 and 2 are
    for WRITE and EXCEPT where one registration cannot serve all knotes (see queue.py, "Lanes").
    """

    __slots__ = (
        "armed", "asked", "batch", "connected", "count", "counted", "counting", "deliveries", "fd", "fresh",
        "generation", "identity", "kind", "knotes", "listening", "mark", "place", "planned", "queue", "rearm",
        "soft", "token", "told", "wd",
    )  # fmt: skip

    def __init__(self, fd: int, generation: int, identity: int) -> None:
        self.fd = fd
        self.generation = generation
        self.token = fd | generation << 32
        self.identity = identity
        self.kind = identity & 15
        self.wd = -1
        """The number of its inotify watch."""
        self.queue = False
        """It is another kqueue."""
        self.soft = False
        """No engine can watch it (regular files, /dev/null): its knotes are judged when they are asked."""
        self.listening = False
        self.connected = False
        """It was seen connected: what breaks it from now on is a reset, not a refusal."""
        self.fresh = False
        """When last asked it had never been connected."""
        self.asked = False
        """connected was looked up."""
        self.place = -1
        """The first change of the batch that touched it."""
        self.counting = False
        """Its READ knote wants the number of bytes."""
        self.counted = False
        """count was fetched for the hit that is being judged."""
        self.count = 0
        self.told = -1
        """How many sources of the list the engine was told of before it; -1: it was not."""
        self.planned = 0
        """The mask that the staged changes make of it; while the engine is told, the one that it had."""
        self.batch = 0
        self.rearm = 0
        """Directions that the kernel must report again though the mask stays as it is."""
        self.armed = [0, 0, 0]
        self.mark = 1
        """SO_RCVLOWAT of a UNIX socket; of TCP the kernel's poll minds it (spec S-406)."""
        self.deliveries = 0
        """How often its knotes were returned by one call after the other."""
        self.knotes: Knote | None = None

    def add(self, kn: Knote) -> None:
        """Put kn behind the knotes that are there: events of one descriptor come in registration order."""
        kn.source = self
        kn.sibling = None
        if self.knotes is None:
            self.knotes = kn
            return
        last = self.knotes
        while last.sibling is not None:
            last = last.sibling
        last.sibling = kn

    def remove(self, kn: Knote) -> None:
        """Take kn out; it keeps its pointer to the source."""
        if self.knotes is kn:
            self.knotes = kn.sibling
            kn.sibling = None
            return
        before = self.knotes
        while before is not None:
            if before.sibling is kn:
                before.sibling = kn.sibling
                kn.sibling = None
                return
            before = before.sibling

    def find(self, number: int) -> Knote | None:
        """The knote of that filter, if there is one."""
        kn = self.knotes
        while kn is not None and kn.filter != number:
            kn = kn.sibling
        return kn
