"""Reports: what the page says against the fits, and that it needs nothing but itself."""

import doctest
import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import bayesmix as bmx
from bayesmix import reporting
from bayesmix.errors import FitError
from bayesmix.families import FAMILIES
from bayesmix.formula.sources import survey
from bayesmix.plot.grid import Covariates
from bayesmix.reporting import equations, files
from bayesmix.reporting.blocks import Picture, Table
from bayesmix.reporting.chosen import typical_rows
from bayesmix.reporting.code import model_code
from bayesmix.reporting.convergence import chains, convergence, posterior_warnings
from bayesmix.reporting.criteria import criteria, criteria_doubts
from bayesmix.reporting.page import equation_svg
from bayesmix.reporting.sections import make_sections
from bayesmix.reporting.slider_numbers import slider_values
from bayesmix.reporting.subject import Subject
from bayesmix.results.describe import model_sentences

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)


class Page(HTMLParser):
    """A page taken apart: tags with attributes, headings, tables and code."""

    EMPTY = ("meta", "link", "img", "input")

    def __init__(self, text):
        super().__init__()
        self.tags, self.stack, self.headings, self.tables, self.code = [], [], [], [], []
        self.words = ""
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.stack.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append([tag, ""])
        if tag == "table":
            self.tables.append({"caption": "", "rows": []})
        if tag == "tr":
            self.tables[-1]["rows"].append([])
        if tag in ("th", "td"):
            self.tables[-1]["rows"][-1].append("")
        if tag == "code":
            self.code.append("")

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if not self.stack or "style" in self.stack:
            return
        self.words += data
        if self.headings and self.stack[-1] == self.headings[-1][0]:
            self.headings[-1][1] += data
        if "caption" in self.stack:
            self.tables[-1]["caption"] += data
        if self.stack[-1] in ("th", "td"):
            self.tables[-1]["rows"][-1][-1] += data
        if self.stack[-1] == "code":
            self.code[-1] += data

    def table(self, start):
        found = next(t for t in self.tables if t["caption"].startswith(start))
        head, *rows = found["rows"]
        return pd.DataFrame(rows, columns=head)


def made(tmp_path, fits, **options):
    file = tmp_path / "report.html"
    assert bmx.report(fits, file, **options)[0] == file
    return Page(file.read_text("utf-8"))


# --- models of every shape -------------------------------------------------------------------


def lines(n=60, **columns):
    rng = np.random.default_rng(3)
    x = rng.uniform(1, 3, n)
    y = np.where(np.arange(n) % 2, 5 + 2 * x, -x) + rng.normal(0, 0.3, n)
    return pd.DataFrame({"x": x, "y": y} | columns)


def nested():
    data = lines(z=np.tile([0.0, 1.0, 2.0], 20))
    return bmx.Mixture("y ~ 1", data, k=2, nested=[("~ x", 1), ("~ x + z", 1)], dispersion="fixed")


def odd_names():
    data = lines(**{"a_b %$&": np.tile(["<1>", "&2", "3_^~\\"], 20)})
    data = data.rename(columns={"a_b %$&": "a_b"})
    return bmx.Mixture("y ~ x + a_b + I(x**2)", data, k=2)


def several():
    data = lines(count=np.arange(60) % 7)
    parts = [bmx.Regression("y ~ x"), bmx.Regression("count ~ 1", family="poisson", fixed="~ x")]
    return bmx.Mixture(parts, data, k=2)


def grouped():
    data = lines(g=np.repeat(np.arange(30), 2), w=np.repeat([1, 2, 1], 20))
    data["known"] = pd.Series(["left", "right"]).reindex(range(60))
    data.loc[5, "y"] = np.nan
    data = data.assign(g=np.arange(60))
    return bmx.Mixture("y ~ x | g", data, k=2, weights="w", labels="known", na_action="drop",
                       concomitant="~ x")  # fmt: skip


def zeros():
    counts = np.where(np.arange(60) % 3 == 0, 0, np.random.default_rng(1).poisson(4, 60))
    return bmx.Mixture("y ~ 1", lines().assign(y=counts), family=["zero", "poisson"], k=2)


def own_family():
    waiting = bmx.Family(
        "waiting_time",
        params={"rate": "log"},
        location="rate",
        logpdf=lambda y, rate: np.log(rate) - rate * y,
        valid=lambda y: y >= 0,
    )
    return bmx.Mixture("y ~ x", lines().assign(y=lambda d: d["y"].abs()), family=waiting, k=1)


def events():
    data = bmx.load_data("mgus2").head(300)
    return bmx.CompetingRisks(
        {"pcm": "surv(years, status) ~ age10", "death": "surv(years, status) ~ age10 + sex"},
        data,
        event="event",
        family={"pcm": "weibull", "death": "gompertz"},
        ancillary={"pcm": {"shape": "~ sex"}},
        concomitant="~ sex",
    )


MODELS = {
    "events": events,
    "nested": nested,
    "odd_names": odd_names,
    "several": several,
    "grouped": grouped,
    "zeros": zeros,
    "own_family": own_family,
}


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
    return {"ML": spec.fit("em", seed=1), "Bayes": spec.fit("laplace", seed=1)}


