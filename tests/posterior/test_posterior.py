"""Posteriors: closed forms at K = 1, labels, tables by hand, the DataTree, modes, refusals."""

import warnings
from dataclasses import replace

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from vignette_models import flexmix_models

import bayesmix as bmx
from bayesmix.api import Posterior
from bayesmix.comparison import loo
from bayesmix.comparison.stacking import groups_of_chains
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.model.params import permute, to_dataset
from bayesmix.posterior.mode import Mode
from bayesmix.priors import Penalty, resolve
from bayesmix.sampling import share_chains

KEYS = ["component", "term", "effect"]
SIGMA = 7.0
PRIOR_MEAN, PRIOR_SD = 5.0, 3.0
DRAWS = 4000


@pytest.fixture(scope="module", autouse=True)
def nothing_compiles():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BAYESMIX_COMPILE", "0")
        yield


@pytest.fixture(scope="module")
def models():
    return flexmix_models(bmx)


def quietly(model, method, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bmx.ConvergenceWarning)
        return model.fit(method, **{"seed": 1, "progress": False, **options})


@pytest.fixture(scope="module")
def faults(models):
    """Draws of a plain mixture: a fixed effect, varying intercepts, constant weights."""
    return quietly(models["fabricfault_fix_k2"], "laplace", draws=2000)


@pytest.fixture(scope="module")
def centers(models):
    """Draws of a mixture with groups and three well separated components."""
    return quietly(models["betablocker_fix_k3"], "laplace", draws=1000)


@pytest.fixture(scope="module")
def concomitant():
    """Draws of a mixture with dispersions and a concomitant."""
    return quietly(
        bmx.Mixture("y ~ x1", bmx.load_data("NregFix"), k=2, concomitant="~ w"),
        "laplace",
        draws=500,
    )


@pytest.fixture(scope="module")
def chains(models):
    """A few draws by NUTS."""
    return quietly(models["fabricfault_fix_k2"], "nuts", draws=60, tune=120, chains=2)


# Closed forms.


class Conjugate:
    """Normal regression with a known standard deviation and normal priors."""

    def __init__(self):
        data = bmx.load_data("NregFix").head(60)
        priors = {"coef": bmx.Prior("normal", mu=PRIOR_MEAN, sigma=PRIOR_SD)}
        model = bmx.Mixture("y ~ x1", data, k=1, priors=priors)
        held = {(1, "sigma"): SIGMA}
        self.posterior = model.fit("laplace", seed=3, draws=DRAWS, fixed_params=held)
        self.X = np.column_stack([np.ones(len(data)), data["x1"]])
        self.y = data["y"].to_numpy()
        self.mean, self.cov = self.solve(np.arange(len(data)))

    def solve(self, rows):
        X, y = self.X[rows], self.y[rows]
        cov = np.linalg.inv(X.T @ X / SIGMA**2 + np.eye(2) / PRIOR_SD**2)
        return cov @ (X.T @ y / SIGMA**2 + PRIOR_MEAN / PRIOR_SD**2), cov

    def log_predictive(self, i, mean, cov):
        x = self.X[i]
        return stats.norm(x @ mean, np.sqrt(SIGMA**2 + x @ cov @ x)).logpdf(self.y[i])


@pytest.fixture(scope="module")
def conjugate():
    return Conjugate()


def test_conjugate_normal_regression(conjugate):
    c = conjugate
    # The normal proposal is the posterior itself: the ratios are bounded.
    assert c.posterior.khat < 0.2
    table = c.posterior.summary().set_index("term")
    sd = np.sqrt(np.diag(c.cov))
    z = (table.loc[["Intercept", "x1"], "mean"].to_numpy() - c.mean) / sd * np.sqrt(DRAWS)
    assert (np.abs(z) < 4).all()
    ratio = table.loc[["Intercept", "x1"], "sd"].to_numpy() / sd
    np.testing.assert_allclose(ratio, 1, atol=4 / np.sqrt(2 * DRAWS))
    for column, q in (("lower", 0.025), ("upper", 0.975)):
        truth = stats.norm(c.mean, sd).ppf(q)
        error = 4 * sd * np.sqrt(q * (1 - q) / DRAWS) / stats.norm.pdf(stats.norm.ppf(q))
        assert (np.abs(table.loc[["Intercept", "x1"], column] - truth) < error).all()
    draws = c.posterior.data["posterior"]["coef"].to_numpy().reshape(DRAWS, 2)
    assert np.corrcoef(draws.T)[0, 1] == pytest.approx(c.cov[0, 1] / sd.prod(), abs=0.06)


def test_a_held_parameter_does_not_move(conjugate):
    row = conjugate.posterior.summary().set_index("term").loc["sigma"]
    assert row["mean"] == pytest.approx(SIGMA)
    assert row["sd"] == 0
    assert row[["ess_bulk", "ess_tail", "r_hat"]].isna().all()


def test_loo_has_its_closed_form(conjugate):
    c = conjugate
    n = len(c.y)
    exact = [c.log_predictive(i, *c.solve(np.arange(n) != i)) for i in range(n)]
    found = c.posterior.loo()
    assert found.n_bad == 0
    np.testing.assert_allclose(found.pointwise["elpd_loo"], exact, atol=0.02)
    assert found.elpd == pytest.approx(sum(exact), abs=0.1)
    lppd = [c.log_predictive(i, c.mean, c.cov) for i in range(n)]
    # Four Monte Carlo errors: those of a mean of densities whose logarithms vary so.
    variance = c.posterior.waic().pointwise["p_waic"]
    assert (np.abs(found.pointwise["lppd"] - lppd) < 4 * np.sqrt(variance / DRAWS) + 1e-4).all()


def test_waic_has_its_closed_form(conjugate):
    c = conjugate
    v = np.einsum("ij,jk,ik->i", c.X, c.cov, c.X)
    d = c.y - c.X @ c.mean
    variance = (4 * d**2 * v + 2 * v**2) / (4 * SIGMA**4)
    lppd = np.array([c.log_predictive(i, c.mean, c.cov) for i in range(len(c.y))])
    found = c.posterior.waic()
    np.testing.assert_allclose(found.pointwise["p_waic"], variance, rtol=0.15, atol=1e-4)
    assert found.p_waic == pytest.approx(variance.sum(), rel=0.05)
    assert found.elpd == pytest.approx((lppd - variance).sum(), abs=0.1)


