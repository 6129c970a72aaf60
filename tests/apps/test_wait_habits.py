"""knote wait: what scripts do to it: variables that are empty, numbers that are none, commands with children."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from knote import kqueue
from knote.apps import held, runner
from knote.apps.conditions.fact import Fact
from knote.apps.conditions.way import Way
from knote.apps.handler import Handler
from tests.apps.programs import command, ended, knote, settled, started
from tests.support.waiting import wait_until

GUARD = ("--timeout", "30s")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--pid", "99999999999999999999"], 2, "a number is wanted"),
        (["--pid", "²"], 2, "a number is wanted"),
        (["--pid", ""], 2, "a number is wanted"),
        (["--pid", "0"], 2, "1 or more"),
        (["--read", "99999999999999999999"], 2, "a number is wanted"),
        (["--write", "4294967296"], 2, "a number is wanted"),
        (["--count", "²", "--timer", "1s"], 2, "is no number of events"),
        (["--exists", ""], 2, "--exists '': a path is wanted"),
        (["--gone", ""], 2, "a path is wanted"),
        (["--file", ""], 2, "a path is wanted"),
        (["--every", "0"], 2, "must be above 0"),
        (["--connect", "127.0.0.1:99999"], 1, "the highest one is 65535"),
        (["--signal", "USR1+2"], 1, "no signal that can be caught"),
        (["--signal", "RTMAX+1"], 1, "no signal that can be caught"),
    ],
)
def test_what_cannot_be_meant_is_said(words: list[str], status: int, text: str) -> None:
    done = knote("wait", *words, *GUARD)
    assert (done.returncode, done.stdout) == (status, b"")
    assert text in done.stderr.decode() and b"Traceback" not in done.stderr


@pytest.mark.parametrize(("kind", "fd", "how"), [("read", 0, "<&-"), ("write", 1, ">&-")])
def test_a_descriptor_that_the_shell_has_closed(kind: str, fd: int, how: str) -> None:
    words = ["bash", "-c", f'"$@" --{kind} {fd} {how}', "", *command("wait", *GUARD)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert f"--{kind} {fd}: Bad file descriptor; the shell opens it" in done.stderr.decode()


@pytest.mark.parametrize("kind", ["read", "write"])
def test_what_knote_has_opened_is_no_descriptor_of_the_shells(kind: str) -> None:
    # Its own queue has the first number that is free.
    r, w = os.pipe()
    os.close(r)
    os.close(w)
    done = knote("wait", f"--{kind}", str(r), "--timeout", "1s")
    assert (done.returncode, done.stdout) == (1, b"")
    assert f"--{kind} {r}: Bad file descriptor; the shell opens it" in done.stderr.decode()


@pytest.mark.parametrize("words", [["--pid", "{}"], ["--signal", "USR1", "--signal", "10", "--pid", "{}"]])
def test_what_is_given_twice_happens_once(words: list[str]) -> None:
    """`--all` of two that are one knote would wait for ever."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        given = [word.format(other.pid) for word in words] * 2
        with started("wait", "--all", *given, *GUARD, stdout=subprocess.PIPE) as process:
            settled(process)
            process.send_signal(signal.SIGUSR1) if "--signal" in words else None
            assert other.stdin is not None and process.stdout is not None
            other.stdin.close()
            said = process.stdout.read().decode().splitlines()
            assert (ended(process), len(said)) == (0, len(set(given)) // 2 or 1)


@pytest.mark.parametrize(
    ("name", "shown"), [("a\nb", r"$'a\nb'"), ("\x1b[31m", r"$'\033[31m'"), ("\udcff", r"$'\377'")]
)
def test_names_are_told_as_a_shell_reads_them(name: str, shown: str, tmp_path: Path) -> None:
    done = knote("wait", "--file", name, cwd=tmp_path)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert done.stderr.decode()[:-1].isprintable()
    (tmp_path / name).touch()
    done = knote("wait", "--exists", name, cwd=tmp_path)
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, f"exists {shown}: is there\n", b"")
    told = json.loads(knote("wait", "--json", "--exists", name, cwd=tmp_path).stdout)
    assert told["subject"] == name


def test_what_the_encoding_has_not_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "\N{SNOWMAN}"
    path.touch()
    surroundings = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = knote("wait", "--exists", path.name, cwd=tmp_path, env=surroundings)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"exists \\u2603: is there\n", b"")


