"""Designs, rows and units, against matrices written by hand and counts known from R."""

import copy
import pickle
import time
import warnings

import numpy as np
import pandas as pd
import pytest

from bayesmix.datasets import load_data
from bayesmix.errors import BayesmixError, DataError, FormulaError
from bayesmix.formula.design import build_design
from bayesmix.formula.frames import build_units, check_columns, select_rows
from bayesmix.formula.parser import parse_formula
from bayesmix.formula.rank import rank_deficiency
from bayesmix.formula.scope import Scope

NOTHING = Scope()


def design(text, data, scope=NOTHING, role=None, *, implicit=True, reference=False):
    role = role or ("formula" if "~" in text else "fixed")
    return build_design(
        parse_formula(text, role),
        data,
        scope,
        implicit_intercept=implicit,
        reference_coding=reference,
    )


def fixed(text, data, *, reference=True):
    return design(text, data, role="fixed", implicit=False, reference=reference)


SMALL = pd.DataFrame(
    {
        "x": [1.0, 2.0, 3.0, 6.0],
        "n": [1, 2, 3, 4],
        "f": ["b", "a", "b", "a"],
        "g": pd.Categorical(["lo", "hi", "mid", "lo"], categories=["lo", "mid", "hi"]),
        "flag": [True, False, True, True],
        "a b": [5.0, 6.0, 7.0, 8.0],
    }
)
B, A = np.array([1.0, 0, 1, 0]), np.array([0.0, 1, 0, 1])
LO, MID, HI = np.array([1.0, 0, 0, 1]), np.array([0.0, 0, 1, 0]), np.array([0.0, 1, 0, 0])
ONE, X = np.ones(4), SMALL["x"].to_numpy()


# --- columns written by hand ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("~ 1", {"Intercept": ONE}),
        ("~ 0", {}),
        ("~ x", {"Intercept": ONE, "x": X}),
        ("~ x - 1", {"x": X}),
        ("~ n", {"Intercept": ONE, "n": [1, 2, 3, 4]}),  # integers are numbers
        ("~ f", {"Intercept": ONE, "f[b]": B}),
        ("~ 0 + f", {"f[a]": A, "f[b]": B}),
        ("~ g", {"Intercept": ONE, "g[mid]": MID, "g[hi]": HI}),  # the categories' order
        ("~ 0 + f + g", {"f[a]": A, "f[b]": B, "g[mid]": MID, "g[hi]": HI}),
        ("~ flag", {"Intercept": ONE, "flag": [1, 0, 1, 1]}),
        ("~ `a b`", {"Intercept": ONE, "a b": [5, 6, 7, 8]}),
        ("~ f*x", {"Intercept": ONE, "f[b]": B, "x": X, "f[b]:x": B * X}),
        ("~ x/f", {"Intercept": ONE, "x": X, "x:f[b]": X * B}),
        ("~ f/x", {"Intercept": ONE, "f[b]": B, "f[a]:x": A * X, "f[b]:x": B * X}),
        ("~ x:f", {"Intercept": ONE, "x:f[a]": X * A, "x:f[b]": X * B}),
        ("~ 0 + x:f", {"x:f[a]": X * A, "x:f[b]": X * B}),
        ("~ f:x + x", {"Intercept": ONE, "x": X, "f[b]:x": X * B}),
        ("~ f/g", {"Intercept": ONE, "f[b]": B, "f[a]:g[mid]": A * MID, "f[b]:g[mid]": B * MID,
                   "f[a]:g[hi]": A * HI, "f[b]:g[hi]": B * HI}),
        ("~ f*g", {"Intercept": ONE, "f[b]": B, "g[mid]": MID, "g[hi]": HI,
                   "f[b]:g[mid]": B * MID, "f[b]:g[hi]": B * HI}),
        ("~ I(f == 'b')", {"Intercept": ONE, "I(f == 'b')": B}),
        ("~ C(f == 'b')", {"Intercept": ONE, "C(f == 'b')": B}),
        ("~ I(x>2)", {"Intercept": ONE, "I(x>2)": [0, 0, 1, 1]}),
        ("~ I(g != 'lo'):x", {"Intercept": ONE, "I(g != 'lo'):x": X * (MID + HI)}),
        ("~ C(n > 1) + 0", {"C(n > 1)": [0, 1, 1, 1]}),
        ("~ {x + n}", {"Intercept": ONE, "{x + n}": [2, 4, 6, 10]}),
        ("~ log(x/3)", {"Intercept": ONE, "log(x/3)": np.log(X / 3)}),
        ("~ log( x / 3 )", {"Intercept": ONE, "log( x / 3 )": np.log(X / 3)}),
        ("~ I(x**2) + I((x + 1)*2) + I(x + 1*2)",
         {"Intercept": ONE, "I(x**2)": X**2, "I((x + 1)*2)": 2 * X + 2, "I(x + 1*2)": X + 2}),
        ("~ T(f, 'b')", {"Intercept": ONE, "T(f, 'b')[a]": A}),
        ("~ C(f, Treatment('b'))", {"Intercept": ONE, "C(f, Treatment('b'))[a]": A}),
        ("~ C(n)", {"Intercept": ONE, "C(n)[2]": [0, 1, 0, 0], "C(n)[3]": [0, 0, 1, 0],
                    "C(n)[4]": [0, 0, 0, 1]}),
        ("~ C(f, levels=['b', 'a'])", {"Intercept": ONE, "C(f, levels=['b', 'a'])[a]": A}),
        ("~ C(g, Sum)", {"Intercept": ONE, "C(g, Sum)[lo]": LO - HI, "C(g, Sum)[mid]": MID - HI}),
        ("~ S(f)", {"Intercept": ONE, "S(f)[a]": A - B}),
        ("~ center(x)", {"Intercept": ONE, "center(x)": X - 3}),
        ("~ scale(x)", {"Intercept": ONE, "scale(x)": (X - 3) / np.sqrt(14 / 4)}),
        ("~ poly(x, 2, raw=True)",
         {"Intercept": ONE, "poly(x, 2, raw=True)[0]": X, "poly(x, 2, raw=True)[1]": X**2}),
    ],
)  # fmt: skip
def test_columns(text, columns):
    found = design(text, SMALL)
    assert set(found.terms) == set(columns)
    assert found.matrix.shape == (4, len(columns))
    assert found.matrix.dtype == np.float64
    assert found.has_intercept == ("Intercept" in columns)
    for name, column in columns.items():
        np.testing.assert_allclose(found.matrix[:, found.terms.index(name)], column, err_msg=name)
    again, offset = found.apply(SMALL.iloc[[2, 0]])
    np.testing.assert_allclose(again, found.matrix[[2, 0]], rtol=1e-12)
    assert offset is None


