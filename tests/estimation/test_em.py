"""Fits: against statsmodels, scipy and simulated truths; their starts, options and ends."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import optimize, special, stats
from statsmodels.discrete.count_model import ZeroInflatedNegativeBinomialP, ZeroInflatedPoisson

import bayesmix as bmx
from bayesmix.estimation.bootstrap import match_order
from bayesmix.estimation.maximise import Options, make_starts, maximise, refitted
from bayesmix.likelihood import build_problem, em_pass, log_likelihood
from bayesmix.model.params import permute
from bayesmix.results.covariance import covariance
from bayesmix.results.status import diagnose

N = 240


def simulated():
    """Rows and groups of two or three components that differ clearly."""
    rng = np.random.default_rng(2)
    x, z = rng.normal(size=(2, N))
    high = rng.random(N) < 0.4
    group = np.repeat(np.arange(N // 4), 4)
    h = rng.normal(size=N // 4)
    member = rng.random(N // 4) < special.expit(0.5 + h)
    data = pd.DataFrame({"x": x, "z": z, "g": group, "h": h[group], "high": high})
    data["y"] = np.where(high, 2 + x, -1 - 0.5 * x) + 0.3 * z + 0.8 * rng.normal(size=N)
    data["count"] = rng.poisson(np.exp(np.where(high, 2.0 + 0.3 * x, 0.3 - 0.2 * x)))
    data["trials"] = rng.integers(5, 20, N)
    data["yes"] = rng.binomial(data.trials, special.expit(np.where(high, 1.5 + x, -1.5)))
    data["grouped"] = np.where(member[group], 1.0 + x, -0.5) + rng.normal(size=N)
    data["positive"] = rng.gamma(3.0, np.exp(np.where(high, 1.5 + 0.3 * x, -0.5)) / 3.0)
    data["w"] = rng.integers(0, 4, N)
    data["wg"] = rng.integers(0, 3, N // 4)[group]
    data["label"] = np.where(rng.random(N) < 0.3, np.where(high, "high", "low"), None)
    data["some"] = data["label"].where(high)
    data["known"] = np.where(high, "high", "low")
    return data


D = simulated()
MODELS = {
    "gaussian": ("y ~ x", {"k": 2}),
    "shared sigma": ("y ~ x", {"k": 2, "fixed": "~ z", "dispersion": "fixed"}),
    "poisson": ("count ~ x", {"family": "poisson", "k": 3}),
    "binomial": ("p(yes, trials) ~ x", {"family": "binomial", "k": 2}),
    "gamma": ("positive ~ x", {"family": "gamma", "k": 2}),
    "negative binomial": ("count ~ x", {"family": "negative_binomial", "k": 2}),
    "student": ("y ~ x", {"family": "student_t", "k": 2}),
    "groups": ("grouped ~ x | g", {"k": 2, "concomitant": "~ h"}),
    "nested": ("y ~ 1", {"k": 2, "nested": [("~ 0", 1), ("~ x", 1)]}),
    "offsets": (
        "count ~ x + offset(z / 5)",
        {"family": "poisson", "k": 2, "fixed": "~ h + offset(h / 5)"},
    ),
    "weights": ("count ~ x", {"family": "poisson", "k": 2, "weights": "w"}),
    "labels": ("y ~ x", {"k": 2, "labels": "some"}),
    "zeros": ("count ~ x", {"family": ["zero", "poisson", "poisson"], "k": 3}),
}


def model(name, data=D, **more):
    formula, options = MODELS[name]
    return bmx.Mixture(formula, data, **(options | more))


def quietly(spec, method="em", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return spec.fit(method, **options)


@pytest.fixture(scope="module")
def fits():
    made = {}

    def get(name):
        if name not in made:
            made[name] = quietly(model(name), seed=1)
        return made[name]

    return get


def assert_same_fit(one, other, rtol=1e-4):
    assert one.loglik == pytest.approx(other.loglik, abs=1e-6 * (1 + abs(other.loglik)))
    pd.testing.assert_frame_equal(one.coefficients(), other.coefficients(), rtol=rtol, atol=rtol)
    pd.testing.assert_series_equal(one.mixing, other.mixing, rtol=rtol, atol=rtol)


# --- the climb -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_no_start_ever_goes_downhill(name):
    problem = build_problem(model(name).spec)
    starts = make_starts(problem, 6, np.random.default_rng(0))
    outcome = maximise(problem, starts, Options(tol=1e-10))
    steps = np.diff(outcome.trace, axis=0)
    finite = np.isfinite(steps)
    assert finite.sum() > 20
    assert steps[finite].min() > -1e-9 * np.abs(outcome.trace[-1]).max()
    np.testing.assert_allclose(outcome.trace[-1], outcome.loglik, rtol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_direct_maximisation_finds_the_same_maximum(fits, name):
    direct = quietly(model(name), "ml", seed=2)
    assert direct.method == "ml"
    if name == "zeros":  # flat where the counts have no more zeros than the Poisson components
        assert direct.loglik == pytest.approx(fits(name).loglik, abs=1e-5)
    else:
        assert_same_fit(fits(name), direct, rtol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_fits_are_finished(fits, name):
    """No optimiser of scipy finds anything higher nearby."""
    fit = fits(name)
    spec, fitted = fit.spec, fit._fitted
    problem = fitted.problem

    def negative(theta):
        p = em_pass(problem, theta[None])
        return -p.loglik[0], -p.score[0]

    found = optimize.minimize(negative, fitted.theta, jac=True, method="BFGS")
    assert -found.fun < fit.loglik + 1e-6
    assert spec.log_likelihood(fit.params) == pytest.approx(fit.loglik, rel=1e-12)


def test_the_seed_decides(fits):
    for algorithm in ("em", "sem"):
        one = model("poisson").fit(seed=7, algorithm=algorithm)
        again = model("poisson").fit(seed=7, algorithm=algorithm)
        other = model("poisson").fit(seed=8, algorithm=algorithm)
        generator = model("poisson").fit(seed=np.random.default_rng(7), algorithm=algorithm)
        pd.testing.assert_frame_equal(one.starts, again.starts)
        pd.testing.assert_frame_equal(one.starts, generator.starts)
        assert (one.params == again.params).all()
        assert not one.starts.loglik.equals(other.starts.loglik)


def test_the_table_of_starts():
    fit = quietly(model("poisson", k=4), seed=3, starts=15)
    table = fit.starts
    assert list(table.columns) == ["loglik", "iterations", "status"]
    assert len(table) == 15
    sound = table[~table.status.isin(["degenerate", "failed"])]
    assert sound.loglik.max() == pytest.approx(fit.loglik, abs=1e-9)
    near = (sound.loglik > fit.loglik - 1e-6 * abs(fit.loglik)).sum()
    assert table.attrs["agreeing"] == near
    assert fit.iterations in set(table.iterations[sound.loglik.idxmax() == table.index])


def test_one_start_is_enough_for_one_component():
    assert len(model("poisson", k=1).fit(seed=1).starts) == 1


# --- init ----------------------------------------------------------------------------------


def test_all_forms_of_init_lead_to_the_same_optimum(fits):
    fit = fits("groups")
    spec = model("groups")
    forms = {
        "fit": fit,
        "params": fit.params,
        "memberships of units": fit.membership(),
        "memberships of rows": fit.membership(rows=True),
        "an array": fit.membership().to_numpy(),
        "unnormalised": 7 * fit.membership().to_numpy(),
        "labels of units": fit.clusters().to_numpy(),
        "labels of rows": fit.clusters(rows=True),
        "integers": np.array([list(fit.components).index(c) + 1 for c in fit.clusters()]),
    }
    for form, init in forms.items():
        again = spec.fit(init=init)
        assert len(again.starts) == 1, form
        assert_same_fit(again, fit)


def test_more_starts_come_beside_init(fits):
    fit = model("gaussian").fit(init=fits("gaussian"), starts=4, seed=1)
    assert len(fit.starts) == 4
    assert_same_fit(fit, fits("gaussian"))


def test_a_fit_of_another_model_starts_from_its_memberships(fits):
    wide = bmx.Mixture("y ~ x + z", D, k=2)
    assert_same_fit(wide.fit(init=fits("gaussian")), wide.fit(seed=1))


def test_init_is_followed_to_a_local_optimum():
    """From a bad partition EM ends at its own, lower maximum: init is no decoration."""
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(m, 0.3, 40) for m in (0.0, 3.0, 5.0)])
    spec = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), k=2)
    good, bad = (spec.fit(init=np.repeat(labels, 40)) for labels in ([1, 2, 2], [1, 1, 2]))
    assert good.converged
    assert bad.converged
    assert bad.loglik < good.loglik - 10


def test_no_iteration_evaluates(fits):
    fit = fits("labels")
    moved = fit.params.copy()
    moved["sigma"] = 1.1 * moved["sigma"]
    evaluated = model("labels").fit(init=moved, max_iter=0)
    assert evaluated.iterations == 0
    assert not evaluated.converged
    assert evaluated.loglik == pytest.approx(model("labels").log_likelihood(moved))
    assert evaluated.loglik < fit.loglik
    np.testing.assert_allclose(evaluated.params.sigma, moved.sigma, rtol=1e-12)


def test_an_evaluated_fit_keeps_the_order_of_its_components(fits):
    turned = fits("gaussian").relabel(order=[2, 1])
    evaluated = model("gaussian").fit(init=turned.params, max_iter=0)
    pd.testing.assert_frame_equal(evaluated.coefficients(), turned.coefficients(), rtol=1e-12)


def test_two_iterations_are_not_enough():
    with pytest.warns(bmx.ConvergenceWarning, match="max_iter="):
        fit = model("poisson").fit(seed=1, max_iter=2)
    assert fit.status == "max_iter"
    assert not fit.converged
    assert fit.iterations <= 2
    assert "max_iter=" in fit.reasons[0]


# --- held parameters -----------------------------------------------------------------------


def test_held_parameters_against_scipy(fits):
    fit = model("gaussian").fit(
        seed=1, fixed_params={(2, "x"): 0.8, (1, "weight"): 0.3, (1, "sigma"): 1.0}
    )
    assert fit.df == fits("gaussian").df - 3
    assert fit.coefficients().loc["x", 2] == 0.8
    assert fit.mixing.to_list() == pytest.approx([0.3, 0.7], rel=1e-12)
    assert fit.dispersion().loc[1, "sigma"] == pytest.approx(1.0, rel=1e-12)

    def negative(t):
        logf = [
            stats.norm.logpdf(D.y, t[0] + t[1] * D.x, 1.0) + np.log(0.3),
            stats.norm.logpdf(D.y, t[2] + 0.8 * D.x, np.exp(t[3])) + np.log(0.7),
        ]
        return -special.logsumexp(logf, axis=0).sum()

    tables = fit.coefficients()
    mine = np.array(
        [*tables[1], tables.loc["Intercept", 2], np.log(fit.dispersion().loc[2, "sigma"])]
    )
    best = min(
        (
            optimize.minimize(negative, start)
            for start in ([-1, -0.5, 2, 0], [2, 0.8, -1, 0], [0, 0, 0, 0])
        ),
        key=lambda r: r.fun,
    )
    assert fit.loglik == pytest.approx(-best.fun, abs=1e-6)
    np.testing.assert_allclose(mine, best.x, atol=1e-3)
    se = fit.summary().set_index(["component", "term"])["se"]
    assert np.isnan([se[2, "x"], se[1, "weight"], se[1, "sigma"]]).all()
    hessian_se = np.sqrt(np.diag(np.linalg.inv(numeric_hessian(negative, mine))))
    hessian_se[3] *= np.exp(best.x[3])  # of sigma, from that of its logarithm
    ours = [se[1, "Intercept"], se[1, "x"], se[2, "Intercept"], se[2, "sigma"]]
    np.testing.assert_allclose(ours, hessian_se, rtol=1e-3)


def numeric_hessian(function, at, h=1e-3):
    n = len(at)
    out = np.empty((n, n))
    e = h * np.eye(n)
    for i in range(n):
        for j in range(n):
            out[i, j] = (
                function(at + e[i] + e[j])
                - function(at + e[i] - e[j])
                - function(at - e[i] + e[j])
                + function(at - e[i] - e[j])
            ) / (4 * h * h)
    return out


def test_held_values_take_precedence_over_init(fits):
    held = {(2, "x"): 0.8, (1, "sigma"): 1.0}
    fit = model("gaussian").fit(init=fits("gaussian").params, fixed_params=held)
    assert fit.coefficients().loc["x", 2] == 0.8
    assert fit.dispersion().loc[1, "sigma"] == pytest.approx(1.0, rel=1e-12)
    again = model("gaussian").fit(seed=1, fixed_params=held)
    assert fit.loglik == pytest.approx(again.loglik, abs=1e-6)


@pytest.mark.parametrize("weight", [0.2, 0.5])
def test_a_held_weight_among_three(weight):
    """The other two share what is left in the best proportion."""
    fit = quietly(model("poisson"), seed=1, starts=20, fixed_params={(2, "weight"): weight})
    assert fit.mixing[2] == pytest.approx(weight, rel=1e-12)
    assert fit.mixing.sum() == pytest.approx(1.0)

    def negative(t):
        pi = np.array(
            [special.expit(t[6]) * (1 - weight), weight, special.expit(-t[6]) * (1 - weight)]
        )
        logf = [
            stats.poisson.logpmf(D["count"], np.exp(t[2 * s] + t[2 * s + 1] * D.x))
            for s in range(3)
        ]
        return -special.logsumexp(np.array(logf) + np.log(pi)[:, None], axis=0).sum()

    table = fit.coefficients()
    mine = np.array([*table[1], *table[2], *table[3], special.logit(fit.mixing[1] / (1 - weight))])
    assert negative(mine) == pytest.approx(-fit.loglik, rel=1e-10)
    assert optimize.minimize(negative, mine).fun > -fit.loglik - 1e-5
    # Standard error of a free weight, by the delta method from that of t[6].
    error = np.sqrt(np.linalg.inv(numeric_hessian(negative, mine))[6, 6])
    share = fit.mixing[1] / (1 - weight)
    error *= share * (1 - share) * (1 - weight)
    se = fit.summary().query("effect == 'weight'").set_index("component")["se"]
    assert se[1] == pytest.approx(error, rel=1e-3)
    assert np.isnan(se[2])


def test_holding_everything_evaluates(fits):
    """And holding the estimates changes nothing but df."""
    fit = fits("gaussian")
    table = fit.coefficients()
    held = {(c, t): table.loc[t, c] for c in (1, 2) for t in table.index}
    held |= {(c, "sigma"): fit.dispersion().loc[c, "sigma"] for c in (1, 2)}
    held |= {(c, "weight"): fit.mixing[c] for c in (1, 2)}
    again = model("gaussian").fit(seed=1, fixed_params=held)
    assert again.df == 0
    assert again.converged
    assert again.loglik == pytest.approx(fit.loglik, abs=1e-8)


@pytest.mark.parametrize(("family", "held"), [("poisson", -3.0), ("negative_binomial", -3.0)])
def test_random_starts_know_held_coefficients(family, held):
    """A constraint near the maximum costs what the quadratic approximation says, and no more."""
    data = bmx.load_data("fabricfault")
    spec = bmx.Mixture("Faults ~ 1", data, family=family, k=2, fixed="~ log(Length)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bmx.DegenerateWarning)  # alpha may be infinite
        free = spec.fit("em", seed=1)
        fit = spec.fit("em", seed=1, fixed_params={(1, "Intercept"): held})
    row = free.summary().query("component == 1 and term == 'Intercept'").iloc[0]
    cost = 0.5 * ((held - row["estimate"]) / row["se"]) ** 2
    assert 0 < cost < 0.1
    assert free.loglik - fit.loglik == pytest.approx(cost, abs=0.5 * cost + 1e-4)


def test_a_held_logit_of_a_concomitant(fits):
    fit = model("groups").fit(seed=1, fixed_params={(2, "alpha[h]"): 0.0})
    plain = bmx.Mixture("grouped ~ x | g", D, k=2).fit(seed=1)
    assert fit.loglik == pytest.approx(plain.loglik, abs=1e-6)
    assert fit.df == plain.df
    assert fit.concomitant().loc["h", 2] == 0


def test_an_infinite_dispersion_is_silent_and_poisson():
    """A negative binomial component without overdispersion: alpha is infinite, nothing is NaN."""
    data = bmx.load_data("patent")
    spec = bmx.Mixture("Patents ~ lgRD", data, family="negative_binomial", k=3)
    with pytest.warns(bmx.DegenerateWarning, match="alpha"):
        fit = spec.fit("em", seed=1)
    params = fit.params.copy(deep=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        at_infinity = np.flatnonzero(np.isinf(fit.summary()["se"]))
        assert len(at_infinity)
        params["alpha"][:] = np.inf
        poisson = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3)
        assert spec.log_likelihood(params) == pytest.approx(
            poisson.log_likelihood(params.drop_vars("alpha")), abs=1e-9
        )
        assert np.isfinite(fit.residuals("pearson")).all(axis=None)
        counts = fit.simulate(seed=1)
    assert np.isfinite(counts).all(axis=None)


# --- other algorithms ----------------------------------------------------------------------


def test_classification_em_ends_at_a_partition_of_its_own():
    fit = model("gaussian").fit(seed=1, algorithm="cem")
    assert fit.method == "cem"
    assert fit.converged
    for component, rows in D.groupby(fit.clusters()):
        design = sm.add_constant(rows[["x"]])
        least_squares = sm.OLS(rows.y, design).fit()
        np.testing.assert_allclose(fit.coefficients()[component], least_squares.params, rtol=1e-6)
        sigma = np.sqrt(np.mean(least_squares.resid**2))
        assert fit.dispersion().loc[component, "sigma"] == pytest.approx(sigma, rel=1e-6)
        assert fit.mixing[component] == pytest.approx(len(rows) / N, rel=1e-9)


@pytest.mark.parametrize("name", ["poisson", "groups"])
def test_classification_em_is_no_better_than_em(fits, name):
    hard = quietly(model(name), seed=1, algorithm="cem")
    assert fits(name).loglik - 30 < hard.loglik <= fits(name).loglik + 1e-8
    assert model(name).log_likelihood(hard.params) == pytest.approx(hard.loglik)


@pytest.mark.parametrize("name", ["gaussian", "poisson", "groups"])
def test_stochastic_em_comes_near_the_maximum(fits, name):
    drawn = quietly(model(name), seed=1, algorithm="sem")
    assert drawn.method == "sem"
    assert fits(name).loglik - 1.0 < drawn.loglik <= fits(name).loglik + 1e-8


# --- small components ----------------------------------------------------------------------


def test_small_components_are_removed_and_reported():
    with pytest.warns(bmx.ConvergenceWarning, match="removed 3 of 5"):
        fit = model("gaussian", k=5).fit(seed=1, min_weight=0.35)
    assert (fit.status, fit.k, fit.k_requested) == ("reduced", 2, 5)
    assert "min_weight removed 3 of 5" in fit.reasons[0]
    assert not fit.converged
    two = model("gaussian").fit(seed=1)
    assert fit.loglik == pytest.approx(two.loglik, abs=1e-6)
    assert fit.df == two.df
    np.testing.assert_allclose(fit.coefficients(), two.coefficients(), rtol=1e-5)
    assert (fit.mixing > 0.35).all()
    assert fit.membership().shape == (N, 2)


def test_reduction_to_one_component():
    """Concomitants, which explain weights, go with the weights."""
    spec = bmx.Mixture("count ~ x", D, k=3, family="negative_binomial", concomitant="~ z")
    fit = quietly(spec, seed=1, min_weight=0.6)
    assert fit.k == 1
    nb = sm.NegativeBinomial(D["count"], sm.add_constant(D[["x"]])).fit(disp=0)
    assert fit.loglik == pytest.approx(nb.llf, rel=1e-8)
    assert fit.df == 3
    assert (fit.predict(D, what="weight") == 1).all(axis=None)


@pytest.mark.parametrize(
    "options",
    [
        {"concomitant": "~ z", "dispersion": "fixed"},
        {"fixed": "~ z", "weights": "w"},
        {"group": "g", "concomitant": "~ h"},
    ],
    ids=str,
)
def test_a_reduced_model_is_the_smaller_model(options):
    formula = "grouped ~ x" if "group" in options else "y ~ x"
    fit = quietly(bmx.Mixture(formula, D, k=5, **options), seed=1, min_weight=0.3)
    assert 1 < fit.k < 5
    smaller = bmx.Mixture(formula, D, k=fit.k, **options)
    again = quietly(smaller, init=fit.membership())
    assert again.loglik == pytest.approx(fit.loglik, abs=1e-4)
    assert again.df == fit.df
    np.testing.assert_allclose(fit.predict(D[:9]), again.predict(D[:9]), rtol=2e-2, atol=2e-2)
    assert fit.spec.log_likelihood(fit.params) == pytest.approx(fit.loglik, rel=1e-10)
    assert len(fit.summary()) == len(again.summary())


@pytest.mark.parametrize("group", [None, "g"])
def test_memberships_of_pandas_are_matched_by_their_names(group):
    spec = bmx.Mixture("grouped ~ x", D, k=2, nested=[("~ 0", 1), ("~ z", 1)], group=group)
    units = quietly(spec, seed=1, starts=1).membership()
    right = quietly(spec, init=units.to_numpy(), max_iter=1).loglik
    rows = units.iloc[np.arange(len(D))] if group is None else units.loc[D[group]].set_axis(D.index)
    labels = units.idxmax(axis=1)
    hard = quietly(spec, init=labels.to_numpy(), max_iter=1).loglik
    mixed = {"frac": 1, "random_state": 1}
    for init in (units.sample(**mixed), rows.sample(**mixed), units[[2, 1]]):
        assert quietly(spec, init=init, max_iter=1).loglik == pytest.approx(right, rel=1e-10)
    again = quietly(spec, init=labels.sample(**mixed), max_iter=1)
    assert again.loglik == pytest.approx(hard, rel=1e-10)
    other = units.set_axis([f"unit {i}" for i in range(len(units))])  # names of nothing here
    assert quietly(spec, init=other, max_iter=1).loglik == pytest.approx(right, rel=1e-10)


def test_names_of_units_that_are_numbers_of_other_rows_are_those_of_units():
    data = D.assign(unit=np.arange(len(D))[::-1])
    spec = bmx.Mixture("y ~ x", data, k=2, group="unit")
    units = quietly(spec, seed=1, starts=1).membership()
    right = quietly(spec, init=units.to_numpy(), max_iter=1).loglik
    assert quietly(spec, init=units, max_iter=1).loglik == pytest.approx(right, rel=1e-10)


def test_removal_is_told_at_a_boundary_too():
    rng = np.random.default_rng(1)
    yes = np.concatenate([np.zeros(80, int), rng.binomial(9, 0.6, 120)])
    data = pd.DataFrame({"yes": yes, "trials": 9})
    with (
        pytest.warns(bmx.DegenerateWarning, match="infin"),
        pytest.warns(bmx.ConvergenceWarning, match="removed 2 of 4"),
    ):
        fit = bmx.Mixture("p(yes, trials) ~ 1", data, k=4, family="binomial").fit(
            seed=1, min_weight=0.35
        )
    assert (fit.k, fit.status) == (2, "boundary")
    assert any("removed 2 of 4" in r for r in fit.reasons)


def test_nothing_is_removed_where_nothing_is_small(fits):
    fit = model("gaussian").fit(seed=1, min_weight=0.1)
    assert fit.converged
    assert fit.k == fit.k_requested == 2
    assert_same_fit(fit, fits("gaussian"))


def test_selection_shows_what_was_asked_and_what_came():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = bmx.select(model("gaussian"), k=[2, 4], seed=1, min_weight=0.35).table
    assert table.k0.to_list() == [2, 4]
    assert table.k.to_list() == [2, 2]


# --- bad ends ------------------------------------------------------------------------------


def test_a_collapsing_start_is_counted_and_cannot_win(fits):
    same = pd.DataFrame({"x": 0.5, "y": np.full(12, 4.0)})
    data = pd.concat([D[["x", "y"]], same], ignore_index=True)
    spec = bmx.Mixture("y ~ 1", data, k=2)
    trap = np.repeat([1, 2], [N, 12])
    fit = spec.fit(init=trap, starts=8, seed=1)
    assert fit.starts.status[0] == "degenerate"
    assert fit.starts.loglik[0] > fit.loglik
    assert fit.converged
    assert fit.dispersion().sigma.min() > 0.1
    assert fit.loglik == pytest.approx(spec.fit(seed=1).loglik, abs=1e-6)


def test_nothing_but_collapse():
    data = pd.DataFrame({"y": np.repeat([0.0, 1.0, 5.0], 10)})
    with pytest.warns(bmx.DegenerateWarning, match="collapsed to zero.*dispersion='fixed'"):
        fit = bmx.Mixture("y ~ 1", data, k=3).fit(seed=1)
    assert fit.status == "degenerate"
    assert not fit.converged
    assert set(fit.starts.status) == {"degenerate"}
    assert fit.starts.attrs["agreeing"] == 0


def test_no_arithmetic_warnings_on_the_way_to_a_collapse():
    data = pd.DataFrame({"y": np.repeat([0.0, 1.0, 5.0], 10)})
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", bmx.DegenerateWarning)
        for k in (2, 3):
            bmx.Mixture("y ~ 1", data, k=k).fit(seed=1)


def test_separation_is_a_boundary():
    rng = np.random.default_rng(0)
    x = rng.normal(size=60)
    data = pd.DataFrame({"x": x, "b": (x > 0.1).astype(int)})
    with pytest.warns(bmx.DegenerateWarning, match="infin.*separation"):
        fit = bmx.Mixture("b ~ x", data, k=1, family="binomial").fit()
    assert fit.status == "boundary"
    assert not fit.converged
    assert fit.loglik == pytest.approx(0.0, abs=1e-5)
    assert np.isinf(fit.summary()["se"]).all()
    assert fit.fitted()[1].to_numpy() == pytest.approx(data.b, abs=1e-3)


@pytest.mark.parametrize("k", [2, 3])
def test_separated_levels_in_components_are_a_boundary(k):
    x = np.random.default_rng(0).normal(size=100)
    level = pd.Categorical(np.searchsorted([-0.5, 0.5], x), ordered=True)
    with pytest.warns(bmx.DegenerateWarning, match=r"infin.*separation"):
        fit = bmx.Mixture("y ~ x", pd.DataFrame({"x": x, "y": level}), "ordinal", k).fit(seed=1)
    assert (fit.status, fit.loglik) == ("boundary", pytest.approx(0.0, abs=2e-3))


def test_a_component_of_sure_failures_is_a_boundary():
    """Its limit is the mixture of a point mass at zero and a binomial, computed by hand."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(50), 4)
    never = (rng.random(50) < 0.4)[group]
    data = pd.DataFrame({"g": group, "trials": 6})
    data["yes"] = np.where(never, 0, rng.binomial(6, 0.6, 200))
    with pytest.warns(bmx.DegenerateWarning, match=r"Intercept \(varying, component 1\)"):
        fit = bmx.Mixture("p(yes, trials) ~ 1 | g", data, k=2, family="binomial").fit(seed=1)
    assert fit.status == "boundary"
    sums = data.groupby("g").yes.sum().to_numpy()
    const = special.gammaln(7) - special.gammaln(data.yes + 1) - special.gammaln(7 - data.yes)

    def negative(t):
        pi, p = special.expit(t)
        some = np.log1p(-pi) + special.xlogy(sums, p) + (24 - sums) * np.log1p(-p)
        none = np.where(sums == 0, np.log(pi), -np.inf)
        return -np.logaddexp(some, none).sum() - const.sum()

    best = optimize.minimize(negative, [0.0, 0.0])
    assert fit.loglik == pytest.approx(-best.fun, abs=1e-4)
    summary = fit.summary().query("effect == 'varying'").set_index("component")
    assert np.isinf(summary.se[1])
    assert summary.estimate[2] == pytest.approx(best.x[1], abs=1e-3)
    errors = np.sqrt(np.diag(np.linalg.inv(numeric_hessian(negative, best.x))))
    assert summary.se[2] == pytest.approx(errors[1], rel=1e-3)


