"""What the tests of EVFILT_SIGNAL share."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from knote import EV_ADD, EVFILT_SIGNAL, kevent
from tests.behaviour.words import ready

USR1, USR2, RT = signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMIN + 5

_libc = ctypes.CDLL(None, use_errno=True)

_PROLOGUE = """
import os, signal, subprocess, sys, threading, time
from knote import *
def sig(number, flags=EV_ADD):
    return kevent(number, EVFILT_SIGNAL, flags)
def counts(timeout=0):
    return [(e.ident, e.data) for e in kq.control(None, 8, timeout)]
me = os.getpid()
kq = kqueue()
"""


@pytest.fixture(autouse=True)
def dispositions() -> Iterator[None]:
    """USR1, USR2 and RT, as they were."""
    before = {number: signal.getsignal(number) for number in (USR1, USR2, RT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def data(kq: Any) -> list[int]:
    """Of the events that are ready, how often each signal came."""
    return [event.data for event in ready(kq)]


def sig(number: int, flags: int = EV_ADD, udata: Any = 0) -> kevent:
    """A change of an EVFILT_SIGNAL knote."""
    return kevent(number, EVFILT_SIGNAL, flags, udata=udata)


def send(number: int, times: int = 1) -> None:
    """To this process, one after the other."""
    for _ in range(times):
        os.kill(os.getpid(), number)


def disposition(number: int) -> tuple[int, int, bytes]:
    """The handler, the flags and the mask as the kernel has them."""
    raw = (ctypes.c_char * 256)()
    assert _libc.sigaction(number, None, raw) == 0
    return (
        int.from_bytes(raw.raw[:8], "little"),
        int.from_bytes(raw.raw[136:140], "little"),
        raw.raw[8:16],
    )


def program(text: str, *, own_group: bool = False) -> subprocess.Popen[str]:
    """A program of its own, with kq, sig() and counts(); what it prints is in stdout."""
    code = _PROLOGUE + textwrap.dedent(text)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0 if own_group else None,
    )


def told_by(text: str) -> list[str]:
    """The lines that a program prints; it must end well."""
    with program(text) as running:
        said, _ = running.communicate(timeout=20)
    assert running.returncode == 0, said
    return said.splitlines()
