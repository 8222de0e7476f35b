r"""Two vectors of parameters that describe one model, and the way between them.

    phi = B theta + d + sum_b t_b f_b exp(o_b' theta + a_b)

The sum is empty but where a rate depends on the unit of time through a shape: the scale of
``weibull_ph`` in other units is scale u^shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

# Numbers of two maps that differ by less, relative to their size, are the same.
NEAR = 1e-9


class Bend(NamedTuple):
    """A term t f exp(o' theta + a): `to` t and `of` o (D,), `factor` f and `at` a."""

    to: np.ndarray
    factor: float
    of: np.ndarray
    at: float

    def size(self, theta: np.ndarray) -> np.ndarray:
        """The factor of t, (...)."""
        with np.errstate(over="ignore"):
            return self.factor * np.exp(theta @ self.of + self.at)


@dataclass(frozen=True, eq=False)
class Map:
    """From theta (..., D) to phi (..., D).

    Parameters
    ----------
    matrix : ndarray, shape (D, D)
    shift : ndarray, shape (D,)
    bends : tuple of Bend
        With them phi is still as large a volume as without.
    """

    matrix: np.ndarray
    shift: np.ndarray
    bends: tuple[Bend, ...] = ()

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        """Phi (..., D)."""
        out = theta @ self.matrix.T + self.shift
        for bend in self.bends:
            out = out + bend.size(theta)[..., None] * bend.to
        return out

    def solve(self, phi: np.ndarray) -> np.ndarray:
        """Theta (..., D) with this phi: what bends others is not bent itself."""
        theta = straight = np.linalg.solve(self.matrix, (phi - self.shift)[..., None])[..., 0]
        for bend in self.bends:
            to = np.linalg.solve(self.matrix, bend.to)
            theta = theta - bend.size(straight)[..., None] * to
        return theta

    def jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Derivatives of phi in theta (..., D), shape (..., D, D)."""
        out = self.matrix
        if theta.ndim > 1:
            out = np.broadcast_to(out, (*theta.shape, theta.shape[-1]))
        for bend in self.bends:
            out = out + bend.size(theta)[..., None, None] * np.outer(bend.to, bend.of)
        return out

    def pull(
        self, theta: np.ndarray, score: np.ndarray, curvature: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score (R, D) and negative second derivative (R, D, D) in theta of a function of phi.

        Parameters
        ----------
        theta : ndarray, shape (R, D)
        score, curvature : ndarray
            The same in phi.
        """
        slope = self.jacobian(theta)
        bent = np.swapaxes(slope, 1, 2) @ curvature @ slope
        for bend in self.bends:
            bent = bent - (score @ bend.to * bend.size(theta))[:, None, None] * np.outer(
                bend.of, bend.of
            )
        return np.einsum("rij,ri->rj", slope, score), bent

    def back(self, theta: np.ndarray, score: np.ndarray) -> np.ndarray:
        """The score in theta (D,) of a function of phi with this one (D,)."""
        out = score @ self.matrix
        for bend in self.bends:
            out += float(bend.size(theta)) * (score @ bend.to) * bend.of
        return np.asarray(out)

    def rows(self, which: np.ndarray, other: Map) -> Map:
        """The map whose entries `which` (D,), a mask, are this one's, the rest the other's."""
        parts = [(self, which), (other, ~which)]
        bends = tuple(
            b._replace(to=np.where(mask, b.to, 0.0))
            for one, mask in parts
            for b in one.bends
            if (b.to[mask] != 0).any()
        )
        return Map(
            np.where(which[:, None], self.matrix, other.matrix),
            np.where(which, self.shift, other.shift),
            bends,
        )

    def after(self, first: Map) -> Map:
        """Compose: phi of what the first map gives, whose bending entries are not bent."""
        mine = (
            b._replace(of=first.matrix.T @ b.of, at=float(b.of @ first.shift) + b.at)
            for b in self.bends
        )
        theirs = (b._replace(to=self.matrix @ b.to) for b in first.bends)
        bends = _joined([*mine, *theirs])
        return Map(self.matrix @ first.matrix, self.matrix @ first.shift + self.shift, bends)

    @cached_property
    def log_volume(self) -> float:
        """Log of the volume of phi that a unit of volume of theta becomes."""
        return float(np.linalg.slogdet(self.matrix)[1])

    @classmethod
    def identity(cls, size: int) -> Map:
        """Theta itself."""
        return cls(np.eye(size), np.zeros(size))


def _joined(bends: Sequence[Bend]) -> tuple[Bend, ...]:
    """Terms of one exponent as one; none where they cancel, as on the way there and back."""
    out: list[Bend] = []
    for bend in bends:
        same = [np.allclose(b.of, bend.of, NEAR, NEAR) and abs(b.at - bend.at) <= NEAR for b in out]
        other = out.pop(same.index(True)) if any(same) else bend._replace(factor=0.0)
        mine, theirs = bend.factor * bend.to, other.factor * other.to
        if (np.abs(mine + theirs) > NEAR * np.maximum(np.abs(mine), np.abs(theirs))).any():
            out.append(bend._replace(to=mine + theirs, factor=1.0))
    return tuple(out)


@dataclass(frozen=True, eq=False)
class Standard:
    """Between standard coordinates and the user's.

    Parameters
    ----------
    to_user, to_standard : Map
        Of theta.
    constant : float
        The log-likelihood in the user's units less that in standard ones.
    units : tuple of (float, float)
        For each response its unit u and centre c: standard ones are (y - c) / u.  Of a response
        of several columns arrays (q,).
    by_unit : ndarray, shape (U,), or None
        The parts of the units in memory in that constant, without their weights.
    """

    to_user: Map
    to_standard: Map
    constant: float
    units: tuple[Any, ...]
    by_unit: np.ndarray | None = None
