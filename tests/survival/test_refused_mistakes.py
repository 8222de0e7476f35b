"""What `check_survival` calls a mistake, `CompetingRisks` refuses in the same words."""

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx

RNG = np.random.default_rng(12)
N = 80
ENDS = RNG.uniform(1, 6, N)
TIMES = 3 * RNG.weibull(1.3, N)
DATA = pd.DataFrame({"t": np.minimum(TIMES, ENDS), "s": (TIMES <= ENDS) * 1})
DATA["e"] = np.where(DATA.s == 1, np.where(RNG.random(N) < 0.5, "a", "b"), None)
DATA["sex"] = np.where(RNG.random(N) < 0.5, "F", "M")


def by_cause():
    """A row for each of the two events, as a program for cause-specific hazards wants it."""
    return pd.concat([DATA.assign(e=e, s=(DATA.e == e) * 1) for e in "ab"])


MISTAKES = {
    "censored as an event": DATA.fillna({"e": "censored"}),
    "alive as an event": DATA.fillna({"e": "Alive"}),
    "an event that is unknown": DATA.fillna({"e": "unknown"}),
    "one of them has status 0": DATA.assign(s=(DATA.e == "a") * 1),
    "no event at all": DATA.assign(s=0),
    "a row for each event": by_cause(),
    "status 1 and 2": DATA.assign(s=DATA.s + 1),
    "levels that differ by case": DATA.assign(e=DATA.e.replace("a", "B")),
    "the status as event": DATA.assign(e=DATA.s),
    "a negative time": DATA.assign(t=DATA.t - 2),
    "a missing time": DATA.assign(t=DATA.t.where(DATA.t > 1)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_constructor_says_what_the_check_says(name):
    data = MISTAKES[name]
    check = bmx.check_survival(data, "surv(t, s)", event="e")
    assert check.problems
    with pytest.raises(bmx.DataError) as refused:
        bmx.CompetingRisks("surv(t, s) ~ 1", data, event="e", family="weibull")
    for problem in check.problems:
        assert problem in str(refused.value)


def test_good_data_have_no_mistake():
    assert bmx.check_survival(DATA, "surv(t, s)", event="e").ok
    bmx.CompetingRisks("surv(t, s) ~ sex", DATA, event="e", family="weibull")


def test_only_rows_that_count_are_asked():
    data = DATA.assign(w=(DATA.e != "b") * 1.0)
    with pytest.raises(bmx.DataError, match=r"'b' is in no row .* weight in 'w' is zero"):
        bmx.CompetingRisks("surv(t, s) ~ 1", data, event="e", family="weibull", weights="w")


def test_an_event_that_never_comes_needs_the_family_cured():
    data = DATA.assign(e=DATA.e.replace("b", None))
    data.loc[data.e.isna(), "s"] = 0
    with pytest.raises(bmx.DataError, match="'c' is in no row that had an event"):
        bmx.CompetingRisks(
            "surv(t, s) ~ 1", data, event="e", family={"a": "weibull", "c": "gompertz"}
        )
    spec = bmx.CompetingRisks(
        "surv(t, s) ~ 1", data, event="e", family={"a": "weibull", "c": "cured"}
    )
    assert spec.components == ("a", "c")
    # Known to be cured, whatever it is called: right-censored times are what is expected.
    some = data.assign(e=data.e.mask((data.s == 0) & (data.t > 2), "fine"))
    spec = bmx.CompetingRisks(
        "surv(t, s) ~ 1", some, event="e", family={"a": "weibull", "fine": "cured"}
    )
    assert spec.fit("em", seed=1).mixing["fine"] > 0


def test_a_row_of_one_event_need_not_have_a_time_of_another():
    data = DATA.assign(u=DATA.t.where(DATA.e != "a", -1.0))
    formula = {"a": "surv(t, s) ~ 1", "b": "surv(u, s) ~ 1"}
    bmx.CompetingRisks(formula, data, event="e", family="weibull")


@pytest.mark.parametrize("weights", [None, "w"])
def test_no_event_is_nothing_to_estimate(weights):
    data = DATA.assign(w=(DATA.s == 0) * 1.0) if weights else DATA.assign(s=0)
    with pytest.raises(bmx.DataError, match="no event" + (".*weight" if weights else "")):
        bmx.Mixture("surv(t, s) ~ 1", data, family="weibull", k=1, weights=weights)
