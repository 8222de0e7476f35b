"""The tables of a posterior: summary, memberships."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesmix._arguments import fraction
from bayesmix._arguments.printing import Printed
from bayesmix.errors import FitError
from bayesmix.likelihood import build_problem
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.pointwise import mean_membership
from bayesmix.results.tables import component_index, in_order, natural_values, ratios

MOST_DRAWS = 2000


def modes_table(drawn: Drawn) -> pd.DataFrame:
    """Modes by number: log density, share, reported chains begun there, and the chain apart."""
    modes, apart = drawn.modes, [""] * len(drawn.modes)
    for mode in () if drawn.apart is None else drawn.apart.mode:
        apart[mode] = "stayed" if mode in drawn.own_places else "connected"
    return pd.DataFrame(
        {
            "log_density": [m.log_density for m in modes],
            "share": [m.share for m in modes],
            "chains": [int((drawn.chain_mode == i).sum()) for i in range(len(modes))],
            "apart": apart,
        }
    ).rename_axis("mode")


def posterior_summary(drawn: Drawn, ci: float, exp: bool = False) -> Printed:
    """Means, standard deviations, equal-tailed intervals, ESS and R-hat.

    The rows are those of the point fit's summary.  Stacked draws are no chain, and have
    no ESS and R-hat.

    Parameters
    ----------
    drawn : Drawn
    ci : float
        Probability of the intervals.
    exp : bool
        Exponentials of coefficients that are logarithms of ratios.
    """
    import arviz_stats

    ci = fraction("ci", ci, 0.95, error=FitError)
    draws = natural_values(drawn.spec, drawn.theta)
    keys = in_order(draws)
    if exp:
        draws |= {key: np.exp(draws[key]) for key in ratios(drawn.spec)}
    tails = [0.5 - ci / 2, 0.5 + ci / 2]
    rows = []
    for x in (draws[key] for key in keys):
        held = np.ptp(x) == 0
        mean, sd = (float(x.flat[0]), 0.0) if held else (float(x.mean()), float(x.std(ddof=1)))
        mixing = [np.nan] * 3
        if not held and drawn.method != "stacking":  # the order of stacked draws means nothing
            mixing = [
                float(arviz_stats.ess(x, method="bulk")),
                float(arviz_stats.ess(x, method="tail", prob=(0.05, 0.95))),
                float(arviz_stats.rhat(x)) if len(x) > 1 else np.nan,
            ]
        rows.append((mean, sd, *np.quantile(x, tails), *mixing))
    columns = ["mean", "sd", "lower", "upper", "ess_bulk", "ess_tail", "r_hat"]
    index = pd.DataFrame(keys, columns=["component", "term", "effect"])
    return Printed(pd.concat([index, pd.DataFrame(rows, columns=columns)], axis=1))


def membership(
    drawn: Drawn, newdata: pd.DataFrame | None, *, rows: bool, uncertainty: bool
) -> pd.DataFrame:
    """Posterior means of P(component | data, theta), units by components.

    Parameters
    ----------
    drawn : Drawn
    newdata : DataFrame, optional
        Other units, with their responses.
    rows : bool
        Repeat by row.
    uncertainty : bool
        Two columns for each component: mean and standard deviation over the draws.
    """
    spec = drawn.spec
    if newdata is None:
        problem, units, index = drawn.problem, spec.rows.units, spec.prepared.index
    else:
        new, index = spec.apply(newdata, response=True), newdata.index
        problem, units = build_problem(spec, new), new.units
    mean, sd = mean_membership(problem, drawn.thinned(MOST_DRAWS))
    columns: pd.Index = component_index(spec)
    values = mean
    if uncertainty:
        values = np.stack([mean, sd], axis=-1).reshape(len(mean), -1)
        columns = pd.MultiIndex.from_product(
            [list(spec.components), ["mean", "sd"]], names=["component", None]
        )
    if rows:
        return pd.DataFrame(values[units.codes], index=index, columns=columns)
    return pd.DataFrame(values, index=units.index, columns=columns)


def most_probable(drawn: Drawn, newdata: pd.DataFrame) -> pd.Series:
    """The component of each new unit with the greatest mean membership."""
    return membership(drawn, newdata, rows=False, uncertainty=False).idxmax(axis=1)
