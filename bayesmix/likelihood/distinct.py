"""Which rows of some columns are equal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Rows that are looked at first: without two equal ones among them there are too many patterns.
SAMPLE = 500
PRIME = np.uint64(0x9E3779B97F4A7C15)


class Distinct(NamedTuple):
    """The first row of each pattern (m,), in the order of the rows, and each row's pattern (n,)."""

    first: np.ndarray
    codes: np.ndarray


def distinct_rows(columns: Sequence[np.ndarray], n: int, most: float) -> Distinct | None:
    """The distinct rows of columns (n,) of numbers, if they are at most so many.

    Rows are distinguished by a number of 64 bits that is made of their values, and the outcome is
    compared with the columns.

    Parameters
    ----------
    columns : sequence of ndarray
    n : int
    most : float
    """
    step = max(1, n // SAMPLE)
    looked = len(range(0, n, step))
    found = len(np.unique(_hash([_bits(c[::step]) for c in columns], looked)))
    if found > most or (found == looked and most < n):
        return None
    bits = [_bits(c) for c in columns if (c != c[0]).any()]
    if not bits:
        return Distinct(np.zeros(1, int), np.zeros(n, int))
    _, first, codes = np.unique(_hash(bits, n), return_index=True, return_inverse=True)
    if len(first) > most or not all(np.array_equal(b, b[first][codes]) for b in bits):
        return None
    order = np.argsort(first)
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order))
    return Distinct(first[order], place[codes])


def _bits(column: np.ndarray) -> np.ndarray:
    """Numbers as integers; both zeros are one."""
    return np.ascontiguousarray(column + 0.0).view(np.uint64)


def _hash(bits: list[np.ndarray], n: int) -> np.ndarray:
    """A number of 64 bits for each of n rows, equal where all columns are."""
    out = np.zeros(n, np.uint64)
    with np.errstate(over="ignore"):
        for column in bits:
            out = (out ^ column) * PRIME
            out ^= out >> np.uint64(29)
    return out
