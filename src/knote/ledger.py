"""What is registered in a system's own kqueue, by what was asked of it and what it gave back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from knote.constants import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_ERROR,
    EV_KEEPUDATA,
    EV_ONESHOT,
    EV_RECEIPT,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from knote.inside import Registration

_STICKY = EV_CLEAR | EV_ONESHOT | EV_DISPATCH | EV_RECEIPT


class Ledger:
    """No BSD tells a program what its queue holds, so this is kept beside it.  It cannot know of a knote that went
    because its descriptor was closed, nor of a list of several changes of which one raised: of that it keeps none.

    These flags have the same numbers on every BSD and on macOS.  make: a Registration, or a type with other texts.
    Threads: any.
    """

    __slots__ = ("_knotes", "_lock", "_make")

    def __init__(self, make: Callable[..., Registration]) -> None:
        self._lock = threading.Lock()
        self._make = make
        self._knotes: dict[tuple[int, int], Registration] = {}

    def applied(self, changes: Iterable[Any], answers: Iterable[Any]) -> None:
        """After a call that did not raise: its changes, but for those that its answers call refused."""
        refused = {(e.ident, e.filter) for e in answers if e.flags & EV_ERROR and e.data}
        with self._lock:
            for change in changes:
                key = (change.ident, change.filter)
                if key not in refused:
                    self._apply(key, change)

    def _apply(self, key: tuple[int, int], change: Any) -> None:
        flags = change.flags
        old = self._knotes.get(key)
        if old is None:
            if flags & EV_ADD:
                self._knotes[key] = self._make(
                    change.filter, change.ident, flags & _STICKY, change.fflags, change.data, change.udata,
                    not flags & EV_DISABLE, False, 0,
                )  # fmt: skip
        elif flags & EV_DELETE:
            del self._knotes[key]
        else:
            self._knotes[key] = old._replace(
                fflags=change.fflags,
                data=change.data,
                udata=old.udata if flags & EV_KEEPUDATA else change.udata,
                enabled=not flags & EV_DISABLE and (old.enabled or flags & EV_ENABLE != 0),
            )

    def returned(self, events: Iterable[Any]) -> None:
        """Events came."""
        with self._lock:
            for event in events:
                key = (event.ident, event.filter)
                old = self._knotes.get(key)
                if old is None or event.flags & EV_ERROR:
                    continue
                if old.flags & EV_ONESHOT:
                    del self._knotes[key]
                else:
                    enabled = old.enabled and not old.flags & EV_DISPATCH
                    self._knotes[key] = old._replace(enabled=enabled, hits=old.hits + 1)

    def all(self) -> list[Registration]:
        """Every knote that is known of."""
        with self._lock:
            return list(self._knotes.values())

    def clear(self) -> None:
        """The queue is closed."""
        with self._lock:
            self._knotes.clear()