def test_a_component_that_is_not_needed_vanishes():
    counts = np.random.default_rng(3).poisson(4.0, 200)
    data = pd.DataFrame({"n": counts[counts > 0]})
    with pytest.warns(bmx.DegenerateWarning, match="component 1 has vanished.*smaller k"):
        fit = bmx.Mixture("n ~ 1", data, k=2, family=["zero", "poisson"]).fit(seed=1)
    assert fit.status == "degenerate"
    mean = data.n.mean()
    assert fit.loglik == pytest.approx(stats.poisson.logpmf(data.n, mean).sum(), abs=1e-5)
    assert fit.mixing[1] < 1e-6


def test_components_that_the_data_do_not_tell_apart():
    """Counts with less spread than Poisson: the best mixture is one component twice."""
    counts = np.random.default_rng(4).binomial(8, 0.5, 150)
    # Rounding decides which of two starts wins: equal components, or one of weight zero.
    kinds = (bmx.IdentifiabilityWarning, bmx.DegenerateWarning)
    with pytest.warns(kinds, match=r"(flat in|infinite values of) .*weight.*fewer components"):
        fit = bmx.Mixture("n ~ 1", pd.DataFrame({"n": counts}), k=2, family="poisson").fit(seed=1)
    assert fit.status == "boundary"
    assert fit.loglik == pytest.approx(stats.poisson.logpmf(counts, counts.mean()).sum(), abs=1e-6)


