"""Probabilities and times of competing events, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bayesmix._arguments import door
from bayesmix.api.times import TimeQuantities
from bayesmix.errors import FitError
from bayesmix.survival.comparison import compare_curves
from bayesmix.survival.intervals import Estimator, known_options, numbers
from bayesmix.survival.mixed import times_table


@door(error=FitError)
class EventQuantities(TimeQuantities):
    """Probabilities of competing events, in addition to the times of `TimeQuantities`.

    Every table is tidy: one row for each row of the new data, event (or state) and time.  The
    options ``spent``, ``ci``, ``interval``, ``draws``, ``seed``, ``kind`` and ``cluster`` are those
    of `TimeQuantities`, and so are the errors.

    `survival` and `hazard` describe the time without any event, besides those of each component.
    """

    def event_probabilities(
        self, newdata: pd.DataFrame | None = None, **options: Any
    ) -> pd.DataFrame:
        """Probability that each event ever happens.

        With a Gompertz distribution of negative shape some subjects never have the event: then
        the probabilities add up to less than one, and `cured_fraction` is the rest.  A
        component with the family "cured" has its own row.

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
        For women, and for women without an event after ten years:

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
        return times_table(self.source, "event_probabilities", newdata, None, None, options)

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
            Counted from the origin.
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
        return times_table(self.source, "density", newdata, None, None, options, grid)

    def state_probabilities(
        self,
        times: float | Sequence[float],
        newdata: pd.DataFrame | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Probability of being in each state: still without an event ("start"), or after an event.

        If an event is called "start", the state without an event is called "no event".

        Parameters
        ----------
        times : float or sequence of float
            Counted from the origin.
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
        return times_table(self.source, "state_probabilities", newdata, None, None, options, grid)

    def aalen_johansen(
        self,
        by: str | Sequence[str] | None = None,
        times: Sequence[float] | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """State probabilities of the model beside the Aalen-Johansen estimate.

        Parameters
        ----------
        by : str or sequence of str, optional
            Columns whose levels make groups; the model's probabilities are averaged over the
            rows of each group.
        times : sequence of float, optional
            Times of the model's curves; by default 100 from zero to the last one observed.
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
            If the estimate does not exist: for interval- or left-censored times, or for an
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
        return compare_curves(self.source, estimator, by, times)
