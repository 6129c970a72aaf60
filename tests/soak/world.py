"""What the model's descriptors are, byte by byte: pipes and connected UNIX stream sockets.

Each operation is made on the real descriptor and on the books; the books are what the model of kqueue is asked
to believe, so READ's data is checked against what was written, never against what FIONREAD says.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
from collections.abc import Callable
from typing import Final

PAGE: Final = 4096
PAGES: Final = 16
"""A pipe of Linux: 16 pages, and room to write means a free page (pipe(7))."""
PIPE_SIZE: Final = PAGE * PAGES
FIRST_NUMBER: Final = 200
"""Our descriptors stay away from the low numbers: what knote opens for itself would take those that we close."""
READING: Final = 1
WRITING: Final = 2
BOTH: Final = READING | WRITING


class End:
    """One end of a pipe or of a socket pair, open or closed; peer is the other one."""

    __slots__ = ("error", "fd", "inbox", "is_open", "pages", "peer", "room", "shut_rd", "shut_wr", "what")

    def __init__(self, what: str, fd: int, pages: list[int]) -> None:
        self.what = what
        """'r' and 'w' of a pipe, 's' of a socket pair."""
        self.fd = fd
        self.is_open = True
        self.peer = self
        self.pages = pages
        """Of a pipe, for both ends: [offset, length] of each page, flat."""
        self.inbox = 0
        """Of a socket: bytes that it has not read."""
        self.room = True
        """Of a socket: poll(2) says that it can be written to."""
        self.shut_rd = False
        self.shut_wr = False
        self.error = 0

    @property
    def unread(self) -> int:
        """Bytes that read(2) would give, however many calls it takes."""
        return self.inbox if self.what == "s" else sum(self.pages[1::2])

    @property
    def at_end(self) -> bool:
        """Nothing will come any more."""
        if self.what == "s":
            return self.shut_rd or self.peer.shut_wr or not self.peer.is_open
        return not self.peer.is_open

    @property
    def is_deaf(self) -> bool:
        """A socket whose writing is over, by itself or by the other end."""
        return self.shut_wr or self.peer.shut_rd or not self.peer.is_open


Edge = Callable[[End, int, bool], None]
"""(end, directions, sure): something happened that a CLEAR knote of these directions reports, or may report."""


def _away(fd: int) -> int:
    there = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_NUMBER)
    os.close(fd)
    return there


class World:
    """The slots that hold a pipe or a socket pair, or nothing yet.  End 2n and 2n + 1 belong to slot n."""

    def __init__(self, slots: int, on_edge: Edge, on_close: Callable[[int], None]) -> None:
        self.ends: list[End | None] = [None] * (2 * slots)
        self._edge = on_edge
        self._closed = on_close

    def close_all(self) -> None:
        """Close every descriptor that is open."""
        for end in self.ends:
            if end is not None and end.is_open:
                os.close(end.fd)
                end.is_open = False

    def open(self, slot: int, kind: str) -> None:
        """Fill a slot whose ends are both closed."""
        for end in self.ends[2 * slot : 2 * slot + 2]:
            if end is not None and end.is_open:
                return
        pages: list[int] = []
        if kind == "pipe":
            r, w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            pair = End("r", _away(r), pages), End("w", _away(w), pages)
        else:
            a, b = socket.socketpair()
            a.setblocking(False)
            b.setblocking(False)
            pair = End("s", _away(a.detach()), pages), End("s", _away(b.detach()), pages)
        pair[0].peer, pair[1].peer = pair[1], pair[0]
        self.ends[2 * slot : 2 * slot + 2] = pair

    def at(self, number: int) -> End | None:
        """The open end with that descriptor number."""
        for end in self.ends:
            if end is not None and end.is_open and end.fd == number:
                return end
        return None

    def write(self, end: End, n: int) -> None:
        """Write n bytes, or as many as go in."""
        if end.what == "r":
            return
        expected = self._pipe_takes(end, n) if end.what == "w" else -1
        try:
            written = os.write(end.fd, bytes(n))
        except BlockingIOError:
            written = 0
        except BrokenPipeError:
            assert not end.peer.is_open or end.is_deaf
            return
        if end.what == "s":
            assert not end.is_deaf
            end.peer.inbox += written
            end.room = self._has_room(end)
        else:
            assert written == expected, (written, expected)
        if written or end.what == "w":
            # A pipe that was polled wakes its readers even for a write that finds it full.
            self._edge(end.peer, READING, written > 0)

    def _pipe_takes(self, end: End, n: int) -> int:
        # pipe_write() of fs/pipe.c: what does not fill a page goes behind what is there, if all of it fits.
        if not end.peer.is_open:
            return 0
        pages, done = end.pages, 0
        rest = n % PAGE
        if pages and rest and pages[-2] + pages[-1] + rest <= PAGE:
            pages[-1] += rest
            done = rest
        while done < n and len(pages) < 2 * PAGES:
            part = min(n - done, PAGE)
            pages += [0, part]
            done += part
        return done

    @staticmethod
    def _has_room(end: End) -> bool:
        poller = select.poll()
        poller.register(end.fd, select.POLLOUT)
        return any(bits & select.POLLOUT for _, bits in poller.poll(0))

    def read(self, end: End, n: int) -> None:
        """Read up to n bytes."""
        if end.what == "w":
            return
        expected = min(n, end.unread)
        try:
            got = len(os.read(end.fd, n))
        except BlockingIOError:
            assert not expected and not end.at_end
            return
        except ConnectionResetError:
            assert end.error == errno.ECONNRESET and not expected
            end.error = 0
            return
        assert got == expected, (got, expected)
        if end.what == "r":
            was_full = len(end.pages) == 2 * PAGES
            self._take_pages(end.pages, got)
            if was_full and len(end.pages) < 2 * PAGES and end.peer.is_open:
                self._edge(end.peer, WRITING, True)
            return
        end.inbox -= got
        if got and end.peer.is_open:
            had_room = end.peer.room
            end.peer.room = self._has_room(end.peer)
            # The kernel wakes a writer for each buffer that is freed while there is room (S-408).
            self._edge(end.peer, WRITING, end.peer.room and not had_room)

    @staticmethod
    def _take_pages(pages: list[int], n: int) -> None:
        while n:
            part = min(n, pages[1])
            pages[0] += part
            pages[1] -= part
            n -= part
            if not pages[1]:
                del pages[:2]

    def shutdown(self, end: End, how: int) -> None:
        """shutdown(2), of sockets."""
        if end.what != "s" or not end.peer.is_open:
            return
        dup = socket.socket(fileno=os.dup(end.fd))
        try:
            dup.shutdown(how)
        finally:
            dup.close()
        before = end.at_end, end.peer.at_end
        end.shut_rd |= how in (socket.SHUT_RD, socket.SHUT_RDWR)
        end.shut_wr |= how in (socket.SHUT_WR, socket.SHUT_RDWR)
        # unix_shutdown() wakes everybody on both ends; only the end of reading is sure to be new to them.
        for one, was_at_end in zip((end, end.peer), before, strict=True):
            self._edge(one, READING, one.at_end and not was_at_end)
            self._edge(one, WRITING, False)

    def close(self, end: End) -> None:
        """close(2); the end's knotes go (S-084)."""
        os.close(end.fd)
        was_over = end.peer.at_end
        end.is_open = False
        self._closed(end.fd)
        peer = end.peer
        if not peer.is_open:
            return
        if end.what == "s" and end.inbox:
            peer.error = errno.ECONNRESET
        self._edge(peer, READING, not was_over or bool(peer.error))
        self._edge(peer, WRITING, True)
