"""Where EM begins: designed and random memberships, short runs, or what the user gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from bayesmix.estimation.order import unit_order
from bayesmix.estimation.splits import splits
from bayesmix.estimation.step import m_step
from bayesmix.likelihood import (
    Problem,
    build_problem,
    closed_scale,
    em_pass,
    log_likelihood,
    unit_terms,
)
from bayesmix.likelihood.arrange import working_by_item
from bayesmix.likelihood.compress import units_of
from bayesmix.likelihood.engine import engine, is_large
from bayesmix.likelihood.passes import Responsibilities

CLASSIFICATION_STEPS = 5
# Membership of a unit in the part to which a design assigns it.
SURE = 0.999
# Standard deviation of the slopes of random memberships where components are known.
TILT = 2.0
# A change of theta with which the M-steps at given responsibilities end.
RESTING = 1e-6
# Responsibilities held at once.
MOST = 1 << 22
EVERY = slice(None)


@dataclass(frozen=True)
class Memberships:
    """Responsibilities of R starts, made block by block.

    Parameters
    ----------
    labels : ndarray of int, shape (R, U), or None
        Components of the units: responsibility `sure` against 1 - `sure` for each other
        one, normalised; -1 gives equal responsibilities.
    matrix : ndarray, shape (R, S, U), or None
        Given responsibilities instead.
    k : int
    allowed : ndarray of bool, shape (U, S), or None
    sure : ndarray, shape (R,), or None
        None: 0.9 in all starts, as R flexmix.
    """

    labels: np.ndarray | None
    matrix: np.ndarray | None
    k: int
    allowed: np.ndarray | None
    sure: np.ndarray | None = None

    def __call__(self, units: slice, _own: object = None, starts: slice = EVERY) -> np.ndarray:
        """Responsibilities (R, S, units) of a block of units, in some starts."""
        if self.matrix is not None:
            out = self.matrix[starts, :, units]
        else:
            assert self.labels is not None
            drawn = self.labels[starts, None, units] == np.arange(self.k)[:, None]
            sure = 0.9 if self.sure is None else self.sure[starts, None, None]
            out = np.where(drawn, sure, 1 - sure)
        if self.allowed is not None:
            out = out * self.allowed[units].T
        total = out.sum(1, keepdims=True)
        return np.divide(out, total, out=np.full_like(out, 1 / self.k), where=total > 0)


def random_memberships(
    problem: Problem, n_starts: int, rng: np.random.Generator, n_designed: int = 0
) -> tuple[Memberships, int]:
    """Components of every unit: by design in some starts, drawn uniformly in the others.

    They belong to the units, not to the order of the rows.

    Returns
    -------
    memberships : Memberships
    n_designed : int
        How many of them, at the beginning, are designed: there may be no more.
    """
    k = problem.spec.k
    order = unit_order(problem)
    designed = splits(problem, order, n_designed)
    if len(problem.spec.layout.symmetric) > 1:  # any part may belong to any component
        designed = np.array([rng.permutation(k)[labels] for labels in designed], np.int16)
    n_random = n_starts - len(designed)
    labels = np.empty((n_random, problem.n_units), np.int16)
    labels[:, order] = rng.integers(0, k, size=labels.shape, dtype=np.int16)
    labels = np.concatenate([designed.reshape(-1, problem.n_units), labels])
    sure = np.where(np.arange(n_starts) < len(designed), SURE, 0.9)
    return Memberships(labels, None, k, problem.spec.rows.allowed, sure), len(designed)


def shuffled_memberships(
    problem: Problem, theta: np.ndarray, n_starts: int, rng: np.random.Generator
) -> Memberships:
    """Those at theta (D,) with two components merged and a third one split at random.

    The moves of Ueda, Nakano, Ghahramani and Hinton (2000), Neural Computation 12, 2109-2128.
    """
    k = problem.spec.k
    moves = [(s, t, u) for u in range(k) for s, t in combinations(set(range(k)) - {u}, 2)]
    memberships = unit_terms(problem, theta)[1].T
    order, units = rng.permutation(len(moves)), unit_order(problem)
    out = np.empty((n_starts, *memberships.shape))
    part = np.empty(problem.n_units)
    for i, new in enumerate(out):
        s, t, u = moves[order[i % len(moves)]]
        part[units] = rng.random(problem.n_units)
        new[:] = memberships
        new[s] += memberships[t]
        new[t], new[u] = part * memberships[u], (1 - part) * memberships[u]
    return Memberships(None, out, k, problem.spec.rows.allowed)


def known_memberships(problem: Problem, n_starts: int, rng: np.random.Generator) -> Memberships:
    """Equal shares of the components that a unit may have, then randomly tilted ones.

    Their logits are random linear functions of the responses' ranks and the concomitant
    covariates: other maxima differ in which component the late times go to, say.
    """
    k, n = problem.spec.k, problem.n_units
    features = [np.ones(n)]
    for arrays in problem.blocks:
        response = next(iter(arrays.observed.values())).y
        for y in response.T if response.ndim > 1 else [response]:
            y = np.where(np.isnan(y), np.nanmedian(y), y)
            y = y if problem.first is None else np.maximum.reduceat(y, problem.first)
            features.append(np.sqrt(12.0) * ((pd.Series(y).rank().to_numpy() - 0.5) / n - 0.5))
    if problem.concomitant is not None:
        z = problem.concomitant[:, problem.concomitant.std(0) > 0]
        features += list(((z - z.mean(0)) / z.std(0)).T)
    slopes = TILT * rng.standard_normal((n_starts, k, len(features)))
    slopes[0] = 0.0
    logits = slopes @ np.array(features)
    matrix = np.exp(logits - logits.max(1, keepdims=True))
    return Memberships(None, matrix, k, problem.spec.rows.allowed)


def subsample(problem: Problem, n_units: int, rng: np.random.Generator) -> Problem:
    """The problem of some units, drawn at random without replacement."""
    rows = problem.spec.rows
    drawn = rng.choice(rows.n_units, size=n_units, replace=False)
    part = units_of(rows, np.sort(unit_order(problem)[drawn]))
    made = build_problem(replace(problem.spec, rows=part), penalty=problem.penalty)
    made.kept["of_large"] = is_large(problem)  # what is compiled for all rows serves for a part
    return made


def pooled(problem: Problem) -> np.ndarray:
    """Parameters (D,) of all components fitted to everything alike.

    Where M-steps lead to a likelihood of zero (a spline that falls somewhere), they
    are left out: the families' own starts.
    """
    k, n = problem.spec.k, problem.n_units
    equal = Memberships(np.broadcast_to(np.int16(-1), (1, n)), None, k, problem.spec.rows.allowed)
    theta = _fit_memberships(problem, equal, 1, steps=8)
    if not np.isfinite(log_likelihood(problem, theta)).all():
        theta = _fit_memberships(problem, equal, 1, steps=0)
    return theta[0]


def from_memberships(
    problem: Problem, memberships: Memberships, n_starts: int, steps: int = 2
) -> np.ndarray:
    """Parameters (R, D) after the first M-steps at given responsibilities, so many at most.

    Where these have likelihood zero (a linear predictor outside the link's
    range, say), the start is moved towards the pooled fit until it has not.
    """
    theta = _fit_memberships(problem, memberships, n_starts, steps)
    loglik = log_likelihood(problem, theta)
    (bad,) = (~np.isfinite(loglik)).nonzero()
    if len(bad):
        base = pooled(problem)
        for _ in range(30):
            theta[bad] = 0.5 * (np.nan_to_num(theta[bad]) + base)
            bad = bad[~np.isfinite(log_likelihood(problem, theta[bad]))]
            if not len(bad):
                break
    return theta


def _fit_memberships(problem: Problem, resp: Memberships, n_starts: int, steps: int) -> np.ndarray:
    spec = problem.spec
    theta = np.zeros((n_starts, spec.layout.size))
    working = {}
    for number, arrays in enumerate(problem.blocks):
        for group in arrays.groups:
            family = group.family
            if family.location is None:
                continue
            begin = family.starting(arrays.observed[group.key])
            links = {p.name: p.link for p in family.parameters}
            working[number, group.key] = rows = np.empty((len(family.locations), problem.n_rows))
            for row, name in zip(rows, family.locations, strict=True):
                row[:] = links[name].forward(np.asarray(begin[name]))
            for at, q in zip(group.dispersions, family.dispersions, strict=True):
                theta[:, at[at >= 0]] = links[q.name].forward(np.asarray(begin[q.name]))
    held = np.array(sorted(spec.held), dtype=int)
    values = np.array([spec.held[j] for j in held])
    theta[:, held] = values
    simple = problem.penalty is None and all(
        closed_scale(g.family) for arrays in problem.blocks for g in arrays.groups
    )
    steps = min(steps, 1) if simple else steps
    # Coefficients of the locations.
    fixed = held[_located(problem)[held]] if len(held) else held
    if not len(fixed) and (runner := engine(problem).runs) is not None:
        by_item = working_by_item(problem, working)
        size = max(1, MOST // (spec.k * problem.n_units))  # starts at once
        for a in range(0, n_starts, size):
            some = slice(a, a + size)
            given = resp(EVERY, starts=some)
            theta[some] = runner.first_steps(theta[some], given, by_item, steps, RESTING)
        return theta
    first = em_pass(problem, theta, responsibilities=resp, working=working)
    # The working response, less what held coefficients contribute to it.
    known = first.scoring[:, :, fixed] @ theta[0, fixed]
    begun = theta
    # Scales follow in the next step.
    theta = m_step(problem, theta, first._replace(score=first.score - known, squares={}))
    if not steps:  # dispersions as the families begin with them
        theta = np.where(_located(problem), theta, begun)
    theta[:, held] = values
    return _unguarded(problem, theta, steps, resp, least=0.0)


def _unguarded(
    problem: Problem, theta: np.ndarray, steps: int, resp: Responsibilities, least: float
) -> np.ndarray:
    """M-steps without halving; a start stops before one that would lead astray.

    That is one that leaves a component with less than the `least` mass, or one that loses the
    likelihood, or more than a factor e of it per unit.
    """
    for _ in range(steps):
        with np.errstate(all="ignore"):
            p = em_pass(problem, theta, responsibilities=resp)
            new = m_step(problem, theta, p)
        kept = np.isfinite(new).all(1) & (p.mass >= least).all(1)
        bound = p.loglik[kept] - p.mass[kept].sum(1)
        kept[kept] = log_likelihood(problem, new[kept]) >= bound
        moved = np.abs(new[kept] - theta[kept]).max(initial=0.0)
        theta[kept] = new[kept]
        if moved < RESTING:
            break
    return theta


def _located(problem: Problem) -> np.ndarray:
    """Which entries of theta (D,) are the locations' coefficients."""
    out = np.zeros(problem.spec.layout.size, bool)
    for arrays in problem.blocks:
        for slot in (slot for group in arrays.groups for slot in group.locations):
            for at in slot.at:
                out[np.asarray(at)] = True
    return out


def harden(resp: np.ndarray) -> np.ndarray:
    """Indicators of each unit's most probable component (R, S, units)."""
    k = resp.shape[1]
    return (resp.argmax(1)[:, None] == np.arange(k)[:, None]).astype(float)


def classify(problem: Problem, theta: np.ndarray, steps: int = CLASSIFICATION_STEPS) -> np.ndarray:
    """A short run of classification EM: the k-means of a mixture of regressions.

    A start stops before the step that would leave one of its components with
    less than one unit.
    """
    if (runner := engine(problem).runs) is not None:
        return runner.classify(theta, steps)
    return _unguarded(problem, theta, steps, lambda _, own: harden(own()), least=1.0)
