"""Functions that remember the data: weighted rows, copies, blocks and stored models alike."""

import formulae
import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import BSpline

import bayesmix as bmx
from bayesmix.errors import DataError, DataWarning, FormulaError
from bayesmix.formula.design import build_design
from bayesmix.formula.parser import parse_formula
from bayesmix.formula.scope import Scope
from bayesmix.formula.sources import survey
from bayesmix.formula.splines import weighted_quantile

RNG = np.random.default_rng(5)
N = 90
DATA = pd.DataFrame(
    {"x": RNG.gamma(2.0, size=N), "z": 1e6 + RNG.normal(size=N), "w": RNG.integers(1, 5, N)}
)
DATA["y"] = DATA["x"] + RNG.normal(size=N)
COPIES = DATA.loc[np.repeat(DATA.index, DATA["w"])].reset_index(drop=True)
TERMS = [
    "center(x)",
    "scale(z)",
    "poly(x, 4)",
    "poly(z, 3)",
    "bs(x, df=6)",
    "bs(x, df=5, center=False)",
    "bs(log(x), knots=[-1, 0], degree=2)",
    "cr(x, df=4)",
    "scale(poly(x, 2))",
    "I(center(x) * scale(z))",
]


def columns(text, data, weight=None, new=None):
    parsed = parse_formula(f"~ 0 + {text}", "concomitant")
    given = {"implicit_intercept": True, "reference_coding": True}
    design = build_design(parsed, data, Scope([]), weight=weight, **given)
    return design.apply(data if new is None else new)[0]


@pytest.mark.parametrize("text", TERMS)
def test_a_weight_is_as_many_copies(text):
    found = columns(text, DATA, DATA["w"].to_numpy(float))
    np.testing.assert_allclose(found, columns(text, COPIES, new=DATA), rtol=1e-9, atol=1e-9)


def test_constants_are_those_of_numpy():
    w, x = DATA["w"].to_numpy(float), DATA["x"].to_numpy()
    mean = np.average(x, weights=w)
    sd = np.sqrt(np.average((x - mean) ** 2, weights=w))
    np.testing.assert_allclose(columns("scale(x)", DATA, w)[:, 0], (x - mean) / sd)
    small = DATA.assign(x=1e-4 * x)
    found = columns("scale(poly(x, 5, raw=True))", small, w)
    expected = np.column_stack([columns(f"scale(I(x**{p}))", DATA, w) for p in range(1, 6)])
    np.testing.assert_allclose(found, expected, atol=1e-9)
    powers = np.vander(COPIES["x"], 5, increasing=True)
    q, r = np.linalg.qr(powers)
    expected = (q * np.sign(np.diag(r)))[:, 1:]
    np.testing.assert_allclose(columns("poly(x, 4)", COPIES), expected, atol=1e-10)
    inner = np.quantile(COPIES["x"], [1 / 3, 2 / 3])
    knots = np.r_[[x.min()] * 4, inner, [x.max()] * 4]
    basis = BSpline(knots, np.eye(6), 3)(x)
    np.testing.assert_allclose(columns("bs(x, df=6, center=False)", DATA, w), basis, atol=1e-12)


def test_quantiles_of_weighted_values():
    shares = np.linspace(0, 1, 13)
    values, counts = np.unique(np.round(COPIES["x"], 1), return_counts=True)
    expected = np.quantile(np.round(COPIES["x"], 1), shares)
    np.testing.assert_allclose(weighted_quantile(values, counts.astype(float), shares), expected)
    assert (weighted_quantile(values, counts * 1e-3, shares) >= values[0]).all()


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_any_unit(factor):
    other = DATA.assign(x=DATA["x"] * factor)
    for text in ("scale(x)", "poly(x, 3)"):
        np.testing.assert_allclose(columns(text, other), columns(text, DATA), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("poly(f, 3)", DataError, "at least 4 different values, and x has 3"),
        ("poly(x, 0)", FormulaError, "a whole number of at least 1"),
        ("scale(one)", DataError, "all the same"),
        ("center(log(one - 1))", DataError, "missing or infinite"),
        ("bs(x, df=2)", FormulaError, "df=2.* is too small for degree=3; it has at least 3"),
        ("bs(x, df=4.5)", FormulaError, "whole number"),
        ("bs(x, df=5, knots=[1])", FormulaError, "df=5 has 2 of them"),
        ("bs(x, knots=[-9])", FormulaError, "between the ends"),
        ("bs(x, df=4, include_intercept=True)", FormulaError, "df=, knots=, degree=.*center="),
        ("center(x, 2)", FormulaError, "takes no options"),
        ("bs(x, 4, df=5)", FormulaError, "has df= twice"),
        ("bs(x, df=5, upper_bound=1)", DataError, "lie outside"),
    ],
)
def test_what_cannot_be_is_refused(text, error, said):
    data = DATA.assign(f=np.arange(N) % 3, one=1.0)
    with pytest.raises(error, match=said):
        columns(text, data)


def test_rows_of_weight_zero_are_no_rows():
    weight = (DATA["x"] < 3).to_numpy(float)
    some = DATA[DATA["x"] < 3]
    for text in ("poly(x, 3)", "scale(z)"):
        found = columns(text, DATA, weight)
        np.testing.assert_allclose(found, columns(text, some, new=DATA), atol=1e-9)
    with pytest.raises(DataError, match="lie outside"):
        columns("bs(x, df=4)", DATA, weight)


