"""Seeing this Python as another user does: it may lie where only root gets in, in /root for one."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

NOBODY: Final = "nobody"


def _closed(path: str) -> Path | None:
    """The outermost directory on the way to it that others may not enter."""
    here = Path(path).resolve()
    for one in [*reversed(here.parents), here]:
        if not one.stat().st_mode & 0o001:
            return one
    return None


@cache
def in_the_way() -> Path | None:
    """What keeps others from this interpreter and its library, if anything does."""
    return next((found for found in map(_closed, sorted({sys.base_prefix, sys.prefix})) if found), None)


def command(words: list[str], stage: Path) -> list[str]:
    """What runs these words where others can read the interpreter: as they are, or in a mount namespace of
    their own in which nothing but the interpreter lies in the directory that others may not enter.  stage: an
    empty directory."""
    closed = in_the_way()
    if closed is None:
        return words
    lines = []
    for at, prefix in enumerate(sorted({str(Path(one).resolve()) for one in (sys.base_prefix, sys.prefix)})):
        if Path(prefix).is_relative_to(closed):
            lines.append((f"{stage}/{at}", prefix))
    script = ["set -e"]
    for there, prefix in lines:
        script.append(f"mkdir -p {shlex.quote(there)}; mount --bind {shlex.quote(prefix)} {shlex.quote(there)}")
    script.append(f"mount -t tmpfs -o mode=755 none {shlex.quote(str(closed))}")
    for there, prefix in lines:
        script.append(f"mkdir -p {shlex.quote(prefix)}; mount --bind {shlex.quote(there)} {shlex.quote(prefix)}")
    script.append('exec "$@"')
    return ["unshare", "-m", "sh", "-c", "\n".join(script), "sh", *words]


@cache
def refusal() -> str:
    """Why no program can be run as another user here; '' if it can."""
    import subprocess

    if os.getuid():
        return "only root can become somebody else"
    with tempfile.TemporaryDirectory() as stage:
        code = f"import os; os.setuid(65534); os.stat({os.__file__!r})"
        words = command([sys.executable, "-c", code], Path(stage))
        try:
            done = subprocess.run(words, capture_output=True, check=False, cwd="/")
        except OSError as error:
            return str(error)
    return done.stderr.decode(errors="replace").strip()
