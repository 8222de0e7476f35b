"""Pictures of posteriors: whether chains agree, and what they predict."""

import doctest
import sys
from dataclasses import replace
from importlib import import_module

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy import stats

import bayesmix as bmx
from bayesmix.plot import style
from bayesmix.plot.diagnostics import chain_looks
from bayesmix.plot.ternary import grouped


@pytest.fixture(autouse=True)
def no_screen():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def trial():
    data = bmx.load_data("betablocker")
    return bmx.Mixture(
        "p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=3, fixed="~ Treatment"
    )


@pytest.fixture(scope="module")
def laplace(trial):
    return trial.fit("laplace", seed=1)


def in_chains(posterior, change=lambda theta: theta):
    """Independent draws as if by four chains, with something done to them (4, draw, D)."""
    drawn = posterior._drawn
    theta = change(drawn.theta.reshape(4, -1, drawn.theta.shape[-1]).copy())
    chains = replace(
        drawn,
        method="nuts",
        theta=theta,
        raw=theta,
        log_density=drawn.log_density.reshape(4, -1),
        stats={},
        chain_mode=np.zeros(4, int),
        khat=np.nan,
    )
    return type(posterior)(chains, posterior._point)


@pytest.fixture(scope="module")
def chains(laplace):
    return in_chains(laplace)


# --- diagnostics ---------------------------------------------------------------------------


def test_diagnostics_draws_the_table_the_worst_first(chains):
    axes = bmx.plot.diagnostics(chains, worst=2)
    table = chains.diagnostics().table.drop_duplicates(["r_hat", "ess_bulk"])
    names = [t.get_text() for t in axes[0].get_yticklabels()]
    assert sorted(names) == sorted(
        r.term if r.effect == "fixed" else f"{r.term}, {r.component}" for r in table.itertuples()
    )
    r_hat = axes[0].lines[0].get_xdata()
    bulk, tail = (axes[1].lines[i].get_xdata() for i in (0, 1))
    wanted = {
        r.term if r.effect == "fixed" else f"{r.term}, {r.component}": r for r in table.itertuples()
    }
    for at, name in enumerate(names):
        row = wanted[name]
        assert (r_hat[at], bulk[at], tail[at]) == (row.r_hat, row.ess_bulk, row.ess_tail)
    far = np.maximum((r_hat - 1) / 0.01, 400 / np.minimum(bulk, tail))
    assert (np.diff(far) <= 0).all()
    assert [axes[0].lines[1].get_xdata()[0], axes[1].lines[2].get_xdata()[0]] == [1.01, 400]
    assert [ax.get_title(loc="left") for ax in axes[2::2]] == ["log density", *names[:2]]


def test_diagnostics_draws_traces_and_ranks(chains):
    axes = bmx.plot.diagnostics(chains, worst=1, figsize=(9, 6), title="four chains")
    whole = axes[0].figure.figure
    assert (tuple(whole.get_size_inches()), whole.get_suptitle()) == ((9, 6), "four chains")
    level = chains._drawn.log_density
    for chain, line in enumerate(axes[2].lines):
        np.testing.assert_array_equal(line.get_ydata(), level[chain])
        assert line.get_label() == f"chain {chain}"
    ranks = stats.rankdata(level).reshape(level.shape)
    for chain, stairs in enumerate(axes[3].patches):
        values, edges, _ = stairs.get_data()
        for count, low, high in zip(values, edges[:-1], edges[1:], strict=True):
            assert count == ((ranks[chain] > low) & (ranks[chain] <= high)).sum()
        assert values.sum() == level.shape[1]
    shades = {tuple(line.get_color()) for line in axes[2].lines}
    assert len(shades) == 4


