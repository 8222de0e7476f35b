"""Terms of families as compiled code, the functions they are made of, and the cache."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

import bayesmix as bmx
from bayesmix import kernels
from bayesmix.families import FAMILIES
from bayesmix.families.base import Observed
from bayesmix.families.effects import with_effects
from bayesmix.families.kernel import OTHER_LINKS, Kernel
from bayesmix.kernels.record import BLOCK, INFORMATION, SCORE, STEP, VALUE

# The families with a term, and of each the links that it has one of its own for.
TERMS = [
    (name, link)
    for name in FAMILIES
    if (kernel := bmx.family(name).kernel) is not None
    for link in (bmx.family(name).links if kernel.blocks else (kernel.link,))
]

N_LINK = 15


def outputs(kernel, level):
    """How many numbers a term gives at a level."""
    p = kernel.parameters
    return {
        VALUE: 1 if not kernel.blocks else 1 + p,
        SCORE: 1 + p,
        STEP: 1 + 2 * p + kernel.statistic + bool(kernel.together) * p * (p + 1) // 2,
        INFORMATION: 1 + 2 * p + kernel.statistic + p * (p + 1) // 2,
    }[level]


def term(kernel, data, etas, level=INFORMATION, dense=None, table=0):
    """A term's outputs (q, n) at n rows: `data` (m, n), `etas` (p, n); the first `dense` vary."""
    from bayesmix.kernels.terms import family_callback

    n, p = etas.shape[1], kernel.parameters
    out = np.full((outputs(kernel, level), n), np.nan)
    dense = p if dense is None else dense
    for start in range(0, n, BLOCK):
        some = slice(start, min(start + BLOCK, n))
        count = some.stop - start
        part, block = np.zeros((p, BLOCK)), np.full((len(out), BLOCK), np.nan)
        part[:, :count] = etas[:, some]
        given = np.ascontiguousarray(data[:, some])
        family_callback(kernel).ctypes(
            level, dense, count, given.ctypes.data, count, part.ctypes.data, block.ctypes.data, p,
            table,
        )  # fmt: skip
        out[:, some] = block[:, :count]
    return out


def known(name, link):
    """A family with a term, if need be of four levels."""
    levels = {"levels": list("abcd")} if bmx.family(name).reads == "levels" else {}
    return bmx.family(name, link if levels else None, **levels)


def observed(family, n, rng):
    """Responses that a family can give."""
    if family.levels:
        return Observed(1.0 * rng.integers(0, len(family.levels), n), None, np.zeros(n))
    trials = rng.integers(1, 9, n).astype(float) if family.binomial else None
    counts = lambda: rng.negative_binomial(1, 0.1, n)  # noqa: E731
    y = {
        "beta": lambda: rng.beta(2.0, 3.0, n),
        "binomial": lambda: rng.binomial(trials.astype(int), 0.4),
        "gamma": lambda: rng.gamma(2.0, 2.0, n),
        "gaussian": lambda: rng.normal(size=n),
        "inverse_gaussian": lambda: rng.wald(2.0, 3.0, n),
        "student_t": lambda: rng.standard_t(3, n),
    }.get(re.sub("^(zero_inflated|hurdle)_", "", family.name), counts)()
    y = np.where(rng.random(n) < 0.2, 0.0, y) if family.name.startswith("hurdle") else 1.0 * y
    const = np.zeros(n) if family.constant is None else family.constant(y, trials)
    return Observed(y, trials, np.broadcast_to(const, (n,)))


