"""The one list of methods: how each fits, what it gives, and the options that it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields, replace
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

from bayesmix.errors import SpecError

if TYPE_CHECKING:
    from bayesmix.model import MixtureSpec
    from bayesmix.posterior.drawn import Drawn
    from bayesmix.results.fitted import Fitted
    from bayesmix.storage import Checkpoint


@dataclass(frozen=True)
class Method:
    """One way to fit a model.

    Parameters
    ----------
    name : str
        As `Mixture.fit` takes it.
    gives : str
        "point" or "posterior".
    words : str
        What the method finds, and how, in a few words.
    load : callable
        Imports the dataclass of options, which checks them, and the function that fits: it takes
        the specification, the method's name, the options and the priors.  Imports wait until
        then, so that the command line can complete words quickly.
    """

    name: str
    gives: str
    words: str
    load: Callable[[], tuple[type, Callable[..., Any]]]

    @property
    def options(self) -> tuple[Field[Any], ...]:
        """The options of this method, with their defaults."""
        return fields(self.load()[0])

    @cached_property
    def option_names(self) -> tuple[str, ...]:
        """The keywords of this method."""
        return tuple(option.name for option in self.options)


def _point() -> tuple[type, Callable[..., Fitted]]:
    from bayesmix.estimation.point import FitOptions, fit_point

    return FitOptions, partial(fit_point, keeps=True)


def _laplace() -> tuple[type, Callable[..., Drawn]]:
    from bayesmix.sampling.posterior import LaplaceOptions, fit_posterior

    return LaplaceOptions, fit_posterior


def _nuts() -> tuple[type, Callable[..., Drawn]]:
    from bayesmix.sampling.posterior import NutsOptions, fit_posterior

    def run(spec: MixtureSpec, name: str, options: NutsOptions, priors: Any) -> Drawn:
        if options.checkpoint is None:
            return fit_posterior(spec, name, options, priors)
        given = {option.name: getattr(options, option.name) for option in fields(options)}
        path = given.pop("checkpoint")
        saved = checkpoint(spec, priors, path, {**given, "method": name})
        options = replace(options, seed=saved.seed, checkpoint=None)
        return fit_posterior(spec, name, options, priors, saved)

    return NutsOptions, run


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("em", "point", "maximum likelihood, by EM and Newton's method", _point),
        Method("ml", "point", "maximum likelihood, by direct maximisation", _point),
        Method("map", "point", "mode of the posterior", _point),
        Method("laplace", "posterior", "posterior, by Laplace's approximation", _laplace),
        Method("nuts", "posterior", "posterior, by NUTS", _nuts),
    )
}
# What the steps of method "em" are, by ``algorithm=``; a fit names itself by it.
ALGORITHMS: dict[str, str] = {
    "em": METHODS["em"].words,
    "cem": "classification likelihood, by classification EM",
    "sem": "maximum likelihood, by stochastic EM",
}


def named(name: Any, gives: str | None = None) -> Method:
    """The method with this name.

    Parameters
    ----------
    name : str
    gives : str, optional
        "point" or "posterior": accept only methods that give this kind of result.

    Raises
    ------
    SpecError
        If no method has this name, or the method gives another kind of result.
    """
    if not isinstance(name, str) or name not in METHODS:
        from bayesmix._arguments import shown

        raise SpecError(f"method={shown(name)} is unknown; use one of {tuple(METHODS)}")
    method = METHODS[name]
    if gives is not None and method.gives != gives:
        fitting = tuple(m.name for m in METHODS.values() if m.gives == gives)
        what = "point fits" if gives == "point" else "posteriors"
        msg = f"method={name!r} gives a {method.gives}; here {what} are needed, by one of {fitting}"
        raise SpecError(msg)
    return method


def estimate(
    spec: MixtureSpec, name: str, given: Mapping[str, Any], priors: Any = None
) -> Fitted | Drawn:
    """Fit a specification by one of the methods.

    Parameters
    ----------
    spec : MixtureSpec
    name : str
    given : dict
        The options that the user gave.
    priors : None, "flat" or dict

    Raises
    ------
    SpecError, FitError
        If an option is unknown, has a wrong value or belongs to another method, or if the fit
        fails.
    """
    method = named(name)
    for option in given:
        _check_known(method, option)
    chosen = {option: value for option, value in given.items() if value is not None}
    options, run = method.load()
    result: Fitted | Drawn = run(spec, name, options(**chosen), priors)
    return result


def checkpoint(spec: MixtureSpec, priors: Any, path: Any, options: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint file of a run.

    Parameters
    ----------
    spec : MixtureSpec
    priors : None, "flat" or dict
    path : str or path
    options : dict
        The options of the run; another run with other options gets an error.

    Raises
    ------
    SpecError, DataError
        If the run cannot be reproduced, or the file belongs to another run.
    """
    import numpy as np

    from bayesmix.storage import Checkpoint

    if options.get("sampler") not in (None, "nutpie"):
        msg = "checkpoint= needs sampler='nutpie', whose chains can be continued; leave it out"
        raise SpecError(msg)
    seed, init = options.get("seed"), options.get("init")
    if init is not None or not (seed is None or isinstance(seed, int | np.integer)):
        raise SpecError(
            "checkpoint= makes the same run again, so it takes seed= as a whole number, or "
            "none, and no init="
        )
    free = ("progress", "n_threads")  # the draws are the same with any
    same = {name: value for name, value in options.items() if name not in free}
    return Checkpoint(path, spec, priors, same)


def _check_known(method: Method, option: str) -> None:
    """No option is accepted and ignored."""
    if option in method.option_names:
        return
    others = [m.name for m in METHODS.values() if option in m.option_names]
    if not others:
        from bayesmix._arguments import unknown_option

        raise unknown_option("fit()", option, list(method.option_names))
    raise SpecError(
        f"{option}= does not go with method={method.name!r}; leave it out, or use method="
        f"{' or '.join(map(repr, others))}"
    )


def words(name: str) -> str:
    """What the method of a result found, and how."""
    if name in METHODS:
        return METHODS[name].words
    return ALGORITHMS.get(name, name)


def call_of(name: str) -> str:
    """The name to give `Mixture.fit` for a result whose `method` is this."""
    return "em" if name in ALGORITHMS else name


def signature(fit: Callable[..., Any]) -> inspect.Signature:
    """The signature of `Mixture.fit` with the options of all methods, for help and completion.

    The default is None where the methods have different defaults.
    """
    own = inspect.signature(fit)
    kept = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
    return own.replace(parameters=[*kept, *_shared_options().values()])


@cache
def _shared_options() -> dict[str, inspect.Parameter]:
    """The options of all methods by name; None where their defaults differ."""
    options: dict[str, inspect.Parameter] = {}
    for option in (each for method in METHODS.values() for each in method.options):
        known = options.get(option.name)
        default = option.default if known is None or known.default == option.default else None
        options[option.name] = inspect.Parameter(
            option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=option.type
        )
    return options
