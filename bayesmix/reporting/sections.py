"""The sections of a report, in their order.

A section is a function of the `Subject` that gives its blocks, none where it does not apply to the
fits.  A new kind of model adds its own here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bayesmix.reporting.blocks import Block, Section
from bayesmix.reporting.conclusion import conclusion, methods_paragraph
from bayesmix.reporting.convergence import chains, convergence
from bayesmix.reporting.criteria import criteria
from bayesmix.reporting.estimates import estimates
from bayesmix.reporting.model import data, model
from bayesmix.reporting.provenance import provenance
from bayesmix.reporting.subject import Subject
from bayesmix.reporting.units import events, memberships, predictions, survival

# Of each its anchor, title and blocks.
SECTIONS: tuple[tuple[str, str, Callable[[Subject], Iterator[Block]]], ...] = (
    ("conclusion", "In short", conclusion),
    ("convergence", "Can the fits be relied on?", convergence),
    ("model", "The model", model),
    ("data", "The data", data),
    ("estimates", "Estimates", estimates),
    ("chains", "Do the chains agree?", chains),
    ("memberships", "Memberships", memberships),
    ("predictions", "Predictions", predictions),
    ("events", "Events over time", events),
    ("survival", "Survival over time", survival),
    ("criteria", "Criteria", criteria),
    ("methods", "Methods, for a paper", methods_paragraph),
    ("reproduce", "How this was made", provenance),
)
# The first words of some.
LEADS = {
    "chains": (
        "Chains that agree have an R-hat of at most 1.01 and effective sample sizes of at least "
        "400 for every parameter, traces without trends, and ranks that are spread evenly."
    ),
    "memberships": (
        "A membership is the probability, given the data, that a unit belongs to a component. The "
        "better the components are separated, the nearer memberships are to 0 and 1. Click on a "
        "unit in the table to see its memberships as bars."
    ),
    "predictions": (
        "Predicted is the mean of the response, averaged over the components by their weights "
        "(not by the memberships); binomial means are per trial."
    ),
    "events": (
        "The model's probabilities of having had each event by a time, averaged over the subjects, "
        "beside the Aalen-Johansen estimate, which needs no model. Where they differ by more than "
        "their intervals, the model does not describe the times."
    ),
    "survival": (
        "The model's survival curve, averaged over the rows, beside the Kaplan-Meier estimate, "
        "which needs no model. An infinite time means that fewer ever have the event."
    ),
}


def make_sections(subject: Subject) -> list[Section]:
    """The sections that apply."""
    made = ((key, title, tuple(blocks(subject))) for key, title, blocks in SECTIONS)
    return [Section(*own, LEADS.get(own[0], "")) for own in made if own[-1]]
