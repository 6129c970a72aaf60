"""The child: `python -m tests.cpython.drive SUITE RESULT` installs knote, then imports and runs the tests.

Knows nothing of what is expected; writes a list of {"test", "outcome", "text"} to RESULT.  With `--without`
knote stays away: what fails then has nothing to do with it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import knote
from tests.cpython.suites import SUITES, Suite


class Recorder(unittest.TextTestResult):
    """One record for each test; a failing subtest is its test's failure."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.records: list[dict[str, str]] = []

    def _note(self, test: Any, outcome: str, text: str = "") -> None:
        self.records.append({"test": test.id(), "outcome": outcome, "text": text})

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self._note(test, "passed")

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self._note(test, "skipped", reason)

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._note(test, "failed", self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._note(test, "failed", self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test, "failed", self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self._note(test, "passed")

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self._note(test, "failed", "unexpected success")


def prepare(suite: Suite) -> None:
    """Names in select, and in selectors, as the suite wants them.  Nothing of the tests is imported yet."""
    knote.install(default_selector=suite.default_selector)
    if suite.fresh_selectors:
        sys.modules.pop("selectors", None)
        import selectors

        assert vars(selectors)["KqueueSelector"].__module__ == "selectors"
        assert selectors.DefaultSelector.__name__ == "KqueueSelector"


def main(name: str, result: str, *options: str) -> None:
    suite = SUITES[name]
    if "--without" not in options:
        prepare(suite)
    only = [option for option in options if option != "--without"]

    from test import support

    support.use_resources = ["cpu"]  # of what regrtest can allow: no network, no large files, no audio
    loader = unittest.TestLoader()
    with tempfile.TemporaryDirectory(prefix="knote-cpython-") as folder:
        os.chdir(folder)  # the tests make files where they run
        tests = loader.loadTestsFromNames(only or suite.tests)
        runner = unittest.TextTestRunner(verbosity=2, resultclass=Recorder, warnings="ignore")
        done = runner.run(tests)
        os.chdir("/")
    assert isinstance(done, Recorder)
    Path(result).write_text(json.dumps(done.records))


if __name__ == "__main__":
    main(*sys.argv[1:])