# --- families ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.5, 4.0])
@pytest.mark.parametrize(("name", "link"), TERMS)
def test_terms_are_the_families(name, link, scale):
    family, rng = known(name, link), np.random.default_rng(3)
    kernel, n, p = family.kernel, 1000, len(family.parameters)
    obs = observed(family, n, rng)
    # Steps between levels are exponentials: larger ones leave no digits of what is between them.
    scale = min(scale, 1.5) if family.levels else scale
    etas = scale * rng.normal(size=(kernel.parameters, n))
    given = {"y": obs.y, "trials": obs.trials, "const": obs.const}
    out = term(kernel, np.stack([given[r] for r in kernel.reads]), etas)
    d = family.derivatives(obs, tuple(etas[:p]))
    w = d.curvature
    there = np.isfinite(d.logf)
    size = 1 + np.abs(d.logf[there])
    assert (np.abs(out[0][there] - d.logf[there]) < 1e-13 * size * (1 + np.abs(etas).max())).all()
    assert (out[0][~there] == -np.inf).all()
    if not p:
        return
    first = np.array([np.broadcast_to(f, (n,)) for f in d.first])
    second = np.array([[np.broadcast_to(x, (n,)) for x in row] for row in d.second])
    there &= np.isfinite(second).all((0, 1))
    reach = 1e-10 * (np.abs(first).max(0) + 1e-3)
    for j in range(p):
        assert_near(out[1 + j], first[j], there, reach)
        # Second derivatives cancel to the rounding of squares; where nothing is left, the sign
        # that decides what a step takes is rounding too.
        square = np.square(first[j])
        sure = there & (np.abs(second[j, j]) > 1e-10 * square)
        lost = reach + 1e-15 * (1 + np.abs(d.logf)) * square
        assert_near(out[1 + kernel.parameters + j], w[j], sure, lost)
        for i in range(j + 1):
            place = 1 + 2 * kernel.parameters + kernel.statistic + j * (j + 1) // 2 + i
            lost = reach + 1e-15 * (1 + np.abs(d.logf)) * np.abs(first[i] * first[j])
            assert_near(out[place], -second[j, i], there, lost)


ENDS = np.array([-800.0, -709.9, -480, -300, -40, -3, 0, 2, 40, 300, 480, 705, 709.9, 800])


@pytest.mark.parametrize("name", dict(TERMS))
def test_terms_at_the_ends_are_the_families(name):
    """Values and slopes of compiled terms and of NumPy are equal, or the density is zero."""
    family = known(name, dict(TERMS)[name])
    kernel, p = family.kernel, len(family.parameters)
    if kernel.blocks or not p:
        return
    obs = observed(family, 4, np.random.default_rng(1))
    etas = np.array(np.meshgrid(*[ENDS if p < 3 else ENDS[::2]] * p)).reshape(p, -1)
    obs = obs.take(np.repeat(np.arange(4), etas.shape[1]))
    etas = np.tile(etas, 4)
    given = {"y": obs.y, "trials": obs.trials, "const": obs.const}
    out = term(kernel, np.stack([given[r] for r in kernel.reads]), etas, SCORE)
    value, d = family.log_density(obs, tuple(etas)), family.derivatives(obs, tuple(etas))
    assert_allclose(out[0], value, rtol=1e-10, atol=1e-10)
    first = np.array([np.broadcast_to(f, value.shape) for f in d.first])
    there = value > -np.inf
    assert_allclose(out[1:, there], first[:, there], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "y", "etas", "expected"),
    [
        ("poisson", 3.0, (705.0,), -np.exp(705.0)),
        ("gamma", 3.0, (0.5, -800.0), -800 - np.log(3)),
        # Gamma(phi) / (Gamma(a) Gamma(b)) tends to a b / phi
        ("beta", 0.2, (0.0, -800.0), -800 + np.log(0.25) - np.log(0.2 * 0.8)),
    ],
)
def test_terms_at_the_ends_are_the_limits(name, y, etas, expected):
    given = {"y": y, "const": -np.log(y)}
    kernel = bmx.family(name).kernel
    data = np.array([[given[r]] for r in kernel.reads])
    assert_allclose(term(kernel, data, np.array(etas)[:, None], VALUE)[0], expected, rtol=1e-12)


def assert_near(got, expected, some, reach):
    """Whether numbers are equal at some rows, up to a part of their size and a reach."""
    expected = np.broadcast_to(expected, got.shape)[some]
    assert (np.abs(got[some] - expected) <= 1e-10 * np.abs(expected) + reach[some]).all()


