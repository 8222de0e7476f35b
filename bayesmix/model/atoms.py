r"""Responses with point masses: which components a value leaves possible.

Families give densities, probabilities of whole numbers, or all their mass to one value, an atom.
A likelihood compares like with like only.  Beside a density an atom is a measure of its own: a
value at the atom has probability there and a density of zero relative to it elsewhere, so it
belongs to the atom alone, and the other families need not allow it.  Beside probabilities the
atom's adds to theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bayesmix._arguments import plain
from bayesmix.errors import DataError, SpecError
from bayesmix.families import Family, Observed
from bayesmix.families.base import allows, fillers
from bayesmix.formula.frames import Units
from bayesmix.formula.response import Response

# A share of the way between two values that is between two whole numbers wherever these stand.
_BETWEEN = 0.381966
# Values are equal if they differ by less than the rounding error of a short sum, relative to them.
ROUNDING = 1e-15


def read_by_component(
    response: Response, families: Sequence[Family]
) -> tuple[list[Response], np.ndarray | None]:
    """The response as each component's family reads it, and which components each row allows.

    Parameters
    ----------
    response : Response
        Of n rows.
    families : sequence of Family, length S

    Returns
    -------
    list of Response, length S
        Beside atoms, densities read other values of the response in the place of those at an
        atom: these rows do not belong to them.
    ndarray of bool, shape (n, S), or None
        None where all components are possible in all rows.

    Raises
    ------
    SpecError
        If densities stand beside probabilities.
    """
    alike = [response] * len(families)
    distinct = list({id(f): f for f in families}.values())
    if response.kind not in ("numeric", "binomial") or len(distinct) == 1:
        return alike, None
    others = [f for f in distinct if f.atom is None]
    atoms = len(others) < len(distinct)
    counts = {f.name: _is_discrete(f, response) for f in others}
    if any(counts.values()) and not all(counts.values()):
        gives = {True: "probabilities", False: "a density"}
        named = " and ".join(f"{name!r} {gives[c]}" for name, c in counts.items())
        raise SpecError(
            f"family= mixes what cannot be compared for {response.name!r:.200}: {named}. Which "
            "of them a row belongs to would depend on the unit of measurement; use families of one "
            "kind ('zero' and bmx.family('point', at=) stand beside both)"
        )
    if not atoms or not others or any(counts.values()):
        return alike, None
    return _apart(response, families)


def _apart(response: Response, families: Sequence[Family]) -> tuple[list[Response], np.ndarray]:
    """Atoms beside densities."""
    y = response.y.copy()
    places = {f.atom for f in families if f.atom is not None}
    for place in places:  # 0.1 + 0.2 is 0.3
        y[np.isclose(y, place, rtol=ROUNDING, atol=0)] = place
    response = replace(response, y=y)
    at_atom = np.isin(y, list(places))
    others = np.sort(y[~at_atom & ~np.isnan(y)])
    if not len(others):  # of new rows, or in a block
        others = fillers(next(f for f in families if f.atom is None))
    allowed = np.column_stack([~at_atom if f.atom is None else y == f.atom for f in families])
    missing = np.isnan(y)[:, None]
    allowed |= missing
    filled = y.copy()
    m = int(at_atom.sum())
    # Values with the distribution of the others, so that starts and scales are theirs.
    filled[at_atom] = others[((np.arange(m) + 0.5) / max(m, 1) * len(others)).astype(int)]
    continuous = replace(response, y=filled)
    return [response if f.atom is not None else continuous for f in families], allowed


def check_atoms(
    response: Response, counted: np.ndarray | slice, families: Sequence[Family]
) -> None:
    """Refuse point masses and densities beside them for which there is no value.

    Beside counts a point mass without values is an answer: its weight is zero.

    Parameters
    ----------
    response : Response
    counted : ndarray or slice
        The rows with a positive weight.
    families : sequence of Family, length S

    Raises
    ------
    DataError
    """
    if any(f.atom is None and _is_discrete(f, response) for f in families):
        return
    name, y = response.name, response.y[counted]
    y = y[~np.isnan(y)]
    places = sorted({f.atom for f in families if f.atom is not None})
    near = [np.isclose(y, place, rtol=ROUNDING, atol=0) for place in places]
    empty = [f"{place:g}" for place, there in zip(places, near, strict=True) if not there.any()]
    if empty:
        raise DataError(
            f"no value of {name!r} is {' or '.join(empty)}, so nothing can be learned about the "
            "point mass there; leave it out, or check the column"
        )
    off, alone = ~np.any(near, axis=0), all(f.atom is not None for f in families)
    named = ", ".join(f"{place:g}" for place in places)
    if alone and off.any():
        raise DataError(
            f"every component of {name!r} is a point mass ({named}), but {int(off.sum())} of "
            f"{len(y)} values are not there, such as {y[off][0]:g}; give a family for them"
        )
    if places and not alone and not off.any():
        raise DataError(
            f"every value of {name!r} is at a point mass ({named}), so nothing is left for the "
            "other components; leave them out, or check the column"
        )


def _is_discrete(family: Family, response: Response) -> bool:
    """Whether a family gives probabilities, not a density."""
    if family.discrete is not None or not family.is_own:
        return bool(family.discrete)
    y = np.unique(response.y[np.isfinite(response.y)])
    if (y != np.floor(y)).any():
        return False
    if family.valid is not None:
        good = y[allows(family, y)]
        middle = good[:-1] + _BETWEEN * np.diff(good)
        if len(middle):
            return not allows(family, middle).any()
    return _sums_to_one(family)


def _sums_to_one(family: Family) -> bool:
    """Whether a user's log density is one of probabilities of whole numbers."""
    whole = np.arange(-500.0, 501.0)
    obs = Observed(whole, np.ones_like(whole), 0.0)
    totals = []
    for value in (0.5, 1.5):  # inside every link's range, or one of them is
        if all(p.link.lower < value < p.link.upper for p in family.parameters):
            etas = tuple(p.link.forward(np.full(len(whole), value)) for p in family.parameters)
            with np.errstate(all="ignore"):
                totals.append(np.nansum(np.exp(family.log_density(obs, etas))))
    return bool(totals) and bool(np.allclose(totals, 1.0, rtol=0, atol=1e-6))


