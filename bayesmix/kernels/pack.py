"""A mixture's data laid out for the kernels: from arrays to records of addresses.

This module does not import numba: it asks for the compiled kernels when data are laid out.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import addressof, c_char
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesmix.families.kernel import Kernel, TimesKernel
from bayesmix.kernels import record as r

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SIZES = ["size", "n_units", "sums", "n_chunks"]
# Chunks that one thread takes at once, at least; and the most such parts of the rows.
FEWEST, MOST = 64, 64
# A table of counts needs so many rows a count, of so many rows at most.
COUNTED, COUNTS = 8, 16_384


class Slot(NamedTuple):
    """A parameter of an item.

    `at` (P,) has the entries of theta of its coefficients, -1 for none; with `design` they
    multiply the item's matrix, else there is one, the parameter itself.
    """

    at: Integers
    design: bool


class Item(NamedTuple):
    """A component's family at one response.

    `link` is that of the first parameter, empty if the kernel is written for it.  `matrix` (n, P)
    is the design of the slots; `offset` (n,) is added to the first `located` predictors.  `closed`
    says that the second parameter is a scale with a closed form, `concave` that cross terms of
    parameters belong into scoring steps: 1 the second derivatives, 2 what the term has for these.
    With `codes` (N,), below 256, matrix, offset and parts are those of n distinct rows, and row i
    of the data is the distinct one with its code.
    """

    component: int
    kernel: Kernel | TimesKernel
    link: str
    matrix: Floats
    offset: Floats | None
    slots: tuple[Slot, ...]
    closed: bool = False
    concave: int = 0
    codes: Integers | None = None
    located: int = 1


class Part(NamedTuple):
    """Rows at which the observations of items of one kernel are of one kind.

    `rows` is None for all; `numbers` (m, len(rows)) are what its term reads; `kind` is one of
    `families.survival.base.TERMS`, empty for regressions; `sign` -1 subtracts; `entered`
    marks survivals to delayed entries.
    """

    items: Sequence[int]
    kind: str
    numbers: Floats
    rows: Integers | None = None
    sign: int = 1
    entered: bool = False


@dataclass(frozen=True)
class Arranged:
    """A mixture with its rows, sorted by unit.

    Parameters
    ----------
    items : tuple of Item
    parts : tuple of Part
    alpha : ndarray of int, shape (S, Q)
        Entries of theta of the logits of the weights; -1: none.
    kind : ndarray of int, shape (D,)
        What each entry of theta is: a kind of `record`.
    n_rows : int
    closed : bool
        Whether constant weights are mean responsibilities.
    Z : ndarray, shape (U, Q), or None
        None for constant weights.
    first : ndarray of int, shape (U,), or None
        First row of each unit; None where every row is a unit.
    weight, allowed : ndarray, shapes (U,) and (U, S), or None
    """

    items: tuple[Item, ...]
    parts: tuple[Part, ...]
    alpha: Integers
    kind: Integers
    n_rows: int
    closed: bool = True
    Z: Floats | None = None
    first: Integers | None = None
    weight: Floats | None = None
    allowed: NDArray[Any] | None = None


class Laid:
    """Data laid out for the kernels; passes change nothing but `spare`, so threads may share it.

    Parameters
    ----------
    data : Arranged

    Attributes
    ----------
    model : record of MODEL
    offsets : ndarray of int
        Where the buffers of `record.WORK` begin in a thread's memory, in bytes.
    length : int
        Numbers in that memory.
    spare : list
        Buffers that no thread uses.
    ranges : list of (int, int)
        Chunks that are added up together, whatever the number of threads.
    size, n_units, n_sums, n_chunks : int
        Length of theta, number of units, how many numbers a pass adds up, and number of chunks.
    scales : list of tuple
        Of every item with a closed scale: its component, place in the sums, and width.
    """

    def __init__(self, data: Arranged) -> None:
        from bayesmix.kernels.passes import pass_callback

        self._kept: list[Any] = [pass_callback()]
        self.pass_address: int = self._kept[0].address
        bounds = _chunk_bounds(data)
        edges = bounds if data.first is None else np.append(data.first, data.n_rows)[bounds]
        self.model = np.zeros(1, r.MODEL)
        self.model_address = self._keep(self.model)
        self.tables = 0
        sizes = edges[1:] - edges[:-1]
        items, outputs, width = self._items(data, edges)
        truncated = self._parts(data, items, bounds, edges, sizes)
        self._units(data, bounds)
        k, q = data.alpha.shape
        self._set(
            k=k, q=q, size=len(data.kind), n_units=bounds[-1], n_rows=data.n_rows,
            line=max(r.BLOCK, int(sizes.max(initial=0))),
            constant=data.Z is None, closed=data.closed and data.Z is None, truncated=truncated,
            alpha=self._integers(data.alpha), kind=self._integers(data.kind),
        )  # fmt: skip
        self.size, self.n_units, self.n_sums, self.n_chunks = self.model[SIZES].tolist()[0]
        self._buffers(data.items, outputs, width + q)
        step = max(FEWEST, -(-self.n_chunks // MOST))
        firsts = range(0, self.n_chunks, step)
        self.ranges = [(a, min(a + step, self.n_chunks)) for a in firsts]

    def _set(self, **fields: Any) -> None:
        for name, value in fields.items():
            self.model[name] = value

    def _keep(self, array: NDArray[Any]) -> int:
        self._kept.append(array)
        return address(array)

    def _floats(self, values: NDArray[Any] | None) -> int:
        return 0 if values is None else self._keep(np.ascontiguousarray(values, np.float64))

    def _integers(self, values: Any) -> int:
        return self._keep(np.ascontiguousarray(values, dtype=np.int64))

    def _units(self, data: Arranged, bounds: Integers) -> None:
        """What belongs to units: weights, their designs, and the components they may have."""
        z, first, allowed = data.Z, data.first, data.allowed
        if z is not None:
            self._set(
                z=self._floats(_by_chunk(z, bounds)), z_units=self._floats(z),
                largest_z=self._floats(np.abs(z).max(0, initial=0.0)),
            )  # fmt: skip
        self._set(weight=self._floats(data.weight))
        if first is not None:
            self._set(first_row=self._integers(np.append(first, data.n_rows)))
        if allowed is not None:
            self._set(allowed=self._keep(_by_chunk(allowed != 0, bounds).view(np.uint8)))

    def _items(self, data: Arranged, edges: Integers) -> tuple[NDArray[Any], int, int]:
        """The records of items, how many outputs they have, and the most entries of a component."""
        from bayesmix.kernels.terms import link_callback

        items = np.zeros(len(data.items), r.ITEM)
        slots: list[Slot] = []
        items["subtracts"][[at for part in data.parts if part.sign < 0 for at in part.items]] = 1
        designs: dict[int, int] = {}
        k, d = len(data.alpha), len(data.kind)
        sums, lines, table = 1 + k + d + d * d, 0, len(edges) - 1
        self.scales: list[tuple[int, int, int]] = []
        for record, item in zip(items, data.items, strict=True):
            p, statistic = len(item.slots), int(item.kernel.statistic)
            used = any(slot.design for slot in item.slots)
            if used and id(item.matrix) not in designs:
                few = edges if item.codes is None else _all_rows(item)
                designs[id(item.matrix)] = self._floats(_by_chunk(item.matrix, few))
            record["component"], record["n_slots"], record["slot"] = item.component, p, len(slots)
            record["dense"] = _dense(item)
            record["columns"] = item.matrix.shape[1] if used else 0
            record["x"] = designs[id(item.matrix)] if used else address(items)
            record["offset"] = self._floats(item.offset)
            record["located"], record["rows"] = item.located, len(item.matrix)
            if item.codes is not None:
                record["codes"] = self._keep(np.ascontiguousarray(item.codes, np.uint8))
                record["table"], table = table, table + 1
            record["place"], record["outputs"] = lines, _outputs(item)
            record["statistic"] = 1 + 2 * p if statistic else 0
            record["second"], record["concave"] = 1 + 2 * p + statistic, item.concave
            if item.link and isinstance(item.kernel, Kernel):
                link: Any = link_callback(item.kernel.link, item.link)
                self._kept.append(link)
                record["link"] = link.address
            if item.closed:
                width = len(item.slots[0].at)
                record["squares"], record["scale_at"] = sums, item.slots[1].at[0]
                self.scales.append((item.component, sums, width))
                sums += 2 + width + width * width
            slots += item.slots
            lines += record["outputs"]
        index = np.concatenate([slot.at for slot in slots]).astype(np.int64)
        records = np.zeros(len(slots), r.SLOT)
        records["width"], records["design"] = zip(
            *((len(s.at), s.design) for s in slots), strict=True
        )
        ends = records["width"].cumsum()
        records["index"] = self._keep(index) + 8 * (ends - records["width"])
        self._set(n_items=len(items), sums=sums, items=self._keep(items), slots=self._keep(records))
        owner = items["component"].repeat(items["n_slots"]).repeat(records["width"])
        return items, lines, int(np.bincount(owner[index >= 0], minlength=1).max())

    def _parts(
        self,
        data: Arranged,
        items: NDArray[Any],
        bounds: Integers,
        edges: Integers,
        sizes: Integers,
    ) -> bool:
        """Fill the records of parts and chunks; gives whether there are delayed entries."""
        few = [len(item.matrix) for item in data.items if item.codes is not None]
        n = len(sizes)
        found = [self._part(part, data.items, items["table"], edges, sizes) for part in data.parts]
        none = np.zeros(0, int), np.zeros(0, r.PART), np.zeros(0, int)  # if nothing was observed
        chunk, records, entered = map(np.concatenate, zip(none, *found, strict=True))
        for part in data.parts:
            for at in part.items:
                self._count(part, data.items[at], items[at])
        order = np.lexsort((records["item"], entered, chunk))
        records, late = records[order], (2 * chunk + entered)[order]
        chunks = np.zeros(n + len(few), r.CHUNK)
        chunks["row"][:n], chunks["unit"][:n] = edges[:-1], bounds[:-1]
        chunks["n_units"][:n] = bounds[1:] - bounds[:-1]
        chunks["n"][:n], chunks["n"][n:] = sizes, few
        every = 2 * np.arange(len(chunks) + 1)
        begins = late.searchsorted(every)
        chunks["first"], chunks["last"] = begins[:-1], begins[1:]
        chunks["entered"] = late.searchsorted(every[:-1] + 1)
        self._set(n_chunks=n, chunks=self._keep(chunks), parts=self._keep(records))
        return bool(entered.any())

    def _part(
        self,
        part: Part,
        items: tuple[Item, ...],
        tables: Integers,
        edges: Integers,
        sizes: Integers,
    ) -> tuple[Integers, NDArray[Any], Integers]:
        """Of each item and chunk where it has rows the chunk, the record, and `entered`."""
        item = items[part.items[0]]
        if item.codes is not None:
            edges, sizes = _all_rows(item), np.array([len(item.matrix)])
        term: Any = _term(item.kernel, part.kind)
        self._kept.append(term)
        numbers = np.ascontiguousarray(part.numbers, dtype=np.float64)
        starts = edges if part.rows is None else part.rows.searchsorted(edges)
        counts = sizes if part.rows is None else starts[1:] - starts[:-1]
        used = counts.nonzero()[0]
        out = np.zeros((len(part.items), len(used)), r.PART)
        out["item"] = np.array(part.items)[:, None]
        out["term"], out["sign"] = term.address, part.sign
        out["n"], out["stride"] = counts[used], numbers.shape[1]
        out["data"] = self._keep(numbers) + 8 * starts[used]
        if part.rows is not None:
            local = part.rows - np.repeat(edges[:-1], counts)
            # Only terms that are added may be those of all rows, without a list of them.
            some = (counts[used] < sizes[used]) | (part.sign < 0)
            out["rows"] = np.where(some, self._integers(local) + 8 * starts[used], 0)
        chunk = (used + tables[part.items, None]).ravel()
        return chunk, out.ravel(), np.full(len(chunk), int(part.entered))

    def _count(self, part: Part, item: Item, record: np.void) -> None:
        """Where counts are few, the place of an item's table of them."""
        size, n = item.kernel.looked[-1], part.numbers.shape[1]
        if size == 0 or item.codes is not None or _dense(item) > 1:
            return
        most = int(part.numbers[0].max())
        if COUNTED * most < min(n, COUNTS):
            record["counts"], record["looked"] = most + 1, self.tables + size * r.BLOCK
            record["term"] = _term(item.kernel, part.kind).address
            self.tables += size * (r.BLOCK + most + 1)

    def _buffers(self, items: tuple[Item, ...], outputs: int, width: int) -> None:
        """Where a thread's buffers begin."""
        lengths = r.buffers(
            self.model[0],
            max((len(slot.at) for item in items for slot in item.slots), default=1),
            max(len(item.slots) for item in items),
            outputs,
            max(_outputs(item) for item in items),
            self.tables,
            width,
        )
        *starts, self.length = accumulate(lengths.values(), initial=0)
        self.offsets = 8 * np.array(starts, np.int64)
        self.spare: list[tuple[int, Any]] = []

    def buffers(self) -> tuple[int, Any]:
        """The address of a record of buffers, and what holds it, for `spare` after their use."""
        try:
            return self.spare.pop()
        except IndexError:
            memory = np.empty(self.length)
            work = self.offsets + address(memory)
            return address(work), (work, memory)


