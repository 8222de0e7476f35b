"""Formulas and responses, against expectations written by hand."""

import contextlib
import copy
import math
import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesmix as bmx
from bayesmix.errors import BayesmixError, DataError, FormulaError
from bayesmix.formula.binding import evaluate
from bayesmix.formula.design import build_design
from bayesmix.formula.parser import parse_formula
from bayesmix.formula.response import read_response
from bayesmix.formula.scope import Scope
from bayesmix.formula.tokens import parted

NOTHING = Scope()


def terms(text, role="formula"):
    """The terms of a formula as sets of names."""
    right = parse_formula(text, role).right
    return [":".join(right.atoms[i].text for i in term) for term in right.terms]


# --- what is read --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "role", "response", "rhs", "offsets", "group", "intercept"),
    [
        ("y ~ x", "formula", "y", "x", (), None, None),
        ("y ~ 1", "formula", "y", "1", (), None, True),
        ("y ~ 0", "formula", "y", "0", (), None, False),
        ("y~1+x", "formula", "y", "1 + x", (), None, True),
        ("y ~ x - 1", "formula", "y", "x - 1", (), None, False),
        ("y ~ -1 + x", "formula", "y", "-1 + x", (), None, False),
        ("y ~ x + -1", "formula", "y", "x - 1", (), None, False),
        ("y ~ x - 0", "formula", "y", "x - 0", (), None, True),
        ("y ~ (1 + x)", "formula", "y", "1 + x", (), None, True),
        ("y ~ x | g", "formula", "y", "x", (), "g", None),
        ("y ~ x | `my group`", "formula", "y", "x", (), "my group", None),
        ("y ~ offset(log(t))", "formula", "y", "1", ("log(t)",), None, None),
        ("y ~ 0 + offset(a) + offset(b)", "formula", "y", "0", ("a", "b"), None, False),
        ("y ~ a * log(d/27) + offset( log(h) )", "formula", "y", "a * log(d/27)",
         ("log(h)",), None, None),
        ("log(y + 1) ~ x", "formula", "log(y + 1)", "x", (), None, None),
        ("p(Deaths, Total) ~ Treatment | Center", "formula", "p(Deaths, Total)", "Treatment",
         (), "Center", None),
        ("~ x", "formula", None, "x", (), None, None),
        ("~ x", "fixed", None, "x", (), None, None),
        ("x + z", "concomitant", None, "x + z", (), None, None),
        ("~ 0", "nested", None, "0", (), None, False),
        ("~ 1", "nested", None, "1", (), None, True),
        ("~ offset(z)", "fixed", None, "0", ("z",), None, None),
        ("~ sex", "ancillary", None, "sex", (), None, None),
        ("y ~ I((a > 1) | (b == 2))", "formula", "y", "I((a > 1) | (b == 2))", (), None, None),
    ],
)  # fmt: skip
def test_parts(text, role, response, rhs, offsets, group, intercept):
    parsed = parse_formula(text, role)
    assert parsed.text == text
    assert parsed.response == response
    assert terms(text, role) == terms(f"~ {rhs}", "fixed")
    assert parsed.offsets == offsets
    assert parsed.group == group
    assert parsed.intercept is intercept


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~ a", ["a"]),
        ("~ a + b + a", ["a", "b"]),
        ("~ a:b + b:a", ["a:b"]),
        ("~ a*b", ["a", "b", "a:b"]),
        ("~ a/b", ["a", "a:b"]),
        ("~ a/b/c", ["a", "a:b", "a:b:c"]),
        ("~ (a + b)/c", ["a", "b", "a:b:c"]),
        ("~ a/(b + c)", ["a", "a:b", "a:c"]),
        ("~ a*b*c", ["a", "b", "a:b", "c", "a:c", "b:c", "a:b:c"]),
        ("~ (a + b + c)**2", ["a", "b", "c", "a:b", "a:c", "b:c"]),
        ("~ a*b*c - a:b:c", ["a", "b", "a:b", "c", "a:c", "b:c"]),
        ("~ a*b - a", ["b", "a:b"]),
        ("~ a*b - (a + b)", ["a:b"]),
        ("~ a:(b + c)", ["a:b", "a:c"]),
        ("~ a + b:c*d", ["a", "b:c", "d", "b:c:d"]),
        ("~ log( x ) + log(x)", ["log( x )"]),
        ("~ `a b`:c", ["a b:c"]),
        ("~ a:a", ["a"]),
    ],
)
def test_algebra_as_in_r(text, expected):
    assert terms(text) == expected


