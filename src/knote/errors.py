"""The one table of error texts: what, which, why, what now.

Every exception that knote raises by itself is made here, so that the wording of a refusal stands once and the
code that refuses stays one line.  Texts that CPython's select has are CPython's, letter for letter
(spec S-290 ... S-305).
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
from typing import TYPE_CHECKING

from knote import constants

if TYPE_CHECKING:
    from knote.kevent import kevent


def closed() -> ValueError:
    """The queue was closed, or this is a forked child of the process that made it (S-298, S-295)."""
    return ValueError("I/O operation on closed kqueue object")


def closed_devpoll() -> ValueError:
    """CPython's words (spec S-358)."""
    return ValueError("I/O operation on closed devpoll object")


def short_pollfd(length: int, size: int) -> OSError:
    """A write of less than one record."""
    return os_error(errno.EINVAL, f"{length} bytes written to /dev/poll; a struct pollfd has {size}")


def negative_maxevents(maxevents: int) -> ValueError:
    return ValueError(f"Length of eventlist must be 0 or positive, got {maxevents}")


def bad_timeout(timeout: object) -> TypeError:
    return TypeError(
        f"timeout argument must be a number or None, got {type(timeout).__name__}"
        + (" nan" if isinstance(timeout, float) else "")
    )


def negative_timeout() -> ValueError:
    return ValueError("timeout must be positive or None")


def not_a_list() -> TypeError:
    return TypeError("changelist is not iterable")


def not_a_kevent() -> TypeError:
    return TypeError("changelist must be an iterable of select.kevent objects")


def reentered() -> RuntimeError:
    return RuntimeError(
        "control() was called by a finalizer or signal handler while this thread was inside control() of the "
        "same kqueue: its changes are applied as soon as that call lets go, but it cannot collect events. "
        "Call it with maxevents=0"
    )


def reentered_aio() -> RuntimeError:
    return RuntimeError(
        "a finalizer or signal handler submitted or cancelled a request while this thread was inside control() of "
        "the same kqueue: do it after that call, for example by triggering an EVFILT_USER event"
    )


def unknown_carrier(name: str, known: tuple[str, ...]) -> ValueError:
    return ValueError(f"KNOTE_AIO={name}: must be one of {', '.join(known)}")


def no_carrier(name: str, why: str) -> OSError:
    return os_error(errno.ENOTSUP, f"KNOTE_AIO={name}: {why}")


def os_error(number: int, text: str = "") -> OSError:
    """An OSError subclass by errno, with knote's sentence after the system's words."""
    words = os.strerror(number)
    return OSError(number, f"{words}: {text}" if text else words)


def unknown_engine(name: str, known: list[str]) -> ValueError:
    return ValueError(f"unknown engine {name!r}; this system has: {', '.join(known)}")


def no_engine(reasons: list[str]) -> OSError:
    return os_error(errno.ENOSYS, "no engine works here: " + "; ".join(reasons))


def wait_refused(engine: str, number: int) -> OSError:
    """The mechanism under a queue would not wait."""
    text = f"engine {engine!r}"
    if number == errno.EEXIST:
        text += ": its edges are reported to the thread that made the queue; wait there, or take another engine"
    return os_error(number, text + limit_hint(number))


def watch_refused(engine: str, number: int) -> OSError:
    """An engine whose set was built anew would not take all of it."""
    text = f"engine {engine!r}: its set had to be built anew and is not whole yet; the next call goes on with it"
    return os_error(number, text + limit_hint(number))


def creation(number: int, what: str) -> OSError:
    """A descriptor of the queue's own could not be made."""
    return os_error(number, f"{what}{limit_hint(number)}")


def _sysctl(path: str) -> str:
    try:
        with open(f"/proc/sys/{path}") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def no_aio_polls(number: int) -> OSError:
    """Linux' AIO gives no context, or one that cannot poll."""
    reasons = {
        errno.ENOSYS: ": the kernel was built without it (CONFIG_AIO), or a sandbox hides it",
        errno.EINVAL: ": this kernel's has no IOCB_CMD_POLL (Linux 4.18)",
        errno.EPERM: ": a seccomp filter or a security module forbids it",
        errno.EACCES: ": a seccomp filter or a security module forbids it",
    }
    return os_error(number, f"a context of Linux' AIO (io_setup(2)){reasons.get(number) or limit_hint(number)}")


