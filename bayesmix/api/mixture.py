"""The public class of a mixture of regressions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

from bayesmix._arguments import door
from bayesmix.api.base import MODELS
from bayesmix.api.model import Model
from bayesmix.errors import SpecError
from bayesmix.families import Family
from bayesmix.formula.scope import Scope
from bayesmix.formula.sources import Data
from bayesmix.model import Regression, assemble, prepare
from bayesmix.model.histories import flag_pieces
from bayesmix.model.kinds import MIXTURE


@door
class Mixture(Model):
    r"""A finite mixture of regressions.

    .. math::

       \log L = \sum_u w_u \log \sum_s \pi_s(w_u; \alpha)
                \prod_{i \in u} f_s(y_i \mid x_i, \theta_s)

    Units u are rows, or groups of rows that share one latent component.

    Parameters
    ----------
    formula : str or list of Regression
        Response and varying effects, ``"y ~ x"``.  ``"y ~ x | g"`` also names the group, and
        ``"y ~ x + (1 + x | id)"`` has random effects.  A list of `Regression`, one for each
        response, shares the components.  The response may have limits:
        ``truncated(y, lower=1)`` or ``censored(y, lower=0, upper=top)``.
    data : DataFrame, Arrow table, str or path
        A pandas, polars or dask data frame, an Arrow table, or a path or pattern of Parquet or
        Feather files.  Sources with more than 500,000 rows are read block by block (see
        `scan`) and dask frames by partition; pandas frames are always used whole.
    family : str, Family, list or dict of these
        One family for all components, or one for each.  A dict from families to numbers says
        how many components each family has; "k" stands for all the others, so that `select`
        can change k: ``{"zero": 1, "poisson": "k"}``.  A dict from names to families names the
        components, and `labels` uses these names: ``{"sick": "weibull", "cured": "cured"}``.
    k : int
        Number of components.
    fixed : str, optional
        Effects with one coefficient for all components, ``"~ log(Dose)"``.
    nested : list of (str, int), optional
        Consecutive blocks of components that share effects: formula, number of components.
    dispersion : str or list of int
        "varying", "fixed", or the sizes of consecutive blocks that share a dispersion.
    concomitant : str, optional
        Covariates of the weights, ``"~ z"``: a multinomial logit with the first component as
        the baseline.
    group : str, optional
        Column whose rows share one component.
    weights : str, optional
        Column of frequency weights; w equals w copies of the unit.
    labels : str, optional
        Column with the known component of a unit, missing where unknown.
    priors : None, "flat" or dict
        None: defaults scaled to the data.  "flat": no priors.  A dict maps names of
        `PointFit.params` ("coef", "coef[term]", a dispersion, "weight", "alpha",
        "alpha[term]") to a `Prior`.  The prior of a term overrides that of its variable, and
        all other parameters keep their defaults.  Maximum likelihood uses no priors.
    na_action : str
        "error"; "drop": exclude rows with missing values in the columns used; or "fiml":
        full-information maximum likelihood, which keeps every unit with what was observed of it.
        A missing response then contributes nothing (missing at random); a missing covariate of
        an observed response is still an error.  The memberships of a unit without any response
        are the weights; `n_obs` and `n_units` do not count it.
    random_covariance : str
        Covariance of the random effects ``(1 + x | id)``: "varying", "fixed" (the same in all
        components) or "proportional" (the same up to a factor for each component).

    Raises
    ------
    SpecError, FormulaError, DataError
        The message says what was given, what is allowed and what to do.

    References
    ----------
    McLachlan and Peel (2000), Finite Mixture Models.  Gruen and Leisch (2008),
    Journal of Statistical Software 28(4).

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    >>> fit = spec.fit("em", seed=1)
    >>> round(fit.loglik, 4), fit.df
    (-86.3311, 4)
    """

    def __init__(
        self,
        formula: str | Sequence[Regression],
        data: Data,
        family: str
        | Family
        | Sequence[str | Family]
        | Mapping[str | Family, int | str]
        | Mapping[Hashable, str | Family] = "gaussian",
        k: int = 2,
        fixed: str | None = None,
        nested: Sequence[tuple[str, int]] | None = None,
        dispersion: str | Sequence[int] = "varying",
        concomitant: str | None = None,
        group: str | None = None,
        weights: str | None = None,
        labels: str | None = None,
        priors: str | Mapping[str, Any] | None = None,
        na_action: str = "error",
        random_covariance: str = "varying",
    ) -> None:
        scope = Scope.capture(2)
        regressions = _regressions(formula, family, fixed, nested, dispersion, random_covariance)
        prepared = prepare(
            regressions,
            data,
            concomitant=concomitant,
            group=group,
            weights=weights,
            labels=labels,
            na_action=na_action,
            scope=scope,
        )
        if k > 1:  # the pieces of one component's time are as good as the whole
            flag_pieces(data, prepared)
        super().__init__(assemble(prepared, k), priors)

    def with_k(self, k: int) -> Self:
        """The same model with another number of components.

        Parameters
        ----------
        k : int

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ log(Length)", data, family="poisson", k=2)
        >>> spec.with_k(3).df
        8
        """
        return self._of(assemble(self._spec.prepared, k), self._priors)


def _regressions(
    formula: Any, family: Any, fixed: Any, nested: Any, dispersion: Any, covariance: Any
) -> tuple[Regression, ...]:
    if not isinstance(formula, str):
        mine = {"fixed": fixed, "nested": nested, "family": family}
        mine |= {"dispersion": dispersion, "random_covariance": covariance}
        usual = Regression("")
        if given := [n for n, v in mine.items() if repr(v) != repr(getattr(usual, n))]:
            msg = f"with several responses, {', '.join(given)}= belongs to each bmx.Regression"
            raise SpecError(msg)
        return tuple(formula)
    return (Regression(formula, family, fixed, nested, dispersion, random_covariance=covariance),)


MODELS[MIXTURE] = Mixture
