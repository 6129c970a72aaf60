"""The C room: each header stands alone, and knows nothing of Python."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.build import sources

HEADERS = sources.files(".h")
STRICT = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]

every_header = pytest.mark.parametrize("header", HEADERS, ids=sources.names(HEADERS))


def test_headers_live_in_the_kernel_room() -> None:
    assert HEADERS
    strays = [path for path in HEADERS if path.parent.name != "_kernel" or not path.name.startswith("kn_")]
    assert not strays


@every_header
def test_it_does_not_know_python(header: Path) -> None:
    included = re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)', header.read_text(), re.MULTILINE)
    assert "Python.h" not in included


@every_header
def test_it_compiles_alone_and_twice(header: Path, tmp_path: Path) -> None:
    unit = tmp_path / "unit.c"
    unit.write_text(f'#include "{header}"\n#include "{header}"\n')
    compiler = os.environ.get("CC", "gcc").split()
    done = subprocess.run(
        [*compiler, *STRICT, str(unit)], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, done.stderr
