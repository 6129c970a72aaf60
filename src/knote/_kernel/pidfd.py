"""pidfd_open(2) and what became of the process behind one.  The compiled twin is pidfd.pyx over kn_pidfd.h."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import struct

_INFO = struct.Struct("=QQ11Ii")
_GET_INFO = 3 << 30 | _INFO.size << 16 | 0xFF << 8 | 11
_INFO_EXIT = 8
_WALL = 0x40000000
_WAITING = os.WEXITED | os.WNOWAIT | os.WNOHANG | _WALL
_RESERVE_MOST = 256


def _errno(error: OSError) -> int:
    return -(error.errno or errno.EINVAL)


def _open_any(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        return _errno(error)


def pidfd_open(pid: int) -> int:
    """As pidfd_open(2), but the last eighth of the numbers that RLIMIT_NOFILE allows, 256 at most, is left to the
    program: -EMFILE there."""
    fd = _open_any(pid)
    try:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except OSError:
        return fd
    if fd < 0 or limit == resource.RLIM_INFINITY or fd + min(limit // 8, _RESERVE_MOST) < limit:
        return fd
    os.close(fd)
    return -errno.EMFILE


def _wait(kind: int, number: int) -> int:
    try:
        info = os.waitid(kind, number, _WAITING)
    except OSError as error:
        return _errno(error)
    if info is None:
        return -errno.EAGAIN
    if info.si_code == os.CLD_EXITED:
        return (info.si_status & 0xFF) << 8
    return info.si_status & 0x7F | (0x80 if info.si_code == os.CLD_DUMPED else 0)


def child_status(pid: int) -> int:
    """The wait status of a child by its pid, left for whoever waits for it; -EAGAIN while it runs, -ECHILD if it
    is no child, or was waited for."""
    return _wait(os.P_PID, pid)


def _stat_field(pid: int, field: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            words = stat.read().rpartition(b")")[2].split()
    except OSError as error:
        return _errno(error)
    return words[0][0] if field == 3 else int(words[field - 3])


def _info(fd: int) -> tuple[int, ...] | None:
    buffer = bytearray(_INFO.pack(_INFO_EXIT, *[0] * 13))
    try:
        fcntl.ioctl(fd, _GET_INFO, buffer)
    except OSError:
        return None  # Linux before 6.13, or a process that is gone on one before 6.15
    return _INFO.unpack(buffer)


def pidfd_state(fd: int) -> int:
    """poll(2)'s bits: IN once the process has ended, HUP once it was waited for."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    try:
        hits = poller.poll(0)
    except OSError as error:
        return _errno(error)
    return hits[0][1] if hits else 0


def exit_status(fd: int, pid: int) -> int:
    """The wait status of the process behind a pidfd, taking it from nobody.  pid: its number, for /proc.

    -EAGAIN: it runs, or is on its way out and the kernel does not know yet; -ESRCH: it is gone and nobody can
    tell; -EBADF: no pidfd.  A child: waitid(2).  Reaped: PIDFD_GET_INFO, on Linux 6.15 (S-446).  Another's zombie:
    /proc/PID/stat, where we may read it (S-447).
    """
    status = _wait(os.P_PIDFD, fd)
    if status >= 0 or status in (-errno.EAGAIN, -errno.EBADF):
        return status
    for _ in range(2):
        info = _info(fd)
        if info is not None and info[0] & _INFO_EXIT:
            return info[-1] & 0xFFFF
        state = pidfd_state(fd)
        if state < 0:
            return state
        if not state & select.POLLIN:
            return -errno.EAGAIN
        if state & select.POLLHUP:
            continue  # Reaped meanwhile: once more, then nobody knows.
        if pid <= 0:
            return -errno.ESRCH  # Of another pid namespace.
        code = _stat_field(pid, 52)
        seen = os.geteuid() == 0 or _owner(pid) == os.geteuid()
        # Still a zombie after that: its number was its own, and what was read is about it.
        if pidfd_state(fd) & select.POLLHUP:
            continue
        if code < 0:
            return -errno.EAGAIN  # SIGCHLD is ignored, and it is just being let go of.
        return code & 0xFFFF if code or seen else -errno.ESRCH
    return -errno.ESRCH


def _owner(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def has_ended(pid: int) -> int:
    """Whether the process with this number has ended, as a zombie: 1, 0, or -ESRCH, -EMFILE."""
    fd = _open_any(pid)
    if fd < 0:
        return fd
    state = pidfd_state(fd)
    os.close(fd)
    return state if state < 0 else int(state & select.POLLIN != 0)


def pidfd_pid(fd: int) -> int:
    """The number of the process behind a pidfd, in our namespace; 0 when it is gone or not in it, -EBADF: no
    pidfd."""
    info = _info(fd)
    if info is not None:
        return info[2]
    try:
        with open(f"/proc/self/fdinfo/{fd}") as text:
            for line in text:
                if line.startswith("Pid:"):
                    return max(int(line[4:]), 0)
    except OSError as error:
        return 0 if error.errno in (errno.EMFILE, errno.ENFILE) else -errno.EBADF
    return -errno.EBADF


def image(pid: int) -> int:
    """Where the stack of its program begins: another after each execve(2), since it is laid out at random."""
    return _stat_field(pid, 28)


def leader_state(pid: int) -> int:
    """The state letter of the first thread, 'Z' once it has ended."""
    return _stat_field(pid, 3)
