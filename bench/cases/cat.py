"""What does `knote cat` cost?

On one core: a file that the page cache holds, into a pipe whose other end is spliced to /dev/null; and the same
through a pipe on both sides.  knote.apps.copy runs in this process, since starting an interpreter is a question of
its own and has a row; its peers are programs.  Time is until the last byte has gone; CPU is the copier's own,
without the kernel's work in its neighbours.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from time import perf_counter_ns

from bench import native
from bench.model import Case, Contender, Ratio, Row, Settings, Unavailable
from knote.apps.copy import copy

MIB = 1 << 20
SIZE = 512 * MIB
TIMES = 4

Run = Callable[[list[str], int, int], float]
"""run(names, stdin, stdout) copies, and says what CPU that took, in ns."""


class Copier(Contender):
    """ns per MiB, of time or of its own CPU."""

    def __init__(self, name: str, run: Run, names: list[str], **how: bool) -> None:
        super().__init__(name)
        self._run = run
        self._names = names
        self._amount = sum(os.stat(name).st_size for name in names) / MIB
        self._how = how

    def sample(self, seconds: float) -> float:
        """One copy, however long that takes."""
        helper = str(native.program("splice.c"))
        from_pipe, to_null, cpu = (self._how.get(name, False) for name in ("from_pipe", "to_null", "cpu"))
        with contextlib.ExitStack() as stack:
            stdin, stdout = (stack.enter_context(open(os.devnull, mode)).fileno() for mode in ("rb", "wb"))
            if not to_null:
                drain = stack.enter_context(subprocess.Popen([helper, "-d"], stdin=subprocess.PIPE))
                assert drain.stdin is not None
                stdout = drain.stdin.fileno()
            if from_pipe:
                feeder = stack.enter_context(subprocess.Popen([helper, *self._names], stdout=subprocess.PIPE))
                assert feeder.stdout is not None
                stdin = feeder.stdout.fileno()
            start = perf_counter_ns()
            used = self._run([] if from_pipe else self._names, stdin, stdout)
            taken = perf_counter_ns() - start
        return (used if cpu else taken) / self._amount


def by_knote(names: list[str], stdin: int, stdout: int) -> float:
    """In this process."""

    def complain(error: OSError) -> None:
        raise error

    before = resource.getrusage(resource.RUSAGE_SELF)
    assert copy(names or [stdin], stdout, complain=complain)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e9


def by_program(*words: str) -> Run:
    """By a program that takes files, or standard input."""

    def run(names: list[str], stdin: int, stdout: int) -> float:
        it = subprocess.Popen([*words, *names], stdin=stdin, stdout=stdout)
        _, status, used = os.wait4(it.pid, 0)
        it.returncode = os.waitstatus_to_exitcode(status)
        if it.returncode:
            raise RuntimeError(f"{words[0]}: exit status {it.returncode}")
        return (used.ru_utime + used.ru_stime) * 1e9

    return run


class Program(Contender):
    """A program from start to end; ns."""

    def __init__(self, name: str, words: list[str]) -> None:
        super().__init__(name)
        self._words = words

    def sample(self, seconds: float) -> float:
        """One run of it."""
        start = perf_counter_ns()
        subprocess.run(self._words, stdout=subprocess.DEVNULL, check=True)
        return float(perf_counter_ns() - start)


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """By splice, beside what others do; and by hand."""
    if shutil.which("cat") is None:
        raise Unavailable("there is no cat(1)")
    size = settings.sized(SIZE, MIB) // MIB
    runs = {"cat": by_program("cat"), "C splice": by_program(str(native.program("splice.c")))}
    if shutil.which("pv"):
        runs["pv"] = by_program("pv", "-q")
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file, tempfile.NamedTemporaryFile() as empty:
        for _ in range(size):
            file.write(os.urandom(MIB))
        file.flush()

        def row(title: str, peer: str, target: float, **how: bool) -> Ratio:
            made = {name: Copier(name, run, [file.name] * TIMES, **how) for name, run in runs.items()}
            ours = Copier("knote cat", by_knote, [file.name] * TIMES, **how)
            # In the figures of time there is a program's start: a thousandth.
            beside: list[Contender] = [] if how.get("to_null") else [made[name] for name in made if name != peer]
            return Ratio(title, ours, made[peer], target, "MiB", beside, realtime=False)

        yield [
            # Throughput of 0.95 is 1 / 0.95 of the time.
            row("file to pipe, time", "C splice", 1 / 0.95),
            row("pipe to pipe, time", "C splice", 1 / 0.95, from_pipe=True),
            row("file to pipe, CPU", "cat", 0.25, cpu=True),
            row("pipe to pipe, CPU", "cat", 0.25, cpu=True, from_pipe=True),
            row("file to /dev/null, time", "cat", 1.0, to_null=True),
            Ratio(
                "an empty file, from start to end",
                Program("knote cat", [sys.executable, "-m", "knote", "cat", empty.name]),
                Program("python -c pass", [sys.executable, "-c", "pass"]),
                2.0,
                "run",
                realtime=False,
            ),
        ]


CASE = Case("cat", "What does knote cat cost?", rows, heavy=True)
