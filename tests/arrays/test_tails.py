"""Tails of incomplete gamma and beta integrals against mpmath, limits and finite differences."""

import mpmath as mp
import numpy as np
import pytest
from scipy import special

from bayesmix.arrays import jets
from bayesmix.arrays.generalized_f import log_density, log_lower, log_upper
from bayesmix.arrays.special import lgamma1p, stirling_inverse
from bayesmix.arrays.symbolic import Symbol

SHAPES = (-1000.0, -20.0, -2.0, -1.0, -0.3, -0.05, 0.1, 0.7, 1.0, 1.3, 5.0, 100.0)
PLACES = (-6.0, -1.5, -0.2, 0.4, 2.0, 8.0)


def within_reach(w, Q):
    """The place w, nearer where e^(Q w) would have thousands of digits."""
    return float(np.clip(w, -6 / abs(Q), 6 / abs(Q))) if abs(Q) > 1 else w


def gamma_tail(w, Q):
    q = mp.mpf(Q) ** -2
    x = q * mp.exp(mp.mpf(Q) * mp.mpf(w))
    if Q > 0:
        return mp.gammainc(q, x, mp.inf, regularized=True)
    return mp.gammainc(q, 0, x, regularized=True)


def beta_tail(w, Q, P):
    w, Q, P = mp.mpf(w), mp.mpf(Q), mp.mpf(P)
    d = mp.sqrt(Q * Q + 2 * P)
    s1, s2 = 2 / (d * (d + Q)), 2 / (d * (d - Q))
    odds = s1 / s2 * mp.exp(d * w)
    return mp.betainc(s2, s1, 0, 1 / (1 + odds), regularized=True)


@pytest.mark.parametrize("Q", SHAPES)
def test_generalized_gamma_against_mpmath(Q):
    for place in PLACES:
        w = within_reach(place, Q)
        with mp.workdps(80):
            upper = gamma_tail(w, Q)
            if upper in (0, 1):
                continue
            truth = float(mp.log(upper)), float(mp.log1p(-upper))
        np.testing.assert_allclose((log_upper(w, Q), log_lower(w, Q)), truth, rtol=1e-12)


@pytest.mark.parametrize("P", [1e-2, 0.05, 0.6, 3.0, 200.0])
@pytest.mark.parametrize("Q", [-5.0, -0.6, 0.01, 1.2, 30.0])
def test_generalized_f_against_mpmath(Q, P):
    for w in (-2.5, -0.3, 0.5, 4.0):
        with mp.workdps(60):
            upper = beta_tail(within_reach(w, Q), Q, P)
            if not 1e-40 < upper < 1 - 1e-40:
                continue
            truth = float(mp.log(upper)), float(mp.log1p(-upper))
        at = within_reach(w, Q), Q, np.log(P)
        np.testing.assert_allclose((log_upper(*at), log_lower(*at)), truth, rtol=1e-11)


def test_exact_tails_far_below_the_smallest_number():
    w = np.array([-800.0, -40.0, -1.0, 3.0, 8.0, 13.0])
    np.testing.assert_allclose(log_upper(w, 1.0), -np.exp(w), rtol=1e-13)
    np.testing.assert_allclose(log_lower(-w, -1.0), -np.exp(w), rtol=1e-13)
    # s1 = s2 = 1: the logistic distribution.
    np.testing.assert_allclose(
        log_upper(w * 9, 0.0, 0.0), -np.logaddexp(0, np.sqrt(2) * w * 9), rtol=1e-12
    )


def test_the_normal_distribution_at_no_shape():
    w = np.concatenate([np.linspace(-12, 40, 300), [1e3, 1e6]])
    jet = log_upper(*jets(w, 0.0 * w))
    np.testing.assert_allclose(jet.value, special.log_ndtr(-w), rtol=1e-12)
    hazard = np.sqrt(2 / np.pi) / special.erfcx(w / np.sqrt(2))
    np.testing.assert_allclose(jet.first[0], -hazard, rtol=1e-11)


