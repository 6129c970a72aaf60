"""EVFILT_VNODE where Linux has no more to give: the error says which limit, and nothing is lost (issue 4)."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from knote import EV_DELETE, NOTE_ATTRIB, NOTE_DELETE, NOTE_WRITE
from tests.behaviour.files import Folder, folder
from tests.behaviour.words import apply, idle, ready, vnode
from tests.support.events import idents
from tests.support.leaks import descriptors
from tests.support.plumbing import Pipe

SHARED = """
import os, sys
from tests.support import namespaces
namespaces.enter(0)
namespaces.limit(max_inotify_watches=4, max_inotify_instances=2)
import knote
from knote import *
from tests.behaviour.words import *
folder, engine = sys.argv[1:]
os.chdir(folder)
fds = [os.open(f"f{i}", os.O_RDWR | os.O_CREAT, 0o666) for i in range(8)]
kq = knote.kqueue(engine=engine)

def refused(queue, change):
    try:
        queue.control([change], 0)
    except OSError as error:
        print(error.errno, error)
        return
    raise AssertionError(change)
"""

__all__ = ["folder"]


def in_a_namespace(tmp_path: Path, engine: str, code: str) -> list[str]:
    """Run it with room for four watches and two instances; what it printed."""
    tmp_path.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SHARED + code, str(tmp_path), engine],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.needs("user namespaces")
def test_no_more_watches(engine: str, tmp_path: Path) -> None:
    """ENOSPC names the sysctl, its value and the way to raise it; those that are there go on."""
    said = in_a_namespace(tmp_path, engine, """
for fd in fds[:4]:
    apply(kq, vnode(fd, NOTE_WRITE))
refused(kq, vnode(fds[4], NOTE_WRITE))
refused(kq, read(fds[5]))
[error] = ready(kq, vnode(fds[4], NOTE_WRITE))
assert (error.flags, error.data, error.ident) == (EV_ERROR, 28, fds[4]), error
assert {knote.ident for knote in kq.knotes()} == set(fds[:4])
for fd in fds[:5]:
    os.write(fd, b"x")
assert [event.ident for event in ready(kq)] == fds[:4]
apply(kq, vnode(fds[0], 0, EV_DELETE), vnode(fds[4], NOTE_WRITE))
os.write(fds[4], b"x")
assert [event.ident for event in ready(kq)] == [fds[4]]
""")  # fmt: skip
    assert len(said) == 2
    for line in said:
        for words in ("28", "max_inotify_watches", "now 4", "'sysctl user.max_inotify_watches=N' raises it"):
            assert words in line, line


@pytest.mark.needs("user namespaces")
def test_a_directory_has_no_watch_left_for_its_parent(engine: str, tmp_path: Path) -> None:
    """The half that was made goes, so that the watch is there for something else."""
    (tmp_path / "d").mkdir()
    said = in_a_namespace(tmp_path, engine, """
d = os.open("d", os.O_RDONLY)
for fd in fds[:3]:
    apply(kq, vnode(fd, NOTE_WRITE))
refused(kq, vnode(d, NOTE_WRITE | NOTE_DELETE))
apply(kq, vnode(d, NOTE_WRITE))
refused(kq, vnode(d, NOTE_DELETE))
open("d/x", "w").close()
assert [event.ident for event in ready(kq)] == [d]
""")  # fmt: skip
    assert ["28" in line for line in said] == [True, True]


@pytest.mark.needs("user namespaces")
def test_no_more_instances(engine: str, tmp_path: Path) -> None:
    """EMFILE is inotify's own while descriptors are left."""
    (line,) = in_a_namespace(tmp_path, engine, """
queues = [knote.kqueue(engine=engine) for _ in range(3)]
for queue, fd in zip(queues[:2], fds):
    apply(queue, vnode(fd, NOTE_WRITE))
refused(queues[2], vnode(fds[0], NOTE_WRITE))
assert queues[2].knotes() == []
queues[0].close()
apply(queues[2], vnode(fds[0], NOTE_WRITE))
os.write(fds[0], b"x")
assert [event.ident for event in ready(queues[2])] == [fds[0]]
""")  # fmt: skip
    for words in ("24", "max_inotify_instances", "now 2", "'sysctl user.max_inotify_instances=N' raises it"):
        assert words in line, line


def test_no_descriptor_left(folder: Folder, pipe: Pipe) -> None:
    """EMFILE is RLIMIT_NOFILE's when there is none; and it works when there is one again."""
    fd = folder.file("f")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(descriptors()) + 1, hard))
    filler: list[int] = []
    try:
        with pytest.raises(OSError) as full:
            while True:
                filler.append(os.dup(0))
        assert full.value.errno == errno.EMFILE
        with pytest.raises(OSError, match="RLIMIT_NOFILE") as caught:
            folder.watch(fd)
        assert caught.value.errno == errno.EMFILE
        assert folder.kq.knotes() == []
    finally:
        for other in filler:
            os.close(other)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    folder.watch(fd)
    assert folder.after(lambda: os.write(fd, b"x")) == {fd: "WRITE"}


def test_a_thousand_files_on_one_instance(folder: Folder) -> None:
    """libkqueue 4.3-8: one instance per knote ends at max_user_instances, 128; spec section 8, rule 11."""
    fds = [folder.watch(folder.file(f"f{i}", b""), NOTE_WRITE) for i in range(300)]
    with open("/proc/self/fdinfo/" + str(_inotify()), encoding="ascii") as info:
        assert sum(line.startswith("inotify wd:") for line in info) == len(fds)
    for fd in fds:
        os.write(fd, b"x")
    events = folder.kq.control(None, 1000, 0)
    assert idents(events) == fds


def _inotify() -> int:
    (number,) = [fd for fd, link in descriptors().items() if "inotify" in link]
    return number


@pytest.mark.needs("root")
def test_a_file_that_may_not_be_read(engine: str, tmp_path: Path) -> None:
    """S-440: inotify asks for more than the descriptor, so the refusal is in words."""
    code = """
import os, sys, knote
from knote import *
folder, engine = sys.argv[1:]
fd = os.open(folder + "/f", os.O_WRONLY | os.O_CREAT, 0o200)
os.setresuid(65534, 65534, 65534)
kq = knote.kqueue(engine=engine)
try:
    kq.control([kevent(fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE)], 0)
except PermissionError as error:
    print(error)
assert kq.knotes() == []
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path), engine],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for words in ("EVFILT_VNODE fd=", "may read", "chmod a+r"):
        assert words in done.stdout


def test_a_refused_change_leaves_the_knote_as_it_was(folder: Folder, pipe: Pipe) -> None:
    """One that names another filter's descriptor, among others in one list."""
    fd = folder.watch(folder.file("f"), NOTE_ATTRIB)
    with pytest.raises(OSError, match="EVFILT_VNODE"):
        apply(folder.kq, vnode(pipe.r, NOTE_WRITE), vnode(fd, NOTE_DELETE, EV_DELETE))
    assert folder.after(lambda: os.fchmod(fd, 0o600)) == {fd: "ATTRIB"}
    apply(folder.kq, vnode(fd, 0, EV_DELETE))
    assert ready(folder.kq) == []
    assert folder.kq.knotes() == []
    idle(folder.kq)
