"""Stored fits: where they are, what they predict, and what is wrong with them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

import bayesmix as bmx
from bayesmix.cli.options import WHAT
from bayesmix.cli.output import flat, rows_first
from bayesmix.errors import DataError, SpecError

FIT = "fit.nc"


def stored_file(path: str) -> str:
    """The file of a fit, of which the folder may be given.

    Raises
    ------
    DataError
        If the folder holds no fit.
    """
    if not Path(path).is_dir():
        return path
    inside = Path(path) / FIT
    if not inside.exists():
        raise DataError(
            f"the folder {path} holds no {FIT}; give the folder of `bayesmix fit --out`, or a file"
        )
    return str(inside)


def load_fit(path: str) -> Any:
    """A fit from its file or folder.

    Raises
    ------
    SpecError
        If the file holds a model that was not fitted.
    """
    fit = bmx.load(stored_file(path))
    if not hasattr(fit, "membership"):
        raise SpecError(f"{path} holds a model, not a fit; fit it with `bayesmix fit --out`")
    return fit


def named_files(given: list[str]) -> dict[str, str]:
    """Files by name: the one given, else that of the file, its folder or its path."""
    pairs = [_name_and_path(text) for text in given]
    without = [path for name, path in pairs if not name]
    short = dict(zip(without, _short(without), strict=True))
    out: dict[str, str] = {}
    for name, path in pairs:
        called = name or short[path]
        if called in out:
            msg = f"two fits are called {called!r}; give names, as in ML=first.nc Bayes=second.nc"
            raise SpecError(msg)
        out[called] = stored_file(path)
    return out


def _name_and_path(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    return (name, path) if name and path and not Path(text).exists() else ("", text)


def _short(paths: list[str]) -> list[str]:
    """The shortest names of one kind that tell files apart."""
    kinds = ([Path(path).stem for path in paths], [Path(path).parent.name for path in paths])
    return next((names for names in kinds if len(set(names)) == len(names) and all(names)), paths)


def prediction(fit: Any, rows: pd.DataFrame | None, given: argparse.Namespace) -> pd.DataFrame:
    """What the options ask for, one line a row or tidy, with the row first.

    Parameters
    ----------
    fit : PointFit or Posterior
    rows : DataFrame or None
        None: those of the fit's own data.
    given : Namespace
        The options what, by, ci, times, q and tau.

    Raises
    ------
    SpecError
        If an option does not go with the prediction.
    """
    events = hasattr(fit, "event_probabilities")
    what = given.what or ("event" if events else "mean")
    allowed = [
        name for name, (way, *_) in WHAT.items() if name == "membership" or bool(way) == events
    ]
    if what not in allowed:
        kind = "competing events" if events else "a mixture"
        msg = f"--what {what} is not a prediction of {kind}; use one of {', '.join(allowed)}"
        raise SpecError(msg)
    options = _options(what, given)
    if what == "membership":
        table = fit.membership(newdata=rows, rows=True)
    elif events:
        return getattr(fit, WHAT[what][0])(newdata=rows, **options)
    else:
        table = fit.predict(rows, what, **options)
    if isinstance(table, pd.Series):
        table = table.to_frame("estimate")
    return table if "row" in table else rows_first(flat(table))


def _options(what: str, given: argparse.Namespace) -> dict[str, Any]:
    _, takes, needed = WHAT[what]
    options = {
        name: value
        for name in ("by", "ci", "times", "q", "tau")
        if (value := getattr(given, name)) is not None
    }
    wrong = [f"--{name}" for name in options if name not in takes]
    if wrong:
        raise SpecError(f"{', '.join(wrong)} does not go with --what {what}; leave it out")
    if needed and needed not in options:
        raise SpecError(f"--what {what} needs --{needed}, such as --{needed} 1")
    return options
