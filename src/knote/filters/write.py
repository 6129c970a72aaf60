# cython: annotation_typing=False
"""EVFILT_WRITE: there is room to write, or nobody left to read.  See kqueue(2) on FreeBSD; spec 2.7."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote import process
from knote._kernel.fd import (
    eventfd_count,
    is_path,
    mqueue_count,
    pipe_space,
    poll,
    same,
    send_space,
    tcp_state,
    unix_send_shut,
)
from knote.constants import EV_CLEAR, EV_EOF, EV_ONESHOT, EVFILT_WRITE, NOTE_LOWAT, NOTE_NODATA
from knote.filters.base import Filter
from knote.knote import PLAIN, SOFT
from knote.masks import ERR, HUP, IN, NVAL, OUT, RDHUP
from knote.source import (
    KIND_DATAGRAM,
    KIND_EVENTFD,
    KIND_FIFO,
    KIND_FILE,
    KIND_MQUEUE,
    KIND_OTHER,
    KIND_PIPE,
    KIND_TCP,
    KIND_UNIX_STREAM,
    KIND_VIRTUAL_FILE,
)

if TYPE_CHECKING:
    from knote.host import Host
    from knote.knote import Knote
    from knote.source import Source

_EBADF = errno.EBADF
_EINVAL = errno.EINVAL
_EPIPE = errno.EPIPE
_ECONNREFUSED = errno.ECONNREFUSED
_ECONNRESET = errno.ECONNRESET
_ESTABLISHED = 1
_INT64_MAX = (1 << 63) - 1


class Write(Filter):
    """data is the room that the kernel tells of: exact for pipes, near for sockets, whose buffers count more
    than bytes (S-140, S-410)."""

    __slots__ = ("_files",)

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._files = host.files
        self.id = EVFILT_WRITE
        self.is_fd = True
        self.wants = OUT

    def attach(self, kn: Knote) -> int:
        """Filter.attach().  A pipe without a reader is refused (trace pipe_write_eof), a FIFO is not."""
        source = kn.source
        assert source is not None
        if source.kind == KIND_OTHER and process.find(source.fd) is not None:
            return _EINVAL
        if is_path(source.fd, source.kind):
            return _EBADF
        if source.kind == KIND_FILE:
            source.soft = True
            if kn.flags & EV_CLEAR:
                # The next write is news (trace file_write_clear).
                error = self._files.watch(source)
                if error:
                    return error
        if source.kind == KIND_PIPE and poll(source.fd, OUT) & ERR:
            return _EPIPE
        if source.kind == KIND_TCP and not source.asked:
            source.asked = True
            source.connected = tcp_state(source.fd) == _ESTABLISHED
        if source.soft:
            kn.status |= SOFT
        return self._settle(kn)

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch()."""
        kn.sfflags = fflags
        kn.sdata = data
        return self._settle(kn)

    def _settle(self, kn: Knote) -> int:
        kn.status &= ~PLAIN
        if kn.sfflags & NOTE_NODATA:
            kn.status |= PLAIN
        return 0

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event()."""
        source = kn.source
        assert source is not None
        kn.fflags = 0
        kn.shown = 0
        if source.soft:
            kn.data = 0
            return 1 if same(source.fd, source.identity) else -1
        if not hint:
            hint = poll(source.fd, OUT)
            if hint & NVAL:
                return -1
        if kn.sfflags & NOTE_NODATA and not hint & (ERR | HUP):
            kn.data = 0
            return 1 if hint & OUT else 0
        if source.kind == KIND_PIPE or source.kind == KIND_FIFO:
            return self._pipe(kn, source, hint)
        if KIND_TCP <= source.kind <= KIND_DATAGRAM:
            return self._socket(kn, source, hint)
        kn.data = 0
        if source.kind == KIND_EVENTFD:
            return self._eventfd(kn, source, hint)
        if source.kind == KIND_MQUEUE:
            n = mqueue_count(source.fd, True)
            if n >= 0:
                kn.data = n
            return -1 if n == -_EBADF else 1 if hint & OUT else 0
        # ttys and the like: how much they take is not told.  procfs and its like say ERR when their contents
        # change, which is no end.
        if hint & (ERR | HUP) and source.kind != KIND_VIRTUAL_FILE:
            kn.shown = EV_EOF
        return 1

    def _eventfd(self, kn: Knote, source: Source, hint: int) -> int:
        # What can be added without blocking (S-157), as far as it fits into data; it takes 2**64 - 2 in all.
        n = eventfd_count(source.fd)
        if n == -_EBADF:
            return -1
        if n >= 0:
            kn.data = max(_INT64_MAX - n, 1)
        return 1 if hint & OUT else 0

    def _pipe(self, kn: Knote, source: Source, hint: int) -> int:
        n = pipe_space(source.fd)
        if n == -_EBADF:
            return -1
        kn.data = n if n > 0 else 0
        if hint & ERR:
            kn.shown = EV_EOF
            if source.kind == KIND_PIPE:
                # Reported once: FreeBSD drops the knote with the pipe's other half.
                kn.flags |= EV_ONESHOT
            return 1
        return 1 if hint & OUT else 0

    def _socket(self, kn: Knote, source: Source, hint: int) -> int:
        n = send_space(source.fd)
        if n == -_EBADF:
            return -1
        source.fresh = False
        # The kernel's own accounting may say 0 while poll says that there is room.
        kn.data = n if n > 0 else 1
        if hint & HUP:
            state = poll(source.fd, IN | RDHUP)
            if not state & (IN | RDHUP | ERR):
                # HUP alone: it was never connected (S-141).
                source.fresh = True
                return 0
            kn.shown = EV_EOF
            if state & ERR:
                kn.fflags = _ECONNRESET if source.connected or source.kind != KIND_TCP else _ECONNREFUSED
            return 1
        if hint & ERR:
            return 1
        if kn.sfflags & NOTE_LOWAT and 0 <= n < kn.sdata:
            return 0  # What nobody would count is told: an edge comes once.
        if self._shut(source):
            kn.shown = EV_EOF
        return 1 if hint & OUT else 0

    def _shut(self, source: Source) -> bool:
        # poll(2) says nothing of our own shutdown(SHUT_WR) (S-143).
        if source.kind == KIND_TCP:
            state = tcp_state(source.fd)
            if state == _ESTABLISHED:
                source.connected = True
            # FIN_WAIT1, FIN_WAIT2, TIME_WAIT, LAST_ACK, CLOSING: our side has said that it sends no more.
            return state in (4, 5, 6, 9, 11)
        return source.kind == KIND_UNIX_STREAM and unix_send_shut(source.fd)
