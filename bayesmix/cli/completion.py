"""Scripts that complete commands, options and their values in a shell, made of the parser."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import shtab

FOLDERS = {**shtab.DIRECTORY, "zsh": "_path_files -/"}  # and no files where there are none
# Files with or without NAME= before them, which bash takes apart by itself.
NAMED = {**shtab.FILE, "zsh": "{compset -P '*='; _files}", "fish": ""}
# What is offered for an argument, by what stands for it in the help.
OFFERED = {
    **dict.fromkeys(("DATA.csv", "FIT.nc", "FILE"), shtab.FILE),
    "[NAME=]FIT.nc": NAMED,
    "DIR": FOLDERS,
}
FISH = "complete -c bayesmix -n '_shtab_bayesmix_using report' -F"


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell.

    Parameters
    ----------
    parser : ArgumentParser
        Its actions get what is offered for them.
    shell : str
        "bash", "zsh" or "fish".
    """
    made = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    actions: list[Any] = [action for each in made.choices.values() for action in each._actions]
    for action in actions:
        if action.metavar in OFFERED:
            action.complete = OFFERED[action.metavar]
        else:
            action.choices = action.choices or _suggested(action)
    return f"{shtab.complete(parser, shell)}\n" + (f"{FISH}\n" if shell == "fish" else "")


def _suggested(action: argparse.Action) -> Sequence[str] | None:
    """Names that are offered where others may be written too."""
    if action.dest == "family":
        from bayesmix.families import FAMILIES

        return FAMILIES
    if action.dest == "name":
        from bayesmix.datasets import list_data

        return list(list_data()["name"])
    return None
