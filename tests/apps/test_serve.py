"""knote serve, the process: what it prints, what it survives, how it ends."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from knote.apps.server import Server
from tests.apps.programs import a_port, command, ended, exactly, knote, serving, settled, started, to_the_end
from tests.apps.test_server import HOSTS, send_until_it_blocks
from tests.support.waiting import SOON, wait_until


def stderr(process: subprocess.Popen[bytes]) -> bytes:
    """All of it; the process has ended."""
    assert process.stderr is not None
    return process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_stops_cleanly(number: int) -> None:
    with serving() as server:
        assert re.fullmatch(r"127\.0\.0\.1:\d+\n", server.lines[0])
        assert f"knote connect 127.0.0.1 {server.port}" in "".join(server.lines)
        with server.client() as sock:
            sock.sendall(b"x")
            assert exactly(sock, 1) == b"X"
            assert server.stop(number) == 0
            assert to_the_end(sock) == b""
        assert stderr(server.process) == b""


@pytest.mark.parametrize("host", HOSTS)
def test_how_the_address_may_be_written(host: str) -> None:
    with a_port(host) as port:
        written = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        for words in ([written], ["--host", host, "--port", str(port)]):
            with serving(*words) as server:
                assert server.lines[0] == f"{written}\n"
                with server.client() as sock:
                    sock.sendall(b"x")
                    assert exactly(sock, 1) == b"X"
                assert server.stop() == 0


def test_a_service_from_here(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def reverse(data):\n    return data[::-1]\n")
    with serving("--service", "mine:reverse", cwd=tmp_path) as server:
        assert server.lines[1].startswith("mine:reverse:")
        with server.client() as sock:
            sock.sendall(b"abc")
            assert exactly(sock, 3) == b"cba"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [(["--service", "lower"], 2, "unknown service 'lower': choose upper, echo, discard"),
     (["--service", "gone:f"], 2, "there is no module 'gone'"),
     (["--port", "70000"], 2, "0 (any free one) to 65535"),
     (["--port", "http"], 2, "0 (any free one) to 65535"),
     (["127.0.0.1"], 2, "has no port"),
     (["::1:70"], 2, "brackets"),
     (["127.0.0.1:0", "--port", "1"], 2, "twice"),
     (["--engine", "abacus"], 2, "unknown engine 'abacus'; this system has: epoll, "),
     (["--engine", "abacus"], 2, "rtsig; and there is 'ring', io_uring, for this program only"),
     (["--host", "192.0.2.1"], 1, "cannot listen on 192.0.2.1:0: Cannot assign"),
     (["--host", "a..b"], 1, "cannot listen on a..b:0"),
     (["--workers", "2", "192.0.2.1:0"], 1, "cannot listen on 192.0.2.1:0: Cannot assign"),
     (["unix:/gone/up"], 1, "cannot listen on unix:/gone/up: No such file or directory\n"),
     (["--workers", "2", "unix:/gone/up"], 1, "cannot listen on unix:/gone/up: No such file or directory\n"),
     (["--admin", "unix:/gone/up"], 1, "cannot listen on --admin unix:/gone/up: No such file or directory\n")],
)  # fmt: skip
def test_what_it_refuses(words: list[str], status: int, said: str) -> None:
    done = knote("serve", *words)
    assert done.returncode == status
    assert said in done.stderr.decode()
    assert done.stderr.startswith(b"knote serve: ")
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""


def test_a_port_that_is_taken() -> None:
    with Server() as other:
        done = knote("serve", "--port", str(other.address[1]))
    assert done.returncode == 1
    assert b"Address already in use" in done.stderr
    assert b"--port" in done.stderr


def test_a_client_that_never_reads_costs_bounded_memory() -> None:
    with serving("--service", "echo") as server, server.client() as sock:
        sock.sendall(b"x")
        assert exactly(sock, 1) == b"x"
        before = server.rss()
        sent = send_until_it_blocks(sock, 1 << 29)
        assert sent < 1 << 26, "the server went on reading"
        assert server.rss() - before < 4 << 20
        assert exactly(sock, sent) == b"a" * sent
        assert server.stop() == 0


def test_out_of_descriptors(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 100))

    with (tmp_path / "said").open("w+b") as said:
        with serving(preexec_fn=limit, stderr=said) as server:
            socks = [server.client() for _ in range(40)]
            wait_until(lambda: os.fstat(said.fileno()).st_size > 0, what="it says that descriptors are out")
            socks[0].sendall(b"still served")
            assert exactly(socks[0], 12) == b"STILL SERVED"
            for number, sock in enumerate(socks):  # each that ends lets another one in
                sock.sendall(b"a%d" % number)
                assert exactly(sock, len(b"a%d" % number)) == b"A%d" % number
                if number:
                    sock.close()
            socks[0].sendall(b"to the end")
            assert exactly(socks[0], 10) == b"TO THE END"
            socks[0].close()
            assert server.stop() == 0
        said.seek(0)
        text = said.read().decode()
    warned, told = text.splitlines()
    assert warned.startswith("knote serve: this process may open 24 descriptors (RLIMIT_NOFILE), too few for ")
    assert told.startswith("knote serve: Too many open files: this process may open 24 descriptors (RLIMIT_")
    assert "'ulimit -n 100'" in text


def test_idle_it_costs_nothing() -> None:
    def spent(pid: int) -> list[str]:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (24, 100))

    with serving(preexec_fn=limit, stderr=subprocess.DEVNULL) as server:
        stuck, reading = server.client(), server.client()
        send_until_it_blocks(stuck, 1 << 29)
        waiting = [server.client() for _ in range(30)]
        settled(server.process)
        before = spent(server.process.pid)
        with pytest.raises(TimeoutError):
            reading.settimeout(0.5)
            reading.recv(1)
        after = spent(server.process.pid)
        # In ticks of 10 ms: an event that comes back for ever would make it 50.
        assert sum(map(int, after)) - sum(map(int, before)) <= 5
        for sock in (stuck, reading, *waiting):
            sock.close()


def test_a_second_ctrl_c_breaks_a_service_that_hangs(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "def hang(data):\n    print('hangs', flush=True)\n    while True:\n        pass\n"
    )
    with serving("--service", "bad:hang", cwd=tmp_path) as server, server.client() as sock:
        sock.sendall(b"x")
        assert server.process.stdout is not None
        assert server.process.stdout.readline() == b"hangs\n"

        def again() -> bool:
            server.process.send_signal(signal.SIGINT)
            return server.process.poll() is not None

        wait_until(again, SOON)
        assert ended(server.process) == -signal.SIGINT


def test_nobody_reads_what_it_prints() -> None:
    r, w = os.pipe()
    os.close(r)
    with a_port() as port, started(
        "serve", "--port", str(port), stdout=w, stderr=subprocess.PIPE
    ) as process:
        os.close(w)

        def answers() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=SOON) as sock:
                    sock.sendall(b"x")
                    return exactly(sock, 1) == b"X"
            except ConnectionRefusedError:
                return False

        wait_until(answers)
        process.send_signal(signal.SIGTERM)
        assert ended(process) == 0
        assert stderr(process) == b""


def test_help_teaches() -> None:
    done = subprocess.run(command("serve", "--help"), capture_output=True, check=False, text=True)
    assert done.returncode == 0
    said = " ".join(done.stdout.split())
    for word in ("upper", "echo", "discard", "MODULE:CALLABLE", "Ctrl-C", "knote connect", "ring (io_uring"):
        assert word in said
