"""One function per operation that a trace may contain.

Each takes the world and the step, and returns the answer as the traces write it; OSError becomes
ret -1 with its errno in play().  Descriptors are non-blocking throughout: a read that would block
is an answer to compare, not a test that hangs.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any, Final

from tests.oracle import names
from tests.oracle.trace import Event, Json
from tests.oracle.world import World

Answer = dict[str, Any]
Op = Callable[[World, Json], Answer]

OK: Final[Answer] = {"ret": 0, "errno": None}
FD: Final[Answer] = {"ret": "fd", "errno": None}
SETTLE_S: Final = 0.040
LOCALHOST: Final = "127.0.0.1"
PATIENCE_S: Final = 5.0
CHUNK: Final = 4096

OPS: Final[dict[str, Op]] = {}


def op(function: Op) -> Op:
    """Register an operation under its function's name (a trailing underscore spares a builtin)."""
    OPS[function.__name__.removeprefix("do_")] = function
    return function


@contextmanager
def _socket(fd: int) -> Any:
    """The socket module's view of a descriptor that stays ours."""
    sock = socket.socket(fileno=fd)
    try:
        yield sock
    finally:
        sock.detach()


def _payload(step: Json) -> bytes:
    return b"x" * int(step.get("n", 1))


# -- making descriptors ----------------------------------------------------------------------------


@op
def do_pipe(w: World, s: Json) -> Answer:
    r_fd, w_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    w.own(s["r"], r_fd)
    w.own(s["w"], w_fd)
    return OK


@op
def do_socketpair(w: World, s: Json) -> Answer:
    kind = getattr(socket, "SOCK_" + s.get("type", "stream").upper())
    for name, sock in zip((s["a"], s["b"]), socket.socketpair(socket.AF_UNIX, kind), strict=True):
        sock.setblocking(False)
        w.own(name, sock.detach())
    return OK


@op
def do_socket(w: World, s: Json) -> Answer:
    sock = socket.socket(socket.AF_INET, getattr(socket, "SOCK_" + s.get("type", "stream").upper()))
    sock.setblocking(False)
    if s.get("bind"):
        sock.bind((LOCALHOST, 0))
        w.addresses[s["fd"]] = sock.getsockname()
    w.own(s["fd"], sock.detach())
    return FD


@op
def do_listen(w: World, s: Json) -> Answer:
    if s["fd"] in w.numbers and w.is_owned(w.fd(s["fd"])):  # a socket made before
        with _socket(w.fd(s["fd"])) as sock:
            if s["fd"] not in w.addresses:
                sock.bind((LOCALHOST, 0))
            sock.listen(s.get("backlog", 16))
            w.addresses[s["fd"]] = sock.getsockname()
        return FD
    sock = socket.create_server((LOCALHOST, 0), backlog=s.get("backlog", 16))
    sock.setblocking(False)
    w.addresses[s["fd"]] = sock.getsockname()
    w.own(s["fd"], sock.detach())
    return FD


@op
def do_unused_addr(w: World, s: Json) -> Answer:
    with socket.socket() as sock:
        sock.bind((LOCALHOST, 0))
        w.addresses[s["name"]] = sock.getsockname()
    return OK


@op
def do_connect(w: World, s: Json) -> Answer:
    if s["fd"] not in w.numbers:
        w.own(s["fd"], socket.socket().detach())
    with _socket(w.fd(s["fd"])) as sock:
        sock.settimeout(0 if s.get("nonblock") else PATIENCE_S)
        try:
            sock.connect(w.addresses[s["to"]])
        finally:
            sock.setblocking(False)
    return OK


@op
def do_accept(w: World, s: Json) -> Answer:
    with _socket(w.fd(s["from"])) as listener:
        listener.settimeout(PATIENCE_S)
        try:
            sock, _ = listener.accept()
        finally:
            listener.setblocking(False)
    sock.setblocking(False)
    w.own(s["fd"], sock.detach())
    return FD


@op
def do_open(w: World, s: Json) -> Answer:
    flags = os.O_CLOEXEC
    for word in s["flags"]:
        flags |= getattr(os, word)
    w.own(s["fd"], os.open(w.path(s["path"]), flags, s.get("mode", 0o644)))
    return FD


@op
def do_dup(w: World, s: Json) -> Answer:
    new = os.dup(w.fd(s["fd"]))
    if s["fd"] in w.queues:  # the object owns the number; S-008
        w.own_queue(s["new"], w.api.fromfd(new))
    else:
        w.own(s["new"], new)
    return FD


@op
def do_dup2(w: World, s: Json) -> Answer:
    onto = w.fd(s["onto"])
    os.dup2(w.fd(s["fd"]), onto, inheritable=False)
    if s["onto"] not in w.queues:
        w.own(s["onto"], onto)
    return FD