@pytest.mark.parametrize("q", [1, 2, 3])
@pytest.mark.parametrize("proportional", [False, True])
def test_terms_of_clusters_are_the_families(q, proportional):
    rng = np.random.default_rng(5)
    family = with_effects(bmx.family("gaussian"), list("abc")[:q], proportional=proportional)
    sizes = np.repeat([4, 1, 6], 20)  # of one size they have the same times, or others
    times = np.concatenate(
        [np.arange(float(s)) + (i % 20 > 10) * i / 60 for i, s in enumerate(sizes)]
    )
    n, z = len(times), (times[:, None] / 6) ** np.arange(q)
    x = np.column_stack([np.ones(n), times, rng.normal(size=n)])
    obs = Observed(
        7.0 + rng.normal(size=n), None, 0.0, cluster=np.repeat(range(60), sizes), effects=z
    )
    b, phi = rng.normal(size=3), 0.4 * rng.normal(size=1 + q * (q + 1) // 2)
    d = family.derivatives(obs, (x @ b, *phi[:, None]))
    kernel = replace(family.kernel, parameters=3 + len(phi))
    numbers = family.kernel.together(obs, x)
    etas = np.tile(np.append(b, phi)[:, None], 60)
    out, first = term(kernel, numbers, etas, SCORE, dense=0), np.cumsum(sizes) - sizes
    assert_allclose(out[0], d.logf[first], rtol=1e-12)
    slopes = np.add.reduceat(d.first[0] * x.T, first, axis=1)
    for got, expected in zip(out[1:], [*slopes, *(f[first] for f in d.first[1:])], strict=True):
        assert_allclose(got, expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())
    # Second derivatives are those of the slopes; of an ascent step, what is expected of them.
    f, h = len(etas), 1e-6
    second = {level: term(kernel, numbers, etas, level, dense=0) for level in (STEP, INFORMATION)}
    steps = [h * (np.arange(f) == j)[:, None] for j in range(f)]
    up, down = ([term(kernel, numbers, etas + w * e, SCORE, 0) for e in steps] for w in (1, -1))
    expected = family.whole.parts(obs, family.linked((x @ b, *phi[:, None])), order=2).expected
    for j in range(f):
        for i in range(j + 1):
            at = 1 + 2 * f + j * (j + 1) // 2 + i
            exact = (down[j][1 + i] - up[j][1 + i]) / (2 * h)
            reach = 1e-7 * (1 + np.abs(exact).max())
            assert_allclose(second[INFORMATION][at], exact, rtol=1e-6, atol=reach)
            mean = exact if j < 3 else expected[j - 3, i - 3] if i > 2 else 0.0
            assert_allclose(second[STEP][at], np.broadcast_to(mean, 60), rtol=1e-6, atol=reach)
        assert_array_equal(second[STEP][1 + f + j], second[STEP][at])


@pytest.mark.parametrize("proportional", [False, True])
def test_terms_of_clusters_keep_their_digits_where_effects_are_far_larger(proportional):
    family = with_effects(bmx.family("gaussian"), ["a", "b"], proportional=proportional)
    rng, phi = np.random.default_rng(1), np.array([-1.3, 8.0, -0.07, 8.0 * (not proportional)])
    obs = Observed(rng.normal(size=6), None, 0.0, None, np.zeros(6, int), rng.normal(size=(6, 2)))
    d = family.derivatives(obs, (np.zeros(6), *phi[:, None]))
    kernel = replace(family.kernel, parameters=5)
    numbers = family.kernel.together(obs, np.ones((6, 1)))
    out = term(kernel, numbers, np.append(0.0, phi)[:, None], SCORE, dense=0)
    assert_allclose(out[2:, 0], [f[0] for f in d.first[1:]], rtol=1e-5)


@pytest.mark.parametrize(("name", "link"), TERMS)
def test_a_level_or_a_constant_changes_nothing(name, link):
    family, rng = known(name, link), np.random.default_rng(4)
    kernel, obs = family.kernel, observed(family, 300, rng)
    etas = 0.5 * rng.normal(size=(kernel.parameters, 300))
    etas[1:] = etas[1:, :1]
    given = {"y": obs.y, "trials": obs.trials, "const": obs.const}
    data = np.stack([given[r] for r in kernel.reads])
    whole = term(kernel, data, etas)
    for level in (VALUE, SCORE, STEP, INFORMATION):
        part = term(kernel, data, etas, level, dense=1)
        assert_allclose(part, whole[: len(part)], rtol=1e-13, atol=1e-13)
    etas[0] = etas[0, 0]
    whole, constant = term(kernel, data, etas), term(kernel, data, etas, dense=0)
    assert_allclose(constant, whole, rtol=1e-13, atol=1e-13)


def test_a_table_of_counts_changes_nothing():
    from bayesmix.kernels.terms import family_callback

    kernel, rng = bmx.family("negative_binomial").kernel, np.random.default_rng(4)
    y, etas = (
        rng.poisson(6.0, 300).astype(float),
        np.array([rng.normal(2.0, 1.0, 300), [1.3] * 300]),
    )
    size, counts = kernel.looked[-1], int(y.max()) + 1
    memory, given = np.zeros(size * (BLOCK + counts)), np.zeros((2, BLOCK))
    given[1] = 1.3
    table = memory.ctypes.data + 8 * size * BLOCK
    family_callback(kernel).ctypes(VALUE, 1, counts, 0, 0, given.ctypes.data, 0, 2, table)
    data = np.stack([y, -y])
    for level in (VALUE, SCORE, STEP, INFORMATION):
        looked = term(kernel, data, etas, level, dense=1, table=table)
        assert_allclose(looked, term(kernel, data, etas, level), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("own", "link"), [(o, k) for o, ks in OTHER_LINKS.items() for k in ks])
def test_links_are_chained(own, link):
    from bayesmix.families.links import get_link
    from bayesmix.kernels.terms import link_callback

    eta = {"inverse": np.geomspace(0.01, 50, N_LINK), "log": np.linspace(-30.0, -1e-3, N_LINK)}.get(
        link, np.linspace(0.01, 0.99, N_LINK) if link == "identity" else np.linspace(-30, 3, N_LINK)
    )
    out = np.empty((3, N_LINK))
    link_callback(own, link).ctypes(N_LINK, N_LINK, eta.ctypes.data, out.ctypes.data)
    with mp.workdps(60):
        inverse = {
            "identity": lambda x: x,
            "log": mp.exp,
            "inverse": lambda x: 1 / x,
            "probit": mp.ncdf,
            "cloglog": lambda x: -mp.expm1(-mp.exp(x)),
        }[link]
        outer = {"log": mp.log, "identity": lambda m: m, "logit": lambda m: mp.log(m / (1 - m))}[
            own
        ]
        chain = [
            [mp.diff(lambda x: outer(inverse(x)), mp.mpf(x), k) for k in range(3)] for x in eta
        ]
    exact = np.array(chain, dtype=float).T
    assert get_link(link).name == link
    assert_allclose(out[:2], exact[:2], rtol=1e-12, atol=3e-16)
    assert_allclose(out[2], exact[2], rtol=1e-9, atol=1e-12 * np.abs(exact[1]).max())


def test_outside_a_links_range_the_predictor_is_no_number():
    from bayesmix.kernels.terms import link_callback

    eta, out = np.array([-1.0, 1.5]), np.empty((3, 2))
    link_callback("log", "identity").ctypes(2, 2, eta.ctypes.data, out.ctypes.data)
    assert np.isnan(out[0, 0])
    link_callback("logit", "identity").ctypes(2, 2, eta.ctypes.data, out.ctypes.data)
    assert np.isnan(out[0]).all()


def geometric_term(ops):
    """Failures before the first success, logit link for the success probability."""
    exp, log1p = ops.exp, ops.log1p

    def term(y, eta):
        size = -eta if eta < 0.0 else eta
        odds = exp(-size)
        p = odds / (1.0 + odds) if eta < 0.0 else 1.0 / (1.0 + odds)
        # log p = min(eta, 0) - log1p(odds), log(1 - p) = min(-eta, 0) - log1p(odds)
        logf = -(y + 1.0) * log1p(odds) - (size if eta < 0.0 else y * size)
        information = (y + 1.0) * p * (1.0 - p)
        return logf, 1.0 - (y + 1.0) * p, information, information

    return term


def test_a_family_is_one_scalar_function():
    rng = np.random.default_rng(0)
    y, eta = rng.geometric(0.3, 500) - 1.0, rng.normal(size=500)
    out = term(Kernel("geometric", geometric_term, link="logit"), y[None], eta[None])
    p = special.expit(eta)
    assert_allclose(out[0], np.log(p) + y * np.log1p(-p), rtol=1e-12)
    assert_allclose(out[1], 1 - (y + 1) * p, rtol=1e-12, atol=1e-12)
    assert_allclose(out[3], (y + 1) * p * (1 - p), rtol=1e-12)


def test_no_two_kernels_share_a_name():
    """Code that several processes have kept is linked by name when another loads it."""
    from bayesmix.kernels.terms import family_callback

    names = [bmx.family(name).kernel for name in ("gamma", "student_t", "negative_binomial")]
    for kernel in names:
        assert f"family_{kernel.name}" in family_callback(kernel).native_name


def test_huge_predictors_give_no_nan():
    eta = np.array([-1e300, -1e3, -701.0, 701.0, 1e3, 1e300])
    for name in ("poisson", "binomial", "gamma", "negative_binomial"):
        kernel = bmx.family(name).kernel
        data = {"y": np.full(6, 2.0), "trials": np.full(6, 3.0), "const": np.full(6, -1.0)}
        etas = np.vstack([eta, np.zeros((kernel.parameters - 1, 6))])
        out = term(kernel, np.stack([data[r] for r in kernel.reads]), etas, SCORE)
        assert not np.isnan(out[0]).any(), name
        assert (out[0] < np.inf).all(), name
        assert not np.isnan(out[1:, np.isfinite(out[0])]).any(), name


# --- passes ------------------------------------------------------------------------------------


def mixture(n_threads, n=60_000):
    rng = np.random.default_rng(0)
    matrix = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = rng.normal(size=n)
    kernel = bmx.family("gaussian").kernel
    slots = [
        (
            kernels.Slot(np.array([3 * s, 3 * s + 1]), True),
            kernels.Slot(np.array([3 * s + 2]), False),
        )
        for s in range(2)
    ]
    items = tuple(kernels.Item(s, kernel, "", matrix, None, slots[s], True) for s in range(2))
    kind = np.array([kernels.COEFFICIENT, kernels.COEFFICIENT, kernels.LOG_DISPERSION] * 2)
    data = kernels.Arranged(
        items,
        tuple(kernels.Part([s], "", y[None]) for s in range(2)),
        np.array([[-1], [6]]),
        np.append(kind, kernels.WEIGHT),
        n,
    )
    return kernels.Mixture(data, n_threads), matrix, y


THETA = np.array([[0.3, 0.2, 0.1, -0.5, 0.4, -0.2, 0.7], [0.0, 0.1, 0.0, 0.5, 0.0, 0.2, -0.3]])


def test_a_pass_is_a_few_lines_of_numpy():
    made, X, y = mixture(2)
    sums = made.em_pass(THETA)
    for r, theta in enumerate(THETA):
        pi = np.exp(np.array([0.0, theta[6]]) - np.logaddexp(0.0, theta[6]))
        mu, sigma = X @ theta[[[0, 1], [3, 4]]].T, np.exp(theta[[2, 5]])
        z = (y[:, None] - mu) / sigma
        f = pi * np.exp(-0.5 * z**2) / (sigma * np.sqrt(2 * np.pi))
        share = f / f.sum(1, keepdims=True)
        assert_allclose(sums.loglik[r], np.log(f.sum(1)).sum(), rtol=1e-12)
        assert_allclose(sums.mass[r], share.sum(0), rtol=1e-11)
        for s in range(2):
            score = ((share * z / sigma)[:, s] @ X, (share * (z**2 - 1))[:, s].sum())
            assert_allclose(
                sums.score[r, 3 * s : 3 * s + 3], np.hstack(score), rtol=1e-8, atol=1e-7
            )
        assert_allclose(sums.score[r, 6], share[:, 1].sum() - len(y) * pi[1], rtol=1e-9, atol=1e-7)


def test_threads_change_nothing():
    one, several = mixture(1)[0], mixture(3)[0]
    assert len(one.laid.ranges) > 1
    for a, b in zip(one.em_pass(THETA)[:4], several.em_pass(THETA)[:4], strict=True):
        assert_array_equal(a, b)
    for a, b in zip(one.information(THETA)[:4], several.information(THETA)[:4], strict=True):
        assert_array_equal(a, b)


# --- functions ---------------------------------------------------------------------------------


def probe_term(ops):
    def term(y, _eta):
        mills = ops.mills_both(y)
        return (
            ops.exp(y), ops.log(y), ops.log1p(y), ops.expm1(y), mills[0], mills[1], mills[2],
            *ops.stirling(y),
        )  # fmt: skip

    return term


def evaluate(values):
    """The functions of `probe_term` at some values, (10, n)."""
    from bayesmix.kernels.compile import callback, loader, scalar, store
    from bayesmix.kernels.terms import TERM_SIGNATURE

    global _probe
    if _probe is None:
        from bayesmix.kernels import math as scalars

        probed, load = scalar(probe_term(scalars)), loader(1)

        def loop(_level, _dense, n, data, stride, _etas, out, _p, _table):
            for i in range(n):
                store(out, n, i, probed(load(data, stride, i)[0], 0.0))

        _probe = callback(loop, TERM_SIGNATURE, None)
    out = np.zeros((10, len(values)))
    given = np.ascontiguousarray(values)
    _probe.ctypes(1, 1, len(given), given.ctypes.data, len(given), 0, out.ctypes.data, 1, 0)
    return out


_probe = None


def ulps(values, exact):
    return np.abs(values - exact) / np.spacing(np.abs(exact.astype(float)))


@pytest.mark.parametrize(
    ("row", "function", "low", "high", "logarithmic"),
    [
        (0, np.exp, -708.0, 709.0, False),
        (0, np.exp, -1.0, 1.0, False),
        (1, np.log, -740.0, 709.0, True),
        (1, np.log, -0.7, 0.7, True),
        (2, np.log1p, -40.0, 700.0, True),
        (2, np.log1p, -0.9, 1.0, False),
        (3, np.expm1, -30.0, 700.0, False),
        (3, np.expm1, -0.5, 0.5, False),
    ],
)
def test_functions_are_within_two_units_in_the_last_place(row, function, low, high, logarithmic):
    x = np.random.default_rng(row).uniform(low, high, size=5000)
    x = np.exp(x) if logarithmic else x
    # Where long double is no longer than double, NumPy's own error is half a unit more.
    assert ulps(evaluate(x)[row], function(x.astype(np.longdouble))).max() < 2.5


def test_functions_at_special_values():
    special_values = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 800.0, -800.0, 1.0])
    exp, log, log1p = evaluate(special_values)[:3]
    with np.errstate(all="ignore"):
        assert_allclose(exp, np.exp(special_values), rtol=1e-15)
        assert_allclose(log, np.log(special_values), rtol=1e-15)
        positive = ~(special_values < 0)
        assert_allclose(log1p[positive], np.log1p(special_values[positive]), rtol=1e-15)


