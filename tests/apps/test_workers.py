"""knote serve --workers: who serves, what happens when one ends, and how all of it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knote.apps.alarm import Alarm
from knote.apps.master import Master
from knote.apps.staffing import Backoff, Staffing
from tests.apps.crew import LONG, WHO, Crew, crew
from tests.apps.programs import PATIENCE, ended, exactly, knote, to_the_end
from tests.support.waiting import wait_until

DRIVERS = True


def state(pid: int) -> str:
    """As proc(5) has it; Z for one that is not there any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def gone(pid: int) -> bool:
    """No such process; one that nobody has waited for yet is none."""
    return state(pid) == "Z"


def spread(server: Crew, count: int) -> Counter[bytes]:
    """How many of so many connections each worker has."""
    socks = [server.client() for _ in range(count)]
    try:
        for sock in socks:
            sock.sendall(b"?")
        return Counter(exactly(sock, 10) for sock in socks)
    finally:
        for sock in socks:
            sock.close()


def test_connections_are_spread_evenly(tmp_path: Path, engine: str) -> None:
    with crew(tmp_path, "--workers", "2", "--engine", engine) as server:
        # By a hash of the addresses: 10 % of 512 are 3.2 standard deviations, so once in 700 times it is more.
        for _ in range(4):
            shares = spread(server, 1024)
            assert sum(shares.values()) == 1024
            if len(shares) == 2 and min(shares.values()) >= 461:
                break
        else:
            pytest.fail(f"uneven four times: {shares}")
        assert sorted(map(int, shares)) == sorted(server.workers())
        assert server.terminate() == 0
        assert server.said() == ""


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with crew(tmp_path, "--workers", "2") as server:
        for round_ in range(1, 3):
            victim = server.who()
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda pid=victim: gone(pid), LONG, "it is no more")  # until then it may accept
            # Nobody waits for the new one: the other accepts meanwhile.
            wait_until(lambda pid=victim: pid not in {server.who() for _ in range(8)}, LONG, "others serve")
            server.says("another one starts" if round_ == 1 else "was killed by SIGKILL", round_)
            wait_until(lambda: len({server.who() for _ in range(16)}) == 2, LONG, "there are two again")
        assert server.terminate() == 0


def queued(server: Crew) -> tuple[list[int], list[socket.socket]]:
    """Its workers, which stand still, and a hundred clients that have asked and whom nobody has accepted."""
    pids = server.workers()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: all(state(pid) == "T" for pid in pids), LONG, "they stand still")
    socks = [server.client() for _ in range(100)]
    for sock in socks:
        sock.sendall(b"?")
    return pids, socks


def test_of_one_that_is_killed_no_queued_connection_is_lost(tmp_path: Path, engine: str) -> None:
    with crew(tmp_path, "--workers", "2", "--engine", engine) as server:
        first, socks = queued(server)
        # What waits in the kernel's queues was accepted by nobody.
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        for sock in socks:
            sock.settimeout(LONG)
            assert int(exactly(sock, 10)) not in first
            sock.close()
        assert server.terminate() == 0


