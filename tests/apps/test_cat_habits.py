"""knote cat: odd names, FIFOs that nobody writes, readers that leave, narrow terminals, JSON whatever happens."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest

from knote import kqueue
from knote.apps.branch import Branch, Fork
from knote.apps.inlet import Inlet
from knote.apps.outlet import Outlet
from tests.apps.programs import all_of, beside, command, ended, feed, knote, settled, started


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "''"),
        ("two words", "'two words'"),
        ("a\nb", r"$'a\nb'"),
        ("\x1b[31m", r"$'\033[31m'"),
        ("it's\t", r"$'it\'s\011'"),
        ("\udcff", r"$'\377'"),
    ],
)
def test_names_are_told_as_a_shell_reads_them(name: str, said: str, tmp_path: Path) -> None:
    done = knote("cat", "--", name, cwd=tmp_path)
    assert (done.returncode, done.stderr.decode()) == (1, f"knote cat: {said}: No such file or directory\n")
    if name:
        shell = ["bash", "-c", f"printf %s {said}"]
        assert subprocess.run(shell, capture_output=True, check=True).stdout == os.fsencode(name)


def test_a_fifo_that_nobody_writes_yet_keeps_nothing_waiting(tmp_path: Path) -> None:
    # open(2) would wait for its writer, and nothing else would be heard meanwhile.
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with started("cat", str(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        settled(process)
        process.send_signal(signal.SIGUSR1)
        assert process.stderr.readline().startswith(os.fsencode(path) + b": 0 B,")
        feed(os.open(path, os.O_WRONLY), b"at last")
        assert (process.stdout.read(), ended(process)) == (b"at last", 0)


def test_a_fifo_whose_writer_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with started("cat", str(path), stdout=subprocess.PIPE) as process:
        settled(process)
        os.close(os.open(path, os.O_WRONLY))
        assert ended(process) == 0


def test_an_input_is_no_tee(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"kept")
    done = knote("cat", "a", "--tee", "b", "a", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, b"kept")
    assert done.stderr == b"knote cat: a: input file is output file\n"
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"kept", b"kept"]


def test_a_tee_whose_reader_leaves_is_a_broken_pipe(tmp_path: Path) -> None:
    # It leaves while room is waited for, and a pipe's knote goes with it, by itself.
    (tmp_path / "a").write_bytes(b"x" * (1 << 20))
    r, w = os.pipe()
    words, pipe = ("a", "--tee", f"/dev/fd/{w}"), subprocess.PIPE
    with started("cat", *words, cwd=tmp_path, stdout=pipe, stderr=pipe, pass_fds=(w,)) as process:
        os.close(w)
        assert process.stdout is not None and process.stderr is not None
        settled(process)
        os.close(r)
        assert len(process.stdout.read()) == 1 << 20
        assert (ended(process), process.stderr.read()) == (1, f"knote cat: {words[2]}: Broken pipe\n".encode())


class Leaving(Outlet):
    """A pipe whose reader leaves after a write that found no room, and before room is waited for."""

    reader = -1

    def write(self, data: memoryview) -> int:
        """As Outlet.write()."""
        os.close(self.reader)
        return 0


@pytest.mark.parametrize("tee", [False, True])
def test_a_reader_that_leaves_before_room_is_waited_for_is_a_broken_pipe(*, tee: bool) -> None:
    r, w = os.pipe()
    source, other = os.pipe()
    outlet = Leaving(w, "output")
    outlet.reader = r
    with kqueue() as queue:
        flow = Fork(queue, Inlet(source, "input"), outlet, [], pytest.fail, first=b"x")
        if tee:
            branch = Branch(queue, flow, outlet)
            branch.give(memoryview(b"x"))
            error = branch.error
        else:
            flow.start()
            error = flow.write_error
    assert error is not None
    assert (error.errno, error.strerror, error.filename) == (errno.EPIPE, "Broken pipe", "output")
    outlet.close()
    for fd in (w, source, other):
        os.close(fd)


ODD, SHOWN = "\x1b[31m\n", r"$'\033[31m\n'"


@pytest.mark.parametrize("words", [["--progress"], ["--progress", "--tee", "b"]])
def test_lines_of_progress_name_files_as_a_shell_reads_them(words: list[str], tmp_path: Path) -> None:
    (tmp_path / ODD).write_bytes(b"x")
    done = knote("cat", ODD, *words, cwd=tmp_path)
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1)
    assert done.stderr.decode().startswith(f"{SHOWN}: 1 B of 1 B, ")


def test_an_output_is_named_as_a_shell_reads_it(tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))

    with (tmp_path / ODD).open("wb") as file:
        done = knote("cat", input=b"xx", stdout=file, preexec_fn=limit)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert r"\033[31m\n" in done.stderr.decode()


# ---- --json ---------------------------------------------------------------------------------------


def lines(said: bytes) -> list[Any]:
    """Each a JSON object."""
    return [json.loads(line) for line in said.splitlines()]


@pytest.mark.parametrize(
    ("closed", "name"), [(">&-", "standard output"), ("<&-", "-"), (">&- <&-", "standard output")]
)
def test_json_with_closed_descriptors(closed: str, name: str) -> None:
    line = f'"$@" --json - {closed}'
    done = subprocess.run(["bash", "-c", line, "", *command("cat")], capture_output=True, check=False)
    error, end = lines(done.stderr)
    assert error == {"event": "error", "name": name, "errno": "EBADF", "message": "Bad file descriptor"}
    assert (end["event"], end["status"], done.returncode) == ("end", 1, 1)


def test_json_without_an_engine() -> None:
    error, end = lines(knote("cat", "--json", "--engine", "steam").stderr)
    assert "unknown engine 'steam'" in error["message"]
    assert (end["event"], end["status"]) == ("end", 1)


def test_json_when_the_reader_leaves() -> None:
    r, w = os.pipe()
    os.close(r)
    with open("/dev/zero", "rb") as zero:
        done = knote("cat", "--json", stdin=zero, stdout=w)
    os.close(w)
    [end] = lines(done.stderr)
    assert (end["event"], end["status"], done.returncode) == ("end", 128 + signal.SIGPIPE, -signal.SIGPIPE)


def test_json_after_ctrl_c() -> None:
    with started("cat", "--json", stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        settled(process)
        process.send_signal(signal.SIGINT)
        assert ended(process) == -signal.SIGINT
        assert process.stderr is not None
        [end] = lines(process.stderr.read())
    assert (end["event"], end["status"]) == ("end", 128 + signal.SIGINT)


# ---- --progress on a terminal ---------------------------------------------------------------------


def shown(rows: int, columns: int, where: Path, *names: str, term: str = "xterm") -> str:
    """What a terminal of that size gets."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS")}
    got: list[bytes] = []
    with beside(lambda: got.append(all_of(master))):
        done = knote("cat", "--progress", *names, cwd=where, stderr=slave, env=environment | {"TERM": term})
        os.close(slave)
    os.close(master)
    assert done.returncode == 0
    return got[0].decode()


