"""knote serve, as processes: one, or a master with its workers; what signals and systemd mean to them."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from knote.apps.drain import QUIET, SECONDS
from knote.cli.arguments import seconds, size
from knote.cli.desk import Desk
from knote.cli.say import say

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from knote.apps.master import Master
    from knote.apps.server import Server
    from knote.apps.staffing import Staffing
    from knote.cli.arguments import Parser


class Plan:
    """What a command line asked for, and how to do it.

    words: the command line itself, to start workers with; asked: what it says; where: where to listen.
    make: a server, of listeners or addresses; it gets listen, tls, tell, resting, worker.
    tls: reads the certificates.
    announce: says to people where it listens, where its pages are, and a master's number.  why: the exit status
    and the words of an error.  tell: takes each sentence that the operator should read.
    """

    def __init__(
        self, words: list[str], asked: argparse.Namespace, where: list[Any], *, make: Callable[..., Server],
        tls: Callable[[], Any], announce: Callable[..., None],
        why: Callable[[Exception], tuple[int, str]], tell: Callable[[str], None],
        warning: str,
    ) -> None:  # fmt: skip
        self.words = words
        self.asked = asked
        self.where = where
        self.make = make
        self.tls = tls
        self.announce = announce
        self.why = why
        self.tell = tell
        self.warning = warning


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those that are about processes."""
    ends = parser.add_argument_group("how it ends")
    ends.add_argument(
        "--drain", metavar="TIME", type=_time, default=SECONDS,
        help="after SIGTERM, how long connections may take to end "
        f"(default: {SECONDS:g} s; 'inf': until they end)",
    )  # fmt: skip
    ends.add_argument(
        "--drain-quiet", metavar="TIME", type=_time, default=QUIET,
        help="then, one that is owed nothing and was silent for so long is closed "
        f"(default: {QUIET:g} s; 'inf': none is)",
    )  # fmt: skip
    more = parser.add_argument_group("processes")
    more.add_argument(
        "--workers", metavar="N", type=int, default=0, help="serve in so many processes (default: in this one)"
    )
    more.add_argument(
        "--worker-lifetime", metavar="TIME", type=_time, default=0.0,
        help="replace a worker after so long, give or take a tenth (default: never)",
    )  # fmt: skip
    more.add_argument(
        "--worker-max-rss", metavar="SIZE", type=size, default=0.0,
        help="replace a worker that has so much memory, or up to a tenth less (default: never)",
    )  # fmt: skip
    more.add_argument(
        "--retire", metavar="TIME", type=_time, default=math.inf,
        help="how long a replaced worker may serve its connections on (default: until they end)",
    )  # fmt: skip
    more.add_argument("--user", metavar="NAME", help="become this user once it listens; root only")
    more.add_argument("--group", metavar="NAME", help="with --user: this group (default: the user's own)")
    more.add_argument("--worker", metavar="FD", type=int, help=argparse.SUPPRESS)


def _time(text: str) -> float:
    return math.inf if text == "inf" else seconds(text)


def staffing(asked: argparse.Namespace) -> Staffing:
    """What the command line says of workers.  Raises ValueError."""
    from knote.apps.staffing import Staffing

    if asked.group is not None and asked.user is None:
        raise ValueError("--group needs --user")
    if not asked.workers:
        for name in ("worker_lifetime", "worker_max_rss"):
            if getattr(asked, name):
                raise ValueError(f"--{name.replace('_', '-')} needs --workers")
    return Staffing(
        asked.workers or 1,
        asked.worker_lifetime,
        asked.worker_max_rss,
        asked.drain,
        asked.drain_quiet,
        asked.retire,
    )


def run(plan: Plan) -> int:
    """The exit status."""
    if plan.asked.worker is not None:
        return _work(plan)
    return _supervise(plan) if plan.asked.workers else _serve(plan)


def _failed(plan: Plan, error: Exception) -> int:
    status, text = plan.why(error)
    say(f"knote serve: {text}" + ("\nTry 'knote serve --help'." if status == 2 else ""))
    return status


def _become(asked: argparse.Namespace) -> None:
    if asked.user is not None:
        from knote.apps.identity import find

        find(asked.user, asked.group).take()


# ---- one process -----------------------------------------------------------------------------------------------


