r"""Random effects of Gaussian responses, integrated out of the density of a cluster's rows.

    y_c = X_c b + Z_c g_c + e_c,    g_c ~ N(0, S),    e_c ~ N(0, sigma^2 I)

so that y_c is normal around X_c b with covariance V = sigma^2 I + Z S Z'.  With a triangular root
S = U U' and the q x q matrix M = I + U'Z'Z U / sigma^2,

    det V = sigma^(2 n) det M,    V^-1 = (I - Z U M^-1 U' Z' / sigma^2) / sigma^2

(Laird and Ware 1982, Biometrics 38, 963-974), which holds where S is singular too.  The root is
upper triangular: columns of Z less multiples of those before them leave it so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial, reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np

from bayesmix import arrays as xp
from bayesmix.distributions import Prior
from bayesmix.families.base import Array, Family, Observed
from bayesmix.families.effects_kernel import effects_kernel
from bayesmix.families.links import Linked
from bayesmix.families.whole import Clusters, Parts, Whole, clusters_of

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


def _backward(lower: Square, vector: Sequence[Any]) -> list[Any]:
    """Solve the system of a lower triangular matrix's transpose."""
    out = list(vector)
    for i in reversed(range(len(out))):
        rest = _dot([row[i] for row in lower[i + 1 :]], out[i + 1 :])
        out[i] = (out[i] - rest) / lower[i][i]
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


class _Moments(NamedTuple):
    """What the derivatives are made of, each entry (..., C).

    With w = V^-1 r: `g` the effects given the responses, `e` = Z'w, `ue` = U'Z'w, `q` = Z'V^-1 Z,
    `qu` = q U, `r` = Z'V^-2 Z, `n` = U M^-1 U' and `k` = I - n Z'Z / sigma^2; `square` =
    w'w sigma^4, and traces of Z'Z n / sigma^2 and of its square.
    """

    precision: Any
    g: list[Any]
    e: list[Any]
    ue: list[Any]
    q: Square
    qu: Square
    r: Square
    n: Square
    k: Square
    square: Any
    trace: Any
    trace2: Any


def _moments(
    zz: Square,
    zr: Sequence[Any],
    rr: Any,
    sigma: Linked,
    u: Square,
    lower: Square,
    order: int,
) -> _Moments:
    """The moments; `q`, `r`, `k` and the second trace only where more than slopes is needed.

    Products with U come from U'Z'V^-1 = M^-1 U'Z' / sigma^2, which keeps its digits where the
    effects are far larger than sigma: in `e` and `q`, which cancel there, few would be left.
    """
    size = range(len(u))
    precision = np.exp(-2 * sigma.log)
    half = _transposed([_forward(lower, row) for row in u])
    inverse = _times(_transposed(half), half)
    scaled = [[precision * x for x in _backward(lower, row)] for row in _transposed(half)]
    ue, qu = [_dot(column, zr) for column in zip(*scaled, strict=True)], _times(zz, scaled)
    g = [precision * _dot(row, zr) for row in inverse]
    p = [[precision * x for x in row] for row in _times(zz, inverse)]
    fitted = [_dot(row, g) for row in zz]
    e = [precision * (a - b) for a, b in zip(zr, fitted, strict=True)]
    trace = reduce(add, [p[i][i] for i in size])
    square = rr - 2 * _dot(g, zr) + _dot(g, fitted)
    if order == 1:
        return _Moments(precision, g, e, ue, [], qu, [], inverse, [], square, trace, None)
    once = _times(p, zz)
    q = [[precision * (zz[i][j] - once[i][j]) for j in size] for i in size]
    twice, k = _times(p, once), [[float(i == j) - p[j][i] for j in size] for i in size]
    r = [[precision**2 * (zz[i][j] - 2 * once[i][j] + twice[i][j]) for j in size] for i in size]
    trace2 = reduce(add, [p[i][j] * p[j][i] for i in size for j in size])
    return _Moments(precision, g, e, ue, q, qu, r, inverse, k, square, trace, trace2)


def _closed(size: int, *, proportional: bool) -> Any:
    """Slopes, second derivatives and the expected information in closed form."""

    def closed(
        counts: tuple[np.ndarray, ...],
        terms: tuple[np.ndarray, ...],
        sigma: Linked,
        *roots: Linked,
        order: int,
    ) -> Parts:
        values = [p.value for p in roots]
        u = root(values, size, proportional=proportional)
        zz, zr, rr = _symmetric(counts[1:], size), terms[:size], terms[size]
        logf, lower = _marginal(zz, zr, rr, counts[0], sigma, u)
        m = _moments(zz, zr, rr, sigma, u, lower, order)
        score = _score_root(m)
        slopes = _root_slopes(roots, values, size, proportional=proportional)
        phi = (
            m.precision * m.square - (counts[0] - m.trace),
            *(_sum_over(slope, score) for slope in slopes),
        )
        sums = (*(m.precision * x for x in m.g), -0.5 * m.precision)
        if order == 1:
            return Parts(logf, sums, phi, {})
        bends = {(i, j): m.precision**2 * m.n[i][j] for i in range(size) for j in range(i + 1)}
        expected = _expected(m, counts[0], u, slopes)
        if order == 3:
            bends |= _second(m, u, score, slopes, expected, phi[0])
            bends |= _bent(roots, values, score, size, proportional=proportional, bends=bends)
        return Parts(logf, sums, phi, bends, expected)

    return closed


def _score_root(m: _Moments) -> Square:
    """Slopes of the log density in the entries of U: (e e' - Q) U."""
    rows = zip(m.e, m.qu, strict=True)
    return [[e * x - y for x, y in zip(m.ue, row, strict=True)] for e, row in rows]


