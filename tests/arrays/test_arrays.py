"""Jets, the functions of arrays, the special functions and the links."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import special

from bayesmix import arrays as xp
from bayesmix.arrays import Jet, jets
from bayesmix.arrays import autodiff as jets_module
from bayesmix.arrays import special as ours
from bayesmix.errors import SpecError
from bayesmix.families.links import LINKS, Link, Linked, get_link

REAL = np.array([-30.0, -4.0, -0.7, 0.3, 2.0, 25.0])
MODERATE = np.array([-3.0, -0.7, 0.3, 2.0, 3.0])
POSITIVE = np.array([1e-3, 0.4, 1.5, 9.9, 10.1, 300.0])
# name -> where the rule holds; a rule that is not here fails the test.
DOMAINS = {
    **dict.fromkeys(("negative", "positive", "absolute", "square", "sin", "cos"), REAL),
    **dict.fromkeys(("exp", "expm1", "sinh", "cosh", "tanh", "arctan"), MODERATE),
    **dict.fromkeys(("log_ndtr", "log_mills", "ndtr", "erf", "erfc"), MODERATE),
    **dict.fromkeys(("expit", "log_expit", "softplus", "log_exprel"), REAL),
    **dict.fromkeys(("sqrt", "log", "log2", "log10", "reciprocal"), POSITIVE),
    **dict.fromkeys(("gammaln", "loggamma", "psi", "stirling"), POSITIVE),
    **dict.fromkeys(("stirling_inverse", "lgamma1p"), POSITIVE),
    **dict.fromkeys(("log1p", "log1pmx"), np.array([-0.99, -0.31, -0.29, -1e-3, 1e-6, 0.5, 40.0])),
    "log1mexp": np.array([-30.0, -4.0, -0.7, -0.69, -1e-3]),
}
BINARY = {
    "add": (REAL, REAL[::-1]),
    "subtract": (REAL, REAL[::-1]),
    "multiply": (REAL, REAL[::-1]),
    "divide": (REAL, REAL[::-1]),
    "maximum": (REAL, REAL[::-1]),
    "minimum": (REAL, REAL[::-1]),
    "logaddexp": (REAL, REAL[::-1]),
    "power": (POSITIVE[:4], MODERATE[1:]),
    "float_power": (POSITIVE[:4], MODERATE[1:]),
    "xlogy": (MODERATE, POSITIVE[:5]),
    "xlog1py": (MODERATE, POSITIVE[:5]),
    "betaln": (POSITIVE, POSITIVE[::-1]),
}


def differences(f, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First derivatives by central differences of values, and of given first derivatives."""
    h = 1e-5 * np.maximum(np.abs(x), 1e-3)
    return h, (f(x + h) - f(x - h)) / (2 * h)


def test_every_rule_is_tested():
    assert set(DOMAINS) == set(jets_module._RULES)
    assert set(BINARY) == set(jets_module._BINARY)


@pytest.mark.parametrize("name", sorted(jets_module._RULES))
def test_a_rule_agrees_with_finite_differences(name):
    value, first, second = jets_module._RULES[name]
    x = DOMAINS[name]
    h, slope = differences(value, x)
    got = first(x, value(x))
    rounding = 1e-15 * np.abs(value(x)) / h
    np.testing.assert_array_less(np.abs(got - slope), 1e-6 * np.abs(slope) + rounding + 1e-12)
    h, bend = differences(lambda t: first(t, value(t)), x)
    got = second(x, value(x))
    rounding = 1e-15 * np.abs(first(x, value(x))) / h
    np.testing.assert_array_less(np.abs(got - bend), 1e-6 * np.abs(bend) + rounding + 1e-12)


@pytest.mark.parametrize("name", sorted(jets_module._RULES))
def test_the_chain_rule_through_a_function_of_two_variables(name):
    f = jets_module._RULES[name][0]
    x = DOMAINS[name]
    a, b = jets(np.ones_like(x), x)
    jet = (a * b).apply(name)
    value, first, second = (rule(x, f(x)) for rule in (lambda x, v: v, *_rules(name)))
    np.testing.assert_allclose(jet.value, value)
    np.testing.assert_allclose(jet.first, [x * first, first])
    cross = first + x * second
    np.testing.assert_allclose(jet.second, [[x * x * second, cross], [cross, second]])


