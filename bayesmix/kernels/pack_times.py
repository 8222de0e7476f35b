"""Mixtures of times for the kernel: from arrays to addresses.

This module does not import numba: it asks for the compiled kernels when the data are laid out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesmix.kernels import _times_places as own
from bayesmix.kernels import record as places
from bayesmix.kernels._call import Floats
from bayesmix.kernels.pack import Integers, _address, _by_chunk

if TYPE_CHECKING:
    from bayesmix.families.kernel import TimesKernel

# Of a term: its value and two derivatives.
OUTPUTS = 3


class TimesPredictor(NamedTuple):
    """A parameter's linear predictor at n pairs of a component and a row.

    `at` (P,) has entries of theta, `columns` (P, n) what they are multiplied by, None for ones,
    and `offset` (n,) what is added, None for nothing.
    """

    at: Integers
    columns: Floats | None
    offset: Floats | None


class TimesItem(NamedTuple):
    """n pairs of one component and a row, whose times are known in one way.

    `kind` is one of `families.censoring.TERMS`; `sign` -1 subtracts the term.  `numbers` (m, n)
    has times and their logarithms: of the point ("exact", "right", "left"); of both bounds
    ("interval"); of the lower bound and two nodes, then the logarithm of half the width
    ("narrow").  `units` (n,) counts from the chunk's first.
    """

    component: int
    family: TimesKernel
    kind: str
    sign: int
    numbers: Floats
    units: Integers
    predictors: tuple[TimesPredictor, ...]


class TimesChunk(NamedTuple):
    """A range of `n_units` whole units, those that may belong to several components first.

    `known` has the components of the others, and `barred` (b, 2) the impossible components of the
    former with their places.  `entered` are the survivals to delayed entries.
    """

    n_units: int
    known: Integers
    barred: Integers
    observed: tuple[TimesItem, ...]
    entered: tuple[TimesItem, ...]


@dataclass(frozen=True)
class TimesData:
    """A mixture of times, for the kernel.

    Parameters
    ----------
    chunks : tuple of TimesChunk
    alpha_index : ndarray of int, shape (S, Q)
        Entries of theta of the logits; -1: none.
    size : int
        Length of theta.
    truncated : bool
        Whether a unit's likelihood is divided by its chance of being seen.
    Z : ndarray, shape (U, Q), or None
        In the order of the chunks' units; None for constant weights.
    weight : ndarray, shape (U,), or None
    """

    chunks: tuple[TimesChunk, ...]
    alpha_index: Integers
    size: int
    truncated: bool
    Z: Floats | None = None
    weight: Floats | None = None

    def for_scores(self) -> TimesArrays:
        """Lay the data out for the pass that gives the score."""
        return TimesArrays(self)


class TimesArrays:
    """Times laid out for the kernels.

    Parameters
    ----------
    data : TimesData

    Attributes
    ----------
    model, work, zeros
        As of `SmallArrays`.
    """

    def __init__(self, data: TimesData) -> None:
        from bayesmix.kernels._times_score import times_callback

        kernel: Any = times_callback()
        self._kept: list[Any] = [kernel]
        self.model = np.zeros(places.N_PLACES, dtype=np.int64)
        for at, number in (self._sizes(data) | self._addresses(data)).items():
            self.model[at] = number
        self.model[places.PASS_KERNEL] = kernel.address
        starts = 8 * np.cumsum([0, *_buffers(data)])
        self.model[places.N_DATA :] = starts[:-1]
        self.work = int(starts[-1]) // 8
        self.zeros = slice(*(starts[places.ZEROS - places.N_DATA :][:2] // 8))

    def _sizes(self, data: TimesData) -> dict[int, int]:
        k, q = data.alpha_index.shape
        return {
            places.N_COMPONENTS: k,
            places.N_CONCOMITANT: q,
            places.SIZE: data.size,
            places.N_UNITS: sum(chunk.n_units for chunk in data.chunks),
            places.N_CHUNKS: len(data.chunks),
            places.LINE: _largest(data).line,
            places.CONSTANT: data.Z is None,
            own.TRUNCATED: data.truncated,
        }

    def _addresses(self, data: TimesData) -> dict[int, int]:
        bounds = np.cumsum([0, *(chunk.n_units for chunk in data.chunks)])
        return {
            places.WEIGHT: self._numbers(data.weight),
            places.Z: self._numbers(None if data.Z is None else _by_chunk(data.Z, bounds)),
            places.BOUNDS: self._integers(bounds),
            places.ALPHA_INDEX: self._integers(data.alpha_index),
            own.CHUNKS: self._integers(self._chunks(data)),
            own.ITEMS: self._integers([self._item(*item) for item in _items(data)]),
        }

    def _numbers(self, values: Floats | None) -> int:
        """The address of floats, 0 for None."""
        return 0 if values is None else self._keep(np.ascontiguousarray(values, np.float64))

    def _integers(self, values: Any) -> int:
        return self._keep(np.ascontiguousarray(values, dtype=np.int64))

    def _keep(self, array: NDArray[Any]) -> int:
        self._kept.append(array)
        return _address(array)

    def _chunks(self, data: TimesData) -> list[list[int]]:
        """The integers of the chunks, as `_times_places` has them."""
        rows, first = [], 0
        for chunk in data.chunks:
            entered = first + len(chunk.observed)
            end = entered + len(chunk.entered)
            several = chunk.n_units - len(chunk.known)
            known, barred = self._integers(chunk.known), self._integers(chunk.barred)
            rows.append([first, entered, end, several, known, len(chunk.barred), barred])
            first = end
        return rows

    def _item(self, item: TimesItem, place: int) -> list[int]:
        """The integers of an item."""
        from bayesmix.kernels.times_families import term_callback

        term: Any = term_callback(item.family, item.kind)
        self._kept.append(term)
        numbers, units = self._numbers(item.numbers), self._integers(item.units)
        out = [item.component, len(item.units), term.address, item.sign, numbers, units]
        for at, columns, offset in item.predictors:
            addresses = self._numbers(columns), self._integers(at), self._numbers(offset)
            out += [len(at), *addresses]
        return [*out, *[0] * (own.OUTPUTS - len(out)), place]


def _items(data: TimesData) -> Iterator[tuple[TimesItem, int]]:
    """All items in their order, each with the place of its outputs."""
    for chunk in data.chunks:
        for items in (chunk.observed, chunk.entered):
            place = 0
            for item in items:
                yield item, place
                place += OUTPUTS * len(item.units)


class _Largest(NamedTuple):
    """The most units or pairs of a chunk, columns of a design, and outputs of a chunk."""

    line: int
    columns: int
    outputs: int


def _largest(data: TimesData) -> _Largest:
    items = list(_items(data))
    units = [chunk.n_units for chunk in data.chunks] + [len(item.units) for item, _ in items]
    columns = [len(predictor.at) for item, _ in items for predictor in item.predictors]
    outputs = [place + OUTPUTS * len(item.units) for item, place in items]
    return _Largest(max(units, default=0), max(columns, default=0), max(outputs, default=0))


def _buffers(data: TimesData) -> list[int]:
    """Numbers in each buffer, as `_small_places.buffers` but for those of a design."""
    k, q = data.alpha_index.shape
    line, columns, outputs = _largest(data)
    lengths = places.buffers(k, 0, q, data.size, line, 0, 0)
    for at, length in {
        places.COEF: columns,
        places.PARTS: columns,
        places.ETA: 2 * line,
        places.TERMS: outputs,
    }.items():
        lengths[at - places.N_DATA] = length
    return lengths