def test_names_and_functions():
    parsed = parse_formula(
        "log(y) ~ np.log(x / k) + I(f == 'a') + bs(`a b`, df=4) + offset(log(h)) | g", "formula"
    )
    assert parsed.names == ("x", "k", "f", "a b", "h", "g")
    assert parsed.response_names == ("y",)
    assert parsed.functions == ("np.log", "I", "bs", "log")


def test_dotted_column_names():
    parsed = parse_formula("y ~ Sepal.Length + log(Petal.Width)", "formula")
    assert parsed.names == ("Sepal.Length", "Petal.Width")
    data = pd.DataFrame({"Sepal.Length": [1.0, 2.0], "Petal.Width": [1.0, math.e]})
    design = build_design(parsed, data, NOTHING, implicit_intercept=False, reference_coding=False)
    np.testing.assert_allclose(design.matrix, [[1, 0], [2, 1]])


def test_trials_may_explain_but_successes_not():
    assert parse_formula("p(s, n) ~ log(n)", "formula").names == ("n",)
    with pytest.raises(FormulaError, match="'s' is both"):
        parse_formula("p(s, n) ~ log(s)", "formula")


def test_parsed_formulas_are_plain_values():
    parsed = parse_formula("y ~ a*log(x) + offset(z) | g", "formula")
    assert pickle.loads(pickle.dumps(parsed)) == parsed
    assert copy.deepcopy(parsed) == parsed
    assert hash(parsed) == hash(copy.deepcopy(parsed))


# --- what is refused -----------------------------------------------------------------------

