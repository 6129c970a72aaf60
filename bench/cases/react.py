"""How soon does `knote wait` tell of what happened, and what does it cost until then?

A fresh `knote wait` for each sample.  When it waits in the kernel the thing happens; the time goes from just
before the call that makes it happen to the moment that the line has been read here, both by CLOCK_MONOTONIC, so
the wake-up of the reader is in it.  The one condition that no kernel tells of is asked for again and again: it
has no target.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.model import Case, Figure, Row, Settings, Unavailable

TARGET_MS = 10.0
LONGEST_S = 20.0
WAITING_S = 1.0

Happen = Callable[[int], object]
"""Makes it happen; gets the number of the process that waits."""
Prepare = Callable[[Path, contextlib.ExitStack], tuple[list[str], Happen]]
"""In an empty directory: what is waited for, as words of a command line, and how it happens."""


def _exists(place: Path, stack: contextlib.ExitStack) -> tuple[list[str], Happen]:
    return ["--exists", str(place / "it")], lambda _pid: os.mkfifo(place / "it")


def _file(place: Path, stack: contextlib.ExitStack) -> tuple[list[str], Happen]:
    file = stack.enter_context((place / "it").open("wb", buffering=0))
    return ["--file", file.name], lambda _pid: file.write(b"x")


def _pid(place: Path, stack: contextlib.ExitStack) -> tuple[list[str], Happen]:
    other = stack.enter_context(
        subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    )
    stack.callback(other.kill)
    return ["--pid", str(other.pid)], lambda _pid: other.kill()


def _signal(place: Path, stack: contextlib.ExitStack) -> tuple[list[str], Happen]:
    return ["--signal", "USR1"], lambda pid: os.kill(pid, signal.SIGUSR1)


def _read(place: Path, stack: contextlib.ExitStack) -> tuple[list[str], Happen]:
    r, w = os.pipe()
    stack.callback(os.close, r)
    stack.callback(os.close, w)
    os.set_inheritable(r, True)
    return ["--read", str(r)], lambda _pid: os.write(w, b"x")


def _connect(place: Path, stack: contextlib.ExitStack) -> tuple[list[str], Happen]:
    door = stack.enter_context(socket.socket(socket.AF_UNIX))
    door.bind(str(place / "door"))
    return ["--connect", str(place / "door")], lambda _pid: door.listen()


@contextlib.contextmanager
def _waiting(prepares: list[Prepare]) -> Iterator[tuple[subprocess.Popen[bytes], list[Happen]]]:
    """A `knote wait` for all of these, once it waits."""
    with contextlib.ExitStack() as stack:
        words: list[str] = []
        happens: list[Happen] = []
        for prepare in prepares:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="knote-bench-")))
            more, happen = prepare(place, stack)
            words += more
            happens.append(happen)
        command = [sys.executable, "-m", "knote", "wait", *words]
        process = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0, close_fds=False)
        )
        stack.callback(process.kill)
        end = time.monotonic() + LONGEST_S
        while "poll" not in Path(f"/proc/{process.pid}/wchan").read_text():
            if process.poll() is not None or time.monotonic() > end:
                raise Unavailable("the program does not wait, or /proc/PID/wchan does not say so")
            time.sleep(0.001)
        yield process, happens


def told(prepare: Prepare) -> Callable[[], float]:
    """Milliseconds from the fact to its line."""

    def sample() -> float:
        with _waiting([prepare]) as (process, [happen]):
            assert process.stdout is not None
            start = time.monotonic_ns()
            happen(process.pid)
            line = process.stdout.read(1)
            taken = time.monotonic_ns() - start
            if not line:
                raise Unavailable("the program ended without a line")
        return taken / 1e6

    return sample


def used(seconds: float) -> float:
    """Milliseconds of a processor in each second of waiting for everything that a kernel tells of."""
    with _waiting([_exists, _file, _pid, _signal, _read]) as (process, _):
        schedule = Path(f"/proc/{process.pid}/schedstat")
        before = int(schedule.read_text().split()[0])
        time.sleep(seconds)
        return (int(schedule.read_text().split()[0]) - before) / 1e6 / seconds


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """Figures with a target of their own: nobody else waits for all of it."""
    kinds: dict[str, Prepare] = {
        "a file is there": _exists,
        "a file is written to": _file,
        "a process ends": _pid,
        "a signal comes": _signal,
        "a pipe has something": _read,
    }
    made: list[Row] = [
        Figure(f"{name}: from the fact to its line", told(prepare), TARGET_MS, "ms", 15)
        for name, prepare in kinds.items()
    ]
    asked = Figure("a server answers (asked again and again): the same", told(_connect), None, "ms", 15)
    seconds = WAITING_S * settings.scale
    yield [*made, asked, Figure("a second of waiting, CPU", lambda: used(seconds), 0.0, "ms", 3)]


CASE = Case("react", "How soon does knote wait tell of what happened?", rows)
