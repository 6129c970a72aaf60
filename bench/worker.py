"""Some of a case's rounds, in a process of their own: `python -m bench.worker CASE SETTINGS`."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

from bench import machine, runner
from bench.model import Settings

ROOT = Path(__file__).parents[1]


def ask(case: str, settings: Settings) -> list[runner.Result | runner.Skipped]:
    """Have a fresh process measure; RuntimeError if it does not come to an end."""
    command = [sys.executable, "-m", "bench.worker", case, json.dumps(dataclasses.asdict(settings))]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{case}: the process that measures ended with {ran.returncode}")
    return [
        runner.Result(**one) if "samples" in one else runner.Skipped(**one)
        for one in json.loads(ran.stdout)
    ]


def main(name: str, settings: Settings) -> None:
    """Measure, and print what came of it."""
    from bench.cases import CASES

    (case,) = (case for case in CASES if case.name == name)
    machine.raise_descriptor_limit()
    print(json.dumps([dataclasses.asdict(item) for item in runner.run(case, settings)]))


if __name__ == "__main__":
    main(sys.argv[1], Settings(**json.loads(sys.argv[2])))