REFUSED = [
    ("", "empty"),
    ("  ", "empty"),
    ("~", "empty"),
    ("y ~", "empty"),
    ("y", "no '~'"),
    ("y ~ x ~ z", "more than one '~'"),
    ("y ~ .", "refused"),
    ("y ~ x + .", "refused"),
    ("y ~ x == 3", r"comparison '=='.*I\(x == 3\)"),
    ("y ~ z + x != 3", "comparison '!='"),
    ("y ~ x < 3", "comparison '<'"),
    ("y ~ x > 3", "comparison '>'"),
    ("y ~ x <= 3", "comparison '<='"),
    ("y ~ x >= 3", "comparison '>='"),
    ("y ~ a %in% b", "%in%"),
    ("y ~ I(a %in% b)", "%in%"),
    ("y ~ (x", "not closed"),
    ("y ~ x)", "no opening"),
    ("y ~ log(x", "not closed"),
    ("y ~ log(x]", "no opening"),
    ("y ~ f('a)", "quote"),
    ("y ~ `x", "quote"),
    ("y ~ x | g | h", "one column"),
    ("y ~ x | g + h", "one column"),
    ("y ~ x | log(g)", "one column"),
    ("y ~ x |", "one column"),
    ("y ~ x || g", "not expected"),
    ("y ~ x + (x || u)", "random effect"),
    ("y ~ x*(1 | u)", "random effect"),
    ("offset(z) ~ x", "not a response"),
    ("y ~ x:offset(z)", r"\+ offset\(z\)"),
    ("y ~ offset(z):x", r"\+ offset\(z\)"),
    ("y ~ x*(z + offset(w))", "brackets"),
    ("y ~ x - offset(z)", "not removed"),
    ("y ~ offset()", "one expression"),
    ("y ~ offset(a, b)", "one expression"),
    ("y ~ True", "constant"),
    ("y ~ x:None", "constant"),
    ("True ~ x", "constant"),
    ("y ~ x^2", r"'\^'"),
    ("y ~ I(x^2)", "not a power"),
    ("y ~ x**2", r"I\(x\*\*2\)"),
    ("y ~ (a + b)**z", "interactions"),
    ("y ~ (a + b)**", "interactions"),
    ("y ~ 2*x", "number 2"),
    ("y ~ x + 2", "number 2"),
    ("y ~ x*1", "number 1"),
    ("y ~ x 1", "number 1"),
    ("y ~ x z", "'z' is not expected"),
    ("y ~ x (z)(w)", "not expected"),
    ("y ~ x +", "missing"),
    ("y ~ x + * z", "not expected"),
    ("y ~ * x", "not expected"),
    ("y ~ x:", "missing"),
    ("y ~ ()", "missing"),
    ("y ~ (a + ):b", "missing"),
    ("y ~ 'a'", "not expected"),
    ("y ~ x[1]", "square brackets"),
    ("y ~ f['a']", r"I\(x == 'level'\)"),
    ("y ~ x, z", "comma"),
    ("y ~ x = 3", "assigns"),
    ("y ~ x // z", "'//'"),
    ("y ~ x & z", "not expected"),
    ("y ~ !x", "not expected"),
    ("y ~ I(!x)", "Write ~ before"),
    ("y ~ I(a && b)", "Write & between"),
    ("y ~ I(a || b)", "Write | between".replace("|", r"\|")),
    ("y ~ I(a and b)", "row by row"),
    ("y ~ I(a if b else c)", "row by row"),
    ("y ~ I(lambda: 1)", "row by row"),
    ("y ~ log(x +)", "not a valid expression"),
    ("y ~ I(x = = 3)", "not a valid expression"),
    ("y ~ f(x y)", "not a valid expression"),
    ("y ~ 0 + 1 + x", "both written and removed"),
    ("y ~ (0 + x):z", "outside brackets"),
    ("y ~ x - z", "'z' is removed"),
    ("y ~ -x", "'x' is removed"),
    ("y ~ x:z - z", "'z' is removed"),
    ("y ~ y", "both the response"),
    ("y ~ x + log(y)", "both the response"),
    ("log(y) ~ x*y", "both the response"),
    ("y ~ x + offset(y)", "both the response"),
    ("y ~ x | y", "both the response"),
    ("a + b ~ x", r"I\(a \+ b\)"),
    ("3 ~ x", "response is one column"),
    ("y == 1 ~ x", "response is one column"),
    ("y | g ~ x", "response is one column"),
    ("y['a'] ~ x", "response is one column"),
    ("y ~ x # z", "'#' has no meaning"),
    ("y ~ x $ z", "no meaning"),
    ("y ~ x; z", "no meaning"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_refused(text, message):
    with pytest.raises(FormulaError, match=message) as caught:
        parse_formula(text, "formula")
    assert repr(text) in str(caught.value)  # what was given


@pytest.mark.parametrize("role", ["fixed", "nested", "concomitant", "ancillary"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y ~ x", "only the main formula has a response"),
        ("~ x | g", "belongs to the main formula"),
        ("x | g", "belongs to the main formula"),
        ("~ ~ x", "more than one"),
        ("~", "empty"),
        ("~ (1 | u)", "random effect"),
        ("~ x == 3", "comparison"),
    ],
)
def test_refused_on_right_sides(text, message, role):
    with pytest.raises(FormulaError, match=message) as caught:
        parse_formula(text, role)
    assert f"The {role} formula" in str(caught.value)


PIECES = st.sampled_from(
    [*"xyzfg01", "log(x)", "I(x == 1)", "offset(z)", *"+-*/:()|~.^=<", "**", "==", "%in%", " ", ","]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=9))
def test_any_text_is_read_whole_or_refused(pieces):
    try:
        parsed = parse_formula("y ~ " + " ".join(pieces), "formula")
    except FormulaError:
        return
    # Nothing was passed over.
    names = {t for piece in pieces for t in re.findall(r"\b[xyzfg]\b", piece)}
    removed = "-" in pieces
    assert removed or names == set(parsed.names)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30))
