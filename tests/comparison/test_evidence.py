"""Evidence against closed forms, enumerated allocations and draws from the prior."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayesmix as bmx

pm = pytest.importorskip("pymc")

QUICK = {"draws": 600, "tune": 400, "thin": 1, "chains": 4, "progress": False}


def normal_evidence(y, design, sigma, spread):
    """log N(y; 0, sigma^2 I + spread^2 X X')."""
    cov = sigma**2 * np.eye(len(y)) + spread**2 * design @ design.T
    return stats.multivariate_normal(np.zeros(len(y)), cov).logpdf(y)


def test_a_conjugate_regression_has_its_closed_evidence():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.normal(size=30)})
    data["y"] = 1 + 2 * data["x"] + rng.normal(0, 0.7, 30)
    spec = bmx.Mixture("y ~ x", data, k=1, priors={"coef": bmx.Prior("normal", mu=0, sigma=3)})
    posterior = spec.fit("laplace", seed=1, fixed_params={(1, "sigma"): 0.7})
    design = np.column_stack([np.ones(30), data["x"]])
    found = posterior.evidence()
    truth = normal_evidence(data["y"].to_numpy(), design, 0.7, 3.0)
    assert found.log_evidence == pytest.approx(truth, abs=0.01)
    assert found.error < 0.01
    assert "standard error" in repr(found)


@pytest.fixture(scope="module")
def overlapping():
    """Nine values of two classes that hardly differ: labels switch all the time."""
    rng = np.random.default_rng(2)
    y = np.concatenate([rng.normal(-1, 1, 4), rng.normal(1.5, 1, 5)])
    priors = {
        "coef": bmx.Prior("normal", mu=0, sigma=2),
        "weight": bmx.Prior("dirichlet", concentration=1.5),
    }
    data = pd.DataFrame({"y": y})
    spec = bmx.Mixture("y ~ 1", data, k=2, dispersion="fixed", priors=priors)
    terms = []
    for first in itertools.product([True, False], repeat=9):
        own = np.array(first)
        value = special.betaln(1.5 + own.sum(), 10.5 - own.sum()) - special.betaln(1.5, 1.5)
        for part in (y[own], y[~own]):
            if len(part):
                value += normal_evidence(part, np.ones((len(part), 1)), 1.0, 2.0)
        terms.append(value)
    return spec, special.logsumexp(terms)


def test_two_components_have_the_evidence_of_all_allocations(overlapping):
    spec, truth = overlapping
    posterior = spec.fit("nuts", seed=3, fixed_params={(1, "sigma"): 1.0}, **QUICK)
    found = posterior.evidence(seed=1)
    assert found.orders == 2
    assert found.error < 0.05
    assert abs(found.log_evidence - truth) < 4 * found.error
    again = posterior.evidence(seed=2)
    assert abs(again.log_evidence - found.log_evidence) < 4 * found.error


@pytest.mark.slow
def test_concomitants_have_the_evidence_of_draws_from_the_prior():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"z": rng.normal(size=12)})
    data["y"] = rng.poisson(np.where(data["z"] > 0, 6, 1))
    priors = {"coef": bmx.Prior("normal", mu=1, sigma=0.8)}
    spec = bmx.Mixture("y ~ 1", data, "poisson", k=2, concomitant="~ z", priors=priors)
    posterior = spec.fit("nuts", seed=1, **QUICK)
    found = posterior.evidence()
    prior = spec.sample_prior(draws=40000, seed=1)["prior"].dataset
    rate = np.exp(prior["coef"].to_numpy()[0, :, :, 0])
    alpha = prior["alpha"].to_numpy()[0]
    logits = alpha[..., 0][:, :, None] + alpha[..., 1][:, :, None] * data["z"].to_numpy()
    log_pi = logits - special.logsumexp(logits, axis=1, keepdims=True)
    logf = stats.poisson.logpmf(data["y"].to_numpy(), rate[:, :, None])
    unit = special.logsumexp(log_pi + logf, axis=1).sum(1)
    truth = special.logsumexp(unit) - np.log(len(unit))
    share = np.exp(unit - unit.max())
    error = share.std() / share.mean() / np.sqrt(len(unit))
    assert abs(found.log_evidence - truth) < 4 * np.hypot(error, found.error)


def test_units_and_origins_change_it_by_the_jacobian():
    rng = np.random.default_rng(5)
    x = np.round(rng.normal(size=30), 3)
    y = x + rng.normal(size=30)
    y[3] = 9.0  # leaving it out needs moment matching
    out = []
    for scale, shift in ((1.0, 0.0), (1e12, 1e6)):
        priors = {"sigma": bmx.Prior("lognormal", mu=float(np.log(scale)), sigma=0.5)}
        data = pd.DataFrame({"x": (x + shift) / scale, "y": scale * y})
        posterior = bmx.Mixture("y ~ x", data, k=1, priors=priors).fit("laplace", draws=200, seed=1)
        left_out = posterior.loo()
        assert left_out.n_moment_matched
        out.append([posterior.evidence().log_evidence, left_out.elpd])
    np.testing.assert_allclose(np.subtract(*out), 30 * np.log(1e12), rtol=1e-7)


