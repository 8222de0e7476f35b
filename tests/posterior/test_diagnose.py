"""Diagnostics of chains: ArviZ's numbers, planted pathologies, and none in healthy chains."""

import dataclasses
from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import bayesmix as bmx
from bayesmix.likelihood import build_problem, log_likelihood, unit_terms
from bayesmix.posterior.diagnostics import (
    causes,
    chain_memberships,
    convergence,
    convergence_table,
    diagnose,
)
from bayesmix.posterior.diagnostics.diagnosis import Diagnosis
from bayesmix.posterior.diagnostics.findings import Finding
from bayesmix.posterior.labels import relabel_theta
from bayesmix.results.covariance import covariance

N, CHAINS, DRAWS = 150, 4, 400


def frame():
    rng = np.random.default_rng(3)
    z, x = rng.integers(0, 3, N), rng.uniform(-1, 1, N)
    y = np.array([-5.0, 0, 5])[z] + np.array([1, -1, 1])[z] * x + rng.normal(0, 0.7, N)
    return pd.DataFrame({"x": x, "y": y, "g": np.arange(N) // 2, "v": rng.normal(size=N)})


D = frame()


MODELS = {
    "plain": {},
    "two": {"k": 2},
    "one component": {"k": 1},
    "fixed": {"fixed": "~ v"},
    "groups": {"formula": "y ~ x | g", "k": 2},
    "concomitant": {"concomitant": "~ v"},
    "nested": {"formula": "y ~ 1", "nested": [("~ 0 + x", 1), ("~ 0", 2)]},
}


@cache
def fitted(name="plain"):
    options = {"formula": "y ~ x", "k": 3, **MODELS[name]}
    formula = options.pop("formula")
    return bmx.Mixture(formula, D, **options).fit(seed=1)._fitted


def spread(fit):
    """A square root of the fit's covariance."""
    return np.linalg.cholesky(covariance(fit).matrix)


def normal_chains(fit, seed=0, chains=CHAINS, n=DRAWS):
    """Independent draws from the normal approximation around a fit."""
    noise = np.random.default_rng(seed).normal(size=(chains, n, len(fit.theta)))
    return fit.theta + noise @ spread(fit).T


def level(fit, theta):
    return log_likelihood(fit.problem, theta.reshape(-1, theta.shape[-1])).reshape(theta.shape[:2])


def run(fit, theta, log_density=None, **options):
    log_density = level(fit, theta) if log_density is None else log_density
    return diagnose(fit.problem, theta, log_density, **options)


def places(fit, effect, s):
    """Entries of theta of one component and effect."""
    coordinates = enumerate(fit.spec.layout.coordinates)
    return [at for at, c in coordinates if c.effect == effect and c.components == (s,)]


# --- R-hat and effective sample sizes ------------------------------------------------------


def planted_values():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(4, 300, 5))
    values[0, :, 1] += 1.0
    values[1, :, 2] *= 4.0
    for t in range(1, 300):
        values[:, t, 3] = 0.9 * values[:, t - 1, 3] + values[:, t, 3]
    values[..., 4] = np.exp(3 * values[..., 4])
    return values


def plain_r_hat(x):
    """Rank-normalised split R-hat as Vehtari et al. (2021) write it."""
    halves = np.concatenate([x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]])

    def one(y):
        ranks = stats.rankdata(y).reshape(y.shape)
        z = stats.norm.ppf((ranks - 3 / 8) / (y.size + 1 / 4))
        n = z.shape[1]
        within = z.var(1, ddof=1).mean()
        between = n * z.mean(1).var(ddof=1)
        return np.sqrt(((n - 1) / n * within + between / n) / within)

    return max(one(halves), one(np.abs(halves - np.median(halves))))


def test_convergence_is_that_of_arviz():
    import arviz_stats

    values = planted_values()
    found = convergence(values)
    data = xr.Dataset({"x": (("chain", "draw", "p"), values)})
    assert_allclose(found.r_hat, arviz_stats.rhat(data)["x"])
    assert_allclose(found.ess_bulk, arviz_stats.ess(data, method="bulk")["x"])
    tail = arviz_stats.ess(data, method="tail", prob=(0.05, 0.95))["x"]
    assert_allclose(found.ess_tail, tail)


