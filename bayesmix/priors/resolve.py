"""The user's priors in the place of the defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bayesmix.distributions import Prior, as_prior
from bayesmix.errors import SpecError
from bayesmix.families.links import Link, get_link
from bayesmix.model import MixtureSpec
from bayesmix.model.smooth import smooth_sets, smoothed
from bayesmix.model.standard import standardise
from bayesmix.priors.defaults import WIDE, default_priors, predictor_unit, support
from bayesmix.priors.log_density import PriorModel, SmoothPrior, placed


def with_smooths(spec: MixtureSpec, given: Any) -> MixtureSpec:
    """The specification with the parameters that the user's priors add.

    Parameters
    ----------
    spec : MixtureSpec
        In the user's coordinates.
    given : None, "flat" or dict
        Every smooth prior adds a standard deviation for each component.

    Raises
    ------
    SpecError
        If a smooth prior is given for anything but a spline.
    """
    if spec.smooths or not isinstance(given, Mapping):
        return spec
    splines = [n for n, p in given.items() if isinstance(p, Prior) and p.kind == "smooth"]
    return smoothed(spec, splines)


def resolve(spec: MixtureSpec, given: Any) -> PriorModel | None:
    """The priors of a model: the defaults, with the user's in their place.

    Parameters
    ----------
    spec : MixtureSpec
    given : None, "flat" or dict
        None: the defaults.  "flat": no prior, returned as None.  A dict maps names
        of `fit.params` ("coef", "coef[term]", a dispersion, "weight", "alpha",
        "alpha[term]") to a `Prior`; that of a term goes before that of its variable.

    Raises
    ------
    SpecError
        If a name is unknown, or a prior does not live where its parameter does.
    """
    if isinstance(given, str) and given == "flat":
        return None
    if given is not None and not isinstance(given, Mapping):
        raise SpecError(f"priors={given!r} must be None, 'flat' or a dict of names to bmx.Prior")
    standard = standardise(spec)
    assert standard.standard is not None
    model = default_priors(spec, standard)
    theirs = dict(_beside_smooths(spec))
    single, own = {**model.single, **theirs}, set(theirs)
    concentration, spread = model.concentration, model.spread
    variables = {spec.layout.coordinates[j].variable for j in single}
    for name, prior in _general_first(given or {}, variables):
        if prior.kind == "smooth":
            continue
        of_weights = name.split("[")[0] in {"weight", "alpha"} - variables
        if spec.k == 1 and of_weights:
            continue  # one component has no weights; select() goes through it too
        if name == "weight" and concentration is not None:
            if prior.kind != "dirichlet":
                raise SpecError(
                    f"priors['weight'] is {prior!r}; weights have a "
                    "Prior('dirichlet', concentration=)"
                )
            concentration = float(prior.parameters["concentration"])
        elif name == "weight":
            raise SpecError(
                f"priors['weight'] is {prior!r}, but with concomitant= the weights differ between "
                "units; give their logits a prior, as 'alpha' or 'alpha[term]', or leave "
                "concomitant= out"
            )
        elif spread is not None and of_weights:
            chosen, spread = _spread(spec, spread, name, prior)
            own |= set(spec.layout.alpha[1:, chosen].ravel().tolist())
        else:
            own |= set(_replace(spec, single, name, prior))
    user = replace(
        model,
        single=single,
        concentration=concentration,
        spread=spread,
        standard=model.standard - own,
        smooths=smooth_priors(spec),
    )
    return placed(user, standard.standard)


def smooth_priors(spec: MixtureSpec) -> tuple[SmoothPrior, ...]:
    """The priors of splines that have parameters themselves."""
    return tuple(
        SmoothPrior(at, tau, smooth.turn, smooth.rank)
        for smooth in spec.smooths
        for at, tau, _ in smooth_sets(spec, smooth)
    )


def _beside_smooths(spec: MixtureSpec) -> Iterator[tuple[int, tuple[Prior, Link]]]:
    """Of splines the priors of every tau, of straight lines, and a mark of the other entries."""
    identity, log = get_link("identity"), get_link("log")
    for smooth in spec.smooths:
        for at, tau, s in smooth_sets(spec, smooth):
            wide = WIDE * predictor_unit(spec, smooth.block, s, smooth.predictor)
            yield tau, (Prior("half_student_t", nu=3.0, sigma=wide), log)
            for place, j in enumerate(at.tolist()):
                straight = place >= smooth.rank
                prior = Prior("normal", mu=0.0, sigma=wide) if straight else Prior.smooth()
                yield j, (prior, identity)


def _general_first(given: Mapping[Any, Any], variables: set[str]) -> list[tuple[str, Prior]]:
    """The user's priors, those of whole variables before those of single terms."""
    given = {name: as_prior(prior) for name, prior in given.items()}
    for name, prior in given.items():
        if not isinstance(name, str):
            raise SpecError(f"priors has the name {name!r}; names are text, those of fit.params")
        if not isinstance(prior, Prior):
            raise SpecError(
                f"priors[{name!r}] is {prior!r}; use a bmx.Prior, such as Prior('normal', ...), "
                "or a distribution of PreliZ"
            )
    whole = variables | {"alpha"}
    return sorted(given.items(), key=lambda item: item[0] not in whole)


def _replace(
    spec: MixtureSpec, single: dict[int, tuple[Prior, Link]], name: str, prior: Prior
) -> list[int]:
    """Put the user's prior in the places that a name stands for, and return these."""
    splines = {j for smooth in smooth_priors(spec) for j in smooth.at.tolist()}
    places = [
        (j, c) for j, c in enumerate(spec.layout.coordinates) if j in single and j not in splines
    ]
    at = [j for j, c in places if name in (c.variable, f"{c.variable}[{c.term}]")]
    if not at:
        known = {c.variable for _, c in places}
        known |= {f"{c.variable}[{c.term}]" for _, c in places if c.variable != c.term}
        known |= {"weight"} if spec.layout.concomitant_terms is None else {"alpha"}
        raise SpecError(f"priors has {name!r}, but this model's parameters are {sorted(known)}")
    for j in at:
        link = single[j][1]
        try:
            single[j] = (prior.within(support(link)), link)
        except SpecError:
            msg = f"priors[{name!r}] is {prior!r}, but the parameter is {support(link)}"
            raise SpecError(msg) from None
    return at


def _spread(
    spec: MixtureSpec, spread: np.ndarray, name: str, prior: Prior
) -> tuple[np.ndarray, np.ndarray]:
    """The concomitant terms that a name stands for, (Q,), and the spread with theirs."""
    terms = list(spec.layout.concomitant_terms or ())
    chosen = np.array([name in ("alpha", f"alpha[{term}]") for term in terms])
    if not chosen.any():
        raise SpecError(f"priors has {name!r}, but the concomitant terms are {terms}")
    if prior.kind != "normal" or prior.parameters["mu"] != 0:
        raise SpecError(
            f"priors[{name!r}] is {prior!r}; concomitant logits have a Prior('normal', mu=0, "
            "sigma=), the same for every component"
        )
    return chosen, np.where(chosen, prior.parameters["sigma"], spread)
