"""EVFILT_VNODE: what inotify loses, and how it is found."""

from __future__ import annotations

import os
import threading

import pytest

from knote import (
    NOTE_EXTEND,
    NOTE_WRITE,
)
from tests.behaviour.files import EVERY, PASSING, Folder, folder
from tests.behaviour.words import idle
from tests.support.events import idents

__all__ = ["folder"]


def _room() -> int:
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
        return int(file.read())


def _overflow(folder: Folder) -> tuple[int, int]:
    """Fill inotify's queue by two files in turns, whose events do not merge; their descriptors."""
    a, b = (folder.watch(folder.file(name), NOTE_WRITE) for name in "ab")
    for _ in range(_room() // 2 + 8):
        os.pwrite(a, b"x", 0)
        os.pwrite(b, b"x", 0)
    return a, b


def test_what_an_overflow_lost_is_found(folder: Folder) -> None:
    """S-437: every kind of change, on files and directories; and afterwards it goes on as before."""
    (folder.root / "d").mkdir()
    (folder.root / "gone").mkdir()
    (folder.root / "kept").mkdir()
    names = ("written", "grown", "shrunk", "chmodded", "linked", "unlinked", "renamed", "untouched", "opened")
    fds = {name: folder.file(name) for name in names}
    fds |= {name: folder.open(name) for name in ("d", "gone", "kept")}
    for fd in fds.values():
        os.utime(fd, (1, 1))
    _settle(folder)
    for name, fd in fds.items():
        folder.watch(fd, EVERY | (PASSING if name == "opened" else 0))
    full = _overflow(folder)
    os.pwrite(fds["written"], b"x", 0)
    os.pwrite(fds["grown"], b"x", 50)
    os.ftruncate(fds["shrunk"], 3)
    os.fchmod(fds["chmodded"], 0o600)
    os.link(folder.path("linked"), folder.path("link"))
    os.unlink(folder.path("unlinked"))
    os.rename(folder.path("renamed"), folder.path("other"))
    (folder.root / "d/x").touch()
    os.rmdir(folder.path("gone"))
    said = {fd: set(words.split("|")) for fd, words in folder.told().items()}
    for fd in full:
        assert "WRITE" in said.pop(fd)
    expected = {
        "written": {"WRITE"}, "grown": {"WRITE", "EXTEND"}, "shrunk": {"ATTRIB"}, "chmodded": {"ATTRIB"},
        "linked": {"LINK"}, "unlinked": {"DELETE"}, "renamed": {"RENAME"}, "d": {"WRITE"}, "gone": {"DELETE"},
        "opened": {"OPEN", "CLOSE", "CLOSE_WRITE", "READ"},
    }  # fmt: skip
    for name, words in expected.items():
        assert words <= said[fds[name]], name
    assert fds["untouched"] not in said
    assert fds["kept"] not in said
    assert folder.told() == {}
    assert folder.after(lambda: os.pwrite(fds["untouched"], b"x", 0)) == {fds["untouched"]: "WRITE"}


def _settle(folder: Folder) -> None:
    """Wait until the clock of files has gone on, so that whatever changes from now on has a time of its own."""
    before = os.stat(folder.root / "d").st_ctime_ns
    probe = folder.root / "probe"
    while True:
        probe.touch()
        if probe.stat().st_ctime_ns > before + 20_000_000:
            return
        threading.Event().wait(0.001)


@pytest.mark.slow
def test_more_changes_than_inotify_queues(folder: Folder) -> None:
    """Issue 4: 17 000 unread changes are the normal path; each file is told of once."""
    count = _room() + 600
    soft, hard = _descriptors(count + 100)
    fds = []
    try:
        for i in range(count):
            fds.append(os.open(folder.path(str(i)), os.O_RDWR | os.O_CREAT))
            folder.watch(fds[-1], NOTE_WRITE | NOTE_EXTEND)
        for fd in fds:
            os.write(fd, b"x")
        events = folder.kq.control(None, 2 * count, 0)
        assert sorted(idents(events)) == sorted(fds)
        assert {event.fflags for event in events} == {NOTE_WRITE | NOTE_EXTEND}
        idle(folder.kq)
    finally:
        for fd in fds:
            os.close(fd)
        _limit(soft, hard)


def _descriptors(count: int) -> tuple[int, int]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert count <= hard, "RLIMIT_NOFILE's hard limit"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    return soft, hard


def _limit(soft: int, hard: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