def test_no_other_exception_than_our_own(text):
    for role in ("formula", "fixed"):
        with contextlib.suppress(BayesmixError):
            parse_formula(text, role)


# --- evaluation ----------------------------------------------------------------------------

DATA = pd.DataFrame(
    {
        "x": [1.0, 2.0, 4.0],
        "n": [1, 2, 3],
        "u": np.array([200, 100, 1], dtype=np.uint8),
        "b": [True, False, True],
        "s": ["a", "b", "a"],
        "c": pd.Categorical(["lo", "hi", "lo"], categories=["lo", "hi"]),
        "maybe": pd.array([1, None, 3], dtype="Int64"),
        "yes": pd.array([True, False, True], dtype="boolean"),
        "o": np.array([1, 2.5, 3], dtype=object),
        "when": pd.to_datetime(["2020-01-01"] * 3),
        "a b": [3.0, 4.0, 5.0],
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", [1, 2, 4]),
        ("n", [1, 2, 3]),
        ("b", [1, 0, 1]),
        ("yes", [1, 0, 1]),
        ("o", [1, 2.5, 3]),
        ("`a b`", [3, 4, 5]),
        ("1", [1, 1, 1]),
        ("x + n", [2, 4, 7]),
        ("log(x)", np.log([1, 2, 4])),
        ("log2(x) + log10(n) + log1p(n)", np.log2([1, 2, 4]) + np.log10([1, 2, 3])
         + np.log([2, 3, 4])),
        ("exp(x) - expm1(x)", [1, 1, 1]),
        ("sqrt(x) * abs(-x)", [1, 2 * 2**0.5, 8]),
        ("sin(x)**2 + cos(x)**2", [1, 1, 1]),
        ("-x**2", [-1, -4, -16]),  # as in mathematics
        ("2**1**x", [2, 2, 2]),
        ("(x + 1)*2", [4, 6, 10]),
        ("1e-1*x", [0.1, 0.2, 0.4]),
        ("u + u", [400, 200, 2]),  # eight bits would overflow
        ("u - 201", [-1, -101, -200]),
        ("I(s == 'a')", [1, 0, 1]),
        ("I(c == 'hi')", [0, 1, 0]),
        ("I((x > 1) & ~(n == 3))", [0, 1, 0]),
        ("I((x > 3) | b)", [1, 0, 1]),
        ("x % 2", [1, 0, 0]),
        ("{x + 1}", [2, 3, 5]),
    ],
)  # fmt: skip
def test_evaluate(text, expected):
    values = evaluate(text, DATA, NOTHING, "offset")
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("s", DataError, "offset 's'.*numbers or booleans are needed"),
        ("c", DataError, "categorical.*'lo', 'hi'"),
        ("when", DataError, "dates or times"),
        ("maybe", DataError, r"missing or infinite in 1 row \(1\)"),
        ("log(x - 1)", DataError, r"missing or infinite in 1 row \(0\)"),
        ("log(x - 3)", DataError, r"2 rows \(0, 1\)"),
        ("lgo(x)", FormulaError, "'lgo'.*Did you mean 'log'"),
        ("cbind(x, n)", FormulaError, r"p\(successes, trials\)"),
        ("log(offset(x))", FormulaError, "a term of its own"),
        ("X1", DataError, "'X1' is not in the data"),
        ("log(ab)", DataError, "'ab' is not in the data. Did you mean 'a b'"),
        ("center(x)", FormulaError, "right side"),
        ("C(x)", FormulaError, "right side"),
        ("log(x, n, x, x)", FormulaError, "cannot be evaluated"),
        ("s + 1", FormulaError, "cannot be evaluated"),
        ("I(0 < x < 3)", FormulaError, r"Write \(0 < x\) & \(x < 3\)"),
        ("x +", FormulaError, "not a valid expression"),
        ("", FormulaError, "empty"),
    ],
)
def test_evaluate_refuses(text, error, message):
    with pytest.raises(error, match=message):
        evaluate(text, DATA, NOTHING, "offset")


