"""Smooth priors of splines: the density, REML, effective degrees of freedom, draws, and files."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from pytensor.graph.replace import clone_replace
from statsmodels.regression.mixed_linear_model import VCSpec

import bayesmix as bmx
from bayesmix.errors import FitError, SpecError
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.posterior.drawn import draws_dataset
from bayesmix.priors import Penalty, log_prior, resolve, sample_prior, with_smooths
from bayesmix.pymc_model import draws_to_theta, initial_point

TERM = "cr(x, df=9)"
SMOOTH = {TERM: bmx.Prior.smooth()}
WIDE = {"tau": bmx.Prior("half_normal", sigma=1e5)}


def one_curve(n=200, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, n)
    y = np.sin(x) + 0.1 * x + rng.normal(0, 0.4, n)
    return pd.DataFrame({"x": x, "y": y, "z": rng.normal(size=n)})


def two_curves(n=300, seed=1):
    """A wave and a straight line."""
    rng = np.random.default_rng(seed)
    x, wave = rng.uniform(0, 10, n), rng.random(n) < 0.5
    y = np.where(wave, 2 * np.sin(x), 4 + 0.2 * x) + rng.normal(0, 0.4, n)
    return pd.DataFrame({"x": x, "y": y})


def two_events(n=250):
    """Each covariate value once with either event: a wave and a straight line."""
    rng = np.random.default_rng(1)
    x, event = np.tile(rng.uniform(0, 10, n), 2), np.repeat(["a", "b"], n)
    time = np.where(
        event == "a",
        rng.weibull(2, 2 * n) * np.exp(np.sin(x)),
        rng.weibull(1.3, 2 * n) * np.exp(0.5 + 0.1 * x),
    )
    return pd.DataFrame({"x": x, "time": time, "event": event})


# --- the density ---------------------------------------------------------------------------


def test_the_prior_is_that_of_the_integrated_squared_second_derivative():
    """Differences of the log density are those of -c / (2 tau^2) times the integral."""
    data = one_curve()
    spec = with_smooths(bmx.Mixture(f"y ~ {TERM}", data, k=1).spec, SMOOTH)
    model = resolve(spec, {**SMOOTH, **WIDE})
    theta = sample_prior(spec, model, 4, np.random.default_rng(1))
    smooth = spec.smooths[0]
    found = log_prior(spec, model, theta).value
    grid = np.linspace(data["x"].min(), data["x"].max(), 4001)
    new = pd.DataFrame({"x": grid})
    columns = spec.prepared.parts[0].designs[0].apply(new)[0][:, list(smooth.columns)]
    at, tau, rank = model.smooths[0].at, model.smooths[0].tau, smooth.rank
    curves = columns @ theta[:, at].T
    bends = np.gradient(np.gradient(curves, grid, axis=0), grid, axis=0)[2:-2]
    integral = np.trapezoid(bends**2, grid[2:-2], axis=0)
    # Only the spline's part: all else of the prior is taken off.
    x = theta[:, at] @ smooth.turn.T
    own = -0.5 * np.square(x[:, :rank]).sum(1) * np.exp(-2 * theta[:, tau])
    ratio = np.square(x[:, :rank]).sum(1) / integral
    np.testing.assert_allclose(ratio, ratio[0], rtol=2e-3)
    scaled = theta.copy()
    back = np.linalg.inv(smooth.turn)
    x[:, :rank] *= 2
    scaled[:, at] = x @ back.T
    np.testing.assert_allclose(log_prior(spec, model, scaled).value - found, 3 * own, rtol=1e-8)


def test_tau_is_the_size_of_departures_from_a_line_whatever_the_units():
    data = one_curve(60)
    for factor in (1.0, 1e6):
        moved = data.assign(x=data["x"] * factor)
        spec = with_smooths(bmx.Mixture(f"y ~ z + {TERM}", moved, k=2).spec, SMOOTH)
        smooth, rows = spec.smooths[0], spec.rows.blocks[0].matrix
        curves = rows[:, smooth.columns] @ np.linalg.inv(smooth.turn)
        bent, line = curves[:, : smooth.rank], curves[:, smooth.rank :]
        assert smooth.rank == 8
        np.testing.assert_allclose(bent.var(0).sum(), 1)
        np.testing.assert_allclose(line.std(0), 1)
        np.testing.assert_allclose(abs(np.corrcoef(line[:, 0], moved["x"])[0, 1]), 1)
        np.testing.assert_allclose(bent.T @ (line - line.mean(0)), 0, atol=1e-8)


@pytest.mark.parametrize("jacobian", [False, True])
def test_derivatives_of_the_log_prior(jacobian):
    spec = with_smooths(bmx.Mixture(f"y ~ z + {TERM}", one_curve(60), k=2).spec, SMOOTH)
    model = resolve(spec, SMOOTH)
    theta = np.random.default_rng(2).normal(0, 0.3, (1, spec.layout.size))
    step = 1e-5 * np.eye(spec.layout.size)
    up = log_prior(spec, model, theta + step, jacobian=jacobian)
    down = log_prior(spec, model, theta - step, jacobian=jacobian)
    exact = log_prior(spec, model, theta, jacobian=jacobian)
    np.testing.assert_allclose((up.value - down.value) / 2e-5, exact.score[0], atol=1e-7)
    np.testing.assert_allclose((down.score - up.score) / 2e-5, exact.curvature[0], atol=1e-6)


# --- REML ----------------------------------------------------------------------------------


def test_one_normal_curve_is_reml():
    """The bent columns as random effects of statsmodels' mixed model."""
    data = one_curve()
    spec = bmx.Mixture(f"y ~ z + {TERM}", data, k=1)
    whole = with_smooths(spec.spec, SMOOTH)
    smooth = whole.smooths[0]
    curves = whole.rows.blocks[0].matrix[:, smooth.columns] @ np.linalg.inv(smooth.turn)
    bent, line = curves[:, : smooth.rank], curves[:, smooth.rank :]
    fixed = np.column_stack([np.ones(len(data)), data["z"], line])
    names = [f"bent{j}" for j in range(smooth.rank)]
    parts = VCSpec(["bent"], [[names]], [[bent]])
    groups = np.ones(len(data))
    mixed = sm.MixedLM(data["y"], fixed, groups, exog_vc=parts)
    other = mixed.fit(reml=True, method="bfgs", gtol=1e-8)
    sigma, tau = np.sqrt(other.scale), np.sqrt(other.vcomp[0])
    flat = bmx.Prior("normal", mu=0, sigma=1e4)
    priors = {**SMOOTH, **WIDE, "coef": flat, "sigma": WIDE["tau"]}
    fit = bmx.Mixture(f"y ~ z + {TERM}", data, k=1, priors=priors).fit("map", seed=1)
    assert fit.status == "converged"
    found = fit.smooths().iloc[0]
    assert found["tau"] == pytest.approx(tau, rel=1e-4)
    assert fit.params["sigma"].item() == pytest.approx(sigma, rel=1e-5)
    # Effective degrees of freedom from the hat matrix.
    x = np.column_stack([fixed, bent])
    penalty = np.diag([0.0] * fixed.shape[1] + [sigma**2 / found["tau"] ** 2] * smooth.rank)
    hat = np.linalg.solve(x.T @ x + penalty, x.T @ x)
    b = np.linalg.solve(x.T @ x + penalty, x.T @ data["y"])
    assert found["edf"] == pytest.approx(np.trace(hat) - 2, rel=1e-4)
    assert fit.df == pytest.approx(np.trace(hat) + 1, rel=1e-4)
    np.testing.assert_allclose(fit.predict()[1], x @ b, atol=1e-4)