@pytest.fixture(scope="module")
def trial_page(trial, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial")
    page = made(folder, trial, tables=folder / "tables", code="data = read('trial.csv')")
    return page, folder


@pytest.fixture
def no_pictures(monkeypatch):
    """Leave out the drawing, which takes most of the time, where it is not the point."""

    class NoPlot:
        def __getattr__(self, name):
            raise FitError(f"{name}() is left out in this test")

    monkeypatch.setattr(reporting.pictures, "plot", NoPlot())


# --- the page as such ------------------------------------------------------------------------


def check_page(page):
    kinds = [kind for kind, _ in page.headings]
    assert kinds.count("h1") == 1
    assert kinds[0] == "h1"
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "video")
        assert tag != "script" or attributes.keys() <= {"type"}  # nothing from elsewhere
        for name in ("src", "href", "data", "action", "srcset"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#")), (tag, attributes[name][:60])
        if tag == "img":
            assert attributes["alt"].strip()
        if tag == "th":
            assert attributes["scope"] in ("col", "row")
        assert not any(name.startswith("on") for name in attributes)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids
    assert all(table["caption"] for table in page.tables)
    assert all(len({len(row) for row in table["rows"]}) == 1 for table in page.tables)
    assert dict(page.tags)["html"]["lang"] == "en"
    # Style sheets may reach out too.
    assert "nan" not in re.findall(r"[a-z]+", page.words)
    assert "None" not in page.words.replace("None given", "")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_page_of_every_shape_of_model(name, tmp_path):
    fit = MODELS[name]().fit("em", seed=1)
    page = made(tmp_path, fit, tables=tmp_path / "t")
    check_page(page)
    assert len(list((tmp_path / "t").glob("*.csv"))) == len(list((tmp_path / "t").glob("*.tex")))
    titles = [title for kind, title in page.headings if kind == "h2"]
    assert titles[:2] == ["In short", "Can the fits be relied on?"]
    assert "Methods, for a paper" in titles
    assert ("Memberships" in titles) == (fit.k > 1)
    assert ("Events over time" in titles) == (name == "events")
    curves = re.findall(r"(\w+): data and means of the components", page.words)
    blocks = fit.spec.spec.layout.blocks
    without_means = name in ("own_family", "events")
    assert len(curves) == (0 if without_means else len(blocks))
    style = (tmp_path / "report.html").read_text("utf-8").split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_a_selection_has_a_slider_over_the_numbers_of_components(tmp_path):
    data = bmx.load_data("fabricfault")
    spec = bmx.Mixture("Faults ~ log(Length)", data, family="poisson")
    selection = bmx.select(spec, k=[1, 2, 3], seed=1)
    page = made(tmp_path, selection)
    check_page(page)
    items = [a["data-item"] for _, a in page.tags if "data-item" in a]
    assert items == ["k = 1", "k = 2", "k = 3"]
    slider, *others = [a for tag, a in page.tags if tag == "input"]
    assert len(others) == 3  # the length, below the picture of each number
    assert (slider["type"], slider["min"], slider["max"]) == ("range", "0", "2")
    assert page.words.count("data and means of the components") == 3
    # A click on a unit draws its memberships: the columns after the row's name.
    bars = [a["data-bars"] for tag, a in page.tags if tag == "table" and "data-bars" in a]
    assert bars == ["1,2", "1,2,3"]


@pytest.mark.parametrize("method", ["em", "laplace"])
def test_data_in_blocks_are_reported_by_a_sample(tmp_path, monkeypatch, method):
    monkeypatch.setattr(survey, "SAMPLE", 300)
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(400), 3)
    group, x = unit % 2, rng.normal(size=1200)
    data = pd.DataFrame({"y": rng.poisson(np.exp(1 + group + 0.3 * x)), "x": x, "unit": unit})
    fits = [
        bmx.Mixture("y ~ x | unit", given, family="poisson", k=2).fit(method, seed=1)
        for given in (data, bmx.scan(data, rows=500))
    ]
    whole, blocks = (
        {file.stem: pd.read_csv(file) for file in bmx.report(
            fit, tmp_path / "page.html", tables=tmp_path / str(n)) if file.suffix == ".csv"}
        for n, fit in enumerate(fits)
    )  # fmt: skip
    for name in (f"summary_{method}", *(["criteria"] if method == "em" else [])):
        pd.testing.assert_frame_equal(whole[name].iloc[:, :5], blocks[name].iloc[:, :5], rtol=0.05)
    n = fits[1].numbers.spec.rows.sample.n
    assert len(blocks[f"predictions_{method}"]) == n < 1200
    said = f"pictures are of a sample of {n} of 1,200 rows; estimates, their errors and criteria"
    assert said in (tmp_path / "page.html").read_text("utf-8")
    note, *_, units = bmx.explore(fits[1]).blocks
    assert said in note.text
    assert len(units.blocks[0].frame) == n / 3


def chosen(shown, place):
    """The numbers (line, estimate or limit, time) that a slider at this place shows, and axes."""
    numbers = json.loads(re.search(r'application/json">(.*?)</script>', shown)[1])
    low, high = numbers["ends"]
    return low + (high - low) * np.array(numbers["values"][place]) / 1000, numbers["axes"]


def test_sliders_show_the_numbers_of_the_fit():
    data = bmx.load_data("mgus2")
    spec = bmx.CompetingRisks(
        "surv(years, status) ~ age", data, "event", "exponential", concomitant="~ sex"
    )
    fit = spec.fit("em", seed=1)
    values, (ages, sexes, times) = chosen(bmx.explore(fit)._repr_html_(), 2 * 8 + 1)
    assert (ages[0], ages[8], sexes, len(times)) == ("48", "88", ["F", "M"], 41)
    subject = pd.DataFrame({"age": [88], "sex": ["M"]})
    table = fit.state_probabilities(np.linspace(0, data["years"].max(), 41), subject)
    for line, state in zip(values, ["death", "pcm", "start"], strict=True):
        own = table.loc[table["state"] == state, ["estimate", "lower", "upper"]]
        np.testing.assert_allclose(line.T, own, atol=6e-4)


def test_sliders_of_survival_times_and_of_many_covariates():
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(80, 5)), columns=list("abcde"))
    data["t"] = rng.weibull(1.5, 80) * np.exp(data["a"])
    fit = bmx.Mixture("surv(t) ~ a + b + c + d + e", data, family="weibull", k=1).fit("em", seed=1)
    values, axes = chosen(bmx.explore(fit)._repr_html_(), 0)
    assert [len(given) for given in axes[:5]] == [2] * 5
    first = {
        name: [float(v[0].replace(files.MINUS, "-"))]
        for name, v in zip("abcde", axes[:5], strict=True)
    }
    row = pd.DataFrame(first)
    own = fit.survival(np.linspace(0, data["t"].max(), 41), row, by="marginal")
    np.testing.assert_allclose(values[0][0], own["estimate"], atol=6e-4)
    with pytest.raises(bmx.FitError, match="has neither"):
        bmx.explore(bmx.Mixture("t ~ 1", data, k=1).fit("em", seed=1))


