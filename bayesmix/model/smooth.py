"""Splines whose coefficients have a common standard deviation tau."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.formula.splines import Spline
from bayesmix.model.layout import BlockLayout, Coordinate, Predictor, Smooth
from bayesmix.model.rows import BlockRows
from bayesmix.model.spec import MixtureSpec

# The columns span a function of x if they fit it to within this share of its size.
EXACT = 1e-8


def smoothed(spec: MixtureSpec, terms: Iterable[str]) -> MixtureSpec:
    """The specification with a parameter tau for each of these splines.

    They come last in theta, and no family has them: only priors do.

    Parameters
    ----------
    spec : MixtureSpec
        In the user's coordinates.
    terms : iterable of str
        As written in the formulas.

    Raises
    ------
    SpecError
        If a term is no spline of the model, or too stiff to be smoothed.
    """
    have = {smooth.term for smooth in spec.smooths}
    for term in (t for t in terms if t not in have):
        found = [(b, s[term]) for b, s in enumerate(_splines(spec)) if term in s]
        if not found:
            raise SpecError(_unknown(spec, term))
        for number, spline in found:
            spec = _with_smooth(spec, number, term, *spline)
    return spec


def unsmoothed(spec: MixtureSpec) -> MixtureSpec:
    """The specification as it was before `smoothed`."""
    size = min([*smooth_entries(spec), spec.layout.size])
    blocks = tuple(
        replace(
            block,
            predictors=tuple(p for j, p in enumerate(block.predictors) if j not in block.smooths),
            smooths=(),
        )
        for block in spec.layout.blocks
    )
    layout = replace(spec.layout, blocks=blocks, coordinates=spec.layout.coordinates[:size])
    held = {at: value for at, value in spec.held.items() if at < size}
    return replace(spec, layout=layout, held=held, smooths=())


def smooth_sets(spec: MixtureSpec, smooth: Smooth) -> Iterator[tuple[np.ndarray, int, int]]:
    """Of each tau: the entries of its coefficients (P,), its own entry, and a component with it.

    Parameters
    ----------
    spec : MixtureSpec
    smooth : Smooth
    """
    predictors = spec.layout.blocks[smooth.block].predictors
    index = predictors[smooth.predictor].index[:, smooth.columns]
    at = predictors[smooth.tau].index[:, 0]
    for tau in dict.fromkeys(at[at >= 0].tolist()):
        s = int(np.flatnonzero(at == tau)[0])
        yield index[s], tau, s


def smooth_entries(spec: MixtureSpec) -> np.ndarray:
    """Entries of theta that are logarithms of a tau."""
    return np.array([tau for s in spec.smooths for _, tau, _ in smooth_sets(spec, s)], int)


def held_smooths(spec: MixtureSpec, theta: np.ndarray) -> MixtureSpec:
    """The specification with every tau held at its value in theta (D,)."""
    return replace(
        spec, held={**spec.held, **{int(at): float(theta[at]) for at in smooth_entries(spec)}}
    )


def _splines(spec: MixtureSpec) -> list[dict[str, tuple[Spline, list[str]]]]:
    """Splines of each response by term, with the names of their columns."""
    parts = spec.prepared.parts
    return [{t: s for d in part.designs for t, s in d.splines().items()} for part in parts]


def _unknown(spec: MixtureSpec, term: str) -> str:
    known = [t for splines in _splines(spec) for t in splines]
    have = f"the model's are {list(dict.fromkeys(known))}" if known else "this model has none"
    weights = spec.prepared.concomitant
    if weights is not None and term in weights.splines():
        have = "it stands in the formula of the weights, which takes none: use fewer columns there"
    return (
        f"priors[{term!r}] is Prior.smooth(), but {term!r} is no spline of a response's formula, "
        f"such as 'bs(x, df=10)' or 'cr(x, df=10)'; {have}"
    )


def _with_smooth(
    spec: MixtureSpec, number: int, term: str, spline: Spline, names: list[str]
) -> MixtureSpec:
    """With tau of one spline at one response, for each of its parameters that have it."""
    layout = spec.layout
    block = layout.blocks[number]
    columns = tuple(block.terms.index(name) for name in names)
    turn, rank = _turn(term, spline, _seen(spec, number), columns)
    coordinates, predictors = list(layout.coordinates), list(block.predictors)
    smooths = list(spec.smooths)
    for place, predictor in enumerate(block.predictors):
        if predictor.constant or (predictor.index[:, columns] < 0).all():
            continue
        variable = _variable(block, predictor)
        name = f"{variable}[{term}]"
        index = np.full((layout.k, 1), -1)
        for first in dict.fromkeys(predictor.index[:, columns[0]].tolist()):
            members = np.flatnonzero(predictor.index[:, columns[0]] == first)
            if first >= 0:
                index[members, 0] = len(coordinates)
                coordinates.append(Coordinate("smooth", variable, term, tuple(members.tolist())))
        smooths.append(Smooth(term, number, place, len(predictors), columns, turn, rank))
        predictors.append(Predictor(name, ("Intercept",), index, constant=True))
    own = tuple(range(len(block.predictors), len(predictors)))
    changed = replace(block, predictors=tuple(predictors), smooths=(*block.smooths, *own))
    blocks = tuple(changed if b == number else other for b, other in enumerate(layout.blocks))
    layout = replace(layout, blocks=blocks, coordinates=tuple(coordinates))
    return replace(spec, layout=layout, smooths=tuple(smooths))


def _variable(block: BlockLayout, predictor: Predictor) -> str:
    """The name of tau: its ending distinguishes responses and parameters of a family."""
    name = predictor.variable
    return "tau" + (f"_{name}" if block.survival else name.removeprefix("coef"))


def _seen(spec: MixtureSpec, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a response's design that are in use, with shares that add up to one."""
    rows = spec.rows.sample
    weight = rows.row_weights
    seen: tuple[BlockRows, np.ndarray | None] = rows.blocks[number].seen(weight)
    share = weight if seen[1] is None else seen[1]
    return seen[0].matrix, share / share.sum()