Slope = dict[tuple[int, int], np.ndarray]


def _expected(
    m: _Moments, n: Any, u: Square, slopes: list[Slope]
) -> dict[tuple[int, int], np.ndarray]:
    """tr(V^-1 V_k V^-1 V_l) / 2 by pairs of log sigma and the root's parameters."""
    h, r_u = _times(_transposed(u), m.q), _times(_transposed(u), m.r)
    uqu = _times(h, u)
    out = {(0, 0): 2 * (n - 2 * m.trace + m.trace2)}
    for a, one in enumerate(slopes):
        out[a + 1, 0] = 2 / m.precision * _sum_over(one, _transposed(r_u))
        for b, other in enumerate(slopes[: a + 1]):
            parts = [
                c * d * (h[j][i2] * h[j2][i] + uqu[j][j2] * m.q[i][i2])
                for (i, j), c in one.items()
                for (i2, j2), d in other.items()
            ]
            out[a + 1, b + 1] = reduce(add, parts)
    return out


def _second(
    m: _Moments,
    u: Square,
    score: Square,
    slopes: list[Slope],
    expected: Mapping[tuple[int, int], np.ndarray],
    d_sigma: np.ndarray,
) -> dict[tuple[int, int], np.ndarray]:
    """Second derivatives that involve log sigma or the root, linear in its parameters.

    With A_k = dS / d phi_k,

        F_kl = tr(A_k Q A_l Q) / 2 - e'A_k Q A_l e + (the curvature of S),
        F_ks = sigma^2 tr(A_k R) - 2 sigma^2 e'A_k Z'V^-2 r,
        F_ss = 2 F_s + 2 sigma^4 tr(V^-2) - 4 sigma^4 r'V^-3 r.
    """
    size = len(u)
    at = size + 1  # the place of log sigma, after the sums
    along = [_moved(slope, u, m.e) for slope in slopes]
    e2 = [m.precision * _dot(column, m.e) for column in zip(*m.k, strict=True)]
    ne = [_dot(row, m.e) for row in m.n]
    cubed = m.precision * m.square - _dot(m.e, ne)
    out = {(at, at): 2 * d_sigma + expected[0, 0] - 4 * cubed, (at, size): m.precision}
    for j in range(size):
        kept = _dot([float(i == j) - m.k[j][i] for i in range(size)], m.g)
        out[at, j] = m.precision * (2 * kept - 4 * m.g[j])
    for a, one in enumerate(slopes):
        here, w = at + 1 + a, along[a]
        kw = [_dot(row, w) for row in m.k]
        out |= {(here, j): m.precision * kw[j] for j in range(size)}
        out[here, at] = expected[a + 1, 0] - 2 / m.precision * _dot(w, e2)
        qw = [_dot(row, w) for row in m.q]
        for b, other in enumerate(slopes[: a + 1]):
            curved = [
                c * d * (m.e[i] * m.e[i2] - m.q[i][i2])
                for (i, j), c in one.items()
                for (i2, j2), d in other.items()
                if j == j2
            ]
            own = expected[a + 1, b + 1] - _dot(qw, along[b])
            out[here, at + 1 + b] = reduce(add, curved, own)
    return out


def _moved(slope: Slope, u: Square, e: Sequence[Any]) -> list[Any]:
    """A e with A = E U' + U E', for the derivative E of the root."""
    size = len(u)
    ue = [_dot(column, e) for column in zip(*u, strict=True)]
    out: list[Any] = [0.0] * size
    for (i, j), factor in slope.items():
        out[i] = out[i] + factor * ue[j]
        for row in range(j + 1):
            out[row] = out[row] + factor * u[row][j] * e[i]
    return out


def _bent(
    roots: Sequence[Linked],
    values: Sequence[np.ndarray],
    score: Square,
    size: int,
    *,
    proportional: bool,
    bends: Mapping[tuple[int, int], np.ndarray],
) -> dict[tuple[int, int], np.ndarray]:
    """The second derivatives, with the curvature of the root's entries in their parameters."""
    out, base, first = {}, size + 2, values[0]
    for a, ((i, j), parameter) in enumerate(zip(places(size), roots, strict=True)):
        factor = first if proportional and a else 1.0
        key = (base + a, base + a)
        out[key] = bends[key] + score[i][j] * factor * parameter.bend
        if proportional and a:  # of a product with the first one
            key = (base + a, base)
            out[key] = bends[key] + score[i][j] * roots[0].slope * parameter.slope
            out[base, base] = out[base, base] + score[i][j] * roots[0].bend * values[a]
    return out


def _root_slopes(
    roots: Sequence[Linked], values: Sequence[np.ndarray], q: int, *, proportional: bool
) -> list[Slope]:
    """Derivatives of the root's entries in the linear predictor of each parameter."""
    out: list[Slope] = []
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


def _sum_over(slope: Slope, entries: Square) -> np.ndarray:
    return reduce(add, [factor * entries[i][j] for (i, j), factor in slope.items()])


def _row_slopes(obs: Observed, mu: Linked) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """First and second derivatives of `_terms` in the location."""
    z = _columns(obs)
    residual = obs.y - mu.value
    return [*(-x for x in z), -2 * residual], [*(np.zeros(1) for _ in z), np.full(1, 2.0)]


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
        tails=None,
        pymc=None,
        kernel=effects_kernel(proportional=proportional),
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
            _row_slopes,
            _simulate(q, proportional=proportional),
            made=(partial(with_effects, proportional=proportional), family, tuple(terms)),
        ),
        equation=r"y_c \sim N(X_c \beta, \sigma^2 I + Z_c \Sigma Z_c')",
        source="Laird and Ware (1982)",
        example={**family.example, **example},
    )
