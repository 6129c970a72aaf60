"""Options from a file: what a verb's command line takes, as TOML, and each complaint with its line.

The parser is the one list of options: max-connections = 100 in the file is --max-connections 100, read by the same
action, so a value that the command line refuses is refused here by the same sentence.  What stands on the command
line beats the file.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from knote.cli.arguments import WrongArguments, file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from knote.cli.arguments import Parser

MOST = 1 << 20
"""Bytes of a file: more is no file of options."""
_NOT_HERE = ("help", "config", "check_config")
_NAMED = re.compile(r"--([a-z][a-z-]*)|\b([a-z_]+)=")
_MAY_END = re.compile(r"[\]}]|\"{3}|'{3}")
"""A statement of several lines ends with it."""
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class ConfigError(ValueError):
    """A file that cannot be used; the text begins with FILE:LINE."""


class Setting(NamedTuple):
    """key = value, and the line where it begins."""

    key: str
    value: Any
    line: int


def add_options(parser: Parser) -> None:
    """--config and --check-config."""
    words = "options from here, as TOML: max-connections = 100; the command line beats it"
    file(parser.add_argument("--config", metavar="FILE", help=words))
    parser.add_argument(
        "--check-config", action="store_true", help="say whether the options could be served with, and end"
    )


def parse(parser: Parser, words: Sequence[str], instead: Sequence[tuple[str, ...]] = ()) -> argparse.Namespace:
    """What parse_args() gives, with the file's values where the command line says nothing.  `sources` in it tells
    where values of the file stand: by dest, FILE:LINE.

    instead: groups of dests of which one replaces the others: an address on the command line is not meant beside
    the port in the file.  Ends the program as parse_args() does, with status 2.
    """
    asked = parser.parse_args(words)
    asked.sources = {}
    if asked.config is None:
        return asked
    given = _given(parser, words)
    try:
        found, sources = _values(parser, asked.config)
    except ConfigError as error:
        parser.error(str(error))
    replaced = {dest for group in instead if given & set(group) for dest in group}
    for dest, value in found.items():
        if dest not in given and dest not in replaced:
            setattr(asked, dest, value)
            asked.sources[dest] = sources[dest]
    return asked


def placed(asked: argparse.Namespace, text: str, *dests: str) -> str:
    """The text behind the FILE:LINE of the first of these dests that came from the file, or of the first option
    that it names, as --name or name=."""
    named = [one.replace("-", "_") for pair in _NAMED.findall(text) for one in pair if one]
    for dest in (*dests, *named):
        if dest in asked.sources:
            return f"{asked.sources[dest]}: {text}"
    return text


def _given(parser: Parser, words: Sequence[str]) -> set[str]:
    """The dests that the command line itself sets."""
    actions = parser._actions
    defaults = [action.default for action in actions]
    try:
        for action in actions:
            action.default = argparse.SUPPRESS
        return set(vars(parser.parse_args(words)))
    finally:
        for action, default in zip(actions, defaults, strict=True):
            action.default = default


def _values(parser: Parser, path: str) -> tuple[dict[str, Any], dict[str, str]]:
    actions = _actions(parser)
    found: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in read(path):
        place = f"{path}:{setting.line}"
        action = actions.get(setting.key)
        if action is None:
            raise ConfigError(f"{place}: {_unknown(setting, actions)}")
        try:
            given = parser.check(_words(setting, action))
        except WrongArguments as error:
            raise ConfigError(f"{place}: {error}") from None
        except ValueError as error:
            raise ConfigError(f"{place}: {error}") from None
        found[action.dest] = getattr(given, action.dest)
        sources[action.dest] = place
    return found, sources


def _actions(parser: Parser) -> dict[str, argparse.Action]:
    """By key: a long option's name, or a positional argument's."""
    return {
        (action.option_strings[-1].removeprefix("--") if action.option_strings else action.dest): action
        for action in parser._actions
        if action.dest not in _NOT_HERE and action.help != argparse.SUPPRESS
    }


def _unknown(setting: Setting, actions: dict[str, argparse.Action]) -> str:
    import difflib

    if isinstance(setting.value, dict):
        return f"{setting.key!r} is a table; options stand at the top of the file, as in max-connections = 100"
    near = difflib.get_close_matches(setting.key.replace("_", "-"), actions, 1)
    if near:
        return f"there is no option {setting.key!r}; {near[0]!r} is meant?"
    return f"there is no option {setting.key!r}; there are {', '.join(actions)}"


def _words(setting: Setting, action: argparse.Action) -> list[str]:
    """The command line that says the same.  ValueError for a value of another type."""
    key, value = setting.key, setting.value
    option = action.option_strings[-1] if action.option_strings else ""
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise ValueError(f"{key} is true or false, not {_shown(value)}")
        return [option] if value else []
    many = isinstance(action, argparse._AppendAction) or action.nargs in ("*", "+")
    if isinstance(value, list) and not many:
        raise ValueError(f"{key} is one value, not {_shown(value)}")
    words = []
    for one in value if isinstance(value, list) else [value]:
        word = _word(key, one, action)
        words += [f"{option}={word}"] if option else [word]
    return words if option else ["--", *words]


def _word(key: str, value: Any, action: argparse.Action) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if action.type in (int, float) or getattr(action.type, "number", False):
        if not is_number:
            raise ValueError(f"{key} is a number, not {_shown(value)}")
    elif not (isinstance(value, str) or (is_number and action.type is not None)):
        raise ValueError(f'{key} is a string, as in {key} = "...", not {_shown(value)}')
    return str(value)


def _shown(value: Any) -> str:
    kinds = {bool: "", int: "the number ", float: "the number ", str: "the string ", list: "the list "}
    if isinstance(value, dict):
        return "a table"
    kind = kinds.get(type(value))
    if kind is None:
        return f"a date or time ({value})"
    return kind + (str(value).lower() if isinstance(value, bool) else repr(value))


def read(path: str) -> list[Setting]:
    """What stands in the file, in its order.  Raises ConfigError."""
    import tomllib

    try:
        with open(path, "rb") as stream:
            data = stream.read(MOST + 1)
    except OSError as error:
        raise ConfigError(f"--config {path}: {error.strerror}") from None
    if len(data) > MOST:
        raise ConfigError(f"--config {path}: more than {MOST} bytes are no file of options")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        raise ConfigError(f"{path}:{line}: TOML is UTF-8, and byte 0x{byte:02x} here is not") from None
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}:{_complaint(str(error), text)}") from None
    return [Setting(key, value, line) for line, found in _statements(text) for key, value in found.items()]


def _complaint(said: str, text: str) -> str:
    at = _AT.search(said)
    if at is None or at[1] is None:
        # The end, where a bracket or a quote is missing that was opened before: the last line that has something.
        line = len(text.rstrip().split("\n"))
        return f"{line}: {_AT.sub('', said)} at the end of the file"
    return f"{at[1]}: {said[: at.start()]} (column {at[2]})"


def _statements(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each statement of a file that tomllib takes, and where it begins: tomllib itself tells no lines of values.

    No TOML is read here: a statement is the fewest lines that tomllib takes.  None can be taken before its end,
    since what may go on over a line's end (strings and lists) is not whole without its closing quote or bracket;
    and a line that has none of these is not asked about, or a list of 2000 lines would be read 2000 times.
    """
    import tomllib

    lines = text.replace("\r\n", "\n").split("\n")
    start = 0
    for end in range(1, len(lines) + 1):
        if end - start > 1 and not _MAY_END.search(lines[end - 1]):
            continue
        try:
            found = tomllib.loads("\n".join(lines[start:end]))
        except tomllib.TOMLDecodeError:
            continue
        if found:
            yield start + 1, found
        start = end