@pytest.mark.parametrize("p", [None, -40.0, -9.0])
def test_smooth_through_no_shape(p):
    """A step of Q from zero is its Taylor polynomial there, up to the third power."""
    w = np.linspace(-4, 6, 60)
    rest = () if p is None else (np.full_like(w, p),)
    for function in (log_upper, log_lower, log_density):
        jet = function(*jets(w, 0 * w, *rest))
        for step in (1e-12, -1e-8, 1e-5, -3e-4):
            polynomial = jet.value + step * jet.first[1] + 0.5 * step**2 * jet.second[1, 1]
            moved = function(w, step, *rest)
            np.testing.assert_allclose(moved, polynomial, rtol=3e-13, atol=200 * abs(step) ** 3)


@pytest.mark.parametrize("Q", [1e-6, -1e-4])
def test_enormous_shapes_by_quadrature(Q):
    """Shapes Q^-2 of 1e12 and 1e8, by mpmath's quadrature of the density of log time."""
    with mp.workdps(60):
        q = mp.mpf(Q) ** -2
        constant = q * mp.log(q) - mp.loggamma(q) + mp.log(abs(Q))

        def density(x):
            return mp.exp(constant + q * (Q * x - mp.exp(Q * x)))

        for w in (-3.0, 0.5, 6.0):
            upper = mp.quad(density, [w, 1, 4, 8, 12, 20] if w < 1 else [w, 9, 15, 25])
            np.testing.assert_allclose(log_upper(w, Q), float(mp.log(upper)), rtol=1e-12)


@pytest.mark.parametrize("P", [1e-9, 1e-15, 1e-30])
def test_generalized_gamma_is_the_limit_of_small_p(P):
    w, Q = np.meshgrid(np.linspace(-5, 5, 21), [-3.0, -0.8, -0.1, 0.0, 0.02, 0.5, 2.0])
    keep = np.abs(w * Q) < 5
    w, Q = w[keep], Q[keep]
    for function in (log_upper, log_density):
        np.testing.assert_allclose(
            function(w, Q, np.log(P)), function(w, Q), rtol=1e-11, atol=1e6 * P
        )


def test_upper_and_lower_add_to_one():
    rng = np.random.default_rng(3)
    w, Q, p = rng.normal(size=500) * 2, rng.normal(size=500) * 2, rng.uniform(-12, 4, 500)
    for at in ((w, Q), (w, Q, p)):
        total = np.logaddexp(log_upper(*at), log_lower(*at))
        np.testing.assert_allclose(total, 0.0, atol=1e-14)


def test_the_density_is_minus_the_slope_of_the_tail():
    rng = np.random.default_rng(4)
    w, Q, p = rng.normal(size=300), rng.normal(size=300), rng.uniform(-9, 3, 300)
    for at in ((w, Q), (w, Q, p)):
        jet = log_upper(*jets(*at))
        np.testing.assert_allclose(
            np.log(-jet.first[0]) + jet.value, log_density(*at), rtol=1e-11, atol=1e-11
        )


def differences(function, at, j, step):
    """Derivative in argument j by central differences of six points."""

    def moved(k):
        return function(*(a + k * step * (i == j) for i, a in enumerate(at)))

    near, middle, far = (moved(k) - moved(-k) for k in (1, 2, 3))
    return (45 * near - 9 * middle + far) / (60 * step)


@pytest.mark.parametrize("function", [log_upper, log_lower, log_density])
@pytest.mark.parametrize("count", [2, 3])
def test_derivatives_by_finite_differences(function, count):
    rng = np.random.default_rng(5)
    n = 400
    Q = rng.choice([-6, -1.5, -0.9, -0.3, -0.02, 0.0, 0.02, 0.3, 0.9, 1.5, 6], n)
    w = rng.uniform(-3, 3, n) / np.maximum(1, np.abs(Q))
    at = (w, Q, rng.uniform(-8, 3, n))[:count]
    jet = function(*jets(*at))
    for j in range(count):
        step = np.full(n, 2e-3) if j == 2 else 2e-3 / np.maximum(1, np.abs(Q)) ** (1 - 2 * j)
        slope = differences(function, at, j, step)
        np.testing.assert_allclose(jet.first[j], slope, rtol=3e-9, atol=3e-9)
        for i in range(count):
            bend = differences(lambda *a, i=i: function(*jets(*a)).first[i], at, j, step)
            size = np.max(np.abs(bend)) * 1e-8
            np.testing.assert_allclose(jet.second[i, j], bend, rtol=3e-8, atol=min(size, 3e-7))


