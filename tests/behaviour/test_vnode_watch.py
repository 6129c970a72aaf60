"""EVFILT_VNODE: one watch for many knotes, flags, closed descriptors, detached file systems."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_ERROR,
    EV_FORCEONESHOT,
    EV_KEEPUDATA,
    EV_ONESHOT,
    EV_RECEIPT,
    EVFILT_READ,
    EVFILT_VNODE,
    NOTE_ATTRIB,
    NOTE_CLOSE,
    NOTE_CLOSE_WRITE,
    NOTE_EXTEND,
    NOTE_RENAME,
    NOTE_WRITE,
)
from tests.behaviour.files import EVERY, PASSING, Folder, folder, notes
from tests.behaviour.words import apply, idle, polls, read, ready, vnode
from tests.support import namespaces
from tests.support.events import brief, idents, keys
from tests.support.leaks import descriptors
from tests.support.waiting import SOON

__all__ = ["folder"]


def masks() -> list[int]:
    """What inotify is asked for, per watch of this process."""
    found = []
    for fd, link in descriptors().items():
        if "inotify" in link:
            with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as info:
                found += [int(line.split("mask:")[1].split()[0], 16) for line in info if "wd:" in line]
    return sorted(found)


# ---- flags -------------------------------------------------------------------------------------


def test_by_level_it_comes_again_and_adds_up(folder: Folder) -> None:
    """S-173; trace vn_level."""
    fd = folder.watch(folder.file("f"), flags=EV_ADD)
    os.write(fd, b"x")
    assert [folder.told(), folder.told()] == [{fd: "WRITE"}] * 2
    os.fchmod(fd, 0o600)
    assert [folder.told(), folder.told()] == [{fd: "WRITE|ATTRIB"}] * 2
    assert polls(folder.kq)
    apply(folder.kq, vnode(fd, 0, EV_DELETE))
    idle(folder.kq)


def test_once(folder: Folder) -> None:
    """Trace vn_oneshot; and the watch has gone with the knote."""
    fd = folder.watch(folder.file("f"), flags=EV_ADD | EV_ONESHOT)
    assert folder.after(lambda: os.write(fd, b"x")) == {fd: "WRITE"}
    assert folder.kq.knotes() == []
    assert masks() == []
    assert folder.after(lambda: os.write(fd, b"x")) == {}


def test_disabled_it_goes_on_recording(folder: Folder) -> None:
    """S-066; trace vn_disabled_changes, libkqueue's vnode_disable_drains."""
    fd = folder.watch(folder.file("f"))
    apply(folder.kq, vnode(fd, EVERY, EV_DISABLE))
    assert folder.after(lambda: os.write(fd, b"x")) == {}
    assert not polls(folder.kq)
    os.fchmod(fd, 0o600)
    (event,) = ready(folder.kq, vnode(fd, EVERY, EV_ENABLE))
    assert notes(event) == "WRITE|ATTRIB"
    idle(folder.kq)


def test_what_was_true_is_not_told_while_disabled(folder: Folder) -> None:
    """S-067."""
    fd = folder.watch(folder.file("f"))
    os.write(fd, b"x")
    apply(folder.kq, vnode(fd, EVERY, EV_DISABLE))
    idle(folder.kq)
    apply(folder.kq, vnode(fd, EVERY, EV_ENABLE))
    assert folder.told() == {fd: "WRITE"}


def test_dispatch(folder: Folder) -> None:
    """Trace vn_dispatch; without EV_CLEAR what was told is told again."""
    for flags, again in ((EV_DISPATCH | EV_CLEAR, "ATTRIB"), (EV_DISPATCH, "WRITE|ATTRIB")):
        fd = folder.watch(folder.file(f"f{flags}"), flags=EV_ADD | flags)
        assert folder.after(lambda fd=fd: os.write(fd, b"x")) == {fd: "WRITE"}
        assert folder.after(lambda fd=fd: os.fchmod(fd, 0o600)) == {}
        apply(folder.kq, vnode(fd, EVERY, EV_ENABLE))
        assert folder.told() == {fd: again}


