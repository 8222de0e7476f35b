"""What every command does."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bayesmix as bmx
from bayesmix.cli import modelling
from bayesmix.cli.completion import script
from bayesmix.cli.datasets import dataset_text, list_text
from bayesmix.cli.output import fit_json, make_folder, records, write_fit, write_json
from bayesmix.cli.parser import make_parser
from bayesmix.cli.reading import called, column_lines, columns_read, read_csv
from bayesmix.errors import SpecError

__all__ = ["COMMANDS"]

Command = Callable[[argparse.Namespace], None]


def fit(given: argparse.Namespace) -> None:
    """Fit a model, show it, and write its files."""
    told = _read(given)
    make_folder(given.out)
    made, selection = modelling.fit(given, told["spec"])
    files: list[Path] = []
    if given.out is not None:
        files = write_fit(given.out, made, selection, _command(given))
    if given.json:
        chosen = {} if selection is None else {"selection": records(selection.table)}
        parts = {**_read_json(given, told), **chosen, "fit": fit_json(made)}
        write_json({**parts, "files": [str(file) for file in files]})
        return
    print("\n".join(_read_lines(given, told)))
    if selection is not None:
        print(f"\n{selection!r}\n\n{_chosen(given, selection)}")
    print(f"\n{made!r}")
    if files:
        print("\nwritten\n" + "\n".join(f"  {file}" for file in files))


def select(given: argparse.Namespace) -> None:
    """Fit a model with several numbers of components and show their criteria."""
    told = _read(given)
    make_folder(given.out)
    selection = modelling.select(given, told["spec"])
    table = selection.table
    files = []
    if given.out is not None:
        files = [given.out / "selection.csv"]
        table.to_csv(files[0], index=False)
    if given.json:
        best = {by: selection.best(by).k_requested for by in ("bic", "bic_units", "aic", "icl")}
        parts = {**_read_json(given, told), "selection": records(table), "best": best}
        write_json({**parts, "files": [str(file) for file in files]})
        return
    print("\n".join(_read_lines(given, told)))
    print(f"\n{selection!r}\n\n{_chosen(given, selection)}")
    if files:
        print(f"\nwritten\n  {files[0]}")


def _chosen(given: argparse.Namespace, selection: Any) -> str:
    by = given.by or "bic"
    best = selection.best(by).k_requested
    return f"{by.upper().replace('_', ' by ')} is lowest for k = {best}."


def _read(given: argparse.Namespace) -> dict[str, Any]:
    """The data and the model, with the columns that it does not use."""
    data = read_csv(given.data, given.sep, given.levels or [], given.decimal)
    spec = modelling.make_model(given, data)
    used = spec.spec.prepared.columns
    labels = [spec.spec.prepared.labels_column]
    names = [name for name in data if name in (*used, *labels)]
    return {"data": data, "spec": spec, "used": names}


def _read_lines(given: argparse.Namespace, told: dict[str, Any]) -> list[str]:
    data, used = told["data"], told["used"]
    unused = [str(name) for name in data if name not in used]
    head = f"{called(given.data)}: {len(data)} rows"
    return [head, *column_lines(data[used], unused)]


def _read_json(given: argparse.Namespace, told: dict[str, Any]) -> dict[str, Any]:
    data = told["data"]
    columns = columns_read(data[told["used"]])
    return {
        "command": given.command,
        "formulas": given.formula,
        "data": {"file": given.data, "rows": len(data), "columns": columns},
    }


def _command(given: argparse.Namespace) -> str:
    return shlex.join(["bayesmix", *given.argv])


def report(given: argparse.Namespace) -> None:
    """Write stored fits as a page."""
    fits = {name: bmx.load(path) for name, path in _named(given.fits).items()}
    files = bmx.report(fits, given.out, title=given.title, tables=given.tables)
    if given.json:
        write_json({"command": "report", "files": [str(file) for file in files]})
    else:
        print("\n".join(str(file) for file in files))


def _named(given: list[str]) -> dict[str, str]:
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
        out[called] = path
    return out


def _name_and_path(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    return (name, path) if name and path and not Path(text).exists() else ("", text)


def _short(paths: list[str]) -> list[str]:
    """The shortest names of one kind that tell files apart."""
    kinds = ([Path(path).stem for path in paths], [Path(path).parent.name for path in paths])
    return next((names for names in kinds if len(set(names)) == len(names) and all(names)), paths)


def data(given: argparse.Namespace) -> None:
    """List the datasets, or show one."""
    if given.csv and given.json:
        msg = "--csv and --json contradict each other; give one of them"
        raise SpecError(msg)
    if given.name is None:
        if given.csv:
            msg = "--csv writes one dataset: give its name; bayesmix data lists them"
            raise SpecError(msg)
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
        told = {"name": given.name, "rows": len(frame), "columns": columns_read(frame)}
        write_json({"command": "data", **told, "source": frame.attrs["source"]})
    else:
        print(dataset_text(given.name, _width()))


def _width() -> int:
    return max(40, min(100, shutil.get_terminal_size().columns))


def demo(given: argparse.Namespace) -> None:
    """Run the demonstration."""
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
    "report": report,
    "data": data,
    "demo": demo,
    "warm": warm,
    "completion": completion,
}
