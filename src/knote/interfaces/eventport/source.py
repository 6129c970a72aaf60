# cython: annotation_typing=False
"""What a port's queue has as udata: something that makes an event of a kevent, when somebody retrieves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knote.interfaces.eventport.names import port_event


class Source:
    """Threads: only under the port's lock."""

    __slots__ = ()

    def judge(self, port: Any, event: Any) -> port_event | None:
        """What is retrieved, if it is still so (S-363).  event: a kevent, or None of what Port.queue() got."""
        raise NotImplementedError

    def give_back(self, port: Any, event: port_event) -> None:
        """It was retrieved for nobody: it can be retrieved again."""
        raise NotImplementedError