def test_sliders_of_factors_outlast_those_of_numbers():
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(60, 6)), columns=list("abcdef"))
    data["year"], data["sex"] = rng.integers(1990, 1999, 60), np.repeat(["F", "M"], 30)
    known = Covariates(("a", "b", "c", "d", "e", "f", "year"), ("sex",))
    grid = slider_values(data, known)
    assert {name: len(values) for name, values in grid.items()} == dict.fromkeys("abcde", 2) | {
        "sex": 2
    }
    grid = slider_values(data, Covariates(("a", "year"), ("sex",)))
    assert [len(values) for values in grid.values()] == [5, 5, 2]
    assert set(grid["year"]) <= set(range(1990, 1999))
    mostly = pd.DataFrame({"a": np.where(np.arange(60) < 59, 0.3, 2.0)})
    assert slider_values(mostly, Covariates(("a",), ())) == {"a": [0.3]}


def test_sliders_show_means_and_weights_of_every_component():
    data = bmx.load_data("patent").assign(kind=np.tile(["x", "y"], 35), spent=2.0)
    spec = bmx.Mixture(
        "Patents ~ kind + lgRD + offset(log(spent))", data, k=2, family="poisson",
        concomitant="~ RDS",
    )  # fmt: skip
    fit = spec.fit("em", seed=1)
    means, weights, _ = bmx.explore(fit).blocks
    assert means.caption.endswith("Held: spent = 2 (median)")
    assert [name for name, _ in (*means.axes, *weights.axes)] == ["RDS", "kind"]
    assert (means.label, weights.label) == ("lgRD", "RDS")
    assert means.ticks[-1] > np.nanmax(means.values[..., 0])
    at = [float(given[7].replace(files.MINUS, "-")) for _, given in means.axes[:1]]
    row = pd.DataFrame({"RDS": at, "kind": "y", "lgRD": data["lgRD"].max(), "spent": 2.0})
    own = bmx.predictions(fit, row)[["estimate", "lower", "upper"]]
    np.testing.assert_allclose(means.values[2 * 7 + 1, :, -1], own, rtol=2e-3)
    of_weights = bmx.predictions(fit, {"RDS": [data["RDS"].max()]}, what="weight")
    np.testing.assert_allclose(weights.values[0, :, -1, 0], of_weights["estimate"], rtol=1e-9)


def test_sliders_show_the_probabilities_of_levels():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": np.tile(["a", "b"], 60), "y": rng.choice(["l", "m", "n"], 120)})
    fit = bmx.Mixture("y ~ g", data, family="categorical", k=1).fit("em", seed=1)
    (block,) = bmx.explore(fit).blocks
    assert block.axes == (("of", ("l", "m", "n")),)
    seen = pd.crosstab(data["y"], data["g"], normalize="columns").to_numpy()
    np.testing.assert_allclose(block.values[:, 0, :, 0], seen, atol=1e-6)
    data = data.rename(columns={"g": "of"}).assign(x=rng.normal(size=120))
    fit = bmx.Mixture("y ~ x + of", data, family="categorical", k=1).fit("em", seed=1)
    (block,) = bmx.explore(fit).blocks
    assert block.axes == (("of", ("a", "b")), ("of", ("l", "m", "n")))
    own = bmx.predictions(fit, {"x": [data["x"].max()], "of": ["b"]})
    whole = own.loc[own["component"].isna(), "estimate"]
    np.testing.assert_allclose(block.values[3:, 0, -1, 0], whole, rtol=1e-9)


def test_means_that_are_infinite_have_no_sliders():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.normal(size=100)})
    data["y"] = np.exp(2 * rng.logistic(size=100) + data["x"])  # no mean: its tail is y^-0.5
    fit = bmx.Mixture("y ~ x", data, family="loglogistic", k=1).fit("em", seed=1)
    (block,) = bmx.explore(fit).blocks
    assert block.text.endswith("not available: all are infinite or unknown")