def test_a_limit_of_the_family():
    """Normal data: Student's nu runs to infinity, where the model is the Gaussian one."""
    y = stats.norm.ppf((np.arange(200) + 0.5) / 200)
    data = pd.DataFrame({"y": y})
    with pytest.warns(bmx.DegenerateWarning, match="infinite values of nu"):
        fit = bmx.Mixture("y ~ 1", data, k=1, family="student_t").fit()
    assert fit.status == "boundary"
    assert fit.loglik == pytest.approx(stats.norm.logpdf(y, 0, y.std()).sum(), abs=1e-4)
    assert fit.spec.log_likelihood(fit.params) == pytest.approx(fit.loglik, abs=1e-6)
    assert np.isfinite(fit.simulate(seed=1).y).all()


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_limit_is_not_called_convergence(seed):
    """Two Gaussian components fitted by Student's t: here nu runs to infinity for every seed."""
    rng = np.random.default_rng(seed)
    high = rng.random(120) < 0.4
    x = rng.normal(size=120)
    y = np.where(high, 1.5 + 0.5 * x, -0.5 - 0.3 * x) + 0.7 * rng.normal(size=120)
    spec = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), k=2, family="student_t", dispersion="fixed")
    fit = quietly(spec, seed=1)
    assert np.isinf(fit.summary().query("term == 'nu'").se).all()
    assert fit.status == "boundary"
    gaussian = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), k=2, dispersion="fixed").fit(seed=1)
    assert fit.loglik == pytest.approx(gaussian.loglik, abs=1e-3)
    assert np.isfinite(fit.simulate(seed=1).y).all()
    assert np.isfinite(spec.log_likelihood(fit.params))


