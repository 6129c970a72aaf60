"""The command itself: verbs, help, version, and what it costs to start."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import knote
from knote.cli import VERBS
from knote.cli.say import show
from tests.apps.programs import command
from tests.apps.programs import knote as run


def test_version() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.decode().startswith(f"knote {knote.__version__} ({knote.build_info()['build']}, CPython 3.")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_names_every_verb(words: list[str]) -> None:
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, b"")
    for verb, text in VERBS.items():
        assert f"  {verb} " in done.stdout.decode()
        assert text in done.stdout.decode()


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_teaches_with_an_example(verb: str) -> None:
    done = run(verb, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(f"usage: knote {verb} ".encode())
    assert b"examples:\n  " in done.stdout
    assert max(map(len, done.stdout.decode().splitlines())) <= 115
    assert run("help", verb).stdout == done.stdout


def test_what_is_no_verb() -> None:
    done = run("dance")
    assert done.returncode == 2
    assert done.stderr.decode() == (
        f"knote: 'dance' is no verb; there are {', '.join(VERBS)}. "
        "'knote --help' tells more.\n"
    )
    done = run()
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"usage: knote VERB" in done.stderr


def test_help_into_a_pipe_that_nobody_reads() -> None:
    r, w = os.pipe()
    os.close(r)
    for words in (["--help"], ["serve", "--help"], ["--version"]):
        done = run(*words, stdout=w)
        assert (done.returncode, done.stderr) == (-13, b"")
    os.close(w)


def test_help_to_a_full_disk() -> None:
    with open("/dev/full", "wb") as full:
        for words in (["--help"], ["serve", "--help"]):
            done = run(*words, stdout=full)
            assert done.returncode == 1
            assert done.stderr == b"knote: standard output: No space left on device\n"


def test_the_installed_script() -> None:
    script = Path(sys.executable).with_name("knote")
    words = [str(script)] if script.exists() else command()
    done = subprocess.run([*words, "cat"], input=b"x", capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x", b"")


@pytest.mark.parametrize(
    ("words", "without"),
    [(["cat", os.devnull], ["argparse", "subprocess", "asyncio", "knote.apps.server"]),
     (["connect", "--help"], ["knote.apps.server", "asyncio", "subprocess"])],
)  # fmt: skip
def test_starting_imports_only_what_is_used(words: list[str], without: list[str]) -> None:
    program = (
        "import sys; from knote.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        f"print([name for name in {without!r} if name in sys.modules], file=sys.stderr)"
    )
    # -S -E: what an environment's .pth files import is not ours.
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-S", "-c", program], env=path, capture_output=True, check=False)
    assert done.stderr == b"[]\n"


@pytest.mark.parametrize("folder", ["", "/"])
def test_the_benchmark_is_carried_along(tmp_path: Path, folder: str) -> None:
    # From wherever it is started: a `bench` that lies there is not ours.
    (tmp_path / "bench.py").write_text("raise SystemExit('not this one')\n")
    done = run("bench", "--list", cwd=folder or tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"wait-nodata " in done.stdout and b"curves " in done.stdout
    done = run("bench", "--out", "/proc/nowhere", cwd=folder or tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(b"knote bench: /proc/nowhere: No such file or directory: nothing was measured")


def test_an_installation_without_the_benchmark_says_so(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from knote.cli import bench

    monkeypatch.setattr(bench, "_PACKAGE", tmp_path / "lib" / "knote")
    assert bench.run(["--list"], frozenset()) == 1
    assert "this installation does not have the benchmark" in capfd.readouterr().err


def test_what_is_shown_goes_where_a_program_has_put_standard_output() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        show("one\ntwo \udcff\n")
    assert shown.getvalue() == "one\ntwo \\udcff\n"
