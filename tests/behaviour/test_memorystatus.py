"""EVFILT_MEMORYSTATUS: programs stand still for want of memory (Linux' psi.rst), and what is refused."""

from __future__ import annotations

import errno
import os
import select
import time
from pathlib import Path
from typing import Any

import pytest

from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EVFILT_JAIL,
    EVFILT_JAILDESC,
    EVFILT_MEMORYSTATUS,
    EVFILT_READ,
    EVFILT_SENDFILE,
    NOTE_MEMORYSTATUS_PRESSURE_CRITICAL,
    NOTE_MEMORYSTATUS_PRESSURE_NORMAL,
    NOTE_MEMORYSTATUS_PRESSURE_WARN,
    kevent,
)
from tests.behaviour.words import apply, polls
from tests.support.cgroup import squeezed
from tests.support.waiting import SOON, wait_until

WARN = NOTE_MEMORYSTATUS_PRESSURE_WARN
CRITICAL = NOTE_MEMORYSTATUS_PRESSURE_CRITICAL

pressure = pytest.mark.needs("memory pressure")


def memory(ident: int = 0, flags: int = EV_ADD, fflags: int = WARN, data: int = 0) -> kevent:
    """A change of an EVFILT_MEMORYSTATUS knote."""
    return kevent(ident, EVFILT_MEMORYSTATUS, flags, fflags, data)


def held() -> int:
    return len(os.listdir("/proc/self/fd"))


@pressure
@pytest.mark.needs("memory cgroup")
def test_a_program_that_waits_for_its_pages(kq: Any, tmp_path: Path) -> None:
    """From the first window on, again in each, and also when the queue's descriptor was polled before."""
    apply(kq, memory(5, data=5), memory(6, data=2000))
    with squeezed(tmp_path):
        [event] = kq.control(None, 8, 10 * SOON)
        assert (event.ident, event.fflags, event.flags) == (5, WARN, EV_CLEAR)
        assert event.data >= 5000
        wait_until(lambda: polls(kq), 4 * SOON)
        for _ in range(3):
            assert select.select([kq], [], [], 0)[0]
        assert [(e.ident, e.data >= 5000) for e in kq.control(None, 8, 0)] == [(5, True)]


@pressure
def test_demands_that_are_the_same_share_a_descriptor(kq: Any) -> None:
    before = held()
    apply(kq, memory(1), memory(2), memory(3, data=100))
    assert held() == before + 1
    apply(kq, memory(4, fflags=WARN | CRITICAL), memory(5, data=2000))
    assert held() == before + 3
    apply(kq, memory(4, 0, WARN))
    assert held() == before + 2
    apply(kq, memory(5, EV_DELETE), memory(1, EV_DELETE), memory(2, EV_DELETE), memory(3, EV_DELETE))
    assert held() == before + 1
    apply(kq, memory(4, EV_DELETE))
    assert held() == before


@pressure
def test_the_set_built_anew_is_no_pressure(kq: Any) -> None:
    """A descriptor that the engine begins to watch is reported once, since it is always readable."""
    apply(kq, memory(data=2000))
    assert kq.control(None, 8, 0) == []
    r, w = os.pipe()
    apply(kq, kevent(r, EVFILT_READ, EV_ADD))
    kept = os.dup(r)
    os.close(r)
    os.write(w, b"x")
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        assert kq.control(None, 8, 0.02) == []
    os.close(kept)
    os.close(w)


@pressure
@pytest.mark.parametrize(
    ("notes", "data", "number", "words"),
    [
        (0, 0, errno.EINVAL, "at least one of"),
        (NOTE_MEMORYSTATUS_PRESSURE_NORMAL, 0, errno.EOPNOTSUPP, "does not tell that pressure has ended"),
        (WARN | NOTE_MEMORYSTATUS_PRESSURE_NORMAL, 0, errno.EOPNOTSUPP, "does not tell that pressure has ended"),
        (WARN | 8, 0, errno.EINVAL, "at least one of"),
        (WARN, -1, errno.EINVAL, "from 0 .* to 2000"),
        (CRITICAL, 2001, errno.EINVAL, "2 s, the shortest window that needs no CAP_SYS_RESOURCE"),
    ],
)
def test_what_is_refused(kq: Any, notes: int, data: int, number: int, words: str) -> None:
    before = held()
    with pytest.raises(OSError, match=words) as refused:
        apply(kq, memory(fflags=notes, data=data))
    assert refused.value.errno == number
    assert held() == before
    apply(kq, memory(data=7))
    assert [e.data for e in kq.control([memory(0, 0, notes, data)], 1, 0)] == [number]
    assert [(known.fflags, known.data) for known in kq.knotes()] == [(WARN, 7)]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (EVFILT_JAIL, "EVFILT_JAIL ident=1 .*Linux has no jails"),
        (EVFILT_JAILDESC, "EVFILT_JAILDESC ident=1 .*Linux has no jails"),
        (EVFILT_SENDFILE, "EVFILT_SENDFILE ident=1 .*Wait with EVFILT_WRITE on the socket"),
    ],
)
def test_filters_of_freebsd_15_that_linux_cannot_have(kq: Any, number: int, words: str) -> None:
    with pytest.raises(OSError, match=words) as refused:
        apply(kq, kevent(1, number, EV_ADD))
    assert refused.value.errno == errno.EINVAL
    assert [(e.ident, e.data) for e in kq.control([kevent(1, number, EV_ADD)], 1, 0)] == [(1, errno.EINVAL)]