def test_forced(folder: Folder) -> None:
    """EV_FORCEONESHOT returns it with what it has: nothing."""
    fd = folder.watch(folder.file("f"))
    (event,) = ready(folder.kq, vnode(fd, EVERY, EV_FORCEONESHOT))
    assert (event.ident, event.fflags) == (fd, 0)
    assert folder.kq.knotes() == []


def test_udata_and_receipts(folder: Folder) -> None:
    """libkqueue's vnode_udata_preserved, _modify_clobbers_udata, _receipt_preserved; S-055."""
    kq, fd = folder.kq, folder.file("f")
    (receipt,) = kq.control([vnode(fd, NOTE_WRITE, EV_ADD | EV_CLEAR | EV_RECEIPT, udata=7)], 4, 0)
    assert (receipt.flags, receipt.data) == (EV_ERROR, 0)
    os.write(fd, b"x")
    assert [event.udata for event in ready(kq)] == [7]
    kq.control([vnode(fd, NOTE_WRITE, EV_ENABLE | EV_KEEPUDATA)], 4, 0)
    os.write(fd, b"x")
    assert [event.udata for event in ready(kq)] == [7]
    kq.control([vnode(fd, NOTE_WRITE, EV_ADD)], 4, 0)
    os.write(fd, b"x")
    assert [event.udata for event in ready(kq)] == [0]


def test_notes_are_replaced_and_what_was_recorded_stays(folder: Folder) -> None:
    """S-178, S-177: what happens is told by what is asked for when it happens."""
    fd = folder.watch(folder.file("f"), NOTE_WRITE)
    os.write(fd, b"x")
    os.fchmod(fd, 0o600)
    folder.watch(fd, NOTE_ATTRIB)
    assert folder.told() == {fd: "WRITE"}
    assert folder.after(lambda: os.write(fd, b"x")) == {}
    assert folder.after(lambda: os.fchmod(fd, 0o644)) == {fd: "ATTRIB"}
    folder.watch(fd, 0)
    assert folder.after(lambda: os.fchmod(fd, 0o600)) == {}


def test_what_is_not_there(folder: Folder) -> None:
    """libkqueue's vnode_del_nonexistent, and after a deletion."""
    fd = folder.file("f")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            apply(folder.kq, vnode(fd, 0, EV_DELETE))
        folder.watch(fd)
        os.write(fd, b"x")
        apply(folder.kq, vnode(fd, 0, EV_DELETE))
        idle(folder.kq)


# ---- one inode, many knotes --------------------------------------------------------------------


def test_two_descriptors_of_one_file(folder: Folder) -> None:
    """S-424, S-196: one watch with the notes of both; taking one away leaves the other's."""
    fd = folder.watch(folder.file("f"), NOTE_WRITE)
    other = folder.watch(folder.open("f"), NOTE_ATTRIB | NOTE_RENAME)
    assert len(masks()) == 1
    wide = masks()
    assert folder.after(lambda: os.write(fd, b"x")) == {fd: "WRITE"}
    assert folder.after(lambda: os.fchmod(fd, 0o600)) == {other: "ATTRIB"}
    apply(folder.kq, vnode(other, 0, EV_DELETE))
    assert masks() < wide
    assert folder.after(lambda: os.fchmod(fd, 0o644)) == {}
    assert folder.after(lambda: os.write(fd, b"x")) == {fd: "WRITE"}
    apply(folder.kq, vnode(fd, 0, EV_DELETE))
    assert masks() == []
    idle(folder.kq)


def test_by_another_name(folder: Folder) -> None:
    """S-424: a hard link leads to the same inode."""
    fd = folder.watch(folder.file("f"))
    os.link(folder.path("f"), folder.path("g"))
    assert folder.told() == {fd: "LINK"}
    other = folder.watch(folder.open("g", os.O_RDWR), NOTE_WRITE)
    assert folder.after(lambda: os.write(other, b"x")) == {fd: "WRITE", other: "WRITE"}
    folder.close(fd)
    assert folder.after(lambda: os.write(other, b"x")) == {other: "WRITE"}


def test_a_newcomer_is_not_told_of_what_was_before(folder: Folder) -> None:
    """S-177: though the watch that it joins has it unread."""
    fd = folder.watch(folder.file("f"))
    os.write(fd, b"x")
    other = folder.watch(folder.open("f"))
    assert folder.told() == {fd: "WRITE"}
    assert folder.after(lambda: os.write(fd, b"x")) == {fd: "WRITE", other: "WRITE"}


