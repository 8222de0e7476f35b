"""The fits that a report is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bayesmix.comparison.same_data import differences, fingerprint, mixture_spec
from bayesmix.comparison.scores import is_posterior
from bayesmix.errors import SpecError
from bayesmix.model import MixtureSpec
from bayesmix.plot.picture import sample_words, sampled


@dataclass(frozen=True)
class Subject:
    """The fits that a report is about.

    Parameters
    ----------
    fits : dict of str to PointFit or Posterior
    code : str
        How the data were made, or the command that made the fits; may be empty.
    """

    fits: Mapping[str, Any]
    code: str = ""

    @cached_property
    def specs(self) -> dict[str, MixtureSpec]:
        """The specification of every fit."""
        return {name: mixture_spec(fit) for name, fit in self.fits.items()}

    @cached_property
    def at_hand(self) -> dict[str, tuple[Any, MixtureSpec]]:
        """The fits and their specifications, with a sample in place of rows that come in blocks."""
        found = {name: sampled(fit) for name, fit in self.fits.items()}
        return {name: (fit, mixture_spec(fit)) for name, fit in found.items()}

    @property
    def sample_words(self) -> str:
        """Which samples stand for rows in blocks, and where; empty where there are none."""
        found = " and ".join(dict.fromkeys(w for w in map(sample_words, self.fits.values()) if w))
        return found and (
            f"Memberships, predictions, averages and pictures are of {found}; estimates, their "
            "errors and criteria are of all rows."
        )

    @cached_property
    def posteriors(self) -> dict[str, Any]:
        """The fits that have draws."""
        return {name: fit for name, fit in self.fits.items() if is_posterior(fit)}

    @cached_property
    def points(self) -> dict[str, Any]:
        """The fits that are one value of the parameters."""
        return {n: fit for n, fit in self.fits.items() if n not in self.posteriors}

    @cached_property
    def predictive(self) -> dict[str, tuple[Any, Any]]:
        """Leave-one-out density and WAIC of every posterior."""
        return {name: (fit.loo(), fit.waic()) for name, fit in self.posteriors.items()}

    def like(self, other: str) -> str:
        """The name of the first fit with the model and data of this one."""
        mine = self.specs[other]
        return next(n for n, spec in self.specs.items() if _same(spec, mine))

    @property
    def models(self) -> list[str]:
        """Names of fits whose models or data differ, one for each."""
        return list(dict.fromkeys(self.like(name) for name in self.fits))

    def named(self, name: str, words: str) -> str:
        """A sentence about a fit, with its name if there are several."""
        return words if len(self.fits) == 1 else f"{name}: {words}"


def _same(one: MixtureSpec, other: MixtureSpec) -> bool:
    return one is other or (
        _described(one) == _described(other)
        and not differences(fingerprint(one), fingerprint(other))
    )


def _described(spec: MixtureSpec) -> tuple[Any, ...]:
    """What makes a model the same: families compare by identity, so by name and links here."""
    families = [f for block in spec.layout.blocks for f in block.families]
    return (
        (spec.components, spec.layout.coordinates, dict(spec.held)),
        [(block.name, len(block.families)) for block in spec.layout.blocks],
        [part.formula.text for part in spec.prepared.parts],
        [(f.name, [(p.name, p.link.name) for p in f.parameters]) for f in families],
    )


def _named(fits: Any) -> dict[Any, Any]:
    """Fits by name: a selection's by their number of components."""
    if isinstance(fits, Mapping):
        return dict(fits)
    if hasattr(fits, "best") and hasattr(fits, "table"):
        return {f"k = {k}": fits[k] for k in fits.table["k0"]}
    return {getattr(fits, "method", "fit"): fits}


def make_subject(fits: Any, code: str | None) -> Subject:
    """Take one fit, or fits by name.

    Raises
    ------
    SpecError
        If there is none, or something is not a fit.
    """
    named = _named(fits)
    wrong = [
        f"{name!r} is a {type(fit).__name__}"
        for name, fit in named.items()
        if not (hasattr(fit, "spec") and hasattr(fit, "summary"))
    ]
    if wrong or not named:
        given = "; ".join(wrong) if named else "an empty dict"
        raise SpecError(f'a fit is needed, or fits by name such as {{"ML": fit}}; given: {given}')
    return Subject({str(name): fit for name, fit in named.items()}, code or "")
