"""Kaplan-Meier and Aalen-Johansen against R's survival package, flexsurv and by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix.errors import DataError
from bayesmix.formula.times import Times
from bayesmix.survival.nonparametric import aalen_johansen, kaplan_meier, seen_events, turnbull

REFERENCE = Path(__file__).parents[1] / "reference"

# Ten subjects, with ties between events, and between events and censored times.
TIME = np.array([2.0, 3, 3, 5, 6, 7, 7, 8, 10, 12])
ENTRY = np.array([0.0, 0, 1, 2, 0, 3, 1, 5, 4, 0])
CODE = np.array([0, 1, 0, -1, 0, 1, 0, -1, 1, 0])


def numbers(text):
    return np.array(text.split(), dtype=float)


# R survival 3.5-3: survfit(Surv(time, event) ~ 1, conf.type = "log-log"), std.err * surv.
KM = {
    "time": numbers("2 3 5 6 7 8 10 12"),
    "estimate": numbers("0.9 0.7 0.7 0.583333333333 0.35 0.35 0.175 0"),
    "se": numbers("""0.0948683298051 0.1449137674619 0.1449137674619 0.1610152971799
        0.1602081978760 0.1602081978760 0.1474081635008"""),
    "lower": numbers("""0.4730092713621 0.3287165932797 0.3287165932797 0.2297865189240
        0.0847990875984 0.0847990875984 0.0111734750482"""),
    "upper": numbers("""0.985281393367 0.891949041225 0.891949041225 0.820739497172
        0.639759803009 0.639759803009 0.508664011881"""),
}
# survfit(Surv(time, factor(event)) ~ 1, id = id): pstate and std.err of the two events.
AJ = [
    numbers(
        "0.1 0.2 0.2 0.316666666667 0.433333333333 0.433333333333 0.433333333333 0.608333333333"
    ),
    numbers("0 0.1 0.1 0.1 0.216666666667 0.216666666667 0.391666666667 0.391666666667"),
]
AJ_SE = [
    numbers("""0.0948683298051 0.1264911064067 0.1264911064067 0.1525098661047
        0.1647669510192 0.1647669510192 0.1647669510192 0.1782307597013"""),
    numbers("""0 0.0948683298051 0.0948683298051 0.0948683298051
        0.1363546573924 0.1363546573924 0.1782307597013 0.1782307597013"""),
]
# survfit(Surv(entry, time, ...)): n.risk, surv and std.err * surv; pstate of the two events.
LATE_AT_RISK = [6, 6, 6, 6, 5, 3, 2, 1]
LATE_KM = numbers("""0.833333333333 0.555555555556 0.555555555556 0.462962962963
    0.277777777778 0.277777777778 0.138888888889 0""")
LATE_KM_SE = numbers("""0.152145154863 0.189758347518 0.189758347518 0.179304784547
    0.147858513173 0.147858513173 0.122925167105""")
LATE_AJ = [
    numbers("""0.166666666667 0.305555555556 0.305555555556 0.398148148148
        0.490740740741 0.490740740741 0.490740740741 0.629629629630"""),
    numbers("""0 0.138888888889 0.138888888889 0.138888888889
        0.231481481481 0.231481481481 0.370370370370 0.370370370370"""),
]


def observed(time=TIME, code=CODE, entry=None):
    entry = np.zeros(len(time)) if entry is None else entry
    return Times(time, np.where(code >= 0, time, np.inf), entry)


def recursion(times, codes, n_events, weights):
    """Probabilities and covariances of all states by their recursion, one time after another.

    Andersen, Borgan, Gill and Keiding (1993), (4.4.19): matrices, no closed form.
    """
    p, v = np.eye(1 + n_events)[0], np.zeros((1 + n_events, 1 + n_events))
    out = []
    for t in np.unique(times.lower):
        at_risk = weights[(times.entry < t) & (times.lower >= t)].sum()
        exact = (times.lower == t) & (times.upper == t)
        d = np.array([weights[exact & (codes == k)].sum() for k in range(n_events)])
        a = np.r_[-d.sum(), d] / max(at_risk, 1e-300)
        step = np.eye(1 + n_events)
        step[0] += a
        noise = np.zeros_like(v)
        b = d / max(at_risk, 1e-300)
        noise[1:, 1:] = (np.diag(b) - np.outer(b, b)) / max(at_risk, 1e-300)
        noise[0, 1:] = noise[1:, 0] = -noise[1:, 1:].sum(axis=0)
        noise[0, 0] = noise[1:, 1:].sum()
        v = step.T @ v @ step + p[0] ** 2 * noise
        p = p @ step
        out.append((p, np.sqrt(np.maximum(np.diag(v), 0))))
    return np.array([o[0] for o in out]), np.array([o[1] for o in out])


def test_kaplan_meier_against_r():
    curves = kaplan_meier(observed())
    assert curves.time.tolist() == [0, *KM["time"]]
    np.testing.assert_allclose(curves.estimate[1:, 0], KM["estimate"], atol=1e-11)
    for name in ("se", "lower", "upper"):
        np.testing.assert_allclose(getattr(curves, name)[1:-1, 0], KM[name], rtol=1e-10)
    np.testing.assert_allclose(curves.lower[:, 1], 1 - curves.upper[:, 0], atol=1e-12)


def test_limits_where_nobody_is_left_are_those_of_the_time_before():
    curves = kaplan_meier(observed())
    assert (curves.lower[-1, 0], curves.upper[-1, 0]) == (0.0, curves.upper[-2, 0])


def test_aalen_johansen_against_r():
    curves = aalen_johansen(observed(), CODE, 2)
    np.testing.assert_allclose(curves.estimate[1:, 1:].T, AJ, atol=1e-11)
    np.testing.assert_allclose(curves.se[1:, 1:].T, AJ_SE, atol=1e-11)
    np.testing.assert_allclose(curves.estimate.sum(axis=1), 1.0)


def test_late_entries_against_r():
    late = observed(entry=ENTRY)
    curves = kaplan_meier(late)
    np.testing.assert_allclose(curves.at_risk[1:], LATE_AT_RISK)
    np.testing.assert_allclose(curves.estimate[1:, 0], LATE_KM, atol=1e-11)
    np.testing.assert_allclose(curves.se[1:-1, 0], LATE_KM_SE, atol=1e-11)
    curves = aalen_johansen(late, CODE, 2)
    np.testing.assert_allclose(curves.estimate[1:, 1:].T, LATE_AJ, atol=1e-11)


@pytest.mark.parametrize("entered", [False, True])
def test_standard_errors_against_the_recursion_of_matrices(entered):
    rng = np.random.default_rng(5)
    n, events = 300, 3
    time = np.ceil(rng.weibull(1.3, n) * 40) / 4
    entry = np.where(rng.random(n) < 0.4, time * rng.random(n), 0.0) * entered
    code = rng.integers(-1, events, n)
    weights = rng.uniform(0.2, 3.0, n)
    times = observed(time, code, entry)
    curves = aalen_johansen(times, code, events, weights)
    estimate, se = recursion(times, code, events, weights)
    np.testing.assert_allclose(curves.estimate[1:], estimate, atol=1e-12)
    np.testing.assert_allclose(curves.se[1:], se, atol=1e-8)


def test_a_weight_counts_as_copies():
    copies = np.repeat(np.arange(10), np.arange(10) % 3 + 1)
    many = aalen_johansen(observed(TIME[copies], CODE[copies]), CODE[copies], 2)
    weighted = aalen_johansen(observed(), CODE, 2, np.arange(10) % 3 + 1.0)
    for name in ("time", "at_risk", "estimate", "se", "lower", "upper"):
        np.testing.assert_allclose(getattr(weighted, name), getattr(many, name), atol=1e-12)


def test_everybody_followed_to_an_event_is_a_multinomial():
    code = np.array([0, 0, 1, 2, 2, 2, 1, 0, 2, 2])
    curves = aalen_johansen(observed(code=code), code, 3)
    share = np.array([3, 2, 5]) / 10
    np.testing.assert_allclose(curves.estimate[-1], [0, *share], atol=1e-14)
    np.testing.assert_allclose(curves.se[-1, 1:], np.sqrt(share * (1 - share) / 10))


@pytest.mark.parametrize("case", json.loads((REFERENCE / "aalen_johansen.json").read_text()))
def test_aalen_johansen_against_flexsurv(case):
    data = bmx.load_data(case["data"])
    event = data["event"].astype(object)
    code = np.array([case["events"].index(e) if isinstance(e, str) else -1 for e in event])
    years = data["years"].to_numpy()
    curves = aalen_johansen(observed(years, code), code, len(case["events"]))
    assert len(curves.time) == case["times"] + 1
    np.testing.assert_allclose(curves.at(np.array(case["time"])), case["probability"], atol=1e-10)


def test_estimates_between_and_beyond_the_times():
    curves = aalen_johansen(observed(code=np.minimum(CODE, np.arange(9, -1, -1) - 1)), CODE * 0, 1)
    values = curves.at(np.array([0.0, 1.9, 2.0, 2.1, 12.0, 12.1, -1.0]))
    np.testing.assert_allclose(values[:4, 0], [1, 1, 0.9, 0.9])
    assert np.isfinite(values[4]).all()
    assert np.isnan(values[5:]).all()
    assert kaplan_meier(observed()).at(np.array([99.0]))[0].tolist() == [0.0, 1.0]


def test_the_table_is_tidy():
    table = aalen_johansen(observed(), CODE, 2).table(["a", "b"], "alive")
    assert list(table.columns) == ["time", "state", "estimate", "se", "lower", "upper"]
    assert table["state"].tolist() == ["alive", "a", "b"] * 9
    assert table.groupby("time")["estimate"].sum().sub(1).abs().max() < 1e-12


def test_responses_by_event_become_one_time_each():
    allowed = np.array([[True, False], [False, True], [True, True], [True, True]])
    first = Times(np.array([2.0, 9, 3, 4]), np.array([2.0, np.inf, np.inf, 6]), np.zeros(4))
    second = Times(np.array([9.0, 5, 1, 4]), np.array([np.inf, 5, np.inf, 6]), np.zeros(4))
    joint, code = seen_events([first, second], allowed)
    assert code.tolist() == [0, 1, -1, -1]
    assert joint.lower.tolist() == [2, 5, 1, 4]
    assert joint.upper.tolist() == [2, 5, np.inf, 6]


def test_turnbull():
    """Gentleman and Geyer's intervals, p1 (p2 + p3)^2 (p1 + p2)^2 p3; without any, Kaplan-Meier."""
    six = Times(np.array([0.0, 1, 1, 0, 0, 2]), np.array([1.0, 3, 3, 2, 2, 3]), np.zeros(6))
    time, survival = turnbull(six, np.ones(6))
    assert time.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(survival, [1, 2 / 3, 1 / 3, 0], atol=1e-6)
    time, survival = turnbull(observed(), np.arange(10.0))
    known = kaplan_meier(observed(), np.arange(10.0))
    np.testing.assert_allclose(survival, known.at(time)[:, 0], atol=1e-4)
    with pytest.raises(DataError, match="6 of 10 times have late entries"):
        turnbull(observed(entry=ENTRY), np.ones(10))


