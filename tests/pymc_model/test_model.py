"""The PyMC model against the NumPy likelihood and the log prior; PyMC's own tools on it."""

import copy
import dataclasses
import pickle
import warnings

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
import xarray as xr
from pytensor.graph.basic import Constant
from pytensor.graph.replace import clone_replace
from vignette_models import flexmix_models

import bayesmix as bmx
from bayesmix import arrays as xp
from bayesmix import families
from bayesmix.likelihood import build_problem, log_likelihood, unit_terms
from bayesmix.model.data import to_rows
from bayesmix.model.fixed import hold
from bayesmix.model.params import to_dataset
from bayesmix.priors import log_prior, resolve
from bayesmix.pymc_model import draws_to_theta, initial_point
from bayesmix.pymc_model.build import to_pymc

MODE = {"mode": "FAST_COMPILE"}  # no numba
N = 24


def frame():
    rng = np.random.default_rng(5)
    groups = np.array([0] * 5 + [1] * 1 + [2] * 4 + [3] * 6 + [4] * 3 + [5] * 5)
    data = pd.DataFrame(
        {
            "x": rng.normal(size=N),
            "z": rng.normal(size=N),
            "v": rng.uniform(-1, 1, N),
            "f": pd.Categorical(np.array(["a", "b", "c"])[rng.integers(0, 3, N)]),
            "g": np.array(list("qwerty"))[groups],
            "h": rng.normal(size=6)[groups],
            "trials": rng.integers(3, 12, N),
            "w": np.r_[0, rng.integers(0, 4, N - 1)],
            "wg": rng.uniform(0.2, 3.0, 6)[groups],
            "label": np.array(["one", "two", None])[rng.integers(0, 3, N)],
            "lg": np.array(["one", "two", None])[rng.integers(0, 3, 6)[groups]],
            "y": rng.normal(1.0, 1.5, N),
            "count": rng.poisson(3.0, N),
            "zeros": rng.poisson(2.0, N) * rng.integers(0, 2, N),
            "positive": rng.gamma(2.0, 1.0, N),
        },
        index=[f"row{i}" for i in range(N)],
    )
    data["partly"] = data["y"].where(data.index != "row3").where(data["g"] != "w")
    data["counted"] = data["count"].where(data["x"] < 0.8)
    data["yes"] = rng.binomial(data.trials, 0.4)
    data["binary"] = rng.integers(0, 2, N)
    data["shuffled"] = rng.permutation(data["g"])
    return data


