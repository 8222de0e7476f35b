"""What the methods look at: memberships and component values of every draw."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayesmix.errors import FitError
from bayesmix.likelihood import Problem
from bayesmix.likelihood.engine import engine
from bayesmix.model import MixtureSpec
from bayesmix.model.params import parameter_link

# Bytes of the memberships that one batch of draws holds.
BATCH = 16_000_000


def membership_batches(
    problem: Problem, theta: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Memberships of all units, some draws at a time.

    p_tus = pi_s(w_u) f_us(theta_t) / sum_r pi_r(w_u) f_ur(theta_t), as
    `likelihood.unit_terms` gives for one draw.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (T, D)

    Yields
    ------
    draws : slice
    loglik : ndarray, shape (R, U)
        Log-likelihoods of the units.
    memberships : ndarray, shape (R, S, U)
    """
    for draws in _spans(len(theta), BATCH // (8 * problem.spec.k * problem.n_units)):
        loglik, memberships = engine(problem).units(theta[draws])
        memberships[np.isnan(memberships)] = 0.0
        yield draws, loglik, memberships


def _spans(n: int, size: int) -> Iterator[slice]:
    size = max(1, size)
    for a in range(0, n, size):
        yield slice(a, min(a + size, n))


def draw_memberships(problem: Problem, theta: np.ndarray) -> np.ndarray:
    """Memberships (T, U, S) of the draws theta (T, D), all in memory."""
    parts = [p for _, _, p in membership_batches(problem, theta)]
    return np.concatenate(parts).swapaxes(1, 2)


def mean_weights(spec: MixtureSpec, theta: np.ndarray) -> np.ndarray:
    """Mean weights of the components over the units, (T, S)."""
    z = spec.rows.concomitant
    if spec.layout.concomitant_terms is None or z is None:
        return np.exp(spec.weights.log_weights(theta, None)[..., 0])
    out = np.empty((len(theta), spec.k))
    for draws in _spans(len(theta), BATCH // (8 * spec.k * len(z))):
        pi = np.exp(spec.weights.log_weights(theta[draws], z))
        out[draws] = np.average(pi, axis=-1, weights=spec.rows.weight)
    return out


def component_values(spec: MixtureSpec, theta: np.ndarray, by: str | None = None) -> np.ndarray:
    """The values by which components are put in ascending order.

    Parameters
    ----------
    spec : MixtureSpec
    theta : ndarray, shape (T, D)
    by : str, optional
        A term of a location ("response: term" where several responses have it), a
        dispersion, or "weight"; the first that interchangeable components do not
        share, unless given.

    Returns
    -------
    ndarray, shape (T, S)
        On the natural scale; NaN where a component lacks it.

    Raises
    ------
    FitError
        If there is no such value, or interchangeable components share it.
    """
    found = _columns(spec)
    own = [name for name, (index, _) in found.items() if _differs(spec, index)]
    if by is None:
        by = own[0] if own else "weight"
    if by == "weight":
        return mean_weights(spec, theta)
    if by not in own:
        why = "is shared by interchangeable components" if by in found else "names no parameter"
        raise FitError(f"ordering by {by!r}: it {why}; use one of {[*own, 'weight']}")
    index, link = found[by]
    values = theta[:, np.maximum(index, 0)]
    return np.where(index >= 0, values if link is None else link.inverse(values), np.nan)


def _columns(spec: MixtureSpec) -> dict:
    """Entries of theta (S,) and the link of every term and dispersion, by name."""
    found: dict = {}
    for block in spec.layout.blocks:
        location, *dispersions = block.predictors
        for term, index in zip(location.terms, location.index.T, strict=True):
            found.setdefault(term, (index, None))
            if len(spec.layout.blocks) > 1:
                found[f"{block.name}: {term}"] = (index, None)
        for number, predictor in enumerate(dispersions, start=1):
            link = parameter_link(block, number)
            found.setdefault(predictor.variable, (predictor.index[:, 0], link))
    return found


def _differs(spec: MixtureSpec, index: np.ndarray) -> bool:
    """Whether some interchangeable components have different entries of theta."""
    return any(len(set(index[list(members)])) > 1 for members in spec.layout.symmetric)
