"""What one descriptor is, and how much it holds.  The compiled twin is fd.pyx over kn_fd.h."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import socket
import stat
import struct
import termios
from collections.abc import Callable

from knote._kernel._libc import function

_OTHER, _PIPE, _FIFO, _TCP, _UNIX_STREAM, _SEQPACKET, _DATAGRAM, _FILE, _DIRECTORY, _VIRTUAL, _TTY = range(11)
_EVENTFD, _TIMERFD, _MQUEUE = 11, 12, 13
_ANONYMOUS = {"anon_inode:[eventfd]": _EVENTFD, "anon_inode:[timerfd]": _TIMERFD}
_MQUEUE_MAGIC = 0x19800202
_INT64_MAX = (1 << 63) - 1
_PIPEFS_MAGIC = 0x50495045
# procfs, sysfs, cgroup2, cgroup, tracefs, debugfs (linux/magic.h): sizes that say nothing (spec S-419).
_VIRTUAL_MAGICS = {0x9FA0, 0x62656572, 0x63677270, 0x27E0EB, 0x74726163, 0x64626720}
_SIOCOUTQ = termios.TIOCOUTQ
_F_GETPIPE_SZ = 1032
_TCP_LISTEN = 10
_MAX_HANDLE = 128
_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_fstatfs = function("fstatfs", ctypes.c_int, ctypes.c_void_p)
_getsockopt = function(
    "getsockopt", ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
)
_recv = function("recv", ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_timerfd_gettime = function("timerfd_gettime", ctypes.c_int, ctypes.c_void_p)
_name_to_handle_at = function(
    "name_to_handle_at", ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int
)
_statx = function("statx", ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)
_send = function("send", ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)

_BORN = (_FILE, _DIRECTORY, _FIFO)
_PASSES = (errno.EINTR, errno.ENOMEM, errno.EAGAIN)
_IDENTITY = 16
_BY_HANDLE = 32
NO_FILE = -(1 << 63)
"""What file_rest() says of a descriptor that has no offset."""


def _option(fd: int, level: int, option: int) -> int:
    value, size = ctypes.c_int(0), ctypes.c_uint(4)
    rc = _getsockopt(fd, level, option, ctypes.byref(value), ctypes.byref(size))
    return rc if rc < 0 else value.value


def _told(answer: int) -> int:
    if answer < 0:
        raise OSError(-answer, os.strerror(-answer))
    return answer


def _known(answer: int) -> int:
    # What kind of file it is would be guessed, for as long as it is registered.
    return _told(answer) if -answer in _PASSES else answer


def _magic(fd: int, checked: Callable[[int], int] = _known) -> int:
    buffer = (ctypes.c_long * 32)()
    return int(buffer[0]) if checked(_fstatfs(fd, buffer)) == 0 else 0


def _ioctl_int(fd: int, request: int) -> int:
    try:
        answer = fcntl.ioctl(fd, request, b"\0\0\0\0")
    except OSError as error:
        return -(error.errno or 0)
    number: int = struct.unpack("i", answer)[0]
    return number


def _socket_kind(fd: int) -> int:
    kind = _known(_option(fd, socket.SOL_SOCKET, socket.SO_TYPE))
    if kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        return _DATAGRAM
    if kind == socket.SOCK_SEQPACKET:
        return _SEQPACKET
    if _known(_option(fd, socket.SOL_SOCKET, socket.SO_DOMAIN)) == socket.AF_UNIX:
        return _UNIX_STREAM
    tcp = _known(_option(fd, socket.SOL_SOCKET, socket.SO_PROTOCOL)) == socket.IPPROTO_TCP
    return _TCP if tcp else _OTHER


class Counts:
    """FIONREAD of many descriptors at once."""

    def __init__(self) -> None:
        self._fds: list[int] = []
        self._counts: list[int] = []
        self.n = 0
        self.tcp = 0
        """How many of the n are TCP sockets."""

    def reserve(self, n: int) -> int:
        """Make room for n and forget what was asked."""
        self._fds.clear()
        self.n = self.tcp = 0
        return 0

    def ask(self, fd: int, tcp: bool) -> int:
        """Count this one, too."""
        self._fds.append(fd)
        self.n += 1
        self.tcp += tcp
        return 0

    def fetch(self) -> int:
        """Count them all."""
        self._counts = [readable(fd) for fd in self._fds]
        return 0

    def asked(self, i: int) -> int:
        """The i-th descriptor."""
        return self._fds[i]

    def count(self, i: int) -> int:
        """What readable() says of the i-th."""
        return self._counts[i]


def _mix(total: int, part: int) -> int:
    return (total ^ part) * 0x9E3779B97F4A7C15 & 0xFFFF_FFFF_FFFF_FFFF


def _birth(fd: int, by_handle: bool) -> int:
    # OSError if the kernel does not tell.
    if not by_handle:
        born = ctypes.create_string_buffer(256)
        _told(_statx(fd, b"", _AT_EMPTY_PATH, _STATX_BTIME, born))
        if struct.unpack_from("I", born)[0] & _STATX_BTIME:
            seconds, nanoseconds = struct.unpack_from("QI", born, 80)
            return _mix(seconds, nanoseconds)
        return 0
    handle, mount = ctypes.create_string_buffer(8 + _MAX_HANDLE), ctypes.c_int(0)
    struct.pack_into("I", handle, 0, _MAX_HANDLE)
    _told(_name_to_handle_at(fd, b"", handle, ctypes.byref(mount), _AT_EMPTY_PATH))
    total = 0
    for at in range(0, struct.unpack_from("I", handle)[0], 8):
        total = _mix(total, struct.unpack_from("Q", handle, 8 + at)[0])
    return total


def _identity(fd: int, st: os.stat_result, kind: int, by_handle: bool, birth: int) -> int:
    mixed = (st.st_ino * 0x9E3779B97F4A7C15) ^ (st.st_dev << 4) ^ birth
    if kind in (_PIPE, _FIFO):  # both ends have one inode
        mixed ^= _mix(1, fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE)
    return mixed & 0xFFFF_FFFF_FFFF_FFC0 | _IDENTITY | (_BY_HANDLE if by_handle else 0) | kind


def describe(fd: int) -> int:
    """Which file fd means: a number that another file would not have, with the kind (one of knote.source's
    KIND_*) in its low four bits and knote.source's IDENTITY above; without that, the errno with which the kernel
    would not tell (EBADF: fd is closed), 5 bits up."""
    try:
        return _described(fd)
    except OSError as error:  # perhaps closed by another thread between two looks
        return (error.errno or errno.EBADF) << 5


def _described(fd: int) -> int:
    st = os.fstat(fd)
    mode, kind = st.st_mode, _OTHER
    if stat.S_ISSOCK(mode):
        kind = _socket_kind(fd)
    elif stat.S_ISFIFO(mode):
        kind = _PIPE if _magic(fd) == _PIPEFS_MAGIC else _FIFO
    elif stat.S_ISREG(mode):
        magic = _magic(fd, _told)
        kind = _VIRTUAL if magic in _VIRTUAL_MAGICS else _MQUEUE if magic == _MQUEUE_MAGIC else _FILE
    elif stat.S_ISDIR(mode):
        kind = _DIRECTORY
    elif stat.S_ISCHR(mode) and os.isatty(fd):
        kind = _TTY
    elif stat.S_IFMT(mode) == 0:
        try:
            kind = _ANONYMOUS.get(os.readlink(f"/proc/self/fd/{fd}"), _OTHER)
        except OSError as error:
            _known(-(error.errno or 0))
            kind = _OTHER
    birth, by_handle = 0, False
    if kind in _BORN:
        try:
            birth, by_handle = _birth(fd, True), True
        except OSError as error:
            _known(-(error.errno or 0))
            with contextlib.suppress(OSError):
                birth = _birth(fd, False)
    return _identity(fd, st, kind, by_handle, birth)


def same(fd: int, identity: int) -> bool:
    """Whether fd still means the file that was described.  Only EBADF says that it is closed; what else a call
    fails with says nothing of the number."""
    kind = identity & 15
    by_handle = kind in _BORN and identity & _BY_HANDLE != 0
    try:
        st = os.fstat(fd)
        birth = _birth(fd, by_handle) if kind in _BORN else 0
        return _identity(fd, st, kind, by_handle, birth) == identity
    except OSError as error:  # perhaps closed by another thread between two looks; or a file without a handle
        return error.errno not in (errno.EBADF, errno.EOPNOTSUPP, errno.EOVERFLOW)


def is_open(fd: int) -> int:
    """0, or -EBADF."""
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except OSError as error:
        return -errno.EBADF if error.errno == errno.EBADF else 0
    return 0


def readable(fd: int) -> int:
    """FIONREAD, or -errno."""
    return _ioctl_int(fd, termios.FIONREAD)


def peekable(fd: int) -> int:
    """Bytes that a recv(2) on a TCP socket would give, copying and consuming none, or -errno."""
    for _ in range(4):
        n = _recv(fd, None, 1 << 30, socket.MSG_PEEK | socket.MSG_TRUNC | socket.MSG_DONTWAIT)
        if n != -errno.EAGAIN:
            return n
    return 0


def unsent(fd: int) -> int:
    """SIOCOUTQ, or -errno."""
    return _ioctl_int(fd, _SIOCOUTQ)


def pipe_space(fd: int) -> int:
    """Free bytes of a pipe, or -errno."""
    try:
        size = fcntl.fcntl(fd, _F_GETPIPE_SZ)
    except OSError as error:
        return -(error.errno or 0)
    used = readable(fd)
    return used if used < 0 else max(size - used, 0)


def send_space(fd: int) -> int:
    """Free bytes of a socket's send buffer, or -errno."""
    size = _option(fd, socket.SOL_SOCKET, socket.SO_SNDBUF)
    if size < 0:
        return size
    used = unsent(fd)
    return used if used < 0 else max(size - used, 0)