def allowed_units(
    units: Units, rows: Sequence[np.ndarray | None], known: np.ndarray | None
) -> np.ndarray | None:
    """The components (U, S) that the rows of each unit leave possible; None where all are.

    Parameters
    ----------
    units : Units
    rows : sequence of ndarray of bool, shape (n, S), or None
        By response.
    known : ndarray of bool, shape (U, S), or None
        What labels say.

    Raises
    ------
    DataError
        If nothing is left for a unit.
    """
    found = None if known is None else known.copy()
    for may in rows:
        if may is None or may.all():
            continue
        by_unit = may
        if units.grouped:
            by_unit = np.ones((len(units.first), may.shape[1]), bool)
            np.logical_and.at(by_unit, units.codes, may)
        _refuse_impossible(
            units,
            by_unit,
            "its rows are at a point mass and off it, and share one "
            "component; take another group, or no point mass",
        )
        found = by_unit if found is None else found & by_unit
    if found is None:
        return None
    _refuse_impossible(
        units,
        found,
        "its label names a component that cannot give its values; correct the label or the family",
    )
    return found


def _refuse_impossible(units: Units, allowed: np.ndarray, why: str) -> None:
    bad = np.flatnonzero(~allowed.any(1))
    if len(bad):
        what = units.name if units.grouped else "row"
        raise DataError(
            f"no component can give {len(bad)} of the {len(allowed)} units, such as "
            f"{what} = {plain(units.index[bad[0]])!r}: {why}"
        )
