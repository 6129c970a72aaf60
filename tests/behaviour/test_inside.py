"""Seeing inside: kqueue.knotes(), and what KNOTE_TRACE prints."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_ONESHOT,
    EVFILT_READ,
    EVFILT_USER,
    NOTE_FFCOPY,
    NOTE_FFOR,
    NOTE_LOWAT,
    NOTE_USECONDS,
    inside,
    kevent,
)
from tests.behaviour.words import apply, read, ready, timer, trigger, user, write
from tests.support.plumbing import Pair, Pipe, listener, tcp_pair
from tests.support.waiting import SOON

# ---- knotes() ----------------------------------------------------------------------------------


def test_every_registration_is_listed(kq: Any, pipe: Pipe) -> None:
    assert kq.knotes() == []
    apply(kq, read(pipe.r, EV_ADD | EV_CLEAR, udata="me"), write(pipe.w, EV_ADD | EV_DISABLE))
    apply(kq, timer(7, data=10**6), user(3, EV_ADD | EV_DISPATCH, 5))
    found = {(each.filter, each.ident): each for each in kq.knotes()}
    assert len(found) == 4
    one = found[EVFILT_READ, pipe.r]
    assert (one.flags, one.fflags, one.data, one.udata) == (EV_CLEAR, 0, 0, "me")
    assert (one.enabled, one.pending, one.hits) == (True, False, 0)
    assert [each.enabled for each in kq.knotes()].count(False) == 1


def test_what_happens_to_one(kq: Any) -> None:
    """pending until it is returned, disabled by EV_DISPATCH, counted, and its notes as they are by now."""
    apply(kq, user(1, EV_ADD | EV_DISPATCH, NOTE_FFCOPY | 5))
    apply(kq, trigger(1, 0, NOTE_FFOR | 8))
    (one,) = kq.knotes()
    assert (one.fflags, one.pending, one.enabled, one.hits) == (13, True, True, 0)
    assert len(ready(kq)) == 1
    (one,) = kq.knotes()
    assert (one.pending, one.enabled, one.hits) == (False, False, 1)
    apply(kq, user(1, EV_ENABLE))
    assert kq.knotes()[0].enabled
    apply(kq, trigger(1))
    apply(kq, user(2, EV_ADD | EV_ONESHOT), trigger(2))
    assert len(ready(kq)) == 2
    assert [each.ident for each in kq.knotes()] == [1]


def test_what_went_with_its_descriptor_is_not_listed(kq: Any, pipe: Pipe) -> None:
    """S-084: also where nobody has told the queue of it yet, and a dup keeps the file."""
    kept = os.dup(pipe.r)
    try:
        apply(kq, read(pipe.r), write(pipe.w))
        pipe.close_r()
        assert [each.ident for each in kq.knotes()] == [pipe.w]
        pipe.close_w()
        assert kq.knotes() == []
    finally:
        os.close(kept)


def test_looking_changes_nothing(kq: Any, pipe: Pipe) -> None:
    """Neither an edge nor an order."""
    apply(kq, read(pipe.r, EV_ADD | EV_CLEAR), user(1, EV_ADD | EV_CLEAR), trigger(1))
    pipe.write(b"x")
    for _ in range(3):
        assert len(kq.knotes()) == 2
    assert len(ready(kq)) == 2
    assert len(kq.knotes()) == 2
    assert ready(kq) == []


def test_a_closed_queue_has_no_list(kq: Any) -> None:
    kq.close()
    with pytest.raises(ValueError, match="closed"):
        kq.knotes()


def test_one_line_each(kq: Any, pipe: Pipe) -> None:
    apply(kq, read(pipe.r, EV_ADD | EV_CLEAR, udata=["me"]), timer(7, EV_ADD | EV_DISABLE, NOTE_USECONDS, 10**9))
    first, second = sorted(map(str, kq.knotes()))
    assert re.fullmatch(rf"READ fd={pipe.r}<pipe:\[\d+\]> CLEAR udata=\['me'\] hits=0", first)
    assert second == "TIMER ident=7 data=1000000000 CLEAR USECONDS disabled hits=0"


# ---- what a number means -----------------------------------------------------------------------


def test_what_a_descriptor_is(pipe: Pipe, socketpair: Pair) -> None:
    assert inside.file_text(pipe.r) == f"<{os.readlink(f'/proc/self/fd/{pipe.r}')}>"
    assert re.fullmatch(r"<UNIX STREAM socket:\[\d+\]>", inside.file_text(socketpair.fd_a))
    assert inside.file_text(1 << 20) == "<closed>"
    with listener() as server:
        host, port = server.getsockname()
        assert inside.file_text(server.fileno()) == f"<TCP {host}:{port}>"
    with tcp_pair() as pair:
        (host, port), (_, other) = pair.a.getsockname(), pair.a.getpeername()
        assert inside.file_text(pair.fd_a) == f"<TCP {host}:{port} - {host}:{other}>"
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("::1", 0))
        assert inside.file_text(sock.fileno()) == f"<UDP [::1]:{sock.getsockname()[1]}>"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(b"\0knote-\xff-test")
        assert inside.file_text(sock.fileno()) == "<UNIX DGRAM @knote-\ufffd-test>"


def test_looking_at_a_socket_leaves_its_error(kq: Any) -> None:
    """S-404."""
    with listener() as server, socket.socket() as client:
        address = server.getsockname()
        server.close()
        client.setblocking(False)
        client.connect_ex(address)
        (event,) = kq.control([read(client)], 1, SOON)
        assert event.fflags == errno.ECONNREFUSED
        assert "ECONNREFUSED" in inside.text(event)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


# ---- KNOTE_TRACE -------------------------------------------------------------------------------

PROGRAM = """
    import os, threading
    from knote import *
    r, w = os.pipe()
    with kqueue() as kq:
        kq.control([kevent(r, EVFILT_READ, EV_ADD | EV_CLEAR, udata="me")], 0)
        os.write(w, b"hello")
        kq.control(None, 8, 1)
        kq.control([kevent(99, EVFILT_READ, EV_DELETE)], 8, 0)
        try:
            kq.control([kevent(1, EVFILT_TIMER, EV_DELETE)], 0)
        except FileNotFoundError:
            pass
        other = threading.Thread(target=kq.control, args=([kevent(2, EVFILT_USER, EV_ADD, NOTE_FFCOPY | 5)], 0))
        other.start()
        other.join()
        class Broken:
            def __repr__(self):
                raise ZeroDivisionError
        kq.control([kevent(3, EVFILT_USER, udata=Broken())], 0)