def test_draws_that_are_not_from_the_whole_posterior_are_refused(overlapping):
    spec, _ = overlapping
    few = spec.fit("nuts", seed=1, draws=20, tune=100, chains=2, thin=1, progress=False)
    with pytest.raises(bmx.FitError, match="no evidence"):
        few.evidence()
    wide = bmx.Mixture("y ~ 1", pd.DataFrame({"y": np.arange(40.0)}), k=8)
    posterior = wide.fit("laplace", draws=100, seed=1)
    with pytest.raises(bmx.FitError, match="40320 orders"):
        posterior.evidence()


def test_selection_and_comparison_by_evidence():
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"y": rng.poisson(np.where(rng.random(60) < 0.5, 1.0, 12.0))})
    spec = bmx.Mixture("y ~ 1", data, "poisson")
    selection = bmx.select(spec, k=[1, 2], seed=1)
    table = selection.evidence("laplace", seed=1)
    assert list(table.columns) == ["log_evidence", "error", "prior", "probability"]
    assert table["probability"].sum() == pytest.approx(1.0)
    assert table.loc[2, "probability"] > 0.999
    gap = table.loc[2, "log_evidence"] - table.loc[1, "log_evidence"]
    odds = selection.evidence("laplace", seed=1, prior={1: 0.9, 2: 0.1})["probability"]
    assert np.log(odds[2] / odds[1]) == pytest.approx(gap + np.log(0.1 / 0.9), rel=1e-6)
    fits = {f"k = {k}": spec.with_k(k).fit("laplace", seed=1) for k in (1, 2)}
    ranked = bmx.compare(fits, by="evidence")
    assert ranked.best == "k = 2"
    assert ranked.table.loc["k = 1", "difference"] == pytest.approx(-gap, abs=0.2)
    assert ranked.table["weight"].sum() == pytest.approx(1.0)
    with pytest.raises(bmx.FitError, match="posterior draws"):
        bmx.compare({"a": selection[1], "b": selection[2]}, by="evidence")


# --- a hierarchical prior of the user's own ----------------------------------------------------

MIDDLE, RANGE = 1.0, 6.0


def scale_evidence(parts):
    """log p(values of each part) with mu ~ N(MIDDLE, RANGE^2) and sigma^2 ~ IG(2, C0) for each
    part and one C0 ~ Gamma(0.2, 10 / RANGE^2) for all (Richardson and Green 1997), on grids."""
    log_c, log_v = np.linspace(-60, 5, 300), np.linspace(-65, 12, 400)
    c, v = np.exp(log_c), np.exp(log_v)
    density = stats.gamma(0.2, scale=RANGE**2 / 10).logpdf(c) + log_c
    given = 2 * log_c[:, None] - 2 * log_v - c[:, None] / v
    for y in parts:
        n, mean = len(y), y.mean() if len(y) else 0.0
        spread = ((y - mean) ** 2).sum() / v
        whole = v + n * RANGE**2
        centre = n * (mean - MIDDLE) ** 2 / whole
        rest = n * np.log(2 * np.pi) + (n - 1) * log_v + np.log(whole)
        likelihood = -0.5 * (spread + centre + rest)
        density = (
            density + special.logsumexp(given + likelihood, axis=1) + np.log(np.diff(log_v)[0])
        )
    return special.logsumexp(density) + np.log(np.diff(log_c)[0])


def gibbs(y, rng, draws, chains=4):
    """Draws for two components with weights Dirichlet(1), chain by draw."""
    out = {name: np.empty((chains, draws, 2)) for name in ("coef", "variance", "weight")}
    out["C0"] = np.empty((chains, draws))
    for chain, draw in itertools.product(range(chains), range(-200, draws)):
        if draw == -200:
            first, c0 = rng.random(len(y)) < 0.5, 1.0
            v = np.ones(2)
        own = np.array([first, ~first])
        n, total = own.sum(1), (own * y).sum(1)
        precision = n / v + RANGE**-2
        mu = rng.normal((total / v + MIDDLE / RANGE**2) / precision, precision**-0.5)
        squares = (own * (y - mu[:, None]) ** 2).sum(1)
        v = (c0 + squares / 2) / rng.gamma(2 + n / 2)
        c0 = rng.gamma(4.2) / (10 / RANGE**2 + (1 / v).sum())
        w = rng.dirichlet(1 + n)
        logs = np.log(w)[:, None] + stats.norm.logpdf(y, mu[:, None], np.sqrt(v)[:, None])
        first = rng.random(len(y)) < special.expit(logs[0] - logs[1])
        if draw >= 0:
            for name, value in {"coef": mu, "variance": v, "weight": w, "C0": c0}.items():
                out[name][chain, draw] = value
    return out