def test_terms_are_ordered_by_degree_as_in_r():
    assert design("~ f:x + x + f", SMALL).terms == ("Intercept", "x", "f[b]", "f[b]:x")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("~ x", ["x"]),
        ("~ 1", ["Intercept"]),
        ("~ 1 + x", ["Intercept", "x"]),
        ("~ 0", []),
        ("~ f", ["f[b]"]),
        ("~ 0 + f", ["f[b]"]),
        ("~ 1 + f", ["Intercept", "f[b]"]),
        ("~ 0 + f + g", ["f[b]", "g[mid]", "g[hi]"]),
        ("~ x/f", ["x", "x:f[b]"]),
        ("~ f*g", ["f[b]", "g[mid]", "g[hi]", "f[b]:g[mid]", "f[b]:g[hi]"]),
    ],
)
def test_fixed_effects_beside_an_intercept_elsewhere(text, names):
    assert list(fixed(text, SMALL).terms) == names


def test_fixed_effects_without_any_intercept():
    assert fixed("~ f", SMALL, reference=False).terms == ("f[a]", "f[b]")
    assert fixed("~ x + f + g", SMALL, reference=False).terms == (
        "x", "f[a]", "f[b]", "g[mid]", "g[hi]"
    )  # fmt: skip
    assert fixed("~ 1 + f", SMALL, reference=False).terms == ("Intercept", "f[b]")


def test_three_factors_without_their_margins_fill_every_cell():
    cells = pd.DataFrame(
        [(a, b, c) for a in "pq" for b in "rst" for c in "uvw"], columns=["a", "b", "c"]
    )
    for text in ("~ a:b:c", "~ 0 + a:b:c", "~ a + a:b:c", "~ a*b*c", "~ (a + b + c)**3"):
        found = design(text, cells)
        assert found.matrix.shape == (18, 18)
        assert np.linalg.matrix_rank(found.matrix) == 18, text


# --- offsets -------------------------------------------------------------------------------


def test_offsets_are_summed_and_kept_out_of_the_matrix():
    found = design("~ x + offset(log(n)) + offset(2)", SMALL)
    assert found.terms == ("Intercept", "x")
    np.testing.assert_allclose(found.offset, np.log([1, 2, 3, 4]) + 2)
    matrix, offset = found.apply(pd.DataFrame({"x": [9.0], "n": [10]}))
    np.testing.assert_allclose(matrix, [[1, 9]])
    np.testing.assert_allclose(offset, [np.log(10) + 2])
    part = found.take(slice(1, 3))
    np.testing.assert_allclose(part.offset, found.offset[1:3])
    np.testing.assert_allclose(part.matrix, [[1, 2], [1, 3]])


