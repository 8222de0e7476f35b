"""Spurious maxima: components of a handful of units that are far narrower than the others."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesmix.likelihood import Problem, log_densities, unit_terms
from bayesmix.likelihood.problem import Arrays, Group, Slot, chunks, sample_of

# Units for each of its own parameters below which a component is a handful.
FEW_UNITS = 3
# Mean gain in log density of a standard deviation a tenth of the others', and of one a
# hundred-millionth of it: log(r) - 1/2 for a Gaussian component that is r times narrower.
NARROW_GAIN = float(np.log(10.0)) - 0.5
COLLAPSED_GAIN = float(np.log(1e8)) - 0.5


# What to do about equal responses, before other advice.
POINT_MASS = "family=['zero', ...] or bmx.family('point', at=...) for a value of its own, "


def can_collapse(arrays: Arrays, group: Group) -> bool:
    """Whether the likelihood of a family's components may grow without bound on a few units.

    A user's family may, unless it gives whole numbers and so presumably probabilities.
    """
    family = group.family
    if len(group.members) < 2 or len(group.slots) < 2:
        return False
    if not family.is_own:
        return family.collapse is not None or family.normal is not None
    y = arrays.observed[group.key].y
    return family.is_survival or bool((y != np.round(y)).any())


def is_bounded(problem: Problem) -> bool:
    """Whether no component's density may grow without bound."""
    return not any(can_collapse(arrays, g) for arrays in problem.blocks for g in arrays.groups)


def narrowness(problem: Problem, theta: np.ndarray) -> np.ndarray:
    r"""How much narrower than the others each component is, where that is no finding.

    The gain of component s over component t is the mean over its units, weighted by their
    memberships, of

    .. math:: \log f(y; \mu_s, \phi_s) - \log f(y; \mu_s, \phi_t)

    with the dispersions phi_t of the other one in place of its own.  It has no unit of
    measurement; between Gaussian components it is log(r) - (1 - 1 / r^2) / 2, with r the
    ratio of their standard deviations, which Hathaway (1985) bounds.  A component is
    spurious where the smallest gain over components with sufficient units is that of
    r = 10 and it is a handful of units itself: fewer than three for each of its own
    parameters, where the units with its commonest response count as one.

    Parameters
    ----------
    problem : Problem
    theta : ndarray, shape (D,)

    Returns
    -------
    ndarray, shape (S,)
        The gains of spurious components; zero for all others.  Above `COLLAPSED_GAIN` a
        component has collapsed, whatever the number of its units.

    References
    ----------
    Hathaway (1985), Annals of Statistics 13, 795-800.  McLachlan and Peel (2000), Finite
    Mixture Models, section 3.10.
    """
    problem = sample_of(problem)
    out = np.zeros(problem.spec.k)
    groups = [(a, g) for a in problem.blocks for g in a.groups if can_collapse(a, g)]
    if not groups:
        return out
    resp = unit_terms(problem, theta)[1]
    resp = resp if problem.weight is None else resp * problem.weight[:, None]
    for arrays, group in groups:
        few = _few(problem, arrays, group, resp)
        for m in np.flatnonzero(few | group.family.is_own):
            others = _references(group, int(m), few, resp)
            gain = _narrower(problem, theta, resp, group, int(m), others).min()
            if gain > (NARROW_GAIN if few[m] else COLLAPSED_GAIN):
                s = group.members[m]
                out[s] = max(out[s], gain)
    return out


def suspects(problem: Problem, mean: np.ndarray) -> np.ndarray:
    """Starts (R,) in which a component may be a handful of units, by its mean weights (R, S).

    It saves `narrowness` a pass over the rows for all others.
    """
    out, n_units = np.zeros(len(mean), bool), problem.spec.n_units
    problem = sample_of(problem)
    for arrays in problem.blocks:
        for group in arrays.groups:
            if can_collapse(arrays, group):
                codes = _response_codes(problem, arrays, group)
                count = _seen(problem, arrays, group)
                count = count if problem.weight is None else count * problem.weight
                tied = np.bincount(codes, count).max() - 1
                most = FEW_UNITS * own_parameters(problem, group) + max(tied, 0.0)
                units = n_units * mean[:, group.members]
                out |= group.family.is_own | (units < most).any(1)
    return out


def tied_words(problem: Problem, theta: np.ndarray, components: np.ndarray) -> str:
    """The response that several units of a component share, in brackets; empty without one."""
    problem = sample_of(problem)
    spec, resp = problem.spec, unit_terms(problem, theta)[1]
    for s in components:
        for number, block in enumerate(spec.rows.blocks):
            member = resp[spec.rows.units.codes, s] > 0.5
            member = member if block.there is None else member & block.there
            if block.response is None or not member.any():
                continue
            values, counts = np.unique(block.response.y[member], axis=0, return_counts=True)
            if counts.max() > 2:
                unit, centre = (1.0, 0.0) if spec.standard is None else spec.standard.units[number]
                commonest = np.atleast_1d(unit * values[counts.argmax()] + centre)
                value = ", ".join(f"{v:g}" for v in commonest)
                return (
                    f" ({counts.max()} rows of component {spec.components[s]} have the same "
                    f"response, {value})"
                )
    return ""


