"""Columns that may not be what they seem: numbers and dates kept as text, levels spelled twice."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bayesmix.errors import warn

# A factor with more levels than this is meant rarely, with fewer rows a level even less.
MANY_LEVELS = 100
SOME_LEVELS, FEW_ROWS = 30, 10
# Text codes of a few whole numbers are usual.
FEW_CODES = 10
_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*%?\s*")
_DATE = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([ T]\d{1,2}:\d{2}.*)?\s*"
)
# "4+", "< 5" and "6-10" are classes on purpose; among many numbers "<0.5" is a detection limit.
_CLASS = re.compile(r"\s*([<>≤≥]=?.*|.*\+|\d+\s*(-|–|to)\s*\d+)\s*")


def flag_factor(name: str, levels: Sequence[Any], counts: Sequence[int], *, chosen: bool) -> None:
    """Warn of a factor that may be numbers, dates, an identifier, or levels spelled twice.

    Parameters
    ----------
    name : str
        The term as written.
    levels : sequence
    counts : sequence of int
        Rows of each level.
    chosen : bool
        Whether the user made it a factor: by a categorical type or by ``C(...)``.
    """
    found = list(_spelled_twice(levels))
    if not chosen:
        found += _stored_as_text([v for v in levels if isinstance(v, str)])
        found += _too_many(len(levels), sum(counts))
    _warn(name, found)


def flag_spelling(name: str, values: Any) -> None:
    """Warn of distinct values (an array) in a column of names that are spelled twice."""
    if values.dtype.kind not in "biufcmM":
        _warn(name, list(_spelled_twice(values)))


def odd_numbers(values: Iterable[Any]) -> list[str]:
    """The texts among values most of which are numbers, stored as texts or not."""
    distinct = list(dict.fromkeys(values))
    odd = [v for v in distinct if isinstance(v, str) and not _NUMBER.fullmatch(v)]
    return odd if len(odd) < len(distinct) / 2 else []


def _warn(name: str, found: list[str]) -> None:
    for what in found:
        warn("levels", f"the column {name!r}: {what}")


def _spelled_twice(levels: Iterable[Any]) -> Iterator[str]:
    spellings: dict[str, list[str]] = {}
    for level in levels:
        if isinstance(level, str):
            spellings.setdefault(_looks(level), []).append(level)
    for several in spellings.values():
        if len(several) > 1:
            yield (
                f"the levels {_listed(several)} differ only by case or blanks and are separate "
                "levels here. Make them one, with .str.strip() and .str.lower() for example"
            )


def _looks(level: str) -> str:
    """A level but for case, blanks, invisible signs and how accents are kept."""
    if not level.isascii():
        level = unicodedata.normalize("NFKC", level)
        level = "".join(sign for sign in level if unicodedata.category(sign) != "Cf")
    return " ".join(level.split()).casefold()


def _stored_as_text(levels: list[str]) -> Iterator[str]:
    for kind, pattern, convert in (
        ("numbers", _NUMBER, "pandas.to_numeric(column, errors='coerce')"),
        ("dates", _DATE, "pandas.to_datetime(column, errors='coerce'), then to days or years"),
    ):
        others = [v for v in levels if not pattern.fullmatch(v)]
        alike = len(levels) - len(others)
        classes = len(levels) <= FEW_CODES and others and all(map(_CLASS.fullmatch, others))
        if alike < max(2, len(levels) / 2) or classes:
            continue
        whole = kind == "numbers" and all(v.strip().lstrip("+-").isdecimal() for v in levels)
        if not others and whole and len(levels) <= FEW_CODES:
            continue
        odd = f", but {_listed(others)} {'is' if len(others) == 1 else 'are'} not" if others else ""
        yield (
            f"{alike} of its {len(levels)} levels are {kind} stored as text{odd}, so the column is "
            f"a factor. Convert it with {convert}; C(...) keeps a factor without this warning"
        )


def _too_many(levels: int, rows: int) -> Iterator[str]:
    if levels > MANY_LEVELS or (levels > SOME_LEVELS and rows < FEW_ROWS * levels):
        yield (
            f"it has {levels} levels in {rows} rows, each with a coefficient of its own. If it "
            "says who or what the rows belong to, write it as the group, 'y ~ x | id'; C(...) "
            "keeps a factor without this warning"
        )


def _listed(values: list[str]) -> str:
    return ", ".join(map(repr, values[:5])) + (", ..." if len(values) > 5 else "")
