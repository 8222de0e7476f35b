"""Interactive pictures: what they hold against draws, tables and counts made here."""

import importlib.util
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from scipy import stats

import bayesmix as bmx
from bayesmix.formula.sources import survey
from bayesmix.plot import picture

REASON = "the extra 'interactive' is not installed"


@pytest.fixture(autouse=True)
def no_screen():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture
def plotly():
    pytest.importorskip("webcolors", reason=REASON)
    return pytest.importorskip("plotly", reason=REASON)


@pytest.fixture(scope="module")
def trial():
    data = bmx.load_data("betablocker")
    return bmx.Mixture(
        "p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=3, fixed="~ Treatment"
    )


@pytest.fixture(scope="module")
def laplace(trial):
    return trial.fit("laplace", seed=1)


@pytest.fixture(scope="module")
def chains(laplace):
    """Independent draws as if by four chains."""
    drawn = laplace._drawn
    theta = drawn.theta.reshape(4, -1, drawn.theta.shape[-1])
    told = replace(
        drawn,
        method="nuts",
        theta=theta,
        raw=theta,
        log_density=drawn.log_density.reshape(4, -1),
        stats={},
        chain_mode=np.zeros(4, int),
        khat=np.nan,
    )
    return type(laplace)(told, laplace._point)


def panel(collection, name, column=None):
    """The traces of a panel, and its axes."""
    found = collection.viz["plot"][name]
    found = (found if column is None else found.sel(column=column)).item()
    figure = found.figure
    axis = next(figure.select_xaxes(row=found.row, col=found.col))
    return list(figure.select_traces(row=found.row, col=found.col)), axis


def marks(traces, mode):
    return [trace for trace in traces if trace.mode == mode]


# --- diagnostics ---------------------------------------------------------------------------


def test_traces_are_the_draws(plotly, chains):
    collection = bmx.plot.diagnostics(chains, worst=7, backend="plotly")
    assert type(collection).__name__ == "PlotCollection"
    coef = chains.data["posterior"]["coef"]
    weight = chains.data["posterior"]["weight"]
    wanted = {f"Intercept, {s}": coef.sel(component=s, term="Intercept") for s in (1, 2, 3)}
    wanted |= {f"weight, {s}": weight.sel(component=s) for s in (1, 2, 3)}
    wanted["Treatment[Treated]"] = coef.sel(component=1, term="Treatment[Treated]")
    wanted["log density"] = chains._drawn.log_density
    assert set(collection.viz["plot"].data_vars) == {*wanted, "all parameters"}
    for name, draws in wanted.items():
        traces, axis = panel(collection, name, "trace")
        assert [trace.name for trace in traces] == [f"chain {c}" for c in range(4)]
        assert axis.title.text == "draw"
        for trace, chain in zip(traces, np.asarray(draws), strict=True):
            np.testing.assert_allclose(trace.y, chain, rtol=1e-12)
            np.testing.assert_array_equal(trace.x, np.arange(1000))


def test_ranks_are_counted_over_all_chains(plotly, chains):
    collection = bmx.plot.diagnostics(chains, worst=0, backend="plotly")
    traces, _ = panel(collection, "log density", "ranks")
    ranks = stats.rankdata(chains._drawn.log_density).reshape(4, -1)
    assert len(traces) == 4
    for trace, own in zip(traces, ranks, strict=True):
        for count, low, high in zip(trace.y[:-1], trace.x[:-1], trace.x[1:], strict=True):
            assert count == ((own > low) & (own <= high)).sum()


def test_the_legend_has_every_chain_once(plotly, chains):
    figure = bmx.plot.diagnostics(chains, worst=2, backend="plotly").viz["figure"].item()
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(shown) == ["bulk", "chain 0", "chain 1", "chain 2", "chain 3", "tails"]
    assert all(trace.legendgroup == trace.name for trace in figure.data if trace.name)


def test_the_table_is_that_of_the_diagnosis(plotly, chains):
    collection = bmx.plot.diagnostics(chains, worst=1, backend="plotly")
    (r_hat,), _ = panel(collection, "all parameters", "trace")
    (bulk, tails), _ = panel(collection, "all parameters", "ranks")
    table = chains.diagnostics().table.drop_duplicates(["r_hat", "ess_bulk"])
    assert sorted(r_hat.x) == sorted(table["r_hat"])
    assert sorted(bulk.x) == sorted(table["ess_bulk"])
    assert sorted(tails.x) == sorted(table["ess_tail"])
    names = [text.split(":")[0] for text in r_hat.text]
    for row in table.itertuples():
        name = row.term if row.effect == "fixed" else f"{row.term}, {row.component}"
        assert r_hat.x[names.index(name)] == row.r_hat