def _collapsing(group: Group) -> tuple[Slot, ...]:
    """The dispersion at whose limit the likelihood is unbounded; all where it may be any."""
    if group.family.collapse is None:
        return tuple(slot for slot in group.slots if not slot.located)
    names = [p.name for p in group.family.parameters]
    return (group.slots[names.index(group.family.collapse[0])],)


def own_parameters(problem: Problem, group: Group) -> np.ndarray:
    """Parameters of a family's components, (m,); one that n components share is 1 / n."""
    users = np.zeros(problem.spec.layout.size)
    for slot in group.slots:
        for at in slot.at:
            users[at] += 1
    m = range(len(group.members))
    return np.array([sum((1 / users[slot.at[i]]).sum() for slot in group.slots) for i in m])


def _response_codes(problem: Problem, arrays: Arrays, group: Group) -> np.ndarray:
    """A number for the responses of every unit (U,), the same number for the same responses."""
    obs = arrays.observed[group.key]
    hashes = pd.util.hash_array(obs.y[:, 0] + 0.0 if obs.y.ndim > 1 else obs.y + 0.0)
    for column in obs.y.T[1:] if obs.y.ndim > 1 else ():
        hashes = pd.util.hash_array(hashes ^ pd.util.hash_array(column + 0.0))
    hashes = hashes if obs.there is None else np.where(obs.there, hashes, 0)
    if problem.first is not None:
        hashes = np.add.reduceat(hashes, problem.first)
    return pd.factorize(hashes)[0]


def _seen(problem: Problem, arrays: Arrays, group: Group) -> np.ndarray:
    """One for units with this response in some row, else zero, (U,)."""
    there = arrays.observed[group.key].there
    if there is None:
        return np.ones(problem.n_units)
    by_unit = there if problem.first is None else np.add.reduceat(there, problem.first)
    return (by_unit > 0).astype(float)


def _few(problem: Problem, arrays: Arrays, group: Group, resp: np.ndarray) -> np.ndarray:
    """Which of a family's components are a handful of units, (m,)."""
    own = FEW_UNITS * own_parameters(problem, group)
    mine = resp[:, group.members] * _seen(problem, arrays, group)[:, None]
    few = np.zeros(len(own), bool)
    codes = _response_codes(problem, arrays, group)
    for m in range(len(own)):
        commonest = np.bincount(codes, mine[:, m]).max()
        few[m] = mine[:, m].sum() - max(commonest - 1, 0.0) < own[m]
    return few


def _references(group: Group, member: int, few: np.ndarray, resp: np.ndarray) -> np.ndarray:
    """The other components with sufficient units, else the largest one; positions in the group."""
    others = np.flatnonzero(~few)
    others = others[others != member]
    if len(others):
        return others
    mass = resp[:, group.members].sum(0)
    mass[member] = -1.0
    return np.array([int(mass.argmax())])


def _narrower(
    problem: Problem, theta: np.ndarray, resp: np.ndarray, group: Group, s: int, others: np.ndarray
) -> np.ndarray:
    """The gains of member s of a family over other members, zero where s is the wider one.

    A divergence is smaller from the narrow to the wide one than the other way.
    """
    one, many = np.full(len(others), s), others
    gains = _gains(problem, theta, resp, group, np.append(one, many), np.append(many, one))
    mine, theirs = gains.reshape(2, -1)
    return np.where(mine < theirs, mine, 0.0)


def _gains(
    problem: Problem,
    theta: np.ndarray,
    resp: np.ndarray,
    group: Group,
    ones: np.ndarray,
    others: np.ndarray,
) -> np.ndarray:
    """The mean gains (m,) of members' densities over those with the dispersions of others."""
    pair, s = np.arange(len(ones)), np.array(group.members)[ones]
    swapped = np.tile(theta, (len(ones) + 1, 1))
    for slot in _collapsing(group):
        mine, theirs = slot.index[ones], slot.index[others]
        at, column = ((mine >= 0) & (theirs >= 0)).nonzero()
        swapped[at, mine[at, column]] = theta[theirs[at, column]]
    total = np.zeros(len(ones))
    for chunk in chunks(problem, len(swapped) * problem.spec.k):
        logf = log_densities(problem, swapped, chunk)
        r = resp[chunk.units][:, s].T
        with np.errstate(invalid="ignore"):
            total += np.where(r > 0, r * (logf[-1, s] - logf[pair, s]), 0.0).sum(1)
    return total / np.maximum(resp[:, s].sum(0), 1e-300)
