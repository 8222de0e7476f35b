"""The command line, the demo, and the first example of the README."""

import contextlib
import doctest
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bayesmix as bmx
from bayesmix import cli
from bayesmix.cli import demo

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """What the demo prints, and the folder it has made."""
    out = tmp_path_factory.mktemp("demo") / "new" / "pictures"
    text = io.StringIO()
    demo.run(out, 1, lambda words: print(words, file=text), sample=False)
    return text.getvalue(), out


def test_demo_selects_three_components_twice(shown):
    text, _ = shown
    assert text.count("BIC is lowest at K = 3.") == 2
    # The numbers are those the vignette of flexmix prints, see tests/reference.
    assert "-197.6750 here, -197.6753 in the vignette of R's flexmix:\nthey agree." in text
    assert "-159.3605 here, -159.3605 in the vignette of R's flexmix:\nthey agree." in text


def test_demo_tells_the_treatment_effect_as_an_odds_ratio(shown):
    text, _ = shown
    data = bmx.load_data("betablocker")
    spec = bmx.Mixture(
        "p(Deaths, Total) ~ 1 | Center", data, family="binomial", k=3, fixed="~ Treatment"
    )
    fit = spec.fit("em", seed=5)
    effect = fit.coefficients().loc["Treatment[Treated]", 1]
    assert f"multiplies the odds of dying by {np.exp(effect):.2f} (95% interval" in text
    assert "multiplies the odds of dying by 0.77" in text
    control = 1 / (1 + np.exp(-fit.coefficients().loc["Intercept"]))
    assert f"{control[1]:.1%} (5 centres)" in text


def test_demo_shows_the_fit_and_fits_a_terminal(shown):
    text, _ = shown
    assert "lgRD" in text
    assert re.search(r"RDS +concomitant", text)
    assert max(map(len, text.splitlines())) <= 100 + len(str(shown[1]))
    assert "\x1b" not in text


def test_demo_saves_its_pictures_and_says_where(shown):
    text, out = shown
    names = [
        f"{example}-{part}.png"
        for example in ("patents", "beta-blockers")
        for part in ("means", "memberships", "weights")
    ]
    assert sorted(p.name for p in out.iterdir()) == sorted(names)
    for name in names:
        assert (out / name).read_bytes().startswith(b"\x89PNG")
        assert str(out / name) in text


@pytest.mark.slow
def test_the_whole_command_ends_with_a_posterior(tmp_path, capsys):
    assert cli.main(["demo", "--out", str(tmp_path), "--seed", "2"]) == 0
    out, err = capsys.readouterr()
    # Few of this seed's starts reach the best; of that, and of nothing else, there is a warning.
    assert re.fullmatch(r"bayesmix: warning: k = 5: only \d+ of 20 starts reached .*\n", err)
    assert "4000 draws in" in out
    # The maximum and the posterior agree on the treatment to two digits.
    assert out.count("multiplies the odds of dying by 0.77") == 2
    ml = re.search(r"^ +1 Treatment\[Treated\] +fixed +(\S+)", out, re.MULTILINE)[1]
    assert float(ml) == pytest.approx(-0.258, abs=5e-4)
    assert "nothing is wrong" in out
    assert re.search(r"elpd_loo +-170\.", out)
    assert max(map(len, out.splitlines())) <= 100 + len(str(tmp_path))
    picture = tmp_path / "beta-blockers-ml-and-bayes.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in out


