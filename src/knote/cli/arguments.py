"""Command lines as all verbs read them: argparse, with examples in the help and our way to say no."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

from knote.cli.say import say, show


class Parser(argparse.ArgumentParser):
    """For one verb.  wrong: the exit status of a command line that cannot be read."""

    def __init__(self, verb: str, description: str, examples: str, *, wrong: int = 2, engine: bool = True) -> None:
        super().__init__(
            prog=f"knote {verb}",
            description=description,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._wrong = wrong
        if engine:
            self.add_argument(
                "--engine",
                metavar="NAME",
                help="the kernel mechanism under the kqueue (default: $KNOTE_ENGINE, or the best there is)",
            )

    def print_help(self, file: Any = None) -> None:
        """To standard output."""
        show(self.format_help())

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read on."""
        say(f"{self.prog}: {message}\nTry '{self.prog} --help'.")
        sys.exit(self._wrong)
