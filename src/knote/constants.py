"""The one table of filters, flags and notes.

Every number that a program may pass in a kevent, or read from one, stands here once: its value in the
FreeBSD profile, its BSD name, whether CPython's ``select`` has it, its value in macOS' headers, and the
word by which ``str(event)`` calls it.  The public names (``EVFILT_READ``, ``KQ_FILTER_READ``,
``knote.macos.EVFILT_USER``) are all made from these rows.

Source: kqueue(2) and sys/event.h of FreeBSD 15 and macOS 15; spec S-325 and sections 1.2-1.9.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Final, NamedTuple


class Row(NamedTuple):
    """One named number."""

    name: str
    """The BSD spelling: EVFILT_READ, EV_ADD, NOTE_WRITE."""
    value: int
    """FreeBSD's value; knote's own where FreeBSD has none (origin says so)."""
    cpython: bool = False
    """CPython's select has the KQ_ spelling of it."""
    macos: int | None = None
    """The value in macOS' headers; None where macOS has no such name."""
    origin: str = "FreeBSD"


# Filters.  macOS numbers collide with FreeBSD's for -8, -10, -12 ... -15 (spec 1.2): never mix the two profiles.
FILTERS: Final = (
    Row("EVFILT_READ", -1, True, -1),
    Row("EVFILT_WRITE", -2, True, -2),
    Row("EVFILT_AIO", -3, True, -3),
    Row("EVFILT_VNODE", -4, True, -4),
    Row("EVFILT_PROC", -5, True, -5),
    Row("EVFILT_SIGNAL", -6, True, -6),
    Row("EVFILT_TIMER", -7, True, -7),
    Row("EVFILT_PROCDESC", -8),
    Row("EVFILT_FS", -9, False, -9),
    Row("EVFILT_LIO", -10),
    Row("EVFILT_USER", -11, False, -10),
    Row("EVFILT_SENDFILE", -12),
    Row("EVFILT_EMPTY", -13),
    Row("EVFILT_JAIL", -14, False, None, "FreeBSD 15; refused, Linux has no jails"),
    Row("EVFILT_JAILDESC", -15, False, None, "FreeBSD 15; refused, Linux has no jails"),
    Row("EVFILT_EXCEPT", -19, False, -15, "macOS, OpenBSD; knote's number"),
    Row("EVFILT_NETDEV", -20, True, None, "FreeBSD 5-9; knote's number"),
    Row("EVFILT_MEMORYSTATUS", -21, False, -14, "macOS; knote's number"),
)

FLAGS: Final = (
    Row("EV_ADD", 0x0001, True, 0x0001),
    Row("EV_DELETE", 0x0002, True, 0x0002),
    Row("EV_ENABLE", 0x0004, True, 0x0004),
    Row("EV_DISABLE", 0x0008, True, 0x0008),
    Row("EV_ONESHOT", 0x0010, True, 0x0010),
    Row("EV_CLEAR", 0x0020, True, 0x0020),
    Row("EV_RECEIPT", 0x0040, False, 0x0040),
    Row("EV_DISPATCH", 0x0080, False, 0x0080),
    Row("EV_FORCEONESHOT", 0x0100),
    Row("EV_KEEPUDATA", 0x0200),
    Row("EV_FLAG1", 0x2000, True, 0x2000),
    Row("EV_ERROR", 0x4000, True, 0x4000),
    Row("EV_EOF", 0x8000, True, 0x8000),
    Row("EV_SYSFLAGS", 0xF000, True, 0xF000),
)