def test_mills_ratios_on_both_sides():
    x = np.concatenate([-np.geomspace(1e-8, 30.0, 40), np.geomspace(1e-8, 30.0, 40)])
    got = evaluate(x)[4:7]
    with mp.workdps(60):
        density = [mp.npdf(mp.mpf(v)) for v in x]
        below = [mp.erfc(-mp.mpf(v) / mp.sqrt(2)) / 2 for v in x]
        above = [mp.erfc(mp.mpf(v) / mp.sqrt(2)) / 2 for v in x]
        triples = zip(density, below, above, strict=True)
        exact = np.array([[mp.log(b / a), f / b, f / a] for f, b, a in triples], dtype=float).T
    assert_allclose(got[0], exact[0], rtol=1e-13, atol=3e-15)
    # exp(-x^2 / 2) has the error of its exponent.
    assert (np.abs(got[1:] / exact[1:] - 1) < 3e-15 + 3e-16 * x**2).all()


def test_stirlings_remainder():
    x = np.geomspace(1e-6, 1e8, 200)
    got = evaluate(x)[7:]
    with mp.workdps(60):
        exact = []
        for v in map(mp.mpf, x.tolist()):
            value = mp.loggamma(v) - (v - 0.5) * mp.log(v) + v - mp.log(2 * mp.pi) / 2
            first = v * (mp.psi(0, v) - mp.log(v)) + mp.mpf(1) / 2
            exact.append((value, first, v * (v * mp.psi(1, v) - 1) - mp.mpf(1) / 2))
    assert_allclose(got, np.array(exact, dtype=float).T, rtol=1e-11, atol=2e-14)


