"""Built-in services that speak without being asked: chargen (RFC 864) and daytime (RFC 867)."""

from __future__ import annotations

import time
from functools import cache

_WIDTH = 72


@cache
def block() -> bytes:
    """One period of chargen: 95 lines of 72 characters, each starting one character further; 7 030 bytes.  Eight
    of them, so that a call carries something."""
    ring = bytes(range(32, 127)) * 2
    return b"".join(ring[start : start + _WIDTH] + b"\r\n" for start in range(95)) * 8


def daytime() -> bytes:
    """Now, in this machine's time zone, as a line: 'Sunday, November 22, 2026 08:30:00-UTC'."""
    return time.strftime("%A, %B %d, %Y %H:%M:%S-%Z\r\n").encode()
