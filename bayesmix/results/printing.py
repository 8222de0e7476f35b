"""Tables that print whole: every column, in 80 letters."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["Printed", "p_value"]

WIDTH = 80
LEAST_P = 0.001
# Rows at the top and at the end of a long table.
ENDS = 5
# Columns from this width on are wrapped before anything else is shortened; none below the least.
NARROW = 16
LEAST = 8
SHORT = {"component": "comp."}


class Printed(pd.DataFrame):
    """A DataFrame that prints all its columns in 80 letters; what is made of it is plain.

    Parameters
    ----------
    As of `pandas.DataFrame`.

    Examples
    --------
    >>> Printed({"estimate": [0.123456], "p_value": [1e-9]})
    estimate p_value
      0.1235  <0.001
    """

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def __repr__(self) -> str:
        if not len(self):
            return repr(pd.DataFrame(self))
        most = pd.get_option("display.max_rows")
        if most is None or len(self) <= most:
            return "\n".join(_lines(self))
        lines = _lines(pd.concat([self.head(ENDS), self.tail(ENDS)]))
        size = f"[the first and last {ENDS} of {len(self)} rows x {len(self.columns)} columns]"
        return "\n".join([*lines, "", size])


def p_value(p: float) -> str:
    """A p-value as journals print it."""
    if np.isnan(p):
        return ""
    return f"<{LEAST_P:g}" if p < LEAST_P else f"{p:.3f}"


def _cell(column: Any, value: Any, digits: int) -> str:
    if column == "p_value":
        return p_value(value)
    if column == "scale" and value == "identity":
        return ""
    if isinstance(value, (float, np.floating)):
        return "" if np.isnan(value) else f"{value:.{digits}g}"
    return "" if value is None or value is pd.NA else str(value)


def _columns(table: pd.DataFrame, digits: int, short: bool) -> list[list[str]]:
    """Heads and cells as texts."""
    heads = [SHORT.get(str(name), str(name)) if short else str(name) for name in table.columns]
    return [
        [head, *(_cell(name, value, digits) for value in table[name])]
        for head, name in zip(heads, table.columns, strict=True)
    ]


def _lines(table: pd.DataFrame) -> list[str]:
    """The head and the rows; short heads, fewer digits and wrapped words where it is too wide."""
    for digits, short in ((4, False), (4, True), (3, True)):
        columns = _columns(table, digits, short)
        widths = [max(map(len, cells)) for cells in columns]
        if sum(widths) + len(widths) - 1 <= WIDTH or max(widths) > NARROW:
            break
    while sum(widths) + len(widths) - 1 > WIDTH and max(widths) > LEAST:
        widths[widths.index(max(widths))] -= 1
    if sum(widths) + len(widths) - 1 > WIDTH and len(widths) > 1:  # in two parts
        half = len(widths) // 2
        return [*_lines(table.iloc[:, :half]), "", *_lines(table.iloc[:, half:])]
    return [line for row in zip(*columns, strict=True) for line in _wrapped(row, widths)]


def _wrapped(row: tuple[str, ...], widths: list[int]) -> list[str]:
    """One row as lines, every cell no wider than its column."""
    cells = [
        textwrap.wrap(cell, width, subsequent_indent=" ") or [""]
        for cell, width in zip(row, widths, strict=True)
    ]
    lines = []
    for part in range(max(map(len, cells))):
        texts = [cell[part] if part < len(cell) else "" for cell in cells]
        filled = [t.rjust(w) for t, w in zip(texts, widths, strict=True)]
        lines.append(" ".join(filled).rstrip())
    return lines