# ------------------------------------------------------------------------------------- compilation

PRINT_ONE_MEAN = """
import logging
import numpy as np
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
import numba
settings = lambda: {k: v for k, v in vars(numba.config).items() if k.startswith("CACHE")}
before = settings()
from bayesmix.families.regression.poisson import FAMILY
from bayesmix.kernels.terms import family_callback
data, out = np.ones(2), np.zeros(4 * 256)
kernel = family_callback(FAMILY.kernel)
kernel.ctypes(3, 1, 1, data.ctypes.data, 1, data.ctypes.data, out.ctypes.data, 1, 0)
assert before == settings() and before
print(kernel.cache_hits, out[2 * 256])
"""


@pytest.fixture
def run_copy(tmp_path):
    """Run a script with a copy of the kernels that may be edited, and a cache of its own."""
    package = tmp_path / "bayesmix"
    shutil.copytree(
        Path(kernels.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__")
    )
    (package / "__init__.py").write_text("")

    def run(code=PRINT_ONE_MEAN, cache=tmp_path / "cache"):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(cache)}
        environment.pop("NUMBA_CACHE_DIR", None)
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    run.package, run.cache = package / "kernels", tmp_path / "cache"
    return run


def result_of(done):
    hits, mean = done.stdout.split()
    return int(hits), float(mean)


