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

if TYPE_CHECKING:  # names as themselves: what type checkers see as public
    from bayesmix import plot as plot
    from bayesmix.api import CompetingRisks as CompetingRisks
    from bayesmix.api import CompetingRisksFit as CompetingRisksFit
    from bayesmix.api import CompetingRisksPosterior as CompetingRisksPosterior
    from bayesmix.api import Mixture as Mixture
    from bayesmix.api import MultiState as MultiState
    from bayesmix.api import PointFit as PointFit
    from bayesmix.api import Posterior as Posterior
    from bayesmix.api import Selection as Selection
    from bayesmix.api import load as load
    from bayesmix.api import penalty_path as penalty_path
    from bayesmix.api import select as select
    from bayesmix.comparison import compare as compare
    from bayesmix.comparison import compare_estimates as compare_estimates
    from bayesmix.comparison import comparisons as comparisons
    from bayesmix.comparison import predictions as predictions
    from bayesmix.comparison import slopes as slopes
    from bayesmix.comparison.pooling import pool as pool
    from bayesmix.datasets import list_data as list_data
    from bayesmix.datasets import load_data as load_data
    from bayesmix.distributions import Prior as Prior
    from bayesmix.errors import BayesmixError as BayesmixError
    from bayesmix.errors import ConvergenceWarning as ConvergenceWarning
    from bayesmix.errors import DataError as DataError
    from bayesmix.errors import DataWarning as DataWarning
    from bayesmix.errors import DegenerateWarning as DegenerateWarning
    from bayesmix.errors import FitError as FitError
    from bayesmix.errors import FormulaError as FormulaError
    from bayesmix.errors import IdentifiabilityWarning as IdentifiabilityWarning
    from bayesmix.errors import SpecError as SpecError
    from bayesmix.estimation.bootstrap import Bootstrap as Bootstrap
    from bayesmix.families import Family as Family
    from bayesmix.families import family as family
    from bayesmix.formula.sources import scan as scan
    from bayesmix.kernels.warming import warm as warm
    from bayesmix.model.items import items as items
    from bayesmix.model.parts import Regression as Regression
    from bayesmix.reporting import report as report
    from bayesmix.reporting.explorer import explore as explore
    from bayesmix.survival.check import SurvivalCheck as SurvivalCheck
    from bayesmix.survival.check import check_survival as check_survival

    __version__: str

# Public names by the module that has them; each is imported when first used.
_HOMES = {
    "bayesmix.api": "CompetingRisks CompetingRisksFit CompetingRisksPosterior Mixture "
    "MultiState PointFit Posterior Selection load penalty_path select",
    "bayesmix.datasets": "list_data load_data",
    "bayesmix.errors": "BayesmixError ConvergenceWarning DataError DataWarning DegenerateWarning "
    "FitError FormulaError IdentifiabilityWarning SpecError",
    "bayesmix.estimation.bootstrap": "Bootstrap",
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

__all__ = sorted([*_HOME, "plot"])


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
