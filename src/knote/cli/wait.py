"""knote wait"""

from __future__ import annotations

from knote.apps import held
from knote.cli.say import failure, say, show

TYPE_CHECKING = False  # typing, argparse and signal take their time, and a signal that is waited for may come now
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from knote.apps.conditions.condition import Condition
    from knote.apps.conditions.fact import Fact
    from knote.cli.arguments import Parser


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status."""
    place = arguments.index("--") if "--" in arguments else len(arguments)
    arguments, words = arguments[:place], arguments[place:]
    held.hold(_signals(arguments))
    try:
        # But for the wait itself, which has a handler.
        return held.interruptible(lambda: _run(arguments, words, closed))
    finally:
        held.drop()


def _run(arguments: list[str], words: list[str], closed: frozenset[int]) -> int:
    import signal

    from knote.apps.conditions.condition import ConditionError
    from knote.apps.conditions.events import Signal
    from knote.apps.legible import harmless
    from knote.apps.runner import status_of
    from knote.apps.wait import Wait
    from knote.cli.wait_line import parser

    command = parser()
    asked = command.parse_args(arguments)
    if words:
        del words[0]
        if not words:
            command.error("behind -- stands the command to run")
    if not asked.conditions and not words:
        command.error("nothing to wait for: --exists PATH, --pid PID, --timer 5s ...")
    if asked.restart and not words:
        command.error("--restart needs a command: -- COMMAND")
    try:
        conditions = _once(_made(kind, value, command, closed) for kind, value in asked.conditions)
        stops = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        if words:
            stops.add(signal.SIGQUIT)  # what has a group of its own would stay behind
        wait = Wait(
            conditions,
            count=_enough(asked, words),
            every=asked.all,
            tell=_teller(asked, words),
            command=words,
            restart=asked.restart,
            debounce_ms=round(_debounce(asked) * 1000),
            pass_fds=_descriptors(asked.conditions),
            timeout=asked.timeout,
            stops=tuple(stops - {condition.number for condition in conditions if isinstance(condition, Signal)}),
            engine=asked.engine,
            complain=_complain,
        )
        status = wait.run()
    except ConditionError as error:
        say(f"knote wait: {harmless(str(error))}")
        return 1
    except BrokenPipeError:
        raise  # who read what we say has left
    except OSError as error:
        _complain(error)
        return status_of(error) if words and error.filename == words[0] else 1
    except ValueError as error:  # the engine
        command.error(str(error))
    if wait.ended_by == signal.SIGINT:
        raise KeyboardInterrupt
    return status


def _signals(arguments: Sequence[str]) -> Iterator[int]:
    """What --signal asks for, before there is time to read the command line in earnest."""
    for i, word in enumerate(arguments):
        option, equals, name = word.partition("=")
        if option == "--signal":
            try:
                yield held.numbered(name if equals else "".join(arguments[i + 1 : i + 2]))
            except ValueError:
                pass  # it will be told


def _enough(asked: argparse.Namespace, words: Sequence[str]) -> int:
    if asked.count is not None:
        return int(asked.count)
    return 0 if words and not asked.any else 1


def _debounce(asked: argparse.Namespace) -> float:
    if asked.debounce is not None:
        return float(asked.debounce)
    return 0.05 if any(kind == "file" for kind, _ in asked.conditions) else 0.0


def _made(kind: str, value: Any, command: Parser, closed: frozenset[int]) -> Condition:
    if kind in ("connect", "no-connect"):
        from knote.apps.conditions.peer import Peer

        return Peer(value, kind)
    if kind in ("file", "exists", "gone"):
        if not value:
            command.error(f"--{kind} '': a path is wanted")
        from knote.apps.conditions import paths

        return paths.Changed(value) if kind == "file" else paths.There(value, kind)
    from knote.apps.conditions import events

    if kind in ("timer", "every"):
        from argparse import ArgumentTypeError

        from knote.cli.arguments import seconds

        try:
            period = seconds(value)
        except ArgumentTypeError as error:
            command.error(f"--{kind}: {error}")
        if kind == "every" and not period:
            command.error(f"--every {value}: must be above 0")
        return events.Clock(period, value, kind)
    if kind == "mount":
        return events.Mount()
    if kind in ("read", "write", "pid"):
        least = 1 if kind == "pid" else 0
        if not (value.isascii() and value.isdigit() and least <= int(value[:11]) < 1 << 31):
            command.error(f"--{kind} {value}: a number is wanted, {least} or more and below {1 << 31}")
        if kind != "pid" and (int(value) in closed or not _is_open(int(value))):
            raise events.not_open(kind, int(value))  # what may be there later, we have put there
    return events.MAKERS[kind](value)


def _complain(error: OSError) -> None:
    say(f"knote wait: {failure(error)}")


def _is_open(number: int) -> bool:
    import os

    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _once(conditions: Iterable[Condition]) -> list[Condition]:
    """Of those that say the same, one: a process whose number was given twice ends once."""
    return list({(condition.kind, condition.subject): condition for condition in conditions}.values())


def _teller(asked: argparse.Namespace, words: Sequence[str]) -> Any:
    def aside(fact: Fact) -> None:
        if asked.json or asked.verbose:
            say(fact.record() if asked.json else fact.line())

    def out(fact: Fact) -> None:
        show((fact.record() if asked.json else fact.line()) + "\n")

    return aside if words else out


def _descriptors(conditions: Sequence[tuple[str, Any]]) -> list[int]:
    return [int(value) for kind, value in conditions if kind in ("read", "write") and int(value) > 2]
