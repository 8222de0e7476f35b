"""Estimates of several fits side by side, and pictures of posteriors."""

import doctest
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import bayesmix as bmx
from bayesmix.plot import style


@pytest.fixture(autouse=True)
def no_screen():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def trial():
    data = bmx.load_data("betablocker")
    spec = bmx.Mixture(
        "p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=3, fixed="~ Treatment"
    )
    ml = spec.fit("em", seed=1)
    return {"ML": ml, "Bayes": spec.fit("laplace", seed=1)}


@pytest.fixture(scope="module")
def lines():
    rng = np.random.default_rng(3)
    x = rng.uniform(1, 3, 80)
    y = np.where(np.arange(80) % 2, 5 + 2 * x, -x) + rng.normal(0, 0.3, 80)
    spec = bmx.Mixture("y ~ x", pd.DataFrame({"x": x, "y": y}), k=2)
    ml = spec.fit("em", seed=1)
    return {"one": ml, "other": ml.relabel(order=[2, 1]), "MAP": spec.fit("map", seed=1)}


def drawn(ax, number):
    """(vertical place, estimate, lower, upper) of every estimate of one fit, from the picture."""
    own = [line for line in ax.lines if line.get_color() == style.colour(number)]
    points = [line for line in own if line.get_linestyle() == "None"]
    ends = {line.get_ydata()[0]: line.get_xdata() for line in own if line not in points}
    out = []
    for point in points:
        assert point.get_marker() == style.marker(number)
        place = point.get_ydata()[0]
        out.append((place, point.get_xdata()[0], *ends.get(place, (np.nan, np.nan))))
    return np.array(out)


def test_the_picture_shows_the_numbers_of_the_table(trial):
    axes = bmx.plot.estimates(trial)
    table = bmx.compare_estimates(trial)
    assert [ax.get_title() for ax in axes] == ["Treatment[Treated]", "Intercept"]
    assert [t.get_text() for t in axes[0].get_yticklabels()] == ["1", "2", "3", "all"]
    for number, name in enumerate(trial):
        columns = [f"{name}_{end}" for end in ("estimate", "lower", "upper")]
        wanted = table.loc[table["term"] == "Intercept", columns]
        values = drawn(axes[1], number)
        np.testing.assert_array_equal(values[:, 1:], wanted)
        np.testing.assert_allclose(values[:, 0], np.arange(3), atol=0.3)
        # The fixed effect stands once, in the line "all".
        fixed = drawn(axes[0], number)
        np.testing.assert_array_equal(fixed[:, 1:], table[columns].iloc[:1])
        np.testing.assert_allclose(fixed[:, 0], 3, atol=0.3)
    assert [t.get_text() for t in axes[-1].get_legend().get_texts()] == ["ML", "Bayes"]


def test_components_are_matched_to_the_first_fit(lines):
    axes = bmx.plot.estimates(lines, terms=["x"])
    one, other, mode = (drawn(axes[0], number) for number in range(3))
    np.testing.assert_allclose(other[:, 1:], one[:, 1:], rtol=1e-9)
    np.testing.assert_allclose(mode[:, 1], one[:, 1], atol=0.05)
    by_name = bmx.plot.coefficients({n: lines[n] for n in ("one", "other")}, terms=["x"])
    np.testing.assert_allclose(drawn(by_name[0], 1)[::-1, 1], one[:, 1], rtol=1e-9)


def test_dispersions_on_request(lines):
    axes = bmx.plot.estimates(lines, dispersions=True)
    assert [ax.get_title() for ax in axes] == ["Intercept", "x", "sigma"]
    table = lines["one"].summary()
    wanted = table.loc[table["effect"] == "dispersion", ["estimate", "lower", "upper"]]
    np.testing.assert_array_equal(drawn(axes[2], 0)[:, 1:], wanted)
    # Zero is marked for coefficients; a dispersion has no sign.
    grey = [[line for line in ax.lines if line.get_color() == "0.6"] for ax in axes]
    assert [len(some) for some in grey] == [1, 1, 0]
    assert "sigma" not in [ax.get_title() for ax in bmx.plot.estimates(lines)]


def test_a_held_coefficient_is_hollow(lines):
    fit = lines["one"].spec.fit("em", seed=1, fixed_params={(1, "x"): 1.0})
    ax = bmx.plot.estimates({"held": fit, "again": fit}, terms=["x"])[0]
    faces = [line.get_markerfacecolor() for line in ax.lines if line.get_linestyle() == "None"]
    assert faces == ["white", style.colour(0), "white", style.colour(1)]