D = frame()
M = bmx.Mixture
SHIFTED = bmx.Family(  # its support depends on a parameter
    "triangle",
    params={"top": "log"},
    location="top",
    logpdf=lambda y, top: xp.where(y < top, xp.log(2 * (top - y)) - 2 * xp.log(top), -np.inf),
    start=lambda y: {"top": 2.0 * y.max()},
)
TWO = bmx.Family(  # dispersions on every kind of range
    "lopsided",
    params={"mu": "identity", "scale": "log", "share": "probit", "tilt": "identity"},
    location="mu",
    logpdf=lambda y, mu, scale, share, tilt: (
        -(((y - mu - 0.1 * tilt) / scale) ** 2) - xp.log(scale) + xp.log(share) + xp.log1p(-share)
    ),
)
CASES = {
    "gaussian": lambda: M("y ~ x", D, k=3),
    "one component": lambda: M("y ~ x", D, k=1, concomitant="~ z"),
    "one sigma": lambda: M("y ~ x", D, k=2, dispersion="fixed"),
    "sigmas in blocks": lambda: M("y ~ 1", D, k=3, dispersion=[1, 2]),
    "offsets": lambda: M(
        "count ~ x + offset(log(trials))", D, family="poisson", k=2, fixed="~ f + offset(v)"
    ),
    "only an offset": lambda: M("count ~ 0 + offset(v)", D, family="negative_binomial", k=2),
    "nested": lambda: M("y ~ 0", D, k=3, fixed="~ v", nested=[("~ 1 + x", 2), ("~ z", 1)]),
    **{
        f"binomial {link}": lambda link=link: M(
            "p(yes, trials) ~ x", D, family=bmx.family("binomial", link=link), k=2
        )
        for link in ("logit", "probit", "cloglog")
    },
    "binary in groups": lambda: M("binary ~ x | g", D, family="binomial", k=2),
    "gamma": lambda: M("positive ~ x", D, family="gamma", k=2),
    "gamma inverse": lambda: M(
        "positive ~ 1", D, family=bmx.family("gamma", link="inverse"), k=2, dispersion="fixed"
    ),
    "student t": lambda: M("y ~ x", D, family="student_t", k=2, weights="w"),
    "negative binomial": lambda: M(
        "count ~ x", D, family="negative_binomial", k=2, concomitant="~ z"
    ),
    "zeros": lambda: M("zeros ~ x", D, family=["zero", "poisson"], k=2),
    "several families": lambda: M(
        "zeros ~ x", D, family=["poisson", "zero", "negative_binomial", "poisson"], k=4
    ),
    "concomitants": lambda: M("y ~ x", D, k=3, concomitant="~ z + v"),
    "groups in any order": lambda: M("y ~ x", D, k=2, group="shuffled"),
    "weights and labels of groups": lambda: M("y ~ x | g", D, k=3, weights="wg", labels="lg"),
    "labels": lambda: M("y ~ x", D, k=3, labels="label", concomitant="~ z", weights="w"),
    "several responses": lambda: M(
        [
            bmx.Regression("y ~ x", dispersion="fixed"),
            bmx.Regression("p(yes, trials) ~ 1", family="binomial", fixed="~ z"),
            bmx.Regression("zeros ~ 1", family=["poisson", "zero"]),
        ],
        D,
        k=2,
    ),
    "several responses in groups": lambda: M(
        [bmx.Regression("y ~ x"), bmx.Regression("count ~ 1", family="poisson")],
        D,
        k=2,
        group="g",
        concomitant="~ h",
        weights="wg",
    ),
    "missing responses": lambda: M("partly ~ x", D, k=2, concomitant="~ z", na_action="fiml"),
    "missing responses of groups": lambda: M(
        [bmx.Regression("partly ~ x"), bmx.Regression("counted ~ 1", family="poisson")],
        D,
        k=2,
        group="g",
        na_action="fiml",
    ),
    "censored": lambda: M("censored(y, lower=0, upper=z + 2) ~ x", D, k=2),
    "truncated counts": lambda: M("truncated(I(count + 1), lower=1) ~ x", D, family="poisson", k=2),
    "own family": lambda: M("positive ~ x", D, family=SHIFTED, k=2),
    "own dispersions": lambda: M("y ~ x", D, family=TWO, k=2),
    "priors of two kinds": lambda: M(
        "y ~ x",
        D,
        k=2,
        fixed="~ z + v",
        priors={
            "coef[x]": bmx.Prior("student_t", nu=4, mu=0, sigma=1),
            "coef[z]": bmx.Prior("student_t", nu=4, mu=0, sigma=1),
            "sigma": bmx.Prior("inverse_gamma", alpha=2, beta=1),
            "weight": bmx.Prior("dirichlet", concentration=1.5),
        },
    ),
}
POINTS = {
    "gamma inverse": np.array([0.5, 1.2, 0.3, 0.2]),
    "own family": np.array([3.0, 0.0, 3.5, 0.0, 0.0]),
}


@pytest.fixture(autouse=True)
def _no_compiler(request):
    """PyTensor's Python implementation, unless a test is marked slow."""
    slow = request.node.get_closest_marker("slow") is not None
    flags = {} if slow else {"cxx": "", "mode": "FAST_COMPILE"}
    with pytensor.config.change_flags(**flags):
        yield


def compiled(model):
    """From natural values to the log density without Jacobian, its gradient in the
    unconstrained values, and these values, one vector each."""
    import pytensor.tensor as pt

    inputs = [rv.type() for rv in model.free_RVs]
    values = []
    for rv, x in zip(model.free_RVs, inputs, strict=True):
        transform = model.rvs_to_transforms[rv]
        values.append(x if transform is None else transform.forward(x, *rv.owner.inputs))
    logp = model.logp(jacobian=False)
    gradient = pytensor.grad(logp, model.value_vars)
    replace = dict(zip(model.value_vars, values, strict=True))
    done = clone_replace([logp, *gradient], replace, rebuild_strict=False)
    flat = [pt.concatenate([x.ravel() for x in part]) for part in (done[1:], values)]
    function = pytensor.function(inputs, [done[0], *flat], **MODE)

    def call(point):
        value, *others = function(*(point[rv.name] for rv in model.free_RVs))
        return float(value), *others

    return call


