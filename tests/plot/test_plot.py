"""What the pictures show, against numbers computed from the fit by other ways."""

import doctest
import subprocess
import sys
from importlib import import_module
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.figure import Figure
from scipy import stats

import bayesmix as bmx
from bayesmix.plot import style


@pytest.fixture(autouse=True)
def no_screen():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def patents():
    data = bmx.load_data("patent")
    spec = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3, concomitant="~ RDS")
    return spec.fit("em", seed=1)


@pytest.fixture(scope="module")
def trial():
    data = bmx.load_data("betablocker")
    spec = bmx.Mixture(
        "p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=3, fixed="~ Treatment"
    )
    return spec.fit("em", seed=1)


@pytest.fixture(scope="module")
def seizures():
    data = bmx.load_data("seizure")
    formula = "Seizures ~ Treatment * log(Day) + offset(log(Hours))"
    return bmx.Mixture(formula, data, family="poisson", k=2).fit("em", seed=1)


@pytest.fixture(scope="module")
def artificial():
    spec = bmx.Mixture("y ~ x2 + x1", bmx.load_data("NregFix"), k=3, concomitant="~ w")
    return spec.fit("em", seed=1)


def made(seed=3, n=60, **columns):
    """Two lines with noise, and more columns."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(1, 3, n)
    y = np.where(np.arange(n) % 2, 5 + 2 * x, -x) + rng.normal(0, 0.3, n)
    return pd.DataFrame({"x": x, "y": y} | {k: v(rng, n) for k, v in columns.items()})


def curves(ax):
    """The drawn lines with data, as arrays of shape (m, 2)."""
    return [np.asarray(line.get_xydata()) for line in ax.lines if line.get_gid() != "cap"]


def dots(ax):
    """The scattered points by component."""
    return [c for c in ax.collections if isinstance(c, PathCollection)]


def scattered(ax):
    return np.vstack([np.asarray(c.get_offsets()) for c in dots(ax)])


def bands(ax):
    """Lower and upper ends of the bands at every place, (m, 3) arrays of x, lower, upper."""
    out = []
    for band in (c for c in ax.collections if isinstance(c, PolyCollection)):
        x, y = band.get_paths()[0].vertices.T
        places = np.unique(x)
        out.append(np.array([(p, y[x == p].min(), y[x == p].max()) for p in places]))
    return out


def heights(ax):
    return np.array([patch.get_height() for patch in ax.patches])


# --- bands ---------------------------------------------------------------------------------


def test_bands_of_a_straight_line_are_those_of_least_squares():
    """One component: estimate -+ 1.96 s sqrt(1/n + (x - mean)^2 / Sxx), s with the divisor n."""
    data = made()
    data["y"] = 1 + 2 * data["x"] + np.random.default_rng(1).normal(0, 1, len(data))
    fit = bmx.Mixture("y ~ x", data, k=1).fit("em", seed=1)
    x = data["x"].to_numpy()
    slope, start = np.polyfit(x, data["y"], 1)
    s = np.std(data["y"] - start - slope * x)
    for ci, z in ((0.95, 1.95996), (0.8, 1.28155)):
        (band,) = bands(bmx.plot.fitted(fit, ci=ci))
        at = band[:, 0]
        half = z * s * np.sqrt(1 / len(x) + (at - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
        np.testing.assert_allclose(band[:, 2] - start - slope * at, half, rtol=0.12)
        np.testing.assert_allclose(start + slope * at - band[:, 1], half, rtol=0.12)
    assert bands(bmx.plot.fitted(fit, ci=None)) == []
    with pytest.raises(bmx.FitError, match=r"ci=95 must be a number between 0 and 1"):
        bmx.plot.fitted(fit, ci=95)


def test_bands_of_rates_are_of_rates(seizures):
    ax = bmx.plot.fitted(seizures, by="Treatment")
    for line, band in zip(curves(ax), bands(ax), strict=True):
        assert (band[:, 1] < line[:, 1]).all()
        assert (line[:, 1] < band[:, 2]).all()


def test_bands_of_a_weight_are_symmetric_in_the_logit():
    """Two components: the logit of the weight is normal, with the error of its coefficient."""
    data = made(n=400)
    fit = bmx.Mixture("y ~ x", data, k=2).fit("em", seed=1)
    ax = bmx.plot.mixing(fit)
    segment = ax.collections[0].get_segments()[0]
    row = fit.summary().query("effect == 'weight' and component == 1")
    wanted = row[["lower", "upper"]].to_numpy()[0]
    np.testing.assert_allclose(segment[:, 1], wanted, atol=0.006)


def test_no_band_where_a_mean_depends_on_a_parameter_at_infinity():
    data = pd.DataFrame({"y": [0.0] * 30 + [3.0, 4, 5, 6, 7, 8] * 5, "g": ["a"] * 30 + ["b"] * 30})
    with pytest.warns(bmx.DegenerateWarning):
        fit = bmx.Mixture("y ~ g", data, family="poisson", k=1).fit("em", seed=1)
    assert fit.status == "boundary"
    ax = bmx.plot.fitted(fit)
    caps = [line.get_xydata() for line in ax.lines if line.get_gid() == "cap"]
    # Of b alone: 165 events in 30 rows, so log(mu) has the standard error 165 ** -0.5.
    low, high = 5.5 * np.exp(np.array([-1, 1]) * stats.norm.ppf(0.975) / 165**0.5)
    np.testing.assert_allclose(caps, [[(1, low)], [(1, high)]], rtol=1e-4)
    assert len(curves(ax)) == 1


# --- rootogram -----------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [10, 4, [0, 0.5, 0.9, 1]])
def test_rootogram_has_the_square_roots_of_the_counts(patents, bins):
    axes = bmx.plot.rootogram(patents, bins=bins)
    edges = np.linspace(0, 1, bins + 1) if isinstance(bins, int) else np.array(bins)
    for ax, component in zip(axes, patents.components, strict=True):
        values = patents.membership()[component].to_numpy()
        values = values[values > 1e-4]
        counts = [sum((a <= values) & (values < b)) for a, b in pairwise(edges)]
        counts[-1] = sum(values >= edges[-2])
        assert heights(ax) == pytest.approx(np.sqrt(counts))
        assert [p.get_x() for p in ax.patches] == pytest.approx(edges[:-1])
        assert ax.get_title() == f"component {component}"


def test_rootogram_leaves_out_memberships_up_to_eps(patents):
    members = patents.membership().to_numpy()
    for eps in (0.0, 1e-4, 0.3):
        axes = bmx.plot.rootogram(patents, eps=eps)
        shown = [(heights(ax) ** 2).sum() for ax in axes]
        assert shown == pytest.approx((members > eps).sum(0))
        assert f"membership > {eps:g}" in axes[0].get_ylabel()


def test_rootogram_labels_counts_on_the_square_root_axis(patents):
    ax = bmx.plot.rootogram(patents)[0]
    labels = [float(t.get_text()) for t in ax.get_yticklabels()]
    assert np.square(ax.get_yticks()) == pytest.approx(labels)
    assert len(labels) > 2


def test_rootogram_shades_the_units_of_the_marked_component(patents):
    axes = bmx.plot.rootogram(patents, mark=2)
    own = patents.clusters() == 2
    for ax, component in zip(axes, patents.components, strict=True):
        values = patents.membership()[component][own]
        counts = np.histogram(values[values > 1e-4], bins=10, range=(0, 1))[0]
        assert heights(ax)[10:] == pytest.approx(np.sqrt(counts))
        assert (heights(ax)[10:] <= heights(ax)[:10]).all()
    assert axes[1].get_legend().get_texts()[0].get_text() == "most probable: 2"


def test_rootogram_counts_groups_once(trial):
    axes = bmx.plot.rootogram(trial, eps=0)
    assert (heights(axes[0]) ** 2).sum() == pytest.approx((trial.membership()[1] > 0).sum())
    assert (heights(axes[0]) ** 2).sum() <= 22


def test_rootogram_counts_with_case_weights():
    data = made(w=lambda rng, n: rng.integers(1, 5, n))
    fit = bmx.Mixture("y ~ x", data, k=2, weights="w").fit("em", seed=1)
    axes = bmx.plot.rootogram(fit, eps=0)
    expected = data["w"][fit.membership()[1].to_numpy() > 0].sum()
    assert (heights(axes[0]) ** 2).sum() == pytest.approx(expected)


def test_rootogram_on_axes_of_ones_own(patents):
    panels = Figure().subplots(1, 3)
    assert list(bmx.plot.rootogram(patents, ax=panels)) == list(panels)
    one = bmx.Mixture("Patents ~ lgRD", bmx.load_data("patent"), family="poisson", k=1).fit()
    single = Figure().subplots()
    assert bmx.plot.rootogram(one, ax=single).tolist() == [single]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ax": "one"}, r"ax= needs an array of 3 matplotlib Axes, one for each component"),
        ({"mark": 4}, r"mark=4 is not a component; use one of \[1, 2, 3\]"),
        ({"bins": 0}, "bins=0: a number of bins"),
        ({"bins": [0, 0.5]}, "rising edges from 0 to 1"),
    ],
)
def test_rootogram_refuses(patents, options, words):
    if options.get("ax") == "one":
        options = {"ax": Figure().subplots()}
    with pytest.raises(bmx.FitError, match=words):
        bmx.plot.rootogram(patents, **options)


# --- fitted --------------------------------------------------------------------------------


def test_fitted_draws_the_data_and_the_predicted_means(patents):
    data = bmx.load_data("patent")
    ax = bmx.plot.fitted(patents)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("lgRD", "Patents")
    lines = curves(ax)
    assert len(lines) == 3
    for s, line in enumerate(lines):
        assert line[[0, -1], 0] == pytest.approx([data["lgRD"].min(), data["lgRD"].max()])
        new = pd.DataFrame({"lgRD": line[:, 0], "RDS": 0.05})
        assert line[:, 1] == pytest.approx(patents.predict(new).iloc[:, s].to_numpy())
    seen = {tuple(p) for p in scattered(ax)}
    assert seen == set(zip(data["lgRD"], data["Patents"].astype(float), strict=True))


def test_fitted_marks_points_by_their_component_and_how_sure_it_is(patents):
    ax = bmx.plot.fitted(patents)
    members = patents.membership().to_numpy()
    for s, points in enumerate(dots(ax)):
        own = members.argmax(1) == s
        assert len(points.get_offsets()) == own.sum()
        sure = np.sort(members[own].max(1))
        assert np.sort(points.get_sizes()) == pytest.approx(40 * sure**2)
        assert np.sort(points.get_facecolors()[:, 3]) == pytest.approx(0.15 + 0.6 * sure**2)
    colours = {tuple(c.get_facecolors()[0, :3]) for c in dots(ax)}
    styles = {line.get_linestyle() for line in ax.lines}
    assert len(colours) == len(styles) == 3
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels[0] == f"component 1, weight {patents.mixing[1]:.2f}"


def test_fitted_divides_an_offset_out_under_a_log_link(seizures):
    data = bmx.load_data("seizure")
    ax = bmx.plot.fitted(seizures, at={"Treatment": "Yes"})
    assert ax.get_ylabel() == "Seizures / Hours"
    expected = data["Seizures"] / data["Hours"]
    assert np.sort(scattered(ax)[:, 1]) == pytest.approx(np.sort(expected))
    line = curves(ax)[0]
    new = pd.DataFrame({"Day": line[:, 0], "Treatment": "Yes", "Hours": 7.0})
    assert line[:, 1] == pytest.approx(seizures.predict(new)[1].to_numpy() / 7)


def test_fitted_holds_an_offset_under_another_link():
    data = made(z=lambda rng, n: rng.uniform(0, 4, n))
    fit = bmx.Mixture("y ~ x + offset(z)", data, k=2).fit("em", seed=1)
    ax = bmx.plot.fitted(fit)
    assert ax.get_ylabel() == "y (curves: offset z held)"
    assert ax.get_title(loc="left") == f"z = {data['z'].median():.4g} (median)"
    line = curves(ax)[1]
    new = pd.DataFrame({"x": line[:, 0], "z": data["z"].median()})
    assert line[:, 1] == pytest.approx(fit.predict(new)[2].to_numpy())


def test_fitted_gives_levels_of_a_factor_curves_within_their_own_range(seizures):
    data = bmx.load_data("seizure")
    ax = bmx.plot.fitted(seizures)
    lines = curves(ax)
    assert len(lines) == 4
    for number, level in enumerate(["No", "Yes"]):
        days = data["Day"][data["Treatment"] == level]
        for line in lines[2 * number : 2 * number + 2]:
            assert line[[0, -1], 0] == pytest.approx([days.min(), days.max()])
    drawn = [line.get_linestyle() for line in ax.lines]
    assert drawn == ["-", "-", "--", "--"]
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels[-2:] == ["Treatment = No", "Treatment = Yes"]


def test_fitted_holds_a_factor_where_it_is_told_to(artificial):
    ax = bmx.plot.fitted(artificial, at={"x2": "1"})
    assert ax.get_title(loc="left") == "x2 = 1"
    line = curves(ax)[2]
    new = pd.DataFrame({"x1": line[:, 0], "x2": "1", "w": "0"})
    assert line[:, 1] == pytest.approx(artificial.predict(new)[3].to_numpy())


def test_fitted_says_what_is_held():
    data = made(z=lambda rng, n: rng.normal(size=n), f=lambda rng, n: rng.choice(list("abcdef"), n))
    fit = bmx.Mixture("y ~ x + z + f", data, k=2).fit("em", seed=1)
    ax = bmx.plot.fitted(fit)
    assert ax.get_title(loc="left") == f"z = {data['z'].median():.4g} (median), f = a (reference)"
    line = curves(ax)[0]
    new = pd.DataFrame({"x": line[:, 0], "z": data["z"].median(), "f": "a"})
    assert line[:, 1] == pytest.approx(fit.predict(new)[1].to_numpy())
    assert bmx.plot.fitted(fit, "z").get_xlabel() == "z"
    assert len(bmx.plot.fitted(fit, by="f").lines) == 12


def test_fitted_draws_strips_where_there_is_only_a_factor(trial):
    data = bmx.load_data("betablocker")
    ax = bmx.plot.fitted(trial)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["Control", "Treated"]
    assert ax.get_ylabel() == "proportion, p(Deaths, Total)"
    new = pd.DataFrame({"Treatment": ["Control", "Treated"]})
    expected = trial.predict(new).to_numpy()
    for s, line in enumerate(curves(ax)):
        assert line == pytest.approx(np.column_stack([[0, 1], expected[:, s]]))
    points = scattered(ax)
    assert np.sort(points[:, 1]) == pytest.approx(np.sort(data["Deaths"] / data["Total"]))
    treated = np.round(points[:, 0]) == 1
    rates = (data["Deaths"] / data["Total"])[data["Treatment"] == "Treated"]
    assert np.sort(points[treated, 1]) == pytest.approx(np.sort(rates))


def test_fitted_draws_rows_in_order_without_covariates():
    data = bmx.load_data("fabricfault")
    fit = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2).fit("em", seed=1)
    ax = bmx.plot.fitted(fit)
    points = scattered(ax)
    assert points[points[:, 0].argsort(), 1] == pytest.approx(data["Faults"].to_numpy())
    means = np.exp(fit.coefficients().loc["Intercept"])
    assert [line[0, 1] for line in curves(ax)] == pytest.approx(means)


def test_fitted_moves_zeros_and_ones_apart_and_says_so():
    data = bmx.load_data("trypanosome")
    spec = bmx.Mixture("Dead ~ 1", data, family="binomial", k=2, fixed="~ log(Dose)")
    ax = bmx.plot.fitted(spec.fit("em", seed=1))
    assert "moved apart" in ax.get_ylabel()
    assert ax.get_xlabel() == "Dose"
    points = scattered(ax)
    assert np.abs(points[:, 1] - points[:, 1].round()).max() < 0.05
    assert points[:, 1].round().sum() == data["Dead"].sum()


def test_fitted_shows_the_response_that_is_asked_for():
    data = made(n_events=lambda rng, n: rng.poisson(2, n))
    parts = [bmx.Regression("y ~ x"), bmx.Regression("n_events ~ 1 + x", family="poisson")]
    fit = bmx.Mixture(parts, data, k=2).fit("em", seed=1)
    ax = bmx.plot.fitted(fit, response="n_events")
    assert ax.get_ylabel() == "n_events"
    line = curves(ax)[0]
    expected = fit.predict(pd.DataFrame({"x": line[:, 0]}))["n_events"][1]
    assert line[:, 1] == pytest.approx(expected.to_numpy())
    assert bmx.plot.fitted(fit).get_ylabel() == "y"


def test_fitted_keeps_to_rows_that_were_used():
    data = made()
    data.loc[data["x"].idxmax(), "y"] = np.nan
    fit = bmx.Mixture("y ~ x", data, k=2, na_action="drop").fit("em", seed=1)
    ax = bmx.plot.fitted(fit)
    assert len(scattered(ax)) == len(data) - 1
    assert curves(ax)[0][-1, 0] == data["x"].drop(data["x"].idxmax()).max()


def test_fitted_reads_columns_of_every_type():
    data = made(
        year=lambda rng, n: rng.integers(2000, 2003, n),
        old=lambda rng, n: rng.random(n) > 0.5,
        whole=lambda rng, n: pd.array(rng.integers(0, 9, n), dtype="Int64"),
    )
    fit = bmx.Mixture("y ~ bs(x, df=3) + C(year) + old + whole", data, k=2).fit("em", seed=1)
    ax = bmx.plot.fitted(fit)
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels[2:] == ["year = 2000", "year = 2001", "year = 2002"]
    assert bmx.plot.fitted(fit, "old").get_xticklabels()[1].get_text() == "True"
    assert bmx.plot.fitted(fit, "whole").get_xlabel() == "whole"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"x": "age"}, r"x='age' is unknown; use one of \['x1', 'x2'\]"),
        ({"by": "x1"}, r"by='x1' is unknown; use one of \['x2'\]"),
        ({"at": {"x3": 1}}, r"at='x3' is unknown"),
        ({"x": "x2", "at": {"x1": 99}}, "lies outside the data, which go from"),
        ({"x": "x2", "at": {"x1": "a"}}, "is held at a number"),
        ({"at": {"x2": "2"}}, r"use one of \['0', '1'\]"),
        (
            {"x": "x1", "at": {"x1": 0}},
            "x='x1' is the covariate along the axis",
        ),
        ({"x": "x2", "by": "x2"}, "by='x2' is the covariate along the axis"),
        ({"response": "z"}, "response='z' is unknown"),
        ({"ax": 3}, "ax= takes one matplotlib Axes here, not int"),
        ({"ax": 3, "panels": True}, "ax= needs an array of 3 matplotlib Axes"),
    ],
)
def test_fitted_refuses(artificial, options, words):
    with pytest.raises(bmx.FitError, match=words):
        bmx.plot.fitted(artificial, **options)


# --- mixing, membership, coefficients --------------------------------------------------------


def test_mixing_draws_the_mean_weights(trial):
    ax = bmx.plot.mixing(trial)
    assert heights(ax) == pytest.approx(trial.mixing.to_numpy())
    assert ax.get_ylabel() == "weight"


def test_mixing_draws_weights_along_a_concomitant(patents):
    ax = bmx.plot.mixing(patents)
    assert ax.get_xlabel() == "RDS"
    lines = [line for line in ax.lines if line.get_gid() != "rug"]
    for s, line in enumerate(lines):
        x, y = np.asarray(line.get_xydata()).T
        eta = patents.concomitant().to_numpy().T @ np.vstack([np.ones_like(x), x])
        expected = np.exp(eta) / np.exp(eta).sum(0)
        assert y == pytest.approx(expected[s])
    rug = next(line for line in ax.lines if line.get_gid() == "rug")
    assert np.sort(rug.get_xdata()) == pytest.approx(np.sort(bmx.load_data("patent")["RDS"]))


def test_mixing_draws_weights_by_level(artificial):
    ax = bmx.plot.mixing(artificial)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1"]
    expected = artificial.predict(what="weight").groupby(bmx.load_data("NregFix")["w"].to_numpy())
    for s, line in enumerate(curves(ax)):
        assert line[:, 1] == pytest.approx(expected.first().iloc[:, s].to_numpy())


def test_mixing_takes_one_of_several_concomitants():
    data = made(z=lambda rng, n: rng.normal(size=n), s=lambda rng, n: rng.choice(["u", "v"], n))
    fit = bmx.Mixture("y ~ x", data, k=2, concomitant="~ z + s").fit("em", seed=1)
    assert heights(bmx.plot.mixing(fit)) == pytest.approx(fit.mixing.to_numpy())
    ax = bmx.plot.mixing(fit, "z", at={"s": "v"})
    assert ax.get_title(loc="left") == "s = v"
    line = curves(ax)[0]
    new = pd.DataFrame({"x": 2.0, "z": line[:, 0], "s": "v"})
    assert line[:, 1] == pytest.approx(fit.predict(new, what="weight")[1].to_numpy())
    for options, words in [
        ({"x": "x"}, r"x='x' is unknown; use one of \['z', 's'\]"),
        ({"at": {"s": "v"}}, "needs x="),
        ({"x": "z", "at": {"z": 0}}, "along the axis"),
    ]:
        with pytest.raises(bmx.FitError, match=words):
            bmx.plot.mixing(fit, **options)


def test_membership_is_sorted_by_cluster(trial):
    ax = bmx.plot.membership(trial)
    shown = np.asarray(ax.images[0].get_array())
    labels = [int(t.get_text()) for t in ax.get_yticklabels()]
    members = trial.membership()
    assert shown == pytest.approx(members.loc[labels].to_numpy())
    cluster = shown.argmax(1)
    assert (np.diff(cluster) >= 0).all()
    for s in range(3):
        assert (np.diff(shown[cluster == s].max(1)) <= 0).all()
    lines = sorted(line.get_ydata()[0] for line in ax.lines)
    assert lines == pytest.approx(np.cumsum(np.bincount(cluster))[:-1] - 0.5)
    assert ax.get_ylabel() == "Center, sorted by cluster"


def test_coefficients_draw_estimates_and_intervals(artificial):
    table = artificial.summary(ci=0.9).query("effect == 'varying'")
    axes = bmx.plot.coefficients(artificial, ci=0.9)
    assert [ax.get_title() for ax in axes] == list(dict.fromkeys(table["term"]))
    for ax in axes:
        rows = table[table["term"] == ax.get_title()]
        dots = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
        bars = [list(line.get_xdata()) for line in ax.lines if line.get_linewidth() == 1.6]
        assert dots == pytest.approx(rows["estimate"].to_numpy())
        assert np.array(bars) == pytest.approx(rows[["lower", "upper"]].to_numpy())


def test_coefficients_of_several_fits_stand_side_by_side(trial):
    data = bmx.load_data("betablocker")
    spec = bmx.Mixture("p(Deaths, Total) ~ Treatment | Center", data, family="binomial", k=3)
    other = spec.fit("em", seed=1)
    ax = bmx.plot.coefficients({"fixed": trial, "varying": other}, terms=["Treatment[Treated]"])[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["1", "2", "3", "all"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["fixed", "varying"]
    dots = [line.get_xydata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
    expected = other.coefficients().loc["Treatment[Treated]"]
    assert [d[0] for d in dots[1:]] == pytest.approx(expected.to_numpy())
    assert dots[0] == pytest.approx([trial.coefficients().loc["Treatment[Treated]", 1], 2.75])
    with pytest.raises(bmx.FitError, match=r"terms=\['Dose'\]: use some of"):
        bmx.plot.coefficients(trial, terms=["Dose"])


def test_coefficients_without_an_interval_are_hollow():
    data = pd.DataFrame({"y": [0, 0, 0, 1, 1, 1], "x": [1.0, 2, 3, 4, 5, 6]})
    with pytest.warns(bmx.DegenerateWarning):
        fit = bmx.Mixture("y ~ x", data, family="binomial", k=1).fit("em")
    ax = bmx.plot.coefficients(fit, terms=["x"])[0]
    dots = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert [d.get_markerfacecolor() for d in dots] == ["white"]
    assert not [line for line in ax.lines if line.get_linewidth() == 1.6]


# --- all of them -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fitted", "mixing", "membership"])
def test_one_axes_are_used_and_returned(trial, name):
    ax = Figure().subplots()
    assert getattr(bmx.plot, name)(trial, ax=ax) is ax


def test_importing_the_pictures_does_not_import_matplotlib():
    code = "import sys, bayesmix.plot; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", ["", ".curves", ".memberships", ".weights", ".coefficients"])
def test_examples(name):
    result = doctest.testmod(import_module(f"bayesmix.plot{name}"))
    assert result.attempted
    assert not result.failed


# --- many levels, and bands that reach far -------------------------------------------------


def test_levels_that_would_overlap_are_slanted():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"y": rng.normal(size=300), "few": np.resize(["a", "b"], 300)})
    data["long"] = np.resize([f"level number {i}" for i in range(12)], 300)
    data["many"] = np.resize([f"c{i:02d}" for i in range(60)], 300)
    for name, rotation in {"few": 0, "long": 45, "many": 90}.items():
        fit = bmx.Mixture(f"y ~ {name}", data, k=1).fit("em")
        ax = bmx.plot.fitted(fit)
        ax.figure.canvas.draw()
        ticks = ax.get_xticklabels()
        assert [tick.get_text() for tick in ticks] == sorted(set(data[name]))
        assert {tick.get_rotation() for tick in ticks} == {rotation}
        if rotation == 0:
            boxes = [tick.get_window_extent() for tick in ticks]
            assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_a_band_that_reaches_far_does_not_hide_the_data():
    data = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "y": [0, 0, 1, 3]})
    fit = bmx.Mixture("y ~ x", data, family="poisson", k=1).fit("em")
    at = np.array([1.0, 3.0])
    estimate = fit.coefficients().to_numpy().ravel()[[0, 1]]
    variance = at @ fit.covariance().to_numpy() @ at
    upper = np.exp(at @ estimate + 1.96 * variance**0.5)
    assert upper > 6
    ax = bmx.plot.fitted(fit)
    assert ax.get_title(loc="left") == "what lies beyond the axis is cut off"
    # Six tenths of the range of data and curve beyond them, and a margin.
    highest = max(3.0, np.exp(at @ estimate))
    assert 1.6 * highest < ax.get_ylim()[1] < 1.7 * highest
    assert -0.4 < ax.get_ylim()[0] <= 0
    narrow = bmx.plot.fitted(fit, ci=0.2)
    assert narrow.get_title(loc="left") == ""


def test_rows_at_the_same_place_are_one_point_sized_by_their_number():
    x = np.repeat([0.0, 1.0], [30, 10])
    y = np.concatenate([np.repeat([1, 8], 15), np.repeat([2, 9], 5)])
    data = pd.DataFrame({"my y": y, "x": x})
    fit = bmx.Mixture("`my y` ~ x", data, family="poisson", k=2).fit("em", seed=1)
    ax = bmx.plot.fitted(fit)
    areas = {
        tuple(place): size
        for c in ax.collections
        if len(c.get_sizes())
        for place, size in zip(np.asarray(c.get_offsets()), c.get_sizes(), strict=True)
    }
    assert sorted(areas) == [(0.0, 1.0), (0.0, 8.0), (1.0, 2.0), (1.0, 9.0)]
    assert areas[0.0, 1.0] > areas[1.0, 2.0]
    assert ax.get_ylabel() == "my y"


def test_panels_show_one_component_each(artificial):
    axes = bmx.plot.fitted(artificial, panels=True)
    assert [ax.get_title() for ax in axes] == ["component 1", "component 2", "component 3"]
    for s, ax in enumerate(axes):
        drawn = {line.get_color() for line in ax.lines}
        assert drawn == {style.colour(s)}