def test_one_chain_has_no_ranks_and_no_r_hat(plotly, laplace):
    collection = bmx.plot.diagnostics(laplace, worst=1, backend="plotly")
    assert list(collection.viz["plot"]["column"].values) == ["trace"]
    traces, axis = panel(collection, "all parameters", "trace")
    assert [trace.name for trace in traces] == ["bulk", "tails"]
    assert axis.title.text == "effective sample size"
    (trace,), _ = panel(collection, "log density", "trace")
    np.testing.assert_array_equal(trace.y, laplace._drawn.log_density[0])


# --- coefficients and estimates ------------------------------------------------------------


def test_coefficients_are_those_of_the_summary(plotly, laplace):
    collection = bmx.plot.coefficients(laplace, ci=0.8, backend="plotly")
    table = laplace.summary(0.8)
    for term in ("Intercept", "Treatment[Treated]"):
        own = table[(table["term"] == term)].drop_duplicates(["term", "mean"])
        traces, _ = panel(collection, term)
        (line,), (points,) = marks(traces, "lines"), marks(traces, "markers")
        np.testing.assert_array_equal(points.x, own["mean"])
        ends = np.reshape(line.x, (-1, 3))
        np.testing.assert_array_equal(ends[:, :2], own[["lower", "upper"]])
        assert np.isnan(ends[:, 2]).all()
        assert len(points.text) == len(own)


def test_fits_side_by_side_have_a_colour_and_a_name_each(plotly, trial, laplace):
    fits = {"ML": trial.fit("em", seed=1), "Bayes": laplace}
    collection = bmx.plot.estimates(fits, backend="plotly")
    table = bmx.compare_estimates(fits)
    own = table[table["term"] == "Intercept"]
    points = marks(panel(collection, "Intercept")[0], "markers")
    assert [trace.name for trace in points] == ["ML", "Bayes"]
    for trace in points:
        np.testing.assert_array_equal(trace.x, own[f"{trace.name}_estimate"])
    assert points[0].marker.color != points[1].marker.color
    assert points[0].marker.symbol != points[1].marker.symbol
    assert (np.asarray(points[0].y) < np.asarray(points[1].y)).all()


def test_an_estimate_without_an_interval_is_hollow(plotly):
    data = pd.DataFrame({"y": [0.0, 1.0, 3.0, 5.0, 6.0]})
    held = bmx.Mixture("y ~ 1", data, k=1).fit("em", fixed_params={(1, "Intercept"): 2.5})
    traces, _ = panel(bmx.plot.coefficients(held, backend="plotly"), "Intercept")
    (point,) = marks(traces, "markers")
    assert (list(point.x), point.marker.color, list(point.text)) == ([2.5], "white", ["1: 2.5"])


def test_a_slash_in_a_term_is_no_path(plotly):
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, 6.0, 7.0], "x": np.arange(1.0, 7.0)})
    fit = bmx.Mixture("y ~ I(x / 2)", data, k=1).fit("em")
    figure = bmx.plot.coefficients(fit, backend="plotly").viz["figure"].item()
    assert "I(x / 2)" in {note.text for note in figure.layout.annotations}


# --- comparisons ---------------------------------------------------------------------------


def test_comparison_by_loo(plotly, trial, laplace):
    fits = {"three": laplace, "one": trial.with_k(1).fit("laplace", seed=1)}
    ranked = bmx.compare(fits, by="loo")
    collection = bmx.plot.compare(ranked, backend="plotly")
    (name,) = collection.viz["plot"].data_vars
    traces, _ = panel(collection, name)
    shown = {
        x: y for trace in marks(traces, "markers") for x, y in zip(trace.x, trace.y, strict=True)
    }
    assert shown == dict(zip(ranked.table["difference"], (0, 1), strict=True))
    last = ranked.table.iloc[-1]
    for line in marks(traces, "lines"):
        times = int(line.name[0])
        error = times * last["se_difference"]
        ends = [last["difference"] - error, last["difference"] + error]
        np.testing.assert_allclose(line.x[:2], ends)


def test_comparison_by_bic_has_no_errors(plotly, trial):
    fits = {f"k = {k}": trial.with_k(k).fit("em", seed=1) for k in (1, 2)}
    collection = bmx.plot.compare(fits, backend="plotly")
    (name,) = collection.viz["plot"].data_vars
    traces, axis = panel(collection, name)
    assert not marks(traces, "lines")
    bic = sorted(fit.bic for fit in fits.values())
    np.testing.assert_allclose(sorted(np.concatenate([t.x for t in traces])), [0, bic[1] - bic[0]])
    assert "BIC" in axis.title.text


