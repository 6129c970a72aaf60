# cython: annotation_typing=False
"""One registration: what was asked, and what is known of it now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knote.filters.base import Filter
    from knote.source import Source

DISABLED = 0x01
"""EV_DISABLE or a delivered EV_DISPATCH: nothing is returned, the filter goes on recording."""
ACTIVE = 0x02
"""Triggered or expired; only filters without a descriptor keep it."""
FORCED = 0x04
"""EV_FORCEONESHOT: returned whatever the filter says."""
DEMOTED = 0x08
"""The engine reported it and event() said no: it is watched by edge until an edge brings a yes."""
SOFT = 0x10
"""The kernel keeps no level state of it: while it is true it stays on the ready list."""
SEEN = 0x20
"""It was true at the last retrieval, so among the knotes of its descriptor it stands first."""
ASK = 0x80
"""To be asked when it is created or changed, though an engine watches it."""
UNASKED = 0x100
"""EV_CLEAR: it was last returned without a report of the engine's, so one that the same call brings is older."""
PLAIN = 0x200
"""NOTE_NODATA: what the engine reports is all there is to know, if it is neither an end nor an error."""
DEAD = 0x40
"""Deleted; whoever still holds it drops it."""


class Knote:
    """A registered (filter, ident).  Threads: only under the queue's lock.

    flags are the sticky ones of the first EV_ADD (S-056), sfflags and sdata what the last change gave, fflags,
    data and shown (EV_EOF) what the filter last found.  The names are those of FreeBSD's struct knote.
    """

    __slots__ = (
        "ahead", "behind", "born", "data", "due", "fflags", "filt", "filter", "flags", "hint", "hits", "home",
        "ident", "period", "sdata", "served", "sfflags", "shown", "sibling", "source", "status", "udata",
        "wants",
    )  # fmt: skip

    def begin(self, ident: int, filt: Filter, flags: int, sfflags: int, sdata: int, udata: Any) -> None:
        """Fill in a new knote.  Not __init__, whose arguments would travel as Python objects."""
        self.ident = ident
        self.filter = filt.id
        self.filt = filt
        self.flags = flags
        self.status = 0
        self.wants = filt.wants
        self.sfflags = sfflags
        self.sdata = sdata
        self.fflags = 0
        self.data = 0
        self.shown = 0
        self.udata = udata
        self.source: Source | None = None
        self.sibling: Knote | None = None
        self.ahead: Knote | None = None
        self.behind: Knote | None = None
        self.home = 0
        """The id of the list that holds it; 0 when none does."""
        self.due = 0
        """TIMER: the next expiration, ns of its clock."""
        self.period = 0
        """TIMER: ns between expirations; 0 for a single one.  SIGNAL: the count up to which it was told."""
        self.hits = 0
        """How often it was returned."""
        self.served = 0
        """The last collecting call that returned it."""
        self.hint = 0
        """What the engine reported, while it waits for its turn within one collection."""
        self.born = 0
        """The change list that created it, counted by the queue."""
