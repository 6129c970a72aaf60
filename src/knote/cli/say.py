"""What the programs say to people: on standard error, at once, whatever became of it."""

from __future__ import annotations

import os


def say(text: str) -> None:
    """Lines on standard error; nothing in them is for a terminal to obey."""
    if not text.isprintable():
        from knote.apps.legible import harmless

        text = harmless(text, but="\n\t")
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
        encoding = sys.stdout.encoding or "utf-8"  # of a StringIO, which takes the place of one, it is None
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # Python would try again at its end, and complain in its own words
        raise OSError(error.errno, error.strerror, "standard output") from None


_OURS = ("-", "standard output")
"""No names of a user's, which a shell would have to read."""


def failure(error: OSError) -> str:
    """'NAME: No such file or directory'."""
    words = error.strerror or str(error)
    if error.filename is None:
        return words
    from knote.apps.legible import quoted

    name = os.fsdecode(error.filename)
    return f"{name if name in _OURS else quoted(name)}: {words}"
