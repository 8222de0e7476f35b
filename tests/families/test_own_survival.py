"""The user's own distribution of times, from any sufficient part of it."""

import pickle

import numpy as np
import pytest
from scipy import stats
from times_models import density_in_a_graph

import bayesmix as bmx
from bayesmix import arrays as xp
from bayesmix.errors import DataError, SpecError
from bayesmix.families import family, resolve
from bayesmix.families.survival import base as numbers
from bayesmix.formula.response import Response
from bayesmix.formula.times import Times

LOWER = np.array([0.02, 0.5, 1.3, 4.0, 0.7, 0.0, 3.0, 0.9, 2.0, 0.0])
UPPER = np.array([0.02, 0.5, 1.3, 4.0, np.inf, 0.6, np.inf, 1.5, 2.5, 5.0])


def response(lower=LOWER, upper=UPPER):
    times = Times(lower, upper, np.zeros(len(lower)))
    working = np.where(np.isinf(upper), lower, 0.5 * (lower + upper))
    return Response("surv(t)", "survival", working, None, ("t",), times)


def log_density(t, scale, shape):
    x = shape * xp.log(t / scale)
    return xp.log(shape / t) + x - xp.exp(xp.clip(x, -600, 600))


def log_survival(t, scale, shape):
    return -xp.exp(xp.clip(shape * xp.log(t / scale), -600, 600))


def hazard(t, scale, shape):
    return shape / t * xp.exp(xp.clip(shape * xp.log(t / scale), -600, 600))


PARTS = {"logpdf": log_density, "logsf": log_survival, "hazard": hazard}
GIVEN = [
    ("logpdf", "logsf"), ("hazard", "logsf"), ("logpdf", "hazard"), ("hazard",), ("logsf",),
    ("logpdf",), ("logpdf", "logsf", "hazard"),
]  # fmt: skip
every = pytest.mark.parametrize("given", GIVEN, ids="+".join)


def own(given, **options):
    parts = {name: PARTS[name] for name in given}
    options = {"params": {"scale": "log", "shape": "log"}, "location": "scale", **options}
    return resolve(bmx.Family("mine", **parts, **options), survival=True)


def tolerance(given):
    return 1e-11 if len(given) > 1 and "logsf" in given else 1e-9


@every
@pytest.mark.parametrize("shape", [0.4, 1.0, 2.3, 6.0])
def test_every_part_gives_the_same_likelihood_and_derivatives(given, shape):
    mine, weibull = own(given), family("weibull")
    etas = (np.linspace(-0.3, 0.9, 10), np.array([np.log(shape)]))
    one, two = mine.observe(response()), weibull.observe(response())
    rtol = tolerance(given)
    np.testing.assert_allclose(
        mine.log_density(one, etas), weibull.log_density(two, etas), rtol=rtol, atol=rtol
    )
    got, want = mine.derivatives(one, etas), weibull.derivatives(two, etas)
    np.testing.assert_allclose(got.logf, want.logf, rtol=rtol, atol=rtol)
    for j in range(2):
        np.testing.assert_allclose(got.first[j], want.first[j], rtol=1e-7, atol=1e-7)
        for k in range(2):
            np.testing.assert_allclose(got.second[j][k], want.second[j][k], rtol=1e-6, atol=1e-6)


@every
def test_both_tails_over_a_wide_range(given):
    f, natural = own(given), {"scale": 2.0, "shape": 1.5}
    t = 2.0 * np.array([1e-6, 1e-3, 0.1, 0.9, 1.1, 5.0, 40.0])
    truth = stats.weibull_min(1.5, scale=2.0)
    got = numbers.log_survival(f, t, natural)
    np.testing.assert_allclose(got, truth.logsf(t), rtol=1e-6 if given == ("logpdf",) else 1e-9)
    assert got[-1] < -200
    np.testing.assert_allclose(numbers.quantile(f, [0.1, 0.6], natural), truth.ppf([0.1, 0.6]))
    assert float(numbers.expected(f, natural)) == pytest.approx(truth.mean(), rel=1e-7)


def test_tails_of_a_density_alone_light_and_heavy():
    def lognormal(t, m, s):
        return -0.5 * ((xp.log(t) - m) / s) ** 2 - xp.log(s * t) - 0.5 * np.log(2 * np.pi)

    f = resolve(
        bmx.Family("own", {"m": "identity", "s": "log"}, "m", logpdf=lognormal), survival=True
    )
    t = np.exp(np.array([-20.0, -8.0, -1.0, 0.0, 1.0, 8.0, 25.0]))
    for s in (0.5, 2.0):
        at = {"m": 0.3, "s": s}
        truth = stats.norm.logsf((np.log(t) - 0.3) / s)
        seen = truth < -1e-9
        got = numbers.log_survival(f, t, at)
        np.testing.assert_allclose(got[seen], truth[seen], rtol=1e-8)


