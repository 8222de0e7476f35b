"""What the kernels do with data that are laid out: passes, and whole runs of starts.

This module does not import numba: it asks for the compiled kernels when they are needed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from ctypes import Structure, addressof, c_int64
from typing import Any, NamedTuple

import numpy as np

from bayesmix.kernels import record as r
from bayesmix.kernels.pack import Arranged, Floats, Integers, Laid, address


def _structure(kind: np.dtype) -> Any:
    """A record that is filled by names; what is not named is zero."""
    return type("Record", (Structure,), {"_fields_": [(name, c_int64) for name in r.names(kind)]})


CALL, RUN = _structure(r.CALL), _structure(r.RUN)
Fields = dict[str, int]
Options = tuple[float, ...]


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

    def _run(self, task: int, theta: Floats, call: Fields, **fields: int) -> None:
        """Do a task for the starts at theta (R, D), which may be changed in place."""
        work, _ = buffers = self.laid.buffers()
        calls = CALL(**call)
        run = RUN(
            model=self.laid.model_address, pass_kernel=self.laid.pass_address, work=work,
            call=addressof(calls), n_starts=len(theta), theta=address(theta), **fields,
        )  # fmt: skip
        self._runs.ctypes(task, addressof(run))
        self.laid.spare.append(buffers)

    def _passes(self, theta: Floats, want: int, call: Fields, **steps: int) -> Floats:
        """Sums (R, n) at theta (R, D) over ranges of chunks, added in their order."""
        theta = np.ascontiguousarray(theta)
        n = self.laid.n_sums if want >= r.STEP else 1 + self.k + self.laid.size

        def part(bounds: tuple[int, int]) -> Floats:
            sums = np.empty((len(theta), n))
            first, last = bounds
            given = {**call, "first": first, "last": last, "want": want, "sums": address(sums)}
            self._run(r.PASSES, theta, given, sums=n, **steps)
            return sums

        ranges = self.laid.ranges
        if self.n_threads <= 1 or len(ranges) == 1:
            parts = map(part, ranges)
            return sum(parts, start=next(parts))
        with ThreadPoolExecutor(min(self.n_threads, len(ranges))) as pool:
            found = pool.map(part, ranges)
            return sum(found, start=next(found))

    def log_likelihood(self, theta: Floats) -> Floats:
        """Log-likelihood (R,) at theta (R, D)."""
        return self._passes(theta, r.VALUE, {})[:, 0]

    def gradient(self, theta: Floats) -> tuple[float, Floats]:
        """Log-likelihood and its score (D,) at one theta (D,)."""
        sums = self._passes(theta[None], r.SCORE, {})[0]
        return float(sums[0]), sums[1 + self.k :]

    def units(self, theta: Floats, *, shares: bool = True) -> tuple[Floats, Floats]:
        """Log-likelihoods (R, U) and responsibilities (R, S, U), if wanted, at theta (R, D)."""
        n_units = self.laid.n_units
        loglik = np.empty((len(theta), n_units))
        posterior = np.empty((len(theta), self.k, n_units) if shares else 0)
        call, steps = {"units": address(loglik)}, {"units_step": 8 * n_units}
        if shares:
            call["posterior"], steps["posterior_step"] = address(posterior), posterior[0].nbytes
        self._passes(theta, r.VALUE, call, **steps)
        return loglik, posterior

    def information(self, theta: Floats) -> Sums:
        """Log-likelihood, score and observed information at theta (R, D)."""
        return self._sums(self._passes(theta, r.INFORMATION, {}))

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
        call, steps = {}, {}
        if given is not None:
            given = np.ascontiguousarray(given)
            call["given"], steps["given_step"] = address(given), given[0].nbytes
        kept, call["working"] = _working(working)
        sums = self._passes(theta, r.STEP, call, **steps)
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
        resp = np.ascontiguousarray(resp)
        kept, at = _working(working)
        call, step = {"given": address(resp), "working": at}, resp[0].nbytes
        theta = self._whole(r.MEMBERSHIPS, theta, (resting,), call, steps=steps, given_step=step)
        del kept
        return theta

    def classify(self, theta: Floats, steps: int) -> Floats:
        """Parameters (R, D) after steps of classification EM."""
        return self._whole(r.CLASSIFY, theta, (), {}, steps=steps)

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
        where, low, high = where.astype(np.int64), low.astype(float), high.astype(float)
        return self._traced(
            r.EXTRAPOLATE if squared else r.CLIMB, theta, (tol, least_log_weight), max_iter,
            n_where=len(where), where=address(where), low=address(low), high=address(high),
        )  # fmt: skip

    def newton(self, theta: Floats, *, max_iter: int, tol: float, widest: float) -> Run:
        """Newton's method from theta (R, D), as far as its steps are those near a maximum.

        `widest` is the largest number in all designs.
        """
        return self._traced(r.NEWTON, theta, (tol, widest), max_iter)

    def _traced(self, task: int, theta: Floats, options: Options, steps: int, **fields: int) -> Run:
        """A task whose log-likelihoods are kept."""
        n = len(theta)
        trace, counts = np.empty((n, steps)), np.empty((2, n), dtype=np.int64)
        fields |= {"trace": address(trace), "counts": address(counts)}
        theta = self._whole(task, theta, options, {}, steps=steps, **fields)
        return Run(theta, trace[:, : int(counts[1].max(initial=0))].T, *counts)

    def _whole(
        self, task: int, theta: Floats, options: Options, call: Fields, **fields: int
    ) -> Floats:
        """Where theta (R, D) goes by a task with passes and M steps over all chunks."""
        from bayesmix.kernels.step import step_callback

        step: Any = step_callback()
        theta = np.array(theta, dtype=np.float64, order="C")
        sums, numbers = np.empty(self.laid.n_sums), np.array([*options, 0.0, 0.0])
        call = {**call, "last": self.laid.n_chunks, "sums": address(sums)}
        fields |= {"step_kernel": step.address, "options": address(numbers)}
        self._run(task, theta, call, **fields)
        return theta


def _working(working: list[Floats | None] | None) -> tuple[Any, int]:
    """Addresses of predictors by item, what has to be kept alive, and where they stand."""
    if working is None:
        return None, 0
    arrays = [None if a is None else np.ascontiguousarray(a, np.float64) for a in working]
    addresses = np.array([address(a) for a in arrays], dtype=np.int64)
    return (arrays, addresses), address(addresses)
