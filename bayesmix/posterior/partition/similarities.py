"""Posterior similarities P_ij: how probable it is that units i and j are together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayesmix.errors import FitError

__all__ = ["similarity"]

# More units than this need too large a matrix; above SINGLE it is kept in single precision.
MOST_UNITS = 20_000
SINGLE = 4_000
# Elements of a work array.
BLOCK = 1 << 22


def similarity(
    allocations: np.ndarray | None = None, *, memberships: np.ndarray | None = None
) -> np.ndarray:
    """Posterior similarities P_ij = P(z_i = z_j | data).

    Parameters
    ----------
    allocations : ndarray of int, shape (T, U)
        Drawn components, 0, 1, ...: P_ij is the share of draws with i and j together
        (Binder 1978, Biometrika 65, 31-38).
    memberships : ndarray, shape (T, U, S)
        In their place: P_ij = mean_t sum_s p_tis p_tjs, as units are independent given
        the parameters, and P_ii = 1.

    Returns
    -------
    ndarray, shape (U, U)

    Raises
    ------
    FitError
        If there are too many units for a matrix.
    """
    given = allocations if memberships is None else memberships
    if given is None or (allocations is not None and memberships is not None):
        msg = "similarity() takes either allocations or memberships= of the draws"
        raise FitError(msg)
    n_draws, n_units = given.shape[:2]
    _check_size(n_units)
    out = np.zeros((n_units, n_units), np.float64 if n_units <= SINGLE else np.float32)
    width = max(1, BLOCK // n_units)
    for z in _indicators(given):
        z = z.astype(out.dtype)
        for a in range(0, n_units, width):
            out[a : a + width, a:] += z[:, a : a + width].T @ z[:, a:]
    for a in range(0, n_units, width):
        some = slice(a, a + width)
        out[some, a:] /= n_draws
        out[a:, some] = out[some, a:].T
    np.fill_diagonal(out, 1.0)
    return out


def _check_size(n_units: int) -> None:
    if n_units > MOST_UNITS:
        msg = (
            f"{n_units} units have a similarity matrix of {n_units**2 * 4 / 1e9:.1f} GB; at most "
            f"{MOST_UNITS} units are allowed. Take the most probable component of each unit, or "
            "a sample of the units, allocations[:, sample]"
        )
        raise FitError(msg)


def _indicators(given: np.ndarray) -> Iterator[np.ndarray]:
    """Memberships or indicators of the draws' clusters, one below another (R S, U)."""
    n_draws, n_units = given.shape[:2]
    k = given.shape[2] if given.ndim == 3 else int(given.max()) + 1
    size = max(1, BLOCK // (n_units * k))
    for a in range(0, n_draws, size):
        part = given[a : a + size]
        z = part.swapaxes(1, 2) if given.ndim == 3 else part[:, None] == np.arange(k)[:, None]
        yield z.reshape(-1, n_units)
