"""Files that are written to, and who tells of it: a kqueue, watchfiles, watchdog."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from time import perf_counter_ns

from bench.model import Unavailable
from knote import EV_ADD, EV_CLEAR, EVFILT_VNODE, NOTE_WRITE, kevent, kqueue

PATIENCE = 20.0
"""Seconds after which an event that has not been told is missed."""

Folder = list[str]
"""Paths of one directory.  Each watcher has its own: what another does of the same writes would count for both."""
Collect = Callable[[int], None]
"""Return when so many different files have been told; RuntimeError if they are not."""


@contextlib.contextmanager
def files(count: int) -> Iterator[Folder]:
    """So many, on a file system in memory where there is one."""
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder,
    ):
        made = [f"{folder}/{i}" for i in range(count)]
        for path in made:
            Path(path).write_bytes(b"x")
        yield made


def _write(path: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, b"x", 0)
    os.close(fd)


def _missed(told: int, count: int) -> RuntimeError:
    return RuntimeError(f"{count - told} of {count} changes were missed")


@contextlib.contextmanager
def by_kqueue(folder: Folder) -> Iterator[Collect]:
    """A knote for each file."""
    with contextlib.ExitStack() as stack:
        queue = stack.enter_context(kqueue())
        changes = []
        for path in folder:
            fd = os.open(path, os.O_RDONLY)
            stack.callback(os.close, fd)
            changes.append(kevent(fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE))
        queue.control(changes, 0)

        def collect(count: int) -> None:
            told: set[int] = set()
            while len(told) < count:
                events = queue.control(None, count, PATIENCE)
                if not events:
                    raise _missed(len(told), count)
                told.update([event.ident for event in events])

        yield collect


@contextlib.contextmanager
def by_watchfiles(folder: Folder) -> Iterator[Collect]:
    """Its Rust part on the directory, without the pauses in which its front end lets changes add up."""
    try:
        from watchfiles.main import RustNotify
    except ImportError as error:
        raise Unavailable(f"watchfiles is not installed: {error}") from None
    root = str(Path(folder[0]).parent)
    with RustNotify([root], False, False, 0, False, True) as notify:

        def collect(count: int) -> None:
            told: set[str] = set()
            while len(told) < count:
                changes = notify.watch(1, 1, int(PATIENCE * 1000), None)
                if isinstance(changes, str):
                    raise _missed(len(told), count)
                told.update([path for _, path in changes])

        yield collect


@contextlib.contextmanager
def by_watchdog(folder: Folder) -> Iterator[Collect]:
    """Its inotify emitter on the directory."""
    try:
        from watchdog.events import FileModifiedEvent, FileSystemEvent, FileSystemEventHandler
        from watchdog.observers.inotify import InotifyObserver
    except ImportError as error:
        raise Unavailable(f"watchdog is not installed: {error}") from None
    told: set[str | bytes] = set()
    wanted = [0]
    enough = Event()

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            told.add(event.src_path)
            if wanted[0] and len(told) >= wanted[0]:
                enough.set()

    def collect(count: int) -> None:
        wanted[0] = count
        if len(told) < count and not enough.wait(PATIENCE):
            raise _missed(len(told), count)
        wanted[0] = 0
        told.clear()
        enough.clear()

    observer = InotifyObserver()
    observer.schedule(Handler(), str(Path(folder[0]).parent), event_filter=[FileModifiedEvent])
    observer.start()
    try:
        yield collect
    finally:
        observer.stop()
        observer.join()


def each_written(folder: Folder, unwatched: Folder, collect: Collect) -> Callable[[int], int]:
    """run(turns): write to every file once and be told of all; what that takes beyond the writes by themselves."""

    def run(turns: int) -> int:
        taken = 0
        for _ in range(turns):
            start = perf_counter_ns()
            for path in unwatched:
                _write(path)
            between = perf_counter_ns()
            for path in folder:
                _write(path)
            collect(len(folder))
            taken += perf_counter_ns() - between - (between - start)
        return max(taken, 1)

    return run


def one_written(folder: Folder, collect: Collect) -> Callable[[int], int]:
    """run(turns): write to one file, be told, write to the next."""

    def run(turns: int) -> int:
        start = perf_counter_ns()
        for turn in range(turns):
            _write(folder[turn % len(folder)])
            collect(1)
        return perf_counter_ns() - start

    return run