# Notes, grouped by the filters whose fflags they are.
SOCKET_NOTES: Final = (
    Row("NOTE_LOWAT", 0x0001, True, 0x0001),
    Row("NOTE_FILE_POLL", 0x0002),
    Row("NOTE_OOB", 0x0004, False, 0x0002, "macOS, OpenBSD; knote's number"),
    # Above every socket note of every BSD: a program that never heard of it cannot set it by accident.
    Row("NOTE_NODATA", 0x00010000, False, None, "knote"),
)
VNODE_NOTES: Final = (
    Row("NOTE_DELETE", 0x0001, True, 0x0001),
    Row("NOTE_WRITE", 0x0002, True, 0x0002),
    Row("NOTE_EXTEND", 0x0004, True, 0x0004),
    Row("NOTE_ATTRIB", 0x0008, True, 0x0008),
    Row("NOTE_LINK", 0x0010, True, 0x0010),
    Row("NOTE_RENAME", 0x0020, True, 0x0020),
    Row("NOTE_REVOKE", 0x0040, True, 0x0040),
    Row("NOTE_OPEN", 0x0080),
    Row("NOTE_CLOSE", 0x0100),
    Row("NOTE_CLOSE_WRITE", 0x0200),
    Row("NOTE_READ", 0x0400),
    Row("NOTE_TRUNCATE", 0x1000, False, None, "OpenBSD, NetBSD; knote's number"),
)
PROC_NOTES: Final = (
    Row("NOTE_EXIT", 0x80000000, True, 0x80000000),
    Row("NOTE_FORK", 0x40000000, True, 0x40000000),
    Row("NOTE_EXEC", 0x20000000, True, 0x20000000),
    Row("NOTE_TRACK", 0x00000001, True, 0x00000001),
    Row("NOTE_TRACKERR", 0x00000002, True, 0x00000002),
    Row("NOTE_CHILD", 0x00000004, True, 0x00000004),
    Row("NOTE_PCTRLMASK", 0xF0000000, True, 0xFFF00000),
    Row("NOTE_PDATAMASK", 0x000FFFFF, True, 0x000FFFFF),
    Row("NOTE_EXITSTATUS", 0x04000000, False, 0x04000000, "macOS; accepted, always given"),
    Row("NOTE_SIGNAL", 0x08000000, False, 0x08000000, "macOS; refused, Linux cannot tell"),
)
TIMER_NOTES: Final = (
    Row("NOTE_SECONDS", 0x0001, False, 0x0001),
    Row("NOTE_MSECONDS", 0x0002),
    Row("NOTE_USECONDS", 0x0004, False, 0x0002),
    Row("NOTE_NSECONDS", 0x0008, False, 0x0004),
    Row("NOTE_ABSTIME", 0x0010, False, None),
    Row("NOTE_ABSOLUTE", 0x0010, False, 0x0008, "macOS' name of NOTE_ABSTIME"),
)
USER_NOTES: Final = (
    Row("NOTE_FFNOP", 0x00000000, False, 0x00000000),
    Row("NOTE_FFAND", 0x40000000, False, 0x40000000),
    Row("NOTE_FFOR", 0x80000000, False, 0x80000000),
    Row("NOTE_FFCOPY", 0xC0000000, False, 0xC0000000),
    Row("NOTE_FFCTRLMASK", 0xC0000000, False, 0xC0000000),
    Row("NOTE_FFLAGSMASK", 0x00FFFFFF, False, 0x00FFFFFF),
    Row("NOTE_TRIGGER", 0x01000000, False, 0x01000000),
)
NETDEV_NOTES: Final = (
    Row("NOTE_LINKUP", 0x0001, True, None),
    Row("NOTE_LINKDOWN", 0x0002, True, None),
    Row("NOTE_LINKINV", 0x0004, True, None),
)
FS_NOTES: Final = (
    Row("VQ_NOTRESP", 0x0001, False, 0x0001),
    Row("VQ_NEEDAUTH", 0x0002, False, 0x0002),
    Row("VQ_LOWDISK", 0x0004, False, 0x0004),
    Row("VQ_MOUNT", 0x0008, False, 0x0008),
    Row("VQ_UNMOUNT", 0x0010, False, 0x0010),
    Row("VQ_DEAD", 0x0020, False, 0x0020),
    Row("VQ_UPDATE", 0x0100, False, 0x0100, "macOS"),
)
MEMORY_NOTES: Final = (
    Row("NOTE_MEMORYSTATUS_PRESSURE_NORMAL", 0x0001, False, 0x0001, "macOS; refused, Linux cannot tell"),
    Row("NOTE_MEMORYSTATUS_PRESSURE_WARN", 0x0002, False, 0x0002, "macOS"),
    Row("NOTE_MEMORYSTATUS_PRESSURE_CRITICAL", 0x0004, False, 0x0004, "macOS"),
)
NOTES: Final = (
    *SOCKET_NOTES, *VNODE_NOTES, *PROC_NOTES, *TIMER_NOTES, *USER_NOTES, *NETDEV_NOTES, *FS_NOTES, *MEMORY_NOTES,
)  # fmt: skip

