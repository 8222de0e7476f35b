"""What a component's family is: its parameters, density and everything derived from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix._arguments import door
from bayesmix.distributions import Prior
from bayesmix.errors import DataError, SpecError
from bayesmix.families import by_term, limits
from bayesmix.families.check import check_density, check_start, inside
from bayesmix.families.derivatives import Derivatives, automatic
from bayesmix.families.interface import Array, Observed, Parameter, Shown
from bayesmix.families.kernel import Kernel, TimesKernel
from bayesmix.families.levels import Cuts
from bayesmix.families.links import Link, Linked, at_values, get_link
from bayesmix.families.multivariate.covariance import Structure
from bayesmix.families.multivariate.normal import row_derivatives
from bayesmix.families.start import search_start
from bayesmix.families.survival import base as censoring
from bayesmix.families.survival.base import Survival
from bayesmix.families.survival.derivatives import derivatives
from bayesmix.families.survival.user import check_own, own_survival
from bayesmix.families.whole import Whole
from bayesmix.formula.response import Response
from bayesmix.formula.times import Times

__all__ = ["Array", "Derivatives", "Family", "Observed", "Parameter"]


# An end of a range, infinity included.
Limit = float


@door(only=("__init__", "with_link"))
@dataclass(frozen=True, eq=False)
class Family:
    """The distribution of the response in a component.

    Your own family needs a name, its parameters with their links, and `logpdf`.  For times (a
    response ``surv(...)``) one of `logpdf`, `logsf` and `hazard` is enough.  bayesmix derives
    all derivatives automatically.

    Parameters
    ----------
    name : str
    params : mapping of str to str
        Link of each parameter by name: "identity", "log", "logit", "probit",
        "cloglog" or "inverse".
    location : str or tuple of str
        The parameter that the formula describes, or several, each with its own coefficients.
        All other parameters are dispersions.
    logpdf : callable
        ``logpdf(y, **params)``: log density of each response, with natural parameters as
        keywords.  Write it elementwise with functions of NumPy and `scipy.special`, or of
        `bayesmix.arrays` (which PyMC models need).
    logsf, hazard : callable, optional
        ``logsf(t, **params)`` and ``hazard(t, **params)``: log survival function and hazard
        at positive times, written like `logpdf`.  bayesmix computes what is missing: from
        `hazard` alone, the cumulative hazard by quadrature; from `logsf` alone, the density by
        its slope in t; from `logpdf` alone, with a response ``surv(...)``, both tails by
        quadrature.  A quadrature that does not reach 1e-7 at the data is an error.
    start : callable, optional
        ``start(y)``: a dict of rough parameter values (numbers, or one per row for the
        location).  For times, y has one time within each row's bounds.  By default a search
        finds the values.
    mean : callable, optional
        ``mean(**params)``: expected response, needed for predictions.
    variance : callable, optional
        ``variance(**params)``: variance of the response, needed for Pearson residuals.
    tails : callable, optional
        ``tails(y, **params)``: P(Y <= y) and P(Y > y), each accurate where it is small; needed
        for quantile residuals.
    simulate : callable, optional
        ``simulate(rng, **params)``: random responses, with the shape of the parameters.
    valid : callable, optional
        ``valid(y)``: boolean array, false where y is impossible for the family.
    support : str
        Possible values in words, for error messages: "counts 0, 1, 2, ...".
    bounds : mapping of str to (float, float), optional
        Allowed values of a parameter if its link can give others; outside them the density is
        zero.
    discrete : bool, optional
        Whether `logpdf` gives probabilities of single values, not a density.  It matters if
        components have different families, which must be of the same kind.  By default bayesmix
        decides from the responses, from `valid`, and from whether `logpdf` sums to one over
        whole numbers.

    Raises
    ------
    SpecError
        If a location is not a parameter, a link is unknown, or no density is given.

    Examples
    --------
    A family of waiting times with rate lambda, f(y) = lambda exp(-lambda y):

    >>> import numpy as np
    >>> import bayesmix as bmx
    >>> waiting = bmx.Family(
    ...     "waiting",
    ...     params={"rate": "log"},
    ...     location="rate",
    ...     logpdf=lambda y, rate: np.log(rate) - rate * y,
    ...     mean=lambda rate: 1 / rate,
    ...     valid=lambda y: y >= 0,
    ...     support="times of zero or more",
    ... )
    >>> waiting.parameters[0].name
    'rate'

    Times of Rayleigh's distribution, f(t) = t / sigma^2 exp(-t^2 / (2 sigma^2)), with its
    survival function, or by its hazard alone:

    >>> rayleigh = bmx.Family(
    ...     "rayleigh",
    ...     params={"sigma": "log"},
    ...     location="sigma",
    ...     logpdf=lambda t, sigma: np.log(t) - 2 * np.log(sigma) - 0.5 * (t / sigma) ** 2,
    ...     logsf=lambda t, sigma: -0.5 * (t / sigma) ** 2,
    ... )
    >>> by_hazard = bmx.Family(
    ...     "rayleigh", {"sigma": "log"}, "sigma", hazard=lambda t, sigma: t / sigma**2
    ... )
    >>> rayleigh.is_survival, by_hazard.is_survival
    (True, True)

    Three choices 0, 1 and 2 with a linear predictor each for the second and the third:

    >>> choice = bmx.Family(
    ...     "choice",
    ...     params={"b": "identity", "c": "identity"},
    ...     location=("b", "c"),
    ...     logpdf=lambda y, b, c: (
    ...         (y == 1) * b + (y == 2) * c - np.log(1 + np.exp(b) + np.exp(c))
    ...     ),
    ...     discrete=True,
    ... )
    >>> choice.locations
    ('b', 'c')
    """

    name: str
    params: Mapping[str, str | Link]
    location: str | tuple[str, ...] | None
    logpdf: Callable[..., Array] | None = None
    logsf: Callable[..., Array] | None = None
    hazard: Callable[..., Array] | None = None
    start: Callable[..., Mapping[str, Any]] | None = None
    mean: Callable[..., Array] | None = None
    variance: Callable[..., Array] | None = None
    tails: Callable[..., tuple[Array, Array]] | None = None
    simulate: Callable[..., np.ndarray] | None = None
    valid: Callable[[np.ndarray], np.ndarray] | None = None
    support: str = "finite numbers"
    bounds: Mapping[str, tuple[Limit, Limit]] = field(default_factory=dict)
    discrete: bool | None = None
    # What only the shipped families use: the value that has all the mass (an atom); the links
    # whose means suit the location (all where empty), where the kernel has no term of rows the
    # density over `Linked` parameters and closed-form derivatives, the constants of the density,
    # the default priors of the dispersions given the response (or its `Times`), what it reads,
    # and its fused kernel, whose term is the density.
    atom: float | None = None
    links: tuple[str, ...] = ()
    density: Callable[..., Array] | None = None
    closed_form: Callable[..., Derivatives] | None = None
    constant: Callable[[np.ndarray, np.ndarray | None], Array] | None = None
    priors: Callable[[Any], Mapping[str, Prior]] | None = None
    # The distribution of PyMC, ``pymc(pm, **natural)``, where it has one as accurate.
    pymc: Callable[..., Any] | None = None
    # The dispersion at whose limit (-1: zero, 1: infinity) the likelihood is unbounded.
    collapse: tuple[str, int] | None = None
    binomial: bool = False
    # Of a response that is a factor: its levels, the tables' thresholds between them, and the
    # family that another link makes.
    levels: tuple[Any, ...] = ()
    # Names of the numbers that `mean` gives along its last axis; empty where it is one number.
    outputs: tuple[Any, ...] = ()
    cuts: Cuts | None = None
    relink: Callable[[Link], Family] | None = None
    # log P(Y <= y) and log P(Y > y), ``log_tails(obs, *linked)``, over `bayesmix.arrays`; and
    # whether the family reads a response with limits, which closed forms of a scale do not know.
    log_tails: Callable[..., tuple[Array, Array]] | None = None
    limited: bool = False
    # The kind of response that it reads, see `Response`; empty for what the fields above say.
    reads: str = ""
    # All parameters that the formula describes; `location` is the first of them.
    locations: tuple[str, ...] = ()
    # How natural parameters move with the unit of the response, by name: a power of the unit,
    # "response" (multiplied and moved like a response) or "log" (its logarithm is added); None
    # where the response has no unit or nobody said.  `in_units` says it where this cannot.
    units: Mapping[str, Any] | None = None
    in_units: Callable[..., Any] | None = None
    # The value that has a probability beside the density of the others; None without one.
    lump: float | None = None
    # For times: the distribution; of a regression family, the file of its twin for times;
    # what makes a family that depends on its response definite, given the `Response`; and the
    # options by which `family(name, **options)` makes it again.
    survival: Survival | None = None
    timed: str | None = None
    settle: Callable[[Response], Family] | None = None
    # Whether the log density is concave in all parameters together, whatever was observed.
    concave: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    kernel: Kernel | TimesKernel | None = None
    # Of a response of several columns their names; the covariance of columns that are normal.
    columns: tuple[str, ...] = ()
    # ``fill(rng, y, **natural)``: rows with what is missing of them drawn given the rest.
    fill: Callable[..., np.ndarray] | None = None
    # ``in_turn(y, **natural)``: of each column given the earlier ones its normal score, and its
    # log density.
    in_turn: Callable[..., tuple[np.ndarray, np.ndarray]] | None = None
    # What is read in place of some dispersions.
    shown: Shown | None = None
    normal: Structure | None = None
    # The log density of a cluster's rows together, in place of one for each row.
    whole: Whole | None = None
    equation: str = ""
    source: str = ""
    example: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the parameters and resolve the links."""
        links = {name: get_link(link) for name, link in self.params.items()}
        self._set_locations()
        if self.location is None and links:
            msg = f"family {self.name!r} has parameters {list(links)} but no location among them"
            raise SpecError(msg)
        strange = [name for name in self.locations if name not in links]
        if strange:
            msg = f"location={strange[0]!r} is not a parameter of {self.name!r}: {list(links)}"
            raise SpecError(msg)
        given = (self.density, self.whole, self.kernel)
        if not (self.is_own or self.is_survival or any(f is not None for f in given)):
            raise SpecError(
                f"family {self.name!r} needs logpdf=, its log density ``logpdf(y, **params)``; for "
                "times logsf= or hazard= will do"
            )
        unknown = [name for name in self.bounds if name not in links]
        if unknown:
            msg = f"bounds= names {unknown}, no parameters of {self.name!r}: {list(links)}"
            raise SpecError(msg)
        order = (*self.locations, *(name for name in links if name not in self.locations))
        object.__setattr__(self, "params", {name: links[name] for name in order})
        if self.survival is not None and not (self.links or self.is_own):
            # A shipped distribution of times has one link.
            object.__setattr__(self, "links", tuple(links[name].name for name in self.locations))
        if self.survival is None and (self.logsf is not None or self.hazard is not None):
            object.__setattr__(self, "survival", own_survival(self))

    def __repr__(self) -> str:
        given = [repr(self.name), *(f"{k}={v!r}" for k, v in self.options.items())]
        links = ", ".join(f"{p.name} ({p.link.name})" for p in self.parameters)
        return f"family({', '.join(given)})" + (f" of {links}" if links else "")

    def _set_locations(self) -> None:
        """Read the one location, or several, as they were given."""
        given = self.location
        several = (given,) if isinstance(given, str) else () if given is None else tuple(given)
        locations = tuple(map(str, tuple(self.locations) or several))
        object.__setattr__(self, "location", locations[0] if locations else None)
        object.__setattr__(self, "locations", locations)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters, locations first."""
        return tuple(Parameter(name, get_link(link)) for name, link in self.params.items())

    @property
    def dispersions(self) -> tuple[Parameter, ...]:
        """The parameters other than the locations."""
        return self.parameters[len(self.locations) :]

    def is_located(self, number: int) -> bool:
        """Whether the formula describes the parameter with this number."""
        return number < len(self.locations)

    @property
    def by_row(self) -> bool:
        """Whether each row has a density with derivatives of its own, by linear predictors."""
        return self.whole is None and self.normal is None

    @property
    def closed_scale(self) -> bool:
        """Whether the mean squared residual is the squared scale, as a term's statistic says."""
        term = self.kernel
        known = isinstance(term, Kernel) and term.statistic and not self.limited
        return known and self.parameters[0].link.name == "identity"

    @property
    def is_own(self) -> bool:
        """Whether it is made of a user's functions of natural parameters."""
        return any(f is not None for f in (self.logpdf, self.logsf, self.hazard))

    @property
    def is_survival(self) -> bool:
        """Whether it is a distribution of times, which a response ``surv(...)`` gives."""
        return self.survival is not None or self.reads == "survival"

    def with_link(self, link: str | Link) -> Family:
        """The same family with another link for its locations.

        Parameters
        ----------
        link : str or Link

        Returns
        -------
        Family

        Raises
        ------
        SpecError
            If there is no location, or the link's means do not suit it.

        Examples
        --------
        >>> import bayesmix as bmx
        >>> bmx.family("binomial").with_link("probit").params["mu"].name
        'probit'
        """
        if self.location is None:
            raise SpecError(f"family {self.name!r} has no location, so it has no link")
        link = get_link(link)
        if self.links and link.name not in self.links:
            raise SpecError(
                f"the link {link.name!r} does not suit the mean of the family {self.name!r}; "
                f"use one of {', '.join(self.links)}"
            )
        if self.params[self.locations[0]] is link:
            return self
        if self.relink is not None:
            return self.relink(link)
        return replace(self, params={**self.params, **dict.fromkeys(self.locations, link)})

    def for_times(self) -> Family:
        """The same distribution for a response ``surv(...)``: its tails by quadrature."""
        return replace(self, survival=own_survival(self))

    def observe(self, response: Response) -> Observed:
        """Check a response and compute the constants of its log density.

        Raises
        ------
        DataError
            If a response is outside the family's support.
        """
        _check_kind(self, response)
        if self.settle is not None:
            raise SpecError(
                f"the {self.name} family depends on the response that it is fitted to; make it "
                "definite with family.settle(response), or give its options"
            )
        if self.is_survival:
            return self._observe_times(response)
        y, trials = np.asarray(response.y, dtype=float), response.trials
        if response.there is not None and self.normal is None:
            y, trials = _filled(self, y, trials, response.there)
        _check_support(self, response.name, y)
        trials = np.ones_like(y) if self.binomial and trials is None else trials
        const = 0.0 if self.constant is None else self.constant(y, trials)
        obs = Observed(y, trials, const, there=response.there, limits=response.limits)
        if response.limits is not None:
            limits.check_tails(self, response.name, response.limits.most)
        if self.normal is not None:  # what is missing is left out of each row's density
            obs = Observed(y, None, self.normal.patterns(y))
        if self.is_own:
            check_density(self, obs)
        return obs

    def _observe_times(self, response: Response) -> Observed:
        obs = Observed(np.asarray(response.y, dtype=float), None, 0.0, response.times)
        if self.is_own:
            _check_support(self, response.name, obs.y)
            middle = {name: float(np.median(v)) for name, v in self.starting(obs).items()}
            check_own(self, obs, middle)
        return obs

    def starting(self, obs: Observed) -> dict[str, Array]:
        """Rough parameter values on the natural scale, inside the links' ranges.

        Parameters
        ----------
        obs : Observed
            The n responses.

        Returns
        -------
        dict of str to float or ndarray
            A number, or for a location one per row, of shape (n,).

        Raises
        ------
        SpecError
            If the family's own `start` gives something else.
        """
        if not self.params:
            return {}
        if obs.there is not None:
            known = self.starting(obs.take(obs.there))
            return {name: _spread(value, obs.there) for name, value in known.items()}
        if self.start is None:
            return search_start(self, obs)
        read = obs.y if obs.times is None or self.is_own else obs.times
        given = self.start(obs.y, obs.trials) if self.binomial else self.start(read)
        values = check_start(self, given, len(obs.y))
        if all(inside(p.link, values[p.name]) for p in self.parameters):
            return values
        return search_start(self, obs)  # with a link for which the start was not meant

    def linked(self, etas: tuple[Array, ...]) -> tuple[Linked, ...]:
        """The parameters as functions of their linear predictors."""
        return tuple(Linked(p.link, eta) for p, eta in zip(self.parameters, etas, strict=True))

    def natural(self, linked: Sequence[Linked]) -> dict[str, Array]:
        """What `mean`, `variance`, `tails` and `simulate` take: the natural parameters by name.

        Of levels it is their `probability` (..., L), by the log density: a linear predictor still
        says what a location does not that has become 0 or 1.
        """
        if not self.levels:
            return {p.name: v.value for p, v in zip(self.parameters, linked, strict=True)}
        every = Observed(np.arange(len(self.levels), dtype=float), None, 0.0)
        wide = tuple(Linked(v.link, v.eta[..., None]) for v in linked)
        return {"probability": np.exp(self.log_density_of(every, wide))}

    def log_density(self, obs: Observed, etas: tuple[Array, ...]) -> Array:
        """Log density at linear predictors that broadcast to (..., n).

        A linear predictor that gives no allowed parameter has density zero.
        """
        return self.log_density_of(obs, self.linked(etas))

    def log_density_of(self, obs: Observed, linked: tuple[Linked, ...]) -> Array:
        """The same of parameters that are linked already, some by their values."""
        with np.errstate(all="ignore"):
            if self.whole is not None:
                return self.whole.log_density(obs, linked)
            if self.normal is not None:
                if not isinstance(obs.y, np.ndarray):  # of a graph, column by column
                    return self.unguarded(obs, linked)
                etas = tuple(v.eta for v in linked)
                return row_derivatives(self.normal, obs, etas, slopes=False).logf
            value = self._guard(self.unguarded(obs, linked), linked)
            return value if obs.there is None else xp.where(obs.there, value, 0.0)

    def derivatives(
        self, obs: Observed, etas: tuple[np.ndarray, ...], *, closed: bool = True
    ) -> Derivatives:
        """Log density with first and second derivatives in the linear predictors.

        With `closed` by closed forms, where there are any.
        """
        linked = self.linked(etas)
        with np.errstate(all="ignore"):
            if self.whole is not None:
                parts = None if closed else self.whole.parts(obs, linked, closed=False)
                return self.whole.derivatives(obs, linked, parts)
            there = obs.there
            if there is not None:
                d = self.derivatives(obs._replace(there=None), etas, closed=closed)
                return d.map(lambda x: np.where(there, x, 0.0))
            d = self._unguarded_derivatives(obs, linked, closed=closed)
            return d._replace(logf=self._guard(d.logf, linked))

    def automatic(self, obs: Observed, etas: tuple[np.ndarray, ...]) -> Derivatives:
        """The same by automatic differentiation of the density alone."""
        return self.derivatives(obs, etas, closed=False)

    def _unguarded_derivatives(
        self, obs: Observed, linked: tuple[Linked, ...], *, closed: bool
    ) -> Derivatives:
        if obs.limits is not None:
            return limits.derivatives(self, obs, linked, closed=closed)
        if self.survival is not None:
            return derivatives(self.survival, _times(obs), linked, closed=closed)
        if closed and self.normal is not None:
            return row_derivatives(self.normal, obs, tuple(v.eta for v in linked))
        if closed and self.closed_form is not None:
            return self.closed_form(obs, *linked)
        if closed and linked and isinstance(self.kernel, Kernel):
            return by_term.derivatives(self.kernel, obs, linked)
        return automatic(partial(self.unguarded, obs), linked, len(obs.y))

    def unguarded(self, obs: Observed, linked: tuple[Linked, ...]) -> Array:
        """The log density, which may be anything where a parameter lies outside its range."""
        if obs.limits is not None:
            return limits.contributions(self, obs, linked)
        if self.survival is not None:
            return censoring.contributions(self.survival, _times(obs), linked)
        if isinstance(self.kernel, Kernel):
            return by_term.density(self.kernel, obs, linked)
        if self.density is not None:
            return self.density(obs, *linked)
        assert self.logpdf is not None
        names = (p.name for p in self.parameters)
        return self.logpdf(obs.y, **{n: v.value for n, v in zip(names, linked, strict=True)})

    def _guard(self, value: Array, linked: tuple[Linked, ...]) -> Array:
        """-inf where a parameter lies outside its range, NaN where a predictor is missing."""
        for parameter, v in zip(self.parameters, linked, strict=True):
            link = parameter.link
            if link.name == "inverse":
                value = xp.where(v.eta > 0, value, -np.inf)
            lower, upper = self.bounds.get(parameter.name, (-np.inf, np.inf))
            if lower > link.lower:
                value = xp.where(v.value >= lower, value, -np.inf)
            if upper < link.upper:
                value = xp.where(v.value <= upper, value, -np.inf)
        for v in linked:  # which a density may have taken for one at its bound
            if isinstance(v.eta, np.ndarray) and (missing := np.isnan(v.eta)).any():
                value = xp.where(missing, np.nan, value)
        return value


