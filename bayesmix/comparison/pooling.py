"""Fits to multiply imputed data as one: Rubin's rules for points, stacked draws for posteriors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from bayesmix._arguments import door
from bayesmix._arguments.printing import Described, Printed
from bayesmix._arguments.shown import type_name
from bayesmix.comparison.same_data import mixture_spec
from bayesmix.comparison.scores import is_posterior
from bayesmix.errors import FitError, SpecError, warn
from bayesmix.families.links import get_link
from bayesmix.model.params import permute, to_dataset
from bayesmix.posterior.tables import drawn_summary
from bayesmix.results.matching import best_order
from bayesmix.results.tables import KEYS, natural_values

if TYPE_CHECKING:
    import xarray as xr


@door(error=FitError, only=("summary",))
@dataclass(frozen=True, eq=False, repr=False)
class Pooled(Described):
    """Fits to multiply imputed data, their components matched.  Made by `pool`.

    Parameters
    ----------
    fits : tuple of fits
        As they were given.
    orders : tuple of ndarray of int, shape (S,)
        The components of each fit in the order of the first one's.
    complete_df : float
        Degrees of freedom that complete data would have.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault").astype(float)
    >>> rng = np.random.default_rng(1)
    >>> fits = []
    >>> for _ in range(5):
    ...     imputed = data.copy()
    ...     imputed.loc[[3, 8], "Length"] = rng.choice(data["Length"], 2)
    ...     spec = bmx.Mixture("Faults ~ log(Length)", imputed, family="poisson", k=1)
    ...     fits.append(spec.fit("em"))
    >>> pooled = bmx.pool(fits)
    >>> list(pooled.summary().columns[-3:])
    ['scale', 'df', 'fmi']
    """

    fits: tuple[Any, ...]
    orders: tuple[np.ndarray, ...]
    complete_df: float

    @property
    def m(self) -> int:
        """Number of imputations."""
        return len(self.fits)

    @property
    def kind(self) -> str:
        """What was pooled: "point fits" or "posteriors"."""
        return "posteriors" if is_posterior(self.fits[0]) else "point fits"

    @property
    def params(self) -> xr.Dataset:
        """Mean parameters, as `PointFit.params`: means on the links' scales."""
        theta = np.mean([draws.mean(0) for draws in self._theta], axis=0)
        return to_dataset(mixture_spec(self.fits[0]), theta)

    def summary(self, ci: float = 0.95) -> pd.DataFrame:
        r"""Pooled estimates by Rubin's rules, or means of stacked draws.

        With estimates q_i and squared standard errors u_i of m fits, on the scale of the
        interval,

        .. math::

           \bar q = \tfrac1m \sum_i q_i, \qquad
           T = \bar u + (1 + \tfrac1m) B, \qquad
           B = \tfrac1{m-1} \sum_i (q_i - \bar q)^2 .

        Intervals and p-values are those of Student's t with df degrees of freedom (Barnard and
        Rubin 1999).  fmi is the fraction of missing information.

        Parameters
        ----------
        ci : float
            Coverage, or probability, of the intervals.

        Returns
        -------
        DataFrame
            Of point fits the columns of `PointFit.summary`, then df and fmi; of posteriors
            component, term, effect, mean, sd, lower, upper and fmi.

        Raises
        ------
        FitError
            If `ci` is not between 0 and 1.
        """
        if is_posterior(self.fits[0]):
            return _summary_of_draws(self.draws(), self.m, ci)
        tables = [
            self._named(fit, order) for fit, order in zip(self.fits, self.orders, strict=True)
        ]
        base = tables[0][[*KEYS, "scale"]]
        keys = pd.MultiIndex.from_frame(base[KEYS])
        tables = [table.set_index(KEYS).loc[keys] for table in tables]
        each = (np.array([t[name] for t in tables], float).T for name in ("estimate", "se"))
        rows = [
            _pooled_row(estimate, se, scale, self.complete_df, ci)
            for estimate, se, scale in zip(*each, base["scale"], strict=True)
        ]
        names = ["estimate", "se", "z", "p_value", "lower", "upper", "df", "fmi"]
        out = pd.concat([base[KEYS], pd.DataFrame(rows, columns=names)], axis=1)
        out.insert(len(KEYS) + 6, "scale", base["scale"])
        return Printed(out)

    def draws(self) -> pd.DataFrame:
        """Draws of all posteriors together, as many of each.

        Returns
        -------
        DataFrame
            Rows by component, term and effect; columns by fit and draw.  Dispersions and weights
            are natural.

        Raises
        ------
        FitError
            If point fits were pooled.
        """
        if not is_posterior(self.fits[0]):
            raise FitError("draws() needs posteriors; these are point fits, see summary()")
        spec, theta = mixture_spec(self.fits[0]), self._theta
        n = min(len(draws) for draws in theta)
        even = [draws[np.linspace(0, len(draws) - 1, n).astype(int)] for draws in theta]
        found = natural_values(spec, np.stack(even))
        columns = pd.MultiIndex.from_product([range(self.m), range(n)], names=["fit", "draw"])
        rows = pd.MultiIndex.from_tuples(list(found), names=KEYS)
        return pd.DataFrame([x.ravel() for x in found.values()], index=rows, columns=columns)

    def membership(self) -> pd.DataFrame:
        """Memberships of the units, means over the fits, units x components."""
        names = list(mixture_spec(self.fits[0]).components)
        values = [
            fit.membership()[names].to_numpy()[:, order]
            for fit, order in zip(self.fits, self.orders, strict=True)
        ]
        first = self.fits[0].membership()[names]
        return pd.DataFrame(np.mean(values, axis=0), index=first.index, columns=first.columns)

    @property
    def _theta(self) -> list[np.ndarray]:
        """Parameters (T, D) of each fit, components in the order of the first one's."""
        layout = mixture_spec(self.fits[0]).layout
        sources = [fit.source for fit in self.fits]
        every = [s.fitted.theta[None] if s.draws is None else s.draws for s in sources]
        return [permute(layout, t, order) for t, order in zip(every, self.orders, strict=True)]

    @staticmethod
    def _named(fit: Any, order: np.ndarray) -> pd.DataFrame:
        """A point fit's summary with its components named as in the first fit."""
        names = list(mixture_spec(fit).components)
        if (order != np.arange(len(order))).any():
            fit = fit.relabel(order=[names[s] for s in order])
        return fit.summary().reset_index(drop=True)

    def _title(self) -> str:
        return f"{self.m} {self.kind} of imputed data, pooled"

    def _table(self) -> pd.DataFrame:
        return self.summary()


