"""Play traces by hand: ``python -m tests.oracle NAME...`` or ``python tests/oracle/play.py --all``.

Plays what FreeBSD's kernel answered against whatever knote is importable (PYTHONPATH=src: the
interpreted one) and prints each scenario that ends differently, step by step.  Ends with 1 if one
did.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from collections import Counter
from pathlib import Path

if (
    not __package__
):  # run as a file: `tests` is found beside it, and not this folder's modules as top level
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.oracle import differences, document, player, verdict
from tests.oracle.trace import Scenario, load, load_all, parse, step_text


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.oracle", description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", help="names, patterns, files: pipe_clear_basic 'timer_*' mine.json"
    )
    parser.add_argument("--all", action="store_true", help="every scenario")
    parser.add_argument(
        "--engine", action="append", help="engine, or 'every'; default: knote's own choice"
    )
    parser.add_argument(
        "--filter", action="append", help="only scenarios that use it: READ, USER, ..."
    )
    parser.add_argument(
        "--recording", default="freebsd", help="freebsd (default) or netbsd, for comparison"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="every step of every scenario")
    parser.add_argument("-q", "--quiet", action="store_true", help="one line for each that differs")
    parser.add_argument(
        "--gated", action="store_true", help="play those too whose filters are not built"
    )
    parser.add_argument(
        "--list", action="store_true", help="print the chosen scenarios, play nothing"
    )
    parser.add_argument(
        "--docs", action="store_true", help="rewrite the table in docs/differences.md"
    )
    parser.add_argument("--emit", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(words)


def _chosen(args: argparse.Namespace) -> list[Scenario]:
    everything = load_all(args.recording)
    if not everything:
        raise SystemExit(f"no traces of {args.recording!r}")
    picked = set(everything) if args.all or not args.names else set()
    for pattern in args.names:
        if pattern.endswith(".json"):
            scenario = load(Path(pattern))
            everything[scenario.name] = scenario
            picked.add(scenario.name)
            continue
        found = fnmatch.filter(everything, pattern)
        if not found:
            raise SystemExit(f"no trace is called {pattern!r}; --list prints their names")
        picked.update(found)
    wanted = {
        word if word.startswith("EVFILT_") else f"EVFILT_{word.upper()}"
        for word in args.filter or ()
    }
    return [
        s for name, s in everything.items() if name in picked and (not wanted or wanted & s.needs)
    ]


def _print_list(scenarios: list[Scenario], *, verbose: bool) -> None:
    for scenario in scenarios:
        print(f"{scenario.name:36} {scenario.about}")
        if verbose:
            for number, (step, answer) in enumerate(
                zip(scenario.steps, scenario.answers, strict=True), 1
            ):
                print(f"    {number:3}  {step_text(step)}  => {answer}")


def _emit(engine: str | None) -> int:
    """The other half of player.play_apart(): a scenario on stdin, its outcomes on stdout."""
    scenario = parse(json.load(sys.stdin))
    sys.stdout.write(json.dumps(player.play(scenario, player.Knote(engine))))
    return 0


def _play(args: argparse.Namespace, scenarios: list[Scenario], engine: str | None) -> Counter[str]:
    from tests import gates

    shown = engine or "default"
    count: Counter[str] = Counter()
    for scenario in scenarios:
        gate = gates.find(engine, scenario.needs)
        if gate and not args.gated:
            count["gated"] += 1
            if args.verbose:
                print(f"{scenario.name} [{shown}] gated: {gate.why}")
            continue
        row = differences.find(scenario.name, shown) if args.recording == "freebsd" else None
        outcomes = player.play_on_knote(scenario, engine)
        result = verdict.judge(scenario, shown, outcomes, row)
        count[result.kind] += 1
        if args.quiet and not result.good:
            wrong = next((line for line in result.lines if not line.right), result.lines[-1])
            print(f"{scenario.name} step {wrong.number}: wanted {wrong.wanted}, knote {wrong.got}")
        elif args.verbose or not result.good:
            print(result.report(whole=args.verbose), end="\n\n")
    told = ", ".join(f"{n} {kind}" for kind, n in count.most_common())
    print(f"{len(scenarios)} scenarios on {shown}: {told}")
    return count


def main(words: list[str] | None = None) -> int:
    """Exit status: 0 if every scenario matched or ended as its row describes."""
    args = _arguments(words)
    if args.emit:
        return _emit(args.engine[0] if args.engine else None)
    if args.docs:
        document.write()
        return 0
    if not (args.all or args.names or args.filter or args.list):
        _arguments(["--help"])  # ends here
    scenarios = _chosen(args)
    if args.list:
        _print_list(scenarios, verbose=args.verbose)
        return 0
    engines: list[str | None] = list(args.engine or [None])
    if engines == ["every"]:
        from tests import gates
        from tests.support import installed

        engines = [name for name in installed.engine_names() if not gates.find(name)]
    total: Counter[str] = Counter()
    for engine in engines:
        total += _play(args, scenarios, engine)
    return 1 if total["differs"] or total["stale row"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
