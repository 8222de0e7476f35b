"""Default priors: weakly informative, scaled to the data."""

from __future__ import annotations

import numpy as np

from bayesmix.distributions import Prior
from bayesmix.families.links import Link, get_link
from bayesmix.model import BlockRows, MixtureSpec
from bayesmix.model.layout import BlockLayout
from bayesmix.model.params import dispersion_link
from bayesmix.priors.log_density import PriorModel

__all__ = [
    "as_copies",
    "column_spread",
    "default_priors",
    "row_weight",
    "weighted_mean",
    "weighted_sd",
]

# Values farther from the median than so many robust standard deviations are moved there.
REACH = 3.0
ROBUST = 1.4826
# Copies of weighted rows that are made where a family looks at its response.
MOST_COPIES = 100_000


def row_weight(weight: np.ndarray | None, codes: np.ndarray) -> np.ndarray | None:
    """Case weights of rows (n,) from those of units (U,) and the unit of each row."""
    return None if weight is None else weight[codes]


def weighted_mean(x: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Means over the first axis."""
    return np.average(x, axis=0, weights=weight)


def weighted_sd(x: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Standard deviations over the first axis."""
    return np.sqrt(weighted_mean(np.square(x - weighted_mean(x, weight)), weight))


def column_spread(matrix: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Standard deviations of columns without the pull of outliers, (p,).

    Values farther than three robust standard deviations (1.4826 times the median
    absolute deviation) from a column's median are moved to there first.  Columns with
    one value in at least half of the rows, such as zero-one ones, stay as they are.

    Parameters
    ----------
    matrix : ndarray, shape (n, p)
    weight : ndarray, shape (n,), or None
    """
    clipped = np.array(matrix, float)
    for j, x in enumerate(matrix.T):
        middle = _median(x, weight)
        reach = REACH * ROBUST * _median(np.abs(x - middle), weight)
        if reach > 0:
            clipped[:, j] = np.clip(x, middle - reach, middle + reach)
    return weighted_sd(clipped, weight)


def _median(x: np.ndarray, weight: np.ndarray | None) -> float:
    if weight is None:
        return float(np.median(x))
    order = np.argsort(x, kind="stable")
    total = np.cumsum(weight[order])
    half = total[-1] / 2
    ends = [np.searchsorted(total, half, side=side) for side in ("left", "right")]
    return float(np.mean(x[order][np.minimum(ends, len(x) - 1)]))


def as_copies(weight: np.ndarray | None) -> np.ndarray | slice:
    """Positions of rows, each as often as its weight says.

    Exact for whole weights with a sum of at most 100,000; else the nearest whole
    numbers of copies with that sum.

    Parameters
    ----------
    weight : ndarray, shape (n,), or None
    """
    if weight is None:
        return slice(None)
    total = weight.sum()
    if (weight == np.rint(weight)).all() and total <= MOST_COPIES:
        return np.repeat(np.arange(len(weight)), weight.astype(int))
    ends = np.rint(np.cumsum(weight) * (MOST_COPIES / total)).astype(int)
    return np.repeat(np.arange(len(weight)), np.diff(ends, prepend=0))


WIDE = 2.5
CONCENTRATION = 2.0


def default_priors(spec: MixtureSpec) -> PriorModel:
    """Priors that hold the parameters to the size of the data, and no more.

    Rows count by their case weights, so that w is the same as w copies.

    * Coefficients: normal, mean zero, standard deviation 2.5 units of the linear
      predictor for a change of one standard deviation in the covariate.  Values
      beyond three robust standard deviations (1.4826 times the median absolute
      deviation) from the median are moved there before, since otherwise one outlying
      row would make the prior of all of them narrow: a company whose research takes
      a hundred times the usual share of its sales says little of how fast the
      others differ.  The unit is one for log, logit and like links, the response's
      standard deviation for the identity.  The intercept is centred at the link of
      the mean response.  So separation is harmless, and a slope in other units has
      the same prior.
    * Dispersions: lognormal, see each family.  They vanish faster than any power at
      zero, so that no component can collapse.
    * Constant weights: Dirichlet with concentration 2, as if one more unit had been
      seen in every component: the mode is inside.
    * Concomitant logits: normal with sum zero over the components, 2.5 for one
      standard deviation of the covariate, outliers moved in as above.

    References
    ----------
    Gelman, Jakulin, Pittau and Su (2008), Annals of Applied Statistics 2, 1360-1383.
    """
    single: dict[int, tuple[Prior, Link]] = {}
    weight = row_weight(spec.rows.weight, spec.rows.units.codes)
    for block, rows in zip(spec.layout.blocks, spec.rows.blocks, strict=True):
        _default_coefficients(block, rows, weight, single)
        _default_dispersions(block, rows, weight, single)
    if spec.k == 1:
        return PriorModel(single, None, None)
    if spec.layout.concomitant_terms is None:
        return PriorModel(single, CONCENTRATION, None)
    assert spec.rows.concomitant is not None
    terms = spec.layout.concomitant_terms
    widths = _widths(spec.rows.concomitant, terms, spec.rows.weight)
    return PriorModel(single, None, WIDE * widths)


def _widths(matrix: np.ndarray, terms: tuple[str, ...], weight: np.ndarray | None) -> np.ndarray:
    """One over each column's standard deviation; the intercept's as at the columns' means."""
    mean, sd = weighted_mean(matrix, weight), column_spread(matrix, weight)
    widths = 1 / np.where(sd > 0, sd, np.maximum(np.abs(mean), 1e-300))
    if "Intercept" in terms:
        at = terms.index("Intercept")
        others = np.arange(len(terms)) != at
        widths[at] = np.sqrt(1 + np.sum(np.square(mean * widths)[others]))
    return widths


def _default_coefficients(
    block: BlockLayout,
    rows: BlockRows,
    weight: np.ndarray | None,
    single: dict[int, tuple[Prior, Link]],
) -> None:
    location = block.predictors[0]
    widths = _widths(rows.matrix, location.terms, weight) if location.terms else np.empty(0)
    if block.survival:
        _default_times(block, rows, widths, weight, single)
        return
    for s, family in enumerate(block.families):
        if family.location is None:
            continue
        link = family.parameters[0].link
        centre, unit = _response_scale(block, rows, s, link, weight)
        for term, width, at in zip(location.terms, widths, location.index[s], strict=True):
            if at >= 0:
                mu = centre if term == "Intercept" else 0.0
                single[int(at)] = (
                    Prior("normal", mu=mu, sigma=float(WIDE * unit * width)),
                    get_link("identity"),
                )


def _default_times(
    block: BlockLayout,
    rows: BlockRows,
    widths: np.ndarray,
    weight: np.ndarray | None,
    single: dict[int, tuple[Prior, Link]],
) -> None:
    """Every parameter of a survival time is linear on its link's scale.

    Intercepts of locations are centred at the families' rough starts, those of other
    parameters have the families' own priors, on the link's scale.
    """
    identity, copies = get_link("identity"), as_copies(weight)
    for s, (family, key) in enumerate(zip(block.families, block.keys, strict=True)):
        obs = rows.observed[key].take(copies)
        begin = family.starting(obs)
        known = {} if family.priors is None else family.priors(obs.times)
        for parameter, slot in zip(family.parameters, block.slots[s], strict=True):
            predictor = block.predictors[slot]
            centre = float(np.mean(parameter.link.forward(np.asarray(begin[parameter.name]))))
            base = Prior("normal", mu=centre, sigma=WIDE)
            if parameter.name in known:
                base = _on_link_scale(known[parameter.name])
            if slot == block.slots[s][0] and rows.offset is not None:
                offset = rows.offset if rows.offset.ndim == 1 else rows.offset[s]
                shift = float(weighted_mean(offset, weight))
                base = Prior("normal", mu=centre - shift, sigma=WIDE)
            used = int((predictor.index[s] >= 0).sum())
            for term, width, at in zip(predictor.terms, widths, predictor.index[s], strict=True):
                if at < 0:
                    continue
                wide = float(base.parameters["sigma"]) * (float(width) if used > 1 else 1.0)
                mu = float(base.parameters["mu"]) if term == "Intercept" else 0.0
                sigma = wide if term == "Intercept" else WIDE * float(width)
                single[int(at)] = (Prior("normal", mu=mu, sigma=sigma), identity)


def _on_link_scale(prior: Prior) -> Prior:
    """A lognormal prior of a positive parameter is a normal one of its logarithm."""
    return Prior("normal", mu=prior.parameters["mu"], sigma=prior.parameters["sigma"])


def _response_scale(
    block: BlockLayout, rows: BlockRows, s: int, link: Link, weight: np.ndarray | None
) -> tuple[float, float]:
    """Where linear predictors are: the link of the mean response, and their unit."""
    obs = rows.observed[block.keys[s]]
    y, trials = obs.y, obs.trials
    mean = float(weighted_mean(y, weight))
    if trials is not None:
        n = len(y) if weight is None else weight.sum()
        mean = (n * mean + 0.5) / (n * float(weighted_mean(trials, weight)) + 1)
    if link.name == "identity":
        return mean, float(weighted_sd(y, weight)) or 1.0
    if block.families[s].mean is None:
        return 0.0, 1.0
    inside = min(max(mean, link.lower + 1e-6), link.upper - 1e-6)
    centre = float(link.forward(np.asarray(inside)))
    if rows.offset is not None:
        centre -= float(weighted_mean(rows.offset, weight))
    # The inverse link's unit is that of one over the response.
    return centre, abs(centre) if link.name == "inverse" else 1.0


def _default_dispersions(
    block: BlockLayout,
    rows: BlockRows,
    weight: np.ndarray | None,
    single: dict[int, tuple[Prior, Link]],
) -> None:
    assert rows.response is not None
    y = rows.response.y[as_copies(weight)]
    for s, family in enumerate(() if block.survival else block.families):
        known = {} if family.priors is None else family.priors(y)
        for parameter, slot in zip(family.dispersions, block.slots[s][1:], strict=True):
            at = int(block.predictors[slot].index[s, 0])
            link = dispersion_link(block, slot)
            single[at] = (known.get(parameter.name, _general(link)), link)


def _general(link: Link) -> Prior:
    """For a user's family: wide on the scale of the parameter's link."""
    if np.isfinite(link.lower) and np.isfinite(link.upper):
        return Prior("beta", alpha=2.0, beta=2.0)
    if np.isfinite(link.lower):
        return Prior("lognormal", mu=0.0, sigma=2.0)
    return Prior("normal", mu=0.0, sigma=10.0)
