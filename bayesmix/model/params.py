"""Parameters as people read them: an xarray Dataset on natural scales, and back."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayesmix.errors import SpecError
from bayesmix.families.interface import Shown
from bayesmix.families.links import Link, get_link
from bayesmix.model import MixtureSpec
from bayesmix.model.layout import BlockLayout, Layout, Predictor
from bayesmix.model.random import (
    correlations,
    covariances,
    from_moments,
    moments,
    pair_names,
    random_names,
    root_link,
    scales,
)

if TYPE_CHECKING:
    import xarray as xr


# Of the standard deviations of splines' coefficients.
LOG = get_link("log")
# Step of the differences by which slopes of what is read are found, in entries of theta.
STEP = 1e-5


class Several(NamedTuple):
    """A number that follows from several entries of theta together, such as a correlation.

    `read(theta)`: its values (...) at theta (..., D); `of`: the entries; `scale`: where its
    intervals are symmetric.
    """

    read: Callable[[np.ndarray], np.ndarray]
    of: tuple[int, ...]
    scale: str


class Entry(NamedTuple):
    """A parameter as tables list it.

    `component` is a position, `term` the name in tables, `at` the entry of theta; `link`
    leads to the natural scale, None where the table has theta itself: then it adds on the scale
    of the link `adds_on`.  A threshold has `steps`: it is minus the entry `at`, and the sum of the
    exponentials of these.  `name` is the parameter's, whatever its covariates.
    """

    component: int
    term: str
    at: int
    link: Link | None
    adds_on: Link | None = None
    steps: tuple[int, ...] | None = None
    several: Several | None = None
    name: str = ""

    @property
    def is_coefficient(self) -> bool:
        """Whether the value is an entry of theta as it is."""
        return self.link is None and self.steps is None and self.several is None

    def natural(self, theta: np.ndarray) -> np.ndarray:
        """The values in the table, (...), from theta (..., D)."""
        own = theta[..., self.at]
        if self.is_coefficient:
            return np.asarray(own)
        with np.errstate(over="ignore"):  # at a boundary: infinity is the estimate
            if self.several is not None:
                return np.asarray(self.several.read(theta))
            if self.link is not None:
                return np.asarray(self.link.inverse(own))
            return np.exp(theta[..., list(self.steps or ())]).sum(-1) - own

    def slopes(self, theta: np.ndarray) -> dict[int, float]:
        """Derivatives of the value in entries of theta (D,)."""
        if self.is_coefficient:
            return {self.at: 1.0}
        with np.errstate(over="ignore"):
            if self.several is not None:
                at = list(self.several.of)
                moves = STEP * np.eye(len(theta))[at]
                change = self.natural(theta + moves) - self.natural(theta - moves)
                return dict(zip(at, (change / (2 * STEP)).tolist(), strict=True))
            if self.link is not None:
                return {self.at: float(self.link.slope(np.asarray(theta[self.at])))}
            return {self.at: -1.0, **{j: float(np.exp(theta[j])) for j in self.steps or ()}}


def term_name(layout: Layout, block: BlockLayout, predictor: Predictor, term: str) -> str:
    """A term as tables name it: with its response and location where there are several."""
    response = [block.name] if len(layout.blocks) > 1 else []
    return ": ".join([*response, *([predictor.of] if predictor.of else []), term])


def location_entries(layout: Layout) -> Iterator[Entry]:
    """The coefficients of the locations, component by component."""
    for block in layout.blocks:
        columns = coefficient_columns(block)
        for s, family in enumerate(block.families):
            for number in block.located(s):
                predictor = block.predictors[number]
                # Several predictors of levels are log odds against the first.
                of_levels = family.levels and family.cuts is None
                link = get_link("logit") if of_levels else parameter_link(block, number, s)
                index = predictor.index[s].tolist()
                for j in (j for j in columns if index[j] >= 0):
                    name = term_name(layout, block, predictor, predictor.terms[j])
                    yield Entry(s, name, index[j], None, link)


def coefficient_columns(block: BlockLayout) -> list[int]:
    """Columns of a response's design whose coefficients tables have: not one of a threshold."""
    hidden = None if block.thresholds is None else block.thresholds.column
    return [j for j in range(len(block.terms)) if j != hidden]


