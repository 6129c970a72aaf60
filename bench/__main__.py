"""knote bench, or python -m bench in a checkout."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import compare, machine, native, output, peers, report, results, team, worker
from bench.cases import CASES
from bench.model import Settings
from bench.results import Outcome, Skipped, merged
from knote.cli.arguments import Parser
from knote.cli.say import failure, say, show

QUICK = Settings(
    rounds=3, processes=1, seconds=0.003, glance=0.0015, longest=0.05, budget=0.3, least=2, heavy=0.03, places=3
)  # fmt: skip

_DESCRIPTION = """\
Measure what a kqueue costs here, beside what else could be written: ratios with their targets, and charts over
descriptors, changes, pipes and timers, with everything that is installed."""

_EXAMPLES = """\
  {prog} --quick                          a look, in less than a minute
  {prog} --out results                    all: results.json, tables.md, a plot of each chart
  {prog} --only curves --only libevent    these cases; --list tells which there are
  {prog} --compare results/results.json   what is better or worse than then, beyond the noise

The charts have every engine; --engine says which one the other figures are about, and whose line is thick.

The exit status is 0, 1 if a case or the engine could not run or a file not be written, 2 for a wrong command line
or a folder that cannot be written to.
It wants root (or CAP_SYS_NICE) to be quiet, a C compiler for the C loops, headers of libev, libevent, libuv and
liburing for those, matplotlib for plots, rich for the bar. What is missing is said, and the rest measured."""


def parser(prog: str) -> argparse.ArgumentParser:
    """The command line."""
    made = Parser("bench", _DESCRIPTION, _EXAMPLES.format(prog=prog))
    made.prog = prog
    add = made.add_argument
    add("--only", action="append", choices=[case.name for case in CASES], metavar="CASE",
        help="run this case; may be given again")  # fmt: skip
    add("--list", action="store_true", help="list the cases and their questions")
    add("--quick", action="store_true", help="few and short rounds: a look, no proof")
    add("--rounds", type=_positive, metavar="N",
        help=f"rounds of each row, however long it takes (default: {Settings().rounds}, fewer of what "
        f"takes long; --quick: {QUICK.rounds})")  # fmt: skip
    add("--out", type=Path, metavar="DIR", help="write results.json, tables.md and the plots there")
    add("--json", type=Path, metavar="FILE", help="write every sample there")
    add("--compare", type=Path, metavar="FILE", help="compare with the results.json of an earlier run")
    add("--docs", type=Path, metavar="DIR", help="put the tables and plots into DIR/performance.md")
    add("--plain", action="store_true", help="Markdown tables, no colours, no bar")
    return made


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bench") -> int:
    """Run the cases that were asked for; the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser(prog).parse_args(given)
    if options.list:
        show("".join(f"{case.name:<12} {case.question}\n" for case in CASES))
        return 0
    try:
        old = _earlier(options.compare)
        if options.json and options.json.is_dir():
            raise ValueError(f"--json: {options.json}: Is a directory")
        for folder in _folders(options):
            output.check(folder)
        if options.docs:
            output.marked(options.docs / output.PAGE)
    except (output.Unwritable, OSError, ValueError) as error:
        say(f"{prog}: {error}")
        return 2
    settings = QUICK if options.quick else Settings()
    if options.rounds:
        settings = dataclasses.replace(settings, rounds=options.rounds, budget=float("inf"))
    ask_for_io_uring()
    if options.engine:
        os.environ[machine.ENGINE] = options.engine  # of those that measure, too
    if why := _no_engine():
        say(f"{prog}: {why}")
        return 2 if why.startswith("unknown") else 1
    facts = machine.describe([prog, *given])
    about = preamble(facts, settings)
    show(about + "\n\n")
    names = [case.name for case in CASES if not options.only or case.name in options.only]
    outcome, spent, ended = measure(names, settings, options.plain)
    try:
        show(took(spent) + "\n\n")
        report.show(results.results(outcome), options.plain)
        say_rest(outcome)
        if old[1]:
            show("\n" + compare.markdown(old, (facts, outcome), str(options.compare)) + "\n")
    except OSError as error:
        ended = ended or error  # the files, which took as long, are written all the same
    try:
        write(options, facts, settings, about, outcome, prog)
    except OSError as error:
        say(f"{prog}: {error}")
        return 1
    if isinstance(ended, KeyboardInterrupt):
        say(f"{prog}: interrupted: above is what was measured until then")
    elif ended and (options.json or options.out or options.docs):
        say(f"{prog}: {failure(ended)}: what was measured until then was written")
    if ended:
        raise ended
    return 1 if any(isinstance(item, Skipped) for item in outcome) else 0


def _earlier(path: Path | None) -> compare.Run:
    if path is None:
        return {}, []
    try:
        return results.parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"--compare: {path}: {error.strerror}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"--compare: {path}: not a file that this benchmark wrote: {error}") from None


