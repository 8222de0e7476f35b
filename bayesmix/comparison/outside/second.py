r"""The second step: its maximum, and a covariance that carries the first step's uncertainty.

Every unit adds an objective l_u(beta; theta, D), with theta the first step's parameters and D
the classification errors.  The estimates solve estimating equations one after the other, so
that a unit's influence on beta is

    H^-1 (s_u + (d S / d theta) phi_u + (d S / d D) delta_u) ,

with s_u its score and S the sum, H = -dS/dbeta, phi_u its influence on theta, and delta_u that
on D at fixed theta; the covariance is the sum of the outer products (Newey and McFadden 1994,
Handbook of Econometrics IV, section 6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesmix.comparison.outside.assigned import FirstStep
from bayesmix.errors import FitError
from bayesmix.likelihood.information import unit_scores
from bayesmix.model import MixtureSpec
from bayesmix.results.covariance import covariance

# Step of differences in beta; of the first step's parameters, in standard errors; of errors.
STEP, STEP_FIRST, STEP_ERRORS = 1e-5, 1e-3, 1e-6
# Smallest curvature of a regular maximum, per unit.
FLAT = 1e-9
NEWTON_STEPS = 50
# Gains of the objective at which Newton's steps end: at once, and where they shrink no more.
SMALL, ENOUGH = 1e-18, 1e-8


def differences(
    values_at: Callable[[np.ndarray], np.ndarray], place: np.ndarray, along: np.ndarray, h: float
) -> np.ndarray:
    """Derivatives of values along some directions, by central differences of step h."""
    ends = ((values_at(place + h * d), values_at(place - h * d)) for d in along)
    return np.array([(up - down) / (2 * h) for up, down in ends])


@dataclass(frozen=True)
class Second:
    """The second step before it is solved.

    Parameters
    ----------
    name : str
        "relate" or "distal".
    spec : MixtureSpec
        The model that the second step completes.
    log_terms : callable
        From its theta (D,) to log P(class | covariates) + log f(outcome | class), (U, S).
    weight : ndarray, shape (U,)
        Case weights.
    start : ndarray, shape (m,)
        Of beta, in coordinates in which a change of one moves a linear predictor by about one.
    at : ndarray of int, shape (m,)
        Entries of theta that beta gives, theta[at] = basis beta.
    basis : ndarray, shape (m, m)
    ours, theirs : ndarray of int
        Entries of theta that come from the first step, and their places there.
    """

    name: str
    spec: MixtureSpec
    log_terms: Callable[[np.ndarray], np.ndarray]
    weight: np.ndarray
    start: np.ndarray
    at: np.ndarray
    basis: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray

    def theta(self, beta: np.ndarray, first: np.ndarray | None = None) -> np.ndarray:
        """All parameters (D,), from beta and those of the first step, where these matter."""
        theta = np.zeros(self.spec.layout.size)
        if first is not None:
            theta[self.ours] = first[self.theirs]
        theta[self.at] = self.basis @ beta
        return theta

    def log_joint(self, beta: np.ndarray) -> np.ndarray:
        """The log terms (U, S)."""
        return self.log_terms(self.theta(beta))

    def slopes(self, beta: np.ndarray) -> np.ndarray:
        """Derivatives of the log terms, (m, U, S)."""
        return differences(self.log_joint, beta, np.eye(len(beta)), STEP)

    @property
    def of_copies(self) -> np.ndarray:
        """Factors (U, 1) of weighted sums whose outer products then are those of all copies."""
        counted = np.where(self.weight > 0, self.weight, np.inf)
        return 1.0 / np.sqrt(counted)[:, None]

    def unit_scores(self, step: FirstStep, beta: np.ndarray) -> np.ndarray:
        """Scores of the units, weighted, (U, m)."""
        pull = step.pull(self.log_joint(beta)) * self.weight[:, None]
        return np.einsum("us,mus->um", pull, self.slopes(beta))

    def information(self, step: FirstStep, beta: np.ndarray) -> np.ndarray:
        """Minus the derivatives of the summed score, (m, m), by differences."""

        def score(at: np.ndarray) -> np.ndarray:
            return self.unit_scores(step, at).sum(0)

        matrix = differences(score, beta, np.eye(len(beta)), 10 * STEP)
        return -(matrix + matrix.T) / 2


def maximum(
    second: Second, step: FirstStep, start: np.ndarray, *, near: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Where the objective is largest, and the information (m, m) there.

    Parameters
    ----------
    second : Second
    step : FirstStep
    start : ndarray, shape (m,)
    near : bool
        Whether Newton's method can begin at the start.

    Raises
    ------
    FitError
        If there is no regular maximum.
    """
    from scipy import optimize

    count = second.weight.sum()

    def minus(beta: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):
            value = float(step.objective(second.log_joint(beta)) @ second.weight)
            slope = second.unit_scores(step, beta).sum(0)
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            return 1e300, np.zeros(len(beta))
        return -value / count, -slope / count

    beta = start
    if not near:
        beta = optimize.minimize(minus, start, jac=True, method="BFGS", options={"gtol": 1e-7}).x
    before = np.inf
    for _ in range(NEWTON_STEPS):
        with np.errstate(all="ignore"):
            information = second.information(step, beta)
            score = second.unit_scores(step, beta).sum(0)
        if not np.isfinite(information).all():
            break
        if np.linalg.eigvalsh(information).min() <= FLAT * count:
            break
        move = np.linalg.solve(information, score)
        gain = float(score @ move)
        if gain < SMALL or (gain < ENOUGH and gain >= before):
            return beta, information
        beta, before = beta + move, gain
    raise FitError(
        f"method={step.method!r} has no regular maximum in the second step: a class is predicted "
        "perfectly, has too few units, or (with bch, whose weights may be negative) would need a "
        "negative variance. Use method='two-step' or 'ml', dispersion='fixed' for an outcome, or "
        "fewer covariates"
    )


