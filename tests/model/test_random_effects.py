"""Random effects in classes: densities, estimates and what is read off them, by outside truths."""

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import bayesmix as bmx
from bayesmix.errors import DataError, FitError, FormulaError, SpecError
from bayesmix.families import resolve
from bayesmix.families.effects import root_matrices, root_of, with_effects
from bayesmix.families.interface import Observed
from bayesmix.likelihood import build_problem, em_pass
from bayesmix.likelihood.engine import information, value_and_gradient

KINDS = ("varying", "fixed", "proportional")


def growth(units=120, seed=1, share=0.4):
    """Two classes of lines over time, with an own level and slope of each unit."""
    rng = np.random.default_rng(seed)
    visits = rng.integers(2, 7, units)
    unit = np.repeat(np.arange(units), visits)
    time = np.concatenate([np.arange(v) for v in visits]) + 0.2 * rng.normal(size=len(unit))
    second = (rng.random(units) < share)[unit]
    effects = rng.multivariate_normal([0, 0], [[1.0, 0.2], [0.2, 0.16]], units)[unit]
    mean = np.where(second, 8 - 0.9 * time, 3 + 0.5 * time)
    y = mean + effects[:, 0] + effects[:, 1] * time + 0.6 * rng.normal(size=len(unit))
    frame = pd.DataFrame({"y": y, "time": time, "id": unit, "clinic": unit // 3})
    return frame.sample(frac=1, random_state=seed)  # the rows of a unit are not together


@pytest.fixture(scope="module")
def data():
    return growth()


@pytest.fixture(scope="module", params=KINDS)
def fitted(request, data):
    spec = bmx.Mixture("y ~ time + (1 + time | id)", data, k=2, random_covariance=request.param)
    return spec, spec.fit(starts=3, seed=1)


def by_hand(data, params, group="id"):
    """The log-likelihood unit by unit, from standard deviations and correlations."""
    total = 0.0
    for _, unit in data.groupby(group):
        each = []
        for s in range(params.sizes["component"]):
            sd = params.random_sd.values[s]
            corr = float(params.random_corr[s, 0])
            inner = np.outer(sd, sd) * np.array([[1, corr], [corr, 1]])
            logf = 0.0
            for _, rows in unit.groupby("id"):
                z = np.column_stack([np.ones(len(rows)), rows.time])
                mean, sigma = z @ params.coef.values[s], float(params.sigma[s])
                covariance = z @ inner @ z.T + sigma**2 * np.eye(len(rows))
                logf += multivariate_normal.logpdf(rows.y, mean, covariance)
            each.append(np.log(float(params.weight[s])) + logf)
        total += np.logaddexp.reduce(each)
    return total


@pytest.mark.parametrize("proportional", [False, True])
@pytest.mark.parametrize("q", [1, 2, 3])
def test_the_closed_derivatives_are_those_of_the_density(q, proportional):
    family = with_effects(
        resolve("gaussian", survival=False), ["a", "b", "c"][:q], proportional=proportional
    )
    rng = np.random.default_rng(q)
    unit = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 6])
    n, count = len(unit), q * (q + 1) // 2
    z, y = rng.normal(size=(n, q)), rng.normal(size=n)
    obs = Observed(y, None, 0.0, None, unit, z)
    etas = (rng.normal(size=n), *(0.5 * rng.normal(size=(1 + count, 1))))
    links = [p.link for p in family.parameters]
    natural = np.array([k.inverse(e[0]) for k, e in zip(links[2:], etas[2:], strict=True)])
    u = root_matrices(natural, q, proportional=proportional)
    covariance = u @ u.T
    assert root_of(covariance, proportional=proportional) == pytest.approx(natural)
    logf = family.log_density(obs, etas)
    for u in range(6):
        at = unit == u
        v = np.exp(2 * etas[1][0]) * np.eye(at.sum()) + z[at] @ covariance @ z[at].T
        expected = multivariate_normal.logpdf(y[at], etas[0][at], v)
        assert logf[at].sum() == pytest.approx(expected, rel=1e-12)
    linked = family.linked(etas)
    closed = family.whole.parts(obs, linked, order=3)
    automatic = family.whole.parts(obs, linked, closed=False)
    assert closed.logf == pytest.approx(automatic.logf)
    pairs = zip((*closed.sums, *closed.phi), (*automatic.sums, *automatic.phi), strict=True)
    for mine, theirs in pairs:
        assert np.broadcast_to(mine, theirs.shape) == pytest.approx(theirs, abs=1e-10)
    for at, bend in automatic.bends.items():
        mine = np.broadcast_to(closed.bends.get(at, 0.0), bend.shape)
        assert mine == pytest.approx(bend, abs=1e-9), at
    # The expected information is half the trace of V^-1 V_k V^-1 V_l, here by differences.
    z_last, base = z[unit == 5], np.array([e[0] for e in etas[1:]])

    def covariance_at(phi):
        values = np.array([k.inverse(x) for k, x in zip(links[2:], phi[1:], strict=True)])
        zu = z_last @ root_matrices(values, q, proportional=proportional)
        return np.exp(2 * phi[0]) * np.eye(6) + zu @ zu.T

    steps = 1e-5 * np.eye(len(base))
    moved = [(covariance_at(base + h) - covariance_at(base - h)) / 2e-5 for h in steps]
    moved = [np.linalg.solve(covariance_at(base), m) for m in moved]
    for (i, j), value in family.whole.parts(obs, linked, order=2).expected.items():
        assert np.broadcast_to(value, 6)[5] == pytest.approx(
            0.5 * np.trace(moved[i] @ moved[j]), rel=1e-6, abs=1e-8
        )