def test_a_gamma_component_that_fits_two_points_exactly_cannot_win():
    """Its shape grows without bound, as a Gaussian component's sigma shrinks."""
    fit = quietly(model("gamma"), seed=1)
    assert fit.converged
    assert fit.dispersion()["shape"].max() < 100
    trapped = quietly(model("gamma"), init=np.repeat([1, 2], [N - 2, 2]))
    assert trapped.status == "degenerate" or trapped.dispersion()["shape"].max() < 1e3


# --- one component: generalised linear models ----------------------------------------------


def one(formula, family, data=D, **more):
    return bmx.Mixture(formula, data, family=family, k=1, **more).fit()


def compare(fit, estimates, errors, loglik):
    summary = fit.summary()
    rows = summary[summary.effect.isin(["varying", "fixed"])]
    np.testing.assert_allclose(rows.estimate, estimates, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(rows.se, errors, rtol=1e-4)
    assert fit.loglik == pytest.approx(loglik, rel=1e-9)
    assert fit.df == len(summary)
    assert fit.aic == pytest.approx(2 * len(summary) - 2 * loglik)
    assert fit.bic == pytest.approx(np.log(N) * len(summary) - 2 * loglik)


DESIGN = sm.add_constant(D[["x", "z"]])


def test_linear_model():
    ours = one("y ~ x + z", "gaussian")
    ols = sm.OLS(D.y, DESIGN).fit()
    shrink = np.sqrt((N - 3) / N)  # sigma by maximum likelihood
    compare(ours, ols.params, ols.bse * shrink, ols.llf)
    row = ours.summary().iloc[-1]
    assert row.estimate == pytest.approx(np.sqrt(ols.ssr / N), rel=1e-9)
    of_log = 1 / np.sqrt(2 * N)
    assert row.se == pytest.approx(np.sqrt(ols.ssr / N) * of_log, rel=1e-6)
    assert row.lower == pytest.approx(row.estimate * np.exp(-1.959964 * of_log), rel=1e-6)


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_binomial_models(link):
    family = bmx.family("binomial", link=link)
    ours = one("p(yes, trials) ~ x + z", family)
    links = {"logit": "Logit", "probit": "Probit", "cloglog": "CLogLog"}
    chosen = getattr(sm.families.links, links[link])()
    glm = sm.GLM(
        np.column_stack([D.yes, D.trials - D.yes]), DESIGN, sm.families.Binomial(link=chosen)
    )
    compare_glm(ours, glm)


def compare_glm(ours, glm, scale=1.0, loglik=None):
    result = glm.fit(tol=1e-12)
    hessian = glm.hessian(result.params, scale=scale, observed=True)
    errors = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    compare(ours, result.params, errors, result.llf if loglik is None else loglik)
    return result


def test_zero_one_responses():
    data = D.assign(b=(D.yes > 5).astype(int))
    logit = sm.Logit(data.b, DESIGN).fit(disp=0, tol=1e-12)
    compare(one("b ~ x + z", "binomial", data), logit.params, logit.bse, logit.llf)


@pytest.mark.parametrize("offset", [False, True])
def test_poisson_model(offset):
    ours = one("count ~ x + z" + (" + offset(log(trials))" if offset else ""), "poisson")
    shift = np.log(D.trials) if offset else None
    compare_glm(ours, sm.GLM(D["count"], DESIGN, sm.families.Poisson(), offset=shift))


@pytest.mark.parametrize("link", ["log", "inverse"])
def test_gamma_model(link):
    response = D.positive if link == "log" else 1 + D.positive / 5
    data = D.assign(positive=response)
    ours = one("positive ~ x + z", bmx.family("gamma", link=link), data)
    links = {"log": sm.families.links.Log(), "inverse": sm.families.links.InversePower()}
    glm = sm.GLM(response, DESIGN, sm.families.Gamma(link=links[link]))
    ratio = response / glm.fit(tol=1e-12).mu
    deficit = np.mean(ratio - np.log(ratio)) - 1
    shape = optimize.brentq(lambda a: np.log(a) - special.digamma(a) - deficit, 1e-3, 1e3)
    mu = response / ratio
    loglik = stats.gamma.logpdf(response, shape, scale=mu / shape).sum()
    compare_glm(ours, glm, 1 / shape, loglik)
    row = ours.summary().iloc[-1]
    assert row.estimate == pytest.approx(shape, rel=1e-6)
    curvature = N * shape * (shape * special.polygamma(1, shape) - 1)  # in log(shape)
    assert row.se == pytest.approx(shape / np.sqrt(curvature), rel=1e-4)


def test_negative_binomial_model():
    ours = one("count ~ x + z", "negative_binomial")
    nb = sm.NegativeBinomial(D["count"], DESIGN).fit(disp=0, method="newton", maxiter=100)
    compare(ours, nb.params.iloc[:3], nb.bse.iloc[:3], nb.llf)
    row = ours.summary().iloc[-1]
    assert row.estimate == pytest.approx(1 / nb.params["alpha"], rel=1e-5)
    assert row.se == pytest.approx(nb.bse["alpha"] / nb.params["alpha"] ** 2, rel=1e-4)


def test_student_t_model():
    rng = np.random.default_rng(6)
    data = D.assign(y=1 + 2 * D.x + 0.7 * rng.standard_t(4, N))
    ours = one("y ~ x + z", "student_t", data)

    def negative(t):
        mu = DESIGN.to_numpy() @ t[:3]
        return -stats.t.logpdf(data.y, np.exp(t[4]), mu, np.exp(t[3])).sum()

    found = optimize.minimize(negative, [1, 2, 0, 0, 1], tol=1e-10)
    found = optimize.minimize(
        negative,
        found.x,
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 4000},
    )
    errors = np.sqrt(np.diag(np.linalg.inv(numeric_hessian(negative, found.x))))
    summary = ours.summary().set_index("term")
    names = ["Intercept", "x", "z", "sigma", "nu"]
    estimates = summary.loc[names, "estimate"]
    assert ours.loglik == pytest.approx(-found.fun, abs=1e-6)
    np.testing.assert_allclose(estimates, [*found.x[:3], *np.exp(found.x[3:])], rtol=1e-3)
    errors[3:] *= np.exp(found.x[3:])  # of sigma and nu, from those of their logarithms
    np.testing.assert_allclose(summary.loc[names, "se"], errors, rtol=2e-3)