# --- predictive checks ---------------------------------------------------------------------


def check(collection):
    (name,) = collection.viz["plot"].data_vars
    return panel(collection, name)


def test_rootogram_of_counts(plotly):
    data = pd.DataFrame({"y": [0, 0, 1, 1, 1, 1, 2, 3, 3]})
    fit = bmx.Mixture("y ~ 1", data, family="poisson", k=1).fit("em")
    traces, axis = check(bmx.plot.posterior_predictive(fit, draws=4000, ci=0.5, backend="plotly"))
    bars = next(trace for trace in traces if trace.type == "bar")
    seen = dict(zip(bars.x, bars.y, strict=True))
    for count, rows in {0: 2, 1: 4, 2: 1, 3: 2}.items():
        assert seen[count] == pytest.approx(rows**0.5)
    (points,) = marks([t for t in traces if t.type == "scatter"], "markers")
    (lines,) = marks([t for t in traces if t.type == "scatter"], "lines")
    chance = stats.poisson.pmf(points.x, data["y"].mean())
    number = stats.binom(len(data), chance)
    np.testing.assert_allclose(np.asarray(points.y) ** 2, number.median(), atol=1.01)
    ends = np.reshape(lines.y, (-1, 3))[:, :2] ** 2
    np.testing.assert_allclose(ends, np.transpose(number.interval(0.5)), atol=1.01)
    assert axis.title.text == "y"


def test_shares_of_rows_up_to_each_value(plotly):
    y = np.array([1.0, 2.5, 2.5, 4.0, 7.0])
    fit = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), k=1).fit("em")
    collection = bmx.plot.posterior_predictive(fit, kind="ecdf", draws=2000, backend="plotly")
    traces, _ = check(collection)
    observed = next(trace for trace in traces if trace.name == "observed")
    np.testing.assert_array_equal(observed.x[1:-1], np.unique(y))
    np.testing.assert_allclose(observed.y[1:-1], [0.2, 0.6, 0.8, 1.0])
    middle = next(t for t in traces if t.line.dash)
    # Medians of shares of five rows are fifths next to the distribution function.
    np.testing.assert_allclose(middle.y, stats.norm(y.mean(), y.std()).cdf(middle.x), atol=0.15)


def test_kaplan_meier_of_survival_times(plotly):
    data = pd.DataFrame({"t": [1.0, 2.0, 3.0, 4.0], "d": [1, 0, 1, 1]})
    fit = bmx.Mixture("surv(t, d) ~ 1", data, family="exponential", k=1).fit("em")
    traces, _ = check(bmx.plot.posterior_predictive(fit, draws=50, backend="plotly"))
    observed = next(trace for trace in traces if trace.name == "observed, Kaplan-Meier")
    steps = dict(zip(observed.x, observed.y, strict=True))
    assert {t: steps[t] for t in (1.0, 3.0, 4.0)} == pytest.approx({1.0: 0.75, 3.0: 0.375, 4.0: 0})


def test_density_between_its_edges(plotly):
    rng = np.random.default_rng(1)
    y = rng.normal(size=400)
    spec = bmx.Mixture("y ~ 1", pd.DataFrame({"y": y}), k=1)
    traces, _ = check(bmx.plot.prior_predictive(spec, kind="density", draws=20, backend="plotly"))
    observed = next(trace for trace in traces if trace.name == "observed")
    edges = np.asarray(observed.x)
    wanted = np.histogram(y, edges)[0] / len(y) / np.diff(edges)
    np.testing.assert_allclose(observed.y[:-1], wanted)
    low, high = (t for t in traces if t.name is None or (t.fill == "tonexty"))
    assert (np.asarray(low.y) <= np.asarray(high.y)).all()


# --- competing events ----------------------------------------------------------------------


def test_states_over_time_beside_aalen_johansen(plotly):
    data = bmx.load_data("mgus2").head(300)
    family = {"pcm": "weibull", "death": "gompertz"}
    spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, event="event", family=family)
    fit = spec.fit("em", seed=1)
    collection = bmx.plot.states(fit, by="sex", times=[0.0, 5.0, 10.0], backend="plotly")
    table = fit.aalen_johansen(by="sex", times=[0.0, 5.0, 10.0])
    assert len(collection.viz["plot"].data_vars) == 2
    for title in collection.viz["plot"].data_vars:
        sex = str(title).split(" = ")[1][0]
        traces, axis = panel(collection, title)
        assert axis.title.text == "years"
        assert {t.name for t in traces if t.name} == {"death", "pcm", "no event yet"}
        for state in ("death", "pcm"):
            own = table[(table["sex"] == sex) & (table["state"] == state)]
            curve, steps, limits = (t for t in traces if t.name == state and t.mode == "lines")
            model, free = (own[own["source"] == s] for s in ("model", "nonparametric"))
            np.testing.assert_allclose(curve.y, model["estimate"])
            np.testing.assert_allclose(steps.y, free["estimate"])
            ends = np.reshape(limits.y, (-1, 3))
            for at, low, high in zip(limits.x[::3], ends[:, 0], ends[:, 1], strict=True):
                now = free[free["time"] <= at].iloc[-1]
                assert (low, high) == (now["lower"], now["upper"])
    assert "all rows" in bmx.plot.states(fit, backend="plotly").viz["plot"].data_vars


