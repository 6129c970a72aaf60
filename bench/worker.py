"""Some of a case's rounds, in a process of their own: `python -m bench.worker CASE SETTINGS`."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator

from bench import machine, process, runner
from bench.model import Settings
from bench.results import Outcome, plain, read


def ask(case: str, settings: Settings) -> Iterator[Outcome]:
    """Have a fresh process measure: rows as they are ready.  RuntimeError if it does not come to an end."""
    command = process.command("bench.worker", case, json.dumps(dataclasses.asdict(settings)))
    with subprocess.Popen(command, env=process.environment(), stdout=subprocess.PIPE, text=True) as ran:
        assert ran.stdout is not None
        try:
            for line in ran.stdout:
                yield read(json.loads(line))
        except BaseException:
            ran.terminate()
            raise
    if ran.returncode:
        raise RuntimeError(f"{case}: the process that measures ended with {ran.returncode}")


def main(name: str, settings: Settings) -> int:
    """Measure, and print a line of JSON for each row."""
    from bench.cases import CASES

    (case,) = (case for case in CASES if case.name == name)
    machine.raise_descriptor_limit()
    try:
        for item in runner.run(case, settings):
            print(json.dumps(plain(item)), flush=True)
    except KeyboardInterrupt:
        return 1  # whoever asked was interrupted, too, and says so
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Settings(**json.loads(sys.argv[2]))))
