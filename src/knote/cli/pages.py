"""Man pages and completions of every verb, made from their parsers: `python -m knote.cli.pages DIRECTORY`.

What is made lies as it is installed: share/man/man1/, share/bash-completion/completions/ and so on; setup.py does
that for a wheel, `make pages` for a look.  Needs argparse-manpage and shtab (the extra `pages`).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Final

import knote
from knote.cli import VERBS
from knote.cli.arguments import captured

SHELLS: Final = {
    "bash": "share/bash-completion/completions/knote",
    "zsh": "share/zsh/site-functions/_knote",
    "fish": "share/fish/vendor_completions.d/knote.fish",
}
"""Where each looks for completions by itself.  tcsh has no such place."""


def parser_of(verb: str) -> argparse.ArgumentParser:
    """What a verb takes; where that cannot be known here (`bench` away from its benchmark), nothing."""
    module = importlib.import_module(f"knote.cli.{verb}")
    found = captured(lambda words, closed: int(module.run(words, closed)))
    return found or argparse.ArgumentParser(f"knote {verb}", description=f"{VERBS[verb]}.")


def whole() -> argparse.ArgumentParser:
    """The command with all its verbs, as shtab wants it."""
    made = argparse.ArgumentParser("knote", description="Programs driven by kqueue(2), on Linux.")
    made.add_argument("-V", "--version", action="version", version=knote.__version__, help="the version")
    verbs = made.add_subparsers(metavar="VERB")
    for verb, text in VERBS.items():
        parser = parser_of(verb)
        verbs.add_parser(verb, parents=[parser], help=text, description=text, add_help=False)
    return made


def completion(shell: str) -> str:
    """The script for a shell.  Raises ImportError without shtab."""
    import shtab  # type: ignore[import-not-found, import-untyped, unused-ignore]

    return str(shtab.complete(whole(), shell=shell))


def man(verb: str = "") -> str:
    """The page of a verb; knote(1) itself without one.  Raises ImportError without argparse-manpage."""
    from argparse_manpage.manpage import Manpage  # type: ignore[import-not-found, import-untyped, unused-ignore]

    if verb:
        parser: argparse.ArgumentParser = parser_of(verb)
        name, text, others = f"knote-{verb}", VERBS[verb], ["knote"]
    else:
        parser = argparse.ArgumentParser("knote", usage="knote VERB [OPTION...] [ARGUMENT...]", add_help=False)
        name, text, others = "knote", "programs driven by kqueue(2), on Linux", [f"knote-{verb}" for verb in VERBS]
        parser.description = "Each verb has a page of its own: " + "; ".join(
            f"knote-{verb}(1), {words}" for verb, words in VERBS.items()
        )
        parser.epilog = "examples:\n  knote cat --help\n  man knote-cat"
    # argparse-manpage sets the epilog as prose, and ours are lines of a shell.
    head, _, examples = (parser.epilog or "").partition("examples:\n")
    parser.epilog = head or None
    page = Manpage(parser, {"project_name": "knote", "version": knote.__version__, "manual_title": "knote"})
    page.date = ""  # the same input makes the same page
    lines = str(page).splitlines()
    title = f'.TH "{name.upper()}" "1" "" "knote {knote.__version__}" "knote"'
    lines[:3] = [title, ".SH NAME", f"{name} \\- {text}"]
    examples, _, status = examples.partition("\n\nThe exit status ")
    if examples:
        lines += [".SH EXAMPLES", ".nf", *(_literal(line) for line in examples.splitlines()), ".fi"]
    if status:
        lines += [".SH EXIT STATUS", *(_literal(line) for line in f"The exit status {status}".splitlines())]
    lines += [".SH SEE ALSO", ", ".join([*(f"{other}(1)" for other in others), "kqueue(2)"])]
    return "\n".join(lines) + "\n"


def _literal(line: str) -> str:
    """A line as it is: no escape, no request."""
    return "\\&" + line.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")


def write(directory: Path) -> list[Path]:
    """Everything, below a directory; what was written."""
    texts = {f"share/man/man1/knote-{verb}.1": man(verb) for verb in VERBS}
    texts["share/man/man1/knote.1"] = man()
    texts |= {path: completion(shell) for shell, path in SHELLS.items()}
    for name, text in texts.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [directory / name for name in texts]


if __name__ == "__main__":
    print("\n".join(map(str, write(Path(sys.argv[1])))))
