"""What a mixture is made of before its number of components is known."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from bayesmix._arguments import door
from bayesmix.errors import SpecError
from bayesmix.families import Family
from bayesmix.formula.design import Design
from bayesmix.formula.frames import Units
from bayesmix.formula.parser import ParsedFormula
from bayesmix.formula.response import Response
from bayesmix.formula.scope import Scope
from bayesmix.formula.sources import Stream
from bayesmix.formula.times import Times
from bayesmix.model.blocks import FamilyBlocks, family_blocks
from bayesmix.model.kinds import COMPETING, MIXTURE, Kind

LOCATED = ("varying", "fixed", "nested")  # designs of the locations


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
        """Read a dict of families, and the sizes of blocks."""
        object.__setattr__(self, "family", family_blocks(self.family))
        if self.nested is not None:
            object.__setattr__(self, "nested", _nested_pairs(self.nested))
        if not isinstance(self.dispersion, str):
            object.__setattr__(self, "dispersion", [int(n) for n in self.dispersion])


@dataclass(frozen=True)
class Reading:
    """How a response was observed, and what describes it.

    Parameters
    ----------
    formula : ParsedFormula
    response : Response
        Of a competing event nothing is known where the row had another one.
    designs : tuple of Design
    kinds : tuple of str, beside `designs`
        "fixed", "nested" or "varying", or the parameter that an ancillary formula describes.
    """

    formula: ParsedFormula
    response: Response
    designs: tuple[Design, ...]
    kinds: tuple[str, ...]

    @property
    def ancillary(self) -> dict[str, Design]:
        """Designs of parameters beside the location, by name."""
        pairs = zip(self.kinds, self.designs, strict=True)
        return {kind: design for kind, design in pairs if kind not in LOCATED}

    def take(self, rows: slice) -> Reading:
        """The same for some rows, by position."""
        designs = tuple(design.take(rows) for design in self.designs)
        return replace(self, response=self.response.take(rows), designs=designs)


@dataclass(frozen=True)
class RandomEffects:
    """Random effects of one response: their design, and the cluster of each row (n,)."""

    design: Design
    column: str
    codes: np.ndarray
    index: pd.Index


@dataclass(frozen=True)
class Events:
    """What names the event of each row, where the components are competing events.

    Parameters
    ----------
    column : str
    partial : dict
        Codes of partly known events with the events each may be.
    truncation : str
        "mixture" or "component".
    """

    column: str
    partial: Mapping[Hashable, tuple[Hashable, ...]]
    truncation: str


@dataclass(frozen=True)
class Read:
    """A response of some rows as it was observed.

    Parameters
    ----------
    responses : tuple of Response
        One that all components read, or one for each.
    allowed : ndarray of bool, shape (n, S), or None
        The components that the rows may belong to by their events, which are observed beside the
        responses.
    truncation : str
        "mixture" or "component".
    """

    responses: tuple[Response, ...]
    allowed: np.ndarray | None = None
    truncation: str = "mixture"


@dataclass(frozen=True)
class Part:
    """One response with its evaluated designs, before the number of components is known.

    Parameters
    ----------
    regression : Regression
    readings : tuple of Reading
        One that all components share, or one for each.
    described : ndarray of bool, shape (n,), or None
        Rows whose covariates are known; None for all.
    random : RandomEffects, or None
    events : Events, or None
        Of competing events, with `allowed` as in `Read`.
    """

    regression: Regression
    readings: tuple[Reading, ...]
    described: np.ndarray | None = None
    random: RandomEffects | None = None
    events: Events | None = None
    allowed: np.ndarray | None = None

    @property
    def formula(self) -> ParsedFormula:
        """Of the first reading, as is the response."""
        return self.readings[0].formula

    @property
    def response(self) -> Response:
        """What was observed; competing events may have others."""
        return self.readings[0].response

    @property
    def designs(self) -> tuple[Design, ...]:
        """All designs, reading by reading."""
        return tuple(design for reading in self.readings for design in reading.designs)

    @property
    def names(self) -> tuple[Hashable, ...]:
        """Names of the components, where a dict of families gives them."""
        family = self.regression.family
        return tuple(family) if isinstance(family, Mapping) else ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the designs are of."""
        return tuple(kind for reading in self.readings for kind in reading.kinds)

    def read_by(self, k: int) -> tuple[Reading, ...]:
        """The reading of each of k components."""
        return self.readings if len(self.readings) == k else self.readings * k

    def seen(self, responses: Sequence[Response], allowed: np.ndarray | None) -> Part:
        """The same with other rows' responses, one a reading."""
        pairs = zip(self.readings, responses, strict=True)
        readings = tuple(replace(reading, response=response) for reading, response in pairs)
        return replace(self, readings=readings, allowed=allowed)

    def offset(self, shifts: Sequence[np.ndarray | None]) -> np.ndarray | None:
        """Offsets (n,), or by component (S, n), from those of the designs."""
        given = [shift for shift in shifts if shift is not None]
        if not given or len(self.readings) == 1:
            return np.sum(given, axis=0) if given else None
        out = np.zeros((len(self.readings), len(given[0])))
        owners = (s for s, reading in enumerate(self.readings) for _ in reading.designs)
        for owner, shift in zip(owners, shifts, strict=True):
            out[owner] += 0.0 if shift is None else shift
        return out


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
    fiml: bool = False  # whether responses may be missing
    stream: Stream | None = None  # all rows, where the table has a sample of them
    # Of formulas, where they come from all these rows; None: they count no case weights.
    constants: tuple[dict[str, Any], ...] | None = ()

    @property
    def index(self) -> pd.Index:
        """The labels of the rows in use."""
        return self.table.index

    @property
    def na_action(self) -> str:
        """How missing values were treated: "fiml", "drop" where that left out rows, or "error"."""
        return "fiml" if self.fiml else "drop" if self.n_dropped else "error"

    @property
    def events(self) -> Events | None:
        """What names the events, where these are the components."""
        return self.parts[0].events

    @property
    def kind(self) -> Kind:
        """What the components are."""
        return MIXTURE if self.events is None else COMPETING

    @property
    def events_column(self) -> str | None:
        """The column of the events."""
        return None if self.events is None else self.events.column

    @property
    def n_known(self) -> int:
        """Number of rows whose event is known."""
        return sum(int((p.allowed.sum(1) == 1).sum()) for p in self.parts if p.allowed is not None)

    @property
    def readings(self) -> tuple[Reading, ...]:
        """How what was observed is read: once for each response, or for each event."""
        return tuple(reading for part in self.parts for reading in part.readings)

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


def _nested_pairs(nested: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Formulas and sizes of the nested blocks, checked."""
    pairs = [(text, int(size)) for text, size in nested]
    for text, size in pairs:
        if size < 1:
            msg = f"the nested block {text!r} has size {size!r}; a size is an integer of at least 1"
            raise SpecError(msg)
    return pairs