def test_times_within_bounds_are_checked_by_turnbulls_estimate():
    """Yearly inspections of exponential times: at whole years it is the share without the event."""
    time = np.random.default_rng(1).exponential(3, 300)
    data = pd.DataFrame({"low": np.floor(time), "high": np.floor(time) + 1})
    fit = bmx.Mixture("surv(low, high, kind='interval') ~ 1", data, k=1, family="weibull").fit()
    ax = bmx.plot.posterior_predictive(fit, draws=5)
    (steps,) = (line for line in ax.get_lines() if line.get_label() == "observed, Turnbull")
    x, y = steps.get_data()
    np.testing.assert_allclose(y, [(time > year).mean() for year in x], atol=1e-4)
    (drawn,) = (line for line in ax.get_lines() if line.get_label().startswith("drawn"))
    x, y = drawn.get_data()
    within = y[(x > 1) & (x < 2)]  # the share of the model at year 1, as the data's
    np.testing.assert_allclose(within, fit.survival([1.0])["estimate"].iloc[0], atol=0.06)
    assert np.ptp(within) == 0.0


def test_what_cannot_be_estimated_is_refused():
    interval = Times(np.array([1.0, 0.0]), np.array([2.0, 3.0]), np.zeros(2))
    with pytest.raises(DataError, match="2 of 2 times are interval- or left-censored"):
        kaplan_meier(interval)
    with pytest.raises(DataError, match="1 of 2 rows have an exact time but an unknown event"):
        aalen_johansen(observed(TIME[:2], np.zeros(2)), np.array([0, -1]), 1)


def test_rows_without_information_change_nothing():
    nothing = Times(np.zeros(3), np.full(3, np.inf), np.zeros(3))
    more = Times(*(np.r_[getattr(observed(), n), getattr(nothing, n)] for n in FIELDS))
    np.testing.assert_allclose(kaplan_meier(more).estimate, kaplan_meier(observed()).estimate)
    np.testing.assert_allclose(kaplan_meier(more).at_risk[1:], kaplan_meier(observed()).at_risk[1:])


FIELDS = ("lower", "upper", "entry")
