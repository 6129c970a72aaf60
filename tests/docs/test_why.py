"""docs/why-kqueue.md: its figures are those of performance.md, and the tests that it names exist."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import DOCS

pytestmark = pytest.mark.needs("docs/")

FIGURE = re.compile(r"\d+\.\d+ ×|\d+(?:\.\d+)? (?:ns|µs)")


def test_its_figures_were_measured() -> None:
    measured = (DOCS / "performance.md").read_text()
    found = FIGURE.findall((DOCS / "why-kqueue.md").read_text())
    assert len(found) > 10
    for figure in found:
        assert re.search(rf"(?<![\d.]){re.escape(figure)}", measured), f"{figure} is not in performance.md"


def test_what_holds_a_claim_exists() -> None:
    paths = re.findall(r"`(tests/[\w/]+\.py)`", (DOCS / "why-kqueue.md").read_text())
    assert len(paths) > 8
    for path in paths:
        assert (DOCS.parent / path).exists(), path
