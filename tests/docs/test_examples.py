"""Every example of the pages runs, and prints what stands under it.

A page joins by its name in PAGES, or by lying in docs/filters/.  What an example needs beyond Linux it says in its
fence, by the name of a row of tests/gates.py: ```python EVFILT_VNODE, or ```python mount-namespace.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import DOCS, Example, examples, filter_pages
from tests.support.waiting import SOON

PAGES: Final[tuple[str, ...]] = (
    "aio.md", "caps.md", "devpoll.md", "engines.md", "eventport.md", "inspect.md", "iocp.md", "systemd.md",
    "tutorial.md", "why-kqueue.md",
)  # fmt: skip
"""Pages of docs/ beside the filters' whose examples are run here."""


def _pages() -> list[Path]:
    return [*filter_pages(), *(DOCS / name for name in PAGES if DOCS.exists())]


def _parameters() -> list[object]:
    found = [example for page in _pages() for example in examples(page)]
    nothing = [Example("none", (), "", "")]  # the pages are not there: for the gate to say so
    return [
        pytest.param(each, id=each.name, marks=[pytest.mark.needs(*each.needs)] if each.needs else [])
        for each in found or nothing
    ]


@pytest.mark.needs("docs/")
@pytest.mark.parametrize("example", _parameters())
def test_example(example: Example, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example.code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=10 * SOON,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", example.output)


@pytest.mark.needs("docs/")
def test_none_is_missed() -> None:
    """None hides behind another spelling of its fence, and none does nothing."""
    for page in _pages():
        found = examples(page)
        assert len(found) == page.read_text().count("```py") > 0, page
        assert all(each.output or "assert" in each.code for each in found), page
