"""EVFILT_PROC: more processes than descriptors."""

from __future__ import annotations

import subprocess
import sys

import pytest

CHILDREN = """
import os, resource
from knote import *
{prelude}
count, limit = {count}, 256
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
listen, tell = os.pipe()
pids = []
for i in range(count):
    pid = os.fork()
    if not pid:
        os.read(listen, 1)
        os._exit(i % 251)
    pids.append(pid)
with kqueue() as kq:
    for i in range(0, count, 500):
        kq.control([kevent(pid, EVFILT_PROC, EV_ADD, NOTE_EXIT) for pid in pids[i : i + 500]], 0)
    ours = len(os.listdir("/proc/self/fd"))
    assert ours < limit - limit // 8 + 8, ours
    with open("/dev/null"), open("/dev/null"):
        pass  # the program still can
    sent = 0
    got = {{}}
    while len(got) < count:
        while sent < count and sent - len(got) < 4096:
            sent += os.write(tell, b"x" * min(1000, count - sent))
        for event in kq.control(None, 300, 30):
            assert event.ident not in got, "twice"
            got[event.ident] = event.data
    assert kq.control(None, 10, 0) == []
    assert sorted(got) == sorted(pids)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == got[pid]
    assert kq.knotes() == []
    assert len(os.listdir("/proc/self/fd")) < 12, os.listdir("/proc/self/fd")
print("each once")
"""

DEAF = """
import ctypes
if ctypes.CDLL(None).unshare(0x10000000):  # CLONE_NEWUSER: where the connector is silent
    raise SystemExit("no user namespace")
"""

REFUSED = DEAF + """
import os, resource, subprocess
from knote import *

kq = kqueue()

def refused(pid, notes):
    try:
        kq.control([kevent(pid, EVFILT_PROC, EV_ADD, notes)], 0)
    except OSError as error:
        print(type(error).__name__, error.errno, error)

for notes in (NOTE_FORK, NOTE_EXEC, NOTE_TRACK | NOTE_EXIT):
    refused(os.getpid(), notes)
print(kq.knotes())
[event] = kq.control([kevent(os.getpid(), EVFILT_PROC, EV_ADD, NOTE_FORK)], 1, 0)
print(event.flags == EV_ERROR, event.data)
soft = len(os.listdir("/proc/self/fd")) + 1
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
filler = []
while True:
    try:
        filler.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        break
refused(1, NOTE_EXIT)
print(kq.knotes())
"""


def run(program: str) -> str:
    """What a program of its own prints, whose limits, namespaces and children are its own."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.needs("proc connector")
def test_more_children_than_descriptors() -> None:
    """Each status once, with the program's own descriptors left to it."""
    assert run(CHILDREN.format(count=700, prelude="")) == "each once\n"


@pytest.mark.needs("user namespaces")
def test_more_children_than_descriptors_without_the_connector() -> None:
    """The same by asking for them now and then."""
    assert run(CHILDREN.format(count=700, prelude=DEAF)) == "each once\n"


@pytest.mark.needs("user namespaces")
def test_what_only_the_connector_tells_is_refused() -> None:
    """S-455: with the reason in words, and nothing is left of the change.  A process that is no child is refused
    where there is no descriptor for it; the error names the limit, its value and the command that raises it."""
    lines = run(REFUSED).splitlines()
    for line in lines[:3]:
        assert line.startswith("OSError 95 ")
        assert "process connector" in line
        assert "this is not the initial user namespace" in line
        assert "NOTE_EXIT alone works" in line
    assert lines[3:5] == ["[]", "True 95"]
    assert lines[5].startswith("OSError 24 ")
    assert "only a child of this process can be watched" in lines[5]
    assert "RLIMIT_NOFILE" in lines[5]
    assert "ulimit -n" in lines[5]
    assert lines[6] == "[]"
