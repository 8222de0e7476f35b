"""Scripts that complete commands, options and their values in a shell, made of the parser."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass

FILES = ("DATA.csv", "FIT.nc", "[NAME=]FIT.nc", "FILE")
FOLDERS = ("DIR",)


@dataclass(frozen=True)
class Value:
    """What follows an option, or stands without one.

    Parameters
    ----------
    called : str
        Such as ``FORMULA``.
    choices : tuple of str
        What is offered; nothing where the user's own words are wanted.
    """

    called: str
    choices: tuple[str, ...]

    @property
    def place(self) -> str:
        """Where to look for what is offered: "files", "folders", or neither, ""."""
        return "files" if self.called in FILES else "folders" if self.called in FOLDERS else ""


@dataclass(frozen=True)
class Word:
    """An option, or with an empty flag what stands without one.

    Parameters
    ----------
    flag : str
    about : str
        The first words of its help.
    values : tuple of Value
    repeated : bool
        Whether it may be given more than once.
    """

    flag: str
    about: str
    values: tuple[Value, ...]
    repeated: bool


Commands = dict[str, tuple[str, list[Word]]]


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell.

    Parameters
    ----------
    parser : ArgumentParser
    shell : str
        "bash", "zsh" or "fish".
    """
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](words_of(parser))


def words_of(parser: argparse.ArgumentParser) -> Commands:
    """What each command does, and its words."""
    made = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    abouts = {action.dest: action.help or "" for action in made._choices_actions}
    return {name: (abouts[name], list(_words(each))) for name, each in made.choices.items()}


def _words(parser: argparse.ArgumentParser) -> Iterator[Word]:
    for action in parser._actions:
        about = re.split(r"[;:] | \(", action.help or "")[0]
        repeated = isinstance(action, argparse._AppendAction) or action.nargs == "+"
        flags = [flag for flag in action.option_strings if flag.startswith("--")]
        for flag in flags or [""]:
            off = isinstance(action, argparse.BooleanOptionalAction) and flag.startswith("--no-")
            words = about.replace("show", "show no") if off else about
            yield Word(flag, words, tuple(_values(action)), repeated)


def _values(action: argparse.Action) -> Iterator[Value]:
    if action.nargs == 0:
        return
    called = action.metavar or action.dest
    choices = tuple(map(str, action.choices or _suggested(action)))
    for name in called if isinstance(called, tuple) else (called,):
        yield Value(name, choices)


def _suggested(action: argparse.Action) -> list[str]:
    """Names that are offered where others may be written too."""
    if action.dest == "family":
        from bayesmix.families import FAMILIES

        return list(FAMILIES)
    if action.dest == "name":
        from bayesmix.datasets import list_data

        return list(list_data()["name"])
    return []


# --- bash ------------------------------------------------------------------------------------


def _bash(commands: Commands) -> str:
    cases = "".join(
        f"    {name})\n{_bash_case(words)}      ;;\n" for name, (_, words) in commands.items()
    )
    return f"""\
# bash completion of bayesmix
_bayesmix_files() {{
  compopt -o default 2>/dev/null || COMPREPLY=($(compgen -f -- "$1"))
}}
_bayesmix_folders() {{
  compopt -o dirnames 2>/dev/null || COMPREPLY=($(compgen -d -- "$1"))
}}
_bayesmix() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  # bash parts --method=nuts into three words.
  if [ "$word" = "=" ]; then
    word=""
  elif [ "$before" = "=" ]; then
    before="${{COMP_WORDS[COMP_CWORD-2]}}"
  fi
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{" ".join(commands)} --help --version" -- "$word"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{cases}  esac
}}
complete -F _bayesmix bayesmix
"""


def _bash_case(words: list[Word]) -> str:
    taking = [word for word in words if word.flag and word.values]
    lines = [f"        {word.flag}) {_bash_offer(word.values[0])}return ;;" for word in taking]
    if lines:
        lines = ['      case "$before" in', *lines, "      esac"]
    flags = " ".join(word.flag for word in words if word.flag)
    free = [_bash_offer(value) for word in words if not word.flag for value in word.values]
    lines += [
        '      case "$word" in',
        f'        -*) COMPREPLY=($(compgen -W "{flags}" -- "$word")) ;;',
        f"        *) {free[0] if free else ''};;",
        "      esac",
    ]
    return "\n".join(lines) + "\n"


