"""Find hidden groups in regression and survival data.

With maximum likelihood or Bayes, from one formula.

Examples
--------
>>> import bayesmix as bmx
>>> patent = bmx.load_data("patent")
>>> spec = bmx.Mixture("Patents ~ lgRD", patent, family="poisson", k=3, concomitant="~ RDS")
>>> fit = spec.fit("em", seed=1)
>>> round(fit.loglik, 4)
-197.675
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayesmix import plot
    from bayesmix.api import (
        Bootstrap,
        CompetingRisks,
        CompetingRisksFit,
        CompetingRisksPosterior,
        Mixture,
        MultiState,
        PointFit,
        Posterior,
        Selection,
        load,
        penalty_path,
        select,
    )
    from bayesmix.comparison import (
        compare,
        compare_estimates,
        comparisons,
        predictions,
        slopes,
    )
    from bayesmix.comparison.pooling import pool
    from bayesmix.datasets import list_data, load_data
    from bayesmix.distributions import Prior
    from bayesmix.errors import (
        BayesmixError,
        ConvergenceWarning,
        DataError,
        DataWarning,
        DegenerateWarning,
        FitError,
        FormulaError,
        IdentifiabilityWarning,
        SpecError,
    )
    from bayesmix.families import Family, family
    from bayesmix.formula.sources import scan
    from bayesmix.kernels.warming import warm
    from bayesmix.model.items import items
    from bayesmix.model.parts import Regression
    from bayesmix.reporting import report
    from bayesmix.reporting.explorer import explore
    from bayesmix.survival.check import SurvivalCheck, check_survival

    __version__: str

# Public names by the module that has them; each is imported when first used.
_HOMES = {
    "bayesmix.api": "Bootstrap CompetingRisks CompetingRisksFit CompetingRisksPosterior Mixture "
    "MultiState PointFit Posterior Selection load penalty_path select",
    "bayesmix.datasets": "list_data load_data",
    "bayesmix.errors": "BayesmixError ConvergenceWarning DataError DataWarning DegenerateWarning "
    "FitError FormulaError IdentifiabilityWarning SpecError",
    "bayesmix.families": "Family family",
    "bayesmix.kernels.warming": "warm",
    "bayesmix.model.items": "items",
    "bayesmix.model.parts": "Regression",
    "bayesmix.distributions": "Prior",
    "bayesmix.comparison": "compare compare_estimates comparisons pool predictions slopes",
    "bayesmix.reporting": "explore report",
    "bayesmix.formula.sources": "scan",
    "bayesmix.survival.check": "SurvivalCheck check_survival",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "BayesmixError",
    "Bootstrap",
    "CompetingRisks",
    "CompetingRisksFit",
    "CompetingRisksPosterior",
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "DegenerateWarning",
    "Family",
    "FitError",
    "FormulaError",
    "IdentifiabilityWarning",
    "Mixture",
    "MultiState",
    "PointFit",
    "Posterior",
    "Prior",
    "Regression",
    "Selection",
    "SpecError",
    "SurvivalCheck",
    "check_survival",
    "compare",
    "compare_estimates",
    "comparisons",
    "explore",
    "family",
    "items",
    "list_data",
    "load",
    "load_data",
    "penalty_path",
    "plot",
    "pool",
    "predictions",
    "report",
    "scan",
    "select",
    "slopes",
    "warm",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "plot":
        return import_module("bayesmix.plot")
    if name == "__version__":
        return import_module("importlib.metadata").version("bayesmix")
    if name not in _HOME:
        from bayesmix._arguments import unknown_function

        raise unknown_function("bayesmix", name, __all__)
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*__all__, "__version__"])