@op
def do_close(w: World, s: Json) -> Answer:
    w.close(s["fd"])
    return OK


@op
def do_kqueue(w: World, s: Json) -> Answer:
    w.own_queue(s["fd"], w.api.kqueue())
    return FD


# -- bytes -----------------------------------------------------------------------------------------


@op
def do_write(w: World, s: Json) -> Answer:
    return {"ret": os.write(w.fd(s["fd"]), _payload(s)), "errno": None}


@op
def do_read(w: World, s: Json) -> Answer:
    return {"ret": len(os.read(w.fd(s["fd"]), s["n"])), "errno": None}


def _until_it_would_block(fd: int, once: Callable[[], int]) -> Answer:
    os.set_blocking(fd, False)
    total = 0
    try:
        while n := once():
            total += n
    except BlockingIOError:
        return {"ret": total, "errno": "EAGAIN"}
    return {"ret": total, "errno": None}


@op
def do_fill(w: World, s: Json) -> Answer:
    fd, chunk = w.fd(s["fd"]), b"x" * s.get("chunk", CHUNK)
    return _until_it_would_block(fd, lambda: os.write(fd, chunk))


@op
def do_drain(w: World, s: Json) -> Answer:
    fd = w.fd(s["fd"])
    return _until_it_would_block(fd, lambda: len(os.read(fd, 65536)))


@op
def do_send_oob(w: World, s: Json) -> Answer:
    with _socket(w.fd(s["fd"])) as sock:
        return {"ret": sock.send(_payload(s), socket.MSG_OOB), "errno": None}


@op
def do_sendto(w: World, s: Json) -> Answer:
    with _socket(w.fd(s["fd"])) as sock:
        return {"ret": sock.sendto(_payload(s), w.addresses[s["to"]]), "errno": None}


@op
def do_shutdown(w: World, s: Json) -> Answer:
    with _socket(w.fd(s["fd"])) as sock:
        sock.shutdown(getattr(socket, "SHUT_" + s["how"]))
    return OK


def _level(option: str) -> int:
    return socket.IPPROTO_TCP if option.startswith("TCP_") else socket.SOL_SOCKET


@op
def do_setsockopt(w: World, s: Json) -> Answer:
    value = struct.pack("ii", 1, s["val"]) if s["opt"] == "SO_LINGER" else s["val"]
    with _socket(w.fd(s["fd"])) as sock:
        sock.setsockopt(_level(s["opt"]), getattr(socket, s["opt"]), value)
    return OK


@op
def do_getsockopt(w: World, s: Json) -> Answer:
    with _socket(w.fd(s["fd"])) as sock:
        value = sock.getsockopt(_level(s["opt"]), getattr(socket, s["opt"]))
    told = names.errno_text(value) if s["opt"] == "SO_ERROR" and value else value
    return {"ret": 0, "errno": None, "val": told}


@op
def do_poll(w: World, s: Json) -> Answer:
    poller = select.poll()
    mask = 0
    for word in s["events"]:
        mask |= getattr(select, word)
    poller.register(w.fd(s["fd"]), mask)
    got = poller.poll(s.get("timeout_ms", 0))
    told = got[0][1] if got else 0
    words = ("POLLIN", "POLLPRI", "POLLOUT", "POLLERR", "POLLHUP", "POLLNVAL", "POLLRDHUP")
    return {
        "ret": len(got),
        "errno": None,
        "revents": [n for n in words if told & getattr(select, n)],
    }


# -- files -----------------------------------------------------------------------------------------


def _path_op(name: str, call: Callable[[World, Json], Any]) -> None:
    def run(w: World, s: Json) -> Answer:
        call(w, s)
        return OK

    OPS[name] = run


_path_op("mkdir", lambda w, s: os.mkdir(w.path(s["path"]), s.get("mode", 0o755)))
_path_op("rmdir", lambda w, s: os.rmdir(w.path(s["path"])))
_path_op("mkfifo", lambda w, s: os.mkfifo(w.path(s["path"]), s.get("mode", 0o644)))
_path_op("unlink", lambda w, s: os.unlink(w.path(s["path"])))
_path_op("link", lambda w, s: os.link(w.path(s["path"]), w.path(s["new"])))
_path_op("symlink", lambda w, s: os.symlink(s["path"], w.path(s["new"])))
_path_op("rename", lambda w, s: os.rename(w.path(s["path"]), w.path(s["new"])))
_path_op("chmod", lambda w, s: os.chmod(w.path(s["path"]), s["mode"]))
_path_op("fchmod", lambda w, s: os.fchmod(w.fd(s["fd"]), s["mode"]))
_path_op("ftruncate", lambda w, s: os.ftruncate(w.fd(s["fd"]), s["len"]))
_path_op("truncate", lambda w, s: os.truncate(w.path(s["path"]), s["len"]))
_path_op("utimes", lambda w, s: os.utime(w.path(s["path"]), (1, 1)))


