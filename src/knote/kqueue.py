# cython: annotation_typing=False
"""The object that programs hold: arguments, exceptions and types as select.kqueue has them."""

from __future__ import annotations

import errno
import operator
import os
import time
from typing import TYPE_CHECKING, Any

from knote import engines, errors, inside, process
from knote._kernel.time import ceil_ns, now_ns
from knote.kevent import kevent
from knote.queue import Queue
from knote.sealed import seal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

CLOCK_MONOTONIC = time.CLOCK_MONOTONIC
_C_INT_MAX = 0x7FFFFFFF
_TRACE = inside.tracer()
# What is further away than this has no deadline: 146 years (S-027).
_FAR_NS = 1 << 62


def _timeout_ns(timeout: Any) -> int:
    """Nanoseconds, rounded up; -1 for ever."""
    if timeout is None:
        return -1
    if type(timeout) is int and timeout == 0:
        return 0
    if isinstance(timeout, float):
        seconds = float(timeout)
        if seconds != seconds:
            raise errors.bad_timeout(timeout)
        if seconds < 0:
            raise errors.negative_timeout()  # also what rounds up to 0
        ns = ceil_ns(seconds) if seconds < 4e9 else _FAR_NS
    else:
        try:
            ns = operator.index(timeout) * 1_000_000_000
        except TypeError:
            raise errors.bad_timeout(timeout) from None
    if ns < 0:
        raise errors.negative_timeout()
    return ns if ns < _FAR_NS else -1


def _changes(changelist: Iterable[kevent]) -> list[kevent]:
    """A list of our own: the caller's may change while its kevents are applied, or lie about its length (S-303).

    Raises TypeError, and OverflowError as CPython's does (S-305)."""
    try:
        changes = list(changelist)
    except TypeError:
        if hasattr(type(changelist), "__iter__") or hasattr(type(changelist), "__getitem__"):
            raise
        raise errors.not_a_list() from None
    if len(changes) > _C_INT_MAX:
        raise OverflowError("changelist is too long")
    for change in changes:
        if not isinstance(change, kevent):
            raise errors.not_a_kevent()
    return changes


def _handle(queue: Queue | None, number: int) -> kqueue:
    handle = kqueue.__new__(kqueue)
    handle._queue = queue
    handle._number = number
    handle._closed = False
    return handle