@door
def pool(fits: Sequence[Any], small_sample: bool = True) -> Pooled:
    """Combine fits to multiply imputed data.

    The memberships of the units match the components of later fits to those of the first fit.
    Rubin's rules combine point fits; the draws of posteriors are put together.

    Parameters
    ----------
    fits : list of fits
        Two or more fits of one model to the same units with different imputed values: all point
        fits, or all posteriors.
    small_sample : bool
        Whether to limit degrees of freedom to those of complete data, units minus parameters
        (Barnard and Rubin 1999); False uses those of Rubin (1987) for large data.

    Returns
    -------
    Pooled

    Raises
    ------
    SpecError
        If there are fewer than two fits, or they differ in kind, model or units.

    Warns
    -----
    ConvergenceWarning
        If a fit did not converge.

    References
    ----------
    Rubin (1987), Multiple Imputation for Nonresponse in Surveys, section 3.1.
    Barnard and Rubin (1999), Biometrika 86, 948-955.  Zhou and Reiter (2010), American
    Statistician 64, 159-163: stacked draws.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault").astype(float)
    >>> rng = np.random.default_rng(1)
    >>> fits = []
    >>> for _ in range(5):
    ...     imputed = data.copy()
    ...     imputed.loc[[3, 8], "Length"] = rng.choice(data["Length"], 2)
    ...     spec = bmx.Mixture("Faults ~ log(Length)", imputed, family="poisson", k=2)
    ...     fits.append(spec.fit("em", seed=1))
    >>> pooled = bmx.pool(fits)
    >>> pooled.m, len(pooled.summary())
    (5, 6)
    """
    every = list(fits.values()) if isinstance(fits, dict) else list(fits)
    _check(every)
    first = every[0]
    spec = mixture_spec(first)
    names = list(spec.components)
    mine = first.membership()[names].to_numpy()
    orders = [best_order(spec, mine, fit.membership()[names].to_numpy()) for fit in every]
    _warn_unconverged(every)
    complete_df = max(float(first.n_units) - first.df, 1.0) if small_sample else np.inf
    return Pooled(tuple(every), tuple(orders), complete_df)