def limit_hint(number: int) -> str:
    """What limit an errno speaks of, its value now, and the command that raises it; '' for others."""
    if number == errno.EMFILE:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        way = f"'ulimit -n {hard}' raises it"
        if soft == hard:
            way = "as root, 'ulimit -n N' or prlimit(1) raises it"
        return f": this process may open {soft} descriptors (RLIMIT_NOFILE, hard limit {hard}); {way}"
    if number == errno.ENFILE:
        now = _sysctl("fs/file-max")
        return f": the system may open {now} files; 'sysctl fs.file-max=N' raises it"
    if number == errno.ENOSPC:
        now = _sysctl("fs/epoll/max_user_watches")
        return f": a user may watch {now} descriptors; 'sysctl fs.epoll.max_user_watches=N' raises it"
    if number == errno.EAGAIN:
        return _aio_limit()
    if number == errno.ELOOP:
        return ": queues nest four deep, and three on engines that tell no edges: epoll(7) goes no further"
    if number == errno.ERANGE:
        return (
            ": select(2) watches descriptors below 1024 (FD_SETSIZE), whatever 'ulimit -n' says; take"
            " kqueue(engine='poll') or the default engine, which have no such limit"
        )
    return ""


def _aio_limit() -> str:
    # A context that grows asks for 64 requests at least.
    used, most = _sysctl("fs/aio-nr"), _sysctl("fs/aio-max-nr")
    if not used.isdigit() or not most.isdigit() or int(used) + 64 <= int(most):
        return ""
    return (
        f": {used} of the {most} requests of Linux' AIO that the system allows (sysctl fs.aio-max-nr) are taken;"
        " 'sysctl fs.aio-max-nr=N' raises the limit"
    )


def _inotify_limit(name: str, what: str) -> str:
    # Each user namespace has limits of its own below those of the system (namespaces(7)); the lower one was hit.
    paths = (f"fs/inotify/max_user_{name}", f"user/max_inotify_{name}")
    limits = {path.replace("/", "."): _sysctl(path) for path in paths}
    known = {key: int(value) for key, value in limits.items() if value.isdigit()}
    sysctl = min(known, key=lambda key: known[key]) if known else "fs.inotify.max_user_" + name
    return f": a user may {what} (sysctl {sysctl}, now {limits[sysctl]}); 'sysctl {sysctl}=N' raises it"