def target(spec, priors, theta):
    """The same density by NumPy."""
    prior = log_prior(spec, priors, theta[None]).value[0]
    return log_likelihood(build_problem(spec), theta[None])[0] + prior


def some_theta(spec, rng, name=""):
    """Near the middle of the default priors, whatever the scales of the data."""
    theta = 0.3 * rng.normal(size=spec.layout.size)
    priors = resolve(spec, None)
    for at, (prior, _) in priors.single.items():
        if prior.kind == "normal":
            mu, sigma = prior.parameters["mu"], prior.parameters["sigma"]
            theta[at] = mu + 0.3 * min(sigma, 2.5) * theta[at]
    if priors.map is not None:
        theta = priors.map.solve(theta)
    if name in POINTS:
        theta = POINTS[name] + 0.1 * rng.normal(size=spec.layout.size)
    theta[list(spec.held)] = list(spec.held.values())
    return theta


def at(model, theta):
    """Theta as values of the free variables."""
    return initial_point(model.spec, resolve(model.spec, model._priors), theta)


def check_density(model, name="", constant=False):
    """Values at random points, and the gradient along every direction of theta."""
    spec, pymc_model, priors = model.spec, model.to_pymc(), resolve(model.spec, model._priors)
    call = compiled(pymc_model)
    rng = np.random.default_rng(1)
    shifts = []
    for _ in range(4):
        theta = some_theta(spec, rng, name)
        expected = target(spec, priors, theta)
        shifts.append(call(at(model, theta))[0] - expected)
        assert np.isfinite(expected)
    scale = 1e-9 * max(1.0, abs(expected))
    np.testing.assert_allclose(shifts, shifts[0] if constant else 0.0, atol=scale)
    check_gradient(model, call, theta)
    return call, pymc_model


def check_gradient(model, call, theta):
    spec = model.spec
    scales = {
        at: prior.parameters.get("sigma", 1)
        for at, (prior, _) in resolve(spec, None).single.items()
    }
    gradient = call(at(model, theta))[1]
    assert np.isfinite(gradient).all()
    for j in np.flatnonzero(spec.free):
        step = 1e-5 * min(1.0, scales.get(j, 1.0))
        h = step * (np.arange(len(theta)) == j)
        (up, _, right), (down, _, left) = (call(at(model, theta + s * h)) for s in (1, -1))
        numeric = (up - down) / (2 * step)
        slope = gradient @ (right - left) / (2 * step)
        assert slope == pytest.approx(numeric, rel=1e-5, abs=1e-5)


VIGNETTE = flexmix_models(bmx)


@pytest.mark.parametrize("name", VIGNETTE)
def test_density_of_published_models(name):
    check_density(VIGNETTE[name])


@pytest.mark.parametrize("name", CASES)
def test_density(name):
    check_density(CASES[name](), name)


# --- zero densities ------------------------------------------------------------------------


def test_gradient_where_a_component_cannot_give_a_response():
    """A gamma mean must be positive: with the inverse link, so must the linear predictor."""
    model = CASES["gamma inverse"]()
    spec, pymc_model = model.spec, model.to_pymc()
    call = compiled(pymc_model)
    priors = resolve(spec, None)
    theta = np.array([0.5, -1.2, 0.3, 0.2])
    value, _, _ = call(at(model, theta))
    assert value == pytest.approx(target(spec, priors, theta), abs=1e-9)
    check_gradient(model, call, theta)
    value, gradient, _ = call(at(model, -np.abs(theta)))
    assert value == -np.inf
    assert np.isfinite(gradient).all()