class kqueue:
    """A kernel event queue: kqueue(2), with select.kqueue's methods, also usable in a with statement.

    engine: the mechanism underneath, by name ('epoll'); None takes $KNOTE_ENGINE or the best one.
    strict: ask at each event whether its number still means the file that was registered.  Linux does not say that
        a descriptor was closed; while a dup or a forked child keeps a reused number's old file open, a queue
        that is not strict may return a few events of it (docs/differences.md#filters).  Costs a system call an
        event.  None takes $KNOTE_STRICT ("1"), else not.
    Raises OSError when the descriptors cannot be made (EMFILE, ENFILE, ENOMEM), ValueError for an engine that is
    not there.
    Threads: any number may use one object at once.  After a fork the child's object is closed.
    Source: kqueue(2); CPython's select.kqueue (spec S-288 ... S-296).
    """

    __slots__ = ("__weakref__", "_closed", "_number", "_queue")

    def __init__(self, *, engine: str | None = None, strict: bool | None = None) -> None:
        self._closed = True
        if strict is None:
            strict = os.environ.get("KNOTE_STRICT", "0") not in ("", "0")
        self._queue: Queue | None = Queue(engines.choose(engine), strict)
        self._number = self._queue.fileno()
        self._closed = False
        if _TRACE is not None:
            _TRACE.say(self._number, "made")

    @classmethod
    def fromfd(cls, fd: int, /) -> kqueue:
        """Another handle on the queue whose descriptor number is fd: both act on the same queue, and either's
        close() closes it.  A number that is no kqueue of this process is found out at the first control(),
        which raises OSError(EBADF)."""
        number = operator.index(fd)
        return _handle(process.find(number), number)

    def _open(self) -> Queue:
        if self._is_closed():
            raise errors.closed()
        if self._queue is None or self._queue.closed:
            raise errors.os_error(errno.EBADF, f"descriptor {self._number} is no kqueue of this process")
        return self._queue

    def control(
        self, changelist: Iterable[kevent] | None, maxevents: int, timeout: float | None = None, /
    ) -> list[kevent]:
        """Apply the changes in order, then return up to maxevents events.

        changelist: an iterable of kevents, or None.  It is read whole before anything is applied.
        maxevents: the room for events and for errors; with 0 the call returns at once, whatever the timeout.
        timeout: seconds, int or float; None waits for ever, 0 polls.  Rounded up to 1 ns, never returns early.
            Signal handlers run and the wait goes on with what is left of it.
        Returns a list of new kevents.  A change that fails becomes an event with EV_ERROR and the errno in data
        while there is room, and then only errors and receipts are returned.
        Raises ValueError when closed, for maxevents < 0 or timeout < 0; TypeError for what is no kevent; OSError
        with the change's errno when there was no room to report it: changes before it stay applied, those
        after it are not.  RuntimeError from a finalizer or signal handler that interrupted this very call.
        Threads: any number may call at once; an edge goes to exactly one of them.
        Source: kqueue(2) on FreeBSD; what differs on Linux: docs/differences.md.
        """
        return self._control(changelist, maxevents, timeout)

    def _control(self, changelist: Iterable[kevent] | None, maxevents: int, timeout: float | None) -> list[kevent]:
        queue = self._open()
        count = maxevents if isinstance(maxevents, int) else operator.index(maxevents)
        if count < 0:
            raise errors.negative_maxevents(count)
        if count > _C_INT_MAX:
            raise OverflowError("signed integer is greater than maximum")
        ns = _timeout_ns(timeout)
        if ns > 0:
            ns += now_ns(CLOCK_MONOTONIC)
        changes = None if changelist is None else _changes(changelist)
        if _TRACE is not None:
            return self._traced(queue, changes, count, ns, timeout)
        return queue.run(changes, count, ns)

    def _traced(
        self, queue: Queue, changes: list[kevent] | None, count: int, ns: int, timeout: float | None
    ) -> list[kevent]:
        assert _TRACE is not None
        start = _TRACE.asked(self._number, changes, count, timeout)
        try:
            events = queue.run(changes, count, ns)
        except BaseException as error:
            _TRACE.raised(self._number, error)
            raise
        _TRACE.got(self._number, events, count, start)
        return events

    def knotes(self) -> list[inside.Registration]:
        """Every registration, as it is now: filter, ident, flags, notes, data, udata, enabled, pending, hits.

        Raises ValueError when closed.  Threads: a snapshot; it may be old when it is read.
        """
        return self._open().knotes()

    def _home(self) -> Queue:
        return self._open()

    def fileno(self) -> int:
        """The descriptor number: polls readable while events wait.  ValueError when closed."""
        if self.closed:
            raise errors.closed()
        return self._number

    @property
    def closed(self) -> bool:
        """True after close(), and in a forked child."""
        return self._is_closed()

    def _is_closed(self) -> bool:
        return self._closed or (self._queue is not None and self._queue.is_closed())

    def close(self) -> None:
        """Close the descriptor and delete every knote.  Whoever waits in control() gets OSError(EBADF).
        Idempotent."""
        if self._closed:
            return
        self._closed = True
        if _TRACE is not None:
            _TRACE.say(self._number, "closed")
        if self._queue is not None:
            self._queue.close()
        else:
            os.close(self._number)

    def __enter__(self) -> kqueue:
        if self.closed:
            raise errors.closed()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle 'knote.kqueue' object")

    def __repr__(self) -> str:
        return "<knote.kqueue closed>" if self.closed else f"<knote.kqueue fd={self._number}>"


seal(kqueue)
