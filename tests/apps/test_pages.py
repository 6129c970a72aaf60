"""Man pages and completions: every verb has them, made from its own parser."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import files
from pathlib import Path

import pytest

from knote.cli import VERBS, main, pages


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, as an installation has it."""
    directory = tmp_path_factory.mktemp("pages")
    written = pages.write(directory)
    assert len(written) == len(VERBS) + 1 + len(pages.SHELLS)
    return directory


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_a_page(verb: str, made: Path) -> None:
    text = (made / f"share/man/man1/knote-{verb}.1").read_text()
    assert f".SH NAME\nknote-{verb} \\- {VERBS[verb]}\n" in text
    for section in ("SYNOPSIS", "DESCRIPTION", "SEE ALSO"):
        assert f".SH {section}\n" in text
    parser = pages.parser_of(verb)
    for action in parser._actions:
        if action.option_strings and action.dest != "help":
            assert action.option_strings[-1].replace("-", "\\-") in text
    assert f"knote-{verb}(1)" in (made / "share/man/man1/knote.1").read_text()


@pytest.mark.parametrize("verb", ["cat", "connect", "wait"])
def test_the_exit_status_is_prose_and_not_an_example(verb: str, made: Path) -> None:
    head, _, text = (made / f"share/man/man1/knote-{verb}.1").read_text().partition("\n.SH EXIT STATUS\n")
    assert text.startswith("\\&The exit status is 0")
    assert head.endswith("\n.fi")


def test_the_command_of_wait_is_in_its_usage(made: Path) -> None:
    assert "COMMAND [ARGUMENT...]" in pages.parser_of("wait").format_usage()
    assert "COMMAND [ARGUMENT...]" in (made / "share/man/man1/knote-wait.1").read_text()


def test_man_takes_them(made: Path) -> None:
    """Where man(1) is: no warning of groff's."""
    for page in sorted((made / "share/man/man1").iterdir()) if shutil.which("man") else ():
        done = subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b""), page.name


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["knote", ""], set(VERBS)),
        (["knote", "c"], {"cat", "connect", "caps", "completion"}),
        (["knote", "cat", "--t"], {"--tee"}),
        (["knote", "connect", "--i"], {"--idle", "--insecure"}),
        (["knote", "completion", "z"], {"zsh"}),
    ],
    ids=" ".join,
)
def test_bash_completes(words: list[str], found: set[str], made: Path) -> None:
    program = f"""
        source {made}/share/bash-completion/completions/knote
        function=$(complete -p knote | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        "$function" knote "${{COMP_WORDS[COMP_CWORD]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", program, "bash", *words], capture_output=True, check=True)
    assert {word.strip() for word in done.stdout.decode().split()} >= found


def test_an_installation_has_them() -> None:
    names = {path.name for path in files("knote") or ()}
    assert {"knote.1", "knote-cat.1", "knote-connect.1", "_knote", "knote.fish"} <= names


def test_the_verb_prints_a_script(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["completion", "zsh"]) == 0
    assert capfd.readouterr().out.startswith("#compdef knote")

    def missing(shell: str) -> str:
        raise ImportError

    monkeypatch.setattr(pages, "completion", missing)
    assert main(["completion", "bash"]) == 1
    assert "pip install 'knote[pages]'" in capfd.readouterr().err


def test_a_verb_that_reads_no_command_line() -> None:
    from knote.cli.arguments import captured

    assert captured(lambda words, closed: 0) is None
