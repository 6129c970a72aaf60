"""Handles: every one is a descriptor.  Events are eventfds, processes pidfds, ports the kqueue's own."""

from __future__ import annotations

import math
import os
import select
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from knote.interfaces.iocp import pipes
from knote.interfaces.iocp import port as ports
from knote.interfaces.iocp.port import INFINITE
from knote.interfaces.iocp.winerror import ERROR_INVALID_HANDLE, ERROR_NOT_FOUND, failure

if TYPE_CHECKING:
    from knote.interfaces.iocp.overlapped import Overlapped

WAIT_OBJECT_0: Final = 0
WAIT_TIMEOUT: Final = 258
_automatic: set[int] = set()
"""Events that reset themselves when a wait for them ends."""


def CreateEvent(
    EventAttributes: Any, ManualReset: bool, InitialState: bool, Name: str | None = None
) -> int:
    """A new event.  EventAttributes and Name must be None: it is this process' alone."""
    if EventAttributes is not None or Name is not None:
        raise ValueError("an event has no attributes and no name here: pass None for both")
    handle = os.eventfd(int(bool(InitialState)), os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    (_automatic.discard if ManualReset else _automatic.add)(handle)
    return handle


def SetEvent(handle: int) -> None:
    """Signal it; who waits for it goes on."""
    try:
        os.eventfd_write(handle, 1)
    except OSError as error:
        raise failure(ERROR_INVALID_HANDLE, f"event {handle}", error.errno or 0) from error


def ResetEvent(handle: int) -> None:
    """Take the signal away."""
    try:
        os.eventfd_read(handle)
    except BlockingIOError:  # it was not signalled
        pass
    except OSError as error:
        raise failure(ERROR_INVALID_HANDLE, f"event {handle}", error.errno or 0) from error


def WaitForSingleObject(handle: int, milliseconds: int) -> int:
    """Wait until a handle is signalled: an event set, a process over, a descriptor readable.

    WAIT_OBJECT_0 or WAIT_TIMEOUT.  Raises OSError(ERROR_INVALID_HANDLE)."""
    poll = select.poll()
    try:
        poll.register(int(handle), select.POLLIN)
        found = poll.poll(None if milliseconds >= INFINITE else math.ceil(milliseconds))
    except (OverflowError, ValueError) as error:
        raise failure(ERROR_INVALID_HANDLE, f"handle {handle}") from error
    if not found:
        return WAIT_TIMEOUT
    if found[0][1] & select.POLLNVAL:
        raise failure(ERROR_INVALID_HANDLE, f"handle {handle}")
    if handle in _automatic:
        ResetEvent(handle)
    return WAIT_OBJECT_0


def WaitForMultipleObjects(handle_seq: Sequence[int], wait_flag: bool, milliseconds: int = INFINITE) -> int:
    """Wait for one of them, WAIT_OBJECT_0 + its place, or with wait_flag for all; WAIT_TIMEOUT.

    Those that reset themselves do so one by one, not at once.  Raises OSError(ERROR_INVALID_HANDLE)."""
    end = math.inf if milliseconds >= INFINITE else time.monotonic() + milliseconds / 1000
    left = dict.fromkeys(handle_seq)
    while left:
        poll = select.poll()
        for handle in left:
            poll.register(handle, select.POLLIN)
        found = poll.poll(None if end == math.inf else max(0, math.ceil((end - time.monotonic()) * 1000)))
        if not found:
            return WAIT_TIMEOUT
        for handle, _ in found:
            if WaitForSingleObject(handle, 0) == WAIT_OBJECT_0:
                if not wait_flag:
                    return WAIT_OBJECT_0 + handle_seq.index(handle)
                del left[handle]
    return WAIT_OBJECT_0


def CloseHandle(handle: int) -> None:
    """Close any handle.  What is under way on it is cancelled; waits for a port end (ERROR_ABANDONED_WAIT_0)."""
    _automatic.discard(handle)
    its = ports.association(handle)
    if its is not None:
        its.port.cancel(handle)
    pipes.forget(handle)
    port = ports.forget(handle)
    if port is not None:
        port.close()
        return
    try:
        os.close(handle)
    except (OSError, OverflowError) as error:
        raise failure(ERROR_INVALID_HANDLE, f"handle {handle}") from error


def CancelIoEx(handle: int, overlapped: Overlapped | None = None) -> None:
    """Cancel one operation of a handle, or all of them.  Raises OSError(ERROR_NOT_FOUND) if there is none."""
    if overlapped is not None:
        found = overlapped.pending
        overlapped.cancel()
    else:
        its = ports.association(handle)
        found = its is not None and its.port.cancel(handle) > 0
    if not found:
        raise failure(ERROR_NOT_FOUND, f"CancelIoEx({handle})")


def identity(handle: int) -> tuple[int, int]:
    """Which file a handle is: of two that differ, one number was closed and is a stranger's by now."""
    status = os.fstat(handle)
    return status.st_dev, status.st_ino