def _no_engine() -> str:
    """Why the engine that was asked for cannot be measured; "" if it can, or none was."""
    asked = os.environ.get(machine.ENGINE)
    known = team.engines()
    if asked and asked not in known:
        return f"unknown engine {asked!r}; this system has: {', '.join(known)}"
    return f"engine {asked!r}: {known[asked]}" if asked and known[asked] else ""


def _folders(options: argparse.Namespace) -> list[Path]:
    """Which must be writable at the end."""
    found = [options.out] if options.out else []
    found += [options.json.parent] if options.json else []
    return [*found, options.docs] if options.docs else found


def ask_for_io_uring() -> None:
    """Let the processes that measure ask for io_uring, unless whoever asks is killed for it: a child tries."""
    if peers.VARIABLE in os.environ:
        return
    pid = os.fork()
    if not pid:
        status = 1
        try:
            status = int(not peers.has_io_uring())
        finally:
            os._exit(status)
    killed_or_not = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.environ[peers.VARIABLE] = "0" if killed_or_not else "1"


def measure(
    names: list[str], settings: Settings, plain: bool
) -> tuple[list[Outcome], dict[str, float], KeyboardInterrupt | OSError | None]:
    """These cases in each process, with its part of the rounds; the seconds that each took; what ended it before
    its time: Ctrl-C, or that nobody reads standard output any more."""
    cases = {case.name: case.fitted(settings) for case in CASES if case.name in names}
    plan = [
        (name, number, min(fitted.processes, fitted.rounds))
        for name, fitted in cases.items()
        for number in range(min(fitted.processes, fitted.rounds))
    ]
    progress = report.progress(len(plan), plain)
    outcome: dict[str, list[Outcome]] = {name: [] for name in names}
    spent = dict.fromkeys(names, 0.0)
    ended: KeyboardInterrupt | OSError | None = None
    # Not native.directory(), which atexit removes: Ctrl-C ends `knote bench` by the signal itself.
    with tempfile.TemporaryDirectory(prefix="knote-bench-") as built:
        os.environ[native.VARIABLE] = built
        try:
            # One process of each case after the other, so that a slow minute of the machine is nobody's alone.
            for name, number, count in sorted(plan, key=lambda step: step[1]):
                progress.step(f"{name}, process {number + 1} of {count}")
                start = time.monotonic()
                part = dataclasses.replace(
                    settings, rounds=(settings.rounds + number) // count, budget=settings.budget / count
                )
                try:
                    outcome[name].extend(worker.ask(name, part))
                except RuntimeError as error:  # its traceback is on stderr; the others are still to be measured
                    outcome[name].append(Skipped(name, str(error)))
                spent[name] += time.monotonic() - start
        except (KeyboardInterrupt, BrokenPipeError) as error:
            ended = error
        finally:
            progress.end()
            del os.environ[native.VARIABLE]
    return [item for name in names for item in merged(outcome[name])], spent, ended


def took(spent: dict[str, float]) -> str:
    """What the run cost, case by case, dearest first."""
    dearest = sorted(spent, key=lambda name: -spent[name])
    return f"Took {sum(spent.values()):.0f} s: " + ", ".join(f"{name} {spent[name]:.0f}" for name in dearest) + "."


def say_rest(outcome: Sequence[Outcome]) -> None:
    """Below the rows: charts as tables, who did not run."""
    charts = report.charts(outcome)
    if charts:
        show("\n" + charts + "\n")
    for item in outcome:
        if isinstance(item, Skipped):
            show(f"\n{item.case} did not run: {item.reason}\n")


def write(
    options: argparse.Namespace,
    facts: dict[str, object],
    settings: Settings,
    about: str,
    outcome: list[Outcome],
    prog: str,
) -> None:
    """The files that were asked for."""
    document = results.document(facts, dataclasses.asdict(settings), outcome)
    caption = f"knote {facts['knote']} ({facts['build']}), CPython {facts['python']}, Linux {facts['kernel']}, "
    caption += f"{facts['processor']}, {facts['date']}"
    if options.json:
        output.write(options.json, document + "\n")
    if options.out and (missing := output.everything(options.out, about, caption, outcome, document)):
        say(f"{prog}: {missing}")
    if options.docs:
        try:
            output.page(options.docs, about, caption, outcome)
        except output.Unwritable as error:
            say(f"{prog}: {error}")


def preamble(facts: dict[str, object], settings: Settings) -> str:
    """What the figures depend on, in words."""
    lines = [
        f"{facts['date']}: `{facts['command']}`",
        f"knote {facts['knote']} ({facts['build']}), CPython {facts['python']}, Linux {facts['kernel']}; "
        f"{facts['processor']}, {facts['cores']} cores, {facts['machine']}; {facts['compiler']}."
        + (f" On engine {facts['engine']}, which was asked for." if facts["engine"] else ""),
        f"Median of {settings.rounds} paired rounds (fewer of what takes long), from {settings.processes} "
        "process(es), with their quartiles; one core"
        + (", real-time priority." if facts["realtime"] else ", ordinary priority: expect noise."),
        "Noise: quartiles of the peer's ratio to itself.",
    ]
    if facts["build"] != "compiled":
        lines.append("NOT the compiled build: the targets are not meant for it.")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
