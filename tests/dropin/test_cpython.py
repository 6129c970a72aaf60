"""CPython's own test_kqueue.py, as the running interpreter has it: S-328 ... S-335."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Final

import pytest

from tests.support.waiting import SOON

# Runs in an interpreter of its own: there select has what a BSD's has before the file is imported.
CODE: Final = """
import json, select, sys, unittest
import knote

for name in ("kqueue", "kevent", *(name for name in knote.__all__ if name.startswith("KQ_"))):
    assert not hasattr(select, name), name
    setattr(select, name, getattr(knote, name))

from test import test_kqueue

suite = unittest.defaultTestLoader.loadTestsFromModule(test_kqueue)
result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
print(json.dumps({
    "file": test_kqueue.__file__,
    "run": result.testsRun,
    "bad": [str(test) for test, _ in result.failures + result.errors],
    "left out": [f"{test}: {why}" for test, why in result.skipped],
}))
"""
AT_LEAST: Final = 7
"""How many there are in CPython 3.11; later versions added some."""


@pytest.mark.needs("test.test_kqueue")
def test_unmodified(engine: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=os.environ | {"KNOTE_ENGINE": engine},
        capture_output=True,
        text=True,
        timeout=20 * SOON,
        check=False,
    )
    assert not done.returncode, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert not told["bad"], done.stderr
    assert not told["left out"], done.stderr
    assert told["run"] >= AT_LEAST, done.stderr
