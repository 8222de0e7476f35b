"""Multivariate normal family of several columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from bayesmix import arrays as xp
from bayesmix._arguments import shown
from bayesmix.distributions import Prior
from bayesmix.errors import SpecError
from bayesmix.families.base import Array, Family, Observed
from bayesmix.families.interface import Shown
from bayesmix.families.links import HALF_LOG_2PI, Linked
from bayesmix.families.multivariate.covariance import KINDS, Structure, unit_rows
from bayesmix.families.multivariate.normal import scores_in_turn
from bayesmix.families.units import OfColumn
from bayesmix.formula.response import Response

# Standard deviation of Fisher's z of a partial correlation: half of them below 0.32.
FISHER = 0.5


def density(structure: Structure, obs: Observed, *linked: Linked) -> Array:
    """-|L^-1 D^-1 (y - mu)|^2 / 2 - log|D L| - q log(2 pi) / 2.

    Elementwise in rows, column after column: for graphs, in which `obs` has a tuple of columns,
    and of masks where some are missing; what is missing has the density of a standard normal column
    apart from the others at zero, and is taken off.
    """
    q = structure.q
    columns = obs.y if isinstance(obs.y, tuple) else tuple(obs.y[:, a] for a in range(q))
    scales = linked[q : q + len(structure.scales)]
    scales = scales * q if structure.kind == "spherical" else scales
    root = structure.rows([z.eta for z in linked[q + len(structure.scales) :]])
    there: Any = obs.there
    if there is not None:
        root = _of_those(structure, root, there)
    white: list[Array] = []
    total: Array = 0.0
    for b, (y, mu, sd) in enumerate(zip(columns, linked[:q], scales, strict=True)):
        z = (y - mu.value) / sd.value
        z = z if there is None else xp.where(there[b], z, 0.0)
        for a, t in enumerate(white):
            z = z - root[b][a] * t if root[b] else z
        log_left = root[b][b] if root[b] else 0.0
        z = z * xp.exp(-log_left)
        white.append(z)
        part = -0.5 * z * z - sd.log - log_left - HALF_LOG_2PI
        total = total + (part if there is None else xp.where(there[b], part, 0.0))
    return total


def _of_those(
    structure: Structure, rows: list[list[Array]], there: tuple[Array, ...]
) -> list[list[Array]]:
    """Rows of the factor L of the correlations of the columns that are there, elementwise."""
    if not structure.pairs:
        return rows
    full = unit_rows(rows)
    out: list[list[Array]] = [[]]
    made: list[list[Array]] = [[1.0]]
    for b in range(1, structure.q):
        left: Array = 1.0
        row: list[Array] = []
        for a in range(b):
            both = there[a] & there[b]
            known = sum(x * y for x, y in zip(full[a], full[b], strict=False))
            known = xp.where(both, known, 0.0)
            for x, y in zip(made[a], row, strict=False):
                known = known - x * y
            row.append(known / made[a][a])
            left = left - row[a] * row[a]
        made.append([*row, xp.sqrt(left)])
        out.append([*row, 0.5 * xp.log(left)])
    return out


def start(structure: Structure, y: np.ndarray) -> dict[str, float]:
    """Means, and the covariance of the complete rows."""
    mean, sd = np.nanmean(y, axis=0), np.nanstd(y, axis=0)
    sd = np.where(sd > 0, sd, 1.0)
    whole = y[~np.isnan(y).any(1)]
    z = (whole - mean) / sd
    correlation = np.eye(structure.q)
    if len(z) > structure.q:
        correlation = 0.9 * z.T @ z / len(z) + 0.1 * np.eye(structure.q)
    phi = structure.parameters(sd[:, None] * correlation * sd)
    return dict(zip(structure.columns, mean.tolist(), strict=True)) | natural(structure, phi)


def natural(structure: Structure, phi: np.ndarray) -> dict[str, float]:
    """Parameters of the covariance (p,) by name, standard deviations as they are."""
    m = len(structure.scales)
    values = [*np.exp(phi[:m]).tolist(), *phi[m:].tolist()]
    return dict(zip(structure.names, values, strict=True))


def phi_of(structure: Structure, values: Mapping[str, Any]) -> np.ndarray:
    """The parameters (..., p) of natural values by name."""
    with np.errstate(divide="ignore"):
        logs = [np.log(np.asarray(values[name], float)) for name in structure.scales]
    rest = [np.asarray(values[name], float) for name in structure.names[len(logs) :]]
    return np.stack(np.broadcast_arrays(*logs, *rest), axis=-1)


def simulate(structure: Structure, rng: np.random.Generator, /, **values: Array) -> np.ndarray:
    """Draw rows of columns, (n, q)."""
    mean = np.stack([np.asarray(values[c], float) for c in structure.columns], axis=-1)
    phi = phi_of(structure, values)
    root = structure.deviations(phi)[..., None] * structure.factor(phi)
    return mean + np.einsum("...ab,...b->...a", root, rng.standard_normal(mean.shape))


def fill(
    structure: Structure, rng: np.random.Generator, y: np.ndarray, **values: Array
) -> np.ndarray:
    """Rows (n, q) of one component with their missing columns drawn given the others."""
    center = np.broadcast_to(mean(structure, **values), y.shape)
    sigma = structure.covariance(phi_of(structure, {n: values[n] for n in structure.names}))
    out = y.copy()
    patterns, codes = np.unique(np.isnan(y), axis=0, return_inverse=True)
    for number, lost in enumerate(patterns):
        rows = np.flatnonzero(codes.ravel() == number)
        slope = np.linalg.solve(sigma[np.ix_(~lost, ~lost)], sigma[np.ix_(~lost, lost)])
        left = sigma[np.ix_(lost, lost)] - sigma[np.ix_(lost, ~lost)] @ slope
        moved = (y[rows] - center[rows])[:, ~lost] @ slope
        noise = rng.multivariate_normal(np.zeros(int(lost.sum())), left, len(rows), method="eigh")
        out[np.ix_(rows, np.flatnonzero(lost))] = center[rows][:, lost] + moved + noise
    return out


def in_turn(
    structure: Structure, y: np.ndarray, /, **values: Array
) -> tuple[np.ndarray, np.ndarray]:
    """Normal scores and log densities (n, q) of the columns, each given the earlier ones."""
    phi = phi_of(structure, {n: values[n] for n in structure.names})
    center = np.broadcast_to(mean(structure, **values), y.shape)
    return scores_in_turn(structure, phi, y, center)


def mean(structure: Structure, /, **values: Array) -> np.ndarray:
    """Means of the columns, (..., q)."""
    return np.stack(np.broadcast_arrays(*(values[c] for c in structure.columns)), axis=-1)


def variance(structure: Structure, /, **values: Array) -> np.ndarray:
    """Variances of the columns, (..., q)."""
    return np.square(structure.deviations(phi_of(structure, values)))


def correlations(structure: Structure, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Correlations of the columns from natural parameters by name, in graphs too."""
    made = structure.correlations([values[n] for n in structure.between("fisher")])
    return dict(zip(structure.between("correlation"), made.values(), strict=True))