def poll(fd: int, events: int) -> int:
    """poll(2)'s revents of one descriptor, now."""
    poller = select.poll()
    poller.register(fd, events)
    try:
        hits = poller.poll(0)
    except OSError:
        return _select(fd, events)
    return hits[0][1] if hits else 0


def _select(fd: int, events: int) -> int:
    # poll(2) says EINVAL when RLIMIT_NOFILE is 0, as a program that has given up its rights may have it; select(2)
    # does not look at it, and tells no end of file from data.
    if is_open(fd) < 0:
        return select.POLLNVAL
    if fd >= 1024:
        return events & ~select.POLLRDHUP
    readers, writers, others = select.select(
        [fd] if events & select.POLLIN else [],
        [fd] if events & select.POLLOUT else [],
        [fd] if events & select.POLLPRI else [],
        0,
    )
    found = select.POLLIN if readers else 0
    return found | (select.POLLOUT if writers else 0) | (select.POLLPRI if others else 0)


def _tcp_info(fd: int) -> tuple[int, int]:
    buffer, size = ctypes.create_string_buffer(32), ctypes.c_uint(32)
    rc = _getsockopt(fd, socket.IPPROTO_TCP, socket.TCP_INFO, buffer, ctypes.byref(size))
    return (rc, 0) if rc < 0 else (buffer.raw[0], struct.unpack_from("I", buffer.raw, 24)[0])


