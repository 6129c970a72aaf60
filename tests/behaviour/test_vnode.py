"""EVFILT_VNODE: what each note means, on files, directories and whatever else has an inode (spec 2.9, 6.4)."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from knote import (
    NOTE_ATTRIB,
    NOTE_CLOSE,
    NOTE_CLOSE_WRITE,
    NOTE_DELETE,
    NOTE_EXTEND,
    NOTE_LINK,
    NOTE_OPEN,
    NOTE_READ,
    NOTE_RENAME,
    NOTE_TRUNCATE,
    NOTE_WRITE,
)
from tests.behaviour.files import EVERY, PASSING, Folder, folder
from tests.behaviour.words import apply, idle, vnode
from tests.support.plumbing import Pair, Pipe

__all__ = ["folder"]


def append(path: str, data: bytes = b"x") -> None:
    with open(path, "ab") as file:
        file.write(data)


# ---- regular files -----------------------------------------------------------------------------

FILE_CHANGES: dict[str, tuple[Callable[[Folder, int], object], str]] = {
    "write inside": (lambda _, fd: os.pwrite(fd, b"xx", 3), "WRITE"),
    "write the same": (lambda _, fd: os.pwrite(fd, b"34", 3), "WRITE"),
    "write past the end": (lambda _, fd: os.pwrite(fd, b"x", 20), "WRITE|EXTEND"),
    "append by name": (lambda f, _: append(f.path("f")), "WRITE|EXTEND"),
    "write nothing": (lambda _, fd: os.write(fd, b""), "-"),
    "ftruncate down": (lambda _, fd: os.ftruncate(fd, 3), "ATTRIB"),
    "ftruncate to nothing": (lambda _, fd: os.ftruncate(fd, 0), "ATTRIB"),
    "truncate by name": (lambda f, _: os.truncate(f.path("f"), 3), "ATTRIB"),
    "chmod": (lambda f, _: os.chmod(f.path("f"), 0o600), "ATTRIB"),
    "fchmod to the same": (lambda _, fd: os.fchmod(fd, 0o644), "ATTRIB"),
    "chown to the same": (lambda _, fd: os.fchown(fd, os.getuid(), -1), "ATTRIB"),
    "utimes": (lambda f, _: os.utime(f.path("f"), (1, 1)), "ATTRIB"),
    "link": (lambda f, _: os.link(f.path("f"), f.path("g")), "LINK"),
    "unlink": (lambda f, _: os.unlink(f.path("f")), "DELETE"),
    "rename": (lambda f, _: os.rename(f.path("f"), f.path("g")), "RENAME"),
    "rename to itself": (lambda f, _: os.rename(f.path("f"), f.path("f")), "-"),
    "rename into a directory": (lambda f, _: os.rename(f.path("f"), f.path("d/g")), "RENAME"),
    "rename over another": (lambda f, _: os.rename(f.path("f"), f.path("other")), "RENAME"),
    "another renamed over it": (lambda f, _: os.rename(f.path("other"), f.path("f")), "DELETE"),
    "read and stat": (lambda f, fd: (os.pread(fd, 5, 0), os.stat(f.path("f"))), "-"),
    "open and close": (lambda f, _: open(f.path("f"), "rb").close(), "-"),
}


@pytest.mark.parametrize("change", FILE_CHANGES)
def test_a_file(folder: Folder, change: str) -> None:
    """S-180 ... S-190; the matrix of spec 2.9, column FreeBSD."""
    act, expected = FILE_CHANGES[change]
    (folder.root / "d").mkdir()
    folder.file("other")
    fd = folder.watch(folder.file("f"))
    assert folder.after(lambda: act(folder, fd)) == ({} if expected == "-" else {fd: expected})


@pytest.mark.parametrize(
    ("was", "now"), [(b"0123456789", b"short"), (b"", b"new"), (b"0123456789", b"0123456789ab")]
)
def test_a_file_that_is_rewritten_is_written_to(folder: Folder, was: bytes, now: bytes) -> None:
    """open(O_TRUNC), write(2) and close(2) reach inotify as one change of the size; that it shrank must not
    hide that it was written to."""
    fd = folder.watch(folder.file("f", was))
    (said,) = folder.after(lambda: (folder.root / "f").write_bytes(now)).values()
    assert {"WRITE", "EXTEND"} <= set(said.split("|"))
    assert folder.watch(fd, NOTE_WRITE)
    assert folder.after(lambda: (folder.root / "f").write_bytes(b"x")) == {fd: "WRITE"}


def test_a_file_that_is_rewritten_through_an_open_descriptor(folder: Folder) -> None:
    """What asked for NOTE_WRITE and not for NOTE_ATTRIB hears of it, though nobody closes the file."""
    fd = folder.watch(folder.file("f"), NOTE_WRITE | NOTE_DELETE)

    def rewrite() -> None:
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"new", 0)

    assert folder.after(rewrite) == {fd: "WRITE"}


def test_truncate_is_told_to_who_asked(folder: Folder) -> None:
    """S-195: OpenBSD's note; without it a shrinking ftruncate is ATTRIB alone."""
    fd = folder.watch(folder.file("f"), EVERY | NOTE_TRUNCATE)
    assert folder.after(lambda: os.ftruncate(fd, 3)) == {fd: "ATTRIB|TRUNCATE"}
    folder.watch(fd, NOTE_TRUNCATE)
    assert folder.after(lambda: os.pwrite(fd, b"xxxxxx", 0)) == {}
    assert folder.after(lambda: os.ftruncate(fd, 0)) == {fd: "TRUNCATE"}


