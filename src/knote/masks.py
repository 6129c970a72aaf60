"""The directions that a filter wants and an engine reports: poll(2)'s bits, which are epoll(7)'s as well."""

from __future__ import annotations

from typing import Final

IN: Final = 0x0001
PRI: Final = 0x0002
OUT: Final = 0x0004
ERR: Final = 0x0008
HUP: Final = 0x0010
NVAL: Final = 0x0020
RDHUP: Final = 0x2000
ONCE: Final = 1 << 30
"""Report once, then disarm (EPOLLONESHOT)."""
EDGE: Final = 1 << 31
"""Report a change, not a state (EPOLLET)."""