def test_the_command_hands_its_options_to_the_demo(monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr(demo, "run", lambda *options: given.append(options))
    assert cli.main(["demo", "--out", str(tmp_path), "--seed", "7"]) == 0
    assert given == [(tmp_path, 7, print)]


@pytest.fixture(scope="module")
def approximate():
    """Posterior of the trial; Laplace's draws stand in for those of NUTS."""
    return demo._trial_model().fit("laplace", seed=1)


def test_demo_tells_the_odds_ratio_of_the_draws(approximate):
    post = approximate
    low, high = np.exp(post.summary().iloc[0][["lower", "upper"]].to_numpy(dtype=float))
    words = demo.odds_words(post)
    assert "multiplies the odds of dying by 0.77, with 95% probability by" in words
    assert f"\n{low:.2f} to {high:.2f}; it lowers them in 100.0% of the draws." in words


def test_demo_says_where_it_did_not_reach_the_known_maximum():
    class Low:
        loglik = -200.0

    assert "they differ; other starts (--seed) may do better" in demo._known(Low(), -197.6753)


def test_demo_leaves_pyplot_alone(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom bayesmix.cli.demo import run\n"
        f"run(Path({str(tmp_path)!r}), 1, lambda text: None, sample=False)\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    code = "import warnings; warnings.simplefilter('ignore')\n" + code
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_warnings_are_one_line_each(monkeypatch, tmp_path, capsys):
    def run(out, seed, write):
        import warnings

        warnings.warn("the fit stopped early", bmx.ConvergenceWarning, stacklevel=2)

    monkeypatch.setattr(demo, "run", run)
    assert cli.main(["demo", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().err == "bayesmix: warning: the fit stopped early\n"


def test_letters_that_the_terminal_lacks_are_an_error(monkeypatch, tmp_path, capsys):
    (tmp_path / "d.csv").write_text("é,y\n1,2\n2,3\n3,5\n", encoding="utf-8")
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert cli.main(["check", str(tmp_path / "d.csv"), "y ~ é"]) == 1
    assert "'\\xe9' cannot be written in ascii" in capsys.readouterr().err


def test_data_lists_every_dataset(capsys):
    assert cli.main(["data"]) == 0
    text = capsys.readouterr().out
    for name, rows in bmx.list_data()[["name", "rows"]].itertuples(index=False):
        assert re.search(rf"^{name} +{rows}  ", text, re.MULTILINE)


@pytest.mark.parametrize("name", bmx.list_data()["name"])
def test_data_describes_each(capsys, name):
    assert cli.main(["data", name]) == 0
    text = capsys.readouterr().out
    frame = bmx.load_data(name)
    assert text.startswith(f"{name}: {len(frame)} rows, {len(frame.columns)} columns\n")
    assert " ".join(frame.attrs["description"].split()) in " ".join(text.split())
    assert all(column in text for column in frame.columns)


def test_data_wraps_to_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    cli.main(["data"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60


def test_version_and_help(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"bayesmix {bmx.__version__}\n"
    for arguments in ([], ["--help"]):
        assert cli.main(arguments) == 0
        text = capsys.readouterr().out
        assert "bayesmix demo" in text
        assert "fit = bmx.Mixture(" in text
    assert cli.main(["demo", "--help"]) == 0
    assert "default: 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["data", "patents"], 1, "bayesmix: error: There is no dataset 'patents'."),
        (["fits", "y ~ x"], 2, "bayesmix: error: argument COMMAND: invalid choice: 'fits'"),
        (["demo", "--seed", "one"], 2, "'one' is not a whole number; use one such as 1"),
        (["demo", "--seed", "-3"], 2, "bayesmix demo: error: argument --seed: "),
        (["data", "patent", "pbc"], 2, "unrecognized arguments: pbc (see bayesmix data --help)"),
        (["--verbose"], 2, "(see bayesmix --help)"),
    ],
)
def test_errors_are_one_line_on_stderr(capsys, arguments, code, words):
    assert cli.main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    assert cli.main(["demo", "--out", str(file / "x")]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"bayesmix: error: {file}")
    assert err.count("\n") == 1


def test_the_command_writes_to_a_pipe_and_bears_its_end():
    command = [sys.executable, "-m", "bayesmix.cli", "data"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("name ")
    assert done.stderr == ""
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    reader.stdout.close()
    assert reader.stderr.read() == b""
    reader.stderr.close()
    assert reader.wait() == cli.CLOSED_PIPE


def blocks():
    text = README.read_text("utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", [0, 2], ids=["regressions", "competing events"])
def test_an_example_of_the_readme_prints_what_it_says(number):
    if not README.exists():
        pytest.skip("no README beside the tests")
    kinds = [kind for kind, _ in blocks()]
    at = [i for i, kind in enumerate(kinds) if kind == "python"][number]
    assert kinds[at + 1] == "text"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks()[at][1], str(README), "exec"), {"bmx": bmx} if number else {})
    lines = [line.rstrip() for line in printed.getvalue().splitlines()]
    assert lines == [line.rstrip() for line in blocks()[at + 1][1].splitlines()]


@pytest.mark.slow
def test_the_posterior_of_the_readme_is_the_one_that_is_found():
    if not README.exists():
        pytest.skip("no README beside the tests")
    code, text = (
        [block for kind, block in blocks() if kind == wanted][1] for wanted in ("python", "text")
    )
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(README), "exec"), {"bmx": bmx})
    said, found = (part.split("LOO of")[0] for part in (text, printed.getvalue()))
    number = r"-?\d+\.\d+"
    assert re.sub(number, "", said).split() == re.sub(number, "", found).split()
    # Draws differ a little between machines.
    values = [np.array(re.findall(number, part), dtype=float) for part in (said, found)]
    assert len(values[0]) == 4 * 9
    np.testing.assert_allclose(*values, atol=0.03)


def test_the_readme_says_what_bic_prefers_for_the_patents():
    if not README.exists():
        pytest.skip("no README beside the tests")
    said = re.search(
        r"BIC is (\d+).*?\n(\d+) with these three.*? has (\d+)", README.read_text("utf-8")
    )
    patent = bmx.load_data("patent")
    found = [
        bmx.Mixture("Patents ~ lgRD", patent, family, k, concomitant=weights).fit(seed=1).bic
        for family, k, weights in [
            ("poisson", 1, None),
            ("poisson", 3, "~ RDS"),
            ("negative_binomial", 1, None),
        ]
    ]
    assert [round(bic) for bic in found] == [int(number) for number in said.groups()]


def test_the_readme_points_to_pictures_that_are_there_and_small():
    if not (ROOT / "docs" / "images").exists():
        pytest.skip("no docs beside the tests")
    pictures = re.findall(r"\]\((docs/images/[\w.-]+)\)", README.read_text("utf-8"))
    assert pictures
    for picture in pictures:
        assert 1_000 < (ROOT / picture).stat().st_size < 100_000


@pytest.mark.parametrize("module", [cli, demo])
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
