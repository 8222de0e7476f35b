"""The ranks behind docs/trust.md: their bands, and a small run that sees planted bugs."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from benchmarks.trust import coverage
from benchmarks.trust.models import CASES, data_set
from benchmarks.trust.pictures import ranks_picture
from benchmarks.trust.ranks import band, p_value, rank
from benchmarks.trust.sbc import PLANTED, quantities, read, run, table

SETS = 40


def test_ranks():
    rng = np.random.default_rng(1)
    draws = np.arange(10.0)
    assert rank(-1, draws, rng) == 0
    assert rank(3.5, draws, rng) == 4
    assert rank(99, draws, rng) == 10
    ties = [rank(1.0, np.ones(4), rng) for _ in range(200)]
    assert set(ties) == {0, 1, 2, 3, 4}


def test_bands_hold_for_all_ranks_together():
    rng = np.random.default_rng(2)
    limits = band(60, 150, 0.9)
    inside = []
    for _ in range(600):
        ranks = rng.integers(151, size=60)
        share = np.cumsum(np.bincount(ranks, minlength=151))[:-1] / 60
        inside.append(((share >= limits.lower) & (share <= limits.upper)).all())
    assert np.mean(inside) == pytest.approx(0.9, abs=0.04)
    pointwise = stats.binom.ppf(0.05, 60, limits.points) / 60
    assert (limits.lower <= pointwise).all()


def test_p_values_are_uniform_and_small_for_narrow_or_moved_draws():
    rng = np.random.default_rng(3)
    even = [p_value(rng.integers(151, size=60), 150) for _ in range(400)]
    assert np.mean(np.array(even) < 0.1) == pytest.approx(0.1, abs=0.05)
    truth = rng.normal(size=60)
    for mean, sd in ((0.0, 0.6), (0.6, 1.0)):
        ranks = [rank(t, rng.normal(mean, sd, 150), rng) for t in truth]
        assert p_value(np.array(ranks), 150) < 0.02


def test_exchangeable_components_are_put_in_order():
    terms = ["Intercept", "x"]
    params = xr.Dataset(
        {
            "coef": (("component", "term"), [[2.0, 5.0], [1.0, 6.0]]),
            "alpha": (("component", "concomitant_term"), [[0.0, 0.0], [3.0, -1.0]]),
        },
        {"component": [1, 2], "term": terms, "concomitant_term": ["Intercept", "z"]},
    )
    found = quantities(CASES["poisson with concomitants"], params)
    assert found["coef[1, Intercept]"] == 1.0
    assert found["coef[1, x]"] == 6.0
    assert found["alpha[2, Intercept]"] == -3.0  # against what is now the first component
    assert found["alpha[2, z]"] == 1.0


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_model_has_data_and_a_density(name):
    found = 0
    for seed in range(4):
        try:
            spec, truth = data_set(CASES[name], np.random.default_rng(seed))
        except ValueError:  # an event that never occurred
            continue
        found += np.isfinite(spec.log_likelihood(truth))
    assert found > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "bug"),
    [
        pytest.param("gaussian", 0, marks=pytest.mark.ci),
        ("competing events, censored", 1),
    ],
)
def test_a_small_calibration_is_even_and_sees_a_planted_bug(name, bug):
    """Forty data sets: a posterior a factor of 1.4 too narrow, or censored times left out."""
    assert table([run(CASES[name], SETS)])["least p, adjusted"].item() > 0.005
    case = list(PLANTED.values())[bug]
    assert table([run(case, SETS)])["least p, adjusted"].item() < 0.005


def test_what_was_run_is_what_the_page_shows():
    """All ten kinds of models with many data sets, and planted bugs that are seen."""
    results = [read(case) for case in CASES.values()]
    shown = table(results).set_index("model")
    assert list(shown.index) == list(CASES)
    assert (shown["data sets"] + shown["refused"] >= 100).all()
    # One quantity of twenty is outside its band by chance.
    assert shown["outside 95 %"].sum() < 0.1 * shown["quantities"].sum()
    assert shown["least p, adjusted"].min() > 0.05 / len(shown)
    planted = table([read(case) for case in PLANTED.values()])
    assert (planted["least p, adjusted"] < 0.01).all()
    figure = ranks_picture(results[:4])
    assert [panel.get_title() for panel in figure.axes[:1]] == ["gaussian (200)"]
    plt.close(figure)


def test_intervals_hold_the_truth_as_often_as_they_say():
    found = coverage.table(coverage.read_coverage())
    assert set(found["model"]) == set(coverage.TRUTHS)
    error = np.sqrt(0.05 * 0.95 / found["data sets"])
    for kind in ("maximum likelihood", "posterior"):
        assert (abs(found[kind] - 0.95) < 3 * error + 0.02).all()
    assert (found["bootstrap"] > 0.8).all()