def test_r_hat_by_its_definition():
    values = planted_values()
    assert_allclose(convergence(values).r_hat, [plain_r_hat(x) for x in values.transpose(2, 0, 1)])
    assert (convergence(values).r_hat[[1, 2]] > 1.05).all()
    assert convergence(values).ess_bulk[3] < 200 < convergence(values).ess_bulk[0]


def test_what_has_no_diagnostic_is_missing():
    values = planted_values()
    values[..., 0] = 1.0
    values[0, 0, 1] = np.nan
    found = convergence(values)
    for column in found:
        assert_array_equal(np.isnan(column), [True, True, False, False, False])
    alone = convergence(values[:1, :, 2:])
    assert np.isnan(alone.r_hat).all()
    assert np.isfinite(alone.ess_bulk).all()
    assert np.isnan(convergence(values[:, :3])).all()


def test_table_has_a_row_for_each_quantity():
    values = planted_values()
    draws = {(1, "x", "varying"): values[..., 0], (2, "weight", "weight"): values[..., 3]}
    table = convergence_table(draws)
    assert list(table) == ["component", "term", "effect", "r_hat", "ess_bulk", "ess_tail"]
    assert table.component.tolist() == [1, 2]
    assert_allclose(table.r_hat, convergence(values[..., [0, 3]]).r_hat)
    assert convergence_table({}).empty


# --- healthy chains ------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_found_in_healthy_chains(name):
    fit = fitted(name)
    assert fit.status == "converged"
    for seed in range(3):
        theta = normal_chains(fit, seed)
        found = run(fit, theta, diverging=np.zeros(theta.shape[:2], bool))
        assert found.findings == ()
        assert found.healthy
        assert found.modes == (0,) * CHAINS
        assert found.divergences == 0
        assert found.r_hat_log_density < 1.01
        assert len(found.table) == len(fit.theta)
        assert (found.table.r_hat < 1.01).all()


def test_one_healthy_chain():
    fit = fitted()
    found = run(fit, normal_chains(fit, chains=1, n=1000))
    assert found.findings == ()
    assert np.isnan(found.r_hat_log_density)
    assert np.isnan(found.divergences)


def test_one_chain_that_is_too_short_is_told_that_r_hat_needs_two():
    fit = fitted()
    found = run(fit, normal_chains(fit, chains=1, n=100))
    assert found.kinds == ("slow mixing",)
    assert "R-hat needs at least 2 chains" in str(found.findings[0])
    assert "largest R-hat" not in str(found.findings[0])
    assert np.isnan(found.r_hat)


def test_results_are_frozen():
    found = run(fitted(), normal_chains(fitted()))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.modes = ()


# --- planted pathologies -------------------------------------------------------------------


def test_it_is_printed_in_words():
    table = pd.DataFrame({"r_hat": [1.001, 1.25], "ess_bulk": [900.0, 12.0], "ess_tail": 400.0})
    finding = Finding("stuck", (1,), (), "chain 1 never moves", "Start it elsewhere")
    found = Diagnosis(table, 1.01, 800.0, 0.015, (0, -1), (finding,))
    assert repr(found).splitlines() == [
        "Diagnosis of the draws",
        "  largest R-hat 1.250, smallest ESS 12, 1.5% of the transitions divergent",
        "  stuck: chain 1 never moves. Start it elsewhere",
    ]
    drawn = Diagnosis(table.assign(r_hat=np.nan), np.nan, 800.0, np.nan, (0,), ())
    assert repr(drawn).splitlines()[1:] == ["  smallest ESS 12", "  nothing is wrong"]


