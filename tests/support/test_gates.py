"""The gate table keeps its promises: reasons for all, nothing outlived, and no skip beside it."""

from __future__ import annotations

import re
from pathlib import Path

from tests import gates

TESTS = Path(__file__).resolve().parents[1]
HIDDEN_SKIP = re.compile(
    r"\bskip\(|mark\.skip|skipif\(|\bxfail\b|importorskip|SkipTest|skipUnless|skipIf"
)
ALLOWED = {Path("gates.py"), Path("support/test_gates.py")}


def test_every_row_has_a_reason() -> None:
    for gate in gates.gates():
        assert gate.what, gate
        assert len(gate.why.split()) >= 3, gate


def test_no_temporary_row_has_outlived_its_reason() -> None:
    outlived = [
        gate.what
        for gate in gates.GATES
        if gate.temporary
        and not gate.applies(gates.Asked(gate.engine, frozenset(filter(None, [gate.need]))))
    ]
    assert not outlived, (
        f"built by now: take the row out of tests/gates.py for {', '.join(outlived)}"
    )


def test_nothing_skips_by_itself() -> None:
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        if path.relative_to(TESTS) in ALLOWED:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if HIDDEN_SKIP.search(line):
                found.append(f"{path.relative_to(TESTS)}:{number}: {line.strip()}")
    assert not found, "a skip is a row in tests/gates.py:\n" + "\n".join(found)


def test_the_matrix_names_every_row() -> None:
    printed = gates.matrix()
    for gate in gates.GATES:
        assert gate.why in printed
