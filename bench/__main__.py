"""python -m bench [--only CASE] [--rounds N] [--quick] [--json FILE] [--plain]"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from bench import machine, report, runner, worker
from bench.cases import CASES
from bench.model import Settings

QUICK = Settings(rounds=5, processes=1, seconds=0.005)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m bench",
        description="What knote costs: ratios to what else could be written, each with its target.",
        epilog="Cases: " + ", ".join(f"{case.name} ({case.question})" for case in CASES),
    )
    made.add_argument(
        "--only", action="append", choices=[case.name for case in CASES], metavar="CASE",
        help="run this case; may be given again",
    )  # fmt: skip
    rounds = f"paired rounds (default: {Settings().rounds}, quick {QUICK.rounds})"
    made.add_argument("--rounds", type=int, metavar="N", help=rounds)
    made.add_argument("--quick", action="store_true", help="few and short rounds: a look, no proof")
    made.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    made.add_argument("--plain", action="store_true", help="a Markdown table, no colours, no bar")
    return made


def main() -> int:
    """Run the cases that were asked for; 1 if one of them could not run."""
    options = parser().parse_args()
    settings = QUICK if options.quick else Settings()
    if options.rounds is not None:
        if options.rounds < 1:
            parser().error("--rounds: at least 1")
        settings = dataclasses.replace(settings, rounds=options.rounds)
    about = machine.describe()
    print(preamble(about, settings), end="\n\n", flush=True)
    names = [case.name for case in CASES if not options.only or case.name in options.only]
    outcome = measure(names, settings, options.plain)
    report.show([item for item in outcome if isinstance(item, runner.Result)], options.plain)
    skipped = [item for item in outcome if isinstance(item, runner.Skipped)]
    for item in skipped:
        print(f"\n{item.case} did not run: {item.reason}")
    if options.json:
        text = report.document(about, dataclasses.asdict(settings), outcome)
        options.json.write_text(text + "\n", encoding="utf-8")
    return 1 if skipped else 0


def measure(
    names: list[str], settings: Settings, plain: bool
) -> list[runner.Result | runner.Skipped]:
    """These cases in each process, with its part of the rounds."""
    count = min(settings.processes, settings.rounds)
    progress = report.progress(len(names) * count, plain)
    outcome: dict[str, list[runner.Result | runner.Skipped]] = {name: [] for name in names}
    try:
        for number in range(count):
            rounds = (settings.rounds + number) // count
            for name in names:
                progress.step(f"{name}, process {number + 1} of {count}")
                outcome[name] += worker.ask(name, dataclasses.replace(settings, rounds=rounds))
    finally:
        progress.end()
    return [item for name in names for item in runner.merged(outcome[name])]


def preamble(about: dict[str, object], settings: Settings) -> str:
    """What the figures depend on, in words."""
    lines = [
        f"knote {about['knote']} ({about['build']}), CPython {about['python']}, "
        f"Linux {about['kernel']}",
        f"{about['processor']}, {about['cores']} cores, {about['machine']}; {about['compiler']}",
        f"Median of {settings.rounds} paired rounds, from {settings.processes} process(es), "
        "with their quartiles; one core"
        + (", real-time priority." if about["realtime"] else ", ordinary priority: expect noise."),
        "Noise: quartiles of the peer's ratio to itself.",
    ]
    if about["build"] != "compiled":
        lines.append("NOT the compiled build: the targets are not meant for it.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
