# cython: annotation_typing=False
"""EVFILT_READ: something can be read, or will never be again.  See kqueue(2) on FreeBSD; spec 2.6."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote import process
from knote._kernel.fd import (
    NO_FILE,
    eventfd_count,
    file_rest,
    is_path,
    mqueue_count,
    peekable,
    poll,
    readable,
    receive_mark,
    same,
    tcp_accept_queue,
    tcp_state,
    timerfd_count,
    unix_accept_queue,
)
from knote.constants import EV_CLEAR, EV_EOF, EVFILT_READ, NOTE_FILE_POLL, NOTE_LOWAT, NOTE_NODATA
from knote.filters.base import Filter
from knote.knote import ASK, PLAIN, SOFT
from knote.masks import ERR, HUP, IN, NVAL, RDHUP
from knote.source import (
    KIND_DIRECTORY,
    KIND_EVENTFD,
    KIND_FIFO,
    KIND_FILE,
    KIND_OTHER,
    KIND_PIPE,
    KIND_SEQPACKET,
    KIND_TCP,
    KIND_TIMERFD,
    KIND_TTY,
    KIND_UNIX_STREAM,
    KIND_VIRTUAL_FILE,
)

if TYPE_CHECKING:
    from knote.host import Host
    from knote.knote import Knote
    from knote.source import Source

_EBADF = errno.EBADF
_EINVAL = errno.EINVAL
_ENOTSOCK = errno.ENOTSOCK
_ENOTTY = errno.ENOTTY
_ECONNREFUSED = errno.ECONNREFUSED
_ECONNRESET = errno.ECONNRESET
_ECONNABORTED = errno.ECONNABORTED
_ESTABLISHED = 1
_LISTEN = 10


class Read(Filter):
    """data is what the kernel can tell exactly, from one system call: bytes of a stream, connections of a
    listener, the rest of a file.  SO_ERROR is never asked: asking clears it (S-404)."""

    __slots__ = ("_files", "counting", "nested", "number")

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._files = host.files
        self.number = -1
        """The descriptor of the queue itself."""
        self.nested: set[int] = set()
        """The queues that it watches."""
        self.id = EVFILT_READ
        self.is_fd = True
        self.counting = 0
        """How many descriptors are read with a count of bytes."""
        # RDHUP: a half-closed TCP peer is readable only as end of file (S-405).
        self.wants = IN | RDHUP

    def attach(self, kn: Knote) -> int:
        """Filter.attach()."""
        source = kn.source
        assert source is not None
        if source.kind == KIND_OTHER and process.find(source.fd) is not None:
            # A queue that watched itself, by whatever way round, would wait for its own report (S-016, S-017).
            if process.reaches(source.fd, self.number):
                return _EINVAL
            self.nested.add(source.fd)
            source.queue = True
            watched = process.find(source.fd)
            if kn.flags & EV_CLEAR and watched is not None:
                watched.tell_edges()
        elif is_path(source.fd, source.kind):
            return _EBADF
        elif source.kind == KIND_FILE:
            source.soft = True
            if not kn.sfflags & NOTE_FILE_POLL or kn.flags & EV_CLEAR:
                error = self._files.watch(source)
                if error:
                    return error
        elif source.kind == KIND_DIRECTORY:
            source.soft = True
        if source.kind in (KIND_UNIX_STREAM, KIND_SEQPACKET):
            source.mark = max(receive_mark(source.fd), 1)
            source.connected = True
        elif source.kind == KIND_TCP and not source.asked:
            source.asked = True
            state = tcp_state(source.fd)
            source.connected = state == _ESTABLISHED
            source.listening = state == _LISTEN
        return self._settle(kn)

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch()."""
        kn.sfflags = fflags
        kn.sdata = data
        return self._settle(kn)

    def _settle(self, kn: Knote) -> int:
        # A mark of 0 is reached when nothing is there, which no engine reports (trace lowat_zero): by level the
        # knote stays on the ready list; by edge it is asked once, and then the engine tells of edges.
        source = kn.source
        assert source is not None
        at_once = kn.sfflags & NOTE_LOWAT and kn.sdata <= 0 and KIND_TCP <= source.kind <= KIND_SEQPACKET
        kn.status &= ~(SOFT | ASK | PLAIN)
        if source.soft or (at_once and not kn.flags & EV_CLEAR):
            kn.status |= SOFT
        elif at_once:
            kn.status |= ASK
        bytes_told = not (
            kn.status & SOFT or kn.sfflags & NOTE_NODATA or source.listening or source.queue
            or (source.kind >= KIND_VIRTUAL_FILE and source.kind != KIND_TTY)
        )  # fmt: skip
        self._counting(source, bytes_told)
        if kn.sfflags & NOTE_NODATA and source.kind != KIND_VIRTUAL_FILE:
            kn.status |= PLAIN
        return 0

    def _counting(self, source: Source, counting: bool) -> None:
        if source.counting != counting:
            source.counting = counting
            self.counting += 1 if counting else -1

    def detach(self, kn: Knote) -> None:
        """Filter.detach()."""
        source = kn.source
        if source is not None:
            self._counting(source, False)
            if source.queue:
                self.nested.discard(source.fd)

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event()."""
        source = kn.source
        assert source is not None
        kn.fflags = 0
        kn.shown = 0
        if source.soft:
            return self._file(kn, source)
        if not hint:
            hint = poll(source.fd, IN | RDHUP)
            if hint & NVAL:
                return -1
        if source.kind >= KIND_VIRTUAL_FILE:
            if source.kind == KIND_VIRTUAL_FILE:
                # procfs and its like say ERR when their contents change, and FIONREAD is a size that they have
                # not, less the offset (S-419).
                kn.data = 0
                return 1
            if source.kind != KIND_TTY and not (hint & (ERR | HUP | RDHUP) or kn.sfflags & NOTE_NODATA):
                return self._counter(kn, source, hint)
        if hint & (ERR | HUP | RDHUP):
            return self._ended(kn, source, hint)
        if kn.sfflags & NOTE_NODATA:
            kn.data = 0
            return 1 if hint & IN else 0
        if source.queue:
            return self._queue(kn, source)
        if source.listening:
            return self._listening(kn, source, hint)
        n = source.count if source.counted else readable(source.fd)
        if n < 0:
            if n == -_EBADF:
                return -1
            if n == -_EINVAL and source.kind in (KIND_TCP, KIND_UNIX_STREAM, KIND_SEQPACKET):
                return self._listening(kn, source, hint)
            # No count exists (signalfd, pidfd, epoll ...): the engine's word is all there is.  A stream without
            # one is another file by now; one whose count is refused has a byte at least if the engine says so.  A
            # listener of another protocol (MPTCP, SCTP, vsock) says EINVAL: at least one connection waits (S-411).
            stream = KIND_PIPE <= source.kind <= KIND_SEQPACKET
            if not hint & IN or (stream and (n == -_EINVAL or n == -_ENOTTY)):
                kn.data = 0
                return 0
            if stream and not same(source.fd, source.identity):
                return -1
            kn.data = 1 if stream or (n == -_EINVAL and tcp_state(source.fd) != -_ENOTSOCK) else 0
            return 1
        kn.data = n
        if source.kind == KIND_PIPE or source.kind == KIND_FIFO:
            # NOTE_LOWAT is for sockets; FreeBSD's pipes do not look at it (S-116).
            return 1 if n and hint & IN else 0
        if KIND_TCP <= source.kind <= KIND_SEQPACKET:
            source.connected = True
            if n == 0 and source.kind == KIND_TCP and hint & IN:
                # At the urgent mark FIONREAD counts up to it, which is nothing, though what is behind it can
                # be read (trace tcp_oob).
                kn.data = n = peekable(source.fd)
                if n == -_EBADF:
                    return -1
                if n < 0:
                    kn.data = 1  # Nobody would look; the engine says that there is something.
                    return 1
            return 1 if n >= self._mark(kn, source) else 0
        # A datagram of no bytes is there all the same (S-114).
        return 1 if hint & IN else 0

    def _counter(self, kn: Knote, source: Source, hint: int) -> int:
        # What read(2) would give and take, as on FreeBSD (S-135): looked at, not read.
        if source.kind == KIND_EVENTFD:
            n = eventfd_count(source.fd)
        elif source.kind == KIND_TIMERFD:
            n = timerfd_count(source.fd)
        else:
            n = mqueue_count(source.fd, False)
        if n == -_EBADF:
            return -1
        if n < 0:
            # No /proc here: the engine's word is all there is.
            kn.data = 0
            return 1 if hint & IN else 0
        kn.data = n
        return 1 if n else 0

    def _queue(self, kn: Knote, source: Source) -> int:
        # A queue: data is how many of its knotes wait (S-015).  With EV_CLEAR only one more of them is news; its
        # wake descriptor going up, or a waiting knote getting more data, is none (trace nested_clear_outer).
        queue = process.find(source.fd)
        n = -1 if queue is None else queue.pending()
        if n < 0:
            return -1
        kn.data = n
        news = n > source.count or not kn.flags & EV_CLEAR
        source.count = n
        return 1 if n and news else 0

    def _mark(self, kn: Knote, source: Source) -> int:
        if kn.sfflags & NOTE_LOWAT:
            return kn.sdata
        return source.mark

    def _listening(self, kn: Knote, source: Source, hint: int) -> int:
        source.listening = True
        n = tcp_accept_queue(source.fd) if source.kind == KIND_TCP else unix_accept_queue(source.fd)
        if n == -_EBADF:
            return -1
        if n == -_EINVAL and source.kind == KIND_TCP:
            # The number is another socket's by now, or the listener was shut down.
            source.listening = False
            kn.data = 0
            return 0
        # Other kinds of listeners, or no sock_diag(7) here: at least one waits if the engine says so.
        kn.data = n if n >= 0 else hint & IN
        return 1 if kn.data > 0 else 0

    def _ended(self, kn: Knote, source: Source, hint: int) -> int:
        n = readable(source.fd)
        if n == -_EBADF:
            return -1
        kn.data = n if n > 0 else 0
        if source.kind in (KIND_PIPE, KIND_FIFO):
            if hint & ERR:
                # The write end, whose reader is gone; what it still holds is not for reading here (S-345).
                kn.data = 0
            kn.shown = EV_EOF
            return 1
        if KIND_TCP <= source.kind <= KIND_SEQPACKET:
            if source.listening and source.kind == KIND_TCP:
                # shutdown(2) of a listener: FreeBSD aborts what waited (trace tcp_listen_shutdown).
                kn.fflags = _ECONNABORTED
                kn.shown = EV_EOF
                return 1
            if not hint & (IN | RDHUP | ERR):
                # HUP alone: it was never connected (S-107, S-405).
                source.fresh = True
                return 0
            source.fresh = False
            if hint & (RDHUP | HUP):
                kn.shown = EV_EOF
                if hint & ERR:
                    kn.fflags = _ECONNRESET if source.connected or n > 0 else _ECONNREFUSED
                    if source.kind != KIND_TCP:
                        kn.fflags = _ECONNRESET
            return 1
        if hint & HUP or source.kind == KIND_TTY:
            kn.shown = EV_EOF
            return 1
        # An error on a datagram socket is something to read, but not the end (S-106).
        return 1

    def _file(self, kn: Knote, source: Source) -> int:
        kn.data = 0
        if not same(source.fd, source.identity):
            return -1
        if source.kind == KIND_DIRECTORY:
            # poll(2) says that one can be read, and NOTE_FILE_POLL asks for poll(2)'s answer.
            return 1 if kn.sfflags & NOTE_FILE_POLL else 0
        if source.kind != KIND_FILE:
            return 1
        rest = file_rest(source.fd)
        if rest == NO_FILE:
            # Closed meanwhile, or a stream by the file system's own rules, which is ready as poll(2) says.
            return 1 if same(source.fd, source.identity) else -1
        kn.data = rest
        return 1 if rest or kn.sfflags & NOTE_FILE_POLL else 0
