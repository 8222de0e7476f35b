"""Survival times as a response: every form of ``surv(...)``, and every input that it refuses."""

import numpy as np
import pandas as pd
import pytest

from bayesmix.errors import DataError, FormulaError
from bayesmix.formula.frames import select_rows
from bayesmix.formula.parser import parse_formula
from bayesmix.formula.response import complete_columns, middle, read_response
from bayesmix.formula.scope import Scope
from bayesmix.formula.times import Times

inf, nan = np.inf, np.nan


@pytest.fixture
def data():
    return pd.DataFrame(
        {
            "time": [1.0, 2.0, 3.0, 4.0],
            "status": [1, 0, 1, 0],
            "entry": [0.0, 1.0, 2.5, 0.0],
            "lower": [0.0, 1.0, 2.0, nan],
            "upper": [1.0, inf, 2.0, 5.0],
            "end": ["dead", "alive", "dead", "alive"],
            "code": [1, 0, 2, 0],
            "x": [0.1, 0.4, 0.2, 0.3],
        },
        index=list("abcd"),
    )


def read(text, data, scope=None):
    return read_response(parse_formula(f"{text} ~ x", "formula"), data, scope or Scope())


def bounds(times):
    return times.lower.tolist(), times.upper.tolist(), times.entry.tolist()


FORMS = {
    "surv(time)": ([1, 2, 3, 4], [1, 2, 3, 4], [0] * 4),
    "surv(time, kind='right')": ([1, 2, 3, 4], [1, 2, 3, 4], [0] * 4),
    "surv(time, status)": ([1, 2, 3, 4], [1, inf, 3, inf], [0] * 4),
    "surv (time,status,)": ([1, 2, 3, 4], [1, inf, 3, inf], [0] * 4),
    "surv(2 * time, 1 - status)": ([2, 4, 6, 8], [inf, 4, inf, 8], [0] * 4),
    "surv(time, 1)": ([1, 2, 3, 4], [1, 2, 3, 4], [0] * 4),
    "surv(time, end == 'dead')": ([1, 2, 3, 4], [1, inf, 3, inf], [0] * 4),
    "surv(time, I(code > 0))": ([1, 2, 3, 4], [1, inf, 3, inf], [0] * 4),
    "surv(lower, upper, kind='interval')": ([0, 1, 2, 0], [1, inf, 2, 5], [0] * 4),
    'surv(lower, 2 * upper, kind="interval")': ([0, 1, 2, 0], [2, inf, 4, 10], [0] * 4),
    "surv(entry, time, status, kind='counting')": ([1, 2, 3, 4], [1, inf, 3, inf], [0, 1, 2.5, 0]),
}


@pytest.mark.parametrize("text", FORMS)
def test_the_forms(text, data):
    response = read(text, data)
    assert response.kind == "survival"
    assert response.name == text
    assert response.trials is None
    assert bounds(response.times) == FORMS[text]


def test_only_columns_of_the_data_are_its_columns(data):
    assert read("surv(time / 12, status)", data).columns == ("time", "status")
    per_year = 12
    scope = Scope.capture()
    response = read("surv(time / per_year, status)", data, scope)
    assert response.columns == ("time", "status")
    assert response.times.lower[3] == 4 / per_year


def test_the_user_s_functions_are_found(data):
    def years(days):
        return days / 365.25

    response = read("surv(years(time), status)", data, Scope.capture())
    np.testing.assert_allclose(response.times.lower, data["time"] / 365.25)


@pytest.mark.parametrize("dtype", [bool, "boolean", "Int64", float, "float32", object])
def test_status_of_any_type_of_number(dtype, data):
    data["status"] = data["status"].astype(dtype)
    assert read("surv(time, status)", data).times.upper.tolist() == [1, inf, 3, inf]


def test_missing_bounds_are_open(data):
    data["upper"] = [1, nan, 2, 5]
    data["lower"] = [nan, 1, 2, 3]
    assert bounds(read("surv(lower, upper, kind='interval')", data).times)[:2] == (
        [0, 1, 2, 3],
        [1, inf, 2, 5],
    )


def test_what_an_expression_cannot_give_is_not_open(data):
    data["upper"], data["lower"] = [1, nan, 2, 5], [-1, 1, 2, 3]
    with pytest.raises(DataError, match=r"missing or infinite in 1 row \(a\)"):
        read("surv(sqrt(lower), upper, kind='interval')", data)


def test_a_censored_time_of_zero_says_nothing(data):
    data["time"] = [1.0, 0.0, 3.0, 4.0]
    times = read("surv(time, status)", data).times
    assert [(kind, list(rows)) for kind, rows in times.kinds()] == [
        ("exact", [0, 2]),
        ("right", [3]),
    ]


# --- what is incomplete --------------------------------------------------------------------


def test_bounds_may_be_missing_but_no_other_time(data):
    interval = parse_formula("surv(lower, upper, kind='interval') ~ x", "formula")
    right = parse_formula("surv(time, status) ~ x", "formula")
    plain = parse_formula("x ~ time", "formula")
    assert complete_columns(interval) == ()
    assert complete_columns(right) == ("time", "status")
    assert complete_columns(plain) == ("x",)
    kept, dropped = select_rows(data, [*complete_columns(interval), "x"], "error")
    assert len(kept) == 4
    assert dropped == 0


