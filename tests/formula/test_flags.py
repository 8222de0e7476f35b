"""Columns that may not be what they seem are flagged when a model is written."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx

RNG = np.random.default_rng(7)
N = 120


def told(formula, data, **options):
    """What a model is warned of, as one text."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bmx.Mixture(formula, data, **{"k": 1, **options})
    assert all(w.category is bmx.DataWarning for w in caught)
    assert all(w.filename == __file__ for w in caught)
    return " | ".join(str(w.message) for w in caught)


def frame(values):
    many = pd.Series(
        [values[i % len(values)] for i in range(N)], dtype=getattr(values, "dtype", None)
    )
    return pd.DataFrame({"y": RNG.normal(size=N), "v": many, "x": RNG.normal(size=N)})


DATES = pd.date_range("2021-01-01", periods=6).strftime


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["0", "0.5", "1", "2", "20 mg"], "numbers stored as text, but '20 mg' is not"),
        (["1", "2", "3", "n/a"], "but 'n/a' is not"),
        (["1,5", "2,5", "3", "-", "?"], r"but '-', '?' are not"),
        (["0.1", "0.2", "0.5"], "3 of its 3 levels are numbers stored as text"),
        ([str(i) for i in range(20)], "20 of its 20 levels are numbers"),
        (["10 %", "20 %", "30 %", "unknown"], "'unknown'"),
        (DATES("%Y-%m-%d"), "6 of its 6 levels are dates"),
        ([*DATES("%d.%m.%Y"), "later"], "dates stored as text, but 'later' is not"),
        (DATES("%m/%d/%y %H:%M"), "dates"),
        (["Email", "email ", "post"], "'Email', 'email ' differ only by case or blanks"),
        (["a b", "a  b", "c"], "'a  b', 'a b' differ only"),
        ([f"P{i:03d}" for i in range(60)], r"60 levels in 120 rows.*'y ~ x \| id'"),
    ],
)
def test_flagged(values, words):
    data = frame(values)
    text = told("y ~ v", data)
    assert "'v'" in text
    assert re.search(re.escape(words) if "*" not in words else words, text), text
    assert told("y ~ x", data, concomitant="~ v", k=2) == text
    assert told("y ~ x", data) == ""


def test_a_detection_limit_among_many_numbers_is_flagged():
    values = [f"{v / 10}" for v in range(12)] + ["<0.1"]
    assert "12 of its 13 levels are numbers stored as text, but '<0.1' is not" in told(
        "y ~ v", frame(values)
    )


def test_levels_that_look_alike_are_flagged():
    for other in ("e\u0301", "\u200b\u00e9", "\u00c9"):  # an accent of its own, an invisible sign
        assert "differ only by" in told("y ~ v", frame(["\u00e9", other, "z"]))


@pytest.mark.parametrize(
    "values",
    [
        ["a", "b"],
        ["1", "2", "3"],
        ["0", "1", "2", "3", "4+"],
        ["1", "2", "< 3", "3-5"],
        [1, 2, 3],
        ["I", "II", "III"],
        ["Mar-1", "Mar-2"],
        pd.Categorical(["0.1", "0.2", "0.5", "high"]),
    ],
    ids=str,
)
def test_not_flagged(values):
    assert told("y ~ v", frame(values)) == ""


def test_a_factor_on_purpose_is_not_flagged_but_its_spelling_is():
    assert told("y ~ C(v)", frame(["0.1", "0.2", "0.5"])) == ""
    assert "differ only by case" in told("y ~ C(v)", frame(["a", "A"]))
    assert "differ only by case" in told("y ~ v", frame(pd.Categorical(["a", "A"])))


def test_groups_labels_and_events():
    data = frame(["s1", "S1", "s2", "s3"])
    assert "'s1', 'S1' differ only" in told("y ~ x | v", data)
    data["known"] = np.where(np.arange(N) % 3 == 0, "high", np.where(np.arange(N) % 3, "High ", ""))
    data.loc[data["known"] == "", "known"] = None
    assert "'high', 'High ' differ only" in told("y ~ x", data, labels="known", k=2)
    times = pd.DataFrame({"t": RNG.gamma(2, size=40), "s": 1, "e": ["dead", "Dead"] * 20})
    with pytest.raises(bmx.DataError, match=r"'Dead', 'dead'. differ only"):
        bmx.CompetingRisks("surv(t, s) ~ 1", times, event="e", family="exponential")


def test_a_response_that_is_text_names_the_odd_value():
    data = frame(["1", "2.5", "3", "20 mg"])
    with pytest.raises(bmx.DataError, match="most are numbers, but not '20 mg'"):
        bmx.Mixture("v ~ x", data)


def test_a_model_shows_its_coefficients_and_factors():
    data = frame([f"P{i:03d}" for i in range(60)])
    data["f"] = RNG.choice(list("abc"), N)
    with pytest.warns(bmx.DataWarning):
        text = " ".join(repr(bmx.Mixture("y ~ v + f", data, k=2, concomitant="~ x")).split())
    assert "coefficients 124, and 2 of the weights" in text  # 2 (1 + 59 + 2)
    assert "v (P000, P001, P002, P003, P004, P005, ...: 60 levels); f (a, b, c)" in text