def test_poisson_regression_against_quadrature():
    data = bmx.load_data("fabricfault")
    priors = {"coef": bmx.Prior("normal", mu=0, sigma=3)}
    model = bmx.Mixture("Faults ~ log(Length)", data, family="poisson", k=1, priors=priors)
    found = model.fit("laplace", seed=2, draws=DRAWS)
    x, y = np.log(data["Length"].to_numpy()), data["Faults"].to_numpy()
    ml = model.fit("em").summary()
    grids = [
        np.linspace(e - 9 * s, e + 9 * s, 301)
        for e, s in zip(ml["estimate"], ml["se"], strict=True)
    ]
    a, b = np.meshgrid(*grids, indexing="ij")
    log = -(a**2 + b**2) / 18 + y.sum() * a + (x @ y) * b
    log -= sum(np.exp(a + b * one) for one in x)
    p = np.exp(log - log.max())
    p /= p.sum()
    table = found.summary()
    for row, grid in zip(table.itertuples(), (a, b), strict=True):
        mean = (p * grid).sum()
        sd = np.sqrt((p * (grid - mean) ** 2).sum())
        assert row.mean == pytest.approx(mean, abs=4 * sd / np.sqrt(DRAWS))
        assert row.sd == pytest.approx(sd, rel=4 / np.sqrt(2 * DRAWS) + 0.01)
    assert found.khat < 0.5


def test_known_labels_leave_the_weights_a_dirichlet_posterior():
    data = bmx.load_data("NregFix").assign(known=lambda d: d["class"].astype(str))
    priors = {"weight": bmx.Prior("dirichlet", concentration=5)}
    model = bmx.Mixture("y ~ x1", data, k=3, labels="known", priors=priors)
    found = quietly(model, "laplace", draws=DRAWS)
    counts = data["class"].value_counts().sort_index().to_numpy()
    truth = stats.dirichlet(counts + 5)
    table = found.summary().query("effect == 'weight'")
    sd = np.sqrt(truth.var())
    np.testing.assert_array_less(np.abs(table["mean"] - truth.mean()), 5 * sd / np.sqrt(DRAWS))
    np.testing.assert_allclose(table["sd"], sd, rtol=0.07)
    own = found.membership().to_numpy()
    assert set(np.unique(own)) == {0.0, 1.0}


# Tables.


def posteriors():
    return ["faults", "centers", "concomitant", "chains"]


@pytest.mark.parametrize("name", posteriors())
def test_the_summary_has_the_rows_of_the_point_fits(name, request):
    found = request.getfixturevalue(name)
    table = found.summary()
    pd.testing.assert_frame_equal(table[KEYS], found.point().summary()[KEYS])
    assert list(table.columns[3:]) == "mean sd lower upper ess_bulk ess_tail r_hat".split()
    assert (table["lower"] < table["mean"]).all()
    assert (table["mean"] < table["upper"]).all()
    assert (table["sd"] > 0).all()
    assert (table[["ess_bulk", "ess_tail"]] > 0).all().all()
    assert table["r_hat"].isna().all() == (name != "chains")
    narrow = found.summary(ci=0.5)
    assert (narrow["lower"] > table["lower"]).all()
    assert (narrow["upper"] < table["upper"]).all()
    assert repr(found)
    assert found._repr_html_()


def test_summaries_are_moments_of_the_draws(concomitant):
    draws = concomitant.data["posterior"]
    table = concomitant.summary(ci=0.9).set_index(KEYS)
    for key, x in (
        ((2, "x1", "varying"), draws["coef"].sel(component=2, term="x1")),
        ((1, "sigma", "dispersion"), draws["sigma"].sel(component=1)),
        ((2, "w[1]", "concomitant"), draws["alpha"].sel(component=2, concomitant_term="w[1]")),
    ):
        row, x = table.loc[key], x.to_numpy().ravel()
        assert row["mean"] == pytest.approx(x.mean())
        assert row["sd"] == pytest.approx(x.std(ddof=1))
        assert row["lower"] == pytest.approx(np.quantile(x, 0.05))
        assert row["upper"] == pytest.approx(np.quantile(x, 0.95))
    assert (draws["alpha"].sel(component=1) == 0).all()


def poisson_by_hand(posterior, data):
    """Log weights plus log densities (T, n, S), and means (T, n, S), of a Poisson mixture."""
    draws = posterior.data["posterior"].isel(chain=0)
    coef = draws["coef"].transpose("draw", "component", "term")
    log_length = np.log(data["Length"].to_numpy())[None, :, None]
    a = coef.sel(term="Intercept").to_numpy()[:, None]
    b = coef.sel(term="log(Length)").to_numpy()[:, None]
    mean = np.exp(a + b * log_length)
    weight = draws["weight"].to_numpy()[:, None]
    y = data["Faults"].to_numpy()[None, :, None]
    return np.log(weight) + stats.poisson.logpmf(y, mean), mean, weight


def test_memberships_are_averages_over_the_draws(faults):
    joint, _, _ = poisson_by_hand(faults, bmx.load_data("fabricfault"))
    p = np.exp(joint - np.logaddexp.reduce(joint, axis=2, keepdims=True))
    own = faults.membership()
    np.testing.assert_allclose(own.sum(axis=1), 1)
    np.testing.assert_allclose(own, p.mean(0), rtol=1e-9)
    both = faults.membership(uncertainty=True)
    np.testing.assert_allclose(both.xs("mean", axis=1, level=1), p.mean(0), rtol=1e-9)
    np.testing.assert_allclose(both.xs("sd", axis=1, level=1), p.std(0), rtol=1e-6, atol=1e-9)


def test_memberships_of_groups_repeat_by_row(centers):
    data = bmx.load_data("betablocker")
    own, rows = centers.membership(), centers.membership(rows=True)
    assert list(own.index) == list(pd.unique(data["Center"]))
    assert len(rows) == len(data)
    np.testing.assert_allclose(rows, own.loc[data["Center"]])


def test_the_consensus_names_every_unit(centers):
    found = centers.clusters()
    assert len(found.labels) == centers.n_units