def test_evaluate_may_keep_missing_and_infinite():
    values = evaluate("log(x - 1)", DATA, NOTHING, "upper time", finite=False)
    assert values[0] == -np.inf


# --- the user's scope ----------------------------------------------------------------------


def test_functions_and_variables_of_the_caller():
    half, x, knot = (lambda v: v / 2), 1000.0, 3.0  # noqa: F841 (formulas use them)

    def build():
        return Scope.capture(1)

    scope = build()
    np.testing.assert_allclose(evaluate("half(x)", DATA, scope, "offset"), [0.5, 1, 2])
    np.testing.assert_allclose(evaluate("abs(x - knot)", DATA, scope, "offset"), [2, 1, 1])
    np.testing.assert_allclose(evaluate("np.log(n)", DATA, scope, "o"), np.log([1, 2, 3]))
    np.testing.assert_allclose(evaluate("x * math.pi", DATA, scope, "o"), DATA["x"] * np.pi)


def test_own_functions_hide_mathematics_but_not_foreign_ones():
    from math import sqrt  # cannot take a column

    def log(v):
        return v * 0

    assert sqrt(4) == 2
    scope = Scope.capture()
    np.testing.assert_allclose(evaluate("log(x)", DATA, scope, "offset"), [0, 0, 0])
    np.testing.assert_allclose(evaluate("sqrt(x)", DATA, scope, "offset"), np.sqrt([1, 2, 4]))
    assert log(3) == 0


def test_scope_refusals():
    shift, other = np.array([1.0, 2.0, 3.0]), 3.0  # noqa: F841 (formulas use them)
    scope = Scope.capture()
    with pytest.raises(DataError, match=r"'shift'.*one value a row"):
        evaluate("x + shift", DATA, scope, "offset")
    with pytest.raises(DataError, match="'other' is a variable of yours"):
        evaluate("other", DATA, scope, "offset")
    with pytest.raises(FormulaError, match=r"'other'.*not a function"):
        evaluate("other(x)", DATA, scope, "offset")


def test_scope_keeps_what_formulas_use():
    secret, factor = (i for i in range(3)), 2.0  # a generator cannot be pickled
    scope = Scope.capture()
    np.testing.assert_allclose(evaluate("np.exp(x)*factor", DATA, scope, "o")[0], 2 * math.e)
    for kept in (
        pickle.loads(pickle.dumps(scope)),
        copy.deepcopy(scope),
        pickle.loads(pickle.dumps(Scope.capture().restrict(["factor", "absent"]))),
    ):
        assert "factor" in kept
        assert "secret" not in kept
        assert "DATA" not in kept
        np.testing.assert_allclose(evaluate("np.exp(x)*factor", DATA, kept, "o")[0], 2 * math.e)
    assert (list(secret), factor) == ([0, 1, 2], 2.0)


# --- responses -----------------------------------------------------------------------------

COUNTS = pd.DataFrame(
    {"s": [1, 0, 3], "n": [2, 5, 3], "a": [1, 4, 0], "f": ["a", "b", "a"], "z": [0, 1, 1],
     "frac": [0.5, 1.0, 2.0], "neg": [-1, 0, 1], "b": [True, False, True]}
)  # fmt: skip


def response(text, data=COUNTS, scope=NOTHING):
    return read_response(parse_formula(f"{text} ~ 1", "formula"), data, scope)


