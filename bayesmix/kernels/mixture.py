"""What the kernels do with data that are laid out: passes, and whole runs of starts.

This module does not import numba: it asks for the compiled kernels when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from ctypes import Structure, addressof, c_int64
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesmix.kernels import record as r
from bayesmix.kernels.pack import Arranged, Floats, Integers, Laid, address

__all__ = ["Mixture", "Run", "Sums"]


def _structure(kind: np.dtype) -> Any:
    """A record that is filled by names; what is not named is zero."""
    return type("Record", (Structure,), {"_fields_": [(name, c_int64) for name in r.names(kind)]})


CALL, RUN = _structure(r.CALL), _structure(r.RUN)
# Numbers of responsibilities held at once.
MOST = 1 << 22


class Sums(NamedTuple):
    """What a pass for R starts adds up.

    `loglik` (R,), `mass` (R, S), `score` (R, D), `matrix` (R, D, D): an M step's scoring matrix
    or the observed information; and `scales`, for every item with a closed scale its weighted
    squared residuals and their weights (R,), own score (R, P) and gram matrix (R, P, P).
    """

    loglik: Floats
    mass: Floats
    score: Floats
    matrix: Floats
    scales: tuple[tuple[Floats, Floats, Floats, Floats], ...]


class Run(NamedTuple):
    """How R starts have run: `theta` (R, D), `trace` (T, R), `status` and `iterations` (R,)."""

    theta: Floats
    trace: Floats
    status: Integers
    iterations: Integers


class Mixture:
    """Data laid out for the kernels, and the kernels' tasks; safe in several threads.

    Parameters
    ----------
    data : Arranged
    n_threads : int
        Threads that share the chunks of a pass; the result does not depend on it.
    """

    def __init__(self, data: Arranged, n_threads: int = 1) -> None:
        from bayesmix.kernels.runs import runs_callback

        self.laid, self._runs = Laid(data), runs_callback()
        self.n_threads = n_threads
        self.k = len(data.alpha)
        self.n_items = len(data.items)

    def _run(self, task: int, theta: Floats, call: dict[str, int], **fields: int) -> None:
        """Do a task for the starts at theta (R, D), which may be changed in place."""
        work, memory = self.laid.buffers()
        calls = CALL(**call)
        run = RUN(
            model=self.laid.model_address, pass_kernel=self.laid.pass_address, work=address(work),
            call=addressof(calls), n_starts=len(theta), theta=address(theta), **fields,
        )  # fmt: skip
        self._runs.ctypes(task, addressof(run))
        del memory

    def _passes(
        self,
        theta: Floats,
        want: int,
        ranges: Iterable[tuple[int, int]],
        call: dict[str, int],
        **steps: int,
    ) -> Floats:
        """Sums (R, n) over ranges of chunks, added in their order."""
        from bayesmix.kernels.runs import PASSES

        k, size = self.k, self.laid.size
        n = self.laid.n_sums if want >= r.STEP else 1 + k + size

        def part(bounds: tuple[int, int]) -> Floats:
            sums = np.empty((len(theta), n))
            given = call | {
                "first": bounds[0],
                "last": bounds[1],
                "want": want,
                "sums": address(sums),
            }
            self._run(PASSES, theta, given, sums=n, **steps)
            return sums

        ranges = list(ranges)
        if self.n_threads <= 1 or len(ranges) == 1:
            parts = map(part, ranges)
            return sum(parts, start=next(parts))
        with ThreadPoolExecutor(min(self.n_threads, len(ranges))) as pool:
            found = pool.map(part, ranges)
            return sum(found, start=next(found))

    def log_likelihood(self, theta: Floats) -> Floats:
        """Log-likelihood (R,) at theta (R, D)."""
        theta = np.ascontiguousarray(theta)
        return self._passes(theta, r.VALUE, self.laid.ranges, {})[:, 0]

    def gradient(self, theta: Floats) -> tuple[float, Floats]:
        """Log-likelihood and its score (D,) at one theta (D,)."""
        sums = self._passes(np.ascontiguousarray(theta)[None], r.SCORE, self.laid.ranges, {})[0]
        return float(sums[0]), sums[1 + self.k :]

    def units(self, theta: Floats, *, shares: bool = True) -> tuple[Floats, Floats]:
        """Log-likelihoods (R, U) and responsibilities (R, S, U), if wanted, at theta (R, D)."""
        theta, n_units = np.ascontiguousarray(theta), self.laid.n_units
        loglik = np.empty((len(theta), n_units))
        posterior = np.empty((len(theta), self.k, n_units) if shares else 0)
        call, steps = {"units": address(loglik)}, {"units_step": 8 * n_units}
        if shares:
            call["posterior"], steps["posterior_step"] = address(posterior), posterior[0].nbytes
        self._passes(theta, r.VALUE, self.laid.ranges, call, **steps)
        return loglik, posterior

    def information(self, theta: Floats) -> Sums:
        """Log-likelihood, score and observed information at theta (R, D)."""
        theta = np.ascontiguousarray(theta)
        return self._sums(self._passes(theta, r.INFORMATION, self.laid.ranges, {}))

    def em_pass(
        self, theta: Floats, given: Floats | None = None, working: list[Floats | None] | None = None
    ) -> Sums:
        """Sums of an EM step at theta (R, D).

        Parameters
        ----------
        theta : ndarray, shape (R, D)
        given : ndarray, shape (R, S, U), optional
            Responsibilities to use.
        working : list of (ndarray of shape (L, n) or None), optional
            By item, the L located predictors in place of those at theta: the score is then that of
            the working response.
        """
        theta = np.ascontiguousarray(theta)
        call, steps = {}, {}
        if given is not None:
            given = np.ascontiguousarray(given)
            call["given"], steps["given_step"] = address(given), given[0].nbytes
        kept, call["working"] = _working(working)
        sums = self._passes(theta, r.STEP, self.laid.ranges, call, **steps)
        del kept
        return self._sums(sums)

    def _sums(self, sums: Floats) -> Sums:
        n, k, d = len(sums), self.k, self.laid.size
        scales = []
        for _, at, width in self.laid.scales:
            gram = sums[:, at + 2 + width : at + 2 + width + width**2].reshape(n, width, width)
            scales.append((sums[:, at], sums[:, at + 1], sums[:, at + 2 : at + 2 + width], gram))
        end = 1 + k + d
        matrix = sums[:, end : end + d * d].reshape(n, d, d)
        return Sums(sums[:, 0], sums[:, 1 : 1 + k], sums[:, 1 + k : end], matrix, tuple(scales))

    def first_steps(
        self, theta: Floats, resp: Floats, working: list[Floats | None], steps: int, resting: float
    ) -> Floats:
        """Parameters (R, D) after M steps at responsibilities (R, S, U).

        Parameters
        ----------
        theta : ndarray, shape (R, D)
            Coefficients of zero, and dispersions.
        resp : ndarray, shape (R, S, U)
        working : list of (ndarray of shape (L, n) or None)
            By item, linear predictors of the first step.
        steps : int
            How many follow.
        resting : float
            A change of theta with which they end.
        """
        from bayesmix.kernels.runs import MEMBERSHIPS

        theta = np.array(theta, dtype=np.float64, order="C")
        resp = np.ascontiguousarray(resp)
        kept, at = _working(working)
        call = {"given": address(resp), "working": at}
        options = np.array([resting, 0.0])
        step = resp[0].nbytes
        self._whole(
            MEMBERSHIPS, theta, call, steps=steps, given_step=step, options=address(options)
        )
        del kept
        return theta

    def classify(self, theta: Floats, steps: int) -> Floats:
        """Parameters (R, D) after steps of classification EM."""
        from bayesmix.kernels.runs import CLASSIFY

        theta = np.array(theta, dtype=np.float64, order="C")
        self._whole(CLASSIFY, theta, {}, steps=steps)
        return theta

    def climb(
        self,
        theta: Floats,
        *,
        max_iter: int,
        tol: float,
        where: Integers,
        low: Floats,
        high: Floats,
        least_log_weight: float,
        squared: bool = False,
    ) -> Run:
        """EM from theta (R, D) until the log-likelihood stands still.

        Parameters
        ----------
        theta : ndarray, shape (R, D)
        max_iter : int
        tol : float
        where, low, high : ndarray, shape (m,)
            Entries of theta, and the values between which they have to stay.
        least_log_weight : float
            Smallest logarithm of constant weights.
        squared : bool
            Cycles of squared extrapolation instead of EM steps.
        """
        from bayesmix.kernels.runs import CLIMB, EXTRAPOLATE

        theta = np.array(theta, dtype=np.float64, order="C")
        n = len(theta)
        trace, counts = np.empty((n, max_iter)), np.empty((2, n), dtype=np.int64)
        options = np.array([tol, least_log_weight])
        where, low, high = where.astype(np.int64), low.astype(float), high.astype(float)
        self._whole(
            EXTRAPOLATE if squared else CLIMB, theta, {}, steps=max_iter, options=address(options),
            n_where=len(where), where=address(where), low=address(low), high=address(high),
            trace=address(trace), counts=address(counts),
        )  # fmt: skip
        used = int(counts[1].max(initial=0))
        return Run(theta, trace[:, :used].T, counts[0], counts[1])

    def _whole(self, task: int, theta: Floats, call: dict[str, int], **fields: int) -> None:
        """A task with passes and M steps over all chunks."""
        from bayesmix.kernels.step import step_callback

        step: Any = step_callback()
        sums = np.empty(self.laid.n_sums)
        last = int(self.laid.model["n_chunks"][0])
        call = call | {"last": last, "sums": address(sums)}
        self._run(task, theta, call, step_kernel=step.address, **fields)

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
        from bayesmix.kernels.solve import newton_callback

        n, d = score.shape
        matrix, score = np.ascontiguousarray(matrix), np.ascontiguousarray(score)
        free, f = np.ascontiguousarray(free, dtype=np.int64), len(free)
        step, work = np.empty((n, f)), np.empty((f + 2) * f)
        decrement = np.empty(n)
        arrays = (free, matrix, score, work, step, decrement)
        newton_callback().ctypes(n, d, f, *map(address, arrays))
        return step, decrement, np.isfinite(decrement)


def _working(working: list[Floats | None] | None) -> tuple[Any, int]:
    """Addresses of predictors by item, what has to be kept alive, and where they stand."""
    if working is None:
        return None, 0
    arrays = [None if a is None else np.ascontiguousarray(a, np.float64) for a in working]
    addresses = np.array([address(a) for a in arrays], dtype=np.int64)
    return (arrays, addresses), address(addresses)
