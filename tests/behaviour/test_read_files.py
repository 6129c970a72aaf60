"""EVFILT_READ on what no engine watches: files, directories, devices."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest

from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_ENABLE,
    EV_ERROR,
    EV_ONESHOT,
    EVFILT_EXCEPT,
    EVFILT_READ,
    EVFILT_WRITE,
    NOTE_FILE_POLL,
    kevent,
)
from tests.behaviour.words import apply, idle, polls, read, ready, user, write
from tests.support.events import brief
from tests.support.plumbing import Pipe
from tests.support.waiting import SOON


@pytest.fixture
def file() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile(buffering=0) as made:
        yield made


@contextmanager
def opened(path: str, flags: int) -> Iterator[int]:
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


# ---- regular files -----------------------------------------------------------------------------


def test_data_is_the_rest_of_the_file(kq: Any, file: IO[bytes]) -> None:
    """S-125, S-128, S-130: by the offset now, at each call."""
    fd = file.fileno()
    assert ready(kq, read(fd)) == []
    file.write(b"0123456789")
    file.seek(0)
    for offset, rest in ((0, 10), (4, 6), (9, 1)):
        file.seek(offset)
        assert brief(ready(kq)) == [f"{fd} READ d={rest}"]
    file.seek(10)
    idle(kq)
    file.seek(3)
    assert brief(ready(kq)) == [f"{fd} READ d=7"]


def test_past_the_end_data_is_negative(kq: Any, file: IO[bytes]) -> None:
    """S-125, S-126: FreeBSD and macOS; libkqueue says 0."""
    fd = file.fileno()
    file.write(b"0123456789")
    apply(kq, read(fd))
    file.truncate(4)
    assert brief(ready(kq)) == [f"{fd} READ d=-6"]
    file.seek(1 << 40)
    assert brief(ready(kq)) == [f"{fd} READ d={4 - (1 << 40)}"]


def test_it_grows_and_is_read_again_and_again(kq: Any, file: IO[bytes]) -> None:
    """S-129: tail -f, asked at each call."""
    fd = file.fileno()
    apply(kq, read(fd))
    with opened(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_APPEND) as other:
        for count in range(1, 4):
            os.write(other, b"x" * count)
            assert brief(ready(kq)) == [f"{fd} READ d={count}"]
            assert len(os.read(fd, 100)) == count
            assert ready(kq) == []


def test_file_poll_is_ready_at_the_end_too(kq: Any, file: IO[bytes]) -> None:
    """S-127."""
    fd = file.fileno()
    for _ in range(2):
        assert brief(ready(kq, read(fd, fflags=NOTE_FILE_POLL))) == [f"{fd} READ d=0"]
    file.write(b"123")
    file.seek(0)
    assert brief(ready(kq)) == [f"{fd} READ d=3"]


def test_seeking_is_seen_at_the_next_call(kq: Any, file: IO[bytes]) -> None:
    """S-418, S-420: Linux wakes nobody for it."""
    file.write(b"123")
    assert ready(kq, read(file)) == []
    file.seek(1)
    assert brief(ready(kq)) == [f"{file.fileno()} READ d=2"]
    file.seek(0, os.SEEK_END)
    idle(kq)


def test_a_file_that_was_unlinked_goes_on(kq: Any, tmp_path: Any) -> None:
    """S-131."""
    path = tmp_path / "f"
    path.write_bytes(b"123")
    with opened(str(path), os.O_RDONLY) as fd:
        assert brief(ready(kq, read(fd))) == [f"{fd} READ d=3"]
        path.rename(tmp_path / "g")
        assert brief(ready(kq)) == [f"{fd} READ d=3"]
        (tmp_path / "g").unlink()
        assert brief(ready(kq)) == [f"{fd} READ d=3"]


@pytest.mark.parametrize("flags", [EV_CLEAR, EV_ONESHOT])
def test_once(kq: Any, file: IO[bytes], flags: int) -> None:
    """S-132: no repeat without a change."""
    file.write(b"123")
    file.seek(0)
    assert len(ready(kq, read(file, EV_ADD | flags))) == 1
    idle(kq)


def test_each_write_is_an_edge(kq: Any, file: IO[bytes]) -> None:
    """S-132, S-129: and wakes who waits."""
    file.write(b"123")
    file.seek(0)
    assert len(ready(kq, read(file, EV_ADD | EV_CLEAR))) == 1
    os.pwrite(file.fileno(), b"45", 3)
    assert brief(kq.control(None, 1, SOON)) == [f"{file.fileno()} READ CLEAR d=5"]
    idle(kq)


def test_disable_enable_delete(kq: Any, file: IO[bytes]) -> None:
    """S-066, S-068, S-064 where the kernel keeps no state."""
    fd = file.fileno()
    file.write(b"123")
    file.seek(0)
    assert len(ready(kq, read(fd))) == 1
    assert ready(kq, read(fd, EV_DISABLE)) == []
    idle(kq)
    assert brief(ready(kq, read(fd, EV_ENABLE))) == [f"{fd} READ d=3"]
    assert ready(kq, read(fd, EV_DELETE)) == []
    idle(kq)


def test_a_file_is_always_room_to_write(kq: Any, file: IO[bytes]) -> None:
    """S-154; trace file_write."""
    for _ in range(3):
        (event,) = ready(kq, write(file))
        assert (event.ident, event.data, event.flags) == (file.fileno(), 0, 0)


def test_a_ready_file_makes_the_queue_readable(kq: Any, file: IO[bytes]) -> None:
    """S-013, S-471."""
    assert ready(kq, read(file)) == []
    assert not polls(kq)
    apply(kq, write(file))
    assert polls(kq)
    apply(kq, write(file, EV_DELETE))
    assert ready(kq) == []
    assert not polls(kq)


def test_files_among_others(kq: Any, file: IO[bytes], pipe: Pipe) -> None:
    """S-276, S-277: what is always ready starves nobody, and is not starved."""
    pipe.write(b"x")
    file.write(b"x")
    file.seek(0)
    changes = [read(file), write(file), read(pipe.r), write(pipe.w), user(1, fflags=0x01000000)]
    assert len(ready(kq, *changes)) == 5
    seen: dict[tuple[int, int], int] = {}
    for _ in range(50):
        (event,) = kq.control(None, 1, 0)
        seen[event.ident, event.filter] = seen.get((event.ident, event.filter), 0) + 1
    assert len(seen) == 5
    assert max(seen.values()) - min(seen.values()) <= 6, seen


# ---- directories and devices -------------------------------------------------------------------


def test_a_directory_never_reads(kq: Any, tmp_path: Any) -> None:
    """S-133; trace dir_read, "Followed"."""
    with opened(str(tmp_path), os.O_RDONLY | os.O_DIRECTORY) as fd:
        assert ready(kq, read(fd)) == []
        (tmp_path / "new").touch()
        idle(kq)
        assert ready(kq, read(fd, EV_DELETE)) == []


def test_a_directory_reads_as_poll_says(kq: Any, tmp_path: Any) -> None:
    """S-133: NOTE_FILE_POLL."""
    with opened(str(tmp_path), os.O_RDONLY | os.O_DIRECTORY) as fd:
        for _ in range(2):
            assert brief(ready(kq, read(fd, fflags=NOTE_FILE_POLL))) == [f"{fd} READ d=0"]
        apply(kq, read(fd, EV_DELETE))


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_a_device_that_never_blocks_is_ready(kq: Any, path: str) -> None:
    """S-124, "Decided" 4: always, with data 0."""
    with opened(path, os.O_RDWR) as fd:
        for _ in range(3):
            events = ready(kq, read(fd), write(fd))
            assert brief(events) == [f"{fd} READ d=0", f"{fd} WRITE"]
            assert [event.data for event in events] == [0, 0]
        apply(kq, read(fd, EV_DELETE), write(fd, EV_DELETE))
        idle(kq)


@pytest.mark.parametrize("flags", [EV_CLEAR, EV_ONESHOT])
def test_a_device_once(kq: Any, flags: int) -> None:
    with opened("/dev/null", os.O_RDONLY) as fd:
        assert len(ready(kq, read(fd, EV_ADD | flags))) == 1
        idle(kq)


@pytest.mark.parametrize("path", ["/proc/self/stat", "/sys/class/net/lo/mtu", "/proc/self/mounts"])
def test_a_virtual_file_is_ready(kq: Any, path: str) -> None:
    """S-419: its size says nothing, so data is 0, at any offset: FIONREAD would say size less offset there, and
    after nine bytes that is -9, which is -EBADF."""
    with opened(path, os.O_RDONLY) as fd:
        apply(kq, read(fd))
        for _ in range(12):
            assert brief(ready(kq)) == [f"{fd} READ d=0"]
            os.read(fd, 1)


def test_a_file_of_sys_has_no_end(kq: Any) -> None:
    """poll(2) says ERR of it, by which it means news; that is no end, of reading or of writing."""
    with opened("/sys/class/net/lo/mtu", os.O_RDONLY) as fd:
        found = ready(kq, read(fd), write(fd), kevent(fd, EVFILT_EXCEPT))
        assert {(event.filter, event.flags, event.data) for event in found} == {
            (EVFILT_READ, 0, 0), (EVFILT_WRITE, 0, 0), (EVFILT_EXCEPT, 0, 0)
        }  # fmt: skip


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc", "/dev/null", "/"])
@pytest.mark.parametrize("change", [read, write])
def test_a_mere_path_is_no_open_file(kq: Any, path: str, change: Any) -> None:
    """open(2), O_PATH: EBADF to all that acts on the file, as FreeBSD's too."""
    with opened(path, os.O_PATH) as fd:
        for flags in (EV_ADD, EV_ADD | EV_CLEAR, EV_ADD | EV_DISABLE):
            (entry,) = ready(kq, change(fd, flags))
            assert (entry.flags, entry.data) == (EV_ERROR, errno.EBADF), (path, flags)
        with pytest.raises(OSError, match="O_PATH"):
            apply(kq, change(fd))
    assert kq.knotes() == []


def test_memory_is_a_file(kq: Any) -> None:
    """S-125, S-418: memfd_create(2), with inotify to wake who waits at its end."""
    fd = os.memfd_create("knote")
    try:
        assert ready(kq, read(fd, EV_ADD | EV_CLEAR)) == []
        os.pwrite(fd, b"123", 0)
        assert brief(kq.control(None, 1, SOON)) == [f"{fd} READ CLEAR d=3"]
        idle(kq)
    finally:
        os.close(fd)


def test_a_directory_takes_writes_as_a_file_does(kq: Any, tmp_path: Any) -> None:
    """S-133, S-154: FreeBSD's filter for vnodes is true whatever they are."""
    with opened(str(tmp_path), os.O_RDONLY | os.O_DIRECTORY) as fd:
        assert brief(ready(kq, write(fd), read(fd))) == [f"{fd} WRITE"]
