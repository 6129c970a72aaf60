"""docs/wait.md: each recipe is run by a shell, and prints what stands under it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.docs.pages import DOCS

_RECIPE: Final = re.compile(r"```sh\n(.*?)```\n```text\n(.*?)```", re.DOTALL)


class Recipe(NamedTuple):
    """A script, and what it prints."""

    script: str
    output: str


def recipes() -> list[Recipe]:
    page = DOCS / "wait.md"
    return [Recipe(*found) for found in _RECIPE.findall(page.read_text() if page.exists() else "")]


@pytest.mark.needs("docs/")
@pytest.mark.parametrize("recipe", recipes() or [Recipe("", "")], ids=lambda recipe: recipe.script[:40])
def test_recipe(recipe: Recipe, tmp_path: Path) -> None:
    program, work = tmp_path / "bin" / "knote", tmp_path / "work"
    program.parent.mkdir()
    work.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m knote "$@"\n')
    program.chmod(0o755)
    surroundings = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", recipe.script + "wait"],
        cwd=work,
        env=surroundings,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == (recipe.output, "")


@pytest.mark.needs("docs/")
def test_some_are_found() -> None:
    assert len(recipes()) >= 10