@pytest.mark.parametrize("how", ["narrow", "still", "mostly still"])
def test_a_stuck_chain(how):
    fit = fitted()
    theta = normal_chains(fit)
    if how == "narrow":
        theta[2] = fit.theta + 0.1 * (theta[2] - fit.theta)
    elif how == "still":
        theta[2] = theta[2, 0]
    else:
        theta[2] = np.repeat(theta[2, :50], DRAWS // 50, axis=0)
    found = run(fit, theta)
    assert found.kinds == ("stuck",)
    assert found.findings[0].chains == (2,)
    assert found.modes == (0, 0, -1, 0)
    assert "chain 2 hardly moved" in found.findings[0].what
    assert "tune=" in found.findings[0].remedy


def test_one_chain_that_never_moves():
    fit = fitted()
    theta = np.repeat(fit.theta[None, None], 100, axis=1)
    found = run(fit, theta)
    assert found.kinds == ("stuck",)
    assert found.modes == (-1,)


def test_a_mode_of_another_log_density():
    fit = fitted()
    theta = normal_chains(fit)
    density = level(fit, theta)
    density[[1, 3]] -= 6.0
    found = run(fit, theta, density)
    assert found.kinds == ("different modes",)
    assert found.modes == (0, 1, 0, 1)
    assert found.r_hat_log_density > 1.1
    assert "chains 0, 2 (mean log density" in found.findings[0].what
    assert "stacking" in found.findings[0].remedy


def test_a_mode_of_other_memberships():
    """One component takes two clusters, another cluster is halved; the level is the same."""
    fit = fitted()
    theta = normal_chains(fit)
    other = fit.theta.copy()
    order = np.argsort(fit.theta[[places(fit, "varying", s)[0] for s in range(3)]])
    low, middle, high = (places(fit, "varying", s)[0] for s in order)
    other[low] = (fit.theta[low] + fit.theta[middle]) / 2
    other[places(fit, "dispersion", order[0])[0]] = np.log(3.0)
    other[middle] = fit.theta[high] - 1.5
    density = level(fit, theta)
    theta[3] += other - fit.theta
    found = run(fit, theta, density)
    assert found.kinds == ("different modes",)
    assert found.modes == (0, 0, 0, 1)
    assert "modes that differ beyond labels" in found.findings[0].what


def test_a_mode_of_parameters_that_do_not_overlap():
    fit = fitted()
    theta = normal_chains(fit)
    density = level(fit, theta)
    at = places(fit, "varying", 1)[1]
    theta[0, :, at] += 6 * theta[0, :, at].std()
    found = run(fit, theta, density)
    assert found.kinds == ("different modes",)
    assert found.modes == (0, 1, 1, 1)


def test_labels_alone_are_no_other_mode():
    fit = fitted()
    theta = normal_chains(fit)
    theta[1] = relabel_theta(fit.spec.layout, theta[1], np.tile([2, 0, 1], (DRAWS, 1)))
    assert run(fit, theta).modes == (0, 0, 0, 0)


def empty(fit, theta, chains, s=2):
    """No units for a component: another one is wide enough to take them."""
    theta[chains, :, fit.spec.layout.alpha[s, 0]] -= 15.0
    theta[chains, :, places(fit, "dispersion", 0)[0]] = np.log(4.0)
    # An empty component's parameters are anywhere.
    for where in places(fit, "varying", s):
        theta[chains, :, where] = np.random.default_rng(9).normal(0, 3, (len(chains), DRAWS))
    return theta


def test_a_component_that_vanished_in_one_chain():
    fit = fitted()
    theta = empty(fit, normal_chains(fit), [1])
    found = run(fit, theta)
    assert found.kinds == ("vanished component",)
    assert found.findings[0].chains == (1,)
    assert found.findings[0].components == (3,)
    assert "component 3 holds only" in found.findings[0].what
    assert "in chain 1" in found.findings[0].what
    assert "smaller k" in found.findings[0].remedy
    assert found.modes == (0, -1, 0, 0)


def test_a_weight_near_zero_is_enough():
    fit = fitted()
    theta = normal_chains(fit)
    theta[1, :, fit.spec.layout.alpha[2, 0]] -= 15.0
    assert run(fit, theta).kinds == ("vanished component",)


def test_a_component_that_vanished_everywhere():
    fit = fitted()
    found = run(fit, empty(fit, normal_chains(fit), [0, 1, 2, 3]))
    assert found.kinds == ("vanished component",)
    assert "in every chain" in found.findings[0].what
    assert found.modes == (0, 0, 0, 0)


def test_twin_components():
    fit = fitted()
    theta = normal_chains(fit)
    noise = np.random.default_rng(4).normal(size=theta.shape) @ spread(fit).T
    for effect in ("varying", "dispersion"):
        one, two = places(fit, effect, 1), places(fit, effect, 2)
        theta[..., two] = fit.theta[one] + noise[..., one]
    found = run(fit, theta)
    assert found.kinds == ("twin components",)
    assert found.findings[0].components == (2, 3)
    assert "labels are not identified" in found.findings[0].what


def test_twins_need_their_units_in_common():
    """Parameters may overlap where few draws tell them apart: the units decide too."""
    fit = fitted()
    theta = normal_chains(fit)
    chains = chain_memberships(fit.problem, theta, theta[..., 0])
    alike = chains._replace(distance=np.zeros_like(chains.distance))
    assert causes.twins(fit.spec.layout, alike) == []
    one, two = places(fit, "varying", 1), places(fit, "varying", 2)
    theta[..., two] = theta[..., one]
    sigma = [places(fit, "dispersion", s)[0] for s in (1, 2)]
    theta[..., sigma[1]] = theta[..., sigma[0]]
    assert causes.twins(fit.spec.layout, alike) == [(1, 2)]
    apart = chains._replace(distance=np.ones_like(chains.distance))
    assert causes.twins(fit.spec.layout, apart) == []


def test_divergences():
    fit = fitted()
    theta = normal_chains(fit)
    diverging = np.zeros(theta.shape[:2], bool)
    diverging[:, ::20] = True
    found = run(fit, theta, diverging=diverging)
    assert found.kinds == ("divergences",)
    assert found.divergences == pytest.approx(0.05)
    assert "5.0 percent" in str(found.findings[0])


def test_slow_chains():
    fit = fitted()
    steps = normal_chains(fit, n=600) - fit.theta
    theta = steps.copy()
    for t in range(1, 600):
        theta[:, t] = 0.97 * theta[:, t - 1] + np.sqrt(1 - 0.97**2) * steps[:, t]
    found = run(fit, fit.theta + theta)
    assert found.kinds == ("slow mixing",)
    assert "draws=" in found.findings[0].remedy


def test_several_at_once():
    fit = fitted()
    theta = empty(fit, normal_chains(fit), [0])
    theta[3] = theta[3, 0]
    found = run(fit, theta)
    assert found.kinds == ("stuck", "vanished component")
    assert found.modes == (-1, 0, 0, -1)


# --- memberships by chain ------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"weights": "w"}, {"formula": "y ~ x | g", "k": 2}])
def test_memberships_by_chain(options):
    data = D.assign(w=np.arange(N) % 3)
    options = {"formula": "y ~ x", "k": 3, **options}
    formula = options.pop("formula")
    spec = bmx.Mixture(formula, data, **options)._spec
    problem = build_problem(spec)
    theta = np.random.default_rng(2).normal(size=(2, 10, spec.layout.size))
    w = np.ones(problem.n_units) if problem.weight is None else problem.weight
    rows = 2 if spec.rows.units.grouped else 1
    found = chain_memberships(problem, theta, theta[..., 0])
    for c in range(2):
        p = np.array([unit_terms(problem, t)[1] for t in theta[c]])
        assert_allclose(found.mean[c], p.mean(0).T * w / (2 * w.sum()))
        pi = np.exp(spec.weights.log_weights(theta[c], None))[..., 0].mean(0)
        held = (p.mean(0) * w[:, None]).sum(0)
        assert_allclose(found.rows[c], rows * np.minimum(held, pi * w.sum()))
        gap = np.abs(p[:5].mean(0) - p[5:].mean(0)).sum(1) / 2
        assert found.drift[c] == pytest.approx(np.average(gap, weights=w))
        share = p * w[:, None] / (p * w[:, None]).sum(1, keepdims=True)
        distance = np.abs(share[..., 0] - share[..., 1]).sum(1).mean() / 2
        assert found.distance[c, 0, 1] == pytest.approx(distance)
        assert found.distance[c, 1, 0] == pytest.approx(distance)


def test_memberships_by_chain_do_not_depend_on_batches(monkeypatch):
    fit = fitted()
    theta = normal_chains(fit, n=11)
    expected = chain_memberships(fit.problem, theta, theta[..., 0])
    monkeypatch.setattr("bayesmix.posterior.labels.draws.BATCH", 8 * 3 * N * 3)
    for a, b in zip(chain_memberships(fit.problem, theta, theta[..., 0]), expected, strict=True):
        assert_allclose(a, b)
