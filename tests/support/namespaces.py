"""A test's body in namespaces of its own: mounts and network interfaces that nobody else sees, as root or not."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import select
import signal
import traceback
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from tests.support.waiting import SOON

MOUNT: Final = 0x00020000
"""CLONE_NEWNS: what is mounted."""
NET: Final = 0x40000000
"""CLONE_NEWNET: network interfaces, a loopback that is down to begin with."""

_CLONE_NEWUSER: Final = 0x10000000
_MS_PRIVATE_ALL: Final = (1 << 18) | (1 << 14)
_LONGEST: Final = 6 * SOON

libc: Final = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> None:
    """OSError of a libc call that failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def enter(kinds: int) -> None:
    """Leave for new namespaces of these kinds, where this process is root."""
    uid, gid = os.geteuid(), os.getegid()
    check(libc.unshare(_CLONE_NEWUSER | kinds))
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    if kinds & MOUNT:
        check(libc.mount(None, b"/", None, _MS_PRIVATE_ALL, None))


def limit(**values: int) -> None:
    """Set limits of /proc/sys/user for this namespace, which nobody else notices."""
    for name, value in values.items():
        with open(f"/proc/sys/user/{name}", "w") as file:
            file.write(str(value))


def run(kinds: int, body: Callable[[], object]) -> str:
    """Run body in a child, in new namespaces; what it raised, as text."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = ""
        try:
            enter(kinds)
            body()
        except BaseException:
            said = traceback.format_exc()
        finally:
            with contextlib.suppress(OSError):
                os.write(theirs, said.encode()[-60_000:])
            os._exit(0)
    os.close(theirs)
    parts = []
    try:
        while True:
            if not select.select([ours], [], [], _LONGEST)[0]:
                return f"still running after {_LONGEST} s"
            part = os.read(ours, 65536)
            if not part:
                return b"".join(parts).decode()
            parts.append(part)
    finally:
        os.close(ours)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def in_new(kinds: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorates a test: its body runs in namespaces of its own, in a child, so it makes its own queue."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def wrapped(**fixtures: Any) -> None:
            said = run(kinds, functools.partial(test, **fixtures))
            assert not said, "in its namespaces:\n" + said

        return wrapped

    return decorate


@cache
def refusal(kinds: int) -> str:
    """Why this sandbox does not let us; empty if it does."""
    said = run(kinds, lambda: None).splitlines()
    return said[-1] if said else ""
