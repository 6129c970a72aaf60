"""knote completion"""

from __future__ import annotations

from knote.cli.arguments import Parser
from knote.cli.say import say, show

_DESCRIPTION = """\
Print a script that teaches a shell to complete knote's verbs, their options and the files that these take. An
installation has put them where bash, zsh and fish look by themselves; this is for everything else."""

_EXAMPLES = """\
  eval "$(knote completion bash)"                                    for this shell
  knote completion bash >~/.local/share/bash-completion/completions/knote
  knote completion zsh >"${fpath[1]}/_knote"                         then start zsh anew
  knote completion fish >~/.config/fish/completions/knote.fish

It needs shtab: pip install 'knote[pages]'."""


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status."""
    parser = Parser("completion", _DESCRIPTION, _EXAMPLES, engine="")
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "tcsh"), help="which shell")
    asked = parser.parse_args(arguments)
    from knote.cli.pages import completion

    try:
        script = completion(asked.shell)
    except ImportError:
        say("knote completion: shtab, which writes the script, is not installed: pip install 'knote[pages]'")
        return 1
    show(script)
    return 0