def _rules(name: str):
    return jets_module._RULES[name][1:]


def numbers_function(name: str):
    return getattr(np, name, None) or getattr(special, name)


@pytest.mark.parametrize("name", sorted(jets_module._BINARY))
@pytest.mark.parametrize("which", ["both", "left", "right"])
def test_a_function_of_two_arguments_agrees_with_finite_differences(name, which):
    f = numbers_function(name)
    a, b = BINARY[name]
    if name in ("power", "float_power") and which == "left":
        b = np.array([0.0, 1.0, 2.0, -1.5])
    ja, jb = jets(a, b)
    jet = f(ja if which != "right" else a, jb if which != "left" else b)
    np.testing.assert_allclose(jet.value, f(a, b), rtol=1e-13)

    def gradient(a, b):
        ja, jb = jets(a, b)
        return f(ja if which != "right" else a, jb if which != "left" else b).first

    for j, x in enumerate((a, b)):
        h = 1e-6 * np.maximum(np.abs(x), 1e-2)
        up, down = ((a + h, b), (a - h, b)) if j == 0 else ((a, b + h), (a, b - h))
        held = (j == 0 and which == "right") or (j == 1 and which == "left")
        slope = 0 * x if held else (f(*up) - f(*down)) / (2 * h)
        tolerance = 1e-6 * np.abs(slope) + 1e-15 * np.abs(f(a, b)) / h + 1e-9
        np.testing.assert_array_less(np.abs(jet.first[j] - slope), tolerance)
        if held:
            np.testing.assert_array_equal(jet.second[j], 0 * jet.second[j])
            continue
        bend = (gradient(*up) - gradient(*down)) / (2 * h)
        tolerance = 1e-6 * np.abs(bend) + 1e-15 * np.abs(jet.first) / h + 1e-9
        np.testing.assert_array_less(np.abs(jet.second[j] - bend), tolerance)


def test_arithmetic_with_numbers_arrays_and_booleans():
    (x,) = jets(np.array([2.0, 3.0]))
    y = 1 - x + (np.array([1.0, 2.0]) > 1.5) - np.array([True, False]) + 2**x / x**2 - (-x) + +x
    np.testing.assert_allclose(
        y.value, 1 - x.value + [-1, 1] + 2**x.value / x.value**2 + 2 * x.value
    )
    np.testing.assert_allclose((x**0).second, 0)
    np.testing.assert_allclose((x**1).first, 1)
    np.testing.assert_allclose((1 / x).first[0], -1 / x.value**2)
    np.testing.assert_allclose(abs(-x).first[0], 1)
    (zero,) = jets(np.zeros(1))
    np.testing.assert_array_equal((zero**1).second, 0)
    np.testing.assert_array_equal((zero**2).second, 2)


def test_comparisons_and_choices():
    (x,) = jets(np.array([-1.0, 0.0, 2.0]))
    for got, want in (
        (x > 0, [0, 0, 1]), (x >= 0, [0, 1, 1]), (x < 0, [1, 0, 0]), (x <= 0, [1, 1, 0]),
        (x == 0, [0, 1, 0]), (x != 0, [1, 0, 1]), (np.zeros(3) == x, [0, 1, 0]),
        (np.zeros(3) < x, [0, 0, 1]), (np.sign(x), [-1, 0, 1]), (np.isfinite(x), [1, 1, 1]),
    ):  # fmt: skip
        np.testing.assert_array_equal(got, want)
    y = np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0)
    np.testing.assert_allclose(y.first[0], [0, 0, 0.5])
    np.testing.assert_allclose(np.where([True, False, True], x, -x).first[0], [1, -1, 1])
    np.testing.assert_allclose(np.clip(x, -0.5, 1.0).value, [-0.5, 0, 1])
    np.testing.assert_allclose(np.clip(x, -0.5, 1.0).first[0], [0, 1, 0])
    np.testing.assert_array_equal(np.zeros_like(x) + np.ones_like(x), [1, 1, 1])
    assert np.shape(x) == x.shape == (3,)
    assert np.ndim(x) == x.ndim == 1


