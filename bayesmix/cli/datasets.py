"""The datasets of the package in words for a terminal."""

from __future__ import annotations

import textwrap

HEAD = 6


def list_text(width: int) -> str:
    """A line for each dataset, its description wrapped.

    Parameters
    ----------
    width : int
        Columns of the terminal.
    """
    from bayesmix.datasets import list_data

    table = list_data()
    widest = max(len(name) for name in table["name"])
    lines = [f"{'name':<{widest}}  rows  description"]
    for name, rows, words in table[["name", "rows", "description"]].itertuples(index=False):
        lines.append(_hanging(f"{name:<{widest}}  {rows:>4}  ", words, width))
    return "\n".join([*lines, "", "bayesmix data NAME shows one."])


def dataset_text(name: str, width: int) -> str:
    """What a dataset is, its columns and its first rows.

    Raises
    ------
    DataError
        If there is no dataset of that name.
    """
    from bayesmix.datasets import describe_data, load_data

    frame, columns = load_data(name), describe_data(name)
    widest = max(len(column) for column in columns["column"])
    lines = [
        f"{frame.attrs['name']}: {len(frame)} rows, {len(frame.columns)} columns",
        "",
        textwrap.fill(frame.attrs["description"], width),
        textwrap.fill(f"Source: {frame.attrs['source']}", width),
        "",
    ]
    for column, meaning, unit, levels in columns.itertuples(index=False):
        words = meaning + (f" ({unit})" if unit else "") + (f"; levels {levels}" if levels else "")
        lines.append(_hanging(f"  {column:<{widest}}  ", words, width))
    head = frame.head(HEAD).to_string(line_width=width)
    return "\n".join([*lines, "", head, "", f'In Python: bmx.load_data("{frame.attrs["name"]}")'])


def _hanging(start: str, words: str, width: int) -> str:
    """The words after a start, later lines indented below the first."""
    return textwrap.fill(words, width, initial_indent=start, subsequent_indent=" " * len(start))