def _serve(plan: Plan) -> int:
    from knote.apps.listener import forget
    from knote.apps.signals import Signals
    from knote.systemd import Notifier

    asked = plan.asked
    notifier = Notifier()
    ours: list[socket.socket] = []
    try:
        where = _where(plan)
        tls = plan.tls()
        check_user(asked)
        if asked.user is not None:
            # What only root may have comes first; what is the user's own, the service's code, comes as that user.
            where = _opened(where, ours)
            _become(asked)
        server = plan.make(listen=where, ours=ours, tls=tls, tell=plan.tell)
        desk = _desk(plan, server)
    except (OSError, ValueError) as error:
        for sock in ours:
            forget(sock, given=False)
        return _failed(plan, error)

    def drain() -> None:
        if server.draining:
            server.stop()
        else:
            server.drain(asked.drain, asked.drain_quiet)

    end = desk.notice(notifier.stopping, drain)

    def hangup() -> None:
        if _terminal_is_gone(terminal):
            end()
        else:
            _read_again(tls, notifier, plan.tell, asked.user)

    terminal = _has_terminal()
    do: dict[int, Callable[[], None]] = {
        signal.SIGINT: server.stop, signal.SIGTERM: end, signal.SIGHUP: hangup,
    }  # fmt: skip
    with server, desk, Signals(server.kqueue, do):
        if plan.warning:
            plan.tell(plan.warning)
        plan.announce([listener.name for listener in server.listeners], desk.addresses)
        notifier.ready(f"{len(server.listeners)} addresses")
        _watch(server.kqueue, notifier)
        _settle()
        server.run()
    return 0


def _opened(where: list[Any], ours: list[socket.socket]) -> list[socket.socket]:
    """Sockets for all addresses; `ours` gets those that were none before."""
    from knote.apps.listener import opened

    socks: list[socket.socket] = []
    for one in where:
        made = opened(one)
        ours += [sock for sock in made if sock is not one]
        socks += made
    return socks


def _desk(plan: Plan, server: Server) -> Desk:
    from knote.apps.numbers import alone

    try:
        return Desk(plan.asked, server.kqueue, alone(server), plan.tell)
    except BaseException:
        server.close()
        raise


def _read_again(tls: Any, notifier: Any, tell: Callable[[str], None], user: str | None) -> None:
    notifier.reloading()
    if tls is None:
        tell("SIGHUP: there are no certificates to read again; new code is taken with --workers 1 or more")
    else:
        try:
            tls.reload()
        except ValueError as error:
            hint = "; with --workers 1 they are read by root" if user is not None else ""
            tell(f"SIGHUP: {error}; the certificates of before stay in use{hint}")
        else:
            tell("SIGHUP: the certificates were read again; new code is taken with --workers 1 or more")
    notifier.ready()


def _watch(queue: Any, notifier: Any) -> None:
    if notifier.interval is not None:
        from knote.apps.alarm import Alarm

        def alive() -> None:
            notifier.watchdog()
            alarm.set(notifier.interval)

        alarm = Alarm(queue, _WATCHDOG, alive)
        alive()


_WATCHDOG = (1 << 32) - 1
"""Ident of a timer: beyond descriptors, which are those of listeners, and before those of the server and
master."""


# ---- a master --------------------------------------------------------------------------------------------------


def _supervise(plan: Plan) -> int:
    from knote.apps import drive
    from knote.apps.master import Master
    from knote.apps.signals import Signals
    from knote.systemd import Notifier

    asked = plan.asked
    notifier = Notifier()
    staff = staffing(asked)

    def up() -> None:
        if plan.warning:
            plan.tell(plan.warning)
        names = [list(master.doors)[place].name for place in master.doors.first]
        plan.announce(names, desk.addresses, os.getpid())
        notifier.ready(f"{asked.workers} workers")

    try:
        where = _where(plan)
        check_user(asked)
        engine = drive.choose(asked.engine).engine
        master = Master(
            _command(plan.words), where, staff, tell=plan.tell, up=up, engine=engine, notifier=notifier,
            more={"fixed": _fixed(asked)},
        )  # fmt: skip
        desk = _desk_of(plan, master)
    except (OSError, ValueError) as error:
        return _failed(plan, error)
    terminal = _has_terminal()

    def hangup() -> None:
        if _terminal_is_gone(terminal):
            end()
        else:
            master.reload()

    end = desk.notice(lambda: None, master.drain)

    do: dict[int, Callable[[], None]] = {
        signal.SIGINT: master.stop, signal.SIGTERM: end, signal.SIGHUP: hangup,
    }  # fmt: skip
    with master, desk, Signals(master.kqueue, do):
        _watch(master.kqueue, notifier)
        return master.run()


