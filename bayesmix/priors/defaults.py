"""Default priors: weakly informative, scaled to the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bayesmix.distributions import Prior
from bayesmix.families import Family
from bayesmix.families.base import allows
from bayesmix.families.links import Link, get_link
from bayesmix.model import BlockRows, MixtureSpec
from bayesmix.model.layout import BlockLayout, Predictor
from bayesmix.model.params import parameter_link
from bayesmix.model.standard import constant_shares
from bayesmix.model.units import as_copies
from bayesmix.priors.log_density import PriorModel

# Values farther from the median than so many robust standard deviations are moved there.
REACH = 3.0
ROBUST = 1.4826


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


def clipped_share(matrix: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Of columns' standard deviations what is left without the pull of outliers, (p,)."""
    if not matrix.size:
        return np.ones(matrix.shape[1])
    whole = weighted_sd(matrix, weight)
    share = column_spread(matrix, weight) / np.where(whole > 0, whole, 1.0)
    return np.where(share > 0, share, 1.0)


def _median(x: np.ndarray, weight: np.ndarray | None) -> float:
    if weight is None:
        return float(np.median(x))
    order = np.argsort(x, kind="stable")
    total = np.cumsum(weight[order])
    half = total[-1] / 2
    ends = [np.searchsorted(total, half, side=side) for side in ("left", "right")]
    return float(np.mean(x[order][np.minimum(ends, len(x) - 1)]))


WIDE = 2.5
CONCENTRATION = 2.0
# For a user's family: wide on the scale of the parameter's link.
GENERAL = {
    "unit": Prior("beta", alpha=2.0, beta=2.0),
    "positive": Prior("lognormal", mu=0.0, sigma=2.0),
    "real": Prior("normal", mu=0.0, sigma=10.0),
}


def support(link: Link) -> str:
    """Where the parameters of a link live: "unit", "positive" or "real"."""
    if not np.isfinite(link.lower):
        return "real"
    return "unit" if np.isfinite(link.upper) else "positive"


def default_priors(spec: MixtureSpec, standard: MixtureSpec) -> PriorModel:
    """Priors that hold the parameters to the size of the data, and no more.

    They are of standard coordinates (`model.standard`), so that neither units, nor origins,
    nor the coding of covariates count: a slope in other units, or of year and its square
    instead of the centred ones, has the same prior.  Rows count by their case weights: w is
    the same as w copies.

    * Coefficients: normal, standard deviation 2.5 units of the linear predictor for a change
      of one standard deviation in the part of the covariate that those before it do not
      explain.  Values beyond three robust standard deviations (1.4826 times the median
      absolute deviation) from a covariate's median count as if they were there, since
      otherwise one outlying row would make the prior of all of them narrow: a company whose
      research takes a hundred times the usual share of its sales says little of how fast the
      others differ.  The unit is one for log, logit and like links, the response's standard
      deviation for the identity.  The mean is zero, for the level the link of the mean
      response.  So separation is harmless.
    * Dispersions: lognormal, see each family.  They vanish faster than any power at
      zero, so that no component can collapse.
    * Constant weights: Dirichlet with concentration 2, as if one more unit had been
      seen in every component: the mode is inside.
    * Concomitant logits: normal with sum zero over the components, 2.5 for one
      standard deviation of the covariate, outliers counted as above.

    Parameters
    ----------
    spec, standard : MixtureSpec
        The model in the user's and in standard coordinates.

    Returns
    -------
    PriorModel
        Of standard coordinates.

    References
    ----------
    Gelman, Jakulin, Pittau and Su (2008), Annals of Applied Statistics 2, 1360-1383.
    """
    single: dict[int, tuple[Prior, Link]] = {}
    mine = spec.rows.sample
    blocks = zip(standard.layout.blocks, standard.rows.sample.blocks, mine.blocks, strict=True)
    for block, every, given in blocks:
        # A missing response says nothing of its covariates.
        seen = _Seen(block, *every.seen(mine.counts))
        widths = 1 / clipped_share(given.seen(None)[0].matrix, seen.weight)
        single |= dict(_default_coefficients(seen, widths))
        if not block.survival:
            single |= dict(_default_dispersions(seen))
    everything = frozenset(range(spec.layout.size))
    if spec.k == 1:
        return PriorModel(single, None, None, everything)
    if spec.layout.concomitant_terms is None:
        return PriorModel(single, CONCENTRATION, None, everything)
    assert mine.concomitant is not None
    widths = 1 / clipped_share(mine.concomitant, mine.weight)
    return PriorModel(single, None, WIDE * widths, everything)


class _Seen(NamedTuple):
    """A response with its rows in which it was observed, and their case weights (n,)."""

    block: BlockLayout
    rows: BlockRows
    weight: np.ndarray | None


type Single = Iterator[tuple[int, tuple[Prior, Link]]]
type Centre = tuple[Predictor, float, float, float]