@pytest.mark.parametrize("proportional", [False, True])
def test_slopes_keep_their_digits_where_effects_are_far_larger_than_errors(proportional):
    family = with_effects(bmx.family("gaussian"), ["a", "b"], proportional=proportional)
    rng, phi = np.random.default_rng(1), [-1.3, 6.0, -0.07, 6.0]
    y, z = rng.normal(size=6), rng.normal(size=(6, 2))
    obs = Observed(y, None, 0.0, None, np.zeros(6, int), z)

    def exact(*phi):
        scale = mp.exp(phi[1]) if proportional else 1
        u = mp.matrix([[mp.exp(phi[1]), phi[2] * scale], [0, mp.exp(phi[3]) * scale]])
        half = mp.matrix(z.tolist()) * u
        v = mp.exp(2 * phi[0]) * mp.eye(6) + half * half.T
        r = mp.matrix(y.tolist())
        return -(6 * mp.log(2 * mp.pi) + mp.log(mp.det(v)) + (r.T * mp.lu_solve(v, r))[0]) / 2

    with mp.workdps(60):
        orders = np.eye(4, dtype=int).tolist()
        slopes = [float(mp.diff(exact, [mp.mpf(x) for x in phi], tuple(n))) for n in orders]
    found = family.derivatives(obs, (np.zeros(6), *np.array(phi)[:, None]))
    np.testing.assert_allclose([f[0] for f in found.first[1:]], slopes, rtol=1e-6, atol=1e-7)


def test_the_log_likelihood_is_that_of_multivariate_normals(data, fitted):
    spec, fit = fitted
    assert fit.status == "converged"
    assert fit.loglik == pytest.approx(by_hand(data, fit.params), rel=1e-11)
    assert spec.log_likelihood(fit.params) == pytest.approx(fit.loglik, rel=1e-11)


def test_degrees_of_freedom(fitted):
    spec, fit = fitted
    roots = {"varying": 6, "fixed": 3, "proportional": 4}
    assert fit.df == 4 + 2 + 1 + roots[spec._spec.layout.blocks[0].random_covariance]


def test_score_and_information_are_the_derivatives(fitted):
    spec, _ = fitted
    problem = build_problem(spec._spec)
    size = spec._spec.layout.size
    rng = np.random.default_rng(4)
    theta = np.concatenate([[3.0, 0.4, 7.0, -0.5], 0.3 * rng.normal(size=size - 4)])
    info = information(problem, theta[None])
    passes = [em_pass(problem, np.array([theta + h, theta - h])) for h in 1e-5 * np.eye(size)]
    slope = [(p.loglik[0] - p.loglik[1]) / 2e-5 for p in passes]
    bend = [(p.score[1] - p.score[0]) / 2e-5 for p in passes]
    assert info.score[0] == pytest.approx(np.array(slope), rel=1e-6, abs=1e-5)
    assert info.matrix[0] == pytest.approx(np.array(bend), rel=1e-6, abs=1e-4)
    value, gradient = value_and_gradient(problem)(theta)
    assert value == pytest.approx(info.loglik[0], rel=1e-13)
    assert gradient == pytest.approx(info.score[0], rel=1e-9, abs=1e-9)


