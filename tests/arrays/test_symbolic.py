"""NumPy and SciPy functions of PyTensor variables, against the functions themselves."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import special

from bayesmix import arrays as xp
from bayesmix.arrays.symbolic import Symbol, plain

X = np.array([0.2, 0.7, 1.0, 2.5])
Y = np.array([1.5, 0.3, 1.0, 0.9])

ONE = {
    **{n: getattr(np, n) for n in ("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin")},
    **{n: getattr(np, n) for n in ("cos", "sinh", "cosh", "tanh", "arctan", "square", "floor")},
    **{n: getattr(np, n) for n in ("reciprocal", "negative", "absolute", "isfinite", "isnan")},
    **{n: getattr(special, n) for n in ("gammaln", "loggamma", "psi", "expit", "log_expit", "erf")},
    **{n: getattr(special, n) for n in ("erfc", "ndtr", "log_ndtr")},
    "clip": lambda x: np.clip(x, 0.5, 2.0),
    "where": lambda x: np.where(x > 0.5, x, -x),
    "ones": lambda x: np.ones_like(x) + np.zeros_like(x) + np.full_like(x, 2.0),
    "logit": lambda x: special.logit(x / 3),
    "sum": lambda x: x * np.sum(x) + x.max() - x.min(),
    "either": lambda x: ((x < 0.5) | (x >= 2.5)) & ~(x == 1.0),
}
TWO = {
    **{n: getattr(np, n) for n in ("add", "subtract", "multiply", "divide", "power")},
    **{n: getattr(np, n) for n in ("maximum", "minimum", "logaddexp", "equal", "less")},
    **{n: getattr(special, n) for n in ("xlogy", "xlog1py", "betaln")},
    "operators": lambda x, y: (2 - x) / (1 + y) ** 2 - 3 * x + abs(-y) + y // 0.4 - y % 0.4,
    "right": lambda x, y: 2**x + 1 / y - (1 - x) * (x != y),
}


def evaluated(function, *arrays):
    variables = [pt.vector(dtype="float64") for _ in arrays]
    found = plain(function(*map(Symbol, variables)))
    return pytensor.function(variables, found, mode="FAST_COMPILE")(*arrays)


@pytest.mark.parametrize("name", ONE)
def test_functions_of_one(name):
    np.testing.assert_allclose(evaluated(ONE[name], X), ONE[name](X), rtol=1e-12)


@pytest.mark.parametrize("name", TWO)
def test_functions_of_two(name):
    np.testing.assert_allclose(evaluated(TWO[name], X, Y), TWO[name](X, Y), rtol=1e-12)
    np.testing.assert_allclose(evaluated(lambda x: TWO[name](x, Y), X), TWO[name](X, Y), rtol=1e-12)


def test_zero_times_an_infinite_logarithm():
    x = np.array([0.0, 1.0])
    np.testing.assert_array_equal(evaluated(special.xlogy, x, x), [0.0, 0.0])


def test_functions_of_bayesmix_take_bare_variables_and_symbols():
    for given in (lambda v: v, Symbol):
        x = pt.vector()
        found = xp.where(given(x) > 1, xp.log(given(x)), xp.stirling(given(x)))
        assert isinstance(found, Symbol) == (given is Symbol)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: special.spence(x),
        lambda x: np.cumsum(x),
        lambda x: np.array(x, float),
        lambda x: float(x[0]),
        lambda x: x if x else -x,
        lambda x: np.add.reduce(x),
    ],
)
def test_what_has_no_graph_is_refused(call):
    with pytest.raises(TypeError, match="not a function of PyTensor"):
        call(Symbol(pt.vector()))