def test_several_names(folder: Folder) -> None:
    """S-186, S-188: unlinking any name is DELETE (trace vn_unlink_linked), and the knote goes on (S-189)."""
    fd = folder.watch(folder.file("f"))
    assert folder.after(lambda: os.link(folder.path("f"), folder.path("g"))) == {fd: "LINK"}
    assert folder.after(lambda: os.unlink(folder.path("f"))) == {fd: "DELETE"}
    assert folder.after(lambda: append(folder.path("g"))) == {fd: "WRITE|EXTEND"}
    assert folder.after(lambda: os.unlink(folder.path("g"))) == {fd: "DELETE"}
    assert folder.after(lambda: os.pwrite(fd, b"x", 0)) == {fd: "WRITE"}


def test_a_file_that_has_no_name_any_more(folder: Folder) -> None:
    """libkqueue 4.3-9: a watch by name fails; here the descriptor leads to the file."""
    fd = folder.file("f")
    os.unlink(folder.path("f"))
    folder.watch(fd)
    assert folder.after(lambda: os.pwrite(fd, b"x", 50)) == {fd: "WRITE|EXTEND"}


def test_a_file_that_was_renamed_before(folder: Folder) -> None:
    """libkqueue 4.3-9; S-175: the knote follows the file, not the name."""
    fd = folder.file("f")
    os.rename(folder.path("f"), folder.path("g"))
    folder.file("f")
    folder.watch(fd)
    assert folder.after(lambda: append(folder.path("f"))) == {}
    assert folder.after(lambda: append(folder.path("g"))) == {fd: "WRITE|EXTEND"}


@pytest.mark.parametrize(
    ("note", "flags", "expected"),
    [
        (NOTE_OPEN, os.O_RDONLY, "OPEN"),
        (NOTE_CLOSE, os.O_RDONLY, "CLOSE"),
        (NOTE_CLOSE, os.O_RDWR, None),
        (NOTE_CLOSE_WRITE, os.O_RDONLY, None),
        (NOTE_CLOSE_WRITE, os.O_RDWR, "CLOSE_WRITE"),
        (NOTE_READ, os.O_RDONLY, "READ"),
        (PASSING, os.O_RDONLY, "OPEN|CLOSE|READ"),
    ],
)
def test_open_read_and_close(folder: Folder, note: int, flags: int, expected: str | None) -> None:
    """S-192 ... S-194."""
    fd = folder.watch(folder.file("f"), note)

    def act() -> None:
        other = os.open(folder.path("f"), flags)
        os.read(other, 3)
        os.close(other)

    assert folder.after(act) == ({fd: expected} if expected else {})


