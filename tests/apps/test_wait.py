"""knote wait: what is waited for, until when, what is run, what the exit status says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from knote import kqueue
from knote.apps.conditions import peer
from knote.apps.handler import deliver
from tests.apps.programs import ended, feed, settled, started
from tests.apps.programs import knote as run
from tests.support import namespaces
from tests.support.links import Links
from tests.support.waiting import HARDLY, SOON, wait_until

GUARD = ("--timeout", "30s")
"""So that a failed test ends."""


def meanwhile(
    *words: str, do: Callable[[int], object], lines: int = 1, pass_fds: tuple[int, ...] = ()
) -> list[str]:
    """Start it, let it come to rest, do that; what it printed.  It ends with 0."""
    with started("wait", *words, stdout=subprocess.PIPE, pass_fds=pass_fds) as process:
        settled(process)
        do(process.pid)
        assert process.stdout is not None
        out = process.stdout.read().decode().splitlines()
        assert (ended(process), len(out)) == (0, lines)
        return out


# ---- what ----------------------------------------------------------------------------------------


def test_a_timer() -> None:
    done = run("wait", "--timer", "10ms")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"timer 10ms: over\n", b"")


def test_a_file_that_comes_to_be_with_its_directories(tmp_path: Path) -> None:
    def make(_pid: int) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "b").mkdir()
        (tmp_path / "a" / "b" / "c").touch()

    path = str(tmp_path / "a" / "b" / "c")
    assert meanwhile("--exists", path, *GUARD, do=make) == [f"exists {path}: is there"]


def test_a_file_that_is_there_already(tmp_path: Path) -> None:
    assert run("wait", "--exists", str(tmp_path), *GUARD).stdout.decode() == f"exists {tmp_path}: is there\n"


def test_a_file_behind_a_link_that_is_turned(tmp_path: Path) -> None:
    # As a ConfigMap of Kubernetes is replaced: the link's directory tells, not the file's.
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "file").touch()
    (tmp_path / "now").symlink_to("one")

    def turn(_pid: int) -> None:
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").rename(tmp_path / "now")

    meanwhile("--exists", str(tmp_path / "now" / "file"), *GUARD, do=turn)


def test_a_dangling_link_that_gets_its_file(tmp_path: Path) -> None:
    link, far = tmp_path / "link", tmp_path / "far"
    far.mkdir()
    link.symlink_to(far / "file")
    meanwhile("--exists", str(link), *GUARD, do=lambda _pid: (far / "file").touch())


def test_a_file_that_goes_with_its_directory(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    path = tmp_path / "d" / "file"
    path.touch()
    assert meanwhile("--gone", str(path), *GUARD, do=lambda _pid: (tmp_path / "d").rename(tmp_path / "e")) == [
        f"gone {path}: is not there"
    ]


def test_a_file_that_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    fd = os.open(path, os.O_WRONLY)  # not cut to nothing first, which is an event by itself
    [line] = meanwhile("--file", str(path), *GUARD, do=lambda _pid: feed(fd, b"after, and longer"))
    assert line.startswith(f"file {path}: ") and "write" in line


def test_a_file_that_is_replaced_as_editors_do_and_then_written_to(tmp_path: Path) -> None:
    path, new = tmp_path / "file", tmp_path / "new"
    path.touch()
    new.touch()
    with started("wait", "--count", "2", "--json", "--file", str(path), *GUARD, stdout=subprocess.PIPE) as process:
        settled(process)
        new.rename(path)
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["event"], first["subject"]) == ("file", str(path))
        assert {"replace", "delete", "create"} & set(first["what"])
        settled(process)
        path.write_text("x")
        process.stdout.readline()
        assert ended(process) == 0


def test_a_directory_that_gets_an_entry(tmp_path: Path) -> None:
    [line] = meanwhile("--file", str(tmp_path), *GUARD, do=lambda _pid: (tmp_path / "entry").touch())
    assert "write" in line


def test_a_process_of_somebody_elses() -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        [line] = meanwhile("--pid", str(other.pid), *GUARD, do=lambda _pid: (other.kill(), other.wait()))
        assert line.startswith(f"pid {other.pid}: ")
    finally:
        assert other.stdin is not None
        other.stdin.close()
        other.wait()


def test_a_process_that_is_gone_already() -> None:
    other = subprocess.Popen(["true"])
    other.wait()
    assert run("wait", "--pid", str(other.pid)).stdout.decode() == f"pid {other.pid}: gone\n"


@pytest.mark.parametrize("name", ["USR1", "SIGHUP", "INT", "15"])
def test_a_signal(name: str) -> None:
    number = int(name) if name.isdigit() else signal.Signals["SIG" + name.removeprefix("SIG")]
    [line] = meanwhile("--signal", name, *GUARD, do=lambda pid: os.kill(pid, number))
    assert line == f"signal {signal.Signals(number).name[3:]}: came"


def test_descriptors_of_the_shells() -> None:
    r, w = os.pipe()
    try:
        assert meanwhile("--read", str(r), *GUARD, do=lambda _pid: os.write(w, b"12345"), pass_fds=(r,)) == [
            f"read {r}: 5 bytes"
        ]
        done = run("wait", "--write", str(w), *GUARD, pass_fds=(w,))
        assert done.stdout.decode() == f"write {w}: room\n"
    finally:
        os.close(w)
    done = run("wait", "--read", "0", "--count", "0", *GUARD, stdin=r)
    assert done.stdout == b"read 0: 5 bytes end\n"  # and nothing can come any more
    os.close(r)


def test_a_server_that_begins_and_ends_to_listen() -> None:
    place = socket.create_server(("127.0.0.1", 0))
    where = f"127.0.0.1:{place.getsockname()[1]}"
    assert run("wait", "--connect", where, *GUARD).stdout.decode() == f"connect {where}: answers\n"
    assert meanwhile("--no-connect", where, *GUARD, do=lambda _pid: place.close()) == [
        f"no-connect {where}: does not answer (Connection refused)"
    ]


def test_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    place = socket.socket(socket.AF_UNIX)

    def listen(_pid: int) -> None:
        place.bind(path)
        place.listen()

    try:
        assert meanwhile("--connect", path, *GUARD, do=listen) == [f"connect {path}: answers"]
    finally:
        place.close()


def test_a_path_that_does_not_exist_is_not_asked_for(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells when something is there by that name; and again when the server has gone."""
    for name in ("FIRST_MS", "NEAR_MS"):
        monkeypatch.setattr(peer, name, 3_600_000)
    told: list[str] = []
    path = tmp_path / "deep" / "socket"
    condition = peer.Peer(str(path), "connect")
    with kqueue(engine=engine) as queue:
        condition.begin(queue, lambda fact: told.append(fact.line()))
        for count in (1, 2):
            with socket.socket(socket.AF_UNIX) as place:
                place.bind(str(tmp_path / "made"))
                place.listen()
                path.parent.mkdir(exist_ok=True)
                (tmp_path / "made").rename(path)
                while len(told) < count:
                    deliver(queue.control(None, 8, SOON))
            path.unlink()
            while condition._held is not None or not condition._absent:
                deliver(queue.control(None, 8, SOON))
        condition.close()
    assert told == [f"connect {path}: answers"] * 2


