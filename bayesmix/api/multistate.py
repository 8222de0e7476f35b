"""Multi-state models made of fits of competing events."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import door, generator, one_of
from bayesmix._arguments.memory import check_memory
from bayesmix._arguments.printing import Described
from bayesmix.api.competing import CompetingRisksFit, CompetingRisksPosterior
from bayesmix.api.quantities import EventQuantities
from bayesmix.errors import FitError, SpecError
from bayesmix.results.event_times import EventTimes, event_times
from bayesmix.results.uncertainty import Source
from bayesmix.survival import multistate
from bayesmix.survival.intervals import (
    Estimator,
    known_options,
    numbers,
    rows_of,
    spent_by_row,
    tidy,
)
from bayesmix.survival.multistate import Ways, ways
from bayesmix.survival.occupancy import occupancy, reachable

Models = Mapping[Hashable, EventTimes]
Axis = tuple[str, Sequence[Any]]
# Draws that tell whether some stay in a state.
MOST_DRAWS = 1000


def _fits_of_states(_: str, fits: Any, __: type[ValueError]) -> None:
    """Refuse anything but a dict of fits of competing events."""
    if not isinstance(fits, Mapping):
        raise SpecError(f"MultiState takes a dict of states to fits; given a {type(fits).__name__}")
    wrong = [s for s, fit in fits.items() if not isinstance(fit, EventQuantities)]
    if wrong:
        raise SpecError(
            f"the states {wrong} have no fits of bmx.CompetingRisks; every state that can be left "
            "needs one, with the next states as its events"
        )


@door(error=FitError, fits=_fits_of_states, by=one_of("final", "path"))
class MultiState(Described):
    r"""A multi-state model: competing events lead from each state to the next.

    The events in a state's fit are the states that may come next.  The clock restarts in each
    state (semi-Markov).  States without a fit are final.  The probability of a path is

    .. math:: P(s_0 \to s_1 \to \dots \to s_m) = \prod_j \pi_{s_j}^{(s_{j-1})}

    and its duration is the sum of the times to its events.

    Parameters
    ----------
    fits : dict of state to CompetingRisksFit or CompetingRisksPosterior
        All point fits, or all posteriors.
    start : state, optional
        By default the only state that follows no other.

    Raises
    ------
    SpecError
        If a path returns to a state, the start is ambiguous, or a fit is of another kind.

    References
    ----------
    Jackson, Tom, Kirwan et al. (2022), Statistical Methods in Medical Research 31,
    1656-1674.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayesmix as bmx
    >>> data = pd.DataFrame(
    ...     {"time": [1.0, 2.0, 3.0, 4.0, 2.5, 1.5], "status": 1,
    ...      "event": ["ill", "dead", "ill", "ill", "dead", "ill"]}
    ... )
    >>> first = bmx.CompetingRisks("surv(time, status) ~ 1", data, "event", "exponential")
    >>> later = bmx.CompetingRisks(
    ...     "surv(time, status) ~ 1", data.assign(event="dead"), "event", "exponential"
    ... )
    >>> states = bmx.MultiState({"healthy": first.fit(seed=1), "ill": later.fit(seed=1)})
    >>> states.path_probabilities()[["path", "estimate"]].round(3).values.tolist()
    [['healthy-dead', 0.333], ['healthy-ill-dead', 0.667]]
    """

    def __init__(
        self,
        fits: Mapping[Hashable, CompetingRisksFit | CompetingRisksPosterior],
        start: Hashable | None = None,
    ) -> None:
        drawn = [s for s, fit in fits.items() if isinstance(fit, CompetingRisksPosterior)]
        if 0 < len(drawn) < len(fits):
            raise SpecError(
                f"the states {drawn} have posteriors and the others point fits; give fits of one "
                "kind, so that their uncertainty is of one kind"
            )
        self._fits = dict(fits)
        self._along: Ways = ways({s: f.components for s, f in self._fits.items()}, start)

    @property
    def paths(self) -> tuple[tuple[Hashable, ...], ...]:
        """All paths from the start to the final states."""
        return self._along.paths

    @property
    def finals(self) -> tuple[Hashable, ...]:
        """The final states."""
        return self._along.finals

    def path_probabilities(
        self, newdata: pd.DataFrame | None = None, **options: Any
    ) -> pd.DataFrame:
        """Probability of each complete path.

        If some subjects never leave a state, as with a Gompertz distribution of negative shape,
        paths that end there are listed as well.

        Parameters
        ----------
        newdata : DataFrame, optional
            Covariates of all fits; not needed if no fit has covariates.
        **options
            ``ci``, ``interval``, ``draws``, ``seed``; see `EventQuantities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, path, estimate, lower, upper.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayesmix as bmx
        >>> data = pd.DataFrame({"time": [1.0, 2.0, 3.0, 4.0, 2.5, 1.5], "status": 1,
        ...                      "event": ["ill", "dead", "ill", "ill", "dead", "ill"]})
        >>> first = bmx.CompetingRisks("surv(time, status) ~ 1", data, "event", "exponential")
        >>> later = bmx.CompetingRisks("surv(time, status) ~ 1", data.assign(event="dead"),
        ...                            "event", "exponential")
        >>> states = bmx.MultiState({"healthy": first.fit(seed=1), "ill": later.fit(seed=1)})
        >>> states.path_probabilities()[["path", "estimate"]].round(3).values.tolist()
        [['healthy-dead', 0.333], ['healthy-ill-dead', 0.667]]
        """
        along = self._with_staying(newdata)
        found = partial(multistate.path_probabilities, along=along)
        return self._estimates(newdata, options, found, "logit", ("path", along.names))

    def final_probabilities(
        self, newdata: pd.DataFrame | None = None, **options: Any
    ) -> pd.DataFrame:
        """Probability of ending in each final state, or in a state that some never leave.

        Parameters
        ----------
        newdata : DataFrame, optional
        **options
            See `path_probabilities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, final, estimate, lower, upper.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayesmix as bmx
        >>> data = pd.DataFrame({"time": [1.0, 2.0, 3.0, 4.0, 2.5, 1.5], "status": 1,
        ...                      "event": ["ill", "dead", "ill", "ill", "dead", "ill"]})
        >>> first = bmx.CompetingRisks("surv(time, status) ~ 1", data, "event", "exponential")
        >>> later = bmx.CompetingRisks("surv(time, status) ~ 1", data.assign(event="dead"),
        ...                            "event", "exponential")
        >>> states = bmx.MultiState({"healthy": first.fit(seed=1), "ill": later.fit(seed=1)})
        >>> states.final_probabilities()[["final", "estimate"]].round(3).values.tolist()
        [['dead', 1.0]]
        """
        along = self._with_staying(newdata)
        found = partial(multistate.final_probabilities, along=along)
        return self._estimates(newdata, options, found, "logit", ("final", along.finals))

    def mean_time_to_final(
        self,
        newdata: pd.DataFrame | None = None,
        by: str = "final",
        among: str = "all",
        **options: Any,
    ) -> pd.DataFrame:
        """Expected time from the start to each final state, or along each path.

        Parameters
        ----------
        newdata : DataFrame, optional
        by : str
            "final" or "path".
        among : {"all", "events"}
            "all": everybody on these paths, with an infinite mean if some never arrive.
            "events": only those who arrive.
        **options
            See `path_probabilities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, final or path, estimate, lower, upper: conditional on the
            events of the path.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayesmix as bmx
        >>> data = pd.DataFrame({"time": [1.0, 2.0, 3.0, 4.0, 2.5, 1.5], "status": 1,
        ...                      "event": ["ill", "dead", "ill", "ill", "dead", "ill"]})
        >>> first = bmx.CompetingRisks("surv(time, status) ~ 1", data, "event", "exponential")
        >>> later = bmx.CompetingRisks("surv(time, status) ~ 1", data.assign(event="dead"),
        ...                            "event", "exponential")
        >>> states = bmx.MultiState({"healthy": first.fit(seed=1), "ill": later.fit(seed=1)})
        >>> table = states.mean_time_to_final(by="path")
        >>> table[["path", "estimate"]].round(3).values.tolist()
        [['healthy-dead', 2.25], ['healthy-ill-dead', 4.708]]
        """
        times = partial(multistate.mean_times, along=self._along, among=among)
        return self._times(newdata, options, times, by)

    def quantile_time_to_final(
        self,
        q: float | Sequence[float] = (0.25, 0.5, 0.75),
        newdata: pd.DataFrame | None = None,
        by: str = "final",
        among: str = "all",
        **options: Any,
    ) -> pd.DataFrame:
        """Times from the start by which a share q has reached a final state, or the end of a path.

        Parameters
        ----------
        q : float or sequence of float
            Share, between 0 and 1, of those on the way to that state or on that path.
        newdata : DataFrame, optional
        by : str
            "final" or "path".
        among : {"all", "events"}
            As for `mean_time_to_final`.  "all": infinite if a smaller share ever arrives.
            "events": shares of those who arrive.
        **options
            See `path_probabilities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, q, final or path, estimate, lower, upper.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayesmix as bmx
        >>> data = pd.DataFrame({"time": [1.0, 2.0, 3.0, 4.0, 2.5, 1.5], "status": 1,
        ...                      "event": ["ill", "dead", "ill", "ill", "dead", "ill"]})
        >>> first = bmx.CompetingRisks("surv(time, status) ~ 1", data, "event", "exponential")
        >>> later = bmx.CompetingRisks("surv(time, status) ~ 1", data.assign(event="dead"),
        ...                            "event", "exponential")
        >>> states = bmx.MultiState({"healthy": first.fit(seed=1), "ill": later.fit(seed=1)})
        >>> states.quantile_time_to_final(0.5)[["final", "estimate"]].round(3).values.tolist()
        [['dead', 3.085]]
        """
        shares = numbers("q", q, low=0.0, high=1.0)
        times = partial(multistate.quantile_times, along=self._along, q=shares, among=among)
        return self._times(newdata, options, times, by, ("q", list(shares)))

    def state_probabilities(
        self,
        times: float | Sequence[float],
        newdata: pd.DataFrame | None = None,
        start: Hashable | None = None,
        spent: float | str | None = None,
        **options: Any,
    ) -> pd.DataFrame:
        """Probability of being in each state at given times.

        Parameters
        ----------
        times : float or sequence of float
            Counted from the entry into the start.
        newdata : DataFrame, optional
        start : state, optional
            The state at time zero; by default the start of the model.
        spent : float or str, optional
            Time already spent in the start without an event (a number, or a column of the new
            data); the probabilities are conditional on it.
        **options
            See `path_probabilities`.

        Returns
        -------
        DataFrame
            Columns row, covariates, time, state, estimate, lower, upper.

        Raises
        ------
        SpecError
            If the start has no model.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayesmix as bmx
        >>> data = pd.DataFrame({"time": [1.0, 2.0, 3.0, 4.0, 2.5, 1.5], "status": 1,
        ...                      "event": ["ill", "dead", "ill", "ill", "dead", "ill"]})
        >>> first = bmx.CompetingRisks("surv(time, status) ~ 1", data, "event", "exponential")
        >>> later = bmx.CompetingRisks("surv(time, status) ~ 1", data.assign(event="dead"),
        ...                            "event", "exponential")
        >>> states = bmx.MultiState({"healthy": first.fit(seed=1), "ill": later.fit(seed=1)})
        >>> table = states.state_probabilities(2)
        >>> table[["state", "estimate"]].round(3).values.tolist()
        [['healthy', 0.424], ['dead', 0.336], ['ill', 0.24]]
        """
        grid = numbers("times", times, low=0.0, end=True)
        origin = self._along.start if start is None else start
        states = reachable({s: f.components for s, f in self._fits.items()}, origin)
        rows, _ = self._rows(newdata)
        since = spent_by_row(spent, newdata, rows[0].n)
        found = partial(occupancy, start=origin, t=grid, spent=since)
        axes = ("time", list(grid)), ("state", states)
        return self._estimates(newdata, options, found, "logit", *axes)

    def simulate(
        self, n: int = 1, newdata: pd.DataFrame | None = None, seed: Any = None
    ) -> pd.DataFrame:
        """Draw histories from the start to a final state.

        Parameters
        ----------
        n : int
            Number of subjects for each row.  With posteriors each subject gets its own draw.
        newdata : DataFrame, optional
        seed : int or numpy.random.Generator, optional

        Returns
        -------
        DataFrame
            Columns row, subject, step, origin, state, time: one row for each state entered,
            with the time since the start.  If a subject never leaves a state, the last row has
            that state as origin and state, and an infinite time.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayesmix as bmx
        >>> data = pd.DataFrame({"time": [1.0, 2.0, 3.0, 4.0, 2.5, 1.5], "status": 1,
        ...                      "event": ["ill", "dead", "ill", "ill", "dead", "ill"]})
        >>> first = bmx.CompetingRisks("surv(time, status) ~ 1", data, "event", "exponential")
        >>> later = bmx.CompetingRisks("surv(time, status) ~ 1", data.assign(event="dead"),
        ...                            "event", "exponential")
        >>> states = bmx.MultiState({"healthy": first.fit(seed=1), "ill": later.fit(seed=1)})
        >>> found = states.simulate(n=2, seed=1)
        >>> found.loc[found["step"] == 1, "origin"].tolist()
        ['healthy', 'healthy']
        """
        rng = generator(seed)
        rows, index = self._rows(newdata)
        check_memory(64.0 * n * len(index), f"simulate(n={n})", "ask for fewer subjects")
        sources = self._sources()
        fits = [s.fitted.theta[None] for s in sources if s.fitted is not None]
        drawn = [s.draws[rng.integers(0, len(s.draws), n)] for s in sources if s.draws is not None]
        models = self._models(np.hstack(fits or drawn), rows)
        found = multistate.simulate(models, self._along, rng, n if fits else 1)
        if drawn:  # one subject of every draw
            found["subject"] = found["draw"]
        found["row"] = index.index.to_numpy()[found["row"].to_numpy()]
        return found.drop(columns="draw").sort_values(["row", "subject", "step"], ignore_index=True)

    def _title(self) -> str:
        return f"Multi-state model from {self._along.start!r}"

    def _items(self) -> tuple[str, ...]:
        return self._along.names

    # --- what the methods share ------------------------------------------------------------

    def _times(
        self,
        newdata: pd.DataFrame | None,
        options: Mapping[str, Any],
        times: Callable[[Models], tuple[np.ndarray, np.ndarray]],
        by: str,
        *axes: Axis,
    ) -> pd.DataFrame:
        """Times to the ends of paths, or to final states."""
        ends = self.finals if by == "final" else self._along.names

        def found(models: Models) -> np.ndarray:
            return times(models)[by == "final"]

        return self._estimates(newdata, options, found, "log", *axes, (by, ends))

    def _with_staying(self, newdata: pd.DataFrame | None) -> Ways:
        """The paths, with those that end in a state that some never leave."""
        rows, _ = self._rows(newdata)
        sources = self._sources()
        drawn = [_draws(s) for s in sources]
        least = min(len(d) for d in drawn)
        theta = np.hstack([d[:least] for d in drawn])
        return self._along.staying(multistate.staying(self._models(theta, rows)))

    def _sources(self) -> list[Source]:
        return [fit.source for fit in self._fits.values()]

    def _rows(self, newdata: pd.DataFrame | None) -> tuple[list[Any], pd.DataFrame]:
        """The rows for every fit, and the covariates of all fits."""
        found = [rows_of(source.spec, newdata) for source in self._sources()]
        tables = [table for _, table in found]
        if newdata is None and any(len(table.columns) for table in tables):
            raise FitError("the fits have covariates; give newdata= with a row for each subject")
        columns = list(dict.fromkeys(c for table in tables for c in table.columns))
        index = tables[0] if newdata is None else newdata[columns]
        return [rows for rows, _ in found], index

    def _models(self, theta: np.ndarray, rows: Sequence[Any]) -> dict[Hashable, EventTimes]:
        """The events of every state at parameters (T, D); D joins those of all fits."""
        sources = self._sources()
        ends = np.cumsum([s.spec.layout.size for s in sources])[:-1]
        parts = np.split(theta, ends, axis=1)
        return {
            state: event_times(source.spec, part, own)
            for state, source, part, own in zip(self._fits, sources, parts, rows, strict=True)
        }

    def _estimates(
        self,
        newdata: pd.DataFrame | None,
        options: Mapping[str, Any],
        quantity: Callable[[Models], np.ndarray],
        scale: str,
        *axes: Axis,
    ) -> pd.DataFrame:
        rows, index = self._rows(newdata)
        estimator = Estimator(**known_options(options))

        def values_at(theta: np.ndarray) -> np.ndarray:
            return np.asarray(quantity(self._models(theta, rows)))

        return tidy(estimator.over(self._sources(), values_at, scale), index, axes)


def _draws(source: Source) -> np.ndarray:
    """Parameters (T, D) of a point fit, or some draws of a posterior."""
    if source.fitted is not None:
        return source.fitted.theta[None]
    assert source.draws is not None
    return source.draws[:MOST_DRAWS]
