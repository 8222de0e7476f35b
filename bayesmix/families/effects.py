r"""Random effects of Gaussian responses, integrated out of the density of a cluster's rows.

    y_c = X_c b + Z_c g_c + e_c,    g_c ~ N(0, S),    e_c ~ N(0, sigma^2 I)

so that y_c is normal around X_c b with covariance V = sigma^2 I + Z S Z'.  With a triangular root
S = U U' and the q x q matrix M = I + U'Z'Z U / sigma^2,

    det V = sigma^(2 n) det M,    V^-1 = (I - Z U M^-1 U' Z' / sigma^2) / sigma^2

(Laird and Ware 1982, Biometrics 38, 963-974), which holds where S is singular too.  The root is
upper triangular: columns of Z less multiples of those before them leave it so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.distributions import Prior
from bayesmix.families.base import Array, Family, Observed
from bayesmix.families.links import Linked
from bayesmix.families.whole import Clusters, Parts, Whole, clusters_of

__all__ = [
    "conditional_effects",
    "covariance_of",
    "places",
    "root",
    "root_names",
    "root_of",
    "with_effects",
]

LOG_2PI = float(np.log(2 * np.pi))
Square = list[list[Any]]


def places(q: int) -> list[tuple[int, int]]:
    """Places (i, j), i <= j, of a root's q (q + 1) / 2 parameters, column by column."""
    return [(i, j) for j in range(q) for i in range(j + 1)]


def root_names(terms: Sequence[str]) -> list[str]:
    """Names of the root's parameters: ``root_time``, ``root_Intercept_time``."""
    pairs = places(len(terms))
    return [f"root_{terms[j]}" if i == j else f"root_{terms[i]}_{terms[j]}" for i, j in pairs]


def root(values: Sequence[Any], q: int, *, proportional: bool) -> Square:
    """The root U from its parameters; under a proportional one all are multiples of the first."""
    out: Square = [[0.0] * q for _ in range(q)]
    for (i, j), value in zip(places(q), values, strict=True):
        first = not (i or j)
        out[i][j] = value * values[0] if proportional and not first else value
    return out


def covariance_of(values: np.ndarray, q: int, *, proportional: bool) -> np.ndarray:
    """Covariance matrices (..., q, q) from parameters (..., q (q + 1) / 2), natural scale."""
    u = np.zeros((*values.shape[:-1], q, q))
    for (i, j), value in zip(places(q), np.moveaxis(values, -1, 0), strict=True):
        u[..., i, j] = value
    if proportional:
        scale = u[..., :1, :1].copy()
        u[..., 0, 0] = 1.0
        u = u * scale
    return u @ np.swapaxes(u, -1, -2)


def root_of(covariance: np.ndarray, *, proportional: bool) -> np.ndarray:
    """Parameters (..., q (q + 1) / 2) from positive definite covariances (..., q, q).

    Raises
    ------
    numpy.linalg.LinAlgError
        If one is not positive definite.
    """
    u = np.linalg.cholesky(covariance[..., ::-1, ::-1])[..., ::-1, ::-1]
    if proportional:
        first = u[..., :1, :1].copy()
        u = u / first
        u[..., 0, 0] = first[..., 0, 0]
    return np.stack([u[..., i, j] for i, j in places(u.shape[-1])], axis=-1)


# --- the density, for any kind of array ----------------------------------------------------


def _dot(one: Sequence[Any], other: Sequence[Any]) -> Any:
    """Sum of products, without the zeros of triangular matrices."""
    parts = [a * b for a, b in zip(one, other, strict=True) if not (_zero(a) or _zero(b))]
    return reduce(add, parts) if parts else 0.0


def _zero(x: Any) -> bool:
    return isinstance(x, float) and x == 0.0


def _times(a: Square, b: Square) -> Square:
    return [[_dot(row, column) for column in zip(*b, strict=True)] for row in a]


