"""Other processes of the suite: this Python, this knote, a module of ours, wherever the suite lies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
"""The folder that has the package `bench`: a checkout, or knote/suite of an installed knote."""


def command(module: str, *arguments: str) -> list[str]:
    """The words that run a module."""
    # -P: a `bench` in the directory where somebody happens to be is not ours.
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Ours, with HOME first on the path, from whatever directory the suite was started."""
    path = os.pathsep.join(filter(None, (str(HOME), os.environ.get("PYTHONPATH", ""))))
    return os.environ | {"PYTHONPATH": path}
