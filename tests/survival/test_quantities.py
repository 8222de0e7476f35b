"""Quantities of competing events against flexsurv, SciPy and known formulas."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, special, stats

from bayesmix.errors import DataError
from bayesmix.families import TIMES, family, resolve
from bayesmix.families.survival import base as censoring
from bayesmix.results import event_times as quantities
from bayesmix.results.event_times import Component, EventTimes

REFERENCE = Path(__file__).parents[1] / "reference" / "flexsurvmix_quantities.json"
MODELS = json.loads(REFERENCE.read_text())["models"]


def read(model):
    """A model of the reference as one draw."""
    components = tuple(
        Component(resolve(name, survival=True), {k: np.array([v]) for k, v in natural.items()})
        for name, natural in zip(model["families"], model["natural"], strict=True)
    )
    return EventTimes(tuple(model["events"]), np.array([model["weights"]]), components)


def two(n=1, **changed):
    """A Weibull and a lognormal time, in n equal rows of one draw."""
    natural = {"shape": 1.4, "scale": 3.0, "meanlog": 0.5, "sdlog": 0.7, **changed}
    full = {k: np.full((1, n), v) for k, v in natural.items()}
    return EventTimes(
        ("a", "b"),
        np.tile([0.3, 0.7], (1, n, 1)),
        (
            Component(family("weibull"), {k: full[k] for k in ("shape", "scale")}),
            Component(family("lognormal"), {k: full[k] for k in ("meanlog", "sdlog")}),
        ),
    )


LAWS = (stats.weibull_min(1.4, scale=3.0), stats.lognorm(0.7, scale=np.exp(0.5)))


def test_without_time_nothing_has_happened():
    """Whatever the weights add up to in floating point."""
    weights = np.array([0.7, 0.2, 0.1])
    assert sum(weights) != 1
    one = Component(family("exponential"), {"rate": np.ones((1, 1))})
    times = EventTimes(("a", "b", "c"), weights[None, None], (one,) * 3)
    found = quantities.state_probabilities(times, np.array([0.0, 1e-18, 3.0]))[0, 0]
    np.testing.assert_array_equal(found[0], [1, 0, 0, 0])
    assert found[1, 0] == 1
    np.testing.assert_allclose(found[2, 0], stats.expon.sf(3.0), rtol=1e-14)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m["id"])
def test_against_flexsurv(model):
    times = read(model)
    close = {"rtol": 1e-6, "atol": 1e-12}
    found = quantities.event_probabilities(times)[0]
    np.testing.assert_allclose(found, model["probabilities"], **close)
    found = quantities.quantile_time(times, np.array(model["q"]))[0]
    np.testing.assert_allclose(found, model["quantile"], **close)
    found = quantities.restricted_mean_time(times, model["tau"])[0]
    np.testing.assert_allclose(found, model["restricted_mean"], **close)
    found = quantities.density(times, np.array(model["t_density"]))[0]
    np.testing.assert_allclose(found, model["density"], **close)
    found = quantities.state_probabilities(times, np.array(model["t"]))[0]
    np.testing.assert_allclose(found, model["state"], **close)
    found, mean = quantities.mean_time(times)[0], np.array(model["mean"])
    if model["id"] == "mgus2_weibull_gompertz":
        # Five in 1e9 never die under a Gompertz of negative shape, which R's integral to
        # infinity counts in part; of the others the mean is, by mpmath:
        mean[:, 1] = 10.2873532670735941
    np.testing.assert_allclose(found, mean, **close)


def test_shapes_by_draw_row_grid_and_event():
    rng = np.random.default_rng(0)
    component = Component(family("exponential"), {"rate": rng.uniform(1, 2, (5, 3))})
    shared = Component(family("weibull"), {"shape": np.ones((5, 1)), "scale": np.ones((1, 3))})
    times = EventTimes(("a", "b"), np.full((5, 3, 2), 0.5), (component, shared))
    t = np.linspace(0, 3, 7)
    assert quantities.event_probabilities(times).shape == (5, 3, 2)
    assert quantities.mean_time(times).shape == (5, 3, 2)
    assert quantities.restricted_mean_time(times, 2.0).shape == (5, 3, 2)
    assert quantities.quantile_time(times, t / 4).shape == (5, 3, 7, 2)
    assert quantities.density(times, t).shape == (5, 3, 7, 2)
    states = quantities.state_probabilities(times.after(1.0), t)
    assert states.shape == (5, 3, 7, 3)
    np.testing.assert_allclose(states.sum(axis=-1), 1.0)


# --- given a time already spent ------------------------------------------------------------

SPENT = np.array([0.0, 0.7, 4.0])


def test_probabilities_after_a_time():
    after = two(3).after(SPENT)
    joint = np.array([0.3, 0.7]) * np.column_stack([law.sf(SPENT) for law in LAWS])
    expected = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(quantities.event_probabilities(after)[0], expected, rtol=1e-12)


def test_means_after_a_time():
    after = quantities.mean_time(two(3).after(SPENT))[0]
    until = quantities.restricted_mean_time(two(3).after(SPENT), 6.0)[0]
    for i, s in enumerate(SPENT):
        for k, law in enumerate(LAWS):
            area = integrate.quad(law.sf, s, np.inf, epsabs=1e-13, epsrel=1e-12)[0]
            np.testing.assert_allclose(after[i, k], s + area / law.sf(s), rtol=1e-8)
            area = integrate.quad(law.sf, s, 6.0, epsabs=1e-13, epsrel=1e-12)[0]
            np.testing.assert_allclose(until[i, k], s + area / law.sf(s), rtol=1e-8)


def test_a_restricted_mean_that_is_over_already():
    after = two(3).after(SPENT)
    assert (quantities.restricted_mean_time(after, 4.0)[0, 2] == 4.0).all()
    assert (quantities.restricted_mean_time(after, 0.5)[0, 1:] == 0.5).all()


def test_quantiles_after_a_time():
    q = np.array([0.0, 0.05, 0.5, 0.999])
    after = quantities.quantile_time(two(3).after(SPENT), q)[0]
    for i, s in enumerate(SPENT):
        for k, law in enumerate(LAWS):
            np.testing.assert_allclose(
                after[i, :, k], np.maximum(law.isf(law.sf(s) * (1 - q)), s), rtol=1e-9
            )


def test_states_and_densities_after_a_time():
    t = np.array([0.2, 0.7, 1.0, 5.0, 30.0])
    after = two(3).after(SPENT)
    states = quantities.state_probabilities(after, t)[0]
    density = quantities.density(after, t)[0]
    whole = quantities.state_probabilities(two(), t)[0, 0]
    for i, s in enumerate(SPENT):
        at = quantities.state_probabilities(two(), np.array([s]))[0, 0, 0]
        later = t > s
        expected = (whole - np.r_[0.0, at[1:]]) / at[0]
        np.testing.assert_allclose(states[i, later], expected[later], rtol=1e-9, atol=1e-14)
        assert (states[i, ~later] == [1, 0, 0]).all()
        for k, law in enumerate(LAWS):
            np.testing.assert_allclose(density[i, later, k], (law.pdf(t) / law.sf(s))[later])
        assert (density[i, t < s] == 0).all()


def test_far_beyond_where_the_survival_function_underflows():
    far = two(shape=2.0, scale=1.0).after(40.0)  # log S = -1600
    rest = quantities.mean_time(far)[0, 0, 0] - 40.0
    np.testing.assert_allclose(rest, np.sqrt(np.pi) / 2 * special.erfcx(40.0), rtol=1e-8)
    median = quantities.quantile_time(far, np.array([0.5]))[0, 0, 0, 0]
    np.testing.assert_allclose(median, np.sqrt(1600 + np.log(2)), rtol=1e-12)
    np.testing.assert_allclose(quantities.event_probabilities(far)[0, 0], [0, 1], atol=1e-300)


@pytest.mark.parametrize("name", [*(n for n in TIMES if n not in ("spline", "cured")), "gamma"])
def test_every_family_after_a_time(name):
    law = resolve(name, survival=True)
    natural = {k: np.array([[float(v)]]) for k, v in law.example.items()}
    times = EventTimes(("a",), np.ones((1, 1, 1)), (Component(law, natural),))
    s = quantities.quantile_time(times, np.array([0.6]))[0, 0, 0, 0]
    after = times.after(s)

    def alive(t):
        return np.exp(censoring.log_survival(law, t, natural)).item()

    for t in s * np.array([1.01, 2.0, 8.0]):
        state = quantities.state_probabilities(after, np.array([t]))[0, 0, 0, 0]
        np.testing.assert_allclose(state, alive(t) / alive(s), rtol=1e-10)
    until = quantities.restricted_mean_time(after, 3 * s)[0, 0, 0]
    area = integrate.quad(alive, s, 3 * s, epsabs=0, epsrel=1e-11)[0]
    np.testing.assert_allclose(until, s + area / alive(s), rtol=1e-8)
    lost = float(np.ravel(censoring.never_happens(law, natural))[0])
    half = 0.5 * (1 - lost / alive(s))  # of those who still have the event
    median = quantities.quantile_time(after, np.array([half]))[0, 0, 0, 0]
    np.testing.assert_allclose(alive(median), (1 - half) * alive(s), rtol=1e-8)


def test_an_exponential_forgets():
    rate = np.array([[0.5, 2.0]])
    times = EventTimes(
        ("a",), np.ones((1, 2, 1)), (Component(family("exponential"), {"rate": rate}),)
    )
    after = times.after(3.0)
    np.testing.assert_allclose(quantities.mean_time(after)[..., 0], 3 + 1 / rate, rtol=1e-9)
    np.testing.assert_allclose(
        quantities.state_probabilities(after, np.array([4.0]))[0, :, 0, 0], np.exp(-rate[0])
    )


def test_spending_time_twice_is_spending_the_sum():
    once, twice = two().after(2.5), two().after(1.0).after(2.5)
    np.testing.assert_allclose(twice.weights, once.weights, rtol=1e-12)
    t = np.array([3.0, 6.0])
    for quantity in (quantities.density, quantities.state_probabilities):
        np.testing.assert_allclose(quantity(twice, t), quantity(once, t), rtol=1e-10)
    np.testing.assert_allclose(quantities.mean_time(twice), quantities.mean_time(once), rtol=1e-8)


def test_those_who_never_have_the_event():
    shape, rate = np.array([[-0.5]]), np.array([[0.4]])
    never = np.exp(rate / shape).item()
    times = EventTimes(
        ("a", "cured"),
        np.array([[[0.6, 0.4]]]),
        (
            Component(family("gompertz"), {"shape": shape, "rate": rate}),
            Component(family("cured"), {}),
        ),
    )
    after = times.after(1.0)
    for since, given in ((0.0, times), (1.0, after)):
        assert np.isinf(quantities.mean_time(given)).all()
        mean = quantities.mean_time(given, "events")[0, 0]
        assert mean[1] == np.inf
        lost = np.exp(-0.4 / -0.5 * np.expm1(-0.5 * since))
        area, _ = integrate.quad(
            lambda t: np.exp(-0.4 / -0.5 * np.expm1(-0.5 * t)) - never, since, 80, epsabs=1e-13
        )
        assert mean[0] == pytest.approx(since + area / (lost - never), rel=1e-8)
    reached = np.exp(-0.4 / -0.5 * np.expm1(-0.5))
    share = 0.6 * reached / (0.6 * reached + 0.4)
    q = 1 - never / reached  # who has the event after all
    np.testing.assert_allclose(quantities.event_probabilities(after)[0, 0], [share * q, 1 - share])
    found = quantities.quantile_time(after, np.array([q - 1e-6, q + 1e-6, 0.5]))[0, 0]
    assert np.isfinite(found[0, 0])
    assert found[1, 0] == np.inf
    assert (found[:, 1] == np.inf).all()
    end = quantities.state_probabilities(after, np.array([np.inf]))[0, 0, 0]
    np.testing.assert_allclose(end, [1 - share * q, share * q, 0], rtol=1e-12)


def test_times_that_cannot_have_been_spent():
    for spent in (-1.0, np.nan, np.inf):
        with pytest.raises(DataError, match="time already spent is a finite number"):
            two().after(spent)
    with pytest.raises(DataError, match=r"at least 2, not \[1.0\]"):
        two().after(2.0).after(1.0)
    with pytest.raises(DataError, match="one for each of 1 rows"):
        two().after([1.0, 2.0])
    with pytest.raises(DataError, match="nobody can be without an event after 1 "):
        two(scale=1e-300, meanlog=-1e200).after(1.0)
    assert two().after(0.0).spent == 0.0
