"""Fits, selections and reports by the command line, against the same calls in Python."""

import inspect
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from terminal import Terminal

import bayesmix as bmx
from bayesmix import cli
from bayesmix.cli import commands, modelling, reading, stored
from bayesmix.cli.options import OPTIONS
from bayesmix.cli.parser import make_parser
from bayesmix.errors import SpecError

PATENT = ["Patents ~ lgRD", "--family", "poisson", "--seed", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Datasets as CSV files, as the command writes them."""
    folder = tmp_path_factory.mktemp("csv")
    for name in ("patent", "betablocker", "fabricfault", "NregFix"):
        bmx.load_data(name).to_csv(folder / f"{name}.csv", index=False)
    return folder


def told(capsys, arguments, code=0):
    assert cli.main([str(a) for a in arguments]) == code
    return capsys.readouterr()


def as_json(capsys, arguments):
    return json.loads(told(capsys, [*arguments, "--json"]).out)


# --- what is fitted --------------------------------------------------------------------------


def test_a_fit_is_that_of_python(folder, capsys):
    out = as_json(capsys, ["fit", folder / "patent.csv", *PATENT, "--k", "3",
                           "--concomitant", "~ RDS"])  # fmt: skip
    # The log-likelihood that the vignette of R's flexmix prints.
    assert out["fit"]["loglik"] == pytest.approx(-197.6753, abs=5e-4)
    assert out["fit"]["status"] == "converged"
    data = pd.read_csv(folder / "patent.csv")
    spec = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=3, concomitant="~ RDS")
    wanted = spec.fit("em", seed=1).summary()
    found = pd.DataFrame(out["fit"]["summary"])
    np.testing.assert_array_equal(found["estimate"], wanted["estimate"])
    assert found["term"].tolist() == wanted["term"].tolist()
    assert out["data"]["rows"] == 70
    assert [c["name"] for c in out["data"]["columns"]] == ["Patents", "RDS", "lgRD"]


def test_several_numbers_of_components_and_a_posterior(folder, capsys, tmp_path):
    out = as_json(
        capsys,
        ["fit", folder / "betablocker.csv", "p(Deaths, Total) ~ 1", "--family", "binomial",
         "--group", "Center", "--fixed", "~ Treatment", "--k", "2:4", "--method", "laplace",
         "--draws", "200", "--seed", "1", "--starts", "5", "--out", tmp_path / "new" / "results"],
    )  # fmt: skip
    assert [row["k0"] for row in out["selection"]] == [2, 3, 4]
    assert out["fit"]["k"] == 3
    assert out["fit"]["method"] == "laplace"
    # Maximum likelihood in the vignette of flexmix; the posterior is near it.
    assert out["selection"][1]["loglik"] == pytest.approx(-159.3605, abs=5e-4)
    assert out["fit"]["summary"][0]["mean"] == pytest.approx(-0.258, abs=0.02)
    names = "summary.csv membership.csv predictions.csv selection.csv fit.nc report.html".split()
    made = tmp_path / "new" / "results"
    assert [made / name for name in names] == [made.parent / file for file in out["files"]]
    assert sorted(names) == sorted(p.name for p in made.iterdir())
    summary = pd.read_csv(made / "summary.csv")
    wanted = [row["mean"] for row in out["fit"]["summary"]]
    np.testing.assert_allclose(summary["mean"], wanted, rtol=1e-14)
    assert len(pd.read_csv(made / "membership.csv")) == 22
    assert len(pd.read_csv(made / "predictions.csv")) == 44
    again = bmx.load(made / "fit.nc")
    np.testing.assert_allclose(again.summary()["mean"], summary["mean"], rtol=1e-14)
    page = (made / "report.html").read_text("utf-8")
    assert "bayesmix fit" in page
    assert "--fixed &#x27;~ Treatment&#x27;" in page


@pytest.mark.parametrize(
    ("options", "arguments", "fitted"),
    [
        (["--dispersion", "fixed", "--k", "2"], {"dispersion": "fixed"}, {}),
        (["--dispersion", "1,2", "--k", "3"], {"dispersion": [1, 2], "k": 3}, {}),
        (["--family", "gaussian,student_t"], {"family": ["gaussian", "student_t"]}, {}),
        (["--nested", "~ I(x**2)", "1", "--nested", "~ 0", "1"],
         {"nested": [("~ I(x**2)", 1), ("~ 0", 1)]}, {}),
        (["--weights", "count", "--method", "ml"], {"weights": "count"}, {"method": "ml"}),
        (["--labels", "class", "--algorithm", "cem"], {"labels": "class"}, {"algorithm": "cem"}),
        (["--method", "map", "--prior", "coef[x]=normal(0, 0.1)"],
         {"priors": {"coef[x]": bmx.Prior("normal", mu=0, sigma=0.1)}}, {"method": "map"}),
        (["--method", "map", "--flat-priors"], {"priors": "flat"}, {"method": "map"}),
        (["--fixed", "~ cr(count, df=2)", "--method", "map", "--prior", "cr(count, df=2)=smooth()"],
         {"fixed": "~ cr(count, df=2)", "priors": {"cr(count, df=2)": bmx.Prior.smooth()}},
         {"method": "map"}),
        (["--hold", "2", "x", "1.5", "--tol", "1e-9", "--starts", "4"], {},
         {"fixed_params": {(2, "x"): 1.5}, "tol": 1e-9, "starts": 4}),
        (["--min-weight", "0.1", "--max-iter", "300"], {}, {"min_weight": 0.1, "max_iter": 300}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::bayesmix.errors.DegenerateWarning")
def test_options_reach_the_model_and_the_fit(folder, capsys, options, arguments, fitted):
    data = pd.read_csv(folder / "NregFix.csv").rename(columns={"x1": "x"})
    data["count"] = np.arange(len(data)) % 3 + 1
    data["class"] = pd.Series(["b", "a"] * 3).reindex(data.index)
    file = folder / "made.csv"
    data.to_csv(file, index=False)
    found = as_json(capsys, ["fit", file, "y ~ x", "--seed", "3", *options])["fit"]
    given = {"data": pd.read_csv(file), "k": 2, **arguments}
    fit = bmx.Mixture("y ~ x", **given).fit(**{"method": "em", "seed": 3, **fitted})
    assert found["loglik"] == pytest.approx(fit.loglik, rel=1e-10)
    assert found["df"] == fit.df
    assert found["components"] == list(fit.components)


def test_a_link_and_a_dropped_row(folder, capsys):
    data = pd.DataFrame({"y": [1.0, 2, 3, 4, 2, 1, np.nan], "x": [0.1, 0.5, 1, 1.2, 0.4, 0, 1]})
    data.to_csv(folder / "gap.csv", index=False)
    command = ["fit", folder / "gap.csv", "y ~ x", "--family", "gamma:identity", "--k", "1"]
    said = told(capsys, command, 1).err
    assert "Missing values" in said
    assert "leave these rows out with --na-action drop" in said
    found = as_json(capsys, [*command, "--na-action", "drop"])["fit"]
    family = bmx.family("gamma", link="identity")
    fit = bmx.Mixture("y ~ x", data, family=family, k=1, na_action="drop").fit("em")
    assert found["loglik"] == pytest.approx(fit.loglik, abs=1e-8)
    assert found["n_dropped"] == 1


def test_a_stored_fit_begins_another(folder, capsys, tmp_path):
    data = pd.read_csv(folder / "patent.csv")
    first = bmx.Mixture("Patents ~ lgRD", data, family="poisson", k=2).fit(seed=1)
    first.save(tmp_path / "first.nc")
    arguments = ["fit", folder / "patent.csv", *PATENT, "--init", tmp_path / "first.nc"]
    found = as_json(capsys, arguments)["fit"]
    assert found["loglik"] == pytest.approx(first.loglik, abs=1e-9)
    assert found["iterations"] < 5


@pytest.fixture(scope="module")
def two(folder):
    """A file with two responses of two components."""
    rng = np.random.default_rng(3)
    x, first = rng.normal(size=120), rng.random(120) < 0.5
    score = np.where(first, 1 + x, 4 - x) + rng.normal(0, 0.5, 120)
    visits = rng.poisson(np.where(first, 1.0, 6.0))
    data = pd.DataFrame({"x": x, "score": score, "visits": visits, "total": visits + 3})
    data.to_csv(folder / "two.csv", index=False)
    return pd.read_csv(folder / "two.csv")


SCORE, VISITS = "score ~ x", "visits ~ 1"


@pytest.mark.parametrize(
    ("arguments", "parts", "k"),
    [
        ([SCORE, VISITS, "--family", "gaussian", "--family", "poisson"],
         [{"formula": SCORE}, {"formula": VISITS, "family": "poisson"}], 2),
        # Each family beside its formula.
        ([SCORE, "--family", "student_t", VISITS, "--family", "poisson"],
         [{"formula": SCORE, "family": "student_t"}, {"formula": VISITS, "family": "poisson"}], 2),
        ([SCORE, VISITS], [{"formula": SCORE}, {"formula": VISITS}], 2),
        (["visits ~ x", "total ~ 1", "--family", "poisson"],
         [{"formula": "visits ~ x", "family": "poisson"},
          {"formula": "total ~ 1", "family": "poisson"}], 2),
        ([SCORE, VISITS, "--family", "gaussian,student_t", "--family", "poisson",
          "--fixed", "visits ~ x"],
         [{"formula": SCORE, "family": ["gaussian", "student_t"]},
          {"formula": VISITS, "family": "poisson", "fixed": "~ x"}], 2),
        (["score ~ 1", VISITS, "--dispersion", "score=fixed", "--dispersion", "visits=1,2",
          "--nested", "score ~ x", "2", "--nested", "score ~ 0", "1", "--k", "3"],
         [{"formula": "score ~ 1", "dispersion": "fixed", "nested": [("~ x", 2), ("~ 0", 1)]},
          {"formula": VISITS, "dispersion": [1, 2]}], 3),
        (["p(visits, total) ~ x", "score ~ 1", "--family", "binomial", "--family", "gaussian",
          "--fixed", "p(visits,total) ~ score"],
         [{"formula": "p(visits, total) ~ x", "family": "binomial", "fixed": "~ score"},
          {"formula": "score ~ 1"}], 2),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::bayesmix.errors.DegenerateWarning")
def test_several_responses(folder, two, capsys, arguments, parts, k):
    out = as_json(capsys, ["fit", folder / "two.csv", *arguments, "--seed", "1", "--starts", "3"])
    spec = bmx.Mixture([bmx.Regression(**part) for part in parts], two, k=k)
    fit = spec.fit("em", seed=1, starts=3)
    assert out["formulas"] == [part["formula"] for part in parts]
    assert out["fit"]["loglik"] == pytest.approx(fit.loglik, rel=1e-10)
    assert out["fit"]["df"] == fit.df
    assert [row["term"] for row in out["fit"]["summary"]] == fit.summary()["term"].tolist()


def test_files_and_selection_of_several_responses(folder, two, capsys, tmp_path):
    given = [folder / "two.csv", SCORE, VISITS, "--family", "gaussian", "--family", "poisson"]
    out = as_json(capsys, ["fit", *given, "--seed", "1", "--out", tmp_path])
    assert len(out["files"]) == 5
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert list(table) == ["row", "score 1", "score 2", "visits 1", "visits 2"]
    assert bmx.load(tmp_path / "fit.nc").loglik == out["fit"]["loglik"]
    best = as_json(capsys, ["select", *given, "--seed", "1", "--k", "1:3"])["best"]
    assert best["bic"] == 2


EVENTS = ["surv(years, status) ~ age10", "--event", "event", "--seed", "1"]


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (["--family", "pcm=weibull,death=gompertz", "--concomitant", "~ sex",
          "--ancillary", "pcm", "shape", "~ sex"],
         {"family": {"pcm": "weibull", "death": "gompertz"}, "concomitant": "~ sex",
          "ancillary": {"pcm": {"shape": "~ sex"}}}),
        (["--family", "exponential", "--event-formula", "pcm", "surv(years, status) ~ sex"],
         {"family": "exponential", "formula": {"death": "surv(years, status) ~ age10",
                                               "pcm": "surv(years, status) ~ sex"}}),
        (["--family", "pcm=weibull", "--family", "death=spline:df=2"],
         {"family": {"pcm": "weibull", "death": bmx.family("spline", df=2)}}),
        (["--family", "pcm=weibull,death=spline:knots=0.5/8/30:scale=odds"],
         {"family": {"pcm": "weibull",
                     "death": bmx.family("spline", knots=(0.5, 8, 30), scale="odds")}}),
        (["--family", "death=weibull,other=exponential", "--partial-events", "pcm=death,other"],
         {"family": {"death": "weibull", "other": "exponential"},
          "partial_events": {"pcm": ["death", "other"]}}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::bayesmix.errors.DegenerateWarning")
def test_competing_events(folder, capsys, options, arguments):
    bmx.load_data("mgus2").head(300).to_csv(folder / "mgus.csv", index=False)
    found = as_json(capsys, ["fit", folder / "mgus.csv", *EVENTS, *options])["fit"]
    data = pd.read_csv(folder / "mgus.csv")
    given = {"formula": EVENTS[0], "event": "event", **arguments}
    fit = bmx.CompetingRisks(data=data, **given).fit("em", seed=1)
    assert found["loglik"] == pytest.approx(fit.loglik, rel=1e-10)
    assert found["components"] == list(fit.components)
    assert [row["term"] for row in found["summary"]] == fit.summary()["term"].tolist()


def test_files_of_competing_events(folder, capsys, tmp_path):
    bmx.load_data("mgus2").head(300).to_csv(folder / "mgus.csv", index=False)
    command = ["fit", folder / "mgus.csv", *EVENTS, "--family", "exponential", "--out", tmp_path]
    files = as_json(capsys, command)["files"]
    names = ["summary.csv", "membership.csv", "event_probabilities.csv", "states.csv", "fit.nc"]
    names += ["report.html"]
    assert [tmp_path / name for name in names] == [tmp_path / file for file in files]
    fit = bmx.load(tmp_path / "fit.nc")
    assert fit.components == ("death", "pcm")
    found = pd.read_csv(tmp_path / "event_probabilities.csv")
    np.testing.assert_allclose(found.groupby("row")["estimate"].sum(), 1, rtol=1e-12)
    states = pd.read_csv(tmp_path / "states.csv")
    np.testing.assert_allclose(states.groupby(["source", "time"])["estimate"].sum(), 1, rtol=1e-9)


def test_every_argument_of_python_has_an_option():
    events = set(inspect.signature(bmx.CompetingRisks).parameters) - {"formula", "data", "priors"}
    assert events <= {o.name for o in OPTIONS if "fit" in o.commands.split()}
    by_command = {
        command: {o.name for o in OPTIONS if command in o.commands.split()}
        for command in ("fit", "select")
    }
    model = set(inspect.signature(bmx.Mixture).parameters) - {"formula", "data", "priors"}
    fit = set(inspect.signature(bmx.Mixture.fit).parameters) - {"self"}
    assert model | fit | {"prior", "flat_priors"} <= by_command["fit"]
    assert model | {"starts", "seed", "tol", "algorithm", "method"} <= by_command["select"]


def test_a_formula_sees_no_names_of_the_command(folder, capsys):
    names = set(vars(modelling)) | {"data", "options", "call", "given"}
    for name in sorted(n for n in names if not n.startswith("_")):
        err = told(capsys, ["fit", folder / "patent.csv", f"Patents ~ {name}"], 1).err
        assert f"'{name}' is not in the data" in err


# --- selections and reports ------------------------------------------------------------------


def test_select(folder, capsys, tmp_path):
    arguments = ["select", folder / "patent.csv", *PATENT, "--concomitant", "~ RDS"]
    out = as_json(capsys, [*arguments, "--k", "1:4", "--out", tmp_path])
    # flexmix's vignette: BIC of K = 3 is 437.8348 (from -197.6753, 10 parameters, 70 rows).
    assert out["selection"][2]["bic"] == pytest.approx(2 * 197.6753 + 10 * np.log(70), abs=2e-3)
    assert out["best"]["bic"] == 3
    table = pd.read_csv(tmp_path / "selection.csv")
    # Older pandas reads the last digit of a number otherwise than it was written.
    wanted = [row["loglik"] for row in out["selection"]]
    np.testing.assert_allclose(table["loglik"], wanted, rtol=1e-14)
    text = told(capsys, [*arguments, "--k", "2,3", "--by", "icl"]).out
    assert re.search(r"ICL is lowest for k = [23]\.", text)


def test_report_of_stored_fits(folder, capsys, tmp_path):
    data = pd.read_csv(folder / "fabricfault.csv")
    spec = bmx.Mixture("Faults ~ 1", data, family="poisson", k=2, fixed="~ log(Length)")
    for name, method in (("em", "em"), ("map", "map")):
        (tmp_path / name).mkdir()
        spec.fit(method, seed=1).save(tmp_path / name / "fit.nc")
    files = [tmp_path / "em" / "fit.nc", tmp_path / "map" / "fit.nc"]
    page = tmp_path / "both.html"
    named = [f"ML={files[0]}", f"mode={files[1]}"]
    out = told(capsys, ["report", *named, "--out", page, "--tables", tmp_path / "t",
                        "--title", "Faults & cloth"]).out  # fmt: skip
    assert out.splitlines()[0] == str(page)
    text = page.read_text("utf-8")
    assert "<h1>Faults &amp; cloth</h1>" in text
    assert "mode, 95% interval" in text
    assert (tmp_path / "t" / "estimates.csv").exists()
    # Without names, files of the same name are called by their folders.
    told(capsys, ["report", *files, "--out", page, "--force"])
    assert "map, 95% interval" in page.read_text("utf-8")
    again = stored.named_files(["a/em/fit.nc", "b/em/fit.nc", "ML=b/em/fit.nc", "a=b"])
    wanted = ["a/em/fit.nc", "b/em/fit.nc", "b/em/fit.nc", "b"]
    assert again == dict(zip(["a/em/fit.nc", "b/em/fit.nc", "ML", "a"], wanted, strict=True))
    assert stored.named_files(["em.nc", "map.nc"]) == {"em": "em.nc", "map": "map.nc"}
    with pytest.raises(bmx.SpecError, match="two fits are called 'em'"):
        stored.named_files(["em.nc", "em=b/fit.nc"])
    spec.save(tmp_path / "model.nc")
    err = told(capsys, ["report", tmp_path / "model.nc", "--out", page, "--force"], 1).err
    assert "'model' is a Mixture" in err


# --- stored fits: predictions and checks -----------------------------------------------------


@pytest.fixture(scope="module")
def results(folder, tmp_path_factory):
    """The folder of --out."""
    out = tmp_path_factory.mktemp("stored") / "results"
    command = ["fit", folder / "patent.csv", *PATENT, "--k", "3", "--out", out]
    assert cli.main([str(word) for word in command]) == 0
    return out


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], lambda fit, rows: fit.predict(rows)),
        (["--what", "link"], lambda fit, rows: fit.predict(rows, "link")),
        (["--what", "membership"], lambda fit, rows: fit.membership(rows, rows=True)),
        (["--by", "membership"], lambda fit, rows: fit.predict(rows, by="membership").to_frame()),
        (["--by", "marginal", "--ci", "0.9"],
         lambda fit, rows: fit.predict(rows, by="marginal", ci=0.9)),
    ],
)  # fmt: skip
def test_predictions_are_those_of_python(results, folder, capsys, options, wanted):
    bmx.load_data("patent").head(4).to_csv(folder / "new.csv", index=False)
    out = told(capsys, ["predict", results, folder / "new.csv", *options]).out
    found = pd.read_csv(io.StringIO(out)).select_dtypes("number")
    table = wanted(bmx.load(results / "fit.nc"), pd.read_csv(folder / "new.csv"))
    table = table if "row" in table else table.rename_axis("row").reset_index()
    expected = table.apply(pd.to_numeric, errors="coerce")
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_predictions_go_to_a_file_that_is_not_replaced(results, capsys, tmp_path):
    for name, read in (("p.csv", pd.read_csv), ("p.parquet", pd.read_parquet)):
        told(capsys, ["predict", results / "fit.nc", "--out", tmp_path / name])
        assert list(read(tmp_path / name)) == ["row", "1", "2", "3"]
        err = told(capsys, ["predict", results, "--out", tmp_path / name], 1).err
        assert "would be replaced; give --force" in err
        told(capsys, ["predict", results, "--out", tmp_path / name, "--force"])
    err = told(capsys, ["predict", results, "--out", tmp_path / "p.pdf"], 1).err
    assert "end its name in .csv or .parquet" in err


def test_predictions_of_competing_events(folder, capsys, tmp_path):
    data = bmx.load_data("mgus2").head(200)
    spec = bmx.CompetingRisks("surv(years, status) ~ 1", data, event="event", family="exponential")
    fit = spec.fit("em", seed=1)
    fit.save(tmp_path / "fit.nc")
    given = ["predict", tmp_path]
    out = pd.read_csv(io.StringIO(told(capsys, [*given, "--what", "state", "--times", "1,5"]).out))
    np.testing.assert_allclose(out["estimate"], fit.state_probabilities([1, 5])["estimate"])
    out = as_json(capsys, [*given, "--ci", "0.5"])["predictions"]
    assert [row["event"] for row in out[:2]] == ["death", "pcm"]
    for options, words in (
        (["--what", "mean"], "not a prediction of competing events"),
        (["--what", "state"], "needs --times"),
        (["--q", "0.5"], "--q does not go with --what event"),
    ):
        assert words in told(capsys, [*given, *options], 1).err


def test_check_of_data_and_of_a_fit(results, folder, capsys):
    out = told(capsys, ["check", folder / "patent.csv", *PATENT[:3]]).out
    assert "coefficients  4" in out
    assert out.endswith("No problems.\n")
    out = told(capsys, ["check", folder / "patent.csv", "Patents ~ size"], 1).out
    assert "problem: Column 'size' is not in the data." in out
    assert told(capsys, ["check", results]).out.endswith("No problems.\n")


def test_check_of_times_finds_the_mistakes(folder, capsys):
    data = bmx.load_data("mgus2").head(300)
    wrong = data["event"].astype(object).fillna("censored")
    data.assign(event=wrong).to_csv(folder / "mgus-check.csv", index=False)
    given = ["check", folder / "mgus-check.csv", *EVENTS[:3], "--family", "weibull"]
    found = as_json_code(capsys, given, 1)["problems"]
    check = bmx.check_survival(pd.read_csv(folder / "mgus-check.csv"), EVENTS[0], event="event")
    assert found == check.problems
    data.to_csv(folder / "mgus-check.csv", index=False)
    for some in (given, ["check", given[1], "surv(years, status)", "--event", "event"]):
        out = told(capsys, some).out
        assert "pi_death f_death(t)" in out
        assert ("gompertz" in out or "weibull" in out) == ("--family" in some)


def as_json_code(capsys, arguments, code):
    return json.loads(told(capsys, [*arguments, "--json"], code).out)


def test_a_folder_is_not_written_over(results, folder, capsys):
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    command = ["fit", folder / "patent.csv", *PATENT, "--k", "2", "--out", results]
    assert "would be replaced; give --force" in told(capsys, command, 1).err
    assert before == {path.name: path.read_bytes() for path in results.iterdir()}


def test_a_report_takes_a_folder_and_is_no_pdf(results, capsys, tmp_path):
    told(capsys, ["report", results, "--out", tmp_path / "page.html"])
    assert "<h1>" in (tmp_path / "page.html").read_text("utf-8")
    err = told(capsys, ["report", results, "--out", tmp_path / "page.pdf"], 1).err
    assert "a report is an HTML page" in err
    assert not (tmp_path / "page.pdf").exists()
    assert "holds no fit.nc" in told(capsys, ["report", tmp_path], 1).err


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_other_files_than_csv(folder, capsys, kind):
    data = bmx.load_data("patent")
    getattr(data, f"to_{kind}")(folder / f"patent.{kind}")
    table = reading.read_table(str(folder / f"patent.{kind}"))
    pd.testing.assert_frame_equal(table, data, check_dtype=False)
    err = told(capsys, ["fit", folder / f"patent.{kind}", PATENT[0], "--sep", ";"], 1).err
    assert "--sep is for CSV files" in err
    (folder / f"bad.{kind}").write_text("y,x")
    err = told(capsys, ["fit", folder / f"bad.{kind}", "y ~ x"], 1).err
    assert "cannot be read" in err


# --- reading ---------------------------------------------------------------------------------

ONE_TWO = "number: 1 to 2, median 1.5"


@pytest.mark.parametrize(
    ("text", "options", "wanted"),
    [
        ("y,f\n1,b\n2,a\n,NA\n", {}, [f"{ONE_TWO}, 1 missing", "levels: a (1), b (1), 1 missing"]),
        ("\ny;f\n1,0;a\n2,0;b\n", {"sep": ";", "decimal": ","}, [ONE_TWO, "levels: a (1), b (1)"]),
        ("y;f\n1;x y\n2;z\n", {"sep": ";"}, [ONE_TWO, "levels: x y (1), z (1)"]),
        ("y,f\n-1,b\n2,a\n", {"levels": [("f", ["b", "a", "c"])]},
         ["number: -1 to 2, median 0.5", "levels: b (1), a (1), c (0)"]),
        ("y,f\n1,None\n2,null\n", {}, [ONE_TWO, "levels: None (1), null (1)"]),
        ("y,f\n1,True\n2,False\n", {}, [ONE_TWO, "levels: False (1), True (1)"]),
        ("y,f\n1,\n2,\n", {}, [ONE_TWO, "number: none, 2 missing"]),
        ("\ufeffy,f\n1,0x1A\n2,1\n", {}, [ONE_TWO, "levels: 0x1A (1), 1 (1)"]),
    ],
)  # fmt: skip
def test_how_columns_are_read(tmp_path, text, options, wanted):
    file = tmp_path / "x.csv"
    file.write_text(text, "utf-8")
    data = reading.read_table(str(file), **{"sep": None, "levels": [], **options})
    lines = [f"{row['kind']}: {row['values']}" for row in reading.columns_read(data)]
    assert lines == wanted


def test_the_order_of_levels_is_the_one_given(folder, capsys):
    command = ["fit", folder / "betablocker.csv", "p(Deaths, Total) ~ Treatment",
               "--family", "binomial", "--k", "1"]  # fmt: skip
    usual, turned = (
        {
            row["term"]: row["estimate"]
            for row in as_json(capsys, [*command, *more])["fit"]["summary"]
        }
        for more in ([], ["--levels", "Treatment=Treated,Control"])
    )
    assert usual["Treatment[Treated]"] == pytest.approx(-turned["Treatment[Control]"], abs=1e-6)


def test_standard_input(folder, capsys, monkeypatch):
    text = "\ufeff" + (folder / "fabricfault.csv").read_text().replace("\n", "\r\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    out = told(capsys, ["fit", "-", "Faults ~ log(Length)", "--family", "poisson", "--k", "1"]).out
    assert out.startswith("standard input: 32 rows\n")
    assert "Length" in out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "standard input: the file is empty" in told(capsys, ["fit", "-", "y ~ x"], 1).err


def test_a_long_column_is_read_as_a_whole(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("y,f\n" + "1,7\n" * 300_000 + "1,b\n")
    data = reading.read_table(str(file), None, [])
    assert {type(value) for value in data["f"]} == {str}


# --- errors ----------------------------------------------------------------------------------

BAD = [
    (["fit", "{patent}", "Patents ~ size"], 1, "Column 'size' is not in the data"),
    (["fit", "{patent}", "Patents ~ lgRD +"], 1, "Patents ~ lgRD +"),
    (["fit", "{patent}", "Patents ~ lgRD", "--family", "poison"], 1, "poison"),
    (["fit", "{patent}", "Patents ~ lgRD", "--k", "0"], 1, "--k 0"),
    (["fit", "{patent}", "Patents ~ lgRD", "--draws", "50"], 1, "--draws"),
    (["fit", "{patent}", "Patents ~ lgRD", "--k", "1:2", "--draws", "50"], 1, "--draws does"),
    (["fit", "{patent}", "Patents ~ lgRD", "--by", "aic"], 1, "--by chooses among several"),
    (["fit", "{patent}", "Patents ~ lgRD", "--prior", "coef=normal(1)"], 1, "takes mu, sigma"),
    (["fit", "{patent}", "Patents ~ lgRD", "--prior", "coef=norm(1, 2)"], 1, "'norm' is unknown"),
    (["fit", "{patent}", "Patents ~ lgRD", "--nested", "~ RDS", "two"], 1, "'two' is not a number"),
    (["fit", "{patent}", "Patents ~ lgRD", "--hold", "1", "lgRD", "a"], 1, "'a' is not a number"),
    (["fit", "{patent}", "Patents ~ lgRD", "--k", "2", "--hold", "3", "lgRD", "1"], 1,
     "--hold: '3' is no component of this model, which has 1, 2"),
    (["fit", "{patent}", "Patents ~ lgRD", "--flat-priors", "--prior", "coef=normal(0,1)"], 1,
     "contradict"),
    (["fit", "{patent}", "Patents ~ lgRD", "--levels", "Arm=a,b"], 1, "has the columns Company"),
    (["fit", "{patent}", "Patents ~ lgRD", "--levels", "Company=a,b"], 1, "other levels too"),
    (["fit", "{folder}/none.csv", "y ~ x"], 1, "none.csv: No such file"),
    (["fit", "{folder}", "y ~ x"], 1, "Is a directory"),
    (["fit", "{folder}/ragged.csv", "y ~ x"], 1, "not read as CSV"),
    (["fit", "{folder}/latin.csv", "y ~ x"], 1, "UTF-8"),
    (["fit", "{folder}/twice.csv", "y ~ x"], 1, "more than one column is called x"),
    (["select", "{two}", SCORE, "--k", "1:99999999999"], 2, "give at most 1,000 numbers"),
    (["fit", "{folder}/empty.csv", "y ~ x"], 1, "the file is empty"),
    (["fit", "{folder}/head.csv", "y ~ x"], 1, "no rows"),
    (["fit", "{folder}/quote.csv", "y ~ x"], 1, "not read as CSV"),
    (["fit", "{folder}/semi.csv", "y ~ x"], 1, "give --sep ';' (and --decimal ,"),
    (["fit", "{folder}/tab.csv", "y ~ x"], 1, "give --sep tab"),
    (["fit", "{folder}/semi.csv", "y ~ x", "--sep", ","], 1, "Column 'y' is not in the data"),
    (["fit", "{folder}/semi.csv", "y ~ x", "--decimal", ","], 1, "cannot both separate columns"),
    (["fit", "{patent}", "Company ~ lgRD"], 1, "numbers or booleans are needed"),
    (["fit", "{patent}", "Patents ~ lgRD", "--family", "pcm=weibull"], 1, "goes with --event"),
    (["fit", "{patent}", "Patents ~ lgRD", "--truncation", "component"], 1, "goes with --event"),
    (["fit", "{patent}", "surv(RDS) ~ 1", "--event", "Company"], 1, "needs --family"),
    (["fit", "{patent}", "surv(RDS) ~ 1", "--event", "Company", "--family", "weibull", "--k", "2"],
     1, "--k does not go with --event"),
    (["fit", "{patent}", "surv(RDS) ~ 1", "--event", "Company", "--family", "weibull,a=gamma"],
     1, "names each event once"),
    (["fit", "{patent}", "surv(RDS) ~ 1", "--event", "nobody", "--family", "weibull"], 1, "nobody"),
    (["fit", "{patent}", "Patents ~ lgRD", "--family", "=weibull"], 2, "pcm=weibull"),
    (["fit", "{two}", SCORE, VISITS, *["--family", "poisson"] * 3], 1, "3 times for 2 formulas"),
    (["fit", "{two}", SCORE, *["--family", "gaussian"] * 2], 1, "2 times for 1 formula;"),
    (["fit", "{two}", SCORE, VISITS, "--family", "score=gaussian"], 1, "goes with --event"),
    (["fit", "{two}", SCORE, VISITS, "--fixed", "~ x"], 1, "several responses score, visits"),
    (["fit", "{two}", SCORE, VISITS, "--fixed", "x"], 1, "--fixed 'score ~ x'"),
    (["fit", "{two}", SCORE, VISITS, "--dispersion", "fixed"], 1, "--dispersion score=fixed"),
    (["fit", "{two}", SCORE, VISITS, "--dispersion", "z=fixed"], 1, "'z' is not among"),
    (["fit", "{two}", SCORE, VISITS, *["--fixed", "visits ~ x"] * 2], 1, "twice for visits"),
    (["fit", "{two}", SCORE, SCORE], 1, "the same response"),
    (["fit", "{two}", SCORE, VISITS, "--event", "x", "--family", "weibull"], 1, "one FORMULA; 2"),
    (["fit", "{two}", "score", "~", "x"], 2, "'score' has no ~; write it in quotes"),
    (["fit", "{two}", SCORE, "--k", "2", "visits"], 2, "'visits' has no ~; write it in quotes"),
    (["report", "{folder}/none.nc"], 1, "none.nc"),
    (["report", "{patent}"], 1, "patent.csv"),
    (["data", "--csv"], 1, "--csv writes one dataset"),
    (["data", "patent", "--csv", "--json"], 1, "--csv and --json contradict"),
    (["fit", "{patent}", "Patents ~ lgRD", "--prior", "coef=normal(0,1)"], 1, "em) uses no priors"),
    (["select", "{patent}", "Patents ~ lgRD", "--flat-priors", "--method", "ml"], 1, "no priors"),
    (["fit", "{patent}", "Patents ~ lgRD", "--tol", "-1"], 1, "--tol -1.0 must be"),
    (["fit", "{patent}", "surv(RDS) ~ 1", "--family", "spline:knots=9"], 1, "knots"),
    (["fit", "{patent}", "surv(RDS) ~ 1", "--family", "spline:knots=1/b"], 2, "is not a number"),
    (["fit", "{patent}", "surv(RDS) ~ 1", "--family", "spline:df=x"], 1, "df='x'"),
    (["fit", "{patent}", "Patents ~ lgRD", "--out", "{patent}/x"], 1, "patent.csv"),
    (["fit", "{patent}", "Patents ~ lgRD", "--out", "{patent}"], 1, "is a file; --out names a"),
    (["select", "{patent}", "Patents ~ lgRD", "--out", "{patent}"], 1, "is a file; --out names a"),
    (["select", "{patent}", "Patents ~ lgRD", "--event", "x"], 2, "--event x (see bayesmix select"),
    (["fit", "{patent}"], 2, "the following arguments are required: FORMULA"),
    (["fit", "{patent}", "Patents ~ lgRD", "--k", "5:1"], 2, "give 3, 1:5 or 1,3,5"),
    (["fit", "{patent}", "Patents ~ lgRD", "--seed", "-1"], 2, "--seed"),
    (["fit", "{patent}", "Patents ~ lgRD", "--tol", "small"], 2, "'small' is not a number"),
    (["fit", "{patent}", "Patents ~ lgRD", "--starts", "1.5"], 2, "is not a whole number"),
    (["fit", "{patent}", "Patents ~ lgRD", "--sep", "ab"], 2, "give one character"),
    (["fit", "{patent}", "Patents ~ lgRD", "--levels", "Arm"], 2, "arm=placebo,drug"),
    (["fit", "{patent}", "Patents ~ lgRD", "--prior", "coef"], 2, "coef[x]=normal(0, 2.5)"),
    (["fit", "{patent}", "Patents ~ lgRD", "--method", "mcmc"], 2, "invalid choice: 'mcmc'"),
    (["fit", "{patent}", "Patents ~ lgRD", "--conc", "~ RDS"], 2, "unrecognized arguments: --conc"),
    (["select", "{patent}", "Patents ~ lgRD", "--method", "nuts"], 2, "invalid choice: 'nuts'"),
    (["completion", "tcsh"], 2, "invalid choice: 'tcsh'"),
]  # fmt: skip


@pytest.fixture(scope="module")
def bad_files(folder, two):
    (folder / "ragged.csv").write_text("y,x\n1,2\n1,2,3,4\n")
    (folder / "latin.csv").write_bytes("y,größe\n1,2\n".encode("latin-1"))
    (folder / "twice.csv").write_text("y,x,x\n1,2,3\n")
    (folder / "empty.csv").write_text("")
    (folder / "head.csv").write_text("y,x\n")
    (folder / "quote.csv").write_text('"' + "y,x\n1,2\n" * 40_000)
    (folder / "semi.csv").write_text("y;x\n1,5;2\n2;3\n")
    (folder / "tab.csv").write_text("y\tx\n1\t2\n2\t3\n")
    return {"folder": folder, "patent": folder / "patent.csv", "two": folder / "two.csv"}


@pytest.mark.parametrize(("arguments", "code", "words"), BAD)
def test_errors_are_one_line_without_traceback(bad_files, capsys, arguments, code, words):
    said = told(capsys, [a.format(**bad_files) for a in arguments], code)
    assert said.out == ""
    assert words in said.err
    assert said.err.count("\n") == 1
    assert said.err.startswith("bayesmix")


def test_a_fit_that_is_no_success_warns_in_one_line(capsys, tmp_path):
    data = pd.DataFrame({"y": [0, 0, 0, 1, 1, 1], "x": [1.0, 2, 3, 4, 5, 6]})
    data.to_csv(tmp_path / "x.csv", index=False)
    arguments = ["fit", tmp_path / "x.csv", "y ~ x", "--family", "binomial", "--k", "1", "--json"]
    said = told(capsys, arguments)
    assert said.err.startswith("bayesmix: warning: the likelihood keeps rising")
    assert said.err.count("\n") == 1
    fit = json.loads(said.out)["fit"]
    assert fit["status"] == "boundary"
    assert fit["warnings"][0].startswith("the likelihood keeps rising")
    # JSON knows no infinity and no NaN.
    assert [row["lower"] for row in fit["summary"]] == ["-inf", "-inf"]
    assert [row["se"] for row in fit["summary"]] == ["inf", "inf"]


def test_a_folder_that_cannot_be_written_is_told_before_the_fit(folder, capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    monkeypatch.setattr(modelling, "fit", None)
    given = ["fit", folder / "patent.csv", *PATENT, "--out", folder / "closed"]
    assert told(capsys, given, 1).err == f"bayesmix: error: {folder}/closed: Permission denied\n"


def test_an_interruption_is_one_line(monkeypatch, capsys):
    def interrupted(given):
        raise KeyboardInterrupt

    monkeypatch.setitem(commands.COMMANDS, "data", interrupted)
    said = told(capsys, ["data"], cli.INTERRUPTED)
    assert (said.out, said.err) == ("", "bayesmix: interrupted\n")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("rows out with na_action='drop'.", "rows out with --na-action drop."),
        ("dispersion='1,x' is unknown", "--dispersion 1,x is unknown"),
        ("k=80 components; leave weights= out", "--k 80 components; leave --weights out"),
        ("fixed_params has (1, 'x')", "fixed_params has (1, 'x')"),
        ("min_weight= removes, fixed_params= hold", "--min-weight removes, --hold hold"),
        ("kk=3, weights=w, nested=[('~ x', 2)]", "kk=3, weights=w, nested=[('~ x', 2)]"),
    ],
)
def test_messages_name_options_as_they_are_typed(words, wanted):
    assert cli._as_options(words) == wanted


def test_a_single_row_gives_no_warnings_of_numpy(tmp_path, capsys):
    (tmp_path / "one.csv").write_text("y\n0.345584192064786\n")
    assert cli.main(["fit", str(tmp_path / "one.csv"), "y ~ 1", "--k", "1"]) == 0
    warned = capsys.readouterr().err.splitlines()
    assert len(warned) == 1
    assert "collapsed to zero" in warned[0]


# --- help, completion, terminals -------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    ["fit", "select", "predict", "check", "report", "data", "demo", "warm", "completion"],
)
def test_help_of_every_command(capsys, command):
    text = told(capsys, [command, "--help"]).out
    for option in OPTIONS:
        if command in option.commands.split():
            assert option.flag in text
    if command in ("fit", "select", "report"):
        assert "examples:\n  bayesmix" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", ["patent", "betablocker"])
def test_data_as_csv_and_json(capsys, name):
    text = told(capsys, ["data", name, "--csv"]).out
    frame = bmx.load_data(name)
    again = pd.read_csv(io.StringIO(text))
    assert list(again) == list(frame)
    assert len(again) == len(frame)
    found = json.loads(told(capsys, ["data", name, "--json"]).out)
    assert [c["name"] for c in found["columns"]] == list(frame)


def test_the_list_of_datasets_as_json(capsys):
    found = json.loads(told(capsys, ["data", "--json"]).out)
    assert [d["name"] for d in found["datasets"]] == list(bmx.list_data()["name"])


def test_options_stand_once_for_each_command():
    make_parser()  # argparse refuses a flag that a command has twice


NUTS = ["p(Deaths, Total) ~ 1 | Center", "--family", "binomial", "--k", "3", "--seed", "1",
        "--fixed", "~ Treatment", "--method", "nuts"]  # fmt: skip


@pytest.mark.slow
def test_progress_on_a_terminal_and_none_in_a_pipe(folder):
    """NUTS takes seconds: a line on a terminal, nothing in a pipe."""
    command = [sys.executable, "-m", "bayesmix.cli", "fit", str(folder / "betablocker.csv"), *NUTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "R-hat" in done.stdout
    terminal = Terminal(command, folder)
    try:
        shown = terminal.wait_for("betablocker.csv: 44 rows", 120)
        assert "Draws" in shown
        assert terminal.end()[0] == 0
    finally:
        terminal.close()


@pytest.mark.slow
@pytest.mark.ci
def test_ctrl_c_ends_nuts(folder):
    command = [sys.executable, "-m", "bayesmix.cli", "fit", str(folder / "betablocker.csv"), *NUTS]
    terminal = Terminal([*command, "--draws", "1000000"], folder)
    try:
        terminal.wait_for("Draws", 120)  # the chains run
        terminal.type("\x03")
        code, shown = terminal.end()
        assert "Traceback" not in shown
        if code == cli.INTERRUPTED:  # before there was anything to give back
            assert shown.endswith("bayesmix: interrupted\r\n")
        else:
            assert code == 0
            assert "interrupted: the posterior has the" in shown.replace("\r\n", " ")
            assert "R-hat" in shown
    finally:
        terminal.close()


def run_line(capsys, line, code=0):
    """Run a line of a page, with what follows > as the file for its output."""
    _, *words = shlex.split(line)
    target = words.index(">") if ">" in words else len(words)
    out = told(capsys, words[:target], code).out
    for file in words[target + 1 :]:
        Path(file).write_text(out)


def page(name):
    path = Path(__file__).parents[2] / name
    if not path.exists():
        pytest.skip(f"no {name} beside the tests")
    return path.read_text("utf-8")


def test_the_commands_of_the_readme(capsys, tmp_path, monkeypatch):
    blocks = re.findall(r"^```sh\n(.*?)^```", page("README.md"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("bayesmix")]
    assert len(lines) == 4
    monkeypatch.chdir(tmp_path)
    for line in lines:
        run_line(capsys, line)
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"patent.csv", "results", "report.html", "tables"}


def test_the_commands_of_their_page(capsys, tmp_path, monkeypatch):
    """The build of the site shows an error of a command as it shows any output."""
    text = page("docs/howto/terminal.md")
    (cell,) = re.findall(r"^:tags: \[remove-cell\]\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile(cell, "terminal.md", "exec"), {})
    lines = re.findall(r"^!(bayesmix .*)$", text, re.MULTILINE)
    assert len(lines) == 11
    for line in lines:
        command, _, status = line.partition("; echo")
        run_line(capsys, command, 1 if status else 0)


def test_a_pipe_has_nothing_but_the_results(folder):
    command = [sys.executable, "-m", "bayesmix.cli", "fit", str(folder / "fabricfault.csv")]
    command += ["Faults ~ log(Length)", "--family", "poisson", "--k", "2", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "log-likelihood" in done.stdout


def test_the_covariance_of_random_effects_is_an_option_of_a_response():
    formulas = ["score ~ x + (1 | id)", VISITS]
    given = {"random_covariance": [("score", "fixed")], "family": []}
    made = modelling.regressions(formulas, given)
    assert [r.random_covariance for r in made] == ["fixed", "varying"]
    with pytest.raises(SpecError, match="--random-covariance score=fixed"):
        modelling.regressions(formulas, {"random_covariance": [("", "fixed")], "family": []})
