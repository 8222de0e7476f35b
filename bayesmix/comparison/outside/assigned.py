"""The first step of a three-step analysis: units assigned to classes, and how wrong that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesmix.arrays.sums import log_sum_exp, shares
from bayesmix.errors import FitError
from bayesmix.likelihood import unit_terms
from bayesmix.results.fitted import Fitted

ASSIGNMENTS = ("modal", "proportional")
METHODS = ("ml", "bch", "two-step")


@dataclass(frozen=True)
class FirstStep:
    """What the second step takes from the first, at one value of its parameters.

    Parameters
    ----------
    fitted : Fitted
        The first step.
    method : str
        "ml", "bch" or "two-step".
    assign : str or None
        "modal" or "proportional"; None with "two-step", which assigns no unit.
    share : ndarray, shape (U, S)
        Memberships.
    assigned : ndarray, shape (U, S)
        Assigned classes: ones and zeros, or memberships.
    log_density : ndarray, shape (U, S)
        Log densities of the units in each class, up to a constant of the unit.
    errors : ndarray, shape (S, S)
        P(assigned s | class t), at [t, s]: sum_u r_ut w_us / sum_u r_ut.
    """

    fitted: Fitted
    method: str
    assign: str | None
    share: np.ndarray
    assigned: np.ndarray
    log_density: np.ndarray
    errors: np.ndarray

    def at(self, theta: np.ndarray) -> FirstStep:
        """The same at other parameters (D,), with the same units in each class."""
        return first_step(self.fitted, theta, self.method, self.assign, self.assigned.argmax(1))

    def pull(self, log_joint: np.ndarray, errors: np.ndarray | None = None) -> np.ndarray:
        """Derivatives of every unit's objective in log_joint, (U, S).

        Parameters
        ----------
        log_joint : ndarray, shape (U, S)
            log P(class | covariates) + log f(outcome | class), of the second step.
        errors : ndarray, optional
            Others than those of the assignments.
        """
        errors = self.errors if errors is None else errors
        if self.method == "bch":
            return self.assigned @ np.linalg.inv(errors)
        if self.method == "two-step":
            return shares(log_joint + self.log_density)
        terms = np.exp(log_joint - log_joint.max(1, keepdims=True))  # (U, t)
        return terms * ((self.assigned / np.maximum(terms @ errors, 1e-300)) @ errors.T)

    def objective(self, log_joint: np.ndarray) -> np.ndarray:
        """Every unit's objective, (U,)."""
        if self.method == "bch":
            return (self.pull(log_joint) * log_joint).sum(1)
        if self.method == "two-step":
            return log_sum_exp(log_joint + self.log_density)
        top = log_joint.max(1, keepdims=True)
        seen = np.exp(log_joint - top) @ self.errors
        logs = np.log(np.maximum(seen, 1e-300)) + top
        return (self.assigned * logs).sum(1)


def first_step(
    fitted: Fitted,
    theta: np.ndarray,
    method: str,
    assign: str | None,
    chosen: np.ndarray | None = None,
) -> FirstStep:
    """Assignments, their errors and densities at parameters theta (D,) of the first step.

    Parameters
    ----------
    fitted : Fitted
    theta : ndarray, shape (D,)
    method, assign : str
    chosen : ndarray of int, shape (U,), optional
        Modal classes to keep, where theta is moved for a derivative.
    """
    share = unit_terms(fitted.problem, theta)[1]
    weights = np.exp(fitted.spec.weights.log_weights(theta, fitted.spec.rows.concomitant)).T
    with np.errstate(divide="ignore"):
        log_density = np.log(share) - np.log(weights)
    assigned = share
    if assign == "modal":
        chosen = share.argmax(1) if chosen is None else chosen
        assigned = np.eye(share.shape[1])[chosen]
    counted = share * fitted.spec.rows.unit_weights[:, None]
    errors = (counted.T @ assigned) / np.maximum(counted.sum(0)[:, None], 1e-300)
    return FirstStep(fitted, method, assign, share, assigned, log_density, errors)


def check_errors(step: FirstStep, names: tuple) -> None:
    """Refuse classes that no unit is assigned to, or that cannot be distinguished.

    Raises
    ------
    FitError
    """
    empty = [str(n) for n, column in zip(names, step.assigned.T, strict=True) if not column.any()]
    if empty and step.method != "two-step":
        raise FitError(
            f"no unit is assigned to class {', '.join(empty)}; use assign='proportional' or "
            "method='two-step'"
        )
    if step.method == "bch" and np.linalg.cond(step.errors) > 1e6:
        raise FitError(
            "the classes are too alike for method='bch': their classification errors have no "
            "inverse; use method='two-step'"
        )
