"""Command lines as all verbs read them: argparse, with examples in the help and our way to say no."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from knote.cli.say import say, show

if TYPE_CHECKING:
    from collections.abc import Callable


class WrongArguments(ValueError):
    """What Parser.check() found wrong."""


ENGINE: Final = "the kernel mechanism under the kqueue (default: $KNOTE_ENGINE, or the best there is)"


class Parser(argparse.ArgumentParser):
    """For one verb.  wrong: the exit status of a command line that cannot be read.  engine: what --engine is for,
    "" for none."""

    def __init__(
        self, verb: str, description: str, examples: str, *, wrong: int = 2, engine: str = ENGINE
    ) -> None:
        super().__init__(
            prog=f"knote {verb}",
            description=description,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._wrong = wrong
        self._checks = False
        self.elsewhere: Callable[[str, int], object] | None = None
        """Takes what is wrong, and the exit status, where nobody reads it at stderr."""
        if engine:
            self.add_argument("--engine", metavar="NAME", help=engine)

    def print_help(self, file: Any = None) -> None:
        """To standard output."""
        show(self.format_help())

    def check(self, words: list[str]) -> argparse.Namespace:
        """parse_args() that raises WrongArguments instead of ending the program."""
        self._checks = True
        try:
            return self.parse_args(words)
        finally:
            self._checks = False

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read on."""
        if self._checks:
            raise WrongArguments(message)
        if self.elsewhere is not None:
            self.elsewhere(message, self._wrong)
        else:
            say(f"{self.prog}: {message}\nTry '{self.prog} --help'.")
        sys.exit(self._wrong)


class _Captured(Exception):
    """Carries a parser out of the verb that made it."""


def captured(run: Callable[[list[str], frozenset[int]], int]) -> argparse.ArgumentParser | None:
    """The parser of a verb, which its run() makes: so whatever a verb takes is in man pages and completions, and
    nobody has to list it a second time.  None where it reads no command line: what it needs is not here.  For
    the making of pages only: meanwhile argparse does nothing else, for no thread."""

    def carry(parser: argparse.ArgumentParser, *words: Any, **how: Any) -> Any:
        raise _Captured(parser)

    before = argparse.ArgumentParser.parse_known_args
    argparse.ArgumentParser.parse_known_args = carry  # type: ignore[assignment, method-assign]
    try:
        run(["--help"], frozenset())
    except _Captured as found:
        parser: argparse.ArgumentParser = found.args[0]
        return parser
    finally:
        argparse.ArgumentParser.parse_known_args = before  # type: ignore[method-assign]
    return None


def file(action: argparse.Action) -> argparse.Action:
    """The argument is a path: a shell completes it as one (shtab reads this attribute)."""
    action.complete = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}  # type: ignore[attr-defined]
    return action


def size(text: str) -> float:
    """'500K', '2.5M', '1GiB': units of 1024, as pv(1) takes them.  Above 0."""
    number = text.upper().removesuffix("B").removesuffix("I")
    scale = 1
    if number[-1:] in ("K", "M", "G", "T"):
        scale = 1024 ** ("KMGT".index(number[-1]) + 1)
        number = number[:-1]
    try:
        value = float(number) * scale
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no size above 0: write 4096, 500K, 2.5M or 1G")
    return value


def seconds(text: str) -> float:
    """'5', '0.5', '300ms', '2m': not negative."""
    number, scale = text, 1.0
    for suffix, unit in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        if text.endswith(suffix):
            number, scale = text.removesuffix(suffix), unit
            break
    try:
        value = float(number) * scale
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write seconds, or 300ms, 5s, 2m, 1h")
    return value


def at_least(kind: Callable[[str], float], least: float) -> Callable[[str], float]:
    """For type=: int or float, and not less.  A file of options has a number there, too."""

    def read(text: str) -> float:
        value = kind(text)
        if not least <= value < 1 << 31:
            raise argparse.ArgumentTypeError(f"{text}: must be {least:g} or more, and below {1 << 31}")
        return value

    read.__name__ = kind.__name__  # argparse names it: invalid int value
    read.number = True  # type: ignore[attr-defined]
    return read
