"""The tables of `make clients`: complete, and in docs/clients.md."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.clients.clients import CLIENTS, NOT_RUN, ROWS

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "clients.md"

pytestmark = pytest.mark.needs("docs/")


def table(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without their code marks."""
    section = DOCUMENT.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_client_is_in_the_document_with_its_version() -> None:
    pinned = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["clients"]
    names = [name for client in CLIENTS for name in client.distributions or (client.name,)]
    versions = dict(line.split("==") for line in pinned)
    assert [row[:2] for row in table("What was run")] == [[name, versions[name]] for name in names]


def test_every_row_is_in_the_document() -> None:
    expected = [[row.client, row.pattern, row.side, row.why] for row in ROWS]
    assert table("What fails, and whose it is") == expected


def test_what_is_not_run_is_in_the_document() -> None:
    assert table("What is not run") == [[what, why] for what, why in NOT_RUN.items()]


def test_rows_are_of_clients_and_say_why() -> None:
    for row in ROWS:
        assert row.client in {client.name for client in CLIENTS}
        assert row.side in {"Linux", "FreeBSD", "the suite", "knote"}
        assert re.match(r"\S.{10,}", row.why)