def test_slopes_and_bends_in_far_tails():
    """The hazard of the upper tail of log time tends to that of its exponential rate."""
    w = np.array([50.0, 500.0])
    heavy = log_upper(*jets(w, np.full(2, -0.5)))  # S ~ w^.. e^(-2 w)
    np.testing.assert_allclose(heavy.first[0], -2.0, rtol=1e-9)
    exact = log_upper(*jets(np.array([5.0, 12.0]), np.ones(2)))
    np.testing.assert_allclose(exact.first[0], -np.exp([5.0, 12.0]), rtol=1e-12)
    np.testing.assert_allclose(exact.second[0, 0], -np.exp([5.0, 12.0]), rtol=1e-10)


def test_nothing_is_ever_no_number():
    w, Q, p = (a.ravel() for a in np.meshgrid(
        [-1e8, -700.0, -30.0, 0.0, 30.0, 700.0, 1e8],
        [-1e30, -1e4, -1.0, -1e-9, 0.0, 1e-200, 1e-3, 1.0, 50.0, 1e30],
        [-1e4, -700.0, -20.0, 0.0, 20.0, 700.0],
    ))  # fmt: skip
    for at in ((w, Q), (w, Q, p)):
        for function in (log_upper, log_lower):
            value = function(*at)
            assert not np.isnan(value).any()
            assert (value <= 0).all()
        assert not np.isnan(log_density(*at)).any()


def test_jets_of_other_variables_and_shapes():
    """With x = mu, s: w = (1 - mu) / s; the chain rule against finite differences."""
    mu, s = np.array([0.2, -0.4, 1.0]), np.array([0.5, 0.8, 2.0])

    def value(mu, s):
        return log_upper((1.0 - mu) / s, 0.4, np.log(s))

    jet = value(*jets(mu, s))
    for j in range(2):
        np.testing.assert_allclose(
            jet.first[j], differences(value, (mu, s), j, 1e-3), rtol=1e-9, atol=1e-9
        )
    assert log_upper(np.zeros((2, 1, 3)), np.zeros((4, 1))).shape == (2, 4, 3)
    assert float(log_upper(0.0, 0.3)) < 0


def test_tensors_agree_with_jets():
    pytensor = pytest.importorskip("pytensor")
    import pytensor.tensor as pt

    rng = np.random.default_rng(6)
    n = 60
    values = [rng.normal(size=n), rng.normal(size=n), rng.uniform(-6, 2, n)]
    for count in (2, 3):
        variables = [pt.vector(), pt.vector(), pt.vector()][:count]
        for function in (log_upper, log_lower, log_density):
            out = function(*map(Symbol, variables)).variable
            slopes = pt.grad(out.sum(), variables)
            bends = pt.grad(slopes[1].sum(), variables)
            found = pytensor.function(variables, [out, *slopes, *bends], mode="FAST_COMPILE")
            value, *rest = found(*values[:count])
            jet = function(*jets(*values[:count]))
            np.testing.assert_allclose(value, jet.value, rtol=1e-12)
            np.testing.assert_allclose(rest, [*jet.first, *jet.second[1]], rtol=1e-12)


def test_stirling_of_an_inverse_and_log_gamma_near_one():
    with mp.workdps(60):
        for r in (1e-14, 1e-3, 0.0999, 0.1001, 2.0, 300.0):
            a = 1 / mp.mpf(r)
            remainder = mp.loggamma(a) - (a - 0.5) * mp.log(a) + a - mp.log(2 * mp.pi) / 2
            got = stirling_inverse(np.array([r])).value[0]
            np.testing.assert_allclose(got, float(remainder), rtol=1e-12)
        for x in (1e-18, 1e-6, 0.2, 0.26, 0.9):
            np.testing.assert_allclose(lgamma1p(x), float(mp.loggamma(1 + mp.mpf(x))), rtol=1e-14)
    zero = stirling_inverse(np.zeros(1))
    assert [float(v[0]) for v in zero] == pytest.approx([0.0, 1 / 12, 0.0])