@pytest.mark.parametrize("new", [False, True])
def test_predictions_are_quantiles_over_the_draws(faults, new):
    data = bmx.load_data("fabricfault")
    newdata = data.iloc[[3, 1, 7]] if new else None
    used = data if newdata is None else newdata
    _, mean, weight = poisson_by_hand(faults, used)
    mean, weight = mean[::2], weight[::2]  # predict() uses 1000 draws
    found = faults.predict(newdata, ci=0.8)
    assert found.index.equals(used.index)
    for s, component in enumerate(faults.components):
        expected = [mean.mean(0)[:, s], *np.quantile(mean[..., s], [0.1, 0.9], axis=0)]
        np.testing.assert_allclose(found[component], np.transpose(expected), rtol=1e-9)
    marginal = (weight * mean).sum(2)
    expected = [marginal.mean(0), *np.quantile(marginal, [0.1, 0.9], axis=0)]
    found = faults.predict(newdata, by="marginal", ci=0.8)
    assert list(found.columns) == ["estimate", "lower", "upper"]
    np.testing.assert_allclose(found, np.transpose(expected), rtol=1e-9)
    link = faults.predict(newdata, what="link", ci=0.8)
    np.testing.assert_allclose(link[1]["lower"], np.quantile(np.log(mean[..., 0]), 0.1, axis=0))
    weights = faults.predict(newdata, what="weight", ci=0.8)
    np.testing.assert_allclose(weights[2]["estimate"], weight[:, 0, 1].mean())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"what": "median"}, "unknown; use one of"),
        ({"by": "marginal", "what": "link"}, "is not possible"),
        ({"ci": 95}, "must be a number between 0 and 1"),
        ({"ci": "wide"}, "must be a number between 0 and 1"),
    ],
)
def test_wrong_predictions_are_refused(faults, options, words):
    with pytest.raises(bmx.FitError, match=words):
        faults.predict(**options)


@pytest.mark.parametrize(
    "call",
    [
        lambda fit: fit.to_datatree(predictive=-1),
        lambda fit: fit.to_datatree(predictive=2.5),
        lambda fit: fit.to_datatree(seed="a"),
        lambda fit: fit.loo(seed="a"),
        lambda fit: fit.summary(ci="wide"),
    ],
)
def test_wrong_numbers_are_refused(faults, call):
    with pytest.raises(bmx.FitError, match=r"an integer of at least 0|must be a number between"):
        call(faults)


def test_simulated_responses(faults):
    data = bmx.load_data("fabricfault")
    found = faults.simulate(draws=300, seed=5)
    assert found.shape == (len(data), 300)
    assert found.index.equals(data.index)
    assert ((found >= 0) & (found == found.round())).all().all()
    pd.testing.assert_frame_equal(found, faults.simulate(draws=300, seed=5))
    assert not found.equals(faults.simulate(draws=300, seed=6))
    assert faults.simulate(draws=4, seed=1, newdata=data.head(3)).shape == (3, 4)
    expected = faults.predict(by="marginal")["estimate"]
    error = found.std(axis=1) / np.sqrt(300)
    assert (np.abs(found.mean(axis=1) - expected) < 5 * error).all()


def test_two_responses():
    """Every table names the responses, and a unit's log-likelihood is that of both."""
    rng = np.random.default_rng(3)
    data = bmx.load_data("NregFix").assign(n=lambda d: rng.poisson(3, len(d)))
    both = [bmx.Regression("y ~ x1"), bmx.Regression("n ~ 1", family="poisson")]
    found = quietly(bmx.Mixture(both, data, k=2), "laplace", draws=300)
    pd.testing.assert_frame_equal(found.summary()[KEYS], found.point().summary()[KEYS])
    draws = found.data["posterior"].isel(chain=0)
    rate = np.exp(draws["coef_n"].to_numpy()[..., 0])
    np.testing.assert_allclose(found.predict()["n"][1]["estimate"], rate[:, 0].mean())
    marginal = (draws["weight"].to_numpy() * rate).sum(1)
    found_marginal = found.predict(data.head(3), by="marginal")["n"]
    np.testing.assert_allclose(found_marginal["estimate"], marginal.mean())
    np.testing.assert_allclose(found_marginal["upper"], np.quantile(marginal, 0.975))
    simulated = found.simulate(4, seed=1)
    assert simulated["y"].shape == simulated["n"].shape == (len(data), 4)
    (values,) = found.data["log_likelihood"].data_vars.values()
    params = found.data["posterior"].to_dataset().isel(chain=0, draw=3)
    total = float(values.isel(chain=0, draw=3).sum())
    assert found.spec.log_likelihood(params) == pytest.approx(total, abs=1e-9)


def test_case_weights_are_copies():
    """The log-likelihood, the mode and the draws of weighted rows are those of copied rows."""
    data = bmx.load_data("NregFix").iloc[::2]
    data = data.assign(copies=np.arange(len(data)) % 3)
    copied = data.loc[data.index.repeat(data["copies"])].reset_index(drop=True)
    # Written out, as the defaults follow the rows and not their copies.
    priors = {
        "coef": bmx.Prior("normal", mu=0, sigma=20),
        "sigma": bmx.Prior("lognormal", mu=1, sigma=1),
    }
    weighted = bmx.Mixture("y ~ x1", data, k=2, weights="copies", priors=priors)
    one = quietly(weighted, "laplace", draws=4000)
    two = quietly(bmx.Mixture("y ~ x1", copied, k=2, priors=priors), "laplace", draws=4000)
    assert one.point().loglik == pytest.approx(two.point().loglik, abs=1e-6)
    a, b = one.summary(), two.summary()
    assert ((a["mean"] - b["mean"]).abs() < 5 * a["sd"] * np.sqrt(2 / 4000)).all()
    np.testing.assert_allclose(a["sd"], b["sd"], rtol=0.15)
    params = one.data["posterior"].to_dataset().isel(chain=0, draw=3)
    (values,) = one.data["log_likelihood"].data_vars.values()
    total = float(values.isel(chain=0, draw=3).sum())
    assert one.spec.log_likelihood(params) == pytest.approx(total, abs=1e-9)
    assert bmx.Mixture("y ~ x1", copied, k=2).log_likelihood(params) == pytest.approx(total)
    assert len(one.loo(repair=False).pointwise) == len(data)


