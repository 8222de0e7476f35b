"""Natural cubic splines against SciPy's, and the roughness of both kinds of splines."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import BSpline, CubicSpline

import bayesmix as bmx
from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.design import build_design
from bayesmix.formula.parser import parse_formula
from bayesmix.formula.scope import Scope
from bayesmix.formula.splines import NaturalSpline, roughness

X = np.random.default_rng(3).gamma(2.0, size=80)


def design(text, data):
    parsed = parse_formula(text, "formula")
    given = {"implicit_intercept": True, "reference_coding": True}
    return build_design(parsed, data, Scope([]), **given)


@pytest.mark.parametrize("knots", [None, [0.5, 1.0, 4.0]])
def test_natural_splines_interpolate_the_values_at_their_knots(knots):
    made = NaturalSpline("cr")
    columns = made(X, df=6 if knots is None else None, knots=knots, center=False)
    if knots is None:
        np.testing.assert_allclose(made.knots, np.quantile(np.unique(X), np.linspace(0, 1, 6)))
    other = CubicSpline(made.knots, np.eye(len(made.knots)), bc_type="natural")
    np.testing.assert_allclose(columns, other(X), atol=1e-12)
    bent = made.roughness
    at, weight = np.polynomial.legendre.leggauss(4)
    exact = 0.0
    for low, high in pairwise(made.knots):
        second = other(low + (high - low) * (1 + at) / 2, 2)
        exact = exact + (second.T * weight * (high - low) / 2) @ second
    np.testing.assert_allclose(bent, exact, rtol=1e-9, atol=1e-9 * np.abs(exact).max())


def test_roughness_of_b_splines_is_the_integral_of_the_squared_second_derivative():
    inner, ends = np.array([0.2, 0.25, 0.7]), [0.0, 1.0]
    knots = np.r_[[0.0] * 4, inner, [1.0] * 4]
    curve = BSpline(knots, np.eye(7), 3)
    fine = np.concatenate([np.linspace(a, b, 4001) for a, b in pairwise(knots[3:8])])
    second = curve(fine, 2)
    exact = np.trapezoid(second[:, :, None] * second[:, None], fine, axis=0)
    found = roughness(curve, np.r_[ends[0], inner, ends[1]], 3)
    np.testing.assert_allclose(found, exact, atol=2e-6 * np.abs(exact).max())


def test_natural_splines_in_formulas_are_centred_remembered_and_not_extrapolated():
    data = pd.DataFrame({"x": X})
    found = design("~ cr(x, df=5)", data)
    assert found.terms == ("Intercept", *(f"cr(x, df=5)[{j}]" for j in range(5)))
    np.testing.assert_allclose(found.matrix[:, 1:].mean(0), 0, atol=1e-12)
    line = np.linalg.lstsq(found.matrix, X, rcond=None)[0]  # straight lines are among them
    np.testing.assert_allclose(found.matrix @ line, X, atol=1e-9)
    again, _ = found.apply(data.iloc[5:8])
    np.testing.assert_allclose(again, found.matrix[5:8], atol=1e-12)
    with pytest.raises(DataError, match=r"cr\(\.\.\.\) was made for values from"):
        found.apply(pd.DataFrame({"x": [-1.0]}))
    wide = design("~ cr(x, df=5, lower_bound=0, upper_bound=20)", data)
    assert np.isfinite(wide.apply(pd.DataFrame({"x": [0.0, 20.0]}))[0]).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("~ cr(x)", "one of df= and knots="),
        ("~ cr(x, df=1)", "at least 2"),
        ("~ cr(x, df=4, knots=[1, 2])", "one of df= and knots="),
        ("~ cr(x, knots=[-5])", "from the lower end to the upper"),
        ("~ cr(x, df=10**9)", "more than 1000 columns"),
    ],
)
def test_wrong_natural_splines_are_refused(text, said):
    with pytest.raises(FormulaError, match=said):
        design(text, pd.DataFrame({"x": X}))


def test_a_stored_model_with_a_natural_spline_is_the_same(tmp_path):
    data = pd.DataFrame({"x": X, "y": np.sin(X)})
    spec = bmx.Mixture("y ~ cr(x, df=4)", data, k=1)
    fit = spec.fit("em", seed=1)
    fit.save(tmp_path / "fit.nc")
    new = pd.DataFrame({"x": [0.5, 1.7]})
    pd.testing.assert_frame_equal(bmx.load(tmp_path / "fit.nc").predict(new), fit.predict(new))
