"""The command line of knote wait."""

from __future__ import annotations

import argparse
from typing import Any

from knote.cli.arguments import Parser, file, seconds

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
    made.usage = "knote wait [CONDITION...] [OPTION...] [-- COMMAND [ARGUMENT...]]"
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


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of events")
    return int(text)
