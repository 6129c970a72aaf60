"""What the programs say to people: on standard error, at once, whatever became of it."""

from __future__ import annotations

import os
import shlex


def say(text: str) -> None:
    """A line on standard error."""
    data = (text + "\n").encode(errors="backslashreplace")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        pass  # closed or full: there is nobody left to tell


def quoted(name: str) -> str:
    """A file name as a shell would read it: as it is, or in quotes."""
    return name if name == "-" else shlex.quote(name)


def failure(error: OSError) -> str:
    """'NAME: No such file or directory'."""
    words = error.strerror or str(error)
    return f"{quoted(os.fsdecode(error.filename))}: {words}" if error.filename else words