# The DataTree.


@pytest.mark.parametrize("name", posteriors())
def test_the_tree(name, request):
    found = request.getfixturevalue(name)
    tree = found.to_datatree(predictive=7)
    groups = "posterior sample_stats log_likelihood log_prior prior observed_data constant_data"
    assert set(tree.children) == {*groups.split(), "posterior_predictive"}
    assert set(found.data.children) == set(groups.split())
    posterior = tree["posterior"]
    assert list(posterior.coords["component"].values) == list(found.components)
    n_chains, n_draws = found._drawn.theta.shape[:2]
    assert dict(posterior.sizes)["chain"] == n_chains
    assert dict(posterior.sizes)["draw"] == n_draws
    names = set(found.point().params.data_vars)
    free = {variable.name for variable in found.spec.to_pymc().free_RVs}
    assert set(posterior.data_vars) == names | free == set(tree["prior"].data_vars)
    assert set(tree["log_prior"].data_vars) == free
    for variable in names:
        assert posterior[variable].dims[:2] == ("chain", "draw")
        assert posterior[variable].dims[2:] == found.point().params[variable].dims
    (loglik,) = tree["log_likelihood"].data_vars.values()
    assert loglik.dims == ("chain", "draw", "unit")
    assert loglik.sizes["unit"] == found.n_units
    assert tree["sample_stats"]["lp"].shape == (n_chains, n_draws)
    (y,) = tree["posterior_predictive"].data_vars.values()
    assert y.shape == (1, 7, int(found.n_obs))
    (observed,) = tree["observed_data"].data_vars.values()
    assert observed.dims == y.dims[2:]
    assert tree.attrs["method"] == found.method


def test_the_tree_of_rows_with_two_levels_of_index():
    data = bmx.load_data("fabricfault")
    data.index = pd.MultiIndex.from_arrays([data.index % 2, data.index], names=["side", None])
    model = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    units = quietly(model, "laplace", draws=50).data["log_likelihood"].coords["unit"]
    assert units.values.tolist() == [str((i % 2, i)) for i in range(len(data))]


@pytest.mark.parametrize(
    ("response", "stored"), [("unit", "unit_"), ("log(draw / 100)", "log(draw _ 100)")]
)
def test_the_tree_holds_responses_of_any_name(response, stored, tmp_path):
    data = bmx.load_data("NregFix").rename(columns={"y": "unit"})
    data["draw"] = np.exp(data["unit"] / data["unit"].std())
    model = bmx.Mixture(f"{response} ~ x1", data, k=2)
    tree = quietly(model, "laplace", draws=50).to_datatree(predictive=3)
    for group in ("log_likelihood", "observed_data", "posterior_predictive"):
        assert list(tree[group].data_vars) == [stored]
    assert list(model.sample_prior(3)["prior_predictive"].data_vars) == [stored]
    tree.to_netcdf(tmp_path / "tree.nc")
    assert xr.open_datatree(tmp_path / "tree.nc")["posterior"].equals(tree["posterior"])


def test_the_tree_holds_components_of_which_only_some_have_names(tmp_path):
    data = bmx.load_data("NregFix")
    data["known"] = pd.Series("low", data.index).where(data["class"].eq(1) & (data.index % 3 == 0))
    found = quietly(bmx.Mixture("y ~ x1", data, k=3, labels="known"), "laplace", draws=50)
    assert found.components == ("low", 2, 3)
    tree = found.data
    assert tree["posterior"].coords["component"].values.tolist() == ["low", "2", "3"]
    tree.to_netcdf(tmp_path / "tree.nc")
    params = xr.open_datatree(tmp_path / "tree.nc")["posterior"].to_dataset().isel(chain=0, draw=3)
    total = float(tree["log_likelihood"]["y"].isel(chain=0, draw=3).sum())
    assert found.spec.log_likelihood(params) == pytest.approx(total, abs=1e-9)
    assert found.spec.to_pymc().coords["component"] == ("low", "2", "3")


def test_two_responses_with_a_slash():
    data = bmx.load_data("NregFix")
    parts = [bmx.Regression("I(y / 2) ~ x2"), bmx.Regression("x1 ~ 1")]
    found = quietly(bmx.Mixture(parts, data, k=2), "laplace", draws=50)
    names = {"coef_I(y _ 2)", "sigma_I(y _ 2)", "coef_x1", "sigma_x1", "weight"}
    assert set(found.data["posterior"].data_vars) == names
    params = found.data["posterior"].to_dataset().isel(chain=0, draw=3)
    total = float(found.data["log_likelihood"].isel(chain=0, draw=3).to_dataset().to_array().sum())
    assert found.spec.log_likelihood(params) == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("name", posteriors())
def test_log_likelihoods_add_up_to_the_models(name, request):
    found = request.getfixturevalue(name)
    tree = found.data
    (values,) = tree["log_likelihood"].data_vars.values()
    for draw in (0, 17, 59):
        params = tree["posterior"].to_dataset().isel(chain=0, draw=draw)
        total = float(values.isel(chain=0, draw=draw).sum())
        assert found.spec.log_likelihood(params) == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("name", ["faults", "centers", "chains"])
