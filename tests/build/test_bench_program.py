"""`knote bench` as a program: what it refuses before it measures, and how it ends."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.programs import PATIENCE, command, knote, started
from tests.support.waiting import wait_until

pytestmark = pytest.mark.needs("bench/")


def _of_session(leader: int, word: bytes) -> bool:
    """Whether a process of that session has the word in its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if os.getsid(int(entry.name)) == leader and word in (entry / "cmdline").read_bytes():
                    return True
            except (ProcessLookupError, FileNotFoundError):
                continue
    return False


def test_ctrl_c_ends_all_of_it_quietly(tmp_path: Path) -> None:
    """Those that it measures get the terminal's signal, too; none says a word, and nothing stays behind."""
    built = tmp_path / "built"
    built.mkdir()
    with (
        open(tmp_path / "said", "wb") as said,
        started(
            "bench", "--rounds", "1000", "--only", "serve", "--json", str(tmp_path / "out.json"),
            start_new_session=True, stdout=said, stderr=said, env=os.environ | {"TMPDIR": str(built)},
        ) as process,
    ):  # fmt: skip
        wait_until(lambda: _of_session(process.pid, b"bench.servers"), PATIENCE)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE) == -signal.SIGINT
        wait_until(lambda: not _of_session(process.pid, b""), PATIENCE)
    lines = (tmp_path / "said").read_text().splitlines()
    assert lines[-1] == "knote bench: interrupted: above is what was measured until then"
    assert not [line for line in lines if "Traceback" in line or "KeyboardInterrupt" in line]
    assert json.loads((tmp_path / "out.json").read_text())["results"] == []
    assert os.listdir(built) == []


def test_it_ends_when_nobody_reads_any_more(tmp_path: Path) -> None:
    """`knote bench | head -1`: not when it next writes, which is at its end, and what was asked for is in the file."""
    out = tmp_path / "out.json"
    with (
        open(tmp_path / "said", "wb") as said,
        started(
            "bench", "--rounds", "1000", "--only", "nested", "--json", str(out),
            start_new_session=True, stdout=subprocess.PIPE, stderr=said,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline()
        wait_until(lambda: _of_session(process.pid, b"bench.worker"), PATIENCE)
        process.stdout.close()
        assert process.wait(PATIENCE) == -signal.SIGPIPE
        wait_until(lambda: not _of_session(process.pid, b""), PATIENCE)
    assert json.loads(out.read_text())["results"] == []
    words = "standard output: Broken pipe: what was measured until then was written"
    assert (tmp_path / "said").read_text() == f"knote bench: {words}\n"


class Full(io.StringIO):
    """A file on a disk without room."""

    encoding = "utf-8"

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_was_measured_is_written_though_it_cannot_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A reader who ends, or a disk that is full, while it measures."""
    from bench import __main__ as program
    from bench import worker

    def ask(case: str, settings: object) -> Iterator[Any]:
        from bench.results import Result

        yield Result(case, "a row", "event", None, True, {"ours": [1.0], "peer": [2.0], "peer, again": [2.0]})
        monkeypatch.setattr(sys, "stdout", Full())

    monkeypatch.setattr(worker, "ask", ask)
    monkeypatch.setattr(program, "ask_for_io_uring", lambda: None)
    monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    out = tmp_path / "out.json"
    with pytest.raises(OSError, match="No space left on device: 'standard output'"):
        program.main(["--only", "wake", "--rounds", "1", "--json", str(out)], "knote bench")
    assert [one["row"] for one in json.loads(out.read_text())["results"]] == ["a row"]
    assert "what was measured until then was written" in capfd.readouterr().err


def test_the_engine_that_was_asked_for_is_the_one_that_is_judged(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = knote("bench", "--quick", "--only", "nested", "--engine", "poll", "--json", str(out))
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert "On engine poll, which was asked for." in text
    assert "| **knote poll** |" in text and "| knote epoll |" in text
    assert "| case |" not in text  # this one has charts only
    run = json.loads(out.read_text())
    assert run["machine"]["engine"] == "poll"
    assert {point["judged"] for point in run["points"]} == {"knote poll"}


def test_too_few_descriptors_are_said() -> None:
    for case in ("lists", "wait-data"):
        words = ("sh", "-c", 'ulimit -n 100; exec "$@"', "sh", *command("bench", "--quick", "--only", case))
        done = subprocess.run(words, check=False, capture_output=True, timeout=PATIENCE)
        said = f"{case} did not run: it takes more than the 100 descriptors that may be open here (ulimit -Hn)"
        assert (done.returncode, done.stderr) == (1, b"")
        assert said in done.stdout.decode()


def test_what_is_no_file_to_compare_with_or_to_write_to(tmp_path: Path) -> None:
    for name, text in (("a", "x"), ("b", "[]"), ("c", '{"results": [{"row": 1}]}')):
        (tmp_path / name).write_text(text)
        done = knote("bench", "--compare", str(tmp_path / name))
        assert done.returncode == 2 and b": not a file that this benchmark wrote: " in done.stderr, done.stderr
    done = knote("bench", "--json", str(tmp_path))
    assert (done.returncode, done.stderr) == (2, f"knote bench: --json: {tmp_path}: Is a directory\n".encode())
