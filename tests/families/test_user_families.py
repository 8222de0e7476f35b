"""A family of the user's own: what it may use, what it gets, and what its errors say."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayesmix as bmx
from bayesmix import arrays as xp
from bayesmix.errors import DataError, SpecError
from bayesmix.estimation.em import Runs
from bayesmix.estimation.modes import modes_among
from bayesmix.formula.response import Response
from bayesmix.likelihood import log_likelihood
from bayesmix.priors import Penalty, resolve
from bayesmix.results.fitted import standard_problem


def response(y) -> Response:
    return Response("y", "numeric", np.asarray(y, dtype=float), None, ("y",))


def inverse_gaussian(y, mu, lam):
    return 0.5 * np.log(lam / (2 * np.pi * y**3)) - lam * (y - mu) ** 2 / (2 * mu**2 * y)


def rayleigh(y, scale):
    return np.where(y > 0, np.log(y) - 2 * np.log(scale) - y**2 / (2 * scale**2), -np.inf)


INVERSE_GAUSSIAN = bmx.Family(
    "inverse_gaussian",
    params={"lam": "log", "mu": "log"},
    location="mu",
    logpdf=inverse_gaussian,
    mean=lambda mu, lam: mu,
    simulate=lambda rng, mu, lam: rng.wald(mu, lam),
    valid=lambda y: y > 0,
    support="positive numbers",
)


def made(logpdf, **options) -> bmx.Family:
    options = {"params": {"scale": "log"}, "location": "scale", **options}
    return bmx.Family("made", logpdf=logpdf, **options)


def test_a_worked_example_agrees_with_scipy_and_finite_differences():
    f, rng = INVERSE_GAUSSIAN, np.random.default_rng(1)
    assert [p.name for p in f.parameters] == ["mu", "lam"]
    assert [p.name for p in f.dispersions] == ["lam"]
    y = f.simulate(rng, mu=np.full(50, 2.0), lam=5.0)
    obs = f.observe(response(y))
    etas = (rng.normal(0.5, 0.5, 50), np.array([0.3]))
    mu, lam = np.exp(etas[0]), np.exp(0.3)
    d = f.derivatives(obs, etas)
    expected = stats.invgauss.logpdf(y, mu / lam, scale=lam)
    np.testing.assert_allclose(d.logf, expected, rtol=1e-10)
    np.testing.assert_allclose(f.log_density(obs, etas), expected, rtol=1e-10)
    np.testing.assert_allclose(d.first[0], lam * (y - mu) / mu**2, rtol=1e-10)
    np.testing.assert_allclose(d.first[1], 0.5 - lam * (y - mu) ** 2 / (2 * mu**2 * y), rtol=1e-9)
    np.testing.assert_allclose(d.second[0][1], d.first[0], rtol=1e-9)
    curvature = d.curvature
    assert all((c > 0).all() for c in curvature)


def test_derivatives_with_starts_and_scalar_predictors():
    f = INVERSE_GAUSSIAN
    obs = f.observe(response([1.0, 2.0, 5.0]))
    eta = np.zeros((2, 4, 3))
    d = f.derivatives(obs, (eta, np.zeros((2, 4, 1))))
    assert d.logf.shape == d.first[1].shape == d.second[0][1].shape == (2, 4, 3)
    scalar = f.derivatives(obs, (np.float64(0.0), np.float64(0.0)))
    np.testing.assert_allclose(scalar.logf, d.logf[0, 0])
    np.testing.assert_allclose(scalar.first[0], d.first[0][0, 0])
    np.testing.assert_allclose(scalar.second[0][1], d.second[0][1][0, 0])


def test_where_and_a_support_that_depends_on_the_response():
    f = made(rayleigh)
    obs = f.observe(response([-1.0, 0.0, 2.0]))
    d = f.derivatives(obs, (np.zeros(3),))
    np.testing.assert_allclose(d.logf, stats.rayleigh.logpdf([-1.0, 0.0, 2.0]))
    np.testing.assert_allclose(d.first[0], [0, 0, 2.0])


def test_functions_of_scipy_special_and_of_arrays():
    def weibull(y, shape, scale):
        z = special.xlogy(shape, y / scale)
        return np.log(shape) - np.log(y) + z - np.exp(z)

    def portable(y, shape, scale):
        z = shape * (xp.log(y) - xp.log(scale))
        return xp.log(shape) - xp.log(y) + z - xp.exp(z)

    y = np.array([0.5, 2.0, 9.0])
    for logpdf in (weibull, portable):
        f = made(logpdf, params={"scale": "log", "shape": "log"})
        obs = f.observe(response(y))
        d = f.derivatives(obs, (np.full(3, 0.7), np.full(3, 0.2)))
        expected = stats.weibull_min.logpdf(y, np.exp(0.2), scale=np.exp(0.7))
        np.testing.assert_allclose(d.logf, expected, rtol=1e-12)
        assert np.isfinite(d.second).all()


@pytest.mark.parametrize("scale", [1e-4, 1.0, 300.0, 1e6])
def test_starts_are_searched_on_the_scale_of_the_data(scale):
    rng = np.random.default_rng(2)
    y = rng.wald(2.0 * scale, 5.0 * scale, size=3000)
    obs = INVERSE_GAUSSIAN.observe(response(y))
    before = time.perf_counter()
    start = INVERSE_GAUSSIAN.starting(obs)
    assert time.perf_counter() - before < 2
    assert start["mu"] == pytest.approx(2 * scale, rel=0.2)
    assert start["lam"] == pytest.approx(5 * scale, rel=0.3)
    rate = made(lambda y, scale: np.log(scale) - scale * y)
    obs = rate.observe(response(rng.exponential(scale, 500)))
    assert rate.starting(obs)["scale"] == pytest.approx(1 / scale, rel=0.2)


def test_a_search_with_several_kinds_of_parameters():
    def contaminated(y, share, centre, spread):
        z = ((y - centre) / spread) ** 2
        tight = np.log(share) - 0.5 * z - np.log(spread)
        wide = np.log1p(-share) - 0.005 * z - np.log(10 * spread)
        return np.logaddexp(tight, wide) - 0.5 * np.log(2 * np.pi)

    f = made(
        contaminated,
        params={"share": "logit", "centre": "identity", "spread": "log"},
        location="centre",
    )
    rng = np.random.default_rng(3)
    y = 500 + 3 * rng.normal(size=1000) * np.where(rng.uniform(size=1000) < 0.8, 1, 10)
    start = f.starting(f.observe(response(y)))
    assert start["centre"] == pytest.approx(500, abs=1)
    assert start["spread"] == pytest.approx(3, rel=0.3)
    assert start["share"] == pytest.approx(0.8, abs=0.15)


def test_a_search_in_vain_says_so():
    f = made(lambda y, scale: np.where(y > 2, -scale * y, -np.inf))
    with pytest.raises(DataError, match=r"zero or not a number.*start="):
        f.starting(f.observe(response([1.0, 3.0])))


def test_own_starts_are_used_and_checked():
    def start(y):
        return {"scale": y}

    y = [1.0, 2.0]
    good = made(rayleigh, start=start)
    np.testing.assert_array_equal(good.starting(good.observe(response(y)))["scale"], y)
    for given, message in (
        ({"rate": 1.0}, r"must return a dict of \['scale'\]"),
        (3.0, "not float"),
        ({"scale": np.ones(3)}, r"of shape \(3,\); it must be a number or shape \(2,\)"),
        ({"scale": 0.0}, "does not allow"),
        ({"scale": -1.0}, "strictly between 0 and inf"),
        ({"scale": np.nan}, "does not allow"),
    ):
        bad = made(rayleigh, start=lambda y, given=given: given)
        with pytest.raises(SpecError, match=message):
            bad.starting(bad.observe(response(y)))


@pytest.mark.parametrize(
    ("logpdf", "error", "message"),
    [
        (lambda y, scale: np.sum(y * scale), SpecError, r"shape \(\) for 3.*no sums"),
        (lambda y, scale: np.ones(1) * scale[0], SpecError, r"shape \(1,\) for 3"),
        (lambda y, scale: y[:, None] * scale, SpecError, r"shape \(3, 3\)"),
        (lambda y, scale: None, SpecError, "returned NoneType"),
        (lambda y, scale: np.log(-y) * scale, DataError, r"NaN or infinity for 3 of 3.*first is 1"),
        (lambda y, scale: np.log(y - 1) + 0 * scale, None, ""),
        (lambda y, scale: np.sqrt(y - 2), DataError, r"for 1 of 3 responses \(positions 0;"),
        (lambda y, scale: stats.rayleigh.logpdf(y, scale=scale), SpecError, "array of numbers"),
        (lambda y, scale: special.kv(1, scale) * y, SpecError, "'kv' has no derivative rule"),
        (lambda y, scale: -y, None, ""),
    ],
)
def test_a_density_that_cannot_be_used_is_explained(logpdf, error, message):
    f = made(logpdf)
    if error is None:
        f.observe(response([1.0, 2.0, 3.0]))
    else:
        with pytest.raises(error, match=message):
            f.observe(response([1.0, 2.0, 3.0]))


def test_responses_outside_the_support_are_named():
    with pytest.raises(DataError, match=r"allows positive numbers.*1 of 3.*positions 1; .*is -2"):
        INVERSE_GAUSSIAN.observe(response([1.0, -2.0, 3.0]))
    with pytest.raises(DataError, match="allows finite numbers"):
        made(rayleigh).observe(response([1.0, np.nan]))


def test_bounds_make_the_density_zero():
    f = made(rayleigh, params={"scale": "identity"}, bounds={"scale": (0, np.inf)})
    obs = f.observe(response([1.0, 2.0]))
    np.testing.assert_array_equal(f.log_density(obs, (np.full(2, -1.0),)), [-np.inf] * 2)
    assert np.isfinite(f.log_density(obs, (np.full(2, 1.0),))).all()
    assert f.starting(obs)["scale"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"location": None}, "no location"),
        ({"location": "mu"}, "location='mu' is not a parameter"),
        ({"params": {"scale": "square"}}, "'square' is unknown"),
        ({"logpdf": None}, "needs logpdf="),
        ({"bounds": {"rate": (0, 1)}}, r"bounds= names \['rate'\]"),
    ],
)
def test_a_description_that_cannot_be_is_refused(options, message):
    options = {"params": {"scale": "log"}, "location": "scale", "logpdf": rayleigh, **options}
    with pytest.raises(SpecError, match=message):
        bmx.Family("made", **options)


def test_a_family_is_pickled_when_its_functions_are():
    copy = pickle.loads(pickle.dumps(made(rayleigh)))
    obs = copy.observe(response([1.0]))
    assert copy.log_density(obs, (np.zeros(1),))[0] == pytest.approx(-0.5)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(made(lambda y, scale: -y * scale))
    # A name that a shipped family has does not turn one into the other.
    named = bmx.Family("gamma", params={"scale": "log"}, location="scale", logpdf=rayleigh)
    assert pickle.loads(pickle.dumps(named)).logpdf is rayleigh


def test_another_link_gives_another_family():
    f = INVERSE_GAUSSIAN.with_link("inverse")
    assert f.parameters[0].link.name == "inverse"
    assert f.parameters[1].link.name == "log"
    assert f.with_link("inverse") is f
    obs = f.observe(response([1.0, 2.0]))
    assert (
        f.log_density(obs, (np.array([-1.0, 0.5]), np.zeros(2))) == [-np.inf, -np.inf]
    ).sum() == 1


def test_an_end_of_a_start_without_derivatives_is_no_mode():
    """The density has none at zero, where one of two starts ended."""
    kinked = made(
        lambda y, m: -0.5 * np.square(y - m) - 1e-9 * xp.sqrt(m * m),
        params={"m": "identity"},
        location="m",
    )
    data = pd.DataFrame({"y": [2.0, 3.0, 4.5, 5.0], "x": range(4), "z": [1.0, 0.0, 2.0, 1.0]})
    spec = bmx.Mixture("y ~ x + z", data, family=kinked, k=1).spec
    problem = standard_problem(spec, Penalty(resolve(spec, None), jacobian=True), None)
    ends = Runs.begin(np.array([[0.0, 0.0, 0.0], [3.0, 1.0, 0.0]]), "converged")
    ends.loglik[:] = log_likelihood(problem, ends.theta)
    (mode,) = modes_among(problem, ends, None)
    assert mode.theta[0] > 1.0