def test_tau_maximises_the_density_with_the_coefficients_integrated_out():
    """Of a Poisson curve, by brute force: modes and determinants on a grid of tau."""
    data = one_curve(150)
    data["n"] = np.random.default_rng(3).poisson(np.exp(1 + 0.7 * np.sin(data["x"])))
    spec = bmx.Mixture(f"n ~ {TERM}", data, k=1, family="poisson", priors=SMOOTH)
    fit = spec.fit("map", seed=1)
    tau = fit.smooths()["tau"].iloc[0]

    def marginal(value):
        held = spec.fit("map", seed=1, fixed_params={(1, f"tau[{TERM}]"): value}).numbers
        free = np.flatnonzero(held.spec.free)
        problem = build_problem(held.spec, penalty=held.penalty)
        step = 1e-4 * np.eye(held.spec.layout.size)[free]
        at = held.theta
        own = log_likelihood(problem, at[None])[0]
        second = [
            [
                log_likelihood(problem, np.array([at + a + b, at + a - b, at - a + b, at - a - b]))
                @ [1, -1, -1, 1]
                for b in step
            ]
            for a in step
        ]
        hessian = -np.array(second) / 4e-8
        hyper = bmx.Prior("half_student_t", nu=3, sigma=2.5).logpdf(value)
        return own + hyper - 0.5 * np.linalg.slogdet(hessian)[1]

    near = [marginal(tau * factor) for factor in (0.7, 1.0, 1.4)]
    assert near[1] > max(near[0], near[2])
    slope = (marginal(tau * 1.02) - marginal(tau / 1.02)) / (2 * np.log(1.02))
    curve = (near[0] + near[2] - 2 * near[1]) / np.log(1.4) ** 2
    assert abs(slope / curve) < 0.03  # the highest point is within three percent