def test_unknown_limits_stay_unknown():
    """Nobody in group a has event y: its probability is at the boundary and has no interval."""
    rng, n = np.random.default_rng(1), 200
    data = pd.DataFrame({"g": np.repeat(["a", "b"], n // 2), "t": rng.exponential(size=n), "s": 1})
    data["event"] = np.where((data["g"] == "a") | (rng.random(n) < 0.5), "x", "y")
    spec = bmx.CompetingRisks("surv(t, s) ~ 1", data, "event", "exponential", concomitant="~ g")
    with pytest.warns(bmx.DegenerateWarning):
        fit = spec.fit("em", seed=1)
    with pytest.warns(bmx.IdentifiabilityWarning):
        shown = bmx.explore(fit)._repr_html_()
    assert "with 95% intervals where they are known" in shown
    numbers = json.loads(re.search(r'application/json">(.*?)</script>', shown)[1])
    a, b = numbers["values"]
    assert a[0][0][1] > 0  # of event x in group a at the second time
    for event in a:
        assert event[1][1:] == event[2][1:] == [None] * 40
    assert None not in b[0][1] + b[0][2] + b[1][1] + b[1][2]


def test_memberships_are_open_where_nothing_else_is_shown(patents):
    assert "<details open>" not in bmx.explore(patents)._repr_html_()
    alone = bmx.Mixture("Patents ~ 1", bmx.load_data("patent"), family="poisson", k=2)
    assert "<details open>" in bmx.explore(alone.fit("em", seed=1))._repr_html_()


@pytest.mark.skipif(BROWSER is None, reason="no Chromium")
def test_sliders_over_covariates_work_in_a_browser(tmp_path):
    data = bmx.load_data("mgus2")
    spec = bmx.CompetingRisks(
        "surv(years, status) ~ age", data, "event", "exponential", concomitant="~ sex"
    )
    shown = bmx.explore(spec.fit("em", seed=1))._repr_html_()
    values, _ = chosen(shown, 2 * 8 + 1)
    code = """onload = () => {
      const inputs = document.querySelectorAll(".sliders input");
      [8, 1, 40].forEach((place, i) => { inputs[i].value = place; });
      inputs[0].dispatchEvent(new Event("input"));
      document.title = document.querySelector(".sliders li output").textContent;
    }"""
    (tmp_path / "page.html").write_text(f"<body>{shown}<script>{code}</script></body>", "utf-8")
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom",
         (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    low, high = values[0][1:, 40]
    assert f"<title>{values[0][0, 40]:.3f} ({low:.3f} to {high:.3f})</title>" in done.stdout


@pytest.mark.skipif(BROWSER is None, reason="no Chromium")
def test_the_slider_and_a_click_work_in_a_browser(tmp_path):
    data = bmx.load_data("fabricfault")
    spec = bmx.Mixture("Faults ~ log(Length)", data, family="poisson")
    made(tmp_path, bmx.select(spec, k=[1, 2, 3], seed=1))
    text = (tmp_path / "report.html").read_text("utf-8")
    code = """onload = () => {
      const slider = document.querySelector(".choice input");
      slider.value = 2;
      slider.dispatchEvent(new Event("input"));
      const shown = [...document.querySelectorAll("[data-item]")].filter(e => !e.hidden);
      const row = document.querySelector("table[data-bars] tbody tr");
      row.click();
      const meters = row.nextElementSibling.querySelectorAll("meter");
      const sum = [...meters].reduce((total, meter) => total + meter.value, 0);
      document.title = [shown.length, shown[0].dataset.item, meters.length, sum.toFixed(2)].join();
    }"""
    (tmp_path / "report.html").write_text(
        text.replace("</body>", f"<script>{code}</script></body>")
    )
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom",
         (tmp_path / "report.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "<title>1,k = 3,2,1.00</title>" in done.stdout


def test_the_page_of_two_fits(trial_page):
    page = trial_page[0]
    check_page(page)
    assert page.headings[0][1] == "Mixture of 3 regressions of p(Deaths, Total)"
    assert "data = read('trial.csv')" in page.code
    assert sum(tag == "img" for tag, _ in page.tags) > 8
    # One picture as PNG, equations as SVG, each in the page itself.
    sources = [a["src"][:22] for tag, a in page.tags if tag == "img"]
    assert set(sources) == {"data:image/png;base64,", "data:image/svg+xml;bas"}


@pytest.mark.skipif(BROWSER is None, reason="no Chromium")
@pytest.mark.parametrize("width", [340, 1200])
def test_a_browser_shows_it_without_the_network(trial_page, tmp_path, width):
    text = (trial_page[1] / "report.html").read_text("utf-8")
    code = """onload = () => {
      const page = document.querySelector("iframe"), root = page.contentDocument;
      const images = [...root.querySelectorAll("img")];
      const asked = page.contentWindow.performance.getEntriesByType("resource");
      document.title = [root.documentElement.scrollWidth, images.length,
        images.filter(i => !(i.complete && i.naturalWidth)).length,
        asked.filter(e => !e.name.startsWith("data:")).length].join(" ");
    }"""
    outer = tmp_path / "outer.html"
    outer.write_text(
        f"<title></title><script>{code}</script>"
        f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{html.escape(text)}">',
        "utf-8",
    )
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom",
         outer.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    shown, images, broken, asked = map(
        int, re.search(r"<title>(.*?)</title>", done.stdout)[1].split()
    )
    assert shown <= width  # no part of the page is wider than the screen
    assert images == text.count("<img ")
    assert (broken, asked) == (0, 0)
    assert "CONSOLE" not in done.stderr


# --- what it says ----------------------------------------------------------------------------


def plain(text):
    return float(text.replace(files.MINUS, "-"))


def test_estimates_stand_side_by_side_as_compare_estimates_has_them(trial, trial_page):
    page, folder = trial_page
    wanted = bmx.compare_estimates(trial)
    stored = pd.read_csv(folder / "tables" / "estimates.csv")
    pd.testing.assert_frame_equal(stored, pd.DataFrame(wanted), check_exact=False, rtol=1e-12)
    shown = page.table("Estimates side by side")
    assert shown["component"].tolist() == ["all", "1", "2", "3", "1", "2", "3"]
    once = wanted.drop([1, 2]).reset_index(drop=True)
    for name in trial:
        np.testing.assert_allclose(
            [plain(v) for v in shown[name]], once[f"{name}_estimate"], rtol=6e-4
        )
        ends = shown[f"{name}, 95% interval"].str.split(" to ", expand=True)
        for end, column in enumerate(("lower", "upper")):
            found = [plain(v) for v in ends[end]]
            np.testing.assert_allclose(found, once[f"{name}_{column}"], rtol=6e-4)


def test_the_numbers_of_a_point_fit(patents, tmp_path, no_pictures):
    page = made(tmp_path, patents, tables=tmp_path)
    # The log-likelihood that the vignette of R's flexmix prints is -197.6753.
    assert f"reached the best log-likelihood, {files.MINUS}197.6750" in page.words
    assert "The fit ended well; there are no warnings." in page.words
    table = page.table("Criteria of point fits")
    assert plain(table["BIC"][0]) == pytest.approx(2 * 197.6753 + 10 * np.log(70), abs=6e-3)
    members = pd.read_csv(tmp_path / "memberships_em.csv")
    np.testing.assert_allclose(members.filter(like="component ").sum(axis=1), 1, rtol=1e-12)
    sizes = page.table("Sizes of the components")
    assert sizes["units where it is most probable"].astype(int).tolist() == [12, 45, 13]
    predicted = pd.read_csv(tmp_path / "predictions_em.csv")
    np.testing.assert_allclose(predicted["predicted"], patents.predict(by="marginal"), rtol=1e-12)
    assert (predicted["Patents"].to_numpy() == bmx.load_data("patent")["Patents"]).all()
    columns = page.table("The columns in use")
    assert columns["used as"].tolist() == ["response", "covariate", "concomitant"]
    assert columns["values"][0] == "0 to 173, median 4"


def test_warnings_come_first_and_in_words(tmp_path, no_pictures):
    data = pd.DataFrame({"y": [0, 0, 0, 1, 1, 1], "x": [1.0, 2, 3, 4, 5, 6]})
    with pytest.warns(bmx.DegenerateWarning):
        fit = bmx.Mixture("y ~ x", data, family="binomial", k=1).fit("em", seed=1)
    page = made(tmp_path, fit)
    check_page(page)
    warned = page.words.index("Warning: the likelihood keeps rising")
    assert warned < page.words.index("How the fits ended") < page.words.rindex("The model")
    assert "there are no warnings" not in page.words
    assert page.table("How the fits ended")["status"].tolist() == ["boundary"]


def test_a_seldom_reached_best_is_told(patents):
    from bayesmix.reporting.convergence import point_warnings

    with pytest.warns(bmx.ConvergenceWarning, match="of 20 starts"):
        fit = patents.spec.with_k(4).fit("em", seed=1)
    assert "of 20 starts reached" in point_warnings(fit)[0]
    assert point_warnings(patents) == []


def test_a_poor_laplace_approximation_is_told(trial):
    from bayesmix.reporting.convergence import posterior_warnings

    class Fit:
        method, khat, modes = "laplace", 0.9, trial["Bayes"].modes

    assert "Pareto k-hat is 0.90" in posterior_warnings(Fit)[0]
    Fit.khat = np.nan  # no estimate is no good one
    assert posterior_warnings(Fit)
    modes = pd.DataFrame({"log_density": [0, -1], "share": [0.7, 0.3], "chains": [1, 0]}).assign(
        apart=""
    )
    Fit.khat, Fit.modes = 0.1, modes
    assert "about 30% of the mass" in posterior_warnings(Fit)[0]


def test_chains_that_disagree_are_told():

    finding = "slow mixing: the largest R-hat is 1.20. Draw more"
    table = pd.DataFrame({"r_hat": [1.2, 1.0], "ess_bulk": [35.4, 900.0]})

    sizes = SimpleNamespace(sizes={"chain": 4, "draw": 1000})

    class Chains:
        method, spec, loo, waic = "nuts", None, None, None
        modes = pd.DataFrame({"log_density": [0.0], "share": [1.0], "chains": [4]}).assign(apart="")

        @property
        def data(self):
            return {"posterior": sizes}

        def diagnostics(self):
            return SimpleNamespace(
                findings=[finding], table=table, divergences=0.015, healthy=False, kinds=()
            )

    warned, ends = convergence(Subject({"Bayes": Chains()}))
    assert (warned.text, warned.kind) == (finding, "warning")
    status, words = ends.frame.iloc[0][["status", "in numbers"]]
    assert status == "see the warnings"
    assert words == (
        "4 chains of 1,000 draws; largest R-hat 1.200, smallest effective sample size 35, "
        "1.5% of transitions divergent"
    )


def test_missed_modes_are_told_once(trial):
    modes = pd.DataFrame({"share": [0.7, 0.3], "chains": [4, 0], "apart": ["", ""]})
    for finding, words in (("unvisited modes: one", 1), ("divergences: some", 2)):
        found = SimpleNamespace(findings=[finding], kinds=(finding.split(":")[0],))
        fit = SimpleNamespace(method="nuts", modes=modes, diagnostics=lambda found=found: found)
        assert len(posterior_warnings(fit)) == words


def test_a_doubtful_criterion_is_told_where_the_fits_are_judged(trial, trial_page):
    page = trial_page[0]
    bayes = trial["Bayes"]
    variance = bayes.data["log_likelihood"]["p(Deaths, Total)"].var(("chain", "draw"), ddof=1)
    assert (variance > 0.4).any()  # where WAIC cannot be relied on
    # LOO can be relied on and replaces it: no alarm where the fits are judged.
    assert criteria_doubts(Subject(trial)) == []
    (first, _) = convergence(Subject(trial))
    assert first.text.startswith("All fits ended well")
    assert "Bayes: read LOO, which can be relied on here" in page.words


def test_the_events_have_their_probabilities_over_time(tmp_path):
    fit = events().fit("em", seed=1)
    (section,) = [s for s in make_sections(Subject({"em": fit})) if s.title == "Events over time"]
    picture, details, sliders, typical = section.blocks
    assert [name for name, _ in sliders.axes] == ["age10", "sex"]
    assert "Probability of each of death, pcm and of no event, along years" in picture.alt
    pd.testing.assert_frame_equal(details.blocks[0].frame, fit.aalen_johansen())
    # Women and men with the median age, each with both events.
    age = bmx.load_data("mgus2").head(300)["age10"].median()
    subjects = pd.DataFrame({"age10": [age, age], "sex": pd.Categorical(["F", "M"])})
    wanted = fit.event_probabilities(subjects)
    assert (
        typical.frame[["sex", "event"]].to_numpy().tolist()
        == wanted[["sex", "event"]].to_numpy().tolist()
    )
    for end in ("estimate", "lower", "upper"):
        np.testing.assert_allclose(typical.frame[f"probability {end}"], wanted[end])
        mean, median = fit.mean_time(subjects), fit.quantile_time(0.5, subjects)
        np.testing.assert_allclose(typical.frame[f"mean time {end}"], mean[end])
        np.testing.assert_allclose(typical.frame[f"median time {end}"], median[end])


def test_typical_subjects_are_few_and_may_have_no_covariates():
    data = bmx.load_data("mgus2").head(300)
    data["clinic"] = np.resize(list("abcdefghi"), len(data))
    family = {"pcm": "weibull", "death": "gompertz"}
    formula = "surv(years, status) ~ "
    alike = bmx.CompetingRisks(formula + "1", data, event="event", family=family).spec
    assert typical_rows(alike).shape == (1, 0)
    # Nine clinics are too many; they stay at the first.
    many = bmx.CompetingRisks(formula + "clinic + sex", data, event="event", family=family).spec
    rows = typical_rows(many)
    assert rows[["clinic", "sex"]].to_numpy().tolist() == [["a", "F"], ["a", "M"]]


def test_chains_have_a_picture(trial):
    drawn = trial["Bayes"]._drawn
    theta = drawn.theta.reshape(4, -1, drawn.theta.shape[-1])
    level = drawn.log_density.reshape(4, -1)
    several = replace(drawn, method="nuts", theta=theta, log_density=level, stats={})
    post = type(trial["Bayes"])(several, trial["Bayes"]._point)
    (picture,) = chains(Subject({"Bayes": post, "Laplace": trial["Bayes"]}))
    assert picture.alt.startswith("R-hat and effective sample sizes")
    assert "log density, " in picture.alt
    assert picture.png[:4] == b"\x89PNG"
    assert not list(chains(Subject({"Laplace": trial["Bayes"]})))


def test_tables_of_like_names_do_not_overwrite_each_other(tmp_path):
    made_tables = [
        Table(name, "", pd.DataFrame({"x": [n]})) for n, name in enumerate(("a b", "a-b"))
    ]
    written = files.write_tables(tmp_path, made_tables)
    assert [file.name for file in written] == ["a-b.csv", "a-b.tex", "a-b-2.csv", "a-b-2.tex"]
    assert pd.read_csv(tmp_path / "a-b-2.csv")["x"].tolist() == [1]


def test_fits_that_cannot_be_compared_say_why(patents, tmp_path, no_pictures):
    data = bmx.load_data("patent").iloc[:60]
    other = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=2).fit(seed=1)
    page = made(tmp_path, {"all rows": patents, "60 rows": other})
    check_page(page)
    assert "The estimates do not stand side by side: " in page.words
    assert "These fits cannot be ranked: " in page.words
    assert page.words.count("the number of rows (70 and 60)") == 2
    assert page.table("Estimates of 60 rows")["term"].tolist()[0] == "Intercept"
    assert [t for k, t in page.headings if k == "h3"] == [
        "The model of all rows",
        "The model of 60 rows",
    ]


def test_fits_with_other_numbers_of_components_are_ranked(patents, tmp_path, no_pictures):
    two = patents.spec.with_k(2).fit(seed=1)
    page = made(tmp_path, {"two": two, "three": patents}, tables=tmp_path)
    assert page.table("Ranking by BIC")["fit"].tolist() == ["three", "two"]
    assert "The estimates do not stand side by side" in page.words
    ranked = bmx.compare({"two": two, "three": patents}, "bic")
    assert ranked.verdict in page.words
    shown = page.table("Ranking by BIC")["difference to the best"]
    assert [plain(v) for v in shown] == [0.0, round(two.bic - patents.bic, 2)]
    assert page.headings[0][1] == "Mixtures of regressions of Patents"


def test_a_ranking_has_a_picture(patents):
    fits = {"two": patents.spec.with_k(2).fit(seed=1), "three": patents}
    (picture,) = [block for block in criteria(Subject(fits)) if isinstance(block, Picture)]
    assert picture.png[:4] == b"\x89PNG"
    behind = fits["two"].bic - fits["three"].bic
    assert picture.alt.endswith(f"three 0.0, two {behind:.1f}.")
    assert not [b for b in criteria(Subject({"one": patents})) if isinstance(b, Picture)]


def test_fits_of_one_model_stand_side_by_side_beside_those_of_another(
    patents, tmp_path, no_pictures
):
    fits = {"ML": patents, "MAP": patents.spec.fit("map", seed=1)}
    page = made(tmp_path, fits | {"two": patents.spec.with_k(2).fit(seed=1)}, tables=tmp_path)
    check_page(page)
    stored = pd.read_csv(tmp_path / "estimates_ML.csv")
    wanted = bmx.compare_estimates(fits)
    np.testing.assert_allclose(stored["MAP_estimate"], wanted["MAP_estimate"])
    assert page.table("Estimates of two")["component"].tolist()[:2] == ["1", "1"]
    assert "The estimates do not stand side by side" in page.words


def test_a_point_fit_and_a_posterior_of_two_models_are_ranked_by_bic(trial):
    fits = {"ML": trial["ML"].spec.with_k(2).fit(seed=1), "Bayes": trial["Bayes"]}
    tables = [b for b in criteria(Subject(fits)) if isinstance(b, Table)]
    assert tables[-1].frame["fit"].tolist() == list(bmx.compare(fits, "bic").table.index)


def test_estimates_that_a_prior_moves_are_flagged(tmp_path, no_pictures):
    strong = {"coef[Treatment[Treated]]": bmx.Prior("normal", mu=2, sigma=0.05)}
    spec = bmx.Mixture(
        "p(Deaths, Total) ~ 1 | Center",
        bmx.load_data("betablocker"),
        family="binomial",
        k=3,
        fixed="~ Treatment",
        priors=strong,
    )
    fit = spec.fit("laplace", seed=1, draws=400)
    bmx.report(fit, tmp_path / "page.html")
    assert "sensitive to the prior" in (tmp_path / "page.html").read_text()


def test_posteriors_have_their_priors_and_predictive_criteria(trial, trial_page):
    page, folder = trial_page
    loo = trial["Bayes"].loo()
    stored = pd.read_csv(folder / "tables" / "criteria_posteriors.csv")
    assert stored["elpd"][0] == pytest.approx(loo.elpd, rel=1e-12)
    assert stored["criterion"].tolist() == ["LOO", "WAIC"]
    assert page.table("Priors (Bayes)")["prior"][0] == "normal(mu=0, sigma=5)"


def test_the_code_of_families_that_grow_makes_the_model():
    data = pd.DataFrame({"y": [0, 0, 0, 1, 2, 3, 5, 8]})
    spec = bmx.Mixture("y ~ 1", data, k=3, family={"zero": 1, "poisson": "k"})
    scope = {"bmx": bmx, "data": data}
    exec(model_code(spec.spec, None, 3), scope)
    assert [f.name for f in scope["spec"].spec.layout.blocks[0].families] == [
        "zero", "poisson", "poisson",
    ]  # fmt: skip
    assert len(scope["spec"].with_k(4).components) == 4


@pytest.mark.parametrize("name", [n for n in MODELS if n != "own_family"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_code_on_the_page_makes_the_fit_again(name, tmp_path, no_pictures):
    fit = MODELS[name]().fit("em", seed=4, starts=3)
    code = next(c for c in made(tmp_path, {"one": fit}).code if c.startswith("import bayesmix"))
    data = fit.spec.spec.prepared.data.copy()
    if name == "grouped":
        data["known"] = fit.spec.spec.prepared.labels
        data.loc[99] = [np.nan] * data.shape[1]  # the row that was dropped
        data.loc[99, "g"] = 99
    names = {"data": data}
    exec(code, names)
    assert names["fits"]["one"].loglik == pytest.approx(fit.loglik, rel=1e-10)


def test_code_of_links_priors_and_what_no_text_can_hold(tmp_path, no_pictures):
    data = lines().assign(y=lambda d: d["y"].abs() + 1)
    priors = {"coef[x]": bmx.Prior("normal", mu=0, sigma=2)}
    family = bmx.family("gamma", link="inverse")
    spec = bmx.Mixture("y ~ x", data, family=family, k=1, priors=priors)
    fit = spec.fit("map", seed=np.random.default_rng(1))
    page = made(tmp_path, fit)
    code = page.code[-1]
    assert "family=bmx.family('gamma', link='inverse')" in code
    assert "seed=your_seed" in code
    assert "Names that begin with your_" in page.words
    names = {"data": data, "your_seed": 1}
    exec(code, names)
    assert names["fits"]["map"].loglik == pytest.approx(fit.loglik, rel=1e-9)
    assert "your_waiting_time" in made(tmp_path, own_family().fit()).code[-1]
    assert "No seed was given for em" in made(tmp_path, own_family().fit()).words


# --- words, equations, tables ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nested", ["Each of the 60 rows belongs to one of 2 components, which is not observed.",
                    "The effects of these terms are shared by blocks of components: x, z.",
                    "There is one sigma."]),
        ("several", ["The distribution of y is Gaussian, and the mean is a sum of effects.",
                     "and the logarithm of the mean is a sum of effects.",
                     "The effects of these terms are the same in all components: x.",
                     "Every component has its own sigma_y."]),
        ("grouped", ["Each of the 59 groups of rows belongs to one of 2 components, which is known",
                     "for 2 of them; the rows of a group share it.",
                     "depends on x by a multinomial logit with component left as the baseline.",
                     "A unit counts as often as its weight in the column w says."]),
        ("events", ["Each of the 300 subjects has one of the events death, pcm.",
                    "The time to death is Gompertz: the logarithm of the rate depends on age10",
                    ", sex[M]; the shape is the same for all.",
                    "the logarithm of the shape depends on sex[M]."]),
        ("zeros", ["a point mass at zero in component 1; Poisson in component 2"]),
        ("own_family", ["Each of the 60 rows follows the same regression",
                        "is waiting time, and the logarithm of the rate is a sum of effects.",
                        "These terms have an effect: Intercept, x."]),
    ],
)  # fmt: skip
def test_models_in_sentences(name, words):
    text = " ".join(model_sentences(MODELS[name]().spec))
    for part in words:
        assert part in text


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("gengamma", "is generalised gamma, and the location mu of the log time is a sum"),
        ("lognormal", "is lognormal, and the mean of the log time is a sum"),
        ("spline", "and the constant gamma0 of the spline is a sum"),
    ],
)
def test_the_location_of_a_time_is_not_called_its_mean(family, words):
    data = pd.DataFrame({"t": np.arange(1.0, 31.0), "s": 1})
    spec = bmx.Mixture("surv(t, s) ~ 1", data, family, 1)
    assert words in " ".join(model_sentences(spec.spec))