@pytest.mark.parametrize("path", ["link/../file", "over/file", "./link/.././file", "far/dir/../file"])
def test_what_is_above_a_directory_that_a_link_leads_to(path: str, tmp_path: Path) -> None:
    """`..` of a symbolic link is where it leads to, and not where it stands."""
    (tmp_path / "far" / "dir").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/dir")
    (tmp_path / "over").symlink_to("link/..")
    with started("wait", "--exists", path, *GUARD, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        settled(process)
        (tmp_path / "far" / "file").touch()
        assert process.stdout is not None
        assert (process.stdout.read().decode(), ended(process)) == (f"exists {path}: is there\n", 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gone", "."], "gone .: is not there\n"),
        (["--gone", "../dir"], "gone ../dir: is not there\n"),
        (["--file", "."], "file .: delete\n"),
    ],
)
def test_the_working_directory_goes(words: list[str], said: str, tmp_path: Path) -> None:
    """getcwd(3) fails from then on, while stat(2) still answers for "."."""
    where = tmp_path / "dir"
    where.mkdir()
    with started("wait", *words, *GUARD, cwd=where, stdout=subprocess.PIPE) as process:
        settled(process)
        where.rmdir()
        assert process.stdout is not None
        assert (process.stdout.read().decode(), ended(process)) == (said, 0)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--gone", "."], 0, "gone .: is not there"),
        (["--gone", "entry"], 0, "gone entry: is not there"),
        (["--exists", "/"], 0, "exists /: is there"),
        (["--exists", "entry"], 1, "--exists entry: the working directory was removed"),
        (["--file", "."], 1, "--file .: No such file or directory"),
    ],
)
def test_in_a_directory_that_was_removed(words: list[str], status: int, said: str, tmp_path: Path) -> None:
    script = 'mkdir dir && cd dir && rmdir ../dir && exec "$@"'
    done = subprocess.run(
        ["bash", "-c", script, "", *command("wait", *words, *GUARD)],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done
    assert said in done.stdout + done.stderr and "Traceback" not in done.stderr


class Refusing:
    """A queue whose kernel lets nobody watch a directory that may not be read."""

    def control(self, changes: Any, room: int) -> None:
        raise PermissionError(errno.EACCES, "no")


def test_a_directory_that_may_only_be_passed_through(tmp_path: Path) -> None:
    """Mode 711, as /home has it.  But where its entries decide, there is no way without it."""
    (tmp_path / "home").mkdir()
    way = Way(str(tmp_path / "home" / "file"), Refusing(), Handler())  # type: ignore[arg-type]
    with pytest.raises(PermissionError):
        way.renew()
    assert str(tmp_path) in way._held and str(tmp_path / "home") not in way._held
    way.close()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("RTMIN", signal.SIGRTMIN),
        ("SIGRTMIN+3", signal.SIGRTMIN + 3),
        ("rtmax-2", signal.SIGRTMAX - 2),
        ("SIGRTMAX", signal.SIGRTMAX),
        ("64", 64),
    ],
)
def test_signals_as_kill_l_has_them(name: str, number: int) -> None:
    assert held.numbered(name) == number


