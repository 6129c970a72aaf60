"""The parent: `python -m tests.cpython [SUITE ...]` runs suites of CPython's tests and judges what came of them.

Every test passes, or is skipped by CPython with a reason that is printed, or is covered by a row of suites.py.
A test that fails is run once more without knote: what fails then, too, is the machine's, and is told apart.
A row that no failing test needs any more, and a suite that has not run what it is there for, are failures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.cpython.suites import ROWS, SUITES
from tests.support.verdicts import judge

ROOT: Final = Path(__file__).parents[2]
LIMIT_S: Final = 600.0
"""For one suite; the longest takes two minutes on two slow cores."""


def run(suite: str, *options: str) -> tuple[list[dict[str, str]], str]:
    """The child's records, and what it said if it wrote none."""
    with tempfile.TemporaryDirectory(prefix="knote-cpython-") as folder:
        result, log = Path(folder, "result.json"), Path(folder, "log")
        command = [sys.executable, "-m", "tests.cpython.drive", suite, str(result), *options]
        with log.open("wb") as output:
            try:
                subprocess.run(
                    command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=LIMIT_S,
                    env=os.environ | {"PYTHONFAULTHANDLER": "1"}, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return [], f"not done after {LIMIT_S:.0f} s; it ended with\n{_end(log)}"
        return (json.loads(result.read_text()), "") if result.exists() else ([], _end(log))


def _end(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])


def machine(suite: str, tests: Iterable[str]) -> set[str]:
    """Those that fail without knote, too."""
    records, _said = run(suite, "--without", *tests)
    return {record["test"] for record in records if record["outcome"] == "failed"}


def report(suite: str) -> bool:
    """Run a suite, print what it came to; whether all was as expected."""
    start = time.monotonic()
    records, said = run(suite)
    version = sys.version_info[:2]
    rows = [row for row in ROWS if row.applies(suite, version) and not row.left_out]
    verdict = judge(records, rows, SUITES[suite].must_run)
    theirs = machine(suite, verdict.failed) if verdict.failed else set()
    ours = {test: text for test, text in verdict.failed.items() if test not in theirs}
    good = not (ours or said or verdict.complaints)
    print(
        f"{suite}: {'as expected' if good else 'FAILED'}: {verdict.passed} passed, {len(ours)} failed, "
        f"{len(verdict.expected)} failed as listed, {len(theirs)} fail here without knote, "
        f"{verdict.skipped.total()} skipped by CPython, {time.monotonic() - start:.0f} s"
    )
    for reason, count in sorted(verdict.skipped.items()):
        print(f"    skipped {count}: {reason}")
    for test in sorted(theirs):
        print(f"    fails without knote: {test}")
    for complaint in verdict.complaints:
        print(f"    {complaint}")
    for test, text in ours.items():
        print(f"--- {test}\n{text}")
    if said:
        print(f"--- the run ended before its tests did:\n{said}")
    sys.stdout.flush()
    return good


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.cpython", description="CPython's own tests on knote.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}; all of them if none")
    asked = parser.parse_args()
    for name in asked.suites:
        if name not in SUITES:
            parser.error(f"no suite {name!r}; there are {', '.join(SUITES)}")
    if find_spec("test") is None or find_spec("test.support") is None:
        parser.error("this Python came without the package `test` (Debian: libpython3-testsuite)")

    import knote

    build = knote.build_info()["build"]
    wanted = os.environ.get("KNOTE_EXPECT_BUILD", build)
    if build != wanted:
        parser.error(f"this is the {build} build, and the {wanted} one was meant")
    print(f"CPython {sys.version.split()[0]}, knote {knote.__version__}, {build}", flush=True)
    results = [report(name) for name in asked.suites or SUITES]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
