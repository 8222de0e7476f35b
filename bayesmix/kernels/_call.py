"""From arrays to a kernel's integer arguments, and the split of the rows into chunks.

This module does not import numba: it asks for a compiled kernel when a pass is run.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesmix.kernels.families import FAMILIES, N_CHANNELS, N_TERMS, KernelFamily
from bayesmix.kernels.record import BLOCK

SMALLEST_CHUNK = 64 * BLOCK  # about half a millisecond of work
MOST_CHUNKS = 64

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Call:
    """The checked arguments of one pass, as the kernels take them.

    ``rows`` holds the integers of `_blocks.Rows`, ``parameters`` those of `_blocks.Model` between
    the family's address and `full`; ``kept`` the arrays whose addresses are among them.
    """

    family: KernelFamily
    rows: tuple[int, ...]
    parameters: tuple[int, ...]
    kept: tuple[Any, ...]
    n_rows: int
    n_components: int
    n_columns: int
    n_concomitant: int


def find_family(family: str | KernelFamily) -> KernelFamily:
    """Look a family up by name; a `KernelFamily` is returned as it is."""
    if isinstance(family, KernelFamily):
        return family
    if family not in FAMILIES:
        raise ValueError(f"no kernel for family {family!r}; there are {', '.join(FAMILIES)}")
    return FAMILIES[family]


def prepare(
    family: str | KernelFamily,
    X: ArrayLike,
    y: ArrayLike,
    coef: ArrayLike,
    disp: ArrayLike | None = None,
    logprior: ArrayLike | None = None,
    Z: ArrayLike | None = None,
    alpha: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    aux: ArrayLike | None = None,
    const: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    allowed: ArrayLike | None = None,
) -> Call:
    """Check shapes and turn arrays into addresses; the parameters are those of `em_pass`."""
    family = find_family(family)
    X, coef = _matrix(X), _contiguous(coef)
    n, p = X.shape
    s = coef.shape[0]
    _check("coef", coef, (s, p))
    disp = _optional("disp", disp, (s,), needed=family.dispersion, default=np.zeros(s))
    if (logprior is None) == (alpha is None) or (Z is None) != (alpha is None):
        raise ValueError("give either logprior, or both Z and alpha")
    logprior = _optional("logprior", logprior, (s,))
    Z = None if Z is None else _matrix(Z)
    q = 0 if Z is None else Z.shape[1]
    if Z is not None:
        _check("Z", Z, (n, q))
    alpha = _optional("alpha", alpha, (s, q))
    vectors = [
        _optional(name, value, (n,), needed)
        for name, value, needed in (
            ("offset", offset, False),
            ("y", y, True),
            ("aux", aux, family.aux),
            ("const", const, False),
            ("weight", weight, False),
        )
    ]
    allowed = _flags(allowed, (n, s))
    rows = (
        *_strided(X),
        *(_address(vector) for vector in vectors),
        *(_strided(Z) if Z is not None else (0, 0, 0)),
        _address(allowed),
    )
    parameters = (
        int(family.dispersion),
        *(_address(array) for array in (coef, disp, logprior, alpha)),
        *(s, p, q),
    )
    kept = (X, Z, allowed, coef, disp, logprior, alpha, *vectors)
    return Call(family, rows, parameters, kept, n, s, p, q)


def run(
    kernel: Callable[[], Any],
    call: Call,
    size: int,
    posterior: Floats | None = None,
    n_threads: int = 1,
) -> Floats:
    """Run a kernel over all rows.

    The chunks depend on the number of rows only and are added in order, so the result is the same,
    to the last bit, for any number of threads.

    Parameters
    ----------
    kernel : callable
        Returns the compiled pass.
    call : Call
    size : int
        How many numbers the pass adds up.
    posterior : ndarray, shape (n, S), optional
        Filled by the pass where given.
    n_threads : int

    Returns
    -------
    ndarray, shape (size,)
    """
    from bayesmix.kernels._family_block import family_callback

    compiled = kernel().ctypes
    rows = np.array(call.rows, dtype=np.int64)
    model = np.array((family_callback(call.family).address, *call.parameters), dtype=np.int64)

    def chunk(bounds: tuple[int, int]) -> Floats:
        out, work = np.zeros(size), np.zeros(work_size(call))
        addresses = (_address(array) for array in (posterior, work, out))
        compiled(_address(rows), _address(model), *bounds, *addresses)  # releases the GIL
        return out

    bounds = chunk_bounds(call.n_rows)
    result = np.zeros(size)
    if n_threads <= 1 or len(bounds) == 1:
        for part in map(chunk, bounds):
            result += part
        return result
    with ThreadPoolExecutor(min(n_threads, len(bounds))) as pool:
        for part in pool.map(chunk, bounds):
            result += part
    return result


def work_size(call: Call) -> int:
    """Floats in the buffers of one block (`_blocks.Work`)."""
    columns = call.n_columns + 1 + call.n_concomitant
    return BLOCK * (columns + (N_TERMS + 3 + 2 * N_CHANNELS) * call.n_components + 7)


def chunk_bounds(n_rows: int) -> list[tuple[int, int]]:
    """First and last row of the chunks: whole blocks, at most MOST_CHUNKS of them."""
    blocks = -(-n_rows // (BLOCK * MOST_CHUNKS))
    size = max(SMALLEST_CHUNK, blocks * BLOCK)
    return [(first, min(first + size, n_rows)) for first in range(0, n_rows, size)]


def _contiguous(values: ArrayLike) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float64)


def _matrix(values: ArrayLike) -> Floats:
    """Any layout goes as it is, if the strides are whole positive numbers of elements."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"a matrix is needed; got shape {array.shape}")
    regular = array.flags.aligned and all(step >= 0 and step % 8 == 0 for step in array.strides)
    return array if regular else np.ascontiguousarray(array)


def _optional(
    name: str,
    values: ArrayLike | None,
    shape: tuple[int, ...],
    needed: bool = False,
    default: Floats | None = None,
) -> Floats | None:
    if values is None:
        if needed:
            raise ValueError(f"this family needs {name}, of shape {shape}")
        return default
    array = _contiguous(values)
    _check(name, array, shape)
    return array


def _flags(values: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    if values is None:
        return None
    array = np.ascontiguousarray(values)
    _check("allowed", array, shape)
    flags = array if array.dtype in (np.bool_, np.uint8) else array != 0
    return flags.view(np.uint8)


def _check(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; the other arguments need {shape}")


def _address(array: NDArray[Any] | None) -> int:
    return 0 if array is None else array.ctypes.data


def _strided(matrix: Floats) -> tuple[int, int, int]:
    return matrix.ctypes.data, matrix.strides[0] // 8, matrix.strides[1] // 8