def test_tensors_agree_with_numbers():
    pytensor = pytest.importorskip("pytensor")
    import pytensor.tensor as pt

    etas = (np.linspace(-0.3, 0.9, 10), np.array([0.4]))
    for given in (("hazard",), ("logsf",), ("logpdf",)):
        f = own(given)
        obs = f.observe(response())
        a, b = pt.vector(shape=(10,)), pt.vector(shape=(1,))
        out = density_in_a_graph(f, obs, (a, b))
        # Rewritten, the gradient is one sum of more terms than PyTensor's Python code can add.
        mode = pytensor.compile.Mode(linker="py", optimizer=None)
        run = pytensor.function([a, b], [out, *pt.grad(out.sum(), [a, b])], mode=mode)
        value, first, second = run(*etas)
        d = f.derivatives(obs, etas)
        np.testing.assert_allclose(value, d.logf, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(first, d.first[0], rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(second, [d.first[1].sum()], rtol=1e-7)


def test_a_function_that_is_not_written_for_tensors_says_so():
    pt = pytest.importorskip("pytensor.tensor")
    from scipy import special

    f = bmx.Family("integral", {"m": "log"}, "m", logsf=lambda t, m: np.log(special.expn(2, t / m)))
    obs = f.observe(response())
    assert np.isfinite(f.log_density(obs, (np.zeros(10),))).all()
    with pytest.raises(SpecError, match=r"logsf of the family 'integral'.*bayesmix.arrays"):
        density_in_a_graph(f, obs, (pt.vector(shape=(10,)),))


def test_a_quadrature_that_fails_is_refused():
    def jumping(t, rate):
        return rate * (1 + 50 * (np.sin(300 * t) > 0))

    with pytest.raises(SpecError, match=r"hazard of the family 'jumps'.*not reached.*logsf="):
        bmx.Family("jumps", {"rate": "log"}, "rate", hazard=jumping).observe(response())

    def half(t, rate):
        return xp.log(rate) - rate * t - np.log(2.0)

    f = resolve(bmx.Family("half", {"rate": "log"}, "rate", logpdf=half), survival=True)
    with pytest.raises(SpecError, match=r"logpdf of the family 'half'.*which is one"):
        f.observe(response())


def test_functions_that_contradict_each_other_are_refused():
    f = bmx.Family(
        "wrong",
        {"rate": "log"},
        "rate",
        logpdf=lambda t, rate: np.log(rate) - rate * t,
        logsf=lambda t, rate: -2 * rate * t,
    )
    with pytest.raises(SpecError, match="belong together"):
        f.observe(response())


def test_nothing_given_and_times_not_allowed():
    with pytest.raises(SpecError, match=r"needs logpdf=.*logsf= or hazard="):
        bmx.Family("empty", {"rate": "log"}, "rate")
    with pytest.raises(DataError, match="reads times"):
        own(("hazard",)).observe(Response("y", "numeric", np.ones(3), None, ("y",)))
    with pytest.raises(SpecError, match="is for times"):
        resolve(own(("hazard",)), survival=False)
    late = own(("hazard",), valid=lambda t: t > 1.0, support="times beyond 1")
    with pytest.raises(DataError, match="times beyond 1"):
        late.observe(response())


def test_a_density_serves_numbers_and_times():
    f = bmx.Family("both", {"scale": "log", "shape": "log"}, "scale", logpdf=log_density)
    assert not f.is_survival
    assert resolve(f, survival=False) is f
    assert resolve(f, survival=True).is_survival


@every
def test_starts_links_and_pickles(given):
    f = own(given)
    obs = f.observe(response())
    found = f.starting(obs)
    assert set(found) == {"scale", "shape"}
    assert 0.3 < found["scale"] < 10
    again = pickle.loads(pickle.dumps(f))
    etas = (np.zeros(10), np.zeros(1))
    np.testing.assert_array_equal(again.log_density(obs, etas), f.log_density(obs, etas))
    started = own(given, start=lambda t: {"scale": np.median(t), "shape": 1.0})
    assert started.starting(started.observe(response()))["shape"] == 1.0


def test_delayed_entry_of_a_hazard():
    f, g = own(("hazard",)), family("weibull")
    times = Times(np.array([2.0, 3.0]), np.array([2.0, np.inf]), np.array([0.5, 1.0]))
    r = Response("surv(t)", "survival", times.lower, None, ("t",), times)
    etas = (np.zeros(2), np.full(1, 0.3))
    np.testing.assert_allclose(
        f.log_density(f.observe(r), etas), g.log_density(g.observe(r), etas), rtol=1e-10
    )
