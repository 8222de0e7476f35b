"""Tables of what fits and posteriors of competing events say of times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import door
from bayesmix.api.times import TimeQuantities
from bayesmix.errors import FitError
from bayesmix.results.printing import Printed
from bayesmix.survival.comparison import compare_states, start_state
from bayesmix.survival.intervals import (
    Estimator,
    band,
    known_options,
    numbers,
    one_number,
    response_place,
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

__all__ = ["EventQuantities"]


@door(error=FitError)
class EventQuantities(TimeQuantities):
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
    ``kind``, ``cluster``
        Of a point fit: which covariance, as in `PointFit.covariance`.

    `survival` and `hazard` are of the time without any event, beside those of each component.
    All raise a `DataError` where the new data lack a column or level, and a `FitError` where an
    option is unknown or does not apply.
    """

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
        """Probability that each event ever comes.

        Where some of those who would have an event never do, as with a Gompertz distribution
        of negative shape, the probabilities add up to less than one: `cured_fraction` is the
        rest.  An event that is none, of the family "cured", has its own share.

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

    def mean_time(
        self,
        newdata: pd.DataFrame | None = None,
        among: str = "all",
        by: bool | str | Sequence[str] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Expected time to each event of those who would have that one.

        Infinite where the expectation does not exist, and where some never have the event.

        Parameters
        ----------
        newdata : DataFrame, optional
        among : {"all", "events"}
            All of them, or those who ever have the event.
        by : True, str or list of str, optional
            Averages over all rows, or within the groups that columns make.
        response : str, optional
            Of events with several responses.
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
        response_place(self._source.spec, response, "mean_time")
        if by is not None:
            return _of_events(super().mean_time(newdata, among, by, response, **options), by)
        events = self._source.spec.components

        def quantity(times: EventTimes) -> np.ndarray:
            return mean_time(times, among)

        return self._estimates(newdata, options, quantity, "positive", ("event", events))

    def quantile_time(
        self,
        q: float | Sequence[float] = (0.25, 0.5, 0.75),
        newdata: pd.DataFrame | None = None,
        among: str = "all",
        by: bool | str | Sequence[str] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Times by which shares q of those who would have an event have had it.

        Parameters
        ----------
        q : float or sequence of float
            Between 0 and 1.
        newdata : DataFrame, optional
        among : {"all", "events"}
            All of them, or those who ever have the event.
        by, response
            As of `mean_time`.
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
        response_place(self._source.spec, response, "quantile_time")
        if by is not None:
            found = super().quantile_time(q, newdata, among, by, response, **options)
            return _of_events(found, by)
        shares = numbers("q", q, low=0.0, high=1.0)
        events = self._source.spec.components

        def quantity(times: EventTimes) -> np.ndarray:
            return quantile_time(times, shares, among)

        return self._estimates(
            newdata, options, quantity, "positive", ("q", list(shares)), ("event", events)
        )

    def restricted_mean_time(
        self,
        tau: float,
        newdata: pd.DataFrame | None = None,
        among: str = "all",
        by: bool | str | Sequence[str] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Expected time to each event or tau, whichever comes first.

        Parameters
        ----------
        tau : float
            From the origin, in the units of the times.
        newdata : DataFrame, optional
        among : {"all", "events"}
            All who would have the event, or those who ever have it.
        by, response
            As of `mean_time`.
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
        response_place(self._source.spec, response, "restricted_mean_time")
        if by is not None:
            found = super().restricted_mean_time(tau, newdata, among, by, response, **options)
            return _of_events(found, by)
        limit = one_number("tau", tau, low=0.0)

        def quantity(times: EventTimes) -> np.ndarray:
            return restricted_mean_time(times, limit, among)

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

        Where an event is called "start", the state without one is called "no event".

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

        def quantity(times: EventTimes) -> np.ndarray:
            return state_probabilities(times, grid)

        events = self._source.spec.components
        states = ("state", (start_state(events), *events))
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


def _of_events(table: pd.DataFrame, by: Any) -> pd.DataFrame:
    """Rows of the events; those of all together only where `by` names them."""
    names = [by] if isinstance(by, str) else by if isinstance(by, Sequence) else []
    own = table if "marginal" in names else table[table["component"].notna()]
    own = own.rename(columns={"event": "event (covariate)"})
    event = own["component"].astype(object).infer_objects()
    return Printed(own.assign(component=event).rename(columns={"component": "event"}))