# The names that the core itself uses, spelled out so that checkers and the compiler see them as constants;
# tests/unit/test_constants.py compares each with its row.
EVFILT_READ: Final = -1
EVFILT_WRITE: Final = -2
EVFILT_AIO: Final = -3
EVFILT_VNODE: Final = -4
EVFILT_PROC: Final = -5
EVFILT_SIGNAL: Final = -6
EVFILT_TIMER: Final = -7
EVFILT_PROCDESC: Final = -8
EVFILT_FS: Final = -9
EVFILT_LIO: Final = -10
EVFILT_USER: Final = -11
EVFILT_SENDFILE: Final = -12
EVFILT_EMPTY: Final = -13
EVFILT_JAIL: Final = -14
EVFILT_JAILDESC: Final = -15
EVFILT_EXCEPT: Final = -19
EVFILT_NETDEV: Final = -20
EVFILT_MEMORYSTATUS: Final = -21

EV_ADD: Final = 0x0001
EV_DELETE: Final = 0x0002
EV_ENABLE: Final = 0x0004
EV_DISABLE: Final = 0x0008
EV_ONESHOT: Final = 0x0010
EV_CLEAR: Final = 0x0020
EV_RECEIPT: Final = 0x0040
EV_DISPATCH: Final = 0x0080
EV_FORCEONESHOT: Final = 0x0100
EV_KEEPUDATA: Final = 0x0200
EV_FLAG1: Final = 0x2000
EV_ERROR: Final = 0x4000
EV_EOF: Final = 0x8000
EV_SYSFLAGS: Final = 0xF000

NOTE_LOWAT: Final = 0x0001
NOTE_FILE_POLL: Final = 0x0002
NOTE_OOB: Final = 0x0004
NOTE_NODATA: Final = 0x00010000

NOTE_DELETE: Final = 0x0001
NOTE_WRITE: Final = 0x0002
NOTE_EXTEND: Final = 0x0004
NOTE_ATTRIB: Final = 0x0008
NOTE_LINK: Final = 0x0010
NOTE_RENAME: Final = 0x0020
NOTE_REVOKE: Final = 0x0040
NOTE_OPEN: Final = 0x0080
NOTE_CLOSE: Final = 0x0100
NOTE_CLOSE_WRITE: Final = 0x0200
NOTE_READ: Final = 0x0400
NOTE_TRUNCATE: Final = 0x1000

NOTE_EXIT: Final = 0x80000000
NOTE_FORK: Final = 0x40000000
NOTE_EXEC: Final = 0x20000000
NOTE_TRACK: Final = 0x00000001
NOTE_TRACKERR: Final = 0x00000002
NOTE_CHILD: Final = 0x00000004
NOTE_PCTRLMASK: Final = 0xF0000000
NOTE_PDATAMASK: Final = 0x000FFFFF
NOTE_EXITSTATUS: Final = 0x04000000
NOTE_SIGNAL: Final = 0x08000000

NOTE_SECONDS: Final = 0x0001
NOTE_MSECONDS: Final = 0x0002
NOTE_USECONDS: Final = 0x0004
NOTE_NSECONDS: Final = 0x0008
NOTE_ABSTIME: Final = 0x0010
NOTE_ABSOLUTE: Final = 0x0010

NOTE_FFNOP: Final = 0x00000000
NOTE_FFAND: Final = 0x40000000
NOTE_FFOR: Final = 0x80000000
NOTE_FFCOPY: Final = 0xC0000000
NOTE_FFCTRLMASK: Final = 0xC0000000
NOTE_FFLAGSMASK: Final = 0x00FFFFFF
NOTE_TRIGGER: Final = 0x01000000

NOTE_LINKUP: Final = 0x0001
NOTE_LINKDOWN: Final = 0x0002
NOTE_LINKINV: Final = 0x0004

VQ_NOTRESP: Final = 0x0001
VQ_NEEDAUTH: Final = 0x0002
VQ_LOWDISK: Final = 0x0004
VQ_MOUNT: Final = 0x0008
VQ_UNMOUNT: Final = 0x0010
VQ_DEAD: Final = 0x0020
VQ_UPDATE: Final = 0x0100

NOTE_MEMORYSTATUS_PRESSURE_NORMAL: Final = 0x0001
NOTE_MEMORYSTATUS_PRESSURE_WARN: Final = 0x0002
NOTE_MEMORYSTATUS_PRESSURE_CRITICAL: Final = 0x0004

