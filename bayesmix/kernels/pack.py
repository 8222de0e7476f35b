"""Small data for the kernel: from arrays to addresses, and its tasks as methods.

This module does not import numba: it asks for the compiled kernel when a task is run.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import addressof, c_char
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesmix.kernels import record as places
from bayesmix.kernels._call import Floats
from bayesmix.kernels.families import N_TERMS, KernelFamily
from bayesmix.kernels.record import BLOCK

Integers = NDArray[np.int64]
NO_ARGUMENTS = np.zeros(3, dtype=np.int64)


class SmallPass(NamedTuple):
    """Sums of a pass for R starts.

    `loglik` (R,), `score` (R, D), `scoring` (R, D, D), `mass` (R, S); of every component the sum
    of its statistic `squares` and the weights of its `rows` (R, S), its own `parts` of the
    score (R, S, P) and its `grams` (R, S, P, P).
    """

    loglik: Floats
    score: Floats
    scoring: Floats
    mass: Floats
    squares: Floats
    rows: Floats
    parts: Floats
    grams: Floats


class SmallRun(NamedTuple):
    """How R starts have run: `theta` (R, D), `trace` (T, R), `status` and `iterations` (R,)."""

    theta: Floats
    trace: Floats
    status: Integers
    iterations: Integers


# What the entries of theta are, by the names of the effects.
KINDS = {
    "held": places.HELD,
    "coefficient": places.COEFFICIENT,
    "dispersion": places.LOG_DISPERSION,
    "concomitant": places.LOGIT,
    "weight": places.CONSTANT_WEIGHT,
}


@dataclass(frozen=True)
class SmallData:
    """A mixture of regressions with its rows, for the kernel.

    Parameters
    ----------
    family : KernelFamily
    X : ndarray, shape (n, P)
    y : ndarray, shape (n,)
    index : ndarray of int, shape (S, P)
        Entries of theta of the coefficients; -1: none.
    dispersion_index : ndarray of int, shape (S,), or None
    alpha_index : ndarray of int, shape (S, Q)
    kind : ndarray of int, shape (D,)
        What each entry of theta is: one of `KINDS`.
    Z : ndarray, shape (U, Q), or None
        None for constant weights.
    first : ndarray of int, shape (U,), or None
        First row of each unit; None where every row is a unit.
    offset, aux, const, weight, allowed : ndarray, optional
        As in `bayesmix.kernels.em_pass`, the last two by units.
    """

    family: KernelFamily
    X: Floats
    y: Floats
    index: Integers
    dispersion_index: Integers | None
    alpha_index: Integers
    kind: Integers
    Z: Floats | None = None
    first: Integers | None = None
    offset: Floats | None = None
    aux: Floats | None = None
    const: Floats | None = None
    weight: Floats | None = None
    allowed: NDArray[Any] | None = None

    def for_scores(self) -> SmallArrays:
        """Lay the data out for the pass that gives the score."""
        from bayesmix.kernels._small_score import score_callback

        return SmallArrays(self, (score_callback,))

    def prepare(self) -> SmallMixture:
        """Lay the data out for the kernel."""
        return SmallMixture(self)


class SmallArrays:
    """Data laid out for the kernels, with the addresses of those that these call.

    Parameters
    ----------
    data : SmallData
    called : tuple of callable
        Compile or load the pass over the rows and, where it is needed, the M step.

    Attributes
    ----------
    model : ndarray of int
        As `_small_places` says; the places of the buffers count from where these begin.
    work : int
        Length of the buffers.
    zeros : slice
        The part of the buffers that is zero.
    shape : tuple of int
        Components, columns, length of theta, units.
    """

    def __init__(self, data: SmallData, called: tuple[Callable[[], Any], ...]) -> None:
        from bayesmix.kernels._family_block import family_callback

        s, p = data.index.shape
        q, size = data.alpha_index.shape[1], len(data.kind)
        n, n_units = len(data.y), len(data.y) if data.first is None else len(data.first)
        first = None if data.first is None else np.append(data.first, n).astype(np.int64)
        bounds = chunk_bounds(first, n)
        edges = bounds if first is None else first[bounds]
        line = max(BLOCK, int(np.diff(edges).max(initial=0)))
        arrays = _data_arrays(data, bounds, edges, n_units)
        for index in (data.index, data.dispersion_index, data.alpha_index, data.kind):
            arrays.append(None if index is None else np.ascontiguousarray(index, dtype=np.int64))
        sizes = (s, p, q, size, n_units, len(bounds) - 1, line)
        flags = (int(data.dispersion_index is not None), int(data.Z is None))
        kernels = [family_callback(data.family), *(make() for make in called)]
        addresses = [each.address for each in kernels]
        addresses += [0] * (places.X - places.FAMILY - len(addresses))
        model = [*sizes, *flags, *addresses, *(_address(a) for a in arrays)]
        scratch = N_TERMS * BLOCK if line > BLOCK else 1
        lengths = places.buffers(s, p, q, size, line, scratch, N_TERMS)
        starts = 8 * np.cumsum([0, *lengths])
        self.model = np.array([*model, *starts[:-1]], dtype=np.int64)
        self.work = int(starts[-1]) // 8
        self.zeros = slice(*(starts[places.ZEROS - places.N_DATA :][:2] // 8))
        self.shape = (s, p, size, n_units)
        self._kept = (arrays, kernels, data.family)


class SmallMixture:
    """Data laid out for the kernels, and the kernels' tasks; safe in several threads.

    Parameters
    ----------
    data : SmallData
    """

    def __init__(self, data: SmallData) -> None:
        from bayesmix.kernels.warm import callbacks

        runs, newton, *called = callbacks()
        self._kernel, self._newton = runs().ctypes, newton().ctypes
        self._arrays = SmallArrays(data, tuple(called))
        self.shape = self._arrays.shape

    def _buffers(self) -> tuple[Integers, Floats]:
        """The model with the addresses of new buffers, and these, to be kept while it is used."""
        work = np.empty(self._arrays.work)
        work[self._arrays.zeros] = 0.0
        model = self._arrays.model.copy()
        model[places.N_DATA :] += _address(work)
        return model, work

    def _run(
        self,
        task: int,
        theta: Floats,
        numbers: Floats | None = None,
        arguments: Integers = NO_ARGUMENTS,
        options: Floats | None = None,
        counts: Integers | None = None,
    ) -> None:
        model, _work = self._buffers()
        self._kernel(
            task,
            _address(model),
            len(theta),
            _address(theta),
            _address(options),
            _address(arguments),
            _address(numbers),
            _address(counts),
        )

    def log_likelihood(self, theta: Floats) -> Floats:
        """Log-likelihood (R,) at theta (R, D)."""
        theta = np.ascontiguousarray(theta)
        out = np.empty(len(theta))
        self._run(places.LOG_LIKELIHOOD, theta, out)
        return out

    def em_pass(self, theta: Floats, *, hard: bool = False) -> SmallPass:
        """Sums of an EM step at theta (R, D).

        Parameters
        ----------
        theta : ndarray, shape (R, D)
        hard : bool
            Each unit belongs to its most probable component.
        """
        theta = np.ascontiguousarray(theta)
        r, (s, p, d, _) = len(theta), self.shape
        out = np.empty((r, 1 + d + d * d + 3 * s + s * p + s * p * p))
        self._run(places.PASS, theta, out, _integers(places.HARD if hard else places.OWN))
        edges = np.cumsum([1, d, d * d, s, s, s, s * p])
        loglik, score, scoring, mass, squares, count, parts, grams = np.split(out, edges, axis=1)
        return SmallPass(
            loglik[:, 0],
            score,
            scoring.reshape(r, d, d),
            mass,
            squares,
            count,
            parts.reshape(r, s, p),
            grams.reshape(r, s, p, p),
        )

    def information(self, theta: Floats) -> tuple[Floats, Floats, Floats]:
        """Log-likelihood (R,), score (R, D) and observed information (R, D, D)."""
        theta = np.ascontiguousarray(theta)
        r, d = theta.shape
        out = np.empty((r, 1 + d + d * d))
        self._run(places.INFORMATIONS, theta, out)
        return out[:, 0], out[:, 1 : 1 + d], out[:, 1 + d :].reshape(r, d, d)

    def newton_steps(
        self, matrix: Floats, score: Floats, free: Integers
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Newton steps where the information is surely positive definite.

        Parameters
        ----------
        matrix : ndarray, shape (R, D, D)
        score : ndarray, shape (R, D)
        free : ndarray of int, shape (f,)
            The entries of theta that move.

        Returns
        -------
        step : ndarray, shape (R, f)
        decrement : ndarray, shape (R,)
            Score times step.
        definite : ndarray of bool, shape (R,)
            Where it is false, step and decrement say nothing.
        """
        r, d = score.shape
        matrix, score = np.ascontiguousarray(matrix), np.ascontiguousarray(score)
        free, f = np.ascontiguousarray(free, dtype=np.int64), len(free)
        step, work = np.empty((r, f)), np.empty((f + 2) * f)
        decrement = np.empty(r)
        arrays = (free, matrix, score, work, step, decrement)
        self._newton(r, d, f, *map(_address, arrays))
        return step, decrement, np.isfinite(decrement)

    def first_steps(self, theta: Floats, resp: Floats, working: Floats, steps: int) -> Floats:
        """Parameters (R, D) after M steps at responsibilities (R, S, U).

        Parameters
        ----------
        theta : ndarray, shape (R, D)
            Coefficients of zero, and dispersions.
        resp : ndarray, shape (R, S, U)
        working : ndarray, shape (n,)
            Linear predictors of the first step.
        steps : int
            How many follow.
        """
        theta = np.array(theta, dtype=np.float64, order="C")
        resp, working = np.ascontiguousarray(resp), np.ascontiguousarray(working)
        arguments = _integers(_address(resp), _address(working), steps)
        self._run(places.MEMBERSHIPS, theta, arguments=arguments)
        return theta

    def classify(self, theta: Floats, steps: int) -> Floats:
        """Parameters (R, D) after steps of classification EM."""
        theta = np.array(theta, dtype=np.float64, order="C")
        self._run(places.CLASSIFY, theta, arguments=_integers(steps))
        return theta

    def climb(
        self,
        theta: Floats,
        *,
        max_iter: int,
        tol: float,
        where: Integers,
        low: Floats,
        least_log_weight: float,
        squared: bool = False,
    ) -> SmallRun:
        """EM from theta (R, D) until the log-likelihood stands still.

        Parameters
        ----------
        theta : ndarray, shape (R, D)
        max_iter : int
        tol : float
        where, low : ndarray, shape (m,)
            Entries of theta, and the values below which a start is degenerate.
        least_log_weight : float
            Likewise for the logarithms of constant weights.
        squared : bool
            Cycles of squared extrapolation instead of EM steps.
        """
        theta = np.array(theta, dtype=np.float64, order="C")
        r = len(theta)
        trace, counts = np.empty((r, max_iter)), np.empty((2, r), dtype=np.int64)
        options = np.array([tol, least_log_weight, *low])
        arguments = _integers(max_iter, len(where), *where, 0)
        task = places.EXTRAPOLATE if squared else places.CLIMB
        self._run(task, theta, trace, arguments, options, counts)
        used = int(counts[1].max(initial=0))
        return SmallRun(theta, trace[:, :used].T, counts[0], counts[1])


