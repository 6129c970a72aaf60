"""Sessions with the command in docs/: each is replayed, and prints what stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.apps.programs import PATIENCE, command, knote
from tests.docs.pages import DOCS

PAGES: Final = ("caps.md", "engines.md")
SHELL: Final = ("cat.md", "config.md", "connect.md", "workers.md")
"""Their sessions need a shell, and each step what the one before has left."""

_BLOCK: Final = re.compile(r"```console\n(.*?)```", re.DOTALL)


class Step(NamedTuple):
    """One command, and what it prints."""

    command: str
    output: str


def steps(name: str) -> list[Step]:
    found = []
    page = DOCS / name
    for block in _BLOCK.findall(page.read_text() if page.exists() else ""):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append(Step(command, output))
    return found


ALONE: Final = [step for name in PAGES for step in steps(name)]


@pytest.mark.needs("docs/")
@pytest.mark.parametrize("step", ALONE or [Step("none", "")], ids=lambda step: step.command)
def test_step(step: Step) -> None:
    program, *words = shlex.split(step.command)
    assert program == "knote"
    done = knote(*words)
    assert (done.stderr, done.stdout.decode()) == (b"", step.output)


@pytest.mark.needs("docs/")
@pytest.mark.parametrize("name", SHELL)
def test_session(name: str, tmp_path: Path) -> None:
    """In one shell, from an empty directory; a line before each step tells where its output begins."""
    session = steps(name)
    mark = "=== the next step"
    program = tmp_path / "bin" / "knote"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(command())} "$@"\n')
    program.chmod(0o755)
    (tmp_path / "home").mkdir()
    lines = [line for step in session for line in (f"echo '{mark}'", step.command)]
    done = subprocess.run(
        ["sh", "-c", "\n".join([*lines, "wait"])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=tmp_path / "home",
        env=os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"},
        timeout=2 * PATIENCE,
        check=False,
    )
    outputs = done.stdout.decode().split(f"{mark}\n")[1:]
    assert list(zip([step.command for step in session], outputs, strict=True)) == session


@pytest.mark.needs("docs/")
def test_some_are_found() -> None:
    assert len(ALONE) >= 3
    assert all(len(steps(name)) >= 6 for name in SHELL)
