"""Chains apart: at modes with little of the mass, in no summary, weighed by stacking."""

import functools
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from vignette_models import TESTS, flexmix_models

import bayesmix as bmx
from bayesmix.api.posterior import Posterior
from bayesmix.comparison.stacking import groups_of_chains
from bayesmix.likelihood import build_problem, log_likelihood
from bayesmix.posterior.diagnostics import visits
from bayesmix.posterior.mode import Mode
from bayesmix.priors import Penalty, resolve
from bayesmix.sampling import beginnings, modes_apart, run_nutpie
from bayesmix.sampling.chains import Settings

DRAWS = 400


def quietly(model, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit("nuts", progress=False, **options)


# Where they begin.


@pytest.mark.parametrize(
    ("shares", "chains", "expected"),
    [
        ([0.8, 0.2], 4, ()),
        ([0.95, 0.05], 4, (1,)),
        ([0.995, 0.005], 4, ()),
        ([0.88, 0.05, 0.04, 0.03], 2, (1, 2)),
        ([0.88, 0.05, 0.04, 0.03], 4, (1, 2, 3)),
        ([0.6, 0.4], 1, (1,)),
        ([0.03, 0.94, 0.02, 0.01], 4, (0, 2)),
        ([1.0], 4, ()),
    ],
)
def test_every_mode_above_one_percent_has_a_chain(shares, chains, expected):
    modes = tuple(Mode(np.zeros(1), 0.0, np.eye(1), 0.0, share) for share in shares)
    assert modes_apart(modes, chains) == expected
    begin = beginnings(modes, chains, expected)
    assert sum(count for _, count in begin) == chains + len(expected)
    assert begin[len(begin) - len(expected) :] == [(m, 1) for m in expected]


# A posterior with two modes, whose masses and means are known by integrating its density.


def planted_model():
    """Rolls of fabric; the prior leaves the mode with a positive intercept about 7 percent."""
    return bmx.Mixture(
        "Faults ~ 0",
        bmx.load_data("fabricfault"),
        family="poisson",
        k=2,
        fixed="~ log(Length)",
        nested=[("~ 1", 1), ("~ 0", 1)],
        priors={"coef[Intercept]": bmx.Prior("normal", mu=-0.8, sigma=1.0)},
    )


@functools.cache
def planted():
    return quietly(planted_model(), draws=DRAWS, tune=DRAWS, chains=2, thin=1, seed=1)


@functools.cache
def integrated():
    """Mass and mean of (slope, intercept, logit) at a positive intercept and at a negative one."""
    spec, priors = planted_model().spec, planted_model()._priors
    assert [c.effect for c in spec.layout.coordinates] == ["fixed", "nested", "weight"]
    problem = build_problem(spec, penalty=Penalty(resolve(spec, priors), jacobian=True))
    axes = np.linspace(0.15, 0.65, 40), np.linspace(-2.2, 2.2, 60), np.linspace(-4.5, 4.5, 40)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    density = log_likelihood(problem, grid)
    density = np.exp(density - density.max())
    sides = (density * (side * grid[:, 1] > 0) for side in (1, -1))
    return [(side.sum() / density.sum(), side @ grid / side.sum()) for side in sides]


def test_a_mode_of_a_few_percent_is_told_and_not_pooled():
    (share, lesser), (most, main) = integrated()
    found = planted()
    table = found.modes
    assert 0.03 < share < 0.1
    assert list(table["share"]) == pytest.approx([most, share], abs=0.01)
    assert list(table["chains"]) == [2, 0]
    assert list(table["apart"]) == ["", "stayed"]
    drawn = found._drawn
    assert found.data["posterior"].sizes["chain"] == 2
    # Without the other mode the means are those of the negative side, with it 0.1 more.
    np.testing.assert_allclose(drawn.flat.mean(0), main, atol=0.05)
    np.testing.assert_allclose(drawn.apart.theta[0].mean(0), lesser, atol=0.06)
    assert "separate" in repr(found)
    assert found.diagnostics().modes == (0, 0)


def test_it_is_told_with_its_share():
    found = planted().diagnostics()
    assert (found.apart, found.unvisited, found.kinds[-1]) == ((1,), (), "modes apart")
    words = str(found.findings[-1])
    assert f"mode 1 with {planted().modes['share'][1]:.0%} of the mass" in words
    assert "stack() weights it" in words
    assert not found.healthy


def test_what_is_reported_is_as_without_them():
    drawn = planted()._drawn
    problem = build_problem(drawn.spec, penalty=Penalty(drawn.priors, jacobian=True))
    seed = int(np.random.default_rng(3).integers(1, 2**31))
    settings = Settings(50, 50, 2, seed, progress=False)
    alone = run_nutpie(problem, drawn.modes, settings)
    more = run_nutpie(problem, drawn.modes, settings, (1,))
    assert list(more.mode) == [0, 0, 1]
    np.testing.assert_array_equal(more.part(slice(2)).theta, alone.theta)
    whole = Posterior(replace(drawn, apart=None), planted()._point)
    pd.testing.assert_frame_equal(whole.summary(), planted().summary())
    assert whole.waic().elpd == planted().waic().elpd
    assert len(planted().simulate(draws=3, seed=1)) == 32


def test_stacking_weighs_it():
    found, drawn = planted(), planted()._drawn
    stacked = found.stack(seed=1)
    table = stacked.table
    assert list(table["chains"]) == ["0, 1", "2"]
    assert list(table["apart"]) == [False, True]
    assert list(table["share"]) == [1.0, 0.0]
    assert "(separate)" in repr(stacked)
    # The same numbers for chains that are simply there.
    pooled = Posterior(drawn.whole, found._point)
    assert pooled.data["posterior"].sizes["chain"] == 3
    other = pooled.stack().table
    assert list(other["chains"]) == ["0, 1", "2"]
    columns = ["elpd_loo", "se", "bad_k", "weight"]
    pd.testing.assert_frame_equal(other[columns], table[columns])
    assert list(found.stack(by="chain").table["chains"]) == ["0", "1"]


def test_stacked_draws_come_from_it_by_its_weight():
    """Units that only the lesser mode explains give it the weight."""
    found = planted()
    apart = found._drawn.apart
    swapped = replace(
        found._drawn,
        theta=np.repeat(apart.theta, 2, axis=0),
        raw=np.repeat(apart.raw, 2, axis=0),
        log_density=np.repeat(apart.log_density, 2, axis=0),
        stats={name: np.repeat(v, 2, axis=0) for name, v in apart.stats.items()},
        chain_mode=np.array([1, 1]),
        apart=replace(
            apart,
            theta=found._drawn.theta[:1],
            raw=found._drawn.raw[:1],
            log_density=found._drawn.log_density[:1],
            stats={name: v[:1] for name, v in found._drawn.stats.items()},
            mode=np.array([0]),
        ),
    )
    stacked = Posterior(swapped, found._point).stack(seed=1)
    assert list(stacked.table["weight"]) == pytest.approx([0.0, 1.0], abs=1e-3)
    theta = stacked.posterior._drawn.theta
    assert theta.shape[1] == 2 * DRAWS
    assert (theta[0, :, 1] < 0).mean() > 0.99
    assert stacked.posterior._drawn.apart is None


def test_relabelling_keeps_them():
    found = planted().relabel("ecr")
    assert found._drawn.relabelling == "ecr"
    pd.testing.assert_frame_equal(found.modes, planted().modes)


def test_files_and_pickles_keep_them(tmp_path):
    found = planted()
    found.save(tmp_path / "draws.nc")
    for again in (bmx.load(tmp_path / "draws.nc"), pickle.loads(pickle.dumps(found))):
        for name in ("theta", "raw", "log_density", "mode"):
            one, two = getattr(again._drawn.apart, name), getattr(found._drawn.apart, name)
            np.testing.assert_array_equal(one, two, strict=True)
        assert list(again._drawn.apart.stats) == list(found._drawn.apart.stats)
        pd.testing.assert_frame_equal(again.modes, found.modes)
        pd.testing.assert_frame_equal(again.stack(seed=1).table, found.stack(seed=1).table)
        assert repr(again.diagnostics()) == repr(found.diagnostics())


def test_a_file_from_before_has_none():
    found = bmx.load(TESTS / "data" / "format_1_posterior.nc")
    assert found._drawn.apart is None
    assert (found.modes["apart"] == "").all()


def test_a_chain_that_leads_over_to_the_others():
    """The third mode of the beta-blocker trial, with 7 percent, is near the first two."""
    model = flexmix_models(bmx)["betablocker_fix_k4"]
    found = quietly(model, draws=300, tune=300, thin=1, seed=2)
    assert list(found.modes["apart"].head(3)) == ["", "", "connected"]
    assert list(found.modes["chains"].head(3)) == [3, 1, 0]
    diagnosis = found.diagnostics()
    assert (diagnosis.apart, diagnosis.unvisited) == ((), ())
    assert all(len(g) and g.max() < 4 for g in groups_of_chains((0, 0, 0, 0), (-1,)))
    assert not found.stack().table["apart"].any()


# Where chains came: planted draws of a model with one component and two parameters.

AT = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0], [20.0, 20.0]])
SHARES = (0.86, 0.06, 0.05, 0.03)