def test_gradient_where_the_support_depends_on_a_parameter():
    model = CASES["own family"]()
    spec, pymc_model = model.spec, model.to_pymc()
    theta = np.array([3.0, 0.1, 0.2, 0.0, 0.3])  # the second component ends among the responses
    call = compiled(pymc_model)
    resp = unit_terms(build_problem(spec), theta)[1]
    assert 0 < (resp[:, 1] == 0).sum() < N
    check_gradient(model, call, theta)


@pytest.mark.parametrize(
    ("formula", "family"),
    [("count ~ x", "poisson"), ("binary ~ x", bmx.family("binomial", link="cloglog"))],
    ids=["poisson", "cloglog"],
)
def test_gradient_far_out(formula, family):
    """A mean beyond the largest number is a density of zero, not NaN; a hazard, a certain event."""
    model = M(formula, D, family=family, k=2)
    spec, pymc_model = model.spec, model.to_pymc()
    theta = np.array([1.0, 0.0, 900.0, 0.0, 0.0])
    value, gradient, _ = compiled(pymc_model)(at(model, theta))
    assert value == pytest.approx(target(spec, resolve(spec, None), theta))
    assert np.isfinite(gradient).all()


# --- variables -----------------------------------------------------------------------------


def dims(pymc_model):
    return {v.name: pymc_model.named_vars_to_dims.get(v.name) for v in pymc_model.free_RVs}


def test_names_dims_and_coords():
    model = VIGNETTE["nregfix_nested"].to_pymc()
    assert dims(model) == {
        "coef_fixed": ("term_fixed",),
        "coef_nested_1": ("term_nested_1",),
        "coef_varying": ("component", "term_varying"),
        "sigma_set": ("sigma_set_of",),
        "alpha_centred": ("concomitant_term", "component"),
    }
    assert model.coords["term_nested_1"] == ("x1",)
    assert model.coords["component"] == (1, 2, 3)
    assert model.coords["sigma_set_of"] == ("1, 2, 3",)
    assert {v.name for v in model.deterministics} == {"coef", "sigma", "alpha", "mu"}
    assert model.named_vars_to_dims["coef"] == ("component", "term")
    assert [v.name for v in model.observed_RVs] == ["y"]
    assert model.named_vars_to_dims["y"] == ("unit",)


def test_names_with_several_responses():
    model = CASES["several responses in groups"]().to_pymc()
    assert dims(model) == {
        "coef_y": ("component", "term_y"),
        "sigma_y": ("component",),
        "coef_count": ("component", "term_count"),
        "alpha_centred": ("concomitant_term", "component"),
    }
    assert model.named_vars_to_dims["responses"] == ("unit", "row_in_unit", "response")
    assert model.coords["unit"] == tuple("qwerty")
    assert model.coords["response"] == ("y", "count")


def test_names_where_priors_differ():
    model = CASES["priors of two kinds"]().to_pymc()
    kinds = {v.name: type(v.owner.op).__name__ for v in model.free_RVs}
    assert kinds == {
        "coef_fixed_z": "StudentTRV",
        "coef_fixed_v": "NormalRV",
        "coef_varying_Intercept": "MvNormalRV",
        "coef_varying_x": "StudentTRV",
        "sigma": "InvGammaRV",
        "weight": "DirichletRV",
    }


def test_a_response_does_not_take_a_name_in_use():
    data = D.rename(columns={"y": "weight", "x": "unit"})
    assert [v.name for v in M("weight ~ 1", data).to_pymc().observed_RVs] == ["weight_"]
    assert [v.name for v in M("unit ~ 1", data).to_pymc().observed_RVs] == ["unit_"]
    assert [v.name for v in M("I(y / z) ~ 1", D).to_pymc().observed_RVs] == ["I(y _ z)"]


def test_units_without_names_of_their_own_are_numbered():
    data = D.set_index(np.zeros(N, int))
    assert M("y ~ 1", data).to_pymc().coords["unit"] == tuple(range(N))
    assert M("y ~ 1", D).to_pymc().coords["unit"] == tuple(D.index)


