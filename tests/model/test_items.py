"""The list of regressions that `bmx.items` makes."""

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    able = rng.random(300) < 0.4
    right = rng.random((300, 3)) < np.where(able, 0.9, 0.3)[:, None]
    frame = pd.DataFrame(right.astype(int), columns=["A", "B", "C"])
    frame["errors made"] = rng.poisson(np.where(able, 2, 7))
    frame["x"] = rng.normal(size=300)
    return frame


def test_one_family_for_all():
    found = bmx.items(["A", "B"], family="binomial", formula="~ x", fixed="~ z")
    assert found == [
        bmx.Regression(f"{name} ~ x", family="binomial", fixed="~ z") for name in ("A", "B")
    ]


def test_a_family_for_each_and_names_that_are_no_words(data):
    families = {"A": "binomial", "errors made": "poisson"}
    fit = bmx.Mixture(bmx.items(list(families), families), data, k=2).fit("em", seed=1)
    by_hand = bmx.Mixture(
        [
            bmx.Regression("A ~ 1", family="binomial"),
            bmx.Regression("`errors made` ~ 1", family="poisson"),
        ],
        data,
        k=2,
    ).fit("em", seed=1)
    assert fit.loglik == pytest.approx(by_hand.loglik, abs=1e-8)
    assert fit.df == 5


def test_expressions_stay_as_they_are():
    found = bmx.items(["p(right, asked)", "log(z)"], family="gaussian")
    assert [r.formula for r in found] == ["p(right, asked) ~ 1", "log(z) ~ 1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "list the columns of the items"),
        ((["A", "A"],), "more than once"),
        ((["A", "B"], {"A": "poisson"}), r"no family for \['B'\]"),
        ((["A"], {"A": "poisson", "Z": "gamma"}), r"names \['Z'\], no items"),
        ((["A"], "poisson", "y ~ x"), "right-hand side alone"),
        ((["A"], "poisson", "x"), "right-hand side alone"),
        (("AB",), "list of texts"),
    ],
)
def test_wrong_calls(arguments, message):
    with pytest.raises(bmx.SpecError, match=message):
        bmx.items(*arguments)