def test_offset_alone():
    found = fixed("~ offset(n)", SMALL)
    assert found.terms == ()
    assert found.matrix.shape == (4, 0)
    np.testing.assert_allclose(found.offset, [1, 2, 3, 4])
    with pytest.raises(DataError, match=r"offset 'log\(n - 1\)' is missing or infinite"):
        design("~ offset(log(n - 1))", SMALL)
    with pytest.raises(DataError, match=r"offset 'f'.*numbers or booleans"):
        design("~ offset(f)", SMALL)


# --- the models of the flexmix vignette ----------------------------------------------------

VIGNETTE = [
    ("betablocker", "p(Deaths, Total) ~ Treatment", "formula",
     ["Intercept", "Treatment[Treated]"]),
    ("betablocker", "p(Deaths, Total) ~ Treatment | Center", "formula",
     ["Intercept", "Treatment[Treated]"]),
    ("betablocker", "~ Treatment", "fixed", ["Treatment[Treated]"]),
    ("NregFix", "y ~ x2 + x1", "formula", ["Intercept", "x2[1]", "x1"]),
    ("NregFix", "y ~ 1", "formula", ["Intercept"]),
    ("NregFix", "~ x2", "fixed", ["x2[1]"]),
    ("NregFix", "~ 0", "nested", []),
    ("NregFix", "~ x1", "nested", ["x1"]),
    ("NregFix", "~ w", "concomitant", ["Intercept", "w[1]"]),
    ("Mehta", "p(Response, Total) ~ 1 | Site", "formula", ["Intercept"]),
    ("Mehta", "p(Response, Total) ~ Drug | Site", "formula", ["Intercept", "Drug[Control]"]),
    ("Mehta", "~ Drug", "fixed", ["Drug[Control]"]),
    ("tribolium", "p(Remaining, Total) ~ 1", "formula", ["Intercept"]),
    ("tribolium", "~ Species", "fixed", ["Species[Confusum]", "Species[Madens]"]),
    ("tribolium", "~ Replicate", "concomitant", ["Intercept", "Replicate[2]", "Replicate[3]"]),
    ("tribolium", "~ I(Species == 'Confusum')", "fixed", ["I(Species == 'Confusum')"]),
    ("tribolium", "~ I(Replicate == '3')", "concomitant", ["Intercept", "I(Replicate == '3')"]),
    ("trypanosome", "Dead ~ 1", "formula", ["Intercept"]),
    ("trypanosome", "~ log(Dose)", "fixed", ["log(Dose)"]),
    ("fabricfault", "Faults ~ 0", "formula", []),
    ("fabricfault", "~ 0 + log(Length)", "fixed", ["log(Length)"]),
    ("fabricfault", "~ 1", "nested", ["Intercept"]),
    ("patent", "Patents ~ lgRD", "formula", ["Intercept", "lgRD"]),
    ("patent", "~ RDS", "concomitant", ["Intercept", "RDS"]),
    ("seizure", "Seizures ~ Treatment * log(Day) + offset(log(Hours))", "formula",
     ["Intercept", "Treatment[Yes]", "log(Day)", "Treatment[Yes]:log(Day)"]),
    ("seizure", "Seizures ~ Treatment * log(Day/27) + offset(log(Hours))", "formula",
     ["Intercept", "Treatment[Yes]", "log(Day/27)", "Treatment[Yes]:log(Day/27)"]),
    ("seizure", "Seizures ~ log(Day/27)/Treatment + offset(log(Hours))", "formula",
     ["Intercept", "log(Day/27)", "log(Day/27):Treatment[Yes]"]),
    ("salmonellaTA98", "y ~ 1", "formula", ["Intercept"]),
    ("salmonellaTA98", "~ x + log(x + 10)", "fixed", ["x", "log(x + 10)"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "role", "names"), VIGNETTE)
def test_vignette(name, text, role, names):
    data = load_data(name)
    found = design(
        text, data, role=role, implicit=role in ("formula", "concomitant"), reference=True
    )
    assert list(found.terms) == names
    assert found.matrix.shape == (len(data), len(names))
    assert rank_deficiency(found.matrix, found.terms) == ()
    if "offset" in text:
        np.testing.assert_allclose(found.offset, np.log(data["Hours"]))


def test_vignette_with_text_for_factors():
    data = load_data("tribolium").assign(
        Species=lambda d: d["Species"].astype(str), Replicate=lambda d: d["Replicate"].astype(str)
    )
    data = data.drop(data.index[6])
    found = fixed("~ I(Species == 'Confusum')", data)
    np.testing.assert_array_equal(found.matrix[:, 0], data["Species"] == "Confusum")
    assert found.matrix.sum() == 9  # the species has nine dishes


SURVIVAL = ["1", "sex", "age10", "age10*sex", "log_bili", "log_bili + age10 + sex", "x", "x + g"]


@pytest.mark.parametrize("rhs", SURVIVAL)
@pytest.mark.parametrize("left", ["surv(time, status)", "surv(t1, t2, kind='interval')"])
def test_survival_formulas_parse(left, rhs):
    parsed = parse_formula(f"{left} ~ {rhs}", "formula")
    assert parsed.response == left
    assert parsed.right == parse_formula(f"~ {rhs}", "fixed").right
    assert "kind" not in parsed.response_names


# --- new data ------------------------------------------------------------------------------


def test_transformations_remember_the_training_data():
    rng = np.random.default_rng(0)
    train = pd.DataFrame({"x": rng.uniform(0, 10, 50), "f": rng.choice(list("abc"), 50)})
    found = design("~ center(x) + scale(x) + poly(x, 3) + bs(x, df=5) + f", train)
    new = pd.DataFrame({"x": [2.0, 7.5], "f": ["c", "a"]})
    matrix, _ = found.apply(new)
    at = {name: matrix[:, j] for j, name in enumerate(found.terms)}
    mean, sd = train["x"].mean(), train["x"].std(ddof=0)
    np.testing.assert_allclose(at["center(x)"], new["x"] - mean)
    np.testing.assert_allclose(at["scale(x)"], (new["x"] - mean) / sd)
    np.testing.assert_allclose(at["f[b]"], [0, 0])
    np.testing.assert_allclose(at["f[c]"], [1, 0])
    for degree in (1, 2, 3):  # each column is that polynomial of the training data
        name = f"poly(x, 3)[{degree - 1}]"
        column = found.matrix[:, found.terms.index(name)]
        assert np.linalg.norm(column) == pytest.approx(1)
        exact = np.polynomial.Polynomial.fit(train["x"], column, degree)
        np.testing.assert_allclose(at[name], exact(new["x"]), rtol=1e-8)
    one_by_one = np.vstack([found.apply(train.iloc[[i]])[0] for i in range(0, 50, 7)])
    np.testing.assert_allclose(one_by_one, found.matrix[::7], rtol=1e-9, atol=1e-12)


def test_spline_spans_cubics_and_is_never_extrapolated():
    x = np.linspace(0, 10, 60)
    found = design("~ bs(x, df=5)", pd.DataFrame({"x": x}))
    assert found.matrix.shape == (60, 6)
    assert np.linalg.matrix_rank(found.matrix) == 6
    weights, *_ = np.linalg.lstsq(found.matrix, x**3 - x, rcond=None)
    inside = pd.DataFrame({"x": [0.0, 3.21, 10.0]})
    np.testing.assert_allclose(
        found.apply(inside)[0] @ weights, inside["x"] ** 3 - inside["x"], atol=1e-8
    )
    outside = pd.DataFrame({"x": [5.0, 10.5, -1.0]})
    with pytest.raises(DataError, match=r"from 0 to 10; 2 values lie outside \(10.5, -1\)"):
        found.apply(outside)
    wide = design("~ bs(x, df=5, lower_bound=-2, upper_bound=11)", pd.DataFrame({"x": x}))
    assert np.isfinite(wide.apply(outside)[0]).all()
    with pytest.raises(DataError, match="from 1 to 10"):
        design("~ bs(x, df=5, lower_bound=1)", pd.DataFrame({"x": x}))
    knots = [3.0, 6.0]
    own = design("~ bs(x, knots=knots)", pd.DataFrame({"x": x}), Scope([{"knots": knots}]))
    written = design("~ bs(x, knots=[3, 6])", pd.DataFrame({"x": x}))
    np.testing.assert_allclose(own.matrix, written.matrix)


def test_two_calls_of_one_transformation_have_their_own_states():
    data = pd.DataFrame({"x": [0.0, 2.0], "z": [10.0, 30.0]})
    found = design("~ center(x) + center(z) + I(center(x) + center(x + z))", data)
    matrix, _ = found.apply(pd.DataFrame({"x": [5.0], "z": [0.0]}))
    np.testing.assert_allclose(matrix, [[1, 4, -20, 4 + 5 - 21]])


@pytest.mark.parametrize(
    ("text", "new", "message"),
    [
        ("~ x + f", {"x": [1.0], "F": ["a"]}, "'f' is not in the data. Did you mean 'F'"),
        ("~ x", {"y": [1.0]}, "'x' is not in the data"),
        ("~ f", {"f": ["a", "zz"]}, r"'f' has levels.*'zz' in 1 row \(1\).*'a', 'b'"),
        ("~ f", {"f": [1, 2]}, "levels that the model does not know: 1, 2"),
        ("~ f", {"f": ["a", None]}, r"'f' is missing in 1 row \(1\)"),
        ("~ g", {"g": pd.Categorical(["lo", "new"])}, "'new'"),
        ("~ C(n)", {"n": [1, 9]}, "9"),
        ("~ x", {"x": ["1", "2"]}, "was numeric when the model was fitted"),
        ("~ x", {"x": [1.0, np.nan]}, r"'x' is missing or infinite in 1 row \(1\)"),
        ("~ log(x)", {"x": [0.0]}, r"'log\(x\)' is missing or infinite"),
        ("~ log(x)", {"x": ["a"]}, "cannot be evaluated"),
        ("~ offset(x)", {"x": ["a"]}, "offset 'x'"),
        ("~ x", {}, "no rows"),
    ],
)
def test_new_data_refused(text, new, message):
    with pytest.raises(BayesmixError, match=message):
        design(text, SMALL).apply(pd.DataFrame(new))
    with pytest.raises(DataError, match=r"pandas\.DataFrame is needed"):
        design(text, SMALL).apply({"x": [1.0]})


def test_new_data_may_bring_levels_in_any_form():
    found = design("~ g", SMALL)
    for values in (["hi", "lo"], pd.Categorical(["hi", "lo"]), np.array(["hi", "lo"], object)):
        np.testing.assert_allclose(
            found.apply(pd.DataFrame({"g": values}))[0], [[1, 0, 1], [1, 0, 0]]
        )
    numbered = design("~ C(n)", SMALL)
    matrix, _ = numbered.apply(pd.DataFrame({"n": [4.0, 1.0]}))
    np.testing.assert_allclose(matrix, [[1, 0, 0, 1], [1, 0, 0, 0]])
    one_level = design("~ C(f, levels=['b', 'a'])", SMALL).apply(pd.DataFrame({"f": ["a"]}))[0]
    np.testing.assert_allclose(one_level, [[1, 1]])


def test_functions_that_mix_rows_fit_but_do_not_predict():
    def share(v):
        return v / v.max()

    def doubled(v):
        return np.asarray(v) * 2

    scope = Scope.capture()
    found = design("~ share(x)", SMALL, scope)
    np.testing.assert_allclose(found.matrix[:, 1], X / 6)
    with pytest.raises(FormulaError, match="depends on all rows"):
        found.apply(SMALL)
    with pytest.raises(FormulaError, match="depends on all rows"):
        design("~ x + offset(share(n))", SMALL, scope).apply(SMALL)
    for text in ("~ doubled(x)", "~ np.log(x)", "~ np.where(x > 2, 1, 0)"):
        assert design(text, SMALL, scope).apply(SMALL)[0].shape == (4, 2)


# --- factors -------------------------------------------------------------------------------


def test_numbers_of_every_kind_are_numbers():
    data = pd.DataFrame(
        {
            "i8": np.array([1, 2, 3], dtype=np.int8),
            "f4": np.array([1, 2, 3], dtype=np.float32),
            "nullable": pd.array([1, 2, 3], dtype="Int32"),
            "objects": np.array([1, 2.0, np.float64(3)], dtype=object),
            "sparse": pd.arrays.SparseArray([1.0, 2.0, 3.0]),
        }
    )
    for name in data:
        np.testing.assert_array_equal(design(f"~ 0 + {name}", data).matrix[:, 0], [1, 2, 3])
        np.testing.assert_array_equal(design(f"~ 0 + I({name}*2)", data).matrix[:, 0], [2, 4, 6])


def test_level_order():
    ordered = pd.Categorical(["b", "c", "a"], categories=["c", "a", "b"], ordered=True)
    data = pd.DataFrame({"f": ordered, "t": ["b", "c", "a"], "k": pd.Categorical([10, 9, 100])})
    assert design("~ f", data).terms == ("Intercept", "f[a]", "f[b]")
    assert design("~ C(f)", data).terms == ("Intercept", "C(f)[a]", "C(f)[b]")
    assert design("~ t", data).terms == ("Intercept", "t[b]", "t[c]")
    assert design("~ k", data).terms == ("Intercept", "k[10]", "k[100]")  # numbers, not text


def test_unused_categories_have_no_column_and_are_noted():
    data = pd.DataFrame({"f": pd.Categorical(["a", "c", "c"], categories=["a", "b", "c"])})
    found = design("~ f", data)
    assert found.terms == ("Intercept", "f[c]")
    assert found.notes == ("f: no rows in the categories 'b'",)
    with pytest.raises(DataError, match="'b'"):
        found.apply(pd.DataFrame({"f": ["b"]}))
    assert design("~ f", SMALL).notes == ()


@pytest.mark.parametrize(
    "text", ["~ x + z", "~ z:x", "~ C(z)", "~ T(one)", "~ one"], ids=lambda t: t
)
def test_a_factor_needs_two_levels(text):
    data = SMALL.assign(z="only", one=pd.Categorical(["u"] * 4, categories=["u", "v"]))
    with pytest.raises(DataError, match="single level"):
        design(text, data)


# --- data that cannot be used --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("~ X", DataError, "'X' is not in the data. Did you mean 'x'"),
        ("~ x + log(nn)", DataError, "'nn' is not in the data"),
        ("~ lag(x)", FormulaError, "'lag'.*Did you mean 'log'"),
        ("~ nothing.like(x)", FormulaError, "'nothing.like'"),
        ("~ factor(x)", FormulaError, r"C\(x\)"),
        ("~ ns(x, 3)", FormulaError, "cr"),
        ("~ log(x - 1)", DataError, r"term 'log\(x - 1\)' is missing or infinite in 1 row \(0\)"),
        ("~ sqrt(x - 2.5)", DataError, r"2 rows \(0, 1\)"),
        ("~ I(x/0)", DataError, "4 rows"),
        ("~ scale(one)", DataError, "values are all the same"),
        ("~ I(n == '3')", DataError, "false in every row.*text"),
        ("~ when", DataError, "dates or times"),
        ("~ mixed", DataError, r"text and categories can be used"),
        ("~ lists", DataError, "cannot be compared"),
        ("~ hole", DataError, r"'hole' is missing in 1 row \(2\)"),
        ("~ gap", DataError, r"'gap' is missing or infinite in 1 row \(1\)"),
        ("~ np.mean(x)", FormulaError, r"mean = np\.mean, and write mean\("),
        ("~ I(3)", FormulaError, "one value"),
        ("~ np.sort(x)[:2]", FormulaError, "square brackets"),
        ("~ I(x[:2])", FormulaError, "an attribute or an element"),
        ("~ backwards(x)", FormulaError, "another order"),
        ("~ broken(x)", FormulaError, "ZeroDivisionError"),
        ("~ bs(x)", FormulaError, "takes df= or knots="),
        ("~ T(f, 'q')", FormulaError, "does not fit the levels 'a', 'b'"),
        ("~ C(f, 3)", FormulaError, "the coding is a int"),
        ("~ C(f, levels=['a', 'q'])", DataError, "no row has the level 'q'"),
        ("~ C(g, levels=['lo', 'hi'])", DataError, "does not know: 'mid'"),
        ("~ center(f)", FormulaError, "cannot be evaluated"),
        ("~ twice", FormulaError, r"the name 'twice\[1\]'"),
    ],
)
def test_refused(text, error, message):
    data = SMALL.assign(
        one=1.0,
        when=pd.to_datetime(["2020-01-01"] * 4),
        mixed=np.array([1, "a", 2, "b"], dtype=object),
        lists=[[1], [2], [1], [2]],
        hole=["a", "b", None, "a"],
        gap=[1.0, np.nan, 2.0, 3.0],
        twice=pd.Categorical(np.array([0, 1, "1", 0], dtype=object)),
    )
    scope = Scope([{"np": np, "backwards": lambda v: v[::-1], "broken": lambda v: 1 / 0}])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # NumPy's warnings would say it twice
        with pytest.raises(error, match=message):
            design(text, data, scope)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"x": [1.0]}, "a dict; a pandas.DataFrame is needed"),
        (np.ones((2, 2)), "a ndarray"),
        (None, "a NoneType"),
        (pd.DataFrame({"x": []}), "no rows"),
        (pd.DataFrame([[1.0, 2.0]], columns=["x", "x"]), "more than one column named 'x'"),
        (pd.DataFrame([[1.0, 2.0]], columns=[["x", "x"], ["a", "b"]]), "MultiIndex"),
    ],
)
def test_data_refused(data, message):
    for use in (
        lambda: check_columns(data, ["x"]),
        lambda: select_rows(data, ["x"], "drop"),
    ):
        with pytest.raises(DataError, match=message):
            use()


