"""Arguments that many calls share, checked in one way: whole numbers, fractions, columns, seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from bayesmix.errors import SpecError

__all__ = ["as_asked", "column_name", "fraction", "generator", "plain", "whole_number"]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def whole_number(
    name: str, value: Any, what: str, least: int, error: type[ValueError] = SpecError
) -> int:
    """Take a whole number that is not too small; refuse anything else."""
    if not _is_number(value) or not np.isfinite(value) or value != int(value) or value < least:
        msg = f"{name}={value!r}: {what} is an integer of at least {least}"
        raise error(msg)
    return int(value)


def fraction(
    name: str,
    value: Any,
    example: float,
    *,
    zero: bool = False,
    error: type[ValueError] = SpecError,
) -> float:
    """Take a number between 0 and 1, or 0 itself where that has a meaning."""
    if not _is_number(value) or not (0 < value < 1 or (zero and value == 0)):
        msg = f"{name}={value!r} must be a number between 0 and 1, such as {example:g}"
        raise error(msg)
    return float(value)


def column_name(name: str, value: Any) -> str | None:
    """Take the name of a column, or None."""
    if value is None or isinstance(value, str):
        return value
    msg = (
        f"{name}= takes the name of a column, not a {type(value).__name__}; put the values into "
        f"the data, as in data.assign({name}=...), and give {name}={name!r}"
    )
    raise SpecError(msg)


def generator(seed: Any, error: type[ValueError] = SpecError) -> np.random.Generator:
    """Make a random generator from a seed: a non-negative integer, a Generator or None."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as cause:
        msg = f"seed={seed!r} is no seed; use an integer of at least 0, a numpy Generator or None"
        raise error(msg) from cause


def plain(value: Any) -> Any:
    """Turn NumPy's numbers into Python's, which read better."""
    return value.item() if isinstance(value, np.generic) else value


def as_asked(options: Any) -> dict[str, str]:
    """Options that are not at their defaults, as Python texts by name.

    Parameters
    ----------
    options : dataclass
        Of a call; how progress is shown is left out.

    Returns
    -------
    dict of str to str
        What cannot be written down, such as a generator or a fit, is ``your_<name>``.
    """
    out = {}
    for option in fields(options):
        value = getattr(options, option.name)
        written = _source(option.name, value)
        if option.name != "progress" and written != repr(option.default):
            out[option.name] = written
    return out


def _source(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        value = {tuple(map(plain, k)): plain(v) for k, v in value.items()}
    return repr(plain(value)) if _is_literal(plain(value)) else f"your_{name}"


def _is_literal(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_literal(v) for pair in value.items() for v in pair)
    if isinstance(value, tuple):
        return all(map(_is_literal, value))
    return value is None or isinstance(value, bool | int | float | str)
