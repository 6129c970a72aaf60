"""knote serve --user: what only root may have comes first, then it is nobody in particular."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from knote.apps.identity import IdentityError, find
from tests.apps.crew import LONG, Crew
from tests.apps.programs import Serving, command, ended, exactly, knote, serving
from tests.apps.test_tls import FIRST, SECOND, secured
from tests.support import others
from tests.support.waiting import wait_until

CODE = """import os
def who(data):
    return b"%d %d %d %d" % (os.getuid(), os.geteuid(), os.getgid(), len(os.getgroups()))
def read(data):
    try:
        open("secret").close()
        return b"read"
    except PermissionError:
        return b"refused"
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that others may enter, which tmp_path is not."""
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        here.chmod(0o755)
        (here / "stage").mkdir()
        (here / "home").mkdir()
        (here / "home/mine.py").write_text(CODE)
        (here / "home/secret").write_text("root's")
        (here / "home/secret").chmod(0o600)
        yield here


@contextmanager
def as_nobody(place: Path, *words: str) -> Iterator[Crew]:
    """`knote serve --user nobody`, where others can read this interpreter."""
    started = others.command(command("serve", "--user", others.NOBODY, *words), place / "stage")
    said = place / "said"
    with said.open("wb") as stderr:
        process = subprocess.Popen(
            started, stdout=subprocess.PIPE, stderr=stderr, stdin=subprocess.DEVNULL, cwd=place / "home"
        )
    try:
        yield Crew(process, said)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def asked(server: Crew) -> bytes:
    with server.client() as sock:
        sock.settimeout(LONG)
        sock.sendall(b"?")
        return sock.recv(100)


@pytest.mark.needs("another user")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_who_serves(place: Path, workers: str) -> None:
    nobody = pwd.getpwnam(others.NOBODY)
    with as_nobody(place, "--workers", workers, "--service", "mine:who") as server:
        uid, euid, gid, groups = map(int, asked(server).split())
        assert uid == euid == nobody.pw_uid
        assert gid == nobody.pw_gid
        assert groups == len(os.getgrouplist(others.NOBODY, nobody.pw_gid))
        assert server.terminate() == 0
    with as_nobody(place, "--workers", workers, "--service", "mine:read", "--group", "daemon") as server:
        assert asked(server) == b"refused"
        assert server.terminate() == 0


@pytest.mark.needs("another user")
def test_a_port_and_a_key_that_are_roots(place: Path) -> None:
    key = place / "home/key.pem"
    shutil.copyfile(FIRST, key)
    key.chmod(0o600)
    # Below 1024 and free; another run of these tests, in another process, begins to look elsewhere.
    low = sorted(range(600, 1024), key=lambda number: (number + os.getpid()) % 424)
    port = next(filter(_free, low))
    words = ["--tls-cert", str(key), "--port", str(port)]
    with as_nobody(place, "--workers", "1", *words) as server:
        with secured(server.client()) as sock:
            sock.sendall(b"x")
            assert exactly(sock, 1) == b"X"
        shutil.copyfile(SECOND, key)
        server.process.send_signal(signal.SIGHUP)
        server.says("reloaded")  # by a process that was root's when it read the key
        wait_until(lambda: _shows(server, SECOND), LONG, "the new certificate is shown")
        assert server.terminate() == 0
    with as_nobody(place, *words) as server:
        server.process.send_signal(signal.SIGHUP)
        said = server.says("stay in use; with --workers 1 they are read by root")
        assert f"SIGHUP: TLS: {key}: Permission denied" in said
        assert _shows(server, SECOND)
        assert server.terminate() == 0


def _free(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _shows(server: Crew, certificate: Path) -> bool:
    import ssl

    try:
        with secured(server.client(), certificate) as sock:
            sock.sendall(b"x")
            return exactly(sock, 1) == b"X"
    except ssl.SSLCertVerificationError:
        return False


def test_who_is_not_there() -> None:
    for words, said in (
        (["--user", "no-such-user"], "--user no-such-user: there is no such user"),
        (["--user", "root", "--group", "no-such-group"], "--group no-such-group: there is no such group"),
    ):
        for workers in ("0", "1"):
            done = knote("serve", *words, "--workers", workers)
            assert done.returncode == 2
            assert said in done.stderr.decode()


@pytest.mark.needs("another user")
def test_only_root_becomes_somebody(place: Path) -> None:
    words = others.command(command("serve", "--user", "daemon"), place / "stage")
    done = subprocess.run(
        [*words[:-1], words[-1]] if os.getuid() else _demoted(words), capture_output=True, check=False, cwd=place
    )
    assert done.returncode == 2
    assert b"only root can become somebody else" in done.stderr


def _demoted(words: list[str]) -> list[Any]:
    at = words.index("-m", words.index("sh") if "sh" in words else 0) - 1
    code = "import os, sys; os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])"
    return [*words[:at], words[at], "-c", code, *words[at:]]


def test_sockets_that_were_opened_before_end_like_all_others(tmp_path: Path) -> None:
    """Who comes after SIGTERM is refused, not queued and reset; and no file stays."""
    file, me = tmp_path / "s", pwd.getpwuid(os.getuid()).pw_name
    done = knote("serve", f"unix:{file}", "--user", me, "--service", "nosuch")
    assert done.returncode == 2
    assert not file.exists()
    words = ["127.0.0.1:0", f"unix:{file}", "--user", me, "--drain-quiet", "inf"]
    with serving(*words) as server, server.client() as sock:
        sock.sendall(b"a")
        assert exactly(sock, 1) == b"A"
        server.process.terminate()
        wait_until(lambda: _is_refused(server), what="nobody listens any more")
        sock.sendall(b"b")
        assert exactly(sock, 1) == b"B"
        sock.close()
        assert ended(server.process) == 0
    assert not file.exists()


def _is_refused(server: Serving) -> bool:
    try:
        server.client().close()
    except ConnectionError:
        return True
    return False


def test_oneself_one_already_is() -> None:
    me = pwd.getpwuid(os.getuid())
    identity = find(me.pw_name, grp.getgrgid(os.getgid()).gr_name)
    assert identity.uid == os.getuid()
    identity.check()
    identity.take()
    assert find(str(me.pw_uid)).uid == me.pw_uid
    with pytest.raises(IdentityError, match="no such user"):
        find("4294967296000")