@pytest.mark.parametrize(
    ("text", "kind", "y", "trials", "columns"),
    [
        ("s", "numeric", [1, 0, 3], None, ("s",)),
        ("b", "numeric", [1, 0, 1], None, ("b",)),
        ("log(s + 1)", "numeric", np.log([2, 1, 4]), None, ("s",)),
        ("I(f == 'a')", "numeric", [1, 0, 1], None, ("f",)),
        ("p(s, n)", "binomial", [1, 0, 3], [2, 5, 3], ("s", "n")),
        ("p(s, s + a)", "binomial", [1, 0, 3], [2, 4, 3], ("s", "a")),
        ("p(z, 1)", "binomial", [0, 1, 1], [1, 1, 1], ("z",)),
        ("p( I(f == 'a'), 1 )", "binomial", [1, 0, 1], [1, 1, 1], ("f",)),
    ],
)
def test_responses(text, kind, y, trials, columns):
    found = response(text)
    assert (found.name, found.kind, found.columns) == (text, kind, columns)
    np.testing.assert_allclose(found.y, y)
    assert found.y.dtype == np.float64
    if trials is None:
        assert found.trials is None
    else:
        np.testing.assert_allclose(found.trials, trials)
    part = found.take(np.array([2, 0]))
    np.testing.assert_allclose(part.y, [y[2], y[0]])
    assert part.trials is None or list(part.trials) == [trials[2], trials[0]]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("f", DataError, "response 'f'.*'a', 'b'.*0 and 1"),
        ("absent", DataError, "'absent' is not in the data"),
        ("p(n, s)", DataError, r"more successes than trials in 2 rows \(0, 1\)"),
        ("p(neg, n)", DataError, r"successes is negative in 1 row \(0\)"),
        ("p(s, neg)", DataError, r"trials is negative in 1 row \(0\)"),
        ("p(frac, n)", DataError, r"successes is not whole in 1 row \(0\)"),
        ("p(s, n * 1.5)", DataError, r"trials is not whole in 2 rows"),
        ("p(f, n)", DataError, "number of successes 'f'"),
        ("p(s)", FormulaError, "two arguments"),
        ("p(s, n, a)", FormulaError, "two arguments"),
        ("cbind(s, a)", FormulaError, r"p\(successes, trials\)"),
        ("scale(s)", FormulaError, "right side"),
        ("log(s)", DataError, r"response 'log\(s\)' is missing or infinite in 1 row \(1\)"),
        ("surv(neg, z)", DataError, "negative in 1 row"),
        ("surv(n, s)", DataError, "status"),
        ("surv(s, n, kind='between')", FormulaError, "kind='between' is unknown"),
    ],
)
def test_responses_refused(text, error, message):
    with pytest.raises(error, match=message):
        response(text)


def test_no_response():
    with pytest.raises(FormulaError, match="no response"):
        read_response(parse_formula("~ x", "formula"), COUNTS, NOTHING)


# --- the module boundary -------------------------------------------------------------------


def test_formulae_and_scipy_wait_until_they_are_needed():
    code = (
        "import sys\n"
        "from bayesmix.formula import design, response, transforms\n"
        "assert not {'formulae', 'scipy'} & set(sys.modules)\n"
        "import pandas as pd\n"
        "from bayesmix.formula.design import build_design\n"
        "from bayesmix.formula.parser import parse_formula\n"
        "from bayesmix.formula.scope import Scope\n"
        "data = pd.DataFrame({'x': [1., 2., 3.], 'f': ['a', 'b', 'a'], 'g': ['u', 'v', 'v']})\n"
        "build_design(parse_formula('~ x*f*g + log(x)', 'fixed'), data, Scope(),\n"
        "             implicit_intercept=True, reference_coding=False)\n"
        "assert 'formulae' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_tilde_in_a_name_or_a_text_does_not_part_a_formula():
    data = pd.DataFrame({"a~b": [0.0, 1, 3], "y~1": [1.0, 2, 5], "f": ["u~v", "w", "w"]})
    formula = "`y~1` ~ `a~b` + C(f, Treatment('u~v'))"
    model = bmx.Mixture(formula, data, k=1)
    assert f"formula       {formula}\n" in repr(model)
    assert parted(formula) == ("`y~1` ", "~", " `a~b` + C(f, Treatment('u~v'))")