def test_zero_times_the_logarithm_of_zero():
    (x,) = jets(np.array([0.0, 2.0]))
    y = special.xlogy(np.array([0.0, 3.0]), x)
    np.testing.assert_allclose(y.value, [0, 3 * np.log(2)])
    np.testing.assert_allclose(y.first[0], [0, 1.5])
    a, b = jets(np.array([0.0]), np.array([2.0]))
    assert special.xlogy(a, b).first[0, 0] == pytest.approx(np.log(2))
    np.testing.assert_array_equal(xp.times(np.array([0.0, 2.0]), np.array([-np.inf, 3.0])), [0, 6])


def test_values_broadcast_with_arrays_of_more_dimensions():
    a, b = jets(np.array(2.0), np.array(3.0))
    column = np.arange(1.0, 4.0)[:, None]
    grid = column * np.ones(2)
    for jet in (a * b * grid, grid * (a * b), np.where(grid > 0, a * b, 0.0) * grid):
        assert jet.value.shape == (3, 2)
        assert jet.first.shape == (2, 3, 2)
        np.testing.assert_allclose(jet.first[0], 3 * grid)
        np.testing.assert_allclose(jet.second[0, 1], grid)
    row = jets(np.ones(2), np.ones(2))[0]
    for jet in (row + column, column - row, row / column, column**row, np.maximum(row, column)):
        assert jet.shape == (3, 2)
        assert jet.second.shape == (2, 2, 3, 2)


def test_what_has_no_rule_says_so():
    (x,) = jets(np.array([2.0]))
    array = np.ones(1)
    with pytest.raises(TypeError, match=r"'kv' has no derivative rule.*gammaln"):
        special.kv(1.0, x)
    with pytest.raises(TypeError, match="'sum' has no"):
        np.sum(x)
    with pytest.raises(TypeError, match=r"a \+= b"):
        array += x
    with pytest.raises(TypeError, match="array of numbers"):
        np.asarray(x, dtype=float)
    with pytest.raises(TypeError, match="number"):
        array[0] = x
    with pytest.raises(TypeError, match=r"numpy\.where does that"):
        bool(x > 0 and x)
    with pytest.raises(TypeError):
        hash(x)


# --- special functions ---------------------------------------------------------------------


def test_stirlings_remainder():
    # S(a), a S'(a) and a^2 S''(a) by mpmath, 50 digits.
    table = {
        1e-10: (10.593986934110418, -0.4999999977551365, 0.4999999999),
        0.5: (0.15342640972002736, -0.13518142273073908, 0.23370055013616983),
        1.0: (0.08106146679532726, -0.07721566490153287, 0.14493406684822643),
        9.99: (0.00833889679773433, -0.008333356094317899, 0.016650152489545142),
        10.01: (0.008322246702576166, -0.008316739020024515, 0.016617016787932478),
        1e10: (8.333333333333334e-12, -8.333333333333334e-12, 1.6666666666666667e-11),
    }
    for a, row in table.items():
        np.testing.assert_allclose(np.ravel(ours.stirling(np.array([a]))), row, rtol=1e-11)
    mixed = ours.stirling(np.array(list(table)))
    np.testing.assert_allclose(np.transpose(mixed), list(table.values()), rtol=1e-11)
    np.testing.assert_array_equal(ours.stirling_value(np.array(list(table))), mixed.value)
    assert ours.stirling(10.5).value.shape == ()


def test_the_inverse_mills_ratio_in_the_tail():
    # mills(x) + x by mpmath.
    table = {
        -1e5: 9.999999998e-06,
        -60.0: 0.016657420241124928,
        -50.0: 0.01998403190563981,
        -40.0: 0.024968847207263722,
    }
    got = ours.mills_excess(np.array(list(table)))
    np.testing.assert_allclose(got, list(table.values()), rtol=1e-11)
    np.testing.assert_allclose(ours.mills(np.array([-1e5, 0.0, 50.0])), [1e5, 0.797884560803, 0.0])