@pytest.mark.needs("network namespace")
def test_an_interface_that_comes_up_and_goes() -> None:
    def body() -> None:
        links = Links()
        links.veth("ours", "theirs")
        with started("wait", "--link", "ours", "--count", "0", *GUARD, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            settled(process)
            links.up("ours")
            links.up("theirs")
            assert process.stdout.readline() == b"link ours: up\n"
            links.delete("ours")
            # With the interface the last condition has gone.
            assert process.stdout.read().endswith(b"link ours: gone\n")
            assert ended(process) == 0

    assert namespaces.run(namespaces.NET, body) == ""


@pytest.mark.needs("mount namespace")
@pytest.mark.parametrize("name", ["a point", "\N{SNOWMAN}"])
def test_a_mount_and_where_it_is(name: str, tmp_path: Path) -> None:
    """The second one over the first is one, too."""
    point = tmp_path / name
    point.mkdir()

    def body() -> None:
        with started("wait", "--mount", "--count", "4", *GUARD, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(2):
                settled(process)
                namespaces.check(namespaces.libc.mount(b"none", os.fsencode(point), b"tmpfs", 0, None))
                assert process.stdout.readline().decode() == f"mount: mounted {point}\n"
            for _ in range(2):
                settled(process)
                namespaces.check(namespaces.libc.umount2(os.fsencode(point), 0))
                assert process.stdout.readline().decode() == f"mount: unmounted {point}\n"
            assert ended(process) == 0

    assert namespaces.run(namespaces.MOUNT, body) == ""


# ---- until when ----------------------------------------------------------------------------------


def test_any_is_the_first_one_only() -> None:
    done = run("wait", "--timer", "10ms", "--timer", "1h")
    assert (done.returncode, done.stdout) == (0, b"timer 10ms: over\n")


def test_all_is_each_once(tmp_path: Path) -> None:
    here, nowhere = str(tmp_path), str(tmp_path / "x")
    done = run("wait", "--all", "--exists", here, "--timer", "10ms", "--gone", nowhere, *GUARD)
    assert done.returncode == 0
    assert sorted(line.split(" ")[0] for line in done.stdout.decode().splitlines()) == ["exists", "gone", "timer"]


def test_count() -> None:
    done = run("wait", "--count", "3", "--every", "5ms")
    assert (done.returncode, done.stdout.count(b"every 5ms: over")) == (0, 3)


def test_the_time_is_over(tmp_path: Path) -> None:
    done = run("wait", "--exists", str(tmp_path / "never"), "--timeout", "20ms")
    assert (done.returncode, done.stdout, done.stderr) == (124, b"", b"")


def test_what_cannot_happen_any_more_is_not_waited_for() -> None:
    assert run("wait", "--count", "5", "--timer", "1ms").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(number: signal.Signals) -> None:
    with started("wait", "--timer", "1h", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        settled(process)
        process.send_signal(number)
        # A shell that runs it in a loop must see the SIGINT itself.
        assert ended(process) == (-number if number == signal.SIGINT else 128 + number)
        assert process.stderr is not None and process.stderr.read() == b""


@pytest.mark.parametrize(
    "words", [["--exists", "{}/x"], ["--gone", "{}"], ["--file", "{}"], ["--pid", "{pid}"], ["--signal", "USR1"],
              ["--mount"], ["--connect", "{}/x"], ["--no-connect", "{}/x", "--all", "--timer", "1h"]],
)  # fmt: skip
def test_waiting_costs_nothing(words: list[str], tmp_path: Path) -> None:
    given = [word.format(tmp_path, pid=os.getpid()) for word in words]

    def switches(pid: int) -> str:
        text = Path(f"/proc/{pid}/status").read_text()
        return next(line for line in text.splitlines() if line.startswith("voluntary_ctxt_switches"))

    with started("wait", *given, stdout=subprocess.DEVNULL) as process:
        settled(process)

        def rested() -> bool:
            # Others make and remove files in /tmp meanwhile: once it must be left alone so long.
            before = switches(process.pid)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(HARDLY)
            return switches(process.pid) == before

        wait_until(rested)


# ---- commands ------------------------------------------------------------------------------------


def test_a_command_alone_is_waited_for() -> None:
    assert run("wait", "--", "sh", "-c", "exit 7").returncode == 7
    assert run("wait", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9
    done = run("wait", "--timeout", "50ms", "--", "sleep", "60")
    assert (done.returncode, done.stderr) == (124, b"")


def test_a_command_that_cannot_be_run(tmp_path: Path) -> None:
    done = run("wait", "--", "no-such-program")
    assert (done.returncode, done.stderr) == (127, b"knote wait: no-such-program: No such file or directory\n")
    assert run("wait", "--", str(tmp_path)).returncode == 126


def test_a_command_for_each_event_with_the_event_in_its_environment() -> None:
    script = 'echo "$KNOTE_EVENT|$KNOTE_EVENT_SUBJECT|$KNOTE_EVENT_WHAT|$KNOTE_EVENT_DATA"'
    done = run("wait", "--any", "--timer", "1ms", "--", "sh", "-c", script)
    assert (done.returncode, done.stdout) == (0, b"timer|1ms|over|1\n")
    told = json.loads(run("wait", "--any", "--timer", "1ms", "--", "printenv", "KNOTE_EVENT_JSON").stdout)
    assert told["event"] == "timer" and told["what"] == ["over"] and told["time"] > 1e9


def test_the_last_status_is_the_commands() -> None:
    assert run("wait", "--any", "--timer", "1ms", "--", "sh", "-c", "exit 5").returncode == 5


def test_many_changes_at_once_are_one_run(tmp_path: Path) -> None:
    path, log = tmp_path / "file", tmp_path / "log"
    path.touch()
    command = ("--debounce", "500ms", "--file", str(path), "--", "sh", "-c", f"echo run >>{log}")
    with started("wait", *command) as process:
        settled(process)
        begun = time.monotonic()
        for _ in range(20):
            path.write_text("x")
        wait_until(lambda: log.exists() and log.read_text(), SOON)  # the shell opens it before echo writes
        settled(process)
        runs = log.read_text().count("run\n")
        # Each run comes half a second after an event at the earliest, however long anybody stood still meanwhile.
        assert 1 <= runs <= (time.monotonic() - begun) / 0.5
        process.send_signal(signal.SIGTERM)
        assert ended(process) == 128 + signal.SIGTERM


def test_a_change_while_the_command_runs_is_another_run(tmp_path: Path) -> None:
    path, log, gate = tmp_path / "file", tmp_path / "log", tmp_path / "gate"
    path.touch()
    os.mkfifo(gate)
    script = f"echo run >>{log}; read x <{gate}"
    with started("wait", "--debounce", "0", "--file", str(path), "--", "sh", "-c", script) as process:
        settled(process)
        for runs in (1, 2):
            path.write_text("changed")
            wait_until(lambda runs=runs: log.exists() and log.read_text().count("run") >= runs, SOON)
            path.chmod(0o600 + runs)  # while it runs
            with gate.open("w") as writer:
                writer.write("go\n")
        wait_until(lambda: log.read_text().count("run") >= 3, SOON)
        process.send_signal(signal.SIGTERM)
        assert ended(process) == 128 + signal.SIGTERM


def test_restart_on_change_and_on_end(tmp_path: Path) -> None:
    path, log = tmp_path / "file", tmp_path / "log"
    path.touch()
    script = f"trap 'exit 0' TERM; echo $$ >>{log}; while :; do sleep 60 & wait $!; done"
    with started("wait", "--restart", "--file", str(path), "--", "sh", "-c", script) as process:

        def pids() -> list[int]:
            return [int(word) for word in log.read_text().split()] if log.exists() else []

        wait_until(lambda: len(pids()) == 1)
        settled(process)
        path.write_text("changed")
        wait_until(lambda: len(pids()) == 2)
        os.kill(pids()[1], signal.SIGKILL)
        wait_until(lambda: len(pids()) == 3)
        process.send_signal(signal.SIGINT)
        assert ended(process) == -signal.SIGINT  # as without a command: the shell's loop around it ends, too
        for pid in pids():
            wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists())


def test_a_command_finds_its_signals_and_descriptors_as_they_were(tmp_path: Path) -> None:
    r, w = os.pipe()
    os.write(w, b"line\n")
    script = f"read x </dev/fd/{r}; echo $x; kill -USR1 $$"
    done = run("wait", "--any", "--signal", "USR1", "--read", str(r), "--", "sh", "-c", script, pass_fds=(r,))
    assert (done.returncode, done.stdout) == (128 + signal.SIGUSR1, b"line\n")
    os.close(r)
    os.close(w)


# ---- what is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ([], 2, "nothing to wait for"),
        (["--"], 2, "behind -- stands the command"),
        (["--restart", "--timer", "1s"], 2, "--restart needs a command"),
        (["--timer", "soon"], 2, "is no time"),
        (["--pid", "me"], 2, "a number is wanted"),
        (["--count", "-1", "--timer", "1s"], 2, "--count"),
        (["--any", "--all", "--timer", "1s"], 2, "not allowed with"),
        (["--read", "97"], 1, "--read 97: Bad file descriptor; the shell opens it: 97<FILE"),
        (["--file", "/no/such"], 1, "--exists /no/such waits until it is there"),
        (["--signal", "KILL"], 1, "no signal that can be caught"),
        (["--signal", "FOO"], 1, "kill -l"),
        (["--link", "nosuch0"], 1, "there are lo"),
        (["--connect", "localhost"], 1, "has no port"),
        (["--connect", "localhost:nosuchservice"], 1, "neither a port nor a service's name"),
        (["--timer", "1s", "--engine", "abacus"], 2, "abacus"),
    ],
)
def test_mistakes(words: list[str], status: int, text: str) -> None:
    done = run("wait", *words)
    assert done.returncode == status
    assert text in done.stderr.decode() and done.stdout == b""


def test_nobody_reads_what_it_says() -> None:
    r, w = os.pipe()
    os.close(r)
    done = run("wait", "--timer", "1ms", stdout=w)
    os.close(w)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")
