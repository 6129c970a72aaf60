"""knote wait"""

from __future__ import annotations

import argparse
import signal
from typing import TYPE_CHECKING, Any

from knote.apps.conditions.condition import Condition, ConditionError
from knote.cli.arguments import Parser, file, seconds
from knote.cli.say import failure, say, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from knote.apps.conditions.fact import Fact

_DESCRIPTION = """\
Wait for any number of things at once: descriptors, files, processes, signals, times, mounts, interfaces, servers.
Each that happens is a line. Without --all or --count it ends with the first. Behind -- stands a COMMAND, which is
run for each event, with $KNOTE_EVENT, _SUBJECT, _WHAT, _DATA and _JSON in its environment."""

_EXAMPLES = """\
  knote wait --exists /run/db.pid --timeout 30s    until a file is there, half a minute at most
  knote wait --connect localhost:5432              until a server answers
  knote wait --pid 4711 --signal USR1              until a process ends, or a signal comes
  knote wait --all --gone lock --every 1h          each of them once
  knote wait --file main.c --file util.c -- make   run make whenever one of them is saved
  knote wait --restart --file app.py -- python app.py
  knote wait --timeout 10s -- slow-command         as timeout(1)
  knote wait --read 0 --timer 5s <>/dev/ttyS0      input, or five seconds

The exit status is 0 when it has happened, 124 when --timeout was over first, 128 + N when signal N came, 1 when it
cannot happen, 2 for a wrong command line; with a COMMAND it is that of its last run."""


class _Add(argparse.Action):
    """Conditions in the order of the command line."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        assert option is not None
        kept = list(namespace.conditions or [])
        kept.append((option.removeprefix("--"), values))
        namespace.conditions = kept


def parser() -> Parser:
    """What the command line takes."""
    made = Parser("wait", _DESCRIPTION, _EXAMPLES)
    made.set_defaults(conditions=[])
    group = made.add_argument_group("what to wait for, each any number of times")
    for name, word, text in (
        ("read", "FD", "there is something to read, or the end; a number that the shell opened (0: stdin)"),
        ("write", "FD", "there is room to write"),
        ("file", "PATH", "a file is written to, or a directory's entries change; renamed, replaced, removed"),
        ("exists", "PATH", "something is there"),
        ("gone", "PATH", "nothing is there"),
        ("pid", "PID", "a process has ended, anybody's"),
        ("signal", "NAME", "a signal came: USR1, HUP, 10 ..."),
        ("timer", "TIME", "so much time has passed: 5s, 300ms, 2m, 1h"),
        ("every", "TIME", "again and again"),
        ("link", "IFACE", "a network interface comes up, goes down, is gone"),
        ("connect", "HOST:PORT", "a server takes connections; also a UNIX socket's path"),
        ("no-connect", "HOST:PORT", "it does not, or does no more"),
    ):
        option = group.add_argument(f"--{name}", metavar=word, action=_Add, help=text)
        if word == "PATH":
            file(option)
    group.add_argument("--mount", nargs=0, action=_Add, help="something is mounted or unmounted")
    until = made.add_argument_group("until when")
    kind = until.add_mutually_exclusive_group()
    kind.add_argument("--any", action="store_true", help="one of them has happened: the default without COMMAND")
    kind.add_argument("--all", action="store_true", help="each of them has happened")
    kind.add_argument("--count", metavar="N", type=_count, help="so many events; 0: for ever, as with COMMAND")
    until.add_argument("--timeout", metavar="TIME", type=seconds, help="give up then")
    made.add_argument("--json", action="store_true", help="each event as a line of JSON")
    made.add_argument("--verbose", "-v", action="store_true", help="with COMMAND: the events on standard error")
    made.add_argument("--restart", action="store_true", help="keep COMMAND running; events restart it")
    made.add_argument(
        "--debounce", metavar="TIME", type=seconds, help="events within it are one run (default: 50ms with --file)"
    )
    return made


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status."""
    from knote.apps.wait import Wait

    command = parser()
    words: list[str] = []
    if "--" in arguments:
        place = arguments.index("--")
        arguments, words = arguments[:place], arguments[place + 1 :]
        if not words:
            command.error("behind -- stands the command to run")
    asked = command.parse_args(arguments)
    if not asked.conditions and not words:
        command.error("nothing to wait for: --exists PATH, --pid PID, --timer 5s ...")
    if asked.restart and not words:
        command.error("--restart needs a command: -- COMMAND")
    try:
        conditions = [_made(kind, value, command) for kind, value in asked.conditions]
        stops = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        status = Wait(
            conditions,
            count=_enough(asked, words),
            every=asked.all,
            tell=_teller(asked, words),
            command=words,
            restart=asked.restart,
            debounce_ms=round(_debounce(asked) * 1000),
            pass_fds=_descriptors(asked.conditions),
            timeout=asked.timeout,
            stops=tuple(stops - {condition.number for condition in conditions if hasattr(condition, "number")}),
            engine=asked.engine,
        ).run()
    except ConditionError as error:
        say(f"knote wait: {error}")
        return 1
    except FileNotFoundError as error:
        say(f"knote wait: {failure(error)}")
        return 127 if words and error.filename == words[0] else 1
    except PermissionError as error:
        say(f"knote wait: {failure(error)}")
        return 126 if words and error.filename == words[0] else 1
    except ValueError as error:  # the engine
        command.error(str(error))
    if status == 128 + signal.SIGINT and not words:
        raise KeyboardInterrupt
    return status


def _enough(asked: argparse.Namespace, words: Sequence[str]) -> int:
    if asked.count is not None:
        return int(asked.count)
    return 0 if words and not asked.any else 1


def _debounce(asked: argparse.Namespace) -> float:
    if asked.debounce is not None:
        return float(asked.debounce)
    return 0.05 if any(kind == "file" for kind, _ in asked.conditions) else 0.0


def _made(kind: str, value: Any, command: Parser) -> Condition:
    if kind in ("connect", "no-connect"):
        from knote.apps.conditions.peer import Peer

        return Peer(value, kind)
    if kind in ("file", "exists", "gone"):
        from knote.apps.conditions import paths

        return paths.Changed(value) if kind == "file" else paths.There(value, kind)
    from knote.apps.conditions import events

    if kind in ("timer", "every"):
        try:
            return events.Clock(seconds(value), value, kind)
        except argparse.ArgumentTypeError as error:
            command.error(f"--{kind}: {error}")
    if kind == "mount":
        return events.Mount()
    if kind in ("read", "write", "pid") and not value.isdigit():
        command.error(f"--{kind} {value}: a number is wanted")
    return events.MAKERS[kind](value)


def _teller(asked: argparse.Namespace, words: Sequence[str]) -> Any:
    def aside(fact: Fact) -> None:
        if asked.json or asked.verbose:
            say(fact.record() if asked.json else fact.line())

    def out(fact: Fact) -> None:
        show((fact.record() if asked.json else fact.line()) + "\n")

    return aside if words else out


def _descriptors(conditions: Sequence[tuple[str, Any]]) -> list[int]:
    return [int(value) for kind, value in conditions if kind in ("read", "write") and int(value) > 2]


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of events")
    return int(text)