def test_data_are_not_changed():
    before = SMALL.copy(deep=True)
    design("~ f*g + log(x) + flag + C(n) + center(x) + offset(n)", SMALL)
    pd.testing.assert_frame_equal(SMALL, before)


# --- keeping a design ----------------------------------------------------------------------


def double(v):
    return v * 2


def test_pickles_and_copies_hold_the_names_used_and_no_more():
    huge, knots = [object()] * 3, [3.0]
    big = bytes(10**6)
    scope = Scope.capture()
    found = design(
        "~ f*g + bs(x, knots=knots) + np.log(x) + double(n) + C(f, Sum) + scale(x)"
        " + I(n > 2) + offset(center(n))",
        SMALL,
        scope,
    )
    stored = pickle.dumps(found)
    assert len(stored) < 20_000
    assert b"huge" not in stored
    assert len(huge) + len(knots) + len(big) == 10**6 + 4
    expected = found.apply(SMALL)
    for other in (pickle.loads(stored), copy.deepcopy(found)):
        assert other.terms == found.terms
        np.testing.assert_array_equal(other.matrix, found.matrix)
        matrix, offset = other.apply(SMALL)
        np.testing.assert_array_equal(matrix, expected[0])
        np.testing.assert_array_equal(offset, expected[1])


# --- rows ----------------------------------------------------------------------------------


