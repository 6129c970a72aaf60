"""Facts about the knote under test, each asked once: which build, which engines, which filters."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from tests.oracle import names
from tests.oracle.trace import FILE_EDGES, NESTED

if TYPE_CHECKING:
    from knote.engines.base import Traits

EV_ADD: Final = 0x0001
EV_CLEAR: Final = 0x0020
EV_RECEIPT: Final = 0x0040
NOTE_EXIT: Final = 0x80000000
NOTE_TRIGGER: Final = 0x01000000
NOTE_WRITE: Final = 0x0002


@cache
def build() -> str:
    """'compiled', 'interpreted', or 'mixed'."""
    import knote

    return str(knote.build_info()["build"])


@cache
def engine_names() -> tuple[str, ...]:
    """Every engine that knote has, usable here or not, in its own order of preference."""
    from knote import engines

    return tuple(engines.names())


ENGINES_VARIABLE: Final = "KNOTE_TEST_ENGINES"


@cache
def engines_under_test() -> tuple[str, ...]:
    """The default engine; or what $KNOTE_TEST_ENGINES says: "all", "others" (all but the default), or names."""
    from knote import engines

    said = os.environ.get(ENGINES_VARIABLE, "")
    default = engines.choose().name
    if said in ("", "default"):
        return (default,)
    if said == "all":
        return engine_names()
    if said == "others":
        return tuple(name for name in engine_names() if name != default)
    wanted = tuple(said.split(","))
    unknown = set(wanted) - set(engine_names())
    if unknown:
        raise ValueError(f"{ENGINES_VARIABLE}={said}: no engines: {', '.join(sorted(unknown))}")
    return wanted


def only_other_engines() -> bool:
    """The default engine is not under test, so another run is about everything that is not about engines."""
    from knote import engines

    return engines.choose().name not in engines_under_test()


def traits(name: str) -> Traits:
    """What the engine of that name can do."""
    from knote import engines

    return engines.choose(name).traits


@cache
def engine_refusal(name: str) -> str:
    """Why the engine cannot be used here; empty if it can."""
    import knote

    try:
        knote.kqueue(engine=name).close()
    except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
        return str(error) or type(error).__name__
    return ""


@cache
def ring_refusal() -> str:
    """Why a server cannot be driven by a ring here; empty if it can."""
    from knote.apps.ring_probe import why_not

    return why_not()


@cache
def carrier_refusal(name: str) -> str:
    """Why requests cannot be carried out this way here; empty if they can."""
    from knote import aio, kqueue

    before = os.environ.get("KNOTE_AIO")
    os.environ["KNOTE_AIO"] = name
    try:
        with kqueue() as queue:
            aio.backend(queue)
    except OSError as error:
        return str(error)
    finally:
        if before is None:
            del os.environ["KNOTE_AIO"]
        else:
            os.environ["KNOTE_AIO"] = before
    return ""


def _pipe(stack: ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for fd in ends:
        stack.callback(os.close, fd)
    return ends


def _socket(stack: ExitStack) -> int:
    pair = socket.socketpair()
    for end in pair:
        stack.callback(end.close)
    return pair[0].fileno()


def _file(stack: ExitStack) -> int:
    fd = os.open(__file__, os.O_RDONLY)
    stack.callback(os.close, fd)
    return fd


def _pidfd(stack: ExitStack) -> int:
    fd = os.pidfd_open(os.getpid())
    stack.callback(os.close, fd)
    return fd


_PROBES: Final[dict[str, Callable[[ExitStack], tuple[int, int]]]] = {
    "EVFILT_READ": lambda stack: (_pipe(stack)[0], 0),
    "EVFILT_WRITE": lambda stack: (_pipe(stack)[1], 0),
    "EVFILT_VNODE": lambda stack: (_file(stack), NOTE_WRITE),
    "EVFILT_PROC": lambda stack: (os.getpid(), NOTE_EXIT),
    "EVFILT_PROCDESC": lambda stack: (_pidfd(stack), NOTE_EXIT),
    "EVFILT_SIGNAL": lambda stack: (int(signal.SIGURG), 0),
    "EVFILT_TIMER": lambda stack: (1, 0),
    "EVFILT_USER": lambda stack: (1, 0),
    "EVFILT_FS": lambda stack: (0, 0),
    "EVFILT_EMPTY": lambda stack: (_socket(stack), 0),
}


@cache
def pressure() -> bool:
    """The kernel takes a trigger of memory pressure."""
    try:
        fd = os.open("/proc/pressure/memory", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.write(fd, b"some 100000 2000000\0") > 0
    except OSError:
        return False
    finally:
        os.close(fd)


@contextmanager
def _registered(name: str) -> Iterator[int]:
    """ADD what the filter is made for; yields the errno of the receipt."""
    import knote

    with ExitStack() as stack:
        ident, fflags = _PROBES[name](stack)
        queue = knote.kqueue()
        stack.callback(queue.close)
        number = names.FILTERS.get(name, names.FILTERS["EVFILT_READ"])
        change = knote.kevent(ident, number, EV_ADD | EV_RECEIPT, fflags, 60_000)
        receipt = queue.control([change], 1, 0)[0]
        yield int(receipt.data)


def _nests() -> bool:
    """A queue counts what is pending in another one (S-015); accepting it is not enough."""
    import knote

    user = names.FILTERS["EVFILT_USER"]
    with ExitStack() as stack:
        inner, outer = knote.kqueue(), knote.kqueue()
        stack.callback(inner.close)
        stack.callback(outer.close)
        inner.control([knote.kevent(1, user, EV_ADD), knote.kevent(1, user, 0, NOTE_TRIGGER)], 0)
        got = outer.control(
            [knote.kevent(inner.fileno(), names.FILTERS["EVFILT_READ"], EV_ADD)], 1, 0
        )
        return [event.data for event in got] == [1]


def _sees_writes() -> bool:
    """A write to a file is an edge (S-132)."""
    import knote

    write = names.FILTERS["EVFILT_WRITE"]
    with ExitStack() as stack:
        queue = knote.kqueue()
        stack.callback(queue.close)
        file = stack.enter_context(tempfile.TemporaryFile(buffering=0))
        change = knote.kevent(file.fileno(), write, EV_ADD | EV_CLEAR)
        first = queue.control([change], 1, 0)
        file.write(b"x")
        return len(first) == len(queue.control(None, 1, 0)) == 1


@cache
def has_filter(name: str) -> bool:
    """knote accepts what the filter is made for: EVFILT_VNODE a file, EVFILT_PROC a process."""
    if name == NESTED:
        return _nests()
    if name == FILE_EDGES:
        return _sees_writes()
    if name not in _PROBES:
        return False
    with _registered(name) as refused:
        return not refused


@cache
def has_connector() -> bool:
    """The kernel tells this process of forks and execs."""
    import knote

    with knote.kqueue() as kq:
        change = knote.kevent(os.getpid(), knote.EVFILT_PROC, knote.EV_ADD, knote.NOTE_FORK)
        try:
            kq.control([change], 0)
        except OSError:
            return False
    return True


@cache
def has_mptcp() -> bool:
    """A socket of IPPROTO_MPTCP can be made."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).close()
    except OSError:
        return False
    return True


@cache
def has_message_queues() -> bool:
    """mq_open(3) is there, and works."""
    open_ = getattr(ctypes.CDLL(None), "mq_open", None)
    if open_ is None:
        return False
    name = f"/knote-probe-{os.getpid()}".encode()
    fd = open_(name, os.O_CREAT | os.O_RDWR, 0o600, None)
    if fd >= 0:
        ctypes.CDLL(None).mq_unlink(name)
        os.close(fd)
    return bool(fd >= 0)
