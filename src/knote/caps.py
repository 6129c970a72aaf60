"""What this kernel and this sandbox give: each facility asked once, when somebody wants to know, and each "no"
with its reason in words.

Nothing here runs at ``import knote``.  io_uring is asked only on demand: sandboxes take note of who tries.
"""

from __future__ import annotations

import errno
import os
import platform
import socket
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from knote import constants, errors
from knote._kernel.epoll import Epoll
from knote._kernel.fd import unix_accept_queue
from knote._kernel.inotify import Inotify
from knote._kernel.procfile import contents, open_file, write_text
from knote._kernel.time import timer_create, wake_create

if TYPE_CHECKING:
    from collections.abc import Callable

IO_URING_VARIABLE: Final = "KNOTE_IO_URING"
_MONOTONIC: Final = time.CLOCK_MONOTONIC
_IO_URING_SETUP: Final = 425


class Cap(NamedTuple):
    """One answer.  here: yes, no, or None where it was not asked.  why: the reason of what is not yes, else what
    is to be said of it, or nothing."""

    name: str
    here: bool | None
    why: str = ""


class Limit(NamedTuple):
    """A number that the administrator sets, and who comes up against it."""

    name: str
    value: str
    what: str


class FilterCap(NamedTuple):
    """One filter (note: ""), or one of its notes.  by: the facilities that deliver it."""

    filter: str
    note: str
    here: bool
    by: tuple[str, ...]
    why: str


