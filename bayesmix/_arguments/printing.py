"""Tables that print whole: every column, within 80 characters."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.habits import Hinted

Lines = list[tuple[str, str]]

WIDTH = 80
LEAST_P = 0.001
DIGITS = 4
# Rows at the top and at the end of a long table.
ENDS = 5
# Columns are wrapped down to this width.
LEAST = 8
SHORT = {
    "component": "comp.",
    "estimate": "est.",
    "p_value": "p",
    "ess_bulk": "bulk",
    "ess_tail": "tail",
}
# Columns that stand in every part of a table that is printed in parts.
KEYS = ("component", "term", "k")


class Printed(pd.DataFrame):
    """A DataFrame that prints all its columns within 80 characters.

    Sorted, selected or rounded rows print in the same way; other results are plain frames.

    Parameters
    ----------
    As for `pandas.DataFrame`.

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
        table, size = _ends(self)
        return "\n".join([*_lines(table), *(["", size] if size else [])])

    def _repr_html_(self) -> str:
        return html_table(self)


def _kept(name: str) -> Callable[..., Any]:
    """A method of DataFrame whose result prints whole too; None if pandas changes in place."""
    plain = getattr(pd.DataFrame, name)

    @wraps(plain)
    def method(self: Printed, *args: Any, **kwargs: Any) -> Any:
        if name == "query":  # it reads the variables of the caller, who is one call further away
            kwargs["level"] = kwargs.get("level", 0) + 1
        made = plain(self, *args, **kwargs)
        return Printed(made) if isinstance(made, pd.DataFrame) else made

    return method


for _name in ("head", "tail", "round", "query", "sort_values"):
    setattr(Printed, _name, _kept(_name))


def as_text(title: str, lines: Lines) -> str:
    """A title and pairs of a heading and words, for a terminal."""
    width = max((len(head) for head, _ in lines), default=0)
    return "\n".join([wrapped(title), *(wrapped(w, f"  {h:<{width}}  ") for h, w in lines)])


def wrapped(text: str, head: str = "") -> str:
    """A head and a text in lines of a terminal's width, the further ones below the text."""
    fill = textwrap.TextWrapper(
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return fill.fill(text)


def as_html(title: str, lines: Lines, items: Iterable[str] = ()) -> str:
    """The same for a notebook."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(head)}</th>"
        f"<td style='text-align:left'>{html.escape(words)}</td></tr>"
        for head, words in lines
    )
    table = f"<table>{rows}</table>" if lines else ""
    listed = "".join(f"<li>{html.escape(item)}</li>" for item in items)
    listed = f"<ul>{listed}</ul>" if listed else ""
    return f"<div><strong>{html.escape(title)}</strong>{table}{listed}</div>"


class Described(Hinted):
    """What prints as a title, lines below it, a list and a table, as far as a class has these."""

    def _title(self) -> str:
        raise NotImplementedError

    def _lines(self) -> Lines:
        return []

    def _items(self) -> Sequence[str]:
        return ()

    def _table(self) -> pd.DataFrame | None:
        return None

    def __repr__(self) -> str:
        items = (wrapped(item, "  ") for item in self._items())
        text = "\n".join([as_text(self._title(), self._lines()), *items])
        return text if (table := self._table()) is None else f"{text}\n{table}"

    def _repr_html_(self) -> str:
        text, table = as_html(self._title(), self._lines(), self._items()), self._table()
        return text if table is None else text + html_table(table)


def html_table(table: pd.DataFrame) -> str:
    """A table as HTML, with the numbers as `Printed` shows them."""
    if not len(table):
        return pd.DataFrame(table).to_html(border=0)
    shown, size = _ends(table)
    columns = _columns(shown, DIGITS, False)
    heads, rows = [cells[0] for cells in columns], zip(*(c[1:] for c in columns), strict=True)
    body = pd.DataFrame(list(rows), columns=heads).to_html(index=False, border=0)
    return body + (f"<p>{size}</p>" if size else "")


def _ends(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows to show, with a named index as a column, and a note about the others."""
    shown = pd.DataFrame(table)
    if shown.index.name is not None and shown.index.name not in shown:
        shown = shown.reset_index()
    most = pd.get_option("display.max_rows")
    if most is None or len(shown) <= most:
        return shown, ""
    size = f"[the first and last {ENDS} of {len(shown)} rows x {len(shown.columns)} columns]"
    return pd.concat([shown.head(ENDS), shown.tail(ENDS)]), size


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
        text = f"{value + 0.0:.{digits}g}"  # no negative zero
        short = digits < DIGITS and "e" in text  # of 3.02e-18 the exponent says most
        return "" if np.isnan(value) else f"{value:.{digits - 1}g}" if short else text
    return "" if value is None or value is pd.NA else str(value)


def _columns(table: pd.DataFrame, digits: int, short: bool) -> list[list[str]]:
    """Heads and cells as texts."""
    heads = [SHORT.get(str(name), str(name)) if short else str(name) for name in table.columns]
    return [
        [head, *(_cell(name, value, digits) for value in table[name])]
        for head, name in zip(heads, table.columns, strict=True)
    ]


def _lines(table: pd.DataFrame) -> list[str]:
    """Head and rows; a wide table gets short heads, then fewer digits, then wrapped text."""
    for digits, short in ((DIGITS, False), (DIGITS, True), (DIGITS - 1, True)):
        columns = _columns(table, digits, short)
        widths = [max(map(len, cells)) for cells in columns]
        if sum(widths) + len(widths) - 1 <= WIDTH:
            break
    else:  # text is wrapped, and numbers keep their digits
        if max(widths) > 2 * LEAST + LEAST // 2:
            columns = _columns(table, DIGITS, False)
            widths = [max(map(len, cells)) for cells in columns]
    while sum(widths) + len(widths) - 1 > WIDTH and max(widths) > LEAST:
        widths[widths.index(max(widths))] -= 1
    if sum(widths) + len(widths) - 1 > WIDTH and len(widths) > 1:  # in two parts
        return _parts(table)
    texts = [any(len(cell) > w for cell in c) for c, w in zip(columns, widths, strict=True)]
    return [line for row in zip(*columns, strict=True) for line in _wrapped(row, widths, texts)]


def _parts(table: pd.DataFrame) -> list[str]:
    """A wide table in two parts, both with the columns that identify the rows."""
    keys = [name for name in table.columns if name in KEYS]
    others = [name for name in table.columns if name not in KEYS]
    if len(others) < 2:
        keys, others = [], list(table.columns)
    half = len(others) // 2
    first, second = ([*keys, *some] for some in (others[:half], others[half:]))
    return [*_lines(table[first]), "", *_lines(table[second])]


def _wrapped(row: tuple[str, ...], widths: list[int], texts: list[bool]) -> list[str]:
    """One row as lines, every cell no wider than its column; wrapped text starts on the left."""
    cells = [
        textwrap.wrap(cell, width, subsequent_indent=" ") or [""]
        for cell, width in zip(row, widths, strict=True)
    ]
    lines = []
    for part in range(max(map(len, cells))):
        shown = [cell[part] if part < len(cell) else "" for cell in cells]
        filled = [
            t.ljust(w) if text else t.rjust(w)
            for t, w, text in zip(shown, widths, texts, strict=True)
        ]
        lines.append(" ".join(filled).rstrip())
    return lines