def test_wrong_requests(trial, lines):
    with pytest.raises(bmx.FitError, match="takes a dict of names to fits"):
        bmx.plot.estimates(trial["ML"])
    for few in ({"ML": trial["ML"]}, {}):
        with pytest.raises(bmx.FitError, match="needs a dict of two or more fits by name"):
            bmx.plot.estimates(few)
    with pytest.raises(bmx.FitError, match=r"use some of \['Treatment\[Treated\]', 'Intercept'\]"):
        bmx.plot.estimates(trial, terms=["weight"])
    with pytest.raises(bmx.FitError, match="an array of 2 matplotlib Axes"):
        bmx.plot.estimates(trial, ax=Figure().subplots())
    with pytest.raises(bmx.SpecError):
        bmx.plot.estimates({"trial": trial["ML"], "lines": lines["one"]})


def test_coefficients_of_a_posterior(trial):
    axes = bmx.plot.coefficients(trial["Bayes"], ci=0.5)
    table = trial["Bayes"].summary(0.5)
    wanted = table.loc[table["term"] == "Intercept", ["mean", "lower", "upper"]]
    # One fit alone has a colour and a marker for each component, as every other picture.
    for s, row in enumerate(wanted.to_numpy()):
        (line,) = [v for v in axes[1].lines if v.get_marker() == style.marker(s)]
        assert (line.get_color(), line.get_xdata()[0]) == (style.colour(s), row[0])
        ends = [v for v in axes[1].lines if len(v.get_xdata()) == 2 and v.get_ydata()[0] == s]
        np.testing.assert_array_equal(ends[0].get_xdata(), row[1:])


def test_memberships_of_a_posterior(trial):
    post = trial["Bayes"]
    axes = bmx.plot.rootogram(post, mark=2)
    members = post.membership()
    for ax, component in zip(axes, post.components, strict=True):
        bars = np.array([bar.get_height() ** 2 for bar in ax.patches])
        assert bars[:10].sum() == pytest.approx((members[component] > 1e-4).sum())
    marked = sum(bar.get_height() ** 2 for bar in axes[1].patches[10:20])
    assert marked == pytest.approx((members.idxmax(axis=1) == 2).sum())
    image = bmx.plot.membership(post).images[0].get_array()
    np.testing.assert_allclose(np.sort(image, 0), np.sort(members, 0))


def test_fitted_means_of_a_posterior(trial):
    post = trial["Bayes"]
    ax = bmx.plot.fitted(post, ci=0.8)
    data = bmx.load_data("betablocker")
    new = pd.DataFrame({"Treatment": data["Treatment"].cat.categories}).astype(
        {"Treatment": data["Treatment"].dtype}
    )
    wanted = post.predict(new, ci=0.8)
    lines = [line for line in ax.lines if line.get_gid() != "cap"]
    bars = [c for c in ax.collections if isinstance(c, LineCollection)]
    for line, bar, component in zip(lines, bars, post.components, strict=True):
        own = wanted[component]
        np.testing.assert_allclose(line.get_ydata(), own["estimate"])
        ends = np.array([segment[:, 1] for segment in bar.get_segments()])
        np.testing.assert_allclose(ends, own[["lower", "upper"]])
    weight = post.summary().query("effect == 'weight'")["mean"]
    words = [t.get_text() for t in ax.get_legend().get_texts()]
    assert [w.split()[-1] for w in words] == [f"{w:.2f}" for w in weight]


def test_weights_of_a_posterior(trial):
    post = trial["Bayes"]
    ax = bmx.plot.mixing(post)
    table = post.summary().query("effect == 'weight'")
    np.testing.assert_allclose([b.get_height() for b in ax.patches], table["mean"])
    ends = [c.get_segments()[0][:, 1] for c in ax.collections]
    np.testing.assert_allclose(ends, table[["lower", "upper"]])


@pytest.mark.filterwarnings("ignore:Laplace's approximation is poor")
def test_weights_of_a_posterior_along_a_concomitant():
    data = bmx.load_data("patent")
    spec = bmx.Mixture("Patents ~ 1", data, family="poisson", k=2, concomitant="~ RDS")
    post = spec.fit("laplace", seed=1, draws=500)
    ax = bmx.plot.mixing(post)
    for s, component in enumerate(post.components):
        line = next(ln for ln in ax.lines if ln.get_label() == f"component {component}")
        new = pd.DataFrame({"RDS": line.get_xdata()})
        wanted = post.predict(new, what="weight")[component]
        np.testing.assert_allclose(line.get_ydata(), wanted["estimate"])
        x, y = ax.collections[s].get_paths()[0].vertices.T
        at = np.isclose(x, line.get_xdata()[100])
        np.testing.assert_allclose(
            [y[at].min(), y[at].max()], wanted[["lower", "upper"]].iloc[100], atol=1e-12
        )


def test_examples():
    result = doctest.testmod(sys.modules["bayesmix.plot.coefficients"])
    assert result.attempted
    assert not result.failed
