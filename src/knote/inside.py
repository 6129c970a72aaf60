"""Seeing inside: what is registered, and with KNOTE_TRACE what goes in and comes out."""

from __future__ import annotations

import contextlib
import os
import reprlib
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from knote import constants, words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from knote.kevent import kevent


class Registration(NamedTuple):
    """One knote of a queue, as it was when kqueue.knotes() looked."""

    filter: int
    """EVFILT_*."""
    ident: int
    flags: int
    """The flags that stick: EV_CLEAR, EV_ONESHOT, EV_DISPATCH, EV_RECEIPT."""
    fflags: int
    """The notes of the last change."""
    data: int
    """The data of the last change."""
    udata: Any
    enabled: bool
    """Not disabled, neither by EV_DISABLE nor by a delivery with EV_DISPATCH."""
    pending: bool
    """On the queue's own ready list.  What the kernel holds ready is not looked at, since looking collects it."""
    hits: int
    """How often it was returned."""

    def __str__(self) -> str:
        parts = [
            constants.filter_text(self.filter),
            _ident(self.filter, self.ident),
            f"data={self.data}" if self.data else "",
            constants.flags_text(self.flags),
            words.fflags_text(self.filter, 0, self.fflags),
            _udata(self.udata),
            "" if self.enabled else "disabled",
            "pending" if self.pending else "",
            f"hits={self.hits}",
        ]
        return " ".join(part for part in parts if part)


def _udata(udata: Any) -> str:
    if type(udata) is int:
        return f"udata={udata:#x}" if udata else ""
    return f"udata={reprlib.repr(udata)}"  # short, and it survives a repr() that raises


def _ident(filter_: int, ident: int) -> str:
    text = words.ident_text(filter_, ident)
    return text + file_text(ident) if constants.ident_text(filter_) in ("fd", "pidfd") else text


def file_text(fd: int) -> str:
    """'<pipe:[811]>', '<TCP 127.0.0.1:5000 - 127.0.0.1:6000>', '<closed>': what the number means now."""
    try:
        name = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "<closed>"
    return f"<{_socket_text(fd, name) if name.startswith('socket:') else name}>"


def _address(address: Any) -> str:
    if isinstance(address, tuple):
        host, port, *_ = address
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return address.decode(errors="replace").replace("\0", "@") if isinstance(address, bytes) else str(address)


def _socket_text(fd: int, name: str) -> str:
    # getsockopt(2) and getsockname(2) take nothing; SO_ERROR is not asked.
    try:
        # A program with sockets has imported it; for all others it would be a tenth of a queue's import.
        import socket

        sock = socket.socket(fileno=fd)
    except (OSError, ImportError):
        return name
    try:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            kind = {socket.SOCK_STREAM: "TCP", socket.SOCK_DGRAM: "UDP"}.get(sock.type, sock.type.name)
        else:
            kind = f"{socket.AddressFamily(sock.family).name[3:]} {sock.type.name[5:]}"
        ends = [_address(sock.getsockname())]
        with contextlib.suppress(OSError):  # not connected
            ends.append(_address(sock.getpeername()))
        return f"{kind} {' - '.join(end for end in ends if end) or name}"
    except (OSError, ValueError, AttributeError):  # a family or type that Python has no name for
        return name
    finally:
        sock.detach()


def text(event: kevent) -> str:
    """A change or an event in one line: 'READ fd=5<pipe:[811]> data=12 CLEAR'."""
    parts = [
        constants.filter_text(event.filter),
        _ident(event.filter, event.ident),
        words.data_text(event.filter, event.flags, event.fflags, event.data),
        constants.flags_text(event.flags),
        words.fflags_text(event.filter, event.flags, event.fflags),
        _udata(event.udata),
    ]
    return " ".join(part for part in parts if part)


class Trace:
    """Writes what a program asks of its queues, and what it gets, a line each.

    Lines go out by one write(2) each, to stderr's descriptor or to a file that is appended to, so that threads and
    forked children do not mix within a line, and a signal handler may come at any moment.
    """

    def __init__(self, where: str, as_text: Callable[[Any], str] = text) -> None:
        """where: "1" for stderr, else the path of a file.  OSError if that cannot be opened."""
        self._text = as_text
        self._fd = 2
        if where != "1":
            self._fd = os.open(where, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)

    def say(self, number: int, *lines: str) -> None:
        """Lines about the queue of that descriptor number."""
        now = time.time()
        stamp = time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1e6):06}"
        thread, process = threading.get_native_id(), os.getpid()
        who = f"{process}" if thread == process else f"{process}/{thread}"
        for line in lines:
            with contextlib.suppress(OSError):  # a closed stderr is no reason to fail
                os.write(self._fd, f"{stamp} [{who}] kqueue {number} {line}\n".encode(errors="backslashreplace"))

    def asked(
        self, number: int, changes: Sequence[Any] | None, maxevents: int, timeout: float | None
    ) -> float:
        """A line for each change, and one for what is waited for; gives the time, for got()."""
        lines = [f"<- {self._text(change).replace(' data=0 ', ' ')}" for change in changes or ()]
        if maxevents:
            wait = "waits for ever" if timeout is None else f"waits {timeout} s" if timeout else "does not wait"
            lines.append(f".. room for {maxevents}, {wait}")
        self.say(number, *lines)
        return time.monotonic()

    def got(self, number: int, events: Sequence[Any], maxevents: int, start: float) -> None:
        """A line for each event, and one for how long it took."""
        lines = [f"-> {self._text(event)}" for event in events]
        if maxevents:
            lines.append(f"== {len(events)} after {time.monotonic() - start:.6f} s")
        self.say(number, *lines)

    def raised(self, number: int, error: BaseException) -> None:
        """A line for what control() raised."""
        self.say(number, f"!! {type(error).__name__}: {error}")

    def call(
        self, number: int, run: Callable[..., list[Any]],
        changes: Sequence[Any] | None, maxevents: int, timeout: float | None,
    ) -> list[Any]:  # fmt: skip
        """run(changes, maxevents, timeout), with the lines before and after it."""
        start = self.asked(number, changes, maxevents, timeout)
        try:
            events = run(changes, maxevents, timeout)
        except BaseException as error:
            self.raised(number, error)
            raise
        self.got(number, events, maxevents, start)
        return events


def tracer(as_text: Callable[[Any], str] = text) -> Trace | None:
    """What $KNOTE_TRACE asks for: nothing by '' or '0', stderr by '1', else the file of that name."""
    where = os.environ.get("KNOTE_TRACE", "")
    return Trace(where, as_text) if where not in ("", "0") else None
