"""What <port.h> declares: numbers, struct port_event, struct file_obj.  Values are Solaris' (port_create(3C))."""

from __future__ import annotations

import errno
import os
from typing import Any, Final, NamedTuple

PORT_SOURCE_AIO: Final = 1
PORT_SOURCE_TIMER: Final = 2
PORT_SOURCE_USER: Final = 3
PORT_SOURCE_FD: Final = 4
PORT_SOURCE_ALERT: Final = 5
PORT_SOURCE_MQ: Final = 6
PORT_SOURCE_FILE: Final = 7

AIOLIO: Final = 7
AIOAREAD: Final = 11
AIOAWRITE: Final = 12
AIOFSYNC: Final = 20
"""portev_events of PORT_SOURCE_AIO: what was carried out (<sys/aio.h>)."""

PORT_ALERT_SET: Final = 0x01
PORT_ALERT_UPDATE: Final = 0x02
PORT_ALERT_INVALID: Final = PORT_ALERT_SET | PORT_ALERT_UPDATE

FILE_ACCESS: Final = 0x00000001
FILE_MODIFIED: Final = 0x00000002
FILE_ATTRIB: Final = 0x00000004
FILE_DELETE: Final = 0x00000010
FILE_RENAME_TO: Final = 0x00000020
FILE_RENAME_FROM: Final = 0x00000040
FILE_TRUNC: Final = 0x00100000
FILE_NOFOLLOW: Final = 0x10000000
UNMOUNTED: Final = 0x20000000
MOUNTEDOVER: Final = 0x40000000
FILE_EXCEPTION: Final = UNMOUNTED | FILE_DELETE | FILE_RENAME_TO | FILE_RENAME_FROM | MOUNTEDOVER
"""Delivered unasked."""


class port_event(NamedTuple):
    """struct port_event.

    portev_events: bits or a count, as the source has it.  portev_source: PORT_SOURCE_*.
    portev_object: a descriptor, a file_obj, a Timer, an aio.Request or aio.Listio, a message queue's descriptor;
    None of a user's event or an alert.
    portev_user: what was given along.
    """

    portev_events: int
    portev_source: int
    portev_object: Any
    portev_user: Any


class file_obj:
    """struct file_obj: a file, and its times when the program last looked.

    fo_name: a path.  fo_atime, fo_mtime, fo_ctime: ns, as st_atime_ns; all 0: the file's times are not compared.
    The association is the object's, not the name's.  file_obj.stat(name) has the times of now.
    """

    __slots__ = ("fo_atime", "fo_ctime", "fo_mtime", "fo_name")

    def __init__(
        self, fo_name: str | bytes | os.PathLike[Any], fo_atime: int = 0, fo_mtime: int = 0, fo_ctime: int = 0
    ) -> None:
        self.fo_name = fo_name
        self.fo_atime = fo_atime
        self.fo_mtime = fo_mtime
        self.fo_ctime = fo_ctime

    @classmethod
    def stat(cls, fo_name: str | bytes | os.PathLike[Any]) -> file_obj:
        """A file and its times, as stat(2) tells them: what programs do before each port_associate()."""
        now = os.stat(fo_name)
        return cls(fo_name, now.st_atime_ns, now.st_mtime_ns, now.st_ctime_ns)

    def __repr__(self) -> str:
        return f"<knote.eventport.file_obj {self.fo_name!r}>"


class TimeExpired(OSError):
    """ETIME.  events: what port_getn() has got all the same (S-368)."""

    def __init__(self, events: list[port_event]) -> None:
        super().__init__(errno.ETIME, os.strerror(errno.ETIME))
        self.events = events
