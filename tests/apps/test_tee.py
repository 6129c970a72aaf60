"""knote cat --tee: what may have been meant as an input is never cut to nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.apps.programs import knote


@pytest.mark.parametrize(
    "words",
    [
        ["--tee", "log", "data"],
        ["--tee", "log", "data", "--json"],
        ["a", "--tee", "log", "data"],
        ["-", "--tee", "log", "data"],
        ["--tee", "b", "--tee", "log", "new", "data"],
        ["--tee", "log", "link"],
    ],
    ids=" ".join,
)
def test_what_may_be_an_input_is_not_cut(words: list[str], tmp_path: Path) -> None:
    for name in ("a", "data"):
        (tmp_path / name).write_bytes(b"kept")
    (tmp_path / "link").symlink_to("data")
    before = sorted(os.listdir(tmp_path))
    done = knote("cat", *words, cwd=tmp_path, input=b"x")
    name = "link" if "link" in words else "data"
    assert (done.returncode, done.stdout) == (1, b"")
    said = done.stderr.decode()
    assert f" {name}: {name} is not empty, and would be cut to nothing. To read it: --tee " in said
    assert f" -- {name}; to write it: --tee " in said
    assert said.splitlines()[0].endswith(f"--tee {name}")
    assert (tmp_path / "data").read_bytes() == b"kept"
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("words", "tees"),
    [
        (["--tee", "old"], ["old"]),
        (["--tee", "new", "--tee", "old"], ["new", "old"]),
        (["--tee", "new", "old", "--"], ["new", "old"]),
        (["--tee", "old", "new", "empty"], ["old", "new", "empty"]),
        (["--tee=old", "-"], ["old"]),
        (["-", "--tee", "new", "/dev/null"], ["new"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_what_is_surely_a_tee_is_written(words: list[str], tees: list[str], tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"of yesterday")
    (tmp_path / "empty").touch()
    done = knote("cat", *words, cwd=tmp_path, input=b"new")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"new", b"")
    assert [(tmp_path / name).read_bytes() for name in tees] == [b"new"] * len(tees)


def test_what_is_read_stands_behind_the_list(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"kept")
    for words in (["--tee", "log", "--", "data"], ["--tee=log", "data"], ["data", "--tee", "log"]):
        done = knote("cat", *words, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"kept", b"")
        assert [(tmp_path / name).read_bytes() for name in ("data", "log")] == [b"kept"] * 2


def test_standard_input_is_no_tee(tmp_path: Path) -> None:
    done = knote("cat", "--tee", "log", "-", cwd=tmp_path, input=b"x")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"--tee -: that is standard input: name it before --tee, or behind --; a file is ./-" in done.stderr
    assert os.listdir(tmp_path) == []
    done = knote("cat", "--tee", "./-", cwd=tmp_path, input=b"x")
    assert (done.returncode, (tmp_path / "-").read_bytes()) == (0, b"x")