@pytest.mark.parametrize("column", ["time", "status", "entry"])
@pytest.mark.parametrize("value", [nan, inf])
def test_missing_and_infinite_values_are_refused(column, value, data):
    data[column] = data[column].astype(float)
    data.loc["c", column] = value
    with pytest.raises(DataError, match=rf"'{column}' is missing or infinite in 1 row \(c\)"):
        read("surv(entry, time, status, kind='counting')", data)


# --- values that cannot be -----------------------------------------------------------------

WRONG_VALUES = [
    ("surv(time, status)", {"time": [1, -2, 3, 4]}, r"time is negative in 1 row \(b\)"),
    (
        "surv(time, status)",
        {"time": [0, 0, 3, 4]},
        r"time of an event is zero in 1 row \(a\)",
    ),
    ("surv(time)", {"time": [1, 0, 0, 4]}, r"time of an event is zero in 2 rows \(b, c\)"),
    ("surv(time, status)", {"status": [1, 2, 1, 2]}, r"the values 1, 2\) in 2 rows \(b, d\)"),
    ("surv(time, code)", {}, r"the values 0, 1, 2\) in 1 row \(c\). This looks like a code"),
    ("surv(time, status)", {"status": [0.5, 0, 1, 0]}, r"the values 0, 0.5, 1"),
    ("surv(time, end)", {}, "status 'end' is .* numbers or booleans are needed"),
    ("surv(end, status)", {}, "survival time 'end' is .* numbers or booleans are needed"),
    ("surv(time, status)", {"time": pd.to_datetime(["2020-01-01"] * 4)}, "dates or times"),
    (
        "surv(time, status)",
        {"time": pd.to_timedelta([1, 2, 3, 4], "D")},
        "durations .*total_seconds",
    ),
    (
        "surv(entry, time, status, kind='counting')",
        {"entry": [0, 2, 3.5, 1]},
        r"entry is not before the time in 2 rows \(b, c\)",
    ),
    (
        "surv(entry, time, status, kind='counting')",
        {"entry": [0, -1, 0, 0]},
        r"entry is negative in 1 row \(b\)",
    ),
    (
        "surv(lower, upper, kind='interval')",
        {"lower": [nan, 1, 2, 3], "upper": [nan, 2, 2, 3]},
        r"both bounds are missing in 1 row \(a\)",
    ),
    ("surv(lower, upper, kind='interval')", {"lower": [2, 1, 2, 3]}, r"below the lower .* \(a\)"),
    (
        "surv(lower, upper, kind='interval')",
        {"lower": [-1, 1, 2, 3]},
        r"bound is negative .* \(a\)",
    ),
    (
        "surv(lower, upper, kind='interval')",
        {"upper": [0, 1, 2, 5]},
        r"time of an event is zero .*\(a\)",
    ),
    (
        "surv(lower, upper, kind='interval')",
        {"lower": [0, inf, 2, 3]},
        r"lower .* infinite .* \(b\)",
    ),
]


@pytest.mark.parametrize(("text", "columns", "message"), WRONG_VALUES)
def test_values_that_cannot_be(text, columns, message, data):
    with pytest.raises(DataError, match=message):
        read(text, data.assign(**columns))


# --- texts that cannot be ------------------------------------------------------------------

WRONG_TEXTS = [
    ("surv()", FormulaError, "has 0 arguments"),
    ("surv(time,, status)", FormulaError, "not a valid expression"),
    ("surv(entry, time, status)", FormulaError, "has 3 arguments.*kind='counting'"),
    ("surv(lower, upper, time, kind='interval')", FormulaError, "has 3 arguments"),
    ("surv(lower, kind='interval')", FormulaError, "has 1 argument,"),
    ("surv(time, status, kind='counting')", FormulaError, "has 2 arguments"),
    ("surv(time, status, kind='left')", FormulaError, "kind='left' is unknown"),
    ("surv(lower, upper, kind=interval)", FormulaError, "has kind=interval without quotes"),
    ("surv(time, status, type='right')", FormulaError, "the options are kind= and background="),
    ("surv(time, status, kind='right', kind='right')", FormulaError, "repeated"),
    ("surv(time, status) + 1", FormulaError, "the response is one column"),
    ("log(surv(time))", FormulaError, "must stand alone on the left"),
    ("surv(surv(time), status)", FormulaError, "must stand alone on the left"),
    ("surv(time, status", FormulaError, "not closed"),
    ("Surv(time, status)", FormulaError, r"Write surv\(time, status\)"),
    ("surv(scale(time), status)", FormulaError, "only be used in a term of the right"),
    ("surv(tme, status)", DataError, "Did you mean 'time'"),
    ("surv(time, sex)", DataError, "Column 'sex' is not in the data"),
]


@pytest.mark.parametrize(("text", "error", "message"), WRONG_TEXTS)
def test_texts_that_cannot_be(text, error, message, data):
    with pytest.raises(error, match=message):
        read(text, data)


def test_a_column_may_be_called_surv(data):
    response = read("surv", data.assign(surv=data["time"]))
    assert response.kind == "numeric"


# --- what is kept of it --------------------------------------------------------------------


def test_a_time_within_the_bounds():
    times = Times(
        np.array([2.0, 3, 0, 1, 0]), np.array([2.0, inf, 4, 2, inf]), np.array([0.0, 1, 0, 0, 0])
    )
    assert middle(times).tolist() == [2, 3, 4, 1.5, 0]


def test_some_rows_of_a_response(data):
    response = read("surv(entry, time, status, kind='counting')", data)
    some = response.take(np.array([2, 1]))
    assert bounds(some.times) == ([3, 2], [3, inf], [2.5, 1])
    assert some.y.tolist() == response.y[[2, 1]].tolist()
