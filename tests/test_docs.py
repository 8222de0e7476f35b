"""The pages of docs/ without building them: names, links, the table of features, notebooks."""

import doctest
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import bayesmix as bmx
from bayesmix.errors import WARNINGS, warn
from bayesmix.families import FAMILIES
from bayesmix.formula.response import Response

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

if not (DOCS / "conf.py").exists():
    pytest.skip("no docs beside the tests", allow_module_level=True)


def load(path):
    """A module of docs/, by its file."""
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_links = load(DOCS / "check_links.py")
features = load(DOCS / "_ext" / "features.py")
families = load(DOCS / "_ext" / "families.py")
pictures = load(DOCS / "_ext" / "pictures.py")


def pages():
    """The pages that are written by hand."""
    made = ("_build", "generated", "jupyter_execute")
    return [p for p in sorted(DOCS.rglob("*.md")) if p.relative_to(DOCS).parts[0] not in made]


def public():
    """Every public name, as the reference writes it."""
    for name in bmx.__all__:
        thing = getattr(bmx, name)
        if isinstance(thing, types.ModuleType):
            yield from (f"{name}.{each}" for each in thing.__all__)
        else:
            yield name


def test_the_reference_has_every_public_name():
    text = (DOCS / "reference" / "index.md").read_text("utf-8")
    listed = re.findall(r"^   ([\w.]+)$", text, re.MULTILINE)
    missing = sorted(set(public()) - set(listed))
    assert missing == [], "add them to docs/reference/index.md"
    assert len(listed) == len(set(listed))
    for name in listed:
        thing = bmx
        for part in name.split("."):
            importlib.import_module("bayesmix." + name.rpartition(".")[0]) if "." in name else None
            thing = getattr(thing, part)


def test_every_public_class_and_function_has_an_example():
    without = []
    for name in public():
        thing = bmx
        for part in name.split("."):
            thing = getattr(thing, part)
        error = inspect.isclass(thing) and issubclass(thing, Exception)
        if not error and ">>>" not in (inspect.getdoc(thing) or ""):
            without.append(name)
    assert without == []


def modules_with_examples():
    """Modules of the package with examples, less those whose own tests run them."""
    tested = ("bayesmix.cli", "bayesmix.cli.demo", "bayesmix.datasets", "bayesmix.plot")
    found = []
    for path in sorted((ROOT / "bayesmix").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        if ">>> " in path.read_text("utf-8") and not name.startswith(tested):
            found.append(name)
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_in_docstrings_run(name):
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted
    assert not outcome.failed


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run_with_warnings_as_errors(name):
    assert not doctest.testmod(importlib.import_module(name)).failed


@pytest.mark.parametrize("path", pages(), ids=lambda p: str(p.relative_to(DOCS)))
def test_code_on_pages_is_run_by_the_build(path):
    """Fences with Python are code cells, and outputs are not typed by hand."""
    fences = re.findall(r"^ *(?:```|:::)\{?([\w-]*)", path.read_text("utf-8"), re.MULTILINE)
    assert "python" not in fences
    assert "pycon" not in fences
    if path.name not in ("benchmarks.md", "architecture.md"):  # measured; drawn
        assert not {"text", "console", "output"} & set(fences)
    if "code-cell" in fences:
        assert path.read_text("utf-8").startswith("---\nfile_format: mystnb\n")


def code_of(path):
    """The code cells of a page, less their options, as one script."""
    cell = r"^```\{code-cell\} python\n(?::\w+:[^\n]*\n)*(.*?)^```"
    return "\n".join(re.findall(cell, path.read_text("utf-8"), re.MULTILINE | re.DOTALL))


# Commands of a terminal are no Python; those of the README are tested with the command line.
SCRIPTS = [path for path in pages() if code_of(path) and not re.search("^!", code_of(path), re.M)]


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: str(p.relative_to(DOCS)))
def test_code_on_pages_runs_as_a_script_too(path, tmp_path):
    """Not only in the notebook that the build makes of a page."""
    script = tmp_path / "page.py"
    script.write_text(code_of(path), "utf-8")
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", pages(), ids=lambda p: str(p.relative_to(DOCS)))
def test_every_page_is_reached(path):
    """Each page stands in a table of contents."""
    place = path.relative_to(DOCS).with_suffix("")
    if str(place) == "index":
        return
    entries = set()
    for page in pages():
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            for line in block.splitlines():
                name = re.sub(r".*<(.*)>", r"\1", line.strip())
                entries.add((page.parent / name).resolve())
    assert (DOCS / place).resolve() in entries


def test_the_table_of_features_names_tests_and_sources():
    table = features.read()
    assert features.problems(table) == []
    assert set(table["sources"]) == {
        feature[package]["source"]
        for feature in table["feature"]
        for package in table["packages"]
        if package in feature
    }


def test_a_wrong_table_of_features_is_seen(tmp_path):
    (tmp_path / "test_x.py").write_text("class TestA:\n    def test_b(self):\n        pass\n")
    table = tomllib.loads(
        """
        sources = {page = "A page"}
        packages = {other = "Other"}
        [[feature]]
        name = "A"
        bayesmix = {has = "yes"}
        other = {has = "yes", source = "nowhere"}
        [[feature]]
        name = "B"
        bayesmix = {has = "perhaps", tests = ["test_x.py::TestA::test_b", "test_x.py::test_c"]}
        other = {has = "no", source = "page"}
        """
    )
    assert features.problems(table, tmp_path) == [
        "A: no test shows it",
        "A, other: source 'nowhere' is not listed",
        "B: has = 'perhaps' is none of ['yes', 'part', 'no']",
        "B: no test_x.py::test_c",
    ]
    assert features.lines_of("test_x.py::TestA::test_b", tmp_path) == (2, 3)


