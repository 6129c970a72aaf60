"""knote bench"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from knote.cli.say import say

_PACKAGE = Path(__file__).resolve().parents[1]


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status."""
    home = _home()
    if home is None:
        say(
            "knote bench: this installation does not have the benchmark: it was packaged without the folder "
            "`suite`. Install knote from its sources or a wheel of its own, or run `make bench` in a checkout."
        )
        return 1
    sys.path.insert(0, str(home))
    status: int = importlib.import_module("bench.__main__").main(arguments, "knote bench")
    return status


def _home() -> Path | None:
    """Where the package `bench` lies: carried along by the wheel; with an editable install, in the checkout."""
    for folder in (_PACKAGE / "suite", _PACKAGE.parents[1]):
        if (folder / "bench" / "__main__.py").is_file():
            return folder
    return None