def _transposed(a: Square) -> Square:
    return [list(column) for column in zip(*a, strict=True)]


def _cholesky(m: Square) -> Square:
    """The lower triangular root of a symmetric matrix."""
    q = len(m)
    out: Square = [[0.0] * q for _ in range(q)]
    for j in range(q):
        for i in range(j, q):
            rest = m[i][j] - _dot(out[i][:j], out[j][:j])
            out[i][j] = xp.sqrt(rest) if i == j else rest / out[j][j]
    return out


def _forward(lower: Square, vector: Sequence[Any]) -> list[Any]:
    """Solve a lower triangular system."""
    out: list[Any] = []
    for i, value in enumerate(vector):
        out.append((value - _dot(lower[i][:i], out)) / lower[i][i])
    return out


def _symmetric(values: Sequence[Any], q: int) -> Square:
    out: Square = [[0.0] * q for _ in range(q)]
    for (i, j), value in zip(places(q), values, strict=True):
        out[i][j] = out[j][i] = value
    return out


def _marginal(
    zz: Square, zr: Sequence[Any], rr: Any, n: Any, sigma: Linked, u: Square
) -> tuple[Any, Square]:
    """The log density, and the root of M."""
    precision = xp.exp(-2 * sigma.log)
    inner = _times(_transposed(u), _times(zz, u))
    m = [[precision * x + float(i == j) for j, x in enumerate(r)] for i, r in enumerate(inner)]
    lower = _cholesky(m)
    w = _forward(lower, [_dot(column, zr) for column in _transposed(u)])
    log_det = 2 * reduce(add, [xp.log(lower[i][i]) for i in range(len(u))])
    distance = precision * (rr - precision * _dot(w, w))
    return -0.5 * (n * LOG_2PI + 2 * n * sigma.log + log_det + distance), lower


def _counts(obs: Observed) -> tuple[Array, ...]:
    """A one for each row, and products of the random effects' columns."""
    z = _columns(obs)
    return (0.0 * z[0] + 1.0, *(z[i] * z[j] for i, j in places(len(z))))


def _terms(obs: Observed, mu: Linked) -> tuple[Array, ...]:
    """Products of the residuals with these columns, and their squares."""
    residual = obs.y - mu.value
    return (*(z * residual for z in _columns(obs)), residual * residual)


def _columns(obs: Observed) -> list[Array]:
    """The random effects' columns; of a graph they come as a list."""
    assert obs.effects is not None
    return list(obs.effects.T) if isinstance(obs.effects, np.ndarray) else list(obs.effects)


def _density(q: int, *, proportional: bool) -> Any:
    def density(
        counts: tuple[Array, ...], terms: tuple[Array, ...], sigma: Linked, *roots: Linked
    ) -> Array:
        u = root([p.value for p in roots], q, proportional=proportional)
        zz = _symmetric(counts[1:], q)
        return _marginal(zz, terms[:q], terms[q], counts[0], sigma, u)[0]

    return density


# --- closed derivatives --------------------------------------------------------------------


