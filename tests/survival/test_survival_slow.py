"""NUTS on competing events with the default settings: beside ML, LOO and WAIC, several modes."""

import functools
import warnings

import numpy as np
import pytest
import survival_models as reference

import bayesmix as bmx

SEED = 1
slow = pytest.mark.slow

MGUS2 = {
    "exponential": ("exponential", "exponential"),
    "weibull": ("weibull", "weibull"),
    "gompertz": ("gompertz", "gompertz"),
    "weibull, gompertz": ("weibull", "gompertz"),
}
HEALTHY = [
    *MGUS2,
    "mgus2_weibullPH_gompertz_int",
    "jasa_exp",
    "jasa_exp_mscore",
    "jasa69_unknown_cause",
    "jasa_weibull",
    "jasa_weibull_mscore",
    "pbc_weibull_weibull",
    "pbc_factor_stage",
]
# Maxima of the likelihood are well determined here, and so is the posterior.
NEAR_ML = [*MGUS2, "mgus2_weibullPH_gompertz_int", "jasa_exp", "jasa_exp_mscore"]
# Laplace's estimates of the modes' shares: from the log density of `to_pymc()`, SciPy's BFGS from
# normal starts and Hessians by differences of gradients.
SEVERAL_MODES = {"jasa_weibull_mscore": [0.8036, 0.1964], "jasa_weibull": [0.6706, 0.3294]}


def model(name):
    """A reference model, or the one of mgus2 with covariates on times and events."""
    if name not in MGUS2:
        return reference.model(name)
    data = reference.data_of("mgus2_exp_exp")
    family = dict(zip(("pcm", "death"), MGUS2[name], strict=True))
    formula = "surv(years, status) ~ age10 + sex"
    return bmx.CompetingRisks(formula, data, "event", family, concomitant="~ age10")


@functools.cache
def sampled(name):
    """Draws with the default settings, and the warnings that came."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = model(name).fit("nuts", seed=SEED, progress=False)
    return found, [str(w.message) for w in caught if w.category is bmx.ConvergenceWarning]


@functools.cache
def maximum(name):
    return model(name).fit("em", seed=1)


@slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.ci if n == "jasa_exp" else ()) for n in HEALTHY]
)
def test_chains_agree_with_default_settings(name):
    found, _ = sampled(name)
    table = found.summary()
    assert table["r_hat"].max() < 1.01
    assert table["ess_bulk"].min() > 400
    diverging = found.data["sample_stats"]["diverging"].values
    assert diverging.mean() < 0.03


@slow
@pytest.mark.parametrize("name", NEAR_ML)
def test_posteriors_beside_maximum_likelihood(name):
    both = bmx.compare_estimates({"ML": maximum(name), "Bayes": sampled(name)[0]})
    gap = (both["Bayes_estimate"] - both["ML_estimate"]).abs() / both["Bayes_error"]
    assert len(both) == len(maximum(name).summary())
    assert gap.max() < 1


@slow
@pytest.mark.parametrize("name", list(MGUS2))
def test_leaving_units_out_is_finite_and_reliable(name):
    found, _ = sampled(name)
    loo, waic = found.loo(), found.waic()
    assert np.isfinite(loo.pointwise["elpd_loo"]).all()
    assert loo.pointwise["pareto_k"].max() < 0.7
    assert abs(loo.elpd - waic.elpd) < 1
    # Fewer than the parameters, since the priors say something.
    assert 0 < maximum(name).loglik - loo.elpd < 2 * maximum(name).df


@slow
@pytest.mark.parametrize("by", ["loo", "waic"])
def test_criteria_choose_the_families_that_aic_chooses(by):
    """Old age makes deaths more likely year by year, as Gompertz times have it."""
    table = bmx.compare({name: sampled(name)[0] for name in MGUS2}, by=by)
    order = sorted(MGUS2, key=lambda name: maximum(name).aic)
    assert order[-1] == "exponential"
    names = list(table.table.index)
    assert (names[0], names[-1]) == (order[0], order[-1])


@slow
@pytest.mark.parametrize("name", list(SEVERAL_MODES))
def test_two_modes_are_listed_and_visited(name):
    """Either the rejections or the other deaths are those that come late."""
    found, _ = sampled(name)
    assert list(found.modes["share"].head(2)) == pytest.approx(SEVERAL_MODES[name], abs=0.002)
    assert list(found.modes["chains"].head(2)) == [3, 1]
    # Chains leave their modes for the other one: each has draws of a long and of a short shape.
    shape = found.data["posterior"]["shape"].sel(component="other", term="Intercept").values
    low = shape < np.median(shape)
    assert (low.mean(axis=1) > 0.3).all()
    assert (low.mean(axis=1) < 0.7).all()


@slow
def test_starts_tell_the_other_maximum_of_the_likelihood():
    """EM from many starts finds both maxima, and the table of starts has them."""
    found = reference.model("jasa_weibull_mscore").fit("em", seed=1, starts=20)
    assert found.loglik == pytest.approx(
        reference.REFERENCE["jasa_weibull_mscore"]["loglik"], abs=1e-5
    )
    levels = found.starts.loc[found.starts["status"] == "converged", "loglik"].round(4).unique()
    assert len(levels) == 2
    assert np.ptp(levels) > 1
    assert 0 < found.starts.attrs["agreeing"] < 20
