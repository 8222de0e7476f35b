"""Estimates of several fits side by side, their components matched."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import door
from bayesmix._arguments.printing import Printed
from bayesmix.comparison.same_data import check_fits, check_same_data, mixture_spec
from bayesmix.comparison.scores import is_posterior
from bayesmix.errors import FitError, SpecError
from bayesmix.model import assemble
from bayesmix.results.matching import best_order
from bayesmix.results.tables import KEYS

QUANTITIES = ["estimate", "error", "lower", "upper"]
# Weights and labels may differ: then the comparison shows what they do.
SAME = ("rows", "responses", "units", "unit_codes")
# What the summaries of point fits and posteriors call them.
NAMES = {"se": "error", "mean": "estimate", "sd": "error"}


@door
def compare_estimates(fits: Mapping[str, Any], ci: float = 0.95) -> pd.DataFrame:
    """Estimates, errors and intervals of several fits, side by side.

    The memberships of the units match the components of later fits to those of the first fit.
    Only components that the model does not distinguish are exchanged.

    Parameters
    ----------
    fits : dict of str to fit
        Point fits and posteriors of one model by name, such as
        ``{"ML": ml, "Bayes": posterior}``.  Some may hold parameters
        (``fixed_params=``) that others estimate.
    ci : float
        Coverage, or probability, of the intervals.

    Returns
    -------
    DataFrame
        component, term and effect, in the order of the first fit's summary; then for each fit
        ``<name>_estimate``, ``<name>_error`` (standard error by the delta method, or posterior
        standard deviation, on the natural scale), ``<name>_lower`` and ``<name>_upper``.  A
        held parameter has its value as the estimate, and NaN for error and interval.
        ``attrs["fits"]`` lists the names.

    Raises
    ------
    SpecError
        If the fits have different rows, responses, units, components or terms.
    FitError
        If `ci` is not between 0 and 1, or if matching would change the baseline component of
        the concomitants in a posterior or in a fit with held parameters.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> data = bmx.load_data("fabricfault")
    >>> spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    >>> both = {"EM": spec.fit("em", seed=1), "ML": spec.fit("ml", seed=1)}
    >>> list(bmx.compare_estimates(both).columns[:5])
    ['component', 'term', 'effect', 'EM_estimate', 'EM_error']
    """
    known = check_fits(fits, "compare_estimates")
    check_same_data(known, "compare_estimates", SAME)
    (first, reference), *others = known.items()
    base = _summary(reference, ci)
    out = base[KEYS].copy()
    _add(out, first, base)
    for name, fit in others:
        _check_components(first, reference, name, fit)
        own = _matched(reference, fit, name, ci)
        _check_terms(first, base, name, own)
        _add(out, name, own.set_index(KEYS).loc[pd.MultiIndex.from_frame(base[KEYS])])
    out = Printed(out)
    out.attrs["fits"] = list(known)
    return out


def _summary(fit: Any, ci: float) -> pd.DataFrame:
    """A fit's summary; errors are on natural scales, of points and of posteriors."""
    table = fit.summary(ci=ci).reset_index(drop=True).rename(columns=NAMES)
    # What is held does not vary over the draws; point fits have NaN there.
    table.loc[table["error"] == 0, ["error", "lower", "upper"]] = np.nan
    return table


def _symmetric(fit: Any) -> tuple[tuple[int, ...], ...]:
    """Interchangeable components, whatever parameters are held."""
    spec = mixture_spec(fit)
    return assemble(spec.prepared, spec.k).layout.symmetric if spec.held else spec.layout.symmetric


def _add(out: pd.DataFrame, name: str, summary: pd.DataFrame) -> None:
    for quantity in QUANTITIES:
        out[f"{name}_{quantity}"] = summary[quantity].to_numpy()


def _check_components(first: str, reference: Any, name: str, fit: Any) -> None:
    one, other = mixture_spec(reference).layout, mixture_spec(fit).layout
    if one.components != other.components or _symmetric(reference) != _symmetric(fit):
        msg = (
            f"compare_estimates() puts fits of one model side by side; {first!r} has the "
            f"components {list(one.components)} and {name!r} {list(other.components)}, or other "
            "blocks, families or labels tell them apart"
        )
        raise SpecError(msg)


def _check_terms(first: str, base: pd.DataFrame, name: str, own: pd.DataFrame) -> None:
    mine, theirs = (set(f[KEYS].itertuples(index=False, name=None)) for f in (base, own))
    if mine == theirs:
        return
    shown = [
        f"{who!r} alone has {', '.join(f'{e} {t!r}' for t, e in extra)}"
        for who, extra in ((first, _terms(mine - theirs)), (name, _terms(theirs - mine)))
        if extra
    ]
    msg = f"compare_estimates() puts fits of one model side by side; {'; '.join(shown)}"
    raise SpecError(msg)


def _terms(keys: set[tuple[Hashable, str, str]]) -> list[tuple[str, str]]:
    return sorted({(term, effect) for _, term, effect in keys})[:5]


def _memberships(fit: Any) -> pd.DataFrame:
    """The memberships of all units, of rows in blocks too."""
    found = fit.membership()
    return found if isinstance(found, pd.DataFrame) else pd.concat(list(found))


def _matched(reference: Any, fit: Any, name: str, ci: float) -> pd.DataFrame:
    """The summary of a fit with its components named as in the reference."""
    spec, own_spec = mixture_spec(reference), mixture_spec(fit)
    names = list(spec.components)
    if spec.layout.symmetric != own_spec.layout.symmetric:
        # Held in one of them only: labels are matched all the same.
        spec = assemble(spec.prepared, spec.k)
    mine, theirs = (_memberships(f)[names].to_numpy() for f in (reference, fit))
    order = best_order(spec, mine, theirs)
    if (order == np.arange(spec.k)).all():
        return _summary(fit, ci)
    if not is_posterior(fit) and not own_spec.held:
        return _summary(fit.relabel(order=[names[s] for s in order]), ci)
    own = _summary(fit, ci)
    if order[0] != 0 and (own["effect"] == "concomitant").any():
        msg = (
            f"the components of {name!r} come in another order, and its concomitant effects have "
            "another baseline; put it first, so that the others are matched to it"
        )
        raise FitError(msg)
    place = {names[s]: names[new] for new, s in enumerate(order)}
    own["component"] = own["component"].map(place)
    return own