def test_reading_and_watching(folder: Folder) -> None:
    """Trace vn_read_and_vnode, and back to either alone."""
    kq, fd = folder.kq, folder.file("f", b"")
    assert ready(kq, read(fd), vnode(fd, NOTE_WRITE | NOTE_EXTEND)) == []
    os.pwrite(fd, b"xx", 0)
    assert keys(ready(kq)) == [(fd, EVFILT_VNODE), (fd, EVFILT_READ)]
    apply(kq, vnode(fd, 0, EV_DELETE))
    assert brief(ready(kq)) == [f"{fd} READ d=2"]
    os.read(fd, 2)
    assert ready(kq) == []
    os.pwrite(fd, b"x", 2)
    assert brief(kq.control(None, 4, SOON)) == [f"{fd} READ d=1"]
    apply(kq, vnode(fd, NOTE_ATTRIB), read(fd, EV_DELETE))
    assert folder.after(lambda: os.pwrite(fd, b"x", 3)) == {}
    assert folder.after(lambda: os.fchmod(fd, 0o600)) == {fd: "ATTRIB"}
    apply(kq, vnode(fd, 0, EV_DELETE))
    assert masks() == []


def test_several_queues(folder: Folder, engine: str) -> None:
    """S-196: each its own event; libkqueue's vnode_multi_kqueue."""
    fd = folder.watch(folder.file("f"))
    with knote.kqueue(engine=engine) as other:
        apply(other, vnode(fd, NOTE_WRITE))
        os.write(fd, b"x")
        assert idents(ready(other)) == [fd]
        assert folder.told() == {fd: "WRITE"}


def test_a_queue_in_a_queue(folder: Folder, engine: str) -> None:
    """S-015: the outer one wakes, and counts."""
    fd = folder.watch(folder.file("f"))
    with knote.kqueue(engine=engine) as outer:
        apply(outer, read(folder.kq))
        assert ready(outer) == []
        os.write(fd, b"x")
        assert [(event.ident, event.data) for event in outer.control(None, 4, SOON)] == [(folder.kq.fileno(), 1)]
        assert folder.told() == {fd: "WRITE"}
        assert ready(outer) == []


def test_a_thread_that_waits_is_woken(folder: Folder) -> None:
    """And by a knote that is added while it waits."""
    fd, said = folder.file("f"), list[Any]()
    waiter = threading.Thread(target=lambda: said.extend(folder.kq.control(None, 1, SOON)))
    waiter.start()
    folder.watch(fd)
    os.write(fd, b"x")
    waiter.join()
    assert idents(said) == [fd]


def test_after_a_fork(folder: Folder) -> None:
    """S-474: the child must not read the parent's events, and its own changes are seen by the parent."""
    fd = folder.watch(folder.file("f"))
    pid = os.fork()
    if not pid:
        try:
            os.write(fd, b"x")
            folder.kq.control(None, 1, 0)
        except ValueError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert folder.told(SOON) == {fd: "WRITE"}


# ---- closed descriptors ------------------------------------------------------------------------


@pytest.mark.parametrize("unlinked", [False, True])
def test_our_own_close_is_not_told(folder: Folder, unlinked: bool) -> None:
    """S-179, S-439; libkqueue's vnode_fd_close: neither CLOSE nor, of the last name, DELETE."""
    fd = folder.watch(folder.file("f"), EVERY | PASSING)
    if unlinked:
        assert folder.after(lambda: os.unlink(folder.path("f"))) == {fd: "DELETE"}
    folder.close(fd)
    assert ready(folder.kq) == []
    (folder.root / "f").write_bytes(b"more")
    assert ready(folder.kq) == []
    with pytest.raises(OSError) as caught:
        apply(folder.kq, vnode(fd, 0, EV_DELETE))
    assert caught.value.errno == 9
    assert folder.kq.knotes() == []


