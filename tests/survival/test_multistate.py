"""Ways through states against flexsurv, gamma distributions, quadrature and simulation."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, special, stats

import bayesmix as bmx
from bayesmix.errors import SpecError
from bayesmix.families import Family, family
from bayesmix.families.survival.base import Survival
from bayesmix.results.event_times import Component, EventTimes, state_probabilities
from bayesmix.survival import multistate
from bayesmix.survival.multistate import ways
from bayesmix.survival.sums import distribution

REFERENCE = Path(__file__).parents[1] / "reference" / "flexsurvmix_multistate.json"

# A gamma distribution by SciPy, with and without a formula for quantiles.
PLAIN = Family(
    "scipy's gamma",
    params={"shape": "log", "rate": "log"},
    location="rate",
    survival=Survival(
        lambda at, rate, shape: stats.gamma.logpdf(at.t, shape.value, scale=1 / rate.value),
        lambda at, rate, shape: np.log(special.gammaincc(shape.value, rate.value * at.t)),
    ),
    mean=lambda rate, shape: shape / rate,
)
GAMMA = replace(
    PLAIN,
    survival=PLAIN.survival._replace(
        quantile=lambda p, rate, shape: special.gammaincinv(shape, p) / rate
    ),
)


def component(name, **natural):
    return Component(
        GAMMA if name == "gamma" else family(name), {k: np.array([v]) for k, v in natural.items()}
    )


def leave(weights, **components):
    """How a state is left, in one draw and one row."""
    return EventTimes(
        tuple(components), np.array([[weights]]), tuple(c for c in components.values())
    )


@pytest.fixture(scope="module")
def reference():
    return json.loads(REFERENCE.read_text())


@pytest.fixture(scope="module")
def models(reference):
    return {
        state: EventTimes(
            tuple(model["events"]),
            np.array([model["weights"]]),
            tuple(
                component(f, **n) for f, n in zip(model["families"], model["natural"], strict=True)
            ),
        )
        for state, model in reference["models"].items()
    }


def along(models):
    return ways({state: model.names for state, model in models.items()})


# --- ways ----------------------------------------------------------------------------------


def test_all_ways_are_found():
    found = ways({"a": ["b", "c", "d"], "b": ["c", "e"], "c": ["d", "e"]})
    assert found.start == "a"
    assert found.names == ("a-b-c-d", "a-b-c-e", "a-b-e", "a-c-d", "a-c-e", "a-d")
    assert found.finals == ("d", "e")
    assert found.to("d") == [0, 3, 5]


def test_a_start_may_be_given():
    assert ways({"b": ["c", "e"], "c": ["d"]}, start="b").names == ("b-c-d", "b-e")
    assert ways({1: [2]}).paths == ((1, 2),)


@pytest.mark.parametrize(
    ("transitions", "cycle"),
    [
        ({"a": ["b"], "b": ["a"]}, "a -> b -> a"),
        ({"a": ["a", "b"]}, "a -> a"),
        ({"s": ["a"], "a": ["b", "d"], "b": ["c"], "c": ["a", "d"]}, "a -> b -> c -> a"),
    ],
)
def test_cycles_are_refused(transitions, cycle):
    with pytest.raises(SpecError, match=f"paths return to a state: {cycle}"):
        ways(transitions)


def test_starts_that_cannot_be():
    with pytest.raises(SpecError, match=r"any of \['a', 'b'\] may be the start"):
        ways({"a": ["c"], "b": ["c"]})
    with pytest.raises(SpecError, match="start='c' has no model"):
        ways({"a": ["c"]}, start="c")
    with pytest.raises(SpecError, match=r"does not lead to \['b'\]"):
        ways({"a": ["c"], "b": ["c"]}, start="a")
    with pytest.raises(SpecError, match="there is no state"):
        ways({})


# --- against flexsurv ----------------------------------------------------------------------


def test_probabilities_and_means_against_flexsurv(reference, models):
    way = along(models)
    assert list(way.names) == reference["paths"]
    assert list(way.finals) == reference["finals"]
    close = {"rtol": 1e-10}
    found = multistate.path_probabilities(models, way)[0]
    np.testing.assert_allclose(found, reference["path_probability"], **close)
    found = multistate.final_probabilities(models, way)[0]
    np.testing.assert_allclose(found, reference["final_probability"], **close)
    by_path, by_final = multistate.mean_times(models, way)
    np.testing.assert_allclose(by_path[0], reference["mean_by_path"], **close)
    np.testing.assert_allclose(by_final[0], reference["mean_by_final"], **close)


def test_quantiles_against_flexsurv(reference, models):
    by_path, by_final = multistate.quantile_times(models, along(models), reference["q"])
    np.testing.assert_allclose(by_path[0][..., :2], reference["quadrature_by_path"], rtol=1e-6)
    np.testing.assert_allclose(by_final[0][..., 1:], reference["quadrature_by_final"], rtol=1e-6)
    # flexsurv's own are simulated, with an error of 0.3 to 1 percent in the tails.
    np.testing.assert_allclose(by_path[0], reference["simulated_by_path"], rtol=0.015)
    np.testing.assert_allclose(by_final[0], reference["simulated_by_final"], rtol=0.015)


def test_simulated_histories_against_exact_numbers(models):
    way, size = along(models), 20000
    found = multistate.simulate(models, way, np.random.default_rng(4), size)
    last = found[~found["state"].isin(list(models))]
    assert len(last) == 2 * size
    shares = multistate.final_probabilities(models, way)[0]
    _, means = multistate.mean_times(models, way)
    _, medians = multistate.quantile_times(models, way, [0.5])
    for row in range(2):
        for f, final in enumerate(way.finals):
            times = last.loc[(last["row"] == row) & (last["state"] == final), "time"]
            error = np.sqrt(shares[row, f] * (1 - shares[row, f]) / size)
            assert abs(len(times) / size - shares[row, f]) < 4 * error
            assert abs(times.mean() - means[0, row, f]) < 4 * times.std() / np.sqrt(len(times))
            below = (times < medians[0, row, 0, f]).mean()
            assert abs(below - 0.5) < 4 * 0.5 / np.sqrt(len(times))


def test_histories_are_whole_and_in_order(models):
    found = multistate.simulate(models, along(models), np.random.default_rng(4), 50)
    assert list(found.columns) == ["draw", "row", "subject", "step", "origin", "state", "time"]
    for _, history in found.groupby(["draw", "row", "subject"]):
        assert history["origin"].iloc[0] == "healthy"
        assert history["step"].tolist() == [*range(1, len(history) + 1)]
        assert (history["origin"].to_numpy()[1:] == history["state"].to_numpy()[:-1]).all()
        assert history["state"].iloc[-1] in ("dead", "transplant")
        assert (np.diff(history["time"], prepend=0.0) > 0).all()
    again = multistate.simulate(models, along(models), np.random.default_rng(4), 50)
    assert found.equals(again)


# --- sums of times -------------------------------------------------------------------------

TIMES = np.array([0.01, 0.1, 0.5, 2.0, 5.0, 20.0, 60.0])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_sums_of_exponentials_are_gamma_distributed(count):
    steps = [component("exponential", rate=[0.4])] * count
    found = distribution(steps, TIMES[None, None])[0, 0]
    tolerance = {1: 1e-15, 2: 1e-8, 3: 1e-6, 4: 1e-4}[count]
    truth = stats.gamma.cdf(TIMES, count, scale=2.5)
    np.testing.assert_allclose(found, truth, atol=tolerance, rtol=0)
    chain = {i: leave([1.0], x=steps[0]) for i in range(count)}
    chain = {i: EventTimes((i + 1,), m.weights, m.components) for i, m in chain.items()}
    q = np.array([0.01, 0.3, 0.9, 0.999])
    by_path, by_final = multistate.quantile_times(chain, along(chain), q)
    # An error in the probability moves the quantile by as much over the density.
    truth = stats.gamma.ppf(q, count, scale=2.5)
    allowed = tolerance / stats.gamma.pdf(truth, count, scale=2.5) + 1e-9 * truth
    assert (np.abs(by_path[0, 0, :, 0] - truth) < allowed).all()
    assert (by_final == by_path).all()


PAIRS = [
    (
        component("weibull", shape=[0.6], scale=[2.0]),
        component("lognormal", meanlog=[0.3], sdlog=[0.8]),
    ),
    (component("gamma", shape=[0.5], rate=[1.0]), component("weibull", shape=[3.0], scale=[4.0])),
    (
        component("loglogistic", shape=[1.5], scale=[2.0]),
        component("gamma", shape=[9.0], rate=[3.0]),
    ),
]
LAWS = [
    (stats.weibull_min(0.6, scale=2.0), stats.lognorm(0.8, scale=np.exp(0.3))),
    (stats.gamma(0.5), stats.weibull_min(3.0, scale=4.0)),
    (stats.fisk(1.5, scale=2.0), stats.gamma(9.0, scale=1 / 3)),
]


@pytest.mark.parametrize(("gamma", "tolerance"), [(GAMMA, 1e-8), (PLAIN, 1e-5)])
@pytest.mark.parametrize("which", range(3))
def test_sums_of_two_times_against_quadrature(which, gamma, tolerance):
    first, second = LAWS[which]
    pair = [Component(gamma if f is GAMMA else f, natural) for f, natural in PAIRS[which]]
    found = distribution(pair, TIMES[None, None])[0, 0]
    for t, value in zip(TIMES, found, strict=True):
        # In x = t u^4 / (u^4 + (1 - u)^4) the integrand is smooth at both ends.
        def at(u, t=t):
            a, b = u**4, (1 - u) ** 4
            slope = 4 * t * (u * (1 - u)) ** 3 / (a + b) ** 2
            return first.pdf(t * a / (a + b)) * second.cdf(t * b / (a + b)) * slope

        truth = integrate.quad(at, 0, 1, epsabs=1e-12, limit=200, points=[0.1, 0.5, 0.9])[0]
        np.testing.assert_allclose(value, truth, atol=tolerance, rtol=0)


def test_a_way_that_not_all_finish():
    chain = {
        "a": leave([1.0], b=component("exponential", rate=[1.0])),
        "b": leave([1.0], c=component("gompertz", shape=[-0.5], rate=[0.4])),
    }
    arriving = 1 - np.exp(0.4 / -0.5)
    by_path, _ = multistate.quantile_times(
        chain, along(chain), [arriving / 2, arriving - 1e-4, arriving + 1e-4]
    )
    assert np.isfinite(by_path[0, 0, :2, 0]).all()
    assert by_path[0, 0, 2, 0] == np.inf
    steps = [chain["a"].components[0], chain["b"].components[0]]
    back = distribution(steps, by_path[:, :, :2, 0])
    np.testing.assert_allclose(back[0, 0], [arriving / 2, arriving - 1e-4], atol=1e-8)
    assert np.isinf(multistate.mean_times(chain, along(chain))[1]).all()
    by_path, by_final = multistate.mean_times(chain, along(chain), "events")
    area = integrate.quad(lambda t: np.exp(0.8 * np.expm1(-0.5 * t)) - np.exp(-0.8), 0, np.inf)[0]
    np.testing.assert_allclose(by_path, [[[1 + area / arriving]]], rtol=1e-8)
    assert (by_final == by_path).all()


def test_those_who_never_arrive_do_not_count_in_the_mean():
    # Two ways to c: half at once, with a mean of 2; half by b, where exp(-0.8) stay.
    chain = {
        "a": leave(
            [0.5, 0.5],
            b=component("exponential", rate=[1.0]),
            c=component("exponential", rate=[0.5]),
        ),
        "b": leave([1.0], c=component("gompertz", shape=[-0.5], rate=[0.4])),
    }
    by_path, by_final = multistate.mean_times(chain, along(chain), "events")
    arriving = 1 - np.exp(-0.8)
    np.testing.assert_allclose(
        by_final[0, 0, 0], (arriving * by_path[0, 0, 0] + 2.0) / (arriving + 1.0), rtol=1e-12
    )


def test_an_impossible_way_counts_for_nothing():
    chain = {
        "a": leave([0.0, 1.0], b=component("cured"), c=component("exponential", rate=[0.5])),
        "b": leave([1.0], c=component("exponential", rate=[1.0])),
    }
    _, means = multistate.mean_times(chain, along(chain))
    np.testing.assert_allclose(means, [[[2.0]]])
    _, medians = multistate.quantile_times(chain, along(chain), [0.5])
    np.testing.assert_allclose(medians[0, 0, 0], 2 * np.log(2), rtol=1e-8)


def test_one_state_is_a_mixture_of_events():
    model = leave(
        [0.3, 0.7],
        a=component("weibull", shape=[2.0], scale=[3.0]),
        b=component("exponential", rate=[0.2]),
    )
    way = ways({"start": model.names})
    np.testing.assert_allclose(
        multistate.final_probabilities({"start": model}, way)[0, 0], [0.3, 0.7]
    )
    q = np.array([0.2, 0.8])
    _, found = multistate.quantile_times({"start": model}, way, q)
    for k in range(2):
        states = state_probabilities(model, found[0, 0, :, k])[0, 0]
        np.testing.assert_allclose(states[:, 1 + k], q * [0.3, 0.7][k], rtol=1e-10)


def test_many_draws_are_many_points(models):
    twice = {
        state: EventTimes(
            m.names,
            np.concatenate([m.weights, m.weights[:, ::-1]]),
            tuple(
                Component(f, {k: np.concatenate([v, v[:, ::-1]]) for k, v in n.items()})
                for f, n in m.components
            ),
        )
        for state, m in models.items()
    }
    way = along(models)
    for function in (
        multistate.mean_times,
        lambda m, w: multistate.quantile_times(m, w, [0.1, 0.6]),
    ):
        for one, both in zip(function(models, way), function(twice, way), strict=True):
            np.testing.assert_allclose(both[0], one[0], rtol=1e-9)
            np.testing.assert_allclose(both[1], one[0, ::-1], rtol=1e-9)


def test_a_list_of_fits_is_refused():
    with pytest.raises(SpecError, match="dict of states to fits; given a list"):
        bmx.MultiState([])


# --- occupancy -----------------------------------------------------------------------------


def illness():
    return {
        "healthy": leave(
            [0.4, 0.6],
            ill=component("weibull", shape=[1.5], scale=[3.0]),
            dead=component("gompertz", shape=[0.2], rate=[0.1]),
        ),
        "ill": leave([1.0], dead=component("lognormal", meanlog=[0.5], sdlog=[0.7])),
    }


def test_states_at_times_against_simulated_histories():
    from bayesmix.survival.occupancy import occupancy, reachable

    models = illness()
    assert reachable({s: m.names for s, m in models.items()}, "healthy") == (
        "healthy",
        "ill",
        "dead",
    )
    t = np.array([0.0, 1.0, 3.0, 8.0])
    found = occupancy(models, "healthy", t)[0, 0]
    np.testing.assert_allclose(found.sum(-1), 1.0, atol=1e-7)
    np.testing.assert_allclose(found[0], [1, 0, 0], atol=1e-12)
    n = 40_000
    drawn = multistate.simulate(models, along(models), np.random.default_rng(7), n)
    entered = drawn.pivot(index="subject", columns="state", values="time").fillna(np.inf)
    for j, time in enumerate(t):
        dead = entered["dead"] <= time
        ill = (entered["ill"] <= time) & ~dead
        np.testing.assert_allclose(found[j, 1:], [ill.mean(), dead.mean()], atol=0.012)
    # Of those who are healthy after two years.
    given = occupancy(models, "healthy", t, np.array([2.0]))[0, 0]
    np.testing.assert_allclose(given[:2], [[1, 0, 0], [1, 0, 0]], atol=1e-12)
    left = entered[(entered["ill"] > 2) & (entered["dead"] > 2)]
    for j in (2, 3):
        dead = left["dead"] <= t[j]
        ill = (left["ill"] <= t[j]) & ~dead
        np.testing.assert_allclose(given[j, 1:], [ill.mean(), dead.mean()], atol=0.015)
    later = occupancy(models, "ill", t)[0, 0]
    law = stats.lognorm(0.7, scale=np.exp(0.5))
    np.testing.assert_allclose(later, np.column_stack([law.sf(t), law.cdf(t)]), atol=1e-10)
