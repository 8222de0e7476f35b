"""Brier scores and calibration against loops of NumPy, and simulation with known predictions."""

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix.errors import DataError, FitError


def cohort(n=600, seed=1, censored=True):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    first = rng.random(n) < 1 / (1 + np.exp(-x))
    time = np.where(first, 2 * rng.weibull(1.5, n), 5 * np.exp(0.5 * x) * rng.exponential(size=n))
    end = rng.uniform(1, 9, n) if censored else np.full(n, 1e3)
    event = np.where(time <= end, np.where(first, "a", "b"), None)
    data = {"x": x, "time": np.minimum(time, end), "status": (time <= end) * 1, "event": event}
    return pd.DataFrame(data)


@pytest.fixture(scope="module")
def fit():
    spec = bmx.CompetingRisks(
        "surv(time, status) ~ x", cohort(), "event", {"a": "weibull", "b": "exponential"},
        concomitant="~ x",
    )  # fmt: skip
    return spec.fit("em", seed=1)


def by_hand(fit, data, t, event):
    """The score by a loop over the rows, with a Kaplan-Meier estimate of censoring."""
    time, lost = data["time"].to_numpy(), data["status"].to_numpy() == 0
    entry = data["entry"].to_numpy() if "entry" in data else 0 * time
    losses = np.unique(time[lost])
    stay = [1 - (time[lost] == s).sum() / ((entry < s) & (s <= time)).sum() for s in losses]

    def kept(start, stop, last):
        """The probability not to be censored after start, until stop."""
        within = (start < losses) & ((losses < stop) | (last & (losses == stop)))
        return np.prod(np.array(stay)[within])

    states = fit.state_probabilities(t, data, spent="entry" if entry.any() else None)
    predicted = states.loc[states["state"] == event, "estimate"].to_numpy()
    total = 0.0
    for row, p, e in zip(data.itertuples(), predicted, entry, strict=True):
        if row.time <= t and row.status == 1:
            total += ((row.event == event) - p) ** 2 / kept(e, row.time, last=False)
        elif row.time > t and e < t:
            total += p**2 / kept(e, t, last=True)
    return total / (entry < t).sum()


def test_scores_are_those_of_a_loop(fit):
    data, new = cohort(), cohort(300, seed=2)
    for rows, given in ((data, None), (new, new)):
        table = fit.brier_score([1.0, 3.0], given)
        assert list(table["event"]) == ["a", "b", "a", "b"]
        for row in table.itertuples():
            assert row.score == pytest.approx(by_hand(fit, rows, row.time, row.event), rel=1e-9)
    assert (fit.brier_score([1.0, 3.0], new)["improvement"] > 0).all()


def late(n=400, seed=5):
    """Subjects seen from an entry on, if they were without an event then."""
    data = cohort(3 * n, seed).assign(entry=np.random.default_rng(seed).uniform(0, 2, 3 * n))
    return data[data["time"] > data["entry"]].head(n).reset_index(drop=True)


def test_late_entries_are_predicted_from_there(fit):
    data = late()
    spec = bmx.CompetingRisks(
        "surv(entry, time, status, kind='counting') ~ x", data, "event",
        {"a": "weibull", "b": "exponential"}, concomitant="~ x",
    )  # fmt: skip
    own = spec.fit("em", seed=1)
    table = own.brier_score([1.0, 3.0])
    for row in table.itertuples():
        assert row.score == pytest.approx(by_hand(own, data, row.time, row.event), rel=1e-9)
    assert (table["improvement"] > 0).all()
    groups = own.calibration(3.0, groups=3)
    assert groups.groupby("event")["n"].sum().eq((data["entry"] < 3).sum()).all()
    assert (groups["lower"] <= groups["predicted"]).sum() >= 5
    assert (groups["predicted"] <= groups["upper"]).sum() >= 5
    early = own.calibration(data["time"].min() / 2, groups=1)
    for row in early.itertuples():  # none of n: an upper limit of 1 - 0.025 ** (1 / n)
        assert (row.observed, row.lower) == (0, 0)
        assert row.upper == pytest.approx(1 - 0.025 ** (1 / row.n))
    with pytest.raises(FitError, match="nobody was followed before"):
        own.brier_score(data["entry"].min() / 2)


