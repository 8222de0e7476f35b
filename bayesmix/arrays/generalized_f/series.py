"""The deviance near the normal distribution, as a power series with exact coefficients."""

from __future__ import annotations

import numpy as np

__all__ = ["NEAR", "TERMS", "monomials", "near", "series"]

# Below this |d x| the closed form cancels and the series is used: its nearest singularity lies at
# |d x| = pi, so 11 terms leave (NEAR / pi)^11, about 1e-13 of the deviance.
NEAR = 0.3
TERMS = 11


def _curvature_coefficients() -> list[np.ndarray]:
    """v[n][j]: coefficient of Q^(n - 2 j) P^j x^n in the second derivative V of the deviance.

    V' = S V and S' = -P V with V(0) = 1 and S(0) = Q, solved term by term.
    """
    v = [np.ones(1)]
    s = [np.ones(1)]  # s[n][j]: coefficient of Q^(n + 1 - 2 j) P^j x^n
    for n in range(TERMS - 1):
        total = np.zeros((n + 3) // 2 + 2)
        for a in range(n + 1):
            product = np.convolve(s[a], v[n - a])
            total[: len(product)] += product
        s.append(np.concatenate([[0.0], -v[n] / (n + 1)]))
        v.append(total[: (n + 1) // 2 + 1] / (n + 1))
    return v


def _tables() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Exponents of the monomials Q^i P^j, and each function's coefficients by them and x^n."""
    places = [(i, j) for j in range(TERMS // 2 + 1) for i in range(TERMS) if i + 2 * j < TERMS]
    where = {place: row for row, place in enumerate(places)}
    names = ("value", "Q", "QQ", "p", "pp", "Qp")
    tables = {name: np.zeros((len(places), TERMS)) for name in names}
    for n, row in enumerate(_curvature_coefficients()):
        for j, v in enumerate(row):
            i, c = n - 2 * j, v / ((n + 1) * (n + 2))
            for name, factor, lost in (
                ("value", 1, 0), ("Q", i, 1), ("QQ", i * (i - 1), 2),
                ("p", j, 0), ("pp", j * j, 0), ("Qp", i * j, 1),
            ):  # fmt: skip
                if factor:
                    tables[name][where[i - lost, j], n] += factor * c
    i, j = np.array(places).T
    return i, j, tables


_I, _J, _TABLES = _tables()


def near(reach: np.ndarray) -> np.ndarray:
    """Whether the series is accurate up to this |d x|."""
    return np.abs(reach) < NEAR


def monomials(Q: np.ndarray, P: np.ndarray) -> np.ndarray:
    """Q^i P^j for the coefficients of the series, shape (n, number of monomials)."""
    powers = np.vander(Q, TERMS, increasing=True)
    return powers[:, _I] * np.vander(P, TERMS // 2 + 1, increasing=True)[:, _J]


def series(name: str, x: np.ndarray, monomials: np.ndarray, slope: bool = False) -> np.ndarray:
    """The deviance D, or a derivative of it, at x; or the slope in x of that.

    Parameters
    ----------
    name : str
        "value", or the variables of the derivative: "Q", "QQ", "p", "pp", "Qp" with p = log P.
    x : ndarray, shape (n, m)
    monomials : ndarray, shape (n, l)
    slope : bool
        The derivative in x instead.

    Returns
    -------
    ndarray, shape (n, m)
    """
    table = _TABLES[name]
    if slope:
        table = table * np.arange(2, TERMS + 2)
    c = monomials @ table
    total = np.repeat(c[:, -1:], x.shape[1], axis=1)
    for n in range(TERMS - 2, -1, -1):
        total *= x
        total += c[:, n : n + 1]
    total *= x
    return total if slope else np.multiply(total, x, out=total)
