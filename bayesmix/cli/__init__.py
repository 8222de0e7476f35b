"""The command line: fits, selections, predictions and reports of data in files."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Sequence

from bayesmix.cli.options import OPTIONS
from bayesmix.cli.parser import make_parser, parse
from bayesmix.errors import BayesmixError, DataError
from bayesmix.estimation.progress import on_screen

__all__ = ["main"]

ERROR, USAGE, INTERRUPTED, CLOSED_PIPE = 1, 2, 130, 141
# Options that messages of the package call by their names in Python.
SPOKEN = ("model", "events", "fit", "point", "draws")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        0: done; 1: the data, the model or the fit have an error; 2: the command was wrong;
        130: interrupted; 141: the reader of the output has gone.

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
            code = _run(sys.argv[1:] if argv is None else argv)
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        # The reader (head, less) has gone; nothing may be written when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except UnicodeEncodeError as error:
        letters = ascii(error.object[error.start : error.end])
        words = f"{letters} cannot be written in {error.encoding}, the encoding in use here"
        return _tell_error(DataError(f"{words}; set PYTHONUTF8=1"))
    except (BayesmixError, OSError) as error:
        return _tell_error(error)
    except KeyboardInterrupt:
        after_the_keys = "\n" if on_screen() else ""  # the terminal shows ^C
        print(f"{after_the_keys}bayesmix: interrupted", file=sys.stderr)
        return INTERRUPTED


def _run(argv: Sequence[str]) -> int:
    try:
        given = parse(argv)
    except SystemExit as done:  # --help, --version or an error has been answered
        return int(done.code or 0)
    if given.command is None:
        make_parser().print_help()
        return 0
    from bayesmix.cli.commands import COMMANDS  # not for --help, which is to be quick

    given.argv = list(argv)
    return COMMANDS[given.command](given) or 0


def _tell_error(error: Exception) -> int:
    message = _as_options(str(error))
    if isinstance(error, OSError) and error.filename is not None:
        message = f"{error.filename}: {error.strerror}"
    print(f"bayesmix: error: {message}", file=sys.stderr)
    return ERROR


def _tell_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"bayesmix: warning: {_as_options(str(message))}", file=sys.stderr)


def _as_options(text: str) -> str:
    """A message in one line, with na_action='drop' as --na-action drop."""
    flags = {option.name: option.flag for option in OPTIONS if option.part in SPOKEN}

    def flag(found: re.Match[str]) -> str:
        value = found[2].strip("'")
        return f"{flags[found[1]]} {value}" if value else flags[found[1]]

    names = "|".join(flags)
    return re.sub(
        rf"\b({names})=('[\w,.:-]+'|-?\d[\d.]*\b|(?=[\s,;.:)]|$))", flag, " ".join(text.split())
    )
