"""The C peers: loops of the kernel's mechanisms, and the three libraries, each timed in C.

A library whose headers are not installed is absent, with the package that has them.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from bench import native
from bench.model import Unavailable
from knote import caps

_INT, _LONG, _POINTER = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p


@dataclass(frozen=True)
class Peer:
    """One file of c/.  header, package: what it needs, and where Debian has it."""

    name: str
    source: str
    libraries: tuple[str, ...] = ()
    header: str = ""
    package: str = ""
    level: bool = True
    """Tells of what is ready for as long as it is."""
    timers: bool = False

    def load(self) -> ctypes.CDLL:
        """The shared library, compiled when first asked for.  Unavailable with the reason."""
        if self.source == "uring" and (why := no_io_uring()):
            raise Unavailable(why)
        try:
            return _loaded(f"peer_{self.source}.c", self.libraries, self.timers)
        except Unavailable as error:
            if self.header and f"{self.header}: No such file" in str(error):
                raise Unavailable(f"{self.header} is not installed: apt install {self.package}") from None
            raise


PEERS = (
    Peer("C epoll", "epoll"),
    Peer("C poll", "poll"),
    Peer("C select", "select"),
    Peer("C io_uring", "uring", ("-luring",), "liburing.h", "liburing-dev", level=False),
    Peer("libev", "ev", ("-lev",), "ev.h", "libev-dev", timers=True),
    Peer("libevent", "event", ("-levent",), "event2/event.h", "libevent-dev", timers=True),
    Peer("libuv", "uv", ("-luv",), "uv.h", "libuv1-dev", timers=True),
)


EDGES = (Peer("C epoll, by edge", "epoll_edges"), PEERS[3])
"""Those that tell of an edge once."""

VARIABLE = caps.IO_URING_VARIABLE


def has_io_uring() -> bool:
    """Asks the kernel, whatever the environment says."""
    return any(cap.name == "io_uring" and cap.here for cap in caps.report(True).facilities)


def no_io_uring() -> str:
    """Why the ring cannot be used; "" if it can.  Asks the kernel only if the environment allows it."""
    for cap in caps.report().facilities:
        if cap.name == "io_uring" and not cap.here:
            return cap.why
    return ""


@cache
def _loaded(source: str, libraries: Sequence[str], timers: bool) -> ctypes.CDLL:
    path = native.compiled(source, "-shared", "-fPIC", libraries=libraries)
    library = ctypes.CDLL(str(path))
    numbers = ctypes.POINTER(_INT)
    library.bench_open.argtypes, library.bench_open.restype = [numbers, numbers, _INT], _POINTER
    library.bench_close.argtypes, library.bench_close.restype = [_POINTER], None
    library.bench_waits.argtypes = [_POINTER, _LONG, ctypes.POINTER(_LONG)]
    library.bench_pipes.argtypes = [_POINTER, _INT, _INT, _LONG]
    library.bench_edges.argtypes = [_POINTER, _INT, _LONG]
    library.bench_waits.restype = library.bench_pipes.restype = library.bench_edges.restype = _LONG
    if timers:
        library.bench_timers.argtypes, library.bench_timers.restype = [_INT, _LONG], _LONG
    return library


class Loop:
    """A peer that watches descriptors for reading, until close()."""

    def __init__(self, peer: Peer, reading: Sequence[int], writing: Sequence[int] = ()) -> None:
        self._library = peer.load()
        # Kept here: the C side reads them at each turn.
        self._reading = (_INT * len(reading))(*reading)
        self._writing = (_INT * len(writing))(*writing)
        self._bench = self._library.bench_open(self._reading, self._writing, len(reading))
        if not self._bench:
            number = self._library.bench_errno()
            known = {errno.ERANGE: "select(2) takes numbers below FD_SETSIZE, 1024"}
            raise Unavailable(known.get(number) or os.strerror(number))

    def waits(self, ready: int) -> Callable[[int], int]:
        """run(turns): turns that do not block, each of which must tell of so many."""
        # Their room for events grows as they see more of them.
        native.checked(self._library.bench_waits(self._bench, 16, ctypes.byref(_LONG())))

        def run(turns: int) -> int:
            events = _LONG()
            taken = native.checked(self._library.bench_waits(self._bench, turns, ctypes.byref(events)))
            assert events.value == turns * ready, (events.value, turns, ready)
            return taken

        return run

    def pipes(self, active: int, writes: int) -> Callable[[int], int]:
        """run(runs) of libevent's bench."""
        return lambda runs: native.checked(self._library.bench_pipes(self._bench, active, writes, runs))

    def edges(self, active: int) -> Callable[[int], int]:
        """run(turns) of as many bytes written, told of, and read; timed is the telling."""
        return lambda turns: native.checked(self._library.bench_edges(self._bench, active, turns))

    def close(self) -> None:
        """Let go of all descriptors."""
        self._library.bench_close(self._bench)


def timers(peer: Peer, count: int) -> Callable[[int], int]:
    """run(turns): with so many timers pending, each turn moves one an hour ahead."""
    library = peer.load()
    return lambda turns: native.checked(library.bench_timers(count, turns))
