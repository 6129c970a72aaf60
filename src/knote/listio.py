# cython: annotation_typing=False
"""lio_listio(2): several requests, and one event when all are done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knote.knote import Knote


class Listio:
    """A list that was submitted as one.

    requests: its requests, in the order given; each has its own result().  ident: the event's.  pending: how many
    are under way, as far as was looked.  failed: how many have ended with an error.
    """

    __slots__ = ("__weakref__", "failed", "ident", "knote", "pending", "requests", "udata")

    def __init__(self, requests: list[Any], udata: Any) -> None:
        self.requests = requests
        self.udata = udata
        self.ident = 0
        self.pending = len(requests)
        self.failed = 0
        self.knote: Knote | None = None

    @property
    def done(self) -> bool:
        """Whether all are over.  This looks, and does not collect the event."""
        return all(request.done for request in self.requests)

    def cancel(self) -> None:
        """Cancel what is still under way.  The event comes in any case."""
        for request in self.requests:
            request.cancel()

    def __repr__(self) -> str:
        return f"<knote.aio.Listio ident={self.ident:#x}: {self.pending} of {len(self.requests)} under way>"