def tcp_state(fd: int) -> int:
    """TCP's state, 1 (ESTABLISHED) ... 12, or -errno."""
    return _tcp_info(fd)[0]


def tcp_accept_queue(fd: int) -> int:
    """Connections waiting to be accepted; -EINVAL if fd does not listen."""
    state, queue = _tcp_info(fd)
    if state < 0:
        return state
    return queue if state == _TCP_LISTEN else -errno.EINVAL


def _tcp_progress(fd: int) -> tuple[int, int]:
    buffer, size = ctypes.create_string_buffer(128), ctypes.c_uint(128)
    rc = _getsockopt(fd, socket.IPPROTO_TCP, socket.TCP_INFO, buffer, ctypes.byref(size))
    if rc < 0:
        return rc, rc
    return struct.unpack_from("q", buffer.raw, 120)[0], struct.unpack_from("I", buffer.raw, 44)[0]


def tcp_acked(fd: int) -> int:
    """Bytes that the peer has acknowledged since the connection was made, or -errno."""
    return _tcp_progress(fd)[0]


def tcp_idle_ms(fd: int) -> int:
    """Milliseconds since something was last sent, or -errno."""
    return _tcp_progress(fd)[1]


def unix_accept_queue(fd: int) -> int:
    """Connections waiting on a listening UNIX socket, by sock_diag(7), or -errno."""
    try:
        inode = os.fstat(fd).st_ino
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as diag:
            request = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, inode & 0xFFFFFFFF, 0x10,
                                  0xFFFFFFFF, 0xFFFFFFFF)  # fmt: skip
            diag.send(struct.pack("=IHHII", 16 + len(request), 20, 1, 0, 0) + request)
            answer = diag.recv(512, socket.MSG_DONTWAIT)
    except OSError as error:
        return -(error.errno or 0)
    at = 16 + 16
    while struct.unpack_from("=H", answer, 4)[0] == 20 and at + 4 <= len(answer):
        length, kind = struct.unpack_from("=HH", answer, at)
        if kind == 4:
            waiting: int = struct.unpack_from("=I", answer, at + 4)[0]
            return waiting
        if length < 4:
            break
        at += (length + 3) & ~3
    return -errno.ENOENT