def test_rows_in_blocks_give_the_constants_of_all(monkeypatch, tmp_path):
    monkeypatch.setattr(survey, "SAMPLE", 60)
    monkeypatch.setattr(survey, "FEW", 3)
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"x": rng.gamma(2.0, size=2000), "w": rng.integers(1, 4, 2000)})
    data["y"] = np.sin(data["x"]) + rng.normal(size=2000)
    right = "~ scale(x) + poly(log(x), 3) + center(poly(exp(-x), 2)) + center(poly(w, 1, raw=True))"
    given = {"k": 1, "weights": "w", "fixed": right}
    part = bmx.Mixture("y ~ 1", bmx.scan(data, rows=300), **given)._specification
    whole = bmx.Mixture("y ~ 1", data, **given)._specification
    assert len(part.prepared.table) < 200
    new = data.iloc[:40]
    designs = [s.prepared.parts[0].designs[0] for s in (part, whole)]
    np.testing.assert_allclose(*(d.apply(new)[0] for d in designs), rtol=1e-9, atol=1e-9)
    spec = bmx.Mixture("y ~ bs(x, df=5)", bmx.scan(data, rows=300), k=1)
    ((spline, _),) = spec._specification.prepared.parts[0].designs[0].splines().values()
    ranks = [(data["x"] <= knot).mean() for knot in spline.knots]
    np.testing.assert_allclose(ranks, [0, 1 / 3, 2 / 3, 1], atol=0.03)
    assert [*spline.knots[[0, -1]]] == [data["x"].min(), data["x"].max()]
    fit = spec.fit("em", seed=1)
    fit.save(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(bmx.load(tmp_path / "fit.nc").predict(new), fit.predict(new))


@pytest.mark.parametrize(
    "text", ["center(x)", "scale(x)", "poly(x, 3)", "bs(x, df=6)", "cr(x, df=4)"]
)
def test_rows_of_weight_one_have_the_columns_of_formulae(text):
    expected = np.asarray(formulae.design_matrices(f"y ~ 0 + {text}", DATA).common)
    found = columns(text, DATA)
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())


def test_shares_as_weights_place_the_knots_as_weights_do():
    w = DATA["w"].to_numpy(float)
    values, shares = np.sort(DATA["x"].to_numpy()), np.array([0.25, 0.5, 0.75])
    even = weighted_quantile(values, np.full(N, 1 / N), shares)
    np.testing.assert_allclose(even, np.quantile(values, shares))
    knots = weighted_quantile(values, w / w.sum(), shares)
    ranks = [w[: np.searchsorted(values, k)].sum() / w.sum() for k in knots]
    np.testing.assert_allclose(ranks, shares, atol=2 * w.max() / w.sum())


def test_units_events_and_missing_responses_in_blocks(monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE", 60)
    monkeypatch.setattr(survey, "FEW", 3)
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"id": np.repeat(np.arange(400), 3), "x": rng.gamma(2.0, size=1200)})
    data = data.assign(t=rng.weibull(1.5, size=1200), s=1, e=rng.choice(["a", "b"], 1200))
    data["y"] = np.where(rng.random(1200) < 0.2, np.nan, data["x"])
    data["age"] = np.repeat(rng.normal(40, 9, 400), 3)
    gaps = data["y"].isna()
    some = data.assign(
        t=data["t"].mask(gaps & (data["x"] < 1)), x=data["x"].mask(gaps & (data["x"] >= 1))
    )
    once = data.assign(T=np.repeat(rng.weibull(2, 400), 3))
    once.loc[once.index % 3 != 0, ["T", "age"]] = np.nan
    both = [
        bmx.Regression("x ~ 1"),
        bmx.Regression("surv(T, s) ~ scale(age)", family="weibull", per="unit"),
    ]
    models = {
        "unit": lambda rows: bmx.Mixture(both, rows(once), k=1, group="id"),
        "fiml": lambda rows: bmx.Mixture(
            "y ~ scale(t) + scale(x)", rows(some), k=1, na_action="fiml"
        ),
        "events": lambda rows: bmx.CompetingRisks(
            {"a": "surv(t, s) ~ scale(x)", "b": "surv(t, s) ~ poly(x, 2)"},
            rows(data),
            event="e",
            family="weibull",
        ),
    }
    for made in models.values():
        specs = [
            made(rows)._specification for rows in (lambda d: bmx.scan(d, rows=300), lambda d: d)
        ]
        part, whole = (s.prepared.parts[-1].designs for s in specs)
        for one, other in zip(part, whole, strict=True):
            new = data.iloc[:6]
            np.testing.assert_allclose(one.apply(new)[0], other.apply(new)[0], atol=1e-10)


def test_knots_from_a_sample_are_reported(monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE", 60)
    rows = bmx.scan(
        DATA.assign(t=1 + DATA["x"], s=1, e=np.where(DATA["z"] > 1e6, "a", "b")), rows=50
    )
    with pytest.warns(DataWarning, match=r"^cr\(x, df=4\), cr\(z, df=4\): the knots are quantiles"):
        bmx.CompetingRisks(
            "surv(t, s) ~ cr(x, df=4)", rows, "e", "weibull", concomitant="~ cr(z, df=4)"
        )
