"""EVFILT_VNODE against a model: random changes of a few files and directories, and what polling makes of them."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import hypothesis
from hypothesis import strategies

import knote
from knote import NOTE_TRUNCATE
from tests.behaviour.files import EVERY, Folder

NAMES: Final = ("a", "b", "d/a", "d/b", "e/a")
FOLDERS: Final = ("d", "e", "d/s")
WATCHED: Final = ("a", "b", "d/a", ".", "d", "e")


@dataclass(frozen=True)
class Look:
    """One file or directory at one moment."""

    inode: int
    size: int
    links: int
    mode: int
    entries: frozenset[tuple[str, int]]

    @classmethod
    def at(cls, fd: int) -> Look:
        """Now; listing is no change."""
        st = os.fstat(fd)
        entries = frozenset[tuple[str, int]]()
        if stat.S_ISDIR(st.st_mode):
            with os.scandir(fd) as found:
                entries = frozenset((entry.name, entry.inode()) for entry in found)
        return cls(st.st_ino, 0 if entries else st.st_size, st.st_nlink, st.st_mode, entries)

    @property
    def folder(self) -> bool:
        """It is a directory."""
        return stat.S_ISDIR(self.mode)


@dataclass(frozen=True)
class Step:
    """One change: what is done, to which names."""

    act: str
    name: str
    other: str

    def __str__(self) -> str:
        return f"{self.act} {self.name} {self.other}"


def _write(path: str, at: int) -> None:
    with open(path, "r+b", buffering=0) as file:
        file.seek(0 if at == 0 else os.path.getsize(path))
        file.write(b"x")


def _flip(path: str) -> None:
    os.chmod(path, os.stat(path).st_mode ^ 0o020)


ACTS: Final[dict[str, Callable[[str, str], object]]] = {
    "write": lambda name, _: _write(name, 0),
    "append": lambda name, _: _write(name, -1),
    "truncate": lambda name, _: os.truncate(name, os.path.getsize(name) // 2),
    "chmod": lambda name, _: _flip(name),
    "link": os.link,
    "unlink": lambda name, _: os.unlink(name),
    "rename": os.rename,
    "create": lambda name, _: os.close(os.open(name, os.O_CREAT | os.O_EXCL)),
    "mkdir": lambda name, _: os.mkdir(name),
    "rmdir": lambda name, _: os.rmdir(name),
}


def steps() -> strategies.SearchStrategy[Step]:
    """Any change of any of the names, possible or not."""
    names = strategies.sampled_from(NAMES)
    folders = strategies.sampled_from(FOLDERS)
    of_files = strategies.sampled_from([act for act in ACTS if not act.endswith("dir")])
    return strategies.one_of(
        strategies.builds(Step, of_files, names, names),
        strategies.builds(Step, strategies.sampled_from(["mkdir", "rmdir", "rename", "chmod"]), folders, folders),
    )


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


class World:
    """The names, descriptors of some of them, and what is expected of each step."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        for name in ("d", "e"):
            (folder.root / name).mkdir()
        for name in ("a", "b", "d/a"):
            (folder.root / name).write_bytes(b"0123456789abcdef")
        self.fds = {folder.watch(folder.open(name), EVERY | NOTE_TRUNCATE): name for name in WATCHED}

    def play(self, step: Step) -> dict[int, set[str]]:
        """Do it; fd -> the notes that FreeBSD would tell."""
        paths = [self.folder.path(name) for name in (step.name, step.other)]
        inodes = [_inode(path) for path in paths]
        parents = [_inode(os.path.dirname(path)) for path in paths]
        before = {fd: Look.at(fd) for fd in self.fds}
        try:
            ACTS[step.act](*paths)
        except OSError:
            return {}
        if step.act == "rename" and inodes[0] == inodes[1]:
            return {}
        expected = {}
        for fd, was in before.items():
            told = self._told(step, was, Look.at(fd), inodes, parents)
            if told:
                expected[fd] = told
        return expected

    def _told(self, step: Step, was: Look, now: Look, inodes: list[int], parents: list[int]) -> set[str]:
        told = set[str]()
        if step.act == "rename" and was.inode == inodes[0]:
            told.add("RENAME")
        if step.act == "chmod" and was.inode == inodes[0]:
            told.add("ATTRIB")
        if was.folder:
            if was.entries != now.entries:
                told.add("WRITE")
                across = step.act == "rename" and parents[0] != parents[1]
                if across:
                    told.add("EXTEND")
                # Of a directory that takes the place of another elsewhere, Linux does not tell that it did.
                replaced = across and inodes[1] and was.inode == parents[1] and step.name in FOLDERS
                if now.links != was.links or replaced:
                    told.add("LINK")
            if now.links == 0 and was.links:
                told = {"DELETE"}
            return told
        if now.size > was.size:
            told |= {"WRITE", "EXTEND"}
        elif now.size < was.size:
            told |= {"ATTRIB", "TRUNCATE"}
        elif step.act == "write" and was.inode == inodes[0]:
            told.add("WRITE")
        if now.links > was.links:
            told.add("LINK")
        if now.links < was.links:
            told.add("DELETE")
        return told


@contextlib.contextmanager
def world(engine: str) -> Iterator[World]:
    """A fresh one."""
    with tempfile.TemporaryDirectory() as root, knote.kqueue(engine=engine) as kq:
        folder = Folder(Path(root), kq)
        try:
            yield World(folder)
        finally:
            folder.close()


def told(playing: World) -> dict[int, set[str]]:
    """What the queue says: fd -> notes."""
    return {fd: set(words.split("|")) for fd, words in playing.folder.told().items()}


HARD: Final[Any] = hypothesis.settings(max_examples=60, deadline=None, database=None)


@HARD
@hypothesis.example(life=[Step("mkdir", "d/s", "d"), Step("rename", "d/s", "e")])
@hypothesis.given(life=strategies.lists(steps(), max_size=30))
def _one_by_one(engine: str, life: list[Step]) -> None:
    with world(engine) as playing:
        for step in life:
            expected = playing.play(step)
            said = told(playing)
            if step.act == "truncate":
                _empty(playing, step, expected, said)
            assert said == expected, step
        assert playing.folder.told() == {}


def _empty(playing: World, step: Step, expected: dict[int, set[str]], said: dict[int, set[str]]) -> None:
    # Linux reports the truncation of a file that was empty before as a change of it.
    for fd in set(said) - set(expected):
        if os.fstat(fd).st_size == 0 and playing.fds[fd]:
            del said[fd]


@HARD
@hypothesis.given(life=strategies.lists(strategies.lists(steps(), min_size=1, max_size=4), max_size=10))
def _together(engine: str, life: list[list[Step]]) -> None:
    with world(engine) as playing:
        for batch in life:
            expected: dict[int, set[str]] = {}
            for step in batch:
                for fd, notes in playing.play(step).items():
                    expected.setdefault(fd, set()).update(notes)
            said = told(playing)
            for fd, notes in expected.items():
                assert fd in said, (batch, playing.fds[fd], notes)
                # What leaves its trace however many came together.
                assert notes & {"RENAME"} <= said[fd], batch
                if playing.fds[fd] in (".", "d", "e"):
                    assert notes & {"WRITE", "EXTEND", "DELETE"} <= said[fd], batch


def test_changes_one_by_one(engine: str) -> None:
    """Each is told exactly, to each who watches."""
    _one_by_one(engine)


def test_changes_together(engine: str) -> None:
    """None is silent: whoever is touched is told, and what cannot merge is told as it is."""
    _together(engine)
