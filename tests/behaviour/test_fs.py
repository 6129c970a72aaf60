"""EVFILT_FS: mounts that come, go and change, in a mount namespace of the test's own (S-168, S-472)."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_ONESHOT,
    EVFILT_FS,
    EVFILT_READ,
    VQ_DEAD,
    VQ_LOWDISK,
    VQ_MOUNT,
    VQ_NEEDAUTH,
    VQ_NOTRESP,
    VQ_UNMOUNT,
    VQ_UPDATE,
    kevent,
)
from tests.behaviour.words import apply, idle, polls, ready
from tests.support.namespaces import MOUNT, check, in_new, libc
from tests.support.waiting import SOON

MS_RDONLY: Final = 1
MS_REMOUNT: Final = 32
MS_BIND: Final = 4096
MS_MOVE: Final = 8192
MNT_DETACH: Final = 2

mounts = pytest.mark.needs("mount namespace")


def fs(flags: int = EV_ADD, fflags: int = 0, ident: int = 0, udata: Any = 0) -> kevent:
    """A change of an EVFILT_FS knote."""
    return kevent(ident, EVFILT_FS, flags, fflags, 0, udata)


def mount(path: Path, *, source: Path | None = None, flags: int = 0) -> None:
    """A tmpfs; or what flags say."""
    kind = b"tmpfs" if not flags & (MS_BIND | MS_MOVE) else None
    check(libc.mount(str(source or "none").encode(), str(path).encode(), kind, flags, None))


def unmount(path: Path) -> None:
    check(libc.umount2(str(path).encode(), MNT_DETACH))


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A directory; what is mounted below it goes with the namespace."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Path(name)


def told(kq: Any) -> list[int]:
    """The notes of the events that come within the deadline."""
    return [event.fflags for event in kq.control(None, 8, SOON)]


@mounts
@in_new(MOUNT)
def test_each_thing_that_happens_has_its_note(engine: str) -> None:
    with knote.kqueue(engine=engine) as kq, place() as here:
        other = here / "other"
        apply(kq, fs())
        idle(kq)
        mount(here)
        assert told(kq) == [VQ_MOUNT]
        mount(here, flags=MS_REMOUNT | MS_RDONLY)
        assert told(kq) == [VQ_UPDATE]
        mount(here, flags=MS_REMOUNT)
        assert told(kq) == [VQ_UPDATE]
        other.mkdir()
        mount(other, source=here, flags=MS_BIND)
        assert told(kq) == [VQ_MOUNT]
        third = here / "third"
        third.mkdir()
        mount(third, source=other, flags=MS_MOVE)
        assert told(kq) == [VQ_MOUNT | VQ_UNMOUNT]
        unmount(third)
        assert told(kq) == [VQ_UNMOUNT]
        unmount(here)
        [event] = kq.control(None, 8, SOON)
        assert (event.ident, event.fflags, event.data, event.flags) == (0, VQ_UNMOUNT, 0, EV_CLEAR)
        idle(kq)


@mounts
@in_new(MOUNT)
def test_only_what_was_asked_for(engine: str) -> None:
    """Notes of 0 are all, as on macOS; the ident is the program's own."""
    with knote.kqueue(engine=engine) as kq, place() as here:
        apply(kq, fs(fflags=VQ_UNMOUNT, ident=7, udata="gone"), fs(ident=8, udata="all"))
        mount(here)
        assert [(e.ident, e.udata) for e in kq.control(None, 8, SOON)] == [(8, "all")]
        unmount(here)
        assert sorted((e.ident, e.fflags) for e in kq.control(None, 8, SOON)) == [(7, VQ_UNMOUNT), (8, VQ_UNMOUNT)]
        apply(kq, fs(0, VQ_MOUNT, ident=7), fs(EV_DELETE, ident=8))
        mount(here)
        assert [(e.ident, e.fflags) for e in kq.control(None, 8, SOON)] == [(7, VQ_MOUNT)]


@mounts
@in_new(MOUNT)
def test_what_happened_before_it_was_added_is_no_news(engine: str) -> None:
    with knote.kqueue(engine=engine) as kq, place() as here:
        apply(kq, fs(ident=1))
        mount(here)
        apply(kq, fs(ident=2))
        assert [e.ident for e in kq.control(None, 8, SOON)] == [1]
        idle(kq)


@mounts
@in_new(MOUNT)
def test_several_things_are_one_event(engine: str) -> None:
    with knote.kqueue(engine=engine) as kq, place() as here:
        mount(here)
        below = here / "below"
        below.mkdir()
        apply(kq, fs())
        mount(below)
        mount(here, flags=MS_REMOUNT | MS_RDONLY)
        assert told(kq) == [VQ_MOUNT | VQ_UPDATE]
        unmount(below)
        mount(here)
        assert told(kq) == [VQ_MOUNT | VQ_UNMOUNT]
        idle(kq)


