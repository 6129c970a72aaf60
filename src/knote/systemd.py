"""What systemd(1) and a service say to each other, without a library: the sockets that it hands over, and how
it goes.

Source: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).  All of it is environment variables and
datagrams, so it works for whoever speaks the same, s6 and podman among them; where nobody does, nothing happens.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Final, NamedTuple

FIRST: Final = 3
"""The number of the first descriptor that is handed over (SD_LISTEN_FDS_START)."""
_PATIENCE: Final = 1.0
"""Seconds that a full queue of systemd's may hold us up, if it is about more than that all is well."""


class Passed(NamedTuple):
    """A descriptor that was handed over.  name: its FileDescriptorName=, by default that of the unit."""

    fd: int
    name: str


def listen_fds(*, unset: bool = True) -> list[Passed]:
    """The descriptors that were handed to this process, in the unit's order; [] if there are none.

    They are close-on-exec afterwards.  unset: take $LISTEN_FDS, $LISTEN_PID and $LISTEN_FDNAMES away, so that
    no child takes them for its own.  What is meant for another process ($LISTEN_PID) is not ours and stays.
    Raises ValueError for variables that make no sense, and OSError (EBADF) for a descriptor that is not open.
    Threads: as os.environ, so at the start of a program.
    """
    pid, number = os.environ.get("LISTEN_PID"), os.environ.get("LISTEN_FDS")
    if pid is None or number is None or pid != str(os.getpid()):
        return []
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    if unset:
        for variable in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
            os.environ.pop(variable, None)
    if not number.isdecimal():
        raise ValueError(f"LISTEN_FDS={number!r} is no number of descriptors")
    passed = []
    for at in range(int(number)):
        fd = FIRST + at
        try:
            os.set_inheritable(fd, False)
        except OSError as error:
            raise OSError(
                error.errno,
                f"LISTEN_FDS={number} is about descriptors from {FIRST} on, and {fd} is not open: unset it and "
                "LISTEN_PID where nobody hands sockets over",
            ) from None
        passed.append(Passed(fd, names[at] if at < len(names) and names[at] else "unknown"))
    return passed


def listening_sockets(*, unset: bool = True) -> list[socket.socket]:
    """Those of listen_fds() that are stream sockets and listen, as objects; the others are left open.
    Raises as listen_fds()."""
    socks = []
    for passed in listen_fds(unset=unset):
        try:
            sock = socket.socket(fileno=passed.fd)
        except OSError:
            continue  # ENOTSOCK: a FIFO, a file
        if sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            socks.append(sock)
        else:
            sock.detach()
    return socks


class Notifier:
    """Tells systemd how the service goes: Type=notify, Type=notify-reload, WatchdogSec=.

    It takes $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID as they are now; take: and away, so that no child
    speaks for the service.
    active: whether anybody listens.
    interval: seconds between two calls of watchdog(), half of what systemd waits; None if it does not.
    Every method returns whether the message was delivered, and never raises OSError: a service goes on without.
    Threads: any, at any time.
    """

    __slots__ = ("_address", "interval")

    def __init__(self, *, take: bool = True) -> None:
        get = os.environ.pop if take else os.environ.get
        path = get("NOTIFY_SOCKET", None) or ""
        usec, pid = get("WATCHDOG_USEC", None), get("WATCHDOG_PID", None)
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.interval: float | None = None
        if usec is not None and usec.isdecimal() and int(usec) and pid in (None, str(os.getpid())):
            self.interval = int(usec) / 2e6

    @property
    def active(self) -> bool:
        """Whether there is somebody to tell."""
        return bool(self._address)

    def ready(self, status: str = "") -> bool:
        """The start, or a reload, is over."""
        return self.send(READY="1", MAINPID=str(os.getpid()), **_said(status))

    def reloading(self, status: str = "") -> bool:
        """A reload has begun, which ready() ends."""
        # Type=notify-reload wants to know when, to tell this reload from the one before.
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        return self.send(RELOADING="1", MONOTONIC_USEC=str(now), **_said(status))

    def stopping(self, status: str = "") -> bool:
        """It is about to end."""
        return self.send(STOPPING="1", **_said(status))

    def status(self, text: str) -> bool:
        """A line for `systemctl status`."""
        return self._send({"STATUS": text}, 0)

    def watchdog(self) -> bool:
        """It is alive."""
        return self._send({"WATCHDOG": "1"}, 0)

    def send(self, **fields: str) -> bool:
        """Any fields of sd_notify(3), in one message.  Raises ValueError for a line break in one.  Waits for a
        second at most where systemd has too much to read; a status and a watchdog's message are lost instead."""
        return self._send(fields, _PATIENCE)

    def _send(self, fields: dict[str, str], patience: float) -> bool:
        if any("\n" in value for value in fields.values()):
            raise ValueError(f"{fields!r}: a field is one line")
        if not self._address:
            return False
        text = "".join(f"{name}={value}\n" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(patience)
                sock.sendto(text.encode(errors="surrogateescape"), self._address)
        except OSError:
            return False
        return True


def _said(status: str) -> dict[str, str]:
    return {"STATUS": status} if status else {}