def test_diagnostics_colours_chains_by_mode(laplace):
    found = replace(laplace.diagnostics(), modes=(0, 1, 0, -1))
    looks = chain_looks(found, 4)
    words = ["chain 0, mode 0", "chain 1, mode 1", "chain 2, mode 0", "chain 3, no mode"]
    assert [look["label"] for look in looks] == words
    for look, base in zip(looks, (style.colour(0), style.colour(1), None, "0.45"), strict=True):
        if base is not None:
            np.testing.assert_allclose(look["color"], to_rgb(base))
    # The second chain of a mode: the same hue, lighter, another line.
    assert (np.array(looks[2]["color"]) > np.array(looks[0]["color"])).all()
    assert looks[2]["linestyle"] != looks[0]["linestyle"]


def test_diagnostics_shows_a_lost_chain(laplace):
    def lost(theta):
        theta[3] = theta[3] + 3.0
        return theta

    axes = bmx.plot.diagnostics(in_chains(laplace, lost))
    line = axes[2].lines[3]
    assert line.get_label() == "chain 3, no mode"
    np.testing.assert_allclose(line.get_color(), to_rgb("0.45"))
    assert (axes[0].lines[0].get_xdata() > 1.01).all()


def test_diagnostics_of_one_chain_has_no_ranks(laplace):
    axes = bmx.plot.diagnostics(laplace, worst=1)
    assert [ax.get_xlabel() for ax in axes] == ["R-hat", "effective sample size", "draw", "draw"]
    assert f"Pareto k-hat {laplace.khat:.2f}" in axes[0].texts[0].get_text()
    # 4000 draws are shown evenly spaced.
    np.testing.assert_array_equal(axes[2].lines[0].get_ydata(), laplace._drawn.log_density[0, ::4])


def test_diagnostics_on_axes_of_ones_own(chains):
    given = Figure().subplots(2, 3)
    assert list(bmx.plot.diagnostics(chains, worst=1, ax=given)) == list(given.ravel())
    assert given.ravel()[3].get_legend() is not None
    with pytest.raises(bmx.FitError, match="an array of 8 matplotlib Axes"):
        bmx.plot.diagnostics(chains, worst=2, ax=given)


def test_diagnostics_refuses(trial, laplace):
    with pytest.raises(bmx.FitError, match="takes a Posterior"):
        bmx.plot.diagnostics(laplace.point())
    with pytest.raises(bmx.FitError, match="worst=-1: the number of parameters must be an integer"):
        bmx.plot.diagnostics(laplace, worst=-1)
    stacked = type(laplace)(replace(laplace._drawn, method="stacking"), laplace._point)
    with pytest.raises(bmx.FitError, match="stacked draws are not chains"):
        bmx.plot.diagnostics(stacked)


# --- predictive checks ---------------------------------------------------------------------


def band_of(ax):
    """x, lower, upper of the shaded band."""
    (band,) = [c for c in ax.collections if isinstance(c, PolyCollection)]
    x, y = band.get_paths()[0].vertices.T
    return np.array([(p, y[x == p].min(), y[x == p].max()) for p in np.unique(x)])


def test_rootogram_of_counts_has_the_binomial_band():
    """Rows with count j are binomial(n, P(Y = j)) where parameters are known."""
    data = pd.DataFrame({"y": np.random.default_rng(1).poisson(4, 300)})
    fit = bmx.Mixture("y ~ 1", data, family="poisson", k=1).fit("em", seed=1)
    ax = bmx.plot.posterior_predictive(fit, draws=2000, ci=0.8)
    counts = data["y"].value_counts()
    bars = {p.get_x() + p.get_width() / 2: p.get_height() ** 2 for p in ax.patches}
    for j, height in bars.items():
        assert height == pytest.approx(counts.get(j, 0))
    (points,) = ax.lines
    share = stats.poisson.pmf(points.get_xdata(), data["y"].mean())
    for q, drawn in (
        (0.5, points.get_ydata() ** 2),
        (0.1, np.array([s[0, 1] for s in ax.collections[0].get_segments()]) ** 2),
        (0.9, np.array([s[1, 1] for s in ax.collections[0].get_segments()]) ** 2),
    ):
        np.testing.assert_allclose(drawn, stats.binom.ppf(q, 300, share), atol=1.01)
    assert np.square(ax.get_yticks()) == pytest.approx(
        [float(t.get_text()) for t in ax.get_yticklabels()]
    )