def test_only_what_was_asked_for(folder: Folder) -> None:
    """S-172, libkqueue issue 1; trace vn_only_subscribed."""
    fd = folder.watch(folder.file("f"), NOTE_EXTEND)
    assert folder.after(lambda: os.pwrite(fd, b"x", 0)) == {}
    assert folder.after(lambda: os.pwrite(fd, b"x", 30)) == {fd: "EXTEND"}
    assert folder.after(lambda: os.fchmod(fd, 0o600)) == {}


def test_no_notes_at_all(folder: Folder) -> None:
    """S-170."""
    fd = folder.watch(folder.file("f"), 0)
    folder.after(lambda: os.pwrite(fd, b"x", 30))
    os.unlink(folder.path("f"))
    idle(folder.kq)


# ---- directories -------------------------------------------------------------------------------

DIRECTORY_CHANGES: dict[str, tuple[Callable[[Folder], object], str]] = {
    "create": (lambda f: open(f.path("d/new"), "w").close(), "WRITE"),
    "symlink": (lambda f: os.symlink("x", f.path("d/new")), "WRITE"),
    "mkfifo": (lambda f: os.mkfifo(f.path("d/new")), "WRITE"),
    "link": (lambda f: os.link(f.path("x"), f.path("d/new")), "WRITE"),
    "unlink": (lambda f: os.unlink(f.path("d/x")), "WRITE"),
    "mkdir": (lambda f: os.mkdir(f.path("d/new")), "WRITE|LINK"),
    "rmdir": (lambda f: os.rmdir(f.path("d/sub")), "WRITE|LINK"),
    "rename within": (lambda f: os.rename(f.path("d/x"), f.path("d/y")), "WRITE"),
    "rename over within": (lambda f: os.rename(f.path("d/x"), f.path("d/z")), "WRITE"),
    "rename out": (lambda f: os.rename(f.path("d/x"), f.path("y")), "WRITE|EXTEND"),
    "rename in": (lambda f: os.rename(f.path("x"), f.path("d/y")), "WRITE|EXTEND"),
    "rename a directory out": (lambda f: os.rename(f.path("d/sub"), f.path("y")), "WRITE|EXTEND|LINK"),
    "rename a directory in": (lambda f: os.rename(f.path("e"), f.path("d/y")), "WRITE|EXTEND|LINK"),
    "rename a directory within": (lambda f: os.rename(f.path("d/sub"), f.path("d/y")), "WRITE"),
    "write to a member": (lambda f: append(f.path("d/x")), "-"),
    "chmod a member": (lambda f: os.chmod(f.path("d/x"), 0o600), "-"),
    "create below": (lambda f: open(f.path("d/sub/new"), "w").close(), "-"),
    "chmod": (lambda f: os.chmod(f.path("d"), 0o700), "ATTRIB"),
    "utimes": (lambda f: os.utime(f.path("d"), (1, 1)), "ATTRIB"),
    "list": (lambda f: os.listdir(f.path("d")), "-"),
    "rename it": (lambda f: os.rename(f.path("d"), f.path("y")), "RENAME"),
    "rename it over another": (lambda f: os.rename(f.path("d"), f.path("e")), "RENAME"),
}


@pytest.mark.parametrize("change", DIRECTORY_CHANGES)
def test_a_directory(folder: Folder, change: str) -> None:
    """S-181, S-183, S-187, S-433; the matrix of spec 2.9."""
    act, expected = DIRECTORY_CHANGES[change]
    for name in ("d", "d/sub", "e"):
        (folder.root / name).mkdir()
    for name in ("x", "d/x", "d/z"):
        (folder.root / name).write_bytes(b"12345")
    fd = folder.watch(folder.open("d"))
    assert folder.after(lambda: act(folder)) == ({} if expected == "-" else {fd: expected})


