"""B-splines and natural cubic regression splines, and the roughness of their columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.polynomial import legendre

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula import library
from bayesmix.formula.stateful import Stateful


class Spline(Stateful):
    """Columns that are polynomials between knots, in the range that they were made for.

    The columns have mean zero over the training data, so that an intercept stands beside them; with
    ``center=False`` a constant is among them.
    """

    options: Mapping[str, Any] = {
        "df": None, "knots": None, "lower_bound": None, "upper_bound": None, "center": True
    }  # fmt: skip

    @property
    def stages(self) -> int:
        """One for the knots, one for the means of the columns."""
        return 1 + bool(self.given["center"])

    @property
    def knots(self) -> np.ndarray:
        """The distinct knots, with both ends."""
        return np.unique(self.constants["knots"])

    @property
    def degree(self) -> int:
        """Of the polynomials."""
        return 3

    @property
    def roughness(self) -> np.ndarray:
        """The integrals of products of second derivatives, (P, P)."""
        return roughness(self.columns, self.knots, self.degree)

    def begin(self, x: np.ndarray) -> None:
        """Values between which quantiles are looked for; in a sample those that it has."""
        super().begin(x)
        self.seen = np.unique(x)

    def sums(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The ends and how many values lie up to each of those seen; then means of columns."""
        x, weight = x[weight > 0], weight[weight > 0]
        if self.stage == 1:
            return np.append(weight.sum(), weight @ self.whole(self._within(x)))
        place = np.searchsorted(self.seen, x).clip(max=len(self.seen) - 1)
        counts = np.bincount(place, weight, len(self.seen))
        return np.array([-x.min(initial=np.inf), x.max(initial=-np.inf), *counts])

    def joined(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Ends of blocks are no sums."""
        total = super().joined(parts)
        if self.stage == 0:
            total[:2] = np.max(parts, axis=0)[:2]
        return total

    def found(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """The knots, both ends among them; then the coordinates in which all means are zero."""
        if self.stage == 1:
            mean = sums[1:] / sums[0]
            return {"turn": np.linalg.qr(mean[:, None], "complete")[0][:, 1:]}
        bounds = self.given["lower_bound"], self.given["upper_bound"]
        pairs = zip(bounds, (-sums[0], sums[1]), strict=True)
        ends = np.array([own if bound is None else bound for bound, own in pairs], float)
        knots = self.placed(self.seen, sums[2:], ends)
        del self.seen
        return {"knots": np.sort(np.concatenate([ends, knots]))}

    def placed(self, values: np.ndarray, counts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """The inner knots, by distinct values and their counts."""
        raise NotImplementedError

    def whole(self, x: np.ndarray) -> np.ndarray:
        """The columns before they are centred."""
        more = {"degree": self.degree} if "degree" in self.options else {}
        return library.spline(self.name, self.constants["knots"], **more)(x)

    def columns(self, x: np.ndarray) -> np.ndarray:
        """The columns (n, P) at x (n,)."""
        made = self.whole(self._within(x))
        return made @ self.constants["turn"] if self.given["center"] else made

    def _within(self, x: np.ndarray) -> np.ndarray:
        low, high = self.constants["knots"][[0, -1]]
        outside = x[(x < low) | (x > high)]
        if len(outside):
            shown = ", ".join(f"{v:g}" for v in outside[:5])
            raise DataError(
                f"{self.name}(...) was made for values from {low:g} to {high:g}; {len(outside)} "
                f"values lie outside ({shown}). A spline is not extrapolated: leave these rows "
                "out, or set lower_bound and upper_bound when fitting."
            )
        return x


class BSpline(Spline):
    """``bs(x, df=)``: B-splines with knots at quantiles of the data.

    References
    ----------
    de Boor (2001), A Practical Guide to Splines, revised edition, chapter IX.
    """

    options: Mapping[str, Any] = {
        "df": None, "knots": None, "degree": 3, "intercept": None,
        "lower_bound": None, "upper_bound": None, "center": True,
    }  # fmt: skip

    def _options(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        given = super()._options(args, kwargs)
        if given["intercept"] is not None:
            given["center"] = not given["intercept"]
        return given

    @property
    def degree(self) -> int:
        """Of the polynomials."""
        return int(self.given["degree"])

    def placed(self, values: np.ndarray, counts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """As given, else at quantiles that leave as many rows between them."""
        df, knots, degree = (self.given[name] for name in ("df", "knots", "degree"))
        for name, value, least in (("degree", degree, 0), ("df", df, 1)):
            if value is not None and (not _is_whole(value) or value < least):
                msg = f"bs(..., {name}={value!r}): {name} is a whole number of at least {least}"
                raise FormulaError(msg)
        if df is None and knots is None:
            raise FormulaError("bs(...) takes df= or knots=, such as bs(x, df=5)")
        number = None if df is None else df - degree - 1 + bool(self.given["center"])
        if number is not None and number < 0:
            raise FormulaError(
                f"bs(..., df={df}) is too small for degree={degree}; it has at least "
                f"{df - number} columns"
            )
        if knots is None:
            return weighted_quantile(values, counts, np.linspace(0, 1, int(number or 0) + 2)[1:-1])
        inner = np.asarray(knots, dtype=float).ravel()
        if number not in (None, len(inner)) or not ((ends[0] <= inner) & (inner <= ends[1])).all():
            raise FormulaError(
                f"bs(...) has knots={inner.tolist()}; they lie between the ends {ends[0]:g} and "
                f"{ends[1]:g}" + ("" if number is None else f", and df={df} has {number} of them")
            )
        return inner


class NaturalSpline(Spline):
    """``cr(x, df=)``: cubic between knots, straight beyond, by its values at the knots.

    Knots are quantiles of the distinct values.

    References
    ----------
    Wood (2017), Generalized Additive Models, 2nd edition, section 5.3.1.
    """

    def placed(self, values: np.ndarray, counts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """As given, else at quantiles of the distinct values within the ends."""
        df, given, less = self.given["df"], self.given["knots"], bool(self.given["center"])
        if (df is None) == (given is None):
            raise FormulaError("cr(...) takes one of df= and knots=, such as cr(x, df=5)")
        if given is not None:
            inner = np.sort(np.asarray(given, dtype=float).ravel())
        else:
            fewest = 2 if less else 3
            if not _is_whole(df) or df < fewest:
                raise FormulaError(f"cr(..., df={df!r}): df is a whole number of at least {fewest}")
            shares = np.linspace(0, 1, int(df) + less)[1:-1]
            distinct = values[(counts > 0) & (values >= ends[0]) & (values <= ends[1])]
            inner = np.quantile(distinct, shares) if len(distinct) else np.zeros(0)
        knots = np.array([ends[0], *inner, ends[1]])
        if len(knots) < 3 or not (np.diff(knots) > 0).all():
            raise FormulaError(
                f"cr(...) has the knots {np.round(knots, 6).tolist()}; at least three different "
                "ones are needed, from the lower end to the upper. Use a smaller df=, or knots= "
                "inside"
            )
        return inner


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def weighted_quantile(values: np.ndarray, weight: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles of ascending values that count as often as their weights say.

    For whole weights those of `numpy.quantile` of as many copies.  Weights that add up to less than
    the number of values, such as shares, are taken in proportion.

    Parameters
    ----------
    values, weight : ndarray, shape (n,)
    shares : ndarray, shape (q,)
    """
    more = max(1.0, np.count_nonzero(weight) / np.sum(weight))
    ends = np.round(np.cumsum(weight) * more, 9)  # a sum of shares may miss a whole number
    place = shares * max(float(ends[-1]) - 1, 0.0)
    whole = np.floor(place)
    low, high = (
        values[np.searchsorted(ends, at, side="right").clip(max=len(values) - 1)]
        for at in (whole, whole + 1)
    )
    return np.asarray(low + (place - whole) * (high - low))


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