def test_large_counts_are_taken_together():
    data = bmx.load_data("patent")
    fit = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3).fit("em", seed=1)
    ax = bmx.plot.posterior_predictive(fit, draws=50)
    assert "rows in 5 counts each" in ax.get_ylabel()
    low = np.array([p.get_x() + p.get_width() / 2 for p in ax.patches]) - 2.5
    found = [((data["Patents"] > a) & (data["Patents"] < a + 5)).sum() for a in low]
    np.testing.assert_allclose([p.get_height() ** 2 for p in ax.patches], found)


def test_distribution_of_normal_values_has_the_binomial_band():
    data = pd.DataFrame({"y": np.random.default_rng(1).normal(3, 2, 200)})
    fit = bmx.Mixture("y ~ 1", data, k=1).fit("em", seed=1)
    ax = bmx.plot.posterior_predictive(fit, kind="ecdf", draws=1500, ci=0.9)
    x, lower, upper = band_of(ax).T
    share = stats.norm.cdf(x, data["y"].mean(), data["y"].std(ddof=0))
    np.testing.assert_allclose(lower, stats.binom.ppf(0.05, 200, share) / 200, atol=0.011)
    np.testing.assert_allclose(upper, stats.binom.ppf(0.95, 200, share) / 200, atol=0.011)
    steps = next(line for line in ax.lines if line.get_label() == "observed").get_xydata()
    for value, up_to in steps[1:-1]:
        assert up_to == pytest.approx((data["y"] <= value).mean())


def test_histogram_of_normal_values_integrates_to_one():
    data = pd.DataFrame({"y": np.random.default_rng(1).normal(3, 2, 200)})
    fit = bmx.Mixture("y ~ 1", data, k=1).fit("em", seed=1)
    ax = bmx.plot.posterior_predictive(fit, draws=1000)
    outline, band, middle = (p.get_data() for p in ax.patches)
    width = np.diff(outline.edges)
    counts = np.histogram(data["y"], outline.edges)[0]
    np.testing.assert_allclose(outline.values, counts / (200 * width))
    share = np.diff(stats.norm.cdf(outline.edges, data["y"].mean(), data["y"].std(ddof=0)))
    for q, values in ((0.025, band.baseline), (0.5, middle.values), (0.975, band.values)):
        wanted = stats.binom.ppf(q, 200, share)
        np.testing.assert_allclose(values * 200 * width, wanted, atol=1.01)


def test_survival_of_exponential_times():
    rng = np.random.default_rng(2)
    time, limit = rng.exponential(5, 300), rng.uniform(0, 20, 300)
    seen = time <= limit
    data = pd.DataFrame({"t": np.minimum(time, limit), "status": seen.astype(int)})
    fit = bmx.Mixture("surv(t, status) ~ 1", data, family="exponential", k=1).fit("em", seed=1)
    ax = bmx.plot.posterior_predictive(fit, draws=1000)
    rate = seen.sum() / data["t"].sum()
    x, lower, upper = band_of(ax).T
    share = np.exp(-rate * x)
    np.testing.assert_allclose(lower, stats.binom.ppf(0.025, 300, share) / 300, atol=0.012)
    np.testing.assert_allclose(upper, stats.binom.ppf(0.975, 300, share) / 300, atol=0.012)
    observed = next(ln for ln in ax.lines if ln.get_label().startswith("observed")).get_xydata()
    order = np.argsort(data["t"])
    at_risk = 300 - np.arange(300)
    wanted = np.cumprod(1 - seen[order] / at_risk)
    np.testing.assert_allclose(observed[1:, 1], wanted, atol=1e-12)
    assert ax.get_xlabel() == "t"