def test_the_close_of_another_is_told(folder: Folder) -> None:
    """S-193, to the knote of a descriptor that stays."""
    fd = folder.watch(folder.file("f"), NOTE_CLOSE | NOTE_CLOSE_WRITE)
    other = folder.watch(folder.open("f"), NOTE_CLOSE | NOTE_CLOSE_WRITE)
    assert folder.after(lambda: folder.close(other)) == {fd: "CLOSE"}


def test_what_happened_before_the_close_is_not_told(folder: Folder) -> None:
    """S-084: the knote has gone with the number, whatever it had recorded."""
    fd = folder.watch(folder.file("f"))
    other = folder.open("f", os.O_RDWR)
    os.write(fd, b"x")
    folder.close(fd)
    os.write(other, b"y")
    assert ready(folder.kq) == []
    assert folder.kq.knotes() == []


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_the_number_means_something_else(folder: Folder, kind: str) -> None:
    """S-084, S-087: changes of the old file are not told of the new one, which can be watched."""
    fd = folder.watch(folder.file("f"), EVERY)
    other = folder.file("g") if kind == "file" else os.memfd_create("g")
    os.dup2(other, fd)
    try:
        with open(folder.path("f"), "ab") as file:
            file.write(b"x")
        assert ready(folder.kq) == []
        folder.watch(fd, NOTE_ATTRIB, udata="new")
        assert [registration.udata for registration in folder.kq.knotes()] == ["new"]
    finally:
        if kind != "file":
            os.close(other)


def test_closed_while_a_dup_lives(folder: Folder) -> None:
    """S-084: FreeBSD's knotes belong to the number."""
    fd = folder.watch(folder.file("f"))
    other = os.dup(fd)
    folder.close(fd)
    os.write(other, b"x")
    assert ready(folder.kq) == []
    assert folder.kq.knotes() == []
    os.close(other)


def test_a_last_name_that_was_not_the_one_opened(folder: Folder) -> None:
    """Linux takes the watch away with the last name, if the file was opened by another that is gone."""
    fd = folder.watch(folder.file("f"), EVERY)
    os.link(folder.path("f"), folder.path("g"))
    os.unlink(folder.path("f"))
    assert set(folder.told()) == {fd}
    os.unlink(folder.path("g"))
    assert folder.told() == {fd: "DELETE"}
    for _ in range(2):
        assert folder.after(lambda: os.pwrite(fd, b"x", 0)) == {fd: "WRITE"}


def test_deleted_while_events_wait(folder: Folder) -> None:
    """libkqueue's vnode_delete_drains."""
    fds = [folder.watch(folder.file(f"f{i}")) for i in range(3)]
    for fd in fds:
        os.write(fd, b"x")
    apply(folder.kq, vnode(fds[1], 0, EV_DELETE))
    assert folder.told() == {fds[0]: "WRITE", fds[2]: "WRITE"}
    idle(folder.kq)


def test_room_for_fewer_than_there_are(folder: Folder) -> None:
    """S-276: none is lost, each comes once; libkqueue issue 89."""
    fds = [folder.watch(folder.file(f"f{i}")) for i in range(10)]
    for fd in fds:
        os.write(fd, b"x")
    assert idents(event for _ in range(5) for event in folder.kq.control(None, 2, 0)) == fds
    idle(folder.kq)


@pytest.mark.needs("mount namespace")
@namespaces.in_new(namespaces.MOUNT)
def test_a_file_system_that_is_detached(engine: str, tmp_path: Path) -> None:
    """S-191: umount(2) is refused under an open descriptor; umount -l takes the names away, and the file lives on,
    with its knote: Linux revokes nothing."""
    namespaces.check(namespaces.libc.mount(b"none", bytes(tmp_path), b"tmpfs", 0, None))
    with knote.kqueue(engine=engine) as kq:
        folder = Folder(tmp_path, kq)
        fd = folder.watch(folder.file("f"))
        assert namespaces.libc.umount2(bytes(tmp_path), 0) < 0
        assert folder.after(lambda: namespaces.check(namespaces.libc.umount2(bytes(tmp_path), 2))) == {}
        assert folder.after(lambda: os.write(fd, b"x")) == {fd: "WRITE"}
        folder.close()
        assert ready(kq) == []
        assert ready(kq) == []
        assert kq.knotes() == []
