"""What predicts the classes, and what differs between them, with the classes held."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import linalg

from bayesmix._arguments import check_known
from bayesmix.comparison.outside.assigned import (
    ASSIGNMENTS,
    METHODS,
    FirstStep,
    check_errors,
    first_step,
)
from bayesmix.comparison.outside.results import OutsideFit, OutsidePosterior
from bayesmix.comparison.outside.second import Second, influences, maximum
from bayesmix.errors import DataError, FitError
from bayesmix.formula.frames import check_data, in_order, replaced
from bayesmix.formula.parser import parse_formula
from bayesmix.formula.response import complete_columns
from bayesmix.formula.scope import Scope
from bayesmix.model import MixtureSpec, Regression, assemble, prepare
from bayesmix.model.prepare import concomitant_design
from bayesmix.model.reading import Counted
from bayesmix.model.units import constant_in_units
from bayesmix.results.at import responses
from bayesmix.results.covariance import Covariance
from bayesmix.results.fitted import Ends, Fitted
from bayesmix.results.means import row_log_densities
from bayesmix.results.uncertainty import Source


def relate(fitted: Fitted, formula: str, data: pd.DataFrame | None, scope: Scope) -> Second:
    """The classes on covariates; see `PointFit.relate`."""
    _check_first(fitted)
    spec = fitted.spec
    parsed = parse_formula(formula, "concomitant")
    table = _table(fitted, data)
    _complete(table, parsed.names)
    scope = scope.restrict([*parsed.names, *parsed.functions])
    units = spec.prepared.units
    counted = Counted(table, units, units.by_row(spec.prepared.weight), scope)
    design = concomitant_design(parsed, counted)
    columns = tuple(dict.fromkeys([*spec.prepared.columns, *parsed.names]))
    columns = tuple(name for name in columns if name in table.columns)
    changed = replace(spec.prepared, concomitant=design, columns=columns, table=table)
    whole = assemble(changed, spec.k)
    z = design.matrix[units.first]
    at = whole.layout.alpha[whole.layout.alpha >= 0]
    inverse = np.linalg.inv(np.linalg.qr(z)[1] / np.sqrt(len(z)))
    basis = linalg.block_diag(*[inverse] * (spec.k - 1))

    def log_terms(theta: np.ndarray) -> np.ndarray:
        return whole.weights.log_weights(theta, z).T

    given = whole, log_terms, spec.rows.unit_weights, np.zeros(len(at)), at, basis
    return Second("relate", *given, *_same_entries(whole, spec))


def distal(
    fitted: Fitted, regression: Regression, data: pd.DataFrame | None, scope: Scope
) -> Second:
    """An outcome by class; see `PointFit.distal`."""
    _check_first(fitted)
    spec = fitted.spec
    parsed = parse_formula(regression.formula, "formula")
    names = [*parsed.response_names, *parsed.names]
    table = _table(fitted, data)
    _complete(table, [*complete_columns(parsed), *parsed.names])
    units, weights = spec.prepared.units, spec.prepared.weights_column
    for name in (n for n in dict.fromkeys(names) if units.grouped and n in table):
        codes = pd.factorize(table[name])[0].astype(float)[:, None]
        constant_in_units(codes, units, f"the outcome's variable {name!r}", "in distal()")
    own = {} if weights is None else {weights: spec.prepared.weight}
    rows = replaced(table.iloc[units.first], own)
    prepared = prepare([regression], rows, weights=weights, scope=scope)
    made = assemble(prepared, spec.k)
    apart = tuple((s,) for s in range(spec.k))
    layout = replace(made.layout, components=spec.components, symmetric=apart)
    whole = replace(made, layout=layout, rows=replace(made.rows, weight=spec.rows.weight))
    if whole.rows.blocks[0].entry is not None:
        msg = "distal(): an outcome with delayed entries is not available; give surv(time, status)"
        raise FitError(msg)
    start, basis = _start(whole)

    def log_terms(theta: np.ndarray) -> np.ndarray:
        density = row_log_densities(responses(whole, whole.rows, theta)[0])
        return whole.weights.log_weights(theta, None).T + density

    all_of_it, none = np.arange(len(start)), np.empty(0, int)
    given = whole, log_terms, spec.rows.unit_weights, start, all_of_it, basis
    return Second("distal", *given, none, none)


def solved(second: Second, fitted: Fitted, method: str, assign: str | None) -> OutsideFit:
    """The second step's estimates, with the first step's uncertainty."""
    assign = _checked(method, assign)
    step, beta, information = _estimated(second, fitted, method, assign)
    of_beta, of_first = influences(second, step, beta, information)
    moves = np.zeros((len(of_beta), second.spec.layout.size))
    moves[:, second.at] = of_beta @ second.basis.T
    moves[:, second.ours] = of_first[:, second.theirs]
    names = pd.Index(list(fitted.spec.components), name="component")
    errors = pd.DataFrame(step.errors, index=names, columns=names.rename("assigned"))
    found = _as_fit(second.spec, second.theta(beta, fitted.theta), moves, method)
    return OutsideFit(second.name, Source(second.spec, found, None), method, assign, errors)


def cut(
    second: Second,
    fitted: Fitted,
    draws: np.ndarray,
    method: str,
    assign: str | None,
    rng: np.random.Generator,
) -> OutsidePosterior:
    """Draws of the second step, each given a draw of the first, which it does not inform.

    Given the first step's parameters those of the second are normal around their estimate,
    with the sandwich of its units' scores as covariance.

    Parameters
    ----------
    second : Second
    fitted : Fitted
        A point of the first step, where the estimates begin.
    draws : ndarray, shape (T, D)
        Of the first step's parameters.
    method, assign : str
    rng : numpy.random.Generator

    References
    ----------
    Plummer (2015), Statistics and Computing 25, 37-43: cut posteriors.
    """
    assign = _checked(method, assign)
    _, begin, _ = _estimated(second, fitted, method, assign)
    out = []
    for first in draws:
        step = first_step(fitted, first, method, assign)
        beta, information = maximum(second, step, begin, near=True)
        scores = second.unit_scores(step, beta) * second.of_copies
        moves = np.linalg.solve(information, scores.T)  # (m, U)
        drawn = beta + moves @ rng.standard_normal(moves.shape[1])
        out.append(second.theta(drawn, first))
    source = Source(second.spec, None, np.array(out))
    return OutsidePosterior(second.name, source, method, assign)


def _estimated(
    second: Second, fitted: Fitted, method: str, assign: str | None
) -> tuple[FirstStep, np.ndarray, np.ndarray]:
    """The first step, beta, and the information (m, m), from the assignments as they are."""
    step = first_step(fitted, fitted.theta, method, assign)
    check_errors(step, fitted.spec.components)
    naive = replace(step, method="bch", errors=np.eye(len(step.errors)))
    begin, _ = maximum(second, naive, second.start)
    return step, *maximum(second, step, begin)


def _check_first(fitted: Fitted) -> None:
    if fitted.spec.k < 2:
        raise FitError("this fit has one component: there are no classes to predict or to compare")
    if fitted.problem.truncated:
        raise FitError("outside variables are not available for models with delayed entries")


def _checked(method: str, assign: str | None) -> str | None:
    check_known(f"method={method!r}", method, METHODS)
    if method == "two-step" and assign is not None:
        raise FitError("method='two-step' assigns no unit to a class; leave assign= out")
    if assign not in (None, *ASSIGNMENTS):
        raise FitError(f"assign={assign!r} is unknown; use one of {ASSIGNMENTS}")
    return None if method == "two-step" else assign or "modal"


def _table(fitted: Fitted, data: pd.DataFrame | None) -> pd.DataFrame:
    """The rows of the fit with the columns of the outside variables."""
    own = fitted.spec.prepared.table
    if data is None:
        return own
    check_data(data)
    if len(data) != len(own):
        msg = f"data= has {len(data)} rows; the fit has {len(own)}, and needs the same in its order"
        raise DataError(msg)
    return data.iloc[in_order(data.index, own.index)]


def _complete(table: pd.DataFrame, names: Iterable[str]) -> None:
    """Refuse missing values: every unit of the fit takes part in the second step."""
    for name in dict.fromkeys(n for n in names if n in table.columns):
        missing = np.flatnonzero(table[name].isna())
        if len(missing):
            rows = ", ".join(str(table.index[i]) for i in missing[:5])
            raise DataError(
                f"{name!r} is missing in {len(missing)} of {len(table)} rows (such as {rows}); "
                "fill it in, or fit the model to the rows that have it"
            )


def _same_entries(whole: MixtureSpec, spec: MixtureSpec) -> tuple[np.ndarray, np.ndarray]:
    """Entries of theta that two models share, in one order: all but weights and priors' own."""
    apart = ("weight", "concomitant", "smooth")
    first, second = (
        [j for j, c in enumerate(m.layout.coordinates) if c.effect not in apart]
        for m in (whole, spec)
    )
    return np.array(first, dtype=int), np.array(second, dtype=int)


