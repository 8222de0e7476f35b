"""Point masses beside densities and beside counts."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import bayesmix as bmx
from bayesmix.families import REGRESSIONS

RNG = np.random.default_rng(11)
N = 240
ZERO = RNG.random(N) < 0.3
AMOUNT = np.where(ZERO, 0.0, RNG.gamma(3.0, 1.2, N))
NOISE = RNG.normal(size=80) / 5
DATA = pd.DataFrame({"y": AMOUNT, "x": RNG.normal(size=N)})


def fit(data, family, k=2, formula="y ~ 1", **more):
    return bmx.Mixture(formula, data, family=family, k=k, **more).fit("em", seed=1)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("order", [0, 1])
def test_a_value_at_the_atom_belongs_to_the_atom_alone(unit, order):
    families = ["zero", "student_t"] if order == 0 else ["student_t", "zero"]
    found = fit(DATA.assign(y=AMOUNT * unit), families)
    rest = fit(pd.DataFrame({"y": AMOUNT[~ZERO] * unit}), "student_t", k=1)
    share = ZERO.mean()
    right = rest.loglik + N * (share * np.log(share) + (1 - share) * np.log1p(-share))
    assert found.status == "converged"
    assert found.loglik == pytest.approx(right, rel=1e-9)
    np.testing.assert_array_equal(found.membership().iloc[:, order], ZERO.astype(float))


def test_atoms_at_both_ends_of_a_user_s_density():
    """Zero-one-inflated beta, its log-likelihood by SciPy."""
    rng = np.random.default_rng(2)
    kind = rng.choice(3, 300, p=[0.2, 0.5, 0.3])
    y = np.select([kind == 0, kind == 1], [0.0, rng.beta(2, 3, 300)], 1.0)
    beta = bmx.Family(
        "my_beta",
        params={"a": "log", "b": "log"},
        location="a",
        logpdf=lambda y, a, b: (a - 1) * np.log(y) + (b - 1) * np.log1p(-y) - special.betaln(a, b),
        mean=lambda a, b: a / (a + b),
        valid=lambda y: (y > 0) & (y < 1),
        support="shares between 0 and 1",
    )
    found = fit(pd.DataFrame({"y": y}), ["zero", bmx.family("point", at=1), beta], k=3)
    counts = np.array([(y == 0).sum(), (y == 1).sum(), ((y > 0) & (y < 1)).sum()])
    inside = y[(y > 0) & (y < 1)]
    a, b, _, _ = stats.beta.fit(inside, floc=0, fscale=1)
    right = stats.beta.logpdf(inside, a, b).sum() + counts @ np.log(counts / 300)
    np.testing.assert_allclose(found.mixing, counts / 300, atol=1e-8)
    assert found.loglik == pytest.approx(right, abs=1e-5)
    assert found.predict().iloc[0, :2].tolist() == [0.0, 1.0]


def test_two_point_masses_and_two_regressions():
    y = np.concatenate(
        [np.zeros(40), np.full(30, 5.0), DATA.x[:80] + 20 + NOISE, 2 - DATA.x[80:160] + NOISE]
    )
    data = pd.DataFrame({"y": y, "x": np.concatenate([DATA.x[:70], DATA.x[:160]])})
    families = ["gaussian", bmx.family("point", at=5), "gaussian", "zero"]
    found = fit(data, families, k=4, formula="y ~ x", dispersion="fixed")
    assert found.mixing[2] == pytest.approx(30 / 230, abs=1e-9)
    assert found.mixing[4] == pytest.approx(40 / 230, abs=1e-9)
    assert found.spec._spec.layout.symmetric == ((0, 2), (1,), (3,))


def test_beside_counts_the_atom_adds():
    """Zero-inflated Poisson: the log-likelihood by hand."""
    y = np.where(ZERO, 0, RNG.poisson(2.0, N)).astype(float)
    found = fit(DATA.assign(y=y), [bmx.family("point", at=0), "poisson"])
    share, mean = found.mixing.iloc[0], np.exp(found.coefficients().iloc[0, -1])
    by_hand = np.log(share * (y == 0) + (1 - share) * stats.poisson.pmf(y, mean)).sum()
    assert found.loglik == pytest.approx(by_hand, abs=1e-8)
    assert 0 < found.membership()[1][y == 0].min() < 1


def test_new_rows_and_draws_follow_the_same_rule():
    found = fit(DATA, ["zero", "gamma"], formula="y ~ x")
    new = pd.DataFrame({"y": [0.0, 2.0], "x": [1.0, 1.0]})
    np.testing.assert_array_equal(found.membership(new), [[1, 0], [0, 1]])
    # Draws do not know which values were at the atom.
    drawn = np.column_stack([found.simulate(seed=s)["y"] for s in range(40)])
    assert (drawn == 0).mean() == pytest.approx(ZERO.mean(), abs=0.03)
    assert abs((drawn[ZERO] == 0).mean() - (drawn[~ZERO] == 0).mean()) < 0.05
    assert found.bootstrap(n=4, seed=1).summary().notna().any().any()


@pytest.mark.parametrize("families", [["zero", "gamma"], [bmx.family("point", at=1), "beta"]])
def test_new_rows_may_all_be_at_the_atom(families):
    at = families[0].atom if families[1] == "beta" else 0.0
    y = np.where(ZERO, at, AMOUNT / (1 + AMOUNT))
    found = fit(DATA.assign(y=y), families, formula="y ~ x")
    new = pd.DataFrame({"y": [at, at], "x": [1.0, 2.0]})
    np.testing.assert_array_equal(found.membership(new), [[1, 0], [1, 0]])
    assert found.predict(new, by="membership").tolist() == [at, at]


def test_a_rounded_value_is_at_the_atom():
    amount = np.where(ZERO, 0.1 + 0.2, AMOUNT + 1)  # 0.30000000000000004
    found = fit(DATA.assign(y=amount), [bmx.family("point", at=0.3), "gamma"])
    np.testing.assert_array_equal(found.membership().iloc[:, 0], ZERO.astype(float))


def test_groups_of_rows_at_the_atom_and_several_responses():
    data = DATA.assign(g=np.repeat(np.arange(N // 2), 2))
    pure = data.groupby("g").y.transform(lambda v: (v == 0).all() | (v > 0).all())
    found = fit(data[pure], ["zero", "gamma"], group="g")
    zero = data[pure].groupby("g", sort=False).y.max() == 0
    np.testing.assert_array_equal(found.membership().iloc[:, 0], zero.astype(float))
    with pytest.raises(bmx.DataError, match=r"g = \d.*point mass and off it"):
        fit(data, ["zero", "gamma"], group="g")
    both = bmx.Mixture(
        [bmx.Regression("y ~ 1", family=["zero", "gamma"]), bmx.Regression("x ~ 1")], DATA, k=2
    ).fit("em", seed=1)
    np.testing.assert_array_equal(both.membership().iloc[:, 0], ZERO.astype(float))


def test_labels_that_the_values_contradict():
    data = DATA.assign(known=np.where(np.arange(N) == np.flatnonzero(~ZERO)[0], "none", None))
    with pytest.raises(bmx.DataError, match="label"):
        fit(data, ["zero", "gamma"], labels="known")


def test_a_posterior_with_an_atom():
    spec = bmx.Mixture("y ~ 1", DATA, family=["zero", "gamma"], k=2)
    posterior = spec.fit("laplace", seed=1, draws=500)
    share = posterior.summary().query("effect == 'weight' and component == 1")["mean"].iloc[0]
    assert share == pytest.approx((ZERO.sum() + 1) / (N + 2), abs=0.01)
    np.testing.assert_allclose(posterior.membership().iloc[:, 0], ZERO.astype(float))


@pytest.mark.parametrize(
    ("families", "word"),
    [
        (["poisson", "gaussian"], "cannot be compared"),
        (["zero", "poisson", "gamma"], "cannot be compared"),
        (["binomial", "gaussian"], "cannot be compared"),
    ],
)
def test_probabilities_beside_densities_are_refused(families, word):
    data = pd.DataFrame({"y": [0.0, 1, 1, 0, 1, 0, 1, 1]})
    with pytest.raises(bmx.SpecError, match=word):
        bmx.Mixture("y ~ 1", data, family=families, k=len(families))


def test_whether_a_user_s_family_gives_probabilities():
    def own(**more):
        return bmx.Family(
            "own",
            params={"mu": "log"},
            location="mu",
            logpdf=lambda y, mu: y * np.log(mu) - mu - special.gammaln(y + 1),
            **more,
        )

    y = np.where(ZERO, 0, RNG.poisson(3.0, N)).astype(float)
    data = DATA.assign(y=y)
    right = fit(data, ["zero", "poisson"]).loglik
    whole = own(valid=lambda y: (y >= 0) & (y == np.floor(y)))
    assert fit(data, ["zero", whole]).loglik == pytest.approx(right, abs=1e-6)
    assert fit(data, ["zero", own(discrete=True)]).loglik == pytest.approx(right, abs=1e-6)
    assert fit(data, ["zero", own()]).loglik == pytest.approx(right, abs=1e-6)
    # A density, though all values are whole numbers.
    waiting = bmx.Family(
        "waiting", params={"mu": "log"}, location="mu", logpdf=lambda y, mu: -y / mu - np.log(mu)
    )
    found = fit(data, ["zero", waiting])
    assert found.mixing.iloc[0] == pytest.approx((y == 0).mean(), abs=1e-6)


@pytest.mark.parametrize("at", [np.nan, np.inf, "1", True, [1.0]])
def test_a_point_mass_is_at_one_finite_number(at):
    with pytest.raises(bmx.SpecError, match="one finite number"):
        bmx.family("point", at=at)


def test_only_values_at_the_atom():
    with pytest.raises(bmx.DataError, match="point mass"):
        fit(pd.DataFrame({"y": np.zeros(9)}), ["zero", "gaussian"])


@pytest.mark.parametrize("family", ["gamma", "lognormal", "weibull", "inverse_gaussian"])
def test_default_priors_of_amounts_do_not_read_the_zeros(family):
    beside = bmx.Mixture("y ~ 1", DATA, family=["zero", family], k=2).priors()
    alone = bmx.Mixture("y ~ 1", DATA[~ZERO], family=family, k=1).priors()
    assert str(beside["prior"][1]) == str(alone["prior"][1])


@pytest.mark.slow
def test_in_pymc_a_density_does_not_read_values_at_the_atom():
    """There the gamma density has no logarithm, and its gradient would be no number."""
    import pymc as pm

    spec = bmx.Mixture("y ~ x", DATA, family=["zero", "gamma"], k=2)
    with spec.to_pymc() as model:
        values = model.initial_point()
        assert np.isfinite(model.compile_logp()(values))
        assert np.isfinite(model.compile_dlogp()(values)).all()
        drawn = pm.sample_posterior_predictive(
            spec.fit("laplace", seed=1, draws=100).data["posterior"],
            random_seed=1,
            progressbar=False,
        )
    replicates = drawn["posterior_predictive"]["y"].values
    assert (replicates == 0).mean() == pytest.approx(ZERO.mean(), abs=0.03)


def test_which_shipped_families_give_probabilities():
    """Those whose values are counts; hurdles of amounts have a density beside their zeros."""
    counts = {"poisson", "binomial", "negative_binomial", "zero", "point"}
    for name in REGRESSIONS:
        simple = name.removeprefix("zero_inflated_").removeprefix("hurdle_")
        assert bool(bmx.family(name).discrete) == (simple in counts), name
