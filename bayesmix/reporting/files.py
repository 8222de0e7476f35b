"""Tables of a report as CSV and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

import pandas as pd

from bayesmix.reporting.blocks import Block, Details, Section, Table
from bayesmix.reporting.numbers import MINUS, is_numeric, number

__all__ = ["latex_table", "tables_of", "write_tables"]

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


def tables_of(sections: Iterable[Section]) -> list[Table]:
    """All tables of some sections, also those behind a line that opens them."""
    return [table for section in sections for table in _within(section.blocks)]


def _within(blocks: Iterable[Block]) -> Iterator[Table]:
    for block in blocks:
        if isinstance(block, Table):
            yield block
        elif isinstance(block, Details):
            yield from _within(block.blocks)


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
        table.frame.to_csv(out[-2], index=False, encoding="utf-8")
        shown = table.frame if table.shown is None else table.shown
        out[-1].write_text(latex_table(shown, table.caption), "utf-8")
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
