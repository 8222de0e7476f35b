"""Multivariate normal components against scikit-learn, SciPy, statsmodels and differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import multivariate_normal, norm
from sklearn.mixture import GaussianMixture

import bayesmix as bmx
from bayesmix.errors import DataError, FormulaError, SpecError
from bayesmix.families.multivariate.covariance import KINDS, Structure
from bayesmix.likelihood import build_problem
from bayesmix.likelihood.engine import em_pass, information, value_and_gradient
from bayesmix.results.describe import model_sentences

COLUMNS = ("a", "b", "c")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    n = 400
    who, x = rng.integers(0, 3, n), rng.normal(size=n)
    root = np.array([[1.0, 0.5, 0.2], [0.0, 1.0, 0.3], [0.0, 0.0, 0.7]])
    y = np.array([[0, 1, 2.0], [3, 0, -2], [-3, -3, 0]])[who] + rng.normal(size=(n, 3)) @ root
    y += 0.5 * x[:, None] * [1.0, 0.0, -1.0]
    frame = pd.DataFrame(y, columns=list(COLUMNS))
    return frame.assign(x=x, who=who, shift=rng.normal(size=n), g=np.arange(n) // 2)


@pytest.fixture(scope="module")
def gaps(data):
    rng = np.random.default_rng(7)
    out = data.copy()
    for column in COLUMNS:
        out.loc[rng.random(len(out)) < 0.25, column] = np.nan
    out.loc[3, list(COLUMNS)] = np.nan
    return out


def sigmas(params):
    """Covariance matrices (k, q, q) of a Dataset of parameters."""
    k = params.sizes["component"]
    out = np.zeros((k, 3, 3))
    for i, a in enumerate(COLUMNS):
        for j, b in enumerate(COLUMNS):
            first, second = sorted((a, b))
            name = f"correlation_{first}_{second}"
            r = 1.0 if i == j else params[name].values if name in params else 0.0
            sds = [params["sd" if "sd" in params else f"sd_{c}"].values for c in (a, b)]
            out[:, i, j] = r * sds[0] * sds[1]
    return out


def by_hand(params, data):
    """The log-likelihood of rows with what is there of them."""
    y = data[list(COLUMNS)].to_numpy()
    total, sigma = 0.0, sigmas(params)
    design = np.column_stack([np.ones(len(data)), data["x"]])
    for s, weight in enumerate(params["weight"].values):
        coef = np.array([params[f"coef_{c}"].values[s] for c in COLUMNS])
        mean = design[:, : coef.shape[1]] @ coef.T
        density = np.ones(len(y))
        for i, row in enumerate(y):
            o = ~np.isnan(row)
            if o.any():
                normal = multivariate_normal(mean[i, o], sigma[s][np.ix_(o, o)])
                density[i] = normal.pdf(row[o])
        total = total + weight * density
    return float(np.log(total).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_covariances(kind):
    structure = Structure(("a", "b", "c", "d"), kind)
    p = len(structure.names)
    phi = 0.7 * np.random.default_rng(0).normal(size=(2, 3, p))
    first, second = structure.slopes(phi), structure.bends(phi)
    np.testing.assert_allclose(structure.parameters(structure.covariance(phi)), phi, atol=1e-9)
    for i, step in enumerate(1e-5 * np.eye(p)):
        moved = structure.covariance(phi + step) - structure.covariance(phi - step)
        np.testing.assert_allclose(moved / 2e-5, first[..., i, :, :], atol=1e-7)
        moved = structure.slopes(phi + step) - structure.slopes(phi - step)
        np.testing.assert_allclose(moved / 2e-5, second[..., i, :, :, :], atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "peer", "dispersion"),
    [
        ("full", "full", "varying"),
        ("diagonal", "diag", "varying"),
        ("spherical", "spherical", "varying"),
        ("full", "tied", "fixed"),
    ],
)
def test_clustering_is_that_of_scikit_learn(data, kind, peer, dispersion):
    family = bmx.family("mvnormal", covariance=kind)
    spec = bmx.Mixture("mv(a, b, c) ~ 1", data, family=family, k=3, dispersion=dispersion)
    fit = spec.fit("em", seed=1)
    y = data[list(COLUMNS)].to_numpy()
    other = GaussianMixture(3, covariance_type=peer, n_init=3, tol=1e-10, max_iter=5000)
    other.set_params(reg_covar=0, random_state=0).fit(y)
    assert fit.converged
    assert fit.df == other._n_parameters()
    assert fit.loglik == pytest.approx(other.score(y) * len(y), abs=1e-6)
    order = np.argsort(other.means_[:, 0])
    mean = fit.coefficients().to_numpy().T
    np.testing.assert_allclose(mean, other.means_[order], atol=1e-4)
    given = {
        "full": lambda: other.covariances_[order],
        "diag": lambda: np.array([np.diag(v) for v in other.covariances_[order]]),
        "spherical": lambda: np.array([v * np.eye(3) for v in other.covariances_[order]]),
        "tied": lambda: np.array([other.covariances_] * 3),
    }[peer]()
    np.testing.assert_allclose(sigmas(fit.params), given, atol=1e-3)


def test_one_component_is_least_squares_in_every_column(data):
    fit = bmx.Mixture("mv(a, b, c) ~ x", data, family="mvnormal", k=1).fit("em")
    design = sm.add_constant(data["x"])
    table = fit.summary().set_index("term")
    residuals = []
    for column in COLUMNS:
        other = sm.OLS(data[column], design).fit()
        residuals.append(other.resid)
        rows = table.loc[[f"{column}: Intercept", f"{column}: x"]]
        np.testing.assert_allclose(rows["estimate"], other.params, atol=1e-7)
        shrunk = np.sqrt(other.df_resid / len(data))  # the divisor n
        np.testing.assert_allclose(rows["se"], other.bse * shrunk, rtol=1e-6)
    moments = np.cov(np.array(residuals), bias=True)
    np.testing.assert_allclose(sigmas(fit.params)[0], moments, atol=1e-8)
    correlation = table.loc["correlation_a_b"]
    error = (1 - correlation["estimate"] ** 2) / np.sqrt(len(data))  # of a normal sample
    assert correlation["se"] == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [False, True])
def test_derivatives_are_those_by_finite_differences(data, gaps, kind, missing):
    family = bmx.family("mvnormal", covariance=kind)
    frame, action = (gaps, "fiml") if missing else (data, "error")
    model = bmx.Mixture(
        "mv(a, b, c) ~ x", frame.head(60), family=family, k=2, fixed="~ shift", na_action=action
    )
    problem = build_problem(model.spec)
    theta = 0.3 * np.random.default_rng(2).normal(size=model.spec.layout.size)
    value, slope = value_and_gradient(problem)(theta)
    info, step = information(problem, theta[None]), em_pass(problem, theta[None])
    assert value == pytest.approx(info.loglik[0])
    np.testing.assert_allclose(slope, info.score[0], atol=1e-7)
    np.testing.assert_allclose(step.score[0], slope, atol=1e-7)
    for j, along in enumerate(1e-5 * np.eye(len(theta))):
        up, down = (information(problem, (theta + sign * along)[None]) for sign in (1, -1))
        assert (up.loglik - down.loglik)[0] / 2e-5 == pytest.approx(slope[j], abs=1e-3)
        curved = -(up.score - down.score)[0] / 2e-5
        np.testing.assert_allclose(curved, info.matrix[0][j], rtol=1e-4, atol=1e-3)


def test_a_component_on_a_line_stops_no_pass(data):
    """A start may collapse to correlations that are one to all digits."""
    spec = bmx.Mixture("mv(a, b) ~ 1", data.head(20), family="mvnormal", k=1).spec
    theta = np.array([0.0, 0.0, 0.1, 0.1, 20.0])  # means, log deviations, Fisher's z
    step = em_pass(build_problem(spec), theta[None])
    a, b = data.loc[:19, ["a", "b"]].to_numpy().T / np.exp(0.1)
    tail = np.log(np.cosh(20.0)) + norm.logpdf((b - a) * np.cosh(20.0))  # of b given a
    wanted = (norm.logpdf(a) + tail).sum() - 20 * 0.2
    assert step.loglik[0] == pytest.approx(wanted, rel=1e-9)


def test_missing_columns_are_integrated_out(data, gaps):
    spec = bmx.Mixture("mv(a, b, c) ~ x", gaps, family="mvnormal", k=3, na_action="fiml")
    fit = spec.fit("em", seed=1, starts=4)
    assert fit.converged
    assert fit.loglik == pytest.approx(by_hand(fit.params, gaps), abs=1e-7)
    whole = bmx.Mixture("mv(a, b, c) ~ x", data, family="mvnormal", k=3).fit("em", seed=1, starts=4)
    assert whole.loglik == pytest.approx(by_hand(whole.params, data), abs=1e-7)
    errors = [f.summary()["se"].to_numpy() for f in (fit, whole)]
    assert (errors[0] > errors[1]).mean() > 0.8
    drawn = fit.simulate(seed=1, missing=True)
    assert (drawn[list(COLUMNS)].isna() == gaps[list(COLUMNS)].isna()).all(axis=None)


def test_residuals_of_every_column(data, gaps):
    spec = bmx.Mixture("mv(a, b, c) ~ x", gaps, family="mvnormal", k=3, na_action="fiml")
    fit = spec.fit("em", seed=1, starts=4)
    expected = gaps["b"] - fit.predict()["b"][2]
    np.testing.assert_allclose(fit.residuals("response")["b"][2], expected)
    scaled = fit.residuals("pearson")["b"][2] * fit.params["sd_b"].sel(component=2).item()
    np.testing.assert_allclose(scaled, expected)
    scores = fit.residuals("quantile")
    assert (scores.isna() == gaps[list(COLUMNS)].isna()).all(axis=None)
    assert np.abs(scores.mean()).max() < 0.1
    assert np.abs(scores.std() - 1).max() < 0.1
    assert np.abs(scores.corr() - np.eye(3)).max(axis=None) < 0.2
    whole = bmx.Mixture("mv(a, b, c) ~ 1", data, family="mvnormal", k=1).fit("em")
    mean, sigma = whole.coefficients()[1].to_numpy(), sigmas(whole.params)[0]
    white = np.linalg.solve(np.linalg.cholesky(sigma), (data[list(COLUMNS)] - mean).T).T
    np.testing.assert_allclose(whole.residuals("quantile"), white, atol=1e-9)


def test_draws_of_missing_columns_know_the_others(data, gaps):
    spec = bmx.Mixture("mv(a, b, c) ~ x", gaps, family="mvnormal", k=3, na_action="fiml")
    drawn = spec.fit("laplace", seed=1, draws=200).impute(draws=100, seed=1).mean(axis=1)
    for column in COLUMNS:
        guess = drawn.loc[column]
        assert np.corrcoef(guess, data.loc[guess.index, column])[0, 1] > 0.6


def test_the_pymc_model_has_the_same_density(data, gaps):
    for frame, action in ((data, "error"), (gaps, "fiml")):
        spec = bmx.Mixture("mv(a, b, c) ~ x", frame, family="mvnormal", k=2, na_action=action)
        model = spec.to_pymc()
        point = {
            name: np.random.default_rng(3).normal(size=value.shape) * 0.5
            for name, value in model.initial_point().items()
        }
        graph = float(model.compile_logp(vars=model.observed_RVs)(point))
        nodes = model.unobserved_value_vars
        natural = model.compile_fn(nodes, inputs=model.value_vars, on_unused_input="ignore")
        values = dict(zip([v.name for v in nodes], natural(point), strict=True))
        params = spec.fit("em", seed=1, starts=1, max_iter=1).params
        for name in params.data_vars:
            if name in values:
                params[name] = (params[name].dims, values[name])
        z = {p: np.tanh(values[f"fisher_{p}"]) for p in ("a_b", "a_c", "b_c")}
        r_ab, r_ac = z["a_b"], z["a_c"]
        r_bc = z["b_c"] * np.sqrt((1 - r_ab**2) * (1 - r_ac**2)) + r_ab * r_ac  # of a partial one
        for name, r in (("a_b", r_ab), ("a_c", r_ac), ("b_c", r_bc)):
            params[f"correlation_{name}"] = ("component", r)
        assert graph == pytest.approx(by_hand(params, frame), abs=1e-6)
        assert spec.log_likelihood(params) == pytest.approx(graph, abs=1e-6)


def test_units_of_measurement_mean_nothing(data):
    spec = bmx.Mixture("mv(a, b, c) ~ x", data, family="mvnormal", k=3)
    fit = spec.fit("em", seed=1, starts=3)
    other = data.assign(a=1e6 + 1e3 * data["a"], b=data["b"] * 1e9)
    moved = bmx.Mixture("mv(a, b, c) ~ x", other, family="mvnormal", k=3).fit(
        "em", seed=1, starts=3
    )
    assert moved.status == fit.status
    np.testing.assert_allclose(moved.membership(), fit.membership(), atol=1e-4)
    shift = -len(data) * (np.log(1e3) + np.log(1e9))
    assert moved.loglik == pytest.approx(fit.loglik + shift, abs=1e-2)
    np.testing.assert_allclose(moved.params["sd_b"], 1e9 * fit.params["sd_b"], rtol=1e-6)


def test_map_labels_groups_concomitants_and_offsets(data):
    half = data.assign(known=data["who"].where(data.index < 100))
    spec = bmx.Mixture(
        "mv(a, b) ~ x + offset(shift)", half, family="mvnormal", k=3, labels="known", fixed="~ g"
    )
    assert spec.fit("map").converged
    paired = bmx.Mixture("mv(a, b) ~ 1 | g", data, family="mvnormal", k=2, concomitant="~ 1")
    fit = paired.fit("em", seed=1, starts=3)
    assert len(fit.membership()) == 200
    held = paired.fit("em", seed=1, starts=3, fixed_params={(1, "sd_a"): 2.0})
    assert (held.params["sd_a"].values[0], held.df) == (2.0, fit.df - 1)


def test_the_model_in_words_and_its_profile(data):
    spec = bmx.Mixture("mv(a, b, c) ~ x", data, family="mvnormal", k=2)
    assert "mvnormal (covariance full)" in repr(spec)
    assert "Every component has its own covariance." in model_sentences(spec.spec)
    fit = spec.fit("em", seed=1, starts=2)
    ax = bmx.plot.profile(fit)
    assert [t.get_text() for t in ax.get_xticklabels()][:3] == list(COLUMNS)


def test_many_rows_that_are_alike(data):
    rounded = pd.concat([data.round(0)[list(COLUMNS)]] * 60, ignore_index=True)
    fit = bmx.Mixture("mv(a, b, c) ~ 1", rounded, family="mvnormal", k=2).fit(
        "em", seed=1, starts=2
    )
    once = bmx.Mixture("mv(a, b, c) ~ 1", data.round(0), family="mvnormal", k=2)
    assert fit.loglik == pytest.approx(60 * once.fit("em", seed=1, starts=2).loglik, rel=1e-6)


def test_a_cluster_on_a_line_is_degenerate(data):
    first = np.arange(len(data)) < len(data) // 2
    line = data.assign(b=np.where(first, 2 * data["a"], data["b"] + 50))
    fit = bmx.Mixture("mv(a, b) ~ 1", line, family="mvnormal", k=2).fit("em", init=1 + ~first)
    assert fit.status in ("degenerate", "boundary")


def test_saved_and_loaded(gaps, tmp_path):
    spec = bmx.Mixture("mv(a, b, c) ~ x", gaps, family="mvnormal", k=2, na_action="fiml")
    fit = spec.fit("em", seed=1, starts=2)
    fit.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(again.summary(), fit.summary())
    assert again.spec.log_likelihood(fit.params) == pytest.approx(fit.loglik)


@pytest.mark.parametrize(
    ("formula", "family", "error", "words"),
    [
        ("mv(a) ~ 1", "mvnormal", FormulaError, "two columns or more"),
        ("mv(a, b, a) ~ 1", "mvnormal", FormulaError, "'a' twice"),
        ("mv(a, b) ~ a", "mvnormal", FormulaError, "both the response"),
        ("a ~ 1", "mvnormal", SpecError, "reads several columns"),
        ("mv(a, b) ~ 1", "gaussian", DataError, "use family='mvnormal'"),
        ("mv(a, flat) ~ 1", "mvnormal", DataError, "'flat'.*same value"),
        ("mv(a, word) ~ 1", "mvnormal", DataError, "word"),
        ("a ~ mv(b, c)", "gaussian", FormulaError, "is a response"),
    ],
)
def test_wrong_calls(data, formula, family, error, words):
    frame = data.assign(flat=1.0, word="x")
    with pytest.raises(error, match=words):
        bmx.Mixture(formula, frame, family=family, k=2)


def test_wrong_options():
    with pytest.raises(SpecError, match="full, diagonal, spherical"):
        bmx.family("mvnormal", covariance="tied")


def test_columns_that_are_linear_functions_of_others_are_refused():
    data = pd.DataFrame(np.random.default_rng(1).normal(1e6, 1, (50, 2)), columns=["a", "b"])
    for columns in ("a, 2*a", "a, b, a - b"):
        with pytest.raises(bmx.DataError, match="linear functions of one another"):
            bmx.Mixture(f"mv({columns}) ~ 1", data, "mvnormal", k=2)
    bmx.Mixture("mv(a, 2*a) ~ 1", data, bmx.family("mvnormal", covariance="diagonal"), k=2)