def _is_file(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except (OSError, OverflowError):
        return False


def _has_descriptors_left() -> bool:
    try:
        os.close(os.open("/", os.O_PATH | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _inotify_hint(change: kevent, number: int) -> str:
    """What inotify(7) refused, and what can be done; '' for what is not its own."""
    watches = constants.EVFILT_VNODE, constants.EVFILT_READ, constants.EVFILT_WRITE
    if change.filter not in watches or (change.filter != constants.EVFILT_VNODE and not _is_file(change.ident)):
        return ""
    if number == errno.ENOSPC:
        return _inotify_limit("watches", "watch only so many files")
    if number == errno.EMFILE and _has_descriptors_left():
        return _inotify_limit("instances", "have only so many queues that watch files")
    if number == errno.EACCES:
        return ": inotify(7) wants a file that this user may read; 'chmod a+r' allows it, or ask as its owner"
    if number == errno.ENOENT and change.flags & constants.EV_ADD:
        return ": the way from a descriptor to its file is /proc/self/fd, and /proc is not mounted here"
    if number == errno.EINVAL and change.filter == constants.EVFILT_VNODE and change.flags & _BOTH != _BOTH:
        return ": not a file, a directory or anything else that a file system holds"
    return ""


_BOTH = constants.EV_ENABLE | constants.EV_DISABLE
_PROCESS = (errno.ESRCH, errno.EOPNOTSUPP, errno.EMFILE, errno.EINVAL)
_CAP_NET_ADMIN = 12


def _process_hint(change: kevent, number: int) -> str:
    if number == errno.ESRCH:
        return ": there is no process with this number; a thread's is none, and what has ended tells NOTE_EXIT"
    if number == errno.EMFILE:
        return ": descriptors are short, and without one only a child of this process can be watched here"
    if number == errno.EINVAL and change.filter == constants.EVFILT_PROCDESC:
        return ": not a pidfd; os.pidfd_open() makes one"
    if number == errno.EINVAL:
        return f" flags={constants.flags_text(change.flags) or '0'}: not possible for this filter"
    if change.fflags & constants.NOTE_SIGNAL:
        return ": NOTE_SIGNAL: Linux tells nobody of the signals of another process"
    if change.filter == constants.EVFILT_PROCDESC:
        return ": a pidfd tells NOTE_EXIT only; ask EVFILT_PROC with the process's number"
    return _connector_hint()


def _connector_hint() -> str:
    """Why the process connector may be silent here."""
    why = []
    for name, first in (("pid", 0xEFFFFFFC), ("user", 0xEFFFFFFD)):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/ns/{name}") != f"{name}:[{first}]":
                why.append(f"this is not the initial {name} namespace")
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        for line in status:
            if line.startswith("CapEff:") and not int(line[7:], 16) >> _CAP_NET_ADMIN & 1:
                why.append("this process has no CAP_NET_ADMIN, which Linux before 6.6 wants")
    return (
        ": NOTE_FORK, NOTE_EXEC and NOTE_TRACK come from the kernel's process connector, which does not answer"
        f" here ({', '.join(why) or 'a sandbox or another network namespace'}); it answers in the initial pid,"
        " user and network namespaces. NOTE_EXIT alone works everywhere"
    )


_EINVAL = errno.EINVAL
_NO_JAILS = "Linux has no jails, and nothing that tells of its namespaces as FreeBSD 15 does of jails"
_NO_PRESSURE = (
    "this kernel does not measure memory pressure (/proc/pressure/memory): it needs CONFIG_PSI, and psi=1 on its"
    " command line where CONFIG_PSI_DEFAULT_DISABLED is set"
)
_WHY = {
    (constants.EVFILT_JAIL, _EINVAL): _NO_JAILS,
    (constants.EVFILT_JAILDESC, _EINVAL): _NO_JAILS,
    (constants.EVFILT_SENDFILE, _EINVAL): (
        "FreeBSD's own, for a sendfile(2) that reads ahead by itself; that of Linux returns when it has sent."
        " Wait with EVFILT_WRITE on the socket"
    ),
    (constants.EVFILT_FS, _EINVAL): "the notes are VQ_MOUNT, VQ_UNMOUNT and VQ_UPDATE; 0 asks for all three",
    (constants.EVFILT_FS, errno.EIO): "/proc/self/mountinfo, which tells what is mounted, cannot be read",
    (constants.EVFILT_FS, errno.EOPNOTSUPP): (
        "Linux tells of VQ_MOUNT, VQ_UNMOUNT and VQ_UPDATE only, and not how servers and disks are"
    ),
    (constants.EVFILT_NETDEV, _EINVAL): "the notes are NOTE_LINKUP, NOTE_LINKDOWN and NOTE_LINKINV",
    (constants.EVFILT_NETDEV, errno.ENODEV): (
        "no network interface of this network namespace has the index; socket.if_nametoindex() tells it"
    ),
    (constants.EVFILT_MEMORYSTATUS, _EINVAL): (
        "at least one of NOTE_MEMORYSTATUS_PRESSURE_WARN and NOTE_MEMORYSTATUS_PRESSURE_CRITICAL, with data from 0"
        " (for 100) to 2000, in ms of stall within 2 s, the shortest window that needs no CAP_SYS_RESOURCE"
    ),
    (constants.EVFILT_MEMORYSTATUS, errno.ENOENT): _NO_PRESSURE,
    (constants.EVFILT_MEMORYSTATUS, errno.EOPNOTSUPP): (
        "NOTE_MEMORYSTATUS_PRESSURE_NORMAL: Linux does not tell that pressure has ended; it has when no event"
        " comes for two seconds"
    ),
    (constants.EVFILT_MEMORYSTATUS, errno.EPERM): (
        "this kernel lets only who has CAP_SYS_RESOURCE ask for pressure; newer ones let everybody"
    ),
    (constants.EVFILT_MEMORYSTATUS, errno.EACCES): (
        "this sandbox does not let /proc/pressure/memory be opened for writing, which is how one asks to be told"
    ),
    (constants.EVFILT_MEMORYSTATUS, errno.EROFS): (
        "/proc is mounted read-only in this container, and to be told one writes to /proc/pressure/memory"
    ),
}
"""Of a filter and an errno, what is wrong and what now."""
def no_ring(number: int) -> OSError:
    """io_uring_setup(2) said no."""
    text = "io_uring_setup(2)"
    if number == errno.EPERM:
        now = _sysctl("kernel/io_uring_disabled")
        text += f": forbidden; kernel.io_uring_disabled is {now}, 'sysctl kernel.io_uring_disabled=0' allows it"
        text += ", unless a sandbox's filter said no"
    elif number == errno.ENOSYS:
        text += ": this kernel has none, or a sandbox hides it"
    elif number == errno.ENOMEM:
        soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        text += f": no memory; before Linux 5.12 it counts as locked, of which this process may have {soft} bytes"
        text += " (RLIMIT_MEMLOCK; 'ulimit -l N' raises it)"
    return os_error(number, text + limit_hint(number))


def ring_unwanted(engine: str, why: str) -> OSError:
    """A ring was asked for by name where none is to be opened."""
    return os_error(errno.EPERM, f"engine {engine!r}: no io_uring here: {why}")


def request_busy(what: str) -> ValueError:
    return ValueError(
        f"this {what} request is under way, or its event has not been collected: submit it again after that, "
        "or make another request"
    )


def not_a_request(thing: object) -> TypeError:
    return TypeError(f"this {type(thing).__name__} is no knote.aio.Request")


def not_a_queue(thing: object) -> TypeError:
    return TypeError(f"this {type(thing).__name__} is no knote.kqueue, which requests are submitted to")


def no_descriptor(thing: object) -> TypeError:
    return TypeError(f"this {type(thing).__name__} is neither a descriptor nor has it a fileno(): open it first")


def too_large(fd: int, offset: int, flags: int) -> OverflowError:
    return OverflowError(f"fd {fd}, offset {offset}, flags {flags}: one of them is larger than the kernel's")


def request_idle(what: str) -> ValueError:
    return ValueError(f"this {what} request was never submitted: knote.aio.submit(kq, [request])")


def bad_buffer(what: str, buffer: object, error: Exception) -> Exception:
    """A request's buffer cannot be had; the same type as the error that says so."""
    kind = type(buffer).__name__
    if what in ("read", "recv"):
        need = f"{what} needs a writable buffer (bytearray, memoryview of one, mmap, array) or a number of bytes"
    else:
        need = f"{what} needs an object with a contiguous buffer (bytes, bytearray, memoryview, mmap, array)"
    return type(error)(f"{need}, not this {kind}: {error}")


def negative_size(size: int) -> ValueError:
    return ValueError(f"cannot read {size} bytes: the number must be 0 or positive")


def negative_offset(offset: int) -> ValueError:
    return ValueError(f"offset {offset}: it is counted from the start of the file and must be 0 or positive")


def bad_address(family: str, address: object, why: str) -> ValueError:
    return ValueError(f"cannot connect an {family} socket to {address!r}: {why}")


def request_failed(what: str, fd: int, number: int, buffer: object, offset: int) -> OSError:
    """What a request of knote.aio ended with."""
    text = f"{what} of fd {fd}"
    if number == errno.EINVAL and what in ("read", "write") and _is_direct(fd):
        size = memoryview(buffer).nbytes if isinstance(buffer, (bytes, bytearray, memoryview)) else "its"
        text += (
            f" at offset {offset}, {size} bytes: the file is open with O_DIRECT, so offset, length and the "
            "buffer's address must be multiples of the device's block size (512 or 4096; statx(2), "
            "STATX_DIOALIGN): "
            "mmap.mmap(-1, length) gives such a buffer"
        )
    elif number == errno.EAGAIN:
        text += ": the kernel has no memory for it at the moment; submit it again when others are done"
    return os_error(number, text)


def _is_direct(fd: int) -> bool:
    import fcntl

    try:
        return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT != 0
    except OSError:
        return False


def refused(change: kevent | None, number: int) -> OSError:
    """A change that could not be applied, and had no room to be reported in."""
    if change is None:
        return os_error(number)
    name = constants.filter_text(change.filter)
    text = f"EVFILT_{name} {constants.ident_text(change.filter)}={change.ident}"
    hint = _inotify_hint(change, number)
    if hint:
        return os_error(number, text + hint)
    if change.filter == constants.EVFILT_TIMER and number == errno.EINVAL:
        text += (
            f" data={change.data} fflags={change.fflags:#x}: a period must be >= 0 with at most one unit"
            " (NOTE_SECONDS, NOTE_MSECONDS, NOTE_USECONDS, NOTE_NSECONDS)"
        )
    elif change.filter == constants.EVFILT_SIGNAL and number == errno.EINVAL:
        text += ": no such signal; `signal.valid_signals()` has those that there are"
    elif change.filter == constants.EVFILT_SIGNAL and number == errno.EOPNOTSUPP:
        text += (
            ": without its compiled part knote puts handlers in place from the main thread only, and not in front"
            " of those of C code. `knote.build_info()` says why this build has none"
        )
    elif (change.filter, number) in _WHY and (number != errno.ENOENT or change.flags & constants.EV_ADD):
        text += f" fflags={change.fflags:#x} data={change.data}: {_WHY[change.filter, number]}"
    elif change.filter in (constants.EVFILT_AIO, constants.EVFILT_LIO) and number == errno.EPERM:
        text += ": requests register themselves, by knote.aio.submit() and its sisters, not by EV_ADD"
    elif number == errno.ENOENT:
        text += ": no such knote in this kqueue, and the change has no EV_ADD"
    elif number == errno.EBADF:
        text += ": not an open descriptor, or one opened with O_PATH, which stands for a name and not for a file"
    elif change.filter in (constants.EVFILT_PROC, constants.EVFILT_PROCDESC) and number in _PROCESS:
        text += _process_hint(change, number)
    elif number == errno.EINVAL:
        text += f" flags={constants.flags_text(change.flags) or '0'}: not possible for this filter"
    return os_error(number, text + limit_hint(number))


class _Unheard:
    """Raises in a finalizer, which is the one way to sys.unraisablehook that Python code has."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __del__(self) -> None:
        raise self._error


def unraisable(error: Exception) -> None:
    """An error that has no caller to go to: to sys.unraisablehook, as CPython does with a finalizer's."""
    _Unheard(error)