def test_a_factor_and_an_interaction():
    data = D.assign(f=np.array(["a", "b", "c"])[np.arange(N) % 3])
    ours = one("count ~ x * f", "poisson", data)
    theirs = sm.GLM.from_formula("count ~ x * f", data, family=sm.families.Poisson())
    result = theirs.fit(tol=1e-12)
    assert ours.loglik == pytest.approx(result.llf, rel=1e-10)
    table = ours.summary().set_index("term")
    named = {"Intercept": "Intercept", "x": "x", "f[T.b]": "f[b]", "x:f[T.c]": "x:f[c]"}
    for theirs_name, name in named.items():
        assert table.estimate[name] == pytest.approx(result.params[theirs_name], rel=1e-6)
        assert table.se[name] == pytest.approx(result.bse[theirs_name], rel=1e-5)


# --- weights, groups, labels ---------------------------------------------------------------


@pytest.mark.parametrize("grouped", [False, True])
def test_weights_are_copies(grouped):
    column = "wg" if grouped else "w"
    formula = "grouped ~ x | g" if grouped else "y ~ x"
    copies = pd.concat([D[D[column] > c].assign(g=lambda d, c=c: d.g + 1000 * c) for c in range(3)])
    weighted = bmx.Mixture(formula, D, k=2, weights=column).fit(seed=1)
    copied = bmx.Mixture(formula, copies, k=2).fit(seed=1)
    assert_same_fit(weighted, copied, rtol=1e-5)
    assert weighted.n_obs == copied.n_obs == D[column].sum()
    assert weighted.n_units == copied.n_units
    for criterion in ("aic", "bic", "bic_units", "icl"):
        assert getattr(weighted, criterion) == pytest.approx(getattr(copied, criterion), abs=1e-4)
    np.testing.assert_allclose(weighted.summary().se, copied.summary().se, rtol=1e-4)
    np.testing.assert_allclose(
        weighted.sizes()[["prior", "size"]], copied.sizes()[["prior", "size"]], rtol=1e-4
    )


def test_weights_need_not_be_whole():
    """Halved weights: the same estimates, standard errors larger by the root of two."""
    half = bmx.Mixture("y ~ x", D.assign(w=D.w / 2), k=2, weights="w").fit(seed=1)
    whole = bmx.Mixture("y ~ x", D, k=2, weights="w").fit(seed=1)
    pd.testing.assert_frame_equal(half.coefficients(), whole.coefficients(), rtol=1e-5)
    assert half.loglik == pytest.approx(whole.loglik / 2, rel=1e-9)
    np.testing.assert_allclose(half.summary().se, np.sqrt(2) * whole.summary().se, rtol=1e-4)


