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
from functools import partial
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix.distributions import Prior
from bayesmix.families.base import Array, Family, Observed
from bayesmix.families.effects_kernel import effects_kernel, places, sums_term
from bayesmix.families.links import Linked
from bayesmix.families.whole import Clusters, Parts, Whole, clusters_of

Square = list[list[Any]]


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


def root_matrices(values: np.ndarray, q: int, *, proportional: bool) -> np.ndarray:
    """The same as `root`, as matrices (..., q, q)."""
    rows = root(list(np.moveaxis(values, -1, 0)), q, proportional=proportional)
    every = [np.broadcast_to(x, values.shape[:-1]) for row in rows for x in row]
    return np.stack(every, axis=-1).reshape(*values.shape[:-1], q, q)


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


# --- the density, with its derivatives ----------------------------------------------------


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


def _lines(
    level: int,
    counts: tuple[Array, ...],
    terms: tuple[Array, ...],
    sigma: Linked,
    roots: tuple[Linked, ...],
    *,
    proportional: bool,
) -> tuple[Any, list[Any]]:
    """1 / sigma^2, and what `sums_term` gives of it and the sums."""
    q, precision = len(terms) - 1, xp.exp(-2.0 * sigma.log)
    u = root([p.value for p in roots], q, proportional=proportional)
    zz: list[Any] = [None] * (q * q)
    for (i, j), product in zip(places(q), counts[1:], strict=True):
        zz[i * q + j] = zz[j * q + i] = precision * product
    scaled, f = [precision * x for x in terms], q + 1 + len(roots)
    out: list[Any] = [0.0] * (1 + f + f * (f + 1) // 2)
    sums_term(
        level, 0, q, proportional, sigma.log, [x for row in u for x in row],
        zz, scaled[:q], scaled[q], counts[0], out,
    )  # fmt: skip
    return precision, out


def _density(
    counts: tuple[Array, ...],
    terms: tuple[Array, ...],
    sigma: Linked,
    *roots: Linked,
    proportional: bool,
) -> Array:
    return _lines(0, counts, terms, sigma, roots, proportional=proportional)[1][0]


def _closed(
    counts: tuple[np.ndarray, ...],
    terms: tuple[np.ndarray, ...],
    sigma: Linked,
    *roots: Linked,
    proportional: bool,
    order: int,
) -> Parts:
    """Slopes, second derivatives and the expected information in closed form."""
    q, f = len(terms) - 1, len(terms) + len(roots)
    precision, out = _lines(order, counts, terms, sigma, roots, proportional=proportional)
    sums = (*(precision * x for x in out[1 : 1 + q]), -0.5 * precision)
    logf, phi, lower = out[0], tuple(out[1 + q : 1 + f]), out[1 + f :]
    if order == 1:
        return Parts(logf, sums, phi, {})
    pairs = {(i, j): lower[i * (i + 1) // 2 + j] for i in range(f) for j in range(i + 1)}
    if order == 2:
        expected = {(i - q, j - q): line for (i, j), line in pairs.items() if j >= q}
        bends = {(i, j): -(precision**2) * line for (i, j), line in pairs.items() if i < q}
        return Parts(logf, sums, phi, bends, expected)
    scale, place = [precision] * q + [1.0] * (f - q), [*range(q), *range(q + 1, f + 1)]
    bends = {(place[i], place[j]): -scale[i] * scale[j] * line for (i, j), line in pairs.items()}
    return Parts(logf, sums, phi, bends | {(q + 1, q): precision})


def _row_slopes(obs: Observed, mu: Linked) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """First and second derivatives of `_terms` in the location."""
    z = _columns(obs)
    residual = obs.y - mu.value
    return [*(-x for x in z), -2 * residual], [*(np.zeros(1) for _ in z), np.full(1, 2.0)]


# --- effects given the responses -----------------------------------------------------------


def conditional_effects(
    obs: Observed, mu: np.ndarray, sigma: float, u: np.ndarray
) -> tuple[np.ndarray, np.ndarray, Clusters]:
    """Means (C, q) and covariances (C, q, q) of the clusters' effects given their responses.

    Parameters
    ----------
    obs : Observed
        Rows (n,) by cluster.
    mu : ndarray, shape (n,)
    sigma : float
    u : ndarray, shape (q, q)
        The root of the effects' covariance.
    """
    assert obs.effects is not None
    at, z, residual = clusters_of(obs), obs.effects, obs.y - mu
    if obs.there is not None:  # a missing response says nothing of the effects
        z, residual = z * obs.there[:, None], np.where(obs.there, residual, 0.0)
    zu = z @ u  # by row: of sums of products little would be left where effects cancel
    zz = at.sums((zu[:, :, None] * zu[:, None, :]).transpose(1, 2, 0)).transpose(2, 0, 1)
    zr = at.sums((zu * residual[:, None]).T).T
    half = np.linalg.solve(np.eye(len(u)) + zz / sigma**2, np.broadcast_to(u.T, zz.shape))
    mean = np.swapaxes(half, 1, 2) @ zr[..., None] / sigma**2
    return mean[..., 0], u @ half, at


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
        u = root_matrices(given, q, proportional=proportional)
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
        closed_form=None,
        log_tails=None,
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
            partial(_density, proportional=proportional),
            partial(_closed, proportional=proportional),
            _row_slopes,
            _simulate(q, proportional=proportional),
            made=(partial(with_effects, proportional=proportional), family, tuple(terms)),
        ),
        equation=r"y_c \sim N(X_c \beta, \sigma^2 I + Z_c \Sigma Z_c')",
        source="Laird and Ware (1982)",
        example={**family.example, **example},
    )
