r"""Several normal columns at once: log densities, and derivatives from sums over the rows.

With residuals r = y - mu, Sigma(phi) and weights w, all that an M step and the information need
are sums of w, w x x', w x r' and w r r'.  A row of which some columns are missing has the density
of the others: sums are kept by pattern of missingness, and Omega is the inverse of the others' part
of Sigma with zeros elsewhere.  With u = Omega r the slopes of a row's log density are u in mu and

    (u' dSigma u - tr(Omega dSigma)) / 2

in a parameter of Sigma (Magnus and Neudecker 2019, Matrix Differential Calculus, chapter 15).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from bayesmix.families.derivatives import Derivatives
from bayesmix.families.interface import Observed
from bayesmix.families.links import HALF_LOG_2PI
from bayesmix.families.multivariate.covariance import Structure

SMALLEST = 1e-150


@dataclass(frozen=True, eq=False)
class Covariances:
    """Covariances of m components at R starts, whatever the rows are.

    `phi` (R, m, p) has their parameters; `seen` (T, q) the T patterns of missing columns.
    """

    structure: Structure
    phi: np.ndarray
    seen: np.ndarray

    @cached_property
    def sigma(self) -> np.ndarray:
        """Sigma, (R, m, q, q)."""
        return self.structure.covariance(self.phi)

    @cached_property
    def whitening(self) -> tuple[np.ndarray, np.ndarray]:
        """Roots of Omega by pattern, (R, m, T, q, q), and half log determinants with constants."""
        return _whitening(self.structure, self.phi, self.seen)

    @cached_property
    def precision(self) -> np.ndarray:
        """Omega by pattern, (R, m, T, q, q)."""
        root = self.whitening[0]
        return np.swapaxes(root, -1, -2) @ root

    @cached_property
    def inverse(self) -> np.ndarray:
        """Omega of complete rows, (R, m, q, q), also where Sigma is singular but for rounding."""
        complete = np.ones((1, self.structure.q), dtype=bool)
        root = _whitening(self.structure, self.phi, complete)[0][..., 0, :, :]
        return np.swapaxes(root, -1, -2) @ root

    @cached_property
    def slopes(self) -> np.ndarray:
        """First derivatives of Sigma, (R, m, p, q, q)."""
        return self.structure.slopes(self.phi)

    @cached_property
    def bends(self) -> np.ndarray:
        """Second derivatives of Sigma, (R, m, p, p, q, q)."""
        return self.structure.bends(self.phi)


@lru_cache(maxsize=8)
def _covariances(
    structure: Structure, phi: bytes, shape: tuple[int, ...], patterns: bytes
) -> Covariances:
    """Those of the last calls are kept: a pass asks for the same ones at each of its chunks."""
    numbers = np.frombuffer(patterns)[:, None].astype(int)
    seen = (numbers >> np.arange(structure.q)) & 1 > 0
    return Covariances(structure, np.frombuffer(phi).reshape(shape), seen)


class Normal(NamedTuple):
    """Normal densities of m components at R starts, in some rows.

    `codes` (n,) says which pattern of missing columns each row has, None with a single one;
    `residual` is (R, m, q, n), and `slopes` (R, m, q + p, n) has the rows' first derivatives.
    """

    at: Covariances
    codes: np.ndarray | None
    residual: np.ndarray
    slopes: np.ndarray | None = None

    def rows(self) -> list[tuple[int, np.ndarray | slice]]:
        """The patterns with their rows."""
        if self.codes is None:
            return [(0, slice(None))]
        return [(t, np.flatnonzero(self.codes == t)) for t in range(len(self.at.seen))]


class Moments(NamedTuple):
    """Weighted sums over rows by component and pattern, for R starts.

    `mass` (R, m, T), `gram` (R, m, T, P, P) of the design, `cross` (R, m, T, P, q) of design and
    residuals, and `square` (R, m, T, q, q) of residuals.
    """

    mass: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    square: np.ndarray

    def of(self, t: int) -> Moments:
        """Those of one pattern, without an axis for it."""
        return Moments(self.mass[..., t], *(x[..., t, :, :] for x in self[1:]))

    def total(self) -> Moments:
        """Those of all patterns, without an axis for them."""
        return Moments(self.mass.sum(-1), *(x.sum(-3) for x in self[1:]))


def evaluate_normal(
    structure: Structure,
    obs: Observed,
    etas: tuple[np.ndarray, ...],
    patterns: np.ndarray,
    *,
    slopes: bool,
) -> tuple[Normal, Derivatives]:
    """Log densities (R, m, n) of rows, and with `slopes` their first derivatives.

    Parameters
    ----------
    structure : Structure
    obs : Observed
        The columns, (n, q); its constants are the rows' patterns, see `patterns`.
    etas : tuple of ndarray
        The q means (R, m, n or 1), then the parameters of the covariance (R, m, 1).
    patterns : ndarray, shape (T,)
        All patterns, as binary numbers of the columns that are there.
    slopes : bool
    """
    q = structure.q
    n = len(obs.y)
    phi = np.concatenate(etas[q:], axis=-1)
    at = _covariances(structure, phi.tobytes(), phi.shape, patterns.tobytes())
    codes = None if len(patterns) == 1 else np.searchsorted(patterns, np.broadcast_to(obs.const, n))
    residual = np.empty((*phi.shape[:-1], q, n))
    for a, column in enumerate(np.ascontiguousarray(obs.y.T)):
        np.subtract(column, etas[a], out=residual[..., a, :])
    if not at.seen.all():
        np.nan_to_num(residual, copy=False)
    made, (root, log_scale) = Normal(at, codes, residual), at.whitening
    logf = np.empty((*phi.shape[:-1], n))
    for t, rows in made.rows():
        white = _times(structure, root[..., t, :, :], residual[..., rows])
        np.square(white, out=white)
        logf[..., rows] = -0.5 * white.sum(-2) - log_scale[..., t, None]
    logf[np.isnan(logf)] = -np.inf
    if not slopes:
        return made, Derivatives(logf, (), ())
    first = _slopes(made)
    return made._replace(slopes=first), Derivatives(logf, tuple(np.moveaxis(first, -2, 0)), ())


def row_derivatives(
    structure: Structure, obs: Observed, etas: tuple[np.ndarray, ...], *, slopes: bool = True
) -> Derivatives:
    """The same of rows (n,) whose covariances are those of one component after the other."""
    patterns = np.unique(obs.const)
    constant = all(np.shape(eta)[-1:] in ((1,), ()) for eta in etas[structure.q :])
    if constant:
        wide = tuple(np.atleast_1d(eta) for eta in etas)
        return evaluate_normal(structure, obs, wide, patterns, slopes=slopes)[1]
    n = len(obs.y)
    phi = np.array([np.broadcast_to(eta, n) for eta in etas[structure.q :]])
    first = np.flatnonzero((np.diff(phi, axis=1) != 0).any(0)) + 1
    parts = []
    for a, b in pairwise([0, *first.tolist(), n]):
        some = tuple(np.broadcast_to(eta, n)[a:b] for eta in etas[: structure.q])
        own = tuple(phi[:, a : a + 1])
        piece = obs.take(slice(a, b))
        parts.append(evaluate_normal(structure, piece, (*some, *own), patterns, slopes=slopes)[1])
    slope = tuple(np.concatenate(fs) for fs in zip(*(d.first for d in parts), strict=True))
    return Derivatives(np.concatenate([d.logf for d in parts]), slope, ())


def scores_in_turn(
    structure: Structure, phi: np.ndarray, y: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each column given the earlier ones its normal score and log density, (n, q).

    What is missing has a score of NaN, and a log density of zero.

    Parameters
    ----------
    structure : Structure
    phi : ndarray, shape (p,)
    y, mean : ndarray, shape (n, q)
    """
    codes = np.broadcast_to(structure.patterns(y), len(y))
    patterns, place = np.unique(codes, return_inverse=True)
    root, _ = _covariances(structure, phi.tobytes(), phi.shape, patterns.tobytes()).whitening
    there = ~np.isnan(y)
    residual = np.where(there, y - mean, 0.0)
    score = np.einsum("nab,nb->na", root[place], residual)
    with np.errstate(divide="ignore"):
        slope = np.log(np.einsum("taa->ta", root))[place]
    density = slope - 0.5 * np.square(score) - HALF_LOG_2PI
    return np.where(there, score, np.nan), np.where(there, density, 0.0)