def test_the_equations_of_the_patents(patents):
    rows = [row for e in equations.model_equations(patents.spec.spec) for row in e.rows]
    assert rows == [
        r"L_i = \sum_{s=1}^{3} \pi_s(w_i) f_s(y_i \mid x_i)",
        r"f(y) = \mu^y e^{-\mu} / y!",
        r"\log \mu_{si} = \beta_{s1} + \beta_{s2}\,{\text{lgRD}}_{i}",
        r"\log\frac{\pi_s(w_i)}{\pi_1(w_i)} = \alpha_{s1} + \alpha_{s2}\,{\text{RDS}}_{i}",
    ]


def test_the_equations_of_competing_events():
    made = equations.model_equations(events().spec)
    assert made[0].rows == (r"L_i = \sum_s m_{is}\, \pi_s(w_i)\, L_{is}",)
    rate = r"\log {\text{rate}} = \beta_{1,1} + \beta_{1,2}\,{\text{age10}}_{i}"
    rate += r" + \beta_{1,3}\,{\text{sex[M]}}_{i}"
    assert made[1].rows[1:] == (rate, r"{\text{shape}} = \beta_{1,4}")
    assert made[2].words.startswith("Event 2, pcm: the Weibull distribution (Kalbfleisch")


def test_long_predictors_have_several_rows():
    data = lines(f=np.tile(list("abcdefghij"), 6))
    spec = bmx.Mixture("y ~ x + f", data, k=1).spec
    rows = equations.model_equations(spec)[2].rows
    assert len(rows) == 4  # eleven terms, three on a row
    assert sum(row.count(r"\beta") for row in rows) == 11
    assert all(equation_svg(row) for row in rows)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_equation_of_every_family_can_be_drawn(name):
    equation = bmx.family(name).equation
    assert equation
    assert equation_svg(equation).startswith(b"<?xml")