@functools.cache
def places():
    data = pd.DataFrame({"y": [1, 2, 3], "x": [0.0, 1.0, 2.0]})
    spec = bmx.Mixture("y ~ x", data, family="poisson", k=1).spec
    modes = tuple(
        Mode(at, 0.0, np.eye(2), 0.0, share) for at, share in zip(AT, SHARES, strict=True)
    )
    return build_problem(spec), modes


def chain(*stays):
    """1000 draws, so many of them at each of the modes in turn."""
    rng = np.random.default_rng(1)
    where = np.concatenate([np.full(n, mode) for mode, n in stays])
    assert len(where) == 1000
    return AT[where] + rng.normal(size=(1000, 2))


def came(main, begun=(), apart=()):
    theta = np.array(main)
    found = visits(*places(), np.zeros(len(main), int), theta, begun, np.array(apart))
    return found.unvisited, found.places


HOME = [chain((0, 1000))] * 4


@pytest.mark.parametrize(
    ("main", "begun", "apart", "unvisited", "expected"),
    [
        (HOME, (), (), (1, 2, 3), ()),
        # It stays; nobody came to the third and fourth mode.
        (HOME, (1,), [chain((1, 1000))], (2, 3), (1,)),
        # It leaves at once: another way to the same draws.
        (HOME, (1,), [chain((1, 20), (0, 980))], (2, 3), (-1,)),
        # It leaves late: the mode has mass, which the others do not find.
        (HOME, (1,), [chain((1, 600), (0, 400))], (1, 2, 3), (-1,)),
        # The others come there by themselves, as often as its mass says.
        ([chain((0, 940), (1, 60))] * 4, (1,), [chain((1, 1000))], (2, 3), (-1,)),
        # One visit in 4000 draws is no connection.
        ([*HOME[1:], chain((0, 999), (1, 1))], (1,), [chain((1, 1000))], (2, 3), (1,)),
        # Two modes of one place, and one of its own.
        (
            HOME,
            (1, 2, 3),
            [chain((1, 500), (2, 500)), chain((2, 1000)), chain((3, 1000))],
            (),
            (1, 1, 3),
        ),
        # They change places.
        (HOME, (1, 2), [chain((1, 10), (2, 990)), chain((2, 10), (1, 990))], (3,), (1, 1)),
        # From the third over the second to the others.
        (
            HOME,
            (1, 2),
            [chain((1, 10), (0, 990)), chain((2, 10), (1, 40), (0, 950))],
            (3,),
            (-1, -1),
        ),
        # Passing by a mode at which nothing began.
        (HOME, (1,), [chain((1, 10), (3, 30), (0, 960))], (2,), (-1,)),
    ],
)
def test_places_of_chains(main, begun, apart, unvisited, expected):
    assert came(main, begun, apart) == (unvisited, expected)


