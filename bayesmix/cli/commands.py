"""What every command does."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import bayesmix as bmx
from bayesmix.cli import modelling
from bayesmix.cli.completion import script
from bayesmix.cli.datasets import dataset_text, list_text
from bayesmix.cli.output import (
    fit_json,
    keep_files,
    make_folder,
    records,
    write_fit,
    write_json,
    write_table,
)
from bayesmix.cli.parser import make_parser
from bayesmix.cli.reading import called, column_lines, columns_read, in_blocks, read_table
from bayesmix.cli.stored import load_fit, named_files, prediction
from bayesmix.errors import BayesmixError, SpecError
from bayesmix.formula.calls import is_surv
from bayesmix.reporting.convergence import fit_warnings

# What a command gives back is the exit code; None is 0.
Command = Callable[[argparse.Namespace], int | None]


def fit(given: argparse.Namespace) -> None:
    """Fit a model, show it, and write its files."""
    inputs = read(given)
    make_folder(given.out, force=given.force)
    made, selection = modelling.fit(given, inputs["spec"])
    files: list[Path] = []
    if given.out is not None:
        files = write_fit(given.out, made, selection, _command(given))
    if given.json:
        chosen = {} if selection is None else {"selection": records(selection.table)}
        parts = {**read_json(given, inputs), **chosen, "fit": fit_json(made)}
        write_json({**parts, "files": [str(file) for file in files]})
        return
    print("\n".join(read_lines(given, inputs)))
    if selection is not None:
        print(f"\n{selection!r}\n\n{_chosen(given, selection)}")
    print(f"\n{made!r}")
    if files:
        print("\nwritten\n" + "\n".join(f"  {file}" for file in files))


def select(given: argparse.Namespace) -> None:
    """Fit a model with several numbers of components and show their criteria."""
    inputs = read(given)
    make_folder(given.out, ["selection.csv"], given.force)
    selection = modelling.select(given, inputs["spec"])
    table = selection.table
    files = []
    if given.out is not None:
        files = [given.out / "selection.csv"]
        table.to_csv(files[0], index=False)
    if given.json:
        best = {by: selection.best(by).k_requested for by in ("bic", "bic_units", "aic", "icl")}
        parts = {**read_json(given, inputs), "selection": records(table), "best": best}
        write_json({**parts, "files": [str(file) for file in files]})
        return
    print("\n".join(read_lines(given, inputs)))
    print(f"\n{selection!r}\n\n{_chosen(given, selection)}")
    if files:
        print(f"\nwritten\n  {files[0]}")


def _chosen(given: argparse.Namespace, selection: Any) -> str:
    by = given.by or "bic"
    best = selection.best(by).k_requested
    return f"{by.upper().replace('_', ' by ')} is lowest for k = {best}."


def read(given: argparse.Namespace) -> dict[str, Any]:
    """The data and the model, with the columns that it does not use."""
    data: Any = given.data
    if not in_blocks(data):
        data = read_table(data, given.sep, given.levels or [], given.decimal)
    elif given.levels or given.sep or given.decimal:
        msg = "--levels, --sep and --decimal are not for files of so many rows; leave them out"
        raise SpecError(msg)
    spec = modelling.make_model(given, data)
    prepared = spec.spec.prepared
    if isinstance(data, str):  # many rows, of which a sample stands for all
        data = prepared.table
    names = [name for name in data if name in (*prepared.columns, prepared.labels_column)]
    n = spec.spec.rows.n + prepared.n_dropped
    return {"data": data, "spec": spec, "used": names, "rows": n}


def read_lines(given: argparse.Namespace, inputs: dict[str, Any]) -> list[str]:
    """How the data were read: a line for the file, one for each column."""
    data, used = inputs["data"], inputs["used"]
    unused = [str(name) for name in data if name not in used]
    head = f"{called(given.data)}: {inputs['rows']} rows"
    if inputs["rows"] > len(data):
        head += f", of which {len(data)} are described here"
    return [head, *column_lines(data[used], unused)]


def read_json(given: argparse.Namespace, inputs: dict[str, Any]) -> dict[str, Any]:
    """How the data were read, for ``--json``."""
    data = inputs["data"]
    columns = columns_read(data[inputs["used"]])
    return {
        "command": given.command,
        "formulas": given.formula,
        "data": {"file": given.data, "rows": inputs["rows"], "columns": columns},
    }


def _command(given: argparse.Namespace) -> str:
    return shlex.join(["bayesmix", *given.argv])


def predict(given: argparse.Namespace) -> None:
    """Predict rows from a stored fit."""
    keep_files([given.out], given.force)
    fit = load_fit(given.fit)
    rows = given.data and read_table(given.data, given.sep, given.levels or [], given.decimal)
    table = prediction(fit, rows, given)
    if given.json:
        write_json({"command": "predict", "predictions": records(table)})
    elif given.out is None:
        table.to_csv(sys.stdout, index=False)
    if given.out is not None:
        write_table(table, given.out)
        if not given.json:
            print(f"{given.out}: {len(table)} rows, columns {', '.join(map(str, table))}")


def check(given: argparse.Namespace) -> int:
    """Check data and a model, or a stored fit."""
    if given.formula:
        return _check_model(given)
    fit = load_fit(given.data)
    found = fit_warnings(fit)
    if given.json:
        write_json({"command": "check", "problems": found, "fit": fit_json(fit)})
    else:
        print(f"{fit!r}\n")
        _print_problems(found)
    return int(bool(found))


def _check_model(given: argparse.Namespace) -> int:
    """Everything that can be said before a fit, and what is wrong in one list."""
    data = read_table(given.data, given.sep, given.levels or [], given.decimal)
    lines = [f"{called(given.data)}: {len(data)} rows", *column_lines(data, [])]
    problems: list[str] = []
    if is_surv(given.formula[0].partition("~")[0]):
        table = modelling.check_rows(given, data)
        lines += ["", table.table.to_string(index=False)]
        lines += ["", *(f"note: {note}" for note in table.notes)] if table.notes else []
        problems = table.problems
    try:
        rows_only = given.event is not None and given.family is None
        if not problems and not rows_only:
            lines += ["", repr(modelling.make_model(given, data))]
    except BayesmixError as error:
        problems = [str(error)]
    if given.json:
        columns = columns_read(data)
        write_json({"command": "check", "columns": columns, "problems": problems})
    else:
        print("\n".join([*lines, ""]))
        _print_problems(problems)
    return int(bool(problems))


def _print_problems(problems: Sequence[str]) -> None:
    print("\n".join([f"problem: {text}" for text in problems] or ["No problems."]))


def report(given: argparse.Namespace) -> None:
    """Write stored fits as a page."""
    keep_files([given.out, *(given.tables.glob("*") if given.tables else ())], given.force)
    fits = {name: bmx.load(path) for name, path in named_files(given.fits).items()}
    files = bmx.report(fits, given.out, title=given.title, tables=given.tables)
    if given.json:
        write_json({"command": "report", "files": [str(file) for file in files]})
    else:
        print("\n".join(str(file) for file in files))


def data(given: argparse.Namespace) -> None:
    """List the datasets, or show one."""
    if given.csv and given.json:
        raise SpecError("--csv and --json contradict each other; give one of them")
    if given.name is None:
        if given.csv:
            raise SpecError("--csv writes one dataset: give its name; bayesmix data lists them")
        table = bmx.list_data()
        if given.json:
            write_json({"command": "data", "datasets": records(table)})
        else:
            print(list_text(_width()))
        return
    frame = bmx.load_data(given.name)
    if given.csv:
        frame.to_csv(sys.stdout, index=False)
    elif given.json:
        parts = {"name": given.name, "rows": len(frame), "columns": columns_read(frame)}
        write_json({"command": "data", **parts, "source": frame.attrs["source"]})
    else:
        print(dataset_text(given.name, _width()))


def _width() -> int:
    return max(40, min(100, shutil.get_terminal_size().columns))


def demo(given: argparse.Namespace) -> None:
    """Run the demonstration."""
    keep_files(given.out.glob("*.png"), given.force)
    from bayesmix.cli.demo import run

    run(given.out, given.seed, print)


def warm(_given: argparse.Namespace) -> None:
    """Compile the kernels."""
    from bayesmix.kernels import warm

    warm()
    print("The kernels are compiled: fits use them from now on.")


def completion(given: argparse.Namespace) -> None:
    """Print completions for a shell."""
    print(script(make_parser(), given.shell), end="")


COMMANDS: dict[str, Command] = {
    "fit": fit,
    "select": select,
    "predict": predict,
    "check": check,
    "report": report,
    "data": data,
    "demo": demo,
    "warm": warm,
    "completion": completion,
}
