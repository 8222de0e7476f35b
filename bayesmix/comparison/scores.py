"""The criteria: which fits have them, their values, weights and words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bayesmix.comparison.stacking import stacking_weights
from bayesmix.errors import FitError


@dataclass(frozen=True)
class Criterion:
    """How a criterion is written and read.

    Parameters
    ----------
    title : str
    pointwise : bool
        Whether it is a sum over units of log predictive densities, larger being
        better; else it is a penalised -2 log-likelihood, smaller being better.
    weighted : bool
        Whether exp(-difference / 2) has a meaning as weight.
    of_draws : bool
        Whether only posteriors have it; it is then larger the better.
    better : str
        The scale, and which of its values are better.
    reading : tuple of (float, str)
        How differences below each limit are read.
    """

    title: str
    pointwise: bool = False
    weighted: bool = True
    of_draws: bool = False
    better: str = "smaller is better"
    reading: tuple[tuple[float, str], ...] = ()


ELPD, LOG = "elpd, larger is better", "log p(y), larger is better"
# Kass and Raftery's scale, which is that of twice the logarithm of a Bayes factor.
BIC_WORDS = (
    (2.0, "not worth more than a bare mention"),
    (6.0, "positive evidence against it"),
    (10.0, "strong evidence against it"),
    (np.inf, "very strong evidence against it"),
)
AIC_WORDS = (
    (2.0, "it has substantial support too"),
    (7.0, "it has considerably less support"),
    (np.inf, "it has essentially no support"),
)
HALVED = tuple((limit / 2, words) for limit, words in BIC_WORDS)
CRITERIA = {
    "loo": Criterion("LOO", pointwise=True, of_draws=True, better=ELPD),
    "waic": Criterion("WAIC", pointwise=True, of_draws=True, better=ELPD),
    "evidence": Criterion("evidence", of_draws=True, better=LOG, reading=HALVED),
    "bic": Criterion("BIC", reading=BIC_WORDS),
    "aic": Criterion("AIC", reading=AIC_WORDS),
    "icl": Criterion("ICL", weighted=False),
    "bic_units": Criterion("BIC by units", reading=BIC_WORDS),
}


class Score(NamedTuple):
    """One fit by one criterion.

    `parameters` is df, or the effective number; `by_unit` the terms of the units that
    count; `sound` is false where the value means nothing.
    """

    value: float
    se: float
    parameters: float
    warning: str
    sound: bool
    by_unit: np.ndarray | None = None


def is_posterior(fit: Any) -> bool:
    """Whether a fit has draws, so that `loo()` and `waic()` answer."""
    return hasattr(fit, "loo") and hasattr(fit, "waic")


def available(fits: Mapping[str, Any], by: str) -> list[str]:
    """The criteria besides this one that every fit has without further fitting."""
    names = [name for name, criterion in CRITERIA.items() if not criterion.of_draws]
    names = [n for n in names if all(is_posterior(f) or hasattr(f, n) for f in fits.values())]
    if all(map(is_posterior, fits.values())) and by == "loo":
        names.insert(0, "waic")
    return [name for name in names if name != by]


def score(name: str, fit: Any, by: str) -> Score:
    """The value of a criterion for one fit.

    Raises
    ------
    FitError
        If a criterion of posterior draws is requested for a point fit.
    """
    if CRITERIA[by].of_draws:
        if not is_posterior(fit):
            raise FitError(
                f"compare(by={by!r}) needs posterior draws, but {name!r} is a point fit "
                f"({getattr(fit, 'method', type(fit).__name__)}); use by='bic', or fit it with "
                "method='nuts'"
            )
        return _predictive(fit, by) if CRITERIA[by].pointwise else _evidence(fit)
    point = fit.point() if is_posterior(fit) else fit
    warning = _point_warning(fit, point)
    value = float(getattr(point, by))
    sound = bool(np.isfinite(value)) and getattr(point, "status", "") != "degenerate"
    return Score(value, float("nan"), point.df, warning, sound)


def _point_warning(fit: Any, point: Any) -> str:
    if is_posterior(fit):
        return "at the posterior's point(), not at the maximum of the likelihood"
    if getattr(point, "method", "") == "map":
        return "at the posterior mode, below the maximum of the likelihood unless priors are flat"
    status = getattr(point, "status", "converged")
    if status == "converged":
        return ""
    reasons = "; ".join(getattr(point, "reasons", ()))
    return f"{status}: {reasons}" if reasons else status


def _evidence(fit: Any) -> Score:
    """The log evidence; a fit without one cannot be ranked, and says why."""
    try:
        found = fit.evidence()
    except FitError as cause:
        return Score(float("nan"), float("nan"), fit.df, str(cause), sound=False)
    return Score(found.log_evidence, found.error, fit.df, "", sound=True)


def _predictive(fit: Any, by: str) -> Score:
    result = fit.loo() if by == "loo" else fit.waic()
    sound = bool(np.isfinite(result.elpd))
    numbers = result.elpd, result.se, result.parameters
    return Score(*numbers, result.warning, sound, result.by_unit)


def weights(scores: list[Score], by: str) -> np.ndarray | None:
    """Weights of the sound fits, or None where the criterion gives none.

    LOO and WAIC: stacking, the weights of the mixture of the fits' predictive
    densities that predicts the units best.  BIC: exp(-difference / 2), posterior
    probabilities of the models to the order of BIC; AIC: Akaike's weights.

    References
    ----------
    Yao, Vehtari, Simpson and Gelman (2018), Bayesian Analysis 13, 917-1007.
    Raftery (1995), Sociological Methodology 25, 111-163.  Burnham and Anderson
    (2002), Model selection and multimodel inference, section 2.9.  Of the evidence they are the
    posterior probabilities of models that are equally likely beforehand.
    """
    if not CRITERIA[by].weighted or not all(s.sound for s in scores):
        return None
    if CRITERIA[by].pointwise:
        return stacking_weights(
            np.column_stack([s.by_unit for s in scores if s.by_unit is not None])
        )
    values = np.array([s.value for s in scores])
    if CRITERIA[by].of_draws:
        values = -2 * values
    out = np.exp(-(values - values.min()) / 2)
    return out / out.sum()