# --- bokeh ---------------------------------------------------------------------------------


def test_bokeh_draws_the_same_numbers(chains):
    pytest.importorskip("bokeh", reason=REASON)
    collection = bmx.plot.diagnostics(chains, worst=0, backend="bokeh")
    own = collection.viz["plot"]["log density"].sel(column="trace").item()
    lines = [glyph.data_source.data["y"] for glyph in own.renderers]
    for line, chain in zip(lines, chains._drawn.log_density, strict=True):
        np.testing.assert_array_equal(line, chain)
    assert [item.label.value for item in own.legend[0].items] == [f"chain {c}" for c in range(4)]
    collection = bmx.plot.posterior_predictive(chains, draws=20, backend="bokeh")
    (name,) = collection.viz["plot"].data_vars
    assert name == "proportion, p(Deaths, Total)"


# --- which backend -------------------------------------------------------------------------


def test_matplotlib_stays_the_default(laplace):
    for backend in (None, "matplotlib"):
        axes = bmx.plot.coefficients(laplace, backend=backend)
        assert all(isinstance(ax, Axes) for ax in axes)
    assert isinstance(bmx.plot.membership(laplace, backend="matplotlib"), Axes)


def test_every_picture_takes_a_backend_or_says_which_do(trial, laplace):
    static = set(bmx.plot.__all__) - set(picture.PICTURES)
    assert static == {
        *("effects", "fitted", "membership", "mixing", "profile", "residuals", "rootogram"),
        *("selection", "survival", "ternary", "trajectories"),
    }
    for name in static:
        shown = bmx.select(laplace.spec, k=[1]) if name == "selection" else laplace
        more = ["x"] if name == "effects" else []
        with pytest.raises(bmx.FitError) as found:
            getattr(bmx.plot, name)(shown, *more, backend="plotly")
        words = str(found.value)
        assert words.startswith(f"{name}() is drawn by matplotlib only")
        assert all(other in words for other in picture.PICTURES)


@pytest.mark.parametrize("backend", ["plotly", "bokeh"])
def test_a_note_on_a_sample_stands_beside_the_title(plotly, backend, monkeypatch):
    pytest.importorskip(backend, reason=REASON)
    monkeypatch.setattr(survey, "SAMPLE", 100)
    data = pd.DataFrame({"y": np.random.default_rng(1).poisson(3.0, 400)})
    spec = bmx.Mixture("y ~ 1", bmx.scan(data, rows=50), family="poisson", k=1)
    fit, note = spec.fit("em", seed=1), r"drawn from a sample of \d+ of 400 rows"
    for title in ("Counts", None):
        look = {} if title is None else {"title": title}
        found = bmx.plot.posterior_predictive(fit, draws=20, backend=backend, **look)
        if backend == "plotly":
            text = found.viz["figure"].item().layout.title.text
        else:
            text = next(iter(found.viz["plot"].data_vars.values())).values.flat[0].title.text
        assert re.fullmatch(rf"{title or ''}.*\({note}\)|{note}", text), text
        assert title is None or text.startswith(f"{title} (")


def test_unknown_backends_and_axes_are_refused(plotly, laplace):
    for name in ("coefficients", "membership"):
        with pytest.raises(bmx.FitError, match=r"backend='ggplot' is unknown; use one of 'matplo"):
            getattr(bmx.plot, name)(laplace, backend="ggplot")
    with pytest.raises(bmx.FitError, match="ax= takes matplotlib's axes"):
        bmx.plot.posterior_predictive(laplace, backend="plotly", ax=plt.subplots()[1])


@pytest.mark.parametrize(("backend", "missing"), [("plotly", "webcolors"), ("bokeh", "bokeh")])
def test_a_missing_package_is_named_with_what_installs_it(laplace, monkeypatch, backend, missing):
    there = importlib.util.find_spec

    def find(name, *rest):
        return None if name == missing else there(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    with pytest.raises(
        bmx.FitError, match=rf"needs (plotly and )?{missing}: pip install 'bayesmix\["
    ):
        bmx.plot.coefficients(laplace, backend=backend)
