"""knote cat"""

from __future__ import annotations

from knote.cli.say import failure, say

TYPE_CHECKING = False  # typing costs what starting Python does, and an empty file should cost no more
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from knote import kqueue
    from knote.cli.arguments import Parser

_DESCRIPTION = """\
Copy each FILE to standard output, one after the other, driven by kevents. Without FILE, or where FILE is -,
copy standard input. Any kind of file will do: regular, pipe, FIFO, socket, terminal, device. Where the kernel
can move the bytes by itself (splice, sendfile, copy_file_range), it does; holes of a file stay holes in a new
file. SIGUSR1 makes it say how far it has come."""

_EXAMPLES = """\
  knote cat notes.txt                           show a file
  knote cat header - footer <body >page         standard input in the middle
  knote cat --progress disk.img >/mnt/disk.img  rate, percentage and time to come, as pv(1) shows them
  knote cat --limit-rate 2M big | ssh host 'cat >big'
  make 2>&1 | knote cat --tee build.log         show it and keep it, as tee(1) does
  knote cat --json big >copy                    what was copied, how and how fast, on standard error
  kill -USR1 $(pgrep -f 'knote cat')            one line of status on its standard error

The exit status is 0, or 1 if a file could not be read or not everything could be written; as with cat(1)."""


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status, as cat(1)'s."""
    asked = None
    if any(word.startswith("-") and word != "-" for word in arguments):
        asked = _parse(arguments)
    if 1 in closed:
        say("knote cat: standard output: Bad file descriptor")
        return 1
    return _Cat(asked, arguments if asked is None else asked.files, closed).run()


class _Cat:
    """One run."""

    def __init__(self, asked: argparse.Namespace | None, names: list[str], closed: frozenset[int]) -> None:
        from knote.apps.record import Tally

        self._asked = asked
        self._names = names or ["-"]
        self._closed = closed
        self._tally = Tally()
        self._good = True
        self._json = asked is not None and asked.json
        self._finish: Callable[[], None] | None = None

    def run(self) -> int:
        from knote.apps.copy import copy

        asked = self._asked
        if asked is not None and (asked.progress or self._json):
            self._tally.size = _sizes(self._names)
        status = 1
        try:
            done = copy(
                self._usable(),
                engine=None if asked is None else asked.engine,
                complain=self._complain,
                tee=() if asked is None else asked.tee,
                limit=None if asked is None else asked.limit_rate,
                tally=self._tally,
                attend=self._attend,
            )
            status = 0 if done and self._good else 1
        except BrokenPipeError:
            raise
        except OSError as error:
            # The output's, or the kqueue's own (no descriptors left).  Like cat(1), no further file is tried.
            self._tell(error, f"write error: {error.filename}: " if error.filename else "")
        except ValueError as error:
            say(f"knote cat: {error}")
        finally:
            if self._finish is not None:
                self._finish()
        if self._json:
            from knote.cli import status as statuses

            statuses.report(self._tally, status)
        return status

    def _attend(self, queue: kqueue) -> None:
        from knote.cli.status import watch

        progress = self._asked is not None and self._asked.progress
        self._finish = watch(queue, self._tally, progress=progress, as_json=self._json)

    def _usable(self) -> Iterator[str]:
        for name in self._names:
            if name == "-" and 0 in self._closed:
                say("knote cat: -: Bad file descriptor")
                self._good = False
            else:
                yield name

    def _complain(self, error: OSError) -> None:
        self._tell(error, "")

    def _tell(self, error: OSError, before: str) -> None:
        if self._json:
            from knote.cli import status

            status.tell(error)
        else:
            say(f"knote cat: {before}{error.strerror if before or not error.filename else failure(error)}")


def _sizes(names: list[str]) -> int | None:
    """Bytes of all files; None where one has no size that can be known."""
    import os
    import stat

    total = 0
    for name in names:
        try:
            st = os.fstat(0) if name == "-" else os.stat(name)
            if not stat.S_ISREG(st.st_mode):
                return None
            total += st.st_size - (os.lseek(0, 0, os.SEEK_CUR) if name == "-" else 0)
        except OSError:
            pass  # it will be told when its turn comes, and has nothing to add
    return total


def parser() -> Parser:
    """What the command line takes."""
    from knote.cli.arguments import Parser, file, size

    made = Parser("cat", _DESCRIPTION, _EXAMPLES, wrong=1)
    made.add_argument("-u", action="store_true", help="ignored, as POSIX asks: nothing is ever held back")
    made.add_argument("--progress", action="store_true", help="rate, percentage and ETA, per file and in total")
    made.add_argument(
        "--limit-rate", metavar="RATE", type=size, help="bytes a second at most: 500K, 2.5M, 1G (of 1024)"
    )
    file(made.add_argument(
        "--tee", metavar="FILE", nargs="+", action="extend", default=[],
        help="write the same to these, too, each cut to nothing first; -- ends the list",
    ))  # fmt: skip
    made.add_argument("--json", action="store_true", help="what standard error gets, as lines of JSON")
    file(made.add_argument("files", nargs="*", metavar="FILE", help="a path, or - for standard input"))
    return made


def _parse(arguments: list[str]) -> argparse.Namespace:
    # argparse costs a third of what starting takes, so only a command line with options pays for it.
    return parser().parse_args(arguments)