@pytest.mark.parametrize("notes", [EVERY, NOTE_DELETE])
def test_a_directory_that_is_removed(folder: Folder, notes: int) -> None:
    """S-434: its own watch hears nothing of it, and neither does one on a number that leads to it."""
    (folder.root / "d").mkdir()
    fd = folder.watch(folder.open("d"), notes)
    assert folder.after(lambda: os.rmdir(folder.path("d"))) == {fd: "DELETE"}


def test_a_directory_that_is_removed_elsewhere(folder: Folder) -> None:
    """S-434: its parent is another by then, and its watch goes along."""
    for name in ("d", "e"):
        (folder.root / name).mkdir()
    fd = folder.watch(folder.open("d"), NOTE_DELETE)
    assert folder.after(lambda: os.rename(folder.path("d"), folder.path("e/d"))) == {}
    assert folder.after(lambda: os.rmdir(folder.path("e/d"))) == {fd: "DELETE"}


def test_a_directory_that_another_replaces(folder: Folder) -> None:
    """S-426 of a directory."""
    for name in ("d", "e"):
        (folder.root / name).mkdir()
    fd, other = folder.watch(folder.open("d")), folder.watch(folder.open("e"))
    assert folder.after(lambda: os.rename(folder.path("e"), folder.path("d"))) == {fd: "DELETE", other: "RENAME"}


def test_a_directory_and_its_parent(folder: Folder) -> None:
    """S-424: the parent's watch is the program's own, and serves both."""
    (folder.root / "d").mkdir()
    fd = folder.watch(folder.open("d"))
    parent = folder.watch(folder.open("."), NOTE_WRITE)
    assert folder.after(lambda: open(folder.path("x"), "w").close()) == {parent: "WRITE"}
    assert folder.after(lambda: os.rmdir(folder.path("d"))) == {parent: "WRITE", fd: "DELETE"}
    assert folder.after(lambda: os.unlink(folder.path("x"))) == {parent: "WRITE"}


def test_the_directory_is_told_of_before_the_file_that_leaves_it(folder: Folder) -> None:
    """vop_remove_post, vop_rename_post: watchdog's kqueue emitter turns the order round, and relies on it."""
    parent = folder.watch(folder.open("."), NOTE_WRITE)
    gone, over, moved = (folder.watch(folder.file(name)) for name in "abc")
    assert list(folder.told()) == [parent]
    said = folder.after(lambda: os.unlink(folder.path("a")))
    assert list(said.items()) == [(parent, "WRITE"), (gone, "DELETE")]
    said = folder.after(lambda: os.rename(folder.path("c"), folder.path("b")))
    assert list(said.items()) == [(parent, "WRITE"), (moved, "RENAME"), (over, "DELETE")]
    said = folder.after(lambda: (os.chmod(folder.path("b"), 0o600), open(folder.path("d"), "w").close()))
    assert list(said.items()) == [(moved, "ATTRIB"), (parent, "WRITE")]


def test_two_directories_between_which_a_file_moves(folder: Folder) -> None:
    """S-183: both gain or lose an entry."""
    for name in ("d", "e"):
        (folder.root / name).mkdir()
    fd, other = folder.watch(folder.open("d")), folder.watch(folder.open("e"))
    (folder.root / "d/x").touch()
    assert folder.told() == {fd: "WRITE"}
    moved = folder.after(lambda: os.rename(folder.path("d/x"), folder.path("e/x")))
    assert moved == {fd: "WRITE|EXTEND", other: "WRITE|EXTEND"}