@pytest.mark.parametrize("name", ["gaussian", "student", "poisson", "binomial"])
def test_rows_of_weight_zero_are_as_if_absent(name):
    junk = D.iloc[:20].assign(w=0.0, y=1e6, x=50.0, count=10**6, yes=0, trials=10**6)
    both = pd.concat([junk, D.assign(w=1.0)], ignore_index=True)
    weighted = quietly(model(name, both, weights="w"), seed=1)
    assert_same_fit(weighted, quietly(model(name), seed=1))
    assert weighted.n_obs == N


def test_dropped_rows_are_as_if_absent():
    holes = D.assign(unused=np.nan, label=D.label)
    holes.loc[::7, "x"] = np.nan
    holes.loc[::11, "y"] = np.nan
    holes.index = [f"row {i}" for i in range(N)]
    fit = bmx.Mixture("y ~ x", holes, k=2, labels="label", na_action="drop").fit(seed=1)
    complete = holes.dropna(subset=["x", "y"])
    assert fit.n_dropped == N - len(complete)
    again = bmx.Mixture("y ~ x", complete, k=2, labels="label").fit(seed=1)
    assert_same_fit(fit, again)
    assert fit.n_obs == len(complete)
    assert fit.membership().index.equals(complete.index)
    assert fit.residuals().index.equals(complete.index)


def grouped_terms(t):
    """Log joint densities (groups, 2) of the model "groups", by hand."""
    logf = np.column_stack(
        [
            stats.norm.logpdf(D.grouped, t[0] + t[1] * D.x, np.exp(t[4])),
            stats.norm.logpdf(D.grouped, t[2] + t[3] * D.x, np.exp(t[5])),
        ]
    )
    by_group = pd.DataFrame(logf).groupby(D.g).sum().to_numpy()
    eta = t[6] + t[7] * D.groupby("g").h.first()
    return by_group + np.column_stack([special.log_expit(-eta), special.log_expit(eta)])


def test_groups_with_concomitants_by_hand(fits):
    fit = fits("groups")

    def negative(t):
        return -special.logsumexp(grouped_terms(t), axis=1).sum()

    found = optimize.minimize(negative, [-0.5, 0, 1, 1, 0, 0, 0.5, 1], tol=1e-9)
    assert fit.loglik == pytest.approx(-found.fun, abs=1e-6)
    table = fit.summary()
    ours = [*table.estimate[:4], *np.log(table.estimate[4:6]), *table.estimate[6:]]
    np.testing.assert_allclose(ours, found.x, atol=2e-3)
    errors = np.sqrt(np.diag(np.linalg.inv(numeric_hessian(negative, found.x))))
    errors[4:6] *= np.exp(found.x[4:6])  # of sigma, from those of its logarithm
    np.testing.assert_allclose(table.se, errors, rtol=2e-3)
    posterior = special.softmax(grouped_terms(np.array(ours)), axis=1)
    np.testing.assert_allclose(fit.membership(), posterior, atol=1e-8)
    assert fit.icl == pytest.approx(fit.bic - 2 * np.log(posterior.max(1)).sum(), abs=1e-6)
    assert fit.bic_units == pytest.approx(-2 * fit.loglik + 8 * np.log(N / 4))


def test_known_components_are_separate_regressions():
    """And their weights a multinomial logit of the labels."""
    fit = bmx.Mixture("y ~ x", D, k=2, labels="known", concomitant="~ z").fit()
    loglik = 0.0
    for name, rows in D.groupby("known"):
        ols = sm.OLS(rows.y, sm.add_constant(rows[["x"]])).fit()
        np.testing.assert_allclose(fit.coefficients()[name], ols.params, rtol=1e-7)
        table = fit.summary().query("component == @name and effect == 'varying'")
        np.testing.assert_allclose(
            table.se, ols.bse * np.sqrt((len(rows) - 2) / len(rows)), rtol=1e-5
        )
        loglik += ols.llf
    logit = sm.Logit((D.known == "low").astype(int), sm.add_constant(D[["z"]])).fit(disp=0)
    np.testing.assert_allclose(fit.concomitant()["low"], logit.params, rtol=1e-5)
    table = fit.summary().query("effect == 'concomitant'")
    np.testing.assert_allclose(table.se, logit.bse, rtol=1e-5)
    assert fit.loglik == pytest.approx(loglik + logit.llf, rel=1e-10)


def test_known_components_with_constant_weights():
    fit = bmx.Mixture("y ~ x", D, k=2, labels="known").fit()
    share = D.known.eq("high").mean()
    assert fit.mixing["high"] == pytest.approx(share, rel=1e-9)
    row = fit.summary().query("effect == 'weight'").iloc[0]
    assert row.se == pytest.approx(np.sqrt(share * (1 - share) / N), rel=1e-6)
    assert (fit.membership().idxmax(axis=1) == D.known).all()


def test_partly_known_components_by_hand(fits):
    spec = bmx.Mixture("y ~ x", D, k=2, labels="label")
    fit = spec.fit(seed=1)
    assert list(fit.components) == ["high", "low"]

    def negative(t):
        logf = np.column_stack(
            [
                stats.norm.logpdf(D.y, t[0] + t[1] * D.x, np.exp(t[4])) + special.log_expit(-t[6]),
                stats.norm.logpdf(D.y, t[2] + t[3] * D.x, np.exp(t[5])) + special.log_expit(t[6]),
            ]
        )
        logf[(D.label == "low").to_numpy(), 0] = -np.inf
        logf[(D.label == "high").to_numpy(), 1] = -np.inf
        return -special.logsumexp(logf, axis=1).sum()

    found = optimize.minimize(negative, [2, 1, -1, -0.5, 0, 0, 0], tol=1e-9)
    assert fit.loglik == pytest.approx(-found.fun, abs=1e-6)
    known = D.label.notna()
    membership = fit.membership()
    assert (membership.idxmax(axis=1)[known] == D.label[known]).all()
    assert membership[known].max(axis=1).eq(1).all()


# --- order ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three():
    rng = np.random.default_rng(9)
    z = rng.normal(size=400)
    logits = np.column_stack([np.zeros(400), 0.5 + z, -0.3 - z])
    s = (special.softmax(logits, axis=1).cumsum(1) < rng.random((400, 1))).sum(1)
    x = rng.normal(size=400)
    y = np.array([-4.0, 0.0, 4.0])[s] + np.array([1.0, -1.0, 0.5])[s] * x + rng.normal(size=400)
    data = pd.DataFrame({"x": x, "y": y, "z": z})
    return bmx.Mixture("y ~ x", data, k=3, concomitant="~ z").fit(seed=1)


def test_components_come_in_ascending_order(three, fits):
    assert three.coefficients().loc["Intercept"].is_monotonic_increasing
    for name in ("gaussian", "poisson", "gamma"):
        assert fits(name).coefficients().loc["Intercept"].is_monotonic_increasing