def threshold_entries(block: BlockLayout) -> Iterator[Entry]:
    """The thresholds between ordered levels, component by component."""
    if block.thresholds is None:
        return
    cuts = block.thresholds
    for s, slots in enumerate(block.slots):
        base = int(block.predictors[slots[0]].index[s, cuts.column])
        steps = [int(block.predictors[number].index[s, 0]) for number in cuts.steps]
        for j, label in enumerate(cuts.labels):
            yield Entry(s, f"{cuts.variable}[{label}]", base, None, None, tuple(steps[:j]))


def _smooth_entries(block: BlockLayout) -> Iterator[Entry]:
    """The standard deviations of splines' coefficients, component by component."""
    for predictor in (block.predictors[number] for number in block.smooths):
        for s in np.flatnonzero(predictor.index[:, 0] >= 0).tolist():
            yield Entry(s, predictor.variable, int(predictor.index[s, 0]), LOG, LOG)


def thresholds(block: BlockLayout, theta: np.ndarray) -> np.ndarray:
    """Thresholds between ordered levels, (..., S, levels - 1), from theta (..., D)."""
    found = np.stack([e.natural(theta) for e in threshold_entries(block)], axis=-1)
    return found.reshape(*theta.shape[:-1], len(block.families), -1)


def dispersion_entries(layout: Layout) -> Iterator[Entry]:
    """The parameters beside the locations, natural where they are constants.

    One with covariates of its own has its coefficients instead.
    """
    for block in layout.blocks:
        yield from _smooth_entries(block)
        yield from threshold_entries(block)
        steps = () if block.thresholds is None else block.thresholds.steps
        for number, predictor in enumerate(block.predictors):
            for s, slots in enumerate(block.slots):
                if number not in slots or number in (*block.located(s), *block.roots, *steps):
                    continue
                if (entry := _shown(block, s, number)) is not None:
                    yield entry
                    continue
                used = np.flatnonzero(predictor.index[s] >= 0)
                alone = len(used) == 1 and predictor.terms[used[0]] == "Intercept"
                link = parameter_link(block, number, s)
                for j in used:
                    name = predictor.variable + ("" if alone else f"[{predictor.terms[j]}]")
                    natural = link if alone else None
                    at = int(predictor.index[s, j])
                    yield Entry(s, name, at, natural, link, name=predictor.variable)


def _shown(block: BlockLayout, s: int, number: int) -> Entry | None:
    """What is read in place of a dispersion of component s, None if that is the dispersion."""
    found = shown_dispersions(block, s)
    family, slots = block.families[s], block.slots[s]
    own = family.parameters[slots.index(number)].name
    if found is None or own not in found[0].names:
        return None
    shown, numbers = found
    at = {n: int(block.predictors[j].index[s, 0]) for n, j in numbers.items()}
    links = {p.name: p.link for p in family.parameters}

    def read(theta: np.ndarray) -> np.ndarray:
        values = {n: links[n].inverse(theta[..., j]) for n, j in at.items()}
        return np.asarray(shown.read(values)[shown.names[own]])

    several = Several(read, tuple(at.values()), shown.scale)
    return Entry(s, shown_variable(block, number, own, shown), at[own], None, several=several)


def shown_dispersions(block: BlockLayout, s: int) -> tuple[Shown, dict[str, int]] | None:
    """How dispersions of component s are shown, if together, and their predictors' numbers."""
    family, slots = block.families[s], block.slots[s]
    if family.shown is None:
        return None
    pairs = zip(family.parameters, slots, strict=True)
    return family.shown, {p.name: j for p, j in pairs if j not in block.located(s)}


