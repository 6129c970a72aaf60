"""The pages of docs/: their sections, their examples, their tables of notes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

DOCS: Final = Path(__file__).parents[2] / "docs"
FILTERS: Final = DOCS / "filters"
SECTIONS: Final = (
    "NAME", "WATCHES", "IDENT", "NOTES", "DATA", "FORCED FLAGS", "ERRORS", "LINUX", "DIFFERENCES", "EXAMPLE",
)  # fmt: skip
"""Of a filter's page, in this order."""

_BLOCK: Final = re.compile(r"```python ?([^\n]*)\n(.*?)```\n+(?:```text\n(.*?)```\n)?", re.DOTALL)
_NOTE: Final = re.compile(r"^\| `(\w+)` \| (0x[0-9a-f]+) \|", re.MULTILINE)


class Example(NamedTuple):
    """One whole program: what it needs (rows of tests/gates.py, from the fence), and what it prints."""

    name: str
    needs: tuple[str, ...]
    code: str
    output: str


def filter_pages() -> list[Path]:
    """docs/filters/, without its index."""
    return sorted(page for page in FILTERS.glob("*.md") if page.name != "README.md")


def _needs(words: str) -> tuple[str, ...]:
    # A fence is words: "memory-pressure" is the gate "memory pressure".
    return tuple(word.replace("-", " ") for word in words.split())


def examples(page: Path) -> list[Example]:
    """Every ```python block of the page, with the ```text block behind it."""
    return [
        Example(f"{page.stem}-{i}", _needs(match[1]), match[2], match[3] or "")
        for i, match in enumerate(_BLOCK.finditer(page.read_text()), 1)
    ]


def sections(page: Path) -> dict[str, str]:
    """The text under each heading, in order."""
    parts = re.split(r"^## (.*)\n", page.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def notes(text: str) -> dict[str, int]:
    """A NOTES section's table: each name, and the value that stands beside it."""
    return {name: int(value, 16) for name, value in _NOTE.findall(text)}