def _default_coefficients(seen: _Seen, widths: np.ndarray) -> Single:
    centres = _centres_of_times if seen.block.survival else _centres
    for s in range(len(seen.block.families)):
        for predictor, mu, sigma, unit in centres(seen, s):
            level = _level(seen.rows, predictor)
            for j in np.flatnonzero(predictor.index[s] >= 0):
                own = sigma if predictor.terms[j] == "Intercept" else WIDE * unit * widths[j]
                normal = Prior("normal", mu=float(mu * level[j]), sigma=float(own))
                yield int(predictor.index[s, j]), (normal, get_link("identity"))


def _centres(seen: _Seen, s: int) -> Iterator[Centre]:
    """Linear predictors of a component, where each is with how much spread, and its unit."""
    for number, slot in enumerate(seen.block.located(s)):
        mu, unit = _response_scale(seen, s, number)
        yield seen.block.predictors[slot], mu, WIDE * unit, unit


def _centres_of_times(seen: _Seen, s: int) -> Iterator[Centre]:
    """Every parameter of a survival time is linear on its link's scale.

    Levels of locations are centred at the families' rough starts, those of other
    parameters have the families' own priors, on the link's scale.
    """
    block, rows, weight = seen
    family = block.families[s]
    obs = rows.observed[block.keys[s]].take(as_copies(weight))
    begin = family.starting(obs)
    known = {} if family.priors is None else family.priors(obs.times)
    for parameter, slot in zip(family.parameters, block.slots[s], strict=True):
        mu, sigma = float(np.mean(parameter.link.forward(np.asarray(begin[parameter.name])))), WIDE
        if slot in block.located(s) and rows.offset is not None:
            offset = rows.offset if rows.offset.ndim == 1 else rows.offset[s]
            mu -= float(weighted_mean(offset, weight))
        elif parameter.name in known:  # a lognormal prior is a normal one of the logarithm
            mu, sigma = (known[parameter.name].parameters[name] for name in ("mu", "sigma"))
        yield block.predictors[slot], mu, sigma, 1.0


def _level(rows: BlockRows, predictor: Predictor) -> np.ndarray:
    """Coefficients (P,) of a constant linear predictor of one; zeros where there is none."""
    shares = constant_shares(rows.matrix, predictor.index)
    return np.zeros(rows.matrix.shape[1]) if shares is None else shares


def predictor_unit(spec: MixtureSpec, number: int, s: int, predictor: int) -> float:
    """The unit of a linear predictor of component s, in the user's units.

    Parameters
    ----------
    spec : MixtureSpec
    number : int
        Of the response.
    s : int
    predictor : int
        Its number at the response.
    """
    block, mine = spec.layout.blocks[number], spec.rows.sample
    if block.survival:
        return 1.0
    seen = _Seen(block, *mine.blocks[number].seen(mine.counts))
    return _response_scale(seen, s, block.located(s).index(predictor))[1]


def _response_scale(seen: _Seen, s: int, number: int) -> tuple[float, float]:
    """Where a location's linear predictors are: the link of the mean response, and their unit."""
    block, rows, weight = seen
    family = block.families[s]
    link, obs = family.parameters[number].link, rows.observed[block.keys[s]]
    shift = 0.0 if rows.offset is None else float(weighted_mean(rows.offset, weight))
    if family.levels:
        return _level_centre(family, link, obs.y, number, weight) - shift, 1.0
    if len(family.locations) > 1 and family.units is None:
        return 0.0, 1.0
    y, trials = obs.y, obs.trials
    if y.ndim > 1:
        y, there = y[:, number], ~np.isnan(y[:, number])
        y, weight = y[there], None if weight is None else weight[there]
    mean = float(weighted_mean(y, weight))
    if trials is not None:
        n = len(y) if weight is None else weight.sum()
        mean = (n * mean + 0.5) / (n * float(weighted_mean(trials, weight)) + 1)
    if link.name == "identity":
        return mean, float(weighted_sd(y, weight)) or 1.0
    if family.mean is None:
        return 0.0, 1.0
    inside = min(max(mean, link.lower + 1e-6), link.upper - 1e-6)
    centre = float(link.forward(np.asarray(inside))) - shift
    # The inverse link's unit is that of one over the response.
    return centre, abs(centre) if link.name == "inverse" else 1.0


def _level_centre(
    family: Family, link: Link, y: np.ndarray, number: int, weight: np.ndarray | None
) -> float:
    """Where linear predictors of levels are: at the shares of all responses."""
    there = ~np.isnan(y)
    own = None if weight is None else weight[there]
    counts = np.bincount(y[there].astype(int), own, minlength=len(family.levels)) + 0.5
    if family.cuts is not None:
        return -float(link.forward(counts[0] / counts.sum()))
    return float(np.log(counts[number + 1] / counts[0]))


def _default_dispersions(seen: _Seen) -> Single:
    block, rows, weight = seen
    assert rows.response is not None
    y = rows.response.y[as_copies(weight)]
    for s, family in enumerate(block.families):
        # Rows that belong to an atom alone may be none that the family allows; columns have none.
        own = y if family.columns else y[allows(family, y)]
        known = {} if family.priors is None else family.priors(own)
        slots = block.slots[s][len(family.locations) :]
        for parameter, slot in zip(family.dispersions, slots, strict=True):
            at = int(block.predictors[slot].index[s, 0])
            link = parameter_link(block, slot)
            yield at, (known.get(parameter.name, GENERAL[support(link)]), link)