def test_check_columns_names_all_that_are_missing():
    check_columns(SMALL, ["x", "f"])
    with pytest.raises(DataError) as caught:
        check_columns(SMALL, ["x", "Flag", "zebra"])
    message = str(caught.value)
    assert "'Flag' is not in the data. Did you mean 'flag'?" in message
    assert "'zebra' is not in the data. The columns are: x, n, f, g, flag, a b." in message


MISSING = pd.DataFrame(
    {
        "x": [1.0, np.nan, 3.0, 4.0],
        "s": ["a", "b", None, "d"],
        "i": pd.array([1, 2, pd.NA, 4], dtype="Int64"),
        "c": pd.Categorical(["u", None, "v", "u"]),
        "t": pd.to_datetime(["2020-01-01", None, "2020-01-03", "2020-01-04"]),
        "other": [np.nan] * 4,
        "full": [1, 2, 3, 4],
    },
    index=["r1", "r2", "r3", "r4"],
)


def test_only_columns_in_use_count():
    kept, dropped = select_rows(MISSING, ["full"], "error")
    assert kept is MISSING
    assert dropped == 0
    for columns, rows in [
        (["x"], ["r1", "r3", "r4"]),
        (["x", "s"], ["r1", "r4"]),
        (["i"], ["r1", "r2", "r4"]),
        (["c"], ["r1", "r3", "r4"]),
        (["t", "full"], ["r1", "r3", "r4"]),
    ]:
        kept, dropped = select_rows(MISSING, columns, "drop")
        assert list(kept.index) == rows
        assert dropped == 4 - len(rows)
        with pytest.raises(DataError, match="na_action='drop'"):
            select_rows(MISSING, columns, "error")