def test_chains_of_one_place_are_stacked_together():
    groups = groups_of_chains((0, 1, 0), (3, -1, 3, 5))
    assert [g.tolist() for g in groups] == [[0, 2], [1], [3, 5], [6]]


def test_a_mode_left_late_is_told_as_missed():
    found = planted()
    drawn = found._drawn
    theta = drawn.apart.theta.copy()
    theta[:, DRAWS // 2 :] = drawn.theta[0, DRAWS // 2 :]
    left = Posterior(replace(drawn, apart=replace(drawn.apart, theta=theta)), found._point)
    assert list(left.modes["apart"]) == ["", "connected"]
    diagnosis = left.diagnostics()
    assert (diagnosis.unvisited, diagnosis.apart) == ((1,), ())
    words = str(diagnosis.findings[-1])
    assert f"mode 1 with {left.modes['share'][1]:.0%} of the mass" in words
    assert "stayed there for long before" in words


# Longer runs and other samplers.


@pytest.mark.slow
def test_longer_runs_keep_those_of_the_first():
    found = quietly(planted_model(), draws=1000, seed=1)
    short = quietly(planted_model(), draws=1000, seed=1, thin=1)
    assert found._drawn.thin > 1
    np.testing.assert_array_equal(found._drawn.apart.raw, short._drawn.apart.raw)
    assert list(found.modes["apart"]) == ["", "stayed"]


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["pymc", "numpyro"])
def test_other_samplers_have_them_too(sampler):
    if sampler == "numpyro":
        pytest.importorskip("numpyro")
    how = {"draws": 300, "tune": 500, "chains": 2, "sampler": sampler}
    runs = (quietly(planted_model(), seed=seed, **how) for seed in range(1, 7))
    # First steps of these samplers are long: with a seed in three the chain leaves its mode.
    found = next(run for run in runs if list(run.modes["apart"]) == ["", "stayed"])
    assert list(found.modes["chains"]) == [2, 0]
    (_, lesser), (_, main) = integrated()
    np.testing.assert_allclose(found._drawn.flat.mean(0), main, atol=0.08)
    np.testing.assert_allclose(found._drawn.apart.theta[0].mean(0), lesser, atol=0.1)
    assert list(found.stack().table["apart"]) == [False, True]
