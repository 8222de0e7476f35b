"""The tables of a posterior: summary, memberships."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments.printing import Printed
from bayesmix.likelihood import Problem
from bayesmix.posterior.diagnostics import convergence_table
from bayesmix.posterior.drawn import Drawn
from bayesmix.posterior.pointwise import mean_membership
from bayesmix.results.fitted import placed
from bayesmix.results.tables import (
    KEYS,
    component_index,
    in_order,
    natural_values,
    ratios,
    units_table,
)

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
    found = natural_values(drawn.spec, drawn.theta)
    draws = {key: found[key] for key in in_order(found)}
    if exp:
        draws |= {key: np.exp(draws[key]) for key in ratios(drawn.spec)}
        table = convergence_table(draws)
    else:
        rows = {key: row for row, key in enumerate(found)}
        table = drawn.convergence.iloc[[rows[key] for key in draws]].reset_index(drop=True)
    mixing = table[["ess_bulk", "ess_tail", "r_hat"]]
    if drawn.method == "stacking":  # the order of stacked draws means nothing
        mixing.loc[:] = np.nan
    return Printed(pd.concat([drawn_summary(draws, ci), mixing], axis=1))


def drawn_summary(draws: Mapping[tuple[Any, str, str], np.ndarray], ci: float) -> pd.DataFrame:
    """Means, standard deviations and equal-tailed limits of draws (...).

    Parameters
    ----------
    draws : mapping of (component, term, effect) to ndarray
    ci : float
        Probability of the intervals.
    """
    tails, rows = [0.5 - ci / 2, 0.5 + ci / 2], []
    for key, x in draws.items():
        spread = (x.flat[0], 0.0) if np.ptp(x) == 0 else (x.mean(), x.std(ddof=1))
        rows.append((*key, *map(float, spread), *np.quantile(x, tails)))
    columns = [*KEYS, "mean", "sd", "lower", "upper"]
    return pd.DataFrame(rows, columns=columns)


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
    columns: pd.Index = component_index(spec)
    if uncertainty:
        names: Any = [list(spec.components), ["mean", "sd"]]
        columns = pd.MultiIndex.from_product(names, names=["component", None])

    def values(problem: Problem | None) -> np.ndarray:
        theta = drawn.thinned(MOST_DRAWS)
        both = mean_membership(drawn.problem if problem is None else problem, theta)
        if problem is not None:
            placed(problem.spec.rows.units, both[0])
        return np.stack(both, axis=-1).reshape(len(both[0]), -1) if uncertainty else both[0]

    return units_table(spec, newdata, values, columns, rows=rows)