def test_an_edit_in_a_called_function_of_another_file_is_seen(run_copy):
    first = run_copy()
    assert result_of(first) == (0, pytest.approx(np.e))
    assert "INFO compiling kernels, once per machine" in first.stderr
    second = run_copy()
    assert result_of(second) == (1, pytest.approx(np.e))
    assert second.stderr == ""
    source = run_copy.package / "math.py"
    old = "return 0.0 if x < EXP_MIN else result"
    assert old in source.read_text()
    source.write_text(
        source.read_text().replace(old, "return 0.0 if x < EXP_MIN else 2.0 * result")
    )
    assert result_of(run_copy()) == (0, pytest.approx(2 * np.e))


def test_without_a_writable_folder_kernels_are_compiled_and_this_is_said_once(run_copy, tmp_path):
    # A file in the folder's place stops root too, whom permissions do not.
    (tmp_path / "occupied").touch()
    done = run_copy(cache=tmp_path / "occupied")
    assert result_of(done) == (0, pytest.approx(np.e))
    assert done.stderr.count("WARNING kernels are compiled in every process") == 1


def test_a_numba_whose_private_parts_have_moved_compiles_without_a_cache(run_copy):
    done = run_copy(
        "import numba.core.compiler as c; del c.CompileResult._reduce\n" + PRINT_ONE_MEAN
    )
    assert result_of(done) == (0, pytest.approx(np.e))
    assert done.stderr.count("WARNING kernels are compiled in every process: no cache") == 1


def test_a_damaged_file_is_made_again(run_copy):
    run_copy()
    (file,) = run_copy.cache.rglob("*.kernel")
    file.write_bytes(file.read_bytes()[:1000])
    assert result_of(run_copy()) == (0, pytest.approx(np.e))
    assert result_of(run_copy()) == (1, pytest.approx(np.e))


def test_a_family_that_could_change_unnoticed_is_not_kept():
    poisson = bmx.family("poisson").kernel
    assert "family-poisson" in kernels.kernel_name(poisson)
    normal, amounts = (bmx.family(n).kernel for n in ("gaussian", "hurdle_lognormal"))
    assert normal.make_term in amounts.made_of
    assert (
        kernels.kernel_name(replace(poisson, make_term=lambda ops: poisson.make_term(ops))) is None
    )


def test_numba_is_not_imported_with_the_package(run_copy):
    run_copy("import sys, bayesmix.kernels; assert 'numba' not in sys.modules")