def test_a_service_that_cannot_begin(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise ZeroDivisionError('as asked')\n")
    for service, status, said in (
        ("mine:who", 1, "knote serve: service 'mine:who' cannot be loaded: ZeroDivisionError: as asked\n"),
        ("gone:who", 2, "knote serve: service 'gone:who': there is no module 'gone' on sys.path\n"),
    ):
        done = knote("serve", "--workers", "2", "--service", service, cwd=tmp_path)
        assert done.returncode == status
        assert said in done.stderr.decode()
        assert done.stdout == b""
    assert b"Traceback" not in done.stderr


def test_one_that_dies_again_and_again_is_tried_more_and_more_seldom(tmp_path: Path) -> None:
    code = "import os\nif os.path.exists('broken'):\n    os._exit(7)\n" + WHO
    with crew(tmp_path, "--workers", "1", code=code) as server:
        pid = server.who()
        (tmp_path / "broken").touch()
        os.kill(pid, signal.SIGKILL)
        said = server.says("the next one starts in 0.4 s")
        assert "killed by SIGKILL; another one starts" in said
        assert "ended with status 7; the next one starts in 0.1 s" in said
        assert "ended with status 7; the next one starts in 0.2 s" in said
        with server.client() as sock:  # it waits, and is not reset
            sock.sendall(b"?")
            (tmp_path / "broken").unlink()
            sock.settimeout(LONG)
            assert int(exactly(sock, 10)) != pid
        assert server.terminate() == 0


def test_a_worker_serves_for_its_lifetime(tmp_path: Path) -> None:
    with crew(tmp_path, "--workers", "1", "--worker-lifetime", "300ms") as server:
        with server.client() as sock:
            sock.sendall(b"?")
            first = int(exactly(sock, 10))
            wait_until(lambda: server.who() != first, LONG, "another one serves")
            sock.sendall(b"?")  # who was there stays with the old one
            assert int(exactly(sock, 10)) == first
        wait_until(lambda: gone(first), LONG, "the old one ends with its last connection")
        assert "has served for its time; another one takes its place" in server.said()
        assert server.terminate() == 0


def test_a_lifetime_that_does_not_end(tmp_path: Path) -> None:
    with crew(tmp_path, "--workers", "1", "--worker-lifetime", "inf") as server:
        assert server.who() in server.workers()
        assert server.terminate() == 0
        assert server.said() == ""


def test_a_worker_that_grows_is_replaced(tmp_path: Path) -> None:
    code = "kept = []\ndef grow():\n    kept.append(b'x' * (200 << 20))\n"
    code += WHO.replace("    return", "    if data == b'grow':\n        grow()\n    return")
    with crew(tmp_path, "--workers", "1", "--worker-max-rss", "200M", code=code) as server:
        with server.client() as sock:
            sock.sendall(b"grow")
            first = int(exactly(sock, 10))
        said = server.says("MiB of memory; another one takes its place")
        assert f"worker 0 (pid {first}) has 2" in said
        wait_until(lambda: server.who() != first, LONG, "another one serves")
        wait_until(lambda: gone(first), LONG, "the old one ends")
        assert server.terminate() == 0


def test_one_that_is_too_big_from_the_start_is_kept(tmp_path: Path) -> None:
    with crew(tmp_path, "--workers", "1", "--worker-max-rss", "1M") as server:
        said = server.says("MiB of memory from its start: it is not replaced for that; --worker-max-rss ")
        assert said.count("\n") == 1
        assert server.who() in server.workers()
        assert server.terminate() == 0


def test_one_that_does_not_hear_is_killed_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knote.apps.master._GRACE", 0.1)
    up = threading.Event()
    words = [sys.executable, "-m", "knote", "serve"]
    with Master(words, [("127.0.0.1", 0)], Staffing(2, drain=0.1), tell=print, up=up.set) as master:
        thread = threading.Thread(target=master.run)
        thread.start()
        assert up.wait(LONG)
        os.kill(master.members()[0].pid, signal.SIGSTOP)
        master.drain()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert master.status == 0


def test_a_worker_that_is_told_to_end(tmp_path: Path) -> None:
    with crew(tmp_path, "--workers", "1", "--drain-quiet", "inf") as server:
        with server.client() as sock:
            sock.sendall(b"?")
            first = int(exactly(sock, 10))
            os.kill(first, signal.SIGTERM)
            server.says(f"worker 0 (pid {first}) was told to end; another one takes its place")
            wait_until(lambda: server.who() != first, LONG, "another one serves")
            sock.sendall(b"?")
            assert int(exactly(sock, 10)) == first
        wait_until(lambda: gone(first), LONG, "it ends with its connection")
        assert server.terminate() == 0


def test_without_their_master_the_workers_end(tmp_path: Path) -> None:
    with crew(tmp_path, "--workers", "2", "--drain-quiet", "50ms") as server, server.client() as sock:
        sock.sendall(b"?")
        exactly(sock, 10)
        workers = server.workers()
        assert len(workers) == 2
        server.process.kill()
        assert to_the_end(sock) == b""
        wait_until(lambda: all(map(gone, workers)), LONG, "the workers end")
        assert "the master is gone" in server.said()
        with pytest.raises(ConnectionRefusedError):
            server.client()


def test_who_is_to_be_told_is_said(tmp_path: Path) -> None:
    with crew(tmp_path, "--workers", "2") as server:
        assert f"Have it take new code:  kill -HUP {server.process.pid}\n" in server.lines
        assert server.terminate() == 0


@pytest.mark.parametrize("where", ["the master", "all of its processes"])
def test_sigterm_drains(tmp_path: Path, where: str) -> None:
    with crew(tmp_path, "--workers", "2", "--drain-quiet", "inf", start_new_session=True) as server:
        socks = [server.client() for _ in range(8)]
        for sock in socks:
            sock.sendall(b"?")
            exactly(sock, 10)
        if where == "the master":
            server.process.send_signal(signal.SIGTERM)
        else:
            os.killpg(server.process.pid, signal.SIGTERM)

        def refused() -> bool:
            try:
                server.client().close()
            except ConnectionError:
                return True
            return False

        wait_until(refused, LONG, "nobody new comes in")
        for sock in socks:
            sock.sendall(b"?")
            exactly(sock, 10)
            sock.close()
        assert ended(server.process) == 0


def test_the_second_sigterm_ends_it(tmp_path: Path) -> None:
    words = ["--workers", "2", "--drain-quiet", "inf", "--drain", "inf"]
    with crew(tmp_path, *words) as server, server.client() as sock:
        sock.sendall(b"?")
        exactly(sock, 10)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: len(server.workers()) == 1, LONG, "the other worker has ended")
        assert server.terminate() == 0
        assert to_the_end(sock) == b""


