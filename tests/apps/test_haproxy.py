"""HAProxy in front: the headers that it sends, and hosts of which one dies and one is drained."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.apps.programs import PATIENCE, command, exactly, running
from tests.apps.test_proxy import Peer
from tests.gates import EXAMPLES
from tests.support import balancer
from tests.support.waiting import SOON, wait_until

HERE = EXAMPLES / "haproxy"
CONFIG = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
"""
SECTION = """
listen {name}
    bind {bind}
    server knote {host}:{port} {how}
"""
HOW = {
    "v1": "send-proxy",
    "v2": "send-proxy-v2",
    "TLVs": "send-proxy-v2-ssl-cn proxy-v2-options authority,crc32c",
}
"""What HAProxy's server lines say for each kind of header."""


@contextmanager
def haproxy(text: str, folder: Path, *fds: int) -> Iterator[None]:
    """With this configuration, and these descriptors."""
    (folder / "haproxy.cfg").write_text(text)
    with open(folder / "haproxy.log", "wb") as log:
        process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], stdout=log, stderr=log, pass_fds=fds,
            env=os.environ | {"PATH": balancer.path()},
        )  # fmt: skip
    try:
        yield
    finally:
        process.send_signal(signal.SIGUSR1 if process.poll() is None else 0)
        process.kill()
        process.wait(PATIENCE)


@pytest.mark.needs("haproxy")
def test_every_header_that_it_sends(tmp_path: Path) -> None:
    """The other side of the parser's tests: HAProxy writes, knote reads, and the client is who it is.  Clients of
    a UNIX socket have no address that HAProxy would tell."""
    with running(Peer, proxy_from=["127.0.0.1"]) as server, ExitStack() as stack:
        # They listen already, so nobody has to wait for HAProxy to be up.
        doors = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in HOW}
        host, port = server.address[:2]
        text = CONFIG
        for name, how in HOW.items():
            unix = str(tmp_path / name)
            text += SECTION.format(name=name, bind=f"fd@{doors[name].fileno()}", host=host, port=port, how=how)
            text += SECTION.format(name=f"{name}-unix", bind=f"unix@{unix}", host=host, port=port, how=how)
        with haproxy(text, tmp_path, *(door.fileno() for door in doors.values())):
            for name, door in doors.items():
                with socket.create_connection(door.getsockname(), timeout=SOON) as sock:
                    said = "{}:{}\n".format(*sock.getsockname()).encode()
                    assert exactly(sock, len(said)) == said, name
                    sock.sendall(b"and back")
                    assert exactly(sock, 8) == b"and back"
                wait_until(lambda name=name: (tmp_path / name).exists())
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.settimeout(SOON)
                    sock.connect(str(tmp_path / name))
                    said = b"".join(iter(lambda sock=sock: sock.recv(1), b"\n"))  # type: ignore[misc]
                    assert said == b"unix" or said.startswith(b"127.0.0.1:"), name
            wait_until(lambda: not len(server))


@pytest.mark.slow
@pytest.mark.needs("haproxy", "examples/")
def test_one_host_dies_and_one_is_drained(tmp_path: Path) -> None:
    """The set-up of examples/haproxy under load: nothing is lost but with the host that died."""
    done = subprocess.run(
        [HERE / "cluster.sh", sys.executable, HERE / "trial.py"],
        env=os.environ | {"KNOTE": shlex.join(command()), "TMPDIR": str(tmp_path), "PATH": balancer.path()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    said = json.loads(done.stdout)
    assert set(said["served"]) == {"host1", "host2", "host3"}
    assert set(said["lost"]) <= {"host1"}
    # Each that the drained host served has its end in its log, and the server itself ended none: "reset" is of
    # HAProxy, who gave a connection up.
    assert sum(said["ends"].values()) == said["served"]["host2"]
    assert {*said["ends"], *said["other ends"]} <= {"client", "reset"}
    assert not said["strangers"]
    assert not list(tmp_path.iterdir())
