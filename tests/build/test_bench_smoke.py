"""The benchmark's arithmetic, and that every case runs: one tiny round each, no time is asserted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs("bench/")

CASES = (
    "wait-nodata", "wait-data", "changes", "idle", "serve", "workers", "wake", "timers", "exits", "files", "aio",
    "solaris", "curves", "lists", "rings", "libevent", "timeouts", "nested", "footprint", "start", "proactor", "cat",
    "react",
)  # fmt: skip
MARKS: dict[str, Any] = {"files": pytest.mark.needs("watchfiles")} | dict.fromkeys(
    ("curves", "libevent", "timeouts"),
    pytest.mark.leaves("libuv keeps a pipe for signals as long as the process lives"),
)


def test_every_case_is_here() -> None:
    from bench.cases import CASES as listed

    assert tuple(case.name for case in listed) == CASES


@pytest.mark.needs("docs/")
def test_the_page_asks_what_the_cases_ask() -> None:
    page = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    questions = page.partition("## The questions")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| ([a-z-]+) \|", questions, re.M)) == sorted([*CASES, "case"])


def test_median_and_quartiles() -> None:
    from bench.stats import Spread

    assert Spread.of([3.0, 1.0, 5.0, 2.0, 4.0]) == Spread(3.0, 2.0, 4.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


def test_ratios_are_taken_within_a_round() -> None:
    from bench.stats import paired

    # The machine was four times as slow in the second round, for both.
    assert paired([2.0, 8.0], [1.0, 4.0]) == [2.0, 2.0]
    with pytest.raises(ValueError):
        paired([1.0], [])


@pytest.mark.parametrize(
    ("median", "low", "target", "verdict"),
    [(1.0, 0.9, None, ""), (1.0, 0.9, 1.1, "met"), (1.2, 1.0, 1.1, "unclear"), (1.3, 1.2, 1.1, "missed")],
)
def test_missed_only_with_the_quartiles_above(
    median: float, low: float, target: float | None, verdict: str
) -> None:
    from bench.stats import Spread
    from bench.stats import verdict as judged

    assert judged(Spread(median, low, 2.0), target) == verdict


def test_a_loop_keeps_its_number_of_turns() -> None:
    from bench.model import Loop

    asked: list[int] = []

    def run(turns: int) -> int:
        asked.append(turns)
        return turns * 1000

    loop = Loop("1 µs a turn, 10 units", run, 10)
    assert loop.sample(0.02) == loop.sample(0.02) == 100.0
    assert asked[-2:] == [20_000, 20_000]


def fake(name: str, values: list[float]) -> Any:
    from bench.model import Contender

    class Fake(Contender):
        def sample(self, seconds: float) -> float:
            return values.pop(0)

    return Fake(name)


def test_a_row_measures_the_peer_against_itself() -> None:
    from bench import runner
    from bench.model import Case, Ratio, Settings

    # One round more than is kept: the first warms up.
    ours, peer = fake("ours", [9.0, 30.0, 30.0]), fake("peer", [9.0, 9.0] + [20.0] * 4)
    row = Ratio("a row", ours, peer, 1.2, beside=[fake("third", [9.0, 50.0, 50.0])])
    case = Case("a case", "?", lambda _settings: pytest.fail("not asked"))
    result = runner.result(case, row, runner.measure(row, Settings(rounds=2, seconds=0.0)))
    assert result.names == ["ours", "peer", "third"]
    assert (result.measured.median, result.verdict) == (1.5, "missed")
    assert result.noise is not None and result.noise.median == 1.0


def test_processes_add_their_rounds_up() -> None:
    from bench.runner import Result, Skipped, merged

    def measured(figure: float) -> Result:
        return Result("a case", "a row", "byte", 3.0, False, {"a row": [figure]})

    (both, skipped) = merged([measured(1.0), Skipped("other", "?"), measured(2.0), Skipped("other", "?")])
    assert isinstance(both, Result) and both.samples == {"a row": [1.0, 2.0]}
    assert skipped == Skipped("other", "?")


@pytest.mark.needs("every case of the benchmark")
@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, ())) for name in CASES])
def test_a_tiny_round(name: str, tmp_path: Path) -> None:
    from bench import report, results, runner
    from bench.cases import CASES as listed
    from bench.model import Settings
    from knote import caps

    (case,) = (case for case in listed if case.name == name)
    settings = Settings(rounds=1, seconds=0.0005, glance=0.0001, scale=0.02, places=2)
    outcome = list(runner.run(case, settings))
    assert outcome and not any(isinstance(item, runner.Skipped) for item in outcome), outcome
    rows = [item for item in outcome if isinstance(item, runner.Result)]
    points = [item for item in outcome if isinstance(item, runner.Point)]
    for item in [*rows, *points]:
        assert item.samples and all(value >= 0 for values in item.samples.values() for value in values)
    for point in points:
        # Every engine that knote lists takes part, unasked, or is absent with a reason.
        told = set(point.names) | {name for name, why in point.absent.items() if why}
        assert point.reference in point.samples and point.judged in told
        if name not in ("timeouts", "start"):
            assert {f"knote {cap.name}" for cap in caps.report().engines} <= told
    assert report.markdown(rows).count("\n") == 1 + len(rows)
    for item in outcome:
        assert results.read(json.loads(json.dumps(results.plain(item)))).row == item.row  # type: ignore[union-attr]