def test_ctrl_c_ends_all(tmp_path: Path) -> None:
    with crew(tmp_path, "--workers", "2", start_new_session=True) as server, server.client() as sock:
        sock.sendall(b"?")
        exactly(sock, 10)
        os.killpg(server.process.pid, signal.SIGINT)  # as a terminal does it
        assert ended(server.process) == 0
        assert to_the_end(sock) == b""
        assert server.said() == ""


def test_a_unix_socket_is_everybodys(tmp_path: Path) -> None:
    path = tmp_path / "up"
    with crew(tmp_path, "--workers", "2", "127.0.0.1:0", f"unix:{path}") as server:
        assert server.lines[1] == f"unix:{path}\n"
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
                sock.sendall(b"?")
                assert int(exactly(sock, 10)) in server.workers()
        assert path.exists()
        assert server.terminate() == 0
    assert not path.exists()


def test_a_port_that_is_taken_is_not_shared() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        done = knote("serve", "--workers", "2", "--port", str(other.getsockname()[1]))
    assert done.returncode == 1
    assert b"Address already in use" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--workers", "-1"], "workers=-1"),
     (["--workers", "2", "--drain", "x"], "'x' is no time"),
     (["--worker-lifetime", "5"], "--worker-lifetime needs --workers"),
     (["--worker-max-rss", "5M"], "--worker-max-rss needs --workers"),
     (["--group", "x"], "--group needs --user"),
     (["--worker", "0"], "for the master's own use")],
)  # fmt: skip
def test_what_it_refuses(words: list[str], said: str) -> None:
    done = knote("serve", *words)
    assert done.returncode == 2
    assert said in done.stderr.decode()


def test_all_workers_are_asked_and_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knote.apps.gathering.PATIENCE", LONG)
    alarms: list[Alarm] = []
    alarm = Master.alarm

    def kept(master: Master, do: Callable[[], None]) -> Alarm:
        alarms.append(alarm(master, do))
        return alarms[-1]

    monkeypatch.setattr(Master, "alarm", kept)
    told: list[str] = []
    answers: list[dict[int, Any]] = []
    up = threading.Event()
    words = [sys.executable, "-m", "knote", "serve"]
    with Master(words, [("127.0.0.1", 0)], Staffing(2), tell=told.append, up=up.set) as master:
        thread = threading.Thread(target=master.run)
        thread.start()
        try:
            assert up.wait(LONG)
            master.orders.give(lambda: master.gather("stats", answers.append))
            wait_until(lambda: answers, what="they answer")
            assert set(answers[0]) == {member.pid for member in master.members()}
            assert list(answers[0].values()) == [{"connections": 0, "accepted": 0}] * 2
            stopped, *_ = answers[0]
            os.kill(stopped, signal.SIGSTOP)  # one that does not hear is left out
            master.orders.give(lambda: master.gather("stats", answers.append))
            questions = master._gathering._open
            wait_until(lambda: any(one.answers for one in list(questions.values())), what="the other answers")
            master.orders.give(lambda: alarms[-1].set(0))
            wait_until(lambda: len(answers) == 2, what="no longer waited for")
            os.kill(stopped, signal.SIGCONT)
            assert len(answers[1]) == 1 and stopped not in answers[1]
        finally:
            master.stop()
            thread.join(PATIENCE)
    assert told == []


BEGIN = """
import socket, sys
channel = socket.socket(fileno=int(sys.argv[-1])).makefile()
begin = channel.readline()
open(f"{sys.argv[1]}/{sys.argv[-1]}", "w").write(begin)
channel.read()
"""


def test_who_else_may_accept_from_a_door(tmp_path: Path) -> None:
    # Only a worker's own doors are his alone: there the ring may wait as it likes best.
    begun = tmp_path / "begun"
    begun.mkdir()
    words = [sys.executable, "-c", BEGIN, str(begun)]
    with Master(words, ["127.0.0.1:0", f"unix:{tmp_path}/up"], Staffing(2), tell=print) as master:
        thread = threading.Thread(target=master.run)
        thread.start()
        try:
            wait_until(lambda: len([one for one in begun.iterdir() if one.read_text()]) == 2, LONG)
        finally:
            master.stop()
            thread.join(PATIENCE)
    told = {}
    for one in begun.iterdir():
        begin = json.loads(one.read_text())
        told[begin["number"]] = begin["shared"]
    assert told == {0: [1, 2], 1: [0, 2]}


def test_times_between_tries() -> None:
    backoff = Backoff()
    assert [backoff.next(0.0) for _ in range(5)] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert [backoff.next(0.0) for _ in range(9)][-2:] == [30.0, 30.0]
    assert backoff.next(60.0) == 0.0
    assert backoff.next(1.0) == 0.1
    backoff.forget()
    assert backoff.next(1.0) == 0.0


def test_no_two_workers_end_together() -> None:
    staffing = Staffing(2, lifetime=100.0, max_rss=1000.0)
    lives = {staffing.life() for _ in range(100)}
    sizes = {staffing.size() for _ in range(100)}
    assert len(lives) > 90 and min(lives) >= 90 and max(lives) <= 110
    assert len(sizes) > 90 and min(sizes) >= 900 and max(sizes) <= 1000