def extended(y, draws, ordered=False):
    """A specification, its model under the prior above, and draws of that model."""
    import xarray as xr

    priors = {
        "coef": bmx.Prior("normal", mu=MIDDLE, sigma=RANGE),
        "weight": bmx.Prior("dirichlet", concentration=1),
    }
    spec = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), k=2, priors=priors)
    with spec.to_pymc() as plain:
        c0 = pm.Gamma("C0", 0.2, 10 / RANGE**2)
        variance = pm.InverseGamma("variance", 2, c0, dims="component")
        if ordered:
            level = plain["coef"][:, 0]
            pm.Potential("order", pm.math.switch(level[0] < level[1], 0.0, -np.inf))
    found = gibbs(y, np.random.default_rng(8), draws)
    if ordered:
        order = np.argsort(found["coef"], axis=2)
        wide = {n: v for n, v in found.items() if v.ndim == 3}
        found |= {n: np.take_along_axis(v, order, axis=2) for n, v in wide.items()}
    found |= {"coef": found["coef"][..., None], "sigma": np.sqrt(found["variance"])}
    dims = {"coef": ("component", "term"), "C0": ()}
    by = {n: (("chain", "draw", *dims.get(n, ("component",))), v) for n, v in found.items()}
    idata = xr.DataTree.from_dict({"posterior": xr.Dataset(by)})
    return spec, pm.do(plain, {"sigma": pm.math.sqrt(variance)}), idata


APART = np.array([-1.2, -0.9, -0.4, 0.1, 2.6, 3.1, 3.3])


def enumerated(y):
    """The log evidence of two components, summed over all allocations."""
    terms = []
    for chosen in itertools.product([True, False], repeat=len(y)):
        first = np.array(chosen)
        weight = special.betaln(1 + first.sum(), 1 + (~first).sum())
        terms.append(weight + scale_evidence([y[first], y[~first]]))
    return special.logsumexp(terms)


def test_a_hierarchical_prior_of_the_users_has_its_enumerated_evidence(tmp_path):
    spec, model, idata = extended(APART, 400)
    posterior = spec.from_pymc(idata)
    found = posterior.evidence(model=model, idata=idata)
    assert found.orders == 2
    assert found.error < 0.1
    assert abs(found.log_evidence - enumerated(APART)) < 4 * found.error
    # The specification's own prior is another, and so would be the evidence under it.
    posterior.save(tmp_path / "extended.nc")
    for own in (posterior, bmx.load(tmp_path / "extended.nc")):
        with pytest.raises(bmx.FitError, match="C0"):
            own.evidence()
    for options, match in (
        ({"model": model}, "go together"),
        ({"model": spec, "idata": idata}, r"takes a pymc\.Model"),
        ({"model": model, "idata": idata.isel(draw=slice(200))}, "not the draws"),
    ):
        with pytest.raises(bmx.FitError, match=match):
            posterior.evidence(**options)


@pytest.mark.slow
def test_a_model_that_orders_its_components_has_half_the_evidence():
    spec, model, idata = extended(APART, 1000, ordered=True)
    found = spec.from_pymc(idata).evidence(model=model, idata=idata)
    assert found.orders == 1
    truth = enumerated(APART) - np.log(2)
    assert abs(found.log_evidence - truth) < 4 * found.error


def kinds():
    """Specifications whose free variables are of many kinds."""
    rng = np.random.default_rng(12)
    data = pd.DataFrame({"x": rng.normal(size=60), "id": np.arange(60) // 3})
    second = rng.random(20)[data["id"]] < 0.4
    data["y"] = np.where(second, 5 - data["x"], data["x"]) + rng.normal(0, 0.6, 60)
    data["level"] = np.digitize(rng.normal(np.where(second, 2, 0)), [0.0, 1.0])
    return {
        "concomitant": bmx.Mixture("y ~ x", data, k=2, concomitant="~ x"),
        "shared": bmx.Mixture("y ~ 1", data, k=2, fixed="~ x", dispersion="fixed"),
        "random": bmx.Mixture("y ~ x + (1 | id)", data, k=2),
        "levels": bmx.Mixture("level ~ 1 | id", data, "ordinal", k=2),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["concomitant", "shared", "random", "levels"])
def test_the_plain_model_has_the_evidence_of_the_specification(name):
    """The same number from the engine and from PyMC's own log density."""
    spec = kinds()[name]
    posterior = spec.fit("laplace", seed=1, draws=1000)
    own = posterior.evidence()
    back = spec.from_pymc(posterior.data)
    found = back.evidence(model=spec.to_pymc(), idata=posterior.data)
    assert found.orders == own.orders == 2
    assert abs(found.log_evidence - own.log_evidence) < 4 * np.hypot(found.error, own.error)
