"""The public result of `Posterior.stack`."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bayesmix._arguments.printing import Described, Lines
from bayesmix.api.base import Result


@dataclass(frozen=True, eq=False, repr=False)
class Stacking(Described):
    """Groups of chains weighted by stacking.  Made by `Posterior.stack`.

    Parameters
    ----------
    table : DataFrame
        For each group: its chains, whether they are separate chains (numbered after the
        reported ones), their share of the reported chains, elpd_loo with its standard error
        se, bad_k (number of units with too high a Pareto k), and weight.
    elpd_loo : float
        Expected log predictive density of the weighted groups, with units left out.
    se : float
        Its standard error over units.
    posterior : Posterior
        The draws resampled with the weights, in one chain without ESS and R-hat.
    """

    table: pd.DataFrame
    elpd_loo: float
    se: float
    posterior: Result

    @property
    def warning(self) -> str:
        """Why you should not rely on the weights; empty if all is well."""
        bad = int(self.table["bad_k"].max())
        if not bad:
            return ""
        return f"up to {bad} units of a group have a high Pareto k: its elpd_loo is unreliable"

    def _lines(self) -> Lines:
        lines = []
        for row in self.table.itertuples():
            what = "separate" if row.apart else f"{row.share:.0%} of the chains"
            words = f"weight {row.weight:.3f} ({what}), elpd_loo "
            words += f"{row.elpd_loo:.2f} (standard error {row.se:.2f})"
            lines.append((f"chains {row.chains}", words))
        lines.append(("stacked", f"elpd_loo {self.elpd_loo:.2f} (standard error {self.se:.2f})"))
        return lines + ([("warning", self.warning)] if self.warning else [])

    def _title(self) -> str:
        return "Stacking of chains"