def test_survival_with_late_entries_and_cured():
    data = pd.DataFrame(
        {
            "entry": [0, 0, 1, 1, 2, 0, 0, 0.5],
            "t": [2, 3, 4, 2, 5, 1, 6, 3],
            "d": [1, 1, 1] + 5 * [0],
        }
    )
    spec = bmx.Mixture(
        "surv(entry, t, d, kind='counting') ~ 1", data, family=["exponential", "cured"], k=2
    )
    ax = bmx.plot.prior_predictive(spec, draws=20)
    x, lower, upper = band_of(ax).T
    assert (x[0], x[-1]) == (0, 6)
    assert ((lower >= 0) & (upper <= 1) & (lower <= upper)).all()
    assert lower[0] == upper[0] == 1


def test_prior_predictive_of_known_priors():
    """Coefficients so near zero that every count is Poisson with mean one."""
    data = pd.DataFrame({"y": np.random.default_rng(1).poisson(1, 200)})
    tight = {"coef": bmx.Prior("normal", mu=0, sigma=1e-6)}
    spec = bmx.Mixture("y ~ 1", data, family="poisson", k=1, priors=tight)
    ax = bmx.plot.prior_predictive(spec, draws=1500)
    (points,) = ax.lines
    share = stats.poisson.pmf(points.get_xdata(), 1.0)
    np.testing.assert_allclose(points.get_ydata() ** 2, stats.binom.ppf(0.5, 200, share), atol=1.01)
    wide = bmx.Mixture("y ~ 1", data, family="poisson", k=1)
    words = bmx.plot.prior_predictive(wide).get_title(loc="left")
    assert words.startswith("200 data sets drawn from the priors; ")
    last = ax.patches[-1].get_x()
    assert last < 20
    with pytest.raises(bmx.SpecError, match="flat priors"):
        bmx.plot.prior_predictive(bmx.Mixture("y ~ 1", data, family="poisson", k=1, priors="flat"))


def test_predictive_of_a_posterior_and_of_proportions(trial, laplace):
    ax = bmx.plot.posterior_predictive(laplace, draws=30)
    assert ax.get_xlabel() == "proportion, p(Deaths, Total)"
    assert ax.get_title(loc="left").startswith("30 data sets drawn from the posterior")
    data = bmx.load_data("betablocker")
    outline = ax.patches[0].get_data()
    wanted = np.histogram(data["Deaths"] / data["Total"], outline.edges)[0]
    np.testing.assert_allclose(outline.values * len(data) * np.diff(outline.edges), wanted)


def test_predictive_of_one_of_several_responses_with_weights():
    rng = np.random.default_rng(1)
    data = pd.DataFrame(
        {"a": rng.normal(size=40), "b": rng.poisson(3, 40), "w": 1 + np.arange(40) % 3}
    )
    parts = [bmx.Regression("a ~ 1"), bmx.Regression("b ~ 1", family="poisson")]
    fit = bmx.Mixture(parts, data, k=1, weights="w").fit("em", seed=1)
    ax = bmx.plot.posterior_predictive(fit, response="b", draws=20)
    for bar in ax.patches:
        at = data["b"] == bar.get_x() + bar.get_width() / 2
        assert bar.get_height() ** 2 == pytest.approx(data["w"][at].sum())
    own = Figure().subplots()
    assert bmx.plot.posterior_predictive(fit, draws=20, ax=own) is own
    assert own.get_xlabel() == "a"
    for options, words in [
        ({"response": "c"}, r"response='c' is unknown; use one of \['a', 'b'\]"),
        ({"kind": "rootogram"}, "is for counts, and a is none"),
        (
            {"kind": "survival"},
            r"does not go with a; use one of \['rootogram', 'density', 'ecdf'\]",
        ),
        ({"draws": 0}, "draws=0: the number of draws"),
        ({"ci": 2}, "ci=2 must be"),
    ]:
        with pytest.raises(bmx.FitError, match=words):
            bmx.plot.posterior_predictive(fit, **options)


