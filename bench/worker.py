"""Some of a case's rounds, in a process of their own: `python -m bench.worker CASE SETTINGS`."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench import audience, machine, process, runner
from bench.model import Settings
from bench.results import Outcome, plain, read

DEAF = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
"""Ctrl-C goes to all processes of a terminal: half a dozen would die of it, each with a traceback.  Whoever asked
ends those that measure, and they what they started."""


def ask(case: str, settings: Settings) -> Iterator[Outcome]:
    """Have a fresh process measure: rows as they are ready.  RuntimeError if it does not come to an end,
    BrokenPipeError if nobody reads standard output any more."""
    command = [*DEAF, *process.command("bench.worker", case, json.dumps(dataclasses.asdict(settings)))]
    with subprocess.Popen(command, env=process.environment(), stdout=subprocess.PIPE) as ran:
        assert ran.stdout is not None
        try:
            for line in audience.lines(ran.stdout.fileno()):
                yield read(json.loads(line))
        except BaseException:
            ran.terminate()
            raise
    if ran.returncode:
        raise RuntimeError(f"{case}: the process that measures ended with {ran.returncode}")


def _end_children() -> None:
    # The signal may have come between a fork and the line that would end it.
    for task in Path("/proc/self/task").iterdir():
        try:
            children = (task / "children").read_text()
        except OSError:
            continue  # a thread that has ended, or a kernel without CONFIG_PROC_CHILDREN
        for pid in map(int, children.split()):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main(name: str, settings: Settings) -> int:
    """Measure, and print a line of JSON for each row.  At SIGTERM what was started ends, too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from bench.cases import CASES

    (case,) = (case for case in CASES if case.name == name)
    machine.raise_descriptor_limit()
    try:
        for item in runner.run(case, settings):
            print(json.dumps(plain(item)), flush=True)
    except KeyboardInterrupt:
        _end_children()
        return 1  # whoever asked says why
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Settings(**json.loads(sys.argv[2]))))
