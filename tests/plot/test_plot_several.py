"""Pictures of several fits: comparisons, numbers of components, and states of competing events."""

import doctest
import inspect
import sys
from importlib import import_module

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import bayesmix as bmx
from bayesmix.comparison import Comparison
from bayesmix.plot import style


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
def points(trial):
    return {f"k = {k}": trial.with_k(k).fit("em", seed=1) for k in (1, 2, 3)}


@pytest.fixture(scope="module")
def posteriors(trial):
    return {f"k = {k}": trial.with_k(k).fit("laplace", seed=1) for k in (1, 2, 3)}


@pytest.fixture(scope="module")
def gammopathy():
    data = bmx.load_data("mgus2")
    spec = bmx.CompetingRisks(
        "surv(years, status) ~ 1",
        data,
        event="event",
        family={"pcm": "exponential", "death": "exponential"},
        concomitant="~ sex",
    )
    return spec.fit("em", seed=1)


def of_lines(ax, **look):
    """xy of the lines of a look, in the order in which they were drawn."""
    return [
        np.asarray(line.get_xydata())
        for line in ax.lines
        if all(getattr(line, f"get_{name}")() == value for name, value in look.items())
    ]


def test_every_picture_is_there_with_an_example():
    wanted = (
        "rootogram fitted coefficients mixing membership estimates states compare diagnostics "
        "selection ternary effects residuals prior_predictive posterior_predictive profile "
        "survival trajectories"
    ).split()
    assert sorted(bmx.plot.__all__) == sorted(wanted)
    for name in wanted:
        draw = getattr(bmx.plot, name)
        assert f"bmx.plot.{name}(" in draw.__doc__
        assert {"ax", "figsize", "title", "backend"} <= set(inspect.signature(draw).parameters)


# --- compare -------------------------------------------------------------------------------


def test_compare_draws_differences_and_their_errors(posteriors):
    ax = bmx.plot.compare(posteriors)
    table = bmx.compare(posteriors, by="loo").table
    assert [t.get_text() for t in ax.get_yticklabels()] == table.index.to_list()
    drawn = np.vstack(of_lines(ax, marker="o"))
    np.testing.assert_array_equal(drawn[:, 0], table["difference"])
    np.testing.assert_array_equal(drawn[:, 1], range(3))
    for width, times in ((4.0, 1), (1.2, 2)):
        bars = of_lines(ax, linewidth=width)
        for bar, (_, row) in zip(bars, table.iloc[1:].iterrows(), strict=True):
            half = times * row["se_difference"]
            np.testing.assert_allclose(bar[:, 0] - row["difference"], [-half, half], rtol=1e-12)
    # Independently of the table: the errors are those of sums over units.
    loo = {n: p.loo().pointwise["elpd_loo"].to_numpy() for n, p in posteriors.items()}
    gap = loo["k = 2"] - loo["k = 3"]
    assert drawn[1, 0] == pytest.approx(gap.sum())
    assert np.ptp(bars[0][:, 0]) / 4 == pytest.approx(np.sqrt(len(gap) * gap.var(ddof=1)))
    assert "LOO" in ax.get_xlabel()


def test_compare_by_bic_marks_the_steps_of_evidence(points):
    ax = bmx.plot.compare(points)
    values = sorted(fit.bic for fit in points.values())
    drawn = np.vstack(of_lines(ax, marker="o"))[:, 0]
    assert drawn == pytest.approx(np.array(values) - values[0])
    assert [line[0, 0] for line in of_lines(ax, linestyle=":")] == [2, 6, 10]
    near = bmx.plot.compare({"one": points["k = 3"], "two": points["k = 3"]}, by="bic")
    assert of_lines(near, linestyle=":") == []
    assert of_lines(bmx.plot.compare(points, by="aic"), linestyle=":") == []


def test_compare_takes_a_comparison_and_axes(points):
    ready = bmx.compare(points, by="aic")
    ax = Figure().subplots()
    assert bmx.plot.compare(ready, ax=ax) is ax
    assert "AIC" in ax.get_xlabel()
    with pytest.raises(bmx.FitError, match="the comparison given is by 'aic'"):
        bmx.plot.compare(ready, by="bic")
    with pytest.raises(bmx.FitError, match="needs posterior draws"):
        bmx.plot.compare(points, by="loo")


