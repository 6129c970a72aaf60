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
from functools import partial
from pathlib import Path
from typing import Any

import knote
from tests.cpython.suites import ROWS, SUITES, Row, Suite


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


def leave_out(tests: Any, rows: list[Row]) -> None:
    """Tests whose row says so are skipped, with its reason."""
    for test in tests:
        if not isinstance(test, unittest.TestCase):
            leave_out(test, rows)
            continue
        for row in rows:
            if row.covers(test.id()):
                setattr(test, test._testMethodName, partial(test.skipTest, row.why))


def prepare_proactor(factory: Any) -> None:
    """asyncio's names, as on Windows."""
    import asyncio

    asyncio.ProactorEventLoop = factory  # type: ignore[attr-defined]
    before = asyncio.DefaultEventLoopPolicy
    default = type("Policy", (before,), {"_loop_factory": factory})
    asyncio.DefaultEventLoopPolicy = default  # type: ignore[misc]
    asyncio.WindowsProactorEventLoopPolicy = default  # type: ignore[attr-defined]
    asyncio.WindowsSelectorEventLoopPolicy = before  # type: ignore[attr-defined]
    asyncio.set_event_loop_policy(None)


def main(name: str, result: str, *options: str) -> None:
    suite = SUITES[name]
    if suite.proactor:
        from tests.cpython import proactor

        prepare_proactor(proactor.choose("--without" not in options))
    elif "--without" not in options:
        prepare(suite)
    only = [option for option in options if option != "--without"]

    from test import support

    support.use_resources = ["cpu"]  # of what regrtest can allow: no network, no large files, no audio
    loader = unittest.TestLoader()
    with tempfile.TemporaryDirectory(prefix="knote-cpython-") as folder:
        os.chdir(folder)  # the tests make files where they run
        tests = loader.loadTestsFromNames(only or suite.tests)
        leave_out(tests, [row for row in ROWS if row.left_out and row.applies(name, sys.version_info[:2])])
        runner = unittest.TextTestRunner(verbosity=2, resultclass=Recorder, warnings="ignore")
        done = runner.run(tests)
        os.chdir("/")
    assert isinstance(done, Recorder)
    Path(result).write_text(json.dumps(done.records))


if __name__ == "__main__":
    main(*sys.argv[1:])
