"""The three verbs: predictions, comparisons, slopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import door
from bayesmix._arguments.classes import OutsideFit, OutsidePosterior, PointFit, Posterior
from bayesmix.comparison.effects.frames import Contrast, contrasts, data_of, slope_contrasts
from bayesmix.comparison.effects.quantities import OF_TIMES, PARTS, Quantity, quantity, split
from bayesmix.comparison.effects.table import Averages, Labels, table
from bayesmix.errors import FitError, warn
from bayesmix.model import MixtureSpec
from bayesmix.model.standard import centred
from bayesmix.results.uncertainty import Source


@door(error=FitError)
def predictions(
    fit: PointFit | Posterior | OutsideFit | OutsidePosterior,
    newdata: pd.DataFrame | Mapping[str, Any] | None = None,
    by: bool | str | Sequence[str] | None = None,
    *,
    what: str = "mean",
    response: str | None = None,
    time: float | Sequence[float] | None = None,
    q: float | Sequence[float] | None = None,
    ci: float = 0.95,
    hypothesis: str | Sequence[str] | None = None,
    kind: str = "observed",
    cluster: str | Sequence[Any] | None = None,
) -> pd.DataFrame:
    r"""Predict rows, or averages over rows, with standard errors.

    .. math:: \mu(x, z) = \sum_s \pi_s(z) \, \mu_s(x)

    Standard errors use the delta method for a point fit, and the draws for a posterior.

    Parameters
    ----------
    fit : PointFit or Posterior
    newdata : DataFrame or dict, optional
        Other rows than the training rows; no response is needed.  A dict of values by variable
        makes one row for each combination, with other variables at their means or their most
        frequent values.
    by : True, str or list of str, optional
        True averages over all rows; columns average within the groups that they make.
        Training rows count with their case weights.  A response that belongs to the unit
        (``per="unit"``) counts once for each unit.
    what : str
        "mean", "link" (the linear predictor of the location) or "weight".  For times also
        "survival", P(T > time), "hazard", "restricted_mean_time", E min(T, time), or
        "quantile_time", the time by which a share q has had the event.  Averages are taken
        over the rows' own values; for the quantile of an averaged survival curve use
        ``fit.quantile_time(by=)``.
    response : str, optional
        One of several responses; by default all, named in a column "response".  If a mean
        consists of several numbers, such as probabilities of levels, a column "output" names
        them.
    time, q : float or sequence of float, optional
        For quantities of times; several values make a column "time" or "q" in the result.
    ci : float
        Coverage of the intervals.  Those of positive means are symmetric on the log scale,
        those of probabilities on the logit scale, those of survival on the log-log scale.
    hypothesis : str or list of str, optional
        Arithmetic with the rows of the result, b1, b2, ...: ``"b1 = b2"``.  Or "pairwise",
        "reference" or "sequential": differences between components.
    kind, cluster
        For a point fit: which covariance, as in `PointFit.covariance`.

    Returns
    -------
    DataFrame
        Columns term, contrast (both missing here), part ("total"), component (missing in
        marginal rows), estimate, se, lower, upper; columns of `by` come first.  Without `by`
        the index has the labels of the rows, each once for every component and once for the
        marginal.  With a hypothesis: hypothesis, estimate, se, lower, upper, and z and p_value;
        a posterior has probability instead, that the estimate is above zero.

    Raises
    ------
    FitError, DataError
        If an argument is unknown or does not apply to the model, or the new data lack a column
        or level.

    References
    ----------
    Arel-Bundock, Greifer and Heiss (2024), Journal of Statistical Software 111(9): the verbs.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    >>> fit = spec.fit("em", seed=1)
    >>> at = bmx.predictions(fit, {"Length": [300, 600]})
    >>> at[at["component"].isna()]["estimate"].round(2).tolist()
    [5.15, 8.97]
    """
    spec = fit.source.spec
    wanted = quantity(spec, what, response, time, q)
    data, weight = data_of(spec, newdata)
    turned, to_turned = centred(spec)
    given = spec.apply(None if newdata is None else data, response=False, weights=wanted.weighted)
    rows = turned(given)

    def at(theta: np.ndarray) -> np.ndarray:
        point = wanted.values(spec, rows, to_turned(theta))
        if not wanted.marginal:
            return point.values
        total = wanted.total(point.weights, point)
        return np.concatenate([total[..., None], point.values], -1)

    lead = ("total",) if wanted.marginal else ()
    labels = _labels(spec, wanted, [(pd.NA, pd.NA)], lead)
    averages = Averages.of(data, weight * wanted.counted(spec, rows), by)
    options: dict[str, Any] = {"ci": ci, "hypothesis": hypothesis, "kind": kind, "cluster": cluster}
    return table(
        fit.source, lambda theta: at(theta)[None], labels, averages, scale=wanted.scale, **options
    )


@door(error=FitError)
def comparisons(
    fit: PointFit | Posterior | OutsideFit | OutsidePosterior,
    variables: str | Sequence[str] | Mapping[str, Any],
    newdata: pd.DataFrame | Mapping[str, Any] | None = None,
    by: bool | str | Sequence[str] | None = None,
    *,
    what: str = "mean",
    response: str | None = None,
    time: float | Sequence[float] | None = None,
    q: float | Sequence[float] | None = None,
    ci: float = 0.95,
    hypothesis: str | Sequence[str] | None = None,
    kind: str = "observed",
    cluster: str | Sequence[Any] | None = None,
) -> pd.DataFrame:
    r"""Compare predictions at two values of a variable, everything else being equal.

    In a mixture with concomitants, a variable acts on the mean in two ways.  The total is split
    into these:

    .. math::

       \Delta \sum_s \pi_s \mu_s
         = \sum_s \bar\pi_s \, \Delta\mu_s + \sum_s \bar\mu_s \, \Delta\pi_s ,

    the part through the components (with weights averaged over both ends) and the part through
    the weights (with means averaged likewise).

    Parameters
    ----------
    fit : PointFit or Posterior
    variables : dict, str or list of str
        ``{"x": (0, 1)}``: the prediction at 1 minus that at 0; further values are compared with
        the first.  ``{"x": 10}`` adds 10 to every row's value; "sd", "iqr" and "minmax" compare
        values that far apart.  A name alone adds 1, or compares each level of a factor with
        the first.
    newdata, by, what, response, time, q, ci, hypothesis, kind, cluster
        As for `predictions`.

    Returns
    -------
    DataFrame
        Columns term, contrast, part, component, estimate, se, lower, upper, as in
        `predictions`.  In marginal rows, `part` is "total", "components" or "weights"; the last
        two add up to the first.  Rows of a component have the difference of its means.

    Raises
    ------
    FitError, DataError
        As for `predictions`.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("patent")
    >>> spec = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3, concomitant="~ RDS")
    >>> fit = spec.fit("em", seed=1)
    >>> effect = bmx.comparisons(fit, {"lgRD": (0, 1)}, by=True)
    >>> effect["part"].tolist()
    ['total', 'components', 'weights', 'total', 'total', 'total']
    """
    wanted = quantity(fit.source.spec, what, response, time, q)
    options: dict[str, Any] = {"ci": ci, "hypothesis": hypothesis, "kind": kind, "cluster": cluster}
    return _differences(fit.source, wanted, contrasts, variables, newdata, by, options)


@door(error=FitError)
def slopes(
    fit: PointFit | Posterior | OutsideFit | OutsidePosterior,
    variables: str | Sequence[str],
    newdata: pd.DataFrame | Mapping[str, Any] | None = None,
    by: bool | str | Sequence[str] | None = None,
    *,
    what: str = "mean",
    response: str | None = None,
    time: float | Sequence[float] | None = None,
    q: float | Sequence[float] | None = None,
    ci: float = 0.95,
    hypothesis: str | Sequence[str] | None = None,
    kind: str = "observed",
    cluster: str | Sequence[Any] | None = None,
) -> pd.DataFrame:
    r"""Slopes of predictions in a numeric variable, for each row or on average.

    .. math::

       \frac{\partial}{\partial x} \sum_s \pi_s \mu_s
         = \sum_s \pi_s \frac{\partial \mu_s}{\partial x}
         + \sum_s \mu_s \frac{\partial \pi_s}{\partial x}

    Parameters
    ----------
    fit : PointFit or Posterior
    variables : str or list of str
        Numeric variables of the model.
    newdata, by, what, response, time, q, ci, hypothesis, kind, cluster
        As for `predictions`.

    Returns
    -------
    DataFrame
        As for `comparisons`.

    Raises
    ------
    FitError, DataError
        As for `predictions`; also if a variable is not numeric.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("patent")
    >>> spec = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3, concomitant="~ RDS")
    >>> fit = spec.fit("em", seed=1)
    >>> slope = bmx.slopes(fit, "RDS", by=True).set_index("part")["estimate"]
    >>> float(slope["components"])  # RDS is not a variable of the components
    0.0
    """
    wanted = quantity(fit.source.spec, what, response, time, q)
    options: dict[str, Any] = {"ci": ci, "hypothesis": hypothesis, "kind": kind, "cluster": cluster}
    return _differences(fit.source, wanted, slope_contrasts, variables, newdata, by, options)


def _differences(
    source: Source,
    wanted: Quantity,
    contrasts_of: Callable[[MixtureSpec, pd.DataFrame, Any], list[Contrast]],
    variables: Any,
    newdata: Any,
    by: Any,
    options: Mapping[str, Any],
) -> pd.DataFrame:
    spec = source.spec
    data, weight = data_of(spec, newdata)
    found = contrasts_of(spec, data, variables)
    turned, to_turned = centred(spec)
    pairs = [
        tuple(
            turned(spec.apply(f, response=False, weights=wanted.weighted)) for f in (c.high, c.low)
        )
        for c in found
    ]

    if found:
        weight = weight * wanted.counted(spec, pairs[0][0])

    infinite = False

    def at(theta: np.ndarray) -> np.ndarray:
        nonlocal infinite
        out = []
        for contrast, rows in zip(found, pairs, strict=True):
            high, low = (wanted.values(spec, some, to_turned(theta)) for some in rows)
            infinite |= bool(np.isinf(high.values).any() or np.isinf(low.values).any())
            out.append(split(wanted, high, low) / np.reshape(contrast.distance, (-1, 1)))
        return np.array(out)

    lead = PARTS if wanted.marginal else ()
    labels = _labels(spec, wanted, [(c.term, c.label) for c in found], lead)
    averages = Averages.of(data, weight, by)
    out = table(source, at, labels, averages, scale="identity", **options)
    if infinite and wanted.what == "mean" and out["estimate"].isna().any():
        warn(
            "infinite mean",
            "some means are infinite (a family with heavy tails, such as the log-logistic with a "
            "shape of 1 or less), and differences of them unknown. Ask for medians, "
            "what='quantile_time', q=0.5, or for restricted means, what='restricted_mean_time', "
            "time=...",
        )
    return out


def _labels(
    spec: MixtureSpec, q: Quantity, terms: list[tuple[Any, Any]], lead: tuple[str, ...]
) -> Labels:
    cells: list[tuple[str, Any]] = [(part, None) for part in lead]
    cells += [("total", component) for component in spec.components]
    return Labels(tuple(terms), q.cells, tuple(cells), OF_TIMES.get(q.what, "output"))