def test_arviz_agrees_about_loo(name, request):
    found = request.getfixturevalue(name)
    own = found.loo(repair=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = az.loo(found.data, reff=1.0, pointwise=True)
    assert own.elpd == pytest.approx(float(other.elpd), abs=1e-8)
    # Older versions of ArviZ divide by n instead of n - 1.
    assert own.se == pytest.approx(float(other.se), rel=3e-2)
    np.testing.assert_allclose(own.pareto_k, other.pareto_k, atol=1e-8)


# Labels.


@pytest.mark.parametrize("method", ["stephens", "ecr", "pivot"])
def test_planted_switches_are_undone(centers, method):
    drawn = centers._drawn
    raw = drawn.raw.copy()
    layout = drawn.spec.layout
    raw[:, ::2] = permute(layout, raw[:, ::2], np.array([2, 0, 1]))
    raw[:, 1::4] = permute(layout, raw[:, 1::4], np.array([1, 0, 2]))
    planted = Posterior(replace(drawn, raw=raw, theta=raw), centers._point)
    whole, undone = centers.relabel(method), planted.relabel(method)
    # Draws that resampling repeats are ties, whose ranks rounding can break.
    ess = ["ess_bulk", "ess_tail"]
    one, two = undone.summary(), whole.summary()
    pd.testing.assert_frame_equal(one.drop(columns=ess), two.drop(columns=ess), rtol=1e-6)
    np.testing.assert_allclose(one[ess], two[ess], rtol=0.02)
    np.testing.assert_allclose(undone._drawn.theta, whole._drawn.theta, atol=1e-9)
    assert not np.allclose(planted.summary()["mean"], whole.summary()["mean"], atol=0.05)
    pd.testing.assert_frame_equal(undone.membership(), whole.membership(), rtol=1e-6)
    # What needs no labels stays as it was.
    assert planted.waic().elpd == pytest.approx(whole.waic().elpd, abs=1e-8)


def test_only_an_ordering_is_by_something(centers):
    with pytest.raises(bmx.FitError, match="leave by= out"):
        centers.relabel("pivot", by="weight")


@pytest.mark.parametrize("max_k", [0, -1, 1.5, "two"])
def test_the_most_clusters_are_a_positive_integer(centers, max_k):
    with pytest.raises(bmx.FitError, match="integer of at least 1"):
        centers.clusters(max_k=max_k)


def test_relabelling_by_an_ordering(centers):
    ordered = centers.relabel("ordering", by="weight")
    weight = ordered.data["posterior"]["weight"].to_numpy()
    assert (np.diff(weight, axis=-1) >= 0).all()
    with pytest.raises(bmx.FitError, match="unknown; use one of"):
        centers.relabel("alphabet")


def test_methods_of_relabelling_agree_where_components_are_apart(centers):
    table = centers.relabel_agreement()
    assert list(table.index) == list(table.columns)
    assert (np.diag(table) == 1).all()
    assert table.loc["stephens", "pivot"] > 0.9


def test_diagnostics_run(chains, faults):
    found = chains.diagnostics()
    assert len(found.table) == len(chains.summary())
    assert np.isfinite(found.r_hat_log_density)
    assert len(found.modes) == 2
    assert 0 <= found.divergences <= 1
    assert faults.diagnostics().table.shape[0] == len(faults.summary())


# Modes.


def test_the_two_modes_of_the_nested_model(models):
    """Their shares are those of the density integrated on either side of an intercept of zero."""
    model = models["fabricfault_nested_k2"]
    found = quietly(model, "laplace", draws=200)
    modes = found.modes
    coordinates = model.spec.layout.coordinates
    assert [c.effect for c in coordinates] == ["fixed", "nested", "weight"]
    problem = build_problem(
        model.spec, penalty=Penalty(resolve(model.spec, model._priors), jacobian=True)
    )
    axes = np.linspace(0.2, 0.6, 33), np.linspace(-4.0, 4.0, 81), np.linspace(-5.0, 5.0, 25)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    density = log_likelihood(problem, grid)
    density = np.exp(density - density.max())
    below = density[grid[:, 1] < 0].sum() / density.sum()
    shares = list(modes["share"].head(2))
    assert shares == pytest.approx([below, 1 - below], abs=0.005)
    assert modes["share"].sum() == pytest.approx(1)
    spec = found.spec.spec
    intercepts = [
        float(to_dataset(spec, m.theta)["coef"].sel(component=2, term="Intercept"))
        for m in found._drawn.modes[:2]
    ]
    assert intercepts[0] < 0 < intercepts[1]
    for share in shares:
        assert f"{share:.0%}" in repr(found)


@pytest.mark.parametrize(
    ("shares", "chains", "expected"),
    [
        ([0.8, 0.2], 4, [3, 1]),
        ([0.97, 0.03], 4, [4, 0]),
        ([0.5, 0.3, 0.195, 0.005], 4, [2, 1, 1, 0]),
        ([0.5, 0.5], 3, [2, 1]),
        ([1.0], 4, [4]),
        ([0.4, 0.35, 0.25], 1, [1, 0, 0]),
        ([0.992, 0.008], 200, [200, 0]),
    ],
)
def test_chains_are_shared_between_the_modes(shares, chains, expected):
    modes = tuple(Mode(np.zeros(1), 0.0, np.eye(1), 0.0, share) for share in shares)
    assert share_chains(modes, chains) == expected


# What is refused.


@pytest.mark.parametrize("method", ["laplace", "nuts"])
def test_flat_priors_are_refused(method):
    data = bmx.load_data("fabricfault")
    model = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, priors="flat")
    with pytest.raises(bmx.SpecError, match=r"improper posterior.*leave priors= out"):
        model.fit(method, seed=1)
    with pytest.raises(bmx.SpecError, match="flat priors are not a distribution"):
        model.sample_prior(10)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("em", {"draws": 100}, "draws= does not go with method='em'"),
        ("map", {"chains": 2, "tune": 50}, "chains= does not go with method='map'"),
        ("ml", {"sampler": "pymc"}, "sampler= does not go with method='ml'"),
        ("laplace", {"chains": 2}, "chains= does not go with method='laplace'"),
        ("laplace", {"sampler": "nutpie"}, "sampler= does not go"),
        ("nuts", {"starts": 3}, "starts= does not go with method='nuts'"),
        ("nuts", {"algorithm": "cem"}, "algorithm= does not go"),
        ("laplace", {"min_weight": 0.1}, "min_weight= does not go"),
        ("nuts", {"sampler": "stan"}, "unknown; use one of"),
        ("nuts", {"draws": 1}, "the number of draws"),
        ("nuts", {"chains": 0}, "the number of chains"),
        ("laplace", {"draws": 2.5}, "the number of draws"),
        ("laplace", {"fixed_params": {(1, "weight"): 0.5}}, "fixed weights"),
        ("gibbs", {}, "gibbs"),
    ],
)
def test_options_that_do_not_go_together_are_refused(models, method, options, words):
    with pytest.raises((bmx.SpecError, bmx.FitError), match=words):
        models["fabricfault_fix_k2"].fit(method, seed=1, **options)


