"""SIGHUP: new code and new certificates, and nobody notices."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from knote.apps.master import Master
from knote.apps.staffing import Staffing
from tests.apps.crew import LONG, WHO, Crew, crew
from tests.apps.programs import PATIENCE, command, ended, exactly, serving
from tests.apps.test_tls import FIRST, SECOND, secured
from tests.apps.test_workers import gone, queued
from tests.support.waiting import SOON, wait_until

DRIVERS = True


def hangup(server: Crew) -> None:
    server.process.send_signal(signal.SIGHUP)


def answer(server: Crew, count: int = 3) -> bytes:
    with server.client() as sock:
        sock.settimeout(LONG)
        sock.sendall(b"?")
        return exactly(sock, count)


def one(words: bytes) -> str:
    return f"def who(data):\n    return {words!r}\n"


def test_new_code_is_taken_and_old_connections_keep_the_old(tmp_path: Path) -> None:
    with crew(tmp_path, "--workers", "2", code=one(b"old")) as server:
        old = server.workers()
        with server.client() as sock:
            sock.sendall(b"?")
            assert exactly(sock, 3) == b"old"
            (tmp_path / "mine.py").write_text(one(b"new") + "# longer\n")
            hangup(server)
            server.says("reloaded: 2 workers serve with the code of now")
            wait_until(lambda: {answer(server) for _ in range(10)} == {b"new"}, LONG, "the new code answers")
            sock.sendall(b"?")
            assert exactly(sock, 3) == b"old"
        wait_until(lambda: all(map(gone, old)), LONG, "the old workers end with their connections")
        assert server.terminate() == 0


def test_who_is_queued_is_served_by_the_new(tmp_path: Path, engine: str) -> None:
    with crew(tmp_path, "--workers", "2", "--engine", engine) as server:
        old, socks = queued(server)
        hangup(server)
        for sock in socks:
            sock.settimeout(LONG)
            assert int(exactly(sock, 10)) not in old
            sock.close()
        for pid in old:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: all(map(gone, old)), LONG, "the old ones end")
        assert server.terminate() == 0


def test_under_load_no_reply_is_lost(tmp_path: Path, engine: str) -> None:
    stop = threading.Event()
    lost: list[BaseException] = []
    served = [0] * 4

    def load(number: int) -> None:
        try:
            with server.client() as kept:
                kept.settimeout(LONG)
                while not stop.is_set():
                    kept.sendall(b"?")
                    exactly(kept, 10)
                    with server.client() as sock:
                        sock.settimeout(LONG)
                        for _ in range(3):
                            sock.sendall(b"?")
                            exactly(sock, 10)
                    served[number] += 1
        except BaseException as error:
            lost.append(error)

    with crew(tmp_path, "--workers", "2", "--engine", engine) as server:
        threads = [threading.Thread(target=load, args=(number,)) for number in range(len(served))]
        for thread in threads:
            thread.start()
        try:
            for times in range(1, 3):
                before = list(served)
                hangup(server)
                server.says("reloaded", times)
                wait_until(
                    lambda before=before: all(map(int.__gt__, served, before)) or lost, LONG, "all are served on"
                )
        finally:
            stop.set()
            for thread in threads:
                thread.join(PATIENCE)
        assert lost == []
        assert server.terminate() == 0


def test_broken_code_leaves_the_old_serving(tmp_path: Path) -> None:
    with crew(tmp_path, "--workers", "1", code=one(b"old")) as server:
        old = server.workers()
        for times, (code, why) in enumerate(
            [("def who(data:\n", "service 'mine:who' cannot be loaded: SyntaxError: '(' was never closed"),
             ("import os\nos._exit(9)\n", "the new worker ended with status 9 before it was ready"),
             ("whom = 1\n", "service 'mine:who': <module 'mine' from ")],
            1,
        ):  # fmt: skip
            (tmp_path / "mine.py").write_text(code)
            hangup(server)
            said = server.says("not reloaded, the old workers serve on: ", times)
            assert f"not reloaded, the old workers serve on: {why}" in said
        assert said.count("Traceback") >= 1
        assert "mine.py\", line 1" in said
        wait_until(lambda: sorted(server.workers()) == sorted(old), LONG, "no new one is left")
        assert {answer(server) for _ in range(10)} == {b"old"}
        (tmp_path / "mine.py").write_text(one(b"new"))
        hangup(server)
        server.says("reloaded: 1 worker serves with the code of now")
        wait_until(lambda: {answer(server) for _ in range(10)} == {b"new"}, LONG, "the new code answers")
        assert server.terminate() == 0


def test_all_of_the_new_or_none(tmp_path: Path) -> None:
    with crew(tmp_path, "--workers", "2") as server:
        old = server.workers()
        (tmp_path / "mine.py").write_text("import os\nos.mkdir('mine alone')\n" + WHO)
        hangup(server)  # one of the two makes the directory, the other cannot
        server.says("not reloaded, the old workers serve on: service 'mine:who' cannot be loaded: FileExistsError")
        wait_until(lambda: sorted(server.workers()) == sorted(old), LONG, "the one that could has gone, too")
        assert {server.who() for _ in range(16)} == set(old)
        assert server.terminate() == 0


def test_one_that_never_gets_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(WHO)
    told: list[str] = []
    up = threading.Event()
    words = [sys.executable, "-m", "knote", "serve", "--service", "mine:who"]
    with Master(words, [("127.0.0.1", 0)], Staffing(), tell=told.append, up=up.set) as master:
        thread = threading.Thread(target=master.run)
        thread.start()
        try:
            assert up.wait(LONG)
            (tmp_path / "mine.py").write_text("import time\ntime.sleep(60)\n")
            master.staffing = replace(master.staffing, begin=0.2)
            master.reload()
            wait_until(lambda: told, LONG, "it says so")
            assert told == ["not reloaded, the old workers serve on: it was not ready within 0.2 s"]
            with socket.create_connection(next(iter(master.doors)).name, timeout=SOON) as sock:
                sock.sendall(b"?")
                exactly(sock, 10)
        finally:
            master.stop()
            thread.join(PATIENCE)


def test_a_reload_begins_anew_when_there_is_more(tmp_path: Path) -> None:
    with crew(tmp_path, "--workers", "1", code=one(b"old")) as server:
        for _ in range(3):
            hangup(server)
        (tmp_path / "mine.py").write_text(one(b"new") + "# longer\n")
        hangup(server)
        wait_until(lambda: answer(server) == b"new", LONG, "the last one counts")
        wait_until(lambda: len(server.workers()) == 1, LONG, "the others have gone")
        assert server.terminate() == 0


def peer(server: Crew, certificate: Path) -> bool:
    """Whether a client that trusts only this certificate gets on."""
    try:
        with secured(server.client(), certificate) as sock:
            sock.sendall(b"x")
            return exactly(sock, 1) == b"X"
    except ssl.SSLCertVerificationError:
        return False


def test_new_certificates(tmp_path: Path) -> None:
    here = tmp_path / "now.pem"
    shutil.copy(FIRST, here)
    with crew(tmp_path, "--workers", "1", "--tls-cert", str(here), service="upper") as server:
        assert peer(server, FIRST)
        shutil.copy(SECOND, here)
        hangup(server)
        server.says("reloaded")
        wait_until(lambda: peer(server, SECOND), LONG, "the new certificate is shown")
        here.write_text("no certificate")
        hangup(server)
        assert f"not reloaded, the old workers serve on: TLS: {here}" in server.says("not reloaded")
        assert peer(server, SECOND)
        assert server.terminate() == 0


def test_one_process_reads_its_certificates_again(tmp_path: Path) -> None:
    here = tmp_path / "now.pem"
    shutil.copy(FIRST, here)
    with crew(tmp_path, "--tls-cert", str(here), service="upper") as server:
        with secured(server.client()) as old:
            shutil.copy(SECOND, here)
            hangup(server)
            server.says("SIGHUP: the certificates were read again")
            assert peer(server, SECOND) and not peer(server, FIRST)
            here.write_text("no certificate")
            hangup(server)
            assert "stay in use" in server.says(f"SIGHUP: TLS: {here}")
            assert peer(server, SECOND)
            old.sendall(b"x")
            assert exactly(old, 1) == b"X"
        assert server.terminate() == 0


def test_one_process_without_certificates(tmp_path: Path) -> None:
    with crew(tmp_path) as server:
        hangup(server)
        server.says("SIGHUP: there are no certificates to read again; new code is taken with --workers 1 or more")
        assert server.who() == server.process.pid
        assert server.terminate() == 0


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_terminal_that_is_closed_ends_it(workers: str) -> None:
    ours, theirs = pty.openpty()

    def into_it() -> None:
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    words = command("serve", "--workers", workers)
    process = subprocess.Popen(
        words, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, preexec_fn=into_it
    )
    os.close(theirs)
    assert process.stdout is not None
    with process.stdout:
        while not process.stdout.readline().startswith(b"Stop it"):
            pass
        os.close(ours)  # the kernel sends SIGHUP
        assert ended(process) == 0


def test_sighup_of_one_process_under_load(tmp_path: Path) -> None:
    with serving("--tls-cert", str(FIRST), stderr=subprocess.DEVNULL) as server, secured(server.client()) as sock:
        for _ in range(20):
            server.process.send_signal(signal.SIGHUP)
            sock.sendall(b"x")
            assert exactly(sock, 1) == b"X"
        assert server.stop() == 0
