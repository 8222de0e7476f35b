"""Results as files and as JSON."""

from __future__ import annotations

import errno
import json
import math
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayesmix as bmx
from bayesmix.comparison.scores import is_posterior
from bayesmix.errors import BayesmixError, DataError
from bayesmix.reporting.convergence import fit_warnings

# What `bayesmix fit --out` writes.
NAMES = ("summary", "membership", "predictions", "event_probabilities", "states", "selection")
FILES = (*(f"{name}.csv" for name in NAMES), "fit.nc", "report.html")
FILES += ("membership.parquet", "predictions.parquet")


def write_json(values: Mapping[str, Any]) -> None:
    """One JSON object on standard output; what is missing or infinite is null or a text."""
    print(json.dumps(_plain({"bayesmix": bmx.__version__, **values}), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def write_table(table: pd.DataFrame, file: Path) -> None:
    """Write a table as Parquet or CSV, by the end of the file's name.

    Raises
    ------
    DataError
        If the name ends otherwise.
    OSError
        If it cannot be written.
    """
    kind = file.suffix.lower()
    if kind == ".parquet":
        table.set_axis(table.columns.astype(str), axis=1).to_parquet(file, index=False)
    elif kind == ".csv":
        table.to_csv(file, index=False)
    else:
        msg = f"{file}: predictions are written as CSV or Parquet; end its name in .csv or .parquet"
        raise DataError(msg)


def fit_json(fit: Any) -> dict[str, Any]:
    """A fit: how it ended, its criteria and its summary."""
    names = ("method", "k", "df", "n_obs", "n_units", "n_dropped")
    out: dict[str, Any] = {name: getattr(fit, name) for name in names}
    out["components"] = list(fit.components)
    if is_posterior(fit):
        out |= {"khat": fit.khat}
    else:
        more = ("status", "converged", "iterations", "loglik", "aic", "bic", "bic_units", "icl")
        out |= {name: getattr(fit, name) for name in more}
        out |= {"agreeing_starts": fit.starts.attrs["agreeing"]}
    return out | {"warnings": fit_warnings(fit), "summary": fit.summary().to_dict("records")}


def keep_files(files: Iterable[Path | None], force: bool) -> None:
    """Refuse to replace files that are there, before anything is computed.

    Raises
    ------
    DataError
        If one is there and --force was not given.
    """
    there = [str(file) for file in files if file is not None and file.exists()]
    if there and not force:
        others = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise DataError(f"{there[0]}{others} would be replaced; give --force, or another --out")


def make_folder(folder: Path | None, names: Iterable[str] = FILES, force: bool = False) -> None:
    """Make the folder of --out, before anything is fitted that could not be written there.

    Parameters
    ----------
    folder : Path or None
    names : iterable of str
        Files that will be written there.
    force : bool
        Whether they may be replaced.

    Raises
    ------
    DataError
        If one of the files is there and may not be replaced.
    OSError
        If the folder is a file, or nothing may be written there.
    """
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is a file; --out names a folder", str(folder))
    keep_files((folder / name for name in names), force)
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def write_fit(folder: Path, fit: Any, selection: Any, command: str) -> list[Path]:
    """Write the tables, the fit itself and its report; tables by row of blocks as Parquet.

    Parameters
    ----------
    folder : Path
    fit : PointFit or Posterior
    selection : Selection or None
    command : str
        The command that was run, for the report.
    """
    many = fit.numbers.spec.prepared.stream is not None
    events = hasattr(fit, "event_probabilities")
    tables = {"summary": fit.summary()}
    if many:
        by_row = {"membership": fit.membership} | ({} if events else {"predictions": fit.predict})
        large = [make(to=folder / f"{name}.parquet") for name, make in by_row.items()]
    else:
        tables["membership"] = rows_first(fit.membership())
        tables |= _event_tables(fit) if events else {"predictions": rows_first(flat(fit.predict()))}
        large = []
    if selection is not None:
        tables["selection"] = selection.table
    files = [folder / f"{name}.csv" for name in tables]
    for file, table in zip(files, tables.values(), strict=True):
        table.to_csv(file, index=False)
    fit.save(folder / "fit.nc")
    page = fit.report(folder / "report.html", code=command)
    return [*files, *large, folder / "fit.nc", *page]


def _event_tables(fit: Any) -> dict[str, pd.DataFrame]:
    """Probabilities of the events, by subject and over time."""
    tables = {"event_probabilities": fit.event_probabilities()}
    try:
        tables["states"] = fit.aalen_johansen()
    except BayesmixError as error:
        warnings.warn(f"states.csv is not written: {error}", stacklevel=2)
    return tables


def rows_first(table: pd.DataFrame) -> pd.DataFrame:
    """The index as a first column."""
    return table.reset_index(names=table.index.name or "row").rename_axis(columns=None)


def flat(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of several levels as texts."""
    if table.columns.nlevels == 1:
        return table
    return table.set_axis([" ".join(map(str, c)) for c in table.columns], axis=1)