@pytest.mark.slow
def test_intervals_of_scores_are_those_of_a_bootstrap(fit):
    """Resampled rows, with the weights for censoring estimated again each time."""
    data = cohort(250, seed=7)
    found = fit.brier_score([1.0, 3.0], data)
    rng = np.random.default_rng(1)
    draws = [
        fit.brier_score([1.0, 3.0], data.iloc[rng.integers(0, 250, 250)])["score"]
        for _ in range(300)
    ]
    np.testing.assert_allclose(found["se"], np.std(draws, axis=0), rtol=0.15)
    z = np.log(found["upper"] / found["score"]) / (found["se"] / found["score"])
    np.testing.assert_allclose(z, 1.959964, rtol=1e-5)
    table = fit.calibration(3.0, data, groups=2)
    shares = []
    for _ in range(300):
        some = fit.calibration(3.0, data.iloc[rng.integers(0, 250, 250)], groups=2)
        shares.append(some["observed"])
    width = np.quantile(shares, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(table["upper"] - table["lower"], width[1] - width[0], rtol=0.2)


def test_rows_without_a_time_do_not_count():
    data = cohort(300, seed=6)
    holes = data.assign(time=data["time"].where(data.index >= 100), y=1.0 * (data.index % 3))
    time = bmx.Regression("surv(time, status) ~ x", family="exponential")
    fit = bmx.Mixture([bmx.Regression("y ~ 1"), time], holes, k=1, na_action="fiml").fit()
    alone = bmx.Mixture([time], data.iloc[100:], k=1).fit()
    for found, truth in (
        (fit.brier_score(2.0), alone.brier_score(2.0)),
        (fit.calibration(2.0, groups=2), alone.calibration(2.0, groups=2)),
    ):
        numeric = truth.select_dtypes("number").columns
        np.testing.assert_allclose(found[numeric], truth[numeric], rtol=1e-4)


def test_groups_of_calibration_count_weights_as_copies():
    data = cohort(120, seed=3).assign(w=1 + np.arange(120) % 3)
    copies = data.loc[data.index.repeat(data["w"])].reset_index(drop=True)
    tables = [
        bmx.Mixture("surv(time, status) ~ x", d, family="weibull", k=1, **options)
        .fit()
        .calibration(2.0, groups=4)
        for d, options in ((data, {"weights": "w"}), (copies, {}))
    ]
    numbers = ["n", "predicted", "observed"]
    np.testing.assert_allclose(tables[0][numbers], tables[1][numbers], rtol=1e-5)


def test_without_censoring_it_is_the_mean_square(fit):
    data = cohort(200, seed=3, censored=False)
    states = fit.state_probabilities(2.0, data)
    p = states.loc[states["state"] == "a", "estimate"].to_numpy()
    came = (data["event"] == "a") & (data["time"] <= 2.0)
    found = fit.brier_score(2.0, data).query("event == 'a'").iloc[0]
    square = (came - p) ** 2
    assert found["score"] == pytest.approx(square.mean(), rel=1e-12)
    assert found["se"] == pytest.approx(square.std(ddof=0) / np.sqrt(200), rel=1e-9)


def test_calibration_of_the_model_that_made_the_data(fit):
    params = fit.params
    params["scale"].loc[{"component": "a"}] = [np.log(2.0), 0.0]
    params["shape"].loc[{"component": "a"}] = [np.log(1.5), np.nan]
    params["rate"].loc[{"component": "b"}] = [-np.log(5.0), -0.5]
    params["alpha"].loc[{"component": "b"}] = [0.0, -1.0]
    true = fit.spec.fit("em", init=params, max_iter=0)
    table = true.calibration([1.0, 3.0], cohort(3000, seed=4), groups=4)
    assert list(table.columns)[:4] == ["time", "event", "group", "n"]
    assert table.groupby(["time", "event"])["n"].sum().eq(3000).all()
    inside = (table["lower"] <= table["predicted"]) & (table["predicted"] <= table["upper"])
    # Of 16 at 95 percent, fewer than 13 are there less than once in a hundred times.
    assert inside.sum() >= 13
    assert abs(table["predicted"] - table["observed"]).max() < 0.1
    first = table.query("time == 1 and event == 'a'")
    assert first["predicted"].is_monotonic_increasing


def test_one_event_and_posteriors():
    data = cohort()
    spec = bmx.Mixture("surv(time, status) ~ x", data, family="weibull", k=2)
    fit = spec.fit("em", seed=1, starts=2)
    point = fit.brier_score(2.0)
    assert list(point["event"]) == ["event"]
    assert 0 < point["improvement"][0] < 1
    posterior = spec.with_k(1).fit("laplace", seed=1, draws=200)
    one = spec.with_k(1).fit("em", seed=1)
    assert posterior.brier_score(2.0)["score"][0] == pytest.approx(
        one.brier_score(2.0)["score"][0], abs=2e-3
    )


def test_what_cannot_be_scored(fit):
    with pytest.raises(FitError, match="nobody was followed beyond"):
        fit.brier_score(1e4)
    data = cohort().assign(entry=lambda d: 0.1 * d["time"])
    families = {"a": "weibull", "b": "exponential"}
    response = "surv(entry, time, status, kind='counting') ~ 1"
    own = bmx.CompetingRisks(response, data, "event", families, truncation="component")
    with pytest.raises(DataError, match="truncation='mixture'"):
        own.fit("em", seed=1).brier_score(1.0)
    with pytest.raises(FitError, match="groups"):
        fit.calibration(1.0, groups=0)
