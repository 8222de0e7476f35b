"""Functions of a column that remember the training data: centres, scales and polynomials.

Their constants come from sums over the rows, in stages, so that rows may come in blocks: each gives
its sums, and the sums of all blocks give the constants of one stage.  A row counts as often as its
case weight says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula import library

MOST_COLUMNS = 1000
# A spread below this share of the values' distances is one of rounding errors.
ROUNDING = 1e-14


class Unsettled(Exception):
    """A function met `x`, (n,) or (n, P), before its constants were known."""

    def __init__(self, function: Stateful, x: np.ndarray) -> None:
        super().__init__(function, x)
        self.function, self.x = function, x


class Stateful:
    """A function of a column whose constants come from the rows that it sees first.

    Parameters
    ----------
    name : str
        As formulas write it.
    weight : ndarray, shape (n,), optional
        Case weights of these rows.
    waits : bool
        Whether rows come in blocks: a call before the constants are known raises `Unsettled`.
    """

    options: Mapping[str, Any] = {}

    def __init__(self, name: str, weight: np.ndarray | None = None, *, waits: bool = False) -> None:
        self.name, self.weight, self.waits = name, weight, waits
        self.given: dict[str, Any] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.stage = 0
        self.settled = False

    @property
    def stages(self) -> int:
        """Number of times that all rows are looked at."""
        return 1

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """The columns (n,) or (n, P) at x (n,); the first call finds the constants."""
        self.given = self._options(args, kwargs)
        x = np.asarray(x, dtype=float)
        if not self.settled and self.waits:
            raise Unsettled(self, x)
        if not self.settled:
            w = np.ones(len(x)) if self.weight is None else self.weight
            self.begin(x[w > 0])
            while not self.settled:
                self.settle(self.sums(x, w))
        return self.columns(x)

    def _options(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        first = dict(zip(self.options, args, strict=False))
        given = {**first, **kwargs}
        if len(args) > len(self.options) or not given.keys() <= self.options.keys():
            known = ", ".join(f"{name}=" for name in self.options)
            words = f"has other options; they are: {known}" if known else "takes no options"
            raise FormulaError(f"{self.name}(...) {words}")
        for twice in first.keys() & kwargs.keys():
            raise FormulaError(f"{self.name}(...) has {twice}= twice; write it once")
        for size in ("df", "degree"):
            if isinstance(given.get(size), int) and given[size] > MOST_COLUMNS:
                msg = f"{self.name}({size}={given[size]}) makes more than {MOST_COLUMNS} columns"
                raise FormulaError(f"{msg}. Write a smaller number.")
        for switch in ("raw", "center", "intercept"):
            if not isinstance(value := given.get(switch), bool | np.bool_ | int | None):
                raise FormulaError(f"{self.name}({switch}={value!r:.50}): write True or False")
        return {**self.options, **given}

    def begin(self, x: np.ndarray) -> None:
        """Look at the rows that count, or at a sample of them, before the first stage."""
        if not np.isfinite(x).all():
            raise DataError(f"the argument of {self.name}(...) is missing or infinite somewhere")
        self.settled = self.stages == 0

    def sums(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """What some rows contribute to the present stage."""
        raise NotImplementedError

    def joined(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """The sums of several blocks together."""
        return np.sum(parts, axis=0)

    def found(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """Constants of the present stage from the sums of all rows."""
        raise NotImplementedError

    def columns(self, x: np.ndarray) -> np.ndarray:
        """The columns at x by the constants."""
        raise NotImplementedError

    def settle(self, sums: np.ndarray) -> None:
        """Keep the constants of the present stage, and go to the next one."""
        self.restore({**self.constants, **self.found(sums)}, self.stage + 1)

    def restore(self, constants: Mapping[str, Any], stage: int | None = None) -> None:
        """Take constants that were found before, all of them or those of some stages."""
        self.constants = {name: np.asarray(value, float) for name, value in constants.items()}
        self.settled = stage is None or stage >= self.stages
        self.stage = stage or 0
        if self.settled:
            self.weight = None


class Center(Stateful):
    """``center(x)``: less the mean."""

    def begin(self, x: np.ndarray) -> None:
        """A first centre and size of the values: sums about them lose no digits, nor overflow."""
        super().begin(x)
        centre = x.mean(axis=0)
        size = np.abs(x - centre).max(axis=0, initial=0.0)
        self.constants = {"centre": np.asarray(centre), "size": np.where(size > 0, size, 1.0)}

    def measured(self, x: np.ndarray) -> np.ndarray:
        """Values about the first centre, in the first size."""
        return (x - self.constants["centre"]) / self.constants["size"]

    def sums(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Weights, weighted values and their squares, (3, ...)."""
        x = self.measured(x)
        return np.stack([weight @ np.ones_like(x), weight @ x, weight @ np.square(x)])

    def found(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """The mean."""
        return {"mean": self.constants["centre"] + self.constants["size"] * sums[1] / sums[0]}

    def columns(self, x: np.ndarray) -> np.ndarray:
        """Differences from the mean."""
        return library.centred(x, self.constants["mean"])


class Scale(Center):
    """``scale(x)`` and ``standardize(x)``: less the mean, by the standard deviation (divisor n)."""

    def found(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """The mean and the standard deviation."""
        first, second = sums[1:] / sums[0]
        sd = np.sqrt(np.maximum(second - np.square(first), 0.0))
        if (sd <= ROUNDING).any():
            raise DataError(f"{self.name}(...): the values are all the same. Leave it out")
        return {**super().found(sums), "sd": self.constants["size"] * sd}

    def columns(self, x: np.ndarray) -> np.ndarray:
        """Standard scores."""
        return library.scaled(x, self.constants["mean"], self.constants["sd"])


class Poly(Center):
    r"""``poly(x, degree)``: orthonormal polynomials over the rows, without the constant.

    .. math:: p_j = (x - a_{j-1}) p_{j-1} - \frac{n_{j-1}}{n_{j-2}} p_{j-2}, \quad
        n_j = \sum_i w_i p_j(x_i)^2, \quad a_j = \sum_i w_i x_i p_j(x_i)^2 / n_j .

    Each stage finds one n and one a.  With ``raw=True`` the columns are x, x^2, ...

    References
    ----------
    Forsythe (1957), J. SIAM 5, 74-88.
    """

    options: Mapping[str, Any] = {"degree": 1, "raw": False}

    @property
    def stages(self) -> int:
        """One for each polynomial, the constant too."""
        return 0 if self.given["raw"] else int(self.given["degree"]) + 1

    def begin(self, x: np.ndarray) -> None:
        """Refuse a polynomial through all values."""
        degree = self.given["degree"]
        if not isinstance(degree, int) or isinstance(degree, bool) or degree < 1:
            raise FormulaError(f"poly(x, {degree!r}): the degree is a whole number of at least 1")
        distinct = len(np.unique(x))
        if not self.given["raw"] and distinct <= degree:
            raise DataError(
                f"poly(x, {degree}) needs at least {degree + 1} different values, and x has "
                f"{distinct}. Write a smaller degree"
            )
        super().begin(x)
        self.constants |= {"norms": np.zeros(0), "centres": np.zeros(0)}

    def sums(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The sums n and n a of one polynomial."""
        x = self.measured(x)
        centres, norms = self.constants["centres"], [*self.constants["norms"], 1.0]
        last = library.polynomials(x, centres, norms)[:, -1] if self.stage else np.ones_like(x)
        squares = weight * np.square(last)
        return np.array([squares.sum(), squares @ x])

    def found(self, sums: np.ndarray) -> dict[str, np.ndarray]:
        """The constants of one polynomial more."""
        new = {"norms": sums[0], "centres": sums[1] / sums[0]}
        return {name: np.append(self.constants[name], value) for name, value in new.items()}

    def columns(self, x: np.ndarray) -> np.ndarray:
        """The polynomials (n, degree), or powers."""
        if self.given["raw"]:
            return library.powers(x, self.given["degree"])
        return library.polynomials(
            self.measured(x), self.constants["centres"], self.constants["norms"]
        )