# CPython's spellings of the same numbers; every row gets one, CPython's own and knote's additions alike.
KQ_FILTER_READ: Final = EVFILT_READ
KQ_FILTER_WRITE: Final = EVFILT_WRITE
KQ_FILTER_AIO: Final = EVFILT_AIO
KQ_FILTER_VNODE: Final = EVFILT_VNODE
KQ_FILTER_PROC: Final = EVFILT_PROC
KQ_FILTER_SIGNAL: Final = EVFILT_SIGNAL
KQ_FILTER_TIMER: Final = EVFILT_TIMER
KQ_FILTER_PROCDESC: Final = EVFILT_PROCDESC
KQ_FILTER_FS: Final = EVFILT_FS
KQ_FILTER_LIO: Final = EVFILT_LIO
KQ_FILTER_USER: Final = EVFILT_USER
KQ_FILTER_SENDFILE: Final = EVFILT_SENDFILE
KQ_FILTER_EMPTY: Final = EVFILT_EMPTY
KQ_FILTER_JAIL: Final = EVFILT_JAIL
KQ_FILTER_JAILDESC: Final = EVFILT_JAILDESC
KQ_FILTER_EXCEPT: Final = EVFILT_EXCEPT
KQ_FILTER_NETDEV: Final = EVFILT_NETDEV
KQ_FILTER_MEMORYSTATUS: Final = EVFILT_MEMORYSTATUS

KQ_EV_ADD: Final = EV_ADD
KQ_EV_DELETE: Final = EV_DELETE
KQ_EV_ENABLE: Final = EV_ENABLE
KQ_EV_DISABLE: Final = EV_DISABLE
KQ_EV_ONESHOT: Final = EV_ONESHOT
KQ_EV_CLEAR: Final = EV_CLEAR
KQ_EV_RECEIPT: Final = EV_RECEIPT
KQ_EV_DISPATCH: Final = EV_DISPATCH
KQ_EV_FORCEONESHOT: Final = EV_FORCEONESHOT
KQ_EV_KEEPUDATA: Final = EV_KEEPUDATA
KQ_EV_FLAG1: Final = EV_FLAG1
KQ_EV_ERROR: Final = EV_ERROR
KQ_EV_EOF: Final = EV_EOF
KQ_EV_SYSFLAGS: Final = EV_SYSFLAGS

KQ_NOTE_LOWAT: Final = NOTE_LOWAT
KQ_NOTE_FILE_POLL: Final = NOTE_FILE_POLL
KQ_NOTE_OOB: Final = NOTE_OOB
KQ_NOTE_NODATA: Final = NOTE_NODATA
KQ_NOTE_DELETE: Final = NOTE_DELETE
KQ_NOTE_WRITE: Final = NOTE_WRITE
KQ_NOTE_EXTEND: Final = NOTE_EXTEND
KQ_NOTE_ATTRIB: Final = NOTE_ATTRIB
KQ_NOTE_LINK: Final = NOTE_LINK
KQ_NOTE_RENAME: Final = NOTE_RENAME
KQ_NOTE_REVOKE: Final = NOTE_REVOKE
KQ_NOTE_OPEN: Final = NOTE_OPEN
KQ_NOTE_CLOSE: Final = NOTE_CLOSE
KQ_NOTE_CLOSE_WRITE: Final = NOTE_CLOSE_WRITE
KQ_NOTE_READ: Final = NOTE_READ
KQ_NOTE_TRUNCATE: Final = NOTE_TRUNCATE
KQ_NOTE_EXIT: Final = NOTE_EXIT
KQ_NOTE_FORK: Final = NOTE_FORK
KQ_NOTE_EXEC: Final = NOTE_EXEC
KQ_NOTE_TRACK: Final = NOTE_TRACK
KQ_NOTE_TRACKERR: Final = NOTE_TRACKERR
KQ_NOTE_CHILD: Final = NOTE_CHILD
KQ_NOTE_PCTRLMASK: Final = NOTE_PCTRLMASK
KQ_NOTE_PDATAMASK: Final = NOTE_PDATAMASK
KQ_NOTE_EXITSTATUS: Final = NOTE_EXITSTATUS
KQ_NOTE_SIGNAL: Final = NOTE_SIGNAL
KQ_NOTE_SECONDS: Final = NOTE_SECONDS
KQ_NOTE_MSECONDS: Final = NOTE_MSECONDS
KQ_NOTE_USECONDS: Final = NOTE_USECONDS
KQ_NOTE_NSECONDS: Final = NOTE_NSECONDS
KQ_NOTE_ABSTIME: Final = NOTE_ABSTIME
KQ_NOTE_ABSOLUTE: Final = NOTE_ABSOLUTE
KQ_NOTE_FFNOP: Final = NOTE_FFNOP
KQ_NOTE_FFAND: Final = NOTE_FFAND
KQ_NOTE_FFOR: Final = NOTE_FFOR
KQ_NOTE_FFCOPY: Final = NOTE_FFCOPY
KQ_NOTE_FFCTRLMASK: Final = NOTE_FFCTRLMASK
KQ_NOTE_FFLAGSMASK: Final = NOTE_FFLAGSMASK
KQ_NOTE_TRIGGER: Final = NOTE_TRIGGER
KQ_NOTE_LINKUP: Final = NOTE_LINKUP
KQ_NOTE_LINKDOWN: Final = NOTE_LINKDOWN
KQ_NOTE_LINKINV: Final = NOTE_LINKINV
KQ_NOTE_MEMORYSTATUS_PRESSURE_NORMAL: Final = NOTE_MEMORYSTATUS_PRESSURE_NORMAL
KQ_NOTE_MEMORYSTATUS_PRESSURE_WARN: Final = NOTE_MEMORYSTATUS_PRESSURE_WARN
KQ_NOTE_MEMORYSTATUS_PRESSURE_CRITICAL: Final = NOTE_MEMORYSTATUS_PRESSURE_CRITICAL

