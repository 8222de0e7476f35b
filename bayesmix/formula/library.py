"""What formulae supplies: codings of factors and bases of functions; the only module that uses it.

formulae takes the constants of a function from the rows of its first call, all of weight one.
Ours are those of weighted rows, maybe in blocks (`stateful`), so they are given to formulae here.
Nor does it see the user's text, of which it would leave out silently what it cannot read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

type Basis = Callable[[np.ndarray], np.ndarray]


def coding(name: str) -> Any:
    """The coding ``Treatment`` or ``Sum``, a class."""
    from formulae.categorical import ENCODINGS

    return ENCODINGS[name]


def _transform(name: str, **constants: Any) -> Any:
    from formulae.transforms import TRANSFORMS

    made = TRANSFORMS[name]()
    for constant, value in constants.items():
        setattr(made, constant, value)
    return made


def centred(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Differences from the mean, of the shape of x."""
    return np.asarray(_transform("center", mean=mean, params_set=True)(x))


def scaled(x: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Differences from the mean by the standard deviation, of the shape of x."""
    return np.asarray(_transform("scale", mean=mean, std=sd, params_set=True)(x))


def powers(x: np.ndarray, degree: int) -> np.ndarray:
    """The columns x, x^2, ... (n, degree)."""
    return np.asarray(_transform("poly")(x, degree, raw=True))


def polynomials(x: np.ndarray, centres: Iterable[float], norms: Iterable[float]) -> np.ndarray:
    """Orthogonal polynomials (n, degree) of degree 1 and more.

    Parameters
    ----------
    x : ndarray, shape (n,)
    centres : iterable of float
        The constants a_0, a_1, ... of the recurrence, one for each degree.
    norms : iterable of float
        The sums of squares of all polynomials, the constant too; the columns are divided by their
        roots.
    """
    made = _transform("poly", alpha=dict(enumerate(centres)), norms2=dict(enumerate(norms)))
    return np.asarray(made(x, len(made.norms2) - 1))


def spline(name: str, knots: np.ndarray, **options: Any) -> Basis:
    """The basis ``bs`` or ``cr``, a constant among its functions.

    Parameters
    ----------
    name : str
    knots : ndarray, shape (m,)
        Ascending, with both ends.
    **options
        Such as ``degree=``.
    """
    made = _transform(name)
    low, high = float(knots[0]), float(knots[-1])
    made(knots, knots=knots[1:-1], lower_bound=low, upper_bound=high, center=False, **options)
    return lambda x: np.asarray(made.eval(x))
