"""selectors.KqueueSelector for systems whose select has no kqueue, and what asyncio runs on.

    loop = asyncio.SelectorEventLoop(KqueueSelector())
"""

from __future__ import annotations

import contextlib
import selectors
from selectors import EVENT_READ, EVENT_WRITE, SelectorKey
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_DELETE, EVFILT_READ, EVFILT_WRITE, kevent, kqueue

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike


def _changes(fd: int, events: int, flags: int) -> list[kevent]:
    changes = []
    if events & EVENT_READ:
        changes.append(kevent(fd, EVFILT_READ, flags))
    if events & EVENT_WRITE:
        changes.append(kevent(fd, EVFILT_WRITE, flags))
    return changes


# CPython's own selectors build on _BaseSelectorImpl, and so do gevent's: it keeps the map of descriptors and keys,
# with all the cases of closed file objects, and has been the same since 3.4.
class KqueueSelector(selectors._BaseSelectorImpl):
    """A selector on a kqueue, as CPython's selectors.KqueueSelector.

    engine: as of kqueue().
    register(), modify() and unregister() take an int or an object with fileno(); they raise KeyError for what is
    registered already or not at all, ValueError for events that are none, OSError for a descriptor that the
    queue refuses, which is then not registered.  A descriptor that was closed meanwhile can be unregistered.
    select() returns (key, events) pairs; a descriptor that is both readable and writable comes in two.
    Threads: as any selector, one at a time; the queue alone may be polled from elsewhere, by fileno().
    Source: CPython's Lib/selectors.py (spec S-336 ... S-343).
    """

    # The stubs leave these out.
    if TYPE_CHECKING:
        _fd_to_key: dict[int, SelectorKey]

        def _fileobj_lookup(self, fileobj: FileDescriptorLike) -> int: ...

    def __init__(self, *, engine: str | None = None) -> None:
        super().__init__()
        self._queue = kqueue(engine=engine)

    def fileno(self) -> int:
        """The queue's descriptor: readable while something that was registered is ready."""
        return self._queue.fileno()

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> SelectorKey:
        key = super().register(fileobj, events, data)
        self._add(key, 0)
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> SelectorKey:
        key = super().unregister(fileobj)
        self._drop(key.fd, key.events)
        return key

    def modify(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> SelectorKey:
        old = self._fd_to_key.get(self._fileobj_lookup(fileobj))
        if old is None or old.events == events:
            return super().modify(fileobj, events, data)
        super().unregister(fileobj)
        try:
            key = super().register(fileobj, events, data)
        except BaseException:
            self._drop(old.fd, old.events)
            raise
        # What was watched already is added again: the number may be another file's by now.
        self._add(key, old.events)
        self._drop(key.fd, old.events & ~events)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Wait up to timeout seconds, for ever if None, not at all if 0 or less; (key, events) of what is ready.

        A signal handler that raises ends the wait; after another the wait goes on."""
        if timeout is not None and timeout < 0:
            timeout = 0
        # Room for both filters of each descriptor (gh-110038), and some if there is none: with no room at all
        # control() would not wait (bpo-29255).
        room = 2 * len(self._fd_to_key) or 1
        try:
            events = self._queue.control(None, room, timeout)
        except InterruptedError:
            return []
        ready = []
        for event in events:
            key = self._fd_to_key.get(event.ident)
            if key is not None:
                mask = EVENT_READ if event.filter == EVFILT_READ else EVENT_WRITE
                ready.append((key, mask & key.events))
        return ready

    def close(self) -> None:
        """Close the queue.  Idempotent."""
        self._queue.close()
        super().close()

    def _add(self, key: SelectorKey, more: int) -> None:
        """Have the queue watch for what the key says; if it refuses, nothing stays of the key nor of more."""
        try:
            self._queue.control(_changes(key.fd, key.events, EV_ADD), 0, 0)
        except BaseException:
            super().unregister(key.fileobj)
            self._drop(key.fd, key.events | more)
            raise

    def _drop(self, fd: int, events: int) -> None:
        for change in _changes(fd, events, EV_DELETE):
            # The descriptor was closed since, and took its knotes with it; or there never was one.
            with contextlib.suppress(OSError):
                self._queue.control([change], 0, 0)