# --- two components ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two():
    spec = bmx.Mixture("y ~ bs(x, df=10)", two_curves(), k=2, priors=PRIORS)
    return spec, spec.fit("map", seed=1)


PRIORS = {"bs(x, df=10)": bmx.Prior.smooth()}


def test_curves_of_two_components_are_recovered(two):
    _, fit = two
    x = np.linspace(0.5, 9.5, 40)
    means = fit.predict(pd.DataFrame({"x": x})).to_numpy()
    wave, line = (0, 1) if means[:, 0].mean() < means[:, 1].mean() else (1, 0)
    assert np.abs(means[:, wave] - 2 * np.sin(x)).max() < 0.4
    assert np.abs(means[:, line] - 4 - 0.2 * x).max() < 0.25
    edf = fit.smooths()["edf"].to_numpy()
    assert edf[wave] > 6
    assert edf[line] < 2
    assert fit.df == pytest.approx(edf.sum() + 5)
    assert fit.aic == pytest.approx(-2 * fit.loglik + 2 * fit.df)


def test_a_fit_and_its_model_are_saved_and_loaded(two, tmp_path):
    spec, fit = two
    fit.save(tmp_path / "fit.nc")
    again = bmx.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(again.smooths(), fit.smooths())
    pd.testing.assert_frame_equal(again.summary(), fit.summary())
    assert again.spec.priors().equals(spec.priors())


def test_maximum_likelihood_knows_no_priors(two):
    spec, fit = two
    em = spec.fit("em", seed=1, starts=2)
    assert "tau[bs(x, df=10)]" not in em.params
    assert em.df == 25
    assert em.loglik > fit.loglik
    with pytest.raises(FitError, match=r"no smooth curves.*Prior.smooth"):
        em.smooths()
    assert fit.spec.fit("em", seed=1, starts=2).loglik == pytest.approx(em.loglik)


def test_draws_by_laplaces_method(two, tmp_path):
    spec, fit = two
    post = spec.fit("laplace", draws=1000, seed=1)
    table = post.summary().set_index(["component", "term"])
    assert post.numbers.khat < 0.7
    wave = int(np.argmax(fit.smooths()["edf"])) + 1
    row = table.loc[(wave, "tau[bs(x, df=10)]")]
    assert row["effect"] == "smooth"
    assert row["lower"] < fit.smooths()["tau"].iloc[wave - 1] < row["upper"]
    post.save(tmp_path / "post.nc")
    pd.testing.assert_frame_equal(bmx.load(tmp_path / "post.nc").summary(), post.summary())
    # Coefficients given tau follow from it: sensitivity weighs the prior of tau alone.
    assert not post.sensitivity().index.str.startswith("smooth").any()


