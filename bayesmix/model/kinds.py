"""What the components of a model are: groups to be found, or events that data name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What components are called, and whether data name them.

    Parameters
    ----------
    component, unit : str
        A component, and who belongs to one.
    groups : str
        The components as what units differ in.
    one, several : str
        A model of one component, and of more.
    model : str
        The model in a sentence.
    fewer : str
        What to do against a component that is none.
    call : str
        The public class.
    named : bool
        Whether data name every component, so that none can be another, or be removed.
    """

    component: str = "component"
    unit: str = "unit"
    groups: str = "groups"
    one: str = "Regression (one component)"
    several: str = "Mixture of {} components"
    model: str = "finite mixture with {} components"
    fewer: str = "Use smaller k"
    call: str = "Mixture"
    named: bool = False


MIXTURE = Kind()
COMPETING = Kind(
    "event",
    "subject",
    "events",
    "Survival regression (one event)",
    "Mixture of {} competing events",
    "mixture of {} competing events",
    "Leave the event out",
    "CompetingRisks",
    named=True,
)
