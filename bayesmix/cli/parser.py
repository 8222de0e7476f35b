"""The parser of the command line, made of the table of options."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NoReturn

from bayesmix.cli.options import ARGUMENTS, OPTIONS, formula

USAGE = 2
PARTS = {
    "read": "reading the file",
    "model": "the model",
    "events": "competing events",
    "fit": "the fit",
    "point": "the fit",
    "draws": "the fit",
    "predict": "the predictions",
    "out": "the results",
}
# Texts, in the order of the commands.
TEXTS = tomllib.loads(files(__package__).joinpath("help.toml").read_text("utf-8"))
MODELLING = ("fit", "select", "check")


class _Parser(argparse.ArgumentParser):
    """A parser that reports a usage error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    """Print the version; it is looked up only when requested."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        import bayesmix

        print(f"bayesmix {bayesmix.__version__}")
        parser.exit()


def make_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    form: Any = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="bayesmix",
        description=TEXTS["about"],
        epilog=TEXTS["examples"],
        formatter_class=form,
        allow_abbrev=False,
    )
    parser.set_defaults(parser=parser)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, texts in TEXTS["commands"].items():
        made = commands.add_parser(
            name,
            help=texts["help"],
            description=texts["description"].format_map(TEXTS),
            epilog=texts.get("examples"),
            formatter_class=form,
            allow_abbrev=False,
        )
        made.set_defaults(parser=made)
        _add_arguments(made, name)
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments; formulas may stand between options, which argparse does not expect.

    Raises
    ------
    SystemExit
        Once --help, --version or an error has been answered.
    """
    given, more = make_parser().parse_known_args(argv)
    modelling = given.command in MODELLING
    if more and (not modelling or any(word.startswith("-") for word in more)):
        given.parser.error(f"unrecognized arguments: {' '.join(more)}")
    try:
        given.formula = [*given.formula, *map(formula, more)] if modelling else None
    except argparse.ArgumentTypeError as error:
        given.parser.error(f"argument FORMULA: {error}")
    return given


def _add_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    groups: dict[str, Any] = {"": parser}
    for option in (*ARGUMENTS, *OPTIONS):
        if command not in option.commands.split():
            continue
        title = PARTS.get(option.part, "")
        if title not in groups:
            groups[title] = parser.add_argument_group(title, TEXTS["groups"].get(option.part))
        groups[title].add_argument(option.flag, help=option.help, **option.more)