@pytest.mark.parametrize(("note", "expected"), [(NOTE_OPEN, "OPEN"), (NOTE_READ, "READ"), (NOTE_CLOSE, "CLOSE")])
def test_a_directory_that_is_listed(folder: Folder, note: int, expected: str) -> None:
    """S-192, S-194; and what is done to its members is not done to it (S-433)."""
    (folder.root / "d").mkdir()
    (folder.root / "d/x").touch()
    fd = folder.watch(folder.open("d"), note)
    assert folder.after(lambda: (folder.root / "d/x").read_bytes()) == {}
    assert folder.after(lambda: os.listdir(folder.path("d"))) == {fd: expected}


def test_members_that_are_written_to_wake_nobody(folder: Folder) -> None:
    """S-181: not even the queue's descriptor, as long as nothing else is asked for."""
    (folder.root / "x").touch()
    folder.watch(folder.open("."), NOTE_WRITE | NOTE_LINK | NOTE_RENAME)
    append(folder.path("x"))
    idle(folder.kq)


# ---- what else has an inode --------------------------------------------------------------------


def test_a_symbolic_link_itself(folder: Folder) -> None:
    """S-169, S-422: by O_PATH|O_NOFOLLOW."""
    os.symlink("nowhere", folder.path("s"))
    fd = folder.watch(folder.open("s", os.O_PATH | os.O_NOFOLLOW))
    assert folder.after(lambda: os.utime(folder.path("s"), follow_symlinks=False)) == {fd: "ATTRIB"}
    assert folder.after(lambda: os.rename(folder.path("s"), folder.path("t"))) == {fd: "RENAME"}
    assert folder.after(lambda: os.unlink(folder.path("t"))) == {fd: "DELETE"}


def test_a_descriptor_that_opens_nothing(folder: Folder) -> None:
    """S-169: O_PATH of a file, as macOS' O_EVTONLY."""
    folder.file("f")
    fd = folder.watch(folder.open("f", os.O_PATH))
    assert folder.after(lambda: append(folder.path("f"))) == {fd: "WRITE|EXTEND"}
    assert folder.after(lambda: os.unlink(folder.path("f"))) == {fd: "DELETE"}


def test_a_fifo(folder: Folder) -> None:
    """FreeBSD's FIFOs are written to past their vnodes: no WRITE."""
    os.mkfifo(folder.path("p"))
    fd = folder.watch(folder.open("p", os.O_RDWR | os.O_NONBLOCK), EVERY | NOTE_READ)
    assert folder.after(lambda: (os.write(fd, b"xx"), os.read(fd, 1))) == {}
    assert folder.after(lambda: os.chmod(folder.path("p"), 0o600)) == {fd: "ATTRIB"}
    assert folder.after(lambda: os.unlink(folder.path("p"))) == {fd: "DELETE"}


def test_a_device(kq: Any) -> None:
    """Its node can be watched, as far as anything happens to it."""
    with open("/dev/null", "wb", buffering=0) as null:
        apply(kq, vnode(null, EVERY))
        null.write(b"x")
        idle(kq)


def test_what_no_file_system_holds(kq: Any, pipe: Pipe, socketpair: Pair) -> None:
    """S-169, S-441; traces ss_vnode_filter, nested_write; libkqueue's vnode_non_file_rejected."""
    counter = os.eventfd(0)
    try:
        with socket.socket() as tcp:
            for fd in (pipe.r, pipe.w, socketpair.fd_a, tcp.fileno(), counter, kq.fileno()):
                with pytest.raises(OSError, match="EVFILT_VNODE") as caught:
                    kq.control([vnode(fd, NOTE_WRITE)], 0)
                assert caught.value.errno == 22
    finally:
        os.close(counter)


def test_the_notes_have_their_names() -> None:
    """One of each, so that this file needs no other table."""
    assert EVERY == 0x7F
    assert PASSING == NOTE_OPEN | NOTE_CLOSE | NOTE_CLOSE_WRITE | NOTE_READ
    assert NOTE_ATTRIB | NOTE_LINK | NOTE_RENAME == 0x38