def _whitening(
    structure: Structure, phi: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Roots of Omega by pattern, (R, m, T, q, q), and half log determinants with constants."""
    sd, whole = structure.deviations(phi), structure.factor(phi)
    correlation = whole @ np.swapaxes(whole, -1, -2)
    roots, scales = [], []
    one = np.eye(structure.q)
    for there in seen:
        factor = whole
        if not there.all():
            both = there[:, None] & there
            factor = _cholesky(np.where(both, correlation, one))
        diagonal = np.maximum(np.einsum("...aa->...a", factor), SMALLEST)
        lower = factor * (1 - one) + diagonal[..., None] * one
        with np.errstate(all="ignore"):
            root = np.linalg.solve(lower, np.broadcast_to(one, lower.shape)) / sd[..., None, :]
            logs = np.log(diagonal) + np.log(sd)
        roots.append(np.where(there[:, None] & there, root, 0.0))
        scales.append(np.where(there, logs, 0.0).sum(-1) + HALF_LOG_2PI * there.sum())
    return np.stack(roots, axis=-3), np.stack(scales, axis=-1)


def _cholesky(correlation: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.cholesky(correlation)
    except np.linalg.LinAlgError:  # singular but for rounding
        return np.linalg.cholesky(correlation + 1e-12 * np.eye(correlation.shape[-1]))


def _times(structure: Structure, matrix: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Products of matrices (..., q, q), diagonal ones without correlations, and (..., q, n)."""
    if structure.pairs:
        return matrix @ columns
    return np.einsum("...aa->...a", matrix)[..., None] * columns


def _slopes(made: Normal) -> np.ndarray:
    """First derivatives of rows' log densities, (R, m, q + p, n)."""
    omega, change, structure = made.at.precision, made.at.slopes, made.at.structure
    q, p = structure.q, change.shape[-3]
    shape = (*made.residual.shape[:-2], made.residual.shape[-1])
    out = np.empty((*shape[:-1], q + p, shape[-1]))
    own = [(a, a) for a in range(q)]
    pairs = np.array([*own, *structure.pairs])
    half = change[..., pairs[:, 0], pairs[:, 1]] * np.where(np.arange(len(pairs)) < q, 0.5, 1.0)
    for t, rows in made.rows():
        u = _times(structure, omega[..., t, :, :], made.residual[..., rows])
        expected = np.einsum("...iab,...ab->...i", change, omega[..., t, :, :])
        products = np.empty((*u.shape[:-2], len(pairs), u.shape[-1]))
        for i, (a, b) in enumerate(pairs):
            np.multiply(u[..., a, :], u[..., b, :], out=products[..., i, :])
        out[..., :q, rows] = u
        out[..., q:, rows] = half @ products - 0.5 * expected[..., None]
    return out


def moments_of(made: Normal, x: np.ndarray, weight: np.ndarray) -> Moments:
    """Sums over rows with the design x (n, P) and weights (R, m, n)."""
    parts = []
    for _, rows in made.rows():
        w, r = weight[..., rows], made.residual[..., rows]
        columns = x[rows]
        wr = w[..., None, :] * r
        gram = (w[..., None, :] * columns.T) @ columns
        cross = np.swapaxes(wr @ columns, -1, -2)
        if made.at.structure.pairs:
            square = wr @ np.swapaxes(r, -1, -2)
        else:  # what is between columns is not read
            square = np.vecdot(wr, r)[..., None] * np.eye(r.shape[-2])
        parts.append((w.sum(-1), gram, cross, square))
    axes = (-1, -3, -3, -3)
    return Moments(
        *(np.stack(x, axis=a) for x, a in zip(zip(*parts, strict=True), axes, strict=True))
    )


def completed(made: Normal, moments: Moments) -> Moments:
    """Expected sums of complete rows given what is seen of them, with one pattern less an axis."""
    sigma = made.at.sigma[..., None, :, :]
    fill = sigma @ made.at.precision
    cross = moments.cross @ np.swapaxes(fill, -1, -2)
    unseen = moments.mass[..., None, None] * (sigma - fill @ sigma)
    square = fill @ moments.square @ np.swapaxes(fill, -1, -2) + unseen
    return moments._replace(cross=cross, square=square).total()


def score_and_scoring(made: Normal, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Scores (R, m, F), and expected informations (R, m, F, F) of complete rows.

    The F parameters of a component: coefficients column by column, then those of Sigma.
    """
    omega, change = made.at.precision, made.at.slopes
    means = np.swapaxes((moments.cross @ omega).sum(-3), -1, -2)
    pull = (_pull(omega, moments)).sum(-3)
    of_sigma = 0.5 * np.einsum("...ab,...iab->...i", pull, change)
    score = np.concatenate([means.reshape(*of_sigma.shape[:-1], -1), of_sigma], axis=-1)
    whole, full = made.at.inverse, moments.total()
    turned = whole[..., None, :, :] @ change
    second = 0.5 * full.mass[..., None, None] * np.einsum("...iab,...jba->...ij", turned, turned)
    return score, _blocks(whole, full.gram, second)


def exact_information(made: Normal, moments: Moments) -> np.ndarray:
    """Minus the second derivatives of weighted sums of log densities, (R, m, F, F)."""
    total: Any = 0.0
    for t in range(len(made.at.seen)):
        o, sums = made.at.precision[..., t, :, :], moments.of(t)
        turned = o[..., None, :, :] @ made.at.slopes  # Omega dSigma
        inner = (o @ sums.square)[..., None, :, :] @ turned  # Omega C Omega dSigma
        first = np.einsum("...iab,...jba->...ij", inner, turned)
        second = np.einsum("...iab,...jba->...ij", turned, turned)
        bent = np.einsum("...ab,...ijab->...ij", _pull(o, sums), made.at.bends)
        matrix = first + np.swapaxes(first, -1, -2) - sums.mass[..., None, None] * second - bent
        part = _blocks(o, sums.gram, 0.5 * matrix)
        cross = (sums.cross @ o)[..., None, :, :] @ np.swapaxes(turned, -1, -2)
        cross = np.swapaxes(cross, -1, -2).reshape(*matrix.shape[:-1], -1)  # (R, m, p, q P)
        k = cross.shape[-1]
        part[..., k:, :k] = cross
        part[..., :k, k:] = np.swapaxes(cross, -1, -2)
        total = total + part
    return total


def _pull(omega: np.ndarray, moments: Moments) -> np.ndarray:
    """Twice the slope of the sum of log densities in Sigma."""
    return omega @ moments.square @ omega - moments.mass[..., None, None] * omega


def _blocks(omega: np.ndarray, gram: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Block-diagonal matrices: of the means Omega (x) X'WX, and of Sigma's parameters."""
    q, p, (*lead, _, m) = omega.shape[-1], gram.shape[-1], second.shape
    out = np.zeros((*lead, q * p + m, q * p + m))
    kron = np.einsum("...ab,...ij->...aibj", omega, gram)
    out[..., : q * p, : q * p] = kron.reshape(*lead, q * p, q * p)
    out[..., q * p :, q * p :] = second
    return out
