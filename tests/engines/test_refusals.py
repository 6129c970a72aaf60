"""System calls that fail: the error is said, nothing is half-done, nothing is lost.

A seccomp filter in a forked child makes them fail; each engine, each call of the kernel room, each errno.
"""

from __future__ import annotations

import errno
import os
import resource
import traceback
from collections.abc import Callable
from typing import Final

import pytest

import knote
from knote import EV_ADD, EVFILT_READ, EVFILT_USER, EVFILT_WRITE, NOTE_TRIGGER, kevent
from tests import gates
from tests.support import installed, kernelcalls, seccomp
from tests.support.waiting import SOON

_CALLS: Final[dict[str, tuple[str, ...]]] = {
    "wait": (
        "epoll_wait", "epoll_pwait2", "poll", "ppoll", "select", "pselect", "io_uring_enter", "io_getevents",
    ),
    "change": ("epoll_ctl", "io_uring_enter"),
    "make": ("eventfd", "epoll_create1", "io_setup", "io_uring_setup"),
}
"""What engines wait by, are told of changes by, and are made of."""


def calls(kind: str) -> tuple[int, ...]:
    return kernelcalls.of(*_CALLS[kind])


def apart(body: Callable[[str, int], None], engine: str, error: int) -> None:
    """In a child that ends with what body came to."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.environ["KNOTE_IO_URING"] = "1"  # else no ring is made under a filter, which is one
            body(engine, error)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, f"{engine}, {errno.errorcode[error]}"


def idents(kq: knote.kqueue, seconds: float = 0) -> list[int]:
    return sorted(event.ident for event in kq.control(None, 8, seconds))


def no_wait(engine: str, error: int) -> None:
    kq = knote.kqueue(engine=engine)
    r, w = os.pipe()
    kq.control([kevent(r, EVFILT_READ, EV_ADD), kevent(1, EVFILT_USER, EV_ADD | knote.EV_CLEAR)], 0)
    os.write(w, b"x")
    seccomp.deny(calls("wait"), error)
    try:
        # Interrupted it goes on until its time is up; what else there is, it says.
        assert idents(kq, 0.01) == []
        assert error == errno.EINTR
    except OSError as refused:
        assert refused.errno == error
    # What needs no wait is returned all the same, once.
    kq.control([kevent(1, EVFILT_USER, 0, NOTE_TRIGGER)], 0)
    assert idents(kq) == [1]
    assert len(kq.knotes()) == 2
    kq.close()


def no_change(engine: str, error: int) -> None:
    if error == errno.EPERM:
        return  # epoll's word for a file that has nothing to wait for
    kq = knote.kqueue(engine=engine)
    r, w = os.pipe()
    kq.control([kevent(r, EVFILT_READ, EV_ADD)], 0)
    seccomp.deny(calls("change"), error)
    for changes in ([kevent(w, EVFILT_WRITE, EV_ADD)], [kevent(w, EVFILT_WRITE, EV_ADD | knote.EV_CLEAR)]):
        try:
            kq.control(changes, 0)
            raise AssertionError("accepted")
        except OSError as refused:
            assert refused.errno == error
        assert [kn.ident for kn in kq.knotes()] == [r]
    os.write(w, b"x")
    assert idents(kq) == [r]
    assert idents(kq) == [r]
    kq.close()


def no_queue(engine: str, error: int) -> None:
    before = os.listdir("/proc/self/fd")
    for call in calls("make"):
        pid = os.fork()
        if pid == 0:
            seccomp.deny((call,), error)
            try:
                knote.kqueue(engine=engine).close()
            except OSError as refused:
                os._exit(0 if refused.errno == error and len(os.listdir("/proc/self/fd")) == len(before) else 1)
            os._exit(0)  # made without that call
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, call


@pytest.mark.parametrize("body", [no_wait, no_change, no_queue], ids=lambda body: body.__name__)
@pytest.mark.parametrize("name", installed.engine_names())
def test_refused(body: Callable[[str, int], None], name: str) -> None:
    gates.apply(name)
    for error in kernelcalls.ERRORS:
        apart(body, name, error)


@pytest.mark.parametrize("name", [name for name in installed.engine_names() if not installed.traits(name).max_fd])
def test_eighteen_thousand_descriptors(name: str) -> None:
    """Or as many as the hard limit allows."""
    gates.apply(name)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(18_000, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    r, w = os.pipe()
    fds = [r, w]
    try:
        with knote.kqueue(engine=name) as kq:
            while len(fds) < count:
                fds.append(os.dup(r))
            kq.control([kevent(fd, EVFILT_READ, EV_ADD) for fd in fds if fd != w], 0)
            assert idents(kq) == []
            os.write(w, b"x")
            got: set[int] = set()
            while len(got) < count - 1:
                more = {event.ident for event in kq.control(None, 5000, SOON)}
                assert more
                got |= more
            os.read(r, 1)
            assert idents(kq) == []
    finally:
        for fd in fds:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