def test_parameters_have_the_values_of_a_fit():
    for name in ("nested", "several families", "several responses", "concomitants", "sigma"):
        model = CASES.get(name, CASES["sigmas in blocks"])()
        spec, pymc_model = model.spec, model.to_pymc()
        theta = some_theta(spec, np.random.default_rng(2))
        tree = posterior(model, pymc_model, [theta])
        wanted = to_dataset(spec, theta)
        assert set(wanted) <= set(tree)
        for variable in wanted:
            found = tree[variable].isel(chain=0, draw=0)
            assert found.dims == wanted[variable].dims
            # A coefficient that a component lacks is zero in the model.
            expected = (
                wanted[variable].fillna(0.0) if "term" in str(found.dims) else wanted[variable]
            )
            np.testing.assert_allclose(found, expected, rtol=1e-12)


# --- held parameters -----------------------------------------------------------------------


def held(model, given):
    return M._of(hold(model.spec, given), model._priors)


def test_held_coefficients_and_dispersions():
    model = held(M("y ~ x", D, k=2, fixed="~ z"), {(1, "x"): 0.5, (2, "sigma"): 1.5})
    _, pymc_model = check_density(model)
    assert dims(pymc_model) == {
        "coef_fixed": ("term_fixed",),
        "coef_varying": ("coef_varying_entry",),
        "sigma_set": ("sigma_set_of",),
        "weight": ("component",),
    }
    assert pymc_model.coords["coef_varying_entry"] == ("1:Intercept", "2:Intercept", "2:x")
    tree = posterior(model, pymc_model, [some_theta(model.spec, np.random.default_rng(0))])
    assert (tree["coef"].sel(component=1, term="x") == 0.5).all()
    assert np.allclose(tree["sigma"].sel(component=2), 1.5)


@pytest.mark.parametrize("given", [{1: 0.3}, {2: 0.2}, {1: 0.3, 3: 0.5}, {1: 0.2, 2: 0.3, 3: 0.5}])
def test_held_weights(given):
    """The density is the same up to a constant."""
    model = held(M("y ~ 1", D, k=3), {(s, "weight"): w for s, w in given.items()})
    _, pymc_model = check_density(model, constant=True)
    theta = some_theta(model.spec, np.random.default_rng(3))
    tree = posterior(model, pymc_model, [theta])
    np.testing.assert_allclose(tree["weight"][0, 0], to_dataset(model.spec, theta)["weight"])
    np.testing.assert_allclose(
        draws_to_theta(model.spec, resolve(model.spec, model._priors), tree)[0, 0],
        theta,
        atol=1e-12,
    )


@pytest.mark.parametrize(
    "given",
    [{(2, "alpha[z]"): 0.4}, {(s, f"alpha[{t}]"): 0.1 * s for s in (2, 3) for t in ("z", "v")}],
)
def test_held_logits(given):
    model = held(M("y ~ 1", D, k=3, concomitant="~ z + v"), given)
    _, pymc_model = check_density(model, constant=True)
    assert len(pymc_model.coords["alpha_entry"]) == 6 - len(given)


def test_everything_held():
    given = {(s, n): 1.0 for s in (1, 2) for n in ("Intercept", "sigma")}
    model = held(M("y ~ 1", D, k=2), given | {(1, "weight"): 0.4})
    assert model.to_pymc().free_RVs == []


# --- points and draws ----------------------------------------------------------------------


def posterior(model, pymc_model, thetas):
    """Draws at given points, two chains of the same, as PyMC would return them."""
    variables = {}
    thetas = thetas * 2 if len(thetas) == 1 else thetas
    values = [at(model, theta) for theta in thetas]
    for rv in pymc_model.free_RVs:
        stacked = np.stack([[v[rv.name] for v in values]] * 2)
        variables[rv.name] = (("chain", "draw", *pymc_model.named_vars_to_dims[rv.name]), stacked)
    coords = {d: list(v) for d, v in pymc_model.coords.items() if v is not None}
    free = xr.Dataset(variables)
    if not variables:
        free = xr.Dataset(coords={"chain": [0, 1], "draw": range(len(thetas))})
    return pm.compute_deterministics(
        free.assign_coords({d: v for d, v in coords.items() if d in free.dims}),
        model=pymc_model,
        extend_dataset=True,
        progressbar=False,
        compile_kwargs=MODE,
    )