@op
def do_lseek(w: World, s: Json) -> Answer:
    where = next((s[key] for key in ("offset", "off", "pos", "to") if key in s), 0)
    whence = getattr(os, str(s.get("whence", "SEEK_SET")), os.SEEK_SET)
    return {"ret": os.lseek(w.fd(s["fd"]), where, whence), "errno": None}


# -- time, signals, processes ----------------------------------------------------------------------


@op
def do_sleep(w: World, s: Json) -> Answer:
    time.sleep(s["ms"] / 1000)
    return OK


@op
def do_settle(w: World, s: Json) -> Answer:
    time.sleep(SETTLE_S)
    return OK


@op
def do_sigignore(w: World, s: Json) -> Answer:
    signal.signal(names.signal_number(s["sig"]), signal.SIG_IGN)
    return OK


@op
def do_sigdefault(w: World, s: Json) -> Answer:
    signal.signal(names.signal_number(s["sig"]), signal.SIG_DFL)
    return OK


@op
def do_sigblock(w: World, s: Json) -> Answer:
    signal.pthread_sigmask(signal.SIG_BLOCK, {names.signal_number(s["sig"])})
    return OK


@op
def do_sigunblock(w: World, s: Json) -> Answer:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {names.signal_number(s["sig"])})
    return OK


@op
def do_kill_self(w: World, s: Json) -> Answer:
    os.kill(os.getpid(), names.signal_number(s["sig"]))
    return OK


@op
def do_kill(w: World, s: Json) -> Answer:
    os.kill(w.pid(s["proc"]), names.signal_number(s["sig"]))
    return OK


def _fork(work: Callable[[], int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        code = work()
    except BaseException:  # the child of a test must never come back into the test runner
        code = 70
    os._exit(code)


@op
def do_child(w: World, s: Json) -> Answer:
    def live() -> int:
        time.sleep(s.get("after_ms", 0) / 1000)
        return int(s.get("exit_code", 0))

    w.pids[s["name"]] = _fork(live)
    return {"ret": "pid", "errno": None}


@op
def do_later(w: World, s: Json) -> Answer:
    def write() -> int:
        time.sleep(s["ms"] / 1000)
        os.write(w.fd(s["fd"]), _payload(s))
        return 0

    pid = _fork(write)
    w.pids[s.get("name", f"later {pid}")] = pid
    return OK


@op
def do_wait(w: World, s: Json) -> Answer:
    pid, status = os.waitpid(w.pid(s["proc"]), 0)
    w.awaited.add(pid)
    return {"ret": "pid", "errno": None, "status": status}


# -- the question itself ---------------------------------------------------------------------------


def kevent(w: World, s: Json, expected: Sequence[Event]) -> Answer:
    """kevent(2) through control(); *expected* only chooses between two names of one number."""
    changes = [
        w.api.kevent(
            w.ident(c["filter"], c["ident"]),
            names.filter_number(c["filter"]),
            names.flags_number(c.get("flags")),
            names.fflags_number(c["filter"], c.get("fflags")),
            c.get("data", 0),
            c.get("udata", 0),
        )
        for c in s.get("changes") or ()
    ]
    timeout: float | None = None
    if s.get("timespec"):
        timeout = s["timespec"][0] + s["timespec"][1] / 1e9
    elif s["timeout_ms"] is not None:
        timeout = s["timeout_ms"] / 1000
    with w.queue(s["kq"]) as queue:
        try:
            got = queue.control(changes or None, s["nevents"], timeout)
        except ValueError:
            # CPython's words for what the kernel calls EBADF (S-298) and EINVAL (S-301).
            return {"ret": -1, "errno": "EBADF" if queue.closed else "EINVAL"}
    hints = [event.ident for event in expected] + [""] * len(got)
    return {
        "ret": len(got),
        "errno": None,
        "events": [_seen(w, e, h) for e, h in zip(got, hints, strict=False)],
    }


def _seen(w: World, event: Any, hint: str) -> Event:
    flt = names.filter_name(event.filter)
    data: int | str = event.data
    if flt == "EVFILT_PROC" and data and data == w.pids["self"]:
        data = "pid:self"
    word: str | int = flt if flt in names.FILTERS else event.filter
    return Event(
        ident=w.symbol(word, event.ident, hint),
        filter=word,
        flags=event.flags,
        fflags=event.fflags,
        data=data,
        udata=event.udata,
    )
