"""Whether data and model determine the estimates at all: constant responses, dependent columns."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bayesmix.errors import DataError, SpecError
from bayesmix.families import Observed
from bayesmix.formula.rank import rank_deficiency
from bayesmix.formula.response import Response
from bayesmix.model.atoms import check_atoms
from bayesmix.model.layout import Layout, PartLayout


def check_full_rank(matrix: np.ndarray, terms: tuple[str, ...], where: str) -> None:
    """Refuse a matrix (n, P) with linearly dependent columns, by name."""
    sets = rank_deficiency(matrix, terms)
    if sets:
        named = "; ".join(", ".join(s) for s in sets)
        raise SpecError(f"{where}: linearly dependent columns: {named}. Remove one of each set")


def check_varies(
    response: Response,
    layout: PartLayout,
    observed: Mapping[str, Observed],
    counted: np.ndarray | slice,
) -> None:
    """A response without variation in the rows that count leaves nothing to estimate from."""
    if response.times is not None:
        _check_events(response, counted)
        return
    if any(f.atom is not None for f in layout.families):
        check_atoms(response, counted, layout.families)
    pairs = zip(layout.families, layout.keys, strict=True)
    found = next(((f, k) for f, k in pairs if f.location is not None), None)
    if found is None:
        return
    first, obs = found[0], observed[found[1]]
    rows = np.arange(len(obs.y))[counted]
    rows = rows if obs.there is None else rows[obs.there[rows]]
    y, trials = obs.y[rows], None if obs.trials is None else obs.trials[rows]
    if first.columns:
        _check_columns(response, y)
        if any(f.normal is not None and f.normal.kind == "full" for f in layout.families):
            _check_together(response, y)
        return
    spread = bool(first.dispersions) and len(y) > 1 and (y == y[0]).all()
    empty = bool((y == 0).all()) or (trials is not None and bool((y == trials).all()))
    if spread or empty:
        raise DataError(
            f"the response {response.name!r:.200} has the same value in all {len(y)} rows"
            f" ({y[0]:g}), so the {first.name} family has nothing to estimate; check the column"
        )


def _check_together(response: Response, y: np.ndarray) -> None:
    """No column is a linear function of others, which would have no covariance with a density."""
    whole = y[~np.isnan(y).any(1)]
    if len(whole) <= y.shape[1]:
        return
    for names in rank_deficiency(whole - whole.mean(0), response.parts):
        raise DataError(
            f"the columns {', '.join(names)} of {response.name!r:.200} are linear functions of one "
            "another, so that their covariance has no density; leave one out, or use "
            "bmx.family('mvnormal', covariance='diagonal')"
        )


def _check_columns(response: Response, y: np.ndarray) -> None:
    """Each of several columns varies where it is there."""
    for name, column in zip(response.parts, y.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known) < 2 or np.ptp(known) == 0:
            what = f"the same value in all rows ({known[0]:g})" if len(known) else "no value"
            raise DataError(
                f"the column {name!r} of {response.name!r:.200} has {what}, so nothing can be "
                "estimated from it; leave it out, or check it"
            )


def _check_events(response: Response, counted: np.ndarray | slice) -> None:
    assert response.times is not None
    times = response.times.take(counted)
    if not any(kind != "right" for kind, _ in times.kinds()):
        rows = "" if len(times) == len(response.y) else " in the rows with a positive weight"
        raise DataError(
            f"the response {response.name!r:.200} has no event{rows}: all {len(times)} times are "
            "right-censored or unknown, so there is nothing to estimate; check the status column"
        )


def check_identified(layout: Layout, matrices: list[np.ndarray]) -> None:
    """Each linear predictor's stacked design has full column rank."""
    for block, matrix in zip(layout.blocks, matrices, strict=True):
        for predictor in block.linear():
            terms = predictor.terms
            has = predictor.index >= 0
            used = has[0].nonzero()[0].tolist()
            if not used or (has != has[0]).any():
                _stacked_rank(block.name, predictor.index, matrix, layout)
                continue
            check_full_rank(
                matrix[:, used] if len(used) < len(terms) else matrix,
                tuple(terms[j] for j in used),
                f"the design of {block.name!r:.200}",
            )


def _stacked_rank(name: str, index: np.ndarray, matrix: np.ndarray, layout: Layout) -> None:
    used = np.unique(index[index >= 0])
    if not len(used):
        return
    # Rows of the triangular factor stand for the rows of the data.
    factor = np.linalg.qr(matrix, mode="r") if len(matrix) > matrix.shape[1] else matrix
    stacked = np.zeros((len(index) * len(factor), len(used)))
    for s, row in enumerate(index):
        has = row >= 0
        at = np.searchsorted(used, row[has])
        stacked[s * len(factor) : (s + 1) * len(factor), at] = factor[:, has]
    names = []
    for position in used:
        c = layout.coordinates[position]
        names.append(f"{c.term} ({c.effect}, component {c.components[0] + 1})")
    check_full_rank(
        stacked, tuple(names), f"the design of {name!r} with its fixed and nested effects"
    )
