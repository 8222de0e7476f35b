"""Why a fit is not a plain success, in words."""

from __future__ import annotations

import numpy as np

from bayesmix.model.params import table_terms
from bayesmix.results.covariance import covariance, predictor_scales
from bayesmix.results.fitted import Fitted

__all__ = ["diagnose"]

VANISHED = 1e-9
# Linear predictors of this size mean probabilities of 0 or 1, or rates of 0 or infinity.
FAR = 8.0


def diagnose(fitted: Fitted) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Status of a fit that has ended, and why it is no plain success.

    Returns
    -------
    status : str
        One of the statuses of a point fit.
    reasons : tuple of (str, str)
        Kind and words; the kind is "degenerate", "boundary", "unidentified",
        "max_iter" or "reduced".
    """
    status, reasons = _end(fitted)
    if fitted.spec.k < fitted.k_requested:
        words = (
            f"min_weight removed {fitted.k_requested - fitted.spec.k} of {fitted.k_requested} "
            f"components; the fit has {fitted.spec.k}"
        )
        status = "reduced" if status == "converged" else status
        reasons = (*reasons, ("reduced", words))
    return status, reasons


def _end(fitted: Fitted) -> tuple[str, tuple[tuple[str, str], ...]]:
    end = fitted.status
    if end == "converged" and covariance(fitted).undetermined.any():
        return "boundary", (_unbounded(fitted),)
    if end == "converged":
        return "converged", ()
    if end == "degenerate":
        return "degenerate", (("degenerate", _degenerate_words(fitted)),)
    if end in ("boundary", "singular"):
        return "boundary", (_unbounded(fitted),)
    words = (
        f"the fit stopped after {fitted.iterations} iterations before it converged; try more "
        "starts=, a larger max_iter=, or a model with fewer parameters"
    )
    return "max_iter", (("max_iter", words),)


def _unbounded(fitted: Fitted) -> tuple[str, str]:
    """Parameters on their way to infinity, or not determined by the data."""
    at = np.flatnonzero(covariance(fitted).undetermined)
    names = _names(fitted, at)
    size = np.abs(fitted.theta / predictor_scales(fitted.problem))
    if not len(at) or (size[at] > FAR).any():
        reason = (
            f"the likelihood keeps rising towards infinite values of {names} (separation, or a "
            "limit of the family): their standard errors are infinite, the other estimates are the "
            "limits. A fixed effect, fewer terms or fewer components would bound them"
        )
        return "boundary", reason
    reason = (
        f"the likelihood is flat in {names}: the data do not determine them. Use fewer "
        "components or fewer terms"
    )
    return "unidentified", reason


def _names(fitted: Fitted, positions: np.ndarray) -> str:
    names = []
    layout = fitted.spec.layout
    terms = table_terms(layout)
    for at in positions:
        c = layout.coordinates[at]
        owner = (
            "all components"
            if len(c.components) == fitted.spec.k
            else (f"component {fitted.spec.components[c.components[0]]}")
        )
        term = terms.get(int(at), c.term)
        names.append(f"{term} ({owner})" if term == c.effect else f"{term} ({c.effect}, {owner})")
    return ", ".join(names) if names else "some parameters"


def _degenerate_words(fitted: Fitted) -> str:
    spec = fitted.spec
    gone = [spec.components[s] for s in np.flatnonzero(fitted.mixing < VANISHED)]
    if gone:
        remedy = "Use smaller k" if spec.prepared.events is None else "Leave the event out"
        names = ", ".join(map(str, gone))
        return f"component {names} has vanished: its weight is zero. {remedy}"
    return (
        "a component's scale has collapsed to zero, where the likelihood has no maximum: every "
        "start ended there. Use dispersion='fixed', fewer components, or more starts"
    )
