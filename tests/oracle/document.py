"""The table of traces in docs/differences.md, made from the rows in differences.py."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.oracle import differences
from tests.oracle.trace import load_all, step_text

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "differences.md"
BEGIN: Final = "<!-- traces: made by `python -m tests.oracle --docs`; do not edit by hand -->"
END: Final = "<!-- traces: end -->"


def _cell(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def table() -> str:
    """All rows, grouped by the decision they come under."""
    scenarios = load_all()
    parts: list[str] = []
    for number, rule in differences.RULES.items():
        rows = [row for row in differences.DIFFERENCES if row.rule == number]
        parts += ["", f"#### Rule {number}. {rule}", ""]
        if not rows:
            parts.append("No recorded scenario shows it.")
            continue
        parts += ["| scenario | step | FreeBSD | knote | why |", "|---|---|---|---|---|"]
        for row in rows:
            name, why = f"`{row.scenario}`", row.why
            if row.engines:
                why += f" (engines: {', '.join(row.engines)})"
            scenario = scenarios[row.scenario]
            for step, answer in row.instead.items():
                question = f"{step}: {_cell(step_text(scenario.steps[step - 1]))}"
                freebsd = _cell(scenario.answers[step - 1])
                parts.append(f"| {name} | {question} | {freebsd} | {_cell(answer)} | {why} |")
                name = why = ""
    return "\n".join(parts).strip()


def updated(page: str) -> str:
    """The page with a fresh table between its two markers."""
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"


def write(path: Path = PAGE) -> None:
    """Rewrite the table in place."""
    path.write_text(updated(path.read_text()))
