r"""Covariance matrices by unconstrained parameters, with exact first and second derivatives.

    Sigma = D R D,   D = diag(sd),   R = L L'

Row b of L is tanh(z_0), sech(z_0) tanh(z_1), ..., sech(z_0) ... sech(z_{b-1}): tanh(z_a) is the
partial correlation of columns b and a given the columns before a (Joe 2006, Journal of
Multivariate Analysis 97, 2177-2189; Lewandowski, Kurowicka and Joe 2009, ibid. 100, 1989-2001).
Parameters are the logarithms of `sd`, then the z of rows 1, 2, ... of L.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bayesmix import arrays as xp

KINDS = ("full", "diagonal", "spherical")
# A correlation matrix that is singular but for rounding gets as much of the unit matrix.
RIDGE = 1e-14


@dataclass(frozen=True)
class Structure:
    """What is free in the covariance matrix of q columns.

    Parameters
    ----------
    columns : tuple of str, length q
    kind : str
        One of `KINDS`.
    """

    columns: tuple[str, ...]
    kind: str

    @property
    def q(self) -> int:
        """Number of columns."""
        return len(self.columns)

    @cached_property
    def scales(self) -> tuple[str, ...]:
        """Names of the standard deviations."""
        return ("sd",) if self.kind == "spherical" else tuple(f"sd_{c}" for c in self.columns)

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Columns (a, b), a < b, of each z."""
        return tuple((a, b) for b in range(self.q) for a in range(b)) if self.kind == "full" else ()

    def between(self, name: str) -> tuple[str, ...]:
        """Names of a quantity of each of the `pairs`."""
        return tuple(f"{name}_{self.columns[a]}_{self.columns[b]}" for a, b in self.pairs)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters, in order."""
        return (*self.scales, *self.between("fisher"))

    def patterns(self, y: np.ndarray) -> np.ndarray | float:
        """Binary numbers (n,) of the columns that are there in rows (n, q); one where all are."""
        seen = ~np.isnan(y)
        return float(2**self.q - 1) if seen.all() else (seen * 2.0 ** np.arange(self.q)).sum(1)

    # --- matrices ---------------------------------------------------------------------------

    def deviations(self, phi: np.ndarray) -> np.ndarray:
        """Standard deviations (..., q) of the columns from parameters (..., p)."""
        with np.errstate(over="ignore"):
            sd = np.exp(phi[..., : len(self.scales)])
        return np.broadcast_to(sd, (*phi.shape[:-1], self.q))

    def factor(self, phi: np.ndarray) -> np.ndarray:
        """The Cholesky factor L (..., q, q) of the correlations."""
        out = np.zeros((*phi.shape[:-1], self.q, self.q))
        left = np.ones((*phi.shape[:-1], self.q))  # of each row what is not used up yet
        for (a, b), z in zip(self.pairs, self._angles(phi), strict=True):
            out[..., b, a] = np.tanh(z) * left[..., b]
            with np.errstate(over="ignore"):
                left[..., b] = left[..., b] / np.cosh(z)
        diagonal = np.arange(self.q)
        out[..., diagonal, diagonal] = left
        return out

    def covariance(self, phi: np.ndarray) -> np.ndarray:
        """Sigma (..., q, q)."""
        root = self.deviations(phi)[..., None] * self.factor(phi)
        return root @ np.swapaxes(root, -1, -2)

    def parameters(self, covariance: np.ndarray) -> np.ndarray:
        """Parameters (..., p) of the nearest covariance of this kind in likelihood."""
        variance = np.einsum("...aa->...a", covariance)
        if self.kind == "spherical":
            variance = variance.mean(-1, keepdims=True)
        with np.errstate(divide="ignore"):
            out = [0.5 * np.log(variance)]
        if self.pairs:
            sd = np.sqrt(np.where(variance > 0, variance, 1.0))
            root = _root(covariance / (sd[..., None] * sd[..., None, :]))
            out.append(np.stack([_angle(root, a, b) for a, b in self.pairs], axis=-1))
        return np.concatenate(out, axis=-1)

    def slopes(self, phi: np.ndarray) -> np.ndarray:
        """First derivatives of Sigma, (..., p, q, q)."""
        sigma, sd = self.covariance(phi), self.deviations(phi)
        of_scales = [sigma * mask for mask in self._masks()]
        outer = sd[..., None] * sd[..., None, :]
        root = self.factor(phi)
        of_pairs = [
            outer * _crossed(self._row_slope(root, z, a, b), root, b)
            for (a, b), z in zip(self.pairs, self._angles(phi), strict=True)
        ]
        return np.stack([*of_scales, *of_pairs], axis=-3)

    def bends(self, phi: np.ndarray) -> np.ndarray:
        """Second derivatives of Sigma, (..., p, p, q, q), by automatic differentiation."""
        variables, m = xp.jets(*np.moveaxis(phi, -1, 0)), len(self.scales)
        sd = [xp.exp(z) for z in variables[:m]] * (self.q // m)
        entries = {(a, a): sd[a] * sd[a] for a in range(self.q)}
        correlations = self.correlations(variables[m:])
        entries |= {(a, b): sd[a] * sd[b] * r for (a, b), r in correlations.items()}
        out = np.zeros((*phi.shape, *phi.shape[-1:], self.q, self.q))
        for (a, b), entry in entries.items():
            out[..., a, b] = out[..., b, a] = np.moveaxis(entry.second, (0, 1), (-2, -1))
        return out

    def rows(self, angles: Sequence[Any]) -> list[list[Any]]:
        """Rows of L, elementwise, with the logarithm on the diagonal; empty without correlations.

        The z may be arrays of any kind, of graphs too.
        """
        rows: list[list[Any]] = [[] for _ in range(self.q)]
        logs: list[Any] = [0.0] * self.q
        for (a, b), z in zip(self.pairs, angles, strict=True):
            rows[b].append(np.tanh(z) * xp.exp(logs[b]) if a else np.tanh(z))
            # log sech(z), which does not overflow
            logs[b] = logs[b] + z + np.log(2.0) - xp.softplus(2 * z)
        return [[*row, log] if row else [] for row, log in zip(rows, logs, strict=True)]

    def correlations(self, angles: Sequence[Any]) -> dict[tuple[int, int], Any]:
        """Correlations of the `pairs`, from z of any kind."""
        rows = unit_rows(self.rows(angles))
        products = (zip(rows[a], rows[b], strict=False) for a, b in self.pairs)
        return {at: sum(x * y for x, y in p) for at, p in zip(self.pairs, products, strict=True)}

    def _angles(self, phi: np.ndarray) -> np.ndarray:
        return np.moveaxis(phi[..., len(self.scales) :], -1, 0)

    def _masks(self) -> list[np.ndarray]:
        """How often each entry of Sigma has each standard deviation as a factor."""
        if self.kind == "spherical":
            return [np.full((self.q, self.q), 2.0)]
        own = np.eye(self.q)
        return [row[:, None] + row for row in own]

    def _row_slope(self, root: np.ndarray, z: np.ndarray, a: int, b: int) -> np.ndarray:
        """The derivative (..., q) of row b of L in its z number a."""
        out = np.zeros(root.shape[:-1])
        with np.errstate(over="ignore"):
            out[..., a] = _left(root, a, b) / np.square(np.cosh(z))
        out[..., a + 1 :] = -root[..., b, a + 1 :] * np.tanh(z)[..., None]
        return out


def unit_rows(rows: list[list[Any]]) -> list[list[Any]]:
    """Rows of L of `Structure.rows`, with the diagonal itself."""
    return [[*row[:-1], xp.exp(row[-1])] if row else [1.0] for row in rows]


def _left(root: np.ndarray, a: int, b: int) -> np.ndarray:
    """What of row b of L its entries from a on have together."""
    return np.sqrt(np.square(root[..., b, a:]).sum(-1))


def _crossed(row: np.ndarray, root: np.ndarray, b: int) -> np.ndarray:
    """The change (..., q, q) of L L' where row b of L changes and keeps its length."""
    out = np.zeros(root.shape)
    change = np.einsum("...k,...jk->...j", row, root)
    change[..., b] = 0.0
    out[..., b, :] = change
    out[..., :, b] = change
    return out


def _root(correlation: np.ndarray) -> np.ndarray:
    """The Cholesky factor of correlations, of nearly the same ones where they are singular."""
    q = correlation.shape[-1]
    sound = np.where(np.isfinite(correlation).all((-1, -2), keepdims=True), correlation, np.eye(q))
    try:
        return np.linalg.cholesky(sound)
    except np.linalg.LinAlgError:
        least = np.minimum(np.linalg.eigvalsh(sound)[..., :1, None], 0.0)
        return np.linalg.cholesky(sound + (RIDGE - 2 * least) * np.eye(q))


def _angle(root: np.ndarray, a: int, b: int) -> np.ndarray:
    """The z of a pair: L_ba over what is left of row b is sinh(z)."""
    return np.arcsinh(root[..., b, a] / _left(root, a + 1, b))
