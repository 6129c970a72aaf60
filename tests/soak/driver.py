"""The command behind `python -m tests.soak.model`: many short lives of random steps, until one differs."""

from __future__ import annotations

import argparse
import ast
import pprint
import random
import re
import sys
import time

import knote
from tests.soak import maker
from tests.soak.player import Difference, Step, first_difference, player

LIFE = 300
"""Steps from fresh queues on; short, so that what is printed is."""


def lives(seed: int, total: int, report_s: float) -> tuple[int, list[Step] | None]:
    """Play total steps; how many were, and those of the life that ended in a difference."""
    rng = random.Random(seed)
    steps = 0
    start = said = time.monotonic()
    while steps < total:
        made = maker.Maker(rng)
        life: list[Step] = []
        try:
            with player() as playing:
                for _ in range(min(rng.randrange(2, 2 * LIFE), total - steps)):
                    step = made.step()
                    life.append(step)
                    playing.play(step)
        except Difference as difference:
            print(difference)
            return steps + len(life), life
        except BaseException:
            pprint.pp(life, width=115)
            raise
        steps += len(life)
        now = time.monotonic()
        if now - said >= report_s:
            said = now
            print(f"{steps:,} steps, {steps / (now - start):,.0f} a second", flush=True)
    print(f"{steps:,} steps without a difference, {steps / (time.monotonic() - start):,.0f} a second", flush=True)
    return steps, None


def _kind(difference: str) -> str:
    return re.split(r"[:,\[\n]", difference)[0]


def explain(life: list[Step]) -> None:
    """Print the shortest list that still differs."""
    found = first_difference(life)
    if found is None:
        print("played again from its start, the list does not differ; all of it:")
    else:
        kind = _kind(found[1])

        def fails(steps: list[Step]) -> bool:
            again = first_difference(steps)
            return again is not None and _kind(again[1]) == kind

        life = maker.shorten(life[: found[0] + 1], fails)
        again = first_difference(life)
        print(again[1] if again else found[1])
    pprint.pp(life, width=115)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests.soak.model", description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--report", type=float, default=10.0, help="seconds between lines of progress")
    parser.add_argument("--replay", help="a file that holds a printed list of steps")
    asked = parser.parse_args()
    print(f"knote {knote.build_info()['build']}", flush=True)
    if asked.replay:
        with open(asked.replay) as file:
            found = first_difference(ast.literal_eval(file.read()))
        print(f"step {found[0]}: {found[1]}" if found else "no difference")
        sys.exit(found is not None)
    seed = random.randrange(1 << 32) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    steps, life = lives(seed, asked.steps, asked.report)
    if life is not None:
        print(f"a difference after {steps:,} steps:")
        explain(life)
        sys.exit(1)
