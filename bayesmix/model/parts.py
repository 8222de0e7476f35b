"""What a mixture is made of before its number of components is known."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import door
from bayesmix.errors import SpecError
from bayesmix.families import Family
from bayesmix.formula.design import Design, Units
from bayesmix.formula.response import Response
from bayesmix.formula.sources import Stream
from bayesmix.formula.times import Times
from bayesmix.formula.transforms import ParsedFormula, Scope
from bayesmix.model.blocks import FamilyBlocks, family_blocks

COVARIANCES = ("varying", "fixed", "proportional")


@door
@dataclass(frozen=True)
class Regression:
    """The regression of one response; a `Mixture` of several lets them share components.

    Parameters
    ----------
    formula : str
        Response and varying effects.
    family : str, Family, list or dict of these
        One family for all components, or one for each.  A dict from families to numbers says how
        many components each family has; "k" stands for all the others:
        ``{"zero": 1, "poisson": "k"}``.  A dict from names to families names the components.
    fixed : str, optional
        Effects with one coefficient for all components.
    nested : list of (str, int), optional
        Formula and number of components of each block.
    dispersion : str or list of int
        "varying", "fixed", or the sizes of the blocks that share a dispersion.
    per : {"row", "unit"}
        "unit": a response that belongs to the group as a whole, such as a time ``surv(...)`` or a
        final grade besides repeated measurements.  It is the same in all rows of a group, or
        missing in all but one.
    random_covariance : str
        Covariance of the random effects ``(1 + x | id)``: "varying", "fixed" (the same in all
        components) or "proportional" (the same up to a factor for each component).

    Examples
    --------
    >>> import bayesmix as bmx
    >>> bmx.Regression("y ~ x", family="poisson").family
    'poisson'
    """

    formula: str
    family: (
        str
        | Family
        | Sequence[str | Family]
        | Mapping[str | Family, int | str]
        | Mapping[Hashable, str | Family]
        | FamilyBlocks
    ) = "gaussian"
    fixed: str | None = None
    nested: Sequence[tuple[str, int]] | None = None
    dispersion: str | Sequence[int] = "varying"
    per: str = "row"
    random_covariance: str = "varying"

    def __post_init__(self) -> None:
        """Read a dict of families."""
        if self.random_covariance not in COVARIANCES:
            msg = f"random_covariance={self.random_covariance!r} is unknown; use {COVARIANCES}"
            raise SpecError(msg)
        object.__setattr__(self, "family", family_blocks(self.family))


@dataclass(frozen=True)
class Part:
    """One response with its evaluated designs, before the number of components is known."""

    regression: Regression
    formula: ParsedFormula
    response: Response
    designs: tuple[Design, ...]
    kinds: tuple[str, ...]  # "fixed", "nested", "varying", beside `designs`
    described: np.ndarray | None = None  # rows (n,) whose covariates are known; None for all
    random: RandomEffects | None = None
    owners: tuple[int, ...] = ()  # the one component that each design describes, if not all

    def offset(self, shifts: Sequence[np.ndarray | None]) -> np.ndarray | None:
        """Offsets (n,), or by component (S, n), from those of the designs."""
        given = [shift for shift in shifts if shift is not None]
        if not given or not self.owners:
            return np.sum(given, axis=0) if given else None
        out = np.zeros((max(self.owners) + 1, len(given[0])))
        for owner, shift in zip(self.owners, shifts, strict=True):
            out[owner] += 0.0 if shift is None else shift
        return out


@dataclass(frozen=True)
class RandomEffects:
    """Random effects of one response: their design, and the cluster of each row (n,)."""

    design: Design
    column: str
    codes: np.ndarray
    index: pd.Index


@dataclass(frozen=True)
class EventPart:
    """How the time to one competing event was observed, and what describes it.

    Parameters
    ----------
    formula : ParsedFormula
    response : Response
        Nothing is known where the row had another event.
    design : Design
        Of the location.
    ancillary : dict of str to Design
        Of other parameters, by name.
    """

    formula: ParsedFormula
    response: Response
    design: Design
    ancillary: Mapping[str, Design]

    @property
    def designs(self) -> tuple[Design, ...]:
        """All designs of the event, the location's first."""
        return (self.design, *self.ancillary.values())