def test_the_page_of_families_has_every_family_and_reads_its_file():
    listed = families.listed()
    assert {name for _, name, _ in listed} == set(FAMILIES)
    assert [title for title, name, _ in listed if name == "gamma"] == ["gamma", "gamma, of times"]
    assert len({title for title, _, _ in listed}) == len(listed)
    assert families.body_of(bmx.family("gamma"), "variance") == "`mu ** 2 / shape`"
    assert families.body_of(bmx.family("weibull"), "mean") == "scale Gamma(1 + 1 / shape)."
    splines = families.summary_of(bmx.family("spline"))
    assert (
        splines
        == inspect.getdoc(importlib.import_module("bayesmix.families.survival.spline")).split("\n")[
            0
        ]
    )
    assert families.lines_of(r"S(t) = 1,\ a = 2").split("\n")[1:3] == [r"S(t) = 1 \\[1ex]", "a = 2"]
    waiting = bmx.Family("w", {"rate": "log"}, "rate", logpdf=lambda y, rate: -rate * y)
    assert families.body_of(waiting, "mean") is None


DRAWN = [each for each in families.listed() if each[2].example and each[2].simulate is not None]


@pytest.mark.parametrize(("title", "name", "family"), DRAWN, ids=[title for title, *_ in DRAWN])
def test_drawn_densities_hold_the_share_of_the_responses_in_the_picture(title, name, family):
    for _, sets in families.cases(family):
        y, whole = families.grid(family, sets)
        for values in sets:
            f = families.density(family, y, values)
            inside = f[:-1].sum() if whole else np.trapezoid(f, y)
            sample = families.drawn(family, values, np.random.default_rng(2), n=20_000)
            drawn = (sample >= y[0]) & (sample < y[-1])
            share = (drawn & (whole | (sample != 0))).mean()  # a density has no point masses
            assert inside == pytest.approx(share, abs=0.02)


def test_the_ten_lines_of_a_family_are_one():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names = {}
    exec(compile(code, "CONTRIBUTING.md", "exec"), names)
    family, rng = names["FAMILY"], np.random.default_rng(1)
    y = family.simulate(rng, np.full(200_000, 3.0))
    assert y.mean() == pytest.approx(family.mean(3.0), rel=0.005)
    assert y.var() == pytest.approx(family.variance(3.0), rel=0.02)
    y = y[:50]
    obs = family.observe(Response("y", "numeric", y, None, ("y",)))
    eta = np.linspace(-1, 2, 50)
    d = family.derivatives(obs, (eta,))
    np.testing.assert_allclose(d.logf, stats.rayleigh.logpdf(y, scale=np.exp(eta)), rtol=1e-12)
    np.testing.assert_allclose(d.first[0], (y / np.exp(eta)) ** 2 - 2, rtol=1e-12)


def test_dead_links_and_foreign_scripts_are_found(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.html").write_text('<h1 id="top">B</h1><a href="../a.html#x">a</a>')
    (tmp_path / "a.html").write_text(
        '<a id="x" href="folder/b.html#top">b</a> <a href="https://example.org">out</a>'
        '<a href="folder/b.html#bottom">b</a> <a href="c.html">c</a> <a href="#y">y</a>'
        '<img src="p.png"> <script src="https://example.org/s.js"></script>'
        '<link rel="canonical" href="https://example.org/a.html">'
    )
    assert check_links.broken(tmp_path) == [
        "a.html: loads https://example.org/s.js from another machine",
        "a.html: folder/b.html#bottom leads to no anchor",
        "a.html: c.html leads to no file",
        "a.html: #y leads to no anchor",
        "a.html: p.png leads to no file",
    ]


def notebook(*cells):
    return {"cells": [{"cell_type": "markdown", "source": ["# A"]}, *cells]}


def cell(count, kind="stream"):
    return {
        "cell_type": "code",
        "source": ["1 + 1"],
        "execution_count": count,
        "outputs": [{"output_type": kind}],
    }


def not_run():
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    sys.modules.pop("docs_notebooks", None)
    return load(DOCS / "_ext" / "notebooks.py").not_run


def test_notebooks_that_were_not_run_are_refused():
    words = not_run()
    assert words(notebook(cell(1), cell(2))) == ""
    assert words(notebook(cell(1), cell(3))) == "its cells have the numbers [1, 3], not 1 to 2"
    assert words(notebook(cell(None))) == "its cells have the numbers [None], not 1 to 1"
    assert words(notebook(cell(1, "error"))) == "a cell ended with an error"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.name)
def test_stored_notebooks_were_run(path):
    assert not_run()(json.loads(path.read_text("utf-8"))) == ""


def test_the_picture_of_an_example_stands_below_it(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "TARGET", tmp_path)
    lines = ["The docstring as numpydoc left it."]
    name = "bayesmix.plot.selection"
    pictures.add_picture(None, "function", name, bmx.plot.selection, None, lines)
    assert ".. image:: /generated/pictures/selection.png" in lines
    assert any(line.startswith("   :alt: Draw criteria along") for line in lines)
    assert (tmp_path / "selection.png").read_bytes()[:4] == b"\x89PNG"
    pictures.add_picture(None, "function", "bayesmix.compare", bmx.compare, None, other := [])
    assert other == []


def test_every_warning_has_its_section():
    text = (DOCS / "warnings.md").read_text("utf-8")
    anchors = re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE)
    assert sorted(anchors) == sorted(re.sub("[ _]", "-", kind) for kind in WARNINGS)
    with pytest.warns(bmx.DegenerateWarning, match=r"narrow \(docs: warnings#spurious\)$"):
        warn("spurious", "narrow")
