"""knote.systemd: what it reads of the environment, what it sends."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from knote import systemd


@pytest.fixture
def mailbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The other end of $NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


def fields(sock: socket.socket) -> dict[str, str]:
    return dict(line.split("=", 1) for line in sock.recv(4096).decode().splitlines())


def test_what_is_said(mailbox: socket.socket) -> None:
    notifier = systemd.Notifier()
    assert "NOTIFY_SOCKET" not in os.environ
    assert notifier.active
    assert notifier.ready("two workers")
    assert fields(mailbox) == {"READY": "1", "MAINPID": str(os.getpid()), "STATUS": "two workers"}
    before = time.monotonic_ns() // 1000
    assert notifier.reloading()
    said = fields(mailbox)
    assert said.pop("RELOADING") == "1"
    assert before <= int(said.pop("MONOTONIC_USEC")) <= time.monotonic_ns() // 1000
    assert said == {}
    assert notifier.stopping("till all have gone")
    assert fields(mailbox) == {"STOPPING": "1", "STATUS": "till all have gone"}
    assert notifier.status("é")
    assert fields(mailbox) == {"STATUS": "é"}
    assert notifier.watchdog()
    assert fields(mailbox) == {"WATCHDOG": "1"}
    assert notifier.send(EXTEND_TIMEOUT_USEC="5", ERRNO="2")
    assert fields(mailbox) == {"EXTEND_TIMEOUT_USEC": "5", "ERRNO": "2"}
    with pytest.raises(ValueError, match="one line"):
        notifier.status("two\nlines")


def test_an_abstract_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0knote-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@knote-test-{os.getpid()}")
        assert systemd.Notifier(take=False).ready()
        assert "NOTIFY_SOCKET" in os.environ
        assert fields(sock)["READY"] == "1"


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = systemd.Notifier()
    assert not notifier.active
    assert not notifier.ready()
    for gone in (str(tmp_path / "gone"), "vsock:2:1234", "@" + "x" * 200):
        monkeypatch.setenv("NOTIFY_SOCKET", gone)
        assert not systemd.Notifier().ready()


@pytest.mark.parametrize(
    ("usec", "pid", "interval"),
    [("3000000", None, 1.5), ("3000000", str(os.getpid()), 1.5), ("3000000", "1", None), ("0", None, None),
     ("x", None, None), (None, None, None)],
)  # fmt: skip
def test_the_watchdog(
    monkeypatch: pytest.MonkeyPatch, usec: str | None, pid: str | None, interval: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert systemd.Notifier().interval == interval
    assert "WATCHDOG_USEC" not in os.environ


def passed(monkeypatch: pytest.MonkeyPatch, first: int, number: str, names: str | None, pid: int) -> None:
    monkeypatch.setattr(systemd, "FIRST", first)
    monkeypatch.setenv("LISTEN_FDS", number)
    monkeypatch.setenv("LISTEN_PID", str(pid))
    if names is None:
        monkeypatch.delenv("LISTEN_FDNAMES", raising=False)
    else:
        monkeypatch.setenv("LISTEN_FDNAMES", names)


def test_what_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.set_inheritable(True)
        passed(monkeypatch, sock.fileno(), "1", "web", os.getpid())
        assert systemd.listen_fds(unset=False) == [systemd.Passed(sock.fileno(), "web")]
        assert not sock.get_inheritable()
        passed(monkeypatch, sock.fileno(), "1", None, os.getpid())
        (found,) = systemd.listening_sockets()
        assert found.getsockname() == sock.getsockname()
        found.detach()
        assert "LISTEN_FDS" not in os.environ and systemd.listen_fds() == []


def test_what_is_no_listening_socket_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    r, w = os.pipe()
    for fd in (r, w):
        passed(monkeypatch, fd, "1", ":", os.getpid())
        assert systemd.listen_fds(unset=False) == [systemd.Passed(fd, "unknown")]
        assert systemd.listening_sockets() == []
        os.close(fd)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        passed(monkeypatch, sock.fileno(), "1", None, os.getpid())
        assert systemd.listening_sockets() == []
        sock.getsockname()


def test_what_is_anothers_or_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    passed(monkeypatch, 3, "1", None, 1)
    assert systemd.listen_fds() == []
    assert "LISTEN_FDS" in os.environ
    passed(monkeypatch, 3, "many", None, os.getpid())
    with pytest.raises(ValueError, match="LISTEN_FDS='many'"):
        systemd.listen_fds()
    passed(monkeypatch, 1 << 20, "1", None, os.getpid())
    with pytest.raises(OSError, match=f"LISTEN_FDS=1 .* {1 << 20} is not open"):
        systemd.listen_fds()
