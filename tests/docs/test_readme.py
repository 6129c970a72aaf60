"""What the README shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def readme() -> str:
    """The README of the checkout, or the one that the installed package carries."""
    return README.read_text() if README.exists() else str(metadata("knote").get_payload())


def test_the_example_prints_what_it_says(tmp_path: Path) -> None:
    """The first example, run by itself, prints the block behind it."""
    match = re.search(r"```python\n(.*?)```\n\nprints\n\n```\n(.*?)```", readme(), re.DOTALL)
    assert match is not None, "README.md has lost its example"
    script = tmp_path / "example.py"
    script.write_text(match[1])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    ran = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    assert (ran.stdout, ran.returncode) == (match[2], 0), ran.stderr