def _closed(q: int, *, proportional: bool) -> Any:
    """Slopes, second derivatives in the sums, and the expected information, in closed form."""

    def closed(
        counts: tuple[np.ndarray, ...], terms: tuple[np.ndarray, ...], sigma: Linked, *roots: Linked
    ) -> Parts:
        values = [p.value for p in roots]
        u = root(values, q, proportional=proportional)
        n, zz, zr, rr = counts[0], _symmetric(counts[1:], q), terms[:q], terms[q]
        logf, lower = _marginal(zz, zr, rr, n, sigma, u)
        precision = np.exp(-2 * sigma.log)
        # N = U M^-1 U', the effects g = N Z'r / sigma^2, and P = Z'Z N / sigma^2.
        k = _transposed([_forward(lower, row) for row in u])
        inverse = _times(_transposed(k), k)
        g = [precision * _dot(row, zr) for row in inverse]
        p = [[precision * x for x in row] for row in _times(zz, inverse)]
        fitted = [_dot(row, g) for row in zz]
        # e = Z' V^-1 r, Q = Z' V^-1 Z and R = Z' V^-2 Z.
        e = [precision * (a - b) for a, b in zip(zr, fitted, strict=True)]
        pzz = _times(p, zz)
        big_q = [[precision * (zz[i][j] - pzz[i][j]) for j in range(q)] for i in range(q)]
        square = _times(p, pzz)
        big_r = [
            [precision**2 * (zz[i][j] - 2 * pzz[i][j] + square[i][j]) for j in range(q)]
            for i in range(q)
        ]
        trace = reduce(add, [p[i][i] for i in range(q)])
        trace2 = reduce(add, [p[i][j] * p[j][i] for i in range(q) for j in range(q)])
        residual = rr - 2 * _dot(g, zr) + _dot(g, fitted)
        d_sigma = precision * residual - (n - trace)
        outer = [[e[i] * e[j] - big_q[i][j] for j in range(q)] for i in range(q)]
        d_u = _times(outer, u)
        slopes = _root_slopes(roots, values, q, proportional=proportional)
        phi = (d_sigma, *(_sum_over(slope, lambda at: d_u[at[0]][at[1]]) for slope in slopes))
        h, r_u = _times(_transposed(u), big_q), _times(_transposed(u), big_r)
        uqu = _times(h, u)
        expected = {(0, 0): 2 * (n - 2 * trace + trace2)}
        for a, one in enumerate(slopes):
            crossed = _sum_over(one, lambda at: r_u[at[1]][at[0]])
            expected[a + 1, 0] = 2 * np.exp(2 * sigma.log) * crossed
            for b, other in enumerate(slopes[: a + 1]):
                expected[a + 1, b + 1] = reduce(
                    add,
                    [
                        c * d * (h[j][i2] * h[j2][i] + uqu[j][j2] * big_q[i][i2])
                        for (i, j), c in one.items()
                        for (i2, j2), d in other.items()
                    ],
                )
        bends = {(i, j): precision**2 * inverse[i][j] for i in range(q) for j in range(i + 1)}
        sums = (*(precision * x for x in g), -0.5 * precision)
        return Parts(logf, sums, phi, bends, expected)

    return closed


def _root_slopes(
    roots: Sequence[Linked], values: Sequence[np.ndarray], q: int, *, proportional: bool
) -> list[dict[tuple[int, int], np.ndarray]]:
    """Derivatives of the root's entries in the linear predictor of each parameter."""
    out = []
    for number, (at, parameter) in enumerate(zip(places(q), roots, strict=True)):
        slope = parameter.slope
        if not proportional:
            out.append({at: slope})
        elif number:
            out.append({at: values[0] * slope})
        else:
            rest = dict(zip(places(q)[1:], values[1:], strict=True))
            out.append({at: slope} | {place: slope * value for place, value in rest.items()})
    return out


def _sum_over(slope: dict[tuple[int, int], np.ndarray], value: Any) -> np.ndarray:
    return reduce(add, [factor * value(at) for at, factor in slope.items()])


# --- effects given the responses -----------------------------------------------------------


def conditional_effects(
    obs: Observed, mu: np.ndarray, sigma: float, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, Clusters]:
    """Means (C, q) and covariances (C, q, q) of the clusters' effects given their responses.

    Parameters
    ----------
    obs : Observed
        Rows (n,) by cluster.
    mu : ndarray, shape (n,)
    sigma : float
    covariance : ndarray, shape (q, q)
    """
    assert obs.effects is not None
    at, z, residual = clusters_of(obs), obs.effects, obs.y - mu
    if obs.there is not None:  # a missing response says nothing of the effects
        z, residual = z * obs.there[:, None], np.where(obs.there, residual, 0.0)
    zz = at.sums((z[:, :, None] * z[:, None, :]).transpose(1, 2, 0)).transpose(2, 0, 1)
    zr = at.sums((z * residual[:, None]).T).T
    u = np.linalg.cholesky(covariance[::-1, ::-1])[::-1, ::-1]
    m = np.eye(len(u)) + u.T @ zz @ u / sigma**2
    spread = u @ np.linalg.solve(m, np.broadcast_to(u.T, m.shape))
    return (spread @ zr[..., None])[..., 0] / sigma**2, spread, at


