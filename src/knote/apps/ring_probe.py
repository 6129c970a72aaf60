# cython: annotation_typing=False
"""Whether a server may be driven by a ring here."""

from __future__ import annotations

import sys
from socket import socketpair

from knote import ring as rings
from knote._kernel.flow import Flow
from knote.ring import ONE_THREAD, Ring

_RECEIVE, _SEND = 1, 2


def is_compiled() -> bool:
    """Whether the ring is driven by compiled code; interpreted, it costs more than it saves."""
    return not str(sys.modules[Flow.__module__].__file__).endswith(".py")


def why_not() -> str:
    """Why this kernel, or this sandbox, has no such driver; '' if it has.  It is tried, with a socket of our
    own."""
    said: str = rings.why_not()
    if said:
        return said
    try:
        ring = Ring(8, 32, ONE_THREAD)
    except OSError as error:
        return str(error.strerror)
    try:
        flow = Flow(ring.home(), 2, 64)
        if not flow.is_open:
            return "this kernel's io_uring has no rings of provided buffers (Linux 5.19)"
        flow.grow(2)
        ours, theirs = socketpair()
        with ours, theirs:
            theirs.send(b"x")
            flow.receive(ours.fileno(), False, _RECEIVE)
            flow.send_bytes(ours.fileno(), b"y", _SEND)
            if flow.submit(1) < 0 or flow.reap(False) != 1 or flow.result(0) != 1 or not flow.more(0):
                return "this kernel's io_uring has no multishot receive (Linux 6.0)"
            flow.recycle()
        flow.close()
    finally:
        ring.close()
    return ""
