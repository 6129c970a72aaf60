"""Memory that is short for one process only: a control group with a small limit, and a program that needs more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

_LIMIT: Final = 24 << 20
_NEED: Final = 96 << 20
_ROOTS: Final = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)
# Reads a file again and again of which only a quarter fits into its memory, so it waits for pages that it had.
_THRASH: Final = """
import mmap, os, sys
group, path, need = sys.argv[1:]
open(group, "w").write(str(os.getpid()))
fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
os.unlink(path)
part = os.urandom(1 << 20)
for _ in range(int(need) >> 20):
    os.write(fd, part)
os.fsync(fd)
whole = mmap.mmap(fd, int(need), prot=mmap.PROT_READ)
while os.getppid() == PARENT:
    for at in range(0, int(need), 4096):
        whole[at]
"""


def _make() -> tuple[Path, Path] | None:
    for root, limit in _ROOTS:
        group = root / f"knote-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(_LIMIT))
            return group, group / "cgroup.procs"
        except OSError:
            group.rmdir()
    return None


@cache
def usable() -> bool:
    """A group with a limit can be made here."""
    made = _make()
    if made is None:
        return False
    made[0].rmdir()
    return True


@contextmanager
def squeezed(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child that waits for memory most of its time, with its file in directory."""
    made = _make()
    assert made is not None, "asked for without @pytest.mark.needs('memory cgroup')"
    group, members = made
    code = _THRASH.replace("PARENT", str(os.getpid()))
    child = subprocess.Popen([sys.executable, "-c", code, str(members), str(directory / "big"), str(_NEED)])
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        group.rmdir()
