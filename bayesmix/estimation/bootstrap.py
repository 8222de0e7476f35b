"""The bootstrap: refits to simulated or resampled data, components matched to the fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import uuid4

import numpy as np
import pandas as pd

from bayesmix._arguments import check_known, door, whole_number
from bayesmix._arguments.memory import check_memory
from bayesmix._arguments.printing import Described, Printed
from bayesmix.errors import FitError, warn
from bayesmix.estimation.maximise import refitted
from bayesmix.estimation.progress import Progress
from bayesmix.formula.response import Response, middle
from bayesmix.formula.sources.stream import Block
from bayesmix.formula.times import Times
from bayesmix.likelihood import unit_terms
from bayesmix.likelihood.problem import sample_of
from bayesmix.model import MixtureSpec, Rows
from bayesmix.model.atoms import allowed_units
from bayesmix.model.histories import continuing
from bayesmix.model.params import permute
from bayesmix.model.parts import Part, Read
from bayesmix.model.rows import block_rows
from bayesmix.results.at import responses
from bayesmix.results.censoring import (
    as_often,
    censored_again,
    inspected_again,
    limits,
    refuse_background,
    seen_again,
)
from bayesmix.results.fitted import Fitted
from bayesmix.results.matching import best_order
from bayesmix.results.simulation import draw_components, draw_response
from bayesmix.results.streaming import of_block, without_data
from bayesmix.results.tables import KEYS, in_order, natural_values, summary

KINDS = ("parametric", "case")
LEAST = 2  # refits, from which errors can be estimated


@door(error=FitError)
@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap(Described):
    """Refits to resampled data.  Made by `PointFit.bootstrap`.

    Parameters
    ----------
    kind : str
        "parametric" or "case".

    Examples
    --------
    >>> import bayesmix as bmx
    >>> spec = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson", k=2)
    >>> resampled = spec.fit("em", seed=1).bootstrap(n=20, seed=1)
    >>> resampled.n, resampled.refits["status"].unique().tolist()
    (20, ['converged'])
    """

    kind: str
    _fitted: Fitted
    _theta: np.ndarray
    _refits: pd.DataFrame

    @property
    def n(self) -> int:
        """Number of resamples."""
        return len(self._theta)

    @property
    def refits(self) -> pd.DataFrame:
        """Log-likelihood and status of every refit."""
        return self._refits.copy()

    @property
    def draws(self) -> np.ndarray:
        """Unconstrained parameters of every refit, (n, D), components matched."""
        return self._theta.copy()

    @property
    def _usable(self) -> np.ndarray:
        """Which refits ended at a maximum or a boundary, (n,)."""
        return self._refits["status"].isin(("converged", "boundary")).to_numpy()

    def summary(self, ci: float = 0.95) -> pd.DataFrame:
        """Estimates with bootstrap standard errors, percentile intervals and bias.

        Refits that did not end at a maximum are excluded; `refits` shows them.

        Parameters
        ----------
        ci : float
            Coverage of the intervals.

        Returns
        -------
        DataFrame
            The rows of `PointFit.summary`: component, term, effect, estimate; then
            se, lower, upper, bias and scale.  All are on natural scales; `scale` means the
            same as in `PointFit.summary`.  `se` is infinite if a refit ended at infinity.

        Raises
        ------
        FitError
            If fewer than two refits are usable, or `ci` is not between 0 and 1.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> data = bmx.load_data("fabricfault")
        >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
        >>> fit = spec.fit("em", seed=1)
        >>> resampled = fit.bootstrap(n=20, kind="case", seed=1, progress=False)
        >>> resampled.summary(ci=0.9).shape
        (6, 9)
        """
        fitted = self._fitted
        base = summary(fitted, ci)
        usable = self._theta[self._usable]
        if len(usable) < LEAST:
            msg = f"only {len(usable)} of {self.n} refits ended well; there is no summary"
            raise FitError(msg)
        values = natural_values(fitted.spec, usable)
        draws = np.column_stack([values[key] for key in in_order(values)])
        low, high = np.quantile(draws, [0.5 - ci / 2, 0.5 + ci / 2], axis=0)
        with np.errstate(over="ignore", invalid="ignore"):  # a refit may end at a bound
            bias = draws.mean(0) - base["estimate"].to_numpy()
            se = np.where(np.isfinite(draws).all(0), draws.std(0, ddof=1), np.inf)
        out = base[[*KEYS, "estimate"]].copy()
        out["se"], out["lower"], out["upper"] = se, low, high
        out["bias"], out["scale"] = bias, base["scale"]
        return Printed(out)

    def _title(self) -> str:
        used = int(self._usable.sum())
        return f"Bootstrap ({self.kind}): {self.n} resamples, {used} usable refits"

    def _table(self) -> pd.DataFrame | None:
        return self.summary() if self._usable.sum() >= LEAST else None


def resample(
    fitted: Fitted, n: int, kind: str, rng: np.random.Generator, progress: bool | None
) -> Bootstrap:
    """Refit to n resampled data sets, each from the fit's own parameters.

    Parameters
    ----------
    fitted : Fitted
    n : int
    kind : str
        "parametric": new responses from the fit, times censored as they were (see
        `censored.limits`); "case": units drawn with replacement (as multinomial weights, of
        rows in blocks as Poisson ones).
    rng : numpy.random.Generator
    progress : bool, optional

    Raises
    ------
    FitError
        If the kind is unknown or n is no positive integer.

    Warns
    -----
    ConvergenceWarning
        If Ctrl-C ended it: it has the refits so far, if these are two or more.
    """
    check_known(f"bootstrap(kind={kind!r})", kind, KINDS)
    n = whole_number("n", n, "the number of resamples of bootstrap()", LEAST, FitError)
    spec = fitted.spec
    check_memory(16.0 * n * spec.layout.size, f"bootstrap(n={n})", "ask for fewer resamples")
    with Progress(progress, n, fitted.problem) as shown:
        refits = (_refit(fitted, kind, rng) for _ in range(n))
        made = as_many_as_run(
            refits, n, LEAST, lambda left, one: shown.update("bootstrap", left, one[1])
        )
    theta, loglik, status = map(np.array, zip(*made, strict=True))
    ends = pd.DataFrame({"loglik": loglik, "status": status}).rename_axis("resample")
    return Bootstrap(kind, fitted, theta, ends)


def as_many_as_run[T](
    refits: Iterable[T], n: int, least: int, tell: Callable[[int, T], None]
) -> list[T]:
    """What n resamples give, or with a warning those before Ctrl-C if they are `least` or more.

    `tell` gets the number of those left, and what one gives.
    """
    made: list[T] = []
    try:
        for one in refits:
            made.append(one)
            tell(n - len(made) + 1, one)
    except KeyboardInterrupt:
        if len(made) < least:
            raise
        warn("interrupted", f"interrupted: of {n} resamples only {len(made)} ran")
    return made


def _refit(fitted: Fitted, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, float, str]:
    """A refit to resampled data: theta (D,), the log-likelihood and the status."""
    rows = _rows(fitted, kind, rng)
    theta, loglik, status = refitted(fitted.spec, rows, fitted.theta, fitted.penalty)
    return permute(fitted.spec.layout, theta, match_order(fitted, theta)), loglik, status


def _rows(fitted: Fitted, kind: str, rng: np.random.Generator) -> Rows:
    spec, rows = fitted.spec, fitted.spec.rows
    if rows.stream is not None:
        again = partial(_again, without_data(fitted), kind, int(rng.integers(2**62)))
        return replace(rows, resampled=again, number=uuid4().hex)
    if kind == "case":
        share = rows.unit_weights
        # The number of units drawn is the sum of their weights, as w equals w copies.
        total = round(float(share.sum()))
        return replace(rows, weight=rng.multinomial(total, share / share.sum()).astype(float))
    return simulated_rows(fitted, rng, (spec,))[0]


def _again(fitted: Fitted, kind: str, seed: int, rows: Rows, block: Block) -> Rows:
    """A block's rows resampled, the same ones whenever it is read.

    Poisson weights are multinomial ones but for their sum, and need no other block: Chamandy,
    Muralidharan, Najmi and Naidu (2012), Estimating uncertainty for massive data streams.
    """
    rng = np.random.default_rng([seed, block.number])
    if kind == "case":
        share = rows.unit_weights
        return replace(rows, weight=rng.poisson(share).astype(float))
    own = of_block(fitted, rows, block)
    return simulated_rows(own, rng, (own.spec,))[0]


def simulated_rows(
    fitted: Fitted, rng: np.random.Generator, specs: Sequence[MixtureSpec]
) -> list[Rows]:
    """The rows with responses drawn from the fit, times censored as they were.

    Parameters
    ----------
    fitted : Fitted
    rng : numpy.random.Generator
    specs : sequence of MixtureSpec
        The specifications that read the same responses: the fit's own, or with other k.
    """
    spec, rows = fitted.spec, fitted.spec.rows
    drawn = draw_components(spec, fitted.theta, rows, rng)
    made: list[Read] = []
    every = responses(spec, rows, fitted.theta)
    for part, at in zip(spec.prepared.parts, every, strict=True):
        data = at.data
        assert data.response is not None
        y = draw_response(at, drawn, rng)
        there = ~np.isnan(data.response.y) if y.ndim > 1 else data.there
        if np.isnan(y if there is None else y[there]).any():
            raise FitError(
                f"bootstrap(kind='parametric'): {int(np.isnan(y).sum())} responses cannot be "
                "drawn, as their mean in the drawn component is outside its range; use kind='case'"
            )
        if part.events is not None:
            made.append(_events_again(part, spec.prepared.times, rows, drawn, y, rng))
            continue
        y = y if there is None else np.where(there, y, np.nan)
        response = replace(data.response, y=y)
        if data.response.times is not None:
            response = as_seen(response, _seen_again(data.response.times, y, rows, rng))
        made.append(Read((response,)))
    return [_with_responses(s, made) for s in specs]


def _with_responses(spec: MixtureSpec, made: Sequence[Read]) -> Rows:
    """The rows of a specification with other responses."""
    rows = spec.rows
    blocks = tuple(
        replace(
            block_rows(layout, read, data.matrix, data.offset, rows.units, data.clustered),
            described=data.described,
        )
        for layout, data, read in zip(spec.layout.blocks, rows.blocks, made, strict=True)
    )
    allowed = allowed_units(rows.units, [b.allowed for b in blocks], rows.known)
    return replace(rows, blocks=blocks, allowed=allowed)


def _seen_again(times: Times, y: np.ndarray, rows: Rows, rng: np.random.Generator) -> Times:
    """Simulated times (n,) as they would have been observed; an unknown time stays unknown.

    Rows that continue each other are one subject's time: pieces after its event are not observed.
    """
    refuse_background(times, "the parametric bootstrap")
    order = np.lexsort((times.entry, rows.units.codes))
    order = order[times.known[order]]
    goes_on = continuing(times, rows.units)[order]
    goes_on[1:] &= np.isinf(times.upper[order][:-1])  # after an event another time begins
    ends = np.append(~goes_on[1:], True)
    subjects = times.take(order[ends])
    subjects = replace(subjects, entry=times.entry[order][~goes_on])
    limit, weight = times.lower[order], rows.row_weights[order]
    limit[ends] = limits(subjects, weight[ends], rng)
    seen = censored_again(y[order], limit, times.entry[order])
    seen = inspected_again(times.take(order), y[order], limit, seen, weight, rng)
    events = (seen.lower == seen.upper).cumsum()
    before = np.concatenate([[0], events[:-1]])
    at_risk = before == before[~goes_on][(~goes_on).cumsum() - 1]
    seen, at = seen.take(at_risk), order[at_risk]
    lower, upper, entry = np.zeros(len(y)), np.full(len(y), np.inf), np.zeros(len(y))
    lower[at], upper[at], entry[at] = seen.lower, seen.upper, seen.entry
    return Times(lower, upper, entry)


def as_seen(response: Response, times: Times) -> Response:
    """A response with other times."""
    return replace(response, y=middle(times), times=times)


def _events_again(
    part: Part,
    found: Mapping[str, Times],
    rows: Rows,
    drawn: np.ndarray,
    y: np.ndarray,
    rng: np.random.Generator,
) -> Read:
    """What is seen of drawn events (n,) and times (n,): responses by event, and the events known.

    Each event's time is observed as its own response says; where that says nothing, because
    another event came, as it says of other rows.  A time that ended names its event, and a
    censored one does not, but as often as in the data: that does not depend on the event,
    as the likelihood assumes.
    """
    assert part.events is not None
    assert part.allowed is not None
    weight, ended, over = rows.row_weights, np.zeros(len(y), bool), np.zeros(len(y), bool)
    described, seen = ended.copy(), {}
    own = {
        name: np.array([reading.response.name == name for reading in part.readings])
        for name in found
    }
    apart = {name: ~(part.allowed & mine).any(1) for name, mine in own.items()}
    for name, times in found.items():
        time = np.where(own[name][drawn], y, np.inf)  # of other events only the censoring matters
        followed = times
        for other, theirs in found.items():
            followed = followed.where(~apart[name] | apart[other], theirs)
        seen[name] = again = seen_again(times, time, weight, rng, apart[name], followed)
        over |= np.isfinite(again.upper)
        ended |= np.isfinite(times.upper)
        described |= times.known
    single = _known_events(part.allowed, ended, alone=len(seen) == 1)
    censored = np.where(described, as_often(single, described & ~ended, weight, rng), single)
    known = np.where(over, as_often(single, ended, weight, rng), censored)
    responses = []
    for s, reading in enumerate(part.readings):
        now, other = seen[reading.response.name], known & (drawn != s)
        lower, upper = np.where(other, 0.0, now.lower), np.where(other, np.inf, now.upper)
        responses.append(as_seen(reading.response, Times(lower, upper, now.entry)))
    allowed = np.ones(part.allowed.shape, bool)
    allowed[known] = drawn[known, None] == np.arange(len(part.readings))
    return Read(tuple(responses), allowed, part.events.truncation)


def _known_events(allowed: np.ndarray, ended: np.ndarray, *, alone: bool) -> np.ndarray:
    """The rows (n,) whose event is known, if that is all there is to know of events."""
    may = allowed.sum(1)
    partly = (may > 1) & (may < allowed.shape[1])
    if partly.any():
        raise FitError(
            f"{int(partly.sum())} rows have one of several events (partial_events=), and nothing "
            "says which events others would be confused with; use bootstrap(kind='case')"
        )
    unnamed = ended & (may > 1)
    if unnamed.any() and not alone:
        raise FitError(
            f"{int(unnamed.sum())} rows have a time that ended without a known event, and events "
            "have responses of their own: nothing says what the others would be of another time; "
            "use bootstrap(kind='case')"
        )
    return may == 1


def match_order(fitted: Fitted, theta: np.ndarray) -> np.ndarray:
    """The order of another fit's components that agrees best with this fit's memberships.

    Both sets of parameters classify the same data; components of one symmetric
    set are assigned so that the memberships overlap most.
    """
    if fitted.problem.stream is None:
        other = unit_terms(fitted.problem, theta)[1]
        return best_order(fitted.spec, fitted.unit_terms[1], other)
    mine, other = (unit_terms(sample_of(fitted.problem), t)[1] for t in (fitted.theta, theta))
    return best_order(fitted.spec, mine, other)