def test_a_mean_at_the_end_of_its_range_is_no_mode_and_told():
    # A convex course of counts: the line that fits best is as low as it may be at x = 0.
    data = pd.DataFrame({"y": [0, 0, 3, 9, 21, 35, 60], "x": np.arange(7.0)})
    link = bmx.family("poisson", link="identity")
    model = bmx.Mixture("y ~ x", data, family=link, k=1)
    inside = xr.Dataset(
        {"coef": (("component", "term"), [[1.0, 6.0]]), "weight": ("component", [1.0])},
        {"component": [1], "term": ["Intercept", "x"]},
    )
    with pytest.raises(bmx.FitError, match=r"end of its range.*such as log"):
        quietly(model, "laplace", init=inside)


def test_nothing_to_draw_is_refused():
    model = bmx.Mixture("Faults ~ 1", bmx.load_data("fabricfault"), family="poisson", k=1)
    with pytest.raises(bmx.SpecError, match="holds every parameter"):
        model.fit("laplace", fixed_params={(1, "Intercept"): 1.0})


def test_a_poor_approximation_says_so(models):
    with pytest.warns(bmx.ConvergenceWarning, match=r"k-hat .* use method='nuts'"):
        # With fewer draws k-hat is between 0.5 and 1, by the seed.
        found = models["tribolium_k3"].fit("laplace", seed=1, draws=10_000)
    assert found.khat > 0.7


def test_the_same_seed_gives_the_same_draws(models, faults):
    model = models["fabricfault_fix_k2"]
    again = quietly(model, "laplace", draws=2000)
    np.testing.assert_array_equal(again._drawn.theta, faults._drawn.theta)
    other = quietly(model, "laplace", draws=2000, seed=2)
    assert not np.allclose(other._drawn.theta, faults._drawn.theta)


def test_the_same_seed_gives_the_same_chains(models, chains):
    again = quietly(models["fabricfault_fix_k2"], "nuts", draws=60, tune=120, chains=2)
    np.testing.assert_array_equal(again._drawn.theta, chains._drawn.theta)
    assert again._drawn.log_density == pytest.approx(chains._drawn.log_density)
    assert chains.modes["chains"].sum() == 2
    assert not np.allclose(chains._drawn.theta[0], chains._drawn.theta[1])


def test_the_log_density_is_that_of_the_draws(chains):
    from bayesmix.likelihood import build_problem, log_likelihood
    from bayesmix.priors import Penalty

    drawn = chains._drawn
    problem = build_problem(drawn.spec, penalty=Penalty(drawn.priors, jacobian=True))
    expected = log_likelihood(problem, drawn.flat)
    np.testing.assert_allclose(drawn.log_density.ravel(), expected, atol=1e-7)


# Priors.


def test_moments_of_prior_draws():
    data = bmx.load_data("NregFix")
    priors = {
        "coef[x1]": bmx.Prior("normal", mu=1, sigma=0.5),
        "sigma": bmx.Prior("gamma", alpha=4, beta=2),
        "weight": bmx.Prior("dirichlet", concentration=3),
    }
    model = bmx.Mixture("y ~ x1", data, k=3, priors=priors)
    tree = model.sample_prior(4000, seed=1)
    prior = tree["prior"]
    for x, truth in (
        (prior["coef"].sel(term="x1"), stats.norm(1, 0.5)),
        (prior["sigma"], stats.gamma(4, scale=1 / 2)),
        (prior["weight"], stats.beta(3, 6)),
    ):
        values = x.isel(chain=0).to_numpy()
        assert values.shape == (4000, 3)
        assert np.abs(values.mean(0) - truth.mean()).max() < 5 * truth.std() / np.sqrt(4000)
        np.testing.assert_allclose(values.std(0), truth.std(), rtol=0.08)
    np.testing.assert_allclose(prior["weight"].sum("component"), 1)
    assert tree["prior_predictive"]["y"].shape == (1, 4000, len(data))
    again = model.sample_prior(4000, seed=1)["prior"]
    assert again.to_dataset().equals(prior.to_dataset())


@pytest.mark.parametrize(
    ("family", "link", "response"),
    [
        ("poisson", "identity", "y"),
        ("negative_binomial", "inverse", "y"),
        ("gamma", "inverse", "y"),
        ("gaussian", "inverse", "y"),
        ("binomial", "identity", "p(y, 9)"),
        ("binomial", "log", "p(y, 9)"),
    ],
)
def test_prior_draws_with_means_outside_their_range_are_missing_and_told(family, link, response):
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"y": rng.integers(1, 9, 30), "x": rng.normal(size=30)})
    model = bmx.Mixture(f"{response} ~ x", data, family=bmx.family(family, link=link), k=1)
    with pytest.warns(UserWarning, match="mean is outside its range"):
        tree = model.sample_prior(200, seed=1)
    coef = tree["prior"]["coef"].to_numpy()[0, :, 0]
    eta = coef[:, :1] + coef[:, 1:] * data["x"].to_numpy()
    with np.errstate(all="ignore"):
        mean = {"identity": eta, "inverse": 1 / eta, "log": np.exp(eta)}[link]
    upper = 1.0 if family == "binomial" else np.inf
    (y,) = tree["prior_predictive"].data_vars.values()
    np.testing.assert_array_equal(np.isnan(y.to_numpy()[0]), (mean < 0) | (mean > upper))


def test_a_response_of_the_unit_is_drawn_once_for_all_its_rows():
    rng = np.random.default_rng(1)
    second = rng.random(60) < 0.5
    data = pd.DataFrame({"id": np.repeat(np.arange(60), 3), "seen": 1})
    data["y"] = 3.0 * second[data["id"]] + rng.normal(size=180)
    data["t"] = (np.where(second, 1, 4) * rng.exponential(size=60))[data["id"]]
    time = bmx.Regression("surv(t, seen) ~ 1", family="exponential", per="unit")
    spec = bmx.Mixture([bmx.Regression("y ~ 1"), time], data, k=2, group="id")
    posterior = quietly(spec, "laplace", draws=50)
    drawn = posterior.simulate(draws=2, seed=1)
    assert (
        list(drawn.columns.unique(0))
        == ["y", "t"]
        == list(posterior.point().simulate().columns[:2])
    )
    once = [
        frame.groupby(data["id"]).nunique().eq(1).all().all() for frame in (drawn["t"], drawn["y"])
    ]
    assert once == [True, False]
    before = spec.sample_prior(2, seed=1)["prior_predictive"]["t"].to_numpy()[0].T
    assert pd.DataFrame(before).groupby(data["id"]).nunique().eq(1).all().all()