"""
LINES = [
    r"made",
    r"<- READ fd=(\d+)<pipe:\[\d+\]> ADD\|CLEAR udata='me'",
    r".. room for 8, waits 1 s",
    r"-> READ fd=\d+<pipe:\[\d+\]> data=5 CLEAR udata='me'",
    r"== 1 after 0\.\d{6} s",
    r"<- READ fd=99<closed> DELETE",
    r"\.\. room for 8, does not wait",
    r"-> READ fd=99<closed> data=EBADF ERROR",
    r"== 1 after 0\.\d{6} s",
    r"<- TIMER ident=1 DELETE",
    r"!! FileNotFoundError: .* EVFILT_TIMER ident=1: no such knote in this kqueue, and the change has no EV_ADD",
    r"<- USER ident=2 ADD FFCOPY\|0x5",
    r"<- USER ident=3 ADD udata=<Broken instance at 0x[0-9a-f]+>",
    r"closed",
]


def run(trace: str, code: str = PROGRAM) -> str:
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)],
        env=os.environ | {"KNOTE_TRACE": trace},
        capture_output=True,
        text=True,
        timeout=10 * SOON,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr


def check(text: str) -> None:
    lines = text.splitlines()
    assert len(lines) == len(LINES), text
    for line, wanted in zip(lines, LINES, strict=True):
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{6} \[\d+(/\d+)?\] kqueue \d+ " + wanted, line), (line, wanted)
    (thread,) = [line for line in lines if "ident=2" in line]
    assert re.search(r"\[\d+/\d+\]", thread)


def test_a_line_for_each_change_and_each_event() -> None:
    check(run("1"))


def test_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    for _ in range(2):
        assert run(str(path)) == ""
    lines = path.read_text().splitlines(keepends=True)
    check("".join(lines[: len(LINES)]))
    check("".join(lines[len(LINES) :]))


@pytest.mark.parametrize("off", ["", "0"])
def test_nothing_unless_asked(off: str) -> None:
    assert run(off) == ""


def test_a_closed_stderr_is_no_error() -> None:
    assert run("1", "import os\nos.close(2)\nimport knote\nknote.kqueue().close()") == ""


def test_low_water_mark_in_words(pipe: Pipe) -> None:
    change = kevent(pipe.r, EVFILT_READ, EV_ADD, NOTE_LOWAT, 100, 0xABC)
    assert inside.text(change).endswith("data=100 ADD LOWAT udata=0xabc")
    assert inside.text(kevent(1, EVFILT_USER, 0)) == "USER ident=1 data=0"
