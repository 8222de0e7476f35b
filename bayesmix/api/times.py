"""Survival curves, hazards and times of mixtures, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bayesmix._arguments import door
from bayesmix.api.base import Result
from bayesmix.errors import FitError
from bayesmix.survival.comparison import compare_curves
from bayesmix.survival.intervals import (
    Estimator,
    known_options,
    numbers,
    response_place,
)
from bayesmix.survival.mixed import times_table
from bayesmix.survival.scores import brier_scores, calibration


@door(error=FitError)
class TimeQuantities(Result):
    r"""Survival curves, hazards and times, for each component and for all together.

    .. math:: S(t \mid x, z) = \sum_s \pi_s(z) \, S_s(t \mid x)

    Every table is tidy: one row for each row of the new data, time and component, with the
    covariates and ``estimate``, ``lower`` and ``upper``.  In marginal rows, for all components
    together, the component is missing.  Without new data, the rows are the training rows, or a
    single row if the model has no covariates.  All methods share these options:

    ``by``
        "component" or "marginal": only these rows.  True averages over all rows; columns of the
        data average within the groups that they make.  The averages are standardised survival
        curves, and their hazards and quantiles.  Training rows count with their case weights,
        and a time that belongs to the unit (``per="unit"``) once for each unit.
    ``response``
        Which survival time, if the model has several.
    ``spent``
        Time already spent without the event (a number, or a column of the new data); the
        quantity is conditional on it, and times still count from the origin: less the time
        spent, a mean is the mean remaining time.  Component weights are those among survivors.
    ``ci``
        Coverage of the intervals.
    ``interval``, ``draws``, ``seed``
        For a point fit: "delta" (the delta method: for survival on the log-log
        scale, for other probabilities on the logit scale, else on the log scale), or "simulation"
        with this number of draws from the normal approximation of the estimates.
    ``kind``, ``cluster``
        For a point fit: which covariance, as in `PointFit.covariance`.

    For competing events, means and quantiles are those of the subjects who would have an event.
    A column event replaces the component; marginal rows appear only with ``by="marginal"``.

    All methods raise a `DataError` if the new data lack a column or level, and a `FitError` if
    the model has no survival time, or an option is unknown or does not apply.
    """

    def survival(
        self,
        times: float | Sequence[float],
        newdata: pd.DataFrame | None = None,
        by: bool | str | Sequence[str] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Probability of being without the event at given times.

        Parameters
        ----------
        times : float or sequence of float
            Counted from the origin.
        newdata : DataFrame, optional
        by : True, str or list of str, optional
        response : str, optional
        **options
            ``spent``, ``ci``, ``interval``, ``draws``, ``seed``, ``kind``, ``cluster``; see
            `TimeQuantities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, time, component, estimate, lower, upper; averages within
            groups have the groups' columns instead of row and covariates.

        Examples
        --------
        Averages over the women and over the men in the data:

        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.Mixture("surv(years, status) ~ age", data, family="weibull",
        ...                    k=1, fixed="~ sex")
        >>> curve = spec.fit("em", seed=1).survival([5, 10], by=["sex", "marginal"])
        >>> curve[["sex", "time", "estimate"]].round(2).values.tolist()
        [['F', 5.0, 0.64], ['F', 10.0, 0.43], ['M', 5.0, 0.58], ['M', 10.0, 0.36]]
        """
        grid = numbers("times", times, low=0.0, end=True)
        return times_table(self.source, "survival", newdata, by, response, options, grid)

    def hazard(
        self,
        times: float | Sequence[float],
        newdata: pd.DataFrame | None = None,
        by: bool | str | Sequence[str] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        r"""Rate of the event at given times, among those still without it.

        .. math:: h(t) = \sum_s \pi_s f_s(t) / \sum_s \pi_s S_s(t)

        Parameters
        ----------
        times : float or sequence of float
            Counted from the origin.
        newdata : DataFrame, optional
        by : True, str or list of str, optional
        response : str, optional
        **options
            See `TimeQuantities`.

        Returns
        -------
        DataFrame
            Columns as for `survival`; per unit of time.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.Mixture("surv(years, status) ~ 1", data,
        ...                    family="exponential", k=1)
        >>> spec.fit("em", seed=1).hazard([1, 10], by="marginal")["estimate"].round(3).tolist()
        [0.09, 0.09]
        """
        grid = numbers("times", times, low=0.0)
        return times_table(self.source, "hazard", newdata, by, response, options, grid)

    def mean_time(
        self,
        newdata: pd.DataFrame | None = None,
        among: str = "all",
        by: bool | str | Sequence[str] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Expected time to the event.

        It is infinite if the expectation does not exist, or if some never have the event, as in
        cure models.

        Parameters
        ----------
        newdata : DataFrame, optional
        among : {"all", "events"}
            "all": everybody.  "events": only those who ever have the event.
        by : True, str or list of str, optional
        response : str, optional
        **options
            See `TimeQuantities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, component, estimate, lower, upper; in the units of the times.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.Mixture("surv(years, status) ~ 1", data,
        ...                    family="exponential", k=1)
        >>> spec.fit("em", seed=1).mean_time(by="marginal")["estimate"].round(2).tolist()
        [11.07]

        For competing events:

        >>> spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, "event", "exponential")
        >>> spec.fit("em", seed=1).mean_time()[["event", "estimate"]].round(2).values.tolist()
        [['death', 9.74], ['pcm', 20.95]]
        """
        return times_table(self.source, "mean_time", newdata, by, response, options, among)

    def quantile_time(
        self,
        q: float | Sequence[float] = (0.25, 0.5, 0.75),
        newdata: pd.DataFrame | None = None,
        among: str = "all",
        by: bool | str | Sequence[str] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Times by which a share q has had the event; infinite if fewer ever have it.

        Parameters
        ----------
        q : float or sequence of float
            Shares between 0 and 1.
        newdata : DataFrame, optional
        among : {"all", "events"}
            "all": everybody.  "events": only those who ever have the event.
        by : True, str or list of str, optional
        response : str, optional
        **options
            See `TimeQuantities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, q, component, estimate, lower, upper.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.Mixture("surv(years, status) ~ 1", data,
        ...                    family="exponential", k=1)
        >>> spec.fit("em", seed=1).quantile_time(0.5, by="marginal")["estimate"].round(2).tolist()
        [7.67]
        """
        shares = numbers("q", q, low=0.0, high=1.0)
        return times_table(
            self.source, "quantile_time", newdata, by, response, options, shares, among
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
        r"""Expected time to the event or to tau, whichever comes first.

        .. math:: \int_0^\tau S(t) \, dt

        Parameters
        ----------
        tau : float
            Counted from the origin, in the units of the times.
        newdata : DataFrame, optional
        among : {"all", "events"}
            "all": everybody.  "events": only those who ever have the event.
        by : True, str or list of str, optional
        response : str, optional
        **options
            See `TimeQuantities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, component, estimate, lower, upper.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.Mixture("surv(years, status) ~ 1", data,
        ...                    family="exponential", k=1)
        >>> found = spec.fit("em", seed=1).restricted_mean_time(10, by="marginal")
        >>> found["estimate"].round(2).tolist()
        [6.58]
        """
        limit = float(numbers("tau", tau, low=0.0)[0])
        return times_table(
            self.source, "restricted_mean_time", newdata, by, response, options, limit, among
        )

    def kaplan_meier(
        self,
        by: str | Sequence[str] | None = None,
        times: Sequence[float] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Survival probabilities of the model beside the Kaplan-Meier estimate.

        Parameters
        ----------
        by : str or sequence of str, optional
            Columns whose levels make groups; the model's probabilities are averaged over the
            rows of each group.
        times : sequence of float, optional
            Times of the model's curves; by default 100 from zero to the last one observed.
        response : str, optional
        **options
            ``ci``, ``interval``, ``draws``, ``seed``, ``kind``, ``cluster``; see
            `TimeQuantities`.

        Returns
        -------
        DataFrame
            Columns by, time, estimate, lower, upper, source ("model" or "nonparametric").  At
            most 1000 draws of a posterior are used.

        Raises
        ------
        DataError
            If the estimate does not exist: for interval- or left-censored times.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.Mixture("surv(years, status) ~ sex", data, family="weibull", k=1)
        >>> table = spec.fit("em", seed=1).kaplan_meier(by="sex", times=[10])
        >>> table[table["source"] == "model"]["estimate"].round(2).tolist()
        [0.44, 0.37]
        """
        estimator = Estimator(**known_options(options))
        at = response_place(self.source.spec, response, "kaplan_meier")
        return compare_curves(self.source, estimator, by, times, at)

    def brier_score(
        self,
        times: float | Sequence[float],
        newdata: pd.DataFrame | None = None,
        response: str | None = None,
        ci: float = 0.95,
    ) -> pd.DataFrame:
        r"""Mean squared error of predicted event probabilities, with and without covariates.

        .. math::

           \frac{1}{n} \sum_i w_i(t) \, (1\{\text{event } k \text{ by } t\} - F_k(t \mid x_i))^2

        The weights w make up for those censored before t: they are the inverse of the
        Kaplan-Meier probability of not being censored.  A row with a delayed entry is predicted
        given that it was without the event then, and counts at times after its entry.  Rows
        without a time (``na_action="fiml"``) do not count.

        Parameters
        ----------
        times : float or sequence of float
        newdata : DataFrame, optional
            Other rows than the training rows, with their times and events, for an
            out-of-sample score.
        response : str, optional
            Which survival time, if the model has several.
        ci : float
            Coverage of the limits, symmetric on the log scale, by the influence function: the
            predictions are taken as given, the weights as estimated.

        Returns
        -------
        DataFrame
            Columns time, event ("event" without competing events), score, se, lower, upper,
            reference, and improvement = 1 - score / reference.  reference is the score of one
            prediction for everybody: the Aalen-Johansen estimate of the training data.

        Raises
        ------
        FitError
            If nobody was followed that long.
        DataError
            If there are interval- or left-censored times, exact times of unknown events,
            histories in several rows, or entries under ``truncation="component"``.

        References
        ----------
        Graf, Schmoor, Sauerbrei and Schumacher (1999), Statistics in Medicine 18, 2529-2545.
        Gerds and Schumacher (2006), Biometrical Journal 48, 1029-1040.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.CompetingRisks("surv(years, status) ~ age", data.iloc[:900], "event",
        ...                           {"pcm": "weibull", "death": "gompertz"})
        >>> fit = spec.fit("em", seed=1)
        >>> later = fit.brier_score([5, 10], data.iloc[900:])
        >>> later.query("event == 'death'")["improvement"].round(2).tolist()
        [0.03, 0.18]
        """
        grid = numbers("times", times, low=0.0)
        return brier_scores(self.source, grid, newdata, response, ci)

    def calibration(
        self,
        times: float | Sequence[float],
        newdata: pd.DataFrame | None = None,
        groups: int = 5,
        response: str | None = None,
        ci: float = 0.95,
    ) -> pd.DataFrame:
        """Predicted and observed event probabilities, in groups of similar predictions.

        Parameters
        ----------
        times : float or sequence of float
        newdata : DataFrame, optional
            Other rows than the training rows, with their times and events.
        groups : int
            Number of groups, of about equal size.
        response : str, optional
            Which survival time, if the model has several.
        ci : float
            Coverage of the limits.

        Returns
        -------
        DataFrame
            Columns time, event, group, n, predicted (the mean), observed (weighted for
            censoring: without delayed entries the Aalen-Johansen estimate in the group), lower,
            upper.

        Raises
        ------
        FitError, DataError
            As for `brier_score`.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.CompetingRisks("surv(years, status) ~ age", data, "event",
        ...                           {"pcm": "weibull", "death": "gompertz"})
        >>> table = spec.fit("em", seed=1).calibration(10, groups=3)
        >>> table.query("event == 'death'")[["predicted", "observed"]].round(2).values.tolist()
        [[0.3, 0.29], [0.55, 0.51], [0.74, 0.81]]
        """
        grid = numbers("times", times, low=0.0)
        most = self._specification.rows.n if newdata is None else len(newdata)
        if not 1 <= groups <= most:
            msg = f"groups={groups} must be a whole number between 1 and {most}, the number of rows"
            raise FitError(msg)
        return calibration(self.source, grid, newdata, response, int(groups), ci)
