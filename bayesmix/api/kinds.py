"""The one place that tells which public class a specification belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayesmix.api.competing import CompetingRisks
from bayesmix.api.mixture import Mixture

if TYPE_CHECKING:
    from bayesmix.api.model import Model
    from bayesmix.model import MixtureSpec

__all__ = ["model_of"]


def model_of(spec: MixtureSpec, priors: Any = None) -> Model:
    """The public model of a specification whose priors were checked before."""
    kind = Mixture if spec.prepared.events is None else CompetingRisks
    return kind._of(spec, priors)
