"""Numbers as a page shows them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["MINUS", "fixed", "interval", "is_numeric", "number", "p_value", "plural"]

MINUS = "\N{MINUS SIGN}"
# A number, a bound such as "< 0.0001", or an interval.
ONE = rf"(< )?{MINUS}?(\d[\d.,]*(e[+{MINUS}]?\d+)?|\N{{INFINITY}})"
NUMERIC = re.compile(f"{ONE}( to {ONE})?")


def number(value: Any, digits: int = 4) -> str:
    """A number to some significant digits; nothing where it is missing."""
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
    """A number with so many decimals; nothing where it is missing."""
    if np.isnan(value):
        return ""
    text = f"{value:.{decimals}f}"
    return (text if float(text) else text.lstrip("-")).replace("-", MINUS)


def interval(lower: Any, upper: Any) -> str:
    """An interval in words; nothing where an end is missing."""
    ends = [number(float(v)) for v in (lower, upper)]
    return f"{ends[0]} to {ends[1]}" if all(ends) else ""


def p_value(p: float) -> str:
    """A p-value to three digits; very small ones as a bound."""
    if np.isnan(p):
        return ""
    return "< 0.0001" if p < 1e-4 else f"{p:.3g}"


def plural(count: float, word: str) -> str:
    """A count with its noun."""
    shown = f"{count:,.0f}" if float(count).is_integer() else f"{count:g}"
    return f"{shown} {word}" if count == 1 else f"{shown} {word}s"


def is_numeric(column: pd.Series) -> bool:
    """Whether a column has numbers, also where they were written as text."""
    if pd.api.types.is_numeric_dtype(column):
        return True
    texts = [str(v) for v in column if str(v)]
    return bool(texts) and all(NUMERIC.fullmatch(text) for text in texts)
