"""The public classes of competing events."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from bayesmix.api.model import Model
from bayesmix.api.pointfit import PointFit
from bayesmix.api.posterior import Posterior
from bayesmix.events import prepare_events
from bayesmix.formula import Scope
from bayesmix.spec import assemble
from bayesmix.survival.bands import Estimator, Source
from bayesmix.survival.comparison import START, compare_states
from bayesmix.survival.estimates import (
    band,
    known_options,
    numbers,
    one_number,
    rows_of,
    spent_by_row,
    tidy,
)
from bayesmix.survival.quantities import (
    EventTimes,
    density,
    event_probabilities,
    mean_time,
    quantile_time,
    restricted_mean_time,
    state_probabilities,
)

if TYPE_CHECKING:
    from bayesmix.families import Family

__all__ = ["CompetingRisks", "CompetingRisksFit", "CompetingRisksPosterior"]

MOST_DRAWS = 1000


class EventQuantities:
    """What fits and posteriors of competing events say of times; subclasses give the numbers.

    Every table is tidy: a row for each row of the new data, event (or state) and time, with
    the covariates, and ``estimate``, ``lower`` and ``upper``.  Without new data it is about
    the training rows, or a single row where the model has no covariates.  Options that all
    methods share:

    ``spent``
        Time already spent without an event, a number or a column of the new data: the
        quantity is given that.
    ``ci``
        Coverage of the intervals.
    ``interval``, ``draws``, ``seed``
        Of a point fit: "delta" (by the delta method, on the logit or log scale), or
        "simulation" with so many draws from the estimates' normal approximation.
    """

    @property
    def _source(self) -> Source:
        raise NotImplementedError

    def _estimates(
        self,
        newdata: pd.DataFrame | None,
        options: Mapping[str, Any],
        quantity: Callable[[EventTimes], np.ndarray],
        scale: str,
        *axes: tuple[str, Sequence[Any]],
    ) -> pd.DataFrame:
        given = dict(options)
        rows, covariates = rows_of(self._source.spec, newdata)
        spent = spent_by_row(given.pop("spent", None), newdata, rows.n)
        estimator = Estimator(**known_options(given))
        found = band(estimator, self._source, rows, quantity, scale, spent=spent)
        return tidy(found, covariates, axes)

    def event_probabilities(
        self, newdata: pd.DataFrame | None = None, **options: Any
    ) -> pd.DataFrame:
        """Probability of each event.

        Parameters
        ----------
        newdata : DataFrame, optional
        **options
            ``spent``, ``ci``, ``interval``, ``draws``, ``seed``; see `EventQuantities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, event, estimate, lower, upper.

        Examples
        --------
        Of women, and of those without an event after ten years:

        >>> import pandas as pd
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, "event", "exponential",
        ...                           concomitant="~ sex")
        >>> fit, women = spec.fit("em", seed=1), pd.DataFrame({"sex": ["F"]})
        >>> fit.event_probabilities(women)[["event", "estimate"]].round(3).values.tolist()
        [['death', 0.793], ['pcm', 0.207]]
        >>> later = fit.event_probabilities(women, spent=10)
        >>> later[["event", "estimate"]].round(3).values.tolist()
        [['death', 0.68], ['pcm', 0.32]]
        """
        events = self._source.spec.components
        return self._estimates(
            newdata, options, event_probabilities, "probability", ("event", events)
        )

    def mean_time(self, newdata: pd.DataFrame | None = None, **options: Any) -> pd.DataFrame:
        """Expected time to each event among those who have it; infinite where there is none.

        Parameters
        ----------
        newdata : DataFrame, optional
        **options
            See `EventQuantities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, event, estimate, lower, upper; in the units of the times.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, "event", "exponential",
        ...                           concomitant="~ sex")
        >>> fit, women = spec.fit("em", seed=1), pd.DataFrame({"sex": ["F"]})
        >>> fit.mean_time(women)[["event", "estimate"]].round(3).values.tolist()
        [['death', 9.591], ['pcm', 22.093]]
        """
        events = self._source.spec.components
        return self._estimates(newdata, options, mean_time, "positive", ("event", events))

    def quantile_time(
        self,
        q: float | Sequence[float] = (0.25, 0.5, 0.75),
        newdata: pd.DataFrame | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Times by which shares q of those with an event have had it.

        Parameters
        ----------
        q : float or sequence of float
            Between 0 and 1.
        newdata : DataFrame, optional
        **options
            See `EventQuantities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, q, event, estimate, lower, upper; infinite where
            fewer ever have it.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, "event", "exponential",
        ...                           concomitant="~ sex")
        >>> fit, women = spec.fit("em", seed=1), pd.DataFrame({"sex": ["F"]})
        >>> fit.quantile_time(0.5, women)[["event", "estimate"]].round(3).values.tolist()
        [['death', 6.648], ['pcm', 15.314]]
        """
        shares = numbers("q", q, low=0.0, high=1.0)
        events = self._source.spec.components

        def quantity(times: EventTimes) -> np.ndarray:
            return quantile_time(times, shares)

        return self._estimates(
            newdata, options, quantity, "positive", ("q", list(shares)), ("event", events)
        )

    def restricted_mean_time(
        self, tau: float, newdata: pd.DataFrame | None = None, **options: Any
    ) -> pd.DataFrame:
        """Expected time to each event or tau, whichever comes first.

        Parameters
        ----------
        tau : float
            From the origin, in the units of the times.
        newdata : DataFrame, optional
        **options
            See `EventQuantities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, event, estimate, lower, upper.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, "event", "exponential",
        ...                           concomitant="~ sex")
        >>> fit, women = spec.fit("em", seed=1), pd.DataFrame({"sex": ["F"]})
        >>> fit.restricted_mean_time(10, women)[["event", "estimate"]].round(3).values.tolist()
        [['death', 6.21], ['pcm', 8.043]]
        """
        limit = one_number("tau", tau, low=0.0)

        def quantity(times: EventTimes) -> np.ndarray:
            return restricted_mean_time(times, limit)

        events = self._source.spec.components
        return self._estimates(newdata, options, quantity, "positive", ("event", events))

    def density(
        self,
        times: float | Sequence[float],
        newdata: pd.DataFrame | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Density of the time to each event among those who have it.

        Parameters
        ----------
        times : float or sequence of float
            From the origin.
        newdata : DataFrame, optional
        **options
            See `EventQuantities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, time, event, estimate, lower, upper; per unit of time.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, "event", "exponential",
        ...                           concomitant="~ sex")
        >>> fit, women = spec.fit("em", seed=1), pd.DataFrame({"sex": ["F"]})
        >>> fit.density(1, women)[["event", "estimate"]].round(3).values.tolist()
        [['death', 0.094], ['pcm', 0.043]]
        """
        grid = numbers("times", times, low=0.0)

        def quantity(events: EventTimes) -> np.ndarray:
            return density(events, grid)

        events_axis = ("event", self._source.spec.components)
        return self._estimates(
            newdata, options, quantity, "positive", ("time", list(grid)), events_axis
        )

    def state_probabilities(
        self,
        times: float | Sequence[float],
        newdata: pd.DataFrame | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Probability to be without an event, the state "start", and to have had each one.

        Parameters
        ----------
        times : float or sequence of float
            From the origin.
        newdata : DataFrame, optional
        **options
            See `EventQuantities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, time, state, estimate, lower, upper.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, "event", "exponential",
        ...                           concomitant="~ sex")
        >>> fit, women = spec.fit("em", seed=1), pd.DataFrame({"sex": ["F"]})
        >>> fit.state_probabilities(10, women)[["state", "estimate"]].round(3).values.tolist()
        [['start', 0.411], ['death', 0.514], ['pcm', 0.075]]
        """
        grid = numbers("times", times, low=0.0, end=True)

        def quantity(events: EventTimes) -> np.ndarray:
            return state_probabilities(events, grid)

        states = ("state", (START, *self._source.spec.components))
        return self._estimates(
            newdata, options, quantity, "probability", ("time", list(grid)), states
        )

    def aalen_johansen(
        self,
        by: str | Sequence[str] | None = None,
        times: Sequence[float] | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """State probabilities of the model beside the Aalen-Johansen estimate of its data.

        Parameters
        ----------
        by : str or sequence of str, optional
            Columns whose levels make groups.  The model's probabilities are averages
            over the rows of each.
        times : sequence of float, optional
            Of the model's curves; by default 100 from zero to the last one observed.
        **options
            ``ci``, ``interval``, ``draws``, ``seed``; see `EventQuantities`.

        Returns
        -------
        DataFrame
            Columns by, time, state, estimate, lower, upper, source ("model" or
            "nonparametric").

        Raises
        ------
        DataError
            Where the data have no such estimate: interval- or left-censored times, or an
            exact time of an unknown event.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, "event", "exponential",
        ...                           concomitant="~ sex")
        >>> fit = spec.fit("em", seed=1)
        >>> table = fit.aalen_johansen(by="sex", times=[10])
        >>> model = table[table["source"] == "model"]
        >>> model[["sex", "state", "estimate"]].round(3).values.tolist()[:3]
        [['F', 'start', 0.411], ['F', 'death', 0.514], ['F', 'pcm', 0.075]]
        """
        estimator = Estimator(**known_options(options))
        return compare_states(self._source, estimator, by, times)


class CompetingRisksFit(EventQuantities, PointFit):
    """A fit of competing events by maximum likelihood, or to the posterior mode.

    Made by `CompetingRisks.fit`.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("mgus2")
    >>> spec = bmx.CompetingRisks(
    ...     "surv(years, status) ~ 1", data, event="event", family="exponential"
    ... )
    >>> fit = spec.fit("em", seed=1)
    >>> fit.status, round(fit.loglik, 4)
    ('converged', -3667.0955)
    >>> fit.mean_time()[["event", "estimate"]].round(3).values.tolist()
    [['death', 9.743], ['pcm', 20.951]]
    """

    @property
    def _source(self) -> Source:
        return Source(self._fitted.spec, self._fitted, None)


class CompetingRisksPosterior(EventQuantities, Posterior):
    """The posterior of a model of competing events: draws and what can be read off them.

    Made by `CompetingRisks.fit` with method "nuts" or "laplace".

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("mgus2")
    >>> spec = bmx.CompetingRisks(
    ...     "surv(years, status) ~ 1", data, event="event", family="exponential"
    ... )
    >>> posterior = spec.fit("laplace", seed=1)
    >>> posterior.components, posterior.khat < 0.7
    (('death', 'pcm'), True)
    """

    @property
    def _source(self) -> Source:
        return Source(self._drawn.spec, None, self._drawn.thinned(MOST_DRAWS))


class CompetingRisks(Model):
    r"""A mixture model of competing events.

    Every subject has one of several events; which one, and when, is

    .. math::

       P(\text{event } s \text{ by } t \mid w, x) =
           \pi_s(w; \alpha) \, F_s(t \mid x, \theta_s)

    with the probabilities :math:`\pi_s` a multinomial logit in the concomitant
    covariates (the first event is the baseline) and :math:`F_s` the distribution of
    the time to event s among those who have it.  An observation contributes
    :math:`\log \sum_s m_s \pi_s L_s`, where :math:`m_s` tells which events it may have
    been, and :math:`L_s` is the density at an exact time, the survival function at a
    right-censored one, or the probability of an interval.

    Parameters
    ----------
    formula : str or dict of event to str
        ``"surv(time, status) ~ x"`` for all events, or one for each, with its own
        times, censoring and covariates.  The covariates describe the location
        parameter of the event's family.
    data : DataFrame
        One row for each subject.
    event : str
        Column that names each subject's event, strings (then sorted) or a
        Categorical; missing where it is unknown.
    family : str, Family or dict of event to these
        Distributions of the times.  An event of the dict that no row has, such as
        one with the family "cured", comes last.
    ancillary : dict of event to dict of str to str, optional
        Formulas of the other parameters, ``{"death": {"shape": "~ sex"}}``.
    concomitant : str, optional
        Covariates of the event probabilities, ``"~ age + sex"``.
    partial_events : dict of str to list of str, optional
        Codes in the event column that stand for several events.
    truncation : str
        With delayed entry, ``surv(entry, time, status, kind="counting")``:
        "mixture" divides a subject's likelihood by
        :math:`\sum_s \pi_s S_s(\text{entry})`, so that the probabilities are those at
        time zero; "component" divides each :math:`L_s` by its own
        :math:`S_s(\text{entry})`, so that they are given that entry is reached.
    weights : str, optional
        Column of frequency weights; w equals w copies of the subject.
    priors : None, "flat" or dict
        As of `Mixture`; the names are those of `PointFit.params`, such as "scale",
        "shape[sex]", "weight" or "alpha[age]", on their link scales.
    na_action : str
        "error", or "drop" rows with missing values in the columns used.  A missing
        event is no missing value, nor is the bound of an interval.

    Raises
    ------
    SpecError, FormulaError, DataError
        With what was given, what is allowed and what to do.

    References
    ----------
    Larson and Dinse (1985), Applied Statistics 34, 201-211.  Jackson et al. (2022),
    Statistical Methods in Medical Research 31, 1656-1674.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("mgus2")
    >>> spec = bmx.CompetingRisks(
    ...     "surv(years, status) ~ 1",
    ...     data,
    ...     event="event",
    ...     family={"pcm": "weibull", "death": "lognormal"},
    ... )
    >>> spec.components
    ('death', 'pcm')
    """

    _point_class: ClassVar[type[PointFit]] = CompetingRisksFit
    _posterior_class: ClassVar[type[Posterior]] = CompetingRisksPosterior

    def __init__(
        self,
        formula: str | Mapping[Hashable, str],
        data: pd.DataFrame,
        event: str,
        family: str | Family | Mapping[Hashable, str | Family],
        ancillary: Mapping[Hashable, Mapping[str, str]] | None = None,
        concomitant: str | None = None,
        partial_events: Mapping[Hashable, Sequence[Hashable]] | None = None,
        truncation: str = "mixture",
        weights: str | None = None,
        priors: Any = None,
        na_action: str = "error",
    ) -> None:
        prepared = prepare_events(
            formula,
            data,
            event=event,
            family=family,
            ancillary=ancillary,
            concomitant=concomitant,
            partial_events=partial_events,
            truncation=truncation,
            weights=weights,
            na_action=na_action,
            scope=Scope.capture(1),
        )
        assert prepared.events is not None
        super().__init__(assemble(prepared, len(prepared.events.names)), priors)
