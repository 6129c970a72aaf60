"""knote: wait on everything at once, in Python.

The BSD kqueue(2) facility, whole, on Linux: the names of CPython's select.kqueue, the BSD spellings, and what
CPython lacks.
"""

import select
import sys
from types import ModuleType

# What checkers read.  Imported when a name is first asked for: `knote cat` ends before it needs any of it, and
# typing alone costs what starting Python does.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from knote.buildinfo import build_info
    from knote.constants import (
        EV_ADD,
        EV_CLEAR,
        EV_DELETE,
        EV_DISABLE,
        EV_DISPATCH,
        EV_ENABLE,
        EV_EOF,
        EV_ERROR,
        EV_FLAG1,
        EV_FORCEONESHOT,
        EV_KEEPUDATA,
        EV_ONESHOT,
        EV_RECEIPT,
        EV_SYSFLAGS,
        EVFILT_AIO,
        EVFILT_EMPTY,
        EVFILT_EXCEPT,
        EVFILT_FS,
        EVFILT_JAIL,
        EVFILT_JAILDESC,
        EVFILT_LIO,
        EVFILT_MEMORYSTATUS,
        EVFILT_NETDEV,
        EVFILT_PROC,
        EVFILT_PROCDESC,
        EVFILT_READ,
        EVFILT_SENDFILE,
        EVFILT_SIGNAL,
        EVFILT_TIMER,
        EVFILT_USER,
        EVFILT_VNODE,
        EVFILT_WRITE,
        KQ_EV_ADD,
        KQ_EV_CLEAR,
        KQ_EV_DELETE,
        KQ_EV_DISABLE,
        KQ_EV_DISPATCH,
        KQ_EV_ENABLE,
        KQ_EV_EOF,
        KQ_EV_ERROR,
        KQ_EV_FLAG1,
        KQ_EV_FORCEONESHOT,
        KQ_EV_KEEPUDATA,
        KQ_EV_ONESHOT,
        KQ_EV_RECEIPT,
        KQ_EV_SYSFLAGS,
        KQ_FILTER_AIO,
        KQ_FILTER_EMPTY,
        KQ_FILTER_EXCEPT,
        KQ_FILTER_FS,
        KQ_FILTER_JAIL,
        KQ_FILTER_JAILDESC,
        KQ_FILTER_LIO,
        KQ_FILTER_MEMORYSTATUS,
        KQ_FILTER_NETDEV,
        KQ_FILTER_PROC,
        KQ_FILTER_PROCDESC,
        KQ_FILTER_READ,
        KQ_FILTER_SENDFILE,
        KQ_FILTER_SIGNAL,
        KQ_FILTER_TIMER,
        KQ_FILTER_USER,
        KQ_FILTER_VNODE,
        KQ_FILTER_WRITE,
        KQ_NOTE_ABSOLUTE,
        KQ_NOTE_ABSTIME,
        KQ_NOTE_ATTRIB,
        KQ_NOTE_CHILD,
        KQ_NOTE_CLOSE,
        KQ_NOTE_CLOSE_WRITE,
        KQ_NOTE_DELETE,
        KQ_NOTE_EXEC,
        KQ_NOTE_EXIT,
        KQ_NOTE_EXITSTATUS,
        KQ_NOTE_EXTEND,
        KQ_NOTE_FFAND,
        KQ_NOTE_FFCOPY,
        KQ_NOTE_FFCTRLMASK,
        KQ_NOTE_FFLAGSMASK,
        KQ_NOTE_FFNOP,
        KQ_NOTE_FFOR,
        KQ_NOTE_FILE_POLL,
        KQ_NOTE_FORK,
        KQ_NOTE_LINK,
        KQ_NOTE_LINKDOWN,
        KQ_NOTE_LINKINV,
        KQ_NOTE_LINKUP,
        KQ_NOTE_LOWAT,
        KQ_NOTE_MEMORYSTATUS_PRESSURE_CRITICAL,
        KQ_NOTE_MEMORYSTATUS_PRESSURE_NORMAL,
        KQ_NOTE_MEMORYSTATUS_PRESSURE_WARN,
        KQ_NOTE_MSECONDS,
        KQ_NOTE_NODATA,
        KQ_NOTE_NSECONDS,
        KQ_NOTE_OOB,
        KQ_NOTE_OPEN,
        KQ_NOTE_PCTRLMASK,
        KQ_NOTE_PDATAMASK,
        KQ_NOTE_READ,
        KQ_NOTE_RENAME,
        KQ_NOTE_REVOKE,
        KQ_NOTE_SECONDS,
        KQ_NOTE_SIGNAL,
        KQ_NOTE_TRACK,
        KQ_NOTE_TRACKERR,
        KQ_NOTE_TRIGGER,
        KQ_NOTE_TRUNCATE,
        KQ_NOTE_USECONDS,
        KQ_NOTE_WRITE,
        NOTE_ABSOLUTE,
        NOTE_ABSTIME,
        NOTE_ATTRIB,
        NOTE_CHILD,
        NOTE_CLOSE,
        NOTE_CLOSE_WRITE,
        NOTE_DELETE,
        NOTE_EXEC,
        NOTE_EXIT,
        NOTE_EXITSTATUS,
        NOTE_EXTEND,
        NOTE_FFAND,
        NOTE_FFCOPY,
        NOTE_FFCTRLMASK,
        NOTE_FFLAGSMASK,
        NOTE_FFNOP,
        NOTE_FFOR,
        NOTE_FILE_POLL,
        NOTE_FORK,
        NOTE_LINK,
        NOTE_LINKDOWN,
        NOTE_LINKINV,
        NOTE_LINKUP,
        NOTE_LOWAT,
        NOTE_MEMORYSTATUS_PRESSURE_CRITICAL,
        NOTE_MEMORYSTATUS_PRESSURE_NORMAL,
        NOTE_MEMORYSTATUS_PRESSURE_WARN,
        NOTE_MSECONDS,
        NOTE_NODATA,
        NOTE_NSECONDS,
        NOTE_OOB,
        NOTE_OPEN,
        NOTE_PCTRLMASK,
        NOTE_PDATAMASK,
        NOTE_READ,
        NOTE_RENAME,
        NOTE_REVOKE,
        NOTE_SECONDS,
        NOTE_SIGNAL,
        NOTE_TRACK,
        NOTE_TRACKERR,
        NOTE_TRIGGER,
        NOTE_TRUNCATE,
        NOTE_USECONDS,
        NOTE_WRITE,
        VQ_DEAD,
        VQ_LOWDISK,
        VQ_MOUNT,
        VQ_NEEDAUTH,
        VQ_NOTRESP,
        VQ_UNMOUNT,
        VQ_UPDATE,
        macos,
    )
    from knote.interfaces import eventport, iocp
    from knote.interfaces.devpoll import devpoll
    from knote.kevent import kevent
    from knote.kqueue import kqueue
    from knote.patch import install, uninstall

