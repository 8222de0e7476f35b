"""Why a fit is not successful."""

from __future__ import annotations

import numpy as np

from bayesmix.model.params import parameter_link, table_terms
from bayesmix.priors import range_ends
from bayesmix.results.covariance import FAR, covariance, left_units, shared_zeros
from bayesmix.results.fitted import Fitted
from bayesmix.results.spurious import POINT_MASS, narrowness, tied_words

# Starts that should have reached the best end, of ten or more.
ENOUGH = 3

VANISHED = 1e-9
# Of this size they are on their way to infinity, whether or not the steps have come to rest.
AWAY = 50.0


def diagnose(fitted: Fitted) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Status of a fit that has ended, and why it is not successful.

    Returns
    -------
    status : str
        One of the statuses of a point fit.
    reasons : tuple of (str, str)
        Kind and words; the kind is "degenerate", "spurious", "boundary", "unidentified",
        "max_iter", "reduced" or "starts".
    """
    status, reasons = _end(fitted)
    if fitted.spec.k < fitted.k_requested:
        words = (
            f"min_weight removed {fitted.k_requested - fitted.spec.k} of {fitted.k_requested} "
            f"components; the fit has {fitted.spec.k}"
        )
        status = "reduced" if status == "converged" else status
        reasons = (*reasons, ("reduced", words))
    if status in ("converged", "boundary", "reduced") and seldom_reached(fitted):
        n = len(fitted.ends.loglik)
        words = (
            f"only {fitted.ends.agreeing} of {n} starts reached the highest log-likelihood: a "
            f"higher one may have been missed. Use more of them, such as starts={5 * n}, and "
            "compare seeds"
        )
        reasons = (*reasons, ("starts", words))
    return status, reasons


def _end(fitted: Fitted) -> tuple[str, tuple[tuple[str, str], ...]]:
    end = fitted.status
    if end == "converged" and covariance(fitted).undetermined.any():
        return "boundary", (_unbounded(fitted),)
    if end == "converged":
        return "converged", ()
    if end in LOST:
        return end, ((end, LOST[end](fitted)),)
    if end in ("boundary", "singular") or (end == "max_iter" and _runs_away(fitted)):
        return "boundary", (_unbounded(fitted),)
    if end == "range":
        assert fitted.penalty is not None
        ends = range_ends(fitted.penalty.model, fitted.theta)
        # Parameters that the user holds may be near an end too, but not at the very same value.
        at = np.array(sorted(j for j in ends if fitted.spec.held.get(j) == ends[j]))
        reason = (
            f"the mode is at the end of the range of the prior of {_names(fitted, at)}, which is "
            "held there: standard errors are those of the other parameters. A wider range, or a "
            "prior without ends, would let it go where the data are"
        )
        return "boundary", (("boundary", reason),)
    words = (
        f"the fit stopped after {fitted.iterations} iterations before it converged; try more "
        "starts=, a larger max_iter=, or a model with fewer parameters"
    )
    return "max_iter", (("max_iter", words),)


def _runs_away(fitted: Fitted) -> bool:
    """Whether a start that ran out of steps was going to infinity."""
    reach = _reach(fitted)
    return bool((reach > AWAY).any() and (reach[covariance(fitted).undetermined] > AWAY).any())


def seldom_reached(fitted: Fitted) -> bool:
    """Whether so few of several starts have seen the best end that a better one may be missed.

    Stochastic EM ends nowhere twice.
    """
    n = len(fitted.ends.loglik)
    few = ENOUGH if n >= 10 else 2
    return fitted.method != "sem" and n > 2 and fitted.ends.agreeing < few


def _unbounded(fitted: Fitted) -> tuple[str, str]:
    """Parameters on their way to infinity, or not determined by the data."""
    at = np.flatnonzero(covariance(fitted).undetermined)
    names = _names(fitted, at)
    if len(at) and all(fitted.spec.layout.coordinates[j].effect == "random" for j in at):
        reason = (
            "the covariance of the random effects is singular at the maximum (a variance of zero, "
            f"or a correlation of one): {names} go to a limit. Take a term out of (... | id), use "
            "random_covariance='fixed', or fewer components"
        )
        return "boundary", reason
    if not len(at) or ((_reach(fitted) > FAR) & ~shared_zeros(fitted))[at].any():
        reason = (
            f"the likelihood keeps rising towards {_towards(fitted, at)} (separation, or a limit "
            "of the family): their standard errors are infinite, the other estimates are the "
            "limits. A fixed effect, fewer terms or fewer components would bound them"
        )
        return "boundary", reason
    reason = (
        f"the likelihood is flat in {names}: the data do not determine them. Use fewer "
        "components or fewer terms"
    )
    return "unidentified", reason


def _towards(fitted: Fitted, at: np.ndarray) -> str:
    """Where parameters go, on their natural scales."""
    ends: dict[int, float] = {}
    for block in fitted.spec.layout.blocks:
        for number, predictor in block.constants():
            link = parameter_link(block, number)
            for j in set(predictor.index[predictor.index >= 0].tolist()):
                ends[j] = link.upper if fitted.standard_theta[j] > 0 else link.lower
    finite = [j for j in at if np.isfinite(ends.get(j, np.inf)) and _reach(fitted)[j] > FAR]
    others = np.array([j for j in at if j not in finite], int)
    infinite = [f"infinite values of {_names(fitted, others)}"] if len(others) or not finite else []
    found = [f"{_names(fitted, np.array([j]))} = {ends[j]:g}" for j in finite]
    return " and ".join([*infinite, *found])


def _reach(fitted: Fitted) -> np.ndarray:
    """How far each parameter moves a linear predictor at the data, (D,), in standard units."""
    problem = fitted.standard
    theta = fitted.standard_theta
    out = np.abs(theta / left_units(problem))
    for arrays in problem.blocks:
        steps = arrays.layout.steps
        out[steps] = np.maximum(out[steps], np.exp(np.minimum(theta[steps], 700.0)))
        most = np.abs(arrays.matrix).max(0, initial=0.0)
        for predictor in arrays.layout.linear():
            has = predictor.index >= 0
            out[predictor.index[has]] *= np.broadcast_to(most, has.shape)[has]
    if problem.concomitant is not None:
        alpha = problem.spec.layout.alpha
        most = np.abs(problem.concomitant).max(0, initial=0.0)
        out[alpha[alpha >= 0]] *= np.broadcast_to(most, alpha.shape)[alpha >= 0]
    return out


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
        names = ", ".join(map(str, gone))
        return f"component {names} has vanished: its weight is zero. {spec.kind.fewer}"
    tied = tied_words(fitted.problem, fitted.theta, np.arange(spec.k))
    return (
        f"a component's scale has collapsed to zero{tied}, where the likelihood has no maximum: "
        f"every start ended there. Use {POINT_MASS if tied else ''}dispersion='fixed', fewer "
        "components, or more starts"
    )


def _spurious_words(fitted: Fitted) -> str:
    gain = narrowness(fitted.problem, fitted.theta)
    at = np.flatnonzero(gain > 0)
    units = fitted.mixing * fitted.spec.n_units
    tied = tied_words(fitted.problem, fitted.theta, at)
    found = "; ".join(
        f"component {fitted.spec.components[s]} fits about {units[s]:.3g} of "
        f"{fitted.spec.rows.n_units} units and is {np.exp(gain[s] + 0.5):.2g} times narrower than "
        "the others"
        for s in at
    )
    return (
        f"{found}{tied}: such a maximum comes from a few responses that happen "
        "to be close, and no start ended at a regular one. Use dispersion='fixed', fewer "
        "components, or more starts="
    )


# Ends that are no maximum, and why.
LOST = {"degenerate": _degenerate_words, "spurious": _spurious_words}
