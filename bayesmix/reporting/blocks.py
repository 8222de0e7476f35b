"""The blocks of a page; the page and the files of tables are both written from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Words:
    """A paragraph; `kind` is "plain", "good", "warning" or "note"."""

    text: str
    kind: str = "plain"


@dataclass(frozen=True)
class Pairs:
    """A short list of headings and words."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Table:
    """A table, on the page and as files.

    Parameters
    ----------
    name : str
        Of the files, without an ending.
    caption : str
    frame : DataFrame
        All of it, with plain column names; its index is not shown.
    shown : DataFrame, optional
        What the page shows, where that is less or rounded otherwise.
    bars : tuple of str
        Columns of probabilities that a click on a row draws as bars.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    shown: pd.DataFrame | None = None
    bars: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A picture as PNG, with a description for readers who cannot see it."""

    caption: str
    alt: str
    png: bytes


@dataclass(frozen=True)
class Equation:
    """Rows of LaTeX without dollar signs, and what they say."""

    rows: tuple[str, ...]
    words: str


@dataclass(frozen=True)
class Code:
    """Code as text."""

    text: str
    caption: str


@dataclass(frozen=True)
class Details:
    """Blocks behind a line that opens them."""

    summary: str
    blocks: tuple[Block, ...]
    opened: bool = False


@dataclass(frozen=True)
class Choice:
    """Names and their blocks, of which a slider shows those of one; without scripts all."""

    label: str
    options: tuple[tuple[str, tuple[Block, ...]], ...]


@dataclass(frozen=True, eq=False)
class Sliders:
    """Curves that sliders choose by the values of covariates.

    Parameters
    ----------
    caption : str
    axes : tuple of (str, tuple of str)
        The covariates, each with its values.
    label : str
        What the horizontal axis is: a time, or one more covariate.
    places : tuple of str, length T
        Its values, drawn at equal distances.
    lines : tuple of (str, str)
        Names and colours of the curves; an empty colour is that of the text.
    values : ndarray, shape (combinations, lines, T, 3)
        Estimate and limits, NaN if unknown; combinations in the order of `axes`, the last one
        fastest.
    ticks : tuple of float
        Of the vertical axis, from its lower to its upper end.
    """

    caption: str
    axes: tuple[tuple[str, tuple[str, ...]], ...]
    label: str
    places: tuple[str, ...]
    lines: tuple[tuple[str, str], ...]
    values: np.ndarray
    ticks: tuple[float, ...]


Block = Choice | Words | Pairs | Table | Picture | Equation | Code | Details | Sliders


@dataclass(frozen=True)
class Section:
    """A part of the page, left out without blocks; `key` is its anchor, `lead` its first words."""

    key: str
    title: str
    blocks: tuple[Block, ...]
    lead: str = ""