def test_compare_tells_of_warnings_and_of_what_cannot_be_ranked(posteriors, points):
    ready = bmx.compare(points, by="bic")
    table = ready.table.copy()
    table.loc["k = 2", "warning"] = "something"
    table.loc["k = 1", ["value", "difference"]] = np.nan
    ax = bmx.plot.compare(Comparison("bic", table, ready.best_by, ready.verdict))
    faces = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o"]
    assert faces == [style.colour(0), "white"]
    assert [t.get_text() for t in ax.texts] == ["k = 1 cannot be ranked"]
    assert "warning" in ax.get_legend().get_texts()[0].get_text()


# --- selection -----------------------------------------------------------------------------


def test_selection_draws_the_table_and_rings_the_best(trial):
    selected = bmx.select(trial, k=[3, 1, 2, 4], seed=1)
    table = selected.table.set_index("k0").sort_index()
    ax = bmx.plot.selection(selected)
    for number, by in enumerate(("bic", "icl", "aic")):
        (curve,) = of_lines(ax, color=style.colour(number), marker=style.marker(number))
        np.testing.assert_array_equal(curve[:, 0], [1, 2, 3, 4])
        np.testing.assert_array_equal(curve[:, 1], table[by])
    rings = np.vstack(of_lines(ax, gid="ring"))
    np.testing.assert_array_equal(rings[:, 0], table[["bic", "icl", "aic"]].idxmin())
    np.testing.assert_array_equal(rings[:, 1], table[["bic", "icl", "aic"]].min())
    one = bmx.plot.selection(selected, criteria=["bic_units"])
    wanted = [selected[k].bic_units for k in (1, 2, 3, 4)]
    np.testing.assert_array_equal(of_lines(one, color=style.colour(0))[0][:, 1], wanted)


def test_selection_marks_fits_that_did_not_converge(trial):
    with pytest.warns(bmx.ConvergenceWarning, match="^k = 2: the fit stopped after 1 iter"):
        selected = bmx.select(trial, k=[1, 2], seed=1, max_iter=1)
    assert not selected[2].converged
    ax = bmx.plot.selection(selected, criteria=["bic"])
    hollow = np.vstack(of_lines(ax, gid="hollow"))
    assert [2, selected[2].bic] in hollow.tolist()
    assert ax.get_legend().get_texts()[-1].get_text() == "other status than converged"


def test_selection_refuses(trial, points):
    with pytest.raises(bmx.FitError, match=r"a Selection, as bmx.select\(\) gives"):
        bmx.plot.selection(points["k = 3"])
    selected = bmx.select(trial, k=[1, 2], seed=1)
    with pytest.raises(bmx.FitError, match=r"criteria=\['loo'\]: use some of \['bic'"):
        bmx.plot.selection(selected, criteria=["loo"])


# --- states --------------------------------------------------------------------------------


def check_states(ax, table, components):
    for number, state in enumerate((*components, "start")):
        colour = "#595959" if state == "start" else style.colour(number)
        part = table[table["state"] == state]
        model = part[part["source"] == "model"]
        steps = part[part["source"] == "nonparametric"]
        (curve,) = of_lines(ax, color=colour, linewidth=2)
        np.testing.assert_array_equal(curve, model[["time", "estimate"]])
        (line,) = [ln for ln in ax.lines if ln.get_gid() == "steps" and ln.get_color() == colour]
        np.testing.assert_array_equal(line.get_xydata(), steps[["time", "estimate"]])
        assert line.get_drawstyle() == "steps-post"
        band = ax.collections[2 * number].get_paths()[0].vertices
        both = np.sort(pd.concat([model["lower"], model["upper"]]).unique())
        np.testing.assert_allclose(np.unique(band[:, 1]), both, atol=1e-12)
        for bar in ax.collections[2 * number + 1].get_segments():
            last = steps[steps["time"] <= bar[0, 0]].iloc[-1]
            np.testing.assert_allclose(bar[:, 1], last[["lower", "upper"]].astype(float))


