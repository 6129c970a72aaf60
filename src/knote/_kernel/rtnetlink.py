"""rtnetlink(7), as far as it tells of interfaces; the compiled twin is rtnetlink.pyx over kn_rtnetlink.h."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct

from knote._kernel._libc import function

LINK_IS = 1
LINK_GONE = 2
LINK_LISTED = 3
LINK_REFUSED = 4

_ROOM = 65536
_NETLINK_ROUTE = 0
_RTMGRP_LINK = 1
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLM_F_REQUEST = 0x1
_NLM_F_DUMP_INTR = 0x10
_NLM_F_DUMP = 0x300
_RTM_NEWLINK = 16
_RTM_DELLINK = 17
_RTM_GETLINK = 18
_IFLA_EXT_MASK = 29
_IFLA_CARRIER_CHANGES = 35
_RTEXT_FILTER_SKIP_STATS = 8
_HEAD = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.pack("=HHII", socket.AF_NETLINK, 0, 0, _RTMGRP_LINK)
_KERNEL = struct.pack("=HHII", socket.AF_NETLINK, 0, 0, 0)
_socket = function("socket", ctypes.c_int, ctypes.c_int, ctypes.c_int)
_bind = function("bind", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_sendto = function(
    "sendto", ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint
)
_recvfrom = function(
    "recvfrom", ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p
)


def _carrier_changes(message: bytes) -> int:
    at = _HEAD.size + _LINK.size
    changes = 0
    while at + 4 <= len(message):
        length, kind = struct.unpack_from("=HH", message, at)
        if length < 4:
            break
        if kind == _IFLA_CARRIER_CHANGES and length >= 8:
            (changes,) = struct.unpack_from("=I", message, at + 4)
        at += (length + 3) & ~3
    return changes


def _link_of(kind: int, flags: int, message: bytes) -> tuple[int, int, int, int] | None:
    """A message as (LINK_*, index, flags, value); None for what is not about an interface itself."""
    if kind == _NLMSG_DONE:
        return LINK_LISTED, 0, int(flags & _NLM_F_DUMP_INTR != 0), 0
    if kind == _NLMSG_ERROR and len(message) >= _HEAD.size + 4:
        (number,) = struct.unpack_from("=i", message, _HEAD.size)
        return (LINK_REFUSED, 0, 0, -number) if number else None
    if kind in (_RTM_NEWLINK, _RTM_DELLINK) and len(message) >= _HEAD.size + _LINK.size:
        family, _, index, bits, _ = _LINK.unpack_from(message, _HEAD.size)
        if family == socket.AF_UNSPEC:
            what = LINK_IS if kind == _RTM_NEWLINK else LINK_GONE
            return what, index, bits, _carrier_changes(message)
    return None


class Links:
    """One rtnetlink socket that hears of interfaces; every call gives n or -errno, fd is one that was not made."""

    def __init__(self) -> None:
        self._links: list[tuple[int, int, int, int]] = []
        self._buffer = ctypes.create_string_buffer(_ROOM)
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self.fd = _socket(socket.AF_NETLINK, kind, _NETLINK_ROUTE)
        if self.fd >= 0:
            rc = _bind(self.fd, _ADDRESS, len(_ADDRESS))
            if rc < 0:
                os.close(self.fd)
                self.fd = rc

    def ask(self, index: int) -> int:
        """Ask for one interface, or with 0 for all of them."""
        body = _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0)
        body += struct.pack("=HHI", 8, _IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
        flags = _NLM_F_REQUEST | (0 if index else _NLM_F_DUMP)
        request = _HEAD.pack(_HEAD.size + len(body), _RTM_GETLINK, flags, 0, 0) + body
        return min(_sendto(self.fd, request, len(request), 0, _KERNEL, len(_KERNEL)), 0)

    def read(self) -> int:
        """Read one datagram; how many records it gives.  -EAGAIN: none is left; -ENOBUFS: some were lost."""
        self._links = []
        sender, size = ctypes.create_string_buffer(12), ctypes.c_uint(12)
        flags = socket.MSG_DONTWAIT | socket.MSG_TRUNC
        n = _recvfrom(self.fd, self._buffer, _ROOM, flags, sender, ctypes.byref(size))
        if n < 0:
            return n
        if n > _ROOM:
            return -errno.ENOBUFS
        if struct.unpack_from("=I", sender.raw, 4)[0]:
            return 0  # not the kernel
        data = ctypes.string_at(self._buffer, n)
        at = 0
        while at + _HEAD.size <= n:
            length, kind, bits, _, _ = _HEAD.unpack_from(data, at)
            if length < _HEAD.size or at + length > n:
                break
            link = _link_of(kind, bits, data[at : at + length])
            if link is not None:
                self._links.append(link)
            at += (length + 3) & ~3
        return len(self._links)

    def kind(self, i: int) -> int:
        """LINK_* of the i-th record."""
        return self._links[i][0]

    def index(self, i: int) -> int:
        """Which interface."""
        return self._links[i][1]

    def flags(self, i: int) -> int:
        """IFF_*; of LINK_LISTED 1 if the list is torn, since interfaces came and went while it was made."""
        return self._links[i][2]

    def value(self, i: int) -> int:
        """How often its carrier has changed; of LINK_REFUSED the errno."""
        return self._links[i][3]

    def close(self) -> None:
        """close(2); idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