def from_correlations(structure: Structure, values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Fisher's z of the partial correlations by name, from correlations by name."""
    names = structure.between("correlation")
    shape = np.shape(values[names[0]])
    matrix = np.broadcast_to(np.eye(structure.q), (*shape, structure.q, structure.q)).copy()
    for name, (a, b) in zip(names, structure.pairs, strict=True):
        matrix[..., a, b] = matrix[..., b, a] = values[name]
    if not (np.linalg.eigvalsh(matrix) > 0).all():
        raise SpecError(f"the correlations {', '.join(names)} do not form a covariance matrix")
    phi = structure.parameters(matrix)[..., len(structure.scales) :]
    return dict(zip(structure.between("fisher"), np.moveaxis(phi, -1, 0), strict=True))


def priors(structure: Structure, y: np.ndarray) -> dict[str, Prior]:
    """Half of each column's standard deviation, up to a factor of e or so; small correlations.

    A lognormal density vanishes faster than any power at zero: a component cannot collapse.
    """
    spread = np.nanstd(y, axis=0)
    if structure.kind == "spherical":
        spread = np.array([np.sqrt(np.square(spread).mean())])
    out = {
        name: Prior("lognormal", mu=float(np.log(0.5 * (sd or 1.0))), sigma=1.0)
        for name, sd in zip(structure.scales, spread, strict=True)
    }
    normal = Prior("normal", mu=0.0, sigma=FISHER)
    return out | dict.fromkeys(structure.between("fisher"), normal)


def settle(kind: str, response: Response) -> Family:
    """The family of the response's columns."""
    if not response.parts:
        raise SpecError(
            f"family='mvnormal' reads several columns: write mv({response.name}, ...), or use "
            "family='gaussian' for one"
        )
    return make(kind, response.parts)


def make(covariance: str = "full", columns: Sequence[str] | None = None) -> Family:
    """The family with one kind of covariance; its columns are those of the response.

    Parameters
    ----------
    covariance : {"full", "diagonal", "spherical"}
    columns : sequence of str, optional
        Names of the columns; by default those of the response.
    """
    if covariance not in KINDS:
        raise SpecError(f"covariance={shown(covariance)} is unknown; use one of {', '.join(KINDS)}")
    return _make(covariance, None if columns is None else tuple(columns))


def _shown(structure: Structure) -> Shown | None:
    """Correlations are read in place of the unconstrained parameters behind them."""
    if not structure.pairs:
        return None
    names = zip(structure.between("fisher"), structure.between("correlation"), strict=True)
    read, write = partial(correlations, structure), partial(from_correlations, structure)
    return Shown(dict(names), read, write, "atanh")


@lru_cache(maxsize=256)
def _make(kind: str, columns: tuple[str, ...] | None) -> Family:
    common: dict[str, Any] = {
        "name": "mvnormal",
        "discrete": False,
        "reads": "columns",
        "support": "finite numbers",
        "concave": False,
        "equation": (
            r"f(y) = (2\pi)^{-q/2} |\Sigma|^{-1/2} \exp\{-(y-\mu)' \Sigma^{-1} (y-\mu) / 2\}"
        ),
        "source": "Mardia, Kent and Bibby (1979), chapter 3",
    }
    if columns is None:
        return Family(
            **common,
            params={},
            location=None,
            density=partial(density, Structure((), kind)),
            settle=partial(settle, kind),
            options={"covariance": kind},
        )
    structure = Structure(columns, kind)
    angles = structure.between("fisher")
    units = {c: OfColumn("response", a) for a, c in enumerate(columns)}
    one = kind == "spherical"
    units |= {s: OfColumn(1, None if one else a) for a, s in enumerate(structure.scales)}
    return Family(
        **common,
        params=dict.fromkeys(columns, "identity")
        | dict.fromkeys(structure.scales, "log")
        | dict.fromkeys(angles, "identity"),
        location=columns,
        links=("identity",),
        columns=columns,
        outputs=columns,
        density=partial(density, structure),
        normal=structure,
        start=partial(start, structure),
        mean=partial(mean, structure),
        variance=partial(variance, structure),
        simulate=partial(simulate, structure),
        fill=partial(fill, structure),
        in_turn=partial(in_turn, structure),
        priors=partial(priors, structure),
        shown=_shown(structure),
        units=units | dict.fromkeys(angles, 0),
        options={"covariance": kind, "columns": list(columns)},
        example=dict.fromkeys(columns, 0.3)
        | dict.fromkeys(structure.scales, 1.2)
        | dict.fromkeys(angles, 0.2),
    )


FAMILY = make()
