"""Starts: by design, the same whatever the order of the rows, and honest where few agree."""

import warnings

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix.estimation import maximise
from bayesmix.estimation.contenders import contenders
from bayesmix.likelihood import log_likelihood
from bayesmix.results.fitted import standard_problem


def quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def people():
    """Counts, amounts and visits of units in two or three classes."""
    rng = np.random.default_rng(8)
    n = 180
    x, z = rng.normal(size=(2, n))
    c = rng.integers(0, 3, n)
    frame = pd.DataFrame({"x": x.round(2), "z": z.round(1), "w": rng.integers(1, 3, n)})
    frame["y"] = np.array([-2.0, 0.0, 3.0])[c] + np.array([1.0, -1.0, 0.3])[c] * x
    frame["y"] += rng.normal(size=n)
    frame["count"] = rng.poisson(np.exp(np.array([0.0, 1.0, 2.5])[c] + 0.2 * x))
    frame["g"] = np.repeat([f"P{i:02d}" for i in range(n // 4)], 4)
    frame["yes"] = rng.binomial(6, np.where(np.repeat(c[::4], 4) > 1, 0.8, 0.3))
    frame["time"] = (5 * np.exp(np.array([0, 1, 2])[c]) * rng.weibull(3, n)).round(2) + 0.01
    frame["status"] = rng.integers(0, 2, n)
    frame["known"] = np.where(rng.random(n) < 0.2, np.array(["a", "b", "b"])[c], None)
    frame["six"] = 6
    return frame


PEOPLE = people()
MODELS = {
    "gaussian": ("y ~ x", {"k": 3}),
    "tied counts": ("count ~ 1", {"k": 3, "family": "poisson"}),
    "groups": ("p(yes, six) ~ x | g", {"k": 2, "family": "binomial"}),
    "concomitants and weights": ("y ~ 1", {"k": 2, "concomitant": "~ z", "weights": "w"}),
    "some labels": ("y ~ x", {"k": 2, "labels": "known"}),
    "times": ("surv(time, status) ~ 1", {"k": 2, "family": "weibull"}),
    "families": ("count ~ 1", {"k": 3, "family": ["zero", "poisson", "poisson"]}),
}


@pytest.mark.parametrize("algorithm", ["em", "sem"])
@pytest.mark.parametrize("name", MODELS)
def test_starts_belong_to_units_and_not_to_rows(name, algorithm):
    formula, options = MODELS[name]
    how = {"seed": 3, "starts": 4, "algorithm": algorithm, "max_iter": 30}
    fits = [
        quietly(lambda d=d: bmx.Mixture(formula, d, **options).fit(**how))
        for d in (PEOPLE, PEOPLE.sample(frac=1, random_state=1).reset_index(drop=True))
    ]
    one, other = (f.starts["loglik"].to_numpy() for f in fits)
    np.testing.assert_allclose(one, other, rtol=1e-6)
    assert fits[0].status == fits[1].status


def test_large_data_are_searched_on_units_that_the_order_of_rows_does_not_choose():
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"y": rng.normal(np.where(rng.random(21_000) < 0.3, 3.0, 0.0))})
    fits = [
        quietly(lambda f=f: bmx.Mixture("y ~ 1", f).fit(seed=1, starts=2))
        for f in (d, d.iloc[::-1].reset_index(drop=True))
    ]
    np.testing.assert_allclose(fits[0].starts.iterations, fits[1].starts.iterations)
    assert fits[0].loglik == pytest.approx(fits[1].loglik, rel=1e-10)


def test_starts_do_not_depend_on_units_of_measurement():
    d = PEOPLE.assign(y=1e6 * PEOPLE.y + 3e8, x=1e-3 * PEOPLE.x)
    fits = [bmx.Mixture("y ~ x", f, k=3).fit(seed=2, starts=6) for f in (PEOPLE, d)]
    moved = fits[1].starts.loglik + len(d) * np.log(1e6)
    np.testing.assert_allclose(moved, fits[0].starts.loglik, rtol=1e-6)


# --- by design -----------------------------------------------------------------------------


def hidden(kind):
    """Data in which random memberships seldom lead to the best maximum, and true classes."""
    rng = np.random.default_rng(14)
    if kind == "a tight cluster in a wide one":
        label = np.repeat([0, 1], [500, 60])
        y = np.where(label == 1, rng.normal(0.6, 0.03, 560), rng.normal(0, 1, 560))
        return pd.DataFrame({"y": y}), "y ~ 1", label
    if kind == "five in a row":
        label = np.repeat(range(5), 60)
        centre = np.array([0, 1.5, 3, 5, 9])[label]
        return pd.DataFrame({"y": rng.normal(centre, 0.3)}), "y ~ 1", label
    if kind == "a tail":
        label = np.repeat([0, 1, 1], 200)
        label[:9] = 2
        y = np.array([0.0, 1.0, 9.0])[label] + np.array([0.1, 0.3, 2.0])[label] * rng.normal(
            size=600
        )
        return pd.DataFrame({"y": y}), "y ~ 1", label
    label = np.repeat([0, 1, 2], 100)
    x = rng.normal(size=300)
    slope = np.array([2.0, 0.5, -2.0])[label]
    return pd.DataFrame({"y": slope * x + 0.7 * rng.normal(size=300), "x": x}), "y ~ x", label


@pytest.mark.parametrize(
    "kind", ["a tight cluster in a wide one", "five in a row", "a tail", "lines that cross"]
)
def test_three_starts_are_enough_where_a_design_leads_to_the_maximum(kind):
    d, formula, label = hidden(kind)
    spec = bmx.Mixture(formula, d, k=int(label.max()) + 1)
    truth = quietly(lambda: spec.fit(init=label + 1))
    for seed in range(6):
        assert quietly(lambda s=seed: spec.fit(seed=s, starts=3)).loglik > truth.loglik - 1e-3


# --- how many agree ------------------------------------------------------------------------


def test_ten_more_starts_where_few_agree():
    spec = bmx.Mixture("y ~ x", PEOPLE, k=5)
    fit = quietly(lambda: spec.fit(seed=1))
    assert len(fit.starts) == 20
    assert fit.loglik == pytest.approx(
        fit.starts.loglik[~fit.starts.status.isin(["degenerate", "spurious", "failed"])].max()
    )
    assert fit.trace[-1] == pytest.approx(fit.loglik, rel=1e-9)
    pd.testing.assert_frame_equal(
        fit.starts.head(10), quietly(lambda: spec.fit(seed=1, starts=10)).starts, check_flags=False
    )


def test_no_more_starts_where_they_agree():
    d, formula, _ = hidden("lines that cross")
    assert len(bmx.Mixture(formula, d, k=2).fit(seed=1).starts) == 10


@pytest.mark.parametrize("starts", [3, 10, 12])
def test_given_starts_are_as_many(starts):
    assert (
        len(quietly(lambda: bmx.Mixture("y ~ x", PEOPLE, k=5).fit(seed=1, starts=starts)).starts)
        == starts
    )


def test_a_maximum_that_few_starts_reached_is_told():
    spec = bmx.Mixture("y ~ x", PEOPLE, k=5)
    with pytest.warns(bmx.ConvergenceWarning, match=r"only \d of 10 starts .* starts=50"):
        fit = spec.fit(seed=1, starts=10)
    assert fit.starts.attrs["agreeing"] < 3
    assert fit.converged
    assert "starts reached" in fit.reasons[0]
    assert fit.reasons[0] in " ".join(repr(fit).split())


def test_no_word_where_most_agree_or_nothing_was_searched():
    d, formula, label = hidden("lines that cross")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = bmx.Mixture(formula, d, k=3).fit(seed=1)
        again = bmx.Mixture(formula, d, k=3).fit(init=label + 1)
    assert fit.reasons == again.reasons == ()


def test_no_start_is_led_astray_by_scoring_steps_that_overshoot():
    """From means far too small, a step for inverse Gaussian times goes to exp(1000 x)."""
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=180), rng.random(180) < 0.6
    y = rng.gamma(3, np.exp(0.4 * np.where(z, 2 + 1.5 * x, -1 - 0.8 * x)) / 3)
    ones = 180 / np.sum(1 / y - 1 / y.mean())  # ML of one component without x, Tweedie (1957)
    alone = np.sum(
        0.5 * np.log(ones / (2 * np.pi * y**3))
        - ones * (y - y.mean()) ** 2 / (2 * y.mean() ** 2 * y)
    )
    spec = bmx.Mixture("y ~ x", pd.DataFrame({"x": x, "y": y}), family="inverse_gaussian", k=2)
    starts = quietly(lambda: spec.fit(seed=1, starts=10)).starts
    assert (starts.status == "converged").all()
    assert starts.loglik.min() > alone


