"""The C side: c/*.c, compiled when first needed, outside of the tree, gone with the process."""

from __future__ import annotations

import atexit
import ctypes
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import knote
from bench import machine
from bench.model import Unavailable

SOURCES = Path(__file__).parent / "c"
KERNEL_ROOM = Path(knote.__file__).parent / "_kernel"
"""The headers of knote's own C, which are installed with it."""
VARIABLE = "KNOTE_BENCH_BUILT"
"""Names the directory to the processes that measure, which would each compile the same again."""


@cache
def directory() -> Path:
    """Where programs and libraries of ours go: of the process that started the run, or this one's own."""
    if (given := os.environ.get(VARIABLE)) and os.path.isdir(given):
        return Path(given)
    made = tempfile.TemporaryDirectory(prefix="knote-bench-")
    atexit.register(made.cleanup)
    return Path(made.name)


def compiled(source: str, *options: str, libraries: Sequence[str] = ()) -> Path:
    """What the compiler makes of c/SOURCE.  Unavailable without a compiler, or with what it says."""
    target = directory() / source.removesuffix(".c")
    if target.exists():
        return target
    made = target.with_suffix(f".{os.getpid()}")
    # -O3: upper-casing has to be vectorised for the C server to be the limit that it stands for.
    command = [*machine.compiler(), "-O3", "-std=gnu11", "-Wall", "-Wextra", *options]
    try:
        subprocess.run(
            [*command, "-o", str(made), str(SOURCES / source), *libraries],
            check=True,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        raise Unavailable(f"no C compiler ({command[0]}): apt install gcc") from None
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"{source} does not compile: {error.stderr.strip()}") from None
    made.rename(target)
    return target


@cache
def program(source: str) -> Path:
    """The path of the program made from bench/c/source."""
    return compiled(source)


@cache
def _loops() -> ctypes.CDLL:
    library = ctypes.CDLL(str(compiled("loops.c", "-shared", "-fPIC")))
    number, long = ctypes.c_int, ctypes.c_int64
    out = ctypes.POINTER(long)
    for name in ("loop_wait", "loop_wait_fionread"):
        getattr(library, name).argtypes = [number, number, long, out]
        getattr(library, name).restype = long
    library.loop_modify.argtypes = [
        number, ctypes.POINTER(number), number, ctypes.c_uint32, ctypes.c_uint32, long,
    ]  # fmt: skip
    library.loop_modify.restype = long
    library.loop_change_wait.argtypes = [
        number, ctypes.POINTER(number), number, ctypes.c_uint32, ctypes.c_uint32, number, long,
    ]  # fmt: skip
    library.loop_change_wait.restype = long
    for name in ("loop_fill", "loop_drain"):
        getattr(library, name).argtypes = [ctypes.POINTER(number), number]
        getattr(library, name).restype = long
    return library


def checked(nanoseconds: int) -> int:
    if nanoseconds < 0:
        raise OSError(-nanoseconds, os.strerror(-nanoseconds))
    return nanoseconds


def _counting(name: str, epoll: int, room: int, per_turn: int) -> Callable[[int], int]:
    loop = getattr(_loops(), name)

    def run(turns: int) -> int:
        counted = ctypes.c_int64()
        taken = checked(loop(epoll, room, turns, ctypes.byref(counted)))
        # The loops must have done the same work, or the ratio means nothing.
        assert counted.value == per_turn * turns, (name, counted.value, per_turn, turns)
        return taken

    return run


def wait(epoll: int, room: int, events: int) -> Callable[[int], int]:
    """run(turns) of epoll_wait(timeout 0); each must report so many events."""
    return _counting("loop_wait", epoll, room, events)


def wait_fionread(epoll: int, room: int, readable: int) -> Callable[[int], int]:
    """run(turns) of epoll_wait and FIONREAD on each; a turn must find `readable` bytes in all."""
    return _counting("loop_wait_fionread", epoll, room, readable)


def modify(epoll: int, fds: Sequence[int], wide: int, narrow: int) -> Callable[[int], int]:
    """run(turns); each turn is one EPOLL_CTL_MOD to wide and one to narrow, on every descriptor."""
    numbers = (ctypes.c_int * len(fds))(*fds)
    library = _loops()
    return lambda turns: checked(
        library.loop_modify(epoll, numbers, len(fds), wide, narrow, turns)
    )


def change_wait(epoll: int, fds: Sequence[int], wide: int, narrow: int, ready: int) -> Callable[[int], int]:
    """run(turns); a turn is one EPOLL_CTL_MOD on every descriptor, to and fro, and a wait that finds `ready`."""
    numbers = (ctypes.c_int * len(fds))(*fds)
    library = _loops()
    return lambda turns: checked(
        library.loop_change_wait(epoll, numbers, len(fds), wide, narrow, ready, turns)
    )


def fill(writing: Sequence[int]) -> Callable[[], int]:
    """Writes a byte into each of these pipes."""
    return _each("loop_fill", writing)


def drain(reading: Sequence[int]) -> Callable[[], int]:
    """Reads a byte out of each of these pipes."""
    return _each("loop_drain", reading)


def _each(name: str, fds: Sequence[int]) -> Callable[[], int]:
    function, numbers = getattr(_loops(), name), (ctypes.c_int * len(fds))(*fds)
    return lambda: checked(function(numbers, len(fds)))