def influences(
    second: Second, step: FirstStep, beta: np.ndarray, information: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Influences of the units on beta, (U, m), and on the first step's parameters, (U, D).

    A unit of weight w counts as w copies: its influence is that of one, times the root of w.
    """
    joint, slopes, fitted = second.log_joint(beta), second.slopes(beta), step.fitted
    root = covariance(fitted).root
    if np.isnan(root).any():
        raise FitError(
            f"the first step (status {fitted.status!r}) has no covariance, which the second step's "
            "standard errors need; fit a model that its data determine, or use fit('map')"
        )

    def summed(pull: np.ndarray) -> np.ndarray:
        return np.einsum("us,mus->m", pull * second.weight[:, None], slopes)

    def of_first(theta: np.ndarray) -> np.ndarray:
        return summed(step.at(theta).pull(joint))

    def of_errors(errors: np.ndarray) -> np.ndarray:
        return summed(step.pull(joint, errors))

    along = differences(of_first, fitted.theta, root.T, STEP_FIRST)  # (f, m)
    standardised = unit_scores(fitted.problem, fitted.theta) * second.weight[:, None] @ root
    scores = np.einsum("us,mus->um", step.pull(joint) * second.weight[:, None], slopes)
    total = scores + standardised @ along
    if step.method != "two-step":
        k = len(step.errors)
        moves = differences(of_errors, step.errors, np.eye(k * k).reshape(-1, k, k), STEP_ERRORS)
        counted = step.share * second.weight[:, None]
        share = counted / np.maximum(counted.sum(0), 1e-300)
        for (t, s), move in zip(np.ndindex(k, k), moves, strict=True):
            total += np.outer(share[:, t] * (step.assigned[:, s] - step.errors[t, s]), move)
    total, standardised = total * second.of_copies, standardised * second.of_copies
    return np.linalg.solve(information, total.T).T, standardised @ root.T