def _data_arrays(
    data: SmallData, bounds: Integers, edges: Integers, n_units: int
) -> list[NDArray[Any] | None]:
    """The arrays from X to FIRST, in the order of `_small_places`."""
    n = len(data.y)
    Z = np.ones((n_units, 1)) if data.Z is None else data.Z
    first = None if data.first is None else np.append(data.first, n).astype(np.int64)
    given: list[Any] = [
        _by_chunk(data.X, edges),
        data.offset,
        data.y,
        data.aux,
        data.const,
        data.weight,
        np.append(_by_chunk(Z, bounds), Z),
        np.abs(Z).max(0, initial=0.0),
    ]
    arrays = [None if a is None else np.ascontiguousarray(a, dtype=np.float64) for a in given]
    allowed = data.allowed
    flags = None if allowed is None else _by_chunk(allowed != 0, bounds).view(np.uint8)
    return [*arrays, flags, bounds, first]


def chunk_bounds(first: Integers | None, n: int) -> Integers:
    """First units of the chunks and the number of units: whole units, about a block of rows."""
    if first is None:
        return np.append(np.arange(0, n, BLOCK), n).astype(np.int64)
    bounds = [0]
    while bounds[-1] < len(first) - 1:
        at = int(np.searchsorted(first, first[bounds[-1]] + BLOCK, side="right")) - 1
        bounds.append(min(max(at, bounds[-1] + 1), len(first) - 1))
    return np.array(bounds, dtype=np.int64)


def _by_chunk(matrix: NDArray[Any], bounds: Integers) -> NDArray[Any]:
    """A matrix's chunks one after another, each by columns."""
    return np.concatenate([np.ravel(matrix[a:b].T) for a, b in pairwise(bounds)])


def _integers(*values: int) -> Integers:
    return np.array(values, dtype=np.int64)


_Buffer = c_char * 0


def _address(array: NDArray[Any] | None) -> int:
    """Address of a contiguous array, 0 for None."""
    if array is None:
        return 0
    if array.flags.writeable:  # three times as fast as `array.ctypes`
        return addressof(_Buffer.from_buffer(array))
    return array.ctypes.data
