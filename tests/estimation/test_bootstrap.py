"""The bootstrap's summary: errors on the scales that the summary names, against closed forms."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayesmix as bmx
from bayesmix.estimation.bootstrap import simulated_rows

N, SIGMA = 300, 20.0


@pytest.fixture(scope="module")
def boot():
    """Two gaussians whose components are all known, so that every estimate has a closed form."""
    rng = np.random.default_rng(3)
    high = rng.random(N) < 0.2
    data = pd.DataFrame({"y": rng.normal(np.where(high, 500.0, 0.0), SIGMA)})
    data["known"] = np.where(high, "high", "low")
    fit = bmx.Mixture("y ~ 1", data, k=2, labels="known").fit(seed=1)
    return fit, fit.bootstrap(200, "case", seed=2)


def rows(frame, effect):
    return frame[frame["effect"] == effect].set_index("component")


def test_errors_are_natural(boot):
    fit, resampled = boot
    table = resampled.summary()
    assert list(table["scale"]) == list(fit.summary()["scale"])
    size = fit.mixing * N
    # Of a gaussian sample: se(mean) = sigma / sqrt(n), se(sigma) = sigma / sqrt(2 n); of
    # a proportion: se(p) = sqrt(p (1 - p) / n).  200 resamples: 5 percent error.
    sigma = fit.dispersion()["sigma"]
    expected = {
        "varying": sigma / np.sqrt(size),
        "dispersion": sigma / np.sqrt(2 * size),
        "weight": np.sqrt(fit.mixing * (1 - fit.mixing) / N),
    }
    for effect, truth in expected.items():
        ratio = rows(table, effect)["se"] / truth
        assert ratio.between(0.8, 1.25).all(), effect
    # E (sigma of n) - sigma is about -3 sigma / (4 n)
    bias = rows(table, "dispersion")["bias"] + 0.75 * sigma / size
    assert (bias.abs() < 4 * expected["dispersion"] / np.sqrt(200)).all()


def test_intervals_are_percentiles_on_the_natural_scale(boot):
    fit, resampled = boot
    table = rows(resampled.summary(ci=0.9), "dispersion")
    block = fit._fitted.spec.layout.blocks[0]
    log_sigma = resampled.draws[:, block.predictors[1].index[:, 0]]
    ends = np.exp(np.quantile(log_sigma, [0.05, 0.95], axis=0))
    np.testing.assert_allclose(table[["lower", "upper"]].T, ends, rtol=1e-3)
    np.testing.assert_allclose(table["se"], np.exp(log_sigma).std(axis=0, ddof=1), rtol=1e-12)


def test_a_refit_at_a_bound_gives_a_finite_error_and_interval(boot):
    fit, resampled = boot
    draws = resampled.draws.copy()
    draws[0, fit._fitted.spec.layout.alpha[1, 0]] = -2000.0  # a weight of zero
    table = rows(replace(resampled, _theta=draws).summary(), "weight")
    assert np.isfinite(table[["se", "bias", "lower", "upper"]]).all(axis=None)


def test_a_time_of_the_unit_is_drawn_once_a_unit():
    """Errors of a joint model whose classes are clear: events d by class give se 1 / sqrt(d)."""
    rng = np.random.default_rng(5)
    unit = np.repeat(np.arange(120), 3)
    high = unit < 48
    t = rng.exponential(np.where(high, 2.0, 10.0))[unit * 3]
    c = rng.uniform(2, 12, 120)[unit]
    data = pd.DataFrame({"id": unit, "y": rng.normal(np.where(high, 6.0, 0.0))})
    data["t"], data["seen"] = np.minimum(t, c), (t <= c).astype(int)
    parts = [bmx.Regression("y ~ 1")]
    parts += [bmx.Regression("surv(t, seen) ~ 1", family="exponential", per="unit")]
    fit = bmx.Mixture(parts, data, k=2, group="id").fit(seed=1, starts=3)
    resampled = fit.bootstrap(60, "parametric", seed=1, progress=False)
    table = resampled.summary()
    table = table[table["term"] == "surv(t, seen): Intercept"].set_index("component")
    events = data[data["seen"] == 1].groupby("id").first()
    count = np.array([(events.index >= 48).sum(), (events.index < 48).sum()])  # by ascending mean
    assert table["se"].to_numpy() == pytest.approx(1 / np.sqrt(count), rel=0.3)


def test_pieces_after_an_event_are_not_seen():
    """Subjects in pieces: events as by drawing the whole time, with one hazard for each piece."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 2))
    hazard = 0.3 * np.exp(x)
    first = rng.exponential(1 / hazard[:, 0])
    t = np.where(first < 2, first, 2 + rng.exponential(1 / hazard[:, 1]))
    early = np.minimum(t, 2.0)
    seen = t < 5
    one = pd.DataFrame({"id": np.arange(200), "a": 0.0, "b": early, "s": t < 2, "x": x[:, 0]})
    two = pd.DataFrame({"id": np.arange(200), "a": 2.0, "b": np.minimum(t, 5.0), "s": seen})
    data = pd.concat([one, two.assign(x=x[:, 1])[t > 2]], ignore_index=True).astype({"s": int})
    formula = "surv(a, b, s, kind='counting') ~ x | id"
    fit = bmx.Mixture(formula, data, k=1, family="exponential").fit(seed=1)
    spec = fit._fitted.spec
    found = []
    for _ in range(40):
        times = simulated_rows(fit._fitted, rng, (spec,))[0].blocks[0].response.times
        by_unit = pd.DataFrame({"id": data["id"], "a": data["a"], "event": times.event})
        by_unit["known"] = times.known
        ended = by_unit[by_unit["event"] == 1]
        assert ended["id"].is_unique
        after = by_unit.merge(ended[["id", "a"]], on="id", suffixes=("", "_event"))
        assert not after[after["a"] > after["a_event"]]["known"].any()
        found.append(times.event.sum())
    # Subjects who had an event have no covariates after it, but their times end at 5 likewise.
    assert np.mean(found) == pytest.approx(seen.sum(), rel=0.1)


