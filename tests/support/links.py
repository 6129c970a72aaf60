"""Network interfaces made, changed and deleted by rtnetlink(7) itself: no iproute2 is needed, and it is quick."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from typing import Final

from tests.support.waiting import wait_until

_NEWLINK: Final = 16
_DELLINK: Final = 17
_REQUEST_ACK: Final = 0x1 | 0x4
_CREATE_EXCL: Final = 0x400 | 0x200
_IFNAME: Final = 3
_LINKINFO: Final = 18
_INFO_KIND: Final = 1
_INFO_DATA: Final = 2
_PEER: Final = 1
_UP: Final = 1
_RUNNING: Final = 0x40
_SIOCGIFFLAGS: Final = 0x8913
RTMGRP_LINK: Final = 1


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def _name(name: str) -> bytes:
    return _attribute(_IFNAME, name.encode() + b"\0")


def _link(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


class Links:
    """A socket to the kernel; each request waits for its answer, and what the kernel refuses raises OSError."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        self._socket.send(struct.pack("=IHHII", 16 + len(body), kind, _REQUEST_ACK | flags, 1, 0) + body)
        answer = self._socket.recv(65536)
        (number,) = struct.unpack_from("=i", answer, 16)
        if number:
            raise OSError(-number, os.strerror(-number))

    def veth(self, name: str, peer: str, index: int = 0) -> int:
        """Two interfaces, joined by a cable; the index of the first, which the kernel chooses for 0."""
        data = _attribute(_INFO_DATA, _attribute(_PEER, _link() + _name(peer)))
        info = _attribute(_LINKINFO, _attribute(_INFO_KIND, b"veth") + data)
        self._ask(_NEWLINK, _CREATE_EXCL, _link(index) + _name(name) + info)
        return socket.if_nametoindex(name)

    def bridge(self, name: str) -> int:
        """A switch; its index."""
        info = _attribute(_LINKINFO, _attribute(_INFO_KIND, b"bridge"))
        self._ask(_NEWLINK, _CREATE_EXCL, _link() + _name(name) + info)
        return socket.if_nametoindex(name)

    def join(self, name: str, bridge: int) -> None:
        """Plug it into the bridge; 0 pulls it out."""
        master = _attribute(10, struct.pack("=I", bridge))
        self._ask(_NEWLINK, 0, _link(socket.if_nametoindex(name)) + master)

    def up(self, name: str) -> None:
        self._ask(_NEWLINK, 0, _link(socket.if_nametoindex(name), _UP, _UP))

    def down(self, name: str) -> None:
        self._ask(_NEWLINK, 0, _link(socket.if_nametoindex(name), 0, _UP))

    def wait_running(self, *names: str) -> None:
        """Until the kernel has seen their carriers, which it does up to a second late."""
        for name in names:
            wait_until(lambda name=name: self._flags(name) & _RUNNING, what=f"{name} running")

    def _flags(self, name: str) -> int:
        answer = fcntl.ioctl(self._socket, _SIOCGIFFLAGS, struct.pack("16s16x", name.encode()))
        flags: int = struct.unpack_from("=H", answer, 16)[0]
        return flags

    def delete(self, name: str) -> None:
        self._ask(_DELLINK, 0, _link(socket.if_nametoindex(name)))


def listener() -> socket.socket:
    """Hears of interfaces as knote's own socket does, with as much room."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    made.bind((0, RTMGRP_LINK))
    return made
