"""knote cat"""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote.cli.say import failure, say

if TYPE_CHECKING:
    from collections.abc import Iterator

_DESCRIPTION = """\
Copy each FILE to standard output, one after the other, driven by kevents. Without FILE, or where FILE is -,
copy standard input. Any kind of file will do: regular, pipe, FIFO, socket, terminal, device."""

_EXAMPLES = """\
  knote cat notes.txt                    show a file
  knote cat header - footer <body >page  standard input in the middle
  ls -l | knote cat >listing

The exit status is 0, or 1 if a file could not be read or not everything could be written; as with cat(1)."""


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status, as cat(1)'s."""
    names, engine = arguments or ["-"], None
    if any(word.startswith("-") and word != "-" for word in arguments):
        names, engine = _parse(arguments)
    from knote.apps.copy import copy

    if 1 in closed:
        say("knote cat: standard output: Bad file descriptor")
        return 1
    good = True

    def complain(error: OSError) -> None:
        say(f"knote cat: {failure(error)}")

    def usable() -> Iterator[str]:
        nonlocal good
        for name in names:
            if name == "-" and 0 in closed:
                say("knote cat: -: Bad file descriptor")
                good = False
            else:
                yield name

    try:
        return 0 if copy(usable(), engine=engine, complain=complain) and good else 1
    except BrokenPipeError:
        raise
    except OSError as error:
        # The output's, or the kqueue's own (no descriptors left).  Like cat(1), no further file is tried.
        where = f"write error: {error.filename}: " if error.filename else ""
        say(f"knote cat: {where}{error.strerror}")
        return 1
    except ValueError as error:
        say(f"knote cat: {error}")
        return 1


def _parse(arguments: list[str]) -> tuple[list[str], str | None]:
    # argparse costs a third of what starting takes, so only a command line with options pays for it.
    from knote.cli.arguments import Parser

    parser = Parser("cat", _DESCRIPTION, _EXAMPLES, wrong=1)
    parser.add_argument("-u", action="store_true", help="ignored, as POSIX asks: nothing is ever held back")
    parser.add_argument("files", nargs="*", metavar="FILE", help="a path, or - for standard input")
    asked = parser.parse_args(arguments)
    return asked.files or ["-"], asked.engine


