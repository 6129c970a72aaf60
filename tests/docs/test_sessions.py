"""Sessions with the command in docs/: each is replayed, and prints what stands there."""

from __future__ import annotations

import re
import shlex
from typing import Final, NamedTuple

import pytest

from tests.apps.programs import knote
from tests.docs.pages import DOCS

PAGES: Final = ("caps.md", "engines.md")

_BLOCK: Final = re.compile(r"```console\n(.*?)```", re.DOTALL)


class Step(NamedTuple):
    """One command, and what it prints."""

    command: str
    output: str


def steps() -> list[Step]:
    found = []
    for name in PAGES:
        page = DOCS / name
        for block in _BLOCK.findall(page.read_text() if page.exists() else ""):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                found.append(Step(command, output))
    return found


@pytest.mark.needs("docs/")
@pytest.mark.parametrize("step", steps() or [Step("none", "")], ids=lambda step: step.command)
def test_step(step: Step) -> None:
    program, *words = shlex.split(step.command)
    assert program == "knote"
    done = knote(*words)
    assert (done.stderr, done.stdout.decode()) == (b"", step.output)


@pytest.mark.needs("docs/")
def test_some_are_found() -> None:
    assert len(steps()) >= 3