def test_missing_values_are_counted_and_named():
    with pytest.raises(DataError, match=r"'x': 1 row \(r2\); 's': 1 row \(r3\)"):
        select_rows(MISSING, ["x", "s", "full"], "error")
    with pytest.raises(DataError, match=r"Every row has a missing value.*'other': 4"):
        select_rows(MISSING, ["other"], "drop")
    with pytest.raises(DataError, match="'y' is not in the data"):
        select_rows(MISSING, ["y"], "drop")


def test_infinite_values_are_refused_under_any_action():
    data = pd.DataFrame({"x": [1.0, np.inf, 3.0, -np.inf, np.nan]})
    for action in ("error", "drop"):
        with pytest.raises(DataError, match=r"'x' has infinite values in 2 rows \(1, 3\)"):
            select_rows(data, ["x"], action)


# --- units ---------------------------------------------------------------------------------


def test_units_without_groups_are_rows():
    units = build_units(MISSING, None)
    assert list(units.codes) == [0, 1, 2, 3]
    assert list(units.index) == ["r1", "r2", "r3", "r4"]
    assert list(units.first) == [0, 1, 2, 3]
    assert units.name is None
    assert not units.grouped


@pytest.mark.parametrize(
    "values",
    [
        ["u", "t", "u", "v", "t"],
        pd.Categorical(["u", "t", "u", "v", "t"], categories=["none", "t", "u", "v"]),
        [7, 3, 7, 5, 3],
        [7.5, 3.0, 7.5, 5.0, 3.0],
        pd.array([7, 3, 7, 5, 3], dtype="Int64"),
    ],
    ids=["text", "categorical", "int", "float", "nullable"],
)
def test_units_are_numbered_by_first_appearance(values):
    data = pd.DataFrame({"g": values}, index=list("abcde"))
    units = build_units(data, "g")
    assert units.codes.dtype == np.int64
    assert list(units.codes) == [0, 1, 0, 2, 1]
    assert list(units.first) == [0, 1, 3]
    assert list(units.index) == [values[0], values[1], values[3]]
    assert not isinstance(units.index, pd.CategoricalIndex)
    assert units.index.name == units.name == "g"
    assert units.grouped