def tail_probabilities(
    family: Family, y: np.ndarray, /, **natural: Array
) -> tuple[np.ndarray, np.ndarray]:
    """P(Y <= y) and P(Y > y): the family's `tails`, else from their logarithms."""
    if family.tails is not None:
        return family.tails(y, **natural)
    assert family.log_tails is not None
    with np.errstate(all="ignore"):
        const = 0.0 if family.constant is None else family.constant(y, None)
        obs = Observed(np.asarray(y, dtype=float), None, const)
        below, above = family.log_tails(obs, *at_values(family.parameters, natural))
    there = allows(family, obs.y)  # else below all values
    return np.where(there, np.exp(below), 0.0), np.where(there, np.exp(above), 1.0)


def allows(family: Family, y: np.ndarray) -> np.ndarray:
    """Which responses are possible for a family, boolean of the shape of `y`."""
    if family.valid is None:
        return np.ones(y.shape, dtype=bool)
    with np.errstate(all="ignore"):
        return np.broadcast_to(np.asarray(family.valid(y), dtype=bool), y.shape)


def fillers(family: Family) -> np.ndarray:
    """Responses that a family allows, to stand where none was observed."""
    tried = np.array([0.0, 1.0, 0.5, -1.0])  # every shipped family allows one of them
    return tried[allows(family, tried)]