def inspected(rng, plan):
    """Weibull times of 300 units, each between two of its inspections (units, inspections)."""
    time = 2 * rng.weibull(1.5, 300)
    edges = np.column_stack([np.zeros(300), np.sort(plan, axis=1), np.full(300, np.inf)])
    cell = (edges < time[:, None]).sum(1)
    row = np.arange(300)
    return pd.DataFrame({"low": edges[row, cell - 1], "high": edges[row, cell]})


PLANS = {
    "a schedule of all": lambda rng: np.tile([0.5, 1.0, 1.5, 2.0, 3.0, 4.0], (300, 1)),
    "one inspection each": lambda rng: rng.uniform(0.5, 4, (300, 1)),
    "two inspections each": lambda rng: rng.uniform(0.2, 4, (300, 2)),
}


@pytest.mark.parametrize("name", PLANS)
def test_times_between_inspections_are_inspected_again(name):
    rng = np.random.default_rng(2)
    data = inspected(rng, PLANS[name](rng))
    formula = "surv(low, high, kind='interval') ~ 1"
    fit = bmx.Mixture(formula, data, k=1, family="weibull").fit(seed=1)
    spec = fit._fitted.spec
    again = [simulated_rows(fit._fitted, rng, (spec,))[0].blocks[0].response.times for _ in "ab"]
    for times in again:
        assert np.isin(times.lower, np.append(data["high"], data["low"])).all()
        if name == "one inspection each":  # no row learns of another time
            seen = np.where(np.isinf(times.upper), times.lower, times.upper)
            np.testing.assert_array_equal(
                seen, data.max(axis=1).where(lambda x: x < np.inf, data["low"])
            )
    if name == "a schedule of all":
        # 600 times in seven cells, with the chances of the fit's own distribution
        shape, scale = np.exp([fit.params["shape"].item(), fit.params["scale"].item()])
        edges = np.array([0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, np.inf])
        chance = -np.diff(np.exp(-((edges / scale) ** shape)))
        found = np.sum([[(t.lower == low).sum() for low in edges[:-1]] for t in again], axis=0)
        assert stats.chisquare(found, 600 * chance).pvalue > 0.001
    table = fit.bootstrap(80, seed=1, progress=False).summary()
    # Of two inspections the rows show one or both, so the errors may be larger, not smaller.
    ratio = (table["se"] / fit.summary()["se"]).to_numpy()
    assert (ratio > 0.78).all()
    assert (ratio < (1.6 if name == "two inspections each" else 1.3)).all()


def test_watched_and_inspected_rows_together():
    """Each row keeps the way in which it was observed."""
    rng = np.random.default_rng(3)
    data = inspected(rng, PLANS["a schedule of all"](rng))
    time = 2 * rng.weibull(1.5, 300)
    watched = pd.DataFrame({"low": np.minimum(time, 3.0), "high": np.where(time < 3, time, np.inf)})
    both = pd.concat([data, watched], ignore_index=True)
    formula = "surv(low, high, kind='interval') ~ 1"
    fit = bmx.Mixture(formula, both, k=1, family="weibull").fit(seed=1)
    spec = fit._fitted.spec
    times = simulated_rows(fit._fitted, rng, (spec,))[0].blocks[0].response.times
    exact = (both["low"] == both["high"]).to_numpy()
    assert not (times.event[:300] * ~np.isinf(data["high"])).any()
    assert (times.event[exact] + np.isinf(times.upper[exact])).all()
    assert times.event.sum() == pytest.approx(exact.sum(), rel=0.15)


def test_ctrl_c_gives_the_refits_so_far(monkeypatch):
    from bayesmix.estimation import bootstrap as module

    data = bmx.load_data("fabricfault")
    fit = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2).fit("em", seed=1)
    whole = fit.bootstrap(n=6, kind="case", seed=1, progress=False)
    refit, left = module.refitted, iter(range(4))

    def pressed(*given):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return refit(*given)

    monkeypatch.setattr(module, "refitted", pressed)
    with pytest.warns(bmx.ConvergenceWarning, match="of 6 resamples only 4 ran"):
        part = fit.bootstrap(n=6, kind="case", seed=1, progress=False)
    np.testing.assert_array_equal(part.draws, whole.draws[:4])
    with pytest.raises(KeyboardInterrupt):
        fit.bootstrap(n=6, kind="case", seed=1, progress=False)