def test_one_class_is_the_mixed_model_of_statsmodels(data):
    smf = pytest.importorskip("statsmodels.formula.api")
    fit = bmx.Mixture("y ~ time + (1 + time | id)", data, k=1).fit()
    model = smf.mixedlm("y ~ time", data, groups="id", re_formula="~ time")
    theirs = model.fit(reml=False, method="lbfgs")
    assert fit.loglik == pytest.approx(theirs.llf, rel=1e-9)
    assert fit.params.coef.values[0] == pytest.approx(theirs.fe_params.values, rel=1e-4)
    sd = np.sqrt(np.diag(theirs.cov_re.values))
    assert fit.params.random_sd.values[0] == pytest.approx(sd, rel=1e-3)
    assert float(fit.params.sigma[0]) == pytest.approx(np.sqrt(theirs.scale), rel=1e-3)
    effects = fit.random_effects().pivot_table(index="id", columns="term", values="estimate")
    expected = pd.DataFrame(theirs.random_effects).T.sort_index()
    assert effects["Intercept"].to_numpy() == pytest.approx(expected.iloc[:, 0], abs=1e-2)


def test_standard_errors_are_natural(fitted):
    spec, fit = fitted
    summary = fit.summary()
    random = summary[summary.effect == "random"]
    assert random.term.tolist()[:3] == ["sd(Intercept)", "sd(time)", "corr(Intercept, time)"]
    order = list(dict.fromkeys(summary.effect))
    assert order == ["varying", "random", "dispersion", "weight"]
    assert random.z.isna().all()
    # By the slope of the summary's number along the parameters, from the covariance of these.
    theta, covariance = fit._fitted.theta, fit.covariance().to_numpy()
    from bayesmix.model.params import random_entries

    def values(at):
        return np.array([e.natural(at) for e in random_entries(spec._spec.layout)])

    slopes = [(values(theta + h) - values(theta - h)) / 2e-6 for h in 1e-6 * np.eye(len(theta))]
    slopes = np.array(slopes).T
    expected = np.sqrt(np.einsum("ij,jk,ik->i", slopes, covariance, slopes))
    assert random.se.to_numpy() == pytest.approx(expected, rel=1e-4)


def test_another_unit_and_origin_change_nothing_but_units(data, fitted):
    spec, fit = fitted
    kind = spec._spec.layout.blocks[0].random_covariance
    moved = data.assign(y=1e6 * data.y + 5e6, time=(data.time - 50) / 100)
    other = bmx.Mixture("y ~ time + (1 + time | id)", moved, k=2, random_covariance=kind)
    again, fit = (f.relabel(by="time") for f in (other.fit(starts=3, seed=1), fit))
    assert again.loglik + len(data) * np.log(1e6) == pytest.approx(fit.loglik, rel=1e-10)
    sd = again.params.random_sd.sel(random_term="time").values
    assert sd == pytest.approx(1e8 * fit.params.random_sd.sel(random_term="time").values, rel=1e-5)
    assert again.membership().to_numpy() == pytest.approx(fit.membership().to_numpy(), abs=1e-7)


def test_clusters_inside_a_group(data):
    spec = bmx.Mixture("y ~ time + (1 + time | id) | clinic", data, k=2)
    fit = spec.fit(starts=2, seed=1)
    assert fit.n_units == data.clinic.nunique()
    assert fit.loglik == pytest.approx(by_hand(data, fit.params, "clinic"), rel=1e-11)


def test_predictions_given_the_unit_s_own_responses(data, fitted):
    _, fit = fitted
    own, marginal = fit.predict(by="membership"), fit.predict(by="marginal")
    assert np.square(data.y - own).mean() < 0.5 * np.square(data.y - marginal).mean()
    effects = fit.random_effects(by="component").set_index(["id", "component", "term"]).estimate
    share, means = fit.membership(rows=True), fit.predict()
    rows = data.head(20)
    for label, row in rows.iterrows():
        expected = sum(
            share.loc[label, s]
            * (
                means.loc[label, s]
                + effects[row.id, s, "Intercept"]
                + effects[row.id, s, "time"] * row.time
            )
            for s in (1, 2)
        )
        assert own[label] == pytest.approx(expected)


def test_residuals(fitted, data):
    _, fit = fitted
    scores = fit.residuals(kind="quantile", seed=1)
    assert abs(scores.mean()) < 0.1
    assert scores.std() == pytest.approx(1, abs=0.1)
    assert np.isfinite(fit.residuals(kind="pearson").to_numpy()).all()
    with pytest.raises(FitError, match="together"):
        fit.residuals(kind="deviance")