@pytest.mark.parametrize(
    "name",
    ["nested", "own dispersions", "several families", "several responses in groups", "labels"],
)
def test_draws_return_as_theta(name):
    model = CASES[name]()
    rng = np.random.default_rng(4)
    thetas = [some_theta(model.spec, rng) for _ in range(3)]
    tree = posterior(model, model.to_pymc(), thetas)
    priors = resolve(model.spec, model._priors)
    found = draws_to_theta(model.spec, priors, tree)
    np.testing.assert_allclose(found, [thetas, thetas], atol=1e-12)
    bare = tree.drop_vars([v for v in tree if v.startswith("coef")])
    with pytest.raises(bmx.SpecError, match=r"lack the variables \['coef"):
        draws_to_theta(model.spec, priors, bare)


# --- PyMC's tools --------------------------------------------------------------------------

PREDICTED = ["student t", "binary in groups", "several responses", "several responses in groups"]


@pytest.mark.parametrize("name", PREDICTED)
def test_log_likelihood_and_predictions(name):
    model = CASES[name]()
    spec, pymc_model = model.spec, model.to_pymc()
    rng = np.random.default_rng(6)
    thetas = [some_theta(spec, rng) for _ in range(3)]
    tree = xr.DataTree.from_dict({"posterior": posterior(model, pymc_model, thetas)})
    (variable,) = (v.name for v in pymc_model.observed_RVs)
    with pymc_model, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pm.compute_log_likelihood(tree, progressbar=False, compile_kwargs=MODE)
        pm.sample_posterior_predictive(
            tree,
            extend_inferencedata=True,
            progressbar=False,
            random_seed=1,
            compile_kwargs=MODE,
        )
        prior = pm.sample_prior_predictive(4, random_seed=1, compile_kwargs=MODE)
    loglik = tree["log_likelihood"][variable]
    assert loglik.dims == ("chain", "draw", "unit")
    assert loglik["unit"].values.tolist() == spec.rows.units.index.tolist()
    weight = 1.0 if spec.rows.weight is None else spec.rows.weight
    for draw, theta in enumerate(thetas):
        wanted = weight * unit_terms(build_problem(spec), theta)[0]
        np.testing.assert_allclose(loglik[1, draw], wanted, rtol=1e-10)
    observed = to_rows(spec, pymc_model[f"{variable}_data"].get_value())
    for group in (tree["posterior_predictive"], prior["prior_predictive"]):
        drawn = to_rows(spec, group[variable].values)
        for block, rows in zip(spec.layout.blocks, spec.rows.blocks, strict=True):
            np.testing.assert_array_equal(observed[block.name], rows.response.y)
            values = drawn[block.name]
            assert values.shape[-1] == N
            assert np.isfinite(values).all()
            if rows.response.trials is not None:
                assert (values <= rows.response.trials).all()


def test_predictions_follow_components_groups_and_labels():
    """Intercepts far apart: rows of a group stay together, known units where they belong."""
    data = D.assign(y=np.zeros(N))
    data.loc["row0", "y"] = 1.0
    model = M("y ~ 1 | g", data, k=2, labels="lg")
    spec, pymc_model = model.spec, model.to_pymc()
    theta = np.array([-100.0, 100.0, 0.0, 0.0, np.log(3.0)])
    tree = posterior(model, pymc_model, [theta] * 200)
    with pymc_model:
        drawn = pm.sample_posterior_predictive(
            tree, progressbar=False, random_seed=2, compile_kwargs=MODE
        )
    second = to_rows(spec, drawn["posterior_predictive"]["y"].values)["y"][0] > 0
    for g in data["g"].unique():
        rows = second[:, (data["g"] == g).to_numpy()]
        assert (rows == rows[:, :1]).all()
        known = data.loc[data["g"] == g, "lg"].iloc[0]
        if pd.isna(known):
            assert rows[:, 0].mean() == pytest.approx(0.75, abs=0.1)
        else:
            assert (rows == (known == "two")).all()


