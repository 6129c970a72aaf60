"""knote cat"""

from __future__ import annotations

from knote.apps import held
from knote.cli.say import failure, say

TYPE_CHECKING = False  # typing costs what starting Python does, and an empty file should cost no more
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

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
  knote cat --tee copy -- notes.txt             -- ends the files that are written to
  knote cat --json big >copy                    what was copied, how and how fast, on standard error
  kill -USR1 $(pgrep -f 'knote cat')            one line of status on its standard error

The exit status is 0, or 1 if a file could not be read or not everything could be written; as with cat(1)."""


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status, as cat(1)'s."""
    held.hold((held.numbered("USR1"),))
    try:
        if "--json" in arguments or "--progress" in arguments:
            return _run(arguments, closed)  # there is something to say at the end
        return held.interruptible(lambda: _run(arguments, closed))
    finally:
        held.drop()


def _run(arguments: list[str], closed: frozenset[int]) -> int:
    asked = None
    if any(word.startswith("-") and word != "-" for word in arguments):
        asked = _parse(arguments)
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
        self._awake: AbstractContextManager[object] | None = None

    def run(self) -> int:
        if not self._json:
            return self._run()
        from signal import SIGINT, SIGPIPE

        from knote.cli import status as statuses

        status = 1
        try:
            status = self._run()
        except BrokenPipeError:
            status = 128 + SIGPIPE
            raise
        except KeyboardInterrupt:
            status = 128 + SIGINT
            raise
        finally:
            statuses.report(self._tally, status)
        return status

    def _run(self) -> int:
        from knote.apps.copy import copy

        asked = self._asked
        if 1 in self._closed:
            self._tell(_closed("standard output"), "")
            return 1
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
            from knote.apps.legible import plain

            self._tell(error, f"write error: {plain(error.filename)}: " if error.filename else "")
        except ValueError as error:  # the engine
            self._tell(OSError(None, str(error)), "")
        finally:
            if self._awake is not None:
                self._awake.__exit__(None, None, None)
            if self._finish is not None:
                self._finish()
        return status

    def _attend(self, queue: kqueue) -> None:
        from knote.cli.status import watch

        progress = self._asked is not None and self._asked.progress
        if progress or self._json:  # or Ctrl-C ends us at once: see run()
            from knote.apps.signals import awake

            self._awake = awake(queue)
            self._awake.__enter__()
        self._finish = watch(queue, self._tally, progress=progress, as_json=self._json)

    def _usable(self) -> Iterator[str]:
        for name in self._names:
            if name == "-" and 0 in self._closed:
                self._tell(_closed("-"), "")
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
            say(f"knote cat: {before}{error.strerror if before else failure(error)}")


def _closed(name: str) -> OSError:
    """What a descriptor that was closed before we began would say, had /dev/null not taken its place."""
    import errno
    import os

    return OSError(errno.EBADF, os.strerror(errno.EBADF), name)


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
        "--tee", metavar="FILE", nargs="+", action="append", default=[],
        help="write the same to these, too, each cut to nothing first; the list ends with an option or --",
    ))  # fmt: skip
    made.add_argument("--json", action="store_true", help="what standard error gets, as lines of JSON")
    file(made.add_argument("files", nargs="*", metavar="FILE", help="a path, or - for standard input"))
    return made


def _parse(arguments: list[str]) -> argparse.Namespace:
    # argparse costs a third of what starting takes, so only a command line with options pays for it.
    command = parser()
    asked = command.parse_args(arguments)
    before = arguments[: arguments.index("--")] if "--" in arguments else []
    for names in asked.tee:
        if "-" in names:
            command.error("--tee -: that is standard input: name it before --tee, or behind --; a file is ./-")
        if names != before[-len(names) :]:
            for name in names[1:]:
                if name not in asked.files and _full(name):  # an input that is a tee, too, is told by copy()
                    command.error(_doubtful(names[0], name))
    asked.tee = [name for names in asked.tee for name in names]
    return asked


def _doubtful(first: str, name: str) -> str:
    # Who takes --tee for an option with one FILE means an input, and would lose it.
    from knote.apps.legible import quoted

    first, name = quoted(first), quoted(name)
    return (
        f"--tee {first} {name}: {name} is not empty, and would be cut to nothing."
        f" To read it: --tee {first} -- {name}; to write it: --tee {first} --tee {name}"
    )


def _full(name: str) -> bool:
    """Whether something is there to be lost."""
    import os
    import stat

    try:
        found = os.stat(name)
    except OSError:
        return False
    return stat.S_ISBLK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_size > 0)
