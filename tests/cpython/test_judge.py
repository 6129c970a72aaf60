"""The judge of `make cpython`: nothing passes by testing nothing, no row outlives its reason."""

from __future__ import annotations

from collections.abc import Iterable

from tests.cpython.suites import ROWS, SUITES, Row
from tests.support import verdicts

PAIR = "test.test_kqueue.TestKQueue.testPair"
QUEUE = "test.test_kqueue.TestKQueue.test_queue_event"


def judge(suite: str, records: Iterable[dict[str, str]], rows: list[Row]) -> verdicts.Verdict:
    return verdicts.judge(records, rows, SUITES[suite].must_run)


def record(test: str, outcome: str, text: str = "") -> dict[str, str]:
    return {"test": test, "outcome": outcome, "text": text}


def test_all_pass() -> None:
    verdict = judge("kqueue", [record(PAIR, "passed"), record(QUEUE, "passed")], [])
    assert (verdict.passed, verdict.failed, verdict.complaints) == (2, {}, [])


def test_a_failure() -> None:
    verdict = judge("kqueue", [record(PAIR, "failed", "no"), record(QUEUE, "passed")], [])
    assert verdict.failed == {PAIR: "no"}


def test_a_failure_of_several_subtests_is_one() -> None:
    verdict = judge("kqueue", [record(PAIR, "failed", "1"), record(PAIR, "failed", "2")], [])
    assert verdict.failed == {PAIR: "1"}


def test_a_listed_failure() -> None:
    verdict = judge("kqueue", [record(PAIR, "failed"), record(QUEUE, "passed")], [Row("*.testPair", "…")])
    assert (verdict.expected, verdict.failed, verdict.complaints) == ([PAIR], {}, [])


def test_a_row_that_nothing_needs() -> None:
    verdict = judge("kqueue", [record(PAIR, "passed"), record(QUEUE, "passed")], [Row("*.testPair", "…")])
    assert "'*.testPair'" in verdict.complaints[0]


def test_a_suite_that_skipped_everything() -> None:
    verdict = judge("kqueue", [record(test, "skipped", "only on BSD") for test in (PAIR, QUEUE)], [])
    assert verdict.skipped == {"only on BSD": 2}
    assert len(verdict.complaints) == 2


def test_rows_name_suites_and_reasons() -> None:
    for row in ROWS:
        assert row.why
        assert set(row.suites) <= set(SUITES)


def test_rows_apply_where_they_say() -> None:
    row = Row("*", "…", suites=("kqueue",), versions=((3, 12),))
    assert row.applies("kqueue", (3, 12))
    assert not row.applies("kqueue", (3, 13))
    assert not row.applies("asyncio", (3, 12))