def test_predictive_draws_of_times_are_called_alike():
    data = bmx.load_data("NregFix").assign(t=lambda frame: np.exp(frame["y"] / 10), seen=1)
    model = bmx.Mixture("surv(t, seen) ~ 1", data, family="weibull", k=1)
    found = quietly(model, "laplace", draws=50).to_datatree(predictive=2)
    assert list(found["posterior_predictive"].data_vars) == ["t"]
    assert list(model.sample_prior(2)["prior_predictive"].data_vars) == ["t"]


def test_prior_draws_of_counts_beyond_numbers_are_infinite_and_not_missing():
    data = pd.DataFrame({"y": [1, 2, 3, 4], "x": [0.0, 1.0, 2.0, 3.0]})
    wide = {"coef": bmx.Prior("normal", mu=0, sigma=1000)}
    for family in ("poisson", "negative_binomial"):
        tree = bmx.Mixture("y ~ x", data, family=family, k=1, priors=wide).sample_prior(50, seed=1)
        y = tree["prior_predictive"]["y"].to_numpy()
        assert not np.isnan(y).any()
        assert np.isinf(y).any()


def test_prior_draws_of_concomitants_are_exchangeable():
    data = bmx.load_data("NregFix")
    priors = {"alpha": bmx.Prior("normal", mu=0, sigma=1.5)}
    model = bmx.Mixture("y ~ x1", data, k=3, concomitant="~ w", priors=priors)
    alpha = model.sample_prior(4000, seed=2)["prior"]["alpha"].isel(chain=0).to_numpy()
    assert (alpha[:, 0] == 0).all()
    np.testing.assert_allclose(alpha[:, 1:].std(0), np.sqrt(2) * 1.5, rtol=0.06)
    # Contrasts between the others are no wider than those to the first.
    np.testing.assert_allclose((alpha[:, 2] - alpha[:, 1]).std(0), np.sqrt(2) * 1.5, rtol=0.06)


def test_the_table_of_the_priors(models):
    narrow = bmx.Prior("normal", mu=1, sigma=0.5)
    data = bmx.load_data("NregFix")
    model = bmx.Mixture("y ~ x1", data, k=2, concomitant="~ w", priors={"coef[x1]": narrow})
    table = model.priors()
    assert list(table.columns) == ["parameter", "prior", "words"]
    names = "coef[Intercept] coef[x1] sigma alpha[Intercept] alpha[w[1]] y".split()
    assert sorted(table["parameter"]) == sorted(names)
    rows = table.set_index("parameter")
    assert rows.loc["coef[x1]", "prior"] == repr(narrow)
    low, high = (float(x) for x in rows.loc["coef[x1]", "words"].split()[2::2])
    assert [low, high] == pytest.approx([1 - 0.98, 1 + 0.98], abs=1e-4)
    assert "sum to zero" in rows.loc["alpha[w[1]]", "words"]
    weight = models["fabricfault_fix_k2"].priors().set_index("parameter").loc["weight"]
    assert "1 more unit had" in weight["words"]
    assert resolve(model.spec, {"coef[x1]": narrow}) is not None
    flat = bmx.Mixture("y ~ x1", data, k=2, priors="flat").priors()
    assert list(flat["prior"]) == ["flat"]


# Files and comparisons.


@pytest.mark.parametrize("name", ["faults", "centers", "chains"])
def test_a_saved_posterior_reads_back_equal(name, request, tmp_path):
    found = request.getfixturevalue(name)
    found.save(tmp_path / "posterior.nc")
    again = bmx.load(tmp_path / "posterior.nc")
    pd.testing.assert_frame_equal(again.summary(), found.summary())
    pd.testing.assert_frame_equal(again.modes, found.modes)
    pd.testing.assert_frame_equal(again.membership(), found.membership())
    pd.testing.assert_frame_equal(again.simulate(5, seed=1), found.simulate(5, seed=1))
    assert again.waic().elpd == found.waic().elpd
    assert again.method == found.method
    assert again.khat == pytest.approx(found.khat, nan_ok=True)


def test_comparing_posteriors_by_loo(models, faults):
    one = bmx.Mixture(
        "Faults ~ log(Length)", bmx.load_data("fabricfault"), family="poisson", k=1
    ).fit("laplace", seed=1)
    found = bmx.compare({"one": one, "two": faults}, by="loo")
    assert found.best == "two"
    values = found.table["value"]
    assert values["two"] == pytest.approx(faults.loo().elpd, abs=0.3)
    assert values["one"] == pytest.approx(one.loo().elpd, abs=0.3)
    assert found.table.loc["one", "difference"] == pytest.approx(values["one"] - values["two"])
    waic = bmx.compare({"one": one, "two": faults}, by="waic")
    assert waic.table["value"]["one"] == pytest.approx(one.waic().elpd)


def test_estimates_of_ml_and_bayes_side_by_side(models, faults):
    ml = models["fabricfault_fix_k2"].fit("em", seed=1)
    table = bmx.compare_estimates({"ML": ml, "Bayes": faults})
    gap = (table["ML_estimate"] - table["Bayes_estimate"]).abs()
    assert (gap < 1.5 * table["Bayes_error"]).all()


# --- stacking ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_places(faults):
    """Four chains, the first and last of them moved to a place of its own."""
    drawn = faults._drawn
    theta = drawn.theta.reshape(4, 500, -1).copy()
    intercepts = [j for j, c in enumerate(drawn.spec.layout.coordinates) if c.term == "Intercept"]
    theta[np.ix_([0, 3], np.arange(500), intercepts)] -= 0.4
    planted = replace(
        drawn,
        method="nuts",
        sampler="nutpie",
        theta=theta,
        raw=theta,
        log_density=drawn.log_density.reshape(4, 500),
        stats={"n_steps": np.arange(2000.0).reshape(4, 500)},
        chain_mode=np.zeros(4, int),
    )
    return Posterior(planted, faults._point)


