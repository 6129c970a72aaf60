"""The process connector through a socket; the compiled twin is connector.pyx over kn_connector.h."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct

FORK = 0x1
EXEC = 0x2
EXIT = 0x80000000
_FAMILY = 11  # NETLINK_CONNECTOR
_LISTEN = 1
_IGNORE = 2
_GROUP = 1  # CN_IDX_PROC
_HEARD_MOST = 64
_NAMED_MOST = 32
_ROOM = 8 << 20
_MESSAGE = 128
_SO_RCVBUFFORCE = 33
_SO_ATTACH_FILTER = 26
_HEAD = struct.Struct("=IHHII IIIIHH")  # nlmsghdr, cn_msg
_EVENT = struct.Struct("=IIQ IIII")  # proc_event, as far as a fork, exec or exit goes
_ALL = (0x06, 0, 0, 0xFFFFFFFF)
_NONE = (0x06, 0, 0, 0)
_WHAT = _HEAD.size
_WORD = _HEAD.size + 16  # what each kind of event has of its own


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def _code(pids: list[int], everything: bool, exits: bool) -> list[tuple[int, int, int, int]]:
    """The classic BPF program; kn_connector.h explains it line by line."""
    load, jump, equal, same, keep = 0x20, 0x05, 0x15, 0x1D, 0x07
    named = [] if everything else pids
    return [
        (load, 0, 0, _WHAT),
        (equal, 3, 0, socket.htonl(FORK)),
        (equal, 9, 0, socket.htonl(EXEC)),
        (equal, 10, 0, socket.htonl(EXIT)),
        _NONE,
        (load, 0, 0, _WORD + 8),
        (keep, 0, 0, 0),
        (load, 0, 0, _WORD + 12),
        (same, 1, 0, 0),
        _NONE,
        (load, 0, 0, _WORD + 4),
        (jump, 0, 0, 8),
        (load, 0, 0, _WORD + 4),
        (jump, 0, 0, 6),
        (load, 0, 0, _WORD),
        (keep, 0, 0, 0),
        (load, 0, 0, _WORD + 4),
        (same, 1, 0, 0),
        _NONE,
        _ALL if exits else (jump, 0, 0, 0),
        *((equal, len(named) - i, 0, socket.htonl(pid)) for i, pid in enumerate(named)),
        _ALL if everything else _NONE,
        _ALL,
    ]


class Connector:
    """A socket that hears of every fork, exec and exit; every call gives n or -errno.

    fd: its number, or why there is none: -EOPNOTSUPP, -EPERM, -ECONNREFUSED and others where the kernel or a
    sandbox does not allow it (S-452).
    """

    def __init__(self) -> None:
        self._heard: list[tuple[int, int, int]] = []
        self._lost = 0
        self._socket: socket.socket | None = None
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _FAMILY)
            self.fd = self._open(self._socket)
        except OSError as error:
            self.fd = -(error.errno or errno.EOPNOTSUPP)
        if self.fd < 0 and self._socket is not None:
            self._socket.close()

    def _open(self, sock: socket.socket) -> int:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
        except OSError:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        sock.bind((0, _GROUP))
        mark = sock.getsockname()[0]
        self._say(_LISTEN, mark)
        while True:
            try:
                data = sock.recv(_MESSAGE)
            except BlockingIOError:
                return -errno.EOPNOTSUPP
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                continue
            ack = _HEAD.unpack_from(data)[8]
            what, _, _, refused = _EVENT.unpack_from(data, _HEAD.size)[:4]
            # Acknowledgements go to everybody who listens: ours bears our mark.
            if what == 0 and ack == mark + 1:
                return -int(refused) if refused else sock.fileno()

    def _say(self, operation: int, mark: int) -> None:
        head = _HEAD.pack(_HEAD.size + 4, 3, 0, 0, 0, _GROUP, 1, 0, mark, 4, 0)
        assert self._socket is not None
        self._socket.send(head + operation.to_bytes(4, "little"))

    def tune(self, pids: list[int], everything: bool, exits: bool) -> int:
        """Let the kernel drop what nobody asked for: threads; where not everything is wanted, all but these
        processes and, with exits, everybody's exit.  More than 32 processes are everything."""
        assert self._socket is not None
        code = _code(pids, everything or len(pids) > _NAMED_MOST, exits)
        text = b"".join(struct.pack("=HBBI", *line) for line in code)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(_Program(len(code), text)))
        except OSError as error:
            return -(error.errno or errno.EINVAL)
        return 0

    def read(self) -> int:
        """Take what there is, at most 64 messages; 0 when nothing is left, -ENOBUFS: some were lost."""
        assert self._socket is not None
        self._heard = []
        if self._lost:
            lost, self._lost = self._lost, 0
            return lost
        while len(self._heard) < _HEARD_MOST:
            try:
                data, sender = self._socket.recvfrom(_MESSAGE)
            except BlockingIOError:
                break
            except OSError as error:
                # The kernel tells it once: at the next call, if this one has something to give.
                self._lost = -(error.errno or errno.EIO)
                break
            self._heard.append(self._parse(data, sender))
        if self._lost and not self._heard:
            lost, self._lost = self._lost, 0
            return lost
        return len(self._heard)

    def _parse(self, data: bytes, sender: tuple[int, int]) -> tuple[int, int, int]:
        if sender[0] or len(data) < _HEAD.size + _EVENT.size or _HEAD.unpack_from(data)[5] != _GROUP:
            return (0, 0, 0)
        what, _, _, thread, process, second, third = _EVENT.unpack_from(data, _HEAD.size)
        # Threads once more: what came before the socket was tuned is there all the same.
        if (what == FORK and second != third) or (what == EXIT and thread != process):
            return (0, 0, 0)
        if what == FORK:
            return (what, process, third)
        return (what, process, second & 0xFFFF if what == EXIT else 0)

    def what(self, i: int) -> int:
        """PROC_EVENT_FORK, _EXEC or _EXIT; 0: nothing of interest."""
        return self._heard[i][0]

    def pid(self, i: int) -> int:
        """Who: the parent of a fork."""
        return self._heard[i][1]

    def value(self, i: int) -> int:
        """The child of a fork, the wait status of an exit."""
        return self._heard[i][2]

    def close(self, stop: bool) -> None:
        """close(2); idempotent.  stop: tell the kernel, which before Linux 6.6 does not notice; not in a forked
        child, whose socket is the parent's."""
        if self.fd >= 0 and self._socket is not None:
            if stop:
                with contextlib.suppress(OSError):
                    self._say(_IGNORE, 0)
            self._socket.close()
            self.fd = -1