def _check(fits: list[Any]) -> None:
    """Refuse what cannot be pooled."""
    if len(fits) < 2:
        msg = f"pool() takes two or more fits, as in pool([fit1, fit2]); {len(fits)} given"
        raise SpecError(msg)
    for i, fit in enumerate(fits):
        if not hasattr(fit, "spec") or not hasattr(fit, "summary"):
            raise SpecError(f"pool(): number {i} of the list is {type_name(fit)}, not a fit")
    if len({is_posterior(fit) for fit in fits}) > 1:
        raise SpecError("pool() takes point fits or posteriors, not both")
    first = mixture_spec(fits[0])
    for i, fit in enumerate(fits[1:], 1):
        spec = mixture_spec(fit)
        if (
            spec.layout.coordinates != first.layout.coordinates
            or spec.components != first.components
        ):
            raise SpecError(
                f"pool() combines fits of one model; number {i} has other parameters than number 0"
            )
        if not spec.rows.units.index.equals(first.rows.units.index):
            raise SpecError(
                f"pool() combines fits to the same units; number {i} has "
                f"{spec.rows.n_units} and number 0 {first.rows.n_units}, or others. Impute every "
                "data set in full, rows in the same order"
            )


def _warn_unconverged(fits: list[Any]) -> None:
    ended = {
        i: fit.status for i, fit in enumerate(fits) if getattr(fit, "converged", True) is False
    }
    if ended:
        words = ", ".join(f"number {i}: {status}" for i, status in ended.items())
        msg = f"pool(): {len(ended)} of {len(fits)} fits did not converge ({words})"
        warn("pooled", f"{msg}. Fit these data sets again with more starts")


def _pooled_row(
    estimate: np.ndarray, se: np.ndarray, scale: str, complete_df: float, ci: float
) -> tuple[float, ...]:
    """Estimate, se, z, p-value, lower, upper, df and fmi from m estimates (m,)."""
    link = get_link(scale)
    with np.errstate(all="ignore"):
        q = np.asarray(link.forward(estimate), float)
        slope = np.abs(np.asarray(link.slope(q), float))
        total, df, fmi = rubin(q, np.square(se / slope), complete_df)
        mean, error = float(q.mean()), float(np.sqrt(total))
        reach = special.stdtrit(np.inf if np.isnan(df) else df, 0.5 + ci / 2)
        low, high = np.sort(link.inverse(np.array([mean - reach * error, mean + reach * error])))
        natural = float(link.inverse(np.asarray(mean)))
        back = error * abs(float(link.slope(np.asarray(mean))))
    z = p = np.nan
    if scale == "identity" and error > 0:
        z = mean / error
        p = 2 * float(special.stdtr(df, -abs(z)))
    return natural, back, z, p, float(low), float(high), df, fmi


def rubin(q: np.ndarray, u: np.ndarray, complete_df: float) -> tuple[float, float, float]:
    """Total variance, degrees of freedom and fraction of missing information.

    Parameters
    ----------
    q, u : ndarray, shape (m,)
        Estimates and their squared standard errors.
    complete_df : float
        Degrees of freedom of complete data.
    """
    m, within, between = len(q), float(u.mean()), float(q.var(ddof=1))
    added = (1 + 1 / m) * between
    total = within + added
    if not total > 0:
        return total, np.nan, np.nan
    share = added / total
    observed = complete_df * (1 - share)
    if np.isfinite(complete_df):
        observed *= (complete_df + 1) / (complete_df + 3)
    rate = share**2 / (m - 1) + (1 / observed if observed > 0 else np.inf)
    df = 1 / rate if rate > 0 else np.inf
    ratio = added / within if within > 0 else np.inf
    fmi = (ratio + 2 / (df + 3)) / (ratio + 1) if np.isfinite(ratio) else 1.0
    return total, df, fmi


def _summary_of_draws(draws: pd.DataFrame, m: int, ci: float) -> pd.DataFrame:
    """Means, standard deviations and equal-tailed intervals of stacked draws."""
    values = draws.to_numpy().reshape(len(draws), m, -1)
    within, between = values.var(2, ddof=1).mean(1), (1 + 1 / m) * values.mean(2).var(1, ddof=1)
    out = drawn_summary(dict(zip(draws.index, draws.to_numpy(), strict=True)), ci)
    with np.errstate(invalid="ignore"):
        out["fmi"] = between / (within + between)
    return Printed(out)
