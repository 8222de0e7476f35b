"""`check_survival`: every kind of row told in words, and every trap found, all at once."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmix as bmx
from bayesmix.errors import BayesmixError, DataError, FormulaError, SpecError
from bayesmix.formula.response import read_times
from bayesmix.formula.scope import Scope
from bayesmix.survival.check.times import KIND_WORDS, read_columns

inf, nan = np.inf, np.nan


@pytest.fixture
def data():
    """Twenty subjects: event a in ten, b in six, four censored."""
    event = ["a"] * 10 + ["b"] * 6 + [None] * 4
    return pd.DataFrame(
        {
            "time": np.linspace(1.0, 5.0, 20),
            "status": [1] * 16 + [0] * 4,
            "event": event,
            "x": np.linspace(-1, 1, 20) ** 2,
        }
    )


def check(data, response="surv(time, status)", event="event", **options):
    return bmx.check_survival(data, response, event, **options)


def rows(result):
    table = result.table
    return {
        (e, o): (int(n), c)
        for e, o, n, c in zip(
            table["event"], table["observation"], table["rows"], table["contribution"], strict=True
        )
    }


# --- what is told of good data -------------------------------------------------------------


def test_every_kind_of_row_in_words(data):
    result = check(data)
    assert rows(result) == {
        ("known: a", "exact time"): (10, "pi_a f_a(t)"),
        ("known: b", "exact time"): (6, "pi_b f_b(t)"),
        ("unknown", "right-censored"): (4, "pi_a S_a(t) + pi_b S_b(t)"),
    }
    assert result.ok
    assert result.problems == []
    assert result.notes == []


def test_the_shipped_data_have_no_problems():
    for name, ids in (("mgus2", "id"), ("pbc", "id"), ("jasa_larson_dinse", "row")):
        result = check(bmx.load_data(name), "surv(years, status) ~ age10", id=ids)
        assert result.ok
        assert result.table["rows"].sum() == len(bmx.load_data(name))
    causes = check(bmx.load_data("jasa_transplanted"), "surv(years, status)")
    assert rows(causes)["unknown", "exact time"][0] == 4
    assert causes.ok
    assert "missing its name in 4 rows" in causes.notes[0]


def test_one_event_needs_no_names(data):
    result = check(data, event=None)
    assert list(result.table.columns) == ["observation", "rows", "contribution"]
    assert result.table["contribution"].tolist() == ["f(t)", "S(t)"]


def test_partial_events_are_told(data):
    data.loc[[0, 1, 17], "event"] = "a_or_b"
    data.loc[[2, 3, 4, 5, 6], "event"] = "c"
    found = rows(check(data, partial_events={"a_or_b": ["a", "b"]}))
    told = "a or b (code a_or_b)"
    assert found[told, "exact time"] == (2, "pi_a f_a(t) + pi_b f_b(t)")
    assert found[told, "right-censored"] == (1, "pi_a S_a(t) + pi_b S_b(t)")
    assert found["unknown", "right-censored"][1] == "pi_a S_a(t) + pi_b S_b(t) + pi_c S_c(t)"


def test_intervals_are_told(data):
    data["lower"] = [0.0, 1.0, 2.0, 1.0, 0.0] * 4
    data["upper"] = [2.0, 2.0, 2.0, inf, inf] * 4
    data["event"] = ["a"] * 10 + ["b"] * 5 + [None] * 5
    found = rows(check(data, "surv(lower, upper, kind='interval')"))
    assert found["known: a", "left-censored"] == (2, "pi_a F_a(u)")
    assert found["known: a", "interval-censored"] == (2, "pi_a [F_a(u) - F_a(l)]")
    assert found["known: a", "right-censored"] == (2, "pi_a S_a(t)")
    assert found["known: b", "nothing known"] == (1, "pi_b")
    assert found["unknown", "nothing known"] == (1, "1")
    assert found["unknown", "exact time"] == (1, "pi_a f_a(t) + pi_b f_b(t)")


def test_delayed_entry_by_both_rules(data):
    data["entry"] = [0.0, 0.5] * 10
    counting = "surv(entry, time, status, kind='counting')"
    found = rows(check(data, counting))
    whole = "(pi_a S_a(entry) + pi_b S_b(entry))"
    assert found["known: a", "exact time"] == (5, "pi_a f_a(t)")
    assert found["known: a", "exact time, delayed entry"] == (5, f"pi_a f_a(t) / {whole}")
    found = rows(check(data, counting, truncation="component"))
    assert found["unknown", "right-censored, delayed entry"] == (
        2,
        "pi_a S_a(t) / S_a(entry) + pi_b S_b(t) / S_b(entry)",
    )
    alone = check(data, counting, event=None).table
    assert "f(t) / S(entry)" in alone["contribution"].tolist()


def test_a_response_for_each_event(data):
    data["until"] = np.where(data["event"] == "a", nan, data["time"])
    data["since"] = np.where(data["event"] == "b", data["time"], data["until"] / 2)
    responses = {
        "a": "surv(time, status)",
        "b": "surv(since, until, kind='interval')",
    }
    data.loc[data["event"] == "a", "since"] = 0.1
    data.loc[19, ["since", "until"]] = [0, inf]
    found = rows(check(data, responses))
    assert found["known: b", "exact time"] == (6, "pi_b f_b(t)")
    assert found["unknown", "a: right-censored, b: interval-censored"] == (
        3,
        "pi_a S_a(t) + pi_b [F_b(u) - F_b(l)]",
    )
    assert found["unknown", "a: right-censored, b: nothing known"] == (1, "pi_a S_a(t) + pi_b")


def test_an_event_without_any_row_has_its_own_response(data):
    responses = dict.fromkeys(("a", "b", "cured"), "surv(time, status)")
    found = rows(check(data, responses))
    assert found["unknown", "right-censored"][1] == (
        "pi_a S_a(t) + pi_b S_b(t) + pi_cured S_cured(t)"
    )


# --- the reading agrees with the model's ---------------------------------------------------

CALLS = ("surv(t, d)", "surv(l, u, kind='interval')", "surv(e, t, d, kind='counting')")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("seed", range(12))
def test_readable_rows_are_those_that_a_model_reads(call, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "t": rng.choice(
                [0.0, 1, 2, 3, -1, nan, inf], 60, p=[0.1, 0.3, 0.3, 0.2, *[1 / 30] * 3]
            ),
            "d": rng.choice([0, 1, 2, nan], 60, p=[0.4, 0.5, 0.05, 0.05]),
            "e": rng.choice([0, 0.5, 1.5, -1, nan], 60, p=[0.5, 0.2, 0.2, 0.05, 0.05]),
            "l": rng.choice([0.0, 1, 2, 3, -1, nan, inf], 60),
            "u": rng.choice([0.0, 1, 2, 3, nan, inf], 60),
        }
    )
    reading = read_columns(call, frame, Scope())
    for i in range(len(frame)):
        row = frame.iloc[[i]]
        try:
            times = read_times(call, row, Scope())
        except BayesmixError:
            assert not reading.readable[i]
            continue
        assert KIND_WORDS[reading.kind[i]] == KIND_WORDS[times.code[0]]
        assert reading.lower[i] == times.lower[0]
        assert reading.upper[i] == times.upper[0]
        assert reading.entry[i] == times.entry[0]


def in_numbers(words, row, weights, laws):
    """A contribution as it is told, evaluated for one row."""
    text = re.sub(r"pi_(\w+) ?", r"P['\1']*", words)
    text = re.sub(r"([fSF])_(\w+)\((\w+)\)", r"\1['\2'](\3)", text)
    text = text.replace("[F[", "(F[").replace(")]", "))")
    text = re.sub(r"\*( [+/]|\)|$)", r"\1", text)
    names = {
        "P": weights,
        "f": {name: law.pdf for name, law in laws.items()},
        "S": {name: law.sf for name, law in laws.items()},
        "F": {name: law.cdf for name, law in laws.items()},
    }
    return eval(text, names, dict(row[["t", "l", "u", "entry"]]))


RIGHT = "surv(t, status)"
BETWEEN = "surv(l, u, kind='interval')"
LATE = "surv(entry, t, status, kind='counting')"


@pytest.mark.parametrize(
    ("response", "truncation"),
    [
        (RIGHT, "mixture"),
        (BETWEEN, "mixture"),
        (LATE, "mixture"),
        (LATE, "component"),
        ({"a": RIGHT, "b": BETWEEN, "c": RIGHT}, "mixture"),
    ],
)
def test_the_words_are_the_likelihood(response, truncation):
    rng = np.random.default_rng(8)
    n = 60
    t = rng.weibull(1.2, n) * 2 + 0.2
    frame = pd.DataFrame({"t": t, "status": rng.integers(0, 2, n)})
    frame["entry"] = np.where(rng.random(n) < 0.5, 0.7 * t, 0.0)
    frame["l"] = np.where(rng.random(n) < 0.5, t, rng.choice([0.0, 0.5, 0.9], n) * t)
    frame["u"] = np.where(frame["l"] == t, t, np.where(rng.random(n) < 0.7, 1.5 * t, inf))
    frame["l"] = np.where(np.isinf(frame["u"]), t, frame["l"])
    frame["event"] = rng.choice(["a", "b", "c", "b_or_c", None], n)
    partial = {"b_or_c": ["b", "c"]}
    formulas = (
        {k: f"{v} ~ 1" for k, v in response.items()}
        if isinstance(response, dict)
        else f"{response} ~ 1"
    )
    model = bmx.CompetingRisks(
        formulas,
        frame,
        event="event",
        family="weibull",
        partial_events=partial,
        truncation=truncation,
    )
    params = model.fit("em", seed=1, max_iter=2000).params
    shapes, scales = (np.exp(params[name].values[:, 0]) for name in ("shape", "scale"))
    laws = {k: stats.weibull_min(a, scale=b) for k, a, b in zip("abc", shapes, scales, strict=True)}
    weights = dict(zip("abc", params["weight"].values, strict=True))
    frame["event"] = pd.Categorical(frame["event"], ["a", "b", "c", "b_or_c"])
    told = 0.0
    for i in range(n):
        one = check(frame.iloc[[i]], response, partial_events=partial, truncation=truncation)
        words = one.table["contribution"].item()
        told += np.log(in_numbers(words, frame.iloc[i], weights, laws))
    np.testing.assert_allclose(told, model.log_likelihood(params), rtol=1e-10)


# --- traps ---------------------------------------------------------------------------------


def test_all_problems_are_told_at_once(data):
    data.loc[0, "time"] = -1.0
    data.loc[1, "time"] = 0.0
    data.loc[2, "time"] = nan
    data.loc[3, "status"] = 3
    data["event"] = data["event"].fillna("censored")
    result = check(data, id="nobody")
    told = "\n".join(result.problems)
    assert "time is negative in 1 row (0)" in told
    assert "time of an event is zero in 1 row (1)" in told
    assert "time is missing in 1 row (2)" in told
    assert "neither 0 nor 1 (it has the values 0, 1, 3) in 1 row (3)" in told
    assert "'censored', in 4 rows, seems to mean that nothing happened" in told
    assert "Column 'nobody' is not in the data" in told
    assert len(result.problems) == 6
    assert rows(result)["known: a", "cannot be read"] == (4, "none: see the problems")


@pytest.mark.parametrize(
    "word", ["censored", "Cens", "none", " No event ", "0", "alive", "unknown", "lost"]
)
def test_a_censored_row_coded_as_a_level(word, data):
    data["event"] = data["event"].fillna(word)
    (problem,) = check(data).problems
    assert f"{word!r}, in 4 rows, seems to mean" in problem
    assert f".replace({{{word!r}: None}})" in problem
    data["event"] = pd.Categorical(data["event"])
    mended = data.assign(event=data["event"].cat.remove_categories([word]))
    assert f".cat.remove_categories([{word!r}])" in check(data).problems[0]
    assert check(mended).ok


def test_a_level_that_is_always_censored(data):
    data["event"] = data["event"].fillna("fine")
    (problem,) = check(data).problems
    assert "'fine' stands at right-censored times only, in 4 rows" in problem


def test_the_cured_may_be_known(data):
    data["event"] = data["event"].fillna("cured")
    result = check(data)
    assert result.ok
    assert "'cured' stands at right-censored times only" in result.notes[0]
    family = {"a": "exponential", "b": "exponential", "cured": "cured"}
    model = bmx.CompetingRisks("surv(time, status) ~ 1", data, event="event", family=family)
    # Known to be cured: 4 of 20.
    np.testing.assert_allclose(model.fit("em", seed=1).params["weight"], [0.5, 0.3, 0.2], rtol=1e-6)


def test_events_as_numbers(data):
    data["event"] = [1] * 10 + [2] * 6 + [0] * 4
    told = "\n".join(check(data).problems)
    assert "holds int64: [0, 1, 2]" in told
    assert "map({1: 'event1', 2: 'event2'})" in told
    assert "The event 0, in 4 rows, seems to mean that nothing happened" in told


def test_a_known_event_with_a_censored_time_is_a_note(data):
    data.loc[16, "event"] = "b"
    result = check(data)
    assert result.ok
    assert "A known event has a right-censored time in 1 row. This is allowed" in result.notes[0]
    assert rows(result)["known: b", "right-censored"] == (1, "pi_b S_b(t)")


def test_an_unknown_event_with_status_1_is_a_note(data):
    data.loc[[0, 1], "event"] = None
    result = check(data)
    assert result.ok
    assert "An event at a known time or interval is missing its name in 2 rows" in result.notes[0]


def causes(data):
    """One row for each cause, as for cause-specific hazards."""
    long = data.loc[data.index.repeat(2)].reset_index(drop=True)
    long["subject"] = np.repeat(np.arange(len(data)), 2)
    first = long["event"]
    long["event"] = ["a", "b"] * len(data)
    long["status"] = (first == long["event"]).astype(int)
    return long


def test_one_row_for_each_cause_by_the_id(data):
    (problem,) = check(causes(data), id="subject").problems
    assert "20 subjects have more than one row" in problem
    assert "one row for each of the 2 events" in problem


def test_one_row_for_each_cause_without_an_id(data):
    long = causes(data)
    long["number"] = np.arange(len(long))
    (problem,) = check(long).problems
    assert "40 of 40 rows come in groups of 2 that are the same but for the event" in problem
    assert "one row for each event" in problem


def test_ties_are_no_repeated_subjects(data):
    rng = np.random.default_rng(1)
    many = pd.DataFrame(
        {
            "time": rng.integers(1, 9, 500),
            "status": rng.integers(0, 2, 500),
            "event": rng.choice(["a", "b"], 500),
        }
    )
    assert check(many).ok


def test_a_history_in_pieces(data):
    data["subject"] = np.repeat(np.arange(10), 2)
    data["event"] = ["a"] * 10 + ["b"] * 10
    (problem,) = check(data, id="subject").problems
    assert "They may be pieces of one history" in problem


def test_missing_subjects(data):
    data["subject"] = [nan, *range(19)]
    (problem,) = check(data, id="subject").problems
    assert "'subject' is missing in 1 row (0)" in problem


def test_partial_codes_that_cannot_be(data):
    (problem,) = check(data, partial_events={"b": ["a"]}).problems
    assert "stands for 'a' alone" in problem
    result = check(data, partial_events={"either": ["a", "c"]})
    assert "stands for ['c'], but the events are ['a', 'b']" in result.problems[0]
    assert result.notes == ["The code 'either' of partial_events= stands in no row."]


def test_categories_that_no_row_has(data):
    data["event"] = pd.Categorical(data["event"], ["a", "b", "c"])
    result = check(data)
    assert result.ok
    assert "'c' is a category of 'event' that no row has: only rows" in result.notes[0]
    known = data.iloc[:16]
    (problem,) = check(known).problems
    assert "nothing can be learned about it" in problem


def test_events_that_differ_in_writing_only(data):
    data.loc[0, "event"] = "A "
    assert "['A ', 'a'] differ only in spaces" in check(data).problems[0]


def test_a_column_that_does_not_name_events(data):
    (problem,) = check(data.assign(event=[["a"]] * 20)).problems
    assert "holds values that are not names" in problem
    result = check(data.assign(event=[f"e{i}" for i in range(20)]))
    assert "has 20 events, each of which would be a component" in result.problems[0]


def test_a_long_sum_is_shortened(data):
    many = pd.concat([data.assign(event=f"e{i}") for i in range(9)] + [data.assign(event=None)])
    found = rows(check(many))["unknown", "exact time"][1]
    assert found == "pi_e0 f_e0(t) + pi_e1 f_e1(t) + ... (9 terms)"


def test_times_in_two_units(data):
    data.loc[::2, "time"] *= 365.25
    (note,) = check(data).notes
    assert "10 times are at most 5 and the other 10 at least 365.2" in note
    assert "same unit?" in note


def test_times_of_one_unit_are_not_suspected():
    rng = np.random.default_rng(3)
    for shape in (0.3, 1.0, 3.0):
        frame = pd.DataFrame({"time": rng.weibull(shape, 400) * 100, "status": 1})
        assert check(frame, event=None).notes == []


def test_calendar_years(data):
    data["time"] = np.arange(1990, 2010)
    assert "are they calendar years?" in check(data).notes[0]


STATUS = [
    ({"status": [2] * 16 + [1] * 4}, "status - 1"),
    ({"status": [1] * 10 + [2] * 6 + [0] * 4}, "code > 0"),
    ({"status": ["dead"] * 16 + ["alive"] * 4}, "status == 'dead'"),
    ({"time": pd.to_timedelta(range(1, 21), unit="D")}, "dt.total_seconds() / 86400"),
    ({"time": pd.date_range("2020-01-01", periods=20)}, "Subtract the date"),
]


@pytest.mark.parametrize(("columns", "advice"), STATUS)
def test_columns_of_another_kind_come_with_advice(columns, advice, data):
    result = check(data.assign(**columns))
    assert advice in "\n".join(result.problems)
    assert (result.table["rows"].sum()) == 20


def test_the_advice_for_a_status_works(data):
    words = data.assign(status=["dead"] * 16 + ["alive"] * 4)
    assert rows(check(words, "surv(time, status == 'dead')")) == rows(check(data))
    codes = data.assign(code=[1] * 10 + [2] * 6 + [0] * 4)
    assert rows(check(codes, "surv(time, code > 0)")) == rows(check(data))


def test_nothing_happened(data):
    (problem,) = check(data.assign(status=0, event=None, x=1), event=None).problems
    assert "Every time is right-censored" in problem
    told = "\n".join(check(data.assign(status=0)).problems)
    assert "coded the other way round" in told


def test_no_event_is_known(data):
    assert "names no event" in check(data.assign(event=None)).problems[0]
    data["event"] = [None] * 16 + ["a", "b", "a", "b"]
    told = "\n".join(check(data).problems)
    assert "nothing distinguishes the events" in told


def test_a_rare_event_is_a_note(data):
    data.loc[0, "event"] = "c"
    assert "'c' was seen in 1 row only" in check(data).notes[0]


def test_entry_and_time_in_different_units(data):
    data["entry"] = 100.0
    (problem,) = check(data, "surv(entry, time, status, kind='counting')").problems
    assert "entry is not before the time in 20 rows" in problem


def test_columns_that_are_not_there(data):
    told = "\n".join(check(data, "surv(tim, state)", event="evnt").problems)
    for near in ("'time'", "'state'", "'event'"):
        assert near in told


# --- what it is given, and what it is ------------------------------------------------------


def test_calls_that_cannot_be(data):
    with pytest.raises(FormulaError, match="has no survival time"):
        check(data, "time ~ x")
    with pytest.raises(FormulaError, match="has 3 arguments"):
        check(data, "surv(time, status, x)")
    with pytest.raises(SpecError, match="need event="):
        check(data, {"a": "surv(time)"}, event=None)
    with pytest.raises(SpecError, match="partial_events= needs event="):
        check(data, event=None, partial_events={"c": ["a", "b"]})
    with pytest.raises(SpecError, match=r"the events that each may be, such as \{'a_or_b'"):
        check(data, partial_events={"c": "a"})
    with pytest.raises(SpecError, match="truncation='both' is unknown"):
        check(data, truncation="both")
    with pytest.raises(DataError, match="takes a DataFrame"):
        check(data.to_dict())
    responses = check(data, {"a": "surv(time, status)"})
    assert "no response for the events ['b']" in responses.problems[0]


def test_a_code_may_stand_for_an_event_that_no_row_names(data):
    """Of a model, whose families name the event; without one it may be a slip."""
    data["event"] = data["event"].replace({"b": "a_or_b"})
    codes = {"a_or_b": ["a", "b"]}
    given = ("surv(time, status) ~ 1", data, "event")
    spec = bmx.CompetingRisks(*given, {"a": "weibull", "b": "exponential"}, partial_events=codes)
    assert spec.components == ("a", "b")
    with pytest.raises(SpecError, match=r"uses \['c'\], but the events are \['a', 'b'\]"):
        bmx.CompetingRisks(
            *given,
            {"a": "weibull", "b": "exponential"},
            partial_events={"a_or_b": ["a", "c"]},
        )
    assert (
        "stands for ['b'], but the events are ['a']"
        in check(data, partial_events=codes).problems[0]
    )


def test_the_user_s_own_names_are_found(data):
    factor = 365.25  # noqa: F841  used in the formula
    assert bmx.check_survival(data, "surv(time / factor, status)", event="event").ok


def test_it_reads_well(data):
    text = repr(check(data))
    assert "pi_a S_a(t) + pi_b S_b(t)" in text
    assert text.endswith("No problems.")
    data["event"] = data["event"].fillna("<censored>")
    page = check(data)._repr_html_()
    assert "<strong>Problems</strong>" in page
    assert "&lt;censored&gt;" in page


def test_the_data_are_left_alone(data):
    before = data.copy(deep=True)
    check(data, partial_events={"c": ["a", "b"]})
    pd.testing.assert_frame_equal(data, before)