__version__ = "0.1.0"


class _Package(ModuleType):
    """Of kqueue and kevent the class is public, and the module of that name is not: the import system binds
    each module here when it loads it, which may be after somebody asked for the class, or before."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("kqueue", "kevent") and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def _load() -> None:
    """Bind every name of __all__ but those that few ask for."""
    from knote import constants, patch

    names = globals()
    names.update({name: vars(constants)[name] for name in __all__ if name in vars(constants)})
    names["install"], names["uninstall"] = patch.install, patch.uninstall
    if patch.system_has_kqueue():
        from knote import native

        names["kevent"], names["kqueue"] = native.kevent, native.kqueue
        native.renumber(names)
    else:
        from knote.kevent import kevent
        from knote.kqueue import kqueue

        names["kevent"], names["kqueue"] = kevent, kqueue


def __getattr__(name: str) -> "Any":
    # build_info() reads files and needs half of what importing knote would cost, and few ask for it.
    if name == "build_info":
        from knote.buildinfo import build_info

        return build_info
    if name == "devpoll":
        from knote.interfaces.devpoll import devpoll

        return devpoll
    if name == "eventport":
        from knote.interfaces import eventport

        return eventport
    if name == "iocp":
        from knote.interfaces import iocp

        return iocp
    if name in __all__ and name not in globals():
        _load()
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "EVFILT_AIO",
    "EVFILT_EMPTY",
    "EVFILT_EXCEPT",
    "EVFILT_FS",
    "EVFILT_JAIL",
    "EVFILT_JAILDESC",
    "EVFILT_LIO",
    "EVFILT_MEMORYSTATUS",
    "EVFILT_NETDEV",
    "EVFILT_PROC",
    "EVFILT_PROCDESC",
    "EVFILT_READ",
    "EVFILT_SENDFILE",
    "EVFILT_SIGNAL",
    "EVFILT_TIMER",
    "EVFILT_USER",
    "EVFILT_VNODE",
    "EVFILT_WRITE",
    "EV_ADD",
    "EV_CLEAR",
    "EV_DELETE",
    "EV_DISABLE",
    "EV_DISPATCH",
    "EV_ENABLE",
    "EV_EOF",
    "EV_ERROR",
    "EV_FLAG1",
    "EV_FORCEONESHOT",
    "EV_KEEPUDATA",
    "EV_ONESHOT",
    "EV_RECEIPT",
    "EV_SYSFLAGS",
    "KQ_EV_ADD",
    "KQ_EV_CLEAR",
    "KQ_EV_DELETE",
    "KQ_EV_DISABLE",
    "KQ_EV_DISPATCH",
    "KQ_EV_ENABLE",
    "KQ_EV_EOF",
    "KQ_EV_ERROR",
    "KQ_EV_FLAG1",
    "KQ_EV_FORCEONESHOT",
    "KQ_EV_KEEPUDATA",
    "KQ_EV_ONESHOT",
    "KQ_EV_RECEIPT",
    "KQ_EV_SYSFLAGS",
    "KQ_FILTER_AIO",
    "KQ_FILTER_EMPTY",
    "KQ_FILTER_EXCEPT",
    "KQ_FILTER_FS",
    "KQ_FILTER_JAIL",
    "KQ_FILTER_JAILDESC",
    "KQ_FILTER_LIO",
    "KQ_FILTER_MEMORYSTATUS",
    "KQ_FILTER_NETDEV",
    "KQ_FILTER_PROC",
    "KQ_FILTER_PROCDESC",
    "KQ_FILTER_READ",
    "KQ_FILTER_SENDFILE",
    "KQ_FILTER_SIGNAL",
    "KQ_FILTER_TIMER",
    "KQ_FILTER_USER",
    "KQ_FILTER_VNODE",
    "KQ_FILTER_WRITE",
    "KQ_NOTE_ABSOLUTE",
    "KQ_NOTE_ABSTIME",
    "KQ_NOTE_ATTRIB",
    "KQ_NOTE_CHILD",
    "KQ_NOTE_CLOSE",
    "KQ_NOTE_CLOSE_WRITE",
    "KQ_NOTE_DELETE",
    "KQ_NOTE_EXEC",
    "KQ_NOTE_EXIT",
    "KQ_NOTE_EXITSTATUS",
    "KQ_NOTE_EXTEND",
    "KQ_NOTE_FFAND",
    "KQ_NOTE_FFCOPY",
    "KQ_NOTE_FFCTRLMASK",
    "KQ_NOTE_FFLAGSMASK",
    "KQ_NOTE_FFNOP",
    "KQ_NOTE_FFOR",
    "KQ_NOTE_FILE_POLL",
    "KQ_NOTE_FORK",
    "KQ_NOTE_LINK",
    "KQ_NOTE_LINKDOWN",
    "KQ_NOTE_LINKINV",
    "KQ_NOTE_LINKUP",
    "KQ_NOTE_LOWAT",
    "KQ_NOTE_MEMORYSTATUS_PRESSURE_CRITICAL",
    "KQ_NOTE_MEMORYSTATUS_PRESSURE_NORMAL",
    "KQ_NOTE_MEMORYSTATUS_PRESSURE_WARN",
    "KQ_NOTE_MSECONDS",
    "KQ_NOTE_NODATA",
    "KQ_NOTE_NSECONDS",
    "KQ_NOTE_OOB",
    "KQ_NOTE_OPEN",
    "KQ_NOTE_PCTRLMASK",
    "KQ_NOTE_PDATAMASK",
    "KQ_NOTE_READ",
    "KQ_NOTE_RENAME",
    "KQ_NOTE_REVOKE",
    "KQ_NOTE_SECONDS",
    "KQ_NOTE_SIGNAL",
    "KQ_NOTE_TRACK",
    "KQ_NOTE_TRACKERR",
    "KQ_NOTE_TRIGGER",
    "KQ_NOTE_TRUNCATE",
    "KQ_NOTE_USECONDS",
    "KQ_NOTE_WRITE",
    "NOTE_ABSOLUTE",
    "NOTE_ABSTIME",
    "NOTE_ATTRIB",
    "NOTE_CHILD",
    "NOTE_CLOSE",
    "NOTE_CLOSE_WRITE",
    "NOTE_DELETE",
    "NOTE_EXEC",
    "NOTE_EXIT",
    "NOTE_EXITSTATUS",
    "NOTE_EXTEND",
    "NOTE_FFAND",
    "NOTE_FFCOPY",
    "NOTE_FFCTRLMASK",
    "NOTE_FFLAGSMASK",
    "NOTE_FFNOP",
    "NOTE_FFOR",
    "NOTE_FILE_POLL",
    "NOTE_FORK",
    "NOTE_LINK",
    "NOTE_LINKDOWN",
    "NOTE_LINKINV",
    "NOTE_LINKUP",
    "NOTE_LOWAT",
    "NOTE_MEMORYSTATUS_PRESSURE_CRITICAL",
    "NOTE_MEMORYSTATUS_PRESSURE_NORMAL",
    "NOTE_MEMORYSTATUS_PRESSURE_WARN",
    "NOTE_MSECONDS",
    "NOTE_NODATA",
    "NOTE_NSECONDS",
    "NOTE_OOB",
    "NOTE_OPEN",
    "NOTE_PCTRLMASK",
    "NOTE_PDATAMASK",
    "NOTE_READ",
    "NOTE_RENAME",
    "NOTE_REVOKE",
    "NOTE_SECONDS",
    "NOTE_SIGNAL",
    "NOTE_TRACK",
    "NOTE_TRACKERR",
    "NOTE_TRIGGER",
    "NOTE_TRUNCATE",
    "NOTE_USECONDS",
    "NOTE_WRITE",
    "VQ_DEAD",
    "VQ_LOWDISK",
    "VQ_MOUNT",
    "VQ_NEEDAUTH",
    "VQ_NOTRESP",
    "VQ_UNMOUNT",
    "VQ_UPDATE",
    "build_info",
    "devpoll",
    "eventport",
    "install",
    "iocp",
    "kevent",
    "kqueue",
    "macos",
    "uninstall",
]

if hasattr(select, "kqueue"):
    _load()  # maybe the system's own: its numbers, and no names that it has not