def test_a_stopped_start_goes_on_where_the_one_ahead_is_lost(monkeypatch):
    """Of two starts the first is ahead, and collapses when the other one has been stopped."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"n": rng.poisson(np.where(np.arange(300) < 100, 2.0, 14.0))})
    problem = standard_problem(bmx.Mixture("n ~ 1", data, family="poisson", k=2).spec)
    (start,) = maximise.make_starts(problem, 1, rng)
    (apart,) = maximise.maximise(problem, start[None], maximise.Options()).theta
    polish = maximise.newton

    def lost(problem, runs, **options):
        if runs.status[1] == "max_iter":
            runs.status[0] = "degenerate"
        if runs.status[0] == "degenerate":
            polish(problem, runs, **options)

    monkeypatch.setattr(maximise, "MANY_UNITS", 0)
    monkeypatch.setattr(maximise, "contenders", lambda *_: np.array([True, False]))
    monkeypatch.setattr(maximise, "newton", lost)
    theta = np.stack([apart, apart + 0.3])
    runs = maximise.maximise(problem, theta, maximise.Options())
    assert runs.status.tolist() == ["degenerate", "converged"]


def test_of_many_units_a_start_that_stands_still_far_behind_is_not_polished(monkeypatch):
    rng = np.random.default_rng(5)
    c = np.repeat([0, 1, 2], 200)
    d = pd.DataFrame({"y": rng.normal(np.array([0.0, 10.0, 30.0])[c])})
    problem = standard_problem(bmx.Mixture("y ~ 1", d, k=3).spec, None)
    astray = np.where(c == 2, 1 + rng.integers(0, 2, len(c)), 0)
    labels = [np.eye(3)[who] for who in (c, astray)]
    theta = np.vstack([maximise.start_from(problem, shares) for shares in labels])
    slow = maximise.maximise(problem, theta, maximise.Options())
    assert slow.loglik[1] < slow.loglik[0] - 200  # it would never have won
    monkeypatch.setattr(maximise, "MANY_UNITS", 300)
    quick = maximise.maximise(problem, slow.theta, maximise.Options())
    assert list(quick.status) == ["converged", "max_iter"]
    assert quick.loglik[0] == pytest.approx(slow.loglik[0], rel=1e-12)
    np.testing.assert_allclose(quick.loglik, log_likelihood(problem, quick.theta), rtol=1e-12)


def test_which_starts_may_win_is_a_matter_of_weights_and_not_of_rows():
    """What is far ahead in most rows loses where these have next to no weight."""
    y = np.repeat([0.0, 8.0], [900, 100]) + np.random.default_rng(2).normal(size=1000)
    d = pd.DataFrame({"y": y, "few": np.where(y > 4, 1.0, 1e-6)})
    one, two = (start(d, weights) for weights in (None, "few"))
    for (problem, theta), winner in ((one, 0), (two, 1)):
        expected = np.arange(2) == winner
        np.testing.assert_array_equal(contenders(problem, theta, 1e9), expected)


def start(data, weights):
    """A problem of one normal component, with theta in the middle of most rows, and of the rest."""
    spec = bmx.Mixture("y ~ 1", data, k=1, weights=weights).spec
    user = np.array([[0.0, 0.0], [8.0, 0.0]])
    problem = standard_problem(spec, None)
    return problem, problem.standard.to_standard(user)