def shown_variable(block: BlockLayout, number: int, own: str, shown: Shown) -> str:
    """What the variable of a dispersion is called as it is shown."""
    return block.predictors[number].variable.replace(own, shown.names[own], 1)


def random_entries(layout: Layout) -> Iterator[Entry]:
    """Standard deviations and correlations of random effects, component by component."""
    for block in (block for block in layout.blocks if block.random):
        lead = "" if len(layout.blocks) == 1 else f"{block.name}: "
        names = [(f"sd({t})", "log") for t in block.random]
        names += [(f"corr({pair})", "atanh") for pair in pair_names(block)]
        index = np.array([block.predictors[n].index[:, 0] for n in block.roots]).T
        for s, j in np.ndindex(layout.k, len(names)):
            of = tuple(index[s][index[s] >= 0].tolist())
            name, scale = names[j]
            several = Several(partial(_moment, block, s, j), of, scale)
            yield Entry(s, lead + name, of[0], None, several=several)


def _moment(block: BlockLayout, s: int, j: int, theta: np.ndarray) -> np.ndarray:
    """A standard deviation or correlation of component s, (...)."""
    return moments(covariances(block, theta)[..., s, :, :])[..., j]


def table_entries(layout: Layout) -> list[Entry]:
    """All that tables list but for weights: coefficients of the locations first."""
    return [*location_entries(layout), *dispersion_entries(layout), *random_entries(layout)]


def table_terms(layout: Layout) -> dict[int, str]:
    """Names of the coefficients and dispersions in tables, by their entries of theta.

    A log step between thresholds is called like the threshold that it leads to.
    """
    entries = chain(location_entries(layout), dispersion_entries(layout))
    return {e.steps[-1] if e.steps else e.at: e.term for e in entries}


def parameter_link(block: BlockLayout, number: int, s: int | None = None) -> Link:
    """Link of the parameter of a predictor, of component s or the first that has one."""
    if number in block.smooths:
        return LOG
    s = next(j for j, slots in enumerate(block.slots) if number in slots) if s is None else s
    return block.families[s].parameters[block.slots[s].index(number)].link


def dispersions(layout: Layout, theta: np.ndarray) -> dict[str, np.ndarray]:
    """Natural values by name, each (k,): a survival parameter with covariates has its intercept.

    NaN where a component lacks the parameter.
    """
    out: dict[str, np.ndarray] = {}
    for e in dispersion_entries(layout):
        name, value = e.term, e.natural(theta)
        if e.term == f"{e.name}[Intercept]":
            name, value = e.name, e._replace(link=e.adds_on).natural(theta)
        elif e.is_coefficient:
            continue
        out.setdefault(name, np.full(layout.k, np.nan))[e.component] = value
    return out


def coefficients(predictor: Predictor, theta: np.ndarray) -> np.ndarray:
    """Coefficients (S, P); NaN where a component lacks a term."""
    return np.where(predictor.index >= 0, predictor.coefficients(theta), np.nan)


def plain_name(name: str) -> str:
    """A name that ArviZ can store: no slash, which separates groups of a DataTree."""
    return name.replace("/", "_")