def _filled(
    family: Family, y: np.ndarray, trials: np.ndarray | None, there: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Responses and trials with the middle one of those observed at the other rows."""
    known = np.flatnonzero(there)
    if not len(known):
        if not len(possible := fillers(family)):
            raise DataError(
                f"the response of the {family.name} family is missing in all of these rows; give "
                "one row that has it beside them"
            )
        return np.full(len(y), possible[0]), trials
    at = int(known[np.argsort(y[known], kind="stable")[len(known) // 2]])
    counts = None if trials is None else np.where(there, trials, trials[at])
    return np.where(there, y, y[at]), counts


def _spread(value: Any, there: np.ndarray) -> Any:
    """Values of the rows that are there as values of all rows; the first one elsewhere."""
    return value if np.ndim(value) == 0 else value[np.maximum(np.cumsum(there) - 1, 0)]


def _times(obs: Observed) -> Times:
    assert obs.times is not None
    return obs.times


def _check_support(family: Family, name: str, y: np.ndarray) -> None:
    good = (np.isfinite(y) | (np.isnan(y) & bool(family.columns))) & allows(family, y)
    if good.all():
        return
    bad = ~good
    rows = ", ".join(str(i) for i in np.flatnonzero(bad)[:5])
    raise DataError(
        f"the {family.name} family allows {family.support}, but {int(bad.sum())} of {len(y)} "
        f"values of {name!r} are something else (positions {rows}; the first is "
        f"{y[bad][0]:g}); choose another family or correct the data"
    )


def _refuse_kind(family: Family, response: Response) -> None:
    """Say how the response of a family, or the family of a response, is written."""
    if family.reads:
        forms = {
            "columns": "several columns, as in mv(y1, y2)",
            "levels": "a column of levels",
            "survival": "times, as in surv(time, status)",
        }
        what = forms.get(family.reads, f"a response of the kind {family.reads!r}")
        msg = f"the {family.name} family reads {what}, not {response.name}"
    else:
        what, use = f"{response.y.shape[-1]} columns", "family='mvnormal'"
        if response.kind == "levels":
            what, use = "levels", "family='categorical' or 'ordinal' for all components"
        msg = (
            f"{response.name} has {what}, which the {family.name} family does not read; use "
            f"{use}, or a plain column as the response"
        )
    raise DataError(msg)


def _check_kind(family: Family, response: Response) -> None:
    if family.reads and family.reads == response.kind:
        return
    if family.reads or response.kind not in ("numeric", "binomial", "survival"):
        _refuse_kind(family, response)
    if (response.kind == "survival") != family.is_survival:
        raise DataError(
            f"the {family.name} family reads times: write the response as surv(time, status), "
            f"not {response.name}"
            if family.is_survival
            else f"{response.name} gives times, which the {family.name} family does not read; use "
            "a family of times such as 'weibull' or 'lognormal', or a plain column as the response"
        )
    if response.kind == "binomial" and not family.binomial:
        raise DataError(
            f"{response.name} gives successes and trials, which the {family.name} family does not "
            "read; use family='binomial', or a plain column as the response"
        )
    if not family.binomial or response.kind != "numeric":
        return
    y = response.y[slice(None) if response.there is None else response.there]
    if len(other := y[~np.isin(y, (0, 1))]):
        raise DataError(
            f"the {family.name} family reads a 0/1 column or p(successes, trials), but "
            f"{response.name!r} has the value {other[0]:g}; write p({response.name}, trials)"
        )
