"""Every recorded scenario on every engine: FreeBSD's answers, or what a row says instead."""

from __future__ import annotations

import pytest

from tests import gates
from tests.oracle import differences, document, player, verdict
from tests.oracle.trace import Scenario, load_all

FREEBSD = load_all()
TRIES = 5


@pytest.mark.parametrize("scenario", FREEBSD.values(), ids=FREEBSD.keys())
def test_trace(scenario: Scenario, engine: str) -> None:
    gates.apply(engine, scenario.needs)
    row = differences.find(scenario.name, engine)
    for _ in range(TRIES):
        outcomes = player.play_on_knote(scenario, engine)
        result = verdict.judge(scenario, engine, outcomes, row)
        # It is not the answers that are asked for another try, but a machine that stood still between them.
        if result.good or not player.stalled(scenario, outcomes):
            break
    if not result.good:
        pytest.fail("\n" + result.report(), pytrace=False)


def test_there_are_traces() -> None:
    assert len(FREEBSD) >= 193


def test_rows_are_about_steps_that_exist_and_differ() -> None:
    seen = set()
    for row in differences.DIFFERENCES:
        scenario = FREEBSD[row.scenario]
        key = (row.scenario, row.engines)
        assert key not in seen, f"two rows for {key}"
        seen.add(key)
        assert row.rule in differences.RULES
        assert row.why.endswith(".")
        assert row.why.count(". ") == 0, f"{row.scenario}: one sentence"
        assert row.instead, f"{row.scenario}: no step is named"
        for step, answer in row.instead.items():
            assert scenario.answers[step - 1] != answer, (
                f"{row.scenario} step {step}: that is FreeBSD's answer"
            )


@pytest.mark.needs("docs/")
def test_the_page_shows_the_table() -> None:
    page = document.PAGE.read_text()
    assert page == document.updated(page), "run: python -m tests.oracle --docs"


@pytest.mark.needs("docs/")
def test_the_page_tells_every_rule() -> None:
    told = document.PAGE.read_text()
    for number, title in differences.RULES.items():
        assert f"\n{number}. **{title}.** " in told
