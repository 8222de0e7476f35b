"""Single values as JSON: numbers, texts, dates, and lists of these."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from bayesmix.errors import DataError

__all__ = ["as_json", "from_json"]

# Type, tag, what JSON holds, and how the value is made of it; subclasses first.
_TAGS: tuple[tuple[type, str, Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    (float, "float", repr, float),
    (pd.Timestamp, "timestamp", lambda v: v.isoformat(), pd.Timestamp),
    (pd.Timedelta, "timedelta", lambda v: v.isoformat(), pd.Timedelta),
    (
        pd.Period,
        "period",
        lambda v: [v.ordinal, v.freqstr],
        lambda v: pd.Period(ordinal=v[0], freq=v[1]),
    ),
    (datetime.datetime, "datetime", lambda v: v.isoformat(), datetime.datetime.fromisoformat),
    (datetime.date, "date", lambda v: v.isoformat(), datetime.date.fromisoformat),
)


def as_json(value: Any, what: str) -> Any:
    """Write a value as something that JSON holds.

    Parameters
    ----------
    value : object
    what : str
        What messages call it.

    Raises
    ------
    DataError
        For any other object.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list | tuple):
        tag = "list" if isinstance(value, list) else "tuple"
        return {tag: [as_json(v, what) for v in value]}
    if isinstance(value, pd.Interval):
        return {"interval": [as_json(v, what) for v in (value.left, value.right, value.closed)]}
    for kind, tag, write, _ in _TAGS:
        if isinstance(value, kind) and value is not pd.NaT:
            return {tag: write(value)}
    msg = (
        f"{what}: a value of type {type(value).__name__} cannot be saved; numbers, text, dates "
        "and intervals can"
    )
    raise DataError(msg)


def from_json(written: Any) -> Any:
    """The value that `as_json` wrote."""
    if not isinstance(written, dict):
        return written
    ((tag, content),) = written.items()
    if tag == "list":
        return [from_json(v) for v in content]
    if tag == "tuple":
        return tuple(from_json(v) for v in content)
    if tag == "interval":
        left, right, closed = map(from_json, content)
        return pd.Interval(left, right, closed)
    return next(make for _, t, _, make in _TAGS if t == tag)(content)