def _all_rows(item: Item) -> Integers:
    """The bounds of a chunk that has all rows of an item's design."""
    return np.array([0, len(item.matrix)])


def _dense(item: Item) -> int:
    """How many leading slots have a value for each row, as terms are compiled for."""
    return len(item.slots) if any(slot.design for slot in item.slots[1:]) else 1


def _outputs(item: Item) -> int:
    p = len(item.slots)
    return 1 + 2 * p + int(item.kernel.statistic) + p * (p + 1) // 2


def _term(kernel: Kernel | TimesKernel, kind: str) -> Any:
    """The compiled term of a kernel for one kind of observation."""
    if isinstance(kernel, Kernel):
        from bayesmix.kernels.terms import family_callback

        return family_callback(kernel)
    from bayesmix.kernels.times import times_callback

    return times_callback(kernel, kind)


def _chunk_bounds(data: Arranged) -> Integers:
    """First units of the chunks and the number of units: whole units, about a block of rows."""
    if data.first is None:
        return np.append(np.arange(0, data.n_rows, r.BLOCK), data.n_rows).astype(np.int64)
    first = np.append(data.first, data.n_rows)
    bounds = [0]
    while bounds[-1] < len(first) - 1:
        at = int(np.searchsorted(first, first[bounds[-1]] + r.BLOCK, side="right")) - 1
        bounds.append(min(max(at, bounds[-1] + 1), len(first) - 1))
    return np.array(bounds, dtype=np.int64)


def _by_chunk(matrix: NDArray[Any], bounds: Integers) -> NDArray[Any]:
    """A matrix's chunks one after another, each by columns."""
    out = np.empty(matrix.size, matrix.dtype)
    width = matrix.shape[1]
    for a, b in pairwise(bounds.tolist()):
        out[a * width : b * width].reshape(width, b - a)[:] = matrix[a:b].T
    return out


_Buffer = c_char * 0


def address(array: NDArray[Any] | None) -> int:
    """Address of a contiguous array, 0 for None."""
    if array is None:
        return 0
    if array.flags.writeable:  # three times as fast as `array.ctypes`
        return addressof(_Buffer.from_buffer(array))
    return array.ctypes.data