def test_without_a_regular_end_the_fit_says_so():
    """Groups at random are of one class: the other one is narrow on a few of them."""
    data = two_curves(200).assign(group=np.arange(200) // 4)
    spec = bmx.Mixture(f"y ~ {TERM} | group", data, k=2, priors=SMOOTH)
    with pytest.warns(bmx.DegenerateWarning):
        assert spec.fit("map", seed=1, starts=2).status == "spurious"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:slow mixing")
def test_nuts_agrees_with_laplaces_method_and_the_mode(two):
    spec, fit = two
    nuts = spec.fit("nuts", chains=2, draws=500, tune=500, seed=1)
    laplace = spec.fit("laplace", seed=1)
    x = pd.DataFrame({"x": np.linspace(0.5, 9.5, 10)})
    a, b = (p.predict(x).xs("estimate", axis=1, level=1).to_numpy() for p in (nuts, laplace))
    np.testing.assert_allclose(a, b, atol=0.05)
    np.testing.assert_allclose(a, fit.predict(x), atol=0.15)
    assert not np.asarray(nuts.numbers.stats["diverging"]).any()


# --- PyMC ----------------------------------------------------------------------------------

MODELS = {
    "varying and fixed": {"formula": f"y ~ {TERM}", "fixed": "~ cr(z, df=3)"},
    "nested": {"formula": "y ~ 1", "nested": [("~ z", 1), (f"~ {TERM}", 1)]},
    "events": {"formula": f"surv(time) ~ {TERM}", "event": "event", "family": "weibull"},
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_pymc_model_has_the_same_density_and_parameters(model):
    import pytensor

    priors = {**SMOOTH, "cr(z, df=3)": bmx.Prior.smooth()} if "fixed" in model else SMOOTH
    if "event" in model:
        made = bmx.CompetingRisks(data=two_events(20), priors=priors, **model)
    else:
        made = bmx.Mixture(data=one_curve(40), k=2, priors=priors, **model)
    spec = with_smooths(made.spec, priors)
    resolved = resolve(spec, priors)
    theta = sample_prior(spec, resolved, 2, np.random.default_rng(1))
    problem = build_problem(spec, penalty=Penalty(resolved, jacobian=False))
    # The model has coefficients in units of tau.
    volume = sum(s.log_volume - s.rank * theta[:, s.tau] for s in resolved.smooths)
    expected = log_likelihood(problem, theta) - volume
    with pytensor.config.change_flags(cxx="", mode="FAST_COMPILE"):
        graph = made.to_pymc()
        inputs = [variable.type() for variable in graph.free_RVs]
        values = {}
        for variable, x in zip(graph.free_RVs, inputs, strict=True):
            transform = graph.rvs_to_transforms[variable]
            moved = x if transform is None else transform.forward(x, *variable.owner.inputs)
            values[graph.rvs_to_values[variable]] = moved
        logp = clone_replace([graph.logp(jacobian=False)], values, rebuild_strict=False)
        function = pytensor.function(inputs, logp)
        for one, value in zip(theta, expected, strict=True):
            point = initial_point(spec, resolved, one)
            found = function(*(point[variable.name] for variable in graph.free_RVs))[0]
            assert float(found) == pytest.approx(value, rel=1e-10, abs=1e-6)
    back = draws_to_theta(spec, resolved, draws_dataset(spec, resolved, theta[None]))
    np.testing.assert_allclose(back[0], theta, atol=1e-12)


# --- competing events ----------------------------------------------------------------------


def test_a_curve_of_each_event_is_that_of_its_own_times():
    """All events known: the likelihood is a product over the events."""
    data, of = two_events(), {"a": "weibull", "b": "weibull"}
    response = f"surv(time) ~ {TERM}"
    fit = bmx.CompetingRisks(response, data, "event", family=of, priors=SMOOTH).fit("map", seed=1)
    smooths = fit.smooths().set_index("component")
    for event, rows in data.groupby("event"):
        own = bmx.Mixture(response, rows, family="weibull", k=1, priors=SMOOTH).fit("map", seed=1)
        alone = own.smooths().iloc[0]
        assert smooths.tau[event] == pytest.approx(alone.tau, rel=1e-2)
        assert smooths.edf[event] == pytest.approx(alone.edf, abs=0.05)
        curve = fit.params["scale"].sel(component=event)
        np.testing.assert_allclose(curve, own.params["scale"][0], atol=0.02)


def test_a_curve_of_another_parameter_counts_what_it_uses():
    data = two_events()
    model = bmx.CompetingRisks(
        "surv(time) ~ sin(x)",
        data,
        "event",
        family="weibull",
        ancillary={"a": {"shape": f"~ {TERM}"}},
        priors=SMOOTH,
    )
    smooth = model.fit("map", seed=1).smooths().iloc[0]
    assert (smooth.component, smooth.term) == ("a", f"shape: {TERM}")
    assert 1 <= smooth.edf < 4  # the shape is the same everywhere


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "priors", "said"),
    [
        ("y ~ x", SMOOTH, "this model has none"),
        ("y ~ cr(x, df=4)", SMOOTH, r"the model's are \['cr\(x, df=4\)'\]"),
        ("y ~ z:cr(x, df=9)", SMOOTH, "this model has none"),
        ("y ~ bs(x, df=4, degree=1)", {"bs(x, df=4, degree=1)": bmx.Prior.smooth()}, "a degree"),
        (f"y ~ {TERM}", {**SMOOTH, f"coef[{TERM}[0]]": WIDE["tau"]}, "parameters are"),
        (f"y ~ {TERM}", {"coef": bmx.Prior.smooth()}, "is no spline of a response.s formula"),
    ],
)
def test_wrong_smooth_priors_are_refused(formula, priors, said):
    with pytest.raises(SpecError, match=said):
        bmx.Mixture(formula, one_curve(40), k=1, priors=priors)


def test_weights_take_no_smooth_prior():
    with pytest.raises(SpecError, match="stands in the formula of the weights"):
        bmx.Mixture("y ~ z", one_curve(40), k=2, concomitant=f"~ {TERM}", priors=SMOOTH)