def _bash_offer(value: Value) -> str:
    if value.place:
        return f'_bayesmix_{value.place} "$word"; '
    if value.choices:
        return f'COMPREPLY=($(compgen -W "{" ".join(value.choices)}" -- "$word")); '
    return ""


# --- zsh -------------------------------------------------------------------------------------


def _zsh(commands: Commands) -> str:
    names = " ".join(f"{_zsh_quoted(f'{name}:{about}')}" for name, (about, _) in commands.items())
    cases = []
    for name, (_, words) in commands.items():
        specs = " \\\n".join(f"        {_zsh_quoted(_zsh_spec(word))}" for word in words)
        cases.append(f"    {name})\n      _arguments \\\n{specs}\n      ;;\n")
    return f"""\
#compdef bayesmix
_bayesmix() {{
  if (( CURRENT == 2 )); then
    local -a commands
    commands=({names})
    _describe command commands
    compadd -- --help --version
    return
  fi
  local name=$words[2]
  shift words
  (( CURRENT-- ))
  case $name in
{"".join(cases)}  esac
}}
# Read as a file of $fpath it completes; given to `source` it says what it is for.
if [ "$funcstack[1]" = _bayesmix ]; then
  _bayesmix "$@"
else
  compdef _bayesmix bayesmix
fi
"""


def _zsh_spec(word: Word) -> str:
    values = "".join(f":{_zsh_escaped(v.called)}:{_zsh_action(v)}" for v in word.values)
    if not word.flag:
        return f"{'*' if word.repeated else ''}{values}"
    if word.flag == "--help":
        return f"(- *)--help[{_zsh_escaped(word.about)}]"
    equals = "=" if len(word.values) == 1 else ""
    repeated = "*" if word.repeated else ""
    return f"{repeated}{word.flag}{equals}[{_zsh_escaped(word.about)}]{values}"


def _zsh_action(value: Value) -> str:
    if value.choices:
        return f"({' '.join(value.choices)})"
    named = '{compset -P "*="; _files}' if value.called.startswith("[NAME=]") else "_files"
    return {"files": named, "folders": "_path_files -/", "": " "}[value.place]


def _zsh_escaped(text: str) -> str:
    for mark in "\\[]:":
        text = text.replace(mark, f"\\{mark}")
    return text


def _zsh_quoted(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"


# --- fish ------------------------------------------------------------------------------------


def _fish(commands: Commands) -> str:
    lines = [
        "# fish completion of bayesmix",
        "function __bayesmix_first",
        "    test (count (commandline -opc)) -eq 1",
        "end",
        "function __bayesmix_in",
        "    set -l words (commandline -opc)",
        '    test (count $words) -ge 2; and test "$words[2]" = "$argv[1]"',
        "end",
        "complete -c bayesmix -f",
        "complete -c bayesmix -n __bayesmix_first -l help -d 'show the help and exit'",
        "complete -c bayesmix -n __bayesmix_first -l version -d 'show the version and exit'",
    ]
    for name, (about, words) in commands.items():
        lines.append(f"complete -c bayesmix -n __bayesmix_first -a {name} -d {_fish_quoted(about)}")
        for word in words:
            flag = f" -l {word.flag[2:]} -d {_fish_quoted(word.about)}" if word.flag else ""
            values = _fish_values(word)
            if flag or values:
                lines.append(f"complete -c bayesmix -n '__bayesmix_in {name}'{flag}{values}")
    return "\n".join(lines) + "\n"


def _fish_values(word: Word) -> str:
    if not word.values:
        return ""
    value = word.values[0]
    needed = "-r " if word.flag else ""
    if value.choices:
        return f" {needed}-f -a '{' '.join(value.choices)}'"
    if value.place == "files":
        return f" {needed}-F"
    if value.place == "folders":
        return f" {needed}-f -a '(__fish_complete_directories)'"
    return f" {needed}-f" if word.flag else ""


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