NEVER: Final = (1 << 63) - 1
"""A deadline, in ns, that no clock reaches (292 years): a period too long to represent never fires."""


def kq_name(row: Row) -> str:
    """CPython's spelling of a row: EVFILT_READ -> KQ_FILTER_READ, EV_ADD -> KQ_EV_ADD; VQ_* stay."""
    name = row.name
    if name.startswith("EVFILT_"):
        return "KQ_FILTER_" + name[7:]
    return name if name.startswith("VQ_") else "KQ_" + name


macos = SimpleNamespace(
    **{row.name: row.macos for row in (*FILTERS, *FLAGS, *NOTES) if row.macos is not None}
)
"""macOS' numbers, for reading code that was written for macOS.  They are not what a kqueue here takes:
macos.EVFILT_USER is -10, which in the FreeBSD profile is EVFILT_LIO (spec 1.9)."""

_TEXT_FLAGS: Final = tuple(
    (row.value, row.name[3:]) for row in FLAGS if row.name not in ("EV_SYSFLAGS", "EV_FLAG1")
)
NOTES_OF: Final = {
    EVFILT_READ: SOCKET_NOTES,
    EVFILT_WRITE: SOCKET_NOTES,
    EVFILT_EXCEPT: SOCKET_NOTES,
    EVFILT_EMPTY: SOCKET_NOTES,
    EVFILT_VNODE: VNODE_NOTES,
    EVFILT_PROC: PROC_NOTES[:6],
    EVFILT_PROCDESC: PROC_NOTES[:6],
    EVFILT_TIMER: TIMER_NOTES[:5],
    EVFILT_NETDEV: NETDEV_NOTES,
    EVFILT_FS: FS_NOTES,
    EVFILT_MEMORYSTATUS: MEMORY_NOTES,
}
"""The notes that an event of each filter can show."""
_FILTER_TEXT: Final = {row.value: row.name[7:] for row in FILTERS}
_IDENT_TEXT: Final = {
    EVFILT_READ: "fd", EVFILT_WRITE: "fd", EVFILT_EXCEPT: "fd", EVFILT_EMPTY: "fd", EVFILT_VNODE: "fd",
    EVFILT_PROCDESC: "pidfd", EVFILT_PROC: "pid", EVFILT_SIGNAL: "signal",
}  # fmt: skip


def filter_text(number: int) -> str:
    """'READ' for -1; 'filter 99' for a number that no row has."""
    return _FILTER_TEXT.get(number) or f"filter {number}"


def ident_text(number: int) -> str:
    """What the ident of this filter is called: 'fd', 'pid', 'signal', else 'ident'."""
    return _IDENT_TEXT.get(number, "ident")


def flags_text(flags: int) -> str:
    """'CLEAR|EOF'; bits without a name in hex; '' for 0."""
    words = [word for value, word in _TEXT_FLAGS if flags & value]
    for value, _ in _TEXT_FLAGS:
        flags &= ~value
    return "|".join(words + ([hex(flags)] if flags else []))


def fflags_text(filter_: int, fflags: int) -> str:
    """'WRITE|EXTEND' for EVFILT_VNODE; bits without a name in hex; '' for 0."""
    words = []
    for row in NOTES_OF.get(filter_, ()):
        if fflags & row.value:
            words.append(row.name[5:] if row.name.startswith("NOTE_") else row.name)
            fflags &= ~row.value
    return "|".join(words + ([hex(fflags)] if fflags else []))
