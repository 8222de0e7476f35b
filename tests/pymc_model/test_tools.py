"""PyMC's and ArviZ's functions on the model and on the draws of a posterior, against ours."""

import warnings
from pathlib import Path

import arviz as az
import arviz_plots
import arviz_stats
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
import xarray as xr
from pymc.stats import compute_log_prior
from scipy import stats

import bayesmix as bmx
from bayesmix.model.data import to_rows

MODE = {"mode": "FAST_COMPILE"}
DOCS = Path(__file__).parents[2] / "docs"
N = 60
PRIOR = bmx.Prior


def frame():
    rng = np.random.default_rng(5)
    up, x = rng.random(N) < 0.5, rng.normal(size=N)
    data = pd.DataFrame(
        {
            "x": x,
            "y": rng.poisson(np.exp(np.where(up, 2.5 + 0.3 * x, 0.3 - 0.3 * x))),
            "real": rng.normal(np.where(up, 3 + x, -x), 1.0),
            "n": 12,
            "g": np.repeat([f"g{i}" for i in range(N // 3)], 3),
            "time": rng.weibull(1.5, N) * 3 + 0.1,
            "status": (rng.random(N) < 0.7).astype(int),
            "known": np.where(np.arange(N) < 6, np.where(up, "up", "down"), None),
            "w": rng.integers(1, 3, N),
        }
    )
    data["k"] = rng.binomial(12, np.where(up, 0.8, 0.2))
    data["event"] = np.where(data["status"] == 1, np.where(up, "a", "b"), None)
    data["later"] = data["time"] * np.where(np.arange(N) % 4, 1.0, 1.5)
    data["entry"] = np.where(np.arange(N) % 3, 0.0, 0.05)
    return data


D = frame()
SURV = {"a": "weibull", "b": "lognormal"}
MODELS = {
    "random effects": lambda: bmx.Mixture("real ~ x + (1 | g)", D, k=2),
    "counts": lambda: bmx.Mixture("y ~ 1", D, family="poisson", k=2, fixed="~ x"),
    "groups": lambda: bmx.Mixture("p(k, n) ~ x | g", D, family="binomial", k=2),
    "concomitants, labels, weights": lambda: bmx.Mixture(
        "real ~ x", D, k=2, concomitant="~ x", labels="known", weights="w"
    ),
    "several responses": lambda: bmx.Mixture(
        [bmx.Regression("y ~ x", family="poisson"), bmx.Regression("real ~ 1")], D, k=2
    ),
    "competing events": lambda: bmx.CompetingRisks(
        "surv(time, status) ~ x", D, event="event", family=SURV
    ),
    "intervals": lambda: bmx.Mixture(
        "surv(time, later, kind='interval') ~ x", D, family="weibull", k=1
    ),
    "delayed entry": lambda: bmx.Mixture(
        "surv(entry, time, status, kind='counting') ~ 1", D, family="lognormal", k=1
    ),
}
_MADE = {}


@pytest.fixture(autouse=True)
def _no_compiler():
    with pytensor.config.change_flags(cxx="", mode="FAST_COMPILE"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    plt.close("all")


def made(name):
    """The specification, its posterior of few draws, and its PyMC model."""
    if name not in _MADE:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spec = MODELS[name]()
            _MADE[name] = spec, spec.fit("laplace", seed=1, draws=60)
    spec, post = _MADE[name]
    return spec, post, spec.to_pymc()


def predictive(post, model, **options):
    return pm.sample_posterior_predictive(
        post, model=model, progressbar=False, random_seed=1, compile_kwargs=MODE, **options
    )


@pytest.mark.parametrize("name", MODELS)
def test_densities_of_the_draws(name):
    _, post, model = made(name)
    (variable,) = (v.name for v in model.observed_RVs)
    own = post.data
    given = own.copy()
    pm.compute_log_likelihood(given, model=model, progressbar=False, compile_kwargs=MODE)
    found = given["log_likelihood"][variable]
    assert found.dims == ("chain", "draw", "unit")
    np.testing.assert_allclose(found, own["log_likelihood"][variable], rtol=1e-8, atol=1e-10)
    compute_log_prior(given, model=model, progressbar=False, compile_kwargs=MODE)
    assert set(given["log_prior"].data_vars) == set(own["log_prior"].data_vars)
    for prior, values in own["log_prior"].data_vars.items():
        np.testing.assert_allclose(given["log_prior"][prior], values, rtol=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_predictions_in_and_out_of_sample(name):
    spec, post, model = made(name)
    (variable,) = (v.name for v in model.observed_RVs)
    drawn = predictive(post.data, model)["posterior_predictive"][variable]
    mine, theirs = post.simulate(60, seed=2), to_rows(spec.spec, drawn.values[0])
    ours = mine.to_numpy().reshape(N, len(theirs), -1)
    for b, rows in enumerate(theirs.values()):
        assert rows.shape == (60, N)
        error = 5 * (rows.std() + ours[:, b].std()) / np.sqrt(60)
        assert abs(np.nanmean(rows) - np.nanmean(ours[:, b])) < error
    new = D[["x", "n", "g", "entry"]].head(4)
    values, coords = spec.pymc_data(new)
    assert coords["obs"] == (0, 1, 2, 3)
    pm.set_data(values, model=model, coords=coords)
    drawn = predictive(post.data, model, predictions=True)["predictions"][variable]
    assert drawn.sizes["unit"] == len(coords["unit"])
    assert (np.isfinite(drawn).sum("unit") > 0).any()
    values, coords = spec.pymc_data()
    pm.set_data(values, model=model, coords=coords)
    again = pm.compute_log_likelihood(
        post.data, model=model, progressbar=False, compile_kwargs=MODE
    )
    wanted = post.data["log_likelihood"][variable]
    np.testing.assert_allclose(again["log_likelihood"][variable], wanted, rtol=1e-8, atol=1e-10)


def test_the_density_of_new_units_is_that_of_their_own_specification():
    spec, post, model = made("counts")
    part = D.iloc[7:30]
    values, coords = spec.pymc_data(part)
    pm.set_data(values, model=model, coords=coords)
    with model:
        given = pm.compute_log_likelihood(post.data, progressbar=False, compile_kwargs=MODE)
    params = post.data["posterior"].to_dataset().isel(chain=0, draw=5)
    other = bmx.Mixture("y ~ 1", part, family="poisson", k=2, fixed="~ x")
    total = float(given["log_likelihood"]["y"].isel(chain=0, draw=5).sum())
    assert total == pytest.approx(other.log_likelihood(params), abs=1e-9)


def test_responses_that_are_not_known_have_no_density():
    spec, _, _model = made("counts")
    values, coords = spec.pymc_data(D[["x"]].head(3))
    assert np.isnan(values["y_data"]).all()
    with pytest.raises(bmx.DataError, match="x"):
        spec.pymc_data(D[["n"]])
    assert coords["unit"] == (0, 1, 2)


# --- interventions -------------------------------------------------------------------------


def test_do_is_simulation_at_given_parameters():
    spec, _, model = made("counts")
    coef = np.array([[0.4, 0.5], [0.4, 2.0]])
    terms = list(model.coords["term"])
    assert terms == ["x", "Intercept"]
    params = xr.Dataset(
        {"coef": (("component", "term"), coef), "weight": (("component",), [0.3, 0.7])},
        {"component": [1, 2], "term": terms},
    )
    done = pm.do(model, {"coef": coef, "weight": np.array([0.3, 0.7])})
    drawn = pm.draw(done["y"], draws=400, random_seed=1)
    ours = np.array([spec.simulate(params, seed=s)["y"] for s in range(400)])
    error = 5 * ours.std(0) / np.sqrt(200)
    assert (np.abs(drawn.mean(0) - ours.mean(0)) < error + 1e-9).all()
    logp = done.compile_logp(vars=done.observed_RVs, **MODE)(done.initial_point())
    assert float(logp) == pytest.approx(spec.log_likelihood(params), abs=1e-9)
    fewer = spec.simulate(params, newdata=D[["x"]].head(3), seed=1)
    assert list(fewer.columns) == ["y", "component"]
    assert len(fewer) == 3


def test_do_on_the_means():
    _, _, model = made("counts")
    done = pm.do(model, {"mu": np.full((N, 2), 4.0)})
    logp = done.compile_logp(vars=done.observed_RVs, **MODE)(done.initial_point())
    assert float(logp) == pytest.approx(stats.poisson(4.0).logpmf(D["y"]).sum(), abs=1e-8)
    _, _, model = made("groups")
    done = pm.do(model, {"mu": np.full((N, 2), 0.3)})
    logp = done.compile_logp(vars=done.observed_RVs, **MODE)(done.initial_point())
    assert float(logp) == pytest.approx(stats.binom(12, 0.3).logpmf(D["k"]).sum(), abs=1e-8)


def test_observing_other_responses_and_parameters():
    _spec, _, model = made("counts")
    y = np.arange(float(N)) % 9
    other = pm.observe(model, {"y": y})
    twin = bmx.Mixture("y ~ 1", D.assign(y=y.astype(int)), family="poisson", k=2, fixed="~ x")
    start = model.initial_point()
    found = other.compile_logp(vars=other.observed_RVs, **MODE)(start)
    theirs = twin.to_pymc()
    wanted = theirs.compile_logp(vars=theirs.observed_RVs, **MODE)(start)
    assert float(found) == pytest.approx(float(wanted), abs=1e-9)
    held = pm.observe(model, {"coef_fixed": np.array([0.1])})
    assert [v.name for v in held.free_RVs] == ["coef_varying", "weight"]


def test_means_are_natural_and_per_trial():
    spec, _post, model = made("groups")
    fit = spec.fit("em", seed=1)
    point = {"coef": fit.params["coef"].values}
    mu = model["mu"].eval({model["coef"]: point["coef"]})
    np.testing.assert_allclose(mu, fit.fitted(), rtol=1e-10)
    assert model.named_vars_to_dims["mu"] == ("obs", "component")


MEANS = {
    "hurdle_poisson": "y ~ x",
    "hurdle_negative_binomial": "y ~ x",
    "weibull": "surv(time, status) ~ x",
    "weibull_ph": "surv(time, status) ~ x",
    "loglogistic": "surv(time, status) ~ x",
    "ordinal": "grade ~ x",
    "categorical": "event ~ x",
    "mvnormal": "mv(real, x) ~ 1",
}


@pytest.mark.parametrize("family", MEANS)
def test_means_in_the_graph_are_fitted_values(family):
    grades = pd.Categorical(np.arange(N) % 3, ordered=True)
    data = D.assign(grade=grades, event=D["event"].fillna("none"))
    spec = bmx.Mixture(MEANS[family], data, family=family, k=2)
    post, model = spec.fit("laplace", seed=1, draws=20), spec.to_pymc()
    draw = post.data["posterior"].to_dataset().isel(chain=0, draw=3)
    fit = spec.fit("em", init=draw, max_iter=0)
    mean = pytensor.function(model.free_RVs, model["mu"], on_unused_input="ignore", **MODE)
    mu = mean(*(draw[v.name].values for v in model.free_RVs))
    fitted = fit.fitted().to_numpy().reshape(N, *mu.shape[:1:-1], 2)  # components stand last
    np.testing.assert_allclose(mu, np.moveaxis(fitted, -1, 1), rtol=1e-9)


def test_means_and_correlations_of_several_columns():
    spec = bmx.Mixture("mv(real, x) ~ 1", D, family="mvnormal", k=2)
    post, model = spec.fit("laplace", seed=1, draws=20), spec.to_pymc()
    assert model.named_vars_to_dims["mu"] == ("obs", "component", "output")
    assert model.coords["output"] == ("real", "x")
    draw = post.data["posterior"].to_dataset().isel(chain=0, draw=3)
    free = {model["fisher_real_x"]: draw["fisher_real_x"].values}
    found = model["correlation_real_x"].eval(free)
    np.testing.assert_allclose(found, draw["correlation_real_x"], rtol=1e-12)
    done = pm.do(model, {"mu": np.zeros((N, 2, 2)), "fisher_real_x": np.zeros(2)})
    logp = done.compile_logp(vars=done.observed_RVs, **MODE)
    point = done.initial_point() | {"sd_real_log__": np.zeros(2), "sd_x_log__": np.zeros(2)}
    wanted = stats.norm(0, 1).logpdf(D[["real", "x"]]).sum()
    assert float(logp(point)) == pytest.approx(wanted, abs=1e-9)
    drawn = pm.draw(done["responses"], draws=300, random_seed=1)
    assert np.abs(drawn.mean((0, 1))).max() < 0.2


NO_MEAN = (
    "gompertz", "gengamma", "gengamma_orig", "genf", "genf_orig", "promotion_time", "spline",
)  # fmt: skip


def test_families_whose_means_no_graph_has():
    """The documentation names them."""
    page, without = (DOCS / "howto" / "pymc.md").read_text(), set()
    for family in ("exponential", "gamma", "lognormal", "loglogistic", *NO_MEAN):
        model = bmx.Mixture("surv(time, status) ~ 1", D, family=family, k=1).to_pymc()
        dims = model.named_vars_to_dims
        means = [name for name in ("mu", "mean_mu") if "obs" in dims.get(name, ())]
        without |= set() if means else {family}
    assert without == set(NO_MEAN)
    assert all(f"`{family}`" in page for family in NO_MEAN)


# --- there and back ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["counts", "concomitants, labels, weights", "competing events"])
def test_draws_of_pymc_become_a_posterior(name):
    spec, post, model = made(name)
    theirs = post.data["posterior"].to_dataset()
    free = theirs[[v.name for v in model.free_RVs]]
    for given in (theirs, free):  # the variables of fit.params, or the free ones alone
        if given is free and name != "counts":
            continue
        back = spec.from_pymc(xr.DataTree.from_dict({"posterior": given}))
        assert type(back) is type(post)
        np.testing.assert_allclose(back.summary()["mean"], post.summary()["mean"], rtol=1e-9)
        back.membership()
        assert back.modes["share"].sum() == pytest.approx(1, abs=0.05)
    with pytest.raises(bmx.SpecError, match="lack the variables"):
        spec.from_pymc(xr.DataTree.from_dict({"posterior": theirs.drop_vars(list(theirs))}))
    with pytest.raises(bmx.SpecError, match=r"what pm\.sample returns"):
        spec.from_pymc(theirs)


def test_switched_labels_are_put_in_order():
    spec, post, _ = made("counts")
    theirs = post.data["posterior"].to_dataset()
    turned = theirs.isel(component=[1, 0]).assign_coords(component=[1, 2])
    both = xr.concat([theirs, turned], "chain").assign_coords(chain=[0, 1])
    back = spec.from_pymc(xr.DataTree.from_dict({"posterior": both}))
    np.testing.assert_allclose(back.summary()["mean"], post.summary()["mean"], rtol=1e-6)


def test_the_initial_point_breaks_the_symmetry():
    spec, _, model = made("counts")
    start = spec.initial_point(seed=1)
    assert set(start) == {v.name for v in model.free_RVs}
    assert abs(np.diff(start["coef_varying"][:, 0]).item()) > 1
    found = pm.find_MAP(start=start, model=model, progressbar=False, compile_kwargs=MODE)
    mine = spec.fit("map", seed=1)
    loglik = spec.log_likelihood(mine.params)
    params = mine.params.copy(deep=True)
    params["coef"].values[:] = found["coef"]
    params["weight"].values[:] = found["weight"]
    assert spec.log_likelihood(params) == pytest.approx(loglik, abs=0.5)


def test_sensitivity_flags_a_prior_against_the_data():
    _spec, post, _ = made("counts")
    table = post.sensitivity()
    assert {"prior", "likelihood", "diagnosis"} <= set(table.columns)
    assert "coef[1, x]" in table.index
    strong = {"coef[x]": PRIOR("normal", mu=3, sigma=0.2)}
    told = bmx.Mixture("y ~ 1", D, family="poisson", k=2, fixed="~ x", priors=strong)
    against = told.fit("laplace", seed=1, draws=500).sensitivity()
    assert against.loc["coef[1, x]", "prior"] > 2 * table.loc["coef[1, x]", "prior"]
    with pytest.raises(bmx.BayesmixError, match="alpha"):
        post.sensitivity(alpha=-1)


# --- new units -----------------------------------------------------------------------------


def test_memberships_of_new_units():
    spec, post, _ = made("groups")
    new = pd.DataFrame({"g": ["A", "A", "B"], "x": [0.0, 1.0, 0.5], "k": [11, 10, 1], "n": 12})
    found = post.membership(new)
    assert list(found.index) == ["A", "B"]
    fit = spec.fit("em", seed=1)
    np.testing.assert_allclose(found, fit.membership(new), atol=0.05)
    assert post.clusters(newdata=new).tolist() == fit.clusters(new).tolist()
    assert post.membership(new, rows=True).shape == (3, 2)
    assert post.membership(new, uncertainty=True).shape == (2, 4)
    with pytest.raises(bmx.FitError, match="loss="):
        post.clusters(newdata=new, loss="binder")


# --- models written by hand ----------------------------------------------------------------


def by_hand_counts():
    with pm.Model() as model:
        coef = pm.Normal("coef", 0.0, 2.0, shape=(2, 2))
        weight = pm.Dirichlet("weight", a=np.ones(2) * 3.0)
        mu = pm.math.exp(coef[:, 0] + coef[:, 1] * D["x"].to_numpy()[:, None])
        parts = [pm.Poisson.dist(mu[:, s]) for s in range(2)]
        pm.Mixture("y", w=weight, comp_dists=parts, observed=D["y"].to_numpy())
    priors = {"coef": PRIOR("normal", mu=0, sigma=2), "weight": PRIOR("dirichlet", a=3)}
    return model, bmx.Mixture("y ~ x", D, family="poisson", k=2, priors=priors)


def by_hand_lines():
    """The priors of posteriordb's low_dim_gauss_mix, said exactly."""
    with pm.Model() as model:
        coef = pm.Normal("coef", 0.0, 2.0, shape=(2, 1))
        sigma = pm.HalfNormal("sigma", 2.0, shape=2)
        weight = pm.Dirichlet("weight", a=np.array([5.0, 5.0]))
        parts = [pm.Normal.dist(coef[s, 0], sigma[s]) for s in range(2)]
        pm.Mixture("real", w=weight, comp_dists=parts, observed=D["real"].to_numpy())
    priors = {
        "coef": PRIOR("normal", mu=0, sigma=2),
        "sigma": PRIOR("half_normal", sigma=2),
        "weight": PRIOR("dirichlet", a=5),
    }
    return model, bmx.Mixture("real ~ 1", D, k=2, priors=priors)


def by_hand_times():
    """Right-censored exponential times."""
    time, seen = D["time"].to_numpy(), D["status"].to_numpy() == 1
    with pm.Model() as model:
        rate = pm.Normal("rate", 0.0, 2.0, shape=(1, 1))
        whole = pm.Exponential.dist(pm.math.exp(rate[0, 0]))
        upper = np.where(seen, np.inf, time)
        pm.Censored("time", whole, lower=None, upper=upper, observed=time)
    priors = {"rate": PRIOR("normal", mu=0, sigma=2)}
    spec = bmx.Mixture("surv(time, status) ~ 1", D, family="exponential", k=1, priors=priors)
    return model, spec


@pytest.mark.parametrize("make", [by_hand_counts, by_hand_lines, by_hand_times])
def test_models_written_by_hand_have_the_same_density(make):
    hand, spec = make()
    ours, rng = spec.to_pymc(), np.random.default_rng(3)
    assert {v.name for v in ours.free_RVs} == {v.name for v in hand.free_RVs}
    calls = [m.compile_logp(**MODE) for m in (hand, ours)]
    for _ in range(3):
        start = {n: v + 0.3 * rng.normal(size=np.shape(v)) for n, v in hand.initial_point().items()}
        values = [float(call(start)) for call in calls]
        assert values[0] == pytest.approx(values[1], abs=1e-9 * max(1, abs(values[0])))


# --- the table in the documentation --------------------------------------------------------


def test_rows_of_a_group_are_left_out_together():
    """LOO-PIT of rows: predictive draws weighted by one over the likelihood of their group."""
    _, post, _ = made("groups")
    tree = post.to_datatree(predictive=60, by="row")
    found = arviz_stats.loo_pit(tree)["p(k, n)"]
    assert found.dims == ("obs",)
    ratio = -post.data["log_likelihood"]["p(k, n)"].values[0]
    row = 7
    weight = np.exp(ratio[:, row // 3] - ratio[:, row // 3].max())
    drawn = tree["posterior_predictive"]["p(k, n)"].values[0, :, row]
    below, equal = (
        (weight * (test)).sum() / weight.sum()
        for test in (drawn < D["k"][row], drawn == D["k"][row])
    )
    assert below - 0.15 < float(found[row]) < below + equal + 0.15
    with pytest.raises(bmx.FitError, match="by="):
        post.to_datatree(by="cell")


def test_predictive_draws_stand_beside_their_draws():
    """So LOO-PIT weighs the right ones: also of several chains, and fewer than there are."""
    spec = bmx.Mixture("real ~ 1", D.head(20), k=1)
    post = spec.fit("laplace", seed=1, draws=600)
    theirs = post.data["posterior"].to_dataset()
    halves = [theirs.isel(draw=slice(a, a + 300)).drop_vars("draw") for a in (0, 300)]
    back = spec.from_pymc(xr.DataTree.from_dict({"posterior": xr.concat(halves, "chain")}))
    tree = back.to_datatree(predictive=250, by="row")
    means = tree["posterior_predictive"]["real"].mean("unit")
    assert means.dims == ("chain", "draw")
    assert tree["log_likelihood"]["real"].shape[:2] == means.shape == (2, 100)
    level = tree["posterior"]["coef"][..., 0, 0]
    assert float(xr.corr(means, level)) == pytest.approx(0.5**0.5, abs=0.15)
    assert arviz_stats.loo_pit(tree)["real"].shape == (20,)


FUNCTIONS = {
    "`az.summary`": lambda spec, post, model: az.summary(post.data),
    "`az.plot_trace`": lambda spec, post, model: az.plot_trace(post.data, var_names=["~coef"]),
    "`az.plot_forest`": lambda spec, post, model: az.plot_forest(post.data),
    "`az.plot_ppc_dist`": lambda spec, post, model: arviz_plots.plot_ppc_dist(
        post.to_datatree(predictive=5), num_samples=5
    ),
    "`az.loo`": lambda spec, post, model: az.loo(post.data),
    "`az.loo_pit`": lambda spec, post, model: arviz_stats.loo_pit(
        post.to_datatree(predictive=60, by="row")
    ),
    "`az.compare`": lambda spec, post, model: az.compare({"a": post.data, "b": post.data}),
    "`post.sensitivity`": lambda spec, post, model: post.sensitivity(),
    "`pm.sample_posterior_predictive`": lambda spec, post, model: predictive(post.data, model),
    "`pm.compute_log_likelihood`": lambda spec, post, model: pm.compute_log_likelihood(
        post.data, model=model, progressbar=False, compile_kwargs=MODE
    ),
    "`pm.sample_prior_predictive`": lambda spec, post, model: pm.sample_prior_predictive(
        3, model=model, random_seed=1, compile_kwargs=MODE
    ),
    "`pm.model_to_mermaid`": lambda spec, post, model: pm.model_to_mermaid(model),
}
LEVELS = D.assign(grade=pd.Categorical(np.arange(N) % 3, ordered=True))
TABLE = {n: MODELS[n] for n in ("counts", "groups", "several responses", "competing events")} | {
    "random effects": MODELS["random effects"],
    "several columns": lambda: bmx.Mixture("mv(real, x) ~ 1", D, family="mvnormal", k=2),
    "levels": lambda: bmx.Mixture("grade ~ x", LEVELS, family="ordinal", k=2),
}


@pytest.mark.slow
def test_the_table_of_functions_and_models():
    """With draws enough for ArviZ, which refuses a tail of equal ones."""
    specs = {kind: make() for kind, make in TABLE.items()}
    posteriors = {kind: s.fit("laplace", seed=1, draws=400) for kind, s in specs.items()}
    lines = [f"| | {' | '.join(TABLE)} |", f"|---|{'---|' * len(TABLE)}"]
    for function, call in FUNCTIONS.items():
        cells = []
        for kind in TABLE:
            try:
                call(specs[kind], posteriors[kind], specs[kind].to_pymc())
                cells.append("yes")
            except (KeyError, ValueError):
                cells.append("no")
            plt.close("all")
        lines.append(f"| {function} | {' | '.join(cells)} |")
    written = (DOCS / "howto" / "pymc.md").read_text()
    assert "\n".join(lines) in written, "\n".join(lines)