def test_the_graph_shows_the_variables():
    source = pm.model_to_mermaid(VIGNETTE["patent_fixed_k3"].to_pymc())
    for name in ("coef_fixed", "coef_varying", "alpha_centred", "coef", "alpha"):
        assert f"{name}([" in source or f"{name} ~" in source
    for arrow in (
        "coef --> mu",
        "X --> mu",
        "mu --> Patents",
        "Z --> Patents",
        "alpha --> Patents",
    ):
        assert arrow in source
    assert "X --> Patents" not in source
    assert 'subgraph "unit (70)"' in source


def test_the_graph_by_graphviz():
    pytest.importorskip("graphviz")
    source = pm.model_to_graphviz(VIGNETTE["patent_fixed_k3"].to_pymc()).source
    assert "mu -> Patents" in source


def test_copies_build_the_same_model():
    model = CASES["labels"]()
    copies = (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model)))
    built = [m.to_pymc() for m in copies]
    built.append(to_pymc(pickle.loads(pickle.dumps(model.spec)), resolve(model.spec, None)))
    start = built[0].initial_point()
    assert len({float(m.compile_logp(**MODE)(start)) for m in built}) == 1


def test_models_copy():
    model = CASES["gamma"]().to_pymc()
    start = model.initial_point()
    twin = copy.deepcopy(model)
    values = [m.compile_logp(**MODE)(start) for m in (model, twin, model.copy())]
    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize("name", ["labels", "several responses in groups"])
def test_data_are_no_constants_of_the_compiled_function(name):
    """Other data of the same model find numba's cache."""
    model = CASES[name]().to_pymc()
    logp = model.logp()
    function = pytensor.function(
        model.value_vars, [logp, *pytensor.grad(logp, model.value_vars)], mode="FAST_RUN"
    )
    inputs = [v for node in function.maker.fgraph.toposort() for v in node.inputs]
    sizes = [np.size(v.data) for v in inputs if isinstance(v, Constant)]
    assert max(sizes) < N


# --- wrong calls ---------------------------------------------------------------------------


def test_flat_priors_are_refused():
    with pytest.raises(bmx.SpecError, match="needs proper priors; leave priors= out"):
        M("y ~ x", D, priors="flat").to_pymc()


def test_priors_are_checked_at_once_and_kept():
    with pytest.raises(bmx.SpecError, match="use a bmx"):
        M("y ~ x", D, priors={"coef": 1})
    with pytest.raises(bmx.SpecError, match=r"priors has 'coef\[w\]'"):
        M("y ~ x", D, priors={"coef[w]": bmx.Prior("normal", mu=0, sigma=1)})
    with pytest.raises(bmx.SpecError, match="must be None, 'flat' or a dict"):
        M("y ~ x", D, priors="wide")
    given = {"sigma": bmx.Prior("gamma", alpha=2, beta=2)}
    model = M("y ~ x", D, priors=given)
    given.clear()
    for one in (model, model.with_k(3), copy.deepcopy(model)):
        kinds = {v.name: type(v.owner.op).__name__ for v in one.to_pymc().free_RVs}
        assert kinds["sigma"] == "GammaRV"


def test_a_density_written_with_numpy_and_scipy():
    from scipy import special

    def logpdf(y, rate):
        return np.where(y >= 0, special.xlogy(1.0, rate) - rate * y, -np.inf)

    family = bmx.Family("waiting", params={"rate": "log"}, location="rate", logpdf=logpdf)
    check_density(M("positive ~ x", D, family=family))


def test_a_density_that_is_no_graph():
    family = bmx.Family(
        "opaque",
        params={"rate": "log"},
        location="rate",
        logpdf=lambda y, rate: xp.log(rate) - rate * np.array(y, float),
    )
    with pytest.raises(bmx.SpecError, match=r"'opaque' cannot be part.*bayesmix\.arrays"):
        M("positive ~ 1", D, family=family).to_pymc()


def test_a_mistake_in_a_family_is_no_missing_graph():
    """A mean that no graph has leaves `mu` out; any other error comes through."""

    def mean(mu, sigma):
        if isinstance(mu, xp.Symbol):
            raise ValueError("a mistake")
        return mu + 1.0

    family = dataclasses.replace(families.family("gaussian"), mean=mean)
    with pytest.raises(ValueError, match="a mistake"):
        M("y ~ x", D, family=family).to_pymc()