@mounts
@in_new(MOUNT)
def test_looking_at_the_descriptor_takes_nothing_away(engine: str) -> None:
    """poll(2) on mountinfo forgets what it has told, and polling the queue's descriptor polls mountinfo."""
    with knote.kqueue(engine=engine) as kq, knote.kqueue(engine=engine) as outer, place() as here:
        apply(kq, fs())
        apply(outer, kevent(kq, EVFILT_READ, EV_ADD))
        ready(kq)
        mount(here)
        for _ in range(3):
            assert polls(kq)
            assert select.select([kq], [], [], 0)[0]
        assert [event.data for event in outer.control(None, 8, SOON)] == [1]
        assert told(kq) == [VQ_MOUNT]
        idle(kq)


@mounts
@in_new(MOUNT)
def test_disabled_it_goes_on_recording(engine: str) -> None:
    with knote.kqueue(engine=engine) as kq, place() as here:
        apply(kq, fs(EV_ADD | EV_DISABLE))
        mount(here)
        idle(kq)
        unmount(here)
        apply(kq, fs(EV_ENABLE))
        assert told(kq) == [VQ_MOUNT], "what was recorded, before the engine is asked"
        assert told(kq) == [VQ_UNMOUNT]


@mounts
@in_new(MOUNT)
@pytest.mark.parametrize("once", [EV_ONESHOT, EV_DISPATCH])
def test_once(engine: str, once: int) -> None:
    with knote.kqueue(engine=engine) as kq, place() as here:
        apply(kq, fs(EV_ADD | once))
        mount(here)
        assert told(kq) == [VQ_MOUNT]
        unmount(here)
        idle(kq)
        if once == EV_DISPATCH:
            apply(kq, fs(EV_ENABLE))
            assert told(kq) == [VQ_UNMOUNT]
        else:
            with pytest.raises(FileNotFoundError):
                apply(kq, fs(EV_DELETE))


@mounts
@in_new(MOUNT)
def test_very_many_at_once(engine: str) -> None:
    """The table is far larger than one read(2) gives."""
    with knote.kqueue(engine=engine) as kq, place() as here:
        mount(here)
        for i in range(1500):
            (here / str(i)).touch()
        apply(kq, fs())
        for i in range(1500):
            mount(here / str(i), source=here / "0", flags=MS_BIND)
        assert told(kq) == [VQ_MOUNT]
        unmount(here / "700")
        assert told(kq) == [VQ_UNMOUNT]
        unmount(here)
        assert told(kq) == [VQ_UNMOUNT]
        idle(kq)


@mounts
@in_new(MOUNT)
def test_a_waiting_thread_is_woken(engine: str) -> None:
    with knote.kqueue(engine=engine) as kq, place() as here:
        apply(kq, fs())
        ready(kq)
        got: list[int] = []
        waiter = threading.Thread(target=lambda: got.extend(told(kq)))
        waiter.start()
        mount(here)
        waiter.join()
        assert got == [VQ_MOUNT]


@mounts
@in_new(MOUNT)
def test_when_the_set_is_built_anew_nothing_is_told_twice(engine: str) -> None:
    """A descriptor that is closed while a dup lives makes the queue build its set anew (S-399)."""
    with knote.kqueue(engine=engine) as kq, place() as here:
        r, w = os.pipe()
        apply(kq, fs(), kevent(r, EVFILT_READ, EV_ADD))
        ready(kq)
        kept = os.dup(r)
        os.close(r)
        os.write(w, b"x")
        idle(kq)
        mount(here)
        assert told(kq) == [VQ_MOUNT]
        idle(kq)
        os.close(kept)
        os.close(w)


def test_one_descriptor_while_it_is_needed(kq: Any) -> None:
    def held() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = held()
    apply(kq, *(fs(ident=i) for i in range(10)))
    assert held() == before + 1
    apply(kq, *(fs(EV_DELETE, ident=i) for i in range(9)))
    assert held() == before + 1
    apply(kq, fs(EV_DELETE, ident=9))
    assert held() == before
    apply(kq, fs())
    assert held() == before + 1


@pytest.mark.parametrize("note", [VQ_NOTRESP, VQ_NEEDAUTH, VQ_LOWDISK, VQ_DEAD, VQ_MOUNT | VQ_DEAD])
def test_what_linux_does_not_tell_is_refused(kq: Any, note: int) -> None:
    with pytest.raises(OSError, match="Linux tells of VQ_MOUNT, VQ_UNMOUNT and VQ_UPDATE only") as refused:
        apply(kq, fs(fflags=note))
    assert refused.value.errno == errno.EOPNOTSUPP
    apply(kq, fs(fflags=VQ_MOUNT))
    assert [e.data for e in kq.control([fs(0, note)], 1, 0)] == [errno.EOPNOTSUPP]
    assert [known.fflags for known in kq.knotes()] == [VQ_MOUNT]


def test_notes_that_are_none_of_its(kq: Any) -> None:
    with pytest.raises(OSError, match="the notes are VQ_MOUNT, VQ_UNMOUNT and VQ_UPDATE") as refused:
        apply(kq, fs(fflags=1 << 31))
    assert refused.value.errno == errno.EINVAL
