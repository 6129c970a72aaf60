"""What the programs say to people: on standard error, at once, whatever became of it."""

from __future__ import annotations

import os


def say(text: str) -> None:
    """A line on standard error."""
    data = (text + "\n").encode(errors="backslashreplace")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        pass  # closed or full: there is nobody left to tell


def show(text: str) -> None:
    """Text on standard output, at once: an error at exit could no longer be told.  Raises OSError with a filename
    that names it."""
    import sys

    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # Python would try again at its end, and complain in its own words
        raise OSError(error.errno, error.strerror, "standard output") from None


def quoted(name: str) -> str:
    """A file name as a shell would read it: as it is, or in quotes."""
    if name in ("-", "standard output"):
        return name
    import shlex  # and with it re

    return shlex.quote(name)


def failure(error: OSError) -> str:
    """'NAME: No such file or directory'."""
    words = error.strerror or str(error)
    return f"{quoted(os.fsdecode(error.filename))}: {words}" if error.filename else words