@pytest.mark.parametrize(("act", "word"), [("mv", "rename"), ("rm", "delete"), ("ln-rm", "delete")])
def test_a_file_that_is_renamed_is_not_said_to_be_deleted(act: str, word: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    if act == "ln-rm":
        (tmp_path / "other").hardlink_to(path)
    with started("wait", "--file", str(path), *GUARD, stdout=subprocess.PIPE) as process:
        settled(process)
        if act == "mv":
            path.rename(tmp_path / "file.bak")
        else:
            path.unlink()
        assert process.stdout is not None
        said = process.stdout.read().decode()
        assert ended(process) == 0
    others = {"rename", "delete"} - {word}
    assert word in said.split() and not others & set(said.split()), said


def test_a_command_that_is_being_built(tmp_path: Path) -> None:
    """It is told, and the next event runs it."""
    program, gate = tmp_path / "program", tmp_path / "gate"
    gate.touch()
    words = ("--count", "2", "--debounce", "0", "--file", str(gate), "--", "./program")
    pipe = subprocess.PIPE
    with started("wait", *words, cwd=tmp_path, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None and process.stderr is not None
        settled(process)
        gate.chmod(0o600)
        assert process.stderr.readline() == b"knote wait: ./program: No such file or directory\n"
        program.write_text("#!/bin/sh\necho runs; exit 3\n")
        program.chmod(0o755)
        settled(process)
        gate.chmod(0o640)
        assert (process.stdout.read(), ended(process)) == (b"runs\n", 3)


def test_a_command_to_be_kept_running_that_cannot_be(tmp_path: Path) -> None:
    done = knote("wait", "--restart", "--timer", "1h", "--", "no-such-program")
    assert (done.returncode, done.stderr) == (127, b"knote wait: no-such-program: No such file or directory\n")


def test_a_command_that_goes_while_it_is_kept_running(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nrm program; echo $$; exec cat fifo\n")
    program.chmod(0o755)
    os.mkfifo(tmp_path / "fifo")
    pipe = subprocess.PIPE
    words = ("--restart", "--timer", "1h", "--", "./program")
    with started("wait", *words, cwd=tmp_path, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None and process.stderr is not None
        os.kill(int(process.stdout.readline()), signal.SIGKILL)
        assert process.stderr.readline() == b"knote wait: ./program: No such file or directory\n"
        program.write_text("#!/bin/sh\necho back; exec cat fifo\n")
        program.chmod(0o755)
        assert process.stdout.readline() == b"back\n"
        process.send_signal(signal.SIGTERM)
        assert ended(process) == 128 + signal.SIGTERM


def test_a_command_after_all_of_them_knows_all_of_them() -> None:
    words = ("--all", "--timer", "1ms", "--timer", "2ms", "--", "printenv", "KNOTE_EVENTS")
    done = knote("wait", *words)
    assert [json.loads(line)["subject"] for line in done.stdout.splitlines()] == ["1ms", "2ms"]
    assert done.returncode == 0


def test_sigquit_leaves_no_command_behind() -> None:
    words = ("--restart", "--timer", "1h", "--", "sh", "-c", "echo on; exec cat")
    with started("wait", *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"on\n"
        process.send_signal(signal.SIGQUIT)
        assert (process.stdout.read(), ended(process)) == (b"", 128 + signal.SIGQUIT)


def test_more_events_than_an_environment_holds() -> None:
    facts = [Fact("file", f"{number:0100}", ("write",), None, 0.0) for number in range(5000)]
    with kqueue() as queue:
        it = runner.Runner(
            queue, ["sh", "-c", "read x"], restart=False, group=False, debounce_ms=60_000,
            ended=lambda: None, complain=pytest.fail,
        )  # fmt: skip
        it.because(facts)
        told = runner._newest(it._facts)
        it.start()  # not E2BIG
        it.close()
    assert len(told) <= runner.ROOM
    assert told.splitlines()[-1] == facts[-1].record()
    assert all(json.loads(line) for line in told.splitlines())


def test_ctrl_c_ends_the_loop_around_it() -> None:
    """A shell goes on after a program that ends by itself, whatever its exit status."""
    loop = ["bash", "-c", 'while :; do "$@"; echo again; done', ""]
    words = [*loop, *command("wait", "--timer", "1h", "--restart", "--", "sh", "-c", "echo on; cat")]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, process_group=0) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"on\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
        assert process.stdout.read() == b""
        assert ended(process) == -signal.SIGINT


# ---- a command that does not end alone ------------------------------------------------------------


def test_what_a_command_has_started_ends_with_it() -> None:
    # As with timeout(1): its child holds our output open, and would for two minutes.
    done = knote("wait", "--timeout", "300ms", "--", "sh", "-c", "sleep 120; true")
    assert done.returncode == 124


def test_a_command_that_is_stopped_hears_the_end() -> None:
    script = "trap 'echo heard; exit 0' TERM; kill -STOP $$; exit 1"
    with started("wait", "--", "sh", "-c", script, stdout=subprocess.PIPE) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

        def stopped() -> bool:
            pids = children.read_text().split()
            return bool(pids) and Path(f"/proc/{pids[0]}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"

        wait_until(stopped)
        settled(process)
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert (process.stdout.read(), ended(process)) == (b"heard\n", 128 + signal.SIGTERM)


def test_a_command_at_a_prompt_may_read_the_terminal() -> None:
    # setsid -c: a session with this terminal, whose foreground group is knote's, as a shell starts it.
    master, slave = os.openpty()
    words = ["setsid", "-c", *command("wait", *GUARD, "--", "sh", "-c", "read line; echo you said $line")]
    with subprocess.Popen(words, stdin=slave, stdout=subprocess.PIPE) as process:
        os.write(master, b"hello\n")
        assert process.stdout is not None
        assert process.stdout.read() == b"you said hello\n"
        assert ended(process) == 0
    os.close(slave)
    os.close(master)