def test_states_draws_the_table(gammopathy):
    ax = bmx.plot.states(gammopathy)
    check_states(ax, gammopathy.aalen_johansen(), gammopathy.components)
    assert ax.get_xlabel() == "years"
    # An outside truth: without censoring before a time, the estimate is the share by then.
    data = bmx.load_data("mgus2")
    first = data[(data["status"] == 0)]["years"].min()
    (line,) = [
        ln for ln in ax.lines if ln.get_gid() == "steps" and ln.get_color() == style.colour(0)
    ]
    x, y = line.get_data()
    share = ((data["event"] == "death") & (data["years"] < first)).mean()
    assert y[x < first][-1] == pytest.approx(share)


def test_states_by_levels_have_panels(gammopathy):
    axes = bmx.plot.states(gammopathy, by="sex", ci=0.8)
    table = gammopathy.aalen_johansen(by="sex", ci=0.8)
    assert [ax.get_title() for ax in axes] == ["sex = F, n = 631", "sex = M, n = 753"]
    for ax, sex in zip(axes, ["F", "M"], strict=True):
        check_states(ax, table[table["sex"] == sex], gammopathy.components)
    given = Figure().subplots(1, 2)
    assert list(bmx.plot.states(gammopathy, by="sex", ax=given)) == list(given)
    given[1].figure.draw_without_rendering()
    legend = given[1].get_legend().get_window_extent()
    assert legend.x0 >= given[1].get_window_extent().x1  # beside the last panel, off the curves


def test_states_of_a_posterior(gammopathy):
    posterior = gammopathy.spec.fit("laplace", seed=1, draws=200)
    ax = bmx.plot.states(posterior, times=[0, 5, 10])
    table = posterior.aalen_johansen(times=[0, 5, 10])
    check_states(ax, table, posterior.components)


def test_states_refuses(points, gammopathy):
    with pytest.raises(bmx.FitError, match="takes a CompetingRisksFit or a"):
        bmx.plot.states(points["k = 2"])
    with pytest.raises(bmx.FitError, match="not among the columns that"):
        bmx.plot.states(gammopathy, by="height")
    with pytest.raises(bmx.FitError, match="an array of 2 matplotlib Axes"):
        bmx.plot.states(gammopathy, by="sex", ax=Figure().subplots())


def test_expected_times_without_a_closed_form():
    data = bmx.load_data("mgus2").head(60)
    data["seen"] = (data["status"] == 1).astype(int)
    family = bmx.family("spline", df=1)
    spec = bmx.Mixture("surv(years, seen) ~ sex", data, family=family, k=1)
    fit, post = spec.fit("em", seed=1), spec.fit("laplace", seed=1, draws=200)
    rows = pd.DataFrame({"sex": data["sex"].cat.categories})
    ends = fit.predict(rows, ci=0.95)[["lower", "upper"]].to_numpy().T
    for shown, point, title, bars in (
        (fit, fit, "", ends),
        (post, post.point(), "at the posterior mode", []),
    ):
        ax = bmx.plot.fitted(shown)
        caps = [line.get_ydata() for line in ax.lines if line.get_gid() == "cap"]
        np.testing.assert_allclose(caps, bars)
        (curve,) = (line for line in ax.lines if line.get_gid() != "cap")
        np.testing.assert_allclose(curve.get_ydata(), point.predict(rows)[1])
        assert title in ax.get_title(loc="left")
        assert bool(title) == bool(ax.get_title(loc="left"))


@pytest.mark.parametrize("name", ["comparison", "selection", "states"])
def test_examples(name):
    import_module(f"bayesmix.plot.{name}")
    result = doctest.testmod(sys.modules[f"bayesmix.plot.{name}"])
    assert result.attempted
    assert not result.failed


def test_states_by_a_column_that_the_model_does_not_use():
    data = bmx.load_data("mgus2").head(300)
    family = {"pcm": "weibull", "death": "gompertz"}
    spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, event="event", family=family)
    axes = bmx.plot.states(spec.fit("em", seed=1), by="sex", times=[1.0, 5.0])
    counts = data["sex"].value_counts()
    assert [ax.get_title() for ax in axes] == [f"sex = {s}, n = {counts[s]}" for s in "FM"]
