"""The parent: `python -m tests.clients [CLIENT ...]` runs suites of clients on knote and judges what came of them.

A test that fails and has no row in clients.py is run once more on the client's own Linux back end, without knote:
what fails then, too, is the machine's, and is told apart.  `--list` tells what there is.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.clients.clients import CLIENTS, ROWS, Client
from tests.support.verdicts import Verdict, judge

SITE: Final = Path(__file__).parent / "site"
PROGRAMS: Final = Path(__file__).parent / "programs"
SOURCES: Final = Path(sys.prefix, "sources")
PACKAGES: Final = Path(sysconfig.get_path("purelib"))
TOLD_S: Final = 20.0
"""How often a suite that is under way is spoken of."""


class Run:
    """One run of some of a client's tests, with knote or without."""

    def __init__(self, client: Client, tests: Sequence[str], *, knote: bool) -> None:
        self.client = client
        self.knote = knote
        self.command = [sys.executable, *self._fill(client.command), *tests]
        self.records: list[dict[str, str]] = []
        self.said = ""
        """Why the run ended before its tests did; '' if it did not."""

    def _fill(self, parts: Iterable[str]) -> list[str]:
        names = {"sources": SOURCES / self.client.name, "packages": PACKAGES, "programs": PROGRAMS}
        return [part.format_map(names) for part in parts]

    def environment(self, result: Path, scratch: Path) -> dict[str, str]:
        """Of the child, and of whatever it starts."""
        own = {
            "PYTHONPATH": str(SITE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "KNOTE_RESULT": str(result),
            "TMPDIR": str(scratch),
        }
        if self.knote:
            view = {"packages": self.client.packages, "hidden": self.client.hidden}
            own |= {"KNOTE_VIEW": json.dumps(view), **dict(self.client.environment)}
        return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | own

    def prove(self) -> str:
        """What the client says of its back end."""
        with tempfile.TemporaryDirectory(prefix="knote-clients-") as folder:
            environment = self.environment(Path(folder, "result"), Path(folder))
            done = subprocess.run(
                [sys.executable, "-c", self.client.proof], cwd=folder, env=environment,
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
        if done.returncode:
            self.said = f"it has not taken its kqueue back end:\n{done.stderr}"
        return done.stdout.strip()

    def run(self) -> None:
        """Fill records; say how far it is every now and then."""
        with tempfile.TemporaryDirectory(prefix="knote-clients-") as folder:
            result, log, scratch = Path(folder, "result"), Path(folder, "log"), Path(folder, "scratch")
            scratch.mkdir()
            with log.open("wb") as output:
                child = subprocess.Popen(
                    self.command, cwd=self._fill([self.client.folder])[0], env=self.environment(result, scratch),
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                )  # fmt: skip
                try:
                    ended = self._wait(child, result)
                finally:
                    _end(child)
            self.records = _records(result)
            if not ended:
                self.said = f"it was not done after {self.client.limit_s:.0f} s, and was ended"
            elif not self.records:
                self.said = f"exit {child.returncode}, and no test"
            elif child.returncode not in (0, 1):
                self.said = f"exit {child.returncode} in the middle"
            if self.said:
                self.said += "; last words:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-40:])

    def _wait(self, child: subprocess.Popen[bytes], result: Path) -> bool:
        start = time.monotonic()
        told = start
        while True:
            now = time.monotonic()
            try:
                child.wait(min(told + TOLD_S, start + self.client.limit_s) - now)
                return True
            except subprocess.TimeoutExpired:
                told = now = time.monotonic()
                done = len(_records(result))
                print(f"    {self.client.name}: {done} tests so far, {now - start:.0f} s", flush=True)
                if now >= start + self.client.limit_s:
                    return False


def _records(result: Path) -> list[dict[str, str]]:
    """The whole lines."""
    lines = result.read_text().split("\n")[:-1] if result.exists() else []
    return [json.loads(line) for line in lines]


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child, and what it left behind: its session is its own."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def _named(client: Client) -> str:
    """Its name and its version."""
    return ", ".join(f"{name} {version(name)}" for name in client.distributions or (client.name,))


def report(client: Client, only: Sequence[str]) -> bool:
    """Run a client's suite, print what it came to in one piece; whether all was as expected."""
    start = time.monotonic()
    run = Run(client, only or client.tests, knote=True)
    taken = run.prove()
    print(f"{_named(client)}: {taken or 'FAILED'}", flush=True)
    if not run.said:
        run.run()
    rows = [row for row in ROWS if row.client == client.name]
    verdict = judge(run.records, [] if only else rows, [] if only else client.must_run)
    theirs = _machine(client, verdict)
    ours = {test: text for test, text in verdict.failed.items() if test not in theirs}
    good = not (ours or run.said or verdict.complaints)
    lines = [
        f"{client.name}: {'as expected' if good else 'FAILED'}: {verdict.passed} passed, {len(ours)} failed, "
        f"{len(verdict.expected)} failed as listed, {len(theirs)} fail here without knote, "
        f"{verdict.skipped.total()} skipped, {time.monotonic() - start:.0f} s"
    ]
    for reason, count in sorted(verdict.skipped.items()):
        lines.append(f"    skipped {count}: {reason.splitlines()[0] if reason else 'no reason given'}")
    lines += [f"    fails without knote: {test}" for test in sorted(theirs)]
    lines += [f"    {complaint}" for complaint in verdict.complaints]
    lines += [f"--- {test}\n{text}" for test, text in ours.items()]
    if run.said:
        lines.append(f"--- {run.said}")
    print("\n".join(lines), flush=True)
    return good


def _machine(client: Client, verdict: Verdict) -> set[str]:
    """Those of the failed tests that fail without knote, too."""
    if not verdict.failed:
        return set()
    print(f"    {client.name}: {len(verdict.failed)} failed: once more without knote", flush=True)
    without = Run(client, sorted(verdict.failed), knote=False)
    without.run()
    return {record["test"] for record in without.records if record["outcome"] == "failed"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description="Clients from PyPI on knote.")
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="all of them if none is named")
    parser.add_argument("--tests", nargs="+", default=[], metavar="TEST", help="these tests of one client")
    parser.add_argument("--lanes", type=int, default=2, metavar="N", help="how many at a time (default 2)")
    parser.add_argument("--list", action="store_true", help="print the clients, and what they use")
    asked = parser.parse_args()
    known = {client.name: client for client in CLIENTS}
    for name in asked.clients:
        if name not in known:
            parser.error(f"no client {name!r}; there are {', '.join(known)}")
    if asked.list:
        for client in CLIENTS:
            print(f"{_named(client)}: {client.what}: {client.filters}")
        return

    import knote

    build = knote.build_info()["build"]
    print(f"CPython {sys.version.split()[0]}, knote {knote.__version__}, {build}", flush=True)
    # Suites wait more than they work, so two at a time take little longer than one; the longest go first.
    chosen = sorted((known[name] for name in asked.clients or known), key=lambda client: -client.limit_s)
    with ThreadPoolExecutor(max_workers=asked.lanes) as lanes:
        results = list(lanes.map(lambda client: report(client, asked.tests), chosen))
    good = sum(results)
    print(f"clients: {good} as expected, {len(results) - good} failed", flush=True)
    sys.exit(good < len(results))


if __name__ == "__main__":
    main()