def _desk_of(plan: Plan, master: Master) -> Desk:
    try:
        return Desk(plan.asked, master.kqueue, master.tallies.ask, plan.tell, master.serves)
    except BaseException:
        master.close()
        raise


def check_user(asked: argparse.Namespace) -> None:
    """Raises IdentityError for one that there is not, or that we cannot become."""
    if asked.user is not None:
        from knote.apps.identity import find

        find(asked.user, asked.group).check()


def _command(words: list[str]) -> list[str]:
    """What starts this program again, as it was started: by its script or by -m, with the interpreter's
    options."""
    ours = ["serve", *words]
    before = sys.orig_argv[1 : -len(ours)]
    if sys.orig_argv[-len(ours) :] != ours or not before:
        before = ["-m", "knote"]  # not from a command line: whoever called main() is not to be started again
    return [sys.executable, *before, *ours]


# ---- a worker --------------------------------------------------------------------------------------------------


_FIXED = (
    "address", "host", "port", "workers", "worker_lifetime", "worker_max_rss", "retire", "drain", "drain_quiet",
    "drain_delay", "admin", "admin_anywhere",
)  # fmt: skip
"""What the master does with, and its workers do not, so that a reload leaves it as it was."""


def _fixed(asked: argparse.Namespace) -> dict[str, str]:
    return {name: repr(getattr(asked, name)) for name in _FIXED}


def listen_for_complaints(parser: Parser, words: list[str]) -> None:
    """A worker tells its master what is wrong, who says it once, and what follows from it."""
    if words[-2:-1] == ["--worker"] and words[-1].isdigit():
        parser.elsewhere = lambda message, status: _refuse(int(words[-1]), message, status)


def _refuse(channel: int, message: str, status: int) -> None:
    from knote.apps.worker import Worker

    try:
        Worker(channel).failed(message, status)
    except (OSError, EOFError, KeyError):
        say(f"knote serve: {message}")


def _work(plan: Plan) -> int:
    from knote.apps.worker import Worker

    def make(listen: list[socket.socket]) -> Server:
        tls = plan.tls()
        _become(plan.asked)  # behind it: the key may be root's alone
        server = plan.make(listen=listen, tls=tls, tell=tell, resting=True, worker=worker.number)
        if worker.number == 0:
            now, before = _fixed(plan.asked), worker.begin.get("fixed", {})
            others = [f"--{name.replace('_', '-')}" for name in before if now.get(name) != before[name]]
            if others:
                tell(f"{', '.join(others)}: changed, which is taken when the server is started anew")
        _settle()
        return server

    try:
        worker = Worker(plan.asked.worker)
    except (OSError, EOFError, KeyError):
        say("knote serve: --worker is for the master's own use; --workers N starts one")
        return 2

    def tell(text: str) -> None:
        plan.tell(f"worker {worker.number}: {text}")

    try:
        return worker.run(make)
    except (OSError, ValueError) as error:
        status, text = plan.why(error)
        return worker.failed(text, status)


# ---- what all have ---------------------------------------------------------------------------------------------


def _where(plan: Plan) -> list[Any]:
    """What systemd hands over is listened at, and what the command line names; its default only without."""
    from knote.systemd import listening_sockets

    passed = listening_sockets()
    asked = plan.asked
    named = asked.address or asked.host is not None or asked.port is not None
    return [*passed, *(plan.where if named or not passed else [])]


def _settle() -> None:
    """What there is by now, modules most of all, stays: no later collection walks through it, for which every
    client would wait some milliseconds."""
    import gc

    gc.collect()
    gc.freeze()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _terminal_is_gone(before: bool) -> bool:
    """SIGHUP says two things: that the terminal was closed, which ends a program, and that a daemon is to look
    at its files again."""
    return before and not _has_terminal()
