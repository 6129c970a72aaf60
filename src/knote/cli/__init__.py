"""The command: `knote VERB …`.  One file per verb, found by name and imported only when asked for."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing, enum under signal, importlib: each costs a tenth of what starting Python does
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

VERBS = {
    "serve": "a TCP server that answers in upper case, or whatever your function makes of the bytes",
    "cat": "copy files, pipes, sockets and terminals to standard output",
    "connect": "talk to a TCP server from a terminal, a pipe or a file",
    "wait": "wait for files, processes, signals, times, servers: the whole queue from a shell",
    "engines": "the kernel mechanisms that a kqueue can run on, which is taken, and why",
    "completion": "completion of verbs, options and files for bash, zsh, fish, tcsh",
    "caps": "what this kernel and this sandbox give, each 'no' with its reason",
    "bench": "what a kqueue costs here, beside what else could be written, with tables and plots",
}

_USAGE = """\
usage: knote VERB [OPTION...] [ARGUMENT...]

Programs driven by kqueue(2), on Linux.

{verbs}

  knote VERB --help   what a verb takes, with an example
  knote --version     the version, and whether it runs compiled

Example, in two terminals:
  $ knote serve --port 7000
  $ echo hello | knote connect 127.0.0.1 7000
  HELLO
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    closed = _plug()
    try:
        try:
            status = _verb(given, closed)
        except SystemExit as error:  # argparse, after --help or a wrong option
            status = error.code if isinstance(error.code, int) else 1
        return status
    except BrokenPipeError:
        return _die("SIGPIPE")
    except KeyboardInterrupt:
        return _die("SIGINT")
    except OSError as error:
        from knote.cli.say import failure, say

        say(f"knote: {failure(error)}")
        return 1


def _verb(given: list[str], closed: frozenset[int]) -> int:
    name = given[0] if given else ""
    if name in VERBS:
        return int(_module(name).run(given[1:], closed))
    from knote.cli.say import say, show

    if name in ("-h", "--help", "help"):
        if given[1:2] and given[1] in VERBS:
            return _verb([given[1], "--help"], closed)
        show(_usage())
        return 0
    if name in ("-V", "--version"):
        show(_version() + "\n")
        return 0
    if not name:
        say(_usage().rstrip())
    else:
        say(f"knote: {name!r} is no verb; there are {', '.join(VERBS)}. 'knote --help' tells more.")
    return 2


def _module(name: str) -> Any:
    """What runs a verb."""
    return __import__(f"knote.cli.{name}", fromlist=["run"])


def _usage() -> str:
    return _USAGE.format(verbs="\n".join(f"  {name:<11} {text}" for name, text in VERBS.items()))


def _version() -> str:
    import platform

    import knote

    info = knote.build_info()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"knote {knote.__version__} ({info['build']}, {python})"


def _plug() -> frozenset[int]:
    """Which of 0, 1 and 2 were closed; /dev/null is there now, so that no descriptor of ours takes the number and
    receives what is meant for standard output."""
    closed: set[int] = set()
    while True:
        try:
            fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return frozenset(closed)  # a root directory without /dev, or no descriptor left, which will be told
        if fd > 2:
            os.close(fd)
            return frozenset(closed)
        closed.add(fd)


def _die(name: str) -> int:
    """End by the signal itself, as programs in C do: a shell sees 128 + number, and a script that runs us in a
    loop stops at Ctrl-C, which an exit status of 130 would not tell it to."""
    import signal

    number = signal.Signals[name]
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number  # blocked, by whoever started us
