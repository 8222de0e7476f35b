"""Responses that are factors: categorical and ordinal families, latent classes."""

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import special, stats
from statsmodels.miscmodels.ordinal_model import OrderedModel

import bayesmix as bmx
from bayesmix.families import remade, shipped
from bayesmix.families.base import Observed

F = {
    "logit": special.expit,
    "probit": special.ndtr,
    "cloglog": lambda x: -np.expm1(-np.exp(x)),
}
# Agresti (2002), table 13.1: diagnoses of carcinoma by seven pathologists, and numbers of slides.
CARCINOMA = {
    "0000000": 34, "0000100": 2, "0100000": 6, "0100001": 1, "0100100": 4, "0100101": 5,
    "1000000": 2, "1010101": 1, "1100000": 2, "1100001": 1, "1100100": 2, "1100101": 7,
    "1100111": 1, "1101001": 1, "1101101": 2, "1101111": 3, "1110101": 13, "1110111": 5,
    "1111101": 10, "1111111": 16,
}  # fmt: skip


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    n = 240
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(3000, 1, n)})
    frame["g"] = np.repeat(np.arange(n // 3), 3)
    frame["w"] = rng.normal(size=n // 3)[frame["g"]]
    one = (frame["g"] % 3 == 0).to_numpy()
    x = frame["x"].to_numpy()
    eta = np.column_stack([0 * x, np.where(one, 2, -1) + x, np.where(one, -1, 1) - x / 2])
    odds = np.exp(eta)
    total = odds.cumsum(1) / odds.sum(1, keepdims=True)
    frame["c"] = np.array(["a", "b", "c"])[(total < rng.random((n, 1))).sum(1)]
    grade = np.digitize(rng.logistic(size=n) + np.where(one, 2, -1) * x, [-1, 0.5, 2])
    frame["o"] = pd.Categorical.from_codes(grade, list("pqrs"), ordered=True)
    return frame


@pytest.fixture(scope="module")
def slides():
    rows = [list(map(int, pattern)) for pattern in CARCINOMA]
    return pd.DataFrame(rows, columns=list("ABCDEFG")).assign(n=list(CARCINOMA.values()))


def fitted(formula, data, family, k=2, **options):
    return bmx.Mixture(formula, data, family=family, k=k, **options).fit("em", seed=1, starts=3)


# --- densities -----------------------------------------------------------------------------


@pytest.mark.parametrize("link", F)
@pytest.mark.parametrize("levels", [2, 3, 5])
def test_ordinal_probabilities_and_derivatives(link, levels):
    family = bmx.family("ordinal", levels=list(range(levels)), link=link)
    rng = np.random.default_rng(levels)
    y = rng.integers(0, levels, 60).astype(float)
    etas = (rng.normal(size=60), *rng.normal(0, 0.3, (levels - 2, 60)))
    cuts = -etas[0] + np.vstack([np.zeros(60), *np.exp(etas[1:])]).cumsum(0)
    ends = np.vstack([np.zeros(60), F[link](cuts), np.ones(60)])
    between = np.diff(ends, axis=0)[y.astype(int), np.arange(60)]
    expected = np.log(np.maximum(between, 1e-300))
    obs = Observed(y, None, 0.0)
    # The reference loses its digits in the tails.
    near = expected > -15
    np.testing.assert_allclose(family.log_density(obs, etas)[near], expected[near], rtol=1e-7)
    closed, automatic = family.derivatives(obs, etas), family.automatic(obs, etas)
    assert_tree_close(closed[:3], automatic[:3])


def test_categorical_probabilities_and_derivatives():
    family = bmx.family("categorical", levels=["a", "b", "c"])
    rng = np.random.default_rng(2)
    y, etas = rng.integers(0, 3, 60).astype(float), tuple(rng.normal(0, 2, (2, 60)))
    log_odds = np.vstack([np.zeros(60), *etas])
    expected = special.log_softmax(log_odds, axis=0)[y.astype(int), np.arange(60)]
    obs = Observed(y, None, 0.0)
    np.testing.assert_allclose(family.log_density(obs, etas), expected, rtol=1e-12)
    assert_tree_close(family.derivatives(obs, etas)[:3], family.automatic(obs, etas)[:3])


def assert_tree_close(mine, theirs):
    if isinstance(mine, tuple):
        for a, b in zip(mine, theirs, strict=True):
            assert_tree_close(a, b)
    else:
        np.testing.assert_allclose(np.broadcast_to(mine, np.shape(theirs)), theirs, 1e-7, 1e-9)


@pytest.mark.parametrize("link", F)
def test_ordinal_tails_and_narrow_steps(link):
    family = bmx.family("ordinal", levels=[0, 1, 2], link=link)
    obs = Observed(np.array([0.0, 1.0, 2.0]), None, 0.0)
    for eta, step in ((-30.0, 0.0), (3.0, -25.0), (30.0, 2.0), (-4.0, -40.0)):
        if link == "cloglog" and eta < -6:
            continue
        d = family.derivatives(obs, (np.full(3, eta), np.full(3, step)))
        assert np.isfinite(d.logf).all()
        assert all(np.isfinite(x).all() for x in d.first)
    narrow = family.log_density(obs, (np.full(3, 0.3), np.full(3, np.log(1e-9))))[1]
    slope = np.log((F[link](-0.3 + 1e-5) - F[link](-0.3 - 1e-5)) / 2e-5)
    assert narrow == pytest.approx(slope + np.log(1e-9), abs=1e-7)
    wide = family.log_density(obs, (np.full(3, 795.0), np.full(3, np.log(800.0))))[1]
    assert wide == pytest.approx(np.log(F[link](5.0)), abs=1e-9)
    # The slope of a step's share tends to that of the density, and that of a log step to one.
    tiny = family.derivatives(obs, (np.full(3, 0.3), np.full(3, -40.0)))
    cut, h = -0.3, 1e-3
    log_f = np.log(np.diff(F[link](cut + h * np.array([-3, -1, 1, 3]))))
    assert tiny.first[0][1] == pytest.approx((log_f[0] - log_f[2]) / (4 * h), abs=1e-5)
    assert tiny.first[1][1] == pytest.approx(1, abs=1e-12)
    assert tiny.second[0][0][1] == pytest.approx(np.diff(log_f, 2)[0] / (4 * h * h), abs=1e-5)
    # Thresholds beyond a level's own, wherever they are, change nothing.
    four = bmx.family("ordinal", levels=[0, 1, 2, 3], link=link)
    etas = np.array([0.3, 0.2])
    near, far = (four.log_density(obs, (*etas, np.full(3, last))) for last in (1.0, 80.0))
    np.testing.assert_array_equal(near[:2], far[:2])


def test_probabilities_of_levels_beyond_the_digits_of_a_mean():
    """Where the location is 1 to all digits, its linear predictor still says what it is."""
    y = pd.Categorical(["a", "b", "c", "d"] * 50, ordered=True)
    spec = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), family="ordinal", k=1)
    cuts = np.array([-700.0, -0.85, 1.39])
    params = spec.fit(seed=1).params
    params["threshold"][:] = cuts
    fit = spec.fit("em", init=params, max_iter=0)
    expected = np.diff(special.expit(cuts), prepend=0.0, append=1.0)
    np.testing.assert_allclose(fit.predict().iloc[0], expected, rtol=1e-9, atol=0)
    share = fit.simulate(seed=1)["y"].value_counts(normalize=True, sort=False)
    np.testing.assert_allclose(share, expected, atol=0.12)
    score = fit.residuals(kind="quantile", seed=1)
    level = np.minimum(np.searchsorted(np.cumsum(expected), special.ndtr(score)), 3)
    np.testing.assert_array_equal(level[y != "a"], y.codes[y != "a"])
    two = bmx.family("categorical", levels=["a", "b"])
    far = two.natural(two.linked((np.array([40.0]),)))
    np.testing.assert_allclose(far["probability"], [[np.exp(-40.0), 1.0]], rtol=1e-12)


@pytest.mark.parametrize("link", F)
def test_files_and_pickles_make_ordinal_families_of_any_link_again(link):
    family = bmx.family("ordinal", link=link)
    description = shipped(family)
    assert description is not None
    assert remade(description) is family is pickle.loads(pickle.dumps(family))


# --- one component, against statsmodels ----------------------------------------------------


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_one_component_is_statsmodels_ordered_model(data, link):
    centred = data.assign(z=data["z"] - 3000)
    model = OrderedModel(data["o"], centred[["x", "z"]], distr=link)
    peer = model.fit(method="bfgs", disp=0, gtol=1e-8)
    fit = fitted("o ~ x + z", centred, bmx.family("ordinal", link=link), k=1)
    assert fit.status == "converged"
    assert fit.loglik == pytest.approx(peer.llf, abs=1e-6)
    np.testing.assert_allclose(fit.params["coef"][0], peer.params[["x", "z"]], atol=1e-4)
    cuts = model.transform_threshold_params(peer.params)[1:-1]
    np.testing.assert_allclose(fit.params["threshold"][0], cuts, atol=1e-4)
    assert fit.params["threshold_between"].values.tolist() == ["p|q", "q|r", "r|s"]
    table = fit.summary().set_index("term")
    np.testing.assert_allclose(table["se"][["x", "z"]], peer.bse[["x", "z"]], rtol=1e-3)
    # Standard errors of later thresholds are those of sums: by the delta method.
    slope = np.zeros((3, 5))
    slope[:, 2] = 1
    steps = np.exp(peer.params.to_numpy()[3:])
    slope[1:, 3], slope[2, 4] = steps[0], steps[1]
    se = np.sqrt(np.diag(slope @ peer.cov_params().to_numpy() @ slope.T))
    names = [f"threshold[{name}]" for name in ("p|q", "q|r", "r|s")]
    np.testing.assert_allclose(table["se"][names].astype(float), se, rtol=1e-3)


def test_a_covariate_far_from_zero_costs_nothing(data):
    near = fitted("o ~ z", data.assign(z=data["z"] - 3000), "ordinal", k=1)
    far = fitted("o ~ z", data, "ordinal", k=1)
    assert far.loglik == pytest.approx(near.loglik, abs=1e-9)
    np.testing.assert_allclose(far.summary()["se"][:1], near.summary()["se"][:1], rtol=1e-6)


def test_one_component_is_statsmodels_multinomial_logit(data):
    codes = pd.Categorical(data["c"]).codes
    peer = sm.MNLogit(codes, sm.add_constant(data[["x"]])).fit(disp=0)
    fit = fitted("c ~ x", data, "categorical", k=1)
    assert fit.loglik == pytest.approx(peer.llf, abs=1e-8)
    for number, level in enumerate("bc"):
        np.testing.assert_allclose(fit.params[f"coef_{level}"][0], peer.params[number], atol=1e-5)
    np.testing.assert_allclose(fit.summary()["se"], peer.bse.to_numpy().T.ravel(), rtol=1e-4)


# --- mixtures ------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::bayesmix.errors.DegenerateWarning")
@pytest.mark.parametrize(
    ("family", "k", "loglik"),
    [
        ("categorical", 2, -317.2568),
        ("categorical", 3, -293.7050),
        ("ordinal", 4, -289.2858),
        ("binomial", 4, -289.2858),
    ],
)
def test_carcinoma(slides, family, k, loglik):
    spec = bmx.Mixture(bmx.items(list("ABCDEFG"), family), slides, k=k, weights="n")
    fit = spec.fit("em", seed=1, starts=15)
    assert fit.loglik == pytest.approx(loglik, abs=6e-5)
    assert fit.df == 8 * k - 1


def by_hand(fit, data, items):
    """The log-likelihood of latent classes from probabilities, missing items left out."""
    probability = fit.predict(data.iloc[:1])
    total = np.log(fit.mixing.to_numpy()) + np.zeros((len(data), fit.k))
    for item in items:
        table = probability[item].iloc[0].unstack("component").to_numpy()
        there = data[item].notna().to_numpy()
        total[there] += np.log(table[data[item][there].astype(int)])
    return special.logsumexp(total, axis=1).sum()


@pytest.mark.parametrize("family", ["categorical", "ordinal"])
def test_missing_items_count_for_nothing(family):
    rng = np.random.default_rng(3)
    one = rng.random(300) < 0.4
    data = pd.DataFrame(
        {
            item: np.where(one, *(rng.choice(3, 300, p=rng.dirichlet([2, 2, 2])) for _ in "ab"))
            for item in "ABCD"
        }
    ).astype(float)
    data = data.mask(rng.random(data.shape) < 0.2)
    data = data[data.notna().any(axis=1)]
    spec = bmx.Mixture(bmx.items(list("ABCD"), family), data, k=2, na_action="fiml")
    fit = spec.fit("em", seed=1, starts=3)
    assert fit.loglik == pytest.approx(by_hand(fit, data, "ABCD"), abs=1e-8)
    assert fit.membership().shape == (len(data), 2)


def test_categorical_and_ordinal_of_one_item_are_the_same_saturated_model(slides):
    both = [
        fitted(bmx.items(list("ABCDEFG"), f), slides, "gaussian", weights="n")
        for f in ("ordinal", "categorical")
    ]
    tables = [fit.predict(slides.iloc[:1]).to_numpy() for fit in both]
    np.testing.assert_allclose(*tables, atol=1e-4)


@pytest.mark.parametrize("family", ["categorical", "ordinal"])
def test_everything_around_a_fit(data, family, tmp_path):
    name = family[0]
    spec = bmx.Mixture(f"{name} ~ x | g", data, family=family, k=2, concomitant="~ w")
    fit = spec.fit("em", seed=1, starts=3)
    assert fit.status == "converged"
    assert spec.log_likelihood(fit.params) == pytest.approx(fit.loglik, abs=1e-9)
    probability = fit.predict(data.head(4))
    levels = list("abc" if family == "categorical" else "pqrs")
    assert probability.columns.get_level_values("output").unique().to_list() == levels
    np.testing.assert_allclose(probability.T.groupby("component").sum(), 1.0)
    tidy = fit.predict(data.head(2), ci=0.9)
    assert tidy.columns.to_list() == ["output", "row", "component", "estimate", "lower", "upper"]
    np.testing.assert_allclose(tidy["estimate"][:4], probability.iloc[:2, :2].to_numpy().ravel())
    assert ((tidy["lower"] < tidy["estimate"]) & (tidy["estimate"] < tidy["upper"])).all()
    drawn = fit.simulate(seed=1)[name]
    assert list(drawn.cat.categories) == levels
    assert drawn.cat.ordered == (family == "ordinal")
    again = spec.fit("em", init=fit.params, max_iter=0)
    assert again.loglik == pytest.approx(fit.loglik, abs=1e-9)
    fit.save(tmp_path / "fit.nc")
    stored = bmx.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(stored.summary(), fit.summary())
    pd.testing.assert_frame_equal(stored.predict(data.head(2)), fit.predict(data.head(2)))
    pd.testing.assert_frame_equal(
        fit.membership(data.iloc[:6]), fit.membership().iloc[:2], check_names=False
    )
    table = bmx.predictions(fit, by=True)
    np.testing.assert_allclose(table[table["component"].isna()]["estimate"].sum(), 1.0)


@pytest.mark.parametrize("family", ["categorical", "ordinal"])
def test_posteriors_and_the_pymc_model(data, family):
    name = family[0]
    spec = bmx.Mixture(f"{name} ~ x | g", data, family=family, k=2)
    fit, laplace = spec.fit("em", seed=1, starts=3), spec.fit("laplace", draws=300, seed=1)
    ours, theirs = fit.summary(), laplace.summary()
    assert theirs["term"].to_list() == ours["term"].to_list()
    assert (np.abs(theirs["mean"] - ours["estimate"]) < 3 * ours["se"]).all()
    model = spec.to_pymc()
    point = spec.initial_point(seed=1)
    values = {v.name: v for v in model.value_vars}
    with model:
        start = model.initial_point()
    for free in model.free_RVs:
        transform = model.rvs_to_transforms[free]
        value = point[free.name]
        if transform is not None:
            value = transform.forward(value, *free.owner.inputs).eval(mode="FAST_COMPILE")
        start[model.rvs_to_values[free].name] = value
    assert set(start) == set(values)
    got = float(model.compile_logp(vars=model.observed_RVs, mode="FAST_COMPILE")(start))
    theta = spec.fit("map", seed=1, starts=3)
    assert got == pytest.approx(spec.log_likelihood(theta.params), abs=1e-3)
    if family == "ordinal":
        assert model["threshold"].eval(mode="FAST_COMPILE").shape == (2, 3)
        cuts = laplace.data["posterior"]["threshold"]
        assert cuts.dims == ("chain", "draw", "component", "threshold_between")
        assert (np.diff(cuts, axis=-1) > 0).all()


def test_shared_thresholds(data):
    fit = fitted("o ~ x", data, "ordinal", dispersion="fixed")
    assert fit.df == 6
    cuts = fit.params["threshold"].to_numpy()
    np.testing.assert_array_equal(cuts[0], cuts[1])
    both = fitted("o ~ 1", data, "ordinal", fixed="~ x")
    assert both.df == 8
    held = bmx.Mixture("o ~ x", data, family="ordinal", k=2).fit(
        "em", seed=1, starts=2, fixed_params={(1, "threshold[p|q]"): -1.0}
    )
    assert held.params["threshold"][0, 0] == -1.0
    with pytest.raises(bmx.SpecError, match="only the first can be held"):
        held.spec.fit("em", fixed_params={(1, "threshold[q|r]"): -1.0})


def test_quantile_residuals_of_grades_are_normal(data):
    fit = fitted("o ~ x | g", data, "ordinal")
    scores = fit.residuals("quantile", seed=1)
    assert stats.kstest(scores, "norm").pvalue > 0.01
    with pytest.raises(bmx.FitError, match="one for each of"):
        fit.residuals("pearson")


def test_settled_families_are_pickled(data):
    family = bmx.Mixture("o ~ x", data, family="ordinal", k=2).spec.layout.blocks[0].families[0]
    again = pickle.loads(pickle.dumps(family))
    assert again.levels == ("p", "q", "r", "s")
    assert again.params == family.params


# --- which levels there are ----------------------------------------------------------------


def levels_of(values, family):
    frame = pd.DataFrame({"y": values, "x": 0.0})
    layout = bmx.Mixture("y ~ 1", frame, family=family, k=1).spec.layout
    return layout.blocks[0].families[0].levels


def test_the_order_of_levels():
    assert levels_of(["b", "a", "c"] * 3, "categorical") == ("a", "b", "c")
    assert levels_of(pd.Categorical(["b", "a"] * 3, categories=["b", "a"]), "categorical") == (
        "b",
        "a",
    )
    assert levels_of([3, 1, 7] * 3, "ordinal") == (1, 3, 7)
    assert levels_of([3.0, 1.0] * 3, "categorical") == (1, 3)
    assert levels_of([True, False] * 3, "ordinal") == (False, True)
    assert levels_of(["no", "yes"] * 3, "ordinal") == ("no", "yes")
    given = bmx.family("ordinal", levels=["low", "mid", "high"])
    assert levels_of(["mid", "low", "high"] * 3, given) == ("low", "mid", "high")


@pytest.mark.parametrize(
    ("values", "family", "message"),
    [
        (["b", "a", "c"] * 3, "ordinal", "have no order"),
        (pd.Categorical(["b", "a", "c"] * 3), "ordinal", "have no order"),
        (pd.Categorical(["a", "b"] * 3, categories=list("abc")), "categorical", r"no row has"),
        (["a"] * 6, "categorical", "only the level 'a'"),
        ([1] * 6, "ordinal", "only the level 1"),
        ([0.5, 1.0, 2.0], "ordinal", "is read as levels, but has 0.5"),
        (list(range(80)), "ordinal", "more than the 60"),
        (["a", 1, 2], "categorical", "values of the type int, str"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "categorical", "of the type Timestamp"),
        ([1, 2, 1], bmx.family("ordinal", levels=[1, 3]), "has the level 2"),
    ],
)
def test_columns_that_are_no_levels(values, family, message):
    with pytest.raises(bmx.DataError, match=message):
        levels_of(values, family)


def test_wrong_calls(data):
    with pytest.raises(bmx.SpecError, match="at least two different levels"):
        bmx.family("ordinal", levels=["a", "a"])
    with pytest.raises(bmx.SpecError, match="does not suit"):
        bmx.family("ordinal", link="log")
    with pytest.raises(bmx.SpecError, match="more than once"):
        bmx.items(["A", "A"])
    with pytest.raises(bmx.DataError, match="has the level 'zz'"):
        fitted("c ~ x", data, "categorical").membership(data.assign(c="zz"))
    missing = data.assign(c=None)
    with pytest.raises(bmx.BayesmixError):
        bmx.Mixture("c ~ x", missing, family="categorical", k=2, na_action="fiml")


@pytest.mark.parametrize("counts", [(0, 30, 50, 20), (0, 80, 0, 20)])
def test_a_component_that_never_has_the_lowest_level_is_at_a_limit(counts):
    """Its first threshold is at minus infinity; the others are logits of shares."""
    levels, n = ["a", "b", "c", "d"], 100
    y = levels * (n // 4) + list(np.repeat(levels, counts))
    data = pd.DataFrame({"y": pd.Categorical(y, levels, ordered=True)})
    data["known"] = np.repeat(["p", "q"], n)
    with pytest.warns(bmx.DegenerateWarning, match=r"threshold\[a\|b\]"):
        fit = bmx.Mixture("y ~ 1", data, family="ordinal", k=2, labels="known").fit(seed=1)
    assert fit.status == "boundary"
    table = fit.summary().query("component == 'q'").set_index("term")
    assert np.isinf(table.se["threshold[a|b]"])
    shares = np.cumsum(counts)[1:3] / n
    for term, share in zip(("threshold[b|c]", "threshold[c|d]"), shares, strict=True):
        assert table.estimate[term] == pytest.approx(np.log(share / (1 - share)), rel=1e-6)
        assert table.se[term] == pytest.approx(1 / np.sqrt(n * share * (1 - share)), rel=1e-4)
    means = fit.predict(data[:1], ci=0.9).query("component == 'q'").set_index("output")
    assert means.upper["a"] == 1
    reach = 1.644854 / np.sqrt(n * 0.2 * 0.8)
    assert special.logit(means.upper["d"]) == pytest.approx(np.log(0.25) + reach, rel=1e-3)


@pytest.mark.filterwarnings("ignore::bayesmix.errors.DegenerateWarning")
@pytest.mark.parametrize("compiled", ["0", "1"])
def test_thresholds_that_no_unit_informs_are_at_a_limit_from_any_start(monkeypatch, compiled):
    """A component with two of four levels is a binary logit: the limit has six parameters."""
    monkeypatch.setenv("BAYESMIX_COMPILE", compiled)
    rng = np.random.default_rng(5)
    x, few = rng.normal(size=400), rng.random(400) < 0.5
    latent = rng.logistic(size=400) + np.where(few, 2 * x, 0.3 - 2 * x)
    cuts = np.where(few[:, None], [0, np.inf, np.inf], [-1, 0, 1])
    y = (latent[:, None] > cuts).sum(1)
    data = pd.DataFrame({"x": x, "y": pd.Categorical(y, ordered=True)})
    spec = bmx.Mixture("y ~ x", data, family="ordinal", k=2)
    fits = [spec.fit("em", seed=seed, starts=1) for seed in range(3)]
    coef, threshold = (fits[0].params[name].to_numpy() for name in ("coef", "threshold"))
    full, two = np.argsort(threshold[:, 1])
    ends = special.expit(threshold[full][:, None] - coef[full, 0] * x)
    shares = np.diff(np.vstack([0 * x, ends, 0 * x + 1]), axis=0)[y, np.arange(400)]
    first = special.expit(threshold[two, 0] - coef[two, 0] * x)
    binary = np.select([y == 0, y == 1], [first, 1 - first], 0.0)
    weight = fits[0].params["weight"].to_numpy()
    limit = np.log(weight[full] * shares + weight[two] * binary).sum()
    for fit in fits:
        assert fit.status == "boundary"
        assert "rising towards infinite" in fit.reasons[0]
        assert fit.iterations < 150
        assert fit.loglik == pytest.approx(limit, abs=1e-6)