def picture(said: str) -> list[str]:
    """The lines that it ends with, without colours."""
    last = re.split(r"\x1b\[2K|\x1b\[\?25l", said)[-1]
    return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", last).rstrip().replace("\r", "").split("\n")


@pytest.mark.parametrize("columns", [10, 20, 30, 40, 50, 60, 72, 80, 100, 200])
def test_bars_fit_the_terminal(columns: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (1 << 20))
    rows = picture(shown(24, columns, tmp_path, "a", "a"))
    assert len(rows) == 3
    assert all(len(row) <= columns and "100%" in row for row in rows)
    assert all(word not in row for row in rows for word in ("MB/s", "0:…", "Mi…"))
    assert ("1.0/1.0 MiB" in rows[0], "ETA 0:00:00" in rows[0]) == (columns >= 60, columns >= 40)


def test_bars_of_more_files_than_lines(tmp_path: Path) -> None:
    names = [f"file{number}" for number in range(30)]
    for name in names:
        (tmp_path / name).write_bytes(b"x" * 1000)
    rows = picture(shown(10, 80, tmp_path, *names))
    assert len(rows) <= 9
    assert rows[-2].startswith(names[-1])
    assert rows[-1].startswith("total ")


def test_bars_leave_the_cursor_where_it_can_be_seen(tmp_path: Path) -> None:
    # Nobody could bring it back after SIGKILL, or while the program is stopped.
    (tmp_path / "a").write_bytes(b"x" * 1000)
    said = shown(24, 80, tmp_path, "a")
    assert said.startswith("\x1b[?25l\x1b[?25h")
    assert "\x1b[?25l" not in said[6:]


def test_a_terminal_that_cannot_be_drawn_on_gets_lines(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (1 << 20))
    said = shown(24, 80, tmp_path, "a", term="dumb")
    assert said.startswith("a: 1.00 MiB of 1.00 MiB, 100 %, ")


def test_bars_name_files_as_a_shell_reads_them(tmp_path: Path) -> None:
    (tmp_path / ODD).write_bytes(b"x" * 1000)
    said = shown(24, 80, tmp_path, ODD)
    assert "\x1b[31m\n" not in said and "\x1b[31m\r\n" not in said
    assert picture(said)[0].startswith(SHOWN)
