"""Tables of a report as CSV and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.files import write_whole
from bayesmix.reporting.blocks import Block, Choice, Details, Section, Table

MINUS = "\N{MINUS SIGN}"
# A number, a bound such as "<0.001", or an interval.
ONE = rf"(< ?)?{MINUS}?(\d[\d.,]*(e[+{MINUS}]?\d+)?|\N{{INFINITY}})"
NUMERIC = re.compile(f"{ONE}( to {ONE})?")


def number(value: Any, digits: int = 4) -> str:
    """A number to some significant digits; empty if missing."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return str(value).replace("-", MINUS)
    if not isinstance(value, float | np.floating):
        return str(value)
    if np.isinf(value):
        return "\N{INFINITY}" if value > 0 else f"{MINUS}\N{INFINITY}"
    large = 10**digits <= abs(float(value)) < 1e9
    text = f"{value:.2f}" if large else f"{value:.{digits}g}"
    return text.replace("-", MINUS)


def fixed(value: float, decimals: int = 2) -> str:
    """A number with this number of decimals; empty if missing."""
    if np.isnan(value):
        return ""
    text = f"{value:.{decimals}f}"
    return (text if float(text) else text.lstrip("-")).replace("-", MINUS)


def interval(lower: Any, upper: Any) -> str:
    """An interval as text; empty if an end is missing."""
    ends = [number(float(v)) for v in (lower, upper)]
    return f"{ends[0]} to {ends[1]}" if all(ends) else ""


def with_interval(name: str, numbers: pd.DataFrame) -> dict[str, list[str]]:
    """Columns as text of estimates and of their intervals.

    Parameters
    ----------
    name : str
        Of the column of estimates; that of intervals adds to it.
    numbers : DataFrame
        Estimates, lower and upper ends.
    """
    found = numbers.to_numpy(dtype=float)
    return {
        name: [number(value) for value in found[:, 0]],
        f"{name}, 95% interval": [interval(*ends) for ends in found[:, 1:]],
    }


def rounded(table: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """The table with some of its columns to two decimals, as text."""
    return table.assign(**{name: [fixed(v) for v in table[name]] for name in columns})


def plural(count: float, word: str) -> str:
    """A count with its noun."""
    shown = f"{count:,.0f}" if float(count).is_integer() else f"{count:g}"
    return f"{shown} {word}" if count == 1 else f"{shown} {word}s"


def is_numeric(column: pd.Series) -> bool:
    """Whether a column has numbers, also if they are written as text."""
    if pd.api.types.is_numeric_dtype(column):
        return True
    texts = [str(v) for v in column if str(v)]
    return bool(texts) and all(NUMERIC.fullmatch(text) for text in texts)


LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    MINUS: r"$-$",
    "\N{INFINITY}": r"$\infty$",
}


def tables_of(blocks: Iterable[Block | Section]) -> Iterator[Table]:
    """All tables of some blocks or sections, also those behind a line that opens them."""
    for block in blocks:
        if isinstance(block, Table):
            yield block
        elif isinstance(block, Section | Details):
            yield from tables_of(block.blocks)
        elif isinstance(block, Choice):
            yield from tables_of(inner for _, own in block.options for inner in own)


def write_tables(folder: Path, tables: Iterable[Table]) -> list[Path]:
    """Write every table as CSV, all digits, and as LaTeX, as the page shows it.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    tables : iterable of Table
    """
    folder.mkdir(parents=True, exist_ok=True)
    out: list[Path] = []
    for table in tables:
        stem = _free(re.sub(r"[^\w.-]+", "-", table.name), {file.stem for file in out})
        out += [folder / f"{stem}.csv", folder / f"{stem}.tex"]
        write_whole(out[-2], table.frame.to_csv(index=False).encode(), out[-2].name)
        shown = table.frame if table.shown is None else table.shown
        write_whole(out[-1], latex_table(shown, table.caption).encode(), out[-1].name)
    return out


def _free(stem: str, taken: set[str]) -> str:
    """A name of a file that no other table has."""
    names = (stem if n == 1 else f"{stem}-{n}" for n in count(1))
    return next(name for name in names if name not in taken)


def latex_table(frame: pd.DataFrame, caption: str) -> str:
    """A table in LaTeX, with the rules of the package booktabs."""
    numeric = [is_numeric(frame.iloc[:, j]) for j in range(frame.shape[1])]
    columns = "".join("r" if n else "l" for n in numeric)
    head = " & ".join(map(escape, frame.columns))
    rows = (
        " & ".join(escape(number(v)) for v in row) + r" \\"
        for row in frame.itertuples(index=False, name=None)
    )
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{escape(caption)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            head + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def escape(words: object) -> str:
    """Text with LaTeX's own characters escaped."""
    return "".join(LATEX.get(c, c) for c in str(words))