def test_units_refused():
    with pytest.raises(DataError, match="group column 's' is missing in 1 row"):
        build_units(MISSING, "s")
    with pytest.raises(DataError, match="'G' is not in the data"):
        build_units(MISSING, "G")


# --- rank ----------------------------------------------------------------------------------


def columns(**named):
    return np.column_stack(list(named.values())), tuple(named)


RNG = np.random.default_rng(5)
U, V = RNG.normal(size=(2, 300))
DAY = np.arange(300.0)


@pytest.mark.parametrize(
    "named",
    [
        {"Intercept": DAY * 0 + 1, "u": U, "v": V},
        {"u": U},
        {"Intercept": DAY * 0 + 1, "Day": DAY, "Day2": DAY**2},
        {"Intercept": DAY * 0 + 1, "Day": DAY * 1e9, "Day2": (DAY * 1e9) ** 2},
        {"Intercept": DAY * 0 + 1, "stamp": 1e9 + DAY},
        {"Intercept": DAY * 0 + 1, "year": 1700 + DAY, "year2": (1700 + DAY) ** 2},
        {"u": U * 1e-150, "v": V * 1e150},
        {"u": U, "w": U + 1e-5 * V},
    ],
    ids=lambda d: ",".join(d),
)
def test_independent_columns_whatever_their_units(named):
    assert rank_deficiency(*columns(**named)) == ()


