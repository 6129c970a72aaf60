"""Names as people read them: what is no print, a terminal may obey, and a line may end with."""

from __future__ import annotations

import os


def quoted(name: str) -> str:
    """As a shell would read it: as it is, or in quotes; what is no print as $'\\n', $'\\033'."""
    if not name.isprintable():
        return plain(name)
    import shlex  # and with it re

    return shlex.quote(name)


def plain(text: str) -> str:
    """As it is where all of it is print, which a space is; else as quoted() has it."""
    return text if text.isprintable() else f"$'{''.join(_quoted(letter) for letter in text)}'"


def harmless(text: str, but: str = "") -> str:
    """A text in which nothing, `but` these letters, is no print."""
    return "".join(letter if letter in but else _octal(letter) for letter in text)


def _quoted(letter: str) -> str:
    if letter in "\\'":
        return "\\" + letter
    return "\\n" if letter == "\n" else _octal(letter)


def _octal(letter: str) -> str:
    if letter.isprintable():
        return letter
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(letter))