@pytest.mark.parametrize("link", equations.LINKS)
def test_every_link_can_be_drawn(link):
    row = equations.LINKS[link].format(equations._location("mu", 2))
    assert b"<svg" in equation_svg(row)


def test_every_link_has_an_equation():
    from bayesmix.families.links import LINKS
    from bayesmix.results.describe import SCALES

    assert set(LINKS) <= set(equations.LINKS) & set(SCALES)


@pytest.mark.parametrize(
    "name", ["a_b", "100%", "x$y", "{", "#1", "a~b", "x^2", "a\\b", "größe", "a b"]
)
def test_names_can_be_drawn(name):
    assert b"<svg" in equation_svg(equations.upright(name))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.123456, "0.1235"),
        (-2.5, f"{files.MINUS}2.5"),
        (12345.678, "12345.68"),
        (1e-9, f"1e{files.MINUS}09"),
        (np.nan, ""),
        (np.inf, "\N{INFINITY}"),
        (-np.inf, f"{files.MINUS}\N{INFINITY}"),
        (np.int64(-3), f"{files.MINUS}3"),
        (True, "yes"),
        ("text-1", "text-1"),
    ],
)
def test_numbers_as_the_page_shows_them(value, words):
    assert files.number(value) == words


def test_tables_in_latex():
    intervals = [f"{files.MINUS}1.5 to 2", "< 0.0001"]  # numbers too, though they are text
    frame = pd.DataFrame({"a_b": ["x & y", "50%"], "n": [1.5, np.inf], "i": intervals})
    rows = files.latex_table(frame, "Rows #1").splitlines()
    assert rows[1:-2] == [
        r"\caption{Rows \#1}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"a\_b & n & i \\",
        r"\midrule",
        r"x \& y & 1.5 & $-$1.5 to 2 \\",
        r"50\% & $\infty$ & \textless{} 0.0001 \\",
        r"\bottomrule",
    ]