def test_logarithms_without_cancellation():
    x = np.array([1e-12, -1e-12, 1e-5, 0.29, 0.31, -0.29, -0.31, 0.0])
    series = -(x**2) / 2 + x**3 / 3
    np.testing.assert_allclose(ours.log1pmx(x)[:3], series[:3], rtol=1e-10)
    np.testing.assert_allclose(ours.log1pmx(x)[3:], (np.log1p(x) - x)[3:], rtol=1e-14)
    np.testing.assert_allclose(ours.log1mexp(np.array([-1e-20, -800.0])), [np.log(1e-20), -0.0])


# --- links ---------------------------------------------------------------------------------

ETAS = {
    "identity": np.array([0.01, 0.3, 0.8]),
    "inverse": np.array([1.01, 2.0, 30.0]),
    "log": np.array([-30.0, -2.0, -0.01]),
    "logit": np.array([-30.0, -2.0, 0.0, 0.4, 20.0]),
    "probit": np.array([-8.0, -2.0, 0.0, 0.4, 5.0]),
    "cloglog": np.array([-35.0, -30.0001, -29.9999, -2.0, 0.0, 0.4, 2.0]),
}


def test_every_link_is_tested():
    assert set(ETAS) == set(LINKS)


@pytest.mark.parametrize("name", sorted(LINKS))
def test_a_link_inverts_and_has_its_derivatives(name):
    link, eta = LINKS[name], ETAS[name]
    v = Linked(link, eta)
    near = eta[v.value < 1 - 1e-6] if link.upper == 1 else eta  # rounding of mu near one
    np.testing.assert_allclose(link.forward(link.inverse(near)), near, rtol=1e-9)
    assert ((v.value > link.lower) & (v.value < link.upper)).all()
    h, slope = differences(link.inverse, eta)
    np.testing.assert_array_less(
        np.abs(link.slope(eta) - slope), 1e-6 * np.abs(slope) + 1e-15 * np.abs(v.value) / h
    )
    np.testing.assert_allclose(v.log, np.log(v.value), rtol=1e-9, atol=1e-12)
    safe = v.value < 0.9
    np.testing.assert_allclose(v.log1m[safe], np.log1p(-v.value[safe]), rtol=1e-9)


@pytest.mark.parametrize("name", sorted(LINKS))
def test_a_link_of_jets_has_the_same_derivatives(name):
    link, eta = LINKS[name], ETAS[name]
    v, jet = Linked(link, eta), link.inverse(jets(eta)[0])
    np.testing.assert_allclose(jet.value, v.value, rtol=1e-12)
    slope = link.slope(jets(eta)[0]) + 0.0 * jets(eta)[0]
    np.testing.assert_allclose(jet.first[0], slope.value, rtol=1e-10)
    np.testing.assert_allclose(jet.second[0, 0], slope.first[0], rtol=1e-9, atol=1e-15)
    for part in ("log", "log1m"):
        jet = getattr(Linked(link, jets(eta)[0]), part)
        h, slope = differences(getattr(link, f"{part}_inverse"), eta)
        rounding = 1e-15 * np.abs(jet.value) / h
        np.testing.assert_array_less(
            np.abs(jet.first[0] - slope), 1e-6 * np.abs(slope) + rounding + 1e-14
        )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "eta", "log", "log1m"),
    [
        ("logit", 800.0, 0.0, -800.0),
        ("logit", -800.0, -800.0, 0.0),
        ("probit", -40.0, -804.608442, 0.0),
        ("probit", 40.0, 0.0, -804.608442),
        ("cloglog", -800.0, -800.0, 0.0),
        ("cloglog", 6.0, -np.exp(-np.exp(6.0)), -np.exp(6.0)),
        ("cloglog", 100.0, 0.0, -np.exp(100.0)),
        ("log", -800.0, -800.0, 0.0),
        ("log", -1e-20, -1e-20, np.log(1e-20)),
        ("inverse", 1e200, -200 * np.log(10), 0.0),
    ],
)
def test_logarithms_in_the_tails(name, eta, log, log1m):
    v = Linked(LINKS[name], np.array([eta]))
    assert v.log[0] == pytest.approx(log, rel=1e-9, abs=1e-300)
    assert v.log1m[0] == pytest.approx(log1m, rel=1e-9, abs=1e-100)
    with np.errstate(all="ignore"):
        jet = Linked(LINKS[name], jets(np.array([eta]))[0]).log
    assert np.isfinite(jet.first).all()
    assert np.isfinite(jet.second).all()