def _simulate(q: int, *, proportional: bool) -> Any:
    def simulate(
        rng: np.random.Generator,
        cluster: np.ndarray,
        effects: np.ndarray,
        mu: np.ndarray,
        sigma: np.ndarray,
        **roots: np.ndarray,
    ) -> np.ndarray:
        """Responses (n,) of rows, those of a cluster with the same effects."""
        _, first, codes = np.unique(cluster, return_index=True, return_inverse=True)
        given = np.stack([np.broadcast_to(v, mu.shape)[first] for v in roots.values()], axis=-1)
        covariance = covariance_of(given, q, proportional=proportional)
        u = np.linalg.cholesky(covariance[..., ::-1, ::-1])[..., ::-1, ::-1]
        drawn = (u @ rng.standard_normal((len(first), q, 1)))[..., 0]
        return rng.normal(mu + (effects * drawn[codes]).sum(-1), sigma)

    return simulate


# --- the family ------------------------------------------------------------------------------


def with_effects(family: Family, terms: Sequence[str], *, proportional: bool) -> Family:
    """A Gaussian family with random effects of these terms.

    Parameters
    ----------
    family : Family
    terms : sequence of str, length q
    proportional : bool
        Whether all parameters of the root but the first are relative to the first.
    """
    q, names = len(terms), root_names(terms)
    diagonal = [i == j for i, j in places(q)]
    links = {n: "log" if d else "identity" for n, d in zip(names, diagonal, strict=True)}
    units = {n: 0 if proportional and k else 1 for k, n in enumerate(names)}
    example = {n: 0.6 if d else 0.2 for n, d in zip(names, diagonal, strict=True)}

    def start(y: np.ndarray) -> dict[str, float]:
        """Half the variance within clusters, the rest of the effects alike."""
        spread = float(np.std(y)) or 1.0
        share = spread * np.sqrt(0.5 / q)
        each = [float(d) * share for d in diagonal]
        if proportional:
            each = [share, *(float(d) for d in diagonal[1:])]
        values = dict(zip(names, each, strict=True))
        return {"mu": float(np.mean(y)), "sigma": spread * np.sqrt(0.5), **values}

    def priors(y: np.ndarray) -> dict[str, Prior]:
        """As the scale: of the size of half the responses' spread, up to a factor of e or so."""
        spread = 0.5 * (float(np.std(y)) or 1.0)
        size = [spread if units[n] else 1.0 for n in names]
        given = {
            n: Prior("lognormal", mu=float(np.log(x)), sigma=1.0)
            if d
            else Prior("normal", mu=0.0, sigma=x)
            for n, d, x in zip(names, diagonal, size, strict=True)
        }
        assert family.priors is not None
        return {**family.priors(y), **given}

    return replace(
        family,
        params={**family.params, **links},
        density=None,
        closed_form=None,
        curvature=None,
        squares=None,
        tails=None,
        pymc=None,
        kernel=None,
        simulate=None,
        variance=None,
        start=start,
        priors=priors,
        mean=lambda mu, sigma, **roots: mu,
        units={**(family.units or {}), **units},
        whole=Whole(
            _counts,
            _terms,
            _density(q, proportional=proportional),
            _closed(q, proportional=proportional),
            _simulate(q, proportional=proportional),
        ),
        equation=r"y_c \sim N(X_c \beta, \sigma^2 I + Z_c \Sigma Z_c')",
        source="Laird and Ware (1982)",
        example={**family.example, **example},
    )