# --- the call --------------------------------------------------------------------------------


def test_the_method_of_a_fit_writes_the_same_page(patents, tmp_path, no_pictures):
    files_made = patents.report(tmp_path / "one.html", title="Mine <1>", tables=tmp_path / "t")
    assert files_made[0] == tmp_path / "one.html"
    assert all(file.exists() for file in files_made)
    text = files_made[0].read_text("utf-8")
    assert "<h1>Mine &lt;1&gt;</h1>" in text
    bmx.report(patents, tmp_path / "two.html", title="Mine <1>")
    again = (tmp_path / "two.html").read_text("utf-8")
    times = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
    assert len(re.sub(times, "", again)) == len(re.sub(times, "", text))


def test_bad_calls(patents, tmp_path):
    with pytest.raises(bmx.SpecError, match="given: an empty dict"):
        bmx.report({}, tmp_path / "x.html")
    with pytest.raises(bmx.SpecError, match="'a' is a Mixture"):
        bmx.report({"a": patents.spec, "b": patents}, tmp_path / "x.html")
    with pytest.raises(bmx.DataError, match="does not exist; make it"):
        bmx.report(patents, tmp_path / "none" / "x.html")
    assert list(tmp_path.iterdir()) == []


def test_the_screen_and_pyplot_are_left_alone(patents, tmp_path):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    bmx.report(patents, tmp_path / "x.html")
    assert plt.get_fignums() == before


