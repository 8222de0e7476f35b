"""Tables of what fits and posteriors of mixtures say of survival times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bayesmix._arguments import door
from bayesmix.api.base import Result
from bayesmix.errors import FitError
from bayesmix.survival.comparison import compare_survival
from bayesmix.survival.intervals import Estimator, known_options, numbers, one_number
from bayesmix.survival.mixed import times_table
from bayesmix.survival.scores import brier_scores, calibration

__all__ = ["TimeQuantities"]


@door(error=FitError)
class TimeQuantities(Result):
    r"""What fits and posteriors say of survival times, by component and of all together.

    .. math:: S(t \mid x, z) = \sum_s \pi_s(z) \, S_s(t \mid x)

    Every table is tidy: a row for each row of the new data, time and component, with the
    covariates, and ``estimate``, ``lower`` and ``upper``.  The component is missing where a row is
    of all components together, the marginal.  Without new data the rows are the training rows,
    or a single one where the model has no covariates.  Options that all methods share:

    ``by``
        "component" or "marginal": these rows alone.  True averages over all rows, and a column
        of the data or several average within the groups that they make: standardised survival
        curves, and the hazards and quantiles of these.  The training rows count by their case
        weights.
    ``response``
        Which survival time, where the model has several.
    ``spent``
        Time already spent without the event, a number or a column of the new data: the
        quantity is given that.  The components' weights are then those of the survivors.
    ``ci``
        Coverage of the intervals.
    ``interval``, ``draws``, ``seed``
        Of a point fit: "delta" (by the delta method, on the logit or log scale), or
        "simulation" with so many draws from the estimates' normal approximation.
    ``kind``, ``cluster``
        Of a point fit: which covariance, as in `PointFit.covariance`.

    Of competing events, means and quantiles are of those who would have an event, with a column
    event in place of the component, and of all together only under ``by="marginal"``.

    All raise a `DataError` where the new data lack a column or level, and a `FitError` where the
    model has no survival time, or an option is unknown or does not apply.
    """

    def survival(
        self,
        times: float | Sequence[float],
        newdata: pd.DataFrame | None = None,
        by: bool | str | Sequence[str] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Probability to be without the event at some times.

        Parameters
        ----------
        times : float or sequence of float
            From the origin.
        newdata : DataFrame, optional
        by : True, str or list of str, optional
        response : str, optional
        **options
            ``spent``, ``ci``, ``interval``, ``draws``, ``seed``, ``kind``, ``cluster``; see
            `TimeQuantities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, time, component, estimate, lower, upper; with groups
            their columns in place of the row and covariates.

        Examples
        --------
        Averaged over the women and the men of the data:

        >>> import bayesmix as bmx
        >>> data = bmx.load_data("mgus2")
        >>> spec = bmx.Mixture("surv(years, status) ~ age", data, family="weibull",
        ...                    k=1, fixed="~ sex")
        >>> curve = spec.fit("em", seed=1).survival([5, 10], by=["sex", "marginal"])
        >>> curve[["sex", "time", "estimate"]].round(2).values.tolist()
        [['F', 5.0, 0.64], ['F', 10.0, 0.43], ['M', 5.0, 0.58], ['M', 10.0, 0.36]]
        """
        grid = numbers("times", times, low=0.0, end=True)
        return times_table(self._source, "survival", newdata, by, response, options, grid)

    def hazard(
        self,
        times: float | Sequence[float],
        newdata: pd.DataFrame | None = None,
        by: bool | str | Sequence[str] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        r"""Rate of the event at some times, of those without it until then.

        .. math:: h(t) = \sum_s \pi_s f_s(t) / \sum_s \pi_s S_s(t)

        Parameters
        ----------
        times : float or sequence of float
            From the origin.
        newdata : DataFrame, optional
        by : True, str or list of str, optional
        response : str, optional
        **options
            See `TimeQuantities`.

        Returns
        -------
        DataFrame
            Columns as of `survival`; per unit of time.

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
        return times_table(self._source, "hazard", newdata, by, response, options, grid)

    def mean_time(
        self,
        newdata: pd.DataFrame | None = None,
        among: str = "all",
        by: bool | str | Sequence[str] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Expected time to the event.

        Infinite where the expectation does not exist, and where some never have the event, as in
        cure models.

        Parameters
        ----------
        newdata : DataFrame, optional
        among : {"all", "events"}
            All of them, or those who ever have the event.
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

        Of competing events:

        >>> spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, "event", "exponential")
        >>> spec.fit("em", seed=1).mean_time()[["event", "estimate"]].round(2).values.tolist()
        [['death', 9.74], ['pcm', 20.95]]
        """
        return times_table(self._source, "mean_time", newdata, by, response, options, among)

    def quantile_time(
        self,
        q: float | Sequence[float] = (0.25, 0.5, 0.75),
        newdata: pd.DataFrame | None = None,
        among: str = "all",
        by: bool | str | Sequence[str] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Times by which shares q have had the event; infinite where fewer ever have it.

        Parameters
        ----------
        q : float or sequence of float
            Between 0 and 1.
        newdata : DataFrame, optional
        among : {"all", "events"}
            All of them, or those who ever have the event.
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
            self._source, "quantile_time", newdata, by, response, options, shares, among
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
        r"""Expected time to the event or tau, whichever comes first.

        .. math:: \int_0^\tau S(t) \, dt

        Parameters
        ----------
        tau : float
            From the origin, in the units of the times.
        newdata : DataFrame, optional
        among : {"all", "events"}
            All of them, or those who ever have the event.
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
        limit = one_number("tau", tau, low=0.0)
        return times_table(
            self._source, "restricted_mean_time", newdata, by, response, options, limit, among
        )

    def kaplan_meier(
        self,
        by: str | Sequence[str] | None = None,
        times: Sequence[float] | None = None,
        response: str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Survival probabilities of the model beside the Kaplan-Meier estimate of its data.

        Parameters
        ----------
        by : str or sequence of str, optional
            Columns whose levels make groups.  The model's probabilities are averages
            over the rows of each.
        times : sequence of float, optional
            Of the model's curves; by default 100 from zero to the last one observed.
        response : str, optional
        **options
            ``ci``, ``interval``, ``draws``, ``seed``, ``kind``, ``cluster``; see
            `TimeQuantities`.

        Returns
        -------
        DataFrame
            Columns by, time, estimate, lower, upper, source ("model" or "nonparametric").  Of a
            posterior at most 1000 draws are used.

        Raises
        ------
        DataError
            Where the data have no such estimate: interval- or left-censored times.

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
        return compare_survival(self._source, estimator, by, times, response)

    def brier_score(
        self,
        times: float | Sequence[float],
        newdata: pd.DataFrame | None = None,
        response: str | None = None,
    ) -> pd.DataFrame:
        r"""Mean squared error of predicted event probabilities, beside that without covariates.

        .. math::

           \frac{1}{n} \sum_i w_i(t) \, (1\{\text{event } k \text{ by } t\} - F_k(t \mid x_i))^2

        with weights that stand for those who were censored before t, the inverse of Kaplan and
        Meier's probability not to be.

        Parameters
        ----------
        times : float or sequence of float
        newdata : DataFrame, optional
            Other rows than the training rows, with their times and events: an out-of-sample
            curve.
        response : str, optional
            Which survival time, where the model has several.

        Returns
        -------
        DataFrame
            Columns time, event ("event" where there are no competing ones), score, se,
            reference (the score of the training data's Aalen-Johansen estimate, the same for
            all), and improvement, 1 - score / reference.

        Raises
        ------
        FitError
            If nobody was followed that long.
        DataError
            For delayed entries, interval- or left-censored times, or exact times of unknown
            events.

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
        return brier_scores(self._source, grid, newdata, response)

    def calibration(
        self,
        times: float | Sequence[float],
        newdata: pd.DataFrame | None = None,
        groups: int = 5,
        response: str | None = None,
        ci: float = 0.95,
    ) -> pd.DataFrame:
        """Predicted event probabilities beside what was observed, in groups by prediction.

        Parameters
        ----------
        times : float or sequence of float
        newdata : DataFrame, optional
            Other rows than the training rows, with their times and events.
        groups : int
            Of about equal size.
        response : str, optional
            Which survival time, where the model has several.
        ci : float
            Coverage of the limits.

        Returns
        -------
        DataFrame
            Columns time, event, group, n, predicted (the mean), observed (Aalen-Johansen's
            estimate in the group), lower, upper.

        Raises
        ------
        FitError, DataError
            As of `brier_score`.

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
        return calibration(self._source, grid, newdata, response, int(groups), ci)