def plain_components(components: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    """Components as ArviZ can store them: all as text where names and numbers are mixed."""
    mixed = len({type(component) for component in components}) > 1
    return tuple(str(component) for component in components) if mixed else components


def term_dim(layout: Layout, block: BlockLayout) -> str:
    """Name of the dimension of a response's terms."""
    return "term" if len(layout.blocks) == 1 else f"term_{block.name}"


def to_dataset(spec: MixtureSpec, theta: np.ndarray) -> xr.Dataset:
    """Parameters as a Dataset: coefficients, natural dispersions, weights or alpha.

    Parameters
    ----------
    spec : MixtureSpec
    theta : ndarray, shape (D,)

    Returns
    -------
    xarray.Dataset
        `coef` (component, term), one variable per dispersion (component), and
        `weight` (component) or `alpha` (component, concomitant_term).  A family with several
        locations has `coef_<location>` for each.  A survival time has one variable per
        parameter of its families, (component, term), on link scales.  Random effects have
        `random_sd` (component, random_term) and `random_corr` (component, random_pair).
    """
    import xarray as xr

    layout = spec.layout
    variables: dict[str, Any] = {}
    natural = dispersions(layout, theta)
    coords: dict[str, Any] = {"component": component_labels(layout.components)}
    for block in layout.blocks:
        dim = term_dim(layout, block)
        columns = coefficient_columns(block)
        for predictor in block.linear():
            coords[dim] = [predictor.terms[j] for j in columns]
            values = coefficients(predictor, theta)[:, columns]
            variables[predictor.variable] = (("component", dim), values)
    steps = {e.term for block in layout.blocks for e in threshold_entries(block)}
    for name, values in natural.items():
        if name not in variables and name not in steps:
            variables[name] = (("component",), values)
    more, labels = derived_variables(spec, theta)
    return xr.Dataset(variables | more, coords=coords | labels)


def derived_variables(
    spec: MixtureSpec, theta: np.ndarray, *lead: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What follows from several entries of theta (..., D), and the labels along its dimensions.

    Thresholds, standard deviations and correlations of random effects, and weights or alpha;
    `lead` names the dimensions before the last.
    """
    layout, by = spec.layout, (*lead, "component")
    variables: dict[str, Any] = {}
    coords: dict[str, Any] = {}
    for block in layout.blocks:
        if (cuts := block.thresholds) is not None:
            coords[f"{cuts.variable}_between"] = list(cuts.labels)
            dims = (*by, f"{cuts.variable}_between")
            variables[cuts.variable] = (dims, thresholds(block, theta))
        if block.random:
            names, covariance = random_names(layout, block), covariances(block, theta)
            coords[names["random_term"]] = list(block.random)
            variables[names["random_sd"]] = ((*by, names["random_term"]), scales(covariance))
            if len(block.random) > 1:
                coords[names["random_pair"]] = pair_names(block)
                dims = (*by, names["random_pair"])
                variables[names["random_corr"]] = (dims, correlations(covariance))
    if layout.concomitant_terms is None:
        weight = np.exp(spec.weights.log_weights(theta, None))[..., 0]
        variables["weight"] = (by, weight)
    else:
        coords["concomitant_term"] = list(layout.concomitant_terms)
        variables["alpha"] = ((*by, "concomitant_term"), spec.weights.logits(theta))
    return variables, coords


def _read_random(layout: Layout, block: BlockLayout, given: _Given, theta: np.ndarray) -> None:
    """The root of the random effects' covariance from what people read of them."""
    names = random_names(layout, block)
    sd, corr = given.read(names["random_sd"]), np.zeros((layout.k, 0))
    if len(block.random) > 1:
        corr = given.read(names["random_corr"])
    natural = from_moments(block, sd, corr)
    for values, number in zip(natural.T, block.roots, strict=True):
        predictor = block.predictors[number]
        has = predictor.index >= 0
        unconstrained = root_link(block, number).forward(values)[:, None]
        _fill(theta, predictor, unconstrained, np.where(has, values[:, None], np.nan))


def component_labels(components: tuple[Hashable, ...]) -> np.ndarray:
    """The names of components as values of a coordinate."""
    plain = all(isinstance(c, int) for c in components)
    return np.array(components, dtype=int if plain else object)


class _Given(NamedTuple):
    """Parameters as a user gives them, and in the `form` in which the model gives its own."""

    values: xr.Dataset
    form: xr.Dataset

    def read(self, name: str) -> np.ndarray:
        """A variable along its dimensions in the form; by component alone if it is not there."""
        if name not in self.values:
            known = list(self.values.data_vars)
            raise SpecError(f"params lack the variable {name!r}; they have {known}")
        chosen = self.values[name]
        dims = self.form[name].dims if name in self.form else ("component",)
        for key in dims:
            labels = self.form[key].values.tolist()
            have = list(chosen.indexes.get(key, ()))
            as_text = list(plain_components(tuple(labels)))
            labels = as_text if have == as_text else labels
            missing = [x for x in labels if x not in have]
            if missing or len(have) != len(labels):
                raise SpecError(f"params[{name!r}] has {key} {have}, but the model has {labels}")
            chosen = chosen.isel({key: [have.index(x) for x in labels]})
        if set(chosen.dims) != set(dims) or chosen.dtype.kind not in "fiu":
            raise SpecError(
                f"params[{name!r}] has the dimensions {chosen.dims} and holds {chosen.dtype}; "
                f"numbers along {dims} are needed (choose one draw, for example)"
            )
        return np.asarray(chosen.transpose(*dims).values, dtype=float)


def from_dataset(spec: MixtureSpec, params: xr.Dataset) -> np.ndarray:
    """Theta (D,) from a Dataset such as `fit.params`.

    Raises
    ------
    SpecError
        If a variable, component or term is missing, a shared coefficient differs
        between its components, or a value is outside its range.
    """
    layout, theta = spec.layout, np.zeros(spec.layout.size)
    if not hasattr(params, "data_vars"):
        msg = f"params must be an xarray Dataset like fit.params, not {type(params).__name__}"
        raise SpecError(msg)
    form = to_dataset(spec, theta)
    given = _written_from_shown(layout, _Given(_as_written(layout, params, form), form))
    for block in layout.blocks:
        columns = coefficient_columns(block)
        read = _thresholds(given, block)
        for predictor in block.linear():
            values = np.zeros(predictor.index.shape)
            values[:, columns] = given.read(predictor.variable)
            if block.thresholds is not None:
                values[:, block.thresholds.column] = read[predictor.variable]
            _fill(theta, predictor, values, values)
        if block.random:
            _read_random(layout, block, given, theta)
        for number, predictor in block.constants():
            if number in block.roots:
                continue
            name = predictor.variable
            natural = (read[name] if name in read else given.read(name))[:, None]
            link = parameter_link(block, number)
            has = predictor.index >= 0
            inside = (natural > link.lower) & (natural < link.upper)
            if link.upper == np.inf:
                # A dispersion at infinity is a limit (Student t to Gaussian) that fits can reach.
                inside |= natural == np.inf
                natural = np.minimum(natural, np.finfo(float).max)
            if not inside[has].all():
                raise SpecError(
                    f"params[{name!r}] is {natural[has].tolist()}; it must lie "
                    f"between {link.lower:g} and {link.upper:g}"
                )
            _fill(theta, predictor, link.forward(np.where(has, natural, 0.5)), natural)
    _read_weights(spec, given, theta)
    return theta


def _thresholds(params: _Given, block: BlockLayout) -> dict[str, np.ndarray]:
    """Intercepts and steps (S,) by variable, from the thresholds of a Dataset."""
    cuts = block.thresholds
    if cuts is None:
        return {}
    given = params.read(cuts.variable)
    steps = np.diff(given, axis=1)
    if not (np.isfinite(given).all() and (steps > 0).all()):
        raise SpecError(f"params[{cuts.variable!r}] is {given.tolist()}; thresholds increase")
    names = [block.predictors[number].variable for number in cuts.steps]
    return {block.locations[0].variable: -given[:, 0], **dict(zip(names, steps.T, strict=True))}


def _written_from_shown(layout: Layout, params: _Given) -> _Given:
    """The parameters with the dispersions that follow from what is read in their place."""
    for block in layout.blocks:
        s = next((s for s, family in enumerate(block.families) if family.shown), 0)
        if (found := shown_dispersions(block, s)) is None:
            continue
        shown, numbers = found
        own = {name: block.predictors[numbers[name]].variable for name in shown.names}
        given = {n: shown_variable(block, numbers[n], n, shown) for n in own}
        lacking = [n for n, variable in own.items() if variable not in params.values]
        if not lacking or any(name not in params.values for name in given.values()):
            continue
        written = shown.write({shown.names[n]: params.read(v) for n, v in given.items()})
        new = {own[name]: (("component",), written[name]) for name in lacking}
        labels = component_labels(layout.components)
        params = params._replace(values=params.values.assign(new).assign_coords(component=labels))
    return params


def _as_written(layout: Layout, params: xr.Dataset, form: xr.Dataset) -> xr.Dataset:
    """The Dataset under the model's own names, where draws were stored under plain ones."""
    names = [p.variable for block in layout.blocks for p in block.predictors]
    names += map(str, form.variables)
    have = {*params.data_vars, *params.dims}
    stored = {plain_name(n): n for n in names if n not in have and plain_name(n) in have}
    params = params.rename(stored) if stored else params
    for block in layout.blocks:  # draws have the intercept behind the thresholds beside them
        dim, hidden = term_dim(layout, block), {*block.terms}
        hidden -= {block.terms[j] for j in coefficient_columns(block)}
        if hidden and dim in params.coords and hidden <= {*params[dim].values}:
            params = params.drop_sel({dim: list(hidden)})
    return params


def _fill(theta: np.ndarray, predictor: Predictor, values: np.ndarray, natural: np.ndarray) -> None:
    """Put unconstrained values (S, P) into theta; `natural` is what messages show."""
    has = predictor.index >= 0
    if not np.isfinite(values[has]).all():
        msg = f"params[{predictor.variable!r}] has missing or infinite values: {natural.tolist()}"
        raise SpecError(msg)
    absent = ~has & np.isfinite(natural) & (natural != 0)
    if absent.any():
        raise SpecError(
            f"params[{predictor.variable!r}] has values for components that lack the term: "
            f"{natural.tolist()}; set {natural[absent].tolist()} to NaN"
        )
    theta[predictor.index[has]] = values[has]
    # Coefficients may be small in their unit; logarithms of dispersions are zero but for rounding.
    near = 1e-12 if predictor.constant else 0.0
    if not np.allclose(theta[predictor.index[has]], values[has], rtol=1e-9, atol=near):
        raise SpecError(
            f"params[{predictor.variable!r}] gives different values to components that share "
            f"one: {natural.tolist()}"
        )


def _read_weights(spec: MixtureSpec, given: _Given, theta: np.ndarray) -> None:
    layout = spec.layout
    if layout.concomitant_terms is not None:
        alpha = given.read("alpha")
        if not np.isfinite(alpha).all():
            raise SpecError(f"params['alpha'] has missing or infinite values: {alpha.tolist()}")
        alpha = alpha - alpha[0]
    else:
        weight = given.read("weight")
        if not (weight > 0).all() or abs(weight.sum() - 1) > 1e-6:
            msg = f"params['weight'] is {weight.tolist()}; weights are positive and add up to one"
            raise SpecError(msg)
        alpha = np.log(weight / weight[0])[:, None]
        held = spec.weights.held
        if held is not None:
            base = int(np.flatnonzero(np.isnan(held))[0]) if np.isnan(held).any() else 0
            alpha = np.where(np.isnan(held)[:, None], alpha - alpha[base], 0.0)
    has = layout.alpha >= 0
    theta[layout.alpha[has]] = alpha[has]


def permute(layout: Layout, theta: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Theta (..., D) with components in another order, logits re-based.

    Parameters
    ----------
    layout : Layout
    theta : ndarray, shape (..., D)
    order : ndarray of int, shape (S,)
        New component s is the old component order[s]; within `layout.symmetric`.
    """
    new = theta.copy()
    for block in layout.blocks:
        for predictor in block.predictors:
            has = predictor.index >= 0
            new[..., predictor.index[has]] = theta[..., predictor.index[order][has]]
    has = layout.alpha >= 0
    logits = np.where(has, theta[..., layout.alpha], 0.0)[..., order, :]
    logits = logits - logits[..., :1, :]
    new[..., layout.alpha[has]] = logits[..., has]
    return new
