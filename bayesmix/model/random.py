"""Random effects as people read them: standard deviations and correlations by component."""

from __future__ import annotations

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.families.effects import root_matrices, root_of
from bayesmix.families.links import Link
from bayesmix.model.layout import BlockLayout, Layout

# The least eigenvalue of correlations that are one but for rounding.
ROUNDED = 1e-10


def random_names(layout: Layout, block: BlockLayout) -> dict[str, str]:
    """What the variables and dimensions of a response's random effects are called."""
    ending = "" if len(layout.blocks) == 1 else f"_{block.name}"
    return {n: n + ending for n in ("random_sd", "random_corr", "random_term", "random_pair")}


def pair_names(block: BlockLayout) -> list[str]:
    """Names of the pairs of terms that have a correlation."""
    terms = block.random
    return [f"{a}, {b}" for i, a in enumerate(terms) for b in terms[i + 1 :]]


def root_link(block: BlockLayout, number: int) -> Link:
    """Link of one of the root's parameters."""
    return block.families[0].parameters[block.slots[0].index(number)].link


def covariances(block: BlockLayout, theta: np.ndarray) -> np.ndarray:
    """Covariances of the random effects by component, (..., S, q, q), from theta (..., D)."""
    u = effect_roots(block, theta)
    return u @ np.swapaxes(u, -1, -2)


def effect_roots(block: BlockLayout, theta: np.ndarray) -> np.ndarray:
    """Triangular roots of these covariances, of the same shape."""
    values = []
    for number in block.roots:
        coefficients = block.predictors[number].coefficients(theta)[..., 0]
        with np.errstate(over="ignore"):
            values.append(root_link(block, number).inverse(coefficients))
    proportional = block.random_covariance == "proportional"
    return root_matrices(np.stack(values, -1), len(block.random), proportional=proportional)


def scales(covariance: np.ndarray) -> np.ndarray:
    """Standard deviations (..., q)."""
    return np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))


def correlations(covariance: np.ndarray) -> np.ndarray:
    """Correlations of the pairs of terms, (..., q (q - 1) / 2)."""
    sd = scales(covariance)
    i, j = np.triu_indices(covariance.shape[-1], 1)
    with np.errstate(all="ignore"):
        return np.clip(covariance[..., i, j] / (sd[..., i] * sd[..., j]), -1.0, 1.0)


def moments(covariance: np.ndarray) -> np.ndarray:
    """Standard deviations and correlations one after the other, (..., q (q + 1) / 2)."""
    return np.concatenate([scales(covariance), correlations(covariance)], axis=-1)


def from_moments(block: BlockLayout, sd: np.ndarray, corr: np.ndarray) -> np.ndarray:
    """Natural parameters of the root (S, q (q + 1) / 2) from what people read.

    Parameters
    ----------
    block : BlockLayout
    sd : ndarray, shape (S, q)
    corr : ndarray, shape (S, q (q - 1) / 2)

    Raises
    ------
    SpecError
        If they do not form a covariance matrix.
    """
    q = len(block.random)
    matrix = np.broadcast_to(np.eye(q), (len(sd), q, q)).copy()
    i, j = np.triu_indices(q, 1)
    matrix[:, i, j] = matrix[:, j, i] = corr
    if np.isfinite(corr).all():  # a fit at the boundary has correlations that round to one
        singular = np.abs(np.linalg.eigvalsh(matrix)[:, 0]) < ROUNDED
        matrix[singular] -= ROUNDED * (matrix[singular] - np.eye(q))
    try:
        if not (sd > 0).all() or not np.isfinite(sd).all():
            raise np.linalg.LinAlgError
        root_of(matrix, proportional=False)
    except np.linalg.LinAlgError:
        raise SpecError(
            f"random_sd {sd.tolist()} and random_corr {corr.tolist()} of {block.name!r:.200} "
            "make no covariance matrix: standard deviations are positive, and correlations lie "
            "between -1 and 1 and agree with each other"
        ) from None
    covariance = matrix * sd[:, :, None] * sd[:, None]
    return root_of(covariance, proportional=block.random_covariance == "proportional")
