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
    write_fit,
    write_json,
    write_table,
)
from bayesmix.cli.parser import make_parser
from bayesmix.cli.reading import called, column_lines, columns_read, in_blocks, read_table
from bayesmix.cli.stored import load_fit, named_files, prediction
from bayesmix.errors import BayesmixError, SpecError
from bayesmix.formula.calls import is_surv
from bayesmix.formula.tokens import parted
from bayesmix.reporting.convergence import fit_warnings

# What a command gives back is the exit code; None is 0.
Command = Callable[[argparse.Namespace], int | None]


def fit(given: argparse.Namespace) -> None:
    """Fit a model, show it, and write its files."""
    inputs = read(given)
    make_folder(given.out, force=given.force)
    made, selection = modelling.fit(given, inputs["spec"])
    out, command = given.out, shlex.join(["bayesmix", *given.argv])
    files = [] if out is None else write_fit(out, made, selection, command)
    table = {} if selection is None else {"selection": selection.table.to_dict("records")}
    texts = [] if selection is None else [_chosen(given, selection)]
    _answer(
        given,
        lambda: read_json(given, inputs) | table | {"fit": fit_json(made), **_names(files)},
        lambda: "\n\n".join([read_text(given, inputs), *texts, repr(made), *_written(files)]),
    )


def select(given: argparse.Namespace) -> None:
    """Fit a model with several numbers of components and show their criteria."""
    inputs = read(given)
    make_folder(given.out, ["selection.csv"], given.force)
    selection = modelling.select(given, inputs["spec"])
    files = [] if given.out is None else [given.out / "selection.csv"]
    for file in files:
        selection.table.to_csv(file, index=False)
    best = {by: selection.best(by).k_requested for by in ("bic", "bic_units", "aic", "icl")}
    found = {"selection": selection.table.to_dict("records"), "best": best}
    text = _chosen(given, selection)
    _answer(
        given,
        lambda: read_json(given, inputs) | found | _names(files),
        lambda: "\n\n".join([read_text(given, inputs), text, *_written(files)]),
    )


def _answer(
    given: argparse.Namespace, parts: Callable[[], dict[str, Any]], text: Callable[[], str]
) -> None:
    """Write what a command found: as JSON, or for a reader."""
    if given.json:
        write_json({"command": given.command, **parts()})
    else:
        print(text())


def _names(files: Sequence[Path]) -> dict[str, list[str]]:
    return {"files": [str(file) for file in files]}


def _written(files: Sequence[Path]) -> list[str]:
    return ["\n".join(["written", *(f"  {file}" for file in files)])] if files else []


def _chosen(given: argparse.Namespace, selection: Any) -> str:
    """The selection, and which number of components it chooses."""
    by = given.by or "bic"
    best = selection.best(by).k_requested
    words = f"{by.upper().replace('_', ' by ')} is lowest for k = {best}."
    return f"{selection!r}\n\n{words}"


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


def read_text(given: argparse.Namespace, inputs: dict[str, Any]) -> str:
    """How the data were read: a line for the file, one for each column."""
    data, used = inputs["data"], inputs["used"]
    unused = [str(name) for name in data if name not in used]
    head = f"{called(given.data)}: {inputs['rows']} rows"
    if inputs["rows"] > len(data):
        head += f", of which {len(data)} are described here"
    return "\n".join([head, *column_lines(data[used], unused)])


def read_json(given: argparse.Namespace, inputs: dict[str, Any]) -> dict[str, Any]:
    """How the data were read, for ``--json``."""
    data = inputs["data"]
    columns = columns_read(data[inputs["used"]])
    about = {"file": given.data, "rows": inputs["rows"], "columns": columns}
    return {"formulas": given.formula, "data": about}


def predict(given: argparse.Namespace) -> None:
    """Predict rows from a stored fit."""
    keep_files([given.out], given.force)
    fit = load_fit(given.fit)
    rows = given.data and read_table(given.data, given.sep, given.levels or [], given.decimal)
    table = prediction(fit, rows, given)
    if given.json:
        write_json({"command": "predict", "predictions": table.to_dict("records")})
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
    _answer(
        given,
        lambda: {"problems": found, "fit": fit_json(fit)},
        lambda: f"{fit!r}\n\n{_problems(found)}",
    )
    return int(bool(found))


def _check_model(given: argparse.Namespace) -> int:
    """Everything that can be said before a fit, and what is wrong in one list."""
    data = read_table(given.data, given.sep, given.levels or [], given.decimal)
    lines = [f"{called(given.data)}: {len(data)} rows", *column_lines(data, [])]
    problems: list[str] = []
    if is_surv(parted(given.formula[0])[0]):
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
    _answer(
        given,
        lambda: {"columns": columns_read(data), "problems": problems},
        lambda: "\n".join([*lines, "", _problems(problems)]),
    )
    return int(bool(problems))


def _problems(found: Sequence[str]) -> str:
    return "\n".join([f"problem: {text}" for text in found] or ["No problems."])


def report(given: argparse.Namespace) -> None:
    """Write stored fits as a page."""
    keep_files([given.out, *(given.tables.glob("*") if given.tables else ())], given.force)
    fits = {name: bmx.load(path) for name, path in named_files(given.fits).items()}
    files = bmx.report(fits, given.out, title=given.title, tables=given.tables)
    _answer(given, lambda: _names(files), lambda: "\n".join(map(str, files)))


def data(given: argparse.Namespace) -> None:
    """List the datasets, or show one."""
    width = max(40, min(100, shutil.get_terminal_size().columns))
    if given.csv and given.json:
        raise SpecError("--csv and --json contradict each other; give one of them")
    if given.name is None:
        if given.csv:
            raise SpecError("--csv writes one dataset: give its name; bayesmix data lists them")
        table = bmx.list_data()
        _answer(given, lambda: {"datasets": table.to_dict("records")}, lambda: list_text(width))
        return
    frame = bmx.load_data(given.name)
    if given.csv:
        frame.to_csv(sys.stdout, index=False)
        return
    about = {"name": given.name, "rows": len(frame), "columns": columns_read(frame)}
    _answer(
        given,
        lambda: about | {"source": frame.attrs["source"]},
        lambda: dataset_text(given.name, width),
    )


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
