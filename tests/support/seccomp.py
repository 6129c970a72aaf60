"""A seccomp filter for this process and its children: chosen system calls kill, or fail with an errno."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
import sys
from typing import Final

IO_URING: Final = (425, 426, 427)
"""io_uring_setup, io_uring_enter, io_uring_register: the same on all architectures."""
IO_URING_SETUP: Final = IO_URING[:1]
IO_URING_ENTER: Final = IO_URING[1:2]
IO_URING_REGISTER: Final = IO_URING[2:]

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def program(numbers: tuple[int, ...], verdict: int) -> Program:
    """A filter that has this verdict on these system calls, and allows the others."""
    ours = ARCHITECTURES[platform.machine()]
    rows = [(0x20, 0, 0, 4), (0x15, 1, 0, ours), (0x06, 0, 0, _ALLOW), (0x20, 0, 0, 0)]
    for i, number in enumerate(numbers):
        rows.append((0x15, len(numbers) - i, 0, number))
    rows += [(0x06, 0, 0, _ALLOW), (0x06, 0, 0, verdict)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
    made = Program(len(rows), ctypes.cast(code, ctypes.c_void_p))
    made.code = code
    return made


def deny(numbers: tuple[int, ...], error: int | None = None) -> None:
    """From now on these system calls fail with error; without one they kill the process.  There is no way back."""
    made = program(numbers, _KILL_PROCESS if error is None else _ERRNO | error)
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(made), 0, 0),
    ):
        if libc.prctl(*arguments) < 0:
            raise OSError(ctypes.get_errno(), "prctl(2) for a seccomp filter")


def run(
    code: str, numbers: tuple[int, ...], error: int | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A program, as text, in an interpreter of its own under such a filter."""
    prologue = f"from tests.support import seccomp\nseccomp.deny({numbers!r}, {error!r})\n"
    clean = {name: value for name, value in os.environ.items() if name not in ("KNOTE_AIO", "KNOTE_IO_URING")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", prologue + code],
        capture_output=True, text=True, timeout=60, env=clean | environment, check=False,
    )  # fmt: skip


if __name__ == "__main__":  # python -m tests.support.seccomp kill|ERRNO command ...
    deny(IO_URING, None if sys.argv[1] == "kill" else int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
