"""The command line: `bayesmix demo` and `bayesmix data`."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from bayesmix.errors import BayesmixError

__all__ = ["main"]

ERROR, USAGE, INTERRUPTED, CLOSED_PIPE = 1, 2, 130, 141
HEAD = 6

ABOUT = "Finite mixtures of regressions from a formula."
EXAMPLES = """\
examples:
  bayesmix demo                    fit two published examples, with pictures
  bayesmix data                    list the datasets that come with bayesmix
  bayesmix data patent             describe one and show its first rows

Models of your own are fitted from Python:
  import bayesmix as bmx
  fit = bmx.Mixture("y ~ x", data, family="poisson", k=2).fit("em", seed=1)
"""


class _Parser(argparse.ArgumentParser):
    """A parser that tells a usage error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        0: done; 1: it could not be done; 2: the command was wrong.

    Examples
    --------
    >>> main(["data", "fabricfault"])  # doctest: +ELLIPSIS
    fabricfault: 32 rows, 2 columns
    ...
    0
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _tell_warning
            code = _run(argv)
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        # The reader (head, less) has gone; nothing may be written when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except (BayesmixError, OSError) as error:
        return _tell_error(error)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(argv: Sequence[str] | None) -> int:
    parser = make_parser()
    try:
        given = parser.parse_args(argv)
    except SystemExit as done:  # argparse has answered --help, --version or an error
        return int(done.code or 0)
    if given.command is None:
        parser.print_help()
        return 0
    if given.command == "demo":
        from bayesmix.demo import run

        run(given.out, given.seed, print)
    elif given.name is None:
        print(list_text(_width()))
    else:
        print(dataset_text(given.name, _width()))
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = _Parser(
        prog="bayesmix",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    demo = commands.add_parser(
        "demo",
        help="fit two published examples, with pictures",
        description="Fit two published examples, explain them and save their pictures. "
        "Takes ten seconds to a minute, most of it to sample a posterior.",
    )
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("demo-output"),
        metavar="DIR",
        help="folder for the pictures, made if it is not there (default: %(default)s)",
    )
    demo.add_argument(
        "--seed",
        type=_seed,
        default=1,
        metavar="N",
        help="seed of the random starts (default: %(default)s)",
    )
    data = commands.add_parser(
        "data",
        help="list the datasets, or show one",
        description="List the datasets that come with bayesmix, or describe one and show its "
        "first rows.",
    )
    data.add_argument("name", nargs="?", metavar="NAME", help="a dataset; leave out for the list")
    return parser


class _Version(argparse.Action):
    """Print the version; it is looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        import bayesmix

        print(f"bayesmix {bayesmix.__version__}")
        parser.exit()


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; use a whole number such as 1")
    return int(text)


def _width() -> int:
    return max(40, min(100, shutil.get_terminal_size().columns))


def list_text(width: int) -> str:
    """A line for each dataset, its description wrapped.

    Parameters
    ----------
    width : int
        Columns of the terminal.
    """
    from bayesmix.data import list_data

    table = list_data()
    widest = max(len(name) for name in table["name"])
    lines = [f"{'name':<{widest}}  rows  description"]
    for name, rows, words in table[["name", "rows", "description"]].itertuples(index=False):
        lines.append(_hanging(f"{name:<{widest}}  {rows:>4}  ", words, width))
    return "\n".join([*lines, "", "bayesmix data NAME shows one."])


def dataset_text(name: str, width: int) -> str:
    """What a dataset is, its columns and its first rows.

    Raises
    ------
    DataError
        If there is no dataset of that name.
    """
    from bayesmix.data import describe_data, load_data

    frame, columns = load_data(name), describe_data(name)
    widest = max(len(column) for column in columns["column"])
    lines = [
        f"{frame.attrs['name']}: {len(frame)} rows, {len(frame.columns)} columns",
        "",
        textwrap.fill(frame.attrs["description"], width),
        textwrap.fill(f"Source: {frame.attrs['source']}", width),
        "",
    ]
    for column, meaning, unit, levels in columns.itertuples(index=False):
        words = meaning + (f" ({unit})" if unit else "") + (f"; levels {levels}" if levels else "")
        lines.append(_hanging(f"  {column:<{widest}}  ", words, width))
    head = frame.head(HEAD).to_string(line_width=width)
    return "\n".join([*lines, "", head, "", f'In Python: bmx.load_data("{frame.attrs["name"]}")'])


def _hanging(start: str, words: str, width: int) -> str:
    """The words after a start, later lines indented below the first."""
    return textwrap.fill(words, width, initial_indent=start, subsequent_indent=" " * len(start))


def _tell_error(error: Exception) -> int:
    message = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename is not None:
        message = f"{error.filename}: {error.strerror}"
    print(f"bayesmix: error: {message}", file=sys.stderr)
    return ERROR


def _tell_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"bayesmix: warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