@dataclass(frozen=True)
class Events:
    """Competing events: the components, and which of them each row may belong to.

    Parameters
    ----------
    column : str
    names : tuple
        Of the components, in order.
    families : tuple
        As given, one for each event.
    parts : tuple of EventPart
    partial : dict
        Codes of partly known events with the events each may be.
    allowed : ndarray of bool, shape (n, S)
    truncation : str
        "mixture" or "component".
    """

    column: str
    names: tuple[Hashable, ...]
    families: tuple[Any, ...]
    parts: tuple[EventPart, ...]
    partial: Mapping[Hashable, tuple[Hashable, ...]]
    allowed: np.ndarray
    truncation: str


@dataclass(frozen=True)
class Prepared:
    """Everything that does not depend on the number of components."""

    parts: tuple[Part, ...]
    units: Units
    concomitant: Design | None
    weight: np.ndarray | None
    labels: pd.Categorical | None
    scope: Scope
    group: str | None
    weights_column: str | None
    labels_column: str | None
    columns: tuple[str, ...]
    n_dropped: int
    table: pd.DataFrame  # the rows in use; other columns too, unless that would copy them
    events: Events | None = None
    fiml: bool = False  # whether responses may be missing
    stream: Stream | None = None  # all rows, where the table has a sample of them
    # Of formulas, where they come from all these rows; None: they count no case weights.
    constants: tuple[dict[str, Any], ...] | None = ()

    @property
    def index(self) -> pd.Index:
        """The labels of the rows in use."""
        return self.table.index

    @property
    def row_weight(self) -> np.ndarray | None:
        """The case weight of each row, (n,)."""
        return None if self.weight is None else self.weight[self.units.codes]

    @property
    def na_action(self) -> str:
        """How missing values were treated: "fiml", "drop" where that left out rows, or "error"."""
        return "fiml" if self.fiml else "drop" if self.n_dropped else "error"

    @property
    def readings(self) -> tuple[Part | EventPart, ...]:
        """How what was observed is read: once for each response, or for each event."""
        return self.parts if self.events is None else self.events.parts

    @property
    def identifiers(self) -> set[str | None]:
        """The columns whose values are names: of the groups, and of the clusters in them."""
        return {self.group, *(p.random.column for p in self.parts if p.random is not None)}

    @cached_property
    def times(self) -> dict[str, Times]:
        """What is known of every row's time, by response as written.

        Events with one response have one time: a row whose event is known says it there.
        """
        out: dict[str, Times] = {}
        for reading in self.readings:
            now, name = reading.response.times, reading.response.name
            if now is not None and (before := out.get(name)) is not None:
                now = Times(
                    np.maximum(before.lower, now.lower),
                    np.minimum(before.upper, now.upper),
                    np.maximum(before.entry, now.entry),
                )
            out |= {} if now is None else {name: now}
        return out

    @property
    def gaps(self) -> bool:
        """Whether a row may lack a response: a missing one, or one that its unit has once."""
        once = (p for p in self.parts if p.regression.per == "unit")
        return self.fiml or any(p.response.times is None for p in once)

    @property
    def n_missing(self) -> dict[str, int]:
        """Rows in use in which each response is missing; units, where each has it once."""
        if self.stream is not None and self.stream.totals.missing is not None:
            return self.stream.totals.missing
        return self.missing([reading.response for reading in self.readings], self.units)

    def missing(self, responses: Sequence[Response], units: Units) -> dict[str, int]:
        """The same of some rows."""
        per_unit = {p.response.name for p in self.parts if p.regression.per == "unit"}
        out = {}
        for r in responses:
            rows = units.first if r.name in per_unit else slice(None)
            out[r.name] = 0 if r.there is None else int((~r.there[rows]).sum())
            for part, y in zip(r.parts, r.y.T, strict=False):  # each of several columns
                out[part] = int(np.isnan(y[rows]).sum())
            if r.parts:
                del out[r.name]
        return out

    @property
    def data(self) -> pd.DataFrame:
        """The rows and columns in use, for plots."""
        return self.table[list(self.columns)]


def nested_pairs(nested: Any) -> list[tuple[str, int]]:
    """Formulas and sizes of the nested blocks, checked."""
    if nested is None:
        return []
    wrong = not isinstance(nested, (list, tuple)) or any(
        not isinstance(pair, (tuple, list)) or len(pair) != 2 for pair in nested
    )
    if wrong:
        raise SpecError(
            f"nested={nested!r} must be a list of (formula, number of components) pairs, such as "
            "[('~ x', 1), ('~ 0', 2)]"
        )
    for text, size in nested:
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
            msg = f"the nested block {text!r} has size {size!r}; a size is an integer of at least 1"
            raise SpecError(msg)
    return [(text, int(size)) for text, size in nested]