def test_stacked_weights_are_the_best_of_a_grid(two_places):
    found = two_places.stack(seed=1)
    assert found.table["chains"].to_list() == ["0, 3", "1, 2"]
    assert found.table["share"].to_list() == [0.5, 0.5]
    log_lik = two_places._drawn.log_likelihood
    by_unit = []
    for group in ([0, 3], [1, 2]):
        tree = az.from_dict(
            {"log_likelihood": {"y": log_lik[group]}, "posterior": {"t": log_lik[group, :, 0]}}
        )
        by_unit.append(az.loo(tree, reff=1.0, pointwise=True).elpd_i.values)
    one, two = np.exp(by_unit)
    grid = np.linspace(0, 1, 2001)
    elpd = [np.log(w * one + (1 - w) * two).sum() for w in grid]
    assert found.table["weight"][0] == pytest.approx(grid[np.argmax(elpd)], abs=1e-3)
    assert found.elpd_loo == pytest.approx(max(elpd), abs=1e-3)
    assert found.elpd_loo >= found.table["elpd_loo"].max() - 1e-9
    assert "weight" in repr(found)
    assert "stacked" in found._repr_html_()


def test_stacked_draws_come_in_the_weights_shares(two_places, tmp_path):
    found = two_places.stack(seed=1)
    stacked = found.posterior
    assert stacked.method == "stacking"
    origin = stacked._drawn.stats["n_steps"][0].astype(int)
    assert len(origin) == 2000
    first = np.isin(origin // 500, [0, 3]).mean()
    assert first == pytest.approx(found.table["weight"][0], abs=1e-3)
    flat = two_places._drawn.theta.reshape(2000, -1)
    np.testing.assert_array_equal(stacked._drawn.theta[0], flat[origin])
    table = stacked.summary()
    assert table[["ess_bulk", "ess_tail", "r_hat"]].isna().all().all()
    assert "weighted by stacking" in repr(stacked)
    assert stacked.diagnostics().findings == ()
    assert len(stacked.modes) == 0
    with pytest.raises(bmx.FitError, match="elpd_loo"):
        stacked.loo()
    with pytest.raises(bmx.FitError, match="elpd_loo"):
        stacked.waic()
    stacked.save(tmp_path / "stacked.nc")
    again = bmx.load(tmp_path / "stacked.nc")
    pd.testing.assert_frame_equal(again.summary(), table)
    stacked.relabel("ordering")


def test_every_chain_may_be_stacked_by_itself(two_places):
    found = two_places.stack(by="chain")
    assert found.table["chains"].to_list() == ["0", "1", "2", "3"]
    assert found.table["weight"].sum() == pytest.approx(1)


def test_what_cannot_be_stacked(faults, two_places):
    with pytest.raises(bmx.FitError, match="by 'laplace'"):
        faults.stack()
    with pytest.raises(bmx.FitError, match="by='draw'"):
        two_places.stack(by="draw")
    assert groups_of_chains((0, -1, 0, -1))[0].tolist() == [0, 2]
    assert len(groups_of_chains((0, -1, 0, -1))) == 3


@pytest.mark.slow
def test_two_modes_with_intercepts_of_opposite_sign_are_stacked(models):
    """About 75 and 25 percent of the mass; the first predicts better by more than a mixture."""
    found = quietly(models["fabricfault_nested_k2"], "nuts", thin=1)
    assert list(found.modes["chains"].head(2)) == [3, 1]
    stacked = found.stack(seed=1)
    assert stacked.table["chains"].to_list() == ["0, 1, 2", "3"]
    one, two = (
        loo(found._drawn.log_likelihood[g], found._drawn.spec.rows.units.index)
        .pointwise["elpd_loo"]
        .to_numpy()
        for g in ([0, 1, 2], [3])
    )
    grid = np.linspace(0, 1, 1001)
    elpd = [np.log(w * np.exp(one) + (1 - w) * np.exp(two)).sum() for w in grid]
    assert stacked.table["weight"][0] == pytest.approx(grid[np.argmax(elpd)], abs=2e-3)
    assert stacked.elpd_loo == pytest.approx(max(elpd), abs=1e-3)
    sign = found.summary().query("term == 'Intercept'")["mean"].item()
    table = stacked.posterior.summary().query("term == 'Intercept'")
    if stacked.table["weight"][0] > 0.99:
        # Only the draws of the heavier mode are left, all on one side of zero.
        assert np.sign(table["lower"].item()) == np.sign(table["upper"].item()) == np.sign(sign)


# --- what diagnostics say of draws that are no several chains -----------------------------


def test_few_draws_of_laplace_are_not_told_to_tune(models):
    few = quietly(models["fabricfault_fix_k2"], "laplace", draws=100)
    found = few.diagnostics()
    assert found.kinds == ("few draws",)
    assert "tune" not in str(found.findings[0])
    poor = Posterior(replace(few._drawn, khat=0.9), few._point).diagnostics()
    assert poor.kinds == ("poor approximation", "few draws")
    assert "0.90" in str(poor.findings[0])


def test_modes_that_no_chain_visited_are_told(faults):
    """A mode of the user's making beside the one where the draws are."""
    drawn = faults._drawn
    own = drawn.modes[0]
    far = replace(own, theta=own.theta + 5 * np.abs(own.factor).sum(1).max(), share=0.06)
    faint = replace(far, share=0.0005)
    theta = drawn.theta.reshape(4, 500, -1)
    planted = replace(
        drawn,
        method="nuts",
        theta=theta,
        raw=theta,
        log_density=drawn.log_density.reshape(4, 500),
        modes=(replace(own, share=0.9395), far, faint),
        chain_mode=np.zeros(4, int),
    )
    found = Posterior(planted, faults._point).diagnostics()
    assert found.unvisited == (1,)
    assert "unvisited modes" in found.kinds
    assert "mode 1 with 6% of the mass" in str(found.findings[-1])
    moved = theta.copy()
    moved[3, 490:] += far.theta - own.theta
    visiting = replace(planted, theta=moved, raw=moved)
    assert Posterior(visiting, faults._point).diagnostics().unvisited == ()
    begun = replace(planted, chain_mode=np.array([0, 0, 0, 1]))
    assert Posterior(begun, faults._point).diagnostics().unvisited == ()