def test_relabelled_components_and_rebased_concomitants(three):
    order = [3, 1, 2]
    new = three.relabel(order=order)
    assert new.loglik == three.loglik
    assert new.spec.log_likelihood(new.params) == pytest.approx(three.loglik, rel=1e-12)
    assert list(new.components) == [1, 2, 3]
    np.testing.assert_allclose(new.membership(), three.membership()[order], atol=1e-12)
    np.testing.assert_array_equal(new.coefficients(), three.coefficients()[order])
    table = three.concomitant()
    np.testing.assert_allclose(
        new.concomitant(), table[order].sub(table[3], axis=0), rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(
        new.predict(what="weight"), three.predict(what="weight")[order], rtol=1e-10
    )


def test_the_covariance_follows_a_relabelling(three):
    """Contrasts of the old logits: their covariance is A V A'."""
    order = [3, 1, 2]
    new = three.relabel(order=order)
    cov = three.covariance()
    position = {name: i for i, name in enumerate(cov.index)}
    rows = []
    for component, term, effect in new.covariance().index:
        row = np.zeros(len(cov))
        old = order[component - 1]
        if effect == "concomitant":
            if old != 1:
                row[position[old, term, effect]] += 1
            if order[0] != 1:
                row[position[order[0], term, effect]] -= 1
        else:
            row[position[old, term, effect]] = 1
        rows.append(row)
    a = np.array(rows)
    np.testing.assert_allclose(new.covariance(), a @ cov.to_numpy() @ a.T, rtol=1e-6, atol=1e-9)


def test_relabelling_by_a_term(three):
    by_slope = three.relabel(by="x")
    assert by_slope.coefficients().loc["x"].is_monotonic_increasing
    assert three.relabel(by="weight").mixing.is_monotonic_increasing
    back = by_slope.relabel(by="Intercept")
    np.testing.assert_allclose(back.coefficients(), three.coefficients(), rtol=1e-14)
    np.testing.assert_allclose(back.concomitant(), three.concomitant(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["gaussian", "poisson", "groups", "weights", "labels"])
def test_the_order_of_rows_does_not_matter(fits, name):
    mixed = D.sample(frac=1, random_state=3)
    fit = quietly(model(name, mixed), seed=5)
    assert_same_fit(fit, fits(name), rtol=1e-3)
    ours, theirs = fit.membership(), fits(name).membership()
    pd.testing.assert_frame_equal(ours.sort_index(), theirs.sort_index(), atol=2e-3)


@pytest.mark.parametrize("name", MODELS)
def test_new_data_go_the_way_of_the_training_data(fits, name):
    fit, new = fits(name), D.iloc[::-1]
    for what in ("mean", "link", "weight"):
        pd.testing.assert_frame_equal(
            fit.predict(new, what=what), fit.predict(what=what).iloc[::-1], rtol=1e-10
        )
    marginal = (fit.fitted() * fit.predict(what="weight")).sum(axis=1)
    np.testing.assert_allclose(fit.predict(new, by="marginal"), marginal.iloc[::-1], rtol=1e-10)
    if "labels" not in MODELS[name][1]:  # new data have none
        ours = fit.membership(new).sort_index()
        pd.testing.assert_frame_equal(ours, fit.membership().sort_index(), rtol=1e-8, atol=1e-10)
    drawn = fit.simulate(seed=1)
    assert drawn.index.equals(D.index)
    assert set(drawn.component) <= set(fit.components)


def test_simulated_data_have_the_fitted_moments(fits):
    """Means and variances of 400 simulations against predict and the families' formulas."""
    for name, response, variance in (
        ("gaussian", "y", lambda m, f, c: np.full(N, f.dispersion().loc[c, "sigma"] ** 2)),
        ("negative binomial", "count", lambda m, f, c: m + m**2 / f.dispersion().loc[c, "alpha"]),
    ):
        fit = fits(name)
        rng = np.random.default_rng(0)
        draws = np.array([fit.simulate(rng)[response] for _ in range(400)])
        mean = fit.predict(by="marginal").to_numpy()
        weight = fit.predict(what="weight")
        second = sum(
            weight[c] * (variance(fit.fitted()[c], fit, c) + fit.fitted()[c] ** 2)
            for c in fit.components
        )
        error = np.sqrt((second - mean**2) / 400)
        standardised = (draws.mean(0) - mean) / error
        assert np.abs(standardised).max() < 4.5
        assert 0.75 < np.mean(standardised**2) < 1.25


# --- resampling ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parametric", "case"])
def test_bootstrap_errors_are_near_the_analytic_ones(kind):
    rng = np.random.default_rng(12)
    n = 400
    x = rng.normal(size=n)
    high = rng.random(n) < 0.4
    count = rng.poisson(np.exp(np.where(high, 3.0 + 0.2 * x, 0.5 - 0.2 * x)))
    fit = bmx.Mixture(
        "count ~ x", pd.DataFrame({"count": count, "x": x}), k=2, family="poisson"
    ).fit(seed=1)
    boot = fit.bootstrap(120, kind, seed=4)
    ours = boot.summary()
    analytic = fit.summary()
    pd.testing.assert_frame_equal(
        ours[["component", "term", "effect", "estimate"]],
        analytic[["component", "term", "effect", "estimate"]],
    )
    ratio = ours.se / analytic.se
    assert ratio.between(0.78, 1.28).all()  # 120 refits: 6.5 percent standard error
    assert (ours.bias.abs() < 0.4 * ours.se).all()
    assert ((ours.lower < ours.estimate) & (ours.estimate < ours.upper)).all()
    assert boot.n == len(boot.refits) == 120
    again = fit.bootstrap(120, kind, seed=4)
    np.testing.assert_array_equal(boot.draws, again.draws)
    assert not np.array_equal(boot.draws, fit.bootstrap(120, kind, seed=5).draws)


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_refits_are_matched_to_the_fit(three, order):
    """A refit with its components in another order is put back, its logits re-based."""
    fitted = three._fitted
    layout = fitted.spec.layout
    nearby = fitted.theta + 0.01
    turned = permute(layout, nearby, np.array(order))
    assert not np.allclose(turned, nearby)
    np.testing.assert_allclose(permute(layout, turned, match_order(fitted, turned)), nearby)


def test_refits_that_turn_are_counted_where_they_belong(monkeypatch):
    """As above, within the bootstrap: the same draws whatever order the refits come in."""
    fit = model("gaussian").fit(seed=1)
    straight = fit.bootstrap(5, seed=1).draws

    def turning(spec, *given):
        theta, *end = refitted(spec, *given)
        return permute(spec.layout, theta, np.array([1, 0])), *end

    monkeypatch.setattr("bayesmix.estimation.bootstrap.refitted", turning)
    np.testing.assert_allclose(fit.bootstrap(5, seed=1).draws, straight, rtol=1e-10, atol=1e-12)


# --- several known models ------------------------------------------------------------------


@pytest.fixture(scope="module")
def zeros():
    rng = np.random.default_rng(8)
    x, z = rng.normal(size=(2, 500))
    none = rng.random(500) < special.expit(-0.5 + 0.8 * z)
    mu = np.exp(1.0 + 0.4 * x)
    poisson = np.where(none, 0, rng.poisson(mu))
    over = np.where(none, 0, rng.negative_binomial(2.0, 2 / (2 + mu)))
    return pd.DataFrame({"x": x, "z": z, "n": poisson, "over": over})


def test_zero_inflated_poisson(zeros):
    fit = bmx.Mixture("n ~ x", zeros, family=["zero", "poisson"], k=2, concomitant="~ z").fit(
        seed=1
    )
    design, inflation = sm.add_constant(zeros[["x"]]), sm.add_constant(zeros[["z"]])
    zip_model = ZeroInflatedPoisson(zeros.n, design, exog_infl=inflation)
    theirs = zip_model.fit(method="bfgs", maxiter=500, gtol=1e-8, disp=0)
    assert fit.loglik == pytest.approx(theirs.llf, abs=1e-6)
    table = fit.summary()
    assert table.component.unique().tolist() == [2]
    ours = np.append(-table.estimate[2:], table.estimate[:2])
    np.testing.assert_allclose(ours, theirs.params, rtol=1e-4)
    # Their Hessian is not that of their likelihood (its errors are 3 percent smaller).
    hessian = numeric_hessian(zip_model.loglike, theirs.params.to_numpy())
    errors = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    np.testing.assert_allclose(np.append(table.se[2:], table.se[:2]), errors, rtol=1e-4)
    np.testing.assert_allclose(errors, theirs.bse, rtol=0.05)
    mean = fit.predict(by="marginal")
    np.testing.assert_allclose(mean, theirs.predict(design, exog_infl=inflation), rtol=1e-4)


def test_zero_inflated_negative_binomial(zeros):
    fit = bmx.Mixture("over ~ x", zeros, family=["zero", "negative_binomial"], k=2).fit(seed=1)
    design = sm.add_constant(zeros[["x"]])
    start = [-0.5, 1, 0.4, 0.5]
    theirs = ZeroInflatedNegativeBinomialP(zeros.over, design, exog_infl=np.ones((500, 1))).fit(
        start, method="bfgs", maxiter=500, gtol=1e-7, disp=0
    )
    assert fit.loglik == pytest.approx(theirs.llf, abs=1e-5)
    np.testing.assert_allclose(fit.coefficients()[2], theirs.params.iloc[1:3], rtol=1e-3)
    assert fit.dispersion().loc[2, "alpha"] == pytest.approx(1 / theirs.params["alpha"], rel=1e-3)
    assert special.logit(fit.mixing[1]) == pytest.approx(theirs.params.iloc[0], rel=1e-3)
    se = fit.summary().se
    np.testing.assert_allclose(se[:2], theirs.bse.iloc[1:3], rtol=1e-2)


TRUTH = {
    "gaussian": ({"sigma": (0.8, 1.5)}, (-2.0, 2.0)),
    "student_t": ({"sigma": (0.5, 0.8), "nu": (4.0, 8.0)}, (-2.0, 2.5)),
    "poisson": ({}, (0.3, 2.0)),
    "binomial": ({}, (-1.5, 1.5)),
    "gamma": ({"shape": (3.0, 8.0)}, (-0.5, 1.5)),
    "negative_binomial": ({"alpha": (3.0, 10.0)}, (0.5, 2.7)),
}


def draw(rng, family, mu, values):
    """Responses by NumPy alone, with the documented meaning of every parameter."""
    return {
        "gaussian": lambda: rng.normal(mu, values.get("sigma")),
        "student_t": lambda: mu + values["sigma"] * rng.standard_t(values["nu"]),
        "poisson": lambda: rng.poisson(mu),
        "binomial": lambda: rng.binomial(12, mu),
        "gamma": lambda: rng.gamma(values["shape"], mu / values["shape"]),
        "negative_binomial": lambda: rng.poisson(rng.gamma(values["alpha"], mu / values["alpha"])),
    }[family]()


@pytest.mark.parametrize("family", TRUTH)
def test_the_truth_is_recovered(family):
    dispersions, intercepts = TRUTH[family]
    rng = np.random.default_rng(21)
    n = 2500
    x, z, v = rng.normal(size=(3, n))
    s = (rng.random(n) < special.expit(-0.4 + 0.8 * z)).astype(int)
    slopes, fixed = np.array([0.3, -0.3]), 0.2
    eta = np.array(intercepts)[s] + slopes[s] * x + fixed * v
    inverse = {"binomial": special.expit, "gaussian": np.array, "student_t": np.array}
    mu = inverse.get(family, np.exp)(eta)
    values = {name: np.array(pair)[s] for name, pair in dispersions.items()}
    data = pd.DataFrame({"x": x, "z": z, "v": v, "y": draw(rng, family, mu, values), "t": 12})
    response = "p(y, t)" if family == "binomial" else "y"
    fit = bmx.Mixture(
        f"{response} ~ x", data, family=family, k=2, fixed="~ v", concomitant="~ z"
    ).fit(seed=1)
    assert fit.converged
    truth = {(c, "v"): fixed for c in (1, 2)}
    truth |= {(c + 1, "Intercept"): intercepts[c] for c in (0, 1)}
    truth |= {(c + 1, "x"): slopes[c] for c in (0, 1)}
    truth |= {(c + 1, d): dispersions[d][c] for d in dispersions for c in (0, 1)}
    table = fit.summary()
    for row in table[table.effect != "concomitant"].itertuples():
        true = truth[row.component, row.term.removesuffix("_y")]
        off, error = row.estimate - true, row.se
        if row.effect == "dispersion":  # of the logarithm
            off, error = np.log(row.estimate / true), row.se / row.estimate
        assert abs(off) < 4 * error, row
        assert error < 0.6, row
    alpha = table[table.effect == "concomitant"].set_index("term")
    for term, true in {"Intercept": -0.4, "z": 0.8}.items():
        assert abs(alpha.estimate[term] - true) < 4 * alpha.se[term]


@pytest.mark.parametrize("seed", [0, 1])
def test_several_responses_recover_the_truth(seed):
    rng = np.random.default_rng(seed)
    n, m = 150, 5
    group = np.repeat(np.arange(n), m)
    s = (rng.random(n) < 0.35).astype(int)[group]
    x = rng.normal(size=n * m)
    data = pd.DataFrame({"g": group, "x": x})
    data["y"] = np.array([0.0, 1.0])[s] + np.array([0.5, -0.5])[s] * x + rng.normal(size=n * m)
    data["n"] = rng.poisson(np.array([1.0, 3.0])[s])
    fit = bmx.Mixture(
        [bmx.Regression("y ~ x", dispersion="fixed"), bmx.Regression("n ~ 1", family="poisson")],
        data,
        k=2,
        group="g",
    ).fit(seed=1)
    table = fit.summary()
    truth = [0.0, 0.5, 1.0, -0.5, 0.0, np.log(3.0)]
    rows = table[table.effect == "varying"]
    assert (np.abs(rows.estimate - truth) < 4 * rows.se).all()
    assert rows.se.max() < 0.2
    assert fit.dispersion().sigma_y.nunique() == 1
    assert (fit.clusters(rows=True) == s + 1).mean() > 0.97


# --- choosing the number of components -----------------------------------------------------


def test_selection():
    # One sigma: with a sigma each, a component of four rows is a spurious maximum at K = 3.
    spec = bmx.Mixture("y ~ x", D, k=2, dispersion="fixed")
    chosen = bmx.select(spec, k=[1, 3, 2], seed=1, starts=15)
    table = chosen.table
    assert table.k0.to_list() == table.k.to_list() == [1, 3, 2]
    assert {"k", "k0", "converged", "iterations", "loglik", "df", "aic", "bic", "icl"} <= set(table)
    assert table.df.to_list() == [3, 9, 6]
    np.testing.assert_allclose(table.bic, -2 * table.loglik + table.df * np.log(N))
    np.testing.assert_allclose(table.aic, -2 * table.loglik + 2 * table.df)
    loglik = table.set_index("k").loglik
    assert loglik[1] < loglik[2] <= loglik[3] + 1e-6
    assert chosen.best("bic").k == 2
    assert chosen.best("loglik").k == 3
    assert chosen[1].loglik == table.loglik[0]
    ols = sm.OLS(D.y, sm.add_constant(D[["x"]])).fit()
    assert chosen[1].loglik == pytest.approx(ols.llf, rel=1e-10)


def test_criteria_by_hand(fits):
    fit = fits("poisson")
    top = np.log(fit.membership().max(axis=1)).sum()
    assert fit.icl == pytest.approx(fit.bic - 2 * top)
    sizes = fit.sizes()
    assert sizes.prior.to_list() == pytest.approx(fit.membership().mean().to_list())
    assert sizes["size"].sum() == N
    assert sizes.post_positive.to_list() == (fit.membership() > 1e-4).sum().to_list()


@pytest.mark.parametrize("family", ["zero_inflated_poisson", "hurdle_poisson"])
def test_two_shares_of_zeros_are_named_wherever_a_start_ends(family):
    """Only pi_s (1 - psi_s) is known: the same fit at other points of the ridge."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.where(rng.random(200) < 0.5, 2.0, 9.0))
    data = pd.DataFrame({"y": np.where(rng.random(200) < 0.3, 0, counts)})
    fit = quietly(bmx.Mixture("y ~ 1", data, family, k=2), starts=3, seed=1)
    theta, pi = fit._fitted.theta, fit.mixing.to_numpy()
    counted = pi * special.expit(-theta[2:4])
    names = "psi (dispersion, component 1), psi (dispersion, component 2), weight (component 2)"
    for first in (1e-12, 0.1, 0.2):
        one = counted[0] / (1 - first)
        second = 1 - counted[1] / (1 - one)
        moved = np.array([*theta[:2], *special.logit([first, second]), special.logit(1 - one)])
        there = replace(fit._fitted, theta=moved, status="converged")
        assert log_likelihood(there.problem, moved[None])[0] == pytest.approx(fit.loglik, abs=1e-8)
        status, ((kind, words),) = diagnose(there)
        assert (status, kind) == ("boundary", "unidentified")
        assert f"flat in {names}" in words
        assert np.isinf(np.diag(covariance(there).matrix)[2:]).all()


def test_a_limit_is_named_on_the_natural_scale():
    """Counts without a zero: the fit is Poisson's, and psi is zero."""
    y = 1 + np.random.default_rng(1).poisson(4, 100)
    model = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), "zero_inflated_poisson", k=1)
    with pytest.warns(bmx.DegenerateWarning, match=r"towards psi \(dispersion, .*\) = 0 \("):
        fit = model.fit("em")
    assert fit.coefficients().iloc[0, 0] == pytest.approx(np.log(y.mean()), abs=1e-6)