def _turn(
    term: str,
    spline: Spline,
    seen: tuple[np.ndarray, np.ndarray],
    columns: tuple[int, ...],
) -> tuple[np.ndarray, int]:
    """Coordinates of the coefficients in which the penalty is a sum of squares; see `Smooth`.

    The curve is a straight line plus U w, where U' S U is the identity for the roughness S, and
    the columns X U have no part along the line.
    """
    matrix, share = seen
    x = matrix[:, columns]
    x = x - share @ x
    gram = (x.T * share) @ x
    straight = _straight(spline)
    rank = len(columns) - straight.shape[1]
    values, vectors = np.linalg.eigh(spline.roughness)
    if rank < 1 or not values[-rank] > 0:
        raise SpecError(
            f"priors[{term!r}] is Prior.smooth(), which smooths the second derivative, but this "
            "spline is made of straight lines; use a degree of at least 2 and more columns (df=)"
        )
    bent = vectors[:, -rank:] / np.sqrt(values[-rank:])
    across = straight.T @ gram
    share_of = np.linalg.lstsq(across @ straight, across @ bent)[0]
    bent = bent - straight @ share_of
    bent /= np.sqrt(np.trace(bent.T @ gram @ bent))
    size = np.sqrt(np.maximum(np.diag(across @ straight), 0.0))
    straight = straight / np.where(size > EXACT, size, 1.0)  # a constant has no size
    return np.linalg.inv(np.hstack([bent, straight])), rank


def _straight(spline: Spline) -> np.ndarray:
    """Coefficients (P, q) of the straight lines among the curves: a constant, and a slope."""
    knots = spline.knots
    x = np.unique(np.concatenate([np.linspace(a, b, 5) for a, b in pairwise(knots)]))
    columns = spline.columns(x)
    line = (x - x.mean()) / x.std()
    one = np.ones(len(x))
    found = [b for b in [np.linalg.lstsq(columns, one)[0]] if _makes(columns, b, one)]
    wider = columns if found else np.column_stack([columns, one])
    slope = np.linalg.lstsq(wider, line)[0]
    found += [slope[: columns.shape[1]]] if _makes(wider, slope, line) else []
    return np.array(found).reshape(-1, columns.shape[1]).T


def _makes(columns: np.ndarray, b: np.ndarray, target: np.ndarray) -> bool:
    return bool(np.abs(columns @ b - target).max() < EXACT * np.abs(target).max())