def test_links_by_name():
    assert get_link(LINKS["log"]) is LINKS["log"]
    assert pickle.loads(pickle.dumps(LINKS["probit"])) is LINKS["probit"]
    for unknown in ("square", None, ["log"]):
        with pytest.raises(SpecError, match="is unknown; use one of cloglog, identity"):
            get_link(unknown)


def _double(x):
    return 2.0 * x


def test_a_link_of_ones_own_is_pickled_with_its_functions():
    link = Link("twice", _double, *[_double] * 4)
    copy = pickle.loads(pickle.dumps(link))
    assert copy.forward is _double
    assert repr(copy) == "Link('twice')"


# --- PyTensor ------------------------------------------------------------------------------


def test_functions_of_tensors_agree_with_those_of_arrays():
    pytensor = pytest.importorskip("pytensor")
    import pytensor.tensor as pt

    unary = {
        "stirling_inverse": POSITIVE, "lgamma1p": POSITIVE,
        "stirling": POSITIVE, "log1pmx": np.array([-0.5, 0.2, 3.0]), "expit": REAL,
        "log_ndtr": np.array([-1e4, -40.0, -1.5, -0.5, 3.0, 40.0]), "ndtr": REAL[:-1],
        "log_mills": np.array([-1e4, -40.0, -1.5, -0.5, 3.0, 40.0]),
        "log1mexp": DOMAINS["log1mexp"], "softplus": REAL, "gammaln": POSITIVE,
        "digamma": POSITIVE, "abs": REAL, "sqrt": POSITIVE, "square": REAL,
    }  # fmt: skip
    inputs, outputs, expected = [], [], []
    for name, x in unary.items():
        f, v = getattr(xp, name), pt.vector(name, dtype="float64")
        jet = f(jets(x)[0])
        inputs.append((v, x))
        outputs += [f(v), pytensor.grad(f(v).sum(), v)]
        expected += [f(x), jet.first[0]]
    for name, link in LINKS.items():
        eta = ETAS[name]
        v = pt.vector(name, dtype="float64")
        inputs.append((v, eta))
        for part in ("value", "log", "log1m"):
            outputs.append(getattr(Linked(link, v), part))
            expected.append(getattr(Linked(link, eta), part))
    a, b = pt.vectors("a", "b")
    inputs += [(a, POSITIVE), (b, POSITIVE[::-1])]
    outputs += [xp.betaln(a, b), xp.logaddexp(a, b), xp.where(a > b, a, b), xp.clip(a, 1.0, 9.0)]
    outputs += [xp.times(np.array([0.0, 1, 2, 3, 4, 5]), a)]
    x, y = POSITIVE, POSITIVE[::-1]
    expected += [special.betaln(x, y), np.logaddexp(x, y), np.maximum(x, y), np.clip(x, 1, 9)]
    expected += [x * np.arange(6)]
    function = pytensor.function([v for v, _ in inputs], outputs, mode="FAST_COMPILE")
    for got, want in zip(function(*(x for _, x in inputs)), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


def test_a_jet_is_what_the_functions_make_of_a_jet():
    (x,) = jets(POSITIVE)
    for name in ("exp", "log", "stirling", "log_ndtr", "expit", "square", "abs"):
        assert isinstance(getattr(xp, name)(x), Jet)
    assert isinstance(xp.where(x > 1, x, 0.0), Jet)
    assert isinstance(xp.betaln(x, 2.0), Jet)
    assert isinstance(xp.logaddexp(0.0, x), Jet)
    assert isinstance(xp.clip(x, 0, 1), Jet)
    np.testing.assert_allclose(xp.logaddexp(x, np.full(6, -np.inf)).first[0], 1)
    np.testing.assert_array_equal(xp.logaddexp(x, np.full(6, -1e18)).value, x.value)
