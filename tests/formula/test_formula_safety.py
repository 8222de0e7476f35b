"""A formula is not a code: what it cannot say, and how large it can become."""

import contextlib
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesmix.errors import BayesmixError, FormulaError
from bayesmix.formula.design import build_design
from bayesmix.formula.parser import parse_formula
from bayesmix.formula.scope import Scope

RAN = []


class Holder:
    """A user's object whose attributes run code when they are looked up."""

    @property
    def secret(self):
        RAN.append("secret")
        return 1.0

    def __getitem__(self, item):
        RAN.append(item)
        return 1.0

    def method(self, x):
        RAN.append("method")
        return x


def touch(x):
    RAN.append("touch")
    return x


NAMES = {"h": Holder(), "np": np, "pd": pd, "limit": 2.0}
DATA = pd.DataFrame(
    {"x": np.arange(1.0, 9.0), "n": np.arange(8), "g": list("abab" * 2), "a.b": np.arange(8.0)}
)


def design(text, names=NAMES):
    parsed = parse_formula(f"~ {text}", "fixed")
    return build_design(
        parsed, DATA, Scope([names]), implicit_intercept=True, reference_coding=False
    )


# Ways from a value to the interpreter, or to what is not in the data.
ESCAPES = """
x.shape
x.shape[0]
I(x.shape[0])
I(x.values)
I(h.secret)
h.secret
I(h . secret)
I((h).secret)
I(h['a'])
I(x[0])
I(x[:2])
I((x)[0] + x)
h.method(x)
I(h.method(x))
(x).__class__
I((x).__class__ is None)
I(x.__class__.__base__.__subclasses__())
I(().__class__)
I([].__class__)
I(''.__class__)
I(0 .real * x)
I(1..real * x)
I('{0.__class__}'.format(x) == g)
I(f'{h.secret}' == g)
I(x == f"{x}")
I(b'a' == g)
np.log.__self__
np.load('file')
np.fromfile('file')
np.linalg.norm(x)
np.vectorize(x)
np.frompyfunc(x, 1, 1)
pd.eval('x')
pd.read_pickle('file')
os.system('true')
__builtins__
__import__('os')
I(__import__)
I(__name__ == g)
eval('x')
exec('x')
open('file')
getattr(x, 'shape')
vars()
globals()
breakpoint()
I(lambda: x)
I((lambda v: v)(x))
I(x)(x)
log(x)(x)
I([v for v in x])
I({v for v in x})
I({1: x})
I({x})
I((v for v in x))
I(x if x else x)
I(x and x)
I(not x)
I(x is x)
I(x in x)
I(v := x)
I(await x)
I(yield x)
I(x; x)
I(*x)
log(*x)
log(**x)
I(x, *[x])
I(1j * x)
I(x @ x)
I(x << 3)
I(x ^ n)
I(...)
np.log(x, out=x)
np.log(x, x)
np.add(x, 1, x)
log(x, where=n)
np.exp(x, dtype='O')
np.where(x > 1)
np.clip(x, 0, 1, x)
""".strip().splitlines()


@pytest.mark.parametrize("text", ESCAPES)
def test_what_a_formula_cannot_say(text):
    before = DATA.copy(deep=True)
    with pytest.raises(BayesmixError):
        design(text, {**NAMES, "os": __import__("os"), "__builtins__": __builtins__})
    assert RAN == []
    pd.testing.assert_frame_equal(DATA, before)


