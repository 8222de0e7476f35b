"""Natural cubic regression splines, and the roughness of any spline's columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from bayesmix.errors import FormulaError


class NaturalSpline:
    r"""``cr(x, df=)``: cubic between knots, straight beyond, by its values at the knots.

    With h the gaps between knots t_0 < ... < t_m and b the values there, the second derivatives d
    solve the tridiagonal B d = D b with d_0 = d_m = 0, and between two knots

    .. math:: f(x) = a^-(x) b_j + a^+(x) b_{j+1} + c^-(x) d_j + c^+(x) d_{j+1} .

    The columns have mean zero over the training data, so that an intercept stands beside them; with
    ``center=False`` there is one column for each knot.  Knots are quantiles of the distinct values.

    References
    ----------
    Wood (2017), Generalized Additive Models, 2nd edition, section 5.3.1.
    """

    def __init__(self) -> None:
        self.knots: np.ndarray | None = None
        self.turn: np.ndarray | None = None

    def __call__(
        self,
        x: Any,
        df: int | None = None,
        knots: Sequence[float] | None = None,
        lower_bound: float | None = None,
        upper_bound: float | None = None,
        center: bool = True,
    ) -> np.ndarray:
        """The columns (n, P) at x (n,); the first call chooses the knots."""
        x = np.asarray(x, dtype=float)
        if self.knots is None:
            ends = (
                float(x.min() if lower_bound is None else lower_bound),
                float(x.max() if upper_bound is None else upper_bound),
            )
            self.knots = _knots(x, df, knots, ends, less=bool(center))
            self.curved = _curvatures(self.knots)
            if center:
                mean = self._whole(x).mean(0)
                self.turn = np.linalg.qr(mean[:, None], "complete")[0][:, 1:]
        columns = self._whole(x)
        return columns if self.turn is None else columns @ self.turn

    def _whole(self, x: np.ndarray) -> np.ndarray:
        """One column for each knot, (n, m + 1)."""
        t = self.knots
        assert t is not None
        j = np.clip(np.searchsorted(t, x, side="right") - 1, 0, len(t) - 2)
        h = t[j + 1] - t[j]
        right = (x - t[j]) / h
        left = 1 - right
        rows, out = np.arange(len(x)), np.zeros((len(x), len(t)))
        out[rows, j] += left
        out[rows, j + 1] += right
        for share, at in ((left, j), (right, j + 1)):
            out += ((share**3 - share) * h**2 / 6)[:, None] * self.curved[at]
        return out


def _knots(
    x: np.ndarray, df: Any, given: Any, ends: tuple[float, float], *, less: bool
) -> np.ndarray:
    """The knots with both ends."""
    if (df is None) == (given is None):
        raise FormulaError("cr(...) takes one of df= and knots=, such as cr(x, df=5)")
    if given is not None:
        inner = np.sort(np.asarray(given, dtype=float).ravel())
    else:
        fewest = 2 if less else 3
        if not isinstance(df, int | np.integer) or isinstance(df, bool) or df < fewest:
            raise FormulaError(f"cr(..., df={df!r}): df is a whole number of at least {fewest}")
        shares = np.linspace(0, 1, int(df) + less)[1:-1]
        distinct = np.unique(x[(x >= ends[0]) & (x <= ends[1])])
        inner = np.quantile(distinct, shares) if len(distinct) else np.zeros(0)
    knots = np.array([ends[0], *inner, ends[1]])
    if len(knots) < 3 or not (np.diff(knots) > 0).all():
        raise FormulaError(
            f"cr(...) has the knots {np.round(knots, 6).tolist()}; at least three different ones "
            "are needed, from the lower end to the upper. Use a smaller df=, or knots= inside"
        )
    return knots


def _curvatures(t: np.ndarray) -> np.ndarray:
    """Second derivatives at the knots of the splines that are one at a knot, (m + 1, m + 1)."""
    h, m = np.diff(t), len(t) - 1
    inside = np.arange(m - 1)
    system, slopes = np.zeros((m - 1, m - 1)), np.zeros((m - 1, m + 1))
    system[inside, inside] = (h[:-1] + h[1:]) / 3
    system[inside[1:], inside[:-1]] = system[inside[:-1], inside[1:]] = h[1:-1] / 6
    slopes[inside, inside] = 1 / h[:-1]
    slopes[inside, inside + 1] = -1 / h[:-1] - 1 / h[1:]
    slopes[inside, inside + 2] = 1 / h[1:]
    out = np.zeros((m + 1, m + 1))
    out[1:-1] = np.linalg.solve(system, slopes)
    return out


def roughness(
    columns: Callable[[np.ndarray], np.ndarray], knots: np.ndarray, degree: int
) -> np.ndarray:
    r"""The matrix S (P, P) with b' S b = integral of f''(x)^2, for f = columns b.

    Between two knots every column is a polynomial, so that its values at `degree` + 1 points give
    the integral exactly.

    Parameters
    ----------
    columns : callable
        Given x (m,), the columns (m, P).
    knots : ndarray
        Increasing, with both ends.
    degree : int
    """
    at = np.cos((np.arange(degree + 1) + 0.5) * np.pi / (degree + 1))
    values = np.linalg.inv(legendre.legvander(at, degree))
    total = 0.0
    for low, high in pairwise(knots):
        half = (high - low) / 2
        series = values @ columns(low + half * (1 + at))
        bent = legendre.legder(series, 2) / half**2
        norms = half * 2 / (2 * np.arange(len(bent)) + 1)
        total = total + (bent.T * norms) @ bent
    return np.asarray(total)
