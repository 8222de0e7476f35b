"""Scripts that complete commands and options in a shell, made of the parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

__all__ = ["script"]


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell.

    Parameters
    ----------
    parser : ArgumentParser
    shell : str
        "bash", "zsh" or "fish".
    """
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands_of(parser))


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands."""
    made = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(made.choices)


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, list[str], str]]:
    """Flag, choices and the first words of the help of every option."""
    for action in parser._actions:
        words = (action.help or "").split(";")[0].split("(")[0].strip()
        for flag in action.option_strings:
            if flag.startswith("--"):
                yield flag, [str(c) for c in action.choices or ()], words


def _values(parser: argparse.ArgumentParser) -> list[str]:
    """Choices of what stands without a flag."""
    return [str(c) for a in parser._actions if not a.option_strings for c in a.choices or ()]


def _bash(commands: dict[str, argparse.ArgumentParser]) -> str:
    cases = []
    for name, parser in commands.items():
        options = list(_options(parser))
        words = " ".join([*(flag for flag, _, _ in options), *_values(parser)])
        inner = "".join(
            f'          {flag}) COMPREPLY=($(compgen -W "{" ".join(choices)}" -- "$word")) '
            f"; return ;;\n"
            for flag, choices, _ in options
            if choices
        )
        choice = f'        case "$before" in\n{inner}        esac\n' if inner else ""
        cases.append(f'      {name})\n{choice}        words="{words}" ;;\n')
    return f"""\
# bash completion of bayesmix
_bayesmix() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="{" ".join(commands)} --help --version"
  else
    case "${{COMP_WORDS[1]}}" in
{"".join(cases)}    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _bayesmix bayesmix
"""


def _zsh(commands: dict[str, argparse.ArgumentParser]) -> str:
    cases = []
    for name, parser in commands.items():
        lines = "".join(
            f" \\\n        '{flag}[{_zsh_words(words)}]{_zsh_choices(choices)}'"
            for flag, choices, words in _options(parser)
        )
        values = _values(parser)
        rest = f"'*:value:({' '.join(values)})'" if values else "'*:file:_files'"
        cases.append(f"      {name})\n        _arguments{lines} \\\n        {rest} ;;\n")
    return f"""\
#compdef bayesmix
_bayesmix() {{
  if (( CURRENT == 2 )); then
    compadd {" ".join(commands)} -- --help --version
  else
    local name=$words[2]
    shift words
    (( CURRENT-- ))
    case $name in
{"".join(cases)}    esac
  fi
}}
_bayesmix "$@"
"""


def _zsh_words(words: str) -> str:
    return words.replace("'", "").replace("[", "(").replace("]", ")").replace(":", ",")


def _zsh_choices(choices: list[str]) -> str:
    return f":value:({' '.join(choices)})" if choices else ""


def _fish(commands: dict[str, argparse.ArgumentParser]) -> str:
    lines = [
        "# fish completion of bayesmix",
        "complete -c bayesmix -n __fish_use_subcommand -f -l version",
    ]
    for name, parser in commands.items():
        lines.append(f"complete -c bayesmix -n __fish_use_subcommand -f -a {name}")
        inside = f"complete -c bayesmix -n '__fish_seen_subcommand_from {name}'"
        for flag, choices, words in _options(parser):
            what = f" -x -a '{' '.join(choices)}'" if choices else ""
            text = words.replace("\\", "").replace("'", "")
            lines.append(f"{inside} -l {flag[2:]}{what} -d '{text}'")
        if _values(parser):
            lines.append(f"{inside} -f -a '{' '.join(_values(parser))}'")
    return "\n".join(lines) + "\n"