LARGE = {
    "a power": "I(9**9**9)",
    "a power beside a column": "I(x + 9**9**9 * 0)",
    "a power of a power": "I(x * ((9**9)**9)**9)",
    "repeated text": "I('a' * 10**9 == g)",
    "a repeated column": "I(g * 10**9)",
    "a repeated list": "C(n, levels=[1] * 10**9)",
    "formatted text": "I('%1000000000d' % 3 == g)",
    "500 brackets": "(" * 500 + "x" + ")" * 500,
    "500 brackets in a call": "I(" + "(" * 500 + "x" + ")" * 500 + ")",
    "500 calls": "I(" * 500 + "x" + ")" * 500,
    "many signs": "I(" + "-" * 9000 + "x)",
    "many powers": "I(" + "2**" * 9000 + "x)",
    "a huge number": "I(x + " + "9" * 5000 + ")",
    "a huge text": "I(g == '" + "a" * 10**6 + "')",
    "a huge name": "x" * 10**6,
    "many knots": "bs(x, df=10**9)",
    "a high degree": "poly(x, 10**9)",
    "a product": "*".join(f"v{i}" for i in range(40)),
    "an interaction": ":".join(f"v{i}" for i in range(40)),
    "a high power": "(" + " + ".join(f"v{i}" for i in range(40)) + ")**40",
    "a power in digits": "(x + n)**" + "9" * 5000,
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_how_large_a_formula_can_become(text):
    start = time.process_time()
    with pytest.raises(BayesmixError):
        design(text)
    assert time.process_time() - start < 5  # bounded, wherever it is refused


def test_long_formulas_within_the_bounds():
    assert design("I(" + " + ".join(["x"] * 300) + ")").matrix[0, 1] == 300
    np.testing.assert_allclose(
        design("I(" + "(" * 40 + "x" + ")" * 40 + ")").matrix[:, 1], DATA["x"]
    )
    assert parse_formula("y ~ " + " + ".join(f"v{i}" for i in range(3000)), "formula").right.terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("np.log(x)", np.log(DATA["x"])),
        ("numpy.tanh(x)", np.tanh(DATA["x"])),
        ("I(x / math.log(2))", DATA["x"] / np.log(2)),
        ("I(np.pi * x)", np.pi * DATA["x"]),
        ("np.where(x > limit, x, n)", np.where(DATA["x"] > 2, DATA["x"], DATA["n"])),
        ("np.clip(x, 2, 4)", DATA["x"].clip(2, 4)),
        ("np.round(x / 3, 1)", (DATA["x"] / 3).round(1)),
        ("a.b", DATA["a.b"]),
        ("I(a.b + 1)", DATA["a.b"] + 1),
        ("I(-x ** 2 + 3 % 2 - x // 2)", -(DATA["x"] ** 2) + 1 - DATA["x"] // 2),
        ("I((g == 'a') & ~(x > 3) | (n != 2))",
         ((DATA["g"] == "a") & ~(DATA["x"] > 3)) | (DATA["n"] != 2)),
    ],
)  # fmt: skip
def test_what_a_formula_can_say(text, expected):
    np.testing.assert_allclose(design(text).matrix[:, 1], expected)


def test_functions_come_from_the_scope_by_their_names():
    found = design("touch(x)", {"touch": touch})
    np.testing.assert_allclose(found.matrix[:, 1], DATA["x"])
    assert RAN.count("touch") > 0
    RAN.clear()
    with pytest.raises(FormulaError, match=r"attribute.*touch = mine\.touch, and write touch\("):
        design("mine.touch(x)", {"mine": Holder()})


@pytest.mark.parametrize("name", ["center", "scale", "bs", "C", "S", "I"])
def test_a_function_of_the_user_is_not_passed_over(name):
    with pytest.raises(FormulaError, match="function of bayesmix and one of yours"):
        design(f"{name}(x)", {name: touch})
    assert RAN == []
    design("touch(x)", {"touch": touch, name: touch})  # elsewhere the name is free
    RAN.clear()


@pytest.mark.parametrize("levels", ["3", "[]", "[x]", "x", "[['a'], 'b']", "['a', 'a', 'b']"])
def test_levels_are_a_list_of_distinct_ones(levels):
    with pytest.raises(BayesmixError, match=r"distinct levels|no row has the level"):
        design(f"C(g, levels={levels})")


@pytest.mark.parametrize(
    "text", ["poly(x, 2, raw='False')", "bs(x, df=4, intercept='no')", "cr(x, df=3, center=x)"]
)
def test_switches_are_true_or_false(text):
    with pytest.raises(FormulaError, match="write True or False"):
        design(text)


def test_texts_are_joined_but_not_repeated():
    assert design("I(g + g)").terms == ("Intercept", "I(g + g)[bb]")
    with pytest.raises(FormulaError, match="text is not a number"):
        design("I(g * 2)")


PIECES = st.sampled_from(
    ["x", "g", "n", "h", "np", "log", "I", "C", "f0", "v0", "__class__", "lambda", "for", "in",
     "if", "else", "import", "0", "9", "1e9", "'a'", '"%d"', "f'{x}'", "b''", "...", "`x`",
     *"().[]{}:,=+-*/%~&|<>!@ \n", "**", "//", "==", ":=", "->", "\\", "\x00", "é"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=14))
def test_any_text_is_a_design_or_refused(pieces):
    with contextlib.suppress(BayesmixError):
        design("I(" + "".join(pieces) + ")")
    assert RAN == []
