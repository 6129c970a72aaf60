"""The machine: one core, a moment of real-time priority, and what to tell about it."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import knote

ENGINE = "KNOTE_ENGINE"
"""The variable that names the engine of whoever asks for none."""


def cores() -> tuple[int, int]:
    """(the core that is measured on, another for load generators); the same if there is one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """This thread, and the processes that it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def may_use_fifo() -> bool:
    """Whether realtime() does anything here; it needs root or CAP_SYS_NICE."""
    with realtime() as granted:
        return granted


@contextlib.contextmanager
def realtime(*threads: int) -> Iterator[bool]:
    """SCHED_FIFO for these threads (default: this one); gives whether it was granted.

    On a shared machine the same loop otherwise takes anything between one and four times as long.
    For fractions of a second only: a longer loop would starve whatever else needs the core, and the
    kernel throttles it after 0.95 s (sched(7)).
    """
    granted = [tid for tid in threads or (0,) if _schedule(tid, os.SCHED_FIFO, 1)]
    try:
        yield bool(granted)
    finally:
        for tid in granted:
            _schedule(tid, os.SCHED_OTHER, 0)


def _schedule(tid: int, policy: int, priority: int) -> bool:
    try:
        os.sched_setscheduler(tid, policy, os.sched_param(priority))
    except OSError:
        return False  # EPERM: no privilege; ESRCH: it has ended.  Both leave only more noise.
    return True


def threads_of(pid: int) -> list[int]:
    """Thread ids of a process; none once it has ended."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except FileNotFoundError:
        return []


def raise_descriptor_limit() -> int:
    """RLIMIT_NOFILE as high as it goes without privileges; gives the limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def describe(command: Sequence[str]) -> dict[str, Any]:
    """What a figure depends on: date, machine, versions, build."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "compiler": _first_line([*compiler(), "--version"]),
        "knote": knote.__version__,
        # Not all of build_info(): where the modules lie is nobody else's business.
        "build": knote.build_info()["build"],
        "engine": os.environ.get(ENGINE, ""),
        "realtime": may_use_fifo(),
        "command": f"{command[0]} {shlex.join(command[1:])}".strip(),
    }


def compiler() -> list[str]:
    """The C compiler's command: $CC, which may be two words (ccache gcc), or cc."""
    return shlex.split(os.environ.get("CC") or "cc")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _first_line(command: list[str]) -> str:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        return ran.stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "none"