def unix_send_shut(fd: int) -> bool:
    """Whether sending on a UNIX stream socket says EPIPE; sends nothing."""
    return _send(fd, b"", 0, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) == -errno.EPIPE


def receive_mark(fd: int) -> int:
    """SO_RCVLOWAT, or -errno."""
    return _option(fd, socket.SOL_SOCKET, socket.SO_RCVLOWAT)


def file_rest(fd: int) -> int:
    """Bytes from the offset to the end of the file, negative beyond it; NO_FILE where there is no offset."""
    try:
        return os.fstat(fd).st_size - os.lseek(fd, 0, os.SEEK_CUR)
    except OSError:
        return NO_FILE


def _fdinfo(fd: int, word: str, base: int) -> int:
    try:
        with open(f"/proc/self/fdinfo/{fd}") as info:
            for line in info:
                if line.startswith(word):
                    return min(int(line[len(word) :], base), _INT64_MAX)
    except FileNotFoundError:
        return is_open(fd) or -errno.ENOENT
    except OSError as error:
        return -(error.errno or 0)
    return -errno.ENOENT


def eventfd_count(fd: int) -> int:
    """What read(2) of an eventfd would give, without taking it, or -errno."""
    return _fdinfo(fd, "eventfd-count:", 16)


def timerfd_count(fd: int) -> int:
    """What read(2) of a timerfd would give, without taking it, or -errno."""
    rc = _timerfd_gettime(fd, ctypes.create_string_buffer(32))
    return rc if rc < 0 else _fdinfo(fd, "ticks:", 10)


def mqueue_count(fd: int, room: bool) -> int:
    """Messages in a message queue or, room, how many more it takes; -errno."""
    attributes = (ctypes.c_long * 8)()
    try:
        rc = function("mq_getattr", ctypes.c_int, ctypes.c_void_p)(fd, attributes)
    except AttributeError:  # glibc before 2.34 has it in librt
        return -errno.ENOSYS
    if rc < 0:
        return rc
    return attributes[1] - attributes[3] if room else attributes[3]


def is_path(fd: int, kind: int) -> bool:
    """Whether fd was opened with O_PATH: a name for open files rather than an open file."""
    if kind == _PIPE or _TCP <= kind <= _DATAGRAM or kind >= _EVENTFD:
        return False
    try:
        return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_PATH)
    except OSError:
        return False