def test_examples():
    result = doctest.testmod(reporting)
    assert result.attempted
    assert not result.failed


def test_the_conclusion_is_in_plain_words(patents, no_pictures):
    from bayesmix.reporting.conclusion import conclusion, methods_paragraph

    fit = patents
    words, table = conclusion(Subject({"ML": fit}))
    shares = [f"{c} ({100 * p:.0f}%)" for c, p in fit.mixing.items()]
    assert words.text.startswith(f"Three groups: {', '.join(shares)}.")
    top = fit.membership().max(axis=1).mean()
    assert f"probability of {top:.2f} on average" in words.text
    means = bmx.predictions(fit, by=True)
    own = means[means["component"].notna()]["estimate"]
    rows = table.frame[table.frame["quantity"] == "mean of Patents"]
    np.testing.assert_allclose(rows["estimate"], own)
    assert table.shown.iloc[1, 1].startswith(f"{own.iloc[0]:.4g} (")
    (told, references) = methods_paragraph(Subject({"ML": fit}))
    assert f"was {fit.loglik:.2f}".replace("-", "\N{MINUS SIGN}") in told.text
    assert "with three components to 70 units" in told.text
    assert "McLachlan and Peel" in references.text


def test_random_effects_and_the_cured_in_sentences():
    from bayesmix.reporting.conclusion import conclusion

    rng = np.random.default_rng(1)
    data = pd.DataFrame({"id": np.repeat(np.arange(20), 3), "t": np.tile([0.0, 1.0, 2.0], 20)})
    data["y"] = rng.normal(size=60)
    spec = bmx.Mixture("y ~ t + (1 + t | id)", data, k=2, random_covariance="fixed")
    text = " ".join(model_sentences(spec.spec))
    assert "Random effects of each id add to Intercept and t; they are normal." in text
    assert "Their covariance is the same in all components." in text
    assert "root" not in text
    time = np.where(rng.random(300) < 0.4, np.inf, rng.weibull(1.5, 300))
    data = pd.DataFrame({"t": np.minimum(time, 3.0), "s": (time < 3.0).astype(int)})
    fit = bmx.Mixture("surv(t, s) ~ 1", data, family=["weibull", "cured"], k=2).fit(seed=1)
    share, low, high = fit.cured_fraction(by=True).loc[0] * 100
    words = next(conclusion(Subject({"ML": fit}))).text
    told = (
        f"An estimated {share:.0f}% (95% interval {low:.0f}% to {high:.0f}%) never have the event."
    )
    assert told in words
    table = list(conclusion(Subject({"ML": fit})))[1].shown
    assert table.iloc[1].tolist()[::2] == ["median of t", "not reached"]


def test_items_and_columns_are_told_together():
    from bayesmix.reporting.conclusion import conclusion

    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.choice(["no", "yes"], (80, 2)), columns=["A", "B"])
    items = bmx.Mixture(bmx.items(["A", "B"]), data, k=1)
    text = " ".join(model_sentences(items.spec))
    assert text.count("The distribution of each of A, B is categorical") == 1
    table = list(conclusion(Subject({"ML": items.fit()})))[1].frame
    shares = (data == "yes").mean()
    assert table["quantity"].tolist()[1:] == [f"probability of {c} = yes" for c in "AB"]
    np.testing.assert_allclose(table["estimate"][1:], shares, rtol=1e-6)
    data = pd.DataFrame(rng.normal(size=(80, 2)), columns=["a", "b"])
    fit = bmx.Mixture("mv(a, b) ~ 1", data, "mvnormal", k=1).fit()
    table = list(conclusion(Subject({"ML": fit})))[1].frame
    assert table["quantity"].tolist() == ["share", "mean of a", "mean of b"]
    np.testing.assert_allclose(table["estimate"][1:], data.mean(), rtol=1e-6)


def test_nobody_is_called_cured_where_all_have_the_event():
    """A gompertz shape may be negative, but is one here."""
    from bayesmix.reporting.conclusion import conclusion

    survival = np.random.default_rng(3).random(200)
    times = np.log1p(-0.5 * np.log(survival))  # S(t) = exp(-2 (e^t - 1)), shape 1 and rate 2
    data = pd.DataFrame({"t": times, "d": 1})
    fit = bmx.Mixture("surv(t, d) ~ 1", data, family="gompertz", k=1).fit()
    assert fit.cured_fraction(by=True)["estimate"].loc[0] < 1e-6
    assert "never" not in next(conclusion(Subject({"ML": fit}))).text