def _as_fit(whole: MixtureSpec, theta: np.ndarray, moves: np.ndarray, method: str) -> Fitted:
    """The second step as a fit with the covariance of its influences (U, D)."""
    ends = Ends(np.array([np.nan]), np.array([0]), np.array(["converged"]), 1)
    out = Fitted(whole, theta, np.nan, method, "converged", 0, ends, whole.k)
    out.covariances["observed"] = Covariance.of(moves.T @ moves)
    return out


def _start(spec: MixtureSpec) -> tuple[np.ndarray, np.ndarray]:
    """Where to begin, the same in all classes, and a basis (D, D) of comparable directions."""
    block, data = spec.layout.blocks[0], spec.rows.blocks[0]
    theta, basis = np.zeros(spec.layout.size), np.eye(spec.layout.size)
    for s, (family, slots) in enumerate(zip(block.families, block.slots, strict=True)):
        observed = data.observed[block.keys[s]]
        values = family.starting(observed)
        for number, (parameter, slot) in enumerate(zip(family.parameters, slots, strict=True)):
            predictor = block.predictors[slot]
            index = predictor.index[s]
            eta = np.broadcast_to(parameter.link.forward(values[parameter.name]), len(data.matrix))
            if predictor.constant:
                theta[index[0]] = float(np.median(eta))
                continue
            has = np.flatnonzero(index >= 0)
            x = data.matrix[:, has]
            if number == 0 and data.offset is not None:
                eta = eta - data.offset
            theta[index[has]] = np.linalg.lstsq(x, eta, rcond=None)[0]
            identity = number == 0 and parameter.link.name == "identity" and not family.is_survival
            unit = float(np.std(observed.y)) or 1.0 if identity else 1.0
            root = np.linalg.qr(x)[1] / np.sqrt(len(x))
            basis[np.ix_(index[has], index[has])] = unit * np.linalg.inv(root)
    return np.linalg.solve(basis, theta), basis
