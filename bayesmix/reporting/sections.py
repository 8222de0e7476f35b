"""The sections of a report, in their order.

A section is a function of the `Subject` that gives a `Section`, without blocks where it does not
apply to the fits.  A new kind of model adds its own here.
"""

from __future__ import annotations

from collections.abc import Callable

from bayesmix.reporting.blocks import Section
from bayesmix.reporting.conclusion import conclusion, methods_paragraph
from bayesmix.reporting.convergence import chains, convergence
from bayesmix.reporting.criteria import criteria
from bayesmix.reporting.estimates import estimates
from bayesmix.reporting.model import data, model
from bayesmix.reporting.provenance import provenance
from bayesmix.reporting.subject import Subject
from bayesmix.reporting.units import events, memberships, predictions, survival

SECTIONS: tuple[Callable[[Subject], Section], ...] = (
    conclusion,
    convergence,
    model,
    data,
    estimates,
    chains,
    memberships,
    predictions,
    events,
    survival,
    criteria,
    methods_paragraph,
    provenance,
)


def make_sections(subject: Subject) -> list[Section]:
    """The sections that apply."""
    made = (section(subject) for section in SECTIONS)
    return [section for section in made if section.blocks]