@pytest.mark.parametrize("levels", [["no", "yes", "very"], [1, 2, 3]])
def test_predictive_of_levels_by_their_places(levels):
    rng = np.random.default_rng(1)
    codes = rng.choice(3, 300, p=[0.6, 0.3, 0.1])
    y = pd.Categorical.from_codes(codes, levels, ordered=True)
    data = pd.DataFrame({"y": y if "no" in levels else np.array(levels)[codes]})
    fit = bmx.Mixture("y ~ 1", data, family="ordinal", k=1).fit("em", seed=1)
    ax = bmx.plot.posterior_predictive(fit, draws=500)
    np.testing.assert_allclose([p.get_height() ** 2 for p in ax.patches], np.bincount(codes))
    assert [t.get_text() for t in ax.get_xticklabels()] == list(map(str, levels))
    (points,) = ax.lines
    wanted = stats.binom.ppf(0.5, 300, np.bincount(codes) / 300)
    np.testing.assert_allclose(points.get_ydata() ** 2, wanted, atol=4)


def test_predictive_sends_competing_events_to_states():
    data = bmx.load_data("mgus2")
    spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, event="event", family="exponential")
    with pytest.raises(bmx.FitError, match=r"see states\(\)"):
        bmx.plot.posterior_predictive(spec.fit("em", seed=1))


# --- ternary -------------------------------------------------------------------------------


def test_ternary_places_units_by_their_memberships(laplace):
    for fit in (laplace, laplace.point()):
        ax = bmx.plot.ternary(fit)
        members = fit.membership().to_numpy()
        corners = np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]])
        for s, points in enumerate(ax.collections):
            own = members[members.argmax(1) == s]
            place = np.asarray(points.get_offsets())
            # Every unit is within a cell of its marker, which lies in their middle.
            gap = np.linalg.norm(place[:, None] - own @ corners, axis=2)
            assert (gap.min(0) < 1 / 40).all()
            assert (gap.min(1) < 1 / 40).all()
    assert [t.get_text() for t in ax.texts] == [f"component {s}" for s in (1, 2, 3)]


def test_ternary_counts_units_with_their_weights():
    members = np.array([[1, 0, 0], [1, 0, 0], [0, 0.5, 0.5], [0.2, 0.2, 0.6], [0.99, 0.005, 0.005]])
    place, count, own = grouped(members, np.array([1.0, 2, 3, 4, 5]))
    found = {(tuple(np.round(p, 4)), c, s) for p, c, s in zip(place, count, own, strict=True)}
    height = np.sqrt(3) / 2
    wanted = {
        ((round((0.0075 * 5) / 8, 4), round(0.005 * height * 5 / 8, 4)), 8.0, 0),
        ((0.75, round(height / 2, 4)), 3.0, 1),
        ((0.5, round(0.6 * height, 4)), 4.0, 2),
    }
    assert found == wanted


def test_ternary_is_for_three(trial):
    with pytest.raises(bmx.FitError, match=r"this fit has 2; use membership\(\)"):
        bmx.plot.ternary(trial.with_k(2).fit("em", seed=1))


@pytest.mark.parametrize("name", ["diagnostics", "predictive", "ternary"])
def test_examples(name):
    import_module(f"bayesmix.plot.{name}")
    result = doctest.testmod(sys.modules[f"bayesmix.plot.{name}"])
    assert result.attempted
    assert not result.failed


def test_intercepts_of_means_and_of_weights_are_told_apart():
    data = bmx.load_data("patent")
    spec = bmx.Mixture("Patents ~ lgRD", data, "poisson", 2, concomitant="~ RDS")
    posterior = spec.fit("laplace", draws=60, seed=1)
    axes = bmx.plot.diagnostics(posterior, worst=20)
    table = posterior.diagnostics().table
    titles = [title for ax in axes if (title := ax.get_title() or ax.get_title("left"))]
    assert len(set(titles)) == len(titles)
    assert len(axes) == 2 + 1 + len(table)
    assert any("Intercept, 2 (concomitant)" in title for title in titles)
