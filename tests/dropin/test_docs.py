"""docs/dropin.md: every example runs, and prints what stands under it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.waiting import SOON

PAGE: Final = Path(__file__).parents[2] / "docs/dropin.md"
_BLOCK: Final = re.compile(r"```python ?(\w*)\n(.*?)```\n+(?:```text\n(.*?)```\n)?", re.DOTALL)


class Example(NamedTuple):
    """One block of code, what it needs, and the output that is told."""

    heading: str
    needs: str
    code: str
    output: str


def examples() -> list[Example]:
    if not PAGE.exists():
        return []
    text = PAGE.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        heading = re.findall(r"^## (.*)$", text[: match.start()], re.MULTILINE)[-1]
        found.append(Example(heading, match[1], match[2], match[3] or ""))
    return found


def _parameters() -> list[object]:
    """One for each example; one that needs a gate of its own says so in the fence."""
    nothing = [Example("none", "", "", "")]  # the page is not there: for the gate to say so
    return [
        pytest.param(each, id=each.heading, marks=[pytest.mark.needs(each.needs)] if each.needs else [])
        for each in examples() or nothing
    ]


@pytest.mark.needs("docs/")
@pytest.mark.parametrize("example", _parameters())
def test_example(example: Example) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example.code],
        capture_output=True,
        text=True,
        timeout=10 * SOON,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", example.output)


@pytest.mark.needs("docs/")
def test_all_are_found() -> None:
    """None is there by another spelling of its fence."""
    assert len(examples()) == PAGE.read_text().count("```python") >= 7
    assert all(example.output for example in examples())