def test_simulated_units_have_the_effects_distribution(data, fitted):
    spec, fit = fitted
    wide = pd.DataFrame({"id": np.repeat(np.arange(4000), 2), "time": np.tile([0.0, 3.0], 4000)})
    drawn = spec.simulate(fit.params, newdata=wide, seed=1)
    first = drawn[drawn.component == 1].y.to_numpy().reshape(-1, 2)
    p = fit.params.isel(component=0)
    sd, corr = p.random_sd.values, float(p.random_corr[0])
    inner = np.outer(sd, sd) * np.array([[1, corr], [corr, 1]])
    z = np.array([[1, 0], [1, 3.0]])
    expected = z @ inner @ z.T + float(p.sigma) ** 2 * np.eye(2)
    assert np.cov(first.T) == pytest.approx(expected, rel=0.15)


def test_a_fit_saves_and_loads(tmp_path, fitted):
    _, fit = fitted
    fit.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc")
    assert again.loglik == fit.loglik
    assert again.summary().equals(fit.summary())
    assert again.random_effects().equals(fit.random_effects())


@pytest.mark.parametrize("seed", [0, 1])
def test_a_singular_covariance_is_said_to_be_one(seed):
    rng = np.random.default_rng(seed)
    unit, time = np.repeat(np.arange(150), 4), np.tile(np.arange(4.0), 150)
    y = 2 + 0.5 * time + rng.normal(size=150)[unit] + 0.5 * rng.normal(size=600)
    flat = pd.DataFrame({"y": y, "time": time, "id": unit})  # the slopes do not vary
    with pytest.warns(bmx.DegenerateWarning, match="covariance of the random effects is singular"):
        fit = bmx.Mixture("y ~ time + (1 + time | id)", flat, k=1).fit()
    level = bmx.Mixture("y ~ time + (1 | id)", flat, k=1).fit()
    assert fit.status == "boundary"
    assert 0 <= fit.loglik - level.loglik < 1
    summary = fit.summary().set_index("term")
    assert summary.estimate["sd(time)"] < 0.02
    assert 0 < summary.se["sd(Intercept)"] < 0.2
    sd = level.summary().set_index("term").loc["sd(Intercept)"]
    assert abs(sd.estimate - 1) < 3 * sd.se
    one = fit.params  # a correlation of one is a likelihood, too
    one["random_corr"][:] = 1.0
    z = np.column_stack([np.ones(4), np.arange(4.0)])
    spread = z @ one["random_sd"].values[0]
    law = multivariate_normal(
        z @ one["coef"].sel(component=1, term=["Intercept", "time"]).values,
        np.outer(spread, spread) + one["sigma"].item() ** 2 * np.eye(4),
    )
    truth = law.logpdf(y.reshape(150, 4)).sum()
    assert fit.spec.log_likelihood(one) == pytest.approx(truth, abs=1e-6)


def test_estimates_are_near_the_truth():
    many = growth(400, seed=5)
    fit = bmx.Mixture("y ~ time + (1 + time | id)", many, k=2, random_covariance="fixed").fit(
        seed=1
    )
    found = fit.summary().set_index(["component", "term"])
    truth = {"Intercept": 3, "time": 0.5, "sd(Intercept)": 1, "sd(time)": 0.4, "sigma": 0.6}
    truth["corr(Intercept, time)"] = 0.5
    for term, value in truth.items():
        row = found.loc[(1, term)]
        assert abs(row.estimate - value) < 3.5 * row.se, term


@pytest.mark.parametrize(
    ("formula", "options", "error", "words"),
    [
        ("y ~ time + (1 | clinic) | id", {}, DataError, "stand inside"),
        ("y ~ time + (1 | id)", {"family": "poisson"}, SpecError, "Gaussian"),
        ("y ~ time | id", {"random_covariance": "fixed"}, SpecError, "no random effects"),
        ("y ~ time + (1 | id)", {"random_covariance": "equal"}, SpecError, "proportional"),
        ("y ~ time + (1 | id) + (1 | clinic)", {}, FormulaError, "Write one"),
        ("y ~ time + (1 || id)", {}, FormulaError, "correlations"),
        ("y ~ time + (0 | id)", {}, FormulaError, "no term"),
        ("y ~ time + (1 | row) | id", {}, DataError, "separated from the residuals"),
        ("y ~ time", {"fixed": "~ (1 | id)"}, FormulaError, "main formula"),
    ],
)
def test_what_cannot_work_says_so(data, formula, options, error, words):
    positive = data.assign(y=np.round(np.abs(data.y)), row=np.arange(len(data)))
    with pytest.raises(error, match=words):
        bmx.Mixture(formula, positive, k=2, **options)
