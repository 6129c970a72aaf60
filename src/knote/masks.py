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

# inotify(7)'s.
IN_ACCESS: Final = 0x1
IN_MODIFY: Final = 0x2
IN_ATTRIB: Final = 0x4
IN_CLOSE_WRITE: Final = 0x8
IN_CLOSE_NOWRITE: Final = 0x10
IN_OPEN: Final = 0x20
IN_MOVED_FROM: Final = 0x40
IN_MOVED_TO: Final = 0x80
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
IN_DELETE_SELF: Final = 0x400
IN_MOVE_SELF: Final = 0x800
IN_UNMOUNT: Final = 0x2000
IN_Q_OVERFLOW: Final = 0x4000
IN_IGNORED: Final = 0x8000
IN_MASK_ADD: Final = 0x20000000
IN_ISDIR: Final = 0x40000000
