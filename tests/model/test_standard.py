"""Standard coordinates are the same model: likelihoods, columns and the way there and back."""

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.model.fixed import hold
from bayesmix.model.standard import standardise

N = 120
RNG = np.random.default_rng(5)
GROUP = np.repeat(np.arange(N // 4), 4)
D = pd.DataFrame(
    {
        "x": 1e4 + RNG.normal(size=N),
        "year": RNG.integers(1960, 2010, N).astype(float),
        "f": np.array(list("abc"))[RNG.integers(0, 3, N)],
        "z": (50 + RNG.normal(size=N // 4))[GROUP],
        "g": GROUP,
        "y": 1e3 + 4 * RNG.normal(size=N),
        "positive": 1e-3 * RNG.gamma(3, size=N),
        "count": RNG.poisson(3, N),
        "t": 50 * RNG.weibull(2, N) + 1,
        "s": RNG.integers(0, 2, N),
        "entry": 0.5 * RNG.random(N),
        "w": RNG.integers(0, 3, N),
    }
)
D["event"] = np.where(D.s == 1, np.where(RNG.random(N) < 0.5, "a", "b"), None)
TIMES = ["exponential", "weibull", "weibull_ph", "gamma", "lognormal", "loglogistic", "gompertz"]
TIMES += ["gengamma", "gengamma_orig", "genf", "genf_orig"]


def M(formula, **options):
    return bmx.Mixture(formula, D, **{"k": 2, **options}).spec


MODELS = {
    "quadratic": lambda: M("y ~ x + f + year + I(year**2)"),
    "levels without an intercept": lambda: M("y ~ 0 + f + x", dispersion="fixed"),
    "no constant": lambda: M("y ~ 0 + x"),
    "fixed and concomitant": lambda: M(
        "y ~ 1", fixed="~ x", concomitant="~ z + year", family="student_t", weights="w"
    ),
    "nested": lambda: M(
        "y ~ x", k=3, nested=[("~ year", 1), ("~ f", 2)], group="g", concomitant="~ z"
    ),
    "gamma": lambda: M("positive ~ x", family="gamma"),
    "interaction": lambda: M("count ~ x * f", family="poisson"),
    "point mass": lambda: M("count ~ x", family=["zero", "poisson"]),
    "cure with entries": lambda: M(
        "surv(entry, t, s, kind='counting') ~ x",
        family=["weibull", "cured"],
        concomitant="~ z",
    ),
    "events": lambda: (
        bmx.CompetingRisks(
            "surv(t, s) ~ x",
            D,
            event="event",
            family={"a": "weibull", "b": "gompertz"},
            ancillary={"a": {"shape": "~ z"}},
        ).spec
    ),
    "scale with a shape of its own": lambda: (
        bmx.CompetingRisks(
            "surv(t, s) ~ x",
            D,
            event="event",
            family={"a": "weibull_ph", "b": "weibull"},
            ancillary={"a": {"shape": "~ z"}},
        ).spec
    ),
    "two responses": lambda: (
        bmx.Mixture(
            [bmx.Regression("y ~ x"), bmx.Regression("count ~ year", family="poisson")],
            D,
            k=2,
            group="g",
        ).spec
    ),
    "intercept held": lambda: hold(M("y ~ x"), {(1, "Intercept"): 3.0}),
    "slope held": lambda: hold(M("y ~ x"), {(1, "x"): 3.0, (2, "sigma"): 2.0}),
    **{name: lambda name=name: M("surv(t, s) ~ x + f", family=name) for name in TIMES},
}


@pytest.mark.parametrize("name", list(MODELS))
def test_the_likelihood_differs_by_a_constant(name):
    spec = MODELS[name]()
    made = standardise(spec)
    theta = 0.3 * np.random.default_rng(1).normal(size=(3, spec.layout.size))
    theta[:, list(made.held)] = list(made.held.values())
    user = made.user(theta)
    np.testing.assert_allclose(made.standard.to_standard(user), theta, atol=1e-7)
    np.testing.assert_allclose(
        user[:, list(spec.held)], np.tile(list(spec.held.values()), (3, 1)), rtol=1e-9
    )
    here = log_likelihood(build_problem(made), theta) + made.standard.constant
    there = log_likelihood(build_problem(spec), user)
    assert np.isfinite(there).all()
    np.testing.assert_allclose(here, there, rtol=1e-9)


@pytest.mark.parametrize("scale", ["hazard", "odds", "normal"])
def test_splines_have_functions_that_are_orthogonal_at_the_events(scale):
    spec = M("surv(t, s) ~ x", k=1, family=bmx.family("spline", df=3, scale=scale))
    made = standardise(spec)
    family = made.layout.blocks[0].families[0]
    times = made.rows.blocks[0].observed["spline"].times
    theta = np.zeros(made.layout.size)
    # Gammas of a straight line rise everywhere; other directions are small.
    start = family.start(times)
    for predictor in made.layout.blocks[0].predictors:
        at = predictor.index[0, predictor.terms.index("Intercept")]
        theta[at] = start[predictor.variable]
    user = made.user(theta)
    here = log_likelihood(build_problem(made), theta[None])[0] + made.standard.constant
    assert here == pytest.approx(log_likelihood(build_problem(spec), user[None])[0], rel=1e-9)
    np.testing.assert_allclose(made.standard.to_standard(user), theta, atol=1e-7)


def test_columns_are_orthogonal_where_others_absorb_them():
    x = standardise(MODELS["quadratic"]()).rows.blocks[0].matrix
    np.testing.assert_allclose(x.T @ x / len(x), np.eye(x.shape[1]), atol=1e-9)
    # Without an intercept a covariate is scaled only.
    (column,) = standardise(MODELS["no constant"]()).rows.blocks[0].matrix.T
    np.testing.assert_allclose(column, D.x / np.sqrt(np.mean(D.x**2)))


def test_a_held_intercept_absorbs_nothing():
    made = standardise(MODELS["intercept held"]())
    x = made.rows.blocks[0].matrix[:, 1]
    assert x.min() > 0.99


def test_shared_slopes_are_absorbed_by_intercepts_of_their_own():
    made = standardise(M("y ~ 1", fixed="~ x"))
    assert abs(made.rows.blocks[0].matrix[:, 0].mean()) < 1e-9
    # A fixed intercept cannot take over slopes that differ.
    made = standardise(M("y ~ 0 + x", fixed="~ 1"))
    at = made.layout.blocks[0].predictors[0].terms.index("x")
    assert made.rows.blocks[0].matrix[:, at].min() > 0.99


def test_the_derivatives_of_the_way_back():
    """A scale with a shape in another unit of time is no linear function."""
    made = standardise(M("surv(t, s) ~ x", family="weibull_ph"))
    to_user = made.standard.to_user
    theta = 0.2 * np.random.default_rng(2).normal(size=made.layout.size)
    h = 1e-6
    numeric = np.array(
        [(to_user(theta + h * e) - to_user(theta - h * e)) / (2 * h) for e in np.eye(len(theta))]
    )
    np.testing.assert_allclose(to_user.jacobian(theta), numeric.T, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(to_user.solve(to_user(theta)), theta, atol=1e-9)