class Report(NamedTuple):
    """All answers."""

    system: dict[str, str]
    engines: tuple[Cap, ...]
    facilities: tuple[Cap, ...]
    limits: tuple[Limit, ...]
    filters: tuple[FilterCap, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, as `knote caps --json` shows them."""
        return {
            "system": dict(self.system),
            "engines": [cap._asdict() for cap in self.engines],
            "facilities": [cap._asdict() for cap in self.facilities],
            "limits": [limit._asdict() for limit in self.limits],
            "filters": [{**row._asdict(), "by": list(row.by)} for row in self.filters],
        }


def _words(number: int, *sentences: tuple[int, str]) -> str:
    for which, sentence in sentences:
        if which == number:
            return f"{os.strerror(number)}: {sentence}"
    return os.strerror(number)


def _opened(name: str, fd: int, *sentences: tuple[int, str]) -> Cap:
    if fd < 0:
        return Cap(name, False, _words(-fd, *sentences))
    os.close(fd)
    return Cap(name, True)


def _text(path: str) -> str:
    fd = open_file(path.encode(), False)
    if fd < 0:
        return ""
    text = contents(fd).decode(errors="replace").strip()
    os.close(fd)
    return text


def _sysctl(name: str) -> str:
    return _text("/proc/sys/" + name.replace(".", "/")) or "not there"


def _status(key: str) -> str:
    for line in _text("/proc/self/status").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return value.strip()
    return ""


def _epoll() -> Cap:
    made = Epoll()
    if made.fd < 0:
        return Cap("epoll", False, _words(-made.fd))
    made.close()
    return Cap("epoll", True)


def _inotify() -> Cap:
    made = Inotify()
    if made.fd < 0:
        limit = "this user's instances are used up; 'sysctl fs.inotify.max_user_instances=N' raises the limit"
        return Cap("inotify", False, _words(-made.fd, (errno.EMFILE, limit)))
    made.close()
    return Cap("inotify", True)


def _pidfd() -> Cap:
    try:
        fd = os.pidfd_open(os.getpid())
    except OSError as error:
        old = (errno.ENOSYS, "pidfd_open(2) came with Linux 5.3")
        return Cap("pidfd", False, _words(error.errno or 0, old))
    os.close(fd)
    return Cap("pidfd", True)


def _connector() -> Cap:
    from knote._kernel.connector import Connector

    made = Connector()
    if made.fd >= 0:
        made.close(True)
        return Cap("process connector", True)
    where = "the kernel's process connector answers in the initial pid, user and network namespaces only, and"
    where += " before Linux 6.6 only who has CAP_NET_ADMIN"
    return Cap("process connector", False, f"{_words(-made.fd)}: {where}")


def _rtnetlink() -> Cap:
    from knote._kernel.rtnetlink import Links

    made = Links()
    if made.fd < 0:
        return Cap("rtnetlink", False, _words(-made.fd, (errno.EAFNOSUPPORT, "this sandbox has no netlink(7)")))
    made.close()
    return Cap("rtnetlink", True)


def _mountinfo() -> Cap:
    return _opened("mountinfo", open_file(b"/proc/self/mountinfo", False), (errno.ENOENT, "/proc is not mounted"))


def _pressure() -> Cap:
    name = "pressure stall information"
    fd = open_file(b"/proc/pressure/memory", True)
    if fd < 0:
        off = "the kernel was built without CONFIG_PSI, or started without psi=1"
        shut = "this sandbox does not let /proc/pressure be written to"
        known = ((errno.ENOENT, off), (errno.EOPNOTSUPP, off), (errno.EACCES, shut), (errno.EROFS, shut))
        return Cap(name, False, _words(-fd, *known))
    rc = write_text(fd, b"some 1000000 2000000")
    os.close(fd)
    if rc < 0:
        return Cap(name, False, _words(-rc, (errno.EPERM, "older kernels ask for CAP_SYS_RESOURCE")))
    return Cap(name, True, "without CAP_SYS_RESOURCE in windows that are multiples of 2 s; knote's are 2 s")


def _aio() -> Cap:
    from knote._kernel.aiopoll import AioPolls

    made = AioPolls()
    if made.wake < 0:
        return Cap("Linux AIO", False, str(errors.no_aio_polls(-made.wake)))
    made.close()
    return Cap("Linux AIO", True)


def _sock_diag() -> Cap:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen(1)
        n = unix_accept_queue(listener.fileno())
    if n >= 0:
        return Cap("sock_diag", True)
    without = "without sock_diag(7) `data` of a UNIX listener is 1, however many connections wait"
    return Cap("sock_diag", False, f"{os.strerror(-n)}: {without}")


def _signals() -> Cap:
    from knote.buildinfo import build_info

    if build_info()["build"] == "interpreted":
        main = "from the main thread only, and several signals between two instructions of it are one"
        return Cap("signal handlers", True, f"without the compiled part {main}")
    return Cap("signal handlers", True)


def _setup_io_uring() -> int:
    """io_uring_setup(2) and nothing more: a descriptor, or -errno."""
    from knote._kernel._libc import function

    setup: Callable[..., int] = function("syscall")
    import ctypes

    return setup(_IO_URING_SETUP, ctypes.c_uint(1), ctypes.create_string_buffer(120))


def _io_uring(asked: bool) -> Cap:
    said = os.environ.get(IO_URING_VARIABLE)
    if said == "0":
        return Cap("io_uring", False, f"{IO_URING_VARIABLE}=0")
    disabled = _text("/proc/sys/kernel/io_uring_disabled")
    if disabled == "2":
        return Cap("io_uring", False, "sysctl kernel.io_uring_disabled is 2: nobody may use it")
    if not asked and said != "1":
        why = "not asked, since some sandboxes kill who tries; --probe-io-uring asks"
        if _status("Seccomp") == "2":
            why += ". There is a seccomp filter here, so knote does not use it by itself"
        return Cap("io_uring", None, why)
    group = "kernel.io_uring_disabled is 1: only a group, or CAP_SYS_ADMIN, may use it"
    seccomp = group if disabled == "1" else "a seccomp filter or a security module forbids it"
    return _opened(
        "io_uring",
        _setup_io_uring(),
        (errno.EPERM, seccomp),
        (errno.ENOSYS, "the kernel was built without it, or a seccomp filter hides it"),
    )


_PROBES: Final[dict[str, Callable[[], Cap]]] = {
    "epoll": _epoll,
    "eventfd": lambda: _opened("eventfd", wake_create()),
    "timerfd": lambda: _opened("timerfd", timer_create(_MONOTONIC)),
    "inotify": _inotify,
    "pidfd": _pidfd,
    "process connector": _connector,
    "signal handlers": _signals,
    "sock_diag": _sock_diag,
    "mountinfo": _mountinfo,
    "rtnetlink": _rtnetlink,
    "pressure stall information": _pressure,
    "Linux AIO": _aio,
}

_ENGINES: Final = {
    "epoll": "epoll",
    "uring": "io_uring",
    "poll": "epoll",  # as select and rtsig, for what is edge-triggered, and for the descriptor that others wait on
    "select": "epoll",
    "uring-poll": "io_uring",
    "aio": "Linux AIO",
    "rtsig": "epoll",
}
"""What each engine needs; tests/apps/test_caps.py compares them with the list of engines."""

_LIMITS: Final = (
    ("fs.inotify.max_user_instances", "queues of a user that watch files, one instance each"),
    ("fs.inotify.max_user_watches", "files and directories of a user's VNODE, and of READ and WRITE on files"),
    ("fs.inotify.max_queued_events", "changes of files that wait for one queue; then all of them are compared"),
    ("fs.epoll.max_user_watches", "descriptors of a user in all queues"),
    ("fs.file-max", "files open in the whole system"),
    ("fs.aio-max-nr", "requests of Linux' own AIO under way in the whole system"),
    ("kernel.io_uring_disabled", "0 everybody may use io_uring, 1 a group, 2 nobody"),
    ("net.core.rmem_default", "bytes of news of interfaces that wait; then all interfaces are listed"),
    ("net.core.somaxconn", "connections that wait on a listener"),
)

_NEEDS: Final = {
    "EVFILT_READ": ("epoll",),
    "EVFILT_WRITE": ("epoll",),
    "EVFILT_EXCEPT": ("epoll",),
    "EVFILT_EMPTY": ("timerfd",),
    "EVFILT_VNODE": ("inotify",),
    "EVFILT_PROC": ("pidfd",),
    "EVFILT_PROCDESC": ("pidfd",),
    "EVFILT_SIGNAL": ("signal handlers",),
    "EVFILT_TIMER": ("timerfd",),
    "EVFILT_USER": ("eventfd",),
    "EVFILT_FS": ("mountinfo",),
    "EVFILT_NETDEV": ("rtnetlink",),
    "EVFILT_MEMORYSTATUS": ("pressure stall information",),
}
_NOTE_NEEDS: Final = {
    ("EVFILT_PROC", note): ("process connector",)
    for note in ("NOTE_FORK", "NOTE_EXEC", "NOTE_TRACK", "NOTE_TRACKERR", "NOTE_CHILD")
}
_NO_JAILS: Final = "Linux has no jails"
_REFUSED: Final = {
    ("EVFILT_JAIL", ""): _NO_JAILS,
    ("EVFILT_JAILDESC", ""): _NO_JAILS,
    ("EVFILT_SENDFILE", ""): "FreeBSD's own; Linux' sendfile(2) returns when it has sent",
    ("EVFILT_PROC", "NOTE_SIGNAL"): "Linux tells nobody of the signals of another process",
    **{
        ("EVFILT_PROCDESC", note): "a pidfd tells NOTE_EXIT only; EVFILT_PROC has the others"
        for note in ("NOTE_FORK", "NOTE_EXEC", "NOTE_TRACK", "NOTE_TRACKERR", "NOTE_CHILD", "NOTE_SIGNAL")
    },
    **{
        ("EVFILT_FS", note): "Linux does not tell how servers and disks are"
        for note in ("VQ_NOTRESP", "VQ_NEEDAUTH", "VQ_LOWDISK", "VQ_DEAD")
    },
    ("EVFILT_MEMORYSTATUS", "NOTE_MEMORYSTATUS_PRESSURE_NORMAL"): "Linux does not tell that pressure has ended",
}
_SOCKET_NOTES: Final = {
    "EVFILT_READ": ("NOTE_LOWAT", "NOTE_FILE_POLL", "NOTE_NODATA"),
    "EVFILT_WRITE": ("NOTE_LOWAT", "NOTE_NODATA"),
    "EVFILT_EXCEPT": ("NOTE_OOB",),
    "EVFILT_EMPTY": (),
}
_ALL_NOTES: Final = {
    "EVFILT_PROC": tuple(row.name for row in constants.PROC_NOTES if "MASK" not in row.name),
    "EVFILT_PROCDESC": tuple(row.name for row in constants.PROC_NOTES if "MASK" not in row.name),
    "EVFILT_USER": ("NOTE_FFNOP", "NOTE_FFAND", "NOTE_FFOR", "NOTE_FFCOPY", "NOTE_TRIGGER"),
    **_SOCKET_NOTES,
}


def notes_of(name: str) -> tuple[str, ...]:
    """The notes that caps speaks of for a filter."""
    number = next(row.value for row in constants.FILTERS if row.name == name)
    if name in _ALL_NOTES:
        return _ALL_NOTES[name]
    return tuple(row.name for row in constants.NOTES_OF.get(number, ()))


_CARRIERS: Final = {True: "io_uring", False: "POSIX AIO or threads", None: "io_uring, POSIX AIO or threads"}
"""What carries requests out, by whether io_uring is here."""


def _filters(facilities: dict[str, Cap], ring: Cap) -> tuple[FilterCap, ...]:
    rows = []
    for row in constants.FILTERS:
        if row.name in ("EVFILT_AIO", "EVFILT_LIO"):
            # No kevent adds such a knote, a request does; threads can be had always.
            rows.append(FilterCap(row.name, "", True, (_CARRIERS[ring.here],), ""))
            continue
        for note in ("", *(notes_of(row.name) if row.name in _NEEDS else ())):
            why = _REFUSED.get((row.name, note), "")
            by = () if why else _NOTE_NEEDS.get((row.name, note)) or _NEEDS[row.name]
            missing = [facilities[name] for name in by if not facilities[name].here]
            if missing:
                why = f"{missing[0].name}: {missing[0].why}"
            rows.append(FilterCap(row.name, note, not why, by, why))
    return tuple(rows)


@cache
def report(probe_io_uring: bool = False) -> Report:
    """Ask everything, once; later calls give the same answers.

    probe_io_uring: make one io_uring call as well, unless KNOTE_IO_URING or the sysctl say no.  Descriptors that
    are opened are closed again.  Threads: any.
    """
    facilities = {name: probe() for name, probe in _PROBES.items()}
    by = {**facilities, "io_uring": _io_uring(probe_io_uring)}
    namespaces = []
    for kind in ("pid", "user", "net", "mnt"):
        try:
            namespaces.append(os.readlink(f"/proc/self/ns/{kind}"))
        except OSError:
            namespaces.append(f"{kind}:?")
    seccomp = {"0": "none", "1": "strict", "2": "a filter"}.get(_status("Seccomp"), "unknown")
    return Report(
        {
            "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "seccomp": seccomp,
            "capabilities": _status("CapEff") or "unknown",
            "namespaces": " ".join(namespaces),
        },
        tuple(Cap(name, by[need].here, by[need].why) for name, need in _ENGINES.items()),
        tuple(by.values()),
        tuple(Limit(name, _sysctl(name), what) for name, what in _LIMITS),
        _filters(facilities, by["io_uring"]),
    )