@pytest.mark.parametrize(
    ("named", "sets"),
    [
        ({"Intercept": DAY * 0 + 1, "u": U, "w": 2 * U}, [{"u", "w"}]),
        ({"Intercept": DAY * 0 + 1, "u": U, "w": 2 * U - 3}, [{"Intercept", "u", "w"}]),
        ({"Intercept": DAY * 0 + 1, "u": U, "one": DAY * 0 + 5}, [{"Intercept", "one"}]),
        ({"u": U, "zero": U * 0}, [{"zero"}]),
        ({"zero": U * 0}, [{"zero"}]),
        ({"u": U * 1e12, "v": V, "w": U - V}, [{"u", "v", "w"}]),
        ({"Intercept": DAY * 0 + 1, "a": DAY < 100, "b": (DAY >= 100) & (DAY < 200),
          "c": DAY >= 200, "u": U}, [{"Intercept", "a", "b", "c"}]),
        ({"u": U, "u1": 3 * U, "v": V, "v1": -V}, [{"u", "u1"}, {"v", "v1"}]),
    ],
    ids=lambda d: ",".join(d) if isinstance(d, dict) else "",
)  # fmt: skip
def test_dependent_columns_are_named(named, sets):
    matrix, names = columns(**named)
    found = rank_deficiency(matrix.astype(float), names)
    assert [set(s) for s in found] == sets
    assert all(list(s) == sorted(s, key=names.index) for s in found)


def test_rank_of_degenerate_shapes():
    assert rank_deficiency(np.empty((5, 0)), ()) == ()
    assert len(rank_deficiency(np.array([[1.0, 2.0, 4.0]]), ("a", "b", "c"))) == 2
    assert len(rank_deficiency(RNG.normal(size=(2, 3)), ("a", "b", "c"))) == 1


# --- large data ----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_million_rows_take_moments():
    n = 1_000_000
    data = pd.DataFrame(RNG.normal(size=(n, 5)), columns=[f"x{i}" for i in range(5)])
    data["g"] = RNG.integers(50_000, size=n)
    start = time.perf_counter()
    found = design("~ x0 + x1 + x2 + x3 + x4", data)
    built = time.perf_counter()
    units = build_units(data, "g")
    grouped = time.perf_counter()
    assert rank_deficiency(found.matrix, found.terms) == ()
    ranked = time.perf_counter()
    assert built - start < 2
    assert grouped - built < 2
    assert ranked - grouped < 2
    assert len(units.first) == 50_000


@pytest.mark.parametrize("kind", ["bool", "boolean", "bool[pyarrow]", object])
@pytest.mark.parametrize("text", ["~ b", "~ C(b)", "~ I(b & (x > 1))", "~ I(~b):x", "~ I(x * b)"])
def test_booleans_of_any_type_are_zero_and_one(kind, text):
    data = pd.DataFrame({"b": [True, False, True, True, False], "x": [0.0, 1.0, 2.0, 3.0, 0.5]})
    b, x = data["b"].to_numpy(), data["x"].to_numpy()
    expected = {
        "~ b": b,
        "~ C(b)": b,
        "~ I(b & (x > 1))": b & (x > 1),
        "~ I(~b):x": ~b * x,
        "~ I(x * b)": x * b,
    }
    found = design(text, data.astype({"b": kind}))
    np.testing.assert_array_equal(found.matrix[:, 1], expected[text])
    again, _ = found.apply(data.iloc[[4, 0]])
    np.testing.assert_array_equal(again[:, 1], expected[text][[4, 0]])


@pytest.mark.parametrize("factor", [1e-200, 1e200])
def test_the_rank_has_no_unit(factor):
    x = np.random.default_rng(2).normal(size=(40, 2))
    assert rank_deficiency(np.c_[x, np.ones(40)] * [factor, 1.0, 1.0], ("a", "b", "c")) == ()
    twice = np.c_[x, 2 * x[:, 0] + 1, np.ones(40)] * [factor, 1.0, 1 / factor, 1.0]
    assert rank_deficiency(twice, ("a", "b", "c", "d")) == (("a", "c", "d"),)


def test_groups_are_single_values():
    data = pd.DataFrame({"g": [[1], [1], [2]]})
    with pytest.raises(DataError, match="'g' has values that are no names"):
        build_units(data, "g")
